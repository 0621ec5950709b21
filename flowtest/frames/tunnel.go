package frames

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Encapsulations: each takes the bytes of what it carries and returns them with its own header in front. Those
// that go over UDP or IP return what UDP{}.Payload or IP{}.Payload wants, so that they can be put into each other:
//
//	inner := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Flags: "S"}
//	frames.UDP{Src: "1.1.1.1:9", Dst: "1.1.1.2:4789", Payload: frames.VXLAN(77, inner.Ethernet())}.Ethernet()

// EtherFrame puts an Ethernet II header of any type before a payload.
func EtherFrame(kind uint16, payload []byte) []byte {
	h := ethernet(nil, []byte{0})[:12]
	return append(binary.BigEndian.AppendUint16(h, kind), payload...)
}

// MPLS puts a label stack, the outermost label first, before a packet.
func MPLS(payload []byte, labels ...uint32) []byte {
	var b []byte
	for i, label := range labels {
		entry := label<<12 | 64
		if i == len(labels)-1 {
			entry |= 0x100
		}
		b = binary.BigEndian.AppendUint32(b, entry)
	}
	return append(b, payload...)
}

// ControlWord puts the control word of a pseudo-wire before an Ethernet frame.
func ControlWord(frame []byte) []byte { return append([]byte{0, 0, 0, 1}, frame...) }

// PPPoE puts a session header and a PPP header before an IP packet.
func PPPoE(session uint16, ip []byte) []byte {
	ppp := PPP(ip)[2:]
	b := binary.BigEndian.AppendUint16([]byte{0x11, 0}, session)
	b = binary.BigEndian.AppendUint16(b, uint16(len(ppp)))
	return append(b, ppp...)
}

// PBB puts the service tag of 802.1ah before an Ethernet frame.
func PBB(service uint32, frame []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, service&0xffffff), frame...)
}

// VNTag puts a VN-Tag before an IP packet.
func VNTag(dst, src uint16, ip []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, dst&0x3fff)
	b = binary.BigEndian.AppendUint16(b, src&0x0fff)
	return append(binary.BigEndian.AppendUint16(b, etherType(ip)), ip...)
}

// GRE is a GRE header of version 0. What is nil is not there.
type GRE struct {
	Protocol      uint16 // 0 is IPv4 or IPv6, as the payload says
	Key, Sequence *uint32
	Checksum      bool // zero, but there
}

// Put puts the header before a payload.
func (g GRE) Put(payload []byte) []byte {
	var flags uint16
	var fields []byte
	if g.Checksum {
		flags, fields = flags|0x8000, append(fields, 0, 0, 0, 0)
	}
	if g.Key != nil {
		flags, fields = flags|0x2000, binary.BigEndian.AppendUint32(fields, *g.Key)
	}
	if g.Sequence != nil {
		flags, fields = flags|0x1000, binary.BigEndian.AppendUint32(fields, *g.Sequence)
	}
	if g.Protocol == 0 {
		g.Protocol = etherType(payload)
	}
	b := binary.BigEndian.AppendUint16(nil, flags)
	b = binary.BigEndian.AppendUint16(b, g.Protocol)
	return slices.Concat(b, fields, payload)
}

// NVGRE puts a GRE header with a virtual subnet and a flow number before an Ethernet frame.
func NVGRE(subnet uint32, flow uint8, frame []byte) []byte {
	key := subnet<<8 | uint32(flow)
	return GRE{Protocol: 0x6558, Key: &key}.Put(frame)
}

// ERSPAN puts a GRE header and the ERSPAN header of type 1, 2 or 3 before an Ethernet frame.
func ERSPAN(kind int, session uint16, frame []byte) []byte {
	sequence := uint32(1)
	switch kind {
	case 1:
		return GRE{Protocol: 0x88be}.Put(frame)
	case 2:
		h := binary.BigEndian.AppendUint16(nil, 1<<12)
		h = binary.BigEndian.AppendUint16(h, session&0x3ff)
		return GRE{Protocol: 0x88be, Sequence: &sequence}.Put(slices.Concat(h, []byte{0, 0, 0, 0}, frame))
	}
	h := binary.BigEndian.AppendUint16(nil, 2<<12)
	h = binary.BigEndian.AppendUint16(h, session&0x3ff)
	return GRE{Protocol: 0x22eb, Sequence: &sequence}.Put(slices.Concat(h, make([]byte, 8), frame))
}

