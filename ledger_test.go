package flowscope_test

import (
	"fmt"
	"testing"

	"github.com/flowscope-go/flowscope"
)

// ledger keeps book of what a tracker says, call by call, and holds it to the promises that are made for every
// sequence of calls. It knows nothing about protocols: it only counts what it is told.
//
//	Started  -> an account is opened
//	Packet   -> it is charged
//	Ended    -> it is balanced against the event's Stats
//	Released -> it is closed
//
// The tracker must be made by newAudited, so that the accounts of user states can be audited too.
type ledger[K comparable] struct {
	tb       testing.TB
	t        *flowscope.FlowTracker[K, tag[K]]
	accounts map[flowscope.FlowID]*account[K]
	live     int
	linger   int
	packets  uint64 // given to Track
	charged  uint64 // sum over all accounts, late ones included
	lates    uint64
	frames   uint64 // that brought the packet of the last call
	limit    int
	taken    flowscope.FlowID // flows up to this one were begun at a stamp that was taken back
	running  bool             // the tracker has a time
	lies     bool             // frames may claim more payload than was on the wire
	log      []fact[K]        // what was said, if keep is set
	keep     bool
}

// tag is the user state of audited trackers: the flow's own name for itself.
type tag[K comparable] struct {
	key    K
	number flowscope.FlowID
}

type account[K comparable] struct {
	key             K
	l4              flowscope.L4Proto
	forward         flowscope.Orientation
	state           flowscope.FlowState
	packets, bytes  [2]uint64
	late            [2]uint64
	ended, released bool
	reason          flowscope.EndReason
	history         flowscope.History
}

// fact is an event by value, so that two events can be compared with ==.
type fact[K comparable] struct {
	Call        int
	Kind        flowscope.EventKind
	Side        flowscope.FlowSide
	Orientation flowscope.Orientation
	L4          flowscope.L4Proto
	State, From flowscope.FlowState
	Reason      flowscope.EndReason
	Flow        flowscope.FlowID
	Packet      uint64
	Timestamp   flowscope.Timestamp
	Key         K
	Bytes       string
	Len         int64
	Stats       flowscope.FlowStats
	History     flowscope.History
}

func factOf[K comparable](call int, ev *flowscope.FlowEvent[K]) fact[K] {
	f := fact[K]{
		Call: call, Kind: ev.Kind, Side: ev.Side, Orientation: ev.Orientation, L4: ev.L4, State: ev.State, From: ev.From,
		Reason: ev.Reason, Flow: ev.Flow, Packet: ev.Packet, Timestamp: ev.Timestamp, Key: ev.Key, Bytes: string(ev.Bytes),
		Len: ev.Len, History: ev.History,
	}
	if ev.Stats != nil {
		f.Stats = *ev.Stats
	}
	return f
}

func newAudited[K comparable](tb testing.TB, ex flowscope.FlowExtractor[K], cfg flowscope.Config) *ledger[K] {
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
	return &ledger[K]{tb: tb, t: t, accounts: map[flowscope.FlowID]*account[K]{}, limit: t.Config().MaxFlows}
}

func (l *ledger[K]) Track(v flowscope.PacketView) []flowscope.FlowEvent[K] {
	l.packets++
	before := l.t.Now()
	waiting := l.t.Stats().Fragments.Unused
	events := l.t.Track(v)
	l.frames = 1
	if after := l.t.Stats().Fragments.Unused; after < waiting {
		l.frames += waiting - after // those that were not used until now
	}
	running := l.running
	l.running = true
	if running && l.t.Now() < before {
		l.taken = flowscope.FlowID(len(l.accounts))
	}
	l.take(events, v.ID, max(v.WireLen, len(v.Frame)))
	l.order(events)
	return events
}

func (l *ledger[K]) Sweep(now flowscope.Timestamp) []flowscope.FlowEvent[K] {
	l.tb.Helper()
	before := l.t.Now()
	events := l.t.Sweep(now)
	running := l.running
	l.running = true
	if got := l.t.Now(); running && got < before || got < now {
		l.tb.Fatalf("sweep to %v moved the time from %v to %v", now, before, got)
	}
	l.take(events, 0, 0)
	l.onlyEnds(events)
	return events
}

func (l *ledger[K]) Finish() []flowscope.FlowEvent[K] {
	l.tb.Helper()
	events := l.t.Finish()
	l.running = false
	l.take(events, 0, 0)
	l.onlyEnds(events)
	if l.live != 0 || l.linger != 0 {
		l.tb.Fatalf("after Finish %d flows live and %d linger", l.live, l.linger)
	}
	return events
}

func (l *ledger[K]) SetMaxFlows(n int) {
	l.tb.Helper()
	if !l.t.SetMaxFlows(n) {
		l.tb.Fatalf("SetMaxFlows(%d) was refused", n)
	}
	if l.limit = n; n == 0 {
		l.limit = l.t.Config().MaxFlows
	}
}

