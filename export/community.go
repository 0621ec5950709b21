package export

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"net/netip"

	"github.com/flowscope-go/flowscope"
)

// CommunityID is the Community ID of a flow as AppendCommunityID appends it, with the seed 0; "" if there is none.
func CommunityID(r *flowscope.Record) string { return string(AppendCommunityID(nil, 0, r)) }

// AppendCommunityID appends the Community ID of a flow, version 1, as in
// "1:LQU9qZlK+B5F3KDmev6m5PMibrg=": the same for both directions, and in the logs of every program that
// writes it. Programs whose IDs are to agree have the same seed, which is 0 by default. A record without
// IP addresses has none, and nothing is appended.
//
// The specification is github.com/corelight/community-id-spec.
func AppendCommunityID(b []byte, seed uint16, r *flowscope.Record) []byte {
	src, dst := r.Initiator.Addr, r.Responder.Addr
	if !src.IsValid() || !dst.IsValid() {
		return b
	}
	var srcPort, dstPort uint16
	hasPorts, ordered := true, true
	switch r.Proto {
	case flowscope.L4TCP, flowscope.L4UDP, flowscope.L4SCTP:
		srcPort, dstPort = r.Initiator.Port, r.Responder.Port
	case flowscope.L4ICMP, flowscope.L4ICMPv6:
		var answer int
		srcPort = uint16(r.ICMPType)
		if answer = icmpAnswer(r.Proto, r.ICMPType); answer >= 0 {
			dstPort = uint16(answer)
		} else {
			// Of messages that go one way the code stands for the other port, and the direction counts.
			dstPort, ordered = uint16(r.ICMPCode), false
		}
	default:
		hasPorts = false
	}
	if c := src.Compare(dst); ordered && (c > 0 || c == 0 && srcPort > dstPort) {
		src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
	}
	var space [40]byte
	in := binary.BigEndian.AppendUint16(space[:0], seed)
	in = appendAddr(appendAddr(in, src), dst)
	in = append(in, uint8(r.Proto), 0)
	if hasPorts {
		in = binary.BigEndian.AppendUint16(in, srcPort)
		in = binary.BigEndian.AppendUint16(in, dstPort)
	}
	sum := sha1.Sum(in)
	return base64.StdEncoding.AppendEncode(append(b, "1:"...), sum[:])
}

func appendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		four := a.As4()
		return append(b, four[:]...)
	}
	sixteen := a.As16()
	return append(b, sixteen[:]...)
}

// icmpAnswer is the type of message that answers one of the given type, or is answered by it; -1 if
// messages of that type go one way.
func icmpAnswer(proto flowscope.L4Proto, kind uint8) int {
	pairs := icmp4Pairs[:]
	if proto == flowscope.L4ICMPv6 {
		pairs = icmp6Pairs[:]
	}
	for _, p := range pairs {
		switch kind {
		case p[0]:
			return int(p[1])
		case p[1]:
			return int(p[0])
		}
	}
	return -1
}

// Requests and their answers: of RFC 792 and RFC 950, RFC 1256 (router solicitation and advertisement);
// of RFC 4443, RFC 2710, RFC 4861, RFC 4620 (node information), RFC 8335 aside, RFC 6275 (home agents).
var (
	icmp4Pairs = [...][2]uint8{{8, 0}, {13, 14}, {15, 16}, {10, 9}, {17, 18}}
	icmp6Pairs = [...][2]uint8{{128, 129}, {133, 134}, {135, 136}, {130, 131}, {139, 140}, {144, 145}}
)
