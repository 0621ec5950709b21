package acceptance

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/attack"
)

// memoryAttacks make a driver hold as much as it will. open comes before; flows makes the same flows and holds
// nothing, so that the price of the flows can be told from that of the bytes.
var memoryAttacks = []struct {
	name              string
	open, flows, hold func(n int) attack.Frames
	n                 [3]int // small, plain, nightly
	gauged            bool   // what is held is counted by MemoryBytes, and comes near the cap
}{
	{"one-byte islands, descending", opened, opened, islands(attack.Descending), [3]int{130, 2_000, 2_000}, true},
	{"one-byte islands, ascending", opened, opened, islands(attack.Ascending), [3]int{130, 2_000, 2_000}, true},
	{"one-byte islands, random", opened, opened, islands(attack.Random), [3]int{130, 2_000, 2_000}, true},
	{"64 KiB held by each of many flows", opened, opened, func(n int) attack.Frames {
		return attack.Pieces(0, n, 4, 16<<10, 0, attack.Ascending)
	}, [3]int{1_500, 20_000, 100_000}, true},
	{"payload of SYNs that nobody answers", nothing, synData(0), synData(1000), [3]int{10_000, 100_000, 100_000}, true},
	{"SYNs from anywhere", nothing, attack.SYNFlood, attack.SYNFlood, [3]int{10_000, 200_000, 2_000_000}, false},
	{"fragments of IPv4 never completed", nothing, fragments4(8), fragments4(8000), [3]int{5_000, 100_000, 1_000_000}, false},
	{"fragments of IPv6 never completed", nothing, fragments6(8), fragments6(8000), [3]int{5_000, 100_000, 1_000_000}, false},
}

func opened(n int) attack.Frames { return attack.Handshakes(0, n) }

func nothing(int) attack.Frames { return func(func([]byte) bool) {} }

// islands are a few more than a side may hold pieces, so that its limit bites too.
func islands(o attack.Order) func(n int) attack.Frames {
	return func(n int) attack.Frames { return attack.Islands(0, n, 1100, o) }
}

func synData(size int) func(n int) attack.Frames {
	return func(n int) attack.Frames { return attack.SYNData(0, n, size) }
}

func fragments4(size int) func(n int) attack.Frames {
	return func(n int) attack.Frames { return attack.Fragments4(n, size) }
}

func fragments6(size int) func(n int) attack.Frames {
	return func(n int) attack.Frames { return attack.Fragments6(n, size) }
}

// A2. What is held for want of missing bytes is bounded by TotalBytes in true bytes, overhead included; the gauge
// says what the heap says; and all of it comes back.
func TestA2HeldMemoryIsBoundedAndTheGaugeIsTrue(t *testing.T) {
	limit := int64(sized(4<<20, 64<<20, 64<<20))
	for _, a := range memoryAttacks {
		t.Run(a.name, func(t *testing.T) {
			n := sized(a.n[0], a.n[1], a.n[2])
			cfg := flowscope.Config{
				TotalBytes: limit, MaxFlows: min(n, 100_000), Events: flowscope.NoEvents,
				HoleTimeout: flowscope.Never, HoleOneSidedTimeout: flowscope.Never,
			}
			bare := newFeeder(t, cfg, 1)
			before := testkit.Heap()
			bare.play(a.flows(n))
			flows := testkit.Heap() - before
			runtime.KeepAlive(bare)
			bare = nil

			f := newFeeder(t, cfg, 1)
			before = testkit.Heap()
			f.play(a.open(n))
			most, peak, k := int64(0), int64(0), 0
			every := n // and each time twice as long, since measuring the heap takes its time
			for frame := range a.hold(n) {
				f.track(frame)
				if k++; k%64 == 0 {
					peak = max(peak, f.d.Stats().MemoryBytes)
				}
				if k == every {
					every *= 2
					most = max(most, testkit.Heap()-before)
				}
			}
			held, gauge := testkit.Heap()-before-flows, f.d.Stats().MemoryBytes
			most = max(most, held+flows)
			t.Logf("cap %d: heap %d of which flows %d; gauge %d, at most %d", limit, most, flows, gauge, peak)
			if most > flows+limit+limit/4+8<<20 {
				t.Errorf("the heap grew by %d for a cap of %d and flows of %d", most, limit, flows)
			}
			if peak > limit {
				t.Errorf("the gauge reached %d, the cap is %d", peak, limit)
			}
			if a.gauged && !slowBuild {
				if peak < limit/2 {
					t.Errorf("the attack is too weak: it made %d of %d be held", peak, limit)
				}
				if d := gauge - held; max(d, -d) > held/10+1<<19 {
					t.Errorf("the gauge says %d, the heap %d", gauge, held)
				}
			}
			f.d.Finish()
			f.d.Sweep(f.now)
			st := f.d.Stats()
			if st.HeldBytes != 0 || st.FlowsActive != 0 || st.FlowsLingering != 0 || f.d.Len() != 0 {
				t.Errorf("after Finish %d bytes are held, %d flows live, %d linger", st.HeldBytes, st.FlowsActive, st.FlowsLingering)
			}
			if rest := testkit.Heap() - before; rest > 3<<20 || st.MemoryBytes > 1<<20 {
				t.Errorf("after Finish the heap keeps %d bytes, the gauge says %d", rest, st.MemoryBytes)
			}
			runtime.KeepAlive(f)
		})
	}
}

