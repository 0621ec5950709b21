package flowscope

import (
	"iter"
	"math"

	"github.com/flowscope-go/flowscope/internal/direction"
	"github.com/flowscope-go/flowscope/internal/fastpath"
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
	t       *FlowTracker[K, driverState[S]]
	factory ReassemblerFactory[K]
	arena   *stream.Arena
	streams *direction.Streams

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
	sessionFlow     flowtable.ID // into whose slot it goes back; 0 outside of a call, unless a parser panicked in it
	emittedMessages int          // of the parsers, in this call
	keyPorts        func(*K) (a, b uint16)

	fastPaths bool        // built-in streams that keep no delivered bytes, and fast paths are on
	overflow  bool        // a stream of the current flow ran full: the flow must end
	total     StreamStats // of all flows
}

// driverState is what a driver keeps with each flow. The caller's state stands first, where its size
// may be zero.
type driverState[S any] struct {
	user S
	flowStreams
}

// flowStreams are the streams of a flow.
type flowStreams struct {
	directions direction.Pair
	// nextTimer is when the earliest timer of the flow runs, in elapsed time: the timeout of a hole, or the
	// Timer of a caller's Reassembler; 0 if there is none.
	nextTimer int64
}

func newFlowDriver[K comparable, S any](ex FlowExtractor[K], factory ReassemblerFactory[K], cfg Config, init func(K) S) *FlowDriver[K, S] {
	d := &FlowDriver[K, S]{factory: factory, arena: stream.NewArena(cfg.streamLimits())}
	d.reassemblers = []callerReassembler{{nextTimer: math.MaxInt64}}
	var initState func(K) driverState[S]
	if init != nil {
		initState = func(k K) driverState[S] { return driverState[S]{user: init(k)} }
	}
	d.t = newFlowTracker(ex, cfg, initState)
	d.t.hook = d
	d.fastPaths = d.t.fastPaths && factory == nil && cfg.KeepDelivered == 0
	d.streams = direction.New(d.arena, direction.Config{
		Doubts:   &d.t.doubts,
		Timeouts: cfg.holeTimeouts(), Dispatch: factory != nil, FastPaths: d.fastPaths,
	})
	return d
}

func (c *Config) holeTimeouts() direction.Timeouts {
	return direction.Timeouts{
		Acked: int64(c.HoleAckedTimeout), TwoSided: int64(c.HoleTimeout), OneSided: int64(c.HoleOneSidedTimeout),
	}
}

func (c *Config) streamLimits() stream.Limits {
	return stream.Limits{
		SideBytes: c.SideBytes, SidePieces: c.SidePieces, TotalBytes: c.TotalBytes,
		Policy: stream.Policy(c.Overlap), Keep: c.KeepDelivered, SlowPath: fastpath.Off,
	}
}

// Track takes the next packet and returns what happened; see FlowTracker.Track.
func (d *FlowDriver[K, S]) Track(v PacketView) []FlowEvent[K] {
	if d.t.busy {
		return d.t.nested()
	}
	d.reclaim()
	return d.t.track(&v)
}

// Sweep says that it is now at least that time; see FlowTracker.Sweep. Holes whose timeout has passed
// are given up too.
func (d *FlowDriver[K, S]) Sweep(now Timestamp) []FlowEvent[K] {
	if !d.t.busy {
		d.reclaim()
	}
	return d.t.Sweep(now)
}

// Finish says that the capture is over; see FlowTracker.Finish. Held bytes are delivered, with the
// gaps between them, and their memory is released.
func (d *FlowDriver[K, S]) Finish() []FlowEvent[K] {
	if d.t.busy {
		return d.t.nested()
	}
	d.reclaim()
	defer d.arena.ReleasePool()
	return d.t.Finish()
}

// FinishParts is Finish in portions; see FlowTracker.FinishParts.
func (d *FlowDriver[K, S]) FinishParts() iter.Seq[[]FlowEvent[K]] {
	return func(yield func([]FlowEvent[K]) bool) {
		defer d.arena.ReleasePool()
		d.t.finishParts(d.reclaim)(yield)
	}
}

// More reports whether there is more to tell; see FlowTracker.More.
func (d *FlowDriver[K, S]) More() bool { return d.t.More() }

// TrackBatch is Track for several packets; see FlowTracker.TrackBatch.
func (d *FlowDriver[K, S]) TrackBatch(views []PacketView) iter.Seq2[int, []FlowEvent[K]] {
	return d.t.trackBatch(views, d.reclaim)
}

