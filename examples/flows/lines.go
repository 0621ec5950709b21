package main

import (
	"encoding/json"
	"io"
	"time"
)

// line is one flow as JSON. Pairs are of the initiator and the responder.
type line struct {
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

// lines prints flows for programs.
type lines struct{ enc *json.Encoder }

func newLines(w io.Writer) lines { return lines{json.NewEncoder(w)} }

func (l lines) flow(ev *event) {
	s := ev.Stats
	from, to := ends(ev)
	// Numbers, strings and times of these centuries always encode, and a
	// failed write is bufio's to report.
	_ = l.enc.Encode(line{
		Proto: ev.L4.String(), Initiator: from, Responder: to, ICMPID: ev.Key.ICMPID(), Tunnel: ev.Stats.Through(),
		Packets: s.Packets, Late: s.Late, WireBytes: s.Bytes, PayloadBytes: s.Payload,
		Start: s.Start().Time(), End: s.End().Time(),
		State: ev.State.String(), Reason: ev.Reason.String(), History: ev.History.String(), Midstream: s.Midstream,
	})
}

func (lines) flush() {}