// A3. The whole way of an island costs the same whatever is held already.
func TestA3OneByteIslandsCostLinearTime(t *testing.T) {
	if smallSizes() {
		t.Skip("measures time, which means nothing in a small or a slow run")
	}
	for _, o := range []attack.Order{attack.Ascending, attack.Descending, attack.Random} {
		t.Run(o.String(), func(t *testing.T) {
			run := func(n int) time.Duration {
				f := newFeeder(t, flowscope.Config{Events: flowscope.NoEvents, HoleTimeout: flowscope.Never}, 1)
				f.play(attack.Handshakes(0, 1))
				began := time.Now()
				f.play(attack.Islands(0, 1, n, o))
				return time.Since(began)
			}
			const n = 75_000
			once, twice := time.Hour, time.Hour
			for range 12 {
				once, twice = min(once, run(n)), min(twice, run(2*n))
				if twice < once*23/10 || twice > 10*time.Second {
					break
				}
			}
			t.Logf("%d: %v, %d: %v, %.0f ns each", n, once, 2*n, twice, float64(twice)/(2*n))
			if ratio := float64(twice) / float64(once); ratio > 2.3 {
				t.Errorf("twice as many cost %.2f times as much", ratio)
			}
			if twice*300_000/(2*n) > time.Second {
				t.Errorf("300,000 would take %v, at most 1 s", twice*300_000/(2*n))
			}
		})
	}
}

// A9 and A10. Flows of every fate come and go, round after round, and leave nothing behind: with all events, and with
// none, since what comes back must not depend on who listens.
func TestA9AndA10NothingIsLeftOverLifetimesWhoeverListens(t *testing.T) {
	rounds, flows := sized(12, 50, 50), sized(2_000, 8_000, 100_000)
	var counters []flowscope.DriverStats
	for _, c := range []struct {
		name   string
		events flowscope.EventMask
	}{{"all events", flowscope.AllEvents}, {"no events", flowscope.NoEvents}} {
		t.Run(c.name, func(t *testing.T) {
			cfg := flowscope.Config{MaxFlows: flows / 6, Events: c.events, TotalBytes: 8 << 20}
			// A round lasts longer than any timeout, and more flows come than there is room for.
			f := newFeeder(t, cfg, 800*time.Second/time.Duration(6*flows))
			heaps := make([]float64, 0, rounds)
			before := testkit.Heap()
			for round := range rounds {
				f.play(attack.Lifetimes(uint32(round*flows), flows))
				f.play(attack.Fragments4(flows/100, 3000))
				heaps = append(heaps, float64(testkit.Heap()-before))
			}
			early, late := mean(heaps[4:8]), mean(heaps[len(heaps)-4:])
			t.Logf("heap %.0f after rounds 5 to 8, %.0f after the last 4", early, late)
			if late > early*1.01+128<<10 {
				t.Errorf("the heap grew from %.0f to %.0f", early, late)
			}
			f.d.Finish()
			f.d.Sweep(f.now)
			st := f.d.Stats()
			if st.HeldBytes != 0 || st.FlowsActive != 0 || st.FlowsLingering != 0 || st.FlowsCreated != st.FlowsEnded {
				t.Errorf("after Finish: %+v", st)
			}
			for _, r := range []flowscope.EndReason{flowscope.EndFIN, flowscope.EndRST, flowscope.EndIdleTimeout, flowscope.EndEvicted} {
				if st.Ended[r] == 0 {
					t.Errorf("no flow ended by %v: not every fate was met", r)
				}
			}
			if st.Streams.Gaps == 0 {
				t.Error("no hole was given up")
			}
			counters = append(counters, st)
			runtime.KeepAlive(f)
		})
	}
	if len(counters) == 2 {
		counters[0].AnomaliesSuppressed = 0 // says what was told, not what was
		counters[1].AnomaliesSuppressed = 0
		if counters[0] != counters[1] {
			t.Errorf("counters depend on who listens:\n%+v\n%+v", counters[0], counters[1])
		}
	}
}

func mean(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// A20. What an idle connection costs in a driver, both streams included; TestAMillionIdleFlows says it of a tracker.
func TestA20AnIdleConnectionWithItsStreamsIsSmall(t *testing.T) {
	if smallSizes() || unsafe.Sizeof(uintptr(0)) < 8 {
		t.Skip("the figure is that of 64 bits, of a plain build and of many flows")
	}
	const flows = 200_000
	before := testkit.Heap()
	f := newFeeder(t, flowscope.Config{MaxFlows: flows, Events: flowscope.NoEvents}, 1)
	f.play(attack.Handshakes(0, flows))
	each := float64(testkit.Heap()-before) / flows
	if f.d.Len() != flows {
		t.Fatalf("%d flows", f.d.Len())
	}
	if t.Logf("%.0f bytes", each); each > 512 {
		t.Errorf("%.0f bytes a connection, at most 512", each)
	}
}
