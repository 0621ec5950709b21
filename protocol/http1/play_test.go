package http1

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// step is one thing that happens on a connection: bytes, a gap, or the end of a side. The initiator
// is the client where nothing else is said.
type step struct {
	side flowscope.FlowSide
	b    string
	gap  int64
	fin  bool
	end  flowscope.EndReason
}

func client(b string) step { return step{b: b} }
func server(b string) step { return step{side: 1, b: b} }
func clientGap(n int64) step {
	return step{gap: n}
}
func serverGap(n int64) step { return step{side: 1, gap: n} }
func clientFIN() step        { return step{fin: true} }
func serverFIN() step        { return step{side: 1, fin: true} }
func reset() step            { return step{end: flowscope.EndRST} }

// shout is another protocol, whose streams begin with a few capital letters and a semicolon.
type shout struct{ letters int }

func (f shout) Probe(p flowscope.Probe) flowscope.Verdict {
	for i, c := range p.First {
		if c == ';' && i == f.letters {
			return yes
		}
		if c < 'A' || c > 'Z' || i >= f.letters {
			return no
		}
	}
	return maybe
}

func (f shout) NewSessionParser() flowscope.SessionParser { return deaf{} }

// deaf is a parser that reads nothing.
type deaf struct{}

func (deaf) Data(flowscope.Chunk, *flowscope.Messages)                                      {}
func (deaf) Gap(flowscope.FlowSide, int64, int64, flowscope.Timestamp, *flowscope.Messages) {}
func (deaf) Ended(flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages)            {}
func (deaf) Reset()                                                                         {}
func (deaf) Closed(flowscope.FlowSide, flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {
}

// telling writes messages as text, one line each; pieces of a body that follow each other are one.
type telling struct {
	b     strings.Builder
	body  *Body
	timed bool
}

func (t *telling) add(all []flowscope.Emitted) {
	for _, e := range all {
		if m, ok := e.Message.(*Body); ok {
			if p := t.body; p != nil && p.Of == m.Of && p.IsRequest == m.IsRequest && (p.Bytes == nil) == (m.Bytes == nil) &&
				p.Offset+int64(len(p.Bytes))+p.Missing == m.Offset {
				p.Bytes = append(p.Bytes, m.Bytes...)
				p.Missing += m.Missing
				continue
			}
			t.flush()
			t.body = m.CloneMessage().(*Body)
			continue
		}
		t.flush()
		t.b.WriteString(text(e.Message) + "\n")
		if x, ok := e.Message.(*Exchange); ok && t.timed {
			fmt.Fprintf(&t.b, "  times %d-%d %d-%d\n", x.Request.Began, x.Request.Ended, x.Response.Began, x.Response.Ended)
		}
	}
}

func (t *telling) flush() {
	if m := t.body; m != nil {
		t.body = nil
		t.b.WriteString(text(m) + "\n")
	}
}

func (t *telling) String() string { t.flush(); return t.b.String() }

func flagsText(f Flags) string {
	if f == 0 {
		return ""
	}
	return " " + f.String()
}

func fieldsText(fields []Field) string {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, " %s=%q", f.Name, []byte(f.Value))
	}
	return b.String()
}

