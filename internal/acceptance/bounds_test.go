package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/attack"
)

// Bounds of single calls, and that what one call does not tell the next ones do.

// most is how many events of a call of Track the tests accept beside those of its own packet: not much more than a
// thousand.
const most = 1100

// fill opens connection client to the server and has both sides send a byte that is acknowledged, and then pieces
// behind as many holes, or with touching behind one.
func fill(f *feeder, client string, pieces int, touching bool) {
	ends := [2]string{client, testkit.Server}
	f.track(testkit.TCP(ends[0], ends[1], "S", 99, 0, ""))
	f.track(testkit.TCP(ends[1], ends[0], "SA", 899, 100, ""))
	f.track(testkit.TCP(ends[0], ends[1], "A", 100, 900, ""))
	f.track(testkit.TCP(ends[0], ends[1], "A", 100, 900, "x"))
	f.track(testkit.TCP(ends[1], ends[0], "A", 900, 101, "x"))
	f.track(testkit.TCP(ends[0], ends[1], "A", 101, 901, ""))
	for i := range pieces {
		at := uint32(1 + 2*i)
		if touching {
			at = uint32(1 + i)
		}
		f.track(testkit.TCP(ends[0], ends[1], "A", 101+at, 901, "x"))
		f.track(testkit.TCP(ends[1], ends[0], "A", 901+at, 101, "x"))
	}
}

// story is what was said of each side of one connection, and how it went on.
type story struct {
	t      *testing.T
	client string
	sides  [2][]string
	next   [2]int64
	ends   []string
}

func (s *story) hear(events []testkit.Event) {
	s.t.Helper()
	for i := range events {
		ev := &events[i]
		if ev.Key.A().String() != s.client && ev.Key.B().String() != s.client {
			continue
		}
		switch ev.Kind {
		case flowscope.EventData, flowscope.EventGap:
			if len(s.ends) != 0 {
				s.t.Fatalf("%v behind %v", ev.Kind, s.ends)
			}
			if ev.Offset != s.next[ev.Side] {
				s.t.Fatalf("%v of side %v at %d, want %d", ev.Kind, ev.Side, ev.Offset, s.next[ev.Side])
			}
			s.next[ev.Side] += ev.Len
			s.sides[ev.Side] = append(s.sides[ev.Side], fmt.Sprint(ev.Kind, ev.Offset, ev.Len, ev.Bytes))
		case flowscope.EventSideClosed:
			s.sides[ev.Side] = append(s.sides[ev.Side], fmt.Sprint(ev.Kind, ev.Offset))
		case flowscope.EventEnded:
			s.ends = append(s.ends, ev.Reason.String())
			for side, st := range ev.Stats.Streams {
				if st.Delivered+st.GapBytes != uint64(s.next[side]) {
					s.t.Errorf("side %d: %+v, want %d in all", side, st, s.next[side])
				}
			}
		case flowscope.EventStarted:
			s.ends = append(s.ends, "started")
			if len(s.ends) == 1 {
				s.ends = nil
			} else {
				s.next = [2]int64{}
			}
		}
	}
}

