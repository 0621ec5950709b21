package stream

// buffer is what the arena has for a stream with a hole, or one whose delivered bytes are kept.
type buffer struct {
	extentList
	pageList
	trailingHole
	delivered
	ranked
}

// bufferBytes is the size of a buffer struct on a 64-bit machine. A test holds it.
const bufferBytes = 256

// cost is the memory of the buffer, delivered bytes that are kept excepted.
func (d *buffer) cost() int {
	return bufferBytes + d.extentMemory() + d.listBytes() + d.capacity
}

// moveBytes is what it costs to move the bytes of an extent, in bytes: beside these the number of extents
// counts for the free space that puts the next compaction off.
const moveBytes = 8

// trailingHole is the hole behind the last extent: bytes cut off by the capture.
type trailingHole struct {
	known         int64 // bytes below this exist; not above the last held byte if there is no such hole
	trailingSince int64 // when the hole was first seen
}

// heldEnd is the end of the last held byte, or next if none is held.
func (d *buffer) heldEnd(next int64) int64 {
	if d.n == 0 {
		return next
	}
	return d.back().end()
}

// holeSince is the time at which the hole in front of an extent, or behind the last one (nil), was first
// seen. A hole that is split leaves two of the same age.
func (d *buffer) holeSince(e *extent, next, now int64) int64 {
	switch {
	case e != nil:
		return e.since
	case d.known > d.heldEnd(next):
		return d.trailingSince
	}
	return now
}

// delivered is the newest delivered bytes, if Limits.Keep asks for them, so that a retransmission
// can be compared with them. They lie in a ring, the next one goes to keptEnd; a gap empties it.
type delivered struct {
	kept    []byte
	keptEnd int32
	keptLen int32
}

// keepingBuffer is the buffer of s. It is made if delivered bytes are to be kept.
func (a *Arena) keepingBuffer(s *Stream) *buffer {
	d := a.buffer(s)
	if a.limits.Keep == 0 || d != nil && len(d.kept) > 0 {
		return d
	}
	size, fresh := sizeUp(a.limits.Keep), 0
	if d == nil {
		fresh = bufferBytes
	}
	if a.held+int64(size) > a.crowdedAt || !a.affords(size+fresh, size+fresh) {
		return d
	}
	if d == nil {
		d = a.newBuffer(s)
	}
	d.kept = a.allocPage(size)
	return d
}

// keep adds delivered bytes.
func (p *delivered) keep(b []byte) {
	size := len(p.kept)
	if size == 0 {
		return
	}
	if len(b) > size {
		b = b[len(b)-size:]
	}
	p.keptLen = int32(min(int(p.keptLen)+len(b), size))
	k := copy(p.kept[p.keptEnd:], b)
	p.keptEnd += int32(k)
	if k < len(b) {
		p.keptEnd = int32(copy(p.kept, b[k:]))
	}
}

// discard drops all kept bytes at a gap: they are not adjacent to the bytes behind it.
func (p *delivered) discard() { p.keptEnd, p.keptLen = 0, 0 }

// compareDelivered compares the part of an arrival below next with the delivered bytes.
func (a *Arena) compareDelivered(s *Stream, d *buffer, n *arrival, out *[]Item) {
	if d == nil || d.keptLen == 0 {
		return
	}
	lo, hi := max(n.pos, s.next-int64(d.keptLen)), min(n.end, s.next)
	if lo >= hi {
		return
	}
	at := int(d.keptEnd) - int(s.next-lo)
	if at < 0 {
		at += len(d.kept)
	}
	old := n.bytes[lo-n.pos : hi-n.pos]
	k := min(len(d.kept)-at, len(old))
	first, last := difference(old[:k], d.kept[at:at+k])
	if x, y := difference(old[k:], d.kept[:len(old)-k]); x < y {
		if first == last {
			first = k + x
		}
		last = k + y
	}
	a.stats.OverlapBytes += uint64(hi - lo)
	a.reportConflict(n, lo+int64(first), lo+int64(last), out)
}

