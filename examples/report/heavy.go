package main

import (
	"cmp"
	"maps"
	"slices"
)

// maxKeys is the number of keys from which on the lighter half of them is forgotten.
const maxKeys = 20000

// sums are what is counted of a key: how often it came, how many of these went wrong, and bytes both ways.
type sums struct {
	n, bad uint64
	bytes  [2]uint64
}

// heavy counts by key in bounded memory. When there are too many keys the lighter half is forgotten, so the sums of
// a key that comes again later may lack what it had before: missed at most.
type heavy[K cmp.Ordered] struct {
	weight    func(*sums) uint64
	at        map[K]*sums
	forgotten uint64 // keys
	missed    uint64
}

func newHeavy[K cmp.Ordered](weight func(*sums) uint64) *heavy[K] {
	return &heavy[K]{weight: weight, at: map[K]*sums{}}
}

func byNumber(s *sums) uint64 { return s.n }
func byBytes(s *sums) uint64  { return s.bytes[0] + s.bytes[1] }

func (h *heavy[K]) of(key K) *sums {
	s := h.at[key]
	if s == nil {
		if len(h.at) >= maxKeys {
			h.forget()
		}
		s = new(sums)
		h.at[key] = s
	}
	return s
}

func (h *heavy[K]) forget() {
	ranked := h.ranked()
	light := ranked[len(ranked)/2:]
	h.missed += h.weight(light[0].sums)
	h.forgotten += uint64(len(light))
	for _, e := range light {
		delete(h.at, e.key)
	}
}

// entry is a key with its sums.
type entry[K any] struct {
	key K
	*sums
}

// ranked are the entries, the heaviest first.
func (h *heavy[K]) ranked() []entry[K] {
	all := make([]entry[K], 0, len(h.at))
	for _, key := range slices.Sorted(maps.Keys(h.at)) {
		all = append(all, entry[K]{key, h.at[key]})
	}
	slices.SortStableFunc(all, func(a, b entry[K]) int { return cmp.Compare(h.weight(b.sums), h.weight(a.sums)) })
	return all
}

// leaders keeps the values with the highest scores, and of equals those that came first.
type leaders[T any] struct {
	max   int
	seen  uint64 // values that were shown to it
	items []scored[T]
}

type scored[T any] struct {
	score uint64
	value T
}

func (l *leaders[T]) add(score uint64, value T) {
	l.seen++
	if len(l.items) == l.max && score <= l.items[l.max-1].score {
		return
	}
	i := len(l.items)
	for i > 0 && l.items[i-1].score < score {
		i--
	}
	l.items = slices.Insert(l.items, i, scored[T]{score, value})
	if len(l.items) > l.max {
		l.items = l.items[:l.max]
	}
}

// wants reports whether a value of that score would be kept, for values that are costly to make.
func (l *leaders[T]) wants(score uint64) bool {
	return len(l.items) < l.max || score > l.items[l.max-1].score
}
