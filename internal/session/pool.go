package session

import "github.com/flowscope-go/flowscope/internal/invariants"

// chunkLen is the number of values in a chunk of a Pool.
const chunkLen = 32

// Pool lends values of one type until Reclaim. They lie in chunks that never move, so that a value
// stays in its place however many follow it. The zero value is empty and ready.
type Pool[T any] struct {
	chunks [][]T
	used   int
}

// Next lends a zero value.
func (p *Pool[T]) Next() *T {
	chunk, i := p.used/chunkLen, p.used%chunkLen
	if chunk == len(p.chunks) {
		p.chunks = append(p.chunks, make([]T, chunkLen))
	}
	p.used++
	return &p.chunks[chunk][i]
}

// Reclaim takes back all values. They are zeroed, so that none keeps anything alive, and memory for
// keep of them is kept.
func (p *Pool[T]) Reclaim(keep int) {
	for i := 0; i*chunkLen < p.used; i++ {
		clear(p.chunks[i][:min(p.used-i*chunkLen, chunkLen)])
	}
	if p.used = 0; invariants.Enabled {
		p.chunks = nil // a value that is still read stays zero
	}
	if n := max(keep/chunkLen, 1); len(p.chunks) > n {
		clear(p.chunks[n:])
		p.chunks = p.chunks[:n:n]
	}
}

// Slab lends slices of one type until Reclaim, cut from a buffer that is replaced when it is full.
// The zero value is empty and ready.
type Slab[T any] struct {
	buf []T
	old [][]T // replaced since Reclaim; only in builds that check invariants
}

// Take lends n zero values.
func (s *Slab[T]) Take(n int) []T {
	if n <= 0 {
		return nil
	}
	at := len(s.buf)
	if n > cap(s.buf)-at {
		if invariants.Enabled {
			s.old = append(s.old, s.buf)
		}
		s.buf, at = make([]T, 0, max(2*cap(s.buf), n, 64)), 0 // lent slices stay in the old one
	}
	s.buf = s.buf[:at+n]
	return s.buf[at : at+n : at+n]
}

// Reclaim takes back all slices. The values are zeroed, and memory for keep of them is kept.
func (s *Slab[T]) Reclaim(keep int) {
	clear(s.buf)
	if invariants.Enabled {
		s.trample()
	}
	if cap(s.buf) > keep {
		s.buf = nil
	}
	s.buf = s.buf[:0]
}

// trample overwrites lent slices, so that a use after Reclaim shows.
func (s *Slab[T]) trample() {
	for _, buf := range append(s.old, s.buf) {
		clear(buf)
		if b, ok := any(buf).([]byte); ok {
			invariants.Trample(b)
		}
	}
	s.old, s.buf = nil, nil
}
