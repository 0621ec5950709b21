package flowtable

// Slots lie in chunks. A chunk of which all slots are free can be given back, also while others are in use:
//
//	chunk     0 |##.#####|  full, or nearly
//	          1 |.#..#...|  open: new keys go here
//	          2 |...#....|  closed: its slots are not used again until all others are
//	          3  -          given back
//
// A table that has far more slots than it uses closes the chunks that are half empty, one at a time. As
// their keys leave they become empty, and are given back. A key that stays keeps its chunk, and no other.

// A chunk is large enough that rounding it up to whole pages costs at most 8
// bytes a slot, and small enough that making one goes unnoticed.
const (
	chunkBits = 10
	chunkLen  = 1 << chunkBits
)

// keepChunks is how many chunks more than it needs a table keeps for its next use.
const keepChunks = 8

// closeLooks is how many chunks Free looks at for one to close.
const closeLooks = 4

// chunk is chunkLen slots, of which the first made exist.
type chunk[K comparable, V any] struct {
	slots      *[chunkLen]Slot[K, V] // nil if they were given back
	next, prev uint32                // in the list of closed chunks, or of those that were given back; number + 1, 0 for none
	made       uint16
	used       uint16
	closed     bool
}

// chunks are the chunks of a table. A chunk's number is one more than its place, as that of a slot.
type chunks[K comparable, V any] struct {
	list   []chunk[K, V]
	fresh  uint32 // the one made last: no other has slots that do not exist yet
	shut   uint32 // the first closed one
	gone   uint32 // the first one that was given back
	given  uint64 // see GivenBack
	open   int    // chunks that are neither closed nor given back
	cursor int    // the place considered last for closing
}

// freeSlot is in the place of a free slot's queue.
const freeSlot = 0xff

func numberOf(id ID) uint32 { return (uint32(id)-1)>>chunkBits + 1 }

func (c *chunks[K, V]) at(n uint32) *chunk[K, V] { return &c.list[n-1] }

// has reports whether a slot of that number exists.
func (c *chunks[K, V]) has(id ID) bool {
	return id != 0 && int(numberOf(id)) <= len(c.list) && (uint32(id)-1)&(chunkLen-1) < uint32(c.at(numberOf(id)).made)
}

// alloc gives an unused slot, the one that was freed last: it is in the caches.
func (t *Table[K, V]) alloc() *Slot[K, V] {
	c := &t.chunks
	if t.free == 0 {
		t.moreRoom()
	}
	var s *Slot[K, V]
	if t.free != 0 {
		s = t.At(t.free)
		if t.free = s.queueLink.next; t.free != 0 {
			t.At(t.free).queueLink.prev = 0
		}
		s.queue, s.queueLink = 0, link{}
	} else {
		h := c.at(c.fresh)
		s = &h.slots[h.made]
		s.id = ID((c.fresh-1)<<chunkBits + uint32(h.made) + 1)
		h.made++
	}
	c.at(numberOf(s.id)).used++
	return s
}

// moreRoom makes sure that there is a free slot, or one that can be made. It opens a closed chunk again before it
// makes another.
func (t *Table[K, V]) moreRoom() {
	c := &t.chunks
	switch {
	case c.fresh != 0 && c.at(c.fresh).made < chunkLen:
	case c.shut != 0:
		n := c.shut
		c.unlink(n)
		h := c.at(n)
		h.closed = false
		for i := chunkLen - 1; i >= 0; i-- {
			if s := &h.slots[i]; s.queue == freeSlot {
				t.pushFree(s)
			}
		}
		c.open++
	default:
		if c.fresh = c.gone; c.fresh != 0 {
			c.gone = c.at(c.fresh).next
		} else {
			c.list = append(c.list, chunk[K, V]{})
			c.fresh = uint32(len(c.list))
		}
		*c.at(c.fresh) = chunk[K, V]{slots: new([chunkLen]Slot[K, V])}
		c.open++
	}
}

// pushFree puts a slot at the head of the free list.
func (t *Table[K, V]) pushFree(s *Slot[K, V]) {
	if s.queueLink = (link{next: t.free}); t.free != 0 {
		t.At(t.free).queueLink.prev = s.id
	}
	t.free = s.id
}

// dropFree takes a slot out of the free list.
func (t *Table[K, V]) dropFree(s *Slot[K, V]) {
	if next := s.queueLink.next; next != 0 {
		t.At(next).queueLink.prev = s.queueLink.prev
	}
	if prev := s.queueLink.prev; prev != 0 {
		t.At(prev).queueLink.next = s.queueLink.next
	} else {
		t.free = s.queueLink.next
	}
	s.queueLink = link{}
}

// dealloc makes an empty slot unused, and gives back its chunk if that was closed and is empty now.
func (t *Table[K, V]) dealloc(s *Slot[K, V]) {
	c := &t.chunks
	h := c.at(numberOf(s.id))
	s.queue = freeSlot
	h.used--
	if !h.closed {
		t.pushFree(s)
	} else if h.used == 0 {
		n := numberOf(s.id)
		c.unlink(n)
		c.giveBack(n)
	}
	if c.open > 2*(t.used/chunkLen)+keepChunks {
		t.close()
	}
}

// close closes the next open chunk that is at least half empty, if one is near the cursor.
func (t *Table[K, V]) close() {
	c := &t.chunks
	for range closeLooks {
		if c.cursor--; c.cursor < 0 {
			c.cursor = len(c.list) - 1
		}
		n := uint32(c.cursor) + 1
		h := c.at(n)
		if h.slots == nil || h.closed || h.used > chunkLen/2 || h.made < chunkLen {
			continue
		}
		for i := range h.slots {
			if s := &h.slots[i]; s.queue == freeSlot {
				t.dropFree(s)
			}
		}
		if c.open--; h.used == 0 {
			c.giveBack(n)
			return
		}
		h.closed = true
		if h.next, h.prev = c.shut, 0; h.next != 0 {
			c.at(h.next).prev = n
		}
		c.shut = n
		return
	}
}

// unlink takes chunk n out of the list of closed ones.
func (c *chunks[K, V]) unlink(n uint32) {
	h := c.at(n)
	if h.next != 0 {
		c.at(h.next).prev = h.prev
	}
	if h.prev != 0 {
		c.at(h.prev).next = h.next
	} else {
		c.shut = h.next
	}
	h.next, h.prev = 0, 0
}

// giveBack lets chunk n go, which is in no list and empty.
func (c *chunks[K, V]) giveBack(n uint32) {
	*c.at(n) = chunk[K, V]{next: c.gone}
	c.given++
	if c.gone = n; c.fresh == n {
		c.fresh = 0
	}
}
