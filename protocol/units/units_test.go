package units_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/units"
)

// read plays a side, cut as cut says, and ends it.
func read(t testing.TB, f units.Factory, stream string, reason flowscope.EndReason, cut func(left int) int) (got []string) {
	t.Helper()
	f.Ports = []uint16{4000}
	p, err := flowscope.NewSessionPlayer(flowscope.Config{}, f)
	require.NoError(t, err)
	flow := p.TCP(4000, 50000) // the server was seen first
	take := func(list []flowscope.Emitted) {
		for _, e := range list {
			switch m := e.Message.(type) {
			case *units.Unit:
				c := m.CloneMessage().(*units.Unit)
				got = append(got, fmt.Sprintf("%d %q", c.Offset, c.Bytes))
			case *units.Lost:
				c := m.CloneMessage().(*units.Lost)
				got = append(got, fmt.Sprintf("%d %v", c.Offset, c.Err))
			}
		}
	}
	for len(stream) > 0 {
		n := cut(len(stream))
		take(flow.Data(flowscope.Responder, []byte(stream[:n]), 1))
		stream = stream[n:]
	}
	if reason == flowscope.EndFIN {
		take(flow.Close(flowscope.Responder, 2))
	}
	take(flow.End(reason, 2))
	assert.Zero(t, p.Stats().Parsers)
	assert.Zero(t, p.Stats().HeldBytes)
	return got
}

func atOnce(left int) int { return left }
func single(int) int      { return 1 }

var errBad = errors.New("bad")

func bad(data []byte, _ bool) (int, []byte, error) {
	if data[0] == '!' {
		return 0, nil, errBad
	}
	return 1, data[:1], nil
}

func final(data []byte, _ bool) (int, []byte, error) {
	if data[0] == '.' {
		return 1, data[:1], bufio.ErrFinalToken
	}
	return 1, nil, nil
}

func TestWhatComesOfAStream(t *testing.T) {
	for _, c := range []struct {
		name   string
		f      units.Factory
		stream string
		reason flowscope.EndReason
		want   []string
	}{
		{"prefixed", units.Factory{Split: units.Prefixed(1)}, "\x02ab\x00\x01c", flowscope.EndFIN, []string{`0 "ab"`, `3 ""`, `4 "c"`}},
		{"eight bytes of length", units.Factory{Split: units.Prefixed(8)}, "\x00\x00\x00\x00\x00\x00\x00\x01a\xff\xff\xff\xff\xff\xff\xff\xffb", flowscope.EndFIN, []string{`0 "a"`, "9 " + units.ErrEnded.Error()}},
		{"lines", units.Factory{Split: bufio.ScanLines}, "ab\r\n\ncd", flowscope.EndFIN, []string{`0 "ab"`, `4 ""`, `5 "cd"`}},
		{"lines without FIN", units.Factory{Split: bufio.ScanLines}, "ab\ncd", flowscope.EndRST, []string{`0 "ab"`, "3 " + units.ErrEnded.Error()}},
		{"cut at the end", units.Factory{Split: units.Prefixed(2)}, "\x00\x01a\x00\x02b", flowscope.EndFIN, []string{`0 "a"`, "3 " + units.ErrEnded.Error()}},
		{"as long as Max", units.Factory{Split: units.Prefixed(1), Max: 4}, "\x03abc", flowscope.EndFIN, []string{`0 "abc"`}},
		{"longer than Max", units.Factory{Split: units.Prefixed(1), Max: 4}, "\x01a\x04bcde\x01f", flowscope.EndFIN, []string{`0 "a"`, "2 " + bufio.ErrTooLong.Error()}},
		{"an error", units.Factory{Split: bad}, "ab!c", flowscope.EndFIN, []string{`0 "a"`, `1 "b"`, "2 bad"}},
		{"the last unit", units.Factory{Split: final}, "ab.c.", flowscope.EndFIN, []string{`2 "."`}},
		{"no progress", units.Factory{Split: func(data []byte, _ bool) (int, []byte, error) { return 0, data, nil }}, "a", flowscope.EndFIN, []string{"0 " + units.ErrSplit.Error()}},
		{"too much", units.Factory{Split: func(data []byte, _ bool) (int, []byte, error) { return len(data) + 1, data, nil }}, "a", flowscope.EndFIN, []string{"0 " + units.ErrSplit.Error()}},
		{"none", units.Factory{}, "a", flowscope.EndFIN, nil},
	} {
		assert.Equal(t, c.want, read(t, c.f, c.stream, c.reason, atOnce), c.name)
		assert.Equal(t, c.want, read(t, c.f, c.stream, c.reason, single), "%s, byte by byte", c.name)
	}
	assert.Panics(t, func() { units.Prefixed(0) })
	assert.Panics(t, func() { units.Prefixed(9) })
}

