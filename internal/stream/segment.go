package stream

import "math"

// Segment is a run of bytes as it arrived.
type Segment struct {
	Pos   int64  // position of the first byte; may lie below Next, even below 0
	Bytes []byte // borrowed for the call; Data items may refer to it
	// Missing counts trailing bytes that exist but that the capture does not
	// hold. They are a hole like any other. A negative number counts as 0.
	Missing int
	Time    int64  // copied to the Items of the segment
	Now     int64  // when it arrived: from then on a hole is as old as FirstHole says
	ID      uint64 // copied likewise
	Owner   uint64 // what Largest says of the stream if bytes of the segment are held
}

// arrival is the segment that Insert works on: the part above the delivered position, and the
// range of the original.
type arrival struct {
	pos, end int64  // bytes not delivered yet
	from, to int64  // as sent, with the old head and the missing tail
	bytes    []byte // the bytes of [pos, end)
	time     int64
	now      int64
	id       uint64
	owner    uint64
	at       place // of the first extent that ends above pos
}

// arrival makes an arrival of the segment; ok is false if its end is not a valid position. No frame
// is longer than 31 bits can count.
func (seg *Segment) arrival() (n arrival, ok bool) {
	size := int64(len(seg.Bytes))
	if size > math.MaxInt32 || seg.Pos > math.MaxInt64-size {
		return n, false
	}
	n = arrival{
		pos: seg.Pos, end: seg.Pos + size, from: seg.Pos, to: math.MaxInt64,
		bytes: seg.Bytes, time: seg.Time, now: seg.Now, id: seg.ID, owner: seg.Owner,
	}
	if missing := int64(max(seg.Missing, 0)); n.end <= math.MaxInt64-missing {
		n.to = n.end + missing
	}
	return n, true
}

// trimBelow drops the bytes below next.
func (n *arrival) trimBelow(next int64) {
	if n.end <= next {
		n.bytes, n.pos, n.end = nil, next, next
	} else if n.pos < next {
		n.bytes = n.bytes[next-n.pos:]
		n.pos = next
	}
}

// extent is the extent of the bytes [lo, hi) of the arrival, not stored yet.
func (n *arrival) extent(lo, hi int64) extent {
	return extent{
		pos: lo, since: n.now, time: n.time, id: n.id,
		n: saturate(hi - lo), before: saturate(lo - n.from), after: saturate(n.to - hi),
		off: inFrame,
	}
}

// Insert puts a segment, in order or not, into the stream and appends the resulting items to out.
// Afterwards the first hole begins at Next, or there is none.
func (a *Arena) Insert(s *Stream, seg Segment, out *[]Item) {
	if !a.limits.SlowPath && a.Append(s, &seg) {
		return
	}
	n, ok := seg.arrival()
	if !ok {
		a.stats.Refused++
		*out = append(*out, Item{
			Kind: Refused, Pos: seg.Pos, Len: int64(len(seg.Bytes)), Time: seg.Time, ID: seg.ID,
		})
		return
	}
	d, before := a.keepingBuffer(s), s.next
	if n.from < s.next {
		a.compareDelivered(s, d, &n, out)
		n.trimBelow(s.next)
	}
	met := int64(0)
	if n.pos < n.end && d != nil {
		n.at = d.find(n.pos)
		met = a.compareHeld(d, &n, out)
	}
	a.reportDuplicate(s, &seg, met, out)
	if n.pos < n.end {
		if a.deliverOrHold(s, d, &n, out); cap(a.work.won) > keepWork {
			a.work.won = nil // the memory of a peak is not kept
		}
	}
	if n.to > n.end {
		a.recordMissing(s, n.to, n.now, out)
	}
	if s.next != before {
		a.shrink(s, a.buffer(s))
	}
}

