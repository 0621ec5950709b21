package flowtable

import (
	"math"
	"math/bits"
)

// wheel is a hierarchical timer wheel. It is exact to the nanosecond and yet moves a slot only a few
// times: a time is read as eight digits of eight bits, and a slot waits in the bucket of the highest
// digit in which the time of its timer differs from the wheel's own.
//
//	now     00 00 01 | 5A | 07 3C 10 22
//	timer   00 00 01 | 63 | .. .. .. ..     level 4, bucket 63
//	timer   00 00 01 | 5A | 09 .. .. ..     level 3, bucket 09
//
// Every bucket of a lower level comes before every bucket of a higher one. When the wheel reaches a
// bucket, its slots become current and Due gives them out; those whose time is still ahead get a new
// timer and land at least one level lower. A timeout of minutes takes five looks, however many slots
// there are and however far apart the calls. (Digits of ten bits saved one of them and cost as much in
// caches; of twelve, twice as much.)
type wheel struct {
	now   uint64                        // see ordered; no bucket in use begins before it
	next  uint64                        // no bucket in use begins before this either; 0 while there may be current slots
	slow  bool                          // fast paths are off: next stays 0, so that Pending is always true
	turns uint64                        // if slow: what next would be without
	used  [levels * buckets / 64]uint64 // a bit for each bucket that has slots
	words uint32                        // a bit for each word of used that is not 0
	looks uint64                        // slots that Due gave
	heads [levels*buckets + 1]ID        // the last one holds the current slots
	tails [levels*buckets + 1]ID        // of each bucket, so that two are joined at once; see rewind
}

const (
	digit   = 8
	buckets = 1 << digit
	levels  = 64 / digit
	current = levels * buckets
	inWheel = 1 << 31 // marks a bucket number in a link, where a bucket begins or ends
	never   = math.MaxUint64
)

const _ = uint(32 - levels*buckets/64) // wheel.words has a bit for each

// ordered maps times to unsigned numbers of the same order.
func ordered(t int64) uint64 { return uint64(t) ^ 1<<63 }

// SetTimer sets the slot's timer: it comes out of Due at time at, or at the next call if that has
// passed. A timer that was set is replaced.
func (t *Table[K, V]) SetTimer(s *Slot[K, V], at int64) {
	t.StopTimer(s)
	w := &t.wheel
	when := ordered(at)
	b, start := uint32(current), uint64(0)
	if when >= w.now {
		level := levelOf(when ^ w.now)
		d := uint32(when>>(level*digit)) & (buckets - 1)
		b, start = uint32(level)*buckets+d, when>>(level*digit)<<(level*digit)
		w.mark(b)
	}
	w.wake(start)
	s.timerLink = link{next: w.heads[b], prev: ID(b | inWheel)}
	if head := w.heads[b]; head != 0 {
		t.At(head).timerLink.prev = s.id
	} else {
		s.timerLink.next, w.tails[b] = ID(b|inWheel), s.id
	}
	w.heads[b] = s.id
	s.timerSet, s.timerHash = true, timerHash(at)
}

// levelOf is the highest digit in which two times differ, given their XOR.
func levelOf(difference uint64) int { return (bits.Len64(difference|1) - 1) / digit }

// StopTimer takes the slot out of the wheel, if it is in it.
func (t *Table[K, V]) StopTimer(s *Slot[K, V]) {
	if !s.timerSet {
		return
	}
	s.timerSet = false
	next, prev := s.timerLink.next, s.timerLink.prev
	last, first := next&inWheel != 0, prev&inWheel != 0
	if !last {
		t.At(next).timerLink.prev = prev
	}
	if !first {
		t.At(prev).timerLink.next = next
	}
	w := &t.wheel
	switch {
	case first && last:
		b := uint32(prev &^ inWheel)
		if w.heads[b], w.tails[b] = 0, 0; b != current {
			w.unmark(b)
		}
	case first:
		w.heads[prev&^inWheel] = next
	case last:
		w.tails[next&^inWheel] = prev
	}
}

func (w *wheel) mark(b uint32) {
	w.used[b/64] |= 1 << (b % 64)
	w.words |= 1 << (b / 64)
}

func (w *wheel) unmark(b uint32) {
	if w.used[b/64] &^= 1 << (b % 64); w.used[b/64] == 0 {
		w.words &^= 1 << (b / 64)
	}
}

// Pending reports whether Due(now) may give a slot. It costs one comparison. It is the fast path of a
// call of Due on every packet: with fast paths off it is always true, and Due looks into the buckets.
func (t *Table[K, V]) Pending(now int64) bool { return ordered(now) >= t.wheel.next }

