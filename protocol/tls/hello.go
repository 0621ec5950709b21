package tls

import (
	"iter"
)

// Extensions of hellos that this package looks into, by the number at IANA.
const (
	extServerName          = 0
	extSupportedGroups     = 10
	extPointFormats        = 11
	extSignatureAlgorithms = 13
	extALPN                = 16
	extSessionTicket       = 35
	extPreSharedKey        = 41
	extEarlyData           = 42
	extSupportedVersions   = 43
	extECH                 = 0xfe0d // RFC 9849
)

// isGREASE reports whether a number stands for nothing but to keep peers tolerant: RFC 8701.
func isGREASE(n uint16) bool { return n&0x0f0f == 0x0a0a && n>>8 == n&0xff }

// ClientHello is the body of a ClientHello message, without the 4 bytes of its header: RFC 8446
// section 4.1.2. It is nil if there was none. Its methods read as far as the bytes make sense.
type ClientHello []byte

// ServerHello is the body of a ServerHello message, without the 4 bytes of its header: RFC 8446
// section 4.1.3. It is nil if there was none.
type ServerHello []byte

// clientParts are the variable parts of a ClientHello. One that does not fit is nil, and so are
// those after it.
type clientParts struct {
	session, ciphers, compressions, extensions []byte
	// level is how much is well-formed: 0 nothing, 1 the head and the session, 2 the ciphers, 3 the
	// compressions, 4 the list of extensions, without its contents.
	level int
}

func (h ClientHello) parts() (p clientParts) {
	if len(h) < 35 {
		return p
	}
	var ok bool
	b := []byte(h[34:])
	if p.session, b, ok = cut8(b); !ok || len(p.session) > 32 {
		return clientParts{}
	}
	p.level = 1
	if p.ciphers, b, ok = cut16(b); !ok || len(p.ciphers)%2 != 0 {
		p.ciphers = nil
		return p
	}
	p.level = 2
	if p.compressions, b, ok = cut8(b); !ok {
		return p
	}
	if p.level = 3; len(b) == 0 {
		p.level = 4 // without extensions: RFC 5246 section 7.4.1.2
		return p
	}
	if p.extensions, b, ok = cut16(b); ok && len(b) == 0 {
		p.level = 4
	}
	return p
}

// cut8 cuts a vector with a length of one byte from b. Where it does not fit ok is false.
func cut8(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 1 || len(b)-1 < int(b[0]) {
		return nil, b, false
	}
	n := 1 + int(b[0])
	return b[1:n:n], b[n:], true
}

// cut16 is cut8 for a length of two bytes.
func cut16(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 2 || len(b)-2 < be16(b) {
		return nil, b, false
	}
	n := 2 + be16(b)
	return b[2:n:n], b[n:], true
}

func extensionsFit(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 4 {
			return false
		}
		var ok bool
		if _, b, ok = cut16(b[2:]); !ok {
			return false
		}
	}
	return true
}

// extension is the data of the first extension of that type, and whether there is one.
func extension(list []byte, typ int) (data []byte, found bool) {
	for len(list) >= 4 {
		t := be16(list)
		data, rest, ok := cut16(list[2:])
		if !ok {
			return nil, false
		}
		if t == typ {
			return data, true
		}
		list = rest
	}
	return nil, false
}

func eachExtension(list []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(list) >= 4 {
			t := be16(list)
			data, rest, ok := cut16(list[2:])
			if !ok || !yield(uint16(t), data) {
				return
			}
			list = rest
		}
	}
}

func numbers(list []byte) iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for ; len(list) >= 2; list = list[2:] {
			if !yield(uint16(be16(list))) {
				return
			}
		}
	}
}

// Legacy is the version field at the beginning, TLS 1.2 in a hello of TLS 1.3.
func (h ClientHello) Legacy() Version {
	if len(h) < 2 {
		return 0
	}
	return Version(be16(h))
}

// Offered is the highest version that the client offers: of supported_versions if it is there,
// without GREASE, else Legacy.
func (h ClientHello) Offered() Version { return h.offered(h.parts().extensions) }

func (h ClientHello) offered(extensions []byte) Version {
	list, ok := extension(extensions, extSupportedVersions)
	if list, _, ok = vector8(list, ok); !ok {
		return h.Legacy()
	}
	highest := Version(0)
	for v := range numbers(list) {
		if !isGREASE(v) {
			highest = max(highest, Version(v))
		}
	}
	if highest == 0 {
		return h.Legacy()
	}
	return highest
}

