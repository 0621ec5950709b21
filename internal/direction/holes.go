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
	stream     stream.Stream
	acked      int64 // the other side has acknowledged all positions below
	ackedSince int64 // since when acked is above the stream's next position
}

// Acknowledge records the other side's ACK. pos may lie below an earlier one, which was forged then.
func (h *Holey) Acknowledge(pos, now int64) {
	if h.acked <= h.stream.Next() && pos > h.stream.Next() {
		h.ackedSince = now
	}
	h.acked = pos
}

// Insert puts a segment into the stream. Bytes that the capture cut off are given up at once.
func (h *Holey) Insert(a *stream.Arena, seg stream.Segment, out *[]stream.Item) {
	a.Insert(&h.stream, seg, out)
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

func (h *Holey) hasHole(a *stream.Arena) bool {
	_, _, _, hole := a.FirstHole(&h.stream)
	return hole
}

// Expire gives up the holes whose timeout has passed, and returns when the next one passes;
// math.MaxInt64 is never.
func (h *Holey) Expire(a *stream.Arena, now int64, t *Timeouts, oneSided bool, out *[]stream.Item) (next int64) {
	for h.stream.HasBuffer() {
		pos, size, since, ok := a.FirstHole(&h.stream)
		if !ok {
			break
		}
		timeout := t.TwoSided
		if oneSided {
			timeout = t.OneSided
		}
		at, upTo, cause := clock.Add(since, timeout), pos+size, stream.Expired
		if h.acked > pos {
			if ackedAt := clock.Add(max(h.ackedSince, since), t.Acked); ackedAt < at {
				at, upTo, cause = ackedAt, min(h.acked, upTo), stream.Acknowledged
			}
		}
		if now < at {
			return at
		}
		a.Skip(&h.stream, upTo, cause, out)
		h.skipCut(a, out)
	}
	return math.MaxInt64
}

// Expire gives up the holes of a connection whose timeout has passed, and returns when the next one
// passes; math.MaxInt64 is never. oneSided says that one side has sent no packet.
func (f *Streams) Expire(p *Pair, now int64, oneSided bool) (items []Item, next int64) {
	f.items, next = f.items[:0], math.MaxInt64
	for side := range p {
		d := &p[side]
		if d.bits&synDataHeld != 0 || !d.stream.HasBuffer() {
			continue
		}
		next = min(next, d.Holey.Expire(f.arena, now, &f.timeouts, oneSided, &f.found))
		f.collect(d, tcp.Side(side))
	}
	return f.items, next
}
