package acceptance

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// The tests of sessions of the crate that this library mirrors, under their own names. Where ours differs:
//
//   - The crate has a message for each request and each response; here they are one Exchange, and
//     http1.WantRequests and WantResponses add the heads. It has two messages for a handshake; here they are one
//     Handshake, and tls.Factory.Hellos adds the hellos. DNS queries and answers are one Transaction.
//   - The crate gives bodies as bytes; here they are counted, and http1.WantBodies lends the pieces.
//   - A parser of the crate is chosen by the program and is given all bytes. Here the first bytes choose it, so
//     "malformed" means bytes that begin like the protocol.
//   - "RST clears" means here that what waits is emitted at the end, and nothing is held after it.
//   - The correlator of the crate is part of dns here: an orphan is Unasked, a sweep after 31 s is TimedOut after 10 s.
//   - "empty feed" cannot happen: Data has at least one byte.

// crateSays plays a conversation over TCP to the protocols, and gives what is said of it in short.
func crateSays(t *testing.T, port uint16, cut cut, end flowscope.EndReason, turns ...string) []string {
	t.Helper()
	factories := []flowscope.ParserFactory{http1.Factory{Want: http1.WantRequests | http1.WantResponses}, tls.Factory{Hellos: true}, dns.Factory{}}
	p := testkit.NewPlayer(t, flowscope.Config{}, factories...)
	f := p.TCP(40000, port)
	var said []string
	note := func(all []flowscope.Emitted) {
		for _, e := range all {
			switch m := e.Message.(type) {
			case *http1.Request:
				said = append(said, fmt.Sprintf("%s %s", m.Method, m.Target))
			case *http1.Response:
				said = append(said, fmt.Sprintf("%d %s", m.Status, m.Reason))
			case *http1.Exchange:
				said = append(said, fmt.Sprintf("exchange %s %d, bodies %d %d", m.Target, m.Status, m.Request.Body, m.Response.Body))
			case *tls.Hello:
				said = append(said, fmt.Sprintf("hello of the %v", e.Side))
			case *tls.Handshake:
				said = append(said, fmt.Sprintf("tls %s %s %v alerts %d", m.SNI, m.Version, m.Cipher, len(m.Alerts)))
			case *dns.Transaction:
				said = append(said, fmt.Sprintf("%v %v %v", m.Name, m.Outcome, m.Rcode))
			default:
				said = append(said, fmt.Sprintf("%T", m))
			}
		}
	}
	now := flowscope.Timestamp(1e18)
	for _, turn := range turns {
		side := flowscope.Initiator
		if turn[0] == '<' {
			side = flowscope.Responder
		}
		for rest := turn[1:]; len(rest) > 0; now++ {
			n := cut(len(rest))
			note(f.Data(side, []byte(rest[:n]), now))
			rest = rest[n:]
		}
	}
	note(f.End(end, now))
	testkit.HoldsNothing(t, p.Stats())
	return said
}

func crateWhole(n int) int { return n }
func crateSingle(int) int  { return 1 }

const tlsAnswer = "\x16\x03\x03\x00\x2c\x02\x00\x00\x28\x03\x03rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\x00\xc0\x2f\x00\x00\x00"

func TestCrateSessions(t *testing.T) {
	// The crate makes a factory of each parser that is Default and Clone. Here a type is a factory if it has the methods.
	t.Run("auto_impl_session_parser_factory", func(t *testing.T) {
		var _ flowscope.SessionParserFactory = http1.Factory{}
		p := testkit.NewPlayer(t, flowscope.Config{}, greetings{})
		assert.Len(t, p.TCP(1, 2).Data(0, []byte("HELLO x\n"), 1), 1)
	})
	t.Run("auto_impl_datagram_parser_factory", func(t *testing.T) {
		var _ flowscope.DatagramParserFactory = dns.Factory{}
		p := testkit.NewPlayer(t, flowscope.Config{}, testkit.Asks{})
		f := p.UDP(1, 2)
		f.Data(0, []byte("?x"), 1)
		assert.Len(t, f.Data(1, []byte("=x"), 2), 1)
	})

	handshake := func(w *sessionWire) *wireFlow { return w.tcp(1, [2]uint16{1234, 80}).open() }
	kinds := func(w *sessionWire, factories ...flowscope.ParserFactory) (all []testkit.Event) {
		d := newSessionDriver(t, flowscope.Config{}, factories...)
		for _, v := range w.views {
			for _, ev := range d.Track(v) {
				all = append(all, ev.Clone())
			}
		}
		return all
	}
	t.Run("started_event_emitted_on_first_packet", func(t *testing.T) {
		w := newSessionWire()
		handshake(w)
		assert.Equal(t, 1, testkit.Count(kinds(w, greetings{}), flowscope.EventStarted))
	})
	t.Run("application_events_for_parsed_messages", func(t *testing.T) {
		w := newSessionWire()
		handshake(w).say(0, "HELLO a\nHELLO b\n")
		all := kinds(w, greetings{})
		require.Equal(t, 2, testkit.Count(all, flowscope.EventMessage))
		for i := range all {
			if all[i].Kind == flowscope.EventMessage {
				assert.Equal(t, flowscope.Initiator, all[i].Side)
			}
		}
	})
	t.Run("closed_event_carries_stats_on_rst", func(t *testing.T) {
		w := newSessionWire()
		f := handshake(w)
		f.segment(0, "R", f.at[0], nil)
		all := kinds(w, greetings{})
		require.Equal(t, 1, testkit.Count(all, flowscope.EventEnded))
		for i := range all {
			if ev := &all[i]; ev.Kind == flowscope.EventEnded {
				assert.Equal(t, flowscope.EndRST, ev.Reason)
				assert.EqualValues(t, 4, ev.Stats.Packets[0]+ev.Stats.Packets[1])
			}
		}
	})
}

