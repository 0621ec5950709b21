package defrag

// Outcome says what became of a fragment. The zero value is none.
type Outcome uint8

// Outcomes.
const (
	// Held: stored; the datagram waits for more.
	Held Outcome = 1 + iota
	// Complete: with this one the datagram is whole, and comes out.
	Complete
	// Whole: not a fragment but all of its datagram (RFC 6946). It comes out;
	// datagrams with the same key are left as they were.
	Whole
	// Duplicate: all its bytes are there already. Ignored.
	Duplicate
	// Conflict: as Duplicate, but they differ from those that are there, which stay. Somebody may
	// be evading, or an identification was used again too soon (RFC 4963).
	Conflict

	// TooLong: it would end behind byte 65,535. Discarded alone.
	TooLong
	// ZeroLength: no bytes. Discarded alone.
	ZeroLength
	// NotMultipleOf8: not the last, and its length no multiple of 8. Discarded alone.
	NotMultipleOf8

	// Overlap: some of its bytes are there, some are not. The datagram is dropped.
	Overlap
	// ConflictingEnd: a last fragment that ends elsewhere than another last one, or before bytes that
	// are there. The datagram is dropped.
	ConflictingEnd
	// BeyondEnd: it ends behind the end. The datagram is dropped.
	BeyondEnd
	// TooBig: it ends behind Limits.DatagramBytes. The datagram is dropped.
	TooBig
	// TooManyPieces: one more than Limits.Pieces. The datagram is dropped.
	TooManyPieces
	// Cut: the capture does not hold all of it. The datagram is dropped.
	Cut
	// NoRoom: Limits.TotalBytes are not enough for this datagram even alone. It is dropped.
	NoRoom
	// Tombstone: it belongs to a datagram that was dropped. Discarded.
	Tombstone

	numOutcomes = iota + 1
)

var outcomeNames = [numOutcomes]string{
	Held: "held", Complete: "complete", Whole: "whole", Duplicate: "duplicate", Conflict: "conflict",
	TooLong: "too long", ZeroLength: "zero length", NotMultipleOf8: "not a multiple of 8",
	Overlap: "overlap", ConflictingEnd: "conflicting end", BeyondEnd: "beyond the end", TooBig: "too big",
	TooManyPieces: "too many pieces", Cut: "cut", NoRoom: "no room", Tombstone: "tombstone",
}

// String is a few words for people.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) && outcomeNames[o] != "" {
		return outcomeNames[o]
	}
	return "none"
}

// fatal reports whether a datagram is dropped by a fragment of this outcome.
func (o Outcome) fatal() bool { return o >= Overlap && o <= NoRoom }