func text(m flowscope.Message) string {
	switch m := m.(type) {
	case *Exchange:
		var b strings.Builder
		if m.Client == flowscope.Responder {
			b.WriteString("responder is client: ")
		}
		if m.Flags&NoRequest == 0 {
			fmt.Fprintf(&b, "%s %s", m.Method, m.Target)
			if m.Host != nil {
				fmt.Fprintf(&b, " host %q", []byte(m.Host))
			}
			fmt.Fprintf(&b, " %v", m.Request.Version)
			fmt.Fprintf(&b, "%s", partText(&m.Request))
		} else {
			b.WriteString("?")
		}
		if m.Flags&NoResponse == 0 {
			fmt.Fprintf(&b, " -> %d %v%s", m.Status, m.Response.Version, partText(&m.Response))
		} else {
			b.WriteString(" -> ?")
		}
		if m.Interim > 0 {
			fmt.Fprintf(&b, " interim %d", m.Interim)
		}
		return b.String() + flagsText(m.Flags&^(NoRequest|NoResponse))
	case *Request:
		return fmt.Sprintf("Request %s %s %q %v at %d%s%s", m.Method, m.Target, []byte(m.Host), m.Version, m.Offset, flagsText(m.Flags), fieldsText(m.Fields))
	case *Response:
		return fmt.Sprintf("Response %d %s %v at %d of %d%s%s", m.Status, m.Reason, m.Version, m.Offset, m.Request, flagsText(m.Flags), fieldsText(m.Fields))
	case *Body:
		return fmt.Sprintf("Body %v of %d at %d %q missing %d", m.IsRequest, m.Of, m.Offset, m.Bytes, m.Missing)
	case *Trailer:
		return fmt.Sprintf("Trailer %v of %d%s", m.IsRequest, m.Of, fieldsText(m.Fields))
	case *Lost:
		who, found := "server", ""
		if m.IsClient {
			who = "client"
		}
		if m.Found {
			found = fmt.Sprintf(", found after %d", m.Skipped)
		}
		return fmt.Sprintf("Lost %s %v at %d%s", who, m.Why, m.Offset, found)
	case *Switched:
		return fmt.Sprintf("Switched %v %q %q", m.Why, []byte(m.Protocol), []byte(m.Target))
	}
	return fmt.Sprintf("%T", m)
}

func partText(p *Part) string {
	var b strings.Builder
	if p.Body > 0 {
		fmt.Fprintf(&b, " body %d", p.Body)
	}
	if p.Missing > 0 {
		fmt.Fprintf(&b, " missing %d", p.Missing)
	}
	return b.String() + fieldsText(p.Fields)
}

// play plays a connection, each step 10 ms after the one before, with the bytes of each step cut up.
func play(t testing.TB, f Factory, steps []step, cut func(n int) int, timed bool, beside ...flowscope.ParserFactory) string {
	t.Helper()
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, append(beside, f)...)
	require.NoError(t, err)
	return playOn(t, player, steps, cut, timed)
}

func playOn(t testing.TB, player *flowscope.SessionPlayer, steps []step, cut func(n int) int, timed bool) string {
	t.Helper()
	flow := player.TCP(40000, 8080)
	var told telling
	told.timed = timed
	take := told.add
	now := flowscope.Timestamp(0)
	end := flowscope.EndFIN
	for _, s := range steps {
		now += 10_000_000
		switch {
		case s.gap > 0:
			take(flow.Gap(s.side, s.gap, now))
		case s.fin:
			take(flow.Close(s.side, now))
		case s.end != 0:
			end = s.end
		default:
			for b := []byte(s.b); len(b) > 0; {
				n := cut(len(b))
				piece := bytes.Clone(b[:n])
				take(flow.Data(s.side, piece, now))
				b = b[n:]
			}
		}
	}
	take(flow.End(end, now+10_000_000))
	st := player.Stats()
	assert.Zero(t, st.Parsers)
	assert.Zero(t, st.HeldBytes)
	return told.String()
}

func whole(n int) int { return n }
func single(int) int  { return 1 }
func random(r *rand.Rand) func(int) int {
	return func(n int) int { return 1 + r.Intn(min(n, 1+r.Intn(40))) }
}

// everyCut plays a connection in several cuts, with and without other factories, and holds that all
// tell the same.
func everyCut(t testing.TB, f Factory, steps []step) string {
	t.Helper()
	want := play(t, f, steps, whole, true)
	beside := []flowscope.ParserFactory{shout{3}, shout{5}}
	require.Equal(t, want, play(t, f, steps, single, true), "byte by byte")
	require.Equal(t, want, play(t, f, steps, whole, true, beside...), "with others")
	require.Equal(t, want, play(t, f, steps, single, true, beside...), "with others, byte by byte")
	r := rand.New(rand.NewSource(1))
	for range 5 {
		require.Equal(t, want, play(t, f, steps, random(r), true), "random cuts")
	}
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(want), "\n") {
		if !strings.HasPrefix(line, "  times") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
