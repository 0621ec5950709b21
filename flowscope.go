// Package flowscope turns packets into flows, TCP byte streams and messages: which flows there are,
// when and why each began and ended, the bytes that each side of a connection sent, and the messages
// of application protocols in them.
//
// Five words are enough to begin with:
//
//	view     one captured packet: a frame, its time and its link type (PacketView)
//	key      which flow a packet belongs to, made by an extractor: FiveTuple is addresses and ports
//	flow     the packets of one key that belong together, from Started to Ended
//	side     who speaks: the Initiator or the Responder
//	event    what a packet brought about: a flow began, bytes arrived, a message is complete
//
//	view -> extractor -> key -> tracker ............> events of flows
//	                               |
//	                            driver: streams ....> Data, Gap
//	                               |
//	                            parsers ............> Message: HTTP, TLS, DNS, yours
//
// A FlowTracker takes packets in the order of capture and returns events. A FlowDriver does the
// same and also reassembles the streams of TCP connections. Neither waits, starts a goroutine,
// reads a clock or writes a log, and all the memory they hold is bounded. Bad packets are not
// errors: they are refused for a named reason and counted.
//
//	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
//	if err != nil {
//		return err
//	}
//	for ev, err := range tracker.Events(flowscope.OpenCapture("traffic.pcap")) {
//		if err != nil {
//			return err
//		}
//		if ev.Kind == flowscope.EventEnded {
//			fmt.Println(ev.Key, ev.Reason, ev.History)
//		}
//	}
//
// For a capture that is read once, Conversations gives each TCP connection with the bytes of both sides, and
// package flowtest does so in tests. On live traffic call Track for each packet, Sweep where none come, and
// Finish at the end.
//
// A FlowExtractor finds the flow that a packet belongs to: FiveTuple, IPPair, MACPair, or one of the
// caller's own with a key of its own.
//
// A FlowDriver gives the streams as EventData and EventGap. A Reassembler of the caller's may take
// the place of its built-in streams.
//
// With NewFlowSessionDriver, or UseParsers, a driver also reads sessions: parsers of application
// protocols, those of protocol/http1, protocol/tls and protocol/dns or the caller's own, give their
// messages as EventMessage. A parser is chosen by the first bytes of each side, with the ports as a
// hint; see SessionParser and ParserFactory.
//
// # Time
//
// Time is packet time. A packet's own timestamp is the time of its events and of its flow's First and
// Last, and says whether that flow had been silent for too long. Everything else, such as the end of
// other flows, goes by a clock, which follows the timestamps of the packets given to Track, and Sweep
// where no packets come, and which no single wrong timestamp moves; see Config.ClockJump.
//
// # Bounded calls
//
// However much time passes, one call does a bounded part of what follows from it: Track ends at most 64
// other flows and tells about a thousand events of them, Sweep and a portion of FinishParts 4,096. The
// rest follows with the next calls; More says whether there is a rest. Finish alone returns everything.
//
// # Borrowing
//
// A frame is lent to the tracker or driver, and events lend parts of it, and of the tracker's own
// memory, to the caller: until the next call. FlowEvent.Clone makes a copy to keep. Test with -tags
// invariants, which overwrites lent bytes when their time is over.
//
// # Text
//
// Keys and named values have a text, the same for String, AppendText and MarshalText, which
// UnmarshalText reads: so they can be flags, parts of configuration files, and keys of JSON
// objects. A value without a name is its type and number, as in "FlowState(200)"; a zero value that
// stands for nothing is "none". The text of a Timestamp is that of RFC 3339, its String is in
// seconds. A FlowID is a number. The comment of a type lists its constants and their texts; go doc of
// one constant, such as flowscope.EndFIN, shows all constants of the type with their meanings.
//
// # Concurrency
//
// A tracker belongs to one goroutine. To use several cores, give each a tracker and let a Sharder
// distribute the packets.
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

// Never is a timeout that never expires.
const Never = time.Duration(math.MaxInt64)

