// Package allocs counts allocations per packet. testing.AllocsPerRun gives whole numbers, rounded down: code that
// allocates for three of four packets passes there as one that allocates nothing.
package allocs

import (
	"runtime"
	"testing"

	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

const (
	// Packets is how many packets are counted, at least.
	Packets = 20_000
	// Most is the bound of allocations per packet. The runtime allocates now and then for itself, which is far less:
	// a handful in a measurement, if any.
	Most = 0.001
)

// Count is how often f allocates. No other goroutine runs meanwhile.
func Count(f func()) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// PerPacket is how often run allocates for each of the packets that it takes in one run. It makes as many runs as
// Packets asks for, and says how many. With the race detector, which allocates itself, it makes one and counts nothing.
func PerPacket(packets int, run func()) (each float64, runs int) {
	if race.On {
		run()
		return 0, 1
	}
	runs = (Packets + packets - 1) / packets
	n := Count(func() {
		for range runs {
			run()
		}
	})
	return float64(n) / float64(runs*packets), runs
}

// None fails unless run allocates nothing, which means at most Most for each of its packets. It measures once more
// where the first count is above that, for something else may have allocated beside it. It says how many runs it made.
func None(tb testing.TB, packets int, run func()) (runs int) {
	tb.Helper()
	first, runs := PerPacket(packets, run)
	if first <= Most {
		return runs
	}
	second, more := PerPacket(packets, run)
	if second > Most {
		tb.Errorf("%.4f and then %.4f allocations a packet, at most %v", first, second, Most)
	}
	return runs + more
}