// PPTP puts a GRE header of version 1, with sequence and acknowledgement numbers, and a PPP header before an IP
// packet.
func PPTP(call uint16, ip []byte) []byte {
	ppp := PPP(ip)
	b := binary.BigEndian.AppendUint16([]byte{0x30, 0x81, 0x88, 0x0b}, uint16(len(ppp)))
	b = binary.BigEndian.AppendUint16(b, call)
	return append(append(b, 0, 0, 0, 1, 0, 0, 0, 2), ppp...)
}

// EtherIP puts its header before an Ethernet frame.
func EtherIP(frame []byte) []byte { return append([]byte{0x30, 0}, frame...) }

// VXLAN puts its header before an Ethernet frame.
func VXLAN(network uint32, frame []byte) []byte {
	b := []byte{0x08, 0, 0, 0}
	return append(binary.BigEndian.AppendUint32(b, network<<8), frame...)
}

// VXLANGPE puts the header of the generic variant before a payload: next 1 is IPv4, 2 IPv6, 3 Ethernet, 5 MPLS.
func VXLANGPE(network uint32, next uint8, payload []byte) []byte {
	b := []byte{0x0c, 0, 0, next}
	return append(binary.BigEndian.AppendUint32(b, network<<8), payload...)
}

// Geneve puts its header before a payload of that EtherType (0x6558 is Ethernet), with options of a multiple of 4
// bytes.
func Geneve(network uint32, kind uint16, options, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{byte(len(options) / 4), 0}, kind)
	b = binary.BigEndian.AppendUint32(b, network<<8)
	return slices.Concat(b, options, payload)
}

// GTPU puts the header of a user packet before an IP packet. Extensions, each of a multiple of 4 bytes, have the
// number of the next one put into their last byte; kind is the number of the first.
func GTPU(endpoint uint32, ip []byte, extensions ...[]byte) []byte {
	const kind = 0x85
	var rest []byte
	flags := byte(0x30)
	if len(extensions) > 0 {
		flags, rest = 0x34, []byte{0, 0, 0, kind}
	}
	for i, e := range extensions {
		e = slices.Clone(e)
		e[0], e[len(e)-1] = byte(len(e)/4), kind
		if i == len(extensions)-1 {
			e[len(e)-1] = 0
		}
		rest = append(rest, e...)
	}
	b := binary.BigEndian.AppendUint16([]byte{flags, 255}, uint16(len(rest)+len(ip)))
	b = binary.BigEndian.AppendUint32(b, endpoint)
	return slices.Concat(b, rest, ip)
}

// Teredo puts an authentication header and an origin indication, if asked for, before an IPv6 packet.
func Teredo(authentication, origin bool, ip []byte) []byte {
	var b []byte
	if authentication {
		b = append(b, 0, 1, 2, 3)
		b = append(b, "idkey12345678"...)
		b = append(b, 0)
	}
	if origin {
		b = append(b, 0, 0, 0x12, 0x34, 1, 2, 3, 4)
	}
	return append(b, ip...)
}

// AYIYA puts a header with an identity of 16 bytes and a signature of 20 before an IP packet.
func AYIYA(ip []byte) []byte {
	next := byte(41)
	if ip[0]>>4 == 4 {
		next = 4
	}
	b := []byte{0x41, 0x52, 0x11, next, 1, 2, 3, 4}
	return slices.Concat(b, netip.MustParseAddr("fd00::77").AsSlice(), make([]byte, 20), ip)
}

// L2TP puts the header of a data message with all its fields, and a PPP header, before an IP packet.
func L2TP(tunnel, session uint16, ip []byte) []byte {
	ppp := PPP(ip)
	b := binary.BigEndian.AppendUint16([]byte{0x4b, 2}, uint16(16+len(ppp)))
	b = binary.BigEndian.AppendUint16(b, tunnel)
	b = binary.BigEndian.AppendUint16(b, session)
	return append(append(b, 0, 1, 0, 2, 0, 2, 0xee, 0xee), ppp...)
}

// TZSP puts the header of a sniffer, with padding and a field of two bytes, before a frame: kind 1 is Ethernet, 18
// 802.11.
func TZSP(kind uint16, frame []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{1, 0}, kind)
	return append(append(b, 0, 41, 2, 5, 0xdc, 1), frame...)
}

// Over puts an IP header of those addresses and that protocol before a payload.
func Over(src, dst string, proto uint8, payload []byte) []byte {
	return IP{Src: src, Dst: dst, Proto: proto, Payload: payload}.IP()
}
