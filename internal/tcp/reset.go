package tcp

// credibility is how far a reset is believed.
type credibility uint8

const (
	outside credibility = iota // not believed
	inside                     // in the window: believed only if packets are missing
	exact                      // where the receiver expects the next byte
)

// onRST handles a RST. By RFC 5961 section 3.2 a receiver believes one only at exactly the number it
// expects. An observer does not always know that number, so if packets are known to be missing a
// reset inside the window is believed too; if none is missing it is recorded as pending, and
// decides the reason of the end only if its sender sends nothing more.
func (c *Conn) onRST(i Side, g *Segment, o *Outcome) {
	switch c.credibilityOf(i, g) {
	case exact:
		c.state = Reset
	case inside:
		if c.packetsMissing() {
			c.state = Reset
			return
		}
		c.bits |= resetPending0 << i
		o.Notes |= ImplausibleRST
	default:
		o.Notes |= ImplausibleRST
	}
}

func (c *Conn) credibilityOf(i Side, g *Segment) credibility {
	s, p := &c.half[i], &c.half[1-i]
	if c.state == SynSent && i == Responder {
		return c.credibilityInSYNSent(p, g)
	}
	if !s.has(anchored) {
		return exact // no number is known that contradicts it
	}
	pos, next := s.pos(g.Seq), s.next()
	switch {
	case pos == next, pos == s.end, p.has(hasACK) && g.Seq == p.ack:
		return exact
	case pos > next && pos-next <= s.window(p):
		return inside
	default:
		return outside
	}
}

// credibilityInSYNSent is that of a reset in answer to a SYN: it must acknowledge that SYN
// (RFC 9293 section 3.10.7.3), or part of the data sent with it.
func (c *Conn) credibilityInSYNSent(ini *half, g *Segment) credibility {
	if g.Flags&ACK == 0 {
		return inside
	}
	if pos := ini.pos(g.Ack); pos >= 0 && pos <= ini.end {
		return exact
	}
	return outside
}

// packetsMissing reports whether packets are known to be missing from the capture. A responder that
// has not answered yet is not missing.
func (c *Conn) packetsMissing() bool {
	if c.bits&midstream != 0 {
		return true
	}
	for k := range c.half {
		h := &c.half[k]
		if !h.has(seen) && c.state != SynSent || h.lag > 0 || h.has(unseenAcked|neverCaptured) {
			return true
		}
	}
	return false
}
