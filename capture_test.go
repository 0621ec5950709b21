package flowscope_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
)

// captures are real files that come with the work on the library but are not part of it.
func captures(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.pcap", "*.pcapng"} {
		more, err := filepath.Glob("../shared/captures/open/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, more...)
	}
	if len(names) == 0 {
		t.Skip("../shared/captures/open is not here: real captures are not part of the repository")
	}
	return names
}

func load(t *testing.T, name string) (views []flowscope.PacketView) {
	t.Helper()
	for v, err := range flowscope.OpenCapture(name) {
		if err != nil {
			t.Logf("%s: %v", filepath.Base(name), err)
			break
		}
		v.Frame = bytes.Clone(v.Frame)
		views = append(views, v)
	}
	return views
}

func TestPromisesHoldOnRealCaptures(t *testing.T) {
	packets, flows := 0, uint64(0)
	for _, name := range captures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), func(t *testing.T) {
			views := load(t, name)
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
	l := newAudited(t, ex, cfg)
	l.lies = true
	for _, v := range views {
		l.Track(v)
	}
	l.Finish()
	return l.t.Stats().FlowsCreated
}

func TestNoSnapLengthHurts(t *testing.T) {
	for _, name := range captures(t) {
		views := load(t, name)
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
		tr := newTracker(t, flowscope.Config{Events: flowscope.Events(flowscope.EventReleased), Fragments: flowscope.FragmentsIgnore})
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
	for _, name := range captures(t) {
		views := load(t, name)
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
