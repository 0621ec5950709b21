package direction

import (
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Window probes: one byte sent into a closed window (RFC 9293 section 3.8.6.1). It is data if the other
// side acknowledges it before another copy arrives, and void otherwise.

// holdProbe holds the byte of a window probe, if that is the next one.
func (f *Streams) holdProbe(d *Direction, b []byte, k *Packet) bool {
	inOrder := f.dispatch || k.Outcome.Pos+1 == d.stream.Next() && !d.hasHole(f.arena)
	if len(b) != 1 || !inOrder {
		return false
	}
	d.probe, d.probeSeq = b[0], k.Segment.Seq
	d.bits |= probeHeld
	return true
}

// acceptProbe delivers the byte of d's window probe if the other side, which sent k, has acknowledged
// it: all bytes below acked.
func (f *Streams) acceptProbe(d *Direction, acked int64, k *Packet) {
	side := k.Side ^ 1
	at := k.Conn.Position(side, d.probeSeq)
	if at >= acked {
		return
	}
	d.bits &^= probeHeld
	b := []byte{d.probe} // lent with the results
	if f.dispatch {
		f.addSegment(d, side, Item{Pos: at, Bytes: b, Time: k.Time, ID: k.ID, Flags: tcp.ACK})
		return
	}
	f.insert(d, side, stream.Segment{Pos: at + 1, Bytes: b, Time: k.Time, ID: k.ID})
}
