package acceptance

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// The unit tests of the crate that this library mirrors, under their own names: TestCrate<Module>/<test>. Those on
// its TCP table are in internal/tcp; those whose subject does not exist here (the hot-key cache) are kept for what
// they say about events.

func TestCrateTimestamp(t *testing.T) {
	t.Run("new", func(t *testing.T) {
		assert.Equal(t, flowscope.Timestamp(7_000_000_009), flowscope.NewTimestamp(7, 9))
	})
	t.Run("to_system_time", func(t *testing.T) {
		assert.True(t, time.Unix(7, 9).Equal(flowscope.NewTimestamp(7, 9).Time()))
		assert.Equal(t, time.UTC, flowscope.NewTimestamp(7, 9).Time().Location())
	})
	t.Run("to_duration", func(t *testing.T) {
		assert.Equal(t, 7*time.Second+9, flowscope.NewTimestamp(7, 9).Sub(0))
		// The crate keeps too many nanoseconds and carries them here; we carry them at once.
		assert.Equal(t, 10*time.Second, flowscope.NewTimestamp(7, 3e9).Sub(0))
	})
	t.Run("display", func(t *testing.T) {
		assert.Equal(t, "1234.000000001", flowscope.NewTimestamp(1234, 1).String())
		assert.Equal(t, "0.000000000", flowscope.Timestamp(0).String())
		assert.Equal(t, "-1.500000000", flowscope.NewTimestamp(-2, 5e8).String())
		assert.Equal(t, "-0.000000001", flowscope.Timestamp(-1).String())
		assert.Equal(t, "-9223372036.854775808", flowscope.Timestamp(math.MinInt64).String())
	})
	t.Run("ordering", func(t *testing.T) {
		all := []flowscope.Timestamp{flowscope.NewTimestamp(2, 0), flowscope.NewTimestamp(1, 2), flowscope.NewTimestamp(1, 1)}
		slices.Sort(all)
		assert.Equal(t, []flowscope.Timestamp{1_000_000_001, 1_000_000_002, 2_000_000_000}, all)
	})
	t.Run("default_is_zero", func(t *testing.T) {
		var zero flowscope.Timestamp
		assert.Equal(t, flowscope.NewTimestamp(0, 0), zero)
	})
	t.Run("any numbers are held at the limits", func(t *testing.T) {
		for _, c := range []struct {
			sec, nsec int64
			want      flowscope.Timestamp
		}{
			{math.MaxInt64, math.MaxInt64, math.MaxInt64},
			{math.MinInt64, math.MinInt64, math.MinInt64},
			{9223372036, 854775807, math.MaxInt64},
			{9223372036, 854775808, math.MaxInt64},
			{-9223372037, 145224192, math.MinInt64},
			{-9223372037, 145224191, math.MinInt64},
			{-9223372037, 145224193, math.MinInt64 + 1},
			{0, -1, -1},
			{9223372040, -4e9, 9223372036e9},
			{math.MinInt64, math.MaxInt64, math.MinInt64},
		} {
			assert.Equal(t, c.want, flowscope.NewTimestamp(c.sec, c.nsec), "%d s %d ns", c.sec, c.nsec)
		}
	})
	t.Run("time.Time there and back", func(t *testing.T) {
		for _, ts := range []flowscope.Timestamp{0, 1, -1, 1e18, math.MaxInt64, math.MinInt64} {
			assert.Equal(t, ts, flowscope.TimestampOf(ts.Time()))
		}
		assert.Equal(t, flowscope.Timestamp(math.MinInt64), flowscope.TimestampOf(time.Time{}))
	})
	t.Run("sub and add are held at the limits", func(t *testing.T) {
		low, high := flowscope.Timestamp(math.MinInt64), flowscope.Timestamp(math.MaxInt64)
		assert.Equal(t, time.Duration(math.MaxInt64), high.Sub(low))
		assert.Equal(t, time.Duration(math.MinInt64), low.Sub(high))
		assert.Equal(t, high, high.Add(1))
		assert.Equal(t, low, low.Add(-1))
		assert.Equal(t, flowscope.Timestamp(5), flowscope.Timestamp(7).Add(-2))
	})
}

func TestCrateView(t *testing.T) {
	t.Run("new_and_fields", func(t *testing.T) {
		v := flowscope.PacketView{Frame: []byte{1, 2}, Timestamp: flowscope.NewTimestamp(1, 2)}
		assert.Equal(t, []byte{1, 2}, v.Frame)
		assert.Equal(t, flowscope.NewTimestamp(1, 2), v.Timestamp)
		var x, y flowscope.Extracted[flowscope.FiveTupleKey]
		v.Frame = testkit.UDP(testkit.Client, testkit.Server)
		assert.True(t, flowscope.FiveTuple{}.Extract(v, &x), "no link type is Ethernet")
		v.LinkType = flowscope.LinkTypeEthernet
		assert.True(t, flowscope.FiveTuple{}.Extract(v, &y))
		assert.Equal(t, x.Key, y.Key)
	})
	t.Run("with_frame_replaces_slice_keeps_ts", func(t *testing.T) {
		v := flowscope.PacketView{Frame: []byte{1, 2}, Timestamp: 5}
		inner := v
		inner.Frame = v.Frame[1:]
		assert.Equal(t, flowscope.Timestamp(5), inner.Timestamp)
		assert.Len(t, v.Frame, 2)
	})
}

