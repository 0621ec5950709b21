// Package text appends what the formats of package export are made of: strings of JSON and of Zeek's
// tables, times and numbers.
package text

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/flowscope-go/flowscope"
)

const hex = "0123456789abcdef"

// JSON appends a JSON string, as encoding/json writes it.
func JSON[S string | []byte](b []byte, s S) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && c != 0x7f || c == 0x7f {
				i++
				continue
			}
			b = append(b, s[from:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\b':
				b = append(b, `\b`...)
			case '\f':
				b = append(b, `\f`...)
			case '\n':
				b = append(b, `\n`...)
			case '\r':
				b = append(b, `\r`...)
			case '\t':
				b = append(b, `\t`...)
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			from = i
			continue
		}
		r, n := decode(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(append(b, s[from:i]...), `\ufffd`...)
		case r == '\u2028' || r == '\u2029': // ends of lines in JavaScript
			b = append(append(b, s[from:i]...), '\\', 'u', '2', '0', '2', hex[r&15])
		default:
			i += n
			continue
		}
		i += n
		from = i
	}
	return append(append(b, s[from:]...), '"')
}

func decode[S string | []byte](s S) (rune, int) {
	var first [utf8.UTFMax]byte
	n := copy(first[:], s)
	return utf8.DecodeRune(first[:n])
}

// Zeek appends a string as Zeek's ASCII writer does: what would be taken for a separator, or is no
// text, as \xhh; an empty string as (empty); what looks like a field without a value, or an empty one,
// with its first byte escaped. In a set or vector, commas are separators too.
func Zeek[S string | []byte](b []byte, s S, inSet bool) []byte {
	switch string(s) {
	case "":
		return append(b, "(empty)"...)
	case "-", "(empty)":
		b = append(b, '\\', 'x', hex[s[0]>>4], hex[s[0]&15])
		s = s[1:]
	}
	for i := 0; i < len(s); {
		c := s[i]
		n := 1
		plain := c >= ' ' && c < 0x7f && c != '\\' && (c != ',' || !inSet)
		if c >= utf8.RuneSelf {
			var r rune
			r, n = decode(s[i:])
			plain = r != utf8.RuneError || n > 1
		}
		switch {
		case plain:
			b = append(b, s[i:i+n]...)
		case c == '\\':
			b = append(b, `\\`...)
		default:
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		}
		i += n
	}
	return b
}

// Seconds appends a time in seconds with six digits after the dot, rounded down.
func Seconds(b []byte, t flowscope.Timestamp) []byte { return micros(b, floorDiv(int64(t), 1000)) }

// Interval appends a duration as Seconds does.
func Interval(b []byte, d time.Duration) []byte { return micros(b, floorDiv(int64(d), 1000)) }

func floorDiv(a, n int64) int64 {
	q := a / n
	if a%n < 0 {
		q--
	}
	return q
}

func micros(b []byte, us int64) []byte {
	n := uint64(us)
	if us < 0 {
		b, n = append(b, '-'), -n
	}
	b = append(strconv.AppendUint(b, n/1e6, 10), '.')
	return digits(b, n%1e6, 6)
}

// digits appends n with leading zeros.
func digits(b []byte, n uint64, width int) []byte {
	var d [20]byte
	for i := width - 1; i >= 0; i-- {
		d[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, d[:width]...)
}

// EVETime appends a time as Suricata's EVE has it, in quotes.
func EVETime(b []byte, t flowscope.Timestamp) []byte {
	b = append(b, '"')
	b = t.Time().AppendFormat(b, "2006-01-02T15:04:05.000000-0700")
	return append(b, '"')
}

// Uint appends a number.
func Uint[N ~uint8 | ~uint16 | ~uint32 | ~uint64](b []byte, n N) []byte {
	return strconv.AppendUint(b, uint64(n), 10)
}

// Int appends a number.
func Int[N ~int | ~int64](b []byte, n N) []byte { return strconv.AppendInt(b, int64(n), 10) }

// CSV appends a cell of comma-separated values: in quotes where RFC 4180 wants them, or where blanks at
// its ends might be taken off.
func CSV[S string | []byte](b []byte, s S) []byte {
	quote := len(s) > 0 && (s[0] == ' ' || s[len(s)-1] == ' ')
	for i := range len(s) {
		quote = quote || s[i] == ',' || s[i] == '"' || s[i] == '\r' || s[i] == '\n'
	}
	if !quote {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