// Events tracks all views of a capture; see FlowTracker.Events.
func (d *FlowDriver[K, S]) Events(views iter.Seq2[PacketView, error]) iter.Seq2[*FlowEvent[K], error] {
	return eventsOf(views, d.Track, d.FinishParts())
}

// reclaim takes back the bytes that the streams lent in the last call, and what belongs to the flows
// that ended in it.
func (d *FlowDriver[K, S]) reclaim() {
	d.calls++
	d.arena.Reclaim()
	d.t.crowded = d.arena.Crowded()
	if d.sessionFlow != 0 {
		d.afterPanic()
	}
	if d.t.reclaimDue {
		d.forgetEnded()
	}
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
	d.streams.Stop(&st.directions, tcp.Side(side))
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
		return d.reassemblers[s.Value.user.directions[side&1].Reassembler].r
	}
	return nil
}

// ReassemblerOf is the caller's Reassembler of one side of an event's flow, without looking the key up
// again; it works also for the flow's Ended. It is nil if that side carried no payload, or the flow is
// not a TCP flow.
func (d *FlowDriver[K, S]) ReassemblerOf(ev *FlowEvent[K], side FlowSide) Reassembler {
	if st := d.t.State(ev); st != nil {
		return d.reassemblers[st.directions[side&1].Reassembler].r
	}
	return nil
}

// Len is the number of live flows.
func (d *FlowDriver[K, S]) Len() int { return d.t.Len() }

// Config is the configuration with all defaults filled in.
func (d *FlowDriver[K, S]) Config() Config { return d.t.Config() }

// Now is the driver's time; see FlowTracker.Now.
func (d *FlowDriver[K, S]) Now() Timestamp { return d.t.Now() }

// Stats are the driver's counters since it was made.
func (d *FlowDriver[K, S]) Stats() DriverStats {
	a := d.arena.Stats()
	s := DriverStats{
		TrackerStats: d.t.Stats(), Streams: d.total, Late: a.Late, Duplicates: a.Duplicates, BudgetGaps: a.BudgetGaps,
		HeldBytes: d.arena.HeldBytes() + d.t.doubts.Bytes(), MemoryBytes: d.arena.TotalBytes() + d.t.doubts.Bytes(),
	}
	if d.parsers != nil {
		s.Sessions = d.parsers.counters()
	}
	return s
}

// The way of one segment: onPayload, or onSegment. internal/direction says what follows from it, and
// emit makes events and counters of that.

// onPayload delivers the payload of an in-order segment if its direction's fast path is on, and gives
// that of a datagram to the parsers.
func (d *FlowDriver[K, S]) onPayload(s *slot[K, driverState[S]], side FlowSide, pos int64) bool {
	x, dirs := d.t.x, &s.Value.user.directions
	if invariants.Enabled {
		dirs.CheckFastPath(tcp.Side(side))
	}
	n := len(x.Payload)
	if x.Missing != 0 || x.TCP.Flags&FlagURG != 0 || !dirs[side&1].Advance(pos, n) {
		if pos == posDatagram {
			d.onDatagram(s, side)
			return true
		}
		if d.stopUnread && d.fastPaths && dirs.IgnoresInOrder(tcp.Side(side)) {
			return true
		}
		return x.Missing == 0 && x.TCP.Flags&FlagURG == 0 && d.onEarly(s, side, pos)
	}
	if n > 0 {
		d.total.Delivered += uint64(n)
		if d.t.cfg.Events.Has(EventData) {
			ev := d.t.emit(EventData, s)
			ev.Bytes, ev.Offset, ev.Len = x.Payload, pos, int64(n)
		}
		if d.parsing {
			d.feedData(s, side, x.Payload, pos, Timestamp(d.t.at), d.t.packetID)
			if d.unread != 0 {
				d.stopIfUnread(s)
			}
		}
	}
	return true
}

// onEarly is onPayload behind a hole.
func (d *FlowDriver[K, S]) onEarly(s *slot[K, driverState[S]], side FlowSide, pos int64) bool {
	st, x := &s.Value.user, d.t.x
	if !st.directions[0].InUse() && !st.directions[1].InUse() {
		return false
	}
	early := stream.Segment{Pos: pos + 1, Bytes: x.Payload, Time: d.t.now(), Now: d.t.age(), ID: d.t.segmentID()}
	if !d.streams.BehindHole(&st.directions, &s.Value.conn, tcp.Side(side), &early, st.nextTimer) {
		return false
	}
	if len(x.Payload) > 0 {
		d.t.anomaly(AnomalyOutOfOrderSegment, s, side, pos, 1)
	}
	return true
}

