package dns_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// RFC 1035 section 4.1.4: a pointer goes to a prior occurrence.
func TestPointersGoBackwards(t *testing.T) {
	pointing := func(at string) wire { return append(header(1, 0).count(0), at+"\x00\x01\x00\x01"...) }
	for name, w := range map[string]wire{
		"to itself":        pointing("\xc0\x0c"),
		"forwards":         append(pointing("\xc0\x12"), "\x03com\x00"...),
		"into the header":  pointing("\xc0\x00"),
		"in a circle":      pointing("\x01a\xc0\x0c"),
		"beyond the end":   pointing("\xff\xff"),
		"half":             append(header(1, 0).count(0), 0xc0),
		"an unknown label": pointing("\x80\x0c"),
		"and one of 0x40":  pointing("\x41\x0c"),
	} {
		m := parse(t, w)
		assert.True(t, m.Damaged(), name)
		assert.Zero(t, m.NumQuestions(), name)
		_, ok := m.Question()
		assert.False(t, ok, name)
	}
	m := parse(t, append(query(1, "www.example.com", dns.TypeA).count(0), "\x03ftp\xc0\x10\x00\x01\x00\x01"...))
	require.False(t, m.Damaged())
	var names []string
	for q := range m.Questions() {
		names = append(names, q.Name.String())
	}
	assert.Equal(t, []string{"www.example.com", "ftp.example.com"}, names)
}

