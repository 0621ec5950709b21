package testkit

import (
	"fmt"
	"math"
	"testing"

	"github.com/flowscope-go/flowscope"
)

// Ledger keeps book of what a tracker says, call by call, and holds it to the promises that are made for every
// sequence of calls. It knows nothing about protocols: it only counts what it is told.
//
//	Started  -> an account is opened
//	Packet   -> it is charged
//	Ended    -> it is balanced against the event's Stats
//	Released -> it is closed
//
// The tracker must be made by NewAudited, so that the accounts of user states can be audited too.
type Ledger[K comparable] struct {
	tb        testing.TB
	Tracker   *flowscope.FlowTracker[K, tag[K]]
	Accounts  map[flowscope.FlowID]*account[K]
	live      int
	linger    int
	Packets   uint64 // given to Track
	charged   uint64 // sum over all accounts, late ones included
	lates     uint64
	ended     [2]uint64 // bytes of the flows that have ended, by side
	frames    uint64    // that brought the packet of the last call
	limit     int
	stamp     flowscope.Timestamp // of the current packet
	before    flowscope.Timestamp // the clock before it
	taken     flowscope.FlowID    // flows up to this one were begun at a timestamp that was taken back
	Running   bool                // the tracker has a time
	Oversized bool                // frames may claim more payload than was on the wire
	moved     moved[K]            // between two flows of the current call
	Log       []Fact[K]           // what was said, if keep is set
	Keep      bool
}

// tag is the user state of audited trackers: the flow's own name for itself.
type tag[K comparable] struct {
	key    K
	Number flowscope.FlowID
}

// moved are packets that were charged to one flow and turned out to be of the connection that takes its place: they
// leave the counters of the one and stand in those of the other, whose Started is the next. Index 0 is Forward.
type moved[K comparable] struct {
	key     K
	packets [2]uint64
	bytes   [2]uint64 // at most, if late is set: it is not known which of the late ones they are
	late    bool
}

type account[K comparable] struct {
	inherited       *moved[K] // late packets of the flow before, whose bytes are not known yet
	lateBytes       [2]uint64
	lateLeft        bool // some of the late packets left for another flow
	reported        flowscope.Timestamp
	reportedAhead   bool // once, at a timestamp that the clock had not come to and that may be taken back
	key             K
	l4              flowscope.L4Proto
	forward         flowscope.Orientation
	state           flowscope.FlowState
	packets, bytes  [2]uint64
	late            [2]uint64
	Ended, Released bool
	reason          flowscope.EndReason
	history         flowscope.History
}

// NewAudited makes a Ledger with a tracker of its own.
func NewAudited[K comparable](tb testing.TB, ex flowscope.FlowExtractor[K], cfg flowscope.Config) *Ledger[K] {
	tb.Helper()
	if cfg.Events == 0 {
		cfg.Events = flowscope.AllEvents
	}
	made := flowscope.FlowID(0)
	t, err := flowscope.NewFlowTrackerWithState(ex, cfg, func(k K) tag[K] {
		made++
		return tag[K]{k, made}
	})
	if err != nil {
		tb.Fatal(err)
	}
	return &Ledger[K]{tb: tb, Tracker: t, Accounts: map[flowscope.FlowID]*account[K]{}, limit: t.Config().MaxFlows}
}

// Track is that of the tracker, audited.
func (l *Ledger[K]) Track(v flowscope.PacketView) []flowscope.FlowEvent[K] {
	l.Packets++
	before := l.Tracker.Now()
	waiting := l.Tracker.Stats().Fragments.Unused
	events := l.Tracker.Track(v)
	l.frames = 1
	if after := l.Tracker.Stats().Fragments.Unused; after < waiting {
		l.frames += waiting - after // those that were not used until now
	}
	running := l.Running
	l.Running = true
	if running && l.Tracker.Now() < before {
		l.taken = flowscope.FlowID(len(l.Accounts))
	}
	l.take(events, v.ID, max(v.WireLen, len(v.Frame)), v.Timestamp)
	l.order(events)
	return events
}

