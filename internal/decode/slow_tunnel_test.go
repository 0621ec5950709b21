package decode

import (
	"encoding/binary"
	"slices"
)

// The reference decoder's tunnels: each reads its header and calls what reads the inside, and the
// caller takes the result if there was IP.

func (r part) u24(at int) uint32 { return r.u32(at-1) % (1 << 24) }

func slowEnter(p *Packet, kind Tunnel, id uint32, peel Peel) {
	p.Tunnels++
	p.Peeled |= peel
	if id != 0 || p.TunnelID == 0 {
		p.Tunnel, p.TunnelID = kind, id
	}
}

func slowProvider(p *Packet, o *Options, etherType int, r part) Status {
	peels := map[int]Peel{0x8847: PeelMPLS, 0x8848: PeelMPLS, 0x8864: PeelPPPoE, 0x88e7: PeelPBB, 0x8926: PeelVNTag}
	if peels[etherType]&o.Peel == 0 {
		return NotIP
	}
	if int(p.Tunnels) >= o.Depth {
		return TooManyTunnels
	}
	switch etherType {
	case 0x8864:
		etherType, rest, status := slowPPPoE(r)
		if status != OK {
			return status
		}
		slowEnter(p, PPPoE, uint32(r.u16(2)), PeelPPPoE)
		p.underLength = true
		return slowEtherType(p, o, etherType, rest)
	case 0x88e7:
		if !r.has(18) {
			return TruncatedPBB
		}
		slowEnter(p, PBB, r.u24(1), PeelPBB)
		return slowEthernet(p, o, r.from(4))
	case 0x8926:
		if !r.has(6) {
			return TruncatedVNTag
		}
		slowEnter(p, VNTag, 0, PeelVNTag)
		return slowEtherType(p, o, r.u16(4), r.from(6))
	}
	status, _ := slowMPLS(p, o, r)
	return status
}

func slowEthernet(p *Packet, o *Options, r part) Status {
	if !r.has(14) {
		return TruncatedEthernet
	}
	p.VLAN, p.VLANs = 0, 0
	return slowEtherType(p, o, r.u16(12), r.from(14))
}

// slowMPLS also says whether the labels lead to IP or Ethernet.
func slowMPLS(p *Packet, o *Options, r part) (Status, bool) {
	for n := 1; ; n++ {
		if n > 17 {
			return TooManyLabels, false
		}
		if !r.has(4) {
			return TruncatedMPLS, false
		}
		label := r.u32(0)
		r = r.from(4)
		if label>>8&1 == 1 {
			slowEnter(p, MPLS, label>>12, PeelMPLS)
			return slowLabelled(p, o, r)
		}
	}
}

func slowLabelled(p *Packet, o *Options, r part) (Status, bool) {
	if !r.has(1) {
		return NotIP, false
	}
	looksLikeIP := r.u8(0)/16 == 6 && r.has(40) ||
		r.u8(0)/16 == 4 && r.has(20) && r.u8(0)%16 >= 5 && (r.u16(2) == 0 || r.u16(2) >= r.u8(0)%16*4)
	if o.Peel&PeelPseudoWire != 0 && !looksLikeIP {
		types := []int{0x0800, 0x86dd, 0x8100, 0x88a8, 0x9100, 0x9200, 0x8847, 0x8864}
		for _, at := range []int{4, 0} {
			if q := r.from(at); q.has(14) && slices.Contains(types, q.u16(12)) && (at == 0 || r.u8(0) < 16) {
				p.Peeled |= PeelPseudoWire
				return slowEthernet(p, o, q), true
			}
		}
	}
	return slowEitherIP(p, o, r, NotIP), r.u8(0)/16 == 4 || r.u8(0)/16 == 6
}

func slowEitherIP(p *Packet, o *Options, r part, neither Status) Status {
	if r.has(1) {
		switch r.u8(0) / 16 {
		case 4:
			return slowIPv4(p, o, r)
		case 6:
			return slowIPv6(p, o, r)
		}
	}
	return neither
}

