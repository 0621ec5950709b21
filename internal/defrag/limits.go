package defrag

// Limits bounds a Table. For every field 0 or less means the default, and more than the largest value
// means the largest. There is no unlimited.
type Limits struct {
	// Datagrams bounds how many are in the table, tombstones and remembered ones included; these are at
	// most a quarter. The oldest is evicted for a new one, of those that are remembered if there are
	// any. Default 4,096, at most 1<<20.
	Datagrams int
	// DatagramBytes bounds where a datagram may end. Default 65,535, the most there can be.
	DatagramBytes int
	// Pieces bounds the fragments stored of one datagram. Memory and time do not depend on it.
	// Default 8,192, the most that 65,535 bytes can have.
	Pieces int
	// TotalBytes bounds all memory of the table: pages, records, index, and pooled memory. Default
	// 4 MiB. Much below 256 KiB there may be no room for large datagrams.
	TotalBytes int64
	// Timeout is how long a datagram or its tombstone is kept, in nanoseconds from its first
	// fragment. Default 30 s (RFC 791 suggests 15 s, RFC 8200 demands 60 s).
	Timeout int64
	// Remember is how long a datagram that was completed is remembered, in nanoseconds, and at most
	// Timeout. Default 1 s: a copy that the capture made comes at once. Who uses the number again
	// within that time sends other bytes.
	Remember int64
}

const (
	defaultDatagrams  = 4096
	maxDatagrams      = 1 << 20
	maxPieces         = (maxEnd + unit) / unit
	defaultTotalBytes = 4 << 20
	maxTotalBytes     = 1 << 62
	defaultTimeout    = 30e9
	defaultRemember   = 1e9
)

func (l Limits) normal() Limits {
	timeout := bounded(l.Timeout, defaultTimeout, 1<<63-1)
	return Limits{
		Datagrams:     bounded(l.Datagrams, defaultDatagrams, maxDatagrams),
		DatagramBytes: bounded(l.DatagramBytes, maxEnd, maxEnd),
		Pieces:        bounded(l.Pieces, maxPieces, maxPieces),
		TotalBytes:    bounded(l.TotalBytes, defaultTotalBytes, maxTotalBytes),
		Timeout:       timeout,
		Remember:      min(bounded(l.Remember, defaultRemember, 1<<63-1), timeout),
	}
}

func bounded[T int | int64](n, preset, most T) T {
	if n <= 0 {
		return preset
	}
	return min(n, most)
}

// pointerBytes is the size of a slot of the index on 64 bits; on 32 it counts too much.
const pointerBytes = 8

func (t *Table[V]) growIndex() bool {
	n := slotsFor(t.index.used + 1)
	more := int64(n-len(t.index.slots)) * pointerBytes
	if !t.makeRoom(more, 0) {
		return false
	}
	t.memory.bytes += more
	t.index.resize(n)
	return true
}

// reservePages makes sure that there are n pooled pages, evicting others than d if need be.
func (t *Table[V]) reservePages(n int, d *datagram[V]) bool {
	for t.memory.pages.pooled < n {
		if t.makeRoom(t.memory.pages.size, t.memory.pages.pooled) {
			t.memory.allocPage()
		} else if !t.evictHeld(d) {
			return false
		}
	}
	return true
}

// reserveOutput makes sure that the output buffer holds n bytes, evicting others than d if need be.
func (t *Table[V]) reserveOutput(n int, d *datagram[V]) bool {
	t.memory.outputPeak = max(t.memory.outputPeak, n)
	if n <= cap(t.memory.output) {
		return true
	}
	t.memory.setOutput(0)
	size := outputSize(n)
	for !t.makeRoom(int64(size), 0) {
		if !t.evictHeld(d) {
			return false
		}
	}
	t.memory.setOutput(size)
	return true
}

// makeRoom reports whether n more bytes are within TotalBytes. It gives back pooled memory for that,
// but not the last keep pages.
func (t *Table[V]) makeRoom(n int64, keep int) bool {
	m := &t.memory
	for m.bytes > t.limits.TotalBytes-n {
		switch {
		case m.pages.pooled > keep:
			m.dropPage()
		case m.records.pooled > 0:
			m.dropRecord()
		default:
			return false
		}
	}
	return true
}

// evict makes room for a record: the oldest datagram that is remembered, or else the oldest of all,
// leaves.
func (t *Table[V]) evict() bool {
	if t.forgetOldest() {
		return true
	}
	if t.all.len == 0 {
		return false
	}
	t.remove(t.all.first, &t.stats.EvictedMemory)
	return true
}

// evictHeld makes room for bytes: the oldest datagram that is remembered, or else the oldest that may hold
// bytes, leaves, d excepted.
func (t *Table[V]) evictHeld(d *datagram[V]) bool {
	if t.forgetOldest() {
		return true
	}
	oldest := t.waiting.first
	if oldest == d {
		oldest = d.links[inWaiting].next
	}
	if oldest == nil {
		return false
	}
	t.remove(oldest, &t.stats.EvictedMemory)
	return true
}
