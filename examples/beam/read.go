package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/log"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/flowscope-go/flowscope"
)

func init() {
	register.DoFn6x0[context.Context, File, func(int, Batch), func(string, Batch), func(Batch), func(int, Line)](&ReadFn{})
	register.DoFn3x1[string, func(*Batch) bool, func(int, Batch), error](&FragmentFn{})
	register.Emitter1[Batch]()
	register.Emitter2[int, Batch]()
	register.Emitter2[string, Batch]()
	register.Iter1[Batch]()
}

// File is a capture file. Its number is its place in the archive.
type File struct {
	Number int64
	Name   string
}

// Counters of a run. A damaged file counts with its packets before the damage.
var (
	packetsRead     = beam.NewCounter("archive", "packets")
	fragmentsRead   = beam.NewCounter("archive", "fragments")
	filesDamaged    = beam.NewCounter("archive", "damaged_files")
	filesUnreadable = beam.NewCounter("archive", "unreadable_files")
)

// ReadFn reads a file and gives each packet its shard. It does so with a Sharder of its own, but for fragments: their
// shards may depend on packets in the file before, so they go on to FragmentFn, by the addresses of their outermost
// IP header.
type ReadFn struct{ Shards int }

// A reader keeps a batch for each shard, which together take at most readMemory, or 4 KiB each.
const (
	readMemory = 16 << 20
	batchBytes = 256 << 10
)

// ProcessElement reads a file. A bad one is no error, since another try would end the same way.
func (f *ReadFn) ProcessElement(ctx context.Context, file File, out func(int, Batch), torn func(string, Batch), times func(Batch), bad func(int, Line)) {
	r := reader{file: file.Number, size: min(batchBytes, max(4<<10, readMemory/f.Shards)), sharder: flowscope.NewSharder(f.Shards),
		shards: make([]packer, f.Shards), torn: map[string]*packer{}, emit: out, emitTorn: torn, emitTimes: times}
	err := r.read(ctx, file.Name)
	r.finish()
	packetsRead.Inc(ctx, r.number)
	fragmentsRead.Inc(ctx, r.fragments)
	if err == nil {
		return
	}
	log.Warnf(ctx, "%s: %v", file.Name, err)
	bad(0, Line{Time: file.Number, Text: fmt.Sprintf("%s: %v\n", file.Name, err)})
	if errors.Is(err, flowscope.ErrTruncated) || errors.Is(err, flowscope.ErrCorrupt) || errors.Is(err, flowscope.ErrNotCapture) {
		filesDamaged.Inc(ctx, 1)
	} else {
		filesUnreadable.Inc(ctx, 1)
	}
}

// reader is a file that is read.
type reader struct {
	file, number, fragments int64
	size                    int // of a batch
	sharder                 *flowscope.Sharder
	shards                  []packer
	torn                    map[string]*packer // fragments
	tornBytes               int
	times                   packer
	ticker                  ticker

	emit      func(int, Batch)
	emitTorn  func(string, Batch)
	emitTimes func(Batch)
}

