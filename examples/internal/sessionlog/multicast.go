package sessionlog

import (
	"fmt"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// Multicast is one message of mDNS or LLMNR, from the sender, which stands as the client, to a group
// of hosts or one of them.
type Multicast struct {
	Head
	Proto     string      `json:"proto"`
	Response  bool        `json:"response"`
	Questions [][2]string `json:"questions,omitempty"` // type and name
	Answers   [][3]string `json:"answers,omitempty"`   // type, name and data
	Bytes     int         `json:"bytes"`
}

func newMulticast(ev *flowscope.Event, m *dns.Multicast) *Multicast {
	kind := "mdns"
	if m.LLMNR {
		kind = "llmnr"
	}
	x := &Multicast{
		Head:  newHead(kind, ev, m.Sender, ev.Timestamp),
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

// Cells implements Record.
func (x *Multicast) Cells() []string {
	var questions, answers []string
	for _, q := range x.Questions {
		questions = append(questions, q[0]+" "+q[1])
	}
	for _, a := range x.Answers {
		answers = append(answers, a[0]+" "+a[1]+" "+a[2])
	}
	return []string{strings.Join(questions, ", "), strings.Join(answers, ", "), "", fmt.Sprint(x.Bytes)}
}
