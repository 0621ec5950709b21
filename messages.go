package flowscope

import (
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/session"
)

// Messages takes what a parser has to say in one call: its messages, made by Emit, and what the
// driver should do with the flow. The zero value is ready, so a parser can be tested without a
// driver; it then has no limit.
type Messages struct {
	list  []Emitted
	pools []reclaimer        // one for each type of message
	slabs []reclaimer        // one for each type of Slice
	bytes session.Slab[byte] // of Copy

	side   FlowSide
	time   Timestamp
	packet uint64

	ask   ask
	state uint16    // of Park
	rest  [2][]byte // of Handover

	owner *parsers // whose parser is at hand; nil without a driver
	place uint32   // of its session; 0 if it has left its flow
}

// ask is what a parser asks the driver to do with the flow.
type ask uint8

const (
	askStop     ask = 1 << iota // no more bytes of the initiator;
	askStop2                    // of the responder: askStop << side
	askDone                     // no more of the flow
	askPark                     // no parser until the flow goes on
	askHandover                 // another protocol begins here
)

// Emitted is a message and where it belongs.
type Emitted struct {
	Message Message
	// Side, Timestamp and Packet are those of the event; see Messages.From.
	Side      FlowSide
	Timestamp Timestamp
	Packet    uint64
}

// Emit appends a message, all fields zero, for the parser to fill in before it returns:
//
//	m := flowscope.Emit[Exchange](out)
//	m.Status = 200
//
// Its memory is the driver's and is lent with the event, so a parser must not keep it. Byte slices
// in it are of the Chunk at hand, of Messages.Copy, Slice, or Carry.Lend; never of a buffer that the
// parser writes to again.
func Emit[T any, P interface {
	*T
	Message
}](out *Messages) *T {
	m := poolOf[T](out).Next()
	out.list = append(out.list, Emitted{Message: P(m), Side: out.side, Timestamp: out.time, Packet: out.packet})
	return m
}

// Slice gives n zero values, lent as messages are, for a message to refer to. Appending to it
// allocates.
func Slice[T any](out *Messages, n int) []T { return slabOf[T](out).Take(n) }

// Copy gives a copy of b, lent as messages are, for a message to refer to. It is nil if b is empty.
func (m *Messages) Copy(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	c := m.bytes.Take(len(b))
	copy(c, b)
	return c
}

// From says which side the next messages of this call are about, and which packet brought them. A
// driver has set it to those of the call: the chunk's, or the initiator where a call has no side,
// and for Gap, Closed, Ended and OnTimer the packet at hand. So it is for a parser that reports
// about the other side or an earlier packet, and for tests.
func (m *Messages) From(side FlowSide, at Timestamp, packet uint64) {
	m.side, m.time, m.packet = side&1, at, packet
}

// All are the messages so far, for tests of a parser.
func (m *Messages) All() []Emitted { return m.list }

// Hold says that the parser keeps n more bytes of memory until later calls, or fewer if n is
// negative. It reports false if Config.SessionBytes is used up; then the parser must not keep them.
// What a parser holds is forgotten when it leaves its flow. A driver counts the parser's own struct
// by itself, and Carry counts what it keeps.
func (m *Messages) Hold(n int) bool {
	return m.owner == nil || m.owner.hold(m.place, int64(n))
}

// Stop says that the parser wants no more of a side: no Data, Gap or Closed. Where both sides are
// stopped and nobody wants EventData, the driver no longer puts the bytes of the connection in
// order.
func (m *Messages) Stop(side FlowSide) { m.ask |= askStop << (side & 1) }

// Done says that the parser wants no more of the flow; there is no Ended for it. Nobody else is
// asked about the flow.
func (m *Messages) Done() { m.ask |= askDone }

// Park says that the parser holds nothing that matters until the flow goes on, so that an idle flow
// costs no parser. The next bytes, datagram or gap goes to a new parser of the same factory, without
// a Probe, and after Resume(state) if it is a SessionResumer. Meanwhile nothing is called: no OnTimer,
// no Closed, no Ended.
func (m *Messages) Park(state uint16) { m.ask, m.state = m.ask|askPark, state }

// Handover says that another protocol begins here, as after the answer to CONNECT or STARTTLS. rest
// is what the parser was given of each side, by FlowSide, and has not read: the last bytes of the
// stream so far, of the chunk at hand or kept from before. The parser leaves the flow, without
// Ended, and all factories are asked anew about rest and what follows, with Probe.Handover set. A
// parser that has not read a byte when it hands over is of the wrong protocol: its factory is not
// asked again at that place.
func (m *Messages) Handover(rest [2][]byte) { m.ask, m.rest = m.ask|askHandover, rest }

// Reset ends the life of all messages so far, and of what was lent with them, as a driver does at
// its next call. It is for tests; a parser must not call it.
func (m *Messages) Reset() {
	m.ask, m.rest = 0, [2][]byte{}
	if clear(m.list); cap(m.list) > keepMessages || invariants.Enabled {
		m.list = nil
	}
	m.list = m.list[:0]
	for _, p := range m.pools {
		p.Reclaim(keepOfType)
	}
	for _, s := range m.slabs {
		s.Reclaim(keepElements)
	}
	m.bytes.Reclaim(keepBytes)
}

