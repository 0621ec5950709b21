// Package table prints rows in columns.
package table

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxRows is the number of rows that are buffered to find the widths of the columns.
const maxRows = 1000

// Table prints rows as text in columns. A column is as wide as its longest cell so far; rows are
// buffered maxRows at a time, so that memory does not grow with their number.
type Table struct {
	w      io.Writer
	titles []string
	right  []string
	begun  bool // the titles were added
	rows   [][]string
	widths []int
}

// New makes a table with these titles. The columns of the titles in right are aligned on the right.
func New(w io.Writer, titles []string, right ...string) *Table {
	return &Table{w: w, titles: titles, right: right, widths: make([]int, len(titles))}
}

// Add adds a row with a cell for each title. Of a row with fewer cells the last one is text that runs over the other
// columns.
func (t *Table) Add(cells ...string) {
	if !t.begun {
		t.begun = true
		t.rows = append(t.rows, t.titles)
	}
	if t.rows = append(t.rows, cells); len(t.rows) >= maxRows {
		t.Flush()
	}
}

// Flush prints the rows that are buffered. An error of the writer is not reported, so that the writer
// should be a bufio.Writer, whose Flush reports it.
func (t *Table) Flush() {
	for _, row := range t.rows {
		for c, cell := range row {
			if c < len(row)-1 || len(row) == len(t.titles) {
				t.widths[c] = max(t.widths[c], len(cell))
			}
		}
	}
	for _, row := range t.rows {
		var b strings.Builder
		for c, cell := range row {
			width := -t.widths[c] // on the left
			if slices.Contains(t.right, t.titles[c]) && (c < len(row)-1 || len(row) == len(t.titles)) {
				width = -width
			}
			fmt.Fprintf(&b, "%*s  ", width, cell)
		}
		fmt.Fprintln(t.w, strings.TrimRight(b.String(), " "))
	}
	t.rows = t.rows[:0]
}
