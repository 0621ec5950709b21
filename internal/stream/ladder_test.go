package stream

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

// An overlap costs what a segment costs: of a ladder, where each segment of 1,400 bytes overlaps a thousand others, few
// extents are looked at one by one, and few bytes move.
func TestAnOverlapCostsWhatASegmentCosts(t *testing.T) {
	const n, size = 10_000, 1400
	rnd := rand.New(rand.NewSource(7))
	for name, at := range map[string]func(i int) int64{
		"down":               func(i int) int64 { return int64(100_000 - i) },
		"up":                 func(i int) int64 { return int64(100_000 + i) },
		"down and again":     func(i int) int64 { return int64(100_000 - i%1000) },
		"up and again":       func(i int) int64 { return int64(100_000 + i%1000) },
		"in both directions": func(i int) int64 { return int64(100_000 + i%2*2*i - i) },
		"at random":          func(int) int64 { return 100_000 + rnd.Int63n(20_000) },
	} {
		for _, p := range []Policy{First, Last, Linux} {
			t.Run(fmt.Sprint(name, "/", p), func(t *testing.T) {
				a := NewArena(Limits{SideBytes: 8 << 20, Policy: p})
				var s Stream
				var out []Item
				frame := make([]byte, size)
				most := uint64(0)
				for i := range n {
					a.Reclaim()
					before := a.work.looked
					a.Insert(&s, Segment{Pos: at(i), Bytes: frame}, &out)
					out = out[:0]
					most = max(most, a.work.looked-before)
				}
				st := a.Stats()
				require.Zero(t, st.BudgetGaps)
				require.Positive(t, a.buffer(&s).n)
				t.Logf("%.1f extents looked at, %d at most, %.0f bytes moved a segment", float64(a.work.looked)/n, most, float64(st.MovedBytes)/n)
				require.Less(t, a.work.looked, uint64(200*n))
				require.Less(t, st.MovedBytes, uint64(4*size*n))
			})
		}
	}
}

// However extents come, the list moves those of one block for each: so the blocks are small, and they are few, so that
// their own list is short.
func TestExtentsLieInFewSmallBlocks(t *testing.T) {
	const n = 100_000
	rnd := rand.New(rand.NewSource(8))
	order := rnd.Perm(n)
	for name, at := range map[string]func(i int) int{
		"up":            func(i int) int { return i },
		"down":          func(i int) int { return n - i },
		"to the middle": func(i int) int { return i%2*(n-2*i) + i },
		"at random":     func(i int) int { return order[i] },
	} {
		t.Run(name, func(t *testing.T) {
			a := NewArena(Limits{SideBytes: 256 << 20, SidePieces: maxSidePieces, TotalBytes: 1 << 30})
			var s Stream
			var out []Item
			for i := range n {
				a.Reclaim()
				a.Insert(&s, Segment{Pos: 1 + 2*int64(at(i)), Bytes: []byte("x")}, &out)
			}
			require.Empty(t, out)
			d := a.buffer(&s)
			checkExtents(t, d)
			require.Equal(t, n, d.n)
			require.Equal(t, n, d.islands)
			require.LessOrEqual(t, len(d.blocks)-d.first, n/24)
			require.LessOrEqual(t, d.room, n*3/2)
		})
	}
}

// Many small segments over each other, so that blocks are split, joined, straightened and removed.
func TestManyExtentsAgreeWithTheModel(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 18
	}
	rnd := rand.New(rand.NewSource(9))
	most, straight := 0, 0
	for round := range rounds {
		l := Limits{Policy: Policy(round % 3)}
		switch round / 3 % 3 {
		case 1:
			l.SideBytes = 12 << 10
		case 2:
			l.SidePieces = 40
		}
		r := newRig(t, l)
		r.noText = true
		wide := int64(400 + rnd.Intn(1500))
		for i := range 900 {
			seg := Segment{Pos: r.s.Next() + 1 + rnd.Int63n(wide), Time: int64(i), Now: int64(i), ID: uint64(i)}
			size := 1
			switch rnd.Intn(12) {
			case 0:
				size = 1 + rnd.Intn(300)
			case 1:
				size = 1 + rnd.Intn(20)
			}
			if round%2 == 0 && i < 300 { // a ladder, whose blocks become linear
				seg.Pos, size = r.s.Next()+400-int64(i), 200
			}
			seg.Bytes = make([]byte, size)
			for k := range seg.Bytes {
				seg.Bytes[k] = "aaab"[rnd.Intn(4)]
			}
			r.insert(seg)
			if rnd.Intn(100) == 0 {
				r.skip(r.s.Next()+rnd.Int63n(wide/4), Expired)
			}
			if d := r.a.buffer(r.s); d != nil {
				most = max(most, len(d.blocks)-d.first)
				for k := d.first; k < len(d.blocks); k++ {
					if d.blocks[k].state == linear {
						straight++
					}
				}
			}
		}
		r.finish(-1)
	}
	require.Greater(t, most, 8)
	require.Greater(t, straight, 1000)
}

// Segments that touch are one piece: a full window behind one hole is held, however many segments it is.
func TestSegmentsThatTouchAreOnePiece(t *testing.T) {
	for _, slow := range []bool{false, true} {
		a := NewArena(Limits{SideBytes: 8 << 20, SidePieces: 2, SlowPath: slow})
		var s Stream
		var out []Item
		frame := make([]byte, 1460)
		for i := range 5000 {
			a.Reclaim()
			a.Insert(&s, Segment{Pos: 1460 + int64(i*1460), Bytes: frame}, &out)
		}
		require.Empty(t, out)
		held, pieces := a.Held(&s)
		require.Equal(t, 1, pieces)
		require.LessOrEqual(t, held, 8<<20)
		far := s.Next() + 1460*6000
		a.Insert(&s, Segment{Pos: far, Bytes: frame[:2]}, &out)
		require.Empty(t, out)
		a.Insert(&s, Segment{Pos: far + 10, Bytes: frame[:2]}, &out)
		require.NotEmpty(t, out, "a third piece")
		require.Equal(t, Item{Kind: Gap, Cause: Budget, Len: 1460}, out[0])
		_, pieces = a.Held(&s)
		require.Equal(t, 2, pieces)
		// The hole between the two is filled: they are one.
		a.Insert(&s, Segment{Pos: far + 2, Bytes: frame[:8]}, &out)
		_, pieces = a.Held(&s)
		require.Equal(t, 1, pieces)
	}
}
