package http1

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// delivery is a piece that is delivered, with the packet that brought it, which is its time too, in
// milliseconds.
type delivery struct {
	step
	packet uint64
}

// deliver gives a parser pieces in the order of delivery, which behind a hole is not that of the packets.
func deliver(f Factory, pieces []delivery) string {
	p := f.NewSessionParser().(*parser)
	var out flowscope.Messages
	var told telling
	offsets := [2]int64{}
	for _, d := range pieces {
		now := flowscope.Timestamp(d.packet) * 1_000_000
		switch {
		case d.gap > 0:
			p.Gap(d.side, offsets[d.side], d.gap, now, &out)
			offsets[d.side] += d.gap
		case d.fin:
			p.Closed(d.side, 0, now, &out)
		case len(d.b) > 0:
			p.Data(flowscope.Chunk{Side: d.side, Bytes: []byte(d.b), Offset: offsets[d.side], Time: now, Packet: d.packet}, &out)
			offsets[d.side] += int64(len(d.b))
		}
		p.OnTimer(now, &out)
		told.add(out.All())
		out.Reset()
	}
	told.flush()
	told.b.WriteString("end: ")
	if !p.left {
		p.Ended(flowscope.EndFinished, 0, &out)
	}
	told.add(out.All())
	return strings.TrimSpace(told.String())
}

