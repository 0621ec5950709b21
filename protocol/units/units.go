// Package units cuts the streams of a protocol into its units, such as lines or records with their length
// in front, for programs that read the units themselves:
//
//	factory := units.Factory{Ports: []uint16{4000}, Split: units.Prefixed(2)}
//	driver, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, flowscope.Config{}, factory)
//	...
//	for ev, err := range driver.Events(flowscope.OpenCapture("traffic.pcap")) {
//		...
//		if u, ok := ev.Message.(*units.Unit); ok {
//			fmt.Printf("%v %q\n", ev.Side, u.Bytes)
//		}
//	}
//
// What a unit is, a bufio.SplitFunc says: bufio.ScanLines and the like, or one of the program's own.
//
// # Loss
//
// Where the next unit cannot be found, a side is read no further, and a [Lost] says why: bytes were not
// captured, a unit is longer than Max, the SplitFunc gave an error, the connection ended within a unit.
// The other side is read on. Of a connection that was under way when the capture began, the first unit
// begins with the first byte that was captured, which may be amid one. A parser that can find the next
// unit behind a gap is one's own: see flowscope.SessionParser.
package units

import (
	"bufio"
	"bytes"
	"errors"

	"github.com/flowscope-go/flowscope"
)

// DefaultMax is the Max of a Factory that says none.
const DefaultMax = 64 << 10

// Factory recognises connections by their ports, or as Recognise says, and cuts both sides into units.
type Factory struct {
	// Ports are those of the protocol; see flowscope.Probe.OnPort.
	Ports []uint16
	// Recognise says which connections are read, in place of Ports; see flowscope.ParserFactory.
	Recognise func(p flowscope.Probe) flowscope.Verdict
	// Split finds the next unit of a side, as for a bufio.Scanner: it is asked whenever bytes come, and
	// with atEOF once the side has sent its FIN. A unit has to be a part of the bytes that it is given,
	// and it must not keep them. bufio.ErrFinalToken ends the side without a Lost. Drivers of several
	// goroutines that share the factory call it at the same time. If it is nil no connection is read.
	Split bufio.SplitFunc
	// Max is how many bytes a unit may have, with what Split takes away of it. 0 is DefaultMax.
	Max int
}

// Unit is a unit of a side, which is that of the event; so are time and packet, of its last byte.
type Unit struct {
	// Bytes are those that Split has given, lent until the next call on the driver. nil if there are none.
	Bytes []byte
	// Offset is the place in the side's stream of the first byte that was cut off for this unit, such as
	// that of its length.
	Offset int64
}

// CloneMessage implements flowscope.Message.
func (u *Unit) CloneMessage() flowscope.Message { return &Unit{bytes.Clone(u.Bytes), u.Offset} }

// Lost says that a side, which is that of the event, is read no further.
type Lost struct {
	// Offset is the place in the side's stream up to which it was read.
	Offset int64
	// Err is ErrGap, ErrEnded, ErrMemory, ErrSplit, bufio.ErrTooLong, or what Split gave.
	Err error
}

// CloneMessage implements flowscope.Message. Err is the same.
func (l *Lost) CloneMessage() flowscope.Message {
	c := *l
	return &c
}

// The reasons of a Lost, beside bufio.ErrTooLong.
var (
	ErrGap    = errors.New("flowscope/units: bytes of the stream are missing")
	ErrEnded  = errors.New("flowscope/units: the stream ended within a unit")
	ErrMemory = errors.New("flowscope/units: the stream is read no further, for want of memory")
	ErrSplit  = errors.New("flowscope/units: the SplitFunc takes no bytes for a unit, or more than there are")
)

// Prefixed splits into units with their length in front: an unsigned number of so many bytes, 1 to 8, the
// highest first, that does not count itself. The number is not a part of the unit. It panics if size is
// another.
//
// A protocol with another header in front of the length takes a SplitFunc of a few lines.
func Prefixed(size int) bufio.SplitFunc {
	if size < 1 || size > 8 {
		panic("flowscope/units: a length of 1 to 8 bytes")
	}
	return func(data []byte, _ bool) (advance int, token []byte, err error) {
		if len(data) < size {
			return 0, nil, nil
		}
		n := uint64(0)
		for _, b := range data[:size] {
			n = n<<8 | uint64(b)
		}
		if n > uint64(len(data)-size) {
			return 0, nil, nil
		}
		end := size + int(n)
		return end, data[size:end:end], nil
	}
}

