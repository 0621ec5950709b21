package tcp

// What the acknowledgement of an acceptable segment makes a fact of, about the bytes of its peer.

// acceptACK handles the ACK of a segment whose numbers are acceptable, and reports whether it counts.
func (c *Conn) acceptACK(i Side, g *Segment, ack int64, credible bool, o *Outcome, ds *Doubts) bool {
	s, p := &c.half[i], &c.half[1-i]
	d := ds.of(c)
	acked := c.acked(1 - i) // before the end moves, to which positions are the nearest
	if credible && !c.visible(1-i) && ack > p.end && !p.has(finAccepted) {
		p.end, p.lag = ack, 0 // the peer is not captured: its bytes are known from the ACKs only
		if d != nil {
			d.side[1-i].dropIslands()
		}
	}
	next := p.next()
	if d != nil {
		q := &d.side[1-i]
		if q.lost != 0 && ack < q.lost && g.Len == 0 && ack <= next {
			q.lost = 0
		}
		if credible && ack < acked && acked > next {
			s.ack = p.number(max(ack, next)) // the higher number was a lie
			acked = max(ack, next)
			q.behind = 0
		}
		if q.firstWord != 0 && ack < q.firstWord {
			q.firstWord = 0
		}
	}
	if !credible {
		return false
	}
	if d != nil && g.Len == 0 && ack == acked {
		c.answer(1-i, ack, d)
	}
	if ack > next && p.lag+uint32(boolInt(ack > p.end)) > 0 {
		if d = ds.need(c); d != nil {
			q := &d.side[1-i]
			carrier, seen := c.carrier(d, 1-i, next, ack), q.seenFrom(max(next, acked))
			if q.firstWord == 0 && acked < ack && carrier == nil && ack > seen {
				q.firstWord = ack
				c.bits |= doubtful
				return false
			}
			word := int64(0)
			if carrier != nil {
				word = s.pos(carrier.Ack)
			}
			if ack > acked {
				c.confirm(1-i, ack, d, g.Time)
			}
			if word > s.next() && word == d.side[i].firstWord {
				o.Confirms = true
				c.confirm(i, word, d, g.Time) // whoever takes a segment takes its ACK too
			}
			if (ack > seen || ack <= acked) && c.half[1-i].next() < ack {
				o.Notes |= UnseenACK
			}
		} else {
			p.end = max(p.end, ack) // no room for a doubt
			p.setNext(ack)
		}
	}
	if acked < ack || !s.has(hasACK) {
		s.ack = g.Ack
		s.bits |= hasACK
	}
	c.resolveSYNData(1-i, ds, o)
	return true
}

// carrier is the held segment of side i from next to ack, a FIN included, if it was held for no other reason
// than that its ACK was a first word, and was not answered by an ACK of less.
func (c *Conn) carrier(d *doubt, i Side, next, ack int64) *Held {
	for k := range d.held {
		h := &d.held[k]
		if h.Side == i && h.conditional && h.word && !h.answered && c.half[i].pos(h.Seq) == next && next+int64(h.Len)+int64(h.Flags&FIN) == ack {
			return h
		}
	}
	return nil
}

// answer notes that the peer of side i still expects position pos: what is held there because its ACK was a first word has
// perhaps not been taken, so one ACK of it proves nothing.
func (c *Conn) answer(i Side, pos int64, d *doubt) {
	for k := range d.held {
		if h := &d.held[k]; h.Side == i && h.word && c.half[i].pos(h.Seq) == pos {
			h.answered = true
		}
	}
}

// boolInt is 1 for true.
func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// confirm makes a fact of the peer's ACK of the bytes of side i up to ack, which reaches into a hole or
// into what is held.
func (c *Conn) confirm(i Side, ack int64, d *doubt, now int64) {
	s, p := &c.half[i], &c.half[1-i]
	q := &d.side[i]
	if s.has(finAccepted) && ack > s.end {
		c.revokeFIN(i, d) // its sender went on, and its receiver took that
	}
	p.ack = s.number(ack)
	p.bits |= hasACK
	c.ensure(1-i, d)
	if ack > s.end {
		next := s.next()
		s.end = ack
		s.setNext(next)
	}
	q.firstWord = 0
	fin := ack - 1
	q.refuteFINs(fin)
	if !s.has(finAccepted) {
		inIsland, _ := q.covers(fin)
		switch h, _ := c.heldAt(d, i, fin); {
		case h != nil: // data takes its place
			q.refuteFINs(ack)
		case q.finAfter(fin) == fin || !inIsland && c.heldFIN(d, i, fin):
			c.acceptFIN(i, fin, q) // an early FIN, or one that was held, acknowledged
		}
	}
	c.drain(i, d)
	if s.next() < ack {
		if q.behind == 0 {
			q.behind = max(now, 1)
			c.bits |= doubtful
		}
	} else {
		q.behind = 0
	}
}

// ensure takes what is held of side i only because its ACK was a first word, as far as that counts now: whoever
// took that ACK took the rest of the segment.
func (c *Conn) ensure(i Side, d *doubt) {
	found := false
	for k := range d.held {
		h := &d.held[k]
		if h.Side == i && h.word && h.conditional && !h.sure && c.half[1-i].pos(h.Ack) <= c.acked(1-i) {
			h.sure, found = true, true
		}
	}
	if found {
		d.version++
		c.drain(i, d)
	}
}

// drain moves the end of what is contiguous of side i over the islands that it reaches, over held bytes that
// the peer has acknowledged, and onto a FIN.
func (c *Conn) drain(i Side, d *doubt) {
	s := &c.half[i]
	q := &d.side[i]
	next := s.next()
	for {
		fin := q.finAfter(next)
		if s.has(finAccepted) {
			if fin = s.end - 1; next >= fin {
				s.lag = 0
				q.dropIslands()
				return
			}
		} else if fin == next {
			s.end = max(s.end, next)
			s.setNext(next)
			c.acceptFIN(i, next, q)
			return
		}
		to := min(q.joined(next), fin)
		if to == next {
			if h, end := c.heldAt(d, i, next); h != nil && h.sure {
				to = max(to, min(end, fin))
			} else if h != nil {
				to = max(to, min(end, c.acked(i), fin))
			}
		}
		if to == next {
			break
		}
		next = to
	}
	if next > s.end {
		s.end = next
	}
	s.setNext(next)
}

// firstWordOf is the first word about the bytes of side i, or 0.
func firstWordOf(d *doubt, i Side) int64 {
	if d == nil {
		return 0
	}
	return d.side[i].firstWord
}

// heal gives up the bytes of side i that its receiver has and the capture has not: from now on the numbers
// of the side are judged as if they had been captured.
func (c *Conn) heal(i Side, d *doubt) {
	s := &c.half[i]
	q := &d.side[i]
	q.behind = 0
	if acked := min(c.acked(i), s.end-s.closed()); s.next() < acked {
		s.setNext(acked)
		c.drain(i, d)
	}
}
