package acceptance

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// told is an extractor that says what it was told to.
type told struct{ next *flowscope.Extracted[int] }

func (t told) Extract(_ flowscope.PacketView, x *flowscope.Extracted[int]) bool {
	*x = *t.next
	return true
}

// S3: a stream longer than the numbers of TCP, across two wraps. Offsets have 64
// bits.
func TestAStreamOfMoreThan4GiBKeepsItsOffsets(t *testing.T) {
	const total = 1<<32 + 10
	var x flowscope.Extracted[int]
	x.L4, x.HasTCP = flowscope.L4TCP, true
	d, err := flowscope.NewFlowDriver(told{&x}, nil, flowscope.Config{
		Events: flowscope.Events(flowscope.EventData, flowscope.EventGap, flowscope.EventEnded),
	})
	require.NoError(t, err)
	isn := uint32(1<<32 - 5)
	say := func(o flowscope.Orientation, flags flowscope.TCPFlags, seq, ack uint32, payload []byte) []flowscope.FlowEvent[int] {
		x.Orientation, x.Payload = o, payload
		x.TCP = flowscope.TCPInfo{Flags: flags, Seq: seq, Ack: ack, Window: 65535}
		return d.Track(flowscope.PacketView{Timestamp: 1})
	}
	say(flowscope.Forward, flowscope.FlagSYN, isn, 0, nil)
	say(flowscope.Reverse, flowscope.FlagSYN|flowscope.FlagACK, 7, isn+1, nil)
	say(flowscope.Forward, flowscope.FlagACK, isn+1, 8, nil)
	block := make([]byte, 60_000)
	at := int64(0)
	for at < total {
		b := block[:min(int64(len(block)), total-at)]
		events := say(flowscope.Forward, flowscope.FlagACK, isn+1+uint32(at), 8, b)
		if len(events) != 1 || events[0].Kind != flowscope.EventData || events[0].Offset != at || events[0].Len != int64(len(b)) {
			t.Fatalf("at %d: %+v", at, events)
		}
		at += int64(len(b))
		say(flowscope.Reverse, flowscope.FlagACK, 8, isn+1+uint32(at), nil)
	}
	events := d.Finish()
	require.Len(t, events, 1)
	require.EqualValues(t, flowscope.StreamStats{Delivered: total}, events[0].Stats.Streams[flowscope.Initiator])
}
