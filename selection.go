package flowscope

import (
	"math/bits"
	"slices"

	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/session"
)

// The selection of a parser: the first bytes of each side of a flow are shown to the factories, and held
// until one of them recognises them.

// firstBytes are the first bytes of a flow, in the pieces in which they came.
type firstBytes struct {
	bytes  [2][]byte
	pieces []item // without Bytes: those lie in bytes, one after another
	cost   int64
}

// pieceCost is the memory of a piece beside its bytes.
const pieceCost = 160

// decide asks the factories about a flow that has no parser. e is its session, nil if it has none
// yet. it is what came. It returns the session if that has got a parser, which is to be told it next.
func (ps *parsers) decide(e *openSession, it *item) *openSession {
	probe := Probe{L4: ps.flow.l4, Side: it.Side, Ports: ps.flow.ports}
	var held []byte
	var excluded uint64
	complete := ps.flow.l4 == L4UDP || it.kind == itemClosed
	if e != nil {
		e.share.Used = e.share.Used || e.opened != ps.call
		probe.Ports = e.ports
		side := &e.sides[it.Side]
		if it.kind == itemClosed {
			side.bits |= sessionComplete
		}
		if side.bits&sessionUnrecognised != 0 {
			return nil
		}
		if it.kind == itemGap {
			ps.forgetSide(e, it.Side)
			return nil
		}
		held, excluded, probe.Handover = e.first.bytes[it.Side], e.excluded, e.before
	} else {
		var sides uint8
		if sides, probe.Handover = ps.flow.ref.Asked(); it.kind != itemData || sides>>it.Side&1 != 0 {
			return nil
		}
	}
	fresh := it.Bytes
	if ps.flow.l4 == L4TCP {
		fresh = fresh[:min(len(fresh), MaxProbe-len(held))]
	}
	if probe.First = fresh; len(held) > 0 {
		if !ps.holdFirst(e, it.Side, fresh) {
			return nil
		}
		probe.First = e.first.bytes[it.Side]
	}
	if len(probe.First) == 0 {
		return nil
	}
	a := it.answer
	if !a.known {
		set := ps.datagrams
		if probe.L4 == L4TCP {
			set = ps.wantedBy(probe.First) | ps.beginnings.hinted(probe.Ports)
		}
		a = ps.ask(&probe, set&^excluded, complete)
	}
	switch a.verdict {
	case VerdictYes:
		return ps.start(e, int(a.factory), it)
	case VerdictNo:
		ps.unrecognised(e, it.Side)
	default:
		if e == nil {
			if e = ps.open(); e == nil {
				return nil
			}
			ps.attachFirst(e)
		}
		if len(held) == 0 && !ps.holdFirst(e, it.Side, fresh) {
			return nil
		}
		e.first.add(it)
	}
	return nil
}

// ask asks the factories of a set in their order. If the first bytes are complete, Maybe is No.
func (ps *parsers) ask(p *Probe, set uint64, complete bool) answer {
	for ; set != 0; set &= set - 1 {
		i := bits.TrailingZeros64(set)
		switch ps.factories[i].Probe(*p) {
		case VerdictYes:
			return answer{true, VerdictYes, uint8(i)}
		case VerdictMaybe:
			if !complete && !(p.L4 == L4TCP && len(p.First) == MaxProbe) {
				return answer{true, VerdictMaybe, uint8(i)} // whatever later factories say
			}
		}
	}
	return answer{known: true}
}

// askFirst asks the factories about the first bytes of a side of a connection without a session, before
// anything else is done for them: of most connections that no parser wants nothing else is. Otherwise the answer
// is for the call of data with these bytes.
func (ps *parsers) askFirst(ref *session.Ref, side FlowSide, b []byte, ports [2]uint16) answer {
	a := answer{known: true}
	sides, before := ref.Asked()
	if set := ps.wantedBy(b) | ps.beginnings.hinted(ports); set != 0 {
		a = ps.ask(&Probe{L4: L4TCP, Side: side, First: b[:min(len(b), MaxProbe)], Ports: ports, Handover: before}, set, false)
	}
	if a.verdict == VerdictNo {
		*ref = ps.asked(sides|1<<(side&1), before)
	}
	return a
}