// RFC 1035 section 2.3.4: 255 bytes, so 127 labels and as many pointers between them.
func TestAtMost126Hops(t *testing.T) {
	for labels, good := range map[int]bool{100: true, 126: true, 127: false, 5000: false} {
		w := header(1, 0)
		w = append(w.count(0), 0, 0, 1, 0, 1) // the root, at 12
		before := 12
		for range labels {
			w = w.count(0)
			here := len(w)
			w = append(w, 1, 'a', 0xc0|byte(before>>8), byte(before), 0, 1, 0, 1)
			before = here
		}
		m := parse(t, w)
		assert.Equal(t, !good, m.Damaged(), labels)
		if good {
			assert.Equal(t, labels+1, m.NumQuestions())
		} else {
			assert.Equal(t, 127, m.NumQuestions(), "the root, and 126 that are so many hops from it")
		}
	}
	// Pointers to pointers add no bytes to a name, but hops.
	w := append(header(1, 0).count(0), 0, 0, 1, 0, 1)
	for i := range 200 {
		before := 12
		if i > 0 {
			before = 17 + 6*(i-1)
		}
		w = append(w.count(0), 0xc0|byte(before>>8), byte(before), 0, 1, 0, 1)
	}
	m := parse(t, w)
	assert.True(t, m.Damaged())
	assert.Equal(t, 127, m.NumQuestions(), "the root, and 126 that are so many hops from it")
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// RFC 1035 section 2.3.4.
func TestNamesHaveAtMost255Bytes(t *testing.T) {
	l63 := strings.Repeat("x", 63)
	long := l63 + "." + l63 + "." + l63 + "." + strings.Repeat("y", 61)
	m := parse(t, query(1, long, dns.TypeA))
	q, ok := m.Question()
	assert.True(t, ok)
	assert.Equal(t, long, q.Name.String())
	assert.Len(t, q.Name.AppendWire(nil), 255)
	assert.True(t, parse(t, query(1, long+"y", dns.TypeA)).Damaged())
	assert.True(t, parse(t, append(query(1, long, dns.TypeA).count(0), "\x01z\xc0\x0c\x00\x01\x00\x01"...)).Damaged())
}

// Counts are what the sender says: 65,535 of everything, and nothing there.
func TestNothingIsAllocatedByACount(t *testing.T) {
	w := header(1, answer)
	for i := 4; i < 12; i++ {
		w[i] = 0xff
	}
	n := testing.AllocsPerRun(100, func() {
		m, _ := dns.ParseMessage(w)
		if m.NumQuestions() != 0 || !m.Damaged() {
			t.Fatal(m)
		}
	})
	assert.Zero(t, n)
}

// A record that cannot be read ends the reading; what came before it stays.
func TestWhatCameBeforeDamageStays(t *testing.T) {
	whole := response(1, "example.com").record(1, "example.com", dns.TypeA, "\xc0\x00\x02\x02").opt(1232, 0, "")
	for n := 12; n <= len(whole); n++ {
		m := parse(t, whole[:n:n])
		assert.Equal(t, n < len(whole), m.Damaged())
		questions, answers := 0, 0
		if n >= 29 {
			questions = 1
		}
		if n >= 29+27 {
			answers++
		}
		if n >= 29+2*27 {
			answers++
		}
		assert.Equal(t, []int{questions, answers}, []int{m.NumQuestions(), m.NumAnswers()}, n)
		assert.Equal(t, n-12-17*questions-27*answers-(11*boolInt(n == len(whole))), len(m.Trailing()))
		_, edns := m.EDNS()
		assert.Equal(t, n == len(whole), edns)
	}
}

// RFC 1035 section 5.1, RFC 4343.
func TestNamesAreBytes(t *testing.T) {
	w := header(1, 0).count(0)
	w = append(w, "\x06a.b\\c \x04\x00\xffOK\x02\xc3\xa4\x00\x00\x01\x00\x01"...)
	q, ok := parse(t, w).Question()
	require.True(t, ok)
	assert.Equal(t, `a\.b\\c\032.\000\255OK.\195\164`, q.Name.String())
	assert.True(t, q.Name.Is(`A\.B\\C\032.\000\255ok.\195\164`))
	assert.False(t, q.Name.Is(`a.b\\c\032.\000\255OK.\195\164`))
	a, _ := parse(t, query(1, "ExAmPle.com", dns.TypeA)).Question()
	b, _ := parse(t, query(1, "eXaMpLe.COM", dns.TypeA)).Question()
	c, _ := parse(t, query(1, "example.co", dns.TypeA)).Question()
	assert.True(t, a.Name.Equal(b.Name))
	assert.False(t, a.Name.Equal(c.Name))
	assert.False(t, c.Name.Equal(a.Name))
	assert.False(t, a.Name.Equal(dns.Name{}))
	assert.True(t, dns.Name{}.Equal(dns.Name{}))
	root, _ := parse(t, query(1, "", dns.TypeNS)).Question()
	assert.Equal(t, ".", root.Name.String())
	assert.Equal(t, "", dns.Name{}.String())
}

// RFC 6891 sections 6.1.2 and 6.1.3.
func TestOPTGivesTheRcodeDOAndTheSize(t *testing.T) {
	m := parse(t, header(1, answer|7).opt(1232, 0x01008000, "\x00\x08\x00\x07\x00\x01\x18\x00\xc0\x00\x02\x00\x03\x00\x01x\x00\x0a\xff\xff"))
	assert.EqualValues(t, 16+7, m.Rcode())
	assert.Equal(t, dns.RcodeBadCookie, m.Rcode())
	e, ok := m.EDNS()
	require.True(t, ok)
	assert.EqualValues(t, 1232, e.Size)
	assert.True(t, e.DO)
	assert.Zero(t, e.Version)
	var codes []uint16
	for o := range e.Options() {
		codes = append(codes, o.Code)
	}
	assert.Equal(t, []uint16{8, 3}, codes, "the last one is longer than the record")
	network, scope, ok := e.ClientSubnet()
	assert.True(t, ok)
	assert.Equal(t, "192.0.2.0/24", network.String())
	assert.Zero(t, scope)
	for option, want := range map[string]string{
		"\x00\x08\x00\x08\x00\x02\x20\x10\x20\x01\x0d\xb8":     "2001:db8::/32",
		"\x00\x08\x00\x09\x00\x01\x20\x00\xc0\x00\x02\x01\x05": "", // five bytes of IPv4
		"\x00\x08\x00\x05\x00\x01\x21\x00\xc0":                 "", // 33 bits
		"\x00\x08\x00\x05\x00\x03\x08\x00\xc0":                 "", // an unknown family
		"\x00\x08\x00\x03\x00\x01\x08":                         "", // too short
	} {
		e, _ := parse(t, header(1, answer).opt(1232, 0, option)).EDNS()
		network, _, ok := e.ClientSubnet()
		if assert.Equal(t, want != "", ok, "%q", option); ok {
			assert.Equal(t, want, network.String())
		}
	}
	// Only in the additional section, and only under the name of the root.
	m = parse(t, header(1, answer).record(1, "", dns.TypeOPT, "").record(3, "x", dns.TypeOPT, ""))
	_, ok = m.EDNS()
	assert.False(t, ok)
}

func TestHeaderFlags(t *testing.T) {
	m := parse(t, header(7, 0x8000|4<<11|0x0400|0x0200|0x0100|0x0080|0x0020|0x0010|5))
	assert.Equal(t, dns.OpcodeNotify, m.Opcode())
	assert.True(t, m.IsResponse() && m.Authoritative() && m.Truncated() && m.RecursionDesired() && m.RecursionAvailable() &&
		m.AuthenticData() && m.CheckingDisabled())
	assert.Equal(t, "REFUSED", m.Rcode().String())
	m = parse(t, header(7, 0))
	assert.False(t, m.IsResponse() || m.Authoritative() || m.Truncated() || m.RecursionDesired() || m.RecursionAvailable() ||
		m.AuthenticData() || m.CheckingDisabled())
	var none dns.Message
	assert.True(t, none.IsZero() && none.ID() == 0 && none.Bytes() == nil && none.Trailing() == nil && !none.IsResponse())
}

// step is a datagram between port 40000 and 53.
type step struct {
	side flowscope.FlowSide
	w    wire
	at   float64
}

func play(t *testing.T, steps []step, end float64) string {
	t.Helper()
	p := newPlayer(t)
	f := p.UDP(40000, 53)
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(show(f.Data(s.side, s.w, at(s.at))))
	}
	b.WriteString(show(p.Sweep(at(end))))
	b.WriteString(show(f.End(flowscope.EndFinished, at(end))))
	st := p.Stats()
	assert.Zero(t, st.Parsers)
	assert.Zero(t, st.HeldBytes)
	return b.String()
}

