package testkit

import (
	"testing"

	"github.com/flowscope-go/flowscope"
)

// Fact is an event by value, so that two events can be compared with ==.
type Fact[K comparable] struct {
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

// FactOf is an event of a call by value.
func FactOf[K comparable](call int, ev *flowscope.FlowEvent[K]) Fact[K] {
	f := Fact[K]{
		Call: call, Kind: ev.Kind, Side: ev.Side, Orientation: ev.Orientation, L4: ev.L4, State: ev.State, From: ev.From,
		Reason: ev.Reason, Flow: ev.Flow, Packet: ev.Packet, Timestamp: ev.Timestamp, Key: ev.Key, Bytes: string(ev.Bytes),
		Len: ev.Len, History: ev.History,
	}
	if ev.Stats != nil {
		f.Stats = *ev.Stats
	}
	return f
}

// SameEvents fails unless both lists are equal in every field.
func SameEvents[K comparable](t *testing.T, where string, a, b []flowscope.FlowEvent[K]) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s: %d events, %d events", where, len(a), len(b))
	}
	for k := range a {
		if fa, fb := FactOf(0, &a[k]), FactOf(0, &b[k]); fa != fb {
			t.Fatalf("%s, event %d:\n%+v\n%+v", where, k, fa, fb)
		}
	}
}
