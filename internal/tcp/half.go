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
	ack  uint32 // highest number this side acknowledged; valid with acked
	fin  uint32 // number of the FIN; valid with finned

	maxWindow uint32 // largest window this side offered, scaled
	scale     uint8
	bits      halfBits
	flags     uint8 // union of all flags sent
	spare     uint8
}

type halfBits uint8

const (
	seen     halfBits = 1 << iota // this side sent something
	anchored                      // base is known
	synned                        // the SYN itself was seen
	acked                         // ack is valid
	finned                        // a FIN was accepted
	unseen                        // the peer acknowledged bytes that were not captured
	scaled                        // the SYN carried a window scale
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

// covers records that positions [pos, end) were seen. What closes a hole only
// in part, or lies beyond one, leaves the lag as it is or lets it grow.
func (h *half) covers(pos, end int64) {
	next := h.next()
	if pos <= next && end > next {
		next = end
	}
	h.end = max(h.end, end)
	h.setNext(next)
}

// setNext moves the contiguous edge to next, at most end. A lag that does not
// fit is cut: it only serves to recognise a plausible reset.
func (h *half) setNext(next int64) {
	h.lag = uint32(min(h.end-min(next, h.end), 1<<32-1))
}

// unknownWindow is how far ahead a segment may lie when the peer's window or
// its scale was not seen: the largest window there is (RFC 7323 section 2.3).
const unknownWindow = 1 << 30

// window is how far beyond next this half may send, given its peer.
func (h *half) window(peer *half) int64 {
	if !peer.has(seen) || !peer.has(synned) || peer.maxWindow == 0 {
		return unknownWindow
	}
	// A window once offered may still be used by data in flight after it
	// shrank, and small windows get slack for updates that were not captured.
	return max(int64(peer.maxWindow), 1<<16-1) * 2
}

// offers takes the window field of a segment of this half.
func (h *half) offers(g *Segment, peer *half) {
	w := uint32(g.Window)
	if g.Flags&SYN == 0 && h.has(scaled) && peer.has(scaled) {
		w <<= h.scale
	}
	h.maxWindow = max(h.maxWindow, w)
}

// acknowledges takes the ACK field of a segment of this half; peer is the half
// whose bytes it acknowledges. It reports whether the number is plausible.
func (h *half) acknowledges(ack uint32, peer *half) bool {
	if !peer.has(anchored) {
		peer.anchor(ack)
	}
	pos := peer.pos(ack)
	if pos < 0 && peer.has(synned) || pos > peer.end+unknownWindow {
		return false
	}
	if !h.has(acked) || distance(h.ack, ack) > 0 {
		h.ack = ack
		h.bits |= acked
	}
	if pos > peer.end {
		peer.bits |= unseen
	} else if pos > peer.next() {
		peer.setNext(pos)
	}
	return true
}

// finAcked reports whether peer has acknowledged this half's FIN.
func (h *half) finAcked(peer *half) bool {
	return h.has(finned) && peer.has(acked) && distance(h.fin, peer.ack) > 0
}

// synAcked reports whether peer has acknowledged this half's SYN.
func (h *half) synAcked(peer *half) bool {
	return peer.has(acked) && h.pos(peer.ack) >= 0
}
