package tcp

// The first segment of a connection under way waits for a second one, which shows whether its numbers
// are those of the connection. A host that scans, or a capture that begins on a busy link, leaves many
// connections of one segment. So a first segment of which no payload is held lies in the fields that the
// connection does not use yet, and not in a doubt, which takes several times the memory of the connection.

// packFirst moves the first segment of the connection from its doubt, which is released, into the
// connection, if nothing else is held or known. Of what the owner keeps with a rival only the first word,
// of 8 bits, has room, and the second if it is the segment's timestamp.
func (c *Conn) packFirst(d *doubt, ds *Doubts) {
	h := &d.held[0]
	own := d.rival.owner[0]
	switch {
	case c.bits != midstream|soft|started|doubtful, (c.half[0].bits|c.half[1].bits)&^seen != 0:
		return // more is known, or fast paths are off
	case len(d.held) != 1 || h.conditional || len(h.Payload) != 0 || h.Options&OptBadLength != 0:
		return
	case uint(h.Wire) >= 1<<24, h.Frames >= 1<<8 || h.IP > 0xffff, d.rival.owner != RivalOwner{own & 0xff, uint64(h.Stamp)}:
		return
	}
	first, i := *h, h.Side
	ds.Release(c)
	s, p := &c.half[i], &c.half[1-i]
	s.base, s.ack, s.lag, s.end = first.Seq, first.Ack, first.Len, first.Stamp
	p.base, p.lag, p.ack, p.end = uint32(first.Time), uint32(first.Time>>32), uint32(first.Wire)|uint32(first.Frames)<<24, int64(first.ID)
	s.recent, p.recent = first.Timestamp, first.TimestampEcho
	c.edge[i], c.edge[1-i] = uint32(first.Window)|first.IP<<16, uint32(first.Flags)|uint32(first.Options)<<8|uint32(own)<<16
	s.bits |= packed
	c.bits |= doubtful
}

// packedFirst reports whether the connection's first segment lies in the connection itself.
func (c *Conn) packedFirst() bool { return (c.half[0].bits|c.half[1].bits)&packed != 0 }

// unpackFirst puts the first segment of the connection back into a doubt, if it lies in the connection
// itself. If there is no room for a doubt any more, it is not held.
func (c *Conn) unpackFirst(ds *Doubts) {
	if !c.packedFirst() {
		return
	}
	i := Initiator
	if c.half[Responder].has(packed) {
		i = Responder
	}
	s, p := &c.half[i], &c.half[1-i]
	h := Held{
		Segment: Segment{
			Seq: s.base, Ack: s.ack, Len: s.lag, Window: uint16(c.edge[i]),
			Flags: uint8(c.edge[1-i]), Options: uint8(c.edge[1-i] >> 8), Timestamp: s.recent, TimestampEcho: p.recent, Time: int64(p.lag)<<32 | int64(p.base),
		},
		Wire: int(p.ack & (1<<24 - 1)), Frames: uint64(p.ack >> 24), ID: uint64(p.end), Stamp: s.end, IP: c.edge[i] >> 16,
	}
	own := uint64(c.edge[1-i] >> 16)
	s.bits &^= packed
	s.base, s.ack, s.lag, s.end, s.recent = 0, 0, 0, 0, 0
	p.base, p.lag, p.ack, p.end, p.recent = 0, 0, 0, 0, 0
	c.edge = [2]uint32{}
	c.bits &^= doubtful
	var o Outcome
	if c.offer(i, &h.Segment, &o, ds); o.Rival == NoRival {
		ds.notHeld++
		return
	}
	d := ds.of(c)
	d.rival.owner[0], d.rival.owner[1] = own, uint64(h.Stamp)
	if !ds.hasRoom(d) {
		ds.notHeld++
		return
	}
	ds.append(c, d, i, &o, h, nil)
}
