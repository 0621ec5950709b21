package frames_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// sum is the Internet checksum (RFC 1071): 0xffff over anything that holds a right one.
func sum(parts ...[]byte) uint16 {
	total := uint32(0)
	for _, b := range parts {
		if len(b)%2 == 1 {
			b = append(bytes.Clone(b), 0)
		}
		for i := 0; i < len(b); i += 2 {
			total += uint32(binary.BigEndian.Uint16(b[i:]))
		}
	}
	for total>>16 != 0 {
		total = total&0xffff + total>>16
	}
	return uint16(total)
}

func TestChecksumsAndLengthsAreRight(t *testing.T) {
	for name, c := range map[string]struct {
		ip    []byte
		proto byte
	}{
		"tcp4":  {frames.TCP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Flags: "S", Options: []layers.TCPOption{frames.MSS(9), frames.WindowScale(3)}, Payload: []byte("odd")}.IP(), 6},
		"tcp6":  {frames.TCP{Src: "[fd00::1]:1", Dst: "[fd00::2]:2", Flags: "PA", Payload: []byte("even")}.IP(), 6},
		"udp4":  {frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Payload: []byte("odd")}.IP(), 17},
		"udp6":  {frames.UDP{Src: "[fd00::1]:1", Dst: "[fd00::2]:2"}.IP(), 17},
		"echo6": {frames.ICMPEcho{Src: "fd00::1", Dst: "fd00::2", ID: 1, Payload: []byte("x")}.IP(), 58},
	} {
		addrs, body, length := c.ip[8:], c.ip, int(binary.BigEndian.Uint16(c.ip[4:]))+40
		if c.ip[0] == 0x45 {
			addrs, body, length = c.ip[12:20], c.ip[20:], int(binary.BigEndian.Uint16(c.ip[2:]))
			if s := sum(c.ip[:20]); s != 0xffff {
				t.Errorf("%s: IP header sums to %04x", name, s)
			}
		} else {
			addrs, body = addrs[:32], body[40:]
		}
		pseudo := []byte{0, c.proto, byte(len(body) >> 8), byte(len(body))}
		if s := sum(addrs, pseudo, body); s != 0xffff {
			t.Errorf("%s: transport sums to %04x", name, s)
		}
		if length != len(c.ip) {
			t.Errorf("%s: says %d bytes, has %d", name, length, len(c.ip))
		}
	}
	echo := frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", Reply: true}.IP()
	if s := sum(echo[20:]); s != 0xffff {
		t.Errorf("echo4 sums to %04x", s)
	}
}

func TestFragmentsPutTogetherAreThePacket(t *testing.T) {
	payload := bytes.Repeat([]byte("abc"), 21)
	for _, c := range []struct {
		ip     []byte
		header int
	}{
		{frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Payload: payload}.IP(), 20},
		{frames.UDP{Src: "[fd00::1]:1", Dst: "[fd00::2]:2", Payload: payload}.IP(), 40},
	} {
		var whole []byte
		for _, f := range frames.Fragments(c.ip, 17, 5) {
			if c.header == 20 {
				if s := sum(f[:20]); s != 0xffff {
					t.Errorf("header sums to %04x", s)
				}
				whole = append(whole, f[20:]...)
				continue
			}
			whole = append(whole, f[48:]...)
		}
		if !bytes.Equal(whole, c.ip[c.header:]) {
			t.Errorf("%x, want %x", whole, c.ip[c.header:])
		}
	}
}

func TestGopacketFindsTheLayersOfEachLink(t *testing.T) {
	ip := frames.TCP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Flags: "A"}.IP()
	for name, c := range map[string]struct {
		frame []byte
		first gopacket.Decoder
	}{
		"ethernet": {frames.Ethernet(ip, 1, 2), layers.LinkTypeEthernet},
		"snap":     {frames.SNAP(ip), layers.LinkTypeEthernet},
		"null":     {frames.Null(ip, binary.LittleEndian), layers.LinkTypeNull},
		"ppp":      {frames.PPP(ip)[2:], layers.LinkTypePPP},
		"sll":      {frames.SLL(ip), layers.LinkTypeLinuxSLL},
	} {
		p := gopacket.NewPacket(c.frame, c.first, gopacket.Default)
		if p.Layer(layers.LayerTypeTCP) == nil || p.ErrorLayer() != nil {
			t.Errorf("%s: %v", name, p)
		}
	}
}
