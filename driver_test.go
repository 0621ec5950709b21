package flowscope_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

func TestAHoleOutlivedByItsFlowEndsWithIt(t *testing.T) {
	for name, last := range map[string]string{"by packets of another flow": ">S/t1 >S/t1", "by a Finish": "finish"} {
		t.Run(name, func(t *testing.T) {
			testkit.Within(t, func() {
				p := testkit.NewPlay(t, nil, flowscope.Config{HoleAckedTimeout: time.Hour})
				p.Play("hs >5:x >F@6 <A7 <A7 <F@0 +11s " + last)
				p.Want("said", ">gap[0,5)ended >5:x >closed@6 <closed@0 ended:fin", p.Said())
			})
		})
	}
}

// What becomes of a hole is the same, whether or not another flow's packet says in between that its time is up.
func TestWhyAHoleWasGivenUpIsNoMatterOfOtherFlows(t *testing.T) {
	for name, c := range map[string]struct{ flow, want string }{
		"its time comes first":         {"hs >0:a >5:x", ">0:a >gap[1,5)expired >5:x >closed@6:idle <closed@0:idle ended:idle"},
		"the receiver has it":          {"hs >5:x <A6 <A6", ">gap[0,5)acknowledged >5:x >closed@6:idle <closed@0:idle ended:idle"},
		"the time of its flow is over": {"hs >5:x >F@6 <F@0", "<closed@0 >gap[0,5)ended >5:x >closed@6:idle ended:idle"},
		"the flow ends at that time":   {"hs >0:a >5:x +30s <R@0", ">0:a >gap[1,5)expired >5:x >closed@6:rst <closed@0:rst ended:rst"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, between := range []string{"", "+31s >S/t1", "+29s >S/t1 +2s >S/t2 +1s", "+31s sweep"} {
				for _, last := range []string{" +2h >S/t9", " +2h sweep"} {
					p := testkit.NewPlay(t, nil, flowscope.Config{ClockJump: flowscope.Never})
					p.Play(c.flow + " " + between + last)
					if said := p.Said(); said != c.want && !strings.HasPrefix(said, c.want+" ") {
						t.Errorf("%q:\n got %s\nwant %s", between+last, said, c.want)
					}
				}
			}
		})
	}
}

// A StreamReassembler gives up a hole as soon as the built-in streams do, also where no segment follows the ACK.
func TestAStreamReassemblerWaitsNoLongerThanTheBuiltInStreams(t *testing.T) {
	factory := flowscope.ReassemblerFunc[testkit.Key](func(testkit.Key, flowscope.FlowSide) flowscope.Reassembler {
		inner, err := flowscope.NewStreamReassembler(flowscope.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return inner
	})
	for _, script := range []string{
		"hs >0:aaaa >8:cccc <A12 +11ms sweep", "hs >0:aaaa >8:cccc <A6 +11ms sweep +40s sweep", "hs >0:aaaa >8:cccc <A12 +11ms >12:d",
		"hs >0:aaaa >8:cccc <A4 +11ms sweep", "hs >0:aaaa >8:cccc +31s sweep", "hs >0:aaaa >8:cccc <A12 >4:bbbb +11ms sweep",
	} {
		var said [2]string
		for i, f := range []flowscope.ReassemblerFactory[testkit.Key]{nil, factory} {
			p := testkit.NewPlay(t, f, flowscope.Config{})
			p.Play(script)
			said[i] = p.Said()
		}
		if said[0] != said[1] {
			t.Errorf("%q: %s\nStreamReassembler: %s", script, said[0], said[1])
		}
	}
}

// The example's Reassembler around a StreamReassembler loses nothing of what that delivers, and leaves
// every byte and every gap in its place.
func TestAReassemblerAroundAnotherKeepsBytesAndGapsInTheirPlaces(t *testing.T) {
	factory := flowscope.ReassemblerFunc[testkit.Key](func(testkit.Key, flowscope.FlowSide) flowscope.Reassembler {
		return new(wholeLines)
	})
	gaps := 0
	for every := uint64(3); every < 40; every++ {
		views := slices.DeleteFunc(flowtest.Load(t, "testdata/captures/lossy.pcap"), func(v flowscope.PacketView) bool { return v.ID%every == 0 })
		var texts [2]string
		for i, f := range []flowscope.ReassemblerFactory[testkit.Key]{nil, factory} {
			d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, f, flowscope.Config{})
			if err != nil {
				t.Fatal(err)
			}
			var streams [2][]byte // a gap is as many zeroes: there are none in the text
			for _, ev := range flowtest.Replay(d, views) {
				switch ev.Kind {
				case flowscope.EventGap:
					gaps++
					ev.Bytes = make([]byte, ev.Len)
					fallthrough
				case flowscope.EventData:
					if ev.Offset != int64(len(streams[ev.Side])) {
						t.Errorf("offset %d after %d bytes", ev.Offset, len(streams[ev.Side]))
					}
					streams[ev.Side] = append(streams[ev.Side], ev.Bytes...)
				}
			}
			for side, text := range streams { // that something is missing at the very end shows in the FIN, which a Reassembler is not told
				streams[side] = bytes.TrimRight(text, "\x00")
			}
			texts[i] = string(streams[0]) + "|" + string(streams[1])
		}
		if texts[0] != texts[1] {
			t.Errorf("without every %dth packet: %d bytes, %d by the StreamReassembler alone", every, len(texts[1]), len(texts[0]))
		}
	}
	if gaps == 0 {
		t.Error("no gaps")
	}
}

