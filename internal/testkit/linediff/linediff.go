// Package linediff shows in which lines two texts differ, for the messages of tests.
package linediff

import (
	"fmt"
	"slices"
	"strings"
)

const (
	around   = 2   // equal lines that are shown on each side of a change
	maxShown = 80  // lines that are shown
	maxEdits = 400 // lines that only one text has, for which the least number of them is found
)

// edit is a line of the comparison.
type edit struct {
	sign byte // ' ' both have it, '-' only want, '+' only got
	line string
	want int // its number in want, from 0, or that of the next one there
}

// Of shows the lines that differ, "-" before those of want and "+" before those of got, each place with a few
// equal lines around it and the number of its first line in want. It is "" if the texts are equal, and cut
// where it gets long.
func Of(want, got string) string {
	if want == got {
		return ""
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var all []edit
	equal := func(from, to int) {
		for i := from; i < to; i++ {
			all = append(all, edit{' ', a[i], i})
		}
	}
	equal(max(head-around, 0), head)
	all = append(all, compare(a[head:len(a)-tail], b[head:len(b)-tail], head)...)
	equal(len(a)-tail, min(len(a)-tail+around, len(a)))
	return show(all)
}

// show is the text of the changes and what stands around them.
func show(all []edit) string {
	near := make([]bool, len(all))
	for i, e := range all {
		if e.sign != ' ' {
			for k := max(i-around, 0); k <= min(i+around, len(all)-1); k++ {
				near[k] = true
			}
		}
	}
	var out strings.Builder
	shown, left := 0, 0
	for i, e := range all {
		switch {
		case !near[i]:
		case shown >= maxShown:
			if e.sign != ' ' {
				left++
			}
		default:
			if i == 0 || !near[i-1] {
				fmt.Fprintf(&out, "line %d:\n", e.want+1)
			}
			out.WriteByte(e.sign)
			out.WriteString(" " + e.line + "\n")
			shown++
		}
	}
	if left > 0 {
		fmt.Fprintf(&out, "and %d more lines that differ\n", left)
	}
	return out.String()
}

// compare gives the lines of both in order, with as few changes as possible: Myers' greedy algorithm (An O(ND)
// Difference Algorithm and Its Variations, 1986). Texts that have little in common are all changes. at is the
// number of the first line of a.
func compare(a, b []string, at int) []edit {
	// ends[d][k+d] is how far of a the paths with d changes reach that have taken k more lines of a than of b.
	var ends [][]int
	for d := 0; d <= min(len(a)+len(b), maxEdits); d++ {
		row := make([]int, 2*d+1)
		for k := -d; k <= d; k += 2 {
			x := start(ends, d, k)
			for x < len(a) && x-k < len(b) && x-k >= 0 && a[x] == b[x-k] {
				x++
			}
			row[k+d] = x
			if x >= len(a) && x-k >= len(b) {
				return path(append(ends, row), a, b, at)
			}
		}
		ends = append(ends, row)
	}
	var all []edit
	for i, l := range a {
		all = append(all, edit{'-', l, at + i})
	}
	for _, l := range b {
		all = append(all, edit{'+', l, at + len(a)})
	}
	return all
}

// start is where a path with d changes begins on diagonal k, behind its last change.
func start(ends [][]int, d, k int) int {
	switch {
	case d == 0:
		return 0
	case addsLine(ends, d, k):
		return ends[d-1][k+1+d-1]
	default:
		return ends[d-1][k-1+d-1] + 1
	}
}

// addsLine reports whether the last change of the path is a line of b alone.
func addsLine(ends [][]int, d, k int) bool {
	return k == -d || k != d && ends[d-1][k-1+d-1] < ends[d-1][k+1+d-1]
}

// path walks back from the end of both texts.
func path(ends [][]int, a, b []string, at int) (all []edit) {
	x, k := len(a), len(a)-len(b)
	for d := len(ends) - 1; d >= 0; d-- {
		for from := start(ends, d, k); x > from; {
			x--
			all = append(all, edit{' ', a[x], at + x})
		}
		switch {
		case d == 0:
		case addsLine(ends, d, k):
			k++
			all = append(all, edit{'+', b[x-k], at + x})
		default:
			k--
			x--
			all = append(all, edit{'-', a[x], at + x})
		}
	}
	slices.Reverse(all)
	return all
}
