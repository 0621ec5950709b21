package acceptance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// quotable is one packet of each protocol that an error can be about, from client to server.
func quotable(v6 bool) map[string][]byte {
	a, b, echo := testkit.Client, testkit.Server, frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 7}
	if v6 {
		a, b, echo = "[fd00::1]:1234", "[fd00::2]:80", frames.ICMPEcho{Src: "fd00::1", Dst: "fd00::2", ID: 7}
	}
	return map[string][]byte{
		"tcp": frames.TCP{Src: a, Dst: b, Flags: "S", Seq: 1000}.IP(), "udp": frames.UDP{Src: a, Dst: b, Payload: []byte("hello")}.IP(),
		"echo": echo.IP(), "sctp": frames.SCTP{Src: a, Dst: b, Payload: []byte{1, 0, 0, 4}}.IP(),
		"gre": frames.Over(testkit.HostOf(a), testkit.HostOf(b), 47, make([]byte, 20)),
	}
}

// An error brings its type and code to the flow it is about, on the side that sent what is quoted.
func TestEveryICMPErrorIsBroughtToItsFlow(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		kinds, from, to := []byte{3, 4, 5, 11, 12}, "10.0.0.9", "10.0.0.1"
		if v6 {
			kinds, from, to = []byte{1, 2, 3, 4, 127}, "fd00::9", "fd00::1"
		}
		for name, packet := range quotable(v6) {
			for code, kind := range kinds {
				l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
				l.Track(flowscope.PacketView{Frame: frames.Ethernet(packet), ID: 1})
				n := len(packet)
				if code > 0 && !v6 {
					n = 28 // what RFC 792 asks for
				}
				f := frames.Ethernet(testkit.ICMPError(from, to, kind, byte(code), packet[:n]))
				events := l.Track(flowscope.PacketView{Frame: f, ID: 2})
				require.Len(t, events, 1, "%s by type %d", name, kind)
				ev := events[0]
				assert.Equal(t, flowscope.EventICMPError, ev.Kind)
				assert.Equal(t, [2]uint8{kind, byte(code)}, [2]uint8{ev.ICMPType, ev.ICMPCode})
				assert.Equal(t, flowscope.Initiator, ev.Side)
				assert.EqualValues(t, 1, ev.Flow)
				assert.EqualValues(t, len(f), ev.Len)
				assert.EqualValues(t, 2, ev.Packet)
				flow, ok := l.Tracker.Get(keyOf(t, frames.Ethernet(packet)))
				require.True(t, ok)
				assert.Equal(t, [2]uint64{1, 0}, flow.Stats.Packets, "it counts in no flow")
				st := l.Tracker.Stats()
				assert.Equal(t, [2]uint64{1, 1}, [2]uint64{st.ICMPErrorsMatched, st.FlowsCreated})
				l.Finish()
			}
		}
	}
}

func TestAnICMPErrorAboutAnAnswerIsOfTheResponder(t *testing.T) {
	for _, ex := range []testkit.Extractor{flowscope.FiveTuple{}, flowscope.FiveTuple{VLAN: true}} {
		l := testkit.NewAudited(t, ex, flowscope.Config{})
		l.Track(flowscope.PacketView{Frame: frames.UDP{Src: testkit.Client, Dst: testkit.Server, VLANs: []uint16{7}}.Ethernet(), ID: 1})
		answer := frames.UDP{Src: testkit.Server, Dst: testkit.Client}.IP()
		l.Track(flowscope.PacketView{Frame: frames.Ethernet(answer, 7), ID: 2})
		events := l.Track(flowscope.PacketView{Frame: frames.Ethernet(testkit.ICMPError("10.0.0.1", "10.0.0.2", 3, 3, answer), 7), ID: 3})
		require.Len(t, events, 1)
		assert.Equal(t, flowscope.Responder, events[0].Side)
	}
	// Each direction is a flow of its own, begun by its sender; another VLAN is another flow.
	l := testkit.NewAudited(t, flowscope.FiveTuple{Directional: true}, flowscope.Config{})
	l.Track(flowscope.PacketView{Frame: testkit.UDP(testkit.Client, testkit.Server), ID: 1})
	l.Track(flowscope.PacketView{Frame: testkit.UDP(testkit.Server, testkit.Client), ID: 2})
	events := l.Track(flowscope.PacketView{Frame: frames.Ethernet(testkit.ICMPError("10.0.0.1", "10.0.0.2", 3, 3, testkit.UDP(testkit.Server, testkit.Client)[14:])), ID: 3})
	require.Len(t, events, 1)
	assert.EqualValues(t, 2, events[0].Flow)
	assert.Equal(t, flowscope.Initiator, events[0].Side)
	v := testkit.NewAudited(t, flowscope.FiveTuple{VLAN: true}, flowscope.Config{})
	v.Track(flowscope.PacketView{Frame: frames.UDP{Src: testkit.Client, Dst: testkit.Server, VLANs: []uint16{7}}.Ethernet(), ID: 1})
	v.Track(flowscope.PacketView{Frame: frames.Ethernet(testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 3, testkit.UDP(testkit.Client, testkit.Server)[14:]), 8), ID: 2})
	assert.EqualValues(t, 0, v.Tracker.Stats().ICMPErrorsMatched)
}

