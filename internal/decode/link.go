package decode

import "encoding/binary"

// Link is what a frame begins with: a number of the tcpdump link-type registry, with one exception.
// The zero value is Ethernet, so that a caller who says nothing gets it; BSD NULL, number 0 in the
// registry, is LinkNull.
type Link uint16

// The links that Decode reads.
const (
	LinkEthernet   Link = 1      // also 0
	LinkPPP        Link = 9      // with or without address and control
	LinkRawBSD     Link = 12     // IPv4 or IPv6: LINKTYPE_RAW as some BSDs number it
	LinkRawOpenBSD Link = 14     // the same, on OpenBSD
	LinkPPPHDLC    Link = 50     // PPP or Cisco HDLC, as the first byte says
	LinkPPPoE      Link = 51     // PPPoE without Ethernet around it
	LinkRaw        Link = 101    // IPv4 or IPv6
	LinkHDLC       Link = 104    // Cisco HDLC
	LinkWiFi       Link = 105    // 802.11
	LinkLoop       Link = 108    // OpenBSD loopback
	LinkSLL        Link = 113    // Linux cooked
	LinkPFLOG      Link = 117    // OpenBSD packet filter log
	LinkPrism      Link = 119    // 802.11 behind a Prism header
	LinkRadiotap   Link = 127    // 802.11 behind a radiotap header
	LinkAVS        Link = 163    // 802.11 behind an AVS header
	LinkIPv4       Link = 228    // IPv4
	LinkIPv6       Link = 229    // IPv6
	LinkNFLOG      Link = 239    // Linux netfilter log
	LinkIPoIB      Link = 242    // IP over InfiniBand
	LinkSLL2       Link = 276    // Linux cooked, version 2
	LinkNull       Link = 0xffff // BSD loopback; 0 in the registry
)

// What comes next, in the numbers of the EtherType registry. Up to maxLength the field is the
// length of an 802.3 frame, and LLC follows (IEEE 802.3 section 3.2.6).
const (
	typeIPv4  = 0x0800
	typeIPv6  = 0x86dd
	typeLLC   = 0x0004 // of a Linux cooked header; also a length, which says the same
	maxLength = 1500
)

const ethernetHeader = 14

// linkHeader peels the link header off a frame that is not Ethernet: what comes next, and the rest.
func linkHeader(frame []byte, cut int, link Link) (next uint16, rest []byte, left int, status Status) {
	switch link {
	case LinkRaw, LinkRawBSD, LinkRawOpenBSD:
		next, rest, status = raw(frame)
	case LinkSLL:
		next, rest, status = sll(frame)
	case LinkSLL2:
		next, rest, status = sll2(frame)
	case LinkNull, LinkLoop:
		next, rest, status = null(frame)
	case LinkIPv4:
		next, rest = typeIPv4, frame
	case LinkIPv6:
		next, rest = typeIPv6, frame
	case LinkPPPoE:
		_, next, rest, cut, status = pppoe(frame, cut)
	case LinkNFLOG:
		next, rest, cut, status = nflog(frame, cut)
	default:
		next, rest, status = rareLink(frame, link)
	}
	return next, rest, cut, status
}

func rareLink(frame []byte, link Link) (next uint16, rest []byte, status Status) {
	switch link {
	case LinkPPP, LinkPPPHDLC:
		return serial(frame)
	case LinkHDLC:
		return hdlc(frame)
	case LinkPFLOG:
		return pflog(frame)
	case LinkIPoIB:
		return ipoib(frame)
	case LinkWiFi, LinkPrism, LinkRadiotap, LinkAVS:
		return monitor(frame, link)
	}
	return 0, nil, UnknownLink
}

func raw(b []byte) (uint16, []byte, Status) {
	if len(b) == 0 {
		return 0, nil, TruncatedRaw
	}
	switch b[0] >> 4 {
	case 4:
		return typeIPv4, b, OK
	case 6:
		return typeIPv6, b, OK
	}
	return 0, nil, BadIPVersion
}

// null reads the address family in front of BSD loopback packets: in the byte order of the machine
// that captured, which nothing tells, and always in network order for LOOP. A family is small, so
// the order shows. The number of IPv6 differs from system to system.
func null(b []byte) (uint16, []byte, Status) {
	if len(b) < 4 {
		return 0, nil, TruncatedNull
	}
	family := binary.BigEndian.Uint32(b)
	if family > 0xffff {
		family = binary.LittleEndian.Uint32(b)
	}
	switch family {
	case 2:
		return typeIPv4, b[4:], OK
	case 10, 24, 28, 30: // Linux; NetBSD and OpenBSD; FreeBSD; macOS
		return typeIPv6, b[4:], OK
	}
	// Some captures of that link type hold Cisco HDLC headers.
	if isHDLC(b) {
		return hdlc(b)
	}
	return 0, nil, NotIP
}

func sll(b []byte) (uint16, []byte, Status) {
	if len(b) < 16 {
		return 0, nil, TruncatedSLL
	}
	return cooked(binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[14:]), b[16:])
}

func sll2(b []byte) (uint16, []byte, Status) {
	if len(b) < 20 {
		return 0, nil, TruncatedSLL
	}
	return cooked(binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b), b[20:])
}

// cooked reads the protocol field of a Linux cooked header: an EtherType, with small numbers of
// Linux's own for frames without one, of which LLC alone can carry IP. On some kinds of device
// (ARPHRD numbers) the field is something else or nothing.
func cooked(device, proto uint16, rest []byte) (uint16, []byte, Status) {
	switch device {
	case 770, 803, 824: // frame relay, 802.11 with radiotap, netlink
		return 0, nil, NotIP
	}
	if proto <= maxLength && proto != typeLLC {
		return 0, nil, NotIP
	}
	return proto, rest, OK
}

// llc reads the header of IEEE 802.2: IP has a service access point of its own, and SNAP (RFC 1042)
// carries an EtherType.
func llc(b []byte) (uint16, []byte, Status) {
	if len(b) < 3 {
		return 0, nil, TruncatedLLC
	}
	switch b[0] {
	case 0x06:
		return typeIPv4, b[3:], OK
	case 0xaa:
		if len(b) < 8 {
			return 0, nil, TruncatedLLC
		}
		// A length where SNAP has its EtherType would be LLC within LLC: nothing sends that.
		if next := binary.BigEndian.Uint16(b[6:]); b[3]|b[4]|b[5] == 0 && next > maxLength {
			return next, b[8:], OK
		}
	}
	return 0, nil, NotIP
}
