package flowscope

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
)

// TrackerStats are the counters of a tracker since it was made. FlowsCreated is always FlowsEnded +
// FlowsActive.
type TrackerStats struct {
	Packets           uint64              // packets given to Track
	PacketsUnmatched  uint64              // packets that belong to no flow
	Refused           [numRefusals]uint64 // PacketsUnmatched by Refusal
	PacketsLate       uint64              // packets of connections that had ended
	Bytes             [2]uint64           // bytes on the wire in flows, by FlowSide; those of late packets are not in it
	ICMPErrorsMatched uint64              // ICMP errors about a known flow
	Fragments         FragmentStats

	// ChecksumsBad counts packets with a wrong checksum, that of an IPv4 header included, whether
	// or not they were kept out of their flow for it. 0 under ChecksumIgnore.
	ChecksumsBad uint64
	// ChecksumsPartial counts packets whose checksum is left to a network card: none, or the part
	// over the addresses only. 0 under ChecksumIgnore.
	ChecksumsPartial uint64
	// ChecksumsUnknown counts packets whose checksum cannot be verified, as the frame does not hold
	// all of the packet. 0 under ChecksumIgnore.
	ChecksumsUnknown uint64

	FlowsCreated   uint64
	FlowsEnded     uint64
	Ended          [numEndReasons]uint64 // FlowsEnded by EndReason
	FlowsEvicted   uint64                // Ended[EndEvicted]
	FlowsActive    uint64                // live now
	FlowsLingering uint64                // ended, kept for their late packets

	ClockBackward uint64 // timestamps behind the clock
	ClockSuspects uint64 // timestamps further ahead than ClockJump that the next packet did not confirm
	ClockJumps    uint64 // steps of more than ClockJump that two timestamps agreed on

	// Anomalies counts anomalies by AnomalyKind, whether or not EventAnomaly is in Config.Events.
	Anomalies [numAnomalyKinds]uint64
	// AnomaliesSuppressed counts the anomalies beyond Config.MaxAnomalies in their call.
	AnomaliesSuppressed uint64

	// SegmentsHeld counts TCP segments that no receiver need take, or that are of other numbers than their
	// connection's: they wait for an acknowledgement that decides. SegmentsNotHeld counts those for which
	// there was no room, so that they are as if no receiver had taken them; PayloadNotHeld those of which
	// the payload had none.
	SegmentsHeld, SegmentsNotHeld, PayloadNotHeld uint64

	// NestedCalls counts calls of Track, TrackBatch, Sweep and Finish from inside another one: from a
	// Reassembler, its factory, or the loop over TrackBatch. They do nothing.
	NestedCalls uint64
}

// DriverStats are the counters of a FlowDriver: those of its tracker, and those of the streams over
// all sides of all connections.
type DriverStats struct {
	TrackerStats
	Streams StreamStats
	// Late counts segments that arrived after their bytes were given up.
	Late uint64
	// Duplicates counts segments without a new byte.
	Duplicates uint64
	// BudgetGaps counts how often there was no room: for early bytes, so that a hole was given up,
	// or for the payload of a SYN.
	BudgetGaps uint64
	// HeldBytes is the memory of early and kept bytes now, of the built-in streams, and of the payload of
	// segments that wait for an acknowledgement.
	HeldBytes int64
	// MemoryBytes is HeldBytes and the pooled buffers, which are an eighth of TotalBytes at most.
	// Finish frees the pooled buffers, and the call after it those that its events lent; small
	// tables stay.
	MemoryBytes int64
	// Sessions counts what the parsers do; see FlowDriver.UseParsers.
	Sessions SessionStats
}

