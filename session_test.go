package flowscope_test

import (
	"bytes"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const initiator, responder = flowscope.Initiator, flowscope.Responder

func TestAParserIsChosenByTheFirstBytes(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "A"}, testkit.Lines{Name: "B"}, testkit.Lines{Name: "BB"})
	f := p.TCP(1000, 80)
	assert.Equal(t, "initiator 1 B \"hello\" at 0 [5 5]\n", testkit.Notes(f.Data(initiator, []byte("B:hello\nB:wo"), 1)))
	assert.Equal(t, "initiator 2 B \"world\" at 8 [5 5]\n", testkit.Notes(f.Data(initiator, []byte("rld\n"), 2)))
	assert.Equal(t, "responder 3 B \"hi\" at 0 [2 2]\n", testkit.Notes(f.Data(responder, []byte("B:hi\n"), 3)))
	assert.Equal(t, "initiator 4 closed \"\" at 0 []\n", testkit.Notes(f.Close(initiator, 4)))
	assert.Equal(t, "responder 5 closed \"\" at 0 []\ninitiator 5 ended \"fin\" at 0 []\n", testkit.Notes(f.End(flowscope.EndFIN, 5)))
	assert.Empty(t, f.Data(responder, []byte("B:late\n"), 6))
	st := p.Stats()
	assert.EqualValues(t, 1, st.Started)
	assert.EqualValues(t, 6, st.Messages)
	testkit.HoldsNothing(t, p.Stats())
}

// The first bytes are held until it is clear whose they are, and then replayed as they came.
func TestFirstBytesAreReplayed(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "ABC"}, testkit.Lines{Name: "AB"})
	f := p.TCP(1000, 80)
	assert.Empty(t, f.Data(initiator, []byte("A"), 1))
	assert.Empty(t, f.Data(responder, []byte("AB"), 2))
	assert.Empty(t, f.Data(initiator, []byte("B"), 3))
	assert.EqualValues(t, 1, p.Stats().Undecided)
	assert.Positive(t, p.Stats().FirstBytes)
	assert.Equal(t, "responder 4 AB \"\" at 0 []\ninitiator 5 AB \"x\" at 0 [1]\n",
		testkit.Notes(f.Data(responder, []byte(":\n"), 4))+testkit.Notes(f.Data(initiator, []byte(":x\n"), 5)))
	held := p.Stats().HeldBytes
	f.End(flowscope.EndFIN, 6)
	testkit.HoldsNothing(t, p.Stats())
	p.TCP(1000, 80).Data(initiator, []byte("AB:\n"), 7)
	assert.Equal(t, held, p.Stats().HeldBytes+2*256, "first bytes count no more, but the carries of both sides do")
}

func TestAMaybeOfAnEarlierFactoryIsWaitedFor(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "A:A"}, testkit.Lines{Name: "A"})
	f := p.TCP(1, 2)
	assert.Empty(t, f.Data(initiator, []byte("A:"), 1))
	assert.Equal(t, "initiator 2 A:A \"x\" at 0 [1]\n", testkit.Notes(f.Data(initiator, []byte("A:x\n"), 2)))
	g := p.TCP(1, 2)
	assert.Empty(t, g.Data(initiator, []byte("A:"), 1))
	assert.Equal(t, "initiator 2 A \"x\" at 0 [1]\n", testkit.Notes(g.Data(initiator, []byte("x\n"), 2)))
	// Where a side is complete, nothing can come of a Maybe.
	h := p.TCP(1, 2)
	assert.Empty(t, h.Data(initiator, []byte("A:"), 1))
	assert.Equal(t, "initiator 2 closed \"\" at 2 []\n", testkit.Notes(h.Close(initiator, 2)))
	// Nor after MaxProbe bytes.
	i := testkit.NewPlayer(t, flowscope.Config{}, testkit.Undecided{}, testkit.Lines{Name: ""}).TCP(1, 2)
	long := append(bytes.Repeat([]byte("::::::\n"), flowscope.MaxProbe/7), ':')
	assert.Empty(t, i.Data(initiator, long[:flowscope.MaxProbe-1], 1))
	assert.Len(t, i.Data(initiator, []byte("::\n"), 2), flowscope.MaxProbe/7+1)
}

