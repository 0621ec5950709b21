package main

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

func TestTheFilterWantsAllItsWords(t *testing.T) {
	const text = "tcp 192.0.2.10:33678 198.51.100.20:80 www.example.net established"
	for words, want := range map[string]bool{
		"": true, "tcp": true, "TCP :80": true, "udp": false, "tcp udp": false, "-udp": true, "-tcp": false, "www -:443": true,
		"  example   .net ": true, "-": false, "192.0.2.10:33678": true, "example.org": false,
	} {
		require.Equal(t, want, matches(words, text), "%q", words)
	}
}

// randomRows are flows with values that often are equal.
func randomRows(random *rand.Rand, n int) []row {
	rows := make([]row, n)
	for i := range rows {
		r := &rows[i]
		r.id = flowscope.FlowID(i + 1)
		r.now = flowscope.NewTimestamp(2000, 0)
		r.rate = [2]float64{float64(random.IntN(5)), float64(random.IntN(5))}
		r.stats.Packets = [2]uint64{1 + random.Uint64N(4), random.Uint64N(4)}
		r.stats.Bytes = [2]uint64{random.Uint64N(9), random.Uint64N(9)}
		r.stats.First[0] = flowscope.NewTimestamp(1000+random.Int64N(9), 0)
		r.stats.First[1] = r.stats.First[0]
		r.stats.Last = r.stats.First
		r.stats.Retransmitted[0] = random.Uint64N(3)
		if random.IntN(2) == 0 {
			r.reason = flowscope.EndFIN
		}
	}
	return rows
}

func TestRowsAreChosenAndSorted(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	rows := randomRows(random, 300)
	for o := range numOrders {
		for w := range numWhich {
			for _, reverse := range []bool{false, true} {
				q := query{order: o, which: w, reverse: reverse}
				got := q.apply(rows)
				var want []flowscope.FlowID
				for _, r := range rows {
					if w == allFlows || r.ended() == (w == endedFlows) {
						want = append(want, r.id)
					}
				}
				// Selection by repeated search of the best, from the newest on.
				slices.Reverse(want)
				for i, r := range got {
					best := -1
					for k, id := range want {
						a, b := o.value(&rows[id-1]), 0.0
						if best >= 0 {
							b = o.value(&rows[want[best]-1])
						}
						if best < 0 || !reverse && a > b || reverse && a < b {
							best = k
						}
					}
					require.Equal(t, want[best], r.id, "%v %v %v %d", o, w, reverse, i)
					want = slices.Delete(want, best, best+1)
				}
				require.Empty(t, want)
			}
		}
	}
}
