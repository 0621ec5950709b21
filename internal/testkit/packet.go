package testkit

import (
	"encoding/binary"
	"slices"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// Readdress writes the source address of an IPv4 frame.
func Readdress(frame []byte, addr uint32) { binary.BigEndian.PutUint32(frame[26:], addr) }

// Changed is a copy of a frame with a 16-bit field set.
func Changed(frame []byte, at int, value uint16) []byte {
	f := slices.Clone(frame)
	binary.BigEndian.PutUint16(f[at:], value)
	return f
}

// Where checksums are in frames of Ethernet and IP without options.
const (
	SumIP, SumTCP4, SumUDP4, SumTCP6, SumUDP6 = 24, 14 + 20 + 16, 14 + 20 + 6, 14 + 40 + 16, 14 + 40 + 6
)

// UDP is a datagram between two ends in an Ethernet frame.
func UDP(from, to string) []byte {
	return frames.UDP{Src: from, Dst: to, Payload: []byte("hi")}.Ethernet()
}

// TCP is a segment between two ends in an Ethernet frame.
func TCP(from, to, flags string, seq, ack uint32, payload string) []byte {
	return frames.TCP{Src: from, Dst: to, Flags: flags, Seq: seq, Ack: ack, Window: 8192, Payload: []byte(payload)}.Ethernet()
}

// The ends of most connections in tests.
const (
	Client = "10.0.0.1:1234"
	Server = "10.0.0.2:80"
)

func flagBits(text string) (flags uint8) {
	for _, c := range text {
		for i, name := range "FSRPAUEC" {
			if c == name {
				flags |= 1 << i
			}
		}
	}
	return flags
}
