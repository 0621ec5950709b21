package flowscope_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// TestOverwritingTheFrameAfterACallChangesNothingLater: the tracker keeps nothing of a frame. Two trackers are
// given the same packets; behind the back of one the frame is overwritten as soon as its events were read.
func TestOverwritingTheFrameAfterACallChangesNothingLater(t *testing.T) {
	for seed := range race.Seeds(uint64(100)) {
		all := testkit.Calls(testkit.RandomBytes(seed+700, 1500))
		cfg := testkit.SoupConfigs[seed%uint64(len(testkit.SoupConfigs))]
		kept, lent := testkit.NewAudited(t, flowscope.FiveTuple{}, cfg), testkit.NewAudited(t, flowscope.FiveTuple{}, cfg)
		buffer := make([]byte, 2000)
		for i, c := range all {
			a := kept.Play(c, c.Key)
			c.View.Frame = buffer[:copy(buffer, c.View.Frame)]
			b := lent.Play(c, c.Key)
			testkit.SameEvents(t, fmt.Sprintf("seed %d call %d", seed, i), a, b)
			for k := range buffer {
				buffer[k] = 0x5a
			}
		}
	}
}

func TestTheFrameIsNeverWrittenTo(t *testing.T) {
	for seed := range race.Seeds(uint64(50)) {
		l := testkit.NewAudited(t, flowscope.FiveTuple{}, testkit.SoupConfigs[seed%uint64(len(testkit.SoupConfigs))])
		for i, c := range testkit.Calls(testkit.RandomBytes(seed+800, 1500)) {
			before := bytes.Clone(c.View.Frame)
			l.Play(c, c.Key)
			if !bytes.Equal(before, c.View.Frame) {
				t.Fatalf("seed %d call %d: the frame was %x, is %x", seed, i, before, c.View.Frame)
			}
		}
	}
}

// A rival's packets leave the flow that they were counted in: its times and letters are then those of its own packets,
// also of those that came between.
func TestAFlowWhoseRivalLeavesHasItsOwnTimes(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{})
	var ended []flowscope.FlowStats
	var history []string
	for _, step := range strings.Fields(`>0:ab +1s >2:cd +1s <S/n5000 +1s <A@0/a900000 +1s >SA/n7000/a5000 +1s
		<A@0/n5000/a7000 +1s >0:zz/n7000/a5000 +1s <A@0/n5000/a7002 finish`) {
		var events []testkit.Event
		switch {
		case step == "finish":
			events = p.Driver.Finish()
		case step[0] == '+':
			p.Step(step)
		default:
			events = p.Driver.Track(p.View(step))
		}
		for i := range events {
			if ev := &events[i]; ev.Kind == flowscope.EventEnded {
				ended, history = append(ended, *ev.Stats), append(history, ev.History.String())
			}
		}
	}
	if len(ended) != 2 {
		t.Fatalf("%d flows", len(ended))
	}
	at := func(s float64) flowscope.Timestamp { return flowscope.Timestamp(1e18 + s*1e9) }
	for i, want := range []struct {
		packets, first, last [2]uint64
		history              string
	}{
		{[2]uint64{2, 1}, [2]uint64{0, 3}, [2]uint64{1, 3}, "Da"},
		{[2]uint64{3, 2}, [2]uint64{2, 4}, [2]uint64{7, 6}, "ShAd"},
	} {
		s := ended[i]
		for side := range s.Packets {
			if s.Packets != want.packets || s.First[side] != at(float64(want.first[side])) || s.Last[side] != at(float64(want.last[side])) {
				t.Errorf("flow %d: packets %d, from %v to %v", i+1, s.Packets, s.First, s.Last)
				break
			}
		}
		if history[i] != want.history {
			t.Errorf("flow %d: history %s", i+1, history[i])
		}
	}
}

// What was held has the timestamp of its own packet, whatever that is.
func TestWhatIsHeldHasTheTimestampOfItsPacket(t *testing.T) {
	p := testkit.NewPlay(t, nil, flowscope.Config{})
	want := []flowscope.Timestamp{p.At(), p.At().Add(-3 * time.Hour)}
	p.Driver.Track(p.View(">0:ab"))
	p.Step("+-3h")
	var got []flowscope.Timestamp
	for _, ev := range p.Driver.Track(p.View(">2:cd")) {
		if ev.Kind == flowscope.EventData {
			got = append(got, ev.Timestamp)
		}
	}
	assert.Equal(t, want, got)
}

func TestStateAnswersForEveryEventOfTheLastCall(t *testing.T) {
	l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{MaxFlows: 2})
	say := func(frame []byte, at float64, want string) []flowscope.FlowEvent[flowscope.FiveTupleKey] {
		t.Helper()
		l.Packets++
		events := l.Tracker.Track(flowscope.PacketView{Frame: frame, Timestamp: testkit.Seconds(at)})
		text := ""
		for i := range events {
			s := l.Tracker.State(&events[i])
			if events[i].Kind == flowscope.EventEnded {
				require.NotNil(t, s, "state of an Ended")
				text += fmt.Sprintf("%d %v, ", s.Number, events[i].Reason)
			} else if k := events[i].Kind; events[i].Flow != 0 && k != flowscope.EventLate && k != flowscope.EventReleased {
				require.NotNil(t, s, "state of %v", events[i].Kind)
				assert.Equal(t, events[i].Flow, s.Number)
			}
		}
		assert.Equal(t, want, text)
		return events
	}
	say(testkit.UDP("10.0.0.1:1", testkit.Server), 0, "")
	say(testkit.TCP(testkit.Client, testkit.Server, "S", 100, 0, ""), 0, "")
	kept := say(testkit.TCP(testkit.Server, testkit.Client, "RA", 0, 101, ""), 0, "2 rst, ")
	ended := kept[len(kept)-1].Clone()
	require.Equal(t, flowscope.EventEnded, ended.Kind)
	say(testkit.UDP("10.0.0.2:1", testkit.Server), 0, "") // the one that lingered made room
	assert.Nil(t, l.Tracker.State(&ended), "the flow of a call that is over")
	say(testkit.UDP("10.0.0.3:1", testkit.Server), 0, "1 evicted, ")
	say(testkit.UDP("10.0.0.2:1", testkit.Server), 60, "3 idle, ") // its own flow
	say(testkit.UDP("10.0.0.2:1", testkit.Server), 60, "4 idle, ") // and the clock comes there
	var none flowscope.FlowEvent[flowscope.FiveTupleKey]
	assert.Nil(t, l.Tracker.State(&none))
}

func TestFlowsMayBeClosedAndTheLimitMovedWhileEventsAreRead(t *testing.T) {
	l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{MaxFlows: 10})
	for i := range 5 {
		frame := testkit.UDP(testkit.Client, testkit.Server)
		testkit.Readdress(frame, 0x0a000100+uint32(i))
		events := l.Track(flowscope.PacketView{Frame: frame, Timestamp: testkit.Seconds(float64(i)), ID: uint64(i + 1)})
		before := testkit.FactOf(0, &events[1])
		for _, ev := range events {
			l.ForceClose(ev.Key)
			l.SetMaxFlows(3)
		}
		assert.Equal(t, before, testkit.FactOf(0, &events[1]), "what was lent is untouched")
	}
	for f := range l.Tracker.Flows() {
		l.ForceClose(f.Key)
	}
	l.Sweep(testkit.Seconds(5))
	assert.Equal(t, 0, l.Tracker.Len())
	assert.EqualValues(t, 5, l.Tracker.Stats().Ended[flowscope.EndForceClosed])
}
