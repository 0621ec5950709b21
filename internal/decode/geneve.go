package decode

import "encoding/binary"

// geneve reads a Geneve header (RFC 8926 section 3.4): version 0, the length of the options in
// words, flags O (not data, but control) and C, the protocol, and the network. The options must
// fill their length exactly. What is reserved is ignored on receipt, here and in an option.
//
//	| 00 length | OC...... | protocol | network id | reserved | options
func geneve(b []byte, cut int) inner {
	if len(b) < 8 || b[0]>>6 != 0 || b[1]&0x80 != 0 {
		return inner{}
	}
	size := 8 + int(b[0]&0x3f)*4
	if len(b) < size {
		return inner{}
	}
	for o := b[8:size]; len(o) > 0; {
		// Class, type, and the length in words of what follows (section 3.5).
		n := 4 + int(o[3]&0x1f)*4
		if n > len(o) {
			return inner{}
		}
		o = o[n:]
	}
	in := inner{kind: Geneve, id: binary.BigEndian.Uint32(b[4:]) >> 8, cut: cut, next: binary.BigEndian.Uint16(b[2:])}
	if in.next == typeEthernet {
		return in.frame(b[size:])
	}
	if in.next <= maxLength {
		return inner{}
	}
	in.b = b[size:]
	return in
}