// start gives the flow a parser of a factory. It returns the session if the item that has decided is
// to be told next, nil if first bytes are held that come before it, or if there is no room.
func (ps *parsers) start(e *openSession, number int, it *item) *openSession {
	if e == nil {
		if e = ps.open(); e == nil || !ps.adopt(e, number) {
			return nil
		}
		return e
	}
	e.sides[it.Side].bits &^= sessionComplete // it is yet to be fed
	f := e.first
	ps.stack = f.replay(append(ps.stack, *it))
	ps.lent = append(ps.lent, f)
	ps.budget.Add(ps.flow.ref.Place(), -f.cost)
	ps.detachFirst(e)
	ps.adopt(e, number)
	return nil
}

// attachFirst begins to hold the first bytes of a session.
func (ps *parsers) attachFirst(e *openSession) {
	if n := len(ps.spare); n > 0 {
		e.first, ps.spare[n-1], ps.spare = ps.spare[n-1], nil, ps.spare[:n-1]
	} else {
		e.first = new(firstBytes)
	}
	ps.stats.Undecided++
}

// detachFirst detaches the first bytes from a session.
func (ps *parsers) detachFirst(e *openSession) {
	ps.stats.Undecided--
	ps.stats.FirstBytes -= e.first.cost
	e.first = nil
}

// dropFirst drops the first bytes of a session, if it has any.
func (ps *parsers) dropFirst(e *openSession) {
	if f := e.first; f != nil {
		ps.detachFirst(e)
		ps.pool(f)
	}
}

// holdFirst adds to the first bytes of a side. If there is no room, it ends the session and reports false.
func (ps *parsers) holdFirst(e *openSession, side FlowSide, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	cost := int64(2*len(b) + pieceCost) // twice, since memory grows by doubling
	if !ps.charge(ps.flow.ref.Place(), cost) {
		ps.leave(session.Unread)
		ps.refuse()
		return false
	}
	e.first.cost += cost
	ps.stats.FirstBytes += cost
	e.first.bytes[side] = append(e.first.bytes[side], b...)
	return true
}

// add notes a piece, whose bytes are kept already.
func (f *firstBytes) add(it *item) {
	if len(it.Bytes) > 0 {
		p := *it
		p.n, p.Bytes = int64(len(it.Bytes)), nil
		f.pieces = append(f.pieces, p)
	}
}

// replay puts the pieces on the stack, so that they come off in the order of their arrival.
func (f *firstBytes) replay(stack []item) []item {
	at := len(stack)
	var from [2]int64
	for _, p := range f.pieces {
		p.Bytes = f.bytes[p.Side][from[p.Side] : from[p.Side]+p.n : from[p.Side]+p.n]
		from[p.Side] += p.n
		stack = append(stack, p)
	}
	slices.Reverse(stack[at:])
	return stack
}

// unrecognised notes that no factory recognises the first bytes of a side.
func (ps *parsers) unrecognised(e *openSession, side FlowSide) {
	if e != nil {
		e.sides[side].bits |= sessionUnrecognised
		ps.forgetSide(e, side)
		return
	}
	sides, before := ps.flow.ref.Asked()
	*ps.flow.ref = ps.asked(sides|1<<side, before)
}

// forgetSide drops the first bytes of a side, and the session if it holds none any more.
func (ps *parsers) forgetSide(e *openSession, side FlowSide) {
	f := e.first
	f.bytes[side] = f.bytes[side][:0]
	f.pieces = slices.DeleteFunc(f.pieces, func(p item) bool { return p.Side == side })
	if len(f.pieces) > 0 {
		return
	}
	var sides uint8
	for i := range e.sides {
		if e.sides[i].bits&sessionUnrecognised != 0 {
			sides |= 1 << i
		}
	}
	before := e.before
	ps.leave(0)
	*ps.flow.ref = ps.asked(sides, before)
}

// asked is the reference of a flow without a session, of which no factory recognises these sides.
func (ps *parsers) asked(sides uint8, before bool) session.Ref {
	ref := session.Asked(sides, before)
	if ref == session.Unread {
		ps.stats.Unwanted++
	}
	return ref
}

// pool keeps the memory of first bytes for another flow.
func (ps *parsers) pool(f *firstBytes) {
	invariants.Trample(f.bytes[0])
	invariants.Trample(f.bytes[1])
	if len(ps.spare) < keepFirst && cap(f.pieces) <= 64 && !invariants.Enabled {
		f.pieces, f.cost = f.pieces[:0], 0
		f.bytes = [2][]byte{f.bytes[0][:0], f.bytes[1][:0]}
		ps.spare = append(ps.spare, f)
	}
}
