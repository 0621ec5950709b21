package decode

import "encoding/binary"

const (
	protoICMP    = 1
	protoIPv4    = 4
	protoTCP     = 6
	protoUDP     = 17
	protoIPv6    = 41
	protoGRE     = 47
	protoICMPv6  = 58
	protoEtherIP = 97
	protoSCTP    = 132
	protoMPLS    = 137
)

const udpHeader = 8

// transport reads the transport header and sets the payload. ICMP is what the number says, over
// either IP.
func transport(p *Packet, proto uint8, b []byte, cut int) Status {
	if p.Long && proto != protoTCP {
		return LongPacket
	}
	switch proto {
	case protoTCP:
		return tcp(p, b, cut)
	case protoUDP:
		p.fromTransport = uint32(cap(b))
		return udp(p, b, cut)
	case protoICMP, protoICMPv6:
		return icmp(p, proto, b, cut)
	case protoSCTP:
		if len(b) < 12 {
			return TruncatedSCTP
		}
		ports(p, b)
		p.fromTransport = uint32(cap(b))
		b = b[12:]
	default:
		p.fromTransport = uint32(cap(b))
	}
	p.Payload, p.Missing = b[:len(b):len(b)], cut
	return OK
}

func ports(p *Packet, b []byte) {
	p.SrcPort, p.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
}

// udp reads a UDP header (RFC 768). Its length may cut the payload shorter than IP does: what is behind is
// no part of the datagram. It may promise more where IP has only a part of it: in the first fragment, and
// where the IP length goes beyond the frame. Where it promises more than a whole packet has, receivers
// drop the datagram: it is a packet of its ports without payload. Below 8 the length denies the header.
// Length 0 over IPv6 is all of the packet: jumbograms have it (RFC 2675 section 4), and Linux takes any.
// Over IPv4 it is wrong, unless the IP length is 0 as well, as segmentation offload leaves both.
func udp(p *Packet, b []byte, cut int) Status {
	if len(b) < 8 {
		return TruncatedUDP
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < 8 && (length != 0 || p.Family == 4 && !p.noLength) {
		return BadUDPLength
	}
	ports(p, b)
	switch {
	case length == 0:
	case length <= len(b):
		b, cut = b[:length], 0
	case length > len(b)+cut && !p.Fragmented && p.Options&OptBadLength == 0:
		b, cut = b[:8], 0
	default:
		cut = min(cut, length-len(b))
	}
	p.Payload, p.Missing = b[8:len(b):len(b)], cut
	return OK
}

// icmp reads type, code and the identifier of the messages that have one (RFC 792, RFC 950, RFC
// 4443).
func icmp(p *Packet, proto uint8, b []byte, cut int) Status {
	if len(b) < 4 {
		return TruncatedICMP
	}
	p.ICMPType, p.ICMPCode = b[0], b[1]
	if len(b) < 8 {
		p.Payload, p.Missing = b[len(b):len(b):len(b)], max(len(b)+cut-8, 0)
		return OK
	}
	p.fromTransport = uint32(cap(b))
	if hasIdentifier(proto, b[0]) {
		id := binary.BigEndian.Uint16(b[4:])
		p.SrcPort, p.DstPort = id, id
	}
	p.Payload, p.Missing = b[8:len(b):len(b)], cut
	return OK
}

func hasIdentifier(proto, kind uint8) bool {
	if proto == protoICMPv6 {
		return kind == 128 || kind == 129 // echo
	}
	switch kind {
	case 0, 8, 13, 14, 15, 16, 17, 18: // echo, timestamp, information, address mask
		return true
	}
	return false
}
