package flowscope_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// The rows are those of the crate's reference, cap and policy, then "seq:length" or "take".
func TestBufferedReassemblerKeepsTheCratesNumbers(t *testing.T) {
	const sliding, drop = flowscope.OverflowSlidingWindow, flowscope.OverflowDropFlow
	for _, r := range []struct {
		name              string
		max               int
		policy            flowscope.OverflowPolicy
		script            string
		buffered          int
		oversize, dropped uint64
		repeated          uint64
		failed, failIn    bool
	}{
		{name: "in order", script: "100:3 103:3 106:2", buffered: 8},
		{name: "a hole", script: "100:5 110:5", buffered: 5, dropped: 1},
		{name: "no limit", script: "0:10000", buffered: 10000},
		{name: "the oldest leave", max: 100, policy: sliding, script: "0:80 80:80", buffered: 100, oversize: 60},
		{name: "more than fits at once", max: 50, policy: sliding, script: "0:100", buffered: 50, oversize: 50},
		{name: "early ones do not count as overflow", max: 100, policy: sliding, script: "0:80 200:80", buffered: 80, dropped: 1},
		{name: "Take empties and keeps the counters", max: 100, policy: sliding, script: "0:80 80:80 take 160:80", buffered: 80, oversize: 60},
		{name: "the flow is dropped", max: 100, policy: drop, script: "0:80 80:80 160:10", oversize: 80, failed: true},
		{name: "up to the limit it is not", max: 100, policy: drop, script: "0:50 50:50", buffered: 100},
		{name: "one too big, sliding", max: 64, policy: sliding, script: "1001:200", buffered: 64, oversize: 136},
		{name: "one too big, dropped", max: 64, policy: drop, script: "1001:200", oversize: 200, failed: true},
		// Repaired: the crate drops and counts these three alike, the new tail included.
		{name: "the tail of a partial overlap is kept", script: "100:5 103:5", buffered: 8},
		{name: "sent again is not out of order", script: "100:5 100:5 102:2", buffered: 5, repeated: 2},
		{name: "across the wrap", script: "4294967290:10 4:5 4294967295:3", buffered: 15, repeated: 1},
		{name: "empty", script: "7:0 100:5", buffered: 5},
	} {
		t.Run(r.name, func(t *testing.T) {
			b := flowscope.NewBufferedReassembler(r.max, r.policy)
			var out flowscope.Delivery
			var kept []byte
			for _, step := range strings.Fields(r.script) {
				if step == "take" {
					b.Take()
					kept = nil
					continue
				}
				var seq uint32
				var n int
				if _, err := fmt.Sscanf(step, "%d:%d", &seq, &n); err != nil {
					t.Fatal(err)
				}
				p := make([]byte, n)
				for i := range p {
					p[i] = byte(seq + uint32(i))
				}
				b.Segment(flowscope.Segment{Seq: seq, Payload: p}, &out)
				kept = append(kept, p...)
				clear(p) // borrowed until Segment returns
			}
			if b.Buffered() != r.buffered || b.BytesDroppedOversize() != r.oversize || b.DroppedSegments() != r.dropped ||
				b.Retransmissions() != r.repeated || b.Failed() != r.failed || out.Failed() != r.failed {
				t.Errorf("buffered %d, oversize %d, dropped %d, repeated %d, failed %v", b.Buffered(), b.BytesDroppedOversize(),
					b.DroppedSegments(), b.Retransmissions(), b.Failed())
			}
			for piece := range out.Pieces() {
				t.Errorf("it delivers %v", piece)
			}
			got := b.Take()
			if len(got) != r.buffered || b.Buffered() != 0 {
				t.Errorf("Take gives %d bytes and leaves %d", len(got), b.Buffered())
			}
			if r.repeated == 0 && r.dropped == 0 && !strings.Contains(r.name, "tail") && !bytes.HasSuffix(kept, got) {
				t.Error("these are not the newest bytes")
			}
		})
	}
}