func TestCrateExtractor(t *testing.T) {
	t.Run("tcp_flags_basic", func(t *testing.T) {
		f := flowscope.FlagSYN | flowscope.FlagACK
		assert.True(t, f.Has(flowscope.FlagSYN))
		assert.True(t, f.Has(flowscope.FlagSYN|flowscope.FlagACK))
		assert.False(t, f.Has(flowscope.FlagFIN))
		assert.False(t, f.Has(flowscope.FlagSYN|flowscope.FlagFIN))
		assert.Equal(t, "SA", f.String())
		assert.Equal(t, ".", flowscope.TCPFlags(0).String())
		assert.Equal(t, "FSRPAUEC", flowscope.TCPFlags(255).String())
		for i, want := range []uint8{1, 2, 4, 8, 16, 32, 64, 128} {
			flags := []flowscope.TCPFlags{flowscope.FlagFIN, flowscope.FlagSYN, flowscope.FlagRST, flowscope.FlagPSH,
				flowscope.FlagACK, flowscope.FlagURG, flowscope.FlagECE, flowscope.FlagCWR}
			assert.EqualValues(t, want, flags[i])
		}
	})
	t.Run("extracted_clone", func(t *testing.T) {
		x := flowscope.Extracted[int]{Key: 7, L4: flowscope.L4TCP, HasTCP: true, Orientation: flowscope.Reverse}
		y := x
		y.Key = 8
		assert.Equal(t, 7, x.Key)
		assert.Equal(t, flowscope.Reverse, y.Orientation)
	})
	t.Run("l4_proto_eq", func(t *testing.T) {
		assert.Equal(t, flowscope.L4Proto(47), flowscope.L4Proto(47))
		assert.NotEqual(t, flowscope.L4Proto(47), flowscope.L4Proto(48))
		for p, name := range map[flowscope.L4Proto]string{0: "none", 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp", 47: "ip-47"} {
			assert.Equal(t, name, p.String())
		}
	})
}

func TestCrateEvent(t *testing.T) {
	t.Run("flow_state_terminal", func(t *testing.T) {
		for _, s := range []flowscope.FlowState{flowscope.StateClosed, flowscope.StateReset, flowscope.StateAborted} {
			assert.True(t, s.IsTerminal(), s)
		}
		for _, s := range []flowscope.FlowState{
			flowscope.StateActive, flowscope.StateSynSent, flowscope.StateSynReceived, flowscope.StateEstablished,
			flowscope.StateFinWait, flowscope.StateClosingTCP,
		} {
			assert.False(t, s.IsTerminal(), s)
		}
	})
	t.Run("flow_event_key", func(t *testing.T) {
		tr := testkit.NewTracker(t, flowscope.Config{})
		for _, ev := range testkit.Track(tr, testkit.UDP("10.0.0.1:1", "10.0.0.2:2"), 0) {
			assert.Equal(t, "udp 10.0.0.1:1 <-> 10.0.0.2:2", ev.Key.String())
			assert.EqualValues(t, 1, ev.Flow)
		}
	})
	t.Run("names are unique and none is missing", func(t *testing.T) {
		seen := map[string]bool{}
		for k := flowscope.EventStarted; k <= flowscope.EventReleased; k++ {
			assert.NotContains(t, k.String(), "(")
			assert.False(t, seen[k.String()])
			seen[k.String()] = true
		}
		for r := flowscope.EndFIN; r <= flowscope.EndFinished; r++ {
			assert.NotContains(t, r.String(), "(")
		}
		assert.Equal(t, "none", flowscope.EventKind(0).String())
		assert.Equal(t, "none", flowscope.EndReason(0).String())
		assert.Equal(t, "EndReason(200)", flowscope.EndReason(200).String())
		assert.Equal(t, "FlowState(200)", flowscope.FlowState(200).String())
	})
	t.Run("a clone shares nothing", func(t *testing.T) {
		tr := testkit.NewTracker(t, flowscope.Config{})
		frame := testkit.UDP(testkit.Client, testkit.Server)
		events := testkit.Track(tr, frame, 0)
		c := events[1].Clone()
		frame[len(frame)-1]++
		assert.Equal(t, "hi", string(c.Bytes))
		ended := tr.Finish()[0].Clone()
		testkit.Track(tr, frame, 1)
		tr.Finish()
		assert.EqualValues(t, 1, ended.Stats.Packets[0])
		assert.EqualValues(t, 1, ended.Flow)
	})
}

