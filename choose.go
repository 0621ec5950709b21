package flowscope

import (
	"fmt"
	"reflect"
)

// Which parser reads a flow. Nothing here depends on the type parameters of a driver, so it is
// compiled once, and SessionPlayer goes the same way as a driver.

// sessions are the parsers of a driver and the flows that they read. Each flow keeps a sessionRef.
type sessions struct {
	factories []factoryPool
	out       Messages
	call      uint64 // of the owner: when out began

	live   []session // 0 is none
	free   []uint32
	stack  []item        // what the flow at hand is still to be given, the next one last
	l4     L4Proto       // of the flow at hand
	spare  []*firstBytes // without a flow
	lent   []*firstBytes // whose bytes the messages of this call may refer to
	budget sessionBudget
	stats  SessionStats
}

// factoryPool is a factory with its parsers that have no flow.
type factoryPool struct {
	ParserFactory
	session   SessionParserFactory
	datagram  DatagramParserFactory
	sessions  []SessionParser
	datagrams []DatagramParser
}

const (
	maxFactories = 64
	keepParsers  = 256  // of each kind of a factory, without a flow
	keepSessions = 4096 // places in live, once none is in use
	keepFirst    = 64   // firstBytes without a flow
)

// sessionRef is what a flow knows of its session: a place in sessions.live, or one of these. It is 0
// before anything was said.
type sessionRef uint32

const (
	// refNobody: no parser wants the flow.
	refNobody sessionRef = 1 << 31
	// refAsked: no factory knows the first bytes of the sides in bits 0 and 1. Bit 2 is set if a
	// parser has read what came before.
	refAsked  sessionRef = 1<<31 | 1<<30
	refHanded sessionRef = 1 << 2
	// refParked: a parser of the factory in bits 16 to 23 goes on with the state in bits 0 to 15.
	refParked sessionRef = 1<<31 | 1<<29
)

func (r sessionRef) isLive() bool   { return r != 0 && r&refNobody == 0 }
func (r sessionRef) isAsked() bool  { return r&refAsked == refAsked }
func (r sessionRef) isParked() bool { return r&refParked == refParked }

// session is a flow that is being read, or whose first bytes are held until a factory knows them.
type session struct {
	stream   SessionParser  // at most one of the two;
	datagram DatagramParser // neither while undecided
	timer    SessionTimer   // the parser, if it is one
	wake     Timestamp      // when timer wants to be called; 0 never
	first    *firstBytes    // while undecided
	excluded uint64         // factories not to be asked at this place, by bit
	sides    [2]sessionSide
	ports    [2]uint16
	factory  uint8
	handed   bool // another parser has read what came before
	share
}

// sessionSide is how far a parser has come on one side.
type sessionSide struct {
	began  int64 // where the parser's first byte lay,
	next   int64 // and where the next one will
	time   Timestamp
	packet uint64
	bits   sessionBits
	reason EndReason // with sideComplete
}

type sessionBits uint8

const (
	sideBegun    sessionBits = 1 << iota // began and next are valid
	sideUnwanted                         // the parser wants no more of it
	sideUnknown                          // no factory knows its first bytes
	sideComplete                         // the stream has ended
)

// firstBytes are the bytes of a flow that is undecided, in the pieces in which they came.
type firstBytes struct {
	bytes  [2][]byte
	pieces []item // without Bytes: they follow one another in bytes
	cost   int64
}

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

// newSessions makes the parsers' part of a driver. The error wraps ErrConfig.
func newSessions(limit int64, parsers []ParserFactory) (*sessions, error) {
	if len(parsers) > maxFactories {
		return nil, fmt.Errorf("%w: %d parser factories, at most %d", ErrConfig, len(parsers), maxFactories)
	}
	s := &sessions{live: make([]session, 1), budget: sessionBudget{limit: limit}}
	for i, f := range parsers {
		p := factoryPool{ParserFactory: f}
		p.session, _ = f.(SessionParserFactory)
		p.datagram, _ = f.(DatagramParserFactory)
		if p.session == nil && p.datagram == nil {
			return nil, fmt.Errorf("%w: parser factory %d, of type %T, makes no parsers", ErrConfig, i, f)
		}
		s.factories = append(s.factories, p)
	}
	s.out.owner = s
	return s, nil
}

