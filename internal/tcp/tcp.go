// Package tcp follows one TCP connection from outside: it is shown the numbers
// and flags of each segment, in the order of capture, and says what changed.
//
//	initiator                 responder        State
//	    | ---- SYN ---------------> |          SynSent
//	    | <--- SYN+ACK ------------ |          SynReceived
//	    | ---- ACK ---------------> |          Established
//	    | ---- data, FIN ---------> |          FinWait      (half closed)
//	    | <--- ACK, data, FIN ----- |          ClosingTCP   (both have said FIN)
//	    | ---- ACK ---------------> |          Closed
//
// A connection is two halves, one per sender. Each half counts 64-bit
// positions: 0 is the byte after the SYN or, when the SYN was not captured, the
// first byte the observer knows of. The FIN takes one position after the last
// byte. The observer may have missed packets, may see one side only, and may be
// lied to, so no number here is trusted without a reason.
//
// The package holds no packets, no bytes, no table and no clock.
package tcp

// Flag bits of the TCP header (RFC 9293 section 3.1).
const (
	FIN = 0x01
	SYN = 0x02
	RST = 0x04
	PSH = 0x08
	ACK = 0x10
	URG = 0x20
	ECE = 0x40
	CWR = 0x80
)

// Side names a half: the one who opened the connection or the one who answered.
type Side uint8

// The sides.
const (
	Initiator Side = 0
	Responder Side = 1
)

// Segment is what one packet says.
type Segment struct {
	Seq, Ack       uint32
	Len            uint32 // payload bytes on the wire, captured or not
	Window         uint16 // as in the header, unscaled
	Flags          uint8
	WindowScale    uint8 // of a SYN's option, valid with HasWindowScale
	HasWindowScale bool
}

// State is the life of a connection. The zero State is Active: under way with
// no handshake seen, which is also where every connection starts.
type State uint8

// The states, in the order of a connection's life.
const (
	Active      State = iota
	SynSent           // the initiator's SYN was seen
	SynReceived       // the responder's too, or at least that one
	Established       // both are acknowledged
	FinWait           // one side has said FIN
	ClosingTCP        // both have
	Closed            // and both FINs are acknowledged
	Reset             // a RST was believed
	Aborted           // ended from outside; never reached by segments
)

// Note marks what is remarkable about a segment. Several may be set.
type Note uint32

const (
	// Retransmission: all of the payload was seen before.
	Retransmission Note = 1 << iota
	// OutOfOrder: the payload reaches no further than what was seen, but some
	// of it stands behind a hole, so it may close that.
	OutOfOrder
	// KeepAlive: at most one byte just below the next expected number, while
	// nothing is known to be unacknowledged (RFC 9293 section 3.8.4). The byte
	// is no data.
	KeepAlive
	// Hole: payload or a FIN beyond what was seen, so bytes are missing.
	Hole
	// OutOfWindow: so far ahead, or behind, that it cannot belong to this
	// connection.
	OutOfWindow
	// ZeroWindow: the sender cannot take more bytes.
	ZeroWindow
	// StraySYN: a SYN that does not fit the connection.
	StraySYN
	// RepeatedSYN: a SYN, or SYN+ACK, sent again.
	RepeatedSYN
	// BadSYNACK: a SYN+ACK that acknowledges no SYN that was seen.
	BadSYNACK
	// SYNDataIgnored: acknowledges the other side's SYN but not the data in
	// it, which is void (RFC 7413 section 4.2).
	SYNDataIgnored
	// ImplausibleRST: a reset that the receiver would not have believed
	// (RFC 5961 section 3).
	ImplausibleRST
	// FINConflict: a FIN at another position than the first.
	FINConflict
	// DataAfterFIN: payload beyond the position of the FIN.
	DataAfterFIN
	// ImplausibleACK: acknowledges what cannot have been sent, or was long
	// acknowledged. No receiver takes such a segment (RFC 5961 section 5).
	ImplausibleACK
	// DataBeforeHandshake: payload from a responder that has not answered the
	// SYN yet.
	DataBeforeHandshake
	// NoACK: payload or a FIN without the ACK flag, which no receiver takes
	// (RFC 9293 section 3.10.7.4).
	NoACK
	// UnseenACK: acknowledges bytes that were not seen (yet).
	UnseenACK
	// WindowProbe: one byte sent into a closed window. It becomes data if the
	// peer acknowledges it before another copy arrives, and is void otherwise
	// (RFC 9293 section 3.8.6.1).
	WindowProbe
	// Reanchored: acknowledges another SYN of the other side than the one that
	// its positions were counted from; they begin anew.
	Reanchored
)

// Outcome says what a segment changed.
type Outcome struct {
	// Pos is the position of the first payload byte in its half. It may lie
	// below 0.
	Pos int64
	// From and To are the states before and after.
	From, To State
	// Established is set once, by the segment that completes the handshake.
	Established bool
	// Placed is set when Pos is known and payload may be put there, as far as
	// it lies below the FIN (Conn.FINAt). Unset, the payload is nobody's.
	Placed bool
	// Notes is what is remarkable.
	Notes Note
}

// Ended reports whether the segment closed or reset the connection.
func (o *Outcome) Ended() bool { return o.To >= Closed && o.From < Closed }
