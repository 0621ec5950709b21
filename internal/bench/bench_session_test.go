package main_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	. "github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit/contest"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/reader"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// spoken gives the packets of real programs, from or to one of these ports, or all: those of
// testdata/captures/sessions.pcap, by as many clients, one after the other, as make a round.
func spoken(b *testing.B, ports ...uint16) (views []PacketView) {
	capture := loadCapture(b, filepath.Join("..", "..", "testdata", "captures", "sessions.pcap"))
	for client := byte(0); len(views) < round && client < 255; client++ {
		for _, v := range capture {
			f := bytes.Clone(v.Frame)
			l4 := f[14+20:]
			if f[12] == 0x86 { // IPv6
				l4 = f[14+40:]
			}
			from, to := binary.BigEndian.Uint16(l4), binary.BigEndian.Uint16(l4[2:])
			if len(ports) > 0 && !slices.Contains(ports, from) && !slices.Contains(ports, to) {
				continue
			}
			for _, last := range lastBytes(f) {
				if *last == 0x10 || *last == 10 { // 192.0.2.10 or 2001:db8::10
					*last = 64 + client
				}
			}
			v.Frame = f
			v.Timestamp += Timestamp(client) * Timestamp(capture[len(capture)-1].Timestamp.Sub(capture[0].Timestamp))
			views = append(views, v)
		}
	}
	if len(views) < round {
		b.Fatalf("%d packets", len(views))
	}
	return views
}

// lastBytes are those of both addresses.
func lastBytes(f []byte) [2]*byte {
	if f[12] == 0x86 {
		return [2]*byte{&f[14+23], &f[14+39]}
	}
	return [2]*byte{&f[14+15], &f[14+19]}
}

// sessionTraffic is what the benchmarks of parsers replay.
var sessionTraffic = []struct {
	name  string
	ports []uint16
}{{"web", []uint16{80}}, {"tls", []uint16{443}}, {"dns", []uint16{53}}, {"mixed", nil}}

// BenchmarkSessions compares a driver that reads HTTP/1, TLS and DNS with one without parsers.
func BenchmarkSessions(b *testing.B) {
	for _, t := range sessionTraffic {
		b.Run("traffic="+t.name, func(b *testing.B) {
			replay(b, spoken(b, t.ports...), parsing(b, "driver"),
				parsing(b, "sessions", http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{}))
		})
	}
}

// BenchmarkHTTP compares protocol/http1 with net/http, which reads the same connections through
// protocol/reader. Neither keeps bodies.
func BenchmarkHTTP(b *testing.B) {
	replay(b, spoken(b, 80), parsing(b, "driver"), parsing(b, "http1", http1.Factory{}),
		parsing(b, "net-http", reader.Factory{Read: readHTTP}))
}

func readHTTP(side FlowSide, s *reader.Stream) {
	for r := bufio.NewReader(s); ; {
		var body io.ReadCloser
		if side == Initiator {
			m, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			body = m.Body
		} else {
			m, err := http.ReadResponse(r, nil)
			if err != nil {
				return
			}
			body = m.Body
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return
		}
	}
}

// BenchmarkDNS compares protocol/dns in a driver, which pairs queries with responses, with gopacket's
// layers, which decode each packet and no more. Both are asked for the addresses in the answers.
func BenchmarkDNS(b *testing.B) {
	var udp []PacketView
	for _, v := range spoken(b, 53) {
		if v.Frame[12] == 0x08 && v.Frame[14+9] == byte(L4UDP) || v.Frame[12] == 0x86 && v.Frame[14+6] == byte(L4UDP) {
			udp = append(udp, v)
		}
	}
	c := parsing(b, "dns", dns.Factory{})
	c.each = func(ev *Event) {
		if t, ok := ev.Message.(*dns.Transaction); ok {
			for r := range t.Response.Answers() {
				r.Addr()
			}
		}
	}
	replay(b, udp, parsing(b, "driver"), c, decoding())
}

// replayed is a contender of a replay, with what comes behind the last packet.
type replayed struct {
	contest.Contender[PacketView]
	each   func(*Event) // may be nil
	finish func()
}

func replay(b *testing.B, views []PacketView, contenders ...*replayed) {
	var all []contest.Contender[PacketView]
	for _, c := range contenders {
		all = append(all, looped(c.Contender, len(views), c.finish))
	}
	next := func() []PacketView { return views }
	contest.Warm(all, 2*len(views), next)
	contest.Run(b, all, next)
}

// parsing is a driver with all default events but Packet.
func parsing(b *testing.B, name string, factories ...ParserFactory) *replayed {
	d, err := NewFlowSessionDriver(FiveTuple{}, Config{Events: quiet}, factories...)
	if err != nil {
		b.Fatal(err)
	}
	c := &replayed{finish: func() { d.Finish() }}
	c.Name = name
	c.Take = func(views []PacketView) {
		for i := range views {
			events := d.Track(views[i])
			for j := range events {
				if c.each != nil {
					c.each(&events[j])
				}
			}
		}
	}
	return c
}

// decoding is a DecodingLayerParser, whose layers are used again, with DNS behind UDP.
func decoding() *replayed {
	var (
		eth   layers.Ethernet
		ip4   layers.IPv4
		ip6   layers.IPv6
		udp   layers.UDP
		found []gopacket.LayerType
		m     layers.DNS
	)
	p := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip4, &ip6, &udp, &m)
	p.IgnoreUnsupported = true
	c := &replayed{finish: func() {}}
	c.Name = "gopacket"
	c.Take = func(views []PacketView) {
		for i := range views {
			if p.DecodeLayers(views[i].Frame, &found) != nil {
				continue
			}
			for j := range m.Answers {
				_ = m.Answers[j].IP
			}
		}
	}
	return c
}
