package decode

import "encoding/binary"

// vxlan reads a VXLAN header: the flag I has to be set, and the rest but the network is reserved, and
// ignored on receipt (RFC 7348 section 5). Group policy, an extension in wide use, has a flag and 16
// bits there:
//
//	| G...I... .D..A... group | network id | reserved |
func vxlan(b []byte, cut int) inner {
	if len(b) < 8 {
		return inner{}
	}
	first, second := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if first>>31 == 1 {
		first &^= 0x8048ffff
	}
	if first&0x08000000 == 0 {
		return inner{}
	}
	reserved := first != 0x08000000 || second&0xff != 0
	return inner{kind: VXLAN, id: second >> 8, cut: cut, mustFill: reserved}.frame(b[8:])
}

// vxlanGPE reads the generic variant (draft-ietf-nvo3-vxlan-gpe section 3): 2 bits of version, flags
// I (there is a network id), P (the next protocol is named), B (broadcast) and O (not data, but
// maintenance). The rest is ignored on receipt; without P the header is that of VXLAN, and the next
// protocol is a part of the rest.
//
//	| ..VVIPBO reserved next | network id | reserved |
func vxlanGPE(b []byte, cut int) inner {
	if len(b) < 8 {
		return inner{}
	}
	first, second := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	const (
		version     = 0x30000000
		network     = 0x08000000
		named       = 0x04000000
		maintenance = 0x01000000
		reserved    = 0xc0ffff00
	)
	if first&(version|network|maintenance) != network {
		return inner{}
	}
	in := inner{kind: VXLANGPE, id: second >> 8, cut: cut, b: b[8:]}
	in.mustFill = first&reserved != 0 || second&0xff != 0
	if first&named == 0 {
		in.mustFill = in.mustFill || first&0xff != 0
		return in.frame(b[8:])
	}
	switch first & 0xff {
	case 3:
		return in.frame(b[8:])
	case 1:
		in.next = typeIPv4
	case 2:
		in.next = typeIPv6
	case 5:
		in.next = typeMPLS
	default:
		return inner{}
	}
	return in
}
