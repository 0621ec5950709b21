package stream

import "math"

// pageList is the bytes of one buffer, in order of arrival, in a few pages. The offset of an extent
// counts through all of them:
//
//	list  [bbbbbb--aaaa|cccccc...|-ddd-----]
//	       base 0       base 12   base 21 ^ used     live = 19
//
// -- was delivered or overwritten. Bytes go to the last page. When that is full another is added,
// with at least a quarter of the present capacity, so that no byte moves. A page without live
// bytes is given back at once, except the last one, which is used again. The bytes are compacted
// into one new page only if too much of the space is dead or a limit leaves no other way.
type pageList struct {
	list     []page
	used     uint32 // bytes used in the last page, dead ones included
	live     int    // bytes of extents, in all pages
	capacity int    // of all pages
	inline   [1]page
}

type page struct {
	buf  []byte
	lent uint64 // the arena's period in which an Item last referred to buf
	base uint32 // the offset of its first byte
	live uint32
}

const (
	minPage   = 64      // the smallest
	pageBytes = 40      // the size of an entry of the list. A test holds it.
	maxOffset = 1 << 31 // offsets stay below; before that the bytes are compacted
)

// lastPage is the last page, or nil.
func (q *pageList) lastPage() *page {
	if n := len(q.list); n > 0 {
		return &q.list[n-1]
	}
	return nil
}

// free is the free space of the last page.
func (q *pageList) free() int {
	if n := len(q.list); n > 0 {
		return len(q.list[n-1].buf) - int(q.used)
	}
	return 0
}

// endOffset is the offset behind the last page.
func (q *pageList) endOffset() uint64 {
	if n := len(q.list); n > 0 {
		return uint64(q.list[n-1].base) + uint64(len(q.list[n-1].buf))
	}
	return 0
}

// listBytes is the memory of the list, 0 if it is the inline one.
func (q *pageList) listBytes() int { return listBytes(cap(q.list)) }

func listBytes(capacity int) int {
	if capacity <= 1 {
		return 0
	}
	return capacity * pageBytes
}

// grownCap is the capacity that the list needs for another page.
func (q *pageList) grownCap() int {
	if n := len(q.list); n > 0 && n == cap(q.list) {
		return sizeUp(n + n/2 + 1)
	}
	return max(cap(q.list), 1)
}

// page is the page of a held extent. There are few pages: unless a limit was near, each had at least
// a quarter of the capacity of those before it.
func (q *pageList) page(e *extent) *page { return q.pageAt(e.off) }

func (q *pageList) pageAt(off uint32) *page {
	i := 0
	for off-q.list[i].base >= uint32(len(q.list[i].buf)) {
		i++
	}
	return &q.list[i]
}

// bytes are the bytes of a held extent.
func (p *page) bytes(e *extent) []byte {
	off := e.off - p.base
	return p.buf[off : off+e.n : off+e.n]
}

// addPage adds an empty page. It replaces the last one if that has no live bytes.
func (a *Arena) addPage(d *buffer, size int) {
	if last := d.lastPage(); last != nil && last.live == 0 {
		a.removePage(d, last)
	}
	if n := d.grownCap(); n > cap(d.list) {
		a.resizeList(d, n)
	}
	base := uint32(d.endOffset())
	d.list = append(d.list, page{buf: a.allocPage(size), base: base})
	d.used, d.capacity = 0, d.capacity+size
}

// removePage removes one page of several.
func (a *Arena) removePage(d *buffer, p *page) {
	a.freePage(p.buf, p.lent)
	d.capacity -= len(p.buf)
	n := len(d.list) - 1
	for i, base := 0, p.base; i < n; i++ {
		if d.list[i].base >= base {
			d.list[i] = d.list[i+1]
		}
	}
	d.list[n] = page{}
	d.list = d.list[:n]
}

// removePages removes all pages, and the list.
func (a *Arena) removePages(d *buffer) {
	for i := range d.list {
		a.freePage(d.list[i].buf, d.list[i].lent)
	}
	a.freeList(d)
	d.live, d.capacity = 0, 0
}

