package direction

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Timeouts are how long a hole may stay open.
type Timeouts struct {
	Acked    int64 // after the receiver acknowledged the missing bytes
	TwoSided int64 // if both sides are captured
	OneSided int64 // if one side is captured, so that there is no ACK to see
}

// Holey is a stream whose holes have timeouts. Its early bytes lie in an arena, the same one for all
// calls.
type Holey struct {
	stream stream.Stream
	acked  int64 // the other side has acknowledged all positions below
	since  int64 // of the last advance, or since when acked is above the stream's next position
}

// Acknowledge records the other side's ACK. pos may lie below an earlier one, which was forged then.
func (h *Holey) Acknowledge(pos, now int64) {
	if h.acked <= h.stream.Next() && pos > h.stream.Next() {
		h.since = now
	}
	h.acked = pos
}

// Insert puts a segment into the stream. Bytes that the capture cut off are given up at once.
func (h *Holey) Insert(a *stream.Arena, seg stream.Segment, out *[]stream.Item) {
	before := h.stream.Next()
	a.Insert(&h.stream, seg, out)
	if h.stream.Next() > before {
		h.since = max(h.since, seg.Now) // the age of a hole counts from the last advance
	}
	if end := seg.Pos + int64(len(seg.Bytes)); seg.Missing > 0 && h.stream.Next() == end {
		a.Skip(&h.stream, end+int64(seg.Missing), stream.Cut, out)
	}
	h.skipCut(a, out)
}

// skipCut gives up the bytes that the capture cut off the segment delivered last: no other packet has
// them.
func (h *Holey) skipCut(a *stream.Arena, out *[]stream.Item) {
	for n := len(*out); n > 0; n = len(*out) {
		it := &(*out)[n-1]
		if it.Kind != stream.Data || it.After == 0 || it.Pos+it.Len != h.stream.Next() {
			return
		}
		a.Skip(&h.stream, h.stream.Next()+it.After, stream.Cut, out)
	}
}

// Finish delivers all held bytes, with the gaps between them, up to end if that is more (-1: not known).
func (h *Holey) Finish(a *stream.Arena, end int64, out *[]stream.Item) {
	a.Finish(&h.stream, end, stream.Ended, out)
}

// FinishSome is a part of Finish, of about n items, and reports whether more is held.
func (h *Holey) FinishSome(a *stream.Arena, n int, out *[]stream.Item) (more bool) {
	return a.FinishSome(&h.stream, n, stream.Ended, out)
}

// Expire gives up the holes whose timeout has passed, up to stop, and returns when the next one passes;
// math.MaxInt64 is never. With n items it has said enough: then the next one has passed already.
func (h *Holey) Expire(a *stream.Arena, now int64, t *Timeouts, oneSided bool, stop int64, n int, out *[]stream.Item) (next int64) {
	for h.stream.HasBuffer() && h.stream.Next() < stop {
		pos, size, since, ok := a.FirstHole(&h.stream)
		if !ok {
			break
		}
		if !oneSided && h.acked == pos {
			return math.MaxInt64 // the receiver has nothing behind the hole that it acknowledged: the bytes will come
		}
		since = max(since, h.since)
		timeout := t.TwoSided
		if oneSided {
			timeout = t.OneSided
		}
		at, upTo, cause := clock.Add(since, timeout), pos+size, stream.Expired
		if h.acked > pos {
			if ackedAt := clock.Add(since, t.Acked); ackedAt < at {
				at, upTo, cause = ackedAt, min(h.acked, upTo), stream.Acknowledged
			}
		}
		if now < at || len(*out) >= n {
			return at
		}
		a.Skip(&h.stream, min(upTo, stop), cause, out)
		h.skipCut(a, out)
	}
	return math.MaxInt64
}

// Crowded reports whether all streams together hold so much that the one that holds most has to give up a
// hole: that of Largest.
func (f *Streams) Crowded() bool { return f.arena.Crowded() }

// Largest is the Owner of the direction that holds most; see stream.Arena.Largest.
func (f *Streams) Largest() (owner uint64, ok bool) { return f.arena.Largest() }

// GiveUp gives up the first hole of the direction of side for want of room.
func (f *Streams) GiveUp(p *Pair, c *tcp.Conn, side tcp.Side) []Item {
	f.items = f.items[:0]
	d := &p[side&1]
	f.arena.GiveUp(&d.stream, &f.found)
	d.skipCut(f.arena, &f.found)
	f.collect(d, side)
	if c.InDoubt() {
		f.deliverConditional(d, c, side, false)
	}
	return f.items
}

// Expire gives up the holes of a connection whose timeout has passed, and returns when the next one
// passes; math.MaxInt64 is never. It gives up no further hole once there are n items: then the next one
// has passed already. oneSided says that one side has sent no packet. So is a side whose
// packets are not captured any more.
//
// If both directions have holes, the one whose timeout passed first is the first to be given up, however late
// and how often this is called.
func (f *Streams) Expire(p *Pair, c *tcp.Conn, now int64, oneSided bool, n int) (items []Item, next int64) {
	f.items = f.items[:0]
	at := [2]int64{math.MaxInt64, math.MaxInt64}
	upTo := now
	if p[0].mayExpire() && p[1].mayExpire() {
		upTo = math.MinInt64 // only when
	}
	for side := range p {
		if p[side].mayExpire() {
			at[side] = f.expire(&p[side], c, tcp.Side(side), upTo, oneSided, n)
		}
	}
	for upTo != now && len(f.items) < n && min(at[0], at[1]) <= now {
		side := tcp.Initiator
		if at[1] < at[0] {
			side = tcp.Responder
		}
		at[side] = f.expire(&p[side], c, side, at[side], oneSided, n)
	}
	return f.items, min(at[0], at[1])
}

// mayExpire reports whether the direction may have a hole that is given up after a time.
func (d *Direction) mayExpire() bool { return d.bits&synDataHeld == 0 && d.stream.HasBuffer() }

// Retime makes the holes that were seen at one time as old as another: the packet that came then came later
// than was believed.
func (f *Streams) Retime(p *Pair, at, to int64) {
	for side := range p {
		d := &p[side]
		if d.since == at {
			d.since = to
		}
		if d.stream.HasBuffer() {
			f.arena.Retime(&d.stream, at, to)
		}
	}
}

// expire is Expire for one direction. A hole ends where bytes are held that the other side has acknowledged.
func (f *Streams) expire(d *Direction, c *tcp.Conn, side tcp.Side, now int64, oneSided bool, n int) (next int64) {
	oneSided = oneSided || !c.Visible(side^1)
	for {
		stop, holds := int64(math.MaxInt64), f.doubts.Holds(c)
		if holds {
			if at, ok := f.doubts.NextHeld(c, side, d.stream.Next()-1); ok {
				stop = at + 1
			}
		}
		before := d.stream.Next()
		if pos, ok := c.AckedTo(side); ok && !oneSided && pos+1 == before {
			d.acked = before // an ACK that came before the hole is not looked at
		}
		next = d.Holey.Expire(f.arena, now, &f.timeouts, oneSided, stop, n-len(f.items), &f.found)
		f.collect(d, side)
		if !holds {
			return next
		}
		if f.deliverConditional(d, c, side, false); d.stream.Next() == before || !d.stream.HasBuffer() {
			return next
		}
	}
}
