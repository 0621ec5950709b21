package stream

// Item is one thing to say about a stream. Data and Gap items of a stream follow
// each other without a hole or an overlap: their lengths add up to Next. Within a
// call Duplicate, Late and Conflict come first, then Data and Gap by position.
type Item struct {
	Kind  Kind
	Cause GapCause // of a Gap
	// Shared says of a Gap for want of room that TotalBytes was the limit, not
	// one of the stream's own.
	Shared bool
	Pos    int64
	Len    int64
	// Bytes of Data: good until Arena.Begin, or until the frame is reused. Of a
	// Conflict: the arriving copy of the range; the frame's. Otherwise nil.
	Bytes []byte
	// After of Data: how far the segment reached behind these bytes. If there is
	// a hole, the capture cut that much of it off.
	After int64
	Time  int64  // of the segment the bytes came in; 0 for a Gap
	ID    uint64 // of the same segment; 0 for a Gap
}

// Kind is what an Item says.
type Kind uint8

const (
	// Data: these are the bytes of [Pos, Pos+Len).
	Data Kind = iota + 1
	// Gap: the bytes of [Pos, Pos+Len) were never seen, and were given up.
	Gap
	// Conflict: an arriving segment met bytes that were already there, and the
	// copies differ from the first to the last byte of [Pos, Pos+Len). One item for
	// each unbroken range of bytes met, whoever owned them.
	Conflict
	// Duplicate: the bytes of [Pos, Pos+Len) were delivered or held already.
	Duplicate
	// Late: the bytes of [Pos, Pos+Len) arrived after they were given up. It stands
	// for the segment; what else of it is old gets no Duplicate besides. Only the
	// newest gap of a stream is remembered; bytes of older ones are duplicates.
	Late
	// Refused: a segment that ends beyond the last position, or longer than 2 GiB.
	Refused
)

// String is the name in lower case.
func (k Kind) String() string {
	switch k {
	case Data:
		return "data"
	case Gap:
		return "gap"
	case Conflict:
		return "conflict"
	case Duplicate:
		return "duplicate"
	case Late:
		return "late"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// GapCause is why a hole was given up. Only Budget is this package's own
// decision; the others are what a caller may give as its reason.
type GapCause uint8

const (
	// Acknowledged: the receiver has confirmed the bytes, so nobody will send them again.
	Acknowledged GapCause = iota + 1
	// Expired: the hole was open for too long.
	Expired
	// Budget: there was no room to hold what lies behind the hole.
	Budget
	// Cut: the capture holds only the beginning of the packet.
	Cut
	// Ended: the stream is over.
	Ended
)

// String is the name in lower case.
func (c GapCause) String() string {
	switch c {
	case Acknowledged:
		return "acknowledged"
	case Expired:
		return "expired"
	case Budget:
		return "budget"
	case Cut:
		return "cut"
	case Ended:
		return "ended"
	}
	return "unknown"
}
