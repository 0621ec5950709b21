package defrag

import (
	"bytes"
	"math/bits"
)

const (
	unit      = 8 // bytes; every fragment begins at a multiple of it
	pageUnits = 249
	pageBytes = pageUnits * unit
)

// page holds what arrived of one stretch of a datagram. Links come first, so the
// collector looks no further.
type page struct {
	next   *page // the datagram's next page, of a higher number; or the next spare one
	number int   // it begins at byte number*pageBytes
	have   [(pageUnits + 63) / 64]uint64
	data   [pageBytes]byte
}

// units is the number of units that n bytes from a unit's beginning touch. Only a
// datagram's very last unit may be shorter.
func units(n int) int { return (n + unit - 1) / unit }

// cut takes from b, which belongs at offset, what falls into the first page it touches.
func cut(offset int, b []byte) (number, at int, part, rest []byte) {
	number, at = offset/pageBytes, offset%pageBytes
	n := min(len(b), pageBytes-at)
	return number, at, b[:n], b[n:]
}

// count says how many units of n bytes at a place are there.
func (p *page) count(at, n int) int {
	from, to, there := at/unit, at/unit+units(n), 0
	for w := from / 64; w*64 < to; w++ {
		there += bits.OnesCount64(p.have[w] & span(from-w*64, to-w*64))
	}
	return there
}

// put copies b to its place.
func (p *page) put(at int, b []byte) {
	copy(p.data[at:], b)
	from, to := at/unit, at/unit+units(len(b))
	for w := from / 64; w*64 < to; w++ {
		p.have[w] |= span(from-w*64, to-w*64)
	}
}

// same reports whether b is what is there.
func (p *page) same(at int, b []byte) bool { return bytes.Equal(p.data[at:at+len(b)], b) }

// span is the word with bits from to to-1 set, as far as they fall into it.
func span(from, to int) uint64 {
	from, to = max(from, 0), min(to, 64)
	return ^uint64(0) << from & (^uint64(0) >> (64 - to))
}
