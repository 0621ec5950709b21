// Package dns reads the Domain Name System as seen from beside the path: questions, answers, and the
// time between them. It is a protocol of flowscope's session layer:
//
//	drv, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, flowscope.Config{}, dns.Factory{})
//	...
//	case *dns.Transaction:
//		fmt.Println(m.Name, m.Type, m.Outcome, m.Rcode)
//		for r := range m.Response.Answers() {
//			fmt.Println(r.Name, r.TTL, r.Type, r.Text())
//		}
//
// # Messages
//
// A [*Transaction] is a query with its response, over UDP or TCP. The response belongs to the query
// of the same flow with the same number and the same first question, in upper or lower case; if one
// of them has no question that can be read, the number decides. A query that is sent again before
// its answer is the same transaction, with the times of both. Queries without response, and responses
// without query, are transactions too, with another [Outcome].
//
// A [*Multicast] is one message of mDNS or LLMNR, which are never paired. A [*Lost] reports bytes that
// could not be read.
//
// # Records
//
// A [Message] is the bytes as they came, read through once to find damage, and records are taken
// apart when they are asked for, without allocating: [Message.Answers] gives each [Record], and
// [Record.Addr], [Record.Target], [Record.MX] and so on its data. [Record.AppendText] shows any record
// in the form of a zone file. Names are bytes; in texts those that are not printable are escaped.
//
// All of it is lent until the next call on the driver, and Clone of the event, or CloneMessage,
// keeps it.
//
// # Damage and loss
//
// No number in a message is trusted: counts do not allocate, pointers of compressed names go backwards
// only, and a record that cannot be read ends the reading of its message, while the records before it
// stay ([Message.Damaged]). After a gap in a TCP connection reading goes on at the next place where a
// length is followed by as many bytes that are one message in good order. Open queries are bounded
// by number and size in each flow, and by Config.SessionBytes in all.
//
// # Recognition
//
// Ports decide between DNS and its relatives, of which the messages look the same: UDP port 5353 is
// mDNS, port 5355 LLMNR. On port 53 everything is taken for DNS, over TCP if it begins like it. On
// other ports every message of both sides must read as a whole, from the first byte to the last; the
// first that does not ends the reading of the flow ([NotDNS]). NetBIOS name service is left alone.
// DNS over TLS, HTTPS and QUIC cannot be read; [ParseMessage] reads a message that came by other
// ways.
package dns

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/flowscope-go/flowscope"
)

// Factory makes parsers of DNS over UDP and TCP, of multicast DNS (RFC 6762) and of LLMNR (RFC 4795).
// The zero value has the defaults.
type Factory struct {
	// Timeout is how long a query waits for its response, in the time of packets. Default 10 s.
	Timeout time.Duration
	// MaxPending bounds the queries of a flow that wait for their responses. Default 1,024.
	MaxPending int
}

// config is a Factory with its defaults filled in.
type config struct {
	timeout    time.Duration
	maxPending int
}

func (f Factory) config() config {
	c := config{timeout: f.Timeout, maxPending: f.MaxPending}
	if c.timeout <= 0 {
		c.timeout = 10 * time.Second
	}
	if c.maxPending <= 0 {
		c.maxPending = 1024
	}
	return c
}

// service is the protocol that the ports of a flow stand for.
type service uint8

const (
	unset     service = iota
	unicast           // port 53: damaged messages are DNS too
	otherPort         // DNS as long as every message reads as a whole
	mdns              // UDP port 5353
	llmnr             // port 5355
)

const (
	portDNS     = 53
	portNetBIOS = 137
	portMDNS    = 5353
	portLLMNR   = 5355
)

func serviceOf(l4 flowscope.L4Proto, ports [2]uint16) service {
	switch {
	case slices.Contains(ports[:], portDNS):
		return unicast
	case slices.Contains(ports[:], portMDNS) && l4 == flowscope.L4UDP: // there is no mDNS over TCP
		return mdns
	case slices.Contains(ports[:], portLLMNR):
		return llmnr
	}
	return otherPort
}

// NewSessionParser implements flowscope.SessionParserFactory.
func (f Factory) NewSessionParser() flowscope.SessionParser {
	return &streams{parser: parser{config: f.config()}}
}

// NewDatagramParser implements flowscope.DatagramParserFactory.
func (f Factory) NewDatagramParser() flowscope.DatagramParser {
	return &datagrams{parser: parser{config: f.config()}}
}

// Probe implements flowscope.ParserFactory.
func (Factory) Probe(p flowscope.Probe) flowscope.Verdict {
	s := serviceOf(p.L4, p.Ports)
	switch {
	case p.L4 == flowscope.L4TCP:
		return probeStream(p.First, s != otherPort)
	case s == unicast:
		return flowscope.VerdictYes
	case s == mdns, s == llmnr:
		m, ok := ParseMessage(p.First)
		return verdict(ok && m.Opcode() == OpcodeQuery && m.NumQuestions()+m.NumAnswers() > 0)
	case slices.Contains(p.Ports[:], portNetBIOS):
		return flowscope.VerdictNo
	}
	return verdict(isWhole(p.First))
}

// ProbePorts implements flowscope.FactoryPorts.
func (Factory) ProbePorts() []uint16 { return []uint16{portDNS, portMDNS, portLLMNR} }

// probeStream says whether a length and a message begin here. If the port is sure a plausible header
// is enough; otherwise the whole message must be there, and in order.
func probeStream(b []byte, sure bool) flowscope.Verdict {
	most := 1<<16 - 1
	if !sure {
		most = flowscope.MaxProbe - 2
	}
	if len(b) < 2 {
		return min(verdict(int(b[0])<<8 <= most), flowscope.VerdictMaybe)
	}
	n := int(binary.BigEndian.Uint16(b))
	maybe, yes := plausible(b[2:min(2+n, len(b))], n)
	switch {
	case n > most || !maybe:
		return flowscope.VerdictNo
	case sure && yes:
		return flowscope.VerdictYes
	case len(b) < 2+n:
		return flowscope.VerdictMaybe
	}
	return verdict(isWhole(b[2 : 2+n]))
}

func verdict(yes bool) flowscope.Verdict {
	if yes {
		return flowscope.VerdictYes
	}
	return flowscope.VerdictNo
}
