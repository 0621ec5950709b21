package allocs

import (
	"fmt"
	"testing"

	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

var sink []byte

// failed notes whether a test of tests failed.
type failed struct {
	testing.TB
	text string
}

func (f *failed) Helper() {}

func (f *failed) Errorf(format string, args ...any) { f.text = fmt.Sprintf(format, args...) }

func TestOneAllocationInFiveHundredPacketsIsSeen(t *testing.T) {
	if race.On {
		t.Skip("nothing is counted with the race detector")
	}
	for _, c := range []struct {
		every int // packets for an allocation, or 0
		fails bool
	}{{0, false}, {2, true}, {500, true}, {10_000, false}} {
		n := 0
		run := func() {
			for range 4 {
				if n++; c.every > 0 && n%c.every == 0 {
					sink = make([]byte, 16)
				}
			}
		}
		f := &failed{TB: t}
		runs := None(f, 4, run)
		if (f.text != "") != c.fails {
			t.Errorf("one in %d: %q", c.every, f.text)
		}
		if n != 4*runs || n < Packets {
			t.Errorf("%d packets in %d runs", n, runs)
		}
	}
}
