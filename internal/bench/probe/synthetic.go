package main

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/flowscope-go/flowscope"
)

// synthetic makes the packets of a workload, the same at every call, or nil if the workload is
// unknown. They stand for the captures of real programs where these are absent.
func synthetic(workload string, scale float64) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	n := func(count int) int { return max(1, int(float64(count)*scale)) }
	var streams [][][]byte
	web := func(count, request, response int) {
		for range count {
			streams = append(streams, connection(len(streams), request, response))
		}
	}
	switch workload {
	case "web":
		web(n(20_000), 120, 1400)
		return interleave(streams, 48)
	case "manyflows":
		web(n(30_000), 40, 200)
		return interleave(streams, len(streams))
	case "bulk":
		for i := range 6 {
			streams = append(streams, transfer(rng, i, n(8_000), 0, 0))
		}
		return interleave(streams, len(streams))
	case "lossy":
		for i := range 16 {
			streams = append(streams, transfer(rng, i, n(3_000), 0.01, 0.03))
		}
		return interleave(streams, len(streams))
	case "dns":
		for i := range n(60_000) {
			streams = append(streams, query(i))
		}
		return interleave(streams, 16)
	case "mixed":
		web(n(6_000), 300, 900)
		for range n(15_000) {
			streams = append(streams, query(len(streams)))
		}
		for range n(40) {
			streams = append(streams, transfer(rng, len(streams), 1_000, 0.001, 0.001))
		}
		rng.Shuffle(len(streams), func(i, j int) { streams[i], streams[j] = streams[j], streams[i] })
		return interleave(streams, 64)
	}
	return nil
}

// epoch is the time of the first packet.
const epoch = 1_700_000_000e9

// stamped makes views of frames, four microseconds apart.
func stamped(frames [][]byte) []flowscope.PacketView {
	views := make([]flowscope.PacketView, len(frames))
	for i, f := range frames {
		views[i] = flowscope.PacketView{Frame: f, Timestamp: flowscope.Timestamp(epoch + int64(i)*4000)}
	}
	return views
}

// interleave takes a packet of each stream in turn; so many streams are under way at a time.
func interleave(streams [][][]byte, atOnce int) (frames [][]byte) {
	active := make([][][]byte, min(atOnce, len(streams)))
	rest := streams[copy(active, streams):]
	for len(active) > 0 {
		kept := active[:0]
		for _, s := range active {
			frames = append(frames, s[0])
			if s = s[1:]; len(s) == 0 && len(rest) > 0 {
				s, rest = rest[0], rest[1:]
			}
			if len(s) > 0 {
				kept = append(kept, s)
			}
		}
		active = kept
	}
	return frames
}

const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// life are the packets of a short connection.
var life = []struct {
	name       string
	fromServer bool
	flags      byte
}{
	{"SYN", false, syn},
	{"SYN+ACK", true, syn | ack},
	{"third ACK", false, ack},
	{"request", false, psh | ack},
	{"ACK", true, ack},
	{"response", true, psh | ack},
	{"first FIN", true, fin | ack},
	{"second FIN", false, fin | ack},
	{"last ACK", true, ack},
}

// connection is a short TCP connection, from the handshake to the last acknowledgement.
func connection(i, request, response int) (frames [][]byte) {
	sizes := map[string]int{"request": request, "response": response}
	next := [2]uint32{uint32(i) * 2654435761, uint32(i)*2246822519 + 7} // of the client and of the server
	for _, s := range life {
		from, n := 0, sizes[s.name]
		if s.fromServer {
			from = 1
		}
		acked := next[1-from]
		if s.flags&ack == 0 {
			acked = 0
		}
		frames = append(frames, tcp(i, s.fromServer, s.flags, next[from], acked, n))
		next[from] += uint32(n) + uint32(s.flags&syn>>1) + uint32(s.flags&fin)
	}
	return frames
}

const mss = 1448

