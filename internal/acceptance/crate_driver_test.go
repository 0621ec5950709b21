package acceptance

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// The driver's unit tests of the crate that this library mirrors, under their own names and with their own values.
//
// The crate's statistics have a counter for each side of segments dropped as out of order and of bytes dropped for
// want of room: DroppedSegments and DroppedBytes here. Its eviction anomaly has flows evicted in this call and in all:
// Len and Offset here.

type crateDriver = flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}]

type crateEvent = flowscope.FlowEvent[flowscope.FiveTupleKey]

const (
	crateClient = "10.0.0.1:1234"
	crateServer = "10.0.0.2:80"
)

// crateFactory makes BufferedReassemblers and counts its calls.
type crateFactory struct {
	flowscope.BufferedReassemblerFactory[flowscope.FiveTupleKey]
	made []*flowscope.BufferedReassembler
}

func (f *crateFactory) NewReassembler(key flowscope.FiveTupleKey, side flowscope.FlowSide) flowscope.Reassembler {
	r := f.BufferedReassemblerFactory.NewReassembler(key, side)
	f.made = append(f.made, r.(*flowscope.BufferedReassembler))
	return r
}

// newCrateDriver makes a driver with buffers of at most max bytes; 0 is no limit, as in the crate.
func newCrateDriver(t *testing.T, max int, policy flowscope.OverflowPolicy, cfg flowscope.Config) (*crateDriver, *crateFactory) {
	t.Helper()
	f := &crateFactory{}
	f.MaxBuffer, f.Overflow = max, policy
	if max == 0 {
		f.MaxBuffer = flowscope.Unlimited
	}
	d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, f, cfg)
	require.NoError(t, err)
	return d, f
}

// crateTrack tracks the frames and returns copies of all events.
func crateTrack(d *crateDriver, views ...[]byte) (all []crateEvent) {
	for i, frame := range views {
		for _, ev := range d.Track(flowscope.PacketView{Frame: frame, Timestamp: flowscope.Timestamp(i+1) * 1e9}) {
			all = append(all, ev.Clone())
		}
	}
	return all
}

func crateTCP(src, dst, flags string, seq, ack uint32, payload []byte) []byte {
	return frames.TCP{Src: src, Dst: dst, Flags: flags, Seq: seq, Ack: ack, Window: 8192, Payload: payload}.Ethernet()
}

func crateHandshake() [][]byte {
	return [][]byte{
		crateTCP(crateClient, crateServer, "S", 1000, 0, nil),
		crateTCP(crateServer, crateClient, "SA", 5000, 1001, nil),
		crateTCP(crateClient, crateServer, "A", 1001, 5001, nil),
	}
}

// crateOverflow is the traffic of most tests: a handshake, 200 bytes of the initiator, a RST.
func crateOverflow() [][]byte {
	return append(crateHandshake(),
		crateTCP(crateClient, crateServer, "PA", 1001, 5001, make([]byte, 200)),
		// The crate's traces have no ACK here: a reset behind bytes that are not acknowledged is in doubt for a second.
		crateTCP(crateServer, crateClient, "A", 5001, 1201, nil),
		crateTCP(crateClient, crateServer, "R", 1201, 0, nil))
}

func crateOf(events []crateEvent, kind flowscope.EventKind) (list []crateEvent) {
	for _, ev := range events {
		if ev.Kind == kind {
			list = append(list, ev)
		}
	}
	return list
}

// crateAnomalies are the anomalies of one kind.
func crateAnomalies(events []crateEvent, kind flowscope.AnomalyKind) (list []crateEvent) {
	for _, ev := range crateOf(events, flowscope.EventAnomaly) {
		if ev.Anomaly == kind {
			list = append(list, ev)
		}
	}
	return list
}

var crateWithAnomalies = flowscope.Config{Events: flowscope.DefaultEvents | flowscope.Events(flowscope.EventAnomaly)}

