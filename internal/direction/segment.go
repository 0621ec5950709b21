package direction

import (
	"github.com/flowscope-go/flowscope/internal/stream"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Streams follows the directions of many connections. It holds what these share: the memory of early
// bytes, the timeouts, and the list of results. What its methods return is good until the next call;
// Clear lets go what it refers to.
type Streams struct {
	arena     *stream.Arena
	doubts    *tcp.Doubts
	timeouts  Timeouts
	dispatch  bool
	fastPaths bool
	syn       [1]byte       // stands for the SYN in a stream; never delivered
	found     []stream.Item // of one call on the arena
	items     []Item
}

// Config is the part of Streams that does not change.
type Config struct {
	Timeouts Timeouts
	// Doubts are those of the connections.
	Doubts *tcp.Doubts
	// Dispatch says that payload is not put in order, but given to the caller's reassemblers as it
	// comes.
	Dispatch bool
	// FastPaths turns Advance and Shortcut on, unless Dispatch is set.
	FastPaths bool
}

// New makes Streams whose early bytes lie in that arena. An arena that keeps delivered bytes has no use
// for fast paths.
func New(a *stream.Arena, c Config) *Streams {
	c.Doubts.InOrder = !c.Dispatch
	return &Streams{arena: a, doubts: c.Doubts, timeouts: c.Timeouts, dispatch: c.Dispatch, fastPaths: c.FastPaths && !c.Dispatch}
}

// Packet is a segment, its place in its connection, and the packet that carried it.
type Packet struct {
	Conn    *tcp.Conn // after the segment
	Side    tcp.Side  // that sent it
	Segment *tcp.Segment
	Outcome *tcp.Outcome // of the segment
	Payload []byte
	Missing int   // how many bytes behind Payload the capture does not hold
	Time    int64 // of the packet, as Items give it
	Now     int64 // when it came: ages and timeouts count from it
	ID      uint64
	Urgent  uint16 // the urgent pointer
	Owner   uint64 // what Largest says of the direction if bytes of the segment are held
	// OneSided is set as long as the other side has sent no packet.
	OneSided bool
}

// SetTimeouts changes how long holes stay open; the timers of those that are open run as they were set.
func (f *Streams) SetTimeouts(t Timeouts) { f.timeouts = t }

// Segment handles any segment: first its ACK, then what it carries. Timeouts that have passed come
// before it (Expire), and Expire and Close after it.
func (f *Streams) Segment(p *Pair, k *Packet) []Item {
	f.items = f.items[:0]
	g, o := k.Segment, k.Outcome
	d, other := &p[k.Side&1], &p[k.Side&1^1]
	if o.Notes&tcp.Reanchored != 0 {
		other.restart(f.arena)
	}
	if g.Flags&tcp.ACK != 0 && !other.ignoresACK(o) {
		f.onACK(other, k)
	}
	if o.Placed {
		f.onUrgent(d, k)
	}
	if o.Confirms {
		f.onConfirmed(d, k)
	}
	if f.doubts.Holds(k.Conn) {
		f.deliverConfirmed(p, k.Conn)
	}
	if o.Placed {
		f.onBytes(d, k)
		if f.doubts.Holds(k.Conn) && d.bits&(closed|stopped) == 0 {
			f.deliverConditional(d, k.Conn, k.Side, false)
		}
	}
	if g.Flags&tcp.FIN != 0 {
		f.onFIN(d, k, k.Side)
	}
	return f.items
}

// onUrgent says where the urgent pointer of a segment points. That comes before all bytes of its side,
// those too that were held until now.
func (f *Streams) onUrgent(d *Direction, k *Packet) {
	if g := k.Segment; g.Flags&(tcp.URG|tcp.SYN) == tcp.URG && g.Len > 0 && d.bits&(closed|stopped) == 0 {
		f.add(Urgent, k.Side, k.Outcome.Pos+int64(k.Urgent))
	}
}

// onBytes handles the bytes of a segment that belongs to the stream: its payload and its SYN.
func (f *Streams) onBytes(d *Direction, k *Packet) {
	g := k.Segment
	open, syn := d.bits&(closed|stopped) == 0, g.Flags&tcp.SYN != 0
	if d.bits&synDataHeld != 0 && k.OneSided && !syn {
		f.resolveSYNData(d, k)
	}
	switch {
	case !open:
	case syn:
		f.onSYN(d, k)
	case g.Len > 0:
		f.onPayload(d, k)
	}
}

// onACK handles the ACK of a segment, which is about the bytes of the other direction d, unless that
// ignores it.
func (f *Streams) onACK(d *Direction, k *Packet) {
	side := k.Side ^ 1
	if k.Outcome.Notes&tcp.SYNDataIgnored != 0 && d.bits&synDataHeld != 0 {
		if d.dropSYNData(f.arena); d.ignoresACK(k.Outcome) {
			return
		}
	}
	pos, ok := k.Conn.AckedTo(side)
	if !ok {
		return
	}
	if d.bits&synDataHeld != 0 && pos > 0 {
		f.acceptSYNData(d, side)
	}
	d.Acknowledge(pos+1, k.Now)
	if f.dispatch {
		f.add(Acked, side, pos).Time = k.Time
	}
	if k.Outcome.Notes&tcp.UnseenACK != 0 {
		f.onFIN(d, k, side) // what is acknowledged may be an early FIN, with a hole before it
	}
}

// onConfirmed handles a segment whose sender goes on exactly where a first word has acknowledged its bytes: that
// counts like an ACK.
func (f *Streams) onConfirmed(d *Direction, k *Packet) {
	if pos, ok := k.Conn.AckedTo(k.Side); ok && d.bits&(closed|stopped|synDataHeld) == 0 {
		d.Acknowledge(pos+1, k.Now)
		if f.dispatch {
			f.add(Acked, k.Side, pos).Time = k.Time
		}
		f.onFIN(d, k, k.Side)
	}
}

// onPayload handles the payload of a segment without SYN.
func (f *Streams) onPayload(d *Direction, k *Packet) {
	g, o := k.Segment, k.Outcome
	d.passSYN()
	b, missing := k.Payload, k.Missing
	if o.End < o.Pos+int64(g.Len) {
		b, missing = cutAt(b, missing, o.Pos, o.End)
	}
	if len(b)+missing == 0 {
		return
	}
	if f.dispatch {
		f.addSegment(d, k.Side, Item{
			Pos: o.Pos, Bytes: b, Missing: missing, Time: k.Time, ID: k.ID,
			Flags: g.Flags, Urgent: k.Urgent,
		})
		f.doubts.Displaced(k.Conn, k.Side, o.Pos, o.Pos+int64(len(b)+missing))
		return
	}
	f.truncate(d, k.Conn, k.Side)
	if o.Pos+1 > d.stream.Next() {
		f.add(OutOfOrder, k.Side, o.Pos)
	}
	f.insert(d, k.Side, stream.Segment{Pos: o.Pos + 1, Bytes: b, Missing: missing, Time: k.Time, Now: k.Now, ID: k.ID, Owner: k.Owner})
}

// insert puts bytes into the stream of a side.
func (f *Streams) insert(d *Direction, side tcp.Side, seg stream.Segment) {
	d.Insert(f.arena, seg, &f.found)
	f.collect(d, side)
}
