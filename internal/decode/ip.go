package decode

import "encoding/binary"

const (
	ipv4Header = 20
	ipv6Header = 40
)

// Mapped is the low word of ::ffff:0.0.0.0, under which an IPv4 address stands in a Packet.
const Mapped = 0x0000ffff_00000000

// ipv4 reads an IPv4 header (RFC 791 section 3.1): the protocol of what follows, and its bytes,
// padding gone.
func ipv4(p *Packet, b []byte, cut int) (uint8, []byte, int, Status) {
	if len(b) < ipv4Header {
		return 0, nil, 0, TruncatedIPv4
	}
	h := b[:ipv4Header:ipv4Header]
	if h[0]>>4 != 4 {
		return 0, nil, 0, BadIPVersion
	}
	size := int(h[0]&0x0f) * 4
	if size < ipv4Header {
		return 0, nil, 0, BadIPv4Header
	}
	// Length 0 is what segmentation offload leaves in frames captured on the sender: all of the
	// frame.
	total := int(binary.BigEndian.Uint16(h[2:]))
	switch {
	case total == 0:
		p.noLength = true
		total = len(b) + cut
	case total < size:
		return 0, nil, 0, BadIPv4Length
	case total <= len(b):
		b, cut = b[:total], 0
	default:
		if cut = p.missing(b, cut, total); p.Long {
			p.Long = size > len(b) || sum16(b[:size]) == 0xffff || h[10]|h[11] == 0
		}
	}
	if size > len(b) {
		return 0, nil, 0, TruncatedIPv4
	}
	p.Family, p.IPLen = 4, uint32(total)
	p.SrcLo = Mapped | uint64(binary.BigEndian.Uint32(h[12:]))
	p.DstLo = Mapped | uint64(binary.BigEndian.Uint32(h[16:]))
	proto := h[9]
	p.Proto = proto
	b = b[size:]
	p.before = uint16(size)
	if place := binary.BigEndian.Uint16(h[6:]); place&0x3fff != 0 {
		status := fragment(p, proto, uint32(binary.BigEndian.Uint16(h[4:])), place<<3, place&0x2000 != 0, b, cut)
		if status != OK {
			return 0, nil, 0, status
		}
	}
	if proto == protoAH {
		at := cap(b)
		proto, b, cut, status := extensions(p, proto, b, cut, false)
		p.before += uint16(at - cap(b)) // a frame holds no more than 16 of them, of 1 KiB
		return proto, b, cut, status
	}
	return proto, b, cut, OK
}

// ipv6 reads an IPv6 header (RFC 8200 section 3) and the extension headers behind it.
func ipv6(p *Packet, b []byte, cut int) (uint8, []byte, int, Status) {
	if len(b) < ipv6Header {
		return 0, nil, 0, TruncatedIPv6
	}
	h := b[:ipv6Header:ipv6Header]
	if h[0]>>4 != 6 {
		return 0, nil, 0, BadIPVersion
	}
	p.Family = 6
	p.FlowLabel = binary.BigEndian.Uint32(h) & 0xfffff
	p.SrcHi, p.SrcLo = binary.BigEndian.Uint64(h[8:]), binary.BigEndian.Uint64(h[16:])
	p.DstHi, p.DstLo = binary.BigEndian.Uint64(h[24:]), binary.BigEndian.Uint64(h[32:])
	proto := h[6]
	p.Proto = proto
	b = b[ipv6Header:]
	// Length 0 is a jumbogram (RFC 2675) or segmentation offload: the rest of the frame.
	p.IPLen = ipv6Header + uint32(binary.BigEndian.Uint16(h[4:]))
	switch size := int(binary.BigEndian.Uint16(h[4:])); {
	case size == 0:
		p.IPLen = uint32(ipv6Header + len(b) + cut)
	case size <= len(b):
		b, cut = b[:size], 0
	default:
		cut = p.missing(b, cut, size)
	}
	if isExtension(proto) {
		return extensions(p, proto, b, cut, true)
	}
	return proto, b, cut, OK
}

// missing is how many bytes the frame does not hold of a packet of n bytes, of which b are there and cut
// more were on the wire: no more than those. That the length goes beyond is noted, and whether that is a
// reason to refuse the packet. It is none inside a tunnel, where a mirror may have cut the packet before
// it filled the tunnel, nor under a link header with a length of its own, of which the shorter one counts.
func (p *Packet) missing(b []byte, cut, n int) int {
	if n > len(b)+cut {
		p.Options = OptBadLength
		p.Long = cut == 0 && !p.InTunnel && !p.underLength
		return cut
	}
	return n - len(b)
}
