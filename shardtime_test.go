package flowscope_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// flowRecords are the flows of a capture, a line each: what is known of a flow at its end.
type flowRecords map[string]int

func (r flowRecords) hear(events []flowscope.Event) {
	for i := range events {
		if ev := &events[i]; ev.Kind == flowscope.EventEnded {
			r[fmt.Sprintf("%v %v %v %v %v %+v", ev.Key, ev.L4, ev.Orientation, ev.Reason, ev.History, *ev.Stats)]++
		}
	}
}

// nobody is an extractor that refuses all packets.
type nobody struct{}

func (nobody) Extract(flowscope.PacketView, *flowscope.Extracted[struct{}]) bool { return false }

// shardRecords are the records of n drivers with every default. Each is told the time that was read, at least once a
// second: that of a clock that sees all packets.
func shardRecords(tb testing.TB, views []flowscope.PacketView, n int) flowRecords {
	tb.Helper()
	all := make([]*flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}], n)
	for i := range all {
		d, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{})
		if err != nil {
			tb.Fatal(err)
		}
		all[i] = d
	}
	reader, err := flowscope.NewFlowTracker(nobody{}, flowscope.Config{MaxFlows: 1})
	if err != nil {
		tb.Fatal(err)
	}
	records, sharder, told := flowRecords{}, flowscope.NewSharder(n), flowscope.Timestamp(0)
	for i, v := range views {
		reader.Track(v)
		records.hear(all[sharder.Shard(v)].Track(v))
		now := reader.Now()
		if i == len(views)-1 {
			reader.Sweep(v.Timestamp)
			now = reader.Now()
		}
		if i == 0 || now.Sub(told).Abs() >= time.Second || i == len(views)-1 {
			told = now
			for _, d := range all {
				records.hear(d.Sweep(now))
			}
		}
	}
	for _, d := range all {
		records.hear(d.Finish())
	}
	return records
}

// oneRecords are those of one driver, which nobody tells anything.
func oneRecords(tb testing.TB, views []flowscope.PacketView) flowRecords {
	tb.Helper()
	d, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	records := flowRecords{}
	for _, v := range views {
		records.hear(d.Track(v))
	}
	records.hear(d.Finish())
	return records
}

func TestShardsToldTheTimeSayWhatOneDriverSays(t *testing.T) {
	flows := 0
	for _, name := range testkit.Captures(t) {
		views := testkit.Load(t, name)
		want := oneRecords(t, views)
		flows += len(want)
		for _, n := range []int{1, 2, 5} {
			got := shardRecords(t, views, n)
			var differ []string
			for line, count := range want {
				if got[line] != count {
					differ = append(differ, "- "+line)
				}
			}
			for line, count := range got {
				if want[line] != count {
					differ = append(differ, "+ "+line)
				}
			}
			if slices.Sort(differ); len(differ) != 0 {
				t.Errorf("%s, %d drivers: %d lines differ\n%.3000s", filepath.Base(name), n, len(differ), fmt.Sprint(differ))
			}
		}
	}
	if flows < 500 {
		t.Errorf("only %d flows", flows)
	}
}
