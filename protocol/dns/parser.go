package dns

import (
	"encoding/binary"
	"time"

	"github.com/flowscope-go/flowscope"
)

const (
	// stayTime is how long a parser stays in a flow without open queries, to recognise further responses
	// to more queries than one.
	stayTime = 2 * time.Second
	// maxDamaged is how many messages of a flow may be damaged before the first good one.
	maxDamaged = 16
)

// parser is the common part of the parsers of datagrams and of streams.
type parser struct {
	pairs
	config
	service service   // unset before the first bytes
	last    Timestamp // of the last message
	good    bool      // a message could be read
	damaged uint8     // messages before that
}

// message takes a message, of which missing bytes follow that are not there. It reports false if the
// parser leaves the flow.
//
// lend gives the bytes as something that a message may refer to; it is nil if they are that already.
func (p *parser) message(c *flowscope.Chunk, b []byte, missing int, lend *flowscope.Carry, out *flowscope.Messages) bool {
	m, _ := ParseMessage(b)
	m.missing = uint32(min(max(missing, 0), 1<<16))
	p.last = c.Time
	switch p.service {
	case mdns, llmnr:
		e := flowscope.Emit[Multicast](out)
		e.Sender, e.LLMNR, e.Message = c.Side, p.service == llmnr, lent(m, lend, out)
		return true
	case otherPort:
		if !m.inOrder() {
			return p.notDNS(c, out)
		}
		p.good = true
	default:
		if p.good = p.good || !m.damaged; p.good {
			break
		}
		if p.damaged++; p.damaged > maxDamaged {
			return p.leave(NotDNS, c.Side, out)
		}
	}
	if m.IsResponse() {
		p.answer(lent(m, lend, out), c.Side.Opposite(), c.Time, c.Packet, out)
		return true
	}
	if !p.add(&m, c.Side, c.Time, c.Packet, p.maxPending, out) {
		p.end(Crowded, c.Time, out)
		out.From(c.Side, c.Time, c.Packet)
		return p.leave(Budget, c.Side, out)
	}
	out.From(c.Side, c.Time, c.Packet)
	return true
}

func lent(m Message, lend *flowscope.Carry, out *flowscope.Messages) Message {
	if lend != nil {
		m.wire = lend.Lend(m.wire, out)
	}
	return m
}

// notDNS ends the reading of a flow on a port that does not stand for DNS, and reports false.
func (p *parser) notDNS(c *flowscope.Chunk, out *flowscope.Messages) bool {
	p.end(Ended, c.Time, out)
	out.From(c.Side, c.Time, c.Packet)
	return p.leave(NotDNS, c.Side, out)
}

// leave emits why the flow is read no further, and reports false.
func (p *parser) leave(why Why, side FlowSide, out *flowscope.Messages) bool {
	l := flowscope.Emit[Lost](out)
	l.Why, l.Side = why, side
	out.Done()
	return false
}

// timer emits the queries that have waited for too long, and returns when it is due again. If no query
// is open and no message has come for a while the flow goes on without a parser. short says that this
// need not be a while if Park can keep all that there is to remember, as in most UDP flows, each of which
// would keep a parser for nothing.
func (p *parser) timer(now Timestamp, idle, short bool, out *flowscope.Messages) (next Timestamp) {
	if next = p.expire(now, p.timeout, out); next != 0 || !idle {
		return next
	}
	if short && p.good {
		if mark, ok := p.only(); ok {
			out.Park(mark)
			return 0
		}
	}
	if next = p.last.Add(stayTime); now < next {
		return next
	}
	out.Park(0)
	return 0
}

// Ended emits the queries that wait.
func (p *parser) Ended(_ flowscope.EndReason, now Timestamp, out *flowscope.Messages) {
	p.end(Ended, now, out)
}

// Resume goes on after Park.
func (p *parser) Resume(mark uint16) { p.good, p.parked = true, mark }

func (p *parser) reset() {
	p.pairs.reset()
	p.service, p.last, p.good, p.damaged = unset, 0, false, 0
}