func TestCrateHistory(t *testing.T) {
	full := []string{"S", "SA", "A", "PA", "PA", "FA", "FA", "A"}
	for _, c := range []struct {
		name  string
		flags []string
		from  []int // who sends
		data  string
		want  string
	}{
		{"syn_initiator_uppercase", []string{"S"}, []int{0}, "", "S"},
		// The crate has no letter for SYN+ACK but s; we have Zeek's h.
		{"syn_ack_responder_lowercase_with_a", []string{"S", "SA"}, []int{0, 1}, "", "Sh"},
		{"data_psh_initiator_d", []string{"S", "SA", "PA"}, []int{0, 1, 0}, "x", "ShD"},
		{"fin_responder_lowercase_f", []string{"S", "SA", "A", "FA"}, []int{0, 1, 0, 1}, "", "ShAf"},
		// SsDdFf in the crate: it knows no letter for an ACK, and a SYN+ACK is an s.
		{"full_session_history", full, []int{0, 1, 0, 0, 1, 0, 1, 0}, "x", "ShADdFf"},
		{"rst_initiator_uppercase_r", []string{"R"}, []int{0}, "", "R"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := testkit.NewTracker(t, flowscope.Config{Events: flowscope.AllEvents})
			next := [2]uint32{100, 300}
			var history string
			for i, flags := range c.flags {
				from, ends, data := c.from[i], [2]string{testkit.Client, testkit.Server}, ""
				if flags == "PA" {
					data = c.data
				}
				ack := uint32(0)
				if flags != "S" && flags != "R" {
					ack = next[1-from]
				}
				for _, ev := range testkit.Track(tr, testkit.TCP(ends[from], ends[1-from], flags, next[from], ack, data), float64(i)) {
					if ev.Kind == flowscope.EventEnded {
						history = ev.History.String()
					}
				}
				next[from] += uint32(len(data))
				if flags[0] == 'S' || flags[0] == 'F' {
					next[from]++
				}
			}
			for f := range tr.Flows() {
				history = f.History.String()
			}
			assert.Equal(t, c.want, history)
		})
	}
	t.Run("truncates_at_capacity", func(t *testing.T) {
		// In the crate 20 SYNs are 16 letters. Here most letters stand once a side, so it takes every letter
		// there is, and T and W at the 1st, 10th and 100th time, to fill a history.
		tr := testkit.NewTracker(t, flowscope.Config{})
		send := func(from, to, flags string, seq, ack uint32, window uint16, n int) {
			for range n {
				f := frames.TCP{Src: from, Dst: to, Flags: flags, Seq: seq, Ack: ack, Window: window, Payload: []byte("xyz")}
				if flags == "S" || flags == "SA" || flags == "A" {
					f.Payload = nil
				}
				testkit.Track(tr, f.Ethernet(), 1)
			}
		}
		send(testkit.Client, testkit.Server, "S", 100, 0, 9, 1)
		send(testkit.Server, testkit.Client, "SA", 300, 101, 9, 1)
		send(testkit.Client, testkit.Server, "PA", 101, 301, 9, 200)
		send(testkit.Server, testkit.Client, "PA", 301, 101, 9, 200)
		send(testkit.Client, testkit.Server, "A", 104, 301, 0, 200)
		send(testkit.Server, testkit.Client, "A", 304, 101, 0, 200)
		send(testkit.Server, testkit.Client, "SFA", 301, 104, 9, 1)
		send(testkit.Client, testkit.Server, "SFA", 301, 104, 9, 1)
		f, ok := tr.Get(onlyKey(tr))
		require.True(t, ok)
		assert.Equal(t, "ShDTTTdtttAWWWaw", f.History.String())
	})
}

func onlyKey(t *testkit.Tracker) (k flowscope.FiveTupleKey) {
	for f := range t.Flows() {
		k = f.Key
	}
	return k
}

