package acceptance

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// identities plays packets under a book that holds every call to A23 and A24: what was delivered and what was given up
// are the final offset, and every flow ends once.
func identities(t *testing.T, cfg flowscope.Config, views []flowscope.PacketView) flowscope.DriverStats {
	t.Helper()
	d := testkit.NewDriver(t, nil, cfg)
	b := testkit.NewBook(t, d)
	for i, v := range views {
		v.ID = uint64(i + 1)
		b.Take(d.Track(v))
	}
	b.Take(d.Finish())
	b.Finish()
	st := d.Stats()
	if st.FlowsCreated != st.FlowsEnded || st.FlowsActive != 0 || len(b.Flows) != int(st.FlowsCreated) {
		t.Fatalf("%d flows created, %d ended, %d were spoken of", st.FlowsCreated, st.FlowsEnded, len(b.Flows))
	}
	return st
}

// tight are limits that bite at once.
var tight = []flowscope.Config{
	{MaxFlows: 10_000},
	{MaxFlows: 2},
	{SideBytes: 500, SidePieces: 2, TotalBytes: 4000},
	{HoleTimeout: 1, HoleOneSidedTimeout: 1, HoleAckedTimeout: 1, EstablishedTimeout: time.Second, KeepDelivered: 20},
	{SidePieces: 1, Overflow: flowscope.OverflowDropFlow, Overlap: flowscope.OverlapLast, MaxAnomalies: 1},
}

// A23 and A24 over every capture at hand.
func TestA23AndA24TheSumsAreRightOverEveryCapture(t *testing.T) {
	files, flows := captured(t), uint64(0)
	for _, name := range sortedNames(files) {
		for i, cfg := range tight[:sized(3, len(tight), len(tight))] {
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) { flows += identities(t, cfg, files[name]).FlowsCreated })
		}
	}
	if len(files) < 3 || flows < 50 {
		t.Errorf("only %d files and %d flows", len(files), flows)
	}
}

// A29. Stamps may be anything: nothing breaks, and one that is wrong ends no flow that is busy.
func TestA29AnyTimestampsAreHandled(t *testing.T) {
	files := captured(t)
	for seed, name := range sortedNames(files) {
		r := rand.New(rand.NewPCG(uint64(seed), 29))
		views := slices.Clone(files[name][:min(len(files[name]), sized(200, 1500, 5000))])
		for _, wild := range []func() flowscope.Timestamp{
			func() flowscope.Timestamp { return flowscope.Timestamp(r.Uint64()) },
			func() flowscope.Timestamp { return 0 },
			func() flowscope.Timestamp {
				return []flowscope.Timestamp{math.MinInt64, math.MaxInt64, -1, 1e18, 4e18}[r.IntN(5)]
			},
		} {
			for i := range views {
				views[i].Timestamp = wild()
			}
			identities(t, flowscope.Config{MaxFlows: 10_000}, views)
			identities(t, flowscope.Config{ClockJump: flowscope.Never, MaxFlows: 3}, views)
		}
	}
}

// A29. Among good timestamps a wrong one, however wrong, ends nothing and is reported once.
func TestA29OneWrongTimestampEndsNothing(t *testing.T) {
	views := testkit.NewTalk(rand.New(rand.NewPCG(29, 1)), 20_000).Views
	for i := range views {
		views[i].Timestamp = flowscope.Timestamp(1e18).Add(time.Duration(i) * time.Millisecond)
	}
	want := testkit.ReadStreams(t, nil, flowscope.Config{}, views)
	for _, wrong := range []flowscope.Timestamp{0, -1, math.MinInt64, math.MaxInt64, 1e18 + 2*3600e9, 1e18 - 1e15, 1e18 + 3e18} {
		for _, at := range []int{5, 20, len(views) / 2} {
			odd := slices.Clone(views)
			odd[at].Timestamp = wrong
			d := testkit.NewDriver(t, nil, flowscope.Config{})
			reported, data := 0, [2][]byte{}
			for i, v := range odd {
				for _, ev := range d.Track(v) {
					switch {
					case ev.Kind == flowscope.EventEnded && i < len(odd)-1 || ev.Kind == flowscope.EventGap:
						t.Fatalf("stamp %v at %d: %s", wrong, at, testkit.EventText(&ev))
					case ev.Kind == flowscope.EventAnomaly && (ev.Anomaly == flowscope.AnomalyClockBackward || ev.Anomaly == flowscope.AnomalyClockJump):
						reported++
					case ev.Kind == flowscope.EventData:
						data[ev.Side] = append(data[ev.Side], ev.Bytes...)
					}
				}
			}
			if st := d.Stats(); reported != 1 || st.FlowsCreated != 1 || st.Ended[flowscope.EndFIN] != 1 {
				t.Errorf("stamp %v at %d: reported %d times, %d flows, ended %v", wrong, at, reported, st.FlowsCreated, st.Ended)
			}
			for side := range data {
				if !bytes.Equal(data[side], want[side].Data) {
					t.Errorf("stamp %v at %d: side %d is not what it was", wrong, at, side)
				}
			}
		}
	}
}