// onSegment handles a segment that onPayload does not, and reports whether the flow has to end because a
// stream ran full.
func (d *FlowDriver[K, S]) onSegment(s *slot[K, driverState[S]], side FlowSide, g *tcp.Segment, o *tcp.Outcome) bool {
	st, x, now := &s.Value.user, d.t.x, d.t.age()
	if st.nextTimer == 0 && direction.IsTurn(&s.Value.conn, g, o) && d.turn(s, side, g.Flags) {
		return false
	}
	var p direction.Packet // filled in place: to copy a struct that was just written stalls
	p.Conn, p.Side, p.Segment, p.Outcome = &s.Value.conn, tcp.Side(side), g, o
	p.Payload, p.Missing, p.Urgent, p.Time, p.ID = x.Payload, x.Missing, x.TCP.Urgent, d.t.now(), d.t.segmentID()
	p.Now, p.OneSided = now, s.Value.packets(side^1) == 0
	p.Owner = uint64(s.ID())<<1 | uint64(side&1)
	if early, ok := d.streams.Shortcut(&st.directions, &p, st.nextTimer); ok {
		if early {
			d.t.anomaly(AnomalyOutOfOrderSegment, s, side, o.Pos, 1)
		}
		return false
	}
	d.overflow = false
	if st.nextTimer != 0 && now >= st.nextTimer {
		d.runTimers(s, now, math.MaxInt) // the timer wheel may not have reached it
	}
	if items := d.streams.Segment(&st.directions, &p); len(items) != 0 {
		d.emit(s, items, 0)
	}
	if st.nextTimer != 0 || st.directions[0].InUse() || st.directions[1].InUse() {
		d.runTimers(s, now, math.MaxInt)
	}
	d.closeDirections(s, side)
	d.stopIfUnread(s)
	d.streams.Settle(&st.directions)
	return d.overflow
}

// onTurn is onSegment for a segment without payload that opens or closes its connection.
func (d *FlowDriver[K, S]) onTurn(s *slot[K, driverState[S]], side FlowSide, from tcp.State) bool {
	st, c := &s.Value.user, &s.Value.conn
	if st.nextTimer == 0 && d.turn(s, side, uint8(d.t.x.TCP.Flags)) {
		return false
	}
	t := d.t
	t.fillSegment(&t.segment)
	t.outcome = tcp.Outcome{From: from, To: c.State(), Placed: true}
	end := c.Reached(tcp.Side(side))
	if t.segment.Flags&(tcp.SYN|tcp.FIN) == tcp.FIN {
		end--
	}
	t.outcome.Pos, t.outcome.End = end, end
	t.outcome.Established = from == tcp.SynReceived && from != t.outcome.To
	return d.onSegment(s, side, &t.segment, &t.outcome)
}

// turn is the fast path of onTurn and onSegment while no timer runs; see direction.Streams.Turn.
func (d *FlowDriver[K, S]) turn(s *slot[K, driverState[S]], side FlowSide, flags uint8) bool {
	complete, ok := d.streams.Turn(&s.Value.user.directions, &s.Value.conn, tcp.Side(side), flags, d.t.age())
	if !ok {
		return false
	}
	if complete != 0 {
		d.closeComplete(s, side, complete)
	}
	if d.unread != 0 {
		d.stopIfUnread(s)
	}
	return true
}

// closeComplete closes the directions whose bits are set, that of the sender first.
func (d *FlowDriver[K, S]) closeComplete(s *slot[K, driverState[S]], side FlowSide, complete uint8) {
	for i := side; complete != 0; i ^= 1 {
		if bit := uint8(1) << (i & 1); complete&bit != 0 {
			complete &^= bit
			fin, _ := s.Value.conn.FINPosition(tcp.Side(i))
			d.emitClosed(s, i, fin, 0)
		}
	}
}

