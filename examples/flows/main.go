// Command flows prints the flows of capture files.
//
//	flows [-json] [-idle D] [FILE...]
//
// Each FILE is a pcap or pcapng file, plain or gzip; "-" is standard input.
// Without a file it reads a small capture that is built in. Every flow is one
// line, printed when nothing more can come of it.
package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/flowscope-go/flowscope"
)

// sample is described in ../../testdata/README.md.
//
//go:embed sample.pcapng
var sample []byte

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("flows", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print one JSON object a line")
	idle := flags.Duration("idle", 0, "end flows that are silent for this long, whatever their kind (0: the defaults)")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	out := bufio.NewWriter(stdout)
	defer out.Flush()
	print := table(out)
	if *asJSON {
		print = lines(out)
	}
	cfg := config(*idle)
	if flags.NArg() == 0 {
		return report(stderr, flows(flowscope.ReadCapture(bytes.NewReader(sample)), cfg, nil, print))
	}
	status := 0
	for _, name := range flags.Args() {
		bar := newProgress(stderr, name)
		err := flows(flowscope.OpenCapture(name), cfg, bar, print)
		bar.clear()
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		status = max(status, report(stderr, err))
	}
	return status
}

func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "flows:", err)
	return 1
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

// flows tracks one capture. A damaged file gives the flows of its sound part,
// and then the error.
func flows(views iter.Seq2[flowscope.PacketView, error], cfg flowscope.Config, bar *progress, print func(*event)) error {
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)
	if err != nil {
		return err
	}
	var broken error
	for view, err := range views {
		if err != nil {
			broken = err
			break
		}
		bar.packet(len(view.Frame))
		all(tracker.Track(view), print)
	}
	all(tracker.Finish(), print)
	return broken
}

func all(events []event, print func(*event)) {
	for i := range events {
		print(&events[i])
	}
}

// table prints flows for people.
func table(w io.Writer) func(*event) {
	header := true
	return func(ev *event) {
		if header {
			header = false
			fmt.Fprintf(w, "%-8s %-28s %-28s %15s %19s %9s  %-13s %s\n",
				"PROTO", "INITIATOR", "RESPONDER", "PACKETS", "BYTES", "SECONDS", "END", "HISTORY")
		}
		s := ev.Stats
		from, to := ends(ev)
		fmt.Fprintf(w, "%-8v %-28s %-28s %7d %7d %9d %9d %9.3f  %-13v %v\n", ev.L4, from, to,
			s.Packets[0], s.Packets[1], s.Bytes[0], s.Bytes[1], s.End().Sub(s.Start()).Seconds(), ev.Reason, ev.History)
	}
}

// line is one flow as JSON.
type line struct {
	Proto        string    `json:"proto"`
	Initiator    string    `json:"initiator"`
	Responder    string    `json:"responder"`
	Packets      [2]uint64 `json:"packets"`
	Late         [2]uint64 `json:"late"`
	WireBytes    [2]uint64 `json:"wire_bytes"`
	PayloadBytes [2]uint64 `json:"payload_bytes"`
	Start        time.Time `json:"start"`
	End          time.Time `json:"end"`
	State        string    `json:"state"`
	Reason       string    `json:"reason"`
	History      string    `json:"history"`
	Midstream    bool      `json:"midstream"`
}

// lines prints flows for programs.
func lines(w io.Writer) func(*event) {
	enc := json.NewEncoder(w)
	return func(ev *event) {
		s := ev.Stats
		from, to := ends(ev)
		// Numbers, strings and times of this century always encode, and a
		// failed write is bufio's to report.
		_ = enc.Encode(line{
			Proto: ev.L4.String(), Initiator: from, Responder: to,
			Packets: s.Packets, Late: s.Late, WireBytes: s.Bytes, PayloadBytes: s.Payload,
			Start: s.Start().Time(), End: s.End().Time(),
			State: ev.State.String(), Reason: ev.Reason.String(), History: ev.History.String(), Midstream: s.Midstream,
		})
	}
}

// ends are the two ends in the order of who began. The events of a flow's end
// say which orientation that is.
func ends(ev *event) (initiator, responder string) {
	a, b := ev.Key.Ends(ev.Orientation)
	return a.String(), b.String()
}
