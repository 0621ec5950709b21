package defrag

import "math"

// Expire sets the time, which never goes back, and removes datagrams and tombstones that have timed out, the oldest first, at
// most limit of them. The cost is that of those it removes.
func (t *Table[V]) Expire(now int64, limit int) { t.advance(now, limit) }

// Next is when the first datagram or tombstone times out, and whether there is one.
func (t *Table[V]) Next() (at int64, ok bool) {
	if t.all.len == 0 {
		return 0, false
	}
	since := t.all.first.startedAt
	if since > math.MaxInt64-t.limits.Timeout {
		return math.MaxInt64, true
	}
	return since + t.limits.Timeout, true
}

// Postdate moves the beginning of the datagram that began last to now, which is later: its time was not
// believed at first.
func (t *Table[V]) Postdate(now int64) {
	if d := t.all.last; d != nil && d.startedAt < now {
		d.startedAt, t.now = now, max(t.now, now)
	}
}

// Clear removes everything, the time included, and gives back all memory, as at the end of a capture:
// the times of the next one may lie anywhere.
func (t *Table[V]) Clear() {
	t.reclaim()
	for t.all.len > 0 {
		t.remove(t.all.first, &t.stats.Cleared)
	}
	for t.remembered.len > 0 {
		t.forget(t.remembered.first)
	}
	for range 2 { // the first call notes that nothing is in use, the second that nothing was
		t.memory.notePeaks()
	}
	t.memory.shrink(math.MaxInt)
	t.shrinkIndex(0)
	t.now, t.peaksNotedAt = math.MinInt64, math.MinInt64
}

// advance begins a call: it reclaims what the last one lent, sets the time, removes at most n datagrams
// that have timed out, forgets at most n, and gives back at most 2n pooled pages and records.
func (t *Table[V]) advance(now int64, n int) {
	t.reclaim()
	t.now = max(t.now, now)
	for i := 0; i < n && t.all.len > 0 && t.expired(t.all.first); i++ {
		t.remove(t.all.first, nil)
	}
	for i := 0; i < n && t.remembered.len > 0 && t.timedOutAfter(t.remembered.first.startedAt, t.limits.Remember); i++ {
		t.forget(t.remembered.first)
	}
	if t.timedOut(t.peaksNotedAt) {
		t.peaksNotedAt = t.now
		t.memory.notePeaks()
		t.shrinkIndex(t.memory.records.keep)
	}
	t.memory.shrink(n)
}

// shrinkIndex makes the index no larger than n datagrams need.
func (t *Table[V]) shrinkIndex(n int) {
	if n := slotsFor(n); n < len(t.index.slots) {
		t.memory.bytes -= int64(len(t.index.slots)-n) * pointerBytes
		t.index.resize(n)
	}
}

func (t *Table[V]) expired(d *datagram[V]) bool { return t.timedOut(d.startedAt) }

func (t *Table[V]) timedOut(then int64) bool { return t.timedOutAfter(then, t.limits.Timeout) }

// timedOutAfter reports whether that long has passed since then, which is not after now: as unsigned
// numbers the difference is right however far apart the two are.
func (t *Table[V]) timedOutAfter(then, timeout int64) bool {
	return uint64(t.now)-uint64(then) >= uint64(timeout)
}

// remove removes d. Unless it has timed out anyway, cause counts it, or TombstonesRemoved.
func (t *Table[V]) remove(d *datagram[V], cause *uint64) {
	switch {
	case t.expired(d):
		if !d.tombstone {
			t.stats.TimedOut++
		}
	case d.tombstone:
		t.stats.TombstonesRemoved++
	default:
		*cause++
	}
	t.unlink(d)
	t.memory.putRecord(d)
}

// unlink takes d out of the index and the lists.
func (t *Table[V]) unlink(d *datagram[V]) {
	t.index.remove(d)
	t.all.remove(d)
	if !d.tombstone {
		t.waiting.remove(d)
	}
}

// drop makes d a tombstone.
func (t *Table[V]) drop(d *datagram[V]) {
	var none V
	t.memory.putPages(d)
	t.waiting.remove(d)
	d.value, d.tombstone = none, true
	t.stats.Dropped++
}
