package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
)

// slept replays packets with these offsets, and gives when each was given. Nothing takes time but the sleep.
func slept(t *testing.T, speed float64, pause time.Duration, offsets ...time.Duration) (given []time.Duration, r *replay) {
	t.Helper()
	var views []flowscope.PacketView
	for _, o := range offsets {
		views = append(views, flowscope.PacketView{Timestamp: flowtest.Epoch.Add(o)})
	}
	began := time.Unix(1000, 0)
	clock := began
	r = newReplay("test", flowtest.Sequence(views), speed, pause)
	r.clock = func() time.Time { return clock }
	r.sleep = func(_ context.Context, d time.Duration) error {
		// Half-way through, half of the time has passed in the capture.
		next := r.next
		clock = clock.Add(d / 2)
		now, ok := r.now()
		require.True(t, ok)
		require.LessOrEqual(t, now, next)
		require.InDelta(t, float64(d)/2*speed, float64(next.Sub(now)), 1e4*speed)
		clock = clock.Add(d - d/2)
		_, ok = r.now()
		require.False(t, ok)
		return nil
	}
	for _, err := range r.Packets(context.Background()) {
		require.NoError(t, err)
		given = append(given, clock.Sub(began))
	}
	return given, r
}

const ms = time.Millisecond

func TestAReplayTakesTheTimeOfTheCapture(t *testing.T) {
	got, _ := slept(t, 1, 0, 0, 10*ms, 10*ms, 2000*ms, 90_000*ms)
	require.Equal(t, []time.Duration{0, 10 * ms, 10 * ms, 2000 * ms, 90_000 * ms}, got)
	got, _ = slept(t, 4, 0, 0, 10*ms, 2000*ms)
	require.Equal(t, []time.Duration{0, 2500 * time.Microsecond, 500 * ms}, got)
	got, _ = slept(t, 0.5, 0, 0, 10*ms, 2000*ms)
	require.Equal(t, []time.Duration{0, 20 * ms, 4000 * ms}, got)
	got, _ = slept(t, 0, 0, 0, 10*ms, 2000*ms)
	require.Equal(t, []time.Duration{0, 0, 0}, got)
}

func TestALongSilenceIsCutShort(t *testing.T) {
	got, r := slept(t, 2, 5*time.Second, 0, 4000*ms, 7*24*time.Hour, 7*24*time.Hour+1000*ms)
	require.Equal(t, []time.Duration{0, 2000 * ms, 4500 * ms, 5000 * ms}, got)
	require.Equal(t, "x2, 6d23h of silence skipped", r.pace())
}

func TestWrongTimestampsDoNotStopAReplay(t *testing.T) {
	// A little out of order: no packet waits twice for the same time.
	got, _ := slept(t, 1, 0, 0, 100*ms, 90*ms, 110*ms, 105*ms, 200*ms)
	require.Equal(t, []time.Duration{0, 100 * ms, 100 * ms, 110 * ms, 110 * ms, 200 * ms}, got)
	// One packet of next year.
	got, _ = slept(t, 1, 5*time.Second, 0, 100*ms, 9000*time.Hour, 110*ms, 120*ms)
	require.Equal(t, []time.Duration{0, 100 * ms, 5100 * ms, 5100 * ms, 5110 * ms}, got)
	// The longest step that timestamps allow, as slowly as possible.
	r := newReplay("test", flowtest.Sequence(nil), 0.001, 0)
	require.Zero(t, r.plan(-1<<63))
	require.Greater(t, r.plan(1<<63-1), 24*time.Hour)
}

func TestAReplayThatCannotKeepUpDoesNotHurry(t *testing.T) {
	clock := time.Unix(1000, 0)
	r := newReplay("test", nil, 1, 0)
	r.clock = func() time.Time { return clock }
	require.Zero(t, r.plan(flowtest.Epoch))
	clock = clock.Add(time.Hour) // the program was stopped
	require.LessOrEqual(t, r.plan(flowtest.Epoch.Add(time.Second)), time.Duration(0))
	require.Equal(t, time.Second, r.plan(flowtest.Epoch.Add(2*time.Second)))
}

func TestAReplayEndsWithItsContextAndWithAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	views := []flowscope.PacketView{{Timestamp: flowtest.Epoch}, {Timestamp: flowtest.Epoch.Add(time.Hour)}, {}}
	r := newReplay("test", flowtest.Sequence(views), 1, 0)
	time.AfterFunc(20*ms, cancel)
	var errs []error
	for _, err := range r.Packets(ctx) {
		errs = append(errs, err)
	}
	require.Equal(t, []error{nil, context.Canceled}, errs)

	damaged := errors.New("damaged")
	r = newReplay("test", func(yield func(flowscope.PacketView, error) bool) {
		_ = yield(views[0], nil) && yield(flowscope.PacketView{}, damaged)
	}, 1, 0)
	errs = nil
	for _, err := range r.Packets(context.Background()) {
		errs = append(errs, err)
	}
	require.Equal(t, []error{nil, damaged}, errs)
}
