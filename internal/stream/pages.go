package stream

// pages is the bytes of one side, in order of arrival, in a few pieces of memory.
// What an extent calls its place counts through all of them:
//
//	list  [bbbbbb--aaaa|cccccc...|-ddd-----]
//	       at 0         at 12     at 21 ^ used       live = 19
//
// -- was delivered or overwritten. Bytes go to the last page. When that is full
// another is added, at least a quarter of all there is, so that nothing moves; and one
// whose bytes have all died is given back at once, but for the last, which is used
// again. The bytes move, all into one new page, only if too much of the space is dead
// or a limit leaves no other way.
type pages struct {
	list []page
	used uint32 // of the last page
	live int    // bytes of extents
	room int    // capacity of all
	one  [1]page
}

type page struct {
	buf  []byte
	lent uint64 // the arena's period in which an Item last referred to buf
	at   uint32 // the place of its first byte
	live uint32
}

const (
	minPage   = 64      // the smallest
	pageBytes = 40      // the size of an entry of the list. A test holds it.
	maxPlace  = 1 << 31 // places stay below; then the bytes move
)

// newest is the last page, or nil.
func (q *pages) newest() *page {
	if n := len(q.list); n > 0 {
		return &q.list[n-1]
	}
	return nil
}

// free is what the last page can still take.
func (q *pages) free() int {
	if n := len(q.list); n > 0 {
		return len(q.list[n-1].buf) - int(q.used)
	}
	return 0
}

// listBytes is what the list occupies apart from the record.
func (q *pages) listBytes() int { return listBytes(cap(q.list)) }

func listBytes(capacity int) int {
	if capacity <= 1 {
		return 0
	}
	return capacity * pageBytes
}

// longer is the capacity that the list needs for another page.
func (q *pages) longer() int {
	if n := len(q.list); n > 0 && n == cap(q.list) {
		return sizeUp(n + n/2 + 1)
	}
	return max(cap(q.list), 1)
}

// page is where a held extent lies. There are few pages: unless a limit was near, each
// was at least a quarter of those before it.
func (q *pages) page(e *extent) *page {
	i := 0
	for e.off-q.list[i].at >= uint32(len(q.list[i].buf)) {
		i++
	}
	return &q.list[i]
}

// bytes are the bytes of a held extent.
func (p *page) bytes(e *extent) []byte {
	off := e.off - p.at
	return p.buf[off : off+e.n : off+e.n]
}

// plan is how a side makes room.
type plan struct {
	ring int  // the capacity of its ring
	page int  // the size of a new page; 0 if the last one will do
	move bool // all bytes move to the new page
}

// plan finds how the side could take more bytes and have so many pieces, and reports
// whether that is within the side's limits. If the last page is dead and no Item refers
// to it, it begins anew.
func (a *Arena) plan(d *side, pieces, more int) (p plan, ok bool) {
	if pieces > a.limits.SidePieces || more > a.limits.SideBytes {
		return p, false
	}
	p.ring = len(d.ring)
	if pieces > p.ring {
		p.ring = sizeUp(pieces + pieces/4)
	}
	rest := a.limits.SideBytes - recordBytes - p.ring*extentBytes
	if last := d.newest(); last != nil && last.live == 0 && last.lent != a.period {
		d.used = 0
	}
	if more <= d.free() {
		return p, d.room+d.listBytes() <= rest
	}
	need := d.live + more
	left := rest - d.room - listBytes(d.longer())
	// As many of this kind as make a quarter of what there is.
	p.page = sizeUp(max(more*max(1, (d.room/4+more-1)/more), minPage))
	if p.page > left {
		p.page = sizeDown(max(left, 0)) // whatever is left will do
	}
	if p.page >= max(more, need/8) && d.room+p.page <= need+need*3/5+2*minPage && d.end()+uint64(p.page) < maxPlace {
		return p, true
	}
	p.move = true
	p.page = sizeUp(max(need+need/4, minPage))
	if p.page > rest {
		// Unless the bytes would soon move again: that every move is paid for by
		// arriving bytes keeps the cost linear.
		p.page = sizeDown(max(rest, 0))
		return p, p.page >= need+need/8
	}
	return p, true
}

// end is the place behind the last page.
func (q *pages) end() uint64 {
	if n := len(q.list); n > 0 {
		return uint64(q.list[n-1].at) + uint64(len(q.list[n-1].buf))
	}
	return 0
}

