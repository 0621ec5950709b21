package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/internal/rotated"
	"github.com/flowscope-go/flowscope/examples/parquet/records"
)

func TestMain(m *testing.M) {
	flag.Parse()
	quiet()
	beam.Init()
	os.Exit(m.Run())
}

// call runs the pipeline on prism, and returns what is in the folder of the results.
func call(t *testing.T, o options) (unreadable bool, results, stderr string) {
	t.Helper()
	var errs bytes.Buffer
	o.out = filepath.Join(t.TempDir(), "out")
	unreadable, err := run(context.Background(), o, &errs)
	require.NoError(t, err)
	names, err := filepath.Glob(o.out + "/*.ndjson")
	require.NoError(t, err)
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		if strings.HasPrefix(filepath.Base(name), "flows") {
			require.Equal(t, rotated.Sorted(t, string(text)), string(text), "%s is not sorted", name)
		}
		all.Write(text)
	}
	return unreadable, all.String(), errs.String()
}

func TestShardsSayWhatOneTrackerSays(t *testing.T) {
	conversations := 600
	if os.Getenv("FLOWSCOPE_NIGHTLY") != "" {
		conversations = 30_000
	}
	names := rotated.Files(t, 20, conversations)
	for _, messages := range []bool{false, true} {
		want := rotated.Sorted(t, rotated.OneTracker(t, names, messages))
		require.Greater(t, strings.Count(want, "\n"), conversations)
		for _, n := range []int{1, 4, 32} {
			unreadable, got, stderr := call(t, options{files: names, shards: n, sessions: messages})
			require.False(t, unreadable)
			require.Contains(t, stderr, "files: 20, damaged 0, not readable 0;")
			require.Equal(t, want, rotated.Sorted(t, got), "%d shards, sessions %v", n, messages)
		}
	}
}

func TestBadFilesAreToldAndCountedAndTheRunGoesOn(t *testing.T) {
	const name = "../../testdata/captures/http.pcap"
	sound, err := os.ReadFile(name)
	require.NoError(t, err)
	cut := filepath.Join(t.TempDir(), "cut.pcap")
	require.NoError(t, os.WriteFile(cut, sound[:len(sound)-7], 0o600))
	out := filepath.Join(t.TempDir(), "out")
	var stderr bytes.Buffer
	unreadable, err := run(context.Background(), options{files: []string{cut, "none.pcap", "main.go", name}, shards: 4, out: out}, &stderr)
	require.NoError(t, err)
	require.True(t, unreadable)
	require.Equal(t, "beam: files: 4, damaged 2, not readable 1; packets: 27, fragments 0\n", stderr.String())
	bad, err := os.ReadFile(out + "/bad-files.txt")
	require.NoError(t, err)
	require.Regexp(t, `^.*/cut.pcap: .*\nnone.pcap: .*\nmain.go: .*\n$`, string(bad))
	names, err := filepath.Glob(out + "/*.ndjson")
	require.NoError(t, err)
	require.NotEmpty(t, names)

	_, err = run(context.Background(), options{files: []string{name}, shards: 5, out: out}, &stderr)
	require.ErrorContains(t, err, "there are results already", "lines of two runs would stand side by side")
}

func TestWithoutAFileItShowsTheBuiltInCapture(t *testing.T) {
	var stdout, stderr bytes.Buffer
	unreadable, err := show(context.Background(), options{shards: 3, sessions: true}, &stdout, &stderr)
	require.NoError(t, err)
	require.False(t, unreadable)
	require.Equal(t, 17, strings.Count(stdout.String(), `"initiator"`))
	require.Contains(t, stdout.String(), `"_path":"http"`)
	require.Contains(t, stderr.String(), "files: 1, damaged 0")
}

func TestAPatternIsItsFilesInOrder(t *testing.T) {
	files, err := list(context.Background(), []string{"track.go", "../../testdata/captures/*s.pcap", "none"})
	require.NoError(t, err)
	require.Equal(t, []File{{0, "track.go"}, {1, "../../testdata/captures/sessions.pcap"}, {2, "../../testdata/captures/tunnels.pcap"}, {3, "none"}}, files)
}

// TestParquetHasTheRowsOfOneTracker also shows that a record loses nothing on its way as a line of JSON.
func TestParquetHasTheRowsOfOneTracker(t *testing.T) {
	names := rotated.Files(t, 5, 200)
	var want bytes.Buffer
	w := records.NewWriter(&want, records.Options{Streams: true})
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
		Events: flowscope.Events(flowscope.EventReleased),
	})
	require.NoError(t, err)
	hear := func(events []flowscope.Event) {
		for i := range events {
			r := flowscope.RecordOf(&events[i])
			require.NoError(t, w.Write(&r))
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
	require.NoError(t, w.Close())
	out := filepath.Join(t.TempDir(), "out")
	_, err = run(context.Background(), options{files: names, shards: 3, out: out, parquet: true}, new(bytes.Buffer))
	require.NoError(t, err)
	files, err := filepath.Glob(out + "/flows-*-of-00003.parquet")
	require.NoError(t, err)
	require.Len(t, files, 3)
	var got []records.Row
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		got = append(got, rows(t, text)...)
	}
	all := rows(t, want.Bytes())
	require.Greater(t, len(all), 200)
	byStart := func(a, b records.Row) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.UID, b.UID))
	}
	slices.SortFunc(got, byStart)
	slices.SortFunc(all, byStart)
	require.Equal(t, all, got)
}

func rows(t *testing.T, file []byte) []records.Row {
	t.Helper()
	all, err := parquet.Read[records.Row](bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	return all
}