// A12. A connection that ends with its sides full of pieces says so over several calls, however it ends: none says much
// more than a thousand events, nothing is missing, and the end comes last.
func TestA12TheEndOfAFullConnectionIsToldInSteps(t *testing.T) {
	const client, other = "10.0.0.1:1234", "10.9.9.9:1"
	key, _ := flowscope.NewFiveTupleKey(flowscope.L4TCP, addrPort(0x0a000001, 1234), addrPort(0x0a000002, 80))
	idle := func(f *feeder) []testkit.Event { return f.track(testkit.UDP(other, "10.9.9.8:2")) }
	for _, touching := range []bool{false, true} {
		pieces := 1024
		if touching {
			pieces = 3000
		}
		filled := func(t *testing.T) (*feeder, *story) {
			f := newFeeder(t, flowscope.Config{MaxFlows: 4, Events: flowscope.AllEvents &^ (1 << flowscope.EventPacket)}, time.Microsecond)
			s := &story{t: t, client: client}
			fill(f, client, pieces, touching)
			s.next = [2]int64{1, 1} // what was delivered so far
			return f, s
		}
		f, whole := filled(t)
		whole.hear(f.d.Finish())
		if n := len(whole.sides[0]) + len(whole.sides[1]); n < 2*pieces {
			t.Fatalf("%d events in all", n)
		}
		for _, c := range []struct {
			name, reason string
			end          func(f *feeder) []testkit.Event
			goOn         func(f *feeder) []testkit.Event
		}{
			{"a reset", "rst", func(f *feeder) []testkit.Event { return f.track(testkit.TCP(client, testkit.Server, "R", 101, 0, "")) }, idle},
			{"a reset, and more of its packets", "rst", func(f *feeder) []testkit.Event { return f.track(testkit.TCP(client, testkit.Server, "R", 101, 0, "")) },
				func(f *feeder) []testkit.Event { return f.track(testkit.TCP(client, testkit.Server, "R", 101, 0, "")) }},
			{"a reset, and a sweep", "rst", func(f *feeder) []testkit.Event { return f.track(testkit.TCP(client, testkit.Server, "R", 101, 0, "")) },
				func(f *feeder) []testkit.Event { return f.d.Sweep(f.now) }},
			{"from outside", "force_closed", func(f *feeder) []testkit.Event { f.d.ForceClose(key); return idle(f) }, idle},
			{"its timeout", "idle", func(f *feeder) []testkit.Event { f.now = f.now.Add(time.Hour); idle(f); return idle(f) }, idle},
			{"eviction", "evicted", func(f *feeder) (events []testkit.Event) {
				for i := range 4 {
					for _, frame := range [][]byte{testkit.UDP(fmt.Sprintf("10.7.7.%d:1", i), "10.9.9.8:2"), testkit.UDP("10.9.9.8:2", fmt.Sprintf("10.7.7.%d:1", i))} {
						for _, ev := range f.track(frame) {
							events = append(events, ev.Clone())
						}
					}
				}
				return events
			}, idle},
		} {
			t.Run(fmt.Sprintf("%s, touching %v", c.name, touching), func(t *testing.T) {
				f, s := filled(t)
				f.most = 0
				s.hear(c.end(f))
				for calls := 0; len(s.ends) == 0; calls++ {
					if !f.d.More() {
						t.Fatalf("after %d calls nothing more is said to come", calls)
					}
					if calls > 2*pieces/200+10 {
						t.Fatal("it does not end")
					}
					s.hear(c.goOn(f))
				}
				require.Equal(t, []string{c.reason}, s.ends)
				if f.most > most {
					t.Errorf("%d events in one call", f.most)
				}
				for side := range s.sides {
					require.Equal(t, whole.sides[side], s.sides[side])
				}
				for range 3 {
					s.hear(idle(f))
				}
				s.hear(f.d.Finish())
				st := f.d.Stats()
				if st.FlowsCreated != st.FlowsEnded || st.HeldBytes != 0 || len(s.ends) != 1 || f.d.More() {
					t.Errorf("%v, %v, %+v", s.ends, f.d.More(), st)
				}
			})
		}
	}
}

// While the end is told the flow lives on, its packets are late, and a new connection of the same ends comes after it.
func TestAFlowWhoseEndIsBeingTold(t *testing.T) {
	const client = "10.0.0.1:1234"
	key, _ := flowscope.NewFiveTupleKey(flowscope.L4TCP, addrPort(0x0a000001, 1234), addrPort(0x0a000002, 80))
	f := newFeeder(t, flowscope.Config{MaxFlows: 4, Events: flowscope.AllEvents}, time.Microsecond)
	fill(f, client, 1024, false)
	s := &story{t: t, client: client, next: [2]int64{1, 1}}
	s.hear(f.track(testkit.TCP(client, testkit.Server, "R", 101, 0, "")))
	if flow, ok := f.d.Get(key); !ok || flow.ID != 1 || f.d.Len() != 1 || !f.d.More() {
		t.Fatalf("%+v, %v, %d flows", flow, ok, f.d.Len())
	}
	events := f.track(testkit.TCP(client, testkit.Server, "A", 101, 901, ""))
	s.hear(events)
	late := 0
	for i := range events {
		if events[i].Kind == flowscope.EventLate {
			late++
		}
	}
	if st := f.d.Stats(); late != 1 || st.PacketsLate != 1 {
		t.Fatalf("%d late, %+v", late, st)
	}
	s.hear(f.track(testkit.TCP(client, testkit.Server, "S", 70_000, 0, "")))
	require.Equal(t, []string{"rst", "started"}, s.ends)
	if flow, ok := f.d.Get(key); !ok || flow.ID != 2 || f.d.Len() != 1 || f.d.More() {
		t.Fatalf("%+v, %v, %d flows", flow, ok, f.d.Len())
	}
	if st := f.d.Stats(); st.FlowsEnded != 1 || st.Ended[flowscope.EndRST] != 1 {
		t.Fatalf("%+v", st)
	}
}

