package main_test

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// TestWhatAMillionFlowsTake measures the heap that a flow of each kind takes while it waits for its next packet, index
// included. TestAMillionIdleFlows holds the limit that was set for TCP in a tracker; these limits hold the rest where
// it is.
func TestWhatAMillionFlowsTake(t *testing.T) {
	if testing.Short() || invariants.Enabled {
		t.Skip("a million flows are too many for -short and for -tags invariants")
	}
	if unsafe.Sizeof(uintptr(0)) < 8 {
		t.Skip("the figures are those of 64 bits")
	}
	question, early := testkit.UDP(testkit.Client, testkit.Server), testkit.TCP(testkit.Client, testkit.Server, "PA", 200, 301, "x")
	handshake := [][]byte{testkit.TCP(testkit.Client, testkit.Server, "S", 100, 0, ""), testkit.TCP(testkit.Server, testkit.Client, "SA", 300, 101, ""), testkit.TCP(testkit.Client, testkit.Server, "A", 101, 301, "")}
	for _, c := range []struct {
		name   string
		driver bool
		flows  int
		frames [][]byte // of each flow, from the client first, then in turn
		limit  float64
	}{
		{"UDP in a tracker", false, 1_000_000, [][]byte{question}, 320},
		{"TCP in a tracker", false, 1_000_000, handshake, 320},
		{"UDP in a driver", true, 1_000_000, [][]byte{question}, 480},
		{"TCP in a driver", true, 1_000_000, handshake, 480},
		{"TCP in a driver, a byte held", true, 250_000, append(handshake[:3:3], early), 900},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := flowscope.Config{MaxFlows: c.flows, Events: flowscope.Events(flowscope.EventEnded), TotalBytes: 1 << 40}
			before := testkit.Heap()
			var track func(flowscope.PacketView)
			var alive func() int
			held := func() int64 { return 0 }
			if c.driver {
				d := testkit.NewDriver(t, nil, cfg)
				track, alive = func(v flowscope.PacketView) { d.Track(v) }, d.Len
				held = func() int64 { return d.Stats().HeldBytes }
			} else {
				tr := testkit.NewTracker(t, cfg)
				track, alive = func(v flowscope.PacketView) { tr.Track(v) }, tr.Len
			}
			for i := range c.flows {
				for k, frame := range c.frames {
					if k == 1 { // the server answers
						binary.BigEndian.PutUint32(frame[30:], uint32(i))
					} else {
						testkit.Readdress(frame, uint32(i))
					}
					track(flowscope.PacketView{Frame: frame, Timestamp: flowscope.Timestamp(i) * 10})
				}
			}
			each := float64(testkit.Heap()-before) / float64(c.flows)
			if alive() != c.flows {
				t.Fatalf("%d flows", alive())
			}
			if wants := len(c.frames) == 4; wants != (held() > 0) {
				t.Errorf("%d bytes are held", held())
			}
			t.Logf("%.1f bytes a flow", each)
			if each > c.limit {
				t.Errorf("at most %.0f", c.limit)
			}
		})
	}
}
