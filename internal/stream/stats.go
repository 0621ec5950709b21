package stream

// Stats are counters of an arena since it was made. They never go down.
type Stats struct {
	Held           uint64 // segments of which something was held
	HeldBytes      uint64 // bytes copied because they were early
	OverlapBytes   uint64 // arriving bytes that met held or remembered ones
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
	Moves          uint64 // times that the bytes of a stream moved to another buffer
	MovedBytes     uint64 // bytes copied by that
}

// Stats gives the counters.
func (a *Arena) Stats() Stats { return a.stats }
