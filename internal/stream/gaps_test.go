package stream

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func kinds(items []Item) (list []Kind) {
	for _, it := range items {
		list = append(list, it.Kind)
	}
	return list
}

func TestAcknowledgedHoleIsGivenUp(t *testing.T) {
	r := newRig(t, Limits{})
	r.insert(letters(0, 2, 'a'))
	r.insert(letters(4, 2, 'e'))
	items := r.skip(6, Acknowledged)
	require.Equal(t, "aa<2>ee", r.said)
	require.Equal(t, Item{Kind: Gap, Cause: Acknowledged, Pos: 2, Len: 2}, items[0])
	require.False(t, r.s.HasBuffer())

	t.Run("and what arrives later is late, not data", func(t *testing.T) {
		items := r.insert(letters(2, 2, 'c'))
		require.Equal(t, []Kind{Late}, kinds(items))
		require.Equal(t, "aa<2>ee", r.said)
		require.Equal(t, uint64(2), r.a.Stats().LateBytes)
	})
	t.Run("and what is repeated besides is a duplicate", func(t *testing.T) {
		require.Equal(t, []Kind{Duplicate}, kinds(r.insert(letters(0, 2, 'a'))))
		require.Equal(t, []Kind{Late, Data}, kinds(r.insert(letters(0, 8, 'x'))))
		require.Equal(t, "aa<2>eexx", r.said)
	})
}

func TestLeadingHoleIsGivenUpAtTheEnd(t *testing.T) {
	r := newRig(t, Limits{})
	r.insert(letters(3, 3, 'd'))
	r.finish(-1)
	require.Equal(t, "<3>ddd", r.said)
}

func TestFinalPositionAddsATrailingGap(t *testing.T) {
	r := newRig(t, Limits{})
	r.insert(letters(0, 2, 'a'))
	r.finish(4)
	require.Equal(t, "aa<2>", r.said)
	require.Equal(t, int64(4), r.s.Next())
}

func TestFinishDeliversWhatLiesBeyondTheFinalPosition(t *testing.T) {
	r := newRig(t, Limits{})
	r.insert(letters(6, 2, 'g'))
	r.finish(4)
	require.Equal(t, "<6>gg", r.said)
}

func TestSkipGivesUpEachHoleBelowItsGoal(t *testing.T) {
	//	0    5    10   15   20
	//	.....aaaaa.....bbbbb.....ccccc
	for _, row := range []struct {
		name string
		upTo int64
		said string
	}{
		{"nothing", 0, ""},
		{"a part of the first hole", 3, "<3>"},
		{"exactly the first hole", 5, "<5>aaaaa"},
		{"the first hole, by a goal within the data behind", 7, "<5>aaaaa"},
		{"the first hole, the second begins at the goal", 10, "<5>aaaaa"},
		{"a part of the second hole", 12, "<5>aaaaa<2>"},
		{"two holes", 20, "<5>aaaaa<5>bbbbb"},
		{"all", 30, "<5>aaaaa<5>bbbbb<5>ccccc"},
		{"all, and what was never seen", 33, "<5>aaaaa<5>bbbbb<5>ccccc<3>"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, Limits{})
			r.insert(letters(5, 5, 'a'))
			r.insert(letters(15, 5, 'b'))
			r.insert(letters(25, 5, 'c'))
			r.skip(row.upTo, Expired)
			require.Equal(t, row.said, r.said)
			r.finish(-1)
		})
	}
}