func TestSlidingWindowLosesExactlyTheOldest(t *testing.T) {
	for seed := range race.Seeds(uint64(300)) {
		r := rand.New(rand.NewPCG(seed, 41))
		limit := 1 + r.IntN(200)
		b := flowscope.NewBufferedReassembler(limit, flowscope.OverflowSlidingWindow)
		var fed []byte
		seq := r.Uint32()
		for range 1 + r.IntN(20) {
			p := testkit.RandomBytes(r.Uint64(), r.IntN(300))
			var out flowscope.Delivery
			b.Segment(flowscope.Segment{Seq: seq + uint32(len(fed)), Payload: p}, &out)
			fed = append(fed, p...)
			if b.Buffered() > limit || b.Buffered()+int(b.BytesDroppedOversize()) != len(fed) {
				t.Fatalf("seed %d: %d buffered, %d lost, %d fed, limit %d", seed, b.Buffered(), b.BytesDroppedOversize(), len(fed), limit)
			}
		}
		if got := b.Take(); !bytes.HasSuffix(fed, got) {
			t.Fatalf("seed %d: not the newest bytes", seed)
		}
	}
}

// However one is made, 0 is the default and Unlimited no limit.
func TestBufferedReassemblersAreBounded(t *testing.T) {
	for max, want := range map[int]int{0: 1 << 20, 100: 100, flowscope.Unlimited: 3 << 20} {
		all := []flowscope.Reassembler{
			flowscope.BufferedReassemblerFactory[testkit.Key]{MaxBuffer: max}.NewReassembler(testkit.Key{}, flowscope.Initiator),
			flowscope.NewBufferedReassembler(max, flowscope.OverflowSlidingWindow),
		}
		if max == 0 {
			all = append(all, new(flowscope.BufferedReassembler))
		}
		for i, r := range all {
			var out flowscope.Delivery
			r.Segment(flowscope.Segment{Payload: make([]byte, 3<<20)}, &out)
			if got := r.(*flowscope.BufferedReassembler).Buffered(); got != want {
				t.Errorf("%d: a limit of %d holds %d, want %d", i, max, got, want)
			}
		}
	}
}

// TestWorkedTraces plays the crate's traces T10 to T13 with its reassembler.
func TestWorkedTraces(t *testing.T) {
	type factory = flowscope.BufferedReassemblerFactory[testkit.Key]
	p := testkit.NewPlay(t, factory{MaxBuffer: 64, Overflow: flowscope.OverflowDropFlow}, flowscope.Config{})
	p.Play("hs >0:x*200 >R@200")
	p.Want("T10", ">closed@0:buffer_overflow <closed@0:buffer_overflow ended:buffer_overflow", p.Said())
	p.Want("T10 anomalies", "buffer_overflow", p.Anomalies())
	// The crate opens a second flow for the reset; here the connection lingers.
	if st := p.Driver.Stats(); p.Starts != 1 || st.FlowsEnded != 1 || st.Streams.DroppedBytes != 200 {
		t.Errorf("T10: %d flows, %d ended, %d bytes dropped", p.Starts, st.FlowsEnded, st.Streams.DroppedBytes)
	}
	p = testkit.NewPlay(t, factory{MaxBuffer: 64}, flowscope.Config{})
	p.Play("hs >0:x*200 <A200 >R@200")
	p.Want("T11", ">closed@0:rst <closed@0:rst ended:rst", p.Said())
	if st := p.Driver.Stats(); st.Streams.DroppedBytes != 136 || st.Anomalies[flowscope.AnomalyBufferOverflow] != 1 {
		t.Errorf("T11: %+v", st.Streams)
	}
	p = testkit.NewPlay(t, factory{}, flowscope.Config{})
	p.Play(">1:0123456789 >21:0123456789 >11:0123456789 >31:0123456789 finish")
	if st := p.Driver.Stats(); st.Streams.DroppedSegments != 2 || st.Anomalies[flowscope.AnomalyOutOfOrderSegment] != 2 {
		t.Errorf("T12: %+v", st.Streams)
	}
	// T13 changed: a keep-alive is no data at all, so nothing is out of order.
	p = testkit.NewPlay(t, factory{}, flowscope.Config{})
	p.Play("hs >0:0123456789 <A10 >9:z")
	if st := p.Driver.Stats(); st.Streams.DroppedSegments != 0 || p.Anomalies() != "" {
		t.Errorf("T13: %+v, %s", st.Streams, p.Anomalies())
	}
}

