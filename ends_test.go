package flowscope_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// Ends gives the same two ends for every event of a flow, whoever caused it, also where the initiator is the
// second end of the key.
func TestEndsOfEvents(t *testing.T) {
	for _, ends := range [][2]string{{"10.0.0.1:1234", "10.0.0.2:80"}, {"10.0.0.2:80", "10.0.0.1:1234"}} {
		d := flowtest.NewDialogue(ends[0], ends[1])
		d.Client("question")
		d.Server("answer")
		d.Close()
		driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{Events: flowscope.AllEvents})
		require.NoError(t, err)
		sides := map[flowscope.FlowSide]int{}
		for _, ev := range flowtest.Replay(driver, d.Views()) {
			sides[ev.Side]++
			end, other := ev.Ends(flowscope.Initiator)
			assert.Equal(t, ends, [2]string{end.String(), other.String()}, ev.Kind)
			end, other = ev.Ends(flowscope.Responder)
			assert.Equal(t, ends, [2]string{other.String(), end.String()}, ev.Kind)
		}
		assert.Greater(t, sides[flowscope.Responder], 3)
	}
}

func TestEndsOfOtherKeys(t *testing.T) {
	views := flowtest.Views(frames.UDP{Src: "10.0.0.2:1", Dst: "10.0.0.1:2"}.Ethernet())
	pairs, err := flowscope.NewFlowTracker(flowscope.IPPair{}, flowscope.Config{})
	require.NoError(t, err)
	for _, ev := range flowtest.Replay(pairs, views) {
		end, other := ev.Ends(flowscope.Initiator)
		assert.Equal(t, [2]string{"10.0.0.2:0", "10.0.0.1:0"}, [2]string{end.String(), other.String()})
	}
	tunnels, err := flowscope.NewFlowTracker(flowscope.PerTunnel(flowscope.FiveTuple{}), flowscope.Config{})
	require.NoError(t, err)
	for _, ev := range flowtest.Replay(tunnels, views) {
		end, _ := ev.Ends(flowscope.Initiator)
		assert.Equal(t, "10.0.0.2:1", end.String())
	}
	macs, err := flowscope.NewFlowTracker(flowscope.MACPair{}, flowscope.Config{})
	require.NoError(t, err)
	for _, ev := range flowtest.Replay(macs, views) {
		end, other := ev.Ends(flowscope.Initiator)
		assert.Equal(t, [2]netip.AddrPort{}, [2]netip.AddrPort{end, other})
	}
	end, _ := new(flowscope.Event).Ends(flowscope.Initiator)
	assert.False(t, end.IsValid(), "an event about no flow")
}

func TestEndsAllocateNothing(t *testing.T) {
	ev := &flowscope.Event{Flow: 1}
	require.NoError(t, ev.Key.UnmarshalText([]byte("tcp 10.0.0.1:1 <-> 10.0.0.2:2")))
	assert.Zero(t, testing.AllocsPerRun(100, func() { ev.Ends(flowscope.Initiator) }))
}

// OnPort knows the port on either side, and nothing behind a handover.
func TestProbeOnPort(t *testing.T) {
	for _, c := range []struct {
		ports    [2]uint16
		handover bool
		want     flowscope.Verdict
	}{
		{[2]uint16{1, 4000}, false, flowscope.VerdictYes},
		{[2]uint16{4001, 1}, false, flowscope.VerdictYes},
		{[2]uint16{1, 2}, false, flowscope.VerdictNo},
		{[2]uint16{1, 4000}, true, flowscope.VerdictNo},
	} {
		assert.Equal(t, c.want, flowscope.Probe{Ports: c.ports, Handover: c.handover}.OnPort(4000, 4001), c)
	}
	assert.Equal(t, flowscope.VerdictNo, flowscope.Probe{}.OnPort())
}