func TestCrateTracker(t *testing.T) {
	all := flowscope.Config{}
	t.Run("single_udp_packet_started_and_packet_event", func(t *testing.T) {
		tr := testkit.NewTracker(t, all)
		events := testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 0)
		require.Equal(t, []flowscope.EventKind{flowscope.EventStarted, flowscope.EventPacket}, testkit.Kinds(events))
		assert.Equal(t, flowscope.Initiator, events[0].Side)
		assert.Equal(t, flowscope.L4UDP, events[0].L4)
		assert.Equal(t, 1, tr.Len())
		assert.EqualValues(t, 1, tr.Stats().FlowsCreated)
	})
	t.Run("second_packet_no_started", func(t *testing.T) {
		tr := testkit.NewTracker(t, all)
		testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 0)
		assert.Equal(t, []flowscope.EventKind{flowscope.EventPacket}, testkit.Kinds(testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 1)))
	})
	t.Run("bidirectional_side_flips_on_reverse", func(t *testing.T) {
		tr := testkit.NewTracker(t, all)
		testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 0)
		events := testkit.Track(tr, testkit.UDP(testkit.Server, testkit.Client), 1)
		require.Equal(t, []flowscope.EventKind{flowscope.EventPacket}, testkit.Kinds(events))
		assert.Equal(t, flowscope.Responder, events[0].Side)
		assert.Equal(t, flowscope.Reverse, events[0].Orientation)
	})
	t.Run("tcp_three_way_handshake_emits_established", func(t *testing.T) {
		tr := testkit.NewTracker(t, all)
		n := testkit.Count(testkit.Track(tr, testkit.TCP(testkit.Client, testkit.Server, "S", 100, 0, ""), 0), flowscope.EventEstablished)
		n += testkit.Count(testkit.Track(tr, testkit.TCP(testkit.Server, testkit.Client, "SA", 300, 101, ""), 1), flowscope.EventEstablished)
		assert.Equal(t, 0, n)
		assert.Equal(t, 1, testkit.Count(testkit.Track(tr, testkit.TCP(testkit.Client, testkit.Server, "A", 101, 301, ""), 2), flowscope.EventEstablished))
		assert.Equal(t, 0, testkit.Count(testkit.Track(tr, testkit.TCP(testkit.Client, testkit.Server, "A", 101, 301, ""), 3), flowscope.EventEstablished))
	})
	t.Run("tcp_rst_emits_ended_rst", func(t *testing.T) {
		tr := testkit.NewTracker(t, all)
		testkit.Track(tr, testkit.TCP(testkit.Client, testkit.Server, "S", 100, 0, ""), 0)
		events := testkit.Track(tr, testkit.TCP(testkit.Server, testkit.Client, "RA", 0, 101, ""), 1)
		last := events[len(events)-1]
		assert.Equal(t, flowscope.EventEnded, last.Kind)
		assert.Equal(t, flowscope.EndRST, last.Reason)
		assert.Equal(t, 0, tr.Len())
	})
	t.Run("idle_timeout_sweep_evicts_udp", func(t *testing.T) {
		tr := testkit.NewTracker(t, all)
		testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 0)
		assert.Empty(t, tr.Sweep(testkit.Seconds(59)))
		events := tr.Sweep(testkit.Seconds(60))
		require.Equal(t, []flowscope.EventKind{flowscope.EventEnded}, testkit.Kinds(events))
		assert.Equal(t, flowscope.EndIdleTimeout, events[0].Reason)
	})
	t.Run("lru_evicts_oldest_on_overflow", func(t *testing.T) {
		tr := testkit.NewTracker(t, flowscope.Config{MaxFlows: 2})
		testkit.Track(tr, testkit.UDP("10.0.0.1:1", testkit.Server), 0)
		testkit.Track(tr, testkit.UDP("10.0.0.1:2", testkit.Server), 1)
		events := testkit.Track(tr, testkit.UDP("10.0.0.1:3", testkit.Server), 2)
		assert.Equal(t, flowscope.EndEvicted, events[0].Reason)
		assert.EqualValues(t, 1, events[0].Flow)
		assert.EqualValues(t, 1, tr.Stats().FlowsEvicted)
		assert.Equal(t, 2, tr.Len())
	})
	t.Run("user_state_initialized_per_flow", func(t *testing.T) {
		tr, err := flowscope.NewFlowTrackerWithState(flowscope.FiveTuple{}, all, func(flowscope.FiveTupleKey) int { return 42 })
		require.NoError(t, err)
		for _, ev := range tr.Track(flowscope.PacketView{Frame: testkit.UDP(testkit.Client, testkit.Server)}) {
			assert.Equal(t, 42, *tr.State(&ev))
			*tr.State(&ev) = 42
		}
		f, ok := tr.Get(testkit.KeyBetween(t, testkit.Client, testkit.Server))
		require.True(t, ok)
		*f.User = 43
		ended := tr.Finish()
		assert.Equal(t, 43, *tr.State(&ended[0]), "the state answers while Ended is handled")
		kept := ended[0]
		tr.Sweep(0)
		assert.Nil(t, tr.State(&kept))
	})
	t.Run("track_returns_no_events_on_unparseable", func(t *testing.T) {
		tr := testkit.NewTracker(t, all)
		assert.Empty(t, testkit.Track(tr, []byte{0, 0, 0, 0}, 0))
		assert.EqualValues(t, 1, tr.Stats().PacketsUnmatched)
		assert.EqualValues(t, 1, tr.Stats().Refused[flowscope.RefusedTruncatedEthernet])
	})
	t.Run("stats_counts_per_side_correctly", func(t *testing.T) {
		tr := testkit.NewTracker(t, all)
		testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 1)
		testkit.Track(tr, testkit.UDP(testkit.Server, testkit.Client), 2)
		testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 3)
		f, _ := tr.Get(testkit.KeyBetween(t, testkit.Client, testkit.Server))
		assert.Equal(t, [2]uint64{2, 1}, f.Stats.Packets)
		assert.Equal(t, [2]uint64{88, 44}, f.Stats.Bytes)
		assert.Equal(t, [2]uint64{4, 2}, f.Stats.Payload)
		assert.Equal(t, [2]flowscope.Timestamp{testkit.Seconds(1), testkit.Seconds(2)}, f.Stats.First)
		assert.Equal(t, [2]flowscope.Timestamp{testkit.Seconds(3), testkit.Seconds(2)}, f.Stats.Last)
		assert.Equal(t, testkit.Seconds(1), f.Stats.Start())
		assert.Equal(t, testkit.Seconds(3), f.Stats.End())
	})
	t.Run("hot_cache_does_not_change_event_sequence_for_monoflow", func(t *testing.T) {
		tr := testkit.NewTracker(t, all)
		started, packets := 0, 0
		for i := range 10 {
			events := testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), float64(i))
			started += testkit.Count(events, flowscope.EventStarted)
			packets += testkit.Count(events, flowscope.EventPacket)
		}
		assert.Equal(t, [2]int{1, 10}, [2]int{started, packets})
	})
	t.Run("hot_cache_handles_alternating_flows_correctly", func(t *testing.T) {
		tr := testkit.NewTracker(t, all)
		started, packets := 0, 0
		for i := range 10 {
			events := testkit.Track(tr, testkit.UDP([]string{"10.0.0.1:1", "10.0.0.1:2"}[i%2], testkit.Server), float64(i))
			started += testkit.Count(events, flowscope.EventStarted)
			packets += testkit.Count(events, flowscope.EventPacket)
		}
		assert.Equal(t, [3]int{2, 10, 2}, [3]int{started, packets, tr.Len()})
	})
}

