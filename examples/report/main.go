// Command report writes a page about a capture file: throughput, flows, talkers, endings, round trips, the
// connection with the most trouble, HTTP, TLS and DNS, and tables of what deserves a look.
//
//	report [-o PAGE.html] [-idle D] [-no-encap] [-no-defrag] [-checksums MODE] [FILE]
//
// FILE is a pcap or pcapng file, plain or gzip; "-" is standard input, which is copied to a temporary file,
// since a capture is read twice. Without a file it reads a small built-in capture. The page is one file
// without scripts that needs nothing else; it is written to standard output, or with -o to a file, whose name
// is then printed. It follows the reader's choice of a light or dark screen, and can be printed.
//
// The memory it takes does not grow with the capture, but for the table of flows, which is bounded. What is left out of
// a list is said there.
//
// The exit status is 0; 1 if the file is damaged or missing: of a damaged one the page shows the packets before the
// damage, and the error; 2 if the command line is wrong.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/options"
	"github.com/flowscope-go/flowscope/examples/internal/progress"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: report [-o PAGE.html]", options.Usage, "[FILE]")
		flags.PrintDefaults()
	}
	out := flags.String("o", "", "write the page to this file, and its name to standard output")
	opts := options.Add(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case opts.Idle < 0:
		fmt.Fprintln(stderr, "report: -idle must not be negative")
		return 2
	case flags.NArg() > 1:
		fmt.Fprintln(stderr, "report: a page is about one FILE")
		return 2
	}
	failed := func(err error) int {
		fmt.Fprintln(stderr, "report:", err)
		return 1
	}
	title, views, remove, err := source(flags.Arg(0), stdin)
	if err != nil {
		return failed(err)
	}
	defer remove()
	bar := progress.New(stderr, flags.Arg(0))
	f, err := gather(title, bar.Of(views), opts.Extractor(), opts.Config())
	bar.Clear()
	if err != nil {
		return failed(err)
	}
	if missing := new(fs.PathError); errors.As(f.err, &missing) && f.packets == 0 {
		return failed(f.err)
	}
	if *out == "" {
		err = f.write(stdout)
	} else if err = f.writeFile(*out); err == nil {
		fmt.Fprintf(stdout, "%s: %s, %s\n", *out, some(f.packets, "packet"), some(f.flows.n, "flow"))
	}
	if err != nil {
		return failed(err)
	}
	if f.err != nil {
		return failed(f.err)
	}
	return 0
}

// source is what a page about the argument is called, and its packets, which can be read more than once. Standard
// input is copied to a file that remove deletes.
func source(arg string, stdin io.Reader) (title string, views sequence, remove func(), err error) {
	switch arg {
	case "":
		return sample.Name, func(yield func(flowscope.PacketView, error) bool) {
			sample.Sessions()(yield) // anew each time: what it gives can be read once
		}, func() {}, nil
	case "-":
		file, err := os.CreateTemp("", "report-*.capture")
		if err != nil {
			return "", nil, nil, err
		}
		remove = func() { _, _ = file.Close(), os.Remove(file.Name()) }
		if _, err := io.Copy(file, stdin); err != nil {
			remove()
			return "", nil, nil, err
		}
		// Not OpenCapture: errors would have the name of the copy.
		return "standard input", func(yield func(flowscope.PacketView, error) bool) {
			flowscope.ReadCapture(io.NewSectionReader(file, 0, math.MaxInt64))(yield)
		}, remove, nil
	}
	return filepath.Base(arg), flowscope.OpenCapture(arg), func() {}, nil
}

func (f *facts) writeFile(name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(f.write(file), file.Close())
}
