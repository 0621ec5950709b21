package flowscope

import (
	"math/bits"

	"github.com/flowscope-go/flowscope/internal/invariants"
)

// What parsers may hold, and which one gives way. Where Config.SessionBytes is used up, the parser
// that holds most loses its flow, of those that hold about as much one that has not been called for
// long; so neither a few that hold much nor many that hold a little keep new connections from being
// read. One that holds more than all others is refused instead.

const (
	// sessionCost is what a session takes beside its parser.
	sessionCost = 256
	// pieceCost is what a piece of the first bytes takes beside the bytes.
	pieceCost = 104
	// Sessions are filed by the size of what they hold: under 1 KiB, 2 KiB, 4 KiB ...
	numClasses = 24
	classShift = 10
	noSession  = 0
)

// share is a session's part of the budget, and its place in the queue of its class.
type share struct {
	fixed      int64 // the parser itself, or first bytes
	kept       int64 // what the parser holds
	prev, next uint32
	class      uint8
	used       bool // since it was last looked at
	evicted    bool // it has lost all but its place
}

// sessionBudget is what all sessions of a driver hold.
type sessionBudget struct {
	limit, held int64
	queues      [numClasses]struct{ head, tail uint32 }
}

// hold is Messages.Hold for the session at hand.
func (s *sessions) hold(i uint32, n int64) bool {
	if i == noSession {
		return n <= 0 // the parser has left its flow
	}
	if e := &s.live[i]; e.kept+n < 0 {
		n = -e.kept
	}
	if s.charge(i, n, 0) {
		return true
	}
	s.stats.HoldsRefused++
	return false
}

// charge changes what a session holds. It reports false, and changes nothing, if there is no room.
func (s *sessions) charge(i uint32, kept, fixed int64) bool {
	n := kept + fixed
	if n > 0 && !s.room(i, n) {
		return false
	}
	e := &s.live[i]
	e.kept += kept
	e.fixed += fixed
	s.budget.held += n
	if c := classOfShare(e.kept + e.fixed); c != e.class {
		s.delist(i)
		s.enlist(i)
	}
	return true
}

func classOfShare(n int64) uint8 { return uint8(min(bits.Len64(uint64(n)>>classShift), numClasses-1)) }

// room reports whether there is room for n bytes more of session i, after taking from others that
// hold as much or more, if need be.
func (s *sessions) room(i uint32, n int64) bool {
	for s.budget.held+n > s.budget.limit {
		own := uint8(0)
		if i != noSession {
			own = classOfShare(s.live[i].kept + s.live[i].fixed + n)
		}
		victim := s.victim(i, own)
		if victim == noSession {
			return false
		}
		s.evict(victim)
	}
	return true
}

// victim is the session to give way to i: the first of the highest class, passing over those that
// were used since it was last looked at.
func (s *sessions) victim(i uint32, lowest uint8) uint32 {
	for c := numClasses - 1; c >= int(lowest); c-- {
		q := &s.budget.queues[c]
		for n := q.head; n != noSession; n = q.head {
			e := &s.live[n]
			if n == i && q.head == q.tail {
				break
			}
			if n != i && !e.used {
				return n
			}
			e.used = false
			s.delist(n)
			s.enlist(n)
		}
	}
	return noSession
}

// evict takes from a session all but its place, which its flow knows and gives up when it goes on.
func (s *sessions) evict(i uint32) {
	s.stats.Evicted++
	e := &s.live[i]
	s.release(e)
	s.delist(i)
	s.budget.held -= e.kept + e.fixed
	e.kept, e.fixed, e.evicted = 0, 0, true
}

// enlist files a session last in its class, and delist takes it out.
func (s *sessions) enlist(i uint32) {
	e := &s.live[i]
	e.class = classOfShare(e.kept + e.fixed)
	q := &s.budget.queues[e.class]
	e.prev, e.next = q.tail, noSession
	if q.tail != noSession {
		s.live[q.tail].next = i
	} else {
		q.head = i
	}
	q.tail = i
}

func (s *sessions) delist(i uint32) {
	e := &s.live[i]
	if e.evicted {
		return
	}
	q := &s.budget.queues[e.class]
	if e.prev != noSession {
		s.live[e.prev].next = e.next
	} else {
		q.head = e.next
	}
	if e.next != noSession {
		s.live[e.next].prev = e.prev
	} else {
		q.tail = e.prev
	}
}

// trample overwrites first bytes whose loan has ended.
func trample(f *firstBytes) {
	if invariants.Enabled {
		invariants.Trample(f.bytes[0])
		invariants.Trample(f.bytes[1])
		f.bytes = [2][]byte{}
	}
}
