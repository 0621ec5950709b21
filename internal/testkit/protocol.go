package testkit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Note is the message of all protocols that these tests speak.
type Note struct {
	Protocol string
	Text     []byte
	At       int64 // where it began in the stream of its side
	Sizes    []uint16
}

func (m *Note) CloneMessage() flowscope.Message {
	return &Note{m.Protocol, bytes.Clone(m.Text), m.At, slices.Clone(m.Sizes)}
}

func emitNote(out *flowscope.Messages, protocol string, text []byte, at int64) *Note {
	m := flowscope.Emit[Note](out)
	m.Protocol, m.Text, m.At = protocol, text, at
	m.Sizes = flowscope.Slice[uint16](out, len(text)%3)
	for i := range m.Sizes {
		m.Sizes[i] = uint16(len(text))
	}
	return m
}

// Notes are messages as text, in one line each.
func Notes(all []flowscope.Emitted) string {
	var b strings.Builder
	for _, e := range all {
		m := e.Message.(*Note)
		fmt.Fprintf(&b, "%v %v %s %q at %d %v\n", e.Side, int64(e.Timestamp), m.Protocol, m.Text, m.At, m.Sizes)
	}
	return b.String()
}

// begins is the verdict about bytes of a protocol that begins with a word.
func begins(b []byte, word string) flowscope.Verdict {
	switch n := min(len(b), len(word)); {
	case string(b[:n]) != word[:n]:
		return flowscope.VerdictNo
	case n < len(word):
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

// Lines is a protocol of lines that begin with its name and a colon, as in "A:hello\n". A line that
// does not belongs to another protocol. Some lines are orders: see Data.
type Lines struct{ Name string }

func (f Lines) Probe(p flowscope.Probe) flowscope.Verdict { return begins(p.First, f.Name+":") }

func (f Lines) NewSessionParser() flowscope.SessionParser { return &lineParser{Lines: f} }

type lineParser struct {
	Lines
	carry [2]flowscope.Carry
	seen  [2]int // bytes of the carry that hold no end of line
}

const longestLine = 200

func (p *lineParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	carry := &p.carry[c.Side]
	at := c.Offset - int64(carry.Len())
	b, ok := carry.Join(c.Bytes, out)
	for ok {
		n := bytes.IndexByte(b[p.seen[c.Side]:], '\n') + 1
		if n == 0 {
			break
		}
		n += p.seen[c.Side]
		p.seen[c.Side] = 0
		line, whole := b[:n-1], b
		if n > longestLine {
			break // for its limit must not depend on how the bytes are cut
		}
		b = b[n:]
		if begins(line, p.Name+":") != flowscope.VerdictYes {
			p.handover(c.Side, whole, out)
			return
		}
		text := line[len(p.Name)+1:]
		emitNote(out, p.Name, carry.Lend(text, out), at)
		at += int64(n)
		switch string(text) {
		case "switch": // what follows is of another protocol, on both sides
			p.handover(c.Side, b, out)
			return
		case "done":
			out.Done()
			return
		case "stop":
			out.Stop(c.Side)
			return
		case "stopother":
			out.Stop(c.Side.Opposite())
		}
	}
	if len(b) >= longestLine {
		emitNote(out, "toolong", nil, at)
		out.Done()
		return
	}
	if ok = ok && carry.Keep(b, out); !ok {
		emitNote(out, "noroom", nil, at)
		out.Done()
		return
	}
	p.seen[c.Side] = len(b)
}

func (p *lineParser) handover(side flowscope.FlowSide, b []byte, out *flowscope.Messages) {
	var rest [2][]byte
	rest[side] = b
	rest[side.Opposite()], _ = p.carry[side.Opposite()].Join(nil, out)
	out.Handover(rest)
}

func (p *lineParser) Gap(side flowscope.FlowSide, _, n int64, _ flowscope.Timestamp, out *flowscope.Messages) {
	p.carry[side].Drop(out)
	p.seen[side] = 0
	emitNote(out, "gap", out.Copy(fmt.Append(nil, n)), 0)
}

func (p *lineParser) Closed(side flowscope.FlowSide, reason flowscope.EndReason, _ flowscope.Timestamp, out *flowscope.Messages) {
	emitNote(out, "closed", nil, int64(p.carry[side].Len()))
}

func (p *lineParser) Ended(reason flowscope.EndReason, _ flowscope.Timestamp, out *flowscope.Messages) {
	emitNote(out, "ended", out.Copy([]byte(reason.String())), 0)
}

func (p *lineParser) Reset() {
	for i := range p.carry {
		p.carry[i].Reset()
	}
	p.seen = [2]int{}
}

// Blocks is a protocol of blocks with a magic byte and a length of two bytes before them, which parks
// after each complete block with the number of blocks so far.
type Blocks struct{}

func (Blocks) Probe(p flowscope.Probe) flowscope.Verdict {
	switch {
	case p.First[0] != 0xB1:
		return flowscope.VerdictNo
	case len(p.First) < 3:
		return flowscope.VerdictMaybe
	case binary.BigEndian.Uint16(p.First[1:]) > 300:
		return flowscope.VerdictNo
	}
	return flowscope.VerdictYes
}

func (Blocks) NewSessionParser() flowscope.SessionParser { return &blockParser{} }

type blockParser struct {
	count uint16
	carry [2]flowscope.Carry
}

func (p *blockParser) Resume(count uint16) { p.count = count }

func (p *blockParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	carry := &p.carry[c.Side]
	at := c.Offset - int64(carry.Len())
	b, ok := carry.Join(c.Bytes, out)
	for ok && len(b) > 0 {
		if (Blocks{}).Probe(flowscope.Probe{First: b}) == flowscope.VerdictNo {
			var rest [2][]byte
			rest[c.Side] = b
			rest[c.Side^1], _ = p.carry[c.Side^1].Join(nil, out)
			out.Handover(rest)
			return
		}
		if len(b) < 3 || len(b) < 3+int(binary.BigEndian.Uint16(b[1:])) {
			break
		}
		n := 3 + int(binary.BigEndian.Uint16(b[1:]))
		p.count++
		emitNote(out, fmt.Sprint("block", p.count), carry.Lend(b[3:n], out), at)
		b, at = b[n:], at+int64(n)
	}
	if ok = ok && carry.Keep(b, out); !ok {
		emitNote(out, "noroom", nil, at)
		out.Done()
		return
	}
	if p.carry[0].Len()+p.carry[1].Len() == 0 {
		out.Park(p.count)
	}
}

func (p *blockParser) Gap(side flowscope.FlowSide, _, n int64, _ flowscope.Timestamp, out *flowscope.Messages) {
	emitNote(out, "lost", nil, n+int64(p.carry[side].Len()))
	out.Done()
}

func (p *blockParser) Closed(side flowscope.FlowSide, reason flowscope.EndReason, now flowscope.Timestamp, out *flowscope.Messages) {
	(&lineParser{carry: p.carry}).Closed(side, reason, now, out)
}

func (p *blockParser) Ended(reason flowscope.EndReason, now flowscope.Timestamp, out *flowscope.Messages) {
	emitNote(out, "ended", []byte(reason.String()), int64(p.count))
}

func (p *blockParser) Reset() {
	*p = blockParser{carry: p.carry}
	p.carry[0].Reset()
	p.carry[1].Reset()
}

// Guide is a protocol that speaks of nothing itself but knows where others begin, as STARTTLS: the
// responder greets with "+", either side may say one-byte words, and "!" hands over what follows.
// Anything else was not for it.
type Guide struct{}

func (Guide) Probe(p flowscope.Probe) flowscope.Verdict {
	if p.First[0] == '+' {
		return flowscope.VerdictYes
	}
	return flowscope.VerdictNo
}

func (Guide) NewSessionParser() flowscope.SessionParser { return &guideParser{} }

type guideParser struct{ lineParser }

func (p *guideParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	for i, b := range c.Bytes {
		var rest [2][]byte
		switch {
		case b == '!':
			rest[c.Side] = c.Bytes[i+1:]
		case b == '+' || b >= 'a' && b <= 'z':
			continue
		default:
			rest[c.Side] = c.Bytes[i:]
		}
		out.Handover(rest)
		return
	}
}

// Asks is a datagram protocol of questions "?x" and answers "=x", which gives up on a question after
// Timeout, at least 100 ns, and is silent about itself on port 9.
type Asks struct{ Timeout flowscope.Timestamp }

func (Asks) Probe(p flowscope.Probe) flowscope.Verdict {
	if p.First[0] != '?' && p.First[0] != '=' || p.Ports[1] == 9 {
		return flowscope.VerdictNo
	}
	return flowscope.VerdictYes
}

func (f Asks) NewDatagramParser() flowscope.DatagramParser {
	return &askParser{timeout: max(f.Timeout, 100)}
}

type askParser struct {
	timeout flowscope.Timestamp
	open    [8]byte
	since   [8]flowscope.Timestamp
	n       int
}

func (p *askParser) Datagram(c flowscope.Chunk, out *flowscope.Messages) {
	if len(c.Bytes) < 2 {
		emitNote(out, "bad", c.Bytes, int64(c.Missing))
		return
	}
	if i := slices.Index(p.open[:p.n], c.Bytes[1]); c.Bytes[0] == '=' && i >= 0 {
		emitNote(out, "answer", c.Bytes, int64(c.Time-p.since[i]))
		p.drop(i)
	} else if c.Bytes[0] == '?' && p.n < len(p.open) {
		p.open[p.n], p.since[p.n] = c.Bytes[1], c.Time
		p.n++
	}
	if p.n == 0 {
		out.Park(0)
	}
}

func (p *askParser) drop(i int) {
	p.n--
	copy(p.open[i:], p.open[i+1:])
	copy(p.since[i:], p.since[i+1:])
}

func (p *askParser) OnTimer(now flowscope.Timestamp, out *flowscope.Messages) flowscope.Timestamp {
	for p.n > 0 && now >= p.since[0]+p.timeout {
		emitNote(out, "unanswered", out.Copy(p.open[:1]), int64(now))
		p.drop(0)
	}
	if p.n == 0 {
		out.Park(0)
		return 0
	}
	return p.since[0] + p.timeout
}

func (p *askParser) Ended(reason flowscope.EndReason, now flowscope.Timestamp, out *flowscope.Messages) {
	emitNote(out, "open", out.Copy(p.open[:p.n]), int64(now))
}

func (p *askParser) Reset() { p.n = 0 }

// Undecided is a factory that never knows.
type Undecided struct{ Lines }

func (Undecided) Probe(p flowscope.Probe) flowscope.Verdict {
	if len(p.First) > flowscope.MaxProbe {
		panic("too many bytes")
	}
	return flowscope.VerdictMaybe
}

// Eager is a factory that knows everything, whose parsers hand all of it over, or all but one byte.
type Eager struct{ Read int }

func (Eager) Probe(flowscope.Probe) flowscope.Verdict { return flowscope.VerdictYes }

func (f Eager) NewSessionParser() flowscope.SessionParser { return &eagerParser{read: f.Read} }

type eagerParser struct {
	lineParser
	read int
}

func (p *eagerParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	var rest [2][]byte
	rest[c.Side] = c.Bytes[min(p.read, len(c.Bytes)):]
	out.Handover(rest)
}

// Hogs is a protocol in which each "h" makes the parser hold 1 KiB more, each "l" 1 KiB
// less, and "!" hands over.
type Hogs struct{}

func (Hogs) Probe(p flowscope.Probe) flowscope.Verdict { return begins(p.First[:1], "h") }

func (Hogs) NewSessionParser() flowscope.SessionParser { return &hogParser{} }

type hogParser struct{ lineParser }

func (p *hogParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	for i, b := range c.Bytes {
		n := 1024
		switch b {
		case 'l':
			n = -n
		case '!':
			p.handover(c.Side, c.Bytes[i+1:], out)
			return
		}
		if !out.Hold(n) {
			emitNote(out, "noroom", nil, c.Offset)
			out.Done()
			return
		}
	}
}

type Panics struct{ Lines }

func (Panics) Probe(p flowscope.Probe) flowscope.Verdict { return begins(p.First, "xxx") }

func (Panics) NewSessionParser() flowscope.SessionParser { return &panicParser{} }

type panicParser struct{ lineParser }

func (*panicParser) Data(c flowscope.Chunk, out *flowscope.Messages) { _ = out.Hold(1000); panic("x") }

// NewPlayer is flowscope.NewSessionPlayer, for a configuration that is right.
func NewPlayer(t testing.TB, cfg flowscope.Config, factories ...flowscope.ParserFactory) *flowscope.SessionPlayer {
	t.Helper()
	p, err := flowscope.NewSessionPlayer(cfg, factories...)
	require.NoError(t, err)
	return p
}

// HoldsNothing checks that no parser reads a flow and nothing is held.
func HoldsNothing(t testing.TB, s flowscope.SessionStats) {
	t.Helper()
	assert.Zero(t, s.Parsers, "parsers")
	assert.Zero(t, s.Undecided, "undecided")
	assert.Zero(t, s.HeldBytes, "held")
	assert.Zero(t, s.FirstBytes, "first bytes")
}

// Letters is a protocol of words of small letters that end with z; anything else is not of it. Its parser
// tells words, gaps and ends, and says when it starts.
type Letters struct{}

// Probe implements flowscope.ParserFactory.
func (Letters) Probe(p flowscope.Probe) flowscope.Verdict {
	for i, b := range p.First {
		switch {
		case b < 'a' || b > 'z':
			return flowscope.VerdictNo
		case i == 5:
			return flowscope.VerdictYes
		}
	}
	return flowscope.VerdictMaybe
}

// NewSessionParser implements flowscope.SessionParserFactory.
func (Letters) NewSessionParser() flowscope.SessionParser { return &letterParser{} }

type letterParser struct {
	lineParser
	words int
}

func (p *letterParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	if p.words == 0 {
		p.words = 1
		emitNote(out, "start", nil, 0)
	}
	carry := &p.carry[c.Side]
	b, ok := carry.Join(c.Bytes, out)
	for i := 0; ok && i < len(b); i++ {
		if b[i] < 'a' || b[i] > 'z' {
			p.handover(c.Side, b, out)
			return
		}
		if b[i] == 'z' {
			p.words++
			emitNote(out, "word", carry.Lend(b[:i], out), 0)
			b, i = b[i+1:], -1
		}
	}
	if p.words > 20 {
		out.Stop(c.Side)
	}
	if !ok || !carry.Keep(b, out) {
		emitNote(out, "noroom", nil, 0)
		out.Done()
	}
}

func (p *letterParser) Reset() {
	p.lineParser.Reset()
	p.words = 0
}