// dropBytes marks n bytes as dead that lie in the page of an offset. The last page stays as long as there are
// others: a sender that fills one hole after the other with a byte each would otherwise make the
// arena allocate and free a large page for every byte.
func (a *Arena) dropBytes(d *buffer, off, n uint32) {
	p := d.pageAt(off)
	p.live -= n
	d.live -= int(n)
	switch {
	case d.live == 0:
		a.removePages(d)
	case p.live == 0 && p != d.lastPage():
		a.removePage(d, p)
	}
}

// compact moves all live bytes to one page of the given size.
func (a *Arena) compact(d *buffer, size int) {
	buf := a.allocPage(size)
	w := 0
	for i := d.first; i < len(d.blocks); i++ {
		b := &d.blocks[i]
		w += d.gather(b, buf[w:], uint32(w))
		b.setLinear()
	}
	a.removePages(d)
	d.list = append(d.inline[:0], page{buf: buf, live: uint32(w)})
	d.used, d.live, d.capacity = uint32(w), w, size
	a.stats.Moves++
	a.stats.MovedBytes += uint64(w)
}

// resizeList moves the list of pages to one of the given capacity.
func (a *Arena) resizeList(d *buffer, capacity int) {
	list, used := d.inline[:0], d.used
	if capacity > 1 {
		list = append(a.allocList(capacity)[:0], d.list...)
	}
	a.freeList(d)
	d.list, d.used = list, used
}

// gather copies the bytes of a block behind each other to buf, whose offset is off.
func (q *pageList) gather(b *block, buf []byte, off uint32) (size int) {
	list := b.extents()
	if b.state == linear {
		whole := list[0]
		whole.n = uint32(b.back().end() - whole.pos)
		size = copy(buf, q.page(&whole).bytes(&whole))
		for i := range list {
			list[i].off += off - whole.off
		}
		return size
	}
	for i := range list {
		e := &list[i]
		k := copy(buf[size:], q.page(e).bytes(e))
		e.off = off + uint32(size)
		size += k
	}
	return size
}

// minLinear is the number of extents from which on it is worth to move their bytes for a comparison.
const minLinear = 16

// straighten makes block number i linear, if its extents touch. Its bytes move, but they are no more than
// those of the segment that asks, and only after a block has changed.
func (a *Arena) straighten(d *buffer, i int) bool {
	b := &d.blocks[i]
	if !b.touching() {
		b.state = changed
		return false
	}
	size := int(b.back().end() - b.front().pos)
	if size > d.free() {
		// All bytes move then, with so much free space that it takes many segments to fill it.
		page := sizeUp(max(d.live+(d.live+d.n*moveBytes)/4, minPage))
		delta := page - d.capacity - d.listBytes()
		if d.cost()+delta > a.limits.SideBytes || !a.affords(delta, page) {
			return false
		}
		a.compact(d, page)
		return true
	}
	for list, k := b.extents(), 0; k < len(list); k++ {
		d.page(&list[k]).live -= list[k].n
	}
	p := d.lastPage()
	d.gather(b, p.buf[d.used:], p.base+d.used)
	p.live += uint32(size)
	d.used += uint32(size)
	for k := len(d.list) - 2; k >= 0; k-- {
		if d.list[k].live == 0 {
			a.removePage(d, &d.list[k])
		}
	}
	b.setLinear()
	a.stats.MovedBytes += uint64(size)
	return true
}

// setLinear records that the bytes of a block lie behind each other in one page.
func (b *block) setLinear() {
	if b.state == linear || !b.touching() {
		return
	}
	b.state, b.maxFrom = linear, math.MinInt64
	for _, e := range b.extents() {
		b.maxFrom = max(b.maxFrom, e.from())
	}
}

// touching reports whether the extents of a block touch each other.
func (b *block) touching() bool {
	list := b.extents()
	for i := 1; i < len(list); i++ {
		if list[i].pos != list[i-1].end() {
			return false
		}
	}
	return true
}
