package decode

import "encoding/binary"

// serial reads what runs over a synchronous line: PPP, or Cisco HDLC by its first bytes.
func serial(b []byte) (uint16, []byte, Status) {
	if isHDLC(b) {
		return hdlc(b)
	}
	return ppp(b)
}

// isHDLC reports whether b begins with Cisco's address and control: to one (0F) or to all (8F), and
// 0.
func isHDLC(b []byte) bool { return len(b) >= 2 && b[0]&0x7f == 0x0f && b[1] == 0 }

// hdlc reads a Cisco HDLC header: address, control, and an EtherType. Keep-alives have a type of
// their own. Where the link is known to be one, the address may be any.
func hdlc(b []byte) (uint16, []byte, Status) {
	if len(b) < 4 {
		return 0, nil, TruncatedHDLC
	}
	switch next := binary.BigEndian.Uint16(b[2:]); next {
	case typeIPv4, typeIPv6, typeMPLS, typeMPLSMulticast:
		return next, b[4:], OK
	}
	return 0, nil, NotIP
}

// ppp reads the protocol field of one or two bytes: an odd first byte ends it (RFC 1661 sections 2
// and 6.5). Address and control, FF 03, may be left out (RFC 1661 section 6.6). Label stacks have two
// numbers, as on Ethernet (RFC 3032 section 4.3).
func ppp(b []byte) (uint16, []byte, Status) {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	if len(b) == 0 {
		return 0, nil, TruncatedPPP
	}
	proto, n := uint16(b[0]), 1
	if b[0]&1 == 0 {
		if len(b) < 2 {
			return 0, nil, TruncatedPPP
		}
		proto, n = binary.BigEndian.Uint16(b), 2
	}
	switch proto {
	case 0x21:
		return typeIPv4, b[n:], OK
	case 0x57:
		return typeIPv6, b[n:], OK
	case 0x281:
		return typeMPLS, b[n:], OK
	case 0x283:
		return typeMPLSMulticast, b[n:], OK
	}
	return 0, nil, NotIP
}

// pppoe reads a session header (RFC 2516 section 4) and the PPP header behind it. Its length keeps
// the padding of the Ethernet frame out.
func pppoe(b []byte, cut int) (session uint32, next uint16, rest []byte, left int, status Status) {
	if len(b) < 6 {
		return 0, 0, nil, 0, TruncatedPPPoE
	}
	if b[0] != 0x11 || b[1] != 0 {
		return 0, 0, nil, 0, NotIP // version 1, type 1, and a code that is not that of a session
	}
	rest, left = limit(b[6:], cut, int(binary.BigEndian.Uint16(b[4:])))
	next, rest, status = ppp(rest)
	return uint32(binary.BigEndian.Uint16(b[2:])), next, rest, left, status
}
