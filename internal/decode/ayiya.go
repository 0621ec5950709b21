package decode

// ayiya reads the header of Anything In Anything (draft-massar-v6ops-ayiya section 3):
//
//	| identity length, type | signature length, hash | authentication, operation | next | time | identity | signature
//
// Lengths are a power of two bytes, and a number of words. Of the operations, 1 and 3 carry a packet.
func ayiya(b []byte, cut int) inner {
	if len(b) < 8 {
		return inner{}
	}
	identity, signature, operation := b[0]&0x0f, b[1]&0x0f, b[2]&0x0f
	if identity > 2 || signature > 3 || b[2]>>4 > 2 || operation != 1 && operation != 3 {
		return inner{}
	}
	size := 8 + 1<<(b[0]>>4) + int(b[1]>>4)*4
	if len(b) < size {
		return inner{}
	}
	in := inner{kind: AYIYA, cut: cut, b: b[size:]}
	switch b[3] {
	case protoIPv4:
		in.next = typeIPv4
	case protoIPv6:
		in.next = typeIPv6
	default:
		return inner{}
	}
	return in
}
