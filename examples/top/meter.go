package main

import (
	"math"
	"time"

	"github.com/flowscope-go/flowscope"
)

// meterEvery is the shortest time over which rates are measured, and meterMemory how long a rate remembers.
const (
	meterEvery  = 250 * time.Millisecond
	meterMemory = 2 * time.Second
)

// meter makes a smooth rate of a counter that is read now and then.
type meter struct {
	seen uint64
	rate float64 // a second
}

// begin takes the first reading, of a counter that has run for some time: the mean.
func (m *meter) begin(counter uint64, since time.Duration) {
	m.seen, m.rate = counter, mean(counter, since)
}

// mean is the rate of a counter over all the time that it ran; 0 over none.
func mean(counter uint64, since time.Duration) float64 {
	if since <= 0 {
		return 0
	}
	return float64(counter) / since.Seconds()
}

// read takes the counter after the time since the last reading.
func (m *meter) read(counter uint64, since time.Duration) float64 {
	now := m.unread(counter) / since.Seconds()
	m.seen = counter
	m.rate += (now - m.rate) * (1 - math.Exp(-float64(since)/float64(meterMemory)))
	if m.rate < 0.5 {
		m.rate = 0
	}
	return m.rate
}

// at is the rate with what was counted since the last reading, as if it all came now: of a flow that ends between two readings.
func (m *meter) at(counter uint64) float64 {
	return m.rate + m.unread(counter)/meterMemory.Seconds()
}

// unread is what was counted since the last reading. A flow's counters may go back: packets turn out to be those of the flow
// that follows on its ports.
func (m *meter) unread(counter uint64) float64 { return float64(max(int64(counter-m.seen), 0)) }

// faded is what is left of a rate after a time without packets.
func faded(rate float64, since time.Duration) float64 {
	if rate *= math.Exp(-float64(max(since, 0)) / float64(meterMemory)); rate < 0.5 {
		return 0
	}
	return rate
}

// curveSeconds is how far back a curve reaches.
const curveSeconds = 240

// curve counts bytes by second of packet time.
type curve struct {
	second int64 // of the last value
	values []float64
}

// add counts bytes at a time. A time before the last second counts in the last second.
func (c *curve) add(now flowscope.Timestamp, bytes int) {
	c.until(now)
	c.values[len(c.values)-1] += float64(bytes)
}

// until lets time pass in which nothing comes.
func (c *curve) until(now flowscope.Timestamp) {
	second := now.Time().Unix()
	if len(c.values) == 0 {
		c.second, c.values = second, []float64{0}
	}
	for range min(max(second-c.second, 0), curveSeconds) {
		c.values = append(c.values, 0)
	}
	c.second = max(c.second, second)
	if n := len(c.values) - curveSeconds; n > 0 {
		c.values = append(c.values[:0], c.values[n:]...)
	}
}
