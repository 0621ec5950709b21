package main

import (
	"strings"
	"testing"
	"text/template"
)

const output = `goos: linux
cpu: Some CPU
BenchmarkMix/mix=web/flows=100000/frame=1514-2  100  0 asm-B/pkt  0.083 asm-allocs/pkt  300 asm-ns/pkt  6.3 asm/floor  200 driver-ns/pkt  98.4 driver-over-floor-ns/pkt  2.04 driver/floor  0.08 driver-allocs/pkt  50.6 floor-ns/pkt
BenchmarkNew/what=tracker/flows=1000000-2  5  4854428 ns/op  16788422 B/op  5 allocs/op
BenchmarkSweepAll/flows=1000-16  5  374.8 min-ns/flow
BenchmarkAutoDetect/l4=tcp-2  5  1.5 auto-over-plain-ns/pkt  1.02 auto/plain
BenchmarkDetails/traffic=web-2  5  9.9 origin-over-none-ns/pkt  1.06 origin/none
BenchmarkBatch/flows=1000-2  5  40.2 floor-ns/pkt  1.9 track/floor  2.05 track-batch/floor
BenchmarkWorkers/payload=1000-2  5  1800 loop-ns/packet  1400 one-ns/packet  400 reader-ns/packet  1000 two-ns/packet  1.8 two/loop
BenchmarkSessions/traffic=web-2  60  100 driver-ns/pkt  0.0004 sessions-allocs/pkt  250 sessions-ns/pkt  150 sessions-over-driver-ns/pkt  2.5 sessions/driver
BenchmarkDNS-2  60  100 driver-ns/pkt  120 gopacket-ns/pkt  0.58 gopacket-allocs/pkt
PASS
`

const idleOutput = `=== RUN   TestWhatAMillionFlowsTake
=== RUN   TestWhatAMillionFlowsTake/UDP_in_a_tracker
    idle_test.go:70: 312.9 bytes a flow
=== RUN   TestWhatAMillionFlowsTake/TCP_in_a_driver
    idle_test.go:70: 449.0 bytes a flow
--- PASS: TestWhatAMillionFlowsTake (10.01s)
    --- PASS: TestWhatAMillionFlowsTake/UDP_in_a_tracker (0.79s)
    --- PASS: TestWhatAMillionFlowsTake/TCP_in_a_driver (1.59s)
`

func sample() *report {
	r := &report{RawFile: "internal/bench/results/x.txt", results: map[string][]result{}}
	all := jobs("100", true)
	r.add(all[0], output)
	r.add(job{name: "mix-reassembly", dir: "."}, strings.ReplaceAll(output, "asm", "reasm"))
	r.add(job{name: "table", dir: "."}, output)
	r.add(job{name: "options", dir: "."}, output)
	r.add(job{name: "shards", dir: "."}, output)
	r.add(job{name: "sessions", dir: "."}, output)
	r.add(job{name: "idle", dir: "."}, idleOutput)
	return r
}

func TestTheTablesShowTheResults(t *testing.T) {
	r := sample()
	for _, c := range []struct{ name, got, want string }{
		{"mix", r.Mix(), "| web | 100,000 | 1,514 | 51 |  | +98, x2.04 (0.08) |  | 1.5 (0.08) | 1.5 (0.08) |  |  |"},
		{"options", r.Options(), "| `AutoDetectEncap` on traffic without tunnels |  | +2, x1.02 |"},
		{"details", r.Details(), "| `DetailOrigin` | 64 |  |  | +10, x1.06 |"},
		{"batch", r.Batch(), "| 1,000 | 40 | x1.90 | x2.05 |  |  |"},
		{"shards", r.Shards(), "| 1,000 | 1800 | 1400 | 1000 | x1.80 | 400 |"},
		{"sessions", r.Sessions(), "| web | 100 | +150, x2.50 |"},
		{"readers", r.Readers(), "| DNS: gopacket's layers, without flows | 120 | 0.58 |"},
		{"table", r.Table(), "| a new tracker | 1,000,000 | 4.9 ms, 16.8 MB |"},
		{"table", r.Table(), "| a sweep that ends everything | 1,000 | 375 ns a flow |"},
		{"table", r.Table(), "| an idle flow: TCP in a driver |  | 449.0 bytes |"},
	} {
		if !strings.Contains(c.got, c.want+"\n") {
			t.Errorf("%s: no row %q in\n%s", c.name, c.want, c.got)
		}
	}
	if r.CPU != "Some CPU" || r.Capture() != "" {
		t.Errorf("CPU %q, captures %q", r.CPU, r.Capture())
	}
}

func TestThePageCanBeWritten(t *testing.T) {
	tmpl, err := template.New("page").Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, sample()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| web | 100,000 |", "](internal/bench/results/x.txt)", "go test -run '^$' -bench '^BenchmarkMix$' -benchtime 100x"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(b.String(), "## Captures") {
		t.Error("a heading without a table")
	}
	if strings.Contains(b.String(), "\nBenchmark") || strings.Contains(b.String(), " ns/op") {
		t.Error("raw results are on the page")
	}
}

func TestTheRawResultsAreWhole(t *testing.T) {
	got := sample().Raw("abc1234")
	for _, want := range []string{
		"commit: abc1234\n", "cpu: Some CPU\n", "\njob: mix-reassembly\nBenchmarkMix/mix=web/", "\njob: table\nBenchmarkMix/",
		"5 4854428 ns/op 16788422 B/op 5 allocs/op\n", "\nidle: UDP in a tracker: 312.9 bytes\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
