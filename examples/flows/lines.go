package main

import (
	"encoding/json"
	"io"

	"github.com/flowscope-go/flowscope/examples/internal/flowline"
)

type line = flowline.Line

// lines prints flows as JSON, one object a line.
type lines struct{ enc *json.Encoder }

func newLines(w io.Writer) lines { return lines{json.NewEncoder(w)} }

func (l lines) flow(ev *event) {
	// Encoding cannot fail: all timestamps are within the years that JSON allows. A failed write
	// is reported by Flush of the bufio.Writer.
	_ = l.enc.Encode(flowline.Of(ev))
}

func (lines) flush() {}
