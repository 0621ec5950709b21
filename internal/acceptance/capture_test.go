package acceptance

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

func TestPromisesHoldOnRealCaptures(t *testing.T) {
	packets, flows := 0, uint64(0)
	for _, name := range testkit.Captures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), func(t *testing.T) {
			views := testkit.Load(t, name)
			packets += len(views)
			for _, cfg := range []flowscope.Config{{}, {MaxFlows: 2}} {
				flows += auditCapture(t, flowscope.FiveTuple{}, cfg, views)
				auditCapture(t, flowscope.FiveTuple{Directional: true, VLAN: true}, cfg, views)
				auditCapture(t, flowscope.IPPair{}, cfg, views)
				auditCapture(t, flowscope.MACPair{}, cfg, views)
			}
		})
	}
	if packets < 1000 || flows < 100 {
		t.Errorf("only %d packets and %d flows: were the files read?", packets, flows)
	}
}

func auditCapture[K comparable](t *testing.T, ex flowscope.FlowExtractor[K], cfg flowscope.Config, views []flowscope.PacketView) uint64 {
	t.Helper()
	l := testkit.NewAudited(t, ex, cfg)
	l.Oversized = true
	for _, v := range views {
		l.Track(v)
	}
	l.Finish()
	return l.Tracker.Stats().FlowsCreated
}

func TestNoSnapLengthHurts(t *testing.T) {
	for _, name := range testkit.Captures(t) {
		views := testkit.Load(t, name)
		if len(views) > 300 {
			views = views[:300]
		}
		for _, snap := range []int{0, 1, 13, 14, 15, 17, 18, 20, 33, 34, 35, 38, 42, 53, 54, 55, 60, 66, 74, 96, 128} {
			var short []flowscope.PacketView
			for _, v := range views {
				v.WireLen = max(v.WireLen, len(v.Frame))
				v.Frame = v.Frame[:min(snap, len(v.Frame))]
				short = append(short, v)
			}
			auditCapture(t, flowscope.FiveTuple{}, flowscope.Config{}, short)
		}
	}
}

// TestASnapLengthOf192BytesCountsTheSamePayload: headers are whole at 192 bytes in nearly every capture, and so the
// flows, their packets and their payload must be those of the whole frames.
func TestASnapLengthOf192BytesCountsTheSamePayload(t *testing.T) {
	count := func(views []flowscope.PacketView, snap int) map[flowscope.FiveTupleKey][4]uint64 {
		// Fragments that are cut can never be put together.
		tr := testkit.NewTracker(t, flowscope.Config{Events: flowscope.Events(flowscope.EventReleased), Fragments: flowscope.FragmentsIgnore})
		sums := map[flowscope.FiveTupleKey][4]uint64{}
		add := func(events []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
			for _, ev := range events {
				s := sums[ev.Key]
				for side := range 2 {
					s[side] += ev.Stats.Packets[side] + ev.Stats.Late[side]
					s[2+side] += ev.Stats.Payload[side]
				}
				sums[ev.Key] = s
			}
		}
		for _, v := range views {
			v.WireLen = max(v.WireLen, len(v.Frame))
			v.Frame = v.Frame[:min(snap, len(v.Frame))]
			add(tr.Track(v))
		}
		add(tr.Finish())
		return sums
	}
	compared := 0
	for _, name := range testkit.Captures(t) {
		views := testkit.Load(t, name)
		short, whole := count(views, 192), count(views, 1<<20)
		if len(short) != len(whole) {
			t.Errorf("%s: %d keys, %d in the whole frames", filepath.Base(name), len(short), len(whole))
		}
		for k, w := range whole {
			compared++
			if s := short[k]; s != w {
				t.Errorf("%s %v: %v, %v in the whole frames", filepath.Base(name), k, s, w)
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d flows", compared)
	}
}
