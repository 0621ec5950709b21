package main

import (
	"bufio"
	"io"
	"sync"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/flowlog"
	"github.com/flowscope-go/flowscope/examples/internal/sessionlog"
	"github.com/flowscope-go/flowscope/export/sessions"
)

type driver = flowscope.FlowDriver[flowscope.FiveTupleKey, struct{}]

// messagePrinter prints messages in one of the forms of examples/sessions.
type messagePrinter interface {
	Record(sessionlog.Record)
	Flush()
}

// output prints what all workers see. The first error of the writer below is kept.
type output struct {
	mu       sync.Mutex
	out      *bufio.Writer
	flows    flowlog.Printer
	messages messagePrinter
	append   func([]byte, flowscope.UID, *flowscope.Event) []byte // of another format, in place of messages
	line     []byte

	names   map[uint32]string // of the interfaces, if there are several
	sum     flowlog.Totals
	lost    sessionlog.Losses
	tunnels int // flows inside tunnels over UDP
}

func newOutput(w io.Writer, s *settings, names map[uint32]string) *output {
	o := &output{out: bufio.NewWriterSize(w, 64<<10), names: names, lost: sessionlog.Losses{}}
	column := ""
	switch {
	case s.format == "zeek-json" && s.sessions:
		column = "_path" // as the lines of the other logs have it
	case len(names) > 0:
		column = "device"
	}
	o.flows = flowlog.New(o.out, s.format, column)
	if column == "_path" {
		o.flows.Begin("conn")
		o.names = nil
	}
	switch s.format {
	case "table":
		if !s.flows {
			o.messages = sessionlog.NewRows(o.out)
		}
	case "json":
		o.messages = sessionlog.NewLines(o.out)
	case "zeek", "zeek-json":
		o.append = sessions.AppendZeekJSON
	case "eve":
		o.append = sessions.AppendEVE
	}
	return o
}

// show prints the events of one call of a driver.
func (o *output) show(driver *driver, events []flowscope.Event) {
	if len(events) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range events {
		switch ev := &events[i]; ev.Kind {
		case flowscope.EventMessage:
			o.message(driver, ev)
		case flowscope.EventAnomaly:
			o.flows.Anomaly(driver.UID(ev), ev)
		default:
			r := flowscope.RecordOf(ev)
			o.flow(&r)
		}
	}
}

func (o *output) flow(r *flowscope.Record) {
	if r.Final {
		o.sum.Add(r)
		if overUDP(r.Tunnel) {
			o.tunnels++
		}
	}
	if o.names != nil {
		o.flows.Begin(o.names[r.Interface])
	}
	o.flows.Record(r)
}

func (o *output) message(driver *driver, ev *flowscope.Event) {
	if o.append != nil {
		if o.line = o.append(o.line[:0], driver.UID(ev), ev); len(o.line) > 0 {
			_, _ = o.out.Write(o.line) // flush tells an error
			return
		}
	} else if r := sessionlog.Of(ev); r != nil {
		if o.messages != nil {
			o.messages.Record(r)
			return
		}
		if o.names != nil {
			o.flows.Begin("") // a message does not say where it was captured
		}
		h := r.About()
		o.flows.Text(flowscope.TimestampOf(h.Time), h.Kind, h.Client, h.Server, sessionlog.Text(r))
		return
	}
	o.lost.Add(ev)
}

// flush prints what is held back. Its error is that of the writer below.
func (o *output) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flows.Flush()
	if o.messages != nil {
		o.messages.Flush()
	}
	return o.out.Flush()
}

// finish prints the sums.
func (o *output) finish() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.messages != nil {
		o.messages.Flush()
	}
	if o.names != nil {
		o.flows.Begin("")
	}
	o.flows.End(o.sum)
	return o.out.Flush()
}

// overUDP reports whether a tunnel may have other ports in each direction, so that a fan-out by ports takes the flows
// inside apart.
func overUDP(l flowscope.TunnelLabel) bool {
	switch l.Kind {
	case flowscope.TunnelVXLAN, flowscope.TunnelVXLANGPE, flowscope.TunnelGeneve, flowscope.TunnelGTPU,
		flowscope.TunnelTeredo, flowscope.TunnelAYIYA, flowscope.TunnelL2TP, flowscope.TunnelTZSP:
		return true
	}
	return false
}
