package decode

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// The lists of options that are recognised as a whole are read as the walk reads them, also with a
// byte changed.
func TestCommonOptionsAreReadAsAnyOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	lists := [][]byte{
		{1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0},
		{1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0},
		{1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7},
	}
	stamps := []int{4, 4, 4, 8}
	for range 20_000 {
		i := r.IntN(len(lists))
		o := append([]byte(nil), lists[i]...)
		binary.LittleEndian.PutUint64(o[stamps[i]:], r.Uint64())
		o[len(o)-1] = byte(r.UintN(20))
		if r.IntN(2) == 0 {
			o[r.IntN(len(o))] = byte(r.UintN(35))
		}
		if got, want := ReadTCPOptions(o), walkTCPOptions(o); got != want {
			t.Fatalf("%v: %+v, want %+v", o, got, want)
		}
	}
}
