package tcp

// synchronise takes a SYN and reports whether it belongs to the connection and
// says something new.
func (c *Conn) synchronise(i Side, g *Segment, o *Outcome) bool {
	s, p := &c.half[i], &c.half[1-i]
	first := g.Seq + 1
	if s.has(synned) {
		if first != s.base {
			o.Notes |= StraySYN
			if c.state == SynReceived && i == Responder && g.Flags&ACK != 0 && p.holds(g.Ack) {
				c.remember(i, g.Seq, len(c.others)) // the opener's ACK will choose
			}
			return false
		}
		o.Notes |= RepeatedSYN
		c.bits &^= pending0 << i
		return g.Flags&ACK != 0 && c.Opening()
	}
	if g.Flags&ACK != 0 && p.has(synned) && !c.choose(p, g.Ack, o) {
		o.Notes |= BadSYNACK
		return false
	}
	if s.has(anchored) && !s.begins(first, g.Len) {
		o.Notes |= StraySYN
		return false
	}
	if !s.has(anchored) || first != s.base {
		s.anchor(first)
	}
	s.syn(g)
	return true
}

// choose finds the SYN that a SYN+ACK acknowledges: the current one, or one of
// the opener's earlier attempts, which then becomes the current one.
func (c *Conn) choose(opener *half, ack uint32, o *Outcome) bool {
	if opener.holds(ack) {
		return true
	}
	if c.state != SynSent {
		return false
	}
	return c.exchange(Initiator, ack, o)
}

// chosen takes the opener's ACK of a SYN+ACK: if the responder sent several, with
// different numbers, the one that is acknowledged counts.
func (c *Conn) chosen(res *half, ack uint32, o *Outcome) {
	if !res.holds(ack) && res.end == 0 {
		c.exchange(Responder, ack, o)
	}
}

// exchange makes another SYN that side sent the one of this connection, if ack
// acknowledges it, and reports whether there was one.
func (c *Conn) exchange(i Side, ack uint32, o *Outcome) bool {
	h := &c.half[i]
	for k := range c.nothers {
		if c.others[k]+1 == ack && Side(c.sides>>k&1) == i {
			c.others[k] = h.base - 1
			h.anchor(ack)
			h.bits &^= synData
			o.Notes |= Reanchored
			return true
		}
	}
	return false
}

// handshake moves the state of a connection that is not established.
func (c *Conn) handshake(i Side, g *Segment, o *Outcome) {
	ini, res := &c.half[Initiator], &c.half[Responder]
	plain := g.Flags&SYN == 0
	switch {
	case c.state == Active:
		if !plain && c.bits&midstream == 0 {
			c.state = SynSent + State(i) // a SYN+ACK may be all we see
		}
	case c.state == SynSent && res.has(synned):
		c.state = SynReceived
	case c.state == SynSent && plain && i == Initiator:
		// The opener only acknowledges what it received, so there was a
		// SYN+ACK that was not captured.
		c.establish(o)
	}
	if c.state != SynReceived || !res.synAcked(ini) && !c.speaksAlone(i, g) {
		return
	}
	if ini.synAcked(res) {
		c.establish(o)
	}
}

// speaksAlone reports whether a responder, whose opener is not captured, acts
// as one that got the last ACK of the handshake: it sends more than a SYN+ACK,
// or acknowledges more than a SYN.
func (c *Conn) speaksAlone(i Side, g *Segment) bool {
	ini := &c.half[Initiator]
	return i == Responder && g.Flags&SYN == 0 && !ini.has(seen) &&
		(g.Len > 0 || g.Flags&FIN != 0 || ini.pos(g.Ack) > 0)
}

func (c *Conn) establish(o *Outcome) {
	c.state = Established
	c.bits |= settled
	c.nothers = 0
	o.Established = true
}

// settle decides about the payload of the peer's SYN: h has acknowledged it, or
// only the SYN and nothing of what came with it (RFC 7413 section 4.2).
func (h *half) settle(peer *half, pos int64, o *Outcome) {
	peer.bits &^= synData
	if pos == 0 && !peer.has(finned) {
		o.Notes |= SYNDataIgnored
		peer.end, peer.lag = 0, 0
		peer.bits &^= patched
	}
}
