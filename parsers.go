package flowscope

import (
	"fmt"
	"reflect"

	"github.com/flowscope-go/flowscope/internal/session"
)

// The parsers of a driver: what they are told, and what becomes of what they ask for. Nothing here
// depends on the type parameters of a driver, so it is compiled once, and a SessionPlayer goes the
// same way.

// parsers are the factories of a driver, and the sessions that their parsers read.
type parsers struct {
	factories []factory
	out       Messages
	call      uint64 // of the owner: when out was reset
	flow      sessionFlow

	sessions []openSession // by place; 0 is none
	free     []uint32
	stack    []item        // what the flow at hand is still to be given, the next one last
	spare    []*firstBytes // of no session
	lent     []*firstBytes // whose bytes the messages of this call may refer to
	budget   session.Budget
	stats    SessionStats
}

// factory is a ParserFactory with its parsers that read no flow now.
type factory struct {
	ParserFactory
	stream                   SessionParserFactory
	datagram                 DatagramParserFactory
	streams                  []SessionParser
	datagrams                []DatagramParser
	streamSize, datagramSize int64 // of the parsers made last, without what they refer to
}

const (
	maxFactories = 64
	keepParsers  = 256  // of each kind of a factory, reading no flow
	keepSessions = 4096 // places, once none is in use
	keepFirst    = 64   // firstBytes of no session
	sessionCost  = 256  // what a session takes beside its parser
)

// sessionFlow is the flow at hand, as its owner knows it.
type sessionFlow struct {
	ref    *session.Ref
	id     FlowID
	l4     L4Proto
	ports  [2]uint16 // valid if the flow has no session
	now    Timestamp
	packet uint64
	// limited is set where something was not read for want of room.
	limited bool
}

// openSession is a flow that is being read, or whose first bytes are held until a factory knows
// them.
type openSession struct {
	flow     FlowID         // whose it is: a flow that lost it finds another's number
	stream   SessionParser  // at most one of the two;
	datagram DatagramParser // neither while first is set
	timer    SessionTimer   // the parser, if it is one
	wake     Timestamp      // when timer wants to be called; 0 never
	first    *firstBytes    // while it is not known who reads the flow
	kept     int64          // by Messages.Hold
	share    session.Share
	ports    [2]uint16
	excluded uint64 // factories not to be asked at this place, by bit
	sides    [2]sessionSide
	factory  uint8
	before   bool // another parser has read what came before
	resumed  bool // so has this one, before it was parked
}

// sessionSide is how far a parser has come on one side.
type sessionSide struct {
	began  int64 // where the parser's first byte lay,
	next   int64 // and where the next one will
	time   Timestamp
	packet uint64
	bits   sessionBits
	reason EndReason // with sessionComplete
}

type sessionBits uint8

const (
	sessionBegun        sessionBits = 1 << iota // began and next are valid
	sessionStopped                              // the parser wants no more of the side
	sessionUnrecognised                         // no factory knows its first bytes
	sessionComplete                             // the stream has ended
)

// item is something to tell a parser.
type item struct {
	Chunk
	kind   itemKind
	reason EndReason
	n      int64 // bytes
}

type itemKind uint8

const (
	itemData itemKind = iota
	itemGap
	itemClosed
)

// newParsers makes the parsers' part of a driver. The error wraps ErrConfig.
func newParsers(limit int64, factories []ParserFactory) (*parsers, error) {
	if len(factories) > maxFactories {
		return nil, fmt.Errorf("%w: %d parser factories, at most %d", ErrConfig, len(factories), maxFactories)
	}
	ps := &parsers{sessions: make([]openSession, 1)}
	ps.budget = session.NewBudget(limit, func(place uint32) *session.Share { return &ps.sessions[place].share })
	ps.out.owner = ps
	for i, f := range factories {
		p := factory{ParserFactory: f}
		p.stream, _ = f.(SessionParserFactory)
		p.datagram, _ = f.(DatagramParserFactory)
		if p.stream == nil && p.datagram == nil {
			return nil, fmt.Errorf("%w: parser factory %d, a %T, makes no parsers", ErrConfig, i, f)
		}
		ps.factories = append(ps.factories, p)
	}
	return ps, nil
}

// begin takes back what was lent, at the first use in a call of the owner. Those of an owner are
// numbered.
func (ps *parsers) begin(call uint64) {
	if ps.call != call {
		ps.call = call
		ps.reclaim()
	}
}

func (ps *parsers) reclaim() {
	ps.stats.Messages += uint64(len(ps.out.list))
	ps.out.Reset()
	for i, f := range ps.lent {
		ps.pool(f)
		ps.lent[i] = nil
	}
	ps.lent = ps.lent[:0]
	if cap(ps.stack) > keepMessages {
		ps.stack = nil
	}
}

