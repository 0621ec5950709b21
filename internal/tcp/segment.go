package tcp

// verdict says what a segment is worth, by its numbers.
type verdict uint8

const (
	acceptable verdict = iota
	old                // the receiver has it all; its payload may still fill a hole of the capture
	ahead              // acknowledges what was never sent, or not captured
	beyond             // at or beyond the edge of the receiver's window
	behind             // acknowledges less than a receiver accepts: some take the payload, some do not
	untimely           // its timestamp is old, or it is signed and the SYNs are not
	foreign            // so far away that it cannot belong to these numbers
)

// holdAhead is how far beyond the edge a payload may lie and be held: a sender goes that far only if
// the update of the window was not captured.
const holdAhead = 1 << 20

// mostLag is how far below the first number of a side that was seen its peer may still acknowledge, and that side send
// again: what was in flight when the capture began.
const mostLag = 1 << 26

// judge compares the numbers of a segment of side i, at [pos, end), with what its receiver accepts
// (RFC 9293 section 3.10.7.4, RFC 5961 section 5). ack is the position that it acknowledges.
//
//	   acked     next      end       edge
//	----|---------|....----|----------|------
//	old |     acceptable              | beyond
func (c *Conn) judge(i Side, g *Segment, pos, ack int64, d *doubt) verdict {
	s, p := &c.half[i], &c.half[1-i]
	end, n := pos+int64(g.Len), int64(g.Len)
	if g.Flags&FIN != 0 {
		n++
	}
	if pos-s.end > unknownWindow || s.end-end > unknownWindow+int64(s.lag) || end < -mostLag || s.has(synSeen) && pos < -1 && pos+n <= 0 {
		if pos+n == c.low(i) {
			c.timely(i, g.Seq, g.Options, g.Timestamp) // as below
		}
		return foreign // all of it lies below the SYN: never sent on this connection, and no keep-alive
	}
	if c.visible(1-i) && ack > c.claim(d, 1-i) {
		return ahead
	}
	if ack < 0 && p.has(synSeen) || ack < -mostLag {
		return ahead // below the SYN: never sent either
	}
	low, last := c.low(i), pos+n
	if last < low || n > 0 && last <= low {
		if last == low {
			c.timely(i, g.Seq, g.Options, g.Timestamp) // its timestamp counts (RFC 7323 section 4.3)
		}
		return old
	}
	if edge := c.edgeOf(i); c.half[1-i].has(edgeKnown) {
		loneFIN := g.Len == 0 && n > 0 && pos == s.next()
		if q := &c.half[1-i]; n > 0 && c.unscaled(1-i) && pos == s.pos(q.recent) && !s.has(finAccepted) && !loneFIN {
			return beyond // a probe of a closed window, if windows are not scaled: the peer's ACK tells
		}
		if pos > edge && pos != s.end || n > 0 && pos >= edge && !s.has(finAccepted) && !loneFIN {
			return beyond
		}
		if g.Len > 0 && c.half[1-i].has(zeroWindow) && !s.has(finAccepted) && end > c.acked(i) {
			return beyond // the window was closed before its edge was reached
		}
	}
	if !c.timely(i, g.Seq, g.Options, g.Timestamp) {
		return untimely
	}
	if acked := c.acked(1 - i); acked >= 0 && ack < acked-min(c.windowOf(i), acked) {
		return behind
	}
	return acceptable
}