// Append is the fast path of Insert: it holds a segment that lies behind all held bytes. Nearly all
// early data does, because bytes sent behind a hole arrive in order. Insert would do the same and
// append no item. With any other segment, or without room, Append does nothing and reports false.
func (a *Arena) Append(s *Stream, seg *Segment) bool {
	d, size := a.buffer(s), len(seg.Bytes)
	if d == nil || d.n == 0 || size == 0 || seg.Missing > 0 || a.limits.Keep > 0 || seg.Pos > math.MaxInt64-int64(size) {
		return false
	}
	b := &d.blocks[len(d.blocks)-1]
	last := b.back().end()
	islands := d.islands
	if seg.Pos != last {
		if islands++; seg.Pos < last || islands > a.limits.SidePieces {
			return false
		}
	}
	full := int(b.hi) == len(b.mem)
	grows := full || size > d.free() || d.lastPage().live == 0
	if grows {
		if !a.makeRoomBehind(s, d, seg, islands) {
			return false
		}
		b = &d.blocks[len(d.blocks)-1]
	}
	since := seg.Now
	if d.known > last {
		since = d.trailingSince
	}
	p := d.lastPage()
	e := extent{pos: seg.Pos, since: since, time: seg.Time, id: seg.ID, n: uint32(size), off: p.base + d.used}
	if full {
		a.insertExtent(&d.extentList, place{len(d.blocks), 0}, &e)
	} else {
		b.mem[b.hi] = e
		b.hi++
		b.state = changed
		d.n++
	}
	d.islands = islands
	copy(p.buf[d.used:], seg.Bytes)
	d.used += uint32(size)
	p.live += uint32(size)
	d.live += size
	a.stats.Held++
	a.stats.HeldBytes += uint64(size)
	if grows {
		a.rank(d)
	}
	return true
}

// makeRoomBehind makes room for a segment behind all held bytes, after which there are so many islands.
func (a *Arena) makeRoomBehind(s *Stream, d *buffer, seg *Segment, islands int) bool {
	m, size := &a.work, len(seg.Bytes)
	m.won, m.bytes, m.first = append(m.won[:0], wonRange{seg.Pos, seg.Pos + int64(size)}), size, seg.Pos
	m.extents, m.islands, m.blocks = 1, islands, 0
	return size <= math.MaxInt32 && a.makeRoom(s, d, m) != nil
}

// deliverOrHold delivers an arrival that is in order and holds one that is early. As long as there
// is no room, the stream's first hole is given up; the overlaps have been decided before that, when
// the segment was merged.
func (a *Arena) deliverOrHold(s *Stream, d *buffer, n *arrival, out *[]Item) {
	m, q := &a.work, d
	if q == nil || q.n == 0 {
		if n.pos == s.next {
			e := n.extent(n.pos, n.end)
			a.deliver(s, d, &e, n.bytes[:len(n.bytes):len(n.bytes)], out)
			return
		}
		if q == nil {
			q = &a.empty
		}
	}
	m.merge(a.limits.Policy, &q.extentList, n)
	m.since = q.holeSince(q.at(n.at), s.next, n.now)
	for m.first > s.next {
		if to := a.makeRoom(s, d, m); to != nil {
			to.owner = n.owner
			a.store(to, m, n)
			a.rank(to)
			return
		}
		end := m.first
		if q.n > 0 {
			end = min(end, q.front().pos)
		}
		a.giveUp(s, d, end, Budget, out)
		before := q.islands
		a.deliverUpTo(s, d, m.first, out)
		m.islands -= before - q.islands
	}
	a.deliverMerged(s, d, m, n, out)
}

// reportDuplicate reports the bytes of a segment that brought no new position: the part below Next,
// and the rest too if held bytes covered all of it. met is the number of held bytes it overlapped.
func (a *Arena) reportDuplicate(s *Stream, seg *Segment, met int64, out *[]Item) {
	end := seg.Pos + int64(len(seg.Bytes))
	old := min(end, s.next)
	if met > 0 && met == end-max(seg.Pos, s.next) {
		old = end
	}
	if old <= seg.Pos {
		return
	}
	size := old - seg.Pos
	from, to := max(seg.Pos, s.gapStart()), min(old, s.gapEnd)
	if from < to {
		a.stats.Late++
		a.stats.LateBytes += uint64(to - from)
		a.stats.DuplicateBytes += uint64(size - (to - from))
		*out = append(*out, Item{Kind: Late, Pos: from, Len: to - from, Time: seg.Time, ID: seg.ID})
		return
	}
	a.stats.Duplicates++
	a.stats.DuplicateBytes += uint64(size)
	*out = append(*out, Item{Kind: Duplicate, Pos: seg.Pos, Len: size, Time: seg.Time, ID: seg.ID})
}

// recordMissing records that bytes up to end exist. Without room for a buffer they are given up.
func (a *Arena) recordMissing(s *Stream, end, now int64, out *[]Item) {
	d := a.buffer(s)
	last := s.next
	if d != nil {
		last = d.heldEnd(s.next)
	}
	if end <= last {
		return
	}
	if d == nil {
		if bufferBytes > a.limits.SideBytes || !a.affords(bufferBytes, bufferBytes) {
			a.giveUp(s, nil, end, Budget, out)
			return
		}
		d = a.newBuffer(s)
	}
	if d.known <= last {
		d.trailingSince = now
	}
	d.known = max(d.known, end)
}
