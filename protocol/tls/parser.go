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

// found is what a parser knows of its connection.
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
	message   buffer              // what there is of it
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

// enter reads b as far as the records of the side, and these, and gives what has to be kept.
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

// hunt looks for a record behind a gap. Right behind it, where packets and so often records begin,
// the header of any record will do.
func (p *parser) hunt(side flowscope.FlowSide, b []byte, out *flowscope.Messages) (rest []byte, more bool) {
	d := &p.sides[side]
	for ; len(b) > 0; b = b[1:] {
		v := strongRecord(b)
		if d.edge {
			v = headerVerdict(b)
		}
		switch v {
		case flowscope.VerdictYes:
			d.edge, d.mode = false, modeRecords
			return b, true
		case flowscope.VerdictMaybe:
			return b, false
		}
		d.edge = false
		if d.hunted++; d.hunted > defaultMaxHello {
			p.stop(side, out)
			return nil, false
		}
	}
	return nil, false
}

// records reads b, which follows what was read of the side's records.
func (p *parser) records(side flowscope.FlowSide, b []byte, out *flowscope.Messages) {
	d := &p.sides[side]
	d.begun = true
	for len(b) > 0 && d.mode == modeRecords {
		if d.left == 0 {
			n := copy(d.head[d.headLen:], b)
			b = b[n:]
			if d.headLen += uint8(n); d.headLen == recordHeader {
				d.headLen = 0
				p.record(side, out)
			}
			continue
		}
		n := min(d.left, len(b))
		fragment := b[:n]
		d.left -= n
		b = b[n:]
		switch d.typ {
		case recordHandshake:
			p.handshake(side, fragment, out)
		case recordAlert:
			p.readAlert(side, fragment)
		}
	}
}

// record begins a record, whose header is complete.
func (p *parser) record(side flowscope.FlowSide, out *flowscope.Messages) {
	d := &p.sides[side]
	if !isRecordHeader(d.head[:]) {
		p.lost(LostFraming, 0, out)
		p.stop(side, out)
		return
	}
	d.typ, d.left, d.mute = d.head[0], be16(d.head[3:]), false
	switch d.typ {
	case recordChangeCipherSpec:
		// In TLS 1.3 it means nothing (RFC 8446 appendix D.4). Before it all is encrypted from here.
		if d.ccs = true; p.hasServerHello && !p.version.is13() {
			p.stop(side, out)
		}
	case recordHandshake:
		if d.ccs {
			d.deaf = true // encrypted, or the second ClientHello of TLS 1.3
		}
	case recordAlert:
		d.alertLen = 0
	case recordApplicationData:
		p.stop(side, out)
	}
}

// readAlert reads an alert. One that is encrypted is longer than 2 bytes.
func (p *parser) readAlert(side flowscope.FlowSide, b []byte) {
	d := &p.sides[side]
	if be16(d.head[3:]) != 2 {
		return
	}
	if d.alertLen += uint8(copy(d.alert[d.alertLen:], b)); d.alertLen < 2 || d.alert[0] < 1 || d.alert[0] > 2 {
		return
	}
	if int(p.numAlerts) < len(p.alerts) {
		p.alerts[p.numAlerts] = sentAlert{side, d.alert[0], d.alert[1]}
		p.numAlerts++
	}
}

// handshake reads a fragment of the handshake layer.
func (p *parser) handshake(side flowscope.FlowSide, b []byte, out *flowscope.Messages) {
	d := &p.sides[side]
	for len(b) > 0 && d.mode == modeRecords && !d.mute {
		switch {
		case d.skip > 0:
			n := min(d.skip, len(b))
			d.skip -= n
			b = b[n:]
		case d.need > 0:
			n := min(d.need-len(d.message.b), len(b))
			if !d.message.add(b[:n], out) {
				p.overBudget(out)
				return
			}
			b = b[n:]
			if len(d.message.b) == d.need {
				d.need = 0
				p.readMessage(side, d.message.b, out)
				d.message.clear(out)
			}
		default:
			if d.headerLen == 0 {
				d.began = p.time
			}
			n := copy(d.header[d.headerLen:], b)
			b = b[n:]
			if d.headerLen += uint8(n); d.headerLen < messageHeader {
				return
			}
			d.headerLen = 0
			p.message(side, out)
			if n := d.need; n > 0 && n <= len(b) {
				d.need = 0
				p.readMessage(side, b[:n], out) // without a copy
				b = b[n:]
			}
		}
	}
}

