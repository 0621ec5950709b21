package decode

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// What fails in one place to be a tunnel is a flow of its outer header, payload and all.
func TestWhatIsNoTunnelStaysAFlowOfItsOuterHeader(t *testing.T) {
	tcp4, tcp6, frame := insideTCP4.IP(), insideTCP6.IP(), insideTCP4.Ethernet()
	udp6 := insideUDP6.IP()
	arp := frames.EtherFrame(0x0806, make([]byte, 28))
	key := uint32(1)
	for _, c := range []struct {
		name string
		ip   []byte
	}{
		{"IPIP, of another version than it says", over4(4, tcp6)},
		{"IPIP, random", over4(41, bytes.Repeat([]byte{0x77}, 60))},
		{"IPIP, a broken header", over4(4, set(tcp4, 0, 0x44))},
		{"IPIP, half a header", over4(4, tcp4[:19])},
		{"IPIP, nothing", over6(4, nil)},
		{"GRE of version 2", over4(47, set(frames.GRE{}.Put(tcp4), 1, 2))},
		{"GRE with routing", over4(47, set(frames.GRE{}.Put(tcp4), 0, 0x40))},
		{"GRE with recursion", over4(47, set(frames.GRE{}.Put(tcp4), 0, 0x04))},
		{"GRE, cut in its key", over4(47, frames.GRE{Key: &key}.Put(tcp4)[:7])},
		{"GRE with a length for a protocol", over4(47, frames.GRE{Protocol: 60}.Put(tcp4))},
		{"GRE with ARP", over4(47, frames.GRE{Protocol: 0x0806}.Put(tcp4))},
		{"GRE with Ethernet with ARP", over4(47, frames.GRE{Protocol: 0x6558}.Put(arp))},
		{"GRE with PPP control", over4(47, frames.GRE{Protocol: 0x880b}.Put([]byte{0xff, 3, 0xc0, 0x21, 1, 1, 0, 4}))},
		{"PPTP without a key", over4(47, set(frames.PPTP(1, tcp4), 0, 0x10))},
		{"PPTP, an acknowledgement", over4(47, set(frames.PPTP(1, tcp4), 0, 0x20))},
		{"PPTP of another protocol", over4(47, set(frames.PPTP(1, tcp4), 2, 0x08, 0))},
		{"PPTP with a reserved flag", over4(47, set(frames.PPTP(1, tcp4), 1, 0x89))},
		{"PPTP whose length leaves nothing", over4(47, set(frames.PPTP(1, tcp4), 4, 0, 0))},
		{"ERSPAN II of another version", over4(47, set(frames.ERSPAN(2, 1, frame), 8, 0x20))},
		{"ERSPAN III of another version", over4(47, set(frames.ERSPAN(3, 1, frame), 8, 0x10))},
		{"ERSPAN III with a frame of another kind", over4(47, set(frames.ERSPAN(3, 1, frame), 18, 0x04))},
		{"ERSPAN III with half a platform header", over4(47, set(frames.ERSPAN(3, 1, nil), 19, 1))},
		{"ERSPAN III cut", over4(47, frames.ERSPAN(3, 1, nil)[:19])},
		{"EtherIP of another version", over4(97, set(frames.EtherIP(frame), 0, 0x40))},
		{"EtherIP with a reserved bit", over4(97, set(frames.EtherIP(frame), 1, 1))},
		{"MPLS in IP without an end", over4(137, []byte{0, 0, 0, 1, 0, 0})},
		{"MPLS in IP with something else", over4(137, frames.MPLS([]byte("\x15 is a channel of its own ......"), 1))},
		{"VXLAN without its flag", to4("4789", set(frames.VXLAN(7, frame), 0, 0))},
		{"VXLAN with every flag but its own", to4("4789", set(frames.VXLAN(7, frame), 0, 0xf7))},
		{"VXLAN with ARP", to4("4789", frames.VXLAN(7, arp))},
		{"VXLAN with half a frame", to4("4789", frames.VXLAN(7, frame[:13]))},
		{"VXLAN with half an IP header", to4("4789", frames.VXLAN(7, frame[:33]))},
		{"DNS from the port of VXLAN", to4("4789", []byte("\x08\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01"))},
		{"VXLAN-GPE of version 1", to4("4790", set(frames.VXLANGPE(7, 1, tcp4), 0, 0x1c))},
		{"VXLAN-GPE maintenance", to4("4790", set(frames.VXLANGPE(7, 1, tcp4), 0, 0x0d))},
		{"VXLAN-GPE without a network", to4("4790", set(frames.VXLANGPE(7, 1, tcp4), 0, 0x04))},
		{"VXLAN-GPE with a service header", to4("4790", frames.VXLANGPE(7, 4, tcp4))},
		{"VXLAN-GPE with a protocol unannounced", to4("4790", set(frames.VXLANGPE(7, 1, tcp4), 0, 0x08))},
		{"Geneve of version 1", to4("6081", set(frames.Geneve(7, 0x0800, nil, tcp4), 0, 0x40))},
		{"Geneve control", to4("6081", set(frames.Geneve(7, 0x0800, nil, tcp4), 1, 0x80))},
		{"Geneve with an option past its options", to4("6081", frames.Geneve(7, 0x0800, []byte{0, 1, 2, 1}, tcp4))},
		{"Geneve with options past its end", to4("6081", set(frames.Geneve(7, 0x0800, nil, tcp4), 0, 0x3f))},
		{"Geneve with a length for a protocol", to4("6081", frames.Geneve(7, 0x0100, nil, tcp4))},
		{"GTP-U of version 2", to4("2152", set(frames.GTPU(7, tcp4), 0, 0x50))},
		{"GTP'", to4("2152", set(frames.GTPU(7, tcp4), 0, 0x20))},
		{"GTP-U echo request", to4("2152", set(frames.GTPU(7, tcp4), 1, 1))},
		{"GTP-U with an extension flag and no room for it", to4("2152", []byte{0x34, 255, 0, 3, 0, 0, 0, 1, 0, 0, 0})},
		{"GTP-U with an extension of no length", to4("2152", set(frames.GTPU(7, tcp4, make([]byte, 4)), 12, 0))},
		{"GTP-U with an extension past the end", to4("2152", set(frames.GTPU(7, tcp4, make([]byte, 4)), 12, 200))},
		{"GTP-U with seventeen extensions", to4("2152", frames.GTPU(7, tcp4, bytesOf(17)...))},
		{"GTP-U with neither version of IP", to4("2152", frames.GTPU(7, set(tcp4, 0, 0x75)))},
		{"GTP-U whose length ends in the IP header", to4("2152", set(frames.GTPU(7, tcp4), 2, 0, 19))},
		{"Teredo with an IPv4 packet", to4("3544", tcp4)},
		{"Teredo with something behind the packet", to4("3544", append(udp6, 0))},
		{"Teredo with less than a packet", to4("3544", udp6[:len(udp6)-1])},
		{"Teredo without a Teredo address", to4("3544", tcp6)},
		{"Teredo, half of an authentication header", to4("3544", frames.Teredo(true, false, udp6)[:12])},
		{"AYIYA of another operation", to4("5072", set(frames.AYIYA(tcp6), 2, 0x12))},
		{"AYIYA with no next header", to4("5072", set(frames.AYIYA(tcp6), 3, 59))},
		{"AYIYA with an identity of no kind", to4("5072", set(frames.AYIYA(tcp6), 0, 0x4f))},
		{"AYIYA with an identity past the end", to4("5072", set(frames.AYIYA(tcp6), 0, 0xf1))},
		{"TZSP of version 2", to4("37008", set(frames.TZSP(1, frame), 0, 2))},
		{"TZSP keep-alive", to4("37008", set(frames.TZSP(1, frame), 1, 4))},
		{"TZSP with a token ring", to4("37008", set(frames.TZSP(1, frame), 3, 2))},
		{"TZSP with a field past the end", to4("37008", set(frames.TZSP(1, frame), 6, 0xff))},
		{"TZSP with a field up to the end", to4("37008", []byte{1, 0, 0, 1, 41, 2, 5, 0xdc})},
		{"TZSP with a field without a length", to4("37008", []byte{1, 0, 0, 1, 41})},
		{"TZSP with padding alone", to4("37008", append([]byte{1, 0, 0, 1}, make([]byte, 30)...))},
		{"TZSP with nothing behind", to4("37008", frames.TZSP(1, nil))},
		{"TZSP with ARP", to4("37008", frames.TZSP(1, arp))},
		{"TZSP with a beacon", to4("37008", set(frames.TZSP(18, frames.WiFi{}.Put(tcp4)), 10, 0x80))},
		{"TZSP with encrypted 802.11", to4("37008", frames.TZSP(18, frames.WiFi{Protected: true}.Put(tcp4)))},
		{"GRE over UDP of version 1", to4("4754", frames.PPTP(1, tcp4))},
		{"GRE over UDP with a reserved flag and a packet that does not fill it", to4("4754", append(set(frames.GRE{}.Put(tcp4), 1, 8), 0))},
		{"MPLS over UDP without an end", to4("6635", []byte{0, 0, 0, 1, 0, 0})},
		{"MPLS over UDP with a byte behind the packet", to4("6635", append(frames.MPLS(tcp4, 9), 0))},
		{"MPLS over UDP with half a packet", to4("6635", frames.MPLS(tcp4[:30], 9))},
		{"MPLS over UDP with something else", to4("6635", frames.MPLS([]byte("\x15 is a channel of its own ......"), 1))},
		{"DNS from the port of MPLS over UDP", to4("6635", []byte("\x48\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01"))},
		{"L2TP control", to4("1701", set(frames.L2TP(1, 2, tcp4), 0, 0xcb))},
		{"L2TP of version 3", to4("1701", set(frames.L2TP(1, 2, tcp4), 1, 3))},
		{"L2TP with a length past the end", to4("1701", set(frames.L2TP(1, 2, tcp4), 2, 0xff))},
		{"L2TP with an offset past the end", to4("1701", set(frames.L2TP(1, 2, tcp4), 12, 0xff))},
		{"L2TP with PPP control", to4("1701", []byte{0, 2, 0, 1, 0, 1, 0xff, 3, 0xc0, 0x21, 9, 1, 0, 4})},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, wantStatus := check(t, c.ip, LinkRaw, 0)
			got, status := checkWith(t, c.ip, LinkRaw, 0, &Options{Peel: PeelAll})
			if status != OK || wantStatus != OK || !samePacket(got, want) {
				t.Fatalf("%v, %+v\nwant %v, %+v", status, got, wantStatus, want)
			}
		})
	}
}