// Sweep is that of the tracker, audited.
func (l *Ledger[K]) Sweep(now flowscope.Timestamp) []flowscope.FlowEvent[K] {
	l.tb.Helper()
	before := l.Tracker.Now()
	events := l.Tracker.Sweep(now)
	running := l.Running
	l.Running = true
	if got := l.Tracker.Now(); running && got < before && got != now || got < now {
		l.tb.Fatalf("sweep to %v moved the time from %v to %v", now, before, got)
	}
	l.take(events, 0, 0, 0)
	l.onlyEnds(events)
	return events
}

// Finish is that of the tracker, audited: no flow may be left.
func (l *Ledger[K]) Finish() []flowscope.FlowEvent[K] {
	l.tb.Helper()
	events := l.Tracker.Finish()
	l.Running = false
	l.take(events, 0, 0, 0)
	l.onlyEnds(events)
	if l.live != 0 || l.linger != 0 {
		l.tb.Fatalf("after Finish %d flows live and %d linger", l.live, l.linger)
	}
	return events
}

// SetMaxFlows is that of the tracker, which must not refuse.
func (l *Ledger[K]) SetMaxFlows(n int) {
	l.tb.Helper()
	if !l.Tracker.SetMaxFlows(n) {
		l.tb.Fatalf("SetMaxFlows(%d) was refused", n)
	}
	if l.limit = n; n == 0 {
		l.limit = l.Tracker.Config().MaxFlows
	}
}

// ForceClose closes a key and checks that nothing is said of it yet.
func (l *Ledger[K]) ForceClose(key K) {
	l.tb.Helper()
	flow, alive := l.Tracker.Get(key)
	if l.Tracker.ForceClose(key) != alive {
		l.tb.Fatalf("ForceClose and Get disagree on whether %v lives", key)
	}
	if again, ok := l.Tracker.Get(key); ok != alive || again.ID != flow.ID {
		l.tb.Fatalf("ForceClose changed the flow before the next call")
	}
}

// take enters the events of one call, of a packet of that timestamp, then audits the tracker as a whole.
func (l *Ledger[K]) take(events []flowscope.FlowEvent[K], packet uint64, wire int, stamp flowscope.Timestamp) {
	l.stamp = stamp
	defer func() { l.before = l.Tracker.Now() }()
	for i := range events {
		ev := &events[i]
		if l.Keep {
			l.Log = append(l.Log, FactOf(int(l.Packets), ev))
		}
		outside := ev.Reason != 0 || ev.Kind == flowscope.EventReport // may have been asked for before the call, which comes before its time
		if ev.Timestamp != stamp && ev.Packet != 0 && !outside {
			l.fail(ev, "is of %v, the packet of %v", ev.Timestamp, stamp)
		}
		if ev.Packet != packet && !(outside && ev.Packet == 0) && !believed(ev) {
			l.fail(ev, "names packet %d of %d", ev.Packet, packet)
		}
		l.enter(ev, wire)
	}
	if l.moved.packets != [2]uint64{} {
		l.tb.Fatalf("packets %v of %v are counted in no flow", l.moved.packets, l.moved.key)
	}
	l.audit()
}

func (l *Ledger[K]) fail(ev *flowscope.FlowEvent[K], format string, args ...any) {
	l.tb.Helper()
	l.tb.Fatalf("packet %d: %v of flow %d (%v): %s", l.Packets, ev.Kind, ev.Flow, ev.Key, fmt.Sprintf(format, args...))
}

