package flowscope_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// note is the message of all protocols that these tests speak.
type note struct {
	Protocol string
	Text     []byte
	At       int64 // where it began in the stream of its side
	Sizes    []uint16
}

func (m *note) CloneMessage() flowscope.Message {
	return &note{m.Protocol, bytes.Clone(m.Text), m.At, slices.Clone(m.Sizes)}
}

func emitNote(out *flowscope.Messages, protocol string, text []byte, at int64) *note {
	m := flowscope.Emit[note](out)
	m.Protocol, m.Text, m.At = protocol, text, at
	m.Sizes = flowscope.Slice[uint16](out, len(text)%3)
	for i := range m.Sizes {
		m.Sizes[i] = uint16(len(text))
	}
	return m
}

// notes are messages as text, in one line each.
func notes(all []flowscope.Emitted) string {
	var b strings.Builder
	for _, e := range all {
		m := e.Message.(*note)
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

// lines is a protocol of lines that begin with its name and a colon, as in "A:hello\n". A line that
// does not belongs to another protocol. Some lines are orders: see Data.
type lines struct{ name string }

func (f lines) Probe(p flowscope.Probe) flowscope.Verdict { return begins(p.First, f.name+":") }

func (f lines) NewSessionParser() flowscope.SessionParser { return &lineParser{lines: f} }

type lineParser struct {
	lines
	carry   [2]flowscope.Carry
	seen    [2]int // bytes of the carry that hold no end of line
	aligned [2]bool
	resumed uint16
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
		if begins(line, p.name+":") != flowscope.VerdictYes {
			p.handover(c.Side, whole, out)
			return
		}
		text := line[len(p.name)+1:]
		emitNote(out, p.name, carry.Lend(text, out), at)
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

func (p *lineParser) Gap(side flowscope.FlowSide, n int64, _ flowscope.Timestamp, out *flowscope.Messages) {
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

// blocks is a protocol of blocks with a magic byte and a length of two bytes before them, which parks
// after each complete block with the number of blocks so far.
type blocks struct{}

func (blocks) Probe(p flowscope.Probe) flowscope.Verdict {
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

func (blocks) NewSessionParser() flowscope.SessionParser { return &blockParser{} }

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
		if (blocks{}).Probe(flowscope.Probe{First: b}) == flowscope.VerdictNo {
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

func (p *blockParser) Gap(side flowscope.FlowSide, n int64, _ flowscope.Timestamp, out *flowscope.Messages) {
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

// guide is a protocol that speaks of nothing itself but knows where others begin, as STARTTLS: the
// responder greets with "+", either side may say one-byte words, and "!" hands over what follows.
// Anything else was not for it.
type guide struct{}

func (guide) Probe(p flowscope.Probe) flowscope.Verdict {
	if p.First[0] == '+' {
		return flowscope.VerdictYes
	}
	return flowscope.VerdictNo
}

func (guide) NewSessionParser() flowscope.SessionParser { return &guideParser{} }

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

// asks is a datagram protocol of questions "?x" and answers "=x", which gives up on a question after
// 100 ns, and is silent about itself on port 9.
type asks struct{}

func (asks) Probe(p flowscope.Probe) flowscope.Verdict {
	if p.First[0] != '?' && p.First[0] != '=' || p.Ports[1] == 9 {
		return flowscope.VerdictNo
	}
	return flowscope.VerdictYes
}

func (asks) NewDatagramParser() flowscope.DatagramParser { return &askParser{} }

type askParser struct {
	open  [8]byte
	since [8]flowscope.Timestamp
	n     int
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
	for p.n > 0 && now >= p.since[0]+100 {
		emitNote(out, "unanswered", out.Copy(p.open[:1]), int64(now))
		p.drop(0)
	}
	if p.n == 0 {
		out.Park(0)
		return 0
	}
	return p.since[0] + 100
}

func (p *askParser) Ended(reason flowscope.EndReason, now flowscope.Timestamp, out *flowscope.Messages) {
	emitNote(out, "open", out.Copy(p.open[:p.n]), int64(now))
}

func (p *askParser) Reset() { p.n = 0 }

func newPlayer(t testing.TB, cfg flowscope.Config, factories ...flowscope.ParserFactory) *flowscope.SessionPlayer {
	t.Helper()
	p, err := flowscope.NewSessionPlayer(cfg, factories...)
	require.NoError(t, err)
	return p
}

// holdsNothing checks that all flows have gone.
func holdsNothing(t testing.TB, p *flowscope.SessionPlayer) {
	t.Helper()
	s := p.Stats()
	assert.Zero(t, s.Parsers, "parsers")
	assert.Zero(t, s.Undecided, "undecided")
	assert.Zero(t, s.HeldBytes, "held")
	assert.Zero(t, s.FirstBytes, "first bytes")
}

const initiator, responder = flowscope.Initiator, flowscope.Responder

func TestAParserIsChosenByTheFirstBytes(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"A"}, lines{"B"}, lines{"BB"})
	f := p.TCP(1000, 80)
	assert.Equal(t, "initiator 1 B \"hello\" at 0 [5 5]\n", notes(f.Data(initiator, []byte("B:hello\nB:wo"), 1)))
	assert.Equal(t, "initiator 2 B \"world\" at 8 [5 5]\n", notes(f.Data(initiator, []byte("rld\n"), 2)))
	assert.Equal(t, "responder 3 B \"hi\" at 0 [2 2]\n", notes(f.Data(responder, []byte("B:hi\n"), 3)))
	assert.Equal(t, "initiator 4 closed \"\" at 0 []\n", notes(f.Close(initiator, 4)))
	assert.Equal(t, "responder 5 closed \"\" at 0 []\ninitiator 5 ended \"fin\" at 0 []\n", notes(f.End(flowscope.EndFIN, 5)))
	assert.Empty(t, f.Data(responder, []byte("B:late\n"), 6))
	st := p.Stats()
	assert.EqualValues(t, 1, st.Started)
	assert.EqualValues(t, 6, st.Messages)
	holdsNothing(t, p)
}

// The first bytes are held until it is clear whose they are, and then replayed as they came.
func TestFirstBytesAreReplayed(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"ABC"}, lines{"AB"})
	f := p.TCP(1000, 80)
	assert.Empty(t, f.Data(initiator, []byte("A"), 1))
	assert.Empty(t, f.Data(responder, []byte("AB"), 2))
	assert.Empty(t, f.Data(initiator, []byte("B"), 3))
	assert.EqualValues(t, 1, p.Stats().Undecided)
	assert.Positive(t, p.Stats().FirstBytes)
	assert.Equal(t, "responder 4 AB \"\" at 0 []\ninitiator 5 AB \"x\" at 0 [1]\n",
		notes(f.Data(responder, []byte(":\n"), 4))+notes(f.Data(initiator, []byte(":x\n"), 5)))
	f.End(flowscope.EndFIN, 6)
	holdsNothing(t, p)
}

func TestAMaybeOfAnEarlierFactoryIsWaitedFor(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"A:A"}, lines{"A"})
	f := p.TCP(1, 2)
	assert.Empty(t, f.Data(initiator, []byte("A:"), 1))
	assert.Equal(t, "initiator 2 A:A \"x\" at 0 [1]\n", notes(f.Data(initiator, []byte("A:x\n"), 2)))
	g := p.TCP(1, 2)
	assert.Empty(t, g.Data(initiator, []byte("A:"), 1))
	assert.Equal(t, "initiator 2 A \"x\" at 0 [1]\n", notes(g.Data(initiator, []byte("x\n"), 2)))
	// Where a side is complete, nothing can come of a Maybe.
	h := p.TCP(1, 2)
	assert.Empty(t, h.Data(initiator, []byte("A:"), 1))
	assert.Equal(t, "initiator 2 closed \"\" at 2 []\n", notes(h.Close(initiator, 2)))
	// Nor after MaxProbe bytes.
	i := newPlayer(t, flowscope.Config{}, maybe{}, lines{""}).TCP(1, 2)
	long := append(bytes.Repeat([]byte("::::::\n"), flowscope.MaxProbe/7), ':')
	assert.Empty(t, i.Data(initiator, long[:flowscope.MaxProbe-1], 1))
	assert.Len(t, i.Data(initiator, []byte("::\n"), 2), flowscope.MaxProbe/7+1)
}

// maybe is a factory that never knows.
type maybe struct{ lines }

func (maybe) Probe(p flowscope.Probe) flowscope.Verdict {
	if len(p.First) > flowscope.MaxProbe {
		panic("too many bytes")
	}
	return flowscope.VerdictMaybe
}

func TestAFlowThatNobodyKnowsIsLeftAlone(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"A"})
	f := p.TCP(1, 2)
	assert.Empty(t, f.Data(initiator, []byte("x"), 1))
	assert.Empty(t, f.Data(initiator, []byte("A:a\n"), 2), "the side begins with an x")
	assert.EqualValues(t, 0, p.Stats().Unwanted)
	assert.Len(t, f.Data(responder, []byte("A:a\n"), 3), 1, "the other side is known")
	assert.Len(t, f.Data(initiator, []byte("A:a\n"), 4), 1, "and then both are read")
	g := p.TCP(1, 2)
	assert.Empty(t, g.Data(initiator, []byte("x"), 1))
	assert.Empty(t, g.Data(responder, []byte("A"), 2))
	assert.Empty(t, g.Data(responder, []byte("x"), 3))
	assert.Empty(t, g.Data(responder, []byte("A:a\n"), 4))
	assert.EqualValues(t, 1, p.Stats().Unwanted)
	f.End(flowscope.EndRST, 5)
	g.End(flowscope.EndRST, 5)
	holdsNothing(t, p)
}

