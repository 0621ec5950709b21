package stream

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
)

func TestItemsAreGoodUntilReclaim(t *testing.T) {
	t.Run("of pieces behind the arriving segment", func(t *testing.T) { goodUntilReclaim(t, "x") })
	t.Run("of pieces under the arriving segment", func(t *testing.T) { goodUntilReclaim(t, "xea") })
}

func goodUntilReclaim(t *testing.T, arriving string) {
	a := NewArena(Limits{})
	var s, thief Stream
	var out, more []Item
	insert := func(s *Stream, pos int64, b string, out *[]Item) {
		a.Insert(s, Segment{Pos: pos, Bytes: []byte(b)}, out)
	}
	insert(&s, 1, "early", &out)
	a.Reclaim()
	insert(&s, 0, arriving, &out)
	// The stream released its buffer. Its memory must not be reused before Reclaim.
	for range 20 {
		insert(&thief, thief.Next()+1, "#######", &more)
		a.Finish(&thief, -1, Ended, &more)
	}
	require.Equal(t, "xearly", text(out))
	require.Equal(t, "early", string(out[len(out)-1].Bytes), "held, not the frame's")

	a.Reclaim()
	if invariants.Enabled {
		require.Equal(t, bytes.Repeat([]byte{0xDB}, 5), out[len(out)-1].Bytes, "trampled, so that keepers notice")
	}
}

func TestItemsSurviveWhatFollowsInTheSameCall(t *testing.T) {
	// The buffer is full: it delivers its first pieces, and what lay beside them in
	// their pages moves in the same call. What was delivered must still be readable.
	r := newRig(t, Limits{SideBytes: 3000, SidePieces: 30})
	for i := range int64(400) {
		size := 5 + i%3
		if i%4 == 0 {
			size = 90 + i%50
		}
		r.insert(letters(3+i*200, size, 'a'+byte(i%26)))
	}
	r.finish(-1)
	require.Positive(t, r.a.Stats().Moves)
	require.Positive(t, r.a.Stats().BudgetGaps)
}

func TestReorderingAllocatesNothing(t *testing.T) {
	const streams = 8
	frame := bytes.Repeat([]byte("x"), 1460)
	for _, keep := range []int{0, 4096} {
		a := NewArena(Limits{Keep: keep})
		s := make([]Stream, streams)
		out := make([]Item, 0, 256)
		delivered := int64(0)
		burst := func() {
			// Each stream: eight segments in reverse, three with overlaps, then the first.
			for i := range s {
				next := s[i].Next()
				for k := 8; k >= 0; k-- {
					a.Reclaim()
					out = out[:0]
					a.Insert(&s[i], Segment{Pos: next + int64(k)*1400, Bytes: frame}, &out)
					for _, it := range out {
						if it.Kind == Data {
							delivered += it.Len
						}
					}
				}
			}
		}
		burst()
		before := delivered
		runs := allocs.None(t, 9*streams, burst)
		require.Equal(t, int64(runs*streams*(8*1400+1460)), delivered-before, "and it was the way of success")
		for i := range s {
			a.Drop(&s[i])
		}
		require.Zero(t, a.HeldBytes())
	}
}

func TestRefusalsAndRepeatsAllocateNothing(t *testing.T) {
	a := NewArena(Limits{})
	var s Stream
	out := make([]Item, 0, 16)
	frame := []byte("abcdef")
	a.Insert(&s, Segment{Bytes: frame}, &out)
	a.Insert(&s, Segment{Pos: 20, Bytes: frame}, &out)
	allocs.None(t, 3, func() {
		a.Reclaim()
		out = out[:0]
		a.Insert(&s, Segment{Bytes: frame}, &out)                 // old
		a.Insert(&s, Segment{Pos: 20, Bytes: frame}, &out)        // held already
		a.Insert(&s, Segment{Pos: 1<<63 - 1, Bytes: frame}, &out) // impossible
	})
	require.Equal(t, []Kind{Duplicate, Duplicate, Refused}, kinds(out))
}
