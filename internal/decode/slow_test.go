package decode

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// The reference decoder: the same rules once more, in the simplest form, for clarity alone. It
// shares nothing with Decode but Packet, Status and Link, follows one layer into the next by
// calling it, and checks each field where it reads it. Decode must agree with it on every frame.

// part is a stretch of the packet: size bytes on the wire, of which the first len(data) were
// captured.
type part struct {
	data []byte
	size int
	fill bool // only an IP packet of just this size is one
}

func (r part) has(n int) bool    { return len(r.data) >= n }
func (r part) u8(at int) int     { return int(r.data[at]) }
func (r part) u16(at int) int    { return int(binary.BigEndian.Uint16(r.data[at:])) }
func (r part) u32(at int) uint32 { return binary.BigEndian.Uint32(r.data[at:]) }

// from is the part without its first n bytes, whether they were captured or not.
func (r part) from(n int) part {
	return part{r.data[min(n, len(r.data)):], max(r.size-n, 0), r.fill}
}

// upTo is the part's first n bytes, or as many as there were.
func (r part) upTo(n int) part {
	return part{r.data[:min(n, len(r.data))], min(n, r.size), r.fill}
}

// filledIf is the part that an IP packet has to fill if the condition holds, up to the padding of a
// frame of 60 bytes.
func (r part) filledIf(condition bool) part {
	r.fill = condition
	return r
}

func (r part) isFilledBy(length int) bool {
	return !r.fill || length == r.size || length > 0 && length < r.size && r.size+14 <= 60
}

func slowDecode(frame []byte, link Link, wireLen int, o *Options) (p Packet, status Status) {
	r := part{frame, max(len(frame), wireLen), false}
	if p, status = slowLink(r, link, o); status == TooManyTunnels {
		return Packet{}, status
	}
	return p, status
}

func slowLink(r part, link Link, o *Options) (p Packet, status Status) {
	switch link {
	case 0, LinkEthernet:
		if !r.has(14) {
			return p, TruncatedEthernet
		}
		status = slowEtherType(&p, o, r.u16(12), r.from(14))
	case LinkRaw, 12, 14:
		if !r.has(1) {
			return p, TruncatedRaw
		}
		switch r.u8(0) / 16 {
		case 4:
			status = slowIPv4(&p, o, r)
		case 6:
			status = slowIPv6(&p, o, r)
		default:
			status = BadIPVersion
		}
	case LinkIPv4:
		status = slowIPv4(&p, o, r)
	case LinkIPv6:
		status = slowIPv6(&p, o, r)
	case LinkNull, LinkLoop:
		status = slowNull(&p, o, r)
	case LinkSLL:
		if !r.has(16) {
			return p, TruncatedSLL
		}
		status = slowCooked(&p, o, r.u16(2), r.u16(14), r.from(16))
	case LinkSLL2:
		if !r.has(20) {
			return p, TruncatedSLL
		}
		status = slowCooked(&p, o, r.u16(8), r.u16(0), r.from(20))
	case LinkPPP, 50:
		status = slowSerial(&p, o, r)
	default:
		status = slowRareLink(&p, o, r, link)
	}
	return p, status
}

func slowNull(p *Packet, o *Options, r part) Status {
	if !r.has(4) {
		return TruncatedNull
	}
	either := []uint32{binary.BigEndian.Uint32(r.data), binary.LittleEndian.Uint32(r.data)}
	if slices.Contains(either, 2) {
		return slowIPv4(p, o, r.from(4))
	}
	for _, inet6 := range []uint32{10, 24, 28, 30} {
		if slices.Contains(either, inet6) {
			return slowIPv6(p, o, r.from(4))
		}
	}
	if r.u16(0) == 0x0f00 || r.u16(0) == 0x8f00 {
		return slowHDLC(p, o, r)
	}
	return NotIP
}

// slowHDLC is Cisco HDLC, to whatever address.
func slowHDLC(p *Packet, o *Options, r part) Status {
	if !r.has(4) {
		return TruncatedHDLC
	}
	if kind := r.u16(2); slices.Contains([]int{0x0800, 0x86dd, 0x8847, 0x8848}, kind) {
		return slowEtherType(p, o, kind, r.from(4))
	}
	return NotIP
}

