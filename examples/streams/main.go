// Command streams writes the bytes of each side of each TCP connection.
//
//	streams [-json] [-idle D] [-no-encap] [-no-defrag] [-checksums MODE] [-o DIR] [FILE...]
//	streams -n N [-side initiator|responder] [-hex] [FILE...]
//
// Each FILE is a pcap or pcapng file, plain or gzip; "-" is standard input.
// Without a file it reads a small built-in capture.
//
// Every side of a connection that carried data is one line, printed when the connection has
// ended: the number of bytes, the first digits of their SHA-256 (all of them with -json), and
// the gaps. With -o, the bytes of each side are written to a file of their own in DIR, named
// CAPTURE-FLOW-FROM-TO, where FLOW is the number of the flow in its capture. Its gaps, if any,
// are listed in a second file whose name ends in .gaps, one line each: offset and length. Gaps
// are never filled. A file stays open until its flow has ended.
//
// With -n the bytes of the n-th TCP connection are printed instead, counted from 1 over all files by
// their beginning: those of one side with -side, and with -hex as hex digits, each row with its side and
// offset, and the gaps.
//
// By default it decapsulates tunnels and reassembles IP fragments.
//
// The exit status is 0; 1 if a file is damaged or missing, or there are fewer connections than N, after the streams of the packets
// before the damage; 2 if the command line is wrong.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/options"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("streams", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: streams [-json]", options.Usage, "[-o DIR] [FILE...]")
		flags.PrintDefaults()
	}
	asJSON := flags.Bool("json", false, "print one JSON object a line")
	opts := options.Add(flags)
	chosen := connection{}
	flags.IntVar(&chosen.nth, "n", 0, "print the bytes of the n-th TCP connection only")
	flags.StringVar(&chosen.side, "side", "", "with -n: those of the initiator or of the responder only")
	flags.BoolVar(&chosen.hex, "hex", false, "with -n: as hex digits, with offsets and gaps")
	dir := flags.String("o", "", "write the bytes of each side to a file in this directory")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case opts.Idle < 0:
		fmt.Fprintln(stderr, "streams: -idle must not be negative")
		return 2
	case chosen.nth < 0 || chosen.nth == 0 && (chosen.hex || chosen.side != ""):
		fmt.Fprintln(stderr, "streams: -side and -hex need the number of a connection, -n 1 or more")
		return 2
	case chosen.side != "" && chosen.side != "initiator" && chosen.side != "responder":
		fmt.Fprintf(stderr, "streams: unknown -side %q; it is initiator or responder\n", chosen.side)
		return 2
	}
	if *dir != "" {
		if err := os.MkdirAll(*dir, 0o777); err != nil {
			fmt.Fprintln(stderr, "streams:", err)
			return 1
		}
	}
	out := bufio.NewWriter(stdout)
	cfg := opts.Config(flowscope.EventStarted, flowscope.EventData, flowscope.EventGap, flowscope.EventEnded)
	chosen.w = out
	r := &report{out: out, json: *asJSON, dir: *dir, chosen: &chosen}
	named := map[string]int{}
	status := 0
	one := func(name string, packets iter.Seq2[flowscope.PacketView, error]) {
		r.name = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
		if named[r.name]++; named[r.name] > 1 { // of another directory
			r.name = fmt.Sprintf("%s.%d", r.name, named[r.name])
		}
		if err := r.capture(packets, opts.Extractor(), cfg); err != nil {
			fmt.Fprintln(stderr, "streams:", err)
			status = 1
		}
	}
	if flags.NArg() == 0 {
		one(sample.Name, sample.Packets())
	}
	for _, name := range flags.Args() {
		one(name, flowscope.OpenCapture(name))
	}
	if chosen.nth > 0 && !chosen.found && status == 0 {
		fmt.Fprintf(stderr, "streams: there are %d TCP connections\n", chosen.count)
		status = 1
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintln(stderr, "streams:", err)
		status = 1
	}
	return status
}

// side is the state of one side of a connection. Its bytes are not kept.
type side struct {
	length int64 // bytes, gaps left out
	sum    hash.Hash
	gaps   [][2]int64
	file   *os.File
}

// sides is the state that the driver keeps for each flow.
type sides [2]*side

type driver = flowscope.FlowDriver[flowscope.FiveTupleKey, sides]
type event = flowscope.FlowEvent[flowscope.FiveTupleKey]

type report struct {
	out  io.Writer
	json bool
	dir  string
	name string // of the capture
	err  error  // of writing it

	chosen *connection
}

