package direction

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Payload that no receiver need take, such as that beyond the edge of its window or a probe of a closed
// one (RFC 9293 section 3.8.6.1), is conditional: tcp.Doubts hold it beside the stream until the other
// side has acknowledged it. Bytes of the stream's own displace it.

// deliverConfirmed delivers the conditional bytes of both sides that have been acknowledged.
func (f *Streams) deliverConfirmed(p *Pair, c *tcp.Conn) {
	for side := range tcp.Side(2) {
		f.deliverConditional(&p[side], c, side, false)
	}
}

// deliverConditional delivers the conditional bytes that continue the stream of side, as far as they were
// acknowledged; all that nothing contradicted, if final is set.
func (f *Streams) deliverConditional(d *Direction, c *tcp.Conn, side tcp.Side, final bool) {
	if d.bits&(closed|stopped) != 0 {
		f.doubts.Delivered(c, side, math.MaxInt64)
		return
	}
	if d.bits&synDataHeld != 0 {
		return
	}
	if f.dispatch {
		f.dispatchConfirmed(d, c, side, final)
		return
	}
	f.truncate(d, c, side)
	for {
		pos := max(d.stream.Next()-1, 0)
		b, missing, h, ok := f.doubts.Confirmed(c, side, pos, final)
		if !ok {
			f.doubts.Delivered(c, side, pos)
			return
		}
		d.passSYN()
		f.insert(d, side, stream.Segment{Pos: pos + 1, Bytes: b, Missing: missing, Time: h.Stamp, Now: h.Time, ID: h.ID})
		if d.stream.Next()-1 <= pos {
			return
		}
	}
}

// dispatchConfirmed gives the conditional bytes to the caller's reassembler.
func (f *Streams) dispatchConfirmed(d *Direction, c *tcp.Conn, side tcp.Side, final bool) {
	for {
		h, pos, ok := f.doubts.TakeConfirmed(c, side, final)
		if !ok {
			return
		}
		f.addSegment(d, side, Item{Pos: pos, Bytes: h.Payload, Missing: h.Missing, Time: h.Stamp, ID: h.ID, Flags: tcp.ACK})
	}
}

// deliverRest delivers, at the end of a flow, what nothing contradicted: the stream's own bytes and the
// conditional ones, with the gaps between them. It reports whether there is more once there are n items.
func (f *Streams) deliverRest(d *Direction, c *tcp.Conn, side tcp.Side, n int) (more bool) {
	for to := d.stream.Next(); ; { // at first what an earlier call has left
		more = f.arena.SkipSome(&d.stream, to, stream.Ended, n-len(f.items), &f.found)
		f.collect(d, side)
		if more || len(f.items) >= n {
			return true
		}
		f.deliverConditional(d, c, side, true)
		to = math.MaxInt64
		if pos, size, _, ok := f.arena.FirstHole(&d.stream); ok {
			to = pos + size
		}
		if at, ok := f.doubts.NextHeld(c, side, max(d.stream.Next()-1, 0)); ok {
			to = min(to, at+1)
		}
		if to == math.MaxInt64 || to <= d.stream.Next() {
			return false
		}
		d.passSYN() // the gap counts from the first byte
	}
}
