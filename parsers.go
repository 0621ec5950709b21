package flowscope

import (
	"fmt"
	"reflect"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/session"
)

// The parsers of a driver: the calls on them, and the execution of their requests. Nothing here depends
// on the type parameters of a driver, so it is compiled once, and a SessionPlayer uses it too.

// parsers are the factories of a driver, and the sessions that their parsers read. The owner is the
// driver or player: it sets flow, the current flow, before a call.
type parsers struct {
	factories []factory
	out       Messages
	call      uint64 // the owner's number of the call in which out was reset
	flow      sessionFlow

	sessions []openSession // by place; 0 is none
	free     []uint32
	stack    []item        // for the current flow, the next one last
	spare    []*firstBytes // pooled
	lent     []*firstBytes // the messages of this call may refer to their bytes
	budget   session.Budget
	stats    SessionStats

	streams    uint64 // factories that make parsers of TCP, by bit
	datagrams  uint64 // and of UDP
	beginnings beginnings
}

// factory is a ParserFactory with its pooled parsers.
type factory struct {
	ParserFactory
	stream                   SessionParserFactory
	datagram                 DatagramParserFactory
	streams                  []SessionParser
	datagrams                []DatagramParser
	streamSize, datagramSize int64 // of the parsers made last, without what they refer to
	saysPorts                bool  // it has FactoryPorts
}

const (
	maxFactories = 64
	keepParsers  = 256  // pooled, of each kind of a factory
	keepSessions = 4096 // places, once none is in use
	keepFirst    = 64   // pooled firstBytes
	sessionCost  = 256  // memory of a session beside its parser
)

// sessionFlow describes the current flow.
type sessionFlow struct {
	ref *session.Ref
	// stopped are the sides that a parser has stopped, by bit. No parser of the flow hears of them again.
	stopped *uint8
	id      FlowID
	l4      L4Proto
	ports   [2]uint16 // valid if the flow has no session
	elapsed int64     // when the call is, in elapsed time,
	now     Timestamp // and by the clock
	at      Timestamp // the time of what is told: the current packet's timestamp, or the clock's
	packet  uint64
	// limited is set if something is not read since Config.SessionBytes is used up.
	limited bool
}

// openSession is a flow that a parser reads, or of which the first bytes are held until a factory
// recognises them.
type openSession struct {
	flow     FlowID         // a flow whose session was evicted finds another's number here
	stream   SessionParser  // at most one of the two;
	datagram DatagramParser // neither while first is set
	timer    SessionTimer   // the parser, if it implements it
	wake     int64          // when timer is due, in elapsed time; 0 never
	first    *firstBytes    // nil if the flow has a parser
	kept     int64          // by Messages.Hold
	opened   uint64         // the call of the driver in which it was opened
	share    session.Share
	ports    [2]uint16
	excluded uint64 // factories not to be asked at this place, by bit
	sides    [2]sessionSide
	factory  uint8
	before   bool // another parser has read the flow before
	resumed  bool // a parser of the same factory has, and was parked
}

// sessionSide is the progress of a parser on one side.
type sessionSide struct {
	began  int64     // offset of the first byte that the parser was given
	next   int64     // offset of the next one
	time   Timestamp // of the last bytes
	packet uint64
	bits   sessionBits
	reason EndReason // with sessionComplete
}

type sessionBits uint8

const (
	sessionBegun        sessionBits = 1 << iota // began and next are valid
	sessionStopped                              // the parser wants no more of the side
	sessionUnrecognised                         // no factory recognises its first bytes
	sessionComplete                             // the stream has ended
)

// item is the input of one call on a parser.
type item struct {
	Chunk
	kind   itemKind
	reason EndReason
	answer answer
	n      int64 // bytes
}

// answer is what the factories have said about the first bytes of a side.
type answer struct {
	known   bool
	verdict Verdict
	factory uint8 // that has said Yes or Maybe
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
		if isNil(f) {
			return nil, fmt.Errorf("%w: parser factory %d, a %T, is nil", ErrConfig, i, f)
		}
		p := factory{ParserFactory: f}
		p.stream, _ = f.(SessionParserFactory)
		p.datagram, _ = f.(DatagramParserFactory)
		if p.stream == nil && p.datagram == nil {
			return nil, fmt.Errorf("%w: parser factory %d, a %T, makes no parsers", ErrConfig, i, f)
		}
		if p.stream != nil {
			ps.streams |= 1 << i
		}
		if p.datagram != nil {
			ps.datagrams |= 1 << i
		}
		if h, ok := f.(FactoryPorts); ok && p.stream != nil {
			p.saysPorts = true
			ps.beginnings.addHints(i, h.ProbePorts())
		}
		ps.factories = append(ps.factories, p)
	}
	return ps, nil
}

