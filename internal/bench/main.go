// Command bench measures the library and writes BENCHMARKS.md, with the raw results in internal/bench/results. Run it
// at the root of the repository:
//
//	go run ./internal/bench
//
// It takes about seven minutes. FLOWSCOPE_ROUNDS is the number of rounds of each row, 60 by default: more make the
// medians steadier. FLOWSCOPE_CAPTURE names capture files to be replayed too, separated as in PATH. What stands around
// the tables is in BENCHMARKS.tmpl beside this file.
//
// To compare the time that two trees of the library take for the same packets:
//
//	go run ./internal/bench compare -old DIR [-new DIR] [-layouts 8] [-captures DIR] [-only web,bulk]
//
// The result is a table with a verdict. The ratio of new to old is "at most 1.02" if the ratio less two standard errors
// is at most 1.02, and the ratio itself at most 1.05. This takes about six minutes, and up to twice as long where verdicts
// are close.
//
// With -parsers it measures what HTTP/1, TLS and DNS add to a driver of the new tree, against that driver and against
// the one of the old tree, which need not have parsers. This takes captures: web, manyflows, bulk, lossy, dns, tls, mixed
// and unwanted, a protocol that no parser knows.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"text/template"
	"time"
)

//go:embed BENCHMARKS.tmpl
var page string

func main() {
	measure, status := command(os.Args[1:], os.Stderr)
	if measure == nil {
		os.Exit(status)
	}
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const usage = `usage: bench               measure (about 7 minutes) and rewrite BENCHMARKS.md
       bench compare ...   compare two trees; bench compare -h lists its flags
`

// command is what the arguments ask for: nil, and the exit status, if it is the usage or if they are
// wrong.
func command(args []string, stderr io.Writer) (measure func() error, status int) {
	switch {
	case len(args) == 0:
		return run, 0
	case args[0] == "compare":
		return func() error { return runCompare(args[1:]) }, 0
	}
	fmt.Fprint(stderr, usage)
	switch args[0] {
	case "-h", "-help", "--help", "help":
		return nil, 0
	}
	return nil, 2
}

// job is one run of go test.
type job struct {
	name string // of its results in report
	dir  string
	args []string
}

func (j job) String() string {
	s := "go test"
	for _, a := range j.args {
		if strings.ContainsAny(a, "^$|{") {
			a = "'" + a + "'"
		}
		s += " " + a
	}
	if j.dir != "." {
		s = "(cd " + j.dir + " && " + s + ")"
	}
	return s
}

// jobs are what is measured. A peer is measured with no more than 100,000 flows.
func jobs(rounds string, captures bool) (all []job) {
	const fork, peers, here = "internal/bench/fork", "^BenchmarkMix$/./^flows=10{0,5}$", "./internal/bench"
	bench := func(name, dir, pattern, times string, more ...string) {
		args := append([]string{"-run", "^$", "-bench", pattern, "-benchtime", times + "x", "-timeout", "30m"}, more...)
		if dir == "." {
			args = append(args, here)
		} else {
			args = append(args, ".")
		}
		all = append(all, job{name, dir, args})
	}
	bench("mix", ".", "^BenchmarkMix$", rounds)
	bench("mix-reassembly", ".", peers, rounds, "-tags", "reassembly")
	bench("fork", fork, peers, rounds)
	bench("fork-reassembly", fork, peers, rounds, "-tags", "reassembly")
	bench("track", ".", "^BenchmarkTrack$", rounds)
	bench("options", ".", "^Benchmark(AutoDetect|Checksums|Details|Batch)$", rounds)
	bench("sessions", ".", "^Benchmark(Sessions|HTTP|DNS)$", rounds)
	bench("shards", "examples/shards", "^BenchmarkWorkers$", "10")
	bench("table", ".", "^Benchmark(New|SweepAll|Worst)$", "5")
	bench("table", ".", "^Benchmark(Sweep|Flood|SYNFlood)$", "500")
	if captures {
		bench("capture", ".", "^BenchmarkCapture$", rounds)
		bench("capture-reassembly", ".", "^BenchmarkCapture$", rounds, "-tags", "reassembly")
	}
	all = append(all, job{"idle", ".", []string{"-run", "^TestWhatAMillionFlowsTake$", "-count", "1", "-v", here}})
	return all
}

func run() error {
	rounds := os.Getenv("FLOWSCOPE_ROUNDS")
	if n, err := strconv.Atoi(rounds); err != nil || n < 1 {
		rounds = "60"
	}
	r := report{Date: time.Now().Format(time.DateOnly), Machine: machine(), Rounds: rounds, Cores: runtime.NumCPU(), results: map[string][]result{}}
	began := time.Now()
	for _, j := range jobs(rounds, os.Getenv("FLOWSCOPE_CAPTURE") != "") {
		fmt.Fprintf(os.Stderr, "%4.0f s  %v\n", time.Since(began).Seconds(), j)
		cmd := exec.Command("go", j.args...)
		cmd.Args = append([]string{"go", "test"}, j.args...)
		cmd.Dir, cmd.Stderr = j.dir, os.Stderr
		cmd.Env = append(os.Environ(), captures()...)
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%v: %w\n%s", j, err, out)
		}
		r.add(j, string(out))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil && len(strings.Fields(string(load))) > 2 {
		r.Load = strings.Join(strings.Fields(string(load))[:3], " ") // others at work make figures worse
	}
	commit := head()
	r.RawFile = path.Join("internal/bench/results", strings.TrimSuffix(r.Date+"-"+commit, "-")+".txt")
	tmpl, err := template.New("page").Parse(page)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := tmpl.Execute(&text, &r); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%4.0f s  done\n", time.Since(began).Seconds())
	if err := os.WriteFile(filepath.FromSlash(r.RawFile), []byte(r.Raw(commit)), 0o644); err != nil {
		return err
	}
	return os.WriteFile("BENCHMARKS.md", text.Bytes(), 0o644)
}

// head is the commit that is measured, or nothing outside of a clone.
func head() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// captures makes the names of capture files absolute, since tests run in the folder of their package.
func captures() []string {
	var names []string
	for _, name := range filepath.SplitList(os.Getenv("FLOWSCOPE_CAPTURE")) {
		if abs, err := filepath.Abs(name); err == nil {
			name = abs
		}
		names = append(names, name)
	}
	return []string{"FLOWSCOPE_CAPTURE=" + strings.Join(names, string(filepath.ListSeparator))}
}

func machine() string {
	s := fmt.Sprintf("%d cores, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		version, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-")
		s += ", Linux " + version
	}
	return s + ", " + runtime.Version()
}
