// Package reader lets a program read each side of a TCP connection from an io.Reader, so
// that parsers written for connections work on captured ones:
//
//	read := func(side flowscope.FlowSide, s *reader.Stream) {
//		if side != flowscope.Initiator {
//			return
//		}
//		for b := bufio.NewReader(s); ; {
//			r, err := http.ReadRequest(b)
//			if err != nil {
//				return
//			}
//			fmt.Println(s.Time(), r.Method, r.Host, r.URL)
//			io.Copy(io.Discard, r.Body) // the next request stands behind the body
//		}
//	}
//	drv, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, flowscope.Config{},
//		reader.Factory{Read: read, Recognise: http1.Factory{}.Probe})
//
// [Factory.Read] is called for each side that sends something. When it has read all there is, it stands
// still within [Stream.Read] until more comes; so it runs only within calls on the driver, never at
// the same time as the program or the other side, and nothing needs a lock.
//
// # Ends
//
// Bytes that were not captured are an error of type [Gap], after which reading may go on behind them.
// At the sender's FIN the error is io.EOF, and of type [Ended] if the connection ends otherwise. These
// two are final: Read gives them again and again, and a function that does not return then hangs the
// driver. If it returns earlier nothing more of the side is read. If it panics, the panic comes out of
// the driver's method that is being called.
//
// # Cost
//
// Each side costs a coroutine, which takes some kilobytes, and what the function itself allocates; of
// this a fixed estimate counts against Config.SessionBytes. A parser that is told what came, instead
// of reading it, is several times faster: see flowscope.SessionParser. The coroutines of connections
// that are still open stay behind if a driver is dropped without Finish.
package reader

import (
	"io"
	"iter"
	"strconv"

	"github.com/flowscope-go/flowscope"
)

// Factory runs a function over each side of the TCP connections that it recognises.
type Factory struct {
	// Read is called for a side when its first bytes, or a gap before them, come. If it is nil no
	// connection is read.
	Read func(side flowscope.FlowSide, s *Stream)
	// Recognise says which connections are read; see flowscope.ParserFactory. The Probe of another
	// factory will do, such as that of http1.Factory{}. If it is nil all are read that no factory
	// before this one wants.
	Recognise func(p flowscope.Probe) flowscope.Verdict
}

// Probe implements flowscope.ParserFactory.
func (f Factory) Probe(p flowscope.Probe) flowscope.Verdict {
	switch {
	case f.Read == nil || p.L4 != flowscope.L4TCP:
		return flowscope.VerdictNo
	case f.Recognise != nil:
		return f.Recognise(p)
	}
	return flowscope.VerdictYes
}

// NewSessionParser implements flowscope.SessionParserFactory.
func (f Factory) NewSessionParser() flowscope.SessionParser { return &parser{read: f.Read} }

// Gap is the error where bytes are missing: they were not captured, or had to be given up. Reading
// may go on behind them.
type Gap struct {
	// Bytes is how many are missing.
	Bytes int64
}

// Error implements error.
func (g Gap) Error() string {
	return "flowscope/reader: " + strconv.FormatInt(g.Bytes, 10) + " bytes of the stream are missing"
}

// Ended is the error at the end of a connection of which the side has not sent its FIN.
type Ended struct {
	// Reason is why the flow ended. It is 0 if it goes on, but the driver needed the memory.
	Reason flowscope.EndReason
}

// Error implements error.
func (e Ended) Error() string {
	if e.Reason == 0 {
		return "flowscope/reader: the stream is read no further, for want of memory"
	}
	return "flowscope/reader: the connection ended: " + e.Reason.String()
}

// Refused is the message about a side that is not read, since Config.SessionBytes is used up.
type Refused struct {
	Side flowscope.FlowSide
}

// CloneMessage implements flowscope.Message.
func (r *Refused) CloneMessage() flowscope.Message {
	c := *r
	return &c
}

// Conn is shared by both sides of a connection.
type Conn struct {
	// Value is the program's: the function of one side may leave it for that of the other one. The two
	// never run at the same time.
	Value any
}

// Stream is one side of a connection, to be read within Factory.Read only. It knows no addresses: emit a
// message with what was read, whose event has the flow's key, and ends by FlowEvent.Ends.
type Stream struct {
	conn *Conn
	wait func() bool // stands still until there is more; nil outside of the function
	rest []byte      // of the current chunk: lent, and read before the driver's call ends
	gap  int64
	end  error // final
	out  *flowscope.Messages

	time   flowscope.Timestamp
	packet uint64
	offset int64
}

