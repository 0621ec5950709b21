package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

type event = flowscope.FlowEvent[flowscope.FiveTupleKey]

// sessionOf makes a session of a message, and the name of the server in it. It is false for a message that is none,
// such as a loss.
func sessionOf(ev *event) (s session, name string, ok bool) {
	var client flowscope.FlowSide
	switch m := ev.Message.(type) {
	case *http1.Exchange:
		client = m.Client
		s.kind, s.at = "http", cmp.Or(m.Request.Began, m.Response.Began, ev.Timestamp)
		s.request, s.result = request(m), "no response"
		if m.Status != 0 {
			s.result = fmt.Sprint(m.Status)
		}
		if missing := m.Request.Missing + m.Response.Missing; missing > 0 {
			s.result += fmt.Sprintf(", %d bytes not captured", missing)
		}
		s.latency, s.answered = m.Latency()
		s.bad = m.Status == 0 || m.Status >= 400
		name = m.Host.String()
	case *tls.Handshake:
		client = m.Client
		s.kind, s.at = "tls", cmp.Or(m.ClientTime, m.ServerTime, ev.Timestamp)
		name = m.SNI.String()
		s.request, s.result = clean(strings.TrimSpace(name+" "+protocols(m)), maxText), handshake(m)
		if m.ClientTime != 0 && m.ServerTime != 0 {
			s.latency, s.answered = m.ServerTime.Sub(m.ClientTime), true
		}
		s.bad = m.Version == 0 || len(m.Alerts) > 0
	case *dns.Transaction:
		client = m.Client
		s.kind, s.at = "dns", cmp.Or(m.Queried, m.Replied, ev.Timestamp)
		if !m.Name.IsZero() {
			s.request = clean(fmt.Sprint(m.Type, " ", m.Name), maxText)
		}
		s.result = answer(m)
		s.latency, s.answered = m.Latency()
		s.bad = !m.IsAnswered() || m.Rcode != 0
	default:
		return s, "", false
	}
	from, to := ev.Ends(client)
	s.flow, s.client, s.server = ev.Flow, endpoint(from), endpoint(to)
	return s, clean(name, maxText), true
}

func request(m *http1.Exchange) string {
	target := m.Target.String()
	if strings.HasPrefix(target, "/") {
		target = m.Host.String() + target
	}
	if m.Method.String() == "" {
		return "no request"
	}
	return clean(m.Method.String()+" "+target, maxText)
}

// protocols are those that the client offers, as far as they fit.
func protocols(m *tls.Handshake) string {
	var b strings.Builder
	for i, p := range m.ALPN {
		if b.Len() > maxText {
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(p.String())
	}
	return b.String()
}

func handshake(m *tls.Handshake) string {
	parts := []string{"no answer"}
	if m.Version != 0 {
		parts[0] = m.Version.String()
	}
	if p := m.ServerALPN.String(); p != "" {
		parts = append(parts, p)
	}
	if m.Resumed {
		parts = append(parts, "resumed")
	}
	if m.Retried {
		parts = append(parts, "retried")
	}
	for _, a := range m.Alerts {
		parts = append(parts, "alert "+a.Description.String())
	}
	return clean(strings.Join(parts, ", "), maxText)
}

func answer(m *dns.Transaction) string {
	if !m.IsAnswered() {
		return "no response"
	}
	text := m.Rcode.String()
	for r := range m.Response.Answers() {
		if text += ", " + r.Text(); len(text) > maxText {
			break
		}
	}
	return clean(text, maxText)
}
