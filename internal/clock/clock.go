// Package clock turns the timestamps of packets into a time that one wrong timestamp does not change.
//
//	timestamp   10.0  10.2  10.1   9999.0  10.3   |  10.4  9999.0  9999.1
//	time        10.0  10.2  10.2   10.2    10.3   |  10.4  10.4    9999.1
//	                  a little back: waits  alone: ignored   confirmed by the next
//
//	timestamp   86410.0  10.0 10.1 ... 10.6  10.7 |  86411.0  10.0  86411.1
//	time        86410.0  86410.0   ...       10.7 |  86411.0        86411.1
//	                     eight in a row: the time steps back    one: ignored
//
// Beside the time, a Clock has the time that has elapsed. It never goes back: a step back of the time
// leaves it where it is. All ages and timers count in elapsed time, so none of them notices.
//
// All times are nanoseconds, timestamps since the Unix epoch; the machine's clock is never read.
package clock

import (
	"math"
	"time"

	"github.com/flowscope-go/flowscope/internal/fastpath"
)

// Verdict says what a timestamp did to the clock.
type Verdict uint8

const (
	// Steady: the timestamp was followed.
	Steady Verdict = iota
	// Backward: the timestamp lies before the clock, which stayed where it was.
	Backward
	// Returned: as Backward, and so many timestamps in a row lie there that the clock went back to this
	// one.
	Returned
	// Suspect: the timestamp lies further ahead than the limit and waits for the
	// next one to confirm it; the clock stayed where it was.
	Suspect
	// Jumped: the clock jumped further than the limit, which two timestamps in a row agree on.
	Jumped
)

// backRow is how many timestamps in a row have to lie behind the clock for it to go back.
const backRow = 8

// Clock is packet time. Make one with New.
type Clock struct {
	limit  int64  // see New
	reach  int64  // see New
	slack  int64  // timestamps that lie so near each other agree
	steps  uint64 // Follow takes only steps shorter than that: the limit, or 0 with fast paths off
	now    int64
	offset int64 // elapsed time less now; the sum is right even where this wraps
	doubt  int64 // jumping: the timestamp that waits; returning: the first of the row
	row    uint8 // returning: how many there are
	state  state
}

type state uint8

const (
	unset     state = iota // no timestamp seen
	lone                   // one timestamp seen
	running                // the last timestamp was followed, or lies a little back
	jumping                // the last timestamp lies far ahead
	returning              // the last timestamp lies far back
)

// New makes a clock. The limit is the longest jump ahead that needs no confirmation; with 0 or less,
// none does. A jump longer than reach, the longest time that anybody waits for, counts in elapsed time
// as one of reach: so that a capture whose time leaps to the end of time and back, again and again, does
// not use it up.
func New(limit, reach int64) Clock {
	if limit <= 0 {
		limit = math.MaxInt64
	}
	c := Clock{limit: limit, slack: min(limit, int64(time.Second))}
	c.setReach(reach)
	return c
}

func (c *Clock) setReach(reach int64) {
	c.reach = min(max(reach, 1), maxReach)
	if !fastpath.Off {
		c.steps = uint64(min(c.limit, c.reach))
	}
}

// maxReach is the longest reach, and maxElapsed where elapsed time stops to jump: a hundred years.
const (
	maxReach   = 1 << 56
	maxElapsed = 1 << 62
)

// Reach says that somebody waits for that long.
func (c *Clock) Reach(wait int64) {
	if wait > c.reach && c.reach < maxReach {
		c.setReach(wait)
	}
}

// Reset takes the clock back to where it has seen no timestamp.
func (c *Clock) Reset() {
	*c = Clock{limit: c.limit, reach: c.reach, slack: c.slack, steps: c.steps}
}

// Now is the current time, 0 before the first timestamp.
func (c *Clock) Now() int64 { return c.now }

// Elapsed is the time that has elapsed: positive, and never less than before, but for Reset. Before the
// first timestamp it is 0.
func (c *Clock) Elapsed() int64 { return c.now + c.offset }

// ElapsedAt is Elapsed when it is the given time by the clock, as things stand.
func (c *Clock) ElapsedAt(stamp int64) int64 { return Add(c.Elapsed(), Sub(stamp, c.now)) }

// TimeAt is the time by the clock when so much has elapsed, as things stand.
func (c *Clock) TimeAt(elapsed int64) int64 { return Add(c.now, Sub(elapsed, c.Elapsed())) }

// Started reports whether the clock has seen a timestamp.
func (c *Clock) Started() bool { return c.state != unset }

