package http1

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/flowscope-go/flowscope"
)

// Exchange is a request and the final response to it, or one of the two where the other was not
// seen.
type Exchange struct {
	// Client is the side that sent the request, or would have.
	Client flowscope.FlowSide
	Flags  Flags
	// Status is that of the final response, such as 200; 0 if there was none, or if it was one of
	// HTTP/0.9.
	Status uint16
	// Interim is the number of responses 1xx before the final one (RFC 9110 section 15.2).
	Interim uint16
	// Method, Target and Host are as sent. Target is all between the method and the version. Host
	// is the Host field without white space around it; nil if there is none.
	Method, Target, Host Text
	// Request and Response tell of the two messages. A zero Began means that it was not seen.
	Request, Response Part
}

// Part is one of the two messages of an Exchange.
type Part struct {
	// Began and Ended are the times of its first and last byte; those of the bytes' own packets,
	// also where they waited for bytes before them. Ended is 0 if it is not complete.
	Began, Ended flowscope.Timestamp
	// Offset is the place of its first byte in its side's stream, as in flowscope.FlowEvent.Offset.
	Offset int64
	// Body is the size of its body, without chunked coding and before content coding is undone,
	// including Missing bytes that are lost in a gap.
	Body, Missing int64
	// Version is that of its first line.
	Version Version
	// Fields are the header fields; only with WantFields.
	Fields []Field
}

// Latency is the time from the first byte of the request to the first byte of the final response.
// It reports false unless both were seen.
func (e *Exchange) Latency() (time.Duration, bool) {
	if e.Flags&(NoRequest|NoResponse) != 0 {
		return 0, false
	}
	return e.Response.Began.Sub(e.Request.Began), true
}

// CloneMessage is a copy that shares no memory with e.
func (e *Exchange) CloneMessage() flowscope.Message {
	c := *e
	c.Method, c.Target, c.Host = bytes.Clone(e.Method), bytes.Clone(e.Target), bytes.Clone(e.Host)
	c.Request.Fields, c.Response.Fields = cloneFields(e.Request.Fields), cloneFields(e.Response.Fields)
	return &c
}

// Flags are the peculiarities of a message.
type Flags uint32

const (
	// NoRequest: the request was not seen.
	NoRequest Flags = 1 << iota
	// NoResponse: there was no final response, or it was not seen.
	NoResponse
	// RequestCut: the request was not seen to its end.
	RequestCut
	// ResponseCut: the response was not seen to its end.
	ResponseCut
	// Early: the final response began before the request was complete (RFC 9110 section 10.1.1).
	Early
	// Uncertain: the request may belong to another response, since some were lost of a client that
	// sends requests ahead.
	Uncertain
	// AfterGap: requests before this one may be lost.
	AfterGap
	// Ambiguous: receivers may disagree about the length of a body: Transfer-Encoding with
	// Content-Length or in HTTP/1.0, or Content-Lengths that differ (RFC 9112 section 6.3).
	Ambiguous
	// Malformed: a line is not as RFC 9112 wants it, such as white space before the colon of a
	// field or a request line without version.
	Malformed
	// Upgraded: the response has ended HTTP on the connection; Switched follows.
	Upgraded

	numFlags = iota
)

var flagNames = [numFlags]string{
	"no_request", "no_response", "request_cut", "response_cut", "early", "uncertain", "after_gap",
	"ambiguous", "malformed", "upgraded",
}

// Names are the names of the flags that are set, such as "no_response".
func (f Flags) Names() []string {
	var names []string
	for i, name := range flagNames {
		if f>>i&1 != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String is the names of the flags, with a bar between.
func (f Flags) String() string { return strings.Join(f.Names(), "|") }

// Version is a version of HTTP: major version times 256, plus minor version. It is 0 where a line has
// none that can be read.
type Version uint16

const (
	Version09 Version = 0x0009
	Version10 Version = 0x0100
	Version11 Version = 0x0101
)

// String is such as "HTTP/1.1", or empty for 0.
func (v Version) String() string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("HTTP/%d.%d", v>>8, v&0xff)
}

// Text is bytes of a peer that should be text but may be anything.
type Text []byte

// String shows printable ASCII as it is, and all other bytes, and the backslash, as \xHH.
func (t Text) String() string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, len(t))
	for _, c := range t {
		if ' ' <= c && c <= '~' && c != '\\' {
			b = append(b, c)
		} else {
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// Field is a header or trailer field.
type Field struct {
	// Name is as sent, Value without white space around it. Where the value was folded over
	// several lines (obs-fold, RFC 9112 section 5.2), line ends in it are spaces.
	Name, Value Text
}

func cloneFields(fields []Field) []Field {
	if fields == nil {
		return nil
	}
	c := make([]Field, len(fields))
	for i, f := range fields {
		c[i] = Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)}
	}
	return c
}

// Request is the head of a request. Flags may have RequestCut, AfterGap, Ambiguous and Malformed.
type Request struct {
	Flags   Flags
	Version Version
	Began   flowscope.Timestamp
	// Offset is the place of the head in the client's stream. It is that of Exchange.Request.
	Offset               int64
	Method, Target, Host Text
	Fields               []Field
}

