package tcp

import "math"

// A segment is a claim of its sender; the acknowledgement of the other side makes it a fact. Nearly
// all segments contradict nothing and need no proof. The others are hypotheses: a doubt holds those of
// one connection until they are confirmed or revoked.
//
//	island     bytes behind a hole: seen, and not contiguous with the rest
//	FIN        early, so that data may still take its place
//	lost       an ACK number beyond everything that was seen
//	firstWord  an ACK number beyond what is contiguous: the second such ACK counts
//	reset      a RST that the receiver may or may not have believed
//	rival      other numbers, which may become those of the connection; see rival.go
//	held       segments whose payload waits for an acknowledgement, and those of the rival

// Limits of a doubt. Beyond them the newest hypothesis is not recorded, which is as if its packet had
// been refused.
const (
	// HeldBytes is the memory of a held segment, beside its payload. A test holds it.
	HeldBytes = 112

	maxIslands    = 8
	maxEarlyFINs  = 4
	maxCandidates = 3
	maxHeld       = 256       // segments of both sides
	maxHeldBytes  = 256 << 10 // payload of a side
	maxRivalBytes = 64 << 10  // of a side, beyond which a segment that is only a rival's when it comes is held without its payload
)

// never is a position that no segment reaches.
const never = math.MaxInt64

// doubt is what is not certain about one connection.
type doubt struct {
	side    [2]sideDoubt
	reset   resetDoubt
	rival   *rival // of its own, or Doubts.noRival
	held    []Held
	bytes   [2]int32 // payload of held, by side
	version uint32   // changes with held
	bounds  heldBounds

	// candidates are the numbers of SYNs that are not this connection's, seen during the handshake:
	// earlier attempts of the initiator, and others of the responder.
	candidates []candidate
}

// heldBounds are what no held segment lies below, so that most packets need not look through them. Of a half
// with another base, or a list with another version, they are not known.
type heldBounds struct {
	version uint32
	base    [2]uint32
	first   [2]int64 // the lowest position of side; never if it has no segment
	end     [2]int64 // the lowest position at which one ends, its FIN included
	time    int64    // the oldest
}

