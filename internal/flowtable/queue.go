package flowtable

// NumQueues is how many queues there are; the owner says what each is for.
// Queue 0 is none.
const NumQueues = 8

// queue is a list of slots, first in, first out.
type queue struct {
	head, tail ID
	n          int
}

// Join puts the slot at the end of queue q, 1 to NumQueues-1, leaving the one
// it is in.
func (t *Table[K, V]) Join(s *Slot[K, V], q uint8) {
	if s.queue != 0 {
		t.unlink(s)
	}
	list := &t.queues[q]
	s.queue = q
	s.queueLink = link{prev: list.tail}
	if list.tail != 0 {
		t.At(list.tail).queueLink.next = s.id
	} else {
		list.head = s.id
	}
	list.tail = s.id
	list.n++
}

// Leave takes the slot out of its queue, if it is in one.
func (t *Table[K, V]) Leave(s *Slot[K, V]) {
	if s.queue != 0 {
		t.unlink(s)
		s.queue, s.queueLink = 0, link{}
	}
}

// unlink takes the slot out of the list of its queue.
func (t *Table[K, V]) unlink(s *Slot[K, V]) {
	list := &t.queues[s.queue]
	if s.queueLink.prev != 0 {
		t.At(s.queueLink.prev).queueLink.next = s.queueLink.next
	} else {
		list.head = s.queueLink.next
	}
	if s.queueLink.next != 0 {
		t.At(s.queueLink.next).queueLink.prev = s.queueLink.prev
	} else {
		list.tail = s.queueLink.prev
	}
	list.n--
}

// Queue is the queue the slot is in, 0 for none.
func (s *Slot[K, V]) Queue() uint8 {
	if s.queue == freeSlot {
		return 0
	}
	return s.queue
}

// First is the slot that has been in queue q for longest, or nil.
func (t *Table[K, V]) First(q uint8) *Slot[K, V] {
	if id := t.queues[q].head; id != 0 {
		return t.At(id)
	}
	return nil
}

// Queued is how many slots are in queue q.
func (t *Table[K, V]) Queued(q uint8) int { return t.queues[q].n }