func TestPairing(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []step
		end   float64
		want  string
	}{
		{"a query and its response", []step{{0, query(1, "a", 1), 1}, {1, response(1, "a"), 2}}, 3,
			"responder answered 1 a A asked=1..1 NOERROR replied=2 A=192.0.2.1\n"},
		// RFC 1035 section 7.3, RFC 4343: the name comes back as it was asked, but servers differ.
		{"in another case", []step{{0, query(1, "EXAMPLE", 1), 1}, {1, response(1, "example"), 2}}, 3,
			"responder answered 1 EXAMPLE A asked=1..1 NOERROR replied=2 A=192.0.2.1\n"},
		{"a repeated query is the same", []step{{0, query(1, "a", 1), 1}, {0, query(1, "a", 1), 4}, {1, response(1, "a"), 5}}, 6,
			"responder answered 1 a A asked=1..4 times=2 NOERROR replied=5 A=192.0.2.1\n"},
		// A client that reuses a number at once: each answer finds its own.
		{"another question under the number", []step{{0, query(1, "a", 1), 1}, {0, query(1, "b", 1), 2}, {1, response(1, "b"), 3}}, 20,
			"responder answered 1 b A asked=2..2 NOERROR replied=3 A=192.0.2.1\ninitiator reused 1 a A asked=1..1\n"},
		{"both answered", []step{{0, query(1, "a", 1), 1}, {0, query(1, "b", 1), 2}, {1, response(1, "a"), 3}, {1, response(1, "b"), 4}}, 20,
			"responder answered 1 a A asked=1..1 NOERROR replied=3 A=192.0.2.1\nresponder answered 1 b A asked=2..2 NOERROR replied=4 A=192.0.2.1\n"},
		{"several questions: the first is the key", []step{{0, query(1, "a", 1).ask("b", 1), 1}, {1, response(1, "a"), 2}}, 3,
			"responder answered 1 a A asked=1..1 NOERROR replied=2 A=192.0.2.1\n"},
		// RFC 1035 section 4.1.1: servers answer FORMERR, NOTIMP or REFUSED with a header alone.
		{"a response without question: by number", []step{{0, query(1, "a", 1), 1}, {1, header(1, answer|4), 2}}, 3,
			"responder answered 1 a A asked=1..1 NOTIMP replied=2\n"},
		// RFC 3425: IQUERY has none.
		{"a query without question: by number", []step{{0, header(1, 1<<11), 1}, {1, header(1, answer|1<<11|4), 2}}, 3,
			"responder answered 1  TYPE0 asked=1..1 NOTIMP replied=2\n"},
		{"a query whose question cannot be read: by number, and the response has one",
			[]step{{0, append(header(1, 0).count(0), "\xc0\x0c\x00\x01\x00\x01"...), 1}, {1, response(1, "a"), 2}}, 3,
			"responder answered 1 a A asked=1..1 damaged? NOERROR replied=2 A=192.0.2.1\n"},
		{"a response without a query", []step{{1, response(1, "a"), 2}}, 3,
			"responder unasked 1 a A NOERROR replied=2 A=192.0.2.1\n"},
		{"a second response", []step{{0, query(1, "a", 1), 1}, {1, response(1, "a"), 2}, {1, response(1, "a"), 3}}, 4,
			"responder answered 1 a A asked=1..1 NOERROR replied=2 A=192.0.2.1\nresponder again 1 a A NOERROR replied=3 A=192.0.2.1\n"},
		{"a second response, to another question", []step{{0, query(1, "a", 1), 1}, {1, response(1, "a"), 2}, {1, response(1, "b"), 3}}, 4,
			"responder answered 1 a A asked=1..1 NOERROR replied=2 A=192.0.2.1\nresponder unasked 1 b A NOERROR replied=3 A=192.0.2.1\n"},
		{"two queries, each sent and answered twice", []step{{0, query(1, "a", 1), 1}, {0, query(2, "b", 1), 1}, {0, query(1, "a", 1), 2}, {0, query(2, "b", 1), 2},
			{1, response(1, "a"), 3}, {1, response(2, "b"), 3}, {1, response(1, "a"), 4}, {1, response(2, "b"), 4}}, 5,
			"responder answered 1 a A asked=1..2 times=2 NOERROR replied=3 A=192.0.2.1\nresponder answered 2 b A asked=1..2 times=2 NOERROR replied=3 A=192.0.2.1\n" +
				"responder again 1 a A NOERROR replied=4 A=192.0.2.1\nresponder again 2 b A NOERROR replied=4 A=192.0.2.1\n"},
		// The number alone is no proof (RFC 5452 section 9.1).
		{"a response to another question", []step{{0, query(1, "a", 1), 1}, {1, response(1, "b"), 2}}, 3,
			"responder mismatched 1 b A NOERROR replied=2 A=192.0.2.1\ninitiator ended 1 a A asked=1..1\n"},
		{"no response in time", []step{{0, query(1, "a", 1), 1}, {0, query(1, "a", 1), 2}}, 12,
			"initiator timed_out 1 a A asked=1..2 times=2\n"},
		{"the flow ends before", []step{{0, query(1, "a", 1), 1}, {0, query(2, "b", 1), 2}}, 3,
			"initiator ended 1 a A asked=1..1\ninitiator ended 2 b A asked=2..2\n"},
		{"the response comes too late", []step{{0, query(1, "a", 1), 1}, {1, response(1, "a"), 20}}, 21,
			"initiator timed_out 1 a A asked=1..1\nresponder unasked 1 a A NOERROR replied=20 A=192.0.2.1\n"},
		{"the same again later", []step{{0, query(1, "a", 1), 1}, {1, response(1, "a"), 2}, {0, query(1, "a", 1), 30}, {1, response(1, "a"), 31}}, 32,
			"responder answered 1 a A asked=1..1 NOERROR replied=2 A=192.0.2.1\nresponder answered 1 a A asked=30..30 NOERROR replied=31 A=192.0.2.1\n"},
		// Both from port 53: two servers that ask each other.
		{"both sides ask", []step{{0, query(1, "a", 1), 1}, {1, query(1, "a", 1), 2}, {0, response(1, "a"), 3}, {1, response(1, "a"), 4}}, 5,
			"initiator answered 1 a A asked=2..2 NOERROR replied=3 A=192.0.2.1\nresponder answered 1 a A asked=1..1 NOERROR replied=4 A=192.0.2.1\n"},
		{"too short", []step{{0, wire("short"), 1}}, 2, "lost short initiator 5\n"},
	} {
		assert.Equal(t, c.want, play(t, c.steps, c.end), c.name)
	}
}

