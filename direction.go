package flowscope

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/clock"
	"github.com/flowscope-go/flowscope/internal/fastpath"
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// direction is the stream of one sender of a connection, with what is not data yet: the payload of a
// SYN, and a window probe. Position 0 of the stream is the SYN itself and byte 0 of the payload is
// position 1: so the payload of a SYN that is not acknowledged yet is early data, and held as such.
//
// The fields that the fast path reads stand first, bits and the stream's next position: those of the
// initiator lie in the cache line of the flow's key.
type direction struct {
	bits        directionBits
	probe       byte   // a byte sent into a closed window; valid with probeHeld
	conflicts   uint16 // 65,535 stands for more
	reassembler uint32 // index into FlowDriver.reassemblers; 0: none
	timedStream
	gapBytesLo uint32 // gapBytes has 48 bits
	gapBytesHi uint16
	sessionRef uint16 // this direction's half of the flow's session.Ref
	gaps       uint32
	probeSeq   uint32 // the sequence number of probe
}

type directionBits uint8

const (
	synPassed       directionBits = 1 << iota // the stream is beyond the SYN's own position
	synDataHeld                               // payload of the SYN is held until it is acknowledged
	directionClosed                           // EventSideClosed was emitted
	stopped                                   // the caller wants no more bytes; see FlowDriver.Stop
	probeHeld                                 // a window probe is held until it is acknowledged
	factoryAsked                              // the factory was called
	fastPathOn                                // see updateFastPath
	unheard                                   // a parser has stopped this side, for all parsers; see Messages.Stop
)

// gapBytes is how many bytes were given up, up to 256 TiB.
func (d *direction) gapBytes() uint64 { return uint64(d.gapBytesHi)<<32 | uint64(d.gapBytesLo) }

func (d *direction) addGap(n int64) {
	sum := min(d.gapBytes()+uint64(n), 1<<48-1)
	d.gaps++
	d.gapBytesLo, d.gapBytesHi = uint32(sum), uint16(sum>>32)
}

// stop drops what the stream holds, and takes no more.
func (d *direction) stop(a *stream.Arena) {
	d.bits = d.bits&^(synDataHeld|probeHeld) | stopped
	a.Drop(&d.stream)
}

// inUse reports whether the stream has a buffer or a Reassembler of the caller's.
func (d *direction) inUse() bool { return d.reassembler != 0 || d.stream.HasBuffer() }

// streamIgnoresACKs reports whether an ACK of this direction's bytes changes nothing for its stream.
func (d *direction) streamIgnoresACKs() bool {
	return d.bits&stopped != 0 ||
		!d.stream.HasBuffer() && d.bits&(synDataHeld|probeHeld) == 0 && d.acked <= d.stream.Next()
}

// ignoresACK reports whether the ACK of a segment of the other direction changes nothing for this one.
func (d *direction) ignoresACK(o *tcp.Outcome) bool {
	return d.reassembler == 0 && d.streamIgnoresACKs() && o.Notes&tcp.UnseenACK == 0
}

// advance is the fast path: if it is on and the n bytes at pos are the next ones, the stream advances
// and advance reports true.
func (d *direction) advance(pos int64, n int) bool {
	if d.bits&fastPathOn == 0 || n != 0 && pos+1 != d.stream.Next() {
		return false
	}
	d.stream.Advance(int64(n))
	return true
}

// updateFastPath marks each direction for which an in-order segment needs no other work: it has no
// buffer, and no SYN data, window probe or FIN is pending. Everything that may change the mark runs on
// the slow path, which ends here: so the fast path reads a few bytes of its own direction only.
func updateFastPath(directions *[2]direction, enabled bool) {
	for i := range directions {
		d := &directions[i]
		if d.bits &^= fastPathOn; enabled && d.fastPathOK(&directions[1-i]) {
			d.bits |= fastPathOn
		}
	}
}

func (d *direction) fastPathOK(other *direction) bool {
	return d.bits&^(fastPathOn|unheard) == synPassed && !d.stream.HasBuffer() && other.streamIgnoresACKs()
}

// passSYN advances the stream beyond the SYN's own position.
func (d *direction) passSYN() {
	if d.bits&(synPassed|synDataHeld) == 0 {
		d.stream.Advance(1)
		d.bits |= synPassed
	}
}

