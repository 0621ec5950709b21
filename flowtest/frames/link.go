package frames

import (
	"encoding/binary"
	"slices"
)

// MACs of every Ethernet frame made here, as 48-bit numbers.
const (
	DstMAC = 0x02_00_00_00_00_02
	SrcMAC = 0x02_00_00_00_00_01
)

// Ethernet puts an Ethernet II header, with a tag for each of vlans (outermost first), before an IP packet.
func Ethernet(ip []byte, vlans ...uint16) []byte { return ethernet(vlans, ip) }

func ethernet(vlans []uint16, ip []byte) []byte {
	h := binary.BigEndian.AppendUint64(nil, DstMAC<<16|SrcMAC>>32)
	h = binary.BigEndian.AppendUint32(h, SrcMAC&0xffffffff)
	for i, id := range vlans {
		tpid := uint16(0x8100)
		if i < len(vlans)-1 {
			tpid = 0x88a8 // an outer tag is a service tag (IEEE 802.1ad)
		}
		h = binary.BigEndian.AppendUint16(h, tpid)
		h = binary.BigEndian.AppendUint16(h, id)
	}
	return append(binary.BigEndian.AppendUint16(h, etherType(ip)), ip...)
}

// Null puts a BSD NULL header before an IP packet: the family in the byte order given.
func Null(ip []byte, order binary.ByteOrder) []byte {
	family := uint32(2)
	if ip[0]>>4 == 6 {
		family = 30
	}
	h := make([]byte, 4)
	order.PutUint32(h, family)
	return append(h, ip...)
}

// PPP puts a PPP header with address, control and a protocol field of two bytes before an IP packet.
func PPP(ip []byte) []byte {
	proto := byte(0x21)
	if ip[0]>>4 == 6 {
		proto = 0x57
	}
	return PPPFrame(uint16(proto), ip)
}

// PPPFrame puts a PPP header with address, control and a protocol field of two bytes before a payload.
func PPPFrame(proto uint16, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, 0x03}, proto), payload...)
}

// SLL puts a Linux cooked header (16 bytes) before an IP packet.
func SLL(ip []byte) []byte {
	h := []byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}
	return append(binary.BigEndian.AppendUint16(h, etherType(ip)), ip...)
}

// SLL2 puts a Linux cooked header of version 2 (20 bytes) before an IP packet.
func SLL2(ip []byte) []byte {
	h := binary.BigEndian.AppendUint16(nil, etherType(ip))
	h = append(h, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0)
	return append(h, ip...)
}

// SNAP puts an 802.3 header with LLC and SNAP before an IP packet.
func SNAP(ip []byte) []byte {
	h := ethernet(nil, ip)[:12]
	h = binary.BigEndian.AppendUint16(h, uint16(len(ip)+8))
	h = append(h, 0xaa, 0xaa, 0x03, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(h, etherType(ip)), ip...)
}

// Pad appends zero bytes up to n bytes, as a network card does to reach the least Ethernet frame.
func Pad(frame []byte, n int) []byte {
	out := slices.Clone(frame)
	for len(out) < n {
		out = append(out, 0)
	}
	return out
}

// Cut returns a copy of what a snap length of n bytes leaves of the frame.
func Cut(frame []byte, n int) []byte { return slices.Clone(frame[:min(n, len(frame))]) }

func etherType(ip []byte) uint16 {
	if ip[0]>>4 == 6 {
		return 0x86dd
	}
	return 0x0800
}
