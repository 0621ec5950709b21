package flowscope

import "github.com/flowscope-go/flowscope/internal/invariants"

// The short way of a driver: a side that is calm, which nearly all are, takes the
// next bytes with a few comparisons.

// plain takes the next bytes of a stream that waits for nothing.
func (d *FlowDriver[K, S]) plain(s *slot[K, driven[S]], side FlowSide, pos int64) bool {
	x := d.t.x
	if sides := &s.Value.user.sides; invariants.Enabled && sides[side].bits&sideCalm != 0 && !sides[side].waitsForNothing(&sides[side^1]) {
		panic("flowscope: a side is not as calm as it says")
	}
	n := len(x.Payload)
	if x.Missing != 0 || x.TCP.Flags&FlagURG != 0 || !s.Value.user.sides[side&1].next(pos, n) {
		return false
	}
	if n > 0 {
		d.total.Delivered += uint64(n)
		if d.t.cfg.Events.Has(EventData) {
			ev := d.t.emitSide(EventData, s, side)
			ev.Bytes, ev.Offset, ev.Len = x.Payload, pos, int64(n)
		}
	}
	return true
}

// next advances a calm side by n bytes at pos, if they are the next ones, and
// reports whether it did.
func (ds *drivenSide) next(pos int64, n int) bool {
	if ds.bits&sideCalm == 0 || n != 0 && pos+1 != ds.s.Next() {
		return false
	}
	ds.s.Advance(int64(n))
	return true
}

// calm finds out for both sides whether the next bytes with an ACK need no more
// than next. A side that is calm stays so until something else happens, and each
// thing that does ends here: so a plain segment looks at its own side only, at a
// few bytes of it.
func (d *FlowDriver[K, S]) calm(sides *[2]drivenSide) {
	for i := range sides {
		ds := &sides[i]
		if ds.bits &^= sideCalm; d.simple && ds.waitsForNothing(&sides[1-i]) {
			ds.bits |= sideCalm
		}
	}
}

func (ds *drivenSide) waitsForNothing(other *drivenSide) bool {
	return ds.bits&^sideCalm == sideOpen && ds.s.Idle() && other.plain()
}
