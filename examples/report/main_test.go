package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/examples/internal/odd"
)

func call(t *testing.T, stdin []byte, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(args, bytes.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

func TestWithoutArgumentsThePageIsAboutTheBuiltInCapture(t *testing.T) {
	status, stdout, stderr := call(t, nil)
	require.Zero(t, status)
	require.Empty(t, stderr)
	require.True(t, strings.HasPrefix(stdout, "<!DOCTYPE html>"))
	requireText(t, stdout, "<h1><bdi>built-in capture</bdi></h1>")
	for _, title := range []string{
		"Throughput", "Flows", "Top talkers", "How flows ended", "Round trip of the handshake", "HTTP", "TLS", "DNS",
		"The connection with the most trouble", "Worth a look",
	} {
		requireText(t, stdout, "<h2>"+title)
	}
}

func TestFilesAndStandardInputGiveTheSamePage(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	name := filepath.Join(dir, "some.pcap")
	c := odd.Named("sessions")
	require.NoError(t, os.WriteFile(name, c.File, 0o600))
	status, fromFile, stderr := call(t, nil, name)
	require.Zero(t, status, stderr)
	status, fromStdin, stderr := call(t, c.File, "-")
	require.Zero(t, status, stderr)
	require.Equal(t, strings.ReplaceAll(fromFile, "some.pcap", "standard input"), fromStdin)

	page := filepath.Join(dir, "page.html")
	status, stdout, stderr := call(t, nil, "-o", page, name)
	require.Zero(t, status, stderr)
	require.Equal(t, page+": 169 packets, 17 flows\n", stdout)
	written, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, fromFile, string(written))
	left, err := filepath.Glob(filepath.Join(dir, "report-*"))
	require.NoError(t, err)
	require.Empty(t, left, "the copy of standard input is deleted")
}

func TestDamagedFilesGiveAPageAndAStatus(t *testing.T) {
	status, stdout, stderr := call(t, odd.Named("broken").File, "-")
	require.Equal(t, 1, status)
	require.Equal(t, "report: capture file, offset 21915: file ends early: while reading a record\n", stderr)
	requireText(t, stdout, "The file is damaged")
	requireText(t, stdout, "</html>")

	status, stdout, stderr = call(t, nil, filepath.Join(t.TempDir(), "none.pcap"))
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "none.pcap")
	require.Empty(t, stdout, "there is no file, so there is nothing to tell of it")
}

func TestWrongCommandLines(t *testing.T) {
	for _, args := range [][]string{{"a", "b"}, {"-idle", "-1s"}, {"-nonsense"}} {
		status, stdout, stderr := call(t, nil, args...)
		require.Equal(t, 2, status)
		require.Empty(t, stdout)
		require.NotEmpty(t, stderr)
	}
	status, _, stderr := call(t, nil, "-h")
	require.Zero(t, status)
	require.Contains(t, stderr, "usage: report")
	status, _, stderr = call(t, nil, "-o", filepath.Join(t.TempDir(), "no", "folder.html"))
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "report: open")
}
