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

// EndOf is the known end of side's stream: the FIN if there was one, otherwise the end of the bytes
// that were seen or, if that is plausible, acknowledged.
func (c *Conn) EndOf(i Side) int64 {
	h := &c.half[i&1]
	if pos, ok := c.FINPosition(i); ok {
		return pos
	}
	if pos, ok := c.AckedTo(i); ok && pos > h.end && pos-h.end <= h.window(&c.half[1-i&1]) {
		return pos
	}
	return h.end
}