// What is kept for the next call; a peak is not.
const (
	keepMessages = 4096    // entries of the list
	keepOfType   = 256     // messages of each type
	keepElements = 4096    // of each type of Slice
	keepBytes    = 1 << 20 // of Copy
)

// reclaimer is a session.Pool or session.Slab.
type reclaimer interface{ Reclaim(keep int) }

func poolOf[T any](m *Messages) *session.Pool[T] {
	for _, r := range m.pools {
		if p, ok := r.(*session.Pool[T]); ok {
			return p
		}
	}
	p := new(session.Pool[T])
	m.pools = append(m.pools, p)
	return p
}

func slabOf[T any](m *Messages) *session.Slab[T] {
	for _, r := range m.slabs {
		if s, ok := r.(*session.Slab[T]); ok {
			return s
		}
	}
	s := new(session.Slab[T])
	m.slabs = append(m.slabs, s)
	return s
}

// Carry keeps the end of one side's bytes, which a parser cannot read yet, until more come. It
// counts its memory with Messages.Hold. The zero value is empty and ready.
//
// A parser has one for each side and goes through it in every call of Data:
//
//	at := c.Offset - int64(p.carry.Len())
//	b, ok := p.carry.Join(c.Bytes, out)  // what was kept, followed by the new bytes
//	for ok && len(b) > 0 {
//		n := ...                         // read one unit of b; 0: it is not complete
//		m.Name = p.carry.Lend(name, out) // a part of b, for a message
//		b = b[n:]
//	}
//	if !ok || !p.carry.Keep(b, out) {    // the rest, for the next call
//		...                              // SessionBytes is used up: say so, and Done
//	}
//
// Where everything was read, nothing is copied. Where a unit comes in many pieces, each byte is
// copied a few times; a parser that remembers how far it has looked need not look again.
type Carry struct {
	buf  []byte
	from int  // buf[from:] was kept, or joined
	n    int  // bytes kept; 0 between Join and Keep
	held int  // of the capacity of buf, what Hold has granted
	own  bool // what Join gave lies in buf
}

// carryKeeps is how much memory an empty Carry keeps for the next bytes.
const carryKeeps = 4096

// Len is the number of bytes kept; ask before Join.
func (c *Carry) Len() int { return c.n }

// Join gives the bytes that were kept, followed by b, and keeps none of them. If nothing was kept it
// gives b itself. What it gives is good until the next Join or Keep. It reports false if there is no
// room; then b is left out.
func (c *Carry) Join(b []byte, out *Messages) ([]byte, bool) {
	if c.own = c.n > 0; !c.own {
		return b, true
	}
	ok := c.add(b, out)
	c.n = 0
	return c.buf[c.from:], ok
}

// Keep keeps rest, which must be the end of what Join gave, until the next Join. It reports false
// if there is no room; then nothing is kept.
func (c *Carry) Keep(rest []byte, out *Messages) bool {
	if !c.own {
		if c.buf, c.from = c.buf[:0], 0; len(rest) == 0 {
			return true // as nearly always
		}
		return c.add(rest, out)
	}
	c.own = false
	c.from, c.n = len(c.buf)-len(rest), len(rest)
	if c.n == 0 {
		c.Drop(out)
	}
	return true
}

// Lend gives b, a part of what Join gave, as something that a message may refer to: b itself if it
// lies in the chunk, otherwise a copy.
func (c *Carry) Lend(b []byte, out *Messages) []byte {
	if c.own {
		return out.Copy(b)
	}
	return b
}

// Drop forgets what is kept, as after a gap.
func (c *Carry) Drop(out *Messages) {
	c.buf, c.from, c.n, c.own = c.buf[:0], 0, 0, false
	if cap(c.buf) > carryKeeps {
		out.Hold(-c.held)
		c.buf, c.held = nil, 0
	}
}

// Reset forgets what is kept, for SessionParser.Reset.
func (c *Carry) Reset() {
	buf := c.buf[:0]
	if cap(buf) > carryKeeps {
		buf = nil
	}
	*c = Carry{buf: buf}
}

// add appends b to what is kept, in more memory if need be and granted.
func (c *Carry) add(b []byte, out *Messages) bool {
	if c.from > 0 && len(c.buf)+len(b) > cap(c.buf) && c.from >= c.n {
		// No more bytes are moved than were read, so it is a constant price a byte.
		c.buf, c.from = c.buf[:copy(c.buf, c.buf[c.from:])], 0
	}
	size := cap(c.buf)
	if len(c.buf)+len(b) > size {
		size = max(2*size, len(c.buf)+len(b), 256)
	}
	if size > c.held {
		if !out.Hold(size - c.held) {
			return false
		}
		c.held = size
	}
	if size > cap(c.buf) {
		c.buf = append(make([]byte, 0, size), c.buf...)
	}
	c.buf = append(c.buf, b...)
	c.n += len(b)
	return true
}
