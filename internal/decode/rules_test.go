package decode

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// set returns a copy of b with other bytes from at on.
func set(b []byte, at int, with ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], with)
	return b
}

func repeat(kind uint8, n int) []uint8 {
	return bytes.Repeat([]uint8{kind}, n)
}

var (
	ruleTCP4 = frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Seq: 100, Ack: 200, Flags: "PA", Payload: []byte("hello")}
	ruleTCP6 = frames.TCP{Src: "[fd00::1]:1234", Dst: "[fd00::2]:80", Seq: 100, Ack: 200, Flags: "PA", Payload: []byte("hello")}
	ruleUDP4 = frames.UDP{Src: "10.0.0.1:53", Dst: "10.0.0.2:5353", Payload: []byte("hello")}
	ruleUDP6 = frames.UDP{Src: "[fd00::1]:53", Dst: "[fd00::2]:5353", Payload: []byte("hello")}
	ruleEcho = frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 7, Payload: []byte("hello")}
)

func extended(last uint8, kinds ...uint8) []byte {
	return frames.IP{Src: "fd00::1", Dst: "fd00::2", Proto: kinds[0], Payload: chain(ruleTCP6.IP()[40:], last, kinds...)}.IP()
}

func TestEveryRefusalHasItsName(t *testing.T) {
	tcp4, tcp6, udp4 := ruleTCP4.IP(), ruleTCP6.IP(), ruleUDP4.IP()
	first4, later6 := frames.Fragments(udp4, 8, 1)[0], frames.Fragments(ruleUDP6.IP(), 8, 1)[1]
	ether := ruleTCP4.Ethernet()
	fives := frames.Ethernet(tcp4, 1, 2, 3, 4, 5)
	for _, c := range []struct {
		name  string
		frame []byte
		link  Link
		want  Status
	}{
		{"nothing at all", nil, LinkEthernet, TruncatedEthernet},
		{"13 bytes of Ethernet", ether[:13], LinkEthernet, TruncatedEthernet},
		{"a link of another world", ether, 195, UnknownLink},
		{"NULL by its number in the registry is Ethernet here", frames.Null(tcp4, binary.BigEndian), 0, NotIP},
		{"ARP", set(ether, 12, 0x08, 0x06), LinkEthernet, NotIP},
		{"MPLS", set(ether, 12, 0x88, 0x47), LinkEthernet, NotIP},
		{"between length and type", set(frames.SNAP(tcp4), 12, 0x05, 0xdd), LinkEthernet, NotIP},
		{"half a tag", frames.Ethernet(tcp4, 1)[:17], LinkEthernet, TruncatedVLAN},
		{"a fifth tag", fives, LinkEthernet, TooManyVLANs},
		{"spanning tree", set(ether, 12, 0, 38, 0x42, 0x42, 3), LinkEthernet, NotIP},
		{"half an LLC header", set(ether, 12, 0, 38)[:16], LinkEthernet, TruncatedLLC},
		{"half a SNAP header", frames.SNAP(tcp4)[:21], LinkEthernet, TruncatedLLC},
		{"SNAP of another organisation", set(frames.SNAP(tcp4), 19, 0x0c), LinkEthernet, NotIP},
		{"LLC in LLC", append(set(frames.SNAP(tcp4)[:22], 20, 0, 30), frames.SNAP(tcp4)[14:]...), LinkEthernet, NotIP},
		{"an empty raw frame", nil, LinkRaw, TruncatedRaw},
		{"raw IP of version 5", set(tcp4, 0, 0x55), LinkRaw, BadIPVersion},
		{"half a family", []byte{0, 0, 0}, LinkNull, TruncatedNull},
		{"a family that is not IP", []byte{7, 0, 0, 0, 0x45}, LinkNull, NotIP},
		{"Cisco HDLC behind NULL", append([]byte{0x0f, 0, 8, 0}, tcp4...), LinkNull, OK},
		{"Cisco HDLC to all behind NULL", append([]byte{0x8f, 0, 0x86, 0xdd}, tcp6...), LinkNull, OK},
		{"Cisco HDLC keep-alive behind NULL", append([]byte{0x0f, 0, 0x80, 0x35}, tcp4...), LinkNull, NotIP},
		{"half a PPP header", []byte{0xff, 0x03, 0x00}, LinkPPP, TruncatedPPP},
		{"PPP without a protocol", []byte{0xff, 0x03}, LinkPPP, TruncatedPPP},
		{"PPP link control", []byte{0xff, 0x03, 0xc0, 0x21, 1}, LinkPPP, NotIP},
		{"half a cooked header", frames.SLL(tcp4)[:15], LinkSLL, TruncatedSLL},
		{"half a second cooked header", frames.SLL2(tcp4)[:19], LinkSLL2, TruncatedSLL},
		{"cooked netlink whose protocol looks like IP", set(frames.SLL(tcp4), 2, 0x03, 0x38), LinkSLL, NotIP},
		{"cooked raw 802.3", set(frames.SLL(tcp4), 14, 0, 1), LinkSLL, NotIP},
		{"IPv6 where IPv4 was announced", set(ether, 14, 0x65), LinkEthernet, BadIPVersion},
		{"IPv4 where IPv6 was announced", set(tcp6, 0, 0x40), LinkIPv6, BadIPVersion},
		{"19 bytes of IPv4", tcp4[:19], LinkIPv4, TruncatedIPv4},
		{"IPv4 header length 16", set(tcp4, 0, 0x44), LinkIPv4, BadIPv4Header},
		{"IPv4 options past the capture", set(tcp4[:40], 0, 0x4f, 0, 0, 100), LinkIPv4, TruncatedIPv4},
		{"IPv4 total length 19", set(tcp4, 2, 0, 19), LinkIPv4, BadIPv4Length},
		{"IPv4 total length below its options", set(tcp4, 0, 0x46, 0, 0, 23), LinkIPv4, BadIPv4Length},
		{"39 bytes of IPv6", tcp6[:39], LinkIPv6, TruncatedIPv6},
		{"seventeen extension headers", extended(6, repeat(60, 17)...), LinkIPv6, TooManyExtensions},
		{"a thousand extension headers", extended(6, repeat(0, 1000)...), LinkIPv6, TooManyExtensions},
		{"half an extension header", extended(6, 60)[:47], LinkIPv6, TruncatedExtension},
		{"an extension header past the packet", set(extended(6, 60), 41, 200), LinkIPv6, TruncatedExtension},
		{"an authentication header of 8 bytes", set(extended(6, 51), 41, 0), LinkIPv6, BadAuthHeader},
		{"two fragment headers", extended(6, 44, 44), LinkIPv6, NestedFragment},
		{"two fragment headers, one of them real", set(extended(6, 44, 60, 44), 43, 1), LinkIPv6, NestedFragment},
		{"19 bytes of TCP", tcp4[:39], LinkIPv4, TruncatedTCP},
		{"19 bytes of TCP by the IP length", set(tcp4, 2, 0, 39), LinkIPv4, TruncatedTCP},
		{"TCP data offset 16", set(tcp4, 32, 0x40), LinkIPv4, BadTCPOffset},
		{"TCP data offset past the packet", set(tcp4, 32, 0x70), LinkIPv4, BadTCPOffset},
		{"7 bytes of UDP", udp4[:27], LinkIPv4, TruncatedUDP},
		{"UDP length 1", set(udp4, 24, 0, 1), LinkIPv4, BadUDPLength},
		{"UDP length 7", set(udp4, 24, 0, 7), LinkIPv4, BadUDPLength},
		{"3 bytes of ICMP", ruleEcho.IP()[:23], LinkIPv4, TruncatedICMP},
		{"11 bytes of SCTP", frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 132, Payload: make([]byte, 11)}.IP(), LinkIPv4, TruncatedSCTP},
		{"a later fragment", frames.Fragments(udp4, 8, 1)[1], LinkIPv4, FragmentLater},
		{"a fragment without its last byte", first4[:len(first4)-1], LinkIPv4, LongFragment},
		{"a later fragment without its last byte", later6[:len(later6)-1], LinkIPv6, LongFragment},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, status := check(t, c.frame, c.link, 0); status != c.want {
				t.Fatalf("got %v, want %v", status, c.want)
			}
		})
	}
}

