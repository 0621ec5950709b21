package flowlog

import (
	"fmt"
	"io"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/table"
)

// rows prints records as a table, and their sums in the last row. "PKTS>" counts the packets of the
// initiator, "<PKTS" those of the responder.
//
//	START                     PROTO  INITIATOR         RESPONDER         PKTS>  <PKTS  ...
//	2026-11-23T03:46:31.792Z  tcp    192.0.2.10:33678  198.51.100.20:80      7      5  ...
type rows struct {
	*table.Table
	named bool
	name  string
}

func newRows(w io.Writer, column string) *rows {
	titles := []string{"START", "PROTO", "INITIATOR", "RESPONDER", "PKTS>", "<PKTS", "BYTES>", "<BYTES", "SECONDS", "END", "HISTORY", "TUNNEL"}
	if column != "" {
		titles = append([]string{strings.ToUpper(column)}, titles...)
	}
	return &rows{Table: table.New(w, titles, "PKTS>", "<PKTS", "BYTES>", "<BYTES", "SECONDS"), named: column != ""}
}

// Begin implements Printer.
func (r *rows) Begin(name string) { r.name = name }

func (r *rows) add(cells ...string) {
	if r.named {
		cells = append([]string{r.name}, cells...)
	}
	r.Add(cells...)
}

// Record implements Printer.
func (r *rows) Record(f *flowscope.Record) {
	r.add(f.Start.Time().Format(timeFormat), f.Proto.String(), f.Initiator.String(), f.Responder.String(),
		fmt.Sprint(f.Packets[0]), fmt.Sprint(f.Packets[1]), fmt.Sprint(f.WireBytes[0]), fmt.Sprint(f.WireBytes[1]),
		fmt.Sprintf("%.3f", f.End.Sub(f.Start).Seconds()), ending(f), f.History.String(), f.Tunnel.String())
}

const timeFormat = "2006-01-02T15:04:05.000Z"

// Text implements Printer.
func (r *rows) Text(at flowscope.Timestamp, proto, from, to, text string) {
	r.add(at.Time().Format(timeFormat), proto, from, to, text)
}

// ending says in a word how a flow ended.
func ending(f *flowscope.Record) string {
	switch {
	case !f.Final:
		return "goes on"
	case f.Reason == flowscope.EndFIN:
		return "closed"
	case f.Reason == flowscope.EndRST:
		return "reset"
	case f.Reason == flowscope.EndFinished:
		return "open" // when the capture was over
	}
	return f.Reason.String()
}

// End implements Printer.
func (r *rows) End(t Totals) {
	if t.Flows != 0 {
		r.add("total", "", fmt.Sprint(t.Flows, " flows"), "", fmt.Sprint(t.Packets[0]), fmt.Sprint(t.Packets[1]),
			fmt.Sprint(t.Bytes[0]), fmt.Sprint(t.Bytes[1]), "", "", "", "")
	}
	r.Flush()
}

// Anomaly implements Printer.
func (*rows) Anomaly(flowscope.UID, *flowscope.Event) {}
