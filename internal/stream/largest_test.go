package stream

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

// room makes room as an owner does: as long as it is crowded, the largest stream gives up a hole.
func room(a *Arena, streams []Stream, out *[]Item) {
	for a.Crowded() {
		owner, ok := a.Largest()
		if !ok {
			return
		}
		before := streams[owner].Next()
		a.GiveUp(&streams[owner], out)
		if streams[owner].Next() == before {
			panic("the largest stream has no hole")
		}
	}
}

func TestTheLargestStreamGivesUpAHole(t *testing.T) {
	a := NewArena(Limits{SideBytes: 64 << 10, TotalBytes: 1 << 20})
	streams := make([]Stream, 3000)
	var out []Item
	frame := make([]byte, 1400)
	hold := func(i, pos int) {
		a.Reclaim()
		a.Insert(&streams[i], Segment{Pos: int64(pos), Bytes: frame, Owner: uint64(i)}, &out)
	}
	_, ok := a.Largest()
	require.False(t, ok)
	for k := range 30 { // thirty streams hold all that there is
		for i := range 30 {
			room(a, streams, &out)
			hold(i, 1+k*2000)
		}
	}
	require.NotEmpty(t, out)
	for _, it := range out {
		if it.Kind == Gap {
			require.True(t, it.Cause == Budget && it.Shared)
		}
	}
	out = out[:0]
	for i := 100; i < 400; i++ { // and others need a little
		room(a, streams, &out)
		given := len(out)
		hold(i, 5)
		require.Len(t, out, given, "the stream that asks loses nothing")
		require.Zero(t, streams[i].Next())
	}
	require.NotEmpty(t, out)
	ptrs := make([]*Stream, len(streams))
	for i := range streams {
		ptrs[i] = &streams[i]
	}
	checkInvariants(t, a, ptrs...)
	for i := range streams {
		a.Drop(&streams[i])
	}
	_, ok = a.Largest()
	require.False(t, ok)
}

// Among streams of one rank it is the one that has been of this rank for longest, and a stream without early bytes is
// none.
func TestTheLargestIsTheOldestOfItsRank(t *testing.T) {
	a := NewArena(Limits{Keep: 100})
	var out []Item
	streams := make([]Stream, 5)
	a.Insert(&streams[4], Segment{Bytes: make([]byte, 200), Owner: 4}, &out)
	require.True(t, streams[4].HasBuffer())
	_, ok := a.Largest()
	require.False(t, ok)
	for i := range 4 {
		a.Insert(&streams[i], Segment{Pos: 9, Bytes: make([]byte, 3000), Owner: uint64(i)}, &out)
	}
	for _, want := range []uint64{0, 1} {
		owner, _ := a.Largest()
		require.Equal(t, want, owner)
		a.Drop(&streams[owner])
	}
	a.Insert(&streams[3], Segment{Pos: 4000, Bytes: make([]byte, 30_000), Owner: 3}, &out)
	owner, _ := a.Largest()
	require.Equal(t, uint64(3), owner, "it grew")
	a.GiveUp(&streams[3], &out)
	a.GiveUp(&streams[3], &out)
	owner, _ = a.Largest()
	require.Equal(t, uint64(2), owner)
	a.GiveUp(&streams[4], &out)
	require.Equal(t, int64(200), streams[4].Next(), "there is no hole")
}

// With an owner that makes room, no segment ever finds none in the arena: all gaps for want of room are the largest
// streams'.
func TestWhoAsksIsNotWhoPays(t *testing.T) {
	a := NewArena(Limits{SideBytes: 512 << 10, SidePieces: 1 << 20, TotalBytes: 4 << 20})
	streams := make([]Stream, 200)
	rnd := rand.New(rand.NewSource(4))
	frame := make([]byte, 1460)
	var out []Item
	full := 0
	for range 40_000 {
		a.Reclaim()
		out = out[:0]
		if a.Crowded() {
			full++
		}
		room(a, streams, &out)
		i := rnd.Intn(len(streams))
		if rnd.Intn(3) > 0 {
			i = rnd.Intn(12) // that hoard
		}
		gaps, s := a.Stats().BudgetGaps, &streams[i]
		size, far := 1460, int64(60_000)
		if rnd.Intn(2) == 0 {
			size, far = 1+rnd.Intn(20), 3_000_000
		}
		held, _ := a.Held(s)
		a.Insert(s, Segment{Pos: s.Next() + 1 + rnd.Int63n(far), Bytes: frame[:size], Owner: uint64(i)}, &out)
		if held < 400<<10 {
			require.Equal(t, gaps, a.Stats().BudgetGaps)
		}
		require.LessOrEqual(t, a.TotalBytes(), a.limits.TotalBytes)
	}
	require.Greater(t, full, 1000)
}

// The largest budget that there is leaves room: how much may be held is computed without overflow.
func TestTheLargestBudgetIsNotCrowded(t *testing.T) {
	for _, total := range []int64{1 << 56, math.MaxInt64 / 32, math.MaxInt64} {
		a := NewArena(Limits{TotalBytes: total})
		s := new(Stream)
		var out []Item
		a.Insert(s, Segment{Pos: 10, Bytes: make([]byte, 100)}, &out)
		require.False(t, a.Crowded(), total)
		l := a.Limits()
		require.Greater(t, l.crowdedAt(), total/2, total)
	}
}