func (r *reader) read(ctx context.Context, name string) error {
	fs, err := filesystem.New(ctx, name)
	if err != nil {
		return err
	}
	defer fs.Close()
	in, err := fs.OpenRead(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	for v, err := range flowscope.ReadCapture(in) {
		if err != nil {
			return err
		}
		r.number++
		r.packet(v)
	}
	return nil
}

func (r *reader) packet(v flowscope.PacketView) {
	at := place{r.file, r.number}
	r.ticker.see(r.number, v.Timestamp, r.time)
	if r.sharder.IsFragment(v) {
		r.fragment(at, v)
		return
	}
	k := r.sharder.Shard(v)
	if p := &r.shards[k]; p.add(whole, at, v) >= r.size {
		r.emit(k, p.take())
	}
}

func (r *reader) fragment(at place, v flowscope.PacketView) {
	var x flowscope.Extracted[flowscope.IPPairKey]
	flowscope.IPPair{}.Extract(v, &x)
	key := x.Key.String()
	p := r.torn[key]
	if p == nil {
		p = new(packer)
		r.torn[key] = p
	}
	r.fragments++
	r.tornBytes += len(v.Frame)
	if p.add(fragments, at, v) >= r.size || r.tornBytes > readMemory {
		r.giveTorn()
	}
}

func (r *reader) giveTorn() {
	for key, p := range r.torn {
		r.emitTorn(key, p.take())
	}
	clear(r.torn)
	r.tornBytes = 0
}

func (r *reader) time(number int64, at flowscope.Timestamp) {
	if r.times.add(stamps, place{r.file, number}, flowscope.PacketView{Timestamp: at}) >= batchBytes {
		r.emitTimes(r.times.take())
	}
}

func (r *reader) finish() {
	r.ticker.finish(r.time)
	for k := range r.shards {
		if p := &r.shards[k]; len(p.batch.Packets) > 0 {
			r.emit(k, p.take())
		}
	}
	r.giveTorn()
	if len(r.times.batch.Packets) > 0 {
		r.emitTimes(r.times.take())
	}
}

// ticker chooses the timestamps that every shard is told, so that its clock goes as if it saw all packets: the first and
// the last of a file, one for each tick of time, and around a step of the time all of them. Most packets tell
// nothing: the time goes on by less than a tick.
type ticker struct {
	kept, last             flowscope.Timestamp
	keptNumber, lastNumber int64
	all                    int // so many more are kept
}

const (
	tick = 250 * time.Millisecond // the promise of Sharder holds up to a second
	// Behind a step all timestamps are kept for a while: how many of them agree decides whether the clock believes it.
	aroundStep = 16
)

func (t *ticker) see(number int64, at flowscope.Timestamp, keep func(int64, flowscope.Timestamp)) {
	switch {
	case t.lastNumber == 0:
		t.keep(number, at, keep)
	case t.all > 0:
		t.all--
		t.keep(number, at, keep)
	case at.Sub(t.kept).Abs() >= tick:
		t.finish(keep)
		if at.Sub(t.last).Abs() >= tick {
			t.all = aroundStep
		}
		t.keep(number, at, keep)
	}
	t.last, t.lastNumber = at, number
}

func (t *ticker) keep(number int64, at flowscope.Timestamp, keep func(int64, flowscope.Timestamp)) {
	t.kept, t.keptNumber = at, number
	keep(number, at)
}

// finish keeps the last one.
func (t *ticker) finish(keep func(int64, flowscope.Timestamp)) {
	if t.lastNumber != t.keptNumber {
		t.keep(t.lastNumber, t.last, keep)
	}
}

// FragmentFn gives the fragments between two addresses their shards, in the order of all files.
type FragmentFn struct{ Shards int }

// ProcessElement takes the fragments between two addresses.
func (f *FragmentFn) ProcessElement(_ string, batches func(*Batch) bool, out func(int, Batch)) error {
	c, err := newCursor(collect(batches))
	if err != nil {
		return err
	}
	sharder, open := flowscope.NewSharder(f.Shards), map[int]*packer{}
	for ; c.ok; err = c.next() {
		k := sharder.Shard(c.view)
		p := open[k]
		if p == nil {
			p = new(packer)
			open[k] = p
		}
		if len(p.batch.Packets) > 0 && p.batch.File != c.at.file { // a batch is of one file
			out(k, p.take())
		}
		if p.add(fragments, c.at, c.view) >= batchBytes {
			out(k, p.take())
		}
	}
	for k, p := range open {
		if len(p.batch.Packets) > 0 {
			out(k, p.take())
		}
	}
	return err
}

func collect[T any](all func(*T) bool) (list []T) {
	for one := new(T); all(one); one = new(T) {
		list = append(list, *one)
	}
	return list
}