// slowTunnel looks for a tunnel in the payload of p, and makes p what is in it.
func slowTunnel(p *Packet, o *Options, r part) Status {
	if p.Fragmented {
		return OK
	}
	kind := NoTunnel
	for number, k := range map[uint8]Tunnel{4: IPIP, 41: IPIP, 47: GRE, 97: EtherIP, 137: MPLS} {
		if p.Proto == number {
			kind = k
		}
	}
	kinds := []Tunnel{kind}
	if p.Proto == 17 {
		kinds = slowPorts(o, p.DstPort, p.SrcPort)
	}
	for _, kind := range kinds {
		if kind == NoTunnel || o.Peel&tunnelPeel[kind] == 0 {
			continue
		}
		q := Packet{VLAN: p.VLAN, VLANs: p.VLANs, Peeled: p.Peeled, Tunnel: p.Tunnel, TunnelID: p.TunnelID, Tunnels: p.Tunnels, InTunnel: true}
		status, is := slowOpen(&q, o, r, kind, p.Proto)
		if q.Family != 0 || status == TooManyTunnels {
			*p = q
			return status
		}
		if is {
			return OK
		}
	}
	return OK
}

func slowPorts(o *Options, numbers ...uint16) (kinds []Tunnel) {
	ports := o.Ports
	if ports == nil {
		ports = DefaultPorts()
	}
	for _, number := range numbers {
		for _, port := range ports {
			over := []Tunnel{VXLAN, VXLANGPE, Geneve, GTPU, Teredo, AYIYA, L2TP, GRE, MPLS, TZSP}
			if port.Number == number && number != 0 && slices.Contains(over, port.Kind) {
				kinds = append(kinds, port.Kind)
			}
		}
	}
	return kinds
}

// slowOpen reads a tunnel's header and its inside. The second result tells whether the header is one.
func slowOpen(p *Packet, o *Options, r part, kind Tunnel, proto uint8) (Status, bool) {
	switch kind {
	case IPIP:
		slowEnter(p, IPIP, 0, PeelIPIP)
		if proto == 4 {
			return slowIPv4(p, o, r), true
		}
		return slowIPv6(p, o, r), true
	case GRE:
		if proto == 17 {
			if !r.has(2) || r.u8(1)%8 != 0 {
				return OK, false
			}
			r = r.filledIf(r.u16(0)&0x03ff != 0)
		}
		return slowGRE(p, o, r)
	case EtherIP:
		if !r.has(16) || r.u16(0) != 0x3000 {
			return OK, false
		}
		slowEnter(p, EtherIP, 0, PeelEtherIP)
		return slowEthernet(p, o, r.from(2)), true
	case MPLS:
		return slowMPLS(p, o, r.filledIf(proto == 17))
	case VXLAN:
		return slowVXLAN(p, o, r)
	case VXLANGPE:
		return slowGPE(p, o, r)
	case Geneve:
		return slowGeneve(p, o, r)
	case GTPU:
		return slowGTPU(p, o, r)
	case Teredo:
		return slowTeredo(p, o, r)
	case AYIYA:
		return slowAYIYA(p, o, r)
	case L2TP:
		return slowL2TP(p, o, r)
	case TZSP:
		return slowTZSP(p, o, r)
	}
	return OK, false
}

func slowGRE(p *Packet, o *Options, r part) (Status, bool) {
	if !r.has(4) {
		return OK, false
	}
	flags, proto := r.u16(0), r.u16(2)
	if flags%8 == 1 {
		return slowPPTP(p, o, r)
	}
	if flags%8 != 0 || flags&0x4c00 != 0 {
		return OK, false
	}
	at, key := 4, uint32(0)
	for _, flag := range []int{0x8000, 0x2000, 0x1000} {
		if flags&flag == 0 {
			continue
		}
		if !r.has(at + 4) {
			return OK, false
		}
		if flag == 0x2000 {
			key = r.u32(at)
		}
		at += 4
	}
	r = r.from(at)
	switch {
	case proto == 0x88be && flags&0x1000 == 0:
		if !r.has(14) {
			return OK, false
		}
		slowEnter(p, ERSPAN, 0, PeelGRE)
		return slowEthernet(p, o, r), true
	case proto == 0x88be:
		if !r.has(22) || r.u8(0)/16 != 1 {
			return OK, false
		}
		slowEnter(p, ERSPAN, uint32(r.u16(2)%1024), PeelGRE)
		return slowEthernet(p, o, r.from(8)), true
	case proto == 0x22eb:
		return slowERSPAN3(p, o, r)
	case proto == 0x880b:
		slowEnter(p, GRE, key, PeelGRE)
		return slowPPP(p, o, r)
	case proto == 0x6558:
		if !r.has(14) {
			return OK, false
		}
		if flags&0xb000 == 0x2000 && key>>20 != 0 {
			slowEnter(p, NVGRE, key/256, PeelGRE)
		} else {
			slowEnter(p, GRE, key, PeelGRE)
		}
		return slowEthernet(p, o, r), true
	case proto <= 1500:
		return OK, false
	}
	slowEnter(p, GRE, key, PeelGRE)
	return slowEtherType(p, o, proto, r), true
}