func TestCrateHTTP(t *testing.T) {
	get, post := "GET /index.html HTTP/1.1\r\nHost: h\r\n\r\n", "POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
	ok := "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, world!"
	both := []string{"GET /index.html", "200 OK", "exchange /index.html 200, bodies 0 13"}
	t.Run("full_request_then_response", func(t *testing.T) {
		assert.Equal(t, both, crateSays(t, 80, crateWhole, flowscope.EndFIN, ">"+get, "<"+ok))
	})
	t.Run("split_segments", func(t *testing.T) {
		assert.Equal(t, both, crateSays(t, 80, crateSingle, flowscope.EndFIN, ">"+get, "<"+ok))
	})
	t.Run("two_pipelined_requests", func(t *testing.T) {
		assert.Equal(t, []string{"GET /index.html", "GET /index.html", "exchange /index.html 0, bodies 0 0", "exchange /index.html 0, bodies 0 0"},
			crateSays(t, 80, crateWhole, flowscope.EndFIN, ">"+get+get))
	})
	t.Run("three_pipelined", func(t *testing.T) {
		assert.Len(t, crateSays(t, 80, crateWhole, flowscope.EndFIN, ">"+get+get+get, "<"+ok+ok+ok), 9)
	})
	t.Run("content_length_body", func(t *testing.T) {
		assert.Equal(t, []string{"POST /p", "exchange /p 0, bodies 5 0"}, crateSays(t, 80, crateWhole, flowscope.EndFIN, ">"+post))
	})
	t.Run("body_split", func(t *testing.T) {
		assert.Equal(t, []string{"POST /p", "exchange /p 0, bodies 5 0"}, crateSays(t, 80, crateSingle, flowscope.EndFIN, ">"+post))
	})
	t.Run("close_delimited_body_flushed_by_fin", func(t *testing.T) {
		assert.Equal(t, []string{"GET /index.html", "200 OK", "exchange /index.html 200, bodies 0 9"},
			crateSays(t, 80, crateWhole, flowscope.EndFIN, ">"+get, "<HTTP/1.0 200 OK\r\n\r\nall of it"))
	})
	t.Run("malformed_does_not_panic", func(t *testing.T) {
		for _, bad := range []string{">GET / HTTP/1.1\r\n\x00\xff: \r\n\r\n", ">GET / HTTP/9.9\r\n\r\n", "<HTTP/1.1 abc\r\n\r\n", "<HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"} {
			assert.NotPanics(t, func() { crateSays(t, 80, crateSingle, flowscope.EndRST, bad) })
		}
	})
	t.Run("http_pcap", func(t *testing.T) {
		w := newSessionWire()
		w.tcp(1, [2]uint16{54321, 80}).open().say(0, get).say(1, ok).close()
		all := driverMessages(t, flowscope.Config{}, w.views, http1.Factory{})[1]
		require.Len(t, all, 1)
		assert.Contains(t, all[0], "Status:200")
	})
}

func TestCrateTLS(t *testing.T) {
	whole := []string{"hello of the initiator", "hello of the responder", "tls server TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 alerts 0"}
	ccs := "\x14\x03\x03\x00\x01\x01"
	t.Run("client_hello_with_sni_and_server_hello", func(t *testing.T) {
		assert.Equal(t, whole, crateSays(t, 443, crateWhole, flowscope.EndFIN, ">"+tlsHello, "<"+tlsAnswer))
	})
	t.Run("record_split", func(t *testing.T) {
		assert.Equal(t, whole, crateSays(t, 443, crateSingle, flowscope.EndFIN, ">"+tlsHello, "<"+tlsAnswer))
	})
	t.Run("alert", func(t *testing.T) {
		said := crateSays(t, 443, crateWhole, flowscope.EndFIN, ">"+tlsHello, "<\x15\x03\x03\x00\x02\x02\x28")
		assert.Contains(t, said[len(said)-1], "alerts 1")
	})
	t.Run("parsing_stops_after_change_cipher_spec", func(t *testing.T) {
		assert.Equal(t, whole, crateSays(t, 443, crateWhole, flowscope.EndFIN, ">"+tlsHello, "<"+tlsAnswer+ccs+"rubbish", ">"+ccs+"rubbish"))
	})
	t.Run("malformed_does_not_panic", func(t *testing.T) {
		for i := range len(tlsHello) {
			bad := []byte(">" + tlsHello)
			bad[i+1] ^= 0xff
			assert.NotPanics(t, func() { crateSays(t, 443, crateSingle, flowscope.EndFIN, string(bad)) })
		}
	})
	t.Run("rst_clears", func(t *testing.T) { // HoldsNothing is in crateSays
		crateSays(t, 443, crateWhole, flowscope.EndRST, ">"+tlsHello[:30])
	})
}

