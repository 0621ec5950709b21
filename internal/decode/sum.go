package decode

import (
	"encoding/binary"
	"math/bits"
)

// fold16 brings a sum of 16-bit words, however wide, down to one (RFC 1071 section 1).
func fold16(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return uint16(sum>>16 + sum)
}

// sum16 is the one's complement sum of the bytes as big-endian words, an odd last byte being the
// high one. It adds eight bytes at a time, in whatever order is quick: the sum of words turned
// round is the sum turned round (RFC 1071 section 2 (B)), and a carry out of the top comes in again
// at the bottom.
func sum16(b []byte) uint16 {
	var sum, carry uint64
	for ; len(b) >= 32; b = b[32:] {
		w := b[:32:32]
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[8:]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[16:]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(w[24:]), carry)
	}
	for ; len(b) >= 8; b = b[8:] {
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b), carry)
	}
	var last uint64
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	sum, carry = bits.Add64(sum, last, carry)
	sum, carry = bits.Add64(sum, 0, carry)
	return bits.ReverseBytes16(fold16(sum + carry))
}

// add16 adds two sums.
func add16(a, b uint16) uint16 { return fold16(uint64(a) + uint64(b)) }

// pseudoSum is the sum over addresses and protocol, which the transport's checksum begins with (RFC
// 9293 section 3.1, RFC 8200 section 8.1). A mapped address has ffff and zeros before it, which add
// nothing.
func pseudoSum(p *Packet) uint16 {
	sum, carry := bits.Add64(p.SrcHi, p.SrcLo, 0)
	sum, carry = bits.Add64(sum, p.DstHi, carry)
	sum, carry = bits.Add64(sum, p.DstLo, carry)
	sum, carry = bits.Add64(sum, uint64(p.Proto), carry)
	return fold16(sum + carry)
}
