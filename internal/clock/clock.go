// Package clock turns the timestamps of packets into a time that only moves forward and that one wrong
// timestamp does not change.
//
//	timestamp   10.0  10.2  10.1   9999.0  10.3   |  10.4  9999.0  9999.1
//	time        10.0  10.2  10.2   10.2    10.3   |  10.4  10.4    9999.1
//	                  back: clamped   alone: ignored        confirmed by the next
//
// All times are nanoseconds since the Unix epoch; the machine's clock is never read.
package clock

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/fastpath"
)

// Verdict says what a timestamp did to the clock.
type Verdict uint8

const (
	// Steady: the timestamp was followed.
	Steady Verdict = iota
	// Backward: the timestamp lies before the clock, which stayed where it was. Only if it had seen
	// nothing but the first timestamp, or that and a suspect one, and the new one lies further back than
	// the limit, the clock went back.
	Backward
	// Suspect: the timestamp lies further ahead than the limit and waits for the
	// next one to confirm it; the clock stayed where it was.
	Suspect
	// Jumped: the clock jumped further than the limit, which two timestamps in a row agree on.
	Jumped
)

// Clock is packet time. The zero value follows every timestamp forward; see New.
type Clock struct {
	limit   int64  // see New
	steps   uint64 // Follow takes only steps shorter than that: the limit, or 0 with fast paths off
	now     int64
	suspect int64 // a timestamp far ahead of now; used while split or jumping
	state   state
}

// New makes a clock. The limit is the longest jump ahead, in nanoseconds, that needs no confirmation.
// With 0 or less, none does.
func New(limit int64) Clock {
	c := Clock{limit: limit}
	if !fastpath.Off {
		c.steps = uint64(limit)
	}
	return c
}

// Reset takes the clock back to where it has seen no timestamp.
func (c *Clock) Reset() { *c = Clock{limit: c.limit, steps: c.steps} }

type state uint8

const (
	unset   state = iota // no timestamp seen
	single               // one timestamp seen, nothing supports it yet
	split                // nothing supports now, and suspect contradicts it
	running              // something supports now
	jumping              // as running, and suspect waits for confirmation
)

// Now is the current time, 0 before the first timestamp.
func (c *Clock) Now() int64 { return c.now }

// Started reports whether the clock has seen a timestamp.
func (c *Clock) Started() bool { return c.state != unset }

// Doubtful reports whether the last timestamp waits for the next one to confirm it.
func (c *Clock) Doubtful() bool { return c.state == jumping || c.state == split }

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
		c.now, c.state = stamp, single
		return Steady
	case stamp < c.now:
		return c.backward(stamp)
	case !c.far(c.now, stamp):
		c.now, c.state = stamp, running
		return Steady
	case c.Doubtful():
		// Two timestamps in a row lie far ahead: it is at least as late as the
		// earlier of them says.
		if c.far(c.suspect, stamp) {
			c.now, c.suspect, c.state = c.suspect, stamp, jumping
		} else {
			c.now, c.state = stamp, running
		}
		return Jumped
	case c.state == single:
		c.suspect, c.state = stamp, split
		return Suspect
	default:
		c.suspect, c.state = stamp, jumping
		return Suspect
	}
}

// backward judges a timestamp that lies before now. As long as nothing supported
// the first timestamp, an earlier one far from it may mean that the first was
// wrong: the clock goes back, and the next timestamp decides between the two.
//
//	first wrong     9999    10.0   10.1        time  9999  10.0  10.1
//	second wrong    10.0     0.0   10.1        time  10.0   0.0  10.1
func (c *Clock) backward(stamp int64) Verdict {
	if (c.state == single || c.state == split) && c.far(stamp, c.now) {
		c.suspect, c.now, c.state = c.now, stamp, split
		return Backward
	}
	c.state = running
	return Backward
}

// far reports whether one time lies further ahead of another than the limit.
func (c *Clock) far(from, to int64) bool {
	return c.limit > 0 && Sub(to, from) > c.limit
}

// Advance moves the clock to a time that the caller vouches for. A time that
// has passed changes nothing. A timestamp that waits for confirmation goes on
// waiting unless the clock comes near it, so it does no harm to call this
// after every packet.
func (c *Clock) Advance(to int64) {
	switch {
	case c.state == unset:
		c.now, c.state = to, running
	case to < c.now:
	case c.Doubtful() && c.far(to, c.suspect):
		c.now, c.state = to, jumping
	default:
		c.now, c.state = to, running
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
