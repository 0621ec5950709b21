package main

import (
	"time"

	"github.com/flowscope-go/flowscope"
)

// record is a message in the form in which it is printed. Its fields are those of a JSON line.
type record interface {
	about() *head
	// cells are those of the table that follow the ones of head.
	cells() []string
}

// head is the beginning of each record. Time is that of the first byte.
type head struct {
	Kind   string    `json:"kind"`
	Time   time.Time `json:"time"`
	Client string    `json:"client"`
	Server string    `json:"server"`
}

func newHead(kind string, ev *event, client flowscope.FlowSide, began flowscope.Timestamp) head {
	from, to := ev.Ends(client)
	return head{Kind: kind, Time: began.Time(), Client: from.String(), Server: to.String()}
}

func (h *head) about() *head { return h }

// microseconds is a latency for JSON, or nil if there is none.
func microseconds(d time.Duration, ok bool) *int64 {
	if !ok {
		return nil
	}
	us := d.Microseconds()
	return &us
}
