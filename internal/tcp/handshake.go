package tcp

// onSYN handles a SYN, with or without ACK, and reports whether it belongs to the connection and
// changes anything.
func (c *Conn) onSYN(i Side, g *Segment, o *Outcome, ds *Doubts) bool {
	s, p := &c.half[i], &c.half[1-i]
	first := g.Seq + 1
	if c.bits&soft != 0 && ds.HasRival(c) {
		h := &ds.of(c).rival.h[i]
		if !h.known || h.first != first || g.Flags&ACK != 0 {
			o.Notes |= StraySYN
			return false
		}
		o.Rival = RivalReplays // the SYN was captured late
		c.bits &^= soft
	}
	if s.has(synSeen) {
		if first != s.base {
			o.Notes |= StraySYN
			if c.state == SynReceived && i == Responder && g.Flags&ACK != 0 && p.contains(g.Ack) {
				ds.addCandidate(c, i, g.Seq) // the initiator's ACK decides
				return false
			}
			if !c.Opening() || !c.talksElsewhere(ds) {
				c.offer(i, g, o, ds)
			}
			return false
		}
		o.Notes |= RepeatedSYN
		if ds.answersRival(c, i, g) {
			c.offer(i, g, o, ds) // its sender begins with the same number each time
			return false
		}
		return g.Flags&ACK != 0 && c.Opening() && p.contains(g.Ack)
	}
	if g.Flags&ACK != 0 && p.has(synSeen) && !c.matchSYNACK(p, g.Ack, o, ds) {
		o.Notes |= BadSYNACK
		return false
	}
	if s.has(anchored) && !s.mayBegin(first, g.Len) {
		o.Notes |= StraySYN
		if !c.Opening() || !c.talksElsewhere(ds) {
			c.offer(i, g, o, ds)
		}
		return false
	}
	if c.bits&soft != 0 && (s.bits|p.bits)&anchored == 0 && i == Opener(g.Flags) {
		// Whatever came before, be it a scanner's probe or a reset, had no number to count from.
		c.bits &^= midstream
		c.clearReset(ds)
	}
	if !s.has(anchored) || first != s.base {
		c.reanchor(i, first, ds)
	}
	if p.has(hasACK) && s.pos(p.ack) < 0 {
		c.forgetACK(1 - i) // it lies below the SYN, which outranks it
	}
	s.setSYN(g)
	return true
}

// matchSYNACK finds the SYN that a SYN+ACK acknowledges: the current one, or one of the initiator's
// earlier attempts, which then becomes the current one.
func (c *Conn) matchSYNACK(ini *half, ack uint32, o *Outcome, ds *Doubts) bool {
	if ini.contains(ack) {
		return true
	}
	return c.state == SynSent && c.useCandidate(Initiator, ack, o, ds)
}

// useCandidate replaces the SYN of side by a candidate that ack acknowledges, and reports whether
// there was one.
func (c *Conn) useCandidate(i Side, ack uint32, o *Outcome, ds *Doubts) bool {
	h, d := &c.half[i], ds.of(c)
	if d == nil || h.end != 0 && i == Responder {
		return false
	}
	for k := range d.candidates {
		if x := &d.candidates[k]; x.number+1 == ack && x.side == i {
			x.number = h.base - 1
			c.reanchor(i, ack, ds)
			c.forgetACK(1 - i) // it was about the other numbers
			h.bits &^= synData
			o.Notes |= Reanchored
			return true
		}
	}
	return false
}

// updateHandshake moves the state of a connection that is not established.
func (c *Conn) updateHandshake(i Side, g *Segment, o *Outcome, ds *Doubts) {
	ini, res := &c.half[Initiator], &c.half[Responder]
	isSYN := g.Flags&SYN != 0
	switch {
	case c.state == Active:
		if isSYN && c.bits&midstream == 0 {
			c.state = SynSent + State(i) // a SYN+ACK may be the first captured
		}
	case c.state == SynSent && res.has(synSeen):
		c.state = SynReceived
		c.meetEarlyACK(o, ds)
	case c.state == SynSent && !isSYN && res.has(anchored):
		c.establish(o) // the SYN+ACK was not captured
	}
	if c.state != SynReceived || !res.synAcked(ini) && !c.provesHandshake(i, g) {
		return
	}
	if ini.synAcked(res) {
		c.establish(o)
	}
}

// meetEarlyACK compares what the initiator acknowledged before the SYN+ACK was captured with its number.
func (c *Conn) meetEarlyACK(o *Outcome, ds *Doubts) {
	d := ds.of(c)
	if d == nil || !d.rival.on {
		return
	}
	if h := &d.rival.h[Initiator]; !d.rival.syn && h.known && h.hasACK && h.ack == c.half[Responder].base &&
		within(h.first, c.half[Initiator].base, c.half[Initiator].base+maxRivalHole) {
		o.Rival = RivalReplays
		return
	}
	if a, b := &d.rival.h[0], &d.rival.h[1]; !d.rival.syn && a.hasACK && b.hasACK && agree(a, b) && agree(b, a) {
		return // both ends have spoken at those numbers: what follows tells which are theirs
	}
	c.forgetRival(d, ds)
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
	if a, b := &c.half[0], &c.half[1]; a.bits&b.bits&synSeen == 0 {
		a.bits &^= hasTimestamps // only one SYN was seen
		b.bits &^= hasTimestamps
	}
	o.Established = true
}

// resolveSYNData decides about the payload of the SYN of side i: its peer has acknowledged it, or only the
// SYN and none of its payload (RFC 7413 section 4.2).
func (c *Conn) resolveSYNData(i Side, ds *Doubts, o *Outcome) {
	h, acked := &c.half[i], c.acked(i)
	if !h.has(synData) || acked < 0 {
		return
	}
	h.bits &^= synData
	if acked == 0 && !h.has(finAccepted) {
		o.Notes |= SYNDataIgnored
		h.end, h.lag = 0, 0
		if d := ds.of(c); d != nil {
			d.side[i].reset()
		}
	}
}
