package defrag

// Stats are counters since New; they never go down. Of the datagrams:
//
//	Opened = Outcomes[Complete] + Killed + TimedOut + EvictedTable + EvictedMemory + Cleared + Len()
type Stats struct {
	// Outcomes counts fragments, by Outcome.
	Outcomes [numOutcomes]uint64

	Opened        uint64 // datagrams begun
	Killed        uint64 // dropped by one of their own fragments
	TimedOut      uint64 // collected incomplete after the time-out
	EvictedTable  uint64 // left incomplete since there were Limits.Datagrams
	EvictedMemory uint64 // left incomplete since there were Limits.TotalBytes
	Cleared       uint64 // left incomplete by Clear
	Forgotten     uint64 // tombstones that left before their time
}

// Stats gives the counters.
func (t *Table[V]) Stats() Stats { return t.stats }

// Opened is that counter alone.
func (t *Table[V]) Opened() uint64 { return t.stats.Opened }

// Len is the number of datagrams that wait for fragments; tombstones do not count.
func (t *Table[V]) Len() int { return t.held.len }

// Bytes is the memory the table occupies, spares included: never more than Limits.TotalBytes. What
// V points to is not known here.
func (t *Table[V]) Bytes() int64 { return t.memory.bytes }
