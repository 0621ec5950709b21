package stream

import "slices"

// extentList is the extents of one buffer: sorted, disjoint, in blocks of at most blockExtents. So an
// insertion anywhere moves the extents of one block, and now and then the list of blocks, but never all
// extents; and delivery at the front moves none.
//
//	blocks  [ABC.|..DE|FGHI]     n = 9
//
// A list of a few extents is one block, which grows with it. A full block of several is split. Extents
// that touch are an island; only islands count against Limits.SidePieces.
type extentList struct {
	blocks      []block // those before first were delivered
	inlineBlock [1]block
	first       int
	n           int
	islands     int
	room        int // extents that all blocks can hold
}

// block is a few extents: mem[lo:hi].
type block struct {
	mem     []extent
	lo, hi  uint16
	state   blockState
	maxFrom int64 // if it is linear: where the last of its segments began
}

type blockState uint8

const (
	changed  blockState = iota
	compared            // since it changed, it was compared with a segment, extent by extent
	// linear: the extents touch each other, and their bytes lie behind each other in one page. So a
	// segment is compared with all of them at once, as if they were one extent.
	linear
)

const (
	blockExtents = 64 // the most in one block
	blockBytes   = 40 // the size of an entry of the list of blocks. A test holds it.
	newBlock     = 16 // the smallest block beside others
)

func (b *block) extents() []extent { return b.mem[b.lo:b.hi] }

func (b *block) len() int { return int(b.hi - b.lo) }

func (b *block) front() *extent { return &b.mem[b.lo] }

func (b *block) back() *extent { return &b.mem[b.hi-1] }

// place is where an extent is, or would be: block b, and the k-th extent in it.
type place struct{ b, k int }

// front and back are the first and the last extent. There must be one.
func (q *extentList) front() *extent { return q.blocks[q.first].front() }

func (q *extentList) back() *extent { return q.blocks[len(q.blocks)-1].back() }