func TestCrateFiveTuple(t *testing.T) {
	t.Run("syn_packet_forward", func(t *testing.T) {
		x := testkit.Extract(t, flowscope.FiveTuple{}, testkit.TCP("10.0.0.1:1000", "10.0.0.2:80", "S", 7, 0, ""))
		assert.Equal(t, flowscope.Forward, x.Orientation)
		assert.Equal(t, flowscope.L4TCP, x.L4)
		assert.True(t, x.HasTCP)
		assert.Equal(t, flowscope.FlagSYN, x.TCP.Flags)
		assert.EqualValues(t, 7, x.TCP.Seq)
		assert.Equal(t, "10.0.0.1:1000", x.Key.A().String())
		assert.Equal(t, "10.0.0.2:80", x.Key.B().String())
	})
	t.Run("bidirectional_canonicalizes", func(t *testing.T) {
		for _, ends := range [][2]string{
			{"10.0.0.1:9", "10.0.0.2:1"}, {"10.0.0.1:1", "10.0.0.1:2"}, {"9.0.0.0:1", "128.0.0.0:1"}, {"[fd00::1]:5", "[fe00::]:1"},
			{"[fd00:0:0:1::]:1", "[fd00:0:0:1::1]:0"},
		} {
			there, back := testkit.Extract(t, flowscope.FiveTuple{}, testkit.UDP(ends[0], ends[1])), testkit.Extract(t, flowscope.FiveTuple{}, testkit.UDP(ends[1], ends[0]))
			assert.Equal(t, there.Key, back.Key)
			assert.Equal(t, flowscope.Forward, there.Orientation)
			assert.Equal(t, flowscope.Reverse, back.Orientation)
			assert.Equal(t, ends[0], there.Key.A().String())
			from, to := back.Key.Ends(back.Orientation)
			assert.Equal(t, [2]string{ends[1], ends[0]}, [2]string{from.String(), to.String()})
		}
	})
	t.Run("directional_distinguishes_directions", func(t *testing.T) {
		f := flowscope.FiveTuple{Directional: true}
		there, back := testkit.Extract(t, f, testkit.UDP(testkit.Client, testkit.Server)), testkit.Extract(t, f, testkit.UDP(testkit.Server, testkit.Client))
		assert.NotEqual(t, there.Key, back.Key)
		assert.Equal(t, flowscope.Forward, there.Orientation)
		assert.Equal(t, flowscope.Forward, back.Orientation)
		assert.Equal(t, there.Key.Hash(5), back.Key.Hash(5), "both directions go to one worker")
	})
	t.Run("udp_no_tcp_info", func(t *testing.T) {
		x := testkit.Extract(t, flowscope.FiveTuple{}, testkit.UDP(testkit.Client, testkit.Server))
		assert.False(t, x.HasTCP)
		assert.Equal(t, flowscope.L4UDP, x.L4)
		assert.Equal(t, "hi", string(x.Payload))
	})
	t.Run("ipv6_supported", func(t *testing.T) {
		x := testkit.Extract(t, flowscope.FiveTuple{}, testkit.TCP("[fd00::1]:1", "[fd00::2]:2", "A", 1, 1, ""))
		assert.Equal(t, "tcp [fd00::1]:1 <-> [fd00::2]:2", x.Key.String())
	})
	t.Run("malformed_returns_none", func(t *testing.T) {
		assert.Equal(t, flowscope.RefusedTruncatedEthernet, testkit.Refuse(t, flowscope.FiveTuple{}, make([]byte, 5)))
		assert.Equal(t, flowscope.RefusedTruncatedIPv4, testkit.Refuse(t, flowscope.FiveTuple{}, testkit.UDP(testkit.Client, testkit.Server)[:20]))
		assert.Equal(t, "truncated_ipv4", flowscope.RefusedTruncatedIPv4.String())
	})
	t.Run("key_hash_eq_consistency", func(t *testing.T) {
		a, b := testkit.Extract(t, flowscope.FiveTuple{}, testkit.UDP(testkit.Client, testkit.Server)).Key, testkit.Extract(t, flowscope.FiveTuple{}, testkit.UDP(testkit.Server, testkit.Client)).Key
		assert.Equal(t, a, b)
		assert.Equal(t, a.Hash(1), b.Hash(1))
		assert.NotEqual(t, a.Hash(1), a.Hash(2))
		made, err := flowscope.NewFiveTupleKey(flowscope.L4UDP, netip.MustParseAddrPort(testkit.Server), netip.MustParseAddrPort(testkit.Client))
		require.NoError(t, err)
		assert.Equal(t, a, made)
	})
	t.Run("families never meet", func(t *testing.T) {
		keys := map[flowscope.FiveTupleKey]string{}
		for _, a := range [][2]string{
			{"1.2.3.4:1", "1.2.3.5:1"}, {"[::1.2.3.4]:1", "[::1.2.3.5]:1"}, {"[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.5]:1"},
		} {
			k, err := flowscope.NewFiveTupleKey(flowscope.L4UDP, netip.MustParseAddrPort(a[0]), netip.MustParseAddrPort(a[1]))
			require.NoError(t, err)
			assert.Equal(t, netip.MustParseAddrPort(a[0]), k.A())
			assert.Equal(t, netip.MustParseAddrPort(a[1]), k.B())
			keys[k] = a[0]
		}
		assert.Len(t, keys, 3)
	})
	t.Run("protocols and VLANs tell keys apart if asked to", func(t *testing.T) {
		plain, tagged := flowscope.FiveTuple{}, flowscope.FiveTuple{VLAN: true}
		one := frames.UDP{Src: testkit.Client, Dst: testkit.Server, VLANs: []uint16{10, 3}}.Ethernet()
		two := frames.UDP{Src: testkit.Client, Dst: testkit.Server, VLANs: []uint16{20}}.Ethernet()
		none := frames.UDP{Src: testkit.Client, Dst: testkit.Server}.Ethernet()
		assert.Equal(t, testkit.Extract(t, plain, one).Key, testkit.Extract(t, plain, two).Key)
		assert.Equal(t, testkit.Extract(t, plain, none).Key, testkit.Extract(t, tagged, none).Key)
		priority := frames.UDP{Src: testkit.Client, Dst: testkit.Server, VLANs: []uint16{5 << 13}}.Ethernet() // IEEE 802.1Q: of no VLAN
		assert.Equal(t, testkit.Extract(t, plain, none).Key, testkit.Extract(t, tagged, priority).Key)
		assert.Equal(t, testkit.Extract(t, plain, none).Key, testkit.Extract(t, tagged, two).Key.WithVLAN(0))
		k := testkit.Extract(t, tagged, one).Key
		id, ok := k.VLAN()
		assert.True(t, ok)
		assert.EqualValues(t, 10, id)
		assert.Equal(t, testkit.Extract(t, plain, none).Key.WithVLAN(10), k)
		assert.NotEqual(t, k, testkit.Extract(t, tagged, two).Key)
		assert.Equal(t, "udp 10.0.0.1:1234 <-> 10.0.0.2:80 vlan 10", k.String())
	})
	t.Run("ICMP goes by its identifier", func(t *testing.T) {
		for _, hosts := range [][2]string{{"10.0.0.1", "10.0.0.2"}, {"fd00::1", "fd00::2"}} {
			q := testkit.Extract(t, flowscope.FiveTuple{}, frames.ICMPEcho{Src: hosts[0], Dst: hosts[1], ID: 7, Seq: 1}.Ethernet())
			a := testkit.Extract(t, flowscope.FiveTuple{}, frames.ICMPEcho{Src: hosts[1], Dst: hosts[0], ID: 7, Seq: 1, Reply: true}.Ethernet())
			other := testkit.Extract(t, flowscope.FiveTuple{}, frames.ICMPEcho{Src: hosts[0], Dst: hosts[1], ID: 8}.Ethernet())
			assert.Equal(t, q.Key, a.Key)
			assert.NotEqual(t, q.Orientation, a.Orientation)
			assert.NotEqual(t, q.Key, other.Key)
			assert.EqualValues(t, 7, q.Key.ICMPID())
			assert.EqualValues(t, 0, q.Key.A().Port())
			end := netip.AddrPortFrom(netip.MustParseAddr(hosts[1]), 7)
			start := netip.AddrPortFrom(netip.MustParseAddr(hosts[0]), 7)
			made, err := flowscope.NewFiveTupleKey(q.L4, end, start)
			require.NoError(t, err)
			assert.Equal(t, q.Key, made)
		}
	})
}

