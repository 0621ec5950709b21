package defrag

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parse reads fragments in units of 8 bytes: "2:AB" is AAAAAAAABBBBBBBB at offset 16. A dot makes it the
// last, "-3" behind it takes 3 bytes off its end, "!" says that the capture cut it.
func parse(t *testing.T, text string) (out []Fragment) {
	for _, word := range strings.Fields(text) {
		at, body, _ := strings.Cut(word, ":")
		offset, err := strconv.Atoi(at)
		require.NoError(t, err)
		f := Fragment{Key: Key{ID: 7, Family: 4, Proto: 17}, Offset: 8 * offset, More: true}
		body, less, _ := strings.Cut(body, "-")
		if strings.HasSuffix(body, "!") {
			f.Cut, body = true, strings.TrimSuffix(body, "!")
		}
		if strings.HasSuffix(body, ".") {
			f.More, body = false, strings.TrimSuffix(body, ".")
		}
		for _, c := range []byte(body) {
			f.Bytes = append(f.Bytes, bytes.Repeat([]byte{c}, 8)...)
		}
		if less != "" {
			n, err := strconv.Atoi(less)
			require.NoError(t, err)
			f.Bytes = f.Bytes[:len(f.Bytes)-n]
		}
		out = append(out, f)
	}
	return out
}

// letters gives data in the same notation.
func letters(data []byte) string {
	var s strings.Builder
	for i := 0; i < len(data); i += 8 {
		s.WriteByte(data[i])
	}
	return s.String()
}

