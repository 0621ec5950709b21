// Command flows prints the flows of capture files.
//
//	flows [-format F] [-udp ADDR] [-gaps] [-sort ORDER] [-top N] [-report D] [-idle D] [-no-encap] [-no-defrag] [-checksums MODE] [FILE...]
//
// Each FILE is a pcap or pcapng file, plain or gzip; "-" is standard input.
// Without a file it reads a small built-in capture. Every flow is one line, printed when the
// flow is released. The number of packets that belong to no flow, and the reasons, are printed
// on standard error, and so is the number of timestamps far ahead that were wrong.
//
// -format is "table" with the sums of all flows in the last row, "json" (as -json) with a
// flowscope.Record a line, "zeek" or "zeek-json" for Zeek's conn.log, "eve" for Suricata's records of
// flows and anomalies, "csv" for a table that programs read, or "ipfix" for IPFIX messages: as a file, or
// with -udp 192.0.2.1:4739 as datagrams to a collector, as fast as they come. In the table a flow has ended as closed (both sides sent a FIN), reset, idle, or
// is open at the end of the capture; the other words are those of flowscope.EndReason. With several
// files a table and CSV have a column of their names, and JSON a field.
//
// The formats of other tools need the streams, to tell what is missing of them. With -gaps JSON has that too:
// delivered bytes, gaps, and a letter G in the history where a gap was given up.
//
// -sort prints the flows of a file at its end, by bytes, packets, start or duration, and -top the first
// N of them. With -report 5m a flow that lives for longer is printed every five minutes too, with what
// was counted so far.
//
// By default it decapsulates tunnels and reassembles IP fragments; the line of a flow in a
// tunnel names the tunnel, as in "vxlan:77".
//
// The exit status is 0; 1 if a file is damaged or missing, after the flows of the packets before
// the damage; 2 if the command line is wrong.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"slices"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/flowlog"
	"github.com/flowscope-go/flowscope/examples/internal/options"
	"github.com/flowscope-go/flowscope/examples/internal/progress"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("flows", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: flows [-format F] [-udp ADDR] [-gaps] [-sort ORDER] [-top N] [-report D]", options.Usage, "[FILE...]")
		flags.PrintDefaults()
	}
	format := flags.String("format", "table", "table, json, zeek, zeek-json, eve, csv or ipfix")
	collector := flags.String("udp", "", "with -format ipfix: send the messages to this address, as 192.0.2.1:4739")
	asJSON := flags.Bool("json", false, "the same as -format json")
	gaps := flags.Bool("gaps", false, "put the streams together too, and tell what is missing of them")
	var order order
	flags.StringVar(&order.by, "sort", "", "print the flows at the end of a file, by bytes, packets, start or duration")
	flags.IntVar(&order.top, "top", 0, "print the first N flows only, 0 for all; with -sort the first in that order")
	report := flags.Duration("report", 0, "print flows that live on that often, with what was counted so far")
	opts := options.Add(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case opts.Idle < 0:
		fmt.Fprintln(stderr, "flows: -idle must not be negative")
		return 2
	case *format != "ipfix" && !slices.Contains(flowlog.Formats, *format):
		fmt.Fprintf(stderr, "flows: unknown -format %q; it is table, json, zeek, zeek-json, eve, csv or ipfix\n", *format)
		return 2
	case *collector != "" && (*format != "ipfix" || *asJSON):
		fmt.Fprintln(stderr, "flows: -udp is for -format ipfix")
		return 2
	case order.by != "" && !slices.Contains(orders, order.by):
		fmt.Fprintf(stderr, "flows: unknown -sort %q; it is bytes, packets, start or duration\n", order.by)
		return 2
	case *report < 0:
		fmt.Fprintln(stderr, "flows: -report must not be negative")
		return 2
	case order.top < 0:
		fmt.Fprintln(stderr, "flows: -top must not be negative")
		return 2
	}
	if *asJSON {
		*format = "json"
	}
	out := bufio.NewWriter(stdout)
	// Released is the only event whose counters are final: they include late packets.
	cfg := opts.Config(flowscope.EventReleased, flowscope.EventReport)
	cfg.Details, cfg.ReportEvery = flowscope.AllDetails, *report
	p := program{out: out, stderr: stderr, ex: opts.Extractor(), cfg: cfg, order: order}
	p.streams = *gaps || *format != "table" && *format != "json"
	column := ""
	if flags.NArg() > 1 {
		column = "file"
	}
	switch {
	case *collector != "":
		socket, err := net.Dial("udp", *collector)
		if err != nil {
			fmt.Fprintln(stderr, "flows:", err)
			return 1
		}
		defer socket.Close()
		p.print = newMessages(socket, p.fail)
	case *format == "ipfix":
		p.print = newMessages(out, nil)
	default:
		p.print = flowlog.New(out, *format, column)
	}
	if *format == "eve" {
		p.cfg.Events |= flowscope.Events(flowscope.EventAnomaly)
	}
	if flags.NArg() == 0 {
		p.capture(sample.Name, sample.Packets())
	}
	for _, name := range flags.Args() {
		p.capture(name, flowscope.OpenCapture(name))
	}
	return p.status
}

