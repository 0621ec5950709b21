package tcp

// The fast paths, for the segments with which nearly all connections begin, go on and end. Each does
// what stepSlow does with a segment, or nothing; tests compare them on arbitrary segments. Segments
// that need a judgement are left to the slow path.
//
//	> SYN            stepSYN
//	< SYN+ACK        stepSYNACK
//	> ACK            stepInOrder
//	> data, ACK      Follow; FollowHole where bytes are missing
//	< FIN, ACK       stepInOrder

// Follow is the fast path of Step for most segments of a connection under way: the next n bytes, or
// none, with an ACK of bytes that were seen, and no hole in either half. The connection is not Turning, and of the
// flags that decide the segment has ACK alone. Follow does what Step does and
// returns the position of the payload; with any other segment it does nothing and reports false.
func (c *Conn) Follow(i Side, seq, ack, n uint32, window uint16, flags, options uint8, timestamp uint32) (pos int64, ok bool) {
	const required = seen | anchored | hasACK | edgeKnown
	const excluded = synData | finAccepted | zeroWindow | slowPath | signed
	i &= 1
	s, p := &c.half[i], &c.half[1-i]
	if window == 0 || !c.undisturbed() || s.bits&(required|excluded|guessed) != required || p.bits&(anchored|excluded) != anchored ||
		s.lag|p.lag != 0 || seq != s.number(s.end) || p.bits&edgeKnown != 0 && int64(int32(c.edge[1-i]-seq)) < int64(n) || p.bits&edgeKnown == 0 && n > unknownWindow {
		return 0, false
	}
	if s.bits&hasTimestamps != 0 {
		if int32(timestamp-s.recent) < 0 || options != OptTimestamps {
			return 0, false
		}
	} else if options > OptTimestamps || c.bits&midstream != 0 && n != 0 && p.recent == seq && c.unscaled(1-i) {
		return 0, false
	}
	if advance := int32(ack - s.ack); advance != 0 {
		ahead := int32(ack - p.number(p.end))
		switch {
		case advance < 0 || p.end+int64(ahead) < 0 || ahead > 0 && p.has(seen) || ahead > unknownWindow:
			return 0, false
		case ahead > 0:
			p.end += int64(ahead) // the peer is not captured: its bytes are known from the ACKs only
		}
		s.ack = ack
	}
	s.flags |= flags
	c.edge[i] = later(c.edge[i], ack+uint32(window)<<(s.scale>>4))
	if s.bits&hasTimestamps != 0 {
		recent := s.recent
		if int32(p.ack-seq) >= 0 {
			recent = timestamp // a conditional move, as in later
		}
		s.recent = recent
	} else if c.bits&midstream != 0 && c.unscaled(i) {
		s.recent = ack + uint32(window)
	}
	pos = s.end
	s.end += int64(n)
	return pos, true
}

// FollowHole is Follow for a connection with a hole in a half, about which nothing is in doubt but the islands
// behind holes: for what goes on behind the last island, and for the receiver's ACKs.
func (c *Conn) FollowHole(i Side, seq, ack, n uint32, window uint16, flags, options uint8, timestamp uint32, ds *Doubts) (pos int64, ok bool) {
	const required = seen | anchored | hasACK | edgeKnown
	const excluded = synData | finAccepted | zeroWindow | slowPath | signed
	i &= 1
	s, p := &c.half[i], &c.half[1-i]
	if window == 0 || !c.undisturbed() || s.bits&(required|excluded|guessed) != required || p.bits&(anchored|edgeKnown|excluded) != anchored|edgeKnown ||
		seq != s.number(s.end) || int64(int32(c.edge[1-i]-seq)) < int64(n) || max(s.lag, n) > unknownWindow {
		return 0, false
	}
	if s.bits&hasTimestamps != 0 {
		if int32(timestamp-s.recent) < 0 || options != OptTimestamps {
			return 0, false
		}
	} else if options > OptTimestamps || c.bits&midstream != 0 && n != 0 && p.recent == seq && c.unscaled(1-i) {
		return 0, false
	}
	ahead := int64(int32(ack - p.number(p.end)))
	if int32(ack-s.ack) < 0 || ahead > -int64(p.lag) || p.end+ahead < 0 {
		return 0, false
	}
	s.ack = ack
	s.flags |= flags
	c.edge[i] = later(c.edge[i], ack+uint32(window)<<(s.scale>>4))
	if s.bits&hasTimestamps != 0 {
		if int32(p.ack-seq) >= 0 {
			s.recent = timestamp
		}
	} else if c.bits&midstream != 0 && c.unscaled(i) {
		s.recent = ack + uint32(window)
	}
	pos = s.end
	s.end += int64(n)
	if s.lag != 0 && n != 0 {
		s.lag += n
		if d := ds.of(c); d != nil {
			d.side[i].addIsland(pos, s.end)
		}
	}
	return pos, true
}

// later is the later of two numbers, without a branch: whether a window moves cannot be predicted.
func later(a, b uint32) uint32 {
	if int32(b-a) > 0 {
		a = b
	}
	return a
}

