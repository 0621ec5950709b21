package http1

import (
	"github.com/flowscope-go/flowscope"
)

// parser reads one connection.
type parser struct {
	Factory
	sides [2]side

	pending   queue // requests, the oldest first
	unasked   queue // complete responses to no known request
	words     store // of both
	stray     entry // the current response, or its interim ones, with answerNone
	answering answer
	lastAsked uint64 // packet of the newest request
	parkAt    flowscope.Timestamp

	client      flowscope.FlowSide // with known
	known       bool               // which side is the client
	hole        bool               // the server's stream had one since the last response that was paired
	afterGap    bool               // the client's stream had one since the last request
	ahead       bool               // the client has sent a request before the response to the one before
	uncertain   bool               // of a client that sends ahead some responses are lost
	toldPending bool
	nested      bool   // the client is read while the server is, of which
	outer       []byte // is not read yet
	left        bool   // the parser has left the flow
	switched    bool   // and hands over
}

// Bits of the state of a parked parser.
const (
	parkedClient = 1 << iota // the client is the responder
	parkedAhead
	parkedHole
	parkedAfterGap
	parkedRead // heads were read of side 0; of side 1: parkedRead << 1
)

// Data takes the next bytes of a side.
func (p *parser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	c.Side &= 1
	s := &p.sides[c.Side]
	if p.inBody(&c) {
		return
	}
	s.begin(c.Offset)
	s.at, s.packetAt, s.from, s.next = c.Time, c.Packet, c.Offset, c.Offset+int64(len(c.Bytes))
	b := c.Bytes
	if !p.known {
		if !p.learn(c, out) {
			return
		}
		if s.carry.Len() > 0 {
			b = nil // it is kept already, but for empty lines
			s.fresh = min(len(c.Bytes), s.carry.Len())
		}
	}
	p.settle09(c.Side, out)
	p.read(c.Side, b, out)
	p.unblock(out)
}

// inBody takes bytes that lie within a body of known length or within a chunk, before its end, as most
// do that a connection carries. It reports false, and has done nothing, if Data must look at them.
func (p *parser) inBody(c *flowscope.Chunk) bool {
	s := &p.sides[c.Side]
	n := int64(len(c.Bytes))
	if s.state != stateLength && s.state != stateChunkData || n >= s.remain || p.Want&WantBodies != 0 {
		return false
	}
	if c.Side != p.client && p.sides[p.client].state == stateHead {
		return false // it may be a request of HTTP/0.9
	}
	s.at, s.packetAt, s.from, s.next = c.Time, c.Packet, c.Offset, c.Offset+n
	s.old, s.fresh = 0, 0
	s.remain -= n
	e, part := p.message(c.Side)
	e.body[part] += n
	e.ended[part] = c.Time
	return true
}

// learn finds out which side is the client, by a first line. Until then first bytes are kept.
func (p *parser) learn(c flowscope.Chunk, out *flowscope.Messages) bool {
	s := &p.sides[c.Side]
	if s.state == stateSkip {
		return false // its first bytes were no first line
	}
	own := s.carry.Len() > 0
	b, ok := s.join(c.Bytes, out)
	if !ok {
		p.exhausted(out)
		return false
	}
	b = s.advance(b, len(b)-len(skipEmpty(b)))
	v := probe(b[:min(len(b), flowscope.MaxProbe)])
	switch {
	case v == no || v == maybe && len(b) >= flowscope.MaxProbe:
		s.skipped = s.place(len(b))
		s.state = stateSkip
		s.drop(out)
		return false
	case v == maybe:
		if !s.keep(b, out) {
			p.exhausted(out)
		}
		return false
	}
	if own && !s.keep(b, out) {
		p.exhausted(out)
		return false
	}
	p.known, p.client = true, c.Side
	if startsWith(b, "HTTP/") == yes {
		p.client ^= 1
	}
	if p.sides[c.Side^1].carry.Len() > 0 {
		p.read(c.Side^1, nil, out) // it came first
	}
	return !p.left
}

// read reads the kept bytes of a side, followed by b.
func (p *parser) read(i flowscope.FlowSide, b []byte, out *flowscope.Messages) {
	s := &p.sides[i]
	if p.left || s.state == stateStopped {
		return
	}
	b, ok := s.join(b, out)
	if !ok {
		p.exhausted(out)
		return
	}
	for len(b) > 0 {
		n := p.step(i, b, out)
		if n < 0 {
			break
		}
		b = s.advance(b, n)
		if i != p.client && p.sides[p.client].state == stateBlocked && !p.left {
			p.nested, p.outer = true, b
			p.unblock(out)
			p.nested, p.outer = false, nil
		}
		if p.left || s.state == stateStopped {
			break
		}
	}
	switch {
	case p.switched:
		p.handover(i, b, out)
	case p.left:
	case s.state == stateStopped:
		s.drop(out)
	case !s.keep(b, out):
		p.exhausted(out)
	}
}