// scribe writes down what it is told.
type scribe struct {
	log  *[]string
	name string
	on   func(s *scribe, what string, out *flowscope.Delivery) // may speak
	next flowscope.Timestamp
}

func (s *scribe) note(out *flowscope.Delivery, what string, format string, args ...any) {
	*s.log = append(*s.log, s.name+what+fmt.Sprintf(format, args...))
	if s.on != nil {
		s.on(s, what, out)
	}
}

func (s *scribe) Segment(g flowscope.Segment, out *flowscope.Delivery) {
	s.note(out, "seg", " %d/%d:%s", g.Seq, g.Pos, g.Payload)
	clear(g.Payload[:0])
}

func (s *scribe) Fin(out *flowscope.Delivery) { s.note(out, "fin", "") }
func (s *scribe) Rst(out *flowscope.Delivery) { s.note(out, "rst", "") }

func (s *scribe) Acked(pos int64, _ flowscope.Timestamp, out *flowscope.Delivery) {
	s.note(out, "ack", " %d", pos)
}

func (s *scribe) OnTimer(now flowscope.Timestamp, out *flowscope.Delivery) flowscope.Timestamp {
	s.note(out, "wait", " +%v", now.Sub(1e18))
	return s.next
}

func scribes(log *[]string, on func(*scribe, string, *flowscope.Delivery)) flowscope.ReassemblerFactory[testkit.Key] {
	return flowscope.ReassemblerFunc[testkit.Key](func(k testkit.Key, side flowscope.FlowSide) flowscope.Reassembler {
		name := []string{">", "<"}[side]
		*log = append(*log, name+"new")
		if k != testkit.TupleKey(0) {
			*log = append(*log, "wrong key")
		}
		return &scribe{log: log, name: name, on: on}
	})
}

func TestAReassemblerHearsWhatIsPromised(t *testing.T) {
	for _, r := range []struct{ name, script, want string }{
		{"made at the first payload, segments as they arrive", "hs >3:def >0:abc >0:abc finish",
			">new, >seg 1003/3:def, >wait +0s, >seg 1000/0:abc, >wait +0s, >seg 1000/0:abc, >wait +0s, >fin"},
		{"both sides", "hs >0:a <0:b finish", ">new, >seg 1000/0:a, >wait +0s, >ack 0, >wait +0s, <new, <seg 8000/0:b, <wait +0s, >fin, <fin"},
		{"what is acknowledged", "hs >0:abc <A3 <A3", ">new, >seg 1000/0:abc, >wait +0s, >ack 3, >wait +0s, >ack 3, >wait +0s"},
		{"an end in order is Fin", "hs >0:a >F@1 <F@0 >A1 <A2", ">new, >seg 1000/0:a, >wait +0s, >ack 0, >wait +0s, >ack 1, >wait +0s, >fin"},
		{"silence is Fin", "hs >0:a +1000s sweep", ">new, >seg 1000/0:a, >wait +0s, >fin"},
		{"a reset is Rst", "hs >0:a <A1 >R@1", ">new, >seg 1000/0:a, >wait +0s, >ack 1, >wait +0s, >rst"},
		{"a reset's payload is nobody's", "hs >R@0/dXYZ", ""},
		{"a SYN's payload comes when it is acknowledged", ">S/dabc <SA3", ">new, >seg 1000/0:abc, >wait +0s, >ack 3, >wait +0s"},
		{"a SYN's payload that was refused never comes", ">S/dXYZ <SA0 >A0 >0:abc", ">new, >seg 1000/0:abc, >wait +0s"},
		{"bytes beyond the FIN are nobody's", "hs >0:ab/F >0:abXY", ">new, >seg 1000/0:ab, >wait +0s, >seg 1000/0:ab, >wait +0s"},
		{"a keep-alive is nobody's", "hs >0:ab <A2 >1:z", ">new, >seg 1000/0:ab, >wait +0s, >ack 2, >wait +0s"},
		{"a probe that was refused is nobody's", ">S <SA/w2 >A0 >0:ab <A2/w0 >2:X <A2 >2:cd", ">new, >seg 1000/0:ab, >wait +0s, >ack 2, >wait +0s, >ack 2, >wait +0s, >seg 1002/2:cd, >wait +0s"},
		{"what waits for an acknowledgement comes before the end", "hs >0:ab <A2/w0 >2:X finish",
			">new, >seg 1000/0:ab, >wait +0s, >ack 2, >wait +0s, >seg 1002/2:X, >wait +0s, >fin"},
		{"also if it is all there is", ">S <SA/w0 >A0 >0:X finish", ">new, >seg 1000/0:X, >wait +0s, >fin"},
		{"a reset's receiver never took it", "hs >0:ab <A2/w0 >2:X >R@2", ">new, >seg 1000/0:ab, >wait +0s, >ack 2, >wait +0s, >rst"},
		{"what waits comes as far as it is acknowledged", ">S <SA/w4 >A0 >0:abcdef <A5/w4 <A5/w4 <A6/w4 <A6/w4 finish",
			">new, >seg 1000/0:abcd, >wait +0s, >ack 0, >wait +0s, >ack 5, >wait +0s, >seg 1004/4:e, >wait +0s, " +
				">ack 5, >wait +0s, >ack 6, >wait +0s, >seg 1005/5:f, >wait +0s, >fin"},
		{"of two copies that wait the later", "hs >0:ab <A2/w0 >2:X >2:c <A3/w0 <A3",
			">new, >seg 1000/0:ab, >wait +0s, >ack 2, >wait +0s, >ack 2, >wait +0s, >ack 3, >wait +0s, >seg 1002/2:c, >wait +0s"},
		{"not in the place of others", "hs >0:ab <A2/w0 >2:X <A2 >2:cd <A4 finish",
			">new, >seg 1000/0:ab, >wait +0s, >ack 2, >wait +0s, >ack 2, >wait +0s, >seg 1002/2:cd, >wait +0s, >ack 4, >wait +0s, >fin"},
		{"no payload, no reassembler", "hs >F@0 <F@0 >A1 <A1", ""},
	} {
		t.Run(r.name, func(t *testing.T) {
			var log []string
			testkit.NewPlay(t, scribes(&log, nil), flowscope.Config{}).Play(r.script)
			if got := strings.Join(log, ", "); got != r.want {
				t.Errorf("\n got %s\nwant %s", got, r.want)
			}
		})
	}
}

