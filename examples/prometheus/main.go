// Command prometheus replays a capture and serves the counters of the driver to Prometheus.
//
//	prometheus [-listen ADDR] [-keep D] [FILE]
//
// Without a file it replays a small built-in capture. It serves during the replay and for the
// time -keep after the end of the capture, even if the file is damaged. It is a module of its
// own, so that the library does not depend on the Prometheus client.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "prometheus:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "prometheus:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("wrong usage")

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("prometheus", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9464", "address to serve /metrics on")
	keep := flags.Duration("keep", 0, "how long to go on serving after the end of the capture (0: not at all)")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: prometheus [-listen ADDR] [-keep D] [FILE]")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	case *keep < 0:
		return fmt.Errorf("%w: -keep must not be negative", errUsage)
	}
	packets := sample.Packets()
	switch flags.NArg() {
	case 0:
	case 1:
		packets = flowscope.OpenCapture(flags.Arg(0))
	default:
		return fmt.Errorf("%w: name one capture file at most", errUsage)
	}
	metrics := new(collector)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	socket, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "serving http://%v/metrics\n", socket.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()

	err = replay(ctx, packets, metrics)
	var damaged *flowscope.CaptureError
	if err == nil || errors.As(err, &damaged) { // the packets before the damage count
		stats := metrics.get()
		fmt.Fprintf(out, "%d packets, %d flows\n", stats.Packets, stats.FlowsCreated)
		select {
		case <-ctx.Done():
		case <-time.After(*keep):
		}
	}
	err = errors.Join(err, server.Close())
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// replay runs a capture through a driver. The driver belongs to this goroutine; other goroutines
// get copies of its counters.
func replay(ctx context.Context, packets iter.Seq2[flowscope.PacketView, error], metrics *collector) error {
	driver, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{Events: flowscope.NoEvents})
	if err != nil {
		return err
	}
	n := 0
	for view, failed := range packets {
		if err = failed; err != nil {
			break
		}
		driver.Track(view)
		if n++; n%1000 == 0 {
			metrics.set(driver.Stats())
			if err = ctx.Err(); err != nil {
				break
			}
		}
	}
	for range driver.FinishParts() {
	}
	metrics.set(driver.Stats())
	return err
}
