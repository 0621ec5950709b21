package stream

// Limits bounds an Arena. For the first three fields 0 means the default, a negative
// number means that nothing early is held: every hole is given up at once. There
// is no unlimited. The defaults are this room's own; a Config fills in all three.
type Limits struct {
	// SideBytes bounds what one stream may occupy, in bytes of capacity: record,
	// extents and pages. Default 256 KiB, at most 256 MiB. While live bytes move
	// to another page the old ones count against TotalBytes only.
	SideBytes int
	// SidePieces bounds the extents of one stream. Default 1,024, at most 1<<20.
	SidePieces int
	// TotalBytes bounds everything: all streams, free lists and the memory that
	// waits for Begin (and the tables too if Begin is called for each packet). A quarter of it, or twice SideBytes if that is less, is
	// kept for moving. Default 64 MiB.
	TotalBytes int64
	// Policy decides overlaps. The zero value is First.
	Policy Policy
	// Keep is how many delivered bytes a stream remembers, so that a retransmission
	// that differs from what was delivered is a Conflict. 0 or less: none. At
	// most 1 MiB; rounded up by a quarter at most. The memory counts against
	// TotalBytes and is not taken if that is exhausted; it is held until Finish or
	// Drop. Only bytes that passed Insert are remembered, and none from before
	// the newest gap.
	Keep int
}

const (
	defaultSideBytes  = 256 << 10
	defaultSidePieces = 1024
	defaultTotalBytes = 64 << 20

	// The greatest values keep every sum of sizes within 32 bits.
	maxSideBytes  = 256 << 20
	maxSidePieces = 1 << 20
	maxKeep       = 1 << 20
)

func (l Limits) normal() Limits {
	l.SideBytes = bounded(l.SideBytes, defaultSideBytes, maxSideBytes)
	l.SidePieces = bounded(l.SidePieces, defaultSidePieces, maxSidePieces)
	if l.Keep = bounded(l.Keep, 0, maxKeep); l.Keep > 0 {
		l.Keep = sizeUp(l.Keep)
	}
	if l.TotalBytes == 0 {
		l.TotalBytes = defaultTotalBytes
	}
	l.TotalBytes = max(l.TotalBytes, 0)
	return l
}

func bounded(n, preset, most int) int {
	if n == 0 {
		return preset
	}
	return min(max(n, 0), most)
}

// reserve is what the budget keeps for bytes that move.
func (l *Limits) reserve() int64 {
	return min(2*int64(l.SideBytes), l.TotalBytes/4)
}
