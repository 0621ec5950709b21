package stream

import "math"

// extent is a run of held bytes that one segment owns.
type extent struct {
	pos    int64
	since  int64 // when the hole in front of it, if any, was first seen
	time   int64 // of its segment
	id     uint64
	n      uint32 // length, never 0
	before uint32 // how far the segment reached below pos
	after  uint32 // how far it reached above the end
	off    uint32 // the offset of the bytes in the buffer's pages, or inFrame
}

// extentBytes is the size of an extent. A test holds it.
const extentBytes = 48

// inFrame marks an extent whose bytes are still in the arriving segment's frame. No buffer is that
// long.
const inFrame = math.MaxUint32

func (e *extent) end() int64 { return e.pos + int64(e.n) }

// from and to are the original extent of the segment.
func (e *extent) from() int64 { return e.pos - int64(e.before) }

func (e *extent) to() int64 { return e.end() + int64(e.after) }

// part is the part [lo, hi) of e.
func (e *extent) part(lo, hi int64) extent {
	p := *e
	head, tail := saturate(lo-e.pos), saturate(e.end()-hi)
	p.pos = lo
	p.n -= head + tail
	p.off += head
	p.before = saturate(int64(e.before) + int64(head))
	p.after = saturate(int64(e.after) + int64(tail))
	return p
}

// saturate keeps a distance within 32 bits. A segment longer than that decides
// its overlaps as if it had been as long as this.
func saturate(n int64) uint32 {
	return uint32(min(max(n, 0), math.MaxUint32))
}

// extentRing is the extents of one buffer: sorted, disjoint, in a ring, so that delivery at the
// front moves none and an insertion moves the fewer of those before and behind it.
//
//	          head
//	ring [ C D  .  .  A B ]     n = 4
type extentRing struct {
	ring []extent
	head int
	n    int
}

// at is the extent number i, counted from the front.
func (q *extentRing) at(i int) *extent {
	i += q.head
	if i >= len(q.ring) {
		i -= len(q.ring)
	}
	return &q.ring[i]
}

// firstAbove is the number of the first extent that ends above pos.
func (q *extentRing) firstAbove(pos int64) int {
	// Most early data lies behind all held bytes.
	if q.n == 0 || q.at(q.n-1).end() <= pos {
		return q.n
	}
	lo, hi := 0, q.n-1
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if q.at(mid).end() > pos {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// dropFront removes k extents from the front.
func (q *extentRing) dropFront(k int) {
	q.n -= k
	q.head += k
	if q.head >= len(q.ring) {
		q.head -= len(q.ring)
	}
	if q.n == 0 {
		q.head = 0
	}
}

// splice replaces the extents [i, j) by list. The ring must have room.
func (q *extentRing) splice(i, j int, list []extent) {
	grow := len(list) - (j - i)
	switch {
	case grow == 0:
	case q.n-j <= i:
		q.move(j, j+grow, q.n-j)
	default:
		// The front moves the other way, and the numbering with it.
		q.head -= grow
		if q.head < 0 {
			q.head += len(q.ring)
		} else if q.head >= len(q.ring) {
			q.head -= len(q.ring)
		}
		q.move(grow, 0, i)
	}
	q.n += grow
	for k := range list {
		*q.at(i + k) = list[k]
	}
}

// move copies k extents from number src to number dst. The ranges may overlap and may lie outside
// [0, n).
func (q *extentRing) move(src, dst, k int) {
	if src < dst {
		for i := k - 1; i >= 0; i-- {
			*q.wrapped(dst + i) = *q.wrapped(src + i)
		}
		return
	}
	for i := range k {
		*q.wrapped(dst + i) = *q.wrapped(src + i)
	}
}

// wrapped is at for numbers from -len(ring) to 2*len(ring).
func (q *extentRing) wrapped(i int) *extent {
	i += q.head
	if i < 0 {
		i += len(q.ring)
	} else if i >= len(q.ring) {
		i -= len(q.ring)
	}
	return &q.ring[i]
}

// setRing moves the extents to another ring and returns the old one.
func (q *extentRing) setRing(ring []extent) []extent {
	for i := range q.n {
		ring[i] = *q.at(i)
	}
	old := q.ring
	q.ring, q.head = ring, 0
	return old
}
