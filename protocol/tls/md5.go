package tls

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"strconv"
)

// MD5 is a fingerprint of JA3 or JA3S. It is zero where there is no hello to take it from.
type MD5 [16]byte

// String is 32 hexadecimal digits, or empty if the fingerprint is zero.
func (m MD5) String() string {
	if m == (MD5{}) {
		return ""
	}
	return hex.EncodeToString(m[:])
}

// md5 computes MD5, RFC 1321. It is not crypto/md5 because that panics in FIPS-only mode; a
// fingerprint needs no strength. Begin with newMD5.
type md5 struct {
	state [4]uint32
	block [64]byte
	n     uint64 // bytes so far
}

func newMD5() md5 { return md5{state: [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}} }

func (m *md5) write(b []byte) {
	for len(b) > 0 {
		at := int(m.n % 64)
		n := copy(m.block[at:], b)
		m.n += uint64(n)
		if b = b[n:]; at+n == 64 {
			m.compress()
		}
	}
}

func (m *md5) writeByte(c byte) {
	m.block[m.n%64] = c
	if m.n++; m.n%64 == 0 {
		m.compress()
	}
}

// decimal writes n in decimal digits.
func (m *md5) decimal(n int) {
	var digits [20]byte
	m.write(strconv.AppendInt(digits[:0], int64(n), 10))
}

func (m *md5) sum() (sum MD5) {
	length := m.n * 8
	m.writeByte(0x80)
	for m.n%64 != 56 {
		m.writeByte(0)
	}
	binary.LittleEndian.PutUint64(m.block[56:], length)
	m.compress()
	for i, v := range m.state {
		binary.LittleEndian.PutUint32(sum[4*i:], v)
	}
	return sum
}

func (m *md5) compress() {
	var x [16]uint32
	for i := range x {
		x[i] = binary.LittleEndian.Uint32(m.block[4*i:])
	}
	a, b, c, d := m.state[0], m.state[1], m.state[2], m.state[3]
	for i := range 64 {
		var f uint32
		var k int
		switch i / 16 {
		case 0:
			f, k = b&c|^b&d, i
		case 1:
			f, k = b&d|c&^d, 5*i+1
		case 2:
			f, k = b^c^d, 3*i+5
		default:
			f, k = c^(b|^d), 7*i
		}
		f += a + md5Sines[i] + x[k%16]
		a, d, c = d, c, b
		b += bits.RotateLeft32(f, int(md5Shifts[i/16][i%4]))
	}
	m.state[0] += a
	m.state[1] += b
	m.state[2] += c
	m.state[3] += d
}

var md5Shifts = [4][4]uint8{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}

// md5Sines are floor(2^32 * abs(sin(i + 1))), RFC 1321 section 3.4.
var md5Sines = [64]uint32{
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
	0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
	0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
	0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
}
