package stream

import (
	"math/rand"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each row is drawn: a letter is a byte, a dot is none. Column 0 arrives last, so
// that the overlap is decided while everything is held. ^ marks where copies differ.
var drawings = []struct{ name, there, arriving, first, last, linux, differ string }{
	{
		"starts before, ends inside",
		/* there    */ "..aaaa",
		/* arriving */ ".bbb",
		/* first    */ "0baaaa",
		/* last     */ "0bbbaa",
		/* linux    */ "0bbbaa",
		/* differ   */ "..^^",
	}, {
		"starts before, same end",
		/* there    */ "...aa",
		/* arriving */ ".bbbb",
		/* first    */ "0bbaa",
		/* last     */ "0bbbb",
		/* linux    */ "0bbbb",
		/* differ   */ "...^^",
	}, {
		"starts before, ends after",
		/* there    */ "..aa",
		/* arriving */ ".bbbbb",
		/* first    */ "0baabb",
		/* last     */ "0bbbbb",
		/* linux    */ "0bbbbb",
		/* differ   */ "..^^",
	}, {
		"same start, ends before",
		/* there    */ ".aaaa",
		/* arriving */ ".bb",
		/* first    */ "0aaaa",
		/* last     */ "0bbaa",
		/* linux    */ "0aaaa",
		/* differ   */ ".^^",
	}, {
		"identical range",
		/* there    */ ".aaa",
		/* arriving */ ".bbb",
		/* first    */ "0aaa",
		/* last     */ "0bbb",
		/* linux    */ "0aaa",
		/* differ   */ ".^^^",
	}, {
		"same start, ends after",
		/* there    */ ".aa",
		/* arriving */ ".bbbb",
		/* first    */ "0aabb",
		/* last     */ "0bbbb",
		/* linux    */ "0bbbb",
		/* differ   */ ".^^",
	}, {
		"strictly inside",
		/* there    */ ".aaaa",
		/* arriving */ "..b",
		/* first    */ "0aaaa",
		/* last     */ "0abaa",
		/* linux    */ "0aaaa",
		/* differ   */ "..^",
	}, {
		"inside, same end",
		/* there    */ ".aaaa",
		/* arriving */ "...bb",
		/* first    */ "0aaaa",
		/* last     */ "0aabb",
		/* linux    */ "0aaaa",
		/* differ   */ "...^^",
	}, {
		"inside, ends after",
		/* there    */ ".aaaa",
		/* arriving */ "...bbb",
		/* first    */ "0aaaab",
		/* last     */ "0aabbb",
		/* linux    */ "0aaaab",
		/* differ   */ "...^^",
	}, {
		"equal copies are no conflict",
		/* there    */ "..abcd",
		/* arriving */ ".xabcd",
		/* first    */ "0xabcd",
		/* last     */ "0xabcd",
		/* linux    */ "0xabcd",
		/* differ   */ "",
	}, {
		"one conflict from the first to the last difference",
		/* there    */ ".abcdef",
		/* arriving */ ".aXcdYf",
		/* first    */ "0abcdef",
		/* last     */ "0aXcdYf",
		/* linux    */ "0abcdef",
		/* differ   */ "..^^^^",
	}, {
		"neighbours are one range, a hole parts two",
		/* there    */ ".aa.aa",
		/* arriving */ ".bbbbb",
		/* first    */ "0aabaa",
		/* last     */ "0bbbbb",
		/* linux    */ "0bbbbb",
		/* differ   */ ".^^.^^",
	},
}

// segmentsOf gives the unbroken runs of a drawn line.
func segmentsOf(line string) (list []Segment) {
	for i := 0; i < len(line); {
		if line[i] == '.' {
			i++
			continue
		}
		k := i
		for k < len(line) && line[k] != '.' {
			k++
		}
		list = append(list, Segment{Pos: int64(i), Bytes: []byte(line[i:k])})
		i = k
	}
	return list
}

func TestOverlapsAreDecidedAsDrawn(t *testing.T) {
	for _, row := range drawings {
		for _, rule := range []struct {
			Policy
			result string
		}{{First, row.first}, {Last, row.last}, {Linux, row.linux}} {
			t.Run(row.name+"/"+rule.String(), func(t *testing.T) {
				r := newRig(t, Limits{Policy: rule.Policy})
				for _, seg := range segmentsOf(row.there) {
					r.insert(seg)
					require.Empty(t, r.said)
				}
				var conflicts []span
				for _, it := range r.insert(segmentsOf(row.arriving)[0]) {
					if it.Kind == Conflict {
						conflicts = append(conflicts, span{it.Pos, it.Len})
					}
				}
				var want []span
				for _, seg := range segmentsOf(row.differ) {
					want = append(want, span{seg.Pos, int64(len(seg.Bytes))})
				}
				require.Equal(t, want, conflicts)
				r.insert(Segment{Bytes: []byte("0")})
				require.Equal(t, rule.result, r.said)
			})
		}
	}
}

// vectors are the published cases, in arrival order: first, last, linux.
var vectors = []struct{ name, script, first, last, linux string }{
	{"P1 starts before, ends inside", "2:aaaa 1:bbb 0:0", "0baaaa", "0bbbaa", "0bbbaa"},
	{"P2 starts before, same end", "3:aa 1:bbbb 0:0", "0bbaa", "0bbbb", "0bbbb"},
	{"P3 starts before, ends after", "2:aa 1:bbbbb 0:0", "0baabb", "0bbbbb", "0bbbbb"},
	{"P4 same start, ends before", "1:aaaa 1:bb 0:0", "0aaaa", "0bbaa", "0aaaa"},
	{"P5 identical range", "1:aaa 1:bbb 0:0", "0aaa", "0bbb", "0aaa"},
	{"P6 same start, ends after", "1:aa 1:bbbb 0:0", "0aabb", "0bbbb", "0bbbb"},
	{"P7 strictly inside", "1:aaaa 2:b 0:0", "0aaaa", "0abaa", "0aaaa"},
	{"P8 inside, same end", "1:aaaa 3:bb 0:0", "0aaaa", "0aabb", "0aaaa"},
	{"P9 inside, ends after", "1:aaaa 3:bbb 0:0", "0aaaab", "0aabbb", "0aaaab"},
	{"T1 nested, then later inside", "1:aaa 2:b 3:c 0:0", "0aaa", "0abc", "0aaa"},
	{"T2 the original extent decides", "1:aa 2:bb 2:cc 0:0", "0aab", "0acc", "0aab"},
	{"T3 longer each time", "1:a 1:bb 1:ccc 0:0", "0abc", "0ccc", "0ccc"},
	{"T4 two islands bridged", "1:aa 5:bb 2:cccc 0:0", "0aaccbb", "0accccb", "0aacccb"},
	{"T5 three islands, one blanket", "2:a 4:b 6:c 1:ddddddd 0:0", "0dadbdcd", "0ddddddd", "0ddddddd"},
	{"T6 blanket, then three islands", "1:aaaaaaa 2:b 4:c 6:d 0:0", "0aaaaaaa", "0abacada", "0aaaaaaa"},
	{"T7 staircase up", "1:aaa 2:bbb 3:ccc 4:ddd 0:0", "0aaabcd", "0abcddd", "0aaabcd"},
	{"T8 staircase down", "4:aaa 3:bbb 2:ccc 1:ddd 0:0", "0dcbaaa", "0dddcba", "0dddcba"},
	{"T9 wider each time", "3:a 2:bbb 1:ccccc 0:0", "0cbabc", "0ccccc", "0ccccc"},
	{"T10 narrower each time", "1:aaaaa 2:bbb 3:c 0:0", "0aaaaa", "0abcba", "0aaaaa"},
	{"T11 the same range thrice", "1:aa 1:bb 1:cc 0:0", "0aa", "0cc", "0aa"},
	{"T12 beaten, then sent again", "2:aa 1:bbb 2:cc 0:0", "0baa", "0bcc", "0bbb"},
	{"only looking at neighbours says aac", "1:aaa 2:b 3:c 0:0", "0aaa", "0abc", "0aaa"},
	{
		"Novak and Sturges",
		"1:AAA 5:BB 7:CCC 11:D 14:EE 16:FFF 19:GG 21:HH 23:I 2:JJJJ 7:KKK 10:LLL 13:MMM 17:N 20:O 21:P 23:QQ 0:0",
		"0AAAJBBCCCLDLMEEFFFGGHHIQ", "0AJJJJBKKKLLLMMMFNFGOPHQQ", "0AAAJJBCCCLLLMMMFFFGGHHQQ",
	},
	// The pattern of Shankar and Paxson has no byte that arrives last; one is put in
	// front.
	{
		"Shankar and Paxson",
		"1:111 5:22 7:333 2:4444 7:555 10:666 0:0",
		"0111422333666", "0144442555666", "0111442333666",
	},
}

func TestPublishedVectorsGiveThePublishedStreams(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			for p, want := range []string{v.first, v.last, v.linux} {
				got, conflicts := play(t, Policy(p), v.script)
				require.Equal(t, want, got, Policy(p))
				require.Positive(t, conflicts, "all of these differ")
			}
		})
	}
}