func slowCooked(p *Packet, o *Options, device, proto int, r part) Status {
	if device == 770 || device == 803 || device == 824 {
		return NotIP
	}
	if proto == 4 {
		return slowLLC(p, o, r)
	}
	if proto <= 1500 {
		return NotIP
	}
	return slowEtherType(p, o, proto, r)
}

// slowSerial is PPP or Cisco HDLC.
func slowSerial(p *Packet, o *Options, r part) Status {
	if r.has(2) && (r.u16(0) == 0x0f00 || r.u16(0) == 0x8f00) {
		return slowHDLC(p, o, r)
	}
	status, _ := slowPPP(p, o, r)
	return status
}

// slowPPP also says whether PPP leads to something that is read.
func slowPPP(p *Packet, o *Options, r part) (Status, bool) {
	etherType, rest, status := slowPPPHeader(r)
	if status != OK {
		return status, false
	}
	return slowEtherType(p, o, etherType, rest), true
}

// slowPPPHeader is what PPP leads to, as an EtherType.
func slowPPPHeader(r part) (int, part, Status) {
	if r.has(2) && r.u16(0) == 0xff03 {
		r = r.from(2)
	}
	switch {
	case r.has(1) && r.u8(0) == 0x21:
		return 0x0800, r.from(1), OK
	case r.has(1) && r.u8(0) == 0x57:
		return 0x86dd, r.from(1), OK
	case r.has(1) && r.u8(0)%2 == 1:
		return 0, r, NotIP
	case !r.has(2):
		return 0, r, TruncatedPPP
	}
	if kind, is := map[int]int{0x0021: 0x0800, 0x0057: 0x86dd, 0x0281: 0x8847, 0x0283: 0x8848}[r.u16(0)]; is {
		return kind, r.from(2), OK
	}
	return 0, r, NotIP
}

func slowEtherType(p *Packet, o *Options, etherType int, r part) Status {
	switch etherType {
	case 0x0800:
		return slowIPv4(p, o, r)
	case 0x86dd:
		return slowIPv6(p, o, r)
	case 0x8100, 0x88a8, 0x9100, 0x9200:
		if p.VLANs == 4 {
			return TooManyVLANs
		}
		if !r.has(4) {
			return TruncatedVLAN
		}
		if p.VLANs == 0 {
			p.VLAN = uint16(r.u16(0) % 4096)
		}
		p.VLANs++
		return slowEtherType(p, o, r.u16(2), r.from(4))
	}
	if etherType == 0x892f {
		switch {
		case !r.has(6):
			return TruncatedHSR
		case r.u16(4) == etherType:
			return NotIP
		}
		return slowEtherType(p, o, r.u16(4), r.from(6))
	}
	if etherType <= 1500 {
		return slowLLC(p, o, r)
	}
	return slowProvider(p, o, etherType, r)
}

func slowLLC(p *Packet, o *Options, r part) Status {
	etherType, r, status := slowLLCHeader(r)
	if status != OK {
		return status
	}
	return slowEtherType(p, o, etherType, r)
}

// slowLLCHeader is what LLC leads to, as an EtherType.
func slowLLCHeader(r part) (int, part, Status) {
	switch {
	case !r.has(3):
		return 0, r, TruncatedLLC
	case r.u8(0) == 0x06:
		return 0x0800, r.from(3), OK
	case r.u8(0) != 0xaa:
		return 0, r, NotIP
	case !r.has(8):
		return 0, r, TruncatedLLC
	case r.u16(3) != 0 || r.u8(5) != 0 || r.u16(6) <= 1500:
		return 0, r, NotIP
	}
	return r.u16(6), r.from(8), OK
}