// holdSYNData holds the payload of a SYN until the other side acknowledges it. Without room for it the
// payload is dropped and holdSYNData reports false: it is sent again, or it is a gap.
func (d *direction) holdSYNData(a *stream.Arena, seg stream.Segment, items *[]stream.Item) bool {
	a.Insert(&d.stream, seg, items)
	if d.stream.Next() == 0 {
		d.bits |= synDataHeld
		return true
	}
	a.Drop(&d.stream)
	d.stream = stream.Stream{}
	return false
}

// dropSYNData drops the payload of a SYN, which the other side has not accepted.
func (d *direction) dropSYNData(a *stream.Arena) {
	a.Drop(&d.stream)
	d.stream = stream.Stream{}
	d.bits &^= synDataHeld
	d.passSYN()
}

// restart drops all bytes: the positions of this direction are counted anew.
func (d *direction) restart(a *stream.Arena) {
	a.Drop(&d.stream)
	d.stream = stream.Stream{}
	d.bits &^= synDataHeld | synPassed
}

// cutAtFIN cuts off the payload at pos, and the missing bytes behind it, at the position of the FIN.
func cutAtFIN(b []byte, missing int, pos, fin int64) ([]byte, int) {
	room := max(fin-pos, 0)
	b = b[:min(room, int64(len(b)))]
	return b, int(min(room-int64(len(b)), int64(missing)))
}

// timedStream is a stream whose holes have timeouts.
type timedStream struct {
	stream     stream.Stream
	acked      int64 // the other side has acknowledged all positions below
	ackedSince int64 // since when acked is above the stream's next position
}

// holeTimeouts are how long a hole may stay open.
type holeTimeouts struct {
	acked    int64 // after the receiver acknowledged the missing bytes
	twoSided int64 // if both sides are captured
	oneSided int64 // if one side is captured, so that there is no ACK to see
}

func (c *Config) holeTimeouts() holeTimeouts {
	return holeTimeouts{
		acked: int64(c.HoleAckedTimeout), twoSided: int64(c.HoleTimeout), oneSided: int64(c.HoleOneSidedTimeout),
	}
}

func (c *Config) streamLimits() stream.Limits {
	return stream.Limits{
		SideBytes: c.SideBytes, SidePieces: c.SidePieces, TotalBytes: c.TotalBytes,
		Policy: stream.Policy(c.Overlap), Keep: c.KeepDelivered, SlowPath: fastpath.Off,
	}
}

// acknowledge records the other side's ACK. pos may lie below an earlier one, which was forged then.
func (t *timedStream) acknowledge(pos, now int64) {
	if t.acked <= t.stream.Next() && pos > t.stream.Next() {
		t.ackedSince = now
	}
	t.acked = pos
}

// insert puts a segment into the stream. Bytes that the capture cut off are given up at once.
func (t *timedStream) insert(a *stream.Arena, seg stream.Segment, out *[]stream.Item) {
	a.Insert(&t.stream, seg, out)
	if end := seg.Pos + int64(len(seg.Bytes)); seg.Missing > 0 && t.stream.Next() == end {
		a.Skip(&t.stream, end+int64(seg.Missing), stream.Cut, out)
	}
	t.skipCut(a, out)
}

// skipCut gives up the bytes that the capture cut off the segment delivered last: no other packet has
// them.
func (t *timedStream) skipCut(a *stream.Arena, out *[]stream.Item) {
	for n := len(*out); n > 0; n = len(*out) {
		it := &(*out)[n-1]
		if it.Kind != stream.Data || it.After == 0 || it.Pos+it.Len != t.stream.Next() {
			return
		}
		a.Skip(&t.stream, t.stream.Next()+it.After, stream.Cut, out)
	}
}

// expireHoles gives up the holes whose timeout has passed, and returns when the next one passes;
// math.MaxInt64 is never.
func (t *timedStream) expireHoles(a *stream.Arena, now int64, h *holeTimeouts, oneSided bool, out *[]stream.Item) (next int64) {
	for t.stream.HasBuffer() {
		pos, size, since, ok := a.FirstHole(&t.stream)
		if !ok {
			break
		}
		timeout := h.twoSided
		if oneSided {
			timeout = h.oneSided
		}
		at, upTo, cause := clock.Add(since, timeout), pos+size, stream.Expired
		if t.acked > pos {
			if ackedAt := clock.Add(max(t.ackedSince, since), h.acked); ackedAt < at {
				at, upTo, cause = ackedAt, min(t.acked, upTo), stream.Acknowledged
			}
		}
		if now < at {
			return at
		}
		a.Skip(&t.stream, upTo, cause, out)
		t.skipCut(a, out)
	}
	return math.MaxInt64
}
