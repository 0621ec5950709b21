package flowscope_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"

	"github.com/flowscope-go/flowscope"
)

// What both sides of a web request said, out of a capture file. The bytes of a Data event are lent; who wants to keep
// them copies them.
func ExampleFlowDriver() {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			panic(err)
		}
		for _, ev := range driver.Track(view) {
			switch ev.Kind {
			case flowscope.EventData:
				line, _, _ := bytes.Cut(ev.Bytes, []byte("\r\n"))
				fmt.Printf("%v at %d: %s\n", ev.Side, ev.Offset, line)
			case flowscope.EventGap:
				fmt.Printf("%v at %d: %d bytes were never seen\n", ev.Side, ev.Offset, ev.Len)
			case flowscope.EventSideClosed:
				fmt.Printf("%v said %d bytes\n", ev.Side, ev.Offset)
			}
		}
	}
	driver.Finish()
	// Output:
	// initiator at 0: GET / HTTP/1.1
	// responder at 0: HTTP/1.1 200 OK
	// initiator at 73: GET /none HTTP/1.1
	// responder at 918: HTTP/1.1 404 Not Found
	// initiator said 150 bytes
	// responder said 1212 bytes
}

// wholeLines delivers a stream line by line, lines of up to 64 KiB. It takes segments as they come, so it leaves the
// putting in order to the engine of the built-in streams, and looks at what that delivers. All that the engine says
// goes through pass, or bytes that wait here would be overtaken.
type wholeLines struct {
	engine  *flowscope.StreamReassembler
	ordered flowscope.Delivery
	rest    []byte
}

func (l *wholeLines) pass(out *flowscope.Delivery) {
	for p := range l.ordered.Pieces() {
		if p.Gap > 0 {
			l.flush(len(l.rest), out)
			out.Gap(p.Gap, p.Cause)
			continue
		}
		l.rest = append(l.rest, p.Bytes...)
		if end := bytes.LastIndexByte(l.rest, '\n') + 1; end > 0 {
			l.flush(end, out)
		} else if len(l.rest) > 1<<16 {
			l.flush(len(l.rest), out)
		}
	}
	l.ordered = flowscope.Delivery{}
}

func (l *wholeLines) flush(n int, out *flowscope.Delivery) {
	out.Data(bytes.Clone(l.rest[:n]))
	l.rest = append(l.rest[:0], l.rest[n:]...)
}

func (l *wholeLines) Segment(s flowscope.Segment, out *flowscope.Delivery) {
	l.engine.Segment(s, &l.ordered)
	l.pass(out)
}

func (l *wholeLines) Acked(pos int64, now flowscope.Timestamp, out *flowscope.Delivery) {
	l.engine.Acked(pos, now, &l.ordered)
	l.pass(out)
}

func (l *wholeLines) OnTimer(now flowscope.Timestamp, out *flowscope.Delivery) flowscope.Timestamp {
	next := l.engine.OnTimer(now, &l.ordered)
	l.pass(out)
	return next
}

func (l *wholeLines) Fin(out *flowscope.Delivery) {
	l.engine.Fin(&l.ordered)
	l.pass(out)
	l.flush(len(l.rest), out)
}

func (l *wholeLines) Rst(out *flowscope.Delivery) { l.Fin(out) }

// A Reassembler of one's own around the engine of the built-in streams. What it puts into out comes back as Data
// events, here whole lines only, although the capture's segments came in the wrong order and cut lines anywhere.
func ExampleStreamReassembler() {
	factory := flowscope.ReassemblerFunc[flowscope.FiveTupleKey](func(flowscope.FiveTupleKey, flowscope.FlowSide) flowscope.Reassembler {
		engine, err := flowscope.NewStreamReassembler(flowscope.Config{})
		if err != nil {
			panic(err)
		}
		return &wholeLines{engine: engine}
	})
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, factory, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	n := 0
	for view, err := range flowscope.OpenCapture("testdata/captures/lossy.pcap") {
		if err != nil {
			panic(err)
		}
		for _, ev := range driver.Track(view) {
			if ev.Kind == flowscope.EventData && ev.Side == flowscope.Initiator {
				for line := range bytes.Lines(ev.Bytes) {
					if n%100 == 0 {
						fmt.Printf("%.20s...\n", line)
					}
					n++
				}
			}
		}
	}
	fmt.Println(n, "lines")
	// Output:
	// line 0000 of a text ...
	// line 0100 of a text ...
	// line 0200 of a text ...
	// 300 lines
}

// tally is about the least that a Reassembler can be: it counts, and says nothing.
type tally struct{ segments, bytes int }

func (c *tally) Segment(s flowscope.Segment, _ *flowscope.Delivery) {
	c.segments++
	c.bytes += len(s.Payload)
}
func (c *tally) Fin(*flowscope.Delivery) {}
func (c *tally) Rst(*flowscope.Delivery) {}

// A Reassembler sees every segment of its side, sent again or not, in the order of arrival. When the flow ends it is
// still at hand.
func ExampleReassembler() {
	factory := flowscope.ReassemblerFunc[flowscope.FiveTupleKey](func(flowscope.FiveTupleKey, flowscope.FlowSide) flowscope.Reassembler {
		return new(tally)
	})
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, factory, flowscope.Config{})
	if err != nil {
		panic(err)
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/lossy.pcap") {
		if err != nil {
			panic(err)
		}
		for _, ev := range driver.Track(view) {
			if ev.Kind == flowscope.EventEnded {
				if c, ok := driver.ReassemblerOf(&ev, flowscope.Initiator).(*tally); ok { // else it said nothing
					fmt.Println(c.segments, "segments,", c.bytes, "bytes for a text of 18300")
				}
			}
		}
	}
	// Output:
	// 38 segments, 19800 bytes for a text of 18300
}

// Events go to any logger, at levels that fit them.
func ExampleLogEvent() {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{Events: flowscope.AllEvents})
	if err != nil {
		panic(err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindTime {
				return slog.Attr{} // so that the output is the same each time
			}
			return a
		},
	}))
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			panic(err)
		}
		events := driver.Track(view)
		for i := range events {
			if events[i].L4 == flowscope.L4TCP {
				flowscope.LogEvent(logger, &events[i])
			}
		}
	}
	// Output:
	// level=INFO msg=started flow=2 key="tcp 192.0.2.10:33678 <-> 198.51.100.20:80" l4=tcp
	// level=INFO msg=ended flow=2 key="tcp 192.0.2.10:33678 <-> 198.51.100.20:80" l4=tcp reason=fin history=ShADadFf packets=12 bytes=2170
}
