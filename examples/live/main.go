// Command live prints the flows and messages of network interfaces as they come. It is for Linux, and a module of
// its own, with TPACKET_V3 rings of the maintained fork of gopacket: without cgo, and packets are read where the kernel put them.
//
//	live -i INTERFACE[,INTERFACE...] [FLAG...] [FILTER]
//
// It needs the capability CAP_NET_RAW, and says how to get it where it is missing. Without -i it lists the interfaces;
// "any" is all of them, as if they were all of Ethernet. An interrupt (Ctrl-C), -for or -n ends it, with all flows told. The exit status is 0; 1 if an
// interface, a file or the output failed; 2 if the command line is wrong.
//
// FILTER is in tcpdump's words, those that are used most: see expression.go. What they cannot say, tcpdump itself
// compiles: tcpdump -ddd -i eth0 'tcp[13] & 2 != 0' | live -i eth0 -ddd -
//
// -show is "flows" (the default), "sessions" or "flows,sessions". -format is "table" or one of package export: "json",
// "zeek", "zeek-json" or "eve". A table has a flow when it ends, the other formats when it is released, which is up to a
// minute later and includes its late packets. With -report 10s flows that live on are printed too.
//
// -w FILE writes the packets too, as tcpdump does: after -C million bytes it goes on in FILE1, FILE2 and so on, of which
// -W keeps so many; after -G seconds in a file whose name has the new time, by % letters of strftime. Times are local.
//
// # Several cores
//
// With -workers N the kernel distributes packets over N rings, each with a goroutine and a FlowDriver of its own, by
// PACKET_FANOUT_HASH with PACKET_FANOUT_FLAG_DEFRAG. The hash is that of the addresses and ports in order, so both
// directions of a flow go to one driver, also where they come in on two interfaces: all interfaces share the rings, and
// a filter keeps the packets of the others out. IPv4 datagrams that come in fragments are put together before it, so
// they are one packet. What it does not keep together are the flows inside tunnels over UDP, as VXLAN has another port in
// each direction, fragments of IPv6, and ICMP errors and the flows that they are about: take one worker for those. A
// warning says when there were tunnels.
//
// # What the kernel does to packets
//
//   - It drops packets when a ring is full, and counts them: they are told once a second, and at the end. -buffer makes
//     the rings larger. Seen and dropped packets are all that passed the filter.
//   - With offloads it puts segments together, up to 64 KiB, or 512 KiB with BIG TCP. Blocks of the rings are so large
//     that none is cut.
//   - It takes the outer VLAN tag off the frame and gives it beside it. It is put back, for which a tagged packet is copied.
//   - It shows each packet of the loopback interface twice. The outgoing copy is left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/bpf"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/flowlog"
	"github.com/flowscope-go/flowscope/examples/internal/options"
)

// maxSnap has room for the largest frame that the kernel builds: BIG TCP has up to GSO_MAX_SIZE, 8 * 65,535 bytes.
const (
	maxSnap    = 1<<20 - 4096
	maxWorkers = 256 // members of a fan-out

	maxInterfaces = 200 // a conditional jump of BPF reaches 255 instructions
)

const usage = "usage: live -i INTERFACE[,INTERFACE...] [-show WHAT] [-format F] [-w FILE] [FLAG...] [FILTER]"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt does not wait for the flows
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// settings are what the command line says.
type settings struct {
	interfaces    []string // none: list them
	condition     condition
	program       []bpf.Instruction // of -ddd; nil: the condition
	snap          int
	unpromiscuous bool
	workers       int
	buffer        int // MiB of each ring

	flows, sessions bool
	format          string
	report          time.Duration
	options         *options.Options

	limit   time.Duration
	packets uint64 // 0: no limit
	dump    dumpOptions
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s, err := parse(args, stdin, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errReported):
		return 2
	case err != nil:
		fmt.Fprintf(stderr, "live: %v\n", err)
		return 2
	case len(s.interfaces) == 0:
		return list(stdout, stderr)
	}
	if err := capture(ctx, s, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "live: %v\n", err)
		return 1
	}
	return 0
}

// errReported is an error that package flag has printed.
var errReported = errors.New("reported")

