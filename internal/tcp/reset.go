package tcp

// credit is how much a reset deserves to be believed.
type credit uint8

const (
	outside credit = iota // changes nothing
	inside                // in the window: believed only if our view has holes
	exact                 // where the receiver expects the next byte
)

// reset takes a RST. RFC 5961 section 3.2 lets a receiver believe one only at
// exactly the number it expects. An observer does not always know that number,
// so where packets are known to be missing a reset inside the window counts
// too; where nothing is missing it is kept in mind, and decides the reason only
// if its sender is never heard again.
func (c *Conn) reset(i Side, g *Segment, o *Outcome) {
	switch c.credit(i, g) {
	case exact:
		c.state = Reset
	case inside:
		if c.incomplete() {
			c.state = Reset
			return
		}
		c.bits |= pending0 << i
		o.Notes |= ImplausibleRST
	default:
		o.Notes |= ImplausibleRST
	}
}

func (c *Conn) credit(i Side, g *Segment) credit {
	s, p := &c.half[i], &c.half[1-i]
	if c.state == SynSent && i == Responder {
		return c.refusal(p, g)
	}
	if !s.has(anchored) {
		return exact // nothing is known that could contradict it
	}
	pos, next := s.pos(g.Seq), s.next()
	switch {
	case pos == next, pos == s.end, p.has(acked) && g.Seq == p.ack:
		return exact
	case pos > next && pos-next <= s.window(p):
		return inside
	default:
		return outside
	}
}

// refusal judges the answer to a SYN: it must acknowledge that SYN
// (RFC 9293 section 3.10.7.3), or part of the data sent with it.
func (c *Conn) refusal(opener *half, g *Segment) credit {
	if g.Flags&ACK == 0 {
		return inside
	}
	if pos := opener.pos(g.Ack); pos >= 0 && pos <= opener.end {
		return exact
	}
	return outside
}

// incomplete reports whether packets are known to be missing from our view. A
// responder that has not answered yet is not missing.
func (c *Conn) incomplete() bool {
	if c.bits&midstream != 0 {
		return true
	}
	for k := range c.half {
		h := &c.half[k]
		if !h.has(seen) && c.state != SynSent || h.lag > 0 || h.has(awaited|unseen) {
			return true
		}
	}
	return false
}
