// Command live prints the flows of a network interface as they begin and end.
//
//	live -i INTERFACE [-for D] [-snap N]
//
// It needs Linux and the right to open packet sockets (CAP_NET_RAW), and no cgo.
// Without -i it lists the interfaces.
//
// The line of a TCP flow that has ended also says how many bytes of each direction were
// delivered in order, and how many are missing. Packets that the kernel dropped, because
// the buffer of the socket was full, are reported on standard error, every second in which
// there are new ones and in the last line; a larger net.core.rmem_default helps. The last
// line also counts the frames longer than -snap, of which the rest was cut off.
//
// This is the loop to copy for a sniffer: one goroutine reads, one tracks. While no packets
// arrive, a ticker advances packet time, so that flows end on a silent network too; and when the
// program stops, every flow ends. On the loopback interface the kernel delivers every packet
// twice, outgoing and incoming.
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
)

// defaultSnap has room for the largest frame that the kernel builds. With segmentation
// offload, or GRO, a packet socket sees frames far above the MTU: up to 64 KiB, and with BIG
// TCP up to the kernel's GSO_MAX_SIZE. The MTU does not count the link header either.
const (
	gsoMaxSize  = 8 * 65_535
	defaultSnap = gsoMaxSize + 256 // for the link header and tags
	maxSnap     = 16 << 20
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
	snap := flags.Int("snap", defaultSnap, "the capture length: how many bytes of a frame are read at most")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: live -i INTERFACE [-for D] [-snap N]")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() != 0 || *limit < 0 || *snap < 1 || *snap > maxSnap:
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
	if err := listen(ctx, *name, *snap, stdout, stderr); err != nil {
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
