package attack

import "math/rand/v2"

// Order is in which islands come.
type Order uint8

const (
	Ascending Order = iota
	Descending
	Random
)

// String is "ascending", "descending" or "random".
func (o Order) String() string { return [...]string{"ascending", "descending", "random"}[o] }

// Islands sends one-byte islands on connections first to first+conns-1, which Handshakes has opened, each in turn:
// n on each, with a byte missing before every one. None of them can be delivered while byte 0 does not come, and
// what a keeper of bytes pays for an island is many times its payload.
//
//	position   0 1 2 3 4 5 6 ...
//	           . x . x . x . ...
func Islands(first uint32, conns, n int, order Order) Frames {
	return Pieces(first, conns, n, 1, 1, order)
}

// FirstByte sends byte 0 on connections first to first+conns-1, which nobody acknowledges: so what comes behind it
// may have reached the receiver, and its holes have an age.
func FirstByte(first uint32, conns int) Frames {
	return func(yield func([]byte) bool) {
		var c connection
		for i := range uint32(conns) {
			if c.become(first + i); !yield(c.at(0, PSH|ACK, 0, 0, []byte{0})) {
				return
			}
		}
	}
}

// Pieces is Islands with pieces of size bytes behind holes of gap bytes; where gap is 0, only the first byte is
// missing.
func Pieces(first uint32, conns, n, size, gap int, order Order) Frames {
	return func(yield func([]byte) bool) {
		places := placesOf(n, order)
		payload := make([]byte, size)
		var c connection
		for _, place := range places {
			pos := 1 + int64(place)*int64(size+gap)
			if gap > 0 {
				pos += int64(gap) - 1
			}
			for i := range uint32(conns) {
				c.become(first + i)
				for k := range payload {
					payload[k] = byte(pos) + byte(k)
				}
				if !yield(c.at(0, PSH|ACK, pos, 0, payload)) {
					return
				}
			}
		}
	}
}

func placesOf(n int, order Order) []int {
	if order == Random {
		return rand.New(rand.NewPCG(1, uint64(n))).Perm(n)
	}
	places := make([]int, n)
	for i := range places {
		places[i] = i
		if order == Descending {
			places[i] = n - 1 - i
		}
	}
	return places
}
