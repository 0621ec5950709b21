package acceptance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// A factory that is asked about every stream: it has no ProbePorts.
type askedAlways struct{ flowscope.SessionParserFactory }

type askedAlwaysBoth struct {
	flowscope.SessionParserFactory
	datagrams flowscope.DatagramParserFactory
}

func (f askedAlwaysBoth) NewDatagramParser() flowscope.DatagramParser {
	return f.datagrams.NewDatagramParser()
}

func allAskedAlways(factories []flowscope.ParserFactory) (all []flowscope.ParserFactory) {
	for _, f := range factories {
		if d, ok := f.(flowscope.DatagramParserFactory); ok {
			all = append(all, askedAlwaysBoth{f.(flowscope.SessionParserFactory), d})
		} else {
			all = append(all, askedAlways{f.(flowscope.SessionParserFactory)})
		}
	}
	return all
}

// What ProbePorts promises: away from those ports, a No to two bytes is a No to all that begins with them.
func TestANoToTwoBytesIsANoToAllThatFollows(t *testing.T) {
	talks := sessionTalks(t)
	for _, f := range everyMessage() {
		refused, recognised := 0, 0
		hints := f.(flowscope.FactoryPorts).ProbePorts()
		for i := range sized(40_000, 200_000, 2_000_000) {
			r := rand.New(rand.NewPCG(uint64(i), 12))
			p := flowscope.Probe{L4: flowscope.L4TCP, Side: flowscope.FlowSide(i & 1), Handover: i&2 != 0}
			turn := talks[r.IntN(len(talks))].turns
			if p.First = slices.Clone(turn[r.IntN(len(turn))].bytes); len(p.First) == 0 || i%3 == 0 {
				p.First = make([]byte, 1+r.IntN(60))
				for k := range p.First {
					p.First[k] = byte(r.Uint32())
				}
			}
			if i%5 == 0 && len(p.First) > 2 {
				p.First[r.IntN(2)] ^= byte(r.Uint32())
			}
			p.First = p.First[:min(1+r.IntN(len(p.First)), flowscope.MaxProbe)]
			ports := [...]uint16{0, 25, 53, 80, 443, 5353, 5355, uint16(r.Uint32())}
			p.Ports = [2]uint16{ports[r.IntN(len(ports))], ports[r.IntN(len(ports))]}
			if slices.Contains(hints, p.Ports[0]) || slices.Contains(hints, p.Ports[1]) {
				continue
			}
			whole, first := f.Probe(p), p
			first.First, first.Ports = p.First[:min(2, len(p.First))], [2]uint16{}
			if whole == flowscope.VerdictYes {
				recognised++
			}
			if f.Probe(first) == flowscope.VerdictNo {
				refused++
				require.Equal(t, flowscope.VerdictNo, whole, "%T: %+v", f, p)
			}
		}
		assert.Greater(t, refused, 1000, "%T", f)
		assert.Positive(t, recognised, "%T", f)
	}
}

// A factory that is not asked, for the first bytes of a side, would not have read it: drivers that ask always say the same.
func TestNotToAskChangesNothing(t *testing.T) {
	files := captured(t)
	for name, views := range files {
		files[name] = views[:min(len(views), sized(4_000, 20_000, 1<<30))]
	}
	talks := sessionTalks(t)
	for i, ports := range [][2]uint16{{40000, 9000}, {40000, 53}, {5355, 40000}} {
		files[fmt.Sprint("made here ", i)] = beginnings(talks, ports)
	}
	said, unwanted := 0, uint64(0)
	for _, name := range sortedNames(files) {
		views := files[name]
		a := newSessionDriver(t, flowscope.Config{}, everyMessage()...)
		b := newSessionDriver(t, flowscope.Config{}, allAskedAlways(everyMessage())...)
		same := func(x, y []testkit.Event) {
			require.Equal(t, len(y), len(x), name)
			for i := range x {
				if x[i].Kind == flowscope.EventMessage {
					said++
				}
				require.Equal(t, eventText(&y[i]), eventText(&x[i]), name)
				require.Equal(t, y[i].Message, x[i].Message, name)
			}
		}
		for _, v := range views {
			same(a.Track(v), b.Track(v))
		}
		same(a.Finish(), b.Finish())
		require.Equal(t, b.Stats(), a.Stats(), name)
		unwanted += a.Stats().Sessions.Unwanted
	}
	t.Logf("%d captures, %d messages, %d flows that nobody wants", len(files), said, unwanted)
	assert.Greater(t, said, 100)
	assert.Greater(t, unwanted, uint64(300))
}

// beginnings are the packets of connections of which the sides begin with each byte, and with parts of real conversations;
// four after each other alike in their first two bytes. What a driver has learned of the bytes of one may be no answer
// about others, so they come after all bytes beside one that begins a real one.
func beginnings(talks []*sessionTalk, ports [2]uint16) []flowscope.PacketView {
	w := newSessionWire()
	r := rand.New(rand.NewPCG(5, uint64(ports[1])))
	for i := range 512 {
		w.tcp(3000+i, ports).open().say(0, string([]byte{byte(i / 2), 3 ^ 1, 0})).say(1, string([]byte{byte(i / 2), 'E' ^ 1, 0})).close()
	}
	for i := range 2048 {
		f := w.tcp(4000+i, ports).open()
		for side := range flowscope.FlowSide(2) {
			alike := rand.New(rand.NewPCG(uint64(i/4), uint64(side)))
			b := []byte{byte(i / 4), byte(alike.IntN(8)), byte(r.Uint32()), byte(r.Uint32())}
			if turns := talks[alike.IntN(len(talks))].turns; i >= 1024 && alike.IntN(4) > 0 {
				b = turns[alike.IntN(len(turns))].bytes
			}
			if i/4%8 == 7 { // long messages of DNS, which it takes on trust from its own ports
				b = []byte("\x12\x34\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x00\x00\x01\x00\x01")
			}
			b = slices.Clone(b[:min(len(b), 1000)])
			if len(b) > 2 && i%3 == 0 {
				b[2+r.IntN(len(b)-2)] ^= byte(r.Uint32())
			}
			if n := 1 + r.IntN(max(len(b), 1)); len(b) > n && i%2 == 0 {
				f.say(side, string(b[:n]))
				b = b[n:]
			}
			f.say(side, string(b))
		}
		f.close()
	}
	return w.views
}
