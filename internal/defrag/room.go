package defrag

// open makes a record for a new datagram, if need be in place of the oldest; nil if
// TotalBytes are not enough for a single one.
func (t *Table[V]) open(h uint64, k *Key) *datagram[V] {
	if t.age.len >= t.limits.Datagrams {
		t.leave(t.age.first, &t.stats.EvictedTable)
	}
	for t.index.full() && !t.growIndex() {
		if t.age.len == 0 {
			return nil
		}
		t.leave(t.age.first, &t.stats.EvictedMemory)
	}
	if t.memory.records.spare == 0 {
		if t.fits(t.memory.records.size, 0) {
			t.memory.makeRecord()
		} else if t.age.len == 0 {
			return nil
		} else {
			t.leave(t.age.first, &t.stats.EvictedMemory)
		}
	}
	d := t.memory.takeRecord()
	d.key, d.hash, d.since = *k, h, t.now
	t.index.put(d)
	t.age.push(d)
	t.held.push(d)
	t.stats.Opened++
	return d
}

// pointerBytes is what a slot of the index takes, on 64 bits; elsewhere we count too much.
const pointerBytes = 8

func (t *Table[V]) growIndex() bool {
	n := slotsFor(t.index.used + 1)
	more := int64(n-len(t.index.slots)) * pointerBytes
	if !t.fits(more, 0) {
		return false
	}
	t.memory.bytes += more
	t.index.resize(n)
	return true
}

// pagesFor makes sure that there are n spare pages, if need be at the cost of others than d.
func (t *Table[V]) pagesFor(n int, d *datagram[V]) bool {
	for t.memory.pages.spare < n {
		if t.fits(t.memory.pages.size, t.memory.pages.spare) {
			t.memory.makePage()
		} else if !t.evictHeld(d) {
			return false
		}
	}
	return true
}

// outFor makes sure that the output buffer takes n bytes of d.
func (t *Table[V]) outFor(n int, d *datagram[V]) bool {
	t.memory.outPeak = max(t.memory.outPeak, n)
	if n <= cap(t.memory.out) {
		return true
	}
	t.memory.setOut(0)
	size := outSize(n)
	for !t.fits(int64(size), 0) {
		if !t.evictHeld(d) {
			return false
		}
	}
	t.memory.setOut(size)
	return true
}

// fits reports whether n more bytes are within TotalBytes. Spares go first, but not keep pages.
func (t *Table[V]) fits(n int64, keep int) bool {
	m := &t.memory
	for m.bytes > t.limits.TotalBytes-n {
		switch {
		case m.pages.spare > keep:
			m.dropPage()
		case m.records.spare > 0:
			m.dropRecord()
		default:
			return false
		}
	}
	return true
}

// evictHeld lets the oldest datagram that holds bytes leave, d excepted.
func (t *Table[V]) evictHeld(d *datagram[V]) bool {
	oldest := t.held.first
	if oldest == d {
		oldest = d.links[inHeld].next
	}
	if oldest == nil {
		return false
	}
	t.leave(oldest, &t.stats.EvictedMemory)
	return true
}

// leave takes d out. Unless its time is over anyway, cause counts it; a tombstone that
// has to go early counts as forgotten.
func (t *Table[V]) leave(d *datagram[V], cause *uint64) {
	switch {
	case t.expired(d):
		if !d.dead {
			t.stats.TimedOut++
		}
	case d.dead:
		t.stats.Forgotten++
	default:
		*cause++
	}
	t.unlink(d)
	t.memory.putRecord(d)
}

// unlink makes d unknown.
func (t *Table[V]) unlink(d *datagram[V]) {
	t.index.remove(d)
	t.age.remove(d)
	if !d.dead {
		t.held.remove(d)
	}
}

// kill makes d a tombstone.
func (t *Table[V]) kill(d *datagram[V]) {
	var none V
	t.memory.putPages(d)
	t.held.remove(d)
	d.value, d.dead = none, true
	t.stats.Killed++
}