func TestCrateIPPair(t *testing.T) {
	t.Run("extracts_ipv4_pair", func(t *testing.T) {
		x := testkit.Extract(t, flowscope.IPPair{}, testkit.TCP(testkit.Client, testkit.Server, "S", 1, 0, ""))
		assert.Equal(t, "10.0.0.1 <-> 10.0.0.2", x.Key.String())
		assert.Equal(t, flowscope.L4TCP, x.L4)
		assert.False(t, x.HasTCP, "no TCP state")
	})
	t.Run("bidirectional_canonical", func(t *testing.T) {
		there, back := testkit.Extract(t, flowscope.IPPair{}, testkit.UDP(testkit.Client, testkit.Server)), testkit.Extract(t, flowscope.IPPair{}, testkit.UDP(testkit.Server, testkit.Client))
		assert.Equal(t, there.Key, back.Key)
		assert.NotEqual(t, there.Orientation, back.Orientation)
	})
	t.Run("one flow whatever the protocol, fragments too", func(t *testing.T) {
		tr, err := flowscope.NewFlowTracker(flowscope.IPPair{}, flowscope.Config{})
		require.NoError(t, err)
		big := frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}.IP()
		views := [][]byte{testkit.UDP(testkit.Client, testkit.Server), testkit.TCP(testkit.Server, testkit.Client, "S", 1, 0, ""), frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2"}.Ethernet()}
		for _, piece := range frames.Fragments(big, 40, 1) {
			views = append(views, frames.Ethernet(piece))
		}
		for _, f := range views {
			tr.Track(flowscope.PacketView{Frame: f})
		}
		assert.Equal(t, 1, tr.Len())
		assert.EqualValues(t, 1, tr.Stats().FlowsCreated)
		assert.EqualValues(t, 0, tr.Stats().PacketsUnmatched)
	})
	t.Run("no address, no pair", func(t *testing.T) {
		assert.Equal(t, flowscope.RefusedTruncatedIPv4, testkit.Refuse(t, flowscope.IPPair{}, testkit.UDP(testkit.Client, testkit.Server)[:30]))
	})
}