func (l *Ledger[K]) enter(ev *flowscope.FlowEvent[K], wire int) {
	if ev.Flow == 0 && ev.Kind == flowscope.EventAnomaly {
		return // about the tracker as a whole
	}
	a := l.Accounts[ev.Flow]
	if ev.Kind == flowscope.EventStarted {
		if a != nil || ev.Flow != flowscope.FlowID(len(l.Accounts)+1) {
			l.fail(ev, "is not the next new flow, which is %d", len(l.Accounts)+1)
		}
		a = &account[K]{reported: math.MinInt64, key: ev.Key, l4: ev.L4, state: ev.State, forward: ev.Orientation ^ flowscope.Orientation(ev.Side)}
		l.Accounts[ev.Flow] = a
		l.live++
		l.inherit(a)
	}
	switch {
	case a == nil:
		l.fail(ev, "was never started")
	case a.key != ev.Key || a.l4 != ev.L4:
		l.fail(ev, "was of key %v, %v", a.key, a.l4)
	case a.Released:
		l.fail(ev, "comes after Released")
	case a.Ended && ev.Kind != flowscope.EventLate && ev.Kind != flowscope.EventReleased:
		l.fail(ev, "comes after Ended")
	case !a.Ended && (ev.Kind == flowscope.EventLate || ev.Kind == flowscope.EventReleased):
		l.fail(ev, "comes before Ended")
	case ev.Orientation != a.forward^flowscope.Orientation(ev.Side):
		l.fail(ev, "side %v and orientation %v contradict the flow's other events", ev.Side, ev.Orientation)
	}
	if s := l.Tracker.State(ev); s == nil && !a.Ended {
		l.fail(ev, "has no user state")
	} else if s != nil && (s.key != ev.Key || s.Number != ev.Flow) {
		l.fail(ev, "has the user state of flow %d, %v", s.Number, s.key)
	}
	l.charge(a, ev, wire)
}

func (l *Ledger[K]) charge(a *account[K], ev *flowscope.FlowEvent[K], wire int) {
	switch ev.Kind {
	case flowscope.EventStarted, flowscope.EventAnomaly:
	case flowscope.EventPacket:
		a.packets[ev.Side] += l.frames
		a.bytes[ev.Side] += uint64(ev.Len)
		l.charged += l.frames
	case flowscope.EventLate:
		a.late[ev.Side] += l.frames
		a.lateBytes[ev.Side] += uint64(ev.Len)
		l.charged += l.frames
		l.lates += l.frames
	case flowscope.EventICMPError:
		if ev.ICMPType == 0 && ev.ICMPCode == 0 || len(ev.Bytes) != 0 {
			l.fail(ev, "is of type %d, code %d", ev.ICMPType, ev.ICMPCode)
		}
	case flowscope.EventEstablished:
		a.state = flowscope.StateEstablished
	case flowscope.EventStateChange:
		if ev.From != a.state || ev.State == ev.From {
			l.fail(ev, "goes from %v to %v, the flow was %v", ev.From, ev.State, a.state)
		}
		a.state = ev.State
	case flowscope.EventEnded:
		l.balance(a, ev)
		a.Ended, a.reason, a.history = true, ev.Reason, ev.History
		for side, n := range ev.Stats.Bytes {
			l.ended[side] += n
		}
		l.live--
		l.linger++
	case flowscope.EventReport:
		a.weigh(ev.Stats.Bytes)
		switch s, every := ev.Stats, l.Tracker.Config().ReportEvery; {
		case every == 0 || ev.Timestamp <= a.reported && !a.reportedAhead && a.reported <= l.Tracker.Now() || ev.Timestamp > max(l.Tracker.Now(), l.stamp) || ev.Reason != 0:
			l.fail(ev, "at %v, after one at %v, now is %v", ev.Timestamp, a.reported, l.Tracker.Now())
		case s.Packets != a.packets || s.Bytes != a.bytes:
			l.fail(ev, "counts packets %v bytes %v; the events say %v %v", s.Packets, s.Bytes, a.packets, a.bytes)
		case l.Tracker.Stats().ClockBackward == 0 && s.End() > ev.Timestamp: // a clock that was wrong reports at its own times
			l.fail(ev, "at %v has a packet of %v", ev.Timestamp, s.End())
		}
		a.reported, a.reportedAhead = ev.Timestamp, a.reportedAhead || ev.Timestamp > l.before
	case flowscope.EventReleased:
		l.balance(a, ev)
		if ev.Reason != a.reason || ev.History != a.history {
			l.fail(ev, "reason %v history %v, were %v %v at the end", ev.Reason, ev.History, a.reason, a.history)
		}
		a.Released = true
		l.linger--
	default:
		l.fail(ev, "is of no kind that a tracker makes")
	}
	if (ev.Kind == flowscope.EventPacket || ev.Kind == flowscope.EventLate) && ev.Len != int64(wire) && l.frames == 1 {
		l.fail(ev, "is %d bytes long, was %d on the wire", ev.Len, wire)
	}
	if (ev.Stats != nil) != (ev.Kind == flowscope.EventEnded || ev.Kind == flowscope.EventReleased || ev.Kind == flowscope.EventReport) {
		l.fail(ev, "Stats %v", ev.Stats)
	}
}