func bytesOf(n int) (out [][]byte) {
	for range n {
		out = append(out, make([]byte, 4))
	}
	return out
}

// Nothing is wrong with the tunnel here, but with what is behind the inner IP header.
func TestWhatIsWrongBehindTheInnerIPHeaderIsRefusedAsItsOwn(t *testing.T) {
	for _, c := range []struct {
		name  string
		inner []byte
		want  Status
	}{
		{"half a TCP header", set(insideTCP4.IP()[:30], 2, 0, 30), TruncatedTCP},
		{"a data offset that cannot be", set(insideTCP4.IP(), 32, 0x10), BadTCPOffset},
		{"a later fragment", set(insideTCP4.IP(), 7, 5), FragmentLater},
		{"half an extension header", frames.IP{Src: "fd00::1", Dst: "fd00::2", Proto: 60, Payload: []byte{6, 9}}.IP(), TruncatedExtension},
	} {
		p, status := checkWith(t, to4("2152", frames.GTPU(1, c.inner)), LinkRaw, 0, &everything)
		if status != c.want || p.Tunnel != GTPU || p.SrcLo == 0x0000ffff_0a090001 {
			t.Errorf("%s: %v, %+v", c.name, status, p)
		}
	}
}

func TestWhatAProviderPutsAroundAFrameIsRefusedByName(t *testing.T) {
	tcp4 := insideTCP4.IP()
	for _, c := range []struct {
		name  string
		frame []byte
		want  Status
	}{
		{"half a label", frames.EtherFrame(0x8847, []byte{0, 0, 1}), TruncatedMPLS},
		{"labels without an end", frames.EtherFrame(0x8847, make([]byte, 40)), TruncatedMPLS},
		{"eighteen labels", frames.EtherFrame(0x8847, frames.MPLS(tcp4, make([]uint32, 18)...)), TooManyLabels},
		{"labels with nothing behind", frames.EtherFrame(0x8847, frames.MPLS(nil, 1)), NotIP},
		{"labels with ARP behind", frames.EtherFrame(0x8847, frames.MPLS(frames.EtherFrame(0x0806, tcp4), 1)), NotIP},
		{"labels with a broken IP header", frames.EtherFrame(0x8847, frames.MPLS(set(tcp4, 0, 0x43), 1)), BadIPv4Header},
		{"half a PPPoE header", frames.EtherFrame(0x8864, []byte{0x11, 0, 0, 1, 0}), TruncatedPPPoE},
		{"PPPoE of another version", frames.EtherFrame(0x8864, set(frames.PPPoE(1, tcp4), 0, 0x12)), NotIP},
		{"PPPoE discovery", frames.EtherFrame(0x8863, frames.PPPoE(1, tcp4)), NotIP},
		{"PPPoE discovery by code", frames.EtherFrame(0x8864, set(frames.PPPoE(1, tcp4), 1, 9)), NotIP},
		{"PPPoE of no length", frames.EtherFrame(0x8864, set(frames.PPPoE(1, tcp4), 4, 0, 0)), TruncatedPPP},
		{"PPPoE with PPP control", frames.EtherFrame(0x8864, []byte{0x11, 0, 0, 1, 0, 4, 0xc0, 0x21, 9, 1}), NotIP},
		{"half a service tag", frames.EtherFrame(0x88e7, frames.PBB(1, frames.Ethernet(tcp4))[:17]), TruncatedPBB},
		{"half a VN-Tag", frames.EtherFrame(0x8926, []byte{0, 0, 0, 0, 8}), TruncatedVNTag},
	} {
		p, status := checkWith(t, c.frame, LinkEthernet, 0, &everything)
		if status != c.want || p.Family != 0 {
			t.Errorf("%s: %v, want %v", c.name, status, c.want)
		}
	}
}

