package direction

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Item is one result. Position 0 is the byte after the SYN, or the first byte seen. Kind says which
// fields are set beside Side and Pos; the others mean nothing.
type Item struct {
	Kind  Kind
	Side  tcp.Side        // that sends the direction
	Cause stream.GapCause // of a Gap
	// Shared is set in a Gap for want of room if all streams together had none.
	Shared bool
	// First is set in the first Segment of a direction.
	First bool
	// Confirmed is set in a Closed of End if the stream ends there by its FIN.
	Confirmed bool
	Flags     uint8  // of a Segment
	Urgent    uint16 // of a Segment
	Count     uint32 // of a Gap: how many there were in the direction, with this one
	Pos       int64
	Len       int64
	// Bytes are those of Data and of a Segment: good until the frame is reused or the arena reclaims.
	Bytes   []byte
	Missing int    // of a Segment: how many bytes behind these the capture does not hold
	Time    int64  // of the packet that carried the bytes, or of an ACK
	ID      uint64 // of the same packet
}

// Kind says what an Item is about.
type Kind uint8

const (
	// Data: these are the bytes of [Pos, Pos+Len).
	Data Kind = iota + 1
	// Gap: the bytes of [Pos, Pos+Len) are given up.
	Gap
	// Conflict: two copies of the bytes of [Pos, Pos+Len) differ.
	Conflict
	// Late: the bytes of [Pos, Pos+Len) arrived after they were given up.
	Late
	// OutOfOrder: a segment at Pos came early.
	OutOfOrder
	// NoRoom: the payload of a SYN, of Len bytes, was dropped for want of room.
	NoRoom
	// Urgent: the sender's urgent pointer points to Pos (RFC 9293 section 3.8.5).
	Urgent
	// Segment: payload for the caller's reassembler. There are Segments instead of Data, Gap, Conflict and
	// Late if Config.Dispatch is set.
	Segment
	// Acked: the other side has acknowledged all bytes below Pos. Only with Config.Dispatch.
	Acked
	// Closed: the stream ends at Pos.
	Closed
)

// add appends a result, and the caller fills in what belongs to its kind. It is written in place: to copy
// a struct right after its small fields were written stalls.
func (f *Streams) add(kind Kind, side tcp.Side, pos int64) *Item {
	n := len(f.items)
	if n == cap(f.items) {
		f.items = append(f.items, Item{})
	}
	f.items = f.items[:n+1]
	it := &f.items[n]
	it.Kind, it.Side, it.Pos, it.Confirmed = kind, side, pos, false
	return it
}

// collect appends what the stream of a side said.
func (f *Streams) collect(d *Direction, side tcp.Side) {
	if d.bits&synDataHeld != 0 && d.stream.Next() > 0 {
		d.bits = d.bits&^synDataHeld | synPassed // there was no room to hold it longer
	}
	for i := range f.found {
		it := &f.found[i]
		inStream := it.Kind == stream.Data || it.Kind == stream.Gap
		if it.Pos == 0 && inStream {
			it.Pos, it.Len = 1, it.Len-1 // the SYN's own position
			if it.Kind == stream.Data {
				it.Bytes = it.Bytes[1:]
			}
		}
		if it.Len == 0 {
			continue
		}
		if f.dispatch {
			if it.Kind == stream.Data { // accepted payload of a SYN
				f.addSegment(d, side, Item{
					Pos: it.Pos - 1, Bytes: it.Bytes, Missing: int(min(it.After, math.MaxInt32)),
					Time: it.Time, ID: it.ID, Flags: tcp.SYN,
				})
			}
			continue
		}
		f.addFound(d, side, it)
	}
	f.clearFound()
}

// addFound appends an item of the stream of a side, and counts it.
func (f *Streams) addFound(d *Direction, side tcp.Side, found *stream.Item) {
	kind := kinds[found.Kind&7]
	if kind == 0 {
		return
	}
	it := f.add(kind, side, found.Pos-1)
	it.Len = found.Len
	switch kind {
	case Data:
		it.Bytes, it.Time, it.ID = found.Bytes, found.Time, found.ID
	case Gap:
		d.countGap(found.Len)
		it.Cause, it.Shared, it.Count = found.Cause, found.Shared, d.gaps
	case Conflict:
		d.conflicts += min(1, 1<<16-1-d.conflicts)
	}
}

// kinds are those of the items of a stream. The others are of no interest.
var kinds = [8]Kind{stream.Data: Data, stream.Gap: Gap, stream.Conflict: Conflict, stream.Late: Late}

// addSegment appends payload for the caller's reassembler.
func (f *Streams) addSegment(d *Direction, side tcp.Side, g Item) {
	if len(g.Bytes) == 0 {
		return
	}
	g.Kind, g.Side, g.First = Segment, side, d.bits&dispatched == 0
	d.bits |= dispatched
	f.items = append(f.items, g)
}

// keepItems is the longest list that is kept for the next call.
const keepItems = 4096

// Clear lets go the results of the last call: neither frames nor the memory of a peak are kept.
func (f *Streams) Clear() {
	if cap(f.items) > keepItems {
		f.items = nil
	}
	for i := range f.items {
		f.items[i].Bytes = nil
	}
	f.items = f.items[:0]
}

// clearFound is Clear for what the arena said.
func (f *Streams) clearFound() {
	if cap(f.found) > keepItems {
		f.found = nil
	}
	for i := range f.found {
		f.found[i].Bytes = nil
	}
	f.found = f.found[:0]
}
