package dns

import (
	"time"

	"github.com/flowscope-go/flowscope"
)

// Outcome is the result of a Transaction.
//
// The constants and their texts; go doc dns.Answered says more of them:
//
//	Answered answered     Crowded    crowded
//	TimedOut timed_out    Unasked    unasked
//	Reused   reused       Mismatched mismatched
//	Ended    ended        Again      again
type Outcome uint8

const (
	// Answered: a query and its response.
	Answered Outcome = iota + 1
	// TimedOut: no response came within Factory.Timeout after the last time that the query was sent.
	// If it comes later it is Unasked.
	TimedOut
	// Reused: TimedOut or Ended, and meanwhile its number was used for another question.
	Reused
	// Ended: the flow ended, or was read no further, before a response came.
	Ended
	// Crowded: there were more open queries in the flow than Factory.MaxPending, or more bytes of
	// them than are kept, and this one was the oldest.
	Crowded
	// Unasked: a response to no query that was seen.
	Unasked
	// Mismatched: a response to no query that was seen, while one of the same number waits for the
	// answer to another question. It may be forged.
	Mismatched
	// Again: a further response to a query that has been answered, as of a zone transfer. Of a flow of
	// UDP in which nothing is open the last answer is known, or if there were several of a parser up to
	// eight of the last two seconds.
	Again

	numOutcomes
)

var outcomeNames = [numOutcomes]string{
	Answered: "answered", TimedOut: "timed_out", Reused: "reused", Ended: "ended", Crowded: "crowded", Unasked: "unasked",
	Mismatched: "mismatched", Again: "again",
}

// String is a short name, such as "timed_out".
func (o Outcome) String() string {
	if o < numOutcomes && outcomeNames[o] != "" {
		return outcomeNames[o]
	}
	return "unknown"
}

// Transaction is a query and its response, or the one without the other: see Outcome. A query that
// was sent several times is one transaction.
//
// It is emitted with its response, or else when it is clear that there is none. The event of an
// unanswered one has the client's side, the time at which that became clear, and the query's packet.
type Transaction struct {
	// ID is the number that query and response share.
	ID uint16
	// Client is the side that asks.
	Client  FlowSide
	Outcome Outcome
	// Name, Type and Class are the first question: of the query, or of the response if the query has
	// none that can be read. Of neither the name IsZero.
	Name  Name
	Type  Type
	Class Class
	// Rcode is the result in the response.
	Rcode Rcode
	// Query is as it was sent last, and Response as it came first. Either may be the zero Message.
	Query, Response Message
	// Queries is how often the query was sent.
	Queries uint32
	// Queried is when the query was sent first, Requeried when it was sent last; both are the same if
	// that was once, and 0 if it was not seen. Replied is when the response came, 0 if it did not.
	// Over TCP a message's time is that of its last byte.
	Queried, Requeried, Replied Timestamp
	// QueryPacket is the packet of the first query, ResponsePacket that of the response.
	QueryPacket, ResponsePacket uint64
}

// FlowSide and Timestamp are those of package flowscope.
type (
	FlowSide  = flowscope.FlowSide
	Timestamp = flowscope.Timestamp
)

// IsAnswered reports whether there is a response.
func (t *Transaction) IsAnswered() bool { return !t.Response.IsZero() }

// IsAsked reports whether there is a query.
func (t *Transaction) IsAsked() bool { return !t.Query.IsZero() }

// Latency is the time from the first query to the response; ok is false if one of them is missing.
func (t *Transaction) Latency() (d time.Duration, ok bool) {
	if !t.IsAsked() || !t.IsAnswered() {
		return 0, false
	}
	return t.Replied.Sub(t.Queried), true
}

// CloneMessage implements flowscope.Message.
func (t *Transaction) CloneMessage() flowscope.Message {
	c := *t
	c.Query, c.Response = t.Query.clone(), t.Response.clone()
	c.Name = Name{}
	c.setQuestion()
	return &c
}

// setQuestion takes the question from the messages.
func (t *Transaction) setQuestion() {
	q, ok := t.Query.Question()
	if !ok {
		q, _ = t.Response.Question()
	}
	t.Name, t.Type, t.Class = q.Name, q.Type, q.Class
}

// Multicast is one message of mDNS (RFC 6762) or LLMNR (RFC 4795). It stands alone: mDNS sends its
// messages to a group and without numbers, and answers that belong to a query of LLMNR come in flows
// of their own.
type Multicast struct {
	// LLMNR is set for LLMNR, on port 5355; otherwise it is mDNS, on port 5353.
	LLMNR bool
	// Sender is the side that sent it.
	Sender FlowSide
	Message
}

// CloneMessage implements flowscope.Message.
func (m *Multicast) CloneMessage() flowscope.Message {
	c := *m
	c.Message = m.Message.clone()
	return &c
}

// Why is the reason of a Lost.
type Why uint8

const (
	// Gap: bytes of a TCP connection are missing. If the rest of the message that they were in is
	// known to be all that is missing, reading goes on behind it; otherwise at the next place where
	// what follows reads as a whole message.
	Gap Why = iota + 1
	// Framing: what follows is not a message with a length before it; the side is read no further.
	Framing
	// Incomplete: a side ended within the length of a message.
	Incomplete
	// Short: a datagram is shorter than a header.
	Short
	// NotDNS: nothing on this flow could be read, or something on a port other than 53 could not be
	// read as a whole; it is read no further.
	NotDNS
	// Budget: Config.SessionBytes is used up; the flow is read no further.
	Budget

	numWhys
)

var whyNames = [numWhys]string{
	Gap: "gap", Framing: "framing", Incomplete: "incomplete", Short: "short", NotDNS: "not_dns", Budget: "budget",
}

// String is a short name, such as "framing".
func (w Why) String() string {
	if w < numWhys && whyNames[w] != "" {
		return whyNames[w]
	}
	return "unknown"
}

// Lost reports bytes that could not be read. Queries that wait for their response are not lost
// with it.
type Lost struct {
	Why  Why
	Side FlowSide
	// Bytes is how many were passed over so far; of a Gap those that are missing.
	Bytes int64
}

// CloneMessage implements flowscope.Message.
func (l *Lost) CloneMessage() flowscope.Message {
	c := *l
	return &c
}
