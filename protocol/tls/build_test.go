package tls_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

const (
	client = flowscope.Initiator
	server = flowscope.Responder
)

// turn is what a side says at a time. One whose gap is set is missing from the capture.
type turn struct {
	side flowscope.FlowSide
	b    []byte
	gap  bool
}

func says(side flowscope.FlowSide, parts ...[]byte) turn {
	return turn{side: side, b: slices.Concat(parts...)}
}

// missing is a turn that was not captured.
func missing(side flowscope.FlowSide, b []byte) turn { return turn{side: side, b: b, gap: true} }

func vec8(b ...byte) []byte { return append([]byte{byte(len(b))}, b...) }
func vec16(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
func vec24(b []byte) []byte {
	return append([]byte{byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...)
}
func u16(n ...uint16) []byte {
	var b []byte
	for _, v := range n {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

// ext is an extension.
func ext(typ uint16, data []byte) []byte { return append(u16(typ), vec16(data)...) }

func sni(name string) []byte { return ext(0, vec16(append([]byte{0}, vec16([]byte(name))...))) }

func alpn(names ...string) []byte {
	var list []byte
	for _, n := range names {
		list = append(list, vec8([]byte(n)...)...)
	}
	return ext(16, vec16(list))
}

func offers(versions ...uint16) []byte { return ext(43, vec8(u16(versions...)...)) }

var random = []byte("0123456789abcdef0123456789abcdef")

// clientHello is the body of a ClientHello. Without extensions there is no list of them either.
func clientHello(version uint16, session []byte, ciphers []uint16, extensions ...[]byte) []byte {
	b := slices.Concat(u16(version), random, vec8(session...), vec16(u16(ciphers...)), []byte{1, 0})
	if extensions != nil {
		b = append(b, vec16(slices.Concat(extensions...))...)
	}
	return b
}

func serverHello(version uint16, session []byte, cipher uint16, extensions ...[]byte) []byte {
	b := slices.Concat(u16(version), random, vec8(session...), u16(cipher), []byte{0})
	if extensions != nil {
		b = append(b, vec16(slices.Concat(extensions...))...)
	}
	return b
}

func message(typ byte, body []byte) []byte { return append([]byte{typ}, vec24(body)...) }

func record(typ byte, payload []byte) []byte { return append([]byte{typ, 3, 3}, vec16(payload)...) }

func handshake(messages ...[]byte) []byte { return record(22, slices.Concat(messages...)) }

func certificates(ders ...string) []byte {
	var list []byte
	for _, d := range ders {
		list = append(list, vec24([]byte(d))...)
	}
	return message(11, vec24(list))
}

func alert(level, description byte) []byte { return record(21, []byte{level, description}) }

var (
	ccs       = record(20, []byte{1})
	encrypted = record(22, []byte("\x01\x80\x00\x00 encrypted Finished, of 40 bytes")) // begins like a ClientHello
	appData   = record(23, []byte("encrypted application data"))
)

// describe tells messages in one line each, without times.
func describe(all []flowscope.Emitted) (lines []string) {
	for _, e := range all {
		switch m := e.Message.(type) {
		case *tls.Handshake:
			lines = append(lines, line(m))
		case *tls.Lost:
			lines = append(lines, fmt.Sprintf("lost %v %v %d", e.Side, m.Why, m.Bytes))
		case *tls.Hello:
			lines = append(lines, fmt.Sprintf("hello %v client %d server %d", e.Side, len(m.Client), len(m.Server)))
		case *said:
			lines = append(lines, fmt.Sprintf("%s %v %q", m.by, e.Side, m.text))
		}
	}
	return lines
}

func line(m *tls.Handshake) string {
	var b strings.Builder
	fmt.Fprintf(&b, "tls client %v", m.Client)
	word := func(name string, value any) {
		if s := fmt.Sprint(value); s != "" && s != "[]" && s != "false" {
			fmt.Fprintf(&b, " %s %v", name, s)
		}
	}
	word("sni", m.SNI)
	word("alpn", m.ALPN)
	word("offered", m.Offered)
	word("version", m.Version)
	if m.ServerHello != nil {
		word("cipher", fmt.Sprintf("%04x", uint16(m.Cipher)))
	}
	word("server-alpn", m.ServerALPN)
	word("resumed", m.Resumed)
	word("retried", m.Retried)
	word("ech", m.ECH)
	word("early", m.EarlyData)
	word("incomplete", m.Incomplete)
	word("sslv2", hex.EncodeToString(m.SSLv2))
	word("ja3", m.JA3())
	word("ja4", m.JA4())
	word("ja3s", m.JA3S())
	for _, c := range m.Certificates {
		fmt.Fprintf(&b, " certificate:%v %x", c.Client, c.SHA256())
	}
	for _, a := range m.Alerts {
		fmt.Fprintf(&b, " alert %v %d %v", a.Client, a.Level, a.Description)
	}
	return b.String()
}

// said is the message of toy, a protocol of one line that begins with its name.
type said struct {
	by   string
	text string
}

func (s *said) CloneMessage() flowscope.Message {
	c := *s
	return &c
}

// toy reads one line on either side. After a line that ends with "!" it hands over, once both sides
// have said theirs.
type toy string

func (f toy) Probe(p flowscope.Probe) flowscope.Verdict {
	n := min(len(p.First), len(f))
	switch {
	case string(p.First[:n]) != string(f[:n]):
		return flowscope.VerdictNo
	case n < len(f):
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

func (f toy) NewSessionParser() flowscope.SessionParser { return &toyParser{toy: f} }

type toyParser struct {
	toy
	b [2][]byte
}

func (p *toyParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	p.b[c.Side] = append(p.b[c.Side], c.Bytes...)
	line := [2]int{}
	for i := range line {
		line[i] = slices.Index(p.b[i], '\n')
	}
	if line[0] > 0 && p.b[0][line[0]-1] != '!' {
		m := flowscope.Emit[said](out)
		m.by, m.text = string(p.toy), string(p.b[0][:line[0]])
		out.Done()
	} else if line[0] > 0 && line[1] > 0 {
		out.Handover([2][]byte{p.b[0][line[0]+1:], p.b[1][line[1]+1:]})
	}
}
func (p *toyParser) Gap(flowscope.FlowSide, int64, int64, flowscope.Timestamp, *flowscope.Messages) {}
func (p *toyParser) Closed(flowscope.FlowSide, flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {
}
func (p *toyParser) Ended(flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {}
func (p *toyParser) Reset()                                                              { p.b = [2][]byte{} }

// factories are those of the tests: toys before and behind.
func factories(f tls.Factory) []flowscope.ParserFactory {
	return []flowscope.ParserFactory{toy("CONNECT"), toy("\x16not"), f, tls.StartTLS{Factory: f}, toy("HTTP")}
}

// cutter says how many bytes of those that are left come next.
type cutter func(left int) int

func whole(left int) int { return left }
func single(int) int     { return 1 }

func randomCuts(r *rand.Rand) cutter {
	return func(left int) int {
		if r.IntN(4) == 0 {
			return 1 + r.IntN(min(left, 7))
		}
		return 1 + r.IntN(left)
	}
}

// play plays turns through the factories and describes all messages.
func play(t testing.TB, cut cutter, parsers []flowscope.ParserFactory, turns ...turn) []string {
	t.Helper()
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, parsers...)
	require.NoError(t, err)
	lines := playOn(player, cut, turns...)
	st := player.Stats()
	require.Zero(t, st.HeldBytes)
	require.Zero(t, st.Parsers)
	return lines
}

func playOn(player *flowscope.SessionPlayer, cut cutter, turns ...turn) (lines []string) {
	flow := player.TCP(40000, 443)
	for i := 0; i < len(turns); {
		side, gap := turns[i].side, turns[i].gap
		var run []byte
		for ; i < len(turns) && turns[i].side == side && turns[i].gap == gap; i++ {
			run = append(run, turns[i].b...)
		}
		if gap {
			lines = append(lines, describe(flow.Gap(side, int64(len(run)), 1))...)
			continue
		}
		for len(run) > 0 {
			n := cut(len(run))
			lines = append(lines, describe(flow.Data(side, run[:n:n], 1))...)
			run = run[n:]
		}
	}
	return append(lines, describe(flow.End(flowscope.EndFIN, 1))...)
}

// playAll plays turns at once, byte by byte and in random cuts, and demands the same of all.
func playAll(t testing.TB, parsers []flowscope.ParserFactory, turns ...turn) []string {
	t.Helper()
	want := play(t, whole, parsers, turns...)
	require.Equal(t, want, play(t, single, parsers, turns...), "byte by byte")
	for seed := range uint64(8) {
		require.Equal(t, want, play(t, randomCuts(rand.New(rand.NewPCG(seed, 1))), parsers, turns...), "random cuts, seed %d", seed)
	}
	return want
}
