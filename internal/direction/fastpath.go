package direction

import (
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Advance is the fast path: if it is on and the n bytes at pos are the next ones, the stream advances
// and Advance reports true. It is for a segment with an ACK and no other flag that matters.
func (d *Direction) Advance(pos int64, n int) bool {
	if d.bits&fastPathOn == 0 || n != 0 && pos+1 != d.stream.Next() {
		return false
	}
	d.stream.Advance(int64(n))
	return true
}

// CheckFastPath panics if the fast path of a side is on and must not be.
func (p *Pair) CheckFastPath(side tcp.Side) {
	if d := &p[side&1]; d.bits&fastPathOn != 0 && !d.fastPathOK(&p[side&1^1]) {
		panic("direction: the fast path is on and must not be")
	}
}

// updateFastPath marks each direction for which an in-order segment needs no other work: it has no
// buffer, and no SYN data and no FIN is pending. Everything that may change the mark runs on
// the slow path, which ends here: so the fast path reads a few bytes of its own direction only.
func (p *Pair) updateFastPath(enabled bool) {
	for i := range p {
		d := &p[i]
		now := d.bits &^ fastPathOn
		if enabled && d.fastPathOK(&p[1-i]) {
			now |= fastPathOn
		}
		d.bits = now
	}
}

func (d *Direction) fastPathOK(other *Direction) bool {
	return d.bits&^fastPathOn == synPassed && !d.stream.HasBuffer() && other.streamIgnoresACKs()
}

// IgnoresInOrder reports whether an in-order segment of side, with an ACK, changes nothing: its
// direction is stopped, and the other one does not care for the ACK.
func (p *Pair) IgnoresInOrder(side tcp.Side) bool {
	d, other := &p[side&1], &p[side&1^1]
	return d.bits&stopped != 0 && other.Reassembler == 0 && other.streamIgnoresACKs()
}

// dataFlags are the flags by which a segment is more than payload with an ACK, unless ACK is the only
// one of them that is set.
const dataFlags = tcp.SYN | tcp.FIN | tcp.URG | tcp.ACK

// IsPlain reports whether a segment is in order and has an ACK and no other flag that matters, so
// that it may take the fast path.
func IsPlain(g *tcp.Segment, o *tcp.Outcome) bool {
	return g.Flags&dataFlags == tcp.ACK && o.Placed && o.Notes&^tcp.ZeroWindow == 0
}

// Shortcut does what Segment would do with a segment that needs neither timers nor Close, and reports
// whether this is one: it continues behind a hole, or it is of a stopped direction, or it is the first
// SYN. timer is when the connection's timer runs; 0 is never: the hole waits for as long as the receiver's
// ACK stands before it. The only result there may be is early: an OutOfOrder at the segment's position.
func (f *Streams) Shortcut(p *Pair, k *Packet, timer int64) (early, ok bool) {
	d, other, g, o := &p[k.Side&1], &p[k.Side&1^1], k.Segment, k.Outcome
	if g.Flags&dataFlags == tcp.ACK && o.Placed && !o.Hold && !o.Confirms && o.Notes&^(tcp.Hole|tcp.ZeroWindow) == 0 {
		early := stream.Segment{Pos: o.Pos + 1, Bytes: k.Payload, Missing: k.Missing, Time: k.Time, Now: k.Now, ID: k.ID}
		if f.BehindHole(p, k.Conn, k.Side, &early, timer) {
			return g.Len != 0, true
		}
	}
	if d.bits&stopped != 0 && g.Flags&dataFlags == tcp.ACK && other.ignoresACK(o) {
		return false, true
	}
	if o.From == tcp.Active && o.To == tcp.SynSent && g.Len == 0 {
		d.passSYN() // the first segment of the connection, so nothing is held
		p.updateFastPath(f.fastPaths)
		return false, true
	}
	return false, false
}

// BehindHole is the fast path while a hole is open: for the bytes that continue behind it, at a position in the
// stream, and for the repeated ACKs of the receiver. It does what Segment and Expire would do with a segment of side
// that has an ACK and no other flag that matters, and reports whether this is one; it was early if it has bytes. timer
// is when the connection's timer runs: if the hole has one, that is set already, and stays.
func (f *Streams) BehindHole(p *Pair, c *tcp.Conn, side tcp.Side, early *stream.Segment, timer int64) bool {
	d, other := &p[side&1], &p[side&1^1]
	if !f.fastPaths || other.bits&(synDataHeld|finPending) != 0 || c.InDoubt() && c.Disturbed() && !f.onlyHolds(p, c) {
		return false
	}
	if timer == 0 {
		if !d.InUse() && !other.InUse() || !d.waits() || !other.waits() || !c.Visible(side^1) {
			return false
		}
	} else if early.Now >= timer || d.stream.HasBuffer() && d.waits() && !c.Visible(side^1) {
		return false // the timer may be another one's, and the hole needs one from now on
	}
	if !other.streamIgnoresACKs() {
		if pos, _ := c.AckedTo(side ^ 1); pos+1 != other.acked {
			return false
		}
	}
	return len(early.Bytes)+early.Missing == 0 || f.arena.Append(&d.stream, early)
}

// waits reports whether the first hole of the direction, if it has one, needs no timer: the receiver's ACK stands
// before it.
func (d *Direction) waits() bool { return !d.stream.HasBuffer() || d.acked == d.stream.Next() }

// onlyHolds reports whether nothing about the connection is in doubt but segments that are held, and these have to
// wait: the receiver has acknowledged none of their bytes that come next in a stream, and no stream has passed one.
func (f *Streams) onlyHolds(p *Pair, c *tcp.Conn) bool {
	if c.AnyFIN() || !f.doubts.OnlyHolds(c) {
		return false
	}
	for side := range p {
		d := &p[side]
		if d.bits&(closed|stopped|synDataHeld) != 0 || !f.doubts.Waits(c, tcp.Side(side), max(d.stream.Next()-1, 0)) {
			return false
		}
	}
	return true
}
