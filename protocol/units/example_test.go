package units_test

import (
	"fmt"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/units"
)

// Messages with their length in front, on port 4000.
func Example() {
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, units.Factory{Ports: []uint16{4000}, Split: units.Prefixed(2)})
	if err != nil {
		panic(err)
	}
	flow := player.TCP(50000, 4000)
	show := func(list []flowscope.Emitted) {
		for _, e := range list {
			switch m := e.Message.(type) {
			case *units.Unit:
				fmt.Printf("%v at %d: %q\n", e.Side, m.Offset, m.Bytes)
			case *units.Lost:
				fmt.Printf("%v at %d: %v\n", e.Side, m.Offset, m.Err)
			}
		}
	}
	show(flow.Data(flowscope.Initiator, []byte("\x00\x05hello\x00\x05wo"), 1))
	show(flow.Data(flowscope.Initiator, []byte("rld\x00\x03"), 2))
	show(flow.Gap(flowscope.Initiator, 100, 3))
	show(flow.Data(flowscope.Responder, []byte("\x00\x06answer"), 4))
	// Output:
	// initiator at 0: "hello"
	// initiator at 7: "world"
	// initiator at 14: flowscope/units: bytes of the stream are missing
	// responder at 0: "answer"
}

// A header of the protocol's own: a type, a length of two bytes, lowest first, and the rest.
func ExampleFactory() {
	split := func(data []byte, _ bool) (int, []byte, error) {
		if len(data) < 3 || len(data) < 3+int(data[1])+int(data[2])<<8 {
			return 0, nil, nil
		}
		n := 3 + int(data[1]) + int(data[2])<<8
		return n, data[:n], nil
	}
	player, err := flowscope.NewSessionPlayer(flowscope.Config{}, units.Factory{Ports: []uint16{4000}, Split: split})
	if err != nil {
		panic(err)
	}
	flow := player.TCP(50000, 4000)
	for _, e := range flow.Data(flowscope.Initiator, []byte("A\x02\x00xyB\x00\x00"), 1) {
		u := e.Message.(*units.Unit)
		fmt.Printf("%c %q\n", u.Bytes[0], u.Bytes[3:])
	}
	// Output:
	// A "xy"
	// B ""
}
