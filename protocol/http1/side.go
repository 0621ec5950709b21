package http1

import (
	"bytes"

	"github.com/flowscope-go/flowscope"
)

// side is how far one side has been read.
type side struct {
	carry   flowscope.Carry
	head    head
	state   state
	inChunk chunkLine
	synced  bool // a head was read
	closed  bool // its stream has ended
	begun   bool // something was delivered
	gap     bool // a head is looked for because of a gap

	remain  int64 // of the body, or of the chunk
	size    int64 // of the chunk, while its line is read
	line    int   // how much of that line was read
	next    int64 // offset behind the last bytes that were given
	skipped int64 // place where reading stopped, while a head is looked for

	at       flowscope.Timestamp // of the current chunk
	packetAt uint64
	from     int64 // place where it begins
	old      int   // how many of the current bytes came before it
	fresh    int   // how many of the bytes kept are of it nevertheless
	marks    [4]mark
	numMarks int

	of     int64 // place of the head of the current message; valid after unit
	began  flowscope.Timestamp
	packet uint64
}

// mark is when and with which packet the bytes from a place on came, of those that are kept. There
// are a few for the case that a message begins behind bytes that were kept for longer; where there
// are too few, it seems to have begun earlier.
type mark struct {
	place  int64
	packet uint64
	at     flowscope.Timestamp
}

// state is the meaning of a side's next bytes.
type state uint8

const (
	stateStart     state = iota // the head of the next message, after empty lines
	stateHead                   // the rest of it
	stateLength                 // a body of remain bytes more
	stateClose                  // a body until the stream ends
	stateChunkSize              // the line before a chunk
	stateChunkData              // a chunk of remain bytes more
	stateChunkEnd               // the line end behind it
	stateTrailer                // the fields behind the last chunk
	stateSeek                   // a line that may be the first of a head
	stateSkip                   // a line that is not
	stateBlocked                // bytes behind CONNECT or Upgrade, until that is answered
	stateStopped                // nothing that will be read
)

// chunkLine is where in the line before a chunk reading is.
type chunkLine uint8

const (
	chunkDigits chunkLine = iota
	chunkSpace
	chunkExtension
)

// maxChunk bounds the size of a chunk, so that sums of a few do not overflow.
const maxChunk = 1 << 60

// join is Carry.Join.
func (s *side) join(b []byte, out *flowscope.Messages) ([]byte, bool) {
	s.old, s.fresh = s.carry.Len()-s.fresh, 0
	return s.carry.Join(b, out)
}

// keep is Carry.Keep. It remembers when the bytes came.
func (s *side) keep(rest []byte, out *flowscope.Messages) bool {
	place := s.place(len(rest))
	switch {
	case len(rest) == 0:
	case s.old <= 0:
		s.numMarks = 1
		s.marks[0] = mark{place, s.packetAt, s.at}
	default:
		if i := s.markOf(place); i > 0 {
			s.numMarks = copy(s.marks[:], s.marks[i:s.numMarks])
		}
		if n := s.numMarks; s.at != s.marks[n-1].at && n < len(s.marks) && s.from > s.marks[n-1].place {
			s.marks[n] = mark{s.from, s.packetAt, s.at}
			s.numMarks++
		}
	}
	return s.carry.Keep(rest, out)
}

// markOf is the last mark at or before a place.
func (s *side) markOf(place int64) int {
	i := s.numMarks - 1
	for i > 0 && s.marks[i].place > place {
		i--
	}
	return i
}

func (s *side) drop(out *flowscope.Messages) { s.carry.Drop(out) }

// kept are the bytes that join would return without new ones.
func (s *side) kept(out *flowscope.Messages) []byte {
	b, _ := s.join(nil, out)
	return b
}

// advance goes past n bytes that were read.
func (s *side) advance(b []byte, n int) []byte {
	s.old = max(s.old-n, 0)
	return b[n:]
}

// place is where in the stream the last n bytes that were given begin.
func (s *side) place(n int) int64 { return s.next - int64(n) }

// isIdle reports whether the side is between messages.
func (s *side) isIdle() bool {
	return s.state == stateStart && s.carry.Len() == 0 && !s.closed
}

// unit notes where and when the current message begins, which is with b.
func (s *side) unit(b []byte) {
	s.of, s.began, s.packet = s.place(len(b)), s.at, s.packetAt
	if s.old > 0 {
		m := s.marks[s.markOf(s.of)]
		s.began, s.packet = m.at, m.packet
	}
}

