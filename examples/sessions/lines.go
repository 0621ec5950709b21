package main

import (
	"encoding/json"
	"io"
)

// lines prints records as JSON, one object a line.
type lines struct{ enc *json.Encoder }

func newLines(w io.Writer) lines {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return lines{enc}
}

func (l lines) record(r record) {
	// Encoding cannot fail: all timestamps are within the years that JSON allows. A failed write
	// is reported by Flush of the bufio.Writer.
	_ = l.enc.Encode(r)
}

func (lines) flush() {}