// A29. Two sources whose clocks are 5 s apart: time stands with the one ahead, and the conversations of both live.
func TestA29TwoSourcesFiveSecondsApart(t *testing.T) {
	talks := [2]*testkit.Talk{testkit.NewTalk(rand.New(rand.NewPCG(29, 2)), 20_000), testkit.NewTalk(rand.New(rand.NewPCG(29, 3)), 20_000)}
	for _, v := range talks[1].Views {
		v.Frame[30+3]++ // another server, or client
		v.Frame[26+3]++
	}
	d := testkit.NewDriver(t, nil, flowscope.Config{OpeningTimeout: 2 * time.Second, EstablishedTimeout: 3 * time.Second})
	ended := 0
	for i := range max(len(talks[0].Views), len(talks[1].Views)) {
		for k, talk := range talks {
			if i >= len(talk.Views) {
				continue
			}
			v := talk.Views[i]
			v.Timestamp = flowscope.Timestamp(1e18).Add(time.Duration(i)*time.Millisecond - time.Duration(k)*5*time.Second)
			for _, ev := range d.Track(v) {
				if ev.Kind == flowscope.EventEnded {
					ended++
					if ev.Reason != flowscope.EndFIN || ev.Stats.Streams[0].GapBytes+ev.Stats.Streams[1].GapBytes > 0 {
						t.Errorf("%s", testkit.EventText(&ev))
					}
				}
			}
		}
	}
	if ended != 2 || d.Stats().FlowsCreated != 2 {
		t.Errorf("%d flows, %d ended", d.Stats().FlowsCreated, ended)
	}
}

// heardOf is what is heard of each direction of a set of packets, gaps as such.
type heardOf map[shardSide]*testkit.Stream

func hearAll(t *testing.T, views []flowscope.PacketView) (heard heardOf, midstream map[testkit.Key]bool) {
	t.Helper()
	// What comes at all counts, however late: patience is not what these tests are about.
	const never = flowscope.Never
	d := testkit.NewDriver(t, nil, flowscope.Config{
		MaxFlows: 10_000, EstablishedTimeout: never, ClosingTimeout: never, OpeningTimeout: never, LingerTimeout: never,
		HoleTimeout: never, HoleAckedTimeout: never, HoleOneSidedTimeout: never,
	})
	b := testkit.NewBook(t, d)
	heard, midstream = heardOf{}, map[testkit.Key]bool{}
	take := func(events []testkit.Event) {
		b.Take(events)
		for i := range events {
			ev := &events[i]
			// By orientation, since who began is not known where the beginning was cut off.
			k := shardSide{ev.Key, flowscope.FlowSide(ev.Orientation)}
			switch ev.Kind {
			case flowscope.EventData, flowscope.EventGap:
				if heard[k] == nil {
					heard[k] = &testkit.Stream{}
				}
				h, data := heard[k], ev.Bytes
				if ev.Kind == flowscope.EventGap {
					data = make([]byte, min(ev.Len, 1<<20))
				}
				h.Data = append(h.Data, data...)
				h.Mask = append(h.Mask, slices.Repeat([]bool{ev.Kind == flowscope.EventData}, len(data))...)
			case flowscope.EventEnded:
				midstream[ev.Key] = midstream[ev.Key] || ev.Stats.Midstream
			}
		}
	}
	for i, v := range views {
		v.ID = uint64(i + 1)
		take(d.Track(v))
	}
	take(d.Finish())
	b.Finish()
	return heard, midstream
}

