package flowtable

import (
	"fmt"
	"math/bits"
)

// broken says what is wrong with the structure, nothing if all is well.
func (t *Table[K, V]) broken(hash func(*K) uint64) string {
	for _, check := range []func() string{
		func() string { return t.brokenIndex(hash) },
		t.brokenSlab,
		t.brokenQueues,
		t.brokenWheel,
	} {
		if what := check(); what != "" {
			return what
		}
	}
	return ""
}

// brokenIndex: every word leads to a slot that its key finds.
func (t *Table[K, V]) brokenIndex(hash func(*K) uint64) string {
	n := 0
	for _, w := range t.index.words {
		if w == 0 {
			continue
		}
		n++
		if !t.Has(ID(w)) {
			return fmt.Sprintf("the index names slot %d of %d chunks", ID(w), len(t.chunks.list))
		}
		if s := t.At(ID(w)); t.Find(hash(&s.Key), &s.Key) != s {
			return fmt.Sprintf("slot %d cannot be found", ID(w))
		}
	}
	if n != t.keys {
		return fmt.Sprintf("the index holds %d of %d", n, t.keys)
	}
	return ""
}

// brokenSlab: every slot knows its name, and is in use, in the free list, or free in a closed chunk; every chunk
// is in the list in which it belongs.
func (t *Table[K, V]) brokenSlab() string {
	c := &t.chunks
	used, free, open, shut, gone := 0, 0, 0, 0, 0
	for i := range c.list {
		h := &c.list[i]
		n, what := t.brokenChunk(uint32(i+1), h)
		if what != "" {
			return fmt.Sprintf("chunk %d: %s", i, what)
		}
		used += int(h.used)
		switch {
		case h.slots == nil:
			gone++
		case h.closed:
			shut++
		default:
			open++
			free += n
		}
	}
	if t.keys > t.used || t.used != used || open != c.open {
		return fmt.Sprintf("%d found of %d used, %d in chunks, of which %d of %d are open", t.keys, t.used, used, open, c.open)
	}
	for _, l := range []struct {
		name    string
		head    uint32
		want    int
		belongs func(h *chunk[K, V]) bool
	}{
		{"shut", c.shut, shut, func(h *chunk[K, V]) bool { return h.closed }},
		{"gone", c.gone, gone, func(h *chunk[K, V]) bool { return h.slots == nil }},
	} {
		n := 0
		for at := l.head; at != 0 && n <= l.want; at = c.at(at).next {
			if n++; !l.belongs(c.at(at)) {
				return fmt.Sprintf("chunk %d is not one for the list %s", at-1, l.name)
			}
		}
		if n != l.want {
			return fmt.Sprintf("%d or more chunks in the list %s, want %d", n, l.name, l.want)
		}
	}
	prev := ID(0)
	for id := t.free; id != 0; id = t.At(id).queueLink.next {
		s := t.At(id)
		if s.queue != freeSlot || s.queueLink.prev != prev || c.at(numberOf(id)).closed {
			return fmt.Sprintf("free slot %d is filed or queued, or of a closed chunk", id)
		}
		if free--; free < 0 {
			return "the free list is too long"
		}
		prev = id
	}
	if free != 0 {
		return fmt.Sprintf("%d free slots are lost", free)
	}
	return ""
}

func (t *Table[K, V]) brokenChunk(n uint32, h *chunk[K, V]) (free int, what string) {
	if h.slots == nil {
		if *h != (chunk[K, V]{next: h.next}) {
			return 0, "it was given back, and is not empty"
		}
		return 0, ""
	}
	for i := range h.made {
		s := &h.slots[i]
		if s.id != ID((n-1)*chunkLen+uint32(i)+1) || t.At(s.id) != s {
			return 0, fmt.Sprintf("slot %d believes it is %d", i, s.id)
		}
		if s.queue == freeSlot {
			if free++; s.timerSet {
				return 0, fmt.Sprintf("free slot %d has a timer", i)
			}
		}
	}
	if free != int(h.made-h.used) || h.made < chunkLen && n != t.chunks.fresh || h.closed && h.used == 0 {
		return 0, fmt.Sprintf("%d free of %d made, %d used, closed %v", free, h.made, h.used, h.closed)
	}
	return free, ""
}

