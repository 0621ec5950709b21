package decode

import (
	"bytes"
	"testing"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

func TestFragmentsSayWhereTheyBelong(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 8)
	udp6 := ruleUDP6
	udp4, tcp4 := ruleUDP4, ruleTCP4
	udp4.Payload, udp6.Payload, tcp4.Payload = long, long, long
	for _, c := range []struct {
		name  string
		ip    []byte
		size  int
		proto uint8
	}{
		{"UDP over IPv4", udp4.IP(), 40, 17},
		{"UDP over IPv6, with a flow label", set(udp6.IP(), 1, 1, 2, 3), 40, 17},
		{"TCP over IPv4", tcp4.IP(), 40, 6},
		{"TCP over IPv4, too little for its header at a time", tcp4.IP(), 8, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, _ := check(t, c.ip, LinkRaw, 0)
			var first Packet
			var data []byte
			all := frames.Fragments(c.ip, c.size, 0x1234)
			for i, f := range all {
				p, status := check(t, f, LinkRaw, 0)
				if i == 0 {
					first = p
				} else if status != FragmentLater || &p.Payload[0] != &p.Fragment[0] || p.Proto != c.proto {
					t.Fatalf("fragment %d: %v, %+v", i, status, p)
				}
				if !p.Fragmented || p.MoreFragments != (i < len(all)-1) || int(p.FragmentOffset) != len(data) ||
					p.FragmentID != 0x1234 || p.FragmentProto != c.proto || p.FragmentCut || p.SrcLo != want.SrcLo {
					t.Fatalf("fragment %d: %+v", i, p)
				}
				data = append(data, p.Fragment...)
			}
			if status := Reassembled(&first, data, nil); status != OK {
				t.Fatalf("reassembled: %v", status)
			}
			if !bytes.Equal(first.Payload, want.Payload) || !within(first.Payload, data) {
				t.Fatalf("payload %q, want %q", first.Payload, want.Payload)
			}
			first.Payload = want.Payload
			first.IPLen = want.IPLen // the sum is for who reassembles
			if !samePacket(first, want) {
				t.Fatalf("\n got %+v\nwant %+v", first, want)
			}
		})
	}
}

func TestAFirstFragmentTooShortForItsTransportIsAFragmentStill(t *testing.T) {
	p, status := check(t, frames.Fragments(ruleTCP4.IP(), 8, 1)[0], LinkIPv4, 0)
	if status != TruncatedTCP || !p.Fragmented || len(p.Fragment) != 8 {
		t.Errorf("%v, %+v", status, p)
	}
}

func TestAFragmentThatTheCaptureCutSaysSo(t *testing.T) {
	for i, f := range frames.Fragments(ruleUDP6.IP(), 8, 1) {
		if p, status := check(t, f[:len(f)-1], LinkIPv6, len(f)); !p.FragmentCut {
			t.Errorf("fragment %d: %v, %+v", i, status, p)
		}
	}
}

// What fills a tunnel may have been cut by whoever filled it, a frame that the capture cut by the capture.
func TestAFragmentThatMayHaveBeenCutSaysSoAndIsNotRefused(t *testing.T) {
	long := set(frames.Fragments(ruleUDP4.IP(), 8, 1)[1], 3, 200)
	mirrored := frames.UDP{Src: "10.9.0.1:99", Dst: "10.9.0.2:4789", Payload: frames.VXLAN(7, frames.Ethernet(long))}.Ethernet()
	for _, c := range []struct {
		name  string
		frame []byte
		link  Link
		wire  int
	}{{"in a tunnel", mirrored, LinkEthernet, 0}, {"cut by the capture", long[:len(long)-1], LinkIPv4, len(long)}} {
		var p Packet
		status := DecodeWith(&p, c.frame, c.link, c.wire, NewPeeler(Options{Peel: PeelAll}))
		if status != FragmentLater || !p.FragmentCut || p.FragmentOffset != 8 {
			t.Errorf("%s: %v, %+v", c.name, status, p)
		}
	}
}

func TestTheHighestOffsetsFit(t *testing.T) {
	four := set(frames.Fragments(ruleUDP4.IP(), 8, 1)[1], 6, 0x1f, 0xff)
	six := set(frames.Fragments(ruleUDP6.IP(), 8, 1)[1], 42, 0xff, 0xf8)
	for _, f := range [][]byte{four, six} {
		if p, status := check(t, f, LinkRaw, 0); status != FragmentLater || p.FragmentOffset != 65528 {
			t.Errorf("%v, offset %d", status, p.FragmentOffset)
		}
	}
}

func TestAReassembledDatagramHoldsNoFragmentHeader(t *testing.T) {
	p, _ := check(t, frames.Fragments(ruleUDP6.IP(), 8, 1)[0], LinkIPv6, 0)
	p.FragmentProto = 60
	if status := Reassembled(&p, chain(ruleUDP6.IP()[40:], 17, 60, 44), nil); status != NestedFragment {
		t.Errorf("%v", status)
	}
}
