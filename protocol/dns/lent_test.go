package dns_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// What was cloned stays when the memory of the message, and the frame, are used again.
func TestClonesStay(t *testing.T) {
	p := newPlayer(t)
	f := p.TCP(40000, 53)
	f.Data(0, query(1, "www.example.com", 1).framed(), at(1))
	frame := response(1, "www.example.com").framed()
	f.Data(1, frame[:20], at(2))
	all := f.Data(1, frame[20:], at(2))
	require.Len(t, all, 1)
	was := show(all)
	c := []flowscope.Emitted{{Message: all[0].Message.CloneMessage(), Side: all[0].Side}}
	copy(frame, bytes.Repeat([]byte{0xff}, len(frame)))
	f.Data(0, query(2, "other.example.net", 1).framed(), at(3))
	f.Data(1, response(2, "other.example.net").framed(), at(3))
	assert.Equal(t, was, show(c))

	f = p.UDP(5353, 5353)
	all = f.Data(0, response(0, "a.local"), at(1))
	was = show(all)
	c = []flowscope.Emitted{{Message: all[0].Message.CloneMessage()}}
	f.Data(0, bytes.Repeat([]byte{0xff}, 30), at(1))
	assert.Equal(t, was, show(c))
	l := &dns.Lost{Why: dns.Gap, Bytes: 3}
	assert.Equal(t, l, l.CloneMessage())
	assert.NotSame(t, l, l.CloneMessage())
}

// Messages of one call of the driver live side by side, however often the parser is called in it.
func TestMessagesOfOneCallStayTogether(t *testing.T) {
	var out flowscope.Messages
	p := dns.Factory{}.NewSessionParser()
	chunk := func(side flowscope.FlowSide, b []byte) {
		p.Data(flowscope.Chunk{Side: side, Bytes: b, Time: at(1)}, &out)
	}
	want := ""
	for id, name := range []string{"a.example", "bb.example", "ccc.example"} {
		chunk(0, query(uint16(id), name, 1).framed())
		b := response(uint16(id), name).framed()
		chunk(1, b[:20])
		chunk(1, b[20:])
		want += fmt.Sprintf("initiator answered %d %s A asked=1..1 NOERROR replied=1 A=192.0.2.1\n", id, name)
	}
	assert.Equal(t, want, show(out.All()))
	for i, e := range out.All() {
		m := e.Message.(*dns.Transaction)
		assert.EqualValues(t, i, m.Query.ID())
		q, ok := m.Query.Question()
		assert.True(t, ok && q.Name.Equal(m.Name))
	}
}

// Bytes that are kept too long may be anything: no panic, and an end.
func TestTrampledMessagesDoNotPanic(t *testing.T) {
	w := response(1, "www.example.com").record(1, "x", dns.TypeTXT, "\x03abc").record(2, "y", dns.TypeSOA, strings.Repeat("\x00", 22)).opt(512, 0, "\x00\x03\x00\x01x")
	for _, b := range []byte{0, 0x3f, 0xc0, 0xdb, 0xff} {
		frame := bytes.Clone(w)
		m := parse(t, frame)
		q, _ := m.Question()
		for r := range m.Answers() {
			for i := range frame {
				frame[i] = b
			}
			_ = r.Text() + r.Name.String()
			r.Name.Equal(q.Name)
		}
		readAll(m)
		_ = q.Name.String()
	}
}

// readAll reads all that there is in a message, and gives how many bytes its text has.
func readAll(m dns.Message) (n int) {
	for q := range m.Questions() {
		n += len(q.Name.String())
	}
	for _, each := range []func(func(dns.Record) bool){m.Answers(), m.Authorities(), m.Additionals()} {
		for r := range each {
			n += len(r.Name.String()) + len(r.Text())
			r.Addr()
			r.Strings()(func(s []byte) bool { n += len(s); return true })
		}
	}
	if e, ok := m.EDNS(); ok {
		for o := range e.Options() {
			n += len(o.Data)
		}
		e.ClientSubnet()
	}
	return n + int(m.Rcode()) + len(m.Trailing())
}

// mallocs counts the allocations of f, which has run before.
func mallocs(f func()) uint64 {
	f()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// Transactions of a flow, and those of flows that come and go, need no memory of their own.
func TestNothingIsAllocated(t *testing.T) {
	if testing.Short() && race.On {
		t.Skip("the race detector allocates")
	}
	p := newPlayer(t)
	udp, tcp := p.UDP(40000, 53), p.TCP(40000, 53)
	q, r := query(1, "www.example.com", 1), response(1, "www.example.com").record(2, "a", dns.TypeMX, "\x00\x01\xc0\x0c").opt(1232, 0, "\x00\x03\x00\x01x")
	qf, rf := q.framed(), r.framed()
	now, sum := at(1), 0
	name := make([]byte, 0, 300)
	read := func(all []flowscope.Emitted) {
		for _, e := range all {
			m := e.Message.(*dns.Transaction)
			for r := range m.Response.Answers() {
				if a, ok := r.Addr(); ok && a.Is4() {
					sum++
				}
			}
			for r := range m.Response.Authorities() {
				mx, _ := r.MX()
				name = mx.Exchange.AppendText(name[:0])
				name = r.AppendText(name)
				sum += len(name)
			}
			if m.Name.Is("www.example.com") {
				sum++
			}
			if e, ok := m.Response.EDNS(); ok {
				for o := range e.Options() {
					sum += int(o.Code)
				}
			}
		}
	}
	const rounds = 3000
	n := mallocs(func() {
		for range rounds {
			now += at(0.001)
			read(udp.Data(0, q, now))
			read(udp.Data(1, r, now))
			read(tcp.Data(0, qf[:5], now))
			read(tcp.Data(0, qf[5:], now))
			read(tcp.Data(1, rf[:40], now))
			read(tcp.Data(1, rf[40:], now))
			if now%at(10) == 0 { // park, and resume
				now += at(5)
				p.Sweep(now)
			}
		}
	})
	assert.Greater(t, sum, rounds)
	if !invariantsEnabled {
		assert.LessOrEqual(t, n, uint64(5), "in %d transactions of each", rounds)
	}
	flows := mallocs(func() {
		for range rounds {
			f := p.UDP(40000, 53)
			read(f.Data(0, q, now))
			read(f.Data(1, r, now))
			f.End(flowscope.EndIdleTimeout, now)
		}
	})
	if !invariantsEnabled {
		assert.LessOrEqual(t, flows, uint64(rounds+5), "one for each PlayedFlow, none for its parser")
	}
}
