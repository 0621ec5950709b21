package acceptance

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/attack"
)

// A4. A flood of SYNs drowns only itself.
func TestA4ASYNFloodEvictsNoBusyConnection(t *testing.T) {
	busy, flood, table := sized(500, 10_000, 10_000), sized(50_000, 3_000_000, 5_000_000), sized(5_000, 100_000, 100_000)
	cfg := flowscope.Config{MaxFlows: table, Events: flowscope.Events(flowscope.EventData, flowscope.EventEnded)}
	f := newFeeder(t, cfg, 10*time.Microsecond)
	f.play(attack.Handshakes(0, busy))
	const burst = 1000
	at, said, early, k := 0, 0, int64(0), 0
	count := func(events []testkit.Event) {
		for i := range events {
			switch ev := &events[i]; {
			case ev.Kind == flowscope.EventData:
				said++
			case ev.Flow <= flowscope.FlowID(busy):
				t.Fatalf("flow %d, which is busy, ended: %v", ev.Flow, ev.Reason)
			}
		}
	}
	for frame := range attack.SYNFlood(flood) {
		count(f.track(frame))
		if k++; k%burst == 0 {
			for b := range attack.Busy(0, busy, busy/20, at) {
				count(f.track(b))
			}
			at += busy / 20
		}
		if k == flood/5 {
			early = testkit.Heap()
		}
	}
	if late := testkit.Heap(); late > early+early/20 {
		t.Errorf("the heap grew from %d to %d", early, late)
	}
	st := f.d.Stats()
	if said != at {
		t.Errorf("%d of %d packets of busy connections were heard", said, at)
	}
	// Every SYN is a flow of its own, and nothing else ends in the seconds that this lasts.
	if want := uint64(busy + flood - table); st.FlowsCreated != uint64(busy+flood) || st.FlowsEvicted != want || st.FlowsEnded != want {
		t.Errorf("%d flows, %d evicted of %d ended; want %d, %d", st.FlowsCreated, st.FlowsEvicted, st.FlowsEnded, busy+flood, want)
	}
	if f.d.Len() != table {
		t.Errorf("%d flows live", f.d.Len())
	}
}

// rival gives the least time of each contender over that of the last, in rounds in which one comes after the other,
// until none exceeds the limit. A busy machine only adds.
func rival(rounds int, limit float64, contenders ...func() time.Duration) []float64 {
	best := make([]time.Duration, len(contenders))
	ratios := make([]float64, len(contenders)-1)
	for round := range rounds {
		for i, run := range contenders {
			if took := run(); round == 0 || took < best[i] {
				best[i] = took
			}
		}
		worst := 0.0
		for i := range ratios {
			ratios[i] = float64(best[i]) / float64(best[len(ratios)])
			worst = max(worst, ratios[i])
		}
		if round >= 2 && worst <= limit {
			break
		}
	}
	return ratios
}

// A4. What a SYN of the flood costs, against a packet of the connections that it cannot drown, both in the same flood,
// and as a capture hands them over: in memory that was written a moment ago.
func TestA4ASYNOfAFloodCostsNotMuchMoreThanAPacket(t *testing.T) {
	if smallSizes() {
		t.Skip("measures time, which means nothing in a small or a slow run")
	}
	const conns, table, burst, limit = 10_000, 100_000, 1000, 2
	f := newFeeder(t, flowscope.Config{MaxFlows: table}, 10*time.Microsecond)
	f.play(attack.Handshakes(0, conns))
	flood, stopFlood := iter.Pull(iter.Seq[[]byte](attack.SYNFlood(math.MaxInt32)))
	defer stopFlood()
	// Each connection speaks once in a while, and nobody knows which is next.
	rng := rand.New(rand.NewPCG(1, 1))
	var sweep [][]byte
	spoken := 0
	busy := func() ([]byte, bool) {
		if len(sweep) == 0 {
			sweep = keep(attack.Busy(0, conns, conns, spoken))
			rng.Shuffle(conns, func(i, k int) { sweep[i], sweep[k] = sweep[k], sweep[i] })
			spoken += conns
		}
		frame := sweep[0]
		sweep = sweep[1:]
		return frame, true
	}
	ring := make([][]byte, burst)
	timed := func(next func() ([]byte, bool), n int) float64 {
		for i := range n {
			frame, _ := next()
			ring[i] = append(ring[i][:0], frame...)
		}
		began := time.Now()
		for _, frame := range ring[:n] {
			f.track(frame)
		}
		return float64(time.Since(began)) / float64(n)
	}
	for range table / burst {
		timed(flood, burst) // the table is full
	}
	for try := range 5 { // a busy machine may favour one of the two, but not often
		var syn, packet []float64
		for range 2000 {
			syn = append(syn, timed(flood, burst))
			packet = append(packet, timed(busy, conns/20))
		}
		slices.Sort(syn)
		slices.Sort(packet)
		a, b := syn[len(syn)/2], packet[len(packet)/2]
		t.Logf("a SYN takes %.0f ns, a packet %.0f: %.2f times as much", a, b, a/b)
		if a <= limit*b {
			break
		}
		if try == 4 {
			t.Errorf("at most %d times", limit)
		}
	}
}

