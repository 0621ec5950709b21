package flowscope

import (
	"cmp"
	"iter"
	"math"
	"time"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/direction"
	"github.com/flowscope-go/flowscope/internal/stream"
)

// Segment is the payload of one TCP segment, as a Reassembler gets it: in the order of arrival, which
// need not be the order of the stream.
type Segment struct {
	// Seq is the number of the first payload byte as on the wire, and Pos the
	// same as a position in the stream that never wraps: 0 is the byte after
	// the SYN, or the first byte seen. It is negative for bytes from before
	// that.
	Seq uint32
	Pos int64
	// Payload is borrowed until Segment returns. Missing is how many bytes of
	// it the capture does not hold.
	Payload []byte
	Missing int
	// Time and Packet are those of the packet.
	Time   Timestamp
	Packet uint64
	// Flags are the segment's flags, and Urgent its urgent pointer, which
	// counts from Pos and matters if FlagURG is set.
	Flags  TCPFlags
	Urgent uint16
	// Unconfirmed is set as long as no packet of the other side was captured: then nothing shows whether the
	// segment was received.
	Unconfirmed bool
}

// Reassembler makes a stream of the segments of one side of one TCP connection. It puts its results
// into out: data, gaps, and what it dropped. The driver makes events and counters of them.
//
// Its methods must not use out after they return. The driver's Track, TrackBatch, Sweep and Finish do
// nothing if one of them calls them, or the factory, and count in NestedCalls. They may call ForceClose, Stop (with a clone of an event) and methods that change
// nothing.
//
// It is made at the first payload of its side. It does not get payload that no receiver would accept:
// of a RST, of a SYN before it is acknowledged, outside the window.
type Reassembler interface {
	// Segment handles the next segment, whose Payload is not empty.
	Segment(s Segment, out *Delivery)
	// Fin is called at the end of the flow if both sides sent a FIN, the flow timed out, or the
	// capture ended first. No call follows. It is not called at this side's FIN: in a half-closed
	// connection it is called for both sides at once.
	Fin(out *Delivery)
	// Rst is called at any other end of the flow: reset, evicted, overflowing, replaced, or closed by
	// ForceClose. No call follows.
	Rst(out *Delivery)
}

// Acker may be implemented by a Reassembler that needs the other side's ACKs: all bytes below pos are
// acknowledged. Whether a Reassembler implements it is checked once, when it is made.
type Acker interface {
	Acked(pos int64, now Timestamp, out *Delivery)
}

// Timer may be implemented by a Reassembler that gives up holes after a time. OnTimer is called after
// each Segment and each Acked, and at the time that it returned last; it returns the next one, 0 for
// none. Whether a Reassembler implements it is checked once, when it is made.
type Timer interface {
	OnTimer(now Timestamp, out *Delivery) (next Timestamp)
}

// PieceHandler may be implemented by a Reassembler that embeds a StreamReassembler, to read the stream that
// this makes of the segments. The driver calls HandlePiece with each part of the stream, in order, and at
// the end of the flow once with Piece.End. The handler has the last word: only what it puts into out
// becomes Data and Gap events. Whether a Reassembler implements it is checked once, when it is made.
//
//	type records struct {
//		flowscope.StreamReassembler
//		...
//	}
//
//	func (r *records) HandlePiece(p flowscope.Piece, out *flowscope.Delivery) { ... }
type PieceHandler interface {
	HandlePiece(p Piece, out *Delivery)
}

// ReassemblerFactory makes the Reassembler of one side of a flow. A nil Reassembler leaves that side
// without one: it has no Data and no Gap events, and its SideClosed has offset 0.
type ReassemblerFactory[K comparable] interface {
	NewReassembler(key K, side FlowSide) Reassembler
}

// ReassemblerFunc makes a ReassemblerFactory of a function.
type ReassemblerFunc[K comparable] func(key K, side FlowSide) Reassembler

// NewReassembler calls f.
func (f ReassemblerFunc[K]) NewReassembler(key K, side FlowSide) Reassembler { return f(key, side) }

// Delivery collects the results of one call on a Reassembler. The zero value is ready, so a Reassembler
// can be tested without a driver.
type Delivery struct {
	items  []stream.Item
	drops  []drop
	failed bool
	offset int64 // of the next byte
	time   Timestamp
	packet uint64
	call   uint64  // number of the driver's call; 0 without a driver
	config *Config // the driver's; nil without one
	age    int64   // elapsed time of the call, as the driver's clock has it
	pieces []stream.Item
}

type drop struct {
	kind     AnomalyKind
	segments int
	bytes    int64
}

