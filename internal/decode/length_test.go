package decode

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// longer is the packet with a length that goes beyond its end by n bytes, its checksum right again.
func longer(ip []byte, n int) []byte {
	b := slices.Clone(ip)
	if b[0]>>4 == 6 {
		binary.BigEndian.PutUint16(b[4:], binary.BigEndian.Uint16(b[4:])+uint16(n))
		return b
	}
	binary.BigEndian.PutUint16(b[2:], binary.BigEndian.Uint16(b[2:])+uint16(n))
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], ^sum16(b[:20]))
	return b
}

// No receiver takes a packet whose IP length goes beyond its frame. What looks like one may have been cut
// without a word, so the rule is only for where nothing else says that it may.
func TestAPacketLongerThanAWholeFrame(t *testing.T) {
	udp4, udp6, tcp4, tcp6 := longer(ruleUDP4.IP(), 9), longer(ruleUDP6.IP(), 9), longer(ruleTCP4.IP(), 9), longer(ruleTCP6.IP(), 9)
	extended6 := longer(frames.IP{Src: "fd00::1", Dst: "fd00::2", Proto: 60, Payload: chain(ruleUDP6.IP()[40:], 17, 60, 0)}.IP(), 9)
	sctp4 := longer(frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 132, Payload: sctp([]byte("chunk"))}.IP(), 9)
	esp4 := longer(frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 50, Payload: []byte("sealed bytes")}.IP(), 9)
	first, later := longer(frames.Fragments(ruleUDP4.IP(), 8, 1)[0], 8), longer(frames.Fragments(ruleUDP6.IP(), 8, 1)[1], 8)
	mirrored := frames.Ethernet(udp4)
	pppoe := frames.EtherFrame(0x8864, frames.PPPoE(1, udp4))
	for _, c := range []struct {
		name   string
		frame  []byte
		link   Link
		wire   int // beyond the frame
		status Status
		long   bool
	}{
		{"UDP", frames.Ethernet(udp4), LinkEthernet, 0, LongPacket, true},
		{"UDP over IPv6", frames.Ethernet(udp6), LinkEthernet, 0, LongPacket, true},
		{"UDP behind extensions", frames.Ethernet(extended6), LinkEthernet, 0, LongPacket, true},
		{"SCTP", sctp4, LinkRaw, 0, LongPacket, true},
		{"what has no ports", esp4, LinkRaw, 0, LongPacket, true},
		{"a tunnel", longer(over4(47, frames.GRE{}.Put(ruleTCP4.IP()))[:], 9), LinkRaw, 0, LongPacket, true},
		{"UDP in VLAN tags", frames.Ethernet(udp4, 1, 2), LinkEthernet, 0, LongPacket, true},
		{"UDP behind labels", frames.EtherFrame(0x8847, frames.MPLS(udp4, 17)), LinkEthernet, 0, LongPacket, true},
		{"UDP in a cooked frame", frames.SLL(udp4), LinkSLL, 0, LongPacket, true},
		{"TCP: its receiver may yet acknowledge it", frames.Ethernet(tcp4), LinkEthernet, 0, OK, true},
		{"TCP over IPv6", tcp6, LinkRaw, 0, OK, true},
		{"a first fragment", first, LinkRaw, 0, LongFragment, true},
		{"a later fragment", later, LinkRaw, 0, LongFragment, true},
		{"no header checksum, as of a frame that was captured before the network card filled it in",
			set(udp4, 10, 0, 0), LinkRaw, 0, LongPacket, true},

		{"cut by the snap length", frames.Ethernet(udp4), LinkEthernet, 9, OK, false},
		{"cut by the snap length, and longer still", frames.Ethernet(udp4), LinkEthernet, 8, OK, false},
		{"a header with another checksum is damaged, and its length means nothing", set(udp4, 10, 1, 1), LinkRaw, 0, OK, false},
		{"so is that of TCP", set(tcp4, 10, 1, 1), LinkRaw, 0, OK, false},
		{"a fragment has no use then, either", set(first, 10, 1, 1), LinkRaw, 0, LongFragment, false},
		{"PPPoE has a length of its own", pppoe, LinkEthernet, 0, OK, false},
		{"PPPoE as the link", frames.PPPoE(1, udp4), LinkPPPoE, 0, OK, false},
		{"a fragment in PPPoE", frames.EtherFrame(0x8864, frames.PPPoE(1, first)), LinkEthernet, 0, LongFragment, false},
		{"a mirror cuts: VXLAN", to4("4789", frames.VXLAN(7, mirrored)), LinkRaw, 0, OK, false},
		{"a mirror cuts: ERSPAN", over4(47, frames.ERSPAN(2, 7, mirrored)), LinkRaw, 0, OK, false},
		{"a mirror cuts: GRE", over4(47, frames.GRE{}.Put(udp4)), LinkRaw, 0, OK, false},
		{"a mirror cuts: TZSP", to4("37008", frames.TZSP(1, mirrored)), LinkRaw, 0, OK, false},
		{"a mirror cuts a fragment", over4(47, frames.GRE{}.Put(first)), LinkRaw, 0, OK, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire := 0
			if c.wire > 0 {
				wire = len(c.frame) + c.wire
			}
			p, status := checkWith(t, c.frame, c.link, wire, &everything)
			if status != c.status || p.Long != c.long || p.Family == 0 {
				t.Errorf("%v, %+v", status, p)
			}
			if c.wire == 0 && p.Missing != 0 {
				t.Errorf("%d bytes missing that never were", p.Missing)
			}
		})
	}
}