// message begins a handshake message, whose header is complete: it is to be collected, or passed
// over.
func (p *parser) message(side flowscope.FlowSide, out *flowscope.Messages) {
	d := &p.sides[side]
	typ, n := d.header[0], be24(d.header[1:])
	if d.deaf {
		if !isMessageHeader(d.header) || d.ccs && typ != typeClientHello && typ != typeServerHello {
			d.mute = true
			return
		}
		d.deaf = false
	}
	most := 0
	switch typ {
	case typeClientHello:
		if !p.clientHello.ok || p.hellos {
			most = p.maxHello
		}
	case typeServerHello:
		if int(p.numServerHellos) < maxServerHellos {
			most = p.maxHello
		}
	case typeHelloRetryRequest:
		p.retried = true
	case typeCertificate:
		d.full = true
		if int(p.numCertificates) < len(p.certificates) {
			most = p.maxCertificates - p.certificateBytes
		}
	case typeServerKeyExchange, typeServerHelloDone:
		d.full = true
	}
	switch {
	case most == 0:
		d.skip = n
	case n > most:
		p.lost(LostTooLarge, int64(n), out)
		d.skip = n
	default:
		d.need = n
	}
}

// maxServerHellos is how many are looked at: that of a HelloRetryRequest, and that after it. The
// rest is for peers that do what they must not.
const maxServerHellos = 4

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

// v2Hello reads an SSLv2 hello, without its header.
func (p *parser) v2Hello(side flowscope.FlowSide, b []byte, out *flowscope.Messages) {
	d := &p.sides[side]
	if d.begun { // one is enough
		p.stop(side, out)
		return
	}
	d.begun = true
	ok := true
	if b[0] == v2ClientHello {
		p.roles, p.client, p.clientTime = true, side, p.time
		p.v2, ok = p.keep(b, out)
	} else {
		p.roles, p.client, p.serverTime = true, side^1, p.time
		p.hasServerHello, p.version = true, VersionSSL20
		if c := v2Certificate(b); len(c) > 0 && len(c) <= p.maxCertificates {
			var s span
			if s, ok = p.keep([]byte{byte((len(c) + 3) >> 16), byte((len(c) + 3) >> 8), byte(len(c) + 3)}, out); ok {
				_, ok = p.keep([]byte{byte(len(c) >> 16), byte(len(c) >> 8), byte(len(c))}, out)
			}
			if ok {
				_, ok = p.keep(c, out)
			}
			s.to = len(p.kept.b)
			p.certificates[0], p.numCertificates = sentSpan{s, side}, 1
		}
	}
	switch {
	case !ok:
		p.overBudget(out)
	case p.version == VersionSSL20: // the rest is of SSL 2.0
		p.stop(side, out)
		if !p.gone {
			p.stop(side^1, out)
		}
	}
}

// keep keeps b until the end.
func (p *parser) keep(b []byte, out *flowscope.Messages) (s span, ok bool) {
	s.from = len(p.kept.b)
	s.ok = p.kept.add(b, out)
	s.to = len(p.kept.b)
	return s, s.ok
}

// Gap says that bytes are missing. Where they lie inside a message that is passed over, or at least
// inside one record, what follows can be told without a search.
func (p *parser) Gap(side flowscope.FlowSide, n int64, now flowscope.Timestamp, out *flowscope.Messages) {
	p.time = now
	d := &p.sides[side]
	switch d.mode {
	case modeDone:
		return
	case modeTalk:
		p.gapInTalk(side, n, out)
		return
	}
	if d.mode == modeRecords && n <= int64(d.left) {
		d.left -= int(n)
		if !p.gapInRecord(d, int(n)) {
			d.gapped = true
			p.lost(LostGap, n, out)
		}
		return
	}
	d.gapped = true
	p.lost(LostGap, n, out)
	p.beginHunt(d, out)
}

// gapInRecord passes over n bytes of a record, and reports whether nothing is lost by that.
func (p *parser) gapInRecord(d *direction, n int) bool {
	if d.typ != recordHandshake {
		d.alertLen = 2 // an alert with a gap is none
		d.alert = [2]byte{}
		return d.typ != recordAlert
	}
	switch {
	case d.mute:
		return true
	case n <= d.skip:
		d.skip -= n
		return true
	case d.need > 0 && n <= d.need-len(d.message.b):
		d.skip = d.need - len(d.message.b) - n
		d.need, d.message.b = 0, d.message.b[:0]
	default:
		d.forgetMessage()
		d.deaf, d.mute = true, true
	}
	return false
}