// What waits for an acknowledgement becomes the same in the built-in streams and for a Reassembler.
func TestWhatWaitsIsTheSameForAReassembler(t *testing.T) {
	for name, c := range map[string][2]string{
		"where the connection goes on behind a gap": {
			"hs >0:ab <A2 >2:cd/a50 <A@50/a4 >A@4/a50 <A@50/a10 >A@10/a50 >10:kl/a50 <A@50/a12 <A@50/a12 >12:m/a50 finish",
			">0:ab >2:cd >gap[4,10)ended >10:kl >12:m ",
		},
		"behind other bytes, of which a newer copy has some": {"hs >4:ef/a50 >2:cdef/a50 >0:abcd finish", ">0:abcd >4:ef "},
		"but not the rest of a copy that they displaced":     {"hs >2:cdef/a50 >0:abcd finish", ">0:abcd >closed@4"},
	} {
		for kind, f := range map[string]flowscope.ReassemblerFactory[testkit.Key]{"stream": nil, "reassembler": streamEngines(t, flowscope.Config{})} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				p := testkit.NewPlay(t, f, flowscope.Config{}).Play(c[0])
				if said := p.Said(); !strings.HasPrefix(said, c[1]) {
					t.Errorf("\n got %s\nwant %s", said, c[1])
				}
			})
		}
	}
}

