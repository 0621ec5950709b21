package stream

import "math"

// Insert takes a segment, in order or not, and appends to out what there is to say.
// After it, the first hole begins at Next or there is none.
func (a *Arena) Insert(s *Stream, seg Segment, out *[]Item) {
	if a.Append(s, &seg) {
		return
	}
	n, ok := seg.arrive()
	if !ok {
		a.stats.Refused++
		*out = append(*out, Item{Kind: Refused, Pos: seg.Pos, Len: int64(len(seg.Bytes)), Time: seg.Time, ID: seg.ID})
		return
	}
	d := a.remembering(s)
	if n.from < s.next {
		a.comparePast(s, d, &n, out)
		n.cut(s.next)
	}
	met := int64(0)
	if n.pos < n.end && d != nil {
		met = a.compare(d, &n, out)
	}
	a.repeated(s, &seg, met, out)
	if n.pos < n.end {
		a.place(s, d, &n, out)
	}
	if n.to > n.end {
		a.noteMissing(s, n.to, n.time, out)
	}
	a.settle(s, a.side(s))
}

// Append holds a segment that lies behind all that is held already, if there is room
// for it where that is. Nearly all early data does: what was sent behind a hole comes in
// order. It does what Insert does with it, of which there is nothing to say; with any
// other it does nothing and reports false.
func (a *Arena) Append(s *Stream, seg *Segment) bool {
	d, size := a.side(s), len(seg.Bytes)
	if d == nil || d.n == 0 || d.n >= min(len(d.ring), a.limits.SidePieces) || size == 0 || size > d.free() ||
		seg.Missing > 0 || a.limits.Keep > 0 || seg.Pos > math.MaxInt64-int64(size) {
		return false
	}
	last, p := d.at(d.n-1).end(), d.newest()
	if seg.Pos < last || p.live == 0 {
		return false
	}
	since := seg.Time
	if d.known > last {
		since = d.tailSince
	}
	*d.at(d.n) = extent{pos: seg.Pos, since: since, time: seg.Time, id: seg.ID, n: uint32(size), off: p.at + d.used}
	d.n++
	copy(p.buf[d.used:], seg.Bytes)
	d.used += uint32(size)
	p.live += uint32(size)
	d.live += size
	a.stats.Held++
	a.stats.HeldBytes += uint64(size)
	return true
}

// place delivers an arrival that is in order and holds one that is early. As
// long as there is no room, the side's first hole is given up; who wins the overlaps
// was decided before, when the segment arrived.
func (a *Arena) place(s *Stream, d *side, n *arrival, out *[]Item) {
	m, q := &a.work, d
	if q == nil {
		q = &a.none
	}
	m.merge(a.limits.Policy, &q.ranges, n)
	if first := &m.list[0]; first.off == inFrame {
		first.since = q.holeSince(m.i, s.next, n.time)
	}
	for m.list[0].pos > s.next {
		if home := a.admit(s, d, m); home != nil {
			a.store(home, m, n)
			return
		}
		end := m.list[0].pos
		if m.i > 0 {
			end = d.at(0).pos
		}
		a.giveUp(s, d, end, Budget, out)
		m.i -= a.deliverHeld(s, d, m.i, out)
	}
	a.deliverMerged(s, d, m, n, out)
}

// repeated reports what of a segment brought no new position: the part below
// Next, and the rest too if all of it met held bytes.
func (a *Arena) repeated(s *Stream, seg *Segment, met int64, out *[]Item) {
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
