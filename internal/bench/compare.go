package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// workloads are what compare measures: the base names of its captures, the project's own first.
// "warm" has none.
var workloads = []struct {
	name     string
	captures []string
}{
	{"web", []string{"web", "http_short"}},
	{"manyflows", []string{"manyflows"}},
	{"bulk", []string{"bulk"}},
	{"lossy", []string{"lossy", "impaired_client"}},
	{"dns", []string{"dns"}},
	{"tls", []string{"tls"}},
	{"unwanted", []string{"unwanted"}},
	{"mixed", []string{"mixed"}},
	{"warm", nil},
}

// comparison is a run of compare.
type comparison struct {
	dirs     [2]string // the old tree, the new tree
	layouts  int
	captures string
	only     []string
	budget   time.Duration
	scale    float64
	cpu      int
	limit    float64
	parsers  bool // measure what parsers add
	progress io.Writer
	raw      io.Writer // may be nil

	probes *probes
	rows   []*comparedRow
	clock  string
}

// The sides of a comparison.
const (
	oldSide = iota
	newSide
)

// comparedRow is what has been measured for one row of the table.
type comparedRow struct {
	name, source string
	packets      int
	minima       [2][]float64 // of each layout, ns a packet
	events       [2]int
	mallocs      [2]uint64
	bytes        [2]uint64
}

// rawSample is a line of the file of raw results.
type rawSample struct {
	Side   string
	Layout int
	probeSample
}

// runCompare is the command "bench compare".
func runCompare(args []string) error {
	c := comparison{progress: os.Stderr}
	flags := flag.NewFlagSet("compare", flag.ExitOnError)
	flags.StringVar(&c.dirs[oldSide], "old", "", "the `folder` of the tree to compare with")
	flags.StringVar(&c.dirs[newSide], "new", ".", "the `folder` of the tree that is judged")
	flags.IntVar(&c.layouts, "layouts", 8, "link layouts a side; twice as many where the verdict is close")
	flags.StringVar(&c.captures, "captures", "", "the `folder` of web.pcap and so on; what is absent is synthetic")
	only := flags.String("only", "", "the `workloads` to measure, separated by commas")
	flags.DurationVar(&c.budget, "time", 4*time.Second, "how long a layout of both sides is measured on each workload")
	flags.Float64Var(&c.scale, "scale", 1, "how much synthetic traffic there is")
	flags.IntVar(&c.cpu, "cpu", -1, "the processor to run on; the last if negative")
	flags.Float64Var(&c.limit, "limit", 1.02, "the ratio that the verdict is about")
	flags.BoolVar(&c.parsers, "parsers", false, "measure what the parsers of the new tree add to the driver")
	raw := flags.String("raw", "", "a `file` for the raw results, a line of JSON for each")
	_ = flags.Parse(args) // exits
	if *only != "" {
		c.only = strings.Split(*only, ",")
	}
	if err := checkWorkloads(c.only); err != nil {
		return err
	}
	if c.dirs[oldSide] == "" || flags.NArg() > 0 {
		return errors.New("usage: bench compare -old DIR [-new DIR] [-layouts 8] [-captures DIR] [-only web,bulk]")
	}
	if *raw != "" {
		f, err := os.Create(*raw)
		if err != nil {
			return err
		}
		defer f.Close()
		c.raw = f
	}
	if err := c.run(); err != nil {
		return err
	}
	fmt.Print(c.report())
	return nil
}

