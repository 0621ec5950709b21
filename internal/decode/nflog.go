package decode

import "encoding/binary"

// nflog reads a record of the Linux netfilter log: the family, version 0, a number of the log, and
// attributes, each with length and type in the byte order of the machine that captured, padded to 4
// bytes. A length is small, so that the order shows. The packet is an attribute, and a capture may
// end in it.
//
//	| family | 0 | log | length, type, value .. padding | ... | length, 9, packet
func nflog(b []byte, cut int) (next uint16, rest []byte, left int, status Status) {
	if len(b) < 4 {
		return 0, nil, 0, TruncatedNFLOG
	}
	switch b[0] {
	case 2:
		next = typeIPv4
	case 10:
		next = typeIPv6
	default:
		return 0, nil, 0, NotIP
	}
	const packet = 9
	for b = b[4:]; len(b) >= 4; {
		size, kind := int(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint16(b[2:])
		if kind > 0xff {
			size, kind = int(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint16(b[2:])
		}
		if size < 4 {
			return 0, nil, 0, NotIP
		}
		if kind == packet {
			rest, left = limit(b[4:], cut, size-4)
			return next, rest, max(left, promised(rest)-len(rest)), OK
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return 0, nil, 0, TruncatedNFLOG
}

// promised is the length of the IP packet that b begins with, as its header has it. The kernel copies as
// much of a packet into the log as it was asked for: that the rest is missing, no length around it says.
func promised(b []byte) int {
	switch {
	case len(b) >= ipv4Header && b[0]>>4 == 4:
		return int(binary.BigEndian.Uint16(b[2:]))
	case len(b) >= ipv6Header && b[0]>>4 == 6:
		return ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	}
	return 0
}

// pflog reads the header of the OpenBSD packet filter log: its length, not counting the padding to
// 4 bytes, and the address family, in numbers as they are in null.
func pflog(b []byte) (uint16, []byte, Status) {
	const least = 45
	if len(b) < 4 {
		return 0, nil, TruncatedPFLOG
	}
	size := (int(b[0]) + 3) &^ 3
	if b[0] < least {
		return 0, nil, NotIP
	}
	if len(b) < size {
		return 0, nil, TruncatedPFLOG
	}
	switch b[1] {
	case 2:
		return typeIPv4, b[size:], OK
	case 10, 24, 28, 30:
		return typeIPv6, b[size:], OK
	}
	return 0, nil, NotIP
}

// ipoib reads what captures have before a packet of IP over InfiniBand: 40 bytes of pseudo header,
// and then the EtherType and two bytes reserved (RFC 4391 section 6).
func ipoib(b []byte) (uint16, []byte, Status) {
	if len(b) < 44 {
		return 0, nil, TruncatedIPoIB
	}
	if next := binary.BigEndian.Uint16(b[40:]); next == typeIPv4 || next == typeIPv6 {
		return next, b[44:], OK
	}
	return 0, nil, NotIP
}
