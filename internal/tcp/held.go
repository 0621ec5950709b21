package tcp

import "math"

// The list of segments of a connection that are neither taken nor refused yet: those at its own numbers that wait for an
// acknowledgement, and those of its rival.

// heldBounds are what no held segment lies below, so that most packets need not look through them. Of a half
// with another base, or a list with another version, they are not known. Nor are they where a half ends before from:
// positions are those nearest to its end, and what lay half the numbers ahead of the old end lies as far behind.
type heldBounds struct {
	version uint32
	base    [2]uint32
	from    [2]int64 // the end of each half
	first   [2]int64 // the lowest position of side; never if it has no segment
	end     [2]int64 // the lowest position at which one ends, its FIN included
	time    int64    // the oldest
	claims  [2]claim // see Conn.claim
}

// boundsOf are the bounds of what is held.
func (c *Conn) boundsOf(d *doubt) *heldBounds {
	b := &d.bounds
	left, right := &c.half[0], &c.half[1]
	if base := [2]uint32{left.base, right.base}; b.version != d.version || b.base != base ||
		left.end < b.from[0] || right.end < b.from[1] {
		*b = heldBounds{version: d.version, base: base, from: [2]int64{left.end, right.end},
			first: [2]int64{never, never}, end: [2]int64{never, never}, time: never}
		for k := range d.held {
			h := &d.held[k]
			from := c.half[h.Side].pos(h.Seq)
			b.first[h.Side] = min(b.first[h.Side], from)
			b.end[h.Side] = min(b.end[h.Side], from+int64(h.Len)+int64(h.Flags&FIN))
			b.time = min(b.time, h.Time)
		}
	}
	return b
}

// claim is a result of Conn.claim, for a half that ends at end.
type claim struct {
	end, upTo int64
	known     bool
}

// Held is a segment that is neither taken nor refused yet.
type Held struct {
	Segment
	Side        Side
	rival       bool   // it may be one of the rival
	word        bool   // conditional only because its ACK is a first word
	sure        bool   // and that ACK counts now, so its bytes do
	repeated    bool   // captured after a segment that acknowledges all of it: what that has was sent before
	answered    bool   // its receiver went on to expect it after it came
	conditional bool   // its payload may count at this connection's own numbers
	given       uint32 // bytes of it that TakeConfirmed has given, or newer copies of them
	IP          uint32 // the owner's: the length of the IP packets that brought it
	Payload     []byte // a copy; nil if nobody wants the bytes, or there is no room
	Missing     int    // bytes behind it that the capture cut off, or for which there is no room

	// What the owner wants to know of the packet; not looked at here.
	ID     uint64 // of the packet
	Stamp  int64  // its timestamp, as Time is when it came
	Frames uint64 // in how many frames it came
	Wire   int    // its length on the wire
}

// dropHeld drops the held segments that drop says.
func (d *doubt) dropHeld(ds *Doubts, drop func(*Held) bool) {
	first := 0
	for first < len(d.held) && !drop(&d.held[first]) {
		first++ // nearly always all
	}
	if first == len(d.held) {
		return
	}
	kept := d.held[:first]
	for i := first; i < len(d.held); i++ {
		h := &d.held[i]
		if i == first || drop(h) {
			d.bytes[h.Side] -= int32(len(h.Payload))
			ds.bytes -= int64(len(h.Payload))
			continue
		}
		kept = append(kept, *h)
	}
	d.version++
	ds.entries -= int64(len(d.held) - len(kept))
	clear(d.held[len(kept):])
	if d.held = kept; cap(kept) > 8 && len(kept) < cap(kept)/4 {
		d.held = append([]Held(nil), kept...) // the memory of a peak is not kept
	}
}

// Hold holds the segment that Step has just handled, if its Outcome has Hold set. payload is copied; it
// may be nil if nobody wants the bytes.
func (ds *Doubts) Hold(c *Conn, i Side, g *Segment, o *Outcome, h Held, payload []byte) {
	d := ds.need(c)
	if d == nil || !ds.hasRoom(d) {
		ds.notHeld++
		return
	}
	ds.held++
	h.Segment = *g
	if ds.append(c, d, i&1, o, h, payload); c.bits&soft != 0 && o.Rival == RivalHeld {
		c.packFirst(d, ds)
	}
}

// hasRoom reports whether one more segment may be held with a doubt.
func (ds *Doubts) hasRoom(d *doubt) bool {
	return len(d.held) < maxHeld && (ds.MaxHeld == 0 || ds.entries < ds.MaxHeld)
}