// AnomalyKind is a violation of a protocol, or a sign of loss, overload or attack. 0 is none. The
// comment of each kind says what Offset and Len of its event are; where one call has several of a
// kind for one side of a flow there is one event, with the sum of their Len.
//
// The constants and their texts; go doc flowscope.AnomalyBufferOverflow says more of them:
//
//	AnomalyBufferOverflow            buffer_overflow         AnomalyDataOnRST                 data_on_rst
//	AnomalyOutOfOrderSegment         ooo_segment             AnomalyDataBeforeHandshake       data_before_handshake
//	AnomalyFlowTableEvictionPressure flow_table_eviction     AnomalySYNDataIgnored            syn_data_ignored
//	AnomalyConflictingOverlap        conflicting_overlap     AnomalyLateData                  late_data
//	AnomalyGap                       gap                     AnomalyClockBackward             clock_backward
//	AnomalyMemoryCap                 memory_cap              AnomalyClockJump                 clock_jump
//	AnomalyImplausibleRST            implausible_rst         AnomalyFragmentOverlap           fragment_overlap
//	AnomalyImplausibleSYN            implausible_syn         AnomalyBadFragment               bad_fragment
//	AnomalyImplausibleACK            implausible_ack         AnomalyFragmentLimit             fragment_limit
//	AnomalyOutOfWindow               out_of_window           AnomalyFragmentTimeout           fragment_timeout
//	AnomalyFINConflict               fin_conflict            AnomalyBadChecksum               bad_checksum
//	AnomalyDataAfterClose            data_after_close        AnomalyChecksumOffload           checksum_offload
//	AnomalyDataWithoutACK            data_without_ack        AnomalyImplausibleICMP           implausible_icmp
//	AnomalySessionLimit              session_limit           AnomalyUnconfirmed               unconfirmed
type AnomalyKind uint8

const (
	// AnomalyBufferOverflow: a Reassembler lost bytes to its limit. Len: bytes. Policy:
	// OverflowDropFlow if it called Delivery.Fail in the same call, so that the flow ends.
	AnomalyBufferOverflow AnomalyKind = iota + 1
	// AnomalyOutOfOrderSegment: segments came early. Len: segments.
	AnomalyOutOfOrderSegment
	// AnomalyFlowTableEvictionPressure: the table is full. No flow. Offset:
	// flows evicted since the tracker was made, when the first one in this call
	// was; Len: in this call.
	AnomalyFlowTableEvictionPressure
	// AnomalyConflictingOverlap: two copies of the same bytes differ; this may be an
	// attempt at evasion. Offset, Len: where.
	AnomalyConflictingOverlap
	// AnomalyGap: bytes were given up. Offset: of the first; Len: bytes.
	AnomalyGap
	// AnomalyMemoryCap: a stream had no room and gave up a hole, or the payload of a SYN. Len: bytes.
	// Policy: OverflowDropFlow if the flow ends because of it.
	AnomalyMemoryCap
	// AnomalyImplausibleRST: a reset that no receiver would accept, as one inside the window but at
	// another number than the expected one. Len: packets.
	AnomalyImplausibleRST
	// AnomalyImplausibleSYN: a SYN that fits no connection. Len: packets.
	AnomalyImplausibleSYN
	// AnomalyImplausibleACK: acknowledges what was never sent. Len: packets.
	AnomalyImplausibleACK
	// AnomalyOutOfWindow: a segment beyond the receiver's window, or with an old timestamp or an unexpected
	// signature: it is held until it is acknowledged. Len: bytes.
	AnomalyOutOfWindow
	// AnomalyFINConflict: a FIN at another place than the first. Len: packets.
	AnomalyFINConflict
	// AnomalyDataAfterClose: bytes beyond the FIN of their side. Len: bytes.
	AnomalyDataAfterClose
	// AnomalyDataWithoutACK: payload or a FIN without the ACK flag, which
	// receivers ignore. Len: bytes, 0 for a bare FIN.
	AnomalyDataWithoutACK
	// AnomalyDataOnRST: payload of a reset, which is no data. Len: bytes.
	AnomalyDataOnRST
	// AnomalyDataBeforeHandshake: payload of a responder that has not answered
	// the SYN. Len: bytes.
	AnomalyDataBeforeHandshake
	// AnomalySYNDataIgnored: the receiver took the SYN but not its data.
	AnomalySYNDataIgnored
	// AnomalyLateData: bytes that arrived after they were given up. Offset,
	// Len: where.
	AnomalyLateData
	// AnomalyClockBackward: a timestamp behind the clock. No flow.
	AnomalyClockBackward
	// AnomalyClockJump: the packet before had a timestamp far ahead, and this one does not confirm it.
	// No flow.
	AnomalyClockJump
	// AnomalyFragmentOverlap: fragments of a datagram contradict each other; it is
	// dropped, as RFC 5722 has it, unless one is a mere copy of other bytes, which
	// is ignored. This may be an attempt at evasion. No flow. Len: packets.
	AnomalyFragmentOverlap
	// AnomalyBadFragment: a fragment that is wrong in itself: empty, too long, not
	// a multiple of 8 bytes, or the first without its transport header, which is
	// reassembled all the same if it is of IPv4. No flow. Len: packets.
	AnomalyBadFragment
	// AnomalyFragmentLimit: a datagram was given up for a limit. No flow. Len:
	// datagrams.
	AnomalyFragmentLimit
	// AnomalyFragmentTimeout: a datagram was not complete in time. No flow. Len:
	// datagrams.
	AnomalyFragmentTimeout
	// AnomalyBadChecksum: a packet of a known flow that no receiver would take;
	// others are refused as RefusedBadChecksum. Len: packets.
	AnomalyBadChecksum
	// AnomalyChecksumOffload: so many checksums of one source are 0, or always the
	// same wrong value, that they are taken to be left to its network card, and
	// accepted for as long as that goes on. No flow. Len: such packets of the last 1,000.
	AnomalyChecksumOffload
	// AnomalyImplausibleICMP: an ICMP error quotes of a TCP flow what was never
	// sent. Len: packets.
	AnomalyImplausibleICMP
	// AnomalySessionLimit: parsers do not read a flow, or no longer, since Config.SessionBytes is used
	// up. Len: times.
	AnomalySessionLimit
	// AnomalyUnconfirmed: no packet of the other side was captured, so a side's bytes are those that were
	// sent, and nothing shows which of them were received. Once a side, at the end of its flow. Len: bytes.
	AnomalyUnconfirmed

	numAnomalyKinds
)

