package flowscope_test

import (
	"encoding"
	"fmt"
	"net/netip"
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

// Connections of the same ends that begin at the same time, as where a capture has no times, differ.
func TestUIDsOfFlowsThatBeginAtTheSameTime(t *testing.T) {
	var views []flowscope.PacketView
	for i := range uint32(8) {
		seq := 1000 + i*100_000
		views = append(views, each(testkit.TCP(testkit.Client, testkit.Server, "S", seq, 0, ""), testkit.TCP(testkit.Server, testkit.Client, "RA", 0, seq+1, ""))...)
	}
	for i := range views {
		views[i].Timestamp = 7e9
	}
	all := recordsOf(t, flowscope.FiveTuple{}, flowscope.Config{}, views)
	require.Len(t, all, 8)
	seen := map[flowscope.UID]bool{}
	for _, r := range all {
		seen[r.UID] = true
		assert.Equal(t, flowscope.Timestamp(7e9), r.Start)
	}
	assert.Len(t, seen, 8)
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
