package http1

import (
	"bytes"
	"math"

	"github.com/flowscope-go/flowscope"
)

// head is the progress in the head of a message, and the framing by its fields. It
// holds no pointer: places are counted from the head's first byte, which stays at the front of the
// side's Carry until the head is complete. So a head that comes byte by byte is looked at once.
type head struct {
	line   int // where the line begins that is not complete
	looked int // how far that line was searched for its end
	last   int // where the line before that begins
	field  int // where the field begins that may still be folded, plus 1; 0: none
	lines  int // complete lines

	request requestLine
	status  statusLine
	host    span
	upgrade span

	length    int64
	lengths   lengths
	coding    coding
	wantsUp   bool // Connection: upgrade
	hasHost   bool
	hasCoding bool
	flags     Flags
}

// lengths is the state of the Content-Length fields.
type lengths uint8

const (
	lengthNone lengths = iota
	lengthKnown
	lengthBad // not a number
)

// coding is the last transfer coding.
type coding uint8

const (
	codingNone coding = iota
	codingChunked
	codingOther
)

// scanned is how far head.scan came.
type scanned uint8

const (
	scanMore  scanned = iota // b has no further line end
	scanLine                 // the first line, or the second one, is b[h.last:h.line-1]
	scanEnded                // at the empty line, before h.line
)

// scan reads the lines of b, which begins with the head, from where it stopped. It stops behind the
// first and the second line too, which decide whether it is a head at all.
func (h *head) scan(b []byte) scanned {
	for {
		n := bytes.IndexByte(b[h.looked:], '\n')
		if n < 0 {
			h.looked = len(b)
			return scanMore
		}
		from, to := h.line, h.looked+n // b[to] is the LF, with or without a CR before (section 2.2)
		h.last, h.line, h.looked = from, to+1, to+1
		h.lines++
		line := b[from:to]
		if h.lines == 1 {
			return scanLine
		}
		if len(line) > 0 && isSpace(line[0]) && h.field > 0 {
			continue // folded (section 5.2)
		}
		h.finishField(b, from)
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return scanEnded
		}
		h.field = from + 1
		if h.lines == 2 {
			return scanLine
		}
	}
}

// finishField reads the field before the line at to, if there is one.
func (h *head) finishField(b []byte, to int) {
	if h.field > 0 {
		h.take(b, h.field-1, to-1)
		h.field = 0
	}
}

// reset begins a head, or trailers, which have no first line.
func (h *head) reset(trailer bool) {
	*h = head{}
	if trailer {
		h.lines = 2
	}
}

// take reads the field b[from:to], without its last LF.
func (h *head) take(b []byte, from, to int) {
	line := b[from:to]
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		h.flags |= Malformed
		return
	}
	name := line[:colon]
	if isSpace(name[colon-1]) { // section 5.1: a server must refuse it, others read it nevertheless
		h.flags |= Malformed
		name = trimRight(name)
	}
	switch len(name) {
	case 4, 7, 10, 14, 17:
	default:
		return
	}
	value := trim(line[colon+1:])
	switch {
	case len(name) == 4 && is(name, "host"):
		if !h.hasHost {
			h.hasHost = true
			h.host = spanOf(b, value)
		}
	case len(name) == 7 && is(name, "upgrade"):
		h.upgrade = spanOf(b, value)
	case len(name) == 10 && is(name, "connection"):
		for token := range tokensOf(value) {
			h.wantsUp = h.wantsUp || is(token, "upgrade")
		}
	case len(name) == 14 && is(name, "content-length"):
		h.takeLength(value)
	case len(name) == 17 && is(name, "transfer-encoding"):
		for token := range tokensOf(value) {
			switch token, _, _ = bytes.Cut(token, []byte(";")); {
			case is(trim(token), "chunked"):
				h.coding = codingChunked
			case is(trim(token), "identity"):
				continue // RFC 2616 section 3.6: no coding; not in RFC 9112
			default:
				h.coding = codingOther
			}
			h.hasCoding = true
		}
	}
}

// takeLength reads a Content-Length, which may be a list (section 6.3, rule 5): equal values are
// one, of different ones the first stands.
func (h *head) takeLength(value []byte) {
	if len(value) == 0 {
		h.lengths = lengthBad
	}
	for token := range tokensOf(value) {
		n, ok := parseLength(token)
		switch {
		case !ok:
			h.lengths = lengthBad
		case h.lengths == lengthNone:
			h.lengths, h.length = lengthKnown, n
		case h.lengths == lengthKnown && h.length != n:
			h.flags |= Ambiguous
		}
	}
}

// framing says how the body is delimited, by the fields alone (section 6.3, rules 3 to 5).
func (h *head) framing(version Version) (coding, lengths, int64) {
	if h.hasCoding {
		if h.lengths != lengthNone || version == Version10 {
			h.flags |= Ambiguous // sections 6.1 and 6.3, rule 3
		}
		return h.coding, lengthNone, 0
	}
	return codingNone, h.lengths, h.length
}

func parseLength(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if !isDigit(c) || n > (math.MaxInt64-9)/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}

// tokensOf are the elements of a list (RFC 9110 section 5.6.1); empty ones are left out.
func tokensOf(value []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(value) > 0 {
			end := bytes.IndexByte(value, ',')
			if end < 0 {
				end = len(value)
			}
			if token := trim(value[:end]); len(token) > 0 && !yield(token) {
				return
			}
			value = value[min(end+1, len(value)):]
		}
	}
}

// is compares a name without case; lower is in small letters.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// spanOf is the place of part in b, of which it is a part.
func spanOf(b, part []byte) span {
	from := cap(b) - cap(part)
	return span{uint32(from), uint32(from + len(part))}
}

// fieldsOf are the fields of a head or trailer, lent as messages are. b is lent already; hasFirst
// says that its first line is none of them.
func fieldsOf(b []byte, hasFirst bool, out *flowscope.Messages) []Field {
	if hasFirst {
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	n := 0
	for rest := b; len(rest) > 0; n++ {
		_, rest = cutField(rest)
	}
	if n == 0 {
		return nil
	}
	fields := flowscope.Slice[Field](out, n)
	n = 0
	for len(b) > 0 {
		var line []byte
		line, b = cutField(b)
		name, value, _ := bytes.Cut(line, []byte(":"))
		if name = trim(name); len(name) == 0 {
			continue
		}
		if value = trim(value); bytes.IndexByte(value, '\n') >= 0 {
			value = out.Copy(value)
			for i, c := range value {
				if c == '\r' || c == '\n' {
					value[i] = ' '
				}
			}
		}
		fields[n] = Field{Name: name, Value: value}
		n++
	}
	return fields[:n]
}

// cutField cuts off the first line with its folded ones.
func cutField(b []byte) (line, rest []byte) {
	end := 0
	for {
		n := bytes.IndexByte(b[end:], '\n')
		if n < 0 {
			return b, nil
		}
		if end += n + 1; end == len(b) || !isSpace(b[end]) {
			return b[:end], b[end:]
		}
	}
}
