package main

import (
	"math"
	"time"
)

const (
	finePerOctave = 64 // a fine bar is 1.1 % wide
	barsPerDecade = 5
)

// durations is a histogram of times on a logarithmic axis: bars to be drawn, and much finer ones that give medians
// within 1 %.
type durations struct {
	n    uint64
	fine [64 * finePerOctave]uint64
	bars [20 * barsPerDecade]uint64 // from 1 ns
}

func (d *durations) add(t time.Duration) {
	v := max(float64(t), 1)
	d.n++
	d.fine[int(math.Log2(v)*finePerOctave)]++
	d.bars[barOf(v)]++
}

// barOf is the number of a bar. What stands at the left edge of a bar belongs to it, in spite of rounding.
func barOf(v float64) int { return int(math.Log10(v)*barsPerDecade + 1e-9) }

// quantile is the time that a share of all do not exceed; 0 if there are none.
func (d *durations) quantile(share float64) time.Duration {
	rank := uint64(math.Ceil(share * float64(d.n)))
	sum := uint64(0)
	for i, n := range d.fine {
		if sum += n; n > 0 && sum >= rank {
			return time.Duration(math.Round(math.Exp2((float64(i) + 0.5) / finePerOctave)))
		}
	}
	return 0
}
