package tcp

// A rival is a second pair of numberings of the same ends: a new connection whose SYN came while this
// one seems alive, or the same one after the capture missed a part of it. Its segments are held. It
// becomes the connection once both ends speak by its numbers and acknowledge each other's, and is
// forgotten when the old numbers go on.
//
//	initiator                     responder
//	    | ---- 100, acks 500 ------> |       the connection
//	    | ---- SYN 9000 -----------> |       a rival, held
//	    | <--- SYN 4000, acks 9001 - |
//	    | ---- 9001, acks 4001 ----> |
//	    | <--- acks 9051 ----------- |       its bytes are acknowledged: it is the connection
type rival struct {
	on     bool
	syn    bool // it began with a SYN of opener
	opener Side
	misses uint8 // segments that fit neither it nor the connection, since the last that did
	parted bool  // its segments contradict each other: the newest are believed, but not at the first word
	h      [2]rivalHalf
	owner  RivalOwner
}

// RivalOwner is memory that is kept with a rival for the owner of the connection. It is zero when the rival
// begins.
type RivalOwner [10]uint64

// rivalHalf is one sender of a rival.
type rivalHalf struct {
	first, next uint32 // its numbers: the first one, and the one after the last
	ack         uint32 // the newest number it acknowledged
	known       bool   // there was a segment of this sender, or its peer's SYN+ACK
	hasACK      bool
	grown       bool  // it sent payload or a FIN
	joined      bool  // and a segment began where that ended
	fin         bool  // its next number is behind a FIN
	segments    uint8 // since it is known
}

// The number of segments after which a rival is believed.
const (
	rivalSegments         = 2         // of each side, if both are captured
	rivalSegmentsOneSided = 8         // of one side, if the other is not
	rivalBareSegments     = 4         // of one side without payload, if no number is certain yet
	rivalHole             = 1<<16 - 1 // bytes of any rival that were not captured
	maxRivalHole          = 1 << 20   // bytes of a rival with a SYN that were not captured
	maxMisses             = 3         // after which a SYN that nobody follows makes room for other numbers
)

// RivalVerdict says what a segment means for the rival.
type RivalVerdict uint8

const (
	NoRival       RivalVerdict = iota // it is not one of the rival's
	RivalHeld                         // it is, and undecided: it has to be held
	RivalLeaps                        // the connection goes on at the rival's numbers: the segment is held, then Doubts.Leap
	RivalReplays                      // the rival's segments are this connection's: the segment counts, then Doubts.TakeRival
	RivalReplaces                     // the rival is a connection of its own: the segment is held, then Doubts.TakeRival
)

// Owner is what the owner of the connection keeps with its rival; nil if there is none.
func (ds *Doubts) Owner(c *Conn) *RivalOwner {
	c.unpackFirst(ds)
	if d := ds.of(c); d != nil && d.rival.on {
		return &d.rival.owner
	}
	return nil
}

// HasRival reports whether the connection has a rival.
func (ds *Doubts) HasRival(c *Conn) bool {
	d := ds.of(c)
	return d != nil && d.rival.on || c.packedFirst()
}

// answersRival reports whether a SYN+ACK of side i acknowledges the SYN of the rival, and none of the connection.
func (ds *Doubts) answersRival(c *Conn, i Side, g *Segment) bool {
	d := ds.of(c)
	if d == nil || g.Flags&ACK == 0 || !d.rival.on || !d.rival.syn || d.rival.opener == i || c.half[1-i].contains(g.Ack) {
		return false
	}
	h := &d.rival.h[1-i]
	return within(g.Ack, h.first, h.next)
}

// talksElsewhere reports whether segments without SYN were seen whose numbers are not the connection's.
func (c *Conn) talksElsewhere(ds *Doubts) bool { return ds.HasRival(c) && !ds.of(c).rival.syn }

// GoesOnBehindSYN reports whether the initiator has gone on behind its SYN, and nothing was seen of the
// responder, or only that it acknowledges that: too little to move the numbers, but at the end of the
// capture nothing contradicts it.
func (ds *Doubts) GoesOnBehindSYN(c *Conn) bool {
	if c.state != SynSent || !ds.HasRival(c) || ds.of(c).rival.syn {
		return false
	}
	s, ini, res := &c.half[Initiator], &ds.of(c).rival.h[Initiator], &ds.of(c).rival.h[Responder]
	return ini.known && within(ini.first, s.base, s.number(s.next()+maxRivalHole)) &&
		(!c.half[Responder].has(seen) || res.known && within(res.ack, ini.first, ini.next))
}

