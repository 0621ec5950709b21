package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/testdata/captures"
)

func call(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(context.Background(), args, &out, &errs, false)
	return status, out.String(), errs.String()
}

func TestWithoutATerminalOneScreenIsPrinted(t *testing.T) {
	status, out, errs := call()
	require.Zero(t, status)
	require.Empty(t, errs)
	require.Equal(t, 30, strings.Count(out, "\n"))
	for _, want := range []string{"built-in capture", "the capture is over", "seen 169 pkt", "gaps 2 (1.7kB)", "192.0.2.10:58666", "www.example.net"} {
		require.Contains(t, out, want)
	}
	require.NotContains(t, out, "\x1b")
	status, out, _ = call("-size", "20x5")
	require.Zero(t, status)
	require.Contains(t, out, "192.0.2.10:58666")
	for text := range strings.Lines(out) {
		require.LessOrEqual(t, len(strings.TrimSuffix(text, "\n")), 20)
	}
}

func TestADamagedFileIsShownUpToTheDamage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cut.pcap")
	require.NoError(t, os.WriteFile(file, captures.Sessions[:len(captures.Sessions)/2], 0o600))
	status, out, errs := call(file)
	require.Equal(t, 1, status)
	require.Contains(t, errs, "cut.pcap")
	require.Contains(t, out, "192.0.2.10:58666")
	status, _, errs = call(file + ".none")
	require.Equal(t, 1, status)
	require.Contains(t, errs, "no such file")
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{
		{"a", "b"}, {"-speed", "-1"}, {"-speed", "NaN"}, {"-speed", "1e9"}, {"-pause", "-1s"}, {"-for", "-1s"}, {"-max", "-1"},
		{"-size", "0x0"}, {"-size", "big"}, {"-i", "lo", "file"}, {"-nothing"},
	} {
		status, out, errs := call(args...)
		require.Equal(t, 2, status, "%v", args)
		require.Empty(t, out)
		require.NotEmpty(t, errs)
	}
	status, _, errs := call("-h")
	require.Zero(t, status)
	require.Contains(t, errs, "usage: top")
	status, _, errs = call("-i", "no-such-one")
	require.Equal(t, 1, status)
	require.Contains(t, errs, "no-such-one")
}