// TestPairingGoesByPackets has what a driver delivers around holes: bytes behind a hole come late, with
// the numbers of their own packets (RFC 9112 section 9.3.2).
func TestPairingGoesByPackets(t *testing.T) {
	for _, c := range []struct {
		name   string
		pieces []delivery
		want   string
	}{
		{"a response lost, all behind it delivered at the end",
			[]delivery{{client(gets("/a")), 1}, {client(gets("/b")), 3}, {client(gets("/c")), 5}, {serverGap(39), 7}, {server(ok("2")), 4}, {server(ok("3")), 6}},
			"Lost server gap at 0\nLost server gap at 39, found after 39\nGET /a HTTP/1.1 -> ?\nGET /b HTTP/1.1 -> 200 HTTP/1.1 body 1\nGET /c HTTP/1.1 -> 200 HTTP/1.1 body 1\nend:"},
		{"a request lost, the next one delivered behind its response",
			[]delivery{{client(gets("/a")), 1}, {server(ok("1")), 2}, {server(ok("2")), 4}, {server(ok("33")), 6}, {clientGap(19), 7}, {client(gets("/c")), 5}},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nLost client gap at 19\nLost client gap at 38, found after 19\n? -> 200 HTTP/1.1 body 1\nGET /c HTTP/1.1 -> 200 HTTP/1.1 body 2 after_gap\nend:"},
		{"a request delivered while its response is read",
			[]delivery{{client(gets("/a")), 1}, {server(ok("1")), 2}, {server("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"), 6}, {clientGap(19), 7}, {client(gets("/c")), 5}, {server("cd"), 8}},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nLost client gap at 19\nLost client gap at 38, found after 19\nGET /c HTTP/1.1 -> 200 HTTP/1.1 body 4 after_gap\nend:"},
		{"the response to a lost request is not that of a later one",
			[]delivery{{client(gets("/a")), 1}, {server(ok("1")), 2}, {clientGap(19), 9}, {client(gets("/c")), 5}, {server(ok("22")), 4}, {server(ok("333")), 6}},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nLost client gap at 19\nLost client gap at 38, found after 19\n? -> 200 HTTP/1.1 body 2\nGET /c HTTP/1.1 -> 200 HTTP/1.1 body 3 after_gap\nend:"},
		{"requests delivered late are no pipeline",
			[]delivery{{client(gets("/a")), 1}, {client(gets("/b")), 3}, {server(ok("1")), 2}, {serverGap(39), 9}, {client(gets("/c")), 5}, {client(gets("/d")), 7}, {server(ok("4")), 8}},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nLost server gap at 39\nLost server gap at 78, found after 39\nGET /b HTTP/1.1 -> ?\nGET /c HTTP/1.1 -> ?\nGET /d HTTP/1.1 -> 200 HTTP/1.1 body 1\nend:"},
		{"nobody asked, and the client is not captured: told once it has waited",
			[]delivery{{server(ok("1")), 1}, {server(ok("22")), 2}, {server(ok("333")), 5002}},
			"? -> 200 HTTP/1.1 body 1\n? -> 200 HTTP/1.1 body 2\nend: ? -> 200 HTTP/1.1 body 3"},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, deliver(Factory{}, c.pieces)) })
	}
}

func TestTheThousandthRequestIsPairedBehindOneLostResponse(t *testing.T) {
	var pieces, late []delivery
	for i := range 1000 {
		pieces = append(pieces, delivery{client(gets("/" + itoa(i))), uint64(2*i + 1)})
		if i > 0 {
			late = append(late, delivery{server(ok(itoa(i))), uint64(2*i + 2)})
		}
	}
	pieces = append(append(pieces, delivery{serverGap(39), 3000}), late...)
	got := strings.Split(deliver(Factory{}, pieces), "\n")
	require.Len(t, got, 1003)
	assert.Equal(t, "GET /0 HTTP/1.1 -> ?", got[2])
	for i := 1; i < 1000; i++ {
		want := "GET /" + itoa(i) + " HTTP/1.1 -> 200 HTTP/1.1 body " + itoa(len(itoa(i)))
		require.Equal(t, want, got[2+i])
	}
}

func TestBounds(t *testing.T) {
	t.Run("MaxPending", func(t *testing.T) {
		got := everyCut(t, Factory{MaxPending: 3}, []step{client(gets("/1", "/2", "/3", "/4", "/5")), server(ok("x"))})
		assert.Equal(t, "Lost client pending at 57\nGET /1 HTTP/1.1 -> ?\nGET /2 HTTP/1.1 -> ?\n"+
			"GET /3 HTTP/1.1 -> ?\nGET /4 HTTP/1.1 -> ?\nGET /5 HTTP/1.1 -> 200 HTTP/1.1 body 1", got)
	})
	t.Run("MaxPending while the oldest is being answered", func(t *testing.T) {
		got := everyCut(t, Factory{MaxPending: 2}, []step{client(gets("/1", "/2")), server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx"), client(gets("/3")), server("y")})
		assert.Equal(t, "Lost client pending at 38\nGET /2 HTTP/1.1 -> ?\nGET /1 HTTP/1.1 -> 200 HTTP/1.1 body 2\nGET /3 HTTP/1.1 -> ?", got)
	})
	t.Run("MaxUnasked", func(t *testing.T) {
		got := deliver(Factory{MaxUnasked: 1}, []delivery{{server(ok("1")), 1}, {server(ok("22")), 2}})
		assert.Equal(t, "? -> 200 HTTP/1.1 body 1\nend: ? -> 200 HTTP/1.1 body 2", got)
	})
	t.Run("MaxHead behind CONNECT", func(t *testing.T) {
		steps := []step{client("CONNECT h:1 HTTP/1.1\r\n\r\n" + strings.Repeat("\x16", 256))}
		want := "CONNECT h:1 HTTP/1.1 -> ?\nSwitched unanswered \"\" \"h:1\""
		assert.Equal(t, want, everyCut(t, Factory{MaxHead: 256}, steps))
		assert.Equal(t, want+"\nend:", deliver(Factory{MaxHead: 256}, []delivery{{steps[0], 1}}), "at once, not at the end")
	})
	t.Run("MaxHead of the line before a chunk", func(t *testing.T) {
		got := everyCut(t, Factory{MaxHead: 256}, []step{client("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("x", 300))})
		assert.Equal(t, "Lost client too_long at 302\nPUT / HTTP/1.1 -> ? request_cut", got)
	})
	t.Run("MaxHead of trailers: the body is complete", func(t *testing.T) {
		got := everyCut(t, Factory{MaxHead: 256}, []step{client("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: " + strings.Repeat("x", 300)), server(ok(""))})
		assert.Equal(t, "Lost client too_long at 55\nPUT / HTTP/1.1 body 1 -> 200 HTTP/1.1", got)
	})
	t.Run("SessionBytes", func(t *testing.T) {
		player, err := flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: 4000}, Factory{})
		require.NoError(t, err)
		got := playOn(t, player, []step{client(get + "GET /" + strings.Repeat("x", 3000)), server(ok("1"))}, whole, false)
		assert.Equal(t, "GET /a host \"h\" HTTP/1.1 -> ?\nLost server budget at 0\n", got)
		assert.EqualValues(t, 1, player.Stats().HoldsRefused)
	})
}

// TestWordsOfManyPendingRequests keeps some requests pending all the time, so that what they hold has
// to be reused under them, and is counted once.
func TestWordsOfManyPendingRequests(t *testing.T) {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, Factory{Want: WantFields})
	require.NoError(t, err)
	flow := player.TCP(1, 2)
	var told telling
	told.add(flow.Data(0, []byte(gets("/0", "/1", "/2")), 1))
	held := int64(0)
	for i := range 500 {
		told.add(flow.Data(1, []byte(ok("x")), 1))
		told.add(flow.Data(0, []byte(gets("/"+itoa(i+3))), 1))
		if i == 20 {
			held = player.Stats().HeldBytes
		}
	}
	assert.Equal(t, held, player.Stats().HeldBytes)
	assert.Less(t, held, int64(5000))
	lines := strings.Split(strings.TrimSpace(told.String()), "\n")
	require.Len(t, lines, 500)
	for i, line := range lines {
		require.Equal(t, "GET /"+itoa(i)+" HTTP/1.1 -> 200 HTTP/1.1 body 1 Content-Length=\"1\"", line)
	}
}

// hearer is a factory that takes all that is handed over, and tells what that is.
type hearer struct{}

func (hearer) Probe(p flowscope.Probe) flowscope.Verdict {
	if p.Handover {
		return yes
	}
	return no
}

func (hearer) NewSessionParser() flowscope.SessionParser { return hearing{} }

type hearing struct{ deaf }

func (hearing) Data(c flowscope.Chunk, out *flowscope.Messages) {
	m := flowscope.Emit[Body](out)
	m.Of, m.Offset, m.Bytes, m.IsRequest = int64(c.Side), c.Offset, c.Bytes, c.Side == 0
}

// TestWhatIsHandedOver holds that no byte behind the end of HTTP is lost, also where the client's were
// waiting for an answer.
func TestWhatIsHandedOver(t *testing.T) {
	upgrade := "GET /a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
	for _, c := range []struct {
		name  string
		steps []step
		want  string
	}{
		{"accepted", []step{client("CONNECT h:1 HTTP/1.1\r\n\r\nearly"), server("HTTP/1.1 200 x\r\n\r\nrest"), client("later")},
			"CONNECT h:1 HTTP/1.1 -> 200 HTTP/1.1 upgraded\nSwitched connect \"\" \"h:1\"\n" +
				"Body true of 0 at 24 \"early\" missing 0\nBody false of 1 at 18 \"rest\" missing 0\nBody true of 0 at 29 \"later\" missing 0"},
		{"refused, and HTTP/2 nevertheless", []step{client(upgrade + preface + "x"), server(ok("1") + "\x00\x00")},
			"GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nSwitched preface \"h2\" \"\"\n" +
				"Body true of 0 at 54 \"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\nx\" missing 0\nBody false of 1 at 39 \"\\x00\\x00\" missing 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, cut := range []func(int) int{whole, single} {
				got := play(t, Factory{}, c.steps, cut, false, hearer{})
				assert.ElementsMatch(t, strings.Split(c.want, "\n"), strings.Split(strings.TrimSpace(got), "\n"))
			}
		})
	}
}

func TestAnIdleConnectionParks(t *testing.T) {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, Factory{ParkAfter: time.Second})
	require.NoError(t, err)
	flow := player.TCP(1, 2)
	var told telling
	told.add(flow.Data(1, []byte(gets("/a")), 1))
	told.add(flow.Data(0, []byte(ok("1")), 2))
	told.add(player.Sweep(flowscope.Timestamp(3 * time.Second)))
	assert.EqualValues(t, 0, player.Stats().Parsers)
	assert.EqualValues(t, 1, player.Stats().Parked)
	assert.EqualValues(t, 0, player.Stats().HeldBytes)
	told.add(flow.Data(1, []byte(gets("/b")), flowscope.Timestamp(4*time.Second)))
	told.add(player.Sweep(flowscope.Timestamp(400 * time.Second)))
	assert.EqualValues(t, 1, player.Stats().Parsers, "it waits for the response")
	told.add(flow.Data(0, []byte(ok("22")), flowscope.Timestamp(401*time.Second)))
	assert.Equal(t, "responder is client: GET /a HTTP/1.1 -> 200 HTTP/1.1 body 1\nresponder is client: GET /b HTTP/1.1 -> 200 HTTP/1.1 body 2\n", told.String())
}

