package acceptance

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// protocols are all parsers that users have.
func protocols() []flowscope.ParserFactory {
	return []flowscope.ParserFactory{http1.Factory{}, tls.Factory{}, tls.StartTLS{}, dns.Factory{}}
}

// toys are the parsers of tests, with handovers, timers, parking and datagrams.
func toys() []flowscope.ParserFactory {
	return []flowscope.ParserFactory{testkit.Lines{Name: "A"}, testkit.Lines{Name: "B"}, testkit.Blocks{}, testkit.Guide{}, testkit.Asks{}}
}

// A driver with parsers has the events of one without, and between them the messages that a SessionPlayer gives which
// is told what these events say.
func TestADriverFeedsItsParsersWhatItsEventsSay(t *testing.T) {
	for _, c := range captures(t) {
		for name, factories := range map[string]func() []flowscope.ParserFactory{"protocols": protocols, "toys": toys} {
			t.Run(c.name+", "+name, func(t *testing.T) { feedsWhatEventsSay(t, c.views, factories()) })
		}
	}
}

type namedCapture struct {
	name  string
	views []flowscope.PacketView
}

// captures are those of the project, also with losses and from the middle, and random packets.
func captures(t *testing.T) (all []namedCapture) {
	for _, name := range []string{"http.pcap", "lossy.pcap", "tunnels.pcap"} {
		views := testkit.Load(t, testkit.Path("testdata/captures/"+name))
		all = append(all, namedCapture{name, views}, namedCapture{name + " with losses", withLosses(views, 5)},
			namedCapture{name + " from the middle", views[len(views)/3:]})
	}
	shared, _ := filepath.Glob(testkit.Path("../shared/sessions/open/cap/*"))
	for _, name := range shared { // more of them, where they are there
		all = append(all, namedCapture{filepath.Base(name), testkit.Load(t, name)})
	}
	for seed := range uint64(8) {
		var views []flowscope.PacketView
		for _, call := range testkit.Calls(testkit.RandomBytes(seed+77, 3000)) {
			if call.Kind == testkit.CallTrack {
				views = append(views, call.View)
			}
		}
		all = append(all, namedCapture{fmt.Sprintf("random packets %d", seed), views})
	}
	return all
}

// withLosses leaves out every nth packet.
func withLosses(views []flowscope.PacketView, n int) (some []flowscope.PacketView) {
	for i, v := range views {
		if i%n != n-1 {
			some = append(some, v)
		}
	}
	return some
}

func feedsWhatEventsSay(t *testing.T, views []flowscope.PacketView, factories []flowscope.ParserFactory) {
	cfg := flowscope.Config{Events: flowscope.AllEvents, MaxAnomalies: 1000}
	plain, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, cfg)
	require.NoError(t, err)
	reading, err := flowscope.NewFlowSessionDriver(flowscope.FiveTuple{}, cfg, factories...)
	require.NoError(t, err)
	player := func() *flowscope.SessionPlayer { // one for each flow, so that Sweep is of that flow
		p, err := flowscope.NewSessionPlayer(cfg, factories...)
		require.NoError(t, err)
		return p
	}
	flows := map[flowscope.FlowID]*playedFlow{}
	live := map[flowscope.FlowID]*playedFlow{}
	want, got := map[flowscope.FlowID]string{}, map[flowscope.FlowID]string{}
	now := flowscope.Timestamp(0) // that of the drivers in their call
	compare := func(i int, a, b []testkit.Event) {
		var events []testkit.Event
		for _, ev := range b {
			if ev.Kind == flowscope.EventMessage {
				got[ev.Flow] += messageText(ev.Message, ev.Side, ev.Timestamp)
				continue
			}
			events = append(events, ev)
		}
		require.Equal(t, len(a), len(events), "packet %d", i)
		sweepPlayers(live, a, now, want)
		for k := range a {
			require.Equal(t, fmt.Sprintf("%#v", a[k]), fmt.Sprintf("%#v", events[k]), "packet %d", i)
			play(player, flows, &a[k], now, want)
			if live[a[k].Flow] = flows[a[k].Flow]; a[k].Kind == flowscope.EventEnded || flows[a[k].Flow] == nil {
				delete(live, a[k].Flow)
			}
		}
	}
	for i, v := range views {
		events := plain.Track(v)
		now = plain.Now()
		compare(i, events, reading.Track(v))
	}
	// A last timestamp that nothing confirms is believed at the end: here before it, so that it is known.
	if n := len(views); n > 0 && views[n-1].Timestamp > plain.Now() {
		now = views[n-1].Timestamp
		compare(-1, plain.Sweep(now), reading.Sweep(now))
	}
	now = plain.Now()
	compare(-1, plain.Finish(), reading.Finish())
	for id := range flows {
		require.Equal(t, want[id], got[id], "flow %d", id)
	}
	st := reading.Stats().Sessions
	t.Logf("%d messages of %d flows", st.Messages, len(flows))
	require.Zero(t, st.Parsers)
	require.Zero(t, st.HeldBytes)
	require.Zero(t, st.FirstBytes)
}