func parse(args []string, stdin io.Reader, stderr io.Writer) (s settings, err error) {
	flags := flag.NewFlagSet("live", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, usage)
		flags.PrintDefaults()
	}
	names := flags.String("i", "", "the `interfaces` to listen on, as in eth0,eth1; any is all of them")
	show := flags.String("show", "flows", "flows, sessions (HTTP/1, TLS and DNS), or flows,sessions")
	flags.StringVar(&s.format, "format", "table", strings.Join(flowlog.Formats, ", "))
	flags.DurationVar(&s.report, "report", 0, "print flows that live on that often, with what was counted so far")
	flags.DurationVar(&s.limit, "for", 0, "stop after this time (0: when interrupted)")
	flags.Uint64Var(&s.packets, "n", 0, "stop after so many packets (0: when interrupted)")
	flags.IntVar(&s.snap, "snap", maxSnap, "the capture length: how many bytes of a frame are read at most")
	flags.BoolVar(&s.unpromiscuous, "p", false, "do not put the interfaces into promiscuous mode: packets for others are not seen")
	flags.IntVar(&s.workers, "workers", 1, "how many rings and drivers, one a core; see go doc on tunnels")
	flags.IntVar(&s.buffer, "buffer", 64, "the size of each ring in `MiB`")
	program := flags.String("ddd", "", "the filter is the output of tcpdump -ddd in this `file` (-: standard input)")
	flags.StringVar(&s.dump.name, "w", "", "write the packets to this pcap `file`, which -G names by letters of strftime")
	flags.Int64Var(&s.dump.size, "C", 0, "go on in another file after so many `million` bytes")
	flags.Func("G", "go on in another file after so many `seconds`, or a duration such as 5m", func(text string) (err error) {
		if n, e := strconv.ParseUint(text, 10, 31); e == nil {
			s.dump.every = time.Duration(n) * time.Second
			return nil
		}
		s.dump.every, err = time.ParseDuration(text)
		return err
	})
	flags.IntVar(&s.dump.keep, "W", 0, "with -C: how many files; then the first one is overwritten (0: no limit)")
	s.options = options.Add(flags)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return s, err
		}
		return s, errReported
	}
	for name := range strings.SplitSeq(*names, ",") {
		if name != "" && !slices.Contains(s.interfaces, name) {
			s.interfaces = append(s.interfaces, name)
		}
	}
	if s.flows, s.sessions, err = shown(*show); err != nil {
		return s, err
	}
	if err := s.check(); err != nil {
		return s, err
	}
	return s, s.filter(*program, strings.Join(flags.Args(), " "), stdin)
}

func shown(text string) (flows, sessions bool, err error) {
	for what := range strings.SplitSeq(text, ",") {
		switch what {
		case "flows":
			flows = true
		case "sessions":
			sessions = true
		default:
			return false, false, fmt.Errorf("unknown -show %q; it is flows, sessions or flows,sessions", text)
		}
	}
	return flows, sessions, nil
}

func (s *settings) check() error {
	switch {
	case slices.Contains(s.interfaces, "any") && len(s.interfaces) > 1:
		return errors.New("-i any is all interfaces; it goes with no other")
	case len(s.interfaces) > maxInterfaces:
		return fmt.Errorf("-i takes %d interfaces at most, or any", maxInterfaces)
	case !slices.Contains(flowlog.Formats, s.format):
		return fmt.Errorf("unknown -format %q; it is %s", s.format, strings.Join(flowlog.Formats, ", "))
	case s.format == "zeek" && s.flows && s.sessions:
		return errors.New("-format zeek has a table for flows and another for sessions; take zeek-json for both")
	case s.report < 0 || s.limit < 0 || s.options.Idle < 0 || s.dump.every < 0:
		return errors.New("-report, -for, -idle and -G must not be negative")
	case s.snap < 1 || s.snap > maxSnap:
		return fmt.Errorf("-snap is 1 to %d", maxSnap)
	case s.workers < 1 || s.workers > maxWorkers:
		return fmt.Errorf("-workers is 1 to %d", maxWorkers)
	case s.buffer < 2 || s.buffer > 4096:
		return errors.New("-buffer is 2 to 4096")
	}
	return s.dump.check()
}

// filter reads the filter, of the file or of the words.
func (s *settings) filter(file, words string, stdin io.Reader) (err error) {
	switch {
	case file != "" && words != "":
		return errors.New("a filter and -ddd do not go together")
	case file == "-":
		s.program, err = readProgram(stdin)
	case file != "":
		var f *os.File
		if f, err = os.Open(file); err != nil {
			return err
		}
		defer f.Close()
		s.program, err = readProgram(f)
	case words != "":
		s.condition, err = parseExpression(words)
		return err
	}
	if err != nil {
		return fmt.Errorf("-ddd %s: %w", file, err)
	}
	return nil
}

// filterFor is the filter for frames of a link type.
func (s *settings) filterFor(link flowscope.LinkType) ([]bpf.Instruction, error) {
	program := s.program
	if program == nil {
		program = passAll
	}
	if s.condition != nil {
		if link != flowscope.LinkTypeEthernet && link != flowscope.LinkTypeRaw {
			return nil, fmt.Errorf("filters are for Ethernet and IP, and this is %v; use -ddd", link)
		}
		program = compile(s.condition, link)
	}
	return withSnap(program, s.snap), nil
}

// config is that of each driver.
func (s *settings) config() flowscope.Config {
	cfg := s.options.Config()
	if s.flows {
		kind := flowscope.EventReleased // its counters are final
		if s.format == "table" {
			kind = flowscope.EventEnded // of interest at once
		}
		cfg.Events = flowscope.Events(kind, flowscope.EventReport)
		cfg.Details, cfg.ReportEvery = flowscope.AllDetails, s.report
		if s.format == "eve" {
			cfg.Events |= flowscope.Events(flowscope.EventAnomaly)
		}
	}
	if s.sessions {
		cfg.Events |= flowscope.Events(flowscope.EventMessage)
	}
	return cfg
}