func TestWhatWasLearntOfAClientOutlivesParking(t *testing.T) {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, Factory{ParkAfter: time.Second})
	require.NoError(t, err)
	flow := player.TCP(1, 2)
	flow.Data(0, []byte(gets("/a", "/b")), 1)
	flow.Data(1, []byte(ok("1")+ok("2")), 2)
	player.Sweep(flowscope.Timestamp(3 * time.Second))
	require.EqualValues(t, 1, player.Stats().Parked)
	const now = flowscope.Timestamp(4 * time.Second)
	flow.Data(0, []byte(gets("/c", "/d")), now)
	flow.Gap(1, 10, now)
	var told telling
	told.add(flow.Data(1, []byte(ok("x")), now))
	assert.Equal(t, "Lost server gap at 88, found after 10\nGET /c HTTP/1.1 -> 200 HTTP/1.1 body 1 uncertain\n", told.String())
}

func TestWantedMessages(t *testing.T) {
	f := Factory{Want: WantRequests | WantResponses | WantBodies | WantTrailers | WantFields}
	got := everyCut(t, f, []step{
		client("PUT /p HTTP/1.1\r\nHost: h\r\nX:  a\r\n\tb \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nSum: 5\r\nEnd:\r\n\r\n"),
		server("HTTP/1.1 100 go on\r\n\r\nHTTP/1.1 200 fine\r\nContent-Length: 6\r\nY: z\r\n\r\nab"), serverGap(3), server("c")})
	assert.Equal(t, strings.Join([]string{
		`Request PUT /p "h" HTTP/1.1 at 0 Host="h" X="a  ` + "\\t" + `b" Transfer-Encoding="chunked"`,
		`Body true of 0 at 0 "abcde" missing 0`,
		`Trailer true of 0 Sum="5" End=""`,
		`Response 100 go on HTTP/1.1 at 0 of 0`,
		`Response 200 fine HTTP/1.1 at 22 of 0 Content-Length="6" Y="z"`,
		`Body false of 22 at 0 "ab" missing 0`,
		`Body false of 22 at 2 "" missing 3`,
		`Body false of 22 at 5 "c" missing 0`,
		`PUT /p host "h" HTTP/1.1 body 5 Host="h" X="a  ` + "\\t" + `b" Transfer-Encoding="chunked" -> 200 HTTP/1.1 body 6 missing 3 Content-Length="6" Y="z" interim 1`,
	}, "\n"), got)
}

