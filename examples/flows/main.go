// Command flows prints the flows of capture files.
//
//	flows [-json] [-idle D] [FILE...]
//
// Each FILE is a pcap or pcapng file, plain or gzip; "-" is standard input.
// Without a file it reads a small capture that is built in. Every flow is one
// line, printed when nothing more can come of it. How many packets belong to
// no flow, and why, is said on standard error; -json leaves that out.
//
// The exit status is 0; 1 if a file is damaged or missing, after the flows of
// its sound part; 2 if the command line is wrong.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("flows", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: flows [-json] [-idle D] [FILE...]")
		flags.PrintDefaults()
	}
	asJSON := flags.Bool("json", false, "print one JSON object a line")
	idle := flags.Duration("idle", 0, "end flows that are silent for this long, whatever their kind (0: the defaults)")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *idle < 0:
		fmt.Fprintln(stderr, "flows: -idle must not be negative")
		return 2
	}
	out := bufio.NewWriter(stdout)
	p := program{out: out, stderr: stderr, cfg: config(*idle), print: newTable(out), refusals: !*asJSON}
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

// config asks for the one event that says a flow is over and all its packets,
// late ones too, are counted.
func config(idle time.Duration) flowscope.Config {
	cfg := flowscope.Config{Events: flowscope.Events(flowscope.EventReleased)}
	if idle != 0 {
		cfg.OpeningTimeout, cfg.EstablishedTimeout, cfg.ClosingTimeout = idle, idle, idle
		cfg.UDPTimeout, cfg.ICMPTimeout, cfg.OtherTimeout = idle, idle, idle
		cfg.LingerTimeout = max(idle, 60*time.Second)
	}
	return cfg
}

type event = flowscope.FlowEvent[flowscope.FiveTupleKey]

// printer prints flows. It may hold some back until flush.
type printer interface {
	flow(*event)
	flush()
}

type program struct {
	out      *bufio.Writer
	stderr   io.Writer
	cfg      flowscope.Config
	print    printer
	refusals bool // say what belongs to no flow
	status   int
}

// capture prints the flows of one capture, and then what is to be said of it.
func (p *program) capture(name string, views iter.Seq2[flowscope.PacketView, error]) {
	if p.out.Flush() != nil {
		return // nobody reads what is printed; that was said
	}
	bar := newProgress(p.stderr, name)
	stats, err := p.flows(views, bar)
	bar.clear()
	p.print.flush()
	if err := p.out.Flush(); err != nil {
		p.fail(err)
	}
	if p.refusals && stats.PacketsUnmatched > 0 {
		fmt.Fprintf(p.stderr, "flows: %s: %s\n", name, refused(stats))
	}
	if err == nil {
		return
	}
	if path := (*fs.PathError)(nil); !errors.As(err, &path) { // which names the file already
		err = fmt.Errorf("%s: %w", name, err)
	}
	p.fail(err)
}

func (p *program) fail(err error) {
	fmt.Fprintln(p.stderr, "flows:", err)
	p.status = 1
}

// flows tracks one capture. A damaged file gives the flows of its sound part,
// and then the error.
func (p *program) flows(views iter.Seq2[flowscope.PacketView, error], bar *progress) (flowscope.TrackerStats, error) {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, p.cfg)
	if err != nil {
		return flowscope.TrackerStats{}, err
	}
	var broken error
	for view, err := range views {
		if err != nil {
			broken = err
			break
		}
		bar.packet(len(view.Frame))
		p.all(tracker.Track(view))
	}
	p.all(tracker.Finish())
	return tracker.Stats(), broken
}

func (p *program) all(events []event) {
	for i := range events {
		p.print.flow(&events[i])
	}
}

// refused is as in "3 of 124 packets belong to no flow: 2 not_ip, 1 truncated_tcp".
func refused(stats flowscope.TrackerStats) string {
	var why []string
	for r, n := range stats.Refused {
		if n > 0 {
			why = append(why, fmt.Sprintf("%d %v", n, flowscope.Refusal(r)))
		}
	}
	return fmt.Sprintf("%d of %d packets belong to no flow: %s", stats.PacketsUnmatched, stats.Packets, strings.Join(why, ", "))
}

// ends are the two ends in the order of who began. The events of a flow's end
// say which orientation that is.
func ends(ev *event) (initiator, responder string) {
	a, b := ev.Key.Ends(ev.Orientation)
	switch ev.L4 {
	case flowscope.L4TCP, flowscope.L4UDP, flowscope.L4SCTP:
		return a.String(), b.String()
	}
	return a.Addr().String(), b.Addr().String()
}
