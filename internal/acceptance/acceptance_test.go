package acceptance

import (
	"os"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/attack"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// The acceptance tests bear the number of the promise that they hold: TestA4... holds A4. SECURITY.md has the list of
// all, and says where the others are.
//
// They come in three sizes: small under -short and in builds that check themselves, which are slow; a plain one; and
// that of the nightly run, which sets FLOWSCOPE_SOAK to the time that the soak may take, as in FLOWSCOPE_SOAK=1h.

// soakTime is how long the soak goes on.
func soakTime(tb testing.TB) time.Duration {
	tb.Helper()
	if text := os.Getenv("FLOWSCOPE_SOAK"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			tb.Fatalf("FLOWSCOPE_SOAK: %v", err)
		}
		return d
	}
	if smallSizes() {
		return 300 * time.Millisecond
	}
	return 2 * time.Second
}

// slowBuild says that times and allocations of this build mean nothing.
const slowBuild = race.On || invariants.Enabled

func smallSizes() bool { return testing.Short() || slowBuild }

// sized is how many of something a test should take.
func sized(small, plain, nightly int) int {
	switch {
	case smallSizes():
		return small
	case os.Getenv("FLOWSCOPE_SOAK") != "":
		return nightly
	}
	return plain
}

// feeder gives frames to a driver, with timestamps that advance evenly.
type feeder struct {
	d    *testkit.Driver
	now  flowscope.Timestamp
	step time.Duration
	id   uint64
	most int // events in one call
}

func newFeeder(tb testing.TB, cfg flowscope.Config, step time.Duration) *feeder {
	tb.Helper()
	d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return &feeder{d: d, now: 1e18, step: step}
}

func (f *feeder) track(frame []byte) []testkit.Event {
	f.now = f.now.Add(f.step)
	f.id++
	events := f.d.Track(flowscope.PacketView{Frame: frame, Timestamp: f.now, ID: f.id})
	f.most = max(f.most, len(events))
	return events
}

func (f *feeder) play(frames attack.Frames) {
	for frame := range frames {
		f.track(frame)
	}
}

// keep makes copies of frames, where the making must not be measured.
func keep(frames attack.Frames) (all [][]byte) {
	for f := range frames {
		all = append(all, append(make([]byte, 0, len(f)), f...))
	}
	return all
}
