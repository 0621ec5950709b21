package main

import (
	"maps"
	"slices"
)

// maxBins is the number of bins from which on they are made ten times as wide. After that there are more than a
// tenth of them, if the traffic was dense.
const maxBins = 16384

// bin is what came in a short time. Bytes are those of TCP and of everything else; one of them is below zero if
// a datagram of TCP was complete in this bin, and some of its fragments came in others.
type bin struct {
	bytes   [2]int64
	packets uint64
	flows   uint64 // begun
}

func (b *bin) add(o *bin) {
	for i := range b.bytes {
		b.bytes[i] += o.bytes[i]
	}
	b.packets += o.packets
	b.flows += o.flows
}

// bins count by time in bounded memory, whatever the length of the capture. Only times with packets have a bin, so
// that silence costs nothing and bursts that lie days apart are still seen apart. The width is a power of ten.
type bins struct {
	width int64 // in nanoseconds
	at    map[int64]*bin
	last  int64 // the bin that was used last
	cache *bin
}

func newBins() *bins { return &bins{width: 1000, at: map[int64]*bin{}} }

// of is the bin of a time. It is valid until the next call.
func (b *bins) of(t int64) *bin {
	n := floorDiv(t, b.width)
	if b.cache != nil && n == b.last {
		return b.cache
	}
	found := b.at[n]
	if found == nil {
		if len(b.at) >= maxBins {
			b.widen()
			return b.of(t)
		}
		found = new(bin)
		b.at[n] = found
	}
	b.last, b.cache = n, found
	return found
}

// widen makes the bins ten times as wide.
func (b *bins) widen() {
	b.width *= 10
	wide := make(map[int64]*bin, len(b.at)/4)
	for n, one := range b.at {
		n = floorDiv(n, 10)
		if wide[n] == nil {
			wide[n] = new(bin)
		}
		wide[n].add(one)
	}
	b.at, b.cache = wide, nil
}

// spans are the times of the bins, in order.
func (b *bins) spans() []span {
	spans := make([]span, 0, len(b.at))
	for _, n := range slices.Sorted(maps.Keys(b.at)) {
		spans = append(spans, span{n * b.width, (n + 1) * b.width})
	}
	return spans
}

// floorDiv is a/b rounded down; b is positive.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
