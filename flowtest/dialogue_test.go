package flowtest_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// Whatever is done to the segments, a driver hears each side say exactly what the dialogue says, with gaps where
// segments were lost, and refuses no packet.
func TestADialogueIsHeardAsItIsSaid(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		ends := [][2]string{{"10.0.0.1:1234", "10.0.0.2:80"}, {"[fd00::1]:1234", "[fd00::2]:80"}}[r.IntN(2)]
		d := flowtest.NewDialogue(ends[0], ends[1])
		if r.IntN(3) == 0 {
			d.VLANs = []uint16{7}
		}
		var want [2][]byte // 0 stands for what is lost
		for range 1 + r.IntN(6) {
			d.MSS = 10 + r.IntN(300)
			text := strings.Repeat(string(rune('a'+r.IntN(26))), 1+r.IntN(2000))
			side, say := r.IntN(2), d.Client
			if side == 1 {
				say = d.Server
			}
			turn := say(text)
			heard := []byte(text)
			n := 1 + r.IntN(turn.Segments())
			switch r.IntN(5) {
			case 0:
				turn.Lose(n)
				for i := (n - 1) * d.MSS; i < min(n*d.MSS, len(heard)); i++ {
					heard[i] = 0
				}
			case 1:
				turn.Repeat(n)
			case 2:
				turn.Delay(n, 1+r.IntN(4))
			case 3:
				if n > 1 {
					turn.Overlap(n, 1+r.IntN(d.MSS))
				}
			}
			want[side] = append(want[side], heard...)
			d.Wait(time.Duration(r.IntN(2)) * time.Millisecond) // a segment that comes later than 10 ms is given up
		}
		d.Close()

		driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{Checksums: flowscope.ChecksumVerify})
		require.NoError(t, err)
		views := d.Views()
		var got [2][]byte
		for _, ev := range flowtest.Replay(driver, views) {
			switch ev.Kind {
			case flowscope.EventData:
				got[ev.Side] = append(got[ev.Side], ev.Bytes...)
			case flowscope.EventGap:
				got[ev.Side] = append(got[ev.Side], make([]byte, ev.Len)...)
			case flowscope.EventEnded:
				assert.Equal(t, flowscope.EndFIN, ev.Reason, "seed %d", seed)
			}
		}
		require.True(t, bytes.Equal(want[0], got[0]) && bytes.Equal(want[1], got[1]), "seed %d", seed)
		st := driver.Stats()
		require.Equal(t, [3]uint64{uint64(len(views)), 0, 0}, [3]uint64{st.Packets, st.PacketsUnmatched, st.ChecksumsBad}, "seed %d", seed)
		require.EqualValues(t, 1, st.FlowsCreated, "seed %d", seed)
	}
}

func TestADialogueSaysWhenAndHowItEnds(t *testing.T) {
	for end, c := range map[string]struct {
		close  func(d *flowtest.Dialogue)
		reason flowscope.EndReason
	}{
		"both":             {(*flowtest.Dialogue).Close, flowscope.EndFIN},
		"one by one":       {func(d *flowtest.Dialogue) { d.CloseServer(); d.Client("bye"); d.CloseClient() }, flowscope.EndFIN},
		"one":              {(*flowtest.Dialogue).CloseClient, flowscope.EndFinished},
		"reset by client":  {(*flowtest.Dialogue).ResetClient, flowscope.EndRST},
		"reset by server":  {(*flowtest.Dialogue).ResetServer, flowscope.EndRST},
		"the capture ends": {func(*flowtest.Dialogue) {}, flowscope.EndFinished},
	} {
		t.Run(end, func(t *testing.T) {
			d := flowtest.NewDialogue("10.0.0.1:1234", "10.0.0.2:80")
			d.Client("hello")
			d.Wait(3 * time.Second)
			d.Server("world")
			c.close(d)
			views := d.Views()
			all := flowtest.ConversationsOf(t, views)
			require.Len(t, all, 1)
			assert.Equal(t, c.reason, all[0].Reason)
			assert.Equal(t, "world", string(all[0].Sides[flowscope.Responder].Bytes))
			assert.Equal(t, flowtest.Epoch, all[0].Stats.Start())
			assert.Equal(t, 3*time.Second+5*flowtest.Step, views[5].Timestamp.Sub(views[0].Timestamp))
		})
	}
}

func TestADialogueInATunnel(t *testing.T) {
	d := flowtest.NewDialogue("10.0.0.1:1234", "10.0.0.2:80")
	d.Wrap = func(ip []byte, fromClient bool) []byte {
		outer := frames.UDP{Src: "192.0.2.1:4789", Dst: "192.0.2.2:4789", Payload: frames.VXLAN(77, frames.Ethernet(ip))}
		if !fromClient {
			outer.Src, outer.Dst = outer.Dst, outer.Src
		}
		return outer.Ethernet()
	}
	d.Client("hello")
	d.Close()
	all := flowtest.ConversationsOf(t, d.Views())
	require.Len(t, all, 1)
	assert.Equal(t, "vxlan:77", all[0].Stats.TunnelString())
	assert.Equal(t, "hello", string(all[0].Sides[flowscope.Initiator].Bytes))
}

