package stream

import "bytes"

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
	// published rule for two segments, not a promise to behave like that system: a real receiver
	// also joins neighbouring segments on arrival.
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

// arrivalWins reports whether n gets the bytes that it shares with an extent of the segment
// [from, to). An unknown policy is First.
func (p Policy) arrivalWins(n *arrival, from, to int64) bool {
	switch p {
	case Last:
		return true
	case Linux:
		return n.from < from || n.from == from && n.to > to
	}
	return false
}

// merger merges an arrival with the extents that it overlaps.
//
//	there      ....aaaa..bbbbbb...
//	arriving   ..NNNNNNNNNN.......
//	list       NN aaaa NN bbbbbb       (first) replaces a and b
type merger struct {
	list  []extent
	i     int // number of the first extent that it overlaps
	met   int // how many extents it overlaps
	bytes int // bytes of the arrival to be stored: those that it won
}

// merge fills m. The policy is applied here only. The cost is bounded by the number of extents
// overlapped, and so by the length of the arrival.
func (m *merger) merge(p Policy, q *extentRing, n *arrival) {
	m.list = m.list[:0]
	m.i, m.met, m.bytes = q.firstAbove(n.pos), 0, 0
	run := n.pos // everything of n below this is in the list
	for ; m.i+m.met < q.n; m.met++ {
		e := q.at(m.i + m.met)
		if e.pos >= n.end {
			break
		}
		if !p.arrivalWins(n, e.from(), e.to()) {
			m.addWon(n, run, e.pos)
			m.list = append(m.list, *e)
			run = e.end()
			continue
		}
		if e.pos < n.pos {
			m.list = append(m.list, e.part(e.pos, n.pos))
		}
		if e.end() > n.end {
			m.addWon(n, run, n.end)
			m.list = append(m.list, e.part(n.end, e.end()))
			run = n.end
		}
	}
	m.addWon(n, run, n.end)
}

// addWon adds [lo, hi) as the arrival's to the list, if the range is not empty.
func (m *merger) addWon(n *arrival, lo, hi int64) {
	if lo < hi {
		m.list = append(m.list, n.extent(lo, hi))
		m.bytes += int(hi - lo)
	}
}

// compareHeld compares an arrival with the held bytes that it overlaps, whoever wins them later,
// and returns how many bytes overlap.
//
//	there      aaaaaabbbb....cccc
//	arriving      aaXbYb..NNNc        one Conflict "XbY", none for c
func (a *Arena) compareHeld(d *buffer, n *arrival, out *[]Item) int64 {
	var met, end, first, last int64 // last > first: a difference in the overlap that ends at end
	for i := d.firstAbove(n.pos); i < d.n; i++ {
		e := d.at(i)
		if e.pos >= n.end {
			break
		}
		lo, hi := max(e.pos, n.pos), min(e.end(), n.end)
		if lo != end {
			a.reportConflict(n, first, last, out)
			first, last = 0, 0
		}
		x, y := difference(n.bytes[lo-n.pos:hi-n.pos], d.page(e).bytes(e)[lo-e.pos:hi-e.pos])
		if x < y {
			if first == last {
				first = lo + int64(x)
			}
			last = lo + int64(y)
		}
		met += hi - lo
		end = hi
	}
	a.reportConflict(n, first, last, out)
	a.stats.OverlapBytes += uint64(met)
	return met
}

// reportConflict reports that the arrival differs in [first, last), if the range is not empty.
func (a *Arena) reportConflict(n *arrival, first, last int64, out *[]Item) {
	if first == last {
		return
	}
	a.stats.Conflicts++
	a.stats.ConflictBytes += uint64(last - first)
	*out = append(*out, Item{
		Kind: Conflict, Pos: first, Len: last - first, Time: n.time, ID: n.id,
		Bytes: n.bytes[first-n.pos : last-n.pos],
	})
}

// difference is the range from the first to the last byte in which two copies
// differ; empty if they do not.
func difference(x, y []byte) (first, end int) {
	if bytes.Equal(x, y) {
		return 0, 0
	}
	end = min(len(x), len(y))
	for first < end && x[first] == y[first] {
		first++
	}
	for end > first && x[end-1] == y[end-1] {
		end--
	}
	return first, end
}