// accept handles a segment without SYN or RST whose sender has a number to count from.
func (c *Conn) accept(i Side, g *Segment, o *Outcome, ds *Doubts) {
	s, p := &c.half[i], &c.half[1-i]
	d := ds.of(c)
	c.settleBases(i, g, ds)
	if d != nil && !c.visible(1-i) && d.rival.syn && d.rival.h[i].known && d.rival.h[i].next == g.Seq && g.Seq != s.number(s.next()) {
		c.offer(i, g, o, ds) // where no window is known, it would fit the old numbers too easily
		return
	}
	pos, ack := s.pos(g.Seq), p.pos(g.Ack)
	end := pos + int64(g.Len)
	o.Pos, o.End = pos, end
	if c.Opening() && g.Len > 1 && (pos < -1 || pos < 0 && !p.has(synSeen)) {
		// Its sender's SYN lies behind its first byte. Where both SYNs were seen, each in answer to the other, it may be
		// that of the SYN itself, which a receiver cuts off (RFC 9293 section 3.10.7.4).
		o.Notes |= OutOfWindow
		o.Hold = end > 0
		c.offer(i, g, o, ds)
		return
	}
	v := c.judge(i, g, pos, ack, d)
	if (v == ahead || v == beyond) && c.unanswered(i, g, ds) {
		v, d = c.judge(i, g, pos, ack, ds.of(c)), ds.of(c)
	}
	if g.Window == 0 {
		o.Notes |= ZeroWindow
	}
	if v != acceptable && v != behind {
		c.refuse(i, g, v, ack, o, ds)
		return
	}
	if c.rivalGoesOn(i, g, d) {
		c.offer(i, g, o, ds)
		return
	}
	standing, opening := pos <= s.next() && end >= s.next(), c.Opening()
	credible := v == acceptable && c.standsAt(i, pos, g, ds)
	c.resolveReset(i, pos, int64(g.Len), ack, o, ds)
	firstWord := d.wordAt(i, pos, pos == s.next() && !carries(g), v == acceptable && g.Len == 0)
	doubted := false
	if v == acceptable && !c.acceptACK(i, g, ack, credible, o, ds) {
		doubted, credible = credible, false
	}
	d = ds.of(c)
	if credible {
		c.offerWindow(i, g)
	}
	switch {
	case v == behind && c.acked(1-i) > ack:
		o.Notes |= ImplausibleACK
		if o.Hold = carries(g); c.Opening() {
			c.offer(i, g, o, ds) // nothing else tells what was sent
		}
	case doubted && carries(g) && (firstWord == 0 || firstWord != pos):
		o.Hold, o.word = true, true // what it acknowledges is a first word only, and so is what it carries
	default:
		if firstWord != 0 && pos == firstWord && carries(g) && d != nil {
			o.Confirms = true
			if pos > s.end {
				o.Notes |= Hole // nobody saw the bytes before it
			}
			c.confirm(i, firstWord, d, g.Time) // its sender goes on behind what was in doubt
		}
		c.take(i, g, o, ds)
	}
	if v == acceptable && (standing || !opening) {
		c.revokeRival(ds) // the numbers of the connection go on
	}
}

// settleBases gives both sides of a segment a number to count from. A side's own number outranks what its peer
// acknowledged.
func (c *Conn) settleBases(i Side, g *Segment, ds *Doubts) {
	s, p := &c.half[i], &c.half[1-i]
	if !p.has(anchored) {
		p.anchor(g.Ack)
		p.bits |= guessed
	}
	if !s.has(guessed) {
		return
	}
	ahead := distance(s.base, g.Seq)
	if c.guessStands(i) && (ahead < -mostLag || ahead > unknownWindow) {
		return // foreign
	}
	s.bits &^= guessed
	if s.end == 0 && (ahead < 0 || ahead > unknownWindow) {
		c.reanchor(i, g.Seq, ds)
		c.forgetACK(1 - i) // it was about the guess
	}
}

// guessStands reports whether the first number of side i is what its peer has acknowledged, in segments of which two join.
// Then it takes a word of the peer, too, to move it far.
func (c *Conn) guessStands(i Side) bool {
	s := &c.half[i]
	return s.has(guessed) && s.end == 0 && c.bits&midstream != 0 && c.half[1-i].next() > 0
}

// wordAt is the first word about the bytes of side i, which sends a segment at pos. bare says that this is a pure ACK where
// its sender stands, so that a word about more was a lie; empty that it is acceptable and without payload.
func (d *doubt) wordAt(i Side, pos int64, bare, empty bool) int64 {
	if d == nil {
		return 0
	}
	q := &d.side[i]
	if bare && pos < q.firstWord {
		q.firstWord = 0
	}
	if empty && q.firstWord == 0 && q.lost != 0 && pos == q.lost {
		q.firstWord = q.lost // its sender stands where the peer said; if it said more, that is acknowledged too
	}
	return q.firstWord
}

