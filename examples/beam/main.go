// Command beam tracks the flows of an archive of captures on Apache Beam: in this process, or on any runner
// that Beam has.
//
//	beam [-shards N] [-sessions] [-out DIR [-parquet]] [-runner NAME ...] [FILE...]
//
// The FILEs are captures (pcap or pcapng, plain or gzip) in the order of their packets; a name with * is a
// pattern, whose files are read in the order of their names. Names are those of Beam's file systems: gs:// too. Files are read
// side by side. Each packet goes to one of N shards, by its two hosts, and each shard is tracked as a
// whole: flows do not end where a file does.
//
//	         +- packets ---------------------------+
//	files ---+- fragments --> shards of fragments -+--> shards --> sort, track --> flows, messages --> DIR
//	         +- some timestamps of all packets ---------------------^
//
// DIR gets a file flows-00000-of-0000N.ndjson for each shard, and with -sessions one for messages, as Zeek's http.log, ssl.log
// and dns.log are in JSON; each is sorted by time. With -parquet the flows are Parquet files, of the columns of examples/parquet. Together they are what one tracker would say of all packets, as long
// as no limit of Config binds. A shard without flows has no file. Without -out the lines are printed. Without a file it reads a small built-in capture.
//
// A shard has to fit into the memory of one worker, with all its frames: see docs/archives.md.
//
// A bad file does not end the run: its packets before the damage count. It is told in DIR/bad-files.txt and in the
// log, and counted: the totals are printed at the end. The exit status is 0, also with damaged files; 1 if a
// file could not be read at all, or the run failed; 2 if the command line is wrong.
//
// -runner is prism by default, which is in this process. Others, such as flink, spark or universal, take -endpoint; the flags are Beam's.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"

	"github.com/flowscope-go/flowscope/testdata/captures"
)

// options of a run.
type options struct {
	files    []string
	out      string
	shards   int
	sessions bool
	parquet  bool
}

func main() {
	var o options
	flag.IntVar(&o.shards, "shards", 4, "how many shards, 1 to 4096")
	flag.BoolVar(&o.sessions, "sessions", false, "write HTTP, TLS and DNS too")
	flag.BoolVar(&o.parquet, "parquet", false, "write flows as Parquet; needs -out")
	flag.StringVar(&o.out, "out", "", "the folder of the results")
	flag.Parse()
	beam.Init() // a worker of a runner stays here
	quiet()
	o.files = flag.Args()
	if o.shards < 1 || o.shards > 4096 {
		fmt.Fprintln(os.Stderr, "beam: -shards must be 1 to 4096")
		os.Exit(2)
	}
	if o.parquet && o.out == "" {
		fmt.Fprintln(os.Stderr, "beam: -parquet needs -out")
		os.Exit(2)
	}
	bad, err := show(context.Background(), o, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "beam:", err)
	}
	if err != nil || bad {
		os.Exit(1)
	}
}

// quiet leaves out what prism says when all goes well.
func quiet() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
}

// show is run, with a folder and a capture if there are none.
func show(ctx context.Context, o options, stdout, stderr io.Writer) (unreadable bool, err error) {
	if o.out != "" && len(o.files) > 0 {
		return run(ctx, o, stderr)
	}
	temp, err := os.MkdirTemp("", "beam")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(temp)
	if len(o.files) == 0 {
		o.files = []string{filepath.Join(temp, "built-in.pcap")}
		if err = os.WriteFile(o.files[0], captures.Sessions, 0o600); err != nil {
			return false, err
		}
	}
	if o.out != "" {
		return run(ctx, o, stderr)
	}
	o.out = filepath.Join(temp, "out")
	if unreadable, err = run(ctx, o, stderr); err != nil {
		return unreadable, err
	}
	names, err := filepath.Glob(o.out + "/*.ndjson")
	for _, name := range names {
		text, failed := os.ReadFile(name)
		if failed == nil {
			_, failed = stdout.Write(text)
		}
		if failed != nil {
			return unreadable, failed
		}
	}
	return unreadable, err
}

// run runs the pipeline and tells its counters. It reports whether there were files that could not be read.
func run(ctx context.Context, o options, stderr io.Writer) (unreadable bool, err error) {
	files, err := list(ctx, o.files)
	if err != nil {
		return false, err
	}
	old, err := list(ctx, []string{o.out + "/flows-*", o.out + "/messages-*"})
	if err != nil {
		return false, err
	}
	if len(old) > 0 {
		return false, fmt.Errorf("there are results already, such as %s", old[0].Name)
	}
	p, s := beam.NewPipelineWithRoot()
	pipeline(s, files, o)
	result, err := beamx.RunWithMetrics(ctx, p)
	if err != nil {
		return false, err
	}
	counts := map[string]int64{}
	for _, c := range result.Metrics().AllMetrics().Counters() {
		if c.Key.Namespace == "archive" {
			counts[c.Key.Name] += c.Result()
		}
	}
	fmt.Fprintf(stderr, "beam: files: %d, damaged %d, not readable %d; packets: %d, fragments %d\n",
		len(files), counts["damaged_files"], counts["unreadable_files"], counts["packets"], counts["fragments"])
	return counts["unreadable_files"] > 0, nil
}

// list numbers the files of the names and patterns.
func list(ctx context.Context, names []string) (files []File, err error) {
	for _, name := range names {
		found := []string{name}
		if strings.Contains(name, "*") {
			fs, err := filesystem.New(ctx, name)
			if err != nil {
				return nil, err
			}
			if found, err = fs.List(ctx, name); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			slices.Sort(found)
			fs.Close()
		}
		for _, one := range found {
			files = append(files, File{int64(len(files)), one})
		}
	}
	return files, nil
}

// pipeline is the steps from the files to the results.
func pipeline(s beam.Scope, files []File, o options) {
	all := beam.Reshuffle(s, beam.CreateList(s, files)) // any worker may read any file
	packets, torn, times, bad := beam.ParDo4(s.Scope("read"), &ReadFn{Shards: o.shards}, all)
	mended := beam.ParDo(s.Scope("fragments"), &FragmentFn{Shards: o.shards}, beam.GroupByKey(s, torn))
	shards := beam.GroupByKey(s, beam.Flatten(s, packets, mended))
	flows, messages := beam.ParDo2(s.Scope("track"), &TrackFn{Sessions: o.sessions}, shards, beam.SideInput{Input: times})
	ext := ".ndjson"
	if o.parquet {
		ext = parquetExt
	}
	write(s, WriteFn{Name: "flows", Ext: ext, Out: o.out, Shards: o.shards}, flows)
	write(s, WriteFn{Name: "messages", Ext: ".ndjson", Out: o.out, Shards: o.shards}, messages)
	write(s, WriteFn{Name: "bad-files", Ext: ".txt", Out: o.out}, bad)
}

func write(s beam.Scope, f WriteFn, lines beam.PCollection) {
	beam.ParDo0(s.Scope("write "+f.Name), &f, beam.GroupByKey(s, lines))
}
