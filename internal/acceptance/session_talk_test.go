package acceptance

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// sessionTalk is a conversation over TCP in the turns of its sides, or over UDP in datagrams.
type sessionTalk struct {
	name  string
	l4    flowscope.L4Proto
	ports [2]uint16
	turns []turn
}

// everyMessage are all parsers that users have, asked for all messages that do not depend on how bytes are cut.
func everyMessage() []flowscope.ParserFactory {
	all := protocols()
	for i, f := range all {
		switch f.(type) {
		case http1.Factory:
			all[i] = http1.Factory{Want: http1.WantRequests | http1.WantResponses | http1.WantTrailers | http1.WantFields}
		case tls.Factory:
			all[i] = tls.Factory{Hellos: true}
		}
	}
	return all
}

// talksOf takes the conversations of a capture apart.
func talksOf(t testing.TB, name string, views []flowscope.PacketView) (all []*sessionTalk) {
	d := testkit.NewDriver(t, nil, flowscope.Config{})
	flows := map[flowscope.FlowID]*sessionTalk{}
	for _, ev := range flowtest.Replay(d, views) {
		if ev.Kind == flowscope.EventStarted && (ev.L4 == flowscope.L4TCP || ev.L4 == flowscope.L4UDP) {
			from, to := ev.Key.Ends(ev.Orientation)
			if ev.Side == flowscope.Responder {
				from, to = to, from
			}
			talk := &sessionTalk{fmt.Sprintf("%s, flow %d", name, ev.Flow), ev.L4, [2]uint16{from.Port(), to.Port()}, nil}
			flows[ev.Flow] = talk
			all = append(all, talk)
		}
		talk := flows[ev.Flow]
		if talk == nil {
			continue
		}
		switch {
		case ev.Kind == flowscope.EventData, ev.Kind == flowscope.EventPacket && ev.L4 == flowscope.L4UDP && len(ev.Bytes) > 0:
			talk.say(ev.Side, string(ev.Bytes))
		case ev.Kind == flowscope.EventGap:
			talk.turns = append(talk.turns, turn{side: ev.Side, gap: ev.Len})
		case ev.Kind == flowscope.EventSideClosed && ev.Reason == 0:
			talk.turns = append(talk.turns, turn{side: ev.Side, fin: true})
		}
	}
	return all
}

// say adds to the latest turn, or begins another.
func (s *sessionTalk) say(side flowscope.FlowSide, text string) *sessionTalk {
	if n := len(s.turns); n > 0 && s.l4 == flowscope.L4TCP {
		if last := &s.turns[n-1]; last.side == side && last.gap == 0 && !last.fin {
			last.bytes = append(last.bytes, text...)
			return s
		}
	}
	s.turns = append(s.turns, turn{side: side, bytes: []byte(text)})
	return s
}

// then adds all turns of another conversation.
func (s *sessionTalk) then(more *sessionTalk) *sessionTalk {
	for _, t := range more.turns {
		t.bytes = append([]byte(nil), t.bytes...)
		s.turns = append(s.turns, t)
	}
	return s
}

// clone is a copy to be mutilated.
func (s *sessionTalk) clone() *sessionTalk {
	c := *s
	c.turns = nil
	return c.then(s)
}

func newTalk(name string, port uint16) *sessionTalk {
	return &sessionTalk{name: name, l4: flowscope.L4TCP, ports: [2]uint16{40000, port}}
}

const (
	webQuestion = "GET /a HTTP/1.1\r\nHost: example.net\r\n\r\n"
	webAnswer   = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
)

// dnsMessage asks for, or answers with, the address of a name.
func dnsMessage(id uint16, name string, answer bool) string {
	b := binary.BigEndian.AppendUint16(nil, id)
	flags, answers := uint16(0x0100), uint16(0)
	if answer {
		flags, answers = 0x8180, 1
	}
	for _, n := range []uint16{flags, 1, answers, 0, 0} {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	b = append(b, 0, 0, 1, 0, 1)
	if answer {
		b = append(b, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"...)
	}
	return string(b)
}

// framed is a message of DNS over TCP.
func framed(message string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(message)))) + message
}

