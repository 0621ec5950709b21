package tcp

// onSYN handles a SYN, with or without ACK, and reports whether it belongs to the connection and
// changes anything.
func (c *Conn) onSYN(i Side, g *Segment, o *Outcome) bool {
	s, p := &c.half[i], &c.half[1-i]
	first := g.Seq + 1
	if s.has(synSeen) {
		if first != s.base {
			o.Notes |= StraySYN
			if c.state == SynReceived && i == Responder && g.Flags&ACK != 0 && p.contains(g.Ack) {
				c.addCandidate(i, g.Seq, len(c.candidates)) // the initiator's ACK decides
			}
			return false
		}
		o.Notes |= RepeatedSYN
		c.bits &^= resetPending0 << i
		return g.Flags&ACK != 0 && c.Opening()
	}
	if g.Flags&ACK != 0 && p.has(synSeen) && !c.matchSYNACK(p, g.Ack, o) {
		o.Notes |= BadSYNACK
		return false
	}
	if s.has(anchored) && !s.mayBegin(first, g.Len) {
		o.Notes |= StraySYN
		return false
	}
	if !s.has(anchored) || first != s.base {
		s.anchor(first)
	}
	s.setSYN(g)
	return true
}

// matchSYNACK finds the SYN that a SYN+ACK acknowledges: the current one, or one of the initiator's
// earlier attempts, which then becomes the current one.
func (c *Conn) matchSYNACK(ini *half, ack uint32, o *Outcome) bool {
	if ini.contains(ack) {
		return true
	}
	if c.state != SynSent {
		return false
	}
	return c.useCandidate(Initiator, ack, o)
}

// matchLastACK handles the initiator's ACK of a SYN+ACK: if the responder sent several, with
// different numbers, the one that is acknowledged counts.
func (c *Conn) matchLastACK(res *half, ack uint32, o *Outcome) {
	if !res.contains(ack) && res.end == 0 {
		c.useCandidate(Responder, ack, o)
	}
}

// useCandidate replaces the SYN of side by a candidate that ack acknowledges, and reports whether
// there was one.
func (c *Conn) useCandidate(i Side, ack uint32, o *Outcome) bool {
	h := &c.half[i]
	for k := range c.ncandidates {
		if c.candidates[k]+1 == ack && Side(c.candidateSides>>k&1) == i {
			c.candidates[k] = h.base - 1
			h.anchor(ack)
			h.bits &^= synData
			o.Notes |= Reanchored
			return true
		}
	}
	return false
}

// updateHandshake moves the state of a connection that is not established.
func (c *Conn) updateHandshake(i Side, g *Segment, o *Outcome) {
	ini, res := &c.half[Initiator], &c.half[Responder]
	isSYN := g.Flags&SYN != 0
	switch {
	case c.state == Active:
		if isSYN && c.bits&midstream == 0 {
			c.state = SynSent + State(i) // a SYN+ACK may be the first captured
		}
	case c.state == SynSent && res.has(synSeen):
		c.state = SynReceived
	case c.state == SynSent && !isSYN && i == Initiator:
		// The initiator acknowledges only what it received, so there was a SYN+ACK that was
		// not captured.
		c.establish(o)
	}
	if c.state != SynReceived || !res.synAcked(ini) && !c.provesHandshake(i, g) {
		return
	}
	if ini.synAcked(res) {
		c.establish(o)
	}
}

// provesHandshake reports whether a segment of a responder, whose initiator is not captured, shows
// that the last ACK of the handshake reached it: it is more than a SYN+ACK, or acknowledges more
// than a SYN.
func (c *Conn) provesHandshake(i Side, g *Segment) bool {
	ini := &c.half[Initiator]
	return i == Responder && g.Flags&SYN == 0 && !ini.has(seen) &&
		(g.Len > 0 || g.Flags&FIN != 0 || ini.pos(g.Ack) > 0)
}

func (c *Conn) establish(o *Outcome) {
	c.state = Established
	c.bits |= wasEstablished
	c.ncandidates = 0
	o.Established = true
}

// resolveSYNData decides about the payload of the peer's SYN: h has acknowledged it, or only the SYN
// and none of its payload (RFC 7413 section 4.2).
func (h *half) resolveSYNData(peer *half, pos int64, o *Outcome) {
	peer.bits &^= synData
	if pos == 0 && !peer.has(finAccepted) {
		o.Notes |= SYNDataIgnored
		peer.end, peer.lag = 0, 0
		peer.bits &^= holePartlyFilled
	}
}
