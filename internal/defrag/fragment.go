package defrag

// Fragment is one fragment as its headers describe it. It is read during Add only.
type Fragment struct {
	Key
	// Offset is where Bytes belong, in bytes: 8 times the field in the header.
	Offset int
	// Bytes follow the IP header (IPv6: the fragment header). Borrowed during Add.
	Bytes []byte
	// Time in nanoseconds, from any origin. The first fragment's starts the time-out.
	Time int64
	// Wire is the length of the frame that brought it, to be summed in Datagram.Wire. Frames is how many
	// brought it, if it came in a datagram that was put together itself; 0 is 1.
	Wire, Frames int
	// More is the header's flag: this is not the last fragment.
	More bool
	// Cut: the capture holds less than the header promises. The datagram can never be
	// put together, so it is dropped.
	Cut bool
}

// maxEnd is where a datagram must end: the header's length fields have 16 bits.
const maxEnd = 65535

// check says what is wrong with f in itself; Held if nothing is.
func (f *Fragment) check() Outcome {
	switch {
	case f.Offset < 0 || f.Offset > maxEnd || len(f.Bytes) > maxEnd-f.Offset:
		return TooLong
	case f.Offset == 0 && !f.More:
		return Whole
	case f.Offset%unit != 0:
		return NotMultipleOf8 // no header can say this
	case f.Cut:
		return Held // its true length is not known, nor whether it is at fault
	case len(f.Bytes) == 0:
		return ZeroLength
	case f.More && len(f.Bytes)%unit != 0:
		return NotMultipleOf8
	}
	return Held
}
