package defrag

import "math/bits"

// Key says which fragments belong together. Keys that differ anywhere are different datagrams.
type Key struct {
	SrcHi, SrcLo, DstHi, DstLo uint64 // addresses, as words
	// Outer is whatever else keeps networks apart: a tunnel's number, a tenant, an interface.
	Outer uint64
	ID    uint32 // identification: 16 bits in IPv4, 32 in IPv6
	VLAN  uint16
	// Proto is the IPv4 protocol (RFC 791 section 3.2). With Family 6 it is ignored: RFC 8200 section 4.5
	// knows source, destination and identification only.
	Proto  uint8
	Family uint8 // 4 or 6
}

// secret is what a sender would have to know to choose keys that meet in the index.
type secret [4]uint64

func newSecret(seed uint64) (s secret) {
	for i := range s {
		seed += 0x9e3779b97f4a7c15
		s[i] = fold(seed^0xbf58476d1ce4e5b9, seed^seed>>29^0x94d049bb133111eb)
	}
	return s
}

// hash multiplies pairs of words. Each factor is masked by something unknown to a
// sender; otherwise a factor of 0 would let him choose the result.
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
