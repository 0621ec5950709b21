package flowtable

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope/internal/fastpath"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// clockwork is a table whose slots are only filed. Slots are numbered from 0.
type clockwork struct {
	*Table[key, int]
	slots []*Slot[key, int]
}

func newClockwork(n int) *clockwork {
	c := &clockwork{Table: New[key, int](n)}
	for i := range n {
		k := key(i)
		s := c.Insert(hashes[4].of(k), &k)
		s.Value = i
		c.slots = append(c.slots, s)
	}
	return c
}

func (c *clockwork) intact(t *testing.T) {
	t.Helper()
	if what := c.broken(func(k *key) uint64 { return hashes[4].of(*k) }); what != "" {
		t.Fatal(what)
	}
}

func TestOrderedKeepsTheOrderOfTimes(t *testing.T) {
	times := []int64{math.MinInt64, math.MinInt64 + 1, -1 << 40, -1, 0, 1, 1 << 40, math.MaxInt64 - 1, math.MaxInt64}
	for i, a := range times {
		for j, b := range times {
			if (ordered(a) < ordered(b)) != (i < j) {
				t.Errorf("%d and %d", a, b)
			}
		}
	}
}

// One slot is filed, time goes its way, and at each stop it is said whether the
// slot is out. Whoever asks files again what is not due.
func TestASlotComesOutAtItsTimeAndNotBefore(t *testing.T) {
	const now = int64(1_700_000_000_000_000_000)
	for _, c := range []struct {
		name  string
		start int64 // an earlier question
		at    int64
		stops []int64 // not due at any but the last
	}{
		{"to the nanosecond", now, now + 300e9, []int64{now, now + 1, now + 300e9 - 1, now + 300e9}},
		{"at once", now, now, []int64{now}},
		{"in the past", now, now - 300e9, []int64{now}},
		{"in the next nanosecond", now, now + 1, []int64{now, now + 1}},
		{"one bucket of each size ahead", now, now + 0x0101010101010101, []int64{now, now + 0x0101010101010100, now + 0x0101010101010101}},
		{"before 1970", -500, -100, []int64{-500, -101, -100}},
		{"from before 1970 to after", -500, 500, []int64{-1, 0, 499, 500}},
		{"the beginning of time", math.MinInt64, math.MinInt64, []int64{math.MinInt64}},
		{"the end of time", now, math.MaxInt64, []int64{now, math.MaxInt64 - 1, math.MaxInt64}},
		{"from end to end", math.MinInt64, math.MaxInt64, []int64{math.MinInt64, 0, math.MaxInt64 - 1, math.MaxInt64}},
		{"filed after the end of time was asked for", math.MaxInt64, math.MaxInt64, []int64{math.MaxInt64}},
		{"time went back before it was filed", now, 500, []int64{400, 499, 500}},
		{"time goes back after it was filed", now, now + 500, []int64{now + 400, 100, now + 499, now + 500}},
		{"time goes back and the slot is due", now, 90, []int64{100}},
		{"time went from end to end and back", math.MaxInt64, math.MinInt64 + 1, []int64{math.MinInt64, math.MinInt64 + 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newClockwork(1)
			if w.Due(c.start) != nil {
				t.Fatal("something comes out of an empty wheel")
			}
			w.SetTimer(w.slots[0], c.at)
			for i, stop := range c.stops {
				out := false
				for looks := 0; !out; looks++ {
					s := w.Due(stop)
					if s == nil {
						break
					}
					if looks > levels {
						t.Fatalf("handed out for ever at %d", stop)
					}
					if out = c.at <= stop; !out {
						w.SetTimer(s, c.at)
					}
				}
				if out != (i == len(c.stops)-1) {
					t.Fatalf("at %d: out is %v", stop, out)
				}
				w.intact(t)
			}
		})
	}
}

// someTime is a time on any scale around now.
func someTime(r *rand.Rand, now int64) int64 {
	d := r.Int64N(1 << uint(1+r.IntN(62)))
	if r.IntN(4) == 0 {
		d = -d
	}
	return saturated(now, d)
}

