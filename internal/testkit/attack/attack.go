// Package attack makes hostile traffic for tests: frames on demand, the same ones each time, as many as the test
// can stand. It says nothing about what should become of them.
//
//	for frame := range attack.SYNFlood(5_000_000) {
//		tracker.Track(flowscope.PacketView{Frame: frame, Timestamp: now})
//	}
//
// A frame is lent until the next one is asked for: all of a sequence are built in one buffer, so who keeps one
// without a copy finds another's bytes in it. Frames are Ethernet over IPv4 or IPv6 with right lengths and no
// checksums, since an attacker who needs them can have them and a test that does not would pay for them.
package attack

import (
	"encoding/binary"
	"iter"
)

// Frames is a sequence of frames, each good until the next.
type Frames = iter.Seq[[]byte]

// Flags of a TCP header.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// Ends are the two ends of a conversation over IPv4.
type Ends struct {
	Client, Server         uint32
	ClientPort, ServerPort uint16
}

// Connection names the ends of the i-th connection of an attack. Different numbers have different ends, up to 2^32 of
// them, and no pattern that a table could profit from.
func Connection(i uint32) Ends {
	x := scramble(i)
	return Ends{Client: 10<<24 | x>>8, Server: 192<<24 | 2<<8 | 1, ClientPort: 1024 + uint16(x&0xff), ServerPort: 443}
}

// scramble is a bijection of 32 bits: each number comes once.
func scramble(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	return x ^ x>>16
}

// ISN is the initial sequence number of a side of the i-th connection: 0 is the client's. Many lie just before the
// wrap.
func ISN(i uint32, side int) uint32 {
	if i%4 == 0 {
		return ^uint32(side) - i%64
	}
	return scramble(i<<1 | uint32(side))
}

// segment is one TCP segment of a connection.
type segment struct {
	Ends
	side     int // 0: the client speaks
	seq, ack uint32
	flags    uint8
	unscaled bool
	payload  []byte
}

const (
	ethernet = 14
	ipv4     = 20
	ipv6     = 40
)

// wire builds frames in one buffer.
type wire struct{ buf []byte }

// ip4 begins a frame with room for size bytes behind the IP header, which it returns.
func (w *wire) ip4(src, dst uint32, proto uint8, size int) (frame, ip, rest []byte) {
	n := ethernet + ipv4 + size
	if cap(w.buf) < n {
		w.buf = make([]byte, 2*n)
	}
	f := w.buf[:n]
	clear(f[:ethernet+ipv4])
	copy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00")
	ip = f[ethernet:]
	ip[0], ip[8], ip[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4+size))
	binary.BigEndian.PutUint32(ip[12:], src)
	binary.BigEndian.PutUint32(ip[16:], dst)
	return f, ip, ip[ipv4:]
}

// tcp builds the frame of a segment. A SYN offers the largest window scale, so that an attacker may send far ahead,
// unless it is unscaled.
func (w *wire) tcp(g *segment) []byte {
	header := 20
	if g.flags&SYN != 0 && !g.unscaled {
		header = 24
	}
	src, dst, from, to := g.Client, g.Server, g.ClientPort, g.ServerPort
	if g.side == 1 {
		src, dst, from, to = dst, src, to, from
	}
	f, _, t := w.ip4(src, dst, 6, header+len(g.payload))
	clear(t[:header])
	binary.BigEndian.PutUint16(t, from)
	binary.BigEndian.PutUint16(t[2:], to)
	binary.BigEndian.PutUint32(t[4:], g.seq)
	if g.flags&ACK != 0 {
		binary.BigEndian.PutUint32(t[8:], g.ack)
	}
	t[12], t[13] = uint8(header/4)<<4, g.flags
	binary.BigEndian.PutUint16(t[14:], 65535)
	if header == 24 {
		copy(t[20:], "\x03\x03\x0e\x01") // window scale 14, and padding
	}
	copy(t[header:], g.payload)
	return f
}

