// Command sessions prints the messages in capture files: HTTP/1 exchanges, TLS handshakes, DNS
// transactions, and messages of mDNS and LLMNR.
//
//	sessions [-format F] [-idle D] [-no-encap] [-no-defrag] [-checksums MODE] [FILE...]
//
// Each FILE is a pcap or pcapng file, plain or gzip; "-" is standard input.
// Without a file it reads a small built-in capture. Every message is one line, printed when it is
// complete, or when it is clear that the rest does not come. TIME is that of its first byte, in UTC.
// What could not be read, because of loss or damage, is counted on standard error.
//
// -format is "table", "json" (as -json), "zeek" for the fields of Zeek's http.log, ssl.log and dns.log as
// JSON, in which _path names the log, or "eve" for Suricata's records of HTTP, TLS and DNS.
//
// By default it decapsulates tunnels and reassembles IP fragments. TLS is also found after STARTTLS,
// CONNECT and SOCKS.
//
// The exit status is 0; 1 if a file is damaged or missing, after the messages of the packets before
// the damage; 2 if the command line is wrong.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/options"
	"github.com/flowscope-go/flowscope/examples/internal/progress"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
	"github.com/flowscope-go/flowscope/examples/internal/sessionlog"
	export "github.com/flowscope-go/flowscope/export/sessions"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("sessions", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: sessions [-format F]", options.Usage, "[FILE...]")
		flags.PrintDefaults()
	}
	format := flags.String("format", "table", "table, json, zeek or eve")
	asJSON := flags.Bool("json", false, "the same as -format json")
	opts := options.Add(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case opts.Idle < 0:
		fmt.Fprintln(stderr, "sessions: -idle must not be negative")
		return 2
	case !slices.Contains([]string{"table", "json", "zeek", "eve"}, *format):
		fmt.Fprintf(stderr, "sessions: unknown -format %q; it is table, json, zeek or eve\n", *format)
		return 2
	}
	if *asJSON {
		*format = "json"
	}
	out := bufio.NewWriter(stdout)
	cfg := opts.Config(flowscope.EventMessage)
	p := program{out: out, stderr: stderr, ex: opts.Extractor(), cfg: cfg, print: sessionlog.NewRows(out)}
	switch *format {
	case "json":
		p.print = sessionlog.NewLines(out)
	case "zeek":
		p.append = export.AppendZeekJSON
	case "eve":
		p.append = export.AppendEVE
	}
	if flags.NArg() == 0 {
		p.capture(sample.Name, sample.Sessions())
	}
	for _, name := range flags.Args() {
		p.capture(name, flowscope.OpenCapture(name))
	}
	return p.status
}

type event = flowscope.FlowEvent[flowscope.FiveTupleKey]

// printer prints records. It may hold some back until Flush.
type printer interface {
	Record(sessionlog.Record)
	Flush()
}

type program struct {
	out    *bufio.Writer
	stderr io.Writer
	ex     flowscope.FlowExtractor[flowscope.FiveTupleKey]
	cfg    flowscope.Config
	print  printer
	append func([]byte, flowscope.UID, *event) []byte // of another format; nil: print
	line   []byte
	status int
}

// capture prints the messages of one capture, then what could not be read, then an error.
func (p *program) capture(name string, views iter.Seq2[flowscope.PacketView, error]) {
	if p.out.Flush() != nil {
		return // the output cannot be written, which was reported
	}
	bar := progress.New(p.stderr, name)
	n, other, losses, err := p.messages(bar.Of(views))
	bar.Clear()
	p.print.Flush()
	if err := p.out.Flush(); err != nil {
		p.fail(err)
	}
	if text := losses.String(); text != "" {
		fmt.Fprintf(p.stderr, "sessions: %s: not all could be read: %s\n", name, text)
	}
	if other > 0 {
		fmt.Fprintf(p.stderr, "sessions: %s: %d messages have no record in this format\n", name, other)
	}
	if n+other == 0 && err == nil {
		fmt.Fprintf(p.stderr, "sessions: %s: no messages\n", name)
	}
	if err != nil {
		p.fail(err)
	}
}

func (p *program) fail(err error) {
	fmt.Fprintln(p.stderr, "sessions:", err)
	p.status = 1
}

// messages prints the messages of a capture, and returns their number, that of those which have no record in the
// format, and what could not be read. Of
// a damaged file it prints those of the packets before the damage, and returns the error too.
func (p *program) messages(views iter.Seq2[flowscope.PacketView, error]) (n, other int, lost sessionlog.Losses, err error) {
	lost = sessionlog.Losses{}
	web := http1.Factory{}
	if p.append != nil {
		web.Want = http1.WantFields
	}
	drv, err := flowscope.NewFlowSessionDriver(p.ex, p.cfg,
		web, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
	if err != nil {
		return n, other, lost, err
	}
	for ev, err := range drv.Events(views) {
		if err != nil {
			return n, other, lost, err
		}
		if p.append != nil {
			if p.line = p.append(p.line[:0], drv.UID(ev), ev); len(p.line) > 0 {
				n++
				_, _ = p.out.Write(p.line) // Flush reports an error
				continue
			}
		}
		switch r := sessionlog.Of(ev); {
		case r == nil:
			lost.Add(ev)
		case p.append != nil:
			other++ // such as mDNS, which Suricata does not log
		default:
			n++
			p.print.Record(r)
		}
	}
	return n, other, lost, nil
}