// buffer is the buffer of s, or nil.
func (a *Arena) buffer(s *Stream) *buffer {
	if s.buffer == 0 || uint64(s.buffer) > uint64(len(a.buffers)) {
		return nil
	}
	return a.buffers[s.buffer-1]
}

// newBuffer gives s an empty buffer. The caller has checked that the budget affords it.
func (a *Arena) newBuffer(s *Stream) *buffer {
	var d *buffer
	if k := len(a.freeBuffers); k > 0 {
		d, a.freeBuffers = a.freeBuffers[k-1], a.freeBuffers[:k-1]
		a.pooled -= bufferBytes
	} else {
		d = new(buffer)
	}
	if k := len(a.freeNumbers); k > 0 {
		s.buffer, a.freeNumbers = a.freeNumbers[k-1], a.freeNumbers[:k-1]
		a.buffers[s.buffer-1] = d
	} else {
		a.buffers = append(a.buffers, d)
		s.buffer = uint32(len(a.buffers))
	}
	d.number = s.buffer
	a.held += bufferBytes
	return d
}

// releaseBuffer releases all memory of s.
func (a *Arena) releaseBuffer(s *Stream, d *buffer) {
	a.held -= int64(bufferBytes + len(d.kept))
	a.unrank(d)
	a.releaseExtents(&d.extentList)
	a.removePages(d)
	a.recycle(d.kept)
	*d = buffer{}
	if a.pooled+bufferBytes <= a.poolLimit() {
		a.freeBuffers = append(a.freeBuffers, d)
		a.pooled += bufferBytes
	}
	a.buffers[s.buffer-1] = nil
	a.freeNumbers = append(a.freeNumbers, s.buffer)
	s.buffer = 0
	// After a peak the tables are released as well.
	if len(a.freeNumbers) == len(a.buffers) && cap(a.buffers) > 1024 {
		a.buffers, a.freeNumbers = nil, nil
	}
}

// plan is how a buffer makes room.
type plan struct {
	page int  // the size of a new page; 0 if the last one has room
	move bool // all bytes are compacted into the new page
}

// plan finds how the buffer can hold more bytes, with so much more memory for extents, and reports
// whether that is within its limits. If the last page has no live bytes and no Item refers to it, it is filled from
// its beginning again.
func (a *Arena) plan(d *buffer, more, extents int) (p plan, ok bool) {
	if more > a.limits.SideBytes {
		return p, false
	}
	available := a.limits.SideBytes - bufferBytes - d.extentMemory() - extents
	if last := d.lastPage(); last != nil && last.live == 0 && last.lent != a.period {
		d.used = 0
	}
	if more <= d.free() {
		return p, d.capacity+d.listBytes() <= available
	}
	need := d.live + more
	spare := available - d.capacity - listBytes(d.grownCap())
	// Room for as many segments of this size as make a quarter of the present capacity.
	p.page = sizeUp(max(more*max(1, (d.capacity/4+more-1)/more), minPage))
	if p.page > spare {
		p.page = sizeDown(max(spare, 0)) // all that the limit leaves
	}
	if p.page >= max(more, need/8) && d.capacity+p.page <= need+need*3/5+2*minPage && d.endOffset()+uint64(p.page) < maxOffset {
		return p, true
	}
	p.move = true
	p.page = sizeUp(max(need+(need+d.n*moveBytes)/4, minPage))
	if p.page > available {
		// Unless the bytes would soon move again: an eighth of new bytes before each move keeps
		// the cost linear.
		p.page = sizeDown(max(available, 0))
		return p, p.page >= need+need/8
	}
	return p, true
}

