package flowscope_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// TestOverwritingTheFrameAfterACallChangesNothingLater: the tracker keeps nothing of a frame. Two trackers are
// given the same packets; behind the back of one the frame is overwritten as soon as its events were read.
func TestOverwritingTheFrameAfterACallChangesNothingLater(t *testing.T) {
	for seed := range uint64(100) {
		all := calls(randomBytes(seed+700, 1500))
		cfg := soupConfigs[seed%uint64(len(soupConfigs))]
		kept, lent := newAudited(t, flowscope.FiveTuple{}, cfg), newAudited(t, flowscope.FiveTuple{}, cfg)
		buffer := make([]byte, 2000)
		for i, c := range all {
			a := kept.play(c, c.key)
			c.view.Frame = buffer[:copy(buffer, c.view.Frame)]
			b := lent.play(c, c.key)
			same(t, fmt.Sprintf("seed %d call %d", seed, i), a, b)
			for k := range buffer {
				buffer[k] = 0x5a
			}
		}
	}
}

func TestTheFrameIsNeverWrittenTo(t *testing.T) {
	for seed := range uint64(50) {
		l := newAudited(t, flowscope.FiveTuple{}, soupConfigs[seed%uint64(len(soupConfigs))])
		for i, c := range calls(randomBytes(seed+800, 1500)) {
			before := bytes.Clone(c.view.Frame)
			l.play(c, c.key)
			if !bytes.Equal(before, c.view.Frame) {
				t.Fatalf("seed %d call %d: the frame was %x, is %x", seed, i, before, c.view.Frame)
			}
		}
	}
}

func TestStateAnswersForEveryEventOfTheLastCall(t *testing.T) {
	l := newAudited(t, flowscope.FiveTuple{}, flowscope.Config{MaxFlows: 2})
	say := func(frame []byte, at float64, want string) []flowscope.FlowEvent[flowscope.FiveTupleKey] {
		t.Helper()
		l.packets++
		events := l.t.Track(flowscope.PacketView{Frame: frame, Timestamp: seconds(at)})
		text := ""
		for i := range events {
			s := l.t.State(&events[i])
			if events[i].Kind == flowscope.EventEnded {
				require.NotNil(t, s, "state of an Ended")
				text += fmt.Sprintf("%d %v, ", s.number, events[i].Reason)
			} else if k := events[i].Kind; events[i].Flow != 0 && k != flowscope.EventLate && k != flowscope.EventReleased {
				require.NotNil(t, s, "state of %v", events[i].Kind)
				assert.Equal(t, events[i].Flow, s.number)
			}
		}
		assert.Equal(t, want, text)
		return events
	}
	say(udp("10.0.0.1:1", server), 0, "")
	say(tcp(client, server, "S", 100, 0, ""), 0, "")
	kept := say(tcp(server, client, "RA", 0, 101, ""), 0, "2 rst, ")
	ended := kept[len(kept)-1].Clone()
	require.Equal(t, flowscope.EventEnded, ended.Kind)
	say(udp("10.0.0.2:1", server), 0, "") // the one that lingered made room
	assert.Nil(t, l.t.State(&ended), "the flow of a call that is over")
	say(udp("10.0.0.3:1", server), 0, "1 evicted, ")
	say(udp("10.0.0.2:1", server), 60, "3 idle, 4 idle, ")
	var none flowscope.FlowEvent[flowscope.FiveTupleKey]
	assert.Nil(t, l.t.State(&none))
}

func TestFlowsMayBeClosedAndTheLimitMovedWhileEventsAreRead(t *testing.T) {
	l := newAudited(t, flowscope.FiveTuple{}, flowscope.Config{MaxFlows: 10})
	for i := range 5 {
		frame := udp(client, server)
		readdress(frame, 0x0a000100+uint32(i))
		events := l.Track(flowscope.PacketView{Frame: frame, Timestamp: seconds(float64(i)), ID: uint64(i + 1)})
		before := factOf(0, &events[1])
		for _, ev := range events {
			l.ForceClose(ev.Key)
			l.SetMaxFlows(3)
		}
		assert.Equal(t, before, factOf(0, &events[1]), "what was lent is untouched")
	}
	for f := range l.t.Flows() {
		l.ForceClose(f.Key)
	}
	l.Sweep(seconds(5))
	assert.Equal(t, 0, l.t.Len())
	assert.EqualValues(t, 5, l.t.Stats().Ended[flowscope.EndForceClosed])
}
