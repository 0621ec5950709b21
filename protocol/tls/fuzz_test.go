package tls_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// pack writes turns as bytes for the fuzzer: side and gap, length, content.
func pack(turns ...turn) (b []byte) {
	for _, t := range turns {
		kind := byte(t.side)
		if t.gap {
			kind |= 2
		}
		for first := true; first || len(t.b) > 0; first = false {
			n := min(len(t.b), 0xffff)
			b = append(binary.BigEndian.AppendUint16(append(b, kind), uint16(n)), t.b[:n]...)
			t.b = t.b[n:]
		}
	}
	return b
}

func unpack(b []byte) (turns []turn) {
	for len(b) >= 3 {
		n := min(int(binary.BigEndian.Uint16(b[1:])), len(b)-3)
		if n > 0 {
			turns = append(turns, turn{side: flowscope.FlowSide(b[0] & 1), gap: b[0]&2 != 0, b: b[3:][:n:n]})
		}
		b = b[3+n:]
	}
	return turns
}

// FuzzTLS plays any bytes on both sides, with gaps: nothing panics, the messages do not depend on how
// the bytes are cut, and nothing stays held.
func FuzzTLS(f *testing.F) {
	client12, server12 := handshake(message(1, hello12)), handshake(flight12)
	for _, turns := range [][]turn{
		{says(client, client12), says(server, server12, ccs, encrypted), says(client, ccs, encrypted, appData), says(server, appData)},
		{says(client, handshake(message(1, hello13)), ccs), says(server, handshake(message(2, answer13)), ccs, appData), says(client, appData)},
		{says(client, client12), says(server, server12[:80]), missing(server, server12[80:90]), says(server, server12[90:], alert(2, 40))},
		{says(client, client12), says(server, server12[:90]), missing(server, make([]byte, 300)), says(server, ccs, server12)},
		{says(client, []byte("\x80\x1c\x01\x03\x01\x00\x03\x00\x00\x00\x10\x00\x00\x2f0123456789abcdef")), says(server, server12)},
		{says(server, []byte("220 ready\r\n")), says(client, []byte("STARTTLS\r\n")), says(server, []byte("220 go\r\n")), says(client, client12), says(server, server12)},
		{says(client, []byte("\x05\x01\x00\x05\x01\x00\x03\x01x\x01\xbb")), says(server, []byte("\x05\x00\x05\x00\x00\x01\x0a\x00\x00\x01\x01\xbb")), says(client, client12)},
		{says(client, []byte("\x05\x01\x00\x05\x01\x00\x03\x01x\x01\xbbHTTP x\n")), says(server, []byte("\x05\x00\x05\x00\x00\x01\x0a\x00\x00\x01\x01\xbb"))},
		{says(client, []byte("PROXY TCP4 a b\r\n")), says(server, []byte("+OK\r\n")), says(client, client12)},
		{says(client, []byte("\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"), client12), says(server, server12)},
		{says(client, client12), says(server, []byte("HTTP/1.1 400 Bad Request\r\n"))},
	} {
		f.Add(pack(turns...), uint64(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		turns := unpack(b)
		want := play(t, whole, factories(tls.Factory{Hellos: true}), turns...)
		require.Equal(t, want, play(t, randomCuts(rand.New(rand.NewPCG(seed, 2))), factories(tls.Factory{Hellos: true}), turns...))

		// With little room what is said depends on the cuts.
		player, err := flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: 4096 + int64(seed%8192)}, factories(tls.Factory{MaxHello: 512})...)
		require.NoError(t, err)
		playOn(player, randomCuts(rand.New(rand.NewPCG(seed, 3))), turns...)
		require.Zero(t, player.Stats().HeldBytes)
	})
}
