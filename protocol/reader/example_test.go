package reader_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/reader"
)

// net/http reads the requests of a connection that was captured.
func Example() {
	read := func(side flowscope.FlowSide, s *reader.Stream) {
		if side != flowscope.Initiator {
			return
		}
		for b := bufio.NewReader(s); ; {
			r, err := http.ReadRequest(b)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(r.Body)
			fmt.Println(r.Method, r.Host, r.URL, len(body))
		}
	}
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, reader.Factory{Read: read})
	if err != nil {
		panic(err)
	}
	flow := player.TCP(40000, 80)
	flow.Data(flowscope.Initiator, []byte("GET /one HTTP/1.1\r\nHost: example.com\r\n\r\nPOST /two HT"), 1)
	flow.Data(flowscope.Initiator, []byte("TP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello"), 2)
	flow.End(flowscope.EndFIN, 3)
	// Output:
	// GET example.com /one 0
	// POST example.com /two 5
}

// Behind a gap reading goes on, here at the next line.
func ExampleGap() {
	read := func(side flowscope.FlowSide, s *reader.Stream) {
		b := bufio.NewReader(s)
		for {
			line, err := b.ReadString('\n')
			var gap reader.Gap
			switch {
			case errors.As(err, &gap):
				fmt.Printf("%q and then %d bytes are missing\n", line, gap.Bytes)
				if _, err := b.ReadString('\n'); err != nil {
					return
				}
			case err != nil:
				return
			default:
				fmt.Printf("%q\n", line)
			}
		}
	}
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, reader.Factory{Read: read})
	if err != nil {
		panic(err)
	}
	flow := player.TCP(40000, 80)
	flow.Data(flowscope.Initiator, []byte("one\ntw"), 1)
	flow.Gap(flowscope.Initiator, 100, 2)
	flow.Data(flowscope.Initiator, []byte("ty\nthirty\n"), 3)
	flow.End(flowscope.EndFinished, 4)
	// Output:
	// "one\n"
	// "tw" and then 100 bytes are missing
	// "thirty\n"
}