// datagrams reads a UDP flow.
type datagrams struct{ parser }

// Datagram implements flowscope.DatagramParser.
func (p *datagrams) Datagram(c flowscope.Chunk, out *flowscope.Messages) {
	p.service = serviceOf(flowscope.L4UDP, c.Ports)
	if len(c.Bytes) < headerLen {
		if p.service == otherPort && c.Missing == 0 {
			p.notDNS(&c, out)
			return
		}
		l := flowscope.Emit[Lost](out)
		l.Why, l.Side, l.Bytes = Short, c.Side, int64(len(c.Bytes))
		p.last = c.Time
		return
	}
	p.message(&c, c.Bytes, c.Missing, nil, out)
}

// OnTimer implements flowscope.SessionTimer.
func (p *datagrams) OnTimer(now Timestamp, out *flowscope.Messages) Timestamp {
	return p.timer(now, true, p.service != mdns && p.service != llmnr, out)
}

// Reset implements flowscope.DatagramParser.
func (p *datagrams) Reset() { p.reset() }

// streams reads a TCP connection: messages with their lengths before them (RFC 1035 section 4.2.2,
// RFC 7766 section 8).
type streams struct {
	parser
	sides [2]stream
}

// stream is one side of a connection.
type stream struct {
	carry flowscope.Carry
	state state
	skip  int64           // bytes to come of a message of which some are missing
	last  flowscope.Chunk // without bytes
	// While searching: the bytes passed over, and the length of the messages that were read without success.
	passed, tried int64
}

type state uint8

const (
	unsure    state = iota // the first message has to be plausible
	framed                 // the next bytes are a length
	searching              // for the next message
	stopped                // the side is read no further
)

// Bounds of the search for a message after a gap: the longest message, and the length of a few that are
// read without success.
const (
	maxPassed = 1 << 16
	maxTried  = 1 << 18
)

// Data implements flowscope.SessionParser.
func (p *streams) Data(c flowscope.Chunk, out *flowscope.Messages) {
	s := &p.sides[c.Side]
	if s.state == stopped {
		return
	}
	p.service = serviceOf(flowscope.L4TCP, c.Ports)
	s.last = flowscope.Chunk{Side: c.Side, Time: c.Time, Packet: c.Packet}
	if n := min(s.skip, int64(len(c.Bytes))); n > 0 { // nothing is kept
		s.skip -= n
		if c.Bytes = c.Bytes[n:]; len(c.Bytes) == 0 {
			return
		}
	}
	b, ok := s.carry.Join(c.Bytes, out)
	for ok {
		if s.state == searching {
			b, ok = p.search(s, &c, b, out)
			if !ok {
				return
			}
		}
		n, good := s.next(b)
		if !good {
			if s.state == unsure {
				s.state = searching
				continue
			}
			p.stop(s, c.Side, 0, out)
			return
		}
		if n == 0 {
			break
		}
		s.state = framed
		if !p.message(&c, b[2:n], 0, &s.carry, out) {
			return
		}
		b = b[n:]
	}
	if !ok || !s.carry.Keep(b, out) {
		p.end(Crowded, c.Time, out)
		out.From(c.Side, c.Time, c.Packet)
		p.leave(Budget, c.Side, out)
	}
}

// next gives the length of the message at the beginning of b and of its length, 0 if it is not
// complete. It is not good if there cannot be one.
func (s *stream) next(b []byte) (n int, good bool) {
	if len(b) < 2 || s.state == searching {
		return 0, true
	}
	n = int(binary.BigEndian.Uint16(b))
	if n < headerLen {
		return 0, false
	}
	if s.state == unsure {
		if maybe, _ := plausible(b[2:min(2+n, len(b))], n); !maybe {
			return 0, false
		}
	}
	if len(b) < 2+n {
		return 0, true
	}
	return 2 + n, true
}

