package tls

import (
	"github.com/flowscope-go/flowscope"
)

// The two layers of a side: records, and the messages in them.

// records reads b, the next bytes of the side's records.
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
// rest is for peers that break the protocol.
const maxServerHellos = 4
