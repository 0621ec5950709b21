package main

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
	named  bool   // lines of JSON and CSV begin with the file's name
	csv    bool
	prefix []byte
	line   []byte
}

func newLines(w io.Writer, format string, several bool) *lines {
	l := &lines{w: w}
	switch format {
	case "json":
		l.append, l.named = export.AppendNDJSON, several
	case "zeek":
		l.append, l.header = export.AppendZeekConn, export.AppendZeekConnHeader(nil)
	case "zeek-json":
		l.append, l.named = export.AppendZeekConnJSON, several
	case "eve":
		l.append, l.named = export.AppendEVEFlow, several
	case "csv":
		rows := export.CSV{Details: flowscope.AllDetails, Streams: true}
		if l.append, l.csv, l.named = rows.AppendRecord, true, several; several {
			l.header = []byte("file,")
		}
		l.header = rows.AppendHeader(l.header)
	}
	return l
}

func (l *lines) begin(name string) {
	switch {
	case !l.named:
	case l.csv:
		var cell bytes.Buffer
		w := csv.NewWriter(&cell)
		_ = w.Write([]string{name}) // to memory
		w.Flush()
		l.prefix = append(bytes.TrimSuffix(cell.Bytes(), []byte("\n")), ',')
	default:
		quoted, _ := json.Marshal(name)
		l.prefix = append(append([]byte(`{"file":`), quoted...), ',')
	}
}

func (l *lines) record(r *flowscope.Record) { l.write(l.append(l.line[:0], r)) }

// write ignores an error: Flush of the bufio.Writer reports it.
func (l *lines) write(line []byte) {
	_, _ = l.w.Write(l.header)
	l.header = nil
	if l.line = line; l.named {
		_, _ = l.w.Write(l.prefix)
		if !l.csv {
			line = line[1:] // the brace is in the prefix
		}
	}
	_, _ = l.w.Write(line)
}

// end prints the names of a table without rows.
func (l *lines) end(totals) {
	if l.csv {
		_, _ = l.w.Write(l.header)
		l.header = nil
	}
}

// anomaly prints an anomaly as an EVE record.
func (l *lines) anomaly(uid flowscope.UID, ev *flowscope.Event) {
	l.write(export.AppendEVEAnomaly(l.line[:0], uid, ev))
}
