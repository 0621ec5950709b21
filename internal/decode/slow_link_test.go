package decode

import "encoding/binary"

// The reference decoder's rarer links.

func slowRareLink(p *Packet, o *Options, r part, link Link) Status {
	switch link {
	case 51:
		etherType, rest, status := slowPPPoE(r)
		if status != OK {
			return status
		}
		p.underLength = true
		return slowEtherType(p, o, etherType, rest)
	case 104:
		return slowHDLC(p, o, r)
	case 105:
		return slowWiFi(p, o, r, false)
	case 117:
		return slowPFLOG(p, o, r)
	case 119, 163:
		return slowPrism(p, o, r)
	case 127:
		return slowRadiotap(p, o, r)
	case 239:
		return slowNFLOG(p, o, r)
	case 242:
		if !r.has(44) {
			return TruncatedIPoIB
		}
		switch r.u16(40) {
		case 0x0800:
			return slowIPv4(p, o, r.from(44))
		case 0x86dd:
			return slowIPv6(p, o, r.from(44))
		}
		return NotIP
	}
	return UnknownLink
}

// slowPPPoE is what PPPoE leads to, as an EtherType.
func slowPPPoE(r part) (int, part, Status) {
	switch {
	case !r.has(6):
		return 0, r, TruncatedPPPoE
	case r.u16(0) != 0x1100:
		return 0, r, NotIP
	}
	return slowPPPHeader(r.from(6).upTo(r.u16(4)))
}

func slowPFLOG(p *Packet, o *Options, r part) Status {
	if !r.has(4) {
		return TruncatedPFLOG
	}
	length := r.u8(0)
	if length < 45 {
		return NotIP
	}
	for length%4 != 0 {
		length++
	}
	if !r.has(length) {
		return TruncatedPFLOG
	}
	switch r.u8(1) {
	case 2:
		return slowIPv4(p, o, r.from(length))
	case 10, 24, 28, 30:
		return slowIPv6(p, o, r.from(length))
	}
	return NotIP
}

func slowNFLOG(p *Packet, o *Options, r part) Status {
	if !r.has(4) {
		return TruncatedNFLOG
	}
	read := slowIPv4
	switch r.u8(0) {
	case 2:
	case 10:
		read = slowIPv6
	default:
		return NotIP
	}
	for at := 4; r.has(at + 4); {
		order := binary.ByteOrder(binary.LittleEndian)
		if r.u8(at+3) != 0 { // the high byte of a small number
			order = binary.BigEndian
		}
		length := int(order.Uint16(r.data[at:]))
		if length < 4 {
			return NotIP
		}
		if order.Uint16(r.data[at+2:]) == 9 {
			packet := r.from(at + 4).upTo(length - 4)
			// The kernel copied as much of the packet as it was asked for.
			switch {
			case packet.has(20) && packet.u8(0)/16 == 4:
				packet.size = max(packet.size, packet.u16(2))
			case packet.has(40) && packet.u8(0)/16 == 6:
				packet.size = max(packet.size, packet.u16(4)+40)
			}
			return read(p, o, packet)
		}
		at += length + (4-length%4)%4
	}
	return TruncatedNFLOG
}

func slowPrism(p *Packet, o *Options, r part) Status {
	if !r.has(8) {
		return TruncatedMonitor
	}
	for _, length := range []uint32{binary.BigEndian.Uint32(r.data[4:]), binary.LittleEndian.Uint32(r.data[4:])} {
		if length > 65535 {
			continue
		}
		if length < 8 {
			return NotIP
		}
		if !r.has(int(length)) {
			return TruncatedMonitor
		}
		return slowWiFi(p, o, r.from(int(length)), false)
	}
	return NotIP
}

func slowRadiotap(p *Packet, o *Options, r part) Status {
	if !r.has(8) {
		return TruncatedMonitor
	}
	length := int(binary.LittleEndian.Uint16(r.data[2:]))
	if r.u8(0) != 0 || length < 8 {
		return NotIP
	}
	if !r.has(length) {
		return TruncatedMonitor
	}
	words := 1
	for r.u8(words*4+3) >= 0x80 {
		words++
		if 4+words*4 > length {
			return NotIP
		}
	}
	at := 4 + words*4
	if r.u8(4)&1 != 0 {
		for at%8 != 0 {
			at++
		}
		at += 8
	}
	padded := r.u8(4)&2 != 0 && at < length && r.u8(at)&0x20 != 0
	return slowWiFi(p, o, r.from(length), padded)
}

func slowWiFi(p *Packet, o *Options, r part, padded bool) Status {
	r, status := slowWiFiHeader(r, padded)
	if status != OK {
		return status
	}
	return slowLLC(p, o, r)
}

// slowWiFiHeader is what an 802.11 header leads to.
func slowWiFiHeader(r part, padded bool) (part, Status) {
	if !r.has(2) {
		return r, TruncatedWiFi
	}
	version, kind, subtype, flags := r.u8(0)%4, r.u8(0)/4%4, r.u8(0)/16, r.u8(1)
	if version != 0 || kind != 2 || subtype&4 != 0 {
		return r, NotIP
	}
	length := 24
	if flags&3 == 3 {
		length = 30
	}
	service := 0
	if subtype&8 != 0 {
		service = length
		length += 2
		if flags&0x80 != 0 {
			length += 4
		}
	}
	for padded && length%4 != 0 {
		length++
	}
	switch {
	case !r.has(length):
		return r, TruncatedWiFi
	case flags&0x40 != 0:
		return r, Encrypted
	case flags&4 != 0 || r.u8(22)%16 != 0 || service != 0 && r.u8(service) >= 0x80:
		return r, NotIP
	}
	return r.from(length), OK
}
