// Package http1 reads HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112) as seen from beside the path.
//
// Factory recognises the protocol by the first bytes of a side, on any port, and makes parsers for
// flowscope.NewFlowSessionDriver. A parser emits one [Exchange] for each request with the final
// response to it:
//
//	client sends          server sends               messages
//
//	GET /a HTTP/1.1
//	Host: example.com
//	                      HTTP/1.1 100 Continue
//	                      HTTP/1.1 200 OK
//	                      Content-Length: 5
//
//	GET /b HTTP/1.1       hello                      Exchange GET /a, 200, Interim 1, Response.Body 5
//	Host: example.com
//	                      (a gap of 300 bytes)       Lost LostGap, of the server
//	GET /c HTTP/1.1
//	Host: example.com     HTTP/1.1 204 No Content    Lost, Found: reading goes on
//	                                                 Exchange GET /b, NoResponse
//	                                                 Exchange GET /c, 204
//
// # Exchanges
//
// Method, target, host, versions, status, how many interim (1xx) responses came before the final
// one, the times of the first and last byte of the request and of the final response, the sizes of
// both bodies without chunked coding, and how many bytes of each were not captured. Bodies are
// counted, never kept; Factory.Want adds messages for their bytes as they pass ([Body]), for heads as
// soon as they are complete ([Request], [Response]) and for trailers ([Trailer]), and header fields
// to exchanges.
//
// Exchanges come in the order of the requests, each as soon as it is complete. A request without a
// response has the flag NoResponse, a response without a request NoRequest.
//
// # Loss
//
// A gap inside a body of known length, or inside a chunk, is counted as missing and nothing else is
// lost. After another gap the parser looks for the next head at the start of a line, and tells so
// with [Lost]. Responses answer requests in order (RFC 9112 section 9.3.2). After a gap in what the
// server sent, some responses may be missing: a client that was never seen to send a request before
// the response to the one before had its responses to all requests but the last one that it sent
// before this response, so that one is paired. The requests of a client that was, are paired first in,
// first out, and have the flag Uncertain.
//
// "Before" is the order of the packets, not that in which a driver delivers, since bytes behind a
// gap are delivered late. For the same reason a response to no known request waits for
// Factory.LateRequest before it is told as one.
//
// Where bytes contradict the framing rules, there is no gap to blame and nothing behind them can
// be trusted, so that side is read no further ([Lost], LostFraming).
//
// # Where HTTP/1 ends
//
// After 101 (Switching Protocols), after a 2xx to CONNECT, and at the preface of HTTP/2 the parser
// emits [Switched] and hands the connection over to the other parsers of the driver. Switched names
// the protocol, so a connection that no parser reads from there on, such as WebSocket or HTTP/2, is
// known as one.
package http1

import (
	"time"

	"github.com/flowscope-go/flowscope"
)

// Factory makes parsers of HTTP/1 connections. The zero value is ready; a field of 0 has its
// default.
type Factory struct {
	// Want says which messages are emitted besides Exchange, Lost and Switched. Default none.
	Want Want
	// MaxHead bounds the head of a message, from its first line to the empty line, a line of a
	// chunked body, the trailers, and the bytes held behind a CONNECT that is not answered. A
	// longer head is emitted as far as it goes, with RequestCut or ResponseCut, and its side is
	// read no further (LostTooLong). Default 64 KiB; at least 256.
	MaxHead int
	// MaxPending bounds the requests of a connection that wait for their response. For one more,
	// the oldest is emitted without (Lost, LostPending). Default 4096; at least 2.
	MaxPending int
	// MaxUnasked bounds the responses of a connection that wait for a request delivered late. For
	// one more, the oldest is emitted without. Default 16.
	MaxUnasked int
	// LateRequest is how long a response to no known request waits for a request that was sent
	// before it, but is delivered behind a gap. Default 5 s.
	LateRequest time.Duration
	// ParkAfter is how long a connection with nothing pending keeps its parser, see
	// flowscope.Messages.Park. Negative: always. Default 10 s.
	ParkAfter time.Duration
}

// Want is a set of messages that a parser emits beyond exchanges.
type Want uint8

const (
	// WantRequests: a Request as soon as its head is complete.
	WantRequests Want = 1 << iota
	// WantResponses: a Response as soon as its head is complete, interim ones too.
	WantResponses
	// WantBodies: a Body for each piece of a body, and for each gap in it.
	WantBodies
	// WantTrailers: a Trailer for the fields behind a chunked body.
	WantTrailers
	// WantFields: the header fields of both heads in Exchange. The heads are then kept until the
	// exchange is complete.
	WantFields
)

func (f Factory) withDefaults() Factory {
	if f.MaxHead <= 0 {
		f.MaxHead = 64 << 10
	}
	f.MaxHead = max(f.MaxHead, 256)
	if f.MaxPending <= 0 {
		f.MaxPending = 4096
	}
	f.MaxPending = max(f.MaxPending, 2)
	if f.MaxUnasked <= 0 {
		f.MaxUnasked = 16
	}
	if f.LateRequest <= 0 {
		f.LateRequest = 5 * time.Second
	}
	if f.ParkAfter == 0 {
		f.ParkAfter = 10 * time.Second
	}
	return f
}

// Probe says Yes to a request line with a version of HTTP, to the beginning of one with a well-known
// method and a path, to a status line of HTTP/1, and to the preface of HTTP/2 (see Switched).
func (f Factory) Probe(p flowscope.Probe) flowscope.Verdict {
	if p.L4 != flowscope.L4TCP {
		return flowscope.VerdictNo
	}
	return probe(p.First)
}

// ProbePorts implements flowscope.FactoryPorts: ports do not matter.
func (Factory) ProbePorts() []uint16 { return nil }

// NewSessionParser makes a parser of one connection.
func (f Factory) NewSessionParser() flowscope.SessionParser {
	return &parser{Factory: f.withDefaults()}
}