// stepSYN is the fast path for the first SYN: a flood of SYNs has no other segments.
func (c *Conn) stepSYN(i Side, g *Segment) bool {
	if c.half[Initiator].bits != 0 || c.bits&started != 0 || i != Initiator || g.Flags&(SYN|ACK|FIN|RST) != SYN || g.Len != 0 || g.Options&OptBadLength != 0 {
		return false
	}
	c.recordSYN(&c.half[Initiator], g)
	if g.HasWindowScale { // as settleScales, if only this SYN is seen
		h := &c.half[Initiator]
		h.scale = h.scale&0xf | h.scale<<4
		c.half[Responder].scale |= unknownScale << 4
	}
	c.edge[Initiator] = uint32(g.Window) // see settleEdges
	c.bits |= started
	c.state = SynSent
	return true
}

// stepSYNACK is the fast path for the responder's first segment, if that is a SYN+ACK of the SYN seen
// last.
func (c *Conn) stepSYNACK(i Side, g *Segment) bool {
	s, p := &c.half[Responder], &c.half[Initiator]
	if c.state != SynSent || i != Responder || g.Flags&(SYN|ACK|FIN|RST) != SYN|ACK || g.Len != 0 ||
		s.bits != 0 || p.has(synData) || g.Ack != p.base || c.edge[Initiator] == 0 || c.doubt != 0 || g.Options&OptBadLength != 0 {
		return false
	}
	c.recordSYN(s, g)
	s.ack = g.Ack
	s.bits |= hasACK | edgeKnown
	p.bits |= edgeKnown
	c.edge[Responder] = g.Ack + uint32(g.Window)
	c.edge[Initiator] += s.base
	if s.bits&p.bits&hasScale != 0 { // as settleScales, if both SYNs are seen
		s.scale, p.scale = s.scale&0xf|s.scale<<4, p.scale&0xf|p.scale<<4
	} else {
		s.scale, p.scale = s.scale&0xf, p.scale&0xf
	}
	c.settleTimestamps()
	c.state = SynReceived
	return true
}

// recordSYN records a SYN, with or without ACK, of a half of which no segment was seen.
func (c *Conn) recordSYN(h *half, g *Segment) {
	h.anchor(g.Seq + 1)
	h.bits |= seen
	h.setSYN(g)
	h.flags |= g.Flags
}

// stepInOrder is the fast path for a side's next bytes, FIN or ACK, with an ACK of bytes that were
// seen. Holes stay. Unlike Follow it accepts a side's first ACK, a FIN and segments after one, and
// completes the handshake; it does not accept segments whose peer is not captured. The caller sets
// o.To.
func (c *Conn) stepInOrder(i Side, g *Segment, o *Outcome, ds *Doubts) bool {
	const excluded = synData | zeroWindow | slowPath
	s, p := &c.half[i], &c.half[1-i]
	if g.Flags&(SYN|RST|ACK) != ACK || g.Window == 0 || !c.undisturbed() && !ds.OnlyHolds(c) || (s.bits|p.bits)&excluded != 0 ||
		s.bits&p.bits&anchored == 0 || g.Seq != s.number(s.end) || !p.has(edgeKnown) {
		return false
	}
	handshake, n := c.state == SynReceived, int64(g.Len)
	if g.Flags&FIN != 0 {
		n++
	}
	switch ahead := int64(int32(g.Ack - p.number(p.end))); {
	case ahead > -int64(p.lag), p.end+ahead < 0, s.has(hasACK) && int32(g.Ack-s.ack) < 0,
		c.state == SynSent, handshake && !p.has(hasACK), handshake && c.doubt != 0,
		n != 0 && (s.has(finAccepted) || s.lag > unknownWindow || n > unknownWindow || (int64(int32(c.edge[1-i]-g.Seq)) < int64(g.Len) || c.unscaled(1-i) && p.recent == g.Seq)),
		s.lag > 0 && g.Flags&FIN != 0,
		c.bits&doubtful != 0 && n != 0 && (s.lag == 0 || g.Flags&FIN != 0): // it may meet what is held
		return false
	}
	if g.Options&(signatures|OptBadLength) != 0 || s.has(signed) {
		return false
	}
	const timed = hasTimestamps | synSeen
	if s.bits&timed == timed && p.has(synSeen) && g.Options&OptTimestamps != 0 { // see timely
		newer := int32(g.Timestamp - s.recent)
		if newer < -1 {
			return false
		}
		if newer > 0 && int32(p.ack-g.Seq) >= 0 {
			s.recent = g.Timestamp
		}
	}
	s.ack = g.Ack
	s.flags |= g.Flags
	edge := g.Ack + uint32(g.Window)<<s.shift() // see setWindow
	if s.has(edgeKnown) {
		edge = later(c.edge[i], edge)
	}
	c.edge[i] = edge
	if s.bits = s.bits&^guessed | seen | hasACK | edgeKnown; c.unscaled(i) {
		s.recent = g.Ack + uint32(g.Window)
	}
	o.Pos = s.end
	if s.lag > 0 && n > 0 {
		s.lag += uint32(n)
		if d := ds.of(c); d != nil {
			d.side[i].addIsland(s.end, s.end+n)
		}
	}
	s.end += n
	if g.Flags&FIN != 0 {
		s.bits |= finAccepted
	}
	if handshake {
		c.establish(o)
	}
	c.updateClosing()
	return true
}