// A12. A mass timeout is told by Sweep in portions, and so is the end of a capture: none is large, nothing is missing,
// and the flows end in the order of their creation.
func TestA12SweepAndFinishPartsTellInPortions(t *testing.T) {
	flows := sized(10_000, 100_000, 300_000)
	for _, wanted := range []flowscope.EventMask{flowscope.AllEvents, flowscope.NoEvents} {
		for _, how := range []string{"sweep", "parts", "parts, each from the beginning", "finish"} {
			f := newFeeder(t, flowscope.Config{MaxFlows: flows, Events: wanted}, 1)
			for i := range flows {
				f.track(testkit.TCP(fmt.Sprintf("10.%d.%d.%d:1000", 1+i>>16, i>>8&255, i&255), testkit.Server, "A", 1, 1, "x"))
			}
			ended, gone, last, calls, before := 0, uint64(0), flowscope.FlowID(0), 0, f.d.Stats()
			hear := func(events []testkit.Event) {
				calls++
				for i := range events {
					if ev := &events[i]; ev.Kind == flowscope.EventEnded {
						if ev.Flow <= last && how != "sweep" {
							t.Fatalf("%s: flow %d behind flow %d", how, ev.Flow, last)
						}
						last = ev.Flow
						ended++
					}
				}
				now := f.d.Stats().FlowsEnded
				if how != "finish" && (len(events) > 4096 || now-gone > 4096) {
					t.Fatalf("%s: %d events and %d ends in one call", how, len(events), now-gone)
				}
				gone = now
			}
			switch how {
			case "sweep":
				for hear(f.d.Sweep(f.now.Add(time.Hour))); f.d.More(); {
					hear(f.d.Sweep(f.now.Add(time.Hour)))
				}
			case "parts":
				for events := range f.d.FinishParts() {
					hear(events)
				}
			case "parts, each from the beginning":
				for f.d.Len() > 0 {
					for events := range f.d.FinishParts() {
						hear(events)
						break
					}
					if wanted == flowscope.NoEvents {
						gone = f.d.Stats().FlowsEnded
					}
				}
			case "finish":
				hear(f.d.Finish())
			}
			st := f.d.Stats()
			if st.FlowsEnded != uint64(flows) || f.d.Len() != 0 || wanted == flowscope.AllEvents && ended != flows {
				t.Errorf("%s: %d of %d flows ended, %d said so", how, st.FlowsEnded, flows, ended)
			}
			if want := flowscope.EndFinished; how != "sweep" && st.Ended[want] != uint64(flows)-before.Ended[want] {
				t.Errorf("%s: %v", how, st.Ended)
			}
		}
	}
}

// What FinishParts tells is what Finish returns, event for event.
func TestFinishPartsTellWhatFinishReturns(t *testing.T) {
	for _, pieces := range []int{3, 1024} {
		var told [2]string
		for i := range told {
			f := newFeeder(t, flowscope.Config{Events: flowscope.AllEvents}, time.Microsecond)
			for c := range 3 {
				fill(f, fmt.Sprintf("10.0.0.%d:1234", 3+c), pieces, c == 1)
			}
			f.track(testkit.TCP("10.0.0.3:1234", testkit.Server, "FA", 101, 901, ""))
			for c := range 3000 {
				exchange(f, c, ">S <SA >A >A3 <A3")
			}
			f.track(testkit.TCP("10.0.0.3:1234", testkit.Server, "R", 101, 901, ""))
			var text []string
			hear := func(events []testkit.Event) {
				for k := range events {
					if events[k].Kind != flowscope.EventAnomaly { // of those there are some in each call
						text = append(text, testkit.EventText(&events[k]))
					}
				}
			}
			if i == 0 {
				hear(f.d.Finish())
			} else {
				for events := range f.d.FinishParts() {
					if len(events) > 4096 {
						t.Errorf("%d events", len(events))
					}
					hear(events)
				}
			}
			told[i] = strings.Join(text, "\n")
		}
		if told[0] != told[1] {
			t.Errorf("%d pieces: %s", pieces, testkit.LineDiff(told[0], told[1]))
		}
	}
}

// A2. The memory of a flood comes back while one flow lives, a chunk after the other.
func TestA2TheMemoryOfAFloodComesBack(t *testing.T) {
	flows := sized(50_000, 300_000, 1_000_000)
	f := newFeeder(t, flowscope.Config{MaxFlows: flows, Events: flowscope.NoEvents}, time.Microsecond)
	before := testkit.Heap()
	for frame := range attack.SYNFlood(flows - 1) {
		f.track(frame)
	}
	peak := testkit.Heap()
	for range 600 {
		f.now = f.now.Add(time.Second)
		exchange(f, 1, ">A9 <A9")
		f.d.Sweep(f.now)
	}
	after := testkit.Heap()
	t.Logf("%d KB before, %d KB with the flood, %d KB with %d flow", before>>10, peak>>10, after>>10, f.d.Len())
	if f.d.Len() != 1 || after-before > (peak-before)/4 {
		t.Errorf("%d KB for %d flow", (after-before)>>10, f.d.Len())
	}
}
