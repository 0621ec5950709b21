package decode

import "encoding/binary"

// Plain says where the parts of a plain frame stand: one whose headers all stand at fixed places, as those of nearly
// all frames do.
//
//	0          14                 34    42      54
//	| Ethernet | IPv4, 20 bytes   | UDP | payload                    | padding
//	| Ethernet | IPv4, 20 bytes   | TCP         | options | payload  | padding
//	0          14                            54    62      74
//	| Ethernet | IPv6, 40 bytes              | UDP | payload                    | padding
//	| Ethernet | IPv6, 40 bytes              | TCP         | options | payload  | padding
//
// Its datagram is whole, in one fragment and in this frame. For such a frame what DecodeWith says with a Peeler that
// leaves it alone can be had without a Packet, that is, without writing and clearing one: half the time.
type Plain struct {
	Transport int   // where the transport header begins
	From, To  int   // where the payload begins and ends
	Proto     uint8 // TCP or UDP
}

// The beginnings of plain frames, and a TCP header.
type (
	PlainIPv4 [transport4 + udpHeader]byte
	PlainIPv6 [transport6 + udpHeader]byte
	PlainTCP  [tcpHeader]byte
)

const (
	transport4 = ethernetHeader + ipv4Header
	transport6 = ethernetHeader + ipv6Header
)

// AsPlain recognises a plain frame.
func AsPlain(frame []byte) (f Plain, ok bool) {
	if len(frame) < len(PlainIPv4{}) {
		return Plain{}, false
	}
	switch h := (*PlainIPv4)(frame); binary.BigEndian.Uint16(h[12:]) {
	case typeIPv4:
		if !plainIPv4(binary.BigEndian.Uint64(h[14:])) {
			return Plain{}, false
		}
		f.Transport, f.Proto = transport4, h[23]
		f.To = ethernetHeader + int(binary.BigEndian.Uint16(h[16:]))
	case typeIPv6:
		if h[14]>>4 != 6 {
			return Plain{}, false
		}
		f.Transport, f.Proto = transport6, h[20]
		f.To = transport6 + int(binary.BigEndian.Uint16(h[18:]))
	default:
		return Plain{}, false
	}
	if f.To > len(frame) {
		return Plain{}, false
	}
	switch f.Proto {
	case protoTCP:
		if f.To < f.Transport+tcpHeader {
			return Plain{}, false
		}
		size := int(frame[f.Transport+12]>>4) * 4
		f.From = f.Transport + size
		return f, size >= tcpHeader && f.From <= f.To
	case protoUDP:
		if f.From = f.Transport + udpHeader; f.From > f.To {
			return Plain{}, false
		}
		end := f.Transport + int(binary.BigEndian.Uint16(frame[f.Transport+4:]))
		ok = f.From <= end && end <= f.To
		f.To = end
		return f, ok
	}
	return Plain{}, false
}

// IPv6 reports whether the frame may be read as a PlainIPv6; if not, it may as a PlainIPv4.
func (f Plain) IPv6() bool { return f.Transport == transport6 }

// Ports are the source port and the destination port of the frame.
func (f Plain) Ports(frame []byte) (src, dst uint16) {
	h := (*[4]byte)(frame[f.Transport:])
	return binary.BigEndian.Uint16(h[:]), binary.BigEndian.Uint16(h[2:])
}

// Src is the source address, and below it, in 16 bits, the port.
func (f *PlainIPv4) Src() uint64 {
	return uint64(binary.BigEndian.Uint32(f[26:]))<<16 | uint64(binary.BigEndian.Uint16(f[34:]))
}

// Dst is the destination, in the same form.
func (f *PlainIPv4) Dst() uint64 {
	return uint64(binary.BigEndian.Uint32(f[30:]))<<16 | uint64(binary.BigEndian.Uint16(f[36:]))
}

// Src is the source address and port.
func (f *PlainIPv6) Src() (hi, lo uint64, port uint16) {
	return binary.BigEndian.Uint64(f[22:]), binary.BigEndian.Uint64(f[30:]), binary.BigEndian.Uint16(f[54:])
}

// Dst is the destination.
func (f *PlainIPv6) Dst() (hi, lo uint64, port uint16) {
	return binary.BigEndian.Uint64(f[38:]), binary.BigEndian.Uint64(f[46:]), binary.BigEndian.Uint16(f[56:])
}

// Seq is the sequence number; Ack and the others are as in Packet. The options are between the header and the payload.
func (h *PlainTCP) Seq() uint32    { return binary.BigEndian.Uint32(h[4:]) }
func (h *PlainTCP) Ack() uint32    { return binary.BigEndian.Uint32(h[8:]) }
func (h *PlainTCP) Flags() uint8   { return h[13] }
func (h *PlainTCP) Window() uint16 { return binary.BigEndian.Uint16(h[14:]) }
func (h *PlainTCP) Urgent() uint16 { return binary.BigEndian.Uint16(h[18:]) }
