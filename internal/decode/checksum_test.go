package decode

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// slowSum adds one word at a time and takes every carry at once.
func slowSum(b []byte) uint16 {
	sum := uint32(0)
	for i, c := range b {
		word := uint32(c)
		if i%2 == 0 {
			word <<= 8
		}
		if sum += word; sum > 0xffff {
			sum -= 0xffff
		}
	}
	return uint16(sum)
}

func TestTheQuickSumIsTheSlowSum(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, 300)
	for round := range 4000 {
		for i := range b {
			b[i] = byte(rng.Uint32())
			if round%3 == 0 {
				b[i] |= 0xfe // carries everywhere
			}
		}
		at := rng.IntN(16)
		part := b[at : at+rng.IntN(280)]
		if got, want := sum16(part), slowSum(part); got != want && got^want != 0xffff {
			t.Fatalf("%04x, want %04x of %x", got, want, part)
		}
	}
	for n := range 70 {
		ones := make([]byte, n)
		for i := range ones {
			ones[i] = 0xff
		}
		if got, want := sum16(ones), slowSum(ones); got != want && got^want != 0xffff {
			t.Errorf("%d bytes of ff: %04x, want %04x", n, got, want)
		}
	}
}

func TestChecksumsOfSoundPacketsAreGoodAndOneBitMakesThemBad(t *testing.T) {
	sctp := frames.SCTP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Payload: []byte("chunks..")}.IP()
	for name, ip := range map[string][]byte{
		"tcp4": ruleTCP4.IP(), "tcp6": ruleTCP6.IP(), "udp4": ruleUDP4.IP(), "udp6": ruleUDP6.IP(), "echo4": ruleEcho.IP(), "sctp": sctp,
		"echo6":                  frames.ICMPEcho{Src: "fd00::1", Dst: "fd00::2", ID: 3, Payload: []byte("odd")}.IP(),
		"tcp4 behind AH":         rightHeader(frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 51, Payload: ah(6, ruleTCP4.IP()[20:])}.IP()),
		"tcp6 behind extensions": extended(6, 60, 0, 51),
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := check(t, ip, LinkRaw, 0)
			header, transport := Checksum(&p, ip)
			if transport != SumGood || header != SumGood && p.Family == 4 || header != SumNone && p.Family == 6 {
				t.Fatalf("%v and %v", header, transport)
			}
			at := len(ip) - int(p.fromTransport)
			for bit := range len(ip) * 8 {
				b := set(ip, bit/8, ip[bit/8]^1<<(bit%8))
				q, status := check(t, b, LinkRaw, 0)
				header, transport := Checksum(&q, b)
				if status != OK || q.Proto != p.Proto || q.Missing != 0 || q.Family != p.Family {
					continue // it is another packet altogether
				}
				if p.Family == 4 && bit/8 < 20 && header == SumGood {
					t.Errorf("bit %d of byte %d: header %v", bit%8, bit/8, header)
				}
				if bit/8 >= at && transport == SumGood {
					t.Errorf("bit %d of byte %d: transport %v", bit%8, bit/8, transport)
				}
			}
		})
	}
}

// rightHeader makes the checksum of an IPv4 header right.
func rightHeader(ip []byte) []byte {
	ip = set(ip, 10, 0, 0)
	size := int(ip[0]&15) * 4
	binary.BigEndian.PutUint16(ip[10:], ^slowSum(ip[:size]))
	return ip
}

// pseudo4 is the sum over addresses, protocol and length, as a sender leaves it to the network card.
func pseudo4(ip []byte, length int) []byte {
	b := append([]byte{}, ip[12:20]...)
	b = append(b, 0, ip[9], byte(length>>8), byte(length))
	return binary.BigEndian.AppendUint16(nil, slowSum(b))
}

