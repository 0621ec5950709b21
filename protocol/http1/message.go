package http1

import (
	"github.com/flowscope-go/flowscope"
)

// The meaning of the heads of requests and responses.

// requestHead takes the head of a request. cut says that it is not complete.
func (p *parser) requestHead(b []byte, cut bool, out *flowscope.Messages) {
	s := &p.sides[p.client]
	h := &s.head
	if cut {
		h.finishField(b, len(b))
	}
	l := &h.request
	body, lengths, length := h.framing(l.version)
	e := entry{flags: h.flags | NoResponse, open: true}
	switch {
	case l.hasVersion:
		e.version[request] = l.version
	case string(l.method.of(b)) == "GET" && (h.lines == 1 || h.lines == 2 && h.field == 0 && !cut):
		e.version[request] = Version09 // a request line, and nothing else
		e.kind |= kind09
		e.flags &^= Malformed
	default:
		e.flags |= Malformed // section 3: a 1.x request without its version
	}
	e.began[request], e.packet[request], e.offset[request] = s.began, s.packet, s.of
	switch string(l.method.of(b)) {
	case "HEAD":
		e.kind |= kindHead
	case "CONNECT":
		e.kind |= kindConnect
	}
	if h.wantsUp && h.upgrade.to > h.upgrade.from {
		e.kind |= kindUpgrade
	}
	lost := lengths == lengthBad || body == codingOther
	if cut || lost {
		e.flags |= RequestCut
	}
	if !p.keepRequest(&e, b, out) {
		p.exhausted(out)
		return
	}
	if p.Want&WantRequests != 0 {
		lent := s.carry.Lend(b, out)
		m := flowscope.Emit[Request](out)
		m.Flags, m.Version, m.Began, m.Offset = e.flags&^NoResponse, e.version[request], s.began, s.of
		m.Method, m.Target = l.method.of(lent), l.target.of(lent)
		if h.hasHost {
			m.Host = h.host.of(lent)
		}
		m.Fields = fieldsOf(lent, true, out)
	}
	s.synced = true
	if !p.asked(&e, out) {
		p.exhausted(out)
		return
	}
	first := p.pending.at(p.pending.n - 1)
	switch {
	case cut:
		s.state = stateStart
		first.open = false
		p.advance(out)
	case lost: // section 6.3, rules 4 and 5: where the request ends is unknown
		first.open = false
		s.state = stateStart
		p.stop(p.client, LostFraming, s.of+int64(len(b)), out)
	case body == codingChunked:
		s.nextChunk()
	case lengths == lengthKnown && length > 0:
		s.state, s.remain = stateLength, length
	default: // section 6.3, rule 7
		p.endMessage(p.client, out)
	}
}

// keepRequest puts the words of a request, or its head, into the store.
func (p *parser) keepRequest(e *entry, b []byte, out *flowscope.Messages) bool {
	s := &p.sides[p.client]
	h := &s.head
	low := p.lowest()
	e.lowest = p.words.end()
	e.method, e.target, e.host = h.request.method, h.request.target, h.host
	if p.Want&WantFields != 0 {
		place, ok := p.words.add(b, low, out)
		e.words[request], e.wordsLen[request] = place, uint32(len(b))
		return ok
	}
	// The line from its start to the end of the target, and the host.
	place, ok := p.words.add(b[:e.target.to], low, out)
	n := e.target.to
	if ok && h.hasHost {
		host := e.host.of(b)
		e.host = span{n, n + uint32(len(host))}
		n = e.host.to
		_, ok = p.words.add(host, low, out)
	}
	e.words[request], e.wordsLen[request] = place, n
	return ok
}

// responseHead takes the head of a response. cut says that it is not complete.
func (p *parser) responseHead(b []byte, cut bool, out *flowscope.Messages) {
	i := p.client ^ 1
	s := &p.sides[i]
	h := &s.head
	if cut {
		h.finishField(b, len(b))
	}
	l := &h.status
	body, lengths, length := h.framing(l.version)
	s.synced = true
	e := p.pair(s.packet, out)
	interim := l.status >= 100 && l.status < 200 && l.status != 101
	if p.Want&WantResponses != 0 {
		p.tellResponse(e, b, cut, out)
	}
	if interim { // RFC 9110 section 15.2: no body, and it answers nothing
		e.interim++
		s.state = stateStart
		return
	}
	e.began[response], e.packet[response], e.offset[response] = s.began, s.packet, s.of
	e.ended[response] = s.at
	e.version[response], e.status = l.version, l.status
	e.flags = e.flags&^NoResponse | h.flags
	if p.answering == answerFirst {
		e.interim += p.stray.interim
		p.stray.interim = 0
	}
	if p.uncertain && p.answering == answerFirst || p.ahead && e.flags&AfterGap != 0 {
		e.flags |= Uncertain
	}
	if p.Want&WantFields != 0 {
		low := p.lowest()
		if p.answering == answerNone {
			e.lowest = p.words.end()
		}
		place, ok := p.words.add(b, low, out)
		if !ok {
			p.exhausted(out)
			return
		}
		e.words[response], e.wordsLen[response] = place, uint32(len(b))
	}
	tunnel := e.kind&kindConnect != 0 && l.status >= 200 && l.status < 300
	if !cut && (tunnel || l.status == 101) {
		e.flags |= Upgraded
		why, protocol := SwitchConnect, []byte(nil)
		if !tunnel {
			why, protocol = SwitchUpgrade, out.Copy(h.upgrade.of(b))
		}
		p.switchOver(why, protocol, out)
		return
	}
	switch {
	case cut:
		s.state = stateClose // for abandon to see
		p.abandon(out)
		s.state = stateStart
	case e.kind&kindHead != 0, tunnel, l.status == 204, l.status == 304: // section 6.3, rules 1 and 2
		p.endMessage(i, out)
	case body == codingChunked:
		s.nextChunk()
	case lengths != lengthKnown: // section 6.3, rules 4, 5 and 8
		s.state = stateClose
	case length > 0:
		s.state, s.remain = stateLength, length
	default:
		p.endMessage(i, out)
	}
}

// switchOver ends HTTP/1 with a response.
func (p *parser) switchOver(why SwitchWhy, protocol []byte, out *flowscope.Messages) {
	p.sides[p.client^1].state = stateStart // the response is complete
	if p.answering == answerNone {
		x := p.stray
		p.stray = entry{}
		x.flags |= NoRequest
		p.emitUnasked(out)
		p.emit(&x, out)
	} else {
		p.pending.at(0).answered = true
	}
	p.leave(why, protocol, out)
}

// tellResponse emits the head of a response.
func (p *parser) tellResponse(e *entry, b []byte, cut bool, out *flowscope.Messages) {
	s := &p.sides[p.client^1]
	h := &s.head
	lent := s.carry.Lend(b, out)
	m := flowscope.Emit[Response](out)
	m.Flags, m.Version, m.Status, m.Began, m.Offset = h.flags, h.status.version, h.status.status, s.began, s.of
	m.Request = e.offset[request]
	if p.answering == answerNone {
		m.Flags |= NoRequest
		m.Request = -1
	}
	if cut {
		m.Flags |= ResponseCut
	}
	if p.uncertain && p.answering == answerFirst || p.ahead && e.flags&AfterGap != 0 {
		m.Flags |= Uncertain
	}
	m.Reason = h.status.reason.of(lent)
	m.Fields = fieldsOf(lent, true, out)
}
