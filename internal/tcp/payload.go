package tcp

// placePayload places payload and FIN in the sender's half.
func (c *Conn) placePayload(s, p *half, g *Segment, o *Outcome) {
	pos, end := o.Pos, o.Pos+int64(g.Len)
	o.Placed = true
	if g.Len <= 1 && g.Flags&(SYN|FIN) == 0 && s.probeOrKeepAlive(pos, g.Len, p, o) {
		return
	}
	if g.Len == 0 && g.Flags&FIN == 0 {
		return
	}
	if s.has(finAccepted) && g.Len > 0 {
		if at := s.pos(s.fin()); end > at {
			o.Notes |= DataAfterFIN
			o.Placed = pos < at
			end = at
		}
	}
	if o.Placed {
		o.Notes |= s.classify(pos, pos+int64(g.Len))
	}
	if pos < end {
		s.markSeen(pos, end)
		if s.has(unseenAcked) && s.next() >= s.pos(p.ack) {
			s.bits &^= unseenAcked // only captured later than its ACK
		}
		if g.Flags&SYN != 0 {
			s.bits |= synData
		} else {
			s.bits &^= synData // the sender knows whether it was accepted
		}
		if s.has(finAccepted) && s.next() == s.pos(s.fin()) {
			s.setNext(s.end) // the hole before the FIN is closed
		}
	}
	if g.Flags&(FIN|SYN) == FIN {
		s.placeFIN(o.Pos, o.Pos+int64(g.Len), o)
	}
}

// probeOrKeepAlive notes a window probe or a keep-alive, both segments of at most one byte. It
// reports whether the segment is a keep-alive and so carries no data.
//
//	       pos                pos
//	         |x|                |x|      window of the peer: 0
//	---------|-|          ------|
//	          end              end
//	   keep-alive             probe
func (h *half) probeOrKeepAlive(pos int64, n uint32, peer *half, o *Outcome) bool {
	outstanding := peer.has(hasACK) && h.pos(peer.ack) < h.end
	switch {
	case n == 1 && peer.has(zeroWindow) && (pos == h.end || pos == h.end-1 && outstanding):
		o.Notes |= WindowProbe
	case pos == h.end-1 && !outstanding && !h.has(finAccepted):
		o.Notes |= KeepAlive
		o.Placed = n == 0
		return true
	}
	return false
}

// classify compares the range of an arriving payload with the positions seen.
func (h *half) classify(pos, end int64) Note {
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

// placeFIN handles a FIN at position at, behind the payload from pos. The first FIN counts
// (RFC 9293 section 3.10.7.4: an accepted FIN is the end of the stream).
func (h *half) placeFIN(pos, at int64, o *Outcome) {
	switch {
	case h.has(finAccepted):
		if h.number(at) != h.fin() {
			o.Notes |= FINConflict
		}
	case at < h.end:
		o.Notes |= FINConflict // bytes beyond it were seen already
	default:
		h.bits |= finAccepted
		h.markSeen(pos, at+1)
	}
}
