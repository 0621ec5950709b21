package tcp

// onRST handles a RST. By RFC 5961 section 3.2 a receiver believes one only at exactly the number it
// expects, and answers one elsewhere in its window with an ACK. Where the receiver stands shows in its
// ACKs: between what it has acknowledged and what was sent.
//
//	   acked     next                edge
//	----|---------|-------------------|----
//	    strong    strong    weak              neither: believed at once only where both are one
//
// A strong one ends the connection if the receiver is silent for a second (StrongReset: the owner keeps the
// time), a weak one if both are until the connection times out.
func (c *Conn) onRST(i Side, g *Segment, o *Outcome, ds *Doubts) {
	s := &c.half[i]
	if c.state == SynSent && i == Responder {
		c.onRSTInSYNSent(g, o)
		return
	}
	if !s.has(anchored) {
		c.onGuessedRST(i, g, o, ds)
		return
	}
	pos, next, acked := s.pos(g.Seq), s.next(), c.acked(i)
	firstWord := int64(0)
	if d := ds.of(c); d != nil {
		firstWord = d.side[i].firstWord
	}
	claim := c.claim(ds.of(c), i)
	whole := pos + int64(g.Len) // payload, SYN and FIN
	if g.Flags&(SYN|FIN) != 0 {
		whole++
	}
	atEnd := pos == s.end && s.lag > 0
	switch {
	case c.state == SynSent && pos == next && c.half[Responder].has(seen):
		// It may answer what the responder sent, and then it says nothing of this connection.
		c.bits |= resetPending0 | strongReset
		o.Notes |= ResetPending
		return
	case c.state == SynSent && pos == next:
		c.state = Reset
		return
	case c.Opening() && c.rivalStandsAt(i, g.Seq, ds):
		// The SYN was a stray, or both are: what follows tells, and if nothing does, then the end.
		c.doubtReset(i, pos, true, ds)
		c.bits &^= strongReset
	case c.state == SynSent:
	case !c.visible(1-i) && pos == next:
		c.state = Reset // nobody sees what the receiver makes of it
		return
	case !c.visible(1-i) && pos > next && pos-next <= unknownWindow:
		// Bytes before it were not captured, or it is a lie: then its sender goes on, or its receiver is seen after all.
		c.doubtReset(i, pos, true, ds)
		o.Notes |= ResetPending
		return
	case pos == next && (acked == next || acked < 0) && firstWord == 0 && (claim <= s.end || s.end >= c.edgeOf(i) || c.half[1-i].has(zeroWindow)) && (whole == pos || whole <= c.sureEdgeOf(i)) && c.timely(i, g.Seq, g.Options, g.Timestamp):
		c.state = Reset
		c.clearReset(ds)
		return
	case !c.visible(1 - i):
	case pos == next, pos == acked, firstWord != 0 && pos == firstWord, atEnd && s.maySACK() && c.half[1-i].maySACK():
		c.doubtReset(i, pos, true, ds)
		if d := ds.of(c); d != nil && pos != next && pos != acked && (s.bits&c.half[1-i].bits)&hasSACK == 0 {
			d.reset.held = true // only if SACK was agreed on: any other ACK of its receiver says that it was not
		}
		o.Notes |= ResetPending
		return
	case claim > s.end && pos == claim:
		// Only if the receiver has taken what is held. Its silence says little then.
		c.doubtReset(i, pos, true, ds)
		if d := ds.of(c); d != nil {
			d.reset.held = true
			c.bits &^= strongReset
		}
	case pos > next && pos <= c.edgeOf(i):
		c.doubtReset(i, pos, false, ds)
	}
	o.Notes |= ImplausibleRST
}

// rivalStandsAt reports whether segments that are not those of the SYN show that side i goes on at a number, or that the
// responder expects it. Of the initiator that shows nothing: whoever refuses an ACK while a connection opens answers with
// a reset of that number (RFC 9293 section 3.10.7.4).
func (c *Conn) rivalStandsAt(i Side, seq uint32, ds *Doubts) bool {
	d := ds.of(c)
	if d == nil || !d.rival.on || d.rival.syn {
		return false
	}
	h, res := &d.rival.h[i], &d.rival.h[Responder]
	return h.known && h.next == seq || c.state == SynSent && i == Initiator && res.known && res.ack == seq
}