func TestAGapForgetsTheFirstBytesOfItsSide(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"A"})
	f := p.TCP(1, 2)
	f.Data(initiator, []byte("A"), 1)
	f.Data(responder, []byte("A"), 1)
	f.Gap(initiator, 10, 2)
	assert.Empty(t, f.Data(initiator, []byte("A"), 3))
	assert.Equal(t, "initiator 4 A \"x\" at 11 [1]\nresponder 5 A \"y\" at 0 [1]\n",
		notes(f.Data(initiator, []byte(":x\n"), 4))+notes(f.Data(responder, []byte(":y\n"), 5)))
	assert.Equal(t, "initiator 6 gap \"3\" at 0 [1]\n", notes(f.Gap(initiator, 3, 6)))
	g := p.TCP(1, 2)
	g.Data(initiator, []byte("A"), 1)
	g.Gap(initiator, 10, 2)
	assert.EqualValues(t, 0, p.Stats().Undecided, "nothing is held")
	assert.Empty(t, g.Data(initiator, []byte(":x\n"), 3))
}

func TestAParserHandsOver(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"A"}, blocks{}, guide{})
	f := p.TCP(1, 25)
	f.Data(responder, []byte("+hello"), 1)
	f.Data(initiator, []byte("start"), 2)
	assert.Empty(t, f.Data(responder, []byte("!"), 3))
	assert.Equal(t, "initiator 4 block1 \"hi\" at 5 [2 2]\n", notes(f.Data(initiator, []byte("\xb1\x00\x02hi"), 4)))
	// Parked, and then it is another protocol on both sides.
	assert.Equal(t, "responder 6 A \"x\" at 7 [1]\n", notes(f.Data(responder, []byte("A:x\n"), 6)))
	assert.Equal(t, "initiator 7 A \"y\" at 10 [1]\n", notes(f.Data(initiator, []byte("A:y\n"), 7)))
	assert.EqualValues(t, 2, p.Stats().Handovers)
	f.End(flowscope.EndFIN, 8)
	holdsNothing(t, p)
}

