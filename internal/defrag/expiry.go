package defrag

import "math"

// Expire sets the time, and removes datagrams and tombstones that have timed out, the oldest first, at
// most limit of them. The cost is that of those it removes.
func (t *Table[V]) Expire(now int64, limit int) { t.advance(now, limit) }

// Next is when the first datagram or tombstone times out, and whether there is one.
func (t *Table[V]) Next() (at int64, ok bool) {
	if t.all.len == 0 {
		return 0, false
	}
	since := t.began(t.all.first)
	if since > math.MaxInt64-t.limits.Timeout {
		return math.MaxInt64, true
	}
	return since + t.limits.Timeout, true
}

// rewound says that datagrams up to a number began no later than at some time. So Rewind need not visit
// them: a capture whose times fall and fall would have it visit all of them for each packet.
type rewound struct {
	number uint64 // 0: nothing was rewound
	at     int64
}

// began is when d began.
func (t *Table[V]) began(d *datagram[V]) int64 {
	if d.number <= t.rewound.number {
		return min(d.startedAt, t.rewound.at)
	}
	return d.startedAt
}

// Rewind sets the time back: a later one that was given before was wrong. Datagrams that began after
// now begin now, and those that were completed are forgotten. It costs what is forgotten, unless the last
// Rewind went further back.
func (t *Table[V]) Rewind(now int64) {
	if now >= t.now {
		return
	}
	if t.rewound.at < now {
		t.settle()
	}
	t.now, t.peaksNotedAt = now, min(t.peaksNotedAt, now)
	t.rewound = rewound{number: t.stats.Opened, at: now}
	for t.remembered.len > 0 {
		t.forget(t.remembered.first)
	}
}

// settle writes into each datagram when it began.
func (t *Table[V]) settle() {
	if t.rewound.number == 0 {
		return
	}
	for d := t.all.first; d != nil && d.number <= t.rewound.number; d = d.links[inAll].next {
		d.startedAt = t.began(d)
	}
	t.rewound = rewound{}
}

// Postdate moves the beginning of the datagram that began last to now, which is later: its time was not
// believed at first.
func (t *Table[V]) Postdate(now int64) {
	if d := t.all.last; d != nil && t.began(d) < now {
		t.settle()
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
	t.now, t.peaksNotedAt, t.rewound = math.MinInt64, math.MinInt64, rewound{}
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

func (t *Table[V]) expired(d *datagram[V]) bool { return t.timedOut(t.began(d)) }

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
