package rotated_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/rotated"
)

// The files are worth nothing to a test if no flow crosses a boundary, so they are looked at.
func TestFilesHoldWhatTheyShould(t *testing.T) {
	names := rotated.Files(t, 20, 600)
	require.Len(t, names, 20)
	tracker, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{})
	require.NoError(t, err)
	sharder := flowscope.NewSharder(2)
	first, crossing, torn := map[flowscope.FlowID]int{}, map[flowscope.FlowID]bool{}, 0
	reasons := map[flowscope.EndReason]int{}
	for k, name := range names {
		i := 0
		for v, err := range flowscope.OpenCapture(name) {
			require.NoError(t, err)
			if i == 0 && k > 0 && sharder.IsFragment(v) {
				torn++
			}
			i++
			for _, ev := range tracker.Track(v) {
				switch ev.Kind {
				case flowscope.EventStarted:
					first[ev.Flow] = k
				case flowscope.EventEnded:
					reasons[ev.Reason]++
				case flowscope.EventPacket:
					if first[ev.Flow] != k {
						crossing[ev.Flow] = true
					}
				}
			}
		}
	}
	s := tracker.Stats()
	t.Logf("%d packets, %d flows, %d of them in several files; %d files begin with a fragment; ends %v", s.Packets, s.FlowsCreated, len(crossing), torn, reasons)
	require.Greater(t, len(crossing), 150)
	require.Greater(t, torn, 8)
}

func TestFilesAreTheSameEachTime(t *testing.T) {
	a, b := rotated.Files(t, 3, 50), rotated.Files(t, 3, 50)
	for k := range a {
		one, err := os.ReadFile(a[k])
		require.NoError(t, err)
		other, err := os.ReadFile(b[k])
		require.NoError(t, err)
		require.True(t, bytes.Equal(one, other))
	}
}
