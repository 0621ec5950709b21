package main

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// Flows whose directions a fan-out by ports takes apart are counted, of those that have ended.
func TestFlowsInTunnelsOverUDPAreCounted(t *testing.T) {
	o := newOutput(io.Discard, &settings{flows: true, format: "json"}, nil)
	for text, want := range map[string]int{"": 0, "vxlan:77": 1, "geneve:5": 1, "gtpu:9": 1, "gre": 0, "ipip": 0, "mpls:5": 0} {
		o.tunnels = 0
		r := flowscope.Record{Final: true}
		require.NoError(t, r.Tunnel.UnmarshalText([]byte(text)))
		o.flow(&r)
		require.Equal(t, want, o.tunnels, text)
		r.Final = false
		o.flow(&r)
		require.Equal(t, want, o.tunnels, text)
	}
}
