package rotated

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
	"github.com/flowscope-go/flowscope/export/sessions"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// OneTracker is what a single driver with every default says of all files, one after the other: lines of JSON of flows,
// and of messages if they are wanted.
func OneTracker(tb testing.TB, names []string, messages bool) string {
	tb.Helper()
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
		Events: flowscope.Events(flowscope.EventReleased, flowscope.EventMessage),
	})
	require.NoError(tb, err)
	if messages {
		require.NoError(tb, driver.UseParsers(http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{}))
	}
	var lines []byte
	hear := func(events []flowscope.Event) {
		for i := range events {
			switch ev := &events[i]; ev.Kind {
			case flowscope.EventReleased:
				r := flowscope.RecordOf(ev)
				lines = export.AppendNDJSON(lines, &r)
			case flowscope.EventMessage:
				lines = sessions.AppendZeekJSON(lines, driver.UID(ev), ev)
			}
		}
	}
	for _, name := range names {
		for v, err := range flowscope.OpenCapture(name) {
			require.NoError(tb, err)
			hear(driver.Track(v))
		}
	}
	for events := range driver.FinishParts() {
		hear(events)
	}
	return string(lines)
}

// Sorted are lines by start and UID, and those of messages behind them by log, time and UID.
func Sorted(tb testing.TB, text string) string {
	tb.Helper()
	type line struct {
		Path  string              `json:"_path"`
		UID   string              `json:"uid"`
		Start flowscope.Timestamp `json:"start"`
		TS    float64             `json:"ts"`
		text  string
	}
	var all []line
	for l := range strings.Lines(text) {
		one := line{text: l}
		require.NoError(tb, json.Unmarshal([]byte(l), &one))
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Start, b.Start), cmp.Compare(a.TS, b.TS),
			cmp.Compare(a.UID, b.UID), cmp.Compare(a.text, b.text))
	})
	var b strings.Builder
	for _, l := range all {
		b.WriteString(l.text)
	}
	return b.String()
}
