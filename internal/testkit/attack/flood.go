package attack

// SYNFlood sends n SYNs, each of a connection of its own, from anywhere to one server. The numbers of connections
// begin at 1<<31.
func SYNFlood(n int) Frames {
	return func(yield func([]byte) bool) {
		var c connection
		for i := range uint32(n) {
			if c.become(1<<31 + i); !yield(c.at(0, SYN, -1, 0, nil)) {
				return
			}
		}
	}
}

// SYNData sends n SYNs with size bytes of payload each (RFC 7413), which nobody answers: whether they are data is
// never decided.
func SYNData(first uint32, n, size int) Frames {
	return func(yield func([]byte) bool) {
		payload := make([]byte, size)
		var c connection
		for i := range uint32(n) {
			if c.become(first + i); !yield(c.at(0, SYN, -1, 0, payload)) {
				return
			}
		}
	}
}

// Collisions sends n SYNs of different connections whose hash is the same in its low bits: what an attacker sends who
// knows the hash, or the seed, of a table. bits is how many; the search takes 2^bits tries for each.
func Collisions(n, bits int, hash func(Ends) uint64) Frames {
	mask := uint64(1)<<bits - 1
	return func(yield func([]byte) bool) {
		var c connection
		for i, found := uint32(0), 0; found < n; i++ {
			if c.become(i); hash(c.ends)&mask != 0 {
				continue
			}
			found++
			if !yield(c.at(0, SYN, -1, 0, nil)) {
				return
			}
		}
	}
}

// FNV1a is the 32-bit hash of that name over the ends, as a table without a seed may use it.
func FNV1a(e Ends) uint64 {
	h := uint32(2166136261)
	for _, b := range e.bytes() {
		h = (h ^ uint32(b)) * 16777619
	}
	return uint64(h)
}

// Jenkins is Jenkins' one-at-a-time hash over the ends.
func Jenkins(e Ends) uint64 {
	h := uint32(0)
	for _, b := range e.bytes() {
		h += uint32(b)
		h += h << 10
		h ^= h >> 6
	}
	h += h << 3
	h ^= h >> 11
	return uint64(h + h<<15)
}

func (e Ends) bytes() [12]byte {
	return [12]byte{
		byte(e.Client >> 24), byte(e.Client >> 16), byte(e.Client >> 8), byte(e.Client),
		byte(e.Server >> 24), byte(e.Server >> 16), byte(e.Server >> 8), byte(e.Server),
		byte(e.ClientPort >> 8), byte(e.ClientPort), byte(e.ServerPort >> 8), byte(e.ServerPort),
	}
}
