package flowscope_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// portOnly is a user's extractor with the least a user can write: a key, and no other methods.
type portOnly struct{}

type portKey struct{ port uint16 }

func (portOnly) Extract(v flowscope.PacketView, x *flowscope.Extracted[portKey]) bool {
	var inner flowscope.Extracted[flowscope.FiveTupleKey]
	if !(flowscope.FiveTuple{}).Extract(v, &inner) {
		x.Refused = inner.Refused
		return false
	}
	x.Key = portKey{min(inner.Key.A().Port(), inner.Key.B().Port())}
	x.L4, x.Payload, x.Missing = inner.L4, inner.Payload, inner.Missing
	return true
}

// tenants is a user's extractor with everything: a key with a string in it, a hash and time-outs by key.
type tenants struct {
	hashed *int
	seeds  map[uint64]bool
}

type tenantKey struct {
	tenant string
	flow   flowscope.FiveTupleKey
}

func (e tenants) Extract(v flowscope.PacketView, x *flowscope.Extracted[tenantKey]) bool {
	var inner flowscope.Extracted[flowscope.FiveTupleKey]
	if !(flowscope.FiveTuple{}).Extract(v, &inner) {
		x.Refused = inner.Refused
		return false
	}
	x.Key = tenantKey{"blue", inner.Key}
	if inner.Key.A().Port() == 53 || inner.Key.B().Port() == 53 {
		x.Key.tenant = "dns"
	}
	x.Orientation, x.L4, x.Payload, x.Missing = inner.Orientation, inner.L4, inner.Payload, inner.Missing
	x.TCP, x.HasTCP = inner.TCP, inner.HasTCP
	return true
}

func (e tenants) Hash(k tenantKey, seed uint64) uint64 {
	*e.hashed++
	e.seeds[seed] = true
	return k.flow.Hash(seed)
}

func (tenants) IdleTimeout(k tenantKey) time.Duration {
	if k.tenant == "dns" {
		return 5 * time.Second
	}
	return 0
}

func TestAnOwnExtractorWithoutHashWorks(t *testing.T) {
	l := newAudited(t, portOnly{}, flowscope.Config{})
	for i, ends := range [][2]string{{"10.0.0.1:5000", "10.0.0.2:53"}, {"10.0.0.9:6000", "10.0.0.2:53"}, {"10.0.0.9:6000", "10.0.0.2:80"}} {
		l.Track(flowscope.PacketView{Frame: udp(ends[0], ends[1]), Timestamp: flowscope.Timestamp(i), ID: uint64(i)})
	}
	assert.Equal(t, 2, l.t.Len())
	f, ok := l.t.Get(portKey{53})
	require.True(t, ok)
	assert.Equal(t, [2]uint64{2, 0}, f.Stats.Packets)
	l.Finish()
}

func TestAnOwnHashIsUsedWithTheSecretSeed(t *testing.T) {
	n, seeds := 0, map[uint64]bool{}
	for range 2 {
		l := newAudited(t, tenants{&n, seeds}, flowscope.Config{})
		l.Track(flowscope.PacketView{Frame: udp("10.0.0.1:5000", "10.0.0.2:53"), ID: 1})
		l.Finish()
	}
	assert.GreaterOrEqual(t, n, 2)
	assert.Len(t, seeds, 2, "each tracker has a seed of its own")
}

func TestABadHashOnlyCostsTime(t *testing.T) {
	l := newAudited(t, allAlike{}, flowscope.Config{MaxFlows: 50})
	for i := range 200 {
		frame := udp(client, server)
		readdress(frame, uint32(i%70))
		l.Track(flowscope.PacketView{Frame: frame, Timestamp: flowscope.Timestamp(i) * 1e6, ID: uint64(i + 1)})
	}
	assert.Equal(t, 50, l.t.Len())
	l.Finish()
}

// allAlike hashes every key to one number.
type allAlike struct{ flowscope.FiveTuple }

func (allAlike) Hash(flowscope.FiveTupleKey, uint64) uint64 { return 7 }

func TestAnOwnIdleTimeoutReplacesThoseOfConfig(t *testing.T) {
	n := 0
	l := newAudited(t, tenants{&n, map[uint64]bool{}}, flowscope.Config{})
	l.Track(flowscope.PacketView{Frame: udp("10.0.0.1:5000", "10.0.0.2:53"), ID: 1})
	l.Track(flowscope.PacketView{Frame: udp("10.0.0.1:5000", "10.0.0.2:80"), ID: 2})
	// A TCP connection that opens keeps its own time-out; established it has that of its key.
	l.Track(flowscope.PacketView{Frame: tcp("10.0.0.1:5000", "10.0.0.2:53", "S", 1, 0, ""), ID: 3})
	assert.Empty(t, l.Sweep(5e9-1))
	events := l.Sweep(5e9)
	require.Equal(t, 1, count(events, flowscope.EventEnded))
	assert.Equal(t, tenantKey{"dns", flowOf(t, "10.0.0.1:5000", "10.0.0.2:53")}, events[0].Key)
	l.Track(flowscope.PacketView{Frame: tcp("10.0.0.2:53", "10.0.0.1:5000", "SA", 1, 2, ""), Timestamp: 6e9, ID: 4})
	l.Track(flowscope.PacketView{Frame: tcp("10.0.0.1:5000", "10.0.0.2:53", "A", 2, 2, ""), Timestamp: 7e9, ID: 5})
	assert.Empty(t, l.Sweep(12e9-1))
	events = l.Sweep(12e9)
	require.Equal(t, 1, count(events, flowscope.EventEnded))
	assert.Equal(t, flowscope.L4TCP, events[0].L4)
	assert.Equal(t, 1, count(l.Sweep(60e9), flowscope.EventEnded))
}