// Doubtful reports whether the last timestamp lies far ahead and waits for the next one to confirm it.
func (c *Clock) Doubtful() bool { return c.state == jumping }

// Behind reports whether a time lies so far behind the clock that it is none of the clock's, and Ahead the same
// for one ahead.
func (c *Clock) Behind(stamp int64) bool { return Sub(c.now, stamp) > c.slack }

// Ahead is the other half of Behind.
func (c *Clock) Ahead(stamp int64) bool { return Sub(stamp, c.now) > c.slack }

// Follow takes the timestamp of the next packet if it is a small step ahead, as nearly all are, and
// reports whether it was. It is Observe's fast path, small enough to be inlined. The difference is
// taken unsigned, so that a step too long for int64 is not mistaken for a small one.
func (c *Clock) Follow(stamp int64) bool {
	if c.state != running || stamp < c.now || uint64(stamp-c.now) >= c.steps {
		return false
	}
	c.now = stamp
	return true
}

// Observe shows the clock the timestamp of the next packet.
func (c *Clock) Observe(stamp int64) Verdict {
	switch {
	case c.state == unset:
		c.start(stamp)
		c.state = lone
		return Steady
	case stamp < c.now:
		return c.backward(stamp)
	case !c.far(c.now, stamp):
		c.step(stamp)
		c.state = running
		return Steady
	case c.state == jumping:
		// Two timestamps in a row lie far ahead: it is at least as late as the
		// earlier of them says.
		if c.far(c.doubt, stamp) {
			c.step(c.doubt)
			c.doubt = stamp
		} else {
			c.step(stamp)
			c.state = running
		}
		return Jumped
	}
	c.doubt, c.state = stamp, jumping
	return Suspect
}

// backward judges a timestamp that lies before now. One that lies far back begins a row, of which all
// others lie where the first does, or later, and before now too.
func (c *Clock) backward(stamp int64) Verdict {
	if !c.Behind(stamp) {
		c.state = running
		return Backward
	}
	if c.state != returning || stamp < Sub(c.doubt, c.slack) {
		c.doubt, c.row, c.state = stamp, 0, returning
	}
	if c.row++; c.row < backRow {
		return Backward
	}
	c.back(stamp)
	return Returned
}

// far reports whether one time lies further ahead of another than the limit.
func (c *Clock) far(from, to int64) bool { return Sub(to, from) > c.limit }

// start begins at a time.
func (c *Clock) start(at int64) { c.now, c.offset = at, 1-at }

// step moves the clock ahead.
func (c *Clock) step(to int64) {
	elapsed := c.Elapsed()
	by := min(Sub(to, c.now), c.reach)
	if elapsed > maxElapsed-by { // used up by leaps: from here on in steps that are too small to use it up again
		by, c.steps = min(by, c.slack), min(c.steps, uint64(c.slack))
	}
	elapsed += by
	c.now, c.offset = to, elapsed-to
}

// back moves the clock back.
func (c *Clock) back(to int64) {
	c.offset += c.now - to
	c.now, c.state = to, running
}

// Advance moves the clock to a time that the caller vouches for, and confirms what waits there: a jump
// ahead, or timestamps of a row that lie far back. A first timestamp that nothing supports gives way.
// Otherwise a time that has passed changes nothing.
func (c *Clock) Advance(to int64) {
	switch {
	case c.state == unset:
		c.start(to)
		c.state = running
	case c.state == jumping && to >= Sub(c.doubt, c.slack):
		c.Confirm()
		if to > c.now {
			c.step(to)
		}
	case to > c.now:
		c.step(to)
		c.state = running
	case c.Behind(to) && (c.state == lone || c.state == returning && to >= Sub(c.doubt, c.slack)):
		c.back(to)
	}
}

// Confirm says that the last timestamp was right.
func (c *Clock) Confirm() {
	switch c.state {
	case jumping:
		c.step(c.doubt)
		c.state = running
	case returning:
		c.back(c.doubt)
	}
}

// Sub is a-b, held at the limits of int64 instead of wrapping.
func Sub(a, b int64) int64 {
	d := a - b
	if (a >= b) == (d >= 0) {
		return d
	}
	if a > b {
		return math.MaxInt64
	}
	return math.MinInt64
}

// Add is a+b, held at the limits of int64 instead of wrapping.
func Add(a, b int64) int64 {
	s := a + b
	if (s > a) == (b > 0) {
		return s
	}
	if b > 0 {
		return math.MaxInt64
	}
	return math.MinInt64
}
