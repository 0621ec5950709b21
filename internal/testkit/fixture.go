package testkit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// Fixture is a capture of the crate that this library mirrors, built again packet by packet.
type Fixture []flowscope.PacketView

// Add appends a frame, a step after the last.
func (f *Fixture) Add(step time.Duration, frame []byte) {
	at := flowscope.NewTimestamp(1_700_000_000, 0).Add(step * time.Duration(len(*f)))
	*f = append(*f, flowscope.PacketView{Frame: frame, Timestamp: at, ID: uint64(len(*f) + 1)})
}

// HTTPSession is one request and its response.
func HTTPSession() (f Fixture) {
	const a, b = "10.0.0.1:54321", "10.0.0.2:80"
	say := func(from, to, flags string, seq, ack uint32, text string) {
		f.Add(50*time.Microsecond, TCP(from, to, flags, seq, ack, text))
	}
	request := "GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: flowscope-test/1\r\n\r\n"
	response := "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\nHello, world!"
	say(a, b, "S", 1000, 0, "")
	say(b, a, "SA", 5000, 1001, "")
	say(a, b, "A", 1001, 5001, "")
	say(a, b, "PA", 1001, 5001, request)
	say(b, a, "A", 5001, 1001+uint32(len(request)), "")
	say(b, a, "PA", 5001, 1001+uint32(len(request)), response)
	say(a, b, "A", 1001+uint32(len(request)), 5001+uint32(len(response)), "")
	say(a, b, "FA", 1001+uint32(len(request)), 5001+uint32(len(response)), "")
	say(b, a, "FA", 5001+uint32(len(response)), 1002+uint32(len(request)), "")
	say(a, b, "A", 1002+uint32(len(request)), 5002+uint32(len(response)), "")
	return f
}

// DNSQueries are three questions and their answers.
func DNSQueries() (f Fixture) {
	const a, b = "192.168.1.100:53300", "192.168.1.1:53"
	for _, n := range [][2]int{{28, 44}, {31, 56}, {32, 56}} {
		f.Add(100*time.Microsecond, frames.UDP{Src: a, Dst: b, Payload: make([]byte, n[0])}.Ethernet())
		f.Add(100*time.Microsecond, frames.UDP{Src: b, Dst: a, Payload: make([]byte, n[1])}.Ethernet())
	}
	return f
}

// Run plays a fixture with a final sweep and keeps all events.
func (f Fixture) Run(t *testing.T) (all []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
	tr := NewTracker(t, flowscope.Config{})
	keep := func(events []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
		for i := range events {
			all = append(all, events[i].Clone())
		}
	}
	for _, v := range f {
		keep(tr.Track(v))
	}
	keep(tr.Sweep(f[len(f)-1].Timestamp.Add(time.Hour)))
	assert.Equal(t, 0, tr.Len())
	return all
}
