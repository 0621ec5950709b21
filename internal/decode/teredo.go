package decode

import "encoding/binary"

// teredo reads what may stand before an IPv6 packet in UDP (RFC 4380 section 5.1.1): an
// authentication header with two lengths, and an origin indication, both optional, in this order.
//
//	| 00 01 | lengths | client, value | nonce, confirmation |   | 00 00 | port, address |   | 6. ... IPv6
//
// The packet must fill the datagram, and one of its addresses must be a Teredo one, or the source a
// link-local one, as that of a client that does not have its address yet.
func teredo(b []byte, cut int) inner {
	if len(b) >= 4 && b[0] == 0 && b[1] == 1 {
		size := 13 + int(b[2]) + int(b[3])
		if len(b) < size {
			return inner{}
		}
		b = b[size:]
	}
	if len(b) >= 8 && b[0] == 0 && b[1] == 0 {
		b = b[8:]
	}
	if len(b) < ipv6Header || b[0]>>4 != 6 || int(binary.BigEndian.Uint16(b[4:]))+ipv6Header != len(b)+cut {
		return inner{}
	}
	const prefix = 0x20010000
	src, dst := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[24:])
	if src != prefix && dst != prefix && src>>22 != 0xfe80>>6 {
		return inner{}
	}
	return inner{kind: Teredo, cut: cut, next: typeIPv6, b: b}
}
