package fork

import (
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit/contest"
	"github.com/flowscope-go/flowscope/internal/testkit/traffic"
)

// BenchmarkMix is the library's benchmark of that name with the fork as peer.
func BenchmarkMix(b *testing.B) {
	for _, row := range traffic.Rows() {
		if row.Flows > 100_000 {
			continue // the library measures those, without a peer
		}
		b.Run(row.String(), func(b *testing.B) {
			if testing.Short() && row.Flows > 1000 {
				b.Skip("memory")
			}
			g := traffic.New(row)
			driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{
				MaxFlows: g.MaxFlows(), Events: flowscope.DefaultEvents &^ flowscope.Events(flowscope.EventPacket)})
			if err != nil {
				b.Fatal(err)
			}
			floor, p := contest.NewFloor(g.MaxFlows()), newAssembler(layers.LayerTypeEthernet)
			contenders := []contest.Contender[traffic.Packet]{
				{Name: "floor", Take: each(func(v *traffic.Packet) { floor.Take(v.Frame, v.Stamp) })},
				{Name: "driver", Take: each(func(v *traffic.Packet) {
					driver.Track(flowscope.PacketView{Frame: v.Frame, Timestamp: flowscope.Timestamp(v.Stamp)})
				})},
				{Name: peerName, Take: each(func(v *traffic.Packet) { p.take(v.Frame, v.Stamp) })},
			}
			next := traffic.NewRing(g, min(4096, 32<<20/g.MaxFrame())).Next
			contest.Warm(contenders, g.WarmUp(), next)
			contest.Run(b, contenders, next)
		})
	}
}

func each(take func(*traffic.Packet)) func([]traffic.Packet) {
	return func(batch []traffic.Packet) {
		for i := range batch {
			take(&batch[i])
		}
	}
}
