package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/flowscope-go/flowscope/examples/internal/flowline"
)

// tableRows is the number of rows that are buffered to find the widths of the columns.
const tableRows = 1000

// table prints flows as text in columns. A column is as wide as its longest cell so far; rows
// are buffered tableRows at a time, so that memory does not grow with the number of flows.
// "PKTS>" counts the packets of the initiator, "<PKTS" those of the responder.
//
//	PROTO  INITIATOR                RESPONDER                PKTS>  <PKTS  ...
//	tcp    192.0.2.10:33678         198.51.100.20:80             7      5  ...
//	tcp    [2001:db8:1::10]:38284   [2001:db8:2::20]:8080       10      8  ...
type table struct {
	w      io.Writer
	begun  bool // the titles were added
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
		// A failed write is reported by Flush of the bufio.Writer.
		fmt.Fprintln(t.w, strings.TrimRight(b.String(), " "))
	}
	t.rows = t.rows[:0]
}