// emit makes events and counters of what the streams of a flow said. reason is why the flow ends; 0 if
// it does not.
func (d *FlowDriver[K, S]) emit(s *slot[K, driverState[S]], items []direction.Item, reason EndReason) {
	for i := range items {
		it := &items[i]
		side := FlowSide(it.Side)
		switch it.Kind {
		case direction.Data:
			d.total.Delivered += uint64(it.Len)
			d.emitData(s, side, it.Bytes, it.Pos, it.Time, it.ID)
		case direction.Gap:
			d.onGap(s, it)
		case direction.Conflict:
			d.total.Conflicts++
			d.t.anomaly(AnomalyConflictingOverlap, s, side, it.Pos, it.Len)
		case direction.Late:
			d.t.anomaly(AnomalyLateData, s, side, it.Pos, it.Len)
		case direction.OutOfOrder:
			d.t.anomaly(AnomalyOutOfOrderSegment, s, side, it.Pos, 1)
		case direction.NoRoom:
			d.t.anomaly(AnomalyMemoryCap, s, side, it.Pos, it.Len)
		case direction.Urgent:
			d.emitUrgent(s, it)
		case direction.Segment:
			d.dispatch(s, it)
		case direction.Acked:
			d.dispatchACK(s, it)
		case direction.Closed:
			if it.Confirmed {
				d.emitClosed(s, side, it.Pos, 0)
			} else {
				d.emitClosed(s, side, it.Pos, reason)
			}
		}
	}
	d.streams.Clear() // keep neither frames nor the memory of a peak
}

// onGap counts and emits a gap of a built-in stream.
func (d *FlowDriver[K, S]) onGap(s *slot[K, driverState[S]], it *direction.Item) {
	side := FlowSide(it.Side)
	d.total.Gaps++
	d.total.GapBytes += uint64(it.Len)
	s.Value.addRepeated(history.Gap, uint16(min(it.Count, 1<<16-1)), side)
	policy := OverflowSlidingWindow
	if it.Cause == stream.Budget && !it.Shared && d.t.cfg.Overflow == OverflowDropFlow {
		policy, d.overflow = OverflowDropFlow, true
	}
	d.emitGap(s, side, it.Pos, it.Len, it.Cause, policy)
}

func (d *FlowDriver[K, S]) emitData(s *slot[K, driverState[S]], side FlowSide, b []byte, pos, at int64, packet uint64) {
	if s.Value.user.directions[side&1].Stopped() {
		return
	}
	if d.t.cfg.Events.Has(EventData) {
		ev := d.t.emitSide(EventData, s, side)
		ev.Bytes, ev.Offset, ev.Len = b, pos, int64(len(b))
		ev.Timestamp, ev.Packet = Timestamp(at), packet
	}
	if d.parsing {
		d.feedData(s, side, b, pos, Timestamp(at), packet)
	}
}

// emitGap emits a gap and its anomalies. policy is what follows from a gap for want of room.
func (d *FlowDriver[K, S]) emitGap(s *slot[K, driverState[S]], side FlowSide, pos, n int64, cause stream.GapCause, policy OverflowPolicy) {
	if !s.Value.user.directions[side&1].Stopped() {
		if d.t.cfg.Events.Has(EventGap) {
			ev := d.t.emitSide(EventGap, s, side)
			ev.Offset, ev.Len, ev.Cause = pos, n, GapCause(cause)
		}
		if d.parsing {
			d.feedGap(s, side, pos, n)
		}
	}
	d.t.anomaly(AnomalyGap, s, side, pos, n)
	if cause == stream.Budget {
		d.t.overflowAnomaly(AnomalyMemoryCap, s, side, pos, n, policy)
	}
}

func (d *FlowDriver[K, S]) emitUrgent(s *slot[K, driverState[S]], it *direction.Item) {
	if d.t.cfg.Events.Has(EventUrgent) && !s.Value.user.directions[it.Side&1].Stopped() {
		ev := d.t.emitSide(EventUrgent, s, FlowSide(it.Side))
		ev.Offset = it.Pos
	}
}

// emitClosed emits the end of a direction: at its FIN, or with the flow, for that reason.
func (d *FlowDriver[K, S]) emitClosed(s *slot[K, driverState[S]], side FlowSide, offset int64, reason EndReason) {
	dir := &s.Value.user.directions[side&1]
	dir.ConfirmClosed()
	if dir.Reassembler != 0 {
		offset = max(d.reassemblers[dir.Reassembler].offset, 0)
	}
	if d.t.cfg.Events.Has(EventSideClosed) {
		ev := d.t.emitSide(EventSideClosed, s, side)
		ev.Offset, ev.Reason = offset, reason
	}
	if d.parsing && (reason == 0 || offset > 0) {
		d.feedClosed(s, side, reason)
	}
}