var anomalyNames = &names{of: "AnomalyKind", text: []string{
	0: "none", AnomalyBufferOverflow: "buffer_overflow", AnomalyOutOfOrderSegment: "ooo_segment",
	AnomalyFlowTableEvictionPressure: "flow_table_eviction", AnomalyConflictingOverlap: "conflicting_overlap",
	AnomalyGap: "gap", AnomalyMemoryCap: "memory_cap", AnomalyImplausibleRST: "implausible_rst",
	AnomalyImplausibleSYN: "implausible_syn", AnomalyImplausibleACK: "implausible_ack",
	AnomalyOutOfWindow: "out_of_window", AnomalyFINConflict: "fin_conflict",
	AnomalyDataAfterClose: "data_after_close", AnomalyDataWithoutACK: "data_without_ack",
	AnomalyDataOnRST: "data_on_rst", AnomalyDataBeforeHandshake: "data_before_handshake",
	AnomalySYNDataIgnored: "syn_data_ignored", AnomalyLateData: "late_data",
	AnomalyClockBackward: "clock_backward", AnomalyClockJump: "clock_jump",
	AnomalyFragmentOverlap: "fragment_overlap", AnomalyBadFragment: "bad_fragment",
	AnomalyFragmentLimit: "fragment_limit", AnomalyFragmentTimeout: "fragment_timeout",
	AnomalyBadChecksum: "bad_checksum", AnomalyChecksumOffload: "checksum_offload",
	AnomalyImplausibleICMP: "implausible_icmp", AnomalySessionLimit: "session_limit",
	AnomalyUnconfirmed: "unconfirmed",
}}