func TestSnapCutsFramesAndNotTheirLengths(t *testing.T) {
	d := flowtest.NewDialogue("10.0.0.1:1234", "10.0.0.2:80")
	d.Client(strings.Repeat("x", 1000))
	d.Close()
	all := flowtest.ConversationsOf(t, flowtest.Snap(d.Views(), 154))
	require.Len(t, all, 1)
	assert.Equal(t, strings.Repeat("x", 100), string(all[0].Sides[flowscope.Initiator].Bytes))
	assert.Equal(t, []flowscope.StreamGap{{Offset: 100, Len: 900, Cause: flowscope.GapCut}}, all[0].Sides[flowscope.Initiator].Gaps)
}

func TestMistakesOfATestPanic(t *testing.T) {
	d := flowtest.NewDialogue("10.0.0.1:1234", "10.0.0.2:80")
	for name, mistake := range map[string]func(){
		"two families":   func() { flowtest.NewDialogue("10.0.0.1:1", "[fd00::1]:2") },
		"no address":     func() { flowtest.NewDialogue("client", "10.0.0.1:2") },
		"segment 0":      func() { d.Client("x").Lose(0) },
		"segment 2 of 1": func() { d.Client("x").Delay(2, 1) },
		"first overlap":  func() { d.Client("x").Overlap(1, 1) },
	} {
		assert.Panics(t, mistake, name)
	}
}

// A golden file that is equal passes, one that differs fails with the lines that do, and is renewed on request.
func TestGolden(t *testing.T) {
	update := flag.Lookup("flowtest.update").Value
	before := update.String()
	defer update.Set(before)
	require.NoError(t, update.Set("false"))
	name := filepath.Join(t.TempDir(), "golden", "three.txt")
	f := &recorder{TB: t}

	assert.PanicsWithValue(t, stopped, func() { flowtest.Golden(f, name, "") })
	require.Len(t, f.failed, 1)
	assert.Contains(t, f.failed[0], "-flowtest.update")

	require.NoError(t, update.Set("true"))
	flowtest.Golden(t, name, "one\ntwo\nthree\n")
	require.NoError(t, update.Set("false"))
	flowtest.Golden(t, name, "one\ntwo\nthree\n")
	t.Setenv("FLOWTEST_UPDATE", "1")
	flowtest.Golden(t, name, "another\n")
	flowtest.Golden(t, name, "one\ntwo\nthree\n")
	t.Setenv("FLOWTEST_UPDATE", "")
	flowtest.Golden(t, name, "one\ntwo\nthree\n")

	flowtest.Golden(f, name, "one\n2\n2b\nthree\n")
	require.Len(t, f.failed, 2)
	assert.Contains(t, f.failed[1], "  one\n- two\n+ 2\n+ 2b\n  three\n")
}

const stopped = "the test is over"

// recorder is a test that keeps its failures, and what it logs.
type recorder struct {
	testing.TB
	failed, logged []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}

func (r *recorder) Logf(format string, args ...any) {
	r.logged = append(r.logged, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(stopped)
}

// note is a message of a parser of a test.
type note struct {
	Name   []byte
	Counts [2]uint64
	Zero   int
	Of     *flowscope.Timestamp
	Kind   flowscope.FlowSide
	Err    error
	hidden int
}

func (n *note) CloneMessage() flowscope.Message { c := *n; return &c }

type spoken struct{ note }

func (spoken) String() string                     { return "two\nlines" }
func (s *spoken) CloneMessage() flowscope.Message { return s }

// Text shows what messages say, each in its line.
func TestTextShowsMessages(t *testing.T) {
	at := flowscope.Timestamp(5)
	ev := flowscope.Event{Kind: flowscope.EventMessage, Flow: 1}
	for _, c := range []struct {
		m    flowscope.Message
		want string
	}{
		{&note{Name: []byte("a\n"), Counts: [2]uint64{0, 7}, Of: &at, Kind: flowscope.Responder, Err: errors.New("e"), hidden: 1}, `{Name:"a\n" Counts:[0 7] Of:0.000000005 Kind:responder Err:e}`},
		{&note{}, "{}"},
		{&spoken{}, `"two\nlines"`},
		{nil, "nil"},
		{(*spoken)(nil), "nil"},
	} {
		ev.Message = c.m
		text := flowtest.Text([]flowscope.Event{ev})
		assert.True(t, strings.HasSuffix(text, " "+c.want+"\n"), text)
		assert.Equal(t, 1, strings.Count(text, "\n"))
	}
}
