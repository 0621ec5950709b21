package main

import (
	"fmt"
	"math"
	"time"

	"github.com/flowscope-go/flowscope"
)

// load reads a capture into memory, or makes synthetic traffic where none is named.
func load(workload, capture string, scale float64) (views []flowscope.PacketView, source string, err error) {
	if capture == "" {
		frames := synthetic(workload, scale)
		if frames == nil {
			return nil, "", fmt.Errorf("no workload %q", workload)
		}
		return stamped(frames), "synthetic", nil
	}
	var room []byte // many frames share an allocation, so that the collector has less to look at
	for v, err := range flowscope.OpenCapture(capture) {
		if err != nil {
			return nil, "", err
		}
		if len(v.Frame) > cap(room)-len(room) {
			room = make([]byte, 0, max(1<<20, len(v.Frame)))
		}
		from := len(room)
		room = append(room, v.Frame...)
		v.Frame = room[from:len(room):len(room)]
		views = append(views, v)
	}
	if len(views) == 0 {
		return nil, "", fmt.Errorf("%s has no packets", capture)
	}
	return views, capture, nil
}

// stretch is how many packets are timed at once.
const stretch = 1024

// replay shows the packets to the contenders, in rounds that begin with the first packet and end
// with Finish.
//
// A stretch of packets is the same work in every round. Its minimum over the rounds counts, and the
// figure of a contender is the sum of these minima: a disturbance spoils one stretch of one round.
// The first round, in which the tables touch their memory for the first time, does not count.
//
// Finish has a figure of its own. Where many flows are still alive it takes long, mostly for fresh
// memory from the kernel, and would hide a change in the cost of a packet.
func replay(contenders []contender, workload string, views []flowscope.PacketView) (samples []sample) {
	timings := make([]timing, len(contenders))
	for i := range timings {
		timings[i] = newTiming((len(views) + stretch - 1) / stretch)
	}
	for n := range rounds() {
		for i, c := range contenders {
			timings[i].round(c, views, n > 0)
		}
	}
	for i, c := range contenders {
		t := &timings[i]
		t.Row, t.Packets = workload+"/"+c.name, len(views)
		var sum time.Duration
		for _, d := range t.minima {
			sum += d
		}
		t.NS = float64(sum) / float64(len(views))
		samples = append(samples, t.sample, sample{
			Row: t.Row + "/Finish", NS: float64(t.finish) / float64(len(views)), Packets: len(views), Rounds: t.Rounds, Events: t.finalEvents,
		})
	}
	return samples
}

// timing is what has been measured of a contender.
type timing struct {
	sample
	minima      []time.Duration // of each stretch
	finish      time.Duration   // the minimum
	finalEvents int             // of Finish
}

func newTiming(stretches int) timing {
	t := timing{sample: sample{Mallocs: math.MaxUint64, Bytes: math.MaxUint64}, finish: math.MaxInt64}
	for range stretches {
		t.minima = append(t.minima, math.MaxInt64)
	}
	return t
}

// round shows all packets to the contender.
func (t *timing) round(c contender, views []flowscope.PacketView, counts bool) {
	events := 0
	mallocs, bytes := allocated(func() {
		begun := now()
		for i := range t.minima {
			events += c.track(views[i*stretch : min((i+1)*stretch, len(views))])
			end := now()
			if counts {
				t.minima[i] = min(t.minima[i], end-begun)
			}
			begun = end
		}
	})
	begun := now()
	t.finalEvents = c.finish()
	d := now() - begun
	if counts { // the runtime allocates too, rarely: the minimum is the contender's
		t.finish = min(t.finish, d)
		t.Rounds++
		t.Events, t.Mallocs, t.Bytes = events, min(t.Mallocs, mallocs), min(t.Bytes, bytes)
	}
}
