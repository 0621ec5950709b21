package decode

// etherIP reads the two bytes before an Ethernet frame in IP: version 3, and zeros (RFC 3378
// section 3, which does not tell receivers to ignore anything else there).
func etherIP(b []byte, cut int) inner {
	if len(b) < 2 || b[0] != 0x30 || b[1] != 0 {
		return inner{}
	}
	return inner{kind: EtherIP, cut: cut}.frame(b[2:])
}

// mplsInIP reads a label stack that stands behind an IP header (RFC 4023).
func (w *Peeler) mplsInIP(b []byte, cut int) inner {
	var p Packet
	in, status := w.mpls(&p, b, cut)
	if status != OK {
		return inner{}
	}
	in.kind, in.id, in.also = MPLS, p.TunnelID, p.Peeled
	return in
}