func TestAFlowThatNobodyKnowsIsLeftAlone(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "A"})
	f := p.TCP(1, 2)
	assert.Empty(t, f.Data(initiator, []byte("x"), 1))
	assert.Empty(t, f.Data(initiator, []byte("A:a\n"), 2), "the side begins with an x")
	assert.EqualValues(t, 0, p.Stats().Unwanted)
	assert.Len(t, f.Data(responder, []byte("A:a\n"), 3), 1, "the other side is known")
	assert.Len(t, f.Data(initiator, []byte("A:a\n"), 4), 1, "and then both are read")
	g := p.TCP(1, 2)
	assert.Empty(t, g.Data(initiator, []byte("x"), 1))
	assert.Empty(t, g.Data(responder, []byte("A"), 2))
	assert.Empty(t, g.Data(responder, []byte("x"), 3))
	assert.Empty(t, g.Data(responder, []byte("A:a\n"), 4))
	assert.EqualValues(t, 1, p.Stats().Unwanted)
	f.End(flowscope.EndRST, 5)
	g.End(flowscope.EndRST, 5)
	testkit.HoldsNothing(t, p.Stats())
}

func TestAGapForgetsTheFirstBytesOfItsSide(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "A"})
	f := p.TCP(1, 2)
	f.Data(initiator, []byte("A"), 1)
	f.Data(responder, []byte("A"), 1)
	f.Gap(initiator, 10, 2)
	assert.Empty(t, f.Data(initiator, []byte("A"), 3))
	assert.Equal(t, "initiator 4 A \"x\" at 11 [1]\nresponder 5 A \"y\" at 0 [1]\n",
		testkit.Notes(f.Data(initiator, []byte(":x\n"), 4))+testkit.Notes(f.Data(responder, []byte(":y\n"), 5)))
	assert.Equal(t, "initiator 6 gap \"3\" at 0 [1]\n", testkit.Notes(f.Gap(initiator, 3, 6)))
	g := p.TCP(1, 2)
	g.Data(initiator, []byte("A"), 1)
	g.Gap(initiator, 10, 2)
	assert.EqualValues(t, 0, p.Stats().Undecided, "nothing is held")
	assert.Empty(t, g.Data(initiator, []byte(":x\n"), 3))
}

func TestAParserHandsOver(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "A"}, testkit.Blocks{}, testkit.Guide{})
	f := p.TCP(1, 25)
	f.Data(responder, []byte("+hello"), 1)
	f.Data(initiator, []byte("start"), 2)
	assert.Empty(t, f.Data(responder, []byte("!"), 3))
	assert.Equal(t, "initiator 4 block1 \"hi\" at 5 [2 2]\n", testkit.Notes(f.Data(initiator, []byte("\xb1\x00\x02hi"), 4)))
	// Parked, and then it is another protocol on both sides.
	assert.Equal(t, "responder 6 A \"x\" at 7 [1]\n", testkit.Notes(f.Data(responder, []byte("A:x\n"), 6)))
	assert.Equal(t, "initiator 7 A \"y\" at 10 [1]\n", testkit.Notes(f.Data(initiator, []byte("A:y\n"), 7)))
	assert.EqualValues(t, 2, p.Stats().Handovers)
	f.End(flowscope.EndFIN, 8)
	testkit.HoldsNothing(t, p.Stats())
}

// Parsers that hand over without reading anything come to an end.
func TestHandoversDoNotGoRoundInCircles(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Eager{}, testkit.Eager{}, testkit.Lines{Name: "A"})
	f := p.TCP(1, 2)
	assert.Equal(t, "initiator 1 A \"x\" at 0 [1]\n", testkit.Notes(f.Data(initiator, []byte("A:x\n"), 1)))
	assert.EqualValues(t, 2, p.Stats().Handovers)
	g := p.TCP(1, 2)
	assert.Empty(t, g.Data(initiator, []byte("xxxx"), 1))
	assert.Empty(t, g.Data(responder, []byte("xxxx"), 1))
	assert.EqualValues(t, 2+4, p.Stats().Handovers)
	f.End(flowscope.EndFIN, 1)
	g.End(flowscope.EndFIN, 1)
	// One that reads a byte each time gets through.
	q := testkit.NewPlayer(t, flowscope.Config{}, testkit.Eager{}, testkit.Eager{Read: 1}, testkit.Eager{})
	h := q.TCP(1, 2)
	assert.Empty(t, h.Data(initiator, make([]byte, 1000), 1))
	assert.EqualValues(t, 2000, q.Stats().Handovers)
	h.End(flowscope.EndFIN, 1)
	testkit.HoldsNothing(t, p.Stats())
	testkit.HoldsNothing(t, q.Stats())
}

