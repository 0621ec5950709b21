package tls

import (
	"github.com/flowscope-go/flowscope"
)

// parser reads both sides of a connection. It keeps what the Handshake at the end needs: the first
// ClientHello, the last ServerHello and the certificates as bytes, the alerts as numbers.
type parser struct {
	begin                              mode // of both sides
	maxHello, maxCertificates, maxTalk int
	hellos                             bool

	sides [2]direction
	kept  buffer
	talk  talk // of StartTLS
	// talker is the side that talk was recognised by.
	talker flowscope.FlowSide
	found
}

// found is the result so far.
type found struct {
	gone   bool                // the flow is no longer ours
	time   flowscope.Timestamp // of the call
	client flowscope.FlowSide
	roles  bool // client is known

	// Parts of kept.
	clientHello, serverHello, v2 span
	certificates                 [4]sentSpan // bodies of Certificate messages
	numCertificates, numAlerts   uint8
	numServerHellos              uint8
	hasServerHello               bool // that is no HelloRetryRequest
	retried, incomplete          bool
	version                      Version // once a ServerHello that is no HelloRetryRequest is there
	certificateBytes             int
	clientTime, serverTime       flowscope.Timestamp
	alerts                       [16]sentAlert
}

type span struct {
	from, to int
	ok       bool
}

type sentSpan struct {
	span
	side flowscope.FlowSide
}

type sentAlert struct {
	side               flowscope.FlowSide
	level, description uint8
}

// mode is how a side is read.
type mode uint8

const (
	// modeTalk: another protocol that TLS may follow, see StartTLS.
	modeTalk mode = iota + 1
	// modeStart: a record or an SSLv2 hello begins here.
	modeStart
	// modeRecords: records, one after the other.
	modeRecords
	// modeHunt: bytes are missing, and a record may begin anywhere.
	modeHunt
	// modeDone: nothing more is read of the side.
	modeDone
)

// direction is how far one side is read.
type direction struct {
	mode  mode
	carry flowscope.Carry // of all modes but modeRecords
	talk  talkSide
	begun bool // something of it was read as TLS

	// modeHunt.
	edge   bool // the gap ends here
	hunted int

	// The record layer.
	head     [recordHeader]byte
	headLen  uint8
	typ      uint8
	left     int // bytes of the record to come
	ccs      bool
	alert    [2]byte
	alertLen uint8

	// The handshake layer.
	header    [messageHeader]byte
	headerLen uint8
	skip      int                 // bytes of a message to pass over
	need      int                 // length of the message that is collected; 0 none
	message   buffer              // its bytes so far
	began     flowscope.Timestamp // when its first byte came
	deaf      bool                // it is not known where a message begins: look at the next record
	mute      bool                // the rest of the record is not readable
	full      bool                // a message of a full handshake was seen on this side
	gapped    bool
}

// Reset makes the parser as new.
func (p *parser) Reset() {
	p.found, p.talk, p.talker = found{}, 0, 0
	p.kept.reset()
	for i := range p.sides {
		d := &p.sides[i]
		carry, message := d.carry, d.message
		carry.Reset()
		message.reset()
		*d = direction{mode: p.begin, carry: carry, message: message}
	}
}

// Data reads the next bytes of a side.
func (p *parser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	p.time = c.Time
	d := &p.sides[c.Side]
	if d.mode == modeRecords {
		p.records(c.Side, c.Bytes, out)
		return
	}
	midway := c.Offset > int64(d.carry.Len())
	b, ok := d.carry.Join(c.Bytes, out)
	if ok {
		b = p.enter(c.Side, b, midway, out)
		ok = p.gone || d.carry.Keep(b, out)
	}
	if !ok {
		p.overBudget(out)
	}
}

// enter reads b up to the records of the side, then the records, and returns the bytes to keep.
func (p *parser) enter(side flowscope.FlowSide, b []byte, midway bool, out *flowscope.Messages) []byte {
	d := &p.sides[side]
	for more := true; more && len(b) > 0; {
		switch d.mode {
		case modeTalk:
			b, more = p.readTalk(side, b, out)
		case modeStart:
			b, more = p.start(side, b, midway, out)
		case modeHunt:
			b, more = p.hunt(side, b, out)
		case modeRecords:
			p.records(side, b, out)
			return nil
		default:
			return nil
		}
	}
	return b
}

// start reads the first bytes of a side, or those after an SSLv2 hello.
func (p *parser) start(side flowscope.FlowSide, b []byte, midway bool, out *flowscope.Messages) (rest []byte, more bool) {
	d := &p.sides[side]
	v := headerVerdict(b)
	var size int
	if b[0]&0x80 != 0 {
		size, v = probeV2(b)
	}
	switch {
	case v == flowscope.VerdictMaybe, len(b) < size:
		return b, false
	case v == flowscope.VerdictYes && size > 0:
		p.v2Hello(side, b[v2Header:size], out)
		return b[size:], !p.gone
	case v == flowscope.VerdictYes:
		d.mode = modeRecords
		return b, true
	case d.begun: // SSL 2.0 after an SSLv2 hello
		p.stop(side, out)
	case midway:
		// The beginning of the side was not recognised as TLS, so this is the middle of something.
		p.lost(LostFraming, 0, out)
		d.mode, d.deaf, d.gapped = modeHunt, true, true
		return b, true
	default:
		p.handOver(side, b, out)
	}
	return nil, false
}