// step reads one thing of b, the bytes of side i from where it is, and gives how many bytes it took:
// 0 if only the state changed, -1 if more bytes are needed.
func (p *parser) step(i flowscope.FlowSide, b []byte, out *flowscope.Messages) int {
	s := &p.sides[i]
	switch s.state {
	case stateStart:
		return p.start(i, b, out)
	case stateHead:
		if i == p.client {
			return p.readRequest(i, b, out)
		}
		return p.readResponse(i, b, out)
	case stateLength, stateChunkData:
		n := int(min(int64(len(b)), s.remain))
		p.body(i, b[:n], out)
		if s.remain -= int64(n); s.remain == 0 {
			p.ended(i, out)
		}
		return n
	case stateClose:
		p.body(i, b, out)
		return len(b)
	case stateChunkSize:
		return p.readChunkSize(i, b, out)
	case stateChunkEnd: // a line end, bare LF too (section 2.2)
		switch {
		case b[0] == '\r' && s.line == 0:
			s.line = 1
			return 1
		case b[0] == '\n':
			s.nextChunk()
			return 1
		}
		p.stop(i, LostFraming, s.place(len(b)), out)
		return 0
	case stateTrailer:
		return p.readTrailer(i, b, out)
	case stateSeek:
		return p.seek(i, b, out)
	case stateSkip:
		if n := bytes.IndexByte(b, '\n') + 1; n > 0 {
			s.state = stateSeek
			return n
		}
		return len(b)
	case stateBlocked:
		if len(b) >= p.MaxHead {
			p.leave(SwitchUnanswered, nil, out)
			return 0
		}
	}
	return -1
}

// start begins the next message.
func (p *parser) start(i flowscope.FlowSide, b []byte, out *flowscope.Messages) int {
	s := &p.sides[i]
	if i != p.client && p.first09() {
		switch startsWith(b, "HTTP/") {
		case no:
			s.unit(b)
			p.begin09(out)
			return 0
		case maybe:
			return -1
		}
	}
	if n := len(b) - len(skipEmpty(b)); n > 0 {
		return n
	}
	s.unit(b)
	s.head.reset(false)
	s.state = stateHead
	return 0
}

// readRequest reads the head of a request.
func (p *parser) readRequest(i flowscope.FlowSide, b []byte, out *flowscope.Messages) int {
	s := &p.sides[i]
	h := &s.head
	if h.lines == 0 {
		switch v := startsWith(b, preface); {
		case v == yes:
			if p.upgrading() {
				return p.block(s)
			}
			p.leave(SwitchPreface, []byte("h2"), out)
			return 0
		case v == maybe && len(b) > 3:
			return -1
		case methodLen(b) < 0:
			return p.refuse(i, b, out)
		}
	}
	for {
		switch h.scan(b[:min(len(b), p.MaxHead)]) {
		case scanLine:
			line := b[h.last : h.line-1]
			if h.lines == 1 {
				l, ok := parseRequestLine(line)
				if !ok || !l.hasVersion && !isKnownMethod(l.method.of(line)) {
					return p.refuse(i, b, out)
				}
				h.request = l
				h.flags |= l.flags
			} else if !h.request.hasVersion && !isField(line) {
				return p.refuse(i, b, out)
			}
			continue
		case scanEnded:
			end := h.line
			p.requestHead(b[:end], false, out)
			return end
		}
		if len(b) < p.MaxHead {
			return -1
		}
		p.cutHead(i, b, out)
		p.stop(i, LostTooLong, s.place(len(b)), out)
		return 0
	}
}

// isField reports whether a line looks like a field.
func isField(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return false
	}
	for _, c := range trimRight(line[:colon]) {
		if !isToken(c) {
			return false
		}
	}
	return true
}

// readResponse reads the head of a response.
func (p *parser) readResponse(i flowscope.FlowSide, b []byte, out *flowscope.Messages) int {
	s := &p.sides[i]
	h := &s.head
	if h.lines == 0 && startsWith(b, "HTTP/") == no {
		return p.refuse(i, b, out)
	}
	for {
		switch h.scan(b[:min(len(b), p.MaxHead)]) {
		case scanLine:
			if h.lines == 1 {
				l, ok := parseStatusLine(b[h.last : h.line-1])
				if !ok {
					return p.refuse(i, b, out)
				}
				h.status = l
				h.flags |= l.flags
			}
			continue
		case scanEnded:
			end := h.line
			p.responseHead(b[:end], false, out)
			return end
		}
		if len(b) < p.MaxHead {
			return -1
		}
		p.cutHead(i, b, out)
		p.stop(i, LostTooLong, s.place(len(b)), out)
		return 0
	}
}

