package decode

import "encoding/binary"

const typeHSR = 0x892f

// hsr skips the tag that a ring for seamless redundancy puts behind the addresses (HSR, IEC 62439-3
// section 5): a path and a length, a number, and the type of what follows. Each frame is sent both ways
// round, so a capture may have it twice. The length is not needed: IP has its own. The parallel networks of
// the same standard (PRP) put a trailer behind the packet instead, where padding is.
//
//	dst MAC, src MAC | 892F | path, length | number | 0800 | IP
func hsr(b []byte) (next uint16, rest []byte, status Status) {
	if len(b) < 6 {
		return 0, nil, TruncatedHSR
	}
	if next = binary.BigEndian.Uint16(b[4:]); next == typeHSR {
		return 0, nil, NotIP // a frame has one
	}
	return next, b[6:], OK
}
