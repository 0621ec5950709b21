package frames

import (
	"encoding/binary"
	"net"
	"slices"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Fragments cuts an IP packet without options or extension headers into fragments of at most size bytes of
// payload each (size is rounded down to a multiple of 8, and is 8 at least), in order. IPv4 takes the low half
// of the identification.
func Fragments(ip []byte, size int, id uint32) [][]byte {
	piece, body := fragment4, ip[20:]
	if ip[0]>>4 == 6 {
		piece, body = fragment6, ip[40:]
	}
	var out [][]byte
	for off, size := 0, max(size&^7, 8); off < len(body); off += size {
		end := min(off+size, len(body))
		out = append(out, piece(ip, body[off:end], off, end < len(body), id))
	}
	return out
}

func fragment4(ip, body []byte, off int, more bool, id uint32) []byte {
	h := &layers.IPv4{Version: 4, TTL: ip[8], Protocol: layers.IPProtocol(ip[9]), SrcIP: net.IP(ip[12:16]), DstIP: net.IP(ip[16:20]),
		Id: uint16(id), FragOffset: uint16(off / 8)}
	if more {
		h.Flags = layers.IPv4MoreFragments
	}
	return serialize(h, gopacket.Payload(body))
}

func fragment6(ip, body []byte, off int, more bool, id uint32) []byte {
	place := uint16(off)
	if more {
		place |= 1
	}
	f := append(slices.Clone(ip[:40]), ip[6], 0)
	f = binary.BigEndian.AppendUint16(f, place)
	f = binary.BigEndian.AppendUint32(f, id)
	f = append(f, body...)
	f[6] = uint8(layers.IPProtocolIPv6Fragment)
	binary.BigEndian.PutUint16(f[4:], uint16(len(f)-40))
	return f
}
