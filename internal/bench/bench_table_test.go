package main_test

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	. "github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit/contest"
	"github.com/flowscope-go/flowscope/internal/testkit/traffic"
)

// What the table of flows costs apart from the packets that find their flow in it.

// BenchmarkNew is the start: the memory for finding MaxFlows flows is set aside.
func BenchmarkNew(b *testing.B) {
	for _, flows := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("what=tracker/flows=%d", flows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustTracker(b, Config{MaxFlows: flows})
			}
		})
		b.Run(fmt.Sprintf("what=driver/flows=%d", flows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustDriver(b, Config{MaxFlows: flows})
			}
		})
	}
}

// BenchmarkSweepAll is a sweep that ends every flow there is: the time by flow.
func BenchmarkSweepAll(b *testing.B) {
	for _, flows := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) {
			if testing.Short() && flows > 1000 {
				b.Skip("memory")
			}
			tr := newTalks(flows, false)
			best := time.Hour
			for range min(b.N, 3) {
				t := mustTracker(b, Config{MaxFlows: flows})
				for i := range flows {
					t.Track(PacketView{Frame: tr.next(uint32(i)), Timestamp: Timestamp(i)})
				}
				runtime.GC()
				start := time.Now()
				ended := len(t.Sweep(Timestamp(time.Hour)))
				best = min(best, time.Since(start))
				if ended != flows {
					b.Fatalf("%d ended", ended)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(best.Nanoseconds())/float64(flows), "min-ns/flow")
		})
	}
}

// BenchmarkFlood is a full table under a SYN flood: every packet makes a flow and evicts another.
func BenchmarkFlood(b *testing.B) {
	for _, flows := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) {
			if testing.Short() && flows > 1000 {
				b.Skip("memory")
			}
			// Stamps so near that no flow times out before it is evicted.
			g := traffic.New(traffic.Config{Mix: traffic.Flood, Flows: flows, Gap: time.Second})
			cfg := Config{MaxFlows: flows, Events: quiet}
			contenders := []contest.Contender[PacketView]{flooring(flows), tracking(b, "track", cfg), driving(b, "driver", cfg)}
			next := viewing(g)
			contest.Warm(contenders, max(flows, 1<<14), next)
			contest.Run(b, contenders, next)
		})
	}
}

// BenchmarkWorst is how long a single packet takes at worst while a table fills with flows, is used, is flooded, and
// while time ends its flows. Three repetitions show the same packets; of each packet the shortest time counts, so what
// the machine did meanwhile falls out. What is reported of each phase are the five largest, and the median.
func BenchmarkWorst(b *testing.B) {
	for _, flows := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) {
			if testing.Short() && flows > 1000 {
				b.Skip("memory")
			}
			var least []int64
			for n := 0; b.Loop(); n++ {
				if n == 0 { // however many are asked for
					for range 3 {
						worstOnce(b, flows, &least)
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			for k, name := range []string{"fill", "use", "flood", "expire"} {
				phase := slices.Clone(least[k*flows : (k+1)*flows])
				slices.SortFunc(phase, func(x, y int64) int { return cmp.Compare(y, x) })
				for i := range 5 {
					b.ReportMetric(float64(phase[i]), fmt.Sprintf("%s-%d-ns", name, i+1))
				}
				b.ReportMetric(float64(phase[flows/2]), name+"-median-ns")
			}
		})
	}
}

// worstOnce runs a driver through the four phases, each as long as there are flows, and keeps the least time of each
// packet.
func worstOnce(b *testing.B, flows int, least *[]int64) {
	d := mustDriver(b, Config{MaxFlows: flows, Events: quiet})
	tr := newTalks(flows, true)
	flood := traffic.NewRing(traffic.New(traffic.Config{Mix: traffic.Flood, Flows: 1000}), 1000)
	var frames []traffic.Packet
	runtime.GC()
	now := Timestamp(1)
	for i := range 4 * flows {
		now += 100
		var frame []byte
		switch i / flows {
		case 0:
			frame = tr.next(uint32(i))
		case 1:
			frame = tr.next(uint32(i % flows))
		case 2:
			if i%1000 == 0 {
				frames = flood.Next()
			}
			frame = frames[i%1000].Frame
		case 3:
			if i == 3*flows {
				now = now.Add(10 * time.Minute) // every flow's time has come
			}
			frame = tr.next(0)
		}
		start := time.Now()
		d.Track(PacketView{Frame: frame, Timestamp: now})
		took := time.Since(start).Nanoseconds()
		if len(*least) <= i {
			*least = append(*least, took)
		}
		(*least)[i] = min((*least)[i], took)
	}
}
