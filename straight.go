package flowscope

import (
	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/history"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// The straight way: most packets of TCP are those that their connection waits for. They are counted, and the connection
// moves on, in one function that asks each question once. It does what updateOrCreateFlow does with such a packet, or
// nothing; tests play everything both ways.
//
//	> SYN            turn, of a flow just created
//	< SYN+ACK        turn
//	> ACK            turn
//	> data, ACK      goStraight
//	< FIN, ACK       turn, until both sides are closed

// deciding are the flags that tell the segments apart.
const deciding = FlagSYN | FlagFIN | FlagRST | FlagACK

// goStraight takes the current packet to its flow if its connection simply goes on, and reports whether it did. The
// clock has followed its timestamp, and nothing about the connection is in doubt that it may decide.
func (t *FlowTracker[K, S]) goStraight(hash uint64, s *slot[K, S], wire int) bool {
	f, x, at := &s.Value.record, t.x, t.at
	if t.frames != 1 || f.classAndDirection&lagging != 0 || at != t.clock.Now() || x.Missing != 0 {
		return false
	}
	if invariants.Enabled {
		t.copyPayload()
	}
	if s != t.latest {
		t.latest, t.latestHash = s, hash
	}
	if f.bits&(isTCP|lingering) != isTCP || !x.HasTCP {
		return f.bits&(isTCP|lingering) == 0 && t.goWithoutTCP(s, wire)
	}
	side, idle, flags := (f.forward()^FlowSide(x.Orientation))&1, uint64(at)-uint64(max(f.last[0], f.last[1])), x.TCP.Flags&deciding
	if flags != FlagACK || f.conn.Turning() {
		return t.plain && t.mayTurn(f, idle, flags) && t.turn(hash, s, side, wire, flags)
	}
	if f.packetsLo[side] == 0 || idle >= t.fastTimeouts[f.classAndDirection&7] && !t.livesOn(s, idle) {
		return false
	}
	n, g := len(x.Payload), &x.TCP
	var pos int64
	var ok bool
	if f.conn.HasHole() {
		pos, ok = f.conn.FollowHole(tcp.Side(side), g.Seq, g.Ack, uint32(n), g.Window, uint8(g.Flags), uint8(g.Options), g.Timestamp, &t.doubts)
	} else {
		pos, ok = f.conn.Follow(tcp.Side(side), g.Seq, g.Ack, uint32(n), g.Window, uint8(g.Flags), uint8(g.Options), g.Timestamp)
	}
	if !ok {
		return false
	}
	f.last[side] = max(f.last[side], at) // as countStraight, which the compiler does not inline
	if f.packetsLo[side]++; f.packetsLo[side] == 0 {
		f.packetsHi[side]++
	}
	f.bytes[side], f.payload[side] = addBytes(f.bytes[side], wire), addBytes(f.payload[side], n)
	t.stats.Bytes[side] += uint64(wire)
	if t.details != nil {
		t.details.count(s.ID(), side, x.ipLen())
	}
	letter := history.ACK
	if n > 0 {
		letter = history.Data
	}
	if letter&^f.seen[side] != 0 {
		if f.addLetters(letter, side); n > 0 && f.dataMatters(side) {
			t.file(s)
		}
	}
	if t.cfg.Events.Has(EventPacket) {
		ev := t.emit(EventPacket, s)
		ev.Bytes, ev.Len = x.Payload, int64(wire)
	}
	if t.hook != nil && !t.hook.onPayload(s, side, pos) {
		t.hookInOrder(hash, s, side, pos)
	}
	return true
}

// goWithoutTCP is goStraight for a flow that is not TCP: its packets are counted.
func (t *FlowTracker[K, S]) goWithoutTCP(s *slot[K, S], wire int) bool {
	f, x := &s.Value.record, t.x
	side := (f.forward() ^ FlowSide(x.Orientation)) & 1
	if idle := uint64(t.at) - uint64(max(f.last[0], f.last[1])); idle >= t.fastTimeouts[f.classAndDirection&7] && !t.livesOn(s, idle) {
		return false
	}
	if f.packetsLo[side] == 0 {
		if f.packetsHi[side] != 0 {
			return false
		}
		f.first[side], f.last[side] = t.at, t.at
		t.table.Join(s, queueTalking) // see record.queue
	}
	t.countStraight(s, side, wire, len(x.Payload))
	if t.cfg.Events.Has(EventPacket) {
		t.emitPacket(EventPacket, s, side, wire)
	}
	if t.hookDatagrams && x.L4 == L4UDP && f.l4 == L4UDP {
		t.hook.onPayload(s, side, posDatagram)
	}
	return true
}

// countStraight counts the current packet, of n payload bytes, that is not the first one of its side.
func (t *FlowTracker[K, S]) countStraight(s *slot[K, S], side FlowSide, wire, n int) {
	f := &s.Value.record
	side &= 1
	f.last[side] = max(f.last[side], t.at)
	if f.packetsLo[side]++; f.packetsLo[side] == 0 {
		f.packetsHi[side]++
	}
	f.bytes[side] = addBytes(f.bytes[side], wire)
	f.payload[side] = addBytes(f.payload[side], n)
	t.stats.Bytes[side] += uint64(wire)
	if t.details != nil {
		t.details.count(s.ID(), side, t.x.ipLen())
	}
}

// livesOn reports whether a flow that has been idle for so long has not timed out, where fastTimeouts does not say: there
// are reports, of which none is due, or timeouts of the keys. Of a flow that opens or ends it says nothing.
func (t *FlowTracker[K, S]) livesOn(s *slot[K, S], idle uint64) bool {
	f := &s.Value.record
	switch class := f.class(); {
	case class == classLinger || class == classOpening:
		return false
	case t.reports != nil:
		return t.keyTimeout == nil && t.reports.continues(s.ID(), f, t.at, 0)
	case t.keyTimeout != nil:
		wait := t.timeout(s)
		return wait == int64(Never) || idle < uint64(wait)
	}
	return false
}

// mayTurn reports whether the flow has not timed out, and a packet with these flags begins no other connection; see
// continues and opens.
func (t *FlowTracker[K, S]) mayTurn(f *record, idle uint64, flags TCPFlags) bool {
	if flags&FlagSYN != 0 && (flags != FlagSYN|FlagACK || f.conn.State() != tcp.SynSent) {
		return false
	}
	if f.class() == classOpening {
		return idle < t.openingTimeout
	}
	return idle < t.fastTimeouts[f.classAndDirection&7]
}

// turn is goStraight for a segment without payload that may change the state of its connection.
func (t *FlowTracker[K, S]) turn(hash uint64, s *slot[K, S], side FlowSide, wire int, flags TCPFlags) bool {
	f, x := &s.Value.record, t.x
	if len(x.Payload) != 0 || f.class() == classReset {
		return false
	}
	from := f.conn.State()
	if flags&FlagSYN == 0 {
		g := &x.TCP
		if f.packetsLo[side] == 0 || !f.conn.Turn(tcp.Side(side), g.Seq, g.Ack, g.Window, uint8(g.Flags), uint8(g.Options), g.Timestamp) {
			return false
		}
		t.countStraight(s, side, wire, 0)
	} else {
		t.fillSegment(&t.segment)
		if f.packets(side) != 0 || !f.conn.TurnSYN(tcp.Side(side), &t.segment) {
			return false
		}
		f.first[side], f.last[side], f.packetsLo[side] = t.at, t.at, 1
		f.bytes[side] = addBytes(f.bytes[side], wire)
		t.stats.Bytes[side] += uint64(wire)
		if f.timeSYN(side, t.at); side == Responder {
			t.file(s) // both sides have sent packets now
		}
	}
	f.addLetters(history.LettersOf(uint8(flags), false), side)
	to := f.conn.State()
	established := from == tcp.SynReceived && to != from
	if established && f.bits&(synAckTimed|handshakeTimed) == synAckTimed {
		f.handshakeAnswered(Responder, t.at)
		f.bits |= handshakeTimed
	}
	if from != to {
		if queueOfState[from&7] != queueOfState[to&7] {
			t.file(s)
		}
		if class := classOfState[to&7]; class != f.class() && to < tcp.Closed {
			shorter := t.timeouts[class] < t.timeouts[f.classAndDirection&7]
			switch f.setClass(class); {
			case !shorter:
			case t.hook != nil && t.hook.flowStreams(s).nextTimer != 0:
				t.setTimer(s)
			default:
				t.startTimer(s, class)
			}
		}
		t.tellState(s, from, to, established)
	}
	if t.cfg.Events.Has(EventPacket) {
		t.emitPacket(EventPacket, s, side, wire)
	}
	overflow := t.hook != nil && t.hook.onTurn(s, side, from)
	switch {
	case to == tcp.Closed:
		t.endInSteps(hash, s, EndFIN)
	case overflow:
		t.endInSteps(hash, s, EndBufferOverflow)
	}
	return true
}

// timeSYN is timeHandshake for a SYN, or the answer of the responder, that is the first packet of its side.
func (f *record) timeSYN(side FlowSide, now int64) {
	if side == Initiator {
		f.setHandshake(Initiator, 0)
		f.bits |= synTimed
		return
	}
	if f.bits&(synTimed|synAckTimed) == synTimed {
		f.handshakeAnswered(Initiator, now)
	}
	f.setHandshake(Responder, 0)
	f.bits |= synAckTimed
}

// beginsStraight reports whether the current packet, which has just made a flow, is a SYN alone, at a time that the clock has followed.
func (t *FlowTracker[K, S]) beginsStraight(s *slot[K, S]) bool {
	x := t.x
	return x.HasTCP && x.Missing == 0 && t.frames == 1 && x.TCP.Flags&deciding == FlagSYN && t.at == t.clock.Now() &&
		s.Value.classAndDirection&lagging == 0
}

// straightEnd is the end of the straight way.
func (t *FlowTracker[K, S]) straightEnd(s *slot[K, S]) []FlowEvent[K] {
	if invariants.Enabled {
		t.checkFiled(s)
	}
	if len(t.pending) != 0 {
		return t.flushAnomalies()
	}
	return t.events
}

// startTimer is setTimer for a flow of that class whose idle timeout counts from now, and which waits for nothing else.
func (t *FlowTracker[K, S]) startTimer(s *slot[K, S], class timeoutClass) {
	if wait := t.timeouts[class&7]; t.plain && wait != int64(Never) {
		t.table.SetTimer(s, clock.Add(t.clock.Elapsed(), wait))
		return
	}
	t.setTimer(s)
}