// A12. However much becomes due at one timestamp, no call pays for much of it.
func TestA12NoCallEndsMoreThanItsShareOfAMassTimeout(t *testing.T) {
	flows := sized(5_000, 100_000, 100_000)
	f := newFeeder(t, flowscope.Config{MaxFlows: flows + 10, Events: flowscope.AllEvents, LingerTimeout: time.Second}, 1)
	f.play(attack.Handshakes(0, flows))
	f.play(attack.Pieces(0, flows, 3, 1, 1, attack.Descending)) // each will have gaps and data to say
	f.now = f.now.Add(10 * time.Minute)
	f.most = 0
	calls, ended := 0, uint64(0)
	for ended < uint64(flows) {
		f.step = 0
		before := f.d.Stats().FlowsEnded
		f.track(testkit.UDP("10.9.9.9:1", "10.9.9.8:2"))
		now := f.d.Stats().FlowsEnded
		if now-before > 64 {
			t.Fatalf("%d flows ended in one call, at most 64", now-before)
		}
		if calls++; calls > 2*flows/32+10 {
			t.Fatalf("after %d calls only %d flows have ended", calls, now)
		}
		ended = now
	}
	t.Logf("%d calls, at most %d events in one", calls, f.most)
	if f.most > 1024+100 {
		t.Errorf("%d events in one call", f.most)
	}
	f.d.Finish()
	if st := f.d.Stats(); st.FlowsCreated != st.FlowsEnded || st.HeldBytes != 0 {
		t.Errorf("%+v", st)
	}
}

// A12. The same where one connection has many holes whose time is up, and where it ends with all of them.
func TestA12NoCallSaysMoreThanOneSideCanHold(t *testing.T) {
	for _, wait := range []time.Duration{time.Minute, time.Hour} {
		f := newFeeder(t, flowscope.Config{MaxFlows: 10}, 1)
		f.play(attack.Handshakes(0, 5))
		f.play(attack.FirstByte(0, 5))
		f.play(attack.Islands(0, 5, 1025, attack.Random))
		f.now = f.now.Add(wait)
		f.most = 0
		for range 40 {
			f.track(testkit.UDP("10.9.9.9:1", "10.9.9.8:2"))
		}
		if held := f.d.Stats().HeldBytes; held != 0 {
			t.Errorf("after %v %d bytes are held", wait, held)
		}
		// One flow is let finish: two events for each of its pieces, after up to 1,024 of others.
		if t.Logf("at most %d events", f.most); f.most > 1024+2*1024+64 {
			t.Errorf("%d events in one call", f.most)
		}
	}
}

// A14. Keys that an attacker has chosen cost what others cost, since the seed is secret: 100,000 that meet in the same
// part of a table under hashes without one, and under the library's own with a seed that he guesses.
func TestA14ChosenKeysCostWhatOthersCost(t *testing.T) {
	if smallSizes() {
		t.Skip("measures time, which means nothing in a small or a slow run")
	}
	const flows = 50_000
	own := func(e attack.Ends) uint64 {
		k, _ := flowscope.NewFiveTupleKey(flowscope.L4TCP, addrPort(e.Client, e.ClientPort), addrPort(e.Server, e.ServerPort))
		return k.Hash(0) >> (32 + 11) // the upper of the 17 bits that the table looks at first
	}
	run := func(frames [][]byte) func() time.Duration {
		return func() time.Duration {
			tr := testkit.NewTracker(t, flowscope.Config{MaxFlows: flows, Events: flowscope.NoEvents})
			began := time.Now()
			for range 2 {
				for i, frame := range frames {
					tr.Track(flowscope.PacketView{Frame: frame, Timestamp: flowscope.Timestamp(i)})
				}
			}
			took := time.Since(began)
			if tr.Len() != flows {
				t.Fatalf("%d flows of %d", tr.Len(), flows)
			}
			return took
		}
	}
	var contenders []func() time.Duration
	hashes := []string{"FNV-1a", "Jenkins", "the library's own, seed 0"}
	for _, hash := range []func(attack.Ends) uint64{attack.FNV1a, attack.Jenkins, own} {
		contenders = append(contenders, run(keep(attack.Collisions(flows, 6, hash))))
	}
	contenders = append(contenders, run(keep(attack.SYNFlood(flows))))
	for i, ratio := range rival(20, 1.5, contenders...) {
		name := hashes[i]
		if t.Logf("%s: %.2f times the time of random keys", name, ratio); ratio > 1.5 {
			t.Errorf("%s: %.2f times the time of random keys", name, ratio)
		}
	}
}

