package decode

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// Frames as they are on the wire, so that no frame builder of these tests has a say: outer headers,
// the tunnel's header, and an inner SYN or datagram.
func TestFramesOfTunnelsByTheirBytes(t *testing.T) {
	const (
		ethernet = "020000000002 020000000001 0800 "
		inner    = "45000028 00010000 4006b77d c0000201 c6336402 9c400050 000003e8 00000000 5002fde8 00000000"
	)
	for _, c := range []struct {
		name   string
		frame  string
		kind   Tunnel
		id     uint32
		peeled Peel
	}{
		{"HSR", "020000000002 020000000001 892f 002e 0102 0800" + inner, NoTunnel, 0, 0},
		{"PRP", ethernet + inner + "000000000000 0102 a034 88fb", NoTunnel, 0, 0},
		{"GRE over UDP with a key", ethernet +
			"4500004c 00010000 4011669f 0a000001 0a000002 c3501292 00380000" +
			"20000800 00000063" + inner, GRE, 99, PeelGRE},
		{"TZSP with Ethernet", ethernet +
			"45000057 00010000 40116694 0a000001 0a000002 c3509090 00430000" +
			"01000001 01" + ethernet + inner, TZSP, 0, PeelTZSP},
		{"TZSP with a field and 802.11", ethernet +
			"4500006c 00010000 4011667f 0a000001 0a000002 c3509090 00580000" +
			"01000012 0a01c4 01" + "0801 0000 020000000003 020000000001 020000000002 0000" + "aaaa03 000000 0800" + inner, TZSP, 0, PeelTZSP},
		{"MPLS over UDP, two labels", ethernet +
			"4500004c 00010000 4011669f 0a000001 0a000002 c35019eb 00380000" +
			"00010040 00020140" + inner, MPLS, 32, PeelMPLS},
	} {
		frame, err := hex.DecodeString(strings.ReplaceAll(c.frame, " ", ""))
		if err != nil {
			t.Fatal(c.name, err)
		}
		p, status := checkWith(t, frame, LinkEthernet, 0, &everything)
		if status != OK || p.Tunnel != c.kind || p.TunnelID != c.id || p.Peeled != c.peeled || p.SrcPort != 40000 || p.DstPort != 80 ||
			p.Seq != 1000 || p.SrcLo != Mapped|0xc0000201 || p.DstLo != Mapped|0xc6336402 || len(p.Payload) != 0 {
			t.Errorf("%s: %v, %+v", c.name, status, p)
		}
	}
}

// Each byte of each tunnel is replaced in turn; the reference says the same, and whatever is not the
// tunnel any more is the outer packet.
func TestATunnelWithAnotherByteIsReadAsTheReferenceReadsIt(t *testing.T) {
	all := tunnelSamples()
	for _, f := range [][]byte{
		frames.HSR(7, insideTCP4.Ethernet()), frames.PRP(7, insideUDP4.Ethernet()), frames.HSR(7, frames.Ethernet(insideUDP6.IP(), 5)),
	} {
		all = append(all, tunnelSample{sample: sample{frame: f, link: LinkEthernet}})
	}
	for _, s := range all {
		for at := range s.frame {
			for _, b := range []byte{0, s.frame[at] + 1, s.frame[at] - 1, s.frame[at] ^ 0x10, s.frame[at] ^ 0x80, 0xff} {
				frame := slices.Clone(s.frame)
				frame[at] = b
				checkWith(t, frame, s.link, 0, &everything)
			}
		}
	}
}
