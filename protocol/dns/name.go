package dns

import (
	"iter"
)

// Limits of a name, RFC 1035 section 2.3.4. A name of 255 bytes has at most 127 labels, of which
// each may be reached by a pointer but the first.
const (
	maxName   = 255
	maxLabels = 127
	maxHops   = 126
)

// Name is a domain name where it lies in a message; its labels are read when they are asked for. It
// is lent as the message is. The zero Name is no name at all, other than the root.
//
// Labels are bytes, which may be of any value. String escapes what cannot be shown; for comparison
// there is Is.
type Name struct {
	msg []byte
	at  int
}

// IsZero reports whether there is no name.
func (n Name) IsZero() bool { return n.msg == nil }

// String is the name without the last dot, or "." for the root, with what is not printable ASCII
// escaped as \DDD, and a dot or backslash within a label as \. and \\ (RFC 1035 section 5.1). Of
// the zero Name it is empty.
func (n Name) String() string {
	if n.IsZero() {
		return ""
	}
	var room [maxName]byte
	return string(n.AppendText(room[:0]))
}

// AppendText appends what String gives.
func (n Name) AppendText(b []byte) []byte {
	if n.IsZero() {
		return b
	}
	label, at := nextLabel(n.msg, n.at)
	if label == nil {
		return append(b, '.')
	}
	for i := 0; label != nil && i < maxLabels; i++ {
		if i > 0 {
			b = append(b, '.')
		}
		for _, c := range label {
			if c == '.' {
				b = append(b, '\\', c)
			} else {
				b = appendEscaped(b, c)
			}
		}
		label, at = nextLabel(n.msg, at)
	}
	return b
}

// AppendWire appends the name as on the wire, without compression.
func (n Name) AppendWire(b []byte) []byte {
	if n.IsZero() {
		return b
	}
	for label := range n.Labels() {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// Labels gives the labels from the left, without the empty one of the root.
func (n Name) Labels() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { n.labels(yield) }
}

func (n Name) labels(yield func([]byte) bool) {
	label, at := nextLabel(n.msg, n.at)
	for i := 0; label != nil && i < maxLabels && yield(label); i++ {
		label, at = nextLabel(n.msg, at)
	}
}

// Equal reports whether both are the same name, in upper or lower case (RFC 4343).
func (n Name) Equal(o Name) bool {
	if n.IsZero() || o.IsZero() {
		return n.IsZero() == o.IsZero()
	}
	a, at := nextLabel(n.msg, n.at)
	b, bt := nextLabel(o.msg, o.at)
	for i := 0; i < maxLabels && a != nil && equalFold(a, b); i++ {
		a, at = nextLabel(n.msg, at)
		b, bt = nextLabel(o.msg, bt)
	}
	return a == nil && b == nil
}

// Is reports whether text, as String gives it, is this name in upper or lower case.
func (n Name) Is(text string) bool {
	if len(text) > 4*maxName {
		return false
	}
	var room [maxName]byte
	own := n.AppendText(room[:0])
	if len(own) != len(text) {
		return false
	}
	for i, c := range own {
		if lower(c) != lower(text[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func equalFold(a, b []byte) bool {
	if len(a) != len(b) || b == nil {
		return false
	}
	for i, c := range a {
		if lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

// nextLabel gives the label at a place of msg, and the place of the next one; nil at the end. The
// name was checked; where the bytes changed since it still comes to an end.
func nextLabel(msg []byte, at int) (label []byte, next int) {
	for range maxHops + 1 {
		if at >= len(msg) {
			return nil, at
		}
		switch c := int(msg[at]); {
		case c == 0:
			return nil, at
		case c < 0x40:
			if next = at + 1 + c; next > len(msg) {
				return nil, at
			}
			return msg[at+1 : next : next], next
		case c >= 0xc0 && at+1 < len(msg):
			at = c&0x3f<<8 | int(msg[at+1])
		default:
			return nil, at
		}
	}
	return nil, at
}

// checkName reads the name at a place of msg as far as the byte behind it. A pointer (RFC 1035
// section 4.1.4) goes to a prior occurrence: before the labels that led to it, and behind the
// header. So there is no circle.
func checkName(msg []byte, at int) (next int, ok bool) {
	size, hops, before := 0, 0, at
	for at < len(msg) {
		c := int(msg[at])
		switch {
		case c == 0:
			if hops == 0 {
				next = at + 1
			}
			return next, true
		case c < 0x40:
			at += 1 + c
			if size += 1 + c; size >= maxName { // and the byte of the root
				return 0, false
			}
		case c >= 0xc0 && at+1 < len(msg):
			if hops == 0 {
				next = at + 2
			}
			at = c&0x3f<<8 | int(msg[at+1])
			if hops++; hops > maxHops || at >= before || at < headerLen {
				return 0, false
			}
			before = at
		default:
			return 0, false // a kind of label that was never in use, or half a pointer
		}
	}
	return 0, false
}

// appendEscaped appends a byte as text.
func appendEscaped(b []byte, c byte) []byte {
	switch {
	case c == '\\':
		return append(b, '\\', c)
	case c > ' ' && c < 0x7f:
		return append(b, c)
	}
	return append(b, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
}
