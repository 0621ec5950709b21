package main

import (
	"fmt"
	"strings"

	"github.com/flowscope-go/flowscope/protocol/dns"
)

// multicast is one message of mDNS or LLMNR, from the sender, which stands as the client, to a group
// of hosts or one of them.
type multicast struct {
	head
	Proto     string      `json:"proto"`
	Response  bool        `json:"response"`
	Questions [][2]string `json:"questions,omitempty"` // type and name
	Answers   [][3]string `json:"answers,omitempty"`   // type, name and data
	Bytes     int         `json:"bytes"`
}

func newMulticast(ev *event, m *dns.Multicast) *multicast {
	kind := "mdns"
	if m.LLMNR {
		kind = "llmnr"
	}
	x := &multicast{
		head:  newHead(kind, ev, m.Sender, ev.Timestamp),
		Proto: ev.L4.String(), Response: m.IsResponse(), Bytes: len(m.Message.Bytes()),
	}
	for q := range m.Questions() {
		x.Questions = append(x.Questions, [2]string{q.Type.String(), q.Name.String()})
	}
	for r := range m.Answers() {
		x.Answers = append(x.Answers, [3]string{r.Type.String(), r.Name.String(), r.Text()})
	}
	return x
}

func (x *multicast) cells() []string {
	var questions, answers []string
	for _, q := range x.Questions {
		questions = append(questions, q[0]+" "+q[1])
	}
	for _, a := range x.Answers {
		answers = append(answers, a[0]+" "+a[1]+" "+a[2])
	}
	return []string{strings.Join(questions, ", "), strings.Join(answers, ", "), "", fmt.Sprint(x.Bytes)}
}
