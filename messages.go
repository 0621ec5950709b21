package flowscope

import (
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/session"
)

// Messages collects the messages of a parser in one call, made by Emit, and its requests about the
// flow: Stop, Done, Park, Handover. The zero value is ready, so a parser can be tested without a
// driver; Hold then has no limit.
type Messages struct {
	list  []Emitted
	pools []reclaimer        // one for each type of message
	slabs []reclaimer        // one for each type of Slice
	bytes session.Slab[byte] // of Copy
	lent  bool               // something of these since Reset

	side   FlowSide
	time   Timestamp
	packet uint64

	ask   ask
	state uint16    // of Park
	rest  [2][]byte // of Handover

	owner *parsers // nil without a driver or player
	place uint32   // of the session of the parser that is called; 0 if it has left its flow
}

// ask is a set of a parser's requests about its flow.
type ask uint8

const (
	askStop     ask = 1 << iota // no more bytes of the initiator;
	askStop2                    // of the responder: askStop << side
	askDone                     // no more of the flow
	askPark                     // no parser until the flow goes on
	askHandover                 // another protocol begins here
)

// Emitted is a message and its attribution.
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
// in it are of the current Chunk, of Messages.Copy, Slice, or Carry.Lend; never of a buffer that the
// parser writes to again.
func Emit[T any, P interface {
	*T
	Message
}](out *Messages) *T {
	out.lent = true
	m := poolOf[T](out).Next()
	out.list = append(out.list, Emitted{Message: P(m), Side: out.side, Timestamp: out.time, Packet: out.packet})
	return m
}

// Slice gives n zero values, lent as messages are, for a message to refer to. Appending to it
// allocates.
func Slice[T any](out *Messages, n int) []T {
	out.lent = true
	return slabOf[T](out).Take(n)
}

// Copy gives a copy of b, lent as messages are, for a message to refer to. It is nil if b is empty.
func (m *Messages) Copy(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	m.lent = true
	c := m.bytes.Take(len(b))
	copy(c, b)
	return c
}

// From sets the side, time and packet of the messages that follow in this call. A driver has set
// them before: to those of the chunk; for Gap, Closed, Ended and OnTimer to the current packet, and
// to the initiator if the call has no side. So it is for a parser that reports about the other side
// or an earlier packet, and for tests.
func (m *Messages) From(side FlowSide, at Timestamp, packet uint64) {
	m.side, m.time, m.packet = side&1, at, packet
}

// All are the messages so far, for tests of a parser.
func (m *Messages) All() []Emitted { return m.list }

// Hold counts n more bytes of memory that the parser keeps until later calls, or fewer if n is
// negative. It reports false if Config.SessionBytes is used up; then the parser must not keep them.
// The count of a parser ends when it leaves its flow. The driver counts the parser's own struct, and
// Carry counts its buffer.
func (m *Messages) Hold(n int) bool {
	return m.owner == nil || m.owner.hold(m.place, int64(n))
}

// Stop says that nothing more of a side is wanted: no Data, Gap or Closed. It is for good: after Handover,
// Park or an eviction the next parser of the flow hears nothing of the side either, so a parser that
// may hand over the side does not stop it. If neither EventData nor EventGap is wanted, the driver no
// longer puts the bytes of the side in order, and holds none of them.
func (m *Messages) Stop(side FlowSide) { m.ask |= askStop << (side & 1) }

// Done says that the parser wants no more of the flow: not even Ended. No factory is asked about the
// flow again.
func (m *Messages) Done() { m.ask |= askDone }

// Park takes the parser from the flow until the flow goes on, so that an idle flow costs no parser;
// all that is kept is state. The next bytes, datagram or gap goes to a new parser of the same
// factory, without a Probe, and after Resume(state) if it is a SessionResumer. Meanwhile there are no
// calls: no OnTimer, no Closed, no Ended.
func (m *Messages) Park(state uint16) { m.ask, m.state = m.ask|askPark, state }

