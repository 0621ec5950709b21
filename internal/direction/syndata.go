package direction

import (
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// The payload of a SYN (RFC 9293 section 3.4, RFC 7413). Whether it is data decides the other side: it
// may acknowledge the payload, or the SYN alone, and then the payload is sent again.

// onSYN handles a SYN, with its payload.
func (f *Streams) onSYN(d *Direction, k *Packet) {
	if k.Segment.Len > 0 && d.bits&synPassed == 0 {
		f.holdSYNData(d, k)
	}
	d.passSYN()
}

// passSYN advances the stream beyond the SYN's own position.
func (d *Direction) passSYN() {
	if d.bits&(synPassed|synDataHeld) == 0 {
		d.stream.Advance(1)
		d.bits |= synPassed
	}
}

// holdSYNData holds the payload of a SYN until the other side acknowledges it. Without room for it the
// payload is dropped: it is sent again, or it is a gap.
func (f *Streams) holdSYNData(d *Direction, k *Packet) {
	f.arena.Insert(&d.stream, stream.Segment{
		Pos: 1, Bytes: k.Payload, Missing: k.Missing, Time: k.Time, Now: k.Now, ID: k.ID, Owner: k.Owner,
	}, &f.found)
	f.clearFound() // that the SYN's own position is missing is not reported
	if d.stream.Next() == 0 {
		d.bits |= synDataHeld
		return
	}
	f.arena.Drop(&d.stream)
	d.stream = stream.Stream{}
	f.add(NoRoom, k.Side, 0).Len = int64(len(k.Payload))
}

// resolveSYNData decides on the payload of a SYN if the other side is not captured: whether it accepted
// the payload shows in the position at which this side continues.
func (f *Streams) resolveSYNData(d *Direction, k *Packet) {
	if k.Outcome.Pos > 0 {
		f.acceptSYNData(d, k.Side)
	} else {
		d.dropSYNData(f.arena)
	}
}

// acceptSYNData delivers the payload of a SYN, which the other side has accepted.
func (f *Streams) acceptSYNData(d *Direction, side tcp.Side) {
	d.bits = d.bits&^synDataHeld | synPassed
	f.insert(d, side, stream.Segment{Bytes: f.syn[:]})
}

// dropSYNData drops the payload of a SYN, which the other side has not accepted.
func (d *Direction) dropSYNData(a *stream.Arena) {
	a.Drop(&d.stream)
	d.stream = stream.Stream{}
	d.bits &^= synDataHeld
	d.passSYN()
}