type program struct {
	out    *bufio.Writer
	stderr io.Writer
	ex     flowscope.FlowExtractor[flowscope.FiveTupleKey]
	cfg    flowscope.Config
	order  order
	print  flowlog.Printer
	status int

	streams bool // a driver is needed, a tracker is not enough
}

// capture prints the flows of one capture, then the packets in no flow, then an error.
func (p *program) capture(name string, views iter.Seq2[flowscope.PacketView, error]) {
	if p.out.Flush() != nil {
		return // the output cannot be written, which was reported
	}
	p.print.Begin(name)
	bar := progress.New(p.stderr, name)
	stats, err := p.flows(bar.Of(views))
	bar.Clear()
	if err := p.out.Flush(); err != nil {
		p.fail(err)
	}
	if rest := flowlog.Rest(&stats); rest != "" {
		fmt.Fprintf(p.stderr, "flows: %s: %s\n", name, rest)
	}
	if n := stats.ClockSuspects; n > 0 {
		fmt.Fprintf(p.stderr, "flows: %s: %d timestamps lie far ahead, and nothing confirms them (see Config.ClockJump)\n", name, n)
	}
	if stats.Packets == 0 && err == nil {
		fmt.Fprintf(p.stderr, "flows: %s: no packets\n", name)
	}
	if err != nil {
		p.fail(err)
	}
}

func (p *program) fail(err error) {
	fmt.Fprintln(p.stderr, "flows:", err)
	p.status = 1
}

// tracking is a tracker or a driver.
type tracking interface {
	Events(iter.Seq2[flowscope.PacketView, error]) iter.Seq2[*flowscope.Event, error]
	UID(*flowscope.Event) flowscope.UID
	Now() flowscope.Timestamp
}

// start makes what tracks a capture, and a function that gives its counters.
func (p *program) start() (t tracking, stats func() flowscope.TrackerStats, err error) {
	if p.streams {
		d, err := flowscope.NewFlowDriver(p.ex, nil, p.cfg)
		return d, func() flowscope.TrackerStats { return d.Stats().TrackerStats }, err
	}
	f, err := flowscope.NewFlowTracker(p.ex, p.cfg)
	return f, func() flowscope.TrackerStats { return f.Stats() }, err
}

// flows tracks one capture. Of a damaged file it prints the flows of the packets before the
// damage, and returns the error.
func (p *program) flows(views iter.Seq2[flowscope.PacketView, error]) (flowscope.TrackerStats, error) {
	t, stats, err := p.start()
	if err != nil {
		return flowscope.TrackerStats{}, err
	}
	var sum flowlog.Totals
	for ev, broken := range t.Events(views) {
		switch {
		case broken != nil:
			err = broken
		case ev.Kind == flowscope.EventAnomaly:
			p.print.Anomaly(t.UID(ev), ev)
		default:
			r := flowscope.RecordOf(ev)
			if r.Final {
				sum.Add(&r)
			}
			if p.order.keeps() {
				p.order.add(&r)
			} else {
				p.print.Record(&r)
			}
		}
	}
	p.order.flush(p.print.Record)
	sum.Stats, sum.Now = stats(), t.Now()
	p.print.End(sum)
	return sum.Stats, err
}
