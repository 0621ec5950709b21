package main

import (
	"fmt"
	"io"

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
	several bool
	name    string
}

func newRows(w io.Writer, several bool) *rows {
	titles := []string{"START", "PROTO", "INITIATOR", "RESPONDER", "PKTS>", "<PKTS", "BYTES>", "<BYTES", "SECONDS", "END", "HISTORY", "TUNNEL"}
	if several {
		titles = append([]string{"FILE"}, titles...)
	}
	return &rows{Table: table.New(w, titles, "PKTS>", "<PKTS", "BYTES>", "<BYTES", "SECONDS"), several: several}
}

func (r *rows) begin(name string) { r.name = name }

func (r *rows) add(cells ...string) {
	if r.several {
		cells = append([]string{r.name}, cells...)
	}
	r.Add(cells...)
}

func (r *rows) record(f *flowscope.Record) {
	r.add(f.Start.Time().Format("2006-01-02T15:04:05.000Z"), f.Proto.String(), f.Initiator.String(), f.Responder.String(),
		fmt.Sprint(f.Packets[0]), fmt.Sprint(f.Packets[1]), fmt.Sprint(f.WireBytes[0]), fmt.Sprint(f.WireBytes[1]),
		fmt.Sprintf("%.3f", f.End.Sub(f.Start).Seconds()), ending(f), f.History.String(), f.Tunnel.String())
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

func (r *rows) end(t totals) {
	if t.flows != 0 {
		r.add("total", "", fmt.Sprint(t.flows, " flows"), "", fmt.Sprint(t.packets[0]), fmt.Sprint(t.packets[1]),
			fmt.Sprint(t.bytes[0]), fmt.Sprint(t.bytes[1]), "", "", "", "")
	}
	r.Flush()
}

func (*rows) anomaly(flowscope.UID, *flowscope.Event) {}
