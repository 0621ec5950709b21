package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/flowscope-go/flowscope"
)

// How much is kept of a capture to be shown.
const (
	flowRows     = 24 // flows in the picture of flows
	troubleRows  = 20
	examples     = 3 // of a kind of handshake
	holesOfFlow  = 16
	slowExchange = 8
	listRows     = 10 // entries in lists of names
)

// flow is a flow that has ended, and what its record does not say.
type flow struct {
	flowscope.Record
	id flowscope.FlowID
	notes
}

// notes are what is noted of the few flows that need it, while they live.
type notes struct {
	copies, dataCopies [2]uint64
	syns               uint64 // sent again
	holes              []flowscope.Timestamp
}

// flowFacts are what is known of the flows.
type flowFacts struct {
	noted map[flowscope.FlowID]*notes

	n, tcp        uint64
	packets       uint64 // late ones included
	endings       map[ending]uint64
	conversations *heavy[string]
	heaviest      leaders[flow]
	trouble       leaders[flow]
	troubled      uint64 // flows with trouble
	calm          leaders[flow]

	resets, refused, gaps, gapBytes, again, againBytes, late, icmpErrors uint64

	toServer, toClient durations // halves of the handshake
	handshakes         map[string]*kind
	anomalies          map[flowscope.AnomalyKind]*kind
}

// ending is how flows end.
type ending struct {
	proto   flowscope.L4Proto
	reason  flowscope.EndReason
	state   flowscope.FlowState
	refused bool
}

// kind is a kind of what deserves a look, with some examples.
type kind struct {
	n        uint64
	examples []string
}

func (k *kind) add(example string) {
	if k.n++; len(k.examples) < examples && example != "" {
		k.examples = append(k.examples, example)
	}
}

func newFlowFacts() *flowFacts {
	return &flowFacts{
		noted: map[flowscope.FlowID]*notes{}, endings: map[ending]uint64{},
		conversations: newHeavy[string](byBytes),
		heaviest:      leaders[flow]{max: flowRows}, trouble: leaders[flow]{max: troubleRows}, calm: leaders[flow]{max: 1},
		handshakes: map[string]*kind{}, anomalies: map[flowscope.AnomalyKind]*kind{},
	}
}

// note is what is noted of a live flow; of one more than there may be it is forgotten at once. Flows are bounded by
// Config.MaxFlows, and notes are let go with them.
func (f *flowFacts) note(id flowscope.FlowID) *notes {
	n := f.noted[id]
	if n == nil {
		n = new(notes)
		f.noted[id] = n
	}
	return n
}

// packet looks at a packet of a flow.
func (f *flowFacts) packet(ev *event, now *current) {
	if now.copy {
		n := f.note(ev.Flow)
		n.copies[ev.Side]++
		if len(now.x.Payload)+now.x.Missing > 0 {
			n.dataCopies[ev.Side]++
		}
		return
	}
	const syn, ack = flowscope.FlagSYN, flowscope.FlagACK
	if now.x.HasTCP && now.x.TCP.Flags&(syn|ack) == syn && ev.Side == flowscope.Initiator && now.flow != ev.Flow {
		f.note(ev.Flow).syns++
	}
}

func (f *flowFacts) gap(ev *event) {
	if n := f.note(ev.Flow); len(n.holes) < holesOfFlow {
		n.holes = append(n.holes, inReach(ev.Timestamp))
	}
}

func (f *flowFacts) anomaly(ev *event) {
	k := f.anomalies[ev.Anomaly]
	if k == nil {
		k = new(kind)
		f.anomalies[ev.Anomaly] = k
	}
	example := ""
	if ev.Flow != 0 && len(k.examples) < examples {
		from, to := ev.Ends(ev.Side)
		example = end(flowscope.Endpoint{Addr: from.Addr(), Port: from.Port()}) + " → " +
			end(flowscope.Endpoint{Addr: to.Addr(), Port: to.Port()})
		if ev.Packet != 0 { // else time alone caused it
			example += fmt.Sprintf(", packet %d", ev.Packet)
		}
	}
	k.add(example)
}

// released adds a flow that has ended.
func (f *flowFacts) released(ev *event) {
	fl := flow{Record: flowscope.RecordOf(ev), id: ev.Flow}
	if n := f.noted[ev.Flow]; n != nil {
		fl.notes = *n
		delete(f.noted, ev.Flow)
	}
	f.n++
	e := ending{proto: fl.Proto, reason: fl.Reason, refused: isRefused(&fl)}
	if fl.Proto == flowscope.L4TCP {
		f.tcp++
		if fl.Reason != flowscope.EndFIN && fl.Reason != flowscope.EndRST {
			e.state = fl.State
		}
		f.connection(&fl)
	}
	f.endings[e]++
	sum := f.conversations.of(conversation(&fl.Record))
	sum.n++
	for i := range sum.bytes {
		f.packets += fl.Packets[i] + fl.Late[i]
		f.late += fl.Late[i]
		sum.bytes[i] += fl.WireBytes[i]
	}
	f.heaviest.add(fl.WireBytes[0]+fl.WireBytes[1], fl)
}

