package http1

import (
	"github.com/flowscope-go/flowscope"
)

// Which response answers which request.
//
// Requests wait in p.pending in the order in which they were sent. The current response belongs to
// the first of them (answerFirst), or to none (answerNone): then it is p.stray while it is read, and
// waits in p.unasked until it is known that no request for it comes late.

// answer says which request the current response belongs to.
type answer uint8

const (
	answerNone answer = iota
	answerFirst
)

// asked takes a request whose head is complete, and reports false if there is no room.
func (p *parser) asked(e *entry, out *flowscope.Messages) bool {
	if p.afterGap {
		p.afterGap = false
		e.flags |= AfterGap
	}
	if p.pending.n >= p.MaxPending {
		// The responses to requests that are given up may still come, so it is as after a gap.
		if !p.toldPending {
			p.toldPending = true
			p.lost(p.client, LostPending, e.offset[request], out)
		}
		if p.answering == answerFirst {
			p.emit(p.pending.at(1), out) // the oldest one is just being answered
			*p.pending.at(1) = *p.pending.at(0)
			p.pending.pop()
		} else {
			p.emitFirst(out)
		}
		p.hole = true
	}
	first := p.pending.n == 0
	if !p.pending.push(e, out) {
		return false
	}
	if first {
		p.adopt(p.pending.at(0), out)
	}
	p.lastAsked = e.packet[request]
	return true
}

// adopt pairs a request with a response that was delivered before it, but sent after it. Responses
// that were sent before it are to requests that are lost, or to none.
func (p *parser) adopt(e *entry, out *flowscope.Messages) {
	for p.unasked.n > 0 {
		x := p.unasked.at(0)
		late := x.packet[response] > e.packet[request]
		if late {
			e.takeResponse(x)
			e.answered = true
		} else {
			p.emit(x, out)
		}
		p.unasked.pop()
		if late {
			return
		}
	}
	if p.reading() && p.answering == answerNone && p.stray.packet[response] > e.packet[request] {
		e.takeResponse(&p.stray)
		p.stray = entry{}
		p.answering = answerFirst
	}
}

// takeResponse takes the response of x, which has no request.
func (e *entry) takeResponse(x *entry) {
	const r = response
	e.began[r], e.ended[r], e.packet[r], e.offset[r] = x.began[r], x.ended[r], x.packet[r], x.offset[r]
	e.body[r], e.missing[r], e.words[r], e.wordsLen[r] = x.body[r], x.missing[r], x.words[r], x.wordsLen[r]
	e.version[r], e.status, e.interim = x.version[r], x.status, x.interim
	e.flags = e.flags&^NoResponse | x.flags&^NoRequest
	e.lowest = min(e.lowest, x.lowest)
}

// reading reports whether the head of a final response was read and its body was not yet.
func (p *parser) reading() bool {
	switch p.sides[p.client^1].state {
	case stateLength, stateClose, stateChunkSize, stateChunkData, stateChunkEnd, stateTrailer:
		return true
	}
	return false
}

// pair decides which request the response that begins with that packet answers.
func (p *parser) pair(packet uint64, out *flowscope.Messages) *entry {
	q := &p.pending
	resumed := p.hole
	if p.hole && q.n > 0 && q.at(0).packet[request] < packet {
		p.hole = false
		if p.ahead {
			p.uncertain = q.n > 1
		} else {
			// A client that waits for each response had those to all requests but the last one
			// that it sent before this response.
			for q.n > 1 && q.at(1).packet[request] < packet {
				p.emitFirst(out)
			}
		}
	}
	if q.n == 0 || q.at(0).answered || q.at(0).packet[request] > packet {
		p.answering = answerNone
		return &p.stray
	}
	if !resumed && q.n > 1 && q.at(1).packet[request] < packet {
		p.ahead = true
	}
	p.answering = answerFirst
	return q.at(0)
}

// answered is the entry that the current response belongs to.
func (p *parser) answered() *entry {
	if p.answering == answerFirst {
		return p.pending.at(0)
	}
	return &p.stray
}

