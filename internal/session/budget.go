package session

import "math/bits"

// Budget divides a number of bytes among sessions. When it is used up, the session that holds most is
// evicted, and of those that hold about as much one that was not used for long; so neither a few that
// hold much nor many that hold a little keep others from their share.
type Budget struct {
	limit, held int64
	at          func(place uint32) *Share
	queues      [classes]queue
}

// Share is the part of the budget that a session holds, with its links in a queue. The place of a
// session is never 0.
type Share struct {
	bytes      int64
	prev, next uint32
	class      uint8
	// Used is set whenever the session is used: it is then not evicted before the others of its class
	// have been looked at.
	Used bool
}

// There is a queue for each class of sizes: under 1 KiB, 2 KiB, 4 KiB ... The session that is queued for
// longest, since it was last found in use, is first.
const (
	classes    = 32
	classShift = 10
)

type queue struct{ head, tail uint32 }

func classOf(n int64) uint8 { return uint8(min(bits.Len64(uint64(n)>>classShift), classes-1)) }

// NewBudget makes a budget of that many bytes. at gives the share of a place.
func NewBudget(limit int64, at func(place uint32) *Share) Budget {
	return Budget{limit: limit, at: at}
}

// Held is the memory that all sessions hold.
func (b *Budget) Held() int64 { return b.held }

// Fits reports whether there is room for n more bytes.
func (b *Budget) Fits(n int64) bool { return n <= b.limit-b.held }

// Open begins a share with n bytes, whether or not they fit.
func (b *Budget) Open(place uint32, n int64) {
	*b.at(place) = Share{bytes: n, Used: true}
	b.held += n
	b.enqueue(place)
}

// Add makes a share larger or smaller, whether or not that fits.
func (b *Budget) Add(place uint32, n int64) {
	s := b.at(place)
	s.bytes += n
	b.held += n
	if classOf(s.bytes) != s.class {
		b.dequeue(place)
		b.enqueue(place)
	}
}

// Close ends a share.
func (b *Budget) Close(place uint32) {
	b.dequeue(place)
	s := b.at(place)
	b.held -= s.bytes
	*s = Share{}
}

// Victim is the session to evict for the one at that place, or for a new one at 0. It is 0 if there is
// no other.
func (b *Budget) Victim(place uint32) uint32 {
	for class := classes - 1; class >= 0; class-- {
		q := &b.queues[class]
		for q.head != 0 && (q.head != place || q.tail != place) {
			s := b.at(q.head)
			if q.head != place && !s.Used {
				return q.head
			}
			s.Used = false
			b.requeue(q.head)
		}
	}
	return 0
}

func (b *Budget) requeue(place uint32) {
	b.dequeue(place)
	b.enqueue(place)
}

func (b *Budget) enqueue(place uint32) {
	s := b.at(place)
	s.class = classOf(s.bytes)
	q := &b.queues[s.class]
	s.prev, s.next = q.tail, 0
	if q.tail != 0 {
		b.at(q.tail).next = place
	} else {
		q.head = place
	}
	q.tail = place
}

func (b *Budget) dequeue(place uint32) {
	s := b.at(place)
	q := &b.queues[s.class]
	if s.prev != 0 {
		b.at(s.prev).next = s.next
	} else {
		q.head = s.next
	}
	if s.next != 0 {
		b.at(s.next).prev = s.prev
	} else {
		q.tail = s.prev
	}
}
