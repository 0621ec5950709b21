package tls

import (
	"encoding/binary"
	"math/bits"
)

// sha1Sum is the SHA-1 of b, FIPS 180-4 section 6.1. It is not crypto/sha1 because that panics in
// FIPS-only mode; here the hash is a name by which certificates are known, and protects nothing.
func sha1Sum(b []byte) (sum [20]byte) {
	h := [5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}
	length := uint64(len(b)) * 8
	for ; len(b) >= 64; b = b[64:] {
		sha1Block(&h, b)
	}
	var last [128]byte
	n := copy(last[:], b)
	last[n] = 0x80
	end := 64
	if n >= 56 {
		end = 128
	}
	binary.BigEndian.PutUint64(last[end-8:], length)
	for at := 0; at < end; at += 64 {
		sha1Block(&h, last[at:])
	}
	for i, v := range h {
		binary.BigEndian.PutUint32(sum[4*i:], v)
	}
	return sum
}

func sha1Block(h *[5]uint32, b []byte) {
	var w [80]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	for i := 16; i < 80; i++ {
		w[i] = bits.RotateLeft32(w[i-3]^w[i-8]^w[i-14]^w[i-16], 1)
	}
	a, b1, c, d, e := h[0], h[1], h[2], h[3], h[4]
	for i, x := range w {
		var f uint32
		switch i / 20 {
		case 0:
			f = b1&c | ^b1&d
			f += 0x5a827999
		case 1:
			f = b1 ^ c ^ d
			f += 0x6ed9eba1
		case 2:
			f = b1&c | b1&d | c&d
			f += 0x8f1bbcdc
		default:
			f = b1 ^ c ^ d
			f += 0xca62c1d6
		}
		f += bits.RotateLeft32(a, 5) + e + x
		a, b1, c, d, e = f, a, bits.RotateLeft32(b1, 30), c, d
	}
	h[0] += a
	h[1] += b1
	h[2] += c
	h[3] += d
	h[4] += e
}