// begin reclaims the messages and their memory, at the first use in a call of the owner. The owner
// numbers its calls.
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

// session is the session of the current flow, nil if it has none. If it was evicted, the factories are
// asked anew.
func (ps *parsers) session() *openSession {
	place := ps.flow.ref.Place()
	if place == 0 {
		return nil
	}
	if int(place) < len(ps.sessions) && ps.sessions[place].flow == ps.flow.id {
		e := &ps.sessions[place]
		if e.first == nil && e.stream == nil && e.datagram == nil { // its factory panicked
			ps.leave(session.Unread)
			return nil
		}
		return e
	}
	*ps.flow.ref, ps.flow.limited = session.Asked(0, true), true
	return nil
}

// data takes the next bytes of the current flow, or its next datagram. a is the answer of the factories
// if they have been asked.
func (ps *parsers) data(c Chunk, a answer) {
	c.Side &= 1
	if ps.flow.ref.Ignores(uint8(c.Side)) || *ps.flow.stopped>>c.Side&1 != 0 {
		return
	}
	if e := ps.session(); e != nil && e.first == nil { // as nearly always
		ps.stack = ps.stack[:0]
		ps.feed(e, &item{Chunk: c})
		ps.drain()
		return
	}
	ps.run(&item{Chunk: c, answer: a})
}

// gap takes a gap of n bytes, from offset on, of the current flow.
func (ps *parsers) gap(side FlowSide, offset, n int64) {
	ps.run(&item{kind: itemGap, n: n, Chunk: Chunk{Side: side & 1, Offset: offset, Time: ps.flow.at, Packet: ps.flow.packet}})
}

// closed takes the end of a side's stream.
func (ps *parsers) closed(side FlowSide, reason EndReason) {
	ps.run(&item{kind: itemClosed, reason: reason, Chunk: Chunk{Side: side & 1, Time: ps.flow.at, Packet: ps.flow.packet}})
}

// ended takes the end of the current flow.
func (ps *parsers) ended(reason EndReason) {
	if e := ps.session(); e != nil {
		out := ps.prepare(e, Initiator, ps.flow.at, ps.flow.packet)
		switch {
		case e.stream != nil:
			e.stream.Ended(reason, ps.flow.at, out)
		case e.datagram != nil:
			e.datagram.Ended(reason, ps.flow.at, out)
		}
		out.place = 0
		ps.leave(session.Unread)
	}
	*ps.flow.ref = session.Unread
}

// wake is when the timer of the current flow's parser is due, in elapsed time; 0 never.
func (ps *parsers) wake() int64 {
	if e := ps.session(); e != nil {
		return e.wake
	}
	return 0
}

// unread reports whether no parser wants more of the current flow.
func (ps *parsers) unread() bool {
	if e := ps.session(); e != nil {
		return e.sides[0].bits&e.sides[1].bits&sessionStopped != 0
	}
	sides, _ := ps.flow.ref.Asked()
	return *ps.flow.ref == session.Unread || sides|*ps.flow.stopped == 0b11
}

// onTimer calls the timer of the current flow's parser if it is due.
func (ps *parsers) onTimer() {
	if e := ps.session(); e != nil && e.wake != 0 && ps.flow.elapsed >= e.wake {
		ps.prepare(e, Initiator, ps.flow.at, ps.flow.packet)
		ps.stack = ps.stack[:0]
		ps.carryOut(e, &item{})
		ps.drain()
	}
}

// run processes one item of the current flow, and the items that follow from it: first bytes, and
// bytes that a parser hands over.
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
	if *ps.flow.stopped>>it.Side&1 != 0 {
		return
	}
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

// feed calls the session's parser with an item.
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
		e.stream.Gap(it.Side, it.Offset, it.n, ps.flow.at, out)
	default:
		e.stream.Closed(it.Side, it.reason, ps.flow.at, out)
	}
	ps.carryOut(e, it)
}

// prepare makes out ready for a call of the session's parser.
func (ps *parsers) prepare(e *openSession, side FlowSide, at Timestamp, packet uint64) *Messages {
	e.share.Used = e.share.Used || e.opened != ps.call
	ps.out.place, ps.out.ask = ps.flow.ref.Place(), 0
	ps.out.From(side, at, packet)
	return &ps.out
}