// mostBytes is how much payload may be held of a side when a segment comes, which is conditional or only a rival's.
func (ds *Doubts) mostBytes(conditional bool) int {
	most := maxHeldBytes
	if !conditional {
		most = maxRivalBytes
	}
	if ds.SideBytes > 0 {
		most = min(most, ds.SideBytes)
	}
	return most
}

// keepForRival makes a segment that was conditional only the rival's, and drops its payload if there is no room for that.
func (ds *Doubts) keepForRival(d *doubt, h *Held) {
	h.conditional = false
	d.version++
	if n := len(h.Payload); n > 0 && int(d.bytes[h.Side]) > ds.mostBytes(false) {
		d.bytes[h.Side] -= int32(n)
		ds.bytes -= int64(n)
		ds.bare++
		h.Payload, h.Missing = nil, toInt(int64(h.Len))
	}
}

// append appends a segment to those that are held.
func (ds *Doubts) append(c *Conn, d *doubt, i Side, o *Outcome, h Held, payload []byte) {
	d.version++
	h.Side, h.rival, h.conditional, h.word = i, o.Rival != NoRival, o.Hold, o.word
	g := &h.Segment
	if q, s := &d.side[h.Side], &c.half[h.Side]; s.has(anchored) && g.Len > 0 {
		h.repeated = s.pos(g.Seq)+int64(g.Len) <= max(q.lost, q.firstWord)
	}
	if taken := o.End - o.Pos; o.Placed && taken > 0 && taken < int64(g.Len) {
		h.Seq += uint32(taken)
		h.Len -= uint32(taken)
		payload = payload[min(taken, int64(len(payload))):]
	}
	most := ds.mostBytes(h.conditional)
	if len(payload) > 0 && int(d.bytes[h.Side])+len(payload) <= most &&
		(ds.MaxBytes == 0 || ds.bytes+int64(len(payload)) <= ds.MaxBytes) {
		h.Payload = append([]byte(nil), payload...)
		d.bytes[h.Side] += int32(len(payload))
		ds.bytes += int64(len(payload))
	} else if len(payload) > 0 {
		ds.bare++
	}
	h.Missing = toInt(int64(h.Len) - int64(len(h.Payload)))
	d.held = append(d.held, h)
	ds.entries++
	c.bits |= doubtful
}

// Retime gives what the connection noted at one time another one: the packet that came then came later than was
// believed.
func (ds *Doubts) Retime(c *Conn, at, to int64) {
	c.unpackFirst(ds)
	d := ds.of(c)
	if d == nil {
		return
	}
	for i := range d.side {
		s := &d.side[i]
		retime(&s.behind, at, to)
		retime(&s.unheard, at, to)
		retime(&s.lastBare, at, to)
	}
	for k := range d.held {
		retime(&d.held[k].Time, at, to)
	}
	d.version++
}

func retime(t *int64, at, to int64) {
	if *t == at {
		*t = to
	}
}

// Holds reports whether a segment of the connection is held.
func (ds *Doubts) Holds(c *Conn) bool { return c.doubt != 0 && len(ds.list[c.doubt-1].held) != 0 }

// heldAt finds the newest held bytes of a side that cover a position, and how far they reach before
// newer ones begin: the receiver's word came after them. Those that came after their own acknowledgement
// are taken only if there are no others.
func (c *Conn) heldAt(d *doubt, i Side, pos int64) (h *Held, end int64) {
	return c.heldFrom(d, i, math.MinInt64, pos)
}

// heldFrom is heldAt for held bytes that begin at low or above.
func (c *Conn) heldFrom(d *doubt, i Side, low, pos int64) (h *Held, end int64) {
	s := &c.half[i]
	end = never
	if len(d.held) == 0 || pos < c.boundsOf(d).first[i] {
		return nil, 0
	}
	for k := len(d.held) - 1; k >= 0; k-- {
		x := &d.held[k]
		if x.Side != i || !x.conditional || x.Len == 0 {
			continue
		}
		from := s.pos(x.Seq)
		to := from + int64(x.Len)
		if low <= from && from <= pos && pos < to {
			if !x.repeated {
				return x, min(end, to)
			}
			if h == nil {
				h, end = x, min(end, to)
			}
		}
		if from > pos {
			end = min(end, from)
		}
	}
	if h == nil {
		return nil, 0
	}
	return h, end
}

