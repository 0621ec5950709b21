package decode

import (
	"bytes"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
)

func TestTheInnermostPacketIsReadThroughEachEncapsulation(t *testing.T) {
	for _, s := range tunnelSamples() {
		t.Run(s.name, func(t *testing.T) {
			p, status := checkWith(t, s.frame, s.link, 0, &Options{Peel: PeelAll})
			if status != OK || string(p.Payload) != tunnelPayload || p.SrcPort != 4321 || p.DstPort != 443 || p.Missing != 0 {
				t.Fatalf("%v, payload %q, %+v", status, p.Payload, p)
			}
			if p.Tunnel != s.kind || p.TunnelID != s.id || p.Peeled != s.peeled || p.Tunnels != s.tunnels {
				t.Fatalf("%v:%d of %d, peeled %b, want %v:%d of %d, %b", p.Tunnel, p.TunnelID, p.Tunnels, p.Peeled, s.kind, s.id, s.tunnels, s.peeled)
			}
			header, transport := Checksum(&p, s.frame)
			if transport != SumGood || header != SumGood && p.Family == 4 {
				t.Fatalf("checksums %v and %v", header, transport)
			}
		})
	}
}

func TestTheSamplesReachEveryKindAndEveryBit(t *testing.T) {
	kinds, bits := make([]bool, NumTunnel), Peel(0)
	for _, s := range tunnelSamples() {
		kinds[s.kind], bits = true, bits|s.peeled
	}
	if slices.Contains(kinds[1:], false) || bits != PeelAll {
		t.Errorf("kinds %v, bits %b", kinds, bits)
	}
}

// What the mask does not allow is the outer packet's payload, or no IP.
func TestWhatMayNotBePeeledIsReadAsIfThereWereNoTunnels(t *testing.T) {
	for _, s := range tunnelSamples() {
		want, wantStatus := check(t, s.frame, s.link, 0)
		for _, o := range []*Options{{}, {Peel: PeelAll &^ s.peeled}} {
			got, status := checkWith(t, s.frame, s.link, 0, o)
			if status != wantStatus || !samePacket(got, want) {
				t.Errorf("%s: %v %+v, want %v %+v", s.name, status, got, wantStatus, want)
			}
			if got.Require(s.peeled, status) == OK {
				t.Errorf("%s: the tunnel is not missed", s.name)
			}
		}
		got, status := checkWith(t, s.frame, s.link, 0, &Options{Peel: s.peeled})
		if status != OK || string(got.Payload) != tunnelPayload || got.Require(s.peeled, status) != OK {
			t.Errorf("%s by its own bit: %v, %+v", s.name, status, got)
		}
	}
}

// A cut takes bytes away. What is left says the same of the inner packet, or is read up to a packet
// further out.
func TestEveryPrefixOfATunnelSaysTheSameOrStaysOutside(t *testing.T) {
	for _, s := range tunnelSamples() {
		whole, _ := checkWith(t, s.frame, s.link, 0, &everything)
		for n := range s.frame {
			cut := frames.Cut(s.frame, n)
			checkWith(t, cut, s.link, 0, &everything)
			p, status := checkWith(t, cut, s.link, len(s.frame), &everything)
			if status != OK || p.Tunnels != whole.Tunnels {
				continue
			}
			if !bytes.HasPrefix(whole.Payload, p.Payload) || len(p.Payload)+p.Missing != len(whole.Payload) {
				t.Fatalf("%s, %d of %d bytes: payload %q and %d missing", s.name, n, len(s.frame), p.Payload, p.Missing)
			}
			p.Payload, p.Missing = whole.Payload, 0
			if !samePacket(p, whole) {
				t.Fatalf("%s, %d of %d bytes:\n got %+v\nwant %+v", s.name, n, len(s.frame), p, whole)
			}
		}
	}
}

func TestPaddingBehindATunnelChangesNothing(t *testing.T) {
	for _, s := range tunnelSamples() {
		p, status := checkWith(t, append(slices.Clone(s.frame), bytes.Repeat([]byte{0xff}, 40)...), s.link, 0, &everything)
		if _, sum := Checksum(&p, append(slices.Clone(s.frame), make([]byte, 40)...)); sum != SumGood {
			t.Errorf("%s: checksum %v", s.name, sum)
		}
		if status != OK || string(p.Payload) != tunnelPayload || p.Missing != 0 {
			t.Errorf("%s: %v, %q", s.name, status, p.Payload)
		}
	}
}