// onRestart drops what the streams of a flow hold: their positions count anew.
func (d *FlowDriver[K, S]) onRestart(s *slot[K, driverState[S]]) {
	d.streams.Restart(&s.Value.user.directions)
}

// maxGiveUps is how many holes are given up for want of room in one call.
const maxGiveUps = 64

// onRetime gives what the flow's streams noted at one time another one.
func (d *FlowDriver[K, S]) onRetime(s *slot[K, driverState[S]], at, to int64) {
	d.streams.Retime(&s.Value.user.directions, at, to)
}

// onCrowded makes room for the packet that comes: as long as the streams together hold too much, the one
// that holds most gives up its first hole. So those that hold much do not starve the others, which hold
// little.
func (d *FlowDriver[K, S]) onCrowded() {
	for n := 0; n < maxGiveUps && d.streams.Crowded() && !d.t.full(); n++ {
		owner, ok := d.streams.Largest()
		if !ok {
			return
		}
		id := flowtable.ID(owner >> 1)
		if !d.t.table.Has(id) {
			return
		}
		s := d.t.table.At(id)
		if s.Value.ending() {
			d.t.endInSteps(d.t.hash(&s.Key), s, s.Value.reason) // it gives back what it holds
			continue
		}
		st := &s.Value.user
		if items := d.streams.GiveUp(&st.directions, &s.Value.conn, tcp.Side(owner&1)); len(items) != 0 {
			d.emit(s, items, 0)
		}
		d.runTimers(s, d.t.clock.Elapsed(), d.t.room())
		d.closeDirections(s, FlowSide(owner&1))
		d.stopIfUnread(s)
		d.streams.Settle(&st.directions)
	}
	d.t.flushFlowAnomalies() // all at once: a flow that gave up several holes has one of each kind
}

// onTimer is called when the flow's timer in the tracker's timer wheel runs. It reports whether the
// flow has to end because a stream ran full.
func (d *FlowDriver[K, S]) onTimer(s *slot[K, driverState[S]], now int64) bool {
	d.overflow = false
	if s.Value.user.nextTimer != 0 {
		s.Value.user.nextTimer = 0
		d.runTimers(s, now, d.t.room())
		d.closeDirections(s, Initiator)
		d.stopIfUnread(s)
		d.streams.Settle(&s.Value.user.directions)
	}
	return d.overflow
}

// runTimers gives up the holes of a flow whose timeout has passed, calls OnTimer of callers'
// Reassemblers that is due, and sets the flow's timer for the next. With more holes than there is room for
// events, the next one is due already.
func (d *FlowDriver[K, S]) runTimers(s *slot[K, driverState[S]], now int64, room int) {
	st := &s.Value.user
	next := int64(math.MaxInt64)
	if d.factory != nil {
		next = d.runReassemblerTimers(s, now)
	}
	items, holes := d.streams.Expire(&st.directions, &s.Value.conn, now, s.Value.packets(0) == 0 || s.Value.packets(1) == 0, room)
	if len(items) != 0 {
		d.emit(s, items, 0)
	}
	next = min(next, holes, d.runParserTimer(s, now))
	before := st.nextTimer
	if st.nextTimer = 0; next != math.MaxInt64 {
		st.nextTimer = next
	}
	if st.nextTimer != 0 && (before == 0 || st.nextTimer < before) {
		d.t.setTimer(s)
	}
}

// closeDirections closes the directions that are complete, that of first before the other.
func (d *FlowDriver[K, S]) closeDirections(s *slot[K, driverState[S]], first FlowSide) {
	f := &s.Value
	if !f.finishing() {
		return
	}
	if items := d.streams.Close(&f.user.directions, &f.conn, tcp.Side(first)); len(items) != 0 {
		d.emit(s, items, 0)
	}
}

