// Command top shows the flows of a network interface, or of a capture, on a terminal as they come and go.
//
//	top [-speed F] [-pause D] [-size WxH] [FILE]
//	top -i INTERFACE [-for D]
//
// It shows which flows take the most, the messages of their sessions (HTTP/1, TLS, DNS), and what went wrong: dropped
// packets, gaps, retransmissions, anomalies, and how full the tables are. Keys sort, filter and freeze; "?" lists them.
//
// A capture is replayed in the time that it took, times -speed (0: at once); silences of more than -pause are cut short.
// "-" is standard input. Without a file it replays a small built-in capture. -i watches an interface, on Linux with the right
// to open packet sockets (CAP_NET_RAW).
//
// Where standard output is no terminal it reads a capture at once, or an interface until interrupted or for -for, and prints one
// screen, without colours, of -size columns and lines.
//
// Its memory is bounded, however long it watches: -max flows, and what else the library bounds; the last 10,000 ended
// flows, and the last 1,000 sessions. Characters that draw bars need a locale of UTF-8; others get ASCII.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/testdata/captures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, term.IsTerminal(os.Stdout.Fd())))
}

// settings are what the command line asks for.
type settings struct {
	device        string
	file          string
	limit, pause  time.Duration
	speed         float64
	maxFlows      int
	width, height int
}

var errUsage = errors.New("wrong usage")

func parse(args []string, stderr io.Writer) (s settings, err error) {
	flags := flag.NewFlagSet("top", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.device, "i", "", "the interface to watch")
	flags.DurationVar(&s.limit, "for", 0, "stop after this time (0: when interrupted)")
	flags.Float64Var(&s.speed, "speed", 1, "how many times faster than it was a capture is replayed (0: at once)")
	flags.DurationVar(&s.pause, "pause", 5*time.Second, "the longest silence of a capture that is waited for, in its time (0: any)")
	flags.IntVar(&s.maxFlows, "max", 0, "how many flows are kept (0: the library's default)")
	screen := flags.String("size", "100x30", "columns and lines of the screen that is printed where there is no terminal")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: top [-speed F] [-pause D] [-size WxH] [FILE]\n       top -i INTERFACE [-for D]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return s, err
		}
		return s, errUsage
	}
	n, err := fmt.Sscanf(*screen, "%dx%d", &s.width, &s.height)
	s.file = flags.Arg(0)
	switch {
	case s.speed != 0 && !(s.speed >= 0.001 && s.speed <= 1e6):
		err = errors.New("-speed is 0, or from 0.001 to 1000000")
	case s.limit < 0 || s.pause < 0 || s.maxFlows < 0:
		err = errors.New("-for, -pause and -max must not be negative")
	case n != 2 || err != nil || s.width < 1 || s.height < 1 || s.width > 1000 || s.height > 1000:
		err = errors.New("-size is such as 100x30, at most 1000x1000")
	case flags.NArg() > 1:
		err = errors.New("name one capture file at most")
	case s.device != "" && s.file != "":
		err = errors.New("name a file or an interface, not both")
	default:
		return s, nil
	}
	fmt.Fprintln(stderr, "top:", err)
	return s, errUsage
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer, terminal bool) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if s.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.limit)
		defer cancel()
	}
	if !terminal {
		s.speed = 0
	}
	src, stop, err := open(s)
	if err == nil {
		defer stop()
		var w *watch
		if w, err = newWatch(src, flowscope.Config{MaxFlows: s.maxFlows}); err == nil {
			err = show(ctx, s, w, stdout, terminal)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "top:", clean(err.Error(), maxText))
		return 1
	}
	return 0
}

// open opens what the settings name.
func open(s settings) (src source, stop func(), err error) {
	switch {
	case s.device != "":
		return listen(s.device)
	case s.file != "":
		return newReplay(s.file, flowscope.OpenCapture(s.file), s.speed, s.pause), func() {}, nil
	}
	sample := flowscope.ReadCapture(strings.NewReader(string(captures.Sessions)))
	return newReplay("built-in capture", sample, s.speed, s.pause), func() {}, nil
}

// show runs a watch with its screen. The error is that of the packets, or of the screen.
func show(ctx context.Context, s settings, w *watch, stdout io.Writer, terminal bool) error {
	if !terminal {
		err := w.run(ctx)
		if e := printScreen(s, w, stdout); e != nil {
			err = e
		}
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- w.run(inner) }()
	m := model{ask: w.snapshot, width: 80, height: 24}
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithOutput(stdout), tea.WithFPS(20)).Run()
	cancel()
	if failed := <-ran; failed != nil {
		return failed
	}
	if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil {
		return nil // the end that was asked for
	}
	return err
}

// printScreen prints the flows once, those with the most bytes first, and then the last sessions.
func printScreen(s settings, w *watch, stdout io.Writer) error {
	m := model{width: s.width, height: s.height, query: query{order: byBytes}}
	m.snap = w.snapshot(m.query, 0)
	_, err := fmt.Fprintln(stdout, strings.Join(m.page(), "\n"))
	return err
}