// confirmedTo is how far the held bytes of side i from pos on count: as far as the other side has acknowledged them,
// or to the end if it is not seen. final says that no more segments come.
func (c *Conn) confirmedTo(d *doubt, i Side, pos int64, final bool) int64 {
	upTo := c.acked(i)
	if h, end := c.heldAt(d, i, pos); h != nil && h.sure {
		upTo = max(upTo, end)
	}
	switch {
	case final && (c.state == Reset || c.PendingReset()):
		upTo = max(upTo, d.side[i].firstWord)
		if c.bits&(resetPending0<<i) != 0 && (d.reset.held || d.reset.strong && d.reset.pos < upTo) {
			upTo = d.reset.pos // where its receiver stands, if the reset is believed
		}
	case final:
		upTo = never
	case !c.visible(1-i) && !(c.Opening() && c.empty()): // then its numbers may still turn out to be others
		upTo = never
	}
	if fin, ok := c.FINPosition(i); ok {
		upTo = min(upTo, fin)
	}
	return upTo
}

// Confirmed gives the held bytes of side at position pos, if the other side has acknowledged them.
// final says that no more segments come, so that what nothing contradicted is believed. missing bytes
// follow that the capture cut off. h is the segment that they are of; like the bytes it is good until the next
// call on the Doubts.
func (ds *Doubts) Confirmed(c *Conn, i Side, pos int64, final bool) (b []byte, missing int, h *Held, ok bool) {
	d := ds.of(c)
	i &= 1
	if d == nil || len(d.held) == 0 {
		return
	}
	upTo := c.confirmedTo(d, i, pos, final)
	if pos >= upTo || !c.half[i].has(anchored) {
		return
	}
	h, end := c.heldAt(d, i, pos)
	if h != nil && pos >= c.acked(i) && c.visible(1-i) && pos != c.half[i].pos(h.Seq) {
		h, end = c.heldFrom(d, i, pos, pos) // of others, other bytes took the place in part
	}
	if h == nil {
		return
	}
	end = min(end, upTo)
	at := pos - c.half[i].pos(h.Seq)
	n := min(end-pos, int64(len(h.Payload))-at)
	if n <= 0 {
		return nil, toInt(end - pos), h, true
	}
	return h.Payload[at : at+n : at+n], toInt(end - pos - n), h, true
}

// Waits reports whether neither Confirmed nor Delivered would do anything for side and position pos.
func (ds *Doubts) Waits(c *Conn, i Side, pos int64) bool {
	i &= 1
	d, s := ds.of(c), &c.half[i]
	if d == nil || len(d.held) == 0 || !s.has(anchored) {
		return true
	}
	b := c.boundsOf(d)
	return min(pos, s.next()) < b.end[i] && (pos < b.first[i] || pos >= c.confirmedTo(d, i, pos, false))
}

// toInt is n where an int can hold it: lengths in segments that no sender makes do not fit 32 bits.
func toInt(n int64) int { return int(min(n, math.MaxInt32)) }

// Delivered drops the held segments of side whose bytes all lie before position pos: the owner has those
// bytes, be they of these segments or of others.
func (ds *Doubts) Delivered(c *Conn, i Side, pos int64) {
	d, s := ds.of(c), &c.half[i&1]
	if d == nil || len(d.held) == 0 || !s.has(anchored) || min(pos, s.next()) < c.boundsOf(d).end[i&1] {
		return
	}
	d.dropHeld(ds, func(h *Held) bool {
		return h.Side == i&1 && !h.rival && h.conditional && len(h.Payload) > 0 && h.Flags&SYN == 0 &&
			s.pos(h.Seq)+int64(h.Len)+int64(h.Flags&FIN) <= min(pos, s.next())
	})
}