// offer offers a segment that does not fit the connection to the rival.
func (c *Conn) offer(i Side, g *Segment, o *Outcome, ds *Doubts) {
	if g.Flags&RST != 0 || g.Flags&(SYN|ACK|FIN) == SYN|FIN {
		return // opens nothing
	}
	d := ds.need(c)
	if d == nil {
		return
	}
	c.bits |= doubtful
	if d.rival == &ds.noRival {
		d.rival = new(rival)
	}
	r := d.rival
	h, peer := &r.h[i], &r.h[1-i]
	first, next := g.Seq, g.Seq+g.Len
	if g.Flags&SYN != 0 {
		first, next = first+1, next+1
	}
	if g.Flags&FIN != 0 {
		next++
	}
	if g.Flags&SYN == 0 && !r.syn {
		var fresh bool
		if first, fresh = c.clip(i, first, next); !fresh {
			return // bytes that this connection has: they show no other numbers of their sender
		}
	}
	seg := rivalHalf{known: true, first: first, next: next, ack: g.Ack, hasACK: g.Flags&ACK != 0, fin: g.Flags&FIN != 0, segments: 1}
	switch g.Flags & (SYN | ACK) {
	case SYN:
		if r.on && r.syn && r.opener == i && h.first == first {
			break // repeated
		}
		c.startRival(d, ds)
		r.syn, r.opener, *h = true, i, seg
	case SYN | ACK:
		switch {
		case r.on && r.syn && r.opener == 1-i && within(g.Ack, peer.first, peer.next):
			*h = seg
		case r.on && r.syn && r.opener == 1-i && peer.segments > 0:
			return // of another attempt
		default:
			c.startRival(d, ds)
			r.syn, r.opener, *h = true, 1-i, seg
			*peer = rivalHalf{known: true, first: g.Ack, next: g.Ack}
		}
	default:
		if !c.followRival(i, &seg, d, ds) {
			return
		}
	}
	o.Rival = RivalHeld
	if c.rivalBelieved(r) {
		if o.Rival = RivalReplaces; c.state < Closed && c.leaps(r) {
			o.Rival = RivalLeaps
		}
	}
}

// clip cuts what a connection that is established has off the numbers [first, next) of a segment of side i, and
// reports whether something is left.
func (c *Conn) clip(i Side, first, next uint32) (from uint32, fresh bool) {
	s := &c.half[i]
	if !s.has(anchored) || c.bits&soft != 0 || c.Opening() || c.state >= Closed {
		return first, true
	}
	begins, below := s.number(s.next()), s.has(synSeen) && int32(first-s.base) < 0 // of which it has nothing
	if had := int32(begins - first); had <= 0 || had > maxRivalHole || below {
		return first, true
	}
	return begins, int32(next-begins) > 0
}

// followRival makes a segment without SYN one of the rival's, of which it may be the first, and reports whether it
// can be one.
func (c *Conn) followRival(i Side, seg *rivalHalf, d *doubt, ds *Doubts) bool {
	r := d.rival
	h := &r.h[i]
	switch {
	case !r.on:
		c.startRival(d, ds)
		*h = *seg
	case h.known && (within(seg.first, h.first, h.next+rivalHole) || r.syn && within(seg.first, h.first, h.next+maxRivalHole)):
		if seg.first == h.next && !(h.fin && seg.next != seg.first) { // repeated bytes prove nothing, nor do those behind a FIN
			h.segments = min(h.segments, 100) + 1
			h.joined = h.joined || h.grown
		}
		if int32(seg.next-h.next) > 0 {
			h.next, h.fin = seg.next, seg.fin
		}
		h.ack, h.hasACK = seg.ack, seg.hasACK
	case r.syn && r.misses < maxMisses && !c.Opening():
		r.misses++
		return false
	case r.syn:
		c.startRival(d, ds)
		*h = *seg
	default:
		r.parted = r.parted || h.known && h.segments > 0
		*h = *seg
	}
	r.misses = 0
	h.grown = h.grown || seg.next != seg.first
	return true
}

// joins reports whether segments of one sender join. Those without payload join in any case, so it takes more
// of them.
func (h *rivalHalf) joins() bool { return h.joined || h.segments >= rivalBareSegments }