// refuse takes bytes that should begin a head, and do not.
func (p *parser) refuse(i flowscope.FlowSide, b []byte, out *flowscope.Messages) int {
	s := &p.sides[i]
	s.state = stateStart // nothing of it is told
	switch {
	case i == p.client && p.upgrading():
		return p.block(s)
	case s.synced:
		p.stop(i, LostFraming, s.place(len(b)), out)
	default:
		s.skipped = s.place(len(b))
		p.lost(i, LostMidstream, s.skipped, out)
		s.state, s.gap = stateSeek, false
		s.head.reset(false)
	}
	return 0
}

// block keeps the bytes of the client until its last request is answered.
func (p *parser) block(s *side) int {
	s.state = stateBlocked
	return 0
}

// upgrading reports whether the client waits for the answer to an Upgrade.
func (p *parser) upgrading() bool {
	n := p.pending.n
	return n > 0 && p.pending.at(n-1).kind&kindUpgrade != 0
}

// seek looks for a head where a line begins.
func (p *parser) seek(i flowscope.FlowSide, b []byte, out *flowscope.Messages) int {
	s := &p.sides[i]
	v := no
	if i != p.client {
		v = probeStatus(b)
	} else if methodLen(b) > 0 {
		h := &s.head // only to look at each byte once
		if n := bytes.IndexByte(b[h.looked:min(len(b), p.MaxHead)], '\n'); n >= 0 {
			if l, ok := parseRequestLine(b[:h.looked+n]); ok && l.version>>8 == 1 {
				v = yes
			}
		} else if h.looked, v = min(len(b), p.MaxHead), maybe; len(b) >= p.MaxHead {
			v = no
		}
	}
	switch v {
	case maybe:
		return -1
	case no:
		s.head.reset(false)
		s.state = stateSkip
		return 0
	}
	m := flowscope.Emit[Lost](out)
	m.Why, m.Found, m.IsClient, m.Offset = LostGap, true, i == p.client, s.place(len(b))
	if !s.gap {
		m.Why = LostMidstream
	}
	m.Skipped = m.Offset - s.skipped
	s.state = stateStart
	return 0
}

// settle09 takes a request line without version, and without fields, for one of HTTP/0.9, once the
// server speaks or the client has ended its stream.
func (p *parser) settle09(i flowscope.FlowSide, out *flowscope.Messages) {
	s := &p.sides[p.client]
	if h := &s.head; i == p.client || s.state != stateHead || h.lines != 1 || h.request.hasVersion {
		return
	}
	b := s.kept(out)
	line := s.head.line
	if rest := trim(b[line:]); len(rest) > 0 || string(s.head.request.method.of(b)) != "GET" {
		s.carry.Keep(b, out)
		return
	}
	p.requestHead(b[:line], false, out)
	s.drop(out)
}

// first09 reports whether the next response is to a request of HTTP/0.9.
func (p *parser) first09() bool {
	return p.pending.n > 0 && p.pending.at(0).kind&kind09 != 0 && !p.pending.at(0).answered
}

// begin09 begins a response that is all body.
func (p *parser) begin09(out *flowscope.Messages) {
	s := &p.sides[p.client^1]
	e := p.pending.at(0)
	p.answering = answerFirst
	p.hole = false
	e.flags &^= NoResponse
	e.began[response], e.packet[response], e.offset[response] = s.began, s.packet, s.of
	e.version[response] = Version09
	s.synced = true
	s.state = stateClose
}

// unblock lets the client go on after a CONNECT or Upgrade that was refused.
func (p *parser) unblock(out *flowscope.Messages) {
	s := &p.sides[p.client]
	if p.left || s.state != stateBlocked || p.pending.n > 0 {
		return
	}
	s.state = stateStart
	if s.carry.Len() > 0 {
		p.read(p.client, nil, out)
	}
}

// begin notes where the side begins, at its first bytes or gap.
func (s *side) begin(offset int64) {
	if !s.begun {
		s.begun, s.skipped = true, offset
	}
}
