package http1

import (
	"github.com/flowscope-go/flowscope"
)

// message is the exchange of the current message of a side, and its part there.
func (p *parser) message(i flowscope.FlowSide) (*entry, part) {
	if i == p.client {
		return p.pending.at(p.pending.n - 1), request
	}
	return p.answered(), response
}

// body counts a piece of the current body.
func (p *parser) body(i flowscope.FlowSide, b []byte, out *flowscope.Messages) {
	e, part := p.message(i)
	if p.Want&WantBodies != 0 && len(b) > 0 {
		m := flowscope.Emit[Body](out)
		m.Of, m.Offset, m.IsRequest = e.offset[part], e.body[part], part == request
		m.Bytes = p.sides[i].carry.Lend(b, out)
	}
	e.body[part] += int64(len(b))
	e.ended[part] = p.sides[i].at
}

// missing counts n bytes of the current body that are lost in a gap.
func (p *parser) missing(i flowscope.FlowSide, n int64, out *flowscope.Messages) {
	e, part := p.message(i)
	if p.Want&WantBodies != 0 && n > 0 {
		m := flowscope.Emit[Body](out)
		m.Of, m.Offset, m.IsRequest = e.offset[part], e.body[part], part == request
		m.Missing = n
	}
	e.body[part] += n
	e.missing[part] += n
	e.ended[part] = p.sides[i].at
}

// ended goes on behind a body, or a chunk.
func (p *parser) ended(i flowscope.FlowSide, out *flowscope.Messages) {
	if s := &p.sides[i]; s.state == stateChunkData {
		s.state, s.line = stateChunkEnd, 0
	} else {
		p.endMessage(i, out)
	}
}

// endMessage goes on behind a message that is complete.
func (p *parser) endMessage(i flowscope.FlowSide, out *flowscope.Messages) {
	s := &p.sides[i]
	e, part := p.message(i)
	e.ended[part] = s.at
	s.state = stateStart
	if part == response {
		p.finishResponse(out)
		return
	}
	e.open = false
	if e.kind&kindConnect != 0 && !e.answered {
		s.state = stateBlocked
	}
	p.advance(out)
}

// nextChunk goes to the line before a chunk.
func (s *side) nextChunk() {
	s.state, s.inChunk, s.size, s.line = stateChunkSize, chunkDigits, -1, 0
}

// readChunkSize reads the line before a chunk (section 7.1): hexadecimal digits, and extensions that
// nobody uses.
func (p *parser) readChunkSize(i flowscope.FlowSide, b []byte, out *flowscope.Messages) int {
	s := &p.sides[i]
	for n, c := range b {
		if s.line++; s.line > p.MaxHead {
			p.stop(i, LostTooLong, s.place(len(b)-n), out)
			return n
		}
		if c == '\n' {
			if s.size < 0 {
				p.stop(i, LostFraming, s.place(len(b)-n), out)
				return n
			}
			if s.remain = s.size; s.size > 0 {
				s.state = stateChunkData
			} else {
				s.state = stateTrailer
				s.head.reset(true)
			}
			return n + 1
		}
		if s.inChunk == chunkExtension {
			continue
		}
		digit := hexDigit(c)
		switch {
		case digit >= 0 && s.inChunk == chunkDigits:
			if s.size > maxChunk>>4 {
				p.stop(i, LostFraming, s.place(len(b)-n), out)
				return n
			}
			s.size = max(s.size, 0)<<4 | int64(digit)
			continue
		case c == ';' && s.size >= 0:
			s.inChunk = chunkExtension
			continue
		case (isSpace(c) || c == '\r') && s.size >= 0:
			s.inChunk = chunkSpace
			continue
		}
		p.stop(i, LostFraming, s.place(len(b)-n), out)
		return n
	}
	return len(b)
}

func hexDigit(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// readTrailer reads the fields behind the last chunk (section 7.1.2).
func (p *parser) readTrailer(i flowscope.FlowSide, b []byte, out *flowscope.Messages) int {
	s := &p.sides[i]
	if s.head.scan(b[:min(len(b), p.MaxHead)]) != scanEnded {
		if len(b) < p.MaxHead {
			return -1
		}
		p.stop(i, LostTooLong, s.place(len(b)), out)
		return 0
	}
	end := s.head.line
	if p.Want&WantTrailers != 0 && s.head.last > 0 {
		e, part := p.message(i)
		m := flowscope.Emit[Trailer](out)
		m.Of, m.IsRequest = e.offset[part], part == request
		m.Fields = fieldsOf(s.carry.Lend(b[:s.head.last], out), false, out)
	}
	p.endMessage(i, out)
	return end
}
