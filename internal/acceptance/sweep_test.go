package acceptance

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// What the packets say must not depend on who asked in between. These tests play the same packets with and
// without calls that must make no difference.

// orderly keeps the calls of a soup that are packets, with timestamps that never surprise.
func orderly(in []byte) (packets []testkit.Call) {
	for _, c := range testkit.Calls(in) {
		if c.Kind != testkit.CallTrack {
			continue
		}
		if n := len(packets); n > 0 {
			before := packets[n-1].View.Timestamp
			if d := c.View.Timestamp.Sub(before); d < 0 || d > time.Hour {
				c.View.Timestamp = before
			}
		} else {
			c.View.Timestamp = 1e18
		}
		packets = append(packets, c)
	}
	return packets
}

func TestSweepsAtTimesThatHavePassedChangeNothing(t *testing.T) {
	for seed := range race.Seeds(uint64(60)) {
		all := testkit.Calls(testkit.RandomBytes(seed+5000, 1500))
		cfg := testkit.SoupConfigs[seed%uint64(len(testkit.SoupConfigs))]
		plain, swept := testkit.NewAudited(t, flowscope.FiveTuple{}, cfg), testkit.NewAudited(t, flowscope.FiveTuple{}, cfg)
		alone := 0
		for i, c := range all {
			if c.Kind == testkit.CallClose || c.Kind == testkit.CallLimit {
				continue // these ask for something in the next call, which a sweep is
			}
			if now := swept.Tracker.Now(); c.Kind == testkit.CallTrack && swept.Running && (c.View.Timestamp < now || c.View.Timestamp.Sub(now) > time.Second) {
				c.View.Timestamp = now // when a flow of a wrong timestamp ends depends on when one looks
			}
			a, b := plain.Play(c, c.Key), swept.Play(c, c.Key)
			testkit.SameEvents(t, fmt.Sprintf("seed %d call %d", seed, i), a, b)
			times := []flowscope.Timestamp{swept.Tracker.Now().Add(-1), swept.Tracker.Now().Add(-time.Hour)}
			if !swept.Running {
				alone = 0
				continue // no time yet that could have passed
			}
			if alone++; alone > 1 {
				times = append(times, swept.Tracker.Now()) // earlier it would vouch for a timestamp that stands alone
			}
			if c.Kind == testkit.CallTrack && c.View.Timestamp < swept.Tracker.Now() {
				continue // by the clock its flow may be overdue already
			}
			if alone == 1 || c.Kind == testkit.CallTrack && swept.Tracker.Now().Sub(c.View.Timestamp) > time.Second || c.Kind != testkit.CallTrack {
				times = slices.DeleteFunc(times, func(at flowscope.Timestamp) bool { return at < swept.Tracker.Now()-1 }) // it may confirm a step back
			}
			for _, at := range times {
				if events := swept.Sweep(at); len(events) > 0 {
					t.Fatalf("seed %d call %d: a sweep at %v, it is %v: %v of flow %d", seed, i, at, swept.Tracker.Now(), events[0].Kind, events[0].Flow)
				}
			}
		}
	}
}

// TestSweepsBetweenPacketsOnlyBringEndsForward: with a sweep before each packet, or every so often, flows begin, end
// and are counted alike; only the moment at which a timeout is told may be earlier.
func TestSweepsBetweenPacketsOnlyBringEndsForward(t *testing.T) {
	for seed := range race.Seeds(uint64(60)) {
		packets := orderly(testkit.RandomBytes(seed+9000, 3000))
		for _, maxFlows := range []int{64, 3} {
			var outcomes []string
			for pattern := range 3 {
				l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{MaxFlows: maxFlows})
				l.Keep = true
				for i, c := range packets {
					if i > 0 {
						sweepBetween(l, pattern, packets[i-1].View.Timestamp, c.View.Timestamp)
					}
					l.Track(c.View)
				}
				l.Finish()
				outcomes = append(outcomes, outcome(l.Log))
			}
			for _, o := range outcomes[1:] {
				if o != outcomes[0] {
					t.Fatalf("seed %d, %d flows: %s", seed, maxFlows, testkit.LineDiff(outcomes[0], o))
				}
			}
		}
	}
}

func sweepBetween[K comparable](l *testkit.Ledger[K], pattern int, from, to flowscope.Timestamp) {
	switch pattern {
	case 1:
		l.Sweep(to)
	case 2:
		for at := from; at < to; at = at.Add(700 * time.Millisecond) {
			l.Sweep(at)
		}
	}
}

// outcome is what must not depend on sweeps: what each flow was and became.
func outcome(log []testkit.Fact[flowscope.FiveTupleKey]) string {
	var lines []string
	for _, f := range log {
		switch f.Kind {
		case flowscope.EventStarted:
			lines = append(lines, fmt.Sprintf("flow %03d %v by packet %d", f.Flow, f.Key, f.Packet))
		case flowscope.EventReleased:
			lines = append(lines, fmt.Sprintf("flow %03d %v %v %v %+v", f.Flow, f.Reason, f.State, f.History, f.Stats))
		}
	}
	slices.Sort(lines)
	text := ""
	for _, l := range lines {
		text += l + "\n"
	}
	return text
}

// TestEventsThatAreNotWantedChangeNothing: each mask gives the same events, less those that it leaves out.
func TestEventsThatAreNotWantedChangeNothing(t *testing.T) {
	masks := []flowscope.EventMask{
		flowscope.NoEvents, flowscope.DefaultEvents, flowscope.Events(flowscope.EventEnded), flowscope.Events(flowscope.EventPacket, flowscope.EventLate),
	}
	for seed := range race.Seeds(uint64(40)) {
		all := testkit.Calls(testkit.RandomBytes(seed+3000, 1500))
		for _, mask := range masks {
			cfg := testkit.SoupConfigs[seed%uint64(len(testkit.SoupConfigs))]
			full := testkit.NewAudited(t, flowscope.FiveTuple{}, cfg)
			cfg.Events = mask
			some, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range all {
				var got []flowscope.FlowEvent[flowscope.FiveTupleKey]
				want := slices.Clone(full.Play(c, c.Key))
				switch c.Kind {
				case testkit.CallTrack:
					got = some.Track(c.View)
				case testkit.CallSweep:
					got = some.Sweep(c.At)
				case testkit.CallFinish:
					got = some.Finish()
				case testkit.CallClose:
					some.ForceClose(c.Key)
				case testkit.CallLimit:
					some.SetMaxFlows(c.N)
				}
				want = slices.DeleteFunc(want, func(ev flowscope.FlowEvent[flowscope.FiveTupleKey]) bool { return !mask.Has(ev.Kind) })
				testkit.SameEvents(t, fmt.Sprintf("seed %d call %d mask %b", seed, i, mask), want, got)
			}
			if a, b := full.Tracker.Stats(), some.Stats(); a != b {
				t.Fatalf("seed %d mask %b: counters differ\n%+v\n%+v", seed, mask, a, b)
			}
		}
	}
}
