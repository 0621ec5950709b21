package acceptance

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// TestAMillionIdleFlows measures what a flow costs while nothing happens: at most 288 bytes of heap, index
// included, 416 in a driver, and nothing in a sweep that finds nothing.
func TestAMillionIdleFlows(t *testing.T) {
	if testing.Short() || invariants.Enabled {
		t.Skip("a million flows are too many for -short and for -tags invariants")
	}
	if unsafe.Sizeof(uintptr(0)) < 8 {
		t.Skip("the figures are those of 64 bits")
	}
	const flows = 1_000_000
	cfg := flowscope.Config{MaxFlows: flows, Events: flowscope.Events(flowscope.EventEnded)}
	fill := func(most float64, frame []byte, track func(flowscope.PacketView), length func() int, before int64) {
		t.Helper()
		for i := range flows {
			testkit.Readdress(frame, uint32(i))
			track(flowscope.PacketView{Frame: frame, Timestamp: flowscope.Timestamp(i) * 1000})
		}
		if length() != flows {
			t.Fatalf("%d flows", length())
		}
		if each := float64(testkit.Heap()-before) / flows; each > most {
			t.Errorf("%.1f bytes a flow, at most %.0f", each, most)
		} else {
			t.Logf("%.1f bytes a flow", each)
		}
		runtime.KeepAlive(track)
	}
	for _, frame := range [][]byte{testkit.TCP(testkit.Client, testkit.Server, "A", 1, 1, ""), testkit.UDP(testkit.Client, testkit.Server)} {
		before := testkit.Heap()
		d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)
		if err != nil {
			t.Fatal(err)
		}
		fill(416, frame, func(v flowscope.PacketView) { d.Track(v) }, d.Len, before)
	}
	question := testkit.UDP(testkit.Client, testkit.Server)
	before := testkit.Heap()
	tr := testkit.NewTracker(t, cfg)
	fill(288, question, func(v flowscope.PacketView) { tr.Track(v) }, tr.Len, before)
	tr = nil
	before = testkit.Heap()
	tr = testkit.NewTracker(t, cfg)
	fill(288, testkit.TCP(testkit.Client, testkit.Server, "A", 1, 1, ""), func(v flowscope.PacketView) { tr.Track(v) }, tr.Len, before)
	now := tr.Now()
	tr.Sweep(now.Add(time.Second)) // may turn the wheel
	best := time.Hour
	for range 20 {
		start := time.Now()
		events := tr.Sweep(now.Add(time.Second))
		best = min(best, time.Since(start))
		if len(events) > 0 {
			t.Fatal("the sweep was not quiet")
		}
	}
	if best > 50*time.Microsecond {
		t.Errorf("a quiet sweep took %v, at most 50 µs", best)
	}
	n := len(tr.Sweep(now.Add(time.Hour)))
	for tr.More() {
		n += len(tr.Sweep(now.Add(time.Hour)))
	}
	if n != flows {
		t.Errorf("sweeps ended %d of %d", n, flows)
	}
}