// A gap ends the side, not the other one.
func TestAGapEndsItsSide(t *testing.T) {
	p, err := flowscope.NewSessionPlayer(flowscope.Config{}, units.Factory{
		Recognise: func(flowscope.Probe) flowscope.Verdict { return flowscope.VerdictYes }, Split: units.Prefixed(1),
	})
	require.NoError(t, err)
	flow := p.TCP(1, 2)
	flow.Data(flowscope.Initiator, []byte("\x01a\x05b"), 1)
	lost := flow.Gap(flowscope.Initiator, 10, 2)
	require.Len(t, lost, 1)
	assert.Equal(t, &units.Lost{Offset: 2, Err: units.ErrGap}, lost[0].Message)
	assert.Empty(t, flow.Data(flowscope.Initiator, []byte("\x01c"), 3))
	assert.Len(t, flow.Data(flowscope.Responder, []byte("\x01d"), 4), 1)
	lost = flow.Gap(flowscope.Responder, 10, 5)
	require.Len(t, lost, 1)
	assert.Equal(t, &units.Lost{Offset: 2, Err: units.ErrGap}, lost[0].Message)
	assert.Zero(t, p.Stats().Parsers, "neither side is read")
}

// What is kept of units that are not complete counts in the budget, and ends where that ends.
func TestUnitsAreBounded(t *testing.T) {
	p, err := flowscope.NewSessionPlayer(flowscope.Config{SessionBytes: 20_000}, units.Factory{
		Ports: []uint16{4000}, Split: units.Prefixed(4), Max: 1 << 30,
	})
	require.NoError(t, err)
	flow := p.TCP(50000, 4000)
	got := flow.Data(flowscope.Initiator, []byte("\x10\x00\x00\x00"), 1)
	for i := 0; len(got) == 0 && i < 100; i++ {
		got = flow.Data(flowscope.Initiator, make([]byte, 1000), 2)
		assert.LessOrEqual(t, p.Stats().HeldBytes, int64(20_000))
	}
	require.Len(t, got, 1)
	assert.Equal(t, &units.Lost{Offset: 0, Err: units.ErrMemory}, got[0].Message)
}

func TestSteadyUnitsAllocateNothing(t *testing.T) {
	if invariantsEnabled {
		t.Skip("memory that was lent is not used again")
	}
	p, err := flowscope.NewSessionPlayer(flowscope.Config{}, units.Factory{Ports: []uint16{4000}, Split: units.Prefixed(1)})
	require.NoError(t, err)
	flow := p.TCP(50000, 4000)
	first, second := []byte("\x02ab\x03c"), []byte("de")
	play := func() {
		flow.Data(flowscope.Initiator, first, 1)
		flow.Data(flowscope.Initiator, second, 2)
	}
	for range 10 {
		play()
	}
	assert.Zero(t, testing.AllocsPerRun(100, play))
}

// FuzzCuts: what comes of a stream does not depend on how it is cut. bufio.ScanWords is left out: it takes blanks away
// before or with a word, as they come, so whether a word is longer than Max depends on the cut.
func FuzzCuts(f *testing.F) {
	f.Add([]byte("\x02ab\x00\x05abcde\x01"), uint64(1))
	f.Add([]byte("one\ntwo\r\n\nthree"), uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		for name, split := range map[string]bufio.SplitFunc{
			"prefixed": units.Prefixed(1), "two": units.Prefixed(2), "lines": bufio.ScanLines, "bad": bad, "final": final,
		} {
			u := units.Factory{Split: split, Max: 1 + int(seed%100)}
			want := strings.Join(read(t, u, string(stream), flowscope.EndFIN, atOnce), "\n")
			for _, cut := range []func(int) int{single, func(left int) int { return 1 + r.IntN(left) }} {
				if got := strings.Join(read(t, u, string(stream), flowscope.EndFIN, cut), "\n"); got != want {
					t.Fatalf("%s: at once\n%s\nin pieces\n%s", name, want, got)
				}
			}
		}
	})
}
