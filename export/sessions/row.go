package sessions

import (
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/internal/text"
)

// row writes the fields of a log, each by a call: as cells of a table, as fields of JSON, or as the names or
// types in the header of a table. So a log is one list of calls.
type row struct {
	b     []byte
	as    uint8
	start int // of a row of cells
	inSet bool
	n     int // elements of the current vector
}

const (
	asRow uint8 = iota
	asJSON
	asNames
	asTypes
)

// begin begins a field, and reports whether its value is wanted.
func (r *row) begin(name, kind string, set bool) bool {
	switch r.as {
	case asNames:
		r.b = append(append(r.b, '\t'), name...)
		return false
	case asTypes:
		r.b = append(append(r.b, '\t'), kind...)
		return false
	case asJSON:
		if set {
			r.b = append(append(append(r.b, `,"`...), name...), `":`...)
		}
		return set
	}
	if len(r.b) > r.start {
		r.b = append(r.b, '\t')
	}
	if !set {
		r.b = append(r.b, '-')
	}
	return set
}

// unset is a field that is never known.
func (r *row) unset(name, kind string) { r.begin(name, kind, false) }

func (r *row) time(name string, t flowscope.Timestamp) {
	if r.begin(name, "time", t != 0) {
		r.b = text.Seconds(r.b, t)
	}
}

func (r *row) interval(name string, d time.Duration, set bool) {
	if r.begin(name, "interval", set) {
		r.b = text.Interval(r.b, d)
	}
}

func (r *row) count(name string, n uint64, set bool) {
	if r.begin(name, "count", set) {
		r.b = text.Uint(r.b, n)
	}
}

func (r *row) bool(name string, v, set bool) {
	if !r.begin(name, "bool", set) {
		return
	}
	word := "F"
	switch {
	case r.as == asJSON && v:
		word = "true"
	case r.as == asJSON:
		word = "false"
	case v:
		word = "T"
	}
	r.b = append(r.b, word...)
}

// string is a field of the type string, unset if v is nil.
func (r *row) string(name string, v []byte) {
	if r.begin(name, "string", v != nil) {
		r.value(v)
	}
}

// word is a field of plain ASCII, unset if it is empty.
func (r *row) word(name, kind, v string) {
	if r.begin(name, kind, v != "") {
		if r.as == asJSON {
			r.b = text.JSON(r.b, v)
		} else {
			r.b = text.Zeek(r.b, v, r.inSet)
		}
	}
}

func (r *row) value(v []byte) {
	if r.as == asJSON {
		r.b = text.JSON(r.b, v)
	} else {
		r.b = text.Zeek(r.b, v, r.inSet)
	}
}

func (r *row) end(name string, e flowscope.Endpoint) {
	if r.begin(name+"_h", "addr", e.Addr.IsValid()) {
		if r.as == asJSON {
			r.b = append(e.Addr.AppendTo(append(r.b, '"')), '"')
		} else {
			r.b = e.Addr.AppendTo(r.b)
		}
	}
	if r.begin(name+"_p", "port", true) {
		r.b = text.Uint(r.b, e.Port)
	}
}

// vector begins a field with several values; element stands before each of them, and endVector at the end.
func (r *row) vector(name, kind string, set bool) bool {
	if !r.begin(name, kind, set) {
		return false
	}
	if r.n, r.inSet = 0, true; r.as == asJSON {
		r.b = append(r.b, '[')
	}
	return true
}

func (r *row) element() {
	if r.n > 0 {
		r.b = append(r.b, ',')
	}
	r.n++
}

func (r *row) endVector() {
	if r.inSet = false; r.as == asJSON {
		r.b = append(r.b, ']')
	} else if r.n == 0 {
		r.b = append(r.b, "(empty)"...)
	}
}
