package main

import (
	"sync"

	"github.com/flowscope-go/flowscope"
	"github.com/prometheus/client_golang/prometheus"
)

// collector exports the counters that replay has set last.
type collector struct {
	mu    sync.Mutex
	stats flowscope.DriverStats
}

func (c *collector) set(s flowscope.DriverStats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats = s
}

func (c *collector) get() flowscope.DriverStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Describe sends nothing, since the labels are not known in advance.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	stats := c.get()
	for m := range stats.Metrics {
		kind := prometheus.CounterValue
		if m.Gauge {
			kind = prometheus.GaugeValue
		}
		var labels prometheus.Labels
		if m.Label != "" {
			labels = prometheus.Labels{m.Label: m.LabelValue}
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(m.Name, m.Help, nil, labels), kind, m.Value)
	}
}