func TestAReassemblerIsWokenWhenItAskedFor(t *testing.T) {
	for name, wake := range map[string]string{"by Sweep": "sweep", "by a packet of another flow": ">S/t1", "by an ACK": "<A2"} {
		t.Run(name, func(t *testing.T) {
			var log []string
			f := scribes(&log, func(s *scribe, what string, out *flowscope.Delivery) {
				if what == "seg" {
					s.next = flowscope.Timestamp(1e18).Add(2 * time.Second)
				}
				if what == "wait" && len(log) > 3 && s.next != 0 {
					s.next = 0
					out.Gap(7, flowscope.GapExpired)
				}
			})
			p := testkit.NewPlay(t, f, flowscope.Config{}).Play("hs >0:ab +1999ms sweep")
			if strings.Join(log, ", ") != ">new, >seg 1000/0:ab, >wait +0s" {
				t.Errorf("before its time: %v", log)
			}
			p.Play("+1ms " + wake + " +1s sweep")
			want := 1
			if name == "by an ACK" {
				want = 2 // and again after Acked
			}
			if n := strings.Count(strings.Join(log, ", "), "wait +2s"); n != want || strings.Contains(log[len(log)-1], "3s") {
				t.Errorf("woken: %v", log)
			}
			p.Want("said", ">gap[0,7)expired", p.Said())
		})
	}
}

func TestWhatAReassemblerSaysBecomesEventsAndCounters(t *testing.T) {
	var log []string
	f := scribes(&log, func(s *scribe, what string, out *flowscope.Delivery) {
		switch what {
		case "seg":
			out.Data([]byte("ab"))
			out.Gap(3, flowscope.GapBudget)
			out.Data([]byte("c"))
			out.Dropped(flowscope.AnomalyOutOfOrderSegment, 2, 9)
			out.Dropped(flowscope.AnomalyBufferOverflow, 0, 5)
			out.Dropped(flowscope.AnomalyBufferOverflow, 1, 6)
			out.Dropped(flowscope.AnomalyConflictingOverlap, 0, 4)
		case "rst":
			out.Data([]byte("end"))
		}
	})
	p := testkit.NewPlay(t, f, flowscope.Config{}).Play("hs >0:x >1:y >R@2 finish")
	p.Want("said", ">0:ab >gap[2,5)budget >5:c >6:ab >gap[8,11)budget >11:c >12:end >closed@15:rst <closed@0:rst ended:rst", p.Said())
	p.Want("anomalies", "buffer_overflow conflicting_overlap gap memory_cap ooo_segment", p.Anomalies())
	want := flowscope.StreamStats{Delivered: 9, Gaps: 2, GapBytes: 6, DroppedSegments: 6, DroppedBytes: 22, Conflicts: 2}
	if got := p.Driver.Stats().Streams; got != want {
		t.Errorf("%+v", got)
	}
	if p.Flow(1).Streams[0] != want {
		t.Errorf("Ended: %+v", p.Flow(1).Streams[0])
	}
}

func TestAFailedReassemblerEndsTheFlowOnce(t *testing.T) {
	for _, when := range []string{"seg", "ack", "wait"} {
		t.Run(when, func(t *testing.T) {
			var log []string
			f := scribes(&log, func(s *scribe, what string, out *flowscope.Delivery) {
				if what == when {
					out.Fail()
				}
			})
			p := testkit.NewPlay(t, f, flowscope.Config{}).Play("hs >0:ab <A2 >2:cd <0:x >R@4")
			p.Want("said", ">closed@0:buffer_overflow <closed@0:buffer_overflow ended:buffer_overflow", p.Said())
			if p.Starts != 1 || log[len(log)-1] != ">rst" {
				t.Errorf("%d flows, %v", p.Starts, log)
			}
			p.Play("finish")
		})
	}
}

func TestAnyDroppedKindIsTaken(t *testing.T) {
	var log []string
	f := scribes(&log, func(_ *scribe, what string, out *flowscope.Delivery) {
		out.Dropped(flowscope.AnomalyKind(200), -1, -1)
		out.Gap(-1, 0)
		out.Data(nil)
	})
	d := testkit.NewDriver(t, f, flowscope.Config{})
	p := &testkit.Play{Book: testkit.NewBook(t, d), ISN: [2]uint32{999, 7999}}
	for _, step := range []string{">S", "<SA", ">A0", ">0:ab"} {
		require.NotPanics(t, func() { d.Track(p.View(step)) })
	}
}