// refuse handles a segment of which a receiver takes nothing, neither its ACK nor what it carries.
func (c *Conn) refuse(i Side, g *Segment, v verdict, ack int64, o *Outcome, ds *Doubts) {
	pos := o.Pos
	switch v {
	case foreign:
		o.Notes |= OutOfWindow
		c.offer(i, g, o, ds)
	case ahead:
		c.onAhead(i, g, ack, o, ds)
	case beyond:
		if g.Len == 1 && pos <= c.edgeOf(i) {
			o.Notes |= WindowProbe
		} else {
			o.Notes |= OutOfWindow
		}
		o.Hold = g.Len > 0 && pos < c.edgeOf(i)+holdAhead
		c.offer(i, g, o, ds)
	case untimely:
		o.Notes |= Untimely
		o.Hold = carries(g)
	case old:
		if c.Opening() && pos < 0 {
			o.Notes |= OutOfWindow // below the SYN
			c.offer(i, g, o, ds)
			return
		}
		c.onOld(i, g, o)
	}
}

// carries reports whether a segment has anything that may be held: payload or a FIN.
func carries(g *Segment) bool { return g.Len > 0 || g.Flags&FIN != 0 }

// standsAt reports whether a segment stands where its sender stands: a pure ACK elsewhere is no evidence, unless it
// is the second one there: then bytes before it are missing.
func (c *Conn) standsAt(i Side, pos int64, g *Segment, ds *Doubts) bool {
	s := &c.half[i]
	if g.Len > 0 || g.Flags&FIN != 0 || pos == s.next() || pos == s.end {
		return true
	}
	if d := ds.of(c); d != nil && (pos == d.side[i].lost || pos == d.side[i].firstWord || pos == d.side[i].bareAt) {
		return true
	}
	if pos > s.next() {
		if d := ds.need(c); d != nil {
			d.side[i].bareAt = pos
		}
	}
	return false
}

// onAhead handles a segment that acknowledges bytes of the peer that nobody saw: a lie, or they were not
// captured. Nothing of it counts until the peer goes on there.
func (c *Conn) onAhead(i Side, g *Segment, ack int64, o *Outcome, ds *Doubts) {
	p := &c.half[1-i]
	o.Notes |= ImplausibleACK
	pos, end := o.Pos, o.End
	o.Hold = carries(g) && end >= c.half[i].next() && pos < c.edgeOf(i)+holdAhead
	c.offer(i, g, o, ds)
	if d := ds.of(c); o.Rival != NoRival && d.rival.syn {
		return
	}
	if !c.inWindow(i, pos, end) {
		return
	}
	if ack > p.end && ack-p.end <= unknownWindow {
		if d := ds.need(c); d != nil {
			d.side[1-i].lost = ack
			c.bits |= doubtful
		}
	}
}

// inWindow reports whether a segment of side i at [pos, end) stands where its receiver accepts segments.
func (c *Conn) inWindow(i Side, pos, end int64) bool {
	return end >= c.low(i) && pos <= c.edgeOf(i)
}

// low is the position below which the receiver of side i has everything.
func (c *Conn) low(i Side) int64 {
	next := c.half[i].next()
	if acked := c.acked(i); acked >= 0 {
		return min(next, acked)
	}
	return next
}

// onOld handles a segment that the receiver throws away because it has all of it. That says nothing of
// its sender. Where the capture has a hole, the payload is welcome.
func (c *Conn) onOld(i Side, g *Segment, o *Outcome) {
	s := &c.half[i]
	o.Placed = true
	switch {
	case g.Len > 0 && s.has(finAccepted) && o.End >= s.end:
		o.Notes |= DataAfterFIN
		o.End = max(s.end-1, o.Pos)
		o.Placed = o.Pos < o.End
	case g.Len <= 1 && g.Flags&FIN == 0 && o.Pos == s.end-1:
		o.Notes |= KeepAlive
		o.Placed = g.Len == 0
	case g.Len > 0:
		o.Notes |= Retransmission
	}
	if g.Flags&FIN != 0 && !(s.has(finAccepted) && g.Seq+g.Len == s.fin()) {
		o.Notes |= FINConflict
	}
}
