package stream

import "math"

// Skip gives up every hole below upTo: one Gap for each, and the held bytes
// behind it in order, up to the first hole at or above upTo. Of a hole that
// reaches beyond upTo only the part below is given up. Next is upTo or more then.
func (a *Arena) Skip(s *Stream, upTo int64, cause GapCause, out *[]Item) {
	d := a.side(s)
	for s.next < upTo {
		end := upTo
		if d != nil && d.n > 0 {
			end = min(end, d.at(0).pos)
		}
		a.giveUp(s, d, end, cause, out)
		a.deliverHeld(s, d, math.MaxInt, out)
	}
	a.settle(s, d)
}

// Finish delivers everything held with the gaps between, gives up what is known
// to be missing behind it, up to end if that is more (-1: not known), and
// releases all memory of the stream. Next is the final length then.
func (a *Arena) Finish(s *Stream, end int64, cause GapCause, out *[]Item) {
	d := a.side(s)
	for d != nil && d.n > 0 {
		a.giveUp(s, d, d.at(0).pos, cause, out)
		a.deliverHeld(s, d, math.MaxInt, out)
	}
	if d != nil {
		end = max(end, d.known)
	}
	if end > s.next {
		a.giveUp(s, d, end, cause, out)
	}
	a.Drop(s)
}

// Drop releases all memory of the stream and says nothing. Next stays.
func (a *Arena) Drop(s *Stream) {
	if d := a.side(s); d != nil {
		a.close(s, d)
	}
}