// TakeConfirmed is Confirmed for an owner that takes segments as they come: it gives the first held bytes of
// side that count and were not given yet, as a segment, and their position.
func (ds *Doubts) TakeConfirmed(c *Conn, i Side, final bool) (h Held, pos int64, ok bool) {
	i &= 1
	d, s := ds.of(c), &c.half[i]
	if d == nil || len(d.held) == 0 || !s.has(anchored) {
		return Held{}, 0, false
	}
	for {
		pos, reach := d.firstToGive(c, i)
		upTo := c.confirmedTo(d, i, pos, final)
		if pos >= upTo || pos > reach {
			return Held{}, 0, false // not confirmed, or nothing says that the bytes before it exist
		}
		x, end := c.heldAt(d, i, pos)
		if pos >= c.acked(i) && c.visible(1-i) && pos != s.pos(x.Seq) {
			if y, to := c.heldFrom(d, i, pos, pos); y != nil {
				x, end = y, to
			} else {
				c.markGiven(d, i, pos, end) // other bytes took their place in part
				continue
			}
		}
		end = min(end, upTo)
		h = *x
		c.markGiven(d, i, pos, end) // older copies too
		at := pos - s.pos(h.Seq)
		if at < int64(h.given) {
			continue // the owner has them
		}
		n := max(min(end-pos, int64(len(h.Payload))-at), 0)
		at = min(at, int64(len(h.Payload)))
		h.Seq, h.Len, h.Missing = s.number(pos), uint32(end-pos), int(end-pos-n)
		h.Payload = h.Payload[at : at+n : at+n]
		return h, pos, true
	}
}

// Displaced says that the owner has got the bytes [from, to) of side, which nothing contradicts, as a segment:
// TakeConfirmed does not give others in their place.
func (ds *Doubts) Displaced(c *Conn, i Side, from, to int64) {
	if d := ds.of(c); d != nil {
		c.markGiven(d, i&1, from, to)
	}
}

// markGiven notes that the owner has the bytes [from, to) of side i.
func (c *Conn) markGiven(d *doubt, i Side, from, to int64) {
	for k := range d.held {
		h := &d.held[k]
		begin := c.half[i].pos(h.Seq)
		if at := begin + int64(h.given); h.Side == i && h.conditional && at >= from && at < to {
			h.given = uint32(min(to-begin, int64(h.Len)))
		}
	}
}

// firstToGive is the first position of the held bytes of side i that TakeConfirmed has not given, never
// without any, and how far what is known of the side reaches.
func (d *doubt) firstToGive(c *Conn, i Side) (pos, reach int64) {
	s, q := &c.half[i], &d.side[i]
	pos, reach = never, max(s.end, c.acked(i), q.firstWord, q.lost)
	for k := range d.held {
		h := &d.held[k]
		if h.Side != i || !h.conditional || h.Len == 0 {
			continue
		}
		at := s.pos(h.Seq) + int64(h.given)
		if h.given != 0 {
			reach = max(reach, at)
		}
		if h.given < h.Len {
			pos = min(pos, at)
		}
	}
	return pos, reach
}

// NextHeld is the first position above pos of side at which held bytes begin.
func (ds *Doubts) NextHeld(c *Conn, i Side, pos int64) (at int64, ok bool) {
	d, s := ds.of(c), &c.half[i&1]
	if d == nil || !s.has(anchored) {
		return 0, false
	}
	q := &d.side[i&1]
	upTo := max(c.acked(i&1), q.firstWord, q.lost) // beyond it nothing says that the bytes between exist
	if len(d.held) == 0 || c.boundsOf(d).first[i&1] >= upTo {
		return 0, false
	}
	for k := range d.held {
		h := &d.held[k]
		if from := s.pos(h.Seq); h.Side == i&1 && h.conditional && h.Len > 0 && from > pos && from < upTo && (!ok || from < at) {
			at, ok = from, true
		}
	}
	if fin, closed := c.FINPosition(i); closed && at >= fin {
		return 0, false
	}
	return at, ok
}

// claim is how far the peer may acknowledge the bytes of side i: what was taken, and what is held
// next to that.
func (c *Conn) claim(d *doubt, i Side) int64 {
	end := c.half[i].end
	if d == nil || len(d.held) == 0 || c.half[i].finAcked(&c.half[1-i]) {
		return end
	}
	// What is held is looked through once, not for each segment.
	known := &c.boundsOf(d).claims[i]
	if known.known && known.end == end {
		return known.upTo
	}
	before := end
	for {
		h, to := c.heldAt(d, i, end)
		if h == nil || to <= end {
			break
		}
		end = to
	}
	if c.heldFIN(d, i, end) {
		end++
	}
	*known = claim{before, end, true}
	return end
}

// heldFIN reports whether a FIN at position at is held.
func (c *Conn) heldFIN(d *doubt, i Side, at int64) bool {
	for k := range d.held {
		if h := &d.held[k]; h.Side == i && h.conditional && h.Flags&FIN != 0 && c.half[i].pos(h.Seq)+int64(h.Len) == at {
			return true
		}
	}
	return false
}