// counters are the counters now.
func (ps *parsers) counters() SessionStats {
	s := ps.stats
	s.Messages += uint64(len(ps.out.list))
	s.HeldBytes = ps.budget.Held()
	return s
}

// session is the session of the flow at hand, nil if it has none. One that lost its session to
// others is asked about anew.
func (ps *parsers) session() *openSession {
	place := ps.flow.ref.Place()
	if place == 0 {
		return nil
	}
	if int(place) < len(ps.sessions) && ps.sessions[place].flow == ps.flow.id {
		return &ps.sessions[place]
	}
	*ps.flow.ref, ps.flow.limited = session.Asked(0, true), true
	return nil
}

// data takes the next bytes of the flow at hand, or its next datagram.
func (ps *parsers) data(c Chunk) {
	c.Side &= 1
	if ps.flow.ref.Ignores(uint8(c.Side)) {
		return
	}
	if e := ps.session(); e != nil && e.first == nil { // as nearly always
		ps.stack = ps.stack[:0]
		ps.feed(e, &item{Chunk: c})
		ps.drain()
		return
	}
	ps.run(&item{Chunk: c})
}

// gap takes n bytes of the flow at hand, from offset on, that will not come.
func (ps *parsers) gap(side FlowSide, offset, n int64) {
	ps.run(&item{kind: itemGap, n: n, Chunk: Chunk{Side: side & 1, Offset: offset, Time: ps.flow.now, Packet: ps.flow.packet}})
}

// closed takes the end of a side's stream.
func (ps *parsers) closed(side FlowSide, reason EndReason) {
	ps.run(&item{kind: itemClosed, reason: reason, Chunk: Chunk{Side: side & 1, Time: ps.flow.now, Packet: ps.flow.packet}})
}

// ended takes the end of the flow at hand.
func (ps *parsers) ended(reason EndReason) {
	if e := ps.session(); e != nil {
		out := ps.prepare(e, Initiator, ps.flow.now, ps.flow.packet)
		switch {
		case e.stream != nil:
			e.stream.Ended(reason, ps.flow.now, out)
		case e.datagram != nil:
			e.datagram.Ended(reason, ps.flow.now, out)
		}
		out.place = 0
		ps.leave(e, session.Unread)
	}
	*ps.flow.ref = session.Unread
}

// wake is when the parser of the flow at hand wants to be called; 0 never.
func (ps *parsers) wake() Timestamp {
	if e := ps.session(); e != nil {
		return e.wake
	}
	return 0
}

// unread reports whether the parsers want no more of the flow at hand.
func (ps *parsers) unread() bool {
	if e := ps.session(); e != nil {
		return e.sides[0].bits&e.sides[1].bits&sessionStopped != 0
	}
	return *ps.flow.ref == session.Unread
}

// onTimer calls the parser of the flow at hand, if its time has come.
func (ps *parsers) onTimer() {
	if e := ps.session(); e != nil && e.wake != 0 && ps.flow.now >= e.wake {
		ps.prepare(e, Initiator, ps.flow.now, ps.flow.packet)
		ps.stack = ps.stack[:0]
		ps.carryOut(e, &item{})
		ps.drain()
	}
}

// run gives the flow at hand one item, and then what comes of it: its first bytes, and what a parser
// hands over.
func (ps *parsers) run(it *item) {
	ps.stack = ps.stack[:0]
	ps.route(it)
	ps.drain()
}

func (ps *parsers) drain() {
	for n := len(ps.stack); n > 0; n = len(ps.stack) {
		it := ps.stack[n-1]
		ps.stack[n-1] = item{} // do not keep frames alive
		ps.stack = ps.stack[:n-1]
		ps.route(&it)
	}
}

func (ps *parsers) route(it *item) {
	e := ps.session()
	if factory, state, ok := ps.flow.ref.Parked(); ok && it.kind != itemClosed {
		e = ps.resume(factory, state)
	}
	switch {
	case e != nil && e.first == nil:
		ps.feed(e, it)
	case *ps.flow.ref != session.Unread:
		if e = ps.decide(e, it); e != nil {
			ps.feed(e, it)
		}
	}
}

