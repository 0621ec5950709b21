package decode

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
)

// sample is a sound frame, one of each kind that Decode reads.
type sample struct {
	name  string
	frame []byte
	link  Link
}

func samples() []sample {
	payload := []byte("some payload of forty-one bytes or so ...")
	options := []layers.TCPOption{frames.MSS(1460), frames.SACKPermitted(), frames.Timestamps(1, 0), frames.WindowScale(7)}
	tcp4 := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Seq: 0xfffffff0, Ack: 77, Flags: "PA", Window: 501, Payload: payload}
	tcp6 := frames.TCP{Src: "[fd00::1]:1234", Dst: "[fd00::2]:80", Seq: 5, Ack: 6, Flags: "PAU", Urgent: 3, Payload: payload}
	syn4 := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Seq: 9, Flags: "SEC", Window: 64240, Options: options}
	udp4 := frames.UDP{Src: "10.0.0.1:53", Dst: "10.0.0.2:5353", Payload: payload}
	udp6 := frames.UDP{Src: "[fd00::1]:53", Dst: "[fd00::2]:5353", Payload: payload}
	echo4 := frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 4711, Seq: 1, Payload: payload}
	echo6 := frames.ICMPEcho{Src: "fd00::1", Dst: "fd00::2", ID: 4711, Seq: 1, Reply: true, Payload: payload}
	out := []sample{
		{"tcp4", tcp4.Ethernet(), LinkEthernet},
		{"tcp6", tcp6.Ethernet(), LinkEthernet},
		{"syn4", syn4.Ethernet(), LinkEthernet},
		{"udp4", udp4.Ethernet(), LinkEthernet},
		{"udp6", udp6.Ethernet(), LinkEthernet},
		{"echo4", echo4.Ethernet(), LinkEthernet},
		{"echo6", echo6.Ethernet(), LinkEthernet},
		{"ethernet by the zero link", tcp4.Ethernet(), 0},
		{"padded", frames.Pad(frames.UDP{Src: "10.0.0.1:53", Dst: "10.0.0.2:5353", Payload: []byte("a")}.Ethernet(), 60), LinkEthernet},
		{"one tag", frames.Ethernet(tcp4.IP(), 10), LinkEthernet},
		{"four tags", frames.Ethernet(tcp6.IP(), 10, 20, 30, 40), LinkEthernet},
		{"snap", frames.SNAP(tcp4.IP()), LinkEthernet},
		{"raw 4", tcp4.IP(), LinkRaw},
		{"raw 6", tcp6.IP(), LinkRaw},
		{"raw 12", tcp4.IP(), LinkRawBSD},
		{"raw 14", tcp6.IP(), LinkRawOpenBSD},
		{"ipv4", udp4.IP(), LinkIPv4},
		{"ipv6", udp6.IP(), LinkIPv6},
		{"null, little end first", frames.Null(tcp4.IP(), binary.LittleEndian), LinkNull},
		{"null, big end first", frames.Null(tcp6.IP(), binary.BigEndian), LinkNull},
		{"loop", frames.Null(tcp6.IP(), binary.BigEndian), LinkLoop},
		{"ppp", frames.PPP(tcp4.IP()), LinkPPP},
		{"ppp without address and control", frames.PPP(tcp6.IP())[2:], LinkPPP},
		{"ppp with a short protocol", frames.PPP(tcp4.IP())[3:], LinkPPP},
		{"sll", frames.SLL(tcp4.IP()), LinkSLL},
		{"sll2", frames.SLL2(tcp6.IP()), LinkSLL2},
		{"sctp", frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 132, Payload: sctp(payload)}.Ethernet(), LinkEthernet},
		{"gre", frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 47, Payload: payload}.Ethernet(), LinkEthernet},
		{"ah over 4", frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 51, Payload: ah(6, tcp4.IP()[20:])}.Ethernet(), LinkEthernet},
		{"extensions", frames.IP{Src: "fd00::1", Dst: "fd00::2", Proto: 0, Payload: chain(udp6.IP()[40:], 17, 0, 43, 60, 51, 135, 139, 140)}.Ethernet(), LinkEthernet},
	}
	for i, f := range frames.Fragments(udp4.IP(), 16, 99) {
		out = append(out, sample{"fragment 4 number " + string(rune('1'+i)), frames.Ethernet(f), LinkEthernet})
	}
	for i, f := range frames.Fragments(udp6.IP(), 16, 99) {
		out = append(out, sample{"fragment 6 number " + string(rune('1'+i)), frames.Ethernet(f), LinkEthernet})
	}
	return append(out, linkSamples()...)
}

