package main

import (
	"strings"
	"time"

	"github.com/flowscope-go/flowscope"
)

// maxText bounds each text from the network that is kept.
const maxText = 256

// row is one flow at the moment of a snapshot, or at its end. It refers to no memory of the driver.
type row struct {
	id      flowscope.FlowID
	key     flowscope.FiveTupleKey
	turned  flowscope.Orientation
	l4      flowscope.L4Proto
	state   flowscope.FlowState
	reason  flowscope.EndReason // none while it lives
	history flowscope.History
	name    string              // what a session called the server: clean
	now     flowscope.Timestamp // of the snapshot
	rate    [2]float64          // bytes a second, by side
	stats   flowscope.FlowStats
}

func (r *row) ended() bool { return r.reason != 0 }

func (r *row) side(s flowscope.FlowSide) string {
	from, to := r.key.Ends(r.turned)
	if s == flowscope.Responder {
		from = to
	}
	return endpoint(from)
}

// age is how long the flow has been there, or was.
func (r *row) age() time.Duration {
	if r.ended() {
		return r.stats.End().Sub(r.stats.Start())
	}
	return max(r.now.Sub(r.stats.Start()), 0)
}

// condition is the state of a live flow, or why it ended, in the words of examples/flows.
func (r *row) condition() string {
	switch r.reason {
	case 0:
		return r.state.String()
	case flowscope.EndFIN:
		return "closed"
	case flowscope.EndRST:
		return "reset"
	case flowscope.EndFinished:
		return "open" // when the watch ended
	}
	return r.reason.String()
}

// text is what the filter searches.
func (r *row) text() string {
	return strings.ToLower(strings.Join([]string{
		r.l4.String(), r.side(flowscope.Initiator), r.side(flowscope.Responder), r.name, r.condition(), r.stats.TunnelString(),
	}, " "))
}

// session is a message in a form to show. All texts are clean.
type session struct {
	number         uint64 // counts all of them
	at             flowscope.Timestamp
	flow           flowscope.FlowID
	kind           string // "http", "tls" or "dns"
	client, server string
	request        string
	result         string
	latency        time.Duration
	answered       bool // there is a latency
	bad            bool // a failure, or no answer
}

func (s *session) text() string {
	return strings.ToLower(strings.Join([]string{s.kind, s.client, s.server, s.request, s.result}, " "))
}