func TestCrateMACPair(t *testing.T) {
	frame := func(dst, src byte) []byte {
		return []byte{dst, 0, 0, 0, 0, 1, src, 0, 0, 0, 0, 1, 0x08, 0x06, 1, 2, 3}
	}
	t.Run("extracts_mac_pair", func(t *testing.T) {
		x := testkit.Extract(t, flowscope.MACPair{}, frame(4, 2))
		assert.Equal(t, "02:00:00:00:00:01 <-> 04:00:00:00:00:01", x.Key.String())
		assert.Equal(t, [6]byte{2, 0, 0, 0, 0, 1}, x.Key.A())
		assert.Equal(t, flowscope.Forward, x.Orientation)
		assert.EqualValues(t, 0, x.L4)
		assert.Equal(t, []byte{1, 2, 3}, x.Payload)
	})
	t.Run("truncated_returns_none", func(t *testing.T) {
		assert.Equal(t, flowscope.RefusedTruncatedEthernet, testkit.Refuse(t, flowscope.MACPair{}, frame(4, 2)[:13]))
		var x flowscope.Extracted[flowscope.MACPairKey]
		assert.False(t, flowscope.MACPair{}.Extract(flowscope.PacketView{Frame: frame(4, 2), LinkType: flowscope.LinkTypeRaw}, &x))
		assert.Equal(t, flowscope.RefusedNoMACs, x.Refused)
	})
	t.Run("bidirectional_canonical", func(t *testing.T) {
		there, back := testkit.Extract(t, flowscope.MACPair{}, frame(4, 2)), testkit.Extract(t, flowscope.MACPair{}, frame(2, 4))
		assert.Equal(t, there.Key, back.Key)
		assert.Equal(t, flowscope.Reverse, back.Orientation)
	})
}

func mixedShort() (f testkit.Fixture) {
	const step = 200 * time.Microsecond
	f.Add(step, testkit.TCP("10.0.0.1:33000", "10.0.0.2:22", "S", 1, 0, ""))
	f.Add(step, testkit.TCP("10.0.0.2:22", "10.0.0.1:33000", "SA", 9, 2, ""))
	f.Add(step, testkit.TCP("10.0.0.1:33000", "10.0.0.2:22", "A", 2, 10, ""))
	f.Add(step, testkit.UDP("10.0.0.1:12345", "10.0.0.2:514"))
	f.Add(step, frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 1, Payload: make([]byte, 8)}.Ethernet())
	f.Add(step, frames.ICMPEcho{Src: "10.0.0.2", Dst: "10.0.0.1", ID: 1, Payload: make([]byte, 8), Reply: true}.Ethernet())
	f.Add(step, testkit.UDP("10.0.0.1:53001", "10.0.0.2:53"))
	return f
}

