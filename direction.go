package flowscope

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// One side of a driver's flow: its stream, what is not quite data yet, and the short ways:
// of a side that waits for nothing, and behind a hole.

// drivenSide is the stream of one side. In it, position 0 is the SYN itself and
// byte 0 of the stream is position 1: so the payload of a SYN that nobody has
// acknowledged yet is simply early, and held like any other early data.
//
// What a calm side looks at stands first, bits and the position at the beginning
// of the stream: for the initiator in the line of the cache where its key is.
type drivenSide struct {
	bits      sideBits
	probe     byte   // a byte sent into a closed window
	conflicts uint16 // 65,535 stands for more
	custom    uint32 // the caller's reassembler
	streamSide
	gapBytes uint64
	gaps     uint32
	probeAt  uint32 // the sequence number of probe
}

type sideBits uint8

const (
	sideOpen    sideBits = 1 << iota // the SYN's own position is passed
	sideHeld                         // payload of the SYN is held
	sideClosed                       // SideClosed was said
	sideStopped                      // the caller wants no more bytes
	sideProbed                       // probe is valid
	sideAsked                        // the factory was asked
	sideCalm                         // see calm
)

// idle reports whether nothing is held and nobody waits.
func (ds *drivenSide) idle() bool { return ds.custom == 0 && ds.s.Idle() }

// quiet reports whether an ACK of this side's bytes is nothing to think about.
func (ds *drivenSide) quiet() bool {
	return ds.bits&sideStopped != 0 || ds.s.Idle() && ds.bits&(sideHeld|sideProbed) == 0 && ds.acked <= ds.s.Next()
}

// indifferent reports whether this side need not be told of an ACK of its bytes.
func (ds *drivenSide) indifferent(o *tcp.Outcome) bool {
	return ds.custom == 0 && ds.quiet() && o.Notes&tcp.UnseenACK == 0
}

// plain takes the next bytes of a stream that waits for nothing.
func (d *FlowDriver[K, S]) fastPath(s *slot[K, driven[S]], side FlowSide, pos int64) bool {
	x := d.t.x
	if sides := &s.Value.user.sides; invariants.Enabled && sides[side].bits&sideCalm != 0 && !sides[side].waitsForNothing(&sides[side^1]) {
		panic("flowscope: a side is not as calm as it says")
	}
	n := len(x.Payload)
	if x.Missing != 0 || x.TCP.Flags&FlagURG != 0 || !s.Value.user.sides[side&1].next(pos, n) {
		return false
	}
	if n > 0 {
		d.total.Delivered += uint64(n)
		if d.t.cfg.Events.Has(EventData) {
			ev := d.t.emitSide(EventData, s, side)
			ev.Bytes, ev.Offset, ev.Len = x.Payload, pos, int64(n)
		}
	}
	return true
}

// next advances a calm side by n bytes at pos, if they are the next ones, and
// reports whether it did.
func (ds *drivenSide) next(pos int64, n int) bool {
	if ds.bits&sideCalm == 0 || n != 0 && pos+1 != ds.s.Next() {
		return false
	}
	ds.s.Advance(int64(n))
	return true
}

// still takes a segment that changes nothing about what is waited for: the bytes that go
// on behind a hole, and the ACKs that repeat themselves meanwhile. The alarm is set for
// the hole, and stays.
func (d *FlowDriver[K, S]) still(s *slot[K, driven[S]], side FlowSide, g *tcp.Segment, o *tcp.Outcome) bool {
	dv, x := &s.Value.user, d.t.x
	ds, other := &dv.sides[side&1], &dv.sides[side&1^1]
	if !d.simple || dv.alarm == 0 || d.t.clock.Now() >= dv.alarm || g.Flags&special != tcp.ACK || !o.Placed ||
		o.Notes&^(tcp.Hole|tcp.ZeroWindow) != 0 || other.bits&(sideHeld|sideProbed) != 0 {
		return false
	}
	if !other.quiet() {
		if pos, _ := s.Value.conn.AckedTo(tcp.Side(side ^ 1)); pos+1 != other.acked {
			return false
		}
	}
	if g.Len == 0 {
		return true
	}
	if !d.arena.Append(&ds.s, &stream.Segment{
		Pos: o.Pos + 1, Bytes: x.Payload, Missing: x.Missing, Time: d.t.clock.Now(), ID: d.t.packetID,
	}) {
		return false
	}
	d.t.anomaly(AnomalyOutOfOrderSegment, s, side, o.Pos, 1)
	return true
}

// calm finds out for both sides whether the next bytes with an ACK need no more
// than next; only where simple is set, see FlowDriver. A side that is calm stays so
// until something else happens, and each thing that does ends here: so a plain segment
// looks at its own side only, at a few bytes of it.
func calm(sides *[2]drivenSide, simple bool) {
	for i := range sides {
		ds := &sides[i]
		if ds.bits &^= sideCalm; simple && ds.waitsForNothing(&sides[1-i]) {
			ds.bits |= sideCalm
		}
	}
}

func (ds *drivenSide) waitsForNothing(other *drivenSide) bool {
	return ds.bits&^sideCalm == sideOpen && ds.s.Idle() && other.quiet()
}

// open passes the SYN's own position.
func (ds *drivenSide) open() {
	if ds.bits&(sideOpen|sideHeld) == 0 {
		ds.s.Advance(1)
		ds.bits |= sideOpen
	}
}

