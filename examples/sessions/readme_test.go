package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestREADMEShowsWhatIsPrinted: the table in README.md is a part of the output without arguments.
func TestREADMEShowsWhatIsPrinted(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, stdout, _ := call(t)
	_, table, ok := strings.Cut(string(readme), "\n    TIME ")
	require.True(t, ok)
	table, _, _ = strings.Cut("TIME "+table, "\n\n")
	lines := strings.Split(table, "\n")
	require.Greater(t, len(lines), 3)
	for _, line := range lines {
		require.Contains(t, stdout, strings.TrimSpace(line)+"\n")
	}
}
