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
