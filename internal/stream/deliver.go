package stream

import "math"

// deliver says that [pos, pos+len(b)) is b, pos being next.
func (a *Arena) deliver(s *Stream, d *side, e *extent, b []byte, out *[]Item) {
	*out = append(*out, Item{Kind: Data, Pos: s.next, Len: int64(len(b)), Bytes: b, After: int64(e.after), Time: e.time, ID: e.id})
	s.next += int64(len(b))
	if d != nil {
		d.remember(b)
	}
}

// deliverHeld delivers what is contiguous with next, at most k extents, and
// tells how many it was.
func (a *Arena) deliverHeld(s *Stream, d *side, k int, out *[]Item) int {
	if d == nil {
		return 0
	}
	done := 0
	for ; done < k && done < d.n; done++ {
		e := d.at(done)
		if e.pos != s.next {
			break
		}
		p := d.page(e)
		p.lent = a.period
		a.deliver(s, d, e, p.bytes(e), out)
		a.drop(d, e)
	}
	if done > 0 {
		d.pop(done)
	}
	return done
}

// deliverMerged delivers a list that begins at next, and what follows it. Nothing
// is in front of the list any more.
//
//	there      ....aaaa....bb..cc      next = 0
//	arriving   NNNNNNNNNNNN
//	(first)    NNNN|aaaa|NNNN|bb       four items, no copy
func (a *Arena) deliverMerged(s *Stream, d *side, m *merger, n *arrival, out *[]Item) {
	for i := range m.list {
		e := &m.list[i]
		if e.off == inFrame {
			lo, hi := e.pos-n.pos, e.end()-n.pos
			a.deliver(s, d, e, n.bytes[lo:hi:hi], out)
			continue
		}
		p := d.page(e)
		p.lent = a.period
		a.deliver(s, d, e, p.bytes(e), out)
	}
	if m.met > 0 {
		for i := range m.met {
			a.drop(d, d.at(i))
		}
		d.pop(m.met)
	}
	a.deliverHeld(s, d, math.MaxInt, out)
}

// giveUp makes [next, end) a gap. It costs the same whatever its length.
func (a *Arena) giveUp(s *Stream, d *side, end int64, cause GapCause, out *[]Item) {
	size := end - s.next
	*out = append(*out, Item{Kind: Gap, Cause: cause, Shared: cause == Budget && a.crowded, Pos: s.next, Len: size})
	s.next, s.gapEnd, s.gapLen = end, end, saturate(size)
	a.stats.Gaps++
	a.stats.GapBytes += uint64(size)
	if cause == Budget {
		a.stats.BudgetGaps++
		a.stats.BudgetBytes += uint64(size)
	}
	if d != nil {
		d.forget()
	}
}
