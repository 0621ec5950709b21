package flowscope_test

import (
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// These are the programs of README.md; TestREADMEShowsTheExamples holds them
// together.

func Example() {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
	if err != nil {
		log.Fatal(err) // a wrong Config; packets never cause an error
	}
	show := func(events []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
		for i := range events {
			switch ev := &events[i]; ev.Kind {
			case flowscope.EventData:
				fmt.Printf("%v says %d bytes at %d: %.20q\n", ev.Side, ev.Len, ev.Offset, ev.Bytes)
			case flowscope.EventGap:
				fmt.Printf("%v: %d bytes at %d were never seen\n", ev.Side, ev.Len, ev.Offset)
			case flowscope.EventEnded:
				fmt.Println(ev.Key, "ended:", ev.Reason, ev.History, ev.Stats.Packets)
			}
		}
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			log.Fatal(err) // says at which offset the file is damaged
		}
		show(driver.Track(view))
	}
	show(driver.Finish())
	// Output:
	// initiator says 73 bytes at 0: "GET / HTTP/1.1\r\nHost"
	// responder says 918 bytes at 0: "HTTP/1.1 200 OK\r\nSer"
	// initiator says 77 bytes at 73: "GET /none HTTP/1.1\r\n"
	// responder says 294 bytes at 918: "HTTP/1.1 404 Not Fou"
	// tcp 192.0.2.10:33678 <-> 198.51.100.20:80 ended: fin ShADadFf [7 5]
	// udp 192.0.2.10:40764 <-> 198.51.100.20:53 ended: finished  [1 1]
}

// ports keeps one flow for each UDP port that is spoken to.
type ports struct{ inner flowscope.FiveTuple }

func (p ports) Extract(v flowscope.PacketView, x *flowscope.Extracted[uint16]) bool {
	var tuple flowscope.Extracted[flowscope.FiveTupleKey]
	if !p.inner.Extract(v, &tuple) || tuple.L4 != flowscope.L4UDP {
		x.Refused = tuple.Refused
		return false
	}
	_, to := tuple.Key.Ends(tuple.Orientation)
	x.Key, x.L4, x.Payload, x.Missing = to.Port(), tuple.L4, tuple.Payload, tuple.Missing
	return true
}

func Example_extractor() {
	tracker, err := flowscope.NewFlowTracker(ports{}, flowscope.Config{})
	if err != nil {
		log.Fatal(err)
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			log.Fatal(err)
		}
		tracker.Track(view)
	}
	for flow := range tracker.Flows() {
		fmt.Println("port", flow.Key, flow.Stats.Packets[flowscope.Initiator], "packets")
	}
	// Output:
	// port 53 1 packets
	// port 40764 1 packets
}

func Example_tunnels() {
	inside := flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{}))
	tracker, err := flowscope.NewFlowTracker(inside, flowscope.Config{})
	if err != nil {
		log.Fatal(err)
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/tunnels.pcap") {
		if err != nil {
			log.Fatal(err)
		}
		for _, ev := range tracker.Track(view) {
			if ev.Kind == flowscope.EventEnded && ev.L4 == flowscope.L4TCP {
				fmt.Println(ev.Key, ev.Stats.Packets)
			}
		}
	}
	// Output:
	// tcp 198.51.100.1:40000 <-> 198.51.100.2:7000 in vxlan:77 [16 9]
	// tcp 198.51.100.1:40000 <-> 198.51.100.2:7000 in vxlan:78 [11 9]
	// tcp 192.0.2.1:40000 <-> 192.0.2.2:7000 [9 7]
}

// lineCounter is a Reassembler that counts lines, as far as the bytes come in order.
type lineCounter struct {
	next int64
	n    int
}

func (l *lineCounter) Segment(s flowscope.Segment, out *flowscope.Delivery) {
	if s.Pos != l.next {
		out.Dropped(flowscope.AnomalyOutOfOrderSegment, 1, 0)
		return
	}
	l.next += int64(len(s.Payload))
	l.n += strings.Count(string(s.Payload), "\n")
	out.Data(s.Payload)
}

func (l *lineCounter) Fin(*flowscope.Delivery) { fmt.Println(l.n, "lines") }
func (l *lineCounter) Rst(*flowscope.Delivery) {}

func Example_reassembler() {
	each := flowscope.ReassemblerFunc[flowscope.FiveTupleKey](
		func(flowscope.FiveTupleKey, flowscope.FlowSide) flowscope.Reassembler { return new(lineCounter) })
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, each, flowscope.Config{})
	if err != nil {
		log.Fatal(err)
	}
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			log.Fatal(err)
		}
		driver.Track(view)
	}
	driver.Finish()
	// Output:
	// 10 lines
	// 53 lines
}

func Example_shards() {
	var done sync.WaitGroup
	var flows atomic.Uint64
	work := make([]chan flowscope.PacketView, 4)
	for i := range work {
		inside := flowscope.AutoDetectEncap(flowscope.FiveTuple{})
		tracker, err := flowscope.NewFlowTracker(inside, flowscope.Config{})
		if err != nil {
			log.Fatal(err)
		}
		work[i] = make(chan flowscope.PacketView, 1024)
		done.Add(1)
		go func() {
			defer done.Done()
			for view := range work[i] {
				tracker.Track(view)
			}
			tracker.Finish()
			flows.Add(tracker.Stats().FlowsCreated)
		}()
	}
	sharder := flowscope.NewSharder(len(work))
	for view, err := range flowscope.OpenCapture("testdata/captures/tunnels.pcap") {
		if err != nil {
			log.Fatal(err)
		}
		view.Frame = slices.Clone(view.Frame) // it is lent until the next packet
		work[sharder.Shard(view)] <- view
	}
	for _, w := range work {
		close(w)
	}
	done.Wait()
	fmt.Println(flows.Load(), "flows")
	// Output:
	// 19 flows
}

func Example_batch() {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
	if err != nil {
		log.Fatal(err)
	}
	show := func(events []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
		for i := range events {
			if ev := &events[i]; ev.Kind == flowscope.EventData {
				fmt.Println("packet", ev.Packet, "brings", ev.Len, "bytes of the", ev.Side)
			}
		}
	}
	var views []flowscope.PacketView
	for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
		if err != nil {
			log.Fatal(err)
		}
		view.Frame = slices.Clone(view.Frame) // all frames of a batch have to last
		views = append(views, view)
	}
	for _, events := range driver.TrackBatch(views) {
		show(events)
	}
	// Output:
	// packet 6 brings 73 bytes of the initiator
	// packet 8 brings 918 bytes of the responder
	// packet 10 brings 77 bytes of the initiator
	// packet 11 brings 294 bytes of the responder
}

func TestREADMEShowsTheExamples(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)
	flat := func(s string) string {
		var all []string
		for line := range strings.Lines(s) {
			all = append(all, strings.TrimSpace(line))
		}
		return strings.Join(all, "\n")
	}
	blocks := strings.Split(string(readme), "```go\n")[1:]
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		code, _, _ := strings.Cut(b, "```")
		require.Contains(t, flat(string(source)), strings.TrimSpace(flat(code)))
	}
}
