package tcp

// Reuses reports whether the segment, a SYN, opens a new connection on the addresses and ports of this
// live one at once. Any other SYN on a live connection begins a rival.
//
//	state                SYN with another number
//	no number seen yet   opens this connection, or replaces it if the other side began
//	opening, initiator's a new attempt: replaces it
//	both FINs seen       replaces it
//	otherwise            a rival
func (c *Conn) Reuses(i Side, g *Segment) bool {
	i &= 1
	switch {
	case g.Flags&RST != 0:
		return false
	case g.Flags&(SYN|FIN) == SYN && c.nothingAnchored():
		return i != Opener(g.Flags) // otherwise it opens this one
	case g.Flags&(SYN|ACK|FIN) == SYN:
		return c.reusesSYN(i, g)
	}
	return false
}

// nothingAnchored reports whether segments were seen but none of them had a number to count from, such as a scanner's
// probe, or a reset in doubt.
func (c *Conn) nothingAnchored() bool {
	return c.bits&started != 0 && c.bits&doubtful == 0 && (c.half[0].bits|c.half[1].bits)&anchored == 0
}

func (c *Conn) reusesSYN(i Side, g *Segment) bool {
	s, first := &c.half[i], g.Seq+1
	switch {
	case s.has(synSeen) && s.base == first:
		return false // retransmitted
	case s.has(anchored) && !s.has(synSeen) && s.mayBegin(first, g.Len):
		return false // the SYN of this connection, captured late
	case !s.has(anchored):
		return false // simultaneous open
	case c.Opening():
		// Unless the peer talks at other numbers, and nothing refused the first attempt: then both SYNs may be strays.
		return i == Initiator && (c.bits&doubtful == 0 || c.PendingReset())
	}
	return c.Finished()
}

// Fits reports whether the numbers of a segment show that it is one of this connection: its receiver may
// accept it, and it acknowledges what was sent. Numbers that are not certain show nothing.
func (c *Conn) Fits(i Side, g *Segment) bool {
	i &= 1
	s, p := &c.half[i], &c.half[1-i]
	if c.bits&soft != 0 || g.Options&OptBadLength != 0 {
		return false
	}
	acks := g.Flags&ACK != 0 && p.has(anchored)
	if acks {
		ack, acked := p.pos(g.Ack), c.acked(1-i)
		if ack < 0 && p.has(synSeen) || ack > p.end && c.visible(1-i) || acked >= 0 && ack < acked-min(c.windowOf(i), acked) {
			return false
		}
	}
	switch {
	case g.Flags&SYN != 0 && s.has(anchored):
		return s.has(synSeen) && s.base == g.Seq+1 // retransmitted
	case !s.has(anchored):
		return acks // the answer
	}
	pos := s.pos(g.Seq)
	return pos+int64(g.Len)+1 >= c.low(i) && pos <= c.edgeOf(i)
}

// Reopens reports whether the segment opens a new connection on the addresses and ports of this one,
// which has ended.
func (c *Conn) Reopens(i Side, g *Segment, ds *Doubts) bool {
	i &= 1
	s, p := &c.half[i], &c.half[1-i]
	first := g.Seq + 1
	switch g.Flags & (SYN | ACK | RST | FIN) {
	case SYN:
		return !s.has(anchored) || s.base != first
	case SYN | ACK:
		if d := ds.of(c); d != nil && d.rival.on && d.rival.syn && d.rival.opener != i && g.Ack == d.rival.h[1-i].next {
			return false // the answer to a SYN that is held
		}
		switch {
		case s.has(anchored) && s.base == first:
			return false // retransmitted
		case c.bits&wasEstablished == 0 && !s.has(synSeen) && p.contains(g.Ack):
			return true // the reset that refused the SYN was not the responder's
		}
		// The SYN was not captured, and no SYN of this connection has that number.
		return !p.has(seen) || !p.contains(g.Ack)
	}
	return false
}

// ReplaceWith turns c into the connection that replaces it, before Step handles the segment that opens
// it, and returns the side of the old connection that opens the new one. c is a copy: the doubts of the
// connection that is replaced stay its own.
func (c *Conn) ReplaceWith(i Side, g *Segment, ds *Doubts) (opener Side) {
	i &= 1
	var next Conn
	opener = i
	switch {
	case g.Flags&(SYN|ACK) == SYN:
		if c.Opening() && i == Initiator {
			// The answer may still be to an earlier attempt.
			if d := ds.of(c); d != nil {
				for _, x := range d.candidates {
					ds.addCandidate(&next, x.side, x.number)
				}
			}
			ds.addCandidate(&next, Initiator, c.half[i].base-1)
		}
	case g.Flags&SYN != 0:
		opener = 1 - i
	}
	if c.half[0].has(slowPath) {
		next.DisableFastPath()
	}
	*c = next
	return opener
}
