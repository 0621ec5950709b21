package decode

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// ignored is a tunnel whose header has bits that its receiver ignores.
type ignored struct {
	name string
	at   int                   // where the header is in what put returns
	mask []byte                // the bits
	put  func([]byte) []byte   // the header and what is around it
	in   func() (ip, b []byte) // the packet inside, and what put takes
}

func insideIP() (ip, b []byte)       { return insideTCP4.IP(), insideTCP4.IP() }
func insideIP6() (ip, b []byte)      { return insideTCP6.IP(), insideTCP6.IP() }
func insideEthernet() (ip, b []byte) { return insideTCP4.IP(), insideTCP4.Ethernet() }

// shortest is a packet that Ethernet pads.
var shortest = frames.UDP{Src: "192.168.0.1:4321", Dst: "192.168.0.2:443", Payload: []byte("abc")}

func insidePadded() (ip, b []byte) { return shortest.IP(), frames.Pad(shortest.Ethernet(), 60) }

func insideTagged() (ip, b []byte) {
	return insideTCP6.IP(), frames.Ethernet(insideTCP6.IP(), 7, 8)
}

func ignoredBits() []ignored {
	const overIP, overUDP = 20, 28
	key := uint32(0x123456ff)
	vxlan := func(b []byte) []byte { return to4("4789", frames.VXLAN(7, b)) }
	gpe := func(next uint8) func([]byte) []byte {
		return func(b []byte) []byte { return to4("4790", frames.VXLANGPE(7, next, b)) }
	}
	gre := func(g frames.GRE) func([]byte) []byte {
		return func(b []byte) []byte { return over4(47, g.Put(b)) }
	}
	vxlanMask := []byte{0x77, 0xff, 0xff, 0xff, 0, 0, 0, 0xff}
	gpeMask := []byte{0xc0, 0xff, 0xff, 0, 0, 0, 0, 0xff}
	return []ignored{
		{"VXLAN", overUDP, vxlanMask, vxlan, insideEthernet},
		{"VXLAN with a padded frame", overUDP, vxlanMask, vxlan, insidePadded},
		{"VXLAN with a tagged frame", overUDP, vxlanMask, vxlan, insideTagged},
		{"VXLAN-GPE", overUDP, gpeMask, gpe(1), insideIP},
		{"VXLAN-GPE with IPv6", overUDP, gpeMask, gpe(2), insideIP6},
		{"VXLAN-GPE with Ethernet", overUDP, gpeMask, gpe(3), insideEthernet},
		{"VXLAN-GPE without a protocol", overUDP, []byte{0xc0, 0xff, 0xff, 0xff, 0, 0, 0, 0xff},
			func(b []byte) []byte { return to4("4790", frames.VXLAN(7, b)) }, insideEthernet},
		{"Geneve", overUDP, []byte{0, 0x7f, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0xe0},
			func(b []byte) []byte { return to4("6081", frames.Geneve(7, 0x0800, make([]byte, 4), b)) }, insideIP},
		{"GTP-U", overUDP, []byte{0x08}, func(b []byte) []byte { return to4("2152", frames.GTPU(7, b)) }, insideIP},
		{"GRE", overIP, []byte{0x03, 0xf8}, gre(frames.GRE{}), insideIP},
		{"GRE with a checksum", overIP, []byte{0x03, 0xf8, 0, 0, 0, 0, 0xff, 0xff}, gre(frames.GRE{Checksum: true}), insideIP},
		{"NVGRE", overIP, []byte{0x03, 0xf8}, gre(frames.GRE{Protocol: 0x6558, Key: &key}), insideEthernet},
		{"GRE over UDP", overUDP, []byte{0x03, 0xf8}, func(b []byte) []byte { return to4("4754", frames.GRE{}.Put(b)) }, insideIP},
		{"L2TP", overUDP, []byte{0x34, 0xf0}, func(b []byte) []byte { return to4("1701", frames.L2TP(1, 2, b)) }, insideIP},
	}
}