// outweighs reports whether the segments of a sender prove its numbers: they join, and its peer does not answer each of
// them that it expects others.
func (h *rivalHalf) outweighs(peer *rivalHalf) bool {
	return h.joins() && (!peer.denies(h) || h.segments > peer.segments+1)
}

// denies reports whether a sender acknowledges numbers far from those of its peer's segments.
func (h *rivalHalf) denies(peer *rivalHalf) bool {
	return h.known && h.hasACK && peer.known && !within(h.ack, peer.first-maxRivalHole, peer.next+rivalHole)
}

// beside reports whether the SYN of side i was seen, and the rival's numbers do not follow it.
func (c *Conn) beside(r *rival, i Side) bool {
	s := &c.half[i]
	return s.has(synSeen) && !within(r.h[i].first, s.base, s.base+maxRivalHole)
}

// agree reports whether a sender acknowledges what its peer has, or what it has within a window ahead.
func agree(h, peer *rivalHalf) bool {
	return within(h.ack, peer.first, peer.next+rivalHole)
}

// takes reports whether a sender acknowledges bytes of its peer, and not more than there were. What the peer
// acknowledges may be a little less than what the sender has.
func (h *rivalHalf) takes(peer *rivalHalf) bool {
	return peer.grown && h.ack != peer.first && within(h.ack, peer.first, peer.next) && within(peer.ack, h.first-rivalHole, h.next+rivalHole)
}

// within reports whether a number lies between two others, both included.
func within(x, from, to uint32) bool { return int32(x-from) >= 0 && int32(to-x) >= 0 }

// startRival begins a new rival; the one before is forgotten.
func (c *Conn) startRival(d *doubt, ds *Doubts) {
	c.forgetRival(d, ds)
	d.rival.on = true
}

// forgetRival forgets the rival and its segments.
func (c *Conn) forgetRival(d *doubt, ds *Doubts) {
	if d.rival.on {
		*d.rival = rival{}
		d.dropHeld(ds, func(h *Held) bool {
			h.rival = false
			return !h.conditional
		})
	}
}

// rivalGoesOn reports whether a segment of side i of a connection that opens acknowledges bytes of the rival, and starts
// where these expect it, although it may be one of the connection: both have spoken at the rival's numbers before.
func (c *Conn) rivalGoesOn(i Side, g *Segment, d *doubt) bool {
	if d == nil || !d.rival.on || d.rival.syn || !c.Opening() {
		return false
	}
	h, peer := &d.rival.h[i], &d.rival.h[1-i]
	return h.known && peer.known && peer.hasACK && peer.ack == g.Seq && g.Ack != peer.first && within(g.Ack, peer.first, peer.next)
}

// revokeRival forgets the rival because the connection goes on at its own numbers.
func (c *Conn) revokeRival(ds *Doubts) {
	if d := ds.of(c); d != nil && d.rival.on {
		c.forgetRival(d, ds)
	}
}

// rivalBelieved reports whether the rival has what makes it the connection.
func (c *Conn) rivalBelieved(r *rival) bool {
	for i := range r.h {
		h, peer := &r.h[i], Side(1-i)
		if !h.known || c.half[peer].has(seen) || r.h[peer].known && r.h[peer].segments > 0 {
			continue
		}
		// The other side is not captured.
		switch {
		case r.syn:
			return r.opener == Side(i) && h.segments >= 2
		case c.bits&soft != 0:
			return h.segments >= 2
		case c.Opening():
			return h.segments >= 2 && h.grown
		}
		return h.segments >= rivalSegmentsOneSided
	}
	a, b := &r.h[0], &r.h[1]
	if c.bits&soft != 0 && !r.syn && (a.outweighs(b) || b.outweighs(a)) {
		return true
	}
	if !a.known || !b.known {
		return false
	}
	if r.syn {
		opener, other := &r.h[r.opener], &r.h[1-r.opener]
		if opener.segments < 2 || other.segments < 1 || !opener.hasACK || !within(opener.ack, other.first, other.next) {
			return false
		}
		if c.state >= Closed {
			return opener.grown || other.grown
		}
		return opener.grown && int32(other.ack-opener.first) > 0 || other.grown && int32(opener.ack-other.first) > 0
	}
	if !a.hasACK || !b.hasACK {
		return false
	}
	grown := a.grown && int32(b.ack-a.first) > 0 || b.grown && int32(a.ack-b.first) > 0
	if c.bits&soft != 0 {
		return agree(a, b) && agree(b, a) && (grown || !r.parted) || a.takes(b) || b.takes(a)
	}
	if !within(a.ack, b.first, b.next) || !within(b.ack, a.first, a.next) {
		return false
	}
	if c.Opening() && (c.beside(r, 0) || c.beside(r, 1)) {
		return a.grown || b.grown // who opens a connection sends nothing at other numbers: the SYN was a stray
	}
	return a.segments >= rivalSegments && b.segments >= rivalSegments && grown
}