func TestFragmentRules(t *testing.T) {
	ok := func(o ...Outcome) []Outcome { return o }
	for _, tt := range []struct {
		name, in string
		outcomes []Outcome
		want     string // the datagrams that come out
	}{
		{"I2: an exact duplicate is ignored", "0:A 0:A 1:B.", ok(Held, Duplicate, Complete), "AB"},
		{"I2: of other bytes, the first copy stays", "0:A 0:X 1:B.", ok(Held, Conflict, Complete), "AB"},
		{"I2: a duplicate of the last fragment", "1:B. 1:B. 0:A", ok(Held, Duplicate, Complete), "AB"},
		{"I3: contained in a stored fragment, other bytes", "0:AAA 1:X 3:B.", ok(Held, Conflict, Complete), "AAAB"},
		{"I3: contained in a run of two fragments", "0:AA 2:BB 1:XX 4:C.", ok(Held, Held, Conflict, Complete), "AABBC"},
		{"I3: contained, same bytes", "0:AA 2:BB 1:AB 4:C.", ok(Held, Held, Duplicate, Complete), "AABBC"},
		{"I4: partial overlap from the left", "1:BB 0:XX 3:C.", ok(Held, Overlap, Tombstone), ""},
		{"I4: partial overlap to the right", "0:AA 1:AX 3:C.", ok(Held, Overlap, Tombstone), ""},
		{"I4: superset", "1:B 0:ABC 3:D.", ok(Held, Overlap, Tombstone), ""},
		{"I4: superset of the same start", "0:A 0:AB 2:C.", ok(Held, Overlap, Tombstone), ""},
		{"I4: bridging a hole", "0:A 2:C 0:ABC 3:D.", ok(Held, Held, Overlap, Tombstone), ""},
		{"I5: overlap, then the whole set again", "0:AA 1:XX 0:AA 2:BB.", ok(Held, Overlap, Tombstone, Tombstone), ""},
		{"I6: two last fragments of the same end", "1:B. 1:C. 0:A", ok(Held, Conflict, Complete), "AB"},
		{"I6: two last fragments, the second shorter", "2:C. 1:B.", ok(Held, ConflictingEnd), ""},
		{"I6: two last fragments, the second shorter by a byte", "1:B. 1:B.-1 0:A", ok(Held, ConflictingEnd, Tombstone), ""},
		{"I6: two last fragments, the second longer", "1:B.-1 1:B.", ok(Held, ConflictingEnd), ""},
		{"I6: same end, but more of it", "2:C. 1:BC.", ok(Held, Overlap), ""},
		{"I7: data beyond the last fragment", "1:B. 2:C 0:A", ok(Held, BeyondEnd, Tombstone), ""},
		{"I7: data across the end", "2:C.-4 2:CD 0:AB", ok(Held, BeyondEnd, Tombstone), ""},
		{"I7: a last fragment before data", "2:C 1:B. 0:A", ok(Held, ConflictingEnd, Tombstone), ""},
		{"I8: not the last and not a multiple of 8: alone discarded", "0:A-1 0:A 1:B.", ok(NotMultipleOf8, Held, Complete), "AB"},
		{"I9: zero length: alone discarded", "0:A 1: 1:B.", ok(Held, ZeroLength, Complete), "AB"},
		{"I9: zero length and the last: alone discarded", "0:A 1:. 1:B.", ok(Held, ZeroLength, Complete), "AB"},
		{"I10: a first fragment of 8 bytes", "0:A 1:BCD.", ok(Held, Complete), "ABCD"},
		{"I11: end at 65,535", "0:A 8191:Z.-1", ok(Held, Held), ""},
		{"I11: end at 65,536", "0:A 8191:Z 8191:Z. 1:B.", ok(Held, TooLong, TooLong, Complete), "AB"},
		{"I12: an atomic fragment alone", "0:A.", ok(Whole), "A"},
		{"I12: an atomic fragment inside a set of the same key", "0:A 0:X. 1:B.", ok(Held, Whole, Complete), "X AB"},
		{"I12: an atomic fragment after the set was dropped", "0:AA 1:XX 0:Z.", ok(Held, Overlap, Whole), "Z"},
		{"I16: an identification used again after completion", "0:A 1:B. 0:C 1:D.", ok(Held, Complete, Held, Complete), "AB CD"},
		{"I16: used again with the same first fragment, which counts as a copy", "0:AB 2:C. 0:AB 2:D 3:E.", ok(Held, Complete, Duplicate, Held, Held), "ABC"},
		{"a late copy begins no datagram", "0:A 1:B. 1:B. 0:A", ok(Held, Complete, Duplicate, Duplicate), "AB"},
		{"a late copy of a part", "0:AAA 3:B. 1:A 0:AA", ok(Held, Complete, Duplicate, Duplicate), "AAAB"},
		{"a late copy does not join the next datagram", "0:A 1:B. 1:B. 0:C 1:D 2:E.", ok(Held, Complete, Duplicate, Held, Held, Complete), "AB CDE"},
		{"it ends elsewhere, so it is no copy", "0:A 1:BB. 1:B. 0:A", ok(Held, Complete, Held, Complete), "ABB AB"},
		{"more follows, so it is no copy", "0:A 1:B. 1:B 2:C. 0:A", ok(Held, Complete, Held, Held, Complete), "AB ABC"},
		{"a late copy that the capture cut", "0:AA 2:B. 0:A! 2:! 0:C 1:D.", ok(Held, Complete, Duplicate, Duplicate, Held, Complete), "AAB CD"},
		{"a late copy that the capture cut inside a unit", "0:A 1:B. 0:A!-3 1:B.", ok(Held, Complete, Duplicate, Duplicate), "AB"},
		{"cut, and no copy", "0:A 1:B. 0:C! 1:B.", ok(Held, Complete, Cut, Tombstone), "AB"},
		{"a last fragment whose bytes are there says where the end is", "0:AB 1:B.", ok(Held, Complete), "AB"},
		{"and so it does before the hole is filled", "1:B 1:B. 0:A", ok(Held, Duplicate, Complete), "AB"},
		{"more to come, says a duplicate of the last", "1:B. 1:B 0:A", ok(Held, Duplicate, Complete), "AB"},
		{"the last bytes need not fill a unit", "1:B.-7 0:A", ok(Held, Complete), "AB"},
		{"cut by the capture", "0:A 1:B! 1:B 2:C.", ok(Held, Cut, Tombstone, Tombstone), ""},
		{"cut by the capture, first of all and empty", "0:! 1:B.", ok(Cut, Tombstone), ""},
		{"cut by the capture to an odd length", "0:A!-3", ok(Cut), ""},
		{"too long even if cut", "8191:AB!", ok(TooLong), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := New[int](Limits{}, 1)
			var got []Outcome
			var out []string
			for _, f := range parse(t, tt.in) {
				d, o := table.Add(&f, nil)
				got = append(got, o)
				if o == Complete || o == Whole {
					out = append(out, letters(d.Data))
				}
				check(t, table)
			}
			require.Equal(t, tt.outcomes, got, "outcomes: %v", got)
			if tt.want != "" {
				require.Equal(t, tt.want, strings.Join(out, " "))
			}
		})
	}
}

