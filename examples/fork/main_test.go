package main

import (
	"strings"
	"testing"

	"github.com/flowscope-go/flowscope/testdata/captures"
)

// Both ways give the same connections.
func TestBothWaysReadTheSame(t *testing.T) {
	var out strings.Builder
	if err := run(captures.Sessions, &out); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(out.String(), "from the reader\n")
	reader, channel, _ := strings.Cut(text, "from the channel of packets\n")
	if n := strings.Count(reader, "\n"); n < 5 || reader != channel {
		t.Errorf("%d connections\n%s", n, out.String())
	}
	if run([]byte("no capture"), &out) == nil {
		t.Error("what is no capture is read")
	}
}
