package tcp

// Sequence numbers are 32 bits and wrap (RFC 9293 section 3.4). They are
// compared and subtracted here and nowhere else; everything further in counts
// 64-bit positions.

// distance is how far b lies ahead of a, negative if it lies behind. Numbers
// half the space apart count as behind.
func distance(a, b uint32) int64 { return int64(int32(b - a)) }

// unwrap gives the 64-bit position of number seq, chosen as the one nearest to
// near, where base is the number of position 0.
//
//	base          near            seq
//	 |-------------|---------------|      -> near + distance
func unwrap(base uint32, near int64, seq uint32) int64 {
	return near + distance(base+uint32(near), seq)
}

// wire is the inverse of unwrap.
func wire(base uint32, pos int64) uint32 { return base + uint32(pos) }
