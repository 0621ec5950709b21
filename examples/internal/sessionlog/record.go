// Package sessionlog prints the messages of parsers as examples/sessions does: as a table, or as JSON.
package sessionlog

import (
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// Record is a message in the form in which it is printed. Its fields are those of a JSON line.
type Record interface {
	// About is what all records have.
	About() *Head
	// Cells are those of the table that follow the ones of Head.
	Cells() []string
}

// Of is the record of a message, or nil if the message is none that is printed.
func Of(ev *flowscope.Event) Record {
	switch m := ev.Message.(type) {
	case *http1.Exchange:
		return newExchange(ev, m)
	case *tls.Handshake:
		return newHandshake(ev, m)
	case *dns.Transaction:
		return newTransaction(ev, m)
	case *dns.Multicast:
		return newMulticast(ev, m)
	}
	return nil
}

// Head is the beginning of each record. Time is that of the first byte.
type Head struct {
	Kind   string    `json:"kind"`
	Time   time.Time `json:"time"`
	Client string    `json:"client"`
	Server string    `json:"server"`
}

func newHead(kind string, ev *flowscope.Event, client flowscope.FlowSide, began flowscope.Timestamp) Head {
	from, to := ev.Ends(client)
	return Head{Kind: kind, Time: began.Time(), Client: from.String(), Server: to.String()}
}

// About implements Record.
func (h *Head) About() *Head { return h }

// microseconds is a latency for JSON, or nil if there is none.
func microseconds(d time.Duration, ok bool) *int64 {
	if !ok {
		return nil
	}
	us := d.Microseconds()
	return &us
}