// cleanCaptures are those whose conversations begin and whose bytes all come, once or more but never in two versions,
// and on one connection for each pair of ends. Keep-alives are left out: their byte may be any, and is told from data
// only while the true one is there.
func cleanCaptures(t *testing.T) (files map[string][]flowscope.PacketView) {
	t.Helper()
	files = captured(t)
	whole := len(files)
	for _, name := range sortedNames(files) {
		next := map[shardSide]uint32{}
		views := slices.DeleteFunc(files[name], func(v flowscope.PacketView) bool {
			var x flowscope.Extracted[testkit.Key]
			if !(flowscope.FiveTuple{}).Extract(v, &x) || !x.HasTCP || x.Missing > 0 {
				return true
			}
			k := shardSide{x.Key, flowscope.FlowSide(x.Orientation)}
			if len(x.Payload) == 1 && x.TCP.Seq+1 == next[k] {
				return true
			}
			next[k] = x.TCP.Seq + uint32(len(x.Payload))
			return false
		})
		files[name] = views
		d := testkit.NewDriver(t, nil, flowscope.Config{KeepDelivered: 1 << 20, MaxFlows: 10_000}) // which shows bytes that were sent in two versions
		clean := len(views) > 5 && len(views) < 20_000
		keys := map[testkit.Key]bool{}
		take := func(events []testkit.Event) {
			for i := range events {
				switch ev := &events[i]; ev.Kind {
				case flowscope.EventStarted:
					clean = clean && !keys[ev.Key]
					keys[ev.Key] = true
				case flowscope.EventGap, flowscope.EventUrgent:
					clean = false
				case flowscope.EventLate:
					clean = clean && len(ev.Bytes) == 0 // of another connection with the same numbers, as on another VLAN
				case flowscope.EventAnomaly:
					clean = clean && ev.Anomaly == flowscope.AnomalyOutOfOrderSegment
				case flowscope.EventEnded:
					flags := ev.Stats.Flags
					clean = clean && flags[0].Has(flowscope.FlagSYN) && flags[1].Has(flowscope.FlagSYN) &&
						(ev.Reason == flowscope.EndRST || !(flags[0] | flags[1]).Has(flowscope.FlagRST)) // one that only the other direction contradicts
				}
			}
		}
		for _, v := range views {
			take(d.Track(v))
		}
		take(d.Finish())
		if !clean {
			delete(files, name)
		}
	}
	for _, name := range []string{"http.pcap", "lossy.pcap"} {
		if files[name] == nil {
			t.Errorf("%s is not clean", name)
		}
	}
	if len(files) < whole/5 {
		t.Errorf("only %d clean captures of %d", len(files), whole)
	}
	return files
}

// A30. A capture that begins too late, by 1 to 20 packets, gives what remains of each stream.
func TestA30WhatRemainsOfACaptureThatBeginsTooLateIsItsEnd(t *testing.T) {
	compared := 0
	for name, views := range cleanCaptures(t) {
		whole, _ := hearAll(t, views)
		for cut := 1; cut <= 20 && cut < len(views); cut += sized(4, 1, 1) {
			rest, midstream := hearAll(t, views[cut:])
			for k, h := range rest {
				compared++
				n := remainder(views[cut:], k)
				if w := whole[k]; w == nil || !isSuffix(w, h) || countTrue(h.Mask) < n {
					t.Errorf("%s without its first %d packets: %v %v says %d bytes that are not the end of what it said, or fewer than %d",
						name, cut, k.key, k.side, countTrue(h.Mask), n)
				}
			}
			for key := range underWay(views[cut:]) {
				if !midstream[key] {
					t.Errorf("%s without its first %d packets: %v is not marked as under way", name, cut, key)
				}
			}
		}
	}
	if t.Logf("%d directions", compared); compared < 20 {
		t.Error("too few")
	}
}

// underWay are the conversations of which no SYN is left.
func underWay(views []flowscope.PacketView) map[testkit.Key]bool {
	keys := map[testkit.Key]bool{}
	for _, v := range views {
		var x flowscope.Extracted[testkit.Key]
		(flowscope.FiveTuple{}).Extract(v, &x)
		if _, seen := keys[x.Key]; !seen {
			keys[x.Key] = true
		}
		if x.TCP.Flags&flowscope.FlagSYN != 0 {
			keys[x.Key] = false
		}
	}
	maps.DeleteFunc(keys, func(_ testkit.Key, yes bool) bool { return !yes })
	return keys
}

