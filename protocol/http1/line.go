package http1

import (
	"bytes"

	"github.com/flowscope-go/flowscope"
)

// First lines: they tell a request from a response, and both from other protocols.

// preface are the first bytes of a client of HTTP/2 (RFC 9113 section 3.4). It is made to look like a
// request to an HTTP/1 server.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// maxMethod bounds a method. RFC 9110 does not; the longest registered one has 16 letters.
const maxMethod = 32

const no, maybe, yes = flowscope.VerdictNo, flowscope.VerdictMaybe, flowscope.VerdictYes

// startsWith says whether b begins with want.
func startsWith(b []byte, want string) flowscope.Verdict {
	n := min(len(b), len(want))
	switch {
	case string(b[:n]) != want[:n]:
		return no
	case n < len(want):
		return maybe
	}
	return yes
}

// probe says whether b begins an HTTP/1 stream of either side, or one of HTTP/2. Empty lines may come
// first (RFC 9112 section 2.2), as behind a message whose sender counted one line end too few.
func probe(b []byte) flowscope.Verdict {
	if b = skipEmpty(b); len(b) == 0 {
		return maybe
	}
	switch b[0] {
	case 'H':
		if v := probeStatus(b); v != no {
			return v
		}
	case 'P':
		if v := startsWith(b, preface); v == yes || v == maybe && len(b) > 3 {
			return v
		}
	}
	return probeRequest(b)
}

// skipEmpty takes empty lines from the front.
func skipEmpty(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}

// probeStatus says whether b begins with a status line of HTTP/1: the version, spaces, three digits.
func probeStatus(b []byte) flowscope.Verdict {
	if v := startsWith(b, "HTTP/1."); v != yes {
		return v
	}
	b = b[len("HTTP/1."):]
	if len(b) > 0 && !isDigit(b[0]) || len(b) > 1 && b[1] != ' ' {
		return no
	}
	b = bytes.TrimLeft(b[min(2, len(b)):], " ")
	for i := range min(3, len(b)) {
		if !isDigit(b[i]) {
			return no
		}
	}
	if len(b) < 3 {
		return maybe
	}
	return yes
}

// probeRequest says whether b begins with a request line. A well-known method and a path are
// enough; otherwise the line must be complete and end with a version.
func probeRequest(b []byte) flowscope.Verdict {
	if len(b) > maxMethod && bytes.IndexByte(b[:maxMethod+1], ' ') < 0 && bytes.IndexByte(b[:maxMethod+1], '\t') < 0 {
		return no // sooner than methodLen finds it: many protocols begin with letters
	}
	n := methodLen(b)
	switch {
	case n < 0:
		return no
	case n == len(b):
		return maybe
	}
	if known := isKnownMethod(b[:n]); known {
		v := startsWith(b[n+1:], "/")
		for _, scheme := range [...]string{"http://", "https://"} {
			v = max(v, startsWith(b[n+1:], scheme))
		}
		if v != no {
			return v
		}
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return maybe
	}
	if bytes.IndexByte(b[n:end], '/') < 0 || !bytes.Contains(b[n:end], []byte("HTTP/")) {
		return no // without reading the line
	}
	if l, ok := parseRequestLine(b[:end]); !ok || !l.hasVersion {
		return no
	}
	return yes
}

// methodLen is the length of the method that b begins with, len(b) if it may go on, -1 if there is
// none.
func methodLen(b []byte) int {
	for i, c := range b {
		if !isToken(c) {
			if i == 0 || !isSpace(c) {
				return -1
			}
			return i
		}
		if i == maxMethod {
			return -1
		}
	}
	return len(b)
}

// isKnownMethod recognises the methods of RFC 9110 and RFC 5789 that take a path.
func isKnownMethod(m []byte) bool {
	switch string(m) {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH":
		return true
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// isToken reports whether c may be part of a token (RFC 9110 section 5.6.2).
func isToken(c byte) bool {
	return c < 128 && tokens[c>>6]>>(c&63)&1 != 0
}

// tokens are the characters of a token, by bit.
var tokens = [2]uint64{
	0x03ff6cfa_00000000, // ! # $ % & ' * + - . 0-9
	0x57ffffff_c7fffffe, // A-Z ^ _ ` a-z | ~
}

// span is a part of a head.
type span struct{ from, to uint32 }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// requestLine is a request line (RFC 9112 section 3).
type requestLine struct {
	method, target span
	version        Version
	hasVersion     bool
	flags          Flags
}

// parseRequestLine reads a line without its LF. The last token that begins with "HTTP/" is the
// version, so spaces stay in the target; whether a line without one will do is for the caller.
func parseRequestLine(line []byte) (l requestLine, ok bool) {
	line = trimRight(line)
	n := methodLen(line)
	if n < 0 || n == len(line) {
		return l, false
	}
	from, to := n, len(line)
	for from < to && isSpace(line[from]) {
		from++
	}
	last := to
	for last > from && !isSpace(line[last-1]) {
		last--
	}
	if token := line[last:]; len(token) >= 5 && string(token[:5]) == "HTTP/" {
		l.hasVersion = true
		if l.version = parseVersion(token); l.version == 0 {
			l.flags |= Malformed
		}
		to = from + len(trimRight(line[from:last]))
	}
	if to == from || bytes.IndexByte(line[from:to], ' ') >= 0 {
		l.flags |= Malformed
	}
	l.method, l.target = span{0, uint32(n)}, span{uint32(from), uint32(to)}
	return l, true
}

// statusLine is a status line (RFC 9112 section 4).
type statusLine struct {
	version Version
	status  uint16
	reason  span
	flags   Flags
}

// parseStatusLine reads a line without its LF.
func parseStatusLine(line []byte) (l statusLine, ok bool) {
	line = trimRight(line)
	if startsWith(line, "HTTP/") != yes {
		return l, false
	}
	i := 5
	for i < len(line) && !isSpace(line[i]) {
		i++
	}
	if l.version = parseVersion(line[:i]); l.version == 0 {
		l.flags |= Malformed
	}
	for i < len(line) && isSpace(line[i]) {
		i++
	}
	digits := 0
	for ; i < len(line) && digits < 3 && isDigit(line[i]); i++ {
		l.status = l.status*10 + uint16(line[i]-'0')
		digits++
	}
	if digits < 3 || l.status < 100 || i < len(line) && !isSpace(line[i]) {
		l.flags |= Malformed
	}
	for i < len(line) && isSpace(line[i]) {
		i++
	}
	l.reason = span{uint32(i), uint32(len(line))}
	return l, digits > 0
}

// parseVersion reads "HTTP/1.1"; 0 if it is not like that.
func parseVersion(b []byte) Version {
	if len(b) != 8 || b[6] != '.' || !isDigit(b[5]) || !isDigit(b[7]) {
		return 0
	}
	return Version(b[5]-'0')<<8 | Version(b[7]-'0')
}

// trimRight takes white space and a CR from the end of a line.
func trimRight(b []byte) []byte {
	for len(b) > 0 && (isSpace(b[len(b)-1]) || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

// trim takes white space, and the line ends of a fold, from both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
