package defrag

import "math/bits"

// index finds datagrams by key: open addressing with linear probing, at most half full. Removal closes
// the gap (a later datagram moves up unless that would put it before its home), so a search ends at the
// first empty slot however many came and went.
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

// remove removes d, which must be in it.
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

// Key says which fragments belong together. Keys that differ anywhere are different datagrams.
type Key struct {
	SrcHi, SrcLo, DstHi, DstLo uint64 // addresses, as words
	// Outer is anything else that keeps networks apart: a tunnel's identifier, a tenant, an interface.
	Outer uint64
	ID    uint32 // identification: 16 bits in IPv4, 32 in IPv6
	VLAN  uint16
	// Proto is the IPv4 protocol (RFC 791 section 3.2). With Family 6 it is ignored: RFC 8200 section
	// 4.5 knows source, destination and identification only.
	Proto  uint8
	Family uint8 // 4 or 6
}

// secret is what a sender would have to know to choose keys that collide in the index.
type secret [4]uint64

func newSecret(seed uint64) (s secret) {
	for i := range s {
		seed += 0x9e3779b97f4a7c15
		s[i] = fold(seed^0xbf58476d1ce4e5b9, seed^seed>>29^0x94d049bb133111eb)
	}
	return s
}

// hash multiplies pairs of words. Each factor is masked by a word that a sender does not know; with a
// factor of 0 a sender could choose the result.
func (s *secret) hash(k *Key) uint64 {
	h := fold(k.SrcHi^s[0], k.SrcLo^s[1])
	h = fold(k.DstHi^s[2]^h, k.DstLo^s[3])
	rest := uint64(k.ID)<<32 | uint64(k.VLAN)<<16 | uint64(k.Proto)<<8 | uint64(k.Family)
	h = fold(k.Outer^s[1]^h, rest^s[2])
	return fold(h^s[0], s[3]|1)
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
