package stream

// ranges are the extents of one side: sorted, disjoint, in a ring, so that
// delivery at the front costs nothing and an insertion moves the shorter side.
//
//	          head
//	ring [ C D  .  .  A B ]     n = 4
type ranges struct {
	ring []extent
	head int
	n    int
}

// at is the extent number i, counted from the front.
func (q *ranges) at(i int) *extent {
	i += q.head
	if i >= len(q.ring) {
		i -= len(q.ring)
	}
	return &q.ring[i]
}

// after is the number of the first extent that ends above pos.
func (q *ranges) after(pos int64) int {
	// Most early data lies behind all that is held.
	if q.n == 0 || q.at(q.n-1).end() <= pos {
		return q.n
	}
	lo, hi := 0, q.n-1
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if q.at(mid).end() > pos {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// pop takes k extents from the front.
func (q *ranges) pop(k int) {
	q.n -= k
	q.head += k
	if q.head >= len(q.ring) {
		q.head -= len(q.ring)
	}
	if q.n == 0 {
		q.head = 0
	}
}

// splice puts list in the place of the extents [i, j). The ring must have room.
func (q *ranges) splice(i, j int, list []extent) {
	grow := len(list) - (j - i)
	switch {
	case grow == 0:
	case q.n-j <= i:
		q.move(j, j+grow, q.n-j)
	default:
		// The front moves the other way, and the numbering with it.
		q.head -= grow
		if q.head < 0 {
			q.head += len(q.ring)
		} else if q.head >= len(q.ring) {
			q.head -= len(q.ring)
		}
		q.move(grow, 0, i)
	}
	q.n += grow
	for k := range list {
		*q.at(i + k) = list[k]
	}
}

// move copies k extents from number src to number dst, which may overlap and
// may count from a front that is not there yet.
func (q *ranges) move(src, dst, k int) {
	if src < dst {
		for i := k - 1; i >= 0; i-- {
			*q.slot(dst + i) = *q.slot(src + i)
		}
		return
	}
	for i := range k {
		*q.slot(dst + i) = *q.slot(src + i)
	}
}

// slot is at for numbers from -len(ring) to 2*len(ring).
func (q *ranges) slot(i int) *extent {
	i += q.head
	if i < 0 {
		i += len(q.ring)
	} else if i >= len(q.ring) {
		i -= len(q.ring)
	}
	return &q.ring[i]
}

// rehouse moves the extents to another ring and gives the old one back.
func (q *ranges) rehouse(ring []extent) []extent {
	for i := range q.n {
		ring[i] = *q.at(i)
	}
	old := q.ring
	q.ring, q.head = ring, 0
	return old
}
