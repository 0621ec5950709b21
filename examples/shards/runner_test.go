package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// talk returns a datagram between the i-th pair of hosts.
func talk(i int) []byte {
	return frames.UDP{
		Src: fmt.Sprintf("10.%d.%d.1:1000", i/256%256, i%256), Dst: fmt.Sprintf("10.%d.%d.2:2000", i%256, i/256%256), Payload: []byte("x"),
	}.Ethernet()
}

// endless returns packets of some pairs in turn, a microsecond apart, until the caller stops or
// the limit is reached.
func endless(pairs, limit int, read *atomic.Int64) iter.Seq2[flowscope.PacketView, error] {
	var all [][]byte
	for i := range pairs {
		all = append(all, talk(i))
	}
	return func(yield func(flowscope.PacketView, error) bool) {
		for i := 0; i < limit; i++ {
			read.Add(1)
			if !yield(flowscope.PacketView{Frame: all[i%pairs], Timestamp: 1000 * flowscope.Timestamp(i)}, nil) {
				return
			}
		}
	}
}

const forever = math.MaxInt32

func runnerOf(tb testing.TB, n int, events ...flowscope.EventKind) *runner[flow] {
	tb.Helper()
	r := &runner[flow]{see: see, order: before, hand: func(flow) {}}
	for range n {
		t, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{
			Events: flowscope.Events(events...), MaxFlows: 10_000,
		})
		require.NoError(tb, err)
		r.trackers = append(r.trackers, t)
	}
	return r
}

func TestCancellingEndsEveryFlowAtOnce(t *testing.T) {
	goroutinesBefore := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := runnerOf(t, 4, flowscope.EventReleased)
	flows := map[string]bool{}
	r.hand = func(f flow) { flows[f.line.Initiator.String()] = true }
	var read atomic.Int64
	returned := make(chan error)
	go func() { returned <- r.run(ctx, endless(100, forever, &read)) }()
	for read.Load() < 3*roundPackets {
		runtime.Gosched()
	}
	cancel()
	select {
	case err := <-returned:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	require.Len(t, flows, 100)
	goroutines(t, goroutinesBefore)
}

func TestASlowWorkerOrReceiverLetsTheReaderWait(t *testing.T) {
	for name, slow := range map[string]func(r *runner[flow], wait func()){
		"worker": func(r *runner[flow], wait func()) {
			r.see = func(*event, []flow) []flow { wait(); return nil }
		},
		"receiver": func(r *runner[flow], wait func()) { r.hand = func(flow) { wait() } },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			r := runnerOf(t, 2, flowscope.EventStarted)
			if name == "receiver" {
				r.see = func(ev *event, to []flow) []flow { return append(to, flow{start: ev.Timestamp}) }
			}
			release := make(chan struct{})
			slow(r, func() { <-release })
			var read atomic.Int64
			returned := make(chan error)
			go func() { returned <- r.run(ctx, endless(50, forever, &read)) }()
			last := int64(-1)
			for now := read.Load(); now != last || now == 0; now = read.Load() { // until it stands still
				last = now
				time.Sleep(100 * time.Millisecond)
			}
			require.LessOrEqual(t, last, int64((batches+1)*roundPackets), "more than all batches and the merger hold")
			require.Greater(t, last, int64(roundPackets))
			cancel()
			close(release)
			require.NoError(t, <-returned)
		})
	}
}

// TestFlowsEndWhereNoPacketsCome: a flow of one packet, which is over after a minute, is handed over while others go
// on, though its worker gets nothing more. One that began before it and goes on to the end comes after it.
//
//	first   x   x   x   x   x   x  ...   x
//	second   x
//	minutes 0           1               2
func TestFlowsEndWhereNoPacketsCome(t *testing.T) {
	const n = 16
	s := flowscope.NewSharder(n)
	first, second := talk(0), []byte(nil)
	for i := 1; second == nil; i++ {
		if s.Shard(flowscope.PacketView{Frame: talk(i)}) != s.Shard(flowscope.PacketView{Frame: first}) {
			second = talk(i)
		}
	}
	r := runnerOf(t, n, flowscope.EventReleased)
	var reasons []string
	r.hand = func(f flow) { reasons = append(reasons, f.line.Reason.String()) }
	require.NoError(t, r.run(context.Background(), func(yield func(flowscope.PacketView, error) bool) {
		for k := range 121 {
			now := flowscope.Timestamp(k) * 1e9
			if !yield(flowscope.PacketView{Frame: first, Timestamp: now}, nil) {
				return
			}
			if k == 0 && !yield(flowscope.PacketView{Frame: second, Timestamp: now + 1}, nil) {
				return
			}
		}
	}))
	require.Equal(t, []string{"idle", "finished"}, reasons)
}

