package acceptance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// greeting is the message of a parser as a user would write it: "HELLO name" lines and how many bytes came before each.
type greeting struct {
	Name   []byte
	Offset int64
	Lost   int64
}

func (g *greeting) CloneMessage() flowscope.Message {
	c := *g
	c.Name = bytes.Clone(g.Name)
	return &c
}

type greetings struct{}

func (greetings) Probe(p flowscope.Probe) flowscope.Verdict {
	const word = "HELLO "
	switch n := min(len(p.First), len(word)); {
	case p.L4 != flowscope.L4TCP, string(p.First[:n]) != word[:n]:
		return flowscope.VerdictNo
	case n < len(word):
		return flowscope.VerdictMaybe
	}
	return flowscope.VerdictYes
}

func (greetings) NewSessionParser() flowscope.SessionParser { return &greetingParser{} }

type greetingParser struct{ carry [2]flowscope.Carry }

func (p *greetingParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	carry := &p.carry[c.Side]
	at := c.Offset - int64(carry.Len())
	b, ok := carry.Join(c.Bytes, out)
	for ok {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			break
		}
		g := flowscope.Emit[greeting](out)
		g.Name, g.Offset = carry.Lend(bytes.TrimPrefix(line, []byte("HELLO ")), out), at
		at += int64(len(b) - len(rest))
		b = rest
	}
	if !ok || !carry.Keep(b, out) {
		out.Done()
	}
}

func (p *greetingParser) Gap(side flowscope.FlowSide, offset, n int64, _ flowscope.Timestamp, out *flowscope.Messages) {
	p.carry[side].Drop(out)
	g := flowscope.Emit[greeting](out)
	g.Offset, g.Lost = offset, n
}

