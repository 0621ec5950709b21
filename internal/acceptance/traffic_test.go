package acceptance

import (
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
	"github.com/flowscope-go/flowscope/internal/testkit/traffic"
)

// mixFeed shows the packets of a mix to a tracker and a driver.
type mixFeed struct {
	ring    *traffic.Ring
	tracker *testkit.Tracker
	driver  *testkit.Driver
}

const mixBatch = 2000

func newMixFeed(tb testing.TB, c traffic.Config, events flowscope.EventMask) *mixFeed {
	g := traffic.New(c)
	cfg := flowscope.Config{MaxFlows: g.MaxFlows(), Events: events}
	return &mixFeed{ring: traffic.NewRing(g, mixBatch), tracker: testkit.NewTracker(tb, cfg), driver: testkit.NewDriver(tb, nil, cfg)}
}

// next shows a batch, and says how often each allocated.
func (f *mixFeed) next() (tracker, driver uint64) {
	packets := f.ring.Next()
	tracker = allocs.Count(func() {
		for _, p := range packets {
			f.tracker.Track(flowscope.PacketView{Frame: p.Frame, Timestamp: flowscope.Timestamp(p.Stamp)})
		}
	})
	driver = allocs.Count(func() {
		for _, p := range packets {
			f.driver.Track(flowscope.PacketView{Frame: p.Frame, Timestamp: flowscope.Timestamp(p.Stamp)})
		}
	})
	return tracker, driver
}

// TestNoMixAllocates: no kind of traffic allocates once tables and pages are as large as they get.
func TestNoMixAllocates(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	if race.On {
		t.Skip("the race detector allocates; it sees the same traffic in TestTheMixesAreWhatTheySay")
	}
	for _, m := range traffic.Mixes() {
		for _, events := range []flowscope.EventMask{flowscope.DefaultEvents, flowscope.AllEvents} {
			f := newMixFeed(t, traffic.Config{Mix: m, Flows: 200, Frame: 400}, events)
			for range 100 {
				f.next()
			}
			const packets = allocs.Packets / mixBatch * mixBatch
			tracker, driver := uint64(0), uint64(0)
			for range packets / mixBatch {
				a, b := f.next()
				tracker, driver = tracker+a, driver+b
			}
			if most := uint64(allocs.Most * packets); tracker > most || driver > most {
				t.Errorf("%v, events %v: a tracker allocates %d times in %d packets, a driver %d times",
					m, events, tracker, packets, driver)
			}
		}
	}
}

// TestTheMixesAreWhatTheySay: a driver finds in the traffic what was put there, and nothing else. Otherwise a table of
// figures would be about something that its rows do not name.
func TestTheMixesAreWhatTheySay(t *testing.T) {
	batches := 100
	if race.On {
		batches = 40 // enough for flows of all mixes to end
	}
	for _, m := range traffic.Mixes() {
		f := newMixFeed(t, traffic.Config{Mix: m, Flows: 100, Frame: 300}, flowscope.NoEvents)
		for range batches {
			f.next()
		}
		s := f.driver.Stats()
		for _, c := range []struct {
			what string
			n    uint64
			want bool
		}{
			{"unmatched packets", s.PacketsUnmatched, false},
			{"stamps that run back", s.ClockBackward, false},
			{"stamps that leap", s.ClockSuspects, false},
			{"bytes", s.Streams.Delivered, m == traffic.Web || m == traffic.Bulk || m == traffic.Rough},
			{"gaps", s.Streams.Gaps, m == traffic.Rough},
			{"duplicates", s.Duplicates, m == traffic.Rough},
			{"conflicting copies", s.Streams.Conflicts, false},
			{"ends by FIN", s.Ended[flowscope.EndFIN], m == traffic.Web || m == traffic.Bulk || m == traffic.Rough},
			{"ends by RST", s.Ended[flowscope.EndRST], m == traffic.Scan},
			{"ends by timeout", s.Ended[flowscope.EndIdleTimeout], m == traffic.DNS || m == traffic.Flood},
			{"evictions", s.FlowsEvicted, m == traffic.Scan},
		} {
			if (c.n > 0) != c.want {
				t.Errorf("%v: %d %s", m, c.n, c.what)
			}
		}
		if held := float64(s.Streams.GapBytes) / float64(s.Streams.Delivered+1); held > 0.01 {
			t.Errorf("%v: %.4f of the bytes are gaps", m, held)
		}
	}
}
