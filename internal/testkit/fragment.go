package testkit

import (
	"encoding/binary"
	"net/netip"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// Piece is a fragment of an IP datagram. Header fields are those of RFC 791 and RFC 8200 section 4.5.
type Piece struct {
	V6       bool
	Src, Dst string // default those of client and server
	Proto    uint8  // default UDP
	ID       uint32
	Offset   int
	More     bool
	Flags    uint16 // IPv4: what else the flag bits say
	Body     []byte
}

// Packet makes the IP packet, with a right header checksum.
func (p Piece) Packet() []byte {
	if p.Proto == 0 {
		p.Proto = 17
	}
	if p.Src == "" {
		p.Src, p.Dst = "10.0.0.1", "10.0.0.2"
		if p.V6 {
			p.Src, p.Dst = "fd00::1", "fd00::2"
		}
	}
	more := uint16(0)
	if p.More {
		more = 1
	}
	if netip.MustParseAddr(p.Src).Is6() {
		h := binary.BigEndian.AppendUint16([]byte{p.Proto, 0}, uint16(p.Offset)|more)
		h = binary.BigEndian.AppendUint32(h, p.ID)
		return frames.Over(p.Src, p.Dst, 44, append(h, p.Body...))
	}
	b := frames.Over(p.Src, p.Dst, p.Proto, p.Body)
	binary.BigEndian.PutUint16(b[4:], uint16(p.ID))
	binary.BigEndian.PutUint16(b[6:], uint16(p.Offset/8)|more<<13|p.Flags)
	Rechecksum(b)
	return b
}

// Rechecksum makes the checksum of an IPv4 header of 20 bytes right.
func Rechecksum(ip []byte) {
	ip[10], ip[11] = 0, 0
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
}

// Frame is the packet in an Ethernet frame.
func (p Piece) Frame() []byte { return frames.Ethernet(p.Packet()) }

// WholeDatagram is a UDP datagram of 40 bytes, without a checksum, and other the same place filled with other bytes.
var (
	WholeDatagram = []byte("\x04\xd2\x00\x50\x00\x28\x00\x00the payload of one whole datagra")
	OtherDatagram = []byte("\x04\xd2\x00\x50\x00\x28\x00\x00THE PAYLOAD OF ANOTHER DATAGRAM!")
)
