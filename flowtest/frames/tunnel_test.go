package frames_test

import (
	"encoding/binary"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// What gopacket knows of, it must find, with the TCP segment inside and no error on the way.
func TestGopacketFindsTheInsideOfEachTunnel(t *testing.T) {
	ip := frames.TCP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Flags: "A", Payload: []byte("inside")}.IP()
	ip6 := frames.TCP{Src: "[2001::1]:1", Dst: "[2001::2]:2", Flags: "A", Payload: []byte("inside")}.IP()
	frame := frames.Ethernet(ip)
	key, sequence := uint32(5), uint32(6)
	udp := func(port string, payload []byte) []byte {
		return frames.UDP{Src: "10.9.0.1:50000", Dst: "10.9.0.2:" + port, Payload: payload}.IP()
	}
	over := func(proto uint8, payload []byte) []byte {
		return frames.Over("10.9.0.1", "10.9.0.2", proto, payload)
	}
	for name, c := range map[string]struct {
		frame  []byte
		tunnel gopacket.LayerType
	}{
		"mpls":                    {frames.EtherFrame(0x8847, frames.MPLS(ip, 1, 2)), layers.LayerTypeMPLS},
		"pppoe":                   {frames.EtherFrame(0x8864, frames.PPPoE(7, ip)), layers.LayerTypePPPoE},
		"gre":                     {frames.Ethernet(over(47, frames.GRE{Key: &key, Sequence: &sequence, Checksum: true}.Put(ip))), layers.LayerTypeGRE},
		"gre with ethernet":       {frames.Ethernet(over(47, frames.NVGRE(5, 6, frame))), layers.LayerTypeGRE},
		"erspan 2":                {frames.Ethernet(over(47, frames.ERSPAN(2, 5, frame))), layers.LayerTypeERSPANII},
		"ipip":                    {frames.Ethernet(over(4, ip)), layers.LayerTypeIPv4},
		"6in4":                    {frames.Ethernet(over(41, ip6)), layers.LayerTypeIPv6},
		"etherip":                 {frames.Ethernet(over(97, frames.EtherIP(frame))), layers.LayerTypeEtherIP},
		"vxlan":                   {frames.Ethernet(udp("4789", frames.VXLAN(5, frame))), layers.LayerTypeVXLAN},
		"geneve":                  {frames.Ethernet(udp("6081", frames.Geneve(5, 0x6558, []byte{1, 2, 3, 1, 5, 6, 7, 8}, frame))), layers.LayerTypeGeneve},
		"gtp-u":                   {frames.Ethernet(udp("2152", frames.GTPU(5, ip))), layers.LayerTypeGTPv1U},
		"gtp-u with an extension": {frames.Ethernet(udp("2152", frames.GTPU(5, ip, make([]byte, 4)))), layers.LayerTypeGTPv1U},
	} {
		p := gopacket.NewPacket(c.frame, layers.LayerTypeEthernet, gopacket.Default)
		tcp, found := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if p.ErrorLayer() != nil || !found || string(tcp.Payload) != "inside" || p.Layer(c.tunnel) == nil {
			t.Errorf("%s: %v", name, p)
		}
	}
}

func TestGopacketReadsTheNumbersOfTunnels(t *testing.T) {
	inside := frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2"}.Ethernet()
	read := func(b []byte, first gopacket.Decoder) gopacket.Layer {
		return gopacket.NewPacket(b, first, gopacket.Default).Layers()[0]
	}
	if l := read(frames.VXLAN(0x123456, inside), layers.LayerTypeVXLAN).(*layers.VXLAN); l.VNI != 0x123456 || !l.ValidIDFlag {
		t.Errorf("%+v", l)
	}
	if l := read(frames.Geneve(0x123456, 0x6558, nil, inside), layers.LayerTypeGeneve).(*layers.Geneve); l.VNI != 0x123456 {
		t.Errorf("%+v", l)
	}
	if l := read(frames.GTPU(77, inside[14:]), layers.LayerTypeGTPv1U).(*layers.GTPv1U); l.TEID != 77 || l.MessageType != 255 {
		t.Errorf("%+v", l)
	}
	if l := read(frames.MPLS(inside[14:], 9), layers.LayerTypeMPLS).(*layers.MPLS); l.Label != 9 || !l.StackBottom {
		t.Errorf("%+v", l)
	}
	if l := read(frames.PPPoE(9, inside[14:]), layers.LayerTypePPPoE).(*layers.PPPoE); l.SessionId != 9 || int(l.Length) != len(inside)-14+2 {
		t.Errorf("%+v", l)
	}
}

func TestGopacketFindsTheInsideOfWiFi(t *testing.T) {
	ip := frames.TCP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Flags: "A"}.IP()
	for name, c := range map[string]struct {
		frame []byte
		first gopacket.Decoder
	}{
		"802.11":   {append(frames.WiFi{}.Put(ip), 0, 0, 0, 0), layers.LayerTypeDot11}, // gopacket wants its check sum
		"radiotap": {frames.Radiotap(0, frames.WiFi{QoS: true}.Put(ip)), layers.LayerTypeRadioTap},
		"prism":    {frames.Prism(append(frames.WiFi{}.Put(ip), 0, 0, 0, 0), binary.LittleEndian), layers.LayerTypePrismHeader},
	} {
		p := gopacket.NewPacket(c.frame, c.first, gopacket.Default)
		if p.Layer(layers.LayerTypeTCP) == nil {
			t.Errorf("%s: %v", name, p)
		}
	}
}

func TestTheChecksumOfSCTPIsThatOfGopacket(t *testing.T) {
	ip := frames.SCTP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Payload: []byte{1, 0, 0, 4}}.IP()
	if l := gopacket.NewPacket(ip, layers.LayerTypeIPv4, gopacket.Default).Layer(layers.LayerTypeSCTP); l == nil {
		t.Errorf("%x", ip)
	}
}
