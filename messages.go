package flowscope

import (
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// Messages takes what a parser has to say in one call: its messages, made by Emit, and what the
// driver should do with the flow. The zero value is ready, so a parser can be tested without a
// driver; it then has no limit.
type Messages struct {
	list   []Emitted
	pools  []reclaimer // a *pool of each type of message
	slices []reclaimer // a *slab of each type of Slice
	bytes  slab[byte]  // of Copy

	side   FlowSide
	time   Timestamp
	packet uint64

	ask   ask
	state uint16    // of Park
	rest  [2][]byte // of Handover

	// owner is the driver's part, which knows the budget; nil without a driver.
	owner *sessions
	// at is the place in owner.live of the parser at hand.
	at uint32
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
	m := poolOf[T](out).next()
	out.list = append(out.list, Emitted{Message: P(m), Side: out.side, Timestamp: out.time, Packet: out.packet})
	return m
}

// Slice gives n zero values, lent as messages are, for a message to refer to. Appending to it
// allocates.
func Slice[T any](out *Messages, n int) []T { return slabOf[T](out).take(n) }

// Copy gives a copy of b, lent as messages are, for a message to refer to. It is nil if b is empty.
func (m *Messages) Copy(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	c := m.bytes.take(len(b))
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
	return m.owner == nil || m.owner.hold(m.at, int64(n))
}

// Stop says that the parser wants no more of a side: no Data, Gap or Closed. Where both sides are
// stopped and nobody wants EventData, the driver no longer puts the bytes of the connection in
// order.
func (m *Messages) Stop(side FlowSide) { m.ask |= askStop << (side & 1) }

// Done says that the parser wants no more of the flow; there is no Ended for it. Nobody else is
// asked about the flow.
func (m *Messages) Done() { m.ask |= askDone }

// Park says that the parser holds nothing that matters until the flow goes on, so that an idle flow
// costs no parser. The next chunk goes to a new parser of the same factory, without a Probe, after
// Resume(state) if it is a SessionResumer. There is no OnTimer meanwhile. At the end of the flow a
// parked parser is not called. A Gap or Closed does not wake a parser up unless its factory's
// parsers are SessionResumers.
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
		p.reclaim()
	}
	for _, s := range m.slices {
		s.reclaim()
	}
	m.bytes.reclaimTo(keepBytes)
}

// What is kept for the next call; a peak is not.
const (
	chunkLen     = 32      // messages of a type in one piece of memory
	keepChunks   = 8       // pieces of each type
	keepMessages = 4096    // entries of the list
	keepBytes    = 1 << 20 // of Copy
	keepElements = 4096    // of each type of Slice
)

// reclaimer takes back what it lent.
type reclaimer interface{ reclaim() }

// pool lends messages of one type. They lie in chunks that never move, so that a message stays in
// its place however many follow it in the same call.
type pool[T any] struct {
	chunks [][]T
	used   int
}

func poolOf[T any](m *Messages) *pool[T] {
	for _, r := range m.pools {
		if p, ok := r.(*pool[T]); ok {
			return p
		}
	}
	p := new(pool[T])
	m.pools = append(m.pools, p)
	return p
}

func (p *pool[T]) next() *T {
	chunk, i := p.used/chunkLen, p.used%chunkLen
	if chunk == len(p.chunks) {
		p.chunks = append(p.chunks, make([]T, chunkLen))
	}
	p.used++
	return &p.chunks[chunk][i]
}

// reclaim zeroes what was lent, so that no message keeps a frame alive.
func (p *pool[T]) reclaim() {
	for i := range p.chunks {
		clear(p.chunks[i][:min(max(p.used-i*chunkLen, 0), chunkLen)])
	}
	if p.used = 0; invariants.Enabled {
		p.chunks = nil // who still looks at a message finds it zero
	}
	if len(p.chunks) > keepChunks {
		clear(p.chunks[keepChunks:])
		p.chunks = p.chunks[:keepChunks]
	}
}

// slab lends slices of one type, cut from a buffer that is replaced when it is full.
type slab[T any] struct {
	buf []T
	old [][]T // replaced in this call; only in builds that check invariants
}

func slabOf[T any](m *Messages) *slab[T] {
	for _, r := range m.slices {
		if s, ok := r.(*slab[T]); ok {
			return s
		}
	}
	s := new(slab[T])
	m.slices = append(m.slices, s)
	return s
}

// take gives n zero values.
func (s *slab[T]) take(n int) []T {
	if n <= 0 {
		return nil
	}
	at := len(s.buf)
	if n > cap(s.buf)-at {
		if invariants.Enabled {
			s.old = append(s.old, s.buf)
		}
		s.buf, at = make([]T, 0, max(2*cap(s.buf), n, 64)), 0 // messages still refer to the old one
	}
	s.buf = s.buf[:at+n]
	return s.buf[at : at+n : at+n]
}

func (s *slab[T]) reclaim() { s.reclaimTo(keepElements) }

// reclaimTo zeroes what was lent, and keeps memory for that many elements.
func (s *slab[T]) reclaimTo(keep int) {
	clear(s.buf)
	if invariants.Enabled {
		s.trample()
	}
	if cap(s.buf) > keep {
		s.buf = nil
	}
	s.buf = s.buf[:0]
}

// trample makes sure that who still looks at what was lent sees that its time is over.
func (s *slab[T]) trample() {
	for _, buf := range append(s.old, s.buf) {
		clear(buf)
		if b, ok := any(buf).([]byte); ok {
			invariants.Trample(b)
		}
	}
	s.old, s.buf = nil, nil
}
