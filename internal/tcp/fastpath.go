package tcp

// The fast paths, for the segments with which nearly all connections begin, go on and end. Each does
// what stepSlow does with a segment, or nothing; tests compare them on arbitrary segments. Segments
// that need a judgement are left to the slow path.
//
//	> SYN            stepSYN
//	< SYN+ACK        stepSYNACK
//	> ACK            stepInOrder
//	> data, ACK      Follow
//	< FIN, ACK       stepInOrder

// Follow is the fast path of Step for most segments of a connection under way: the next n bytes, or
// none, with an ACK of bytes that were seen, and no hole in either half. It does what Step does and
// returns the position of the payload; with any other segment it does nothing and reports false.
func (c *Conn) Follow(i Side, seq, ack, n uint32, window uint16, flags uint8) (pos int64, ok bool) {
	const required = seen | anchored | hasACK
	const excluded = synData | finAccepted | zeroWindow | unseenAcked | slowPath
	i &= 1
	s, p := &c.half[i], &c.half[1-i]
	if flags&(SYN|FIN|RST|ACK) != ACK || window == 0 || c.state != Established && c.state != Active ||
		!c.undisturbed() || s.bits&(required|excluded) != required || p.bits&(anchored|excluded) != anchored ||
		s.lag|p.lag != 0 || seq != s.number(s.end) {
		return 0, false
	}
	if advance := int32(ack - s.ack); advance != 0 {
		ahead := int32(ack - p.number(p.end))
		switch {
		case advance < 0 || p.end+int64(ahead) < 0 || ahead > 0 && p.has(seen) || ahead > unknownWindow:
			return 0, false
		case ahead > 0:
			p.end += int64(ahead) // the peer is not captured: its bytes are known from the ACKs only
			p.bits |= neverCaptured
		}
		s.ack = ack
	}
	s.flags |= flags
	s.setWindow(window, flags, p)
	pos = s.end
	s.end += int64(n)
	return pos, true
}

// stepSYN is the fast path for the first SYN: a flood of SYNs has no other segments.
func (c *Conn) stepSYN(i Side, g *Segment) bool {
	if c.half[Initiator].bits != 0 || c.bits&started != 0 || i != Initiator || g.Flags&(SYN|ACK|FIN|RST) != SYN || g.Len != 0 {
		return false
	}
	c.recordSYN(&c.half[Initiator], g)
	c.bits |= started
	c.state = SynSent
	return true
}

// stepSYNACK is the fast path for the responder's first segment, if that is a SYN+ACK of the SYN seen
// last.
func (c *Conn) stepSYNACK(i Side, g *Segment) bool {
	s, p := &c.half[Responder], &c.half[Initiator]
	if c.state != SynSent || i != Responder || g.Flags&(SYN|ACK|FIN|RST) != SYN|ACK || g.Len != 0 ||
		s.bits != 0 || p.has(synData) || g.Ack != p.base {
		return false
	}
	c.recordSYN(s, g)
	s.ack = g.Ack
	s.bits |= hasACK
	c.state = SynReceived
	return true
}

// recordSYN records a SYN, with or without ACK, of a half of which no segment was seen.
func (c *Conn) recordSYN(h *half, g *Segment) {
	h.anchor(g.Seq + 1)
	h.bits |= seen
	h.setSYN(g)
	h.flags |= g.Flags
	h.maxWindow = max(h.maxWindow, uint32(g.Window))
}

// stepInOrder is the fast path for a side's next bytes, FIN or ACK, with an ACK of bytes that were
// seen. Holes stay. Unlike Follow it accepts a side's first ACK, a FIN and segments after one, and
// completes the handshake; it does not accept segments whose peer is not captured. The caller sets
// o.To.
func (c *Conn) stepInOrder(i Side, g *Segment, o *Outcome) bool {
	const excluded = synData | zeroWindow | unseenAcked | slowPath
	s, p := &c.half[i], &c.half[1-i]
	if g.Flags&(SYN|RST|ACK) != ACK || g.Window == 0 || !c.undisturbed() || (s.bits|p.bits)&excluded != 0 ||
		s.bits&p.bits&anchored == 0 || g.Seq != s.number(s.end) {
		return false
	}
	handshake, n := c.state == SynReceived, int64(g.Len)
	if g.Flags&FIN != 0 {
		n++
	}
	switch ahead := int64(int32(g.Ack - p.number(p.end))); {
	case ahead > -int64(p.lag), p.end+ahead < 0, s.has(hasACK) && int32(g.Ack-s.ack) < 0,
		c.state == SynSent, handshake && !p.has(hasACK),
		n != 0 && (s.has(finAccepted) || s.lag > unknownWindow || n > unknownWindow):
		return false
	}
	s.ack = g.Ack
	s.bits |= seen | hasACK
	s.flags |= g.Flags
	s.setWindow(g.Window, g.Flags, p)
	o.Pos = s.end
	s.end += n
	if s.lag > 0 {
		s.lag += uint32(n)
	}
	if g.Flags&FIN != 0 {
		s.bits |= finAccepted
	}
	if handshake {
		c.establish(o)
	}
	c.updateClosing()
	return true
}