// ForceClose closes a key and checks that nothing is said of it yet.
func (l *ledger[K]) ForceClose(key K) {
	l.tb.Helper()
	flow, alive := l.t.Get(key)
	if l.t.ForceClose(key) != alive {
		l.tb.Fatalf("ForceClose and Get disagree on whether %v lives", key)
	}
	if again, ok := l.t.Get(key); ok != alive || again.ID != flow.ID {
		l.tb.Fatalf("ForceClose changed the flow before the next call")
	}
}

// take enters the events of one call, then audits the tracker as a whole.
func (l *ledger[K]) take(events []flowscope.FlowEvent[K], packet uint64, wire int) {
	for i := range events {
		ev := &events[i]
		if l.keep {
			l.log = append(l.log, factOf(int(l.packets), ev))
		}
		outside := ev.Reason != 0 // may have been asked for before the call, which comes before its time
		if ev.Timestamp != l.t.Now() && packet != 0 && !outside {
			l.fail(ev, "is of %v, the tracker's time is %v", ev.Timestamp, l.t.Now())
		}
		if ev.Packet != packet && !(outside && ev.Packet == 0) {
			l.fail(ev, "names packet %d of %d", ev.Packet, packet)
		}
		l.enter(ev, wire)
	}
	l.audit()
}

func (l *ledger[K]) fail(ev *flowscope.FlowEvent[K], format string, args ...any) {
	l.tb.Helper()
	l.tb.Fatalf("packet %d: %v of flow %d (%v): %s", l.packets, ev.Kind, ev.Flow, ev.Key, fmt.Sprintf(format, args...))
}

func (l *ledger[K]) enter(ev *flowscope.FlowEvent[K], wire int) {
	if ev.Flow == 0 && ev.Kind == flowscope.EventAnomaly {
		return // about the tracker as a whole
	}
	a := l.accounts[ev.Flow]
	if ev.Kind == flowscope.EventStarted {
		if a != nil || ev.Flow != flowscope.FlowID(len(l.accounts)+1) {
			l.fail(ev, "is not the next new flow, which is %d", len(l.accounts)+1)
		}
		a = &account[K]{key: ev.Key, l4: ev.L4, state: ev.State, forward: ev.Orientation ^ flowscope.Orientation(ev.Side)}
		l.accounts[ev.Flow] = a
		l.live++
	}
	switch {
	case a == nil:
		l.fail(ev, "was never started")
	case a.key != ev.Key || a.l4 != ev.L4:
		l.fail(ev, "was of key %v, %v", a.key, a.l4)
	case a.released:
		l.fail(ev, "comes after Released")
	case a.ended && ev.Kind != flowscope.EventLate && ev.Kind != flowscope.EventReleased:
		l.fail(ev, "comes after Ended")
	case !a.ended && (ev.Kind == flowscope.EventLate || ev.Kind == flowscope.EventReleased):
		l.fail(ev, "comes before Ended")
	case ev.Orientation != a.forward^flowscope.Orientation(ev.Side):
		l.fail(ev, "side %v and orientation %v contradict the flow's other events", ev.Side, ev.Orientation)
	}
	if s := l.t.State(ev); s == nil && !a.ended {
		l.fail(ev, "has no user state")
	} else if s != nil && (s.key != ev.Key || s.number != ev.Flow) {
		l.fail(ev, "has the user state of flow %d, %v", s.number, s.key)
	}
	l.charge(a, ev, wire)
}

func (l *ledger[K]) charge(a *account[K], ev *flowscope.FlowEvent[K], wire int) {
	switch ev.Kind {
	case flowscope.EventStarted, flowscope.EventAnomaly:
	case flowscope.EventPacket:
		a.packets[ev.Side] += l.frames
		a.bytes[ev.Side] += uint64(ev.Len)
		l.charged += l.frames
	case flowscope.EventLate:
		a.late[ev.Side] += l.frames
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
		a.ended, a.reason, a.history = true, ev.Reason, ev.History
		l.live--
		l.linger++
	case flowscope.EventReleased:
		l.balance(a, ev)
		if ev.Reason != a.reason || ev.History != a.history {
			l.fail(ev, "reason %v history %v, were %v %v at the end", ev.Reason, ev.History, a.reason, a.history)
		}
		a.released = true
		l.linger--
	default:
		l.fail(ev, "is of no kind that a tracker makes")
	}
	if (ev.Kind == flowscope.EventPacket || ev.Kind == flowscope.EventLate) && ev.Len != int64(wire) && l.frames == 1 {
		l.fail(ev, "is %d bytes long, was %d on the wire", ev.Len, wire)
	}
	if (ev.Stats != nil) != (ev.Kind == flowscope.EventEnded || ev.Kind == flowscope.EventReleased) {
		l.fail(ev, "Stats %v", ev.Stats)
	}
}

