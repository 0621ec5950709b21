package sessionlog

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/flowscope-go/flowscope/examples/internal/table"
)

// Rows prints records as a table.
//
//	TIME          PROTO  CLIENT            SERVER         REQUEST               RESULT               LATENCY  BYTES
//	14:40:08.305  dns    192.0.2.10:46916  192.0.2.20:53  A www.example.net     NOERROR, 192.0.2.20  0.284ms    116
//	14:40:10.620  http   192.0.2.10:58666  192.0.2.20:80  GET www.example.net/  200                  0.220ms      7
type Rows struct{ *table.Table }

// NewRows makes Rows. An error of w is not reported, so that w should be a bufio.Writer.
func NewRows(w io.Writer) Rows {
	return Rows{table.New(w,
		[]string{"TIME", "PROTO", "CLIENT", "SERVER", "REQUEST", "RESULT", "LATENCY", "BYTES"}, "LATENCY", "BYTES")}
}

// Record adds a row.
func (r Rows) Record(rec Record) {
	h := rec.About()
	cells := append([]string{h.Time.UTC().Format("15:04:05.000"), h.Kind, h.Client, h.Server}, rec.Cells()...)
	for i := range cells {
		cells[i] = short(cells[i])
	}
	r.Add(cells...)
}

// Text is what a row says behind the addresses, in a line.
func Text(rec Record) string {
	cells := rec.Cells()
	var all []string
	for i, cell := range cells {
		if cell == "" {
			continue
		}
		if cell = short(cell); i == len(cells)-1 {
			cell += " bytes"
		}
		all = append(all, cell)
	}
	return strings.Join(all, "  ")
}

// short escapes text from the network for a terminal, and cuts it to the width of a column.
func short(s string) string {
	const width = 72
	if s = strconv.QuoteToASCII(s); len(s)-2 > width {
		return s[1:width-2] + "..."
	}
	return s[1 : len(s)-1]
}

// milliseconds is a latency as text, or "" if there is none.
func milliseconds(us *int64) string {
	if us == nil {
		return ""
	}
	return fmt.Sprintf("%.3fms", float64(*us)/1000)
}
