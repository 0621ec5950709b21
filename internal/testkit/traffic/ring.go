package traffic

// Ring is memory for a number of packets, used again for the next ones.
type Ring struct {
	g       *Generator
	rooms   [][]byte
	packets []Packet
}

// filler is what every payload consists of, so that only headers have to be written, checksums are known, and a
// retransmission says what the original said.
const filler = 'x'

// NewRing makes a ring of n packets.
func NewRing(g *Generator, n int) *Ring {
	const line = 64
	stride := (g.cfg.Frame + line - 1) &^ (line - 1)
	memory := make([]byte, n*stride)
	for i := range memory {
		memory[i] = filler
	}
	r := &Ring{g: g, packets: make([]Packet, n)}
	for i := range n {
		r.rooms = append(r.rooms, memory[i*stride:][:g.cfg.Frame:g.cfg.Frame])
	}
	return r
}

// Next makes the next packets. They are good until the next call.
func (r *Ring) Next() []Packet {
	for i, room := range r.rooms {
		n, stamp := r.g.put(room)
		r.packets[i] = Packet{Frame: room[:n], Stamp: stamp}
	}
	return r.packets
}
