package testkit

import (
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// Batcher is what a tracker and a driver have in common here.
type Batcher interface {
	Track(flowscope.PacketView) []Event
	TrackBatch([]flowscope.PacketView) iter.Seq2[int, []Event]
	Finish() []Event
}

// Tracker is a tracker of FiveTuple without user state.
type Tracker = flowscope.FlowTracker[flowscope.FiveTupleKey, struct{}]

// NewTracker makes a Tracker.
func NewTracker(tb testing.TB, cfg flowscope.Config) *Tracker {
	tb.Helper()
	t, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)
	require.NoError(tb, err)
	return t
}

// Seconds is a timestamp that many seconds after 1970.
func Seconds(s float64) flowscope.Timestamp { return flowscope.Timestamp(s * 1e9) }

// Track shows a frame to a tracker, at a time in seconds.
func Track(t *Tracker, frame []byte, at float64) []flowscope.FlowEvent[flowscope.FiveTupleKey] {
	return t.Track(flowscope.PacketView{Frame: frame, Timestamp: Seconds(at)})
}

// Kinds are the kinds of some events in their order.
func Kinds[K comparable](events []flowscope.FlowEvent[K]) (k []flowscope.EventKind) {
	for _, ev := range events {
		k = append(k, ev.Kind)
	}
	return k
}

// Count is how many of the events are of a kind.
func Count[K comparable](events []flowscope.FlowEvent[K], kind flowscope.EventKind) (n int) {
	for _, ev := range events {
		if ev.Kind == kind {
			n++
		}
	}
	return n
}

// KeyBetween is the key of datagrams between two ends.
func KeyBetween(tb testing.TB, from, to string) flowscope.FiveTupleKey {
	tb.Helper()
	return Extract(tb, flowscope.FiveTuple{}, UDP(from, to)).Key
}

// Extract is what an extractor makes of a frame that it must take.
func Extract[K comparable](tb testing.TB, ex flowscope.FlowExtractor[K], frame []byte) flowscope.Extracted[K] {
	tb.Helper()
	var x flowscope.Extracted[K]
	require.True(tb, ex.Extract(flowscope.PacketView{Frame: frame}, &x))
	return x
}

// Refuse is why an extractor refuses a frame that it must refuse.
func Refuse[K comparable](tb testing.TB, ex flowscope.FlowExtractor[K], frame []byte) flowscope.Refusal {
	tb.Helper()
	var x flowscope.Extracted[K]
	require.False(tb, ex.Extract(flowscope.PacketView{Frame: frame}, &x))
	return x.Refused
}
