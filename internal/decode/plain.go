package decode

import "encoding/binary"

// Plain is the beginning of a frame whose headers all stand at fixed places, as those of nearly all frames do:
//
//	0          14                 34    42      54
//	| Ethernet | IPv4, 20 bytes   | UDP | payload                    | padding
//	| Ethernet | IPv4, 20 bytes   | TCP         | options | payload  | padding
//
// Its datagram is whole, in one fragment and in this frame. For such a frame what DecodeWith says with a Peeler that
// leaves it alone can be had without a Packet, that is, without writing and clearing one: half the time.
type Plain [34 + udpHeader]byte

// PlainTCP is a Plain of TCP, with its whole header.
type PlainTCP [34 + tcpHeader]byte

// AsPlain recognises a plain frame, or gives nil, and where its payload begins and ends.
func AsPlain(frame []byte) (f *Plain, from, to int) {
	if len(frame) < len(f) {
		return nil, 0, 0
	}
	f = (*Plain)(frame)
	if binary.BigEndian.Uint16(f[12:]) != typeIPv4 || !plainIPv4(binary.BigEndian.Uint64(f[14:])) {
		return nil, 0, 0
	}
	to = ethernetHeader + int(binary.BigEndian.Uint16(f[16:]))
	if to > len(frame) {
		return nil, 0, 0
	}
	switch f.Proto() {
	case protoTCP:
		if to < len(PlainTCP{}) {
			return nil, 0, 0
		}
		size := int(frame[46]>>4) * 4
		if from = 34 + size; size < tcpHeader || from > to {
			return nil, 0, 0
		}
	case protoUDP:
		end := 34 + int(binary.BigEndian.Uint16(f[38:]))
		if from = len(f); end < from || end > to {
			return nil, 0, 0
		}
		to = end
	default:
		return nil, 0, 0
	}
	return f, from, to
}

// Proto is 6 or 17.
func (f *Plain) Proto() uint8 { return f[23] }

// Src is the source address, and below it, in 16 bits, the port.
func (f *Plain) Src() uint64 {
	return uint64(binary.BigEndian.Uint32(f[26:]))<<16 | uint64(binary.BigEndian.Uint16(f[34:]))
}

// Dst is the destination, in the same form.
func (f *Plain) Dst() uint64 {
	return uint64(binary.BigEndian.Uint32(f[30:]))<<16 | uint64(binary.BigEndian.Uint16(f[36:]))
}

// Seq is the sequence number; Ack and the others are as in Packet. The options are between the header and the payload.
func (f *PlainTCP) Seq() uint32    { return binary.BigEndian.Uint32(f[38:]) }
func (f *PlainTCP) Ack() uint32    { return binary.BigEndian.Uint32(f[42:]) }
func (f *PlainTCP) Flags() uint8   { return f[47] }
func (f *PlainTCP) Window() uint16 { return binary.BigEndian.Uint16(f[48:]) }
func (f *PlainTCP) Urgent() uint16 { return binary.BigEndian.Uint16(f[52:]) }
