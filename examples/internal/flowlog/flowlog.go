// Package flowlog prints the records of flows as examples/flows does: as a table, or in a format of package
// export.
package flowlog

import (
	"io"

	"github.com/flowscope-go/flowscope"
)

// Formats are the names of the formats. Those of other programs need the streams, from a FlowDriver.
var Formats = []string{"table", "json", "zeek", "zeek-json", "eve", "csv"}

// Printer prints records. It may hold some back until Flush or End. An error of the writer below is not
// reported, so that it should be a bufio.Writer, whose Flush reports it.
type Printer interface {
	// Begin names the capture that the next records are of.
	Begin(name string)
	// Record prints a record.
	Record(*flowscope.Record)
	// Anomaly prints an anomaly, if the format has them.
	Anomaly(flowscope.UID, *flowscope.Event)
	// Text prints a line about something else that happened, such as a message, if the format is a table.
	Text(at flowscope.Timestamp, proto, from, to, text string)
	// Flush prints what is held back.
	Flush()
	// End ends a capture: a table has its sums in the last row.
	End(Totals)
}

// New makes the printer of a format. With a column, such as "file", tables and lines of JSON and CSV begin with the name
// of the capture that a record is of; in JSON that is the name of the field.
func New(w io.Writer, format, column string) Printer {
	if format == "table" {
		return newRows(w, column)
	}
	return newLines(w, format, column)
}

// Totals are the sums over the flows of a capture.
type Totals struct {
	Flows          int
	Packets, Bytes [2]uint64
	// Stats and Now are those of the tracker at the end, for printers that tell of it.
	Stats flowscope.TrackerStats
	Now   flowscope.Timestamp
}

// Add adds a flow.
func (t *Totals) Add(r *flowscope.Record) {
	t.Flows++
	for i := range t.Packets {
		t.Packets[i] += r.Packets[i]
		t.Bytes[i] += r.WireBytes[i]
	}
}
