package tcp

const (
	// unknownWindow is how far ahead a segment may lie when the peer's window
	// or its scale was not seen: the largest window there is (RFC 7323 section 2.3).
	unknownWindow = 1 << 30

	// windowSlack is the smallest window that is assumed, because window updates may not have been
	// captured.
	windowSlack = 2 * (1<<16 - 1)
)

// setWindow records the window field of a segment of this half.
func (h *half) setWindow(window uint16, flags uint8, peer *half) {
	w := uint32(window)
	if flags&SYN == 0 {
		if w == 0 {
			h.bits |= zeroWindow
		} else {
			h.bits &^= zeroWindow
		}
		if h.has(hasScale) && peer.has(hasScale) {
			w <<= h.scale
		}
	}
	h.maxWindow = max(h.maxWindow, w)
}

// window is how far beyond next this half may send, given its peer. A window
// once offered may still be used by data in flight after it shrank, hence twice
// the largest. A scale counts only if both SYNs have one (RFC 7323 section
// 2.2), so the window of a peer that offers a scale to a SYN that was not captured is not
// known.
func (h *half) window(peer *half) int64 {
	switch {
	case !peer.has(synSeen), peer.maxWindow == 0:
		return unknownWindow
	case peer.has(hasScale) && !h.has(synSeen):
		return unknownWindow
	}
	return max(2*int64(peer.maxWindow), windowSlack)
}

// plausible reports whether a segment of this half at [pos, end) may belong to the connection.
// Segments that the capture lost must not make the following ones implausible, so a segment is out
// of the window only if it is too far from all of: the first hole, the peer's ACK, and the highest
// position seen.
//
//	next     ack      end
//	 |........|........|------|           a sender goes on behind a hole whose
//	 |--------------- window |            ACK was not captured
//	                    |windowSlack|
func (h *half) plausible(pos, end int64, peer *half) bool {
	next := h.next()
	if end <= next {
		return h.end-end <= unknownWindow
	}
	return pos-h.end <= windowSlack || pos-next <= h.window(peer) ||
		peer.has(hasACK) && pos-h.pos(peer.ack) <= h.window(peer)
}
