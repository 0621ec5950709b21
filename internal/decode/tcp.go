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
	if size > tcpHeader {
		o := ReadTCPOptions(b[tcpHeader:size])
		p.Options |= o.Options
		p.Timestamp = o.Timestamp
		if h[13]&(SYN|RST) != 0 {
			p.TimestampEcho = o.TimestampEcho
		}
		if h[13]&SYN != 0 {
			p.WindowScale, p.HasWindowScale = o.WindowScale, o.HasWindowScale
		}
	}
	p.Payload, p.Missing = b[size:len(b):len(b)], cut
	return OK
}

// TCPOptions are the TCP options that decide what a receiver makes of a segment.
type TCPOptions struct {
	Timestamp      uint32 // TSval, with OptTimestamps
	TimestampEcho  uint32 // TSecr, likewise
	Options        uint8
	WindowScale    uint8 // 0 to 14; means something on a SYN
	HasWindowScale bool
}

// Bits of TCPOptions.Options.
const (
	OptSACKPermitted = 1 << iota // RFC 2018 section 2
	OptTimestamps                // RFC 7323 section 3
	OptMD5                       // RFC 2385
	OptAO                        // RFC 5925
	OptBadLength                 // no option: the IP length goes beyond what was on the wire, or in the tunnel
)

// ReadTCPOptions reads TCP options. Kind 0 ends the list, kind 1 stands alone, and every other has a
// length; one that cannot be ends the walk (RFC 9293 section 3.2). Shifts above 14 count as 14 (RFC 7323
// section 2.3).
func ReadTCPOptions(o []byte) TCPOptions {
	switch len(o) {
	case 12, 24, 32, 40: // padding, timestamps, and perhaps padding and selective ACKs: nearly all segments
		if binary.BigEndian.Uint32(o) == 0x0101080a &&
			(len(o) == 12 || binary.BigEndian.Uint32(o[12:]) == 0x01010500+uint32(len(o)-14)) {
			return TCPOptions{Options: OptTimestamps, Timestamp: binary.BigEndian.Uint32(o[4:]), TimestampEcho: binary.BigEndian.Uint32(o[8:])}
		}
	case 20: // largest segment, SACK permitted, timestamps, padding, window scale: most SYNs
		if o[0] == 2 && o[1] == 4 && binary.BigEndian.Uint32(o[4:]) == 0x0402080a && binary.BigEndian.Uint32(o[16:])>>8 == 0x010303 {
			return TCPOptions{
				Options: OptSACKPermitted | OptTimestamps, Timestamp: binary.BigEndian.Uint32(o[8:]), TimestampEcho: binary.BigEndian.Uint32(o[12:]),
				WindowScale: min(o[19], 14), HasWindowScale: true,
			}
		}
	}
	return walkTCPOptions(o)
}

// walkTCPOptions is ReadTCPOptions for options in any order.
func walkTCPOptions(o []byte) (r TCPOptions) {
	for len(o) > 0 && o[0] != 0 {
		if o[0] == 1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			break
		}
		switch size := o[1]; {
		case o[0] == 3 && size == 3:
			r.WindowScale, r.HasWindowScale = min(o[2], 14), true
		case o[0] == 4 && size == 2:
			r.Options |= OptSACKPermitted
		case o[0] == 8 && size == 10:
			r.Options |= OptTimestamps
			r.Timestamp, r.TimestampEcho = binary.BigEndian.Uint32(o[2:]), binary.BigEndian.Uint32(o[6:])
		case o[0] == 19 && size == 18:
			r.Options |= OptMD5
		case o[0] == 29 && size >= 4:
			r.Options |= OptAO
		}
		o = o[o[1]:]
	}
	return r
}
