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

// lines delivers a stream line by line. It takes segments as they come, so it leaves the putting in order to the
// engine of the built-in streams, and looks at what that delivers.
type lines struct {
	*flowscope.StreamReassembler
	rest []byte
}

func (l *lines) Segment(s flowscope.Segment, out *flowscope.Delivery) {
	var ordered flowscope.Delivery
	l.StreamReassembler.Segment(s, &ordered)
	l.rest = append(l.rest, ordered.Bytes()...)
	if end := bytes.LastIndexByte(l.rest, '\n') + 1; end > 0 {
		out.Data(bytes.Clone(l.rest[:end]))
		l.rest = l.rest[end:]
	}
}

// A Reassembler of one's own around the engine of the built-in streams. What it puts into out comes back as Data
// events, here whole lines only, although the capture's segments came in the wrong order and cut lines anywhere.
func ExampleStreamReassembler() {
	factory := flowscope.ReassemblerFunc[flowscope.FiveTupleKey](func(flowscope.FiveTupleKey, flowscope.FlowSide) flowscope.Reassembler {
		engine, err := flowscope.NewStreamReassembler(flowscope.Config{})
		if err != nil {
			panic(err)
		}
		return &lines{StreamReassembler: engine}
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

// counter is about the least that a Reassembler can be: it counts, and says nothing.
type counter struct{ segments, bytes int }

func (c *counter) Segment(s flowscope.Segment, _ *flowscope.Delivery) {
	c.segments++
	c.bytes += len(s.Payload)
}
func (c *counter) Fin(*flowscope.Delivery) {}
func (c *counter) Rst(*flowscope.Delivery) {}

// A Reassembler sees every segment of its side, sent again or not, in the order of arrival. When the flow ends it is
// still at hand.
func ExampleReassembler() {
	factory := flowscope.ReassemblerFunc[flowscope.FiveTupleKey](func(flowscope.FiveTupleKey, flowscope.FlowSide) flowscope.Reassembler {
		return new(counter)
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
				c := driver.ReassemblerOf(&ev, flowscope.Initiator).(*counter)
				fmt.Println(c.segments, "segments,", c.bytes, "bytes for a text of 18300")
			}
		}
	}
	// Output:
	// 44 segments, 19852 bytes for a text of 18300
}

// Events go to any logger, at levels that fit them.
func ExampleLogEvent() {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{Events: flowscope.AllEvents})
	if err != nil {
		panic(err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelInfo}))
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			panic(err)
		}
		events := driver.Track(view)
		for i := range events {
			if events[i].L4 == flowscope.L4TCP {
				events[i].Timestamp = 0 // as time is printed by the handler too, and differs
				flowscope.LogEvent(logger, &events[i])
			}
		}
	}
	// Output:
}
