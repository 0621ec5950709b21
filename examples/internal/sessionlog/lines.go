package sessionlog

import (
	"encoding/json"
	"io"
)

// Lines prints records as JSON, one object a line.
type Lines struct{ enc *json.Encoder }

// NewLines makes Lines. An error of w is not reported, so that w should be a bufio.Writer.
func NewLines(w io.Writer) Lines {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return Lines{enc}
}

// Record prints a record.
func (l Lines) Record(r Record) {
	// Encoding cannot fail: all timestamps are within the years that JSON allows.
	_ = l.enc.Encode(r)
}

// Flush does nothing.
func (Lines) Flush() {}
