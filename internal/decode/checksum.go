package decode

import (
	"encoding/binary"
	"hash/crc32"
)

// Sum is what a checksum says of a packet. The zero value is SumNone.
type Sum uint8

// What a checksum may say.
const (
	SumNone    Sum = iota // there is none: a protocol without, or a sender that left it out
	SumGood               // it is right
	SumBad                // it is wrong
	SumPartial            // it is what a sender leaves to the network card: zero, or the sum of addresses and length only
	SumUnknown            // not all that it covers is here: a fragment, a cut packet, an address that is not the last one

	// NumSum is the number of them.
	NumSum
)

var sumText = [NumSum]string{"none", "good", "bad", "partial", "unknown"}

// String returns a short name such as "good".
func (s Sum) String() string {
	if s >= NumSum {
		return "unknown_sum"
	}
	return sumText[s]
}

const (
	tcpChecksum  = 16
	udpChecksum  = 6
	sctpChecksum = 8
	sctpHeader   = 12
	icmpHeader   = 8
)

// castagnoli is the polynomial of SCTP (RFC 9260 appendix A).
var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	noChecksum = []byte{0, 0, 0, 0}
)

// Checksum verifies the checksums of the innermost packet: that of its IPv4 header, and that of its
// TCP, UDP, ICMP, ICMPv6 or SCTP. p must be as Decode or DecodeWith left it, whatever the status,
// and frame the frame that they were given, or the data that Reassembled was given. Any others are
// harmless, and the answer then means nothing. Checksums of tunnels further out are not looked at.
func Checksum(p *Packet, frame []byte) (header, transport Sum) {
	return headerSum(p, frame), transportSum(p, frame)
}

// Fields are what stands in the places of the two, whatever Checksum says of them: 0 if there is none. That
// of SCTP has 32 bits.
func Fields(p *Packet, frame []byte) (header uint16, transport uint32) {
	if h := headerOf(p, frame); h != nil {
		header = binary.BigEndian.Uint16(h[10:])
	}
	at := 0
	switch p.Proto {
	case protoTCP:
		at = tcpChecksum
	case protoUDP:
		at = udpChecksum
	case protoICMP, protoICMPv6:
		at = 2
	case protoSCTP:
		if b := from(frame, uint64(p.fromTransport)); len(b) >= sctpHeader {
			transport = binary.BigEndian.Uint32(b[sctpChecksum:])
		}
		return header, transport
	default:
		return header, 0
	}
	if b := from(frame, uint64(p.fromTransport)); len(b) >= at+2 {
		transport = uint32(binary.BigEndian.Uint16(b[at:]))
	}
	return header, transport
}

// from is the part of the frame that begins so many bytes before its end.
func from(frame []byte, back uint64) []byte {
	if back == 0 || back > uint64(len(frame)) {
		return nil
	}
	return frame[len(frame)-int(back):]
}

func headerSum(p *Packet, frame []byte) Sum {
	if p.Family != 4 {
		return SumNone
	}
	h := headerOf(p, frame)
	switch {
	case h == nil:
		return SumUnknown
	case sum16(h) == 0xffff:
		return SumGood
	case h[10]|h[11] == 0:
		return SumPartial
	}
	return SumBad
}

// headerOf is the IPv4 header in front of the transport, or nil.
func headerOf(p *Packet, frame []byte) []byte {
	before := uint64(p.before)
	switch {
	case p.Family != 4, before == headerElsewhere, p.fromTransport == 0:
		return nil
	case before == 0:
		before = ipv4Header
	}
	h := from(frame, uint64(p.fromTransport)+before)
	if len(h) < ipv4Header || h[0]>>4 != 4 {
		return nil
	}
	if size := int(h[0]&15) * 4; size >= ipv4Header && size <= len(h) {
		return h[:size]
	}
	return nil
}

func transportSum(p *Packet, frame []byte) Sum {
	var header, field int
	switch p.Proto {
	case protoTCP:
		header, field = tcpHeader, tcpChecksum
	case protoUDP:
		header, field = udpHeader, udpChecksum
	case protoSCTP:
		header, field = sctpHeader, sctpChecksum
	case protoICMP, protoICMPv6:
		header, field = icmpHeader, 2
	default:
		return SumNone
	}
	b := from(frame, uint64(p.fromTransport))
	if p.Fragmented || p.Missing > 0 || p.Options&OptBadLength != 0 || len(b) < header {
		return SumUnknown
	}
	if p.Proto == protoTCP {
		header = int(b[12]>>4) * 4
	}
	size := header + len(p.Payload)
	if header < tcpHeader && p.Proto == protoTCP || size > len(b) {
		return SumUnknown
	}
	b = b[:size]
	if p.Proto == protoSCTP {
		return sctpSum(b)
	}
	return internetSum(p, b, binary.BigEndian.Uint16(b[field:]))
}

// internetSum verifies what has the Internet checksum. A right one sums to ffff, and so a field of
// 0 is as good as one of ffff (RFC 1071): UDP alone tells them apart, since there 0 is no checksum
// (RFC 768). Over IPv6 that is allowed to tunnels only, which are known by their ports (RFC 6935
// section 5).
func internetSum(p *Packet, b []byte, field uint16) Sum {
	if p.Proto == protoUDP && field == 0 {
		if p.Family == 4 || tunnelPort(p.SrcPort) || tunnelPort(p.DstPort) {
			return SumNone
		}
		return SumBad
	}
	if p.Proto == protoICMP { // over IPv6, too: there it is no protocol of its own
		if sum16(b) == 0xffff {
			return SumGood
		}
		return SumBad
	}
	pseudo := pseudoSum(p)
	whole := add16(pseudo, fold16(uint64(len(b))))
	switch {
	case add16(sum16(b), whole) == 0xffff:
		return SumGood
	case p.Family == 6 && p.before == rerouted:
		return SumUnknown
	case field == whole, field == pseudo:
		return SumPartial
	}
	return SumBad
}

// tunnelPort reports whether a tunnel has that port by default.
func tunnelPort(port uint16) bool {
	for _, p := range defaultPorts {
		if p.Number == port {
			return true
		}
	}
	return false
}

// sctpSum verifies the CRC32c of SCTP, which is taken over the packet with zeros in its place.
// Zeros in the packet are what is left to the network card.
func sctpSum(b []byte) Sum {
	field := binary.LittleEndian.Uint32(b[sctpChecksum:])
	crc := crc32.Update(0, castagnoli, b[:sctpChecksum])
	crc = crc32.Update(crc, castagnoli, noChecksum)
	crc = crc32.Update(crc, castagnoli, b[sctpChecksum+4:])
	switch field {
	case crc:
		return SumGood
	case 0:
		return SumPartial
	}
	return SumBad
}
