package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/flowscope-go/flowscope"
)

// connection writes the bytes of one connection as they come in order: those of one side as they are, or
// those of either as hex digits. The connections of all files count together, from 1, in the order of
// their beginning.
type connection struct {
	w     io.Writer
	nth   int    // 0: none is wanted
	side  string // "initiator", "responder" or "" for both
	hex   bool
	count int
	flow  flowscope.FlowID // the wanted one; 0 while it has not begun, or in another file
	found bool
	err   error
}

// begin begins a capture.
func (c *connection) begin() { c.flow = 0 }

func (c *connection) event(ev *event) {
	if ev.Kind == flowscope.EventStarted && ev.L4 == flowscope.L4TCP {
		if c.count++; c.count == c.nth {
			c.flow, c.found = ev.Flow, true
		}
	}
	if c.flow == 0 || ev.Flow != c.flow || c.err != nil || c.side != "" && c.side != ev.Side.String() {
		return
	}
	switch {
	case ev.Kind == flowscope.EventData && c.hex:
		// hex.Dump begins at 0; the offsets are those of the stream.
		for at := 0; at < len(ev.Bytes) && c.err == nil; at += 16 {
			row := ev.Bytes[at:min(at+16, len(ev.Bytes))]
			_, digits, _ := strings.Cut(strings.TrimRight(hex.Dump(row), "\n"), "  ")
			_, c.err = fmt.Fprintf(c.w, "%-9s %08x  %s\n", ev.Side, ev.Offset+int64(at), digits)
		}
	case ev.Kind == flowscope.EventData:
		_, c.err = c.w.Write(ev.Bytes)
	case ev.Kind == flowscope.EventGap && c.hex:
		_, c.err = fmt.Fprintf(c.w, "%-9s %08x  %d bytes are missing\n", ev.Side, ev.Offset, ev.Len)
	}
}
