package main

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/flowscope-go/flowscope"
)

// runner shows the packets of one capture to several trackers, each in a goroutine
// of its own. Everything that travels is a batch, and each worker has but a few:
//
//	            +--> worker 0 (tracker) --+
//	reader -----+--> worker 1 (tracker) --+--> merger --> hand
//	  ^         +--> ...                --+      |
//	  +----------------- empty batches ----------+
//
// Who is slow lets the others wait, and nothing grows: the reader waits for an
// empty batch, a worker for a full one, the merger for the slowest worker.
// Frames take up at most 4 MiB a worker, beside one frame a batch.
//
// Packets go in rounds. At the end of a round every worker gets its batch, even an
// empty one, and the time: so flows end where no packets come, and the merger has
// all that a round brought. What is handed over, and in which order, depends on the
// packets alone, neither on how many workers there are nor on who was first. There are
// two exceptions: limits are those of each tracker, and where stamps leap ahead further
// than ClockJump each of them takes another packet for the one that leapt.
type runner[R any] struct {
	// trackers are the workers. They must be made alike, and look into tunnels as the
	// Sharder does.
	trackers []tracker
	// see makes something of an event. It is called by the workers, at the same
	// time; the event is lent.
	see func(ev *event, to []R) []R
	// order is that of what a round brought, and hand takes it. Both are called by
	// the merger alone. What is equal may come in any order.
	order func(a, b R) int
	hand  func(R)
}

type event = flowscope.FlowEvent[flowscope.FiveTupleKey]

// tracker is a FlowTracker or a FlowDriver.
type tracker interface {
	TrackBatch([]flowscope.PacketView) iter.Seq2[int, []event]
	Sweep(flowscope.Timestamp) []event
	Finish() []event
}

const (
	// A round is over after so many packets or bytes, or so much time of theirs.
	// More cost memory and delay, fewer cost more changes of hands.
	roundPackets = 4096
	roundBytes   = 1 << 20
	roundTime    = time.Second
	// batches of each worker: one is filled, one waits, one is worked on, and one
	// is being merged.
	batches = 4
)

// batch is what one worker gets in one round, and what it made of it. Its memory
// is used again: when all have grown to their size, a batch costs an iterator and
// its packets nothing.
type batch[R any] struct {
	memory []byte // of the frames
	views  []flowscope.PacketView
	now    flowscope.Timestamp // at the end of the round
	last   bool
	made   []R
}

// worker is a tracker and its batches. The channels have room for all of them: no
// send ever waits.
type worker[R any] struct {
	tracker          tracker
	free, work, done chan *batch[R]
}

// run reads until the packets end, one of them is an error, which it returns, or
// the context is done, which is no error. All flows have been handed over when it
// returns, and none of its goroutines is left. The packets must end by themselves
// when the context is done, if they can make the reader wait.
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

// read gives every packet to its worker.
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
			break // no error, though a source may pass it on as one
		}
		if err = failed; err != nil {
			break
		}
		// A tracker's time follows all of its packets. Where stamps run back, it would
		// depend on which those are: so there is one clock for all. A stamp that leaps
		// ahead stays as it is; each tracker doubts it by itself.
		now := clock.follow(v.Timestamp)
		v.Timestamp = max(v.Timestamp, now)
		if count == 0 {
			began = now
		}
		filling[sharder.Shard(v)].add(v)
		count, size = count+1, size+len(v.Frame)
		if count == roundPackets || size >= roundBytes || now.Sub(began) >= roundTime {
			give(false)
			take()
			count, size = 0, 0
		}
	}
	give(true)
	return err
}

// add copies a packet. When the memory has to grow, the frames before it stay
// where they are.
func (b *batch[R]) add(v flowscope.PacketView) {
	at := len(b.memory)
	b.memory = append(b.memory, v.Frame...)
	v.Frame = b.memory[at:len(b.memory):len(b.memory)]
	b.views = append(b.views, v)
}

// track is a worker's life.
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
		hear(w.tracker.Sweep(b.now))
		if b.last {
			hear(w.tracker.Finish())
		}
		last := b.last
		w.done <- b
		if last {
			return
		}
	}
}

// merge puts together what the workers made of each round.
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

// timekeeper is the clock of a tracker that refuses all packets: wrong stamps
// cannot carry it away. Small steps ahead need no judgement, and it is told of the
// latest before the next that does.
type timekeeper struct {
	tracker *flowscope.FlowTracker[struct{}, struct{}]
	now     flowscope.Timestamp
	began   bool
	behind  bool
}

func newTimekeeper() (*timekeeper, error) {
	t, err := flowscope.NewFlowTracker(nobody{}, flowscope.Config{Fragments: flowscope.FragmentsIgnore, MaxFlows: 1})
	return &timekeeper{tracker: t}, err
}

func (k *timekeeper) follow(stamp flowscope.Timestamp) flowscope.Timestamp {
	if k.began && stamp >= k.now && uint64(stamp)-uint64(k.now) < uint64(time.Second) {
		k.now, k.behind = stamp, true
		return stamp
	}
	if k.behind {
		k.tracker.Sweep(k.now) // all its steps together may be a leap
		k.tracker.Track(flowscope.PacketView{Timestamp: k.now})
		k.behind = false
	}
	k.tracker.Track(flowscope.PacketView{Timestamp: stamp})
	k.now = k.tracker.Now()
	k.began = true
	return k.now
}

type nobody struct{}

// Extract implements flowscope.FlowExtractor.
func (nobody) Extract(flowscope.PacketView, *flowscope.Extracted[struct{}]) bool { return false }
