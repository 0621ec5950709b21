package flowscope_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// word is the message of the protocols that these tests speak.
type word struct {
	Protocol string
	Text     []byte
	At       int64 // where it began in its side's stream
	Parts    []uint16
}

func (w *word) CloneMessage() flowscope.Message {
	c := *w
	c.Text = bytes.Clone(w.Text)
	c.Parts = append([]uint16(nil), w.Parts...)
	return &c
}

// lines is a protocol of lines that begin with a name and a colon, such as "L:hello\n". A line
// "L:switch\n" hands over what follows on both sides; "L:done\n", "L:park\n" and "L:stop\n" do so too.
type lines struct {
	name  string
	most  int // of a line; 0: 256
	after map[string]func(*flowscope.Messages)
}

func (f lines) Probe(p flowscope.Probe) flowscope.Verdict { return startsWith(p.First, f.name+":") }

func startsWith(b []byte, want string) flowscope.Verdict {
	switch n := min(len(b), len(want)); {
	case string(b[:n]) != want[:n]:
		return flowscope.VerdictNo
	case n < len(want):
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

func (f lines) NewSessionParser() flowscope.SessionParser { return &lineParser{lines: f} }

type lineParser struct {
	lines
	carry [2]flowscope.Carry
	skip  [2]bool
}

func (p *lineParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	carry := &p.carry[c.Side]
	at := c.Offset - int64(carry.Len())
	b, ok := carry.Join(c.Bytes, out)
	for ok {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			break
		}
		line := b[:n-1]
		b = b[n:]
		if p.skip[c.Side] {
			p.skip[c.Side] = false
			at += int64(n)
			continue
		}
		if startsWith(line, p.name+":") != flowscope.VerdictYes {
			var rest [2][]byte
			rest[c.Side] = append(append(append(rest[c.Side], line...), '\n'), b...)
			rest[c.Side^1], _ = p.carry[c.Side^1].Join(nil, out)
			out.Handover(rest)
			return
		}
		m := flowscope.Emit[word](out)
		m.Protocol, m.Text, m.At = p.name, carry.Lend(line[len(p.name)+1:], out), at
		m.Parts = flowscope.Slice[uint16](out, len(line)%3)
		for i := range m.Parts {
			m.Parts[i] = uint16(len(line))
		}
		at += int64(n)
		switch string(m.Text) {
		case "switch":
			var rest [2][]byte
			rest[c.Side] = b
			rest[c.Side^1], _ = p.carry[c.Side^1].Join(nil, out)
			out.Handover(rest)
			return
		case "done":
			out.Done()
			return
		}
	}
	if !ok || !carry.Keep(b, out) {
		flowscope.Emit[word](out).Protocol = "lost"
		out.Done()
	}
}

func (p *lineParser) Gap(side flowscope.FlowSide, n int64, _ flowscope.Timestamp, out *flowscope.Messages) {
	p.carry[side].Drop(out)
	p.skip[side] = true
	m := flowscope.Emit[word](out)
	m.Protocol, m.Text = "gap", out.Copy(fmt.Append(nil, n))
}

func (p *lineParser) Closed(side flowscope.FlowSide, reason flowscope.EndReason, _ flowscope.Timestamp, out *flowscope.Messages) {
	m := flowscope.Emit[word](out)
	m.Protocol, m.At = "closed", int64(p.carry[side].Len())
}

func (p *lineParser) Ended(reason flowscope.EndReason, _ flowscope.Timestamp, out *flowscope.Messages) {
	flowscope.Emit[word](out).Protocol = "ended"
}

func (p *lineParser) Reset() {
	p.carry[0].Reset()
	p.carry[1].Reset()
	p.skip = [2]bool{}
}

func wordsOf(all []flowscope.Emitted) string {
	var b strings.Builder
	for _, e := range all {
		w := e.Message.(*word)
		fmt.Fprintf(&b, "%v %s %q %d %v|", e.Side, w.Protocol, w.Text, w.At, w.Parts)
	}
	return b.String()
}

func newPlayer(t *testing.T, parsers ...flowscope.ParserFactory) *flowscope.SessionPlayer {
	t.Helper()
	p, err := flowscope.NewSessionPlayer(flowscope.Config{}, parsers...)
	require.NoError(t, err)
	return p
}

func TestAParserIsChosenByTheFirstBytes(t *testing.T) {
	p := newPlayer(t, lines{name: "A"}, lines{name: "B"})
	f := p.TCP(1000, 80)
	assert.Equal(t, `initiator B "hello" 0 [7]|`, wordsOf(f.Data(0, []byte("B:hello\nB:wo"), 1)))
	assert.Equal(t, `initiator B "world" 8 [7]|`, wordsOf(f.Data(0, []byte("rld\n"), 2)))
	assert.Equal(t, `responder B "switch" 0 [8 8]|responder A "x" 9 []|`, wordsOf(f.Data(1, []byte("B:switch\nA:x\n"), 3)))
	assert.Equal(t, `initiator A "y" 16 []|`, wordsOf(f.Data(0, []byte("A:y\n"), 3)))
	assert.Equal(t, `initiator closed "" 0 []|responder closed "" 0 []|initiator ended "" 0 []|`, wordsOf(f.End(flowscope.EndFIN, 3)))
	st := p.Stats()
	assert.EqualValues(t, 0, st.HeldBytes)
	assert.EqualValues(t, 0, st.Parsers)
	assert.EqualValues(t, 2, st.Started)
	assert.EqualValues(t, 8, st.Messages)
}