// finishResponse takes a final response that is complete, or cut.
func (p *parser) finishResponse(out *flowscope.Messages) {
	if p.answering == answerFirst {
		p.pending.at(0).answered = true
		p.answering = answerNone
		p.advance(out)
		return
	}
	x := p.stray
	p.stray = entry{}
	x.flags |= NoRequest
	x.answered = true
	// Requests are delivered in order: if a later one was, none of before comes.
	if p.noMore(p.client) || p.lastAsked > x.packet[response] {
		p.emit(&x, out)
		p.tidy(out)
		return
	}
	if p.unasked.n >= p.MaxUnasked {
		p.emit(p.unasked.at(0), out)
		p.unasked.pop()
	}
	if !p.unasked.push(&x, out) {
		p.emit(&x, out)
		p.exhausted(out)
	}
}

// abandon gives up the current response, if there is one.
func (p *parser) abandon(out *flowscope.Messages) {
	if p.reading() {
		p.answered().flags |= ResponseCut
		p.finishResponse(out)
	}
}

// noMore reports whether nothing more will be read of a side.
func (p *parser) noMore(side flowscope.FlowSide) bool { return p.sides[side].state == stateStopped }

// advance emits the exchanges that are complete.
func (p *parser) advance(out *flowscope.Messages) {
	for p.pending.n > 0 {
		e := p.pending.at(0)
		if e.open || !e.answered && !p.noMore(p.client^1) {
			break
		}
		p.emitFirst(out)
	}
	if p.pending.n == 0 && p.unasked.n > 0 && p.noMore(p.client) {
		p.emitUnasked(out)
	}
	p.tidy(out)
}

// emitFirst emits the oldest request as it is.
func (p *parser) emitFirst(out *flowscope.Messages) {
	e := p.pending.at(0)
	if p.answering == answerFirst {
		p.answering = answerNone
	}
	if e.open {
		e.flags |= RequestCut
	}
	p.emit(e, out)
	p.pending.pop()
	if p.pending.n == 0 {
		p.uncertain = false
	}
}

func (p *parser) emitUnasked(out *flowscope.Messages) {
	for p.unasked.n > 0 {
		p.emit(p.unasked.at(0), out)
		p.unasked.pop()
	}
}

// flush emits all that is not complete.
func (p *parser) flush(out *flowscope.Messages) {
	p.abandon(out)
	for p.pending.n > 0 {
		p.emitFirst(out)
	}
	p.emitUnasked(out)
}

// tidy forgets words if there is no entry that needs them.
func (p *parser) tidy(out *flowscope.Messages) {
	if p.pending.n == 0 && p.unasked.n == 0 && p.stray.wordsLen[response] == 0 && len(p.words.buf) > 0 {
		p.words.empty(out)
	}
}

// lowest is the place before which no entry has words.
func (p *parser) lowest() uint64 {
	low := p.words.end()
	if p.pending.n > 0 {
		low = min(low, p.pending.at(0).lowest)
	}
	if p.unasked.n > 0 {
		low = min(low, p.unasked.at(0).lowest)
	}
	if p.stray.wordsLen[response] > 0 {
		low = min(low, p.stray.lowest)
	}
	return low
}

// emit emits an exchange.
func (p *parser) emit(e *entry, out *flowscope.Messages) {
	m := flowscope.Emit[Exchange](out)
	if e.flags&(NoRequest|NoResponse|RequestCut) == 0 && e.began[response] < e.ended[request] {
		e.flags |= Early
	}
	if e.flags&RequestCut != 0 {
		e.ended[request] = 0
	}
	if e.flags&ResponseCut != 0 {
		e.ended[response] = 0
	}
	m.Client, m.Flags, m.Status, m.Interim = p.client, e.flags, e.status, e.interim
	words := out.Copy(p.words.of(e.words[request], e.wordsLen[request]))
	if len(words) > 0 {
		m.Method, m.Target = e.method.of(words), e.target.of(words)
		if e.host.to > 0 {
			m.Host = e.host.of(words)
		}
	}
	for i, part := range [...]*Part{&m.Request, &m.Response} {
		part.Began, part.Ended, part.Offset = e.began[i], e.ended[i], e.offset[i]
		part.Body, part.Missing, part.Version = e.body[i], e.missing[i], e.version[i]
	}
	if p.Want&WantFields != 0 {
		if len(words) > 0 {
			m.Request.Fields = fieldsOf(words, true, out)
		}
		if head := out.Copy(p.words.of(e.words[response], e.wordsLen[response])); len(head) > 0 {
			m.Response.Fields = fieldsOf(head, true, out)
		}
	}
}
