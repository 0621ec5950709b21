package testkit

import "github.com/flowscope-go/flowscope/internal/testkit/linediff"

// LineDiff shows the lines that differ; see linediff.Of.
func LineDiff(want, got string) string { return linediff.Of(want, got) }
