package dns_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// run is bytes that one side says before the other one does, or a gap in them.
type run struct {
	side flowscope.FlowSide
	b    []byte
	gap  int
}

// conversation makes the two sides of a connection, whole or mutilated.
func conversation(r *rand.Rand) (runs []run) {
	names := []string{"a", "example.com", "www.example.com", strings.Repeat("long.", 20) + "name"}
	type asked struct {
		id   uint16
		name string
	}
	var open []asked
	for range 2 + r.IntN(20) {
		var it run
		switch k := r.IntN(40); {
		case k == 0:
			it = run{side: flowscope.FlowSide(r.IntN(2)), b: []byte("a line of text\r\nand another, which is longer\r\n")}
		case k < 20 || len(open) == 0:
			q := asked{uint16(r.IntN(5)), names[r.IntN(len(names))]}
			open = append(open, q)
			it.b = query(q.id, q.name, dns.TypeA).framed()
		default:
			q := open[r.IntN(len(open))]
			w := response(q.id, q.name)
			for range r.IntN(4) {
				w = w.record(1, q.name, dns.TypeTXT, "\x03"+q.name[:1]+"xy")
			}
			it = run{side: 1, b: w.framed()}
		}
		switch r.IntN(30) {
		case 0:
			it.b[r.IntN(len(it.b))] ^= byte(1 << r.IntN(8))
		case 1:
			it.b = it.b[:r.IntN(len(it.b))]
		case 2:
			n := r.IntN(len(it.b))
			runs = append(runs, run{side: it.side, b: it.b[:n]})
			m := n + r.IntN(len(it.b)-n)
			if m > n {
				runs = append(runs, run{side: it.side, gap: m - n})
			}
			it.b = it.b[m:]
		}
		runs = append(runs, it)
	}
	return runs
}

// playRuns plays the runs cut into pieces of at most that size.
func playRuns(t *testing.T, runs []run, port uint16, size func() int) string {
	p := newPlayer(t, dns.Factory{}, words{"a line"}, words{"and"})
	f := p.TCP(40000, port)
	var b strings.Builder
	now := at(1)
	for _, r := range runs {
		now += at(0.5)
		if r.gap > 0 {
			b.WriteString(show(f.Gap(r.side, int64(r.gap), now)))
		}
		for rest := r.b; len(rest) > 0; {
			n := min(size(), len(rest))
			b.WriteString(show(f.Data(r.side, append([]byte(nil), rest[:n]...), now))) // of its own: it is trampled
			rest = rest[n:]
		}
	}
	b.WriteString(show(f.Close(0, now)))
	b.WriteString(show(f.End(flowscope.EndRST, now)))
	st := p.Stats()
	assert.Zero(t, st.Parsers)
	assert.Zero(t, st.HeldBytes)
	return b.String()
}

// words is another protocol beside: it begins with a word, and then says nothing.
type words struct{ first string }

func (w words) Probe(p flowscope.Probe) flowscope.Verdict {
	switch n := min(len(p.First), len(w.first)); {
	case string(p.First[:n]) != w.first[:n]:
		return flowscope.VerdictNo
	case n < len(w.first):
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

func (w words) NewSessionParser() flowscope.SessionParser { return silent{} }

type silent struct{}

func (silent) Data(flowscope.Chunk, *flowscope.Messages)                                      {}
func (silent) Gap(flowscope.FlowSide, int64, int64, flowscope.Timestamp, *flowscope.Messages) {}
func (silent) Ended(flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages)            {}
func (silent) Reset()                                                                         {}
func (silent) Closed(flowscope.FlowSide, flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {
}

func TestCutsDoNotMatter(t *testing.T) {
	rounds := uint64(3000)
	if testing.Short() {
		rounds = 600
	}
	said := 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 1))
		runs := conversation(r)
		port := []uint16{53, 5300}[seed%2]
		whole := playRuns(t, runs, port, func() int { return 1 << 20 })
		bytes := playRuns(t, runs, port, func() int { return 1 })
		if !assert.Equal(t, whole, bytes, "seed %d, byte by byte", seed) {
			return
		}
		if !assert.Equal(t, whole, playRuns(t, runs, port, func() int { return 1 + r.IntN(40) }), "seed %d, random cuts", seed) {
			return
		}
		said += strings.Count(whole, "answered")
	}
	assert.Greater(t, said, int(rounds))
}