// begin takes back what was lent, at the first use in each call of the owner.
func (s *sessions) begin(call uint64) {
	if s.call == call {
		return
	}
	s.call = call
	s.stats.Messages += uint64(len(s.out.list))
	s.out.Reset()
	for i, f := range s.lent {
		s.pool(f)
		s.lent[i] = nil
	}
	s.lent = s.lent[:0]
	if cap(s.stack) > keepMessages {
		s.stack = nil
	}
}

// counters are the counters now.
func (s *sessions) counters() SessionStats {
	st := s.stats
	st.Messages += uint64(len(s.out.list))
	st.HeldBytes = s.budget.held
	return st
}

// data takes the next bytes of a connection.
func (s *sessions) data(r *sessionRef, ports [2]uint16, c Chunk, now Timestamp) {
	if *r != refNobody {
		s.l4 = L4TCP
		s.run(r, ports, item{Chunk: c}, now)
	}
}

// gram takes the next datagram of a flow.
func (s *sessions) gram(r *sessionRef, ports [2]uint16, c Chunk, now Timestamp) {
	if *r != refNobody {
		s.l4 = L4UDP
		s.run(r, ports, item{Chunk: c}, now)
	}
}

// gap takes bytes of a connection that will not come.
func (s *sessions) gap(r *sessionRef, side FlowSide, n int64, now Timestamp, packet uint64) {
	if r.isLive() || r.isParked() {
		s.l4 = L4TCP
		s.run(r, [2]uint16{}, item{kind: itemGap, n: n, Chunk: Chunk{Side: side, Time: now, Packet: packet}}, now)
	}
}

// closed takes the end of a side's stream.
func (s *sessions) closed(r *sessionRef, side FlowSide, reason EndReason, now Timestamp, packet uint64) {
	if r.isLive() {
		s.l4 = L4TCP
		s.run(r, [2]uint16{}, item{kind: itemClosed, reason: reason, Chunk: Chunk{Side: side, Time: now, Packet: packet}}, now)
	}
}

// ended takes the end of the flow.
func (s *sessions) ended(r *sessionRef, reason EndReason, now Timestamp, packet uint64) {
	if r.isLive() {
		e := &s.live[*r]
		out := s.prepare(*r, Initiator, now, packet)
		switch {
		case e.stream != nil:
			e.stream.Ended(reason, now, out)
		case e.datagram != nil:
			e.datagram.Ended(reason, now, out)
		}
		s.drop(r, refNobody)
	}
	*r = refNobody
}

// wake is when the flow's parser wants to be called, 0 for never.
func (s *sessions) wake(r sessionRef) Timestamp {
	if r.isLive() {
		return s.live[r].wake
	}
	return 0
}

// timer calls the flow's parser if its time has come.
func (s *sessions) timer(r *sessionRef, now Timestamp, packet uint64) {
	if !r.isLive() {
		return
	}
	if e := &s.live[*r]; e.wake != 0 && now >= e.wake {
		s.prepare(*r, Initiator, now, packet)
		s.stack = s.stack[:0]
		s.obey(r, &item{}, now)
		s.drain(r, e.ports, now)
	}
}

// run gives the flow one item, and then what comes of it: first bytes, and what a parser hands over.
func (s *sessions) run(r *sessionRef, ports [2]uint16, it item, now Timestamp) {
	it.Side &= 1
	if r.isLive() && s.live[*r].evicted {
		s.drop(r, refAsked|refHanded)
	}
	s.stack = s.stack[:0]
	s.give(r, ports, &it, now)
	s.drain(r, ports, now)
}

