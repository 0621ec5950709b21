package flowlog

import (
	"fmt"
	"strings"

	"github.com/flowscope-go/flowscope"
)

// Rest describes the packets in no flow, as in "of 124 packets, 3 are in no flow: 2 not_ip, 1
// icmp_error"; it is "" if there are none.
func Rest(stats *flowscope.TrackerStats) string {
	var why []string
	sum := uint64(0)
	add := func(n uint64, what string) {
		if n > 0 {
			sum += n
			why = append(why, fmt.Sprint(n, " ", what))
		}
	}
	for r, n := range stats.Refused {
		add(n, flowscope.Refusal(r).String())
	}
	add(stats.ICMPErrorsMatched, "icmp_error")
	add(stats.Fragments.Unused, "incomplete_datagram")
	if sum == 0 {
		return ""
	}
	return fmt.Sprintf("of %d packets, %d are in no flow: %s", stats.Packets, sum, strings.Join(why, ", "))
}