// brokenQueues: every queue can be walked both ways, and every slot that says it
// is in a queue is met there.
func (t *Table[K, V]) brokenQueues() string {
	var met, say int
	for q := range t.queues {
		line, prev, n := &t.queues[q], ID(0), 0
		for id := line.head; id != 0; id = t.At(id).queueLink.next {
			if s := t.At(id); int(s.queue) != q || s.queueLink.prev != prev {
				return fmt.Sprintf("slot %d in queue %d is in %d after %d, not %d", id, q, s.queue, s.queueLink.prev, prev)
			}
			if n++; n > line.n {
				break
			}
			prev = id
		}
		if n != line.n || prev != line.tail || q == 0 && n != 0 {
			return fmt.Sprintf("queue %d has %d of %d and ends with %d, not %d", q, n, line.n, prev, line.tail)
		}
		met += n
	}
	t.each(func(s *Slot[K, V]) {
		if s.Queue() != 0 {
			say++
		}
	})
	if met != say {
		return fmt.Sprintf("%d slots queued, %d met", say, met)
	}
	return ""
}

// each calls do for each slot that exists.
func (t *Table[K, V]) each(do func(*Slot[K, V])) {
	for i := range t.chunks.list {
		h := &t.chunks.list[i]
		for k := range h.made {
			do(&h.slots[k])
		}
	}
}

// brokenWheel: every bucket can be walked, is marked as used if it is, and lies
// ahead of the wheel; nothing in it comes before next.
func (t *Table[K, V]) brokenWheel() string {
	w := &t.wheel
	var met, say int
	for b := range w.heads {
		level, d := b/buckets, b%buckets
		if used := b < current && w.used[b/64]>>(b%64)&1 != 0; b < current && used != (w.heads[b] != 0) {
			return fmt.Sprintf("bucket %d of level %d: used is %v", d, level, used)
		}
		prev, end := ID(b)|inWheel, ID(b)|inWheel
		if (w.heads[b] != 0) != (w.tails[b] != 0) {
			return fmt.Sprintf("bucket %d of level %d begins with %d and ends with %d", d, level, w.heads[b], w.tails[b])
		}
		for id := w.heads[b]; id != 0 && id != end; id = t.At(id).timerLink.next {
			if s := t.At(id); !s.timerSet || s.timerLink.prev != prev {
				return fmt.Sprintf("slot %d in bucket %d of level %d: filed %v, after %x", id, d, level, s.timerSet, s.timerLink.prev)
			}
			if met++; met > t.used {
				return "a bucket goes round"
			}
			prev = id
		}
		if w.tails[b] != 0 && w.tails[b] != prev {
			return fmt.Sprintf("bucket %d of level %d ends with %d, not with %d", d, level, prev, w.tails[b])
		}
	}
	t.each(func(s *Slot[K, V]) {
		if s.timerSet {
			say++
		}
	})
	if met != say {
		return fmt.Sprintf("%d slots filed, %d met", say, met)
	}
	return w.brokenOrder()
}

func (w *wheel) brokenOrder() string {
	for i, word := range w.used {
		if marked := w.words>>i&1 != 0; marked != (word != 0) {
			return fmt.Sprintf("word %d is %x, marked %v", i, word, marked)
		}
		// The wheel's own digit is used on the lowest level only.
		level, first := i*64/buckets, uint64(i*64%buckets+bits.TrailingZeros64(word))
		own := w.now >> (level * digit) & (buckets - 1)
		if word != 0 && (first < own || first == own && level > 0) {
			return fmt.Sprintf("bucket %d of level %d is behind %x", first, level, w.now)
		}
	}
	for _, next := range []uint64{w.next, w.turns} {
		if _, start := w.earliest(); next > start || w.heads[current] != 0 && next != 0 {
			return fmt.Sprintf("next is %x, the first bucket begins at %x", next, start)
		}
	}
	return ""
}
