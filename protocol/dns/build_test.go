package dns_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
)

// wire builds a message, without compression.
type wire []byte

// header begins a message; counts are filled in as records are added.
func header(id, flags uint16) wire {
	b := binary.BigEndian.AppendUint16(nil, id)
	return append(binary.BigEndian.AppendUint16(b, flags), 0, 0, 0, 0, 0, 0, 0, 0)
}

func (w wire) count(section int) wire {
	binary.BigEndian.PutUint16(w[4+2*section:], binary.BigEndian.Uint16(w[4+2*section:])+1)
	return w
}

// name appends labels that are separated by dots.
func (w wire) name(s string) wire {
	if s != "" {
		for _, label := range strings.Split(s, ".") {
			w = append(append(w, byte(len(label))), label...)
		}
	}
	return append(w, 0)
}

func (w wire) u16(n ...uint16) wire {
	for _, n := range n {
		w = binary.BigEndian.AppendUint16(w, n)
	}
	return w
}

func (w wire) u32(n ...uint32) wire {
	for _, n := range n {
		w = binary.BigEndian.AppendUint32(w, n)
	}
	return w
}

func (w wire) ask(name string, t dns.Type) wire {
	return w.count(0).name(name).u16(uint16(t), 1)
}

// record appends a record of a section: 1 answers, 2 authorities, 3 additionals.
func (w wire) record(section int, name string, t dns.Type, data string) wire {
	w = w.count(section).name(name).u16(uint16(t), 1).u32(60).u16(uint16(len(data)))
	return append(w, data...)
}

// opt appends an OPT record.
func (w wire) opt(size uint16, ttl uint32, options string) wire {
	w = w.count(3).name("").u16(uint16(dns.TypeOPT), size).u32(ttl).u16(uint16(len(options)))
	return append(w, options...)
}

// framed is a message with its length before it.
func (w wire) framed() []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(w))), w...)
}

const answer = 0x8180

func query(id uint16, name string, t dns.Type) wire { return header(id, 0x0100).ask(name, t) }

func response(id uint16, name string) wire {
	return header(id, answer).ask(name, dns.TypeA).record(1, name, dns.TypeA, "\xc0\x00\x02\x01")
}

func parse(t testing.TB, w wire) dns.Message {
	t.Helper()
	m, ok := dns.ParseMessage(w)
	require.True(t, ok)
	return m
}

func newPlayer(t testing.TB, factories ...flowscope.ParserFactory) *flowscope.SessionPlayer {
	t.Helper()
	if factories == nil {
		factories = []flowscope.ParserFactory{dns.Factory{}}
	}
	p, err := flowscope.NewSessionPlayer(flowscope.Config{}, factories...)
	require.NoError(t, err)
	return p
}

// show says what the messages are, one line each.
func show(all []flowscope.Emitted) string {
	var b strings.Builder
	for _, e := range all {
		switch m := e.Message.(type) {
		case *dns.Transaction:
			fmt.Fprintf(&b, "%v %v %d %v %v", e.Side, m.Outcome, m.ID, m.Name, m.Type)
			if m.IsAsked() {
				fmt.Fprintf(&b, " asked=%d..%d", m.Queried/flowscope.Timestamp(time.Second), m.Requeried/flowscope.Timestamp(time.Second))
				if m.Queries > 1 {
					fmt.Fprintf(&b, " times=%d", m.Queries)
				}
				section(&b, "?", m.Query)
			}
			if m.IsAnswered() {
				fmt.Fprintf(&b, " %v replied=%d", m.Rcode, m.Replied/flowscope.Timestamp(time.Second))
				section(&b, "!", m.Response)
			}
		case *dns.Multicast:
			fmt.Fprintf(&b, "%v llmnr=%v from %v", e.Side, m.LLMNR, m.Sender)
			section(&b, "", m.Message)
		case *dns.Lost:
			fmt.Fprintf(&b, "lost %v %v %d", m.Why, m.Side, m.Bytes)
		default:
			fmt.Fprintf(&b, "%T", m)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func section(b *strings.Builder, mark string, m dns.Message) {
	if m.Damaged() {
		fmt.Fprintf(b, " damaged%s", mark)
	}
	if m.Missing() > 0 {
		fmt.Fprintf(b, " missing%s%d", mark, m.Missing())
	}
	for r := range m.Answers() {
		fmt.Fprintf(b, " %v=%s", r.Type, r.Text())
	}
}

func at(seconds float64) flowscope.Timestamp {
	return flowscope.Timestamp(seconds * float64(time.Second))
}