// Data delivers the next bytes of the stream. They must not change until the next call on the driver:
// they may be bytes of the segment's own payload, or memory that the Reassembler does not write to
// before that call.
func (d *Delivery) Data(b []byte) {
	if len(b) == 0 {
		return
	}
	d.items = append(d.items, stream.Item{
		Kind: stream.Data, Pos: d.offset, Len: int64(len(b)), Bytes: b, Time: int64(d.time), ID: d.packet,
	})
	d.offset += int64(len(b))
}

// Gap reports that the next n bytes of the stream are missing and given up.
func (d *Delivery) Gap(n int64, cause GapCause) {
	if n <= 0 || n > 1<<62-d.offset {
		return
	}
	d.items = append(d.items, stream.Item{Kind: stream.Gap, Cause: stream.GapCause(cause), Pos: d.offset, Len: n})
	d.offset += n
}

// Dropped reports that segments, or bytes of one, were dropped. They are counted in FlowStats.Streams
// and reported as an anomaly of that kind: AnomalyOutOfOrderSegment with the number of segments as its
// Len, any other kind with the number of bytes. With AnomalyOutOfOrderSegment the bytes are not
// counted, and with AnomalyConflictingOverlap neither number is: it counts one conflict. To report an
// anomaly without a loss, such as a segment that came early and is held, give 0 segments and 0 bytes;
// its Len is 0.
func (d *Delivery) Dropped(kind AnomalyKind, segments int, bytes int64) {
	d.drops = append(d.drops, drop{kind, segments, bytes})
}

// Fail reports that this stream cannot go on: the driver ends the flow with EndBufferOverflow.
func (d *Delivery) Fail() { d.failed = true }

// Piece is one part of a stream: bytes, or a gap, or its end.
type Piece struct {
	Bytes []byte   // unchanged for as long as Delivery.Data demands
	Gap   int64    // how many bytes will not come; 0 if there are Bytes
	Cause GapCause // of the gap
	End   bool     // the flow has ended: no piece follows
}

// Pieces are the data and gaps so far, in order, for a Reassembler around another.
func (d *Delivery) Pieces() iter.Seq[Piece] {
	return func(yield func(Piece) bool) {
		for i := range d.items {
			if !yield(pieceOf(&d.items[i])) {
				return
			}
		}
	}
}

func pieceOf(it *stream.Item) Piece {
	if it.Kind == stream.Gap {
		return Piece{Gap: it.Len, Cause: GapCause(it.Cause)}
	}
	return Piece{Bytes: it.Bytes}
}

// handOver lets a handler put its own results in place of the data and gaps that are in the Delivery, which
// began at offset. ended says that the flow is over.
func (d *Delivery) handOver(h PieceHandler, offset int64, ended bool) {
	d.pieces, d.items = append(d.pieces[:0], d.items...), d.items[:0]
	d.offset = offset
	for i := range d.pieces {
		if it := &d.pieces[i]; it.Kind == stream.Data {
			d.time, d.packet = Timestamp(it.Time), it.ID
		}
		h.HandlePiece(pieceOf(&d.pieces[i]), d)
	}
	if clear(d.pieces); cap(d.pieces) > keepEvents {
		d.pieces = nil // the memory of a peak is not kept
	}
	if ended {
		h.HandlePiece(Piece{End: true}, d)
	}
}

// Failed reports whether Fail was called.
func (d *Delivery) Failed() bool { return d.failed }

func (d *Delivery) reset(offset int64, now Timestamp, packet uint64) {
	clear(d.items) // keep no frames
	d.items, d.drops = d.items[:0], d.drops[:0]
	d.failed, d.offset, d.time, d.packet = false, offset, now, packet
}

// GapCause says why bytes of a stream were given up.
//
// The constants and their texts; go doc flowscope.GapAcknowledged says more of them:
//
//	GapAcknowledged acknowledged
//	GapExpired      expired
//	GapBudget       budget
//	GapCut          cut
//	GapEnded        ended
type GapCause uint8

const (
	// GapAcknowledged: the receiver acknowledged the bytes, so they were sent but not captured, and
	// will not be sent again.
	GapAcknowledged GapCause = GapCause(stream.Acknowledged)
	// GapExpired: the timeout of the hole passed.
	GapExpired GapCause = GapCause(stream.Expired)
	// GapBudget: there was no room to hold the bytes behind the hole.
	GapBudget GapCause = GapCause(stream.Budget)
	// GapCut: the capture holds only the beginning of the packet.
	GapCut GapCause = GapCause(stream.Cut)
	// GapEnded: the stream is over.
	GapEnded GapCause = GapCause(stream.Ended)
)