func (s *sessions) drain(r *sessionRef, ports [2]uint16, now Timestamp) {
	for n := len(s.stack); n > 0; n = len(s.stack) {
		it := s.stack[n-1]
		s.stack[n-1] = item{} // do not keep frames alive
		s.stack = s.stack[:n-1]
		s.give(r, ports, &it, now)
	}
}

func (s *sessions) give(r *sessionRef, ports [2]uint16, it *item, now Timestamp) {
	switch {
	case r.isLive():
		if e := &s.live[*r]; e.first != nil {
			s.decide(r, e.ports, it)
		} else {
			s.tell(r, it, now)
		}
	case r.isParked():
		if it.kind != itemClosed && s.resume(r, ports) {
			s.tell(r, it, now)
		}
	case *r != refNobody && it.kind == itemData:
		s.decide(r, ports, it)
	}
}

// tell gives an item to the flow's parser.
func (s *sessions) tell(r *sessionRef, it *item, now Timestamp) {
	e := &s.live[*r]
	side := &e.sides[it.Side]
	switch it.kind {
	case itemData:
		if side.bits&sideBegun == 0 {
			side.bits |= sideBegun
			side.began = it.Offset
		}
		side.next, side.time, side.packet = it.Offset+int64(len(it.Bytes)), it.Time, it.Packet
	case itemGap:
		side.next += it.n
	case itemClosed:
		side.bits |= sideComplete
		side.reason = it.reason
	}
	if side.bits&sideUnwanted != 0 {
		return
	}
	out := s.prepare(*r, it.Side, it.Time, it.Packet)
	switch {
	case e.datagram != nil:
		e.datagram.Datagram(it.Chunk, out)
	case it.kind == itemData:
		e.stream.Data(it.Chunk, out)
	case it.kind == itemGap:
		e.stream.Gap(it.Side, it.n, now, out)
	default:
		e.stream.Closed(it.Side, it.reason, now, out)
	}
	s.obey(r, it, now)
}

// prepare makes out ready for a call of the session's parser.
func (s *sessions) prepare(r sessionRef, side FlowSide, at Timestamp, packet uint64) *Messages {
	s.live[r].used = true
	s.out.at, s.out.ask = uint32(r), 0
	s.out.From(side, at, packet)
	return &s.out
}

const askLeave = askDone | askPark | askHandover

// obey does what the parser asked for while it was given an item, after its OnTimer.
func (s *sessions) obey(r *sessionRef, it *item, now Timestamp) {
	e := &s.live[*r]
	if e.timer != nil && s.out.ask&askLeave == 0 {
		if e.wake = e.timer.OnTimer(now, &s.out); e.wake != 0 {
			e.wake = max(e.wake, now.Add(1))
		}
	}
	asked := s.out.ask
	s.out.at = 0 // what is held from here on is no parser's
	if asked == 0 {
		return
	}
	for side := range e.sides {
		if asked&(askStop<<side) != 0 {
			e.sides[side].bits |= sideUnwanted
		}
	}
	switch {
	case asked&askHandover != 0:
		s.handover(r, it)
	case asked&askPark != 0:
		s.stats.Parked++
		s.drop(r, refParked|sessionRef(e.factory)<<16|sessionRef(s.out.state))
	case asked&askDone != 0:
		s.drop(r, refNobody)
	}
}

// handover takes the parser from its flow and gives back what it has not read.
func (s *sessions) handover(r *sessionRef, it *item) {
	e := &s.live[*r]
	s.stats.Handovers++
	excluded := e.excluded | 1<<e.factory
	for i := range e.sides {
		side := FlowSide(i) ^ it.Side // the side at hand last on the stack, so that it follows the other
		sd, rest := &e.sides[side], s.out.rest[side]
		given := int64(0)
		if sd.bits&sideBegun != 0 {
			given = sd.next - sd.began
		}
		rest = rest[max(int64(len(rest))-given, 0):]
		if given > int64(len(rest)) {
			excluded = 0
		}
		if sd.bits&sideComplete != 0 {
			s.stack = append(s.stack, item{kind: itemClosed, reason: sd.reason, Chunk: Chunk{Side: side, Time: sd.time, Packet: sd.packet}})
		}
		if len(rest) > 0 {
			s.stack = append(s.stack, item{Chunk: Chunk{
				Side: side, Bytes: s.lend(rest, it), Offset: sd.next - int64(len(rest)), Time: sd.time, Packet: sd.packet,
			}})
		}
		sd.bits = 0
	}
	s.out.rest = [2][]byte{}
	s.retire(e)
	e.excluded, e.handed, e.first = excluded, true, s.newFirst()
	s.stats.Undecided++
	s.charge(uint32(*r), -e.kept, -e.fixed)
}