// holdSYN keeps the payload of a SYN until the other side takes it. If there is
// no room for it, it is dropped: it comes again, or it is a gap.
func (d *FlowDriver[K, S]) holdSYN(s *slot[K, driven[S]], side FlowSide) {
	ds, x := &s.Value.user.sides[side], d.t.x
	d.items = d.items[:0]
	d.arena.Insert(&ds.s, stream.Segment{
		Pos: 1, Bytes: x.Payload, Missing: x.Missing, Time: d.t.clock.Now(), ID: d.t.packetID,
	}, &d.items)
	clear(d.items)
	if ds.s.Next() == 0 {
		ds.bits |= sideHeld
		return
	}
	d.arena.Drop(&ds.s)
	ds.s = stream.Stream{}
	d.t.anomaly(AnomalyMemoryCap, s, side, 0, int64(len(x.Payload)))
}

// confirmSYN lets go of the payload of a SYN, which the other side has taken.
func (d *FlowDriver[K, S]) confirmSYN(s *slot[K, driven[S]], side FlowSide) {
	ds := &s.Value.user.sides[side]
	ds.bits = ds.bits&^sideHeld | sideOpen
	d.insert(s, side, d.syn[:], stream.Segment{})
}

// forgetSYN drops the payload of a SYN, which the other side has refused.
func (d *FlowDriver[K, S]) forgetSYN(ds *drivenSide) {
	d.arena.Drop(&ds.s)
	ds.s = stream.Stream{}
	ds.bits &^= sideHeld
	ds.open()
}

// confirmProbe hands on the byte that was sent into a closed window, if the
// other side has everything below pos and so took it.
func (d *FlowDriver[K, S]) confirmProbe(s *slot[K, driven[S]], side FlowSide, pos, now int64) {
	ds := &s.Value.user.sides[side]
	at := s.Value.conn.PosOf(tcp.Side(side), ds.probeAt)
	if at >= pos {
		return
	}
	ds.bits &^= sideProbed
	b := []byte{ds.probe} // lent out with the event
	if d.factory != nil {
		d.dispatch(s, side, Segment{Pos: at, Payload: b, Time: Timestamp(now), Packet: d.t.packetID, Flags: FlagACK})
		return
	}
	d.insert(s, side, b, stream.Segment{Pos: at + 1, Time: now, ID: d.t.packetID})
}

// streamSide is one side's stream and its patience with holes.
type streamSide struct {
	s     stream.Stream
	acked int64 // the other side has confirmed everything below
	ackAt int64 // since when it has confirmed more than was delivered
}

// holeTimes is how long a hole is waited for.
type holeTimes struct {
	acked int64 // after the receiver confirmed it
	both  int64 // with both sides seen
	lone  int64 // with one side seen, so that no confirmation can come
}

// ackedTo takes the other side's confirmation. It may fall back behind an
// earlier one: that was a lie then.
func (x *streamSide) ackedTo(pos, now int64) {
	if x.acked <= x.s.Next() && pos > x.s.Next() {
		x.ackAt = now
	}
	x.acked = pos
}

// insert takes a segment.
func (x *streamSide) insert(a *stream.Arena, seg stream.Segment, out *[]stream.Item) {
	a.Insert(&x.s, seg, out)
	if end := seg.Pos + int64(len(seg.Bytes)); seg.Missing > 0 && x.s.Next() == end {
		a.Skip(&x.s, end+int64(seg.Missing), stream.Cut, out)
	}
	x.skipCut(a, out)
}

// skipCut gives up at once what the capture cut off the bytes delivered last: it
// will not come from anywhere else.
func (x *streamSide) skipCut(a *stream.Arena, out *[]stream.Item) {
	for n := len(*out); n > 0; n = len(*out) {
		it := &(*out)[n-1]
		if it.Kind != stream.Data || it.After == 0 || it.Pos+it.Len != x.s.Next() {
			return
		}
		a.Skip(&x.s, x.s.Next()+it.After, stream.Cut, out)
	}
}

// wait gives up the holes that were waited for long enough by now, and says when
// to look again; math.MaxInt64 is never.
func (x *streamSide) wait(a *stream.Arena, now int64, h *holeTimes, lone bool, out *[]stream.Item) (next int64) {
	for !x.s.Idle() {
		pos, size, since, ok := a.FirstHole(&x.s)
		if !ok {
			break
		}
		patience := h.both
		if lone {
			patience = h.lone
		}
		at, upTo, cause := clock.Add(since, patience), pos+size, stream.Expired
		if x.acked > pos {
			if soon := clock.Add(max(x.ackAt, since), h.acked); soon < at {
				at, upTo, cause = soon, min(x.acked, upTo), stream.Acknowledged
			}
		}
		if now < at {
			return at
		}
		a.Skip(&x.s, upTo, cause, out)
		x.skipCut(a, out)
	}
	return math.MaxInt64
}

func (c *Config) holeTimes() holeTimes {
	return holeTimes{acked: int64(c.HoleAckedTimeout), both: int64(c.HoleTimeout), lone: int64(c.HoleOneSidedTimeout)}
}

// limits are those of the built-in streams.
func (c *Config) limits() stream.Limits {
	return stream.Limits{
		SideBytes: c.SideBytes, SidePieces: c.SidePieces, TotalBytes: c.TotalBytes,
		Policy: stream.Policy(c.Overlap), Keep: c.KeepDelivered,
	}
}