func TestWhatAChecksumSaysOfUnusualPackets(t *testing.T) {
	tcp4, udp4, udp6 := ruleTCP4.IP(), ruleUDP4.IP(), ruleUDP6.IP()
	vxlan6 := frames.UDP{Src: "[fd00::1]:53", Dst: "[fd00::2]:4789", Payload: []byte("hello")}.IP()
	sctp := frames.SCTP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Payload: []byte("chunks..")}.IP()
	options := append(set(tcp4[:20], 0, 0x46, 0, 0, 49, 0, 0, 0x40), append([]byte{1, 1, 1, 0}, tcp4[20:]...)...)
	routed := func(left byte) []byte {
		return frames.IP{Src: "fd00::1", Dst: "fd00::9", Proto: 43, Payload: append([]byte{6, 0, 4, left, 0, 0, 0, 0}, ruleTCP6.IP()[40:]...)}.IP()
	}
	home := func(option byte) []byte {
		return frames.IP{Src: "fd00::9", Dst: "fd00::2", Proto: 60, Payload: append([]byte{6, 2, 1, 0, option, 16, 15: 1, 23: 0}, ruleTCP6.IP()[40:]...)}.IP()
	}
	for _, c := range []struct {
		name              string
		frame             []byte
		wireLen           int
		header, transport Sum
	}{
		{"IPv4 options", rightHeader(options), 0, SumGood, SumGood},
		{"IPv4 header left to the card", set(tcp4, 10, 0, 0), 0, SumPartial, SumGood},
		{"IPv4 header wrong", set(tcp4, 10, 1, 1), 0, SumBad, SumGood},
		{"TCP left to the card", set(tcp4, 36, pseudo4(tcp4, 25)...), 0, SumGood, SumPartial},
		{"TCP left to the card, in segments", set(tcp4, 36, pseudo4(tcp4, 0)...), 0, SumGood, SumPartial},
		{"TCP wrong", set(tcp4, 36, 1, 2), 0, SumGood, SumBad},
		{"TCP cut", tcp4[:42], len(tcp4), SumGood, SumUnknown},
		{"TCP in a padded frame", append(set(tcp4, 0, 0x45), 0, 0, 9, 9), 0, SumGood, SumGood},
		{"UDP without, over IPv4", set(udp4, 26, 0, 0), 0, SumGood, SumNone},
		{"UDP without, over IPv6", set(udp6, 46, 0, 0), 0, SumNone, SumBad},
		{"UDP without, over IPv6, of a tunnel", set(vxlan6, 46, 0, 0), 0, SumNone, SumNone},
		{"UDP that ends before IP does", rightHeader(set(append(udp4, 1, 2, 3, 4), 3, byte(len(udp4)+4))), 0, SumGood, SumGood},
		{"a fragment", frames.Fragments(udp4, 8, 1)[0], 0, SumGood, SumUnknown},
		{"a later fragment", frames.Fragments(udp4, 8, 1)[1], 0, SumGood, SumUnknown},
		{"SCTP left to the card", set(sctp, 28, 0, 0, 0, 0), 0, SumGood, SumPartial},
		{"SCTP wrong", set(sctp, 28, 1, 1, 1, 1), 0, SumGood, SumBad},
		{"a protocol without", frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 89, Payload: []byte("ospf")}.IP(), 0, SumGood, SumNone},
		{"half an ICMP header", frames.IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 1, Payload: []byte{8, 0, 1, 2, 3}}.IP(), 0, SumUnknown, SumUnknown},
		{"a routing header on its way", routed(1), 0, SumNone, SumUnknown},
		{"a routing header at its end", routed(0), 0, SumNone, SumBad},
		{"the home address of a mobile node", home(201), 0, SumNone, SumUnknown},
		{"another option", home(202), 0, SumNone, SumBad},
	} {
		p, status := check(t, c.frame, LinkRaw, c.wireLen)
		header, transport := Checksum(&p, c.frame)
		if status != OK && status != FragmentLater || header != c.header || transport != c.transport {
			t.Errorf("%s: %v, %v and %v, want %v and %v", c.name, status, header, transport, c.header, c.transport)
		}
	}
}

// A right checksum of 0 and one of ffff are the same number. UDP has to send the second, and TCP
// may send either.
func TestAChecksumOfZeroMayBeSentAsAllOnes(t *testing.T) {
	seen := 0
	for n := range 1 << 16 {
		tcp := frames.TCP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Flags: "A", Window: uint16(n)}.IP()
		if tcp[36]|tcp[37] != 0 {
			continue
		}
		seen++
		for _, with := range [][]byte{{0, 0}, {0xff, 0xff}} {
			b := set(tcp, 36, with...)
			p, _ := check(t, b, LinkRaw, 0)
			if _, sum := Checksum(&p, b); sum != SumGood {
				t.Errorf("%x: %v", with, sum)
			}
		}
		break
	}
	if seen == 0 {
		t.Error("no window makes the checksum zero")
	}
}

func TestTheHeaderOfAReassembledDatagramIsElsewhere(t *testing.T) {
	data := ah(6, ruleTCP4.IP()[20:])
	data[23] = 0x45 // in the place where a header might be thought to be
	p, _ := check(t, ruleTCP4.IP(), LinkRaw, 0)
	p.FragmentProto = 51
	if status := Reassembled(&p, data, nil); status != OK {
		t.Fatal(status)
	}
	if header, transport := Checksum(&p, data); header != SumUnknown || transport != SumGood {
		t.Errorf("%v and %v", header, transport)
	}
}

func TestChecksumOfAStrangeFrameIsHarmless(t *testing.T) {
	for _, s := range samples() {
		p, _ := check(t, s.frame, s.link, 0)
		for _, frame := range [][]byte{nil, {1}, s.frame[:len(s.frame)/2], make([]byte, 4000)} {
			Checksum(&p, frame)
		}
	}
	d := dirtyPacket()
	for proto := range 256 {
		for _, back := range []uint32{0, 1, 20, 1 << 31, 1<<32 - 1} {
			for _, family := range []uint8{0, 4, 6} {
				d.Proto, d.fromTransport, d.Family, d.Fragmented, d.Missing = uint8(proto), back, family, false, 0
				Checksum(&d, make([]byte, 30))
			}
		}
	}
}

func TestEverySumHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for s := range NumSum {
		if seen[s.String()] || s.String() == "" {
			t.Errorf("%d is %q", s, s)
		}
		seen[s.String()] = true
	}
	if Sum(99).String() != "unknown_sum" {
		t.Error(Sum(99))
	}
}

// Nothing is Missing of it, and yet not all that its checksum covers is there.
func TestTheChecksumOfAPacketShorterThanItsIPLengthIsUnknown(t *testing.T) {
	for _, f := range [][]byte{set(ruleTCP4.IP(), 3, 200), set(ruleUDP6.IP(), 5, 200)} {
		p, status := check(t, f, LinkRaw, 0)
		if _, sum := Checksum(&p, f); status != OK || p.Missing != 0 || sum != SumUnknown {
			t.Errorf("%v, %d missing, %v", status, p.Missing, sum)
		}
	}
}
