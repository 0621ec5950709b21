package tcp

// The positions below are those of side's own half: 0 is the byte after its SYN, or the first byte
// seen.

// SequenceNumber is the sequence number of a position of side.
func (c *Conn) SequenceNumber(i Side, pos int64) uint32 { return c.half[i&1].number(pos) }

// Position is the inverse of SequenceNumber. Of the possible positions it is the one nearest to the
// highest position seen.
func (c *Conn) Position(i Side, number uint32) int64 { return c.half[i&1].pos(number) }

// FINPosition is the position behind side's last byte, which is also the length of the stream. ok
// is false if no FIN was accepted.
func (c *Conn) FINPosition(i Side) (pos int64, ok bool) {
	h := &c.half[i&1]
	if !h.has(finAccepted) {
		return 0, false
	}
	return h.pos(h.fin()), true
}

// AckedTo is the position below which the other side has acknowledged side's bytes, a FIN not
// counted. ok is false if it has acknowledged no number.
func (c *Conn) AckedTo(i Side) (pos int64, ok bool) {
	h, p := &c.half[i&1], &c.half[1-i&1]
	if !p.has(hasACK) || !h.has(anchored) {
		return 0, false
	}
	pos = h.pos(p.ack)
	if h.has(finAccepted) {
		pos = min(pos, h.pos(h.fin()))
	}
	return pos, true
}

// FINConfirmed reports whether the FIN of side is the end of its stream for good: the other side has
// acknowledged it, or is not captured.
func (c *Conn) FINConfirmed(i Side) bool {
	i &= 1
	h, p := &c.half[i], &c.half[1-i]
	return h.has(finAccepted) && (h.finAcked(p) || !c.visible(1-i))
}

// EndOf is the known end of side's stream: the FIN if there was one, otherwise the end of the bytes
// that were taken or acknowledged.
func (c *Conn) EndOf(i Side, ds *Doubts) int64 {
	i &= 1
	h := &c.half[i]
	if pos, ok := c.FINPosition(i); ok {
		return pos
	}
	end := h.end
	d := ds.of(c)
	if d == nil {
		return end
	}
	q := &d.side[i]
	for _, f := range q.fins {
		if f.at == end-1 {
			end-- // an early FIN that nothing displaced
			break
		}
	}
	if c.state == Reset || c.PendingReset() {
		return end
	}
	for _, acked := range []int64{q.lost, q.firstWord} {
		if c.heldFIN(d, i, acked-1) || q.finAfter(acked-1) == acked-1 {
			acked-- // a FIN is no byte
		}
		if acked <= c.edgeOf(i) { // more cannot have been sent
			end = max(end, acked)
		}
	}
	return end
}
