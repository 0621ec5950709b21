package clock

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope/internal/fastpath"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
)

const (
	lowest  = math.MinInt64
	highest = math.MaxInt64
)

// seen is one timestamp and what must come of it.
type seen struct {
	stamp   int64
	verdict Verdict
	now     int64
}

// The limit is 10 in all rows that do not say otherwise, and so is what counts as near.
func TestTheClockFollowsWhatTimestampsAgreeOn(t *testing.T) {
	back := func(stamp, now int64, n int) (rows []seen) {
		for range n {
			rows = append(rows, seen{stamp, Backward, now})
		}
		return rows
	}
	for _, c := range []struct {
		name  string
		limit int64
		rows  []seen
	}{
		{"steady steps are followed", 10, []seen{
			{100, Steady, 100}, {100, Steady, 100}, {105, Steady, 105}, {115, Steady, 115}}},
		{"a leap of exactly the limit is believed", 10, []seen{
			{100, Steady, 100}, {110, Steady, 110}, {121, Suspect, 110}}},
		{"a stamp a little behind is clamped", 10, []seen{
			{100, Steady, 100}, {98, Backward, 100}, {101, Steady, 101}, {91, Backward, 101}}},
		{"one stamp far ahead is ignored", 10, []seen{
			{100, Steady, 100}, {101, Steady, 101}, {999, Suspect, 101}, {102, Steady, 102}}},
		{"a stamp far ahead and then one behind", 10, []seen{
			{100, Steady, 100}, {101, Steady, 101}, {999, Suspect, 101}, {99, Backward, 101}, {999, Suspect, 101}}},
		{"two stamps far ahead are believed", 10, []seen{
			{100, Steady, 100}, {101, Steady, 101}, {999, Suspect, 101}, {1001, Jumped, 1001}, {1002, Steady, 1002}}},
		{"a confirmed leap whose second stamp is the earlier", 10, []seen{
			{100, Steady, 100}, {101, Steady, 101}, {999, Suspect, 101}, {997, Jumped, 997}, {998, Steady, 998}}},
		{"two wrong stamps in a row count as far as they agree", 10, []seen{
			{100, Steady, 100}, {101, Steady, 101}, {999, Suspect, 101}, {9999, Jumped, 999}, {1000, Steady, 1000}}},
		{"a wrong stamp with a leap in truth right after it", 10, []seen{
			{100, Steady, 100}, {101, Steady, 101}, {9999, Suspect, 101}, {500, Jumped, 500}, {501, Steady, 501}}},
		{"a chain of leaps stays one stamp behind", 10, []seen{
			{0, Steady, 0}, {1, Steady, 1}, {100, Suspect, 1}, {200, Jumped, 100}, {300, Jumped, 200}, {301, Jumped, 301}}},

		{"seven stamps far behind are ignored", 10, slices.Concat(
			[]seen{{100, Steady, 100}}, back(5, 100, 7), []seen{{101, Steady, 101}}, back(5, 101, 7))},
		{"the eighth in a row is believed", 10, slices.Concat(
			[]seen{{100, Steady, 100}}, back(5, 100, 7), []seen{{5, Returned, 5}, {6, Steady, 6}})},
		{"they agree if none lies below the first, but for a little", 10, slices.Concat(
			[]seen{{100, Steady, 100}}, back(40, 100, 3), back(80, 100, 3), back(30, 100, 1), []seen{{41, Returned, 41}})},
		{"one below the first begins the row anew", 10, slices.Concat(
			[]seen{{100, Steady, 100}}, back(40, 100, 7), back(29, 100, 7), []seen{{30, Returned, 30}})},
		{"one a little behind ends the row", 10, slices.Concat(
			[]seen{{100, Steady, 100}}, back(5, 100, 7), back(90, 100, 1), back(5, 100, 7), []seen{{5, Returned, 5}})},
		{"one far ahead ends the row", 10, slices.Concat(
			[]seen{{100, Steady, 100}}, back(5, 100, 7), []seen{{999, Suspect, 100}}, back(5, 100, 7), []seen{{5, Returned, 5}})},
		{"the first stamp wrong, too late", 10, slices.Concat(
			[]seen{{9999, Steady, 9999}}, back(100, 9999, 7), []seen{{101, Returned, 101}, {50, Backward, 101}})},
		{"the first stamp wrong, too early", 10, []seen{
			{0, Steady, 0}, {100, Suspect, 0}, {101, Jumped, 101}, {0, Backward, 101}}},

		{"no limit: every stamp ahead is followed", 0, []seen{
			{5, Steady, 5}, {highest, Steady, highest}, {lowest, Backward, highest}}},
		{"and so many behind too", -7, slices.Concat(
			[]seen{{5e9, Steady, 5e9}}, back(3e9, 5e9, 7), []seen{{3e9, Returned, 3e9}}, back(2e9, 3e9, 20))},
		{"from end to end of time", 10, slices.Concat(
			[]seen{{lowest, Steady, lowest}, {lowest + 1, Steady, lowest + 1}, {highest, Suspect, lowest + 1}, {highest, Jumped, highest}},
			back(lowest, highest, 7), []seen{{lowest, Returned, lowest}, {lowest + 3, Steady, lowest + 3}})},
		{"a step that wraps is not a small one", 10, []seen{
			{highest - 1, Steady, highest - 1}, {highest, Steady, highest}, {lowest, Backward, highest}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := New(c.limit, 1000)
			for i, row := range c.rows {
				elapsed := clock.Elapsed()
				verdict := clock.Observe(row.stamp)
				if verdict != row.verdict || clock.Now() != row.now {
					t.Fatalf("stamp %d, %d: %v at %d, want %v at %d", i, row.stamp, verdict, clock.Now(), row.verdict, row.now)
				}
				if clock.Elapsed() < elapsed || clock.Elapsed() <= 0 {
					t.Fatalf("stamp %d: elapsed %d after %d", i, clock.Elapsed(), elapsed)
				}
			}
		})
	}
}

