package decode

import "encoding/binary"

// Protocol types that GRE has of its own, or for its own sake.
const (
	typeEthernet  = 0x6558
	typePPP       = 0x880b
	typeERSPAN    = 0x88be // types I and II
	typeERSPAN3   = 0x22eb
	greChecksum   = 0x8000
	greKey        = 0x2000
	greSequence   = 0x1000
	greAck        = 0x0080 // version 1
	greMustBeZero = 0x4c00 // routing, strict route, and the first bit of recursion: RFC 2784 section 2.3
	greHas        = greChecksum | greKey | greSequence
)

// gre reads a GRE header (RFC 2784, with key and sequence number of RFC 2890):
//
//	| C.KS 0..... version | protocol | checksum .... | key | sequence |
//
// The 7 bits before the version are reserved and ignored on receipt (RFC 2784 section 2.3).
func gre(b []byte, cut int) inner {
	if len(b) < 4 {
		return inner{}
	}
	flags, proto := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if flags&7 == 1 {
		return pptp(b, cut, flags, proto)
	}
	if flags&7 != 0 || flags&greMustBeZero != 0 {
		return inner{}
	}
	size := 4
	if flags&greChecksum != 0 {
		size += 4
	}
	keyAt := size
	if flags&greKey != 0 {
		size += 4
	}
	if flags&greSequence != 0 {
		size += 4
	}
	if len(b) < size {
		return inner{}
	}
	in := inner{kind: GRE, cut: cut}
	if flags&greKey != 0 {
		in.id = binary.BigEndian.Uint32(b[keyAt:])
	}
	return in.greProtocol(b[size:], flags, proto)
}

// greInUDP reads a GRE header in UDP (RFC 8086 section 3.2): version 0.
func greInUDP(b []byte, cut int) inner {
	in := gre(b, cut)
	if in.kind == PPTP {
		return inner{}
	}
	in.mustFill = in.kind != NoTunnel && (b[0]&0x03 != 0 || b[1] != 0)
	return in
}

func (in inner) greProtocol(b []byte, flags, proto uint16) inner {
	switch proto {
	case typeERSPAN:
		if flags&greSequence == 0 {
			return inner{kind: ERSPAN, cut: in.cut}.frame(b) // type I has no header
		}
		return erspan2(b, in.cut)
	case typeERSPAN3:
		return erspan3(b, in.cut)
	case typePPP:
		return in.ppp(b)
	case typeEthernet:
		// A virtual subnet of NVGRE is 0x1000 at least, and 8 bits of flow follow it in the key
		// (RFC 7637 sections 3.2 and 3.3). A smaller key of some other kind of Ethernet over GRE is
		// not taken apart.
		if flags&greHas == greKey && in.id >= 0x1000<<8 {
			in.kind, in.id = NVGRE, in.id>>8
		}
		return in.frame(b)
	}
	if proto <= maxLength {
		return inner{}
	}
	in.next, in.b = proto, b
	return in
}

// pptp reads the GRE header of version 1 (RFC 2637 section 4.1), whose key is the length of the
// payload and the call. Without a sequence number it is an acknowledgement and carries nothing. The
// RFC does not tell receivers to ignore the flags that must be zero.
//
//	| ..KS 0... A.... 1 | 880B | length | call | sequence | acknowledgement | PPP
func pptp(b []byte, cut int, flags, proto uint16) inner {
	if flags&^(greSequence|greAck) != greKey|1 || flags&greSequence == 0 || proto != typePPP {
		return inner{}
	}
	size := 12
	if flags&greAck != 0 {
		size = 16
	}
	if len(b) < size {
		return inner{}
	}
	in := inner{kind: PPTP, id: uint32(binary.BigEndian.Uint16(b[6:]))}
	rest, cut := limit(b[size:], cut, int(binary.BigEndian.Uint16(b[4:])))
	in.cut = cut
	return in.ppp(rest)
}

// erspan2 reads the header of type II: 4 bits of version 1, the VLAN, class and flags, 10 bits of
// session, and 32 bits of port.
func erspan2(b []byte, cut int) inner {
	if len(b) < 8 || b[0]>>4 != 1 {
		return inner{}
	}
	return inner{kind: ERSPAN, id: uint32(binary.BigEndian.Uint16(b[2:]) & 0x3ff), cut: cut}.frame(b[8:])
}

// erspan3 reads the header of type III: as type II, with version 2, a time stamp, a group, and 16
// bits that say what kind of frame follows (Ethernet 0, IP 2) and in the last one whether 8 more
// bytes stand before it.
func erspan3(b []byte, cut int) inner {
	if len(b) < 12 || b[0]>>4 != 2 {
		return inner{}
	}
	in := inner{kind: ERSPAN, id: uint32(binary.BigEndian.Uint16(b[2:]) & 0x3ff), cut: cut}
	last := binary.BigEndian.Uint16(b[10:])
	b = b[12:]
	if last&1 != 0 {
		if len(b) < 8 {
			return inner{}
		}
		b = b[8:]
	}
	switch last >> 10 & 0x1f {
	case 0:
		return in.frame(b)
	case 2:
		return in.packet(b)
	}
	return inner{}
}
