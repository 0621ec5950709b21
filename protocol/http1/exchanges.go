package http1

import (
	"github.com/flowscope-go/flowscope"
)

// entry is an exchange that is not complete. It holds no pointer, since there may be many: its words
// lie in the parser's store.
type entry struct {
	began, ended  [2]flowscope.Timestamp // by part
	packet        [2]uint64              // that brought the first byte
	offset        [2]int64
	body, missing [2]int64
	words         [2]uint64 // places in the store
	wordsLen      [2]uint32
	lowest        uint64 // place in the store: this entry and later ones need nothing before it
	method        span   // in the words of the request
	target, host  span
	version       [2]Version
	status        uint16
	interim       uint16
	flags         Flags
	kind          kind
	open          bool // the request goes on
	answered      bool // the response is complete, or will not be
}

// part is one of the two messages of an exchange.
type part uint8

const (
	request part = iota
	response
)

// kind is the property of a request that decides about the framing of the response.
type kind uint8

const (
	kindHead    kind = 1 << iota
	kindConnect      // and the bytes behind it wait for the response
	kindUpgrade
	kind09
)

// entrySize is the memory of an entry.
const entrySize = 168

// queue is a ring of entries. Its memory is counted by capacity.
type queue struct {
	buf     []entry
	from, n int
	held    int // entries of buf that Hold has granted
}

func (q *queue) at(i int) *entry { return &q.buf[(q.from+i)&(len(q.buf)-1)] }

// push appends an entry, and reports false if there is no room.
func (q *queue) push(e *entry, out *flowscope.Messages) bool {
	size := len(q.buf)
	if q.n == size {
		size = max(2*size, 4)
	}
	if size > q.held {
		if !out.Hold((size - q.held) * entrySize) {
			return false
		}
		q.held = size
	}
	if size > len(q.buf) {
		buf := make([]entry, size)
		for i := range q.n {
			buf[i] = *q.at(i)
		}
		q.buf, q.from = buf, 0
	}
	q.n++
	*q.at(q.n - 1) = *e
	return true
}

func (q *queue) pop() {
	q.from = (q.from + 1) & (len(q.buf) - 1)
	q.n--
}

// reset empties the queue and lets go of much memory.
func (q *queue) reset() {
	q.from, q.n, q.held = 0, 0, 0
	if len(q.buf) > 4 {
		q.buf = nil
	}
}

// store keeps the words of entries, in the order in which they came. Places count from the first
// word ever, so they stay right when words that are no longer needed are removed.
type store struct {
	buf  []byte
	base uint64 // place of buf[0]
	held int    // the part of buf's capacity that Hold has granted
}

const keepStore = 2048

// add appends words, and reports false if there is no room. Nothing before lowest is needed.
func (s *store) add(b []byte, lowest uint64, out *flowscope.Messages) (place uint64, ok bool) {
	if len(s.buf)+len(b) > cap(s.buf) && int(lowest-s.base) >= len(s.buf)/2 {
		s.buf = s.buf[:copy(s.buf, s.buf[lowest-s.base:])]
		s.base = lowest
	}
	size := cap(s.buf)
	if len(s.buf)+len(b) > size {
		size = max(2*size, len(s.buf)+len(b), 256)
	}
	if size > s.held {
		if !out.Hold(size - s.held) {
			return 0, false
		}
		s.held = size
	}
	if size > cap(s.buf) {
		s.buf = append(make([]byte, 0, size), s.buf...)
	}
	place = s.end()
	s.buf = append(s.buf, b...)
	return place, true
}

func (s *store) end() uint64 { return s.base + uint64(len(s.buf)) }

// of are words that were added.
func (s *store) of(place uint64, n uint32) []byte {
	if n == 0 {
		return nil
	}
	return s.buf[place-s.base:][:n:n]
}

// empty forgets all words.
func (s *store) empty(out *flowscope.Messages) {
	s.base = s.end()
	if s.buf = s.buf[:0]; cap(s.buf) > keepStore {
		out.Hold(-s.held)
		s.buf, s.held = nil, 0
	}
}

func (s *store) reset() {
	s.base, s.held = 0, 0
	if s.buf = s.buf[:0]; cap(s.buf) > keepStore {
		s.buf = nil
	}
}
