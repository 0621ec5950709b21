package stream

// Arena holds the early bytes of many streams under one budget. Its memory is:
//
//	held     buffers of streams, with their extents and pages
//	lent     pages that were given back while Items may still refer to them
//	pooled   freed buffers, extents and pages, so that streams with losses allocate nothing in the
//	         long run: at most min(max(4*SideBytes, held/2), TotalBytes/8), with 1 MiB for any
//	         greater SideBytes, and up to twice that
//	         after held has fallen
//	tables   tables and working space
type Arena struct {
	limits      Limits
	stats       Stats
	held        int64
	lent        int64
	pooled      int64
	period      uint64 // counts calls of Reclaim
	buffers     []*buffer
	freeNumbers []uint32  // numbers without a buffer
	freeBuffers []*buffer // pooled buffers
	extents     pool[extent]
	blockLists  pool[block]
	pageLists   pool[page]
	pages       pool[byte]
	lentPages   [][]byte // to be pooled by the next Reclaim
	work        merger
	totalFull   bool     // TotalBytes refused room last, not a limit of the buffer's own
	releaseLent bool     // see ReleasePool
	ranks       [32]rank // by the size of buffers; see largest.go
	crowdedAt   int64
	poolKept    int64  // so much pooled memory is kept, however little is held
	empty       buffer // stands for the buffer of a stream without one; never written
}

// NewArena makes an empty arena. It allocates memory only for bytes that arrived.
func NewArena(l Limits) *Arena {
	// Period 0 stands for a page that was never lent.
	a := &Arena{limits: l.normal(), period: 1}
	a.crowdedAt = a.limits.crowdedAt()
	a.poolKept = 2 * a.poolLimit()
	return a
}

// SetLimits changes SideBytes, SidePieces and TotalBytes. Streams that hold more keep it until they are
// asked to give up, see Crowded, or get the next early segment.
func (a *Arena) SetLimits(l Limits) {
	l.Policy, l.Keep, l.SlowPath = a.limits.Policy, a.limits.Keep, a.limits.SlowPath
	a.limits = l.normal()
	a.crowdedAt = a.limits.crowdedAt()
}

// Limits bounds an Arena. For the first three fields 0 means the default; a negative number means
// that no early byte is held: every hole is given up at once. There is no value for "unlimited".
type Limits struct {
	// SideBytes bounds the memory of one stream, in bytes of capacity: buffer, extents and pages.
	// Default 256 KiB, at most 256 MiB. While live bytes move to another page the old ones count
	// against TotalBytes only.
	SideBytes int
	// SidePieces bounds the islands of one stream: extents that touch are one. Default 1,024, at most
	// 1<<20.
	SidePieces int
	// TotalBytes bounds all memory: held, pooled and lent (and the tables too if Reclaim is called
	// for each packet). An eighth of it, or twice SideBytes if that is less, is reserved for
	// compaction; and see Crowded. Default 64 MiB.
	TotalBytes int64
	// Policy decides overlaps. The zero value is First.
	Policy Policy
	// Keep is how many delivered bytes of a stream are kept, so that a retransmission that differs
	// from them is a Conflict. 0 or less: none. At most 1 MiB; rounded up by a quarter at most.
	// The memory counts against TotalBytes and is not allocated if that is exhausted; it is held
	// until Finish or Drop. Only bytes that passed through Insert are kept, and none from before
	// the newest gap.
	Keep int
	// SlowPath makes Insert never use Append, its fast path, so that tests can compare both.
	SlowPath bool
}

const (
	defaultSideBytes  = 256 << 10 // of tests; the root sets it
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

// reserve is the part of the budget for bytes that move during compaction.
func (l *Limits) reserve() int64 {
	return min(2*int64(l.SideBytes), l.TotalBytes/8)
}

// Limits is the limits in force, defaults filled in.
func (a *Arena) Limits() Limits { return a.limits }

// Stats are counters of an arena since it was made. They never go down.
type Stats struct {
	Held           uint64 // segments of which bytes were held
	HeldBytes      uint64 // bytes copied into pages because they were early
	OverlapBytes   uint64 // arriving bytes that overlapped held or kept ones
	Conflicts      uint64 // Conflict items
	ConflictBytes  uint64 // their lengths
	Duplicates     uint64 // Duplicate items
	DuplicateBytes uint64 // bytes that brought no new position, late ones excepted
	Late           uint64 // Late items
	LateBytes      uint64 // their lengths
	Refused        uint64 // Refused items
	Gaps           uint64 // Gap items
	GapBytes       uint64 // their lengths
	BudgetGaps     uint64 // those of them that a limit caused
	BudgetBytes    uint64 // their lengths
	Moves          uint64 // compactions: times that all bytes of a stream moved to another page
	MovedBytes     uint64 // bytes copied by that
}

// Stats is the counters.
func (a *Arena) Stats() Stats { return a.stats }

// TotalBytes is all memory of the arena, in bytes of capacity.
func (a *Arena) TotalBytes() int64 { return a.held + a.lent + a.pooled + a.tableBytes() }

// HeldBytes is the part of TotalBytes that belongs to streams, in bytes of capacity: 0 if none has
// a buffer.
func (a *Arena) HeldBytes() int64 { return a.held }

// Held is the memory of s in bytes of capacity, and the number of pieces it holds.
func (a *Arena) Held(s *Stream) (bytes, pieces int) {
	d := a.buffer(s)
	if d == nil {
		return 0, 0
	}
	return d.cost() + len(d.kept), d.islands
}

func (a *Arena) tableBytes() int64 {
	return 8*int64(cap(a.buffers)+cap(a.freeBuffers)) + 4*int64(cap(a.freeNumbers)) +
		24*int64(cap(a.lentPages)) + 16*int64(cap(a.work.won))
}

// keepWork is the longest list of ranges that an arrival has won whose memory is kept from segment to segment.
const keepWork = 512

// Reclaim takes back the bytes lent in all Items so far. Call it once before each packet or sweep.
func (a *Arena) Reclaim() {
	a.period++
	if len(a.lentPages) != 0 || a.pooled > a.poolKept {
		a.reclaimLent()
	}
}

// reclaimLent is Reclaim for an arena that has lent memory, or pooled more than it keeps in any case.
func (a *Arena) reclaimLent() {
	for i, buf := range a.lentPages {
		a.lent -= int64(len(buf))
		a.lentPages[i] = nil
		a.recycle(buf)
	}
	a.lentPages = a.lentPages[:0]
	// The memory of one call's peak is not kept.
	if cap(a.lentPages) > 1024 {
		a.lentPages = nil
	}
	if a.pooled > 2*a.poolLimit() || a.releaseLent {
		// Not sooner: held goes up and down from packet to packet, and memory released too early
		// would be allocated again.
		a.releasePool()
	}
	a.releaseLent = false
}

// affords reports whether the budget allows to hold delta bytes more, if fresh bytes are allocated
// before the old ones are given back. Pooled memory is released first.
func (a *Arena) affords(delta, fresh int) bool {
	if a.fits(delta, fresh) {
		return true
	}
	if a.pooled == 0 {
		return false
	}
	a.releasePool()
	return a.fits(delta, fresh)
}

func (a *Arena) fits(delta, fresh int) bool {
	now := a.held + a.pooled + a.tableBytes()
	return now+int64(delta) <= a.limits.TotalBytes-a.limits.reserve() &&
		now+a.lent+int64(fresh) <= a.limits.TotalBytes
}