// playedFlow is a flow with a player of its own.
type playedFlow struct {
	*flowscope.PlayedFlow
	player *flowscope.SessionPlayer
}

// sweepPlayers runs the timers that are due at the beginning of a call with these events: for a flow
// that times out in it, those that were due before that.
func sweepPlayers(live map[flowscope.FlowID]*playedFlow, events []testkit.Event, now flowscope.Timestamp, said map[flowscope.FlowID]string) {
	at := map[flowscope.FlowID]flowscope.Timestamp{}
	for i := range events {
		if ev := &events[i]; ev.Kind == flowscope.EventEnded && ev.Packet == 0 {
			at[ev.Flow] = ev.Timestamp
		}
	}
	for id, f := range live {
		end, ends := at[id]
		if !ends {
			end = now
		}
		for _, m := range f.player.Sweep(end) {
			said[id] += messageText(m.Message, m.Side, m.Timestamp)
		}
	}
}

// play plays one event of the driver without parsers.
func play(player func() *flowscope.SessionPlayer, flows map[flowscope.FlowID]*playedFlow, ev *testkit.Event, now flowscope.Timestamp, said map[flowscope.FlowID]string) {
	if ev.Kind == flowscope.EventStarted && (ev.L4 == flowscope.L4TCP || ev.L4 == flowscope.L4UDP) {
		from, to := ev.Key.Ends(ev.Orientation)
		if ev.Side == flowscope.Responder {
			from, to = to, from
		}
		p := player()
		if ev.L4 == flowscope.L4TCP {
			flows[ev.Flow] = &playedFlow{p.TCP(from.Port(), to.Port()), p}
		} else {
			flows[ev.Flow] = &playedFlow{p.UDP(from.Port(), to.Port()), p}
		}
	}
	f := flows[ev.Flow]
	if f == nil {
		return
	}
	for _, m := range playEvent(f.PlayedFlow, ev, now) {
		at := m.Timestamp
		if at == now && ev.Packet != 0 && (ev.Kind == flowscope.EventSideClosed || ev.Kind == flowscope.EventEnded) {
			at = ev.Timestamp // of the packet that ends the flow, or closes a side
		}
		said[ev.Flow] += messageText(m.Message, m.Side, at)
	}
}

func messageText(m flowscope.Message, side flowscope.FlowSide, at flowscope.Timestamp) string {
	return fmt.Sprintf("%v %v %T %+v\n", side, at, m, m)
}

// playEvent plays what one event of a driver says of a flow.
func playEvent(f *flowscope.PlayedFlow, ev *testkit.Event, now flowscope.Timestamp) (out []flowscope.Emitted) {
	chunk := flowscope.Chunk{Side: ev.Side, Bytes: ev.Bytes, Time: ev.Timestamp, Packet: ev.Packet}
	switch ev.Kind {
	case flowscope.EventData:
		out = f.Chunk(chunk, now)
	case flowscope.EventPacket:
		if ev.L4 == flowscope.L4UDP && len(ev.Bytes) > 0 { // a first fragment has none
			out = f.Chunk(chunk, now)
		}
	case flowscope.EventGap:
		out = f.Gap(ev.Side, ev.Len, now)
	case flowscope.EventSideClosed:
		if ev.Reason == 0 {
			out = f.Close(ev.Side, now)
		}
	case flowscope.EventEnded:
		out = f.End(ev.Reason, now)
	}
	return out
}
