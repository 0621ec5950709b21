package stream

// queue is the bytes of one side, in order of arrival.
//
//	buf  [bbbbbb--aaaacc-----------]
//	                    ^ used         live = 12; -- was delivered or overwritten
type queue struct {
	buf  []byte
	used int
	live int
	lent uint64 // the arena's period in which an Item last referred to buf
}

// minBuffer is the smallest buffer.
const minBuffer = 64

// room finds the capacities with which the side could take more bytes and have so
// many pieces, and reports whether that is within the side's limits.
func (a *Arena) room(d *side, pieces, more int) (ring, buf int, ok bool) {
	if pieces > a.limits.SidePieces || more > a.limits.SideBytes {
		return 0, 0, false
	}
	ring, buf = len(d.ring), len(d.buf)
	if pieces > ring {
		ring = sizeUp(pieces + pieces/4)
	}
	rest := a.limits.SideBytes - recordBytes - ring*extentBytes
	if more > buf-d.used {
		need := d.live + more
		buf = sizeUp(max(need+need/4, minBuffer))
		if buf > rest {
			// Whatever is left will do, unless the buffer would soon move again:
			// that every move is paid for by arriving bytes keeps the cost linear.
			if buf = sizeDown(max(rest, 0)); buf < need+need/8 {
				return 0, 0, false
			}
		}
	}
	return ring, buf, buf <= rest
}

// admit makes room for a merged list, if limits allow, and gives the side's record.
func (a *Arena) admit(s *Stream, d *side, m *merger) *side {
	none := d == nil
	if none {
		d = &a.none
	}
	ring, buf, ok := a.room(d, d.n-m.met+len(m.list), m.bytes)
	if !ok {
		a.crowded = false
		return nil
	}
	delta, fresh := 0, 0
	if none {
		delta, fresh = recordBytes, recordBytes
	}
	if ring != len(d.ring) {
		delta += (ring - len(d.ring)) * extentBytes
		fresh += ring * extentBytes
	}
	if buf != len(d.buf) || m.bytes > buf-d.used {
		delta += buf - len(d.buf)
		fresh += buf
	}
	if fresh > 0 && !a.affords(delta, fresh) {
		a.crowded = true
		return nil
	}
	if none {
		d = a.open(s)
	}
	if ring != len(d.ring) {
		a.moveExtents(d, ring)
	}
	if m.bytes > len(d.buf)-d.used {
		a.moveBytes(d, buf)
	}
	return d
}

// store puts a merged list in its place, with the bytes that the arrival won.
func (a *Arena) store(d *side, m *merger, n *arrival) {
	k := m.i
	for i := range m.list {
		e := &m.list[i]
		d.live += int(e.n)
		if e.off == inFrame {
			e.off = uint32(d.used)
			d.used += copy(d.buf[d.used:], n.bytes[e.pos-n.pos:e.end()-n.pos])
			continue
		}
		// The list is older than the room that was made: the bytes may have moved.
		for d.at(k).end() <= e.pos {
			k++
		}
		e.off = d.at(k).off + uint32(e.pos-d.at(k).pos)
	}
	for k := range m.met {
		d.live -= int(d.at(m.i + k).n)
	}
	d.splice(m.i, m.i+m.met, m.list)
	if m.bytes > 0 {
		a.stats.Held++
	}
	a.stats.HeldBytes += uint64(m.bytes)
}

// moveExtents moves the extents to a ring of the given size.
func (a *Arena) moveExtents(d *side, size int) {
	ring := a.takeRing(size)
	a.giveRing(d.rehouse(ring))
}

// moveBytes moves the live bytes to a buffer of the given size.
func (a *Arena) moveBytes(d *side, size int) {
	buf := a.takeBuffer(size)
	w := 0
	for i := range d.n {
		e := d.at(i)
		off := w
		w += copy(buf[w:], d.bytes(e))
		e.off = uint32(off)
	}
	a.giveBuffer(d, d.buf)
	d.buf, d.used, d.live = buf, w, w
	a.stats.Moves++
	a.stats.MovedBytes += uint64(w)
}

// bytes are the bytes of a held extent.
func (d *side) bytes(e *extent) []byte {
	return d.buf[e.off : e.off+e.n : e.off+e.n]
}
