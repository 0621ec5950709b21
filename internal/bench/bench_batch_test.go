package main_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/contest"
)

// BenchmarkBatch compares packets in batches with packets one by one.
func BenchmarkBatch(b *testing.B) {
	for _, flows := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) {
			if testing.Short() && flows > 1000 {
				b.Skip("memory")
			}
			cfg := flowscope.Config{MaxFlows: flows, Events: flowscope.Events(flowscope.EventEnded)}
			contenders := []contest.Contender[flowscope.PacketView]{
				flooring(flows), tracking(b, "track", cfg), batching("track-batch", mustTracker(b, cfg)),
			}
			if flows < 1_000_000 { // or it would take more than 2 GiB
				contenders = append(contenders, driving(b, "driver", cfg), batching("driver-batch", mustDriver(b, cfg)))
			}
			contest.Run(b, contenders, newTalks(flows, true).established(contenders))
		})
	}
}

// batching collects packets and tracks 256 at a time.
func batching(name string, t testkit.Batcher) contest.Contender[flowscope.PacketView] {
	return contest.Contender[flowscope.PacketView]{Name: name, Take: func(views []flowscope.PacketView) {
		for batch := range slices.Chunk(views, 256) {
			for range t.TrackBatch(batch) {
			}
		}
	}}
}
