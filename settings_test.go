package flowscope_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// Shorter timeouts hold for the flows that are there, longer ones too.
func TestTimeoutsOfATrackerThatRuns(t *testing.T) {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Events: flowscope.Events(flowscope.EventEnded)})
	require.NoError(t, err)
	ended := func(events []flowscope.Event) (all []string) {
		for _, ev := range events {
			all = append(all, fmt.Sprint(ev.Key.A().Addr(), " ", ev.Reason, " ", ev.Timestamp))
		}
		return all
	}
	set := func(d time.Duration) {
		cfg := tracker.Config()
		cfg.UDPTimeout = d
		require.NoError(t, tracker.SetConfig(cfg))
		assert.Equal(t, d, tracker.Config().UDPTimeout)
	}
	for i := range 3 {
		tracker.Track(flowscope.PacketView{Frame: testkit.UDP(fmt.Sprintf("10.0.0.%d:1", i+1), "10.0.1.1:9"), Timestamp: testkit.Seconds(float64(100 + 10*i))})
	}
	set(15 * time.Second)
	assert.Equal(t, 3, tracker.Len(), "nothing happens before the next call")
	assert.Equal(t, []string{"10.0.0.1 idle 120.000000000"}, ended(tracker.Sweep(testkit.Seconds(120))))
	set(100 * time.Second)
	assert.Empty(t, ended(tracker.Sweep(testkit.Seconds(209))))
	assert.Equal(t, []string{"10.0.0.2 idle 210.000000000"}, ended(tracker.Sweep(testkit.Seconds(210))))
	set(flowscope.Never)
	assert.Empty(t, ended(tracker.Sweep(testkit.Seconds(1e6))))
	set(time.Second)
	assert.Equal(t, []string{"10.0.0.3 idle 1000000.000000000"}, ended(tracker.Sweep(testkit.Seconds(1e6))))
}

func TestLimitsOfATrackerThatRuns(t *testing.T) {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{MaxFlows: 10, Events: flowscope.Events(flowscope.EventEnded)})
	require.NoError(t, err)
	for i := range 10 {
		tracker.Track(flowscope.PacketView{Frame: testkit.UDP(fmt.Sprintf("10.0.0.%d:1", i+1), "10.0.1.1:9"), Timestamp: 1})
	}
	cfg := tracker.Config()
	cfg.MaxFlows = 4
	require.NoError(t, tracker.SetConfig(cfg))
	events := tracker.Sweep(1)
	require.Len(t, events, 6)
	assert.Equal(t, flowscope.EndEvicted, events[0].Reason)
	cfg.MaxFlows = 10
	require.NoError(t, tracker.SetConfig(cfg))
	for name, change := range map[string]func(*flowscope.Config){
		"MaxFlows":       func(c *flowscope.Config) { c.MaxFlows = 11 },
		"Details":        func(c *flowscope.Config) { c.Details = flowscope.DetailTCP },
		"Overlap":        func(c *flowscope.Config) { c.Overlap = flowscope.OverlapLast },
		"Events":         func(c *flowscope.Config) { c.Events = flowscope.AllEvents },
		"OpeningTimeout": func(c *flowscope.Config) { c.OpeningTimeout = -1 },
	} {
		wrong := tracker.Config()
		change(&wrong)
		err := tracker.SetConfig(wrong)
		assert.ErrorIs(t, err, flowscope.ErrConfig)
		assert.ErrorContains(t, err, name)
		assert.Equal(t, cfg, tracker.Config(), "nothing has changed")
	}
}

// Streams that hold more than a new TotalBytes give up, and say so; hole timeouts hold for the next hole.
func TestStreamsOfADriverThatRuns(t *testing.T) {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{Events: flowscope.AllEvents})
	require.NoError(t, err)
	track := func(frame []byte) []flowscope.Event {
		return driver.Track(flowscope.PacketView{Frame: frame, Timestamp: 1e9})
	}
	c, s := testkit.Client, testkit.Server
	track(testkit.TCP(c, s, "S", 100, 0, ""))
	track(testkit.TCP(s, c, "SA", 500, 101, ""))
	track(testkit.TCP(c, s, "A", 101, 501, ""))
	piece := strings.Repeat("x", 1000)
	for i := range uint32(40) {
		track(testkit.TCP(c, s, "A", 201+1000*i, 501, piece))
	}
	held := driver.Stats().HeldBytes
	require.Greater(t, held, int64(40_000))
	cfg := driver.Config()
	cfg.TotalBytes = 10_000
	require.NoError(t, driver.SetConfig(cfg))
	gaps := 0
	for range 2 {
		for _, ev := range track(testkit.TCP(s, c, "A", 501, 101, "")) {
			if ev.Kind == flowscope.EventGap {
				gaps++
				assert.Equal(t, flowscope.GapBudget, ev.Cause)
			}
		}
	}
	assert.Equal(t, 1, gaps)
	assert.Less(t, driver.Stats().HeldBytes, held)
}

// A Config given at the beginning is the same as one given at once.
func TestAChangedConfigIsTheConfig(t *testing.T) {
	for seed := range uint64(20) {
		want := testkit.SoupConfigs[seed%uint64(len(testkit.SoupConfigs))]
		old := want
		old.EstablishedTimeout, old.UDPTimeout, old.LingerTimeout, old.OpeningTimeout = 7, time.Hour, 3, 5
		a := testkit.NewAudited(t, flowscope.FiveTuple{}, want)
		b := testkit.NewAudited(t, flowscope.FiveTuple{}, old)
		require.NoError(t, b.Tracker.SetConfig(a.Tracker.Config()))
		for i, c := range testkit.Calls(testkit.RandomBytes(seed+900, 600)) {
			testkit.SameEvents(t, fmt.Sprintf("seed %d call %d", seed, i), a.Play(c, c.Key), b.Play(c, c.Key))
		}
	}
}

// A timeout longer than any that the tracker was made for is waited for, also across jumps of the clock.
func TestALongerTimeoutIsWaitedFor(t *testing.T) {
	const day = 24 * time.Hour
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	require.NoError(t, err)
	cfg := tracker.Config()
	cfg.UDPTimeout = 100 * day
	require.NoError(t, tracker.SetConfig(cfg))
	at := flowscope.Timestamp(1e18)
	tracker.Track(flowscope.PacketView{Frame: testkit.UDP(testkit.Client, testkit.Server), Timestamp: at})
	ended := 0
	for _, days := range []time.Duration{99, 99, 100, 100} {
		view := flowscope.PacketView{Frame: testkit.UDP("10.9.9.9:9", "10.9.9.8:8"), Timestamp: at.Add(days * day)}
		for _, ev := range tracker.Track(view) {
			if ev.Kind == flowscope.EventEnded {
				ended++
			}
		}
		if days == 99 {
			require.Zero(t, ended)
		}
	}
	require.Equal(t, 1, ended)
}
