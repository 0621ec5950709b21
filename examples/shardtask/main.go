// Command shardtask prints the flows of one shard of an archive of captures. Any engine that runs commands
// is enough for the others: the tasks need nothing of each other.
//
//	shardtask [-shard I -of N] [-sessions] [FILE...]
//
// Every task reads all FILEs, in the order of their packets, and tracks the packets of shard I, from 0 to N-1: those of some
// pairs of hosts. The lines of all tasks together are those of one task for everything (-of 1, as without a flag),
// as long as no limit of Config binds. Each is a flow as a line of JSON, as of examples/flows -format json
// but with the counters of streams; with -sessions, lines of Zeek's http.log, ssl.log and dns.log in JSON stand between
// them, which have a field _path. Without a file it reads a small built-in capture.
//
//	xargs          seq 0 31 | xargs -P 8 -I{} sh -c 'shardtask -shard {} -of 32 *.pcap >{}.json'
//	make           %.json: ; shardtask -shard $* -of 32 *.pcap >$@.part && mv $@.part $@
//	Slurm          sbatch -a 0-31 --wrap 'shardtask -shard $SLURM_ARRAY_TASK_ID -of 32 *.pcap'
//	Kubernetes     completionMode: Indexed, and -shard $(JOB_COMPLETION_INDEX) in args
//
// A damaged file is told on standard error; its packets before the damage count, in every task alike, and
// the next file is read. The exit status is 0; 1 if a file cannot be read, or the output cannot be
// written: then another try may help; 2 if the command line is wrong.
//
// task.go is meant to be copied.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("shardtask", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: shardtask [-shard I -of N] [-sessions] [FILE...]")
		flags.PrintDefaults()
	}
	shard := flags.Int("shard", 0, "which shard, from 0 on")
	of := flags.Int("of", 1, "how many shards there are")
	messages := flags.Bool("sessions", false, "print HTTP, TLS and DNS too")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *shard < 0 || *shard >= *of:
		fmt.Fprintf(stderr, "shardtask: there is no shard %d of %d: they are 0 to %d\n", *shard, *of, *of-1)
		return 2
	}
	files := []capture{}
	for _, name := range flags.Args() {
		files = append(files, flowscope.OpenCapture(name))
	}
	if flags.NArg() == 0 {
		files = append(files, sample.Sessions())
	}
	var parsers []flowscope.ParserFactory
	if *messages {
		parsers = append(parsers, http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
	}
	failed := func(err error) {
		fmt.Fprintln(stderr, "shardtask:", err)
		if !damaged(err) {
			status = 1
		}
	}
	out := bufio.NewWriterSize(stdout, 1<<16)
	if err := errors.Join(write(out, packets(*shard, *of, files, failed), parsers...), out.Flush()); err != nil {
		failed(err)
	}
	return status
}

// damaged tells a damaged file, which is the same at each try, from a disk or a network that failed.
func damaged(err error) bool {
	return errors.Is(err, flowscope.ErrTruncated) || errors.Is(err, flowscope.ErrCorrupt) || errors.Is(err, flowscope.ErrNotCapture)
}