// carryOut calls the parser's OnTimer, and carries out its requests, those of the call before included. it
// is the item of that call.
func (ps *parsers) carryOut(e *openSession, it *item) {
	const leave = askDone | askPark | askHandover
	if e.timer != nil && ps.out.ask&leave == 0 {
		ps.out.From(Initiator, ps.flow.at, ps.flow.packet)
		next := e.timer.OnTimer(ps.flow.now, &ps.out)
		if e.wake = 0; next != 0 {
			e.wake = clock.Add(ps.flow.elapsed, max(int64(next.Sub(ps.flow.now)), 1))
		}
	}
	asked := ps.out.ask
	ps.out.ask, ps.out.place = 0, 0
	for side := range e.sides {
		if asked&(askStop<<side) != 0 {
			e.sides[side].bits |= sessionStopped
			*ps.flow.stopped |= 1 << side
		}
	}
	switch {
	case asked&askHandover != 0:
		ps.handover(e, it)
	case asked&askPark != 0:
		ps.stats.Parked++
		ps.leave(session.Parked(int(e.factory), ps.out.state))
	case asked&askDone != 0:
		ps.leave(session.Unread)
	}
}

// handover takes the parser from its flow, and puts the bytes that it has not read on the stack.
func (ps *parsers) handover(e *openSession, it *item) {
	ps.stats.Handovers++
	excluded := e.excluded | 1<<e.factory
	if e.resumed {
		excluded = 0
	}
	for i := range e.sides {
		side := it.Side ^ FlowSide(i) // that of the item lies deeper on the stack, so it comes last
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
				kind: itemClosed, reason: sd.reason, Chunk: Chunk{Side: side, Time: ps.flow.at, Packet: ps.flow.packet},
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
	p := ps.takeParser(e)
	ps.budget.Close(ps.flow.ref.Place())
	ps.budget.Open(ps.flow.ref.Place(), sessionCost)
	e.kept, e.excluded, e.before, e.resumed = 0, excluded, true, false
	ps.attachFirst(e)
	ps.retire(p)
}

// lend returns rest as bytes that stay valid for the call: rest is the end of the chunk, or lies in
// memory of the parser and is copied.
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

// charge adds to the memory of a session, and reports false if there is no room.
func (ps *parsers) charge(place uint32, n int64) bool {
	if n > 0 && !ps.room(place, n) {
		return false
	}
	ps.budget.Add(place, n)
	return true
}

// room makes room for n more bytes of the session at that place, or of a new one at 0, by evicting
// others if need be. It reports false if it cannot.
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

// open makes the session of the current flow, nil if there is no room.
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
	*e = openSession{flow: ps.flow.id, ports: ps.flow.ports, before: before, opened: ps.call}
	for side := range e.sides {
		if sides>>side&1 != 0 {
			e.sides[side].bits = sessionUnrecognised
		}
	}
	ps.budget.Open(place, sessionCost)
	*ps.flow.ref = session.Ref(place)
	return e
}

// refuse leaves the current flow unread, since there is no room.
func (ps *parsers) refuse() {
	ps.stats.Refused++
	ps.flow.limited = true
	*ps.flow.ref = session.Unread
}

// adopt gives the session of the current flow a parser. If there is no room, it ends the session and
// reports false.
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
		ps.leave(session.Unread)
		ps.refuse()
		return false
	}
	ps.stats.Started++
	return true
}

// sizeOf is the size of a parser's struct.
func sizeOf(p any) int64 {
	t := reflect.TypeOf(p)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return int64(t.Size())
}

// resume gives the current flow, which was parked, a new parser of its factory.
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

// leaving is a parser that has left its flow.
type leaving struct {
	factory  uint8
	stream   SessionParser // at most one of the two
	datagram DatagramParser
}

// takeParser takes the parser from a session, if it has one.
func (ps *parsers) takeParser(e *openSession) leaving {
	p := leaving{e.factory, e.stream, e.datagram}
	if e.stream != nil || e.datagram != nil {
		ps.stats.Parsers--
	}
	e.stream, e.datagram, e.timer, e.wake = nil, nil, nil, 0
	return p
}

// retire makes a parser ready for another session. Its Reset may panic, so it comes last.
func (ps *parsers) retire(p leaving) {
	f := &ps.factories[p.factory]
	switch {
	case p.stream != nil:
		if p.stream.Reset(); len(f.streams) < keepParsers {
			f.streams = append(f.streams, p.stream)
		}
	case p.datagram != nil:
		if p.datagram.Reset(); len(f.datagrams) < keepParsers {
			f.datagrams = append(f.datagrams, p.datagram)
		}
	}
}

// leave ends the session of the current flow, which is marked with ref.
func (ps *parsers) leave(ref session.Ref) {
	place := ps.flow.ref.Place()
	*ps.flow.ref = ref
	ps.end(place)
}

// end ends the session at a place.
func (ps *parsers) end(place uint32) {
	e := &ps.sessions[place]
	p := ps.takeParser(e)
	ps.dropFirst(e)
	ps.budget.Close(place)
	*e = openSession{}
	if ps.free = append(ps.free, place); len(ps.free) == len(ps.sessions)-1 && cap(ps.sessions) > keepSessions {
		ps.sessions, ps.free = make([]openSession, 1), nil // a peak does not stay
	}
	ps.retire(p)
}
