package tcp

// Conn is one connection. The zero value has seen nothing. It holds no
// pointers and is small enough to live inside a table.
type Conn struct {
	half [2]half

	// others are first numbers of SYNs that are not this connection's: earlier
	// attempts of the opener while it is opening, afterwards candidates for a
	// connection that may replace this one.
	others  [3]uint32
	nothers uint8
	sides   uint8 // bit i: others[i] was sent by the responder
	state   State
	bits    connBits
}

type connBits uint8

const (
	midstream connBits = 1 << iota
	begun
	settled  // Established was reported
	pending0 // the initiator sent a reset that was not believed
	pending1
)

// State is where the connection stands.
func (c *Conn) State() State { return c.state }

// Midstream reports whether the connection was under way when first seen.
func (c *Conn) Midstream() bool { return c.bits&midstream != 0 }

// Flags is the union of the flags that side sent.
func (c *Conn) Flags(i Side) uint8 { return c.half[i&1].flags }

// PendingReset reports whether a reset was seen that was not believed, and
// whose sender has been silent since.
func (c *Conn) PendingReset() bool { return c.bits&(pending0|pending1) != 0 }

// Finished reports whether both sides have said FIN.
func (c *Conn) Finished() bool { return c.half[0].has(finned) && c.half[1].has(finned) }

// Opening reports whether the handshake is under way.
func (c *Conn) Opening() bool { return c.state == SynSent || c.state == SynReceived }

// Answered reports whether both sides were heard.
func (c *Conn) Answered() bool { return c.half[0].has(seen) && c.half[1].has(seen) }

// Waiting reports whether a SYN was seen whose connection may replace this one,
// so that Reuses must be asked about every segment and not only about SYNs.
func (c *Conn) Waiting() bool { return c.nothers != 0 }

// Abort ends the connection from outside.
func (c *Conn) Abort() { c.state = Aborted }

// Opener says which side sends a segment that is the first of its flow. Only
// an answer to a SYN comes from a responder.
func Opener(flags uint8) Side {
	if flags&(SYN|ACK|RST) == SYN|ACK {
		return Responder
	}
	return Initiator
}

// Step takes the next segment of side i.
func (c *Conn) Step(i Side, g *Segment) Outcome {
	i &= 1
	s, p := &c.half[i], &c.half[1-i]
	o := Outcome{From: c.state, To: c.state}
	c.begin(g)
	s.bits |= seen
	s.flags |= g.Flags
	switch {
	case g.Flags&RST != 0:
		c.reset(i, g, &o)
		o.To = c.state
		return o
	case g.Flags&SYN != 0:
		if !c.synchronise(i, g, &o) {
			o.To = c.state
			return o
		}
	case c.state == SynSent && i == Responder:
		// Nothing a responder says before its SYN can be placed.
		if g.Len > 0 {
			o.Notes |= DataBeforeHandshake
		}
		return o
	case !s.has(anchored):
		s.anchor(g.Seq)
	}
	c.bits &^= pending0 << i
	if g.Flags&ACK != 0 && !s.acknowledges(g.Ack, p) {
		o.Notes |= ImplausibleACK
	}
	if g.Window == 0 && g.Flags&SYN == 0 {
		o.Notes |= ZeroWindow
	}
	s.offers(g, p)
	c.place(s, p, g, &o)
	c.advance(i, g, &o)
	o.To = c.state
	return o
}

// begin looks at the very first segment.
func (c *Conn) begin(g *Segment) {
	if c.bits&begun != 0 {
		return
	}
	c.bits |= begun
	if c.state == Active && (g.Flags&SYN == 0 || g.Flags&(FIN|RST) != 0) {
		c.bits |= midstream
	}
}

// synchronise takes a SYN and reports whether it belongs to the connection.
func (c *Conn) synchronise(i Side, g *Segment, o *Outcome) bool {
	s, p := &c.half[i], &c.half[1-i]
	first := g.Seq + 1
	if s.has(synned) {
		if first == s.base {
			o.Notes |= RepeatedSYN
			return g.Flags&ACK != 0 && c.Opening()
		}
		o.Notes |= StraySYN
		return false
	}
	if g.Flags&ACK != 0 && p.has(synned) && !c.choose(p, g.Ack, o) {
		o.Notes |= BadSYNACK
		return false
	}
	if s.has(anchored) && first != s.base && s.end > 0 {
		o.Notes |= StraySYN
		return false
	}
	if !s.has(anchored) || first != s.base {
		s.anchor(first)
	}
	s.bits |= synned
	if g.HasWindowScale {
		s.bits |= scaled
		s.scale = min(g.WindowScale, 14) // RFC 7323 section 2.3
	}
	return true
}

