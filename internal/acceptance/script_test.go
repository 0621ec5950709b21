package acceptance

import (
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// TestScripts plays testdata/scripts: packets in, events out; flowtest.Script explains the language. Each
// script is played without fast paths at the same time, and all events of both must be equal, also those that
// it does not show. The first line says what it is there for.
func TestScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			if text, err := os.ReadFile(name); err != nil || !strings.HasPrefix(string(text), "# pins: ") {
				t.Fatalf("line 1: what does the script pin? %v", err)
			}
			shown := flowscope.Config{Events: flowscope.DefaultEvents | flowscope.Events(flowscope.EventLate)}
			flowtest.Script(t, name, shown, func(cfg flowscope.Config) (flowtest.Scripted, error) {
				// The ledger wants to see every kind that it books.
				cfg.Events = flowscope.AllEvents
				make := func() ledger { return testkit.NewAudited(t, flowscope.FiveTuple{}, cfg) }
				return &bothWays{t, make(), testkit.WithoutFastPaths(make)}, nil
			})
		})
	}
}

type ledger = *testkit.Ledger[testkit.Key]

// bothWays is an audited tracker beside one without fast paths, which must say the same.
type bothWays struct {
	t          *testing.T
	fast, slow ledger
}

// call makes a call on both, and compares all events and counters.
func (b *bothWays) call(f func(ledger) []testkit.Event) []testkit.Event {
	b.t.Helper()
	fast, slow := f(b.fast), f(b.slow)
	if len(fast) != len(slow) {
		b.t.Fatalf("%d events, and %d without fast paths:\n%v\n%v", len(fast), len(slow), fast, slow)
	}
	for i := range fast {
		if x, y := testkit.FactOf(0, &fast[i]), testkit.FactOf(0, &slow[i]); x != y || fast[i].String() != slow[i].String() {
			b.t.Fatalf("event %d differs without fast paths:\n%v\n%v\n%+v\n%+v", i, fast[i], slow[i], x, y)
		}
	}
	if x, y := b.fast.Tracker.Stats(), b.slow.Tracker.Stats(); x != y {
		b.t.Fatalf("the counters differ without fast paths:\n%+v\n%+v", x, y)
	}
	return fast
}

func (b *bothWays) Track(v flowscope.PacketView) []testkit.Event {
	return b.call(func(l ledger) []testkit.Event { return l.Track(v) })
}

func (b *bothWays) Sweep(now flowscope.Timestamp) []testkit.Event {
	return b.call(func(l ledger) []testkit.Event { return l.Sweep(now) })
}

func (b *bothWays) Finish() []testkit.Event { return b.call(ledger.Finish) }

// ForceClose and SetMaxFlows are audited by the ledgers.
func (b *bothWays) ForceClose(key testkit.Key) bool {
	b.fast.ForceClose(key)
	b.slow.ForceClose(key)
	return true
}

func (b *bothWays) SetMaxFlows(n int) bool {
	b.fast.SetMaxFlows(n)
	b.slow.SetMaxFlows(n)
	return true
}

func (b *bothWays) Stats() flowscope.TrackerStats { return b.fast.Tracker.Stats() }

func (b *bothWays) Flows() iter.Seq[flowscope.Flow[testkit.Key, struct{}]] {
	return func(yield func(flowscope.Flow[testkit.Key, struct{}]) bool) {
		for f := range b.fast.Tracker.Flows() {
			if !yield(flowscope.Flow[testkit.Key, struct{}]{
				ID: f.ID, Key: f.Key, Orientation: f.Orientation, L4: f.L4, State: f.State, Stats: f.Stats, History: f.History,
			}) {
				return
			}
		}
	}
}
