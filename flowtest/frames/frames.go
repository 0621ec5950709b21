// Package frames builds frames for tests: a struct literal says what matters, and the rest (lengths,
// checksums, MAC addresses) is filled in correctly.
//
//	frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Seq: 100, Flags: "S"}.Ethernet()
//	frames.UDP{Src: "[fd00::1]:53", Dst: "[fd00::2]:4000", Payload: answer, VLANs: []uint16{7}}.Ethernet()
//	frames.Cut(frame, 96) // what a snap length of 96 bytes leaves
//
// Tunnels are nested from the inside out; what goes over UDP or IP is the Payload of UDP or IP:
//
//	inner := frames.TCP{Src: "10.0.0.1:1", Dst: "10.0.0.2:80", Flags: "S"}
//	frames.UDP{Src: "192.0.2.1:9", Dst: "192.0.2.2:4789", Payload: frames.VXLAN(77, inner.Ethernet())}.Ethernet()
//	frames.IP{Src: "192.0.2.1", Dst: "192.0.2.2", Proto: 47, Payload: frames.GRE{}.Put(inner.IP())}.Ethernet()
//
// The family is that of the addresses. IP() gives the packet without a link header; other functions put a
// link header in front of it, or a tunnel. It is not for measuring and not for sending: a literal that makes
// no sense (an address that does not parse, two families) panics, since only the author of a test can fix it.
package frames

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// TCP is one TCP segment. Src and Dst are "address:port", with an IPv6 address in brackets.
type TCP struct {
	Src, Dst       string
	Seq, Ack       uint32
	Flags          string // any of F S R P A U E C, in any order; empty is no flag
	Window, Urgent uint16
	Options        []layers.TCPOption // MSS, WindowScale and so on make them; padding is added
	Payload        []byte
	VLANs          []uint16 // outermost first
}

// UDP is one UDP datagram.
type UDP struct {
	Src, Dst string
	Payload  []byte
	VLANs    []uint16
}

// ICMPEcho is an echo request, or the reply to one: ICMP or ICMPv6. Src and Dst are addresses without a port.
type ICMPEcho struct {
	Src, Dst string
	Reply    bool
	ID, Seq  uint16
	Payload  []byte
	VLANs    []uint16
}

// IP is a packet of any protocol, with Payload behind the IP header as it is.
type IP struct {
	Src, Dst string
	Proto    uint8
	Payload  []byte
	VLANs    []uint16
}

// Ethernet returns the segment in an Ethernet II frame, without trailing padding.
func (t TCP) Ethernet() []byte { return ethernet(t.VLANs, t.IP()) }

// Ethernet returns the datagram in an Ethernet II frame, without trailing padding.
func (u UDP) Ethernet() []byte { return ethernet(u.VLANs, u.IP()) }

// Ethernet returns the message in an Ethernet II frame, without trailing padding.
func (e ICMPEcho) Ethernet() []byte { return ethernet(e.VLANs, e.IP()) }

// Ethernet returns the packet in an Ethernet II frame, without trailing padding.
func (p IP) Ethernet() []byte { return ethernet(p.VLANs, p.IP()) }

// IP returns the segment with its IP header, and no link header.
func (t TCP) IP() []byte {
	src, dst := netip.MustParseAddrPort(t.Src), netip.MustParseAddrPort(t.Dst)
	if strings.Trim(t.Flags, "FSRPAUEC") != "" {
		panic("frames: no such TCP flags: " + t.Flags)
	}
	has := func(flag string) bool { return strings.Contains(t.Flags, flag) }
	l := &layers.TCP{
		SrcPort: layers.TCPPort(src.Port()), DstPort: layers.TCPPort(dst.Port()),
		Seq: t.Seq, Ack: t.Ack, Window: t.Window, Urgent: t.Urgent, Options: t.Options,
		FIN: has("F"), SYN: has("S"), RST: has("R"), PSH: has("P"), ACK: has("A"), URG: has("U"), ECE: has("E"), CWR: has("C"),
	}
	ip := header(src.Addr(), dst.Addr(), layers.IPProtocolTCP)
	must(l.SetNetworkLayerForChecksum(ip))
	return serialize(ip, l, gopacket.Payload(t.Payload))
}

// IP returns the datagram with its IP header, and no link header.
func (u UDP) IP() []byte {
	src, dst := netip.MustParseAddrPort(u.Src), netip.MustParseAddrPort(u.Dst)
	l := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	ip := header(src.Addr(), dst.Addr(), layers.IPProtocolUDP)
	must(l.SetNetworkLayerForChecksum(ip))
	return serialize(ip, l, gopacket.Payload(u.Payload))
}

// IP returns the message with its IP header, and no link header.
func (e ICMPEcho) IP() []byte {
	src, dst := netip.MustParseAddr(e.Src), netip.MustParseAddr(e.Dst)
	kind4, kind6 := uint8(layers.ICMPv4TypeEchoRequest), uint8(layers.ICMPv6TypeEchoRequest)
	if e.Reply {
		kind4, kind6 = layers.ICMPv4TypeEchoReply, layers.ICMPv6TypeEchoReply
	}
	if src.Is4() {
		l := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind4, 0), Id: e.ID, Seq: e.Seq}
		return serialize(header(src, dst, layers.IPProtocolICMPv4), l, gopacket.Payload(e.Payload))
	}
	ip := header(src, dst, layers.IPProtocolICMPv6)
	l := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind6, 0)}
	must(l.SetNetworkLayerForChecksum(ip))
	echo := &layers.ICMPv6Echo{Identifier: e.ID, SeqNumber: e.Seq}
	return serialize(ip, l, echo, gopacket.Payload(e.Payload))
}

// IP returns the packet with its IP header, and no link header.
func (p IP) IP() []byte {
	ip := header(netip.MustParseAddr(p.Src), netip.MustParseAddr(p.Dst), layers.IPProtocol(p.Proto))
	return serialize(ip, gopacket.Payload(p.Payload))
}

// ipLayer is an IP header that can be written and that a transport checksum can be made over.
type ipLayer interface {
	gopacket.NetworkLayer
	gopacket.SerializableLayer
}

func header(src, dst netip.Addr, proto layers.IPProtocol) ipLayer {
	if src.Is4() != dst.Is4() {
		panic(fmt.Sprintf("frames: %v and %v are of two families", src, dst))
	}
	from, to := net.IP(src.AsSlice()), net.IP(dst.AsSlice())
	if src.Is4() {
		return &layers.IPv4{Version: 4, TTL: 64, Id: 1, Protocol: proto, SrcIP: from, DstIP: to}
	}
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: from, DstIP: to}
}

func serialize(l ...gopacket.SerializableLayer) []byte {
	buf := gopacket.NewSerializeBuffer()
	must(gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...))
	return buf.Bytes()
}

func must(err error) {
	if err != nil {
		panic("frames: " + err.Error())
	}
}

// SCTP is one SCTP packet: a common header with a right checksum, and chunks as they are.
type SCTP struct {
	Src, Dst string
	Payload  []byte
}

// IP returns the packet with its IP header, and no link header.
func (s SCTP) IP() []byte {
	src, dst := netip.MustParseAddrPort(s.Src), netip.MustParseAddrPort(s.Dst)
	l := &layers.SCTP{SrcPort: layers.SCTPPort(src.Port()), DstPort: layers.SCTPPort(dst.Port()), VerificationTag: 1}
	return serialize(header(src.Addr(), dst.Addr(), layers.IPProtocolSCTP), l, gopacket.Payload(s.Payload))
}
