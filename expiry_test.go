package flowscope

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope/internal/flowtable"
)

func TestEndingsAreSortedByFlow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, gap := range []int{1, 2, 3, 10, 1000} { // between numbers, on average half of it
		for n := range 50 {
			var want []expiredFlow
			for flow := FlowID(r.IntN(1000)); len(want) < n; flow += FlowID(1 + r.IntN(gap)) {
				want = append(want, expiredFlow{flow, flowtable.ID(1 + r.IntN(n))})
			}
			got := slices.Clone(want)
			r.Shuffle(n, func(i, j int) { got[i], got[j] = got[j], got[i] })
			if got = sortByCreation(got); !slices.Equal(got, want) {
				t.Fatalf("gaps of %d: %v, want %v", gap, got, want)
			}
		}
	}
}
