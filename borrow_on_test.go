//go:build invariants

package flowscope_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// TestWhatIsKeptTooLongIsTrampled: in this build a program that keeps what was lent sees rubbish at once.
func TestWhatIsKeptTooLongIsTrampled(t *testing.T) {
	tr := newTracker(t, flowscope.Config{})
	events := track(tr, udp(client, server), 1)
	kept, held := events[1].Bytes, events[1].Clone()
	assert.Equal(t, "hi", string(kept))
	ended := tr.Finish()
	require.Len(t, ended, 1)
	stats, heldEnd := ended[0].Stats, ended[0].Clone()
	assert.EqualValues(t, 1, stats.Packets[0])
	track(tr, udp(client, server), 2)
	assert.NotEqual(t, "hi", string(kept), "Bytes")
	assert.NotEqual(t, flowscope.EventPacket, events[1].Kind, "the slice")
	assert.NotEqualValues(t, 1, stats.Packets[0], "Stats")
	assert.Equal(t, "hi", string(held.Bytes), "a clone stays")
	assert.EqualValues(t, 1, heldEnd.Stats.Packets[0], "a clone stays")
}

func TestBytesAreACopyInThisBuildSoThatTheFrameIsNotTrampled(t *testing.T) {
	tr := newTracker(t, flowscope.Config{})
	frame := udp(client, server)
	track(tr, frame, 1)
	track(tr, frame, 1)
	assert.Equal(t, "hi", string(frame[len(frame)-2:]))
}
