package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestREADMEShowsWhatIsPrinted: the table in README.md is a part of the output without arguments.
func TestREADMEShowsWhatIsPrinted(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var out bytes.Buffer
	require.Zero(t, run(nil, &out, io.Discard))
	printed := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		printed[strings.TrimSpace(line)] = true
	}
	_, table, ok := strings.Cut(string(readme), "\n    START ")
	require.True(t, ok)
	table, _, _ = strings.Cut("START "+table, "\n\n")
	lines := strings.Split(table, "\n")
	require.Greater(t, len(lines), 3)
	for _, line := range lines {
		require.True(t, printed[strings.TrimSpace(line)], "not printed: %s", line)
	}
}