func slowPPTP(p *Packet, o *Options, r part) (Status, bool) {
	header := map[int]int{0x3001: 12, 0x3081: 16}[r.u16(0)]
	if header == 0 || r.u16(2) != 0x880b || !r.has(header) {
		return OK, false
	}
	slowEnter(p, PPTP, uint32(r.u16(6)), PeelGRE)
	return slowPPP(p, o, r.from(header).upTo(r.u16(4)))
}

func slowERSPAN3(p *Packet, o *Options, r part) (Status, bool) {
	if !r.has(12) || r.u8(0)/16 != 2 {
		return OK, false
	}
	session, kind, more := r.u16(2)%1024, r.u16(10)/1024%32, r.u16(10)%2 == 1
	r = r.from(12)
	if more {
		if !r.has(8) {
			return OK, false
		}
		r = r.from(8)
	}
	slowEnter(p, ERSPAN, uint32(session), PeelGRE)
	switch kind {
	case 0:
		return slowEthernet(p, o, r), true
	case 2:
		return slowEitherIP(p, o, r, NotIP), true
	}
	return NotIP, false
}

func slowVXLAN(p *Packet, o *Options, r part) (Status, bool) {
	if !r.has(22) || r.u8(0)/8%2 == 0 {
		return OK, false
	}
	plain := r.u32(0) == 0x08000000
	policy := r.u8(0) == 0x88 && (r.u8(1) == 0 || r.u8(1) == 0x40 || r.u8(1) == 0x08 || r.u8(1) == 0x48)
	clean := (plain || policy) && r.u8(7) == 0
	slowEnter(p, VXLAN, r.u24(4), PeelVXLAN)
	return slowEthernet(p, o, r.from(8).filledIf(!clean)), true
}

func slowGPE(p *Packet, o *Options, r part) (Status, bool) {
	if !r.has(8) {
		return OK, false
	}
	clean := r.u8(7) == 0 && r.u16(1) == 0 && r.u8(0) < 64
	next := r.u8(3)
	switch r.u8(0) % 64 {
	case 0x08, 0x0a:
		clean = clean && next == 0
		next = 3
	case 0x0c, 0x0e:
	default:
		return OK, false
	}
	if next == 3 && !r.has(22) {
		return OK, false
	}
	slowEnter(p, VXLANGPE, r.u24(4), PeelVXLANGPE)
	r = r.from(8).filledIf(!clean)
	switch next {
	case 1:
		return slowIPv4(p, o, r), true
	case 2:
		return slowIPv6(p, o, r), true
	case 3:
		return slowEthernet(p, o, r), true
	case 5:
		return slowEtherType(p, o, 0x8847, r), true
	}
	return NotIP, false
}

func slowGeneve(p *Packet, o *Options, r part) (Status, bool) {
	if !r.has(8) || r.u8(0) >= 64 || r.u8(1) >= 128 || !r.has(8+r.u8(0)*4) {
		return OK, false
	}
	kind, end := r.u16(2), 8+r.u8(0)*4
	at := 8
	for at < end {
		at += 4 + r.u8(at+3)%32*4
	}
	if at != end || kind <= 1500 || kind == 0x6558 && !r.has(end+14) {
		return OK, false
	}
	slowEnter(p, Geneve, r.u24(4), PeelGeneve)
	if kind == 0x6558 {
		return slowEthernet(p, o, r.from(end)), true
	}
	return slowEtherType(p, o, kind, r.from(end)), true
}

