package flowlog

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
)

// lines prints records one a line, in a format of package export.
type lines struct {
	w      io.Writer
	append func([]byte, *flowscope.Record) []byte
	header []byte // written before the first line
	column string // lines of JSON and CSV begin with the name of the capture
	csv    bool
	prefix []byte
	line   []byte
}

func newLines(w io.Writer, format, column string) *lines {
	l := &lines{w: w}
	switch format {
	case "json":
		l.append, l.column = export.AppendNDJSON, column
	case "zeek":
		l.append, l.header = export.AppendZeekConn, export.AppendZeekConnHeader(nil)
	case "zeek-json":
		l.append, l.column = export.AppendZeekConnJSON, column
	case "eve":
		l.append, l.column = export.AppendEVEFlow, column
	case "csv":
		rows := export.CSV{Details: flowscope.AllDetails, Streams: true}
		if l.append, l.csv, l.column = rows.AppendRecord, true, column; column != "" {
			l.header = append([]byte(column), ',')
		}
		l.header = rows.AppendHeader(l.header)
	}
	return l
}

// Begin implements Printer.
func (l *lines) Begin(name string) {
	switch {
	case l.column == "":
	case l.csv:
		var cell bytes.Buffer
		w := csv.NewWriter(&cell)
		_ = w.Write([]string{name}) // to memory
		w.Flush()
		l.prefix = append(bytes.TrimSuffix(cell.Bytes(), []byte("\n")), ',')
	default:
		quoted, _ := json.Marshal(name)
		l.prefix = append(append(append(l.prefix[:0], `{"`...), l.column...), `":`...)
		l.prefix = append(append(l.prefix, quoted...), ',')
	}
}

// Record implements Printer.
func (l *lines) Record(r *flowscope.Record) { l.write(l.append(l.line[:0], r)) }

// write ignores an error: Flush of the bufio.Writer reports it.
func (l *lines) write(line []byte) {
	_, _ = l.w.Write(l.header)
	l.header = nil
	if l.line = line; l.column != "" {
		_, _ = l.w.Write(l.prefix)
		if !l.csv {
			line = line[1:] // the brace is in the prefix
		}
	}
	_, _ = l.w.Write(line)
}

// Text implements Printer.
func (*lines) Text(flowscope.Timestamp, string, string, string, string) {}

// Flush implements Printer.
func (l *lines) Flush() {}

// End implements Printer: a table of CSV without rows has its names.
func (l *lines) End(Totals) {
	if l.csv {
		_, _ = l.w.Write(l.header)
		l.header = nil
	}
}

// Anomaly implements Printer: it is an EVE record.
func (l *lines) Anomaly(uid flowscope.UID, ev *flowscope.Event) {
	l.write(export.AppendEVEAnomaly(l.line[:0], uid, ev))
}