// handover gives up the flow, with the unread bytes of side i and the kept bytes of the other.
func (p *parser) handover(i flowscope.FlowSide, b []byte, out *flowscope.Messages) {
	var rest [2][]byte
	rest[i] = b
	if p.nested {
		rest[i^1] = p.outer
	} else {
		rest[i^1], _ = p.sides[i^1].carry.Join(nil, out)
	}
	p.switched = false
	out.Handover(rest)
}

// Gap takes n bytes of a side that will not come.
func (p *parser) Gap(i flowscope.FlowSide, offset, n int64, now flowscope.Timestamp, out *flowscope.Messages) {
	i &= 1
	s := &p.sides[i]
	s.begin(offset)
	s.next = offset + n
	if !p.known {
		if s.state != stateSkip {
			s.drop(out)
		}
		return
	}
	s.at = now
	if i != p.client {
		p.settle09(i, out)
	}
	p.gap(i, offset, n, out)
	p.unblock(out)
}

func (p *parser) gap(i flowscope.FlowSide, from, n int64, out *flowscope.Messages) {
	s := &p.sides[i]
	switch s.state {
	case stateStopped:
		return
	case stateBlocked:
		s.drop(out)
		return
	case stateClose:
		p.missing(i, n, out)
		return
	case stateLength, stateChunkData:
		k := min(n, s.remain)
		p.missing(i, k, out)
		from, n = from+k, n-k
		if s.remain -= k; s.remain == 0 {
			p.ended(i, out)
		}
		if n == 0 {
			return
		}
	}
	seeking := s.state == stateSeek || s.state == stateSkip
	p.cut(i, out)
	s.drop(out)
	s.head.reset(false)
	if i == p.client {
		p.afterGap = true
	} else {
		p.hole = true
	}
	if s.state = stateSeek; !seeking {
		s.skipped, s.gap = from, true
		p.lost(i, LostGap, from, out)
	}
}

// cut ends the current message where it is. Of a head, the first line is emitted if it is complete.
func (p *parser) cut(i flowscope.FlowSide, out *flowscope.Messages) {
	s := &p.sides[i]
	switch s.state {
	case stateHead:
		p.cutHead(i, s.kept(out), out)
	case stateTrailer:
		p.endMessage(i, out) // the body is complete
	default:
		if i == p.client {
			p.cutRequest(out)
		} else {
			p.abandon(out)
		}
	}
}

// cutHead takes b, the beginning of a head, for all that there is of it.
func (p *parser) cutHead(i flowscope.FlowSide, b []byte, out *flowscope.Messages) {
	s := &p.sides[i]
	s.state = stateStart
	if h := &s.head; h.lines == 0 {
		return
	} else if i != p.client {
		p.responseHead(b[:h.line], true, out)
	} else if h.request.hasVersion || h.lines > 1 {
		p.requestHead(b[:h.line], true, out)
	}
}

func (p *parser) cutRequest(out *flowscope.Messages) {
	if n := p.pending.n; n > 0 && p.pending.at(n-1).open {
		e := p.pending.at(n - 1)
		e.open = false
		e.flags |= RequestCut
		p.advance(out)
	}
}

// Closed takes the end of a side's stream.
func (p *parser) Closed(i flowscope.FlowSide, reason flowscope.EndReason, now flowscope.Timestamp, out *flowscope.Messages) {
	i &= 1
	s := &p.sides[i]
	if !p.known || s.state == stateStopped {
		s.drop(out)
		if s.state = stateStopped; !p.known {
			s.closed = true
		}
		return
	}
	if i == p.client {
		p.settle09(i^1, out)
		other := &p.sides[i^1]
		if s.state == stateBlocked && s.carry.Len() > 0 && other.next == 0 && !other.closed {
			p.leave(SwitchUnanswered, nil, out)
			p.handover(i, p.sides[i].kept(out), out)
			return
		}
		p.cut(i, out)
	} else {
		p.close(reason, out)
	}
	s.drop(out)
	s.state, s.closed = stateStopped, true
	p.advance(out)
	p.unblock(out)
}

// close takes the end of the server's stream, which ends a body of unknown length (section 6.3, rule
// 8).
func (p *parser) close(reason flowscope.EndReason, out *flowscope.Messages) {
	i := p.client ^ 1
	s := &p.sides[i]
	if (s.state == stateStart || s.state == stateHead) && s.carry.Len() > 0 && p.first09() {
		b := s.kept(out) // shorter than "HTTP/"
		s.unit(b)
		p.begin09(out)
		p.body(i, b, out)
	}
	if s.state == stateClose && reason == 0 {
		p.endMessage(i, out)
		return
	}
	p.cut(i, out)
}