// Where a side is closed in order does not depend on other flows' packets either.
func TestASideThatIsCompleteIsSaidToBeSo(t *testing.T) {
	for _, between := range []string{"", "+31s >S/t1 "} {
		p := testkit.NewPlay(t, nil, flowscope.Config{ClockJump: flowscope.Never})
		p.Play("hs >5:x >F@6 <A7 <A7 " + between + "+2h sweep")
		if said, want := p.Said(), ">gap[0,5)acknowledged >5:x >closed@6 <closed@0:idle ended:idle"; !strings.HasPrefix(said, want) {
			t.Errorf("%q:\n got %s\nwant %s", between, said, want)
		}
	}
}

// A side ends by its FIN also if the bytes right before that never came, and before a side that ends with the flow.
func TestASideEndsByItsFINBehindAHole(t *testing.T) {
	for name, c := range map[string][2]string{
		"of the responder": {"hs >0:ab <A2 <0:xy >A2 <F@3 >A4 >A4 finish", ">0:ab <0:xy <gap[2,3)ended <closed@3 >closed@2:finished ended:finished"},
		"of the initiator": {"hs >0:ab <A2 <0:xy >A2 >F@3 <A4 <A4 finish", ">0:ab <0:xy >gap[2,3)ended >closed@3 <closed@2:finished ended:finished"},
		"more came of it":  {"hs >0:ab <A2 <0:xy >A2 <3:z <F@4 >A5 >A5 finish", ">0:ab <0:xy <gap[2,3)ended <3:z <closed@4 >closed@2:finished ended:finished"},
	} {
		t.Run(name, func(t *testing.T) {
			p := testkit.NewPlay(t, nil, flowscope.Config{}).Play(c[0])
			p.Want("said", c[1], p.Said())
		})
	}
}

// To stop one side leaves the other as it was: what its sender confirms still counts.
func TestTheACKsOfAStoppedSideCount(t *testing.T) {
	for _, stop := range []bool{false, true} {
		p := testkit.NewPlay(t, nil, flowscope.Config{})
		p.Play("hs")
		events := p.Driver.Track(p.View(">0:req"))
		p.Hear(events)
		if stop {
			if !p.Driver.Stop(&events[0], flowscope.Initiator) {
				t.Fatal("the flow is not alive")
			}
			p.Flow(1).Sides[0].Stopped = true
		}
		p.Play(">3:m <5:x >4:n/a6 >5:o/a6 +1s sweep")
		if want := "<gap[0,5)acknowledged <5:x"; !strings.Contains(p.Said(), want) {
			t.Errorf("stopped %v: %s, without %s", stop, p.Said(), want)
		}
	}
}

// closer closes another flow when its own is cut.
type closer struct{ cut func() }

func (c *closer) Segment(flowscope.Segment, *flowscope.Delivery) {}
func (c *closer) Fin(*flowscope.Delivery)                        {}

func (c *closer) Rst(*flowscope.Delivery) { c.cut() }

func TestAFlowMayBeClosedFromAReassemblerOfAnother(t *testing.T) {
	var p *testkit.Play
	factory := flowscope.ReassemblerFunc[testkit.Key](func(testkit.Key, flowscope.FlowSide) flowscope.Reassembler {
		return &closer{func() { p.Driver.ForceClose(testkit.TupleKey(1)) }}
	})
	p = testkit.NewPlay(t, factory, flowscope.Config{})
	p.Play("hs >0:x >S/t1")
	p.Driver.ForceClose(testkit.TupleKey(0))
	p.Play("sweep sweep")
	if ended := p.Driver.Stats().Ended[flowscope.EndForceClosed]; ended != 2 || p.Driver.Len() != 0 {
		t.Errorf("%d ended, %d alive", ended, p.Driver.Len())
	}
}

func TestAnEvictionThatPanicsIsCountedOnce(t *testing.T) {
	blow := true
	var p *testkit.Play
	factory := flowscope.ReassemblerFunc[testkit.Key](func(testkit.Key, flowscope.FlowSide) flowscope.Reassembler {
		return &closer{func() {
			if blow {
				blow = false
				panic("the caller's")
			}
		}}
	})
	p = testkit.NewPlay(t, factory, flowscope.Config{MaxFlows: 1})
	p.Play("hs >0:x")
	for range 2 {
		func() {
			defer func() { _ = recover() }()
			p.Driver.Track(p.View(">S/t1"))
		}()
	}
	if st := p.Driver.Stats(); blow || st.FlowsEvicted != 1 || st.Ended[flowscope.EndEvicted] != 1 {
		t.Errorf("%d evicted, %d ended so", st.FlowsEvicted, st.Ended[flowscope.EndEvicted])
	}
}

