package flowscope_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/contest"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// batcher is what a tracker and a driver have in common here.
type batcher interface {
	Track(flowscope.PacketView) []drvEvent
	TrackBatch([]flowscope.PacketView) iter.Seq2[int, []drvEvent]
	Finish() []drvEvent
}

func eventText(ev *drvEvent) string {
	s := ""
	if ev.Stats != nil {
		s = fmt.Sprintf("%+v", *ev.Stats)
	}
	return fmt.Sprint(ev.Kind, ev.Flow, ev.Packet, ev.Timestamp, ev.Key, ev.Side, ev.Orientation, ev.L4, ev.State, ev.From,
		ev.Reason, ev.Anomaly, ev.Cause, ev.ICMPType, ev.ICMPCode, ev.Offset, ev.Len, string(ev.Bytes), ev.History, s)
}

func textOf(events []drvEvent) (all []string) {
	for i := range events {
		all = append(all, eventText(&events[i]))
	}
	return all
}

// batchers make pairs of the same kind.
func batchers(t *testing.T, cfg flowscope.Config) map[string]func() batcher {
	cfg.Events = flowscope.AllEvents
	must := func(b batcher, err error) batcher {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return map[string]func() batcher{
		"tracker": func() batcher { return must(flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)) },
		"tunnels": func() batcher {
			return must(flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), cfg))
		},
		"driver": func() batcher { return must(flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)) },
		"driver, own reassemblers": func() batcher {
			return must(flowscope.NewFlowDriver(flowscope.FiveTuple{}, flowscope.BufferedReassemblerFactory[drvKey]{MaxBuffer: 4000}, cfg))
		},
	}
}

// sameInBatches plays the packets one by one, in batches of random sizes, and without fast paths.
func sameInBatches(t *testing.T, name string, cfg flowscope.Config, views []flowscope.PacketView) {
	t.Helper()
	for kind, make := range batchers(t, cfg) {
		one, many, slow := make(), make(), withoutFastPaths(make)
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
			if d, ok := one.(*flowscope.FlowDriver[drvKey, struct{}]); ok {
				if a, b := d.Stats(), many.(*flowscope.FlowDriver[drvKey, struct{}]).Stats(); a != b {
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
		for _, c := range calls(randomBytes(seed+900, 3000)) {
			if c.kind == callTrack {
				views = append(views, c.view)
			}
		}
		sameInBatches(t, fmt.Sprintf("seed %d", seed), soupConfigs[seed%uint64(len(soupConfigs))], views)
	}
	sameInBatches(t, "tunnels.pcap", flowscope.Config{Checksums: flowscope.ChecksumAuto}, load(t, "testdata/captures/tunnels.pcap"))
}

func TestABatchSaysOfRealCapturesWhatTheirPacketsSay(t *testing.T) {
	for i, name := range captures(t) {
		if views := load(t, name); !testing.Short() || i%8 == 0 {
			sameInBatches(t, filepath.Base(name), flowscope.Config{MaxFlows: 100}, views)
		}
	}
}

func TestALoopThatEndsEarlyLeavesTheRestUntracked(t *testing.T) {
	tr := newTracker(t, flowscope.Config{})
	views := load(t, "testdata/captures/http.pcap")
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
	one := newTracker(t, flowscope.Config{})
	for _, v := range views {
		one.Track(v)
	}
	if a, b := one.Stats(), tr.Stats(); a != b {
		t.Errorf("%+v, in batches %+v", a, b)
	}
}

func TestABatchAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the invariants build copies what it lends")
	}
	talks := newTalks(100, true)
	d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
	if err != nil {
		t.Fatal(err)
	}
	views := make([]flowscope.PacketView, 64)
	now := flowscope.Timestamp(1)
	next := func() {
		for i := range views {
			now++
			views[i] = flowscope.PacketView{Frame: talks.next(uint32(i)), Timestamp: now}
		}
		for _, events := range d.TrackBatch(views) {
			_ = events
		}
	}
	for range 10 {
		next()
	}
	if n := testing.AllocsPerRun(100, next); n > 0 {
		t.Errorf("%v allocations for 64 packets", n)
	}
}

// BenchmarkBatch compares packets in batches with packets one by one.
func BenchmarkBatch(b *testing.B) {
	for _, flows := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) {
			if testing.Short() && flows > 1000 {
				b.Skip("memory")
			}
			cfg := flowscope.Config{MaxFlows: flows, Events: flowscope.Events(flowscope.EventEnded)}
			contenders := []contest.Contender[flowscope.PacketView]{
				flooring(flows), tracking(b, "track", cfg), batching("track-batch", mustTracker(b, cfg)),
			}
			if flows < 1_000_000 { // or it would take more than 2 GiB
				contenders = append(contenders, driving(b, "driver", cfg), batching("driver-batch", mustDriver(b, cfg)))
			}
			contest.Run(b, contenders, newTalks(flows, true).established(contenders))
		})
	}
}

// batching collects packets and tracks 256 at a time.
func batching(name string, t batcher) contest.Contender[flowscope.PacketView] {
	return contest.Contender[flowscope.PacketView]{Name: name, Take: func(views []flowscope.PacketView) {
		for batch := range slices.Chunk(views, 256) {
			for range t.TrackBatch(batch) {
			}
		}
	}}
}
