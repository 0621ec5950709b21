// Package defrag puts the fragments of IPv4 and IPv6 datagrams back together.
//
// Fragments go in, in any order; the one that completes a datagram brings the
// datagram out. It knows offsets, bytes and times: not how a header is read, not
// what a payload means, not what a flow is. An atomic fragment (RFC 6946) is none:
// it comes out at once and touches nothing.
//
//	             offset 0        8       16       24    29
//	Add  8..16          ........BBBBBBBB                        Held
//	Add 16..29, last    ........BBBBBBBBCCCCCCCCCCCCC           Held, the end is known
//	Add  8..16          the same bytes again                    Duplicate
//	Add  0..8           AAAAAAAABBBBBBBBCCCCCCCCCCCCC           Complete: 29 bytes
//
// # Who is believed
//
// Hosts differ in whose bytes win where fragments overlap, so whoever can make
// them overlap can show a host one thing and its guard another. RFC 5722 ends the
// game: a datagram with an overlap is not delivered at all. The rule is used for
// both families, as current hosts do:
//
//	there     ....BBBBBBBB....CCCC
//	          ........................DDDD   all new: stored
//	          ....XXXX                       all there (even of other bytes): ignored, the first copy stays
//	          ..XXXX                         some new, some there: the datagram is dropped
//	          ....XXXXXXXXXXXX
//
// So is a datagram that names two ends, or has bytes behind its end. The end is
// looked at first: a last fragment whose bytes are all there still says where the
// datagram ends, and may complete it.
//
// A dropped datagram leaves a tombstone: it refuses what else comes under that
// key (RFC 5722 means fragments "not yet received" too) until the time-out, which
// counts from the first fragment that came and is never prolonged. A fragment that
// is wrong in itself (too long, empty, not the last and not a multiple of 8) is
// discarded alone, as RFC 8200 section 4.5 has it, and leaves no trace. After
// completion the key is free: the next fragment with it begins another datagram.
//
// # Memory
//
// Offsets are multiples of 8, so bytes are present or absent in units of 8. Bytes
// lie at their place in pages, and a page has a bit for each unit it holds:
//
//	datagram --> page 0 --> page 3 --> page 32
//	             number, 249 bits, 1,992 bytes: 2,048 with the allocator's own word
//
// A page exists only where bytes arrived, so 8 bytes at offset 65,000 cost one page
// and not 64 KiB. What a fragment meets is a count of bits in its range: the cost
// depends on the fragment's own length (and at most 33 links to its page), not on
// how many pieces came before nor in what order; a piece of a datagram of 8,189
// costs what one of 45 does. Nothing is sorted and nothing is searched. A complete
// datagram within one page is lent from there; others are copied once, into one buffer.
//
// Everything counts against Limits.TotalBytes: pages, records, index, that buffer,
// and spares kept for reuse. If there is no room the oldest other datagram leaves
// (of those that hold bytes, if bytes are asked for): whoever means well sends all
// fragments within milliseconds, while refusing the newcomer would let a single burst
// block the table for the whole time-out. What was not needed during one time-out
// goes back to the allocator.
//
// # Order and time
//
// The result depends on what was added, never on the seed: the index is asked and
// not walked, and who leaves is decided by a list in order of arrival. Time is what
// callers say; a stamp before the newest one counts as the newest. An expired
// datagram is never used, whether it has been collected yet or not.
//
// A Table belongs to one goroutine.
package defrag

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/invariants"
)

// Table holds the datagrams that are not complete. V is kept with each from its
// fragment at offset 0 on: what the caller needs to know of the headers. Use New.
type Table[V any] struct {
	limits   Limits
	secret   secret
	index    index[V]
	age      list[V] // all datagrams and tombstones, oldest first
	held     list[V] // those that hold bytes, oldest first
	memory   memory[V]
	now      int64
	reviewed int64 // when spares were last looked at
	stats    Stats

	lent []byte       // of done, or of memory.out
	done *datagram[V] // complete and lent; in no list
	// whole is lent with a datagram that was one fragment.
	whole V
}

// New makes a table. It allocates nothing else before the first fragment. The seed should
// be unpredictable; it changes how fast keys are found and nothing else.
func New[V any](l Limits, seed uint64) *Table[V] {
	t := &Table[V]{limits: l.normal(), secret: newSecret(seed), now: math.MinInt64, reviewed: math.MinInt64}
	t.age.which, t.held.which = inAge, inHeld
	t.memory.prepare()
	return t
}

