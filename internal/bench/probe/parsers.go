//go:build !noparsers

package main

import (
	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// withParsers makes a driver that reads HTTP/1, TLS and DNS.
func withParsers(cfg flowscope.Config) (*flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}], error) {
	if cfg.Events != 0 {
		cfg.Events |= flowscope.Events(flowscope.EventMessage)
	}
	return flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, cfg, http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
}
