package flowscope

import (
	"fmt"
	"math"

	"github.com/flowscope-go/flowscope/internal/direction"
	"github.com/flowscope-go/flowscope/internal/session"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// The feed of a driver's parsers, and the events of their messages. Bytes, gaps and closed sides go to
// the parsers where their events are emitted, wanted or not, so a message stands right behind the event
// that it comes from.

// UseParsers makes the driver read application protocols: each message of the parsers of these
// factories is an EventMessage. The factories are asked in this order. Call it once, before the first
// packet; the error wraps ErrConfig. If Config.Events leaves out EventMessage no parser runs.
//
// The parsers read the bytes of EventData and the payload of UDP flows. If neither EventData nor
// EventGap is wanted, the bytes of a side that a parser has stopped are no longer put in order, as if the
// caller had called Stop; nor are those of both sides if no parser reads the connection any more.
func (d *FlowDriver[K, S]) UseParsers(factories ...ParserFactory) error {
	if d.parsers != nil || d.t.stats.Packets != 0 {
		return fmt.Errorf("%w: UseParsers is for once, before the first packet", ErrConfig)
	}
	ps, err := newParsers(d.t.cfg.SessionBytes, factories)
	if err != nil {
		return err
	}
	ps.flow.ref, ps.flow.stopped = &d.sessionRef, &d.sessionStopped
	d.parsers = ps
	d.keyPorts = portsOfKey[K]()
	events := d.t.cfg.Events
	d.parsing = len(factories) > 0 && events.Has(EventMessage)
	d.stopUnread = d.parsing && d.factory == nil && !events.Has(EventData) && !events.Has(EventGap)
	for i := range ps.factories {
		d.t.hookDatagrams = d.t.hookDatagrams || d.parsing && ps.factories[i].datagram != nil
	}
	return nil
}

// feedData gives the parsers the next bytes of a side.
func (d *FlowDriver[K, S]) feedData(s *slot[K, driverState[S]], side FlowSide, b []byte, offset int64, at Timestamp, packet uint64) {
	dirs := &s.Value.user.directions
	ref := sessionRefOf(dirs)
	if ref.Ignores(uint8(side)) || dirs[side&1].Unheard {
		return
	}
	var a answer
	if ref.Undecided() {
		from, to := d.keyPorts(&s.Key)
		if a = d.parsers.askFirst(&ref, side, b, portsBySide(from, to, s.Value.forward())); a.verdict == VerdictNo {
			setSessionRef(dirs, ref)
			if d.stopUnread && (ref == session.Unread || dirs[side&1^1].Unheard) {
				d.unread = 0b11
			}
			return
		}
	}
	d.beginParsing(s, d.t.clock.Elapsed())
	d.parsers.data(Chunk{Side: side, Bytes: b, Offset: offset, Time: at, Packet: packet}, a)
	d.endParsing(s)
}

// feedGap gives the parsers a gap of a side.
func (d *FlowDriver[K, S]) feedGap(s *slot[K, driverState[S]], side FlowSide, offset, n int64) {
	if ref := sessionRefOf(&s.Value.user.directions); ref == session.Unread || ref.Undecided() || s.Value.user.directions[side&1].Unheard {
		return
	}
	d.beginParsing(s, d.t.clock.Elapsed())
	d.parsers.gap(side, offset, n)
	d.endParsing(s)
}

// feedClosed gives the parsers the end of a side's stream.
func (d *FlowDriver[K, S]) feedClosed(s *slot[K, driverState[S]], side FlowSide, reason EndReason) {
	if sessionRefOf(&s.Value.user.directions).Place() == 0 || s.Value.user.directions[side&1].Unheard {
		return // a parked flow gets no calls, and of any other no bytes are held
	}
	d.beginParsing(s, d.t.clock.Elapsed())
	d.parsers.closed(side, reason)
	d.endParsing(s)
}

// onDatagram gives the parsers the payload of the current packet, which is a UDP datagram.
func (d *FlowDriver[K, S]) onDatagram(s *slot[K, driverState[S]], side FlowSide) {
	if sessionRefOf(&s.Value.user.directions).Ignores(uint8(side)) || s.Value.user.directions[side&1].Unheard {
		return
	}
	x := d.t.x
	d.beginParsing(s, d.t.clock.Elapsed())
	d.parsers.data(Chunk{
		Side: side, Bytes: x.Payload, Missing: x.Missing, Time: Timestamp(d.t.at), Packet: d.t.packetID,
	}, answer{})
	d.endParsing(s)
	d.unread = 0 // there is no stream to stop
}

// feedEnded gives the parsers the end of a flow.
func (d *FlowDriver[K, S]) feedEnded(s *slot[K, driverState[S]], reason EndReason) {
	if sessionRefOf(&s.Value.user.directions).Place() == 0 {
		return
	}
	d.beginParsing(s, d.t.clock.Elapsed())
	d.parsers.ended(reason)
	d.endParsing(s)
}

// runParserTimer calls OnTimer of the flow's parser if it is due, and returns when it is due next;
// math.MaxInt64 is never.
func (d *FlowDriver[K, S]) runParserTimer(s *slot[K, driverState[S]], now int64) int64 {
	if !d.parsing || sessionRefOf(&s.Value.user.directions).Place() == 0 {
		return math.MaxInt64
	}
	d.beginParsing(s, now)
	wake := d.parsers.wake()
	d.emitMessages(s)
	if wake == 0 {
		return math.MaxInt64
	}
	return wake
}

// beginParsing makes the flow the current one of the parsers, and calls the OnTimer that is due.
func (d *FlowDriver[K, S]) beginParsing(s *slot[K, driverState[S]], now int64) {
	ps := d.parsers
	if ps.call != d.calls {
		ps.begin(d.calls)
		d.emittedMessages = 0
	}
	f := &ps.flow
	d.sessionStopped = unheardSides(&s.Value.user.directions)
	d.sessionFlow, d.sessionRef = s.ID(), sessionRefOf(&s.Value.user.directions)
	f.id, f.l4 = s.Value.id, s.Value.l4
	f.elapsed, f.now, f.at, f.packet, f.limited = now, Timestamp(d.t.clock.TimeAt(now)), Timestamp(d.t.at), d.t.packetID, false
	if now < d.t.clock.Elapsed() {
		f.at = f.now // the flow ended then
	}
	if d.sessionRef.Place() != 0 {
		ps.onTimer() // the parser may leave the flow, or have been evicted
	}
	if d.sessionRef.Place() == 0 {
		from, to := d.keyPorts(&s.Key)
		f.ports = portsBySide(from, to, s.Value.forward())
	}
}

// afterPanic saves the reference of the flow whose parser panicked in the last call.
func (d *FlowDriver[K, S]) afterPanic() {
	if d.t.table.Has(d.sessionFlow) {
		d.saveSessionRef(d.t.table.At(d.sessionFlow))
	}
	d.sessionFlow = 0
}

// endParsing emits the messages of the parsers, and sets the flow's timer for them.
func (d *FlowDriver[K, S]) endParsing(s *slot[K, driverState[S]]) {
	wake := d.parsers.wake()
	d.emitMessages(s)
	d.t.clock.Reach(wake - d.t.clock.Elapsed())
	if st := &s.Value.user; wake != 0 && (st.nextTimer == 0 || wake < st.nextTimer) {
		st.nextTimer = wake
		d.t.setTimer(s)
	}
}

func (d *FlowDriver[K, S]) emitMessages(s *slot[K, driverState[S]]) {
	ps := d.parsers
	for _, m := range ps.out.list[d.emittedMessages:] {
		ev := d.t.emitSide(EventMessage, s, m.Side)
		ev.Message, ev.Timestamp, ev.Packet = m.Message, m.Timestamp, m.Packet
	}
	d.emittedMessages = len(ps.out.list)
	if ps.flow.limited {
		ps.flow.limited = false
		d.t.anomaly(AnomalySessionLimit, s, Initiator, 0, 1)
	}
	if d.sessionStopped != 0 {
		dirs := &s.Value.user.directions
		dirs[0].Unheard = dirs[0].Unheard || d.sessionStopped&1 != 0
		dirs[1].Unheard = dirs[1].Unheard || d.sessionStopped>>1 != 0
	}
	if d.stopUnread {
		if d.unread |= d.sessionStopped; ps.unread() {
			d.unread = 0b11
		}
	}
	d.saveSessionRef(s)
}

func (d *FlowDriver[K, S]) saveSessionRef(s *slot[K, driverState[S]]) {
	setSessionRef(&s.Value.user.directions, d.sessionRef)
	d.sessionFlow = 0
}

// stopIfUnread stops the directions of the current flow of which the parsers want no more, if their bytes
// are not wanted either.
func (d *FlowDriver[K, S]) stopIfUnread(s *slot[K, driverState[S]]) {
	if d.unread == 0 {
		return
	}
	dirs := &s.Value.user.directions
	for i := range dirs {
		if d.unread>>i&1 != 0 && !dirs[i].Closed() && !dirs[i].Stopped() {
			d.streams.Stop(dirs, tcp.Side(i))
		}
	}
	d.unread = 0
}

// unheardSides are the sides that a parser has stopped, by bit.
func unheardSides(d *direction.Pair) (sides uint8) {
	for i := range d {
		if d[i].Unheard {
			sides |= 1 << i
		}
	}
	return sides
}

// sessionRefOf is the reference to the session of a flow, of which each direction holds a half.
func sessionRefOf(d *direction.Pair) session.Ref {
	return session.Ref(d[0].SessionRef) | session.Ref(d[1].SessionRef)<<16
}

func setSessionRef(d *direction.Pair, ref session.Ref) {
	d[0].SessionRef, d[1].SessionRef = uint16(ref), uint16(ref>>16)
}

// portsBySide are the ports of initiator and responder, given those of a key and the side whose packets are Forward.
func portsBySide(from, to uint16, forward FlowSide) (ports [2]uint16) {
	ports[forward&1], ports[forward&1^1] = from, to
	return ports
}
