package flowscope

import (
	"iter"
	"math"
	"math/rand/v2"
	"time"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/direction"
	"github.com/flowscope-go/flowscope/internal/fastpath"
	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/history"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// FlowTracker turns packets into flow events. K is the type of its extractor's keys, S that of the
// caller's state of each flow. Make one with NewFlowTracker or NewFlowTrackerWithState. It belongs
// to one goroutine.
//
// The number of flows created is always that of the flows ended plus that of the live ones: every
// flow begins with one EventStarted and ends with one EventEnded, whatever is called and whichever
// events are wanted.
type FlowTracker[K comparable, S any] struct {
	// What every packet needs stands first.
	clock          clock.Clock
	timeouts       [8]int64  // by timeoutClass
	fastTimeouts   [8]uint64 // the same for record.continues; 0 if the keys have timeouts of their own, or with reports
	openingTimeout uint64    // the same for record.opens
	at             int64     // the time of what is told: the current packet's timestamp, or the clock's
	unconfirmed    unconfirmedPacket
	frames         uint64      // that brought the current packet: 1, unless it is a reassembled datagram
	segment        tcp.Segment // the current packet as internal/tcp reads it
	outcome        tcp.Outcome // and the answer
	doubts         tcp.Doubts  // of the connections
	before         int64       // the timestamp of the packet before the current one of its side
	believing      bool        // in believeAtEnd
	replayed       *tcp.Held   // the held segment that is taken now; nil: none is
	collecting     bool        // what segments change is told after all of them; see tellReplay
	established    bool        // one of these has completed a handshake

	ex         FlowExtractor[K]
	fast       fastFiveTuple
	fastPaths  bool // a copy of !fastpath.Off
	plain      bool // fast paths are on, and no flow has reports, details or a timeout of its own
	hasher     hasher[K]
	seed       uint64
	keyTimeout func(k K) time.Duration // nil if the extractor has none
	init       func(K) S
	cfg        Config
	maxFlows   int // Config.MaxFlows, or the lower number given to SetMaxFlows
	capacity   int // of the table

	hook          hook[K, S] // of a FlowDriver, or nil
	hookDatagrams bool       // it wants the payload of UDP
	crowded       bool       // it wants onCrowded, before the next packet
	table         *flowtable.Table[K, flow[S]]
	// latest is the slot of the last packet's flow while it is in the table, and latestHash the
	// hash of its key.
	latest     *slot[K, S]
	latestHash uint64
	nextID     FlowID
	live       int
	stats      TrackerStats

	x        *Extracted[K] // of the current packet: single, or one of the batch
	single   *Extracted[K]
	batch    *batch[K, S] // nil until TrackBatch is called
	packetID uint64

	fragments *fragments // nil if datagrams are not reassembled
	details   *details   // nil if Config.Details asks for nothing
	reports   *reports   // nil without Config.ReportEvery
	shrunk    uint64     // GivenBack of the table when the memory beside it was given back last
	checksums checksums

	// Lent to the caller until the next call, which reclaims it.
	events      []FlowEvent[K]
	finalStats  []FlowStats    // of Ended and Released
	ended       []flowtable.ID // flows that ended; their slots still answer State
	payloadCopy []byte         // only in builds that check invariants

	closeRequested []flowtable.ID // by ForceClose; the next call ends them
	reclaimDue     bool           // the next call has to call reclaimEnded
	busy           bool           // the caller's code runs inside a call
	behind         bool           // the last call stopped at its bound; see More
	bound          int            // how many events this call may tell, beside its own packet's
	ending         []flowtable.ID // flows whose end is being told; see endInSteps
	refile         bool           // and refileTimers
	expired        []expiredFlow  // out of the timer wheel, not ended yet
	dueSlot        flowtable.ID   // out of the timer wheel, not looked at yet
	nextVictim     victim
	strays         map[flowtable.ID]stray // nil until there is one

	pending          []pendingAnomaly // of this call, no events yet
	emittedAnomalies int              // in this call's events
}

// fastFiveTuple is set if the extractor is a FiveTuple, also inside a combinator that peels off
// tunnels: it is then called without an interface, and keys are hashed and compared as five words.
type fastFiveTuple struct {
	x            *Extracted[FiveTupleKey] // FlowTracker.x; nil if the extractor is another one
	extractor    FiveTuple
	decoder      *decoder // of the combinator, or nil
	simpleFrames bool     // of a simple frame only key, payload and TCP header are needed: no checksums
}

// hook is how a tracker tells its driver about a flow: the only calls from the tracker up to its
// owner. The state of the flow is the driver's.
type hook[K comparable, S any] interface {
	// onPayload takes the payload of the current packet where no more is to do: of an in-order
	// segment, at stream position pos, that has an ACK and no other flag that matters; or of a UDP
	// datagram, with posDatagram, if hookDatagrams is set. It reports false, having done nothing, if
	// the segment is for onSegment.
	onPayload(s *slot[K, S], side FlowSide, pos int64) bool
	// onSegment takes any other segment of the flow's connection, and onTimer a flow whose timer is
	// due. They report whether the flow must end.
	onSegment(s *slot[K, S], side FlowSide, g *tcp.Segment, o *tcp.Outcome) bool
	// onTurn is onSegment for the current packet, which Conn.Turn took, or TurnSYN, from that state.
	onTurn(s *slot[K, S], side FlowSide, from tcp.State) bool
	onTimer(s *slot[K, S], now int64) bool
	// onRestart says that the positions of both sides count anew: nothing was delivered.
	onRestart(s *slot[K, S])
	// onFlowEnd is called before the flow's Ended. If inSteps is set and there is more to tell than the call
	// may, it reports false, and has to be called again.
	onFlowEnd(s *slot[K, S], reason EndReason, inSteps bool) (done bool)
	// holds reports whether the flow's streams hold bytes, which may be many.
	holds(s *slot[K, S]) bool
	// onRetime says that what the flow noted at one elapsed time came at another.
	onRetime(s *slot[K, S], at, to int64)
	// onCrowded makes room for what the next packet may need, if crowded is set in the tracker.
	onCrowded()
	// flowStreams are the flow's streams, with the latest time at which onTimer must be called, and
	// streamStats their counters.
	flowStreams(s *slot[K, S]) *flowStreams
	streamStats(s *slot[K, S], to *[2]StreamStats)
}

// posDatagram is the position of a datagram, which has none.
const posDatagram = math.MinInt64

func newFlowTracker[K comparable, S any](ex FlowExtractor[K], cfg Config, init func(K) S) *FlowTracker[K, S] {
	t := &FlowTracker[K, S]{ex: ex, init: init, cfg: cfg, maxFlows: cfg.MaxFlows, capacity: cfg.MaxFlows}
	t.single = new(Extracted[K])
	t.x = t.single
	t.table = flowtable.New[K, flow[S]](cfg.MaxFlows)
	t.clock = clock.New(int64(cfg.ClockJump), cfg.longestWait())
	t.bound = trackEvents
	t.doubts = tcp.Doubts{
		HealAfter: int64(cfg.HoleAckedTimeout),
		HoldFor:   int64(cfg.HoleTimeout),
		SideBytes: cfg.SideBytes,
		MaxDoubts: maxDoubts(&cfg),
	}
	t.doubts.MaxBytes, t.doubts.MaxHeld = doubtLimits(&cfg)
	t.hasher, t.seed = hasherOf(ex), rand.Uint64()
	t.keyTimeout = timerOf(ex)
	t.frames = 1
	t.checksums.mode = cfg.Checksums
	t.details, t.reports = newDetails(cfg.Details), newReports(&cfg)
	if cfg.Fragments == FragmentsReassemble {
		t.fragments = newFragments(&cfg, t.seed)
	}
	if !fastpath.Off {
		t.setFastPaths()
	}
	t.setTimeouts()
	t.plain = t.fastPaths && t.details == nil && t.reports == nil && t.keyTimeout == nil
	return t
}

// maxDoubts is how many connections may have something in doubt.
func maxDoubts(cfg *Config) int { return max(cfg.MaxFlows/4, min(cfg.MaxFlows, 1024)) }

// doubtLimits are how much payload, and how many segments, may wait for an acknowledgement.
func doubtLimits(cfg *Config) (bytes, segments int64) {
	return max(cfg.TotalBytes/8, 1), max(cfg.TotalBytes/8/tcp.HeldBytes, 1024)
}

// setFastPaths turns the fast paths on. Without it all packets take the slow ones.
func (t *FlowTracker[K, S]) setFastPaths() {
	t.fastPaths = true
	ex := any(t.ex)
	if p, ok := ex.(peeling[FiveTupleKey]); ok && p.want == 0 {
		ex, t.fast.decoder = p.inner, p.decoder
	}
	if five, ok := ex.(FiveTuple); ok {
		t.fast.extractor, t.fast.x = five, any(t.x).(*Extracted[FiveTupleKey])
		t.fast.simpleFrames = t.cfg.Checksums == ChecksumIgnore
	}
}

// Track takes the next packet and returns what happened. The slice and what its events refer to are
// good until the next call. v.Frame must stay as it is until the events have been handled.
//
// Beside the packet's own, there are events of other flows that follow from the time that has
// passed: the ends of at most 64 flows, and not much more than a thousand events; the rest follows
// with the next calls, and More says whether there is a rest. If the packet ends a connection, or
// evicts one, that holds more than that, the end is told over several calls, too: until its Ended the
// flow lives on, and its packets are late. Only what lies behind a hole without another is told at once.
//
//go:noinline
func (t *FlowTracker[K, S]) Track(v PacketView) []FlowEvent[K] {
	if t.busy {
		return t.nested()
	}
	return t.track(&v)
}

// nested counts a call from inside another one, which does nothing.
func (t *FlowTracker[K, S]) nested() []FlowEvent[K] {
	t.stats.NestedCalls++
	return nil
}

// track is Track. With a field more, or an argument, a view is passed by value in memory, so it is
// passed on by reference. And where Track is inlined the caller's view is copied first, which stalls
// on fields just written: 8 ns.
func (t *FlowTracker[K, S]) track(v *PacketView) []FlowEvent[K] {
	t.beginPacket(v)
	wire := max(v.WireLen, len(v.Frame))
	if ok, direct := t.extract(v); !direct {
		return t.trackSlow(*v, ok, wire)
	}
	hash, s := t.latestHash, t.latest
	if !t.isLatest() {
		hash = t.packetHash()
		s = t.lookUp(hash)
	}
	if s != nil && t.fastPaths && t.goStraight(hash, s, wire) {
		return t.straightEnd(s)
	}
	return t.updateOrCreateFlow(hash, s, wire)
}

// beginPacket reclaims what the last call lent, and moves the clock to the packet's timestamp.
func (t *FlowTracker[K, S]) beginPacket(v *PacketView) {
	if invariants.Enabled || t.reclaimDue || len(t.events) != 0 {
		t.reclaim()
	}
	t.packetID = v.ID
	t.frames = 1 // a panic of the caller's code may have left a datagram's
	t.stats.Packets++
	t.at = int64(v.Timestamp)
	if t.details != nil {
		t.details.setPacket(v)
	}
	if !t.clock.Follow(t.at) {
		t.moveClock(t.at)
	}
	if t.table.Pending(t.clock.Elapsed()) || t.crowded {
		t.packetID, t.at = 0, t.clock.Now() // these events come from time alone, or for want of room
		t.expireFlows(maxExpiries)
		if t.crowded {
			t.hook.onCrowded()
		}
		t.packetID, t.at = v.ID, int64(v.Timestamp)
	}
}

// extract asks the extractor. ok is its answer; direct reports that the packet goes to its flow
// without a stop in trackSlow.
func (t *FlowTracker[K, S]) extract(v *PacketView) (ok, direct bool) {
	x := t.x
	if t.fast.x != nil {
		if t.fast.simpleFrames && (t.fast.extractor.readUsual(v, t.fast.decoder, t.fast.x) ||
			t.fast.extractor.readSimple(v, t.fast.decoder, t.fast.x)) {
			if invariants.Enabled {
				t.fast.extractor.checkSimple(v, t.fast.decoder, t.fast.x)
			}
			return true, true
		}
		ok = t.fast.extractor.extract(v, t.fast.decoder, t.fast.x)
	} else {
		x.clear()
		ok = t.ask(v)
	}
	return ok, ok && x.slow == 0 && t.checksums.mode == ChecksumIgnore
}

// ask asks the caller's extractor. What it says that cannot be is as if it had refused the packet.
func (t *FlowTracker[K, S]) ask(v *PacketView) (ok bool) {
	ok = t.ex.Extract(*v, t.x)
	if ok && !t.x.isPossible() {
		t.x.Refused, t.x.Orientation, t.x.Missing, ok = RefusedByExtractor, 0, 0, false
	}
	return ok
}

// trackSlow is Track for a packet that may have to stop on its way to its flow: a fragment waits for
// its datagram, a wrong checksum keeps a packet away from its connection, and an ICMP error goes to
// the flow that it is about. Nearly no packet has to.
//
//	extract --> fragment? --> refused? --> checksum --> ICMP error? --> flow
func (t *FlowTracker[K, S]) trackSlow(v PacketView, ok bool, wire int) []FlowEvent[K] {
	x := t.x
	if x.slow&slowNotDecoded != 0 && (t.fragments != nil || t.details != nil || t.checksums.mode != ChecksumIgnore) {
		x.decodeHeaders(&v)
	}
	next := verdictOf(ok)
	if x.slow&slowFragment != 0 && t.fragments != nil {
		next, wire = t.reassemble(&v, ok, wire)
	}
	switch {
	case next == packetDone:
	case next == packetRefused:
		t.refuse(x.Refused)
	case t.checksums.mode != ChecksumIgnore && !t.verifyChecksums(&v, wire):
	case x.slow&slowLong != 0 && !t.hasReceiver():
		t.refuse(RefusedLongPacket)
	case x.slow&slowICMPError != 0 && t.matchICMPError(wire):
	default:
		hash, s := t.findFlow()
		t.updateOrCreateFlow(hash, s, wire)
	}
	t.frames = 1
	return t.flushAnomalies()
}

// verdict says what happens to the current packet next.
type verdict uint8

const (
	packetDone    verdict = iota // nothing: it waits as a fragment, or was counted
	packetToFlow                 // it goes on to its flow
	packetRefused                // it belongs to no flow
)

func verdictOf(ok bool) verdict {
	if ok {
		return packetToFlow
	}
	return packetRefused
}

// refuse counts the current packet as one of no flow.
func (t *FlowTracker[K, S]) refuse(why Refusal) {
	t.stats.PacketsUnmatched += t.frames
	if int(why) < numRefusals {
		t.stats.Refused[why] += t.frames
	}
}

// matchICMPError emits an ICMP error as an event of the flow that it quotes, and reports whether
// there is one.
func (t *FlowTracker[K, S]) matchICMPError(wire int) bool {
	q := &t.x.quoted
	s := t.table.Find(t.hash(&q.key), &q.key)
	if s == nil || t.silent(s) {
		return false
	}
	t.stats.ICMPErrorsMatched += t.frames
	f := &s.Value
	side := f.forward() ^ FlowSide(q.orientation)
	switch {
	case f.over():
	case q.tcp && f.bits&isTCP != 0 && !f.conn.MayHaveSent(tcp.Side(side), q.seq):
		t.anomaly(AnomalyImplausibleICMP, s, side, 0, 1)
	case t.cfg.Events.Has(EventICMPError):
		ev := t.emitSide(EventICMPError, s, side)
		ev.ICMPType, ev.ICMPCode, ev.Len = t.x.packet.ICMPType, t.x.packet.ICMPCode, int64(wire)
	}
	return true
}

// findFlow hashes the current packet's key and finds its slot, or nil. It creates nothing.
func (t *FlowTracker[K, S]) findFlow() (hash uint64, s *slot[K, S]) {
	if t.isLatest() {
		return t.latestHash, t.latest
	}
	hash = t.packetHash()
	return hash, t.lookUp(hash)
}

// isLatest reports whether the current packet belongs to the flow of the last one: packets come in
// trains, and the next packet of a train needs neither hash nor look-up.
func (t *FlowTracker[K, S]) isLatest() bool {
	return t.fast.x != nil && t.latest != nil && any(&t.latest.Key).(*FiveTupleKey).equal(&t.fast.x.Key)
}

// packetHash is the hash of the current packet's key.
func (t *FlowTracker[K, S]) packetHash() uint64 {
	if t.fast.x == nil {
		return t.hash(&t.x.Key)
	}
	return t.fast.x.Key.hash(t.seed)
}

// hash is the hash under which a key is in the table. The seed is secret and differs from tracker to
// tracker; it never decides what happens or in which order.
func (t *FlowTracker[K, S]) hash(k *K) uint64 { return t.hasher.hashKey(k, t.seed) }

// lookUp finds the slot of the current packet's key, or nil.
//
// Tried without gain: IPv4 keys hashed as 24 bytes instead of 40 (2 ns of UDP, none of TCP). To read the
// other lines of the slot before its key is compared: the processor looks ahead that far by itself.
func (t *FlowTracker[K, S]) lookUp(hash uint64) (s *slot[K, S]) {
	if t.nextVictim.queue != 0 {
		t.prefetchVictim()
	}
	if t.fast.x == nil {
		return t.table.Find(hash, &t.x.Key)
	}
	key := &t.fast.x.Key
	for s = t.table.Seek(hash); s != nil; s = t.table.Next(hash, s) {
		if any(&s.Key).(*FiveTupleKey).equal(key) {
			break
		}
	}
	return s
}

// updateOrCreateFlow counts the current packet in its flow and runs TCP. s is the slot that findFlow
// gave. A new flow is created if that is nil, or is over, or its connection is replaced.
func (t *FlowTracker[K, S]) updateOrCreateFlow(hash uint64, s *slot[K, S], wire int) []FlowEvent[K] {
	if invariants.Enabled {
		t.copyPayload()
	}
	if s != nil && !s.Value.continues(t.until(), &t.fastTimeouts, t.x.TCP.Flags) &&
		!s.Value.opens(t.until(), t.openingTimeout, t.x.TCP.Flags) &&
		(t.reports == nil || !t.reports.continues(s.ID(), &s.Value.record, t.until(), t.x.TCP.Flags)) {
		if s = t.resolveFlow(hash, s); s != nil && s.Value.over() {
			if !t.x.HasTCP || s.Value.bits&isTCP == 0 || s.Value.ending() || !t.stepEnded(hash, s, wire) {
				t.countLate(s, wire)
			}
			return t.flushAnomalies()
		}
	}
	if s == nil {
		s = t.createFlow(hash, nil)
		if t.plain && t.beginsStraight(s) {
			t.latest, t.latestHash = s, hash
			if t.turn(hash, s, Initiator, wire, FlagSYN) {
				return t.straightEnd(s)
			}
		}
	}
	if s != t.latest {
		t.latest, t.latestHash = s, hash
	}
	f, x := &s.Value, t.x
	side := t.sender(f)
	t.before = f.last[side&1]
	first := f.countPacket(side, t.at, t.frames, wire, len(x.Payload)+x.Missing)
	if t.at < t.clock.Now() || f.lags() {
		t.noteLag(&f.record)
	}
	t.stats.Bytes[side&1] += uint64(wire)
	if t.details != nil {
		t.details.count(s.ID(), side, x.ipLen())
	}
	if first {
		t.file(s)
	}
	if t.unconfirmed.active {
		t.unconfirmed.slot, t.unconfirmed.flow = s.ID(), f.id
	}
	if x.HasTCP && f.bits&isTCP != 0 {
		t.stepTCP(hash, s, side, wire)
	} else {
		if t.cfg.Events.Has(EventPacket) {
			t.emitPacket(EventPacket, s, side, wire)
		}
		if t.hookDatagrams && x.L4 == L4UDP && f.l4 == L4UDP {
			t.hook.onPayload(s, side, posDatagram)
		}
	}
	if invariants.Enabled {
		t.checkFiled(s)
	}
	if len(t.pending) != 0 {
		return t.flushAnomalies()
	}
	return t.events
}

// copyPayload makes the payload of the current packet a copy, which is overwritten at the next call.
func (t *FlowTracker[K, S]) copyPayload() {
	t.payloadCopy = append(t.payloadCopy[:0:0], t.x.Payload...)
	t.x.Payload = t.payloadCopy
}

// resolveFlow decides for the current packet and the slot of its key: it gives s, or nil if the flow
// has timed out, which it ends, or the new flow of the connection that replaces s.
func (t *FlowTracker[K, S]) resolveFlow(hash uint64, s *slot[K, S]) *slot[K, S] {
	f := &s.Value
	if t.reports != nil && !f.over() && !t.silent(s) {
		t.report(s, t.until()) // before the packet is counted
	}
	switch {
	case f.ending():
		if f.reason.lingers() && t.x.TCP.Flags&FlagSYN == 0 {
			return s
		}
		// The packet may begin another flow, which waits for no later call.
		if t.endFlow(hash, s, f.reason); f.bits&released != 0 {
			return nil
		}
		return t.resolveFlow(hash, s)
	case t.silent(s):
		if t.timedOut(s) || !t.fitsUnbelieved(s) {
			t.endAndRelease(hash, s, EndIdleTimeout)
			return nil
		}
		if t.reports != nil {
			t.report(s, t.until()) // it goes on after all
		}
		return s
	case f.bits&lingering == 0 && f.lastSeen() > t.until() && t.clock.Ahead(f.lastSeen()):
		t.takeBack(s)
	}
	switch {
	case !t.x.HasTCP || f.bits&isTCP == 0 || t.x.TCP.Options&OptionBadLength != 0:
	case f.bits&lingering != 0:
		var g tcp.Segment
		t.fillSegment(&g)
		if f.conn.Reopens(tcp.Side(t.sender(f)), &g, &t.doubts) {
			return t.replaceFlow(hash, s, &g, 0)
		}
	case t.x.TCP.Flags&FlagSYN != 0:
		var g tcp.Segment
		if t.fillSegment(&g); f.conn.Reuses(tcp.Side(t.sender(f)), &g) {
			return t.replaceFlow(hash, s, &g, EndReused)
		}
	}
	return s
}

// hookInOrder gives the driver an in-order segment that its fast path did not take.
func (t *FlowTracker[K, S]) hookInOrder(hash uint64, s *slot[K, S], side FlowSide, pos int64) {
	state := s.Value.conn.State()
	t.fillSegment(&t.segment)
	t.outcome = tcp.Outcome{Pos: pos, End: pos + int64(t.segment.Len), From: state, To: state, Placed: true}
	if t.hook.onSegment(s, side, &t.segment, &t.outcome) {
		t.endInSteps(hash, s, EndBufferOverflow)
	}
}

// sender is the side of the flow that sent the current packet.
func (t *FlowTracker[K, S]) sender(f *flow[S]) FlowSide {
	return f.forward() ^ FlowSide(t.x.Orientation)
}

// fillSegment makes a tcp.Segment of the current packet. It fills g in place: to copy a struct right
// after its small fields were written stalls.
func (t *FlowTracker[K, S]) fillSegment(g *tcp.Segment) {
	x := t.x
	g.Seq, g.Ack = x.TCP.Seq, x.TCP.Ack
	g.Len = uint32(len(x.Payload) + x.Missing)
	if x.TCP.Options&OptionBadLength != 0 {
		g.Len = uint32(len(x.Payload)) // nobody has more
	}
	g.Window = x.TCP.Window
	g.Flags = uint8(x.TCP.Flags)
	g.WindowScale, g.HasWindowScale = x.TCP.WindowScale, x.TCP.HasWindowScale
	g.Options, g.Timestamp, g.TimestampEcho = uint8(x.TCP.Options), x.TCP.Timestamp, x.TCP.TimestampEcho
	g.Time = t.age()
}

// stepTCP gives the current packet to the state machine of the flow's connection, and does what
// follows from the outcome. It is for segments that goStraight did not take.
func (t *FlowTracker[K, S]) stepTCP(hash uint64, s *slot[K, S], side FlowSide, wire int) {
	f := &s.Value
	if f.conn.Guessing() && t.guesses(s) && clock.Sub(t.at, max(t.before, f.last[side^1])) >= int64(t.cfg.HoleOneSidedTimeout) {
		// The timer wheel may not have reached it. What follows comes from time alone.
		id := t.packetID
		t.packetID = 0
		t.leap(hash, s, nil)
		if t.packetID = id; f.bits&(lingering|released) != 0 {
			return
		}
	}
	g, o := &t.segment, &t.outcome
	t.fillSegment(g)
	if g.Options&tcp.OptBadLength != 0 && t.x.slow&slowLong == 0 && f.packets(side^1) == 0 {
		g.Options &^= tcp.OptBadLength // in a tunnel: a mirror has cut it, and nobody is there to say so
	}
	f.conn.Step(tcp.Side(side), g, o, &t.doubts)
	if o.Hold || o.Rival != tcp.NoRival && o.Rival != tcp.RivalReplays {
		if t.hold(hash, s, side, g, o, wire) {
			return
		}
	}
	if o.Rival == tcp.RivalReplays {
		t.stepAndReplay(hash, s, side, wire)
		return
	}
	letters := history.LettersOf(g.Flags, g.Len > 0)
	said := letters&^f.seen[side&1]&history.Data != 0
	if f.addLetters(letters, side); said && f.dataMatters(side) {
		t.file(s)
	}
	if o.Rival == tcp.NoRival && f.conn.Disturbed() { // as with any rival
		t.countBeside(f, side, letters)
	}
	t.applyOutcome(s, side, g, o)
	if t.cfg.Events.Has(EventPacket) {
		t.emitPacket(EventPacket, s, side, wire)
	}
	if o.Notes&anomalousNotes != 0 {
		t.addTCPAnomalies(s, side, g, o)
	}
	t.finishStep(hash, s, side, g, o)
}

// applyOutcome counts in the flow's record what Step found, and follows a change of state.
func (t *FlowTracker[K, S]) applyOutcome(s *slot[K, S], side FlowSide, g *tcp.Segment, o *tcp.Outcome) {
	f := &s.Value
	if o.Notes != 0 {
		f.countNotes(o.Notes, side)
	}
	if t.details != nil {
		t.details.countSegment(s.ID(), side, g, o, t.now())
	}
	if f.bits&handshakeTimed == 0 {
		f.timeHandshake(g, o, side, t.now())
	}
	if o.From != o.To {
		t.changeState(s, o.From, o.To, o.Established)
	}
	if f.class() == classReset || f.conn.StrongReset() {
		t.setTimeoutClass(s, classOfTCP(f))
	}
}

// finishStep gives a segment that Step has handled to the driver, and reports whether the flow has ended.
func (t *FlowTracker[K, S]) finishStep(hash uint64, s *slot[K, S], side FlowSide, g *tcp.Segment, o *tcp.Outcome) bool {
	overflow := false
	if g.Flags&tcp.RST != 0 {
		if g.Len > 0 {
			t.anomaly(AnomalyDataOnRST, s, side, 0, int64(g.Len))
		}
	} else if t.hook != nil && !(!t.collecting && direction.IsPlain(g, o) && !s.Value.conn.InDoubt() && t.hook.onPayload(s, side, o.Pos)) {
		overflow = t.hook.onSegment(s, side, g, o)
	}
	if f := &s.Value; f.conn.Unsettled() {
		f.conn.Settle(&t.doubts, t.age())
	}
	switch {
	case o.To == tcp.Reset:
		t.endInSteps(hash, s, EndRST)
	case o.Ended():
		t.endInSteps(hash, s, EndFIN)
	case overflow:
		t.endInSteps(hash, s, EndBufferOverflow)
	default:
		return false
	}
	return true
}

// changeState follows a change of TCP state: the timeout, the place in the eviction order, and the events.
func (t *FlowTracker[K, S]) changeState(s *slot[K, S], from, to tcp.State, established bool) {
	if (queueOfState[from&7] != queueOfState[to&7] || from == tcp.Active) && s.Value.answered() {
		t.file(s)
	}
	if to < tcp.Closed {
		t.setTimeoutClass(s, classOfState[to&7])
	}
	t.tellState(s, from, to, established)
}

// tellState emits the events of a change of TCP state.
func (t *FlowTracker[K, S]) tellState(s *slot[K, S], from, to tcp.State, established bool) {
	if t.collecting {
		t.established = t.established || established
		return // see tellReplay
	}
	if established {
		if t.cfg.Events.Has(EventEstablished) {
			ev := t.emit(EventEstablished, s)
			ev.State = StateEstablished
		}
		from = tcp.Established
	}
	if from != to && t.cfg.Events.Has(EventStateChange) {
		ev := t.emit(EventStateChange, s)
		ev.From = FlowState(from)
	}
}

// countOnly counts the current packet in its flow, without its payload and whatever its flags, and
// reports whether there is a flow. create says whether to create one.
func (t *FlowTracker[K, S]) countOnly(wire int, create bool) bool {
	hash := t.hash(&t.x.Key)
	s := t.table.Find(hash, &t.x.Key)
	if s != nil { // as in resolveFlow
		switch f := &s.Value; {
		case t.silent(s) && (t.timedOut(s) || !t.fitsUnbelieved(s)):
			t.endAndRelease(hash, s, EndIdleTimeout)
			s = nil
		case f.bits&lingering == 0 && !f.ending() && f.lastSeen() > t.until() && t.clock.Ahead(f.lastSeen()):
			t.takeBack(s)
		}
	}
	if t.reports != nil && s != nil {
		t.report(s, t.until())
	}
	switch {
	case s == nil && !create:
		return false
	case s == nil:
		s = t.createFlow(hash, nil)
	}
	t.x.Payload = nil
	if s.Value.over() {
		t.countLate(s, wire)
		return true
	}
	f := &s.Value
	side := t.sender(f)
	if t.unconfirmed.active {
		t.unconfirmed.slot, t.unconfirmed.flow = s.ID(), f.id
	}
	first := f.countPacket(side, t.at, t.frames, wire, 0)
	if t.at < t.clock.Now() || f.lags() {
		t.noteLag(&f.record)
	}
	if first {
		t.file(s)
	}
	t.stats.Bytes[side&1] += uint64(wire)
	if t.details != nil {
		t.details.count(s.ID(), side, t.x.ipLen())
	}
	if f.conn.InDoubt() {
		t.countBeside(f, side, 0)
	}
	if t.cfg.Events.Has(EventPacket) {
		t.emitPacket(EventPacket, s, side, wire)
	}
	return true
}

// countLate counts the current packet as one of a connection that has ended.
func (t *FlowTracker[K, S]) countLate(s *slot[K, S], wire int) {
	f := &s.Value
	side := t.sender(f)
	t.stats.PacketsLate += t.frames
	f.addLate(side, t.frames)
	if t.details != nil {
		t.details.countLate(s.ID(), side, wire, t.x.ipLen())
	}
	if t.cfg.Events.Has(EventLate) {
		t.emitPacket(EventLate, s, side, wire)
	}
}

// hasLiveFlow reports whether the current packet has a live flow that has not timed out.
func (t *FlowTracker[K, S]) hasLiveFlow() bool {
	s := t.find(&t.x.Key)
	return s != nil && !t.silent(s)
}

// hasReceiver reports whether the current packet is of a connection in which the other side was heard:
// its acknowledgement tells whether it took the packet.
func (t *FlowTracker[K, S]) hasReceiver() bool {
	s := t.find(&t.x.Key)
	return s != nil && !t.silent(s) && s.Value.bits&isTCP != 0 && s.Value.packets(t.sender(&s.Value)^1) != 0
}

// reclaim takes back what the last call lent.
func (t *FlowTracker[K, S]) reclaim() {
	if invariants.Enabled {
		t.overwriteLent()
	}
	t.events = t.events[:0]
	t.finalStats = t.finalStats[:0]
	t.packetID = 0
	t.emittedAnomalies, t.pending = 0, t.pending[:0]
	if t.reclaimDue {
		t.reclaimEnded()
	}
}

// overwriteLent makes a caller's use of what it should not have kept show, in builds that check
// invariants.
func (t *FlowTracker[K, S]) overwriteLent() {
	invariants.Trample(t.payloadCopy)
	for i := range t.events {
		t.events[i] = FlowEvent[K]{Kind: 0xDB}
	}
	for i := range t.finalStats {
		t.finalStats[i] = FlowStats{Packets: [2]uint64{1 << 60, 1 << 60}}
	}
	t.events, t.finalStats, t.payloadCopy = nil, nil, nil
}

// emit appends an event about a flow.
func (t *FlowTracker[K, S]) emit(kind EventKind, s *slot[K, S]) *FlowEvent[K] {
	f, ev := &s.Value, t.nextEvent()
	ev.Kind = kind
	ev.Side, ev.Orientation = t.sender(f), t.x.Orientation
	ev.L4, ev.State = f.l4, f.state()
	ev.slot, ev.Flow = s.ID(), f.id
	ev.Packet, ev.Timestamp = t.packetID, Timestamp(t.at)
	ev.Key = s.Key
	return ev
}

// nextEvent appends an empty event, in place: an event made elsewhere and appended would be written
// twice.
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

// emitSide appends an event about one side of a flow, which need not be the sender of the current
// packet.
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

// emitFinal appends the Ended, Released or Report of a flow.
func (t *FlowTracker[K, S]) emitFinal(kind EventKind, s *slot[K, S]) *FlowEvent[K] {
	n := len(t.finalStats)
	if n == cap(t.finalStats) {
		t.finalStats = append(t.finalStats, FlowStats{})
	}
	t.finalStats = t.finalStats[:n+1]
	stats := &t.finalStats[n]
	t.statsOf(s, stats)
	ev := t.emit(kind, s)
	ev.Side, ev.Orientation = Initiator, Orientation(s.Value.forward())
	ev.Reason = s.Value.reason
	ev.Stats = stats
	ev.History = s.Value.history()
	return ev
}

// Len is the number of live flows. Those that have ended and linger do not count.
func (t *FlowTracker[K, S]) Len() int { return t.live }

// Config is the configuration with all defaults filled in.
func (t *FlowTracker[K, S]) Config() Config { return t.cfg }

// Now is the tracker's time, as its clock has it: that of the latest packet or Sweep that it believes. See
// Config.ClockJump.
func (t *FlowTracker[K, S]) Now() Timestamp { return Timestamp(t.clock.Now()) }

// Stats are the tracker's counters since it was made.
func (t *FlowTracker[K, S]) Stats() TrackerStats {
	s := t.stats
	s.FlowsEvicted = s.Ended[EndEvicted]
	s.FlowsActive = uint64(t.live)
	s.SegmentsHeld, s.SegmentsNotHeld, s.PayloadNotHeld = t.doubts.Counters()
	s.FlowsLingering = uint64(t.table.Queued(queueLingering))
	s.Fragments = t.fragments.stats()
	return s
}

// Events tracks all views of a capture, such as those of OpenCapture, and then ends all flows, as
// FinishParts does. It gives
// the events one at a time:
//
//	for ev, err := range tracker.Events(flowscope.OpenCapture("traffic.pcap")) {
//		if err != nil {
//			return err
//		}
//		...
//	}
//
// An event is borrowed until the loop goes on. The first error of views ends the capture: it comes
// last, with no event, after the events of the packets before it and those of FinishParts. So this is for
// captures; it never calls Sweep. A live source, whose read timeouts are errors too, takes a loop with Track and
// Sweep, as in ExampleViewOf. A
// loop that ends early leaves the flows alive, and Finish to the caller. Within the loop may be called
// what may be called while events are being read, such as ForceClose.
func (t *FlowTracker[K, S]) Events(views iter.Seq2[PacketView, error]) iter.Seq2[*FlowEvent[K], error] {
	return eventsOf(views, t.Track, t.FinishParts())
}

// eventsOf is Events of a tracker or driver, given its Track and FinishParts.
func eventsOf[K comparable](
	views iter.Seq2[PacketView, error], track func(PacketView) []FlowEvent[K], rest iter.Seq[[]FlowEvent[K]],
) iter.Seq2[*FlowEvent[K], error] {
	return func(yield func(*FlowEvent[K], error) bool) {
		var failed error
		for v, err := range views {
			if err != nil {
				failed = err
				break
			}
			events := track(v)
			for i := range events {
				if !yield(&events[i], nil) {
					return
				}
			}
		}
		for events := range rest {
			for i := range events {
				if !yield(&events[i], nil) {
					return
				}
			}
		}
		if failed != nil {
			yield(nil, failed)
		}
	}
}

// A generic type is compiled in the package that instantiates it, a user's, and there the compiler
// inlines a function of internal/ only if it knows the body: if this package declared the function,
// or inlined it somewhere in code of its own that is not generic. Otherwise a look at the clock is a
// call.
//
// So instantiate makes this package compile its generic types once itself. It is never called and the
// linker drops it. Which functions must be inlined in a user's program is held by
// TestSmallFunctionsAreInlinedWhereTheGenericTypesAreInstantiated.
func instantiate() {
	d, _ := NewFlowDriver(FiveTuple{}, nil, Config{})
	d.Track(PacketView{})
}

var _ = instantiate