// Handover says that another protocol begins here, as after the answer to CONNECT or STARTTLS. rest
// are the bytes of each side, by FlowSide, that the parser was given and has not read: the last ones
// of the stream so far, of the current chunk or kept from before. The parser leaves the flow, without
// Ended, and all factories are asked about rest and the bytes that follow, with Probe.Handover set. A
// parser that hands over before it has read a byte was of the wrong protocol: its factory is not
// asked again at that place.
func (m *Messages) Handover(rest [2][]byte) { m.ask, m.rest = m.ask|askHandover, rest }

// Reset takes back all messages so far, and all memory lent with them, as a driver does at its next
// call. It is for tests; a parser must not call it.
func (m *Messages) Reset() {
	m.ask, m.rest = 0, [2][]byte{}
	if !m.lent {
		return // as in most calls
	}
	m.lent = false
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

// Memory that is kept for the next call; a peak is not.
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

// Carry keeps the last bytes of one side, which a parser cannot read yet, until more come. It
// counts its memory with Messages.Hold. The zero value is empty and ready.
//
// A parser has one for each side and goes through it in every call of Data:
//
//	at := c.Offset - int64(p.carry.Len())
//	b, ok := p.carry.Join(c.Bytes, out)  // the bytes that were kept, followed by the new ones
//	for ok && len(b) > 0 {
//		n := ...                         // read one unit of b; 0: it is not complete
//		m.Name = p.carry.Lend(name, out) // a part of b, for a message
//		b = b[n:]
//	}
//	if !ok || !p.carry.Keep(b, out) {    // the rest, for the next call
//		...                              // SessionBytes is used up: emit a message, and Done
//	}
//
// If everything was read, nothing is copied. If a unit comes in many pieces, each byte is copied a
// few times; a parser that remembers how far it has searched need not search again.
type Carry struct {
	buf  []byte
	from int  // buf[from:] was kept, or joined
	n    int  // bytes kept; 0 between Join and Keep
	held int  // of the capacity of buf, what Hold has granted
	own  bool // the bytes that Join returned lie in buf
}

// carryKeeps bounds the memory that an empty Carry keeps for the next bytes.
const carryKeeps = 4096

// Len is the number of bytes kept; ask before Join.
func (c *Carry) Len() int { return c.n }

// Join returns the bytes that were kept, followed by b, and keeps none of them. If none were kept it
// returns b itself. The result is valid until the next Join or Keep. It reports false if there is no
// room; then b is left out.
func (c *Carry) Join(b []byte, out *Messages) ([]byte, bool) {
	if c.own = c.n > 0; !c.own {
		return b, true
	}
	ok := c.add(b, out)
	c.n = 0
	return c.buf[c.from:], ok
}

// Keep keeps rest, which must be the last bytes of the result of Join, until the next Join. It
// reports false if there is no room; then nothing is kept.
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

// Lend returns b, a part of the result of Join, for a message to refer to: b itself if it lies in the
// chunk, otherwise a copy.
func (c *Carry) Lend(b []byte, out *Messages) []byte {
	if c.own {
		return out.Copy(b)
	}
	return b
}

// Drop drops the bytes that are kept, as after a gap.
func (c *Carry) Drop(out *Messages) {
	c.buf, c.from, c.n, c.own = c.buf[:0], 0, 0, false
	if cap(c.buf) > carryKeeps {
		out.Hold(-c.held)
		c.buf, c.held = nil, 0
	}
}

// Reset drops the bytes that are kept, for SessionParser.Reset.
func (c *Carry) Reset() {
	buf := c.buf[:0]
	if cap(buf) > carryKeeps {
		buf = nil
	}
	*c = Carry{buf: buf}
}

// add appends b to the bytes that are kept. It reports false if Hold refuses the memory.
func (c *Carry) add(b []byte, out *Messages) bool {
	if c.from > 0 && len(c.buf)+len(b) > cap(c.buf) && c.from >= c.n {
		// No more bytes are moved than were read, so the cost of a byte is constant.
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