func TestAParserLeavesAnIdleFlow(t *testing.T) {
	p := newPlayer(t)
	f := p.UDP(40000, 53)
	f.Data(0, query(7, "a", 1), at(1))
	f.Data(0, query(8, "a", 1), at(1))
	f.Data(1, response(7, "a"), at(2))
	f.Data(1, response(8, "a"), at(2))
	assert.EqualValues(t, 1, p.Stats().Parsers)
	p.Sweep(at(4))
	assert.Zero(t, p.Stats().Parsers)
	f.Data(0, query(2, "a", 1), at(5))
	assert.Equal(t, "responder answered 2 a A asked=5..5 NOERROR replied=6 A=192.0.2.1\n", show(f.Data(1, response(2, "a"), at(6))))
	f.End(flowscope.EndIdleTimeout, at(7))
	assert.Zero(t, p.Stats().HeldBytes)
}

// Where one query was answered the parser leaves at once, and knows the answer if it comes again.
func TestAParserThatLeftKnowsTheLastAnswer(t *testing.T) {
	p := newPlayer(t)
	f := p.UDP(40000, 53)
	for i := range uint16(3) {
		f.Data(0, query(i, "Example", 1), at(1))
		f.Data(1, response(i, "example"), at(2))
		assert.Zero(t, p.Stats().Parsers)
	}
	for _, c := range []struct {
		side flowscope.FlowSide
		m    wire
		want string
	}{
		{1, response(2, "EXAMPLE"), "responder again 2 EXAMPLE A NOERROR replied=3 A=192.0.2.1\n"},
		{1, response(2, "example"), "responder again 2 example A NOERROR replied=3 A=192.0.2.1\n"},
		{1, response(1, "example"), "responder unasked 1 example A NOERROR replied=3 A=192.0.2.1\n"}, // only the last
		{1, response(2, "examplf"), "responder unasked 2 examplf A NOERROR replied=3 A=192.0.2.1\n"},
		{0, response(2, "example"), "initiator unasked 2 example A NOERROR replied=3 A=192.0.2.1\n"},
	} {
		assert.Equal(t, c.want, show(f.Data(c.side, c.m, at(3))))
		assert.Zero(t, p.Stats().Parsers)
	}
}