// CloneMessage is a copy that shares no memory with r.
func (r *Request) CloneMessage() flowscope.Message {
	c := *r
	c.Method, c.Target, c.Host = bytes.Clone(r.Method), bytes.Clone(r.Target), bytes.Clone(r.Host)
	c.Fields = cloneFields(r.Fields)
	return &c
}

// Response is the head of a response, interim or final. Flags may have NoRequest, ResponseCut,
// Uncertain, Ambiguous and Malformed.
type Response struct {
	Flags   Flags
	Version Version
	Status  uint16
	Began   flowscope.Timestamp
	// Offset is the place of the head in the server's stream. Request is that of the request's
	// head in the client's stream; -1 with NoRequest.
	Offset, Request int64
	Reason          Text
	Fields          []Field
}

// CloneMessage is a copy that shares no memory with r.
func (r *Response) CloneMessage() flowscope.Message {
	c := *r
	c.Reason, c.Fields = bytes.Clone(r.Reason), cloneFields(r.Fields)
	return &c
}

// Body is a piece of a body, as it lies in one packet at most, without chunked coding. Pieces come in
// order.
type Body struct {
	// Of is the place of the message's head in its side's stream.
	Of int64
	// Offset is the place of the piece in the body.
	Offset int64
	// Bytes is the piece. It is nil if Missing bytes of the body are lost in a gap.
	Bytes   []byte
	Missing int64
	// IsRequest is set if it is of a request's body.
	IsRequest bool
}

// CloneMessage is a copy that shares no memory with b.
func (b *Body) CloneMessage() flowscope.Message {
	c := *b
	c.Bytes = bytes.Clone(b.Bytes)
	return &c
}

// Trailer is the fields behind a chunked body (RFC 9112 section 7.1.2), if there are any.
type Trailer struct {
	// Of is the place of the message's head in its side's stream.
	Of        int64
	Fields    []Field
	IsRequest bool
}

// CloneMessage is a copy that shares no memory with t.
func (t *Trailer) CloneMessage() flowscope.Message {
	c := *t
	c.Fields = cloneFields(t.Fields)
	return &c
}

// Lost says that a side cannot be read from a place on, and again, with Found, where it can.
type Lost struct {
	Why LostWhy
	// Found: a head was found, Skipped bytes after the place where reading had stopped. Without
	// it, the parser looks for one (LostGap, LostMidstream) or has given up.
	Found   bool
	Skipped int64
	// Offset is the place in the side's stream: where reading stopped, or where it goes on.
	Offset int64
	// IsClient is set if it is the side of the client.
	IsClient bool
}

// CloneMessage is a copy of l.
func (l *Lost) CloneMessage() flowscope.Message { c := *l; return &c }

// LostWhy is why a side cannot be read.
type LostWhy uint8

const (
	// LostGap: bytes are missing, and not all of them in a body of known length. The parser looks
	// for the next head.
	LostGap LostWhy = iota + 1
	// LostMidstream: the first bytes seen of the side are not the start of a message. The parser
	// looks for the next head.
	LostMidstream
	// LostFraming: the bytes contradict RFC 9112. The side is read no further.
	LostFraming
	// LostTooLong: a head or line is longer than Factory.MaxHead. The side is read no further.
	LostTooLong
	// LostPending: more than Factory.MaxPending requests without a response; the oldest was given
	// up. It is told once.
	LostPending
	// LostBudget: Config.SessionBytes is used up. The connection is read no further.
	LostBudget

	numLost
)

var lostNames = [numLost]string{"", "gap", "midstream", "framing", "too_long", "pending", "budget"}

// String is a short name, such as "gap".
func (w LostWhy) String() string {
	if int(w) < len(lostNames) && lostNames[w] != "" {
		return lostNames[w]
	}
	return "unknown"
}

// Switched says that HTTP/1 ends here and something else begins, on both sides. The parser hands
// over, so another parser may go on.
type Switched struct {
	Why SwitchWhy
	// Protocol is the Upgrade field of the response 101, such as "websocket"; "h2" for
	// SwitchPreface. It is nil for a tunnel, where nothing names it.
	Protocol Text
	// Target is that of the request, such as "example.com:443" for SwitchConnect.
	Target Text
	Client flowscope.FlowSide
}

// CloneMessage is a copy that shares no memory with s.
func (s *Switched) CloneMessage() flowscope.Message {
	c := *s
	c.Protocol, c.Target = bytes.Clone(s.Protocol), bytes.Clone(s.Target)
	return &c
}

// SwitchWhy is how HTTP/1 came to an end.
type SwitchWhy uint8

const (
	// SwitchUpgrade: 101 Switching Protocols (RFC 9110 section 7.8).
	SwitchUpgrade SwitchWhy = iota + 1
	// SwitchConnect: a 2xx to CONNECT; the rest is a tunnel (RFC 9110 section 9.3.6).
	SwitchConnect
	// SwitchUnanswered: bytes behind a CONNECT whose response was not captured.
	SwitchUnanswered
	// SwitchPreface: the client sent the preface of HTTP/2 (RFC 9113 section 3.4).
	SwitchPreface

	numSwitch
)

var switchNames = [numSwitch]string{"", "upgrade", "connect", "unanswered", "preface"}

// String is a short name, such as "upgrade".
func (w SwitchWhy) String() string {
	if int(w) < len(switchNames) && switchNames[w] != "" {
		return switchNames[w]
	}
	return "unknown"
}
