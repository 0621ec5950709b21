package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
	"github.com/prometheus/client_golang/prometheus"
)

// monitor runs packets through a driver, and counts on the way.
type monitor struct {
	source   source
	capture  *capture
	sessions *sessions

	mu     sync.Mutex // of the driver: two goroutines need it, one for packets and one for silence
	driver *flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}]
	over   bool // all flows have ended
}

// newMonitor makes a monitor, and the registry with all its metrics.
func newMonitor(src source) (*monitor, *prometheus.Registry, error) {
	driver, err := flowscope.NewFlowSessionDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{
		Events: flowscope.Events(flowscope.EventMessage, flowscope.EventEnded), Details: flowscope.DetailTCP,
	}, http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
	if err != nil {
		return nil, nil, err
	}
	registry := prometheus.NewRegistry()
	m := &monitor{source: src, driver: driver, capture: newCapture(registry, src.dropped), sessions: newSessions(registry)}
	registry.MustRegister(&collector{stats: m.driverStats})
	cfg := driver.Config()
	limit := func(name, help string, n int64) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		g.Set(float64(n))
		registry.MustRegister(g)
	}
	limit("flowscope_flows_limit", "Flows that are kept at most, lingering ones included.", int64(cfg.MaxFlows))
	limit("flowscope_stream_limit_bytes", "Memory of early bytes, at most.", cfg.TotalBytes)
	limit("flowscope_session_limit_bytes", "Memory of parsers, at most.", cfg.SessionBytes)
	return m, registry, nil
}

// driverStats lets time pass on a silent network, and gives the driver's counters.
func (m *monitor) driverStats() flowscope.DriverStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pass()
	return m.driver.Stats()
}

// pass lets time pass up to which the source has been silent.
func (m *monitor) pass() {
	if m.source.silent == nil || m.over {
		return
	}
	if now, ok := m.source.silent(); ok { // of a busy source it lies behind the packets: then Sweep does nothing
		m.sessions.take(m.driver.Sweep(now))
	}
}

// run reads the source to its end. Then all flows end, so that all that was seen is told.
func (m *monitor) run(ctx context.Context) error {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	go m.tick(inner)
	var failed error
	for view, err := range m.source.packets {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			if failed = err; errors.Is(err, context.Canceled) {
				failed = nil // the end that was asked for
			} else {
				m.capture.failed(err)
			}
			break
		}
		m.capture.packet(&view)
		m.mu.Lock()
		m.sessions.take(m.driver.Track(view))
		m.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for events := range m.driver.FinishParts() {
		m.sessions.take(events)
	}
	m.over = true
	return failed
}

// tick lets time pass while nobody asks for the counters either.
func (m *monitor) tick(ctx context.Context) {
	for tick := time.NewTicker(time.Second); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
			tick.Stop()
		case <-tick.C:
			m.mu.Lock()
			m.pass()
			m.mu.Unlock()
		}
	}
}