// lend gives rest as bytes that live as long as the call: they are the end of the chunk, or lie in
// memory of a parser.
func (s *sessions) lend(rest []byte, it *item) []byte {
	if at := len(it.Bytes) - len(rest); at >= 0 && &it.Bytes[at] == &rest[0] {
		return it.Bytes[at:]
	}
	return s.out.Copy(rest)
}

// decide asks the factories about an undecided flow, of which it came.
func (s *sessions) decide(r *sessionRef, ports [2]uint16, it *item) {
	var e *session
	var held []byte
	handed, complete, excluded := *r&refHanded != 0 && !r.isLive(), s.l4 == L4UDP, uint64(0)
	switch {
	case r.isLive():
		e = &s.live[*r]
		side := &e.sides[it.Side]
		if it.kind == itemClosed {
			side.bits |= sideComplete
		}
		if side.bits&sideUnknown != 0 {
			return
		}
		held, handed, excluded = e.first.bytes[it.Side], e.handed, e.excluded
		complete = complete || side.bits&sideComplete != 0
	case r.isAsked() && *r>>it.Side&1 != 0:
		return
	}
	if it.kind == itemGap {
		s.forget(r, it.Side)
		return
	}
	shown := it.Bytes
	if s.l4 == L4TCP {
		shown = shown[:min(len(shown), MaxProbe-len(held))]
	}
	if len(held) > 0 {
		if len(shown) > 0 && !s.keep(r, it.Side, shown) {
			return
		}
		shown = e.first.bytes[it.Side]
	}
	if len(shown) == 0 {
		return
	}
	switch i, v := s.ask(Probe{s.l4, it.Side, shown, ports, handed}, excluded, complete || len(shown) == MaxProbe); v {
	case VerdictYes:
		s.start(r, i, ports, it)
	case VerdictNo:
		s.unknown(r, it.Side)
	case VerdictMaybe:
		s.await(r, ports, it, shown, len(held) == 0)
	}
}

// ask asks the factories in their order. Where the bytes are complete, Maybe is No.
func (s *sessions) ask(p Probe, excluded uint64, complete bool) (int, Verdict) {
	for i := range s.factories {
		f := &s.factories[i]
		if excluded>>i&1 != 0 || p.L4 == L4TCP && f.session == nil || p.L4 == L4UDP && f.datagram == nil {
			continue
		}
		switch f.Probe(p) {
		case VerdictYes:
			return i, VerdictYes
		case VerdictMaybe:
			if !complete {
				return i, VerdictMaybe // those after it have to wait
			}
		}
	}
	return 0, VerdictNo
}

// start gives the flow a parser of a factory, which is to be told the first bytes, if any are held,
// and then the item that has decided.
func (s *sessions) start(r *sessionRef, factory int, ports [2]uint16, it *item) {
	s.stack = append(s.stack, *it)
	var first *firstBytes
	if r.isLive() {
		e := &s.live[*r]
		first, e.first = e.first, nil
		s.stats.Undecided--
		s.replay(first)
		s.lent = append(s.lent, first) // messages may refer to it
		s.stats.FirstBytes -= first.cost
		s.charge(uint32(*r), 0, -first.cost)
		first.cost = 0
	} else if !s.open(r, ports) {
		return
	}
	s.adopt(r, factory)
}