// sctp is a common header (RFC 9260 section 3.1) before the bytes.
func sctp(b []byte) []byte {
	return append([]byte{0x04, 0xd2, 0x00, 0x50, 0, 0, 0, 1, 0, 0, 0, 0}, b...)
}

// ah is an authentication header with 12 bytes of check value, before the bytes.
func ah(next uint8, b []byte) []byte {
	h := make([]byte, 24)
	h[0], h[1] = next, 4
	return append(h, b...)
}

// chain puts an extension header of each kind, in this order, before bytes of the protocol last.
func chain(b []byte, last uint8, kinds ...uint8) []byte {
	for _, kind := range slices.Backward(kinds) {
		switch kind {
		case 51:
			b = ah(last, b)
		case 44:
			b = append([]byte{last, 0, 0, 0, 0, 0, 0, 7}, b...)
		default:
			b = append(append([]byte{last, 1}, make([]byte, 14)...), b...)
		}
		last = kind
	}
	return b
}

func TestEverySampleIsReadAsTheReferenceReadsIt(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			p, status := check(t, s.frame, s.link, 0)
			if status != OK && status != FragmentLater {
				t.Fatalf("status %v", status)
			}
			if p.Missing != 0 {
				t.Fatalf("Missing is %d in a whole frame", p.Missing)
			}
		})
	}
}

// A snap length takes bytes away, and must not change what the bytes say that are left:
//
//	whole  | headers | payload payload |
//	cut    | headers | payl             and Missing says how many there would be
func TestEveryPrefixOfASampleSaysTheSameOrNothing(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			whole, wholeStatus := check(t, s.frame, s.link, 0)
			for n := range s.frame {
				cut := frames.Cut(s.frame, n)
				check(t, cut, s.link, 0)
				check(t, cut, s.link, -5)
				p, status := check(t, cut, s.link, len(s.frame))
				if status != wholeStatus {
					continue // a header is cut
				}
				if p.ICMPType != 0 || whole.Proto == 1 {
					p.SrcPort, p.DstPort = whole.SrcPort, whole.DstPort // the identifier may be cut, and is 0 then
				}
				if p.WindowScale != whole.WindowScale {
					p.WindowScale, p.HasWindowScale = whole.WindowScale, whole.HasWindowScale // so may options
				}
				if p.Options != whole.Options {
					p.Options, p.Timestamp, p.TimestampEcho = whole.Options, whole.Timestamp, whole.TimestampEcho
				}
				if !bytes.HasPrefix(whole.Payload, p.Payload) || len(p.Payload)+p.Missing != len(whole.Payload) {
					t.Fatalf("%d of %d bytes: payload %q and %d missing, of %q", n, len(s.frame), p.Payload, p.Missing, whole.Payload)
				}
				p.Payload, p.Missing, p.Fragment, p.FragmentCut = whole.Payload, whole.Missing, whole.Fragment, whole.FragmentCut
				if !samePacket(p, whole) {
					t.Fatalf("%d of %d bytes:\n got %+v\nwant %+v", n, len(s.frame), p, whole)
				}
			}
		})
	}
}

func TestPaddingBehindThePacketChangesNothing(t *testing.T) {
	for _, s := range samples() {
		want, wantStatus := check(t, s.frame, s.link, 0)
		got, status := check(t, append(slices.Clone(s.frame), bytes.Repeat([]byte{0xff}, 40)...), s.link, 0)
		if status != wantStatus || !bytes.Equal(got.Payload, want.Payload) || got.Missing != 0 {
			t.Errorf("%s: %v, payload %q, want %v, %q", s.name, status, got.Payload, wantStatus, want.Payload)
		}
	}
}

func TestNumbersOfTheWireLengthThatCannotBeAreHarmless(t *testing.T) {
	const most = int(^uint(0) >> 1)
	for _, s := range samples() {
		for _, wireLen := range []int{-most - 1, -1, 1, most} {
			check(t, s.frame, s.link, wireLen)
		}
	}
}

func TestEveryLinkTakesEverySample(t *testing.T) {
	links := []Link{0, LinkEthernet, LinkPPP, LinkRawBSD, LinkRawOpenBSD, LinkRaw, LinkLoop, LinkSLL, LinkIPv4,
		LinkIPv6, LinkSLL2, LinkNull, LinkPPPHDLC, LinkPPPoE, LinkHDLC, LinkWiFi, LinkPFLOG, LinkPrism, LinkRadiotap, LinkAVS,
		LinkNFLOG, LinkIPoIB, 2, 195, 300, 0xfffe}
	for _, s := range samples() {
		for _, link := range links {
			check(t, s.frame, link, 0)
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	for _, s := range samples() {
		var p Packet
		t.Run(s.name, func(t *testing.T) { allocs.None(t, 1, func() { Decode(&p, s.frame, s.link, 0) }) })
	}
}
