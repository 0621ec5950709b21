package main

import (
	"fmt"
	"io"

	"github.com/flowscope-go/flowscope/examples/internal/flowline"
	"github.com/flowscope-go/flowscope/examples/internal/table"
)

// rows prints flows as a table. "PKTS>" counts the packets of the initiator, "<PKTS" those of the
// responder.
//
//	PROTO  INITIATOR                RESPONDER                PKTS>  <PKTS  ...
//	tcp    192.0.2.10:33678         198.51.100.20:80             7      5  ...
//	tcp    [2001:db8:1::10]:38284   [2001:db8:2::20]:8080       10      8  ...
type rows struct{ *table.Table }

func newRows(w io.Writer) rows {
	return rows{table.New(w,
		[]string{"PROTO", "INITIATOR", "RESPONDER", "PKTS>", "<PKTS", "BYTES>", "<BYTES", "SECONDS", "END", "HISTORY", "TUNNEL"},
		"PKTS>", "<PKTS", "BYTES>", "<BYTES", "SECONDS")}
}

func (r rows) flow(ev *event) {
	s := ev.Stats
	from, to := flowline.Ends(ev)
	r.Add(ev.L4.String(), from, to,
		fmt.Sprint(s.Packets[0]), fmt.Sprint(s.Packets[1]), fmt.Sprint(s.Bytes[0]), fmt.Sprint(s.Bytes[1]),
		fmt.Sprintf("%.3f", s.End().Sub(s.Start()).Seconds()), ev.Reason.String(), ev.History.String(), s.TunnelString())
}

func (r rows) flush() { r.Flush() }
