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
// # Overlaps
//
// Hosts differ in which bytes they use where fragments overlap, so a sender of overlapping fragments
// can evade an observer that decides otherwise than the host. RFC 5722 forbids overlaps: a datagram
// with one is not delivered at all. The rule is used for both families, as current hosts do:
//
//	present   ....BBBBBBBB....CCCC
//	          ........................DDDD   all new: stored
//	          ....XXXX                       all present (even if other bytes): ignored, the first copy stays
//	          ..XXXX                         some new, some present: the datagram is dropped
//	          ....XXXXXXXXXXXX
//
// So is a datagram that has two ends, or bytes behind its end. The end is checked first: a last
// fragment whose bytes are all present still says where the datagram ends, and may complete it.
//
// A dropped datagram leaves a tombstone: it refuses all further fragments of that key (RFC 5722 means
// fragments "not yet received" too) until the timeout, which counts from the first fragment that
// arrived and is never prolonged. A fragment that is invalid alone (too long, empty, not the last and
// not a multiple of 8) is discarded alone, as RFC 8200 section 4.5 has it, and changes nothing.
//
// # Copies
//
// A capture may have each fragment twice. A datagram that was completed is remembered for a short while,
// with its bytes: a fragment that repeats a part of it is a duplicate, and any other fragment with its key
// begins another datagram (RFC 4963), from where on the first one is forgotten.
//
//	Add 0..8, 8..16 last    Complete, and remembered
//	Add 8..16 last          the same bytes: Duplicate
//	Add 0..8                other bytes: Held, of the next datagram
//
// # Memory
//
// Offsets are multiples of 8, so bytes are present or absent in units of 8. Bytes lie at their place
// in pages, and a page has a bit for each unit that is present:
//
//	datagram --> page 0 --> page 3 --> page 32
//	             number, 249 bits, 1,992 bytes: 2,048 with the allocator's own word
//
// A page exists only where bytes arrived, so 8 bytes at offset 65,000 cost one page and not 64 KiB.
// Whether a fragment's bytes are present is a count of bits in its range: the cost depends on the
// fragment's own length (and at most 33 links to its page), not on how many fragments came before nor
// in what order; a fragment of a datagram of 8,189 costs the same as one of 45. Nothing is sorted and
// nothing is searched. A complete datagram within one page is lent from there; others are copied once,
// into one buffer.
//
// Everything counts against Limits.TotalBytes: pages, records, index, that buffer, and pooled pages
// and records. What is remembered of complete datagrams takes a quarter of the limits at most, and is the
// first to go, the oldest of it first. Then, if there is no room, the oldest other datagram is evicted (of those that hold bytes, if
// bytes are needed): an ordinary sender sends all fragments within milliseconds, while refusing the
// new one would let a single burst block the table for the whole timeout. Memory that was not needed
// during one timeout is given back.
//
// # Order and time
//
// The result depends on what was added, never on the seed: nothing walks the index, and the eviction
// order is that of arrival. The caller gives the time; one before the newest counts as the newest. An
// expired datagram is never used, whether it has been removed yet or not.
//
// A Table belongs to one goroutine.
package defrag

import (
	"bytes"
	"math"

	"github.com/flowscope-go/flowscope/internal/invariants"
)

// Table holds the datagrams that are not complete. V is kept with each from its fragment at offset 0
// on: what the caller needs of the headers. Use New.
type Table[V any] struct {
	limits       Limits
	secret       secret
	index        index[V]
	all          list[V] // all datagrams and tombstones, oldest first
	waiting      list[V] // those that hold bytes, oldest first
	remembered   list[V] // those that were completed, oldest first; in neither of the other lists
	kept         int     // pages of remembered
	memory       memory[V]
	now          int64
	peaksNotedAt int64 // see memory.notePeaks
	stats        Stats

	lent []byte       // of done, or memory.output
	done *datagram[V] // the datagram that is lent; in no list, and remembered by the next call
	// whole is lent with a datagram that was one fragment.
	whole V
}

// New makes a table. It allocates nothing else before the first fragment. The seed should
// be unpredictable; it changes how fast keys are found and nothing else.
func New[V any](l Limits, seed uint64) *Table[V] {
	t := &Table[V]{limits: l.normal(), secret: newSecret(seed), now: math.MinInt64, peaksNotedAt: math.MinInt64}
	t.all.which, t.waiting.which, t.remembered.which = inAll, inWaiting, inAll
	t.memory.prepare()
	return t
}

// Datagram is one that is complete.
type Datagram[V any] struct {
	// Data is the Bytes of all its fragments, in order. It is lent, as First is, until the next call
	// of Add, Expire or Clear. With outcome Whole it is the caller's own Bytes.
	Data []byte
	// First is the value that came with the fragment at offset 0.
	First *V
	// Frames, Wire and IP are the sums of those of its fragments, duplicates included.
	Frames   int
	Wire, IP int64
}

// expiriesPerAdd bounds how many expired datagrams one Add removes.
const expiriesPerAdd = 8

