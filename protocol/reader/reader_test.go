package reader_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/reader"
)

const (
	post = "POST /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello"
	get  = "GET /b HTTP/1.1\r\nHost: example.com\r\n\r\n"
	ok   = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
	none = "HTTP/1.1 304 Not Modified\r\n\r\n"
	rest = "HTTP/1.0 200 OK\r\n\r\nuntil the end"
)

// web reads requests and responses with net/http, and gives what it has read as lines.
func web(lines *[]string) reader.Factory {
	say := func(format string, a ...any) { *lines = append(*lines, fmt.Sprintf(format, a...)) }
	return reader.Factory{Read: func(side flowscope.FlowSide, s *reader.Stream) {
		b := bufio.NewReader(s)
		for {
			var body io.Reader
			var head string
			var err error
			if side == flowscope.Initiator {
				var r *http.Request
				if r, err = http.ReadRequest(b); err == nil {
					head, body = r.Method+" "+r.Host+r.URL.String(), r.Body
				}
			} else {
				var r *http.Response
				if r, err = http.ReadResponse(b, nil); err == nil {
					head, body = r.Status, r.Body
				}
			}
			var text []byte
			if err == nil {
				text, err = io.ReadAll(body)
				say("%s %q", head, text)
			}
			var gap reader.Gap
			switch {
			case errors.As(err, &gap):
				say("%v: gap of %d", side, gap.Bytes)
			case err != nil:
				say("%v: %v", side, err)
				return
			}
		}
	}}
}

func newPlayer(t testing.TB, f ...flowscope.ParserFactory) *flowscope.SessionPlayer {
	t.Helper()
	p, err := flowscope.NewSessionPlayer(flowscope.Config{}, f...)
	require.NoError(t, err)
	return p
}

func empty(t *testing.T, p *flowscope.SessionPlayer) {
	t.Helper()
	assert.Zero(t, p.Stats().Parsers)
	assert.Zero(t, p.Stats().HeldBytes)
}

func TestNetHTTPReadsWhatWasSaid(t *testing.T) {
	want := []string{
		`POST example.com/a "hello"`, `200 OK "abcde"`, `GET example.com/b ""`, `304 Not Modified ""`, "initiator: EOF",
		`200 OK "until the end"`, "responder: unexpected EOF", // of net/http, at the next response
	}
	for _, size := range []int{1 << 20, 1, 7} {
		var got []string
		p := newPlayer(t, web(&got))
		f := p.TCP(40000, 80)
		say := func(side flowscope.FlowSide, s string) {
			for len(s) > 0 {
				n := min(size, len(s))
				f.Data(side, []byte(s[:n]), 1)
				s = s[n:]
			}
		}
		say(0, post)
		say(1, ok)
		say(0, get)
		say(1, none)
		f.Close(0, 2)
		say(1, rest)
		f.Close(1, 3)
		f.End(flowscope.EndFIN, 4)
		assert.Equal(t, want, got, "pieces of %d", size)
		empty(t, p)
	}
}

func TestAGapIsAnErrorAndReadingGoesOn(t *testing.T) {
	var got []string
	p := newPlayer(t, web(&got))
	f := p.TCP(40000, 80)
	f.Data(0, []byte(post), 1)
	f.Data(0, []byte(post[:len(post)-3]), 1)
	f.Gap(0, 3, 2)
	f.Data(0, []byte(get), 3)
	f.End(flowscope.EndRST, 4)
	assert.Equal(t, []string{
		`POST example.com/a "hello"`, `POST example.com/a "he"`, "initiator: gap of 3", `GET example.com/b ""`,
		"initiator: flowscope/reader: the connection ended: rst",
	}, got)
	empty(t, p)
}

func TestAGapBeforeTheFirstBytes(t *testing.T) {
	var got []string
	p := newPlayer(t, web(&got))
	f := p.TCP(40000, 80)
	f.Data(0, []byte(get), 1)
	f.Gap(1, 9, 2)
	f.Data(1, []byte(none), 3)
	f.End(flowscope.EndFinished, 4)
	assert.Equal(t, []string{
		`GET example.com/b ""`, "responder: gap of 9", `304 Not Modified ""`,
		"initiator: flowscope/reader: the connection ended: finished", "responder: flowscope/reader: the connection ended: finished",
	}, got)
}