// leave takes the packets out of an account that its flow no longer counts.
func (l *Ledger[K]) leave(a *account[K], ev *flowscope.FlowEvent[K]) {
	s := ev.Stats
	from, to := &a.packets, s.Packets
	late := a.Ended
	if late {
		from, to = &a.late, s.Late
	}
	if *from == to {
		return
	}
	if l.moved.packets != [2]uint64{} || !late && ev.Reason == flowscope.EndIdleTimeout {
		l.fail(ev, "counts %v, the events say %v", to, *from)
	}
	l.moved = moved[K]{key: a.key, late: late}
	for side := range from {
		way := a.forward ^ flowscope.Orientation(side)
		if to[side] > from[side] {
			l.fail(ev, "counts %v, the events say %v", to, *from)
		}
		l.moved.packets[way] = from[side] - to[side]
		if late {
			a.lateLeft = true
			l.lates -= from[side] - to[side]
			l.moved.bytes[way] = a.lateBytes[side]
		} else {
			l.moved.bytes[way] = a.bytes[side] - s.Bytes[side]
			a.bytes[side] = s.Bytes[side]
		}
		from[side] = to[side]
	}
}

// inherit enters in the account of a new flow what the one before has lost.
func (l *Ledger[K]) inherit(a *account[K]) {
	if l.moved.packets == [2]uint64{} || a.key != l.moved.key {
		return
	}
	m := l.moved
	l.moved = moved[K]{}
	for side := range a.packets {
		way := a.forward ^ flowscope.Orientation(side)
		a.packets[side] += m.packets[way]
		if !m.late {
			a.bytes[side] += m.bytes[way]
		}
	}
	if m.late {
		a.inherited = &m
	}
}

// weigh finds how many bytes the late packets had that an account inherited: what its flow counts more, once.
func (a *account[K]) weigh(bytes [2]uint64) {
	if a.inherited == nil {
		return
	}
	for side := range bytes {
		way := a.forward ^ flowscope.Orientation(side)
		if more := bytes[side] - a.bytes[side]; more <= a.inherited.bytes[way] {
			a.bytes[side] = bytes[side]
		}
	}
	a.inherited = nil
}