// eager is a factory that knows everything, whose parsers hand all of it over, or all but one byte.
type eager struct{ read int }

func (eager) Probe(flowscope.Probe) flowscope.Verdict { return flowscope.VerdictYes }

func (f eager) NewSessionParser() flowscope.SessionParser { return &eagerParser{read: f.read} }

type eagerParser struct {
	lineParser
	read int
}

func (p *eagerParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	var rest [2][]byte
	rest[c.Side] = c.Bytes[min(p.read, len(c.Bytes)):]
	out.Handover(rest)
}

// Parsers that hand over without reading anything come to an end.
func TestHandoversDoNotGoRoundInCircles(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, eager{}, eager{}, lines{"A"})
	f := p.TCP(1, 2)
	assert.Equal(t, "initiator 1 A \"x\" at 0 [1]\n", notes(f.Data(initiator, []byte("A:x\n"), 1)))
	assert.EqualValues(t, 2, p.Stats().Handovers)
	g := p.TCP(1, 2)
	assert.Empty(t, g.Data(initiator, []byte("xxxx"), 1))
	assert.Empty(t, g.Data(responder, []byte("xxxx"), 1))
	assert.EqualValues(t, 2+4, p.Stats().Handovers)
	f.End(flowscope.EndFIN, 1)
	g.End(flowscope.EndFIN, 1)
	// One that reads a byte each time gets through.
	q := newPlayer(t, flowscope.Config{}, eager{}, eager{1}, eager{})
	h := q.TCP(1, 2)
	assert.Empty(t, h.Data(initiator, make([]byte, 1000), 1))
	assert.EqualValues(t, 2000, q.Stats().Handovers)
	h.End(flowscope.EndFIN, 1)
	holdsNothing(t, p)
	holdsNothing(t, q)
}

