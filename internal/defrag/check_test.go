package defrag

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// check walks all of t's structure and compares what is derived with what it is derived from.
func check[V any](tb testing.TB, t *Table[V]) {
	tb.Helper()
	pages, records := 0, 0
	var held []*datagram[V]
	var prev *datagram[V]
	for d := t.age.first; d != nil; prev, d = d, d.links[inAge].next {
		records++
		require.Same(tb, d, t.index.find(d.hash, &d.key), "every datagram is found")
		require.True(tb, prev == nil || prev.since <= d.since, "the list is in order of age")
		if d.dead {
			require.Nil(tb, d.pages, "a tombstone has no pages")
			continue
		}
		held = append(held, d)
		pages += checkDatagram(tb, d)
	}
	require.Same(tb, prev, t.age.last)
	require.Equal(tb, records, t.age.len)
	require.Equal(tb, records, t.index.used)
	d := t.held.first
	for _, want := range held {
		require.Same(tb, want, d, "those that hold bytes, in order of age")
		d = d.links[inHeld].next
	}
	require.Nil(tb, d)
	require.Equal(tb, len(held), t.held.len)
	if t.done != nil {
		records++
		for p := t.done.pages; p != nil; p = p.next {
			pages++
		}
	}
	checkMemory(tb, t, pages, records)
	checkStats(tb, t)
}

func checkDatagram[V any](tb testing.TB, d *datagram[V]) int {
	pages, have, last := 0, 0, -1
	for p := d.pages; p != nil; p = p.next {
		pages++
		require.Greater(tb, p.number, last, "pages ascend")
		last = p.number
		in := 0
		for _, w := range p.have {
			in += bits.OnesCount64(w)
		}
		require.Positive(tb, in, "no page is empty")
		have += in
	}
	require.Positive(tb, pages)
	require.Equal(tb, have, d.have)
	require.True(tb, d.end == 0 || d.high <= d.end)
	require.False(tb, d.complete(), "a complete datagram does not wait")
	return pages
}

func checkMemory[V any](tb testing.TB, t *Table[V], pages, records int) {
	m := &t.memory
	require.Equal(tb, pages, m.pages.inUse())
	require.Equal(tb, records, m.records.inUse())
	n := 0
	for p := m.pages.free; p != nil; p = p.next {
		n++
	}
	require.Equal(tb, n, m.pages.spare)
	n = 0
	for d := m.records.free; d != nil; d = d.links[inAge].next {
		n++
	}
	require.Equal(tb, n, m.records.spare)
	sum := int64(m.pages.made)*m.pages.size + int64(m.records.made)*m.records.size + int64(cap(m.out)) + int64(len(t.index.slots))*pointerBytes
	require.Equal(tb, sum, t.Bytes())
	require.LessOrEqual(tb, t.Bytes(), t.limits.TotalBytes)
}

func checkStats[V any](tb testing.TB, t *Table[V]) {
	s := t.Stats()
	require.Equal(tb, s.Opened, s.Outcomes[Complete]+s.Killed+s.TimedOut+s.EvictedTable+s.EvictedMemory+s.Cleared+uint64(t.Len()),
		"every datagram that was opened has one fate")
}