// connection adds what only those of TCP have.
func (f *flowFacts) connection(fl *flow) {
	if fl.SYNToSYNACK > 0 {
		f.toServer.add(fl.SYNToSYNACK)
	}
	if fl.SYNACKToACK > 0 {
		f.toClient.add(fl.SYNACKToACK)
	}
	for i := range fl.Gaps {
		f.gaps += fl.Gaps[i]
		f.gapBytes += fl.GapBytes[i]
		f.again += fl.Retransmitted[i]
		f.againBytes += fl.RetransmittedBytes[i]
	}
	for _, what := range oddities(fl) {
		if f.handshakes[what] == nil {
			f.handshakes[what] = new(kind)
		}
		f.handshakes[what].add(arrow(&fl.Record))
	}
	score := trouble(fl)
	if isRefused(fl) {
		f.refused++ // shown with the handshakes: a scan would leave no room for others
	} else if fl.Reason == flowscope.EndRST {
		f.resets++
		score = max(score, 1)
	}
	if score > 0 {
		f.troubled++
		f.trouble.add(score, *fl)
	}
	f.calm.add(fl.PayloadBytes[0]+fl.PayloadBytes[1], *fl)
}

// isTwice reports whether packets of the flow were captured twice, so that what looks as if it had been sent again was
// not.
func (fl *flow) isTwice() bool {
	n := fl.copies[0] + fl.copies[1]
	return n > 0 && 4*n >= fl.Packets[0]+fl.Packets[1]
}

// repeats are the segments of a side that were sent again, without copies of the capture's own making.
func (fl *flow) repeats(side int) uint64 {
	if fl.isTwice() {
		return fl.Retransmitted[side] - min(fl.Retransmitted[side], fl.dataCopies[side])
	}
	return fl.Retransmitted[side]
}

// trouble is how much went wrong in a connection: a hole counts as ten segments that were sent again.
func trouble(fl *flow) uint64 {
	return fl.repeats(0) + fl.repeats(1) + 10*(fl.Gaps[0]+fl.Gaps[1]) + fl.DroppedSegments[0] + fl.DroppedSegments[1]
}

// worst is the connection with the most trouble, or if there is none with holes or segments sent again, the one
// with the most payload.
func (f *flowFacts) worst() (fl flow, ok bool) {
	for _, best := range [][]scored[flow]{f.trouble.items, f.calm.items} {
		if len(best) > 0 && trouble(&best[0].value) > 0 {
			return best[0].value, true
		}
	}
	if len(f.calm.items) > 0 && f.calm.items[0].score > 0 {
		return f.calm.items[0].value, true
	}
	return fl, false
}

// isRefused reports whether a connection was reset before the responder had agreed to it.
func isRefused(fl *flow) bool {
	h := fl.History.String()
	return fl.Reason == flowscope.EndRST && strings.Contains(h, "S") && !strings.Contains(h, "h") && strings.Contains(h, "r")
}

// slowHandshake is from when on the round trip of a handshake deserves a look.
const slowHandshake = time.Second

// Kinds of handshakes, in the order in which they are shown.
var handshakeKinds = []string{notAnswered, refusedOnes, notCompleted, sentAgain, slow, underWay}

const (
	notAnswered  = "SYN that nobody answered"
	refusedOnes  = "refused by a reset"
	notCompleted = "SYN+ACK that was never acknowledged"
	sentAgain    = "SYN sent more than once"
	slow         = "round trip of more than a second"
	underWay     = "under way when first seen"
)

// oddities are what is odd about a handshake.
func oddities(fl *flow) (what []string) {
	h := fl.History.String()
	syn := strings.Contains(h, "S")
	switch {
	case fl.Midstream:
		what = append(what, underWay)
	case isRefused(fl):
		what = append(what, refusedOnes)
	case syn && fl.Packets[1] == 0:
		what = append(what, notAnswered)
	case syn && strings.Contains(h, "h") && !strings.ContainsAny(h, "ADF"):
		what = append(what, notCompleted)
	}
	if fl.syns > 0 {
		what = append(what, sentAgain)
	}
	if fl.SYNToSYNACK+fl.SYNACKToACK > slowHandshake {
		what = append(what, slow)
	}
	return what
}

// arrow is who began a flow and with whom.
func arrow(r *flowscope.Record) string { return end(r.Initiator) + " → " + end(r.Responder) }

// conversation is what flows between the same hosts to the same port have in common. The ports of the responder of a
// flow that began midstream may be those of the client.
func conversation(r *flowscope.Record) string {
	service := r.Proto.String()
	if r.Responder.Port != 0 {
		service += fmt.Sprintf("/%d", r.Responder.Port)
	}
	return end(flowscope.Endpoint{Addr: r.Initiator.Addr}) + " → " + end(flowscope.Endpoint{Addr: r.Responder.Addr}) + " " + service
}
