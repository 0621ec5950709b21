package tls

import "github.com/flowscope-go/flowscope"

// The record layer, RFC 8446 section 5.1 and RFC 5246 section 6.2.1.

// Content types of records.
const (
	recordChangeCipherSpec = 20
	recordAlert            = 21
	recordHandshake        = 22
	recordApplicationData  = 23
	recordHeartbeat        = 24 // RFC 6520
)

const (
	recordHeader = 5
	// maxRecord is the longest fragment that a header may announce: RFC 5246 section 6.2.3 allows
	// 2048 bytes more than the plaintext; RFC 8446 only 256.
	maxRecord = 1<<14 + 2048
)

// Types of handshake messages.
const (
	typeClientHello       = 1
	typeServerHello       = 2
	typeHelloRetryRequest = 6 // of drafts of TLS 1.3 up to 21; later a ServerHello
	typeCertificate       = 11
	typeServerKeyExchange = 12
	typeServerHelloDone   = 14
)

const messageHeader = 4

// isRecordHeader reports whether b, of at least 5 bytes, may be the header of a record.
func isRecordHeader(b []byte) bool { return headerVerdict(b) == flowscope.VerdictYes }

// headerVerdict says whether b begins with the header of a record.
func headerVerdict(b []byte) flowscope.Verdict {
	switch {
	case len(b) == 0:
		return flowscope.VerdictMaybe
	case b[0] < recordChangeCipherSpec || b[0] > recordHeartbeat,
		len(b) > 1 && b[1] != 3,
		len(b) > 2 && b[2] > 4,
		len(b) > 3 && int(b[3])<<8 > maxRecord,
		len(b) > 4 && int(b[3])<<8+int(b[4]) > maxRecord:
		return flowscope.VerdictNo
	case len(b) < recordHeader:
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

// probeRecord says whether b begins with a record by which TLS can be told from anything else, and
// which is worth reading: one with the beginning of a hello, of certificates, or an alert.
func probeRecord(b []byte) flowscope.Verdict {
	if v := headerVerdict(b); v != flowscope.VerdictYes {
		if len(b) > 0 && b[0] != recordAlert && b[0] != recordHandshake {
			return flowscope.VerdictNo
		}
		return v
	}
	n := int(b[3])<<8 + int(b[4])
	// check looks at the byte at i, if there is one yet.
	yes := flowscope.VerdictYes
	check := func(i int, ok func(byte) bool) {
		if i < recordHeader+n && yes != flowscope.VerdictNo {
			if i >= len(b) {
				yes = flowscope.VerdictMaybe
			} else if !ok(b[i]) {
				yes = flowscope.VerdictNo
			}
		}
	}
	switch b[0] {
	case recordAlert:
		if n != 2 {
			return flowscope.VerdictNo
		}
		check(5, func(c byte) bool { return c == 1 || c == 2 })
		check(6, func(c byte) bool { return AlertDescription(c).known() })
		return yes
	case recordHandshake:
		if n == 0 {
			return flowscope.VerdictNo
		}
		check(5, func(c byte) bool { return c == typeClientHello || c == typeServerHello || c == typeCertificate })
		if len(b) <= 5 || yes == flowscope.VerdictNo {
			return yes
		}
		if b[5] == typeCertificate {
			check(6, func(c byte) bool { return c <= 4 })
			// The list of certificates fills the message.
			check(11, func(byte) bool { return be24(b[6:]) == be24(b[9:])+3 })
			return yes
		}
		check(6, func(c byte) bool { return c <= 1 }) // up to 128 KiB, so that Lost can say so
		check(7, func(byte) bool { return true })
		check(8, func(byte) bool { return be24(b[6:]) >= 34 })
		check(9, func(c byte) bool { return c == 3 || c == draftMajor && b[5] == typeServerHello })
		return yes
	}
	return flowscope.VerdictNo
}

// strongRecord is probeRecord for a search: it accepts ChangeCipherSpec too.
func strongRecord(b []byte) flowscope.Verdict {
	if len(b) == 0 || b[0] != recordChangeCipherSpec {
		return probeRecord(b)
	}
	if v := headerVerdict(b); v != flowscope.VerdictYes {
		return v
	}
	switch {
	case b[3] != 0 || b[4] != 1, len(b) > 5 && b[5] != 1:
		return flowscope.VerdictNo
	case len(b) < 6:
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

// isMessageHeader reports whether h may begin a handshake message that is not encrypted, where the
// one before is not known.
func isMessageHeader(h [messageHeader]byte) bool {
	n := be24(h[1:])
	switch h[0] {
	case 0, typeServerHelloDone: // HelloRequest
		return n == 0
	case typeClientHello, typeServerHello:
		return n >= 34 && n <= 1<<16
	case typeCertificate:
		return n >= 3 && n <= 1<<18
	case 4, typeServerKeyExchange, 13, 15, 16, 21, 22, 23: // tickets, requests, keys, status, supplemental data
		return n <= 1<<16
	}
	return false
}

func be16(b []byte) int { return int(b[0])<<8 | int(b[1]) }
func be24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