func TestLatencyIsFromFirstByteToFirstByte(t *testing.T) {
	p := Factory{}.NewSessionParser()
	var out flowscope.Messages
	at := func(side flowscope.FlowSide, b string, ms int64) {
		p.Data(flowscope.Chunk{Side: side, Bytes: []byte(b), Time: flowscope.Timestamp(ms * 1e6), Packet: uint64(ms)}, &out)
	}
	at(0, "GET /a HT", 1)
	at(0, "TP/1.1\r\n\r\n", 2)
	at(1, "HTTP/1.1 100 x\r\n\r\n", 3)
	at(1, "HTTP/1.1 200 x\r\nContent-", 4)
	at(1, "Length: 2\r\n\r\na", 5)
	at(1, "b", 7)
	m := out.All()[0].Message.(*Exchange)
	d, ok := m.Latency()
	assert.True(t, ok)
	assert.Equal(t, 3*time.Millisecond, d)
	assert.EqualValues(t, 2e6, m.Request.Ended)
	assert.EqualValues(t, 7e6, m.Response.Ended)
}

// TestClonesShareNoMemory keeps each type of message beyond its loan.
func TestClonesShareNoMemory(t *testing.T) {
	f := Factory{Want: WantRequests | WantResponses | WantBodies | WantTrailers | WantFields}
	p := f.NewSessionParser()
	var out flowscope.Messages
	b := []byte("PUT /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 5\r\n\r\n")
	p.Data(flowscope.Chunk{Bytes: b, Packet: 1}, &out)
	r := []byte("nonsense\r\nHTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n")
	p.Data(flowscope.Chunk{Side: 1, Bytes: r, Packet: 2}, &out)
	var clones []flowscope.Message
	var want []string
	for _, e := range out.All() {
		clones = append(clones, e.Message.CloneMessage())
		want = append(want, text(e.Message))
	}
	out.Reset()
	clear(b)
	clear(r)
	for i, m := range clones {
		assert.Equal(t, want[i], text(m))
	}
	assert.Len(t, clones, 8)
}

