package flowscope_test

import (
	"encoding"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

func recordsOf[K comparable](t *testing.T, ex flowscope.FlowExtractor[K], cfg flowscope.Config, views []flowscope.PacketView) (all []flowscope.Record) {
	t.Helper()
	cfg.Events = flowscope.Events(flowscope.EventEnded)
	driver, err := flowscope.NewFlowDriver(ex, nil, cfg)
	require.NoError(t, err)
	for _, ev := range flowtest.Replay(driver, views) {
		all = append(all, flowscope.RecordOf(&ev))
	}
	return all
}

// A UID does not change from version to version: logs are compared over years.
func TestUIDsAreWhatTheyWere(t *testing.T) {
	all := recordsOf(t, flowscope.FiveTuple{}, flowscope.Config{}, each(testkit.UDP("10.0.0.1:1", "10.0.0.2:2"), testkit.UDP("[fd00::1]:1", "[fd00::2]:2")))
	require.Len(t, all, 2)
	assert.Equal(t, "C0tI3gQHIpBoXTRiAa", all[0].UID.String())
	assert.Equal(t, "C0Fq7OpKu3qQQml9qe", all[1].UID.String())
}

// Every flow of a capture has a UID of its own, the same in every tracker, and in both directions of reading it: from
// the event that ends it, from any other, and from the live flow.
func TestUIDsNameFlows(t *testing.T) {
	for _, name := range ownCaptures(t) {
		seen := map[flowscope.UID]flowscope.FlowID{}
		driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{Events: flowscope.AllEvents})
		require.NoError(t, err)
		for ev, err := range driver.Events(flowscope.OpenCapture(name)) {
			require.NoError(t, err)
			uid := driver.UID(ev)
			if ev.Flow == 0 {
				require.Zero(t, uid)
				continue
			}
			if ev.Kind == flowscope.EventLate {
				require.Zero(t, uid, "its flow ended before")
				continue
			}
			require.NotZero(t, uid)
			if id, ok := seen[uid]; ok {
				require.Equal(t, id, ev.Flow, "two flows of one UID")
			}
			seen[uid] = ev.Flow
			if f, ok := driver.Get(ev.Key); ok && f.ID == ev.Flow {
				require.Equal(t, uid, f.UID())
			}
			if ev.Stats != nil {
				require.Equal(t, uid, ev.UID())
				require.Equal(t, uid, flowscope.RecordOf(ev).UID)
			} else {
				require.Zero(t, ev.UID())
			}
		}
		for _, r := range recordsOf(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{}, testkit.Load(t, name)) {
			require.Contains(t, seen, r.UID)
		}
	}
}

// at gives all packets one time.
func at(stamp flowscope.Timestamp, views []flowscope.PacketView) []flowscope.PacketView {
	for i := range views {
		views[i].Timestamp = stamp
	}
	return views
}

// refused is a connection of the usual ends that is refused.
func refused(seq uint32) []flowscope.PacketView {
	return each(testkit.TCP(testkit.Client, testkit.Server, "S", seq, 0, ""), testkit.TCP(testkit.Server, testkit.Client, "RA", 0, seq+1, ""))
}

// Connections of the same ends that begin at the same time, as where a capture has no times, differ: up to 8 in a row,
// and further ones have the UID of the eighth.
func TestUIDsOfFlowsThatBeginAtTheSameTime(t *testing.T) {
	var views []flowscope.PacketView
	for i := range uint32(10) {
		views = append(views, at(7e9, refused(1000+i*100_000))...)
	}
	all := recordsOf(t, flowscope.FiveTuple{}, flowscope.Config{}, views)
	require.Len(t, all, 10)
	seen := map[flowscope.UID]int{}
	for i, r := range all {
		assert.Equal(t, flowscope.Timestamp(7e9), r.Start)
		if i < 8 {
			assert.NotContains(t, seen, r.UID)
		}
		seen[r.UID]++
	}
	assert.Len(t, seen, 8)
	assert.Equal(t, 3, seen[all[7].UID])
	again := recordsOf(t, flowscope.FiveTuple{}, flowscope.Config{}, views)
	assert.Equal(t, all, again, "in another tracker")
}

// The same where the first connection lives on until its successor is believed.
func TestUIDOfAConnectionBehindALiveOne(t *testing.T) {
	var views []flowscope.PacketView
	for _, seq := range []uint32{1000, 900_000} {
		views = append(views, each(
			testkit.TCP(testkit.Client, testkit.Server, "S", seq, 0, ""), testkit.TCP(testkit.Server, testkit.Client, "SA", seq*2, seq+1, ""),
			testkit.TCP(testkit.Client, testkit.Server, "A", seq+1, seq*2+1, ""), testkit.TCP(testkit.Client, testkit.Server, "PA", seq+1, seq*2+1, "hello"),
			testkit.TCP(testkit.Server, testkit.Client, "A", seq*2+1, seq+6, ""),
		)...)
	}
	all := recordsOf(t, flowscope.FiveTuple{}, flowscope.Config{}, at(7e9, views))
	require.Len(t, all, 2)
	assert.Equal(t, flowscope.EndReused, all[0].Reason)
	assert.Equal(t, all[0].Start, all[1].Start)
	assert.NotEqual(t, all[0].UID, all[1].UID)
}