// A length outside ends what is inside, whatever the inside says of itself.
func TestTheInsideIsCutByEveryLengthOutside(t *testing.T) {
	long := insideUDP4.IP()
	copy(long[2:], []byte{0x7f, 0xff})  // the inner IP length
	copy(long[24:], []byte{0x7f, 0x00}) // the inner UDP length
	for _, c := range []struct {
		name    string
		frame   []byte
		missing int
	}{
		{"IP in IP", frames.Ethernet(over4(4, long)), 0},
		{"GTP-U", frames.Ethernet(to4("2152", frames.GTPU(1, long))), 0},
		{"PPTP", frames.Ethernet(over4(47, frames.PPTP(1, long))), 0},
		{"L2TP, padded by the outer UDP", frames.Ethernet(to4("1701", append(frames.L2TP(1, 2, long), "padding"...))), 0},
		{"GTP-U, padded by the outer UDP", frames.Ethernet(to4("2152", append(frames.GTPU(1, long), "padding"...))), 0},
		{"PPTP, padded by the outer IP", frames.Ethernet(over4(47, append(frames.PPTP(1, long), "padding"...))), 0},
		{"VXLAN in GRE", frames.Ethernet(over4(47, frames.GRE{}.Put(to4("4789", frames.VXLAN(1, frames.Ethernet(long)))))), 0},
	} {
		p, status := checkWith(t, c.frame, LinkEthernet, 0, &everything)
		if status != OK || string(p.Payload) != tunnelPayload || p.Missing != c.missing || p.Tunnels == 0 {
			t.Errorf("%s: %v, %q and %d missing", c.name, status, p.Payload, p.Missing)
		}
		p, status = checkWith(t, c.frame[:len(c.frame)-10], LinkEthernet, len(c.frame), &everything)
		if status != OK || len(p.Payload)+p.Missing != len(tunnelPayload) {
			t.Errorf("%s, cut: %v, %q and %d missing", c.name, status, p.Payload, p.Missing)
		}
	}
}

func TestTagsAreThoseOfTheInnermostEthernetHeader(t *testing.T) {
	inside := insideTCP4.IP()
	for _, c := range []struct {
		name  string
		frame []byte
		vlan  uint16
		vlans uint8
	}{
		{"Ethernet with tags", frames.Ethernet(to4("4789", frames.VXLAN(1, frames.Ethernet(inside, 7, 8))), 10), 7, 2},
		{"Ethernet without", frames.Ethernet(to4("4789", frames.VXLAN(1, frames.Ethernet(inside))), 10), 0, 0},
		{"IP directly", frames.Ethernet(over4(4, inside), 10, 11), 10, 2},
		{"a tunnel that is none", frames.Ethernet(to4("4789", frames.VXLAN(1, frames.EtherFrame(0x8100, []byte{0, 7, 8, 6, 1, 2}))), 10), 10, 1},
		{"four outside and four inside", frames.Ethernet(to4("4789", frames.VXLAN(1, frames.Ethernet(inside, 5, 6, 7, 8))), 1, 2, 3, 4), 5, 4},
	} {
		p, status := checkWith(t, c.frame, LinkEthernet, 0, &everything)
		if status != OK || p.VLAN != c.vlan || p.VLANs != c.vlans {
			t.Errorf("%s: %v, tag %d of %d", c.name, status, p.VLAN, p.VLANs)
		}
	}
}

func TestATunnelWithoutIdentifierDoesNotHideTheTenant(t *testing.T) {
	inner := insideTCP4.IP()
	p, _ := checkWith(t, frames.Ethernet(to4("4789", frames.VXLAN(77, frames.Ethernet(over4(4, inner))))), LinkEthernet, 0, &everything)
	if p.Tunnel != VXLAN || p.TunnelID != 77 || p.Tunnels != 2 || p.Peeled != PeelVXLAN|PeelIPIP {
		t.Errorf("%+v", p)
	}
	p, _ = checkWith(t, frames.Ethernet(over4(47, frames.GRE{}.Put(over4(4, inner)))), LinkEthernet, 0, &everything)
	if p.Tunnel != IPIP || p.TunnelID != 0 || p.Tunnels != 2 {
		t.Errorf("%+v", p)
	}
}