// Config holds the limits and timeouts of a tracker or driver. The zero value works: each 0 stands
// for the default. Negative values are errors.
type Config struct {
	// MaxFlows is the number of flows that are kept, lingering ones included. A new flow beyond it
	// evicts another: first those that have ended and linger, then those in which only one side has
	// sent packets, then those in which both sides have sent a FIN, then the rest; among equals the
	// one that has been in its class for longest. A flow joins the end of its class when the class
	// changes, and when its timeout expires while there were packets in the meantime. Memory to
	// find MaxFlows flows is allocated at the start, 16 to 32 bytes each. TCP connections of
	// which something is in doubt may be a quarter of MaxFlows, or 1,024 if that is more. At most
	// 268,435,456.
	// Default 100,000.
	MaxFlows int

	// OpeningTimeout ends a TCP connection that is idle during its handshake. Default 75 s.
	OpeningTimeout time.Duration
	// EstablishedTimeout ends an idle TCP connection, also a half-closed one. Default 300 s.
	EstablishedTimeout time.Duration
	// ClosingTimeout ends a TCP connection in which both sides have sent a FIN and one is not
	// acknowledged. Default 10 s.
	ClosingTimeout time.Duration
	// ResetTimeout ends a TCP connection in which a reset was seen that its receiver may have accepted,
	// or may have refused: with EndRST, if neither side sends anything for so long. A reset that is certain
	// ends the connection at once. Default 1 s; Never waits for the connection's other timeouts.
	ResetTimeout time.Duration
	// UDPTimeout ends an idle UDP flow. Default 60 s.
	UDPTimeout time.Duration
	// ICMPTimeout ends an idle ICMP or ICMPv6 flow. Default 30 s.
	ICMPTimeout time.Duration
	// OtherTimeout ends any other idle flow. Default 30 s.
	OtherTimeout time.Duration
	// LingerTimeout is how long a connection lingers after EndFIN, EndRST, EndForceClosed and
	// EndBufferOverflow, so that its late packets do not look like a new flow. Default 60 s.
	LingerTimeout time.Duration

	// ClockJump is the longest step ahead that the clock believes at once. A longer one is believed
	// when the next packet is there or later, less a second; if it is not, the timestamp was wrong, and
	// TrackerStats.ClockSuspects counts it. A step back of more than a second is believed when eight
	// packets in a row agree on it. (The second is ClockJump, if that is shorter.) Sweep and Finish
	// confirm what waits.
	//
	// The clock says when flows, holes and datagrams time out. Whether a packet's own flow had been
	// silent for too long, its own timestamp says, believed or not: so two packets of a UDP flow that
	// lie an hour apart are two flows, and one wrong timestamp ends at most its own flow of UDP. A TCP
	// segment whose numbers fit its connection belongs to it until the clock has come to the
	// segment's timestamp.
	//
	// Never believes every step ahead at once, so that one wrong timestamp may end all flows. Default 1 s.
	ClockJump time.Duration

	// SideBytes bounds the memory of early bytes, those behind a hole, that a FlowDriver holds of
	// one side of a connection: payload and overhead. Beyond it Overflow applies. A side holds no
	// more than the window of its receiver allows; this is the window of a fast connection over a
	// long path. Default 8 MiB.
	SideBytes int
	// SidePieces bounds the number of pieces that the same bytes are in; segments that touch are one
	// piece. Beyond it Overflow applies. Default 1,024.
	SidePieces int
	// TotalBytes bounds the memory of early and kept bytes over all built-in streams of a driver.
	// When less is left than one segment may need, the side that holds most, to within a factor of
	// two, gives up its first hole, with GapBudget, before the packet's own events; at most 64 holes
	// in one call. What is set aside for that, and for bytes that move, is about a sixth. A segment
	// for which there is no room all the same makes its own side give up a hole. On top of it, TCP
	// segments that wait for an acknowledgement (TrackerStats.SegmentsHeld) hold an eighth of it for
	// their payload, and as much for the list of them, or 1,024 segments if that is more. At most 256
	// of a connection wait, with 256 KiB of payload a side. Default 64 MiB.
	TotalBytes int64
	// Overlap decides which copy of a byte is delivered where bytes that are held are sent again.
	// Default OverlapFirst.
	Overlap OverlapPolicy
	// Overflow decides what a built-in stream does at SideBytes or SidePieces: under
	// OverflowSlidingWindow it gives up its first hole, under OverflowDropFlow the flow ends. Default
	// OverflowSlidingWindow.
	Overflow OverflowPolicy
	// KeepDelivered is the number of delivered bytes of each side that are kept to detect
	// retransmissions that differ from them. It costs that much memory a side, out of TotalBytes
	// and for as long as the connection lives, and a copy of every byte; when TotalBytes is used
	// up, further sides go without. Default 0: none.
	KeepDelivered int

	// HoleAckedTimeout is how long a hole stays open whose bytes the receiver has acknowledged, so
	// that they were sent and not captured. The first such ACK may be forged: it counts with the
	// second one. Default 10 ms.
	HoleAckedTimeout time.Duration
	// HoleTimeout is how long any other hole stays open. One before which the receiver's ACK stands
	// has no timeout: the receiver has nothing behind it, so the bytes will come. HoleTimeout is also
	// how long a segment that no receiver need take waits for its acknowledgement, and how long a
	// side may leave such segments without an answer until it counts as not captured. Default 30 s.
	HoleTimeout time.Duration
	// HoleOneSidedTimeout is how long a hole stays open if only one side of the connection is seen,
	// so that no acknowledgement can come. It is also how long the first segment of a midstream
	// connection waits for one that confirms its numbers. Default 4 s.
	HoleOneSidedTimeout time.Duration

	// Fragments decides whether fragments of IP datagrams are reassembled. Default
	// FragmentsReassemble.
	Fragments FragmentPolicy
	// FragmentDatagrams bounds the number of datagrams that wait for fragments, or are remembered: as
	// dropped, or, at most a quarter of them, as reassembled. A new one evicts the oldest that was
	// reassembled, or else the oldest of all. Default 4,096.
	FragmentDatagrams int
	// FragmentBytes bounds the memory of waiting fragments and of reassembled datagrams that are
	// remembered, which take a quarter of it at most; when it is used up, the oldest that was
	// reassembled is evicted, or else the oldest that waits. It should not be much below 256 KiB. Up
	// to two buffers of 64 KiB for the current datagram come on top. Default 4 MiB.
	FragmentBytes int64
	// FragmentTimeout is how long a datagram waits for fragments, from the first that arrived.
	// Default 30 s.
	FragmentTimeout time.Duration

	// Checksums decides whether checksums are verified. Default ChecksumIgnore.
	Checksums ChecksumMode

	// SessionBytes bounds the memory of the parsers of a driver: their own, what they hold, and the
	// first bytes of flows whose protocol is not known yet. When it is used up, the parser that holds
	// most is evicted, and among equals one that was not used for long. What is not read for want of
	// room has AnomalySessionLimit, and counts in SessionStats.Refused and Evicted; no message tells of
	// it. Default 64 MiB.
	SessionBytes int64

	// MaxAnomalies bounds the number of EventAnomaly in one call; more are suppressed and counted.
	// Default 8.
	MaxAnomalies int

	// ReportEvery is how often a flow that lives on has an EventReport, with what was counted since its
	// first packet: from then on whenever so much time has passed, with the first packet or Sweep
	// behind that moment, once if several such moments have passed, and not if the flow turns out to have
	// timed out. The report has the counters of all packets up to the moment, which is its Timestamp. Flows
	// and streams are not touched by it; only,
	// since it is looked at more often which flows were used, eviction is more exact. It costs 16 bytes
	// a flow, and some nanoseconds a packet. Default 0: there are no reports.
	ReportEvery time.Duration

	// Details is the set of facts that are kept of flows beside the usual ones, as in
	// DetailIPBytes | DetailTCP. Each takes memory, 16 to 64 bytes a flow, and a few nanoseconds a packet.
	// Default 0: none.
	Details Details

	// Events is the set of kinds of events to emit; no time is spent on others. NoEvents is the empty
	// set. Default DefaultEvents.
	Events EventMask
}

