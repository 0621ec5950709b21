// Command parquet writes the flows of capture files as a Parquet file.
//
//	parquet [-o FILE] [-group N] [-idle D] [-no-encap] [-no-defrag] [-checksums MODE] [FILE...]
//
// Each FILE is a pcap or pcapng file, plain or gzip; "-" is standard input. Without a file it reads a small
// built-in capture. Every flow is a row, written when the flow is released; records/records.go says what its
// columns are. Without -o it prints these columns and how big the file would be, and keeps nothing.
//
// The file is made to be asked by DuckDB and the like:
//
//	SELECT responder_port, count(*), sum(responder_ip_bytes) FROM 'flows.parquet' GROUP BY ALL ORDER BY 2 DESC;
//
// Where end is a word of SQL, that column is "end". Counters have no sign: to subtract them, cast them.
// A row group, of -group rows, is held in memory. It is a module of its own, so that the library does not
// depend on parquet-go.
//
// The exit status is 0; 1 if a file is damaged or missing, after the flows of the packets before the damage;
// 2 if the command line is wrong.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/parquet-go/parquet-go"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/options"
	"github.com/flowscope-go/flowscope/examples/internal/progress"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
	"github.com/flowscope-go/flowscope/examples/parquet/records"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("parquet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: parquet [-o FILE] [-group N]", options.Usage, "[FILE...]")
		flags.PrintDefaults()
	}
	name := flags.String("o", "", "the file to write")
	group := flags.Int64("group", 1<<16, "the rows of a row group")
	opts := options.Add(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case opts.Idle < 0:
		fmt.Fprintln(stderr, "parquet: -idle must not be negative")
		return 2
	case *group <= 0:
		fmt.Fprintln(stderr, "parquet: -group must be positive")
		return 2
	}
	p := program{stderr: stderr, ex: opts.Extractor(), cfg: opts.Config(flowscope.EventReleased)}
	p.cfg.Details = flowscope.AllDetails
	err := p.write(*name, records.Options{Details: p.cfg.Details, Streams: true, GroupRows: *group}, flags.Args())
	if err != nil {
		p.fail(err)
	}
	if *name == "" {
		fmt.Fprintln(stdout, parquet.SchemaOf(records.Row{}))
		fmt.Fprint(stdout, "\nname a file with -o to keep it: ")
	} else {
		fmt.Fprint(stdout, *name, ": ")
	}
	fmt.Fprintln(stdout, p.rows, "rows,", p.size, "bytes")
	return p.status
}

type program struct {
	stderr io.Writer
	ex     flowscope.FlowExtractor[flowscope.FiveTupleKey]
	cfg    flowscope.Config
	file   *records.Writer
	status int

	rows, size int64
}

// write writes the flows of all captures to the file of that name, or to none if it is "".
func (p *program) write(name string, o records.Options, captures []string) (err error) {
	to := io.Discard
	if name != "" {
		file, err := os.Create(name)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		to = file
	}
	counted := &counter{w: bufio.NewWriter(to)}
	p.file = records.NewWriter(counted, o)
	if len(captures) == 0 {
		err = p.capture(sample.Name, sample.Packets())
	}
	for _, name := range captures {
		if err = p.capture(name, flowscope.OpenCapture(name)); err != nil {
			break
		}
	}
	err = errors.Join(err, p.file.Close(), counted.w.Flush())
	p.size = counted.n
	return err
}

// capture writes the flows of one capture. A damaged one is told; the error is that of writing.
func (p *program) capture(name string, views iter.Seq2[flowscope.PacketView, error]) error {
	driver, err := flowscope.NewFlowDriver(p.ex, nil, p.cfg)
	if err != nil {
		return err
	}
	bar := progress.New(p.stderr, name)
	defer bar.Clear()
	for ev, damaged := range driver.Events(bar.Of(views)) {
		if damaged != nil {
			bar.Clear()
			p.fail(damaged)
			continue
		}
		r := flowscope.RecordOf(ev)
		if err := p.file.Write(&r); err != nil {
			return err
		}
		p.rows++
	}
	return nil
}

func (p *program) fail(err error) {
	fmt.Fprintln(p.stderr, "parquet:", err)
	p.status = 1
}

// counter counts the bytes of the file.
type counter struct {
	w *bufio.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
