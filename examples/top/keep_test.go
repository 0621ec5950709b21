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
	c.until(flowscope.Timestamp(math.MaxInt64))
	require.Equal(t, make([]float64, curveSeconds), c.values)
}