func TestAParserLeavesItsFlowAsItAsks(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"A"}, lines{"B"}, blocks{})
	f := p.TCP(1, 2)
	assert.Len(t, f.Data(initiator, []byte("A:1\nA:stop\nA:2\n"), 1), 2)
	assert.Empty(t, f.Data(initiator, []byte("A:3\n"), 1))
	assert.Len(t, f.Data(responder, []byte("A:4\n"), 1), 1)
	assert.Empty(t, f.Gap(initiator, 5, 1))
	assert.Empty(t, f.Close(initiator, 1))
	assert.Equal(t, "responder 1 closed \"\" at 0 []\ninitiator 1 ended \"fin\" at 0 []\n", notes(f.End(flowscope.EndFIN, 1)))

	f = p.TCP(1, 2)
	assert.Len(t, f.Data(initiator, []byte("A:done\nA:2\n"), 1), 1)
	assert.Empty(t, f.Data(responder, []byte("A:3\n"), 1))
	assert.Empty(t, f.End(flowscope.EndFIN, 1))

	// What a side has left unread, and its end, are for the next parser: A again, which then finds
	// that the other side is not for it.
	f = p.TCP(1, 2)
	f.Data(initiator, []byte("A:1\nA:"), 1)
	f.Close(initiator, 2)
	assert.Equal(t, "responder 3 A \"switch\" at 0 []\ninitiator 3 closed \"\" at 2 []\nresponder 3 B \"x\" at 9 [1]\n",
		notes(f.Data(responder, []byte("A:switch\nB:x\n"), 3)))
	f.End(flowscope.EndFIN, 4)

	f = p.TCP(1, 2)
	assert.Equal(t, "initiator 1 block1 \"\" at 0 []\n", notes(f.Data(initiator, []byte{0xb1, 0, 0}, 1)))
	assert.EqualValues(t, 0, p.Stats().Parsers)
	assert.Equal(t, "responder 2 block2 \"\" at 0 []\n", notes(f.Data(responder, []byte{0xb1, 0, 0}, 2)))
	assert.Equal(t, "responder 3 lost \"\" at 7 []\n", notes(f.Gap(responder, 7, 3)), "a gap wakes it up")
	assert.Empty(t, f.Data(responder, []byte{0xb1, 0, 0}, 4))
	f.End(flowscope.EndFIN, 5)
	f = p.TCP(1, 2)
	f.Data(initiator, []byte{0xb1, 0, 0}, 1)
	assert.Empty(t, f.Close(initiator, 2))
	assert.Empty(t, f.End(flowscope.EndFIN, 2), "nor does the end")
	holdsNothing(t, p)
}

