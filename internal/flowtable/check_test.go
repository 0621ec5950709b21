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
			return fmt.Sprintf("the index names slot %d of %d", ID(w), t.made)
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

// brokenSlab: every slot knows its name, and is in use or in the free list.
func (t *Table[K, V]) brokenSlab() string {
	if t.keys > t.used || t.used > t.made || t.made > len(t.chunks)*chunkLen {
		return fmt.Sprintf("%d found of %d used of %d made in %d chunks", t.keys, t.used, t.made, len(t.chunks))
	}
	for i := range t.made {
		if s := t.At(ID(i + 1)); s.id != ID(i+1) {
			return fmt.Sprintf("slot %d believes it is %d", i+1, s.id)
		}
	}
	n := 0
	for id := t.free; id != 0; id = t.At(id).queueLink.next {
		if s := t.At(id); s.timerSet || s.queue != 0 {
			return fmt.Sprintf("free slot %d is filed or queued", id)
		}
		if n++; n > t.made-t.used {
			return "the free list is too long"
		}
	}
	if n != t.made-t.used {
		return fmt.Sprintf("%d free of %d", n, t.made-t.used)
	}
	return ""
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
	for i := range t.made {
		if t.At(ID(i+1)).queue != 0 {
			say++
		}
	}
	if met != say {
		return fmt.Sprintf("%d slots queued, %d met", say, met)
	}
	return ""
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
		prev := ID(b) | inWheel
		for id := w.heads[b]; id != 0; id = t.At(id).timerLink.next {
			if s := t.At(id); !s.timerSet || s.timerLink.prev != prev {
				return fmt.Sprintf("slot %d in bucket %d of level %d: filed %v, after %x", id, d, level, s.timerSet, s.timerLink.prev)
			}
			if met++; met > t.made {
				return "a bucket goes round"
			}
			prev = id
		}
	}
	for i := range t.made {
		if t.At(ID(i + 1)).timerSet {
			say++
		}
	}
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