func TestSharedVectorTableGivesItsOwnerColumn(t *testing.T) {
	raw, err := os.ReadFile("../../../shared/reference/overlap-vectors.tsv")
	if err != nil {
		t.Skip("the shared table of overlap vectors is not here:", err)
	}
	policies := map[string]Policy{"first": First, "last": Last, "linux": Linux}
	rows := 0
	for line := range strings.Lines(string(raw)) {
		col := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(col) < 5 || col[0] != "tcp" {
			continue
		}
		p, ok := policies[col[3]]
		if !ok {
			continue
		}
		rows++
		got, _ := play(t, p, col[2])
		require.Equal(t, col[4], got, "%s, %s", col[1], col[3])
	}
	require.Equal(t, 66, rows)
}

func TestAllTripletsOnSixPositionsAgreeWithTheModel(t *testing.T) {
	var all []span
	for lo := range 6 {
		for hi := lo + 1; hi <= 6; hi++ {
			all = append(all, span{int64(lo), int64(hi - lo)})
		}
	}
	require.Len(t, all, 21)
	for _, p := range []Policy{First, Last, Linux} {
		n := 0
		r := newRig(t, Limits{Policy: p})
		for _, x := range all {
			for _, y := range all {
				for _, z := range all {
					n++
					// Held until position 0 arrives, and then once more with the first
					// segments perhaps in order.
					for first := range int64(2) {
						r.again()
						for i, s := range []span{x, y, z} {
							r.insert(letters(s.pos+1-first, s.size, byte('a'+i)))
						}
						r.insert(letters(0, 1, '0'))
						r.finish(-1)
					}
				}
			}
		}
		require.Equal(t, 9261, n)
	}
}

