package flowscope

// TrackerStats counts what a tracker has seen since it was made.
// FlowsCreated is always FlowsEnded + FlowsActive.
type TrackerStats struct {
	Packets uint64 // given to Track
	// PacketsUnmatched counts packets that belong to no flow, and Refused the
	// same by Refusal.
	PacketsUnmatched uint64
	Refused          [numRefusals]uint64
	PacketsLate      uint64 // of connections that had ended

	FlowsCreated   uint64
	FlowsEnded     uint64
	Ended          [numEndReasons]uint64 // FlowsEnded by EndReason
	FlowsEvicted   uint64                // Ended[EndEvicted]
	FlowsActive    uint64                // live now
	FlowsLingering uint64                // ended, remembered for their late packets

	ClockBackward uint64 // stamps before the time already reached
	ClockSuspects uint64 // stamps far ahead that were not believed at once
	ClockJumps    uint64 // leaps that two stamps agreed on
}