func slowGTPU(p *Packet, o *Options, r part) (Status, bool) {
	if !r.has(8) || r.u8(0)/16 != 3 || r.u8(1) != 255 {
		return OK, false
	}
	flags, endpoint := r.u8(0)%8, r.u32(4)
	r = r.from(8).upTo(r.u16(2))
	if flags != 0 {
		if !r.has(4) {
			return OK, false
		}
		kind := r.u8(3)
		r = r.from(4)
		for n := 1; flags >= 4 && kind != 0; n++ {
			if n > 16 || !r.has(1) || r.u8(0) == 0 || !r.has(r.u8(0)*4) {
				return OK, false
			}
			kind, r = r.u8(r.u8(0)*4-1), r.from(r.u8(0)*4)
		}
	}
	slowEnter(p, GTPU, endpoint, PeelGTPU)
	return slowEitherIP(p, o, r, NotIP), true
}

func slowTeredo(p *Packet, o *Options, r part) (Status, bool) {
	if r.has(4) && r.u16(0) == 1 {
		if !r.has(13 + r.u8(2) + r.u8(3)) {
			return OK, false
		}
		r = r.from(13 + r.u8(2) + r.u8(3))
	}
	if r.has(8) && r.u16(0) == 0 {
		r = r.from(8)
	}
	if !r.has(40) || r.u8(0)/16 != 6 || 40+r.u16(4) != r.size {
		return OK, false
	}
	teredo := []byte{0x20, 0x01, 0, 0}
	if !slices.Equal(r.data[8:12], teredo) && !slices.Equal(r.data[24:28], teredo) && !(r.u8(8) == 0xfe && r.u8(9)/64 == 2) {
		return OK, false
	}
	slowEnter(p, Teredo, 0, PeelTeredo)
	return slowIPv6(p, o, r), true
}

func slowAYIYA(p *Packet, o *Options, r part) (Status, bool) {
	if !r.has(8) || r.u8(0)%16 > 2 || r.u8(1)%16 > 3 || r.u8(2)/16 > 2 || r.u8(2)%16 != 1 && r.u8(2)%16 != 3 {
		return OK, false
	}
	header := 8 + r.u8(1)/16*4
	identity := 1
	for range r.u8(0) / 16 {
		identity *= 2
	}
	header += identity
	if !r.has(header) || r.u8(3) != 4 && r.u8(3) != 41 {
		return OK, false
	}
	slowEnter(p, AYIYA, 0, PeelAYIYA)
	if r.u8(3) == 4 {
		return slowIPv4(p, o, r.from(header)), true
	}
	return slowIPv6(p, o, r.from(header)), true
}

func slowL2TP(p *Packet, o *Options, r part) (Status, bool) {
	if !r.has(6) || r.u8(0) >= 128 || r.u8(1)%16 != 2 {
		return OK, false
	}
	clean := r.u16(0)&0x34f0 == 0
	has := func(flag int) bool { return r.u16(0)&flag != 0 }
	ids := 2
	if has(0x4000) {
		if r.u16(2) > r.size {
			return OK, false
		}
		r = r.upTo(r.u16(2))
		if !r.has(2) {
			return OK, false
		}
		ids = 4
	}
	header := ids + 4
	if has(0x0800) {
		header += 4
	}
	if has(0x0200) {
		if !r.has(header + 2) {
			return OK, false
		}
		header += 2 + r.u16(header)
	}
	if !r.has(header) {
		return OK, false
	}
	slowEnter(p, L2TP, binary.BigEndian.Uint32(r.data[ids:]), PeelL2TP)
	return slowPPP(p, o, r.from(header).filledIf(!clean))
}

func slowTZSP(p *Packet, o *Options, r part) (Status, bool) {
	if !r.has(5) || r.u8(0) != 1 || r.u8(1) > 1 {
		return OK, false
	}
	kind := r.u16(2)
	at := 4
	for r.has(at+1) && r.u8(at) != 1 {
		if r.u8(at) == 0 {
			at++
		} else if r.has(at + 2) {
			at += 2 + r.u8(at+1)
		} else {
			return OK, false
		}
	}
	if !r.has(at + 1) {
		return OK, false
	}
	r = r.from(at + 1)
	switch {
	case kind == 1 && r.has(14):
		slowEnter(p, TZSP, 0, PeelTZSP)
		return slowEthernet(p, o, r), true
	case kind == 18:
		r, status := slowWiFiHeader(r, false)
		if status != OK {
			return status, false
		}
		etherType, r, status := slowLLCHeader(r)
		if status != OK {
			return status, false
		}
		slowEnter(p, TZSP, 0, PeelTZSP)
		return slowEtherType(p, o, etherType, r), true
	}
	return OK, false
}
