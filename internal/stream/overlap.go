package stream

import (
	"bytes"
	"math"
)

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

// merger decides which bytes of an arrival are its own.
//
//	there      ....aaaa..bbbbbb...     two islands
//	arriving   ..NNNNNNNNNN.......
//	(first)    ..NNaaaaNNbbbbbb...     won: two ranges; one island afterwards
type merger struct {
	won     []wonRange // that the arrival gets, sorted; they do not touch
	bytes   int        // the sum of their lengths
	first   int64      // where the arrival begins, or the first extent that it overlaps
	since   int64      // when the hole in front of that was first seen
	extents int        // how many more there are afterwards, at most
	islands int        // how many there are afterwards
	blocks  int        // of the extents that it overlaps
	looked  uint64     // extents that were looked at one by one, since the beginning; for tests
}

// wonRange is the range [lo, hi).
type wonRange struct{ lo, hi int64 }

// merge fills m. The policy is applied here only. A linear block that leaves the arrival nothing is passed
// over.
func (m *merger) merge(p Policy, q *extentList, n *arrival) {
	m.won, m.bytes, m.first, m.blocks = m.won[:0], 0, n.pos, 0
	at, begin := n.at, q.at(n.at)
	holes, split := 0, 0 // of the arrival, which it fills
	if begin != nil && begin.pos < n.end {
		m.first = min(m.first, begin.pos)
	}
	run, covered := n.pos, n.pos     // all bytes of the arrival below are decided; and of its holes
	keeps := p != Last && p != Linux // what is there stays
	after := int64(math.MaxInt64)    // where the first extent behind the arrival begins
	for b := at.b; b < len(q.blocks) && after == math.MaxInt64; b++ {
		blk := &q.blocks[b]
		list := blk.extents()
		if b == at.b {
			list = list[at.k:]
		}
		if list[0].pos >= n.end {
			after = list[0].pos
			break
		}
		m.blocks++
		if blk.state == linear && (keeps || p == Linux && blk.maxFrom < n.from) {
			if list[0].pos > covered {
				holes++
			}
			m.addWon(run, list[0].pos)
			covered = blk.back().end()
			run = covered
			continue
		}
		for i := range list {
			e := &list[i]
			if e.pos >= n.end {
				after, list = e.pos, list[:i]
				break
			}
			if e.pos > covered {
				holes++
			}
			covered = e.end()
			if keeps || !p.arrivalWins(n, e.from(), e.to()) {
				m.addWon(run, e.pos)
				run = covered
			} else if e.pos < n.pos && covered > n.end {
				split = 1
			}
		}
		m.looked += uint64(len(list))
	}
	if covered < n.end {
		holes++
	}
	m.addWon(run, n.end)
	m.extents = len(m.won) + split
	m.islands = q.islands + 1 - q.joined(at, n, holes, covered, after)
}

// joined is the number of islands that an arrival overlaps or touches. It fills so many holes; held bytes
// reach up to covered, and others begin at after.
func (q *extentList) joined(at place, n *arrival, holes int, covered, after int64) int {
	if holes == 0 {
		return 1
	}
	islands := holes - 1 // that lie between two of them
	if e := q.at(at); e != nil && e.pos <= n.pos {
		islands++ // the arrival begins in one
	} else if e := q.before(at); e != nil && e.end() == n.pos {
		islands++
	}
	if covered >= n.end || after == n.end {
		islands++
	}
	return islands
}

// addWon adds [lo, hi) to the ranges that the arrival gets, if it is not empty.
func (m *merger) addWon(lo, hi int64) {
	if lo < hi {
		m.won = append(m.won, wonRange{lo, hi})
		m.bytes += int(hi - lo)
	}
}

// compareHeld compares an arrival with the held bytes that it overlaps, whoever wins them later,
// and returns how many bytes overlap.
//
//	there      aaaaaabbbb....cccc
//	arriving      aaXbYb..NNNc        one Conflict "XbY", none for c
func (a *Arena) compareHeld(d *buffer, n *arrival, out *[]Item) int64 {
	c, at := comparison{n: n}, n.at
	for b := at.b; b < len(d.blocks); b++ {
		blk := &d.blocks[b]
		list := blk.extents()
		if b == at.b {
			list = list[at.k:]
		}
		if list[0].pos >= n.end {
			break
		}
		if blk.state == linear || blk.state == compared && n.pos <= blk.front().pos && blk.back().end() <= n.end && a.straighten(d, b) {
			e := list[0]
			e.n = uint32(blk.back().end() - e.pos)
			a.compare(&c, &e, d.page(&e).bytes(&e), out)
			continue
		}
		if len(list) >= minLinear {
			blk.state = compared
		}
		p := d.page(&list[0])
		for i := range list {
			e := &list[i]
			if e.pos >= n.end {
				list = list[:i]
				break
			}
			if e.off-p.base >= uint32(len(p.buf)) {
				p = d.page(e)
			}
			a.compare(&c, e, p.bytes(e), out)
		}
		a.work.looked += uint64(len(list))
	}
	a.reportConflict(n, c.first, c.last, out)
	a.stats.OverlapBytes += uint64(c.met)
	return c.met
}

// comparison is what compareHeld has found.
type comparison struct {
	n           *arrival
	met         int64 // bytes that overlap
	end         int64 // where the overlap ends that is looked at
	first, last int64 // last > first: a difference in that
}

// compare compares the arrival with held bytes, those of e.
func (a *Arena) compare(c *comparison, e *extent, held []byte, out *[]Item) {
	n := c.n
	lo, hi := max(e.pos, n.pos), min(e.end(), n.end)
	if lo != c.end {
		a.reportConflict(n, c.first, c.last, out)
		c.first, c.last = 0, 0
	}
	x, y := difference(n.bytes[lo-n.pos:hi-n.pos], held[lo-e.pos:hi-e.pos])
	if x < y {
		if c.first == c.last {
			c.first = lo + int64(x)
		}
		c.last = lo + int64(y)
	}
	c.met += hi - lo
	c.end = hi
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
