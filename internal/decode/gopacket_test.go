package decode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// Another decoder, written by others, must read the same from sound frames.
func TestSoundFramesAreReadAsGopacketReadsThem(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		frame := randomFrame(rng)
		p, status := check(t, frame, LinkEthernet, 0)
		if status != OK {
			t.Fatalf("%v: %x", status, frame)
		}
		if got, want := summary(p), gopacketSummary(t, frame); got != want {
			t.Fatalf("\n got %s\nwant %s\n%x", got, want, frame)
		}
	}
}

func randomFrame(rng *rand.Rand) []byte {
	payload := make([]byte, rng.IntN(100))
	for i := range payload {
		payload[i] = byte(rng.Uint32())
	}
	var vlans []uint16
	for range rng.IntN(3) {
		vlans = append(vlans, uint16(1+rng.IntN(4094)))
	}
	src, dst := randomAddr(rng, 4), randomAddr(rng, 4)
	if rng.IntN(2) == 0 {
		src, dst = randomAddr(rng, 16), randomAddr(rng, 16)
	}
	from := netip.AddrPortFrom(src, uint16(rng.Uint32())).String()
	to := netip.AddrPortFrom(dst, uint16(rng.Uint32())).String()
	var f []byte
	switch rng.IntN(3) {
	case 0:
		f = randomTCP(rng, from, to, payload, vlans).Ethernet()
	case 1:
		f = frames.UDP{Src: from, Dst: to, Payload: payload, VLANs: vlans}.Ethernet()
	default:
		f = frames.ICMPEcho{Src: src.String(), Dst: dst.String(), Reply: rng.IntN(2) == 0, ID: uint16(rng.Uint32()),
			Seq: uint16(rng.Uint32()), Payload: payload, VLANs: vlans}.Ethernet()
	}
	return frames.Pad(f, 60)
}

func randomTCP(rng *rand.Rand, from, to string, payload []byte, vlans []uint16) frames.TCP {
	f := frames.TCP{Src: from, Dst: to, Payload: payload, VLANs: vlans, Seq: rng.Uint32(), Ack: rng.Uint32(),
		Window: uint16(rng.Uint32()), Urgent: uint16(rng.Uint32())}
	for _, flag := range "FSRPAUEC" {
		if rng.IntN(2) == 0 {
			f.Flags += string(flag)
		}
	}
	for _, o := range []layers.TCPOption{frames.MSS(1400), frames.SACKPermitted(), frames.WindowScale(uint8(rng.IntN(15))), frames.Timestamps(1, 2)} {
		if rng.IntN(2) == 0 {
			f.Options = append(f.Options, o)
		}
	}
	return f
}

func randomAddr(rng *rand.Rand, size int) netip.Addr {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	b[0] = 0x20
	a, _ := netip.AddrFromSlice(b)
	return a
}

func summary(p Packet) string {
	scale := "none"
	if p.HasWindowScale {
		scale = fmt.Sprint(p.WindowScale)
	}
	return fmt.Sprintf("%d %v %v proto %d vlans %d first %d ports %d %d seq %d %d flags %02x window %d urgent %d scale %s options %x %d %d icmp %d %d payload %x",
		p.Family, addr(p.Family, p.SrcHi, p.SrcLo), addr(p.Family, p.DstHi, p.DstLo), p.Proto, p.VLANs, p.VLAN, p.SrcPort, p.DstPort,
		p.Seq, p.Ack, p.Flags, p.Window, p.Urgent, scale, p.Options, p.Timestamp, p.TimestampEcho, p.ICMPType, p.ICMPCode, p.Payload)
}

func addr(family uint8, hi, lo uint64) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	if family == 4 {
		return netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrFrom16(b)
}

