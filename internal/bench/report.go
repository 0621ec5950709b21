package main

import (
	"fmt"
	"strconv"
	"strings"
)

// report is what the template is given.
type report struct {
	Date, Machine, Load, Rounds, CPU string
	Commands                         string
	RawFile                          string // where raw is written
	raw                              string

	Cores   int
	results map[string][]result
	idle    [][2]string
}

func (r *report) add(j job, out string) {
	results, cpu := parse(out)
	if cpu != "" {
		r.CPU = cpu
	}
	r.results[j.name] = append(r.results[j.name], results...)
	r.idle = append(r.idle, idle(out)...)
	r.Commands += "    " + j.String() + "\n"
	r.raw += "\njob: " + j.name + "\n"
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "Benchmark") {
			r.raw += strings.Join(strings.Fields(line), " ") + "\n"
		}
	}
	for _, row := range idle(out) {
		r.raw += "idle: " + row[0] + ": " + row[1] + " bytes\n"
	}
}

// Raw is the file of raw results, in the text format of Go's benchmarks: lines "key: value" are about those below.
func (r *report) Raw(commit string) string {
	head := "date: " + r.Date + "\n"
	for _, line := range [][2]string{{"commit", commit}, {"cpu", r.CPU}, {"machine", r.Machine}, {"load", r.Load}} {
		if line[1] != "" {
			head += line[0] + ": " + line[1] + "\n"
		}
	}
	return head + r.raw
}

// find gives the result of that name in another job, or nil.
func (r *report) find(job, name string) *result {
	for i := range r.results[job] {
		if r.results[job][i].name == name {
			return &r.results[job][i]
		}
	}
	return nil
}

// Mix is the table of the mixes.
func (r *report) Mix() string {
	t := table{}
	t.row("mix", "flows", "frame", "floor ns", "tracker", "driver", "events",
		"tcpassembly", "reassembly", "fork's tcpassembly", "fork's reassembly")
	for _, m := range r.results["mix"] {
		t.row(m.parameter("mix"), grouped(m.parameter("flows")), grouped(m.parameter("frame")), whole(&m, "floor-ns/pkt"),
			over(&m, "track"), over(&m, "driver"), over(&m, "events"),
			peer(&m, "asm"), peer(r.find("mix-reassembly", m.name), "reasm"),
			peer(r.find("fork", m.name), "asm"), peer(r.find("fork-reassembly", m.name), "reasm"))
	}
	return t.String()
}

// Capture is the table of the capture files, or nothing.
func (r *report) Capture() string {
	t := table{}
	for i, m := range r.results["capture"] {
		if i == 0 {
			t.row("file", "floor ns", "tracker", "driver", "tcpassembly", "reassembly")
		}
		t.row(m.parameter("file"), whole(&m, "floor-ns/pkt"), over(&m, "track"), over(&m, "driver"),
			peer(&m, "asm"), peer(r.find("capture-reassembly", m.name), "reasm"))
	}
	return t.String()
}

// Track is the table of established flows that are visited at random.
func (r *report) Track() string {
	t := table{}
	t.row("flows", "protocol", "floor ns", "wide floor", "tracker", "driver", "data", "events")
	for _, m := range r.results["track"] {
		t.row(grouped(m.parameter("flows")), m.parameter("l4"), whole(&m, "floor-ns/pkt"),
			over(&m, "wide"), over(&m, "track"), over(&m, "driver"), over(&m, "data"), over(&m, "events"))
	}
	return t.String()
}

// Options is the table of what options cost.
func (r *report) Options() string {
	t := table{}
	t.row("option", "UDP", "TCP")
	row := func(title, name, other string, of ...string) {
		cells := []string{title, "", ""}
		for i, bench := range of {
			if m := r.find("options", bench); m != nil {
				cells[1+i] = beyond(m, name, other)
			}
		}
		t.row(cells...)
	}
	row("`AutoDetectEncap` on traffic without tunnels", "auto", "plain", "AutoDetect/l4=udp", "AutoDetect/l4=tcp")
	row("`PerTunnel` around it", "per-tunnel", "plain", "AutoDetect/l4=udp", "AutoDetect/l4=tcp")
	row("`ChecksumVerify`", "verify", "ignore", "Checksums")
	row("`ChecksumAuto`", "auto", "ignore", "Checksums")
	return t.String()
}