func TestCutOffBytesAreAHole(t *testing.T) {
	r := newRig(t, Limits{})
	seg := letters(0, 3, 'a')
	seg.Missing = 4
	r.insert(seg)
	require.Equal(t, "aaa", r.said)
	pos, size, since, ok := r.a.FirstHole(r.s)
	require.True(t, ok)
	require.Equal(t, []int64{3, 4, seg.Time}, []int64{pos, size, since})
	_, pieces := r.a.Held(r.s)
	require.Zero(t, pieces)

	t.Run("which a fuller copy fills", func(t *testing.T) {
		r.insert(letters(3, 2, 'b'))
		_, size, since, _ := r.a.FirstHole(r.s)
		require.Equal(t, []int64{2, seg.Time}, []int64{size, since})
		r.insert(letters(5, 2, 'c'))
		require.Equal(t, "aaabbcc", r.said)
		require.False(t, r.s.HasBuffer())
	})
	t.Run("behind early data too", func(t *testing.T) {
		early := letters(10, 2, 'd')
		early.Missing = 5
		r.insert(early)
		r.skip(10, Expired)
		require.Equal(t, "aaabbcc<3>dd", r.said)
		r.insert(letters(20, 1, 'e'))
		r.finish(-1)
		require.Equal(t, "aaabbcc<3>dd<8>e", r.said)
	})
	t.Run("and the end of what is known, if nothing follows", func(t *testing.T) {
		r.again()
		r.insert(Segment{Pos: 0, Missing: 9, Time: 4, Now: 4})
		r.finish(-1)
		require.Equal(t, "<9>", r.said)
	})
}

func TestHoleIsAsOldAsTheFirstSegmentBehindIt(t *testing.T) {
	r := newRig(t, Limits{})
	at := func(pos, now int64) {
		r.insert(Segment{Pos: pos, Bytes: []byte("x"), Time: now, Now: now})
	}
	age := func(want int64) {
		_, _, since, ok := r.a.FirstHole(r.s)
		require.True(t, ok)
		require.Equal(t, want, since)
	}
	at(20, 100)
	age(100)
	at(40, 200) // a younger hole behind
	age(100)
	at(10, 300) // the old one is split
	age(100)
	at(0, 400) // and shortened
	age(100)
	r.skip(11, Expired)
	age(100)
	r.skip(20, Expired)
	age(200)
}

func TestHugeGapCostsNothing(t *testing.T) {
	const huge = 1_000_000_000
	a := NewArena(Limits{})
	var s Stream
	var out []Item
	a.Insert(&s, letters(huge, 3, 'z'), &out)
	require.Empty(t, out)
	require.Less(t, a.TotalBytes(), int64(4096))
	a.Skip(&s, huge, Acknowledged, &out)
	require.Equal(t, []Kind{Gap, Data}, kinds(out))
	require.Equal(t, int64(huge), out[0].Len)
	out = out[:0]
	a.Skip(&s, 1<<60, Acknowledged, &out)
	require.Len(t, out, 1)
	require.Zero(t, a.HeldBytes())
}

func TestKeptBytesShowARetransmissionThatDiffers(t *testing.T) {
	r := newRig(t, Limits{Keep: 8})
	require.Equal(t, 8, r.a.Limits().Keep)
	r.insert(Segment{Bytes: []byte("abcdefghij")})
	for _, row := range []struct {
		name, copy string
		pos        int64
		want       []Kind
	}{
		{"an equal copy", "abcdefghij", 0, []Kind{Duplicate}},
		{"a copy that differs in what is kept", "abcdeFghij", 0, []Kind{Conflict, Duplicate}},
		{"a copy that differs in bytes not kept any more", "aBcdefghij", 0, []Kind{Duplicate}},
		{"a copy that goes on", "iJkl", 8, []Kind{Conflict, Duplicate, Data}},
		{"a copy over the seam of the ring", "hiJkL", 7, []Kind{Conflict, Duplicate}},
	} {
		items := r.insert(Segment{Pos: row.pos, Bytes: []byte(row.copy)})
		require.Equal(t, row.want, kinds(items), row.name)
	}
	r.skip(20, Expired)
	require.Equal(t, []Kind{Late}, kinds(r.insert(Segment{Pos: 8, Bytes: []byte("zzzzzzzz")})), "nothing from before a gap")
	require.True(t, r.s.HasBuffer())
	r.finish(-1)
	require.Zero(t, r.a.HeldBytes())
}