// Open queries are bounded in number and in bytes; the oldest leaves.
func TestOpenQueriesAreBounded(t *testing.T) {
	p := newPlayer(t, dns.Factory{MaxPending: 3})
	f := p.UDP(40000, 53)
	crowded := ""
	for i := range uint16(5) {
		crowded += show(f.Data(0, query(i, "a", 1), at(1)))
	}
	assert.Equal(t, "initiator crowded 0 a A asked=1..1\ninitiator crowded 1 a A asked=1..1\n", crowded)
	assert.Equal(t, 3, strings.Count(show(f.End(flowscope.EndFinished, at(2))), "ended"))

	p = newPlayer(t)
	f = p.UDP(40000, 53)
	long := query(0, "a", 1).record(3, "b", dns.TypeNULL, strings.Repeat("x", 3000))
	n := 0
	for i := range uint16(1000) {
		long[0], long[1] = byte(i>>8), byte(i)
		n += strings.Count(show(f.Data(0, long, at(1))), "crowded")
		require.Less(t, p.Stats().HeldBytes, int64(1<<20))
	}
	assert.Equal(t, 1000-(1<<18)/len(long), n)
	f.End(flowscope.EndFinished, at(2))
	assert.Zero(t, p.Stats().HeldBytes)
}

func TestALongQueryIsKeptAsFarAsItsQuestion(t *testing.T) {
	p := newPlayer(t)
	f := p.UDP(40000, 53)
	f.Data(0, query(1, "a", 1).record(2, "b", dns.TypeNULL, strings.Repeat("x", 5000)), at(1))
	got := show(f.Data(1, response(1, "a"), at(2)))
	assert.Equal(t, "responder answered 1 a A asked=1..1 damaged? missing?5013 NOERROR replied=2 A=192.0.2.1\n", got)
}

func TestTheBudgetIsRespected(t *testing.T) {
	p, err := flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: 1 << 15}, dns.Factory{})
	require.NoError(t, err)
	f := p.UDP(40000, 53)
	all := ""
	for i := range uint16(1000) {
		all += show(f.Data(0, query(i, "example.com", 1), at(1)))
		require.LessOrEqual(t, p.Stats().HeldBytes, int64(1<<15))
	}
	assert.Equal(t, 1, strings.Count(all, "lost budget"))
	assert.NotZero(t, strings.Count(all, "crowded"))
	f.End(flowscope.EndFinished, at(2))
	assert.Zero(t, p.Stats().HeldBytes)
}

// RFC 6762 section 18.1, RFC 4795 section 2.1.1: the number means nothing there, or not within the flow.
func TestMulticastIsNeverPaired(t *testing.T) {
	p := newPlayer(t)
	f := p.UDP(5353, 5353)
	assert.Equal(t, "initiator llmnr=false from initiator\n", show(f.Data(0, query(0, "a.local", 12), at(1))))
	assert.Equal(t, "responder llmnr=false from responder A=192.0.2.1\n", show(f.Data(1, response(0, "a.local"), at(2))))
	f = p.UDP(50000, 5355)
	assert.Equal(t, "initiator llmnr=true from initiator\n", show(f.Data(0, query(9, "a", 1), at(1))))
	f = p.UDP(5355, 50000)
	assert.Equal(t, "initiator llmnr=true from initiator A=192.0.2.1\n", show(f.Data(0, response(9, "a"), at(1))))
	f = p.TCP(50000, 5355)
	assert.Equal(t, "initiator llmnr=true from initiator\n", show(f.Data(0, query(9, "a", 1).framed(), at(1))))
	f = p.UDP(50000, 5355)
	f.Data(0, query(9, "a", 1), at(1))
	assert.Equal(t, "initiator llmnr=true from initiator damaged\n", show(f.Data(0, query(9, "a", 1)[:13], at(1))))
	f = p.TCP(50000, 5353) // there is no mDNS over TCP
	assert.Equal(t, "", show(f.Data(0, query(9, "a", 1).framed(), at(1))))
	f = p.UDP(5353, 53) // a port like any other
	assert.Equal(t, "", show(f.Data(0, query(9, "a", 1), at(1))))
}

