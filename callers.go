package flowscope

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/direction"
	"github.com/flowscope-go/flowscope/internal/history"
	"github.com/flowscope-go/flowscope/internal/stream"
)

// The adapter for callers' Reassemblers: it makes them, calls their methods, and makes events of what
// they put into a Delivery.

// callerReassembler is a Reassembler of the caller's. Flows refer to theirs by index, so that the table
// of flows holds no pointers.
type callerReassembler struct {
	r         Reassembler
	acker     Acker
	timer     Timer
	pieces    PieceHandler
	nextTimer int64 // when OnTimer is due, in elapsed time; math.MaxInt64: never
	offset    int64
	stats     StreamStats
	ended     bool // Fin or Rst was called
}

// outside runs the caller's code. What it asks of the driver meanwhile would find it in the middle of a
// packet, and does nothing.
func (d *FlowDriver[K, S]) outside(call func()) {
	d.t.busy = true
	defer func() { d.t.busy = false }()
	call()
}

// dispatch hands a segment to the caller's Reassembler. The first one of a direction makes it.
func (d *FlowDriver[K, S]) dispatch(s *slot[K, driverState[S]], it *direction.Item) {
	side, dir := FlowSide(it.Side), &s.Value.user.directions[it.Side&1]
	if dir.Stopped() {
		return
	}
	if it.First {
		var r Reassembler
		d.outside(func() { r = d.factory.NewReassembler(s.Key, side) })
		if r != nil {
			dir.Reassembler = d.addReassembler(r)
		}
	}
	if dir.Reassembler == 0 {
		return
	}
	r := &d.reassemblers[dir.Reassembler]
	d.resetDelivery(r)
	d.outside(func() {
		r.r.Segment(Segment{
			Seq: s.Value.conn.SequenceNumber(it.Side, it.Pos), Pos: it.Pos, Payload: it.Bytes, Missing: it.Missing,
			Time: Timestamp(it.Time), Packet: it.ID, Flags: TCPFlags(it.Flags), Urgent: it.Urgent, Unconfirmed: s.Value.packets(side^1) == 0,
		}, &d.delivery)
	})
	d.emitDelivery(s, side)
	if d.reassemblers[dir.Reassembler].timer != nil {
		d.callOnTimer(s, side, d.t.clock.Elapsed())
	}
}

// dispatchACK tells the caller's Reassembler of an ACK.
func (d *FlowDriver[K, S]) dispatchACK(s *slot[K, driverState[S]], it *direction.Item) {
	side, dir := FlowSide(it.Side), &s.Value.user.directions[it.Side&1]
	r := &d.reassemblers[dir.Reassembler]
	if r.acker == nil {
		return
	}
	d.resetDelivery(r)
	d.outside(func() { r.acker.Acked(it.Pos, Timestamp(it.Time), &d.delivery) })
	d.emitDelivery(s, side)
	if d.reassemblers[dir.Reassembler].timer != nil {
		d.callOnTimer(s, side, d.t.clock.Elapsed()) // for acknowledged bytes the Reassembler may wait less long
	}
}

// runReassemblerTimers calls OnTimer of the flow's Reassemblers that is due, and returns when the next
// one is; math.MaxInt64 is never.
func (d *FlowDriver[K, S]) runReassemblerTimers(s *slot[K, driverState[S]], now int64) int64 {
	next := int64(math.MaxInt64)
	for side := range s.Value.user.directions {
		dir := &s.Value.user.directions[side]
		if r := &d.reassemblers[dir.Reassembler]; r.timer != nil && now >= r.nextTimer && !dir.Stopped() {
			d.callOnTimer(s, FlowSide(side), now)
		}
		if !dir.Stopped() {
			next = min(next, d.reassemblers[dir.Reassembler].nextTimer)
		}
	}
	return next
}

// addReassembler stores a Reassembler and returns its index.
func (d *FlowDriver[K, S]) addReassembler(r Reassembler) uint32 {
	c := callerReassembler{r: r, nextTimer: math.MaxInt64}
	c.acker, _ = r.(Acker)
	c.timer, _ = r.(Timer)
	c.pieces, _ = r.(PieceHandler)
	if n := len(d.freeReassemblers); n > 0 {
		i := d.freeReassemblers[n-1]
		d.freeReassemblers = d.freeReassemblers[:n-1]
		d.reassemblers[i] = c
		return i
	}
	d.reassemblers = append(d.reassemblers, c)
	return uint32(len(d.reassemblers) - 1)
}