// remainder tells how many bytes of a direction packets bring, from the first of its packets on or from what the other
// side acknowledged before.
func remainder(views []flowscope.PacketView, k shardSide) int {
	brought, began, acked, start := []bool(nil), false, false, uint32(0)
	for _, v := range views {
		var x flowscope.Extracted[testkit.Key]
		(flowscope.FiveTuple{}).Extract(v, &x)
		if x.Key == k.key && flowscope.FlowSide(x.Orientation) != k.side && !began && x.TCP.Flags&flowscope.FlagACK != 0 {
			acked, start = true, x.TCP.Ack
		}
		if x.Key != k.key || flowscope.FlowSide(x.Orientation) != k.side {
			continue
		}
		if x.TCP.Flags&flowscope.FlagSYN != 0 {
			x.TCP.Seq++ // its payload follows it
		}
		if !began && (!acked || int32(x.TCP.Seq-start) > 0) {
			start = x.TCP.Seq
		}
		began = true
		for i := range uint32(len(x.Payload)) {
			if at := int(int32(x.TCP.Seq + i - start)); at >= 0 && at < 1<<24 {
				brought = append(brought, make([]bool, max(at+1-len(brought), 0))...)
				brought[at] = true
			}
		}
	}
	return countTrue(brought)
}

func countTrue(all []bool) (n int) {
	for _, yes := range all {
		if yes {
			n++
		}
	}
	return n
}

// isSuffix reports whether h is the end of w, leaving out gaps.
func isSuffix(w, h *testkit.Stream) bool {
	at := len(w.Data) - len(h.Data)
	if at < 0 {
		return false
	}
	for i, b := range h.Data {
		if h.Mask[i] && b != w.Data[at+i] {
			return false
		}
	}
	return true
}

// A30. A capture of one direction says of that direction what the whole one says.
func TestA30OneDirectionAloneSaysTheSame(t *testing.T) {
	compared := 0
	for name, views := range cleanCaptures(t) {
		whole, _ := hearAll(t, views)
		for _, o := range []flowscope.Orientation{flowscope.Forward, flowscope.Reverse} {
			heard, _ := hearAll(t, slices.DeleteFunc(slices.Clone(views), func(v flowscope.PacketView) bool {
				var x flowscope.Extracted[testkit.Key]
				(flowscope.FiveTuple{}).Extract(v, &x)
				return x.Orientation != o
			}))
			for k, w := range whole {
				if k.side != flowscope.FlowSide(o) {
					continue
				}
				compared++
				if h := heard[k]; h == nil || !bytes.Equal(h.Data, w.Data) || slices.Contains(h.Mask, false) {
					t.Errorf("%s: %v alone does not say what it says of %v in the whole", name, o, k.key)
				}
			}
		}
	}
	if t.Logf("%d directions", compared); compared < 4 {
		t.Error("too few")
	}
}

// A31. Loss and duplication leave every byte that came in its place, and the gaps are what did not come. Packets that
// open or close are not lost: without its FIN nobody can tell its number from that of one more byte.
func TestA31LossInCapturesLeavesTheRestInItsPlace(t *testing.T) {
	files := cleanCaptures(t)
	seeds := uint64(sized(2, 30, 1000))
	for _, name := range sortedNames(files) {
		views := files[name]
		whole, _ := hearAll(t, views)
		for seed := range seeds {
			r := rand.New(rand.NewPCG(seed, 31))
			loss := []float64{0.001, 0.01, 0.1}[seed%3]
			var left []flowscope.PacketView
			for _, v := range views {
				var x flowscope.Extracted[testkit.Key]
				(flowscope.FiveTuple{}).Extract(v, &x)
				if len(x.Payload) > 0 && x.TCP.Flags&(flowscope.FlagSYN|flowscope.FlagFIN) == 0 && r.Float64() < loss {
					continue
				}
				if left = append(left, v); r.Float64() < loss {
					left = append(left, v)
				}
			}
			present := presence(left)
			heard, _ := hearAll(t, left)
			for k, w := range whole {
				h := heard[k]
				if h == nil {
					h = &testkit.Stream{}
				}
				there := present(k, len(w.Data))
				for n := len(h.Data); n < len(there) && !slices.Contains(there[n:], true); n = len(h.Data) {
					h.Data, h.Mask = append(h.Data, 0), append(h.Mask, false) // nothing came that shows them to be missing
				}
				if acked, reset := acknowledged(left, k); reset {
					for i := max(acked, 0); i < len(there); i++ { // what nobody acknowledged before a RST may be missing
						there[i] = there[i] && (i < len(h.Mask) && h.Mask[i])
					}
				}
				compareStream(t, fmt.Sprintf("%s seed %d: %v %v", name, seed, k.key, k.side), w.Data, there, *h)
			}
		}
	}
}

