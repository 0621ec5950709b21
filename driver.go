package flowscope

import (
	"iter"
	"math"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/history"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/session"
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// FlowDriver is a FlowTracker that also puts the bytes of TCP connections in order: the bytes that
// each side sent are in Data and Gap events, between the Packet and the Ended of the flow. Make one
// with NewFlowDriver or NewFlowDriverWithState. It belongs to one goroutine.
//
// With a nil factory the driver's own streams do the work: in-order bytes are delivered as they lie in
// the frame; early ones are held, bounded by Config.SideBytes, SidePieces and TotalBytes; a hole is
// given up after Config.HoleTimeout, or HoleAckedTimeout once the receiver has acknowledged its bytes.
// With a factory each side has a Reassembler of the caller's.
//
// Positions count from the byte after the SYN, or from the first byte seen. Payload of a SYN is held
// until the other side acknowledges it (RFC 7413) and dropped if that acknowledges only the SYN; a
// byte sent into a closed window is held until it is acknowledged; payload of a RST is no data.
type FlowDriver[K comparable, S any] struct {
	// The tracker's per-flow state contains both directions, so there is one table, one look-up and
	// one lifetime.
	t        *FlowTracker[K, driverState[S]]
	factory  ReassemblerFactory[K]
	arena    *stream.Arena
	timeouts holeTimeouts
	items    []stream.Item

	reassemblers     []callerReassembler // index 0 is not used
	freeReassemblers []uint32
	delivery         Delivery
	calls            uint64 // of Track, Sweep and Finish

	parsers         *parsers     // nil before UseParsers
	parsing         bool         // there are parsers, and EventMessage is wanted
	stopUnread      bool         // nobody but the parsers wants the bytes
	unread          uint8        // the sides of the current flow of which the parsers want no more, and nobody else
	sessionRef      session.Ref  // of the flow that the parsers are called about,
	sessionStopped  uint8        // its sides that are unheard,
	sessionFlow     flowtable.ID // into whose slot it goes back; 0: none
	emittedMessages int          // of the parsers, in this call

	fastPaths bool        // built-in streams that keep no delivered bytes, and fast paths are on
	overflow  bool        // a stream of the current flow ran full: the flow must end
	syn       [1]byte     // stands for the SYN in a stream; never delivered
	total     StreamStats // of all flows
}

// driverState is what a driver keeps with each flow. The caller's state stands first, where its size
// may be zero.
type driverState[S any] struct {
	user       S
	directions [2]direction
	// nextTimer is when the earliest timer of the flow runs: the timeout of a hole, or the Timer of a
	// caller's Reassembler; 0 if there is none.
	nextTimer int64
}

func newFlowDriver[K comparable, S any](ex FlowExtractor[K], factory ReassemblerFactory[K], cfg Config, init func(K) S) *FlowDriver[K, S] {
	d := &FlowDriver[K, S]{factory: factory, arena: stream.NewArena(cfg.streamLimits()), timeouts: cfg.holeTimeouts()}
	d.reassemblers = []callerReassembler{{nextTimer: math.MaxInt64}}
	var initState func(K) driverState[S]
	if init != nil {
		initState = func(k K) driverState[S] { return driverState[S]{user: init(k)} }
	}
	d.t = newFlowTracker(ex, cfg, initState)
	d.t.hook = d
	d.fastPaths = d.t.fastPaths && factory == nil && cfg.KeepDelivered == 0
	return d
}

// Track takes the next packet and returns what happened; see FlowTracker.Track.
func (d *FlowDriver[K, S]) Track(v PacketView) []FlowEvent[K] {
	d.reclaim()
	return d.t.track(&v)
}

// Sweep says that it is now at least that time; see FlowTracker.Sweep. Holes whose timeout has passed
// are given up too.
func (d *FlowDriver[K, S]) Sweep(now Timestamp) []FlowEvent[K] {
	d.reclaim()
	return d.t.Sweep(now)
}

// Finish says that the capture is over; see FlowTracker.Finish. Held bytes are delivered, with the
// gaps between them, and their memory is released.
func (d *FlowDriver[K, S]) Finish() []FlowEvent[K] {
	d.reclaim()
	defer d.arena.ReleasePool()
	return d.t.Finish()
}

// TrackBatch is Track for several packets; see FlowTracker.TrackBatch.
func (d *FlowDriver[K, S]) TrackBatch(views []PacketView) iter.Seq2[int, []FlowEvent[K]] {
	return d.t.trackBatch(views, d.reclaim)
}

// Events tracks all views of a capture; see FlowTracker.Events.
func (d *FlowDriver[K, S]) Events(views iter.Seq2[PacketView, error]) iter.Seq2[*FlowEvent[K], error] {
	return eventsOf(views, d.Track, d.Finish)
}

// reclaim takes back the bytes that the streams lent in the last call.
func (d *FlowDriver[K, S]) reclaim() {
	d.calls++
	d.arena.Reclaim()
	if invariants.Enabled && d.parsers != nil {
		d.parsers.begin(d.calls) // otherwise at their first use in this call
		d.emittedMessages = 0
	}
}

// Stop says that the caller wants no more bytes of one side of an event's flow: there is no more Data,
// Gap or Urgent for it, nothing is held, and a Reassembler gets no more segments. The flow and its
// counters go on. It reports whether the flow is alive.
func (d *FlowDriver[K, S]) Stop(ev *FlowEvent[K], side FlowSide) bool {
	st := d.t.State(ev)
	if st == nil || d.t.table.At(ev.slot).Value.bits&(lingering|released) != 0 {
		return false
	}
	st.directions[side&1].stop(d.arena)
	updateFastPath(&st.directions, d.fastPaths)
	return true
}

// ForceClose ends the flow of that key; see FlowTracker.ForceClose.
func (d *FlowDriver[K, S]) ForceClose(key K) bool { return d.t.ForceClose(key) }

// SetMaxFlows lowers the limit on flows; see FlowTracker.SetMaxFlows.
func (d *FlowDriver[K, S]) SetMaxFlows(n int) bool { return d.t.SetMaxFlows(n) }

// State is the caller's state of an event's flow; see FlowTracker.State.
func (d *FlowDriver[K, S]) State(ev *FlowEvent[K]) *S {
	if st := d.t.State(ev); st != nil {
		return &st.user
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

func (d *FlowDriver[K, S]) view(s *slot[K, driverState[S]]) Flow[K, S] {
	v := d.t.view(s)
	return Flow[K, S]{
		ID: v.ID, Key: v.Key, Orientation: v.Orientation, L4: v.L4, State: v.State,
		Stats: v.Stats, History: v.History, User: &v.User.user,
	}
}

// Reassembler is the caller's Reassembler of one side of a live flow; nil if there is none. For a flow
// that has just ended use ReassemblerOf.
func (d *FlowDriver[K, S]) Reassembler(key K, side FlowSide) Reassembler {
	if s := d.t.find(&key); s != nil {
		return d.reassemblers[s.Value.user.directions[side&1].reassembler].r
	}
	return nil
}

// ReassemblerOf is the caller's Reassembler of one side of an event's flow, without looking the key up
// again; it works also for the flow's Ended. It is nil if that side carried no payload, or the flow is
// not a TCP flow.
func (d *FlowDriver[K, S]) ReassemblerOf(ev *FlowEvent[K], side FlowSide) Reassembler {
	if st := d.t.State(ev); st != nil {
		return d.reassemblers[st.directions[side&1].reassembler].r
	}
	return nil
}

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
	if d.parsers != nil {
		s.Sessions = d.parsers.counters()
	}
	return s
}

// The way of one segment: fastPath, or onSegment with its own fast path and slow path.

// dataFlags are the flags by which a segment is more than payload with an ACK, unless ACK is the only
// one of them that is set.
const dataFlags = tcp.SYN | tcp.FIN | tcp.URG | tcp.ACK

// mayTakeFastPath reports whether a segment that took the slow path of its connection may take the
// fast path of the driver.
func mayTakeFastPath(g *tcp.Segment, o *tcp.Outcome) bool {
	return g.Flags&dataFlags == tcp.ACK && o.Placed && o.Notes&^tcp.ZeroWindow == 0
}

// fastPath delivers the payload of an in-order segment if its direction's fast path is on.
func (d *FlowDriver[K, S]) fastPath(s *slot[K, driverState[S]], side FlowSide, pos int64) bool {
	x := d.t.x
	if invariants.Enabled {
		if dirs := &s.Value.user.directions; dirs[side].bits&fastPathOn != 0 && !dirs[side].fastPathOK(&dirs[side^1]) {
			panic("flowscope: the fast path of a direction is on and must not be")
		}
	}
	n := len(x.Payload)
	if x.Missing != 0 || x.TCP.Flags&FlagURG != 0 || !s.Value.user.directions[side&1].advance(pos, n) {
		return d.stopUnread && d.fastPaths && inOrderIgnored(&s.Value.user.directions, side)
	}
	if n > 0 {
		d.total.Delivered += uint64(n)
		if d.t.cfg.Events.Has(EventData) {
			ev := d.t.emitSide(EventData, s, side)
			ev.Bytes, ev.Offset, ev.Len = x.Payload, pos, int64(n)
		}
		if d.parsing {
			d.feedData(s, side, x.Payload, pos, Timestamp(d.t.clock.Now()), d.t.packetID)
			if d.unread != 0 {
				d.stopIfUnread(s)
			}
		}
	}
	return true
}

// onSegment handles a segment that fastPath does not, and reports whether the flow has to end because a
// stream ran full.
func (d *FlowDriver[K, S]) onSegment(s *slot[K, driverState[S]], side FlowSide, g *tcp.Segment, o *tcp.Outcome) bool {
	if d.appendBehindHole(s, side, g, o) {
		return false
	}
	overflow := d.slowPath(s, side, g, o)
	d.stopIfUnread(s)
	updateFastPath(&s.Value.user.directions, d.fastPaths)
	return overflow
}

// appendBehindHole is the fast path while a hole is open: for the bytes that continue behind it, and
// for the repeated ACKs of the receiver. The timer is set for the hole already, and stays.
func (d *FlowDriver[K, S]) appendBehindHole(s *slot[K, driverState[S]], side FlowSide, g *tcp.Segment, o *tcp.Outcome) bool {
	st, x := &s.Value.user, d.t.x
	dir, other := &st.directions[side&1], &st.directions[side&1^1]
	if !d.fastPaths || st.nextTimer == 0 || d.t.clock.Now() >= st.nextTimer || g.Flags&dataFlags != tcp.ACK ||
		!o.Placed || o.Notes&^(tcp.Hole|tcp.ZeroWindow) != 0 || other.bits&(synDataHeld|probeHeld) != 0 {
		return false
	}
	if !other.streamIgnoresACKs() {
		if pos, _ := s.Value.conn.AckedTo(tcp.Side(side ^ 1)); pos+1 != other.acked {
			return false
		}
	}
	if g.Len == 0 {
		return true
	}
	if !d.arena.Append(&dir.stream, &stream.Segment{
		Pos: o.Pos + 1, Bytes: x.Payload, Missing: x.Missing, Time: d.t.clock.Now(), ID: d.t.packetID,
	}) {
		return false
	}
	d.t.anomaly(AnomalyOutOfOrderSegment, s, side, o.Pos, 1)
	return true
}

// slowPath handles any segment: first its ACK, then what it carries, then timers and closing.
func (d *FlowDriver[K, S]) slowPath(s *slot[K, driverState[S]], side FlowSide, g *tcp.Segment, o *tcp.Outcome) bool {
	st := &s.Value.user
	dir, other := &st.directions[side], &st.directions[side^1]
	x := d.t.x

	if dir.bits&stopped != 0 && g.Flags&dataFlags == tcp.ACK && other.ignoresACK(o) {
		return false
	}
	d.overflow = false
	if o.From == tcp.Active && o.To == tcp.SynSent && g.Len == 0 {
		dir.passSYN() // the first segment of the connection, so nothing is held
		return false
	}
	now := d.t.clock.Now()
	if st.nextTimer != 0 && now >= st.nextTimer {
		d.runTimers(s, now) // the timer wheel may not have reached it
	}
	if o.Notes&tcp.Reanchored != 0 {
		other.restart(d.arena)
	}
	if g.Flags&tcp.ACK != 0 && o.Notes&tcp.ImplausibleACK == 0 && !other.ignoresACK(o) {
		d.onACK(s, side^1, o)
	}
	if g.Flags&(tcp.URG|tcp.SYN) == tcp.URG && g.Len > 0 && o.Placed && dir.bits&(directionClosed|stopped) == 0 &&
		d.t.cfg.Events.Has(EventUrgent) {
		ev := d.t.emitSide(EventUrgent, s, side)
		ev.Offset = o.Pos + int64(x.TCP.Urgent)
	}
	if dir.bits&synDataHeld != 0 && s.Value.packets(side^1) == 0 && o.Placed && g.Flags&tcp.SYN == 0 {
		// The other side is not captured. Whether it accepted the payload of the SYN shows in the
		// position at which this side continues.
		if o.Pos > 0 {
			d.acceptSYNData(s, side)
		} else {
			dir.dropSYNData(d.arena)
		}
	}
	if o.Placed && (g.Len > 0 || g.Flags&tcp.SYN != 0) {
		d.onPayload(s, side, g, o)
	}
	if g.Flags&tcp.FIN != 0 {
		d.onFIN(s, side, now)
	}
	if st.nextTimer != 0 || dir.inUse() || other.inUse() {
		d.runTimers(s, now)
	}
	d.closeDirections(s, side)
	return d.overflow
}

// onACK handles an ACK of the bytes of side, unless that direction ignores it.
func (d *FlowDriver[K, S]) onACK(s *slot[K, driverState[S]], side FlowSide, o *tcp.Outcome) {
	dir := &s.Value.user.directions[side]
	if o.Notes&tcp.SYNDataIgnored != 0 && dir.bits&synDataHeld != 0 {
		if dir.dropSYNData(d.arena); dir.ignoresACK(o) {
			return
		}
	}
	pos, ok := s.Value.conn.AckedTo(tcp.Side(side))
	if !ok {
		return
	}
	now := d.t.clock.Now()
	if dir.bits&synDataHeld != 0 && pos > 0 {
		d.acceptSYNData(s, side)
	}
	if dir.bits&probeHeld != 0 {
		d.acceptProbe(s, side, pos, now)
	}
	dir.acknowledge(pos+1, now)
	if r := &d.reassemblers[dir.reassembler]; r.acker != nil {
		d.resetDelivery(r)
		r.acker.Acked(pos, Timestamp(now), &d.delivery)
		d.emitDelivery(s, side)
		if d.reassemblers[dir.reassembler].timer != nil {
			d.callOnTimer(s, side, now) // for acknowledged bytes the Reassembler may wait less long
		}
	}
}

// onPayload handles the payload of a segment of side, and its SYN.
func (d *FlowDriver[K, S]) onPayload(s *slot[K, driverState[S]], side FlowSide, g *tcp.Segment, o *tcp.Outcome) {
	dir, x := &s.Value.user.directions[side], d.t.x
	if dir.bits&(directionClosed|stopped) != 0 {
		return
	}
	if g.Flags&tcp.SYN != 0 {
		if g.Len > 0 && dir.bits&synPassed == 0 {
			d.holdSYNData(s, side)
		}
		dir.passSYN()
		return
	}
	dir.passSYN()
	b, missing := x.Payload, x.Missing
	if fin, ok := s.Value.conn.FINPosition(tcp.Side(side)); ok && o.Pos+int64(g.Len) > fin {
		b, missing = cutAtFIN(b, missing, o.Pos, fin)
	}
	if len(b)+missing == 0 {
		return
	}
	inOrder := d.factory != nil || o.Pos+1 == dir.stream.Next() && !d.hasHole(dir)
	if o.Notes&tcp.WindowProbe != 0 && len(b) == 1 && inOrder {
		dir.probe, dir.probeSeq = b[0], g.Seq
		dir.bits |= probeHeld
		return
	}
	if d.factory != nil {
		dir.bits &^= probeHeld
		d.dispatch(s, side, Segment{
			Pos: o.Pos, Payload: b, Missing: missing, Time: Timestamp(d.t.clock.Now()), Packet: d.t.packetID,
			Flags: x.TCP.Flags, Urgent: x.TCP.Urgent,
		})
		return
	}
	if o.Pos+1 <= dir.stream.Next() {
		dir.bits &^= probeHeld // the probe was not accepted: its byte is sent again
	} else {
		d.t.anomaly(AnomalyOutOfOrderSegment, s, side, o.Pos, 1)
	}
	d.insert(s, side, b, stream.Segment{Pos: o.Pos + 1, Missing: missing, Time: d.t.clock.Now(), ID: d.t.packetID})
}

// onFIN tells the stream of side where it ends, so that a hole right before the FIN has a timeout like
// any other.
func (d *FlowDriver[K, S]) onFIN(s *slot[K, driverState[S]], side FlowSide, now int64) {
	dir := &s.Value.user.directions[side]
	fin, ok := s.Value.conn.FINPosition(tcp.Side(side))
	if !ok || d.factory != nil || dir.bits&(directionClosed|stopped|synDataHeld) != 0 {
		return
	}
	dir.passSYN()
	if missing := fin + 1 - dir.stream.Next(); missing > 0 {
		d.items = d.items[:0]
		d.arena.Insert(&dir.stream, stream.Segment{
			Pos: dir.stream.Next(), Missing: int(min(missing, math.MaxInt32)), Time: now,
		}, &d.items)
		d.emitItems(s, side)
	}
}

// hasHole reports whether the stream has a hole.
func (d *FlowDriver[K, S]) hasHole(dir *direction) bool {
	_, _, _, hole := d.arena.FirstHole(&dir.stream)
	return hole
}

// holdSYNData holds the payload of a SYN until the other side acknowledges it.
func (d *FlowDriver[K, S]) holdSYNData(s *slot[K, driverState[S]], side FlowSide) {
	x := d.t.x
	d.items = d.items[:0]
	held := s.Value.user.directions[side].holdSYNData(d.arena, stream.Segment{
		Pos: 1, Bytes: x.Payload, Missing: x.Missing, Time: d.t.clock.Now(), ID: d.t.packetID,
	}, &d.items)
	clear(d.items) // that the SYN's own position is missing is not reported
	if !held {
		d.t.anomaly(AnomalyMemoryCap, s, side, 0, int64(len(x.Payload)))
	}
}

// acceptSYNData delivers the payload of a SYN, which the other side has accepted.
func (d *FlowDriver[K, S]) acceptSYNData(s *slot[K, driverState[S]], side FlowSide) {
	dir := &s.Value.user.directions[side]
	dir.bits = dir.bits&^synDataHeld | synPassed
	d.insert(s, side, d.syn[:], stream.Segment{})
}

// acceptProbe delivers the byte of a window probe, if the other side has acknowledged it: all bytes
// below pos.
func (d *FlowDriver[K, S]) acceptProbe(s *slot[K, driverState[S]], side FlowSide, pos, now int64) {
	dir := &s.Value.user.directions[side]
	at := s.Value.conn.Position(tcp.Side(side), dir.probeSeq)
	if at >= pos {
		return
	}
	dir.bits &^= probeHeld
	b := []byte{dir.probe} // lent with the event
	if d.factory != nil {
		d.dispatch(s, side, Segment{Pos: at, Payload: b, Time: Timestamp(now), Packet: d.t.packetID, Flags: FlagACK})
		return
	}
	d.insert(s, side, b, stream.Segment{Pos: at + 1, Time: now, ID: d.t.packetID})
}

// insert puts bytes into the stream of side, and emits the events.
func (d *FlowDriver[K, S]) insert(s *slot[K, driverState[S]], side FlowSide, b []byte, seg stream.Segment) {
	seg.Bytes = b
	d.items = d.items[:0]
	s.Value.user.directions[side].insert(d.arena, seg, &d.items)
	d.emitItems(s, side)
}

// emitItems makes events and counters of the stream's items.
func (d *FlowDriver[K, S]) emitItems(s *slot[K, driverState[S]], side FlowSide) {
	dir := &s.Value.user.directions[side]
	if dir.bits&synDataHeld != 0 && dir.stream.Next() > 0 {
		dir.bits = dir.bits&^synDataHeld | synPassed // there was no room to hold it longer
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
			if it.Kind == stream.Data { // accepted payload of a SYN
				d.dispatch(s, side, Segment{
					Pos: it.Pos, Payload: it.Bytes, Missing: int(min(it.After, math.MaxInt32)),
					Time: Timestamp(it.Time), Packet: it.ID, Flags: FlagSYN,
				})
			}
			continue
		}
		if it.Kind == stream.Data || it.Kind == stream.Gap {
			dir.bits &^= probeHeld // the stream has passed its position
		}
		switch it.Kind {
		case stream.Data:
			d.total.Delivered += uint64(it.Len)
			d.emitData(s, side, it)
		case stream.Gap:
			dir.addGap(it.Len)
			d.total.Gaps++
			d.total.GapBytes += uint64(it.Len)
			s.Value.addRepeated(history.Gap, uint16(min(dir.gaps, 1<<16-1)), side)
			policy := OverflowSlidingWindow
			if it.Cause == stream.Budget && !it.Shared && d.t.cfg.Overflow == OverflowDropFlow {
				policy, d.overflow = OverflowDropFlow, true
			}
			d.emitGap(s, side, it, policy)
		case stream.Conflict:
			dir.conflicts += min(1, 1<<16-1-dir.conflicts)
			d.total.Conflicts++
			d.t.anomaly(AnomalyConflictingOverlap, s, side, it.Pos, it.Len)
		case stream.Late:
			d.t.anomaly(AnomalyLateData, s, side, it.Pos, it.Len)
		}
	}
	if clear(d.items); cap(d.items) > keepEvents { // keep neither frames nor the memory of a peak
		d.items = nil
	}
}

func (d *FlowDriver[K, S]) emitData(s *slot[K, driverState[S]], side FlowSide, it *stream.Item) {
	if s.Value.user.directions[side].bits&stopped != 0 {
		return
	}
	if d.t.cfg.Events.Has(EventData) {
		ev := d.t.emitSide(EventData, s, side)
		ev.Bytes, ev.Offset, ev.Len = it.Bytes, it.Pos, it.Len
		ev.Timestamp, ev.Packet = Timestamp(it.Time), it.ID
	}
	if d.parsing {
		d.feedData(s, side, it.Bytes, it.Pos, Timestamp(it.Time), it.ID)
	}
}

// emitGap emits a gap and its anomalies. policy is what follows from a gap for want of room.
func (d *FlowDriver[K, S]) emitGap(s *slot[K, driverState[S]], side FlowSide, it *stream.Item, policy OverflowPolicy) {
	if s.Value.user.directions[side].bits&stopped == 0 {
		if d.t.cfg.Events.Has(EventGap) {
			ev := d.t.emitSide(EventGap, s, side)
			ev.Offset, ev.Len, ev.Cause = it.Pos, it.Len, GapCause(it.Cause)
		}
		if d.parsing {
			d.feedGap(s, side, it.Pos, it.Len)
		}
	}
	d.t.anomaly(AnomalyGap, s, side, it.Pos, it.Len)
	if it.Cause == stream.Budget {
		d.t.overflowAnomaly(AnomalyMemoryCap, s, side, it.Pos, it.Len, policy)
	}
}

// onTimer is called when the flow's timer in the tracker's timer wheel runs. It reports whether the
// flow has to end because a stream ran full.
func (d *FlowDriver[K, S]) onTimer(s *slot[K, driverState[S]], now int64) bool {
	d.overflow = false
	if s.Value.user.nextTimer != 0 {
		s.Value.user.nextTimer = 0
		d.runTimers(s, now)
		d.closeDirections(s, Initiator)
		d.stopIfUnread(s)
		updateFastPath(&s.Value.user.directions, d.fastPaths)
	}
	return d.overflow
}

func (d *FlowDriver[K, S]) nextTimer(s *slot[K, driverState[S]]) int64 { return s.Value.user.nextTimer }

// runTimers gives up the holes of a flow whose timeout has passed, calls OnTimer of callers'
// Reassemblers that is due, and sets the flow's timer for the next.
func (d *FlowDriver[K, S]) runTimers(s *slot[K, driverState[S]], now int64) {
	st := &s.Value.user
	oneSided := s.Value.packets(0) == 0 || s.Value.packets(1) == 0
	next := int64(math.MaxInt64)
	for side := range st.directions {
		dir := &st.directions[side]
		if r := &d.reassemblers[dir.reassembler]; r.timer != nil && now >= r.nextTimer && dir.bits&stopped == 0 {
			d.callOnTimer(s, FlowSide(side), now)
		}
		if dir.bits&stopped == 0 {
			next = min(next, d.reassemblers[dir.reassembler].nextTimer)
		}
		if dir.bits&synDataHeld != 0 || !dir.stream.HasBuffer() {
			continue
		}
		d.items = d.items[:0]
		next = min(next, dir.expireHoles(d.arena, now, &d.timeouts, oneSided, &d.items))
		d.emitItems(s, FlowSide(side))
	}
	next = min(next, d.runParserTimer(s, now))
	before := st.nextTimer
	if st.nextTimer = 0; next != math.MaxInt64 {
		st.nextTimer = next
	}
	if st.nextTimer != 0 && (before == 0 || st.nextTimer < before) {
		d.t.setTimer(s, s.Value.idleFrom())
	}
}

// closeDirections closes the directions that are complete, that of first before the other.
func (d *FlowDriver[K, S]) closeDirections(s *slot[K, driverState[S]], first FlowSide) {
	if s.Value.finishing() {
		d.closeIfComplete(s, first)
		d.closeIfComplete(s, first^1)
	}
}

// closeIfComplete closes a direction once everything before its FIN was delivered or given up.
func (d *FlowDriver[K, S]) closeIfComplete(s *slot[K, driverState[S]], side FlowSide) {
	dir := &s.Value.user.directions[side]
	if dir.bits&directionClosed != 0 || dir.reassembler != 0 {
		return
	}
	if fin, ok := s.Value.conn.FINPosition(tcp.Side(side)); ok && dir.stream.Next() == fin+1 {
		d.closeDirection(s, side, fin, 0)
	}
}

func (d *FlowDriver[K, S]) closeDirection(s *slot[K, driverState[S]], side FlowSide, offset int64, reason EndReason) {
	dir := &s.Value.user.directions[side]
	if dir.bits |= directionClosed; dir.inUse() {
		d.arena.Drop(&dir.stream) // bytes beyond the FIN are not part of the stream
	}
	if d.t.cfg.Events.Has(EventSideClosed) {
		ev := d.t.emitSide(EventSideClosed, s, side)
		ev.Offset, ev.Reason = offset, reason
	}
	if d.parsing && (reason == 0 || offset > 0) {
		d.feedClosed(s, side, reason)
	}
}

// onFlowEnd delivers the bytes that a flow still holds, before its Ended. Holes whose timeout passed
// before the flow's own are given up first, as they would have been if a packet of another flow had
// come in between.
func (d *FlowDriver[K, S]) onFlowEnd(s *slot[K, driverState[S]], reason EndReason) {
	f := &s.Value
	if f.user.nextTimer != 0 {
		if end := d.t.expiredAt(s); f.user.nextTimer <= end {
			d.runTimers(s, end)
			d.closeDirections(s, Initiator)
		}
		f.user.nextTimer = 0
	}
	for side := range f.user.directions {
		side := FlowSide(side)
		dir := &f.user.directions[side]
		if dir.bits == 0 && !dir.inUse() && f.packets(side) == 0 {
			continue // it never sent a packet
		}
		offset := dir.stream.Next() - 1
		if d.factory != nil {
			offset = 0
		}
		switch {
		case dir.reassembler != 0:
			d.arena.Drop(&dir.stream)
			offset = d.endReassembler(s, side, reason)
		case dir.bits&stopped != 0 && d.factory == nil:
			offset = f.conn.EndOf(tcp.Side(side))
		case d.factory != nil || dir.bits&(synDataHeld|synPassed) != synPassed:
			d.arena.Drop(&dir.stream)
		case dir.bits&directionClosed == 0:
			if end := f.conn.EndOf(tcp.Side(side)) + 1; dir.inUse() || end > dir.stream.Next() {
				d.items = d.items[:0]
				d.arena.Finish(&dir.stream, end, stream.Ended, &d.items)
				d.emitItems(s, side)
				offset = dir.stream.Next() - 1
			}
		default:
			d.arena.Drop(&dir.stream)
		}
		if f.bits&isTCP != 0 && f.packets(side) > 0 && dir.bits&directionClosed == 0 {
			d.closeDirection(s, side, max(offset, 0), reason)
		}
	}
	if d.parsing {
		d.feedEnded(s, reason)
		d.unread = 0
		f.user.nextTimer = 0 // a parser may have asked for a call while the last bytes were delivered
	}
}

// onForget releases the caller's state and Reassemblers of a flow that has ended and, if final is set,
// their counters too.
func (d *FlowDriver[K, S]) onForget(s *slot[K, driverState[S]], final bool) {
	var none S
	s.Value.user.user = none
	if d.factory == nil {
		return
	}
	for side := range s.Value.user.directions {
		dir := &s.Value.user.directions[side]
		if dir.reassembler == 0 {
			continue
		}
		d.reassemblers[dir.reassembler].r = nil
		if final {
			d.reassemblers[dir.reassembler] = callerReassembler{}
			d.freeReassemblers = append(d.freeReassemblers, dir.reassembler)
			dir.reassembler = 0
		}
	}
	if len(d.freeReassemblers) == len(d.reassemblers)-1 && cap(d.reassemblers) > keepEvents {
		d.reassemblers, d.freeReassemblers = d.reassemblers[:1:1], nil // the memory of a peak is not kept
	}
}

// streamStats fills in the counters of both streams.
func (d *FlowDriver[K, S]) streamStats(s *slot[K, driverState[S]], to *[2]StreamStats) {
	for side := range to {
		dir := &s.Value.user.directions[side]
		if dir.reassembler != 0 {
			to[side] = d.reassemblers[dir.reassembler].stats
			continue
		}
		if d.factory != nil {
			continue
		}
		st := &to[side] // field by field: to copy a struct that was just written stalls
		st.Delivered = uint64(max(dir.stream.Next()-1, 0)) - dir.gapBytes()
		st.Gaps, st.GapBytes, st.Conflicts = uint64(dir.gaps), dir.gapBytes(), uint64(dir.conflicts)
	}
}

// prefetch reads a byte of each cache line of a flow's driverState.
func (d *FlowDriver[K, S]) prefetch(s *slot[K, driverState[S]]) uint64 {
	st := &s.Value.user
	return uint64(st.directions[0].bits) + uint64(st.directions[1].bits) + uint64(st.nextTimer)
}

// The adapter for callers' Reassemblers: it makes them, calls their methods, and makes events of what
// they put into a Delivery.

// callerReassembler is a Reassembler of the caller's. Flows refer to theirs by index, so that the table
// of flows holds no pointers.
type callerReassembler struct {
	r         Reassembler
	acker     Acker
	timer     Timer
	nextTimer int64 // when OnTimer is due; math.MaxInt64: never
	offset    int64
	stats     StreamStats
	ended     bool // Fin or Rst was called
}

// dispatch hands a segment to the caller's Reassembler. The first payload of a direction makes it.
func (d *FlowDriver[K, S]) dispatch(s *slot[K, driverState[S]], side FlowSide, g Segment) {
	dir := &s.Value.user.directions[side]
	if len(g.Payload) == 0 {
		return
	}
	if dir.bits&factoryAsked == 0 {
		dir.bits |= factoryAsked
		if r := d.factory.NewReassembler(s.Key, side); r != nil {
			dir.reassembler = d.addReassembler(r)
		}
	}
	if dir.reassembler == 0 {
		return
	}
	r := &d.reassemblers[dir.reassembler]
	d.resetDelivery(r)
	g.Seq = s.Value.conn.SequenceNumber(tcp.Side(side), g.Pos)
	r.r.Segment(g, &d.delivery)
	d.emitDelivery(s, side)
	if d.reassemblers[dir.reassembler].timer != nil {
		d.callOnTimer(s, side, d.t.clock.Now())
	}
}

// addReassembler stores a Reassembler and returns its index.
func (d *FlowDriver[K, S]) addReassembler(r Reassembler) uint32 {
	c := callerReassembler{r: r, nextTimer: math.MaxInt64}
	c.acker, _ = r.(Acker)
	c.timer, _ = r.(Timer)
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
	d.delivery.call = d.calls
	d.delivery.reset(r.offset, Timestamp(d.t.clock.Now()), d.t.packetID)
}

func (d *FlowDriver[K, S]) callOnTimer(s *slot[K, driverState[S]], side FlowSide, now int64) {
	r := &d.reassemblers[s.Value.user.directions[side].reassembler]
	d.resetDelivery(r)
	next := int64(r.timer.OnTimer(Timestamp(now), &d.delivery))
	if r.nextTimer = math.MaxInt64; next != 0 {
		r.nextTimer = max(next, clock.Add(now, 1))
	}
	d.emitDelivery(s, side)
}

// emitDelivery makes events and counters of what the caller's Reassembler put into the Delivery.
func (d *FlowDriver[K, S]) emitDelivery(s *slot[K, driverState[S]], side FlowSide) {
	out := &d.delivery
	r := &d.reassemblers[s.Value.user.directions[side].reassembler]
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
			d.emitData(s, side, it)
		} else {
			r.stats.Gaps++
			r.stats.GapBytes += uint64(it.Len)
			s.Value.addRepeated(history.Gap, uint16(min(r.stats.Gaps, 1<<16-1)), side)
			d.emitGap(s, side, it, policy)
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
func (d *FlowDriver[K, S]) endReassembler(s *slot[K, driverState[S]], side FlowSide, reason EndReason) (offset int64) {
	r := &d.reassemblers[s.Value.user.directions[side].reassembler]
	r.acker, r.timer, r.nextTimer = nil, nil, math.MaxInt64
	if r.ended {
		return r.offset // Fin or Rst panicked when it was called before
	}
	d.resetDelivery(r)
	r.ended = true
	switch reason {
	case EndFIN, EndIdleTimeout, EndFinished:
		r.r.Fin(&d.delivery)
	default:
		r.r.Rst(&d.delivery)
	}
	d.emitDelivery(s, side)
	return d.reassemblers[s.Value.user.directions[side].reassembler].offset
}
