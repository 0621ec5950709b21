package flowscope

import (
	"bytes"
	"strings"
	"time"

	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// EventKind says what an event is about, and which of its fields are set.
//
// All events carry Kind, Timestamp and, unless they concern the tracker as a
// whole, Flow, Key, L4, State and Packet. Beyond these:
//
//	Kind         Side Orientation  further fields
//	Started       x       x
//	Packet        x       x        Bytes (transport payload), Len (bytes on the wire, of all fragments)
//	Established   x       x
//	StateChange   x       x        From
//	Data          x       x        Bytes, Offset, Len
//	Gap           x       x        Offset, Len, Cause
//	SideClosed    x       x        Offset (where the stream ended), Reason if the flow's end closed it
//	Urgent        x       x        Offset
//	Anomaly       x       x        Anomaly, Offset, Len; see AnomalyKind
//	Ended                 x        Reason, Stats, History
//	Late          x       x        Bytes, Len (as Packet)
//	Released              x        Reason, Stats, History
//	ICMPError     x       x        ICMPType, ICMPCode; Side sent the packet that is quoted
//	Message       x       x        Message
//
// The orientation of Ended and Released is that of the initiator's packets.
//
// In one call of Track the order is: what time brings about (holes whose time is
// up: Gap, Data, SideClosed, Anomaly) and flows that had to leave (their last
// bytes, Ended, Released), then for the packet's own flow Started,
// Established or StateChange (after Established if both), Packet, then for each
// side Urgent, Data and Gap by offset, SideClosed, then Anomaly, Ended. Anomalies
// that concern no flow come last. A flow whose hole was given up and that then had
// to leave in the same call goes through this order twice. ICMPError is about another flow
// than the packet's own, and stands alone. Late and Released are the only kinds
// that may follow the Ended of their flow.
type EventKind uint8

const (
	// EventStarted: a flow begins with this packet.
	EventStarted EventKind = iota + 1
	// EventPacket: a packet of the flow. Its first one has this event too. One
	// without Bytes may be a first fragment whose datagram is not complete, or a
	// packet with a wrong checksum.
	EventPacket
	// EventEstablished: the TCP handshake is complete.
	EventEstablished
	// EventStateChange: the TCP state went from From to State.
	EventStateChange
	// EventData: bytes of a TCP stream, in order.
	EventData
	// EventGap: bytes of a TCP stream that will not come.
	EventGap
	// EventSideClosed: one side of a TCP stream is complete. With a Reassembler of
	// the caller's it comes at the end of the flow.
	EventSideClosed
	// EventUrgent: the sender pointed out the byte before Offset as urgent. The
	// byte itself stays in its place in the stream.
	EventUrgent
	// EventAnomaly: something that should not be. Off by default.
	EventAnomaly
	// EventEnded: the flow is over. Every EventStarted has exactly one.
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
	// EventMessage: a parser of NewFlowSessionDriver has found something.
	EventMessage

	numEventKinds
)

var eventNames = [numEventKinds]string{
	EventStarted: "started", EventPacket: "packet", EventEstablished: "established", EventStateChange: "state_change",
	EventData: "data", EventGap: "gap", EventSideClosed: "side_closed", EventUrgent: "urgent", EventAnomaly: "anomaly",
	EventEnded: "ended", EventLate: "late", EventReleased: "released", EventICMPError: "icmp_error",
	EventMessage: "message",
}

// String is a short name, such as "state_change".
func (k EventKind) String() string { return nameOf(eventNames[:], int(k)) }

func nameOf(names []string, i int) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return "unknown"
}

// EventMask is a set of event kinds.
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
	DefaultEvents = AllEvents &^ (1<<EventAnomaly | 1<<EventLate | 1<<EventReleased)
)

// String lists the kinds, such as "started|ended"; it is "none" for NoEvents and
// "default" for the 0 of Config.
func (m EventMask) String() string {
	if m == 0 {
		return "default"
	}
	var kinds []string
	for k := EventKind(1); k < numEventKinds; k++ {
		if m.Has(k) {
			kinds = append(kinds, k.String())
		}
	}
	if m&^AllEvents != 0 {
		kinds = append(kinds, "unknown")
	}
	if kinds == nil {
		return "none"
	}
	return strings.Join(kinds, "|")
}

// Has reports whether the mask contains the kind.
func (m EventMask) Has(k EventKind) bool { return m&(1<<k) != 0 && k != 0 }

// FlowID numbers the flows of a tracker from 1 in the order of their creation.
// It is never used again, so it tells two connections of one key apart.
type FlowID uint64

// FlowSide is a role in the conversation: who began it, and who answered. A TCP
// initiator is the one who sent the SYN, even if the answer was captured first;
// otherwise it is the sender of the flow's first packet. Sides index the pairs
// in FlowStats.
type FlowSide uint8

const (
	Initiator FlowSide = FlowSide(tcp.Initiator)
	Responder FlowSide = FlowSide(tcp.Responder)
)

// String is "initiator" or "responder".
func (s FlowSide) String() string {
	if s == Initiator {
		return "initiator"
	}
	return "responder"
}

// Opposite is the other side.
func (s FlowSide) Opposite() FlowSide { return s ^ 1 }

// FlowState is where a flow stands. Flows without TCP, and TCP flows that were
// under way when first seen, are Active until they close; a new connection is so
// before its SYN, which shows in From of its first StateChange.
type FlowState uint8

