package tcp

const (
	// unknownWindow is how far ahead a segment may lie when the peer's window
	// or its scale was not seen: the largest window there is (RFC 7323 section 2.3).
	unknownWindow = 1 << 30

	// slack is the least that is allowed, for updates that were not captured.
	slack = 2 * (1<<16 - 1)
)

// offers takes the window field of a segment of this half.
func (h *half) offers(window uint16, flags uint8, peer *half) {
	w := uint32(window)
	if flags&SYN == 0 {
		if w == 0 {
			h.bits |= shut
		} else {
			h.bits &^= shut
		}
		if h.has(scaled) && peer.has(scaled) {
			w <<= h.scale
		}
	}
	h.maxWindow = max(h.maxWindow, w)
}

// window is how far beyond next this half may send, given its peer. A window
// once offered may still be used by data in flight after it shrank, hence twice
// the largest. A scale counts only if both SYNs have one (RFC 7323 section
// 2.2), so a peer who offers a scale to a SYN that was not captured may mean
// anything by its window.
func (h *half) window(peer *half) int64 {
	switch {
	case !peer.has(synned), peer.maxWindow == 0:
		return unknownWindow
	case peer.has(scaled) && !h.has(synned):
		return unknownWindow
	}
	return max(2*int64(peer.maxWindow), slack)
}

// near reports whether a segment of this half at [pos, end) may belong to the
// connection. What was lost to the capture must not shut out what follows, so
// "too far" is too far from all of: the first hole, what the peer acknowledged,
// and the highest position seen.
//
//	next     ack      end
//	 |........|........|------|           a sender goes on behind a hole whose
//	 |--------------- window |            ACK was not captured
//	                    |-slack-|
func (h *half) near(pos, end int64, peer *half) bool {
	next := h.next()
	if end <= next {
		return h.end-end <= unknownWindow
	}
	return pos-h.end <= slack || pos-next <= h.window(peer) ||
		peer.has(acked) && pos-h.pos(peer.ack) <= h.window(peer)
}
