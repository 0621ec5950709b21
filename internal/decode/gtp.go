package decode

import "encoding/binary"

// maxGTPExtensions ends a chain of extension headers that leads nowhere: a packet has two or three.
const maxGTPExtensions = 16

// gtpu reads the header of a user packet (3GPP TS 29.281 section 5): version 1, protocol type 1,
// message 255. If one of the flags is set, all three of the fields behind the tunnel endpoint are
// there. The receiver does not look at the spare bit.
//
//	| 001 1 .ESN | 255 | length | endpoint | sequence, N-PDU, next | length .. next | ...
//
// The length counts from behind the endpoint. Other messages, and GTP' and GTP-C, are no tunnels.
func gtpu(b []byte, cut int) inner {
	if len(b) < 8 || b[0]>>4 != 0x3 || b[1] != 255 {
		return inner{}
	}
	in := inner{kind: GTPU, id: binary.BigEndian.Uint32(b[4:])}
	rest, cut := limit(b[8:], cut, int(binary.BigEndian.Uint16(b[2:])))
	in.cut = cut
	if b[0]&0x07 != 0 {
		if len(rest) < 4 {
			return inner{}
		}
		next := rest[3]
		rest = rest[4:]
		if b[0]&0x04 == 0 {
			next = 0 // there, and without meaning
		}
		for n := 0; next != 0; n++ {
			if n == maxGTPExtensions || len(rest) == 0 {
				return inner{}
			}
			size := int(rest[0]) * 4
			if size == 0 || size > len(rest) {
				return inner{}
			}
			next, rest = rest[size-1], rest[size:]
		}
	}
	return in.packet(rest)
}