// balance compares the account with the counters that an event carries.
func (l *Ledger[K]) balance(a *account[K], ev *flowscope.FlowEvent[K]) {
	s := ev.Stats
	if ev.Reason == 0 || ev.Reason > flowscope.EndFinished {
		l.fail(ev, "has no reason")
	}
	l.leave(a, ev)
	a.weigh(s.Bytes)
	if s.Packets != a.packets || s.Bytes != a.bytes || s.Late != a.late {
		l.fail(ev, "counts packets %v bytes %v late %v; the events say %v %v %v", s.Packets, s.Bytes, s.Late, a.packets, a.bytes, a.late)
	}
	details := l.Tracker.Config().Details
	if details.Has(flowscope.DetailLateBytes) && !a.lateLeft && s.LateBytes != a.lateBytes {
		l.fail(ev, "counts %v bytes of late packets, the events say %v", s.LateBytes, a.lateBytes)
	}
	if details == 0 && (s.IPBytes != [2]uint64{} || s.LateBytes != [2]uint64{} || s.Retransmitted != [2]uint64{} || s.FIN != [2]flowscope.Timestamp{}) {
		l.fail(ev, "has details that nobody asked for")
	}
	for side := range s.Packets {
		switch {
		case s.Packets[side] == 0 && s.IPBytes[side] != 0 || s.RetransmittedBytes[side] > s.Payload[side] && !l.Oversized:
			l.fail(ev, "side %d: IP bytes %v, retransmitted %v of %v", side, s.IPBytes, s.RetransmittedBytes, s.Payload)
		case s.FIN[side] != 0 && !s.Flags[side].Has(flowscope.FlagFIN):
			l.fail(ev, "side %d has a FIN at %v, and never sent one", side, s.FIN[side])
		case s.Payload[side] > s.Bytes[side] && !l.Oversized:
			l.fail(ev, "has more payload than bytes")
		case ev.Flow <= l.taken:
		case s.First[side] > s.Last[side]:
			l.fail(ev, "side %d: first %v last %v", side, s.First[side], s.Last[side])
		case s.Packets[side] == 1 && s.First[side] != s.Last[side]:
			l.fail(ev, "one packet, two times")
		}
	}
	if ev.Flow > l.taken && s.Start() >= 0 && (s.SYNToSYNACK < 0 || s.SYNACKToACK < 0) {
		l.fail(ev, "handshake took %v and %v", s.SYNToSYNACK, s.SYNACKToACK)
	}
}

// audit compares the tracker's own totals with the books.
func (l *Ledger[K]) audit() {
	s := l.Tracker.Stats()
	ended, refused := uint64(0), uint64(0)
	for _, n := range s.Ended {
		ended += n
	}
	for _, n := range s.Refused {
		refused += n
	}
	created := uint64(len(l.Accounts))
	switch {
	case s.FlowsCreated != created || s.FlowsCreated != s.FlowsEnded+s.FlowsActive:
		l.tb.Fatalf("created %d, ended %d, active %d; %d were seen to start", s.FlowsCreated, s.FlowsEnded, s.FlowsActive, created)
	case s.FlowsActive != uint64(l.live) || l.Tracker.Len() != l.live || s.FlowsLingering != uint64(l.linger):
		l.tb.Fatalf("active %d, Len %d, lingering %d; the events say %d and %d", s.FlowsActive, l.Tracker.Len(), s.FlowsLingering, l.live, l.linger)
	case ended != s.FlowsEnded || s.Ended[flowscope.EndEvicted] != s.FlowsEvicted:
		l.tb.Fatalf("%d ended, by reason %v, evicted %d", s.FlowsEnded, s.Ended, s.FlowsEvicted)
	case s.Packets != l.Packets || s.PacketsUnmatched != refused || s.Packets != l.charged+s.PacketsUnmatched+s.ICMPErrorsMatched+s.Fragments.Unused:
		l.tb.Fatalf("%d packets of %d given; %d in flows, %d unmatched, %d refused, %d related, %d fragments unused",
			s.Packets, l.Packets, l.charged, s.PacketsUnmatched, refused, s.ICMPErrorsMatched, s.Fragments.Unused)
	case s.PacketsLate != l.lates:
		l.tb.Fatalf("%d packets late, the events say %d", s.PacketsLate, l.lates)
	case l.live+l.linger > l.limit:
		l.tb.Fatalf("%d live and %d lingering flows, limit %d", l.live, l.linger, l.limit)
	}
	l.walk()
}

