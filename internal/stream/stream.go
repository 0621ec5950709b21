// Package stream puts one direction of a byte conversation back into order.
//
// Pieces of the stream arrive early, late, twice, or never, and an attacker may
// send two different versions of the same bytes. The package says for every
// position, once and in order, either what the byte is or that it was never
// seen. It knows positions and bytes only. It does not know how a position was
// found, who the sender is, what a time means or why a caller gives up a hole: a position is an
// int64, 0 is the first byte, and time is a number handed through.
//
// # The picture
//
//	position   0         10        20        30        40
//	           |---------|---------|---------|---------|
//	           dddddddddd..........aaaabbbbbbbbbb.....cccc?????
//	                     ^ next    ^ held                  ^ known to exist
//
// Everything below next is final: it was delivered (d) or given up as a gap,
// and nothing will ever change it. Above next lie extents (a, b, c): disjoint,
// sorted, each a run of bytes owned by one segment, together with the bytes
// themselves. What is not covered by an extent is a hole. The first hole always
// begins at next; otherwise the bytes there would have been delivered. Behind
// the last extent there may be bytes (?) that a capture cut off: we know that
// they exist, and that is all.
//
// # An arriving segment
//
//	there      ..........aaaa......bbbb        next = 0
//	arriving        NNNNNNNNNNNNNNNNN
//	first      .....NNNNNaaaaNNNNNNbbbb
//	last       .....NNNNNNNNNNNNNNNNNbb
//
// Insert cuts off the bytes below next, compares the segment with the held bytes that it overlaps
// (two differing copies are a Conflict), and merges: the policy decides, byte by byte, whether the
// arriving segment or the extent's owner keeps the overlap. What the segment has won is a few ranges.
// If it begins at next, or overlaps an extent that does, nothing is stored or copied: the frame's own
// bytes and the held ones are delivered, alternating. Otherwise the ranges become extents in place of
// what was there, and their bytes are copied into the pages of the stream's buffer.
//
// # Who wins
//
// The rule (see Policy) compares the arriving segment with the original extent
// of the segment that owns the byte now, not with what is left of it. So an
// extent remembers how far its segment reached to either side. Extents are never
// coalesced: neighbours of two segments differ in time and number even where
// their policy would allow it. Extents that touch are an island, one piece of the
// stream, whose number is limited.
//
// # Memory
//
// An Arena holds the early bytes of many streams. A stream without a hole has no buffer and costs
// nothing here. One with a hole has a buffer: a record (256 bytes), blocks of extents (48 bytes
// each) and pages; bytes are appended to the last page. A new page has at least a quarter of the
// capacity of all pages before it, so there are few, and little of them is unused. No byte moves
// for it. Delivered bytes leave dead space; a page without live bytes is given back. Only where
// too much of the space is dead, or a limit is near, are the live bytes compacted into one page,
// with a quarter of it free then (an eighth at the limit): so a byte moves a bounded number of
// times on average whatever an attacker does.
//
//	blocks  [ext|ext|ext|   |   ]      sorted by position, 48 bytes each; see extentList
//	pages   [bbbbbb--|aaaacc------]    in order of arrival; -- dead, rest free
//
// Overlaps of many extents would cost a look at each. So the bytes of a block that is compared a second
// time are put behind each other, and from then on the block is compared, and passed over, as one.
//
// Capacities count, not only payload. If a buffer would exceed its limits, or all buffers together
// theirs, the stream that asks gives up its own first hole, again and again, until there is room
// or the segment is in order. Before it comes to that for all buffers together, the owner of the arena
// lets the stream give up a hole that holds most; see Crowded.
//
// # Borrowed bytes
//
// Item.Bytes belongs to the caller's frame or to the arena. It is good until the frame is reused
// or Arena.Reclaim is called, whichever comes first. Memory that delivery set free is reused only
// from Reclaim on; built with the tag invariants, Reclaim overwrites it, so that a slice kept too
// long is noticed.
//
// An Arena and its streams belong to one goroutine.
package stream

import "math"

// Stream is one direction of one conversation: a small value without pointers that can be stored in
// a table. The zero value is a stream at position 0. Its early bytes lie in an Arena; use the same
// Arena for all calls on one Stream, and release its memory with Finish or Drop. A copy must not be
// used besides the original.
type Stream struct {
	next   int64
	gapEnd int64  // where the newest gap ended, to tell late bytes from repeated ones
	gapLen uint32 // its length, saturated
	buffer uint32 // the number of its buffer in the arena; 0: none
}

// Next is the next position to deliver: everything below is final.
func (s *Stream) Next() int64 { return s.next }

// HasBuffer reports whether bytes are held, known to be missing, or kept for comparison (see
// Limits.Keep). If not, the caller may deliver a segment at Next itself, and call Advance.
// (Not if Limits.Keep is set: bytes that do not pass through Insert are not kept.)
func (s *Stream) HasBuffer() bool { return s.buffer != 0 }

