package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestOnlyAnEmptyCommandLineMeasures: a wrong one must not take minutes and rewrite BENCHMARKS.md.
func TestOnlyAnEmptyCommandLineMeasures(t *testing.T) {
	for arg, want := range map[string]int{"-h": 0, "-help": 0, "--help": 0, "help": 0, "compaer": 2, "-rounds": 2, "": 2} {
		var stderr bytes.Buffer
		measure, status := command([]string{arg}, &stderr)
		if measure != nil || status != want || !strings.HasPrefix(stderr.String(), "usage: bench") {
			t.Errorf("%q: measures %t, status %d: %s", arg, measure != nil, status, &stderr)
		}
	}
	for _, args := range [][]string{nil, {"compare"}, {"compare", "-h"}} {
		var stderr bytes.Buffer
		if measure, _ := command(args, &stderr); measure == nil || stderr.Len() > 0 {
			t.Errorf("%q does not measure: %s", args, &stderr)
		}
	}
}

func TestAnUnknownWorkloadIsAnErrorThatListsThem(t *testing.T) {
	err := runCompare([]string{"-only", "web,foo"})
	if err == nil || !strings.Contains(err.Error(), `"foo"; there are web, manyflows, `) {
		t.Error(err)
	}
}
