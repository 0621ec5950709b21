package tcp

// half is what is known of one sender.
//
//	base        next       end
//	 |-----------|....-----|          lag = end - next
//	 0   seen    ^ a hole  ^ highest position seen, a FIN included
type half struct {
	end  int64
	lag  uint32
	base uint32 // number of position 0; valid with anchored
	ack  uint32 // newest number this side acknowledged; valid with acked

	maxWindow uint32 // largest window this side offered, scaled; after the end see Conn.SetEndedAt
	owner     uint32 // see Conn.OwnerWord
	bits      halfBits
	scale     uint8
	flags     uint8 // union of all flags sent
}

type halfBits uint16

const (
	seen             halfBits = 1 << iota // this side sent something
	anchored                              // base is known
	synSeen                               // the SYN itself was seen
	synData                               // it carried payload; whether the peer accepts it is not known yet
	hasACK                                // ack is valid
	finAccepted                           // a FIN was accepted
	hasScale                              // the SYN carried a window scale
	zeroWindow                            // the window offered last was 0
	holePartlyFilled                      // bytes arrived in the present hole, but did not close it
	unseenAcked                           // the peer acknowledged bytes not seen so far
	neverCaptured                         // ... and they were not captured at all
	slowPath                              // see Conn.DisableFastPath
)

func (h *half) has(b halfBits) bool { return h.bits&b != 0 }
func (h *half) next() int64         { return h.end - int64(h.lag) }

// pos unwraps one of this half's own numbers; number is the inverse.
func (h *half) pos(seq uint32) int64    { return unwrap(h.base, h.end, seq) }
func (h *half) number(pos int64) uint32 { return wire(h.base, pos) }

func (h *half) anchor(first uint32) {
	h.base, h.end, h.lag = first, 0, 0
	h.bits |= anchored
}

// setSYN records that the SYN was seen, and its window scale.
func (h *half) setSYN(g *Segment) {
	h.bits |= synSeen
	if g.HasWindowScale {
		h.bits |= hasScale
		h.scale = min(g.WindowScale, 14) // RFC 7323 section 2.3
	}
}

// contains reports whether seq lies between the first number and the highest seen.
func (h *half) contains(seq uint32) bool {
	pos := h.pos(seq)
	return h.has(anchored) && pos >= 0 && pos <= h.end
}

// fin is the number of the FIN, valid with finAccepted: no position beyond the FIN is ever marked as
// seen, so it is the last number before end.
func (h *half) fin() uint32 { return h.number(h.end - 1) }

// mayBegin reports whether first may be the first number of this half although its SYN, of n bytes
// payload, was not seen in time: then position 0 is the number that the peer acknowledged, which
// may or may not include that payload.
func (h *half) mayBegin(first, n uint32) bool {
	ahead := distance(first, h.base)
	return ahead == 0 || h.end == 0 && ahead > 0 && ahead <= int64(n)
}

// markSeen records that positions [pos, end) were seen. Bytes that close a hole only in part leave
// the lag as it is; bytes beyond a hole let it grow.
func (h *half) markSeen(pos, end int64) {
	next := h.next()
	if pos <= next && end > next {
		next = end
	}
	if end > h.end {
		h.end = end
	} else if h.lag > 0 {
		h.bits |= holePartlyFilled
	}
	h.setNext(next)
}

// setNext moves the contiguous edge to next, at most end. A lag that does not fit its
// 32 bits is cut off: it only serves to judge whether numbers are plausible.
func (h *half) setNext(next int64) {
	h.lag = uint32(min(h.end-min(next, h.end), 1<<32-1))
	if h.lag == 0 {
		h.bits &^= holePartlyFilled
	}
}

// acceptACK handles the ACK field of a segment of this half; peer is the half whose bytes it
// acknowledges. It reports whether the number is plausible: at most limit beyond the highest
// position seen, and not older than the peer would accept (RFC 5961 section 5.2).
func (h *half) acceptACK(ack uint32, peer *half, limit int64, o *Outcome) bool {
	// A repeated ACK is not unwrapped again: if the peer has since sent half the number space, that
	// would give another position.
	if h.has(hasACK) && ack == h.ack && peer.lag == 0 && !peer.has(unseenAcked|synData) {
		return true
	}
	if !peer.has(anchored) {
		peer.anchor(ack)
	}
	pos := peer.pos(ack)
	switch {
	case pos < 0 && peer.has(synSeen), pos < -unknownWindow, pos > peer.end+limit:
		return false
	}
	// A number beyond the highest position seen may be forged, so the next plausible number replaces
	// it, whichever it is.
	news := !h.has(hasACK) || ack != h.ack
	if certain := h.has(hasACK) && peer.pos(h.ack) <= peer.end; certain {
		older := distance(ack, h.ack)
		if older > peer.window(h) {
			return false
		}
		news = older < 0
	}
	if news {
		h.ack = ack
		h.bits |= hasACK
	}
	if peer.has(synData) {
		h.resolveSYNData(peer, pos, o)
	}
	if peer.ackedTo(pos) && news {
		o.Notes |= UnseenACK
	}
	return true
}

// ackedTo records that the peer has acknowledged all bytes below pos, and reports whether that
// includes bytes not seen.
func (h *half) ackedTo(pos int64) bool {
	switch {
	case pos > h.end && !h.has(seen|finAccepted):
		h.end = pos // this side is not captured: the peer's ACKs are all we have
		h.bits |= neverCaptured
	case pos > h.end:
		h.bits |= unseenAcked
		return true
	case pos > h.next():
		// The bytes of the hole were never captured, unless some came out of order: which ones
		// is not recorded, so the hole is not counted as lost then.
		if h.has(unseenAcked) || !h.has(holePartlyFilled) {
			h.bits |= neverCaptured
		}
		h.bits &^= unseenAcked
		h.setNext(pos)
	default:
		h.bits &^= unseenAcked // captured, but later than their ACK
	}
	return false
}

// forceACK accepts an ACK although it is not plausible; see ignoreMisfit. The end of the half never
// moves beyond a FIN.
func (h *half) forceACK(ack uint32, peer *half) {
	h.ack = ack
	h.bits |= hasACK
	if pos := peer.pos(ack); pos > peer.end && !peer.has(finAccepted) {
		next := peer.next()
		peer.end = pos
		peer.setNext(next)
		peer.bits |= neverCaptured
	}
}

// finAcked reports whether peer has acknowledged this half's FIN.
func (h *half) finAcked(peer *half) bool {
	return h.has(finAccepted) && peer.has(hasACK) && distance(h.fin(), peer.ack) > 0
}

// synAcked reports whether peer has acknowledged this half's SYN: an ACK below it is never accepted.
func (h *half) synAcked(peer *half) bool { return h.has(anchored) && peer.has(hasACK) }