// connection sends segments of one connection by position: 0 is the byte after the SYN.
type connection struct {
	wire
	ends     Ends
	isn      [2]uint32
	unscaled bool // it offers no window scale
}

func (c *connection) become(i uint32) {
	c.ends, c.isn = Connection(i), [2]uint32{ISN(i, 0), ISN(i, 1)}
}

// at is a segment that acknowledges everything below ack of the other side.
func (c *connection) at(side int, flags uint8, pos, ack int64, payload []byte) []byte {
	return c.tcp(&segment{
		Ends: c.ends, side: side, flags: flags, payload: payload, unscaled: c.unscaled,
		seq: c.isn[side] + 1 + uint32(pos), ack: c.isn[1-side] + 1 + uint32(ack),
	})
}

// opens yields the handshake.
func (c *connection) opens(yield func([]byte) bool) bool {
	return yield(c.at(0, SYN, -1, 0, nil)) && yield(c.at(1, SYN|ACK, -1, 0, nil)) && yield(c.at(0, ACK, 0, 0, nil))
}

// Handshakes opens connections first to first+n-1.
func Handshakes(first uint32, n int) Frames {
	return func(yield func([]byte) bool) {
		var c connection
		for i := range uint32(n) {
			if c.become(first + i); !c.opens(yield) {
				return
			}
		}
	}
}

// Lifetimes lets connections first to first+n-1 live: the handshake, a byte each way, and an end that depends on the
// number.
//
//	0  both say FIN                       4  a hole, then both say FIN
//	1  a reset                            5  early bytes, then silence
//	2  silence                            6  a FIN of one side, then silence
//	3  a SYN alone                        7  data into the middle, no handshake
func Lifetimes(first uint32, n int) Frames {
	return func(yield func([]byte) bool) {
		var c connection
		for i := range uint32(n) {
			if c.become(first + i); !c.lives(i%8, yield) {
				return
			}
		}
	}
}

func (c *connection) lives(how uint32, yield func([]byte) bool) bool {
	b := []byte("x")
	switch how {
	case 3:
		return yield(c.at(0, SYN, -1, 0, nil))
	case 7:
		return yield(c.at(0, PSH|ACK, 0, 0, b)) && yield(c.at(0, PSH|ACK, 3, 0, b))
	}
	if !c.opens(yield) || !yield(c.at(0, PSH|ACK, 0, 0, b)) || !yield(c.at(1, PSH|ACK, 0, 1, b)) {
		return false
	}
	switch how {
	case 1:
		return yield(c.at(0, RST, 1, 0, nil))
	case 4:
		if !yield(c.at(0, PSH|ACK, 5, 1, b)) {
			return false
		}
		return yield(c.at(0, FIN|ACK, 6, 1, nil)) && yield(c.at(1, FIN|ACK, 1, 7, nil)) && yield(c.at(0, ACK, 7, 2, nil))
	case 5:
		return yield(c.at(0, PSH|ACK, 100, 1, b)) && yield(c.at(0, PSH|ACK, 50, 1, b))
	case 6:
		return yield(c.at(0, FIN|ACK, 1, 1, nil))
	case 0:
		return yield(c.at(0, FIN|ACK, 1, 1, nil)) && yield(c.at(1, FIN|ACK, 1, 2, nil)) && yield(c.at(0, ACK, 2, 2, nil))
	}
	return true
}

// Busy is data of n packets in turn on connections first to first+conns-1, which Handshakes has opened: each one the
// next byte of the client, or of the server.
func Busy(first uint32, conns, n, from int) Frames {
	return func(yield func([]byte) bool) {
		var c connection
		for k := from; k < from+n; k++ {
			c.become(first + uint32(k%conns))
			turn := int64(k / conns)
			side, pos := int(turn%2), turn/2
			if !yield(c.at(side, PSH|ACK, pos, pos+int64(side), []byte{'a' + byte(turn%26)})) {
				return
			}
		}
	}
}
