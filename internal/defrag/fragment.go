package defrag

// Fragment is one fragment as its headers describe it. It is read during Add only.
type Fragment struct {
	Key
	// Offset is where Bytes belong, in bytes: 8 times the field in the header.
	Offset int
	// Bytes follow the IP header (IPv6: the fragment header). Borrowed during Add.
	Bytes []byte
	// Time in nanoseconds, from any origin. The first fragment's starts the timeout.
	Time int64
	// Wire is the length of the frame that it came in, IP that of the IP packet in the frame: they are
	// summed in Datagram. Frames is how many frames it came in, if it was inside a datagram that was
	// reassembled itself; 0 is 1.
	Wire, IP, Frames int
	// More is the header's flag: this is not the last fragment.
	More bool
	// Cut: the capture holds less than the header says. The datagram cannot be reassembled, so it is
	// dropped.
	Cut bool
}

// maxEnd is where a datagram must end: the header's length fields have 16 bits.
const maxEnd = 65535

// check says what is wrong with f alone; Held if nothing is.
func (f *Fragment) check() Outcome {
	switch {
	case f.Offset < 0 || f.Offset > maxEnd || len(f.Bytes) > maxEnd-f.Offset:
		return TooLong
	case f.Offset == 0 && !f.More:
		return Whole
	case f.Offset%unit != 0:
		return NotMultipleOf8 // no header can say this
	case f.Cut:
		return Held // its true length is not known
	case len(f.Bytes) == 0:
		return ZeroLength
	case f.More && len(f.Bytes)%unit != 0:
		return NotMultipleOf8
	}
	return Held
}

// Outcome is the verdict about a fragment. The zero value is none.
type Outcome uint8

// Outcomes.
const (
	// Held: stored; the datagram waits for more.
	Held Outcome = 1 + iota
	// Complete: the datagram is complete, and is returned.
	Complete
	// Whole: an atomic fragment, which is all of its datagram (RFC 6946). It is returned; datagrams
	// with the same key are left as they were.
	Whole
	// Duplicate: all its bytes are present already. Ignored.
	Duplicate
	// Conflict: as Duplicate, but they differ from those that are present, which stay. It may be an
	// evasion, or an identification that was used again too soon (RFC 4963).
	Conflict

	// TooLong: it would end behind byte 65,535. Discarded alone.
	TooLong
	// ZeroLength: no bytes. Discarded alone.
	ZeroLength
	// NotMultipleOf8: not the last, and its length no multiple of 8. Discarded alone.
	NotMultipleOf8

	// Overlap: some of its bytes are present, some are not. The datagram is dropped.
	Overlap
	// ConflictingEnd: a last fragment that ends elsewhere than another last one, or before bytes that
	// are present. The datagram is dropped.
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

// String is the outcome in words, such as "conflicting end".
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) && outcomeNames[o] != "" {
		return outcomeNames[o]
	}
	return "none"
}

// fatal reports whether a datagram is dropped by a fragment of this outcome.
func (o Outcome) fatal() bool { return o >= Overlap && o <= NoRoom }
