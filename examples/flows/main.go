// Command flows prints the flows of capture files.
//
//	flows [-json] [-idle D] [-no-encap] [-no-defrag] [-checksums MODE] [FILE...]
//
// Each FILE is a pcap or pcapng file, plain or gzip; "-" is standard input.
// Without a file it reads a small built-in capture. Every flow is one line, printed when the
// flow is released. The number of packets that belong to no flow, and the reasons, are printed
// on standard error, and so is the number of timestamps far ahead that were wrong.
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
	"os"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/options"
	"github.com/flowscope-go/flowscope/examples/internal/progress"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("flows", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: flows [-json]", options.Usage, "[FILE...]")
		flags.PrintDefaults()
	}
	asJSON := flags.Bool("json", false, "print one JSON object a line")
	opts := options.Add(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case opts.Idle < 0:
		fmt.Fprintln(stderr, "flows: -idle must not be negative")
		return 2
	}
	out := bufio.NewWriter(stdout)
	// Released is the only event whose counters are final: they include late packets.
	cfg := opts.Config(flowscope.EventReleased)
	p := program{out: out, stderr: stderr, ex: opts.Extractor(), cfg: cfg, print: newRows(out)}
	if *asJSON {
		p.print = newLines(out)
	}
	if flags.NArg() == 0 {
		p.capture(sample.Name, sample.Packets())
	}
	for _, name := range flags.Args() {
		p.capture(name, flowscope.OpenCapture(name))
	}
	return p.status
}

type event = flowscope.FlowEvent[flowscope.FiveTupleKey]

// printer prints flows. It may hold some back until flush.
type printer interface {
	flow(*event)
	flush()
}

type program struct {
	out    *bufio.Writer
	stderr io.Writer
	ex     flowscope.FlowExtractor[flowscope.FiveTupleKey]
	cfg    flowscope.Config
	print  printer
	status int
}

// capture prints the flows of one capture, then the packets in no flow, then an error.
func (p *program) capture(name string, views iter.Seq2[flowscope.PacketView, error]) {
	if p.out.Flush() != nil {
		return // the output cannot be written, which was reported
	}
	bar := progress.New(p.stderr, name)
	stats, err := p.flows(views, bar)
	bar.Clear()
	p.print.flush()
	if err := p.out.Flush(); err != nil {
		p.fail(err)
	}
	if rest := rest(&stats); rest != "" {
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

// flows tracks one capture. Of a damaged file it prints the flows of the packets before the
// damage, and returns the error.
func (p *program) flows(views iter.Seq2[flowscope.PacketView, error], bar *progress.Bar) (flowscope.TrackerStats, error) {
	tracker, err := flowscope.NewFlowTracker(p.ex, p.cfg)
	if err != nil {
		return flowscope.TrackerStats{}, err
	}
	var broken error
	for view, err := range views {
		if err != nil {
			broken = err
			break
		}
		bar.Packet(len(view.Frame))
		p.all(tracker.Track(view))
	}
	for events := range tracker.FinishParts() {
		p.all(events)
	}
	return tracker.Stats(), broken
}

func (p *program) all(events []event) {
	for i := range events {
		p.print.flow(&events[i])
	}
}

// rest describes the packets in no flow, as in "of 124 packets, 3 are in no flow: 2 not_ip, 1
// icmp_error"; it is "" if there are none.
func rest(stats *flowscope.TrackerStats) string {
	var why []string
	sum := uint64(0)
	add := func(n uint64, what string) {
		if n > 0 {
			sum += n
			why = append(why, fmt.Sprint(n, " ", what))
		}
	}
	for r, n := range stats.Refused {
		add(n, flowscope.Refusal(r).String())
	}
	add(stats.ICMPErrorsMatched, "icmp_error")
	add(stats.Fragments.Unused, "incomplete_datagram")
	if sum == 0 {
		return ""
	}
	return fmt.Sprintf("of %d packets, %d are in no flow: %s", stats.Packets, sum, strings.Join(why, ", "))
}
