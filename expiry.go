package flowscope

import (
	"cmp"
	"math"
	"slices"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// How long a flow lives, who leaves when there is no room, and how a flow ends.

// Queues of the flow table, in the order in which flows are evicted.
const (
	queueLingering = 1 + iota
	queueOneWay
	queueClosing
	queueRest
)

// maxExpiries bounds how many flows may time out in one call of Track; expire
// derives its other bounds from it.
const maxExpiries = 64

// keepEvents is the largest slice of events, in events, that is kept for the
// next call; a larger one, as of a Finish with many flows, is let go.
const keepEvents = 4096

// Sweep says that it is now at least that time, and returns what follows from
// it: the flows that have been silent for too long. Call it where packets may
// stop coming; Track does the same on its own with the packets' time. A flow
// whose silence equals its time-out has expired. The cost is that of the flows
// that expire; a quiet sweep costs next to nothing.
//
// now is believed at once, however far ahead, and cannot be taken back, not even
// before the first packet: give a replay packet time (Now().Add), never time.Now,
// and on live traffic stay behind the capture's queue, as examples/live does, by 100 ms.
func (t *FlowTracker[K, S]) Sweep(now Timestamp) []FlowEvent[K] {
	t.begin()
	before := t.clock.Now()
	t.clock.Advance(int64(now))
	// To say the present time settles a first stamp, as a later time does, but not
	// whether to believe one that leapt ahead of it.
	if t.clock.Now() > before || int64(now) == before && !t.clock.Doubtful() {
		if t.inDoubt && t.doubted.stamp <= t.clock.Now() {
			t.redate() // the caller vouches for it
		}
		t.inDoubt = false
	}
	t.x.Orientation = 0
	t.expire(t.clock.Now(), math.MaxInt/16)
	return t.tellRest()
}

// Finish says that the capture is over: every flow ends, in the order of their
// creation, and lingering ones are released. The reason is EndFinished, unless
// the time-out has passed, both sides had said FIN, or one had sent a reset that
// was not believed. The tracker is then empty, and
// may be used for another capture, whose time may lie anywhere.
func (t *FlowTracker[K, S]) Finish() []FlowEvent[K] {
	t.begin()
	t.x.Orientation = 0
	t.expired = slices.Grow(t.expired[:0], t.table.Len())
	for s := range t.table.All {
		t.expired = append(t.expired, ending{s.Value.id, s.ID()})
	}
	t.expired = byCreation(t.expired)
	t.endAll()
	t.clearFragments()
	events := t.tellRest()
	t.clock = clock.Clock{Limit: t.clock.Limit}
	return events
}

// endAll ends the flows that Finish has found, and forgets them.
func (t *FlowTracker[K, S]) endAll() {
	now, hash := t.clock.Now(), uint64(0)
	clearing := t.table.BeginClear()
	defer t.table.EndClear() // also if the caller's code panics
	for _, e := range t.expired {
		s := t.table.At(e.slot)
		reason := EndFinished
		if t.overdue(s, now) {
			reason = EndIdleTimeout
		}
		if !clearing {
			hash = t.hash(&s.Key)
		}
		t.conclude(hash, s, reason)
	}
}

// ForceClose ends the flow of that key with EndForceClosed and reports whether
// there is one. It may be called while events are being read: the flow ends, and its
// last events come, at the beginning of the next call of Track, Sweep or Finish.
// Until then Get, Flows and Len have it still. Its later
// packets are late, not a new flow, for Config.LingerTimeout, or until the table
// is full and it has to leave.
func (t *FlowTracker[K, S]) ForceClose(key K) bool {
	s := t.find(&key)
	if s == nil {
		return false
	}
	if s.Value.bits&marked == 0 {
		s.Value.bits |= marked
		t.marked = append(t.marked, s.ID())
		t.unsettled = true
	}
	return true
}

// SetMaxFlows lowers the limit on flows, or raises it again up to
// Config.MaxFlows; 0 restores that. It reports whether n is possible. It may be
// called while events are being read: flows that have to leave do so in the
// next call, as evicted.
func (t *FlowTracker[K, S]) SetMaxFlows(n int) bool {
	if n < 0 || n > t.cfg.MaxFlows {
		return false
	}
	if n == 0 {
		n = t.cfg.MaxFlows
	}
	t.limit = n
	t.unsettled = true
	return true
}

// settle is the rare part of begin: it forgets the flows that ended in the last
// call, ends those that were closed since, and makes the table as small as it
// was asked to be.
func (t *FlowTracker[K, S]) settle() {
	t.unsettled = false
	if len(t.expired) != 0 || t.atHand != 0 {
		t.refile()
	}
	if cap(t.events) > keepEvents {
		t.events = nil
	}
	if cap(t.finals) > keepEvents {
		t.finals = nil
	}
	if cap(t.expired) > keepEvents {
		t.expired = nil
	}
	// Backward, so that slots are used again in the order of their flows, whose lines
	// then lie in a row.
	for _, id := range slices.Backward(t.gone) {
		if !t.table.Has(id) {
			continue // named twice, and the table is empty by now
		}
		s := t.table.At(id)
		final := s.Value.bits&spent != 0
		if t.hook != nil {
			t.hook.onForget(s, final)
		}
		if final {
			t.table.Free(s)
			continue
		}
		if t.hook == nil {
			var none S
			s.Value.user = none
		}
		s.Value.bits &^= fresh
	}
	if t.gone = t.gone[:0]; cap(t.gone) > keepEvents {
		t.gone = nil
	}
	for i := 0; i < len(t.marked); i++ { // a Reassembler may close more flows meanwhile
		id := t.marked[i]
		if !t.table.Has(id) || t.table.At(id).Value.bits&marked == 0 {
			continue // it ended by itself meanwhile
		}
		s := t.table.At(id)
		t.end(t.hash(&s.Key), s, EndForceClosed)
	}
	if t.marked = t.marked[:0]; cap(t.marked) > keepEvents {
		t.marked = nil
	}
	for t.table.Len() > t.limit {
		t.evict()
	}
}

// refile puts back into the wheel what a panic of the caller's code left outside.
func (t *FlowTracker[K, S]) refile() {
	if t.atHand != 0 {
		t.expired = append(t.expired, ending{slot: t.atHand})
		t.atHand = 0
	}
	for _, e := range t.expired {
		if !t.table.Has(e.slot) {
			continue
		}
		if s := t.table.At(e.slot); s.Queue() != 0 && !s.Filed() {
			t.file(s, s.Value.since())
		}
	}
	t.expired = t.expired[:0]
}

// reclass gives a flow another time-out. Only a shorter one is filed at once:
// a longer one is found out when the old one comes up.
func (t *FlowTracker[K, S]) reclass(s *slot[K, S], class idleClass) {
	f := &s.Value
	if f.class() == class {
		return
	}
	before := t.patience(s)
	if f.setClass(class); t.patience(s) < before {
		t.file(s, t.clock.Now())
	}
}

// file arranges for the flow to be looked at when it will have been silent for
// too long, counted from the given moment.
func (t *FlowTracker[K, S]) file(s *slot[K, S], from int64) {
	if at := t.deadline(s, from); at < math.MaxInt64 {
		t.table.File(s, at)
	} else {
		t.table.Unfile(s) // never
	}
}

func (t *FlowTracker[K, S]) deadline(s *slot[K, S], from int64) int64 {
	at := int64(math.MaxInt64)
	if wait := t.patience(s); wait != int64(Never) {
		at = clock.Add(from, wait)
	}
	if t.hook != nil {
		if alarm := t.hook.nextTimer(s); alarm != 0 {
			at = min(at, alarm)
		}
	}
	return at
}

// patience is how long the flow may be silent.
func (t *FlowTracker[K, S]) patience(s *slot[K, S]) int64 {
	if t.timeout == nil {
		return t.idle[s.Value.class()&7]
	}
	return t.patienceByKey(s)
}

func (t *FlowTracker[K, S]) patienceByKey(s *slot[K, S]) int64 {
	class := s.Value.class()
	if class != idleOpening && class != idleClosing && class != idleLinger {
		if d := t.timeout(s.Key); d > 0 {
			return int64(d)
		}
	}
	return t.idle[class]
}

// overdue compares the silence with the time-out. It subtracts and never adds,
// so that no stamp can wrap it.
func (t *FlowTracker[K, S]) overdue(s *slot[K, S], now int64) bool {
	wait := t.patience(s)
	return wait != int64(Never) && clock.Sub(now, s.Value.since()) >= wait
}

// over is the present, or when the flow's time was over if that is earlier.
func (t *FlowTracker[K, S]) over(s *slot[K, S]) int64 {
	if wait := t.patience(s); wait != int64(Never) {
		return min(t.clock.Now(), clock.Add(s.Value.since(), wait))
	}
	return t.clock.Now()
}

// conclude ends a flow of which nothing more is to be expected, or forgets one
// that lingered. If both sides had said FIN, or one had sent a reset that was
// not believed at the time, that is the reason after all.
func (t *FlowTracker[K, S]) conclude(hash uint64, s *slot[K, S], reason EndReason) {
	f := &s.Value
	if f.bits&lingering == 0 {
		switch {
		case f.bits&isTCP == 0:
		case f.conn.PendingReset():
			reason = EndRST
		case f.conn.Finished():
			reason = EndFIN
		}
		t.end(hash, s, reason)
	}
	if f.bits&lingering != 0 {
		t.release(hash, s)
	}
}

// expire ends the flows whose time has come by now, at most limit of them, in
// the order of their creation, and gives up holes. It stops once there are 16
// times as many events, so that no packet pays for much that is not its own.
func (t *FlowTracker[K, S]) expire(now int64, limit int) {
	t.expireFragments(limit)
	t.expired = t.expired[:0]
	for looks := 0; len(t.expired) < limit && looks < 4*limit && len(t.events) < 16*limit; looks++ {
		s := t.table.Due(now)
		if s == nil {
			break
		}
		t.atHand, t.unsettled = s.ID(), true
		if t.overdue(s, now) {
			t.expired = append(t.expired, ending{s.Value.id, s.ID()})
			continue
		}
		busy := !s.WasFiled(t.deadline(s, s.Value.since()))
		if t.hook != nil && s.Value.bits&lingering == 0 {
			if t.hook.onTimer(s, now) {
				t.end(t.hash(&s.Key), s, EndBufferOverflow)
				continue
			}
			if len(t.pending) != 0 {
				t.tell(s)
			}
		}
		t.file(s, s.Value.since())
		if q := s.Queue(); busy && (q == queueOneWay || q == queueRest) {
			t.table.Join(s, q) // it goes to the end of its line
		}
	}
	t.atHand = 0
	t.wakeForFragments()
	slices.SortFunc(t.expired, ending.before)
	for _, e := range t.expired {
		s := t.table.At(e.slot)
		if len(t.events) >= 16*limit {
			t.file(s, s.Value.since()) // the next call goes on
			continue
		}
		t.conclude(t.hash(&s.Key), s, EndIdleTimeout)
	}
	t.expired = t.expired[:0]
}

// ending is a flow on its way to its end. The slots need not be asked for the order:
// there may be many, and in no cache.
type ending struct {
	flow FlowID
	slot flowtable.ID
}

func (e ending) before(f ending) int { return cmp.Compare(e.flow, f.flow) }

// byCreation sorts endings. Flows that are alive together have numbers close to each
// other as a rule, so each number says its place in a list of at most four times as many,
// which lives as long as this call; comparing them would take half as long as all else
// that Finish does.
func byCreation(list []ending) []ending {
	first, last := FlowID(math.MaxUint64), FlowID(0)
	for _, e := range list {
		first, last = min(first, e.flow), max(last, e.flow)
	}
	if len(list) == 0 || last-first >= 4*FlowID(len(list)) {
		slices.SortFunc(list, ending.before)
		return list
	}
	places := make([]flowtable.ID, last-first+1)
	for _, e := range list {
		places[e.flow-first] = e.slot
	}
	list = list[:0]
	for i, id := range places {
		if id != 0 {
			list = append(list, ending{first + FlowID(i), id})
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
	hash := t.victim.hash
	if t.victim.flow != s.Value.id {
		hash = t.hash(&s.Key)
	} else if invariants.Enabled && hash != t.hash(&s.Key) {
		panic("flowscope: a flow is foreseen under another key")
	}
	if q == queueLingering {
		t.release(hash, s)
	} else {
		t.end(hash, s, EndEvicted)
		t.anomaly(AnomalyFlowTableEvictionPressure, nil, 0, int64(t.stats.Ended[EndEvicted]), 1)
	}
	t.victim.queue = q
}

// victim is who will probably be evicted next.
type victim struct {
	queue uint8 // that the last one came from, 0 once foresee has been there
	flow  FlowID
	hash  uint64
	sum   uint64 // of what was touched, so that the compiler does not leave it out
}

// foresee prepares the next eviction. Where one flow is evicted, the next packet often
// evicts another, and nobody has touched that one for long: so its hash is made now
// and its place in the index touched, and all that is kept of the one after it. This
// is called right before the packet's own flow is looked up, so that the waits for
// memory overlap, instead of coming in turn: a fifth of what a SYN of a flood costs.
func (t *FlowTracker[K, S]) foresee() {
	s := t.table.First(t.victim.queue)
	t.victim.queue = 0
	if s == nil {
		return
	}
	v := &t.victim
	v.flow, v.hash = s.Value.id, t.hash(&s.Key)
	v.sum += t.table.Touch(v.hash)
	if s = t.table.Behind(s); s != nil {
		v.sum += t.touch(s)
	}
}

// touch reads a word of each line of a slot.
func (t *FlowTracker[K, S]) touch(s *slot[K, S]) uint64 {
	f := &s.Value.record
	sum := uint64(f.last[0]) + f.bytes[0] + uint64(f.conn.State()) + uint64(f.id) + uint64(s.ID())
	if t.hook != nil {
		sum += t.hook.prefetch(s)
	}
	return sum
}

// end ends a flow. It is the only way a flow ends.
func (t *FlowTracker[K, S]) end(hash uint64, s *slot[K, S], reason EndReason) {
	f := &s.Value
	if t.hook != nil {
		t.hook.onFlowEnd(s, reason) // first: what is the caller's may panic
	}
	f.reason = reason
	f.bits = f.bits&^marked | fresh
	t.unsettled = true
	t.live--
	t.stats.FlowsEnded++
	t.stats.Ended[reason]++
	if len(t.pending) != 0 {
		t.tell(s)
	}
	if reason == EndForceClosed {
		f.conn.Abort()
	}
	if t.cfg.Events.Has(EventEnded) {
		t.emitFinal(EventEnded, s)
	}
	if !reason.lingers() {
		t.release(hash, s)
		return
	}
	t.gone = append(t.gone, s.ID())
	f.retire(t.clock.Now())
	t.table.Join(s, queueLingering)
	t.file(s, t.clock.Now())
}

// release forgets a flow that has ended. Its slot still answers until the next
// call.
func (t *FlowTracker[K, S]) release(hash uint64, s *slot[K, S]) {
	if t.cfg.Events.Has(EventReleased) {
		t.emitFinal(EventReleased, s)
	}
	s.Value.bits |= spent
	t.table.Detach(hash, s)
	if s == t.latest {
		t.latest = nil
	}
	t.gone = append(t.gone, s.ID())
	t.unsettled = true
}

// late counts a packet of a connection that has ended.
func (t *FlowTracker[K, S]) late(s *slot[K, S], wire int) {
	f := &s.Value
	side := t.side(f)
	t.stats.PacketsLate += t.frames
	f.late(side, t.frames)
	if t.cfg.Events.Has(EventLate) {
		t.emitPacket(EventLate, s, side, wire)
	}
}
