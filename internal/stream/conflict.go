package stream

import "bytes"

// compare holds an arrival against the held bytes that it meets, whoever wins
// them later, and tells how many it met.
//
//	there      aaaaaabbbb....cccc
//	arriving      aaXbYb..NNNc        one Conflict "XbY", none for c
func (a *Arena) compare(d *side, n *arrival, out *[]Item) int64 {
	var met, end, first, last int64 // last > first: a difference in the range that ends at end
	for i := d.after(n.pos); i < d.n; i++ {
		e := d.at(i)
		if e.pos >= n.end {
			break
		}
		lo, hi := max(e.pos, n.pos), min(e.end(), n.end)
		if lo != end {
			a.conflict(n, first, last, out)
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
	a.conflict(n, first, last, out)
	a.stats.OverlapBytes += uint64(met)
	return met
}

// conflict reports that the arrival differs in [first, last), if that is a range.
func (a *Arena) conflict(n *arrival, first, last int64, out *[]Item) {
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
