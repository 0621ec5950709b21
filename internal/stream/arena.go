package stream

import "github.com/flowscope-go/flowscope/internal/invariants"

// Arena holds the early bytes of many streams under one budget. What is here:
//
//	held   records, rings and pages of streams that wait
//	lent   pages that were given back while Items may still refer to them
//	idle   memory at rest, for the next who asks, so that lossy paths of a few streams
//	       allocate nothing in the long run: as much as four sides may have or a half
//	       of held, whichever is more, but an eighth of the budget at most; when held
//	       falls, up to twice that
//	desk   tables and working space
type Arena struct {
	limits  Limits
	stats   Stats
	held    int64
	lent    int64
	idle    int64
	period  uint64 // counts calls of Begin
	sides   []*side
	vacant  []uint32 // numbers without a record
	spare   []*side  // records without a stream
	rings   pool[extent]
	lists   pool[page]
	buffers pool[byte]
	waiting [][]byte // the lent ones
	work    merger
	crowded bool // it was TotalBytes that refused room last, not the side's own limits
	leaving bool // see Rest
	none    side // what a stream without a record has; never written
}

// NewArena makes an empty arena. It takes memory only for bytes that arrived.
func NewArena(l Limits) *Arena {
	// Period 0 is what a buffer has that was never lent.
	return &Arena{limits: l.normal(), period: 1}
}

// Limits gives the limits in force, defaults filled in.
func (a *Arena) Limits() Limits { return a.limits }

// keepWork is the largest list, in pieces, that is kept from call to call.
const keepWork = 512

// Begin ends the life of the arena's bytes in all Items so far. Call it once
// before each packet or sweep.
func (a *Arena) Begin() {
	a.period++
	if a.idle|int64(len(a.waiting)) != 0 || cap(a.work.list) > keepWork {
		a.takeBack()
	}
}

// takeBack is Begin for an arena that was in use.
func (a *Arena) takeBack() {
	for i, buf := range a.waiting {
		a.lent -= int64(len(buf))
		a.waiting[i] = nil
		a.rest(buf)
	}
	a.waiting = a.waiting[:0]
	// A peak of one call should not stay for ever.
	if cap(a.waiting) > 1024 {
		a.waiting = nil
	}
	if cap(a.work.list) > keepWork {
		a.work.list = nil
	}
	if a.idle > 2*a.idleLimit() || a.leaving {
		// Not sooner: what is held goes up and down from packet to packet, and
		// what is let go too early is made again.
		a.release()
	}
	a.leaving = false
}

// Rest lets the memory at rest go, and with the next Begin what is lent: for an owner
// who will not need it for a while.
func (a *Arena) Rest() {
	a.release()
	a.leaving = len(a.waiting) > 0 // or the memory of what comes next would go
}

// TotalBytes is everything that the arena occupies, in bytes of capacity.
func (a *Arena) TotalBytes() int64 { return a.held + a.lent + a.idle + a.desk() }

// HeldBytes is the part of TotalBytes that streams occupy, in bytes of capacity: 0
// if none of them waits.
func (a *Arena) HeldBytes() int64 { return a.held }

// Held tells what s occupies in bytes of capacity, and how many pieces it holds.
func (a *Arena) Held(s *Stream) (bytes, pieces int) {
	d := a.side(s)
	if d == nil {
		return 0, 0
	}
	return d.cost() + len(d.kept), d.n
}

func (a *Arena) desk() int64 {
	return 8*int64(cap(a.sides)+cap(a.spare)) + 4*int64(cap(a.vacant)) +
		24*int64(cap(a.waiting)) + extentBytes*int64(cap(a.work.list))
}

func (a *Arena) idleLimit() int64 {
	return min(max(4*int64(a.limits.SideBytes), a.held/2), a.limits.TotalBytes/8)
}

// affords reports whether the budget allows to hold delta bytes more, of which
// the memory takes fresh bytes until the old is given back. Memory at rest goes first.
func (a *Arena) affords(delta, fresh int) bool {
	if a.fits(delta, fresh) {
		return true
	}
	if a.idle == 0 {
		return false
	}
	a.release()
	return a.fits(delta, fresh)
}

// release lets the memory at rest go.
func (a *Arena) release() {
	a.rings.clear()
	a.lists.clear()
	a.buffers.clear()
	a.spare = nil
	a.idle = 0
}

func (a *Arena) fits(delta, fresh int) bool {
	now := a.held + a.idle + a.desk()
	return now+int64(delta) <= a.limits.TotalBytes-a.limits.reserve() &&
		now+a.lent+int64(fresh) <= a.limits.TotalBytes
}

func (a *Arena) takeRing(size int) []extent {
	ring, rested := a.rings.get(size)
	if rested {
		a.idle -= int64(size) * extentBytes
	}
	a.held += int64(size) * extentBytes
	return ring
}

func (a *Arena) giveRing(ring []extent) {
	size := int64(len(ring)) * extentBytes
	a.held -= size
	if size > 0 && a.idle+size <= a.idleLimit() {
		a.idle += size
		a.rings.put(ring)
	}
}

func (a *Arena) takeList(capacity int) []page {
	list, rested := a.lists.get(capacity)
	if rested {
		a.idle -= int64(listBytes(capacity))
	}
	a.held += int64(listBytes(capacity))
	return list
}

// giveList takes back d's list of pages, unless it is the record's own.
func (a *Arena) giveList(d *side) {
	size := int64(d.listBytes())
	a.held -= size
	clear(d.list)
	if size > 0 && a.idle+size <= a.idleLimit() {
		a.idle += size
		a.lists.put(d.list[:cap(d.list)])
	}
	d.list, d.used = nil, 0
}

func (a *Arena) takeBuffer(size int) []byte {
	buf, rested := a.buffers.get(size)
	if rested {
		a.idle -= int64(size)
	}
	a.held += int64(size)
	return buf
}

// giveBuffer takes back a buffer: at once, or from Begin on if Items of the period
// in which it was last lent still refer to it.
func (a *Arena) giveBuffer(buf []byte, lent uint64) {
	a.held -= int64(len(buf))
	if len(buf) > 0 && lent == a.period {
		a.lent += int64(len(buf))
		a.waiting = append(a.waiting, buf)
		return
	}
	a.rest(buf)
}

// rest lays a buffer down for the next who asks, or lets it go.
func (a *Arena) rest(buf []byte) {
	invariants.Trample(buf)
	if len(buf) > 0 && a.idle+int64(len(buf)) <= a.idleLimit() {
		a.idle += int64(len(buf))
		a.buffers.put(buf)
	}
}