// boundsOf are the bounds of what is held.
func (c *Conn) boundsOf(d *doubt) *heldBounds {
	b := &d.bounds
	if base := [2]uint32{c.half[0].base, c.half[1].base}; b.version != d.version || b.base != base {
		*b = heldBounds{version: d.version, base: base, first: [2]int64{never, never}, end: [2]int64{never, never}, time: never}
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

type candidate struct {
	number uint32
	side   Side
}

// addCandidate adds a number; the oldest leaves.
func (ds *Doubts) addCandidate(c *Conn, i Side, number uint32) {
	d := ds.need(c)
	if d == nil {
		return
	}
	if len(d.candidates) == maxCandidates {
		d.candidates = d.candidates[:copy(d.candidates, d.candidates[1:])]
	}
	d.candidates = append(d.candidates, candidate{number, i})
}

// sideDoubt is what is not certain about the bytes of one side.
type sideDoubt struct {
	islands []span
	fins    []earlyFIN

	lost      int64 // the peer acknowledged up to here, and nobody saw these bytes; 0: no
	firstWord int64 // the peer acknowledged up to here, into a hole or into what is held; 0: no
	claimed   claim // see Conn.claim
	bareAt    int64 // where a pure ACK of the side stood, ahead of its bytes; 0: none did
	behind    int64 // since when the peer's ACK is beyond what is contiguous; 0: it is not
	unheard   int64 // since when the side speaks as if the peer had, and nothing of the peer is seen; 0: it does not
}

// reset forgets all of it, and keeps the memory of the lists.
func (d *sideDoubt) reset() { *d = sideDoubt{islands: d.islands[:0], fins: d.fins[:0]} }

// claim is a result of Conn.claim, for a half that ends at end and that version of what is held.
type claim struct {
	end, upTo int64
	version   uint32
}

type span struct{ from, to int64 }

// earlyFIN is a FIN at position at, of a segment that begins at from.
type earlyFIN struct{ from, at int64 }

// resetDoubt is a RST that was not believed at once.
type resetDoubt struct {
	pos    int64
	strong bool // at a number at which the receiver may stand
	held   bool // only if it has taken what is held
}

// Held is a segment that is neither taken nor refused yet.
type Held struct {
	Segment
	Side        Side
	rival       bool   // it may be one of the rival
	word        bool   // conditional only because its ACK is a first word
	sure        bool   // and that ACK counts now, so its bytes do
	repeated    bool   // captured after a segment that acknowledges all of it: what that has was sent before
	conditional bool   // its payload may count at this connection's own numbers
	given       uint32 // bytes of it that TakeConfirmed has given, or newer copies of them
	IP          uint32 // the owner's: the length of the IP packets that brought it
	Payload     []byte // a copy; nil if nobody wants the bytes, or there is no room
	Missing     int    // bytes behind it that the capture cut off, or for which there is no room

	// What the owner wants to know of the packet; not looked at here, but for Retime.
	ID     uint64 // of the packet
	Frames uint64 // in how many frames it came
	Wire   int    // its length on the wire
}

// Doubts are the doubts of many connections, beside the table in which the connections lie: few
// connections have one. The zero value is ready. It must not be copied once there are any.
type Doubts struct {
	HealAfter int64 // how long bytes that the receiver has may still be missing from the capture
	HoldFor   int64 // how long a segment is held
	MaxBytes  int64 // payload held for all connections together; 0 is no limit
	MaxHeld   int64 // segments held for all of them, with or without payload; 0 is no limit
	MaxDoubts int   // connections that may have one; 0 is no limit
	InOrder   bool  // the owner reads the bytes of a side in order, and says with Delivered how far it is

	held, notHeld, bare uint64 // see Counters

	list    []*doubt
	free    []uint32 // places in list
	spare   []*doubt // to use again
	bytes   int64    // payload that is held
	entries int64    // segments that are held
	noRival rival    // of all doubts that have none; it is never written
}

// Counters are how many segments were held, how many had no room, and of how many the payload had none.
func (ds *Doubts) Counters() (held, notHeld, bare uint64) { return ds.held, ds.notHeld, ds.bare }

// Bytes is the payload that is held.
func (ds *Doubts) Bytes() int64 { return ds.bytes }

// of is the doubt of a connection, or nil.
func (ds *Doubts) of(c *Conn) *doubt {
	if c.doubt == 0 {
		return nil
	}
	return ds.list[c.doubt-1]
}

// need is the doubt of a connection, made if there is none; nil if there is no room.
func (ds *Doubts) need(c *Conn) *doubt {
	if c.doubt != 0 {
		return ds.list[c.doubt-1]
	}
	if ds.MaxDoubts != 0 && len(ds.list)-len(ds.free) >= ds.MaxDoubts {
		return nil
	}
	var d *doubt
	if k := len(ds.spare); k > 0 {
		d, ds.spare = ds.spare[k-1], ds.spare[:k-1]
	} else {
		d = &doubt{rival: &ds.noRival}
	}
	if k := len(ds.free); k > 0 {
		c.doubt, ds.free = ds.free[k-1], ds.free[:k-1]
		ds.list[c.doubt-1] = d
	} else {
		ds.list = append(ds.list, d)
		c.doubt = uint32(len(ds.list))
	}
	return d
}

// reanchor counts the positions of side i anew from number first. What was in doubt was about others.
func (c *Conn) reanchor(i Side, first uint32, ds *Doubts) {
	c.half[i].anchor(first)
	if d := ds.of(c); d != nil {
		d.side[i].reset()
		if c.bits&(resetPending0<<i) != 0 {
			c.bits &^= resetPending0 | resetPending1 | strongReset
			d.reset = resetDoubt{}
		}
	}
}

// Release forgets the doubt of a connection.
func (ds *Doubts) Release(c *Conn) {
	c.half[0].bits &^= packed
	c.half[1].bits &^= packed
	d := ds.of(c)
	if d == nil {
		return
	}
	d.dropHeld(ds, func(*Held) bool { return true })
	ds.list[c.doubt-1] = nil
	ds.free = append(ds.free, c.doubt)
	c.doubt = 0
	c.bits &^= doubtful
	if len(ds.spare) < 64 {
		d.clear()
		ds.spare = append(ds.spare, d)
	}
	if len(ds.free) == len(ds.list) && cap(ds.list) > 1024 {
		ds.list, ds.free = nil, nil // the memory of a peak is not kept
	}
}

// clear forgets what was in doubt, and keeps the memory of short lists.
func (d *doubt) clear() {
	d.side[0].reset()
	d.side[1].reset()
	d.reset, d.bytes, d.version, d.candidates = resetDoubt{}, [2]int32{}, 0, d.candidates[:0]
	d.bounds = heldBounds{}
	if d.held = d.held[:0]; cap(d.held) > 8 {
		d.held = nil
	}
	if d.rival.on {
		*d.rival = rival{}
	}
}

// healAll gives up the bytes that the receivers have had for a while and the capture has not.
func (c *Conn) healAll(ds *Doubts, now int64) {
	d := ds.of(c)
	for i := range d.side {
		if s := &d.side[i]; s.behind != 0 && now-s.behind >= ds.HealAfter {
			c.heal(Side(i), d)
		}
	}
}

// Settle forgets what the progress of the connection has decided, and the doubt if nothing is left of
// it. It is called after Step, once the bytes that Confirmed gives have been read.
func (c *Conn) Settle(ds *Doubts, now int64) {
	d := ds.of(c)
	if d == nil || c.undisturbed() && c.half[0].lag|c.half[1].lag != 0 {
		return // nothing, or islands that a hole still separates
	}
	for i := range d.side {
		s, h := &d.side[i], &c.half[i]
		next := h.next()
		if s.firstWord <= next {
			s.firstWord = 0
		}
		if s.lost <= h.end {
			s.lost = 0
		}
		if s.bareAt <= next {
			s.bareAt = 0
		}
	}
	if b := c.boundsOf(d); len(d.held) != 0 && (now-b.time >= ds.HoldFor || b.end[0] <= c.half[0].next() || b.end[1] <= c.half[1].next()) {
		d.dropHeld(ds, func(h *Held) bool {
			late := now-h.Time >= ds.HoldFor && d.side[h.Side].firstWord == 0
			if h.rival {
				if late && h.conditional {
					h.conditional = false
					d.version++
				}
				return false
			}
			s := &c.half[h.Side]
			if h.conditional && len(h.Payload) > 0 && (ds.InOrder || h.given < h.Len) {
				return late // see Delivered, and TakeConfirmed
			}
			return late || s.has(anchored) && s.pos(h.Seq)+int64(h.Len)+int64(h.Flags&FIN) <= s.next() && h.Flags&SYN == 0
		})
	}
	if len(d.candidates) != 0 && !c.Opening() && c.state != Active {
		d.candidates = d.candidates[:0]
	}
	if d.empty() && c.bits&(resetPending0|resetPending1) == 0 {
		ds.Release(c)
		return
	}
	if d.disturbing() {
		c.bits |= doubtful
	} else {
		c.bits &^= doubtful
	}
}

// empty reports whether nothing is in doubt.
func (d *doubt) empty() bool {
	for i := range d.side {
		s := &d.side[i]
		if len(s.islands) != 0 || s.bareAt != 0 {
			return false
		}
	}
	return !d.disturbing() && len(d.candidates) == 0
}

// unanswered notes that side i goes on at numbers that need a word of its peer, and reports whether the
// peer has been silent since such a segment was held for as long as it may be. A receiver answers each of
// them: its packets are not captured any more.
func (c *Conn) unanswered(i Side, now int64, ds *Doubts) bool {
	d := ds.need(c)
	if d == nil || !c.visible(1-i) || c.Opening() {
		return false
	}
	q := &d.side[i]
	if q.unheard == 0 {
		q.unheard = max(now, 1)
		c.bits |= doubtful
	}
	if now-q.unheard < ds.HoldFor {
		return false
	}
	q.unheard, q.lost = 0, 0
	c.half[1-i].bits &^= seen | edgeKnown | zeroWindow
	c.edge[1-i] = 0
	return true
}

// disturbing reports whether something is in doubt that a segment in order may decide.
func (d *doubt) disturbing() bool {
	for i := range d.side {
		if !d.side[i].quiet() {
			return true
		}
	}
	return d.rival.on || len(d.held) != 0
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
	most := maxHeldBytes
	if !h.conditional {
		most = maxRivalBytes
	}
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

// Retime gives the segment of side that came with packet id at a time, if it is held, another time: the packet's
// timestamp was wrong, or is believed now.
func (ds *Doubts) Retime(c *Conn, i Side, id uint64, at, to int64) {
	c.unpackFirst(ds)
	d := ds.of(c)
	if d == nil {
		return
	}
	for k := len(d.held) - 1; k >= 0; k-- {
		if h := &d.held[k]; h.Side == i&1 && h.ID == id && h.Time == at {
			h.Time = to
			d.version++
			return
		}
	}
}

// Holds reports whether a segment of the connection is held.
func (ds *Doubts) Holds(c *Conn) bool { return c.doubt != 0 && len(ds.list[c.doubt-1].held) != 0 }

// onlyHolds reports whether nothing about the connection is in doubt but segments at its own numbers that wait for
// their acknowledgement.
func (ds *Doubts) onlyHolds(c *Conn) bool {
	d := ds.of(c)
	return d != nil && !d.rival.on && c.bits&(resetPending0|resetPending1) == 0 && d.side[0].quiet() && d.side[1].quiet()
}

// quiet reports whether nothing of a side is in doubt that another segment of it may decide.
func (d *sideDoubt) quiet() bool {
	return len(d.fins) == 0 && d.lost == 0 && d.firstWord == 0 && d.behind == 0 && d.unheard == 0
}

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
// follow that the capture cut off. The bytes are good until the next call on the Doubts.
func (ds *Doubts) Confirmed(c *Conn, i Side, pos int64, final bool) (b []byte, missing int, time int64, id uint64, ok bool) {
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
		return nil, toInt(end - pos), h.Time, h.ID, true
	}
	return h.Payload[at : at+n : at+n], toInt(end - pos - n), h.Time, h.ID, true
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
	if k := &d.side[i].claimed; k.version == d.version && k.end == end {
		return k.upTo
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
	d.side[i].claimed = claim{before, end, d.version}
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

// dropIslands forgets the bytes behind holes.
func (d *sideDoubt) dropIslands() { d.islands = d.islands[:0] }

// addIsland records bytes behind a hole.
func (d *sideDoubt) addIsland(from, to int64) {
	k := 0
	for k < len(d.islands) && d.islands[k].to < from {
		k++
	}
	m := k
	for m < len(d.islands) && d.islands[m].from <= to {
		from, to = min(from, d.islands[m].from), max(to, d.islands[m].to)
		m++
	}
	if m == k {
		if len(d.islands) == maxIslands {
			return // the peer's ACK will tell
		}
		d.islands = append(d.islands, span{})
		copy(d.islands[k+1:], d.islands[k:])
	} else {
		d.islands = append(d.islands[:k+1], d.islands[m:]...)
	}
	d.islands[k] = span{from, to}
}

// joined is how far the bytes reach that are contiguous at pos with islands; those are forgotten.
func (d *sideDoubt) joined(pos int64) int64 {
	k := 0
	for k < len(d.islands) && d.islands[k].from <= pos {
		pos = max(pos, d.islands[k].to)
		k++
	}
	d.islands = d.islands[:copy(d.islands, d.islands[k:])]
	return pos
}

// seenFrom is how far from pos on everything was captured: bytes behind a hole, and an early FIN.
func (d *sideDoubt) seenFrom(pos int64) int64 {
	for _, x := range d.islands {
		if x.from <= pos {
			pos = max(pos, x.to)
		}
	}
	if d.finAfter(pos) == pos {
		pos++
	}
	return pos
}

// covers reports whether a position lies in an island, or at the end of one.
func (d *sideDoubt) covers(pos int64) (inside, atEnd bool) {
	for _, x := range d.islands {
		if x.from <= pos && pos < x.to {
			inside = true
		}
		if x.to == pos {
			atEnd = true
		}
	}
	return inside, atEnd
}

// addFIN records an early FIN; the oldest leaves.
func (d *sideDoubt) addFIN(from, at int64) {
	if len(d.fins) == maxEarlyFINs {
		d.fins = d.fins[:copy(d.fins, d.fins[1:])]
	}
	d.fins = append(d.fins, earlyFIN{from, at})
}

// displaceFINs forgets the early FINs whose place the bytes [from, to) take: they begin before the segment
// of the FIN and reach over it, or with it and end behind it. Linux keeps segments by the same rule.
func (d *sideDoubt) displaceFINs(from, to int64) {
	n := 0
	for _, f := range d.fins {
		if from < f.from && to > f.at || from == f.from && to > f.at+1 {
			continue
		}
		d.fins[n] = f
		n++
	}
	d.fins = d.fins[:n]
}

// refuteFINs forgets the early FINs below pos: the peer has acknowledged what lies behind them.
func (d *sideDoubt) refuteFINs(pos int64) {
	n := 0
	for _, f := range d.fins {
		if f.at >= pos {
			d.fins[n] = f
			n++
		}
	}
	d.fins = d.fins[:n]
}

// finAfter is the position of the first early FIN at or above pos.
func (d *sideDoubt) finAfter(pos int64) int64 {
	at := int64(never)
	for _, f := range d.fins {
		if f.at >= pos {
			at = min(at, f.at)
		}
	}
	return at
}