// find is the place of the first extent that ends above pos.
func (q *extentList) find(pos int64) place {
	// Most early data lies behind all held bytes.
	if q.n == 0 || q.back().end() <= pos {
		return place{len(q.blocks), 0}
	}
	if q.front().end() > pos {
		return place{q.first, 0}
	}
	lo, hi := q.first, len(q.blocks)-1
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if q.blocks[mid].back().end() > pos {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	b, list := lo, q.blocks[lo].extents()
	lo, hi = 0, len(list)-1
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if list[mid].end() > pos {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return place{b, lo}
}

// at is the extent at a place; nil behind the last one.
func (q *extentList) at(p place) *extent {
	if p.b >= len(q.blocks) {
		return nil
	}
	return &q.blocks[p.b].extents()[p.k]
}

// before is the extent in front of a place, or nil.
func (q *extentList) before(p place) *extent {
	switch {
	case p.k > 0:
		return &q.blocks[p.b].extents()[p.k-1]
	case p.b > q.first:
		return q.blocks[p.b-1].back()
	}
	return nil
}

// after is the place behind that of an extent.
func (q *extentList) after(p place) place {
	if p.k++; p.k == q.blocks[p.b].len() {
		return place{p.b + 1, 0}
	}
	return p
}

// extentMemory is the memory of the blocks and of their list.
func (q *extentList) extentMemory() int {
	return q.room*extentBytes + blockListBytes(cap(q.blocks))
}

func blockListBytes(capacity int) int {
	if capacity <= 1 {
		return 0
	}
	return capacity * blockBytes
}

// growth is how much memory n more extents cost at most, in touched blocks of which the first is at p:
// how much more is held, and how much of it is allocated before other memory is freed.
func (q *extentList) growth(p place, n, touched int) (delta, fresh int) {
	atEnd := p.b == len(q.blocks)
	if len(q.blocks) == 0 {
		p.k = -1
	} else if atEnd {
		p.b--
	}
	if p.k >= 0 && touched <= 1 {
		b := &q.blocks[p.b]
		if b.len()+n <= len(b.mem) {
			return 0, 0
		}
		if b.len()+n <= blockExtents {
			fresh = grownBlock(b.len()+n) * extentBytes
			return fresh - len(b.mem)*extentBytes, fresh
		}
	} else if p.k < 0 {
		fresh = grownBlock(1) * extentBytes
		return fresh, fresh
	}
	splits := 1
	switch {
	case touched > 1:
		// Each block is split once, and again for each half of a block that comes. It may have been small.
		splits = touched + n/(blockExtents/2)
		fresh = (splits + touched) * blockExtents * extentBytes
	case n == 1 && atEnd:
		fresh = q.nextBlock() * extentBytes
	default:
		fresh = 2 * blockExtents * extentBytes
	}
	if want := len(q.blocks) + splits; want > cap(q.blocks) {
		fresh += blockListBytes(grownBlockList(want))
	}
	return fresh, fresh
}

// nextBlock is the size of a block that is added behind all extents.
func (q *extentList) nextBlock() int { return min(max(sizeUp(q.n/4), newBlock), blockExtents) }

// grownBlock is the size of a block that has to hold n extents. Most holes of connections that pause have
// one segment behind them.
func grownBlock(n int) int {
	if n <= 1 {
		return 1
	}
	return min(max(sizeUp(n+n/4), 4), blockExtents)
}

func grownBlockList(n int) int { return sizeUp(n + n/2) }

// insertExtent puts an extent in front of that at a place. The caller has checked that the budget affords it.
func (a *Arena) insertExtent(q *extentList, p place, e *extent) {
	if len(q.blocks) == 0 {
		a.addBlock(q, 0, grownBlock(1))
		p = place{}
	} else if p.b == len(q.blocks) {
		p.b--
		p.k = q.blocks[p.b].len()
	}
	b := &q.blocks[p.b]
	if b.len() == len(b.mem) {
		p = a.makePlace(q, p)
		b = &q.blocks[p.b]
	}
	b.insert(p.k, e)
	q.n++
}

// insert puts an extent in front of the k-th. The block has room.
func (b *block) insert(k int, e *extent) {
	n, lo, hi := b.len(), int(b.lo), int(b.hi)
	switch {
	case lo > 0 && (k < n/2 || hi == len(b.mem)) && k < n:
		copy(b.mem[lo-1:], b.mem[lo:lo+k])
		lo--
	case hi == len(b.mem):
		// All the way, so that it is not done for each of a row of segments.
		copy(b.mem, b.mem[lo:hi])
		lo, hi = 0, n+1
	default:
		copy(b.mem[lo+k+1:], b.mem[lo+k:hi])
		hi++
	}
	b.mem[lo+k] = *e
	b.lo, b.hi, b.state = uint16(lo), uint16(hi), changed
}

// makePlace makes room in the full block of a place, and returns the place that it is then.
func (a *Arena) makePlace(q *extentList, p place) place {
	b := &q.blocks[p.b]
	n := b.len()
	if n < blockExtents {
		a.resizeBlock(q, b, grownBlock(n+1))
		return p
	}
	switch {
	case p.k == 0 && p.b > q.first && q.blocks[p.b-1].len() < len(q.blocks[p.b-1].mem):
		return place{p.b - 1, q.blocks[p.b-1].len()}
	case p.k == 0:
		// A quarter goes along, so that one extent that comes and goes costs no block each time; and
		// in front of it is room for more.
		i := a.addBlock(q, p.b, blockExtents)
		b, next := &q.blocks[i], &q.blocks[i+1]
		b.lo, b.hi = blockExtents-blockExtents/4, blockExtents
		copy(b.extents(), next.extents())
		b.state, b.maxFrom = next.state, next.maxFrom
		next.lo += blockExtents / 4
		return place{i, 0}
	case p.k == n: // behind all
		return place{a.addBlock(q, p.b+1, q.nextBlock()), 0}
	}
	i := a.addBlock(q, p.b+1, grownBlock(n/2))
	b, next := &q.blocks[i-1], &q.blocks[i]
	next.hi = uint16(copy(next.mem, b.extents()[n/2:]))
	next.state, next.maxFrom = b.state, b.maxFrom
	b.hi -= next.hi
	a.resizeBlock(q, b, grownBlock(n/2))
	if p.k > n/2 {
		return place{i, p.k - n/2}
	}
	return place{i - 1, p.k}
}

// addBlock adds an empty block as number i, and returns its number, since that of others may change.
func (a *Arena) addBlock(q *extentList, i, size int) int {
	mem := a.allocExtents(size)
	q.room += size
	switch {
	case cap(q.blocks) == 0:
		q.blocks = q.inlineBlock[:0]
	case len(q.blocks) < cap(q.blocks):
	case q.first > len(q.blocks)/2:
		q.blocks = slices.Delete(q.blocks, 0, q.first)
		i, q.first = i-q.first, 0
	default:
		live := q.blocks[q.first:]
		list := append(a.allocBlockList(grownBlockList(len(live) + 1))[:0], live...)
		a.freeBlockList(q)
		q.blocks = list
		i, q.first = i-q.first, 0
	}
	q.blocks = slices.Insert(q.blocks, i, block{mem: mem})
	return i
}

// removeBlock removes a block, which is empty.
func (a *Arena) removeBlock(q *extentList, i int) {
	q.room -= len(q.blocks[i].mem)
	a.freeExtents(q.blocks[i].mem)
	if len(q.blocks)-q.first == 1 {
		a.freeBlockList(q)
		q.blocks, q.first = nil, 0
		return
	}
	if i == q.first {
		q.blocks[i] = block{}
		q.first++
		return
	}
	q.blocks = slices.Delete(q.blocks, i, i+1)
}

// removeExtents removes k extents, at a place and behind it, of one block, and returns the place of
// what lies behind them.
func (a *Arena) removeExtents(q *extentList, p place, k int) place {
	b := &q.blocks[p.b]
	q.n -= k
	if k == b.len() {
		a.removeBlock(q, p.b)
		if len(q.blocks) == 0 {
			return place{}
		}
		return place{max(p.b, q.first), 0}
	}
	copy(b.extents()[p.k:], b.extents()[p.k+k:])
	b.hi -= uint16(k)
	b.state = changed
	if next := p.b + 1; next < len(q.blocks) && b.len()+q.blocks[next].len() <= min(len(b.mem), blockExtents/2) {
		a.joinBlocks(q, p.b)
	}
	if b = &q.blocks[p.b]; p.k == b.len() {
		return place{p.b + 1, 0}
	}
	return p
}

// joinBlocks moves the extents of the block behind number i into that, which has room.
func (a *Arena) joinBlocks(q *extentList, i int) {
	b, next := &q.blocks[i], &q.blocks[i+1]
	copy(b.mem, b.extents())
	b.lo, b.hi = 0, uint16(b.len())
	b.hi += uint16(copy(b.mem[b.hi:], next.extents()))
	b.state = changed
	a.removeBlock(q, i+1)
}

// popFront removes the first extent.
func (a *Arena) popFront(q *extentList) {
	b := &q.blocks[q.first]
	end := b.mem[b.lo].end()
	b.lo++
	q.n--
	if b.lo == b.hi {
		a.removeBlock(q, q.first)
	}
	if q.n == 0 || q.front().pos != end {
		q.islands--
	}
}

// popBack removes the last extent.
func (a *Arena) popBack(q *extentList) {
	b := &q.blocks[len(q.blocks)-1]
	pos := b.back().pos
	b.hi--
	q.n--
	if b.lo == b.hi {
		a.removeBlock(q, len(q.blocks)-1)
	}
	if q.n == 0 || q.back().end() != pos {
		q.islands--
	}
}

// resizeBlock moves the extents of a block to memory of the given size.
func (a *Arena) resizeBlock(q *extentList, b *block, size int) {
	q.room += size - len(b.mem)
	mem := a.allocExtents(size)
	n := copy(mem, b.extents())
	a.freeExtents(b.mem)
	b.mem, b.lo, b.hi = mem, 0, uint16(n)
}

// shrinkExtents gives back memory of a list that has become short.
func (a *Arena) shrinkExtents(q *extentList) {
	live := len(q.blocks) - q.first
	if c := cap(q.blocks); c > 1 && live > 0 && (live == 1 || c > 16 && grownBlockList(live) < c/4) {
		list := q.inlineBlock[:0]
		if live > 1 {
			size := grownBlockList(live)
			if !a.affords(blockListBytes(size)-blockListBytes(c), blockListBytes(size)) {
				return
			}
			list = a.allocBlockList(size)[:0]
		}
		list = append(list, q.blocks[q.first:]...)
		a.freeBlockList(q)
		q.blocks, q.first = list, 0
	}
	if live == 1 {
		b := &q.blocks[q.first]
		size := sizeUp(2 * b.len())
		if old := len(b.mem); old > 16 && size < old/4 && a.affords((size-old)*extentBytes, size*extentBytes) {
			a.resizeBlock(q, b, size)
		}
	}
}

// releaseExtents releases all memory of a list.
func (a *Arena) releaseExtents(q *extentList) {
	for i := q.first; i < len(q.blocks); i++ {
		a.freeExtents(q.blocks[i].mem)
	}
	a.freeBlockList(q)
	q.blocks, q.first, q.n, q.islands, q.room = nil, 0, 0, 0, 0
}
