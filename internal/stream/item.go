package stream

import "math"

// Item is one result of a call on a stream. The Data and Gap items of a stream follow each other
// without a hole or an overlap: their lengths add up to Next. Within a call Duplicate, Late and
// Conflict come first, then Data and Gap by position.
type Item struct {
	Kind  Kind
	Cause GapCause // of a Gap
	// Shared is set in a Gap with cause Budget if TotalBytes was the limit, not one of the
	// stream's own.
	Shared bool
	Pos    int64
	Len    int64
	// Bytes of Data: good until Arena.Reclaim, or until the frame is reused. Of a Conflict: the
	// arriving copy of the range, which is the frame's. Otherwise nil.
	Bytes []byte
	// After of Data: how far the segment reached behind these bytes. If a hole follows, the
	// capture cut off that many bytes.
	After int64
	Time  int64  // of the segment the bytes came in; 0 for a Gap
	ID    uint64 // of the same segment; 0 for a Gap
}

// Kind says what an Item is about.
type Kind uint8

const (
	// Data: these are the bytes of [Pos, Pos+Len).
	Data Kind = iota + 1
	// Gap: the bytes of [Pos, Pos+Len) were never seen, and were given up.
	Gap
	// Conflict: an arriving segment overlaps bytes that were there already, and the first and the
	// last byte of [Pos, Pos+Len) differ between the copies. One item for each unbroken range of
	// overlapped bytes, whichever segments own them.
	Conflict
	// Duplicate: the bytes of [Pos, Pos+Len) were delivered or held already.
	Duplicate
	// Late: the bytes of [Pos, Pos+Len) arrived after they were given up. There is no Duplicate
	// beside it for the segment's other old bytes. A stream remembers its newest gap only; bytes
	// of older ones are duplicates.
	Late
	// Refused: a segment that ends beyond the last position, or is longer than 2 GiB.
	Refused
)

// String is the name in lower case.
func (k Kind) String() string {
	switch k {
	case Data:
		return "data"
	case Gap:
		return "gap"
	case Conflict:
		return "conflict"
	case Duplicate:
		return "duplicate"
	case Late:
		return "late"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// GapCause is why a hole was given up. Only Budget is this package's own
// decision; the others are what a caller may give as its reason.
type GapCause uint8

const (
	// Acknowledged: the receiver has acknowledged the bytes, so they will not be sent again.
	Acknowledged GapCause = iota + 1
	// Expired: the hole was open for too long.
	Expired
	// Budget: there was no room to hold the bytes behind the hole.
	Budget
	// Cut: the capture holds only the beginning of the packet.
	Cut
	// Ended: the stream is over.
	Ended
)

// String is the name in lower case.
func (c GapCause) String() string {
	switch c {
	case Acknowledged:
		return "acknowledged"
	case Expired:
		return "expired"
	case Budget:
		return "budget"
	case Cut:
		return "cut"
	case Ended:
		return "ended"
	}
	return "unknown"
}

// deliver appends a Data item for b, the bytes at next.
func (a *Arena) deliver(s *Stream, d *buffer, e *extent, b []byte, out *[]Item) {
	*out = append(*out, Item{
		Kind: Data, Pos: s.next, Len: int64(len(b)), Bytes: b, After: int64(e.after), Time: e.time, ID: e.id,
	})
	s.next += int64(len(b))
	if d != nil {
		d.keep(b)
	}
}

// deliverMerged delivers an arrival that begins at next, or overlaps an extent that does, and the held
// bytes contiguous with it.
//
//	there      ....aaaa....bb..cc      next = 0
//	arriving   NNNNNNNNNNNN
//	(first)    NNNN|aaaa|NNNN|bb       four items, no copy
func (a *Arena) deliverMerged(s *Stream, d *buffer, m *merger, n *arrival, out *[]Item) {
	for _, r := range m.won {
		a.deliverUpTo(s, d, r.lo, out)
		e := n.extent(r.lo, r.hi)
		lo, hi := r.lo-n.pos, r.hi-n.pos
		a.deliver(s, d, &e, n.bytes[lo:hi:hi], out)
	}
	a.deliverUpTo(s, d, math.MaxInt64, out)
}

// deliverUpTo delivers the held bytes that are contiguous with next, up to the position end, and drops
// those below next: an arrival has won them.
func (a *Arena) deliverUpTo(s *Stream, d *buffer, end int64, out *[]Item) {
	for d != nil && d.n > 0 {
		e := d.front()
		if e.end() > s.next {
			if e.pos > s.next || s.next >= end {
				return
			}
			p := d.page(e)
			p.lent = a.period
			if e.pos == s.next && e.end() <= end {
				a.deliver(s, d, e, p.bytes(e), out)
			} else {
				part := e.part(s.next, min(e.end(), end))
				a.deliver(s, d, &part, p.bytes(&part), out)
				if e.end() > s.next {
					return
				}
			}
		}
		a.dropBytes(d, e.off, e.n)
		a.popFront(&d.extentList)
	}
}

// giveUp makes [next, end) a gap. It costs the same whatever its length.
func (a *Arena) giveUp(s *Stream, d *buffer, end int64, cause GapCause, out *[]Item) {
	size := end - s.next
	shared := cause == Budget && a.totalFull
	*out = append(*out, Item{Kind: Gap, Cause: cause, Shared: shared, Pos: s.next, Len: size})
	s.next, s.gapEnd, s.gapLen = end, end, saturate(size)
	a.stats.Gaps++
	a.stats.GapBytes += uint64(size)
	if cause == Budget {
		a.stats.BudgetGaps++
		a.stats.BudgetBytes += uint64(size)
	}
	if d != nil {
		d.discard()
	}
}
