package decode

import "encoding/binary"

// inner is what a tunnel header leads to. The zero value says that it was no tunnel header.
type inner struct {
	b        []byte // what the tunnel carries, behind its own header and an Ethernet or PPP header
	cut      int
	id       uint32
	also     Peel   // what was peeled beside the tunnel itself
	next     uint16 // what b begins with
	kind     Tunnel
	ethernet bool // an Ethernet header was passed: its tags count, not those outside
	mustFill bool // the header says little: an IP packet has to fill what the tunnel carries
}

// readInnermost goes from tunnel to tunnel, each header once. p holds a packet read to its payload;
// it is replaced by the packet that the payload carries, and so on. A tunnel is believed if there
// is an IP header inside:
//
//	outer IP | UDP 4789 | VXLAN | Ethernet | IP ...   p is the inner packet, whatever is wrong behind its IP header
//	outer IP | UDP 4789 | VXLAN | Ethernet | ARP      p stays the outer packet
//	outer IP | UDP 4789 | something else              p stays the outer packet
//
// What is reserved in a tunnel header is ignored where its RFC tells receivers so. Zeros there also
// tell a tunnel from other traffic on its port. Without them the evidence is the IP header inside:
// its length has to be that of all the tunnel carries.
//
// A fragment is not looked into: its payload is not whole.
func (w *Peeler) readInnermost(p *Packet) Status {
	for !p.Fragmented && w.mayHoldTunnel(p) {
		in := w.readTunnel(p)
		if in.kind == NoTunnel {
			return OK
		}
		outer := *p
		*p = Packet{Peeled: outer.Peeled, Tunnel: outer.Tunnel, TunnelID: outer.TunnelID, Network: outer.Network,
			NetworkID: outer.NetworkID, Tunnels: outer.Tunnels, InTunnel: true}
		if !in.ethernet {
			p.VLAN, p.VLANs = outer.VLAN, outer.VLANs
		}
		p.addTunnel(in.kind, in.id)
		p.Peeled |= in.also
		if in.ethernet {
			p.InnerEthernet = uint32(cap(in.b) + ethernetHeader)
		}
		status := w.readInner(p, in)
		switch {
		case status == TooManyTunnels, p.Family != 0 && p.Tunnels > w.depth:
			*p = Packet{}
			return TooManyTunnels
		case p.Family == 0:
			*p = outer
			return OK
		}
		// The payload of outer had no capacity to spare, and what was counted back from its end is
		// to be counted back from the end of the frame.
		if p.fromTransport != 0 {
			p.fromTransport += outer.afterPayload()
		}
		if p.InnerEthernet != 0 {
			p.InnerEthernet += outer.afterPayload()
		} else {
			p.InnerEthernet = outer.InnerEthernet
		}
		if status != OK {
			return status
		}
	}
	return OK
}

// readInner reads what a tunnel carries up to the transport.
func (w *Peeler) readInner(p *Packet, in inner) Status {
	next, b, cut, status := in.next, in.b, in.cut, OK
	for next != typeIPv4 && next != typeIPv6 {
		if next, b, cut, status = shim(p, next, b, cut, w); status != OK {
			return status
		}
	}
	if in.mustFill && !fills(next, b, cut) {
		return NotIP
	}
	var proto uint8
	if next == typeIPv4 {
		proto, b, cut, status = ipv4(p, b, cut)
	} else {
		proto, b, cut, status = ipv6(p, b, cut)
	}
	if status != OK {
		return status
	}
	return transport(p, proto, b, cut)
}

// maxPadding is what an Ethernet frame of the least size carries (RFC 894): behind a shorter packet
// there is padding.
const maxPadding = 46

// fills reports whether b begins with an IP header whose length is that of b, padding aside. Length
// 0, of offloaded segments, says nothing.
func fills(next uint16, b []byte, cut int) bool {
	size := 0
	switch {
	case next == typeIPv4 && len(b) >= ipv4Header:
		size = int(binary.BigEndian.Uint16(b[2:]))
	case next == typeIPv6 && len(b) >= ipv6Header:
		size = ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	}
	whole := len(b) + cut
	return size == whole || size != 0 && size < whole && whole <= maxPadding
}

// afterPayload is the number of bytes between the end of the payload and the end of the frame.
func (p *Packet) afterPayload() uint32 {
	before := uint32(len(p.Payload))
	if p.Proto == protoUDP {
		before += udpHeader
	}
	return p.fromTransport - before
}

// readTunnel reads the tunnel header that the packet carries.
func (w *Peeler) readTunnel(p *Packet) inner {
	b, cut := p.Payload, p.Missing
	switch p.Proto {
	case protoUDP:
		return w.overUDP(p)
	case protoIPv4:
		return inner{b: b, cut: cut, next: typeIPv4, kind: IPIP}
	case protoIPv6:
		return inner{b: b, cut: cut, next: typeIPv6, kind: IPIP}
	case protoGRE:
		return gre(b, cut)
	case protoEtherIP:
		return etherIP(b, cut)
	case protoMPLS:
		return w.mplsInIP(b, cut)
	}
	return inner{}
}

// overUDP asks the ports, the destination's first: it is the one that the sender of a tunnel chose.
func (w *Peeler) overUDP(p *Packet) inner {
	for _, number := range [...]uint16{p.DstPort, p.SrcPort} {
		for _, port := range w.ports {
			if port.Number != number {
				continue
			}
			if in := w.udpTunnel(port.Kind, p.Payload, p.Missing); in.kind != NoTunnel {
				return in
			}
		}
	}
	return inner{}
}

func (w *Peeler) udpTunnel(kind Tunnel, b []byte, cut int) inner {
	switch kind {
	case VXLAN:
		return vxlan(b, cut)
	case VXLANGPE:
		return vxlanGPE(b, cut)
	case Geneve:
		return geneve(b, cut)
	case GTPU:
		return gtpu(b, cut)
	case Teredo:
		return teredo(b, cut)
	case AYIYA:
		return ayiya(b, cut)
	case L2TP:
		return l2tp(b, cut)
	case TZSP:
		return tzsp(b, cut)
	case GRE:
		return greInUDP(b, cut)
	case MPLS:
		return w.mplsInUDP(b, cut)
	}
	return inner{}
}

// frame is for tunnels that carry Ethernet frames. A frame too short for its header is none.
func (in inner) frame(b []byte) inner {
	if len(b) < ethernetHeader {
		return inner{}
	}
	in.next, in.b, in.ethernet = binary.BigEndian.Uint16(b[12:]), b[ethernetHeader:], true
	return in
}

// packet is for tunnels that carry IP packets of either version, and do not say of which.
func (in inner) packet(b []byte) inner {
	next, b, status := raw(b)
	if status != OK {
		return inner{}
	}
	in.next, in.b = next, b
	return in
}

// ppp is for tunnels that carry PPP.
func (in inner) ppp(b []byte) inner {
	next, b, status := ppp(b)
	if status != OK {
		return inner{}
	}
	in.next, in.b = next, b
	return in
}

// limit cuts b to the n bytes that an enclosing header grants it.
func limit(b []byte, cut, n int) ([]byte, int) {
	if n <= len(b) {
		return b[:n], 0
	}
	return b, min(cut, n-len(b))
}
