package defrag

// remember keeps d, which is complete and in no list, for as long as a copy of one of its fragments may
// come.
func (t *Table[V]) remember(d *datagram[V]) {
	var none V
	n := pagesOf(d.end)
	for t.remembered.len >= (t.limits.Datagrams+3)/4 || t.remembered.len > 0 && t.kept > t.mayKeep()-n {
		t.forgetOldest()
	}
	if n > t.mayKeep() {
		t.stats.Forgotten++
		t.memory.putRecord(d)
		return
	}
	d.value, d.remembered, d.startedAt = none, true, t.now
	t.kept += n
	t.index.put(d) // it has just left a place there
	t.remembered.push(d)
}

// mayKeep is how many pages all that is remembered may have.
func (t *Table[V]) mayKeep() int { return int(t.limits.TotalBytes / 4 / t.memory.pages.size) }

// forget takes back a datagram that is remembered.
func (t *Table[V]) forget(d *datagram[V]) {
	t.index.remove(d)
	t.remembered.remove(d)
	t.kept -= pagesOf(d.end)
	t.memory.putRecord(d)
}

// forgetOldest makes room by forgetting the datagram that has been remembered for longest, and reports
// whether there was one.
func (t *Table[V]) forgetOldest() bool {
	d := t.remembered.first
	if d == nil {
		return false
	}
	if !t.timedOutAfter(d.startedAt, t.limits.Remember) {
		t.stats.Forgotten++
	}
	t.forget(d)
	return true
}

// holds reports whether f repeats a part of d, which is complete. Of what the capture cut it is enough
// that the beginning does: a mirror may send a packet whole and its copy cut, and the copy must not spoil
// the next datagram.
func (d *datagram[V]) holds(f *Fragment) bool {
	end := f.Offset + len(f.Bytes)
	return end <= d.end && (f.Cut || f.More == (end < d.end)) && !d.differs(f.Offset, f.Bytes)
}

// pagesOf is the number of pages of a complete datagram of n bytes.
func pagesOf(n int) int { return (n + pageBytes - 1) / pageBytes }
