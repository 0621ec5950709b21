package decode

import "encoding/binary"

const tcpHeader = 20

// tcp reads a TCP header (RFC 9293 section 3.1). Options that the capture cut off are missing, and
// no reason to refuse: then the payload is missing as a whole.
func tcp(p *Packet, b []byte, cut int) Status {
	if len(b) < tcpHeader {
		return TruncatedTCP
	}
	h := b[:tcpHeader:tcpHeader]
	size := int(h[12]>>4) * 4
	if size < tcpHeader || size > len(b)+cut {
		return BadTCPOffset
	}
	p.fromTransport = uint32(cap(b))
	p.SrcPort, p.DstPort = binary.BigEndian.Uint16(h), binary.BigEndian.Uint16(h[2:])
	p.Seq, p.Ack = binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])
	p.Flags = h[13]
	p.Window, p.Urgent = binary.BigEndian.Uint16(h[14:]), binary.BigEndian.Uint16(h[18:])
	if size > len(b) {
		cut -= size - len(b)
		size = len(b)
	}
	if h[13]&SYN != 0 && size > tcpHeader {
		p.WindowScale, p.HasWindowScale = WindowScale(b[tcpHeader:size])
	}
	p.Payload, p.Missing = b[size:len(b):len(b)], cut
	return OK
}

// WindowScale looks for the window scale in TCP options (RFC 7323 section 2.2); it is valid on SYN
// segments only. Kind 0 ends the list, kind 1 stands alone, and every other has a length; one that
// cannot be ends the walk (RFC 9293 section 3.2). Shifts above 14 count as 14 (RFC 7323 section
// 2.3).
func WindowScale(o []byte) (shift uint8, ok bool) {
	for len(o) > 0 && o[0] != 0 {
		if o[0] == 1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			break
		}
		if o[0] == 3 && o[1] == 3 {
			shift, ok = min(o[2], 14), true
		}
		o = o[o[1]:]
	}
	return shift, ok
}