// choose finds the SYN that a SYN+ACK acknowledges: the current one, or one of
// the opener's earlier attempts, which then becomes the current one.
func (c *Conn) choose(opener *half, ack uint32, o *Outcome) bool {
	pos := opener.pos(ack)
	if pos >= 0 && pos <= opener.end {
		if pos == 0 && opener.end > 0 && c.state == SynSent {
			o.Notes |= SYNDataIgnored
			opener.end, opener.lag = 0, 0
		}
		return true
	}
	for k := range c.nothers {
		if c.others[k]+1 == ack {
			c.others[k] = opener.base - 1
			opener.anchor(ack)
			return true
		}
	}
	return false
}

// place puts payload and FIN into the sender's number space.
func (c *Conn) place(s, p *half, g *Segment, o *Outcome) {
	first := g.Seq
	if g.Flags&SYN != 0 {
		first++
	}
	pos := s.pos(first)
	o.Pos = pos
	if g.Len == 0 && g.Flags&FIN == 0 {
		o.Placed = true
		return
	}
	next := s.next()
	if pos-next > s.window(p) {
		o.Notes |= OutOfWindow
		return
	}
	o.Placed = true
	end := pos + int64(g.Len)
	if g.Len > 0 {
		switch {
		case g.Len == 1 && pos == s.end-1:
			o.Notes |= KeepAlive
		case end <= next:
			o.Notes |= Retransmission
		case end <= s.end:
			o.Notes |= OutOfOrder
		case pos > s.end:
			o.Notes |= Hole
		}
	}
	if s.has(finned) {
		if at := s.pos(s.fin); end > at {
			o.Notes |= DataAfterFIN
			end = max(at, pos)
		}
	}
	if g.Len > 0 {
		s.covers(pos, end)
		if s.has(finned) && s.next() == s.pos(s.fin) {
			s.setNext(s.end) // the hole before the FIN is closed
		}
	}
	if g.Flags&(FIN|SYN) == FIN {
		c.finish(s, pos+int64(g.Len), pos, o)
	}
}

// finish takes a FIN that stands after the last byte of its segment.
func (c *Conn) finish(s *half, at, pos int64, o *Outcome) {
	switch {
	case s.has(finned):
		if s.number(at) != s.fin {
			o.Notes |= FINConflict
		}
	case at < s.end:
		o.Notes |= FINConflict // bytes beyond it were seen already
	default:
		s.bits |= finned
		s.fin = s.number(at)
		s.covers(pos, at+1)
	}
}

// advance moves the state by what is now known of the two halves.
func (c *Conn) advance(i Side, g *Segment, o *Outcome) {
	ini, res := &c.half[Initiator], &c.half[Responder]
	switch c.state {
	case Active:
		if g.Flags&SYN != 0 && c.bits&midstream == 0 {
			c.state = SynSent
			if i == Responder {
				c.state = SynReceived
			}
		}
	case SynSent:
		switch {
		case res.has(synned):
			c.state = SynReceived
		case i == Initiator && g.Flags&(SYN|ACK) == ACK && o.Placed && o.Pos >= 0:
			// The opener only acknowledges what it received, so there was a
			// SYN+ACK that was not captured.
			c.establish(o)
		}
	}
	if c.state == SynReceived && res.synAcked(ini) && ini.synAcked(res) {
		c.establish(o)
	}
	if g.Flags&SYN == 0 {
		c.closing(ini, res)
	}
}

func (c *Conn) establish(o *Outcome) {
	c.state = Established
	c.nothers = 0
	if c.bits&settled == 0 {
		c.bits |= settled
		o.Established = true
	}
}

func (c *Conn) closing(ini, res *half) {
	f0, f1 := ini.has(finned), res.has(finned)
	switch {
	case f0 && f1 && ini.finAcked(res) && res.finAcked(ini):
		c.state = Closed
	case f0 && f1:
		c.state = ClosingTcp
	case f0 || f1:
		c.state = FinWait
	}
}