func TestDatagramsAndTheirTimeouts(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"?"}, asks{})
	f := p.UDP(1000, 53)
	assert.Empty(t, f.Data(initiator, nil, 1), "an empty one says nothing about the protocol")
	assert.Empty(t, f.Data(initiator, []byte("?a"), 10))
	assert.Empty(t, f.Data(initiator, []byte("?b"), 20))
	assert.Equal(t, "responder 30 answer \"=b\" at 10 [2 2]\n", notes(f.Data(responder, []byte("=b"), 30)))
	assert.Equal(t, "initiator 40 bad \"\" at 0 []\n", notes(f.Data(initiator, nil, 40)))
	assert.Empty(t, p.Sweep(109))
	assert.Equal(t, "initiator 110 unanswered \"a\" at 110 [1]\n", notes(p.Sweep(110)))
	assert.EqualValues(t, 0, p.Stats().Parsers, "it is parked")
	assert.Empty(t, f.Data(initiator, []byte("?c"), 200))
	assert.Equal(t, "initiator 300 unanswered \"c\" at 300 [1]\n", notes(f.Data(responder, []byte("=c"), 300)),
		"what is due comes first")
	f.Data(initiator, []byte("?e"), 300)
	assert.Equal(t, "initiator 301 open \"e\" at 301 [1]\n", notes(f.End(flowscope.EndIdleTimeout, 301)))
	g := p.UDP(1000, 9)
	g.Data(initiator, []byte("?a"), 10)
	assert.Empty(t, g.Data(responder, []byte("=a"), 10))
	assert.EqualValues(t, 1, p.Stats().Unwanted)
	holdsNothing(t, p)
}

// hogs is a protocol in which each "h" makes the parser hold 1 KiB more, and each "l" 1 KiB less.
type hogs struct{}

func (hogs) Probe(p flowscope.Probe) flowscope.Verdict { return begins(p.First[:1], "h") }

func (hogs) NewSessionParser() flowscope.SessionParser { return &hogParser{} }

type hogParser struct{ lineParser }

func (p *hogParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	for _, b := range c.Bytes {
		n := 1024
		if b == 'l' {
			n = -n
		}
		if !out.Hold(n) {
			emitNote(out, "noroom", nil, c.Offset)
			out.Done()
			return
		}
	}
}

