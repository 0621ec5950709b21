package decode

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// checkSimple holds ParseSimple to what DecodeWith said of the frame: it says the same, or nothing.
func checkSimple(t testing.TB, frame []byte, w *Peeler, p *Packet, status Status) {
	t.Helper()
	f, ok := ParseSimple(frame)
	if len(frame) >= len(SimpleTCP4{}) {
		from, to, tcp4 := (*SimpleTCP4)(frame).Payload(frame)
		if tcp4 != (ok && !f.IPv6() && f.Proto == protoTCP) || tcp4 && (from != f.From || to != f.To) {
			t.Fatalf("TCP over IPv4: %t from %d to %d, but %t %+v\nframe %x", tcp4, from, to, ok, f, frame)
		}
	}
	if !ok || w != nil && f.Proto == protoUDP && w.PortsMayMeanTunnel(f.Ports(frame)) {
		return
	}
	got := Packet{
		Family: 4, Proto: f.Proto, IPLen: f.IPLen(frame), Payload: frame[f.From:f.To:f.To], fromTransport: uint32(len(frame) - f.Transport),
	}
	got.SrcPort, got.DstPort = f.Ports(frame)
	if f.IPv6() {
		var src, dst uint16
		h := (*SimpleIPv6)(frame)
		got.Family, got.FlowLabel = 6, p.FlowLabel // not read
		got.SrcHi, got.SrcLo, src = h.Src()
		got.DstHi, got.DstLo, dst = h.Dst()
		if src != got.SrcPort || dst != got.DstPort {
			t.Fatalf("ports %d %d, %d %d\nframe %x", src, dst, got.SrcPort, got.DstPort, frame)
		}
	} else {
		h := (*SimpleIPv4)(frame)
		got.SrcLo, got.DstLo = Mapped|h.Src()>>16, Mapped|h.Dst()>>16
		if uint16(h.Src()) != got.SrcPort || uint16(h.Dst()) != got.DstPort {
			t.Fatalf("ports %d %d, %d %d\nframe %x", uint16(h.Src()), uint16(h.Dst()), got.SrcPort, got.DstPort, frame)
		}
	}
	if got.Proto == protoTCP {
		h := (*SimpleTCP)(frame[f.Transport:])
		got.Seq, got.Ack, got.Flags, got.Window, got.Urgent = h.Seq(), h.Ack(), h.Flags(), h.Window(), h.Urgent()
		checkOptions(t, &got, f, frame)
	}
	if status != OK || !samePacket(got, *p) {
		t.Fatalf("as a simple frame: %+v\nbut %v, %+v\nframe %x", got, status, *p, frame)
	}
}

// checkOptions reads the options of a simple frame as an extractor does.
func checkOptions(t testing.TB, p *Packet, f SimpleFrame, frame []byte) {
	t.Helper()
	options := frame[f.Transport+tcpHeader : f.From]
	o := ReadTCPOptions(options)
	stamp, only := OnlyTimestamps(options)
	if only && (o.Options != OptTimestamps || o.HasWindowScale || o.Timestamp != stamp) {
		t.Fatalf("%x read as the timestamp %d alone, but there is %+v", options, stamp, o)
	} else if usual := bytes.HasPrefix(options, []byte{1, 1, 8, 10}) && len(options) == 12; usual && !only {
		t.Fatalf("%x not read as timestamps alone", options)
	}
	p.Options, p.Timestamp = o.Options, o.Timestamp
	if p.Flags&(SYN|RST) != 0 {
		p.TimestampEcho = o.TimestampEcho
	}
	if p.Flags&SYN != 0 {
		p.WindowScale, p.HasWindowScale = o.WindowScale, o.HasWindowScale
	}
}

