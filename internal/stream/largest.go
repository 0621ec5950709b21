package stream

import "math/bits"

// When the memory of all streams together is nearly used up, the stream that holds most has to give up a
// hole, not the one that needs a few bytes. An arena knows streams by their buffers only, so its owner
// asks, before each packet: Crowded, Largest, and then GiveUp for the stream with that Owner. What is
// left free for that moment is as much as one segment ever needs.
//
//	0            held                     crowdedAt      TotalBytes
//	|------------------------------------|-- one page --|-- for compaction --|
//
// Buffers are ranked by powers of two of their memory, so the largest is known to within a factor of
// two; among equals it is the one that has been of this rank for longest.
type rank struct{ first, last uint32 }

// ranked is the place of a buffer in its rank.
type ranked struct {
	owner      uint64
	number     uint32 // of the buffer
	prev, next uint32 // 0: none
	size       uint8  // the rank; 0: none
}

// rank puts a buffer into the rank of its memory.
func (a *Arena) rank(d *buffer) {
	size := uint8(bits.Len32(uint32(d.cost())))
	if d.n == 0 {
		size = 0 // there is nothing to give up
	}
	if size == d.size {
		return
	}
	a.unrank(d)
	if size == 0 {
		return
	}
	r := &a.ranks[size&31]
	d.size, d.prev, d.next = size, r.last, 0
	if r.last == 0 {
		r.first = d.number
	} else {
		a.buffers[r.last-1].next = d.number
	}
	r.last = d.number
}

// unrank takes a buffer out of its rank.
func (a *Arena) unrank(d *buffer) {
	if d.size == 0 {
		return
	}
	r := &a.ranks[d.size&31]
	if d.prev == 0 {
		r.first = d.next
	} else {
		a.buffers[d.prev-1].next = d.next
	}
	if d.next == 0 {
		r.last = d.prev
	} else {
		a.buffers[d.next-1].prev = d.prev
	}
	d.size, d.prev, d.next = 0, 0, 0
}

// Crowded reports whether less is left of TotalBytes than one segment may need.
func (a *Arena) Crowded() bool { return a.held > a.crowdedAt }

// Largest is the Owner of the stream that holds most, to within a factor of two; ok is false if none
// holds anything.
func (a *Arena) Largest() (owner uint64, ok bool) {
	for i := len(a.ranks) - 1; i > 0; i-- {
		if first := a.ranks[i].first; first != 0 {
			return a.buffers[first-1].owner, true
		}
	}
	return 0, false
}

// GiveUp gives up the first hole of a stream because all streams together hold too much.
func (a *Arena) GiveUp(s *Stream, out *[]Item) {
	d := a.buffer(s)
	if d == nil || d.n == 0 {
		return
	}
	a.totalFull = true
	a.Skip(s, d.front().pos, Budget, out)
}

// crowdedAt is how much may be held before the largest stream has to give up a hole. A page is a quarter
// of what its stream holds at most, see plan. Tables are a small part of what is held.
func (l *Limits) crowdedAt() int64 {
	page := min(int64(l.SideBytes)/4, l.TotalBytes/32)
	room := l.TotalBytes - l.reserve() - page
	return room/33*32 + room%33*32/33 // that is 32/33 of it, and no overflow
}
