package attack

import "encoding/binary"

// Fragments4 sends pieces of n IPv4 datagrams, none of which is ever complete: size bytes of each, rounded down to a
// multiple of 8, in pieces of at most 1,480. Of every other datagram the end is missing, of the rest the beginning.
func Fragments4(n, size int) Frames {
	return func(yield func([]byte) bool) {
		var w wire
		for i := range uint32(n) {
			e := Connection(i)
			for off, size := 0, size&^7; off < size; off += 1480 {
				piece := min(1480, size-off)
				at, more := place(i, off, off+piece == size)
				f, ip, rest := w.ip4(e.Client, e.Server, 17, piece)
				clear(rest)
				binary.BigEndian.PutUint16(ip[4:], uint16(i))
				binary.BigEndian.PutUint16(ip[6:], more<<13|at>>3)
				if !yield(f) {
					return
				}
			}
		}
	}
}

// Fragments6 is Fragments4 over IPv6 (RFC 8200 section 4.5), in pieces of at most 1,448.
func Fragments6(n, size int) Frames {
	return func(yield func([]byte) bool) {
		buf := make([]byte, ethernet+ipv6+8+1448)
		copy(buf, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x86\xdd")
		ip := buf[ethernet:]
		ip[0], ip[6], ip[7] = 0x60, 44, 64 // version, fragment header, hop limit
		ip[8], ip[24] = 0xfd, 0xfd
		ip[40] = 17 // UDP behind the fragment header
		for i := range uint32(n) {
			e := Connection(i)
			for off, size := 0, size&^7; off < size; off += 1448 {
				piece := min(1448, size-off)
				at, more := place(i, off, off+piece == size)
				binary.BigEndian.PutUint16(ip[4:], uint16(8+piece))
				binary.BigEndian.PutUint32(ip[20:], e.Client)
				binary.BigEndian.PutUint32(ip[36:], e.Server)
				binary.BigEndian.PutUint16(ip[42:], at|more)
				binary.BigEndian.PutUint32(ip[44:], i)
				if !yield(buf[:ethernet+ipv6+8+piece]) {
					return
				}
			}
		}
	}
}

// place is where a piece of datagram i lies, in bytes, and whether it says that more follow.
func place(i uint32, off int, last bool) (at, more uint16) {
	switch {
	case i%2 == 0:
		return uint16(off), 1
	case last:
		return uint16(off + 8), 0
	}
	return uint16(off + 8), 1
}
