package tls

import (
	"bytes"
	"iter"

	"github.com/flowscope-go/flowscope"
)

// Hellos in the format of SSLv2, which clients of TLS once sent for old servers: RFC 5246 appendix
// E.2, and the SSL 2.0 draft of 1995.

const (
	v2ClientHello = 1
	v2ServerHello = 4
	v2Header      = 2
)

// SSLv2Hello is a client's hello in the format of SSLv2, without the header of its record. It is
// nil if there was none. It has no JA3 and no JA4.
type SSLv2Hello []byte

// Version is the highest version that the client offers.
func (h SSLv2Hello) Version() Version {
	if len(h) < 3 {
		return 0
	}
	return Version(be16(h[1:]))
}

// Ciphers are the cipher specifications. One whose first byte is 0 is a CipherSuite; the others are
// of SSL 2.0.
func (h SSLv2Hello) Ciphers() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		if len(h) < 9 {
			return
		}
		list := h[9:min(len(h), 9+be16(h[3:]))]
		for ; len(list) >= 3; list = list[3:] {
			if !yield(uint32(be24(list))) {
				return
			}
		}
	}
}

// probeV2 says whether b begins with an SSLv2 hello. All its lengths must agree. size is that of the
// whole hello with its header, once it is known.
func probeV2(b []byte) (size int, v flowscope.Verdict) {
	need := 11
	switch {
	case len(b) == 0:
		return 0, flowscope.VerdictMaybe
	case b[0]&0x80 == 0:
		return 0, flowscope.VerdictNo
	case len(b) < 3:
		return 0, flowscope.VerdictMaybe
	}
	size = v2Header + be16(b)&0x7fff
	switch b[2] {
	case v2ClientHello:
		if len(b) > 3 && b[3] != 0 && b[3] != 3 || len(b) > 4 && (b[3] == 0 && b[4] != 2 || b[3] == 3 && b[4] > 3) {
			return 0, flowscope.VerdictNo
		}
	case v2ServerHello:
		need = 13
		if len(b) > 3 && b[3] > 1 || len(b) > 4 && b[4] > 1 || len(b) > 5 && b[5] != 0 || len(b) > 6 && b[6] != 2 {
			return 0, flowscope.VerdictNo
		}
	default:
		return 0, flowscope.VerdictNo
	}
	if len(b) < need {
		return 0, flowscope.VerdictMaybe
	}
	if b[2] == v2ServerHello {
		if certificate, specs, id := be16(b[7:]), be16(b[9:]), be16(b[11:]); specs%3 != 0 || id > 32 || need+certificate+specs+id != size {
			return 0, flowscope.VerdictNo
		}
		return size, flowscope.VerdictYes
	}
	specs, session, challenge := be16(b[5:]), be16(b[7:]), be16(b[9:])
	if specs == 0 || specs%3 != 0 || session != 0 && session != 16 || challenge < 16 || challenge > 32 ||
		need+specs+session+challenge != size {
		return 0, flowscope.VerdictNo
	}
	return size, flowscope.VerdictYes
}

// v2Certificate is the certificate in an SSLv2 server's hello b, without its header.
func v2Certificate(b []byte) []byte { return b[11:][:be16(b[5:])] }

func (h SSLv2Hello) clone() SSLv2Hello { return bytes.Clone(h) }

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