// sessionTalks are real conversations of all protocols, and others that go from one protocol to the next.
func sessionTalks(t testing.TB) (all []*sessionTalk) {
	for _, name := range []string{"sessions.pcap", "http.pcap"} {
		all = append(all, talksOf(t, name, testkit.Load(t, testkit.Path("testdata/captures/"+name)))...)
	}
	var handshakes, exchanges []*sessionTalk
	for _, s := range all {
		if s.l4 != flowscope.L4TCP || len(s.turns) == 0 {
			continue
		}
		switch first := s.turns[0].bytes; {
		case len(first) > 5 && first[0] == 22:
			handshakes = append(handshakes, s)
		case strings.HasPrefix(string(first), "GET "):
			exchanges = append(exchanges, s)
		}
	}
	if len(handshakes) < 2 || len(exchanges) < 1 {
		t.Fatalf("%d TLS handshakes and %d HTTP connections in sessions.pcap", len(handshakes), len(exchanges))
	}
	for i, hello := range handshakes {
		all = append(all,
			newTalk(fmt.Sprint("CONNECT to TLS ", i), 8080).say(0, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n").say(1, "HTTP/1.1 200 Go\r\n\r\n").then(hello),
			newTalk(fmt.Sprint("SMTP to TLS ", i), 25).say(1, "220 mail ESMTP\r\n").say(0, "EHLO me\r\n").say(1, "250-mail\r\n250 STARTTLS\r\n").
				say(0, "STARTTLS\r\n").say(1, "220 go ahead\r\n").then(hello),
			newTalk(fmt.Sprint("IMAP to TLS ", i), 143).say(1, "* OK ready\r\n").say(0, "a STARTTLS\r\n").say(1, "a OK begin\r\n").then(hello))
	}
	keepAlive := newTalk("HTTP keep-alive", 80)
	for range 5 {
		keepAlive.say(0, webQuestion).say(1, webAnswer)
	}
	tcp := newTalk("DNS over TCP", 53)
	other := newTalk("DNS over TCP on another port", 5300)
	udp := &sessionTalk{name: "DNS over UDP", l4: flowscope.L4UDP, ports: [2]uint16{40000, 53}}
	for i := range uint16(4) {
		for _, s := range []*sessionTalk{tcp, other} {
			s.say(0, framed(dnsMessage(i, "www.example.net", false))).say(1, framed(dnsMessage(i, "www.example.net", true)))
		}
		udp.say(0, dnsMessage(i, "www.example.net", false)).say(1, dnsMessage(i, "www.example.net", true))
	}
	return append(all, keepAlive, tcp, other, udp,
		newTalk("pipelining", 80).say(0, strings.Repeat(webQuestion, 6)).say(1, strings.Repeat(webAnswer, 6)),
		newTalk("CONNECT to HTTP", 3128).say(0, "CONNECT h:80 HTTP/1.1\r\n\r\n").say(1, "HTTP/1.1 200 Go\r\n\r\n").then(exchanges[0]),
		newTalk("CONNECT to DNS", 3128).say(0, "CONNECT h:53 HTTP/1.1\r\n\r\n").say(1, "HTTP/1.1 200 Go\r\n\r\n").then(other),
		newTalk("WebSocket", 80).say(0, "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").
			say(1, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").say(0, "\x81\x85abcdhello").say(1, "\x81\x05hello"),
		newTalk("chunks and trailers", 80).say(0, "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n").
			say(1, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
		newTalk("something else", 22).say(1, "SSH-2.0-x\r\n").say(0, "SSH-2.0-y\r\n").say(0, "\x00\x00\x01\x02\x03").say(1, "\x00\x00\x00\x05"),
	)
}

// mutilated is a damaged copy: bytes flipped, cut and missing, turns swapped, a side missing, another conversation behind
// it.
func mutilated(r *rand.Rand, s *sessionTalk, others []*sessionTalk) *sessionTalk {
	c := s.clone()
	for range 1 + r.IntN(3) {
		if len(c.turns) == 0 {
			break
		}
		i := r.IntN(len(c.turns))
		x := &c.turns[i]
		switch r.IntN(9) {
		case 0, 1:
			if len(x.bytes) > 0 {
				x.bytes[r.IntN(len(x.bytes))] ^= byte(1 + r.IntN(255))
			}
		case 2: // the beginning of a turn, which matters most
			if n := min(len(x.bytes), 16); n > 0 {
				x.bytes[r.IntN(n)] ^= byte(1 + r.IntN(255))
			}
		case 3:
			x.bytes = x.bytes[:r.IntN(len(x.bytes)+1)]
		case 4: // a gap in a turn, if it is a stream
			if len(x.bytes) < 2 || c.l4 != flowscope.L4TCP {
				continue
			}
			from := r.IntN(len(x.bytes))
			to := from + 1 + r.IntN(len(x.bytes)-from)
			rest := append([]turn{{side: x.side, bytes: x.bytes[:from:from]}, {side: x.side, gap: int64(to - from)}, {side: x.side, bytes: x.bytes[to:]}}, c.turns[i+1:]...)
			c.turns = append(c.turns[:i:i], rest...)
		case 5:
			k := r.IntN(len(c.turns))
			c.turns[i], c.turns[k] = c.turns[k], c.turns[i]
		case 6: // a side is not captured
			kept := c.turns[:0]
			for _, x := range c.turns {
				if x.side == flowscope.Initiator {
					kept = append(kept, x)
				}
			}
			c.turns = kept
		case 7: // seen from the other end
			for i := range c.turns {
				c.turns[i].side ^= 1
			}
		case 8:
			if o := others[r.IntN(len(others))]; o.l4 == c.l4 {
				c.turns = c.turns[:i]
				c.then(o)
			}
		}
	}
	return c
}

// begin begins the conversation's flow on a player.
func (s *sessionTalk) begin(p *flowscope.SessionPlayer) *flowscope.PlayedFlow {
	if s.l4 == flowscope.L4UDP {
		return p.UDP(s.ports[0], s.ports[1])
	}
	return p.TCP(s.ports[0], s.ports[1])
}

// play gives the messages of a conversation. Datagrams are never cut.
func (s *sessionTalk) play(f *flowscope.PlayedFlow, cut cut) []string {
	var all []string
	now := flowscope.Timestamp(1e18)
	note := func(out []flowscope.Emitted) {
		for _, m := range out {
			all = append(all, meaning(m.Message, m.Side))
		}
	}
	for _, t := range s.turns {
		now = now.Add(time.Millisecond)
		switch {
		case t.gap > 0:
			note(f.Gap(t.side, t.gap, now))
		case t.fin:
			note(f.Close(t.side, now))
		case s.l4 == flowscope.L4UDP:
			note(f.Data(t.side, t.bytes, now))
			continue
		}
		for rest := t.bytes; len(rest) > 0; {
			n := cut(len(rest))
			note(f.Data(t.side, append([]byte(nil), rest[:n]...), now))
			rest = rest[n:]
		}
	}
	note(f.End(flowscope.EndFIN, now.Add(time.Millisecond)))
	return all
}

// meaning is a message as text, without its times and the numbers of packets.
func meaning(m flowscope.Message, side flowscope.FlowSide) string {
	c := m.CloneMessage()
	stripMessage(reflect.ValueOf(c).Elem())
	return fmt.Sprintf("%v %T %+v", side, c, c)
}

func stripMessage(v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		switch {
		case !f.CanSet():
		case f.Type() == reflect.TypeFor[flowscope.Timestamp](), strings.HasSuffix(name, "Packet") && f.Kind() == reflect.Uint64:
			f.SetZero()
		default:
			stripMessage(f)
		}
	}
}

// sessionWire writes the packets of conversations. Each has a number, from which its ports follow, unless it is one of
// real ports.
type sessionWire struct {
	views []flowscope.PacketView
	now   flowscope.Timestamp
	step  time.Duration
}

// wireFlow is a conversation on a sessionWire.
type wireFlow struct {
	w     *sessionWire
	tuple int
	ports [2]uint16
	at    [2]uint32 // the next sequence number of each side
}

func newSessionWire() *sessionWire {
	return &sessionWire{now: 1e18, step: 100 * time.Microsecond}
}

func (w *sessionWire) add(frame []byte) {
	w.now = w.now.Add(w.step)
	w.views = append(w.views, flowscope.PacketView{Frame: frame, Timestamp: w.now, ID: uint64(len(w.views) + 1)})
}

// tcp begins a connection between two ports of hosts that follow from tuple.
func (w *sessionWire) tcp(tuple int, ports [2]uint16) *wireFlow {
	return &wireFlow{w: w, tuple: tuple, ports: ports, at: [2]uint32{uint32(tuple)*7919 + 1000, uint32(tuple)*104729 + 5000}}
}

// segment writes a segment at a sequence number.
func (f *wireFlow) segment(side flowscope.FlowSide, flags string, seq uint32, payload []byte) {
	g := testkit.Segment{Dir: int(side), Seq: seq, Flags: flags, Window: 65535, Payload: payload}
	if flags != "S" {
		g.Ack = f.at[side^1]
	}
	f.w.add(f.address(g.Frame(), side))
}

// address sets addresses and ports of a frame.
func (f *wireFlow) address(frame []byte, side flowscope.FlowSide) []byte {
	binary.BigEndian.PutUint16(frame[27+4*int(side):], uint16(f.tuple)) // of the client's address
	binary.BigEndian.PutUint16(frame[34:], f.ports[side])
	binary.BigEndian.PutUint16(frame[36:], f.ports[side^1])
	return frame
}

// open writes the handshake.
func (f *wireFlow) open() *wireFlow {
	f.segment(0, "S", f.at[0], nil)
	f.at[0]++
	f.segment(1, "SA", f.at[1], nil)
	f.at[1]++
	f.segment(0, "A", f.at[0], nil)
	return f
}

// say writes payload in order, in one segment.
func (f *wireFlow) say(side flowscope.FlowSide, payload string) *wireFlow {
	f.segment(side, "PA", f.at[side], []byte(payload))
	f.at[side] += uint32(len(payload))
	return f
}

// fin writes the FIN of a side.
func (f *wireFlow) fin(side flowscope.FlowSide) *wireFlow {
	f.segment(side, "FA", f.at[side], nil)
	f.at[side]++
	return f
}

// close writes the FINs of both sides.
func (f *wireFlow) close() *wireFlow {
	f.fin(0).fin(1)
	f.segment(0, "A", f.at[0], nil)
	return f
}

// datagram writes a UDP datagram.
func (f *wireFlow) datagram(side flowscope.FlowSide, payload string) *wireFlow {
	frame := testkit.Segment{Dir: int(side)}.Frame()[:42]
	frame[23] = 17
	binary.BigEndian.PutUint16(frame[16:], uint16(28+len(payload)))
	binary.BigEndian.PutUint16(frame[38:], uint16(8+len(payload)))
	frame[40], frame[41] = 0, 0
	f.w.add(f.address(append(frame, payload...), side))
	return f
}

// newSessionDriver makes a driver with parsers, with all kinds of events unless cfg chooses some.
func newSessionDriver(t testing.TB, cfg flowscope.Config, factories ...flowscope.ParserFactory) *testkit.Driver {
	t.Helper()
	d := testkit.NewDriver(t, nil, cfg)
	if err := d.UseParsers(factories...); err != nil {
		t.Fatal(err)
	}
	return d
}

// messagesOf appends what a call says of each flow, without times.
func messagesOf(to map[flowscope.FlowID][]string, events []testkit.Event) {
	for i := range events {
		if ev := &events[i]; ev.Kind == flowscope.EventMessage {
			to[ev.Flow] = append(to[ev.Flow], meaning(ev.Message, ev.Side))
		}
	}
}

// driverMessages plays packets on a driver with parsers, to its end.
func driverMessages(t testing.TB, cfg flowscope.Config, views []flowscope.PacketView, factories ...flowscope.ParserFactory) map[flowscope.FlowID][]string {
	t.Helper()
	d, all := newSessionDriver(t, cfg, factories...), map[flowscope.FlowID][]string{}
	messagesOf(all, flowtest.Replay(d, views))
	testkit.HoldsNothing(t, d.Stats().Sessions)
	return all
}
