package tls

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// Version is a version of the protocol, by its number on the wire; 0 is none.
type Version uint16

const (
	VersionSSL20 Version = 0x0002
	VersionSSL30 Version = 0x0300
	VersionTLS10 Version = 0x0301
	VersionTLS11 Version = 0x0302
	VersionTLS12 Version = 0x0303
	VersionTLS13 Version = 0x0304
)

// draftMajor is the first byte of the versions of drafts of TLS 1.3; the second is the draft.
const draftMajor = 0x7f

// String is a name such as "TLSv1.2", or the number, such as "0x7f1c" for draft 28 of TLS 1.3.
func (v Version) String() string {
	switch v {
	case 0:
		return ""
	case VersionSSL20:
		return "SSLv2"
	case VersionSSL30:
		return "SSLv3"
	case VersionTLS10, VersionTLS11, VersionTLS12, VersionTLS13:
		return "TLSv1." + string('0'+byte(v)-1)
	}
	return fmt.Sprintf("0x%04x", uint16(v))
}

// is13 reports whether the version encrypts certificates: TLS 1.3 and its drafts.
func (v Version) is13() bool { return v == VersionTLS13 || v>>8 == draftMajor }

// CipherSuite is the number of a cipher suite.
type CipherSuite uint16

// String is the name that the standard library knows, or the number, such as "0x00FF".
func (c CipherSuite) String() string { return tls.CipherSuiteName(uint16(c)) }

// AlertDescription says what an alert is about: RFC 8446 section 6.
type AlertDescription uint8

// String is a name such as "handshake failure", or "alert(200)".
func (d AlertDescription) String() string {
	return strings.TrimPrefix(tls.AlertError(d).Error(), "tls: ")
}

// known reports whether a version of the protocol defines the alert: RFC 8446 appendix B.2, with the
// older ones that it lists, and RFC 9849.
func (d AlertDescription) known() bool {
	switch {
	case d == 0, d == 10, d >= 20 && d <= 22, d == 30, d >= 40 && d <= 51, d == 60, d == 70, d == 71, d == 80,
		d == 86, d == 90, d == 100, d >= 109 && d <= 116, d == 120, d == 121:
		return true
	}
	return false
}

// Alert is an alert that was not encrypted.
type Alert struct {
	// Client is set if the client sent it.
	Client bool
	// Level is 1 for a warning, 2 for a fatal alert.
	Level       uint8
	Description AlertDescription
}

// Text is bytes of a peer that should be text but may be anything.
type Text []byte

// String shows printable ASCII as it is, and all other bytes, and the backslash, as \xHH.
func (t Text) String() string {
	plain := true
	for _, c := range t {
		plain = plain && isPlain(c)
	}
	if plain {
		return string(t)
	}
	b := make([]byte, 0, len(t)+16)
	for _, c := range t {
		if isPlain(c) {
			b = append(b, c)
		} else {
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

func isPlain(c byte) bool { return c >= 0x20 && c < 0x7f && c != '\\' }

const hexDigits = "0123456789abcdef"