func TestPayloadIsWhatTheLengthsPromise(t *testing.T) {
	tcp4, udp4 := ruleTCP4.IP(), ruleUDP4.IP()
	syn := frames.TCP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Flags: "S", Options: []layers.TCPOption{frames.WindowScale(7)}, Payload: []byte("data")}.IP()
	for _, c := range []struct {
		name    string
		frame   []byte
		link    Link
		wireLen int
		payload string
		missing int
	}{
		{"Ethernet padding is not payload", frames.Pad(ruleUDP4.Ethernet(), 60), LinkEthernet, 0, "hello", 0},
		{"a pure ACK in a padded frame has none", frames.Pad(frames.TCP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Flags: "A"}.Ethernet(), 60), LinkEthernet, 0, "", 0},
		{"cut in the padding", frames.Pad(ruleTCP4.Ethernet(), 100)[:70], LinkEthernet, 100, "hello", 0},
		{"don't fragment, and AH", set(frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 51, Payload: ah(6, tcp4[20:])}.IP(), 6, 0x40), LinkIPv4, 0, "hello", 0},
		{"IPv4 options", append(set(tcp4[:20], 0, 0x46, 0, 0, 49, 0, 0, 0x40), append([]byte{1, 1, 1, 0}, tcp4[20:]...)...), LinkIPv4, 0, "hello", 0},
		{"cut by the snap length", tcp4[:43], LinkIPv4, len(tcp4), "hel", 2},
		{"cut before any payload", tcp4[:40], LinkIPv4, len(tcp4), "", 5},
		{"cut within the TCP options", syn[:42], LinkIPv4, len(syn), "", 4},
		{"IPv4 promises more than there ever was", set(tcp4, 2, 0, 100), LinkIPv4, 0, "hello", 0},
		{"IPv4 promises more than there ever was, cut", set(tcp4, 2, 0, 100)[:43], LinkIPv4, len(tcp4), "hel", 2},
		{"IPv6 promises more than there ever was, cut", set(ruleUDP6.IP(), 5, 100)[:51], LinkIPv6, len(ruleUDP6.IP()), "hel", 2},
		{"NFLOG copies as much as it was asked to", frames.NFLOG(tcp4[:43], binary.LittleEndian), LinkNFLOG, 0, "hel", 2},
		{"IPv4 total length 0 is all of the frame", set(tcp4, 2, 0, 0), LinkIPv4, 0, "hello", 0},
		{"IPv4 total length 0, cut", set(tcp4, 2, 0, 0), LinkIPv4, len(tcp4) + 9, "hello", 9},
		{"IPv6 payload length 0 is all of the frame", set(ruleTCP6.IP(), 4, 0, 0), LinkIPv6, 0, "hello", 0},
		{"IPv6 payload length 0, cut", set(ruleUDP6.IP(), 4, 0, 0, 17, 64), LinkIPv6, 0, "hello", 0},
		{"UDP length 0 is all that IP has", set(udp4, 24, 0, 0), LinkIPv4, 0, "hello", 0},
		{"UDP ends before IP does", set(udp4, 24, 0, 10), LinkIPv4, 0, "he", 0},
		{"UDP ends before IP does, cut in its payload", set(udp4, 24, 0, 11)[:30], LinkIPv4, len(udp4), "he", 1},
		{"UDP promises more than IP", set(udp4, 24, 0, 99), LinkIPv4, 0, "hello", 0},
		{"UDP promises more than IP, cut", set(udp4, 24, 0, 99)[:30], LinkIPv4, len(udp4), "he", 3},
		{"ICMP starts after 8 bytes", ruleEcho.IP(), LinkIPv4, 0, "hello", 0},
		{"ICMP cut in its header", ruleEcho.IP()[:25], LinkIPv4, len(ruleEcho.IP()), "", 5},
		{"SCTP chunks", frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 132, Payload: sctp([]byte("chunk"))}.IP(), LinkIPv4, 0, "chunk", 0},
		{"a protocol without a reader: all behind IP", frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 89, Payload: []byte("ospf")}.IP(), LinkIPv4, 0, "ospf", 0},
		{"LLC with the service access point of IP", append(set(ruleTCP4.Ethernet()[:14], 12, 0, 48), append([]byte{6, 6, 3}, tcp4...)...), LinkEthernet, 0, "hello", 0},
		{"cooked LLC", append(set(frames.SLL(tcp4)[:16], 14, 0, 4), frames.SNAP(tcp4)[14:]...), LinkSLL, 0, "hello", 0},
		{"cooked with a tag", append(set(frames.SLL(tcp4)[:16], 14, 0x81, 0), append([]byte{0, 5, 8, 0}, tcp4...)...), LinkSLL, 0, "hello", 0},
		{"sixteen extension headers", extended(6, repeat(60, 16)...), LinkIPv6, 0, "hello", 0},
		{"hop-by-hop not in front", extended(6, 60, 0), LinkIPv6, 0, "hello", 0},
		{"an atomic fragment", extended(6, 44), LinkIPv6, 0, "hello", 0},
		{"an atomic fragment with its reserved bits set", set(extended(6, 44), 43, 6), LinkIPv6, 0, "hello", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, status := check(t, c.frame, c.link, c.wireLen)
			if status != OK || string(p.Payload) != c.payload || p.Missing != c.missing || p.Fragmented {
				t.Fatalf("%v, payload %q and %d missing, want %q and %d", status, p.Payload, p.Missing, c.payload, c.missing)
			}
		})
	}
}

