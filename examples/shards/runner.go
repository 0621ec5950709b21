package main

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/flowscope-go/flowscope"
)

// runner distributes the packets of one capture to several trackers, each in a goroutine of its
// own. Packets and results travel in batches, of which each worker has a fixed number:
//
//	            +--> worker 0 (tracker) --+
//	reader -----+--> worker 1 (tracker) --+--> merger --> hand
//	  ^         +--> ...                --+      |
//	  +----------------- empty batches ----------+
//
// A slow goroutine makes the others wait, so memory is bounded: the reader waits for an empty
// batch, a worker for a full one, the merger for the slowest worker. The frames of a worker
// occupy at most 4 MiB, and one frame more for each batch.
//
// Packets are sent in rounds. At the end of a round every worker gets its batch, even an empty
// one, and the current time, so that flows of a worker without packets end too, and the merger
// has all results of the round. The results and their order depend on the packets alone, neither
// on the number of workers nor on their speed, but for limits, which apply to each tracker.
type runner[R any] struct {
	// trackers are the workers. They must have the same configuration, and decapsulate tunnels
	// as the Sharder does.
	trackers []tracker
	// see appends the results of an event. It is called by the workers concurrently; the event
	// is lent.
	see func(ev *event, to []R) []R
	// order compares results of one round, and hand receives them in that order. Both are called
	// by the merger alone. Equal results may come in any order.
	order func(a, b R) int
	hand  func(R)
}

type event = flowscope.FlowEvent[flowscope.FiveTupleKey]

// tracker is a FlowTracker or a FlowDriver.
type tracker interface {
	TrackBatch([]flowscope.PacketView) iter.Seq2[int, []event]
	Sweep(flowscope.Timestamp) []event
	More() bool
	FinishParts() iter.Seq[[]event]
}

const (
	// A round ends after this many packets or bytes, or this much packet time. Larger rounds
	// cost memory and delay, smaller ones cost more synchronisation.
	roundPackets = 4096
	roundBytes   = 1 << 20
	roundTime    = time.Second
	// batches of each worker: one is filled, one waits, one is tracked, and one is merged.
	batches = 4
)

// batch is the packets of one worker in one round, and their results. Its memory is used again:
// once it has grown, a batch allocates an iterator, and its packets nothing.
type batch[R any] struct {
	memory []byte // of the frames
	views  []flowscope.PacketView
	now    flowscope.Timestamp // at the end of the round
	last   bool
	made   []R
}

// worker is a tracker and its batches. The channels have room for all of them, so that no send
// blocks.
type worker[R any] struct {
	tracker          tracker
	free, work, done chan *batch[R]
}

// run reads until the packets end, there is an error, which it returns, or the context is done,
// which is no error. When it returns, all flows have been passed to hand, and its goroutines have
// ended. A source of packets that blocks must end by itself when the context is done.
func (r *runner[R]) run(ctx context.Context, packets iter.Seq2[flowscope.PacketView, error]) error {
	clock, err := newTimekeeper()
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	workers := make([]worker[R], len(r.trackers))
	for k := range workers {
		w := worker[R]{r.trackers[k], make(chan *batch[R], batches), make(chan *batch[R], batches), make(chan *batch[R], batches)}
		for range batches {
			w.free <- new(batch[R])
		}
		workers[k] = w
		all.Add(1)
		go func() { defer all.Done(); w.track(r.see) }()
	}
	all.Add(1)
	go func() { defer all.Done(); r.merge(workers) }()

	err = read(ctx, packets, workers, clock)
	all.Wait()
	return err
}