// nestings wraps the packet into one more tunnel over and over, each of another kind than the one
// before.
var nestings = []func([]byte) []byte{
	func(ip []byte) []byte { return to4("4789", frames.VXLAN(1, frames.Ethernet(ip))) },
	func(ip []byte) []byte { return over6(47, frames.GRE{}.Put(ip)) },
	func(ip []byte) []byte { return to6("2152", frames.GTPU(2, ip)) },
	func(ip []byte) []byte {
		if ip[0]>>4 == 6 {
			return over4(41, ip)
		}
		return over4(4, ip)
	},
	func(ip []byte) []byte { return to4("6081", frames.Geneve(1, 0x6558, nil, frames.Ethernet(ip))) },
	func(ip []byte) []byte { return over4(47, frames.PPTP(7, ip)) },
	func(ip []byte) []byte { return to4("1701", frames.L2TP(7, 8, ip)) },
	func(ip []byte) []byte { return over4(97, frames.EtherIP(frames.Ethernet(ip))) },
	func(ip []byte) []byte { return to4("37008", frames.TZSP(1, frames.Ethernet(ip))) },
	func(ip []byte) []byte { return to6("6635", frames.MPLS(ip, 5)) },
	func(ip []byte) []byte { return to4("4754", frames.GRE{}.Put(ip)) },
}

func TestNestingGoesToTheDepthAndNotBeyond(t *testing.T) {
	for start := range nestings {
		for depth := 1; depth <= 6; depth++ {
			ip := insideTCP4.IP()
			for n := 1; n <= depth+1; n++ {
				ip = nestings[(start+n)%len(nestings)](ip)
				p, status := checkWith(t, frames.Ethernet(ip), LinkEthernet, 0, &Options{Peel: PeelAll, Depth: depth})
				if n <= depth && (status != OK || string(p.Payload) != tunnelPayload || int(p.Tunnels) != n) {
					t.Fatalf("%d of %d: %v, %+v", n, depth, status, p)
				}
				if n > depth && (status != TooManyTunnels || !samePacket(p, Packet{})) {
					t.Fatalf("%d of %d: %v, %+v", n, depth, status, p)
				}
			}
		}
	}
}

func TestOneTunnelTooManyIsNoneIfItIsNoTunnel(t *testing.T) {
	ip := to4("4789", []byte("\x08\x00\x00\x00\x00\x00\x01\x00 looks like VXLAN and is not"))
	for range 4 {
		ip = over4(4, ip)
	}
	p, status := checkWith(t, frames.Ethernet(ip), LinkEthernet, 0, &Options{Peel: PeelAll})
	if status != OK || p.DstPort != 4789 || p.Tunnels != 4 {
		t.Errorf("%v, %+v", status, p)
	}
}

func TestAHundredTunnelsEndSoonInARefusal(t *testing.T) {
	ip, mpls := insideTCP4.IP(), insideTCP4.Ethernet()
	for range 100 {
		ip = over4(4, ip)
		mpls = frames.EtherFrame(0x8847, frames.MPLS(mpls, 1))
	}
	tags := frames.VNTag(1, 2, insideTCP4.IP())
	for range 100 {
		tags = append([]byte{0, 1, 0, 2, 0x89, 0x26}, tags...)
	}
	for name, frame := range map[string][]byte{"IP in IP": frames.Ethernet(ip), "pseudo-wires": mpls, "VN-Tags": frames.EtherFrame(0x8926, tags)} {
		if p, status := checkWith(t, frame, LinkEthernet, 0, &Options{Peel: PeelAll}); status != TooManyTunnels || !samePacket(p, Packet{}) {
			t.Errorf("%s: %v, %+v", name, status, p)
		}
	}
}

func TestTheDepthIsFourByDefaultAndBounded(t *testing.T) {
	for depth, want := range map[int]uint8{0: 4, -3: 1, 1: 1, 32: 32, 33: 32, 1 << 30: 32} {
		if w := NewPeeler(Options{Depth: depth}); w.depth != want {
			t.Errorf("%d: %d", depth, w.depth)
		}
	}
}

