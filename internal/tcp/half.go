package tcp

// half is what is known of one sender.
//
//	base        next       end
//	 |-----------|....-----|          lag = end - next
//	 0   seen    ^ a hole  ^ highest position taken, a FIN included
type half struct {
	end  int64
	lag  uint32
	base uint32 // number of position 0; valid with anchored
	ack  uint32 // newest credible number this side acknowledged; valid with hasACK

	// recent is the newest timestamp that the peer has taken (RFC 7323 section 4.3, TS.Recent); valid with
	// hasTimestamps. Of a side whose scale is not known it is where its newest window ends if there is no
	// scale.
	recent uint32
	owner  uint32 // the 32 bits of Conn.OwnerWord
	bits   halfBits
	scale  uint8 // low four bits: the SYN's option, above: the shift of this side's windows
	flags  uint8 // union of all flags sent
}

type halfBits uint16

const (
	seen          halfBits = 1 << iota // this side sent something
	anchored                           // base is known
	synSeen                            // the SYN itself was seen
	synData                            // it carried payload; whether the peer accepts it is not known yet
	hasACK                             // ack is valid
	finAccepted                        // a FIN was accepted
	hasScale                           // the SYN carried a window scale
	edgeKnown                          // Conn.edge is valid: a window was seen
	zeroWindow                         // the window offered last was 0
	hasSACK                            // the SYN carried SACK permitted
	hasTimestamps                      // both SYNs carried timestamps
	signed                             // the SYN carried an MD5 or AO option
	guessed                            // base is what the peer acknowledged: no segment of this side was seen (not the guess of Conn.Guessing)
	slowPath                           // see Conn.DisableFastPath
	packed                             // the connection's first segment lies in the other fields, see packFirst
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

// setSYN records that the SYN was seen, and its options.
func (h *half) setSYN(g *Segment) {
	h.bits |= synSeen
	if g.HasWindowScale {
		h.bits |= hasScale
		h.scale = h.scale&^0xf | min(g.WindowScale, 14) // RFC 7323 section 2.3
	}
	if g.Options&OptSACKPermitted != 0 {
		h.bits |= hasSACK
	}
	if g.Options&OptTimestamps != 0 {
		h.bits |= hasTimestamps
		h.recent = g.Timestamp
	}
	if g.Options&signatures != 0 {
		h.bits |= signed
	}
}

// maySACK reports whether the SYN carried SACK permitted, or may have: it was not seen.
func (h *half) maySACK() bool { return h.has(hasSACK) || !h.has(synSeen) }

// contains reports whether seq lies between the first number and the highest seen.
func (h *half) contains(seq uint32) bool {
	pos := h.pos(seq)
	return h.has(anchored) && pos >= 0 && pos <= h.end
}

// fin is the number of the FIN, valid with finAccepted: no position beyond the FIN is ever taken, so it
// is the last number before end.
func (h *half) fin() uint32 { return h.number(h.end - 1) }

// closed is the number of positions that an accepted FIN takes.
func (h *half) closed() int64 {
	if h.has(finAccepted) {
		return 1
	}
	return 0
}

// mayBegin reports whether first may be the first number of this half although its SYN, of n bytes
// payload, was not seen in time: then position 0 is the number that the peer acknowledged, which
// may or may not include that payload.
func (h *half) mayBegin(first, n uint32) bool {
	ahead := distance(first, h.base)
	return ahead == 0 || h.end == 0 && ahead > 0 && ahead <= int64(n)
}

// setNext moves the end of what is contiguous to next, at most end. A lag that does not fit its
// 32 bits is cut off: it only serves to judge whether numbers are plausible.
func (h *half) setNext(next int64) {
	h.lag = uint32(min(h.end-min(next, h.end), 1<<32-1))
}

// finAcked reports whether peer has acknowledged this half's FIN.
func (h *half) finAcked(peer *half) bool {
	return h.has(finAccepted) && peer.has(hasACK) && distance(h.fin(), peer.ack) > 0
}

// synAcked reports whether peer has acknowledged this half's SYN: an ACK below it is never accepted.
func (h *half) synAcked(peer *half) bool { return h.has(anchored) && peer.has(hasACK) }

// acked is the position below which the peer of side i has acknowledged its bytes, a FIN included; -1
// if it has acknowledged none.
func (c *Conn) acked(i Side) int64 {
	h, p := &c.half[i], &c.half[1-i]
	if !p.has(hasACK) || !h.has(anchored) {
		return -1
	}
	return h.pos(p.ack)
}

// Visible reports whether packets of side i are captured. It is false again once the other side has spoken
// for a while as if it was answered.
func (c *Conn) Visible(i Side) bool { return c.visible(i & 1) }

// visible reports whether packets of side i are in the capture, so that its silence means something.
func (c *Conn) visible(i Side) bool { return c.half[i].has(seen) && c.half[i].has(anchored) }
