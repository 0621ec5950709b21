// Package stream puts one direction of a byte conversation back into order.
//
// Pieces of the stream arrive early, late, twice, or never, and an attacker may
// send two different versions of the same bytes. The package says for every
// position, once and in order, either what the byte is or that it was never
// seen. It knows positions and bytes only. It does not know how a position was
// found, who speaks, what a time means or why somebody lost patience: a
// position is an int64, 0 is the first byte, and time is a number handed through.
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
// # The walk of a segment
//
//	there      ..........aaaa......bbbb        next = 0
//	arriving        NNNNNNNNNNNNNNNNN
//	first      .....NNNNNaaaaNNNNNNbbbb
//	last       .....NNNNNNNNNNNNNNNNNbb
//
// Insert cuts off what lies below next, compares what it meets (two differing
// copies are a Conflict), and merges: the policy decides, byte by byte, whether
// the arriving segment or the extent's owner keeps the overlap. The merged list
// replaces the extents it overlapped. If it begins at next it is not stored at
// all but delivered, the frame's own bytes and the held ones alternating; nothing
// is copied. Otherwise the bytes the segment won are copied into the stream's pages.
//
// # Who wins
//
// The rule (see Policy) compares the arriving segment with the original extent
// of the segment that owns the byte now, not with what is left of it. So an
// extent remembers how far its segment reached to either side. Extents are never
// coalesced: neighbours of two segments differ in time and number even where
// their policy would allow it.
//
// # Memory
//
// An Arena holds the early bytes of many streams. A stream that waits for nothing
// costs nothing here. One that waits has a record (184 bytes), a ring of
// extents (48 bytes each) and pages to whose last one bytes are appended. Another page
// is at least a quarter of all there is, so there are few, and little of them is unused.
// Nothing moves for it. Delivered bytes leave dead space; a page without live bytes is
// given back. Only where too much of the rest is dead, or a limit is near, do the live bytes
// move, all to one page, with a quarter of it free then (an eighth at the limit): so a
// byte moves a bounded number of times on average whatever the attacker does, and a
// one-byte piece costs at most 77 bytes.
//
//	ring    [ext|ext|ext|   |   ]      sorted by position, 48 bytes each
//	pages   [bbbbbb--|aaaacc------]    in order of arrival; -- dead, rest free
//
// Capacities count, not only payload. If a side would exceed its limits, or all
// sides together theirs, the asking side gives up its own first hole, again and
// again, until there is room or the segment is in order. Nobody else pays.
//
// # Borrowed bytes
//
// Item.Bytes belongs to the caller's frame or to the arena. It is good until the
// frame is reused or Arena.Begin is called, whichever comes first. Memory that
// delivery set free is reused only from Begin on; built with the tag invariants,
// Begin tramples it, so that whoever kept a slice finds out.
//
// An Arena and its streams belong to one goroutine.
package stream

import "math"

// Stream is one direction of one conversation: a small value without pointers
// that lives inside somebody's slot. The zero value is a stream at position 0. What
// it waits with lies in an Arena; use one Arena for one Stream, and release with
// Finish or Drop. A copy must not be used besides the original.
type Stream struct {
	next   int64
	gapEnd int64  // where the newest gap ended, for telling late from repeated
	gapLen uint32 // its length, saturated
	side   uint32 // number of the record in the arena; 0: none
}

// Next is the next position to deliver: everything below is final.
func (s *Stream) Next() int64 { return s.next }

// Idle reports that nothing is held and nothing is known to be missing. A
// segment at Next may then be delivered by the caller itself, followed by Advance.
// (Not if Limits.Keep is set: bytes that never pass Insert cannot be remembered.)
func (s *Stream) Idle() bool { return s.side == 0 }

// Advance says that the caller delivered n bytes at Next itself. It is only for
// an idle stream and does nothing otherwise, nor for an n that is not positive
// or would pass the last position there is.
func (s *Stream) Advance(n int64) {
	if n > 0 && s.side == 0 && n <= math.MaxInt64-s.next {
		s.next += n
	}
}

// gapStart is where the newest gap began.
func (s *Stream) gapStart() int64 { return s.gapEnd - int64(s.gapLen) }