// String is a short name, such as "buffer_overflow": the label of metrics and
// logs.
func (k AnomalyKind) String() string { return anomalyNames.string(uint16(k)) }

// AppendText appends what String gives.
func (k AnomalyKind) AppendText(b []byte) ([]byte, error) {
	return anomalyNames.append(b, uint16(k)), nil
}

// MarshalText is what String gives.
func (k AnomalyKind) MarshalText() ([]byte, error) { return k.AppendText(nil) }

// UnmarshalText takes what String gives.
func (k *AnomalyKind) UnmarshalText(text []byte) error { return unmarshal(anomalyNames, k, text) }

// Severity says how much an anomaly matters.
//
// The constants and their texts; go doc flowscope.SeverityInfo says more of them:
//
//	SeverityInfo    info
//	SeverityWarning warning
//	SeverityError   error
type Severity uint8

const (
	SeverityInfo    Severity = iota // happens in every network
	SeverityWarning                 // data was lost, or a packet is implausible
	SeverityError                   // the receiver may have got other data than was captured
)

// String is "info", "warning" or "error".
func (s Severity) String() string { return severityNames.string(uint16(s)) }

// AppendText appends what String gives.
func (s Severity) AppendText(b []byte) ([]byte, error) {
	return severityNames.append(b, uint16(s)), nil
}

// MarshalText is what String gives.
func (s Severity) MarshalText() ([]byte, error) { return s.AppendText(nil) }

// UnmarshalText takes what String gives.
func (s *Severity) UnmarshalText(text []byte) error { return unmarshal(severityNames, s, text) }

var severityNames = &names{of: "Severity", text: []string{"info", "warning", "error"}}

// hasPolicy reports whether events of the kind have a Policy.
func (k AnomalyKind) hasPolicy() bool { return k == AnomalyBufferOverflow || k == AnomalyMemoryCap }

// Severity of the kind.
func (k AnomalyKind) Severity() Severity {
	switch k {
	case AnomalyOutOfOrderSegment, AnomalySYNDataIgnored, AnomalyClockBackward, AnomalyDataOnRST,
		AnomalyChecksumOffload:
		return SeverityInfo
	case AnomalyConflictingOverlap, AnomalyMemoryCap, AnomalyBufferOverflow, AnomalyFragmentOverlap:
		return SeverityError
	}
	return SeverityWarning
}

// Metric is one counter with its name, for any metrics library.
type Metric struct {
	Name, Help        string
	Label, LabelValue string // none if Label is empty
	Value             float64
	Gauge             bool // may go down
}

// String is the metric as a line, such as `flowscope_flows_ended_total{reason="fin"} 3`.
func (m Metric) String() string {
	label := ""
	if m.Label != "" {
		label = fmt.Sprintf("{%s=%q}", m.Label, m.LabelValue)
	}
	return m.Name + label + " " + strconv.FormatFloat(m.Value, 'f', -1, 64)
}

// The names of the metrics of the Rust crate flowscope, which this library
// mirrors, as far as they are counters here too. The crate's
// histograms (flowscope_flow_duration_seconds, flowscope_flow_packets,
// flowscope_flow_bytes) are made from the Stats of EventEnded by who wants them.
const (
	MetricFlowsCreated    = "flowscope_flows_created_total"
	MetricFlowsEnded      = "flowscope_flows_ended_total" // reason
	MetricFlowsActive     = "flowscope_flows_active"
	MetricUnmatched       = "flowscope_packets_unmatched_total"
	MetricAnomalies       = "flowscope_anomalies_total" // kind
	MetricDroppedOOO      = "flowscope_reassembly_dropped_ooo_total"
	MetricDroppedOversize = "flowscope_reassembly_bytes_dropped_oversize_total"
)