// String is a short name, such as "acknowledged".
func (c GapCause) String() string { return gapNames.string(uint16(c)) }

// AppendText appends what String gives.
func (c GapCause) AppendText(b []byte) ([]byte, error) { return gapNames.append(b, uint16(c)), nil }

// MarshalText is what String gives.
func (c GapCause) MarshalText() ([]byte, error) { return c.AppendText(nil) }

// UnmarshalText takes what String gives.
func (c *GapCause) UnmarshalText(text []byte) error { return unmarshal(gapNames, c, text) }

var gapNames = &names{of: "GapCause", text: []string{
	0: "none", GapAcknowledged: "acknowledged", GapExpired: "expired", GapBudget: "budget", GapCut: "cut", GapEnded: "ended",
}}

// OverlapPolicy says which copy of a byte counts where a segment overlaps bytes that are held and not
// delivered yet. A byte belongs to the segment it came in; the arriving segment is compared with the
// whole of that segment as it was sent, also where part of it has been overwritten since. No such rule
// behaves like a real TCP stack in every case; conflicting copies are always reported.
//
// The constants and their texts; go doc flowscope.OverlapFirst says more of them:
//
//	OverlapFirst first
//	OverlapLast  last
//	OverlapLinux linux
type OverlapPolicy uint8

const (
	// OverlapFirst: the bytes that arrived first count.
	OverlapFirst OverlapPolicy = OverlapPolicy(stream.First)
	// OverlapLast: the bytes that arrived last count.
	OverlapLast OverlapPolicy = OverlapPolicy(stream.Last)
	// OverlapLinux: the bytes of the arriving segment count if it begins before the other, or begins
	// with it and ends after it.
	OverlapLinux OverlapPolicy = OverlapPolicy(stream.Linux)
)

var overlapPolicies = &names{of: "OverlapPolicy", choice: true, text: []string{"first", "last", "linux"}}

// String is "first", "last" or "linux".
func (p OverlapPolicy) String() string { return overlapPolicies.string(uint16(p)) }

// AppendText appends what String gives.
func (p OverlapPolicy) AppendText(b []byte) ([]byte, error) {
	return overlapPolicies.append(b, uint16(p)), nil
}

// MarshalText is what String gives.
func (p OverlapPolicy) MarshalText() ([]byte, error) { return p.AppendText(nil) }

// UnmarshalText takes what String gives. The error wraps ErrConfig.
func (p *OverlapPolicy) UnmarshalText(text []byte) error { return unmarshal(overlapPolicies, p, text) }

// OverflowPolicy says what happens when a stream has no room left.
//
// The constants and their texts; go doc flowscope.OverflowSlidingWindow says more of them:
//
//	OverflowSlidingWindow sliding_window
//	OverflowDropFlow      drop_flow
type OverflowPolicy uint8

const (
	// OverflowSlidingWindow loses bytes and goes on: BufferedReassembler drops its oldest bytes, the
	// built-in streams give up their first hole and deliver the bytes behind it.
	OverflowSlidingWindow OverflowPolicy = iota
	// OverflowDropFlow ends the flow with EndBufferOverflow.
	OverflowDropFlow
)

var overflowPolicies = &names{of: "OverflowPolicy", choice: true, text: []string{"sliding_window", "drop_flow"}}

// String is "sliding_window" or "drop_flow".
func (p OverflowPolicy) String() string { return overflowPolicies.string(uint16(p)) }

// AppendText appends what String gives.
func (p OverflowPolicy) AppendText(b []byte) ([]byte, error) {
	return overflowPolicies.append(b, uint16(p)), nil
}

// MarshalText is what String gives.
func (p OverflowPolicy) MarshalText() ([]byte, error) { return p.AppendText(nil) }

// UnmarshalText takes what String gives. The error wraps ErrConfig.
func (p *OverflowPolicy) UnmarshalText(text []byte) error {
	return unmarshal(overflowPolicies, p, text)
}

// BufferedReassembler collects the bytes of one side as long as they come in order, for Take. It is not the
// way to whole streams: a segment that comes early is dropped, and so is everything behind it, so that one
// lost or reordered packet costs the rest of the stream. It serves where nothing is reordered, as in a test
// or behind a proxy, and where memory must be bounded by one number. For whole streams use Conversations, the
// driver's EventData and EventGap, or a StreamReassembler.
//
// The stream begins with the first payload seen. Of a segment that was seen in part, the rest is added;
// a segment without new bytes is a retransmission, not out of order. It delivers no Data: get the bytes
// with Take. The zero value is ready, and holds 1 MiB.
type BufferedReassembler struct {
	max      int // as given: 0 is the default
	policy   OverflowPolicy
	buf      []byte
	from     int // buf[from:] is held; the bytes before it were dropped
	expected uint32
	started  bool
	failed   bool
	dropped  uint64
	repeated uint64
	oversize uint64
}

