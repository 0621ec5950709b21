package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/sample"
)

// call runs the command and returns its output.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(context.Background(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// one returns the lines of a single tracker for a capture, as examples/flows -json prints them,
// sorted.
func one(t *testing.T, packets iter.Seq2[flowscope.PacketView, error]) (lines []string) {
	t.Helper()
	tracker, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{
		Events: flowscope.Events(flowscope.EventReleased),
	})
	require.NoError(t, err)
	hear := func(events []event) {
		for i := range events {
			text, err := json.Marshal(flowscope.RecordOf(&events[i]))
			require.NoError(t, err)
			lines = append(lines, string(text))
		}
	}
	for v, err := range packets {
		if err != nil {
			break // a damaged file: the packets before the damage count
		}
		hear(tracker.Track(v))
	}
	hear(tracker.Finish())
	slices.Sort(lines)
	return lines
}

func split(text string) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if text == "" {
		lines = nil
	}
	slices.Sort(lines)
	return lines
}

func captures(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("../../testdata/captures/*.pcap")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	shared, err := filepath.Glob("../../../shared/captures/open/*.pcap*")
	require.NoError(t, err)
	if len(shared) == 0 {
		t.Log("../../../shared/captures/open is not here: own captures only")
	}
	return append(names, shared...)
}

func TestAnyNumberOfWorkersPrintsTheLinesOfOneTracker(t *testing.T) {
	compare := func(name string, packets iter.Seq2[flowscope.PacketView, error], args ...string) {
		want := one(t, packets)
		first := ""
		for n := 1; n <= 8; n++ {
			if testing.Short() && n != 1 && n != 5 {
				continue
			}
			_, out, _ := call(t, append([]string{"-json", "-n", fmt.Sprint(n)}, args...)...)
			if n == 1 {
				first = out
			}
			require.Equal(t, first, out, "%s, %d workers: other lines, or another order", name, n)
		}
		require.Equal(t, want, split(first), name)
	}
	compare(sample.Name, sample.Packets())
	for _, name := range captures(t) {
		compare(name, flowscope.OpenCapture(name), name)
	}
}

func TestTextHasALineForEachFlow(t *testing.T) {
	status, out, stderr := call(t, "-n", "2")
	require.Zero(t, status)
	require.Equal(t, len(one(t, sample.Packets())), strings.Count(out, "\n"))
	require.Contains(t, out, "192.0.2.10:33678              198.51.100.20:80                     7        5 packets")
	require.Regexp(t, `^shards: built-in capture: packets of each worker: \[\d+ \d+\]\n$`, stderr)
}

func TestADamagedFileGivesItsSoundPartAndTheNextIsRead(t *testing.T) {
	const name = "../../testdata/captures/http.pcap"
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	cut := filepath.Join(t.TempDir(), "cut.pcap")
	require.NoError(t, os.WriteFile(cut, whole[:len(whole)-7], 0o600))
	status, out, stderr := call(t, "-json", cut, name)
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "shards: "+cut)
	require.Equal(t, 4, strings.Count(out, "\n"), out)
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-n", "257"}, {"-nosuch"}} {
		status, out, stderr := call(t, args...)
		require.Equal(t, 2, status)
		require.Empty(t, out)
		require.NotEmpty(t, stderr)
	}
	status, _, stderr := call(t, filepath.Join(t.TempDir(), "none.pcap"))
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "none.pcap")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrPermission }

func TestAFailedWriteIsAnError(t *testing.T) {
	var stderr bytes.Buffer
	require.Equal(t, 1, run(context.Background(), nil, full{}, &stderr))
	require.Contains(t, stderr.String(), "permission")
}

// goroutines waits until only that many goroutines are left: one that has called Done may exist a
// moment longer.
func goroutines(t *testing.T, want int) {
	t.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), want)
}

func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, name := range []string{"", "../../testdata/captures/tunnels.pcap", "none.pcap"} {
		args := []string{"-n", "8"}
		if name != "" {
			args = append(args, name)
		}
		call(t, args...)
		goroutines(t, before)
	}
}