// TestProbeIsMonotone asks about ever longer beginnings.
func TestProbeIsMonotone(t *testing.T) {
	for _, c := range []struct {
		first string
		want  flowscope.Verdict
	}{
		{"GET / HTTP/1.1\r\n", yes}, {"\r\n\r\nGET / HTTP/1.1\r\n", yes}, {"GET http://h/ HTTP/1.1\r\n", yes}, {"OPTIONS * HTTP/1.1\r\n", yes},
		{"FOO bar HTTP/1.1\n", yes}, {"CONNECT h:1 HTTP/1.0\r\n", yes}, {"GET /\r\n", yes}, {"GET /" + strings.Repeat("x", 5000), yes},
		{"HTTP/1.1 200 OK", yes}, {"HTTP/1.0  404", yes}, {preface, yes}, {"PRI * HTTP/1.1\r\n", yes},
		{"GET foo\r\n", no}, {"OPTIONS * RTSP/1.0\r\n", no}, {"OPTIONS sip:a SIP/2.0\r\n", no}, {"EHLO x\r\n", no}, {"SSH-2.0-x\r\n", no},
		{"HTTP/2.0 200", no}, {"HTTP/1.1 abc", no}, {"HTTP/1.12 200", no}, {"\x16\x03\x01", no}, {" GET / HTTP/1.1", no},
		{"* OK IMAP\r\n", no}, {strings.Repeat("A", 40), no}, {"GET", maybe}, {"HTTP/1.1 20", maybe}, {"\r\n", maybe}, {"PRI * HTTP/2.0\r\n", maybe},
	} {
		last := maybe
		for i := 1; i <= len(c.first); i++ {
			v := Factory{}.Probe(flowscope.Probe{L4: flowscope.L4TCP, First: []byte(c.first[:i])})
			if last != maybe {
				require.Equal(t, last, v, "%q", c.first[:i])
			}
			last = v
		}
		assert.Equal(t, c.want, last, "%q", c.first)
	}
	assert.Equal(t, no, Factory{}.Probe(flowscope.Probe{L4: flowscope.L4UDP, First: []byte("GET / HTTP/1.1\r\n")}))
}
