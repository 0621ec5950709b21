package export

import (
	"bytes"
	"time"

	"github.com/flowscope-go/flowscope"
)

// conn is what conn.log says beside what a record has.
type conn struct {
	origPort, respPort uint16
	state              string
	hasDuration        bool
	duration           time.Duration
	bytes              [2]uint64
	missed             uint64
}

// zeekProto is the name of a protocol; Zeek knows four.
func zeekProto(p flowscope.L4Proto) string {
	switch p {
	case flowscope.L4TCP:
		return "tcp"
	case flowscope.L4UDP:
		return "udp"
	case flowscope.L4ICMP, flowscope.L4ICMPv6:
		return "icmp"
	}
	return "unknown_transport"
}

func (c *conn) addr(b []byte, e flowscope.Endpoint) []byte {
	if !e.Addr.IsValid() {
		return append(b, '-')
	}
	return e.Addr.AppendTo(b)
}

func connOf(r *flowscope.Record) conn {
	c := conn{origPort: r.Initiator.Port, respPort: r.Responder.Port, bytes: r.PayloadBytes, state: "OTH"}
	switch r.Proto {
	case flowscope.L4TCP:
		for i := range c.bytes {
			c.bytes[i] = r.Delivered[i] + r.GapBytes[i] + r.DroppedBytes[i]
			c.missed += r.GapBytes[i]
		}
		c.state = tcpState(r, c.bytes)
	case flowscope.L4UDP:
		c.state = "SF"
		if r.Packets[1] == 0 {
			c.state = "S0"
		}
	case flowscope.L4ICMP, flowscope.L4ICMPv6:
		c.origPort, c.respPort = uint16(r.ICMPType), uint16(r.ICMPCode)
		if answer := icmpAnswer(r.Proto, r.ICMPType); answer >= 0 {
			c.respPort = uint16(answer)
		}
	}
	end := r.End
	if c.state == "SF" && r.Proto == flowscope.L4TCP && r.InitiatorFIN != 0 && r.ResponderFIN != 0 {
		end = max(r.InitiatorFIN, r.ResponderFIN) // the rest does not count
	}
	c.duration = end.Sub(r.Start)
	c.hasDuration = c.duration > 0
	return c
}

// tcpState is Zeek's conn_state, which is that of both ends where each of them stands at last.
func tcpState(r *flowscope.Record, sizes [2]uint64) string {
	orig, resp := r.Flags[0], r.Flags[1]
	syn := orig.Has(flowscope.FlagSYN)
	synACK := resp.Has(flowscope.FlagSYN)
	origFIN, respFIN := orig.Has(flowscope.FlagFIN), resp.Has(flowscope.FlagFIN)
	origRST, respRST := orig.Has(flowscope.FlagRST), resp.Has(flowscope.FlagRST)
	var space [16]byte
	letters, _ := r.History.AppendText(space[:0])
	refused := syn && (!synACK || comesBefore(letters, 'r', 'h')) // an answer that came after the end does not count
	switch {
	case origFIN && respFIN:
		return "SF"
	case respRST && (refused && !origRST || origRST && sizes == [2]uint64{}):
		return "REJ"
	case respRST && !syn:
		return "RSTRH"
	case respRST:
		return "RSTR"
	case origRST && !synACK:
		return "RSTOS0"
	case origRST:
		return "RSTO"
	case origFIN && !synACK:
		return "SH"
	case origFIN:
		return "S2"
	case respFIN && !syn:
		return "SHR"
	case respFIN:
		return "S3"
	case syn && r.Packets[1] == 0:
		return "S0"
	case synACK && bytes.HasPrefix(letters, []byte("^h")):
		// The answer came before the SYN: Zeek does not take the SYN for one any more.
		if syn || !orig.Has(flowscope.FlagACK) {
			return "OTH"
		}
		return "S1"
	case syn && synACK:
		return "S1"
	}
	return "OTH"
}

// comesBefore reports whether a is among the letters, and before b.
func comesBefore(letters []byte, a, b byte) bool {
	i := bytes.IndexByte(letters, a)
	return i >= 0 && i < bytes.IndexByte(letters, b)
}

// appendHistory appends the history: that of TCP, or which sides of UDP have sent.
func (c *conn) appendHistory(b []byte, r *flowscope.Record) []byte {
	if r.Proto == flowscope.L4UDP {
		if b = append(b, 'D'); r.Packets[1] != 0 {
			b = append(b, 'd')
		}
		return b
	}
	b, _ = r.History.AppendText(b)
	return b
}
