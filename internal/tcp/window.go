package tcp

// unknownWindow is how far ahead a segment may lie when the peer's window or its scale was not seen: the
// largest window there is (RFC 7323 section 2.3).
const unknownWindow = 1 << 30

// unknownScale is the shift of windows whose scale was not seen: the largest there is.
const unknownScale = 14

// shift is by how much the windows of this side's segments are shifted. That of a SYN is never.
func (h *half) shift() uint8 { return h.scale >> 4 }

// unscaled reports whether the scale of the windows of side i is not known, of a connection under way:
// where only the SYN+ACK was not captured, they are nearly always scaled.
func (c *Conn) unscaled(i Side) bool {
	h := &c.half[i]
	return c.bits&midstream != 0 && h.scale>>4 == unknownScale && !h.has(synSeen)
}

// settleScales finds the shifts of both sides' windows from the SYNs that were seen. A scale counts only
// if both SYNs have one (RFC 7323 section 2.2), and a responder's SYN has one only in answer to one.
func (c *Conn) settleScales() {
	for i := range c.half {
		h, p := &c.half[i], &c.half[1-i]
		shift := uint8(0)
		switch {
		case h.has(synSeen) && p.has(synSeen):
			if h.has(hasScale) && p.has(hasScale) {
				shift = h.scale & 0xf
			}
		case h.has(synSeen):
			if h.has(hasScale) {
				shift = h.scale & 0xf
			}
		case !p.has(synSeen) || p.has(hasScale):
			shift = unknownScale
		}
		h.scale = h.scale&0xf | shift<<4
	}
}

// setWindow records the window field of a segment of side i that acknowledges a number. The edge that a
// side has offered once stays: data that was in flight when the window shrank may use it.
func (c *Conn) setWindow(i Side, window uint16, ack uint32, flags uint8) {
	s := &c.half[i]
	w := uint32(window)
	if flags&SYN == 0 {
		w <<= s.shift()
	}
	if edge := ack + w; !s.has(edgeKnown) || int32(edge-c.edge[i]) > 0 {
		c.edge[i] = edge
		s.bits |= edgeKnown
	}
	if flags&SYN == 0 && c.unscaled(i) {
		s.recent = ack + uint32(window)
	}
}

// offerWindow is setWindow for a credible segment, whose window is also the newest.
func (c *Conn) offerWindow(i Side, g *Segment) {
	s := &c.half[i]
	c.setWindow(i, g.Window, g.Ack, g.Flags)
	if s.bits &^= zeroWindow; g.Window == 0 {
		s.bits |= zeroWindow
	}
}

// forgetACK forgets what side i has acknowledged, and its window.
func (c *Conn) forgetACK(i Side) {
	c.half[i].bits &^= hasACK | edgeKnown
	c.edge[i] = 0
}

// edgeOf is the position up to which side i may send, by the windows that its peer has offered.
func (c *Conn) edgeOf(i Side) int64 {
	h := &c.half[i]
	if !c.half[1-i].has(edgeKnown) {
		return h.end + unknownWindow
	}
	return h.pos(c.edge[1-i])
}

// sureEdgeOf is the position up to which side i may send in any case, if the scale of its peer's windows is not known.
func (c *Conn) sureEdgeOf(i Side) int64 {
	if c.unscaled(1-i) && c.half[1-i].has(edgeKnown) {
		return c.half[i].pos(c.half[1-i].recent)
	}
	return c.edgeOf(i)
}

// windowOf is the window that side i has offered, beyond what it has acknowledged.
func (c *Conn) windowOf(i Side) int64 {
	if s := &c.half[i]; s.has(edgeKnown) && s.has(hasACK) {
		return int64(c.edge[i] - s.ack)
	}
	return unknownWindow
}
