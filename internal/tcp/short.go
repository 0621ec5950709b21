package tcp

// Short ways through the rules, for the segments with which nearly all connections
// begin, go on and end. Each does what consider does, or nothing; tests compare them
// on whatever segments they have. What may be in doubt is for the rules, so nothing
// here decides.
//
//	> SYN            open
//	< SYN+ACK        answer
//	> ACK            pass
//	> data, ACK      Follow
//	< FIN, ACK       pass

// Follow takes a segment with which a connection goes on as nearly all do: the
// next n bytes, or none, with an ACK of what was seen, nothing missing and nothing
// in doubt. It does what Step does with it, and gives its position; for any other
// it does nothing and reports false.
func (c *Conn) Follow(i Side, seq, ack, n uint32, window uint16, flags uint8) (pos int64, ok bool) {
	const usual, trouble = seen | anchored | acked, synData | finned | shut | awaited
	i &= 1
	s, p := &c.half[i], &c.half[1-i]
	if flags&(SYN|FIN|RST|ACK) != ACK || window == 0 || c.state != Established && c.state != Active ||
		c.bits >= pending0 || s.bits&(usual|trouble) != usual || p.bits&(anchored|trouble) != anchored ||
		s.lag|p.lag != 0 || seq != s.number(s.end) {
		return 0, false
	}
	if news := int32(ack - s.ack); news != 0 {
		ahead := int32(ack - p.number(p.end))
		switch {
		case news < 0 || p.end+int64(ahead) < 0 || ahead > 0 && p.has(seen) || ahead > unknownWindow:
			return 0, false
		case ahead > 0:
			p.end += int64(ahead) // that side is not captured: its ACKs are all we have
			p.bits |= unseen
		}
		s.ack = ack
	}
	s.flags |= flags
	s.offers(window, flags, p)
	pos = s.end
	s.end += int64(n)
	return pos, true
}

// open takes the first SYN: in a flood there is nothing else, and it must not cost much.
func (c *Conn) open(i Side, g *Segment) bool {
	if c.bits&begun != 0 || i != Initiator || g.Flags&(SYN|ACK|FIN|RST) != SYN || g.Len != 0 {
		return false
	}
	c.shake(&c.half[Initiator], g)
	c.bits |= begun
	c.state = SynSent
	return true
}

// answer takes the first that the responder says, if it is a SYN+ACK of the SYN that
// was seen last.
func (c *Conn) answer(i Side, g *Segment) bool {
	s, p := &c.half[Responder], &c.half[Initiator]
	if c.state != SynSent || i != Responder || g.Flags&(SYN|ACK|FIN|RST) != SYN|ACK || g.Len != 0 ||
		s.bits != 0 || p.has(synData) || g.Ack != p.base {
		return false
	}
	c.shake(s, g)
	s.ack = g.Ack
	s.bits |= acked
	c.state = SynReceived
	return true
}

// shake takes a SYN, with or without ACK, of a half of which nothing was seen.
func (c *Conn) shake(h *half, g *Segment) {
	h.anchor(g.Seq + 1)
	h.bits |= seen
	h.syn(g)
	h.flags |= g.Flags
	h.maxWindow = max(h.maxWindow, uint32(g.Window))
}

// pass takes the next bytes, FIN or ACK of a side, where nothing is in doubt and the ACK
// is of what was seen. What is missing stays missing. Unlike Follow it takes a side's
// first ACK, a FIN and what comes after one, ends the handshake, and leaves it to the
// rules to follow a side that is not captured. o.To is Step's.
func (c *Conn) pass(i Side, g *Segment, o *Outcome) bool {
	const trouble = synData | shut | awaited
	s, p := &c.half[i], &c.half[1-i]
	if g.Flags&(SYN|RST|ACK) != ACK || g.Window == 0 || c.bits >= pending0 || (s.bits|p.bits)&trouble != 0 ||
		s.bits&p.bits&anchored == 0 || g.Seq != s.number(s.end) {
		return false
	}
	shaking, n := c.state == SynReceived, int64(g.Len)
	if g.Flags&FIN != 0 {
		n++
	}
	switch ahead := int64(int32(g.Ack - p.number(p.end))); {
	case ahead > -int64(p.lag), p.end+ahead < 0, s.has(acked) && int32(g.Ack-s.ack) < 0,
		c.state == SynSent, shaking && !p.has(acked),
		n != 0 && (s.has(finned) || s.lag > unknownWindow || n > unknownWindow):
		return false
	}
	s.ack = g.Ack
	s.bits |= seen | acked
	s.flags |= g.Flags
	s.offers(g.Window, g.Flags, p)
	o.Pos = s.end
	s.end += n
	if s.lag > 0 {
		s.lag += uint32(n)
	}
	if g.Flags&FIN != 0 {
		s.bits |= finned
	}
	if shaking {
		c.establish(o)
	}
	c.closing()
	return true
}
