package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// What is kept, however long the watch goes on.
const (
	maxEnded    = 10_000 // flows that have ended
	maxSessions = 1_000
	maxRows     = 1_000 // flows of a snapshot
	maxTrace    = 240   // readings of the rate of the flow that is looked at
)

// source is where packets come from.
type source interface {
	// Packets gives them until ctx is done. The loop over them may wait.
	Packets(ctx context.Context) iter.Seq2[flowscope.PacketView, error]
	// now is the time up to which all packets have been given, while none come.
	now() (flowscope.Timestamp, bool)
	// dropped is how many packets were lost before they could be read, if that is known.
	dropped() (uint64, bool)
	// name is what is watched, and pace how fast, both clean.
	name() string
	pace() string
}

// flowState is what is kept with each flow.
type flowState struct {
	meters [2]meter
	name   string
}

// watch tracks the packets of a source, and gives snapshots. One goroutine runs it, and another one asks: a lock is all
// that it takes, since a snapshot is a matter of milliseconds, and the socket has a buffer.
type watch struct {
	source source

	mu       sync.Mutex
	driver   *flowscope.FlowDriver[flowscope.FiveTupleKey, flowState]
	packets  uint64
	bytes    uint64
	ended    *ring[row]
	sessions *ring[session]
	kinds    map[string]uint64 // sessions by protocol
	losses   map[string]uint64 // what parsers could not read, by protocol and reason
	repeats  [2]uint64         // retransmitted segments and bytes of ended flows
	over     bool
	failed   error

	first, last flowscope.Timestamp // by the driver's clock

	read       flowscope.Timestamp // when the meters were read last, 0 for never
	total      [2]meter            // packets and bytes
	curve      curve
	traced     flowscope.FlowID
	trace      [2][]float64
	candidates []candidate
}

func newWatch(src source, cfg flowscope.Config) (*watch, error) {
	cfg.Events = flowscope.Events(flowscope.EventMessage, flowscope.EventEnded)
	cfg.Details |= flowscope.DetailTCP // the retransmissions
	driver, err := flowscope.NewFlowDriverWithState(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, cfg,
		func(flowscope.FiveTupleKey) flowState { return flowState{} })
	if err != nil {
		return nil, err
	}
	if err := driver.UseParsers(http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{}); err != nil {
		return nil, err
	}
	return &watch{
		source: src, driver: driver, ended: newRing[row](maxEnded), sessions: newRing[session](maxSessions),
		kinds: map[string]uint64{}, losses: map[string]uint64{},
	}, nil
}

// run tracks until the source ends. Then all flows end, so that all that was seen is told.
func (w *watch) run(ctx context.Context) error {
	var failed error
	for view, err := range w.source.Packets(ctx) {
		if err != nil {
			if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
				failed = err
			}
			break
		}
		w.mu.Lock()
		w.packets++
		n := max(view.WireLen, len(view.Frame))
		w.bytes += uint64(n)
		w.take(w.driver.Track(view))
		w.last = w.driver.Now()
		if w.packets == 1 {
			w.first = w.last
		}
		w.curve.add(w.last, n)
		w.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for events := range w.driver.FinishParts() {
		w.take(events)
	}
	w.over, w.failed = true, failed
	return failed
}

// take keeps what events tell.
func (w *watch) take(events []event) {
	for i := range events {
		switch ev := &events[i]; ev.Kind {
		case flowscope.EventMessage:
			w.message(ev)
		case flowscope.EventEnded:
			r := row{
				id: ev.Flow, key: ev.Key, turned: ev.Orientation, l4: ev.L4, state: ev.State, reason: ev.Reason,
				history: ev.History, stats: *ev.Stats, now: w.last,
			}
			if s := w.driver.State(ev); s != nil {
				r.name = s.name
				r.rate = [2]float64{s.meters[0].at(r.stats.Bytes[0]), s.meters[1].at(r.stats.Bytes[1])}
			}
			w.repeats[0] += r.stats.Retransmitted[0] + r.stats.Retransmitted[1]
			w.repeats[1] += r.stats.RetransmittedBytes[0] + r.stats.RetransmittedBytes[1]
			w.ended.add(r)
		}
	}
}

func (w *watch) message(ev *event) {
	s, name, ok := sessionOf(ev)
	if !ok {
		switch m := ev.Message.(type) {
		case *http1.Lost:
			if !m.Found { // with Found it is the second message about one loss
				w.losses[fmt.Sprint("http ", m.Why)]++
			}
		case *tls.Lost:
			w.losses[fmt.Sprint("tls ", m.Why)]++
		case *dns.Lost:
			w.losses[fmt.Sprint("dns ", m.Why)]++
		}
		return
	}
	s.number = w.sessions.added + 1
	w.sessions.add(s)
	w.kinds[s.kind]++
	if state := w.driver.State(ev); state != nil && name != "" {
		state.name = name
	}
}

// candidate is a flow that may go into a snapshot.
type candidate struct {
	value float64
	id    flowscope.FlowID
	key   flowscope.FiveTupleKey
	ended *row // nil: it lives
}