// tell gives an item to the session's parser.
func (ps *parsers) feed(e *openSession, it *item) {
	side := &e.sides[it.Side]
	if it.kind == itemClosed {
		side.bits |= sessionComplete
		side.reason = it.reason
	}
	if side.bits&sessionStopped != 0 {
		return
	}
	switch it.kind {
	case itemData:
		if side.bits&sessionBegun == 0 || it.Offset < side.next { // or the stream begins anew
			side.bits |= sessionBegun
			side.began = it.Offset
		}
		it.Ports = e.ports
		side.next, side.time, side.packet = it.Offset+int64(len(it.Bytes)), it.Time, it.Packet
	case itemGap:
		side.next += it.n
	}
	out := ps.prepare(e, it.Side, it.Time, it.Packet)
	switch {
	case e.datagram != nil:
		e.datagram.Datagram(it.Chunk, out)
	case it.kind == itemData:
		e.stream.Data(it.Chunk, out)
	case it.kind == itemGap:
		e.stream.Gap(it.Side, it.Offset, it.n, ps.flow.now, out)
	default:
		e.stream.Closed(it.Side, it.reason, ps.flow.now, out)
	}
	ps.carryOut(e, it)
}

// prepare makes out ready for a call of the session's parser.
func (ps *parsers) prepare(e *openSession, side FlowSide, at Timestamp, packet uint64) *Messages {
	e.share.Used = true
	ps.out.place, ps.out.ask = ps.flow.ref.Place(), 0
	ps.out.From(side, at, packet)
	return &ps.out
}

// carryOut calls the parser's OnTimer, and does what it asked for there and while it was given an item.
func (ps *parsers) carryOut(e *openSession, it *item) {
	const leave = askDone | askPark | askHandover
	if e.timer != nil && ps.out.ask&leave == 0 {
		ps.out.From(Initiator, ps.flow.now, ps.flow.packet)
		if e.wake = e.timer.OnTimer(ps.flow.now, &ps.out); e.wake != 0 {
			e.wake = max(e.wake, ps.flow.now.Add(1))
		}
	}
	asked := ps.out.ask
	ps.out.ask, ps.out.place = 0, 0
	for side := range e.sides {
		if asked&(askStop<<side) != 0 {
			e.sides[side].bits |= sessionStopped
		}
	}
	switch {
	case asked&askHandover != 0:
		ps.handover(e, it)
	case asked&askPark != 0:
		ps.stats.Parked++
		ps.leave(e, session.Parked(int(e.factory), ps.out.state))
	case asked&askDone != 0:
		ps.leave(e, session.Unread)
	}
}

// handover takes the parser from its flow, and gives back what it has not read.
func (ps *parsers) handover(e *openSession, it *item) {
	ps.stats.Handovers++
	excluded := e.excluded | 1<<e.factory
	if e.resumed {
		excluded = 0
	}
	for i := range e.sides {
		side := it.Side ^ FlowSide(i) // the one at hand lies deeper on the stack, so it comes last
		sd, rest := &e.sides[side], ps.out.rest[side]
		given := int64(0)
		if sd.bits&sessionBegun != 0 {
			given = sd.next - sd.began
		}
		rest = rest[max(int64(len(rest))-given, 0):]
		if given > int64(len(rest)) {
			excluded = 0
		}
		if sd.bits&sessionComplete != 0 {
			ps.stack = append(ps.stack, item{
				kind: itemClosed, reason: sd.reason, Chunk: Chunk{Side: side, Time: ps.flow.now, Packet: ps.flow.packet},
			})
		}
		if len(rest) > 0 {
			ps.stack = append(ps.stack, item{Chunk: Chunk{
				Side: side, Bytes: ps.lend(rest, it), Offset: sd.next - int64(len(rest)), Time: sd.time, Packet: sd.packet,
			}})
		}
		sd.bits = 0
	}
	ps.out.rest = [2][]byte{}
	ps.retire(e)
	ps.budget.Close(ps.flow.ref.Place())
	ps.budget.Open(ps.flow.ref.Place(), sessionCost)
	e.kept, e.excluded, e.before, e.resumed = 0, excluded, true, false
	ps.attachFirst(e)
}

// lend gives rest as bytes that live as long as the call does: they are the end of the chunk, or lie
// in memory of the parser.
func (ps *parsers) lend(rest []byte, it *item) []byte {
	if at := len(it.Bytes) - len(rest); at >= 0 && &it.Bytes[at] == &rest[0] {
		return it.Bytes[at:]
	}
	return ps.out.Copy(rest)
}

// hold is Messages.Hold for the session at that place.
func (ps *parsers) hold(place uint32, n int64) bool {
	if place == 0 {
		return n <= 0 // the parser has left its flow
	}
	e := &ps.sessions[place]
	n = max(n, -e.kept)
	if !ps.charge(place, n) {
		ps.stats.HoldsRefused++
		return false
	}
	e.kept += n
	return true
}

// charge adds to what a session holds, and reports false if there is no room.
func (ps *parsers) charge(place uint32, n int64) bool {
	if n > 0 && !ps.room(place, n) {
		return false
	}
	ps.budget.Add(place, n)
	return true
}

