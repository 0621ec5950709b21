package flowtest_test

import (
	"fmt"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
)

// A parser that has to survive loss, tested without a capture.
func ExampleDialogue() {
	d := flowtest.NewDialogue("10.0.0.1:1234", "10.0.0.2:80")
	d.Client("GET / HTTP/1.0\r\n\r\n")
	d.MSS = 20
	d.Server("HTTP/1.0 200 OK\r\n\r\nnobody captured this").Lose(2)
	d.Close()

	for c, err := range flowscope.Conversations(flowtest.Sequence(d.Views())) {
		if err != nil {
			panic(err)
		}
		answer := c.Sides[flowscope.Responder]
		fmt.Printf("%v %q %v\n", c.Reason, answer.Bytes, answer.Gaps)
	}
	// Output: fin "HTTP/1.0 200 OK\r\n\r\nn" [{20 19 ended}]
}

// What a test of a program looks like: the third connection of a capture, what its client said, and all
// events of it in a file that -flowtest.update renews.
func Example_test() {
	t := &testing.T{} // as a test gets it

	third := flowtest.Conversations(t, "../testdata/captures/sessions.pcap")[2]
	fmt.Printf("%.15s\n", third.Sides[flowscope.Initiator].Bytes)

	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	if err != nil {
		t.Fatal(err)
	}
	events := flowtest.Replay(tracker, flowtest.Load(t, "../testdata/captures/http.pcap"))
	ended := flowtest.Select(events, flowscope.EventEnded)
	flowtest.Golden(t, "testdata/http.txt", flowtest.Text(ended))

	// Output: GET /one.txt HT
}
