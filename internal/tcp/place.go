package tcp

// place puts payload and FIN into the sender's number space.
func (c *Conn) place(s, p *half, g *Segment, o *Outcome) {
	pos, end := o.Pos, o.Pos+int64(g.Len)
	o.Placed = true
	if g.Len <= 1 && g.Flags&(SYN|FIN) == 0 && s.lone(pos, g.Len, p, o) {
		return
	}
	if g.Len == 0 && g.Flags&FIN == 0 {
		return
	}
	if s.has(finned) && g.Len > 0 {
		if at := s.pos(s.fin()); end > at {
			o.Notes |= DataAfterFIN
			o.Placed = pos < at
			end = at
		}
	}
	if o.Placed {
		o.Notes |= s.order(pos, pos+int64(g.Len))
	}
	if pos < end {
		s.covers(pos, end)
		if s.has(awaited) && s.next() >= s.pos(p.ack) {
			s.bits &^= awaited // only captured later than its ACK
		}
		if g.Flags&SYN != 0 {
			s.bits |= synData
		} else {
			s.bits &^= synData // its sender knows what became of it
		}
		if s.has(finned) && s.next() == s.pos(s.fin()) {
			s.setNext(s.end) // the hole before the FIN is closed
		}
	}
	if g.Flags&(FIN|SYN) == FIN {
		s.finish(o.Pos, o.Pos+int64(g.Len), o)
	}
}

// lone looks at a segment of at most one byte and reports whether it is no
// data at all.
//
//	       pos                pos
//	         |x|                |x|      window of the peer: 0
//	---------|-|          ------|
//	          end              end
//	   keep-alive             probe
func (h *half) lone(pos int64, n uint32, peer *half, o *Outcome) bool {
	outstanding := peer.has(acked) && h.pos(peer.ack) < h.end
	switch {
	case n == 1 && peer.has(shut) && (pos == h.end || pos == h.end-1 && outstanding):
		o.Notes |= WindowProbe
	case pos == h.end-1 && !outstanding && !h.has(finned):
		o.Notes |= KeepAlive
		o.Placed = n == 0
		return true
	}
	return false
}

// order compares what arrives with what was seen.
func (h *half) order(pos, end int64) Note {
	switch {
	case pos > h.end:
		return Hole
	case pos == end:
		return 0 // only a FIN
	case end <= h.next():
		return Retransmission
	case end <= h.end:
		return OutOfOrder
	}
	return 0
}

// finish takes a FIN that stands at position at, behind the payload from pos.
// The first one decides (RFC 9293 section 3.10.7.4: a FIN that was taken is
// the end of the stream).
func (h *half) finish(pos, at int64, o *Outcome) {
	switch {
	case h.has(finned):
		if h.number(at) != h.fin() {
			o.Notes |= FINConflict
		}
	case at < h.end:
		o.Notes |= FINConflict // bytes beyond it were seen already
	default:
		h.bits |= finned
		h.covers(pos, at+1)
	}
}