// presence tells which bytes of a direction packets bring, as far as its SYN is among them.
func presence(views []flowscope.PacketView) func(k shardSide, n int) []bool {
	type span struct{ seq, n uint32 }
	isn, spans := map[shardSide]uint32{}, map[shardSide][]span{}
	for _, v := range views {
		var x flowscope.Extracted[testkit.Key]
		(flowscope.FiveTuple{}).Extract(v, &x)
		k := shardSide{x.Key, flowscope.FlowSide(x.Orientation)}
		if x.TCP.Flags&flowscope.FlagSYN != 0 {
			isn[k] = x.TCP.Seq
			x.TCP.Seq++ // its payload follows it
		}
		spans[k] = append(spans[k], span{x.TCP.Seq, uint32(len(x.Payload))})
	}
	return func(k shardSide, n int) []bool {
		there := make([]bool, n)
		for _, s := range spans[k] {
			for i := range s.n {
				if at := int(int32(s.seq + i - isn[k] - 1)); at >= 0 && at < n {
					there[at] = true
				}
			}
		}
		return there
	}
}

// A32. Segments that overtake each other, by up to 32 places, change nothing. Where a RST ends the connection nothing
// comes that could confirm what is held, so there it is 3 places.
func TestA32ReorderingInCapturesChangesNothing(t *testing.T) {
	files := cleanCaptures(t)
	seeds := uint64(sized(2, 20, 1000))
	for _, name := range sortedNames(files) {
		views := files[name]
		whole, _ := hearAll(t, views)
		for seed := range seeds {
			r := rand.New(rand.NewPCG(seed, 32))
			moved := displaced(r, views)
			for i := range moved {
				moved[i].Timestamp = views[i].Timestamp // the path has disordered them before they were seen
			}
			heard, _ := hearAll(t, moved)
			for k, w := range whole {
				h, n := heard[k], len(w.Data)
				if acked, reset := acknowledged(views, k); reset {
					n = min(n, acked) // payload that overtakes a FIN and acknowledges it counts once it is acknowledged itself
				}
				if h == nil || len(h.Data) < n || len(h.Data) > len(w.Data) || !bytes.Equal(h.Data[:n], w.Data[:n]) || slices.Contains(h.Mask[:n], false) {
					t.Errorf("%s seed %d: %v %v: the stream is not what it was", name, seed, k.key, k.side)
				}
			}
		}
	}
}

// acknowledged is how many bytes of a direction were acknowledged, and whether there is a RST in its connection.
func acknowledged(views []flowscope.PacketView, k shardSide) (n int, reset bool) {
	var isn uint32
	for _, v := range views {
		var x flowscope.Extracted[testkit.Key]
		(flowscope.FiveTuple{}).Extract(v, &x)
		if x.Key != k.key {
			continue
		}
		reset = reset || x.TCP.Flags.Has(flowscope.FlagRST)
		switch {
		case flowscope.FlowSide(x.Orientation) == k.side && x.TCP.Flags.Has(flowscope.FlagSYN):
			isn = x.TCP.Seq
		case flowscope.FlowSide(x.Orientation) != k.side && x.TCP.Flags.Has(flowscope.FlagACK):
			n = max(n, int(int32(x.TCP.Ack-isn-1)))
		}
	}
	return n, reset
}

// displaced moves packets with payload by up to 32 places among those of their connection, 3 if there is a RST in it;
// those that open, close and only acknowledge stay.
func displaced(r *rand.Rand, views []flowscope.PacketView) []flowscope.PacketView {
	at, most := map[testkit.Key][]int{}, map[testkit.Key]int{}
	var order []testkit.Key
	for i, v := range views {
		var x flowscope.Extracted[testkit.Key]
		(flowscope.FiveTuple{}).Extract(v, &x)
		if x.TCP.Flags.Has(flowscope.FlagRST) {
			most[x.Key] = 3
		}
		if len(x.Payload) > 0 && x.TCP.Flags&(flowscope.FlagSYN|flowscope.FlagFIN|flowscope.FlagRST) == 0 {
			if at[x.Key] == nil {
				order = append(order, x.Key)
			}
			at[x.Key] = append(at[x.Key], i)
		}
	}
	out := slices.Clone(views)
	for _, key := range order {
		n := 32
		if most[key] != 0 {
			n = most[key]
		}
		for i, from := range testkit.Displace(r, at[key], n) {
			out[at[key][i]] = views[from]
		}
	}
	return out
}