func TestAnErrorOfTheSourceComesAfterTheFlowsBeforeIt(t *testing.T) {
	broken := errors.New("broken")
	r := runnerOf(t, 3, flowscope.EventReleased)
	flows := 0
	r.hand = func(flow) { flows++ }
	err := r.run(context.Background(), func(yield func(flowscope.PacketView, error) bool) {
		for i := range 10 {
			if !yield(flowscope.PacketView{Frame: talk(i)}, nil) {
				return
			}
		}
		yield(flowscope.PacketView{}, broken)
	})
	require.ErrorIs(t, err, broken)
	require.Equal(t, 10, flows)
}

func TestFramesAreCopiedBeforeTheReaderGoesOn(t *testing.T) {
	const pairs = 5000 // more than a round: batches are used again
	buffer := make([]byte, 0, 2000)
	source := func(yield func(flowscope.PacketView, error) bool) {
		for i := range pairs {
			buffer = append(buffer[:0], talk(i)...)
			if !yield(flowscope.PacketView{Frame: buffer}, nil) {
				return
			}
		}
	}
	r := runnerOf(t, 3, flowscope.EventReleased)
	seen := map[string]bool{}
	r.hand = func(f flow) {
		seen[f.line.Initiator.String()+" "+f.line.Responder.String()] = strings.HasSuffix(f.line.Initiator.String(), ".1:1000")
	}
	require.NoError(t, r.run(context.Background(), source))
	require.Len(t, seen, pairs)
	for _, whole := range seen {
		require.True(t, whole)
	}
}

func TestMorePacketsNeedNoMoreMemory(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	allocations := func(packets int) uint64 {
		var read atomic.Int64
		r := runnerOf(t, 2, flowscope.EventReleased)
		source := endless(50, packets, &read)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.NoError(t, r.run(context.Background(), source))
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	const more = 60 // rounds, of two batches each, whose iterator and loop are made anew
	few, many := allocations(30*roundPackets), allocations((30+more)*roundPackets)
	if many > few+few/2+more*2*8 {
		t.Errorf("%d allocations for thrice the packets, %d for so many", many, few)
	}
}

// The fast path of the runner's clock must give the same times.
func TestTheTimekeeperKeepsTheTimeOfATracker(t *testing.T) {
	steps := []flowscope.Timestamp{0, 1, 999e6, 1e9, 5e9, -1, -2e9, 7200e9, -7200e9, 1 << 62, -1 << 62}
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		k, err := newTimekeeper()
		require.NoError(t, err)
		tracker, err := flowscope.NewFlowTracker(nobody{}, flowscope.Config{})
		require.NoError(t, err)
		stamp := flowscope.Timestamp(rng.Int64N(3) - 1)
		follow := func(n int) {
			tracker.Track(flowscope.PacketView{Timestamp: stamp})
			require.Equal(t, tracker.Now(), k.follow(stamp), "seed %d, packet %d", seed, n)
		}
		for n := range 20 {
			stamp += steps[rng.IntN(len(steps))]
			follow(n)
			if seed < 20 && n == 10 && stamp < 1<<60 { // more than ClockJump in small steps
				for range 8000 {
					stamp += 999e6
					follow(n)
				}
			}
		}
	}
}

func TestWhereTimestampsRunBackTimeIsThatOfOneTracker(t *testing.T) {
	source := func(yield func(flowscope.PacketView, error) bool) {
		for i := range 3000 {
			now := flowscope.Timestamp(i)*1e8 - flowscope.Timestamp(i*7919%11)*1e9
			if !yield(flowscope.PacketView{Frame: talk(i * 31 % 200), Timestamp: now}, nil) {
				return
			}
		}
	}
	want := one(t, source)
	for _, n := range []int{1, 2, 7} {
		r := runnerOf(t, n, flowscope.EventReleased)
		var got []string
		r.hand = func(f flow) { got = append(got, f.text) }
		require.NoError(t, r.run(context.Background(), source))
		slices.Sort(got)
		require.Equal(t, want, got, "%d workers", n)
	}
}

func TestASourceThatPassesTheContextOnAsAnErrorIsNone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := runnerOf(t, 2, flowscope.EventReleased).run(ctx, func(yield func(flowscope.PacketView, error) bool) {
		yield(flowscope.PacketView{}, ctx.Err())
	})
	require.NoError(t, err)
}
