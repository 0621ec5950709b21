package tls

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// recognise asks only the probes that the first byte leaves. All of them together say the same.
func TestTheFirstByteLeavesTheProbesOfATalk(t *testing.T) {
	all := []struct {
		talk
		probe func([]byte) flowscope.Verdict
	}{
		{talkLines, probeLines}, {talkXMPP, probeXMPP}, {talkLDAP, probeLDAP}, {talkSOCKS, probeSOCKS}, {talkMySQL, probeMySQL},
		{talkPostgreSQL, probePostgreSQL}, {talkRDP, probeRDP}, {talkPROXY, probePROXY},
	}
	begins := append([]string{
		"<?xml version='1.0'?><stream:stream>", "<stream:stream>", "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00",
		"\x04\x01\x00\x50\x0a\x00\x00\x01me\x00", "\x05\x01\x00", "\x4a\x00\x00\x00\x0a8.0.36\x00", postgresSSL, postgresGSS,
		"\x20\x00\x00\x01\xff\xff\xff\xff" + strings.Repeat("\x00", 28), "\x03\x00\x00\x13\x0e\xe0", proxyV1 + "TCP4 ", proxyV1 + "UNKNOWN", proxyV2,
	}, greetings...)
	rng := rand.New(rand.NewPCG(7, 7))
	var seen [3]int
	for c := range 256 {
		for _, s := range begins {
			for n := 1; n <= len(s); n++ {
				b := []byte(s[:n])
				switch rng.IntN(4) {
				case 0:
					b[0] = byte(c)
				case 1:
					b[rng.IntN(n)] = byte(rng.IntN(256))
				}
				want, verdict := talk(0), flowscope.VerdictNo
				for _, a := range all {
					v := a.probe(b)
					if verdict = max(verdict, v); v == flowscope.VerdictYes {
						want = a.talk
					}
				}
				got, v := recognise(b)
				require.Equal(t, verdict, v, "%q", b)
				require.Equal(t, want, got, "%q", b)
				seen[v]++
			}
		}
	}
	assert.Greater(t, min(seen[0], seen[1], seen[2]), 1000)
}
