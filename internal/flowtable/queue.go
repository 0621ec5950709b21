package flowtable

// NumQueues is how many queues there are; the owner says what each is for.
// Queue 0 is none.
const NumQueues = 8

// queue is a first-in-first-out line of slots.
type queue struct {
	head, tail ID
	n          int
}

// Join puts the slot at the end of queue q, 1 to NumQueues-1, leaving the one
// it is in.
func (t *Table[K, V]) Join(s *Slot[K, V], q uint8) {
	t.Leave(s)
	line := &t.queues[q]
	s.queue = q
	s.line = link{prev: line.tail}
	if line.tail != 0 {
		t.At(line.tail).line.next = s.id
	} else {
		line.head = s.id
	}
	line.tail = s.id
	line.n++
}

// Leave takes the slot out of its queue, if it is in one.
func (t *Table[K, V]) Leave(s *Slot[K, V]) {
	if s.queue == 0 {
		return
	}
	line := &t.queues[s.queue]
	if s.line.prev != 0 {
		t.At(s.line.prev).line.next = s.line.next
	} else {
		line.head = s.line.next
	}
	if s.line.next != 0 {
		t.At(s.line.next).line.prev = s.line.prev
	} else {
		line.tail = s.line.prev
	}
	line.n--
	s.queue, s.line = 0, link{}
}

// Queue is the queue the slot is in, 0 for none.
func (s *Slot[K, V]) Queue() uint8 { return s.queue }

// First is the slot that has been in queue q for longest, or nil.
func (t *Table[K, V]) First(q uint8) *Slot[K, V] {
	if id := t.queues[q].head; id != 0 {
		return t.At(id)
	}
	return nil
}

// Behind is the slot that joined the queue of s next after it, or nil.
func (t *Table[K, V]) Behind(s *Slot[K, V]) *Slot[K, V] {
	if id := s.line.next; s.queue != 0 && id != 0 {
		return t.At(id)
	}
	return nil
}

// Queued is how many slots are in queue q.
func (t *Table[K, V]) Queued(q uint8) int { return t.queues[q].n }