// Ended takes the end of the flow.
func (p *parser) Ended(_ flowscope.EndReason, _ flowscope.Timestamp, out *flowscope.Messages) {
	if p.known && !p.left {
		p.flush(out)
	}
}

// OnTimer emits responses whose requests do not come, and parks the parser.
func (p *parser) OnTimer(now flowscope.Timestamp, out *flowscope.Messages) (next flowscope.Timestamp) {
	if p.left {
		return 0
	}
	for p.unasked.n > 0 {
		due := p.unasked.at(0).ended[response].Add(p.LateRequest)
		if due > now {
			next = due
			break
		}
		p.emit(p.unasked.at(0), out)
		p.unasked.pop()
		p.tidy(out)
	}
	if p.ParkAfter < 0 {
		return next
	}
	if p.parkAt <= now {
		// The time is moved when it has come, not with each packet.
		if p.parkAt != 0 && p.isIdle() {
			if due := max(p.sides[0].at, p.sides[1].at).Add(p.ParkAfter); due > now {
				p.parkAt = due
			} else {
				p.park(out)
				return 0
			}
		} else {
			p.parkAt = now.Add(p.ParkAfter)
		}
	}
	if next == 0 {
		return p.parkAt
	}
	return min(next, p.parkAt)
}

// isIdle reports whether both sides are between messages and nothing waits.
func (p *parser) isIdle() bool {
	return p.known && p.pending.n == 0 && p.unasked.n == 0 && p.stray.interim == 0 && !p.uncertain &&
		p.sides[0].isIdle() && p.sides[1].isIdle()
}

func (p *parser) park(out *flowscope.Messages) {
	state := uint16(p.client) * parkedClient
	set := func(on bool, bit uint16) {
		if on {
			state |= bit
		}
	}
	set(p.ahead, parkedAhead)
	set(p.hole, parkedHole)
	set(p.afterGap, parkedAfterGap)
	set(p.sides[0].synced, parkedRead)
	set(p.sides[1].synced, parkedRead<<1)
	p.left = true
	out.Park(state)
}

// Resume goes on where park stopped.
func (p *parser) Resume(state uint16) {
	p.known, p.client = true, flowscope.FlowSide(state&parkedClient)
	p.ahead, p.hole, p.afterGap = state&parkedAhead != 0, state&parkedHole != 0, state&parkedAfterGap != 0
	p.sides[0].synced, p.sides[1].synced = state&parkedRead != 0, state&(parkedRead<<1) != 0
}

// Reset makes the parser as new. What is kept is taken out and put back, since clearing all in place is
// much cheaper than to assign a new parser.
func (p *parser) Reset() {
	factory, carries := p.Factory, [2]flowscope.Carry{p.sides[0].carry, p.sides[1].carry}
	p.pending.reset()
	p.unasked.reset()
	p.words.reset()
	pending, unasked, words := p.pending, p.unasked, p.words
	*p = parser{}
	p.Factory, p.pending, p.unasked, p.words = factory, pending, unasked, words
	for i := range carries {
		carries[i].Reset()
		p.sides[i].carry = carries[i]
	}
}

// lost emits that a side is not read from a place on.
func (p *parser) lost(i flowscope.FlowSide, why LostWhy, at int64, out *flowscope.Messages) {
	m := flowscope.Emit[Lost](out)
	m.Why, m.Offset, m.IsClient = why, at, i == p.client
}

// stop gives up a side.
func (p *parser) stop(i flowscope.FlowSide, why LostWhy, at int64, out *flowscope.Messages) {
	s := &p.sides[i]
	p.cut(i, out)
	p.lost(i, why, at, out)
	s.state = stateStopped
	out.Stop(i)
	p.advance(out)
	if p.noMore(i ^ 1) {
		p.flush(out)
		p.left = true
		out.Done()
	}
}

// exhausted gives up the connection, since there is no room for more.
func (p *parser) exhausted(out *flowscope.Messages) {
	if p.left {
		return
	}
	p.left = true
	p.flush(out)
	m := flowscope.Emit[Lost](out)
	m.Why = LostBudget
	out.Done()
}

// leave says that HTTP/1 ends here. The caller hands over.
func (p *parser) leave(why SwitchWhy, protocol []byte, out *flowscope.Messages) {
	var target []byte
	if p.pending.n > 0 {
		e := p.pending.at(0)
		target = out.Copy(e.target.of(p.words.of(e.words[request], e.wordsLen[request])))
	}
	p.flush(out)
	m := flowscope.Emit[Switched](out)
	m.Why, m.Protocol, m.Target, m.Client = why, protocol, target, p.client
	p.left, p.switched = true, true
}
