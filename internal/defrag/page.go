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

// page holds the bytes that arrived of one part of a datagram. Pointers come first, so the garbage
// collector scans no further.
type page struct {
	next   *page // the datagram's next page, of a higher number; or the next pooled one
	number int   // it begins at byte number*pageBytes
	have   [(pageUnits + 63) / 64]uint64
	data   [pageBytes]byte
}

// units is the number of units in n bytes. Only a datagram's last unit may be shorter.
func units(n int) int { return (n + unit - 1) / unit }

// cut splits b, which belongs at offset, behind the first page that it is in.
func cut(offset int, b []byte) (number, at int, part, rest []byte) {
	number, at = offset/pageBytes, offset%pageBytes
	n := min(len(b), pageBytes-at)
	return number, at, b[:n], b[n:]
}

// count is how many units of n bytes at a place are present.
func (p *page) count(at, n int) int {
	from, to, present := at/unit, at/unit+units(n), 0
	for w := from / 64; w*64 < to; w++ {
		present += bits.OnesCount64(p.have[w] & span(from-w*64, to-w*64))
	}
	return present
}

// put copies b to its place.
func (p *page) put(at int, b []byte) {
	copy(p.data[at:], b)
	from, to := at/unit, at/unit+units(len(b))
	for w := from / 64; w*64 < to; w++ {
		p.have[w] |= span(from-w*64, to-w*64)
	}
}

// same reports whether b equals the bytes that are present.
func (p *page) same(at int, b []byte) bool { return bytes.Equal(p.data[at:at+len(b)], b) }

// span is the word with bits from to to-1 set, as far as they fall into it.
func span(from, to int) uint64 {
	from, to = max(from, 0), min(to, 64)
	return ^uint64(0) << from & (^uint64(0) >> (64 - to))
}