func TestRecognition(t *testing.T) {
	q := query(1, "example.com", dns.TypeA)
	first := append(wire(nil), q...)
	for _, c := range []struct {
		name  string
		l4    flowscope.L4Proto
		ports [2]uint16
		b     []byte
		want  flowscope.Verdict
	}{
		{"port 53", flowscope.L4UDP, [2]uint16{40000, 53}, q, flowscope.VerdictYes},
		{"port 53, garbage", flowscope.L4UDP, [2]uint16{40000, 53}, []byte("?"), flowscope.VerdictYes},
		{"another port", flowscope.L4UDP, [2]uint16{40000, 5300}, q, flowscope.VerdictYes},
		{"no port", flowscope.L4UDP, [2]uint16{}, response(1, "a"), flowscope.VerdictYes},
		{"another port, cut", flowscope.L4UDP, [2]uint16{40000, 5300}, q[:len(q)-1], flowscope.VerdictNo},
		{"another port, more than a message", flowscope.L4UDP, [2]uint16{40000, 5300}, append(first, 0), flowscope.VerdictNo},
		{"another port, a class that is not in use", flowscope.L4UDP, [2]uint16{40000, 5300}, append(first[:len(q)-1:len(q)-1], 7), flowscope.VerdictNo},
		{"another port, two questions", flowscope.L4UDP, [2]uint16{40000, 5300}, query(1, "a", 1).ask("b", 1), flowscope.VerdictNo},
		{"another port, a header alone", flowscope.L4UDP, [2]uint16{40000, 5300}, header(1, answer|4), flowscope.VerdictNo},
		{"NetBIOS", flowscope.L4UDP, [2]uint16{137, 137}, q, flowscope.VerdictNo},
		{"mDNS", flowscope.L4UDP, [2]uint16{5353, 5353}, q, flowscope.VerdictYes},
		{"mDNS, garbage", flowscope.L4UDP, [2]uint16{5353, 5353}, []byte("x"), flowscope.VerdictNo},
		{"LLMNR", flowscope.L4UDP, [2]uint16{5355, 9}, q, flowscope.VerdictYes},
		{"LLMNR, TCP", flowscope.L4TCP, [2]uint16{9, 5355}, q.framed()[:14], flowscope.VerdictYes},
		{"TCP, port 5353", flowscope.L4TCP, [2]uint16{9, 5353}, q.framed()[:14], flowscope.VerdictMaybe},
		{"TCP, port 53", flowscope.L4TCP, [2]uint16{40000, 53}, q.framed()[:14], flowscope.VerdictYes},
		{"TCP, port 53, some of it", flowscope.L4TCP, [2]uint16{40000, 53}, q.framed()[:13], flowscope.VerdictMaybe},
		{"TCP, port 53, HTTP", flowscope.L4TCP, [2]uint16{40000, 53}, []byte("GET / HTTP/1.1\r\n\r\n"), flowscope.VerdictNo},
		{"TCP, port 53, TLS", flowscope.L4TCP, [2]uint16{40000, 53}, []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghi"), flowscope.VerdictNo},
		{"TCP, another port", flowscope.L4TCP, [2]uint16{40000, 5300}, q.framed(), flowscope.VerdictYes},
		{"TCP, another port, some of it", flowscope.L4TCP, [2]uint16{40000, 5300}, q.framed()[:30], flowscope.VerdictMaybe},
		{"TCP, another port, one byte of text", flowscope.L4TCP, [2]uint16{40000, 5300}, []byte("G"), flowscope.VerdictNo},
		{"TCP, another port, one byte", flowscope.L4TCP, [2]uint16{40000, 5300}, []byte{0}, flowscope.VerdictMaybe},
	} {
		assert.Equal(t, c.want, dns.Factory{}.Probe(flowscope.Probe{L4: c.l4, First: c.b, Ports: c.ports}), c.name)
	}
}

// A verdict does not depend on how many bytes are shown, once it is one.
func TestProbesAreMonotone(t *testing.T) {
	for _, port := range []uint16{53, 5300} {
		for _, b := range [][]byte{
			query(1, "example.com", 1).framed(), response(1, "example.com").framed(), []byte("\x00\x1dGET / HTTP/1.1\r\n\r\n0123456789"),
			query(1, "example.com", 1).framed()[:30], append(query(1, "a", 1).framed(), "rest"...), {0, 12, 0, 1, 0x84, 0x04, 0, 0, 0, 0, 0, 0, 0, 0},
			header(1, answer|4).framed(), make([]byte, 100),
		} {
			was := flowscope.VerdictMaybe
			for n := 1; n <= len(b); n++ {
				v := dns.Factory{}.Probe(flowscope.Probe{L4: flowscope.L4TCP, First: b[:n:n], Ports: [2]uint16{1, port}})
				if was != flowscope.VerdictMaybe {
					assert.Equal(t, was, v, "%q %d", b, n)
				}
				was = v
			}
		}
	}
}

func TestGarbageOnPort53IsGivenUp(t *testing.T) {
	p := newPlayer(t)
	f := p.UDP(40000, 53)
	all := ""
	for i := range 100 {
		all += show(f.Data(0, fmt.Appendf(nil, "%d: this is a tunnel", i), at(1)))
	}
	assert.Equal(t, "lost not_dns initiator 0\n", all)
	assert.Equal(t, "", show(f.End(flowscope.EndFinished, at(2))))
}

// Away from port 53 every message of each side must read as a whole.
func TestOnOtherPortsEveryMessageMustReadAsAWhole(t *testing.T) {
	q, r := query(1, "example.com", 1), response(1, "example.com")
	const asked = "initiator ended 1 example.com A asked=1..1\n"
	for _, c := range []struct {
		name string
		side flowscope.FlowSide
		b    wire
		want string
	}{
		{"an answer", 1, r, "responder answered 1 example.com A asked=1..1 NOERROR replied=2 A=192.0.2.1\n"},
		{"an error without question", 1, header(1, answer|1), "responder answered 1 example.com A asked=1..1 FORMERR replied=2\n"},
		{"another query", 0, query(2, "a", 1), ""},
		{"a damaged answer", 1, r[:len(r)-1], asked + "lost not_dns responder 0\n"},
		{"a damaged query", 0, q[:len(q)-1], asked + "lost not_dns initiator 0\n"},
		{"something behind a message", 1, append(r[:len(r):len(r)], 0), asked + "lost not_dns responder 0\n"},
		{"text", 1, wire("hello, this is no message"), asked + "lost not_dns responder 0\n"},
	} {
		p := newPlayer(t)
		udp := p.UDP(40000, 5300)
		assert.Empty(t, udp.Data(0, q, at(1)), c.name)
		assert.Equal(t, c.want, show(udp.Data(c.side, c.b, at(2))), c.name)
		if strings.Contains(c.want, "lost") {
			assert.Empty(t, udp.Data(1, r, at(3)), c.name)
		}
		if c.name == "text" {
			continue // a side of a stream may begin within a message: one is searched
		}
		tcp := p.TCP(40000, 5300)
		assert.Empty(t, tcp.Data(0, q.framed(), at(1)), c.name)
		assert.Equal(t, c.want, show(tcp.Data(c.side, c.b.framed(), at(2))), c.name)
	}
	p := newPlayer(t)
	f := p.UDP(40000, 5300)
	f.Data(0, q, at(1))
	assert.Equal(t, asked+"lost not_dns responder 0\n", show(f.Data(1, []byte("short"), at(2))))
	f = p.UDP(40000, 5300)
	f.Data(0, q, at(1))
	cut := f.Chunk(flowscope.Chunk{Side: 1, Bytes: r[:30], Missing: len(r) - 30, Time: at(2)}, at(2))
	assert.Equal(t, fmt.Sprintf("responder answered 1 example.com A asked=1..1 NOERROR replied=2 damaged! missing!%d\n", len(r)-30),
		show(cut), "the capture has not all of it")
	f = p.UDP(40000, 53)
	f.Data(0, q, at(1))
	assert.Contains(t, show(f.Data(1, r[:len(r)-1], at(2))), "answered 1 example.com A asked=1..1 NOERROR replied=2 damaged!")
}

// RFC 7766 section 8, and after a gap: only where what follows reads as a whole message.
func TestFraming(t *testing.T) {
	ask := query(1, "example.com", 1).framed()
	reply := response(1, "example.com").framed()
	next := query(2, "example.org", 1).framed()
	type part struct {
		b   []byte
		gap int
		fin bool
	}
	for _, c := range []struct {
		name         string
		client, then []part
		want         string
	}{
		{"pieces", []part{{b: ask[:1]}, {b: ask[1:5]}, {b: ask[5:]}}, []part{{b: reply[:30]}, {b: reply[30:]}},
			"responder answered 1 example.com A asked=1..1 NOERROR replied=2 A=192.0.2.1\n"},
		{"several at once", []part{{b: append(ask[:len(ask):len(ask)], next...)}}, []part{{b: append(response(2, "example.org").framed(), reply...)}},
			"responder answered 2 example.org A asked=1..1 NOERROR replied=2 A=192.0.2.1\nresponder answered 1 example.com A asked=1..1 NOERROR replied=2 A=192.0.2.1\n"},
		{"a gap at the end of a message: what came of it is told, and reading goes on", []part{{b: ask}, {b: next}},
			[]part{{b: reply[:40]}, {gap: len(reply) - 40}, {b: response(2, "example.org").framed()}},
			fmt.Sprintf("responder answered 1 example.com A asked=1..1 NOERROR replied=2 damaged! missing!%d\nlost gap responder %d\n"+
				"responder answered 2 example.org A asked=1..1 NOERROR replied=2 A=192.0.2.1\n", len(reply)-40, len(reply)-40)},
		{"a gap in the middle of a message", []part{{b: ask}, {b: next}},
			[]part{{b: reply[:40]}, {gap: 3}, {b: reply[43:]}, {b: response(2, "example.org").framed()}},
			fmt.Sprintf("responder answered 1 example.com A asked=1..1 NOERROR replied=2 damaged! missing!%d\nlost gap responder 3\n"+
				"responder answered 2 example.org A asked=1..1 NOERROR replied=2 A=192.0.2.1\n", len(reply)-40)},
		{"a gap over several messages", []part{{b: ask}, {b: next}}, []part{{b: reply}, {gap: 1000}, {b: []byte("rest of one")}, {b: response(2, "example.org").framed()}},
			"responder answered 1 example.com A asked=1..1 NOERROR replied=2 A=192.0.2.1\nlost gap responder 1000\n" +
				"responder answered 2 example.org A asked=1..1 NOERROR replied=2 A=192.0.2.1\n"},
		{"a gap, and what only begins like a message behind it", []part{{b: ask}, {b: next}},
			[]part{{b: reply}, {gap: 1000}, {b: append(append(reply[:14:14], 63), reply[15:]...)}, {b: response(2, "example.org").framed()}},
			"responder answered 1 example.com A asked=1..1 NOERROR replied=2 A=192.0.2.1\nlost gap responder 1000\n" +
				"responder answered 2 example.org A asked=1..1 NOERROR replied=2 A=192.0.2.1\n"},
		{"a gap, and nothing like DNS behind it", []part{{b: ask}}, []part{{gap: 7}, {b: make([]byte, 70000)}, {b: reply}},
			"lost gap responder 7\nlost framing responder 65537\ninitiator ended 1 example.com A asked=1..1\n"},
		{"a length that cannot be", []part{{b: ask}, {b: []byte{0, 5, 1, 2, 3, 4, 5}}, {b: next}}, []part{{b: reply}},
			"lost framing initiator 0\nresponder answered 1 example.com A asked=1..1 NOERROR replied=2 A=192.0.2.1\n"},
		{"a side that begins within a message", []part{{b: ask}}, []part{{b: []byte("the rest of a message")}, {b: reply}},
			"responder answered 1 example.com A asked=1..1 NOERROR replied=2 A=192.0.2.1\n"},
		{"a side that ends within a message", []part{{b: ask}}, []part{{b: reply[:20]}, {fin: true}},
			fmt.Sprintf("responder answered 1 example.com A asked=1..1 NOERROR replied=2 damaged! missing!%d\nlost incomplete responder 20\n", len(reply)-20)},
		{"half a length", []part{{b: ask}}, []part{{b: reply}, {b: []byte{0}}, {fin: true}},
			"responder answered 1 example.com A asked=1..1 NOERROR replied=2 A=192.0.2.1\nlost incomplete responder 1\n"},
		// RFC 5936 section 2.2: a transfer is many responses, the later ones without question.
		{"a zone transfer", []part{{b: query(1, "example.com", dns.TypeAXFR).framed()}},
			[]part{{b: header(1, answer).ask("example.com", dns.TypeAXFR).framed()}, {b: header(1, answer).record(1, "a", 1, "\xc0\x00\x02\x01").framed()}},
			"responder answered 1 example.com AXFR asked=1..1 NOERROR replied=2\nresponder again 1  TYPE0 NOERROR replied=2 A=192.0.2.1\n"},
	} {
		for _, whole := range []bool{true, false} {
			p := newPlayer(t)
			f := p.TCP(40000, 53)
			got := ""
			for side, parts := range [][]part{c.client, c.then} {
				side, now := flowscope.FlowSide(side), at(float64(side+1))
				for _, part := range parts {
					switch {
					case part.gap > 0:
						got += show(f.Gap(side, int64(part.gap), now))
					case part.fin:
						got += show(f.Close(side, now))
					case whole:
						got += show(f.Data(side, part.b, now))
					default:
						for i := range part.b {
							got += show(f.Data(side, part.b[i:i+1:i+1], now))
						}
					}
				}
			}
			got += show(f.End(flowscope.EndFinished, at(3)))
			assert.Equal(t, c.want, got, c.name)
			assert.Zero(t, p.Stats().HeldBytes, c.name)
			assert.Zero(t, p.Stats().Parsers, c.name)
		}
	}
}

func TestLatency(t *testing.T) {
	p := newPlayer(t)
	f := p.UDP(40000, 53)
	f.Data(0, query(1, "a", 1), at(1))
	f.Data(0, query(1, "a", 1), at(1.5))
	m := f.Data(1, response(1, "a"), at(1.75))[0].Message.(*dns.Transaction)
	d, ok := m.Latency()
	assert.True(t, ok)
	assert.Equal(t, 750*time.Millisecond, d)
	assert.Equal(t, 250*time.Millisecond, m.Replied.Sub(m.Requeried))
	assert.EqualValues(t, 1, m.QueryPacket)
	assert.EqualValues(t, 3, m.ResponsePacket)
	m = f.Data(1, response(1, "a"), at(2))[0].Message.(*dns.Transaction)
	_, ok = m.Latency()
	assert.False(t, ok)
}