// balance compares the account with the counters that an event carries.
func (l *ledger[K]) balance(a *account[K], ev *flowscope.FlowEvent[K]) {
	s := ev.Stats
	if ev.Reason == 0 || ev.Reason > flowscope.EndFinished {
		l.fail(ev, "has no reason")
	}
	if s.Packets != a.packets || s.Bytes != a.bytes || s.Late != a.late {
		l.fail(ev, "counts packets %v bytes %v late %v; the events say %v %v %v", s.Packets, s.Bytes, s.Late, a.packets, a.bytes, a.late)
	}
	for side := range s.Packets {
		switch {
		case s.Payload[side] > s.Bytes[side] && !l.lies:
			l.fail(ev, "has more payload than bytes")
		case ev.Flow <= l.taken:
		case s.First[side] > s.Last[side] || s.Packets[side] > 0 && s.Last[side] > ev.Timestamp:
			l.fail(ev, "side %d: first %v last %v now %v", side, s.First[side], s.Last[side], ev.Timestamp)
		case s.Packets[side] == 1 && s.First[side] != s.Last[side]:
			l.fail(ev, "one packet, two times")
		}
	}
	if ev.Flow > l.taken && s.Start() >= 0 && (s.SYNToSYNACK < 0 || s.SYNACKToACK < 0) {
		l.fail(ev, "handshake took %v and %v", s.SYNToSYNACK, s.SYNACKToACK)
	}
}

// audit compares the tracker's own totals with the books.
func (l *ledger[K]) audit() {
	s := l.t.Stats()
	ended, refused := uint64(0), uint64(0)
	for _, n := range s.Ended {
		ended += n
	}
	for _, n := range s.Refused {
		refused += n
	}
	created := uint64(len(l.accounts))
	switch {
	case s.FlowsCreated != created || s.FlowsCreated != s.FlowsEnded+s.FlowsActive:
		l.tb.Fatalf("created %d, ended %d, active %d; %d were seen to start", s.FlowsCreated, s.FlowsEnded, s.FlowsActive, created)
	case s.FlowsActive != uint64(l.live) || l.t.Len() != l.live || s.FlowsLingering != uint64(l.linger):
		l.tb.Fatalf("active %d, Len %d, lingering %d; the events say %d and %d", s.FlowsActive, l.t.Len(), s.FlowsLingering, l.live, l.linger)
	case ended != s.FlowsEnded || s.Ended[flowscope.EndEvicted] != s.FlowsEvicted:
		l.tb.Fatalf("%d ended, by reason %v, evicted %d", s.FlowsEnded, s.Ended, s.FlowsEvicted)
	case s.Packets != l.packets || s.PacketsUnmatched != refused || s.Packets != l.charged+s.PacketsUnmatched+s.ICMPErrorsMatched+s.Fragments.Unused:
		l.tb.Fatalf("%d packets of %d given; %d in flows, %d unmatched, %d refused, %d related, %d fragments unused",
			s.Packets, l.packets, l.charged, s.PacketsUnmatched, refused, s.ICMPErrorsMatched, s.Fragments.Unused)
	case s.PacketsLate != l.lates:
		l.tb.Fatalf("%d packets late, the events say %d", s.PacketsLate, l.lates)
	case l.live+l.linger > l.limit:
		l.tb.Fatalf("%d live and %d lingering flows, limit %d", l.live, l.linger, l.limit)
	}
	l.walk()
}

// walk compares the live flows, one by one.
func (l *ledger[K]) walk() {
	if l.live > 100 {
		return // too slow to do after each call
	}
	n := 0
	for f := range l.t.Flows() {
		n++
		a := l.accounts[f.ID]
		switch got, ok := l.t.Get(f.Key); {
		case a == nil || a.ended || a.key != f.Key || a.forward != f.Orientation || a.l4 != f.L4:
			l.tb.Fatalf("Flows names %d %v, the books say %+v", f.ID, f.Key, a)
		case a.state != f.State || a.packets != f.Stats.Packets || a.bytes != f.Stats.Bytes:
			l.tb.Fatalf("flow %d: %v %v, the events say %v %v", f.ID, f.State, f.Stats.Packets, a.state, a.packets)
		case !ok || got.ID != f.ID || got.User != f.User || f.User.number != f.ID:
			l.tb.Fatalf("Get(%v) is %+v, Flows says %+v", f.Key, got, f)
		}
	}
	if n != l.live {
		l.tb.Fatalf("Flows gives %d, %d live", n, l.live)
	}
}

// onlyEnds: where no packet came, flows can only end.
func (l *ledger[K]) onlyEnds(events []flowscope.FlowEvent[K]) {
	for i := range events {
		if k := events[i].Kind; k != flowscope.EventEnded && k != flowscope.EventReleased && events[i].Flow != 0 {
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

// order holds one call of Track to the order that EventKind documents: the ends of other flows, then the packet's
// own flow.
func (l *ledger[K]) order(events []flowscope.FlowEvent[K]) {
	own, last := flowscope.FlowID(0), 0
	for i := range events {
		ev := &events[i]
		ends := ev.Kind == flowscope.EventEnded || ev.Kind == flowscope.EventReleased
		switch {
		case ev.Kind == flowscope.EventAnomaly && ev.Flow == 0:
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
