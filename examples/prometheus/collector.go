package main

import (
	"github.com/flowscope-go/flowscope"
	"github.com/prometheus/client_golang/prometheus"
)

// collector exports the counters of a driver, as they are when Prometheus asks.
type collector struct {
	stats func() flowscope.DriverStats
}

// Describe sends nothing, since the labels are not known in advance.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	stats := c.stats()
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
