package flowscope_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/gopacket/pcapgo"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// One Example for each task of README's recipes that has none beside the type it is about. Each is what stands
// between the braces of a function that returns an error.

func recipe(body func() error) {
	if err := body(); err != nil {
		fmt.Println(err)
	}
}

// The packets of a file, and what a damaged one says.
func ExampleOpenCapture() {
	recipe(func() error {
		packets, bytes := 0, 0
		for view, err := range flowscope.OpenCapture("testdata/captures/http.pcap") {
			if err != nil {
				var damaged *flowscope.CaptureError
				if errors.As(err, &damaged) {
					fmt.Println("damaged from byte", damaged.Offset)
				}
				return err
			}
			packets++
			bytes += len(view.Frame)
		}
		fmt.Println(packets, "packets,", bytes, "bytes")
		return nil
	})
	// Output: 14 packets, 2336 bytes
}

// Any reader of gopacket: a live handle, or a file. See examples/fork for the maintained fork.
func ExampleFromSource() {
	recipe(func() error {
		file, err := os.Open("testdata/captures/http.pcap")
		if err != nil {
			return err
		}
		defer file.Close()
		reader, err := pcapgo.NewReader(file)
		if err != nil {
			return err
		}
		tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
		if err != nil {
			return err
		}
		views := flowscope.FromSource(context.Background(), reader, flowscope.LinkTypeOf(uint16(reader.LinkType())))
		for ev, err := range tracker.Events(views) {
			if err != nil {
				return err
			}
			if ev.Kind == flowscope.EventEnded {
				fmt.Println(ev.Key, ev.Reason)
			}
		}
		return nil
	})
	// Output:
	// tcp 192.0.2.10:33678 <-> 198.51.100.20:80 fin
	// udp 192.0.2.10:40764 <-> 198.51.100.20:53 finished
}

// Events are lent. Clone keeps one.
func ExampleFlowEvent_Clone() {
	recipe(func() error {
		driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
		if err != nil {
			return err
		}
		var largest flowscope.Event
		for ev, err := range driver.Events(flowscope.OpenCapture("testdata/captures/http.pcap")) {
			if err != nil {
				return err
			}
			if ev.Kind == flowscope.EventData && ev.Len > largest.Len {
				largest = ev.Clone()
			}
		}
		fmt.Printf("%v %.15q\n", largest.Side, largest.Bytes)
		return nil
	})
	// Output: responder "HTTP/1.1 200 OK"
}

// Only the fields that differ from the defaults are set; a wrong one is an error of the constructor.
func ExampleConfig() {
	_, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{
		MaxFlows:           1_000_000,
		EstablishedTimeout: time.Hour,
		UDPTimeout:         flowscope.Never,
		Events:             flowscope.Events(flowscope.EventEnded),
	})
	fmt.Println(err)
	_, err = flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{MaxFlows: -1})
	fmt.Println(errors.Is(err, flowscope.ErrConfig))
	// Output:
	// <nil>
	// true
}

// All counters with the names and labels that monitoring systems want.
func ExampleDriverStats_Metrics() {
	recipe(func() error {
		driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
		if err != nil {
			return err
		}
		flowtest.Replay(driver, dialogue().Views())
		for m := range driver.Stats().Metrics {
			if m.Value != 0 && m.Label != "" { // or all of them
				fmt.Println(m)
			}
		}
		return nil
	})
	// Output:
	// flowscope_bytes_total{side="initiator"} 361
	// flowscope_bytes_total{side="responder"} 313
	// flowscope_flows_ended_total{reason="fin"} 1
}

// The flows that live now, and the one of a key.
func ExampleFlowTracker_Flows() {
	recipe(func() error {
		tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
		if err != nil {
			return err
		}
		for _, view := range dialogue().Views()[:5] {
			tracker.Track(view)
		}
		for flow := range tracker.Flows() {
			fmt.Println(flow.Key, flow.State, flow.Stats.Packets)
			again, ok := tracker.Get(flow.Key)
			fmt.Println(again.ID == flow.ID, ok)
		}
		return nil
	})
	// Output:
	// tcp 10.0.0.1:1234 <-> 10.0.0.2:80 established [3 2]
	// true true
}

// Stop: no more bytes of one side, while its packets are counted on. ForceClose: no more of the flow.
func ExampleFlowDriver_Stop() {
	recipe(func() error {
		driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{})
		if err != nil {
			return err
		}
		for _, view := range dialogue().Views() {
			events := driver.Track(view)
			for i := range events {
				switch ev := &events[i]; ev.Kind {
				case flowscope.EventData:
					fmt.Printf("%v %q\n", ev.Side, ev.Bytes)
					driver.Stop(ev, ev.Side) // the first bytes are enough
				case flowscope.EventEnded:
					fmt.Println(ev.Reason, ev.Stats.Payload)
				}
			}
		}
		return nil
	})
	// Output:
	// initiator "GET / HTTP/1.1\r\nHost: example.net\r\n\r\n"
	// responder "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	// fin [37 43]
}

