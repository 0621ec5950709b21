package acceptance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// jumper shows a tracker one frame a millisecond.
type jumper struct {
	*flowscope.FlowTracker[flowscope.FiveTupleKey, struct{}]
	at flowscope.Timestamp
}

// newJumper has seen two packets, so that its time is beyond doubt, and then a pause.
func newJumper(t *testing.T, cfg flowscope.Config, pause time.Duration) *jumper {
	tr, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)
	require.NoError(t, err)
	l := &jumper{FlowTracker: tr}
	for range 2 {
		l.show(frames.UDP{Src: "10.9.9.1:1", Dst: "10.9.9.2:2"}.Ethernet())
	}
	l.at = l.at.Add(pause)
	return l
}

func (l *jumper) show(f []byte) {
	l.Track(flowscope.PacketView{Frame: f, Timestamp: l.at})
	l.at = l.at.Add(time.Millisecond)
}

func TestAFlowThatEndsOnAJumpLingersFromThere(t *testing.T) {
	for _, pause := range []time.Duration{time.Minute, 2 * time.Hour} {
		l := newJumper(t, flowscope.Config{}, pause)
		// A port that is closed: only there a reset is believed at once whose connection was not seen before.
		l.show(frames.TCP{Src: testkit.Client, Dst: testkit.Server, Seq: 100, Flags: "S"}.Ethernet())
		for range 3 {
			l.show(frames.TCP{Src: testkit.Server, Dst: testkit.Client, Ack: 101, Flags: "RA"}.Ethernet())
		}
		require.Equal(t, uint64(2), l.Stats().PacketsLate, "pause %v", pause)
	}
}

func TestAConnectionThatIsResetAfterAPauseLeavesNoGhost(t *testing.T) {
	for _, pause := range []time.Duration{time.Minute, 2 * time.Hour} {
		l := newJumper(t, flowscope.Config{EstablishedTimeout: 24 * time.Hour}, 0)
		l.show(frames.TCP{Src: testkit.Client, Dst: testkit.Server, Seq: 100, Flags: "S"}.Ethernet())
		l.show(frames.TCP{Src: testkit.Server, Dst: testkit.Client, Seq: 500, Ack: 101, Flags: "SA"}.Ethernet())
		l.show(frames.TCP{Src: testkit.Client, Dst: testkit.Server, Seq: 101, Ack: 501, Flags: "A"}.Ethernet())
		l.at = l.at.Add(pause)
		l.show(frames.TCP{Src: testkit.Client, Dst: testkit.Server, Seq: 101, Ack: 501, Flags: "RA"}.Ethernet())
		for range 2 {
			l.show(frames.TCP{Src: testkit.Server, Dst: testkit.Client, Seq: 501, Ack: 101, Flags: "A"}.Ethernet())
		}
		require.Equal(t, uint64(2), l.Stats().FlowsCreated, "pause %v", pause)
	}
}

func TestADatagramThatBeginsOnAJumpIsPutTogether(t *testing.T) {
	for _, sweep := range []bool{false, true} {
		l := newJumper(t, flowscope.Config{}, 2*time.Hour)
		for _, p := range frames.Fragments(frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}.IP(), 64, 7) {
			l.show(frames.Ethernet(p))
			if sweep {
				l.Sweep(l.at)
			}
		}
		require.Equal(t, uint64(1), l.Stats().Fragments.Datagrams, "%+v", l.Stats().Fragments)
	}
}
