package direction

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// A direction ends at its FIN, once everything before it was delivered or given up (Close), or with its
// flow (End). Stop ends it for the caller.

// onFIN tells the stream where it ends, so that a hole right before the FIN has a timeout like any other.
func (f *Streams) onFIN(d *Direction, k *Packet, side tcp.Side) {
	fin, ok := k.Conn.FINPosition(side)
	if !ok || f.dispatch || d.bits&(closed|stopped|synDataHeld) != 0 {
		return
	}
	d.passSYN()
	f.truncate(d, k.Conn, side)
	if missing := fin + 1 - d.stream.Next(); missing > 0 {
		f.arena.Insert(&d.stream, stream.Segment{
			Pos: d.stream.Next(), Missing: int(min(missing, math.MaxInt32)), Time: k.Time, Now: k.Now,
		}, &f.found)
		f.collect(d, side)
	}
}

// truncate drops what is held at the FIN and behind it: that is not part of the stream.
func (f *Streams) truncate(d *Direction, c *tcp.Conn, side tcp.Side) {
	if fin, ok := c.FINPosition(side); ok && d.stream.HasBuffer() {
		f.arena.Truncate(&d.stream, fin+1)
	}
}

// cutAt cuts off the payload at pos, and the missing bytes behind it, at end.
func cutAt(b []byte, missing int, pos, end int64) ([]byte, int) {
	room := max(end-pos, 0)
	b = b[:min(room, int64(len(b)))]
	return b, int(min(room-int64(len(b)), int64(missing)))
}

// Close closes the directions that are complete, that of first before the other: everything before the
// FIN was delivered or given up, and the FIN is confirmed. Its results are Closed, which have to be confirmed (ConfirmClosed).
func (f *Streams) Close(p *Pair, c *tcp.Conn, first tcp.Side) []Item {
	f.items = f.items[:0]
	for i := range tcp.Side(2) {
		side := (first ^ i) & 1
		d := &p[side]
		if d.Reassembler == 0 && d.complete(c, side) != 0 {
			fin, _ := c.FINPosition(side)
			f.close(d, side, fin)
		}
	}
	return f.items
}

// complete gives the bit of a side if its direction is complete and not closed yet; if not, it notes whether
// there is a FIN.
func (d *Direction) complete(c *tcp.Conn, side tcp.Side) uint8 {
	if d.bits&closed != 0 {
		return 0
	}
	d.bits &^= finPending
	fin, ok := c.FINPosition(side)
	switch {
	case !ok:
	case d.stream.Next() == fin+1 && c.FINConfirmed(side):
		return 1 << (side & 1)
	default:
		d.bits |= finPending
	}
	return 0
}

func (f *Streams) close(d *Direction, side tcp.Side, pos int64) {
	if d.stream.HasBuffer() {
		f.arena.Drop(&d.stream) // bytes beyond the FIN are not part of the stream
	}
	f.add(Closed, side, pos)
}

// ConfirmClosed says that Closed was dealt with. Until then it is reported again, so that it is not lost
// if what comes before it in the list panics.
func (d *Direction) ConfirmClosed() { d.bits |= closed }

// Settle turns the fast paths of a connection on or off. It comes last, after Segment, Expire and Close.
func (f *Streams) Settle(p *Pair) { p.updateFastPath(f.fastPaths) }

// Rest gives the caller's reassembler, at the end of a flow, what nothing contradicted. It comes before the
// reassembler is told of the end, and End after that.
func (f *Streams) Rest(p *Pair, c *tcp.Conn, side tcp.Side) []Item {
	f.items = f.items[:0]
	if d := &p[side&1]; f.dispatch && c.InDoubt() && d.bits&(closed|stopped|synDataHeld) == 0 {
		f.dispatchConfirmed(d, c, side, true)
	}
	return f.items
}

// End delivers the bytes that the direction of side still holds, with the gaps between them, and
// releases its memory: the flow is over. If report is set and the direction is not closed, Closed
// follows. If there are n items and more to deliver, it reports that instead, and has to be called again,
// with nothing else in between.
func (f *Streams) End(p *Pair, c *tcp.Conn, side tcp.Side, report bool, n int) (items []Item, more bool) {
	f.items = f.items[:0]
	d := &p[side&1]
	f.truncate(d, c, side)
	if c.InDoubt() && !f.dispatch && d.bits&(closed|stopped|synDataHeld) == 0 && f.deliverRest(d, c, side, n) {
		return f.items, true
	}
	const pending = synDataHeld | synPassed | closed | stopped
	if f.dispatch || d.bits&pending != synPassed {
		f.arena.Drop(&d.stream)
	} else if end := c.EndOf(side, f.doubts) + 1; d.stream.HasBuffer() || end > d.stream.Next() {
		if more = d.FinishSome(f.arena, n-len(f.items), &f.found); !more {
			d.Finish(f.arena, end, &f.found)
		}
		if f.collect(d, side); more {
			return f.items, true
		}
	}
	if report && d.bits&closed == 0 {
		f.close(d, side, f.length(d, c, side))
		fin, ok := c.FINPosition(side)
		// Nothing contradicted the FIN.
		f.items[len(f.items)-1].Confirmed = ok && d.Reassembler == 0 && d.stream.Next() == fin+1
	}
	return f.items, false
}

// EndsAtFIN reports whether End will say of the direction of side that it ends by its FIN.
func (d *Direction) EndsAtFIN(c *tcp.Conn, side tcp.Side) bool {
	fin, ok := c.FINPosition(side)
	return ok && d.Reassembler == 0 && (d.bits&(closed|stopped|synDataHeld) == 0 || d.stream.Next() == fin+1)
}

// length is how long the stream of an ended direction was.
func (f *Streams) length(d *Direction, c *tcp.Conn, side tcp.Side) int64 {
	switch {
	case f.dispatch:
		return 0
	case d.bits&stopped != 0:
		return max(c.EndOf(side, f.doubts), 0)
	}
	return max(d.stream.Next()-1, 0)
}

// Stop drops what the direction of side holds, and takes no more.
func (f *Streams) Stop(p *Pair, side tcp.Side) {
	d := &p[side&1]
	d.bits = d.bits&^synDataHeld | stopped
	f.arena.Drop(&d.stream)
	p.updateFastPath(f.fastPaths)
}

// Restart drops what both directions hold: their positions count anew, and nothing was delivered.
func (f *Streams) Restart(p *Pair) {
	for i := range p {
		p[i].restart(f.arena)
	}
	p.updateFastPath(f.fastPaths)
}
