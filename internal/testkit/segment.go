package testkit

import (
	"encoding/binary"
)

// Segment is a TCP segment over IPv4 in an Ethernet frame. It is made by hand, since soups need many.
type Segment struct {
	Tuple, Dir int // which connection, and who speaks
	Seq, Ack   uint32
	Flags      string
	Window     uint16
	urgent     uint16
	Payload    []byte
	length0    bool // an IP length of 0, as an offloading card leaves it
	longer     int  // how much the IP length goes beyond the frame
}

// Frame is the segment in an Ethernet frame.
func (g Segment) Frame() []byte {
	f := make([]byte, 54, 54+len(g.Payload))
	copy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00")
	ip, tcp := f[14:], f[34:]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	if !g.length0 {
		binary.BigEndian.PutUint16(ip[2:], uint16(40+len(g.Payload)+g.longer))
	}
	port := [2]uint16{uint16(40000 + g.Tuple), 80}
	copy(ip[12:], []byte{10, 0, 0, byte(1 + g.Dir), 10, 0, 0, byte(2 - g.Dir)})
	binary.BigEndian.PutUint16(tcp, port[g.Dir])
	binary.BigEndian.PutUint16(tcp[2:], port[1-g.Dir])
	binary.BigEndian.PutUint32(tcp[4:], g.Seq)
	binary.BigEndian.PutUint32(tcp[8:], g.Ack)
	tcp[12], tcp[13] = 5<<4, flagBits(g.Flags)
	binary.BigEndian.PutUint16(tcp[14:], g.Window)
	binary.BigEndian.PutUint16(tcp[18:], g.urgent)
	return append(f, g.Payload...)
}
