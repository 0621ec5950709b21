package acceptance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// sessionWords are what flows of FuzzSessions say: fragments of all protocols.
var sessionWords = []string{
	webQuestion, webAnswer, "GET /", "POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n", "0123456789", "HTTP/1.1 100 Continue\r\n\r\n",
	"CONNECT h:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 Go\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n",
	"0\r\n\r\n", "GET /u HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\r\n", "X: " + strings.Repeat("long", 100),
	tlsHello, tlsHello[:40], tlsHello[40:], "\x16\x03\x03\x00\x31\x02\x00\x00\x2d\x03\x03" + strings.Repeat("r", 32) + "\x00\x13\x01\x00\x00\x05\x00\x2b\x00\x01\x04",
	"\x14\x03\x03\x00\x01\x01", "\x15\x03\x03\x00\x02\x02\x28", "\x17\x03\x03\x00\x03abc", "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc",
	"220 mail ESMTP\r\n", "EHLO me\r\n", "250 STARTTLS\r\n", "STARTTLS\r\n", "220 go ahead\r\n", "* OK ready\r\n", "a STARTTLS\r\n", "a OK begin\r\n",
	dnsMessage(1, "a.example.net", false), dnsMessage(1, "a.example.net", true), dnsMessage(2, "b.example.net", false),
	framed(dnsMessage(1, "a.example.net", false)), framed(dnsMessage(1, "a.example.net", true)), framed(dnsMessage(2, "b.example.net", false))[:9],
	"SSH-2.0-x\r\n", "\x00", "\x80\x2e\x01\x03\x01", strings.Repeat("\x00", 600),
}

// tlsHello is a ClientHello of TLS 1.2 in a record, with a server name.
const tlsHello = "\x16\x03\x01\x00\x3e\x01\x00\x00\x3a\x03\x03rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\x00\x00\x02\xc0\x2f\x01\x00\x00\x0f\x00\x00\x00\x0b\x00\x09\x00\x00\x06server"

// sessionScript writes packets of three TCP flows and two UDP flows from any bytes:
//
//	what, flow and side, word, and sometimes one more
type sessionScript struct {
	in    []byte
	w     *sessionWire
	flows [5]*wireFlow
	last  [5][2][]byte // the latest payload of each side
}

func (s *sessionScript) byte() int {
	if len(s.in) == 0 {
		return 0
	}
	b := s.in[0]
	s.in = s.in[1:]
	return int(b)
}

var scriptPorts = [5][2]uint16{{40001, 80}, {40002, 25}, {40003, 53}, {40004, 53}, {5353, 5353}}

func sessionScriptOf(in []byte) []flowscope.PacketView {
	s := &sessionScript{in: in, w: newSessionWire()}
	for i := range s.flows {
		s.flows[i] = s.w.tcp(i, scriptPorts[i])
	}
	for len(s.in) > 0 && len(s.w.views) < 500 {
		s.step()
	}
	return s.w.views
}

func (s *sessionScript) step() {
	what, who := s.byte(), s.byte()
	n, side := who>>1%5, flowscope.FlowSide(who&1)
	f := s.flows[n]
	word := sessionWords[s.byte()%len(sessionWords)]
	if n >= 3 {
		switch {
		case what%4 == 0:
			word = word[:min(1+s.byte(), len(word))] // an event does not tell an empty datagram from a first fragment
		case what%16 == 1:
			s.w.now = s.w.now.Add(time.Duration(s.byte()) * time.Second)
		}
		f.datagram(side, word)
		return
	}
	switch what % 16 {
	case 0:
		f.open()
	case 1: // part of a word
		from := min(s.byte(), len(word))
		f.say(side, word[from:])
	case 2:
		f.say(side, word[:min(s.byte(), len(word))])
	case 3: // one bit of a word is wrong
		b := []byte(word)
		at := s.byte()
		b[at%len(b)] ^= byte(1 << (at % 8))
		f.say(side, string(b))
	case 4: // a segment is lost
		f.at[side] += uint32(len(word))
		return
	case 5: // two halves, out of order
		at := f.at[side] + uint32(len(word)/2)
		f.segment(side, "PA", at, []byte(word[len(word)/2:]))
		f.segment(side, "PA", f.at[side], []byte(word[:len(word)/2]))
		f.at[side] += uint32(len(word))
	case 6: // again
		f.segment(side, "PA", f.at[side]-uint32(len(s.last[n][side])), s.last[n][side])
		return
	case 7:
		f.fin(side)
		return
	case 8:
		if word[0]&1 == 0 {
			f.segment(side, "R", f.at[side], nil)
		} else {
			f.close()
		}
		return
	case 9:
		s.w.now = s.w.now.Add(time.Duration(s.byte()) * time.Second)
		return
	case 10:
		f.segment(side, "A", f.at[side], nil)
		return
	default:
		f.say(side, word)
	}
	s.last[n][side] = []byte(word)
}