// Advance tells the stream that the caller delivered n bytes at Next itself. It does nothing if the
// stream has a buffer, if n is not positive, or if Next would pass the last position.
func (s *Stream) Advance(n int64) {
	if n > 0 && s.buffer == 0 && n <= math.MaxInt64-s.next {
		s.next += n
	}
}

// gapStart is where the newest gap began.
func (s *Stream) gapStart() int64 { return s.gapEnd - int64(s.gapLen) }

// Retime makes the holes that were first seen at one time as old as another.
func (a *Arena) Retime(s *Stream, at, to int64) {
	d := a.buffer(s)
	if d == nil {
		return
	}
	if d.trailingSince == at {
		d.trailingSince = to
	}
	for i := range d.blocks {
		b := &d.blocks[i]
		for k := b.lo; k < b.hi; k++ {
			if b.mem[k].since == at {
				b.mem[k].since = to
			}
		}
	}
}

// FirstHole returns the position of the first hole, which is Next, its length, and the Time of the
// segment that revealed it: the first one behind the hole, or one whose own end was cut off. A
// hole that was split or shortened keeps its age. ok is false if there is no hole.
func (a *Arena) FirstHole(s *Stream) (pos, size, since int64, ok bool) {
	d := a.buffer(s)
	switch {
	case d == nil:
		return 0, 0, 0, false
	case d.n > 0:
		e := d.front()
		return s.next, e.pos - s.next, e.since, true
	case d.known > s.next:
		return s.next, d.known - s.next, d.trailingSince, true
	}
	return 0, 0, 0, false
}

// Skip gives up every hole below upTo: one Gap for each, followed by the held bytes behind it, up to
// the first hole at or above upTo. Of a hole that reaches beyond upTo only the part below is given
// up. Next is upTo or more afterwards.
func (a *Arena) Skip(s *Stream, upTo int64, cause GapCause, out *[]Item) {
	d := a.buffer(s)
	for s.next < upTo {
		end := upTo
		if d != nil && d.n > 0 {
			end = min(end, d.front().pos)
		}
		a.giveUp(s, d, end, cause, out)
		a.deliverUpTo(s, d, math.MaxInt64, out)
	}
	a.shrink(s, d)
}

// Finish delivers all held bytes with the gaps between them, gives up the bytes known to be missing
// behind them, up to end if that is more (-1: not known), and releases all memory of the stream.
// Next is the final length afterwards.
func (a *Arena) Finish(s *Stream, end int64, cause GapCause, out *[]Item) {
	d := a.buffer(s)
	for d != nil && d.n > 0 {
		a.giveUp(s, d, d.front().pos, cause, out)
		a.deliverUpTo(s, d, math.MaxInt64, out)
	}
	if d != nil {
		end = max(end, d.known)
	}
	if end > s.next {
		a.giveUp(s, d, end, cause, out)
	}
	a.Drop(s)
}

// SkipSome is Skip for the first hole, or a part of it, of a stream that has ended, with about n items: it reports
// whether there is more behind the hole. Then it has to be called again, with any upTo, before anything else.
func (a *Arena) SkipSome(s *Stream, upTo int64, cause GapCause, n int, out *[]Item) (more bool) {
	d := a.buffer(s)
	if d != nil && d.n > 0 {
		upTo = min(upTo, d.front().pos)
	}
	if upTo > s.next {
		a.giveUp(s, d, upTo, cause, out)
	}
	for ; d != nil && d.n > 0 && d.front().pos == s.next; n-- {
		if n <= 0 {
			more = true
			break
		}
		a.deliverUpTo(s, d, d.front().end(), out)
	}
	a.shrink(s, d)
	return more
}

// FinishSome delivers a part of what Finish would, in about n items, and reports whether more is held: then it
// has to be called again. Nothing may be inserted from the first call on.
func (a *Arena) FinishSome(s *Stream, n int, cause GapCause, out *[]Item) (more bool) {
	for end := len(*out) + n; ; {
		d := a.buffer(s)
		if d == nil || d.n == 0 {
			return false
		}
		if len(*out) >= end || a.SkipSome(s, d.front().pos, cause, end-len(*out), out) {
			return true
		}
	}
}

// Truncate drops the bytes that are held at end and above, and those known to be missing there: the
// stream ends at end.
func (a *Arena) Truncate(s *Stream, end int64) {
	d := a.buffer(s)
	if d == nil {
		return
	}
	for d.n > 0 {
		e := d.back()
		if e.end() <= end {
			break
		}
		if e.pos < end {
			kept := e.part(e.pos, end)
			kept.after = 0 // what was behind it is not missing
			d.page(e).live -= e.n - kept.n
			d.live -= int(e.n - kept.n)
			*e = kept
			break
		}
		a.dropBytes(d, e.off, e.n)
		a.popBack(&d.extentList)
	}
	d.known = min(d.known, end)
	a.shrink(s, d)
}

// Drop releases all memory of the stream and reports nothing. Next stays.
func (a *Arena) Drop(s *Stream) {
	if d := a.buffer(s); d != nil {
		a.releaseBuffer(s, d)
	}
}