func TestAClockThatHasSeenNothingStandsAtZero(t *testing.T) {
	var c Clock
	if c.Now() != 0 || c.Started() || c.Doubtful() {
		t.Fatalf("%+v", c)
	}
	if c.Observe(-5); c.Now() != -5 || !c.Started() {
		t.Fatalf("%+v", c)
	}
}

// timestamps makes times that lie near each other, far apart and at the ends.
func stamps(r *rand.Rand, n int) []int64 {
	base := []int64{0, 1000, 5000, -4000, lowest, highest, lowest / 2, highest / 2}
	list := make([]int64, n)
	at := base[r.IntN(len(base))]
	for i := range list {
		if r.IntN(4) == 0 {
			at = base[r.IntN(len(base))]
		}
		at = Add(at, r.Int64N(31)-10)
		list[i] = at
	}
	return list
}

// Whatever is observed: what the verdicts promise holds, no time is made up, and what has elapsed only grows, by
// as much as the clock moves ahead.
func TestEveryVerdictKeepsItsWord(t *testing.T) {
	const reach = 4000
	r := rand.New(rand.NewPCG(1, 2))
	seen := [5]int{}
	for range 20000 {
		limit := []int64{1, 10, 20, 3000, highest}[r.IntN(5)]
		c := New(limit, reach)
		slack := min(limit, 1e9)
		known := map[int64]bool{}
		list := stamps(r, 30)
		for i, stamp := range list {
			before, doubted, elapsed := c.Now(), c.Doubtful(), c.Elapsed()
			known[stamp] = true
			v := c.Observe(stamp)
			now, ok := c.Now(), false
			seen[v]++
			switch v {
			case Steady:
				ok = now == stamp && (i == 0 || stamp >= before && Sub(stamp, before) <= limit)
			case Backward:
				ok = stamp < before && now == before
			case Returned:
				ok = i >= backRow && now == stamp && Sub(before, now) > slack
				for _, s := range list[max(i-backRow+1, 0) : i+1] {
					ok = ok && Sub(before, s) > slack
				}
			case Suspect:
				ok = now == before && Sub(stamp, before) > limit && c.Doubtful() && !doubted
			case Jumped:
				ok = doubted && Sub(now, before) > limit && now == min(stamp, list[i-1]) || now == stamp
			}
			grown := c.Elapsed() - elapsed
			if i == 0 {
				grown = 0
			}
			if grown != min(max(Sub(now, before), 0), reach) && i > 0 {
				ok = false
			}
			if !ok || !known[now] {
				t.Fatalf("limit %d, %v: stamp %d makes it %d from %d by %v, elapsed %d", limit, list[:i+1], i, now, before, v, grown)
			}
		}
	}
	for v, n := range seen {
		if n < 100 {
			t.Errorf("verdict %d came %d times", v, n)
		}
	}
}

