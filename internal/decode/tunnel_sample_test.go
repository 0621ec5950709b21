package decode

import (
	"encoding/binary"
	"slices"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// tunnelSample is a sound frame with a packet inside that goes from port 4321 to 443 and says
// tunnelPayload.
type tunnelSample struct {
	sample
	kind    Tunnel
	id      uint32
	peeled  Peel
	tunnels uint8
}

const tunnelPayload = "what the tunnel carries"

var (
	insideTCP4 = frames.TCP{Src: "192.168.0.1:4321", Dst: "192.168.0.2:443", Seq: 7, Ack: 8, Flags: "PA", Payload: []byte(tunnelPayload)}
	insideTCP6 = frames.TCP{Src: "[2001:db8::1]:4321", Dst: "[2001:db8::2]:443", Seq: 7, Ack: 8, Flags: "PA", Payload: []byte(tunnelPayload)}
	insideUDP4 = frames.UDP{Src: "192.168.0.1:4321", Dst: "192.168.0.2:443", Payload: []byte(tunnelPayload)}
	insideUDP6 = frames.UDP{Src: "[2001:0:1::1]:4321", Dst: "[2001:db8::2]:443", Payload: []byte(tunnelPayload)}
)

// to4 and to6 put a UDP payload into a packet between the ends of a tunnel.
func to4(port string, payload []byte) []byte {
	return frames.UDP{Src: "10.9.0.1:50000", Dst: "10.9.0.2:" + port, Payload: payload}.IP()
}

func to6(port string, payload []byte) []byte {
	return frames.UDP{Src: "[fd09::1]:50000", Dst: "[fd09::2]:" + port, Payload: payload}.IP()
}

func over4(proto uint8, payload []byte) []byte {
	return frames.Over("10.9.0.1", "10.9.0.2", proto, payload)
}

func over6(proto uint8, payload []byte) []byte {
	return frames.Over("fd09::1", "fd09::2", proto, payload)
}

func tunnelSamples() []tunnelSample {
	tcp4, tcp6, udp4, udp6 := insideTCP4.IP(), insideTCP6.IP(), insideUDP4.IP(), insideUDP6.IP()
	frame4, frame6 := insideTCP4.Ethernet(), frames.Ethernet(udp6, 5)
	key, middle, big, seq := uint32(1000), uint32(0x000fffff), uint32(0x123456ff), uint32(9)
	eight := insideTCP4 // whose address looks like an EtherType in the place of one
	eight.Src = "8.0.0.1:4321"
	teb := uint16(0x6558)
	options := []byte{1, 2, 3, 1, 0xa, 0xb, 0xc, 0xd, 1, 2, 3, 0}
	type row struct {
		name   string
		ip     []byte // in an Ethernet frame
		kind   Tunnel
		id     uint32
		peeled Peel
	}
	var out []tunnelSample
	for _, r := range []row{
		{"IPv4 in IPv4", over4(4, tcp4), IPIP, 0, PeelIPIP},
		{"IPv6 in IPv4", over4(41, tcp6), IPIP, 0, PeelIPIP},
		{"IPv4 in IPv6", over6(4, udp4), IPIP, 0, PeelIPIP},
		{"IPv6 in IPv6", over6(41, udp6), IPIP, 0, PeelIPIP},
		{"IPv4 in IPv6 behind options", over6(60, chain(udp4, 4, 60)), IPIP, 0, PeelIPIP},
		{"GRE", over4(47, frames.GRE{}.Put(tcp4)), GRE, 0, PeelGRE},
		{"GRE over IPv6 with all fields", over6(47, frames.GRE{Key: &key, Sequence: &seq, Checksum: true}.Put(tcp6)), GRE, 1000, PeelGRE},
		{"GRE with PPP", over4(47, frames.GRE{Protocol: 0x880b}.Put(frames.PPP(tcp4))), GRE, 0, PeelGRE},
		{"GRE with MPLS", over4(47, frames.GRE{Protocol: 0x8847}.Put(frames.MPLS(tcp4, 3))), MPLS, 3, PeelGRE | PeelMPLS},
		{"Ethernet over GRE", over4(47, frames.GRE{Protocol: teb, Key: &key}.Put(frame4)), GRE, 1000, PeelGRE},
		{"Ethernet over GRE with a key below the first subnet", over4(47, frames.GRE{Protocol: teb, Key: &middle}.Put(frame4)), GRE, middle, PeelGRE},
		{"NVGRE", over4(47, frames.NVGRE(0x4242, 7, frame6)), NVGRE, 0x4242, PeelGRE},
		{"Ethernet over GRE with a checksum and a large key", over4(47, frames.GRE{Protocol: teb, Key: &big, Checksum: true}.Put(frame4)), GRE, big, PeelGRE},
		{"ERSPAN I", over4(47, frames.ERSPAN(1, 0, frame4)), ERSPAN, 0, PeelGRE},
		{"ERSPAN II", over4(47, frames.ERSPAN(2, 100, frame4)), ERSPAN, 100, PeelGRE},
		{"ERSPAN III", over4(47, frames.ERSPAN(3, 1023, frame6)), ERSPAN, 1023, PeelGRE},
		{"ERSPAN III with a platform header", over4(47, platform(frames.ERSPAN(3, 9, frame4))), ERSPAN, 9, PeelGRE},
		{"ERSPAN III with IP", over4(47, set(frames.ERSPAN(3, 9, tcp6), 18, 0x08)), ERSPAN, 9, PeelGRE},
		{"PPTP", over4(47, frames.PPTP(6016, tcp4)), PPTP, 6016, PeelGRE},
		{"EtherIP", over6(97, frames.EtherIP(frame4)), EtherIP, 0, PeelEtherIP},
		{"MPLS in IP", over4(137, frames.MPLS(tcp6, 9, 10)), MPLS, 10, PeelMPLS},
		{"a pseudo-wire in IP", over4(137, frames.MPLS(frames.ControlWord(frame4), 9)), MPLS, 9, PeelMPLS | PeelPseudoWire},
		{"VXLAN", to4("4789", frames.VXLAN(77, frame4)), VXLAN, 77, PeelVXLAN},
		{"VXLAN over IPv6, on Linux's port, tagged inside", to6("8472", frames.VXLAN(0xffffff, frame6)), VXLAN, 0xffffff, PeelVXLAN},
		{"VXLAN with group policy", to4("4789", set(frames.VXLAN(77, frame4), 0, 0x88, 0x48, 1, 2)), VXLAN, 77, PeelVXLAN},
		{"VXLAN answered from the port", frames.UDP{Src: "10.9.0.1:4789", Dst: "10.9.0.2:50000", Payload: frames.VXLAN(77, frame4)}.IP(), VXLAN, 77, PeelVXLAN},
		{"VXLAN-GPE with IPv4", to4("4790", frames.VXLANGPE(5, 1, tcp4)), VXLANGPE, 5, PeelVXLANGPE},
		{"VXLAN-GPE with IPv6", to4("4790", frames.VXLANGPE(5, 2, tcp6)), VXLANGPE, 5, PeelVXLANGPE},
		{"VXLAN-GPE with Ethernet", to4("4790", frames.VXLANGPE(5, 3, frame4)), VXLANGPE, 5, PeelVXLANGPE},
		{"VXLAN-GPE without a protocol", to4("4790", frames.VXLAN(5, frame4)), VXLANGPE, 5, PeelVXLANGPE},
		{"VXLAN-GPE with MPLS", to4("4790", frames.VXLANGPE(5, 5, frames.MPLS(tcp4, 0))), VXLANGPE, 5, PeelVXLANGPE | PeelMPLS},
		{"Geneve", to4("6081", frames.Geneve(10, teb, nil, frame4)), Geneve, 10, PeelGeneve},
		{"Geneve with options", to4("6081", frames.Geneve(10, teb, options, frame6)), Geneve, 10, PeelGeneve},
		{"Geneve with IPv4", to4("6081", frames.Geneve(10, 0x0800, options, udp4)), Geneve, 10, PeelGeneve},
		{"Geneve with IPv6", to6("6081", frames.Geneve(10, 0x86dd, nil, tcp6)), Geneve, 10, PeelGeneve},
		{"GTP-U", to4("2152", frames.GTPU(0xdeadbeef, tcp4)), GTPU, 0xdeadbeef, PeelGTPU},
		{"GTP-U with an extension", to4("2152", frames.GTPU(1, udp6, make([]byte, 4))), GTPU, 1, PeelGTPU},
		{"GTP-U with three", to4("2152", frames.GTPU(1, tcp6, make([]byte, 4), make([]byte, 8), make([]byte, 4))), GTPU, 1, PeelGTPU},
		{"GTP-U with a sequence number", to4("2152", gtpSequence(tcp4)), GTPU, 2, PeelGTPU},
		{"Teredo", to4("3544", frames.Teredo(false, false, udp6)), Teredo, 0, PeelTeredo},
		{"Teredo with authentication and origin", to4("3544", frames.Teredo(true, true, udp6)), Teredo, 0, PeelTeredo},
		{"AYIYA", to4("5072", frames.AYIYA(tcp6)), AYIYA, 0, PeelAYIYA},
		{"AYIYA with IPv4", to4("5072", frames.AYIYA(tcp4)), AYIYA, 0, PeelAYIYA},
		{"TZSP", to4("37008", frames.TZSP(1, frame4)), TZSP, 0, PeelTZSP},
		{"TZSP with a tagged frame to be sent", to6("37008", set(frames.TZSP(1, frame6), 1, 1)), TZSP, 0, PeelTZSP},
		{"TZSP with 802.11", to4("37008", frames.TZSP(18, frames.WiFi{QoS: true}.Put(tcp6))), TZSP, 0, PeelTZSP},
		{"TZSP with 802.11 and MPLS", to4("37008", frames.TZSP(18, labelledWiFi(frames.MPLS(tcp4, 4)))), MPLS, 4, PeelTZSP | PeelMPLS},
		{"GRE over UDP", to4("4754", frames.GRE{}.Put(tcp4)), GRE, 0, PeelGRE},
		{"GRE over UDP with all fields", to6("4754", frames.GRE{Key: &key, Sequence: &seq, Checksum: true}.Put(tcp6)), GRE, 1000, PeelGRE},
		{"NVGRE over UDP", to4("4754", frames.NVGRE(0x4242, 7, frame6)), NVGRE, 0x4242, PeelGRE},
		{"MPLS over UDP", to4("6635", frames.MPLS(tcp4, 9, 10)), MPLS, 10, PeelMPLS},
		{"MPLS over UDP with IPv6", to6("6635", frames.MPLS(tcp6, 10)), MPLS, 10, PeelMPLS},
		{"a pseudo-wire over UDP", to4("6635", frames.MPLS(frames.ControlWord(frame4), 10)), MPLS, 10, PeelMPLS | PeelPseudoWire},
		{"L2TP", to4("1701", frames.L2TP(3, 4, tcp4)), L2TP, 3<<16 | 4, PeelL2TP},
		{"L2TP with MPLS", to4("1701", append([]byte{0, 2, 0, 3, 0, 4}, frames.PPPFrame(0x281, frames.MPLS(tcp4, 9))...)), MPLS, 9, PeelL2TP | PeelMPLS},
		{"L2TP without its fields", to4("1701", append([]byte{0, 2, 0, 3, 0, 4}, frames.PPP(tcp6)[2:]...)), L2TP, 3<<16 | 4, PeelL2TP},
	} {
		out = append(out, tunnelSample{sample{r.name, frames.Ethernet(r.ip), LinkEthernet}, r.kind, r.id, r.peeled, 0})
	}
	for _, r := range []struct {
		name   string
		kind   uint16
		body   []byte
		tunnel Tunnel
		id     uint32
		peeled Peel
	}{
		{"MPLS", 0x8847, frames.MPLS(tcp4, 16), MPLS, 16, PeelMPLS},
		{"MPLS from 8.0.0.1", 0x8847, frames.MPLS(eight.IP(), 16), MPLS, 16, PeelMPLS},
		{"MPLS of seventeen labels", 0x8848, frames.MPLS(tcp6, make([]uint32, 17)...), MPLS, 0, PeelMPLS},
		{"a pseudo-wire with a control word", 0x8847, frames.MPLS(frames.ControlWord(frame4), 16, 17), MPLS, 17, PeelMPLS | PeelPseudoWire},
		{"a pseudo-wire without", 0x8847, frames.MPLS(frame6, 16, 17), MPLS, 17, PeelMPLS | PeelPseudoWire},
		{"a pseudo-wire to a card that looks like IPv4", 0x8847, frames.MPLS(set(frame4, 0, 0x4a, 0x10, 0, 5), 17), MPLS, 17, PeelMPLS | PeelPseudoWire},
		{"PPPoE", 0x8864, frames.PPPoE(9, tcp4), PPPoE, 9, PeelPPPoE},
		{"PPPoE with IPv6", 0x8864, frames.PPPoE(9, tcp6), PPPoE, 9, PeelPPPoE},
		{"PPPoE with MPLS", 0x8864, pppoeMPLS(frames.MPLS(tcp4, 5)), MPLS, 5, PeelPPPoE | PeelMPLS},
		{"802.1ah", 0x88e7, frames.PBB(0x123456, frame6), PBB, 0x123456, PeelPBB},
		{"VN-Tag", 0x8926, frames.VNTag(1, 2, tcp4), VNTag, 0, PeelVNTag},
	} {
		out = append(out, tunnelSample{sample{r.name, frames.EtherFrame(r.kind, r.body), LinkEthernet}, r.tunnel, r.id, r.peeled, 0})
	}
	labelled4, labelled6 := frames.MPLS(tcp4, 17, 18), frames.MPLS(tcp6, 18)
	for _, r := range []sample{
		{"MPLS over PPP", frames.PPPFrame(0x281, labelled4), LinkPPP},
		{"MPLS over PPP without address and control", frames.PPPFrame(0x281, labelled6)[2:], LinkPPP},
		{"MPLS multicast over PPP", frames.PPPFrame(0x283, labelled4), LinkPPPHDLC},
		{"MPLS over Cisco HDLC", frames.HDLCFrame(0x8847, labelled4), LinkHDLC},
		{"MPLS multicast over Cisco HDLC", frames.HDLCFrame(0x8848, labelled6), LinkHDLC},
		{"MPLS over Cisco HDLC over a serial line", frames.HDLCFrame(0x8847, labelled4), LinkPPPHDLC},
		{"MPLS over Cisco HDLC behind NULL", frames.HDLCFrame(0x8847, labelled4), LinkNull},
		{"MPLS over PPPoE without Ethernet", pppoeMPLS(labelled4), LinkPPPoE},
	} {
		out = append(out, tunnelSample{r, MPLS, 18, PeelMPLS, 0})
	}
	for i := range out {
		out[i].tunnels = 1
		if withMPLS := out[i].peeled &^ PeelPseudoWire; withMPLS > PeelMPLS && withMPLS&PeelMPLS != 0 {
			out[i].tunnels = 2
		}
	}
	return out
}

// pppoeMPLS puts a PPPoE header before a label stack.
func pppoeMPLS(labelled []byte) []byte {
	return slices.Concat([]byte{0x11, 0, 0, 9, 0, byte(2 + len(labelled)), 0x02, 0x81}, labelled)
}

// labelledWiFi is an 802.11 frame with a label stack.
func labelledWiFi(labelled []byte) []byte {
	frame := frames.WiFi{}.Put(labelled)
	return set(frame, len(frame)-len(labelled)-2, 0x88, 0x47)
}

// platform puts 8 more bytes behind the ERSPAN header of type III, and the flag that says so.
func platform(gre []byte) []byte {
	return slices.Concat(set(gre[:20], 19, gre[19]|1), make([]byte, 8), gre[20:])
}

func gtpSequence(ip []byte) []byte {
	b := append([]byte{0x32, 255}, binary.BigEndian.AppendUint16(nil, uint16(len(ip)+4))...)
	return append(append(b, 0, 0, 0, 2, 0xab, 0xcd, 0, 0x85), ip...)
}

// linkSamples is one of each of the rarer links.
func linkSamples() []sample {
	tcp4, tcp6 := ruleTCP4.IP(), ruleTCP6.IP()
	return []sample{
		{"PPP over a serial line", frames.PPP(tcp4), LinkPPPHDLC},
		{"Cisco HDLC over a serial line", frames.HDLC(tcp4), LinkPPPHDLC},
		{"PPPoE without Ethernet", frames.PPPoE(4, tcp6), LinkPPPoE},
		{"Cisco HDLC", frames.HDLC(tcp6), LinkHDLC},
		{"802.11", frames.WiFi{}.Put(tcp4), LinkWiFi},
		{"802.11 with QoS", frames.WiFi{QoS: true}.Put(tcp6), LinkWiFi},
		{"802.11 with QoS and HT", frames.WiFi{QoS: true, HT: true}.Put(tcp6), LinkWiFi},
		{"802.11 between access points", frames.WiFi{FourAddrs: true, QoS: true}.Put(tcp4), LinkWiFi},
		{"radiotap", frames.Radiotap(0, frames.WiFi{QoS: true}.Put(tcp4)), LinkRadiotap},
		{"radiotap with padding", frames.Radiotap(0x20, frames.WiFi{QoS: true, Pad: true}.Put(tcp4)), LinkRadiotap},
		{"Prism, little end first", frames.Prism(frames.WiFi{}.Put(tcp4), binary.LittleEndian), LinkPrism},
		{"Prism, big end first", frames.Prism(frames.WiFi{}.Put(tcp6), binary.BigEndian), LinkPrism},
		{"AVS", frames.Prism(frames.WiFi{}.Put(tcp6), binary.BigEndian), LinkAVS},
		{"NFLOG, little end first", frames.NFLOG(tcp4, binary.LittleEndian), LinkNFLOG},
		{"NFLOG, big end first", frames.NFLOG(tcp6, binary.BigEndian), LinkNFLOG},
		{"PFLOG", frames.PFLOG(tcp4), LinkPFLOG},
		{"PFLOG with IPv6", frames.PFLOG(tcp6), LinkPFLOG},
		{"IPoIB", frames.IPoIB(tcp4), LinkIPoIB},
	}
}
