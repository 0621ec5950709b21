package dns_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// waiting is an open query of the slow pairing below.
type waiting struct {
	id   uint16
	name string
	side flowscope.FlowSide
	last float64
}

// Pairing beside a pairing that searches a plain list: many open queries that are answered, repeated
// and forgotten in any order.
func TestPairingBesideAPlainList(t *testing.T) {
	for seed := range race.Seeds(uint64(40)) {
		r := rand.New(rand.NewPCG(seed, 3))
		p := newPlayer(t, dns.Factory{MaxPending: 50})
		f := p.UDP(53, 53)
		var open []waiting
		now := 1.0
		for range 2000 {
			now += r.Float64() / 8
			id, side := uint16(r.IntN(60)), flowscope.FlowSide(r.IntN(2))
			name := strings.Repeat("x", 1+r.IntN(3)) + fmt.Sprint(id%7) + strings.Repeat(".long", r.IntN(3))
			var want []string
			for len(open) > 0 && now-open[0].last >= 10 {
				want = append(want, "unanswered "+open[0].name)
				open = open[1:]
			}
			at, same := -1, false
			asking := r.IntN(5) < 3
			client := side
			if !asking {
				client = side.Opposite()
				if len(open) > 0 && r.IntN(4) > 0 {
					w := open[r.IntN(len(open))]
					id, name, client = w.id, w.name, w.side
				}
			}
			for i, w := range open {
				if same = w.id == id && w.name == name && w.side == client; same {
					at = i
					break
				}
			}
			if at >= 0 {
				open = append(open[:at:at], open[at+1:]...)
			}
			var all []flowscope.Emitted
			if asking {
				if len(open) == 50 {
					want = append(want, "unanswered "+open[0].name)
					open = open[1:]
				}
				open = append(open, waiting{id, name, client, now})
				all = f.Data(side, query(id, name, 1), flowscope.Timestamp(now*1e9))
			} else {
				if want = append(want, "unasked "+name); at >= 0 {
					want[len(want)-1] = "answered " + name
				}
				all = f.Data(client.Opposite(), response(id, name), flowscope.Timestamp(now*1e9))
			}
			var got []string
			for _, e := range all {
				m := e.Message.(*dns.Transaction)
				switch {
				case !m.IsAnswered():
					got = append(got, "unanswered "+m.Name.String())
				case m.IsAsked():
					got = append(got, "answered "+m.Name.String())
					q, _ := m.Query.Question()
					a, _ := m.Response.Question()
					require.True(t, q.Name.Equal(a.Name))
				default:
					got = append(got, "unasked "+m.Name.String())
				}
			}
			require.ElementsMatch(t, want, got, "seed %d at %v", seed, now)
		}
		require.Len(t, f.End(flowscope.EndFinished, flowscope.Timestamp(now*1e9)), len(open))
		require.Zero(t, p.Stats().HeldBytes)
	}
}