func TestCrateDriver(t *testing.T) {
	const capBytes, sent = 64, 200
	const lost = sent - capBytes // 136

	t.Run("buffered_reassembly_in_order", func(t *testing.T) {
		d, f := newCrateDriver(t, 0, flowscope.OverflowSlidingWindow, flowscope.Config{})
		request, response := []byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\n")
		a, b := uint32(1001+len(request)), uint32(5001+len(response))
		events := crateTrack(d, append(crateHandshake(),
			crateTCP(crateClient, crateServer, "PA", 1001, 5001, request),
			crateTCP(crateServer, crateClient, "PA", 5001, a, response),
			crateTCP(crateClient, crateServer, "FA", a, b, nil),
			crateTCP(crateServer, crateClient, "FA", b, a+1, nil),
			crateTCP(crateClient, crateServer, "A", a+1, b+1, nil))...)
		require.Len(t, crateOf(events, flowscope.EventEnded), 1)
		require.Equal(t, flowscope.EndFIN, crateOf(events, flowscope.EventEnded)[0].Reason)
		// The crate gives no access to the bytes; here they are the Reassembler's.
		require.Len(t, f.made, 2)
		require.Equal(t, request, f.made[0].Take())
		require.Equal(t, response, f.made[1].Take())
	})
	t.Run("no_dispatch_on_empty_payload", func(t *testing.T) {
		d, f := newCrateDriver(t, 0, flowscope.OverflowSlidingWindow, flowscope.Config{})
		crateTrack(d, crateHandshake()[0])
		require.Empty(t, f.made)
		crateTrack(d, crateHandshake()[1:]...)
		require.Empty(t, f.made)
	})
	t.Run("ended_event_carries_zero_diagnostics_for_clean_flow", func(t *testing.T) {
		d, _ := newCrateDriver(t, 0, flowscope.OverflowSlidingWindow, flowscope.Config{})
		ended := crateOf(crateTrack(d, crateOverflow()...), flowscope.EventEnded)
		require.Len(t, ended, 1)
		for _, s := range ended[0].Stats.Streams {
			require.Zero(t, s.DroppedSegments)
			require.Zero(t, s.DroppedBytes)
		}
	})
	t.Run("ended_event_with_buffer_overflow_reason_drop_flow_policy", func(t *testing.T) {
		d, _ := newCrateDriver(t, capBytes, flowscope.OverflowDropFlow, flowscope.Config{})
		ended := crateOf(crateTrack(d, crateOverflow()...), flowscope.EventEnded)
		require.NotEmpty(t, ended)
		require.Equal(t, flowscope.EndBufferOverflow, ended[0].Reason)
		require.EqualValues(t, sent, ended[0].Stats.Streams[flowscope.Initiator].DroppedBytes)
	})
	t.Run("anomaly_event_emitted_for_buffer_overflow_sliding_window", func(t *testing.T) {
		d, _ := newCrateDriver(t, capBytes, flowscope.OverflowSlidingWindow, crateWithAnomalies)
		anomalies := crateAnomalies(crateTrack(d, crateOverflow()...), flowscope.AnomalyBufferOverflow)
		require.Len(t, anomalies, 1)
		require.Equal(t, flowscope.Initiator, anomalies[0].Side)
		require.EqualValues(t, lost, anomalies[0].Len)
		require.Equal(t, flowscope.OverflowSlidingWindow, anomalies[0].Policy)
	})
	t.Run("no_anomaly_events_when_flag_off", func(t *testing.T) {
		d, _ := newCrateDriver(t, capBytes, flowscope.OverflowSlidingWindow, flowscope.Config{})
		require.Empty(t, crateOf(crateTrack(d, crateOverflow()...), flowscope.EventAnomaly))
	})
	t.Run("anomaly_event_for_buffer_overflow_drop_flow_carries_policy", func(t *testing.T) {
		d, _ := newCrateDriver(t, capBytes, flowscope.OverflowDropFlow, crateWithAnomalies)
		anomalies := crateAnomalies(crateTrack(d, crateOverflow()...), flowscope.AnomalyBufferOverflow)
		require.Len(t, anomalies, 1)
		require.Equal(t, flowscope.Initiator, anomalies[0].Side)
		require.EqualValues(t, sent, anomalies[0].Len)
		require.Equal(t, flowscope.OverflowDropFlow, anomalies[0].Policy)
	})
	t.Run("anomaly_event_emitted_for_table_eviction", func(t *testing.T) {
		cfg := crateWithAnomalies
		cfg.MaxFlows = 2
		d, _ := newCrateDriver(t, 0, flowscope.OverflowSlidingWindow, cfg)
		var syns [][]byte
		for _, port := range []string{"1", "2", "3"} {
			syns = append(syns, crateTCP("10.0.0.1:"+port, crateServer, "S", 1000, 0, nil))
		}
		anomalies := crateOf(crateTrack(d, syns...), flowscope.EventAnomaly)
		require.Len(t, anomalies, 1)
		ev := anomalies[0]
		require.Equal(t, flowscope.AnomalyFlowTableEvictionPressure, ev.Anomaly)
		require.EqualValues(t, 1, ev.Len, "in this call")
		require.EqualValues(t, 1, ev.Offset, "in all")
		require.Zero(t, ev.Flow)
		require.Zero(t, ev.Key)
	})
	t.Run("sliding_window_overflow_recorded_in_diagnostics", func(t *testing.T) {
		d, _ := newCrateDriver(t, capBytes, flowscope.OverflowSlidingWindow, flowscope.Config{})
		ended := crateOf(crateTrack(d, crateOverflow()...), flowscope.EventEnded)
		require.Len(t, ended, 1)
		require.Equal(t, flowscope.EndRST, ended[0].Reason)
		require.EqualValues(t, lost, ended[0].Stats.Streams[flowscope.Initiator].DroppedBytes)
		require.Zero(t, ended[0].Stats.Streams[flowscope.Responder].DroppedBytes)
	})
}

