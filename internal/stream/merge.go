package stream

// merger is the result of laying an arrival over the extents that it meets.
//
//	there      ....aaaa..bbbbbb...
//	arriving   ..NNNNNNNNNN.......
//	list       NN aaaa NN bbbbbb       (first) what takes the place of a and b
type merger struct {
	list  []extent
	i     int // extents in front of those that it meets
	met   int // extents that it meets
	bytes int // of the arrival, to be stored: those that it won
}

// merge fills m. It is the one place that asks the policy. The cost is bounded by
// the extents met, and so by the length of the arrival.
func (m *merger) merge(p Policy, q *ranges, n *arrival) {
	m.list = m.list[:0]
	m.i, m.met, m.bytes = q.after(n.pos), 0, 0
	run := n.pos // everything of n below this is in the list
	for ; m.i+m.met < q.n; m.met++ {
		e := q.at(m.i + m.met)
		if e.pos >= n.end {
			break
		}
		if !p.takes(n, e.from(), e.to()) {
			m.won(n, run, e.pos)
			m.list = append(m.list, *e)
			run = e.end()
			continue
		}
		if e.pos < n.pos {
			m.list = append(m.list, e.part(e.pos, n.pos))
		}
		if e.end() > n.end {
			m.won(n, run, n.end)
			m.list = append(m.list, e.part(n.end, e.end()))
			run = n.end
		}
	}
	m.won(n, run, n.end)
}

// won notes that [lo, hi) is the arrival's, if there is such a range.
func (m *merger) won(n *arrival, lo, hi int64) {
	if lo < hi {
		m.list = append(m.list, n.piece(lo, hi))
		m.bytes += int(hi - lo)
	}
}
