package testkit

import (
	"encoding/binary"
	"net/netip"

	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// HostOf is the address of an end.
func HostOf(end string) string { return netip.MustParseAddrPort(end).Addr().String() }

// ICMPError is an ICMP or ICMPv6 message about a packet, with a right checksum.
func ICMPError(from, to string, kind, code byte, quoted []byte) []byte {
	b := append([]byte{kind, code, 0, 0, 0, 0, 0, 0}, quoted...)
	proto := uint8(1)
	var sum uint32
	add := func(p []byte) {
		for i, c := range p {
			sum += uint32(c) << (8 * (1 - i&1))
		}
	}
	if src, dst := netip.MustParseAddr(from), netip.MustParseAddr(to); src.Is6() {
		proto = 58
		add(src.AsSlice())
		add(dst.AsSlice())
		sum += uint32(proto) + uint32(len(b))
	}
	add(b)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum))
	return frames.Over(from, to, proto, b)
}
