package tcp

// Conn is one connection. The zero value has seen nothing. It holds no
// pointers and is small enough to live inside a table.
type Conn struct {
	half [2]half

	// others are first numbers of SYNs that are not this connection's: earlier
	// attempts of the opener while it is opening, afterwards candidates for a
	// connection that may replace this one.
	others  [3]uint32
	nothers uint8
	sides   uint8 // bit i: others[i] was sent by the responder
	state   State
	bits    connBits
}

type connBits uint8

const (
	midstream connBits = 1 << iota
	begun
	settled  // Established was reported
	pending0 // the initiator sent a reset that was not believed
	pending1

	astray // the three highest bits count; see doubt
)

// State is where the connection stands.
func (c *Conn) State() State { return c.state }

// Midstream reports whether the connection was under way when first seen.
func (c *Conn) Midstream() bool { return c.bits&midstream != 0 }

// Flags is the union of the flags that side sent.
func (c *Conn) Flags(i Side) uint8 { return c.half[i&1].flags }

// PendingReset reports whether a reset was seen that was not believed, and
// whose sender has been silent since.
func (c *Conn) PendingReset() bool { return c.bits&(pending0|pending1) != 0 }

// Finishing reports whether a side has said FIN.
func (c *Conn) Finishing() bool { return (c.half[0].bits|c.half[1].bits)&finned != 0 }

// Finished reports whether both sides have said FIN.
func (c *Conn) Finished() bool { return c.half[0].has(finned) && c.half[1].has(finned) }

// Opening reports whether the handshake is under way.
func (c *Conn) Opening() bool { return c.state == SynSent || c.state == SynReceived }

// Waiting reports whether a SYN was seen whose connection may replace this one,
// so that Reuses must be asked about every segment and not only about SYNs.
func (c *Conn) Waiting() bool { return c.nothers != 0 }

// Sent reports whether a segment of that number may have come from side i: the
// number lies between its SYN and the highest seen. Of a side that was not seen
// nothing is known, and anything may be.
func (c *Conn) Sent(i Side, seq uint32) bool {
	h := &c.half[i&1]
	pos := h.pos(seq)
	return !h.has(anchored) || pos >= -1 && pos <= h.end
}

// Abort ends the connection from outside.
func (c *Conn) Abort() { c.state = Aborted }

// OwnerWord is a word about side i that is kept for the connection's owner and not looked at here.
func (c *Conn) OwnerWord(i Side) *uint32 { return &c.half[i&1].owner }

// SetEndedAt keeps when the connection ended, for EndedAt. It is for a connection that takes no more
// segments: the time lies in the words of the largest windows, which nobody needs then.
func (c *Conn) SetEndedAt(t int64) {
	c.half[0].maxWindow, c.half[1].maxWindow = uint32(t), uint32(t>>32)
}

// EndedAt is the time that was given to SetEndedAt.
func (c *Conn) EndedAt() int64 {
	return int64(c.half[0].maxWindow) | int64(c.half[1].maxWindow)<<32
}

// Opener says which side sends a segment that is the first of its flow. Only
// an answer to a SYN comes from a responder.
func Opener(flags uint8) Side {
	if flags&(SYN|ACK|RST) == SYN|ACK {
		return Responder
	}
	return Initiator
}

// Step takes the next segment of side i, and says in o what it changed. One that
// comes after the end changes nothing.
func (c *Conn) Step(i Side, g *Segment, o *Outcome) {
	i &= 1
	*o = Outcome{From: c.state, To: c.state}
	switch {
	case c.state >= Closed:
	case c.open(i, g) || c.answer(i, g) || c.pass(i, g, o):
		o.To, o.Placed = c.state, true
	default:
		c.consider(i, g, o)
	}
}

