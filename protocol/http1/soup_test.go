package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// soup makes a conversation of pieces that mean something, in any order, with gaps and damage.
func soup(r *rand.Rand) []step {
	words := [2][]string{
		{get, gets("/1", "/2"), "HEAD /h HTTP/1.1\r\n\r\n", "POST /p HTTP/1.1\r\nContent-Length: 20\r\n\r\n", "01234567890123456789",
			"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "0\r\nX: y\r\n\r\n", "GET /09\r\n", "\r\n",
			"CONNECT h:1 HTTP/1.1\r\n\r\n", "GET /u HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", preface, "\x16\x03\x01\x00", "GET /half HTT",
			"Content-Length: 3\r\n", "ABC;", "POST /x HTTP/1.1\r\nContent-Length: x\r\n\r\n"},
		{ok(""), ok("hello"), ok(strings.Repeat("x", 100)), "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n",
			"01234567890123456789", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "0\r\n\r\n", "HTTP/1.1 304 x\r\n\r\n",
			"HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n", "\r\n", "SSH-2.0\r\n", "HTTP/1.1 20"},
	}
	var steps []step
	side := flowscope.FlowSide(0)
	for range 1 + r.Intn(14) {
		if r.Intn(5) > 0 {
			side ^= 1
		}
		w := words[side][r.Intn(len(words[side]))]
		if r.Intn(12) == 0 {
			w = words[side^1][r.Intn(len(words[side^1]))]
		}
		if r.Intn(10) == 0 {
			b := []byte(w)
			b[r.Intn(len(b))] = byte(r.Intn(256))
			w = string(b)
		}
		switch {
		case r.Intn(12) == 0:
			steps = append(steps, step{side: side, gap: int64(1 + r.Intn(60))})
		case r.Intn(40) == 0:
			steps = append(steps, step{side: side, fin: true})
			return steps
		}
		steps = append(steps, step{side: side, b: w})
	}
	return steps
}

// TestCutsDoNotMatter plays any conversation at once, byte by byte and in random cuts, through
// selection and beside other factories.
func TestCutsDoNotMatter(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 600
	}
	f := Factory{Want: WantRequests | WantResponses | WantBodies | WantTrailers | WantFields, MaxHead: 256}
	for seed := range n {
		r := rand.New(rand.NewSource(int64(seed)))
		steps := soup(r)
		if seed%2 == 0 {
			f.MaxPending, f.MaxUnasked = 2, 1
		} else {
			f.MaxPending, f.MaxUnasked = 0, 0
		}
		beside := []flowscope.ParserFactory{shout{3}, shout{5}}[:seed%3]
		want := play(t, f, steps, whole, true, beside...)
		for _, cut := range []func(int) int{single, random(r)} {
			if got := play(t, f, steps, cut, true, beside...); !assert.Equal(t, want, got) {
				t.Fatalf("seed %d: %+v", seed, steps)
			}
		}
	}
}

// FuzzHTTP1 plays two streams in turns. Whatever they are, nothing panics, lengths add up, all cuts tell
// the same, and nothing is held at the end.
func FuzzHTTP1(f *testing.F) {
	f.Add([]byte(gets("/a", "/b")), []byte(ok("x")+ok("y")), uint16(30), uint8(0))
	f.Add([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), []byte("HTTP/1.1 101 x\r\n\r\n"), uint16(9), uint8(7))
	f.Add([]byte("CONNECT a:1 HTTP/1.1\r\n\r\n"+preface), []byte("HTTP/1.0 200 OK\r\n\r\nx"), uint16(500), uint8(3))
	f.Add([]byte("GET /\r\n"), []byte("hello"), uint16(3), uint8(1))
	f.Fuzz(func(t *testing.T, c, s []byte, turn uint16, gap uint8) {
		var steps []step
		total := int64(0)
		for n := int(turn)%1500 + 1; len(c)+len(s) > 0; {
			k, j := min(n, len(c)), min(n, len(s))
			steps = append(steps, client(string(c[:k])), server(string(s[:j])))
			c, s = c[k:], s[j:]
			if gap > 0 && len(steps)%6 == 0 {
				steps = append(steps, step{side: flowscope.FlowSide(len(steps) / 6 & 1), gap: int64(gap)})
				total += int64(gap)
			}
			total += int64(k + j)
		}
		factory := Factory{Want: WantRequests | WantResponses | WantBodies | WantTrailers | WantFields, MaxHead: 300}
		player, err := flowscope.NewSessionPlayer(flowscope.Config{}, checked{factory, t, total})
		require.NoError(t, err)
		want := playOn(t, player, steps, whole, true)
		require.Equal(t, want, play(t, factory, steps, single, true))
		tight, err := flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: 3000}, factory)
		require.NoError(t, err)
		playOn(t, tight, steps, whole, false)
	})
}

// checked is a factory whose parsers' messages are looked at.
type checked struct {
	Factory
	t     testing.TB
	total int64 // bytes of both streams
}

func (f checked) NewSessionParser() flowscope.SessionParser {
	return &checkedParser{parser: f.Factory.NewSessionParser().(*parser), f: f}
}

type checkedParser struct {
	*parser
	f checked
}

func (p *checkedParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	from := len(out.All())
	p.parser.Data(c, out)
	for _, e := range out.All()[from:] {
		m, ok := e.Message.(*Exchange)
		if !ok {
			continue
		}
		assert.LessOrEqual(p.f.t, m.Request.Body+m.Response.Body, p.f.total)
		for _, part := range []Part{m.Request, m.Response} {
			assert.LessOrEqual(p.f.t, part.Missing, part.Body)
			assert.GreaterOrEqual(p.f.t, part.Missing, int64(0))
			assert.True(p.f.t, part.Ended == 0 || part.Ended >= part.Began)
		}
		assert.Equal(p.f.t, m.Flags&NoRequest != 0, m.Method == nil)
	}
}

