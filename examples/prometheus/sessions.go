package main

import (
	"fmt"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
	"github.com/prometheus/client_golang/prometheus"
)

type event = flowscope.FlowEvent[flowscope.FiveTupleKey]

// sessions counts messages by what they say. Labels have few values, whatever the network sends: a name that is not known is
// "other", and what was not seen is "none".
type sessions struct {
	exchanges, handshakes, transactions *prometheus.CounterVec
	bodies, missing, alerts             prometheus.Counter
	httpLatency, tlsLatency, dnsLatency prometheus.Histogram
	lost                                *prometheus.CounterVec
	flowSeconds, flowPackets, flowBytes *prometheus.HistogramVec
	repeatedSegments, repeatedBytes     prometheus.Counter
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

// perProto is a histogram of flows.
func perProto(name, help string, buckets []float64) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"proto"})
	for _, p := range protos {
		h.WithLabelValues(p)
	}
	return h
}

var (
	protos   = []string{"tcp", "udp", "icmp", "icmpv6", "sctp", "other"}
	statuses = []string{"2xx", "3xx", "4xx", "5xx", "other", "none"}
	versions = []string{"TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3", "SSLv3", "SSLv2", "other", "none"}
	rcodes   = []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "other", "none"}
)

func newSessions(registry prometheus.Registerer) *sessions {
	latencies := prometheus.ExponentialBuckets(0.0001, 2, 18) // 0.1 ms to 13 s
	s := &sessions{
		exchanges:        counters("flowscope_http_exchanges_total", "HTTP/1 exchanges by class of the final status.", "status"),
		handshakes:       counters("flowscope_tls_handshakes_total", "TLS handshakes by version.", "version"),
		transactions:     counters("flowscope_dns_transactions_total", "DNS transactions by response code.", "rcode"),
		bodies:           counter("flowscope_http_body_bytes_total", "Bytes of HTTP/1 bodies, as far as they were captured."),
		missing:          counter("flowscope_http_missing_bytes_total", "Bytes of HTTP/1 bodies that were not captured."),
		alerts:           counter("flowscope_tls_alerts_total", "TLS alerts that were not encrypted."),
		httpLatency:      histogram("flowscope_http_latency_seconds", "Time from an HTTP/1 request to its response.", latencies),
		tlsLatency:       histogram("flowscope_tls_latency_seconds", "Time from a ClientHello to its ServerHello.", latencies),
		dnsLatency:       histogram("flowscope_dns_latency_seconds", "Time from a DNS query to its response.", latencies),
		lost:             counters("flowscope_session_losses_total", "Times that a parser could not read on.", "protocol"),
		flowSeconds:      perProto("flowscope_flow_duration_seconds", "Time from the first packet of a flow to its last.", prometheus.ExponentialBuckets(0.001, 4, 12)),
		flowPackets:      perProto("flowscope_flow_packets", "Packets of a flow.", prometheus.ExponentialBuckets(1, 4, 12)),
		flowBytes:        perProto("flowscope_flow_bytes", "Bytes on the wire of a flow.", prometheus.ExponentialBuckets(64, 4, 14)),
		repeatedSegments: counter("flowscope_flow_retransmitted_segments_total", "TCP segments of ended flows that their side had sent before."),
		repeatedBytes:    counter("flowscope_flow_retransmitted_bytes_total", "Payload of these segments."),
	}
	for vec, values := range map[*prometheus.CounterVec][]string{
		s.exchanges: statuses, s.handshakes: versions, s.transactions: rcodes, s.lost: {"http", "tls", "dns"},
	} {
		for _, v := range values {
			vec.WithLabelValues(v)
		}
	}
	registry.MustRegister(s.exchanges, s.handshakes, s.transactions, s.bodies, s.missing, s.alerts, s.httpLatency, s.tlsLatency,
		s.dnsLatency, s.lost, s.flowSeconds, s.flowPackets, s.flowBytes, s.repeatedSegments, s.repeatedBytes)
	return s
}

// among is a value if it is one of the known ones.
func among(known []string, value string) string {
	for _, k := range known {
		if k == value {
			return value
		}
	}
	return "other"
}

// take counts what events say.
func (s *sessions) take(events []event) {
	for i := range events {
		switch ev := &events[i]; ev.Kind {
		case flowscope.EventMessage:
			s.message(ev.Message)
		case flowscope.EventEnded:
			s.ended(ev)
		}
	}
}

func (s *sessions) message(m flowscope.Message) {
	switch m := m.(type) {
	case *http1.Exchange:
		status := "none"
		if m.Status != 0 {
			status = among(statuses, fmt.Sprintf("%dxx", m.Status/100))
		}
		s.exchanges.WithLabelValues(status).Inc()
		s.bodies.Add(float64(m.Request.Body - m.Request.Missing + m.Response.Body - m.Response.Missing))
		s.missing.Add(float64(m.Request.Missing + m.Response.Missing))
		if d, ok := m.Latency(); ok {
			s.httpLatency.Observe(d.Seconds())
		}
	case *tls.Handshake:
		version := "none"
		if m.Version != 0 {
			version = among(versions, m.Version.String())
		}
		s.handshakes.WithLabelValues(version).Inc()
		s.alerts.Add(float64(len(m.Alerts)))
		if m.ClientTime != 0 && m.ServerTime != 0 {
			s.tlsLatency.Observe(m.ServerTime.Sub(m.ClientTime).Seconds())
		}
	case *dns.Transaction:
		rcode := "none"
		if m.IsAnswered() {
			rcode = among(rcodes, m.Rcode.String())
		}
		s.transactions.WithLabelValues(rcode).Inc()
		if d, ok := m.Latency(); ok {
			s.dnsLatency.Observe(d.Seconds())
		}
	case *http1.Lost:
		if !m.Found { // with Found it is the second message about one loss
			s.lost.WithLabelValues("http").Inc()
		}
	case *tls.Lost:
		s.lost.WithLabelValues("tls").Inc()
	case *dns.Lost:
		s.lost.WithLabelValues("dns").Inc()
	}
}

func (s *sessions) ended(ev *event) {
	proto := among(protos, strings.ToLower(ev.L4.String()))
	t := ev.Stats
	s.flowSeconds.WithLabelValues(proto).Observe(t.End().Sub(t.Start()).Seconds())
	s.flowPackets.WithLabelValues(proto).Observe(float64(t.Packets[0] + t.Packets[1]))
	s.flowBytes.WithLabelValues(proto).Observe(float64(t.Bytes[0] + t.Bytes[1]))
	s.repeatedSegments.Add(float64(t.Retransmitted[0] + t.Retransmitted[1]))
	s.repeatedBytes.Add(float64(t.RetransmittedBytes[0] + t.RetransmittedBytes[1]))
}
