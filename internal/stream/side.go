package stream

// side is the record of a stream that waits for something, or remembers.
type side struct {
	ranges
	pages
	tail
	past
}

// recordBytes is the size of a record on a 64-bit machine. A
// test holds it.
const recordBytes = 184

// tail is the hole behind the last extent: bytes cut off by the capture.
type tail struct {
	known     int64 // bytes below this exist; 0 or old if there is no such hole
	tailSince int64 // when the hole was first seen
}

// cost is what the side occupies, apart from what it remembers.
func (d *side) cost() int {
	return recordBytes + len(d.ring)*extentBytes + d.listBytes() + d.room
}

// last is where the known bytes end that are held or delivered.
func (d *side) last(next int64) int64 {
	if d.n == 0 {
		return next
	}
	return d.at(d.n - 1).end()
}

// holeSince tells when the hole in front of extent i, or behind the last extent,
// was first seen. A hole that is split leaves two of the same age.
func (d *side) holeSince(i int, next, now int64) int64 {
	switch {
	case i < d.n:
		return d.at(i).since
	case d.known > d.last(next):
		return d.tailSince
	}
	return now
}

// side is the record of s, or nil.
func (a *Arena) side(s *Stream) *side {
	if s.side == 0 || uint64(s.side) > uint64(len(a.sides)) {
		return nil
	}
	return a.sides[s.side-1]
}

// open gives s an empty record. Whoever calls has asked whether it is affordable.
func (a *Arena) open(s *Stream) *side {
	var d *side
	if k := len(a.spare); k > 0 {
		d, a.spare = a.spare[k-1], a.spare[:k-1]
		a.idle -= recordBytes
	} else {
		d = new(side)
	}
	if k := len(a.vacant); k > 0 {
		s.side, a.vacant = a.vacant[k-1], a.vacant[:k-1]
		a.sides[s.side-1] = d
	} else {
		a.sides = append(a.sides, d)
		s.side = uint32(len(a.sides))
	}
	a.held += recordBytes
	return d
}

// close releases everything of s.
func (a *Arena) close(s *Stream, d *side) {
	a.held -= int64(recordBytes + len(d.kept))
	a.giveRing(d.ring)
	a.givePages(d)
	a.rest(d.kept)
	*d = side{}
	if a.idle+recordBytes <= a.idleLimit() {
		a.spare = append(a.spare, d)
		a.idle += recordBytes
	}
	a.sides[s.side-1] = nil
	a.vacant = append(a.vacant, s.side)
	s.side = 0
	// After a peak the tables go as well.
	if len(a.vacant) == len(a.sides) && cap(a.sides) > 1024 {
		a.sides, a.vacant = nil, nil
	}
}

// settle gives back what the side does not need any more after a delivery.
func (a *Arena) settle(s *Stream, d *side) {
	if d == nil {
		return
	}
	if d.n == 0 && d.known <= s.next && len(d.kept) == 0 {
		a.close(s, d)
		return
	}
	// A side that held much and holds little moves to a smaller house. It had to let
	// go three quarters since the last move, so this too is paid for.
	ring := sizeUp(2 * d.n)
	if old := len(d.ring); old > 16 && ring < old/4 && a.affords((ring-old)*extentBytes, ring*extentBytes) {
		a.moveExtents(d, ring)
	}
	buf := sizeUp(max(2*d.live, minPage))
	if old := d.room; old > 1024 && buf < old/4 && a.affords(buf-old, buf) {
		a.moveBytes(d, buf)
	}
}
