// Package flowscope turns packets into conversations: which flows there are,
// when each began and ended and why, and what each side said.
//
// A FlowTracker is shown packets in the order of capture and returns what
// happened as a slice of events. It never waits, starts no goroutine, reads no
// clock, writes no log and bounds everything it holds. Bad packets are no
// errors: they are refused by name and counted.
//
//	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
//	if err != nil {
//		return err
//	}
//	for view, err := range flowscope.OpenCapture("traffic.pcap") {
//		if err != nil {
//			return err
//		}
//		for _, ev := range tracker.Track(view) {
//			if ev.Kind == flowscope.EventEnded {
//				fmt.Println(ev.Key, ev.Reason, ev.History)
//			}
//		}
//	}
//	for _, ev := range tracker.Finish() {
//		...
//	}
//
// Which flow a packet belongs to is the business of a FlowExtractor: FiveTuple,
// IPPair, MACPair, or one of the caller's own with a key of its own.
//
// # Time
//
// Time is packet time. It moves with the stamps of the packets given to Track,
// and with Sweep where no packets come. It never runs backwards, and a stamp
// that leaps ahead further than Config.ClockJump is believed when the next one
// confirms it.
//
// # Borrowing
//
// A frame is lent to the tracker, and events lend parts of it, and of the
// tracker's own memory, to the caller: until the next call. What is to stay must
// be copied; FlowEvent.Clone does. Test with -tags invariants to have lent bytes
// trampled when their time is over.
//
// # Concurrency
//
// A tracker belongs to one goroutine. Many cores take one tracker each and
// split the packets by FiveTupleKey.Hash.
package flowscope

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/flowscope-go/flowscope/internal/flowtable"
)

// ErrConfig is wrapped by every error of a constructor; test with errors.Is.
var ErrConfig = errors.New("flowscope: wrong config")

// Never is a time-out that never comes.
const Never = time.Duration(math.MaxInt64)

// Config sets limits and times. The zero value works: each 0 stands for the
// default. Negative values are errors.
type Config struct {
	// MaxFlows is how many flows are kept, lingering ones included. When there
	// is no room for a new one another has to leave: first those that have
	// ended and linger, then those that only one side has spoken in, then those
	// in which both sides have said FIN, then the rest; among equals the one
	// filed first. A flow is filed anew when it changes in this respect, and
	// when its time-out comes up and it turns out to be busy. Memory for
	// finding MaxFlows flows is set aside at the start, 16 to 32 bytes each.
	// Default 100,000, at most 268,435,456.
	MaxFlows int

	// OpeningTimeout ends a TCP connection that is silent during its
	// handshake. Default 75 s.
	OpeningTimeout time.Duration
	// EstablishedTimeout ends a silent TCP connection, also a half-closed one.
	// Default 300 s.
	EstablishedTimeout time.Duration
	// ClosingTimeout ends a TCP connection in which both sides have said FIN
	// but the last ACK does not come. Default 10 s.
	ClosingTimeout time.Duration
	// UDPTimeout ends a silent UDP flow. Default 60 s.
	UDPTimeout time.Duration
	// ICMPTimeout ends a silent ICMP or ICMPv6 flow. Default 30 s.
	ICMPTimeout time.Duration
	// OtherTimeout ends any other silent flow. Default 30 s.
	OtherTimeout time.Duration
	// LingerTimeout is how long a connection that was closed, reset or closed
	// from outside is remembered, so that its late packets do not look like a
	// new flow. Default 60 s.
	LingerTimeout time.Duration

	// ClockJump is the longest leap ahead of packet time that is believed at
	// once; a longer one must be confirmed by the next packet. Default 1 h;
	// Never believes every stamp.
	ClockJump time.Duration

	// Events chooses which kinds of events are produced; what is not wanted is
	// never built. Default DefaultEvents; NoEvents for none.
	Events EventMask
}

// withDefaults fills in the defaults, or says what is wrong.
func (c Config) withDefaults() (Config, error) {
	switch {
	case c.MaxFlows < 0:
		return c, fmt.Errorf("%w: MaxFlows %d is negative", ErrConfig, c.MaxFlows)
	case c.MaxFlows > flowtable.MaxCapacity:
		return c, fmt.Errorf("%w: MaxFlows %d is more than %d", ErrConfig, c.MaxFlows, flowtable.MaxCapacity)
	case c.MaxFlows == 0:
		c.MaxFlows = 100_000
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		std   time.Duration
	}{
		{"OpeningTimeout", &c.OpeningTimeout, 75 * time.Second},
		{"EstablishedTimeout", &c.EstablishedTimeout, 300 * time.Second},
		{"ClosingTimeout", &c.ClosingTimeout, 10 * time.Second},
		{"UDPTimeout", &c.UDPTimeout, 60 * time.Second},
		{"ICMPTimeout", &c.ICMPTimeout, 30 * time.Second},
		{"OtherTimeout", &c.OtherTimeout, 30 * time.Second},
		{"LingerTimeout", &c.LingerTimeout, 60 * time.Second},
		{"ClockJump", &c.ClockJump, time.Hour},
	} {
		if *d.value < 0 {
			return c, fmt.Errorf("%w: %s %v is negative", ErrConfig, d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.std
		}
	}
	if c.Events&^AllEvents != 0 {
		return c, fmt.Errorf("%w: Events has unknown kinds", ErrConfig)
	}
	if c.Events == 0 {
		c.Events = DefaultEvents
	}
	return c, nil
}

// NewFlowTracker makes a tracker. The error is about cfg, and wraps ErrConfig;
// packets never cause one. K is inferred from the extractor.
func NewFlowTracker[K comparable](ex FlowExtractor[K], cfg Config) (*FlowTracker[K, struct{}], error) {
	return NewFlowTrackerWithState(ex, cfg, func(K) struct{} { return struct{}{} })
}

// NewFlowTrackerWithState makes a tracker that keeps a value of the caller's
// with each flow. init makes it, before the first event of the flow; nil leaves
// the zero value. FlowTracker.State gives it back for an event.
func NewFlowTrackerWithState[K comparable, S any](ex FlowExtractor[K], cfg Config, init func(K) S) (*FlowTracker[K, S], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if ex == nil {
		return nil, fmt.Errorf("%w: no extractor", ErrConfig)
	}
	return newFlowTracker(ex, cfg, init), nil
}