// search looks for the first place where a length is followed by as many bytes that read as one
// message, and returns the bytes from there on, or those that may become a message. It reports false if
// there is none within the bounds; then the side is stopped.
func (p *streams) search(s *stream, c *flowscope.Chunk, b []byte, out *flowscope.Messages) (rest []byte, ok bool) {
	for len(b) >= 2 {
		n := int(binary.BigEndian.Uint16(b))
		maybe, _ := plausible(b[2:min(2+n, len(b))], n)
		if maybe && len(b) < 2+n {
			break // more bytes are needed
		}
		if maybe {
			if isWhole(b[2 : 2+n]) {
				s.state = framed
				return b, true
			}
			s.tried += int64(n)
		}
		s.passed++
		if b = b[1:]; s.passed > maxPassed || s.tried > maxTried {
			p.stop(s, c.Side, s.passed, out)
			return nil, false
		}
	}
	return b, true
}

// stop ends the reading of a side. Its open queries still wait for the other side.
func (p *streams) stop(s *stream, side FlowSide, n int64, out *flowscope.Messages) {
	l := flowscope.Emit[Lost](out)
	l.Why, l.Side, l.Bytes = Framing, side, n
	s.carry.Drop(out)
	s.state = stopped
	if out.Stop(side); p.sides[side.Opposite()].state == stopped {
		p.end(Ended, p.last, out)
		out.Done()
	}
}

// Gap implements flowscope.SessionParser. If the gap lies within one message, of which the length is
// known, the part of it that was captured is read, and the next message begins behind it.
func (p *streams) Gap(side FlowSide, _, n int64, now Timestamp, out *flowscope.Messages) {
	s := &p.sides[side]
	if s.state == stopped {
		return
	}
	need, stay := s.skip, true
	if need == 0 {
		need, stay = p.cut(s, out)
	}
	s.carry.Drop(out)
	if !stay {
		return
	}
	out.From(side, now, s.last.Packet)
	l := flowscope.Emit[Lost](out)
	l.Why, l.Side, l.Bytes = Gap, side, n
	s.state, s.skip = framed, need-n
	if s.skip < 0 || need == 0 {
		s.skip, s.state, s.passed, s.tried = 0, searching, 0, 0
	}
}

// cut reads the part of the current message that has come, and returns the length of the rest, which
// does not come; 0 if that is not known. stay is false if the parser leaves the flow.
func (p *streams) cut(s *stream, out *flowscope.Messages) (need int64, stay bool) {
	b, _ := s.carry.Join(nil, out)
	if len(b) < 2 || s.state > framed {
		return 0, true
	}
	n := int(binary.BigEndian.Uint16(b))
	if s.state == unsure {
		if _, yes := plausible(b[2:], n); !yes {
			return 0, true
		}
	}
	missing := 2 + n - len(b)
	if len(b) >= 2+headerLen {
		out.From(s.last.Side, s.last.Time, s.last.Packet)
		stay = p.message(&s.last, b[2:], missing, &s.carry, out)
		return int64(missing), stay
	}
	return int64(missing), true
}

// Closed implements flowscope.SessionParser.
func (p *streams) Closed(side FlowSide, _ flowscope.EndReason, now Timestamp, out *flowscope.Messages) {
	s := &p.sides[side]
	kept := s.carry.Len()
	if _, stay := p.cut(s, out); !stay {
		return
	}
	if kept > 0 && s.state <= framed {
		out.From(side, now, s.last.Packet)
		l := flowscope.Emit[Lost](out)
		l.Why, l.Side, l.Bytes = Incomplete, side, int64(kept)
	}
	s.carry.Drop(out)
	s.state = stopped
}

// OnTimer implements flowscope.SessionTimer.
func (p *streams) OnTimer(now Timestamp, out *flowscope.Messages) Timestamp {
	idle := true
	for i := range p.sides {
		s := &p.sides[i]
		idle = idle && s.carry.Len() == 0 && s.skip == 0 && s.state <= framed
	}
	return p.timer(now, idle, false, out)
}

// Reset implements flowscope.SessionParser.
func (p *streams) Reset() {
	p.reset()
	for i := range p.sides {
		s := &p.sides[i]
		s.carry.Reset()
		*s = stream{carry: s.carry}
	}
}
