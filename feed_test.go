package flowscope_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/frames"
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