// snapshot lets time pass, and says how things stand. traced is the flow that is looked at, 0 for none.
func (w *watch) snapshot(q query, traced flowscope.FlowID) snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A busy source moves time by its packets, and its last silence lies behind them: then Sweep does nothing.
	if now, ok := w.source.now(); ok && !w.over {
		w.take(w.driver.Sweep(now))
		if w.packets > 0 {
			w.last = w.driver.Now()
			w.curve.until(w.last)
		}
	}
	now := w.last
	s := snapshot{
		source: w.source.name(), pace: w.source.pace(), now: now, over: w.over, packets: w.packets, bytes: w.bytes,
		stats: w.driver.Stats(), config: w.driver.Config(), memory: processMemory(),
		forgotten: w.ended.forgotten(), sessionsSeen: w.sessions.added, kinds: sorted(w.kinds), losses: sorted(w.losses),
		repeats: w.repeats, curve: slices.Clone(w.curve.values),
	}
	if w.failed != nil {
		s.failed = clean(w.failed.Error(), maxText)
	}
	s.dropped, s.dropsKnown = w.source.dropped()
	w.choose(&s, q, traced)
	s.packetRate, s.byteRate = w.total[0].rate, w.total[1].rate
	if w.over {
		s.packetRate, s.byteRate = mean(w.packets, w.last.Sub(w.first)), mean(w.bytes, w.last.Sub(w.first))
	}
	s.trace = [2][]float64{slices.Clone(w.trace[0]), slices.Clone(w.trace[1])}
	for one := range w.sessions.all() {
		s.sessions = append(s.sessions, *one)
	}
	return s
}

// meters reads the meters of all packets, and says whether those of flows are to be read too, and for which time.
func (w *watch) meters(now flowscope.Timestamp) (due bool, since time.Duration) {
	since = now.Sub(w.read)
	switch {
	case w.packets == 0:
		return false, 0
	case w.read == 0 || since < 0: // the first time, or time was put back
		since = max(now.Sub(w.first), meterEvery)
		w.total[0].begin(w.packets, since)
		w.total[1].begin(w.bytes, since)
	case since < meterEvery:
		return false, 0
	default:
		w.total[0].read(w.packets, since)
		w.total[1].read(w.bytes, since)
	}
	w.read = now
	return true, since
}

// choose reads the meters of all flows, and puts those that the query asks for into the snapshot.
func (w *watch) choose(s *snapshot, q query, traced flowscope.FlowID) {
	due, since := w.meters(s.now)
	if traced != w.traced {
		w.traced, w.trace = traced, [2][]float64{}
	}
	found := w.candidates[:0]
	var r row // one for all: it is large
	for f := range w.driver.Flows() {
		if due {
			for side := range f.User.meters {
				f.User.meters[side].read(f.Stats.Bytes[side], since)
			}
		}
		r = w.live(&f, s.now)
		s.repeats[0] += r.stats.Retransmitted[0] + r.stats.Retransmitted[1]
		s.repeats[1] += r.stats.RetransmittedBytes[0] + r.stats.RetransmittedBytes[1]
		if f.ID == traced {
			one := r
			s.traced = &one
			if due {
				w.note(&one)
			}
		}
		s.known++
		if q.wants(false) && (q.words == "" || matches(q.words, r.text())) {
			found = append(found, candidate{value: q.order.value(&r), id: r.id, key: r.key})
		}
	}
	for r := range w.ended.all() {
		for side := range r.rate {
			r.rate[side] = faded(r.rate[side], s.now.Sub(r.now))
		}
		r.now = s.now
		if r.id == traced {
			last := *r
			s.traced = &last
		}
		s.known++
		if q.wants(true) && (q.words == "" || matches(q.words, r.text())) {
			found = append(found, candidate{value: q.order.value(r), id: r.id, ended: r})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return q.compare(a.value, b.value, a.id, b.id) })
	s.matched = len(found)
	for _, c := range found[:min(len(found), maxRows)] {
		if c.ended != nil {
			s.rows = append(s.rows, *c.ended)
		} else if f, ok := w.driver.Get(c.key); ok {
			s.rows = append(s.rows, w.live(&f, s.now))
		}
	}
	clear(found)
	w.candidates = found
}

func (w *watch) live(f *flowscope.Flow[flowscope.FiveTupleKey, flowState], now flowscope.Timestamp) row {
	return row{
		id: f.ID, key: f.Key, turned: f.Orientation, l4: f.L4, state: f.State, history: f.History, name: f.User.name,
		now: now, stats: f.Stats, rate: [2]float64{f.User.meters[0].rate, f.User.meters[1].rate},
	}
}

// note keeps the rates of the flow that is looked at.
func (w *watch) note(r *row) {
	for side := range w.trace {
		t := append(w.trace[side], r.rate[side])
		w.trace[side] = t[max(len(t)-maxTrace, 0):]
	}
}