// leaps reports whether the rival continues this connection: the numbers of both sides lie ahead, but for
// bytes that are sent again.
func (c *Conn) leaps(r *rival) bool {
	if r.syn {
		return false
	}
	return c.nothingTaken() || c.liesAhead(r) || c.empty()
}

// liesAhead reports whether the numbers of both sides of a rival lie ahead of the connection's, but for bytes
// that are sent again.
func (c *Conn) liesAhead(r *rival) bool {
	for i := range r.h {
		h, s := &r.h[i], &c.half[i]
		if !h.known || !s.has(anchored) || c.guessStands(Side(i)) {
			continue
		}
		begins := s.number(s.next())
		if s.has(finAccepted) || distance(begins, h.next) < 0 || distance(begins, h.first) < -maxRivalHole || s.has(synSeen) && distance(s.base, h.first) < 0 {
			return false
		}
	}
	return true
}

// nothingTaken reports whether no byte of the connection has been delivered, so that all its numbers may
// still be wrong.
func (c *Conn) nothingTaken() bool {
	return c.bits&soft != 0 || c.state == SynSent || c.bits&wasEstablished == 0 && c.empty()
}

// empty reports whether nothing but what came with a SYN, and waits for its ACK, lies on a number of the
// connection.
func (c *Conn) empty() bool {
	a, b := &c.half[0], &c.half[1]
	return (a.end == 0 || a.has(synData)) && (b.end == 0 || b.has(synData))
}

// Leap moves the connection to the numbers of its rival. It returns the rival's segments, in the order
// of capture, which are now to be given to Step again. fresh is set if its streams begin anew. waited says that nothing
// but time has decided it.
func (ds *Doubts) Leap(c *Conn, waited bool) (held []Held, fresh bool) {
	c.unpackFirst(ds)
	d := ds.of(c)
	if d == nil {
		return nil, false
	}
	r := *d.rival
	fresh = c.nothingTaken() || c.empty() && !c.liesAhead(&r)
	if c.state == SynSent {
		// The SYN stands if the initiator goes on behind it: then only the SYN+ACK was not captured, or what
		// came right after it neither.
		h, s := &r.h[Initiator], &c.half[Initiator]
		ahead := uint32(0)
		if !r.h[Responder].known {
			ahead = maxRivalHole
		}
		fresh = h.known && h.first != s.base && !within(h.first, s.number(s.next()), s.number(s.next())+ahead)
	}
	for i := range r.h {
		h, peer := &r.h[i], &r.h[1-i]
		if !h.known || !fresh {
			continue
		}
		switch {
		case peer.hasACK && h.segments < 2 && peer.joins() && int32(peer.ack-h.first) < 0,
			peer.denies(h) && peer.segments >= 2 && !h.outweighs(peer) && (peer.segments > h.segments || !h.denies(peer)):
			h.first = peer.ack // two segments outrank one, and those that their receiver does not know
			h.grown = false    // so a FIN may end there
		case waited && peer.hasACK && within(peer.ack, h.first-maxRivalHole, h.first) && d.heldLast() == Side(1-i):
			h.first = peer.ack // its receiver's last word was that it expects less
		case h.next != peer.ack && c.guessedReset(&r) == resetPending0<<i:
			h.first = peer.ack // where the receiver of a reset stands
		}
		h.first = d.joinedBefore(Side(i), h)
	}
	held = ds.TakeRival(c)
	reset := c.guessedReset(&r)
	if fresh { // the SYN, or the first guess, was a stray
		c.bits = c.bits&^soft | midstream
		c.state = Active
		for i := range c.half {
			s := &c.half[i]
			c.forgetACK(Side(i))
			s.bits &= seen | slowPath
			s.scale = 0
		}
		c.bits &^= resetPending0 | resetPending1 | strongReset
	}
	for i := range c.half {
		h, s := &r.h[i], &c.half[i]
		if !h.known {
			if !s.has(anchored) && r.h[1-i].hasACK {
				s.anchor(firstACK(held, Side(1-i), r.h[1-i].ack))
				s.bits |= guessed
			}
			continue
		}
		if s.has(anchored) && !c.guessStands(Side(i)) {
			s.end = max(s.next(), s.pos(h.first)) // a hole may have been filled meanwhile
			s.lag = 0
		} else {
			s.anchor(h.first)
			s.bits &^= guessed
		}
		c.forgetACK(Side(i))
		d.side[i].reset()
	}
	for i := range c.half {
		if reset == resetPending0<<i {
			c.doubtReset(Side(i), c.half[i].pos(r.h[1-i].ack), true, ds)
		}
	}
	if ds.of(c) != nil {
		c.Settle(ds, 0)
	}
	return held, fresh
}

