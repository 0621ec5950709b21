package main

import (
	"encoding/json"
	"io"

	"github.com/flowscope-go/flowscope/examples/internal/flowline"
)

type line = flowline.Line

// lines prints flows for programs.
type lines struct{ enc *json.Encoder }

func newLines(w io.Writer) lines { return lines{json.NewEncoder(w)} }

func (l lines) flow(ev *event) {
	// Numbers, strings and times of these centuries always encode, and a
	// failed write is bufio's to report.
	_ = l.enc.Encode(flowline.Of(ev))
}

func (lines) flush() {}
