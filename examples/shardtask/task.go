package main

import (
	"io"
	"iter"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
	"github.com/flowscope-go/flowscope/export/sessions"
)

// capture is the packets of a file, or of an archive.
type capture = iter.Seq2[flowscope.PacketView, error]

// packets is an archive: all packets of its files, in order. A packet of another shard has lost its frame. It belongs to
// no flow then, but the tracker sees its time, so its clock goes as that of one tracker for all shards does.
func packets(shard, of int, files []capture, bad func(error)) capture {
	return func(yield func(flowscope.PacketView, error) bool) {
		sharder := flowscope.NewSharder(of)
		for _, file := range files {
			for v, err := range file {
				if err != nil {
					bad(err) // the packets before the damage count
					break
				}
				if sharder.Shard(v) != shard {
					v = flowscope.PacketView{Timestamp: v.Timestamp}
				}
				if !yield(v, nil) {
					return
				}
			}
		}
	}
}

// write writes a line of JSON for each flow, and for each message if there are factories of parsers.
func write(w io.Writer, packets capture, parsers ...flowscope.ParserFactory) error {
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
		Events: flowscope.Events(flowscope.EventReleased, flowscope.EventMessage),
	})
	if err == nil && len(parsers) > 0 {
		err = driver.UseParsers(parsers...)
	}
	if err != nil {
		return err
	}
	var line []byte
	for ev := range driver.Events(packets) {
		if ev.Kind == flowscope.EventReleased {
			r := flowscope.RecordOf(ev)
			line = export.AppendNDJSON(line[:0], &r)
		} else {
			line = sessions.AppendZeekJSON(line[:0], driver.UID(ev), ev)
		}
		if _, err = w.Write(line); err != nil {
			break
		}
	}
	return err
}
