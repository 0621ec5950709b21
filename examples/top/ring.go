package main

import "iter"

// ring keeps the last values, so that memory does not grow with their number.
type ring[T any] struct {
	values []T
	limit  int
	added  uint64 // in all
}

func newRing[T any](limit int) *ring[T] { return &ring[T]{limit: limit} }

func (r *ring[T]) add(v T) {
	if len(r.values) < r.limit {
		r.values = append(r.values, v)
	} else {
		r.values[r.added%uint64(r.limit)] = v
	}
	r.added++
}

// forgotten is how many values there were that are not kept.
func (r *ring[T]) forgotten() uint64 { return r.added - uint64(len(r.values)) }

// all gives the values, the oldest first.
func (r *ring[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		n := uint64(len(r.values))
		for i := range n {
			if !yield(&r.values[(r.forgotten()+i)%n]) {
				return
			}
		}
	}
}
