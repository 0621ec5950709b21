package frames

import (
	"encoding/binary"
	"slices"
)

// HDLC puts a Cisco HDLC header before an IP packet.
func HDLC(ip []byte) []byte { return HDLCFrame(etherType(ip), ip) }

// HDLCFrame puts a Cisco HDLC header of any type before a payload.
func HDLCFrame(kind uint16, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0x0f, 0}, kind), payload...)
}

// WiFi is the header of an 802.11 data frame.
type WiFi struct {
	QoS       bool
	FourAddrs bool // between two access points
	HT        bool // high throughput control, with QoS
	Protected bool
	Pad       bool // to a multiple of 4, as radiotap may say
}

// Put puts the header, LLC and SNAP before an IP packet.
func (w WiFi) Put(ip []byte) []byte {
	h := make([]byte, 24)
	h[0], h[1] = 0x08, 0x01
	if w.FourAddrs {
		h[1] |= 0x02
		h = append(h, make([]byte, 6)...)
	}
	if w.QoS {
		h[0] |= 0x80
		h = append(h, 0, 0)
	}
	if w.HT {
		h[1] |= 0x80
		h = append(h, 0, 0, 0, 0)
	}
	if w.Protected {
		h[1] |= 0x40
	}
	for w.Pad && len(h)%4 != 0 {
		h = append(h, 0xee)
	}
	h = append(h, 0xaa, 0xaa, 0x03, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(h, etherType(ip)), ip...)
}

// Radiotap puts a radiotap header with a timestamp and flags, and a second word of field bits, before an 802.11
// frame.
func Radiotap(flags uint8, frame []byte) []byte {
	h := []byte{0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0xee, 0xee, 0xee, 0xee}
	h = append(h, 1, 2, 3, 4, 5, 6, 7, 8, flags)
	return append(h, frame...)
}

// Prism puts a Prism header in the byte order given before an 802.11 frame.
func Prism(frame []byte, order binary.ByteOrder) []byte {
	h := make([]byte, 144)
	order.PutUint32(h, 0x44)
	order.PutUint32(h[4:], 144)
	return append(h, frame...)
}

// NFLOG puts a netfilter log record with a prefix before an IP packet, in the byte order given.
func NFLOG(ip []byte, order binary.ByteOrder) []byte {
	h := []byte{2, 0, 0, 5}
	if ip[0]>>4 == 6 {
		h[0] = 10
	}
	attribute := func(kind uint16, b []byte) {
		head := make([]byte, 4)
		order.PutUint16(head, uint16(4+len(b)))
		order.PutUint16(head[2:], kind)
		h = slices.Concat(h, head, b)
	}
	attribute(10, []byte("odd\x00\x00"))
	h = append(h, 0, 0, 0)
	attribute(9, ip)
	return h
}

// PFLOG puts a packet filter log header of OpenBSD before an IP packet.
func PFLOG(ip []byte) []byte {
	h := make([]byte, 64)
	h[0], h[1] = 61, 2
	if ip[0]>>4 == 6 {
		h[1] = 24
	}
	return append(h, ip...)
}

// IPoIB puts the pseudo header of IP over InfiniBand before an IP packet.
func IPoIB(ip []byte) []byte {
	h := binary.BigEndian.AppendUint16(make([]byte, 40), etherType(ip))
	return append(append(h, 0, 0), ip...)
}