// transfer is a connection in which the server sends so many full segments. A share of them is
// lost, and arrives when it is sent again; a share changes places with the next one. The client
// acknowledges every second segment that arrives.
func transfer(rng *rand.Rand, i, segments int, loss, swapped float64) [][]byte {
	order := make([]int, 0, segments)
	again := map[int][]int{} // the segments sent again after so many others
	for s := range segments {
		if rng.Float64() < loss {
			at := s + 10 + rng.IntN(30)
			again[at] = append(again[at], s)
		} else {
			order = append(order, s)
		}
		order = append(order, again[s]...)
		delete(again, s)
	}
	for at := segments; len(again) > 0; at++ {
		order = append(order, again[at]...)
		delete(again, at)
	}
	for k := 1; k < len(order); k++ {
		if rng.Float64() < swapped {
			order[k-1], order[k] = order[k], order[k-1]
		}
	}
	handshake := connection(i, 100, 0)
	client, server := uint32(i)*2654435761+101, uint32(i)*2246822519+8
	frames := handshake[:4]
	arrived, next := make([]bool, segments+1), 0
	for k, s := range order {
		frames = append(frames, tcp(i, true, ack, server+uint32(s)*mss, client, mss))
		for arrived[s] = true; arrived[next]; next++ {
		}
		if k%2 != 0 || k == len(order)-1 {
			frames = append(frames, tcp(i, false, ack, client, server+uint32(next)*mss, 0))
		}
	}
	end := server + uint32(segments)*mss
	return append(frames,
		tcp(i, true, fin|ack, end, client, 0),
		tcp(i, false, fin|ack, client, end+1, 0),
		tcp(i, true, ack, end+1, client+1, 0))
}

// query is a question to a name server and its answer.
func query(i int) [][]byte {
	return [][]byte{udp(i, false, 40), udp(i, true, 120)}
}

func tcp(i int, fromServer bool, flags byte, seq, acked uint32, n int) []byte {
	f := frame(i, fromServer, 6, 80, 20+n)
	h := f[34:]
	binary.BigEndian.PutUint32(h[4:], seq)
	binary.BigEndian.PutUint32(h[8:], acked)
	h[12], h[13] = 5<<4, flags
	binary.BigEndian.PutUint16(h[14:], 64000)
	fill(h[20:], i, seq)
	binary.BigEndian.PutUint16(h[16:], checksum(h, pseudoHeader(f)))
	return f
}

func udp(i int, fromServer bool, n int) []byte {
	f := frame(i, fromServer, 17, 53, 8+n)
	h := f[34:]
	binary.BigEndian.PutUint16(h[4:], uint16(8+n))
	fill(h[8:], i, 0)
	binary.BigEndian.PutUint16(h[6:], checksum(h, pseudoHeader(f)))
	return f
}

// fill writes bytes that depend on where in the stream they are, so that a segment sent again has
// the same.
func fill(b []byte, i int, seq uint32) {
	for k := range b {
		b[k] = byte(seq) + byte(k) + byte(i)
	}
}

// frame is an Ethernet frame with an IPv4 header and n bytes behind it, which begin with the ports.
// The client of connection i has an address and a port of its own.
func frame(i int, fromServer bool, protocol byte, port, n int) []byte {
	f := make([]byte, 14+20+n)
	copy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00\x45\x00")
	ip := f[14:34]
	binary.BigEndian.PutUint16(ip[2:], uint16(20+n))
	binary.BigEndian.PutUint16(ip[6:], 0x4000) // do not fragment
	ip[8], ip[9] = 64, protocol
	client, server := uint32(10)<<24|50<<16|uint32(i)&0xffff, uint32(10)<<24|199<<16|2
	ports := [2]int{1024 + i%60_000, port}
	if fromServer {
		client, server = server, client
		ports[0], ports[1] = ports[1], ports[0]
	}
	binary.BigEndian.PutUint32(ip[12:], client)
	binary.BigEndian.PutUint32(ip[16:], server)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip, 0))
	binary.BigEndian.PutUint16(f[34:], uint16(ports[0]))
	binary.BigEndian.PutUint16(f[36:], uint16(ports[1]))
	return f
}

// pseudoHeader is the sum of the pseudo-header (RFC 9293 section 3.1, RFC 768).
func pseudoHeader(f []byte) (sum uint32) {
	for i := 26; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(f[i:]))
	}
	return sum + uint32(f[23]) + uint32(len(f)-34)
}

// checksum is the Internet checksum (RFC 1071) of bytes whose checksum field is zero.
func checksum(b []byte, sum uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) > 0 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
