package flowscope

import (
	"iter"
	"math"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/history"
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// FlowDriver is a FlowTracker that also puts the bytes of TCP connections in
// order: what each side said comes out as Data and Gap events, between the
// Packet and the Ended of the flow. Make one with NewFlowDriver or
// NewFlowDriverWithState. It belongs to one goroutine.
//
// With a nil factory the driver's own streams do the work: in-order bytes are
// handed on as they lie in the frame, early ones are held, bounded by
// Config.SideBytes, SidePieces and TotalBytes, and what does not come is given
// up after Config.HoleTimeout, or HoleAckedTimeout once the receiver has
// confirmed it. With a factory each side has a Reassembler of the caller's.
//
// Positions count from the byte after the SYN, or from the first byte seen.
// Payload of a SYN is held until the other side acknowledges it (RFC 7413) and
// dropped if it acknowledges only the SYN; a byte sent into a closed window is
// held until it is acknowledged; payload of a RST is no data.
type FlowDriver[K comparable, S any] struct {
	// The tracker's per-flow state is the two streams, so there is one table,
	// one look-up and one lifetime.
	t       *FlowTracker[K, driven[S]]
	factory ReassemblerFactory[K]
	arena   *stream.Arena
	times   holeTimes
	items   []stream.Item

	custom     []customSide // the caller's reassemblers; index 0 is none
	customFree []uint32
	delivery   Delivery
	calls      uint64 // of Track, Sweep and Finish

	simple bool        // built-in streams, and nothing to remember of what they deliver
	failed bool        // a side of the flow at hand ran full
	syn    [1]byte     // stands for the SYN in a stream; never handed on
	total  StreamStats // of all flows
}

// driven is what a driver keeps with each flow. The caller's state stands first,
// where its size may be zero.
type driven[S any] struct {
	user  S
	sides [2]drivenSide
	// alarm is when a hole's time is up at the earliest, 0 if there is none.
	alarm int64
}

func newFlowDriver[K comparable, S any](ex FlowExtractor[K], factory ReassemblerFactory[K], cfg Config, init func(K) S) *FlowDriver[K, S] {
	d := &FlowDriver[K, S]{factory: factory, arena: stream.NewArena(cfg.limits()), times: cfg.holeTimes()}
	d.custom = []customSide{{wake: math.MaxInt64}}
	d.simple = factory == nil && cfg.KeepDelivered == 0
	var initDriven func(K) driven[S]
	if init != nil {
		initDriven = func(k K) driven[S] { return driven[S]{user: init(k)} }
	}
	d.t = newFlowTracker(ex, cfg, initDriven)
	d.t.hook = d
	return d
}

// Track takes the next packet and returns what happened; see FlowTracker.Track.
func (d *FlowDriver[K, S]) Track(v PacketView) []FlowEvent[K] {
	d.begin()
	return d.t.track(&v)
}

// Sweep says that it is now at least that time; see FlowTracker.Sweep. Holes
// whose time is up are given up too.
func (d *FlowDriver[K, S]) Sweep(now Timestamp) []FlowEvent[K] {
	d.begin()
	return d.t.Sweep(now)
}

// Finish says that the capture is over; see FlowTracker.Finish. What is held is
// delivered, with its gaps, and the memory for it is let go.
func (d *FlowDriver[K, S]) Finish() []FlowEvent[K] {
	d.begin()
	defer d.arena.Rest()
	return d.t.Finish()
}

// begin takes back what the streams lent.
func (d *FlowDriver[K, S]) begin() {
	d.calls++
	d.arena.Begin()
}

// special are the flags that make a segment more than bytes, if it is not ACK alone.
const special = tcp.SYN | tcp.FIN | tcp.URG | tcp.ACK

// justBytes reports whether a segment is one for plain, though its connection had
// more to do than to count on.
func justBytes(g *tcp.Segment, o *tcp.Outcome) bool {
	return g.Flags&special == tcp.ACK && o.Placed && o.Notes&^tcp.ZeroWindow == 0
}

// segment dispatches a segment that the flow's TCP connection has taken and plain
// has not, and reports whether the flow has to end because a side ran full.
func (d *FlowDriver[K, S]) onSegment(s *slot[K, driven[S]], side FlowSide, g *tcp.Segment, o *tcp.Outcome) bool {
	if d.still(s, side, g, o) {
		return false
	}
	overflow := d.take(s, side, g, o)
	calm(&s.Value.user.sides, d.simple)
	return overflow
}

func (d *FlowDriver[K, S]) take(s *slot[K, driven[S]], side FlowSide, g *tcp.Segment, o *tcp.Outcome) bool {
	dv := &s.Value.user
	ds, other := &dv.sides[side], &dv.sides[side^1]
	x := d.t.x

	if ds.bits&sideStopped != 0 && g.Flags&special == tcp.ACK && other.indifferent(o) {
		return false
	}
	d.failed = false
	if o.From == tcp.Active && o.To == tcp.SynSent && g.Len == 0 {
		ds.open() // nobody has said anything, so nobody waits
		return false
	}
	now := d.t.clock.Now()
	if dv.alarm != 0 && now >= dv.alarm {
		d.wakeSides(s, now) // the wheel may not have come round to it
	}
	if o.Notes&tcp.Reanchored != 0 {
		// The other side's numbers begin anew: what it said before is void.
		d.arena.Drop(&other.s)
		other.s = stream.Stream{}
		other.bits &^= sideHeld | sideOpen
	}
	if g.Flags&tcp.ACK != 0 && o.Notes&tcp.ImplausibleACK == 0 && !other.indifferent(o) {
		d.acknowledged(s, side^1, o)
	}
	if g.Flags&(tcp.URG|tcp.SYN) == tcp.URG && g.Len > 0 && o.Placed && ds.bits&(sideClosed|sideStopped) == 0 &&
		d.t.cfg.Events.Has(EventUrgent) {
		ev := d.t.emitSide(EventUrgent, s, side)
		ev.Offset = o.Pos + int64(x.TCP.Urgent)
	}
	if ds.bits&sideHeld != 0 && s.Value.packets(side^1) == 0 && o.Placed && g.Flags&tcp.SYN == 0 {
		// The other side is not captured. Whether it took the payload of the
		// SYN shows in where this side goes on.
		if o.Pos > 0 {
			d.confirmSYN(s, side)
		} else {
			d.forgetSYN(ds)
		}
	}
	if o.Placed && (g.Len > 0 || g.Flags&tcp.SYN != 0) {
		d.payload(s, side, g, o)
	}
	if g.Flags&tcp.FIN != 0 {
		d.awaitFIN(s, side, now)
	}
	d.wakeSides(s, now)
	d.closeSides(s, side)
	return d.failed
}

// acknowledged follows an ACK of the bytes of side, to which that is not indifferent.
func (d *FlowDriver[K, S]) acknowledged(s *slot[K, driven[S]], side FlowSide, o *tcp.Outcome) {
	ds := &s.Value.user.sides[side]
	if o.Notes&tcp.SYNDataIgnored != 0 && ds.bits&sideHeld != 0 {
		if d.forgetSYN(ds); ds.indifferent(o) {
			return
		}
	}
	pos, ok := s.Value.conn.AckedTo(tcp.Side(side))
	if !ok {
		return
	}
	now := d.t.clock.Now()
	if ds.bits&sideHeld != 0 && pos > 0 {
		d.confirmSYN(s, side)
	}
	if ds.bits&sideProbed != 0 {
		d.confirmProbe(s, side, pos, now)
	}
	ds.ackedTo(pos+1, now)
	if c := &d.custom[ds.custom]; c.acker != nil {
		d.prepare(c)
		c.acker.Acked(pos, Timestamp(now), &d.delivery)
		d.deliver(s, side)
		if d.custom[ds.custom].timer != nil {
			d.wait(s, side, now) // what is acknowledged is not waited for as long
		}
	}
}

// payload takes what a segment of side carries.
func (d *FlowDriver[K, S]) payload(s *slot[K, driven[S]], side FlowSide, g *tcp.Segment, o *tcp.Outcome) {
	ds, x := &s.Value.user.sides[side], d.t.x
	if ds.bits&(sideClosed|sideStopped) != 0 {
		return
	}
	if g.Flags&tcp.SYN != 0 {
		if g.Len > 0 && ds.bits&sideOpen == 0 {
			d.holdSYN(s, side)
		}
		ds.open()
		return
	}
	ds.open()
	b, missing := x.Payload, x.Missing
	if fin, ok := s.Value.conn.FINAt(tcp.Side(side)); ok && o.Pos+int64(g.Len) > fin {
		room := max(fin-o.Pos, 0)
		b = b[:min(room, int64(len(b)))]
		missing = int(min(room-int64(len(b)), int64(missing)))
	}
	if len(b)+missing == 0 {
		return
	}
	next := d.factory != nil || o.Pos+1 == ds.s.Next() && !d.hasHole(ds)
	if o.Notes&tcp.WindowProbe != 0 && len(b) == 1 && next {
		ds.probe, ds.probeAt = b[0], g.Seq
		ds.bits |= sideProbed
		return
	}
	if d.factory != nil {
		ds.bits &^= sideProbed
		d.dispatch(s, side, Segment{
			Pos: o.Pos, Payload: b, Missing: missing, Time: Timestamp(d.t.clock.Now()), Packet: d.t.packetID,
			Flags: x.TCP.Flags, Urgent: x.TCP.Urgent,
		})
		return
	}
	if o.Pos+1 <= ds.s.Next() {
		ds.bits &^= sideProbed // the byte was refused, and here is the next try
	} else {
		d.t.anomaly(AnomalyOutOfOrderSegment, s, side, o.Pos, 1)
	}
	d.insert(s, side, b, stream.Segment{Pos: o.Pos + 1, Missing: missing, Time: d.t.clock.Now(), ID: d.t.packetID})
}

// hasHole reports whether a side waits for missing bytes.
func (d *FlowDriver[K, S]) hasHole(ds *drivenSide) bool {
	_, _, _, hole := d.arena.FirstHole(&ds.s)
	return hole
}

// awaitFIN tells the side's stream how far it goes, so that a hole right before
// the FIN is waited for like any other.
func (d *FlowDriver[K, S]) awaitFIN(s *slot[K, driven[S]], side FlowSide, now int64) {
	ds := &s.Value.user.sides[side]
	fin, ok := s.Value.conn.FINAt(tcp.Side(side))
	if !ok || d.factory != nil || ds.bits&(sideClosed|sideStopped|sideHeld) != 0 {
		return
	}
	ds.open()
	if missing := fin + 1 - ds.s.Next(); missing > 0 {
		d.items = d.items[:0]
		d.arena.Insert(&ds.s, stream.Segment{Pos: ds.s.Next(), Missing: int(min(missing, math.MaxInt32)), Time: now}, &d.items)
		d.say(s, side)
	}
}

// insert gives bytes to the side's stream, and says what comes of it.
func (d *FlowDriver[K, S]) insert(s *slot[K, driven[S]], side FlowSide, b []byte, seg stream.Segment) {
	ds := &s.Value.user.sides[side]
	seg.Bytes = b
	d.items = d.items[:0]
	ds.insert(d.arena, seg, &d.items)
	d.say(s, side)
}

// say makes events of what the side's stream has to say.
func (d *FlowDriver[K, S]) say(s *slot[K, driven[S]], side FlowSide) {
	ds := &s.Value.user.sides[side]
	if ds.bits&sideHeld != 0 && ds.s.Next() > 0 {
		ds.bits = ds.bits&^sideHeld | sideOpen // given up waiting, for want of room
	}
	for i := range d.items {
		it := &d.items[i]
		if it.Pos == 0 && (it.Kind == stream.Data || it.Kind == stream.Gap) {
			it.Pos, it.Len = 1, it.Len-1 // the SYN's own position
			if it.Kind == stream.Data {
				it.Bytes = it.Bytes[1:]
			}
		}
		it.Pos--
		if it.Len == 0 {
			continue
		}
		if d.factory != nil {
			if it.Kind == stream.Data { // payload of a SYN that counts
				d.dispatch(s, side, Segment{
					Pos: it.Pos, Payload: it.Bytes, Missing: int(min(it.After, math.MaxInt32)),
					Time: Timestamp(it.Time), Packet: it.ID, Flags: FlagSYN,
				})
			}
			continue
		}
		if it.Kind == stream.Data || it.Kind == stream.Gap {
			ds.bits &^= sideProbed // the place it was sent to has been passed
		}
		switch it.Kind {
		case stream.Data:
			d.total.Delivered += uint64(it.Len)
			d.data(s, side, it)
		case stream.Gap:
			ds.gaps++
			ds.gapBytes += uint64(it.Len)
			d.total.Gaps++
			d.total.GapBytes += uint64(it.Len)
			s.Value.addRepeated(history.Gap, uint16(min(ds.gaps, 1<<16-1)), side)
			d.gap(s, side, it)
			if it.Cause == stream.Budget && !it.Shared && d.t.cfg.Overflow == OverflowDropFlow {
				d.failed = true
			}
		case stream.Conflict:
			ds.conflicts += min(1, 1<<16-1-ds.conflicts)
			d.total.Conflicts++
			d.t.anomaly(AnomalyConflictingOverlap, s, side, it.Pos, it.Len)
		case stream.Late:
			d.t.anomaly(AnomalyLateData, s, side, it.Pos, it.Len)
		}
	}
	if clear(d.items); cap(d.items) > keepEvents { // do not keep frames alive, nor a peak
		d.items = nil
	}
}

func (d *FlowDriver[K, S]) data(s *slot[K, driven[S]], side FlowSide, it *stream.Item) {
	if d.t.cfg.Events.Has(EventData) && s.Value.user.sides[side].bits&sideStopped == 0 {
		ev := d.t.emitSide(EventData, s, side)
		ev.Bytes, ev.Offset, ev.Len = it.Bytes, it.Pos, it.Len
		ev.Timestamp, ev.Packet = Timestamp(it.Time), it.ID
	}
}

func (d *FlowDriver[K, S]) gap(s *slot[K, driven[S]], side FlowSide, it *stream.Item) {
	if d.t.cfg.Events.Has(EventGap) && s.Value.user.sides[side].bits&sideStopped == 0 {
		ev := d.t.emitSide(EventGap, s, side)
		ev.Offset, ev.Len, ev.Cause = it.Pos, it.Len, GapCause(it.Cause)
	}
	d.t.anomaly(AnomalyGap, s, side, it.Pos, it.Len)
	if it.Cause == stream.Budget {
		d.t.anomaly(AnomalyMemoryCap, s, side, it.Pos, it.Len)
	}
}

// wakeSides gives up the holes of a flow whose time is up, and sets the alarm
// for the next.
func (d *FlowDriver[K, S]) wakeSides(s *slot[K, driven[S]], now int64) {
	dv := &s.Value.user
	if dv.alarm == 0 && dv.sides[0].idle() && dv.sides[1].idle() {
		return
	}
	lone := s.Value.packets(0) == 0 || s.Value.packets(1) == 0
	next := int64(math.MaxInt64)
	for side := range dv.sides {
		ds := &dv.sides[side]
		if c := &d.custom[ds.custom]; c.timer != nil && now >= c.wake && ds.bits&sideStopped == 0 {
			d.wait(s, FlowSide(side), now)
		}
		if ds.bits&sideStopped == 0 {
			next = min(next, d.custom[ds.custom].wake)
		}
		if ds.bits&sideHeld != 0 || ds.s.Idle() {
			continue
		}
		d.items = d.items[:0]
		next = min(next, ds.wait(d.arena, now, &d.times, lone, &d.items))
		d.say(s, FlowSide(side))
	}
	before := dv.alarm
	if dv.alarm = 0; next != math.MaxInt64 {
		dv.alarm = next
	}
	if dv.alarm != 0 && (before == 0 || dv.alarm < before) {
		d.t.setTimer(s, s.Value.idleFrom())
	}
}

// wake is the tracker's question about a flow that came up in its wheel.
func (d *FlowDriver[K, S]) onTimer(s *slot[K, driven[S]], now int64) bool {
	d.failed = false
	if s.Value.user.alarm != 0 {
		s.Value.user.alarm = 0
		d.wakeSides(s, now)
		d.closeSides(s, Initiator)
		calm(&s.Value.user.sides, d.simple)
	}
	return d.failed
}

func (d *FlowDriver[K, S]) nextTimer(s *slot[K, driven[S]]) int64 { return s.Value.user.alarm }

// closeSides closes the sides that are complete, first the one that is named first.
func (d *FlowDriver[K, S]) closeSides(s *slot[K, driven[S]], first FlowSide) {
	if s.Value.finishing() {
		d.closeSide(s, first)
		d.closeSide(s, first^1)
	}
}

// closeSide says that a side is complete, once everything before its FIN was delivered
// or given up.
func (d *FlowDriver[K, S]) closeSide(s *slot[K, driven[S]], side FlowSide) {
	ds := &s.Value.user.sides[side]
	if ds.bits&sideClosed != 0 || ds.custom != 0 {
		return
	}
	if fin, ok := s.Value.conn.FINAt(tcp.Side(side)); ok && ds.s.Next() == fin+1 {
		d.closed(s, side, fin, 0)
	}
}

func (d *FlowDriver[K, S]) closed(s *slot[K, driven[S]], side FlowSide, offset int64, reason EndReason) {
	ds := &s.Value.user.sides[side]
	if ds.bits |= sideClosed; !ds.idle() {
		d.arena.Drop(&ds.s) // what lies beyond the FIN is nobody's
	}
	if d.t.cfg.Events.Has(EventSideClosed) {
		ev := d.t.emitSide(EventSideClosed, s, side)
		ev.Offset, ev.Reason = offset, reason
	}
}

// ending hands over what a flow still holds, before its Ended. Holes whose time was
// up before the flow's are given up first, as they would have been if a packet of
// another flow had come meanwhile.
func (d *FlowDriver[K, S]) onFlowEnd(s *slot[K, driven[S]], reason EndReason) {
	f := &s.Value
	if f.user.alarm != 0 {
		if over := d.t.expiredAt(s); f.user.alarm <= over {
			d.wakeSides(s, over)
			d.closeSides(s, Initiator)
		}
		f.user.alarm = 0
	}
	for side := range f.user.sides {
		side := FlowSide(side)
		ds := &f.user.sides[side]
		if ds.bits == 0 && ds.idle() && f.packets(side) == 0 {
			continue // it never said anything
		}
		offset := ds.s.Next() - 1
		if d.factory != nil {
			offset = 0
		}
		switch {
		case ds.custom != 0:
			d.arena.Drop(&ds.s)
			offset = d.endCustom(s, side, reason)
		case ds.bits&sideStopped != 0 && d.factory == nil:
			offset = f.conn.Extent(tcp.Side(side))
		case d.factory != nil || ds.bits&(sideHeld|sideOpen) != sideOpen:
			d.arena.Drop(&ds.s)
		case ds.bits&sideClosed == 0:
			if end := f.conn.Extent(tcp.Side(side)) + 1; !ds.idle() || end > ds.s.Next() {
				d.items = d.items[:0]
				d.arena.Finish(&ds.s, end, stream.Ended, &d.items)
				d.say(s, side)
				offset = ds.s.Next() - 1
			}
		default:
			d.arena.Drop(&ds.s)
		}
		if f.bits&isTCP != 0 && f.packets(side) > 0 && ds.bits&sideClosed == 0 {
			d.closed(s, side, max(offset, 0), reason)
		}
	}
}

// streams fills in what became of the bytes of both sides.
func (d *FlowDriver[K, S]) streamStats(s *slot[K, driven[S]], to *[2]StreamStats) {
	for side := range to {
		ds := &s.Value.user.sides[side]
		if ds.custom != 0 {
			to[side] = d.custom[ds.custom].stats
			continue
		}
		if d.factory != nil {
			continue
		}
		st := &to[side] // field by field: to copy what was just written stalls
		st.Delivered = uint64(max(ds.s.Next()-1, 0)) - ds.gapBytes
		st.Gaps, st.GapBytes, st.Conflicts = uint64(ds.gaps), ds.gapBytes, uint64(ds.conflicts)
	}
}

// Stop says that the caller wants no more bytes of one side of an event's flow:
// there is no more Data, Gap or Urgent for it, nothing is held, and a Reassembler
// gets no more segments. The flow and its counters go on. It reports whether
// the flow is alive.
func (d *FlowDriver[K, S]) Stop(ev *FlowEvent[K], side FlowSide) bool {
	dv := d.t.State(ev)
	if dv == nil || d.t.table.At(ev.slot).Value.bits&(lingering|released) != 0 {
		return false
	}
	ds := &dv.sides[side&1]
	ds.bits = ds.bits&^(sideHeld|sideProbed) | sideStopped
	d.arena.Drop(&ds.s)
	calm(&dv.sides, d.simple)
	return true
}

// State is the caller's state of an event's flow; see FlowTracker.State.
func (d *FlowDriver[K, S]) State(ev *FlowEvent[K]) *S {
	if dv := d.t.State(ev); dv != nil {
		return &dv.user
	}
	return nil
}

// Get is the live flow of a key, and whether there is one.
func (d *FlowDriver[K, S]) Get(key K) (Flow[K, S], bool) {
	s := d.t.find(&key)
	if s == nil {
		return Flow[K, S]{}, false
	}
	return d.view(s), true
}

// Flows are the live flows; see FlowTracker.Flows.
func (d *FlowDriver[K, S]) Flows() iter.Seq[Flow[K, S]] {
	return func(yield func(Flow[K, S]) bool) {
		for s := range d.t.slots {
			if !yield(d.view(s)) {
				return
			}
		}
	}
}

func (d *FlowDriver[K, S]) view(s *slot[K, driven[S]]) Flow[K, S] {
	v := d.t.view(s)
	return Flow[K, S]{
		ID: v.ID, Key: v.Key, Orientation: v.Orientation, L4: v.L4, State: v.State,
		Stats: v.Stats, History: v.History, User: &v.User.user,
	}
}

// ForceClose ends the flow of that key; see FlowTracker.ForceClose.
func (d *FlowDriver[K, S]) ForceClose(key K) bool { return d.t.ForceClose(key) }

// SetMaxFlows lowers the limit on flows; see FlowTracker.SetMaxFlows.
func (d *FlowDriver[K, S]) SetMaxFlows(n int) bool { return d.t.SetMaxFlows(n) }

// Len is the number of live flows.
func (d *FlowDriver[K, S]) Len() int { return d.t.Len() }

// Config is the configuration with all defaults filled in.
func (d *FlowDriver[K, S]) Config() Config { return d.t.Config() }

// Now is the driver's time: that of the latest packet or Sweep.
func (d *FlowDriver[K, S]) Now() Timestamp { return d.t.Now() }

// Stats are the driver's counters since it was made.
func (d *FlowDriver[K, S]) Stats() DriverStats {
	a := d.arena.Stats()
	s := DriverStats{
		TrackerStats: d.t.Stats(), Streams: d.total, Late: a.Late, Duplicates: a.Duplicates, BudgetGaps: a.BudgetGaps,
		HeldBytes: d.arena.HeldBytes(), MemoryBytes: d.arena.TotalBytes(),
	}
	return s
}

// The driver's part of a Reassembler of the caller's: making it, telling it what
// happens, and making events of what it says.

// customSide is a Reassembler of the caller's. Flows name theirs by index, so
// that the table of flows holds no pointers.
type customSide struct {
	r      Reassembler
	acker  Acker
	timer  Timer
	wake   int64 // when timer wants to be called; math.MaxInt64 never
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
	if d.custom[ds.custom].timer != nil {
		d.wait(s, side, d.t.clock.Now())
	}
}

func (d *FlowDriver[K, S]) adopt(r Reassembler) uint32 {
	c := customSide{r: r, wake: math.MaxInt64}
	c.acker, _ = r.(Acker)
	c.timer, _ = r.(Timer)
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
	next := int64(c.timer.OnTimer(Timestamp(now), &d.delivery))
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
			s.Value.addRepeated(history.Gap, uint16(min(c.stats.Gaps, 1<<16-1)), side)
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
	d.failed = d.failed || out.failed
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
	c.acker, c.timer, c.wake = nil, nil, math.MaxInt64
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
func (d *FlowDriver[K, S]) onForget(s *slot[K, driven[S]], final bool) {
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

// TrackBatch is Track for several packets; see FlowTracker.TrackBatch.
func (d *FlowDriver[K, S]) TrackBatch(views []PacketView) iter.Seq2[int, []FlowEvent[K]] {
	return d.t.trackBatch(views, d.begin)
}

// touch reads a byte of each line of what a driver keeps with a flow.
func (d *FlowDriver[K, S]) prefetch(s *slot[K, driven[S]]) uint64 {
	f := &s.Value.user
	return uint64(f.sides[0].bits) + uint64(f.sides[1].bits) + uint64(f.alarm)
}
