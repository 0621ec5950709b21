package tcp

// Conn is one connection. The zero value has seen nothing. It holds no
// pointers and is small enough to live inside a table.
type Conn struct {
	half [2]half

	edge  [2]uint32 // up to which number each side allows the other to send; valid with edgeKnown
	doubt uint32    // see Doubts; 0: there is none
	state State
	bits  connBits
}

type connBits uint8

const (
	midstream      connBits = 1 << iota
	started                 // a segment was seen
	wasEstablished          // the handshake was completed
	resetPending0           // the initiator sent a reset that was not believed; see onRST
	resetPending1           // the responder did
	strongReset             // one of them was at a number at which its receiver may stand
	soft                    // under way, and no number is certain yet: the rival's are a guess
	doubtful                // something is in doubt that a segment in order may decide, or the first segment is packed
)

// State is where the connection stands.
func (c *Conn) State() State { return c.state }

// undisturbed reports whether nothing is in doubt that the next segment may decide, which is not for
// the fast paths.
func (c *Conn) undisturbed() bool {
	return c.bits&(resetPending0|resetPending1|doubtful) == 0
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

// Guessing reports whether the connection was under way when first seen and its numbers are not certain
// yet.
func (c *Conn) Guessing() bool { return c.bits&soft != 0 }

// Disturbed reports whether something is in doubt that the next segment may decide.
func (c *Conn) Disturbed() bool { return !c.undisturbed() }

// HasHole reports whether bytes of a side are missing before others that were seen.
func (c *Conn) HasHole() bool { return c.half[0].lag|c.half[1].lag != 0 }

// InDoubt reports whether something about the connection is not certain; see Doubts.
func (c *Conn) InDoubt() bool { return c.doubt != 0 || c.packedFirst() }

// Unsettled reports whether Settle may have something to forget.
func (c *Conn) Unsettled() bool { return c.doubt != 0 && (c.Disturbed() || !c.HasHole()) }

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

// OwnerWord is 32 bits about side i that are kept for the connection's owner and not looked at here.
func (c *Conn) OwnerWord(i Side) *uint32 { return &c.half[i&1].owner }

// SetEndedAt keeps when the connection ended, for EndedAt. It is for a connection that takes no more
// segments: the time lies in the words of the windows, which are not needed then.
func (c *Conn) SetEndedAt(t int64) {
	c.edge[0], c.edge[1] = uint32(t), uint32(t>>32)
}

// EndedAt is the time that was given to SetEndedAt.
func (c *Conn) EndedAt() int64 {
	return int64(c.edge[0]) | int64(c.edge[1])<<32
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
// changes nothing; see StepEnded.
func (c *Conn) Step(i Side, g *Segment, o *Outcome, ds *Doubts) {
	i &= 1
	*o = Outcome{From: c.state, To: c.state}
	if c.state >= Closed {
		return
	}
	fast := false // only the fast path that may fit its flags is asked
	switch g.Flags & (SYN | ACK) {
	case SYN:
		fast = c.stepSYN(i, g)
	case SYN | ACK:
		fast = c.stepSYNACK(i, g)
	case ACK:
		fast = c.stepInOrder(i, g, o, ds)
	}
	if !fast {
		c.stepSlow(i, g, o, ds)
		return
	}
	o.To, o.Placed, o.End = c.state, true, o.Pos+int64(g.Len)
}

// stepSlow is Step without fast paths.
func (c *Conn) stepSlow(i Side, g *Segment, o *Outcome, ds *Doubts) {
	s := &c.half[i]
	if g.Len > unknownWindow {
		o.Notes |= OutOfWindow // no window is so large
		return
	}
	c.unpackFirst(ds)
	c.onFirst(g)
	s.bits |= seen
	if d := ds.of(c); d != nil {
		d.side[1-i].unheard = 0
	}
	s.flags |= g.Flags
	switch {
	case g.Options&OptBadLength != 0 && (g.Flags&(RST|SYN|FIN|ACK) != ACK || c.Opening() || c.bits&soft == 0 && !s.has(anchored)):
		o.Notes |= Untimely // no receiver gets it, so it opens, ends and anchors nothing
	case g.Flags&RST != 0:
		c.onRST(i, g, o, ds)
	case g.Flags&(SYN|FIN) == SYN|FIN && c.bits&soft != 0:
		o.Notes |= StraySYN // nobody opens a connection with it
	case g.Flags&SYN != 0:
		if c.onSYN(i, g, o, ds) {
			c.acceptSYN(i, g, o, ds)
		}
	case c.belongs(i, g, o, ds):
		c.accept(i, g, o, ds)
		if c.state < Established && o.Rival == NoRival && o.Placed {
			c.updateHandshake(i, g, o, ds)
		}
		if !c.Opening() {
			c.updateClosing()
		}
	}
	if c.bits&doubtful != 0 && c.doubt != 0 {
		c.healAll(ds, g.Time)
	}
	o.To = c.state
}

// onFirst handles the very first segment.
func (c *Conn) onFirst(g *Segment) {
	if c.bits&started != 0 || g.Flags&SYN != 0 && g.Options&OptBadLength != 0 {
		return // such a SYN opens nothing
	}
	c.bits |= started
	if g.Flags&SYN == 0 || g.Flags&(FIN|RST) != 0 {
		c.bits |= midstream | soft
	}
}

// belongs reports whether a segment without SYN can be placed in this connection at all, by its flags
// and the state.
func (c *Conn) belongs(i Side, g *Segment, o *Outcome, ds *Doubts) bool {
	s, p := &c.half[i], &c.half[1-i]
	switch {
	case g.Flags&ACK == 0:
		if g.Len > 0 || g.Flags&FIN != 0 {
			o.Notes |= NoACK
		}
		return false
	case c.bits&soft != 0:
		// The first segment of a connection under way is a guess at its numbers, which the second
		// one confirms.
		c.resolveGuessedReset(i, g, o, ds)
		if c.offer(i, g, o, ds); o.Rival != NoRival {
			return false
		}
		c.bits &^= soft
		if !s.has(anchored) {
			s.anchor(g.Seq)
		}
	case c.state == SynSent && i == Responder:
		// Without its SYN there is no number to count from.
		if g.Len > 0 {
			o.Notes |= DataBeforeHandshake
			o.Hold = true
		}
		c.offer(i, g, o, ds)
		return false
	case c.state == SynSent && !p.has(anchored):
		// The initiator acknowledges only what it received: a SYN+ACK that was not captured, or this
		// segment is a lie. The responder's own number tells.
		c.offer(i, g, o, ds)
		return false
	case c.state == SynReceived && i == Initiator && !c.mayAcknowledge(g.Ack, ds) && !c.useCandidate(Responder, g.Ack, o, ds):
		o.Notes |= ImplausibleACK
		c.offer(i, g, o, ds)
		return false
	case !s.has(anchored):
		s.anchor(g.Seq)
	}
	if c.half[i].scale == 0 && !c.half[0].has(synSeen) && !c.half[1].has(synSeen) {
		c.settleScales()
	}
	return true
}

// mayAcknowledge reports whether the responder has sent what the initiator acknowledges: its SYN, or bytes
// that were captured before that and are held.
func (c *Conn) mayAcknowledge(ack uint32, ds *Doubts) bool {
	h := &c.half[Responder]
	pos := h.pos(ack)
	return h.has(anchored) && pos >= 0 && pos <= c.claim(ds.of(c), Responder)
}

// acceptSYN handles the numbers of a SYN that belongs to the connection.
func (c *Conn) acceptSYN(i Side, g *Segment, o *Outcome, ds *Doubts) {
	s, p := &c.half[i], &c.half[1-i]
	c.bits &^= soft // a SYN outranks all other numbers
	o.Pos = s.pos(g.Seq + 1)
	o.End = o.Pos + int64(g.Len)
	o.Placed = true
	if g.Flags&ACK != 0 {
		if !p.has(anchored) {
			p.anchor(g.Ack)
			p.bits |= guessed
		}
		ack := p.pos(g.Ack)
		if ack > p.end || ack < -unknownWindow {
			o.Notes |= ImplausibleACK // what it acknowledges was not sent
			if !s.has(edgeKnown) {
				c.edge[i] = uint32(g.Window)
			}
		} else if c.setWindow(i, g.Window, g.Ack, g.Flags); !s.has(hasACK) || distance(s.ack, g.Ack) > 0 {
			s.ack = g.Ack
			s.bits |= hasACK
		}
		c.resolveSYNData(1-i, ds, o)
	} else if !s.has(edgeKnown) {
		c.edge[i] = uint32(g.Window) // see settleEdges
	}
	c.settleScales()
	c.settleTimestamps()
	c.settleEdges()
	c.resolveReset(i, o.Pos, int64(g.Len), c.acked(1-i), o, ds)
	if s.has(finAccepted) {
		o.End = max(min(o.End, s.end-1), o.Pos)
	} else if g.Len > 0 {
		o.Notes |= s.classify(o.Pos, o.End)
		next := s.next()
		if o.End > s.end {
			s.end = o.End
			s.bits |= synData
		}
		s.setNext(max(next, o.End))
		if d := ds.of(c); d != nil {
			c.drain(i, d)
		}
	}
	c.updateHandshake(i, g, o, ds)
}

// settleEdges gives the sides whose peer has sent a SYN with a window the edge that follows from it. Until
// the peer's numbers are known, edge is that window; 0 is none.
func (c *Conn) settleEdges() {
	for i := range c.half {
		s, p := &c.half[i], &c.half[1-i]
		if s.has(synSeen) && !s.has(edgeKnown) && p.has(anchored) && c.edge[i] != 0 {
			c.edge[i] += p.base
			s.bits |= edgeKnown
		}
	}
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