// replay puts the first bytes on the stack, as they came.
func (s *sessions) replay(f *firstBytes) {
	at := len(s.stack)
	s.stack = append(s.stack, f.pieces...)
	pieces := s.stack[at:]
	var from [2]int
	for i := range pieces {
		p := &pieces[i]
		p.Bytes = f.bytes[p.Side][from[p.Side]:][:p.n:p.n]
		from[p.Side] += int(p.n)
	}
	for i, j := 0, len(pieces)-1; i < j; i, j = i+1, j-1 {
		pieces[i], pieces[j] = pieces[j], pieces[i]
	}
}

// resume gives a parked flow a new parser of its factory.
func (s *sessions) resume(r *sessionRef, ports [2]uint16) bool {
	factory, state := int(*r>>16&0xff), uint16(*r)
	if !s.open(r, ports) || !s.adopt(r, factory) {
		return false
	}
	e := &s.live[*r]
	e.handed = true
	var p any = e.stream
	if e.datagram != nil {
		p = e.datagram
	}
	if p, ok := p.(SessionResumer); ok {
		p.Resume(state)
	}
	return true
}

// open makes the session of a flow, and reports false if there is no room.
func (s *sessions) open(r *sessionRef, ports [2]uint16) bool {
	handed, unknown := r.isAsked() && *r&refHanded != 0, *r&3
	if !r.isAsked() {
		unknown = 0
	}
	if !s.room(0, sessionCost) {
		s.stats.Refused++
		*r, s.stack = refNobody, s.stack[:0]
		return false
	}
	i := uint32(len(s.live))
	if n := len(s.free); n > 0 {
		i, s.free = s.free[n-1], s.free[:n-1]
	} else {
		s.live = append(s.live, session{})
	}
	e := &s.live[i]
	*e = session{ports: ports, handed: handed}
	for side := range e.sides {
		if unknown>>side&1 != 0 {
			e.sides[side].bits = sideUnknown
		}
	}
	e.used = true
	s.enlist(i)
	s.budget.held += sessionCost
	*r = sessionRef(i)
	return true
}

// adopt gives the session a parser, and reports false if there is no room; then it is gone.
func (s *sessions) adopt(r *sessionRef, factory int) bool {
	f, e := &s.factories[factory], &s.live[*r]
	var p any
	if s.l4 == L4UDP {
		if n := len(f.datagrams); n > 0 {
			e.datagram, f.datagrams[n-1], f.datagrams = f.datagrams[n-1], nil, f.datagrams[:n-1]
		} else {
			e.datagram = f.datagram.NewDatagramParser()
		}
		p = e.datagram
	} else {
		if n := len(f.sessions); n > 0 {
			e.stream, f.sessions[n-1], f.sessions = f.sessions[n-1], nil, f.sessions[:n-1]
		} else {
			e.stream = f.session.NewSessionParser()
		}
		p = e.stream
	}
	e.timer, _ = p.(SessionTimer)
	e.factory = uint8(factory)
	s.stats.Parsers++
	if !s.charge(uint32(*r), 0, sizeOf(p)) {
		s.stats.Refused++
		s.drop(r, refNobody)
		return false
	}
	s.stats.Started++
	return true
}

// sizeOf is what a parser takes, without what it refers to.
func sizeOf(p any) int64 {
	t := reflect.TypeOf(p)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return int64(t.Size())
}

// await holds the first bytes of a flow that is not decided yet. They are shown's last ones, which
// are held already unless they are the first.
func (s *sessions) await(r *sessionRef, ports [2]uint16, it *item, shown []byte, isFirst bool) {
	if !r.isLive() {
		if !s.open(r, ports) {
			return
		}
		s.live[*r].first = s.newFirst()
		s.stats.Undecided++
	}
	if isFirst && !s.keep(r, it.Side, shown) {
		return
	}
	f := s.live[*r].first
	if it.n = int64(len(it.Bytes)); it.n > 0 {
		p := *it
		p.Bytes = nil
		f.pieces = append(f.pieces, p)
	}
}