// Probe implements flowscope.ParserFactory.
func (f Factory) Probe(p flowscope.Probe) flowscope.Verdict {
	switch {
	case f.Split == nil || p.L4 != flowscope.L4TCP:
		return flowscope.VerdictNo
	case f.Recognise != nil:
		return f.Recognise(p)
	}
	return p.OnPort(f.Ports...)
}

// NewSessionParser implements flowscope.SessionParserFactory.
func (f Factory) NewSessionParser() flowscope.SessionParser {
	if f.Max <= 0 {
		f.Max = DefaultMax
	}
	return &parser{split: f.Split, max: f.Max}
}

// parser cuts both sides of a connection.
type parser struct {
	split bufio.SplitFunc
	max   int
	sides [2]side
}

type side struct {
	carry flowscope.Carry
	next  int64 // the offset of the first byte that is not read yet
	begun bool  // something of the side has come
	done  bool
}

// Data implements flowscope.SessionParser.
func (p *parser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	s := &p.sides[c.Side]
	s.begun, s.next = true, c.Offset-int64(s.carry.Len())
	b, ok := s.carry.Join(c.Bytes, out)
	if !ok {
		p.lose(c.Side, ErrMemory, out)
		return
	}
	b, err := p.cut(s, b, false, out)
	switch {
	case err != nil:
		p.lose(c.Side, err, out)
	case len(b) > p.max:
		p.lose(c.Side, bufio.ErrTooLong, out)
	case !s.carry.Keep(b, out):
		p.lose(c.Side, ErrMemory, out)
	}
}

// cut emits the units in b, which begins at s.next, and returns what is left.
func (p *parser) cut(s *side, b []byte, atEnd bool, out *flowscope.Messages) ([]byte, error) {
	for len(b) > 0 {
		n, token, err := p.split(b, atEnd)
		final := err == bufio.ErrFinalToken
		switch {
		case err != nil && !final:
			return b, err
		case n < 0 || n > len(b) || n == 0 && token != nil && !final:
			return b, ErrSplit
		case n > p.max:
			return b, bufio.ErrTooLong
		}
		if token != nil {
			u := flowscope.Emit[Unit](out)
			if u.Offset = s.next; len(token) > 0 {
				u.Bytes = s.carry.Lend(token, out)
			}
		}
		s.next += int64(n)
		if b = b[n:]; final {
			return b, err
		}
		if n == 0 {
			break
		}
	}
	return b, nil
}

// Gap implements flowscope.SessionParser.
func (p *parser) Gap(which flowscope.FlowSide, offset, _ int64, _ flowscope.Timestamp, out *flowscope.Messages) {
	if s := &p.sides[which]; s.carry.Len() == 0 {
		s.next = offset
	}
	p.lose(which, ErrGap, out)
}

// Closed implements flowscope.SessionParser.
func (p *parser) Closed(which flowscope.FlowSide, reason flowscope.EndReason, _ flowscope.Timestamp, out *flowscope.Messages) {
	s := &p.sides[which]
	if !s.begun || s.done || s.carry.Len() == 0 {
		return
	}
	var err error
	b, ok := s.carry.Join(nil, out)
	if reason == 0 && ok {
		b, err = p.cut(s, b, true, out)
	}
	switch {
	case err != nil:
		p.lose(which, err, out)
	case len(b) > 0:
		p.lose(which, ErrEnded, out)
	default:
		s.carry.Drop(out)
	}
}

// lose reads a side no further. bufio.ErrFinalToken is no loss.
func (p *parser) lose(which flowscope.FlowSide, err error, out *flowscope.Messages) {
	s := &p.sides[which]
	if err != bufio.ErrFinalToken {
		l := flowscope.Emit[Lost](out)
		l.Offset, l.Err = s.next, err
	}
	s.carry.Drop(out)
	s.done = true
	if out.Stop(which); p.sides[which.Opposite()].done {
		out.Done()
	}
}

// Ended implements flowscope.SessionParser.
func (p *parser) Ended(flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {}

// Reset implements flowscope.SessionParser.
func (p *parser) Reset() {
	for i := range p.sides {
		s := &p.sides[i]
		s.carry.Reset()
		s.next, s.begun, s.done = 0, false, false
	}
}