// Follow is Observe's fast path: it takes a step as Observe does, or does nothing. A clock that was made with
// fast paths off takes none.
func TestFollowTakesAStepAsObserveDoes(t *testing.T) {
	const reach = 500
	r := rand.New(rand.NewPCG(13, 14))
	taken := 0
	for range 20000 {
		limit := []int64{-7, 0, 1, 10, 20, 3000, highest}[r.IntN(7)]
		fast := New(limit, reach)
		fastpath.Off = true
		slow := New(limit, reach)
		fastpath.Off = false
		for i, stamp := range stamps(r, 12) {
			before := fast
			followed := fast.Follow(stamp)
			if !followed && fast != before {
				t.Fatalf("limit %d: a stamp that is not followed makes %+v of %+v", limit, fast, before)
			}
			if slow.Follow(stamp) {
				t.Fatalf("limit %d: stamp %d is followed with fast paths off", limit, i)
			}
			want := slow.Observe(stamp)
			if followed {
				taken++
			} else if v := fast.Observe(stamp); v != want {
				t.Fatalf("limit %d: stamp %d is %v, by the slow path %v", limit, i, v, want)
			}
			same := slow
			same.steps = fast.steps
			if followed && want != Steady || fast != same {
				t.Fatalf("limit %d: stamp %d makes it %+v, by the slow path %v and %+v", limit, i, fast, want, slow)
			}
		}
		fast.Reset()
		slow.Reset()
		if fast != New(limit, reach) || slow.steps != 0 || slow.Started() {
			t.Fatalf("limit %d: %+v and %+v after Reset", limit, fast, slow)
		}
	}
	if taken < 10000 {
		t.Fatalf("only %d stamps were followed", taken)
	}
}

// A good timestamp lies at most half the limit from the one before, a wrong one
// further than the limit from all of them, on either side.
//
//	good    100  103       101  104        107
//	wrong             -9             9999          never two in a row
//	time    100  103  103  103  104  104   107
func TestOneWrongTimestampNeverMovesARunningClock(t *testing.T) {
	const limit = 10
	r := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		c := New(limit, 1000)
		good := r.Int64N(2000) - 1000
		c.Observe(good)
		top := good
		wrong := true // the first two are good
		for range 30 {
			if !wrong && r.IntN(2) == 0 {
				wrong = true
				c.Observe(outlier(r, top))
			} else {
				wrong = false
				good += r.Int64N(limit+1) - limit/2
				if top-good > limit {
					good = top - limit
				}
				top = max(top, good)
				c.Observe(good)
			}
			if c.Now() != top {
				t.Fatalf("%d, want %d", c.Now(), top)
			}
		}
	}
}

// outlier is a time far from all good ones, near one of the ends or not.
func outlier(r *rand.Rand, top int64) int64 {
	d := 10000 + r.Int64N(1<<uint(20+r.IntN(43)))
	if r.IntN(2) == 0 {
		d = -d
	}
	return Add(top, d)
}

// What the caller says in between: it is believed ahead, and behind where something waits there.
func TestAdvanceConfirmsWhatWaits(t *testing.T) {
	row := func(stamp int64, n int) (list []int64) {
		for range n {
			list = append(list, stamp)
		}
		return list
	}
	for _, c := range []struct {
		name     string
		stamps   []int64
		to, want int64
		doubtful bool
	}{
		{"before any timestamp", nil, -100, -100, false},
		{"far ahead", []int64{100, 101}, 5000, 5000, false},
		{"a time that has passed", []int64{100, 101}, 50, 101, false},
		{"a jump that waits is confirmed", []int64{100, 101, 999}, 999, 999, false},
		{"and by a little less", []int64{100, 101, 999}, 989, 999, false},
		{"and by more", []int64{100, 101, 999}, 1500, 1500, false},
		{"a time before it says that it was wrong", []int64{100, 101, 999}, 988, 988, false},
		{"the clock's own time says nothing of it", []int64{100, 101, 999}, 101, 101, true},
		{"nor does a time that has passed", []int64{100, 101, 999}, 50, 101, true},
		{"a row that lies far back is confirmed", append([]int64{100, 101}, row(5, 1)...), 6, 6, false},
		{"by a little less", append([]int64{100, 101}, row(50, 3)...), 40, 40, false},
		{"but not by a time far below it", append([]int64{100, 101}, row(50, 3)...), 39, 101, false},
		{"a first timestamp gives way", []int64{9999}, 100, 100, false},
		{"unless it is near", []int64{109}, 100, 109, false},
		{"a second one supports it", []int64{9999, 9999}, 100, 9999, false},
	} {
		clock := New(10, 1<<40)
		for _, stamp := range c.stamps {
			clock.Observe(stamp)
		}
		elapsed, before := clock.Elapsed(), clock.Now()
		clock.Advance(c.to)
		if clock.Now() != c.want || clock.Doubtful() != c.doubtful {
			t.Errorf("%s: %d, doubtful %v", c.name, clock.Now(), clock.Doubtful())
		}
		if grown := clock.Elapsed() - elapsed; c.stamps != nil && grown != max(c.want-before, 0) {
			t.Errorf("%s: %d elapsed", c.name, grown)
		}
	}
}

