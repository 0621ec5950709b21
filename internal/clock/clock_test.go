package clock

import (
	"math"
	"math/rand/v2"
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

// The limit is 10 in all rows that do not say otherwise.
func TestTheClockFollowsWhatTwoTimestampsAgreeOn(t *testing.T) {
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
		{"a stamp far behind is clamped once two agree", 10, []seen{
			{100, Steady, 100}, {101, Steady, 101}, {5, Backward, 101}, {6, Backward, 101}, {102, Steady, 102}}},
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
		{"a leap in truth with one wrong stamp right after it", 10, []seen{
			{100, Steady, 100}, {101, Steady, 101}, {500, Suspect, 101}, {9999, Jumped, 500}, {501, Steady, 501}}},
		{"a wrong stamp with a leap in truth right after it", 10, []seen{
			{100, Steady, 100}, {101, Steady, 101}, {9999, Suspect, 101}, {500, Jumped, 500}, {501, Steady, 501}}},
		{"a chain of leaps stays one stamp behind", 10, []seen{
			{0, Steady, 0}, {1, Steady, 1}, {100, Suspect, 1}, {200, Jumped, 100}, {300, Jumped, 200}, {301, Jumped, 301}}},

		{"the first stamp wrong, too late", 10, []seen{
			{9999, Steady, 9999}, {100, Backward, 100}, {101, Steady, 101}, {50, Backward, 101}}},
		{"the first stamp wrong, too early", 10, []seen{
			{0, Steady, 0}, {100, Suspect, 0}, {101, Jumped, 101}, {0, Backward, 101}}},
		{"the second stamp wrong, too late", 10, []seen{
			{100, Steady, 100}, {9999, Suspect, 100}, {101, Steady, 101}}},
		{"the second stamp wrong, too early", 10, []seen{
			{100, Steady, 100}, {0, Backward, 0}, {101, Jumped, 101}, {0, Backward, 101}}},
		{"the first two stamps wrong, ever too late", 10, []seen{
			{9999, Steady, 9999}, {5000, Backward, 5000}, {100, Backward, 100}, {101, Steady, 101}}},
		{"the first two stamps wrong, the second later still", 10, []seen{
			{5000, Steady, 5000}, {9999, Suspect, 5000}, {100, Backward, 100}, {101, Steady, 101}}},
		{"a second stamp a little behind supports the first", 10, []seen{
			{100, Steady, 100}, {95, Backward, 100}, {5, Backward, 100}}},

		{"no limit: every stamp ahead is followed", 0, []seen{
			{5, Steady, 5}, {highest, Steady, highest}, {lowest, Backward, highest}}},
		{"a negative limit is none", -7, []seen{
			{5, Steady, 5}, {6, Steady, 6}, {9999, Steady, 9999}, {5, Backward, 9999}}},
		{"the longest limit never distrusts", highest, []seen{
			{lowest, Steady, lowest}, {highest, Steady, highest}, {lowest, Backward, highest}, {highest, Steady, highest}}},
		{"from end to end of time", 10, []seen{
			{lowest, Steady, lowest}, {lowest + 1, Steady, lowest + 1}, {highest, Suspect, lowest + 1},
			{highest, Jumped, highest}, {lowest, Backward, highest}, {highest, Steady, highest}}},
		{"a step that wraps is not a small one", 10, []seen{
			{highest - 1, Steady, highest - 1}, {highest, Steady, highest}, {lowest, Backward, highest}}},
		{"the first stamp wrong, from end to end of time", 10, []seen{
			{highest, Steady, highest}, {lowest, Backward, lowest}, {lowest + 3, Steady, lowest + 3}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := New(c.limit)
			for i, row := range c.rows {
				verdict := clock.Observe(row.stamp)
				if verdict != row.verdict || clock.Now() != row.now {
					t.Fatalf("stamp %d, %d: %v at %d, want %v at %d", i, row.stamp, verdict, clock.Now(), row.verdict, row.now)
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

// Whatever is observed: what the verdicts promise holds, no time is made up,
// and time never goes back once two timestamps in a row lay within the limit.
func TestEveryVerdictKeepsItsWord(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		c := New([]int64{1, 10, 20, 3000, highest}[r.IntN(5)])
		known := map[int64]bool{}
		agreed := false
		var last int64
		list := stamps(r, 12)
		for i, stamp := range list {
			before, doubted := c.Now(), c.Doubtful()
			if i > 0 && Sub(max(last, stamp), min(last, stamp)) <= c.limit {
				agreed = true
			}
			known[stamp] = true
			v := c.Observe(stamp)
			now, ok := c.Now(), false
			switch v {
			case Steady:
				ok = now == stamp && (i == 0 || stamp >= before && Sub(stamp, before) <= c.limit)
			case Backward:
				ok = stamp < before && (now == before || !agreed && now == stamp)
			case Suspect:
				ok = now == before && Sub(stamp, before) > c.limit && c.Doubtful() && !doubted
			case Jumped:
				ok = doubted && Sub(now, before) > c.limit && now <= stamp && (now == last || now == stamp || !agreed)
			}
			if !ok || !known[now] || agreed && now < before {
				t.Fatalf("limit %d, %v: stamp %d makes it %d from %d by %v", c.limit, list[:i+1], i, now, before, v)
			}
			last = stamp
		}
	}
}

// Follow is Observe's fast path: it takes a step as Observe does, or does nothing. A clock that was made with
// fast paths off takes none.
func TestFollowTakesAStepAsObserveDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	taken := 0
	for range 20000 {
		limit := []int64{-7, 0, 1, 10, 20, 3000, highest}[r.IntN(7)]
		fast := New(limit)
		fastpath.Off = true
		slow := New(limit)
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
			if followed && want != Steady || fast.now != slow.now || fast.state != slow.state || fast.Doubtful() && fast.suspect != slow.suspect {
				t.Fatalf("limit %d: stamp %d makes it %+v, by the slow path %v and %+v", limit, i, fast, want, slow)
			}
		}
		fast.Reset()
		slow.Reset()
		if fast != New(limit) || slow.steps != 0 || slow.Started() {
			t.Fatalf("limit %d: %+v and %+v after Reset", limit, fast, slow)
		}
	}
	if taken < 10000 {
		t.Fatalf("only %d stamps were followed", taken)
	}
}

// The clock without a limit is the highest timestamp so far.
func TestWithoutALimitTimeIsTheHighestTimestamp(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		for _, limit := range []int64{0, -1, lowest, highest} {
			c := New(limit)
			top := int64(lowest)
			for _, stamp := range stamps(r, 8) {
				top = max(top, stamp)
				if c.Observe(stamp); c.Now() != top || c.Doubtful() {
					t.Fatalf("limit %d: %d after %d, want %d", limit, c.Now(), stamp, top)
				}
			}
		}
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
		c := New(limit)
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

// Where the wrong timestamp is among the first, the clock cannot know, but two good
// ones in a row are enough to put it right for ever.
func TestTwoGoodTimestampsRepairAWrongStart(t *testing.T) {
	const limit = 10
	r := rand.New(rand.NewPCG(7, 8))
	for range 20000 {
		c := New(limit)
		good := r.Int64N(2000) - 1000
		if r.IntN(2) == 0 {
			c.Observe(good)
		}
		first := outlier(r, good)
		c.Observe(first)
		c.Observe(good)
		c.Observe(good + 1)
		if c.Now() != good+1 || c.Doubtful() {
			t.Fatalf("%d after %d, want %d", c.Now(), first, good+1)
		}
		c.Observe(outlier(r, good))
		if c.Now() != good+1 {
			t.Fatalf("%d after a second wrong stamp, want %d", c.Now(), good+1)
		}
	}
}

func TestAdvanceMovesTheClockAhead(t *testing.T) {
	c := New(10)
	c.Advance(-100)
	if c.Now() != -100 || !c.Started() {
		t.Fatalf("a first Advance makes it %d", c.Now())
	}
	c.Advance(500)
	if c.Now() != 500 {
		t.Fatalf("%d: a vouched leap needs no confirmation", c.Now())
	}
	if v := c.Observe(100); v != Backward || c.Now() != 500 {
		t.Fatalf("%v at %d: a vouched time is not gone back on", v, c.Now())
	}
	if v := c.Observe(501); v != Steady {
		t.Fatalf("%v", v)
	}
}

func TestAdvanceToATimeThatHasPassedChangesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 20000 {
		c := New(10)
		for _, stamp := range stamps(r, 1+r.IntN(6)) {
			c.Observe(stamp)
		}
		before := c
		if c.Now() == lowest {
			continue
		}
		c.Advance(Sub(c.Now(), 1+r.Int64N(100)))
		if c != before {
			t.Fatalf("%+v became %+v", before, c)
		}
	}
}

// Who calls Advance with the clock's own time between any two timestamps sees the
// same leaps confirmed: else a true leap would never be.
func TestAdvanceDoesNotForgetASuspect(t *testing.T) {
	c := New(10)
	c.Observe(100)
	c.Observe(101)
	c.Observe(999)
	c.Advance(101)
	c.Advance(105)
	if !c.Doubtful() {
		t.Fatal("the stamp no longer waits")
	}
	if v := c.Observe(1000); v != Jumped || c.Now() != 1000 {
		t.Fatalf("%v at %d", v, c.Now())
	}
	c.Observe(5000)
	if c.Advance(4995); c.Doubtful() || c.Now() != 4995 {
		t.Fatalf("at %d the stamp 5000 is no leap any more", c.Now())
	}
	if v := c.Observe(4996); v != Steady {
		t.Fatalf("%v", v)
	}
}

func TestAdvanceBetweenTimestampsNeverMakesTimeGoBack(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 20000 {
		c := New(10)
		vouched := false
		for i, stamp := range stamps(r, 12) {
			before := c.Now()
			if r.IntN(3) == 0 {
				vouched = vouched || i == 0 || stamp >= before
				if c.Advance(stamp); c.Now() != stamp && (i == 0 || stamp >= before) {
					t.Fatalf("Advance(%d) makes it %d from %d", stamp, c.Now(), before)
				}
			} else {
				c.Observe(stamp)
			}
			if vouched && i > 0 && c.Now() < before {
				t.Fatalf("%d after %d", c.Now(), before)
			}
		}
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	c := New(10)
	var at int64
	allocs.None(t, 1, func() {
		c.Observe(at)
		c.Observe(at + 100)
		c.Advance(at)
		at++
	})
}