// What is about nothing that is known is a packet like any other, and so is what quotes too little, or goes to
// somebody else than the sender of what it quotes.
func TestICMPErrorsAboutNoKnownFlowAreFlowsOfTheirOwn(t *testing.T) {
	known := testkit.UDP(testkit.Client, testkit.Server)[14:]
	stranger := frames.UDP{Src: "10.0.0.1:999", Dst: testkit.Server}.IP()
	later := testkit.Piece{Offset: 8, Body: testkit.WholeDatagram[8:]}.Packet()
	for name, e := range map[string][]byte{
		"unknown flow":         testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, stranger),
		"quoted too short":     testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, known[:27]),
		"nothing quoted":       testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, nil),
		"not to its sender":    testkit.ICMPError("10.0.0.9", "10.0.0.2", 3, 1, known),
		"no error":             testkit.ICMPError("10.0.0.9", "10.0.0.1", 8, 0, known),
		"a later fragment":     testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, later),
		"about an error":       testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, testkit.ICMPError("10.0.0.1", "10.0.0.2", 3, 1, known)),
		"of the wrong family":  testkit.ICMPError("fd00::9", "fd00::1", 1, 0, known),
		"of a mapped address":  testkit.ICMPError("::ffff:10.0.0.9", "::ffff:10.0.0.1", 1, 0, known),
		"with another version": testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, append([]byte{0x75}, known[1:]...)),
	} {
		l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
		l.Track(flowscope.PacketView{Frame: frames.Ethernet(known), ID: 1})
		events := l.Track(flowscope.PacketView{Frame: frames.Ethernet(e), ID: 2})
		assert.Equal(t, []flowscope.EventKind{flowscope.EventStarted, flowscope.EventPacket}, testkit.Kinds(events), name)
		assert.Equal(t, 2, l.Tracker.Len(), name)
		assert.Zero(t, l.Tracker.Stats().ICMPErrorsMatched, name)
		l.Finish()
	}
}

// K11: of a TCP flow an error must quote a number that was sent. Of a side that was not heard nothing is known.
func TestAnICMPErrorMustQuoteWhatWasSent(t *testing.T) {
	for _, c := range []struct {
		name      string
		dir       int
		seq       uint32
		plausible bool
	}{
		{"the SYN", 0, 999, true}, {"the first byte", 0, 1000, true}, {"the last number", 0, 1010, true},
		{"beyond", 0, 1011, false}, {"before", 0, 998, false}, {"far away", 0, 1 << 31, false},
		{"the answer", 1, 4999, true}, {"beyond the answer", 1, 5001, false},
	} {
		ends := [2]string{testkit.Client, testkit.Server}
		l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
		for i, f := range [][]byte{
			testkit.TCP(testkit.Client, testkit.Server, "S", 999, 0, ""), testkit.TCP(testkit.Server, testkit.Client, "SA", 4999, 1000, ""), testkit.TCP(testkit.Client, testkit.Server, "PA", 1000, 5000, "ten bytes."),
		} {
			l.Track(flowscope.PacketView{Frame: f, ID: uint64(i + 1)})
		}
		quoted := frames.TCP{Src: ends[c.dir], Dst: ends[1-c.dir], Seq: c.seq, Flags: "A"}.IP()
		events := l.Track(flowscope.PacketView{Frame: frames.Ethernet(testkit.ICMPError("10.0.0.9", testkit.HostOf(ends[c.dir]), 3, 1, quoted[:28])), ID: 9})
		require.Len(t, events, 1, c.name)
		want := flowscope.EventAnomaly
		if c.plausible {
			want = flowscope.EventICMPError
		} else {
			assert.Equal(t, flowscope.AnomalyImplausibleICMP, events[0].Anomaly, c.name)
		}
		assert.Equal(t, want, events[0].Kind, c.name)
		assert.Equal(t, flowscope.FlowSide(c.dir), events[0].Side, c.name)
		assert.EqualValues(t, 1, l.Tracker.Stats().ICMPErrorsMatched, "either way it begins no flow")
		assert.Equal(t, flowscope.StateEstablished, events[0].State, "and changes none")
		l.Finish()
	}
}

