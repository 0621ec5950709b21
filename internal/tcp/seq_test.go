package tcp

import (
	"math/rand/v2"
	"testing"
)

// corners are offsets at which 32 bits, or half of them, run over.
var corners = []int64{
	0, 1, 2, 10, 1<<31 - 2, 1<<31 - 1, 1 << 31, 1<<31 + 1, 1<<32 - 2, 1<<32 - 1, 1 << 32, 1<<32 + 1, 3<<32 + 5, 1 << 50,
}

func TestDistanceIsTheNearerWay(t *testing.T) {
	for _, a := range isns {
		for _, d := range corners {
			for _, d := range []int64{d, -d} {
				want := d
				for want >= 1<<31 {
					want -= 1 << 32
				}
				for want < -1<<31 {
					want += 1 << 32
				}
				if got := distance(a, a+uint32(d)); got != want {
					t.Errorf("distance(%d, %d%+d) = %d, want %d", a, a, d, got, want)
				}
			}
		}
	}
}

// Of all positions that a number may stand for, unwrap takes the nearest.
//
//	.......|...............|...............|.......   positions of one number
//	                    ^ near: the second
func TestUnwrapTakesTheNearestPosition(t *testing.T) {
	check := func(base uint32, near int64, seq uint32) {
		t.Helper()
		pos := unwrap(base, near, seq)
		if got := wire(base, pos); got != seq {
			t.Fatalf("unwrap(%d, %d, %d) = %d, which is number %d", base, near, seq, pos, got)
		}
		if off := pos - near; off < -1<<31 || off >= 1<<31 {
			t.Fatalf("unwrap(%d, %d, %d) = %d, which is %d away", base, near, seq, pos, off)
		}
	}
	for _, base := range isns {
		for _, near := range corners {
			for _, d := range corners {
				check(base, near, base+uint32(near+d))
				check(base, near, base+uint32(near-d))
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		check(r.Uint32(), r.Int64N(1<<60), r.Uint32())
	}
}

func TestUnwrapIsTheInverseOfWireWithinHalfTheSpace(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		base, pos := r.Uint32(), r.Int64N(1<<60)
		near := pos + r.Int64N(1<<32-1) - (1<<31 - 1)
		if got := unwrap(base, near, wire(base, pos)); got != pos {
			t.Fatalf("base %d, near %d: position %d came back as %d", base, near, pos, got)
		}
	}
}
