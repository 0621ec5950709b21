package testkit

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

// Within fails if f does not come back, so that an endless loop does not take the other tests with it.
func Within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("does not come back")
	}
}

// Short names for what is made by FiveTuple.
type (
	Key       = flowscope.FiveTupleKey
	Extractor = flowscope.FlowExtractor[Key]
	Event     = flowscope.FlowEvent[Key]
	Driver    = flowscope.FlowDriver[Key, struct{}]
)

// TupleKey is the key of the segments of a connection; see Segment.
func TupleKey(tuple int) Key {
	var x flowscope.Extracted[Key]
	flowscope.FiveTuple{}.Extract(flowscope.PacketView{Frame: Segment{Tuple: tuple, Flags: "S"}.Frame()}, &x)
	return x.Key
}

// NewDriver makes a driver of FiveTuple, with all kinds of events unless cfg chooses some.
func NewDriver(tb testing.TB, f flowscope.ReassemblerFactory[Key], cfg flowscope.Config) *Driver {
	tb.Helper()
	if cfg.Events == 0 {
		cfg.Events = flowscope.AllEvents
	}
	d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, f, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// EventText is an event on one line, by value.
func EventText(ev *Event) string {
	arrow := ">"
	if ev.Side == flowscope.Responder {
		arrow = "<"
	}
	text := fmt.Sprintf("%d %s%v @%d #%d", ev.Flow, arrow, ev.Kind, ev.Timestamp, ev.Packet)
	switch ev.Kind {
	case flowscope.EventData:
		return text + fmt.Sprintf(" %d:%q", ev.Offset, ev.Bytes)
	case flowscope.EventGap:
		return text + fmt.Sprintf(" [%d,%d) %v", ev.Offset, ev.Offset+ev.Len, ev.Cause)
	case flowscope.EventSideClosed:
		return text + fmt.Sprintf(" %d %v", ev.Offset, ev.Reason)
	case flowscope.EventUrgent:
		return text + fmt.Sprintf(" %d", ev.Offset)
	case flowscope.EventAnomaly:
		return text + fmt.Sprintf(" %v %d+%d %v", ev.Anomaly, ev.Offset, ev.Len, ev.Policy)
	case flowscope.EventEnded, flowscope.EventReleased:
		return text + fmt.Sprintf(" %v %v %+v", ev.Reason, ev.History, *ev.Stats)
	case flowscope.EventStateChange:
		return text + fmt.Sprintf(" %v %v", ev.From, ev.State)
	}
	return text + fmt.Sprintf(" %v %v %q", ev.Orientation, ev.State, ev.Bytes)
}
