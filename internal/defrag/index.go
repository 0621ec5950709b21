package defrag

import "math/bits"

// index finds datagrams by key: open addressing with linear probing, at most half full. Removal
// closes the gap (a later datagram moves up unless that would put it before its home), so a
// search ends at the first empty slot however many came and went.
type index[V any] struct {
	slots []*datagram[V] // a power of two of them, or none
	used  int
}

// minSlots is the smallest index that is not empty.
const minSlots = 16

// slotsFor is the size of an index for n datagrams.
func slotsFor(n int) int {
	if n == 0 {
		return 0
	}
	return max(minSlots, 1<<bits.Len(uint(2*n-1)))
}

func (x *index[V]) home(h uint64) int { return int(h & uint64(len(x.slots)-1)) }

func (x *index[V]) after(i int) int { return (i + 1) & (len(x.slots) - 1) }

func (x *index[V]) find(h uint64, k *Key) *datagram[V] {
	if x.used == 0 {
		return nil
	}
	for i := x.home(h); x.slots[i] != nil; i = x.after(i) {
		if d := x.slots[i]; d.hash == h && d.key == *k {
			return d
		}
	}
	return nil
}

// full reports whether it must be resized before put.
func (x *index[V]) full() bool { return 2*(x.used+1) > len(x.slots) }

func (x *index[V]) put(d *datagram[V]) {
	i := x.home(d.hash)
	for x.slots[i] != nil {
		i = x.after(i)
	}
	x.slots[i] = d
	x.used++
}

// remove takes out d, which is there.
func (x *index[V]) remove(d *datagram[V]) {
	hole := x.home(d.hash)
	for x.slots[hole] != d {
		hole = x.after(hole)
	}
	mask := len(x.slots) - 1
	for i := x.after(hole); x.slots[i] != nil; i = x.after(i) {
		home := x.home(x.slots[i].hash)
		if (i-home)&mask >= (i-hole)&mask {
			x.slots[hole] = x.slots[i]
			hole = i
		}
	}
	x.slots[hole] = nil
	x.used--
}

// resize makes an index of n slots, which is enough, with the same datagrams.
func (x *index[V]) resize(n int) {
	old := x.slots
	x.slots, x.used = nil, 0
	if n == 0 {
		return
	}
	x.slots = make([]*datagram[V], n)
	for _, d := range old {
		if d != nil {
			x.put(d)
		}
	}
}
