package flowscope

import (
	"bytes"
	"fmt"
	"time"

	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/history"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// EventKind says what an event is about, and which of its fields are set. 0 is no kind.
//
// All events carry Kind, Timestamp and, unless they concern the tracker as a whole, Flow, Key, L4,
// State and Packet. Beyond these:
//
//	Kind         Side Orientation  further fields
//	Started       x       x
//	Packet        x       x        Bytes (transport payload), Len (bytes on the wire: of this packet, and of
//	                               the fragments of its datagram that had no event of their own)
//	Established   x       x
//	StateChange   x       x        From
//	Data          x       x        Bytes, Offset, Len
//	Gap           x       x        Offset, Len, Cause
//	SideClosed    x       x        Offset (where the stream ended), Reason if the flow's end closed it
//	Urgent        x       x        Offset
//	Anomaly       x       x        Anomaly, Offset, Len, Policy; see AnomalyKind
//	Ended                 x        Reason, Stats, History
//	Late          x       x        Bytes, Len (as Packet)
//	Released              x        Reason, Stats, History
//	ICMPError     x       x        ICMPType, ICMPCode; Side sent the packet that is quoted
//	Message       x       x        Message
//	Report                x        Stats, History
//
// The orientation of Ended, Released and Report is that of the initiator's packets.
//
// # Order
//
// The events of one call of Track come in this order:
//
//  1. Streams whose holes have timed out: Gap, Data, SideClosed and Anomaly. So do the first packets of
//     a midstream connection that nothing has confirmed in time, with a StateChange before.
//     Flows that are reported: Report.
//  2. Flows that have timed out or are evicted: the rest of their streams, Ended, Released. Streams
//     that give up a hole for want of room, see Config.TotalBytes: as in 1.
//  3. The packet's own flow: Started.
//  4. Established, then StateChange.
//  5. Packet.
//  6. For each side Urgent, then Data and Gap by offset, then SideClosed.
//  7. Anomalies of the flow.
//  8. Ended.
//  9. Anomalies that concern no flow.
//
// A Message stands right behind the Data, Gap or SideClosed that it comes from, and of a UDP flow
// behind the Packet, also if these are not wanted; those at the end of a flow stand before Ended. One
// of a parser's timeout stands where the streams of step 1 do, or before the packet's next Message.
//
// A flow whose hole has timed out, and that itself has to end in the same call, goes through this
// order twice. ICMPError is about another flow than the packet's own, and is the only event of its
// packet. Late and Released are the only kinds that may follow the Ended of their flow.
//
// The constants have Event in front, as EventStateChange; go doc flowscope.EventStarted says more of
// them. Their texts are as in "state_change".
type EventKind uint8

const (
	// EventStarted: the packet begins a flow.
	EventStarted EventKind = iota + 1
	// EventPacket: a packet of the flow. Its first one has this event too. Packets of a SYN with other
	// numbers are those of the live connection until the SYN is believed, and then counted in its own
	// flow: the last of them alone has this event there. One without Bytes may be a first fragment
	// whose datagram is not complete, or a packet with a wrong checksum.
	EventPacket
	// EventEstablished: the TCP handshake is complete.
	EventEstablished
	// EventStateChange: the TCP state went from From to State.
	EventStateChange
	// EventData: bytes of a TCP stream, in order.
	EventData
	// EventGap: bytes of a TCP stream were given up.
	EventGap
	// EventSideClosed: the stream of one side is complete: its FIN is acknowledged, or the other side is
	// not captured, or the flow ends. With a Reassembler of the caller's it comes at the end of the flow.
	EventSideClosed
	// EventUrgent: the sender marked the byte before Offset as urgent. The byte itself stays in its
	// place in the stream.
	EventUrgent
	// EventAnomaly: a violation of a protocol, or a sign of loss, overload or attack. Off by default.
	EventAnomaly
	// EventEnded: the flow is over. Every EventStarted has exactly one. Its Stats lack the late packets that
	// may follow: for totals take EventReleased.
	EventEnded
	// EventLate: a packet of a connection that has ended. Off by default.
	EventLate
	// EventReleased: a flow that has ended is forgotten, and its Stats, which
	// now count the late packets too, are final. It comes right after Ended
	// for a flow that does not linger. Off by default.
	EventReleased
	// EventICMPError: an ICMP or ICMPv6 error quotes a packet of this flow. The
	// error itself counts in no flow. It may be forged: for a TCP flow the quoted
	// sequence number was sent, no more is known.
	EventICMPError
	// EventMessage: a parser of the driver's read a message, such as an HTTP exchange.
	EventMessage
	// EventReport: the flow lives on, and has lived for another Config.ReportEvery. Its Stats are the
	// counters since the flow began; FlowStats.Sub gives what came since the report before.
	EventReport

	numEventKinds
)

var eventNames = &names{of: "EventKind", text: []string{
	0: "none", EventStarted: "started", EventPacket: "packet", EventEstablished: "established", EventStateChange: "state_change",
	EventData: "data", EventGap: "gap", EventSideClosed: "side_closed", EventUrgent: "urgent", EventAnomaly: "anomaly",
	EventEnded: "ended", EventLate: "late", EventReleased: "released", EventICMPError: "icmp_error",
	EventMessage: "message", EventReport: "report",
}}

// String is a short name, such as "state_change".
func (k EventKind) String() string { return eventNames.string(uint16(k)) }

// AppendText appends what String gives.
func (k EventKind) AppendText(b []byte) ([]byte, error) { return eventNames.append(b, uint16(k)), nil }

// MarshalText is what String gives.
func (k EventKind) MarshalText() ([]byte, error) { return k.AppendText(nil) }

// UnmarshalText takes what String gives.
func (k *EventKind) UnmarshalText(text []byte) error { return unmarshal(eventNames, k, text) }

// EventMask is a set of event kinds.
//
// The constants and their texts; go doc flowscope.NoEvents says more of them:
//
//	NoEvents      none
//	AllEvents     all
//	DefaultEvents default
type EventMask uint32

// Events makes a mask of kinds.
func Events(kinds ...EventKind) EventMask {
	m := NoEvents
	for _, k := range kinds {
		m |= 1 << k
	}
	return m
}

const (
	// NoEvents asks for no event at all; counters go on. It is not zero, since
	// zero in Config stands for DefaultEvents.
	NoEvents EventMask = 1
	// AllEvents asks for every kind.
	AllEvents EventMask = 1<<numEventKinds - 1
	// DefaultEvents asks for every kind but Anomaly, Late and Released.
	DefaultEvents EventMask = AllEvents &^ (1<<EventAnomaly | 1<<EventLate | 1<<EventReleased)
)

// String lists the kinds, such as "started|ended"; it is "none" for NoEvents and
// "default" for the 0 of Config.
func (m EventMask) String() string { return string(maskNames.append(nil, uint32(m))) }

// AppendText appends what String gives.
func (m EventMask) AppendText(b []byte) ([]byte, error) { return maskNames.append(b, uint32(m)), nil }

// MarshalText is what String gives.
func (m EventMask) MarshalText() ([]byte, error) { return m.AppendText(nil) }

// UnmarshalText takes what String gives, the kinds in any order and with "|" or "," between them, and
// "all" for AllEvents.
func (m *EventMask) UnmarshalText(text []byte) error {
	v, err := maskNames.parse(text)
	if err != nil {
		return err
	}
	if *m = EventMask(v); v != 0 {
		*m |= NoEvents // as Events does
	}
	return nil
}

var maskNames = &sets{of: "EventMask", text: eventNames.text, none: uint32(NoEvents), all: uint32(AllEvents)}

// Has reports whether the mask contains the kind.
func (m EventMask) Has(k EventKind) bool { return m&(1<<k) != 0 && k != 0 }

// FlowID numbers the flows of a tracker from 1 in the order of their creation. It is never used
// again, so two connections with one key have different numbers. Its text is the number.
type FlowID uint64

// FlowSide is one of the two ends of a conversation. The initiator of a TCP connection is the
// sender of the SYN, even if the SYN+ACK was captured first; that of any other flow, also of a
// midstream TCP connection, is the sender of its first packet. Sides index the pairs in FlowStats.
//
// The constants and their texts; go doc flowscope.Initiator says more of them:
//
//	Initiator initiator
//	Responder responder
type FlowSide uint8

const (
	Initiator FlowSide = FlowSide(tcp.Initiator)
	Responder FlowSide = FlowSide(tcp.Responder)
)

// String is "initiator" or "responder".
func (s FlowSide) String() string { return sideNames.string(uint16(s)) }

// AppendText appends what String gives.
func (s FlowSide) AppendText(b []byte) ([]byte, error) { return sideNames.append(b, uint16(s)), nil }

// MarshalText is what String gives.
func (s FlowSide) MarshalText() ([]byte, error) { return s.AppendText(nil) }

// UnmarshalText takes what String gives.
func (s *FlowSide) UnmarshalText(text []byte) error { return unmarshal(sideNames, s, text) }

var sideNames = &names{of: "FlowSide", text: []string{Initiator: "initiator", Responder: "responder"}}

// Opposite is the other side.
func (s FlowSide) Opposite() FlowSide { return s ^ 1 }

// FlowState is the state of a flow. Flows without TCP and midstream TCP flows are StateActive until
// they close; a new connection is StateActive before its SYN, which shows in From of its first
// StateChange.
//
// The constants and their texts; go doc flowscope.StateActive says more of them:
//
//	StateActive      active
//	StateSynSent     syn_sent
//	StateSynReceived syn_received
//	StateEstablished established
//	StateFinWait     fin_wait
//	StateClosingTCP  closing_tcp
//	StateClosed      closed
//	StateReset       reset
//	StateAborted     aborted
type FlowState uint8

const (
	StateActive      FlowState = FlowState(tcp.Active)
	StateSynSent     FlowState = FlowState(tcp.SynSent)     // the initiator has sent a SYN
	StateSynReceived FlowState = FlowState(tcp.SynReceived) // the responder has sent one too
	StateEstablished FlowState = FlowState(tcp.Established) // both SYNs are acknowledged
	StateFinWait     FlowState = FlowState(tcp.FinWait)     // one side has sent a FIN
	StateClosingTCP  FlowState = FlowState(tcp.ClosingTCP)  // both have; an ACK is outstanding
	StateClosed      FlowState = FlowState(tcp.Closed)      // both FINs are acknowledged
	StateReset       FlowState = FlowState(tcp.Reset)       // cut by a RST
	StateAborted     FlowState = FlowState(tcp.Aborted)     // ended from outside
)

var stateNames = &names{of: "FlowState", text: []string{
	"active", "syn_sent", "syn_received", "established", "fin_wait", "closing_tcp", "closed", "reset", "aborted",
}}

// String is a short name, such as "syn_sent".
func (s FlowState) String() string { return stateNames.string(uint16(s)) }

// AppendText appends what String gives.
func (s FlowState) AppendText(b []byte) ([]byte, error) { return stateNames.append(b, uint16(s)), nil }

// MarshalText is what String gives.
func (s FlowState) MarshalText() ([]byte, error) { return s.AppendText(nil) }

// UnmarshalText takes what String gives.
func (s *FlowState) UnmarshalText(text []byte) error { return unmarshal(stateNames, s, text) }

// IsTerminal reports whether a flow in this state has ended.
func (s FlowState) IsTerminal() bool { return s >= StateClosed }

// EndReason is the reason why a flow ended. 0 is none: the flow has not ended.
//
// The constants and their texts; go doc flowscope.EndFIN says more of them:
//
//	EndFIN            fin
//	EndRST            rst
//	EndIdleTimeout    idle
//	EndEvicted        evicted
//	EndBufferOverflow buffer_overflow
//	EndReused         reused
//	EndForceClosed    force_closed
//	EndFinished       finished
type EndReason uint8

const (
	// EndFIN: both sides sent a FIN. If the last ACK is not seen, the flow ends so after
	// Config.ClosingTimeout.
	EndFIN EndReason = iota + 1
	// EndRST: one side reset the connection, or sent a reset after which its receiver was silent.
	EndRST
	// EndIdleTimeout: no packet for the whole timeout of the flow.
	EndIdleTimeout
	// EndEvicted: the flow table was full.
	EndEvicted
	// EndBufferOverflow: a stream had no room left under OverflowDropFlow, or its Reassembler failed.
	EndBufferOverflow
	// EndReused: a new connection took over its addresses and ports.
	EndReused
	// EndForceClosed: ForceClose was called.
	EndForceClosed
	// EndFinished: the capture was over; Finish was called.
	EndFinished

	numEndReasons
)

var reasonNames = &names{of: "EndReason", text: []string{
	0: "none", EndFIN: "fin", EndRST: "rst", EndIdleTimeout: "idle", EndEvicted: "evicted", EndBufferOverflow: "buffer_overflow",
	EndReused: "reused", EndForceClosed: "force_closed", EndFinished: "finished",
}}

// String is a short name, such as "fin".
func (r EndReason) String() string { return reasonNames.string(uint16(r)) }

// AppendText appends what String gives.
func (r EndReason) AppendText(b []byte) ([]byte, error) { return reasonNames.append(b, uint16(r)), nil }

// MarshalText is what String gives.
func (r EndReason) MarshalText() ([]byte, error) { return r.AppendText(nil) }

// UnmarshalText takes what String gives.
func (r *EndReason) UnmarshalText(text []byte) error { return unmarshal(reasonNames, r, text) }

// lingers reports whether a flow that ended so lingers: whether late packets are likely that must
// not look like a new flow.
func (r EndReason) lingers() bool {
	return r == EndFIN || r == EndRST || r == EndForceClosed || r == EndBufferOverflow
}

// Event is an event of a tracker or driver whose extractor is FiveTuple.
type Event = FlowEvent[FiveTupleKey]

// FlowEvent is one thing that happened. Which fields are set depends on Kind; see EventKind.
//
// The slice that holds events, and what their Bytes, Stats and Message refer to, are borrowed: they
// are valid until the next call on the tracker or, for Bytes and Message, until the caller reuses the
// packet's frame, whichever is first. Clone makes a copy to keep.
type FlowEvent[K comparable] struct {
	Kind        EventKind
	Side        FlowSide
	Orientation Orientation
	L4          L4Proto
	State, From FlowState
	Reason      EndReason
	Anomaly     AnomalyKind
	Cause       GapCause
	// ICMPType and ICMPCode are those of the message: of ICMP if the flow is one of IPv4, of ICMPv6
	// otherwise.
	ICMPType, ICMPCode uint8
	// Policy is what follows from a want of room; of AnomalyBufferOverflow and AnomalyMemoryCap. In
	// all other events it is 0, which is also OverflowSlidingWindow.
	Policy OverflowPolicy
	slot   flowtable.ID

	// Flow is the flow's number, 0 in events about the tracker as a whole.
	Flow FlowID
	// Packet is the PacketView.ID of the packet that caused the event; 0 if time alone did. Of Data
	// it is the packet that carried the bytes, which may be much older than the one that filled the
	// hole before them.
	Packet uint64
	// Timestamp is that of that packet, whatever it is, and the time by the clock if time alone caused
	// the event or if it is about another flow than the packet's; see Config.ClockJump. The Timestamp
	// of Data may be earlier than those of the events around it.
	Timestamp Timestamp
	// Key is the flow's key, as the extractor made it.
	Key K
	// Bytes are borrowed, as said above; Len and EventKind say what they are.
	Bytes []byte
	// Offset counts the bytes of the side's stream; 0 is the byte after the SYN or, midstream, the
	// first byte seen.
	Offset int64
	// Len is a number of bytes: on the wire for Packet and Late, of the stream for Data and Gap. For
	// Anomaly see AnomalyKind.
	Len int64
	// Stats are the flow's counters, borrowed as Bytes are: a kept pointer shows those of another flow
	// after the next call. RecordOf and Clone copy them. nil where they are not set.
	Stats *FlowStats
	// History is the life of a TCP flow in letters.
	History History
	// Message is what a parser read; nil but in EventMessage. It is borrowed as Bytes are. Side sent
	// the bytes that completed it. Where a message names a side of its own, such as a client, Ends gives
	// the addresses of that side and the other.
	Message Message
}

// Clone is a copy that shares no memory with the tracker.
func (e *FlowEvent[K]) Clone() FlowEvent[K] {
	c := *e
	c.Bytes = bytes.Clone(e.Bytes)
	if e.Stats != nil {
		s := *e.Stats
		c.Stats = &s
	}
	if e.Message != nil {
		c.Message = e.Message.CloneMessage()
	}
	return c
}

// String is the event in one line: its kind, and the fields that the kind sets as name=value. Of
// Bytes it has the length alone, as bytes=, and of Stats the packets and bytes of both sides.
func (e FlowEvent[K]) String() string {
	b, _ := e.Kind.AppendText(make([]byte, 0, 224))
	if e.Flow != 0 {
		b = fmt.Appendf(b, " flow=%d key=%q state=%v", e.Flow, fmt.Sprint(e.Key), e.State)
		if e.Kind != EventEnded && e.Kind != EventReleased && e.Kind != EventReport {
			b = fmt.Appendf(b, " side=%v", e.Side)
		}
		b = fmt.Appendf(b, " orientation=%v", e.Orientation)
	}
	switch e.Kind {
	case EventPacket, EventLate:
		b = fmt.Appendf(b, " len=%d bytes=%d", e.Len, len(e.Bytes))
	case EventStateChange:
		b = fmt.Appendf(b, " from=%v", e.From)
	case EventData:
		b = fmt.Appendf(b, " offset=%d len=%d", e.Offset, e.Len)
	case EventGap:
		b = fmt.Appendf(b, " offset=%d len=%d cause=%v", e.Offset, e.Len, e.Cause)
	case EventSideClosed:
		b = fmt.Appendf(b, " offset=%d", e.Offset)
		if e.Reason != 0 {
			b = fmt.Appendf(b, " reason=%v", e.Reason)
		}
	case EventUrgent:
		b = fmt.Appendf(b, " offset=%d", e.Offset)
	case EventAnomaly:
		b = fmt.Appendf(b, " anomaly=%v offset=%d len=%d", e.Anomaly, e.Offset, e.Len)
		if e.Anomaly.hasPolicy() {
			b = fmt.Appendf(b, " policy=%v", e.Policy)
		}
	case EventEnded, EventReleased, EventReport:
		if e.Kind != EventReport {
			b = fmt.Appendf(b, " reason=%v", e.Reason)
		}
		b = fmt.Appendf(b, " history=%v", e.History)
		if s := e.Stats; s != nil {
			b = fmt.Appendf(b, " packets=%d/%d bytes=%d/%d", s.Packets[0], s.Packets[1], s.Bytes[0], s.Bytes[1])
		}
	case EventICMPError:
		b = fmt.Appendf(b, " icmp_type=%d icmp_code=%d", e.ICMPType, e.ICMPCode)
	case EventMessage:
		b = fmt.Appendf(b, " message=%T", e.Message)
	}
	if e.Packet != 0 {
		b = fmt.Appendf(b, " packet=%d", e.Packet)
	}
	return string(fmt.Appendf(b, " time=%v", e.Timestamp))
}

// GoString is what %#v shows, as failing tests do: all fields that are not zero, whatever the kind,
// with up to 32 of the Bytes, and Stats in place of its address.
func (e FlowEvent[K]) GoString() string {
	var none FlowEvent[K]
	b := []byte("flowscope.FlowEvent{Kind: ")
	b, _ = e.Kind.AppendText(b)
	field := func(set bool, format string, value any) {
		if set {
			b = fmt.Appendf(append(b, ", "...), format, value)
		}
	}
	field(e.Side != 0, "Side: %v", e.Side)
	field(e.Orientation != 0, "Orientation: %v", e.Orientation)
	field(e.L4 != 0, "L4: %v", e.L4)
	field(e.State != 0, "State: %v", e.State)
	field(e.From != 0, "From: %v", e.From)
	field(e.Reason != 0, "Reason: %v", e.Reason)
	field(e.Anomaly != 0, "Anomaly: %v", e.Anomaly)
	field(e.Policy != 0, "Policy: %v", e.Policy)
	field(e.Cause != 0, "Cause: %v", e.Cause)
	field(e.ICMPType != 0, "ICMPType: %d", e.ICMPType)
	field(e.ICMPCode != 0, "ICMPCode: %d", e.ICMPCode)
	field(e.Flow != 0, "Flow: %d", e.Flow)
	field(e.Packet != 0, "Packet: %d", e.Packet)
	field(e.Timestamp != 0, "Timestamp: %v", e.Timestamp)
	field(e.Key != none.Key, "Key: %q", fmt.Sprint(e.Key))
	if shown := e.Bytes[:min(len(e.Bytes), 32)]; len(shown) < len(e.Bytes) {
		field(true, "Bytes: %q...", shown)
		b = fmt.Appendf(b, " (%d)", len(e.Bytes))
	} else {
		field(e.Bytes != nil, "Bytes: %q", shown)
	}
	field(e.Offset != 0, "Offset: %d", e.Offset)
	field(e.Len != 0, "Len: %d", e.Len)
	if e.Stats != nil {
		field(true, "Stats: %+v", *e.Stats)
	}
	field(e.History != none.History, "History: %v", e.History)
	field(e.Message != nil, "Message: %+v", e.Message)
	return string(append(b, '}'))
}

// FlowStats are the counters of one flow. Pairs are indexed by FlowSide. The
// zero value is a flow of no packets.
type FlowStats struct {
	// Packets counts captured packets, as they came.
	Packets [2]uint64
	// Bytes counts bytes on the wire, link headers included.
	Bytes [2]uint64
	// Payload counts bytes of transport payload on the wire, retransmissions
	// included, whether or not they were captured.
	Payload [2]uint64
	// IPBytes counts bytes of the IP packets: of what Bytes counts, without link headers, padding and,
	// of a flow in a tunnel, all that is around its own IP packet. They are as the IP headers say, also
	// if the capture or the wire had less. With DetailIPBytes, for packets of which the headers are read.
	IPBytes [2]uint64
	// Late counts packets after the end, and with DetailLateBytes LateBytes their bytes on the wire and
	// LateIPBytes those of their IP packets; they are in none of the others.
	Late, LateBytes, LateIPBytes [2]uint64
	// First and Last are the timestamps of the first packet and of the latest; set if
	// Packets is not 0. A timestamp ahead of the clock, which nothing confirmed, gives way to
	// that of the flow's next packet.
	First, Last [2]Timestamp
	// Flags is the union of TCP flags.
	Flags [2]TCPFlags
	// Retransmitted counts TCP segments all of whose payload their side had sent before, and
	// RetransmittedBytes that payload; with DetailTCP.
	Retransmitted, RetransmittedBytes [2]uint64
	// FIN is the time of each side's first FIN, 0 if there was none; with DetailTCP.
	FIN [2]Timestamp
	// Streams counts what became of the bytes of each side; a FlowDriver fills
	// it.
	Streams [2]StreamStats
	// SYNToSYNACK and SYNACKToACK are the two halves of the TCP handshake's
	// round trip as seen from where the capture was made, each from the last
	// transmission of the one to the first of the other; 0 if not seen. Neither
	// says more than 39 hours.
	SYNToSYNACK, SYNACKToACK time.Duration
	// Midstream is set if a TCP flow was under way when first seen.
	Midstream bool
	// Tunnel and TunnelID are the tunnel of the flow's first packet: the innermost tunnel that has
	// an identifier, or if none has, the innermost. The constants of Tunnel say what the identifier
	// is. Both are 0 if the extractor peels off nothing.
	Tunnel   Tunnel
	TunnelID uint32
	// ICMPType and ICMPCode are those of an ICMP or ICMPv6 flow's first packet, if a built-in extractor
	// read it.
	ICMPType, ICMPCode uint8

	// What follows is known of the flow's first packet, with DetailOrigin. If a connection was found
	// behind another one of the same ends, it is the packet that showed it.

	// VLAN is the outermost VLAN identifier; 0 for none.
	VLAN uint16
	// Interface is PacketView.Interface.
	Interface uint32
	// MAC are the Ethernet addresses at the initiator's side and at the responder's, outside of any
	// tunnel; zeros on other links.
	MAC [2][6]byte
	// Outer are the outermost IP addresses and ports if the packet came in a tunnel over IP: A is the
	// initiator's end of the tunnel, B the responder's, and Proto its protocol. The zero key is none.
	Outer FiveTupleKey

	again uint8 // how many flows before it have its key and start; see UID
}

// Sub is what was counted since an earlier state of the same flow, such as that of the report before:
// the counters are differences, and all else is as in s.
func (s *FlowStats) Sub(earlier *FlowStats) FlowStats {
	d := *s
	d.each(earlier, func(to *uint64, n uint64) { *to -= n })
	return d
}

// Add is the sum of two flows, or of two parts of one: counters are added, the times are the first and
// last of both, and Flags is the union. All else is as in s, unless s is a flow of no packets.
func (s *FlowStats) Add(other *FlowStats) FlowStats {
	sum := *s
	if s.Packets == [2]uint64{} {
		sum = *other
		sum.each(s, func(to *uint64, n uint64) { *to += n })
		return sum
	}
	for i := range sum.Packets {
		switch {
		case other.Packets[i] == 0:
		case s.Packets[i] == 0:
			sum.First[i], sum.Last[i] = other.First[i], other.Last[i]
		default:
			sum.First[i], sum.Last[i] = min(s.First[i], other.First[i]), max(s.Last[i], other.Last[i])
		}
		if sum.FIN[i] == 0 || other.FIN[i] != 0 && other.FIN[i] < sum.FIN[i] {
			sum.FIN[i] = other.FIN[i]
		}
		sum.Flags[i] |= other.Flags[i]
	}
	sum.each(other, func(to *uint64, n uint64) { *to += n })
	return sum
}

// each calls do for each counter, with that of other.
func (s *FlowStats) each(other *FlowStats, do func(to *uint64, n uint64)) {
	for i := range s.Packets {
		do(&s.Packets[i], other.Packets[i])
		do(&s.Bytes[i], other.Bytes[i])
		do(&s.IPBytes[i], other.IPBytes[i])
		do(&s.Payload[i], other.Payload[i])
		do(&s.Late[i], other.Late[i])
		do(&s.LateBytes[i], other.LateBytes[i])
		do(&s.LateIPBytes[i], other.LateIPBytes[i])
		do(&s.Retransmitted[i], other.Retransmitted[i])
		do(&s.RetransmittedBytes[i], other.RetransmittedBytes[i])
		a, b := &s.Streams[i], &other.Streams[i]
		do(&a.Delivered, b.Delivered)
		do(&a.Gaps, b.Gaps)
		do(&a.GapBytes, b.GapBytes)
		do(&a.DroppedSegments, b.DroppedSegments)
		do(&a.DroppedBytes, b.DroppedBytes)
		do(&a.Conflicts, b.Conflicts)
	}
}

// TunnelString is the tunnel as a text, as in "vxlan:77", or "ipip" if there is no
// identifier, or "" for no tunnel.
func (s *FlowStats) TunnelString() string { return tunnelString(s.Tunnel, s.TunnelID) }

// StreamStats counts the bytes of one side of a connection by what happened to them.
// Delivered + GapBytes is the final offset of the stream, unless the caller
// stopped it.
type StreamStats struct {
	Delivered       uint64 // bytes handed on
	Gaps, GapBytes  uint64 // holes given up, and their bytes
	DroppedSegments uint64 // segments that a Reassembler dropped
	DroppedBytes    uint64 // bytes that were dropped for want of room
	Conflicts       uint64 // copies of the same bytes that differed
}

// Start is the time of the first packet of either side.
func (s *FlowStats) Start() Timestamp { return s.edge(&s.First, -1) }

// End is the time of the last packet of either side.
func (s *FlowStats) End() Timestamp { return s.edge(&s.Last, 1) }

// edge picks the earlier (sign < 0) or later of two times of sides that have
// packets.
func (s *FlowStats) edge(t *[2]Timestamp, sign int) Timestamp {
	switch {
	case s.Packets[Responder] == 0:
		return t[Initiator]
	case s.Packets[Initiator] == 0, t[Responder] < t[Initiator] == (sign < 0):
		return t[Responder]
	}
	return t[Initiator]
}

// History is the life of a TCP flow in letters, those of Zeek's conn.log:
// upper case for the initiator, lower case for the responder.
//
//	S  a SYN without ACK          T  payload sent again, or out of order
//	H  a SYN with ACK             W  a zero window
//	A  an ACK with nothing else   ^  the answer was captured before the SYN
//	D  payload                    G  a gap in the stream (FlowDriver)
//	F  a FIN                      I  flags that contradict each other
//	R  a RST                      C  a wrong checksum (see Config.Checksums)
//
// S, H, A, D, F, R, I and C stand once for each side, at their first occurrence;
// T, W and G stand again at the 10th, 100th, ... occurrence. After 16
// letters nothing is added. Flows without TCP have none.
type History struct{ letters history.Letters }

// String is the letters, as in "ShADadFf".
func (h History) String() string {
	b, _ := h.AppendText(make([]byte, 0, 16))
	return string(b)
}

// AppendText appends what String gives.
func (h History) AppendText(b []byte) ([]byte, error) { return h.letters.AppendTo(b), nil }

// MarshalText is what String gives.
func (h History) MarshalText() ([]byte, error) { return h.AppendText(nil) }

// UnmarshalText takes what String gives: up to 16 of the letters.
func (h *History) UnmarshalText(text []byte) error {
	letters, ok := history.Pack(text)
	if !ok {
		return notText("History", text)
	}
	h.letters = letters
	return nil
}