func vector8(data []byte, found bool) (v, rest []byte, ok bool) {
	if !found {
		return nil, nil, false
	}
	return cut8(data)
}

func vector16(data []byte, found bool) (v, rest []byte, ok bool) {
	if !found {
		return nil, nil, false
	}
	return cut16(data)
}

// WellFormed reports whether all lengths in the hello agree.
func (h ClientHello) WellFormed() bool {
	p := h.parts()
	return p.level == 4 && extensionsFit(p.extensions)
}

// Random are the 32 random bytes.
func (h ClientHello) Random() []byte { return random(h) }

func random(h []byte) []byte {
	if len(h) < 34 {
		return nil
	}
	return h[2:34:34]
}

// SessionID is the legacy session id.
func (h ClientHello) SessionID() []byte { return h.parts().session }

// CipherSuites are the cipher suites in the order of the client, with GREASE.
func (h ClientHello) CipherSuites() iter.Seq[CipherSuite] {
	return func(yield func(CipherSuite) bool) {
		for c := range numbers(h.parts().ciphers) {
			if !yield(CipherSuite(c)) {
				return
			}
		}
	}
}

// Extensions are the extensions with their data, in the order of the client, with GREASE.
func (h ClientHello) Extensions() iter.Seq2[uint16, []byte] {
	return eachExtension(h.parts().extensions)
}

// SNI is the server name, RFC 6066 section 3; that of the outer hello with ECH.
func (h ClientHello) SNI() Text { return serverName(h.parts().extensions) }

func serverName(extensions []byte) Text {
	list, _, ok := vector16(extension(extensions, extServerName))
	for ok && len(list) >= 3 {
		kind := list[0]
		var name []byte
		if name, list, ok = cut16(list[1:]); ok && kind == 0 {
			return Text(name)
		}
	}
	return nil
}

// ALPN are the protocols that the client offers, in its order: RFC 7301.
func (h ClientHello) ALPN() iter.Seq[Text] { return protocols(h.parts().extensions) }

func protocols(extensions []byte) iter.Seq[Text] {
	return func(yield func(Text) bool) {
		list, _, ok := vector16(extension(extensions, extALPN))
		for ok && len(list) > 0 {
			var name []byte
			if name, list, ok = cut8(list); !ok || !yield(Text(name)) {
				return
			}
		}
	}
}

// serverParts are the variable parts of a ServerHello.
type serverParts struct {
	session    []byte
	cipher     CipherSuite
	extensions []byte
	ok         bool
}

func (h ServerHello) parts() (p serverParts) {
	if len(h) < 36 {
		return p
	}
	b := []byte(h[34:])
	if h[0] == draftMajor {
		// Up to draft 21 of TLS 1.3 there is no session id and no compression.
		p.cipher, b = CipherSuite(be16(b)), b[2:]
	} else {
		var ok bool
		if p.session, b, ok = cut8(b); !ok || len(p.session) > 32 || len(b) < 3 {
			return serverParts{}
		}
		p.cipher, b = CipherSuite(be16(b)), b[3:]
	}
	p.ok = true
	p.extensions, _, _ = cut16(b)
	return p
}

// Legacy is the version field at the beginning.
func (h ServerHello) Legacy() Version { return ClientHello(h).Legacy() }

// Version is the version that the server chose: of supported_versions if it is there, else Legacy;
// RFC 8446 section 4.2.1.
func (h ServerHello) Version() Version {
	if v, ok := extension(h.parts().extensions, extSupportedVersions); ok && len(v) == 2 {
		return Version(be16(v))
	}
	return h.Legacy()
}

// Random are the 32 random bytes.
func (h ServerHello) Random() []byte { return random(h) }

// SessionID is the session id.
func (h ServerHello) SessionID() []byte { return h.parts().session }

// Cipher is the cipher suite that the server chose.
func (h ServerHello) Cipher() CipherSuite { return h.parts().cipher }

// Extensions are the extensions with their data, in the order of the server.
func (h ServerHello) Extensions() iter.Seq2[uint16, []byte] {
	return eachExtension(h.parts().extensions)
}

// ALPN is the protocol that the server chose, if it says so in clear: not in TLS 1.3.
func (h ServerHello) ALPN() Text {
	for name := range protocols(h.parts().extensions) {
		return name
	}
	return nil
}

// IsRetry reports whether the message is a HelloRetryRequest: RFC 8446 section 4.1.3.
func (h ServerHello) IsRetry() bool { return string(random(h)) == retryRandom }

// retryRandom is the SHA-256 of "HelloRetryRequest".
const retryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91" +
	"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"