// The public overlap patterns, in the order of arrival. Hosts of earlier days put together different datagrams
// from them. Here each is dropped, or, where nothing overlaps in part, is what came first.
func TestKnownOverlapPatternsAreDroppedOrGiveTheFirstBytes(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"P1 starts before, ends inside", "2:aaaa 1:bbb 6:Z. 0:0", ""},
		{"P2 starts before, same end", "3:aa 1:bbbb 5:Z. 0:0", ""},
		{"P3 starts before, ends after", "2:aa 1:bbbbb 6:Z. 0:0", ""},
		{"P4 same start, ends before", "1:aaaa 1:bb 5:Z. 0:0", "0aaaaZ"},
		{"P5 identical range", "1:aaa 1:bbb 4:Z. 0:0", "0aaaZ"},
		{"P6 same start, ends after", "1:aa 1:bbbb 5:Z. 0:0", ""},
		{"P7 strictly inside", "1:aaaa 2:b 5:Z. 0:0", "0aaaaZ"},
		{"P8 starts inside, same end", "1:aaaa 3:bb 5:Z. 0:0", "0aaaaZ"},
		{"P9 starts inside, ends after", "1:aaaa 3:bbb 6:Z. 0:0", ""},
		{"T1 nested, then later inside", "1:aaa 2:b 3:c 4:Z. 0:0", "0aaaZ"},
		{"T2 long, short, identical", "1:aa 2:bb 2:cc 4:Z. 0:0", ""},
		{"T3 longer each time", "1:a 1:bb 1:ccc 4:Z. 0:0", ""},
		{"T4 two islands bridged", "1:aa 5:bb 2:cccc 7:Z. 0:0", ""},
		{"T5 three islands, one blanket", "2:a 4:b 6:c 1:ddddddd 8:Z. 0:0", ""},
		{"T6 blanket, then three islands", "1:aaaaaaa 2:b 4:c 6:d 8:Z. 0:0", "0aaaaaaaZ"},
		{"T7 staircase up", "1:aaa 2:bbb 3:ccc 4:ddd 7:Z. 0:0", ""},
		{"T8 staircase down", "4:aaa 3:bbb 2:ccc 1:ddd 7:Z. 0:0", ""},
		{"T9 wider each time", "3:a 2:bbb 1:ccccc 6:Z. 0:0", ""},
		{"T10 narrower each time", "1:aaaaa 2:bbb 3:c 6:Z. 0:0", "0aaaaaZ"},
		{"T11 the same range three times", "1:aa 1:bb 1:cc 3:Z. 0:0", "0aaZ"},
		{"T12 beaten, then sent again", "2:aa 1:bbb 2:cc 4:Z. 0:0", ""},
		{"Novak", "0:AAA 4:BB 6:CCC 10:D 13:EE 15:FFF 18:GG 20:HH 22:I 1:JJJJ 6:KKK 9:LLL 12:MMM 16:N 19:O 20:P 22:QQ.", ""},
		{"Shankar and Paxson", "0:111 4:22 6:333 1:4444 6:555 9:666.", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := New[int](Limits{}, 1)
			got := ""
			for _, f := range parse(t, tt.in) {
				if d, o := table.Add(&f, nil); o == Complete {
					got += letters(d.Data)
				}
			}
			require.Equal(t, tt.want, got)
			overlaps := uint64(1)
			if tt.want != "" {
				overlaps = 0
			}
			s := table.Stats()
			require.Equal(t, overlaps, s.Outcomes[Overlap], "one event, not one per fragment")
			require.Equal(t, overlaps, s.Dropped)
		})
	}
}

func TestADatagramOfTheGreatestLengthIsPutTogether(t *testing.T) {
	table := New[int](Limits{}, 1)
	want := bytes.Repeat([]byte("flowscope"), 65535/9+1)[:65535]
	for off := 0; off < len(want); off += 1480 {
		end := min(off+1480, len(want))
		d, out := table.Add(&Fragment{Offset: off, Bytes: want[off:end], More: end < len(want)}, nil)
		if end == len(want) {
			require.Equal(t, Complete, out)
			require.Equal(t, want, d.Data)
		}
	}
}

func TestAnOffsetThatNoHeaderCanSayIsRefused(t *testing.T) {
	table := New[int](Limits{}, 1)
	for offset, want := range map[int]Outcome{
		-8: TooLong, -1 << 31: TooLong, 1<<31 - 8: TooLong, 65536: TooLong, 4: NotMultipleOf8,
	} {
		_, out := table.Add(&Fragment{Offset: offset, Bytes: make([]byte, 8)}, nil)
		require.Equal(t, want, out, "offset %d", offset)
	}
	require.Zero(t, table.Bytes(), "what is wrong in itself leaves no trace")
}

func TestOutcomesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for o := range Outcome(numOutcomes) {
		require.NotEmpty(t, o.String())
		require.False(t, seen[o.String()], "%d", o)
		seen[o.String()] = true
	}
	require.Equal(t, "none", Outcome(0).String())
	require.Equal(t, "none", Outcome(255).String())
}