// checkWorkloads reports a name that is no workload.
func checkWorkloads(names []string) error {
	var all []string
	for _, w := range workloads {
		all = append(all, w.name)
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return fmt.Errorf("no workload %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	return nil
}

// run measures.
func (c *comparison) run() (err error) {
	if c.layouts < 2 {
		return errors.New("a standard error needs at least two layouts")
	}
	if err := checkWorkloads(c.only); err != nil {
		return err
	}
	if c.probes, err = newProbes(c.dirs); err != nil {
		return err
	}
	defer c.probes.remove()
	var names []string
	for _, w := range workloads {
		if len(c.only) == 0 && !c.parsers && forParsers(w.name) {
			continue
		}
		if c.parsers && c.capture(w.name) == "" {
			continue // synthetic traffic speaks no protocol
		}
		if len(c.only) == 0 || slices.Contains(c.only, w.name) {
			names = append(names, w.name)
		}
	}
	if len(names) == 0 {
		return errors.New("nothing to measure: parsers read captures, see -captures")
	}
	if err := c.measure(names, 1, c.layouts); err != nil {
		return err
	}
	if names = c.close(); len(names) > 0 {
		fmt.Fprintf(c.progress, "close: %s\n", strings.Join(names, " "))
		return c.measure(names, c.layouts+1, 2*c.layouts)
	}
	return nil
}

// forParsers reports whether a workload differs from others by its bytes alone: "tls", and "unwanted",
// connections of a protocol that no parser knows. There is no synthetic one.
func forParsers(name string) bool { return name == "tls" || name == "unwanted" }

// measure runs the workloads with the layouts from first to last.
func (c *comparison) measure(names []string, first, last int) error {
	began := time.Now()
	for layout := first; layout <= last; layout++ {
		fmt.Fprintf(c.progress, "%4.0f s  layout %d of %d\n", time.Since(began).Seconds(), layout, last)
		var programs [2]string
		for side := range c.dirs {
			var err error
			if programs[side], err = c.probes.link(side, layout); err != nil {
				return err
			}
		}
		for _, name := range names {
			if err := c.pair(programs, layout, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// pair runs a workload with the programs of both sides. They take turns, a round each, so that both
// meet the same disturbances: a machine may be slower for seconds, with something else at work on
// the other half of its core.
func (c *comparison) pair(programs [2]string, layout int, workload string) error {
	const atLeast = 6 // rounds, of which the first does not count
	var pair [2]*running
	for side, program := range programs {
		r, err := start(program, "-workload", workload, "-capture", c.capture(workload),
			"-scale", fmt.Sprint(c.scale), "-cpu", fmt.Sprint(c.cpu), fmt.Sprintf("-parsers=%t", c.parsers))
		if err != nil {
			return err
		}
		defer r.stop()
		pair[side] = r
	}
	var began time.Time
	for n := 0; n < atLeast || time.Since(began) < c.budget; n++ {
		if n == 1 {
			began = time.Now() // the first round also waited for the traffic to be loaded
		}
		for turn := range pair {
			if err := pair[(turn+n)%2].round(); err != nil {
				return err
			}
		}
	}
	for side, r := range pair {
		samples, err := r.results()
		if err != nil {
			return err
		}
		for _, s := range samples {
			c.add(side, s)
			if c.raw == nil {
				continue
			}
			if err := json.NewEncoder(c.raw).Encode(rawSample{[]string{"old", "new"}[side], layout, s}); err != nil {
				return err
			}
		}
	}
	return nil
}

// capture is the file of a workload, or nothing.
func (c *comparison) capture(workload string) string {
	if c.captures == "" {
		return ""
	}
	for _, w := range workloads {
		if w.name != workload {
			continue
		}
		for _, base := range w.captures {
			for _, ending := range []string{".pcap", ".pcapng", ".pcap.gz"} {
				name := filepath.Join(c.captures, base+ending)
				if _, err := os.Stat(name); err == nil {
					return name
				}
			}
		}
	}
	return ""
}

func (c *comparison) add(side int, s probeSample) {
	i := slices.IndexFunc(c.rows, func(r *comparedRow) bool { return r.name == s.Row })
	if i < 0 {
		i = len(c.rows)
		c.rows = append(c.rows, &comparedRow{name: s.Row, source: s.Source, packets: s.Packets})
	}
	r := c.rows[i]
	c.clock = s.Clock
	r.minima[side] = append(r.minima[side], s.NS)
	r.events[side] = s.Events
	if len(r.minima[side]) == 1 {
		r.mallocs[side], r.bytes[side] = s.Mallocs, s.Bytes
	}
	r.mallocs[side], r.bytes[side] = min(r.mallocs[side], s.Mallocs), min(r.bytes[side], s.Bytes)
}

// means are what a packet takes with the old tree and with the new one.
func (r *comparedRow) means() (old, new estimate) {
	return meanOf(r.minima[oldSide]), meanOf(r.minima[newSide])
}

func (r *comparedRow) ratio() estimate { return ratioOf(r.minima[newSide], r.minima[oldSide]) }

// isMain reports whether the row is about the packets of a workload as a whole. The others tell
// where the time goes: Finish, and a kind of packet in the warm test.
func (r *comparedRow) isMain() bool {
	return !r.withParsers() && strings.Count(r.name, "/") == 1 || strings.HasSuffix(r.name, "/life")
}

// withParsers reports whether the row is about a driver with parsers. The old tree need not have any.
func (r *comparedRow) withParsers() bool { return strings.Contains(r.name, "+parsers") }

// close gives the workloads of which the verdict of a main row is close.
func (c *comparison) close() (names []string) {
	for _, r := range c.rows {
		name, _, _ := strings.Cut(r.name, "/")
		if r.isMain() && r.ratio().isClose(c.limit) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// report is the text of the result.
func (c *comparison) report() string {
	var s strings.Builder
	fmt.Fprintf(&s, "old: %s\nnew: %s\n%s; %s\n", c.dirs[oldSide], c.dirs[newSide], machine(), c.clock)
	fmt.Fprintf(&s, "ns: a packet; mean over the link layouts of the minimum of each, ± its standard error\n\n")
	verdict := fmt.Sprintf("at most %.2f", c.limit)
	main, rest := table{}, table{}
	main.row("workload", "packets", "layouts", "old ns", "new ns", "ratio", verdict,
		"old allocs/packet", "new", "old bytes/packet", "new")
	rest.row("of which", "old ns", "new ns", "ratio")
	for _, r := range c.rows {
		if r.withParsers() {
			continue
		}
		old, new := r.means()
		ratio := r.ratio()
		cells := []string{fmt.Sprintf("%.1f ± %.1f", old.mean, old.err), fmt.Sprintf("%.1f ± %.1f", new.mean, new.err),
			fmt.Sprintf("%.3f ± %.3f", ratio.mean, ratio.err)}
		if !r.isMain() {
			rest.row(append([]string{r.name}, cells...)...)
			continue
		}
		each := func(n uint64) string { return fmt.Sprintf("%.4g", float64(n)/float64(r.packets)) }
		cells = append([]string{r.name, fmt.Sprint(r.packets), fmt.Sprint(len(r.minima[newSide]))}, cells...)
		main.row(append(cells, ratio.verdict(c.limit), each(r.mallocs[oldSide]), each(r.mallocs[newSide]),
			each(r.bytes[oldSide]), each(r.bytes[newSide]))...)
	}
	fmt.Fprintf(&s, "%v\n%v", &main, &rest)
	if c.parsers {
		fmt.Fprintf(&s, "\n%v", c.parsersTable())
	}
	var synthetic []string
	for _, r := range c.rows {
		if !r.withParsers() && r.events[oldSide] != r.events[newSide] {
			fmt.Fprintf(&s, "\n%s: %d events with the old tree, %d with the new one", r.name, r.events[oldSide], r.events[newSide])
		}
		if name, _, _ := strings.Cut(r.name, "/"); r.source == "synthetic" && name != "warm" && !slices.Contains(synthetic, name) {
			synthetic = append(synthetic, name)
		}
	}
	if len(synthetic) > 0 {
		fmt.Fprintf(&s, "\nsynthetic traffic: %s", strings.Join(synthetic, " "))
	}
	if runtime.GOOS != "linux" {
		s.WriteString("\nwall time: what else runs on the machine is part of the figures")
	}
	return strings.TrimRight(s.String(), "\n") + "\n"
}

// parsersTable tells what the parsers of the new tree add to its driver, and compares their sum with
// the driver of the old tree.
func (c *comparison) parsersTable() *table {
	t := &table{}
	t.row("with parsers", "old driver ns", "new driver ns", "with parsers ns", "to the old driver", "to the new driver",
		"messages", "allocs/round without", "with")
	for _, r := range c.rows {
		of := slices.IndexFunc(c.rows, func(b *comparedRow) bool { return b.name == strings.Replace(r.name, "+parsers", "", 1) })
		if !r.withParsers() || strings.Count(r.name, "/") != 1 || of < 0 {
			continue
		}
		base := c.rows[of]
		ns := func(values []float64) string { e := meanOf(values); return fmt.Sprintf("%.1f ± %.1f", e.mean, e.err) }
		ratio := func(values []float64) string {
			e := ratioOf(r.minima[newSide], values)
			return fmt.Sprintf("%.3f ± %.3f", e.mean, e.err)
		}
		t.row(r.name, ns(base.minima[oldSide]), ns(base.minima[newSide]), ns(r.minima[newSide]),
			ratio(base.minima[oldSide]), ratio(base.minima[newSide]), fmt.Sprint(r.events[newSide]-base.events[newSide]),
			fmt.Sprint(base.mallocs[newSide]), fmt.Sprint(r.mallocs[newSide]))
	}
	return t
}
