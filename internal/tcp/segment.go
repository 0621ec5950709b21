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
	if pos-s.end > unknownWindow || s.end-end > unknownWindow+int64(s.lag) || s.has(synSeen) && pos < -1 && pos+n <= 0 {
		return foreign // all of it lies below the SYN: never sent on this connection, and no keep-alive
	}
	if c.visible(1-i) && ack > c.claim(d, 1-i) {
		return ahead
	}
	if ack < 0 && p.has(synSeen) || ack < -unknownWindow {
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
	if !p.has(anchored) {
		p.anchor(g.Ack)
		p.bits |= guessed
	}
	if s.has(guessed) {
		// Its own number outranks what the peer acknowledged.
		s.bits &^= guessed
		if ahead := distance(s.base, g.Seq); s.end == 0 && (ahead < 0 || ahead > unknownWindow) {
			c.reanchor(i, g.Seq, ds)
			c.forgetACK(1 - i) // it was about the guess
		}
	}
	if d != nil && !c.visible(1-i) && d.rival.syn && d.rival.h[i].known && d.rival.h[i].next == g.Seq && g.Seq != s.number(s.next()) {
		c.offer(i, g, o, ds) // where no window is known, it would fit the old numbers too easily
		return
	}
	pos, ack := s.pos(g.Seq), p.pos(g.Ack)
	end := pos + int64(g.Len)
	o.Pos, o.End = pos, end
	if c.Opening() && pos < 0 && g.Len > 1 {
		o.Notes |= OutOfWindow // its sender's SYN lies behind its first byte
		o.Hold = end > 0
		c.offer(i, g, o, ds)
		return
	}
	v := c.judge(i, g, pos, ack, d)
	if (v == ahead || v == beyond) && c.unanswered(i, g.Time, ds) {
		v, d = c.judge(i, g, pos, ack, ds.of(c)), ds.of(c)
	}
	if g.Window == 0 {
		o.Notes |= ZeroWindow
	}
	if v != acceptable && v != behind {
		c.refuse(i, g, v, ack, o, ds)
		return
	}
	credible := v == acceptable && c.standsAt(i, pos, g, ds)
	c.resolveReset(i, pos, int64(g.Len), ack, o, ds)
	firstWord := int64(0)
	if d != nil {
		if q := &d.side[i]; !carries(g) && pos < q.firstWord && pos == s.next() {
			q.firstWord = 0 // its sender stands before what was acknowledged
		}
		if q := &d.side[i]; v == acceptable && q.firstWord == 0 && q.lost != 0 && pos == q.lost && g.Len == 0 {
			q.firstWord = q.lost // its sender stands where the peer said; if it said more, that is acknowledged too
		}
		firstWord = d.side[i].firstWord
	}
	doubted := false
	if v == acceptable && !c.acceptACK(i, g, ack, credible, o, ds) {
		doubted, credible = credible, false
	}
	d = ds.of(c)
	if credible {
		c.setWindow(i, g.Window, g.Ack, g.Flags)
		if s.bits &^= zeroWindow; g.Window == 0 {
			s.bits |= zeroWindow
		}
	}
	switch {
	case v == behind && c.acked(1-i) > ack:
		o.Notes |= ImplausibleACK
		o.Hold = carries(g)
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
	if v == acceptable {
		c.revokeRival(ds) // the numbers of the connection go on
	}
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

// acceptACK handles the ACK of a segment whose numbers are acceptable, and reports whether it counts.
func (c *Conn) acceptACK(i Side, g *Segment, ack int64, credible bool, o *Outcome, ds *Doubts) bool {
	s, p := &c.half[i], &c.half[1-i]
	d := ds.of(c)
	acked := c.acked(1 - i) // before the end moves, to which positions are the nearest
	if credible && !c.visible(1-i) && ack > p.end && !p.has(finAccepted) {
		p.end, p.lag = ack, 0 // the peer is not captured: its bytes are known from the ACKs only
		if d != nil {
			d.side[1-i].dropIslands()
		}
	}
	next := p.next()
	if d != nil {
		q := &d.side[1-i]
		if q.lost != 0 && ack < q.lost && g.Len == 0 && ack <= next {
			q.lost = 0
		}
		if credible && ack < acked && acked > next {
			s.ack = p.number(max(ack, next)) // the higher number was a lie
			acked = max(ack, next)
			q.behind = 0
		}
		if q.firstWord != 0 && ack < q.firstWord {
			q.firstWord = 0
		}
	}
	if !credible {
		return false
	}
	if ack > next && p.lag+uint32(boolInt(ack > p.end)) > 0 {
		if d = ds.need(c); d != nil {
			q := &d.side[1-i]
			carrier, seen := c.carrier(d, 1-i, next, ack), q.seenFrom(max(next, acked))
			if q.firstWord == 0 && acked < ack && carrier == nil && ack > seen {
				q.firstWord = ack
				c.bits |= doubtful
				return false
			}
			word := int64(0)
			if carrier != nil {
				word = s.pos(carrier.Ack)
			}
			if ack > acked {
				c.confirm(1-i, ack, d, g.Time)
			}
			if word > s.next() && word == d.side[i].firstWord {
				o.Confirms = true
				c.confirm(i, word, d, g.Time) // whoever takes a segment takes its ACK too
			}
			if (ack > seen || ack <= acked) && c.half[1-i].next() < ack {
				o.Notes |= UnseenACK
			}
		} else {
			p.end = max(p.end, ack) // no room for a doubt
			p.setNext(ack)
		}
	}
	if acked < ack || !s.has(hasACK) {
		s.ack = g.Ack
		s.bits |= hasACK
	}
	c.resolveSYNData(1-i, ds, o)
	return true
}

// carrier is the held segment of side i from next to ack, a FIN included, if it was held for no other reason
// than that its ACK was a first word.
func (c *Conn) carrier(d *doubt, i Side, next, ack int64) *Held {
	for k := range d.held {
		h := &d.held[k]
		if h.Side == i && h.conditional && h.word && c.half[i].pos(h.Seq) == next && next+int64(h.Len)+int64(h.Flags&FIN) == ack {
			return h
		}
	}
	return nil
}

// boolInt is 1 for true.
func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// confirm makes a fact of the peer's ACK of the bytes of side i up to ack, which reaches into a hole or
// into what is held.
func (c *Conn) confirm(i Side, ack int64, d *doubt, now int64) {
	s, p := &c.half[i], &c.half[1-i]
	q := &d.side[i]
	if s.has(finAccepted) && ack > s.end {
		c.revokeFIN(i, d) // its sender went on, and its receiver took that
	}
	p.ack = s.number(ack)
	p.bits |= hasACK
	c.ensure(1-i, d)
	if ack > s.end {
		next := s.next()
		s.end = ack
		s.setNext(next)
	}
	q.firstWord = 0
	fin := ack - 1
	q.refuteFINs(fin)
	if !s.has(finAccepted) {
		inIsland, _ := q.covers(fin)
		switch h, _ := c.heldAt(d, i, fin); {
		case h != nil: // data takes its place
			q.refuteFINs(ack)
		case q.finAfter(fin) == fin || !inIsland && c.heldFIN(d, i, fin):
			c.acceptFIN(i, fin, q) // an early FIN, or one that was held, acknowledged
		}
	}
	c.drain(i, d)
	if s.next() < ack {
		if q.behind == 0 {
			q.behind = max(now, 1)
			c.bits |= doubtful
		}
	} else {
		q.behind = 0
	}
}

// ensure takes what is held of side i only because its ACK was a first word, as far as that counts now: whoever
// took that ACK took the rest of the segment.
func (c *Conn) ensure(i Side, d *doubt) {
	found := false
	for k := range d.held {
		h := &d.held[k]
		if h.Side == i && h.word && h.conditional && !h.sure && c.half[1-i].pos(h.Ack) <= c.acked(1-i) {
			h.sure, found = true, true
		}
	}
	if found {
		d.version++
		c.drain(i, d)
	}
}

// drain moves the end of what is contiguous of side i over the islands that it reaches, over held bytes that
// the peer has acknowledged, and onto a FIN.
func (c *Conn) drain(i Side, d *doubt) {
	s := &c.half[i]
	q := &d.side[i]
	next := s.next()
	for {
		fin := q.finAfter(next)
		if s.has(finAccepted) {
			if fin = s.end - 1; next >= fin {
				s.lag = 0
				q.dropIslands()
				return
			}
		} else if fin == next {
			s.end = max(s.end, next)
			s.setNext(next)
			c.acceptFIN(i, next, q)
			return
		}
		to := min(q.joined(next), fin)
		if to == next {
			if h, end := c.heldAt(d, i, next); h != nil && h.sure {
				to = max(to, min(end, fin))
			} else if h != nil {
				to = max(to, min(end, c.acked(i), fin))
			}
		}
		if to == next {
			break
		}
		next = to
	}
	if next > s.end {
		s.end = next
	}
	s.setNext(next)
}

// acceptFIN makes a FIN at position at the end of side i.
func (c *Conn) acceptFIN(i Side, at int64, q *sideDoubt) {
	s := &c.half[i]
	next := s.next()
	s.end = at + 1
	s.bits |= finAccepted
	if next >= at {
		s.lag = 0
		q.dropIslands()
	} else {
		s.setNext(next)
	}
	q.fins, q.lost = q.fins[:0], 0
}

// firstWordOf is the first word about the bytes of side i, or 0.
func firstWordOf(d *doubt, i Side) int64 {
	if d == nil {
		return 0
	}
	return d.side[i].firstWord
}

// heal gives up the bytes of side i that its receiver has and the capture has not: from now on the numbers
// of the side are judged as if they had been captured.
func (c *Conn) heal(i Side, d *doubt) {
	s := &c.half[i]
	q := &d.side[i]
	q.behind = 0
	if acked := min(c.acked(i), s.end-s.closed()); s.next() < acked {
		s.setNext(acked)
		c.drain(i, d)
	}
}

// take takes the payload and the FIN of a segment whose numbers are acceptable.
func (c *Conn) take(i Side, g *Segment, o *Outcome, ds *Doubts) {
	s, p := &c.half[i], &c.half[1-i]
	pos, end := o.Pos, o.End
	d := ds.of(c)
	o.Placed = true
	if s.has(finAccepted) {
		c.takeAfterFIN(i, g, o)
		return
	}
	if g.Len == 0 && g.Flags&FIN == 0 {
		return
	}
	if edge := c.edgeOf(i); p.has(edgeKnown) && end > edge {
		o.Hold = true
		o.Notes |= OutOfWindow
		o.End = max(edge, pos)
	}
	next := s.next()
	o.Notes |= s.classify(pos, o.End)
	inside, atEnd := false, false
	if d != nil {
		in1, _ := d.side[i].covers(pos)
		in2, _ := d.side[i].covers(end)
		inside, atEnd = in1 || pos < next, in2
		if g.Len > 0 {
			d.side[i].displaceFINs(pos, end)
		}
	}
	if g.Flags&FIN != 0 && pos <= next && next <= end && o.End == end {
		// In order: what lies behind it is not part of the stream (RFC 9293 section 3.10.7.4).
		if max(c.acked(i), firstWordOf(d, i)) <= end+1 {
			s.end, s.lag = end+1, 0
			s.bits = s.bits&^synData | finAccepted
			if d != nil {
				q := &d.side[i]
				q.dropIslands()
				q.fins, q.lost = q.fins[:0], 0
			}
			return
		}
	}
	if o.End > pos {
		c.takeBytes(i, pos, o.End, ds)
	}
	if s.has(finAccepted) {
		if fin := s.end - 1; o.End > fin {
			o.End = max(fin, pos)
		}
		return
	}
	if g.Flags&FIN != 0 {
		c.takeFIN(i, g, pos, end, inside, atEnd, o, ds)
	}
}

// takeAfterFIN is take for a side whose FIN was accepted.
func (c *Conn) takeAfterFIN(i Side, g *Segment, o *Outcome) {
	s, p := &c.half[i], &c.half[1-i]
	pos, end, fin := o.Pos, o.End, s.end-1
	if end > fin && g.Len > 0 {
		o.Notes |= DataAfterFIN
		o.Placed = pos < fin
		o.Hold = !s.finAcked(p) // the FIN may still turn out to be none
	}
	o.End = max(min(end, fin), pos)
	if o.Placed && g.Len > 0 {
		o.Notes |= Retransmission
	}
	if g.Flags&FIN != 0 && end != fin {
		o.Notes |= FINConflict
	}
}

// takeBytes records that side i has sent the bytes [pos, end).
func (c *Conn) takeBytes(i Side, pos, end int64, ds *Doubts) {
	s, next := &c.half[i], c.half[i].next()
	switch {
	case pos > next:
		if d := ds.need(c); d != nil {
			d.side[i].addIsland(pos, end)
		}
		s.end = max(s.end, end)
		s.setNext(next)
	case end > next:
		s.end = max(s.end, end)
		s.setNext(end)
		if d := ds.of(c); d != nil {
			d.side[i].lost = 0 // it goes on here, and not behind what nobody saw
			c.drain(i, d)
		}
	}
	s.bits &^= synData // its sender knows whether that was accepted
}

// takeFIN handles a FIN at position end, of a segment that begins at pos. inside says that bytes at pos
// were taken before, atEnd that there are bytes at the place of the FIN.
func (c *Conn) takeFIN(i Side, g *Segment, pos, end int64, inside, bytesAtFIN bool, o *Outcome, ds *Doubts) {
	s := &c.half[i]
	next := s.next()
	switch {
	case end > c.edgeOf(i) && c.half[1-i].has(edgeKnown), end < next:
		o.Notes |= FINConflict
	case end == next:
		o.Notes |= FINConflict // more is acknowledged
	case bytesAtFIN && (g.Len == 0 || inside):
		o.Notes |= FINConflict
	default:
		if max(c.acked(i), firstWordOf(ds.of(c), i)) > end {
			o.Notes |= FINConflict
			return
		}
		if d := ds.need(c); d != nil {
			d.side[i].addFIN(pos, end)
			s.end = max(s.end, end+1)
			s.setNext(next)
			o.Notes |= Hole
			c.bits |= doubtful
		}
	}
}

// revokeFIN takes an accepted FIN back: its receiver has acknowledged more.
func (c *Conn) revokeFIN(i Side, d *doubt) {
	s, q := &c.half[i], &d.side[i]
	next := min(s.next(), s.end-1)
	s.bits &^= finAccepted
	s.end--
	if n := len(q.islands); n > 0 {
		s.end = max(s.end, q.islands[n-1].to)
	}
	s.setNext(next)
	c.drain(i, d)
	if c.state == FinWait || c.state == ClosingTCP {
		c.state = Established
		c.updateClosing()
	}
}

// classify compares the range of an arriving payload with the positions taken.
func (h *half) classify(pos, end int64) Note {
	switch {
	case pos == end:
		return 0 // only a FIN
	case pos > h.end:
		return Hole
	case end <= h.next():
		return Retransmission
	case end <= h.end:
		return OutOfOrder
	}
	return 0
}