func TestPortsAreWhatTheCallerSays(t *testing.T) {
	body := frames.VXLAN(77, insideTCP4.Ethernet())
	for _, c := range []struct {
		name   string
		port   string
		ports  []Port
		tunnel Tunnel
	}{
		{"the default", "4789", nil, VXLAN},
		{"none at all", "4789", []Port{}, NoTunnel},
		{"another", "99", []Port{{99, VXLAN}}, VXLAN},
		{"not the default any more", "4789", []Port{{99, VXLAN}}, NoTunnel},
		{"another with the same low bits", "1123", []Port{{99, VXLAN}}, NoTunnel},
		{"of another kind first", "99", []Port{{99, GTPU}, {99, VXLAN}}, VXLAN},
		{"not over UDP", "99", []Port{{99, IPIP}, {99, EtherIP}, {99, PBB}}, NoTunnel},
		{"number 0", "0", []Port{{0, VXLAN}}, NoTunnel},
	} {
		p, status := checkWith(t, to4(c.port, body), LinkRaw, 0, &Options{Peel: PeelAll, Depth: 4, Ports: c.ports})
		if status != OK || p.Tunnel != c.tunnel {
			t.Errorf("%s: %v, %v", c.name, status, p.Tunnel)
		}
	}
}

func TestAFragmentOutsideIsNotLookedIntoAndOneInsideIs(t *testing.T) {
	payload := bytes.Repeat([]byte(tunnelPayload), 9)
	inner := frames.UDP{Src: "192.168.0.1:4321", Dst: "192.168.0.2:443", Payload: payload}.IP()
	for _, c := range []struct {
		name  string
		outer []byte
	}{
		{"over IPv4", to4("2152", frames.GTPU(5, inner))},
		{"over IPv6", to6("4789", frames.VXLAN(5, frames.Ethernet(inner)))},
		{"GRE", over4(47, frames.GRE{}.Put(over4(4, inner)))},
	} {
		want, _ := checkWith(t, c.outer, LinkRaw, 0, &everything)
		var first Packet
		var data []byte
		for i, f := range frames.Fragments(c.outer, 120, 7) {
			p, status := checkWith(t, f, LinkRaw, 0, &everything)
			if !p.Fragmented || p.Tunnels != 0 || (status == OK) != (i == 0) {
				t.Fatalf("%s, fragment %d: %v, %+v", c.name, i, status, p)
			}
			if i == 0 {
				first = p
			}
			data = append(data, p.Fragment...)
		}
		if status := Reassembled(&first, data, NewPeeler(everything)); status != OK {
			t.Fatalf("%s: %v", c.name, status)
		}
		if _, sum := Checksum(&first, data); sum != SumGood {
			t.Errorf("%s: checksum %v", c.name, sum)
		}
		if !bytes.Equal(first.Payload, payload) || !within(first.Payload, data) {
			t.Errorf("%s: %q", c.name, first.Payload)
		}
		first.Payload = want.Payload
		if !samePacket(first, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, first, want)
		}
	}
	for i, f := range frames.Fragments(inner, 80, 7) {
		p, status := checkWith(t, to4("2152", frames.GTPU(5, f)), LinkRaw, 0, &everything)
		if !p.Fragmented || p.Tunnel != GTPU || p.TunnelID != 5 || (status == OK) != (i == 0) || status != OK && status != FragmentLater {
			t.Errorf("fragment %d inside: %v, %+v", i, status, p)
		}
		if status := Reassembled(&p, inner[20:], nil); status != OK || p.Tunnel != GTPU || p.TunnelID != 5 || p.Tunnels != 1 {
			t.Errorf("fragment %d inside, put together: %v, %+v", i, status, p)
		}
	}
}

func TestPeelingAllocatesNothing(t *testing.T) {
	w := NewPeeler(everything)
	for _, s := range tunnelSamples() {
		var p Packet
		t.Run(s.name, func(t *testing.T) {
			allocs.None(t, 1, func() { DecodeWith(&p, s.frame, s.link, 0, w); Checksum(&p, s.frame) })
		})
	}
}

func TestEveryTunnelHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for k := range NumTunnel {
		if text := k.String(); seen[text] || text == "" {
			t.Errorf("%d is %q", k, text)
		}
		seen[k.String()] = true
	}
	if Tunnel(200).String() != "unknown_tunnel" || !VXLAN.BothWays() || GTPU.BothWays() {
		t.Error(Tunnel(200), VXLAN.BothWays(), GTPU.BothWays())
	}
}