// resetDelivery empties the Delivery before a call on a Reassembler.
func (d *FlowDriver[K, S]) resetDelivery(r *callerReassembler) {
	if cap(d.delivery.items) > keepEvents {
		d.delivery.items = nil
	}
	d.delivery.call, d.delivery.config, d.delivery.age = d.calls, &d.t.cfg, d.t.clock.Elapsed()
	d.delivery.reset(r.offset, Timestamp(d.t.at), d.t.packetID)
}

func (d *FlowDriver[K, S]) callOnTimer(s *slot[K, driverState[S]], side FlowSide, now int64) {
	r := &d.reassemblers[s.Value.user.directions[side].Reassembler]
	d.resetDelivery(r)
	d.delivery.age = now
	var next int64
	d.outside(func() { next = int64(r.timer.OnTimer(Timestamp(d.t.clock.TimeAt(now)), &d.delivery)) })
	if r.nextTimer = math.MaxInt64; next != 0 {
		r.nextTimer = max(d.t.wakeAt(next), clock.Add(now, 1))
	}
	d.emitDelivery(s, side)
}

// emitDelivery makes events and counters of what the caller's Reassembler put into the Delivery.
func (d *FlowDriver[K, S]) emitDelivery(s *slot[K, driverState[S]], side FlowSide) {
	out := &d.delivery
	at := s.Value.user.directions[side].Reassembler
	if r := &d.reassemblers[at]; r.pieces != nil {
		d.outside(func() { out.handOver(r.pieces, r.offset, r.ended) })
	}
	r := &d.reassemblers[at]
	r.offset = out.offset
	before := r.stats
	policy := OverflowSlidingWindow
	if out.failed {
		policy = OverflowDropFlow
	}
	for i := range out.items {
		it := &out.items[i]
		if it.Kind == stream.Data {
			r.stats.Delivered += uint64(it.Len)
			d.emitData(s, side, it.Bytes, it.Pos, it.Time, it.ID)
		} else {
			r.stats.Gaps++
			r.stats.GapBytes += uint64(it.Len)
			s.Value.addRepeated(history.Gap, uint16(min(r.stats.Gaps, 1<<16-1)), side)
			d.emitGap(s, side, it.Pos, it.Len, it.Cause, policy)
		}
	}
	for _, drop := range out.drops {
		switch drop.kind {
		case AnomalyConflictingOverlap:
			r.stats.Conflicts++
			d.t.anomaly(drop.kind, s, side, r.offset, drop.bytes)
		case AnomalyOutOfOrderSegment:
			r.stats.DroppedSegments += uint64(max(drop.segments, 0))
			d.t.anomaly(drop.kind, s, side, r.offset, int64(drop.segments))
		default:
			r.stats.DroppedSegments += uint64(max(drop.segments, 0))
			r.stats.DroppedBytes += uint64(max(drop.bytes, 0))
			d.t.overflowAnomaly(drop.kind, s, side, r.offset, drop.bytes, policy)
		}
	}
	d.total.addChange(before, r.stats)
	d.overflow = d.overflow || out.failed
}

// addChange adds the difference of two states of the same counters.
func (t *StreamStats) addChange(before, now StreamStats) {
	t.Delivered += now.Delivered - before.Delivered
	t.Gaps += now.Gaps - before.Gaps
	t.GapBytes += now.GapBytes - before.GapBytes
	t.DroppedSegments += now.DroppedSegments - before.DroppedSegments
	t.DroppedBytes += now.DroppedBytes - before.DroppedBytes
	t.Conflicts += now.Conflicts - before.Conflicts
}

// endReassembler tells the caller's Reassembler how the flow ended.
func (d *FlowDriver[K, S]) endReassembler(s *slot[K, driverState[S]], side FlowSide, reason EndReason) {
	r := &d.reassemblers[s.Value.user.directions[side].Reassembler]
	r.acker, r.timer, r.nextTimer = nil, nil, math.MaxInt64
	if r.ended {
		return // Fin or Rst panicked when it was called before
	}
	d.resetDelivery(r)
	r.ended = true
	d.outside(func() {
		switch reason {
		case EndFIN, EndIdleTimeout, EndFinished:
			r.r.Fin(&d.delivery)
		default:
			r.r.Rst(&d.delivery)
		}
	})
	d.emitDelivery(s, side)
}
