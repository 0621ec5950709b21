package main

import (
	"bytes"
	"testing"

	"github.com/flowscope-go/flowscope"
)

// TestSyntheticTraffic holds that the traffic is what its name says: a driver finds in it what was
// put there, and nothing else; and it is the same at every call.
func TestSyntheticTraffic(t *testing.T) {
	const scale = 0.02
	for _, c := range []struct {
		workload    string
		flows       uint64
		bytes, loss bool
	}{
		{"web", 400, true, false},
		{"manyflows", 600, true, false},
		{"bulk", 6, true, false},
		{"lossy", 16, true, true},
		{"dns", 1200, false, false},
		{"mixed", 120 + 300, true, false},
	} {
		frames := synthetic(c.workload, scale)
		for i, f := range synthetic(c.workload, scale) {
			if !bytes.Equal(f, frames[i]) {
				t.Fatalf("%s: frame %d differs", c.workload, i)
			}
		}
		d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{Checksums: flowscope.ChecksumVerify})
		if err != nil {
			t.Fatal(err)
		}
		held := int64(0)
		for _, v := range stamped(frames) {
			for _, ev := range d.Track(v) {
				if ev.Kind == flowscope.EventAnomaly && !c.loss && c.workload != "mixed" {
					t.Errorf("%s: %v", c.workload, ev.Anomaly)
				}
			}
			held = max(held, d.Stats().HeldBytes)
		}
		if (held > 0) != c.loss && c.workload != "mixed" {
			t.Errorf("%s: up to %d early bytes are held", c.workload, held)
		}
		d.Finish()
		s := d.Stats()
		if s.FlowsCreated < c.flows || s.PacketsUnmatched > 0 || s.ChecksumsBad > 0 || s.Streams.Gaps > 0 || s.Streams.Conflicts > 0 {
			t.Errorf("%s: %d flows, want %d; %d unmatched, %d bad checksums, %d gaps, %d conflicts", c.workload,
				s.FlowsCreated, c.flows, s.PacketsUnmatched, s.ChecksumsBad, s.Streams.Gaps, s.Streams.Conflicts)
		}
		if got := s.Streams.Delivered > 0; got != c.bytes {
			t.Errorf("%s: %d bytes", c.workload, s.Streams.Delivered)
		}
		if tcp := s.FlowsCreated - s.Ended[flowscope.EndFinished]; c.workload != "dns" && s.Ended[flowscope.EndFIN] != tcp {
			t.Errorf("%s: %d flows ended by FIN, want %d", c.workload, s.Ended[flowscope.EndFIN], tcp)
		}
	}
	if synthetic("nothing", scale) != nil {
		t.Error("traffic of an unknown workload")
	}
}
