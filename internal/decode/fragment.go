package decode

// fragment notes that the packet is one, b being its bytes. The first one goes on to the transport:
// OK.
//
// One that says more bytes than there are in a frame that is whole is refused, whatever its header's
// checksum and the link: no receiver takes it, and it must not spoil its datagram. In a tunnel it may have
// been cut by whoever filled the tunnel, as a mirror does, and counts as cut.
func fragment(p *Packet, proto uint8, id uint32, offset uint16, more bool, b []byte, cut int) Status {
	beyond := p.Options&OptBadLength != 0
	if beyond && cut == 0 && !p.InTunnel {
		return LongFragment
	}
	p.Fragmented, p.MoreFragments = true, more
	p.FragmentProto, p.FragmentID, p.FragmentOffset = proto, id, offset
	p.Fragment, p.FragmentCut = b[:len(b):len(b)], cut > 0 || beyond
	p.fromTransport = uint32(cap(b))
	if offset == 0 {
		return OK
	}
	p.Payload, p.Missing = p.Fragment, cut
	return FragmentLater
}

// Reassembled reads the transport of a datagram that was reassembled from fragments: p as Decode
// left it for the fragment at offset 0 (its FragmentProto counts, RFC 8200 section 4.5), and data,
// the Fragment bytes of all of them in order. Afterwards Payload is a sub-slice of data, and p is
// no longer a fragment.
//
// It goes on through the tunnels that w allows: the fragments of a tunnel's outer packet hold an
// inner one only together. p keeps the tunnels that the first fragment came through.
func Reassembled(p *Packet, data []byte, w *Peeler) Status { return p.reassembled(data, 0, w) }

// FirstFragment is Reassembled for the beginning of a datagram of which the rest is not there: data
// is the Fragment bytes of the fragment at offset 0. What the headers promise beyond it is Missing.
func FirstFragment(p *Packet, data []byte, w *Peeler) Status { return p.reassembled(data, 1<<16-1, w) }

func (p *Packet) reassembled(data []byte, cut int, w *Peeler) Status {
	next := p.FragmentProto
	before := p.before
	if p.Family == 4 {
		before = headerElsewhere
	}
	*p = Packet{
		SrcHi: p.SrcHi, SrcLo: p.SrcLo, DstHi: p.DstHi, DstLo: p.DstLo, FlowLabel: p.FlowLabel,
		Family: p.Family, Proto: next, VLAN: p.VLAN, VLANs: p.VLANs, IPLen: p.IPLen,
		Peeled: p.Peeled, Tunnel: p.Tunnel, TunnelID: p.TunnelID, Network: p.Network, NetworkID: p.NetworkID, Tunnels: p.Tunnels,
		InTunnel: p.InTunnel,
		before:   before,
	}
	p.Fragmented = true // while the headers are read: another fragment header would be one too many
	proto, b, cut, status := extensions(p, next, data[:len(data):len(data)], cut, p.Family == 6)
	p.Fragmented = false
	if status != OK {
		return status
	}
	status = transport(p, proto, b, cut)
	if w == nil || status != OK {
		return status
	}
	return w.readInnermost(p)
}