// Metrics are the tracker's counters one by one, in a fixed order, by the
// crate's names where it has them. Labels have few values: never a flow's key.
func (s TrackerStats) Metrics(yield func(Metric) bool) {
	one := func(name, help string, n uint64) bool {
		return yield(Metric{Name: name, Help: help, Value: float64(n)})
	}
	if !one("flowscope_packets_total", "Packets given to Track.", s.Packets) ||
		!one(MetricUnmatched, "Packets that belong to no flow.", s.PacketsUnmatched) ||
		!one("flowscope_packets_late_total", "Packets of connections that had ended.", s.PacketsLate) ||
		!yield(Metric{Name: "flowscope_bytes_total", Help: "Bytes on the wire in flows.", Label: "side", LabelValue: "initiator", Value: float64(s.Bytes[Initiator])}) ||
		!yield(Metric{Name: "flowscope_bytes_total", Help: "Bytes on the wire in flows.", Label: "side", LabelValue: "responder", Value: float64(s.Bytes[Responder])}) ||
		!one(MetricFlowsCreated, "Flows begun.", s.FlowsCreated) ||
		!yield(Metric{Name: MetricFlowsActive, Help: "Live flows.", Value: float64(s.FlowsActive), Gauge: true}) ||
		!yield(Metric{Name: "flowscope_flows_lingering", Help: "Ended flows kept for their late packets.", Value: float64(s.FlowsLingering), Gauge: true}) ||
		!one("flowscope_clock_backward_total", "Timestamps behind the clock.", s.ClockBackward) ||
		!one("flowscope_clock_suspects_total", "Timestamps far ahead that nothing confirmed.", s.ClockSuspects) ||
		!one("flowscope_clock_jumps_total", "Jumps ahead that were confirmed.", s.ClockJumps) ||
		!one("flowscope_anomalies_suppressed_total", "Anomalies beyond Config.MaxAnomalies in one call.", s.AnomaliesSuppressed) ||
		!one("flowscope_segments_held_total", "TCP segments that waited for an acknowledgement.", s.SegmentsHeld) ||
		!one("flowscope_segments_not_held_total", "TCP segments that should have waited, and had no room.", s.SegmentsNotHeld) ||
		!one("flowscope_payload_not_held_total", "TCP segments that waited without their payload, for want of room.", s.PayloadNotHeld) ||
		!one("flowscope_nested_calls_total", "Calls from inside another call, which did nothing.", s.NestedCalls) ||
		!one("flowscope_icmp_errors_matched_total", "ICMP errors about a known flow.", s.ICMPErrorsMatched) ||
		!one("flowscope_fragments_total", "Fragments of IP datagrams.", s.Fragments.Frames) ||
		!one("flowscope_datagrams_reassembled_total", "Datagrams reassembled.", s.Fragments.Datagrams) ||
		!one("flowscope_fragments_duplicate_total", "Fragments all of whose bytes were there.", s.Fragments.Duplicates) ||
		!one("flowscope_fragments_bad_total", "Fragments wrong in themselves.", s.Fragments.Bad) ||
		!one("flowscope_datagrams_forgotten_total", "Datagrams whose copies are not known, for want of room.", s.Fragments.Forgotten) ||
		!yield(Metric{Name: "flowscope_fragments_unused", Help: "Fragments that wait, are late copies, or whose datagram was given up.", Value: float64(s.Fragments.Unused), Gauge: true}) ||
		!yield(Metric{Name: "flowscope_datagrams_waiting", Help: "Datagrams that wait for fragments.", Value: float64(s.Fragments.Waiting), Gauge: true}) ||
		!yield(Metric{Name: "flowscope_fragment_bytes", Help: "Memory of fragments.", Value: float64(s.Fragments.Bytes), Gauge: true}) {
		return
	}
	for _, m := range []struct {
		cause string
		n     uint64
	}{{"overlap", s.Fragments.Overlaps}, {"limit", s.Fragments.Limited}, {"cut", s.Fragments.Cut}, {"incomplete", s.Fragments.Incomplete}} {
		if !yield(Metric{Name: "flowscope_datagrams_lost_total", Help: "Datagrams given up.", Label: "cause", LabelValue: m.cause, Value: float64(m.n)}) {
			return
		}
	}
	for _, m := range []struct {
		verdict string
		n       uint64
	}{{"bad", s.ChecksumsBad}, {"partial", s.ChecksumsPartial}, {"unverified", s.ChecksumsUnknown}} {
		if !yield(Metric{Name: "flowscope_checksums_total", Help: "Checksums that are not right.", Label: "verdict", LabelValue: m.verdict, Value: float64(m.n)}) {
			return
		}
	}
	for i, n := range s.Ended {
		if r := EndReason(i); i != 0 && !yield(Metric{Name: MetricFlowsEnded, Help: "Flows ended.", Label: "reason", LabelValue: r.String(), Value: float64(n)}) {
			return
		}
	}
	for i, n := range s.Refused {
		if r := Refusal(i); n != 0 && !yield(Metric{Name: "flowscope_packets_refused_total", Help: "Unmatched packets by cause.", Label: "refusal", LabelValue: r.String(), Value: float64(n)}) {
			return
		}
	}
	for i, n := range s.Anomalies {
		if k := AnomalyKind(i); i != 0 && !yield(Metric{Name: MetricAnomalies, Help: "Anomalies.", Label: "kind", LabelValue: k.String(), Value: float64(n)}) {
			return
		}
	}
}