// The oracle is a sorted list of (time, slot). Nothing is busy here, so what
// comes out between two questions is exactly what the list has between them.
func TestTheWheelHandsOutWhatASortedListWould(t *testing.T) {
	type filing struct {
		at   int64
		slot int
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range race.Seeds(300) {
		const n = 60
		w := newClockwork(n)
		under := make([]int64, n)
		var list []filing
		now := someTime(r, 0)
		for i := range n {
			under[i] = someTime(r, now)
			w.SetTimer(w.slots[i], under[i])
			list = append(list, filing{under[i], i})
		}
		slices.SortFunc(list, func(a, b filing) int {
			if a.at != b.at {
				if a.at < b.at {
					return -1
				}
				return 1
			}
			return a.slot - b.slot
		})
		for len(list) > 0 {
			if now = max(now, someTime(r, now)); r.IntN(3) == 0 {
				now = max(now, list[r.IntN(len(list))].at-1+r.Int64N(2)) // just before a time or right at it
			}
			var got []filing
			for s := w.Due(now); s != nil; s = w.Due(now) {
				if under[s.Value] <= now {
					got = append(got, filing{under[s.Value], s.Value})
				} else {
					w.SetTimer(s, under[s.Value])
				}
			}
			i := 0
			for i < len(list) && list[i].at <= now {
				i++
			}
			for _, f := range list[:i] {
				if !slices.Contains(got, f) {
					t.Fatalf("at %d slot %d, filed under %d, does not come out", now, f.slot, f.at)
				}
			}
			if len(got) != i {
				t.Fatalf("at %d come out %d slots, want %d", now, len(got), i)
			}
			list = list[i:]
			if r.IntN(8) == 0 {
				w.intact(t)
			}
		}
	}
}

// Time may go back at any moment, with slots half handed out. Nothing is lost
// and nothing is handed out for ever: the model sees to it.
func TestTimeMayGoBackAtAnyMoment(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range race.Seeds(800) {
		m := newModel(t, 12, hashes[4].of)
		for k := range key(12) {
			m.insert(k)
		}
		for range 40 {
			k := key(r.IntN(12))
			switch r.IntN(6) {
			case 0, 1:
				m.file(k, someTime(r, m.now))
			case 2:
				m.unfile(k)
			case 3:
				m.busy(k, someTime(r, m.now))
			case 4:
				m.drain(someTime(r, m.now), 1+r.IntN(3))
			case 5:
				m.drain(saturated(m.now, r.Int64N(1<<uint(1+r.IntN(62)))), math.MaxInt)
			}
		}
		m.check()
		m.end()
	}
}

// A slot with a fixed time comes down at least one level with each look.
func TestAFixedTimeTakesAtMostOneLookForEachLevel(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	most := 0
	for range race.Seeds(200) {
		const n = 50
		w := newClockwork(n)
		now := someTime(r, 0)
		var under [n]int64
		var looks [n]int
		for i := range n {
			under[i] = saturated(now, r.Int64N(1<<uint(1+r.IntN(62))))
			w.SetTimer(w.slots[i], under[i])
		}
		for step := r.Int64N(1<<uint(10+r.IntN(52))) + 1; w.Pending(math.MaxInt64) && now < math.MaxInt64; step += step / 8 {
			now = saturated(now, step+1)
			for s := w.Due(now); s != nil; s = w.Due(now) {
				if looks[s.Value]++; under[s.Value] > now {
					w.SetTimer(s, under[s.Value])
				}
			}
		}
		for i := range n {
			if looks[i] == 0 || looks[i] > levels {
				t.Fatalf("%d looks at a slot filed under %d", looks[i], under[i])
			}
			most = max(most, looks[i])
		}
	}
	if most < 4 {
		t.Fatalf("never more than %d looks: the times do not reach the levels", most)
	}
}

// A slot that is busy all the time is looked at a few times in each timeout,
// whatever the timeout and however often somebody sweeps.
func TestABusySlotIsLookedAtAFewTimesInEachTimeout(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var all, timeOuts float64
	for range race.Seeds(400) {
		const n = 8
		w := newClockwork(n)
		start := int64(1_700_000_000_000_000_000) + r.Int64N(1<<50)
		now := start
		w.Due(now)
		timeOut := r.Int64N(1<<uint(4+r.IntN(40))) + 1
		step := max(1, timeOut/(1+r.Int64N(1000)))
		if r.IntN(4) == 0 {
			step = timeOut * (1 + r.Int64N(10))
		}
		var looks [n]int
		for i := range n {
			w.SetTimer(w.slots[i], now+timeOut)
		}
		for range 2000 {
			now += 1 + r.Int64N(step)
			for s := w.Due(now); s != nil; s = w.Due(now) {
				looks[s.Value]++
				w.SetTimer(s, now+timeOut-r.Int64N(1+timeOut/16)) // it was busy until a moment ago
			}
		}
		passed := float64(now-start) / float64(timeOut)
		for i := range n {
			if float64(looks[i]) > (levels+1)*(passed+1) {
				t.Fatalf("timeout %d, step %d: %d looks in %.1f timeouts", timeOut, step, looks[i], passed)
			}
			all += float64(looks[i])
		}
		timeOuts += n * passed
	}
	t.Logf("%.2f looks for each timeout", all/timeOuts)
}

// However many slots are filed, whoever asks too early is sent away with one
// comparison, and nothing is moved.
func TestAQuietMomentMovesNothing(t *testing.T) {
	const n, now = 50000, int64(1_700_000_000_000_000_000)>>40<<40 + 12345 // else a bucket of that size begins meanwhile
	w := newClockwork(n)
	for i, s := range w.slots {
		w.SetTimer(s, now+300e9+int64(i)*1000)
	}
	for s := w.Due(now); s != nil; s = w.Due(now) { // an empty wheel does not turn: these are its first turns
		w.SetTimer(s, now+300e9+int64(s.Value)*1000)
	}
	if w.wheel.now != ordered(now) {
		t.Fatalf("the wheel stands at %x, not at %x", w.wheel.now, ordered(now))
	}
	turned := w.wheel
	for d := int64(0); d < 290e9; d += 1e9 {
		if w.Pending(now + d) {
			t.Fatalf("pending %d ns after", d)
		}
		if w.Due(now+d) != nil {
			t.Fatalf("something comes out %d ns after", d)
		}
	}
	if w.wheel != turned {
		t.Fatal("the wheel has turned")
	}
}

// Two slots that were filed alike come out in an order that is fixed by the
// filing, and one that is handed out in the middle does not disturb the rest.
func TestACallerMayStopInTheMiddle(t *testing.T) {
	w := newClockwork(5)
	for _, s := range w.slots {
		w.SetTimer(s, 1000)
	}
	seen := map[int]bool{}
	for now := int64(1000); len(seen) < 5; now++ {
		s := w.Due(now)
		if s == nil || seen[s.Value] {
			t.Fatalf("at %d %v", now, s)
		}
		seen[s.Value] = true
		if len(seen) == 2 {
			next := w.slots[slices.IndexFunc(w.slots, func(s *Slot[key, int]) bool { return !seen[s.Value] })]
			w.StopTimer(next)
			w.StopTimer(next) // a second time it is nothing
			w.SetTimer(next, now)
		}
		w.intact(t)
	}
	if w.Due(math.MaxInt64) != nil {
		t.Fatal("one too many")
	}
}

// Nothing is current any more, but the wheel cannot know without looking. What
// it finds then must not turn it back under the slots that are filed.
func TestASlotTakenBackLeavesTheWheelWhereItIs(t *testing.T) {
	const now = int64(0x123456)
	m := newModel(t, 3, hashes[4].of)
	for k := range key(3) {
		m.insert(k)
	}
	m.file(0, now)
	m.drain(now, 1)
	m.file(1, now+5)
	m.file(2, now-0x20000)
	m.unfile(2)
	for _, at := range []int64{now - 0x10000, now - 1, now + 4, now + 5} {
		m.drain(at, math.MaxInt)
		m.check()
	}
	if m.keys[1].timerSet {
		t.Fatal("the slot did not come out")
	}
}

// The mark never denies the right time, and takes few wrong ones for it.
func TestASlotKnowsUnderWhichTimeItWasFiled(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	w := newClockwork(1)
	const tries = 1 << 18 // about four mistakes
	mistakes := 0
	for range tries {
		at := someTime(r, 1_700_000_000_000_000_000)
		w.SetTimer(w.slots[0], at)
		if w.StopTimer(w.slots[0]); !w.slots[0].TimerWas(at) {
			t.Fatalf("%d is denied", at)
		}
		if other := saturated(at, 1+r.Int64N(300e9)); other != at && w.slots[0].TimerWas(other) {
			mistakes++
		}
	}
	if mistakes > 20 {
		t.Fatalf("%d mistakes in %d", mistakes, tries)
	}
}

// A table that was made with fast paths off is asked at every moment, and gives the same slots at the same moments
// in the same order as one that is asked when it says so.
func TestASlowTableGivesWhatAFastOneGives(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	looks, quiet := 0, 0
	for range race.Seeds(300) {
		fast := newClockwork(20)
		fastpath.Off = true
		slow := newClockwork(20)
		fastpath.Off = false
		now, scale := someTime(r, 0), 1+r.IntN(50)
		due := make([]int64, 20)
		for step := range 300 {
			switch i := r.IntN(20); r.IntN(8) {
			case 0:
				now = someTime(r, now) // also backwards
			case 1, 2, 3:
				now = saturated(now, r.Int64N(1<<scale))
			case 4:
				fast.StopTimer(fast.slots[i])
				slow.StopTimer(slow.slots[i])
			case 5:
				at := saturated(now, r.Int64N(1<<scale))
				fast.Wake(at)
				slow.Wake(at)
			default:
				due[i] = saturated(now, r.Int64N(1<<scale))
				fast.SetTimer(fast.slots[i], due[i])
				slow.SetTimer(slow.slots[i], due[i])
			}
			if !slow.Pending(now) {
				t.Fatalf("step %d: a slow table says that nothing is pending", step)
			}
			if !fast.Pending(now) {
				if s := slow.Due(now); s != nil {
					t.Fatalf("step %d: nothing is pending, and slot %d comes out", step, s.Value)
				}
				quiet++
				continue
			}
			for {
				a, b := fast.Due(now), slow.Due(now)
				if a == nil && b == nil {
					break
				}
				if a == nil || b == nil || a.Value != b.Value {
					t.Fatalf("step %d: %v comes out, and %v of the slow table", step, a, b)
				}
				if looks++; due[a.Value] > now {
					fast.SetTimer(a, due[a.Value])
					slow.SetTimer(b, due[a.Value])
				}
			}
			fast.intact(t)
			slow.intact(t)
		}
	}
	if looks < 1000 || quiet < 1000 {
		t.Fatalf("%d slots came out, and %d times none", looks, quiet)
	}
}
