// Package tcp follows one TCP connection from outside: it gets the numbers and flags of each
// segment, in the order of capture, and reports what changed.
//
//	initiator                 responder        State
//	    | ---- SYN ---------------> |          SynSent
//	    | <--- SYN+ACK ------------ |          SynReceived
//	    | ---- ACK ---------------> |          Established
//	    | ---- data, FIN ---------> |          FinWait      (half closed)
//	    | <--- ACK, data, FIN ----- |          ClosingTCP   (both have sent a FIN)
//	    | ---- ACK ---------------> |          Closed
//
// A connection is two halves, one per sender. Each half counts 64-bit
// positions: 0 is the byte after the SYN or, when the SYN was not captured, the
// first byte the observer knows of. The FIN takes one position after the last
// byte.
//
// The observer may miss packets, may see one side only, and may get forged segments. So a segment is a
// claim of its sender, and what the peer acknowledges makes it a fact. judge (segment.go) says what a
// receiver makes of the numbers of a segment; what is not certain is a doubt (doubt.go), with the
// segments that wait for a decision (held.go); and other numbers of the same ends are a rival (rival.go).
//
// The package has no table and no clock, and knows bytes only as something that is held.
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

// Bits of Segment.Options, as in internal/decode.
const (
	OptSACKPermitted = 1 << iota // of a SYN (RFC 2018 section 2)
	OptTimestamps                // RFC 7323 section 3
	OptMD5                       // RFC 2385
	OptAO                        // RFC 5925
	OptBadLength                 // no option: the IP length goes beyond the end of the frame

	signatures = OptMD5 | OptAO
)

// Side says who sent a segment: the initiator, who opened the connection, or the responder.
type Side uint8

// The sides.
const (
	Initiator Side = 0
	Responder Side = 1
)

// Segment is the TCP header of one packet, as far as it is needed here. Some fields stand in another order
// than in the header that they are copied from, so that the compiler does not join the loads of a copy into
// one: a load of bytes that two stores have just written waits for both, and for all before them.
type Segment struct {
	Ack, Seq       uint32
	Len            uint32 // payload bytes on the wire, captured or not
	Window         uint16 // as in the header, unscaled
	Flags          uint8
	HasWindowScale bool
	WindowScale    uint8  // of a SYN's option, valid with HasWindowScale
	Options        uint8  // OptTimestamps and others
	TimestampEcho  uint32 // TSecr, likewise
	Timestamp      uint32 // TSval, with OptTimestamps
	Time           int64  // when the packet came
}

// State is the state of a connection. The zero State is Active: under way with
// no handshake seen, which is also where every connection starts.
type State uint8

// The states, in the order of a connection's life.
const (
	Active      State = iota
	SynSent           // the initiator's SYN was seen
	SynReceived       // the responder's SYN was seen, with or without the initiator's
	Established       // both SYNs are acknowledged
	FinWait           // one side has sent a FIN
	ClosingTCP        // both sides have
	Closed            // both FINs are acknowledged
	Reset             // a RST was believed
	Aborted           // ended from outside; never reached by segments
)

// Note is a set of remarks about a segment.
type Note uint32

const (
	// Retransmission: all of the payload was seen before.
	Retransmission Note = 1 << iota
	// OutOfOrder: the payload ends at or below the highest position seen, but lies at least partly
	// behind the beginning of a hole, so it may close the hole.
	OutOfOrder
	// KeepAlive: at most one byte just below the next expected number, while
	// no byte is known to be unacknowledged (RFC 9293 section 3.8.4). The byte
	// is no data.
	KeepAlive
	// Hole: payload or a FIN beyond the highest position seen, so bytes are missing.
	Hole
	// OutOfWindow: at or beyond the edge of the receiver's window, or so far away that it cannot
	// belong to this connection.
	OutOfWindow
	// ZeroWindow: the sender cannot receive more bytes.
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
	// ImplausibleRST: a reset at a number at which the receiver does not stand, so that it would not
	// have believed it (RFC 5961 section 3).
	ImplausibleRST
	// FINConflict: a FIN at another position than that which was accepted, or at one that bytes have, or
	// that more is acknowledged than.
	FINConflict
	// DataAfterFIN: payload beyond the position of the FIN.
	DataAfterFIN
	// ImplausibleACK: acknowledges bytes that cannot have been sent, or were acknowledged long ago.
	// No receiver accepts such a segment (RFC 5961 section 5).
	ImplausibleACK
	// DataBeforeHandshake: payload from a responder that has not answered the
	// SYN yet.
	DataBeforeHandshake
	// NoACK: payload or a FIN without the ACK flag, which no receiver accepts
	// (RFC 9293 section 3.10.7.4).
	NoACK
	// UnseenACK: acknowledges bytes that were not seen (yet).
	UnseenACK
	// WindowProbe: one byte sent into a closed window. It becomes data if the
	// peer acknowledges it before another copy arrives, and is void otherwise
	// (RFC 9293 section 3.8.6.1).
	WindowProbe
	// Untimely: a timestamp older than those that the receiver has taken (RFC 7323 section 5.3), or a
	// signature that the SYNs do not have, or lack (RFC 2385, RFC 5925).
	Untimely
	// ResetPending: a reset at a number at which the receiver may stand, but need not.
	ResetPending
	// ResetRevoked: such a reset was not believed by its receiver.
	ResetRevoked
	// Reanchored: acknowledges another SYN of the other side than the one from which its positions
	// were counted; from now on they are counted from that one.
	Reanchored
)

// Outcome is what a segment changed.
type Outcome struct {
	// Pos is the position of the first payload byte in its half. It may lie
	// below 0.
	Pos int64
	// From and To are the states before and after.
	From, To State
	// Established is set once, by the segment that completes the handshake.
	Established bool
	// Placed is set if Pos is known and the payload belongs there, as far as it lies below the FIN
	// (Conn.FINPosition). If unset, the payload is not part of the stream, unless it is held and
	// becomes so later.
	Placed bool
	// End is the position behind the last payload byte that belongs there: those beyond the edge of the
	// receiver's window do not.
	End int64
	// Hold is set if the segment has to be held, see Doubts.Hold: its payload, or the part behind End,
	// counts once it is acknowledged.
	Hold bool
	word bool // held only because its ACK is a first word
	// Confirms is set if a first word about the bytes of the segment's own sender counts from now on:
	// their sender goes on exactly there, or the segment that carried the word is acknowledged.
	Confirms bool
	// Rival says whether the segment is one of a rival.
	Rival RivalVerdict
	// Notes are remarks about the segment.
	Notes Note
}

// Ended reports whether the segment closed or reset the connection.
func (o *Outcome) Ended() bool { return o.To >= Closed && o.From < Closed }
