package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	. "github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit/contest"
	"github.com/flowscope-go/flowscope/internal/testkit/traffic"
)

// viewing makes batches of views, of as many packets as a round has, or as fit in 32 MiB.
func viewing(g *traffic.Generator) func() []PacketView {
	n := min(round, 32<<20/g.MaxFrame())
	ring, views := traffic.NewRing(g, n), make([]PacketView, n)
	return func() []PacketView {
		for i, p := range ring.Next() {
			views[i] = PacketView{Frame: p.Frame, Timestamp: Timestamp(p.Stamp)}
		}
		return views
	}
}

// quiet are all default events but Packet, which comes with every packet.
const quiet = DefaultEvents &^ (1 << EventPacket)

// BenchmarkMix compares a tracker and a driver with the floor and with a peer: in each a table that is as full as
// it gets. The tracker and the driver tell all they tell by default but EventPacket; events is a driver that tells
// that too.
func BenchmarkMix(b *testing.B) {
	for _, row := range traffic.Rows() {
		b.Run(row.String(), func(b *testing.B) {
			if testing.Short() && row.Flows > 1000 {
				b.Skip("memory")
			}
			g := traffic.New(row)
			contenders := []contest.Contender[PacketView]{
				flooring(g.MaxFlows()),
				tracking(b, "track", Config{MaxFlows: g.MaxFlows(), Events: quiet}),
				driving(b, "driver", Config{MaxFlows: g.MaxFlows(), Events: quiet}),
			}
			if row.Flows <= 100_000 { // with more, all together would not fit into 2 GiB
				p := newAssembler(layers.LayerTypeEthernet)
				contenders = append(contenders,
					driving(b, "events", Config{MaxFlows: g.MaxFlows()}),
					contest.Contender[PacketView]{Name: peerName, Take: p.views})
			}
			next := viewing(g)
			contest.Warm(contenders, g.WarmUp(), next)
			contest.Run(b, contenders, next)
		})
	}
}

// views takes the next packets.
func (p *peer) views(views []PacketView) {
	for i := range views {
		p.take(views[i].Frame, int64(views[i].Timestamp))
	}
}

// captureVariable names the environment variable with the capture files for BenchmarkCapture.
const captureVariable = "FLOWSCOPE_CAPTURE"

// BenchmarkCapture replays files. A round is the whole file from its beginning, several times if it is small, and at
// its end every contender has to finish: all flows end, all that is held is given up. Nothing is built anew, so no one
// pays for memory. To run on instead, with shifted timestamps and addresses, would need new headers in tunnels, fragments
// and options, and would be another capture.
//
// The peer takes part where a file is of Ethernet, Linux cooked or raw IP frames throughout.
func BenchmarkCapture(b *testing.B) {
	names := filepath.SplitList(os.Getenv(captureVariable))
	if len(names) == 0 {
		b.Skip(captureVariable + " names no file")
	}
	for _, name := range names {
		b.Run("file="+filepath.Base(name), func(b *testing.B) {
			views := loadCapture(b, name)
			contenders := captureContenders(b, views)
			for len(views) < round {
				views = append(views, views...)
			}
			next := func() []PacketView { return views }
			contest.Warm(contenders, 2*len(views), next)
			contest.Run(b, contenders, next)
		})
	}
}

func loadCapture(b *testing.B, name string) (views []PacketView) {
	for v, err := range OpenCapture(name) {
		if err != nil {
			b.Logf("%s: %v", name, err)
			break
		}
		v.Frame = bytes.Clone(v.Frame)
		views = append(views, v)
	}
	if len(views) == 0 {
		b.Fatal("no packets")
	}
	return views
}

func captureContenders(b *testing.B, views []PacketView) []contest.Contender[PacketView] {
	n := len(views) // of the capture; a batch may have it several times
	track, drive := mustTracker(b, Config{Events: quiet}), mustDriver(b, Config{Events: quiet})
	all := []contest.Contender[PacketView]{
		flooring(100_000),
		looped(shown("track", track), n, func() { track.Finish() }),
		looped(driven("driver", drive), n, func() { drive.Finish() }),
	}
	if first, ok := firstLayer(views); ok {
		p := newAssembler(first)
		all = append(all, looped(contest.Contender[PacketView]{Name: peerName, Take: p.views}, n, p.end))
	}
	return all
}

// looped is a contender that finishes after every n packets.
func looped(c contest.Contender[PacketView], n int, finish func()) contest.Contender[PacketView] {
	return contest.Contender[PacketView]{Name: c.Name, Take: func(views []PacketView) {
		for capture := range slices.Chunk(views, n) {
			c.Take(capture)
			finish()
		}
	}}
}

// firstLayer is what gopacket's parser has to begin with.
func firstLayer(views []PacketView) (gopacket.LayerType, bool) {
	for _, v := range views {
		if v.LinkType != views[0].LinkType {
			return 0, false
		}
	}
	switch views[0].LinkType {
	case 0, LinkTypeEthernet:
		return layers.LayerTypeEthernet, true
	case LinkTypeLinuxSLL:
		return layers.LayerTypeLinuxSLL, true
	case LinkTypeIPv4, LinkTypeRaw:
		return layers.LayerTypeIPv4, true
	}
	return 0, false
}