func slowIPv4(p *Packet, o *Options, r part) Status {
	if !r.has(20) {
		return TruncatedIPv4
	}
	if r.u8(0)/16 != 4 {
		return BadIPVersion
	}
	if !r.isFilledBy(r.u16(2)) {
		return NotIP
	}
	header := r.u8(0) % 16 * 4
	if header < 20 {
		return BadIPv4Header
	}
	if total := r.u16(2); total != 0 {
		if total < header {
			return BadIPv4Length
		}
		slowLength(p, total, r)
		r = r.upTo(total)
	} else {
		p.noLength = true
	}
	if !r.has(header) {
		return TruncatedIPv4
	}
	if sum := slowHeaderSum(r.data[:header]); p.Long && sum != 0 && r.u16(10) != 0 {
		p.Long = false // damaged
	}
	p.Family, p.Proto, p.IPLen = 4, r.data[9], uint32(slowIPLen(r.u16(2), r))
	if int(p.Tunnels) > o.Depth {
		return TooManyTunnels
	}
	p.SrcHi, p.SrcLo = slowWords(netip.AddrFrom4([4]byte(r.data[12:16])))
	p.DstHi, p.DstLo = slowWords(netip.AddrFrom4([4]byte(r.data[16:20])))
	body := r.from(header)
	more, offset := r.u16(6)&0x2000 != 0, r.u16(6)%0x2000*8
	if more || offset != 0 {
		if slowRefused(p, body) {
			return LongFragment
		}
		slowFragment(p, more, offset, uint32(r.u16(4)), body)
	}
	return slowNext(p, o, body, nil)
}

func slowIPv6(p *Packet, o *Options, r part) Status {
	if !r.has(40) {
		return TruncatedIPv6
	}
	if r.u8(0)/16 != 6 {
		return BadIPVersion
	}
	if !r.isFilledBy(40 + r.u16(4)) {
		return NotIP
	}
	p.Family, p.Proto, p.IPLen = 6, r.data[6], 40+uint32(slowIPLen(r.u16(4), r.from(40)))
	if int(p.Tunnels) > o.Depth {
		return TooManyTunnels
	}
	p.FlowLabel = r.u32(0) % (1 << 20)
	p.SrcHi, p.SrcLo = slowWords(netip.AddrFrom16([16]byte(r.data[8:24])))
	p.DstHi, p.DstLo = slowWords(netip.AddrFrom16([16]byte(r.data[24:40])))
	body := r.from(40)
	if length := r.u16(4); length != 0 {
		slowLength(p, length, body)
		body = body.upTo(length)
	}
	return slowNext(p, o, body, nil)
}

// slowIPLen is a length in an IP header, of which 0 stands for all that follows.
func slowIPLen(length int, r part) int {
	if length == 0 {
		return r.size
	}
	return length
}

// slowLength notes that an IP header promises more than there was on the wire.
func slowLength(p *Packet, promised int, r part) {
	if promised > r.size {
		p.Options |= OptBadLength
		p.Long = r.size == len(r.data) && !p.InTunnel && !p.underLength
	}
}

// slowHeaderSum is what an IPv4 header's 16-bit words come to, 0 if its checksum is right.
func slowHeaderSum(header []byte) int {
	sum := 0
	for at := 0; at < len(header); at += 2 {
		sum += part{data: header}.u16(at)
	}
	return sum % 0xffff
}