// walk compares the live flows, one by one.
func (l *Ledger[K]) walk() {
	if l.live > 100 {
		return // too slow to do after each call
	}
	n, bytes := 0, l.ended
	for f := range l.Tracker.Flows() {
		n++
		bytes[0] += f.Stats.Bytes[0]
		bytes[1] += f.Stats.Bytes[1]
		a := l.Accounts[f.ID]
		if a != nil {
			a.weigh(f.Stats.Bytes)
		}
		switch got, ok := l.Tracker.Get(f.Key); {
		case a == nil || a.Ended || a.key != f.Key || a.forward != f.Orientation || a.l4 != f.L4:
			l.tb.Fatalf("Flows names %d %v, the books say %+v", f.ID, f.Key, a)
		case a.state != f.State || a.packets != f.Stats.Packets || a.bytes != f.Stats.Bytes:
			l.tb.Fatalf("flow %d: %v %v, the events say %v %v", f.ID, f.State, f.Stats.Packets, a.state, a.packets)
		case !ok || got.ID != f.ID || got.User != f.User || f.User.Number != f.ID:
			l.tb.Fatalf("Get(%v) is %+v, Flows says %+v", f.Key, got, f)
		}
	}
	if n != l.live {
		l.tb.Fatalf("Flows gives %d, %d live", n, l.live)
	}
	if s := l.Tracker.Stats(); s.Bytes != bytes {
		l.tb.Fatalf("%v bytes by side, those of all flows are %v", s.Bytes, bytes)
	}
}

// onlyEnds: where no packet came, flows can only end, or be believed to be where their first packets say.
func (l *Ledger[K]) onlyEnds(events []flowscope.FlowEvent[K]) {
	for i := range events {
		if k := events[i].Kind; k != flowscope.EventReport && k != flowscope.EventEnded && k != flowscope.EventReleased && events[i].Flow != 0 && !believed(&events[i]) {
			l.fail(&events[i], "without a packet")
		}
	}
}

// rank is the place of a kind in one call of Track, as EventKind documents it.
func rank(k flowscope.EventKind) int {
	switch k {
	case flowscope.EventStarted:
		return 1
	case flowscope.EventEstablished:
		return 2
	case flowscope.EventStateChange:
		return 3
	case flowscope.EventPacket:
		return 4
	case flowscope.EventEnded:
		return 9
	case flowscope.EventLate, flowscope.EventReleased:
		return 10
	}
	return 5
}

// believed reports whether an event is about a connection under way whose first packets nothing has confirmed, and
// whose state they have now.
func believed[K comparable](ev *flowscope.FlowEvent[K]) bool {
	return ev.Kind == flowscope.EventStateChange && ev.Packet == 0 && ev.From == flowscope.StateActive
}

// order holds one call of Track to the order that EventKind documents: the ends of other flows, then the packet's
// own flow.
func (l *Ledger[K]) order(events []flowscope.FlowEvent[K]) {
	own, last := flowscope.FlowID(0), 0
	for i := range events {
		ev := &events[i]
		ends := ev.Kind == flowscope.EventEnded || ev.Kind == flowscope.EventReleased
		switch {
		case ev.Kind == flowscope.EventAnomaly && ev.Flow == 0:
		case own == 0 && (believed(ev) || ev.Kind == flowscope.EventReport):
		case own == 0 && ends:
			if ev.Kind == flowscope.EventReleased && ev.Stats.Late == [2]uint64{} && i > 0 && events[i-1].Flow == ev.Flow {
				continue
			}
		case own == 0:
			own, last = ev.Flow, rank(ev.Kind)
		case ev.Flow != own:
			l.fail(ev, "comes after events of flow %d, whose packet it is", own)
		case rank(ev.Kind) < last, rank(ev.Kind) == last && ev.Kind != flowscope.EventAnomaly:
			l.fail(ev, "comes too late in its call")
		default:
			last = rank(ev.Kind)
		}
	}
}

// Play makes a random call. key is what ForceClose closes.
func (l *Ledger[K]) Play(c Call, key K) []flowscope.FlowEvent[K] {
	switch c.Kind {
	case CallTrack:
		return l.Track(c.View)
	case CallSweep:
		return l.Sweep(c.At)
	case CallFinish:
		return l.Finish()
	case CallClose:
		l.ForceClose(key)
	case CallLimit:
		l.SetMaxFlows(c.N)
	}
	return nil
}
