package decode

import (
	"strconv"
	"testing"

	"github.com/google/gopacket/layers"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

func BenchmarkDecode(b *testing.B) {
	payload := make([]byte, 100)
	tcp4 := frames.TCP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Seq: 1, Ack: 2, Flags: "PA", Window: 100, Payload: payload}
	tcp6 := tcp4
	tcp6.Src, tcp6.Dst = "[fd00::1]:1234", "[fd00::2]:80"
	syn := tcp4
	syn.Flags, syn.Payload = "S", nil
	syn.Options = []layers.TCPOption{frames.MSS(1460), frames.SACKPermitted(), frames.Timestamps(1, 0), frames.WindowScale(7)}
	tagged := tcp4
	tagged.VLANs = []uint16{10}
	udp4 := frames.UDP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:53", Payload: payload}
	for _, c := range []struct {
		name  string
		frame []byte
		link  Link
	}{
		{"link=ethernet/net=ipv4/transport=tcp", tcp4.Ethernet(), LinkEthernet},
		{"link=ethernet/net=ipv4/transport=tcp-syn", syn.Ethernet(), LinkEthernet},
		{"link=vlan/net=ipv4/transport=tcp", tagged.Ethernet(), LinkEthernet},
		{"link=ethernet/net=ipv6/transport=tcp", tcp6.Ethernet(), LinkEthernet},
		{"link=ethernet/net=ipv4/transport=udp", udp4.Ethernet(), LinkEthernet},
		{"link=raw/net=ipv4/transport=tcp", tcp4.IP(), LinkRaw},
		{"link=sll/net=ipv4/transport=tcp", frames.SLL(tcp4.IP()), LinkSLL},
	} {
		w := NewPeeler(Options{Peel: PeelAll})
		b.Run(c.name+"/peel=none", func(b *testing.B) {
			b.ReportAllocs()
			var p Packet
			for b.Loop() {
				if status := Decode(&p, c.frame, c.link, 0); status != OK {
					b.Fatal(status)
				}
			}
		})
		b.Run(c.name+"/peel=all", func(b *testing.B) {
			b.ReportAllocs()
			var p Packet
			for b.Loop() {
				if status := DecodeWith(&p, c.frame, c.link, 0, w); status != OK {
					b.Fatal(status)
				}
			}
		})
	}
}

func BenchmarkTunnels(b *testing.B) {
	w := NewPeeler(Options{Peel: PeelAll})
	for _, s := range tunnelSamples() {
		b.Run("tunnel="+s.name, func(b *testing.B) {
			b.ReportAllocs()
			var p Packet
			for b.Loop() {
				DecodeWith(&p, s.frame, s.link, 0, w)
			}
		})
	}
}

func BenchmarkChecksum(b *testing.B) {
	for _, size := range []int{0, 100, 1460} {
		frame := frames.TCP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Flags: "A", Payload: make([]byte, size)}.Ethernet()
		var p Packet
		Decode(&p, frame, LinkEthernet, 0)
		b.Run("payload="+strconv.Itoa(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Checksum(&p, frame)
			}
		})
	}
}
