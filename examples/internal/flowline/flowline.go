// Package flowline is a flow in the JSON form that the examples print.
package flowline

import (
	"time"

	"github.com/flowscope-go/flowscope"
)

// Line is one flow as JSON. Pairs are of the initiator and the responder.
type Line struct {
	Proto        string    `json:"proto"`
	Initiator    string    `json:"initiator"`
	Responder    string    `json:"responder"`
	ICMPID       uint16    `json:"icmp_id,omitempty"`
	Tunnel       string    `json:"tunnel,omitempty"` // as in "vxlan:77"
	Packets      [2]uint64 `json:"packets"`
	Late         [2]uint64 `json:"late"`
	WireBytes    [2]uint64 `json:"wire_bytes"`
	PayloadBytes [2]uint64 `json:"payload_bytes"`
	Start        time.Time `json:"start"`
	End          time.Time `json:"end"`
	State        string    `json:"state"`
	Reason       string    `json:"reason"`
	History      string    `json:"history"`
	Midstream    bool      `json:"midstream"`
}

// Of makes the line of a flow from its last event, Ended or Released.
func Of(ev *flowscope.FlowEvent[flowscope.FiveTupleKey]) Line {
	s := ev.Stats
	from, to := Ends(ev)
	return Line{
		Proto: ev.L4.String(), Initiator: from, Responder: to, ICMPID: ev.Key.ICMPID(), Tunnel: s.TunnelString(),
		Packets: s.Packets, Late: s.Late, WireBytes: s.Bytes, PayloadBytes: s.Payload,
		Start: s.Start().Time(), End: s.End().Time(),
		State: ev.State.String(), Reason: ev.Reason.String(), History: ev.History.String(), Midstream: s.Midstream,
	}
}

// Ends are the initiator and the responder of an Ended or Released event, whose orientation is
// that of the initiator's packets.
func Ends(ev *flowscope.FlowEvent[flowscope.FiveTupleKey]) (initiator, responder string) {
	a, b := ev.Key.Ends(ev.Orientation)
	switch ev.L4 {
	case flowscope.L4TCP, flowscope.L4UDP, flowscope.L4SCTP:
		return a.String(), b.String()
	}
	return a.Addr().String(), b.Addr().String()
}
