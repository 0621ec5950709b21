package main

import (
	"errors"
	"sync/atomic"

	"github.com/flowscope-go/flowscope"
	"github.com/prometheus/client_golang/prometheus"
)

// capture counts what comes from the source of packets, before a tracker sees it.
type capture struct {
	packets, bytes, cut prometheus.Counter
	errors              *prometheus.CounterVec
	last                atomic.Int64 // the timestamp of the last packet
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
}

// newCapture registers the counters of a source. dropped is nil where it cannot lose packets, as a file.
func newCapture(registry prometheus.Registerer, dropped func() uint64) *capture {
	c := &capture{
		packets: counter("flowscope_capture_packets_total", "Packets read from the source."),
		bytes:   counter("flowscope_capture_bytes_total", "Bytes on the wire of these packets."),
		cut:     counter("flowscope_capture_cut_packets_total", "Packets of which the source gave a part."),
		errors:  counters("flowscope_capture_errors_total", "Errors of the source, after which it gives no more packets.", "kind"),
	}
	for _, kind := range []string{"not_capture", "truncated", "corrupt", "other"} {
		c.errors.WithLabelValues(kind) // so that it is 0 before it is 1
	}
	registry.MustRegister(c.packets, c.bytes, c.cut, c.errors)
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "flowscope_capture_last_packet_timestamp_seconds", Help: "Timestamp of the last packet, since the Unix epoch.",
	}, func() float64 { return float64(c.last.Load()) / 1e9 }))
	if dropped != nil {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "flowscope_capture_dropped_packets_total", Help: "Packets that the kernel dropped before they could be read.",
		}, func() float64 { return float64(dropped()) }))
	}
	return c
}

func (c *capture) packet(v *flowscope.PacketView) {
	c.packets.Inc()
	c.bytes.Add(float64(max(v.WireLen, len(v.Frame))))
	if v.WireLen > len(v.Frame) {
		c.cut.Inc()
	}
	c.last.Store(int64(v.Timestamp))
}

func (c *capture) failed(err error) {
	kind := "other"
	switch {
	case errors.Is(err, flowscope.ErrNotCapture):
		kind = "not_capture"
	case errors.Is(err, flowscope.ErrTruncated):
		kind = "truncated"
	case errors.Is(err, flowscope.ErrCorrupt):
		kind = "corrupt"
	}
	c.errors.WithLabelValues(kind).Inc()
}
