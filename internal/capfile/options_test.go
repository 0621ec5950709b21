package capfile

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOptionsAreWalkedAsTheSlowReaderWalksThem(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	for range 20_000 {
		// Small codes and lengths, so that lists go on for a while; any cut.
		var list []byte
		for range rnd.IntN(5) {
			list = append(list, byte(rnd.IntN(15)), 0, byte(rnd.IntN(10)), byte(rnd.IntN(30)/29))
			list = append(list, payload(rnd.IntN(12))...)
		}
		list = list[:rnd.IntN(len(list)+1)]

		want, whole := slowOptions(le, list)
		var got []slowOption
		opts := options{order: littleEndian, rest: list}
		for code, v, ok := opts.next(); ok; code, v, ok = opts.next() {
			got = append(got, slowOption{code, v})
		}
		require.Equal(t, want, got, "% x", list)
		require.Equal(t, whole, !opts.bad, "% x", list)
	}
}
