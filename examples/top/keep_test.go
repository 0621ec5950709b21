package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

func TestARingKeepsTheLastValues(t *testing.T) {
	for limit := 1; limit < 6; limit++ {
		r := newRing[int](limit)
		var all []int
		for i := range 20 {
			r.add(i)
			all = append(all, i)
			var got []int
			for v := range r.all() {
				got = append(got, *v)
			}
			require.Equal(t, all[max(len(all)-limit, 0):], got)
			require.EqualValues(t, max(len(all)-limit, 0), r.forgotten())
		}
	}
}

func TestAMeterFindsASteadyRateAndForgetsIt(t *testing.T) {
	for _, every := range []time.Duration{meterEvery, 500 * time.Millisecond, 3 * time.Second} {
		var m meter
		for at := every; at < time.Minute; at += every {
			m.read(uint64(1000*at.Seconds()), every)
		}
		require.InDelta(t, 1000, m.rate, 5)
		// It decays as an exponential does, whatever the steps are.
		before, last := m.rate, m.seen
		for at := every; at <= 6*time.Second; at += every {
			m.read(last, every)
		}
		require.InDelta(t, before*math.Exp(-3), m.rate, 1)
		for range 100 {
			m.read(last, every)
		}
		require.Zero(t, m.rate)
	}
	require.Zero(t, mean(7, 0))
}

// A flow that comes and goes between two readings shows as much as one that is read when it ends.
func TestARateFadesAfterTheEnd(t *testing.T) {
	var m meter
	require.InDelta(t, 500, m.at(1000), 1e-9, "a thousand bytes, remembered for two seconds")
	require.InDelta(t, 500*math.Exp(-1), faded(m.at(1000), meterMemory), 1e-9)
	require.InDelta(t, faded(500, time.Second), faded(faded(500, 300*time.Millisecond), 700*time.Millisecond), 1e-9)
	require.Zero(t, faded(500, time.Minute))
	require.Equal(t, 500.0, faded(500, -time.Hour))
	m.read(1000, meterEvery)
	require.InDelta(t, m.rate, m.at(1000), 1e-9)
	require.InDelta(t, m.rate, m.at(900), 1e-9, "a counter that went back")
	before := m.rate
	require.Less(t, m.read(900, meterEvery), before)
}

func TestACurveCountsEachSecond(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var c curve
	counts := map[int64]float64{}
	now := int64(1_000_000)
	for range 5_000 {
		switch random.IntN(50) {
		case 0:
			now += int64(random.IntN(700))
		case 1, 2, 3:
			now++
		}
		n := random.IntN(1500)
		c.add(flowscope.NewTimestamp(now, int64(random.IntN(1e9))), n)
		counts[now] += float64(n)
		require.LessOrEqual(t, len(c.values), curveSeconds)
		for i, v := range c.values {
			require.Equal(t, counts[now-int64(len(c.values)-1-i)], v)
		}
	}
	last := c.values[len(c.values)-1]
	c.add(flowscope.NewTimestamp(now-100, 0), 5)
	require.Equal(t, last+5, c.values[len(c.values)-1], "a time that was put back counts in the last second")
	seconds := len(c.values)
	c.values = c.values[:seconds/2]
	c.until(flowscope.NewTimestamp(now+1, 0))
	require.Len(t, c.values, seconds/2+1, "and the next second is one later")
	c.until(flowscope.Timestamp(math.MaxInt64))
	require.Equal(t, make([]float64, curveSeconds), c.values)
}
