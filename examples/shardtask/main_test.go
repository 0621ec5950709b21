package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/rotated"
	"github.com/flowscope-go/flowscope/export"
	"github.com/flowscope-go/flowscope/export/sessions"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

// one is what a single driver says of all files, one after the other: written without task.go.
func one(t *testing.T, names []string, messages bool) string {
	t.Helper()
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
		Events: flowscope.Events(flowscope.EventReleased, flowscope.EventMessage),
	})
	require.NoError(t, err)
	if messages {
		require.NoError(t, driver.UseParsers(http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{}))
	}
	var lines []byte
	hear := func(events []flowscope.FlowEvent[flowscope.FiveTupleKey]) {
		for i := range events {
			switch ev := &events[i]; ev.Kind {
			case flowscope.EventReleased:
				r := flowscope.RecordOf(ev)
				lines = export.AppendNDJSON(lines, &r)
			case flowscope.EventMessage:
				lines = sessions.AppendZeekJSON(lines, driver.UID(ev), ev)
			}
		}
	}
	for _, name := range names {
		for v, err := range flowscope.OpenCapture(name) {
			require.NoError(t, err)
			hear(driver.Track(v))
		}
	}
	for events := range driver.FinishParts() {
		hear(events)
	}
	return string(lines)
}

// sorted are the lines by start and UID, and those of messages by time and UID behind them.
func sorted(t *testing.T, text string) (lines []string) {
	t.Helper()
	type line struct {
		Path  string              `json:"_path"`
		UID   string              `json:"uid"`
		Start flowscope.Timestamp `json:"start"`
		TS    float64             `json:"ts"`
		text  string
	}
	var all []line
	for l := range strings.Lines(text) {
		one := line{text: l}
		require.NoError(t, json.Unmarshal([]byte(l), &one))
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Start, b.Start), cmp.Compare(a.TS, b.TS), cmp.Compare(a.UID, b.UID), cmp.Compare(a.text, b.text))
	})
	for _, l := range all {
		lines = append(lines, l.text)
	}
	return lines
}

func TestAllTasksSayWhatOneTrackerSays(t *testing.T) {
	names := rotated.Files(t, 20, 600)
	for _, messages := range []bool{false, true} {
		want := sorted(t, one(t, names, messages))
		require.Greater(t, len(want), 600)
		for _, n := range []int{1, 4, 32} {
			var got strings.Builder
			shares := 0
			for i := range n {
				status, out, stderr := call(t, append([]string{"-shard", fmt.Sprint(i), "-of", fmt.Sprint(n), fmt.Sprint("-sessions=", messages)}, names...)...)
				require.Zero(t, status, stderr)
				require.Empty(t, stderr)
				got.WriteString(out)
				if out != "" {
					shares++
				}
			}
			require.Equal(t, n, shares, "a task without flows shows nothing")
			require.Equal(t, strings.Join(want, ""), strings.Join(sorted(t, got.String()), ""), "%d tasks, sessions %v", n, messages)
		}
	}
}

func TestWithoutAFileItShowsTheBuiltInCapture(t *testing.T) {
	status, flows, _ := call(t)
	require.Zero(t, status)
	require.Equal(t, 17, strings.Count(flows, "\n"))
	_, all, _ := call(t, "-sessions")
	for _, part := range []string{`"_path":"http"`, `"_path":"ssl"`, `"_path":"dns"`} {
		require.Contains(t, all, part)
	}
}

func TestADamagedFileIsToldAndTheNextIsRead(t *testing.T) {
	const name = "../../testdata/captures/http.pcap"
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	cut := filepath.Join(t.TempDir(), "cut.pcap")
	require.NoError(t, os.WriteFile(cut, whole[:len(whole)-7], 0o600))
	_, before, _ := call(t, name)
	status, out, stderr := call(t, cut, "main.go", name)
	require.Zero(t, status)
	require.Greater(t, strings.Count(out, "\n"), strings.Count(before, "\n")-1)
	require.Contains(t, stderr, "shardtask: "+cut)
	require.Contains(t, stderr, "shardtask: main.go")

	status, out, stderr = call(t, filepath.Join(t.TempDir(), "none.pcap"), name)
	require.Equal(t, 1, status, "another try may find it")
	require.Equal(t, before, out)
	require.Contains(t, stderr, "none.pcap")
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{{"-shard", "4", "-of", "4"}, {"-shard", "-1"}, {"-of", "0"}, {"-nosuch"}} {
		status, out, stderr := call(t, args...)
		require.Equal(t, 2, status)
		require.Empty(t, out)
		require.NotEmpty(t, stderr)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrPermission }

func TestAFailedWriteIsAnError(t *testing.T) {
	var stderr bytes.Buffer
	require.Equal(t, 1, run(nil, full{}, &stderr))
	require.Contains(t, stderr.String(), "permission")
}
