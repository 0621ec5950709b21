package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/http1"
)

// maxName is the length at which text from the network is cut.
const maxName = 120

// clean makes text from a peer harmless to look at: what cannot be seen, changes the direction of writing or is piled
// on other characters is shown as its code, and long text is cut. html/template does the rest.
func clean(s string) string { return cleanTo(s, maxName, len(s)) }

// peer is clean of bytes of a peer, which may be many: no more of them are looked at than can be shown.
func peer(b []byte) string {
	return cleanTo(http1.Text(b[:min(len(b), maxName+1)]).String(), maxName, len(b))
}

// cleanTo cuts at a number of characters. all is how many bytes the text has, of which s may be the beginning.
func cleanTo(s string, limit, all int) string {
	var b strings.Builder
	n := 0
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		piece := string(r)
		switch {
		case r == utf8.RuneError && size <= 1:
			piece = fmt.Sprintf(`\x%02x`, s[i])
		case !strconv.IsPrint(r) || unicode.In(r, unicode.M):
			piece = fmt.Sprintf(`\u{%x}`, r)
		}
		if n += utf8.RuneCountInString(piece); n > limit {
			return b.String() + "… (" + count(uint64(all)) + " bytes)"
		}
		b.WriteString(piece)
	}
	return b.String()
}

// count is a number with its thousands apart.
func count[N int | uint64](n N) string {
	s := strconv.FormatUint(uint64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// some is a number and its noun, which is in the plural unless there is one.
func some[N int | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	switch {
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	case strings.HasSuffix(noun, "h"), strings.HasSuffix(noun, "s"):
		noun += "es"
	default:
		noun += "s"
	}
	return count(n) + " " + noun
}

var prefixes = []string{"", "k", "M", "G", "T", "P", "E"}

// scaled is a number with three digits and the prefix of its unit, as in "12.3 kB".
func scaled(v float64, unit string) string {
	i := 0
	for ; v >= 999.5 && i < len(prefixes)-1; i++ {
		v /= 1000
	}
	return digits(v) + " " + prefixes[i] + unit
}

func size[N int64 | uint64](n N) string {
	if n < 1000 {
		return strconv.FormatInt(int64(n), 10) + " B"
	}
	return scaled(float64(n), "B")
}

// digits is a number below 1,000 with three digits, and without zeros behind the point.
func digits(v float64) string {
	places := 2
	switch {
	case v >= 99.95:
		places = 0
	case v >= 9.995:
		places = 1
	}
	s := strconv.FormatFloat(v, 'f', places, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// lasting is a time in one or two units, as in "12.3 ms" and "6d 20h".
func lasting(d time.Duration) string {
	pair := func(big, small time.Duration, a, b string) string {
		n := d.Round(small)
		if n%big < small {
			return fmt.Sprintf("%d%s", n/big, a)
		}
		return fmt.Sprintf("%d%s %d%s", n/big, a, n%big/small, b)
	}
	switch {
	case d < 0:
		return "-" + lasting(-max(d, -math.MaxInt64))
	case d < 1000*time.Nanosecond:
		return fmt.Sprintf("%d ns", d)
	case d < 999500*time.Nanosecond:
		return digits(float64(d)/1e3) + " µs"
	case d < 999500*time.Microsecond:
		return digits(float64(d)/1e6) + " ms"
	case d < 59950*time.Millisecond:
		return digits(d.Seconds()) + " s"
	case d < 2*time.Hour:
		return pair(time.Minute, time.Second, "m", "s")
	case d < 48*time.Hour:
		return pair(time.Hour, time.Minute, "h", "m")
	case d < 2*365*24*time.Hour:
		return pair(24*time.Hour, time.Hour, "d", "h")
	}
	return pair(365*24*time.Hour, 24*time.Hour, "y", "d")
}

// end is an end of a flow. Ports that a protocol has not are left out.
func end(e flowscope.Endpoint) string {
	if !e.Addr.IsValid() {
		return "?"
	}
	return clean(e.String())
}

// shortEnd is an end that fits a picture: of a long IPv6 address the middle is left out.
func shortEnd(e flowscope.Endpoint) string {
	full := end(e)
	addr := e.Addr.WithZone("").String()
	if !e.Addr.Is6() || len(addr) <= 20 {
		return full
	}
	head, tail := addr, addr
	for i, colons := 0, 0; i < len(addr); i++ {
		if addr[i] == ':' {
			if colons++; colons == 1 {
				head = addr[:i+1]
			}
		}
	}
	if at := strings.LastIndexByte(addr, ':'); at >= 0 {
		tail = addr[at:]
	}
	if e.Port == 0 {
		return head + "…" + tail
	}
	return fmt.Sprintf("[%s…%s]:%d", head, tail, e.Port)
}