// Details is the table of what details of flows and reports cost.
func (r *report) Details() string {
	t := table{}
	t.row("", "bytes a flow", "UDP", "TCP", "web pages")
	for _, d := range []struct{ title, bytes, name string }{
		{"`DetailIPBytes`", "16", "ip_bytes"}, {"`DetailTCP`", "40", "tcp"}, {"`DetailLateBytes`", "32", "late_bytes"},
		{"`DetailOrigin`", "64", "origin"}, {"`AllDetails`", "152", "all"}, {"`ReportEvery`", "16", "reports"},
	} {
		cells := []string{d.title, d.bytes}
		for _, traffic := range []string{"udp", "tcp", "web"} {
			cell := ""
			if m := r.find("options", "Details/traffic="+traffic); m != nil {
				cell = beyond(m, d.name, "none")
			}
			cells = append(cells, cell)
		}
		t.row(cells...)
	}
	return t.String()
}

// Batch is the table of packets one by one and in batches.
func (r *report) Batch() string {
	t := table{}
	t.row("flows", "floor ns", "tracker", "in batches", "driver", "in batches")
	for _, m := range r.results["options"] {
		if strings.HasPrefix(m.name, "Batch/") {
			t.row(grouped(m.parameter("flows")), whole(&m, "floor-ns/pkt"),
				times(&m, "track/floor"), times(&m, "track-batch/floor"), times(&m, "driver/floor"), times(&m, "driver-batch/floor"))
		}
	}
	return t.String()
}

// Sessions is the table of a driver with parsers and of one without.
func (r *report) Sessions() string {
	t := table{}
	t.row("traffic", "driver, ns a packet", "with parsers")
	for _, m := range r.results["sessions"] {
		if m.parameter("traffic") != "" {
			t.row(m.parameter("traffic"), whole(&m, "driver-ns/pkt"), beyond(&m, "sessions", "driver"))
		}
	}
	return t.String()
}

// Readers is the table of parsers and of other readers of the same protocols.
func (r *report) Readers() string {
	t := table{}
	t.row("reader", "ns a packet", "allocations a packet")
	row := func(title, bench, name string) {
		if m := r.find("sessions", bench); m != nil {
			allocs := ""
			if n, ok := m.metrics[name+"-allocs/pkt"]; ok { // the first contender has none
				allocs = fmt.Sprintf("%.2f", n)
			}
			t.row(title, whole(m, name+"-ns/pkt"), allocs)
		}
	}
	row("HTTP: a driver alone", "HTTP", "driver")
	row("HTTP: a driver with `protocol/http1`", "HTTP", "http1")
	row("HTTP: a driver with `net/http` through `protocol/reader`", "HTTP", "net-http")
	row("DNS: a driver alone", "DNS", "driver")
	row("DNS: a driver with `protocol/dns`", "DNS", "dns")
	row("DNS: gopacket's layers, without flows", "DNS", "gopacket")
	return t.String()
}

// Shards is the table of one core and of two.
func (r *report) Shards() string {
	t := table{}
	t.row("payload", "a loop, ns", "one worker", "two workers", "two workers to the loop", "the reader's share, ns")
	for _, m := range r.results["shards"] {
		t.row(grouped(m.parameter("payload")), whole(&m, "loop-ns/packet"), whole(&m, "one-ns/packet"), whole(&m, "two-ns/packet"),
			times(&m, "two/loop"), whole(&m, "reader-ns/packet"))
	}
	return t.String()
}

