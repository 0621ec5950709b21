package main

import (
	"math"
	"time"

	"github.com/flowscope-go/flowscope"
)

// together is how many flows take the same step of the warm test one after the other: enough that a
// step takes longer than reading the clock, and few enough that all they need is in the cache.
const together = 300

// warm shows the same step of many connections one after the other, so that the cache holds what
// the step needs and the branches go as predicted. The figures are the cost of the instructions,
// for each kind of packet and for the life of a connection; they are far steadier than those of
// captures.
//
// The release is a Sweep after the lingering flows have had their time. It counts as no packet of a
// life.
func warm(contenders []contender) (samples []sample) {
	steps := make([][]flowscope.PacketView, len(life))
	for i := range together {
		for j, frame := range connection(i, 400, 1000) {
			steps[j] = append(steps[j], flowscope.PacketView{Frame: frame})
		}
	}
	measured := make([]warmth, len(contenders))
	for i, c := range contenders {
		measured[i] = newWarmth(c, steps)
	}
	for n := range rounds() {
		for i := range measured {
			measured[i].round(n > 0)
		}
	}
	overhead := clockOverhead()
	for i := range measured {
		samples = append(samples, measured[i].samples(overhead)...)
	}
	return samples
}

// warmth is what has been measured of a contender: of each step, and of the release behind the
// last.
type warmth struct {
	contender
	steps  [][]flowscope.PacketView
	stamp  flowscope.Timestamp
	minima []time.Duration
	events []int

	lives          int
	mallocs, bytes uint64 // of a life of all connections
}

func newWarmth(c contender, steps [][]flowscope.PacketView) warmth {
	w := warmth{contender: c, steps: steps, stamp: epoch, mallocs: math.MaxUint64, bytes: math.MaxUint64}
	for range len(steps) + 1 {
		w.minima = append(w.minima, math.MaxInt64)
	}
	w.events = make([]int, len(w.minima))
	return w
}

// lives is how often in a round the connections are opened.
const lives = 32

func (w *warmth) round(counts bool) {
	mallocs, bytes := allocated(func() {
		for range lives {
			w.live(counts)
		}
	})
	if counts {
		w.lives += lives
		w.mallocs, w.bytes = min(w.mallocs, mallocs/lives), min(w.bytes, bytes/lives)
	}
}

// live lets all connections be opened, used, closed and released.
func (w *warmth) live(counts bool) {
	for i := range w.minima {
		release := i == len(w.steps)
		w.stamp += 1e6
		if release {
			w.stamp += 600e9 // longer than any timeout
		} else {
			for j := range w.steps[i] {
				w.steps[i][j].Timestamp = w.stamp
			}
		}
		begun := now()
		if release {
			w.events[i] = w.sweep(w.stamp)
		} else {
			w.events[i] = w.track(w.steps[i])
		}
		if d := now() - begun; counts {
			w.minima[i] = min(w.minima[i], d)
		}
	}
}

// samples are the figures of each step, and of a life.
func (w *warmth) samples(overhead time.Duration) (samples []sample) {
	row := "warm/" + w.name + "/"
	whole := sample{Row: row + "life", Packets: together * len(w.steps), Mallocs: w.mallocs, Bytes: w.bytes}
	for i, d := range w.minima {
		s := sample{Row: row + "release", NS: float64(d-overhead) / together, Packets: together, Events: w.events[i]}
		if i < len(life) {
			s.Row = row + life[i].name
		}
		whole.NS += s.NS / float64(len(w.steps)) // the release is shared among the packets
		whole.Events += s.Events
		samples = append(samples, s)
	}
	samples = append(samples, whole)
	for i := range samples {
		samples[i].Rounds, samples[i].Source = w.lives, "synthetic"
	}
	return samples
}

// clockOverhead is what reading the clock takes.
func clockOverhead() time.Duration {
	least := time.Duration(math.MaxInt64)
	for range 1000 {
		begun := now()
		least = min(least, now()-begun)
	}
	return least
}