func TestNeitherManyNorLargeParsersStarveOthers(t *testing.T) {
	const limit = 64 << 10
	within := func(p *flowscope.SessionPlayer) {
		require.LessOrEqual(t, p.Stats().HeldBytes, int64(limit))
	}
	for name, flood := range map[string]string{"first bytes": "A", "half messages": "A:endless", "large ones": "hhhhhhhhhhhh"} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer(t, flowscope.Config{SessionBytes: limit}, lines{"A:A:"}, lines{"A"}, hogs{})
			busy := p.TCP(1, 2)
			busy.Data(initiator, []byte("A:x\n"), 1)
			var all []*flowscope.PlayedFlow
			for i := range 2000 {
				f := p.TCP(1, 2)
				all = append(all, f)
				f.Data(initiator, []byte(flood), 1)
				within(p)
				if i%20 == 0 {
					require.Len(t, busy.Data(initiator, []byte("A:x\n"), 1), 1, "a flow that is busy keeps its parser")
				}
			}
			require.Positive(t, p.Stats().Evicted)
			require.Len(t, p.TCP(1, 2).Data(responder, []byte("A:x\n"), 2), 1, "a connection that comes later")
			// One whose parser was taken away is asked about anew.
			require.Len(t, all[0].Data(initiator, []byte("A:x\n"), 3), 1)
			for _, f := range all {
				f.End(flowscope.EndFIN, 4)
			}
			assert.LessOrEqual(t, p.Stats().HeldBytes, int64(2048), "of the two others")
		})
	}
	// Of a few that hold much and many that hold little, the former give way.
	p := newPlayer(t, flowscope.Config{SessionBytes: limit}, lines{"A"}, hogs{})
	var small []*flowscope.PlayedFlow
	for range 20 {
		f := p.TCP(1, 2)
		f.Data(initiator, []byte("A:x"), 1)
		small = append(small, f)
	}
	for range 100 {
		p.TCP(1, 2).Data(initiator, []byte("hhhhhhhhhhhhhhhh"), 1)
		within(p)
	}
	for _, f := range small {
		assert.Len(t, f.Data(initiator, []byte("\n"), 2), 1)
	}
	// What is given back counts no more.
	q := newPlayer(t, flowscope.Config{SessionBytes: limit}, hogs{})
	f := q.TCP(1, 2)
	assert.Empty(t, f.Data(initiator, []byte("hhhh"), 1))
	held := q.Stats().HeldBytes
	f.Data(initiator, []byte("lllllllll"), 1)
	assert.Equal(t, held-4096, q.Stats().HeldBytes, "but not more than was taken")
	// One that wants more than there is is refused.
	assert.Equal(t, "initiator 2 noroom \"\" at 13 []\n", notes(f.Data(initiator, []byte(strings.Repeat("h", 100)), 2)))
	assert.EqualValues(t, 1, q.Stats().HoldsRefused)
	assert.EqualValues(t, 0, q.Stats().HeldBytes)
	// With no room at all nothing is read.
	r := newPlayer(t, flowscope.Config{SessionBytes: 300}, lines{"A"})
	assert.Empty(t, r.TCP(1, 2).Data(initiator, []byte("A:x\n"), 1))
	assert.EqualValues(t, 1, r.Stats().Refused)
	assert.EqualValues(t, 0, r.Stats().Parsers)
}

func TestCarryIsCountedByItsMemory(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"A"})
	f := p.TCP(1, 2)
	f.Data(initiator, []byte("A:x\n"), 1)
	before := p.Stats().HeldBytes
	f.Data(initiator, []byte("A:"), 1)
	assert.Equal(t, before+256, p.Stats().HeldBytes)
	f.Data(initiator, []byte("hello\n"), 1)
	assert.Equal(t, before+256, p.Stats().HeldBytes, "kept for the next line")
	f.End(flowscope.EndFIN, 1)
	holdsNothing(t, p)
	g := p.TCP(1, 2)
	g.Data(initiator, []byte("A:x\n"), 1)
	assert.Equal(t, before, p.Stats().HeldBytes, "memory from another flow counts when it is used")
	g.Data(initiator, []byte("A:"), 1)
	assert.Equal(t, before+256, p.Stats().HeldBytes)
}

func TestMessagesAreLentUntilTheNextCall(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"AAA"}, lines{"A"}, blocks{})
	f := p.TCP(1, 2)
	f.Data(initiator, []byte("A"), 1)
	frame := []byte(":hello\nA:you\nA:i")
	var lent []*note
	var kept []flowscope.Message
	for _, e := range f.Data(initiator, frame, 1) {
		lent = append(lent, e.Message.(*note))
		kept = append(kept, e.Message.CloneMessage())
	}
	all := f.Data(responder, []byte(strings.Repeat("A:many\n", 200)), 2)
	require.Len(t, all, 200)
	first := all[0].Message.(*note)
	assert.Equal(t, "many", string(first.Text), "messages of one call live side by side")
	if invariants.Enabled {
		for _, m := range lent {
			assert.Equal(t, note{}, *m, "trampled")
		}
	}
	clear(frame)
	assert.Equal(t, "hello", string(kept[0].(*note).Text))
	assert.Equal(t, "you", string(kept[1].(*note).Text))
	assert.Equal(t, []uint16{5, 5}, kept[0].(*note).Sizes)
	ev := flowscope.FlowEvent[int]{Kind: flowscope.EventMessage, Message: first}
	c := ev.Clone()
	f.Data(responder, []byte("A:other\n"), 3)
	assert.Equal(t, "many", string(c.Message.(*note).Text))
	// What was copied for a message is trampled too.
	f.Data(responder, []byte("A:cop"), 4)
	copied := f.Data(responder, []byte("ied\n"), 5)[0].Message.(*note).Text
	assert.Equal(t, "copied", string(copied))
	f.Data(responder, []byte("A:nobody\n"), 6)
	if invariants.Enabled {
		assert.Equal(t, strings.Repeat("\xdb", 6), string(copied))
	}
}