// Flood is the table of a SYN flood at a full table.
func (r *report) Flood() string {
	t := table{}
	t.row("flows", "floor ns", "tracker", "driver")
	for _, m := range r.results["table"] {
		if strings.HasPrefix(m.name, "Flood/") {
			t.row(grouped(m.parameter("flows")), whole(&m, "floor-ns/pkt"), over(&m, "track"), over(&m, "driver"))
		}
	}
	return t.String()
}

// Worst is the table of the slowest packets.
func (r *report) Worst() string {
	t := table{}
	t.row("flows", "while", "median ns", "five worst, ns")
	for _, m := range r.results["table"] {
		if !strings.HasPrefix(m.name, "Worst/") {
			continue
		}
		for _, phase := range []string{"fill", "use", "flood", "expire"} {
			var worst []string
			for i := range 5 {
				worst = append(worst, whole(&m, fmt.Sprintf("%s-%d-ns", phase, i+1)))
			}
			t.row(grouped(m.parameter("flows")), phase, whole(&m, phase+"-median-ns"), strings.Join(worst, " "))
		}
	}
	return t.String()
}

// Table is what the table of flows costs besides.
func (r *report) Table() string {
	t := table{}
	t.row("what", "flows", "figure")
	for _, m := range r.results["table"] {
		flows := grouped(m.parameter("flows"))
		switch kind, _, _ := strings.Cut(m.name, "/"); kind {
		case "New":
			t.row("a new "+m.parameter("what"), flows, fmt.Sprintf("%.1f ms, %.1f MB", m.metrics["ns/op"]/1e6, m.metrics["B/op"]/1e6))
		case "Sweep":
			t.row("a sweep that ends nothing", flows, whole(&m, "ns/op")+" ns")
		case "SweepAll":
			t.row("a sweep that ends everything", flows, whole(&m, "min-ns/flow")+" ns a flow")
		}
	}
	for _, row := range r.idle {
		t.row("an idle flow: "+row[0], "", row[1]+" bytes")
	}
	return t.String()
}

// over is what a contender takes beyond the floor, and the ratio.
func over(m *result, name string) string { return beyond(m, name, "floor") }

// beyond is what a contender takes beyond another, and the ratio.
func beyond(m *result, name, other string) string {
	ratio, ok := m.metrics[name+"/"+other]
	if !ok {
		return ""
	}
	s := fmt.Sprintf("%+.0f, x%.2f", m.metrics[name+"-over-"+other+"-ns/pkt"], ratio)
	if n := m.metrics[name+"-allocs/pkt"]; n >= 0.005 {
		s += fmt.Sprintf(" (%.2f)", n)
	}
	return s
}

// peer is the ratio to the driver in the same run.
func peer(m *result, name string) string {
	if m == nil || m.metrics[name+"-ns/pkt"] == 0 {
		return ""
	}
	s := fmt.Sprintf("%.1f", m.metrics[name+"-ns/pkt"]/m.metrics["driver-ns/pkt"])
	if n := m.metrics[name+"-allocs/pkt"]; n >= 0.005 {
		s += fmt.Sprintf(" (%.2f)", n)
	}
	return s
}

func whole(m *result, unit string) string { return strconv.Itoa(int(m.metrics[unit] + 0.5)) }

// times is a ratio.
func times(m *result, unit string) string {
	if m.metrics[unit] == 0 {
		return ""
	}
	return fmt.Sprintf("x%.2f", m.metrics[unit])
}

// grouped writes a number with commas.
func grouped(n string) string {
	for i := len(n) - 3; i > 0; i -= 3 {
		n = n[:i] + "," + n[i:]
	}
	return n
}

// table is a Markdown table. The first row is the head.
type table struct{ rows []string }

func (t *table) row(cells ...string) {
	t.rows = append(t.rows, "| "+strings.Join(cells, " | ")+" |\n")
	if len(t.rows) == 1 {
		t.rows = append(t.rows, strings.Repeat("|---", len(cells))+"|\n")
	}
}

func (t *table) String() string { return strings.Join(t.rows, "") }
