package dns_test

import (
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

func BenchmarkTransactions(b *testing.B) {
	q := query(1, "www.example.com", 1).opt(1232, 0, "")
	r := response(1, "www.example.com").record(1, "www.example.com", dns.TypeA, "\xc0\x00\x02\x02").opt(1232, 0, "")
	for _, c := range []struct {
		name string
		flow bool
	}{{"one flow", false}, {"a flow each", true}} {
		b.Run(c.name, func(b *testing.B) {
			p := newPlayer(b)
			f := p.UDP(40000, 53)
			b.ReportAllocs()
			for i := range b.N {
				now := flowscope.Timestamp(i) * 1000
				f.Data(0, q, now)
				f.Data(1, r, now)
				if c.flow {
					f.End(flowscope.EndIdleTimeout, now)
					f = p.UDP(40000, 53)
				}
			}
		})
	}
}

func BenchmarkAnswers(b *testing.B) {
	r := response(1, "www.example.com").record(1, "www.example.com", dns.TypeA, "\xc0\x00\x02\x02").opt(1232, 0, "")
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			dns.ParseMessage(r)
		}
	})
	b.Run("parse and read", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			m, _ := dns.ParseMessage(r)
			for r := range m.Answers() {
				r.Addr()
			}
		}
	})
}