func slowWords(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func slowFragment(p *Packet, more bool, offset int, id uint32, body part) {
	p.Fragmented, p.MoreFragments = true, more
	p.FragmentOffset, p.FragmentID, p.FragmentProto = uint16(offset), id, p.Proto
	p.Fragment, p.FragmentCut = slices.Clip(body.data), body.size > len(body.data) || p.Options == OptBadLength
}

// slowRefused reports whether a fragment is not as long as it says, though nothing was cut off.
func slowRefused(p *Packet, r part) bool {
	return p.Options == OptBadLength && !p.InTunnel && r.size == len(r.data)
}

// slowNext reads what p.Proto says: an extension header, after those before, or the transport.
func slowNext(p *Packet, o *Options, r part, before []uint8) Status {
	if p.FragmentOffset > 0 {
		slowPayload(p, r)
		return FragmentLater
	}
	v6 := []uint8{0, 43, 44, 51, 60, 135, 139, 140}
	if p.Proto != 51 && (p.Family == 4 || !slices.Contains(v6, p.Proto)) {
		return slowTransport(p, o, r)
	}
	if len(before) == 16 {
		return TooManyExtensions
	}
	if !r.has(8) {
		return TruncatedExtension
	}
	this, length := p.Proto, 8+r.u8(1)*8
	switch {
	case this == 44 && slices.Contains(before, 44):
		return NestedFragment
	case this == 44:
		length = 8
	case this == 51 && r.u8(1) == 0:
		return BadAuthHeader
	case this == 51:
		length = 8 + r.u8(1)*4
	}
	if !r.has(length) {
		return TruncatedExtension
	}
	p.Proto = r.data[0]
	if more, offset := r.u16(2)%2 == 1, r.u16(2)/8*8; this == 44 && (more || offset > 0) {
		if slowRefused(p, r) {
			return LongFragment
		}
		slowFragment(p, more, offset, r.u32(4), r.from(8))
	}
	return slowNext(p, o, r.from(length), append(before, this))
}

func slowTransport(p *Packet, o *Options, r part) Status {
	if p.Proto != 6 && p.Long {
		return LongPacket
	}
	switch p.Proto {
	case 6:
		return slowTCP(p, r)
	case 17:
		if status := slowUDP(p, r); status != OK {
			return status
		}
		return slowTunnel(p, o, part{data: p.Payload, size: len(p.Payload) + p.Missing})
	case 1, 58:
		return slowICMP(p, r)
	case 132:
		if !r.has(12) {
			return TruncatedSCTP
		}
		p.SrcPort, p.DstPort = uint16(r.u16(0)), uint16(r.u16(2))
		r = r.from(12)
	}
	slowPayload(p, r)
	return slowTunnel(p, o, r)
}

func slowPayload(p *Packet, r part) {
	p.Payload, p.Missing = slices.Clip(r.data), r.size-len(r.data)
}

func slowTCP(p *Packet, r part) Status {
	if !r.has(20) {
		return TruncatedTCP
	}
	header := r.u8(12) / 16 * 4
	if header < 20 || header > r.size {
		return BadTCPOffset
	}
	p.SrcPort, p.DstPort = uint16(r.u16(0)), uint16(r.u16(2))
	p.Seq, p.Ack = r.u32(4), r.u32(8)
	p.Flags = r.data[13]
	p.Window, p.Urgent = uint16(r.u16(14)), uint16(r.u16(18))
	slowOptions(p, r.upTo(header).from(20).data)
	slowPayload(p, r.from(header))
	return OK
}

func slowOptions(p *Packet, options []byte) {
	for at := 0; at < len(options); {
		kind := options[at]
		if kind == 0 {
			return
		}
		if kind == 1 {
			at++
			continue
		}
		if at+1 == len(options) {
			return
		}
		length := int(options[at+1])
		if length < 2 || at+length > len(options) {
			return
		}
		slowOption(p, kind, options[at+2:at+length])
		at += length
	}
}

// slowOption reads one option, of which value is what follows kind and length.
func slowOption(p *Packet, kind byte, value []byte) {
	switch kind {
	case 3:
		if len(value) == 1 && p.Flags&0x02 != 0 {
			p.HasWindowScale, p.WindowScale = true, value[0]
			if p.WindowScale > 14 {
				p.WindowScale = 14
			}
		}
	case 4:
		if len(value) == 0 {
			p.Options |= 1
		}
	case 8:
		if len(value) == 8 {
			p.Options |= 2
			p.Timestamp = part{data: value}.u32(0)
			if p.Flags&0x06 != 0 {
				p.TimestampEcho = part{data: value}.u32(4)
			}
		}
	case 19:
		if len(value) == 16 {
			p.Options |= 4
		}
	case 29:
		if len(value) >= 2 {
			p.Options |= 8
		}
	}
}

func slowUDP(p *Packet, r part) Status {
	if !r.has(8) {
		return TruncatedUDP
	}
	length := r.u16(4)
	if length >= 1 && length <= 7 || length == 0 && p.Family == 4 && !p.noLength {
		return BadUDPLength
	}
	p.SrcPort, p.DstPort = uint16(r.u16(0)), uint16(r.u16(2))
	if length != 0 && length < r.size {
		r = r.upTo(length)
	}
	if length > r.size && !p.Fragmented && p.Options != OptBadLength {
		r = r.upTo(8)
	}
	slowPayload(p, r.from(8))
	return OK
}

func slowICMP(p *Packet, r part) Status {
	if !r.has(4) {
		return TruncatedICMP
	}
	p.ICMPType, p.ICMPCode = r.data[0], r.data[1]
	identified := []uint8{0, 8, 13, 14, 15, 16, 17, 18}
	if p.Proto == 58 {
		identified = []uint8{128, 129}
	}
	if r.has(8) && slices.Contains(identified, p.ICMPType) {
		p.SrcPort, p.DstPort = uint16(r.u16(4)), uint16(r.u16(4))
	}
	slowPayload(p, r.from(8))
	return OK
}
