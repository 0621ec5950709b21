package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/testdata/captures"
)

// watched runs a watch over packets, at once.
func watched(t testing.TB, cfg flowscope.Config, views []flowscope.PacketView) *watch {
	t.Helper()
	w, err := newWatch(newReplay("test", flowtest.Sequence(views), 0, 0), cfg)
	require.NoError(t, err)
	require.NoError(t, w.run(context.Background()))
	return w
}

func sample(t testing.TB) []flowscope.PacketView {
	t.Helper()
	return flowtest.Load(t, "../internal/sample/sample.pcapng")
}

// The numbers are those of a tracker, which has no streams and no parsers.
func TestTheFlowsAreThoseOfATracker(t *testing.T) {
	for _, name := range []string{"../internal/sample/sample.pcapng", "../../testdata/captures/sessions.pcap", "../../testdata/captures/tunnels.pcap"} {
		views := flowtest.Load(t, name)
		w := watched(t, flowscope.Config{}, views)
		s := w.snapshot(query{order: byBytes}, 0)
		tracker, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{})
		require.NoError(t, err)
		ended := flowtest.Select(flowtest.Replay(tracker, views), flowscope.EventEnded)
		require.Equal(t, len(ended), s.matched)
		require.Equal(t, len(ended), s.known)
		require.Len(t, s.rows, len(ended))
		var got, want []string
		for i := range ended {
			ev, r := &ended[i], &s.rows[i]
			a, b := ev.Ends(flowscope.Initiator)
			want = append(want, fmt.Sprint(ev.Flow, endpoint(a), endpoint(b), ev.Stats.Packets, ev.Stats.Bytes, ev.Reason))
			got = append(got, fmt.Sprint(r.id, r.side(flowscope.Initiator), r.side(flowscope.Responder), r.stats.Packets, r.stats.Bytes, r.reason))
		}
		require.ElementsMatch(t, want, got)
		require.True(t, slices.IsSortedFunc(s.rows, func(a, b row) int { return int(byBytes.value(&b) - byBytes.value(&a)) }))
		require.True(t, s.over)
		require.EqualValues(t, len(views), s.packets)
	}
}

func TestSessionsAreKeptWithTheirFlow(t *testing.T) {
	views := flowtest.Load(t, "../../testdata/captures/sessions.pcap")
	s := watched(t, flowscope.Config{}, views).snapshot(query{}, 0)
	// As "sessions" prints them: 10 HTTP exchanges, 7 TLS handshakes, 9 DNS transactions.
	require.Equal(t, []named{{"http", 10}, {"dns", 9}, {"tls", 7}}, sortedNames(s.kinds))
	require.Len(t, s.sessions, 26)
	require.Equal(t, []named{{"http gap", 1}}, s.losses)
	byFlow := map[flowscope.FlowID]string{}
	for _, r := range s.rows {
		byFlow[r.id] = r.side(flowscope.Initiator) + r.name
	}
	for i, one := range s.sessions {
		require.EqualValues(t, i+1, one.number)
		if one.kind == "http" {
			require.Equal(t, one.client+"www.example.net", byFlow[one.flow])
		}
	}
}

func sortedNames(all []named) []named {
	slices.SortFunc(all, func(a, b named) int { return int(b.n) - int(a.n) })
	return all
}

// While a capture is replayed, time passes by the clock of the replay, so that silent flows end and rates fall.
func TestTimePassesBetweenPackets(t *testing.T) {
	d := flowtest.NewDialogue("192.0.2.1:1000", "192.0.2.2:80")
	d.Client("hello")
	d.Wait(time.Hour)
	d.Close()
	clock := time.Unix(5000, 0)
	asleep, wake := make(chan time.Duration), make(chan struct{})
	r := newReplay("test", flowtest.Sequence(d.Views()), 1, 0)
	r.clock = func() time.Time { return clock }
	r.sleep = func(_ context.Context, d time.Duration) error {
		asleep <- d
		<-wake
		return nil
	}
	w, err := newWatch(r, flowscope.Config{})
	require.NoError(t, err)
	ran := make(chan error, 1)
	go func() { ran <- w.run(context.Background()) }()
	var first snapshot
	for {
		d := <-asleep
		if d < time.Minute {
			clock = clock.Add(d)
			wake <- struct{}{}
			continue
		}
		first = w.snapshot(query{}, 0)
		require.Len(t, first.rows, 1)
		require.False(t, first.rows[0].ended())
		require.Positive(t, first.byteRate)
		for range 20 {
			clock = clock.Add(time.Second)
			s := w.snapshot(query{}, first.rows[0].id)
			require.Equal(t, first.rows[0].id, s.traced.id)
		}
		s := w.snapshot(query{}, first.rows[0].id)
		require.Less(t, s.byteRate, first.byteRate/100)
		require.Len(t, s.trace[0], 20)
		require.Equal(t, 20*time.Second, s.now.Sub(first.now).Round(time.Second))
		clock = clock.Add(10 * time.Minute)
		s = w.snapshot(query{}, 0)
		require.Equal(t, flowscope.EndIdleTimeout, s.rows[0].reason)
		require.Len(t, s.curve, curveSeconds)
		clock = clock.Add(d)
		wake <- struct{}{}
		break
	}
	go func() {
		for range asleep {
			wake <- struct{}{}
		}
	}()
	require.NoError(t, <-ran)
	close(asleep)
}

