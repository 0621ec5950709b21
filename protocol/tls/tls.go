// Package tls reads the handshakes of TLS and SSL connections, without any key: the messages that
// client and server send in clear before they encrypt.
//
//	driver, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, flowscope.Config{},
//		tls.Factory{}, tls.StartTLS{})
//	...
//	if m, ok := event.Message.(*tls.Handshake); ok {
//		fmt.Println(m.SNI, m.Version, m.Cipher, m.JA4())
//	}
//
// There is one Handshake for each connection, when nothing more can be read: both sides encrypt, or
// the connection is over.
//
//	                 records                     handshake messages
//	                +----+---------------+      +----+-------------------+
//	bytes of a side | 22 | fragment      | ---> |  1 | ClientHello       |
//	 (any cut)      | 22 | fragment      | ---> |    |  ...              |
//	                | 20 | CCS           |      +----+-------------------+
//	                | 22 | encrypted     |   a side is read until it encrypts
//	                +----+---------------+
//
// Records and handshake messages are two layers: a message may be cut over several records, and a
// record may hold several messages (RFC 8446 section 5.1). A side is read until its first
// application data, and up to TLS 1.2 until its ChangeCipherSpec.
//
// What can be read:
//
//   - ClientHello: server name, ALPN, all lists, JA3 and JA4; with ECH the outer one.
//   - ServerHello: version, cipher suite, resumption, JA3S; HelloRetryRequest.
//   - Certificates up to TLS 1.2, of both sides. TLS 1.3 encrypts them.
//   - Alerts, until a side encrypts.
//   - SSLv2 hellos: version and ciphers.
//
// Factory finds TLS by the first bytes of either side, on any port. StartTLS follows protocols that
// begin in clear as far as the first record of TLS; see there.
//
// Fingerprints and hashes are methods, computed on request. MD5 and SHA-1, which JA3 and
// Certificate.SHA1 need, are of this package, since those of the standard library panic in programs
// that run with GODEBUG=fips140=only. JA4S and the other methods of the JA4+ family are not here:
// their licence does not allow it. QUIC and DTLS are not read.
package tls

import (
	"github.com/flowscope-go/flowscope"
)

// Factory recognises TLS from the first byte of a connection, or of the bytes after a handover, as
// after CONNECT. It makes one *Handshake for each connection, and *Lost where something is missing.
type Factory struct {
	// MaxHello is how long a ClientHello or ServerHello may be. Longer ones are passed over, with
	// Lost. Default 64 KiB.
	MaxHello int
	// MaxCertificates is how long the Certificate messages of a connection may be together.
	// Default 256 KiB.
	MaxCertificates int
	// Hellos asks for a *Hello for each hello message, as soon as it is complete.
	Hellos bool
}

const (
	defaultMaxHello        = 64 << 10
	defaultMaxCertificates = 256 << 10
	defaultMaxTalk         = 64 << 10
)

// Probe says Yes to a record with a ClientHello, ServerHello, Certificate or alert, and to an SSLv2
// hello.
func (f Factory) Probe(p flowscope.Probe) flowscope.Verdict {
	if p.L4 != flowscope.L4TCP || len(p.First) == 0 {
		return flowscope.VerdictNo
	}
	if p.First[0]&0x80 != 0 {
		_, v := probeV2(p.First)
		return v
	}
	return probeRecord(p.First)
}

// ProbePorts implements flowscope.FactoryPorts: ports do not matter.
func (f Factory) ProbePorts() []uint16 { return nil }

// NewSessionParser makes a parser for a connection.
func (f Factory) NewSessionParser() flowscope.SessionParser {
	return newParser(f, modeStart, 0)
}

func newParser(f Factory, begin mode, maxTalk int) *parser {
	p := &parser{begin: begin, maxTalk: maxTalk, hellos: f.Hellos}
	p.maxHello = orDefault(f.MaxHello, defaultMaxHello)
	p.maxCertificates = orDefault(f.MaxCertificates, defaultMaxCertificates)
	p.Reset()
	return p
}

func orDefault(n, d int) int {
	if n <= 0 {
		return d
	}
	return min(n, 1<<24)
}