func TestATunnelIsWhereAnIPHeaderWasTakenOff(t *testing.T) {
	ip, ethernet := insideTCP4.IP(), insideTCP4.Ethernet()
	for _, c := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"none", ethernet, false},
		{"tags", frames.Ethernet(ip, 1, 2), false},
		{"labels", frames.EtherFrame(0x8847, frames.MPLS(ip, 17)), false},
		{"labels and Ethernet", frames.EtherFrame(0x8847, frames.MPLS(frames.ControlWord(ethernet), 17)), false},
		{"PPPoE", frames.EtherFrame(0x8864, frames.PPPoE(1, ip)), false},
		{"802.1ah", frames.EtherFrame(0x88e7, frames.PBB(1, ethernet)), false},
		{"VN-Tag", frames.EtherFrame(0x8926, frames.VNTag(1, 2, ip)), false},
		{"GRE", frames.Ethernet(over4(47, frames.GRE{}.Put(ip))), true},
		{"IP in IP", frames.Ethernet(over4(4, ip)), true},
		{"labels over UDP", frames.Ethernet(to4("6635", frames.MPLS(ip, 17))), true},
		{"labels over IP", frames.Ethernet(over4(137, frames.MPLS(ip, 17))), true},
		{"VXLAN", frames.Ethernet(to4("4789", frames.VXLAN(7, ethernet))), true},
		{"VXLAN that holds ARP", frames.Ethernet(to4("4789", frames.VXLAN(7, set(ethernet, 12, 8, 6)))), false},
	} {
		if p, status := checkWith(t, c.frame, LinkEthernet, 0, &everything); status != OK || p.InTunnel != c.want {
			t.Errorf("%s: %v, %v", c.name, status, p.InTunnel)
		}
	}
	fragments := frames.Fragments(over4(47, frames.GRE{}.Put(ip)), 24, 1)
	w := NewPeeler(everything)
	var p Packet
	DecodeWith(&p, fragments[0], LinkRaw, 0, w)
	if p.InTunnel {
		t.Error("the outer fragment is in a tunnel")
	}
	if status := Reassembled(&p, over4(47, frames.GRE{}.Put(ip))[20:], w); status != OK || !p.InTunnel {
		t.Errorf("%v, %+v", status, p)
	}
	inner := frames.Fragments(ip, 24, 1)
	DecodeWith(&p, over4(47, frames.GRE{}.Put(inner[0])), LinkRaw, 0, w)
	if status := Reassembled(&p, ip[20:], w); status != OK || !p.InTunnel {
		t.Errorf("%v, %+v", status, p)
	}
}