// withDefaults fills in the defaults, or says what is wrong.
func (c Config) withDefaults() (Config, error) {
	var wrong []error
	say := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	for _, n := range []struct {
		name     string
		value    *int
		std, max int
	}{
		{"MaxFlows", &c.MaxFlows, 100_000, flowtable.MaxCapacity},
		{"SideBytes", &c.SideBytes, 8 << 20, 256 << 20},
		{"SidePieces", &c.SidePieces, 1024, 1 << 20},
		{"KeepDelivered", &c.KeepDelivered, 0, 1 << 20},
		{"MaxAnomalies", &c.MaxAnomalies, 8, 1 << 20},
		{"FragmentDatagrams", &c.FragmentDatagrams, 4096, 1 << 20},
	} {
		if *n.value < 0 || *n.value > n.max {
			say("%s %d is not between 0 and %d", n.name, *n.value, n.max)
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
		{"ResetTimeout", &c.ResetTimeout, time.Second},
		{"UDPTimeout", &c.UDPTimeout, 60 * time.Second},
		{"ICMPTimeout", &c.ICMPTimeout, 30 * time.Second},
		{"OtherTimeout", &c.OtherTimeout, 30 * time.Second},
		{"LingerTimeout", &c.LingerTimeout, 60 * time.Second},
		{"ClockJump", &c.ClockJump, time.Second},
		{"HoleAckedTimeout", &c.HoleAckedTimeout, 10 * time.Millisecond},
		{"HoleTimeout", &c.HoleTimeout, 30 * time.Second},
		{"HoleOneSidedTimeout", &c.HoleOneSidedTimeout, 4 * time.Second},
		{"FragmentTimeout", &c.FragmentTimeout, 30 * time.Second},
		{"ReportEvery", &c.ReportEvery, 0},
	} {
		if *d.value < 0 {
			say("%s %v is negative", d.name, *d.value)
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
			say("%s %d is negative", n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.std
		}
	}
	for _, choice := range []struct {
		name  string
		value fmt.Stringer
		known bool
	}{
		{"Overlap", c.Overlap, overlapPolicies.name(uint16(c.Overlap)) != ""},
		{"Overflow", c.Overflow, overflowPolicies.name(uint16(c.Overflow)) != ""},
		{"Fragments", c.Fragments, fragmentPolicies.name(uint16(c.Fragments)) != ""},
		{"Checksums", c.Checksums, checksumModes.name(uint16(c.Checksums)) != ""},
	} {
		if !choice.known {
			say("unknown %s %v", choice.name, choice.value)
		}
	}
	if c.Details&^AllDetails != 0 {
		say("Details has unknown elements")
	}
	if c.Events&^AllEvents != 0 {
		say("Events has unknown kinds")
	}
	if c.Events == 0 {
		c.Events = DefaultEvents
	}
	return c, errors.Join(wrong...)
}

// check is withDefaults, and looks at the extractor too.
func check[K comparable](ex FlowExtractor[K], cfg Config) (Config, error) {
	cfg, err := cfg.withDefaults()
	if isHollow(ex) {
		err = errors.Join(err, fmt.Errorf("%w: no extractor, or a nil pointer", ErrConfig))
	}
	return cfg, err
}

// NewFlowTracker makes a tracker. The error is about ex or cfg, tells all that is wrong with them, and
// wraps ErrConfig. K is inferred
// from the extractor.
func NewFlowTracker[K comparable](ex FlowExtractor[K], cfg Config) (*FlowTracker[K, struct{}], error) {
	return NewFlowTrackerWithState[K, struct{}](ex, cfg, nil)
}

// NewFlowTrackerWithState makes a tracker that keeps a value of the caller's with each flow, which
// FlowTracker.State gives back for an event. init makes the value, before the first event of the
// flow, and must not call the tracker; without init it is the zero value. Then nothing tells S, so write
// NewFlowTrackerWithState[FiveTupleKey, counters](ex, cfg, nil).
func NewFlowTrackerWithState[K comparable, S any](ex FlowExtractor[K], cfg Config, init func(K) S) (*FlowTracker[K, S], error) {
	cfg, err := check(ex, cfg)
	if err != nil {
		return nil, err
	}
	return newFlowTracker(ex, cfg, init), nil
}

// NewFlowDriver makes a driver: a tracker that also reassembles the streams of TCP connections.
// factory makes a Reassembler for each side; nil is for the built-in streams, which are faster. The
// error is about ex, factory or cfg, tells all that is wrong with them, and wraps ErrConfig.
func NewFlowDriver[K comparable](ex FlowExtractor[K], factory ReassemblerFactory[K], cfg Config) (*FlowDriver[K, struct{}], error) {
	return NewFlowDriverWithState[K, struct{}](ex, factory, cfg, nil)
}

// NewFlowDriverWithState makes a driver that keeps a value of the caller's with
// each flow, as NewFlowTrackerWithState does.
func NewFlowDriverWithState[K comparable, S any](ex FlowExtractor[K], factory ReassemblerFactory[K], cfg Config, init func(K) S) (*FlowDriver[K, S], error) {
	cfg, err := check(ex, cfg)
	if factory != nil && isNil(factory) {
		err = errors.Join(err, fmt.Errorf("%w: the factory, a %T, is nil", ErrConfig, factory))
	}
	if err != nil {
		return nil, err
	}
	return newFlowDriver(ex, factory, cfg, init), nil
}