const (
	StateActive      = FlowState(tcp.Active)
	StateSynSent     = FlowState(tcp.SynSent)     // the initiator has sent a SYN
	StateSynReceived = FlowState(tcp.SynReceived) // the responder has sent one too
	StateEstablished = FlowState(tcp.Established) // both SYNs are acknowledged
	StateFinWait     = FlowState(tcp.FinWait)     // one side has sent a FIN
	StateClosingTCP  = FlowState(tcp.ClosingTCP)  // both have; an ACK is outstanding
	StateClosed      = FlowState(tcp.Closed)      // both FINs are acknowledged
	StateReset       = FlowState(tcp.Reset)       // cut by a RST
	StateAborted     = FlowState(tcp.Aborted)     // ended from outside
)

var stateNames = []string{
	"active", "syn_sent", "syn_received", "established", "fin_wait", "closing_tcp", "closed", "reset", "aborted",
}

// String is a short name, such as "syn_sent".
func (s FlowState) String() string { return nameOf(stateNames, int(s)) }

// IsTerminal reports whether a flow in this state has ended.
func (s FlowState) IsTerminal() bool { return s >= StateClosed }

// EndReason says why a flow ended.
type EndReason uint8

const (
	// EndFIN: both sides said FIN. If the last ACK was never seen, the flow
	// ends so after Config.ClosingTimeout.
	EndFIN EndReason = iota + 1
	// EndRST: one side cut the connection.
	EndRST
	// EndIdleTimeout: silent for its whole time-out.
	EndIdleTimeout
	// EndEvicted: the table was full.
	EndEvicted
	// EndBufferOverflow: a reassembler ran full under OverflowDropFlow.
	EndBufferOverflow
	// EndReused: a new connection took over its addresses and ports.
	EndReused
	// EndForceClosed: ForceClose was called.
	EndForceClosed
	// EndFinished: the capture was over; Finish was called.
	EndFinished

	numEndReasons
)

var reasonNames = [numEndReasons]string{
	EndFIN: "fin", EndRST: "rst", EndIdleTimeout: "idle", EndEvicted: "evicted", EndBufferOverflow: "buffer_overflow",
	EndReused: "reused", EndForceClosed: "force_closed", EndFinished: "finished",
}

// String is a short name, such as "fin".
func (r EndReason) String() string { return nameOf(reasonNames[:], int(r)) }

// lingers reports whether packets may still come after such an end that must
// not look like a new flow.
func (r EndReason) lingers() bool {
	return r == EndFIN || r == EndRST || r == EndForceClosed || r == EndBufferOverflow
}

// FlowEvent is one thing that happened. Which fields are set depends on Kind;
// see EventKind.
//
// The slice that holds events, and what their Bytes and Stats refer to, are
// lent: they are good until the next call on the tracker or, for Bytes, until
// the caller reuses the packet's frame, whichever is first. Clone keeps one.
type FlowEvent[K comparable] struct {
	Kind        EventKind
	Side        FlowSide
	Orientation Orientation
	L4          L4Proto
	State, From FlowState
	Reason      EndReason
	Anomaly     AnomalyKind
	Cause       GapCause
	// ICMPType and ICMPCode are those of the message, of ICMP if the flow is one
	// of IPv4 and of ICMPv6 otherwise.
	ICMPType, ICMPCode uint8
	slot               flowtable.ID

	// Flow is the flow's number, 0 in events about the tracker as a whole.
	Flow FlowID
	// Packet is the PacketView.ID of the packet that caused the event; 0 if
	// time alone did. Of Data it is the packet that brought the bytes, which may have
	// come long before that which let go of them.
	Packet uint64
	// Timestamp is the time of that packet on the tracker's clock: its own
	// stamp, unless that ran backwards or leapt ahead. So within a call that of Data
	// may lie before those of the events around it.
	Timestamp Timestamp
	Key       K
	Bytes     []byte
	// Offset counts the bytes of the side's stream; 0 is the byte after the
	// SYN or the first byte seen.
	Offset int64
	// Len is the length of what the event is about: bytes on the wire of a Packet or
	// Late, bytes of the stream of Data and Gap, see AnomalyKind for an Anomaly.
	Len int64
	// Stats are the flow's final counters.
	Stats *FlowStats
	// History is the flow in letters.
	History History
	// Message is what was said, of EventMessage. Its memory is lent, as that of Bytes is.
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
	// Late counts packets after the end; they are in none of the others.
	Late [2]uint64
	// First and Last are the times of the first and last packet; set if
	// Packets is not 0.
	First, Last [2]Timestamp
	// Flags is the union of TCP flags.
	Flags [2]TCPFlags
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
	// Tunnel and TunnelID are what the flow's first packet came through: the
	// innermost tunnel that has an identifier, or if none has, the innermost.
	// What TunnelID is depends on the kind; see the constants. Both are 0 if the
	// extractor peels off nothing.
	Tunnel   Tunnel
	TunnelID uint32
}

// TunnelString is the tunnel in words, as in "vxlan:77", or "ipip" if there is no
// identifier, or "" for no tunnel.
func (s *FlowStats) TunnelString() string { return tunnelString(s.Tunnel, s.TunnelID) }

// StreamStats counts what became of the bytes of one side of a connection.
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

// History tells the life of a TCP flow in letters, those of Zeek's conn.log:
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
type History struct{ letters [16]byte }

// String is the letters, as in "ShADadFf".
func (h History) String() string { return string(h.letters[:h.len()]) }

func (h *History) len() int {
	if n := bytes.IndexByte(h.letters[:], 0); n >= 0 {
		return n
	}
	return len(h.letters)
}
