package defrag

import (
	"math/bits"
	"testing"
)

func must(tb testing.TB, ok bool, rule string) {
	if !ok {
		tb.Helper()
		tb.Fatalf("does not hold: %s", rule)
	}
}

// check walks all of t's structure and compares what is derived with what it is derived from.
func check[V any](tb testing.TB, t *Table[V]) {
	tb.Helper()
	pages, records := 0, 0
	var held []*datagram[V]
	var prev *datagram[V]
	for d := t.all.first; d != nil; prev, d = d, d.links[inAll].next {
		records++
		must(tb, t.index.find(d.hash, &d.key) == d, "every datagram is found")
		must(tb, !d.remembered && (prev == nil || prev.number < d.number && prev.startedAt <= d.startedAt), "the list is in order of age")
		if d.tombstone {
			must(tb, d.pages == nil && d.lastFound == nil, "a tombstone has no pages")
			continue
		}
		held = append(held, d)
		pages += checkDatagram(tb, d)
	}
	must(tb, prev == t.all.last && records == t.all.len, "the list ends where it says")
	kept := 0
	for d := t.remembered.first; d != nil; d = d.links[inAll].next {
		records++
		must(tb, t.index.find(d.hash, &d.key) == d && d.remembered && !d.tombstone && d.complete(), "what is remembered is complete, and found")
		kept += pagesOf(d.end)
		for p := d.pages; p != nil; p = p.next {
			pages++
		}
	}
	must(tb, kept == t.kept && kept <= t.mayKeep() && t.remembered.len <= (t.limits.Datagrams+3)/4, "what is remembered has its bounds")
	must(tb, records == t.index.used && records == t.all.len+t.remembered.len, "the index holds what is in the lists")
	must(tb, records <= t.limits.Datagrams, "so many are allowed")
	d := t.waiting.first
	for _, want := range held {
		must(tb, d == want, "those that hold bytes are in order of age")
		d = d.links[inWaiting].next
	}
	must(tb, d == nil && len(held) == t.waiting.len, "tombstones hold nothing")
	if t.done != nil {
		records++
		for p := t.done.pages; p != nil; p = p.next {
			pages++
		}
	}
	checkMemory(tb, t, pages, records)
	s := t.Stats()
	must(tb, s.Opened == s.Outcomes[Complete]+s.Dropped+s.TimedOut+s.EvictedTable+s.EvictedMemory+s.Cleared+uint64(t.Len()),
		"every datagram that was opened has one fate")
}

func checkDatagram[V any](tb testing.TB, d *datagram[V]) int {
	pages, have, last, near := 0, 0, -1, d.lastFound == nil
	for p := d.pages; p != nil; p = p.next {
		pages++
		must(tb, p.number > last, "pages ascend")
		last = p.number
		near = near || p == d.lastFound
		in := 0
		for _, w := range p.have {
			in += bits.OnesCount64(w)
		}
		must(tb, in > 0, "no page is empty")
		have += in
	}
	must(tb, pages > 0, "what lives holds bytes")
	must(tb, near, "near is one of the pages")
	must(tb, have == d.have, "have counts the bits")
	must(tb, d.end == 0 || d.highest <= d.end, "nothing lies behind the end")
	must(tb, !d.complete(), "a complete datagram does not wait")
	return pages
}

func checkMemory[V any](tb testing.TB, t *Table[V], pages, records int) {
	m := &t.memory
	must(tb, pages == m.pages.inUse() && records == m.records.inUse(), "nothing is lost")
	n := 0
	for p := m.pages.free; p != nil; p = p.next {
		n++
	}
	must(tb, n == m.pages.pooled, "spare pages are counted")
	n = 0
	for d := m.records.free; d != nil; d = d.links[inAll].next {
		n++
	}
	must(tb, n == m.records.pooled, "spare records are counted")
	sum := int64(m.pages.made)*m.pages.size + int64(m.records.made)*m.records.size + int64(cap(m.output)) + int64(len(t.index.slots))*pointerBytes
	must(tb, sum == t.Bytes(), "the account is the sum")
	must(tb, t.Bytes() <= t.limits.TotalBytes, "the limit holds")
}