func TestConfirmIsTheLastWord(t *testing.T) {
	for _, c := range []struct {
		stamps []int64
		want   int64
	}{
		{nil, 0}, {[]int64{100}, 100}, {[]int64{100, 101}, 101}, {[]int64{100, 999}, 999}, {[]int64{100, 5}, 5}, {[]int64{100, 5, 101}, 101},
	} {
		clock := New(10, 1000)
		for _, stamp := range c.stamps {
			clock.Observe(stamp)
		}
		if clock.Confirm(); clock.Now() != c.want || clock.Doubtful() {
			t.Errorf("%v: %d", c.stamps, clock.Now())
		}
	}
}

// The two times are translated as things stand.
func TestElapsedTimeRunsBesideTheClock(t *testing.T) {
	c := New(10, 1000)
	c.Observe(-70)
	c.Advance(500)
	e := c.Elapsed()
	for _, d := range []int64{-3, 0, 8} {
		if c.ElapsedAt(500+d) != e+d || c.TimeAt(e+d) != 500+d {
			t.Errorf("%d: %d and %d", d, c.ElapsedAt(500+d), c.TimeAt(e+d))
		}
	}
	c.Advance(500_000)
	if c.Elapsed() != e+1000 {
		t.Errorf("a jump of more than the reach makes %d of %d", c.Elapsed(), e)
	}
	if e = c.Elapsed(); c.ElapsedAt(highest) != e+highest-500_000 || c.ElapsedAt(lowest) != e+lowest || c.TimeAt(lowest) >= 0 {
		t.Errorf("%d %d %d", c.ElapsedAt(highest), c.ElapsedAt(lowest), c.TimeAt(lowest))
	}
	c.Reach(5000)
	if c.Advance(600_000); c.Elapsed() != e+5000 {
		t.Errorf("the reach grows: %d of %d", c.Elapsed(), e)
	}
}

// A capture whose time leaps from end to end of time cannot use the elapsed time up.
func TestElapsedTimeIsNeverUsedUp(t *testing.T) {
	c := New(10, 1<<50)
	c.Observe(0)
	for range 10_000 {
		c.Observe(highest)
		c.Observe(highest)
		for range backRow {
			c.Observe(0)
		}
		before := c.Elapsed()
		if c.Observe(5); c.Elapsed() != before+5 {
			t.Fatalf("%d after %d", c.Elapsed(), before)
		}
		c.Observe(0)
	}
	if c.Elapsed() < maxElapsed/2 {
		t.Fatalf("%d elapsed: the test shows nothing", c.Elapsed())
	}
}

func TestBehindAndAheadAreMoreThanALittle(t *testing.T) {
	c := New(10, 1000)
	c.Observe(100)
	for stamp, want := range map[int64][2]bool{89: {true, false}, 90: {}, 100: {}, 110: {}, 111: {false, true}, lowest: {true, false}, highest: {false, true}} {
		if got := [2]bool{c.Behind(stamp), c.Ahead(stamp)}; got != want {
			t.Errorf("%d: %v", stamp, got)
		}
	}
	if wide := New(highest, 1000); wide.slack != 1e9 {
		t.Errorf("at most a second: %d", wide.slack)
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	c := New(10, 1000)
	var at int64
	allocs.None(t, 1, func() {
		c.Observe(at)
		c.Observe(at + 100)
		c.Advance(at)
		at++
	})
}
