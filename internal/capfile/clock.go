package capfile

import (
	"math"
	"math/bits"
)

// clock turns the 64-bit times of a pcapng interface into nanoseconds since the
// Unix epoch. The file chooses the unit (if_tsresol) and the origin
// (if_tsoffset), and may choose absurd ones:
//
//	10^-6 s, the default     ts * 10^3
//	10^-12 s                 ts / 10^3
//	2^-20 s                  (ts * 10^9) >> 20
//	10^-100 s                0
//
// All in 128 bits, since ts * 10^9 has up to 94, and the origin up to 93 more.
// The result rounds down and stays at the limits of int64.
type clock struct {
	div, mul uint64 // at most one of them is not 1
	shift    uint   // at most 127
	hi, lo   uint64 // the origin in nanoseconds, two's complement
}

// newClock reads an if_tsresol octet and an if_tsoffset in seconds.
func newClock(resol uint8, offset int64) clock {
	c := clock{div: 1, mul: 1}
	n := uint(resol & 0x7f)
	switch {
	case resol&0x80 != 0:
		c.mul, c.shift = 1e9, n
	case n <= 9:
		c.mul = pow10(9 - n)
	case n <= 9+19:
		c.div = pow10(n - 9)
	default: // 2^64 units are less than a nanosecond
		c.mul = 0
	}
	seconds := uint64(offset)
	if offset < 0 {
		seconds = -seconds
	}
	c.hi, c.lo = bits.Mul64(seconds, 1e9)
	if offset < 0 {
		var borrow uint64
		c.lo, borrow = bits.Sub64(0, c.lo, 0)
		c.hi, _ = bits.Sub64(0, c.hi, borrow)
	}
	return c
}

// nanos is the time ts in nanoseconds since the Unix epoch.
func (c *clock) nanos(ts uint64) int64 {
	if c.div != 1 { // a division is dear, and rare
		ts /= c.div
	}
	hi, lo := bits.Mul64(ts, c.mul)
	if c.shift > 64 {
		hi, lo = 0, hi>>(c.shift-64)
	} else {
		hi, lo = hi>>c.shift, hi<<(64-c.shift)|lo>>c.shift
	}
	lo, carry := bits.Add64(lo, c.lo, 0)
	hi, _ = bits.Add64(hi, c.hi, carry)
	switch {
	case hi == uint64(int64(lo)>>63): // the upper half only repeats the sign
		return int64(lo)
	case int64(hi) < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// pow10 is 10^n for n up to 19.
func pow10(n uint) uint64 {
	v := uint64(1)
	for range n {
		v *= 10
	}
	return v
}