// handOver ends the reading of a connection of which this side speaks something else from b on.
func (p *parser) handOver(side flowscope.FlowSide, b []byte, out *flowscope.Messages) {
	p.finish(out)
	var rest [2][]byte
	rest[side] = b
	if other := &p.sides[side^1]; other.mode != modeRecords && other.mode != modeDone {
		rest[side^1], _ = other.carry.Join(nil, out)
	}
	out.Handover(rest)
	p.gone = true
}

// readMessage reads a whole message, of which b is the body.
func (p *parser) readMessage(side flowscope.FlowSide, b []byte, out *flowscope.Messages) {
	ok := true
	switch p.sides[side].header[0] {
	case typeClientHello:
		ok = p.readClientHello(side, b, out)
	case typeServerHello:
		ok = p.readServerHello(side, b, out)
	case typeCertificate:
		var s span
		s, ok = p.keep(b, out)
		if !ok {
			break
		}
		p.certificates[p.numCertificates] = sentSpan{s, side}
		p.numCertificates++
		p.certificateBytes += len(b)
		if _, well := countCertificates(b); !well {
			p.incomplete = true
		}
	}
	if !ok {
		p.overBudget(out)
	}
}

func (p *parser) readClientHello(side flowscope.FlowSide, b []byte, out *flowscope.Messages) (ok bool) {
	if p.sides[side].ccs && b[0] != 3 {
		return true // encrypted after all
	}
	if p.hellos {
		flowscope.Emit[Hello](out).Client = out.Copy(b)
	}
	if p.clientHello.ok {
		return true
	}
	if !p.roles {
		p.roles, p.client = true, side
	}
	p.clientTime = p.sides[side].began
	p.clientHello, ok = p.keep(b, out)
	return ok
}

func (p *parser) readServerHello(side flowscope.FlowSide, b []byte, out *flowscope.Messages) (ok bool) {
	if p.hellos {
		flowscope.Emit[Hello](out).Server = out.Copy(b)
	}
	p.numServerHellos++
	h := ServerHello(b)
	if h.IsRetry() {
		if p.retried = true; p.serverHello.ok {
			return true
		}
	} else {
		p.hasServerHello, p.version = true, h.Version()
	}
	if !p.roles {
		p.roles, p.client = true, side^1
	}
	p.serverTime = p.sides[side].began
	if p.serverHello, ok = p.keep(b, out); !ok {
		return false
	}
	// The client's ChangeCipherSpec may have been read before, if a packet of the server came late.
	if other := &p.sides[side^1]; p.hasServerHello && !p.version.is13() && other.ccs && other.mode == modeRecords {
		p.stop(side^1, out)
	}
	return true
}

// keep keeps b until the end.
func (p *parser) keep(b []byte, out *flowscope.Messages) (s span, ok bool) {
	s.from = len(p.kept.b)
	s.ok = p.kept.add(b, out)
	s.to = len(p.kept.b)
	return s, s.ok
}

// Closed takes the end of a side.
func (p *parser) Closed(side flowscope.FlowSide, _ flowscope.EndReason, now flowscope.Timestamp, out *flowscope.Messages) {
	if p.time = now; p.sides[side].mode != modeDone {
		p.stop(side, out)
	}
}

// Ended takes the end of the flow.
func (p *parser) Ended(_ flowscope.EndReason, _ flowscope.Timestamp, out *flowscope.Messages) {
	p.finish(out)
}

// stop ends the reading of a side, and with the second one that of the connection.
func (p *parser) stop(side flowscope.FlowSide, out *flowscope.Messages) {
	p.sides[side].mode = modeDone
	p.sides[side].message.clear(out)
	if p.sides[side^1].mode != modeDone {
		out.Stop(side)
		return
	}
	p.leave(out)
}

// leave ends the reading of the connection.
func (p *parser) leave(out *flowscope.Messages) {
	p.finish(out)
	p.gone = true
	for i := range p.sides {
		p.sides[i].mode = modeDone
	}
	out.Done()
}

// overBudget ends the reading because Config.SessionBytes is used up.
func (p *parser) overBudget(out *flowscope.Messages) {
	p.lost(LostBudget, 0, out)
	p.leave(out)
}

func (p *parser) lost(why LostReason, n int64, out *flowscope.Messages) {
	p.incomplete = true
	m := flowscope.Emit[Lost](out)
	m.Why, m.Bytes = why, n
}
