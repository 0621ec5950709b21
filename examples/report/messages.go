package main

import (
	"cmp"
	"fmt"

	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// messageFacts are what is known of the messages.
type messageFacts struct {
	http httpFacts
	tls  tlsFacts
	dns  dnsFacts
	lost map[string]uint64 // what could not be read, by protocol and reason
}

type httpFacts struct {
	n, missing    uint64 // missing: bytes of bodies
	statuses      map[uint16]uint64
	good, bad     durations // latency, by status
	hosts, failed *heavy[string]
	slowest       leaders[exchange]
}

// exchange is one of the slowest.
type exchange struct {
	request string
	status  uint16
	latency string
}

type tlsFacts struct {
	n, resumed, retried, ech  uint64
	versions                  map[tls.Version]uint64
	names, protocols, trouble *heavy[string]
	latency                   durations
}

type dnsFacts struct {
	n, multicast  uint64
	results       map[string]uint64
	types         *heavy[string]
	names, failed *heavy[string]
	latency       durations
}

func newMessageFacts() *messageFacts {
	names := func() *heavy[string] { return newHeavy[string](byNumber) }
	return &messageFacts{
		http: httpFacts{statuses: map[uint16]uint64{}, hosts: names(), failed: names(), slowest: leaders[exchange]{max: slowExchange}},
		tls:  tlsFacts{versions: map[tls.Version]uint64{}, names: names(), protocols: names(), trouble: names()},
		dns:  dnsFacts{results: map[string]uint64{}, types: names(), names: names(), failed: names()},
		lost: map[string]uint64{},
	}
}

func (f *messageFacts) add(ev *event) {
	switch m := ev.Message.(type) {
	case *http1.Exchange:
		f.http.add(ev, m)
	case *tls.Handshake:
		f.tls.add(ev, m)
	case *dns.Transaction:
		f.dns.add(m)
	case *dns.Multicast:
		f.dns.multicast++
	case *http1.Lost:
		if !m.Found { // with Found it is the second message about one loss
			f.lost[fmt.Sprint("HTTP ", m.Why)]++
		}
	case *tls.Lost:
		f.lost[fmt.Sprint("TLS ", m.Why)]++
	case *dns.Lost:
		f.lost[fmt.Sprint("DNS ", m.Why)]++
	}
}

// isBad reports whether a status tells of a failure.
func isBad(status uint16) bool { return status >= 400 }

func (f *httpFacts) add(ev *event, m *http1.Exchange) {
	f.n++
	f.statuses[m.Status]++
	f.missing += uint64(max(m.Request.Missing+m.Response.Missing, 0))
	_, server := ev.Ends(m.Client)
	host := peer(m.Host)
	if host == "" {
		host = clean(server.String())
	}
	sum := f.hosts.of(host)
	sum.n++
	sum.bytes[0] += uint64(max(m.Request.Body, 0))
	sum.bytes[1] += uint64(max(m.Response.Body, 0))
	request := "a request that was not seen, of " + host
	if m.Flags&http1.NoRequest == 0 {
		request = peer(m.Method) + " "
		if len(m.Target) == 0 || m.Target[0] == '/' || m.Target[0] == '*' {
			request += host
		}
		request += peer(m.Target)
	}
	if isBad(m.Status) || m.Status == 0 {
		sum.bad++
		f.failed.of(request+" → "+status(m.Status)).n++
	}
	if d, ok := m.Latency(); ok && d >= 0 { // timestamps may go back
		if isBad(m.Status) {
			f.bad.add(d)
		} else {
			f.good.add(d)
		}
		if score := uint64(d); f.slowest.wants(score) {
			f.slowest.add(score, exchange{request, m.Status, lasting(d)})
		}
	}
}

func status(code uint16) string {
	if code == 0 {
		return "no response"
	}
	return fmt.Sprint(code)
}

func (f *tlsFacts) add(ev *event, m *tls.Handshake) {
	f.n++
	f.versions[m.Version]++
	for _, c := range []struct {
		is bool
		n  *uint64
	}{{m.Resumed, &f.resumed}, {m.Retried, &f.retried}, {m.ECH, &f.ech}} {
		if c.is {
			*c.n++
		}
	}
	_, server := ev.Ends(m.Client)
	name := peer(m.SNI)
	if name == "" {
		name = "no name, " + clean(server.String())
	}
	sum := f.names.of(name)
	sum.n++
	for _, a := range m.Alerts {
		if a.Description != 0 { // close_notify
			by := "server"
			if a.Client {
				by = "client"
			}
			sum.bad++
			f.trouble.of(fmt.Sprintf("%s: alert of the %s: %v", name, by, a.Description)).n++
		}
	}
	if m.ServerHello == nil && m.ClientHello != nil && len(m.Alerts) == 0 {
		f.trouble.of(name+": no answer to the ClientHello").n++
	}
	if p := peer(m.ServerALPN); p != "" {
		f.protocols.of(p).n++
	}
	if m.ClientTime != 0 && m.ServerTime >= m.ClientTime {
		f.latency.add(m.ServerTime.Sub(m.ClientTime))
	}
}

// result is how a transaction ended.
func result(m *dns.Transaction) string {
	switch {
	case !m.IsAnswered():
		return "no response"
	case !m.IsAsked():
		return m.Rcode.String() + ", without a query"
	}
	return m.Rcode.String()
}

func (f *dnsFacts) add(m *dns.Transaction) {
	f.n++
	how := result(m)
	f.results[how]++
	name := "(no question)"
	if !m.Name.IsZero() {
		name = clean(m.Name.String())
		f.types.of(m.Type.String()).n++
	}
	sum := f.names.of(name)
	sum.n++
	if !m.IsAnswered() || m.Rcode != dns.RcodeNoError {
		sum.bad++
		f.failed.of(cmp.Or(name, ".")+" → "+how).n++
	}
	if d, ok := m.Latency(); ok && d >= 0 { // timestamps may go back
		f.latency.add(d)
	}
}