func addrPort(addr uint32, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}), port)
}

// chaffs says what each kind of chaff is called here. 0 is nothing.
var chaffs = map[attack.Chaff]flowscope.AnomalyKind{
	attack.ResetBeyondWindow: flowscope.AnomalyImplausibleRST,
	attack.SYNInside:         flowscope.AnomalyImplausibleSYN,
	attack.ACKOfNothing:      flowscope.AnomalyImplausibleACK,
	attack.BeyondWindow:      flowscope.AnomalyOutOfWindow,
	attack.WithoutACK:        flowscope.AnomalyDataWithoutACK,
	attack.BeforeTheFIN:      flowscope.AnomalyDataAfterClose,
	attack.FINElsewhere:      flowscope.AnomalyFINConflict,
	attack.OtherCopy:         flowscope.AnomalyConflictingOverlap,
	attack.Again:             0,
}

// A37. A packet cannot make the log long: its anomalies are few and counted exactly, and chaff leaves the stream, and
// the memory, as they are.
func TestA37ChaffIsCountedExactlyAndSaysLittle(t *testing.T) {
	n := sized(2_000, 100_000, 1_000_000)
	for k := range attack.NumChaff {
		t.Run(k.String(), func(t *testing.T) {
			cfg := flowscope.Config{Events: flowscope.AllEvents &^ (1 << flowscope.EventPacket), ClockJump: flowscope.Never}
			f := newFeeder(t, cfg, 1)
			f.play(k.Prelude(1))
			honest := keep(k.Honest(1))[0]
			before := f.d.Stats()
			emitted, other := 0, 0
			f.most = 0
			for frame := range k.Frames(1, n) {
				for i, events := 0, f.track(frame); i < len(events); i++ {
					if ev := &events[i]; ev.Kind == flowscope.EventAnomaly && ev.Anomaly == chaffs[k] {
						emitted++
					} else if ev.Anomaly != flowscope.AnomalyOutOfOrderSegment {
						if other++; other < 5 {
							t.Logf("%s", testkit.EventText(ev))
						}
					}
				}
				if events := f.track(honest); len(events) > 0 {
					t.Fatalf("%d events for an honest packet: %s", len(events), testkit.EventText(&events[0]))
				}
			}
			st := f.d.Stats()
			want := n
			if chaffs[k] == 0 {
				want = 0
			}
			if counted := st.Anomalies[chaffs[k]] - before.Anomalies[chaffs[k]]; emitted != want || counted != uint64(want) || other != 0 {
				t.Errorf("%d packets: %d emitted, %d counted, %d other events", n, emitted, counted, other)
			}
			if f.most > 2 {
				t.Errorf("%d events for one packet", f.most)
			}
			if st.FlowsCreated != 1 || st.FlowsEnded != 0 || st.Streams != (flowscope.StreamStats{Delivered: before.Streams.Delivered, Conflicts: st.Streams.Conflicts}) {
				t.Errorf("the stream is not what it was: %+v", st)
			}
			held := before.HeldBytes
			if k == attack.BeforeTheFIN {
				held += 256 * 4 // of as many segments as a connection may hold: the FIN may still turn out to be none
			}
			if st.HeldBytes > held {
				t.Errorf("%d bytes are held, %d were", st.HeldBytes, before.HeldBytes)
			}
		})
	}
}

// A37. Of many anomalies in one call only so many are emitted, and the rest is counted.
func TestA37AnomaliesOfOneCallHaveABound(t *testing.T) {
	for _, limit := range []int{1, 3, 8} {
		f := newFeeder(t, flowscope.Config{MaxAnomalies: limit, Events: flowscope.AllEvents, HoleTimeout: time.Second}, 1)
		const conns = 60
		f.play(attack.Handshakes(0, conns))
		f.play(attack.FirstByte(0, conns))
		f.play(attack.Islands(0, conns, 4, attack.Ascending))
		before := f.d.Stats()
		f.now = f.now.Add(time.Minute)
		f.track(testkit.UDP("10.9.9.9:1", "10.9.9.8:2")) // the next one confirms the time
		emitted := uint64(0)
		for _, ev := range f.track(testkit.UDP("10.9.9.9:1", "10.9.9.8:2")) {
			if ev.Kind == flowscope.EventAnomaly {
				emitted++
			}
		}
		st := f.d.Stats()
		counted := st.Anomalies[flowscope.AnomalyGap] - before.Anomalies[flowscope.AnomalyGap]
		suppressed := st.AnomaliesSuppressed - before.AnomaliesSuppressed
		if emitted != uint64(limit) || counted != 3*conns {
			t.Errorf("limit %d: %s", limit, fmt.Sprintf("%d emitted, %d counted, %d suppressed", emitted, counted, suppressed))
		}
	}
}