// overheard plays what the events of a driver without parsers say to players, one for each flow.
type overheard struct {
	t       testing.TB
	players map[flowscope.FlowID]*flowscope.SessionPlayer
	flows   map[flowscope.FlowID]*flowscope.PlayedFlow
	said    map[flowscope.FlowID][]string
	// A flow that ends without a FIN closes its first side before the last bytes of the other are delivered. A player
	// cannot do that, so such flows are not compared.
	closing, apart map[flowscope.FlowID]bool
}

func newOverheard(t testing.TB) *overheard {
	return &overheard{
		t: t, players: map[flowscope.FlowID]*flowscope.SessionPlayer{}, flows: map[flowscope.FlowID]*flowscope.PlayedFlow{},
		said: map[flowscope.FlowID][]string{}, closing: map[flowscope.FlowID]bool{}, apart: map[flowscope.FlowID]bool{},
	}
}

// sweep tells all players the time, as each packet tells all flows.
func (o *overheard) sweep(now flowscope.Timestamp) {
	for id, p := range o.players {
		for _, m := range p.Sweep(now) {
			o.said[id] = append(o.said[id], meaning(m.Message, m.Side))
		}
	}
}

func (o *overheard) hear(events []testkit.Event, now flowscope.Timestamp) {
	for i := range events {
		ev := &events[i]
		if ev.Flow == 0 {
			continue
		}
		switch ev.Kind {
		case flowscope.EventSideClosed:
			o.closing[ev.Flow] = ev.Reason != 0
		case flowscope.EventData, flowscope.EventGap:
			o.apart[ev.Flow] = o.apart[ev.Flow] || o.closing[ev.Flow]
		}
		p := o.players[ev.Flow]
		if p == nil {
			p = testkit.NewPlayer(o.t, flowscope.Config{}, protocols()...)
			o.players[ev.Flow] = p
		}
		hear(p, o.flows, ev, now, func(m flowscope.Emitted) {
			o.said[ev.Flow] = append(o.said[ev.Flow], meaning(m.Message, m.Side))
		})
	}
}

// checkSessions plays packets on drivers with and without parsers, and holds them to what is promised. It says how
// many messages were compared.
func checkSessions(t testing.TB, views []flowscope.PacketView) (compared int) {
	cfg := flowscope.Config{Events: flowscope.AllEvents, MaxAnomalies: 1000}
	plain, reading := testkit.NewDriver(t, nil, cfg), newSessionDriver(t, cfg, protocols()...)
	o := newOverheard(t)
	got := map[flowscope.FlowID][]string{}
	call := func(i int, now flowscope.Timestamp, a, b []testkit.Event) {
		o.sweep(now)
		o.hear(a, now)
		messagesOf(got, b)
		want, with := eventsByFlow(a), eventsByFlow(b)
		for id := range want {
			if !slices.Equal(want[id], with[id]) {
				t.Fatalf("packet %d, flow %d: without parsers\n%q\nwith\n%q", i, id, want[id], with[id])
			}
		}
		require.Equal(t, len(want), len(with), "packet %d", i)
		st := reading.Stats()
		require.LessOrEqual(t, st.Sessions.HeldBytes, reading.Config().SessionBytes)
		require.GreaterOrEqual(t, st.Sessions.HeldBytes, st.Sessions.FirstBytes)
		require.GreaterOrEqual(t, st.Sessions.FirstBytes, int64(0))
	}
	for i, v := range views {
		a := plain.Track(v)
		call(i, plain.Now(), a, reading.Track(v))
	}
	if n := len(views); n > 0 { // Finish would confirm the last timestamp, and say of no time what it was
		events := plain.Sweep(views[n-1].Timestamp)
		call(-1, plain.Now(), events, reading.Sweep(views[n-1].Timestamp))
	}
	now := plain.Now()
	call(-1, now, plain.Finish(), reading.Finish())
	testkit.HoldsNothing(t, reading.Stats().Sessions)
	for id := range o.players {
		if !o.apart[id] {
			require.Equal(t, o.said[id], got[id], "flow %d", id)
			compared += len(got[id])
		}
	}
	return compared
}