func TestAnICMPErrorAboutAConnectionThatHasEndedSaysNothing(t *testing.T) {
	l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
	syn := testkit.TCP(testkit.Client, testkit.Server, "S", 999, 0, "")
	l.Track(flowscope.PacketView{Frame: syn, ID: 1})
	l.Track(flowscope.PacketView{Frame: testkit.TCP(testkit.Server, testkit.Client, "RA", 0, 1000, ""), ID: 2})
	require.EqualValues(t, 1, l.Tracker.Stats().FlowsLingering)
	e := frames.Ethernet(testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, syn[14:]))
	assert.Empty(t, l.Track(flowscope.PacketView{Frame: e, ID: 3}))
	st := l.Tracker.Stats()
	assert.Equal(t, [3]uint64{1, 0, 1}, [3]uint64{st.ICMPErrorsMatched, st.PacketsLate, st.FlowsCreated})
	l.Sweep(testkit.Seconds(60)) // forgotten
	assert.Equal(t, 1, testkit.Count(l.Track(flowscope.PacketView{Frame: e, Timestamp: testkit.Seconds(61), ID: 4}), flowscope.EventStarted))
	// A flow whose time is up is not prolonged, though nobody has swept.
	u := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
	u.Track(flowscope.PacketView{Frame: testkit.UDP(testkit.Client, testkit.Server), ID: 1})
	u.Track(flowscope.PacketView{Frame: frames.Ethernet(testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, testkit.UDP(testkit.Client, testkit.Server)[14:])), Timestamp: testkit.Seconds(59), ID: 2})
	assert.Equal(t, 1, testkit.Count(u.Sweep(testkit.Seconds(60)), flowscope.EventEnded), "an error is no sign of life")
	// So many are overdue that not all have been ended yet.
	many := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
	f := testkit.UDP(testkit.Client, testkit.Server)
	for i := range uint32(300) {
		testkit.Readdress(f, 0x0b000000+i)
		testkit.Rechecksum(f[14:])
		many.Track(flowscope.PacketView{Frame: slices.Clone(f), Timestamp: flowscope.Timestamp(i), ID: 1})
	}
	quoted := frames.UDP{Src: "11.0.0.0:1234", Dst: testkit.Server}.IP()
	v := flowscope.PacketView{Frame: frames.Ethernet(testkit.ICMPError("10.0.0.9", "11.0.0.0", 3, 1, quoted)), Timestamp: testkit.Seconds(200), ID: 2}
	_, alive := many.Tracker.Get(keyOf(t, frames.Ethernet(quoted)))
	require.True(t, alive)
	many.Track(v)
	_, alive = many.Tracker.Get(keyOf(t, frames.Ethernet(quoted)))
	require.True(t, alive, "its turn has not come")
	assert.Zero(t, many.Tracker.Stats().ICMPErrorsMatched)
}

func TestICMPErrorsInsideTunnels(t *testing.T) {
	for _, e := range testkit.Encapsulations() {
		ends := testkit.TunnelEnds[1]
		packet := frames.UDP{Src: ends[0], Dst: ends[1]}.IP()
		about := testkit.ICMPError("2001:0:1::9", testkit.HostOf(ends[0]), 1, 4, packet)
		for name, play := range map[string]func(...[]byte) ([]flowscope.EventKind, flowscope.TrackerStats){
			"AutoDetectEncap": playing(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{})),
			"PerTunnel":       playing(t, flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{}))),
		} {
			said, st := play(e.Put(0, packet), e.Put(1, about))
			assert.Equal(t, []flowscope.EventKind{flowscope.EventICMPError}, said, "%s %s", e.Name, name)
			assert.Equal(t, [2]uint64{1, 1}, [2]uint64{st.ICMPErrorsMatched, st.FlowsCreated}, "%s %s", e.Name, name)
		}
	}
	// The error of one tenant is not about the flow of another.
	packet := testkit.UDP(testkit.Client, testkit.Server)[14:]
	about := testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, packet)
	_, st := playing(t, flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{})))(testkit.VXLANOf(77, packet), testkit.VXLANOf(78, about))
	assert.Equal(t, [2]uint64{0, 2}, [2]uint64{st.ICMPErrorsMatched, st.FlowsCreated})
	// The label of an error need not be that of the flow.
	_, st = playing(t, flowscope.FlowLabel(flowscope.FiveTuple{}))(frames.Ethernet(packet), frames.Ethernet(about))
	assert.Equal(t, [2]uint64{0, 2}, [2]uint64{st.ICMPErrorsMatched, st.FlowsCreated})
}