// The eviction anomaly has no flow and no key; Len counts the flows evicted in the call, Offset those evicted since
// the tracker was made, when the first one of the call was.
func TestEvictionAnomalyFigures(t *testing.T) {
	cfg := crateWithAnomalies
	cfg.MaxFlows = 2
	d, _ := newCrateDriver(t, 0, flowscope.OverflowSlidingWindow, cfg)
	for i, want := range []struct{ offset, length int64 }{{}, {}, {1, 1}, {2, 1}} {
		syn := crateTCP("10.0.0.1:"+string(rune('1'+i)), crateServer, "S", 1000, 0, nil)
		anomalies := crateAnomalies(crateTrack(d, syn), flowscope.AnomalyFlowTableEvictionPressure)
		if want.length == 0 {
			require.Empty(t, anomalies)
			continue
		}
		require.Len(t, anomalies, 1)
		ev := anomalies[0]
		require.Equal(t, want.offset, ev.Offset)
		require.Equal(t, want.length, ev.Len)
		require.Equal(t, crateEvent{
			Kind: flowscope.EventAnomaly, Anomaly: flowscope.AnomalyFlowTableEvictionPressure, Timestamp: ev.Timestamp,
			Offset: want.offset, Len: want.length,
		}, ev)
	}
	// Several in one call: a lower limit takes effect when the next flow begins.
	d.SetMaxFlows(1)
	syn := crateTCP("10.0.0.1:9", crateServer, "S", 1000, 0, nil)
	anomalies := crateAnomalies(crateTrack(d, syn), flowscope.AnomalyFlowTableEvictionPressure)
	require.Len(t, anomalies, 1)
	require.EqualValues(t, 3, anomalies[0].Offset)
	require.EqualValues(t, 2, anomalies[0].Len)
}

// Built-in streams: the anomaly of a stream without room says which policy was at work.
func TestMemoryCapAnomalyCarriesThePolicy(t *testing.T) {
	for _, policy := range []flowscope.OverflowPolicy{flowscope.OverflowSlidingWindow, flowscope.OverflowDropFlow} {
		cfg := crateWithAnomalies
		cfg.SidePieces, cfg.Overflow = 1, policy
		d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)
		require.NoError(t, err)
		events := crateTrack(d, append(crateHandshake(),
			crateTCP(crateClient, crateServer, "A", 1003, 5001, []byte("c")),
			crateTCP(crateClient, crateServer, "A", 1005, 5001, []byte("e")))...)
		anomalies := crateAnomalies(events, flowscope.AnomalyMemoryCap)
		require.Len(t, anomalies, 1)
		require.Equal(t, policy, anomalies[0].Policy)
		require.Equal(t, flowscope.Initiator, anomalies[0].Side)
		require.EqualValues(t, 2, anomalies[0].Len)
		ended := crateOf(events, flowscope.EventEnded)
		require.Equal(t, policy == flowscope.OverflowDropFlow, len(ended) == 1 && ended[0].Reason == flowscope.EndBufferOverflow)
		for _, ev := range events {
			if ev.Kind != flowscope.EventAnomaly || ev.Anomaly != flowscope.AnomalyMemoryCap {
				require.Zero(t, ev.Policy)
			}
		}
	}
}
