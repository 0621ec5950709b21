package tcp

// Conn is one connection. The zero value has seen nothing. It holds no
// pointers and is small enough to live inside a table.
type Conn struct {
	half [2]half

	// candidates are the numbers of SYNs that are not this connection's: earlier attempts of the
	// initiator during the handshake, afterwards those of connections that may replace this one.
	candidates     [3]uint32
	ncandidates    uint8
	candidateSides uint8 // bit i: candidates[i] was sent by the responder
	state          State
	bits           connBits
}

type connBits uint8

const (
	midstream      connBits = 1 << iota
	started                 // a segment was seen
	wasEstablished          // the handshake was completed
	resetPending0           // the initiator sent a reset that was not believed; see onRST
	resetPending1           // the responder did
	oneMisfit               // the three highest bits are a counter; see ignoreMisfit

	allMisfits = 7 * oneMisfit
)

// State is where the connection stands.
func (c *Conn) State() State { return c.state }

// undisturbed reports whether no reset is pending and the last segment was plausible. Otherwise the
// next plausible segment clears those bits, which is not for the fast paths.
func (c *Conn) undisturbed() bool {
	return c.bits&(resetPending0|resetPending1|allMisfits) == 0
}

// DisableFastPath makes the connection take the slow path for every segment, so that tests can
// compare both. That costs the fast paths nothing: they read the bits of the halves anyway.
func (c *Conn) DisableFastPath() {
	c.half[0].bits |= slowPath
	c.half[1].bits |= slowPath
}

// Midstream reports whether the connection was under way when first seen.
func (c *Conn) Midstream() bool { return c.bits&midstream != 0 }

// Flags is the union of the flags that side sent.
func (c *Conn) Flags(i Side) uint8 { return c.half[i&1].flags }

// PendingReset reports whether a reset was seen that was not believed and whose sender has sent
// nothing since.
func (c *Conn) PendingReset() bool { return c.bits&(resetPending0|resetPending1) != 0 }

// AnyFIN reports whether a side has sent a FIN.
func (c *Conn) AnyFIN() bool { return (c.half[0].bits|c.half[1].bits)&finAccepted != 0 }

// Finished reports whether both sides have sent a FIN.
func (c *Conn) Finished() bool { return c.half[0].has(finAccepted) && c.half[1].has(finAccepted) }

// Opening reports whether the handshake has begun and is not complete.
func (c *Conn) Opening() bool { return c.state == SynSent || c.state == SynReceived }

// HasCandidates reports whether there are candidates for a connection that replaces this one, so that
// Reuses must be called for every segment and not only for SYNs.
func (c *Conn) HasCandidates() bool { return c.ncandidates != 0 }

// MayHaveSent reports whether side i may have sent a segment with that number: the number lies between its
// SYN and the highest number seen. Of a side that was not seen no number is known, so it may have
// sent any.
func (c *Conn) MayHaveSent(i Side, seq uint32) bool {
	h := &c.half[i&1]
	pos := h.pos(seq)
	return !h.has(anchored) || pos >= -1 && pos <= h.end
}

// Abort ends the connection from outside.
func (c *Conn) Abort() { c.state = Aborted }

// OwnerWord is a word about side i that is kept for the connection's owner and not looked at here.
func (c *Conn) OwnerWord(i Side) *uint32 { return &c.half[i&1].owner }

// SetEndedAt keeps when the connection ended, for EndedAt. It is for a connection that takes no more
// segments: the time lies in the words of the largest windows, which are not needed then.
func (c *Conn) SetEndedAt(t int64) {
	c.half[0].maxWindow, c.half[1].maxWindow = uint32(t), uint32(t>>32)
}

// EndedAt is the time that was given to SetEndedAt.
func (c *Conn) EndedAt() int64 {
	return int64(c.half[0].maxWindow) | int64(c.half[1].maxWindow)<<32
}

// Opener is the side that sends the first segment of a flow. Only the first segment with SYN and ACK
// comes from the responder.
func Opener(flags uint8) Side {
	if flags&(SYN|ACK|RST) == SYN|ACK {
		return Responder
	}
	return Initiator
}

