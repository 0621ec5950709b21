package main

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/examples/internal/odd"
)

// TestPagesAreHarmless: whatever is in a capture, the page has no script, no link, no style and no element that the
// template has not, and no character that is not seen.
func TestPagesAreHarmless(t *testing.T) {
	elements := map[string]bool{}
	for _, name := range regexp.MustCompile(`<([a-z0-9]+)`).FindAllStringSubmatch(pageText, -1) {
		elements[name[1]] = true
	}
	attributes := map[string]bool{}
	for _, name := range regexp.MustCompile(`([a-zA-Z0-9-]+)="`).FindAllStringSubmatch(pageText, -1) {
		attributes[name[1]] = true
	}
	require.False(t, elements["script"] || attributes["href"] || attributes["src"])
	for _, c := range all(t) {
		for _, name := range append(odd.Names, c.Name) {
			if c.Name != "hostile.pcap" && name != c.Name {
				continue // that one is shown with file names of the same kind too
			}
			f := *factsOf(t, c)
			f.name = name
			if f.err != nil {
				f.err = errors.Join(f.err, errors.New(strings.Join(odd.Names, " ")))
			}
			page := pageOf(t, &f)
			requireNoText(t, page, "ZgotmplZ")
			for _, r := range page {
				require.True(t, r == '\n' || strconv.IsPrint(r), "%s: %U", c.Name, r)
			}
			d := xml.NewDecoder(strings.NewReader(page))
			d.Strict, d.AutoClose, d.Entity = false, []string{"meta"}, xml.HTMLEntity
			for {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err, c.Name)
				if e, ok := token.(xml.StartElement); ok {
					require.True(t, elements[e.Name.Local], "%s: element %s", c.Name, e.Name.Local)
					for _, a := range e.Attr {
						require.True(t, attributes[a.Name.Local], "%s: attribute %s", c.Name, a.Name.Local)
					}
				}
			}
		}
	}
}

// TestHostileNamesAreShown: they are not lost either, but for what is cut.
func TestHostileNamesAreShown(t *testing.T) {
	page := pageOf(t, factsOf(t, odd.Named("hostile")))
	for _, want := range []string{
		"&lt;script&gt;alert(1)&lt;/script&gt;", "&#34;&gt;&lt;img&#43;src=x&#43;onerror=alert(1)&gt;", `\x1b[31mred\x00\x07\x7f`,
		"longlong", "… (10,000 bytes)",
	} {
		requireText(t, page, want)
	}
	requireNoText(t, page, strings.Repeat("long", 100))
}

// TestPagesAreSmall: lists are cut, and say so.
func TestPagesAreSmall(t *testing.T) {
	for _, c := range all(t) {
		require.Less(t, len(pageOf(t, factsOf(t, c))), 200_000, c.Name)
	}
	page := pageOf(t, factsOf(t, odd.Named("scan")))
	requireText(t, page, "The 24 heaviest of 21,000 flows, by start.")
	requireText(t, page, "10 of about 21,000")
	requireText(t, page, "Of the conversations the lightest 10,000 were forgotten while reading; sums of those shown may lack 108 B at most.")
}

func TestPagesAreTheSameEachTime(t *testing.T) {
	for _, c := range all(t) {
		require.Equal(t, pageOf(t, gathered(t, c)), pageOf(t, factsOf(t, c)), c.Name)
	}
}

func TestDamageIsOnThePage(t *testing.T) {
	page := pageOf(t, factsOf(t, odd.Named("broken")))
	requireText(t, page, "The file is damaged: capture file, offset 21915: file ends early: while reading a record. The page shows all of the 103 packets before that place.")
	page = pageOf(t, factsOf(t, odd.Named("nothing")))
	requireText(t, page, "The capture could not be read: capture file, offset 0: not a known capture file format")
	page = pageOf(t, factsOf(t, odd.Named("empty")))
	requireText(t, page, "There are no packets in this capture.")
	requireNoText(t, page, "could not be read")
}

// TestEveryPacketTwiceIsNoTrouble: copies are told apart from what was sent again.
func TestEveryPacketTwiceIsNoTrouble(t *testing.T) {
	once, twice := factsOf(t, odd.Named("sessions")), factsOf(t, odd.Named("twice"))
	require.Zero(t, once.copies)
	require.Equal(t, once.packets, twice.copies)
	require.Greater(t, twice.flows.again, uint64(20), "the library counts copies")
	page := pageOf(t, twice)
	requireText(t, page, "169 of 338 packets are copies of others")
	require.Equal(t, card{"169", "packets that are copies of others", "warn"}, parse(page).cards[3])
	for i := range twice.flows.trouble.items {
		fl := &twice.flows.trouble.items[i].value
		require.True(t, fl.isTwice())
		require.Zero(t, fl.repeats(0)+fl.repeats(1))
	}
	require.Equal(t, once.trouble.Initiator, twice.trouble.Initiator, "the same connection has the most trouble")
	require.Equal(t, once.trouble.segments, twice.trouble.segments)
}

// TestTroubleIsDrawn: the picture has the holes of the connection, and the segments that came again.
func TestTroubleIsDrawn(t *testing.T) {
	f := factsOf(t, odd.Named("trouble"))
	s := f.trouble
	require.Equal(t, "192.0.2.10:40009", s.Initiator.String())
	require.EqualValues(t, 1, s.side)
	require.Len(t, s.holes, int(s.Gaps[1]))
	missing, payload, again := int64(0), int64(0), 0
	for _, h := range s.holes {
		missing += h.hi - h.lo
		for _, g := range s.segments {
			require.True(t, g.hi <= h.lo || g.lo >= h.hi, "a segment in a hole")
		}
	}
	for _, g := range s.segments {
		payload += g.hi - g.lo
		if g.again {
			again++
		}
	}
	require.EqualValues(t, s.GapBytes[1], missing)
	require.EqualValues(t, s.PayloadBytes[1], payload)
	require.Equal(t, 14, again, "one of each turn")
	require.Equal(t, int64(140_000), s.top)
	require.Equal(t, s.top+1, s.acks[len(s.acks)-1].at, "the ACK of the FIN")

	var row []string // of the one with the most segments sent again
	for _, c := range f.flows.troubleTable().Rows[4] {
		row = append(row, c.Text)
	}
	require.Equal(t, []string{"192.0.2.12:40011", "198.51.100.1:80", "ShADadtt", "open at the end", "16", "0", "0 B"}, row)
}

// TestOddHandshakes: a kind of each is found.
func TestOddHandshakes(t *testing.T) {
	kinds := func(name string) map[string]uint64 {
		n := map[string]uint64{}
		for what, k := range factsOf(t, odd.Named(name)).flows.handshakes {
			n[what] = k.n
		}
		return n
	}
	require.Equal(t, map[string]uint64{notAnswered: 5, sentAgain: 5}, kinds("trouble"))
	require.Equal(t, map[string]uint64{refusedOnes: 21_000}, kinds("scan"))
	require.Empty(t, kinds("sessions"))
}
