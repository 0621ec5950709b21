package testkit

import (
	"fmt"
	"slices"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// Encapsulation is one way to carry a packet between two routers. Put takes the direction and what is carried.
type Encapsulation struct {
	Name     string
	Put      func(dir int, ip []byte) []byte
	Through  string
	V6       bool // it carries IPv6 only
	Ethernet bool // there is an Ethernet header inside
	Inner    func(Extractor) Extractor
}

// The hardware addresses inside; those outside are those of package frames.
var innerMAC = [2][6]byte{{2, 0, 0, 0, 0, 0x11}, {2, 0, 0, 0, 0, 0x22}}

// InnerFrame puts a packet in an Ethernet frame with the hardware addresses of the inside.
func InnerFrame(dir int, ip []byte) []byte {
	f := frames.Ethernet(ip)
	copy(f, innerMAC[1-dir][:])
	copy(f[6:], innerMAC[dir][:])
	return f
}

// OuterIP puts a payload in an IPv4 packet between two routers, in a frame.
func OuterIP(dir int, proto uint8, payload []byte) []byte {
	ends := [2]string{"192.0.2.1", "192.0.2.2"}
	return frames.Ethernet(frames.Over(ends[dir], ends[1-dir], proto, payload))
}

func outerIP6(dir int, proto uint8, payload []byte) []byte {
	ends := [2]string{"2001:db8::1", "2001:db8::2"}
	return frames.Ethernet(frames.Over(ends[dir], ends[1-dir], proto, payload))
}

// OuterUDP is as tunnels over UDP are: to the known port in either direction, from any.
func OuterUDP(dir, port int, payload []byte) []byte {
	ends := [2]string{"192.0.2.1", "192.0.2.2"}
	return frames.UDP{
		Src: fmt.Sprintf("%s:%d", ends[dir], 50000+dir), Dst: fmt.Sprintf("%s:%d", ends[1-dir], port), Payload: payload,
	}.Ethernet()
}

// Encapsulations are all that the library takes apart, and none.
func Encapsulations() []Encapsulation {
	mpls := func(in Extractor) Extractor { return flowscope.StripMPLS(in) }
	gre := func(in Extractor) Extractor { return flowscope.InnerGRE(in) }
	vxlan := func(in Extractor) Extractor { return flowscope.InnerVXLAN(in) }
	gtpu := func(in Extractor) Extractor { return flowscope.InnerGTPU(in) }
	key := uint32(99)
	type put = func(dir int, ip []byte) []byte
	overIP := func(proto uint8, f put) put {
		return func(dir int, ip []byte) []byte { return OuterIP(dir, proto, f(dir, ip)) }
	}
	overUDP := func(port int, f put) put {
		return func(dir int, ip []byte) []byte { return OuterUDP(dir, port, f(dir, ip)) }
	}
	behind := func(kind uint16, f put) put {
		return func(dir int, ip []byte) []byte { return frames.EtherFrame(kind, f(dir, ip)) }
	}
	erspan := func(kind int) put {
		return func(dir int, ip []byte) []byte { return frames.ERSPAN(kind, 8, InnerFrame(dir, ip)) }
	}
	tun := func(t flowscope.Tunnel, id uint32) string { return fmt.Sprintf("%v:%d", t, id) }
	return []Encapsulation{
		{"MPLS", behind(0x8847, func(dir int, ip []byte) []byte { return frames.MPLS(ip, 1000, 16+uint32(dir)) }), tun(flowscope.TunnelMPLS, 16), false, false, mpls},
		{"a pseudo-wire", behind(0x8847, func(dir int, ip []byte) []byte {
			return frames.MPLS(frames.ControlWord(InnerFrame(dir, ip)), 20+uint32(dir))
		}), tun(flowscope.TunnelMPLS, 20), false, true, mpls},
		{"MPLS in IP", overIP(137, func(dir int, ip []byte) []byte { return frames.MPLS(ip, 16+uint32(dir)) }), tun(flowscope.TunnelMPLS, 16), false, false, mpls},
		{"PPPoE", behind(0x8864, func(_ int, ip []byte) []byte { return frames.PPPoE(7, ip) }), tun(flowscope.TunnelPPPoE, 7), false, false, nil},
		{"802.1ah", behind(0x88e7, func(dir int, ip []byte) []byte { return frames.PBB(70000, InnerFrame(dir, ip)) }), tun(flowscope.TunnelPBB, 70000), false, true, nil},
		{"VN-Tag", behind(0x8926, func(dir int, ip []byte) []byte { return frames.VNTag(uint16(1+dir), uint16(2-dir), ip) }), "vntag", false, false, nil},
		{"IP in IPv4", func(dir int, ip []byte) []byte { return OuterIP(dir, protoOf(ip), ip) }, "ipip", false, false, nil},
		{"IP in IPv6", func(dir int, ip []byte) []byte { return outerIP6(dir, protoOf(ip), ip) }, "ipip", false, false, nil},
		{"GRE", overIP(47, func(_ int, ip []byte) []byte { return frames.GRE{}.Put(ip) }), "gre", false, false, gre},
		{"GRE with all fields", overIP(47, func(_ int, ip []byte) []byte {
			return frames.GRE{Key: &key, Sequence: &key, Checksum: true}.Put(ip)
		}), tun(flowscope.TunnelGRE, 99), false, false, gre},
		{"NVGRE", overIP(47, func(dir int, ip []byte) []byte { return frames.NVGRE(5000, 1, InnerFrame(dir, ip)) }), tun(flowscope.TunnelNVGRE, 5000), false, true, gre},
		{"ERSPAN I", overIP(47, erspan(1)), "erspan", false, true, gre},
		{"ERSPAN II", overIP(47, erspan(2)), tun(flowscope.TunnelERSPAN, 8), false, true, gre},
		{"ERSPAN III", overIP(47, erspan(3)), tun(flowscope.TunnelERSPAN, 8), false, true, gre},
		{"PPTP", overIP(47, func(dir int, ip []byte) []byte { return frames.PPTP(uint16(30+dir), ip) }), tun(flowscope.TunnelPPTP, 30), false, false, gre},
		{"EtherIP", overIP(97, func(dir int, ip []byte) []byte { return frames.EtherIP(InnerFrame(dir, ip)) }), "etherip", false, true, nil},
		{"VXLAN", overUDP(4789, func(dir int, ip []byte) []byte { return frames.VXLAN(77, InnerFrame(dir, ip)) }), "vxlan:77", false, true, vxlan},
		{"VXLAN-GPE with Ethernet", overUDP(4790, func(dir int, ip []byte) []byte { return frames.VXLANGPE(78, 3, InnerFrame(dir, ip)) }), "vxlan_gpe:78", false, true, nil},
		{"VXLAN-GPE with IP", overUDP(4790, func(_ int, ip []byte) []byte { return frames.VXLANGPE(78, 1+ip[0]>>5&1, ip) }), "vxlan_gpe:78", false, false, nil},
		{"Geneve with Ethernet", overUDP(6081, func(dir int, ip []byte) []byte {
			return frames.Geneve(79, 0x6558, []byte{1, 2, 3, 1, 5, 6, 7, 8}, InnerFrame(dir, ip))
		}), "geneve:79", false, true, nil},
		{"Geneve with IP", overUDP(6081, func(_ int, ip []byte) []byte { return frames.Geneve(79, etherTypeOf(ip), nil, ip) }), "geneve:79", false, false, nil},
		{"GTP-U", overUDP(2152, func(dir int, ip []byte) []byte { return frames.GTPU(500+uint32(dir), ip) }), "gtpu:500", false, false, gtpu},
		{"GTP-U with extensions", overUDP(2152, func(dir int, ip []byte) []byte {
			return frames.GTPU(500+uint32(dir), ip, make([]byte, 4), make([]byte, 8))
		}), "gtpu:500", false, false, gtpu},
		{"Teredo", overUDP(3544, func(_ int, ip []byte) []byte { return frames.Teredo(true, true, ip) }), "teredo", true, false, nil},
		{"AYIYA", overUDP(5072, func(_ int, ip []byte) []byte { return frames.AYIYA(ip) }), "ayiya", false, false, nil},
		{"L2TP", overUDP(1701, func(dir int, ip []byte) []byte { return frames.L2TP(1, 2+uint16(dir), ip) }), tun(flowscope.TunnelL2TP, 1<<16|2), false, false, nil},
		{"TZSP", overUDP(37008, func(dir int, ip []byte) []byte { return frames.TZSP(1, InnerFrame(dir, ip)) }), "tzsp", false, true, nil},
		{"TZSP with 802.11", overUDP(37008, func(_ int, ip []byte) []byte { return frames.TZSP(18, frames.WiFi{QoS: true}.Put(ip)) }), "tzsp", false, false, nil},
		{"GRE over UDP", overUDP(4754, func(_ int, ip []byte) []byte { return frames.GRE{Key: &key}.Put(ip) }), tun(flowscope.TunnelGRE, 99), false, false, gre},
		{"MPLS over UDP", overUDP(6635, func(dir int, ip []byte) []byte { return frames.MPLS(ip, 16+uint32(dir)) }), tun(flowscope.TunnelMPLS, 16), false, false, mpls},
		{"none", func(_ int, ip []byte) []byte { return frames.Ethernet(ip) }, "", false, true, nil},
	}
}

func protoOf(ip []byte) uint8 {
	if ip[0]>>4 == 6 {
		return 41
	}
	return 4
}

func etherTypeOf(ip []byte) uint16 {
	if ip[0]>>4 == 6 {
		return 0x86dd
	}
	return 0x0800
}

// TunnelEnds are the ends of a conversation by family: IPv4, IPv6.
var TunnelEnds = [2][2]string{{Client, Server}, {"[2001:0:1::1]:1234", "[2001:0:1::2]:80"}}

// Permute calls f with every order of 0 to n-1.
func Permute(n int, f func([]int)) {
	order := make([]int, 0, n)
	var next func(left []int)
	next = func(left []int) {
		if len(left) == 0 {
			f(order)
			return
		}
		for i := range left {
			order = append(order, left[i])
			next(append(slices.Clone(left[:i]), left[i+1:]...))
			order = order[:len(order)-1]
		}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	next(all)
}

// VXLANOf puts a packet in VXLAN of a network, in a frame.
func VXLANOf(network uint32, ip []byte) []byte {
	return OuterUDP(0, 4789, frames.VXLAN(network, InnerFrame(0, ip)))
}
