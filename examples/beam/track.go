package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/parquet/records"
	"github.com/flowscope-go/flowscope/export"
	"github.com/flowscope-go/flowscope/export/sessions"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

func init() {
	register.DoFn5x1[int, func(*Batch) bool, func(*Batch) bool, func(int, Line), func(int, Line), error](&TrackFn{})
	register.DoFn3x1[context.Context, int, func(*Line) bool, error](&WriteFn{})
	register.Emitter2[int, Line]()
	register.Iter1[Line]()
}

// Line is a line of output. Those of a shard are sorted by time, UID and text.
type Line struct {
	Time      int64
	UID, Text string
}

// TrackFn tracks a shard.
type TrackFn struct{ Sessions bool }

// ProcessElement takes the packets of a shard, in any order, and the times of all. The frames of the shard are in memory
// until they have been tracked.
func (f *TrackFn) ProcessElement(shard int, packets, times func(*Batch) bool, flows, messages func(int, Line)) error {
	driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
		Events: flowscope.Events(flowscope.EventReleased, flowscope.EventMessage),
	})
	if err == nil && f.Sessions {
		err = driver.UseParsers(http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
	}
	if err != nil {
		return err
	}
	var line []byte
	for ev, err := range driver.Events(merge(append(collect(packets), collect(times)...))) {
		if err != nil {
			return err
		}
		if ev.Kind == flowscope.EventReleased {
			r := flowscope.RecordOf(ev)
			line = export.AppendNDJSON(line[:0], &r)
			flows(shard, Line{Time: int64(r.Start), UID: r.UID.String(), Text: string(line)})
			continue
		}
		uid := driver.UID(ev)
		if line = sessions.AppendZeekJSON(line[:0], uid, ev); len(line) > 0 {
			messages(shard, Line{Time: messageTime(string(line)), UID: uid.String(), Text: string(line)})
		}
	}
	return nil
}

// messageTime is the ts of a line, in microseconds.
func messageTime(line string) int64 {
	_, line, _ = strings.Cut(line, `"ts":`)
	line, _, _ = strings.Cut(line, ",")
	seconds, _ := strconv.ParseFloat(line, 64)
	return int64(seconds * 1e6)
}

// merge puts the packets of a shard in the order in which one tracker would read them. Of the packets of other shards it
// has some timestamps, as packets without a frame: they belong to no flow, but the tracker's clock sees them.
func merge(batches []Batch) iter.Seq2[flowscope.PacketView, error] {
	return func(yield func(flowscope.PacketView, error) bool) {
		var sequences [kinds][]Batch
		for _, b := range batches {
			sequences[b.Kind%kinds] = append(sequences[b.Kind%kinds], b)
		}
		var cursors [kinds]*cursor
		var err error
		sequences[fragments], err = untangle(sequences[fragments])
		for kind := 0; kind < kinds && err == nil; kind++ {
			cursors[kind], err = newCursor(sequences[kind])
		}
		if err != nil {
			yield(flowscope.PacketView{}, err)
			return
		}
		last := place{-1, -1}
		for {
			var c *cursor
			for _, other := range cursors {
				if other.ok && (c == nil || other.at.compare(c.at) < 0) {
					c = other
				}
			}
			if c == nil {
				return
			}
			// The time of a packet of this shard must not be told twice: two timestamps that agree are believed.
			if c.at != last && !yield(c.view, nil) {
				return
			}
			last = c.at
			if err := c.next(); err != nil {
				yield(flowscope.PacketView{}, err)
				return
			}
		}
	}
}

// WriteFn writes the lines of a shard to a file of its own. A second try writes the same file again.
type WriteFn struct {
	Out, Name, Ext string
	Shards         int
}

// ProcessElement writes a file.
func (f *WriteFn) ProcessElement(ctx context.Context, shard int, lines func(*Line) bool) (err error) {
	all := collect(lines)
	slices.SortFunc(all, func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), strings.Compare(a.UID, b.UID), strings.Compare(a.Text, b.Text))
	})
	name := f.Out + "/" + f.Name + f.Ext
	if f.Shards > 0 {
		name = fmt.Sprintf("%s/%s-%05d-of-%05d%s", f.Out, f.Name, shard, f.Shards, f.Ext)
	}
	fs, err := filesystem.New(ctx, name)
	if err != nil {
		return err
	}
	defer fs.Close()
	out, err := fs.OpenWrite(ctx, name)
	if err != nil {
		return err
	}
	if f.Ext == parquetExt {
		err = writeParquet(out, all)
	} else {
		err = writeText(out, all)
	}
	return errors.Join(err, out.Close())
}

func writeText(w io.Writer, all []Line) error {
	out := bufio.NewWriter(w)
	for _, l := range all {
		_, _ = out.WriteString(l.Text) // Flush tells an error
	}
	return out.Flush()
}

const parquetExt = ".parquet"

// writeParquet writes the columns of examples/parquet: it is the same package.
func writeParquet(w io.Writer, all []Line) error {
	out := records.NewWriter(w, records.Options{Streams: true})
	for _, l := range all {
		var r flowscope.Record
		if err := json.Unmarshal([]byte(l.Text), &r); err != nil {
			return err
		}
		if err := out.Write(&r); err != nil {
			return err
		}
	}
	return out.Close()
}