func ExampleFlowTracker_ForceClose() {
	recipe(func() error {
		tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
		if err != nil {
			return err
		}
		views := dialogue().Views()
		for _, ev := range tracker.Track(views[0]) {
			if ev.Kind == flowscope.EventStarted {
				tracker.ForceClose(ev.Key) // it ends with the next call
			}
		}
		for _, ev := range tracker.Track(views[1]) {
			if ev.Kind == flowscope.EventEnded {
				fmt.Println(ev.Reason)
			}
		}
		return nil
	})
	// Output: force_closed
}

// Bytes that come in order, collected until somebody takes them.
func ExampleBufferedReassembler() {
	recipe(func() error {
		driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, flowscope.BufferedReassemblerFactory[flowscope.FiveTupleKey]{}, flowscope.Config{})
		if err != nil {
			return err
		}
		for _, view := range dialogue().Views() {
			for _, ev := range driver.Track(view) {
				if ev.Kind != flowscope.EventEnded {
					continue
				}
				if r, ok := driver.ReassemblerOf(&ev, flowscope.Responder).(*flowscope.BufferedReassembler); ok {
					fmt.Printf("%q\n", r.Take())
				}
			}
		}
		return nil
	})
	// Output: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
}

// HTTP in a test: what a client asked, from a dialogue in place of a capture.
func Example_httpInATest() {
	t := &testing.T{} // as a test gets it
	driver, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, flowscope.Config{}, http1.Factory{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range flowtest.Select(flowtest.Replay(driver, dialogue().Views()), flowscope.EventMessage) {
		if m, ok := ev.Message.(*http1.Exchange); ok {
			client, server := ev.Ends(m.Client)
			fmt.Printf("%v -> %v %s %s %s: %d, %d bytes\n", client, server, m.Method, m.Host, m.Target, m.Status, m.Response.Body)
		}
	}
	// Output: 10.0.0.1:1234 -> 10.0.0.2:80 GET example.net /: 200, 5 bytes
}

// How long each DNS answer took.
func Example_dnsLatency() {
	recipe(func() error {
		driver, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, flowscope.Config{}, dns.Factory{})
		if err != nil {
			return err
		}
		for ev, err := range driver.Events(flowscope.OpenCapture("testdata/captures/sessions.pcap")) {
			if err != nil {
				return err
			}
			if m, ok := ev.Message.(*dns.Transaction); ok {
				if latency, answered := m.Latency(); answered {
					_, server := ev.Ends(m.Client)
					fmt.Println(server.Addr(), m.Name, m.Type, latency)
				}
			}
		}
		return nil
	})
	// Output:
	// 192.0.2.20 www.example.net A 284µs
	// 192.0.2.20 www.example.net AAAA 68µs
	// 2001:db8::20 web.example.net A 147µs
	// 192.0.2.20 example.net MX 57µs
	// 192.0.2.20 nobody.example.net A 66µs
	// 192.0.2.20 www.example.net A 528µs
	// 192.0.2.20 example.net TXT 28µs
}

// The names that TLS clients ask for.
func Example_tlsNames() {
	recipe(func() error {
		driver, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, flowscope.Config{}, tls.Factory{}, tls.StartTLS{})
		if err != nil {
			return err
		}
		for ev, err := range driver.Events(flowscope.OpenCapture("testdata/captures/sessions.pcap")) {
			if err != nil {
				return err
			}
			if m, ok := ev.Message.(*tls.Handshake); ok {
				_, server := ev.Ends(m.Client)
				fmt.Println(server, m.Version, m.SNI)
			}
		}
		return nil
	})
	// Output:
	// 192.0.2.20:443 TLSv1.2 www.example.net
	// 192.0.2.20:443 TLSv1.3 www.example.net
	// 192.0.2.20:443 TLSv1.2 www.example.net
	// 192.0.2.20:443 TLSv1.2 www.example.net
	// 192.0.2.20:443 TLSv1.3 www.example.net
	// 192.0.2.20:443  www.example.net
	// 192.0.2.20:25 TLSv1.3 mail.example.net
}

// dialogue is a request and its answer.
func dialogue() *flowtest.Dialogue {
	d := flowtest.NewDialogue("10.0.0.1:1234", "10.0.0.2:80")
	d.Client("GET / HTTP/1.1\r\nHost: example.net\r\n\r\n")
	d.Server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	d.Close()
	return d
}
