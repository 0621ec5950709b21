package stream

// Policy says who owns a byte that two segments bring. N=[ns,ne) is the arriving
// segment, O=[os,oe) the segment that owns the byte now. Both are the original
// extents: as they were sent, with the part below the delivered position and the
// part that the capture cut off. The policy concerns held bytes only; delivered
// bytes are final.
type Policy uint8

const (
	// First: O keeps the byte. The default.
	First Policy = iota
	// Last: N takes the byte.
	Last
	// Linux: N takes the byte if ns < os, or if ns == os and ne > oe. This is the
	// published pair rule of that system, not a promise to behave like it: a real
	// receiver also glues neighbours together on arrival.
	Linux
)

// String is the name as it is written in a configuration.
func (p Policy) String() string {
	switch p {
	case First:
		return "first"
	case Last:
		return "last"
	case Linux:
		return "linux"
	}
	return "unknown"
}

// takes reports whether n takes the bytes it shares with an extent of the
// segment [from, to). An unknown policy is First.
func (p Policy) takes(n *arrival, from, to int64) bool {
	switch p {
	case Last:
		return true
	case Linux:
		return n.from < from || n.from == from && n.to > to
	}
	return false
}
