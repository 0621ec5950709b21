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
	seen     halfBits = 1 << iota // this side sent something
	anchored                      // base is known
	synned                        // the SYN itself was seen
	synData                       // it carried payload whose fate is not known
	acked                         // ack is valid
	finned                        // a FIN was accepted
	scaled                        // the SYN carried a window scale
	shut                          // the window offered last was 0
	patched                       // something arrived in the present hole
	awaited                       // the peer acknowledged bytes not seen so far
	unseen                        // ... and they were not captured at all
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

// syn takes that the SYN was seen.
func (h *half) syn(g *Segment) {
	h.bits |= synned
	if g.HasWindowScale {
		h.bits |= scaled
		h.scale = min(g.WindowScale, 14) // RFC 7323 section 2.3
	}
}

// holds reports whether seq lies between the first number and the highest seen.
func (h *half) holds(seq uint32) bool {
	pos := h.pos(seq)
	return h.has(anchored) && pos >= 0 && pos <= h.end
}

// fin is the number of the FIN, valid with finned: nothing is ever taken beyond
// it, so it is the last number before end.
func (h *half) fin() uint32 { return h.number(h.end - 1) }

// begins reports whether first may be where this half began although its SYN,
// of n bytes payload, was not seen in time: then position 0 is the number that
// the peer acknowledged, which may or may not include that payload.
func (h *half) begins(first, n uint32) bool {
	ahead := distance(first, h.base)
	return ahead == 0 || h.end == 0 && ahead > 0 && ahead <= int64(n)
}

// covers records that positions [pos, end) were seen. What closes a hole only
// in part, or lies beyond one, leaves the lag as it is or lets it grow.
func (h *half) covers(pos, end int64) {
	next := h.next()
	if pos <= next && end > next {
		next = end
	}
	if end > h.end {
		h.end = end
	} else if h.lag > 0 {
		h.bits |= patched
	}
	h.setNext(next)
}

// setNext moves the contiguous edge to next, at most end. A lag that does not
// fit is cut: it only serves to tell what is plausible.
func (h *half) setNext(next int64) {
	h.lag = uint32(min(h.end-min(next, h.end), 1<<32-1))
	if h.lag == 0 {
		h.bits &^= patched
	}
}

// acknowledges takes the ACK field of a segment of this half; peer is the half
// whose bytes it acknowledges. It reports whether the number is plausible: at
// most reach beyond what was seen, and not older than the peer would accept.
func (h *half) acknowledges(ack uint32, peer *half, reach int64, o *Outcome) bool {
	if h.has(acked) && ack == h.ack && peer.lag == 0 && !peer.has(awaited|synData) {
		return true
	}
	if !peer.has(anchored) {
		peer.anchor(ack)
	}
	pos := peer.pos(ack)
	switch {
	case pos < 0 && peer.has(synned), pos < -unknownWindow, pos > peer.end+reach:
		return false
	}
	// A number beyond what was seen may be a lie, so the next one corrects it,
	// whichever it is.
	news := !h.has(acked) || ack != h.ack
	if certain := h.has(acked) && peer.pos(h.ack) <= peer.end; certain {
		older := distance(ack, h.ack)
		if older > peer.window(h) {
			return false
		}
		news = older < 0
	}
	if news {
		h.ack = ack
		h.bits |= acked
	}
	if peer.has(synData) {
		h.settle(peer, pos, o)
	}
	if peer.acknowledged(pos) && news {
		o.Notes |= UnseenACK
	}
	return true
}

// acknowledged takes that the peer has everything below pos, and reports
// whether that is more than was seen.
func (h *half) acknowledged(pos int64) bool {
	switch {
	case pos > h.end && !h.has(seen|finned):
		h.end = pos // this side is not captured: the peer's ACKs are all we have
		h.bits |= unseen
	case pos > h.end:
		h.bits |= awaited
		return true
	case pos > h.next():
		// The bytes of the hole were captured by nobody, unless some came late:
		// of those only the number is known, so they get the benefit of doubt.
		if h.has(awaited) || !h.has(patched) {
			h.bits |= unseen
		}
		h.bits &^= awaited
		h.setNext(pos)
	default:
		h.bits &^= awaited // seen after all, if later than its ACK
	}
	return false
}

// leap takes an ACK although it is not plausible. Nothing leaps over a FIN.
func (h *half) leap(ack uint32, peer *half) {
	h.ack = ack
	h.bits |= acked
	if pos := peer.pos(ack); pos > peer.end && !peer.has(finned) {
		next := peer.next()
		peer.end = pos
		peer.setNext(next)
		peer.bits |= unseen
	}
}

// finAcked reports whether peer has acknowledged this half's FIN.
func (h *half) finAcked(peer *half) bool {
	return h.has(finned) && peer.has(acked) && distance(h.fin(), peer.ack) > 0
}

// synAcked reports whether peer has acknowledged this half's SYN: nothing below
// it is ever taken.
func (h *half) synAcked(peer *half) bool { return h.has(anchored) && peer.has(acked) }