// keep adds to the first bytes of a side. If there is no room it gives up the flow and reports false.
func (s *sessions) keep(r *sessionRef, side FlowSide, b []byte) bool {
	e := &s.live[*r]
	cost := int64(2*len(b) + pieceCost) // memory grows by doubling
	if !s.charge(uint32(*r), 0, cost) {
		s.stats.Refused++
		s.drop(r, refNobody)
		return false
	}
	e.first.cost += cost
	s.stats.FirstBytes += cost
	e.first.bytes[side] = append(e.first.bytes[side], b...)
	return true
}

// unknown notes that no factory knows the first bytes of a side.
func (s *sessions) unknown(r *sessionRef, side FlowSide) {
	if r.isLive() {
		s.live[*r].sides[side].bits |= sideUnknown
		s.forget(r, side)
		return
	}
	if !r.isAsked() {
		*r = refAsked
	}
	if *r |= 1 << side; *r&3 == 3 {
		s.stats.Unwanted++
		*r = refNobody
	}
}

// forget lets go of the first bytes of a side, and of the session if there is nothing left in it.
func (s *sessions) forget(r *sessionRef, side FlowSide) {
	e := &s.live[*r]
	f := e.first
	f.bytes[side] = f.bytes[side][:0]
	rest := f.pieces[:0]
	for _, p := range f.pieces {
		if p.Side != side {
			rest = append(rest, p)
		}
	}
	if f.pieces = rest; len(rest) > 0 {
		return
	}
	ref := refAsked
	if e.handed {
		ref |= refHanded
	}
	for i := range e.sides {
		if e.sides[i].bits&sideUnknown != 0 {
			ref |= 1 << i
		}
	}
	if ref&3 == 3 {
		s.stats.Unwanted++
		ref = refNobody
	}
	s.drop(r, ref)
}

// newFirst gives room for the first bytes of a flow.
func (s *sessions) newFirst() *firstBytes {
	if n := len(s.spare); n > 0 {
		f := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return f
	}
	return new(firstBytes)
}

// pool keeps the memory of first bytes for the next flow.
func (s *sessions) pool(f *firstBytes) {
	trample(f)
	if len(s.spare) < keepFirst && cap(f.pieces) <= 64 {
		*f = firstBytes{bytes: [2][]byte{f.bytes[0][:0], f.bytes[1][:0]}, pieces: f.pieces[:0]}
		s.spare = append(s.spare, f)
	}
}

// retire takes the parser from a session and makes it ready for another.
func (s *sessions) retire(e *session) {
	f := &s.factories[e.factory]
	switch {
	case e.stream != nil:
		if e.stream.Reset(); len(f.sessions) < keepParsers {
			f.sessions = append(f.sessions, e.stream)
		}
		s.stats.Parsers--
	case e.datagram != nil:
		if e.datagram.Reset(); len(f.datagrams) < keepParsers {
			f.datagrams = append(f.datagrams, e.datagram)
		}
		s.stats.Parsers--
	}
	e.stream, e.datagram, e.timer, e.wake = nil, nil, nil, 0
}

// release takes everything from a session but its place.
func (s *sessions) release(e *session) {
	s.retire(e)
	if e.first != nil {
		s.stats.Undecided--
		s.stats.FirstBytes -= e.first.cost
		s.pool(e.first)
		e.first = nil
	}
}

// drop ends the session of a flow, of which ref is what remains.
func (s *sessions) drop(r *sessionRef, ref sessionRef) {
	i := uint32(*r)
	e := &s.live[i]
	s.release(e)
	s.delist(i)
	s.budget.held -= sessionCost + e.fixed + e.kept
	*e = session{}
	*r = ref
	if s.free = append(s.free, i); len(s.free) == len(s.live)-1 && cap(s.live) > keepSessions {
		s.live, s.free = s.live[:1:1], nil // a peak does not stay
	}
}