// stale is a source that was last silent long ago.
type stale struct{ *replay }

func (stale) now() (flowscope.Timestamp, bool) { return flowtest.Epoch.Add(-time.Hour), true }

func TestTimeDoesNotGoBackToTheLastSilence(t *testing.T) {
	w, err := newWatch(stale{newReplay("test", flowtest.Sequence(sample(t)), 0, 0)}, flowscope.Config{})
	require.NoError(t, err)
	for view := range w.source.Packets(context.Background()) {
		w.take(w.driver.Track(view))
		w.snapshot(query{}, 0)
	}
	require.Zero(t, w.driver.Stats().ClockBackward)
}

func TestAnErrorIsShownAfterThePacketsBeforeIt(t *testing.T) {
	file := captures.Sessions[:len(captures.Sessions)/2]
	w, err := newWatch(newReplay("cut", flowscope.ReadCapture(bytes.NewReader(file)), 0, 0), flowscope.Config{})
	require.NoError(t, err)
	require.ErrorIs(t, w.run(context.Background()), flowscope.ErrTruncated)
	s := w.snapshot(query{}, 0)
	require.NotEmpty(t, s.failed)
	require.NotEmpty(t, s.rows)
	require.True(t, s.over)
}

// flood gives n UDP flows of one packet each, a millisecond apart.
func flood(n int) func(func(flowscope.PacketView, error) bool) {
	return func(yield func(flowscope.PacketView, error) bool) {
		frame := frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Payload: []byte("x")}.Ethernet()
		for i := range n {
			frame[26], frame[27], frame[28], frame[29] = 10, byte(i>>16), byte(i>>8), byte(i) // the source address
			if !yield(flowscope.PacketView{Frame: frame, Timestamp: flowtest.Epoch.Add(time.Duration(i) * ms)}, nil) {
				return
			}
		}
	}
}

// However many flows there are, a snapshot has those that come first, says how many there were, and memory has a bound.
func TestManyFlowsNeedTheMemoryOfSome(t *testing.T) {
	heap := func(n int) uint64 {
		w, err := newWatch(newReplay("flood", flood(n), 0, 0), flowscope.Config{MaxFlows: 2000})
		require.NoError(t, err)
		require.NoError(t, w.run(context.Background()))
		for o := range numOrders {
			s := w.snapshot(query{order: o}, 7)
			require.Len(t, s.rows, maxRows)
			require.Equal(t, min(n, maxEnded), s.known)
			require.EqualValues(t, n-s.known, s.forgotten)
		}
		s := w.snapshot(query{order: byNewest}, 0)
		require.EqualValues(t, n, s.rows[0].id, "the newest comes first")
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		runtime.KeepAlive(w)
		return m.HeapAlloc
	}
	few, many := heap(3*maxEnded), heap(12*maxEnded)
	require.Less(t, many, few+few/10, "%d and %d bytes", few, many)
}

func TestSnapshotsWhileItRuns(t *testing.T) {
	w, err := newWatch(newReplay("flood", flood(50_000), 0, 0), flowscope.Config{MaxFlows: 3000})
	require.NoError(t, err)
	ran := make(chan error, 1)
	go func() { ran <- w.run(context.Background()) }()
	var last uint64
	for {
		s := w.snapshot(query{order: byNewest, words: "udp"}, 1)
		require.GreaterOrEqual(t, s.packets, last)
		require.LessOrEqual(t, len(s.rows), maxRows)
		last = s.packets
		if s.over {
			break
		}
	}
	require.NoError(t, <-ran)
	require.EqualValues(t, 50_000, last)
}

// BenchmarkSnapshot is what a repaint costs with a full table.
func BenchmarkSnapshot(b *testing.B) {
	for _, words := range []string{"", "10.0.0"} {
		b.Run("filter="+words, func(b *testing.B) {
			w, err := newWatch(newReplay("flood", nil, 0, 0), flowscope.Config{UDPTimeout: flowscope.Never})
			require.NoError(b, err)
			for view := range flood(100_000) {
				w.take(w.driver.Track(view))
				w.packets++
				w.last = w.driver.Now()
			}
			for b.Loop() {
				if s := w.snapshot(query{words: words}, 0); len(s.rows) != maxRows {
					b.Fatal(len(s.rows))
				}
			}
		})
	}
}