// Behind a path that loses and reorders, most segments take a fast path; see JudgeCalls.
func TestBytesBehindHolesAreTheSameOnTheFastAndTheSlowPath(t *testing.T) {
	rounds := uint64(120)
	if testing.Short() {
		rounds = 24
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 34))
		views := testkit.Displace(r, testkit.NewTalk(r, 20_000).Views, 1+r.IntN(8))
		var all []testkit.DriverCall
		now := int64(1e18)
		for i, v := range views {
			if r.IntN(20) == 0 {
				continue
			}
			now += []int64{0, 1e5, 1e6, 1e7, 1e8, 3e9}[r.IntN(5+r.IntN(2))]
			v.Timestamp, v.ID = flowscope.Timestamp(now), uint64(i+1)
			for range 1 + r.IntN(10)/9 {
				all = append(all, testkit.DriverCall{Kind: testkit.CallTrack, View: v})
			}
			if r.IntN(50) == 0 {
				all = append(all, testkit.DriverCall{
					Kind: testkit.CallSweep, At: flowscope.Timestamp(now), Stop: r.IntN(4) == 0, StopSide: flowscope.FlowSide(r.IntN(2)),
				})
			}
		}
		cfg := testkit.DriverSoupConfigs[seed%uint64(len(testkit.DriverSoupConfigs))]
		testkit.Seeded(t, seed, func() string { return testkit.JudgeCalls(t, nil, cfg, all) })
	}
}

// A StreamReassembler that nobody made takes the limits of the driver, and has those of the zero Config without one.
func TestTheZeroStreamReassemblerHasTheLimitsOfItsDriver(t *testing.T) {
	hold := func(r flowscope.Reassembler, out *flowscope.Delivery, bytes int) (dropped bool) {
		r.Segment(flowscope.Segment{Seq: 1, Pos: 0, Payload: []byte("a")}, out)
		r.Segment(flowscope.Segment{Seq: 3, Pos: 2, Payload: make([]byte, bytes)}, out)
		for p := range out.Pieces() {
			dropped = dropped || p.Cause == flowscope.GapBudget
		}
		return dropped
	}
	var alone flowscope.Delivery
	require.False(t, hold(new(flowscope.StreamReassembler), &alone, 60_000))

	var inside *flowscope.StreamReassembler
	factory := flowscope.ReassemblerFunc[testkit.Key](func(testkit.Key, flowscope.FlowSide) flowscope.Reassembler {
		inside = new(flowscope.StreamReassembler)
		return inside
	})
	for _, limit := range []int{0, 1000} {
		d := testkit.NewPlay(t, factory, flowscope.Config{SideBytes: limit})
		d.Play("hs >0:a >2:z*2000 finish")
		causes := map[bool]flowscope.GapCause{false: flowscope.GapEnded, true: flowscope.GapBudget}
		require.Contains(t, d.Said(), causes[limit != 0].String(), "limit %d", limit)
	}
}

// pieceLog is a handler that delivers nothing of what it is given.
type pieceLog struct {
	flowscope.StreamReassembler
	said []string
}

func (l *pieceLog) HandlePiece(p flowscope.Piece, out *flowscope.Delivery) {
	switch {
	case p.End:
		l.said = append(l.said, "end")
	case p.Gap > 0:
		l.said = append(l.said, fmt.Sprintf("gap %d %v", p.Gap, p.Cause))
	default:
		l.said = append(l.said, string(p.Bytes))
	}
}

func TestAPieceHandlerHasTheLastWord(t *testing.T) {
	for end, last := range map[string]string{">F@9 <A10 <F@0 >A1": "fin", "<A9 >R@9 finish": "rst", "finish": "finished"} {
		var log *pieceLog
		d := testkit.NewPlay(t, flowscope.ReassemblerFunc[testkit.Key](func(testkit.Key, flowscope.FlowSide) flowscope.Reassembler {
			log = new(pieceLog)
			return log
		}), flowscope.Config{})
		d.Play("hs >0:ab >4:ef >7:hi >2:cd <A9 " + end)
		require.Equal(t, []string{"ab", "cd", "ef"}, log.said[:3], last)
		require.Equal(t, "end", log.said[len(log.said)-1], last)
		require.Contains(t, strings.Join(log.said, " "), "gap 1", last)
		require.Equal(t, 6, len(log.said), "%v: %q", last, log.said)
		require.Zero(t, d.Driver.Stats().Streams.Delivered)
		require.Zero(t, d.Driver.Stats().Streams.Gaps)
	}
}