// makeRoom makes room for what an arrival has won and returns the stream's buffer, or nil if the limits
// do not allow it.
func (a *Arena) makeRoom(s *Stream, d *buffer, m *merger) *buffer {
	none := d == nil
	if none {
		d = &a.empty
	}
	a.totalFull = false
	if m.islands > a.limits.SidePieces {
		return nil
	}
	delta, fresh := 0, 0
	if len(m.won) > 0 {
		delta, fresh = d.growth(d.find(m.won[0].lo), m.extents, min(m.blocks, len(m.won)))
	}
	p, ok := a.plan(d, m.bytes, delta)
	if !ok {
		return nil
	}
	if none {
		delta += bufferBytes
		fresh += bufferBytes
	}
	if p.page > 0 {
		delta += p.page
		fresh += p.page
		if p.move {
			delta -= d.capacity + d.listBytes()
		} else if n := d.grownCap(); n != cap(d.list) {
			delta += listBytes(n) - d.listBytes()
			fresh += listBytes(n)
		}
	}
	if fresh > 0 && !a.affords(delta, fresh) {
		a.totalFull = true
		return nil
	}
	if none {
		d = a.newBuffer(s)
	}
	switch {
	case p.move:
		a.compact(d, p.page)
	case p.page > 0:
		a.addPage(d, p.page)
	}
	return d
}

// store stores the bytes that an arrival won in the buffer, which has room for them.
func (a *Arena) store(d *buffer, m *merger, n *arrival) {
	for i, r := range m.won {
		e := n.extent(r.lo, r.hi)
		if i == 0 && r.lo == m.first {
			e.since = m.since
		}
		p := d.lastPage()
		e.off = p.base + d.used
		d.used += uint32(copy(p.buf[d.used:], n.bytes[r.lo-n.pos:r.hi-n.pos]))
		p.live += e.n
		d.live += int(e.n)
		a.replace(d, &e)
	}
	d.islands = m.islands
	if m.bytes > 0 {
		a.stats.Held++
	}
	a.stats.HeldBytes += uint64(m.bytes)
}

// replace puts an extent into the list, in place of what is there.
func (a *Arena) replace(d *buffer, e *extent) {
	at := d.find(e.pos)
	if x := d.at(at); x != nil && x.pos < e.pos {
		whole := *x
		*x = whole.part(whole.pos, e.pos)
		d.blocks[at.b].state = changed
		at = d.after(at)
		if whole.end() > e.end() {
			tail := whole.part(e.end(), whole.end())
			a.dropBytes(d, whole.off, whole.n-x.n-tail.n)
			a.insertExtent(&d.extentList, at, &tail)
			a.insertExtent(&d.extentList, d.find(e.pos), e)
			return
		}
		a.dropBytes(d, whole.off, whole.n-x.n)
	}
	for x := d.at(at); x != nil && x.pos < e.end(); x = d.at(at) {
		if x.end() > e.end() {
			d.blocks[at.b].state = changed
			whole := *x
			*x = whole.part(e.end(), whole.end())
			a.dropBytes(d, whole.off, whole.n-x.n)
			break
		}
		k, list := 0, d.blocks[at.b].extents()[at.k:]
		for ; k < len(list) && list[k].end() <= e.end(); k++ {
			a.dropBytes(d, list[k].off, list[k].n)
		}
		at = a.removeExtents(&d.extentList, at, k)
	}
	a.insertExtent(&d.extentList, at, e)
}

// shrink gives back the memory that the buffer does not need any more after a delivery.
func (a *Arena) shrink(s *Stream, d *buffer) {
	if d == nil {
		return
	}
	if d.n == 0 && d.known <= s.next && len(d.kept) == 0 {
		a.releaseBuffer(s, d)
		return
	}
	// A list or page of which less than a quarter is used is replaced by a smaller one. Three
	// quarters must have been delivered since it was allocated, so the copying is amortised O(1).
	a.shrinkExtents(&d.extentList)
	buf := sizeUp(max(2*d.live+d.n*moveBytes/2, minPage))
	if old := d.capacity; old > 1024 && buf < old/4 && a.affords(buf-old, buf) {
		a.compact(d, buf)
	}
	a.rank(d)
}