// NewBufferedReassembler makes a reassembler that holds at most max bytes, and applies the policy when
// more arrive; 0 is 1 MiB, and Unlimited is no limit. Its memory may be twice that, so that a byte that displaces another does
// not move all the others.
func NewBufferedReassembler(max int, policy OverflowPolicy) *BufferedReassembler {
	return &BufferedReassembler{max: max, policy: policy}
}

// Segment implements Reassembler.
func (r *BufferedReassembler) Segment(s Segment, out *Delivery) {
	p := s.Payload
	if len(p) == 0 || r.failed {
		return
	}
	if !r.started {
		r.started, r.expected = true, s.Seq
	}
	switch ahead := int32(s.Seq - r.expected); {
	case ahead > 0:
		r.dropped++
		out.Dropped(AnomalyOutOfOrderSegment, 1, int64(len(p)))
		return
	case ahead < 0 && -int64(ahead) >= int64(len(p)):
		r.repeated++
		return
	case ahead < 0:
		p = p[-int64(ahead):]
	}
	r.expected += uint32(len(p))
	r.add(p, out)
}

func (r *BufferedReassembler) add(p []byte, out *Delivery) {
	limit := cmp.Or(r.max, defaultBuffer)
	excess := r.Buffered() + len(p) - limit
	if limit < 0 || excess <= 0 {
		r.buf = append(r.buf, p...)
		return
	}
	lost := excess
	if r.policy == OverflowDropFlow {
		lost = len(p) // the held bytes count as received
		r.buf, r.from, r.failed = nil, 0, true
		out.Fail()
	} else {
		if len(p) > limit {
			p = p[len(p)-limit:]
		}
		r.from = min(r.from+excess, len(r.buf))
		if r.from >= limit {
			r.buf, r.from = append(r.buf[:0], r.buf[r.from:]...), 0
		}
		r.buf = append(r.buf, p...)
	}
	r.oversize += uint64(lost)
	out.Dropped(AnomalyBufferOverflow, 0, int64(lost))
}

// Fin implements Reassembler.
func (r *BufferedReassembler) Fin(*Delivery) {}

// Rst implements Reassembler.
func (r *BufferedReassembler) Rst(*Delivery) {}

// Take returns the bytes collected since the last Take. They belong to the caller.
func (r *BufferedReassembler) Take() []byte {
	b := r.buf[r.from:]
	r.buf, r.from = nil, 0
	return b
}

// Buffered is how many bytes Take would return.
func (r *BufferedReassembler) Buffered() int { return len(r.buf) - r.from }

// DroppedSegments counts segments that did not continue the stream.
func (r *BufferedReassembler) DroppedSegments() uint64 { return r.dropped }

// Retransmissions counts segments without new bytes.
func (r *BufferedReassembler) Retransmissions() uint64 { return r.repeated }

// BytesDroppedOversize counts bytes dropped because of the limit.
func (r *BufferedReassembler) BytesDroppedOversize() uint64 { return r.oversize }

// Failed reports whether the limit was exceeded under OverflowDropFlow.
func (r *BufferedReassembler) Failed() bool { return r.failed }

// BufferedReassemblerFactory makes BufferedReassemblers, for both sides of every
// flow.
type BufferedReassemblerFactory[K comparable] struct {
	// MaxBuffer is the most bytes one of them holds. 0 means 1 MiB; Unlimited
	// means none.
	MaxBuffer int
	// Overflow is what happens when more arrive.
	Overflow OverflowPolicy
}

// Unlimited is no limit, for a BufferedReassembler and for Conversations. All other limits are always in
// force.
const Unlimited = -1

const defaultBuffer = 1 << 20

// NewReassembler implements ReassemblerFactory.
func (f BufferedReassemblerFactory[K]) NewReassembler(K, FlowSide) Reassembler {
	return NewBufferedReassembler(f.MaxBuffer, f.Overflow)
}