// admit makes room for a merged list, if limits allow, and gives the side's record.
func (a *Arena) admit(s *Stream, d *side, m *merger) *side {
	none := d == nil
	if none {
		d = &a.none
	}
	p, ok := a.plan(d, d.n-m.met+len(m.list), m.bytes)
	if !ok {
		a.crowded = false
		return nil
	}
	delta, fresh := 0, 0
	if none {
		delta, fresh = recordBytes, recordBytes
	}
	if p.ring != len(d.ring) {
		delta += (p.ring - len(d.ring)) * extentBytes
		fresh += p.ring * extentBytes
	}
	if p.page > 0 {
		delta += p.page
		fresh += p.page
		if p.move {
			delta -= d.room + d.listBytes()
		} else if n := d.longer(); n != cap(d.list) {
			delta += listBytes(n) - d.listBytes()
			fresh += listBytes(n)
		}
	}
	if fresh > 0 && !a.affords(delta, fresh) {
		a.crowded = true
		return nil
	}
	if none {
		d = a.open(s)
	}
	if p.ring != len(d.ring) {
		a.moveExtents(d, p.ring)
	}
	switch {
	case p.move:
		a.moveBytes(d, p.page)
	case p.page > 0:
		a.addPage(d, p.page)
	}
	return d
}

// store puts a merged list in its place, with the bytes that the arrival won.
func (a *Arena) store(d *side, m *merger, n *arrival) {
	k := m.i
	for i := range m.list {
		e := &m.list[i]
		if e.off == inFrame {
			p := &d.list[len(d.list)-1]
			e.off = p.at + d.used
			d.used += uint32(copy(p.buf[d.used:], n.bytes[e.pos-n.pos:e.end()-n.pos]))
		} else {
			// The list is older than the room that was made: the bytes may have moved.
			for d.at(k).end() <= e.pos {
				k++
			}
			e.off = d.at(k).off + uint32(e.pos-d.at(k).pos)
		}
		d.page(e).live += e.n
		d.live += int(e.n)
	}
	for k := range m.met {
		a.drop(d, d.at(m.i+k))
	}
	d.splice(m.i, m.i+m.met, m.list)
	if m.bytes > 0 {
		a.stats.Held++
	}
	a.stats.HeldBytes += uint64(m.bytes)
}

// drop says that the bytes of a held extent are dead. The last page stays as long as
// there are others: who fills one hole after the other with a byte each would else take
// and give back a large page for every byte.
func (a *Arena) drop(d *side, e *extent) {
	p := d.page(e)
	p.live -= e.n
	d.live -= int(e.n)
	switch {
	case d.live == 0:
		a.givePages(d)
	case p.live == 0 && p != d.newest():
		a.givePage(d, p)
	}
}

// givePage gives back one page of several.
func (a *Arena) givePage(d *side, p *page) {
	a.giveBuffer(p.buf, p.lent)
	d.room -= len(p.buf)
	n := len(d.list) - 1
	for i, at := 0, p.at; i < n; i++ {
		if d.list[i].at >= at {
			d.list[i] = d.list[i+1]
		}
	}
	d.list[n] = page{}
	d.list = d.list[:n]
}

// addPage adds an empty page, in the place of the last one if that is dead.
func (a *Arena) addPage(d *side, size int) {
	if last := d.newest(); last != nil && last.live == 0 {
		a.givePage(d, last)
	}
	if n := d.longer(); n > cap(d.list) {
		a.moveList(d, n)
	}
	at := uint32(d.end())
	d.list = append(d.list, page{buf: a.takeBuffer(size), at: at})
	d.used, d.room = 0, d.room+size
}

// moveList moves the list of pages to one of the given capacity.
func (a *Arena) moveList(d *side, capacity int) {
	list, used := d.one[:0], d.used
	if capacity > 1 {
		list = append(a.takeList(capacity)[:0], d.list...)
	}
	a.giveList(d)
	d.list, d.used = list, used
}

// moveExtents moves the extents to a ring of the given size.
func (a *Arena) moveExtents(d *side, size int) {
	ring := a.takeRing(size)
	a.giveRing(d.rehouse(ring))
}

// moveBytes moves the live bytes to one page of the given size.
func (a *Arena) moveBytes(d *side, size int) {
	buf := a.takeBuffer(size)
	w := 0
	for i := range d.n {
		e := d.at(i)
		off := w
		w += copy(buf[w:], d.page(e).bytes(e))
		e.off = uint32(off)
	}
	a.givePages(d)
	d.list = append(d.one[:0], page{buf: buf, live: uint32(w)})
	d.used, d.live, d.room = uint32(w), w, size
	a.stats.Moves++
	a.stats.MovedBytes += uint64(w)
}

// givePages gives back all pages, and the list.
func (a *Arena) givePages(d *side) {
	for i := range d.list {
		a.giveBuffer(d.list[i].buf, d.list[i].lent)
	}
	a.giveList(d)
	d.live, d.room = 0, 0
}
