package dns_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// FuzzDNS takes the input as one message, as a series of datagrams, and as both sides of a
// connection with gaps. Whatever it is: no panic, nothing held at the end, and time that grows with
// the input.
func FuzzDNS(f *testing.F) {
	f.Add([]byte(query(1, "www.example.com", 1)))
	f.Add([]byte(response(1, "www.example.com").opt(1232, 0x8000, "\x00\x08\x00\x07\x00\x01\x18\x00\xc0\x00\x02")))
	f.Add(append(query(1, "a", 1).framed(), response(1, "a").framed()...))
	f.Add([]byte(header(1, answer).record(1, "a", dns.TypeHTTPS, "\x00\x01\x00\x00\x01\x00\x03\x02h2").record(1, "b", dns.TypeNSEC, "\x01c\x00\x00\x01\x40")))
	f.Add(bytes.Repeat([]byte("\xc0\x0c"), 300))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, ok := dns.ParseMessage(b); ok {
			if n := readAll(m); n > 1<<14+len(b)*2000 {
				t.Fatalf("%d bytes of text of %d bytes", n, len(b))
			}
			if text := m.Trailing(); len(text) > len(b)-12 {
				t.Fatal("trailing bytes are more than all")
			}
		}
		p, err := flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: 1 << 20}, dns.Factory{MaxPending: 8})
		if err != nil {
			t.Fatal(err)
		}
		now := flowscope.Timestamp(1)
		udp, tcp, open, other := p.UDP(4000, 53), p.TCP(4000, 53), p.TCP(4000, 5300), p.UDP(5353, 5353)
		for rest := b; len(rest) > 0; {
			n := min(1+int(rest[0]), len(rest))
			piece, side := rest[:n:n], flowscope.FlowSide(rest[n-1]&1)
			rest = rest[n:]
			now = now.Add(time.Duration(piece[0]) * 50 * time.Millisecond)
			for _, flow := range []*flowscope.PlayedFlow{udp, other, tcp, open} {
				touch(flow.Data(side, piece, now))
			}
			if piece[0] == 0xff {
				touch(tcp.Gap(side, int64(n), now))
				touch(open.Gap(side, int64(n), now))
			}
		}
		whole := p.TCP(4000, 53)
		touch(whole.Data(0, b, now))
		touch(p.Sweep(now.Add(time.Minute)))
		for _, flow := range []*flowscope.PlayedFlow{udp, tcp, other, open, whole} {
			touch(flow.End(flowscope.EndFinished, now.Add(time.Minute)))
		}
		if s := p.Stats(); s.HeldBytes != 0 || s.Parsers != 0 || s.Undecided != 0 {
			t.Fatalf("left: %+v", s)
		}
	})
}

func touch(all []flowscope.Emitted) {
	for _, e := range all {
		_ = e.Message.CloneMessage()
		if m, ok := e.Message.(*dns.Transaction); ok {
			readAll(m.Query)
			readAll(m.Response)
		}
	}
	_ = show(all)
}

// Messages of the worst kind: time grows with their length, no more.
func TestTimeIsLinear(t *testing.T) {
	deep := header(1, answer)
	for before := 12; len(deep) < 65000; {
		here := len(deep)
		if deep = deep.count(1); here == 12 {
			deep = append(deep, 0)
		} else {
			deep = append(deep, 1, 'a', 0xc0|byte(before>>8), byte(before))
		}
		if deep = append(deep, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0); here < 1000 {
			before = here
		}
	}
	for name, b := range map[string][]byte{
		"deep names":            deep,
		"pointers to nowhere":   bytes.Repeat([]byte("\xc0\x0c"), 32000),
		"plausible headers":     bytes.Repeat([]byte("\x00\x20\x00\x00\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01"), 3800),
		"long plausible header": bytes.Repeat([]byte("\xc0\x20\x00\x00\x80\x00\x00\x00\x00\x01\x00\x00\x00\x00"), 20000),
		"text":                  []byte(strings.Repeat("x", 65000)),
	} {
		began := time.Now()
		if m, ok := dns.ParseMessage(b); ok {
			readAll(m)
		}
		p := newPlayer(t)
		f := p.TCP(4000, 53)
		f.Data(0, query(1, "a", 1).framed(), 1)
		f.Gap(1, 10, 2)
		f.Data(1, b, 2)
		f.Data(1, b, 2)
		f.End(flowscope.EndFinished, 3)
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("%s: %v", name, d)
		}
	}
}