// StreamReassembler does for one side what the driver's built-in streams do, for a Reassembler of the
// caller's that embeds it: it holds early bytes, fills holes, decides overlaps, and gives up holes. The
// caller's type needs one method, HandlePiece of PieceHandler. A type that overrides Segment or another
// method must call the embedded one, and must not leave out Acked and OnTimer, without which holes stay open
// until the end.
//
// The zero value is ready, and takes its limits from the Config of the driver that calls it first, or
// without a driver from the zero Config; NewStreamReassembler makes one with other limits. Each one may hold
// Config.SideBytes of its own, which the driver's TotalBytes does not count. A parser that has to survive
// loss is often simpler on EventData and EventGap, with its state in the flow, or as a SessionParser.
type StreamReassembler struct {
	arena    *stream.Arena
	stream   direction.Holey
	timeouts direction.Timeouts
	items    []stream.Item
	call     uint64 // of the driver, in which memory was lent last
}

// NewStreamReassembler makes a reassembler with a budget of its own: TotalBytes, which bounds all
// built-in streams of a driver together, bounds none of these, so choose SideBytes by how many there may
// be. Of cfg it uses SideBytes, SidePieces, Overlap, KeepDelivered, HoleTimeout and HoleAckedTimeout; it
// cannot know that the other side of a connection is not captured, so it does not use
// HoleOneSidedTimeout.
func NewStreamReassembler(cfg Config) (*StreamReassembler, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := new(StreamReassembler)
	r.setLimits(cfg)
	return r, nil
}

// setLimits makes the memory of a stream. cfg has its defaults.
func (r *StreamReassembler) setLimits(cfg Config) {
	// SideBytes may be held; the rest is for compaction and for lent memory.
	cfg.TotalBytes = 4 * int64(cfg.SideBytes)
	r.arena, r.timeouts = stream.NewArena(cfg.streamLimits()), cfg.holeTimeouts()
}

// Segment implements Reassembler.
func (r *StreamReassembler) Segment(s Segment, out *Delivery) {
	r.reclaim(out)
	r.stream.Insert(r.arena, stream.Segment{
		Pos: s.Pos, Bytes: s.Payload, Missing: s.Missing, Time: int64(s.Time), Now: out.elapsed(s.Time), ID: s.Packet,
	}, &r.items)
	r.deliver(out)
}

// Acked implements Acker.
func (r *StreamReassembler) Acked(pos int64, now Timestamp, out *Delivery) {
	r.stream.Acknowledge(pos, out.elapsed(now))
}

// OnTimer implements Timer.
func (r *StreamReassembler) OnTimer(now Timestamp, out *Delivery) (next Timestamp) {
	r.reclaim(out)
	age := out.elapsed(now)
	at := r.stream.Expire(r.arena, age, &r.timeouts, false, math.MaxInt64, math.MaxInt, &r.items)
	r.deliver(out)
	if at == math.MaxInt64 {
		return 0
	}
	return now.Add(time.Duration(clock.Sub(at, age)))
}

// elapsed is the time that holes are aged by: that of the driver's clock, which no timestamp of a packet moves far, or
// without a driver the time given.
func (d *Delivery) elapsed(now Timestamp) int64 {
	if d.call == 0 {
		return int64(now)
	}
	return d.age
}

// Fin implements Reassembler: held bytes are delivered, with the gaps between them.
func (r *StreamReassembler) Fin(out *Delivery) {
	r.reclaim(out)
	r.stream.Finish(r.arena, -1, &r.items)
	r.deliver(out)
}

// Rst implements Reassembler. It is Fin, because held bytes were received too.
func (r *StreamReassembler) Rst(out *Delivery) { r.Fin(out) }

// reclaim takes back the memory lent in an earlier call of the driver, in which there may have been
// several calls on the reassembler. Without a driver it takes back that of the last call on the
// reassembler.
func (r *StreamReassembler) reclaim(out *Delivery) {
	if r.arena == nil {
		cfg := Config{}
		if out.config != nil {
			cfg = *out.config
		}
		cfg, _ = cfg.withDefaults() // a driver's Config is right
		r.setLimits(cfg)
	}
	if out.call == 0 || out.call != r.call {
		r.arena.Reclaim()
		r.call = out.call
	}
	if clear(r.items); cap(r.items) > keepEvents {
		r.items = nil // the memory of a peak is not kept
	}
	r.items = r.items[:0]
}

// deliver copies the items to the Delivery, with the times of their own packets.
func (r *StreamReassembler) deliver(out *Delivery) {
	for i := range r.items {
		it := r.items[i]
		switch it.Kind {
		case stream.Data, stream.Gap:
			it.Pos = out.offset
			out.offset += it.Len
			out.items = append(out.items, it)
		case stream.Conflict:
			out.Dropped(AnomalyConflictingOverlap, 0, it.Len)
		}
	}
}