func TestAnEntryIsCountedByItsSize(t *testing.T) {
	assert.LessOrEqual(t, int(unsafe.Sizeof(entry{})), entrySize)
}

// TestWellFormedMessagesReadAsByNetHTTP makes requests and responses and holds what is told against
// net/http.ReadRequest and ReadResponse.
func TestWellFormedMessagesReadAsByNetHTTP(t *testing.T) {
	r := rand.New(rand.NewSource(7))
	for range 300 {
		var c, s bytes.Buffer
		var methods []string
		for range 1 + r.Intn(4) {
			method := []string{"GET", "HEAD", "POST", "PUT"}[r.Intn(4)]
			methods = append(methods, method)
			fmt.Fprintf(&c, "%s /p%d?q=%d HTTP/1.1\r\nHost: h%d.example\r\n", method, r.Intn(9), r.Intn(9), r.Intn(9))
			body(r, &c, method == "GET" || method == "HEAD", true)
			status := []int{200, 204, 304, 404, 500}[r.Intn(5)]
			fmt.Fprintf(&s, "HTTP/1.1 %d %s\r\nServer: x\r\n", status, http.StatusText(status))
			body(r, &s, status == 204 || status == 304, method != "HEAD")
		}
		var want strings.Builder
		cr, sr := bufio.NewReader(bytes.NewReader(c.Bytes())), bufio.NewReader(bytes.NewReader(s.Bytes()))
		for range methods {
			req, err := http.ReadRequest(cr)
			require.NoError(t, err)
			reqBody, err := io.Copy(io.Discard, req.Body)
			require.NoError(t, err)
			resp, err := http.ReadResponse(sr, req)
			require.NoError(t, err)
			respBody, err := io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			m := Exchange{Method: []byte(req.Method), Target: []byte(req.RequestURI), Host: []byte(req.Host), Status: uint16(resp.StatusCode)}
			m.Request.Body, m.Response.Body = reqBody, respBody
			m.Request.Version, m.Response.Version = Version11, Version11
			want.WriteString(text(&m) + "\n")
		}
		steps := []step{client(c.String()), server(s.String())}
		require.Equal(t, want.String(), play(t, Factory{}, steps, random(r), false))
	}
}

// body writes the framing fields, the empty line and the body, which may be announced only.
func body(r *rand.Rand, w *bytes.Buffer, none, sent bool) {
	b := strings.Repeat("x", r.Intn(300))
	switch {
	case none:
		w.WriteString("\r\n")
	case r.Intn(2) == 0:
		fmt.Fprintf(w, "Content-Length: %d\r\n\r\n", len(b))
		if sent {
			w.WriteString(b)
		}
	default:
		w.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		if !sent {
			return
		}
		for len(b) > 0 {
			n := 1 + r.Intn(len(b))
			fmt.Fprintf(w, "%x\r\n%s\r\n", n, b[:n])
			b = b[n:]
		}
		w.WriteString("0\r\n\r\n")
	}
}

// TestSteadyStateAllocatesNothing counts allocations over many exchanges, of one connection and of
// many one after the other.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	request := []byte("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n")
	response := []byte(ok("hello"))
	var out flowscope.Messages
	p := Factory{Want: WantRequests | WantResponses | WantBodies | WantTrailers | WantFields}.NewSessionParser()
	packet, offsets := uint64(0), [2]int64{}
	data := func(side flowscope.FlowSide, b []byte) {
		packet++
		p.Data(flowscope.Chunk{Side: side, Bytes: b, Offset: offsets[side], Time: flowscope.Timestamp(packet), Packet: packet}, &out)
		offsets[side] += int64(len(b))
	}
	run := func(n int) {
		for i := range n {
			half := 1 + i%(len(request)-1)
			data(0, request[:half])
			data(0, request[half:])
			data(1, response[:len(response)-half%20])
			data(1, response[len(response)-half%20:])
			if i%3 == 0 {
				p.Ended(flowscope.EndFIN, flowscope.Timestamp(packet), &out)
				p.Reset()
				offsets = [2]int64{}
			}
			out.Reset()
		}
	}
	run(200)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	runtime.ReadMemStats(&before)
	run(5000)
	runtime.ReadMemStats(&after)
	if invariants.Enabled {
		t.Skip("loans end with their memory in this build")
	}
	assert.LessOrEqual(t, after.Mallocs-before.Mallocs, uint64(5))
}

// BenchmarkExchange reads a request and its response, in one chunk each.
func BenchmarkExchange(b *testing.B) {
	fields := strings.Repeat("X-Some-Field: and its value\r\n", 4)
	request := []byte("GET /index.html HTTP/1.1\r\nHost: example.com\r\n" + fields + "\r\n")
	response := []byte("HTTP/1.1 200 OK\r\n" + fields + "Content-Length: 100\r\n\r\n" + strings.Repeat("x", 100))
	for _, c := range []struct {
		name string
		want Want
	}{{"none", 0}, {"fields", WantFields}, {"all", WantRequests | WantResponses | WantBodies | WantTrailers | WantFields}} {
		b.Run("want="+c.name, func(b *testing.B) {
			var out flowscope.Messages
			p := Factory{Want: c.want}.NewSessionParser()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Data(flowscope.Chunk{Bytes: request, Offset: int64(i * len(request)), Packet: uint64(2*i + 1)}, &out)
				p.Data(flowscope.Chunk{Side: 1, Bytes: response, Offset: int64(i * len(response)), Packet: uint64(2*i + 2)}, &out)
				out.Reset()
			}
		})
	}
}
