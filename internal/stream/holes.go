package stream

// FirstHole tells where the first hole begins, which is Next, how long it is, and
// the Time of the segment that showed it: the first that lay behind the hole, or
// whose own end was cut off. A hole that was split or shortened stays as
// old as it was. There is none if ok is false.
func (a *Arena) FirstHole(s *Stream) (pos, size, since int64, ok bool) {
	d := a.side(s)
	switch {
	case d == nil:
		return 0, 0, 0, false
	case d.n > 0:
		e := d.at(0)
		return s.next, e.pos - s.next, e.since, true
	case d.known > s.next:
		return s.next, d.known - s.next, d.tailSince, true
	}
	return 0, 0, 0, false
}

// noteMissing remembers that bytes up to end exist.
func (a *Arena) noteMissing(s *Stream, end, now int64, out *[]Item) {
	d := a.side(s)
	last := s.next
	if d != nil {
		last = d.last(s.next)
	}
	if end <= last {
		return
	}
	if d == nil {
		if recordBytes > a.limits.SideBytes || !a.affords(recordBytes, recordBytes) {
			a.giveUp(s, nil, end, Budget, out)
			return
		}
		d = a.open(s)
	}
	if d.known <= last {
		d.tailSince = now
	}
	d.known = max(d.known, end)
}
