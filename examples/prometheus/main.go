// Command prometheus serves the counters of a driver, of its sessions (HTTP/1, TLS, DNS) and of the capture to Prometheus.
//
//	prometheus [-listen ADDR] [-keep D] [FILE]
//	prometheus [-listen ADDR] -i INTERFACE
//
// It reads a capture, or with -i an interface until interrupted: on Linux, with the right to open packet sockets
// (CAP_NET_RAW). Without either it reads a small built-in capture. It serves during the replay and for the time -keep after
// the end of the capture, even if the file is damaged. It is a module of its own, so that the library does not depend on the
// Prometheus client.
//
// dashboard.json is a dashboard for Grafana: import the file, or http://ADDR/dashboard.json.
package main

import (
	"context"
	_ "embed"
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
	"github.com/flowscope-go/flowscope/examples/internal/sniff"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed dashboard.json
var dashboard []byte

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
	device := flags.String("i", "", "the interface to watch")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: prometheus [-listen ADDR] [-keep D] [FILE]\n       prometheus [-listen ADDR] -i INTERFACE")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	case *keep < 0:
		return fmt.Errorf("%w: -keep must not be negative", errUsage)
	case flags.NArg() > 1, flags.NArg() == 1 && *device != "":
		return fmt.Errorf("%w: name one capture file or one interface at most", errUsage)
	}
	src := source{packets: sample.Sessions()}
	switch {
	case *device != "":
		socket, err := sniff.Open(*device)
		if err != nil {
			return err
		}
		defer socket.Close()
		src = source{packets: socket.Packets(ctx), dropped: socket.Dropped, silent: socket.Silent}
	case flags.NArg() == 1:
		src.packets = flowscope.OpenCapture(flags.Arg(0))
	}
	m, registry, err := newMonitor(src)
	if err != nil {
		return err
	}
	socket, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "serving http://%v/metrics\n", socket.Addr())
	server := &http.Server{Handler: handler(registry), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()

	err = m.run(ctx)
	var damaged *flowscope.CaptureError
	if err == nil || errors.As(err, &damaged) { // the packets before the damage count
		stats := m.driverStats()
		fmt.Fprintf(out, "%d packets, %d flows, %d messages\n", stats.Packets, stats.FlowsCreated, stats.Sessions.Messages)
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

func handler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/dashboard.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(dashboard)
	})
	return mux
}

// source is where packets come from.
type source struct {
	packets iter.Seq2[flowscope.PacketView, error]
	dropped func() uint64                      // nil: it drops none
	silent  func() (flowscope.Timestamp, bool) // up to when all packets have been given; nil for a file
}