func gopacketSummary(t *testing.T, frame []byte) string {
	var p Packet
	hasIP := false
	for _, l := range gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default).Layers() {
		switch l := l.(type) {
		case *layers.Dot1Q:
			if p.VLANs == 0 {
				p.VLAN = l.VLANIdentifier
			}
			p.VLANs++
		case *layers.IPv4:
			hasIP, p.Family, p.Proto = true, 4, uint8(l.Protocol)
			p.SrcHi, p.SrcLo = slowWords(netip.AddrFrom4([4]byte(l.SrcIP.To4())))
			p.DstHi, p.DstLo = slowWords(netip.AddrFrom4([4]byte(l.DstIP.To4())))
		case *layers.IPv6:
			hasIP, p.Family, p.Proto = true, 6, uint8(l.NextHeader)
			p.SrcHi, p.SrcLo = slowWords(netip.AddrFrom16([16]byte(l.SrcIP)))
			p.DstHi, p.DstLo = slowWords(netip.AddrFrom16([16]byte(l.DstIP)))
		case *layers.TCP:
			gopacketTCP(&p, l)
		case *layers.UDP:
			p.SrcPort, p.DstPort, p.Payload = uint16(l.SrcPort), uint16(l.DstPort), l.Payload
		case *layers.ICMPv4:
			p.ICMPType, p.ICMPCode = l.TypeCode.Type(), l.TypeCode.Code()
			p.SrcPort, p.DstPort, p.Payload = l.Id, l.Id, l.Payload
		case *layers.ICMPv6:
			p.ICMPType, p.ICMPCode = l.TypeCode.Type(), l.TypeCode.Code()
			p.Payload = l.Payload[4:] // identifier and sequence number are gopacket's next layer
		case *layers.ICMPv6Echo:
			p.SrcPort, p.DstPort = l.Identifier, l.Identifier
		}
	}
	if !hasIP {
		t.Fatalf("gopacket finds no IP in %x", frame)
	}
	return summary(p)
}

func gopacketTCP(p *Packet, l *layers.TCP) {
	p.SrcPort, p.DstPort, p.Seq, p.Ack = uint16(l.SrcPort), uint16(l.DstPort), l.Seq, l.Ack
	p.Window, p.Urgent, p.Payload = l.Window, l.Urgent, l.Payload
	for flag, set := range map[uint8]bool{FIN: l.FIN, SYN: l.SYN, RST: l.RST, PSH: l.PSH, ACK: l.ACK, URG: l.URG, ECE: l.ECE, CWR: l.CWR} {
		if set {
			p.Flags |= flag
		}
	}
	for _, o := range l.Options {
		if l.SYN && o.OptionType == layers.TCPOptionKindWindowScale {
			p.WindowScale, p.HasWindowScale = o.OptionData[0], true
		}
		switch o.OptionType {
		case layers.TCPOptionKindSACKPermitted:
			p.Options |= OptSACKPermitted
		case layers.TCPOptionKindTimestamps:
			p.Options |= OptTimestamps
			p.Timestamp = binary.BigEndian.Uint32(o.OptionData)
			if l.SYN || l.RST {
				p.TimestampEcho = binary.BigEndian.Uint32(o.OptionData[4:])
			}
		}
	}
}

func TestMACsAreThoseOfTheFrame(t *testing.T) {
	frame := frames.UDP{Src: "10.0.0.1:53", Dst: "10.0.0.2:5353"}.Ethernet()
	dst, src, status := MACs(frame, LinkEthernet)
	if dst != frames.DstMAC || src != frames.SrcMAC || status != OK {
		t.Errorf("%012x %012x %v", dst, src, status)
	}
	l := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	word := binary.BigEndian.AppendUint64(nil, src)
	if !bytes.Equal(word[2:], l.SrcMAC) {
		t.Errorf("source is %x, gopacket says %v", word, l.SrcMAC)
	}
	if _, _, status := MACs(frame[:13], 0); status != TruncatedEthernet {
		t.Errorf("13 bytes: %v", status)
	}
	if _, _, status := MACs(frame, LinkSLL); status != NoMACs {
		t.Errorf("SLL: %v", status)
	}
}
