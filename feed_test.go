package flowscope

import (
	"testing"
	"time"

	"github.com/flowscope-go/flowscope/internal/testkit/frames"
)

// timed is a factory, and a parser that wants to be called every second.
type timed struct{}

func (timed) Probe(Probe) Verdict                                 { return VerdictYes }
func (timed) NewSessionParser() SessionParser                     { return timed{} }
func (timed) Data(Chunk, *Messages)                               {}
func (timed) Gap(FlowSide, int64, int64, Timestamp, *Messages)    {}
func (timed) Closed(FlowSide, EndReason, Timestamp, *Messages)    {}
func (timed) Ended(EndReason, Timestamp, *Messages)               {}
func (timed) Reset()                                              {}
func (timed) OnTimer(now Timestamp, _ *Messages) (next Timestamp) { return now.Add(time.Second) }

// A flow that lingers has no timer but that of its lingering. One that stays would be due with every
// packet from its time on, and the flow would be looked at again and again, since it does not end then.
func TestTheTimerOfAParserEndsWithItsFlow(t *testing.T) {
	d, err := NewFlowSessionDriver(FiveTuple{}, Config{}, timed{})
	if err != nil {
		t.Fatal(err)
	}
	const client, server = "192.0.2.1:40000", "192.0.2.2:80"
	for i, f := range []frames.TCP{
		{Src: client, Dst: server, Seq: 100, Flags: "S"},
		{Src: server, Dst: client, Seq: 500, Ack: 101, Flags: "SA"},
		{Src: client, Dst: server, Seq: 101, Ack: 501, Flags: "A", Payload: []byte("said")},
		{Src: client, Dst: server, Seq: 109, Ack: 501, Flags: "A", Payload: []byte("behind a hole")},
		{Src: server, Dst: client, Seq: 501, Ack: 105, Flags: "RA"},
	} {
		d.Track(PacketView{Frame: f.Ethernet(), Timestamp: Timestamp(1e18 + i)})
	}
	lingers := 0
	for s := range d.t.table.All {
		if lingers++; s.Value.bits&lingering == 0 || s.Value.user.nextTimer != 0 {
			t.Errorf("bits %b, a timer at %d", s.Value.bits, s.Value.user.nextTimer)
		}
	}
	if lingers != 1 {
		t.Errorf("%d flows", lingers)
	}
}