// Step handles the next segment of side i, and sets in o what it changed. A segment after the end
// changes nothing.
func (c *Conn) Step(i Side, g *Segment, o *Outcome) {
	i &= 1
	*o = Outcome{From: c.state, To: c.state}
	switch {
	case c.state >= Closed:
	case c.stepSYN(i, g) || c.stepSYNACK(i, g) || c.stepInOrder(i, g, o):
		o.To, o.Placed = c.state, true
	default:
		c.stepSlow(i, g, o)
	}
}

// stepSlow is Step without fast paths.
func (c *Conn) stepSlow(i Side, g *Segment, o *Outcome) {
	s := &c.half[i]
	c.onFirst(g)
	s.bits |= seen
	s.flags |= g.Flags
	switch {
	case g.Flags&RST != 0:
		c.onRST(i, g, o)
	case c.belongs(i, g, o):
		c.accept(i, g, o)
	}
	o.To = c.state
}

// onFirst handles the very first segment.
func (c *Conn) onFirst(g *Segment) {
	if c.bits&started != 0 {
		return
	}
	c.bits |= started
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
		return c.onSYN(i, g, o)
	case g.Flags&ACK == 0:
		if g.Len > 0 || g.Flags&FIN != 0 {
			o.Notes |= NoACK
		}
		return false
	case c.state == SynSent && i == Responder:
		// A segment that the responder sends before its SYN cannot be placed.
		if g.Len > 0 {
			o.Notes |= DataBeforeHandshake
		}
		return false
	case !s.has(anchored):
		s.anchor(g.Seq)
	}
	return true
}

// accept handles the numbers of a segment that belongs to the connection.
func (c *Conn) accept(i Side, g *Segment, o *Outcome) {
	s, p := &c.half[i], &c.half[1-i]
	first := g.Seq
	if g.Flags&SYN != 0 {
		first++
	}
	o.Pos = s.pos(first)
	if !s.plausible(o.Pos, o.Pos+int64(g.Len), p) || c.Opening() && o.Pos < 0 {
		if c.ignoreMisfit() {
			o.Notes |= OutOfWindow
			return
		}
	}
	if c.state == SynReceived && c.ncandidates != 0 && i == Initiator && g.Flags&ACK != 0 {
		c.matchLastACK(p, g.Ack, o)
	}
	if g.Flags&ACK != 0 && !s.acceptACK(g.Ack, p, c.ackLimit(i), o) {
		if c.ignoreMisfit() {
			o.Notes |= ImplausibleACK
			return
		}
		s.forceACK(g.Ack, p)
	}
	c.bits &^= allMisfits | resetPending0<<i
	s.setWindow(g.Window, g.Flags, p)
	if g.Window == 0 && g.Flags&SYN == 0 {
		o.Notes |= ZeroWindow
	}
	c.placePayload(s, p, g, o)
	if c.state < Established {
		c.updateHandshake(i, g, o)
	}
	if g.Flags&SYN == 0 && !c.Opening() {
		c.updateClosing()
	}
}

// ignoreMisfit reports whether to ignore a segment whose numbers are not plausible. After an outage
// of the capture the numbers have advanced for good, and a rule that looks at numbers alone would
// never accept a segment again. So if seven in a row are not plausible, and no plausible one comes
// between, the eighth is accepted. To use that, a forger needs a conversation that is silent.
func (c *Conn) ignoreMisfit() bool {
	if c.Opening() {
		return true
	}
	if c.bits&allMisfits == allMisfits {
		return false
	}
	c.bits += oneMisfit
	return true
}

// ackLimit is how far beyond the highest position seen side i may acknowledge. Bytes that were not
// captured may have been sent, but a responder sends none before its SYN is acknowledged except
// with the SYN (RFC 9293 section 3.10.7.4).
func (c *Conn) ackLimit(i Side) int64 {
	if c.state == SynReceived && i == Initiator {
		return 0
	}
	return unknownWindow
}

// updateClosing sets the state by the FINs. A FIN within the handshake has no effect until the
// handshake is complete.
func (c *Conn) updateClosing() {
	ini, res := &c.half[Initiator], &c.half[Responder]
	switch {
	case !(ini.has(finAccepted) || res.has(finAccepted)):
	case !(ini.has(finAccepted) && res.has(finAccepted)):
		c.state = FinWait
	case ini.finAcked(res) && res.finAcked(ini):
		c.state = Closed
	default:
		c.state = ClosingTCP
	}
}
