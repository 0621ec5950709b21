package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/examples/internal/rotated"
)

func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestAllTasksSayWhatOneTrackerSays(t *testing.T) {
	names := rotated.Files(t, 20, 600)
	for _, messages := range []bool{false, true} {
		want := rotated.Sorted(t, rotated.OneTracker(t, names, messages))
		require.Greater(t, strings.Count(want, "\n"), 600)
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
			require.Equal(t, want, rotated.Sorted(t, got.String()), "%d tasks, sessions %v", n, messages)
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
