package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestATreeIsAsFastAsItself compares the tree with itself, with little traffic: every row is there,
// and both sides did the same work in about the same time.
func TestATreeIsAsFastAsItself(t *testing.T) {
	if testing.Short() {
		t.Skip("links programs")
	}
	var raw bytes.Buffer
	root := filepath.Join("..", "..")
	c := comparison{
		dirs: [2]string{root, root}, layouts: 2, only: []string{"lossy", "warm"},
		budget: 200 * time.Millisecond, scale: 0.02, cpu: -1, limit: 1.02, progress: io.Discard, raw: &raw,
	}
	if err := c.run(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range c.rows {
		names = append(names, r.name)
		// On a machine that is busy with other tests a single figure may be far off; a side that
		// measures something else is farther.
		if ratio := r.ratio().mean; r.isMain() && (ratio < 0.5 || ratio > 2) {
			t.Errorf("%s: the ratio to itself is %.2f", r.name, ratio)
		}
		if r.events[oldSide] != r.events[newSide] {
			t.Errorf("%s: %v events", r.name, r.events)
		}
		if r.isMain() && (r.mallocs[oldSide] != r.mallocs[newSide] || r.bytes[oldSide] != r.bytes[newSide]) {
			t.Errorf("%s: %v allocations, %v bytes", r.name, r.mallocs, r.bytes)
		}
		if n := len(r.minima[newSide]); n != len(r.minima[oldSide]) || n != 2 && n != 4 {
			t.Errorf("%s: %d layouts", r.name, n)
		}
	}
	for _, name := range []string{"lossy/tracker", "lossy/driver", "lossy/driver/Finish", "warm/tracker/life", "warm/driver/SYN+ACK", "warm/driver/release"} {
		if !slices.Contains(names, name) {
			t.Errorf("no row %q", name)
		}
	}
	report := c.report()
	for _, part := range []string{"| lossy/driver | ", "| warm/tracker/life | 2700 | ", "at most 1.02", "\nsynthetic traffic: lossy\n"} {
		if !strings.Contains(report, part) {
			t.Errorf("no %q in\n%s", part, report)
		}
	}
	lines := json.NewDecoder(&raw)
	var first rawSample
	if err := lines.Decode(&first); err != nil || first.Side != "old" || first.Layout != 1 || first.NS <= 0 {
		t.Errorf("raw: %+v, %v", first, err)
	}
}

func TestRowsThatDecide(t *testing.T) {
	row := func(name string, new ...float64) *comparedRow {
		return &comparedRow{name: name, minima: [2][]float64{{100, 100}, new}}
	}
	c := comparison{limit: 1.02, rows: []*comparedRow{
		row("web/tracker", 100, 100), row("web/driver", 101, 107), row("web/driver/Finish", 101, 107),
		row("bulk/driver", 120, 121), row("dns/tracker/Finish", 101, 107),
		row("warm/driver/SYN", 101, 107), row("warm/driver/life", 101, 107),
	}}
	if got := strings.Join(c.close(), " "); got != "web warm" {
		t.Errorf("close: %s", got)
	}
}

func TestCapturesAreFoundByName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"http_short.pcap", "bulk.pcapng", "lossy.pcap", "impaired_client.pcap"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := comparison{captures: dir}
	for workload, want := range map[string]string{
		"web": "http_short.pcap", "tls": "", "bulk": "bulk.pcapng", "lossy": "lossy.pcap", "dns": "", "warm": "",
	} {
		got := c.capture(workload)
		if got != "" {
			got = filepath.Base(got)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", workload, got, want)
		}
	}
	if got := (&comparison{}).capture("web"); got != "" {
		t.Errorf("without a folder: %q", got)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, c := range []comparison{
		{layouts: 1},
		{layouts: 2, dirs: [2]string{t.TempDir(), "."}, progress: io.Discard},
	} {
		if err := c.run(); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
	if err := runCompare(nil); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Errorf("without -old: %v", err)
	}
}

// TestParsersAreMeasuredOverTheDriver compares the tree with itself on the capture of the tests.
func TestParsersAreMeasuredOverTheDriver(t *testing.T) {
	if testing.Short() {
		t.Skip("links programs")
	}
	dir, root := t.TempDir(), filepath.Join("..", "..")
	capture, err := os.ReadFile(filepath.Join(root, "testdata", "captures", "sessions.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mixed.pcap"), capture, 0o600); err != nil {
		t.Fatal(err)
	}
	c := comparison{
		dirs: [2]string{root, root}, layouts: 2, captures: dir, budget: 100 * time.Millisecond, cpu: -1, limit: 1.02,
		progress: io.Discard, parsers: true,
	}
	if err := c.run(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{"\n| mixed/driver | ", "\n| mixed/ends | ", "\n| mixed/driver+parsers | ", "\n| mixed/ends+parsers | "} {
		if !strings.Contains(c.report(), row) {
			t.Errorf("no %q in\n%s", row, c.report())
		}
	}
	if table := c.parsersTable(); len(table.rows) != 4 {
		t.Errorf("not two rows of parsers:\n%v", table)
	}
	if err := (&comparison{layouts: 2, parsers: true, dirs: c.dirs, progress: io.Discard}).run(); err == nil {
		t.Error("no error without captures")
	}
}
