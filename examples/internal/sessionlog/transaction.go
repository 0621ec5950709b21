package sessionlog

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// Transaction is a DNS query and its response, or one of the two. Name and Type are those of the
// question, and absent if none can be read; the root's name is "".
type Transaction struct {
	Head
	Proto    string      `json:"proto"`
	ID       uint16      `json:"id"`
	Name     *string     `json:"qname,omitempty"`
	Type     dns.Type    `json:"qtype,omitempty"`
	Asked    bool        `json:"asked"`
	Answered bool        `json:"answered"`
	Outcome  string      `json:"outcome"`
	Rcode    *dns.Rcode  `json:"rcode,omitempty"`
	Answers  [][2]string `json:"answers,omitempty"` // type and data
	Latency  *int64      `json:"rtt_us,omitempty"`
	Bytes    int         `json:"bytes"`
}

func newTransaction(ev *flowscope.Event, m *dns.Transaction) *Transaction {
	x := &Transaction{
		Head:  newHead("dns", ev, m.Client, cmp.Or(m.Queried, m.Replied)),
		Proto: ev.L4.String(), ID: m.ID, Type: m.Type,
		Asked: m.IsAsked(), Answered: m.IsAnswered(), Outcome: m.Outcome.String(),
		Latency: microseconds(m.Latency()), Bytes: len(m.Query.Bytes()) + len(m.Response.Bytes()),
	}
	if !m.Name.IsZero() {
		name := m.Name.String()
		if name == "." {
			name = ""
		}
		x.Name = &name
	}
	if x.Answered {
		rcode := m.Rcode
		x.Rcode = &rcode
		for r := range m.Response.Answers() {
			x.Answers = append(x.Answers, [2]string{r.Type.String(), r.Text()})
		}
	}
	return x
}

// Cells implements Record.
func (x *Transaction) Cells() []string {
	question := ""
	if x.Name != nil {
		question = fmt.Sprint(x.Type, " ", cmp.Or(*x.Name, "."))
	}
	var result []string
	switch {
	case !x.Answered:
		result = append(result, "no response")
	case !x.Asked:
		result = append(result, "no query", x.Rcode.String())
	default:
		result = append(result, x.Rcode.String())
	}
	for _, a := range x.Answers {
		result = append(result, a[1])
	}
	return []string{question, strings.Join(result, ", "), milliseconds(x.Latency), fmt.Sprint(x.Bytes)}
}