// playing gives the kinds of the last packet's events, and the counters.
func playing[K comparable](t *testing.T, ex flowscope.FlowExtractor[K]) func(...[]byte) ([]flowscope.EventKind, flowscope.TrackerStats) {
	return func(all ...[]byte) (k []flowscope.EventKind, st flowscope.TrackerStats) {
		l := testkit.NewAudited(t, ex, flowscope.Config{})
		for i, f := range all {
			k = testkit.Kinds(l.Track(flowscope.PacketView{Frame: f, ID: uint64(i + 1)}))
		}
		st = l.Tracker.Stats()
		l.Finish()
		return k, st
	}
}

func TestAnICMPErrorThatNobodyWantsIsCountedAllTheSame(t *testing.T) {
	tr := testkit.NewTracker(t, flowscope.Config{Events: flowscope.AllEvents &^ (1 << flowscope.EventICMPError)})
	testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 0)
	e := testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 1, testkit.UDP(testkit.Client, testkit.Server)[14:])
	assert.Empty(t, testkit.Track(tr, frames.Ethernet(e), 1))
	assert.EqualValues(t, 1, tr.Stats().ICMPErrorsMatched)
	// With a wrong checksum it is nobody's.
	verify := testkit.NewTracker(t, flowscope.Config{Checksums: flowscope.ChecksumVerify})
	testkit.Track(verify, testkit.UDP(testkit.Client, testkit.Server), 0)
	e[len(e)-1] ^= 1
	assert.Empty(t, testkit.Track(verify, frames.Ethernet(e), 1))
	st := verify.Stats()
	assert.Equal(t, [2]uint64{0, 1}, [2]uint64{st.ICMPErrorsMatched, st.Refused[flowscope.RefusedBadChecksum]})
	assert.Zero(t, st.Anomalies[flowscope.AnomalyBadChecksum])
}

// K5: equal numbers of different protocols are different flows.
func TestProtocolsWithEqualNumbersAreKeptApart(t *testing.T) {
	l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{})
	ends := [2]string{"10.0.0.1:7", "10.0.0.2:7"}
	all := [][]byte{
		frames.TCP{Src: ends[0], Dst: ends[1], Flags: "S"}.IP(), frames.UDP{Src: ends[0], Dst: ends[1]}.IP(),
		frames.SCTP{Src: ends[0], Dst: ends[1]}.IP(), frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 7}.IP(),
		frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 8}.IP(), frames.Over("10.0.0.1", "10.0.0.2", 136, []byte{0, 7, 0, 7, 0, 0, 0, 0}),
	}
	for i, p := range slices.Concat(all, all) {
		l.Track(flowscope.PacketView{Frame: frames.Ethernet(p), ID: uint64(i + 1)})
	}
	reply := frames.ICMPEcho{Src: "10.0.0.2", Dst: "10.0.0.1", ID: 7, Reply: true}.Ethernet()
	l.Track(flowscope.PacketView{Frame: reply, ID: 99})
	var said []string
	for f := range l.Tracker.Flows() {
		said = append(said, fmt.Sprint(f.Key, " ", f.Stats.Packets))
	}
	slices.Sort(said)
	assert.Equal(t, []string{
		"icmp 10.0.0.1 <-> 10.0.0.2 id 7 [2 1]", "icmp 10.0.0.1 <-> 10.0.0.2 id 8 [2 0]", "ip-136 10.0.0.1 <-> 10.0.0.2 [2 0]",
		"sctp 10.0.0.1:7 <-> 10.0.0.2:7 [2 0]", "tcp 10.0.0.1:7 <-> 10.0.0.2:7 [2 0]", "udp 10.0.0.1:7 <-> 10.0.0.2:7 [2 0]",
	}, said)
	l.Finish()
}
