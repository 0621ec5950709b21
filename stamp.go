package flowscope

import (
	"time"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Two times are kept apart. A packet's own timestamp is the time of its events and of First and Last of
// its flow, and says whether that flow had been silent for too long. The clock says whether other flows
// have been, and holes, and datagrams: no single timestamp moves it far.
//
//	own timestamp   last, first, events, Held.Stamp           compared with each other
//	clock           Now, the events that come from time       compared with last
//	elapsed time    timers, the ages of holes, of what is     never goes back
//	                held, of datagrams, of flows that linger

// until is the later of the clock and the current packet's timestamp: by then the packet's own flow may
// have been silent for too long.
func (t *FlowTracker[K, S]) until() int64 { return max(t.clock.Now(), t.at) }

// silent reports whether the flow had been silent for its timeout when the current packet came, by the
// packet's own timestamp or by the clock.
func (t *FlowTracker[K, S]) silent(s *slot[K, S]) bool {
	wait := t.timeout(s)
	switch f := &s.Value; {
	case wait == int64(Never):
		return false
	case f.bits&lingering != 0:
		return clock.Sub(t.clock.ElapsedAt(t.until()), f.conn.EndedAt()) >= wait
	default:
		return clock.Sub(t.at, t.idleFrom(s)) >= wait || t.idle(s) >= wait
	}
}

// idle is for how long the flow has been idle by the clock, or has lingered.
func (t *FlowTracker[K, S]) idle(s *slot[K, S]) int64 {
	switch f := &s.Value; {
	case f.bits&lingering != 0:
		return clock.Sub(t.clock.Elapsed(), f.conn.EndedAt())
	case t.isStray(s):
		return t.strayFor(s)
	default:
		return max(clock.Sub(t.clock.Now(), t.idleFrom(s)), 0)
	}
}

// idleSince is the elapsed time from which the flow's idle timeout counts.
func (t *FlowTracker[K, S]) idleSince(s *slot[K, S]) int64 {
	if t.fastPaths { // as below, for nearly all flows
		f := &s.Value
		if f.bits&lingering != 0 {
			return f.conn.EndedAt()
		}
		if last := f.lastSeen(); last <= t.clock.Now() && !f.lags() && !f.conn.InDoubt() {
			return clock.Sub(t.clock.Elapsed(), clock.Sub(t.clock.Now(), last))
		}
	}
	return clock.Sub(t.clock.Elapsed(), t.idle(s))
}

// fitsUnbelieved reports whether the current packet, by whose timestamp its flow has timed out, belongs to
// the flow nevertheless: the clock has not come to that timestamp, and the packet has numbers, which prove more
// than a timestamp.
func (t *FlowTracker[K, S]) fitsUnbelieved(s *slot[K, S]) bool {
	f := &s.Value
	if t.at <= t.clock.Now() || !t.x.HasTCP || f.bits&(isTCP|lingering) != isTCP {
		return false
	}
	t.fillSegment(&t.segment)
	return f.conn.Fits(tcp.Side(t.sender(f)), &t.segment)
}

// takeBack takes back the times of a flow that lie ahead of the clock: its timestamps were wrong, or the
// clock has gone back. The current packet came later, so they lie no later than its own.
func (t *FlowTracker[K, S]) takeBack(s *slot[K, S]) {
	f, to := &s.Value, t.at
	if t.clock.Behind(to) {
		to = t.clock.Now()
	}
	if t.reports != nil {
		t.reports.takeBack(s.ID(), to)
		defer t.setTimer(s) // once the times are right
	}
	for i := range FlowSide(2) {
		if !t.clock.Ahead(f.last[i]) {
			continue
		}
		f.last[i] = to
		if f.packets(i) != 0 && f.first[i] > to {
			f.moveFirst(i, to)
		}
	}
}

// moveFirst gives the first packet of a side another time.
func (f *record) moveFirst(side FlowSide, to int64) {
	f.first[side] = to
	if side == Responder && f.bits&synAckTimed != 0 && f.packets(side) == 1 {
		f.setHandshake(Initiator, clock.Sub(to, f.first[Initiator]))
	}
}

// A stray is a flow whose latest timestamp lies ahead of the clock, and nothing confirmed that, or lay far behind
// the clock when its last packet came. How long it has been idle cannot be told from that timestamp, so it is noted when the timer
// wheel comes to it.
type stray struct {
	flow     FlowID
	lastSeen int64
	since    int64 // in elapsed time
}

// isStray reports whether the flow is a stray.
func (t *FlowTracker[K, S]) isStray(s *slot[K, S]) bool {
	f := &s.Value
	return f.bits&lingering == 0 && (f.lags() || t.clock.Ahead(f.lastSeen()))
}

// strayFor is for how long a stray has been noted.
func (t *FlowTracker[K, S]) strayFor(s *slot[K, S]) int64 {
	if e, ok := t.strays[s.ID()]; ok && e.flow == s.Value.id && e.lastSeen == s.Value.lastSeen() {
		return t.clock.Elapsed() - e.since
	}
	return 0
}

// noteStray notes a flow to which the timer wheel has come, if it is a stray and not noted yet.
func (t *FlowTracker[K, S]) noteStray(s *slot[K, S]) {
	if !t.isStray(s) {
		if len(t.strays) != 0 {
			delete(t.strays, s.ID())
		}
		return
	}
	if e, ok := t.strays[s.ID()]; ok && e.flow == s.Value.id && e.lastSeen == s.Value.lastSeen() {
		return
	}
	if t.strays == nil {
		t.strays = map[flowtable.ID]stray{}
	}
	t.strays[s.ID()] = stray{s.Value.id, s.Value.lastSeen(), t.clock.Elapsed()} // endFlow forgets it
}

// lags reports whether all timestamps of the flow lay far behind the clock when its last packet came.
func (f *record) lags() bool { return f.classAndDirection&lagging != 0 }

// noteLag notes whether the flow lags, whose last packet is the current one.
func (t *FlowTracker[K, S]) noteLag(f *record) {
	f.classAndDirection &^= lagging
	if t.clock.Behind(f.lastSeen()) {
		f.classAndDirection |= lagging
	}
}

// moveClock shows the clock a timestamp that is no small step ahead.
func (t *FlowTracker[K, S]) moveClock(stamp int64) {
	waited := t.clock.Doubtful()
	switch t.clock.Observe(stamp) {
	case clock.Steady:
	case clock.Backward, clock.Returned:
		t.stats.ClockBackward++
		t.anomaly(AnomalyClockBackward, nil, 0, 0, 1)
	case clock.Jumped:
		t.stats.ClockJumps++
		t.confirm()
		waited = false
	}
	if waited {
		t.settleUnconfirmed()
	}
	if t.unconfirmed.active = t.clock.Doubtful(); !t.unconfirmed.active {
		return
	}
	t.unconfirmed.flow, t.unconfirmed.stamp, t.unconfirmed.at = 0, stamp, t.clock.Elapsed()
	if t.fragments != nil {
		t.unconfirmed.datagrams = t.fragments.table.Opened()
	}
}

// unconfirmedPacket is the last packet, if its timestamp lies far ahead: the next one confirms that, or does not.
// Until then it is as if the packet had come at the clock's time.
type unconfirmedPacket struct {
	active    bool
	stamp     int64
	at        int64 // when it came, in elapsed time
	slot      flowtable.ID
	flow      FlowID // in which it was counted; 0: in none
	datagrams uint64 // reassemblies begun before it
}

// settleUnconfirmed follows if the clock has decided about the last packet's timestamp.
func (t *FlowTracker[K, S]) settleUnconfirmed() {
	u := &t.unconfirmed
	if !u.active || t.clock.Doubtful() {
		return
	}
	if t.clock.Ahead(u.stamp) {
		t.stats.ClockSuspects++
		t.anomaly(AnomalyClockJump, nil, 0, 0, 1)
	} else {
		t.confirm()
	}
	u.active = false
}

// confirm follows from the timestamp of the last packet having been right: the packet came later than it
// seemed, and what is held since then is younger.
func (t *FlowTracker[K, S]) confirm() {
	u := &t.unconfirmed
	if !u.active {
		return
	}
	to := t.clock.ElapsedAt(min(u.stamp, t.clock.Now()))
	if t.fragments != nil && t.fragments.table.Opened() != u.datagrams {
		t.fragments.table.Postdate(to)
	}
	if u.flow == 0 || !t.table.Has(u.slot) {
		return
	}
	s := t.table.At(u.slot)
	f := &s.Value
	if f.id != u.flow || f.bits&released != 0 {
		return
	}
	if f.conn.InDoubt() {
		t.doubts.Retime(&f.conn, u.at, to)
	}
	if f.bits&lingering != 0 && f.conn.EndedAt() == u.at {
		f.conn.SetEndedAt(to)
	}
	if t.hook != nil && f.bits&lingering == 0 {
		t.hook.onRetime(s, u.at, to)
	}
	t.setTimer(s)
}

// wakeAt is the elapsed time at which it will be a time that the caller gave.
func (t *FlowTracker[K, S]) wakeAt(stamp int64) int64 {
	t.clock.Reach(clock.Sub(stamp, t.clock.Now()))
	return t.clock.ElapsedAt(stamp)
}

// longestWait is the longest of all times that are waited for, and at least some days.
func (c *Config) longestWait() int64 {
	longest := int64(1 << 50)
	for _, wait := range []time.Duration{
		c.OpeningTimeout, c.EstablishedTimeout, c.ClosingTimeout, c.ResetTimeout, c.UDPTimeout, c.ICMPTimeout, c.OtherTimeout,
		c.LingerTimeout, c.HoleAckedTimeout, c.HoleTimeout, c.HoleOneSidedTimeout, c.FragmentTimeout,
	} {
		if wait != Never {
			longest = max(longest, int64(wait))
		}
	}
	return longest
}
