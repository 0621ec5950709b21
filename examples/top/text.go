package main

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// clean makes text from the network harmless on a terminal: what comes out is printable ASCII, so that it
// moves no cursor, and each byte is one column wide. Longer text than limit is cut. Text that is printable, such as what the
// library has escaped, stays as it is.
func clean(s string, limit int) string {
	var b []byte
	for len(s) > 0 && len(b) < limit {
		c, n := utf8.DecodeRuneInString(s)
		if c >= ' ' && c <= '~' {
			b = append(b, s[0])
		} else {
			quoted := strconv.QuoteToASCII(s[:n])
			b = append(b, quoted[1:len(quoted)-1]...)
		}
		s = s[n:]
	}
	return string(b[:min(len(b), limit)])
}

// endpoint is an address and its port; ":0" says nothing, and is left out.
func endpoint(a netip.AddrPort) string {
	switch {
	case !a.IsValid():
		return "-"
	case a.Port() == 0:
		return clean(a.Addr().String(), maxText)
	}
	return clean(a.String(), maxText) // a zone is text from elsewhere
}

// middle shortens text to a width, and leaves out of its middle: of an address the port stays. The text is ASCII.
func middle(s string, width int) string {
	if len(s) <= width {
		return s
	}
	if width < 4 {
		return s[:max(width, 0)]
	}
	tail := (width - 2) / 2
	return s[:width-2-tail] + ".." + s[len(s)-tail:]
}

// left and right bring text to exactly this width.
func left(s string, width int) string {
	s = ansi.Truncate(s, width, "")
	return s + strings.Repeat(" ", max(width-ansi.StringWidth(s), 0))
}

func right(s string, width int) string {
	s = ansi.Truncate(s, width, "")
	return strings.Repeat(" ", max(width-ansi.StringWidth(s), 0)) + s
}

// size is a number of bytes, such as "1.5MB".
func size(n float64) string { return scaled(n, "B") }

// perSecond is a rate of bytes, such as "1.5MB/s"; nothing below one byte a second.
func perSecond(n float64) string {
	if n < 1 {
		return "-"
	}
	return scaled(n, "B/s")
}

func scaled(n float64, unit string) string {
	prefixes := []string{"", "k", "M", "G", "T", "P", "E"}
	i := 0
	for n >= 999.5 && i < len(prefixes)-1 {
		n /= 1000
		i++
	}
	if i == 0 || n >= 99.95 {
		return fmt.Sprintf("%.0f%s%s", n, prefixes[i], unit)
	}
	return fmt.Sprintf("%.1f%s%s", n, prefixes[i], unit)
}

// count is a number with commas, such as "1,234,567".
func count[N int | int64 | uint64](n N) string {
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// several is a number of things.
func several(n uint64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return count(n) + " " + thing
}

// short is a number in at most six columns, such as "12.3k".
func short(n uint64) string {
	if n < 100_000 {
		return fmt.Sprint(n)
	}
	return scaled(float64(n), "")
}

// some is short, but nothing for 0, so that what is there stands out.
func some(n uint64) string {
	if n == 0 {
		return ""
	}
	return short(n)
}

// span is a duration in at most six columns, such as "0.25s", "12.3s", "4m05s", "3h07m" or "12d3h".
func span(d time.Duration) string {
	switch s := d.Seconds(); {
	case d < 0:
		return "0.00s"
	case s < 9.995:
		return fmt.Sprintf("%.2fs", s)
	case s < 59.95:
		return fmt.Sprintf("%.1fs", s)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(s)%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d < 100*24*time.Hour:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	case d < 10_000*24*time.Hour:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
	return fmt.Sprintf("%dy", int(d.Hours())/(24*365))
}

// milliseconds is a latency, such as "0.284ms".
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 100 {
		return fmt.Sprintf("%.3fms", ms)
	}
	return scaled(ms, "ms")
}

// glyphs are the characters of which bars and curves are made.
type glyphs struct {
	full, empty    string
	curve          []rune // from low to high
	down, up, more string
}

var (
	blocks = glyphs{full: "█", empty: "░", curve: []rune(" ▁▂▃▄▅▆▇█"), down: "↓", up: "↑", more: "…"}
	plain  = glyphs{full: "#", empty: ".", curve: []rune(" .:-=+*#@"), down: "v", up: "^", more: "."}
)

// glyphsFor are those that a terminal of this environment can show.
func glyphsFor(getenv func(string) string) glyphs {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" { // the first that is set counts
			if strings.Contains(v, "utf-8") || strings.Contains(v, "utf8") {
				return blocks
			}
			return plain
		}
	}
	return plain
}

var glyph = glyphsFor(os.Getenv)

// bar shows a share of a whole in width columns.
func (g *glyphs) bar(share float64, width int) string {
	if !(share > 0) { // not a number too
		share = 0
	}
	n := min(int(share*float64(width)+0.5), width)
	if share > 0 && n == 0 && width > 0 {
		n = 1 // there is something
	}
	return strings.Repeat(g.full, n) + strings.Repeat(g.empty, max(width-n, 0))
}

// line shows the last values as a curve in width columns, the highest of them at full height.
func (g *glyphs) line(values []float64, width int) string {
	if len(values) > width {
		values = values[len(values)-width:]
	}
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(string(g.curve[0]), max(width-len(values), 0)))
	for _, v := range values {
		at := 0
		if top > 0 && v > 0 {
			at = 1 + int(v/top*float64(len(g.curve)-2)+0.5)
		}
		b.WriteRune(g.curve[min(at, len(g.curve)-1)])
	}
	return b.String()
}

// fit cuts a line, styles and all, to a width.
func fit(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return ansi.Truncate(line, width, "")
}
