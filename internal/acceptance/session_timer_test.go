package acceptance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// A parser that asks for OnTimer while its flow ends, as one does that is given the bytes behind a gap then, is not called
// again, and the flow that lingers does not keep others from ending at their time.
func TestATimerOfAParserEndsWithItsFlow(t *testing.T) {
	w := newSessionWire()
	query := framed(dnsMessage(1, "www.example.net", false))
	f := w.tcp(1, [2]uint16{40000, 53}).open().say(0, query)
	f.segment(1, "A", f.at[1], nil)
	expected := f.at[0]
	f.at[0] += 10 // lost
	f.say(0, framed(dnsMessage(2, "www.example.net", false)))
	f.segment(0, "R", expected, nil) // at the number that the receiver expects, so it is believed at once
	other := w.tcp(2, [2]uint16{40000, 5000}).datagram(0, "hi")
	w.now = w.now.Add(70 * time.Second)
	other.ports[0]++
	other.datagram(0, "hi")
	other.datagram(0, "hi") // the clock has come there
	d := newSessionDriver(t, flowscope.Config{LingerTimeout: 100 * time.Second}, protocols()...)
	var last []testkit.Event
	outcomes := 0
	for _, v := range w.views {
		last = d.Track(v)
		for i := range last {
			if last[i].Kind == flowscope.EventMessage {
				outcomes++
			}
		}
	}
	assert.Equal(t, 3, outcomes, "a gap and two queries that nobody answered")
	require.NotEmpty(t, last)
	assert.Equal(t, flowscope.EventEnded, last[0].Kind, "the datagram's flow has timed out before the last packet")
	assert.Equal(t, flowscope.EndIdleTimeout, last[0].Reason)
	assert.Zero(t, last[0].Packet)
}
