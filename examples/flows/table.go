package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/flowscope-go/flowscope/examples/internal/flowline"
)

// tableRows is how many rows wait to be measured.
const tableRows = 1000

// table prints flows for people. A column is as wide as the longest cell so
// far: rows wait until there are some to measure, so that a file with millions
// of flows needs the memory of a thousand. "PKTS>" is what the initiator sent,
// "<PKTS" what came back.
//
//	PROTO  INITIATOR                RESPONDER                PKTS>  <PKTS  ...
//	tcp    192.0.2.10:33678         198.51.100.20:80             7      5  ...
//	tcp    [2001:db8:1::10]:38284   [2001:db8:2::20]:8080       10      8  ...
type table struct {
	w      io.Writer
	begun  bool // the titles are among the rows, or printed
	rows   [][numColumns]string
	widths [numColumns]int
}

const (
	numColumns  = 11
	firstNumber = 3
	lastNumber  = 7
)

func newTable(w io.Writer) *table { return &table{w: w} }

func (t *table) flow(ev *event) {
	if !t.begun {
		t.begun = true
		t.rows = append(t.rows, [numColumns]string{
			"PROTO", "INITIATOR", "RESPONDER", "PKTS>", "<PKTS", "BYTES>", "<BYTES", "SECONDS", "END", "HISTORY", "TUNNEL",
		})
	}
	s := ev.Stats
	from, to := flowline.Ends(ev)
	t.rows = append(t.rows, [numColumns]string{
		ev.L4.String(), from, to,
		fmt.Sprint(s.Packets[0]), fmt.Sprint(s.Packets[1]), fmt.Sprint(s.Bytes[0]), fmt.Sprint(s.Bytes[1]),
		fmt.Sprintf("%.3f", s.End().Sub(s.Start()).Seconds()), ev.Reason.String(), ev.History.String(), ev.Stats.TunnelString(),
	})
	if len(t.rows) >= tableRows {
		t.flush()
	}
}

func (t *table) flush() {
	for i := range t.rows {
		for c, cell := range t.rows[i] {
			t.widths[c] = max(t.widths[c], len(cell))
		}
	}
	for i := range t.rows {
		var b strings.Builder
		for c, cell := range t.rows[i] {
			width := -t.widths[c] // on the left
			if c >= firstNumber && c <= lastNumber {
				width = -width
			}
			fmt.Fprintf(&b, "%*s  ", width, cell)
		}
		// A failed write is bufio's to report.
		fmt.Fprintln(t.w, strings.TrimRight(b.String(), " "))
	}
	t.rows = t.rows[:0]
}
