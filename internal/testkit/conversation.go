package testkit

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// Message is one IP packet of a conversation.
type Message struct {
	Dir int
	IP  []byte
}

// Conversation is a TCP connection with data both ways, some of it out of order and some twice, that both sides close.
func Conversation(ends [2]string) (out []Message) {
	say := func(dir int, flags string, seq, ack uint32, payload string) {
		out = append(out, Message{dir, frames.TCP{
			Src: ends[dir], Dst: ends[1-dir], Flags: flags, Seq: seq, Ack: ack, Window: 60000, Payload: []byte(payload),
		}.IP()})
	}
	say(0, "S", 1000, 0, "")
	say(1, "SA", 7000, 1001, "")
	say(0, "A", 1001, 7001, "")
	say(0, "PA", 1007, 7001, "is there?")
	say(0, "PA", 1001, 7001, "who = ")
	say(0, "PA", 1007, 7001, "is there?")
	say(1, "PA", 7006, 1016, "the other end")
	say(1, "PA", 7001, 1016, "only ")
	say(0, "FA", 1016, 7019, "")
	say(1, "FA", 7019, 1017, "")
	say(0, "A", 1017, 7020, "")
	return out
}

// ConversationResult is what a driver makes of a conversation: all that should not depend on what it came through.
type ConversationResult struct {
	Streams [2]string
	Key     Key
	Flows   int
	Reason  flowscope.EndReason
	History string
	Packets [2]uint64
	Payload [2]uint64
	Refused uint64
}

// RunConversation shows the frames of a conversation to a driver. through is the tunnel that its flow names.
func RunConversation(t *testing.T, ex Extractor, frames [][]byte) (h ConversationResult, through string) {
	t.Helper()
	d, err := flowscope.NewFlowDriver(ex, nil, flowscope.Config{})
	require.NoError(t, err)
	take := func(events []flowscope.FlowEvent[Key]) {
		for i := range events {
			switch ev := &events[i]; ev.Kind {
			case flowscope.EventStarted:
				h.Flows++
				h.Key = ev.Key
			case flowscope.EventData:
				h.Streams[ev.Side] += string(ev.Bytes)
			case flowscope.EventEnded:
				h.Reason, h.History = ev.Reason, ev.History.String()
				h.Packets, h.Payload = ev.Stats.Packets, ev.Stats.Payload
				through = ev.Stats.TunnelString()
			}
		}
	}
	for i, f := range frames {
		take(d.Track(flowscope.PacketView{Frame: f, Timestamp: flowscope.Timestamp(i) * 1e6, ID: uint64(i + 1)}))
	}
	take(d.Finish())
	st := d.Stats()
	h.Refused = st.PacketsUnmatched
	return h, through
}

// Carry makes the frames that carry a conversation in an encapsulation.
func Carry(e Encapsulation, talk []Message) (out [][]byte) {
	for _, s := range talk {
		out = append(out, e.Put(s.Dir, s.IP))
	}
	return out
}
