package acceptance

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// turn is what one side says before the other does.
type turn struct {
	side  flowscope.FlowSide
	bytes []byte
	gap   int64
	fin   bool
}

func (t turn) String() string {
	return fmt.Sprintf("%v %q gap %d fin %v", t.side, t.bytes, t.gap, t.fin)
}

// someConversation is a mixture of what the protocols of session_test.go say, somewhat damaged.
func someConversation(r *rand.Rand) []turn {
	words := []string{
		"A:a\n", "A:hello\n", "A:\n", "A:switch\n", "B:b\n", "B:switch\n", "AA:aa\n", "AA:switch\n", "A:done\n", "A:stop\n",
		"AA:stopother\n", "\xb1\x00\x02hi", "\xb1\x00\x00", "\xb1\x01\x02" + strings.Repeat("x", 258), "\xb1\x01\xff", "+", "+abc!",
		"abc", "!", "A", "AA", "A:", "\xb1", "\x00", "B:" + strings.Repeat("long", 40) + "\n", "B:" + strings.Repeat("l", 196) + "\n",
		"B:" + strings.Repeat("l", 197) + "\n", strings.Repeat("z", 300), "\n",
	}
	favourites := words
	if r.IntN(2) == 0 {
		favourites = []string{words[r.IntN(len(words))], words[r.IntN(len(words))], words[r.IntN(len(words))]}
	}
	var all []turn
	for range 1 + r.IntN(16) {
		t := turn{side: flowscope.FlowSide(r.IntN(2))}
		switch r.IntN(12) {
		case 0:
			t.gap = 1 + int64(r.IntN(100))
		case 1:
			t.fin = r.IntN(3) == 0
		default:
			for range 1 + r.IntN(5) {
				from := favourites
				if r.IntN(8) == 0 {
					from = words
				}
				t.bytes = append(t.bytes, from[r.IntN(len(from))]...)
			}
			if r.IntN(10) == 0 {
				t.bytes[r.IntN(len(t.bytes))] ^= byte(1 + r.IntN(255))
			}
			if r.IntN(10) == 0 {
				t.bytes = t.bytes[:r.IntN(len(t.bytes)+1)]
			}
		}
		all = append(all, t)
	}
	return all
}

func someFactories(r *rand.Rand) []flowscope.ParserFactory {
	all := []flowscope.ParserFactory{testkit.Lines{Name: "A"}, testkit.Lines{Name: "B"}, testkit.Lines{Name: "AA"}, testkit.Blocks{}, testkit.Guide{}, testkit.Asks{}}
	if r.IntN(4) == 0 {
		all = append(all, []flowscope.ParserFactory{testkit.Undecided{}, testkit.Eager{}, testkit.Eager{Read: 1}}[r.IntN(3)])
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// cut says how many of the next n bytes are played together.
type cut func(n int) int

// playTurns plays a conversation cut into pieces, and gives what was said of it.
func playTurns(f *flowscope.PlayedFlow, all []turn, cut cut) string {
	var b strings.Builder
	now := flowscope.Timestamp(0)
	for _, t := range all {
		now++
		switch {
		case t.gap > 0:
			b.WriteString(testkit.Notes(f.Gap(t.side, t.gap, now)))
		case t.fin:
			b.WriteString(testkit.Notes(f.Close(t.side, now)))
		}
		for rest := t.bytes; len(rest) > 0; {
			n := cut(len(rest))
			b.WriteString(testkit.Notes(f.Data(t.side, append([]byte(nil), rest[:n]...), now)))
			rest = rest[n:]
		}
	}
	b.WriteString(testkit.Notes(f.End(flowscope.EndFIN, now+1)))
	return b.String()
}

// However the bytes are cut, the parsers that are chosen and what they say are the same.
func TestSoupOfSessions(t *testing.T) {
	rounds := race.Seeds(sized(4000, 10_000, 40_000))
	said := 0
	for i := range rounds {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		conversation, factories := someConversation(r), someFactories(r)
		atOnce := func(n int) int { return n }
		p := testkit.NewPlayer(t, flowscope.Config{}, factories...)
		want := playTurns(p.TCP(1, 2), conversation, atOnce)
		said += len(want)
		for name, cut := range map[string]cut{
			"byte by byte": func(int) int { return 1 },
			"cut anywhere": func(n int) int { return 1 + r.IntN(n) },
			"in pieces":    func(n int) int { return min(n, 1+r.IntN(8)) },
		} {
			q := testkit.NewPlayer(t, flowscope.Config{}, factories...)
			got := playTurns(q.TCP(1, 2), conversation, cut)
			if !assert.Equal(t, want, got, name) {
				require.Fail(t, "differs", "round %d, factories %+v, conversation:\n%v", i, factories, conversation)
			}
			assert.Equal(t, p.Stats().Unwanted, q.Stats().Unwanted)
			testkit.HoldsNothing(t, q.Stats())
		}
		testkit.HoldsNothing(t, p.Stats())
	}
	assert.Greater(t, said/rounds, 200, "bytes of messages a conversation")
}

// Flows that are played at the same time do not know of each other, and parsers that are used again
// remember nothing.
func TestFlowsShareParsersAndNothingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	factories := []flowscope.ParserFactory{testkit.Lines{Name: "A"}, testkit.Lines{Name: "B"}, testkit.Blocks{}, testkit.Guide{}}
	one := testkit.NewPlayer(t, flowscope.Config{}, factories...)
	for range 300 {
		const flows = 10
		var conversations [flows][]turn
		var want, got [flows]string
		var open [flows]*flowscope.PlayedFlow
		for i := range flows {
			conversations[i] = someConversation(r)
			p := testkit.NewPlayer(t, flowscope.Config{}, factories...)
			want[i] = playTurns(p.TCP(1, 2), conversations[i], func(n int) int { return n })
			open[i] = one.TCP(1, 2)
		}
		for left := flows; left > 0; {
			if i := r.IntN(flows); open[i] != nil {
				left = stepFlow(&open[i], &conversations[i], &got[i], left)
			}
		}
		for i := range flows {
			assert.Equal(t, stripTimes(want[i]), stripTimes(got[i]))
		}
	}
	testkit.HoldsNothing(t, one.Stats())
}

// stepFlow plays the next turn of a flow, or its end.
func stepFlow(f **flowscope.PlayedFlow, turns *[]turn, got *string, left int) int {
	if len(*turns) == 0 {
		*got += testkit.Notes((*f).End(flowscope.EndFIN, 0))
		*f = nil
		return left - 1
	}
	t := (*turns)[0]
	*turns = (*turns)[1:]
	switch {
	case t.gap > 0:
		*got += testkit.Notes((*f).Gap(t.side, t.gap, 0))
	case t.fin:
		*got += testkit.Notes((*f).Close(t.side, 0))
	case len(t.bytes) > 0:
		*got += testkit.Notes((*f).Data(t.side, t.bytes, 0))
	}
	return left
}

// stripTimes takes the second word from each line.
func stripTimes(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		side, rest, _ := strings.Cut(line, " ")
		_, rest, _ = strings.Cut(rest, " ")
		b.WriteString(side + " " + rest)
	}
	return b.String()
}
