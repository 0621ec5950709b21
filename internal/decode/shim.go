package decode

import "encoding/binary"

// shim peels what may stand between the link header and IP: a VLAN tag, LLC, a tag of redundancy, and if w
// allows it what a provider puts around a frame.
func shim(p *Packet, next uint16, b []byte, cut int, w *Peeler) (uint16, []byte, int, Status) {
	var status Status
	switch {
	case isVLAN(next):
		next, b, status = vlan(p, b)
	case next <= maxLength:
		next, b, status = llc(b)
	case next == typeHSR:
		next, b, status = hsr(b)
	case w != nil:
		return w.provider(p, next, b, cut)
	default:
		status = NotIP
	}
	return next, b, cut, status
}

// EtherTypes of headers that carry a frame or packet of a customer.
const (
	typeMPLS          = 0x8847
	typeMPLSMulticast = 0x8848 // upstream-assigned labels, since RFC 5332
	typePPPoE         = 0x8864 // sessions; 0x8863 is discovery
	typePBB           = 0x88e7
	typeVNTag         = 0x8926
)

func (w *Peeler) provider(p *Packet, next uint16, b []byte, cut int) (uint16, []byte, int, Status) {
	var kind Tunnel
	switch next {
	case typeMPLS, typeMPLSMulticast:
		kind = MPLS
	case typePPPoE:
		kind = PPPoE
	case typePBB:
		kind = PBB
	case typeVNTag:
		kind = VNTag
	}
	if w.peel&tunnelPeel[kind] == 0 {
		return 0, nil, 0, NotIP
	}
	if p.Tunnels >= w.depth {
		*p = Packet{}
		return 0, nil, 0, TooManyTunnels
	}
	var id uint32
	var status Status
	switch kind {
	case MPLS:
		in, status := w.mpls(p, b, cut)
		if in.ethernet {
			p.InnerEthernet = uint32(cap(in.b) + ethernetHeader)
		}
		return in.next, in.b, in.cut, status
	case PPPoE:
		id, next, b, cut, status = pppoe(b, cut)
		p.underLength = status == OK
	case PBB:
		id, next, b, status = pbb(p, b)
		p.InnerEthernet = uint32(cap(b) + ethernetHeader)
	default:
		next, b, status = vnTag(b)
	}
	if status == OK {
		p.addTunnel(kind, id)
	}
	return next, b, cut, status
}

// pbb reads the service tag of 802.1ah (IEEE 802.1Q section 9.7): 8 bits of priority and the like,
// 24 of service instance, and then the customer's frame from its addresses on.
func pbb(p *Packet, b []byte) (id uint32, next uint16, rest []byte, status Status) {
	if len(b) < 4+ethernetHeader {
		return 0, 0, nil, TruncatedPBB
	}
	p.VLAN, p.VLANs = 0, 0
	return binary.BigEndian.Uint32(b) & 0xffffff, binary.BigEndian.Uint16(b[16:]), b[4+ethernetHeader:], OK
}

// vnTag reads a tag that names two virtual interfaces. They trade places on the way back, so they
// are no identifier of a conversation.
func vnTag(b []byte) (next uint16, rest []byte, status Status) {
	if len(b) < 6 {
		return 0, nil, TruncatedVNTag
	}
	return binary.BigEndian.Uint16(b[4:]), b[6:], OK
}
