package acceptance

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

func eventText(ev *testkit.Event) string {
	s := ""
	if ev.Stats != nil {
		s = fmt.Sprintf("%+v", *ev.Stats)
	}
	return fmt.Sprint(ev.Kind, ev.Flow, ev.Packet, ev.Timestamp, ev.Key, ev.Side, ev.Orientation, ev.L4, ev.State, ev.From,
		ev.Reason, ev.Anomaly, ev.Cause, ev.ICMPType, ev.ICMPCode, ev.Offset, ev.Len, string(ev.Bytes), ev.History, s)
}

func textOf(events []testkit.Event) (all []string) {
	for i := range events {
		all = append(all, eventText(&events[i]))
	}
	return all
}

// batchers make pairs of the same kind.
func batchers(t *testing.T, cfg flowscope.Config) map[string]func() testkit.Batcher {
	cfg.Events = flowscope.AllEvents
	must := func(b testkit.Batcher, err error) testkit.Batcher {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return map[string]func() testkit.Batcher{
		"tracker": func() testkit.Batcher { return must(flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)) },
		"tunnels": func() testkit.Batcher {
			return must(flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), cfg))
		},
		"driver": func() testkit.Batcher { return must(flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)) },
		"driver, own reassemblers": func() testkit.Batcher {
			return must(flowscope.NewFlowDriver(flowscope.FiveTuple{}, flowscope.BufferedReassemblerFactory[testkit.Key]{MaxBuffer: 4000}, cfg))
		},
	}
}

// sameInBatches plays the packets one by one, in batches of random sizes, and without fast paths.
func sameInBatches(t *testing.T, name string, cfg flowscope.Config, views []flowscope.PacketView) {
	t.Helper()
	for kind, make := range batchers(t, cfg) {
		one, many, slow := make(), make(), testkit.WithoutFastPaths(make)
		sizes := rand.New(rand.NewPCG(1, uint64(len(views))))
		for at := 0; at < len(views); {
			n := min(1+sizes.IntN(50), len(views)-at)
			batch := views[at : at+n]
			got := map[int][]string{}
			last := -1
			for i, events := range many.TrackBatch(batch) {
				if i <= last || len(events) == 0 {
					t.Fatalf("%s, %s: packet %d of a batch after %d, with %d events", name, kind, i, last, len(events))
				}
				last = i
				got[i] = textOf(events)
			}
			for i, v := range batch {
				want := textOf(one.Track(v))
				if !slices.Equal(want, got[i]) {
					t.Fatalf("%s, %s: packet %d: in a batch %q, alone %q", name, kind, at+i, got[i], want)
				}
				if got := textOf(slow.Track(v)); !slices.Equal(want, got) {
					t.Fatalf("%s, %s: packet %d: without fast paths %q, with them %q", name, kind, at+i, got, want)
				}
			}
			at += n
			if d, ok := one.(*flowscope.FlowDriver[testkit.Key, struct{}]); ok {
				if a, b := d.Stats(), many.(*flowscope.FlowDriver[testkit.Key, struct{}]).Stats(); a != b {
					t.Fatalf("%s, %s: after packet %d %+v, in batches %+v", name, kind, at, a, b)
				}
			}
		}
		a, b, c := textOf(one.Finish()), textOf(many.Finish()), textOf(slow.Finish())
		if !slices.Equal(a, b) || !slices.Equal(a, c) {
			t.Fatalf("%s, %s: at the end %q alone, %q in batches, %q without fast paths", name, kind, a, b, c)
		}
	}
}

func TestABatchSaysWhatItsPacketsSayOneByOne(t *testing.T) {
	seeds := uint64(24)
	if testing.Short() || invariants.Enabled {
		seeds = 6
	}
	for seed := range seeds {
		var views []flowscope.PacketView
		for _, c := range testkit.Calls(testkit.RandomBytes(seed+900, 3000)) {
			if c.Kind == testkit.CallTrack {
				views = append(views, c.View)
			}
		}
		sameInBatches(t, fmt.Sprintf("seed %d", seed), testkit.SoupConfigs[seed%uint64(len(testkit.SoupConfigs))], views)
	}
	sameInBatches(t, "tunnels.pcap", flowscope.Config{Checksums: flowscope.ChecksumAuto}, testkit.Load(t, testkit.Path("testdata/captures/tunnels.pcap")))
}

func TestABatchSaysOfRealCapturesWhatTheirPacketsSay(t *testing.T) {
	for i, name := range testkit.Captures(t) {
		if views := testkit.Load(t, name); !testing.Short() || i%8 == 0 {
			sameInBatches(t, filepath.Base(name), flowscope.Config{MaxFlows: 100}, views)
		}
	}
}

func TestALoopThatEndsEarlyLeavesTheRestUntracked(t *testing.T) {
	tr := testkit.NewTracker(t, flowscope.Config{})
	views := testkit.Load(t, testkit.Path("testdata/captures/http.pcap"))
	for i := range tr.TrackBatch(views) {
		if i == 4 {
			break
		}
	}
	if n := tr.Stats().Packets; n != 5 {
		t.Errorf("%d packets", n)
	}
	for range tr.TrackBatch(views[5:]) {
	}
	one := testkit.NewTracker(t, flowscope.Config{})
	for _, v := range views {
		one.Track(v)
	}
	if a, b := one.Stats(), tr.Stats(); a != b {
		t.Errorf("%+v, in batches %+v", a, b)
	}
}
