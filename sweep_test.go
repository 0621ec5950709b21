package flowscope_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

// What the packets say must not depend on who asked in between. These tests play the same packets with and
// without calls that must make no difference.

// orderly keeps the calls of a soup that are packets, with stamps that never surprise.
func orderly(in []byte) (packets []call) {
	for _, c := range calls(in) {
		if c.kind != callTrack {
			continue
		}
		if n := len(packets); n > 0 {
			before := packets[n-1].view.Timestamp
			if d := c.view.Timestamp.Sub(before); d < 0 || d > time.Hour {
				c.view.Timestamp = before
			}
		} else {
			c.view.Timestamp = 1e18
		}
		packets = append(packets, c)
	}
	return packets
}

func TestSweepsAtTimesThatHavePassedChangeNothing(t *testing.T) {
	for seed := range uint64(60) {
		all := calls(randomBytes(seed+5000, 1500))
		cfg := soupConfigs[seed%uint64(len(soupConfigs))]
		plain, swept := newAudited(t, flowscope.FiveTuple{}, cfg), newAudited(t, flowscope.FiveTuple{}, cfg)
		alone := 0
		for i, c := range all {
			if c.kind == callClose || c.kind == callLimit {
				continue // these ask for something in the next call, which a sweep is
			}
			a, b := plain.play(c, c.key), swept.play(c, c.key)
			same(t, fmt.Sprintf("seed %d call %d", seed, i), a, b)
			times := []flowscope.Timestamp{swept.t.Now().Add(-1), swept.t.Now().Add(-time.Hour)}
			if !swept.running {
				alone = 0
				continue // no time yet that could have passed
			}
			if alone++; alone > 1 {
				times = append(times, swept.t.Now()) // earlier it would vouch for a stamp that stands alone
			}
			for _, at := range times {
				if events := swept.Sweep(at); len(events) > 0 {
					t.Fatalf("seed %d call %d: a sweep at %v, it is %v: %v of flow %d", seed, i, at, swept.t.Now(), events[0].Kind, events[0].Flow)
				}
			}
		}
	}
}

func same[K comparable](t *testing.T, where string, a, b []flowscope.FlowEvent[K]) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s: %d events, %d events", where, len(a), len(b))
	}
	for k := range a {
		if fa, fb := factOf(0, &a[k]), factOf(0, &b[k]); fa != fb {
			t.Fatalf("%s, event %d:\n%+v\n%+v", where, k, fa, fb)
		}
	}
}

// TestSweepsBetweenPacketsOnlyBringEndsForward: with a sweep before each packet, or every so often, flows begin, end
// and are counted alike; only the moment at which a time-out is told may be earlier.
func TestSweepsBetweenPacketsOnlyBringEndsForward(t *testing.T) {
	for seed := range uint64(60) {
		packets := orderly(randomBytes(seed+9000, 3000))
		for _, maxFlows := range []int{64, 3} {
			var outcomes []string
			for pattern := range 3 {
				l := newAudited(t, flowscope.FiveTuple{}, flowscope.Config{MaxFlows: maxFlows})
				l.keep = true
				for i, c := range packets {
					if i > 0 {
						sweepBetween(l, pattern, packets[i-1].view.Timestamp, c.view.Timestamp)
					}
					l.Track(c.view)
				}
				l.Finish()
				outcomes = append(outcomes, outcome(l.log))
			}
			for _, o := range outcomes[1:] {
				if o != outcomes[0] {
					t.Fatalf("seed %d, %d flows: %s", seed, maxFlows, lineDiff(outcomes[0], o))
				}
			}
		}
	}
}

func sweepBetween[K comparable](l *ledger[K], pattern int, from, to flowscope.Timestamp) {
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
func outcome(log []fact[flowscope.FiveTupleKey]) string {
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
	for seed := range uint64(40) {
		all := calls(randomBytes(seed+3000, 1500))
		for _, mask := range masks {
			cfg := soupConfigs[seed%uint64(len(soupConfigs))]
			full := newAudited(t, flowscope.FiveTuple{}, cfg)
			cfg.Events = mask
			some, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range all {
				var got []flowscope.FlowEvent[flowscope.FiveTupleKey]
				want := slices.Clone(full.play(c, c.key))
				switch c.kind {
				case callTrack:
					got = some.Track(c.view)
				case callSweep:
					got = some.Sweep(c.at)
				case callFinish:
					got = some.Finish()
				case callClose:
					some.ForceClose(c.key)
				case callLimit:
					some.SetMaxFlows(c.n)
				}
				want = slices.DeleteFunc(want, func(ev flowscope.FlowEvent[flowscope.FiveTupleKey]) bool { return !mask.Has(ev.Kind) })
				same(t, fmt.Sprintf("seed %d call %d mask %b", seed, i, mask), want, got)
			}
			if a, b := full.t.Stats(), some.Stats(); a != b {
				t.Fatalf("seed %d mask %b: counters differ\n%+v\n%+v", seed, mask, a, b)
			}
		}
	}
}