func TestRarerLinksAreRefusedByName(t *testing.T) {
	tcp4 := ruleTCP4.IP()
	wifi := frames.WiFi{QoS: true}.Put(tcp4)
	le := binary.LittleEndian
	nflog := frames.NFLOG(tcp4, le)
	for _, c := range []struct {
		name  string
		frame []byte
		link  Link
		want  Status
	}{
		{"Bluetooth", tcp4, 201, UnknownLink},
		{"802.15.4", tcp4, 195, UnknownLink},
		{"802.15.4 without checksum", tcp4, 230, UnknownLink},
		{"USB on Linux", tcp4, 189, UnknownLink},
		{"USB on Linux, padded", tcp4, 220, UnknownLink},
		{"USB on Windows", tcp4, 249, UnknownLink},
		{"frame relay", tcp4, 107, UnknownLink},
		{"half a Cisco header", []byte{0x0f, 0, 8}, LinkHDLC, TruncatedHDLC},
		{"half a Cisco header on a serial line", []byte{0x0f, 0, 8}, LinkPPPHDLC, TruncatedHDLC},
		{"a Cisco keep-alive", append([]byte{0x8f, 0, 0x80, 0x35}, tcp4...), LinkHDLC, NotIP},
		{"Cisco to another address, and no more", []byte("00\x08\x00"), LinkHDLC, TruncatedIPv4},
		{"PPP where Cisco was said", frames.PPP(tcp4), LinkHDLC, NotIP},
		{"one byte of 802.11", wifi[:1], LinkWiFi, TruncatedWiFi},
		{"half an 802.11 header", wifi[:25], LinkWiFi, TruncatedWiFi},
		{"half of LLC in 802.11", wifi[:28], LinkWiFi, TruncatedLLC},
		{"a beacon", set(wifi, 0, 0x80), LinkWiFi, NotIP},
		{"data without data", set(wifi, 0, 0xc8), LinkWiFi, NotIP},
		{"another version of 802.11", set(wifi, 0, 0x89), LinkWiFi, NotIP},
		{"encrypted 802.11", frames.WiFi{QoS: true, Protected: true}.Put(tcp4), LinkWiFi, Encrypted},
		{"802.11 with more fragments", set(wifi, 1, 0x05), LinkWiFi, NotIP},
		{"a later fragment of 802.11", set(wifi, 22, 0x01), LinkWiFi, NotIP},
		{"several packets in one of 802.11", set(wifi, 24, 0x80), LinkWiFi, NotIP},
		{"half a radiotap header", frames.Radiotap(0, wifi)[:24], LinkRadiotap, TruncatedMonitor},
		{"7 bytes of radiotap", frames.Radiotap(0, wifi)[:7], LinkRadiotap, TruncatedMonitor},
		{"radiotap of version 1", set(frames.Radiotap(0, wifi), 0, 1), LinkRadiotap, NotIP},
		{"radiotap of length 7", set(frames.Radiotap(0, wifi), 2, 7), LinkRadiotap, NotIP},
		{"radiotap with fields without an end", set(frames.Radiotap(0, wifi), 2, 8), LinkRadiotap, NotIP},
		{"half a Prism header", frames.Prism(wifi, le)[:143], LinkPrism, TruncatedMonitor},
		{"7 bytes of Prism", frames.Prism(wifi, le)[:7], LinkPrism, TruncatedMonitor},
		{"Prism of a length that cannot be", set(frames.Prism(wifi, le), 4, 1, 1, 1, 1), LinkPrism, NotIP},
		{"Prism of length 7", set(frames.Prism(wifi, le), 4, 7), LinkPrism, NotIP},
		{"3 bytes of NFLOG", nflog[:3], LinkNFLOG, TruncatedNFLOG},
		{"NFLOG of bridges", set(nflog, 0, 7), LinkNFLOG, NotIP},
		{"NFLOG without a packet", nflog[:16], LinkNFLOG, TruncatedNFLOG},
		{"NFLOG with half an attribute", nflog[:18], LinkNFLOG, TruncatedNFLOG},
		{"NFLOG with an attribute of no length", set(nflog, 4, 3), LinkNFLOG, NotIP},
		{"NFLOG with an attribute past the end", set(nflog, 4, 0xff, 0xff), LinkNFLOG, TruncatedNFLOG},
		{"3 bytes of PFLOG", frames.PFLOG(tcp4)[:3], LinkPFLOG, TruncatedPFLOG},
		{"half a PFLOG header", frames.PFLOG(tcp4)[:63], LinkPFLOG, TruncatedPFLOG},
		{"PFLOG of length 44", set(frames.PFLOG(tcp4), 0, 44), LinkPFLOG, NotIP},
		{"PFLOG of another family", set(frames.PFLOG(tcp4), 1, 7), LinkPFLOG, NotIP},
		{"half an InfiniBand header", frames.IPoIB(tcp4)[:43], LinkIPoIB, TruncatedIPoIB},
		{"ARP over InfiniBand", set(frames.IPoIB(tcp4), 40, 8, 6), LinkIPoIB, NotIP},
		{"PPPoE discovery without Ethernet", set(frames.PPPoE(1, tcp4), 1, 9), LinkPPPoE, NotIP},
		{"half a PPPoE header without Ethernet", frames.PPPoE(1, tcp4)[:5], LinkPPPoE, TruncatedPPPoE},
	} {
		if _, status := check(t, c.frame, c.link, 0); status != c.want {
			t.Errorf("%s: %v, want %v", c.name, status, c.want)
		}
	}
}
