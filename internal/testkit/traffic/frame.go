package traffic

import "encoding/binary"

// The headers of a frame without options: Ethernet, IPv4, TCP or UDP.
const (
	headersUDP = 14 + 20 + 8
	headersTCP = 14 + 20 + 20
)

// write puts the packet of that step into f and returns its length.
func (g *Generator) write(f []byte, number uint32, s *step) int {
	src, dst, sport, dport := g.addresses(number)
	isn := [2]uint32{uint32(mixed(uint64(number))), uint32(mixed(uint64(number) + 1<<32))}
	if s.side == server {
		src, dst, sport, dport = dst, src, dport, sport
	}
	copy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00")
	l4 := f[34:]
	binary.BigEndian.PutUint16(l4, sport)
	binary.BigEndian.PutUint16(l4[2:], dport)
	header, protocol, check := 8, byte(17), l4[6:8:8]
	if g.kind.udp {
		binary.BigEndian.PutUint16(l4[4:], 8+s.size)
	} else {
		header, protocol, check = writeTCP(l4, s, isn), 6, l4[16:18:18]
	}
	n := header + int(s.size)
	for i := header; i < min(n, header+8); i++ {
		l4[i] = filler // where an earlier packet had options
	}
	ip := f[14:34:34]
	writeIP(ip, src, dst, protocol, 20+n)
	binary.BigEndian.PutUint16(check, 0)
	sum := sumOf(ip[12:]) + uint64(protocol) + uint64(n) + sumOf(l4[:header]) + sumOfFiller(int(s.size))
	binary.BigEndian.PutUint16(check, checksum(sum))
	return 34 + n
}

func writeIP(ip []byte, src, dst uint32, protocol byte, n int) {
	copy(ip, "\x45\x00\x00\x00\x00\x00\x40\x00\x40\x00\x00\x00")
	binary.BigEndian.PutUint16(ip[2:], uint16(n))
	ip[9] = protocol
	binary.BigEndian.PutUint32(ip[12:], src)
	binary.BigEndian.PutUint32(ip[16:], dst)
	binary.BigEndian.PutUint16(ip[10:], checksum(sumOf(ip)))
}

// writeTCP writes all but ports and checksum, and returns the length of the header. Segments of 64 KiB need a scaled
// window, so a SYN offers one.
func writeTCP(h []byte, s *step, isn [2]uint32) int {
	length := 20
	if s.flags&syn != 0 {
		length += copy(h[20:], "\x02\x04\x05\xb4\x01\x03\x03\x09") // MSS 1,460; NOP; window scale 9
	}
	binary.BigEndian.PutUint32(h[4:], isn[s.side]+s.at)
	acked := uint32(0)
	if s.flags&ack != 0 {
		acked = isn[s.side^1] + s.acked
	}
	binary.BigEndian.PutUint32(h[8:], acked)
	h[12], h[13] = byte(length/4)<<4, s.flags
	binary.BigEndian.PutUint16(h[14:], 0xffff)
	binary.BigEndian.PutUint32(h[16:], 0)
	return length
}

// addresses are those of a conversation: no two conversations have the same.
func (g *Generator) addresses(number uint32) (src, dst uint32, sport, dport uint16) {
	low, high := number&0xffffff, uint16(number>>24)
	look := mixed(uint64(number) ^ g.cfg.Seed)
	switch g.cfg.Mix {
	case Scan: // one host asks many
		return 0xc0000201, 0x0a000000 | low, 40000, 1 + high
	case Flood: // many ask one
		odd := uint32(mixed(g.cfg.Seed)) | 1
		return number*odd + odd, 0xc0000202, 1024 + uint16(look%60000), 443
	case DNS:
		return 0x0a000000 | low, 0xc0000235, 32768 + high, 53
	default:
		return 0x0a000000 | low, 0xac100000 | uint32(look&0xffff), 32768 + high, 443
	}
}

// sumOf adds up words of 16 bits (RFC 1071). b has an even length.
func sumOf(b []byte) (sum uint64) {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint64(b[i])<<8 | uint64(b[i+1])
	}
	return sum
}

// sumOfFiller is sumOf over n bytes of payload.
func sumOfFiller(n int) uint64 {
	return uint64(n/2)*(filler<<8|filler) + uint64(n%2)*(filler<<8)
}

func checksum(sum uint64) uint16 {
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
