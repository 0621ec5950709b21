package acceptance

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// fusedParsers is a factory of lines and questions, which panics at the k-th call of one of its parts.
type fusedParsers struct {
	lines testkit.Lines
	asks  testkit.Asks
	part  string
	left  *int
}

func (f fusedParsers) burn(part string) {
	if part != f.part {
		return
	}
	if *f.left--; *f.left == 0 {
		panic(blast{})
	}
}

func (f fusedParsers) Probe(p flowscope.Probe) flowscope.Verdict {
	f.burn("Probe")
	if p.L4 == flowscope.L4UDP {
		return f.asks.Probe(p)
	}
	return f.lines.Probe(p)
}

func (f fusedParsers) NewSessionParser() flowscope.SessionParser {
	f.burn("NewSessionParser")
	return &fusedStream{f.lines.NewSessionParser(), f}
}

func (f fusedParsers) NewDatagramParser() flowscope.DatagramParser {
	f.burn("NewDatagramParser")
	return &fusedDatagrams{f.asks.NewDatagramParser(), f}
}

type fusedStream struct {
	flowscope.SessionParser
	f fusedParsers
}

func (p *fusedStream) Data(c flowscope.Chunk, out *flowscope.Messages) {
	p.SessionParser.Data(c, out)
	p.f.burn("Data")
}

func (p *fusedStream) Gap(side flowscope.FlowSide, at, n int64, now flowscope.Timestamp, out *flowscope.Messages) {
	p.f.burn("Gap")
	p.SessionParser.Gap(side, at, n, now, out)
}

func (p *fusedStream) Closed(side flowscope.FlowSide, reason flowscope.EndReason, now flowscope.Timestamp, out *flowscope.Messages) {
	p.f.burn("Closed")
	p.SessionParser.Closed(side, reason, now, out)
}

func (p *fusedStream) Ended(reason flowscope.EndReason, now flowscope.Timestamp, out *flowscope.Messages) {
	p.f.burn("Ended")
	p.SessionParser.Ended(reason, now, out)
}

func (p *fusedStream) Reset() {
	p.f.burn("Reset")
	p.SessionParser.Reset()
}

type fusedDatagrams struct {
	flowscope.DatagramParser
	f fusedParsers
}

func (p *fusedDatagrams) Datagram(c flowscope.Chunk, out *flowscope.Messages) {
	p.f.burn("Datagram")
	p.DatagramParser.Datagram(c, out)
}

func (p *fusedDatagrams) OnTimer(now flowscope.Timestamp, out *flowscope.Messages) flowscope.Timestamp {
	p.f.burn("OnTimer")
	return p.DatagramParser.(flowscope.SessionTimer).OnTimer(now, out)
}

func (p *fusedDatagrams) Ended(reason flowscope.EndReason, now flowscope.Timestamp, out *flowscope.Messages) {
	p.f.burn("EndedDatagrams")
	p.DatagramParser.Ended(reason, now, out)
}

func (p *fusedDatagrams) Reset() {
	p.f.burn("ResetDatagrams")
	p.DatagramParser.Reset()
}

// saidIn is a call, and the flow that something was said of.
type saidIn struct {
	call int
	key  testkit.Key
}

// partsOfEnds are called while flows end: a panic may put off the ends of others to the next call.
var partsOfEnds = []string{"Gap", "Closed", "Ended", "Reset", "OnTimer", "EndedDatagrams", "ResetDatagrams"}

func fusedSessions() []flowscope.PacketView {
	w := newSessionWire()
	w.step = time.Millisecond
	var flows []*wireFlow
	for i := range 4 {
		flows = append(flows, w.tcp(i, [2]uint16{40000, 80}).open())
	}
	for _, f := range flows {
		f.say(0, "A:hello\nA:wo").say(1, "A:hi\n")
	}
	for i, f := range flows {
		if i%2 == 0 {
			f.at[0] += 5 // lost
		}
		f.say(0, "rld\nA:x\n")
	}
	for i := range 3 {
		w.tcp(10+i, [2]uint16{40000, 53}).datagram(0, "?a").datagram(0, "?b").datagram(1, "=b")
	}
	w.now = w.now.Add(40 * time.Second)
	flows[0].close()
	flows[1].segment(0, "R", flows[1].at[0], nil)
	flows[2].say(0, "A:done\n").close()
	flows[3].say(1, "A:switch\nA:again\n")
	w.tcp(20, [2]uint16{40000, 80}).open().say(0, "A:later\n").close()
	w.tcp(21, [2]uint16{40000, 53}).datagram(0, "?z")
	return w.views
}

// A panic of a parser or a factory reaches the caller, and the driver can be used afterwards: flows end and are counted,
// nothing is held after Finish, and calls that come after say of other flows what they would have said.
func TestAfterAPanicOfAParserTheDriverGoesOn(t *testing.T) {
	views := fusedSessions()
	run := func(t *testing.T, part string, k int) (d *testkit.Driver, said map[saidIn][]string, at int, met testkit.Key) {
		left := k
		f := fusedParsers{lines: testkit.Lines{Name: "A"}, part: part, left: &left}
		d = newSessionDriver(t, flowscope.Config{LingerTimeout: time.Second}, f)
		said, at = map[saidIn][]string{}, -1
		call := func(i int, track func() []testkit.Event, key testkit.Key) {
			defer func() {
				if r := recover(); r == (blast{}) {
					at, met = i, key
				} else if r != nil {
					panic(r)
				}
			}()
			for _, ev := range track() {
				if ev.Kind == flowscope.EventMessage {
					where := saidIn{i, ev.Key}
					said[where] = append(said[where], meaning(ev.Message, ev.Side))
				}
			}
		}
		for i, v := range views {
			var x flowscope.Extracted[testkit.Key]
			flowscope.FiveTuple{}.Extract(v, &x)
			call(i, func() []testkit.Event { return d.Track(v) }, x.Key)
		}
		for i := range 3 {
			call(len(views)+i, d.Finish, testkit.Key{})
		}
		return d, said, at, met
	}
	for _, part := range []string{
		"Probe", "NewSessionParser", "NewDatagramParser", "Data", "Gap", "Closed", "Ended", "Reset", "Datagram", "OnTimer", "EndedDatagrams", "ResetDatagrams",
	} {
		t.Run(part, func(t *testing.T) {
			_, whole, _, _ := run(t, part, 0)
			for k := 1; ; k++ {
				d, said, at, met := run(t, part, k)
				if at < 0 {
					require.Greater(t, k, 1, "it never went off")
					break
				}
				where := fmt.Sprintf("blast %d in call %d", k, at)
				st := d.Stats()
				assert.Equal(t, st.FlowsCreated, st.FlowsEnded, where)
				assert.Zero(t, d.Len(), where)
				assert.Zero(t, st.HeldBytes, where)
				assert.Zero(t, st.Sessions.Parsers, where)
				assert.Zero(t, st.Sessions.Undecided, where)
				assert.Zero(t, st.Sessions.HeldBytes, where)
				assert.Zero(t, st.Sessions.FirstBytes, where)
				for in, want := range whole {
					if in.call != at && in.key != met && !slices.Contains(partsOfEnds, part) {
						assert.Equal(t, want, said[in], "%s, %+v", where, in)
					}
				}
			}
		})
	}
}