// Simple frames, and frames that differ from one by little.
func TestSimpleFramesAreKnown(t *testing.T) {
	segment := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Seq: 1, Ack: 2, Flags: "A", Payload: []byte("abcd")}.Ethernet()
	stamped := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Flags: "FA", Options: []layers.TCPOption{frames.Timestamps(1, 2)}}.Ethernet()
	opening := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Flags: "S", Options: []layers.TCPOption{frames.MSS(1460), frames.WindowScale(7)}}.Ethernet()
	datagram := frames.UDP{Src: "10.0.0.1:53", Dst: "10.0.0.2:5353", Payload: []byte("abcd")}.Ethernet()
	segment6 := frames.TCP{Src: "[fd00::1]:1234", Dst: "[fd00::2]:80", Seq: 1, Ack: 2, Flags: "A", Payload: []byte("abcd")}.Ethernet()
	opening6 := frames.TCP{Src: "[fd00::1]:1234", Dst: "[fd00::2]:80", Flags: "S", Options: []layers.TCPOption{frames.MSS(1460), frames.WindowScale(7)}}.Ethernet()
	datagram6 := frames.UDP{Src: "[fd00::1]:53", Dst: "[fd00::2]:5353", Payload: []byte("abcd")}.Ethernet()
	put := func(frame []byte, at int, b ...byte) []byte { return set(slices.Clone(frame), at, b...) }
	for _, c := range []struct {
		name     string
		frame    []byte
		from, to int // 0 for a frame that is not simple
	}{
		{"TCP", segment, 54, 58},
		{"TCP with stamps and a FIN", stamped, 66, 66},
		{"UDP", datagram, 42, 46},
		{"UDP, padded", frames.Pad(datagram, 60), 42, 46},
		{"UDP length before the end", put(datagram, 38, 0, 10), 42, 44},
		{"may not be fragmented", put(segment, 20, 0x40), 54, 58},
		{"SYN with payload", put(segment, 47, SYN), 54, 58},
		{"SYN with options", opening, 62, 62},
		{"a fragment", put(segment, 20, 0x20), 0, 0},
		{"a later fragment", put(segment, 21, 1), 0, 0},
		{"IP options", put(segment, 14, 0x46), 0, 0},
		{"IPv6", put(segment, 14, 0x65), 0, 0},
		{"length beyond the frame", put(segment, 16, 0, 45), 0, 0},
		{"length 0", put(segment, 16, 0, 0), 0, 0},
		{"length short of TCP", put(segment, 16, 0, 39), 0, 0},
		{"too short for TCP", put(segment[:44], 16, 0, 30), 0, 0},
		{"data offset beyond the end", put(segment, 46, 0x70), 0, 0},
		{"data offset 4", put(segment, 46, 0x40), 0, 0},
		{"UDP length 0", put(datagram, 38, 0, 0), 0, 0},
		{"UDP length 7", put(datagram, 38, 0, 7), 0, 0},
		{"UDP length beyond the datagram", put(frames.Pad(datagram, 60), 38, 0, 13), 0, 0},
		{"UDP cut off", datagram[:41], 0, 0},
		{"TCP over IPv6", segment6, 74, 78},
		{"TCP over IPv6, padded", frames.Pad(segment6, 90), 74, 78},
		{"SYN with options over IPv6", opening6, 82, 82},
		{"UDP over IPv6", datagram6, 62, 66},
		{"traffic class and flow label", put(segment6, 14, 0x6f, 0xff, 0xff, 0xff), 74, 78},
		{"UDP over IPv6, length before the end", put(datagram6, 58, 0, 10), 62, 64},
		{"IPv6 of version 4", put(segment6, 14, 0x45), 0, 0},
		{"IPv6, length 0", put(segment6, 18, 0, 0), 0, 0},
		{"IPv6, length beyond the frame", put(segment6, 18, 0, 25), 0, 0},
		{"IPv6, length short of TCP", put(segment6, 18, 0, 19), 0, 0},
		{"IPv6, data offset beyond the end", put(segment6, 66, 0x70), 0, 0},
		{"IPv6, data offset 4", put(segment6, 66, 0x40), 0, 0},
		{"IPv6, UDP length 0", put(datagram6, 58, 0, 0), 0, 0},
		{"IPv6, UDP length 7", put(datagram6, 58, 0, 7), 0, 0},
		{"IPv6, UDP length beyond the datagram", put(frames.Pad(datagram6, 80), 58, 0, 13), 0, 0},
		{"IPv6, datagram short of UDP", put(datagram6, 18, 0, 7), 0, 0},
		{"IPv6, extension header", put(segment6, 20, 0), 0, 0},
		{"IPv6, a fragment", put(segment6, 20, 44), 0, 0},
		{"ICMPv6", put(segment6, 20, 58), 0, 0},
		{"IPv6 cut off in its header", segment6[:50], 0, 0},
		{"VLAN", frames.Ethernet(segment[14:], 7), 0, 0},
		{"ICMP", put(segment, 23, 1), 0, 0},
		{"nothing", nil, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if f, ok := ParseSimple(c.frame); ok != (c.to != 0) || ok && (f.From != c.from || f.To != c.to) {
				t.Errorf("%v, %+v", ok, f)
			}
			check(t, c.frame, LinkEthernet, 0)
		})
	}
}

// Ports that may mean a tunnel leave it to DecodeWith.
func TestPortsOfTunnelsMayMeanTunnels(t *testing.T) {
	w := NewPeeler(Options{Peel: PeelAll, Ports: DefaultPorts()})
	for _, frame := range [][]byte{
		frames.UDP{Src: "10.0.0.1:53", Dst: "10.0.0.2:5353"}.Ethernet(),
		frames.UDP{Src: "[fd00::1]:53", Dst: "[fd00::2]:5353"}.Ethernet(),
	} {
		f, ok := ParseSimple(frame)
		if !ok || w.PortsMayMeanTunnel(f.Ports(frame)) {
			t.Errorf("%+v", f)
		}
		for _, port := range DefaultPorts() {
			for at := f.Transport; at <= f.Transport+2; at += 2 {
				g := slices.Clone(frame)
				binary.BigEndian.PutUint16(g[at:], port.Number)
				if !w.PortsMayMeanTunnel(f.Ports(g)) {
					t.Errorf("port %d at %d", port.Number, at)
				}
			}
		}
	}
}
