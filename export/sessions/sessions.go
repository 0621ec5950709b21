// Package sessions writes the messages of a driver's parsers in the formats of other programs: lines of
// Zeek's http.log, ssl.log and dns.log, as tables and in JSON, and Suricata's EVE records http, tls and
// dns. It goes with package export, which writes the records of flows.
//
// Every function appends to a slice and returns it:
//
//	for ev, err := range driver.Events(flowscope.OpenCapture("traffic.pcap")) {
//		...
//		line = sessions.AppendEVE(line[:0], driver.UID(ev), ev)
//		...
//	}
//
// Messages without a line, such as those about losses, append nothing. What a log has and a message does
// not is unset. Nothing is allocated but for the certificates of TLS, which are parsed, and fingerprints.
package sessions

import (
	"bytes"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// ZeekLog is one of Zeek's logs.
type ZeekLog uint8

const (
	NoZeekLog ZeekLog = iota
	ZeekHTTP          // http.log: *http1.Exchange
	ZeekSSL           // ssl.log: *tls.Handshake
	ZeekDNS           // dns.log: *dns.Transaction
)

// String is the name of the log, such as "http", or "none".
func (l ZeekLog) String() string {
	switch l {
	case ZeekHTTP:
		return "http"
	case ZeekSSL:
		return "ssl"
	case ZeekDNS:
		return "dns"
	}
	return "none"
}

// ZeekLogOf is the log that AppendZeek writes an event's message to, or NoZeekLog.
func ZeekLogOf(ev *flowscope.Event) ZeekLog {
	switch ev.Message.(type) {
	case *http1.Exchange:
		return ZeekHTTP
	case *tls.Handshake:
		return ZeekSSL
	case *dns.Transaction:
		return ZeekDNS
	}
	return NoZeekLog
}

// AppendZeekHeader appends the lines that stand before the rows of a log.
func AppendZeekHeader(b []byte, log ZeekLog) []byte {
	if log.String() == "none" {
		return b
	}
	b = append(b, "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t"...)
	b = append(append(b, log.String()...), "\n#fields"...)
	names := row{b: b, as: asNames}
	names.message(log, flowscope.UID{}, &flowscope.Event{})
	types := row{b: append(names.b, "\n#types"...), as: asTypes}
	types.message(log, flowscope.UID{}, &flowscope.Event{})
	return append(types.b, '\n')
}

// AppendZeek appends an event's message as a row of the log that ZeekLogOf says. uid names its flow, as
// the record of the flow does: that of FlowDriver.UID. Of http.log the user agent, the referrer and the like are
// set only with http1.Factory{Want: http1.WantFields}.
func AppendZeek(b []byte, uid flowscope.UID, ev *flowscope.Event) []byte {
	log := ZeekLogOf(ev)
	if log == NoZeekLog {
		return b
	}
	r := row{b: b, as: asRow, start: len(b)}
	r.message(log, uid, ev)
	return append(r.b, '\n')
}

// AppendZeekJSON appends what AppendZeek does as a line of JSON. Its field _path names the log, so that
// lines of several logs can be one stream.
func AppendZeekJSON(b []byte, uid flowscope.UID, ev *flowscope.Event) []byte {
	log := ZeekLogOf(ev)
	if log == NoZeekLog {
		return b
	}
	r := row{b: append(append(append(b, `{"_path":"`...), log.String()...), '"'), as: asJSON}
	r.message(log, uid, ev)
	return append(r.b, "}\n"...)
}

// ends are those of the flow of a message: the initiator's first.
func ends(ev *flowscope.Event) (initiator, responder flowscope.Endpoint) {
	from, to := ev.Ends(flowscope.Initiator)
	return flowscope.Endpoint{Addr: from.Addr(), Port: from.Port()}, flowscope.Endpoint{Addr: to.Addr(), Port: to.Port()}
}

// field is the value of a header field, nil if it is not there or fields were not wanted.
func field(fields []http1.Field, name string) []byte {
	for i := range fields {
		if len(fields[i].Name) == len(name) && bytes.EqualFold(fields[i].Name, []byte(name)) {
			return fields[i].Value
		}
	}
	return nil
}
