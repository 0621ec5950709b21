package table

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func Example() {
	t := New(os.Stdout, []string{"NAME", "NUMBER", "NOTE"}, "NUMBER")
	t.Add("one", "1", "short")
	t.Add("seventeen", "17", "")
	t.Add("text", "that is longer than its column")
	t.Flush()
	// Output:
	// NAME       NUMBER  NOTE
	// one             1  short
	// seventeen      17
	// text       that is longer than its column
}

func TestALongTableNeedsTheMemoryOfAThousandRows(t *testing.T) {
	var out bytes.Buffer
	table := New(&out, []string{"TITLE"})
	const rows = 10*maxRows + 1
	for range rows {
		table.Add("cell")
		require.Less(t, len(table.rows), maxRows)
	}
	table.Flush()
	require.Equal(t, 1+rows, strings.Count(out.String(), "\n"))
	require.Equal(t, 1, strings.Count(out.String(), "TITLE"))
}
