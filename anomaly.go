package flowscope

import (
	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// The anomalies of packets and flows: what the rules of TCP noted, and what waits for its place in the order of events.

// anomalyOfNote says which anomalies the notes of internal/tcp are.
var anomalyOfNote = [...]struct {
	note tcp.Note
	kind AnomalyKind
}{
	{tcp.ImplausibleRST, AnomalyImplausibleRST},
	{tcp.StraySYN | tcp.BadSYNACK, AnomalyImplausibleSYN},
	{tcp.ImplausibleACK, AnomalyImplausibleACK},
	{tcp.OutOfWindow | tcp.Untimely, AnomalyOutOfWindow},
	{tcp.FINConflict, AnomalyFINConflict},
	{tcp.DataAfterFIN, AnomalyDataAfterClose},
	{tcp.DataBeforeHandshake, AnomalyDataBeforeHandshake},
	{tcp.SYNDataIgnored, AnomalySYNDataIgnored},
	{tcp.NoACK, AnomalyDataWithoutACK},
}

// anomalousNotes are the notes in anomalyOfNote.
const anomalousNotes = tcp.ImplausibleRST | tcp.StraySYN | tcp.BadSYNACK | tcp.ImplausibleACK |
	tcp.OutOfWindow | tcp.Untimely | tcp.FINConflict | tcp.DataAfterFIN | tcp.DataBeforeHandshake |
	tcp.SYNDataIgnored | tcp.NoACK

// addTCPAnomalies adds the anomalies that internal/tcp noted.
func (t *FlowTracker[K, S]) addTCPAnomalies(s *slot[K, S], side FlowSide, g *tcp.Segment, o *tcp.Outcome) {
	for _, n := range anomalyOfNote {
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

// pendingAnomaly waits for its place in the order of events: before the Ended of its flow, or at the
// end of the call.
type pendingAnomaly struct {
	slot        flowtable.ID
	flow        FlowID // 0: about the tracker as a whole
	side        FlowSide
	kind        AnomalyKind
	policy      OverflowPolicy
	offset, len int64
}

// anomaly counts an anomaly of a flow, or of none, and keeps it until its event is emitted. Those of
// one kind, flow and side become one.
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
	if t.emittedAnomalies+len(t.pending) >= t.cfg.MaxAnomalies {
		t.stats.AnomaliesSuppressed++
		return
	}
	t.pending = append(t.pending, p)
}

// overflowAnomaly is anomaly for bytes without room, with the policy that was at work. If several
// become one, OverflowDropFlow counts. Other kinds have no policy.
func (t *FlowTracker[K, S]) overflowAnomaly(kind AnomalyKind, s *slot[K, S], side FlowSide, offset, n int64, policy OverflowPolicy) {
	t.anomaly(kind, s, side, offset, n)
	if kind != AnomalyBufferOverflow && kind != AnomalyMemoryCap {
		return
	}
	for i := range t.pending {
		if p := &t.pending[i]; p.flow == s.Value.id && p.side == side && p.kind == kind {
			p.policy = max(p.policy, policy)
		}
	}
}

// emitAnomalies emits the pending anomalies of one flow.
func (t *FlowTracker[K, S]) emitAnomalies(s *slot[K, S]) {
	rest := t.pending[:0]
	for _, p := range t.pending {
		if p.flow != s.Value.id {
			rest = append(rest, p)
			continue
		}
		t.fillAnomaly(t.emitSide(EventAnomaly, s, p.side), &p)
	}
	t.pending = rest
}

// flushFlowAnomalies emits the pending anomalies of all flows.
func (t *FlowTracker[K, S]) flushFlowAnomalies() {
	rest := t.pending[:0]
	for _, p := range t.pending {
		if p.flow == 0 {
			rest = append(rest, p)
			continue
		}
		t.fillAnomaly(t.emitSide(EventAnomaly, t.table.At(p.slot), p.side), &p)
	}
	t.pending = rest
}

// flushAnomalies emits all pending anomalies, those of no flow last.
func (t *FlowTracker[K, S]) flushAnomalies() []FlowEvent[K] {
	t.flushFlowAnomalies()
	for i := range t.pending {
		ev := t.nextEvent()
		ev.Kind, ev.Packet, ev.Timestamp = EventAnomaly, t.packetID, Timestamp(t.at)
		t.fillAnomaly(ev, &t.pending[i])
	}
	t.pending = t.pending[:0]
	return t.events
}

// fillAnomaly says in an event which anomaly it is.
func (t *FlowTracker[K, S]) fillAnomaly(ev *FlowEvent[K], p *pendingAnomaly) {
	ev.Anomaly, ev.Policy, ev.Offset, ev.Len = p.kind, p.policy, p.offset, p.len
	t.emittedAnomalies++
}