// Add takes a fragment. The Datagram is empty unless the outcome is Complete or Whole. v is copied if
// the fragment has offset 0 and its bytes are stored; it may be nil, for the zero value. V should
// borrow nothing: it is kept until the datagram is removed.
func (t *Table[V]) Add(f *Fragment, v *V) (Datagram[V], Outcome) {
	t.advance(f.Time, expiriesPerAdd)
	out := f.check()
	if out == Held {
		out = t.add(f, v)
	}
	t.stats.Outcomes[out]++
	switch out {
	case Complete:
		return Datagram[V]{Data: t.lent, First: &t.done.value, Frames: t.done.frames, Wire: t.done.wire, IP: t.done.ip}, out
	case Whole:
		var first *V
		if v != nil { // a copy, so that v may stay on the caller's stack
			t.whole, first = *v, &t.whole
		}
		return Datagram[V]{Data: f.Bytes, First: first, Frames: max(1, f.Frames), Wire: int64(f.Wire), IP: int64(f.IP)}, out
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
	switch {
	case d == nil:
	case d.remembered:
		if !t.timedOutAfter(d.startedAt, t.limits.Remember) && d.holds(f) {
			return Duplicate
		}
		t.forget(d)
		d = nil
	case t.expired(d):
		t.remove(d, nil)
		d = nil
	}
	if d == nil {
		if d = t.beginDatagram(h, &k); d == nil {
			return NoRoom
		}
	}
	d.frames += max(1, f.Frames)
	d.ip += int64(f.IP)
	if d.wire += int64(f.Wire); d.wire < 0 {
		d.wire = math.MaxInt64 // a frame may claim any length
	}
	if d.tombstone {
		return Tombstone
	}
	out := t.addTo(d, f, v)
	if out.fatal() {
		t.drop(d)
	}
	return out
}

// beginDatagram makes a record for a new datagram, if need be in place of the oldest; nil if TotalBytes
// are not enough for a single one.
func (t *Table[V]) beginDatagram(h uint64, k *Key) *datagram[V] {
	if t.all.len+t.remembered.len >= t.limits.Datagrams && !t.forgetOldest() {
		t.remove(t.all.first, &t.stats.EvictedTable)
	}
	for t.index.full() && !t.growIndex() {
		if !t.evict() {
			return nil
		}
	}
	if t.memory.records.pooled == 0 {
		if t.makeRoom(t.memory.records.size, 0) {
			t.memory.allocRecord()
		} else if !t.evict() {
			return nil
		}
	}
	d := t.memory.getRecord()
	t.stats.Opened++
	d.key, d.hash, d.startedAt, d.number = *k, h, t.now, t.stats.Opened
	t.index.put(d)
	t.all.push(d)
	t.waiting.push(d)
	return d
}

// addTo adds a fragment to d by the rules. An outcome that is fatal says that d must be dropped.
func (t *Table[V]) addTo(d *datagram[V], f *Fragment, v *V) Outcome {
	end := f.Offset + len(f.Bytes)
	if f.Cut {
		return Cut
	}
	if end > t.limits.DatagramBytes {
		return TooBig
	}
	if out := d.checkEnd(end, f.More); out != Held {
		return out
	}
	result := Held
	switch present, pages := d.countPresent(f.Offset, f.Bytes); present {
	case 0:
		if d.pieces >= t.limits.Pieces {
			return TooManyPieces
		}
		if !t.reservePages(pages, d) {
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
	return t.lend(d)
}

// lend removes d, which is complete, from the table and lends its bytes.
func (t *Table[V]) lend(d *datagram[V]) Outcome {
	if d.pages.next == nil {
		t.lent = d.pages.data[:d.end:d.end]
		if invariants.Enabled {
			t.lent = bytes.Clone(t.lent)[:d.end:d.end] // it will be overwritten, and the page may be remembered
		}
	} else {
		if !t.reserveOutput(d.end, d) {
			return NoRoom
		}
		t.lent = d.assemble(t.memory.output[:0])
	}
	t.unlink(d)
	t.done = d
	return Complete
}

// reclaim takes back what the last call lent.
func (t *Table[V]) reclaim() {
	if t.done == nil {
		return
	}
	invariants.Trample(t.lent)
	t.lent = nil
	t.remember(t.done)
	t.done = nil
}

// Stats are counters since New; they never go down. Of the datagrams:
//
//	Opened = Outcomes[Complete] + Killed + TimedOut + EvictedTable + EvictedMemory + Cleared + Len()
type Stats struct {
	// Outcomes counts fragments, by Outcome.
	Outcomes [numOutcomes]uint64

	Opened            uint64 // datagrams begun
	Dropped           uint64 // dropped for one of their own fragments
	TimedOut          uint64 // removed incomplete after the timeout
	EvictedTable      uint64 // evicted for Limits.Datagrams
	EvictedMemory     uint64 // evicted for Limits.TotalBytes
	Cleared           uint64 // removed by Clear
	TombstonesRemoved uint64 // tombstones that were removed before their timeout
	Forgotten         uint64 // complete datagrams that were not remembered until their time was up, for want of room
}

// Stats gives the counters.
func (t *Table[V]) Stats() Stats { return t.stats }

// Opened is that counter alone.
func (t *Table[V]) Opened() uint64 { return t.stats.Opened }

// Len is the number of datagrams that wait for fragments; tombstones do not count.
func (t *Table[V]) Len() int { return t.waiting.len }

// Bytes is the memory of the table, pooled memory included: never more than Limits.TotalBytes. Memory
// that V points to is not counted.
func (t *Table[V]) Bytes() int64 { return t.memory.bytes }
