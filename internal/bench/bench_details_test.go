package main_test

import (
	"testing"
	"time"

	. "github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit/contest"
	"github.com/flowscope-go/flowscope/internal/testkit/traffic"
)

// BenchmarkDetails is what each detail and reports cost: a tracker with it beside one without any. Web pages are short
// connections, so that the beginnings of flows count; in the others flows only go on.
func BenchmarkDetails(b *testing.B) {
	const flows = 1000
	contenders := func(b *testing.B) (all []contest.Contender[PacketView]) {
		for _, c := range []struct {
			name string
			cfg  Config
		}{
			{"none", Config{}}, {"ip_bytes", Config{Details: DetailIPBytes}}, {"tcp", Config{Details: DetailTCP}},
			{"late_bytes", Config{Details: DetailLateBytes}}, {"origin", Config{Details: DetailOrigin}},
			{"all", Config{Details: AllDetails}}, {"reports", Config{ReportEvery: time.Hour}},
		} {
			c.cfg.Events = Events(EventEnded)
			all = append(all, tracking(b, c.name, c.cfg))
		}
		return all
	}
	for _, tcp := range []bool{false, true} {
		name := "traffic=udp"
		if tcp {
			name = "traffic=tcp"
		}
		b.Run(name, func(b *testing.B) {
			all := contenders(b)
			contest.Run(b, all, newTalks(flows, tcp).established(all))
		})
	}
	b.Run("traffic=web", func(b *testing.B) {
		g := traffic.New(traffic.Config{Mix: traffic.Web, Flows: flows, Frame: 1514})
		all, next := contenders(b), viewing(g)
		contest.Warm(all, g.WarmUp(), next)
		contest.Run(b, all, next)
	})
}