// onGuessedRST handles a RST of a side of which no number is known: none contradicts it, so what follows tells. Its number
// is kept as base, which is not valid yet.
func (c *Conn) onGuessedRST(i Side, g *Segment, o *Outcome, ds *Doubts) {
	c.half[i].base = g.Seq
	if d := ds.of(c); d != nil && d.rival.on && d.rival.h[i].known && d.rival.h[i].next == g.Seq {
		d.rival.h[i].segments++ // it joins
	}
	c.bits = c.bits&^(resetPending0|resetPending1) | resetPending0<<i | strongReset
	o.Notes |= ResetPending
}

// StrongReset reports whether a reset is in doubt that ends the connection if its receiver is silent.
func (c *Conn) StrongReset() bool { return c.bits&strongReset != 0 }

// ResetAtEnd reports whether a reset in doubt is why the connection ended, if nothing else says why: timedOut
// says that both sides were silent until the timeout.
func (c *Conn) ResetAtEnd(timedOut bool, ds *Doubts) bool {
	if c.bits&(resetPending0|resetPending1) == 0 {
		return false
	}
	d := ds.of(c)
	return timedOut || c.bits&strongReset != 0 || d != nil && d.reset.strong
}

// doubtReset records a reset that is not believed at once.
func (c *Conn) doubtReset(i Side, pos int64, strong bool, ds *Doubts) {
	if d := ds.need(c); d != nil {
		if c.bits&(resetPending0<<i) != 0 && d.reset.strong && !strong {
			return
		}
		d.reset = resetDoubt{pos: pos, strong: strong}
		c.bits &^= strongReset
		if strong {
			c.bits |= strongReset
		}
		c.bits = c.bits&^(resetPending0|resetPending1) | resetPending0<<i
	}
}

// clearReset forgets a reset in doubt.
func (c *Conn) clearReset(ds *Doubts) {
	c.bits &^= resetPending0 | resetPending1 | strongReset
	if d := ds.of(c); d != nil {
		d.reset = resetDoubt{}
	}
}

// onRSTInSYNSent handles a reset in answer to a SYN: it must acknowledge that SYN (RFC 9293 section
// 3.10.7.3), or part of the data sent with it.
func (c *Conn) onRSTInSYNSent(g *Segment, o *Outcome) {
	ini := &c.half[Initiator]
	if g.Flags&ACK != 0 {
		if pos := ini.pos(g.Ack); pos >= 0 && pos <= ini.end {
			if g.Options&OptTimestamps != 0 && ini.has(hasTimestamps) && g.TimestampEcho != ini.recent {
				// The SYN's timestamp is not echoed: some initiators ignore it.
				c.bits |= resetPending0<<Responder | strongReset
				o.Notes |= ResetPending
				return
			}
			c.state = Reset
			return
		}
	}
	o.Notes |= ImplausibleRST
}

// resolveGuessedReset decides about a reset in doubt of a side of which no number is certain, by a segment of side i:
// the receiver answers a reset that it does not believe with the number that it expects (RFC 5961 section 3.2), and its
// sender does not go on behind one that it has sent.
func (c *Conn) resolveGuessedReset(i Side, g *Segment, o *Outcome, ds *Doubts) {
	s, p := &c.half[i], &c.half[1-i]
	answered := c.bits&(resetPending0<<(1-i)) != 0 && !p.has(anchored) && g.Len == 0 && g.Ack != p.base
	goesOn := c.bits&(resetPending0<<i) != 0 && !s.has(anchored) && g.Len > 0 && int32(g.Seq+g.Len-s.base) > 0
	if answered || goesOn {
		o.Notes |= ResetRevoked
		c.clearReset(ds)
	}
}

// resolveReset decides about a reset in doubt by an acceptable segment of side i, at pos, with n bytes
// and an ACK.
func (c *Conn) resolveReset(i Side, pos, n, ack int64, o *Outcome, ds *Doubts) {
	if c.bits&(resetPending0|resetPending1) == 0 {
		return
	}
	d := ds.of(c)
	revoked := false
	if d == nil {
		revoked = true
	} else if c.bits&(resetPending0<<i) != 0 {
		revoked = n > 0 && pos+n > d.reset.pos || d.reset.held && ack > c.acked(1-i) // its sender goes on
	} else {
		answered := n == 0 && ack == c.acked(1-i) && ack != d.reset.pos
		revoked = !d.reset.strong || ack > d.reset.pos || answered || d.reset.held && ack != d.reset.pos
	}
	if revoked {
		if c.bits&strongReset != 0 {
			o.Notes |= ResetRevoked
		}
		c.clearReset(ds)
	}
}