// read adds every packet to the batch of its worker.
func read[R any](ctx context.Context, packets iter.Seq2[flowscope.PacketView, error], workers []worker[R], clock *timekeeper) (err error) {
	filling := make([]*batch[R], len(workers))
	take := func() {
		for k := range workers {
			filling[k] = <-workers[k].free
		}
	}
	give := func(last bool) {
		for k, b := range filling {
			b.now, b.last = clock.now, last
			workers[k].work <- b
		}
	}
	sharder := flowscope.NewSharder(len(workers))
	take()
	count, size, began := 0, 0, flowscope.Timestamp(0)
	for v, failed := range packets {
		if ctx.Err() != nil {
			break // no error, though a source may return it as one
		}
		if err = failed; err != nil {
			break
		}
		now := clock.follow(v.Timestamp) // each tracker sees packets of its own only
		if count == 0 {
			began = now
		}
		filling[sharder.Shard(v)].add(v)
		count, size = count+1, size+len(v.Frame)
		if count == roundPackets || size >= roundBytes || now.Sub(began).Abs() >= roundTime {
			give(false)
			take()
			count, size = 0, 0
		}
	}
	clock.finish()
	give(true)
	return err
}

// add copies a packet. When the memory has to grow, the frames before it stay where they are.
func (b *batch[R]) add(v flowscope.PacketView) {
	at := len(b.memory)
	b.memory = append(b.memory, v.Frame...)
	v.Frame = b.memory[at:len(b.memory):len(b.memory)]
	b.views = append(b.views, v)
}

// track is the goroutine of a worker.
func (w *worker[R]) track(see func(*event, []R) []R) {
	for {
		b := <-w.work
		hear := func(events []event) {
			for i := range events {
				b.made = see(&events[i], b.made)
			}
		}
		for _, events := range w.tracker.TrackBatch(b.views) {
			hear(events)
		}
		// All that follows from the time belongs to this round: the order of results must not depend
		// on how many flows of a worker end at once.
		for hear(w.tracker.Sweep(b.now)); w.tracker.More(); {
			hear(w.tracker.Sweep(b.now))
		}
		if b.last {
			for events := range w.tracker.FinishParts() {
				hear(events)
			}
		}
		last := b.last
		w.done <- b
		if last {
			return
		}
	}
}

// merge is the goroutine that combines the results of each round.
func (r *runner[R]) merge(workers []worker[R]) {
	var round []R
	for last := false; !last; {
		for k := range workers {
			b := <-workers[k].done
			round = append(round, b.made...)
			last = b.last
			clear(b.made)
			b.memory, b.views, b.made = b.memory[:0], b.views[:0], b.made[:0]
			workers[k].free <- b
		}
		slices.SortFunc(round, r.order)
		for _, one := range round {
			r.hand(one)
		}
		clear(round)
		round = round[:0]
	}
}

// timekeeper is the clock of a tracker that refuses all packets, so that single wrong timestamps
// do not move it. Steps ahead of less than a second are taken as they are; the tracker gets the
// latest of them before the next timestamp that it must decide about.
type timekeeper struct {
	tracker *flowscope.FlowTracker[struct{}, struct{}]
	now     flowscope.Timestamp
	last    flowscope.Timestamp
	began   bool
	behind  bool
}

func newTimekeeper() (*timekeeper, error) {
	t, err := flowscope.NewFlowTracker(nobody{}, flowscope.Config{Fragments: flowscope.FragmentsIgnore, MaxFlows: 1})
	return &timekeeper{tracker: t}, err
}

func (k *timekeeper) follow(stamp flowscope.Timestamp) flowscope.Timestamp {
	k.last = stamp
	if k.began && stamp >= k.now && uint64(stamp)-uint64(k.now) < uint64(time.Second) {
		k.now, k.behind = stamp, true
		return stamp
	}
	if k.behind {
		k.tracker.Sweep(k.now) // the sum of the steps may be a jump
		k.tracker.Track(flowscope.PacketView{Timestamp: k.now})
		k.behind = false
	}
	k.tracker.Track(flowscope.PacketView{Timestamp: stamp})
	k.now = k.tracker.Now()
	k.began = true
	return k.now
}

// finish confirms the last timestamp, as the Finish of a tracker does.
func (k *timekeeper) finish() {
	if k.began {
		k.tracker.Sweep(k.last)
		k.now = k.tracker.Now()
	}
}

type nobody struct{}

// Extract implements flowscope.FlowExtractor.
func (nobody) Extract(flowscope.PacketView, *flowscope.Extracted[struct{}]) bool { return false }