func TestTheReassemblerAnswersUntilTheCallAfterTheEnd(t *testing.T) {
	p := testkit.NewPlay(t, flowscope.BufferedReassemblerFactory[testkit.Key]{}, flowscope.Config{})
	p.Play("hs >0:abc <0:xyz/a3")
	if r := p.Driver.Reassembler(testkit.TupleKey(0), flowscope.Responder); r == nil || r.(*flowscope.BufferedReassembler).Buffered() != 3 {
		t.Error("no reassembler of the live flow")
	}
	if p.Driver.Reassembler(testkit.TupleKey(1), flowscope.Initiator) != nil {
		t.Error("a reassembler of no flow")
	}
	events := p.Driver.Track(p.View(">R@3"))
	last := events[len(events)-1]
	if last.Kind != flowscope.EventEnded {
		t.Fatal("the flow did not end")
	}
	for side, want := range []string{"abc", "xyz"} {
		r, ok := p.Driver.ReassemblerOf(&last, flowscope.FlowSide(side)).(*flowscope.BufferedReassembler)
		if !ok || string(r.Take()) != want {
			t.Errorf("side %d: not at hand at the end", side)
		}
	}
	last.Stats = nil
	p.Driver.Track(p.View(">S/t1"))
	if p.Driver.ReassemblerOf(&last, flowscope.Initiator) != nil {
		t.Error("still at hand when the flow is gone")
	}
}

func TestReassemblersOfEndedFlowsAreLetGo(t *testing.T) {
	flows := 100_000 // one a microsecond
	if testing.Short() {
		flows = 5_000
	}
	d := testkit.NewDriver(t, flowscope.BufferedReassemblerFactory[testkit.Key]{}, flowscope.Config{MaxFlows: 64, Events: flowscope.NoEvents})
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	payload := make([]byte, 512)
	before := uint64(0)
	for i := range flows {
		g := testkit.Segment{Tuple: i % 20000, Seq: uint32(i), Flags: "PA", Payload: payload}
		d.Track(flowscope.PacketView{Frame: g.Frame(), Timestamp: flowscope.Timestamp(1e18).Add(time.Duration(i) * time.Microsecond)})
		if i == flows/10 {
			before = heap()
		}
	}
	if after := heap(); after > before+40*uint64(flows) { // less than what a side takes
		t.Errorf("%d bytes after %d flows, %d after %d", after, flows, before, flows/10)
	}
	if st := d.Stats(); st.FlowsCreated != uint64(flows) {
		t.Errorf("%d flows", st.FlowsCreated)
	}
	runtime.KeepAlive(d)
}

// TestStreamReassemblerIsTheBuiltInEngine compares what both make of the same packets. A Reassembler does not know
// where the FIN is, so a hole before it is no gap for it.
func TestStreamReassemblerIsTheBuiltInEngine(t *testing.T) {
	rounds := uint64(60)
	if testing.Short() {
		rounds = 10
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 43))
		talk := testkit.NewTalk(r, 20_000)
		n := len(talk.Views)
		var middle []flowscope.PacketView
		loss := []float64{0, 0.01, 0.1}[seed%3]
		for i, v := range talk.Views[3 : n-3] {
			if !talk.Data[3+i] || r.Float64() >= loss {
				middle = append(middle, v)
			}
		}
		if seed%2 == 0 {
			middle = testkit.Displace(r, middle, 12)
		}
		views := slices.Concat(talk.Views[:3], middle, talk.Views[n-3:])
		cfg := flowscope.Config{Overlap: flowscope.OverlapPolicy(seed % 3)}
		built := testkit.ReadStreams(t, nil, cfg, views)
		own := testkit.ReadStreams(t, streamEngines(t, cfg), cfg, views)
		for side := range built {
			a, b := built[side], own[side]
			tail := len(a.Data) - len(b.Data)
			if tail < 0 || slices.Contains(a.Mask[len(b.Data):], true) || !bytes.Equal(a.Data[:len(b.Data)], b.Data) ||
				!slices.Equal(a.Mask[:len(b.Mask)], b.Mask) {
				t.Fatalf("seed %d side %d: %d bytes and %d bytes differ", seed, side, len(a.Data), len(b.Data))
			}
		}
	}
}

func streamEngines(tb testing.TB, cfg flowscope.Config) flowscope.ReassemblerFactory[testkit.Key] {
	return flowscope.ReassemblerFunc[testkit.Key](func(testkit.Key, flowscope.FlowSide) flowscope.Reassembler {
		r, err := flowscope.NewStreamReassembler(cfg)
		if err != nil {
			tb.Fatal(err)
		}
		return r
	})
}

