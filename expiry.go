package flowscope

import (
	"cmp"
	"math"
	"slices"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// Timeouts, eviction, and the end of flows.

// Queues of the flow table, in the eviction order: all flows of one queue are evicted before those of
// the next.
const (
	queueLingering = 1 + iota
	queueOneWay    // one side has sent packets
	queueClosing   // TCP: both sides have sent a FIN
	queueTwoWay    // both sides have sent packets
)

// maxExpiries bounds how many flows may time out in one call of Track; expireFlows derives its other
// bounds from it.
const maxExpiries = 64

// keepEvents is the largest slice of events, in events, that is kept for the next call; a larger one,
// as of a Finish with many flows, is let go.
const keepEvents = 4096

// Sweep says that it is now at least that time, and returns the events that follow: the ends of the
// flows that have timed out. Call it where packets may stop coming; Track does the same on its own
// with the packets' time. A flow that has been idle for exactly its timeout has timed out. The cost is
// that of the flows that time out; where none does, a Sweep costs next to nothing.
//
// now is believed at once, however far ahead, and cannot be taken back, not even before the first
// packet: give a replay packet time (Now().Add), never time.Now, and on live traffic stay behind the
// capture's queue, as examples/live does, by 100 ms.
func (t *FlowTracker[K, S]) Sweep(now Timestamp) []FlowEvent[K] {
	t.reclaim()
	before := t.clock.Now()
	t.clock.Advance(int64(now))
	// now may equal the first packet's timestamp, which confirms it, as a later time does; but it does
	// not confirm one that lies far ahead.
	if t.clock.Now() > before || int64(now) == before && !t.clock.Doubtful() {
		if t.doubtful.active && t.doubtful.stamp <= t.clock.Now() {
			t.correctDoubtful() // the caller vouches for it
		}
		t.doubtful.active = false
	}
	t.x.Orientation = 0
	t.expireFlows(t.clock.Now(), math.MaxInt/16)
	return t.flushAnomalies()
}

// Finish says that the capture is over: every flow ends, in the order of their creation, and lingering
// ones are released. The reason is EndFinished, unless the timeout has passed, both sides have sent a
// FIN, or one has sent a RST that was not believed. The tracker is then empty, and may be used for
// another capture, whose time may lie anywhere.
func (t *FlowTracker[K, S]) Finish() []FlowEvent[K] {
	t.reclaim()
	t.x.Orientation = 0
	t.expired = slices.Grow(t.expired[:0], t.table.Len())
	for s := range t.table.All {
		t.expired = append(t.expired, expiredFlow{s.Value.id, s.ID()})
	}
	t.expired = sortByCreation(t.expired)
	t.endExpired()
	t.clearFragments()
	events := t.flushAnomalies()
	t.clock.Reset()
	return events
}

// endExpired ends and releases the flows that Finish has found.
func (t *FlowTracker[K, S]) endExpired() {
	now, hash := t.clock.Now(), uint64(0)
	clearing := t.table.BeginClear()
	defer t.table.EndClear() // also if the caller's code panics
	for _, e := range t.expired {
		s := t.table.At(e.slot)
		reason := EndFinished
		if t.timedOut(s, now) {
			reason = EndIdleTimeout
		}
		if !clearing {
			hash = t.hash(&s.Key)
		}
		t.endAndRelease(hash, s, reason)
	}
}

// ForceClose ends the flow of that key with EndForceClosed and reports whether there is one. It may be
// called while events are being read: the flow ends, and its last events come, at the beginning of the
// next call of Track, Sweep or Finish. Until then Get, Flows and Len still have it. Its later packets
// are late, not a new flow, for Config.LingerTimeout, or until the table is full and it is evicted.
func (t *FlowTracker[K, S]) ForceClose(key K) bool {
	s := t.find(&key)
	if s == nil {
		return false
	}
	if s.Value.bits&closeRequested == 0 {
		s.Value.bits |= closeRequested
		t.closeRequested = append(t.closeRequested, s.ID())
		t.reclaimDue = true
	}
	return true
}

// SetMaxFlows lowers the limit on flows, or raises it again up to Config.MaxFlows; 0 restores that. It
// reports whether n is possible. It may be called while events are being read: flows beyond the limit
// are evicted in the next call.
func (t *FlowTracker[K, S]) SetMaxFlows(n int) bool {
	if n < 0 || n > t.cfg.MaxFlows {
		return false
	}
	if n == 0 {
		n = t.cfg.MaxFlows
	}
	t.maxFlows = n
	t.reclaimDue = true
	return true
}

// reclaimEnded is the rare part of reclaim: it frees the slots that were released in the last call,
// ends the flows for which ForceClose was called since, and evicts flows beyond the limit.
func (t *FlowTracker[K, S]) reclaimEnded() {
	t.reclaimDue = false
	if len(t.expired) != 0 || t.dueSlot != 0 {
		t.restoreTimers()
	}
	if cap(t.events) > keepEvents {
		t.events = nil
	}
	if cap(t.finalStats) > keepEvents {
		t.finalStats = nil
	}
	if cap(t.expired) > keepEvents {
		t.expired = nil
	}
	// Backward, so that slots are used again in the order of their flows, and lie one behind the
	// other.
	for _, id := range slices.Backward(t.ended) {
		if !t.table.Has(id) {
			continue // it is in the list twice, and the table is empty by now
		}
		s := t.table.At(id)
		final := s.Value.bits&released != 0
		if final {
			t.table.Free(s)
			continue
		}
		if t.hook == nil { // otherwise the driver has done it
			var none S
			s.Value.user = none
		}
		s.Value.bits &^= justEnded
	}
	if t.ended = t.ended[:0]; cap(t.ended) > keepEvents {
		t.ended = nil
	}
	for i := 0; i < len(t.closeRequested); i++ { // a Reassembler may close more flows meanwhile
		id := t.closeRequested[i]
		if !t.table.Has(id) || t.table.At(id).Value.bits&closeRequested == 0 {
			continue // it ended by itself meanwhile
		}
		s := t.table.At(id)
		t.endFlow(t.hash(&s.Key), s, EndForceClosed)
	}
	if t.closeRequested = t.closeRequested[:0]; cap(t.closeRequested) > keepEvents {
		t.closeRequested = nil
	}
	if t.refile {
		t.refileTimers()
	}
	for t.table.Len() > t.maxFlows {
		t.evict()
	}
	if t.details != nil && t.table.Len() == 0 {
		t.details.shrink(t.table.Has)
	}
	if t.reports != nil && t.table.Len() == 0 {
		trim(&t.reports.flows, t.table.Has)
	}
}

// restoreTimers sets the timers of flows that a panic of the caller's code left without.
func (t *FlowTracker[K, S]) restoreTimers() {
	if t.dueSlot != 0 {
		t.expired = append(t.expired, expiredFlow{slot: t.dueSlot})
		t.dueSlot = 0
	}
	for _, e := range t.expired {
		if !t.table.Has(e.slot) {
			continue
		}
		if s := t.table.At(e.slot); s.Queue() != 0 && !s.TimerSet() {
			t.setTimer(s, s.Value.idleFrom())
		}
	}
	t.expired = t.expired[:0]
}

// setTimeoutClass gives a flow another timeout. Only for a shorter one the timer is set at once: a
// longer one is noticed when the old timer is due.
func (t *FlowTracker[K, S]) setTimeoutClass(s *slot[K, S], class timeoutClass) {
	f := &s.Value
	if f.class() == class {
		return
	}
	before := t.timeout(s)
	if f.setClass(class); t.timeout(s) < before {
		t.setTimer(s, t.clock.Now())
	}
}

// setTimer sets the flow's timer to when it will have timed out, counted from the given time, or to
// the driver's timer if that is earlier.
func (t *FlowTracker[K, S]) setTimer(s *slot[K, S], from int64) {
	at := t.deadline(s, from)
	if t.reports != nil && s.Value.bits&lingering == 0 {
		at = t.reports.timer(s.ID(), at)
	}
	if at < math.MaxInt64 {
		t.table.SetTimer(s, at)
	} else {
		t.table.StopTimer(s) // never
	}
}

// deadline is the time of the flow's timer, or math.MaxInt64 for none; see setTimer.
func (t *FlowTracker[K, S]) deadline(s *slot[K, S], from int64) int64 {
	at := int64(math.MaxInt64)
	if wait := t.timeout(s); wait != int64(Never) {
		at = clock.Add(from, wait)
	}
	if t.hook != nil {
		if next := t.hook.flowStreams(s).nextTimer; next != 0 {
			at = min(at, next)
		}
	}
	if t.guesses(s) {
		at = min(at, t.guessedUntil(s))
	}
	return at
}

// timeout is how long the flow may be idle.
func (t *FlowTracker[K, S]) timeout(s *slot[K, S]) int64 {
	if t.keyTimeout == nil {
		return t.timeouts[s.Value.class()&7]
	}
	return t.timeoutByKey(s)
}

func (t *FlowTracker[K, S]) timeoutByKey(s *slot[K, S]) int64 {
	class := s.Value.class()
	if class != classOpening && class != classClosing && class != classLinger && class != classReset {
		if d := t.keyTimeout(s.Key); d > 0 {
			return int64(d)
		}
	}
	return t.timeouts[class]
}

// timedOut reports whether the flow has been idle for its timeout. It subtracts and never adds, so that
// no timestamp makes it overflow.
func (t *FlowTracker[K, S]) timedOut(s *slot[K, S], now int64) bool {
	wait := t.timeout(s)
	return wait != int64(Never) && clock.Sub(now, s.Value.idleFrom()) >= wait
}

// expiredAt is the present, or when the flow timed out if that is earlier.
func (t *FlowTracker[K, S]) expiredAt(s *slot[K, S]) int64 {
	if wait := t.timeout(s); wait != int64(Never) {
		return min(t.clock.Now(), clock.Add(s.Value.idleFrom(), wait))
	}
	return t.clock.Now()
}

// endAndRelease ends a flow, if it has not ended, and releases it: it does not linger. If both sides
// have sent a FIN, or one has sent a RST that was not believed at the time, that is the reason after
// all.
func (t *FlowTracker[K, S]) endAndRelease(hash uint64, s *slot[K, S], reason EndReason) {
	f := &s.Value
	if f.bits&lingering == 0 {
		switch {
		case f.bits&isTCP == 0:
		case f.conn.ResetAtEnd(reason == EndIdleTimeout, &t.doubts):
			reason = EndRST
		case f.conn.Finished():
			reason = EndFIN
		}
		t.endFlow(hash, s, reason)
	}
	if f.bits&lingering != 0 {
		t.releaseFlow(hash, s)
	}
}

// expireFlows ends the flows that have timed out by now, at most limit of them, in the order of their
// creation, and calls the driver for its timers that are due. It stops once there are 16 times as many
// events, so that no packet pays for much that is not its own.
func (t *FlowTracker[K, S]) expireFlows(now int64, limit int) {
	t.expireFragments(limit)
	t.expired = t.expired[:0]
	for looks := 0; len(t.expired) < limit && looks < 4*limit && len(t.events) < 16*limit; looks++ {
		s := t.table.Due(now)
		if s == nil {
			break
		}
		t.dueSlot, t.reclaimDue = s.ID(), true
		if t.timedOut(s, now) {
			t.expired = append(t.expired, expiredFlow{s.Value.id, s.ID()})
			continue
		}
		used := !s.TimerWas(t.deadline(s, s.Value.idleFrom()))
		if t.reports != nil && s.Value.bits&lingering == 0 {
			used = t.reports.flows.at(s.ID()).idle != t.deadline(s, s.Value.idleFrom())
			t.report(s, now)
		}
		if t.guesses(s) && now >= t.guessedUntil(s) {
			if t.leap(t.hash(&s.Key), s, nil); s.Value.bits&(lingering|released) != 0 {
				continue
			}
		}
		if t.hook != nil && s.Value.bits&lingering == 0 {
			if t.hook.onTimer(s, now) {
				t.endFlow(t.hash(&s.Key), s, EndBufferOverflow)
				continue
			}
			if len(t.pending) != 0 {
				t.emitAnomalies(s)
			}
		}
		t.setTimer(s, s.Value.idleFrom())
		if q := s.Queue(); used && (q == queueOneWay || q == queueTwoWay) {
			t.table.Join(s, q) // it is evicted after those that were not used
		}
	}
	t.dueSlot = 0
	t.wakeForFragments()
	slices.SortFunc(t.expired, expiredFlow.before)
	for _, e := range t.expired {
		s := t.table.At(e.slot)
		if len(t.events) >= 16*limit {
			t.setTimer(s, s.Value.idleFrom()) // the next call goes on
			continue
		}
		t.endAndRelease(t.hash(&s.Key), s, EndIdleTimeout)
	}
	t.expired = t.expired[:0]
}

// expiredFlow is a flow that is about to end. Its number is kept beside its slot, so that sorting does
// not read the slots: there may be many, and in no cache.
type expiredFlow struct {
	flow FlowID
	slot flowtable.ID
}

func (e expiredFlow) before(f expiredFlow) int { return cmp.Compare(e.flow, f.flow) }

// sortByCreation sorts by flow number. The numbers of flows that are alive together lie close to each
// other as a rule, so a flow's number is its place in a list of at most four times as many, which lives
// as long as this call: 4 to 14 ns a flow. Of a million flows, comparing them takes 165 to 300 ns each,
// half as long as all else that Finish does.
func sortByCreation(list []expiredFlow) []expiredFlow {
	first, last := FlowID(math.MaxUint64), FlowID(0)
	for _, e := range list {
		first, last = min(first, e.flow), max(last, e.flow)
	}
	if len(list) == 0 || last-first >= 4*FlowID(len(list)) {
		slices.SortFunc(list, expiredFlow.before)
		return list
	}
	places := make([]flowtable.ID, last-first+1)
	for _, e := range list {
		places[e.flow-first] = e.slot
	}
	list = list[:0]
	for i, id := range places {
		if id != 0 {
			list = append(list, expiredFlow{first + FlowID(i), id})
		}
	}
	return list
}

// evict makes room for one flow.
func (t *FlowTracker[K, S]) evict() {
	q := uint8(queueLingering)
	s := t.table.First(q)
	for s == nil {
		q++
		s = t.table.First(q)
	}
	hash := t.nextVictim.hash
	if t.nextVictim.flow != s.Value.id {
		hash = t.hash(&s.Key)
	} else if invariants.Enabled && hash != t.hash(&s.Key) {
		panic("flowscope: the next victim was hashed under another key")
	}
	if q == queueLingering {
		t.releaseFlow(hash, s)
	} else {
		t.endFlow(hash, s, EndEvicted)
		t.anomaly(AnomalyFlowTableEvictionPressure, nil, 0, int64(t.stats.Ended[EndEvicted]), 1)
	}
	if t.fastPaths {
		t.nextVictim.queue = q
	}
}

// victim is the flow that will probably be evicted next.
type victim struct {
	queue uint8 // of the last one evicted; 0 if nothing is to be prefetched
	flow  FlowID
	hash  uint64
	sum   uint64 // of the memory read ahead, so that the compiler keeps the reads
}

// prefetchVictim prepares the next eviction. Where one flow is evicted, the next packet often evicts
// another, whose memory is in no cache: so its hash is made now, its place in the index is read, and
// the slot of the one after it. lookUp calls this right before it reads the index, so that the cache
// misses overlap instead of coming in turn: a fifth of the cost of a SYN of a flood.
func (t *FlowTracker[K, S]) prefetchVictim() {
	v := &t.nextVictim
	s := t.table.First(v.queue)
	v.queue = 0
	if s == nil {
		return
	}
	v.flow, v.hash = s.Value.id, t.hash(&s.Key)
	sum, after := t.table.PrefetchVictim(v.hash, s)
	if v.sum += sum; after != nil {
		v.sum += t.prefetch(after)
	}
}

// prefetch reads a word of each cache line of a slot, and the memory of the driver.
func (t *FlowTracker[K, S]) prefetch(s *slot[K, S]) uint64 {
	f := &s.Value.record
	sum := uint64(f.last[0]) + f.bytes[0] + uint64(f.conn.State()) + uint64(f.id) + uint64(s.ID())
	if t.hook != nil {
		st := t.hook.flowStreams(s)
		sum += st.directions.Touch() + uint64(st.nextTimer)
	}
	return sum
}

// endFlow ends a flow. It is the only way a flow ends.
func (t *FlowTracker[K, S]) endFlow(hash uint64, s *slot[K, S], reason EndReason) {
	f := &s.Value
	if (t.guesses(s) || t.doubts.GoesOnBehindSYN(&f.conn)) && !t.believing {
		t.believeAtEnd(hash, s)
	}
	if t.hook != nil {
		t.hook.onFlowEnd(s, reason) // first: what is the caller's may panic
	}
	f.reason = reason
	f.bits = f.bits&^closeRequested | justEnded
	t.reclaimDue = true
	t.live--
	t.stats.FlowsEnded++
	t.stats.Ended[reason]++
	if len(t.pending) != 0 {
		t.emitAnomalies(s)
	}
	if reason == EndForceClosed {
		f.conn.Abort()
	}
	if t.cfg.Events.Has(EventEnded) {
		t.emitFinal(EventEnded, s)
	}
	t.doubts.Release(&f.conn)
	if !reason.lingers() {
		t.releaseFlow(hash, s)
		return
	}
	t.ended = append(t.ended, s.ID())
	f.startLingering(t.clock.Now())
	t.table.Join(s, queueLingering)
	t.setTimer(s, t.clock.Now())
}

// releaseFlow forgets a flow that has ended. Its slot still answers State until the next call.
func (t *FlowTracker[K, S]) releaseFlow(hash uint64, s *slot[K, S]) {
	if t.cfg.Events.Has(EventReleased) {
		t.emitFinal(EventReleased, s)
	}
	s.Value.bits |= released
	t.doubts.Release(&s.Value.conn)
	t.table.Detach(hash, s)
	if s == t.latest {
		t.latest = nil
	}
	t.ended = append(t.ended, s.ID())
	t.reclaimDue = true
}