// Wake makes Pending true from that time on, until Due finds no slot.
func (t *Table[K, V]) Wake(at int64) { t.wheel.wake(ordered(at)) }

func (w *wheel) wake(at uint64) { w.next, w.turns = min(w.next, at), min(w.turns, at) }

// Due takes a slot out of the wheel whose bucket begins by now, or gives nil when there is none left.
// The slot's time may still be ahead: the caller then sets its timer again. A timer set to a time that
// has passed brings the slot straight back.
//
// now may be earlier than in the last call. That costs a walk over the buckets, and not over the slots.
func (t *Table[K, V]) Due(now int64) *Slot[K, V] {
	w := &t.wheel
	to := ordered(now)
	for w.heads[current] == 0 {
		if to < w.next {
			return nil
		}
		b, start := w.earliest()
		if start > to || b == current {
			// No slot lies between, so the wheel turns on without giving one. In a slow wheel too it
			// turns only where a fast one is asked: the buckets, and with them the times at which
			// slots are looked at, are the same.
			if !w.slow || to >= w.turns {
				w.now, w.turns = max(w.now, to), start
			}
			if w.next = start; w.slow {
				w.next = 0
			}
			return nil
		}
		w.next, w.turns, w.now = 0, 0, start
		t.makeCurrent(b)
	}
	if to < w.now {
		t.rewind(to)
	}
	s := t.At(w.heads[current])
	t.StopTimer(s)
	w.looks++
	return s
}

// rewind takes the wheel back to an earlier time. Seen from there, all slots on a level below the
// highest digit that differs are one bucket of that digit's level; the rest stays where it is.
//
//	now     5A | 07 | 3C         now     5A | 02 | 00
//	timer   5A | 07 | 40    ->   timer   5A | 07 | ..
//	timer   5A | 09 | ..         timer   5A | 09 | ..
//
// Without it, Due would give a slot with a timer between the two times for ever: it is not due yet,
// but the wheel's own time is later.
func (t *Table[K, V]) rewind(to uint64) {
	w := &t.wheel
	level := levelOf(to ^ w.now)
	d := uint32(w.now>>(level*digit)) & (buckets - 1)
	into := uint32(level)*buckets + d
	for i := range level * buckets / 64 {
		for w.used[i] != 0 {
			b := uint32(i*64 + bits.TrailingZeros64(w.used[i]))
			t.merge(b, into)
			w.unmark(b)
		}
	}
	if w.heads[into] != 0 {
		w.mark(into)
	}
	w.now = to
}

// merge puts the slots of one bucket, of which there are some, before those of another. It costs the same
// however many there are.
func (t *Table[K, V]) merge(from, into uint32) {
	w := &t.wheel
	first, last := t.At(w.heads[from]), t.At(w.tails[from])
	w.heads[from], w.tails[from] = 0, 0
	if head := w.heads[into]; head != 0 {
		last.timerLink.next = head
		t.At(head).timerLink.prev = last.id
	} else {
		last.timerLink.next, w.tails[into] = ID(into|inWheel), last.id
	}
	w.heads[into] = first.id
	first.timerLink.prev = ID(into | inWheel)
}

// makeCurrent moves all slots of bucket b to the current ones, of which there are none.
func (t *Table[K, V]) makeCurrent(b uint32) {
	t.merge(b, current)
	t.wheel.unmark(b)
}

// Looks is how many slots Due has given so far.
func (t *Table[K, V]) Looks() uint64 { return t.wheel.looks }

// TimerSet reports whether the slot is in the wheel.
func (s *Slot[K, V]) TimerSet() bool { return s.timerSet }

// TimerWas reports whether the timer set last was for that time, also after Due gave the slot: if not,
// the slot was used since. Only a hash of 16 bits is kept, so once in 65,536 cases it mistakes another
// time for that one.
func (s *Slot[K, V]) TimerWas(at int64) bool { return s.timerHash == timerHash(at) }

func timerHash(at int64) uint16 { return uint16(at ^ at>>16 ^ at>>32 ^ at>>48) }

// earliest finds the first bucket in use and the time at which it begins. If there is none, it gives
// the bucket of current slots, which has no time.
func (w *wheel) earliest() (bucket uint32, start uint64) {
	if w.words == 0 {
		return current, never
	}
	i := bits.TrailingZeros32(w.words)
	b := i*64 + bits.TrailingZeros64(w.used[i])
	shift := b / buckets * digit
	above := w.now >> shift &^ (buckets - 1)
	return uint32(b), (above | uint64(b%buckets)) << shift
}