func TestPlaceAndTime(t *testing.T) {
	var got []string
	p := newPlayer(t, reader.Factory{Read: func(_ flowscope.FlowSide, s *reader.Stream) {
		b := make([]byte, 4)
		for {
			n, err := s.Read(b)
			got = append(got, fmt.Sprintf("%q %v before %d at %d packet %d", b[:n], err != nil, s.Offset(), s.Time(), s.Packet()))
			if n, err := s.Read(nil); n != 0 || err != nil {
				t.Error("nothing was asked for")
			}
			if err == io.EOF {
				return
			}
		}
	}})
	f := p.TCP(1, 2)
	f.Data(0, []byte("abcdef"), 10)
	f.Gap(0, 100, 20)
	f.Data(0, []byte("g"), 30)
	f.Close(0, 40)
	assert.Equal(t, []string{
		`"abcd" false before 4 at 10 packet 1`, `"ef" false before 6 at 10 packet 1`, `"" true before 106 at 10 packet 1`,
		`"g" false before 107 at 30 packet 3`, `"" true before 107 at 30 packet 3`,
	}, got)
}

func TestOffsetsBeginWhereTheBytesDo(t *testing.T) {
	offset := int64(0)
	p := newPlayer(t, reader.Factory{Read: func(_ flowscope.FlowSide, s *reader.Stream) { offset = s.Offset() }})
	f := p.TCP(1, 2)
	f.Gap(0, 100, 1) // before anything was recognised: nobody is told
	f.Data(0, []byte("abc"), 1)
	assert.EqualValues(t, 100, offset)
}

func TestASideThatIsOverCountsNoMore(t *testing.T) {
	p := newPlayer(t, reader.Factory{Read: func(side flowscope.FlowSide, s *reader.Stream) {
		if side == flowscope.Initiator {
			_, _ = io.Copy(io.Discard, s)
		}
	}})
	f := p.TCP(1, 2)
	f.Data(0, []byte("abc"), 1)
	held := p.Stats().HeldBytes
	f.Data(1, []byte("abc"), 1)
	assert.Equal(t, held, p.Stats().HeldBytes)
}

// found is a message of the program's own.
type found struct{ Text string }

func (f *found) CloneMessage() flowscope.Message { c := *f; return &c }

func TestBothSidesShareAValueAndEmitMessages(t *testing.T) {
	p := newPlayer(t, reader.Factory{Read: func(side flowscope.FlowSide, s *reader.Stream) {
		for lines := bufio.NewScanner(s); lines.Scan(); {
			if side == flowscope.Initiator {
				s.Conn().Value = lines.Text()
			} else {
				flowscope.Emit[found](s.Messages()).Text = s.Conn().Value.(string) + " -> " + lines.Text()
			}
		}
	}})
	f := p.TCP(1, 2)
	assert.Empty(t, f.Data(0, []byte("one\n"), 1))
	assert.Empty(t, f.Data(1, []byte("on"), 1))
	all := f.Data(1, []byte("e\n"), 1)
	require.Len(t, all, 1)
	assert.Equal(t, "one -> one", all[0].Message.(*found).Text)
	assert.Equal(t, flowscope.Responder, all[0].Side)
	f.Data(0, []byte("two"), 2)
	all = f.End(flowscope.EndRST, 3) // Scan gives the last line at the end too
	assert.Empty(t, all, "only the client has said something")
	empty(t, p)
}

func TestAFunctionMayReturnEarly(t *testing.T) {
	calls := 0
	p := newPlayer(t, reader.Factory{Read: func(side flowscope.FlowSide, s *reader.Stream) {
		calls++
		_, _ = io.ReadFull(s, make([]byte, 3))
	}})
	f := p.TCP(1, 2)
	f.Data(0, []byte("abcdef"), 1)
	f.Data(0, []byte("ghi"), 1)
	f.Gap(0, 3, 1)
	assert.Equal(t, 1, calls)
	assert.EqualValues(t, 1, p.Stats().Parsers)
	f.Data(1, []byte("ab"), 1)
	f.Data(1, []byte("c"), 1)
	assert.Equal(t, 2, calls)
	empty(t, p) // both are done: the flow is left
	f.Data(0, []byte("more"), 2)
	f.End(flowscope.EndFIN, 3)
	assert.Equal(t, 2, calls)
}

