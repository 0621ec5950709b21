package flowscope

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// The driver's part of a Reassembler of the caller's: making it, telling it what
// happens, and making events of what it says.

// customSide is a Reassembler of the caller's. Flows name theirs by index, so
// that the table of flows holds no pointers.
type customSide struct {
	r      Reassembler
	acker  Acker
	waiter Waiter
	wake   int64 // when waiter wants to be called; math.MaxInt64 never
	offset int64
	stats  StreamStats
	told   bool // Fin or Rst
}

// dispatch gives a segment to the caller's Reassembler, making it first if this
// is the side's first payload.
func (d *FlowDriver[K, S]) dispatch(s *slot[K, driven[S]], side FlowSide, g Segment) {
	ds := &s.Value.user.sides[side]
	if len(g.Payload) == 0 {
		return
	}
	if ds.bits&sideAsked == 0 {
		ds.bits |= sideAsked
		if r := d.factory.NewReassembler(s.Key, side); r != nil {
			ds.custom = d.adopt(r)
		}
	}
	if ds.custom == 0 {
		return
	}
	c := &d.custom[ds.custom]
	d.prepare(c)
	g.Seq = s.Value.conn.Number(tcp.Side(side), g.Pos)
	c.r.Segment(g, &d.delivery)
	d.deliver(s, side)
	if d.custom[ds.custom].waiter != nil {
		d.wait(s, side, d.t.clock.Now())
	}
}

func (d *FlowDriver[K, S]) adopt(r Reassembler) uint32 {
	c := customSide{r: r, wake: math.MaxInt64}
	c.acker, _ = r.(Acker)
	c.waiter, _ = r.(Waiter)
	if n := len(d.customFree); n > 0 {
		i := d.customFree[n-1]
		d.customFree = d.customFree[:n-1]
		d.custom[i] = c
		return i
	}
	d.custom = append(d.custom, c)
	return uint32(len(d.custom) - 1)
}

func (d *FlowDriver[K, S]) prepare(c *customSide) {
	if cap(d.delivery.items) > keepEvents {
		d.delivery.items = nil
	}
	d.delivery.call = d.calls
	d.delivery.reset(c.offset, Timestamp(d.t.clock.Now()), d.t.packetID)
}

func (d *FlowDriver[K, S]) wait(s *slot[K, driven[S]], side FlowSide, now int64) {
	c := &d.custom[s.Value.user.sides[side].custom]
	d.prepare(c)
	next := int64(c.waiter.Wait(Timestamp(now), &d.delivery))
	if c.wake = math.MaxInt64; next != 0 {
		c.wake = max(next, clock.Add(now, 1))
	}
	d.deliver(s, side)
}

// deliver makes events of what the caller's Reassembler said.
func (d *FlowDriver[K, S]) deliver(s *slot[K, driven[S]], side FlowSide) {
	ds, out := &s.Value.user.sides[side], &d.delivery
	c := &d.custom[ds.custom]
	c.offset = out.offset
	before := c.stats
	for i := range out.items {
		it := &out.items[i]
		if it.Kind == stream.Data {
			c.stats.Delivered += uint64(it.Len)
			d.data(s, side, it)
		} else {
			c.stats.Gaps++
			c.stats.GapBytes += uint64(it.Len)
			s.Value.again('G', uint16(min(c.stats.Gaps, 1<<16-1)), side)
			d.gap(s, side, it)
		}
	}
	for _, drop := range out.drops {
		switch drop.kind {
		case AnomalyConflictingOverlap:
			c.stats.Conflicts++
			d.t.anomaly(drop.kind, s, side, c.offset, drop.bytes)
		case AnomalyOutOfOrderSegment:
			c.stats.DroppedSegments += uint64(max(drop.segments, 0))
			d.t.anomaly(drop.kind, s, side, c.offset, int64(drop.segments))
		default:
			c.stats.DroppedSegments += uint64(max(drop.segments, 0))
			c.stats.DroppedBytes += uint64(max(drop.bytes, 0))
			d.t.anomaly(drop.kind, s, side, c.offset, drop.bytes)
		}
	}
	d.total.add(c.stats, before)
	d.poisoned = d.poisoned || out.poison
}

// add adds what changed from one to the other.
func (t *StreamStats) add(now, before StreamStats) {
	t.Delivered += now.Delivered - before.Delivered
	t.Gaps += now.Gaps - before.Gaps
	t.GapBytes += now.GapBytes - before.GapBytes
	t.DroppedSegments += now.DroppedSegments - before.DroppedSegments
	t.DroppedBytes += now.DroppedBytes - before.DroppedBytes
	t.Conflicts += now.Conflicts - before.Conflicts
}

// endCustom tells the caller's Reassembler how the flow ended.
func (d *FlowDriver[K, S]) endCustom(s *slot[K, driven[S]], side FlowSide, reason EndReason) (offset int64) {
	c := &d.custom[s.Value.user.sides[side].custom]
	c.acker, c.waiter, c.wake = nil, nil, math.MaxInt64
	if c.told {
		return c.offset // and panicked
	}
	d.prepare(c)
	c.told = true
	switch reason {
	case EndFIN, EndIdleTimeout, EndFinished:
		c.r.Fin(&d.delivery)
	default:
		c.r.Rst(&d.delivery)
	}
	d.deliver(s, side)
	return d.custom[s.Value.user.sides[side].custom].offset
}

// forget lets go of the caller's state and reassemblers of a flow that has
// ended, and, once that is final, of what was counted of them.
func (d *FlowDriver[K, S]) forget(s *slot[K, driven[S]], final bool) {
	var none S
	s.Value.user.user = none
	if d.factory == nil {
		return
	}
	for side := range s.Value.user.sides {
		ds := &s.Value.user.sides[side]
		if ds.custom == 0 {
			continue
		}
		d.custom[ds.custom].r = nil
		if final {
			d.custom[ds.custom] = customSide{}
			d.customFree = append(d.customFree, ds.custom)
			ds.custom = 0
		}
	}
	if len(d.customFree) == len(d.custom)-1 && cap(d.custom) > keepEvents {
		d.custom, d.customFree = d.custom[:1:1], nil // a peak does not stay
	}
}

// Reassembler is the caller's Reassembler of one side of a live flow; nil if there
// is none. For a flow that has just ended ask ReassemblerOf.
func (d *FlowDriver[K, S]) Reassembler(key K, side FlowSide) Reassembler {
	if s := d.t.find(&key); s != nil {
		return d.custom[s.Value.user.sides[side&1].custom].r
	}
	return nil
}

// ReassemblerOf is the caller's Reassembler of one side of an event's flow,
// without looking the key up again; it answers also for the flow's Ended. It is nil
// if that side carried no payload, or the flow is not of TCP.
func (d *FlowDriver[K, S]) ReassemblerOf(ev *FlowEvent[K], side FlowSide) Reassembler {
	if dv := d.t.State(ev); dv != nil {
		return d.custom[dv.sides[side&1].custom].r
	}
	return nil
}