func TestCrateDNS(t *testing.T) {
	ask, answer := dnsMessage(7, "a.example.net", false), dnsMessage(7, "a.example.net", true)
	pair := []string{"a.example.net answered NOERROR"}
	t.Run("one_query", func(t *testing.T) {
		assert.Equal(t, pair, crateSays(t, 53, crateWhole, flowscope.EndFIN, ">"+framed(ask), "<"+framed(answer)))
	})
	t.Run("byte_at_a_time", func(t *testing.T) { // also splits inside the length
		assert.Equal(t, pair, crateSays(t, 53, crateSingle, flowscope.EndFIN, ">"+framed(ask), "<"+framed(answer)))
	})
	t.Run("three_pipelined", func(t *testing.T) {
		three := framed(ask) + framed(dnsMessage(8, "b.example.net", false)) + framed(dnsMessage(9, "c.example.net", false))
		assert.Equal(t, []string{"a.example.net ended NOERROR", "b.example.net ended NOERROR", "c.example.net ended NOERROR"},
			crateSays(t, 53, crateWhole, flowscope.EndFIN, ">"+three))
	})
	t.Run("malformed_body_keeps_framing", func(t *testing.T) {
		bad := []byte(dnsMessage(8, "b.example.net", false))
		bad[5] = 9 // nine questions
		said := crateSays(t, 53, crateWhole, flowscope.EndFIN, ">"+framed(ask)+framed(string(bad)), "<"+framed(answer))
		assert.Contains(t, strings.Join(said, "\n"), pair[0])
	})
	t.Run("rst_clears", func(t *testing.T) {
		assert.Equal(t, []string{"a.example.net ended NOERROR"}, crateSays(t, 53, crateWhole, flowscope.EndRST, ">"+framed(ask)))
	})

	datagrams := func(t *testing.T) (*flowscope.SessionPlayer, *flowscope.PlayedFlow) {
		p := testkit.NewPlayer(t, flowscope.Config{}, dns.Factory{})
		return p, p.UDP(40000, 53)
	}
	t.Run("correlator_match", func(t *testing.T) {
		_, f := datagrams(t)
		f.Data(0, []byte(ask), 1e18)
		out := f.Data(1, []byte(answer), flowscope.Timestamp(1e18).Add(1500*time.Millisecond))
		require.Len(t, out, 1)
		m := out[0].Message.(*dns.Transaction)
		took, ok := m.Latency()
		assert.True(t, ok)
		assert.Equal(t, 1500*time.Millisecond, took)
		for r := range m.Response.Answers() {
			a, _ := r.Addr()
			assert.Equal(t, netip.MustParseAddr("192.0.2.1"), a)
		}
	})
	t.Run("orphan", func(t *testing.T) {
		_, f := datagrams(t)
		out := f.Data(1, []byte(answer), 1e18)
		require.Len(t, out, 1)
		assert.Equal(t, dns.Unasked, out[0].Message.(*dns.Transaction).Outcome)
	})
	t.Run("sweep_after_31_s", func(t *testing.T) {
		p, f := datagrams(t)
		f.Data(0, []byte(ask), 1e18)
		assert.Empty(t, p.Sweep(flowscope.Timestamp(1e18).Add(9*time.Second)))
		out := p.Sweep(flowscope.Timestamp(1e18).Add(31 * time.Second))
		require.Len(t, out, 1)
		assert.Equal(t, dns.TimedOut, out[0].Message.(*dns.Transaction).Outcome)
	})
	t.Run("nxdomain", func(t *testing.T) {
		_, f := datagrams(t)
		no := []byte(answer)
		no[3] = 0x83
		f.Data(0, []byte(ask), 1e18)
		assert.Equal(t, dns.Rcode(3), f.Data(1, no, 1e18)[0].Message.(*dns.Transaction).Rcode)
	})
	t.Run("malformed_empty", func(t *testing.T) { // the crate says nothing of it; here it is lost
		_, f := datagrams(t)
		out := f.Data(0, []byte("abc"), 1e18)
		require.Len(t, out, 1)
		assert.IsType(t, &dns.Lost{}, out[0].Message)
	})
	t.Run("dns_udp_through_a_driver", func(t *testing.T) {
		w := newSessionWire()
		w.add(frames.UDP{Src: "10.0.0.1:5000", Dst: "10.0.0.2:53", Payload: []byte(ask)}.Ethernet())
		w.add(frames.UDP{Src: "10.0.0.2:53", Dst: "10.0.0.1:5000", Payload: []byte(answer)}.Ethernet())
		all := driverMessages(t, flowscope.Config{}, w.views, dns.Factory{})
		require.Len(t, all[1], 1)
		assert.Contains(t, all[1][0], "answered")
	})
}