func TestAParserLeavesItsFlowAsItAsks(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "A"}, testkit.Lines{Name: "B"}, testkit.Blocks{})
	f := p.TCP(1, 2)
	assert.Len(t, f.Data(initiator, []byte("A:1\nA:stop\nA:2\n"), 1), 2)
	assert.Empty(t, f.Data(initiator, []byte("A:3\n"), 1))
	assert.Len(t, f.Data(responder, []byte("A:4\n"), 1), 1)
	assert.Empty(t, f.Gap(initiator, 5, 1))
	assert.Empty(t, f.Close(initiator, 1))
	assert.Equal(t, "responder 1 closed \"\" at 0 []\ninitiator 1 ended \"fin\" at 0 []\n", testkit.Notes(f.End(flowscope.EndFIN, 1)))

	f = p.TCP(1, 2)
	assert.Len(t, f.Data(initiator, []byte("A:done\nA:2\n"), 1), 1)
	assert.Empty(t, f.Data(responder, []byte("A:3\n"), 1))
	assert.Empty(t, f.End(flowscope.EndFIN, 1))

	// What a side has left unread, and its end, are for the next parser: A again, which then finds
	// that the other side is not for it.
	f = p.TCP(1, 2)
	f.Data(initiator, []byte("A:1\nA:"), 1)
	f.Close(initiator, 2)
	assert.Equal(t, "responder 3 A \"switch\" at 0 []\ninitiator 3 closed \"\" at 2 []\nresponder 3 B \"x\" at 9 [1]\n",
		testkit.Notes(f.Data(responder, []byte("A:switch\nB:x\n"), 3)))
	f.End(flowscope.EndFIN, 4)

	f = p.TCP(1, 2)
	assert.Equal(t, "initiator 1 block1 \"\" at 0 []\n", testkit.Notes(f.Data(initiator, []byte{0xb1, 0, 0}, 1)))
	assert.EqualValues(t, 0, p.Stats().Parsers)
	assert.Equal(t, "responder 2 block2 \"\" at 0 []\n", testkit.Notes(f.Data(responder, []byte{0xb1, 0, 0}, 2)))
	assert.Equal(t, "responder 3 lost \"\" at 7 []\n", testkit.Notes(f.Gap(responder, 7, 3)), "a gap wakes it up")
	assert.Empty(t, f.Data(responder, []byte{0xb1, 0, 0}, 4))
	f.End(flowscope.EndFIN, 5)
	f = p.TCP(1, 2)
	f.Data(initiator, []byte{0xb1, 0, 0}, 1)
	assert.Empty(t, f.Close(initiator, 2))
	assert.Empty(t, f.End(flowscope.EndFIN, 2), "nor does the end")
	testkit.HoldsNothing(t, p.Stats())
}

func TestDatagramsAndTheirTimeouts(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "?"}, testkit.Asks{})
	f := p.UDP(1000, 53)
	assert.Empty(t, f.Data(initiator, nil, 1), "an empty one says nothing about the protocol")
	assert.Empty(t, f.Data(initiator, []byte("?a"), 10))
	assert.Empty(t, f.Data(initiator, []byte("?b"), 20))
	assert.Equal(t, "responder 30 answer \"=b\" at 10 [2 2]\n", testkit.Notes(f.Data(responder, []byte("=b"), 30)))
	assert.Equal(t, "initiator 40 bad \"\" at 0 []\n", testkit.Notes(f.Data(initiator, nil, 40)))
	assert.Empty(t, p.Sweep(109))
	assert.Equal(t, "initiator 110 unanswered \"a\" at 110 [1]\n", testkit.Notes(p.Sweep(110)))
	assert.EqualValues(t, 0, p.Stats().Parsers, "it is parked")
	assert.Empty(t, f.Data(initiator, []byte("?c"), 200))
	assert.Equal(t, "initiator 300 unanswered \"c\" at 300 [1]\n", testkit.Notes(f.Data(responder, []byte("=c"), 300)),
		"what is due comes first")
	f.Data(initiator, []byte("?e"), 300)
	assert.Equal(t, "initiator 301 open \"e\" at 301 [1]\n", testkit.Notes(f.End(flowscope.EndIdleTimeout, 301)))
	g := p.UDP(1000, 9)
	g.Data(initiator, []byte("?a"), 10)
	assert.Empty(t, g.Data(responder, []byte("=a"), 10))
	assert.EqualValues(t, 1, p.Stats().Unwanted)
	testkit.HoldsNothing(t, p.Stats())
}

