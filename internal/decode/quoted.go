package decode

import "encoding/binary"

// ICMPError reports whether p is an ICMP or ICMPv6 message that is about another packet and quotes
// it (RFC 792, RFC 4443 section 2.1: error types have no top bit).
func ICMPError(p *Packet) bool {
	switch p.Proto {
	case protoICMP:
		switch p.ICMPType {
		case 3, 4, 5, 11, 12: // unreachable, source quench, redirect, time exceeded, parameter problem
			return true
		}
	case protoICMPv6:
		return p.ICMPType != 0 && p.ICMPType < 128
	}
	return false
}

// Quoted reads the packet that an ICMP error is about into q, as far as it is quoted: addresses,
// protocol, ports, or the identifier of an ICMP message, and a TCP sequence number. It reports
// whether the quotation holds that much (RFC 792 asks for 8 bytes behind the IP header) and the
// error goes to whom the quoted packet came from.
//
//	p  | IP  router > a | ICMP 3 1 | IP  a > b | ports, seq ...      q  a > b
//
// Anybody can send such a message: what it quotes is a claim.
func Quoted(p, q *Packet) bool {
	*q = Packet{}
	if !ICMPError(p) {
		return false
	}
	next, b, status := raw(p.Payload)
	if status != OK {
		return false
	}
	// The quotation is cut by whoever sent the error: its length field is that of the whole packet.
	const cut = 1<<16 - 1
	var proto uint8
	if next == typeIPv4 {
		proto, b, _, status = ipv4(q, b, cut)
	} else {
		proto, b, _, status = ipv6(q, b, cut)
	}
	if status != OK || len(b) < 8 || p.Family != q.Family || p.DstHi != q.SrcHi || p.DstLo != q.SrcLo {
		return false
	}
	q.Proto = proto
	switch proto {
	case protoTCP:
		q.Seq = binary.BigEndian.Uint32(b[4:])
		ports(q, b)
	case protoUDP, protoSCTP:
		ports(q, b)
	case protoICMP, protoICMPv6:
		if !hasIdentifier(proto, b[0]) {
			return false
		}
		q.SrcPort = binary.BigEndian.Uint16(b[4:])
		q.DstPort = q.SrcPort
	}
	return true
}
