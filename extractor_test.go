package flowscope_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

func TestAnOwnExtractorWithoutHashWorks(t *testing.T) {
	l := testkit.NewAudited(t, testkit.PortOnly{}, flowscope.Config{})
	for i, ends := range [][2]string{{"10.0.0.1:5000", "10.0.0.2:53"}, {"10.0.0.9:6000", "10.0.0.2:53"}, {"10.0.0.9:6000", "10.0.0.2:80"}} {
		l.Track(flowscope.PacketView{Frame: testkit.UDP(ends[0], ends[1]), Timestamp: flowscope.Timestamp(i), ID: uint64(i)})
	}
	assert.Equal(t, 2, l.Tracker.Len())
	f, ok := l.Tracker.Get(testkit.PortKey{Port: 53})
	require.True(t, ok)
	assert.Equal(t, [2]uint64{2, 0}, f.Stats.Packets)
	l.Finish()
}

func TestAnOwnHashIsUsedWithTheSecretSeed(t *testing.T) {
	n, seeds := 0, map[uint64]bool{}
	for range 2 {
		l := testkit.NewAudited(t, testkit.Tenants{Hashed: &n, Seeds: seeds}, flowscope.Config{})
		l.Track(flowscope.PacketView{Frame: testkit.UDP("10.0.0.1:5000", "10.0.0.2:53"), ID: 1})
		l.Finish()
	}
	assert.GreaterOrEqual(t, n, 2)
	assert.Len(t, seeds, 2, "each tracker has a seed of its own")
}

func TestABadHashOnlyCostsTime(t *testing.T) {
	l := testkit.NewAudited(t, allAlike{}, flowscope.Config{MaxFlows: 50})
	for i := range 200 {
		frame := testkit.UDP(testkit.Client, testkit.Server)
		testkit.Readdress(frame, uint32(i%70))
		l.Track(flowscope.PacketView{Frame: frame, Timestamp: flowscope.Timestamp(i) * 1e6, ID: uint64(i + 1)})
	}
	assert.Equal(t, 50, l.Tracker.Len())
	l.Finish()
}

// allAlike hashes every key to one number.
type allAlike struct{ flowscope.FiveTuple }

func (allAlike) Hash(flowscope.FiveTupleKey, uint64) uint64 { return 7 }

func TestAnOwnIdleTimeoutReplacesThoseOfConfig(t *testing.T) {
	n := 0
	l := testkit.NewAudited(t, testkit.Tenants{Hashed: &n, Seeds: map[uint64]bool{}}, flowscope.Config{})
	l.Track(flowscope.PacketView{Frame: testkit.UDP("10.0.0.1:5000", "10.0.0.2:53"), ID: 1})
	l.Track(flowscope.PacketView{Frame: testkit.UDP("10.0.0.1:5000", "10.0.0.2:80"), ID: 2})
	// A TCP connection that opens keeps its own timeout; established it has that of its key.
	l.Track(flowscope.PacketView{Frame: testkit.TCP("10.0.0.1:5000", "10.0.0.2:53", "S", 1, 0, ""), ID: 3})
	assert.Empty(t, l.Sweep(5e9-1))
	events := l.Sweep(5e9)
	require.Equal(t, 1, testkit.Count(events, flowscope.EventEnded))
	assert.Equal(t, testkit.TenantKey{Tenant: "dns", Flow: testkit.KeyBetween(t, "10.0.0.1:5000", "10.0.0.2:53")}, events[0].Key)
	l.Track(flowscope.PacketView{Frame: testkit.TCP("10.0.0.2:53", "10.0.0.1:5000", "SA", 1, 2, ""), Timestamp: 6e9, ID: 4})
	l.Track(flowscope.PacketView{Frame: testkit.TCP("10.0.0.1:5000", "10.0.0.2:53", "A", 2, 2, ""), Timestamp: 7e9, ID: 5})
	assert.Empty(t, l.Sweep(12e9-1))
	events = l.Sweep(12e9)
	require.Equal(t, 1, testkit.Count(events, flowscope.EventEnded))
	assert.Equal(t, flowscope.L4TCP, events[0].L4)
	assert.Equal(t, 1, testkit.Count(l.Sweep(60e9), flowscope.EventEnded))
}