func TestCrateFixtures(t *testing.T) {
	t.Run("http_session_full_lifecycle", func(t *testing.T) {
		all := slices.DeleteFunc(testkit.HTTPSession().Run(t), func(ev flowscope.FlowEvent[flowscope.FiveTupleKey]) bool {
			return ev.Kind >= flowscope.EventData && ev.Kind < flowscope.EventEnded
		})
		require.Len(t, all, 18)
		for kind, n := range map[flowscope.EventKind]int{
			flowscope.EventStarted: 1, flowscope.EventStateChange: 5, flowscope.EventEstablished: 1, flowscope.EventPacket: 10, flowscope.EventEnded: 1,
		} {
			assert.Equal(t, n, testkit.Count(all, kind), kind)
		}
		last := all[17]
		assert.Equal(t, flowscope.EndFIN, last.Reason)
		assert.Equal(t, "10.0.0.1:54321", last.Key.A().String())
		assert.Equal(t, [2]uint64{6, 4}, last.Stats.Packets)
		assert.Equal(t, [2]uint64{401, 293}, last.Stats.Bytes)
		assert.Equal(t, [2]uint64{77, 77}, last.Stats.Payload)
		assert.Equal(t, "ShADadFf", last.History.String(), "SsDdFf in the crate")
		assert.Equal(t, 50*time.Microsecond, last.Stats.SYNToSYNACK)
		assert.Equal(t, 50*time.Microsecond, last.Stats.SYNACKToACK)
		assert.Equal(t, [2]flowscope.TCPFlags{0x1b, 0x1b}, last.Stats.Flags)
	})
	t.Run("dns_queries_parsed_as_udp_flows", func(t *testing.T) {
		all := testkit.DNSQueries().Run(t)
		require.Equal(t, 1, testkit.Count(all, flowscope.EventStarted))
		assert.Equal(t, 6, testkit.Count(all, flowscope.EventPacket))
		require.Len(t, all, 8)
		last := all[7]
		assert.Equal(t, flowscope.EndIdleTimeout, last.Reason)
		assert.Equal(t, flowscope.L4UDP, last.L4)
		assert.Equal(t, flowscope.Reverse, last.Orientation, "the initiator stands second in the key")
		assert.Equal(t, [2]uint64{3, 3}, last.Stats.Packets)
		assert.Equal(t, [2]uint64{217, 282}, last.Stats.Bytes)
	})
	t.Run("mixed_short_has_tcp_udp_and_icmp", func(t *testing.T) {
		all := mixedShort().Run(t)
		var ended []string
		for _, ev := range all {
			if ev.Kind == flowscope.EventEnded {
				ended = append(ended, fmt.Sprintf("%v %v %d+%d %v", ev.L4, ev.Reason, ev.Stats.Packets[0], ev.Stats.Packets[1], ev.History))
			}
		}
		// In the order of creation; the crate's is that of use, the last first.
		assert.Equal(t, []string{"tcp idle 2+1 ShA", "udp idle 1+0 ", "icmp idle 1+1 ", "udp idle 1+0 "}, ended)
		assert.Equal(t, 1, testkit.Count(all, flowscope.EventEstablished))
	})
	t.Run("views_iterates_in_order", func(t *testing.T) {
		var b bytes.Buffer
		w := pcapgo.NewWriter(&b)
		require.NoError(t, w.WriteFileHeader(65535, layers.LinkTypeEthernet))
		in := testkit.HTTPSession()
		for _, v := range in {
			require.NoError(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: v.Timestamp.Time(), CaptureLength: len(v.Frame), Length: len(v.Frame)}, v.Frame))
		}
		assert.Equal(t, 878, b.Len(), "the size of the crate's file")
		i := 0
		for v, err := range flowscope.ReadCapture(&b) {
			require.NoError(t, err)
			assert.Equal(t, in[i].Frame, v.Frame)
			assert.Equal(t, in[i].Timestamp, v.Timestamp)
			assert.Equal(t, in[i].ID, v.ID)
			assert.Equal(t, flowscope.LinkTypeEthernet, v.LinkType)
			i++
		}
		assert.Equal(t, len(in), i)
	})
	t.Run("event_iter_runs_final_sweep_on_pcap_exhaustion", func(t *testing.T) {
		all := mixedShort().Run(t)
		assert.Equal(t, testkit.Count(all, flowscope.EventStarted), testkit.Count(all, flowscope.EventEnded))
		for _, ev := range all {
			if ev.Kind == flowscope.EventEnded {
				assert.Equal(t, flowscope.EndIdleTimeout, ev.Reason)
			}
		}
	})
}