// Datagram is one that is complete.
type Datagram[V any] struct {
	// Data is the whole: what the Bytes of all its fragments were. It is lent, as First is, until the
	// next call of Add, Expire or Clear. With outcome Whole it is the caller's own Bytes.
	Data []byte
	// First is the value that came with the fragment at offset 0.
	First *V
	// Frames is the sum of the Frames of the fragments that were stored or ignored for it, and Wire of their Wire.
	Frames int
	Wire   int64
}

// expiriesPerAdd bounds what Add collects on behalf of others.
const expiriesPerAdd = 8

// Add takes a fragment. The Datagram is empty unless the outcome is Complete or Whole. v is copied if
// the fragment has offset 0 and its bytes are stored; it may be nil, for the zero value. V should
// borrow nothing: it is kept until the datagram leaves.
func (t *Table[V]) Add(f *Fragment, v *V) (Datagram[V], Outcome) {
	t.advance(f.Time, expiriesPerAdd)
	out := f.check()
	if out == Held {
		out = t.add(f, v)
	}
	t.stats.Outcomes[out]++
	switch out {
	case Complete:
		return Datagram[V]{Data: t.lent, First: &t.done.value, Frames: t.done.frames, Wire: t.done.wire}, out
	case Whole:
		var first *V
		if v != nil { // a copy, so that v may stay on the caller's stack
			t.whole, first = *v, &t.whole
		}
		return Datagram[V]{Data: f.Bytes, First: first, Frames: max(1, f.Frames), Wire: int64(f.Wire)}, out
	}
	return Datagram[V]{}, out
}

func (t *Table[V]) add(f *Fragment, v *V) Outcome {
	k := f.Key
	if k.Family == 6 {
		k.Proto = 0 // a later fragment may name another one (RFC 8200 section 4.5)
	}
	h := t.secret.hash(&k)
	d := t.index.find(h, &k)
	if d != nil && t.expired(d) {
		t.leave(d, nil)
		d = nil
	}
	if d == nil {
		if d = t.open(h, &k); d == nil {
			return NoRoom
		}
	}
	d.frames += max(1, f.Frames)
	if d.wire += int64(f.Wire); d.wire < 0 {
		d.wire = math.MaxInt64 // a frame may claim any length
	}
	if d.dead {
		return Tombstone
	}
	out := t.place(d, f, v)
	if out.fatal() {
		t.kill(d)
	}
	return out
}

// place applies the rules. What it returns may be fatal to d.
func (t *Table[V]) place(d *datagram[V], f *Fragment, v *V) Outcome {
	end := f.Offset + len(f.Bytes)
	if f.Cut {
		return Cut
	}
	if end > t.limits.DatagramBytes {
		return TooBig
	}
	if out := d.bound(end, f.More); out != Held {
		return out
	}
	result := Held
	switch there, pages := d.survey(f.Offset, f.Bytes); there {
	case 0:
		if d.pieces >= t.limits.Pieces {
			return TooManyPieces
		}
		if !t.pagesFor(pages, d) {
			return NoRoom
		}
		d.store(f.Offset, f.Bytes, &t.memory)
		if f.Offset == 0 && v != nil {
			d.value = *v
		}
	case units(len(f.Bytes)):
		result = Duplicate
		if d.differs(f.Offset, f.Bytes) {
			result = Conflict
		}
	default:
		return Overlap
	}
	if !d.complete() {
		return result
	}
	return t.finish(d)
}

// finish lends the whole of d, which leaves the table.
func (t *Table[V]) finish(d *datagram[V]) Outcome {
	if d.pages.next == nil {
		t.lent = d.pages.data[:d.end:d.end]
	} else {
		if !t.outFor(d.end, d) {
			return NoRoom
		}
		t.lent = d.join(t.memory.out[:0])
	}
	t.unlink(d)
	t.done = d
	return Complete
}

// endLoan takes back what the last call lent.
func (t *Table[V]) endLoan() {
	if t.done == nil {
		return
	}
	invariants.Trample(t.lent)
	t.lent = nil
	t.memory.putRecord(t.done)
	t.done = nil
}
