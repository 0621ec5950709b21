package tls_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// A message is good until the next call, and a clone for ever.
func TestLoans(t *testing.T) {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, tls.Factory{Hellos: true})
	require.NoError(t, err)
	flow := player.TCP(40000, 443)
	var lent, kept []flowscope.Message
	var want []string
	step := func(all []flowscope.Emitted) {
		for _, e := range all {
			clone := e.Message.CloneMessage()
			require.Equal(t, e.Message, clone)
			lent, kept = append(lent, e.Message), append(kept, clone)
			want = append(want, describe([]flowscope.Emitted{{Message: clone}})...)
		}
	}
	for _, turn := range []turn{
		says(client, handshake(message(1, hello12))), says(server, handshake(flight12)), missing(server, make([]byte, 10)), says(client, handshake(certificates("mine")), alert(2, 40)),
	} {
		// Chunks lie in memory of their own, which is trampled as a driver's is.
		b := append([]byte(nil), turn.b...)
		if turn.gap {
			step(flow.Gap(turn.side, int64(len(b)), 1))
		} else {
			step(flow.Data(turn.side, b, 1))
		}
		for i := range b {
			b[i] = 0xdb
		}
	}
	step(flow.End(flowscope.EndFIN, 2))
	require.Len(t, kept, 4)
	player.Sweep(3)
	var got []string
	for _, m := range kept {
		got = append(got, describe([]flowscope.Emitted{{Message: m}})...)
	}
	assert.Equal(t, want, got)
	if invariants.Enabled {
		assert.Equal(t, &tls.Hello{}, lent[0])
		assert.Equal(t, &tls.Handshake{}, lent[3])
	}
}
