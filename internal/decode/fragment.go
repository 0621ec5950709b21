package decode

// fragment notes that the packet is one, b being its bytes. The first one goes on to the transport: OK.
func fragment(p *Packet, proto uint8, id uint32, offset uint16, b []byte, cut int) Status {
	p.Fragmented = true
	p.FragmentProto, p.FragmentID, p.FragmentOffset = proto, id, offset
	p.Fragment, p.FragmentCut = b[:len(b):len(b)], cut > 0
	if offset == 0 {
		return OK
	}
	p.Payload, p.Missing = p.Fragment, cut
	return FragmentLater
}

// Reassembled reads the transport of a datagram that was put together from fragments: p as Decode left it for
// the fragment at offset 0 (its FragmentProto counts, RFC 8200 section 4.5), and data, the Fragment bytes of all
// of them in order. Afterwards Payload is a sub-slice of data, and p is no longer a fragment.
func Reassembled(p *Packet, data []byte) Status {
	next := p.FragmentProto
	*p = Packet{
		SrcHi: p.SrcHi, SrcLo: p.SrcLo, DstHi: p.DstHi, DstLo: p.DstLo, FlowLabel: p.FlowLabel,
		Family: p.Family, Proto: next, VLAN: p.VLAN, VLANs: p.VLANs,
	}
	p.Fragmented = true // while the headers are read: another fragment header would be one too many
	proto, b, cut, status := extensions(p, next, data, 0, p.Family == 6)
	p.Fragmented = false
	if status != OK {
		return status
	}
	return transport(p, proto, b, cut)
}