func TestWhatIsReservedInATunnelHeaderIsIgnored(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range ignoredBits() {
		ip, b := c.in()
		clean := frames.Ethernet(c.put(b))
		want, status := checkWith(t, clean, LinkEthernet, 0, &everything)
		if status != OK || want.Tunnels != 1 || !bytes.HasSuffix(ip, want.Payload) {
			t.Fatalf("%s: %v, %+v", c.name, status, want)
		}
		var masks [][]byte
		for bit := range len(c.mask) * 8 {
			if c.mask[bit/8]>>(bit%8)&1 == 1 {
				one := make([]byte, len(c.mask))
				one[bit/8] = 1 << (bit % 8)
				masks = append(masks, one)
			}
		}
		for range 20 {
			some := slices.Clone(c.mask)
			for i := range some {
				some[i] &= byte(rng.Uint32())
			}
			masks = append(masks, some)
		}
		for _, mask := range append(masks, c.mask) {
			frame := slices.Clone(clean)
			for i, bits := range mask {
				frame[14+c.at+i] |= bits
			}
			got, status := checkWith(t, frame, LinkEthernet, 0, &everything)
			if got.Payload = want.Payload; status != OK || !samePacket(got, want) {
				t.Fatalf("%s with %x: %v, %+v", c.name, mask, status, got)
			}
			cut := len(frame) - 10
			got, status = checkWith(t, frame[:cut], LinkEthernet, len(frame), &everything)
			if status != OK || got.Tunnels != 1 || got.SrcPort != 4321 {
				t.Fatalf("%s with %x, cut: %v, %+v", c.name, mask, status, got)
			}
		}
	}
}

// Without its zeros a header on a port says little. A packet that does not fill the datagram is then
// no evidence.
func TestAHeaderWithReservedBitsNeedsAPacketThatFillsIt(t *testing.T) {
	tcp4, tcp6, frame := insideTCP4.IP(), insideTCP6.IP(), insideTCP4.Ethernet()
	for _, c := range []struct {
		name string
		put  func([]byte) []byte
		in   []byte
		at   int // of the inner length
	}{
		{"VXLAN", func(b []byte) []byte { return to4("4789", set(frames.VXLAN(7, b), 1, 0x10)) }, frame, 16},
		{"VXLAN, the last byte", func(b []byte) []byte { return to4("4789", set(frames.VXLAN(7, b), 7, 1)) }, frame, 16},
		{"VXLAN with group policy and more", func(b []byte) []byte { return to4("4789", set(frames.VXLAN(7, b), 0, 0x88, 0x10)) }, frame, 16},
		{"VXLAN-GPE", func(b []byte) []byte { return to4("4790", set(frames.VXLANGPE(7, 1, b), 1, 1)) }, tcp4, 2},
		{"VXLAN-GPE with IPv6", func(b []byte) []byte { return to4("4790", set(frames.VXLANGPE(7, 2, b), 0, 0x4c)) }, tcp6, 4},
		{"VXLAN-GPE with a protocol unannounced", func(b []byte) []byte { return to4("4790", set(frames.VXLANGPE(7, 3, b), 0, 0x08)) }, frame, 16},
		{"L2TP", func(b []byte) []byte {
			return to4("1701", append([]byte{0x10, 2, 0, 1, 0, 2}, frames.PPPFrame(0x21, b)...))
		}, tcp4, 2},
	} {
		p, status := checkWith(t, c.put(c.in), LinkRaw, 0, &everything)
		if status != OK || p.Tunnels != 1 {
			t.Errorf("%s: %v, %+v", c.name, status, p)
		}
		longer, shorter, none := slices.Clone(c.in), slices.Clone(c.in), set(c.in, c.at, 0, 0)
		longer[c.at+1]++
		shorter[c.at+1]--
		for what, b := range map[string][]byte{"a longer length": longer, "a shorter length": shorter, "no length": none,
			"a byte behind": append(slices.Clone(c.in), 0), "nothing": c.in[:len(c.in)-len(tcp4)]} {
			p, status := checkWith(t, c.put(b), LinkRaw, 0, &everything)
			if status != OK || p.Tunnels != 0 || p.SrcPort != 50000 {
				t.Errorf("%s with %s: %v, %+v", c.name, what, status, p)
			}
		}
	}
}

// Datagrams of other protocols, from the ports of tunnels: none is a tunnel, whatever its bits are.
func TestRandomDatagramsAreNoTunnels(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	w := NewPeeler(everything)
	for range 200000 {
		b := make([]byte, 8+rng.IntN(80))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		port := defaultPorts[rng.IntN(len(defaultPorts))]
		if port.Kind == GTPU || port.Kind == AYIYA {
			continue // say that IP follows, and which version, in few bits
		}
		frame := frames.UDP{Src: "10.0.0.1:53", Dst: "10.0.0.2:4789", Payload: b}.IP()
		frame[22], frame[23] = byte(port.Number>>8), byte(port.Number)
		var p Packet
		if status := DecodeWith(&p, frame, LinkRaw, 0, w); status != OK || p.Tunnels != 0 {
			t.Fatalf("port %d: %v, %+v of %x", port.Number, status, p, b)
		}
	}
}