// What a UID does not tell apart: a flow that takes the place of one with another start, or of none, counts anew.
func TestUIDsThatAreTheSame(t *testing.T) {
	views := slices.Concat(at(7e9, refused(1000)), at(7e9+1, refused(200_000)), at(7e9, refused(300_000)))
	all := recordsOf(t, flowscope.FiveTuple{}, flowscope.Config{}, views)
	require.Len(t, all, 3)
	assert.NotEqual(t, all[0].UID, all[1].UID, "a nanosecond between them")
	assert.Equal(t, all[0].UID, all[2].UID, "the timestamp of the first, behind another one")

	views = at(7e9, each(testkit.UDP("10.0.0.1:1", "10.0.0.2:2"), testkit.UDP("10.0.0.1:3", "10.0.0.2:2"), testkit.UDP("10.0.0.1:1", "10.0.0.2:2")))
	all = recordsOf(t, flowscope.FiveTuple{}, flowscope.Config{MaxFlows: 1}, views)
	require.Len(t, all, 3)
	assert.Equal(t, flowscope.EndEvicted, all[0].Reason)
	assert.NotEqual(t, all[0].UID, all[1].UID, "another port")
	assert.Equal(t, all[0].UID, all[2].UID, "evicted, and begun again at the same time")
}

// A UID is that of the start as it is known: an earlier timestamp of the other side changes it.
func TestAUIDFollowsTheStart(t *testing.T) {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	require.NoError(t, err)
	uids := map[flowscope.UID]flowscope.Timestamp{}
	for i, stamp := range []flowscope.Timestamp{7e9, 7e9 - 1000, 7e9 - 2000} {
		frame := testkit.UDP("10.0.0.1:1", "10.0.0.2:2")
		if i == 1 {
			frame = testkit.UDP("10.0.0.2:2", "10.0.0.1:1")
		}
		events := tracker.Track(at(stamp, each(frame))[0])
		require.NotEmpty(t, events)
		f, ok := tracker.Get(events[0].Key)
		require.True(t, ok)
		uids[f.UID()] = f.Stats.Start()
	}
	assert.ElementsMatch(t, []flowscope.Timestamp{7e9, 7e9 - 1000}, slices.Collect(maps.Values(uids)), "a later packet of a side changes nothing")
}

// The ends of keys that are or contain addresses are in the record, others are a text.
func TestRecordsOfOtherKeys(t *testing.T) {
	views := each(testkit.UDP("10.0.0.2:7", "10.0.0.1:2")) // the higher address begins
	first := func(all []flowscope.Record) flowscope.Record {
		require.Len(t, all, 1)
		assert.NotZero(t, all[0].UID)
		return all[0]
	}
	for _, r := range []flowscope.Record{
		first(recordsOf(t, flowscope.FiveTuple{}, flowscope.Config{}, views)),
		first(recordsOf(t, flowscope.PerTunnel(flowscope.FiveTuple{}), flowscope.Config{}, views)),
		first(recordsOf(t, flowscope.FlowLabel(flowscope.FiveTuple{}), flowscope.Config{}, views)),
	} {
		assert.Equal(t, "10.0.0.2:7", r.Initiator.String())
		assert.Equal(t, "10.0.0.1:2", r.Responder.String())
		assert.Empty(t, r.Key)
		assert.True(t, r.Final)
	}
	r := first(recordsOf(t, flowscope.IPPair{}, flowscope.Config{}, views))
	assert.Equal(t, "10.0.0.2 10.0.0.1", fmt.Sprint(r.Initiator, r.Responder))
	r = first(recordsOf(t, flowscope.MACPair{}, flowscope.Config{}, views))
	assert.Zero(t, r.Initiator)
	assert.Contains(t, r.Key, " <-> ")
	assert.Zero(t, flowscope.RecordOf(&flowscope.Event{Kind: flowscope.EventStarted, Flow: 1}))
}

func TestTextsOfWhatRecordsHold(t *testing.T) {
	text(t, flowscope.Endpoint{}, "", "x", "10.0.0.1:", ":80")
	text(t, flowscope.Endpoint{Addr: netip.MustParseAddr("10.0.0.1")}, "10.0.0.1")
	text(t, flowscope.Endpoint{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}, "10.0.0.1:80")
	text(t, flowscope.Endpoint{Addr: netip.MustParseAddr("fd00::1"), Port: 80}, "[fd00::1]:80")
	text(t, flowscope.TunnelLabel{}, "", "none", "vxlan:0", "vxlan:", "vxlan:01", "vxlan:4294967296")
	text(t, flowscope.TunnelLabel{Kind: flowscope.TunnelVXLAN, ID: 77}, "vxlan:77")
	text(t, flowscope.TunnelLabel{Kind: flowscope.TunnelIPIP}, "ipip")
	text(t, flowscope.MAC{2, 0, 0, 0, 0, 0xaf}, "02:00:00:00:00:af", "", "02:00:00:00:00:AF", "02-00-00-00-00-af", "02:00:00:00:00:0", "02:00:00:00:00:000")
	text(t, flowscope.UID{}, "C00000000000000000", "", "D00000000000000000", "C0000000000000000_", "C0000000000000000", "Czzzzzzzzzzzzzzzzz")
}

// text holds that v has the text, that it leads back, and that the wrong ones lead nowhere.
func text[T interface {
	comparable
	encoding.TextMarshaler
}, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, v T, want string, wrong ...string) {
	t.Helper()
	b, err := v.MarshalText()
	require.NoError(t, err)
	require.Equal(t, want, string(b))
	var back T
	require.NoError(t, P(&back).UnmarshalText(b))
	require.Equal(t, v, back)
	for _, w := range wrong {
		assert.Error(t, P(&back).UnmarshalText([]byte(w)), "%q", w)
		assert.Equal(t, v, back)
	}
}