// consider is Step without a short way: these are the rules.
func (c *Conn) consider(i Side, g *Segment, o *Outcome) {
	s := &c.half[i]
	c.begin(g)
	s.bits |= seen
	s.flags |= g.Flags
	switch {
	case g.Flags&RST != 0:
		c.reset(i, g, o)
	case c.belongs(i, g, o):
		c.take(i, g, o)
	}
	o.To = c.state
}

// begin looks at the very first segment.
func (c *Conn) begin(g *Segment) {
	if c.bits&begun != 0 {
		return
	}
	c.bits |= begun
	if g.Flags&SYN == 0 || g.Flags&(FIN|RST) != 0 {
		c.bits |= midstream
	}
}

// belongs reports whether a segment can be placed in this connection at all,
// by its flags and the state.
func (c *Conn) belongs(i Side, g *Segment, o *Outcome) bool {
	s := &c.half[i]
	switch {
	case g.Flags&SYN != 0:
		return c.synchronise(i, g, o)
	case g.Flags&ACK == 0:
		if g.Len > 0 || g.Flags&FIN != 0 {
			o.Notes |= NoACK
		}
		return false
	case c.state == SynSent && i == Responder:
		// Nothing a responder says before its SYN can be placed.
		if g.Len > 0 {
			o.Notes |= DataBeforeHandshake
		}
		return false
	case !s.has(anchored):
		s.anchor(g.Seq)
	}
	return true
}

// take reads the numbers of a segment that belongs to the connection.
func (c *Conn) take(i Side, g *Segment, o *Outcome) {
	s, p := &c.half[i], &c.half[1-i]
	first := g.Seq
	if g.Flags&SYN != 0 {
		first++
	}
	o.Pos = s.pos(first)
	if !s.near(o.Pos, o.Pos+int64(g.Len), p) || c.Opening() && o.Pos < 0 {
		if c.doubt() {
			o.Notes |= OutOfWindow
			return
		}
	}
	if c.state == SynReceived && c.nothers != 0 && i == Initiator && g.Flags&ACK != 0 {
		c.chosen(p, g.Ack, o)
	}
	if g.Flags&ACK != 0 && !s.acknowledges(g.Ack, p, c.reach(i), o) {
		if c.doubt() {
			o.Notes |= ImplausibleACK
			return
		}
		s.leap(g.Ack, p)
	}
	c.bits &^= astray*7 | pending0<<i
	s.offers(g.Window, g.Flags, p)
	if g.Window == 0 && g.Flags&SYN == 0 {
		o.Notes |= ZeroWindow
	}
	c.place(s, p, g, o)
	if c.state < Established {
		c.handshake(i, g, o)
	}
	if g.Flags&SYN == 0 && !c.Opening() {
		c.closing()
	}
}

// doubt is asked about a segment whose numbers do not fit, and reports whether
// to ignore it. After an outage of the capture the numbers have leapt for good,
// and no rule that only looks at numbers would ever let one in again. So if
// seven in a row do not fit, and none that does comes between, the eighth is
// taken for the truth. A forger needs a conversation that is silent.
func (c *Conn) doubt() bool {
	if c.Opening() {
		return true
	}
	if c.bits >= astray*7 {
		return false
	}
	c.bits += astray
	return true
}

// reach is how far beyond what was seen side i may acknowledge. What was not
// captured may well have been sent, but a responder sends nothing before its
// SYN is acknowledged except with it (RFC 9293 section 3.10.7.4).
func (c *Conn) reach(i Side) int64 {
	if c.state == SynReceived && i == Initiator {
		return 0
	}
	return unknownWindow
}

// closing moves the state by the FINs. A FIN within the handshake waits until
// that is over.
func (c *Conn) closing() {
	ini, res := &c.half[Initiator], &c.half[Responder]
	switch {
	case !(ini.has(finned) || res.has(finned)):
	case !(ini.has(finned) && res.has(finned)):
		c.state = FinWait
	case ini.finAcked(res) && res.finAcked(ini):
		c.state = Closed
	default:
		c.state = ClosingTCP
	}
}
