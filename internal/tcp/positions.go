package tcp

// What a keeper of the bytes asks for. Positions are those of side's own half:
// 0 is the byte after its SYN or the first byte seen.

// Number is the sequence number of a position of side.
func (c *Conn) Number(i Side, pos int64) uint32 { return c.half[i&1].number(pos) }

// PosOf is the inverse of Number: the position nearest to what was seen.
func (c *Conn) PosOf(i Side, number uint32) int64 { return c.half[i&1].pos(number) }

// FINAt is the position of side's FIN: that of the byte it would be, so also the
// length of the stream. It reports whether a FIN was accepted.
func (c *Conn) FINAt(i Side) (pos int64, ok bool) {
	h := &c.half[i&1]
	if !h.has(finned) {
		return 0, false
	}
	return h.pos(h.fin()), true
}

// AckedTo is the position below which the other side has acknowledged side's
// bytes, a FIN not counted, and whether it has acknowledged any number.
func (c *Conn) AckedTo(i Side) (pos int64, ok bool) {
	h, p := &c.half[i&1], &c.half[1-i&1]
	if !p.has(acked) || !h.has(anchored) {
		return 0, false
	}
	pos = h.pos(p.ack)
	if h.has(finned) {
		pos = min(pos, h.pos(h.fin()))
	}
	return pos, true
}

// Extent is how far side's stream is known to reach: the highest byte that was
// seen or, if it can be, acknowledged, and exactly the FIN if there was one.
func (c *Conn) Extent(i Side) int64 {
	h := &c.half[i&1]
	if pos, ok := c.FINAt(i); ok {
		return pos
	}
	if pos, ok := c.AckedTo(i); ok && pos > h.end && pos-h.end <= h.window(&c.half[1-i&1]) {
		return pos
	}
	return h.end
}
