package defrag

// Limits bounds a Table. For every field 0 or less means the default, more than the greatest value means
// that. There is no unlimited.
type Limits struct {
	// Datagrams bounds how many are remembered at once, tombstones included. The oldest
	// leaves for a new one. Default 4,096, at most 1<<20.
	Datagrams int
	// DatagramBytes bounds where a datagram may end. Default 65,535, the most there can be.
	DatagramBytes int
	// Pieces bounds the fragments stored of one datagram. Memory and time do not depend on it. Default
	// 8,192, the most that 65,535 bytes can have.
	Pieces int
	// TotalBytes bounds all memory of the table, with capacity, records, index and spares. Default 4 MiB.
	// Much below 256 KiB large datagrams may find no room.
	TotalBytes int64
	// Timeout is how long a datagram or its tombstone is remembered, in nanoseconds from
	// its first fragment. Default 30 s (RFC 791 suggests 15 s, RFC 8200 demands 60 s).
	Timeout int64
}

const (
	defaultDatagrams  = 4096
	maxDatagrams      = 1 << 20
	maxPieces         = (maxEnd + unit) / unit
	defaultTotalBytes = 4 << 20
	maxTotalBytes     = 1 << 62
	defaultTimeout    = 30e9
)

func (l Limits) normal() Limits {
	return Limits{
		Datagrams:     bounded(l.Datagrams, defaultDatagrams, maxDatagrams),
		DatagramBytes: bounded(l.DatagramBytes, maxEnd, maxEnd),
		Pieces:        bounded(l.Pieces, maxPieces, maxPieces),
		TotalBytes:    bounded(l.TotalBytes, defaultTotalBytes, maxTotalBytes),
		Timeout:       bounded(l.Timeout, defaultTimeout, 1<<63-1),
	}
}

func bounded[T int | int64](n, preset, most T) T {
	if n <= 0 {
		return preset
	}
	return min(n, most)
}
