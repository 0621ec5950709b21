package tls_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// connections are what the gate and the benchmark read, in segments.
func connections() (all [][]turn) {
	for _, turns := range [][]turn{
		{says(client, handshake(message(1, hello12))), says(server, handshake(flight12)), says(client, handshake(message(16, nil)), ccs, encrypted), says(server, ccs, encrypted)},
		{says(client, handshake(message(1, hello13)), ccs), says(server, handshake(message(2, answer13)), ccs, appData), says(client, appData)},
		{says(server, []byte("220 ready\r\n")), says(client, []byte("STARTTLS\r\n")), says(server, []byte("220 go\r\n")), says(client, handshake(message(1, hello12))), says(server, alert(2, 40))},
	} {
		var cut []turn
		for _, t := range turns {
			for b := range slices.Chunk(t.b, 100) {
				cut = append(cut, turn{side: t.side, b: b})
			}
		}
		all = append(all, turns, cut)
	}
	return all
}

// reader reads one connection after the other, as a driver uses a parser.
type reader struct {
	p     flowscope.SessionParser
	out   flowscope.Messages
	sum   byte
	count int
}

func (r *reader) read(turns []turn) {
	for i := range turns {
		r.p.Data(flowscope.Chunk{Side: turns[i].side, Bytes: turns[i].b, Time: 1}, &r.out)
		r.take()
	}
	r.p.Ended(flowscope.EndFIN, 2, &r.out)
	r.take()
	r.p.Reset()
}

func (r *reader) take() {
	for _, e := range r.out.All() {
		if m, ok := e.Message.(*tls.Handshake); ok {
			ja3, ja3s, ja4 := m.JA3(), m.JA3S(), m.JA4()
			r.sum += ja3[0] ^ ja3s[0] ^ ja4[35]
			for _, c := range m.Certificates {
				hash := c.SHA1()
				r.sum ^= hash[0]
			}
			r.count++
		}
	}
	r.out.Reset()
}

func TestNothingIsAllocated(t *testing.T) {
	if invariants.Enabled {
		t.Skip("lent memory is not used again in this build")
	}
	all := connections()
	plain, start := &reader{p: tls.Factory{}.NewSessionParser()}, &reader{p: tls.StartTLS{}.NewSessionParser()}
	round := func() {
		for i, turns := range all {
			if i < len(all)-2 {
				plain.read(turns)
			} else {
				start.read(turns)
			}
		}
	}
	for range 10 {
		round()
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 1000 {
		round()
	}
	runtime.ReadMemStats(&after)
	assert.Equal(t, 1010*len(all), plain.count+start.count)
	assert.Less(t, after.Mallocs-before.Mallocs, uint64(50), "in %d connections", 1000*len(all))
}

var sink int

func BenchmarkHandshake(b *testing.B) {
	for i, name := range []string{"version=1.2", "version=1.2/cut=100", "version=1.3", "version=1.3/cut=100"} {
		b.Run(name, func(b *testing.B) {
			turns := connections()[i]
			p, out := tls.Factory{}.NewSessionParser(), flowscope.Messages{}
			b.ReportAllocs()
			for b.Loop() {
				for i := range turns {
					p.Data(flowscope.Chunk{Side: turns[i].side, Bytes: turns[i].b, Time: 1}, &out)
				}
				p.Ended(flowscope.EndFIN, 2, &out)
				sink += len(out.All())
				out.Reset()
				p.Reset()
			}
		})
	}
	h := tls.ClientHello(hello12)
	b.Run("JA3", func(b *testing.B) {
		for b.Loop() {
			m := h.JA3()
			sink += int(m[0])
		}
	})
	b.Run("JA4", func(b *testing.B) {
		for b.Loop() {
			m := h.JA4()
			sink += int(m[35])
		}
	})
}
