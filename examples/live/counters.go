package main

import (
	"fmt"
	"io"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/flowlog"
)

// counters are the sums over the drivers: the packets that are in no flow, and the limits that were reached.
type counters struct {
	rest                                              flowscope.TrackerStats
	evicted, holes, notHeld, refused, evictedSessions uint64
}

func (c *counters) add(s flowscope.DriverStats) {
	c.rest.Packets += s.Packets
	for i, n := range s.Refused {
		c.rest.Refused[i] += n
	}
	c.rest.ICMPErrorsMatched += s.ICMPErrorsMatched
	c.rest.Fragments.Unused += s.Fragments.Unused
	c.evicted += s.FlowsEvicted
	c.holes += s.BudgetGaps
	c.notHeld += s.SegmentsNotHeld + s.PayloadNotHeld
	c.refused += s.Sessions.Refused
	c.evictedSessions += s.Sessions.Evicted
}

func (c *counters) print(stderr io.Writer) {
	if text := flowlog.Rest(&c.rest); text != "" {
		fmt.Fprintf(stderr, "live: %s\n", text)
	}
	for _, limit := range []struct {
		n    uint64
		what string
	}{
		{c.evicted, "flows had to leave a full table (Config.MaxFlows)"},
		{c.holes, "times there was no room for early bytes (Config.TotalBytes)"},
		{c.notHeld, "segments could not be held until they were acknowledged (Config.TotalBytes)"},
		{c.refused, "flows were not read for want of memory (Config.SessionBytes)"},
		{c.evictedSessions, "flows were read in part for want of memory (Config.SessionBytes)"},
	} {
		if limit.n > 0 {
			fmt.Fprintf(stderr, "live: %d %s\n", limit.n, limit.what)
		}
	}
}
