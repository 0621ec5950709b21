// Package flowtable keeps values under keys, finds them with one hash, and holds the two orders in
// which they leave: timers say when to look at a slot again, and queues which slot to evict when the
// table is full.
//
//	hash ----> index (tag, slot) ----> chunks of slots that never move
//	                                     |  key, value
//	                                     |  links --> timer wheel
//	                                     |  links --> queue: eviction order
//
// The index is sized once, from the capacity, so it never grows and nothing stalls. Slots are made
// in chunks as they are needed and are reused last in, first out; chunks that are not needed any more are
// given back, see chunk. A slot's address is good until the slot is freed.
//
// The timer wheel gives the slots whose timers are due. It does not know whether a slot was in use
// since its timer was set: the owner looks and sets the timer again, so an ordinary use of a slot
// touches no list at all.
//
// Nothing here depends on the hash except where a slot is found: the order of everything that comes
// out follows from the order of what was done before.
package flowtable

import (
	"github.com/flowscope-go/flowscope/internal/fastpath"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// MaxCapacity is the largest table: slot numbers and their marks fit 32 bits.
const MaxCapacity = 1 << 28

// ID names a slot. 0 names none. An ID is used again after Free.
type ID uint32

// Slot is one key with its value. The owner may change Value at will, Key never.
type Slot[K comparable, V any] struct {
	Key   K
	Value V

	timerLink link // in a bucket of the wheel; unused while no timer is set
	queueLink link // in its queue, or in the free list; stale while in neither
	id        ID
	queue     uint8
	timerSet  bool
	timerHash uint16 // of the time of the timer set last
}

// ID is the slot's own number.
func (s *Slot[K, V]) ID() ID { return s.id }

// link chains slots both ways. In a wheel bucket, prev of the first slot is
// the bucket's number with the top bit set.
type link struct{ next, prev ID }

// Table is a table of slots. Use New.
type Table[K comparable, V any] struct {
	index  index
	chunks chunks[K, V]
	free   ID  // the slot freed last, of a chunk that is open
	keys   int // that were inserted and not detached: those in the index, but see clearing
	used   int // slots not free: those of keys and detached ones
	wheel  wheel
	queues [NumQueues]queue

	clearing bool // the index is wiped later; see BeginClear
}

// New makes a table for at most capacity slots, 0 to MaxCapacity. Only the index
// is allocated now: 16 to 32 bytes for each slot of the capacity.
func New[K comparable, V any](capacity int) *Table[K, V] {
	t := &Table[K, V]{index: newIndex(capacity)}
	t.wheel.next, t.wheel.turns = never, never
	if fastpath.Off {
		t.wheel.slow, t.wheel.next = true, 0
	}
	return t
}

// Len is the number of keys that were inserted and not detached.
func (t *Table[K, V]) Len() int { return t.keys }

// Has reports whether a slot of that number exists, in use or not.
func (t *Table[K, V]) Has(id ID) bool { return t.chunks.has(id) }

// GivenBack is how often a chunk of slots was given back: the slots that Has denies may be others since then.
func (t *Table[K, V]) GivenBack() uint64 { return t.chunks.given }

// At gives the slot of that number, which must exist.
func (t *Table[K, V]) At(id ID) *Slot[K, V] {
	i := uint32(id) - 1
	return &t.chunks.list[i>>chunkBits].slots[i&(chunkLen-1)]
}

// Find gives the slot of a key, or nil. The hash must be the one given to
// Insert.
func (t *Table[K, V]) Find(hash uint64, key *K) *Slot[K, V] {
	tag := uint32(hash >> 32)
	words, mask := t.index.words, t.index.mask
	for i := tag & mask; ; i++ {
		w := words[i&mask]
		if w == 0 {
			return nil
		}
		if uint32(w>>32) == tag {
			if s := t.At(ID(w)); s.Key == *key {
				return s
			}
		}
	}
}

// Seek and Next give the slots that may be a key's, one after the other, to an owner that compares
// keys faster than ==; nil if there are no more.
func (t *Table[K, V]) Seek(hash uint64) *Slot[K, V] {
	// Nearly always the first word says all: this much is inlined.
	w := t.index.words[uint32(hash>>32)&t.index.mask]
	if w == 0 || uint32(w>>32) == uint32(hash>>32) {
		return t.slotOf(w)
	}
	return t.seekOn(hash)
}

// slotOf is the slot of a word of the index, nil if that is empty.
func (t *Table[K, V]) slotOf(w uint64) *Slot[K, V] {
	if w == 0 {
		return nil
	}
	return t.At(ID(w))
}

// seekOn is Seek where the first word is another's.
func (t *Table[K, V]) seekOn(hash uint64) *Slot[K, V] {
	tag := uint32(hash >> 32)
	words, mask := t.index.words, t.index.mask
	for i := tag + 1; ; i++ {
		w := words[i&mask]
		if w == 0 {
			return nil
		}
		if uint32(w>>32) == tag {
			return t.At(ID(w))
		}
	}
}

// Next goes on after s, which must come from Seek or Next with that hash.
func (t *Table[K, V]) Next(hash uint64, s *Slot[K, V]) *Slot[K, V] {
	tag := uint32(hash >> 32)
	words, mask := t.index.words, t.index.mask
	i := tag & mask
	for uint32(words[i&mask]) != uint32(s.id) {
		i++
	}
	for i++; ; i++ {
		w := words[i&mask]
		if w == 0 {
			return nil
		}
		if uint32(w>>32) == tag {
			return t.At(ID(w))
		}
	}
}

// PrefetchVictim touches the next victim of an eviction, s, so that its cache miss overlaps the
// look-up's: it reads the word of the index at which Detach will begin to search. It gives the slot
// behind s in its queue, or nil, for the owner to touch, since that is the victim after the next.
// The sum means nothing; it is there so that the compiler keeps the read.
func (t *Table[K, V]) PrefetchVictim(hash uint64, s *Slot[K, V]) (sum uint64, after *Slot[K, V]) {
	sum = t.index.words[uint32(hash>>32)&t.index.mask]
	if id := s.queueLink.next; s.queue != 0 && id != 0 {
		after = t.At(id)
	}
	return sum, after
}

// Insert makes a slot for a key that is not in the table, with a zero Value, in no queue and without
// a timer. There must be room: Len below the capacity.
func (t *Table[K, V]) Insert(hash uint64, key *K) *Slot[K, V] {
	if invariants.Enabled && 2*t.keys >= len(t.index.words) {
		panic("flowtable: the index is full")
	}
	s := t.alloc()
	s.Key = *key
	t.index.put(uint32(hash>>32), s.id)
	t.keys++
	t.used++
	return s
}

// Detach takes a slot out of the index, the timer wheel and its queue: its key can no longer be found
// and may be inserted again, unless the table is being cleared. Key, Value and ID stay until Free.
func (t *Table[K, V]) Detach(hash uint64, s *Slot[K, V]) {
	t.StopTimer(s)
	t.Leave(s)
	if !t.clearing {
		t.index.remove(uint32(hash>>32), s.id)
	}
	t.keys--
}

// BeginClear says that all slots are about to be detached, one after the other, and no key inserted.
// If there are many, Detach leaves the index alone, where each would cost a cache miss, until EndClear
// wipes all of it at once; meanwhile the keys of detached slots can still be found. BeginClear reports
// whether it is so. If not, it changes nothing.
func (t *Table[K, V]) BeginClear() bool {
	t.clearing = t.keys >= len(t.index.words)/wordsPerDetach
	return t.clearing
}

// wordsPerDetach is how many words of the index are wiped in the time that Detach takes.
const wordsPerDetach = 16

// EndClear ends what BeginClear began. Slots that were not detached after all stay; they must be in a
// queue.
func (t *Table[K, V]) EndClear() {
	if !t.clearing {
		return
	}
	t.clearing = false
	if t.keys == 0 {
		clear(t.index.words)
		return
	}
	for i := range t.index.words {
		// The words that move up come from further behind, where the loop has not been yet, or from
		// the beginning, where only those are left that stay.
		for w := t.index.words[i]; w != 0 && t.At(ID(w)).Queue() == 0; w = t.index.words[i] {
			t.index.remove(uint32(w>>32), ID(w))
		}
	}
	if invariants.Enabled && t.index.used() != t.keys {
		panic("flowtable: a slot that was not detached is lost")
	}
}

// Free frees a detached slot. Its Value is cleared, so that nothing it refers to is kept alive.
func (t *Table[K, V]) Free(s *Slot[K, V]) {
	id := s.id
	*s = Slot[K, V]{id: id}
	t.used--
	t.dealloc(s)
	if t.used == 0 && len(t.chunks.list) > keepChunks {
		// Memory of a peak is given back.
		t.chunks, t.free = chunks[K, V]{given: t.chunks.given + 1}, 0
	}
}

// All calls yield for each slot that is in a queue until it returns false. The
// order is that of the slots in memory. Slots may be detached and freed
// meanwhile.
func (t *Table[K, V]) All(yield func(*Slot[K, V]) bool) {
	for n := 0; n < len(t.chunks.list); n++ { // the chunks may be given back, see Free
		for i := 0; n < len(t.chunks.list) && i < int(t.chunks.list[n].made); i++ {
			if s := &t.chunks.list[n].slots[i]; s.Queue() != 0 && !yield(s) {
				return
			}
		}
	}
}