// capture reports the streams of one capture. Of a damaged file it reports those of the packets
// before the damage, and returns the error.
func (r *report) capture(packets iter.Seq2[flowscope.PacketView, error], ex flowscope.FlowExtractor[flowscope.FiveTupleKey], cfg flowscope.Config) error {
	drv, err := flowscope.NewFlowDriverWithState[flowscope.FiveTupleKey, sides](ex, nil, cfg, nil)
	if err != nil {
		return err
	}
	r.chosen.begin()
	var broken error
	for view, err := range packets {
		if err != nil {
			broken = err
			break
		}
		r.events(drv, drv.Track(view))
	}
	for events := range drv.FinishParts() {
		r.events(drv, events)
	}
	err, r.err = r.err, nil
	return errors.Join(broken, err)
}

func (r *report) events(drv *driver, events []event) {
	for i := range events {
		ev := &events[i]
		if r.chosen.nth > 0 {
			r.chosen.event(ev)
			r.failed(r.chosen.err)
			continue
		}
		both := drv.State(ev)
		switch ev.Kind {
		case flowscope.EventData:
			s := r.side(both, ev)
			s.length += ev.Len
			s.sum.Write(ev.Bytes)
			if s.file != nil {
				_, err := s.file.Write(ev.Bytes)
				r.failed(err)
			}
		case flowscope.EventGap:
			r.side(both, ev).gap(ev.Offset, ev.Len)
		case flowscope.EventEnded:
			for k, s := range both {
				if s != nil {
					r.line(ev, flowscope.FlowSide(k), s)
				}
			}
		}
	}
}

// gap adds a gap, or extends the last one if it is adjacent.
func (s *side) gap(offset, n int64) {
	if k := len(s.gaps) - 1; k >= 0 && s.gaps[k][0]+s.gaps[k][1] == offset {
		s.gaps[k][1] += n
		return
	}
	s.gaps = append(s.gaps, [2]int64{offset, n})
}

// side returns the state of a side, which is made at its first byte or gap.
func (r *report) side(both *sides, ev *event) *side {
	s := both[ev.Side]
	if s == nil {
		s = &side{sum: sha256.New()}
		both[ev.Side] = s
		if r.dir != "" {
			var err error
			s.file, err = os.Create(filepath.Join(r.dir, fileName(r.name, ev)))
			r.failed(err)
		}
	}
	return s
}

// fileName is made of the capture, the number of the flow, the sender and the receiver. The
// number is needed since several connections may have the same addresses and ports.
func fileName(capture string, ev *event) string {
	from, to := ev.Key.Ends(ev.Orientation)
	return strings.NewReplacer(":", "_", "[", "", "]", "").Replace(fmt.Sprintf("%s-%d-%v-%v", capture, ev.Flow, from, to))
}

func (r *report) line(ev *event, k flowscope.FlowSide, s *side) {
	if s.file != nil {
		r.failed(errors.Join(s.file.Close(), s.list(s.file.Name()+".gaps")))
	}
	// Offsets count from the SYN if it was seen.
	anchored := !ev.Stats.Midstream && ev.Stats.Flags[k].Has(flowscope.FlagSYN)
	conflicts := ev.Stats.Streams[k].Conflicts
	from, to := ev.Key.Ends(ev.Orientation)
	sum := hex.EncodeToString(s.sum.Sum(nil))
	var err error
	if r.json {
		err = json.NewEncoder(r.out).Encode(struct {
			Initiator string     `json:"initiator"`
			Responder string     `json:"responder"`
			Tunnel    string     `json:"tunnel,omitempty"`
			Side      string     `json:"side"`
			Length    int64      `json:"length"`
			SHA256    string     `json:"sha256"`
			Gaps      [][2]int64 `json:"gaps"`
			Conflicts uint64     `json:"conflicts"`
			Anchored  bool       `json:"anchored"`
			Reason    string     `json:"reason"`
		}{from.String(), to.String(), ev.Stats.TunnelString(), k.String(), s.length, sum, append([][2]int64{}, s.gaps...), conflicts, anchored, ev.Reason.String()})
	} else {
		_, err = fmt.Fprintf(r.out, "%-28v %-28v %-9v %10d bytes  sha256 %s...  gaps %v\n", from, to, k, s.length, sum[:16], s.gaps)
	}
	r.failed(err)
}

// failed keeps the first error of writing: on a full disk every segment has one.
func (r *report) failed(err error) {
	if r.err == nil {
		r.err = err
	}
}

// list writes the gaps to a file, if there are any.
func (s *side) list(name string) error {
	if len(s.gaps) == 0 {
		return nil
	}
	var text strings.Builder
	for _, g := range s.gaps {
		fmt.Fprintf(&text, "%d %d\n", g[0], g[1])
	}
	return os.WriteFile(name, []byte(text.String()), 0o666)
}
