package decode

import "encoding/binary"

// maxLabels ends a label stack that leads nowhere.
const maxLabels = 17

// labels reads a label stack (RFC 3032 section 2.1): 20 bits of label, 3 of class, the bottom bit,
// 8 of life.
func labels(b []byte) (bottom uint32, rest []byte, status Status) {
	for range maxLabels {
		if len(b) < 4 {
			return 0, nil, TruncatedMPLS
		}
		entry := binary.BigEndian.Uint32(b)
		b = b[4:]
		if entry&0x100 != 0 {
			return entry >> 12, b, OK
		}
	}
	return 0, nil, TooManyLabels
}

// mpls reads a label stack and finds out what it carries, which the labels alone do not say: the
// first four bits are 4 or 6 of IP, 0 of the control word of a pseudo-wire (RFC 4385), or anything
// if an Ethernet frame follows without one.
//
//	labels | 45 ..                             IP
//	labels | 00 .. | MAC MAC 0800 45 ..        a pseudo-wire with a control word
//	labels | 4a .. MAC MAC 0800 | 45 ..        a pseudo-wire without, looking like IP at first sight
func (w *Peeler) mpls(p *Packet, b []byte, cut int) (inner, Status) {
	label, b, status := labels(b)
	if status != OK {
		return inner{}, status
	}
	p.addTunnel(MPLS, label)
	in := inner{cut: cut}
	if w.peel&PeelPseudoWire != 0 && !plausibleIP(b) {
		if in := pseudoWire(in, b); in.ethernet {
			p.Peeled |= PeelPseudoWire
			p.VLAN, p.VLANs = 0, 0
			return in, OK
		}
	}
	if in.next, in.b, status = raw(b); status != OK {
		return inner{}, NotIP
	}
	return in, OK
}

// pseudoWire looks for an Ethernet header whose type is one that can lead to IP. Without one,
// nothing tells an Ethernet frame from anything else.
func pseudoWire(in inner, b []byte) inner {
	if len(b) >= 4 && b[0]>>4 == 0 {
		if with := in.frame(b[4:]); with.ethernet && leadsToIP(with.next) {
			return with
		}
	}
	if without := in.frame(b); without.ethernet && leadsToIP(without.next) {
		return without
	}
	return inner{}
}

func leadsToIP(next uint16) bool {
	switch next {
	case typeIPv4, typeIPv6, typeMPLS, typePPPoE:
		return true
	}
	return isVLAN(next)
}

// plausibleIP reports whether b begins with an IP header by more than its first four bits.
func plausibleIP(b []byte) bool {
	switch {
	case len(b) >= ipv4Header && b[0]>>4 == 4:
		size := binary.BigEndian.Uint16(b[2:])
		return b[0]&15 >= 5 && (size == 0 || size >= uint16(b[0]&15)*4)
	case len(b) >= ipv6Header:
		return b[0]>>4 == 6
	}
	return false
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

// mplsInUDP reads a label stack in UDP (RFC 7510). Any bytes soon look like labels with IP behind, so
// the packet has to fill the datagram.
func (w *Peeler) mplsInUDP(b []byte, cut int) inner {
	in := w.mplsInIP(b, cut)
	in.mustFill = true
	return in
}