func TestAddressFamiliesAreRecognised(t *testing.T) {
	four, _ := check(t, frames.UDP{Src: "1.2.3.4:1", Dst: "1.2.3.4:1"}.IP(), LinkRaw, 0)
	compatible, _ := check(t, frames.UDP{Src: "[::1.2.3.4]:1", Dst: "[::1.2.3.4]:1"}.IP(), LinkRaw, 0)
	mapped6 := ruleUDP6.IP()
	copy(mapped6[8:], "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04")
	six, _ := check(t, mapped6, LinkRaw, 0)
	if four.SrcLo != six.SrcLo || four.SrcHi != six.SrcHi || four.SrcLo != 0x0000ffff_01020304 {
		t.Errorf("mapped words: %x %x, and %x %x", four.SrcHi, four.SrcLo, six.SrcHi, six.SrcLo)
	}
	if four.Family != 4 || six.Family != 6 || compatible.Family != 6 || compatible.SrcLo != 0x01020304 {
		t.Errorf("families %d %d %d, ::1.2.3.4 is %x", four.Family, six.Family, compatible.Family, compatible.SrcLo)
	}
}

func TestTheWalkStopsAtWhatSaysNothingOfWhatFollows(t *testing.T) {
	for _, proto := range []uint8{59, 50, 253} {
		p, status := check(t, extended(proto, 60), LinkIPv6, 0)
		if status != OK || p.Proto != proto || p.SrcPort != 0 {
			t.Errorf("%d: %v, protocol %d, port %d", proto, status, p.Proto, p.SrcPort)
		}
	}
}

