// Package direction follows the two directions of a TCP connection: it decides which of the bytes that
// a side sent are data, puts them in order, and says when the direction is closed. A direction is the
// stream of one sender.
//
// It gets each segment, with its place in the connection, and appends results to a list: bytes, gaps,
// anomalies, the end. It knows no flow, no event and no counter of its caller, and calls nobody.
//
// # The picture
//
//	position     0   1                                          fin
//	             |SYN|ddddddddddddddd.....hhhhhhhhh.............|FIN|
//	                  delivered      hole  held
//
//	segment -->  ACK of the other direction's bytes -->  payload  -->  FIN      Streams.Segment
//	time    -->  holes whose timeout has passed                                 Streams.Expire
//	             all before the FIN delivered or given up: closed               Streams.Close
//	             the flow is over: the rest                                     Streams.End
//
// Inside, position 0 is the SYN itself and byte 0 of the payload is position 1: so the payload of a SYN
// that is not acknowledged yet is early data, and held as such. Results count as the callers do: 0 is
// the byte after the SYN.
//
// Not every byte is data when it comes. The payload of a SYN is held until the other side acknowledges
// it (RFC 7413 section 4.2), and so are bytes that a receiver need not take (conditional.go). Each has a
// file of its own, as have holes and ends.
//
// # Fast paths
//
// Most segments are the next ones of a direction in which nothing is pending. For these a Direction has
// a mark, and Advance is all there is to do. Every method of Streams that may change the mark leaves it
// right. The second fast path, Streams.Turn, is for segments without payload where nothing is held: for the
// beginning and the end of a connection. The third, Streams.BehindHole, is for what follows behind a hole;
// Shortcut asks it about a segment that the connection did not follow by the shortest way.
package direction

import (
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Direction is the stream of one sender of a connection, with the payload of a SYN that is not data yet.
// The zero value has seen nothing. It holds no pointers, and its early bytes
// lie in an arena: release them with Streams.End or Stop.
//
// The fields that the fast path reads stand first, bits and the stream's next position.
type Direction struct {
	bits      bits
	Unheard   bool   // the owner's: a parser has stopped the side, for all parsers
	conflicts uint16 // 65,535 stands for more
	// Reassembler is the owner's: which reassembler of its caller gets the segments of the direction; 0
	// is none. With one, ACKs are always reported, and the direction is closed by End alone.
	Reassembler uint32
	Holey
	gapBytesLo uint32 // gapBytes has 48 bits
	gapBytesHi uint16
	SessionRef uint16 // the owner's, and not looked at here
	gaps       uint32
}

// Pair are the directions of a connection, by the side that sends.
type Pair [2]Direction

type bits uint8

const (
	synPassed   bits = 1 << iota // the stream is beyond the SYN's own position
	synDataHeld                  // payload of the SYN is held until it is acknowledged
	closed                       // Closed was reported
	stopped                      // nobody wants more bytes; see Streams.Stop
	finPending                   // a FIN was accepted, and is not confirmed yet
	dispatched                   // there was a Segment
	fastPathOn                   // see Pair.updateFastPath
)

// Counters are how many bytes were delivered, how many gaps there were and how many bytes in them, and
// how many conflicts.
func (d *Direction) Counters() (delivered, gaps, gapBytes, conflicts uint64) {
	gapBytes = d.gapBytes()
	return uint64(max(d.stream.Next()-1, 0)) - gapBytes, uint64(d.gaps), gapBytes, uint64(d.conflicts)
}

// gapBytes is how many bytes were given up, up to 256 TiB.
func (d *Direction) gapBytes() uint64 { return uint64(d.gapBytesHi)<<32 | uint64(d.gapBytesLo) }

func (d *Direction) countGap(n int64) {
	sum := min(d.gapBytes()+uint64(n), 1<<48-1)
	d.gaps++
	d.gapBytesLo, d.gapBytesHi = uint32(sum), uint16(sum>>32)
}

// Closed reports whether the end of the direction was reported.
func (d *Direction) Closed() bool { return d.bits&closed != 0 }

// Stopped reports whether nobody wants more bytes.
func (d *Direction) Stopped() bool { return d.bits&stopped != 0 }

// HasBuffer reports whether bytes are held, or known to be missing.
func (d *Direction) HasBuffer() bool { return d.stream.HasBuffer() }

// InUse reports whether the direction has a buffer or a reassembler.
func (d *Direction) InUse() bool { return d.Reassembler != 0 || d.stream.HasBuffer() }

// Untouched reports whether nothing happened to the direction.
func (d *Direction) Untouched() bool { return d.bits == 0 && !d.InUse() }

// Done reports whether nothing is left to do for the end of the direction: it is closed.
func (d *Direction) Done() bool { return d.bits&closed != 0 && !d.InUse() }

// streamIgnoresACKs reports whether an ACK of this direction's bytes changes nothing for its stream.
func (d *Direction) streamIgnoresACKs() bool {
	return d.bits&stopped != 0 ||
		!d.stream.HasBuffer() && d.bits&(synDataHeld|finPending) == 0 && d.acked <= d.stream.Next()
}

// ignoresACK reports whether the ACK of a segment of the other direction changes nothing for this one.
func (d *Direction) ignoresACK(o *tcp.Outcome) bool {
	return d.Reassembler == 0 && d.streamIgnoresACKs() && o.Notes&tcp.UnseenACK == 0
}

// restart drops all bytes: the positions of this direction are counted anew.
func (d *Direction) restart(a *stream.Arena) {
	a.Drop(&d.stream)
	d.stream = stream.Stream{}
	d.bits &^= synDataHeld | synPassed
}

// Touch reads a word of each cache line of a pair. The sum means nothing.
func (p *Pair) Touch() uint64 { return uint64(p[0].bits) + uint64(p[1].bits) }
