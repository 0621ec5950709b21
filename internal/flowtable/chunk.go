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
	slots  *[chunkLen]Slot[K, V] // nil if they were given back
	free   ID                    // those that were used and are free, the one freed last first
	made   uint16
	used   uint16
	closed bool
	// listed says that it is in the list of open chunks with room, or of closed ones; chunks that were
	// given back are chained by next alone.
	listed     bool
	next, prev uint32 // in its list: number + 1, 0 for none
}

// chunks are the chunks of a table.
type chunks[K comparable, V any] struct {
	list   []chunk[K, V]
	room   uint32 // the first open one with room, the one used last
	shut   uint32 // the first closed one
	gone   uint32 // the first number that was given back
	open   int    // chunks that are neither closed nor given back
	cursor int    // the next one to consider for closing
}

func numberOf(id ID) uint32 { return (uint32(id)-1)>>chunkBits + 1 }

// at gives the chunk of a number, which is one more than its place.
func (c *chunks[K, V]) at(n uint32) *chunk[K, V] { return &c.list[n-1] }

// has reports whether a slot of that number exists.
func (c *chunks[K, V]) has(id ID) bool {
	return id != 0 && int(numberOf(id)) <= len(c.list) && (uint32(id)-1)&(chunkLen-1) < uint32(c.at(numberOf(id)).made)
}

// head is the beginning of the list in which a chunk belongs.
func (c *chunks[K, V]) head(h *chunk[K, V]) *uint32 {
	if h.closed {
		return &c.shut
	}
	return &c.room
}

// link puts chunk n at the head of its list.
func (c *chunks[K, V]) link(n uint32) {
	h := c.at(n)
	head := c.head(h)
	if h.next, h.prev = *head, 0; h.next != 0 {
		c.at(h.next).prev = n
	}
	*head, h.listed = n, true
}

// unlink takes chunk n out of its list.
func (c *chunks[K, V]) unlink(n uint32) {
	h := c.at(n)
	if h.next != 0 {
		c.at(h.next).prev = h.prev
	}
	if h.prev != 0 {
		c.at(h.prev).next = h.next
	} else {
		*c.head(h) = h.next
	}
	h.next, h.prev, h.listed = 0, 0, false
}

// alloc gives an unused slot, from a chunk that is open if one has room, or else from one that is opened
// again or made.
func (t *Table[K, V]) alloc() *Slot[K, V] {
	c := &t.chunks
	n := c.room
	if n == 0 {
		n = t.moreRoom()
	}
	h := c.at(n)
	h.used++
	var s *Slot[K, V]
	if h.free != 0 {
		s = t.At(h.free)
		h.free = s.queueLink.next
	} else {
		s = &h.slots[h.made]
		s.id = ID((n-1)<<chunkBits + uint32(h.made) + 1)
		h.made++
	}
	if h.used == chunkLen {
		c.unlink(n)
	}
	return s
}

// moreRoom opens a chunk, or makes one.
func (t *Table[K, V]) moreRoom() (n uint32) {
	c := &t.chunks
	switch {
	case c.shut != 0:
		n = c.shut
		c.unlink(n)
		c.at(n).closed = false
	case c.gone != 0:
		n = c.gone
		c.gone = c.at(n).next
		*c.at(n) = chunk[K, V]{slots: new([chunkLen]Slot[K, V])}
	default:
		c.list = append(c.list, chunk[K, V]{slots: new([chunkLen]Slot[K, V])})
		n = uint32(len(c.list))
	}
	c.open++
	c.link(n)
	return n
}

// dealloc makes a slot unused, and gives back its chunk if that was closed and is empty now.
func (t *Table[K, V]) dealloc(s *Slot[K, V]) {
	c, n := &t.chunks, numberOf(s.id)
	h := c.at(n)
	s.queueLink.next = h.free
	h.free = s.id
	h.used--
	switch {
	case h.closed:
		if h.used == 0 {
			c.unlink(n)
			c.giveBack(n)
		}
	case c.room != n: // what was freed last is used first: it is in the caches
		if h.listed {
			c.unlink(n)
		}
		c.link(n)
	}
	if c.open > 2*(t.used/chunkLen)+keepChunks {
		c.close()
	}
}

// close closes the next open chunk that is at least half empty, if one is near the cursor.
func (c *chunks[K, V]) close() {
	for range closeLooks {
		if c.cursor--; c.cursor < 0 {
			c.cursor = len(c.list) - 1
		}
		n := uint32(c.cursor) + 1
		h := c.at(n)
		if h.slots == nil || h.closed || h.used > chunkLen/2 {
			continue
		}
		c.unlink(n)
		c.open--
		if h.used == 0 {
			c.giveBack(n)
		} else {
			h.closed = true
			c.link(n)
		}
		return
	}
}

// giveBack lets chunk n go, which is in no list and empty.
func (c *chunks[K, V]) giveBack(n uint32) {
	*c.at(n) = chunk[K, V]{next: c.gone}
	c.gone = n
}