// Read implements io.Reader. It waits for the next bytes if there are none; see the package for its
// errors.
func (s *Stream) Read(p []byte) (n int, err error) {
	for len(p) > 0 {
		switch {
		case len(s.rest) > 0:
			n = copy(p, s.rest)
			s.rest = s.rest[n:]
			s.offset += int64(n)
			return n, nil
		case s.gap > 0:
			err = Gap{s.gap}
			s.offset += s.gap
			s.gap = 0
			return 0, err
		case s.end != nil:
			return 0, s.end
		case s.wait == nil || !s.wait():
			s.end = Ended{}
		}
	}
	return 0, nil
}

// Time is when the bytes were captured that were read last. A bufio.Reader reads ahead: then it is
// that of the last bytes which have come so far.
func (s *Stream) Time() flowscope.Timestamp { return s.time }

// Packet is the number of the packet that brought these bytes.
func (s *Stream) Packet() uint64 { return s.packet }

// Offset is the place in the side's stream of the byte that Read gives next.
func (s *Stream) Offset() int64 { return s.offset }

// Conn is shared with the other side.
func (s *Stream) Conn() *Conn { return s.conn }

// Messages takes messages of the program's own, which become events of the driver behind those of the
// current bytes: see flowscope.Emit. They, and what this gives, are good until the next Read.
func (s *Stream) Messages() *flowscope.Messages { return s.out }

// sideCost is the cost of a side in the budget: a coroutine's first stack, and about as much as
// a bufio.Reader and what is read with it.
const sideCost = 16 << 10

// parser runs the functions of both sides.
type parser struct {
	read    func(flowscope.FlowSide, *Stream)
	conn    Conn
	sides   [2]side
	nowhere flowscope.Messages // for messages that are emitted outside a call
}

// side is a function and the stream that it reads.
type side struct {
	stream Stream
	resume func() (struct{}, bool) // runs it until it waits; nil before the start
	stop   func()
	done   bool // it has returned, or never will be called
}

// Data implements flowscope.SessionParser.
func (p *parser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	s := &p.sides[c.Side]
	if s.resume == nil {
		s.stream.offset = c.Offset
	}
	s.stream.rest, s.stream.time, s.stream.packet = c.Bytes, c.Time, c.Packet
	p.run(c.Side, out)
}

// Gap implements flowscope.SessionParser.
func (p *parser) Gap(side flowscope.FlowSide, _, n int64, _ flowscope.Timestamp, out *flowscope.Messages) {
	p.sides[side].stream.gap = n
	p.run(side, out)
}

// Closed implements flowscope.SessionParser.
func (p *parser) Closed(side flowscope.FlowSide, reason flowscope.EndReason, _ flowscope.Timestamp, out *flowscope.Messages) {
	p.end(side, reason, out)
}

// Ended implements flowscope.SessionParser.
func (p *parser) Ended(reason flowscope.EndReason, _ flowscope.Timestamp, out *flowscope.Messages) {
	p.end(flowscope.Initiator, reason, out)
	p.end(flowscope.Responder, reason, out)
}

func (p *parser) end(side flowscope.FlowSide, reason flowscope.EndReason, out *flowscope.Messages) {
	s := &p.sides[side]
	if s.resume == nil {
		return // it has never said anything
	}
	if s.stream.end = io.EOF; reason != 0 {
		s.stream.end = Ended{reason}
	}
	p.run(side, out)
}

// run lets the function of a side read the bytes that have come.
func (p *parser) run(which flowscope.FlowSide, out *flowscope.Messages) {
	s := &p.sides[which]
	if s.resume == nil && !s.done {
		if !out.Hold(sideCost) {
			flowscope.Emit[Refused](out).Side = which
			p.leave(which, out)
			return
		}
		p.start(which)
	}
	if s.done {
		return
	}
	s.stream.out = out
	_, waits := s.resume()
	s.stream.out, s.stream.rest = &p.nowhere, nil
	if !waits {
		out.Hold(-sideCost)
		p.leave(which, out)
	}
}

// start makes the coroutine of a side.
func (p *parser) start(which flowscope.FlowSide) {
	s := &p.sides[which]
	s.stream.conn = &p.conn
	s.resume, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.stream.wait = func() bool { return yield(struct{}{}) }
		defer func() { s.stream.wait = nil }()
		p.read(which, &s.stream)
	})
}

// leave stops the reading of a side.
func (p *parser) leave(which flowscope.FlowSide, out *flowscope.Messages) {
	s := &p.sides[which]
	s.done, s.stream.rest, s.stream.gap = true, nil, 0
	if out.Stop(which); p.sides[which.Opposite()].done {
		out.Done()
	}
}

// Reset implements flowscope.SessionParser. Functions that still wait are told to return.
func (p *parser) Reset() {
	for i := range p.sides {
		if s := &p.sides[i]; s.resume != nil {
			s.stream.out = &p.nowhere
			s.stop()
		}
	}
	p.nowhere.Reset()
	*p = parser{read: p.read}
}
