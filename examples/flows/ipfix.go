package main

import (
	"io"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/flowlog"
	"github.com/flowscope-go/flowscope/export"
)

// messages prints records as IPFIX messages, and after each capture the counters of its tracker.
type messages struct {
	ipfix *export.IPFIXWriter
	fail  func(error) // of a socket; what goes to a file is reported when that is flushed
	err   error
}

// newMessages writes each message to w at once.
func newMessages(w io.Writer, fail func(error)) *messages {
	ipfix, _ := export.NewIPFIXWriter(w, export.IPFIXOptions{}) // the defaults are in range
	return &messages{ipfix: ipfix, fail: fail}
}

// Begin implements flowlog.Printer.
func (m *messages) Begin(string) { m.err = nil }

// Record implements flowlog.Printer.
func (m *messages) Record(r *flowscope.Record) { m.note(m.ipfix.Write(r)) }

// Flush implements flowlog.Printer.
func (*messages) Flush() {}

// End implements flowlog.Printer.
func (m *messages) End(t flowlog.Totals) {
	m.note(m.ipfix.WriteStats(t.Now, &t.Stats))
	m.note(m.ipfix.Flush())
	if m.err != nil && m.fail != nil {
		m.fail(m.err)
	}
}

// note keeps the first error of a capture.
func (m *messages) note(err error) {
	if m.err == nil {
		m.err = err
	}
}

// Anomaly implements flowlog.Printer: there is no record of one.
func (*messages) Anomaly(flowscope.UID, *flowscope.Event) {}

// Text implements flowlog.Printer: there is no record of one.
func (*messages) Text(flowscope.Timestamp, string, string, string, string) {}