// room makes room for n more bytes of the session at that place, or of a new one at 0, by ending
// others if need be, and reports whether there is.
func (ps *parsers) room(place uint32, n int64) bool {
	for !ps.budget.Fits(n) {
		victim := ps.budget.Victim(place)
		if victim == 0 {
			return false
		}
		ps.stats.Evicted++
		ps.end(victim)
	}
	return true
}

// open makes the session of the flow at hand, nil if there is no room.
func (ps *parsers) open() *openSession {
	if !ps.room(0, sessionCost) {
		ps.refuse()
		return nil
	}
	sides, before := ps.flow.ref.Asked()
	place := uint32(len(ps.sessions))
	if n := len(ps.free); n > 0 {
		place, ps.free = ps.free[n-1], ps.free[:n-1]
	} else {
		ps.sessions = append(ps.sessions, openSession{})
	}
	e := &ps.sessions[place]
	*e = openSession{flow: ps.flow.id, ports: ps.flow.ports, before: before}
	for side := range e.sides {
		if sides>>side&1 != 0 {
			e.sides[side].bits = sessionUnrecognised
		}
	}
	ps.budget.Open(place, sessionCost)
	*ps.flow.ref = session.Ref(place)
	return e
}

// refuse leaves the flow at hand unread, for want of room.
func (ps *parsers) refuse() {
	ps.stats.Refused++
	ps.flow.limited = true
	*ps.flow.ref = session.Unread
}

// adopt gives the session of the flow at hand a parser. If there is no room, the session is gone and
// it reports false.
func (ps *parsers) adopt(e *openSession, number int) bool {
	f := &ps.factories[number]
	var size int64
	if ps.flow.l4 == L4UDP {
		if n := len(f.datagrams); n > 0 {
			e.datagram, f.datagrams[n-1], f.datagrams = f.datagrams[n-1], nil, f.datagrams[:n-1]
		} else {
			e.datagram = f.datagram.NewDatagramParser()
			f.datagramSize = sizeOf(e.datagram)
		}
		e.timer, _ = e.datagram.(SessionTimer)
		size = f.datagramSize
	} else {
		if n := len(f.streams); n > 0 {
			e.stream, f.streams[n-1], f.streams = f.streams[n-1], nil, f.streams[:n-1]
		} else {
			e.stream = f.stream.NewSessionParser()
			f.streamSize = sizeOf(e.stream)
		}
		e.timer, _ = e.stream.(SessionTimer)
		size = f.streamSize
	}
	e.factory = uint8(number)
	ps.stats.Parsers++
	if !ps.charge(ps.flow.ref.Place(), size) {
		ps.leave(e, session.Unread)
		ps.refuse()
		return false
	}
	ps.stats.Started++
	return true
}

// sizeOf is what a parser takes without what it refers to.
func sizeOf(p any) int64 {
	t := reflect.TypeOf(p)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return int64(t.Size())
}

// resume gives the flow at hand, which was parked, a new parser of its factory.
func (ps *parsers) resume(number int, state uint16) *openSession {
	e := ps.open()
	if e == nil || !ps.adopt(e, number) {
		return nil
	}
	e.before, e.resumed = true, true
	var r SessionResumer
	if e.stream != nil {
		r, _ = e.stream.(SessionResumer)
	} else {
		r, _ = e.datagram.(SessionResumer)
	}
	if r != nil {
		r.Resume(state)
	}
	return e
}

// retire takes the parser from a session and makes it ready for another.
func (ps *parsers) retire(e *openSession) {
	f := &ps.factories[e.factory]
	switch {
	case e.stream != nil:
		if e.stream.Reset(); len(f.streams) < keepParsers {
			f.streams = append(f.streams, e.stream)
		}
		ps.stats.Parsers--
	case e.datagram != nil:
		if e.datagram.Reset(); len(f.datagrams) < keepParsers {
			f.datagrams = append(f.datagrams, e.datagram)
		}
		ps.stats.Parsers--
	}
	e.stream, e.datagram, e.timer, e.wake = nil, nil, nil, 0
}

// leave ends the session of the flow at hand, of which ref is what remains.
func (ps *parsers) leave(e *openSession, ref session.Ref) {
	ps.end(ps.flow.ref.Place())
	*ps.flow.ref = ref
}

// end ends the session at a place.
func (ps *parsers) end(place uint32) {
	e := &ps.sessions[place]
	ps.retire(e)
	ps.dropFirst(e)
	ps.budget.Close(place)
	*e = openSession{}
	if ps.free = append(ps.free, place); len(ps.free) == len(ps.sessions)-1 && cap(ps.sessions) > keepSessions {
		ps.sessions, ps.free = make([]openSession, 1), nil // a peak does not stay
	}
}
