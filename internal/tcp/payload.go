package tcp

// What an acceptable segment carries: payload and a FIN.

// acceptFIN makes a FIN at position at the end of side i.
func (c *Conn) acceptFIN(i Side, at int64, q *sideDoubt) {
	s := &c.half[i]
	next := s.next()
	s.end = at + 1
	s.bits |= finAccepted
	if next >= at {
		s.lag = 0
		q.dropIslands()
	} else {
		s.setNext(next)
	}
	q.fins, q.lost = q.fins[:0], 0
}

// take takes the payload and the FIN of a segment whose numbers are acceptable.
func (c *Conn) take(i Side, g *Segment, o *Outcome, ds *Doubts) {
	s, p := &c.half[i], &c.half[1-i]
	pos, end := o.Pos, o.End
	d := ds.of(c)
	o.Placed = true
	if s.has(finAccepted) {
		c.takeAfterFIN(i, g, o)
		return
	}
	if g.Len == 0 && g.Flags&FIN == 0 {
		return
	}
	if edge := c.edgeOf(i); p.has(edgeKnown) && end > edge {
		o.Hold = true
		o.Notes |= OutOfWindow
		o.End = max(edge, pos)
	}
	next := s.next()
	o.Notes |= s.classify(pos, o.End)
	inside, atEnd := false, false
	if d != nil {
		in1, _ := d.side[i].covers(pos)
		in2, _ := d.side[i].covers(end)
		inside, atEnd = in1 || pos < next, in2
		if g.Len > 0 {
			d.side[i].displaceFINs(pos, end)
		}
	}
	if g.Flags&FIN != 0 && pos <= next && next <= end && o.End == end {
		// In order: what lies behind it is not part of the stream (RFC 9293 section 3.10.7.4).
		if max(c.acked(i), firstWordOf(d, i)) <= end+1 {
			s.end, s.lag = end+1, 0
			s.bits = s.bits&^synData | finAccepted
			if d != nil {
				q := &d.side[i]
				q.dropIslands()
				q.fins, q.lost = q.fins[:0], 0
			}
			return
		}
	}
	if o.End > pos {
		c.takeBytes(i, pos, o.End, ds)
	}
	if s.has(finAccepted) {
		if fin := s.end - 1; o.End > fin {
			o.End = max(fin, pos)
		}
		return
	}
	if g.Flags&FIN != 0 {
		c.takeFIN(i, g, pos, end, inside, atEnd, o, ds)
	}
}

// takeAfterFIN is take for a side whose FIN was accepted.
func (c *Conn) takeAfterFIN(i Side, g *Segment, o *Outcome) {
	s, p := &c.half[i], &c.half[1-i]
	pos, end, fin := o.Pos, o.End, s.end-1
	if end > fin && g.Len > 0 {
		o.Notes |= DataAfterFIN
		o.Placed = pos < fin
		o.Hold = !s.finAcked(p) // the FIN may still turn out to be none
	}
	o.End = max(min(end, fin), pos)
	if o.Placed && g.Len > 0 {
		o.Notes |= Retransmission
	}
	if g.Flags&FIN != 0 && end != fin {
		o.Notes |= FINConflict
	}
}

// takeBytes records that side i has sent the bytes [pos, end).
func (c *Conn) takeBytes(i Side, pos, end int64, ds *Doubts) {
	s, next := &c.half[i], c.half[i].next()
	switch {
	case pos > next:
		if d := ds.need(c); d != nil {
			d.side[i].addIsland(pos, end)
		}
		s.end = max(s.end, end)
		s.setNext(next)
	case end > next:
		s.end = max(s.end, end)
		s.setNext(end)
		s.bits &^= synData // its sender knows whether that was accepted
		if d := ds.of(c); d != nil {
			d.side[i].lost = 0 // it goes on here, and not behind what nobody saw
			c.drain(i, d)
		}
	}
}

// takeFIN handles a FIN at position end, of a segment that begins at pos. inside says that bytes at pos
// were taken before, atEnd that there are bytes at the place of the FIN.
func (c *Conn) takeFIN(i Side, g *Segment, pos, end int64, inside, bytesAtFIN bool, o *Outcome, ds *Doubts) {
	s := &c.half[i]
	next := s.next()
	switch {
	case end > c.edgeOf(i) && c.half[1-i].has(edgeKnown), end < next:
		o.Notes |= FINConflict
	case end == next:
		o.Notes |= FINConflict // more is acknowledged
	case bytesAtFIN && (g.Len == 0 || inside):
		o.Notes |= FINConflict
	default:
		if max(c.acked(i), firstWordOf(ds.of(c), i)) > end {
			o.Notes |= FINConflict
			return
		}
		if d := ds.need(c); d != nil {
			d.side[i].addFIN(pos, end)
			s.end = max(s.end, end+1)
			s.setNext(next)
			o.Notes |= Hole
			c.bits |= doubtful
		}
	}
}

// revokeFIN takes an accepted FIN back: its receiver has acknowledged more.
func (c *Conn) revokeFIN(i Side, d *doubt) {
	s, q := &c.half[i], &d.side[i]
	next := min(s.next(), s.end-1)
	s.bits &^= finAccepted
	s.end--
	if n := len(q.islands); n > 0 {
		s.end = max(s.end, q.islands[n-1].to)
	}
	s.setNext(next)
	c.drain(i, d)
	if c.state == FinWait || c.state == ClosingTCP {
		c.state = Established
		c.updateClosing()
	}
}

// classify compares the range of an arriving payload with the positions taken.
func (h *half) classify(pos, end int64) Note {
	switch {
	case pos == end:
		return 0 // only a FIN
	case pos > h.end:
		return Hole
	case end <= h.next():
		return Retransmission
	case end <= h.end:
		return OutOfOrder
	}
	return 0
}
