package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// losses counts by protocol and reason what could not be read.
type losses map[string]int

func (l losses) add(protocol string, why fmt.Stringer) { l[fmt.Sprint(protocol, " ", why)]++ }

// String is such as "1 HTTP gap, 3 TLS framing"; it is "" if there are none.
func (l losses) String() string {
	var all []string
	for _, why := range slices.Sorted(maps.Keys(l)) {
		all = append(all, fmt.Sprint(l[why], " ", why))
	}
	return strings.Join(all, ", ")
}