func TestAPanicComesOut(t *testing.T) {
	p := newPlayer(t, reader.Factory{Read: func(side flowscope.FlowSide, s *reader.Stream) {
		b := []byte{0}
		for {
			if _, err := s.Read(b); err != nil {
				return
			}
			if b[0] == '!' {
				panic("found")
			}
		}
	}})
	f := p.TCP(1, 2)
	f.Data(0, []byte("abc"), 1)
	assert.PanicsWithValue(t, "found", func() { f.Data(0, []byte("d!e"), 1) })
	f.Data(0, []byte("f"), 2) // the side is over, and the rest goes on
	f.Data(1, []byte("g"), 2)
	f.End(flowscope.EndFIN, 3)
	empty(t, p)
}

// Every way in which a parser leaves its flow ends its coroutines.
func TestNothingStaysBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	ends := 0
	f := reader.Factory{Read: func(side flowscope.FlowSide, s *reader.Stream) {
		defer func() { ends++ }()
		for {
			if _, err := io.Copy(io.Discard, s); !errors.As(err, new(reader.Gap)) {
				flowscope.Emit[found](s.Messages()) // wherever it goes
				if n, again := s.Read(make([]byte, 1)); n != 0 || again == nil || err != nil && again != err {
					t.Error("the end is final", n, again)
				}
				return
			}
		}
	}}
	p, err := flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: 1 << 18}, f)
	require.NoError(t, err)
	var flows []*flowscope.PlayedFlow
	for range 100 { // more than there is room for
		flow := p.TCP(1, 2)
		flow.Data(0, []byte("hello"), 1)
		flow.Gap(0, 1, 1)
		flow.Data(1, []byte("hello"), 1)
		flows = append(flows, flow)
		assert.LessOrEqual(t, p.Stats().HeldBytes, int64(1<<18))
	}
	st := p.Stats()
	assert.Less(t, st.Parsers, uint64(100))
	for _, flow := range flows {
		flow.End(flowscope.EndFinished, 2)
	}
	empty(t, p)
	assert.Greater(t, ends, 10)
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
}

func TestASideForWhichThereIsNoRoomIsToldOf(t *testing.T) {
	p, err := flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: 1 << 13}, reader.Factory{Read: func(flowscope.FlowSide, *reader.Stream) { t.Error("called") }})
	require.NoError(t, err)
	f := p.TCP(1, 2)
	all := f.Data(0, []byte("hello"), 1)
	require.Len(t, all, 1)
	assert.Equal(t, &reader.Refused{Side: 0}, all[0].Message.CloneMessage())
	f.End(flowscope.EndFIN, 2)
	empty(t, p)
}

func TestRecognise(t *testing.T) {
	text := reader.Factory{Read: func(flowscope.FlowSide, *reader.Stream) {}}
	assert.Equal(t, flowscope.VerdictYes, text.Probe(flowscope.Probe{L4: flowscope.L4TCP, First: []byte("x")}))
	assert.Equal(t, flowscope.VerdictNo, text.Probe(flowscope.Probe{L4: flowscope.L4UDP, First: []byte("x")}))
	assert.Equal(t, flowscope.VerdictNo, reader.Factory{}.Probe(flowscope.Probe{L4: flowscope.L4TCP, First: []byte("x")}))
	text.Recognise = func(p flowscope.Probe) flowscope.Verdict {
		if strings.HasPrefix(string(p.First), "GET ") {
			return flowscope.VerdictYes
		}
		return flowscope.VerdictMaybe
	}
	assert.Equal(t, flowscope.VerdictMaybe, text.Probe(flowscope.Probe{L4: flowscope.L4TCP, First: []byte("G")}))
}

func TestErrorsSayWhatHappened(t *testing.T) {
	assert.Equal(t, "flowscope/reader: 7 bytes of the stream are missing", reader.Gap{Bytes: 7}.Error())
	assert.Equal(t, "flowscope/reader: the connection ended: idle", reader.Ended{Reason: flowscope.EndIdleTimeout}.Error())
	assert.Equal(t, "flowscope/reader: the stream is read no further, for want of memory", reader.Ended{}.Error())
	var s reader.Stream // outside of a function
	n, err := s.Read(make([]byte, 1))
	assert.Zero(t, n)
	assert.Equal(t, reader.Ended{}, err)
}