// Metrics are the driver's counters one by one; see TrackerStats.Metrics.
func (s DriverStats) Metrics(yield func(Metric) bool) {
	more := true
	s.TrackerStats.Metrics(func(m Metric) bool {
		more = yield(m)
		return more
	})
	for _, m := range []Metric{
		{Name: "flowscope_stream_bytes_total", Help: "Bytes of TCP streams delivered.", Value: float64(s.Streams.Delivered)},
		{Name: "flowscope_stream_gaps_total", Help: "Holes given up.", Value: float64(s.Streams.Gaps)},
		{Name: "flowscope_stream_gap_bytes_total", Help: "Bytes of holes given up.", Value: float64(s.Streams.GapBytes)},
		{Name: "flowscope_stream_conflicts_total", Help: "Copies of the same bytes that differed.", Value: float64(s.Streams.Conflicts)},
		{Name: MetricDroppedOOO, Help: "Segments dropped as out of order.", Value: float64(s.Streams.DroppedSegments)},
		{Name: MetricDroppedOversize, Help: "Bytes dropped for want of room.", Value: float64(s.Streams.DroppedBytes)},
		{Name: "flowscope_stream_late_segments_total", Help: "Segments whose bytes were given up before.", Value: float64(s.Late)},
		{Name: "flowscope_stream_duplicate_segments_total", Help: "Segments that brought nothing new.", Value: float64(s.Duplicates)},
		{Name: "flowscope_stream_budget_gaps_total", Help: "Times there was no room for early bytes.", Value: float64(s.BudgetGaps)},
		{Name: "flowscope_stream_held_bytes", Help: "Memory of early bytes.", Value: float64(s.HeldBytes), Gauge: true},
		{Name: "flowscope_session_messages_total", Help: "Messages of parsers.", Value: float64(s.Sessions.Messages)},
		{Name: "flowscope_session_parsers_started_total", Help: "Parsers that began to read a flow, or went on.", Value: float64(s.Sessions.Started)},
		{Name: "flowscope_session_handovers_total", Help: "Flows that one protocol handed over to the next.", Value: float64(s.Sessions.Handovers)},
		{Name: "flowscope_session_unwanted_total", Help: "Flows that no factory recognises.", Value: float64(s.Sessions.Unwanted)},
		{Name: "flowscope_session_refused_total", Help: "Flows that are not read, since SessionBytes was used up.", Value: float64(s.Sessions.Refused)},
		{Name: "flowscope_session_evicted_total", Help: "Sessions that ended to make room for others.", Value: float64(s.Sessions.Evicted)},
		{Name: "flowscope_session_parsers", Help: "Parsers that read a flow.", Value: float64(s.Sessions.Parsers), Gauge: true},
		{Name: "flowscope_session_held_bytes", Help: "Memory of parsers, and of first bytes that no factory has recognised yet.", Value: float64(s.Sessions.HeldBytes), Gauge: true},
		{Name: "flowscope_stream_memory_bytes", Help: "The same, with the pooled buffers.", Value: float64(s.MemoryBytes), Gauge: true},
	} {
		if !more || !yield(m) {
			return
		}
	}
}

