package http1_test

import (
	"fmt"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/http1"
)

// The conversation of the package comment, played without packets: an interim response, and two
// responses of which a gap has taken the first one.
func Example() {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, http1.Factory{})
	if err != nil {
		panic(err)
	}
	show := func(emitted []flowscope.Emitted) {
		for _, e := range emitted {
			switch m := e.Message.(type) {
			case *http1.Exchange:
				latency, _ := m.Latency()
				fmt.Printf("%s http://%s%s %d, body %d, interim %d, %v, flags %q\n",
					m.Method, m.Host, m.Target, m.Status, m.Response.Body, m.Interim, latency, m.Flags.Names())
			case *http1.Lost:
				fmt.Printf("lost: %v at %d, found %v\n", m.Why, m.Offset, m.Found)
			}
		}
	}
	const ms = 1_000_000
	get := func(target string) []byte {
		return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: example.com\r\n\r\n", target)
	}
	flow := player.TCP(40000, 80)
	show(flow.Data(flowscope.Initiator, get("/a"), 1*ms))
	show(flow.Data(flowscope.Responder, []byte("HTTP/1.1 100 Continue\r\n\r\n"), 2*ms))
	show(flow.Data(flowscope.Responder, []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 4*ms))
	show(flow.Data(flowscope.Initiator, get("/b"), 5*ms))
	show(flow.Gap(flowscope.Responder, 300, 6*ms))
	show(flow.Data(flowscope.Initiator, get("/c"), 7*ms))
	show(flow.Data(flowscope.Responder, []byte("HTTP/1.1 204 No Content\r\n\r\n"), 9*ms))
	// Output:
	// GET http://example.com/a 200, body 5, interim 1, 3ms, flags []
	// lost: gap at 68, found false
	// lost: gap at 368, found true
	// GET http://example.com/b 0, body 0, interim 0, 0s, flags ["no_response"]
	// GET http://example.com/c 204, body 0, interim 0, 2ms, flags []
}

// Bodies pass as they come; they are never put together.
func ExampleBody() {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, http1.Factory{Want: http1.WantBodies | http1.WantTrailers})
	if err != nil {
		panic(err)
	}
	flow := player.TCP(40000, 80)
	request := "POST /up HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nSum: 7\r\n\r\n"
	for _, e := range flow.Data(flowscope.Initiator, []byte(request), 1) {
		switch m := e.Message.(type) {
		case *http1.Body:
			fmt.Printf("%d: %s\n", m.Offset, m.Bytes)
		case *http1.Trailer:
			fmt.Printf("%s = %s\n", m.Fields[0].Name, m.Fields[0].Value)
		}
	}
	// Output:
	// 0: abc
	// 3: defg
	// Sum = 7
}

// What follows CONNECT or an accepted Upgrade is not HTTP any more.
func ExampleSwitched() {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, http1.Factory{})
	if err != nil {
		panic(err)
	}
	flow := player.TCP(40000, 80)
	flow.Data(flowscope.Initiator, []byte("GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 1)
	response := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"
	for _, e := range flow.Data(flowscope.Responder, []byte(response), 2) {
		if m, ok := e.Message.(*http1.Switched); ok {
			fmt.Printf("%v to %s at %s\n", m.Why, m.Protocol, m.Target)
		}
	}
	// Output:
	// upgrade to websocket at /chat
}
