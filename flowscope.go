// Package flowscope turns packets into conversations: which flows there are,
// when each began and ended and why, and what each side said.
//
// A FlowTracker is shown packets in the order of capture and returns what
// happened as a slice of events. A FlowDriver does the same and also puts the
// bytes of TCP connections in order. Neither waits, starts a goroutine, reads a
// clock or writes a log, and everything they hold is bounded. Bad packets are no
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
// What the two sides of a connection said comes from a FlowDriver as EventData
// and EventGap. A Reassembler of the caller's may take the place of its built-in
// streams.
//
// # Time
//
// Time is packet time. It moves with the stamps of the packets given to Track,
// and with Sweep where no packets come. It does not run backwards, and a stamp
// that leaps ahead further than Config.ClockJump is believed when the next one
// confirms it. Only at the very beginning, while no two stamps agree, may it be
// set back.
//
// # Borrowing
//
// A frame is lent to the tracker or driver, and events lend parts of it, and of
// the tracker's own memory, to the caller: until the next call. What is to stay must
// be copied; FlowEvent.Clone does. Test with -tags invariants to have lent bytes
// trampled when their time is over.
//
// # Concurrency
//
// A tracker belongs to one goroutine. Many cores take one tracker each, and a
// Sharder splits the packets.
package flowscope

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/stream"
)

// ErrConfig is wrapped by every error of a constructor; test with errors.Is.
var ErrConfig = errors.New("flowscope: wrong config")

// byName is the way back from nameOf, for a choice of Config, which stays as it is if
// nothing is called so.
func byName[T ~uint8](choice *T, names []string, text []byte, what string) error {
	i := slices.Index(names, string(text))
	if i < 0 {
		return fmt.Errorf("%w: unknown %s %q", ErrConfig, what, text)
	}
	*choice = T(i)
	return nil
}

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
	// LingerTimeout is how long a connection that was closed, reset, closed from
	// outside or ended by an overflow is remembered, so that its late packets do not look like a
	// new flow. Default 60 s.
	LingerTimeout time.Duration

	// ClockJump is the longest leap ahead of packet time that is believed at
	// once; a longer one must be confirmed by the next packet. Default 1 h;
	// Never believes every stamp. Time that was believed does not go back: if it was
	// wrong after all, no flow ends by time until the stamps have caught up, and
	// ClockBackward counts on; Finish begins with a new clock.
	ClockJump time.Duration

	// SideBytes bounds what a FlowDriver holds of one side of a connection
	// because it came early: payload and what it takes to keep it. SidePieces
	// bounds the pieces. Beyond, Overflow applies. Default 1 MiB and 1,024: about
	// what a connection of today has in flight behind a lost segment.
	SideBytes  int
	SidePieces int
	// TotalBytes bounds the same over all built-in streams of a driver. A side
	// that needs more than is left gives up its own first hole. Default 64 MiB.
	TotalBytes int64
	// Overlap says who wins where bytes that are held are sent again. Default
	// OverlapFirst.
	Overlap OverlapPolicy
	// Overflow says what a built-in stream does when SideBytes or SidePieces
	// is reached: under OverflowSlidingWindow, the default, it gives up its
	// first hole; under OverflowDropFlow the flow ends.
	Overflow OverflowPolicy
	// KeepDelivered is how many delivered bytes of each side are kept to notice
	// retransmissions that differ from them. Default none. It costs that much
	// memory a side, out of TotalBytes and for as long as the connection lives,
	// and a copy of every byte; when TotalBytes is used up, further sides go
	// without.
	KeepDelivered int

	// HoleAckedTimeout is how long bytes are waited for that the receiver has
	// confirmed, so that they were sent but not captured. Default 10 ms.
	HoleAckedTimeout time.Duration
	// HoleTimeout is how long other missing bytes are waited for. Default 30 s.
	HoleTimeout time.Duration
	// HoleOneSidedTimeout is the same where only one side of the connection is
	// seen, so that no confirmation can come. Default 4 s.
	HoleOneSidedTimeout time.Duration

	// Fragments says what is done with the fragments of IP datagrams. Default
	// FragmentsReassemble.
	Fragments FragmentPolicy
	// FragmentDatagrams bounds how many datagrams wait for fragments, or are
	// remembered as dropped; the oldest leaves for a new one. Default 4,096.
	FragmentDatagrams int
	// FragmentBytes bounds the memory of what waits; the oldest datagram leaves
	// when it is used up. It should not be much below 256 KiB. Default 4 MiB. Beside it
	// up to two datagrams, of 64 KiB each, are kept for the one at hand.
	FragmentBytes int64
	// FragmentTimeout is how long a datagram is waited for, from its first
	// fragment to arrive. Default 30 s.
	FragmentTimeout time.Duration

	// Checksums says whether checksums are verified. Default ChecksumIgnore.
	Checksums ChecksumMode

	// SessionBytes bounds what the parsers of a driver take, together: themselves, what they hold,
	// and first bytes of flows whose protocol is not known yet. When it is used up, parsers that
	// hold much or were not called for long lose their flows. Default 64 MiB.
	SessionBytes int64

	// MaxAnomalies bounds EventAnomaly in one call; what is beyond is counted.
	// Default 8.
	MaxAnomalies int

	// Events chooses which kinds of events are produced; what is not wanted is
	// never built. Default DefaultEvents; NoEvents for none.
	Events EventMask
}

