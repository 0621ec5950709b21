package testkit

import (
	"fmt"
	"strings"
)

// LineDiff shows the lines around the first difference.
func LineDiff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	i := 0
	for i < len(w) && i < len(g) && w[i] == g[i] {
		i++
	}
	var b strings.Builder
	for k := max(0, i-4); k < i; k++ {
		fmt.Fprintf(&b, "%4d   %s\n", k+1, w[k])
	}
	for k := i; k < min(len(w), i+6); k++ {
		fmt.Fprintf(&b, "%4d - %s\n", k+1, w[k])
	}
	for k := i; k < min(len(g), i+6); k++ {
		fmt.Fprintf(&b, "%4d + %s\n", k+1, g[k])
	}
	return b.String()
}
