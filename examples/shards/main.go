// Command shards prints the flows of capture files, tracked by several workers.
//
//	shards [-n N] [-json] [FILE...]
//
// Each FILE is a pcap or pcapng file, plain or gzip; "-" is standard input.
// Without a file it reads a small built-in capture. There is one worker for each core, or N of
// them. The output does not depend on their number: packets are tracked in rounds, and the flows
// that are released in a round are printed by their start time. With -json the lines are those
// of examples/flows. The number of packets of each worker is printed on standard error.
//
// An interrupt (Ctrl-C) ends the reading and every flow.
//
// The exit status is 0; 1 if a file is damaged or missing, after the flows of the packets before
// the damage; 2 if the command line is wrong.
//
// runner.go is meant to be copied.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"runtime"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("shards", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: shards [-n N] [-json] [FILE...]")
		flags.PrintDefaults()
	}
	n := flags.Int("n", runtime.GOMAXPROCS(0), "how many workers, 1 to 256")
	asJSON := flags.Bool("json", false, "print one JSON object a line")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *n < 1 || *n > 256:
		fmt.Fprintln(stderr, "shards: -n must be 1 to 256")
		return 2
	}
	out := bufio.NewWriter(stdout)
	status := 0
	one := func(name string, packets iter.Seq2[flowscope.PacketView, error]) {
		shares, err := capture(ctx, *n, packets, func(f flow) { f.print(out, *asJSON) })
		if err = errors.Join(err, out.Flush()); err != nil {
			fmt.Fprintln(stderr, "shards:", err)
			status = 1
		}
		fmt.Fprintf(stderr, "shards: %s: packets of each worker: %v\n", name, shares)
	}
	if flags.NArg() == 0 {
		one(sample.Name, sample.Packets())
	}
	for _, name := range flags.Args() {
		if ctx.Err() == nil {
			one(name, flowscope.OpenCapture(name))
		}
	}
	return status
}

// capture passes the flows of one capture to hand, and returns the number of packets of each
// worker. Of a damaged file it passes on the flows of the packets before the damage, and returns
// the error.
func capture(ctx context.Context, n int, packets iter.Seq2[flowscope.PacketView, error], hand func(flow)) (shares []uint64, err error) {
	r := runner[flow]{see: see, order: before, hand: hand}
	var all []*flowscope.FlowTracker[flowscope.FiveTupleKey, struct{}]
	for range n {
		// The limits of Config apply to each worker, so the total is n times as much.
		t, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{
			Events: flowscope.Events(flowscope.EventReleased),
		})
		if err != nil {
			return nil, err
		}
		all = append(all, t)
		r.trackers = append(r.trackers, t)
	}
	err = r.run(ctx, packets)
	for _, t := range all {
		shares = append(shares, t.Stats().Packets)
	}
	return shares, err
}

// flow is a released flow: its start time and its line. The workers format the lines, since that
// costs more than tracking.
type flow struct {
	start flowscope.Timestamp
	line  flowscope.Record
	text  string // the same as JSON, which orders flows that start at the same time
}

func see(ev *event, to []flow) []flow {
	line := flowscope.RecordOf(ev)
	text, _ := json.Marshal(line) // cannot fail: a Record always has a text
	return append(to, flow{ev.Stats.Start(), line, string(text)})
}

func before(a, b flow) int {
	return cmp.Or(cmp.Compare(a.start, b.start), strings.Compare(a.text, b.text))
}

// print ignores failed writes: Flush of the bufio.Writer reports them.
func (f *flow) print(w io.Writer, asJSON bool) {
	if asJSON {
		fmt.Fprintln(w, f.text)
		return
	}
	l := &f.line
	fmt.Fprintf(w, "%-6s  %-28s  %-28s  %8d %8d packets  %10d %10d bytes  %-8s  %s\n", l.Proto, l.Initiator, l.Responder,
		l.Packets[0], l.Packets[1], l.WireBytes[0], l.WireBytes[1], l.Reason, l.History)
}