func (d *direction) forgetMessage() {
	d.need, d.skip, d.headerLen, d.message.b = 0, 0, 0, d.message.b[:0]
}

// beginHunt looks for a record from here on.
func (p *parser) beginHunt(d *direction, out *flowscope.Messages) {
	d.carry.Drop(out)
	d.forgetMessage()
	d.mode, d.edge, d.deaf, d.left, d.headLen = modeHunt, true, true, 0, 0
}

// Closed says that a side is complete.
func (p *parser) Closed(side flowscope.FlowSide, _ flowscope.EndReason, now flowscope.Timestamp, out *flowscope.Messages) {
	if p.time = now; p.sides[side].mode != modeDone {
		p.stop(side, out)
	}
}

// Ended says that the flow is over.
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

// finish emits the Handshake, if there is anything to say.
func (p *parser) finish(out *flowscope.Messages) {
	if p.gone || !p.clientHello.ok && !p.v2.ok && !p.hasServerHello && !p.serverHello.ok && p.numCertificates == 0 && p.numAlerts == 0 {
		return
	}
	m := flowscope.Emit[Handshake](out)
	m.Client, m.ClientTime, m.ServerTime = p.client, p.clientTime, p.serverTime
	m.Retried, m.Incomplete = p.retried, p.incomplete
	all := out.Copy(p.kept.b)
	part := func(s span) []byte {
		if !s.ok {
			return nil
		}
		return all[s.from:s.to:s.to]
	}
	m.ClientHello, m.ServerHello, m.SSLv2 = part(p.clientHello), part(p.serverHello), part(p.v2)
	m.describeClient(out)
	m.describeServer(p.version)
	m.Resumed = p.resumed(m)
	p.listCertificates(m, part, out)
	m.Alerts = flowscope.Slice[Alert](out, int(p.numAlerts))
	for i := range m.Alerts {
		a := p.alerts[i]
		m.Alerts[i] = Alert{a.side == p.client, a.level, AlertDescription(a.description)}
	}
}

func (h *Handshake) describeClient(out *flowscope.Messages) {
	if h.SSLv2 != nil && h.ClientHello == nil {
		h.Offered = h.SSLv2.Version()
		return
	}
	extensions := h.ClientHello.parts().extensions
	h.SNI, h.Offered = serverName(extensions), h.ClientHello.offered(extensions)
	n := 0
	for range protocols(extensions) {
		n++
	}
	h.ALPN = flowscope.Slice[Text](out, n)
	n = 0
	for name := range protocols(extensions) {
		h.ALPN[n] = name
		n++
	}
	_, h.ECH = extension(extensions, extECH)
	_, h.EarlyData = extension(extensions, extEarlyData)
}

func (h *Handshake) describeServer(version Version) {
	if h.Version = version; h.ServerHello == nil {
		return
	}
	h.Version, h.Cipher, h.ServerALPN = h.ServerHello.Version(), h.ServerHello.Cipher(), h.ServerHello.ALPN()
}

// resumed follows RFC 8446 section 2.2, RFC 5246 section 7.3 and RFC 5077 section 3.
func (p *parser) resumed(m *Handshake) bool {
	if !p.hasServerHello || m.ServerHello == nil {
		return false
	}
	server := m.ServerHello.parts()
	if m.Version.is13() {
		_, psk := extension(server.extensions, extPreSharedKey)
		return psk
	}
	if d := &p.sides[p.client^1]; !d.ccs || d.full || d.gapped {
		return false
	}
	if m.ClientHello == nil {
		return true // by the order of the messages alone
	}
	client := m.ClientHello.parts()
	ticket, _ := extension(client.extensions, extSessionTicket)
	return len(ticket) > 0 || len(client.session) > 0 && string(client.session) == string(server.session)
}

func (p *parser) listCertificates(m *Handshake, part func(span) []byte, out *flowscope.Messages) {
	total := 0
	for _, s := range p.certificates[:p.numCertificates] {
		n, _ := countCertificates(part(s.span))
		total += n
	}
	m.Certificates = flowscope.Slice[Certificate](out, total)
	i := 0
	for _, s := range p.certificates[:p.numCertificates] {
		eachCertificate(part(s.span), func(der []byte) {
			m.Certificates[i] = Certificate{s.side == p.client, der}
			i++
		})
	}
}
