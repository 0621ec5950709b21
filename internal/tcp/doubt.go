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
	HeldBytes = 120

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
	bareAt    int64 // where a pure ACK of the side stood, ahead of its bytes; 0: none did
	behind    int64 // since when the peer's ACK is beyond what is contiguous; 0: it is not
	lastBare  int64 // when it last did by a pure ACK, and by nothing else since; 0: it did not
	unheard   int64 // since when the side speaks as if the peer had, and nothing of the peer is seen; 0: it does not
}

// reset forgets all of it, and keeps the memory of the lists.
func (d *sideDoubt) reset() { *d = sideDoubt{islands: d.islands[:0], fins: d.fins[:0]} }

type span struct{ from, to int64 }

// earlyFIN is a FIN at position at, of a segment that begins at from.
type earlyFIN struct{ from, at int64 }

// resetDoubt is a RST that was not believed at once.
type resetDoubt struct {
	pos    int64
	strong bool // at a number at which the receiver may stand
	held   bool // only if it has taken what is held, or if SACK was agreed on
}

// Doubts are the doubts of many connections, beside the table in which the connections lie: few
// connections have one. The zero value is ready. It must not be copied once there are any.
type Doubts struct {
	HealAfter int64 // how long bytes that the receiver has may still be missing from the capture
	HoldFor   int64 // how long a segment is held
	SideBytes int   // payload held of a side, at most maxHeldBytes; 0 is that
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
	if d == nil || !c.Unsettled() {
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
					ds.keepForRival(d, h)
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
func (c *Conn) unanswered(i Side, g *Segment, ds *Doubts) bool {
	d := ds.need(c)
	if d == nil || !c.visible(1-i) || c.Opening() {
		return false
	}
	q := &d.side[i]
	now := g.Time
	if q.unheard == 0 || q.lastBare != 0 && now-q.lastBare >= ds.HoldFor {
		q.unheard = max(now, 1) // or both were silent behind a pure ACK, which need not be answered
		c.bits |= doubtful
	}
	if q.lastBare = 0; !carries(g) {
		q.lastBare = max(now, 1)
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

// OnlyHolds reports whether nothing about the connection is in doubt but segments at its own numbers that wait for
// their acknowledgement.
func (ds *Doubts) OnlyHolds(c *Conn) bool {
	d := ds.of(c)
	return d != nil && !d.rival.on && c.bits&(resetPending0|resetPending1) == 0 && d.side[0].quiet() && d.side[1].quiet()
}

// quiet reports whether nothing of a side is in doubt that another segment of it may decide.
func (d *sideDoubt) quiet() bool {
	return len(d.fins) == 0 && d.lost == 0 && d.firstWord == 0 && d.behind == 0 && d.unheard == 0
}

// dropIslands forgets the bytes behind holes.
func (d *sideDoubt) dropIslands() { d.islands = d.islands[:0] }

// addIsland records bytes behind a hole.
func (d *sideDoubt) addIsland(from, to int64) {
	if k := len(d.islands); k > 0 && d.islands[k-1].to == from {
		d.islands[k-1].to = to // most bytes continue the last one
		return
	}
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