func TestStreamReassemblerRefusesAWrongConfig(t *testing.T) {
	if _, err := flowscope.NewStreamReassembler(flowscope.Config{SideBytes: -1}); err == nil {
		t.Error("no error")
	}
}

// fool says anything, depending only on what it is given.
type fool struct{ state uint64 }

func (f *fool) speak(n int64, b []byte, out *flowscope.Delivery) {
	f.state = f.state*6364136223846793005 + uint64(n) + uint64(len(b))
	switch f.state >> 60 {
	case 0, 1, 2, 3, 4, 5, 6:
		out.Data(b)
	case 7, 8:
		out.Gap(int64(f.state>>40&0xffff), flowscope.GapCause(1+f.state>>33%5))
		out.Data(b)
	case 9:
		out.Gap(1<<62, flowscope.GapExpired)
	case 10, 11:
		out.Dropped(flowscope.AnomalyKind(1+f.state>>35%4), int(f.state>>20&7), int64(f.state>>8&0xfff))
	case 12:
		if f.state>>50&7 == 0 {
			out.Fail()
		}
	}
}

func (f *fool) Segment(s flowscope.Segment, out *flowscope.Delivery) {
	f.speak(s.Pos, s.Payload, out)
}

func (f *fool) Fin(out *flowscope.Delivery) { f.speak(1, []byte("fin"), out) }
func (f *fool) Rst(out *flowscope.Delivery) { f.speak(2, []byte("rst"), out) }

func (f *fool) Acked(pos int64, _ flowscope.Timestamp, out *flowscope.Delivery) {
	f.speak(pos, []byte("a"), out)
}

func (f *fool) OnTimer(now flowscope.Timestamp, out *flowscope.Delivery) flowscope.Timestamp {
	f.speak(3, []byte("w"), out)
	if f.state>>59&1 == 0 {
		return 0
	}
	return now.Add(time.Duration(f.state >> 34))
}

func TestThePromisesHoldWhateverAReassemblerSays(t *testing.T) {
	rounds := uint64(300)
	if testing.Short() {
		rounds = 30
	}
	for seed := range rounds {
		cfg := testkit.DriverSoupConfigs[seed%uint64(len(testkit.DriverSoupConfigs))]
		all := testkit.DriverCalls(testkit.RandomBytes(seed+9000, 500))
		kinds := []func() flowscope.ReassemblerFactory[testkit.Key]{
			func() flowscope.ReassemblerFactory[testkit.Key] { return streamEngines(t, cfg) },
			func() flowscope.ReassemblerFactory[testkit.Key] {
				return flowscope.BufferedReassemblerFactory[testkit.Key]{MaxBuffer: 64, Overflow: cfg.Overflow}
			},
			func() flowscope.ReassemblerFactory[testkit.Key] {
				n := seed
				return flowscope.ReassemblerFunc[testkit.Key](func(testkit.Key, flowscope.FlowSide) flowscope.Reassembler {
					if n++; n%9 == 0 {
						return nil
					}
					return &fool{state: n * 0x9e3779b97f4a7c15}
				})
			},
		}
		testkit.Within(t, func() { testkit.JudgeCalls(t, kinds[seed%3], cfg, all) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// What is pushed out makes room: memory stays at twice the limit, and is not made anew for each segment.
func TestAFullBufferedReassemblerNeedsNoMoreMemory(t *testing.T) {
	const limit, segments = 64 << 10, 100_000
	r := flowscope.NewBufferedReassembler(limit, flowscope.OverflowSlidingWindow)
	payload := make([]byte, 700)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range uint32(segments) {
		var out flowscope.Delivery
		r.Segment(flowscope.Segment{Seq: i * uint32(len(payload)), Payload: payload}, &out)
	}
	runtime.ReadMemStats(&after)
	// Each Delivery says what was lost: some bytes apiece. Growing takes what it ends with, twice over.
	if made := after.TotalAlloc - before.TotalAlloc; made > 8*limit+segments*64 {
		t.Errorf("%d bytes made for %d in passing", made, segments*len(payload))
	}
	if r.Buffered() != limit {
		t.Errorf("%d bytes held", r.Buffered())
	}
}