func (p *greetingParser) Closed(flowscope.FlowSide, flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {
}
func (p *greetingParser) Ended(flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {}
func (p *greetingParser) Reset() {
	for i := range p.carry {
		p.carry[i].Reset()
	}
}

// A parser as a user would write it, in a driver: lines in any cut, on both sides, behind a gap.
func TestAParserOfOnesOwn(t *testing.T) {
	for _, size := range []int{1, 3, 1000} {
		w := newSessionWire()
		f := w.tcp(1, [2]uint16{40000, 7000}).open()
		say := func(side flowscope.FlowSide, text string) {
			for len(text) > 0 {
				n := min(size, len(text))
				f.say(side, text[:n])
				text = text[n:]
			}
		}
		say(0, "HELLO ann\nHELLO bob\nHE")
		say(1, "HELLO carl\n")
		f.at[0] += 7
		say(0, "O x\nHELLO dora\n")
		f.close()
		got := driverMessages(t, flowscope.Config{}, w.views, greetings{})[1]
		for i, want := range []string{"Name:[97 110 110] Offset:0", "Name:[98 111 98] Offset:10", "Name:[99 97 114 108] Offset:0", "Lost:7", "Offset:29", "Name:[100 111 114 97] Offset:33"} {
			require.Greater(t, len(got), i)
			assert.Contains(t, got[i], want, "segments of %d bytes", size)
		}
		assert.Len(t, got, 6)
	}
}

// Messages of a driver are lent until its next call: in the build that checks it, what was kept is zeroed then. Clones
// stay as they were, of the message and of the event.
func TestMessagesOfADriverAreLent(t *testing.T) {
	for name, views := range sessionCaptures(t) {
		d := newSessionDriver(t, flowscope.Config{}, everyMessage()...)
		type kept struct {
			lent, clone flowscope.Message
			event       testkit.Event
			text        string
		}
		var last, all []kept
		call := func(events []testkit.Event) {
			for _, k := range last {
				if invariants.Enabled {
					require.Zero(t, reflect.ValueOf(k.lent).Elem().Interface(), "%s: %T is not zeroed", name, k.lent)
				}
			}
			last = last[:0]
			for i := range events {
				if ev := &events[i]; ev.Kind == flowscope.EventMessage {
					last = append(last, kept{ev.Message, ev.Message.CloneMessage(), ev.Clone(), meaning(ev.Message, ev.Side)})
				}
			}
			all = append(all, last...)
		}
		for _, v := range views {
			v.Frame = bytes.Clone(v.Frame)
			call(d.Track(v))
			for i := range v.Frame {
				v.Frame[i] = 0xdb
			}
		}
		call(d.Finish())
		call(d.Finish())
		for _, k := range all {
			require.Equal(t, k.text, meaning(k.clone, k.event.Side), name)
			require.Equal(t, k.text, meaning(k.event.Message, k.event.Side), name)
		}
		t.Logf("%s: %d messages", name, len(all))
	}
}

// sessionCaptures are the captures of the project, and a sample of real ones where they are there.
func sessionCaptures(t *testing.T) map[string][]flowscope.PacketView {
	all := map[string][]flowscope.PacketView{}
	for _, name := range []string{"http.pcap", "lossy.pcap", "tunnels.pcap", "sessions.pcap"} {
		all[name] = testkit.Load(t, testkit.Path("testdata/captures/"+name))
	}
	real, _ := filepath.Glob(testkit.Path("../shared/sessions/open/cap/*"))
	if len(real) == 0 {
		t.Log("../shared/sessions is not here: only the captures of the project are played")
	}
	for i, name := range real {
		if i%sized(8, 1, 1) == 0 {
			all[filepath.Base(name)] = testkit.Load(t, name)
		}
	}
	w := newSessionWire()
	r := rand.New(rand.NewPCG(8, 8))
	for i, talk := range sessionTalks(t) {
		talk.write(w, i, 500, r)
	}
	all["conversations"] = w.views
	return all
}

// sessionText is all that an event says, with its message.
func sessionText(ev *testkit.Event) string {
	if ev.Message != nil {
		return eventText(ev) + messageText(ev.Message, ev.Side, ev.Timestamp)
	}
	return eventText(ev)
}

// TrackBatch says what Track says, and so does a driver without fast paths, whatever events are wanted.
func TestSessionsInBatchesAndWithoutFastPaths(t *testing.T) {
	for name, views := range sessionCaptures(t) {
		for _, mask := range []flowscope.EventMask{flowscope.AllEvents, flowscope.Events(flowscope.EventMessage, flowscope.EventSideClosed, flowscope.EventEnded)} {
			cfg := flowscope.Config{Events: mask}
			one, many := newSessionDriver(t, cfg, everyMessage()...), newSessionDriver(t, cfg, everyMessage()...)
			slow := testkit.WithoutFastPaths(func() *testkit.Driver { return newSessionDriver(t, cfg, everyMessage()...) })
			texts := func(events []testkit.Event) (all []string) {
				for i := range events {
					all = append(all, sessionText(&events[i]))
				}
				return all
			}
			r := rand.New(rand.NewPCG(3, 3))
			for at := 0; at < len(views); {
				n := min(1+r.IntN(50), len(views)-at)
				got := map[int][]string{}
				for i, events := range many.TrackBatch(views[at : at+n]) {
					got[i] = texts(events)
				}
				for i, v := range views[at : at+n] {
					want := texts(one.Track(v))
					require.Equal(t, want, got[i], "%s, packet %d, in a batch", name, at+i)
					require.Equal(t, want, texts(slow.Track(v)), "%s, packet %d, without fast paths", name, at+i)
				}
				at += n
			}
			want := texts(one.Finish())
			require.Equal(t, want, texts(many.Finish()), name)
			require.Equal(t, want, texts(slow.Finish()), name)
			a, b := one.Stats(), slow.Stats()
			require.Equal(t, a.Sessions, b.Sessions, name)
		}
	}
}

// Workers that a Sharder feeds, each told the newest time that was read, say of each flow the messages that one driver
// says.
func TestWorkersSayTheSessionsThatOneSays(t *testing.T) {
	for name, views := range sessionCaptures(t) {
		play := func(n int) map[string][]string {
			s, workers, said := flowscope.NewSharder(n), []*testkit.Driver{}, map[string][]string{}
			for range n {
				d, err := flowscope.NewFlowSessionDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{}, everyMessage()...)
				require.NoError(t, err)
				workers = append(workers, d)
			}
			hear := func(events []testkit.Event) {
				for i := range events {
					if ev := &events[i]; ev.Kind == flowscope.EventMessage {
						key := ev.Key.String()
						said[key] = append(said[key], meaning(ev.Message, ev.Side))
					}
				}
			}
			newest := flowscope.Timestamp(0)
			for _, v := range views {
				// In files put together from several, time leaps, which a driver alone believes at a second packet.
				newest = max(newest, v.Timestamp)
				for _, d := range workers {
					hear(d.Sweep(newest))
				}
				hear(workers[s.Shard(v)].Track(v))
			}
			for _, d := range workers {
				hear(d.Finish())
				testkit.HoldsNothing(t, d.Stats().Sessions)
			}
			return said
		}
		one := play(1)
		for _, n := range []int{2, 5} {
			many := play(n)
			require.Equal(t, len(one), len(many), "%s, %d workers", name, n)
			for key := range one {
				require.Equal(t, one[key], many[key], "%s, %d workers, %s", name, n, key)
			}
		}
	}
}

// stopper reads the first line of each side, or of the connection, and wants no more.
type stopper struct{ both bool }

func (stopper) Probe(flowscope.Probe) flowscope.Verdict { return flowscope.VerdictYes }

func (s stopper) NewSessionParser() flowscope.SessionParser { return &stoppedParser{stopper: s} }

type stoppedParser struct {
	stopper
	greetingParser
	heard int
}

func (p *stoppedParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	p.greetingParser.Data(c, out)
	if p.heard++; p.both {
		out.Done()
	} else {
		out.Stop(c.Side)
	}
}

func (p *stoppedParser) Reset() { p.greetingParser.Reset(); p.heard = 0 }

// Where nobody wants the bytes, a parser that is done, or has stopped both sides, ends reassembly: nothing is held behind
// a hole. Sides are closed and flows end as before; where Data or Gap is wanted nothing changes.
func TestAParserThatWantsNoMoreEndsReassembly(t *testing.T) {
	w := newSessionWire()
	f := w.tcp(1, [2]uint16{40000, 7000}).open().say(0, "HELLO ann\n").say(1, "HELLO bob\n")
	for range 20 {
		f.at[0] += 100 // lost
		f.say(0, strings.Repeat("x", 500)).say(1, strings.Repeat("y", 500))
	}
	f.close()
	quiet := flowscope.Events(flowscope.EventMessage, flowscope.EventSideClosed, flowscope.EventEnded)
	for _, both := range []bool{true, false} {
		for name, c := range map[string]struct {
			events flowscope.EventMask
			held   bool
		}{
			"messages":           {quiet, false},
			"messages and data":  {quiet | flowscope.Events(flowscope.EventData), true},
			"messages and gaps":  {quiet | flowscope.Events(flowscope.EventGap), true},
			"all kinds":          {flowscope.AllEvents, true},
			"parsers of nothing": {quiet &^ flowscope.Events(flowscope.EventMessage), true},
		} {
			t.Run(fmt.Sprintf("%s, done %v", name, both), func(t *testing.T) {
				plain := testkit.NewDriver(t, nil, flowscope.Config{Events: c.events})
				d := newSessionDriver(t, flowscope.Config{Events: c.events}, stopper{both})
				most, closed, ended := int64(0), 0, 0
				call := func(a, b []testkit.Event) {
					want, with := eventsByFlow(a), eventsByFlow(b)
					if c.held {
						assert.Equal(t, want, with)
					}
					for i := range b {
						switch b[i].Kind {
						case flowscope.EventSideClosed:
							closed++
							assert.Contains(t, []flowscope.EndReason{0, flowscope.EndFIN}, b[i].Reason)
						case flowscope.EventEnded:
							ended++
							assert.Equal(t, flowscope.EndFIN, b[i].Reason)
						}
					}
					most = max(most, d.Stats().HeldBytes)
				}
				for _, v := range w.views {
					call(plain.Track(v), d.Track(v))
				}
				call(plain.Finish(), d.Finish())
				assert.Equal(t, 2, closed)
				assert.Equal(t, 1, ended)
				assert.Equal(t, c.held, most > 0, "%d bytes were held", most)
			})
		}
	}
}

// lineNotes stops the initiator's side at the line "STOP", and notes each line of both.
type lineNotes struct{}

func (lineNotes) Probe(flowscope.Probe) flowscope.Verdict { return flowscope.VerdictYes }

func (lineNotes) NewSessionParser() flowscope.SessionParser { return &lineNotesParser{} }

type lineNotesParser struct{ greetingParser }

func (*lineNotesParser) Data(c flowscope.Chunk, out *flowscope.Messages) {
	m := flowscope.Emit[testkit.Note](out)
	m.Text = out.Copy(c.Bytes)
	if c.Side == flowscope.Initiator && string(c.Bytes) == "STOP\n" {
		out.Stop(c.Side)
	}
}

// A parser that stops one side ends the reassembly of that side alone, where nobody wants its bytes: nothing of it is held
// behind a hole. The other side is read on, sides are closed, and the flow ends as before.
func TestAParserThatStopsASideEndsItsReassembly(t *testing.T) {
	w := newSessionWire()
	f := w.tcp(1, [2]uint16{40000, 7000}).open().say(0, "STOP\n").say(1, "hello\n")
	for range 5 {
		f.at[0] += 100 // lost
		f.say(0, strings.Repeat("x", 500))
	}
	oneSided := len(w.views)
	lost := f.at[1]
	f.at[1] += 100
	f.say(1, strings.Repeat("y", 300))
	behind := f.at[1]
	f.at[1] = lost
	f.say(1, strings.Repeat("z", 100)) // comes late
	f.at[1] = behind
	f.close()
	quiet := flowscope.Events(flowscope.EventMessage, flowscope.EventSideClosed, flowscope.EventEnded)
	for name, c := range map[string]struct {
		events flowscope.EventMask
		held   bool
	}{
		"messages":          {quiet, false},
		"messages and data": {quiet | flowscope.Events(flowscope.EventData), true},
		"messages and gaps": {quiet | flowscope.Events(flowscope.EventGap), true},
	} {
		t.Run(name, func(t *testing.T) {
			plain := testkit.NewDriver(t, nil, flowscope.Config{Events: c.events})
			d := newSessionDriver(t, flowscope.Config{Events: c.events}, lineNotes{})
			var heard [2]string
			var ends [2][]string
			most, mostOfOther := int64(0), int64(0)
			call := func(at int, a, b []testkit.Event) {
				if c.held {
					assert.Equal(t, eventsByFlow(a), eventsByFlow(b))
				}
				for i, events := range [][]testkit.Event{a, b} {
					for k := range events {
						switch ev := &events[k]; ev.Kind {
						case flowscope.EventMessage:
							heard[ev.Side] += string(ev.Message.(*testkit.Note).Text)
						case flowscope.EventSideClosed:
							ends[i] = append(ends[i], fmt.Sprint(ev.Side, ev.Offset))
						case flowscope.EventEnded:
							sums := *ev.Stats
							sums.Streams = [2]flowscope.StreamStats{}
							ends[i] = append(ends[i], fmt.Sprintf("%v %+v", ev.Reason, sums))
						}
					}
				}
				if at < oneSided {
					most = max(most, d.Stats().HeldBytes)
				} else {
					mostOfOther = max(mostOfOther, d.Stats().HeldBytes)
				}
			}
			for i, v := range w.views {
				call(i, plain.Track(v), d.Track(v))
			}
			call(len(w.views), plain.Finish(), d.Finish())
			assert.Equal(t, [2]string{"STOP\n", "hello\n" + strings.Repeat("z", 100) + strings.Repeat("y", 300)}, heard)
			assert.Equal(t, c.held, most > 0, "%d bytes of the stopped side were held", most)
			assert.GreaterOrEqual(t, mostOfOther, int64(300))
			assert.ElementsMatch(t, ends[0], ends[1])
			assert.Len(t, ends[1], 3)
			assert.Zero(t, d.Stats().HeldBytes)
		})
	}
}
