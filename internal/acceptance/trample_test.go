//go:build invariants

package acceptance

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// TestWhatIsKeptTooLongIsTrampled: in this build a program that keeps what was lent sees rubbish at once.
func TestWhatIsKeptTooLongIsTrampled(t *testing.T) {
	tr := testkit.NewTracker(t, flowscope.Config{})
	events := testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 1)
	kept, held := events[1].Bytes, events[1].Clone()
	assert.Equal(t, "hi", string(kept))
	ended := tr.Finish()
	require.Len(t, ended, 1)
	stats, heldEnd := ended[0].Stats, ended[0].Clone()
	assert.EqualValues(t, 1, stats.Packets[0])
	testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 2)
	assert.NotEqual(t, "hi", string(kept), "Bytes")
	assert.NotEqual(t, flowscope.EventPacket, events[1].Kind, "the slice")
	assert.NotEqualValues(t, 1, stats.Packets[0], "Stats")
	assert.Equal(t, "hi", string(held.Bytes), "a clone stays")
	assert.EqualValues(t, 1, heldEnd.Stats.Packets[0], "a clone stays")
}

func TestBytesAreACopyInThisBuildSoThatTheFrameIsNotTrampled(t *testing.T) {
	tr := testkit.NewTracker(t, flowscope.Config{})
	frame := testkit.UDP(testkit.Client, testkit.Server)
	testkit.Track(tr, frame, 1)
	testkit.Track(tr, frame, 1)
	assert.Equal(t, "hi", string(frame[len(frame)-2:]))
}
