// Command live prints the flows of a network interface as they begin and end.
//
//	live -i INTERFACE [-for D]
//
// It needs Linux and the right to open packet sockets (CAP_NET_RAW), and no cgo.
// Without -i it lists the interfaces.
//
// This is the loop to copy for a sniffer: one goroutine reads, one tracks. Where no
// packets come a ticker moves packet time, so that flows end on a silent network
// too; and when the program stops, every flow ends. On the loopback interface the
// kernel shows every packet twice, going out and coming in.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"time"

	"github.com/google/gopacket/pcapgo"

	"github.com/flowscope-go/flowscope"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("live", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("i", "", "the interface to listen on")
	limit := flags.Duration("for", 0, "stop after this time (0: when interrupted)")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: live -i INTERFACE [-for D]")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() != 0 || *limit < 0:
		flags.Usage()
		return 2
	}
	if *name == "" {
		return list(stdout, stderr)
	}
	if *limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *limit)
		defer cancel()
	}
	if err := listen(ctx, *name, stdout); err != nil {
		fmt.Fprintf(stderr, "live: %s: %v\n", *name, err)
		return 1
	}
	return 0
}

func list(stdout, stderr io.Writer) int {
	all, err := net.Interfaces()
	if err != nil {
		fmt.Fprintln(stderr, "live:", err)
		return 1
	}
	fmt.Fprintln(stdout, "usage: live -i INTERFACE; there are:")
	for _, i := range all {
		fmt.Fprintf(stdout, "  %-16s %v\n", i.Name, i.Flags)
	}
	return 0
}

func listen(ctx context.Context, name string, stdout io.Writer) error {
	handle, err := pcapgo.NewEthernetHandle(name)
	if err != nil {
		return err
	}
	tracker, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{
		Events: flowscope.Events(flowscope.EventStarted, flowscope.EventICMPError, flowscope.EventEnded),
	})
	if err != nil {
		return err
	}
	packets, failed := make(chan flowscope.PacketView, 1024), make(chan error, 1)
	go read(ctx, handle, packets, failed)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	// The kernel's stamps and the ticker's differ by the length of the queue.
	const queue = 100 * time.Millisecond
	for {
		select {
		case v := <-packets:
			show(stdout, tracker.Track(v))
		case now := <-tick.C:
			show(stdout, tracker.Sweep(flowscope.TimestampOf(now.Add(-queue))))
		case err := <-failed:
			for len(packets) > 0 {
				show(stdout, tracker.Track(<-packets))
			}
			show(stdout, tracker.Finish())
			if ctx.Err() != nil {
				return nil // the source passes it on
			}
			return err
		case <-ctx.Done():
			show(stdout, tracker.Finish())
			return nil // the reader ends with its next packet, or with the program
		}
	}
}

// read hands packets over, each with memory of its own: the socket's is used
// again. A reader that must not allocate for each packet hands over batches, as examples/shards does.
func read(ctx context.Context, handle *pcapgo.EthernetHandle, packets chan<- flowscope.PacketView, failed chan<- error) {
	defer handle.Close()
	for v, err := range flowscope.FromZeroCopySource(ctx, handle, flowscope.LinkTypeEthernet) {
		if err != nil {
			failed <- err
			return
		}
		v.Frame = append([]byte(nil), v.Frame...)
		select {
		case packets <- v:
		case <-ctx.Done():
			return
		}
	}
}

func show(w io.Writer, events []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
	for i := range events {
		switch ev := &events[i]; ev.Kind {
		case flowscope.EventStarted:
			fmt.Fprintf(w, "%v  began  %v\n", ev.Timestamp, ev.Key)
		case flowscope.EventICMPError:
			fmt.Fprintf(w, "%v  icmp   %v: type %d code %d\n", ev.Timestamp, ev.Key, ev.ICMPType, ev.ICMPCode)
		case flowscope.EventEnded:
			fmt.Fprintf(w, "%v  ended  %v: %v, %d and %d packets, %d and %d bytes\n", ev.Timestamp, ev.Key, ev.Reason,
				ev.Stats.Packets[0], ev.Stats.Packets[1], ev.Stats.Bytes[0], ev.Stats.Bytes[1])
		}
	}
}