func TestEachExtensionHeaderIsWalked(t *testing.T) {
	for _, kind := range []uint8{0, 43, 44, 51, 60, 135, 139, 140} {
		p, status := check(t, extended(6, kind), LinkIPv6, 0)
		if status != OK || p.Proto != 6 || p.DstPort != 80 || string(p.Payload) != "hello" {
			t.Errorf("%d: %v, %+v", kind, status, p)
		}
	}
}

func TestIPv4HasNoExtensionHeaderButAH(t *testing.T) {
	for _, kind := range []uint8{0, 43, 44, 60} {
		b := frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 51, Payload: ah(kind, chain(nil, 6, kind))}
		if p, status := check(t, b.IP(), LinkIPv4, 0); status != OK || p.Proto != kind {
			t.Errorf("%d: %v, protocol %d", kind, status, p.Proto)
		}
	}
}

func TestTheVLANIsTheOutermostTagWithoutItsPriority(t *testing.T) {
	p, status := check(t, frames.Ethernet(ruleTCP4.IP(), 0xe00a, 20), LinkEthernet, 0)
	if status != OK || p.VLANs != 2 || p.VLAN != 10 {
		t.Errorf("%v, %d tags, id %d", status, p.VLANs, p.VLAN)
	}
	for _, tpid := range []uint16{0x8100, 0x88a8, 0x9100, 0x9200} {
		p, status := check(t, set(frames.Ethernet(ruleTCP4.IP(), 10), 12, byte(tpid>>8), byte(tpid)), LinkEthernet, 0)
		if status != OK || p.VLANs != 1 {
			t.Errorf("%04x: %v, %d tags", tpid, status, p.VLANs)
		}
	}
}

func TestFlowLabelIsTwentyBits(t *testing.T) {
	if p, _ := check(t, set(ruleTCP6.IP(), 0, 0x6f, 0xff, 0xab, 0xcd), LinkIPv6, 0); p.FlowLabel != 0xfabcd {
		t.Errorf("%05x", p.FlowLabel)
	}
}

func TestICMPIdentifiersAreThoseOfTheMessagesThatHaveOne(t *testing.T) {
	for _, c := range []struct {
		proto uint8
		kinds []uint8
	}{
		{1, []uint8{0, 8, 13, 14, 15, 16, 17, 18}},
		{58, []uint8{128, 129}},
	} {
		for kind := range 256 {
			b := frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: c.proto, Payload: []byte{byte(kind), 3, 0, 0, 0x12, 0x34, 0, 1}}.IP()
			p, status := check(t, b, LinkIPv4, 0)
			want := uint16(0)
			if slices.Contains(c.kinds, uint8(kind)) {
				want = 0x1234
			}
			if status != OK || p.SrcPort != want || p.DstPort != want || int(p.ICMPType) != kind || p.ICMPCode != 3 {
				t.Errorf("protocol %d type %d: %v, %+v", c.proto, kind, status, p)
			}
		}
	}
}

func TestEveryStatusHasANameOfItsOwn(t *testing.T) {
	seen := map[string]Status{}
	for s := range NumStatus {
		text := s.String()
		if other, double := seen[text]; double || text == "" {
			t.Errorf("%d is %q, as is %d", s, text, other)
		}
		seen[text] = s
	}
	if text := Status(255).String(); text != "unknown_status" {
		t.Errorf("255 is %q", text)
	}
}
