package defrag

import "math"

// Expire says that it is now, and lets go datagrams and tombstones whose time is over, the oldest first, at most
// limit of them. It costs what it lets go.
func (t *Table[V]) Expire(now int64, limit int) { t.advance(now, limit) }

// Next is when the first datagram's or tombstone's time is over, and whether there is one.
func (t *Table[V]) Next() (at int64, ok bool) {
	if t.age.len == 0 {
		return 0, false
	}
	since := t.age.first.since
	if since > math.MaxInt64-t.limits.Timeout {
		return math.MaxInt64, true
	}
	return since + t.limits.Timeout, true
}

// Rewind says that it is now, although a later time was said before, which was wrong: what came since came now.
func (t *Table[V]) Rewind(now int64) {
	if now >= t.now {
		return
	}
	t.now, t.reviewed = now, min(t.reviewed, now)
	for d := t.age.first; d != nil; d = d.links[inAge].next {
		d.since = min(d.since, now)
	}
}

// Postdate says that the datagram that began last did so now, later than was said: its time was not believed at
// first.
func (t *Table[V]) Postdate(now int64) {
	if d := t.age.last; d != nil && d.since < now {
		d.since, t.now = now, max(t.now, now)
	}
}

// Clear forgets everything, time included, and returns all memory, as at the end of a capture: that of the next
// one may lie anywhere.
func (t *Table[V]) Clear() {
	t.endLoan()
	for t.age.len > 0 {
		t.leave(t.age.first, &t.stats.Cleared)
	}
	for range 2 { // the first review notes that nothing is in use, the second that nothing was
		t.memory.review()
	}
	t.memory.release(math.MaxInt)
	t.shrinkIndex(0)
	t.now, t.reviewed = math.MinInt64, math.MinInt64
}

// advance begins a call: the loan of the last one ends, time passes, and at most n datagrams leave and
// 2n spares are let go.
func (t *Table[V]) advance(now int64, n int) {
	t.endLoan()
	t.now = max(t.now, now)
	for i := 0; i < n && t.age.len > 0 && t.expired(t.age.first); i++ {
		t.leave(t.age.first, nil)
	}
	if t.over(t.reviewed) {
		t.reviewed = t.now
		t.memory.review()
		t.shrinkIndex(t.memory.records.keep)
	}
	t.memory.release(n)
}

// shrinkIndex makes the index no larger than n datagrams need.
func (t *Table[V]) shrinkIndex(n int) {
	if n := slotsFor(n); n < len(t.index.slots) {
		t.memory.bytes -= int64(len(t.index.slots)-n) * pointerBytes
		t.index.resize(n)
	}
}

func (t *Table[V]) expired(d *datagram[V]) bool { return t.over(d.since) }

// over reports whether the time-out has passed since then, which is not after now: as
// unsigned numbers the difference is right however far apart the two are.
func (t *Table[V]) over(then int64) bool {
	return uint64(t.now)-uint64(then) >= uint64(t.limits.Timeout)
}