func letters(pos, size int64, b byte) Segment {
	return Segment{Pos: pos, Bytes: []byte(strings.Repeat(string(b), int(size))), ID: uint64(b), Time: int64(b), Now: int64(b)}
}

func TestRandomSequencesAgreeWithTheModel(t *testing.T) {
	rounds := 20000
	if testing.Short() {
		rounds = 4000
	}
	rnd := rand.New(rand.NewSource(1))
	limits := []Limits{
		{},
		{Keep: 5},
		{SidePieces: 3},
		{SideBytes: 800},
		{SideBytes: 500, SidePieces: 4, Keep: 9},
		{TotalBytes: 2000},
		{SideBytes: -1},
	}
	var rigs []*rig
	for _, l := range limits {
		for _, l.Policy = range []Policy{First, Last, Linux} {
			rigs = append(rigs, newRig(t, l))
		}
	}
	for range rounds {
		r := rigs[rnd.Intn(len(rigs))]
		r.noText = true
		r.again()
		wide := int64(12 + rnd.Intn(3)*40)
		for i := range 4 + rnd.Intn(7) {
			seg := Segment{Pos: rnd.Int63n(wide) - 1, Time: int64(i + 1), Now: int64(i + 1), ID: uint64(i + 1)}
			seg.Bytes = make([]byte, rnd.Int63n(wide/2+1))
			for k := range seg.Bytes {
				seg.Bytes[k] = "ab"[rnd.Intn(2)]
			}
			if rnd.Intn(8) == 0 {
				seg.Missing = rnd.Intn(6)
			}
			r.insert(seg)
			if rnd.Intn(12) == 0 {
				r.skip(rnd.Int63n(wide), Acknowledged)
			}
		}
		r.finish(rnd.Int63n(wide+10) - 1)
	}
}
