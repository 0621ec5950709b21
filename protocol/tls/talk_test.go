package tls

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/flowscope-go/flowscope"
)

// What recognise looks at first must not keep a talk from being known: with every first byte the
// probes say by themselves whether there may be more to come.
func TestEveryFirstByteOfATalkIsKnown(t *testing.T) {
	for c := range 256 {
		for _, probe := range []func([]byte) flowscope.Verdict{
			probeLines, probeXMPP, probeLDAP, probeSOCKS, probePostgreSQL, probeRDP, probePROXY,
		} {
			if probe([]byte{byte(c)}) != flowscope.VerdictNo {
				assert.True(t, beginsTalk(byte(c)), "%q", c)
			}
		}
	}
}