func TestNeitherManyNorLargeParsersStarveOthers(t *testing.T) {
	const limit = 64 << 10
	within := func(p *flowscope.SessionPlayer) {
		require.LessOrEqual(t, p.Stats().HeldBytes, int64(limit))
	}
	for name, flood := range map[string]string{"first bytes": "A", "half messages": "A:endless", "large ones": "hhhhhhhhhhhh"} {
		t.Run(name, func(t *testing.T) {
			p := testkit.NewPlayer(t, flowscope.Config{SessionBytes: limit}, testkit.Lines{Name: "A:A:"}, testkit.Lines{Name: "A"}, testkit.Hogs{})
			busy := p.TCP(1, 2)
			busy.Data(initiator, []byte("A:x\nA:"), 1)
			var all []*flowscope.PlayedFlow
			for i := range 2000 {
				f := p.TCP(1, 2)
				all = append(all, f)
				f.Data(initiator, []byte(flood), 1)
				within(p)
				if i%20 == 0 {
					require.Len(t, busy.Data(initiator, []byte("x\nA:"), 1), 1, "a flow that is busy keeps its parser")
				}
			}
			require.Positive(t, p.Stats().Evicted)
			require.Len(t, p.TCP(1, 2).Data(responder, []byte("A:x\n"), 2), 1, "a connection that comes later")
			// One whose parser was taken away is asked about anew.
			require.Len(t, all[0].Data(initiator, []byte("A:x\n"), 3), 1)
			for _, f := range all {
				f.End(flowscope.EndFIN, 4)
			}
			assert.LessOrEqual(t, p.Stats().HeldBytes, int64(2048), "of the two others")
		})
	}
	// Of a few that hold much and many that hold little, the former give way.
	p := testkit.NewPlayer(t, flowscope.Config{SessionBytes: limit}, testkit.Lines{Name: "A"}, testkit.Hogs{})
	var small []*flowscope.PlayedFlow
	for range 20 {
		f := p.TCP(1, 2)
		f.Data(initiator, []byte("A:x"), 1)
		small = append(small, f)
	}
	for range 100 {
		p.TCP(1, 2).Data(initiator, []byte("hhhhhhhhhhhhhhhh"), 1)
		within(p)
	}
	for _, f := range small {
		assert.Len(t, f.Data(initiator, []byte("\n"), 2), 1)
	}
	// What is given back counts no more.
	q := testkit.NewPlayer(t, flowscope.Config{SessionBytes: limit}, testkit.Hogs{})
	f := q.TCP(1, 2)
	assert.Empty(t, f.Data(initiator, []byte("hhhh"), 1))
	held := q.Stats().HeldBytes
	f.Data(initiator, []byte("lllllllll"), 1)
	assert.Equal(t, held-4096, q.Stats().HeldBytes, "but not more than was taken")
	f.Data(initiator, []byte("hhhh!hlll"), 1)
	assert.Equal(t, held-4096, q.Stats().HeldBytes, "nor more than the parser of now has taken")
	// One that wants more than there is is refused.
	assert.Equal(t, "initiator 2 noroom \"\" at 22 []\n", testkit.Notes(f.Data(initiator, []byte(strings.Repeat("h", 100)), 2)))
	assert.EqualValues(t, 1, q.Stats().HoldsRefused)
	assert.EqualValues(t, 0, q.Stats().HeldBytes)
	// With no room at all nothing is read.
	r := testkit.NewPlayer(t, flowscope.Config{SessionBytes: 300}, testkit.Lines{Name: "A"})
	assert.Empty(t, r.TCP(1, 2).Data(initiator, []byte("A:x\n"), 1))
	assert.EqualValues(t, 1, r.Stats().Refused)
	assert.EqualValues(t, 0, r.Stats().Parsers)
}

