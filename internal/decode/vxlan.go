package decode

import "encoding/binary"

// vxlan reads a VXLAN header (RFC 7348 section 5). What is reserved must be zero, which tells it
// from most other things on the port. Group policy, an extension in wide use, has a flag and 16
// bits there:
//
//	| G...I... .D..A... group | network id | 0 |
func vxlan(b []byte, cut int) inner {
	if len(b) < 8 {
		return inner{}
	}
	first, second := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if first>>31 == 1 {
		first &^= 0x8048ffff
	}
	if first != 0x08000000 || second&0xff != 0 {
		return inner{}
	}
	return inner{kind: VXLAN, id: second >> 8, cut: cut}.frame(b[8:])
}

// vxlanGPE reads the generic variant: 2 bits of version, flags I (there is a network id), P (the
// next protocol is named), B (broadcast) and O (not data, but maintenance).
//
//	| ..VVIPBO 0000 next | network id | 0 |
func vxlanGPE(b []byte, cut int) inner {
	if len(b) < 8 {
		return inner{}
	}
	first, second := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	const (
		named     = 0x04000000
		broadcast = 0x02000000
	)
	if first&^(named|broadcast|0xff) != 0x08000000 || second&0xff != 0 {
		return inner{}
	}
	in := inner{kind: VXLANGPE, id: second >> 8, cut: cut, b: b[8:]}
	switch {
	case first&named == 0 && first&0xff == 0, first&named != 0 && first&0xff == 3:
		return in.frame(b[8:])
	case first&named == 0:
		return inner{}
	}
	switch first & 0xff {
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