// withDefaults fills in the defaults, or says what is wrong.
func (c Config) withDefaults() (Config, error) {
	for _, n := range []struct {
		name     string
		value    *int
		std, max int
	}{
		{"MaxFlows", &c.MaxFlows, 100_000, flowtable.MaxCapacity},
		{"SideBytes", &c.SideBytes, 1 << 20, 256 << 20},
		{"SidePieces", &c.SidePieces, 1024, 1 << 20},
		{"KeepDelivered", &c.KeepDelivered, 0, 1 << 20},
		{"MaxAnomalies", &c.MaxAnomalies, 8, 1 << 20},
		{"FragmentDatagrams", &c.FragmentDatagrams, 4096, 1 << 20},
	} {
		if *n.value < 0 || *n.value > n.max {
			return c, fmt.Errorf("%w: %s %d is not between 0 and %d", ErrConfig, n.name, *n.value, n.max)
		}
		if *n.value == 0 {
			*n.value = n.std
		}
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
		{"HoleAckedTimeout", &c.HoleAckedTimeout, 10 * time.Millisecond},
		{"HoleTimeout", &c.HoleTimeout, 30 * time.Second},
		{"HoleOneSidedTimeout", &c.HoleOneSidedTimeout, 4 * time.Second},
		{"FragmentTimeout", &c.FragmentTimeout, 30 * time.Second},
	} {
		if *d.value < 0 {
			return c, fmt.Errorf("%w: %s %v is negative", ErrConfig, d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.std
		}
	}
	for _, n := range []struct {
		name  string
		value *int64
		std   int64
	}{
		{"TotalBytes", &c.TotalBytes, 64 << 20},
		{"FragmentBytes", &c.FragmentBytes, 4 << 20},
		{"SessionBytes", &c.SessionBytes, 64 << 20},
	} {
		if *n.value < 0 {
			return c, fmt.Errorf("%w: %s %d is negative", ErrConfig, n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.std
		}
	}
	switch {
	case int(c.Overlap) >= len(overlapPolicies):
		return c, fmt.Errorf("%w: unknown Overlap %d", ErrConfig, c.Overlap)
	case int(c.Overflow) >= len(overflowPolicies):
		return c, fmt.Errorf("%w: unknown Overflow %d", ErrConfig, c.Overflow)
	case int(c.Fragments) >= len(fragmentPolicies):
		return c, fmt.Errorf("%w: unknown Fragments %d", ErrConfig, c.Fragments)
	case int(c.Checksums) >= len(checksumModes):
		return c, fmt.Errorf("%w: unknown Checksums %d", ErrConfig, c.Checksums)
	case c.Events&^AllEvents != 0:
		return c, fmt.Errorf("%w: Events has unknown kinds", ErrConfig)
	case c.Events == 0:
		c.Events = DefaultEvents
	}
	return c, nil
}

func (c *Config) limits() stream.Limits {
	return stream.Limits{
		SideBytes: c.SideBytes, SidePieces: c.SidePieces, TotalBytes: c.TotalBytes,
		Policy: stream.Policy(c.Overlap), Keep: c.KeepDelivered,
	}
}

// NewFlowTracker makes a tracker. The error is about cfg, and wraps ErrConfig;
// packets never cause one. K is inferred from the extractor.
func NewFlowTracker[K comparable](ex FlowExtractor[K], cfg Config) (*FlowTracker[K, struct{}], error) {
	return NewFlowTrackerWithState[K, struct{}](ex, cfg, nil)
}

// NewFlowTrackerWithState makes a tracker that keeps a value of the caller's
// with each flow. init makes it, before the first event of the flow, and must not
// call the tracker; nil leaves the zero value. FlowTracker.State gives it back for an event.
func NewFlowTrackerWithState[K comparable, S any](ex FlowExtractor[K], cfg Config, init func(K) S) (*FlowTracker[K, S], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if isHollow(ex) {
		return nil, fmt.Errorf("%w: no extractor", ErrConfig)
	}
	return newFlowTracker(ex, cfg, init), nil
}

// NewFlowDriver makes a driver: a tracker that also puts the bytes of TCP
// connections in order. factory makes a Reassembler for each side; nil takes the
// built-in streams, the default and the fast way. The error is about cfg, and
// wraps ErrConfig.
func NewFlowDriver[K comparable](ex FlowExtractor[K], factory ReassemblerFactory[K], cfg Config) (*FlowDriver[K, struct{}], error) {
	return NewFlowDriverWithState[K, struct{}](ex, factory, cfg, nil)
}

// NewFlowDriverWithState makes a driver that keeps a value of the caller's with
// each flow, as NewFlowTrackerWithState does.
func NewFlowDriverWithState[K comparable, S any](ex FlowExtractor[K], factory ReassemblerFactory[K], cfg Config, init func(K) S) (*FlowDriver[K, S], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if isHollow(ex) {
		return nil, fmt.Errorf("%w: no extractor", ErrConfig)
	}
	return newFlowDriver(ex, factory, cfg, init), nil
}