// checkTightSessions is checkSessions where parsers lose their flows for want of room.
func checkTightSessions(t testing.TB, limit int64, views []flowscope.PacketView) {
	d := newSessionDriver(t, flowscope.Config{SessionBytes: limit}, protocols()...)
	messages := uint64(0)
	call := func(events []testkit.Event) {
		for i := range events {
			if events[i].Kind == flowscope.EventMessage {
				messages++
			}
		}
		st := d.Stats().Sessions
		require.LessOrEqual(t, st.HeldBytes, limit)
		require.LessOrEqual(t, st.FirstBytes, st.HeldBytes)
		require.Equal(t, messages, st.Messages)
	}
	for _, v := range views {
		call(d.Track(v))
	}
	call(d.Finish())
	testkit.HoldsNothing(t, d.Stats().Sessions)
}

// eventsByFlow are the events of a call but messages. Timers that are due in the same call may come in any order of flows.
func eventsByFlow(events []testkit.Event) map[flowscope.FlowID][]string {
	all := map[flowscope.FlowID][]string{}
	for i := range events {
		if ev := &events[i]; ev.Kind != flowscope.EventMessage {
			all[ev.Flow] = append(all[ev.Flow], eventText(ev))
		}
	}
	return all
}

// FuzzSessions: whatever packets come, a driver with all protocols has the events of one without, and the messages of
// players that are told of each flow what those say. What it holds stays within SessionBytes, and nothing is left.
func FuzzSessions(f *testing.F) {
	f.Add([]byte{0, 0, 0, 11, 0, 0, 11, 1, 1, 11, 0, 0, 11, 1, 1, 8, 0, 38}, uint16(2000))
	f.Add([]byte{0, 2, 0, 11, 3, 24, 11, 2, 27, 11, 3, 28, 11, 2, 16, 11, 3, 19}, uint16(900))
	f.Add([]byte{0, 4, 0, 11, 4, 35, 4, 4, 37, 11, 5, 36}, uint16(1500))
	f.Add([]byte{1, 6, 32, 0, 2, 7, 33, 1, 6, 34, 30, 2, 6, 32}, uint16(700))
	f.Fuzz(func(t *testing.T, in []byte, limit uint16) {
		views := sessionScriptOf(in)
		checkSessions(t, views)
		checkTightSessions(t, 300+int64(limit), views)
	})
}

// What FuzzSessions checks, for random bytes.
func TestAnyPacketsKeepThePromisesOfSessions(t *testing.T) {
	compared, rounds := 0, race.Seeds(sized(150, 300, 20_000))
	for seed := range uint64(rounds) {
		views := sessionScriptOf(testkit.RandomBytes(seed+1000, 50+int(seed%40)*20))
		compared += checkSessions(t, views)
		checkTightSessions(t, 300+int64(seed%20)*200, views)
		if t.Failed() {
			t.Fatal("seed ", seed)
		}
	}
	t.Logf("%d messages in %d rounds", compared, rounds)
	require.Greater(t, compared, rounds)
}

// hear plays one event of the driver without parsers.
func hear(p *flowscope.SessionPlayer, flows map[flowscope.FlowID]*flowscope.PlayedFlow, ev *testkit.Event, now flowscope.Timestamp, note func(flowscope.Emitted)) {
	if ev.Kind == flowscope.EventStarted && (ev.L4 == flowscope.L4TCP || ev.L4 == flowscope.L4UDP) {
		from, to := ev.Key.Ends(ev.Orientation)
		if ev.Side == flowscope.Responder {
			from, to = to, from
		}
		if ev.L4 == flowscope.L4TCP {
			flows[ev.Flow] = p.TCP(from.Port(), to.Port())
		} else {
			flows[ev.Flow] = p.UDP(from.Port(), to.Port())
		}
	}
	f := flows[ev.Flow]
	if f == nil {
		return
	}
	for _, m := range playEvent(f, ev, now) {
		note(m)
	}
}
