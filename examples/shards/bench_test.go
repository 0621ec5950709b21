package main

import (
	"context"
	"encoding/binary"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// nop is a tracker that does nothing: the time that is left is that of the reader.
type nop struct{}

func (nop) TrackBatch([]flowscope.PacketView) iter.Seq2[int, []event] {
	return func(func(int, []event) bool) {}
}
func (nop) Sweep(flowscope.Timestamp) []event { return nil }
func (nop) Finish() []event                   { return nil }

// traffic is data on connections of many pairs of hosts, in an order that defeats caches.
func traffic(pairs, packets, size int) iter.Seq2[flowscope.PacketView, error] {
	all := make([][]byte, pairs)
	for i := range all {
		f := frames.TCP{Src: "10.0.0.1:1000", Dst: "10.0.0.2:2000", Flags: "PA", Ack: 1, Window: 9000, Payload: make([]byte, size)}.Ethernet()
		binary.BigEndian.PutUint32(f[26:], 10<<24|uint32(i))
		binary.BigEndian.PutUint32(f[30:], 11<<24|uint32(i/3))
		all[i] = f
	}
	return func(yield func(flowscope.PacketView, error) bool) {
		for i := range packets {
			k := i % pairs * 7919 % pairs
			f := all[k]
			binary.BigEndian.PutUint32(f[38:], uint32(i/pairs*size)) // the next bytes
			if !yield(flowscope.PacketView{Frame: f, Timestamp: flowscope.Timestamp(i) * 200}, nil) {
				return
			}
		}
	}
}

// BenchmarkWorkers compares, in turn and by the best of all rounds: a driver without a runner, the runner with one
// worker and with two, and the runner with workers that do nothing, which is the reader's share. What two workers
// can gain is bounded by it: with two cores, (reader + driver) / 2 a packet.
func BenchmarkWorkers(b *testing.B) {
	const pairs, packets = 20_000, 300_000
	driver := func() *flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}] {
		d, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
			Events: flowscope.Events(flowscope.EventData, flowscope.EventEnded),
		})
		require.NoError(b, err)
		return d
	}
	for _, size := range []int{100, 1000} {
		b.Run(map[int]string{100: "payload=100", 1000: "payload=1000"}[size], func(b *testing.B) {
			source := traffic(pairs, packets, size)
			sum := func(ev *event, to []int64) []int64 { // what a caller would do at the least: look at each byte
				h := int64(0)
				for _, c := range ev.Bytes {
					h = h*31 + int64(c)
				}
				if h == 1 {
					to = append(to, h)
				}
				return to
			}
			run := func(trackers ...tracker) func() {
				return func() {
					r := runner[int64]{trackers: trackers, see: sum, order: func(a, b int64) int { return int(a - b) }, hand: func(int64) {}}
					require.NoError(b, r.run(context.Background(), source))
				}
			}
			contenders := []struct {
				name string
				run  func()
				best time.Duration
			}{
				{"loop", func() {
					d := driver()
					for v := range source {
						events := d.Track(v)
						for i := range events {
							sum(&events[i], nil)
						}
					}
				}, 1 << 62},
				{"one", func() { run(driver())() }, 1 << 62},
				{"two", func() { run(driver(), driver())() }, 1 << 62},
				{"reader", func() { run(nop{}, nop{})() }, 1 << 62},
			}
			for b.Loop() {
				for i := range contenders {
					began := time.Now()
					contenders[i].run()
					contenders[i].best = min(contenders[i].best, time.Since(began))
				}
			}
			for _, c := range contenders {
				b.ReportMetric(float64(c.best.Nanoseconds())/packets, c.name+"-ns/packet")
			}
			b.ReportMetric(float64(contenders[0].best)/float64(contenders[2].best), "two/loop")
			b.ReportMetric(float64(contenders[1].best)/float64(contenders[2].best), "two/one")
			b.ReportMetric(0, "ns/op")
		})
	}
}