// A parser that panics takes nothing with it.
func TestAParserThatPanics(t *testing.T) {
	p := newPlayer(t, flowscope.Config{}, lines{"A"}, panics{})
	f := p.TCP(1, 2)
	f.Data(initiator, []byte("x"), 1)
	assert.Panics(t, func() { f.Data(initiator, []byte("xx"), 2) })
	g := p.TCP(1, 2)
	assert.Equal(t, "initiator 3 A \"x\" at 0 [1]\n", notes(g.Data(initiator, []byte("A:x\n"), 3)))
	f.End(flowscope.EndFIN, 4)
	g.End(flowscope.EndFIN, 4)
	holdsNothing(t, p)
}

type panics struct{ lines }

func (panics) Probe(p flowscope.Probe) flowscope.Verdict { return begins(p.First, "xxx") }

func (panics) NewSessionParser() flowscope.SessionParser { return &panicParser{} }

type panicParser struct{ lineParser }

func (*panicParser) Data(c flowscope.Chunk, out *flowscope.Messages) { _ = out.Hold(1000); panic("x") }

func TestWhatIsNoFactoryIsRefused(t *testing.T) {
	_, err := flowscope.NewSessionPlayer(flowscope.Config{}, nil)
	assert.ErrorIs(t, err, flowscope.ErrConfig)
	_, err = flowscope.NewSessionPlayer(flowscope.Config{}, justAProbe{})
	assert.ErrorIs(t, err, flowscope.ErrConfig)
	assert.ErrorContains(t, err, "justAProbe")
	_, err = flowscope.NewSessionPlayer(flowscope.Config{}, make([]flowscope.ParserFactory, 65)...)
	assert.ErrorIs(t, err, flowscope.ErrConfig)
	_, err = flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: -1})
	assert.ErrorIs(t, err, flowscope.ErrConfig)
}

type justAProbe struct{}

func (justAProbe) Probe(flowscope.Probe) flowscope.Verdict { return flowscope.VerdictNo }

// mallocsOf counts the allocations of n rounds of f, after as many to warm up.
func mallocsOf(n int, f func()) uint64 {
	for range n {
		f()
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	runtime.ReadMemStats(&before)
	for range n {
		f()
	}
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

func TestParsersAllocateNothingInTheLongRun(t *testing.T) {
	if invariants.Enabled {
		t.Skip("trampling allocates")
	}
	p := newPlayer(t, flowscope.Config{}, lines{"AAA"}, lines{"A"}, lines{"B"}, guide{}, asks{})
	f, u := p.TCP(1, 2), p.UDP(1, 2)
	f.Data(initiator, []byte("A:x\n"), 0)
	whole, head, tail := []byte("A:hello\nA:world\n"), []byte("A:he"), []byte("llo\n")
	question, answer := []byte("?x"), []byte("=x")
	now := flowscope.Timestamp(0)
	assert.Zero(t, mallocsOf(3000, func() {
		now++
		f.Data(initiator, whole, now)
		f.Data(responder, head, now)
		f.Data(responder, tail, now)
		u.Data(initiator, question, now)
		u.Data(responder, answer, now)
		p.Sweep(now)
	}), "a steady flow")
	greeting, a, b := []byte("+hello!A"), []byte(":switch\n"), []byte("B:x\n")
	assert.LessOrEqual(t, mallocsOf(3000, func() {
		g := p.TCP(1, 2) // which allocates the PlayedFlow
		g.Data(responder, greeting, now)
		g.Data(responder, a, now)
		g.Data(responder, b, now)
		g.Data(initiator, b, now)
		g.End(flowscope.EndFIN, now)
	}), uint64(3000), "whole flows")
}
