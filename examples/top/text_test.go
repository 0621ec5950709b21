package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"
)

func TestCleanTextIsPrintableASCII(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		b := make([]byte, random.IntN(40))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		limit := random.IntN(30)
		got := clean(string(b), limit)
		require.LessOrEqual(t, len(got), limit)
		for _, c := range []byte(got) {
			require.True(t, c >= ' ' && c <= '~', "%q of %q", got, b)
		}
	}
	for in, want := range map[string]string{
		"www.example.net": "www.example.net", "\x1b[2J": `\x1b[2J`, "日本": `\u65e5\u672c`, "a\r\nb": `a\r\nb`, "\u202egpj": `\u202egpj`,
	} {
		require.Equal(t, want, clean(in, 100))
	}
}

func TestAnEndpointShowsItsPortIfItHasOne(t *testing.T) {
	for in, want := range map[string]string{"192.0.2.1:80": "192.0.2.1:80", "192.0.2.1:0": "192.0.2.1", "[2001:db8::1]:53": "[2001:db8::1]:53"} {
		require.Equal(t, want, endpoint(netip.MustParseAddrPort(in)))
	}
	require.Equal(t, "-", endpoint(netip.AddrPort{}))
	hostile := netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone("\x1b[2J"), 53)
	require.NotContains(t, endpoint(hostile), "\x1b")
}

func TestShortTextsFit(t *testing.T) {
	const long = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535"
	for width := range 60 {
		for _, short := range []string{middle(long, width), cut(long, width)} {
			require.LessOrEqual(t, len(short), width)
		}
		require.Equal(t, width, ansi.StringWidth(left(long, width)))
		require.Equal(t, width, ansi.StringWidth(right("x", width)))
		if width >= 16 {
			require.True(t, strings.HasSuffix(middle(long, width), ":65535"))
		}
	}
	require.Equal(t, long, middle(long, len(long)))
}

func TestNumbersKeepTheirWidth(t *testing.T) {
	for n := uint64(1); n < 1<<63; n += n/2 + 1 {
		require.LessOrEqual(t, len(short(n)), 6, "%d", n)
		require.LessOrEqual(t, len(size(float64(n))), 7, "%d", n)
		require.LessOrEqual(t, len(perSecond(float64(n))), 8, "%d", n)
		d := time.Duration(n)
		require.LessOrEqual(t, len(span(d)), 6, "%v", d)
		require.LessOrEqual(t, len(milliseconds(d)), 9, "%v", d)
		require.Equal(t, fmt.Sprint(n), strings.ReplaceAll(count(n), ",", ""))
	}
	for in, want := range map[float64]string{0: "0B", 999: "999B", 999.6: "1.0kB", 1500: "1.5kB", 99_949: "99.9kB", 99_951: "100kB", 1e6: "1.0MB"} {
		require.Equal(t, want, size(in))
	}
	for in, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", 100000: "100,000"} {
		require.Equal(t, want, count(in))
	}
	for in, want := range map[time.Duration]string{
		0: "0.00s", -time.Second: "0.00s", 250 * time.Millisecond: "0.25s", 12300 * time.Millisecond: "12.3s", 59970 * time.Millisecond: "0m59s",
		245 * time.Second: "4m05s", 3*time.Hour + 7*time.Minute: "3h07m", 291 * time.Hour: "12d3h", 2401 * time.Hour: "100d",
	} {
		require.Equal(t, want, span(in))
	}
}

func TestBarsAndCurvesHaveTheirWidth(t *testing.T) {
	for _, g := range []glyphs{blocks, plain} {
		for width := range 30 {
			for _, share := range []float64{-1, 0, 0.001, 0.5, 1, 7} {
				require.Equal(t, width, ansi.StringWidth(g.bar(share, width)))
			}
			for n := range 40 {
				values := make([]float64, n)
				for i := range values {
					values[i] = float64(i)
				}
				require.Equal(t, width, ansi.StringWidth(g.line(values, width)))
			}
		}
		require.Equal(t, strings.Repeat(g.full, 5)+strings.Repeat(g.empty, 5), g.bar(0.5, 10))
		require.Equal(t, string(g.curve[0])+string(g.curve[1])+string(g.curve[len(g.curve)-1]), g.line([]float64{0, 1e-9, 7}, 3))
	}
	var nan float64
	require.Equal(t, "....", plain.bar(0/nan, 4))
}

func TestGlyphsFollowTheLocale(t *testing.T) {
	for _, c := range []struct {
		environment map[string]string
		want        string
	}{
		{map[string]string{"LANG": "C.UTF-8"}, blocks.full}, {map[string]string{"LANG": "de_DE.utf8"}, blocks.full},
		{map[string]string{"LANG": "C"}, plain.full}, {nil, plain.full},
		{map[string]string{"LC_ALL": "C", "LANG": "C.UTF-8"}, plain.full},
		{map[string]string{"LC_CTYPE": "en_US.UTF-8", "LANG": "C"}, blocks.full},
	} {
		require.Equal(t, c.want, glyphsFor(func(name string) string { return c.environment[name] }).full, "%v", c.environment)
	}
}
