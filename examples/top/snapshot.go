package main

import (
	"cmp"
	"runtime/metrics"
	"slices"

	"github.com/flowscope-go/flowscope"
)

// snapshot is how things stand at one moment. It belongs to who asked for it.
type snapshot struct {
	source, pace string
	now          flowscope.Timestamp
	over         bool   // no more packets will come
	failed       string // why, if not for the end of the capture

	packets, bytes       uint64
	packetRate, byteRate float64
	curve                []float64 // bytes by second
	dropped              uint64
	dropsKnown           bool
	stats                flowscope.DriverStats
	config               flowscope.Config
	repeats              [2]uint64 // retransmitted segments and bytes, of all flows
	memory               uint64    // of the process

	rows      []row // at most maxRows, those that the query puts first
	matched   int   // how many the query asks for
	known     int   // live flows, and ended ones that are kept
	forgotten uint64

	sessions     []session // the last ones, the oldest first
	sessionsSeen uint64
	kinds        []named // sessions by protocol
	losses       []named // what parsers could not read

	traced *row // the flow that is looked at, if it is known
	trace  [2][]float64
}

// named is a counter with its name.
type named struct {
	name string
	n    uint64
}

// sorted are counters, the largest first.
func sorted(m map[string]uint64) []named {
	var out []named
	for name, n := range m {
		out = append(out, named{name, n})
	}
	slices.SortFunc(out, func(a, b named) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name)) })
	return out
}

// processMemory is the memory that the process has from the system, without what was given back.
func processMemory() uint64 {
	all := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(all)
	return all[0].Value.Uint64() - all[1].Value.Uint64()
}
