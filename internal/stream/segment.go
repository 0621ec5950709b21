package stream

import "math"

// Segment is a run of bytes as it arrived.
type Segment struct {
	Pos   int64  // position of the first byte; may lie below Next, even below 0
	Bytes []byte // borrowed for the call; Data items may refer to it
	// Missing counts trailing bytes that exist but that the capture does not
	// hold. They are a hole like any other. Negative counts as 0.
	Missing int
	Time    int64  // handed through
	ID      uint64 // handed through
}

// arrival is a segment on its way in: what is left of it above the delivered
// position, and how far the original reached.
type arrival struct {
	pos, end int64  // bytes still wanted
	from, to int64  // as sent, with the old head and the missing tail
	bytes    []byte // the bytes of [pos, end)
	time     int64
	id       uint64
}

// arrive gives the arrival, or false for a segment whose end is not a position.
// A length beyond 31 bits is none that a frame can have.
func (seg *Segment) arrive() (n arrival, ok bool) {
	size := int64(len(seg.Bytes))
	if size > math.MaxInt32 || seg.Pos > math.MaxInt64-size {
		return n, false
	}
	n = arrival{
		pos: seg.Pos, end: seg.Pos + size, from: seg.Pos, to: math.MaxInt64,
		bytes: seg.Bytes, time: seg.Time, id: seg.ID,
	}
	if missing := int64(max(seg.Missing, 0)); n.end <= math.MaxInt64-missing {
		n.to = n.end + missing
	}
	return n, true
}

// cut drops what lies below next.
func (n *arrival) cut(next int64) {
	if n.end <= next {
		n.bytes, n.pos, n.end = nil, next, next
	} else if n.pos < next {
		n.bytes = n.bytes[next-n.pos:]
		n.pos = next
	}
}

// piece is the extent of the bytes [lo, hi) of the arrival, not stored yet.
func (n *arrival) piece(lo, hi int64) extent {
	return extent{
		pos: lo, since: n.time, time: n.time, id: n.id,
		n: saturate(hi - lo), before: saturate(lo - n.from), after: saturate(n.to - hi),
		off: inFrame,
	}
}
