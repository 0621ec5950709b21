package flowscope

import (
	"iter"
	"math/rand/v2"
	"time"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// FlowTracker turns packets into flow events. K is the key its extractor
// makes, S the caller's state of each flow. Make one with NewFlowTracker or
// NewFlowTrackerWithState. It belongs to one goroutine.
//
// Created flows are always those that ended plus those alive: every flow begins
// with one EventStarted and ends with one EventEnded, whatever is called and
// whichever events are wanted.
type FlowTracker[K comparable, S any] struct {
	engine
	ex      FlowExtractor[K]
	five    *Extracted[FiveTupleKey] // x if ex is a FiveTuple, which then is how; or nil
	how     FiveTuple
	via     *decoder // what a combinator around it peels off
	bare    bool     // nothing but x is ever asked of a plain frame
	hasher  hasher[K]
	seed    uint64
	timeout func(k K) time.Duration // nil if the extractor has none
	init    func(K) S
	cfg     Config
	limit   int // MaxFlows, or what SetMaxFlows lowered it to

	hook  hook[K, S] // of a FlowDriver, or nil
	table *flowtable.Table[K, flow[S]]
	// latest is the slot that the last packet went to, while it is in the table,
	// and latestHash the hash of its key.
	latest     *slot[K, S]
	latestHash uint64
	nextID     FlowID
	live       int
	stats      TrackerStats

	x        *Extracted[K] // the packet at hand: single, or one of a batch
	single   *Extracted[K]
	batch    *batch[K, S]
	packetID uint64
	stamp    int64 // as it came

	fragments *fragments // nil if datagrams are not put together
	checksums checksums

	// What the last call lent out, to be taken back by the next.
	events []FlowEvent[K]
	finals []FlowStats
	gone   []flowtable.ID // ended; their slots still answer
	lent   []byte         // copies of payload, in builds that check invariants

	marked    []flowtable.ID // closed from outside, to be ended by the next call
	unsettled bool           // there is something for settle to do
	expired   []ending       // out of the wheel, on their way to their end,
	atHand    flowtable.ID   // and to be looked at
	victim    victim

	pending []pendingAnomaly // of this call, not told yet
	told    int              // anomalies in this call's events
}

// hook is how a tracker tells its driver what happens to a flow: the one place
// where something calls up. The flow's state is the driver's.
type hook[K comparable, S any] interface {
	// fastPath takes the next segment of a side, with an ACK and nothing else, at
	// that position, and reports false if it is for segment.
	fastPath(s *slot[K, S], side FlowSide, pos int64) bool
	// segment takes a segment of the flow's connection that plain does not take, and
	// wake a flow that came up in the wheel. They report whether the flow must end.
	onSegment(s *slot[K, S], side FlowSide, g *tcp.Segment, o *tcp.Outcome) bool
	onTimer(s *slot[K, S], now int64) bool
	// alarm is when the flow must come up in the wheel at the latest, or 0.
	nextTimer(s *slot[K, S]) int64
	// ending comes before the flow's Ended; forget when the caller's state is let
	// go, at the next call, and again, with final set, when the flow is.
	onFlowEnd(s *slot[K, S], reason EndReason)
	onForget(s *slot[K, S], final bool)
	streamStats(s *slot[K, S], to *[2]StreamStats)
	// touch reads the memory that a packet of the flow will need.
	prefetch(s *slot[K, S]) uint64
}

func newFlowTracker[K comparable, S any](ex FlowExtractor[K], cfg Config, init func(K) S) *FlowTracker[K, S] {
	t := &FlowTracker[K, S]{ex: ex, init: init, cfg: cfg, limit: cfg.MaxFlows}
	t.single = new(Extracted[K])
	t.x = t.single
	t.table = flowtable.New[K, flow[S]](cfg.MaxFlows)
	t.clock.Limit = int64(cfg.ClockJump)
	t.idle = [8]int64{
		idleOpening:     int64(cfg.OpeningTimeout),
		idleEstablished: int64(cfg.EstablishedTimeout),
		idleClosing:     int64(cfg.ClosingTimeout),
		idleUDP:         int64(cfg.UDPTimeout),
		idleICMP:        int64(cfg.ICMPTimeout),
		idleOther:       int64(cfg.OtherTimeout),
		idleLinger:      int64(cfg.LingerTimeout),
	}
	t.hasher, t.seed = hasherOf(ex), rand.Uint64()
	t.timeout = timerOf(ex)
	t.frames = 1
	t.checksums.mode = cfg.Checksums
	if cfg.Fragments == FragmentsReassemble {
		t.fragments = newFragments(&cfg, t.seed)
	}
	five := any(ex)
	if p, ok := five.(peeling[FiveTupleKey]); ok && p.want == 0 {
		five, t.via = p.inner, p.decoder
	}
	if how, ok := five.(FiveTuple); ok {
		t.how, t.five = how, any(t.x).(*Extracted[FiveTupleKey])
		t.bare = cfg.Checksums == ChecksumIgnore
	}
	if t.timeout == nil {
		for class, idle := range t.idle {
			t.usually[class] = uint64(idle)
		}
	}
	return t
}

// Track takes the next packet and returns what happened. The slice and what its
// events refer to are good until the next call. v.Frame must stay as it is
// until the events have been handled.
//
// Beside the packet's own, the events tell what time brings about for other
// flows: the ends of at most 64, and not much more than a thousand events; the rest
// follows with the next calls.
//
//go:noinline
func (t *FlowTracker[K, S]) Track(v PacketView) []FlowEvent[K] { return t.track(&v) }

// track is Track. With a field more, or an argument, a view is passed by value in
// memory, so it is passed on by reference. And where Track is inlined the caller's
// view is copied first, which stalls on fields just written: 8 ns.
func (t *FlowTracker[K, S]) track(v *PacketView) []FlowEvent[K] {
	t.arrive(v)
	wire := max(v.WireLen, len(v.Frame))
	if ok, straight := t.extract(v); !straight {
		return t.admit(*v, ok, wire)
	}
	return t.take(wire)
}

// arrive takes back what the last call lent, and moves the time to that of the
// packet.
func (t *FlowTracker[K, S]) arrive(v *PacketView) {
	if invariants.Enabled || t.unsettled || len(t.events) != 0 {
		t.begin()
	}
	t.packetID = v.ID
	t.frames = 1 // a panic of the caller's code may have left a datagram's
	t.stats.Packets++
	now := int64(v.Timestamp)
	if !t.follow(now) {
		t.tick(now)
		now = t.clock.Now()
	}
	if t.table.Pending(now) {
		t.packetID = 0 // time alone did it
		t.expire(now, maxExpiries)
		t.packetID = v.ID
	}
}

// take finds the flow of the packet at hand and brings it there.
func (t *FlowTracker[K, S]) take(wire int) []FlowEvent[K] {
	if t.isLatest() {
		return t.bring(t.latestHash, t.latest, wire)
	}
	hash := t.hashAtHand()
	return t.bring(hash, t.lookUp(hash), wire)
}

// bring brings the packet at hand, of that hash, to its flow: s, if that is still
// the one.
func (t *FlowTracker[K, S]) bring(hash uint64, s *slot[K, S], wire int) []FlowEvent[K] {
	if invariants.Enabled {
		t.lent = append(t.lent[:0:0], t.x.Payload...)
		t.x.Payload = t.lent
	}
	if s != nil && !t.usual(&s.Value.record, t.x.TCP.Flags) {
		if s = t.current(hash, s); s != nil && s.Value.bits&lingering != 0 {
			t.late(s, wire)
			return t.tellRest()
		}
	}
	if s == nil {
		s = t.start(hash, nil)
	}
	if s != t.latest {
		t.latest, t.latestHash = s, hash
	}
	f, x := &s.Value, t.x
	side := t.side(f)
	pos, how := t.count(&f.record, side, wire, len(x.Payload)+x.Missing, &x.TCP, x.HasTCP)
	if how&answered != 0 {
		t.table.Join(s, queueRest)
	}
	if t.inDoubt {
		t.doubt(s, side)
	}
	if how&toStep != 0 {
		t.step(hash, s, side, wire)
	} else {
		if t.cfg.Events.Has(EventPacket) {
			t.emitPacket(EventPacket, s, side, wire)
		}
		if how&inOrder != 0 && t.hook != nil && !t.hook.fastPath(s, side, pos) {
			t.notPlain(hash, s, side, pos)
		}
	}
	if len(t.pending) != 0 {
		return t.tellRest()
	}
	return t.events
}

// notPlain dispatches a segment that is plain for its connection and not for the
// driver.
func (t *FlowTracker[K, S]) notPlain(hash uint64, s *slot[K, S], side FlowSide, pos int64) {
	state := s.Value.conn.State()
	t.segment(&t.g)
	t.o = tcp.Outcome{Pos: pos, From: state, To: state, Placed: true}
	if t.hook.onSegment(s, side, &t.g, &t.o) {
		t.end(hash, s, EndBufferOverflow)
	}
}

// hash says where a key is found. The seed is secret and differs from tracker to
// tracker; it never decides what happens or in which order.
func (t *FlowTracker[K, S]) hash(k *K) uint64 { return t.hasher.hashKey(k, t.seed) }

// begin takes back what the last call lent.
func (t *FlowTracker[K, S]) begin() {
	if invariants.Enabled {
		t.trample()
	}
	t.events = t.events[:0]
	t.finals = t.finals[:0]
	t.packetID = 0
	t.told, t.pending = 0, t.pending[:0]
	if t.unsettled {
		t.settle()
	}
}

func (t *FlowTracker[K, S]) trample() {
	invariants.Trample(t.lent)
	for i := range t.events {
		t.events[i] = FlowEvent[K]{Kind: 0xDB}
	}
	for i := range t.finals {
		t.finals[i] = FlowStats{Packets: [2]uint64{1 << 60, 1 << 60}}
	}
	t.events, t.finals, t.lent = nil, nil, nil
}

// tick moves the clock.
func (t *FlowTracker[K, S]) tick(stamp int64) {
	before, first := t.clock.Now(), !t.clock.Started()
	verdict := t.clock.Observe(stamp)
	if verdict == clock.Steady && !first {
		t.inDoubt = false
		return
	}
	t.stamp = stamp
	back := t.clock.Now() < before
	switch verdict {
	case clock.Steady:
	case clock.Backward:
		t.stats.ClockBackward++
		t.anomaly(AnomalyClockBackward, nil, 0, 0, 1)
		if back {
			t.redate() // the stamps before it were wrong
			if t.fragments != nil {
				t.fragments.table.Rewind(t.clock.Now())
			}
		}
	case clock.Suspect:
		t.stats.ClockSuspects++
		t.anomaly(AnomalyClockJump, nil, 0, 0, 1)
	case clock.Jumped:
		t.stats.ClockJumps++
		t.redate()
	}
	t.inDoubt = first || t.clock.Doubtful()
	t.doubted.flow, t.doubted.stamp = 0, stamp
	if t.fragments != nil {
		t.doubted.begun = t.fragments.table.Opened()
	}
}

// doubt remembers where the packet at hand was counted, whose stamp is in doubt.
func (t *FlowTracker[K, S]) doubt(s *slot[K, S], side FlowSide) {
	t.doubted.slot, t.doubted.flow, t.doubted.side = s.ID(), s.Value.id, side
}

// redate gives a packet whose stamp was in doubt another time: the one it
// claimed, if that has been confirmed, so that its flow does not seem to have
// been silent for the length of the leap; or, if its stamp was wrong, the
// present.
func (t *FlowTracker[K, S]) redate() {
	d := &t.doubted
	now := min(d.stamp, t.clock.Now())
	if t.fragments != nil && t.inDoubt && t.fragments.table.Opened() != d.begun {
		t.fragments.table.Postdate(now)
	}
	if d.flow == 0 || !t.table.Has(d.slot) {
		return
	}
	s := t.table.At(d.slot)
	switch f := &s.Value; {
	case f.id != d.flow || f.bits&spent != 0:
	case f.bits&lingering != 0:
		f.conn.Keep(now) // the packet ended it
		t.file(s, f.since())
	default:
		if f.packets(d.side) == 1 {
			f.first[d.side] = now
		}
		f.last[d.side] = max(now, f.first[d.side])
		if f.packets(d.side^1) == 0 {
			f.last[d.side^1] = min(f.last[d.side^1], now) // when the flow began
		}
		f.redateHandshake(d.side, now)
		t.file(s, f.since())
	}
	d.flow = 0
}

// current gives the slot that the packet at hand belongs to, or nil if the one
// that was found has had its time or its connection is replaced.
func (t *FlowTracker[K, S]) current(hash uint64, s *slot[K, S]) *slot[K, S] {
	f := &s.Value
	switch {
	case t.overdue(s, t.clock.Now()):
		t.conclude(hash, s, EndIdleTimeout)
		return nil
	case !t.x.HasTCP || f.bits&isTCP == 0:
		return s
	case f.bits&lingering != 0:
		var g tcp.Segment
		t.segment(&g)
		if f.conn.Reopens(tcp.Side(t.side(f)), &g) {
			return t.replace(hash, s, &g, 0)
		}
	case t.x.TCP.Flags&FlagSYN != 0 || f.conn.Waiting():
		// If the packet's stamp is right though not believed yet, the flow's
		// time has come.
		stale := t.clock.Doubtful() && t.overdue(s, t.stamp)
		var g tcp.Segment
		if t.segment(&g); f.conn.Reuses(tcp.Side(t.side(f)), &g, stale) {
			reason := EndReused
			if stale {
				reason = EndIdleTimeout
			}
			return t.replace(hash, s, &g, reason)
		}
	}
	return s
}

// replace ends s, if it has not ended, and starts the flow of the connection
// that takes its place.
func (t *FlowTracker[K, S]) replace(hash uint64, s *slot[K, S], g *tcp.Segment, reason EndReason) *slot[K, S] {
	f := &s.Value
	side := t.side(f)
	next := f.conn
	opener := FlowSide(next.Succeed(tcp.Side(side), g))
	t.conclude(hash, s, reason)
	return t.start(hash, &succession{conn: next, sender: side ^ opener})
}

// succession is what a flow takes over from the one it replaces.
type succession struct {
	conn   tcp.Conn
	sender FlowSide // the new side of the packet's sender
}

// start makes the flow of the packet at hand.
func (t *FlowTracker[K, S]) start(hash uint64, from *succession) *slot[K, S] {
	for t.table.Len() >= t.limit {
		t.evict()
	}
	x := t.x
	var s *slot[K, S]
	if t.init == nil {
		s = t.table.Insert(hash, &x.Key)
	} else {
		user := t.init(x.Key) // first: it is the caller's, and may panic
		s = t.table.Insert(hash, &x.Key)
		s.Value.user = user
	}
	f := &s.Value
	t.nextID++
	t.live++
	t.stats.FlowsCreated++
	f.id = t.nextID
	f.last = [2]int64{t.clock.Now(), t.clock.Now()}
	f.l4 = x.L4
	if x.slow&slowNotDecoded == 0 {
		f.setTunnel(x.packet.Tunnel, x.packet.TunnelID)
	}
	class, sender := classOf(x.L4), Initiator
	if x.HasTCP {
		f.bits |= isTCP
		class = idleEstablished
		if x.TCP.Flags.Has(FlagSYN) {
			class = idleOpening // where Step will put it
		}
		if from != nil {
			f.conn, sender = from.conn, from.sender
		} else {
			sender = FlowSide(tcp.Opener(uint8(x.TCP.Flags)))
			if sender == Responder {
				f.add('^', Initiator)
			}
		}
	}
	f.stance = uint8(class) | uint8(sender^FlowSide(x.Orientation))*turned
	t.table.Join(s, queueOneWay)
	t.file(s, t.clock.Now())
	if t.cfg.Events.Has(EventStarted) {
		t.emit(EventStarted, s)
	}
	return s
}

// side is who sends the packet at hand.
func (t *FlowTracker[K, S]) side(f *flow[S]) FlowSide { return f.forward() ^ FlowSide(t.x.Orientation) }

// segment puts the packet at hand into the form of the TCP room. It fills g in
// place: to copy a struct right after its small fields were written stalls.
func (t *FlowTracker[K, S]) segment(g *tcp.Segment) {
	x := t.x
	g.Seq, g.Ack = x.TCP.Seq, x.TCP.Ack
	g.Len = uint32(len(x.Payload) + x.Missing)
	g.Window = x.TCP.Window
	g.Flags = uint8(x.TCP.Flags)
	g.WindowScale, g.HasWindowScale = x.TCP.WindowScale, x.TCP.HasWindowScale
}

// step shows the packet at hand to the flow's TCP connection, which has more to
// do than to count on.
func (t *FlowTracker[K, S]) step(hash uint64, s *slot[K, S], side FlowSide, wire int) {
	f := &s.Value
	g, o := &t.g, &t.o
	t.segment(g)
	f.conn.Step(tcp.Side(side), g, o)
	f.spell(lettersOf(g.Flags, g.Len > 0), side)
	if o.Notes != 0 {
		f.note(o.Notes, side)
	}
	if f.bits&timedFinal == 0 {
		f.timeHandshake(g, o, side, t.clock.Now())
	}
	if o.From != o.To {
		t.changed(s, o, side)
	}
	if t.cfg.Events.Has(EventPacket) {
		t.emitPacket(EventPacket, s, side, wire)
	}
	if o.Notes&anomalous != 0 {
		t.odd(s, side, g, o)
	}
	overflow := false
	if g.Flags&tcp.RST != 0 {
		if g.Len > 0 {
			t.anomaly(AnomalyDataOnRST, s, side, 0, int64(g.Len))
		}
	} else if t.hook != nil && !(justBytes(g, o) && t.hook.fastPath(s, side, o.Pos)) {
		overflow = t.hook.onSegment(s, side, g, o)
	}
	switch {
	case o.To == tcp.Reset:
		t.end(hash, s, EndRST)
	case o.Ended():
		t.end(hash, s, EndFIN)
	case overflow:
		t.end(hash, s, EndBufferOverflow)
	}
}

// changed follows a change of TCP state: the time-out, the place in the line of
// those to be evicted, and the events.
func (t *FlowTracker[K, S]) changed(s *slot[K, S], o *tcp.Outcome, side FlowSide) {
	switch {
	case o.To >= tcp.Closed:
	case o.To == tcp.SynSent || o.To == tcp.SynReceived:
		t.reclass(s, idleOpening)
	case o.To == tcp.ClosingTCP:
		t.table.Join(s, queueClosing)
		t.reclass(s, idleClosing)
	default:
		t.reclass(s, idleEstablished)
	}
	from := o.From
	if o.Established {
		if t.cfg.Events.Has(EventEstablished) {
			ev := t.emit(EventEstablished, s)
			ev.State = StateEstablished
		}
		from = tcp.Established
	}
	if from != o.To && t.cfg.Events.Has(EventStateChange) {
		ev := t.emit(EventStateChange, s)
		ev.From = FlowState(from)
	}
}

// emit appends an event about a flow.
func (t *FlowTracker[K, S]) emit(kind EventKind, s *slot[K, S]) *FlowEvent[K] {
	f, ev := &s.Value, t.nextEvent()
	ev.Kind = kind
	ev.Side, ev.Orientation = t.side(f), t.x.Orientation
	ev.L4, ev.State = f.l4, f.state()
	ev.slot, ev.Flow = s.ID(), f.id
	ev.Packet, ev.Timestamp = t.packetID, Timestamp(t.clock.Now())
	ev.Key = s.Key
	return ev
}

// nextEvent makes room for an event, in place: an event made elsewhere and
// appended would be written twice.
func (t *FlowTracker[K, S]) nextEvent() *FlowEvent[K] {
	n := len(t.events)
	if n == cap(t.events) {
		t.events = append(t.events, FlowEvent[K]{})
	}
	t.events = t.events[:n+1]
	ev := &t.events[n]
	*ev = FlowEvent[K]{}
	return ev
}

// emitSide appends an event about one side of a flow, which need not be the
// sender of the packet at hand.
func (t *FlowTracker[K, S]) emitSide(kind EventKind, s *slot[K, S], side FlowSide) *FlowEvent[K] {
	ev := t.emit(kind, s)
	ev.Side, ev.Orientation = side, Orientation(s.Value.forward()^side)
	return ev
}

func (t *FlowTracker[K, S]) emitPacket(kind EventKind, s *slot[K, S], side FlowSide, wire int) {
	ev := t.emit(kind, s)
	ev.Side = side
	ev.Bytes = t.x.Payload
	ev.Len = int64(wire)
}

func (t *FlowTracker[K, S]) emitFinal(kind EventKind, s *slot[K, S]) {
	n := len(t.finals)
	if n == cap(t.finals) {
		t.finals = append(t.finals, FlowStats{})
	}
	t.finals = t.finals[:n+1]
	stats := &t.finals[n]
	t.statsOf(s, stats)
	ev := t.emit(kind, s)
	ev.Side, ev.Orientation = Initiator, Orientation(s.Value.forward())
	ev.Reason = s.Value.reason
	ev.Stats = stats
	s.Value.history(&ev.History)
}

// Len is the number of live flows. Those that have ended and linger do not
// count.
func (t *FlowTracker[K, S]) Len() int { return t.live }

// Config is the configuration with all defaults filled in.
func (t *FlowTracker[K, S]) Config() Config { return t.cfg }

// Now is the tracker's time: that of the latest packet or Sweep.
func (t *FlowTracker[K, S]) Now() Timestamp { return Timestamp(t.clock.Now()) }

// Stats are the tracker's counters since it was made.
func (t *FlowTracker[K, S]) Stats() TrackerStats {
	s := t.stats
	s.FlowsEvicted = s.Ended[EndEvicted]
	s.FlowsActive = uint64(t.live)
	s.FlowsLingering = uint64(t.table.Queued(queueLingering))
	s.Fragments = t.fragments.stats()
	return s
}

// Several packets at a time: all are read ahead, and what they will need is touched,
// before the first goes to its flow.

// batchLen is how many packets are looked at together. Their memory has to fit
// into the innermost cache beside that of the flows: 8 gained less, 32 no more.
const batchLen = 16

// batch is what was read of the packets at hand, some at a time.
type batch[K comparable, S any] struct {
	x        [batchLen]Extracted[K]
	five     [batchLen]*Extracted[FiveTupleKey] // the same, if the extractor is a FiveTuple
	hash     [batchLen]uint64
	ok       [batchLen]bool
	straight [batchLen]bool
	slots    [batchLen]*slot[K, S]
	sum      uint64 // of what was touched, so that the compiler does not leave it out
}

// TrackBatch is Track for several packets, for tables of flows that are larger
// than the caches. It reads the headers of the next 16 packets and touches the
// memory of their flows before it takes them one by one, so that the waits for
// memory overlap: all lines of
//
//	packet 1   index .... slot ....                  one by one, each
//	packet 2                        index .... ...   wait comes in turn
//
//	packet 1   index .... slot ....
//	packet 2   index .... slot ....                  in a batch
//
// The loop runs once for each packet that has events, in order, with the packet's
// place in views; packets without events are passed over. The events are those of
// Track, and good until the loop goes on. All frames must stay as they are until
// the loop has ended: those of OpenCapture and of gopacket's sources are used again,
// and have to be copied. A loop that ends early leaves the rest of views untracked.
// The extractor is asked ahead, and must not depend on what the loop does. The loop
// must not call Track, TrackBatch, Sweep or Finish.
func (t *FlowTracker[K, S]) TrackBatch(views []PacketView) iter.Seq2[int, []FlowEvent[K]] {
	return t.trackBatch(views, func() {})
}

func (t *FlowTracker[K, S]) trackBatch(views []PacketView, begin func()) iter.Seq2[int, []FlowEvent[K]] {
	return func(yield func(int, []FlowEvent[K]) bool) {
		if t.batch == nil {
			t.makeBatch()
		}
		b := t.batch
		five := t.five
		defer func() {
			t.x, t.five = t.single, five
			clear(b.slots[:]) // do not keep what the table lets go
		}()
		for first := 0; first < len(views); first += batchLen {
			group := views[first:min(first+batchLen, len(views))]
			t.readAhead(group)
			for i := range group {
				begin()
				v := &group[i]
				t.arrive(v)
				t.x, t.five = &b.x[i], b.five[i]
				wire := max(v.WireLen, len(v.Frame))
				var events []FlowEvent[K]
				if b.straight[i] {
					events = t.bring(b.hash[i], t.lookUp(b.hash[i]), wire)
				} else {
					events = t.admit(*v, b.ok[i], wire)
				}
				if len(events) != 0 && !yield(first+i, events) {
					return
				}
			}
		}
	}
}

func (t *FlowTracker[K, S]) makeBatch() {
	t.batch = new(batch[K, S])
	for i := range t.batch.five {
		if t.five != nil {
			t.batch.five[i] = any(&t.batch.x[i]).(*Extracted[FiveTupleKey])
		}
	}
}

// readAhead reads the headers of the packets, and then touches what they will
// need: first all words of the index, then all slots.
func (t *FlowTracker[K, S]) readAhead(group []PacketView) {
	b := t.batch
	for i := range group {
		t.x, t.five = &b.x[i], b.five[i]
		if b.ok[i], b.straight[i] = t.extract(&group[i]); b.straight[i] {
			b.hash[i] = t.hashAtHand()
		}
	}
	for i := range group {
		b.slots[i] = nil
		if b.straight[i] {
			b.slots[i] = t.table.Seek(b.hash[i])
		}
	}
	for _, s := range b.slots[:len(group)] {
		if s != nil {
			b.sum += t.touch(s)
		}
	}
}

// noted maps what the TCP room finds remarkable to anomalies.
var noted = [...]struct {
	note tcp.Note
	kind AnomalyKind
}{

	{tcp.ImplausibleRST, AnomalyImplausibleRST},
	{tcp.StraySYN | tcp.BadSYNACK, AnomalyImplausibleSYN},
	{tcp.ImplausibleACK, AnomalyImplausibleACK},
	{tcp.OutOfWindow, AnomalyOutOfWindow},
	{tcp.FINConflict, AnomalyFINConflict},
	{tcp.DataAfterFIN, AnomalyDataAfterClose},
	{tcp.DataBeforeHandshake, AnomalyDataBeforeHandshake},
	{tcp.SYNDataIgnored, AnomalySYNDataIgnored},
	{tcp.NoACK, AnomalyDataWithoutACK},
}

// anomalous are the notes that are anomalies.
const anomalous = tcp.ImplausibleRST | tcp.StraySYN | tcp.BadSYNACK | tcp.ImplausibleACK | tcp.OutOfWindow |

	tcp.FINConflict | tcp.DataAfterFIN | tcp.DataBeforeHandshake | tcp.SYNDataIgnored | tcp.NoACK

// odd makes anomalies of what the TCP room found remarkable.
func (t *FlowTracker[K, S]) odd(s *slot[K, S], side FlowSide, g *tcp.Segment, o *tcp.Outcome) {
	for _, n := range noted {
		if o.Notes&n.note == 0 {
			continue
		}
		size := int64(1)
		switch n.kind {
		case AnomalyOutOfWindow, AnomalyDataAfterClose, AnomalyDataBeforeHandshake, AnomalyDataWithoutACK:
			size = int64(g.Len)
		}
		t.anomaly(n.kind, s, side, o.Pos, size)
	}
}

// pendingAnomaly waits for its place in the order of events: before the Ended
// of its flow, or at the end of the call.
type pendingAnomaly struct {
	slot        flowtable.ID
	flow        FlowID // 0: about the tracker as a whole
	side        FlowSide
	kind        AnomalyKind
	offset, len int64
}

// anomaly counts an anomaly of a flow, or of none, and keeps it for tell. Those
// of one kind, flow and side become one.
func (t *FlowTracker[K, S]) anomaly(kind AnomalyKind, s *slot[K, S], side FlowSide, offset, n int64) {
	if kind >= numAnomalyKinds {
		kind = 0 // of a caller's Reassembler
	}
	t.stats.Anomalies[kind]++
	if !t.cfg.Events.Has(EventAnomaly) {
		return
	}
	p := pendingAnomaly{side: side, kind: kind, offset: offset, len: n}
	if s != nil {
		p.slot, p.flow = s.ID(), s.Value.id
	}
	for i := range t.pending {
		if q := &t.pending[i]; q.flow == p.flow && q.side == side && q.kind == kind {
			q.len += n
			return
		}
	}
	if t.told+len(t.pending) >= t.cfg.MaxAnomalies {
		t.stats.AnomaliesSuppressed++
		return
	}
	t.pending = append(t.pending, p)
}

// tell makes events of the anomalies of one flow that wait.
func (t *FlowTracker[K, S]) tell(s *slot[K, S]) {
	rest := t.pending[:0]
	for _, p := range t.pending {
		if p.flow != s.Value.id {
			rest = append(rest, p)
			continue
		}
		t.emitSide(EventAnomaly, s, p.side)
		t.fill(&p)
	}
	t.pending = rest
}

// tellRest makes events of all anomalies that wait, those of no flow last.
func (t *FlowTracker[K, S]) tellRest() []FlowEvent[K] {
	for i := range t.pending {
		if p := &t.pending[i]; p.flow != 0 {
			t.emitSide(EventAnomaly, t.table.At(p.slot), p.side)
			t.fill(p)
		}
	}
	for i := range t.pending {
		if p := &t.pending[i]; p.flow == 0 {
			ev := t.nextEvent()
			ev.Kind, ev.Packet, ev.Timestamp = EventAnomaly, t.packetID, Timestamp(t.clock.Now())
			t.fill(p)
		}
	}
	t.pending = t.pending[:0]
	return t.events
}

// fill says in the event appended last which anomaly it is.
func (t *FlowTracker[K, S]) fill(p *pendingAnomaly) {
	ev := &t.events[len(t.events)-1]
	ev.Anomaly, ev.Offset, ev.Len = p.kind, p.offset, p.len
	t.told++
}

// engine is what of a tracker does not depend on its type parameters. A generic
// type is compiled where it is used, and there the compiler inlines nothing of
// the rooms behind this package: a look at the clock is a call. So whatever every
// packet needs is done here, in few calls; what of it cannot do without them stands
// at the end.
type engine struct {
	clock   clock.Clock
	idle    [8]int64  // of each idleClass
	usually [8]uint64 // the same, or 0 if the extractor has time-outs of its own

	// doubted is where a packet was counted whose stamp nothing supports yet:
	// it leapt ahead, or was the first of all.
	inDoubt bool
	doubted struct {
		stamp int64
		slot  flowtable.ID
		flow  FlowID
		side  FlowSide
		begun uint64 // datagrams before it
	}

	frames uint64      // that brought the packet at hand: 1, unless it is a datagram out of fragments
	g      tcp.Segment // the packet at hand as the TCP room sees it,
	o      tcp.Outcome // and what that said of it
}

// follow is clock.Follow: a method here makes its body known where generic code
// is compiled, so that it is inlined after all.
func (e *engine) follow(stamp int64) bool { return e.clock.Follow(stamp) }

// usual reports whether the packet at hand belongs to the flow that was found
// and there is nothing to think about: the flow is alive, was not silent for too
// long, and no new connection is in sight. It is current's answer for nearly
// every packet, at the price of a few comparisons.
func (e *engine) usual(f *record, flags TCPFlags) bool {
	silent := uint64(e.clock.Now()) - uint64(max(f.last[0], f.last[1]))
	return f.bits&lingering == 0 && silent < e.usually[f.class()&7] && flags&FlagSYN == 0 && !f.conn.Waiting()
}

// counted is what is left to do for a packet after count.
type counted uint8

const (
	answered counted = 1 << iota // it is the flow's first answer
	inOrder                      // it is TCP and went the short way
	toStep                       // it is TCP and did not
)

// count counts the packet at hand, of n payload bytes, into its flow. Of TCP it
// does all there is to do for a segment with which the connection just goes on;
// pos is its place then.
func (e *engine) count(f *record, side FlowSide, wire, n int, info *TCPInfo, hasTCP bool) (pos int64, how counted) {
	side &= 1
	now := e.clock.Now()
	if f.packLo[side] == 0 && f.packHi[side] == 0 {
		f.first[side] = now
		if f.packets(side^1) != 0 {
			how = answered
		}
	}
	f.last[side] = now
	frames := uint32(e.frames)
	if f.packLo[side] += frames; f.packLo[side] < frames {
		f.packHi[side]++
	}
	f.bytes[side] = addCount(f.bytes[side], wire)
	f.payload[side] = addCount(f.payload[side], n)
	if !hasTCP || f.bits&isTCP == 0 {
		return 0, how
	}
	pos, ok := f.conn.Follow(tcp.Side(side), info.Seq, info.Ack, uint32(n), info.Window, uint8(info.Flags))
	if !ok {
		return 0, how | toStep
	}
	set := uint8(letterA)
	if n > 0 {
		set = letterD
	}
	if set&^f.letters[side] != 0 {
		f.spell(set, side)
	}
	return pos, how | inOrder
}

// extract asks the extractor, and reports what it said, and whether the packet goes
// to its flow and has nothing to pass before. A FiveTuple, also one that looks into
// tunnels, is asked without an interface between, for one call less and none of
// the clearing.
func (t *FlowTracker[K, S]) extract(v *PacketView) (ok, straight bool) {
	x := t.x
	if t.five != nil {
		if t.bare && t.how.readSimple(v, t.via, t.five) {
			return true, true
		}
		ok = t.how.extract(v, t.via, t.five)
	} else {
		x.clear()
		ok = t.ex.Extract(*v, x)
	}
	return ok, ok && x.slow == 0 && t.checksums.mode == ChecksumIgnore
}

// hashAtHand is the hash of the key at hand.
func (t *FlowTracker[K, S]) hashAtHand() uint64 {
	if t.five == nil {
		return t.hash(&t.x.Key)
	}
	return t.five.Key.hash(t.seed)
}

// isLatest reports whether the packet at hand belongs to the flow of the last one:
// packets come in trains, and the next of a train needs neither hash nor look-up.
func (t *FlowTracker[K, S]) isLatest() bool {
	return t.five != nil && t.latest != nil && any(&t.latest.Key).(*FiveTupleKey).equal(&t.five.Key)
}

// lookUp finds the slot of the key at hand, or nil.
//
// Tried without gain: IPv4 keys hashed as 24 bytes instead of 40 (2 ns of UDP,
// none of TCP). The hash written out here, without the package's call and its
// bytes, would save 4 ns, and be another hash than the one everybody can check. To
// touch the other lines of the slot before its key is compared: the processor looks
// ahead that far by itself.
func (t *FlowTracker[K, S]) lookUp(hash uint64) (s *slot[K, S]) {
	if t.victim.queue != 0 {
		t.foresee()
	}
	if t.five == nil {
		return t.table.Find(hash, &t.x.Key)
	}
	key := &t.five.Key
	for s = t.table.Seek(hash); s != nil; s = t.table.Next(hash, s) {
		if any(&s.Key).(*FiveTupleKey).equal(key) {
			break
		}
	}
	return s
}