func TestCarryIsCountedByItsMemory(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "A"})
	f := p.TCP(1, 2)
	f.Data(initiator, []byte("A:x\n"), 1)
	before := p.Stats().HeldBytes
	f.Data(initiator, []byte("A:"), 1)
	assert.Equal(t, before+256, p.Stats().HeldBytes)
	f.Data(initiator, []byte("hello\n"), 1)
	assert.Equal(t, before+256, p.Stats().HeldBytes, "kept for the next line")
	f.End(flowscope.EndFIN, 1)
	testkit.HoldsNothing(t, p.Stats())
	g := p.TCP(1, 2)
	g.Data(initiator, []byte("A:x\n"), 1)
	assert.Equal(t, before, p.Stats().HeldBytes, "memory from another flow counts when it is used")
	g.Data(initiator, []byte("A:"), 1)
	assert.Equal(t, before+256, p.Stats().HeldBytes)
}

func TestMessagesAreLentUntilTheNextCall(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "AAA"}, testkit.Lines{Name: "A"}, testkit.Blocks{})
	f := p.TCP(1, 2)
	f.Data(initiator, []byte("A"), 1)
	frame := []byte(":hello\nA:you\nA:i")
	var lent []*testkit.Note
	var kept []flowscope.Message
	for _, e := range f.Data(initiator, frame, 1) {
		lent = append(lent, e.Message.(*testkit.Note))
		kept = append(kept, e.Message.CloneMessage())
	}
	all := f.Data(responder, []byte(strings.Repeat("A:many\n", 200)), 2)
	require.Len(t, all, 200)
	first := all[0].Message.(*testkit.Note)
	assert.Equal(t, "many", string(first.Text), "messages of one call live side by side")
	if invariants.Enabled {
		for _, m := range lent {
			assert.Equal(t, testkit.Note{}, *m, "trampled")
		}
	}
	clear(frame)
	assert.Equal(t, "hello", string(kept[0].(*testkit.Note).Text))
	assert.Equal(t, "you", string(kept[1].(*testkit.Note).Text))
	assert.Equal(t, []uint16{5, 5}, kept[0].(*testkit.Note).Sizes)
	ev := flowscope.FlowEvent[int]{Kind: flowscope.EventMessage, Message: first}
	c := ev.Clone()
	f.Data(responder, []byte("A:other\n"), 3)
	assert.Equal(t, "many", string(c.Message.(*testkit.Note).Text))
	// What was copied for a message is trampled too.
	f.Data(responder, []byte("A:cop"), 4)
	copied := f.Data(responder, []byte("ied\n"), 5)[0].Message.(*testkit.Note).Text
	assert.Equal(t, "copied", string(copied))
	f.Data(responder, []byte("A:nobody\n"), 6)
	if invariants.Enabled {
		assert.Equal(t, strings.Repeat("\xdb", 6), string(copied))
	}
}

// A parser that panics takes nothing with it.
func TestAParserThatPanics(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "A"}, testkit.Panics{})
	f := p.TCP(1, 2)
	f.Data(initiator, []byte("x"), 1)
	assert.Panics(t, func() { f.Data(initiator, []byte("xx"), 2) })
	g := p.TCP(1, 2)
	assert.Equal(t, "initiator 3 A \"x\" at 0 [1]\n", testkit.Notes(g.Data(initiator, []byte("A:x\n"), 3)))
	f.End(flowscope.EndFIN, 4)
	g.End(flowscope.EndFIN, 4)
	testkit.HoldsNothing(t, p.Stats())
}

func TestWhatIsNoFactoryIsRefused(t *testing.T) {
	_, err := flowscope.NewSessionPlayer(flowscope.Config{}, nil)
	assert.ErrorIs(t, err, flowscope.ErrConfig)
	_, err = flowscope.NewSessionPlayer(flowscope.Config{}, justAProbe{})
	assert.ErrorIs(t, err, flowscope.ErrConfig)
	assert.ErrorContains(t, err, "justAProbe")
	_, err = flowscope.NewSessionPlayer(flowscope.Config{}, make([]flowscope.ParserFactory, 65)...)
	assert.ErrorIs(t, err, flowscope.ErrConfig)
	_, err = flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: -1})
	assert.ErrorIs(t, err, flowscope.ErrConfig)
}