// LogEvent writes one event to a logger, at a level that fits its kind: flows
// that start and end at Info, anomalies by severity at Info, Warn or Error,
// gaps at Warn, the rest at Debug. The time of the log's record is that of the
// event, in packet time: a replay of a capture writes the same log each time. Keys
// appear in their own text form; payload never appears.
func LogEvent[K comparable](logger *slog.Logger, ev *FlowEvent[K]) {
	level := slog.LevelDebug
	switch ev.Kind {
	case EventStarted, EventEnded, EventReport:
		level = slog.LevelInfo
	case EventGap:
		level = slog.LevelWarn
	case EventAnomaly:
		level = [...]slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError}[ev.Anomaly.Severity()]
	}
	ctx := context.Background()
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	if ev.Flow != 0 {
		attrs = append(attrs, slog.Uint64("flow", uint64(ev.Flow)), slog.Any("key", ev.Key), slog.String("l4", ev.L4.String()))
	}
	switch ev.Kind {
	case EventStateChange:
		attrs = append(attrs, slog.String("from", ev.From.String()), slog.String("to", ev.State.String()))
	case EventPacket, EventLate:
		attrs = append(attrs, slog.String("side", ev.Side.String()), slog.Int64("len", ev.Len), slog.Int("payload", len(ev.Bytes)))
	case EventData, EventGap, EventSideClosed, EventUrgent:
		attrs = append(attrs, slog.String("side", ev.Side.String()), slog.Int64("offset", ev.Offset), slog.Int64("len", ev.Len))
		if ev.Kind == EventGap {
			attrs = append(attrs, slog.String("cause", ev.Cause.String()))
		}
	case EventMessage:
		attrs = append(attrs, slog.String("side", ev.Side.String()), slog.String("message", fmt.Sprintf("%T", ev.Message)))
	case EventICMPError:
		attrs = append(attrs, slog.String("side", ev.Side.String()), slog.Int("icmp_type", int(ev.ICMPType)), slog.Int("icmp_code", int(ev.ICMPCode)))
	case EventAnomaly:
		attrs = append(attrs, slog.String("kind", ev.Anomaly.String()), slog.String("severity", ev.Anomaly.Severity().String()))
		if ev.Flow != 0 {
			attrs = append(attrs, slog.String("side", ev.Side.String()), slog.Int64("offset", ev.Offset))
		}
		attrs = append(attrs, slog.Int64("len", ev.Len))
		if ev.Anomaly.hasPolicy() {
			attrs = append(attrs, slog.String("policy", ev.Policy.String()))
		}
	case EventEnded, EventReleased, EventReport:
		if ev.Kind != EventReport {
			attrs = append(attrs, slog.String("reason", ev.Reason.String()))
		}
		attrs = append(attrs, slog.String("history", ev.History.String()))
		if s := ev.Stats; s != nil { // nil in an event that the caller made
			attrs = append(attrs, slog.Uint64("packets", s.Packets[0]+s.Packets[1]), slog.Uint64("bytes", s.Bytes[0]+s.Bytes[1]))
		}
	}
	r := slog.NewRecord(ev.Timestamp.Time(), level, ev.Kind.String(), 0)
	r.AddAttrs(attrs...)
	_ = logger.Handler().Handle(ctx, r) // as Logger.LogAttrs does
}
