package decode

import "encoding/binary"

// l2tp reads the header of a data message of L2TP version 2 (RFC 2661 section 3.1). Flags say which
// fields there are: L the length, S two sequence numbers, O an offset to the payload. T is set for
// control messages, and the other bits are reserved and ignored on receipt.
//
//	| TL..S.OP .... 0002 | length | tunnel | session | Ns | Nr | offset | padding | PPP
func l2tp(b []byte, cut int) inner {
	if len(b) < 6 {
		return inner{}
	}
	const (
		hasLength   = 0x4000
		hasSequence = 0x0800
		hasOffset   = 0x0200
		control     = 0x8000
		version     = 0x000f
		reserved    = 0x34f0
	)
	flags := binary.BigEndian.Uint16(b)
	if flags&(control|version) != 2 {
		return inner{}
	}
	at := 2
	if flags&hasLength != 0 {
		length := int(binary.BigEndian.Uint16(b[2:]))
		if length > len(b)+cut {
			return inner{}
		}
		b, cut = limit(b, cut, length)
		at = 4
	}
	size := at + 4
	if flags&hasSequence != 0 {
		size += 4
	}
	if flags&hasOffset != 0 {
		if len(b) < size+2 {
			return inner{}
		}
		size += 2 + int(binary.BigEndian.Uint16(b[size:]))
	}
	if len(b) < size {
		return inner{}
	}
	return inner{kind: L2TP, id: binary.BigEndian.Uint32(b[at:]), cut: cut, mustFill: flags&reserved != 0}.ppp(b[size:])
}