type justAProbe struct{}

func (justAProbe) Probe(flowscope.Probe) flowscope.Verdict { return flowscope.VerdictNo }

// mallocsOf counts the allocations of n rounds of f, after as many to warm up. The runtime has a few
// of its own now and then, so it is the least of three.
func mallocsOf(n int, f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 4 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			f()
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return least
}

func TestParsersAllocateNothingInTheLongRun(t *testing.T) {
	if invariants.Enabled {
		t.Skip("trampling allocates")
	}
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "AAA"}, testkit.Lines{Name: "A"}, testkit.Lines{Name: "B"}, testkit.Guide{}, testkit.Asks{})
	f, u := p.TCP(1, 2), p.UDP(1, 2)
	f.Data(initiator, []byte("A:x\n"), 0)
	whole, head, tail := []byte("A:hello\nA:world\n"), []byte("A:he"), []byte("llo\n")
	question, answer := []byte("?x"), []byte("=x")
	now := flowscope.Timestamp(0)
	assert.Zero(t, mallocsOf(3000, func() {
		now++
		f.Data(initiator, whole, now)
		f.Data(responder, head, now)
		f.Data(responder, tail, now)
		u.Data(initiator, question, now)
		u.Data(responder, answer, now)
		p.Sweep(now)
	}), "a steady flow")
	greeting, a, b := []byte("+hello!A"), []byte(":switch\n"), []byte("B:x\n")
	assert.LessOrEqual(t, mallocsOf(3000, func() {
		g := p.TCP(1, 2) // which allocates the PlayedFlow
		g.Data(responder, greeting, now)
		g.Data(responder, a, now)
		g.Data(responder, b, now)
		g.Data(initiator, b, now)
		g.End(flowscope.EndFIN, now)
	}), uint64(3000), "whole flows")
}

// nags is a protocol whose parser wants to be called at once, always.
type nags struct{ calls *int }

func (nags) Probe(flowscope.Probe) flowscope.Verdict { return flowscope.VerdictYes }

func (f nags) NewDatagramParser() flowscope.DatagramParser { return f }

func (nags) Datagram(flowscope.Chunk, *flowscope.Messages) {}

func (f nags) OnTimer(now flowscope.Timestamp, _ *flowscope.Messages) flowscope.Timestamp {
	*f.calls++
	return 1
}

func (nags) Ended(flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {}

func (nags) Reset() {}

func TestAParserIsCalledOnceAtATime(t *testing.T) {
	calls := 0
	p := testkit.NewPlayer(t, flowscope.Config{}, nags{&calls})
	p.UDP(1, 2).Data(initiator, []byte("x"), 5)
	assert.Equal(t, 1, calls)
	p.Sweep(5)
	assert.Equal(t, 1, calls)
	p.Sweep(6)
	assert.Equal(t, 2, calls)
}

// What a parser has stopped stays stopped for the parser after it; the other side does not.
func TestAStoppedSideIsStoppedForEveryParser(t *testing.T) {
	p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Lines{Name: "A"}, testkit.Lines{Name: "B"})
	f := p.TCP(1, 2)
	require.Len(t, f.Data(flowscope.Initiator, []byte("A:stop\n"), 1), 1)
	require.Len(t, f.Data(flowscope.Responder, []byte("A:x\n"), 2), 1)
	assert.Empty(t, f.Data(flowscope.Initiator, []byte("A:y\n"), 3))
	require.Len(t, f.Data(flowscope.Responder, []byte("A:switch\n"), 4), 1)
	assert.Empty(t, f.Data(flowscope.Initiator, []byte("B:y\n"), 5))
	require.Len(t, f.Data(flowscope.Responder, []byte("B:x\n"), 7), 1)
	assert.Empty(t, f.Data(flowscope.Initiator, []byte("B:z\n"), 8))
	assert.Empty(t, f.Gap(flowscope.Initiator, 5, 8))
	require.Len(t, f.Data(flowscope.Responder, []byte("B:stop\n"), 9), 1)
	assert.Empty(t, f.Data(flowscope.Responder, []byte("B:x\n"), 10))
}