// guessedReset is the bit of a reset in doubt at a number that the rival's other side acknowledges, if no number of its
// sender is certain; 0 if there is none.
func (c *Conn) guessedReset(r *rival) connBits {
	for i := range c.half {
		bit, s, peer := resetPending0<<i, &c.half[i], &r.h[1-i]
		if c.bits&bit != 0 && !s.has(anchored) && peer.known && peer.hasACK && peer.ack == s.base {
			return bit
		}
	}
	return 0
}

// firstACK is what the first of the held segments of a side acknowledges; otherwise is the answer if there
// is none.
func firstACK(held []Held, i Side, otherwise uint32) uint32 {
	for k := range held {
		if h := &held[k]; h.Side == i && h.Flags&ACK != 0 {
			return h.Ack
		}
	}
	return otherwise
}

// heldLast is who sent the segment that was held last.
func (d *doubt) heldLast() Side {
	if n := len(d.held); n > 0 {
		return d.held[n-1].Side
	}
	return Initiator
}

// joinedBefore is the first number of the held segments of a side that end where those of its rival half begin. It
// goes no further back than a window: four segments of 1 GiB lie in a ring. A FIN is one of them if nothing was sent
// behind it.
func (d *doubt) joinedBefore(i Side, r *rivalHalf) uint32 {
	first, room, ends := r.first, uint32(unknownWindow), FIN
	if r.grown {
		ends = 0
	}
	for k := len(d.held) - 1; k >= 0; k-- {
		h := &d.held[k]
		n := h.Len + uint32(h.Flags&FIN)
		if h.Side == i && int(h.Flags)&(SYN|FIN|RST)&^ends == 0 && n > 0 && n <= room && h.Seq+n == first {
			first, room, k, ends = h.Seq, room-n, len(d.held), 0
		}
	}
	return first
}

// TakeRival returns the rival's segments, in the order of capture, and forgets it: they are those of a
// new connection, or this one's.
func (ds *Doubts) TakeRival(c *Conn) []Held {
	d := ds.of(c)
	var held []Held
	for _, h := range d.held {
		if h.rival {
			held = append(held, h)
		}
	}
	c.forgetRival(d, ds)
	for i := range d.side {
		d.side[i].lost, d.side[i].firstWord = 0, 0 // acknowledgements of the rival's bytes
	}
	return held
}

// StepEnded is Step for a connection that has ended. Its segments are late, unless they show that
// another connection has begun at the same ends, or that this one goes on.
func (c *Conn) StepEnded(i Side, g *Segment, o *Outcome, ds *Doubts) {
	i &= 1
	s := &c.half[i]
	*o = Outcome{From: c.state, To: c.state}
	switch {
	case g.Flags&RST != 0:
		if d := ds.of(c); d != nil && d.rival.syn && d.rival.opener != i {
			ds.Release(c) // refused again
		}
	case g.Flags&(SYN|ACK) == 0:
	case ds.HasRival(c) && ds.of(c).rival.syn:
		c.offer(i, g, o, ds)
	case g.Flags&SYN != 0:
		if own := c.bits&wasEstablished != 0 && s.has(anchored) && g.Seq+1 == s.base; !own || g.Flags&ACK == 0 {
			c.offer(i, g, o, ds) // also if it is this connection's own SYN: a replay has the same numbers
		}
	case c.state == Reset && s.has(anchored) && s.pos(g.Seq) >= s.end && s.pos(g.Seq)-s.end <= unknownWindow:
		c.offer(i, g, o, ds)
	}
}
