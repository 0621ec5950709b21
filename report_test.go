package flowscope_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// twoHours is a connection in which each side sends ten bytes in turn, every ten seconds, from 0 to 2 h: a segment is
// lost and one is sent again. It ends with the capture.
func twoHours() (views []flowscope.PacketView) {
	c, s := testkit.Client, testkit.Server
	add := func(at float64, frame []byte) {
		views = append(views, flowscope.PacketView{Frame: frame, Timestamp: testkit.Seconds(1e9 + at), ID: uint64(len(views) + 1)})
	}
	add(0, testkit.TCP(c, s, "S", 100, 0, ""))
	add(0.01, testkit.TCP(s, c, "SA", 500, 101, ""))
	add(0.02, testkit.TCP(c, s, "A", 101, 501, ""))
	seq := [2]uint32{101, 501}
	for i := 1; i <= 720; i++ {
		side := i & 1
		ends := [2]string{c, s}
		if i != 333 {
			add(float64(i*10), testkit.TCP(ends[side], ends[1-side], "PA", seq[side], seq[1-side], "0123456789"))
		}
		if i%100 == 0 {
			add(float64(i*10)+1, testkit.TCP(ends[side], ends[1-side], "PA", seq[side], seq[1-side], "0123456789"))
		}
		seq[side] += 10
	}
	return views
}

func TestALongFlowIsReported(t *testing.T) {
	run := func(every time.Duration, batch bool) (reports []flowscope.Record, parts []flowscope.FlowStats, rest []string, final flowscope.FlowStats) {
		d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{
			ReportEvery: every, Details: flowscope.AllDetails, Events: flowscope.AllEvents,
		})
		require.NoError(t, err)
		var before flowscope.FlowStats
		take := func(events []flowscope.Event) {
			for i := range events {
				ev := &events[i]
				if ev.Stats != nil && ev.Kind != flowscope.EventReleased {
					r := flowscope.RecordOf(ev)
					reports = append(reports, r)
					parts = append(parts, ev.Stats.Sub(&before))
					before = *ev.Stats
					assert.Equal(t, ev.Kind == flowscope.EventEnded, r.Final)
				}
				if ev.Kind == flowscope.EventEnded {
					final = *ev.Stats
				}
				if ev.Kind != flowscope.EventReport {
					rest = append(rest, fmt.Sprintf("%v %q %+v", ev, ev.Bytes, ev.Stats))
				}
			}
		}
		views := twoHours()
		if batch {
			for _, events := range d.TrackBatch(views) {
				take(events)
			}
		} else {
			for _, v := range views {
				take(d.Track(v))
			}
		}
		take(d.Finish())
		return reports, parts, rest, final
	}
	_, _, plain, _ := run(0, false)
	for _, batch := range []bool{false, true} {
		records, parts, rest, final := run(5*time.Minute, batch)
		require.Len(t, records, 24)
		assert.Equal(t, plain, rest, "the flow and its streams go on untouched")
		var sum flowscope.FlowStats
		for i, p := range parts {
			sum = sum.Add(&p)
			assert.Equal(t, records[0].UID, records[i].UID)
			assert.InDelta(t, 30, float64(p.Packets[0]+p.Packets[1]), 4)
			assert.LessOrEqual(t, records[i].End.Sub(records[0].Start), time.Duration(i+1)*5*time.Minute)
		}
		counters := func(s flowscope.FlowStats) string {
			return fmt.Sprint(s.Packets, s.Bytes, s.IPBytes, s.Payload, s.Retransmitted, s.RetransmittedBytes, s.Streams, s.First, s.Last)
		}
		assert.Equal(t, counters(final), counters(sum))
		assert.Equal(t, uint64(1), final.Streams[1].Gaps, "something was lost")
	}
}

// What is due while no packets come is said by Sweep, once for any number of times.
func TestReportsOfSilentFlows(t *testing.T) {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{
		ReportEvery: time.Minute, UDPTimeout: flowscope.Never, Events: flowscope.Events(flowscope.EventReport),
	})
	require.NoError(t, err)
	tracker.Track(flowscope.PacketView{Frame: testkit.UDP(testkit.Client, testkit.Server), Timestamp: testkit.Seconds(100)})
	at := func(now float64) (all []string) {
		for _, ev := range tracker.Sweep(testkit.Seconds(now)) {
			all = append(all, fmt.Sprint(ev.Timestamp, " ", ev.Stats.Packets))
			assert.Zero(t, ev.Packet)
		}
		return all
	}
	assert.Empty(t, at(160), "the minute has not passed")
	assert.Equal(t, []string{"160.000000000 [1 0]"}, at(160.5))
	assert.Empty(t, at(160.6))
	assert.Equal(t, []string{"340.000000000 [1 0]"}, at(400))
	assert.Equal(t, []string{"400.000000000 [1 0]"}, at(401))
	tracker.Finish()
	assert.Empty(t, at(10_000), "no flow, no report")
}

// A flow that ended is not reported while it lingers, and a slot used again is reported by its new flow's time.
func TestEndedFlowsAreNotReported(t *testing.T) {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{
		ReportEvery: time.Second, Events: flowscope.Events(flowscope.EventReport, flowscope.EventEnded), LingerTimeout: time.Hour,
	})
	require.NoError(t, err)
	for i, frame := range [][]byte{testkit.TCP(testkit.Client, testkit.Server, "S", 1, 0, ""), testkit.TCP(testkit.Server, testkit.Client, "RA", 0, 2, "")} {
		tracker.Track(flowscope.PacketView{Frame: frame, Timestamp: testkit.Seconds(float64(100 + i))})
	}
	assert.Empty(t, tracker.Sweep(testkit.Seconds(2000)))
	_, err = flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{ReportEvery: -1})
	assert.ErrorIs(t, err, flowscope.ErrConfig)
}

// A flow that had been silent for its timeout is not reported, whether the clock has come to the packet that shows it
// or not: its own next packet is not believed at once.
func TestSilentFlowsAreNotReported(t *testing.T) {
	for name, second := range map[string]string{"its own": testkit.Client, "another": "192.0.2.77:4000"} {
		for _, every := range []time.Duration{time.Second, time.Minute} {
			tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{
				ReportEvery: time.Minute, UDPTimeout: 10 * time.Second,
				Events: flowscope.Events(flowscope.EventReport, flowscope.EventEnded),
			})
			require.NoError(t, err)
			var told []string
			show := func(events []flowscope.Event) {
				for _, ev := range events {
					told = append(told, fmt.Sprint(ev.Kind, " ", ev.Timestamp, " ", ev.Reason))
				}
			}
			show(tracker.Track(flowscope.PacketView{Frame: testkit.UDP(testkit.Client, testkit.Server), Timestamp: testkit.Seconds(0)}))
			if every == time.Second {
				for at := 1.0; at < 300; at++ {
					show(tracker.Sweep(testkit.Seconds(at)))
				}
			}
			for i := range 2 {
				show(tracker.Track(flowscope.PacketView{Frame: testkit.UDP(second, testkit.Server), Timestamp: testkit.Seconds(300 + float64(i))}))
			}
			require.NotEmpty(t, told, name)
			assert.Regexp(t, "^ended .*idle", told[0], "packets of %s, sweeps each %v", name, every)
			assert.Len(t, told, 1)
		}
	}
}
