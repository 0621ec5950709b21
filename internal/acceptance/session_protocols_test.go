package acceptance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// Real conversations, whole and mutilated, go through selection: however their bytes are cut, and in whatever order the
// factories are named, the messages are the same for all cuts.
func TestSoupOfProtocols(t *testing.T) {
	talks := sessionTalks(t)
	rounds := race.Seeds(sized(1500, 4000, 100_000))
	said, silent := 0, 0
	for i := range rounds {
		r := rand.New(rand.NewPCG(uint64(i), 11))
		talk, factories := talks[i%len(talks)], everyMessage()
		if i >= len(talks) {
			talk = mutilated(r, talk, talks)
		}
		r.Shuffle(len(factories), func(i, k int) { factories[i], factories[k] = factories[k], factories[i] })
		p := testkit.NewPlayer(t, flowscope.Config{}, factories...)
		want := talk.play(talk.begin(p), func(n int) int { return n })
		said += len(want)
		if len(want) == 0 {
			silent++
		}
		testkit.HoldsNothing(t, p.Stats())
		for name, cut := range map[string]cut{
			"byte by byte": func(int) int { return 1 },
			"cut anywhere": func(n int) int { return 1 + r.IntN(n) },
			"in pieces":    func(n int) int { return min(n, 1+r.IntN(40)) },
		} {
			q := testkit.NewPlayer(t, flowscope.Config{}, factories...)
			if got := talk.play(talk.begin(q), cut); !slices.Equal(want, got) {
				t.Fatalf("round %d, %s, %s, factories %T:\nat once\n%s\ncut\n%s\n%v", i, talk.name, name, factories, lines(want), lines(got), talk.turns)
			}
			require.Equal(t, p.Stats().Handovers, q.Stats().Handovers)
			testkit.HoldsNothing(t, q.Stats())
		}
	}
	t.Logf("%d messages in %d conversations, %d without any", said, rounds, silent)
	require.Greater(t, said, rounds)
	require.Less(t, silent, rounds/3)
}

func lines(all []string) (text string) {
	for _, s := range all {
		text += s[:min(len(s), 400)] + "\n"
	}
	return text
}

// The order of the factories does not matter for whole conversations: each belongs to one protocol only.
func TestEachConversationHasOneReader(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, talk := range sessionTalks(t) {
		factories := everyMessage()
		want := talk.play(talk.begin(testkit.NewPlayer(t, flowscope.Config{}, factories...)), func(n int) int { return n })
		for range 10 {
			r.Shuffle(len(factories), func(i, k int) { factories[i], factories[k] = factories[k], factories[i] })
			p := testkit.NewPlayer(t, flowscope.Config{}, factories...)
			require.Equal(t, want, talk.play(talk.begin(p), func(n int) int { return n }), "%s, %T", talk.name, factories)
		}
	}
}

// write puts a conversation on the wire: each turn in segments of at most size bytes. With r they have random sizes, come
// out of order within a turn, and some come twice.
func (s *sessionTalk) write(w *sessionWire, tuple, size int, r *rand.Rand) {
	f := w.tcp(tuple, s.ports)
	if s.l4 == flowscope.L4UDP {
		for _, t := range s.turns {
			f.datagram(t.side, string(t.bytes))
		}
		return
	}
	type piece struct{ from, to int }
	f.open()
	closed := [2]bool{}
	for _, t := range s.turns {
		if closed[t.side] {
			continue
		}
		var pieces []piece
		for from := 0; from < len(t.bytes); {
			n := min(size, len(t.bytes)-from)
			if r != nil {
				n = 1 + r.IntN(n)
			}
			pieces = append(pieces, piece{from, from + n})
			from += n
		}
		if r != nil {
			pieces = testkit.Displace(r, pieces, 3)
			for i := len(pieces) - 1; i >= 0; i-- {
				if r.IntN(5) == 0 { // again, with some of what is around it
					p := piece{max(pieces[i].from-r.IntN(30), 0), min(pieces[i].to+r.IntN(30), len(t.bytes))}
					pieces = slices.Insert(pieces, i+r.IntN(len(pieces)-i)+1, p)
				}
			}
		}
		for _, p := range pieces {
			f.segment(t.side, "PA", f.at[t.side]+uint32(p.from), t.bytes[p.from:p.to])
		}
		f.at[t.side] += uint32(len(t.bytes))
		if t.fin {
			closed[t.side] = true
			f.fin(t.side)
		}
	}
	for side, c := range closed {
		if !c {
			f.fin(flowscope.FlowSide(side))
		}
	}
	f.segment(0, "A", f.at[0], nil)
}

// A driver gives the same messages for segments of any size, out of order and sent again, as for those in order.
func TestSegmentsInAnyOrderGiveTheSameMessages(t *testing.T) {
	talks := sessionTalks(t)
	rounds := sized(2, 12, 100)
	said := 0
	for i := range rounds {
		r := rand.New(rand.NewPCG(uint64(i), 12))
		inOrder, anyOrder := newSessionWire(), newSessionWire()
		for k, talk := range talks {
			c := talk.clone()
			if i > 0 && r.IntN(3) == 0 {
				c = mutilated(r, c, talks)
			}
			for k := range c.turns {
				c.turns[k].gap = 0 // when a gap is given up depends on the packets
			}
			c.write(inOrder, k, 1400, nil)
			c.write(anyOrder, k, 600, r)
		}
		want := driverMessages(t, flowscope.Config{}, inOrder.views, everyMessage()...)
		got := driverMessages(t, flowscope.Config{}, anyOrder.views, everyMessage()...)
		require.Equal(t, len(want), len(got))
		for id, all := range want {
			said += len(all)
			if !slices.Equal(all, got[id]) {
				t.Fatalf("round %d, flow %d (%s):\nin order\n%s\nin any order\n%s", i, id, talks[id-1].name, lines(all), lines(got[id]))
			}
		}
	}
	t.Log(fmt.Sprint(said, " messages in ", rounds*len(talks), " conversations"))
	require.Greater(t, said, rounds*len(talks))
}
