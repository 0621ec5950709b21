package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/google/gopacket/layers"
)

// download is a connection whose responder sends: seen by a driver, a millisecond a packet.
type download struct {
	t      *testing.T
	d      *flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}]
	now    time.Duration
	client string
	log    func(ev *flowscope.FlowEvent[flowscope.FiveTupleKey])
}

const downloadStart = 1_000_000_000_000_000_000

func newDownloadDriver(t *testing.T, cfg flowscope.Config) *flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}] {
	d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (c *download) send(f frames.TCP) {
	for _, ev := range c.d.Track(flowscope.PacketView{Frame: f.Ethernet(), Timestamp: downloadStart + flowscope.Timestamp(c.now)}) {
		if c.log != nil {
			c.log(&ev)
		}
	}
}

func (c *download) request(seq, ack uint32, flags string, options ...layers.TCPOption) {
	c.send(frames.TCP{Src: c.client + ":4000", Dst: "10.9.9.9:80", Seq: seq, Ack: ack, Flags: flags, Window: 65535, Options: options})
}

func (c *download) response(seq, ack uint32, flags, payload string, options ...layers.TCPOption) {
	c.send(frames.TCP{Src: "10.9.9.9:80", Dst: c.client + ":4000", Seq: seq, Ack: ack, Flags: flags, Window: 65535, Payload: []byte(payload), Options: options})
}

func (c *download) handshake(scale uint8) {
	c.request(99, 0, "S", frames.WindowScale(scale))
	c.response(999, 100, "SA", "", frames.WindowScale(scale))
	c.request(100, 1000, "A")
}

// One segment is lost, a full window follows, and 10 ms later the lost one comes: no byte is given up.
func TestAFullWindowBehindALostSegmentIsHeld(t *testing.T) {
	payload := strings.Repeat("x", 1460)
	for _, n := range []int{999, 1500, 5000} {
		for _, scale := range []uint8{7, 14} {
			t.Run(fmt.Sprintf("%d segments, scale %d", n, scale), func(t *testing.T) {
				got, ooo := int64(0), 0
				c := &download{t: t, d: newDownloadDriver(t, flowscope.Config{Events: flowscope.AllEvents}), client: "10.0.0.1"}
				c.log = func(ev *flowscope.FlowEvent[flowscope.FiveTupleKey]) {
					switch {
					case ev.Kind == flowscope.EventGap:
						t.Errorf("gap %d+%d %v", ev.Offset, ev.Len, ev.Cause)
					case ev.Kind == flowscope.EventData && ev.Offset == got:
						got += ev.Len
					case ev.Kind == flowscope.EventAnomaly && ev.Anomaly == flowscope.AnomalyOutOfOrderSegment:
						ooo++
					}
				}
				c.handshake(scale)
				for i := range n {
					c.now += time.Microsecond
					c.response(1000+1460*uint32(i+1), 100, "A", payload)
				}
				c.now += 10 * time.Millisecond
				if got != 0 || ooo == 0 {
					t.Fatalf("%d bytes before the lost ones, %d segments out of order", got, ooo)
				}
				c.response(1000, 100, "A", payload)
				if got != int64(n+1)*1460 {
					t.Fatalf("%d bytes of %d", got, (n+1)*1460)
				}
			})
		}
	}
}

// A side holds what the window of its receiver allows, and of what lies beyond it 256 KiB, which wait for an
// acknowledgement: the window may have opened in a packet that was not captured.
func TestASideHoldsWhatTheWindowAllows(t *testing.T) {
	const size = 1400 // 256 segments of a connection wait, whatever they have
	payload := strings.Repeat("x", size)
	for _, scale := range []uint8{0, 3} {
		window := 65535 << scale
		c := &download{t: t, d: newDownloadDriver(t, flowscope.Config{}), client: "10.0.0.1"}
		c.handshake(scale)
		held, now := int64(0), int64(0)
		for pos := size; pos < window+500_000; pos += size {
			c.response(1000+uint32(pos), 100, "A", payload)
			if now = c.d.Stats().HeldBytes; pos <= window && now <= int64(pos-size) {
				t.Fatalf("scale %d: %d bytes are held up to %d, in the window of %d", scale, now, pos, window)
			} else if pos == window/size*size {
				held = now
			} else if pos > window && now > held+256<<10 {
				t.Fatalf("scale %d: %d bytes are held, and %d up to %d, beyond the window of %d", scale, held, now, pos, window)
			}
		}
		if now < held+250<<10 {
			t.Errorf("scale %d: %d bytes are held, and only %d with those beyond the window", scale, held, now)
		}
	}
}

// A hundred connections hold all the memory that there is, two thousand others a byte each. Of others whose segments
// change places nothing is lost, and two runs are the same.
func TestHoardersDoNotStarveTheRest(t *testing.T) {
	run := func() string {
		var log strings.Builder
		c := &download{t: t, d: newDownloadDriver(t, flowscope.Config{TotalBytes: 8 << 20, SideBytes: 1 << 20, Events: flowscope.AllEvents})}
		most, budget := 0, 0
		c.log = func(ev *flowscope.FlowEvent[flowscope.FiveTupleKey]) {
			switch ev.Kind {
			case flowscope.EventGap:
				budget++
				if ev.Cause != flowscope.GapBudget || !strings.Contains(ev.Key.String(), "10.1.0.") {
					t.Fatalf("gap of %v: %v", ev.Key, ev.Cause)
				}
			}
			fmt.Fprintln(&log, ev.Kind, ev.Key, ev.Offset, ev.Len, ev.Timestamp, ev.Packet)
		}
		events := c.log
		count := 0
		c.log = func(ev *flowscope.FlowEvent[flowscope.FiveTupleKey]) { count++; events(ev) }
		payload := strings.Repeat("x", 1400)
		for i := range 100 {
			c.client = fmt.Sprintf("10.1.0.%d", i)
			c.handshake(14)
			for k := range uint32(80) {
				count = 0
				c.response(1001+1400*k, 100, "A", payload)
				most = max(most, count)
			}
		}
		for i := range 2000 {
			c.client = fmt.Sprintf("10.2.%d.%d", i/250, i%250)
			c.handshake(0)
			c.response(1001, 100, "A", "x")
		}
		if budget == 0 || c.d.Stats().BudgetGaps != uint64(budget) {
			t.Fatal("the memory was not used up")
		}
		for i := range 100 {
			c.client = fmt.Sprintf("10.3.0.%d", i)
			c.handshake(0)
			got := int64(0)
			c.log = func(ev *flowscope.FlowEvent[flowscope.FiveTupleKey]) {
				events(ev)
				if ev.Kind == flowscope.EventData && strings.Contains(ev.Key.String(), c.client+":") {
					got += ev.Len
				}
			}
			c.response(1010, 100, "A", "bbbbbbbbbb")
			c.response(1000, 100, "A", "aaaaaaaaaa")
			if got != 20 {
				t.Fatalf("%s: %d of 20 bytes", c.client, got)
			}
		}
		if most > 200 {
			t.Errorf("%d events in one call", most)
		}
		if s := c.d.Stats(); s.MemoryBytes > 8<<20 || s.HeldBytes < 6<<20 {
			t.Errorf("%d bytes are held, %d of memory", s.HeldBytes, s.MemoryBytes)
		}
		return log.String()
	}
	if first, second := run(), run(); first != second {
		t.Error("two runs differ")
	}
}