// onFlowEnd delivers the bytes that a flow still holds, before its Ended. Holes whose timeout passed
// before the flow's own are given up first, as they would have been if a packet of another flow had
// come in between. With inSteps it reports false once it has told as much as the call may.
func (d *FlowDriver[K, S]) onFlowEnd(s *slot[K, driverState[S]], reason EndReason, inSteps bool) (done bool) {
	f := &s.Value
	room := func() int {
		if inSteps {
			return d.t.room()
		}
		return math.MaxInt
	}
	if f.user.nextTimer != 0 {
		if end := d.t.expiredAt(s); f.user.nextTimer <= end && !f.ending() {
			d.runTimers(s, end, room())
			d.closeDirections(s, Initiator)
		}
		f.user.nextTimer = 0
	}
	if f.bits&isTCP != 0 && !d.endStreams(s, reason, room) {
		return false
	}
	if d.parsing {
		d.feedEnded(s, reason)
		d.unread = 0
		f.user.nextTimer = 0 // a parser may have asked for a call while the last bytes were delivered
	}
	return true
}

// endStreams is onFlowEnd for the streams of a flow, which is TCP. room says how much more the call may tell.
func (d *FlowDriver[K, S]) endStreams(s *slot[K, driverState[S]], reason EndReason, room func() int) (done bool) {
	f := &s.Value
	dirs := &f.user.directions
	first := Initiator
	if !dirs[0].EndsAtFIN(&f.conn, tcp.Initiator) && dirs[1].EndsAtFIN(&f.conn, tcp.Responder) {
		first = Responder // its stream ends at its FIN, and not with the flow
	}
	for k := range FlowSide(2) {
		side := first ^ k
		i := side & 1
		if dirs[i].Done() || dirs[i].Untouched() && f.packets(side) == 0 {
			continue // it is closed, or never sent a packet
		}
		if d.factory != nil {
			if items := d.streams.Rest(dirs, &f.conn, tcp.Side(side)); len(items) != 0 {
				d.emit(s, items, 0)
			}
			if dirs[i].Reassembler != 0 {
				d.endReassembler(s, side, reason)
			}
		}
		items, more := d.streams.End(dirs, &f.conn, tcp.Side(side), f.packets(side) > 0, room())
		if len(items) != 0 {
			d.emit(s, items, reason)
		}
		if more {
			return false
		}
		if n := f.payload[side] & maxSum; n != 0 && f.packets(side^1) == 0 {
			d.t.anomaly(AnomalyUnconfirmed, s, side, 0, int64(n))
		}
	}
	return true
}

// holds reports whether the streams of a flow hold bytes. What a caller's Reassembler holds it tells at once.
func (d *FlowDriver[K, S]) holds(s *slot[K, driverState[S]]) bool {
	dirs := &s.Value.user.directions
	return d.factory == nil && (dirs[0].HasBuffer() || dirs[1].HasBuffer())
}

// forgetEnded releases the caller's state and Reassemblers of the flows that ended in the last call and,
// of those that do not linger, the counters of the Reassemblers too.
func (d *FlowDriver[K, S]) forgetEnded() {
	var none S
	for _, id := range d.t.ended {
		if !d.t.table.Has(id) {
			continue
		}
		f := &d.t.table.At(id).Value
		f.user.user = none
		if d.factory != nil {
			d.forgetReassemblers(&f.user.directions, f.bits&released != 0)
		}
	}
}

func (d *FlowDriver[K, S]) forgetReassemblers(dirs *direction.Pair, final bool) {
	for side := range dirs {
		dir := &dirs[side]
		if dir.Reassembler == 0 {
			continue
		}
		d.reassemblers[dir.Reassembler].r = nil
		if final {
			d.reassemblers[dir.Reassembler] = callerReassembler{}
			d.freeReassemblers = append(d.freeReassemblers, dir.Reassembler)
			dir.Reassembler = 0
		}
	}
	if len(d.freeReassemblers) == len(d.reassemblers)-1 && cap(d.reassemblers) > keepEvents {
		d.reassemblers, d.freeReassemblers = d.reassemblers[:1:1], nil // the memory of a peak is not kept
	}
}

// flowStreams are the streams of a flow.
func (d *FlowDriver[K, S]) flowStreams(s *slot[K, driverState[S]]) *flowStreams {
	return &s.Value.user.flowStreams
}

// streamStats fills in the counters of both streams.
func (d *FlowDriver[K, S]) streamStats(s *slot[K, driverState[S]], to *[2]StreamStats) {
	for side := range to {
		dir := &s.Value.user.directions[side]
		if dir.Reassembler != 0 {
			to[side] = d.reassemblers[dir.Reassembler].stats
			continue
		}
		if d.factory != nil {
			continue
		}
		st := &to[side] // field by field: to copy a struct that was just written stalls
		st.Delivered, st.Gaps, st.GapBytes, st.Conflicts = dir.Counters()
	}
}
