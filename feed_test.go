package flowscope_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

const secondsIn = flowscope.Timestamp(time.Second)

// datagram is a UDP packet between two ports.
func datagram(from, to uint16, payload string, at flowscope.Timestamp) flowscope.PacketView {
	return flowscope.PacketView{Timestamp: at, Frame: frames.UDP{
		Src: fmt.Sprintf("10.0.0.1:%d", from), Dst: fmt.Sprintf("10.0.0.2:%d", to), Payload: []byte(payload),
	}.Ethernet()}
}

// The timer of a parser needs no packet of its flow, and no stream that waits for bytes.
func TestSweepCallsTheTimersOfParsers(t *testing.T) {
	d, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, flowscope.Config{Events: flowscope.Events(flowscope.EventMessage)},
		testkit.Asks{Timeout: secondsIn})
	require.NoError(t, err)
	assert.Empty(t, d.Track(datagram(1000, 2000, "?x", 10*secondsIn)))
	assert.Empty(t, d.Sweep(10*secondsIn+secondsIn/2))
	events := d.Sweep(13 * secondsIn)
	require.Len(t, events, 1)
	assert.Equal(t, "unanswered", events[0].Message.(*testkit.Note).Protocol)
	assert.Equal(t, uint64(1), d.Stats().Sessions.Parked)
	assert.Empty(t, d.Finish())
}

// portNotes is a protocol of datagrams whose parser notes the ports of each, and parks after a second.
type portNotes struct{ ports *[][2]uint16 }

func (f portNotes) Probe(flowscope.Probe) flowscope.Verdict { return flowscope.VerdictYes }

func (f portNotes) NewDatagramParser() flowscope.DatagramParser { return &portParser{portNotes: f} }

type portParser struct {
	portNotes
	last flowscope.Timestamp
}

func (p *portParser) Datagram(c flowscope.Chunk, _ *flowscope.Messages) {
	*p.ports, p.last = append(*p.ports, c.Ports), c.Time
}

func (p *portParser) OnTimer(now flowscope.Timestamp, out *flowscope.Messages) flowscope.Timestamp {
	if now < p.last+secondsIn {
		return p.last + secondsIn
	}
	out.Park(0)
	return 0
}

func (p *portParser) Ended(flowscope.EndReason, flowscope.Timestamp, *flowscope.Messages) {}

func (p *portParser) Reset() { p.last = 0 }

// A flow whose parser has left it a moment ago has its own ports, and not those of the flow before.
func TestAParserIsToldThePortsOfItsFlow(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  flowscope.Config
		step flowscope.Timestamp // between the datagrams of a flow
	}{
		{"parked", flowscope.Config{}, secondsIn},
		{"evicted", flowscope.Config{SessionBytes: 700}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ports [][2]uint16
			d, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, c.cfg, portNotes{&ports})
			require.NoError(t, err)
			for round := range flowscope.Timestamp(10) {
				for flow := range uint16(4) {
					d.Track(datagram(1000+flow, 53, "x", 10*secondsIn+round*c.step+flowscope.Timestamp(flow)))
					require.Equal(t, [2]uint16{1000 + flow, 53}, ports[len(ports)-1], "round %d, flow %d", round, flow)
				}
			}
			st := d.Stats().Sessions
			assert.NotZero(t, st.Parked+st.Evicted)
		})
	}
}
