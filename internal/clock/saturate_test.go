package clock

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

// held is n brought into the range of int64.
func held(n *big.Int) int64 {
	switch {
	case n.Cmp(big.NewInt(highest)) > 0:
		return highest
	case n.Cmp(big.NewInt(lowest)) < 0:
		return lowest
	}
	return n.Int64()
}

func checkPair(t *testing.T, a, b int64) {
	t.Helper()
	x, y := big.NewInt(a), big.NewInt(b)
	if got, want := Add(a, b), held(new(big.Int).Add(x, y)); got != want {
		t.Fatalf("Add(%d, %d) is %d, want %d", a, b, got, want)
	}
	if got, want := Sub(a, b), held(new(big.Int).Sub(x, y)); got != want {
		t.Fatalf("Sub(%d, %d) is %d, want %d", a, b, got, want)
	}
}

func TestSumsAndDifferencesAreHeldAtTheLimits(t *testing.T) {
	var edges []int64
	for _, at := range []int64{lowest, lowest / 2, -1 << 32, 0, 1 << 32, highest / 2, highest} {
		for d := int64(-2); d <= 2; d++ {
			edges = append(edges, at+d) // wraps to the other end, which is an edge too
		}
	}
	for _, a := range edges {
		for _, b := range edges {
			checkPair(t, a, b)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		checkPair(t, int64(r.Uint64()), int64(r.Uint64()))
	}
}
