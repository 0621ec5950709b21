package decode

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"github.com/flowscope-go/flowscope/internal/frames"
)

// checkPlain holds AsPlain to what DecodeWith said of the frame: it says the same, or nothing.
func checkPlain(t testing.TB, frame []byte, w *Peeler, p *Packet, status Status) {
	t.Helper()
	f, from, to := AsPlain(frame)
	if f == nil || w != nil && f.Proto() == protoUDP && w.MayPlain(uint16(f.Src()), uint16(f.Dst())) {
		return
	}
	got := Packet{
		SrcLo: Mapped | f.Src()>>16, DstLo: Mapped | f.Dst()>>16, SrcPort: uint16(f.Src()), DstPort: uint16(f.Dst()),
		Family: 4, Proto: f.Proto(), Payload: frame[from:to:to], fromTransport: uint32(len(frame) - 34),
	}
	if got.Proto == protoTCP {
		h := (*PlainTCP)(frame)
		got.Seq, got.Ack, got.Flags, got.Window, got.Urgent = h.Seq(), h.Ack(), h.Flags(), h.Window(), h.Urgent()
		if got.Flags&SYN != 0 {
			got.WindowScale, got.HasWindowScale = WindowScale(frame[len(h):from])
		}
	}
	if status != OK || !samePacket(got, *p) {
		t.Fatalf("as a plain frame: %+v\nbut %v, %+v\nframe %x", got, status, *p, frame)
	}
}

// Frames that are plain, and those that are next to it.
func TestPlainFramesAreKnown(t *testing.T) {
	segment := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Seq: 1, Ack: 2, Flags: "A", Payload: []byte("abcd")}.Ethernet()
	stamped := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Flags: "FA", Options: []layers.TCPOption{frames.Timestamps(1, 2)}}.Ethernet()
	opening := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Flags: "S", Options: []layers.TCPOption{frames.MSS(1460), frames.WindowScale(7)}}.Ethernet()
	datagram := frames.UDP{Src: "10.0.0.1:53", Dst: "10.0.0.2:5353", Payload: []byte("abcd")}.Ethernet()
	put := func(frame []byte, at int, b ...byte) []byte { return set(slices.Clone(frame), at, b...) }
	for _, c := range []struct {
		name     string
		frame    []byte
		from, to int // 0 for a frame that is not plain
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
		{"VLAN", frames.Ethernet(segment[14:], 7), 0, 0},
		{"ICMP", put(segment, 23, 1), 0, 0},
		{"nothing", nil, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if f, from, to := AsPlain(c.frame); from != c.from || to != c.to || (f != nil) != (c.to != 0) {
				t.Errorf("%v, %d to %d", f != nil, from, to)
			}
			check(t, c.frame, LinkEthernet, 0)
		})
	}
}

// Ports that may mean a tunnel leave it to DecodeWith.
func TestPortsOfTunnelsAreNotPlain(t *testing.T) {
	w := NewPeeler(Options{Peel: PeelAll, Ports: DefaultPorts()})
	f, _, _ := AsPlain(frames.UDP{Src: "10.0.0.1:53", Dst: "10.0.0.2:5353"}.Ethernet())
	for _, port := range DefaultPorts() {
		for at := 34; at <= 36; at += 2 {
			g := *f
			binary.BigEndian.PutUint16(g[at:], port.Number)
			if w.MayPlain(uint16(f.Src()), uint16(f.Dst())) || !w.MayPlain(uint16(g.Src()), uint16(g.Dst())) {
				t.Errorf("port %d at %d", port.Number, at)
			}
		}
	}
}
