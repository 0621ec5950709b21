package acceptance

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// pseudo is what is left to a network card: the sum over addresses, protocol and length.
func pseudo(frame []byte) uint16 {
	ip, sum := frame[14:], uint32(0)
	addrs, proto, length := ip[12:20], ip[9], len(ip)-20
	if ip[0]>>4 == 6 {
		addrs, proto, length = ip[8:40], ip[6], len(ip)-40
	}
	for i := 0; i < len(addrs); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(addrs[i:]))
	}
	sum += uint32(proto) + uint32(length)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// verdict is what a mode makes of a frame: whether it is held against it, and which counter it moves.
type verdict struct {
	name                       string
	frame                      []byte
	cut                        int
	bad, partial, unknown      uint64
	refusedVerify, refusedAuto bool // auto that has learned that checksums mean something
	headerBad                  bool
}

func verdicts() []verdict {
	tcp4, tcp6 := testkit.TCP(testkit.Client, testkit.Server, "S", 7, 0, "odd"), testkit.TCP("[fd00::1]:1234", "[fd00::2]:80", "S", 7, 0, "odd")
	udp4, udp6 := testkit.UDP(testkit.Client, testkit.Server), testkit.UDP("[fd00::1]:1234", "[fd00::2]:80")
	wrong := func(f []byte, at int) []byte { return testkit.Changed(f, at, binary.BigEndian.Uint16(f[at:])^0x1234) }
	// A payload that makes the sum come out as 0, which UDP writes as FFFF (RFC 768).
	zero := frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: []byte{0, 0}}.Ethernet()
	zero = testkit.Changed(testkit.Changed(zero, 42, binary.BigEndian.Uint16(zero[testkit.SumUDP4:])), testkit.SumUDP4, 0xffff)
	echo := frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 3}.Ethernet()
	sctp := frames.Ethernet(frames.SCTP{Src: testkit.Client, Dst: testkit.Server, Payload: []byte{1, 0, 0, 4}}.IP())
	return []verdict{
		{name: "good TCP", frame: tcp4}, {name: "good TCP over IPv6", frame: tcp6}, {name: "good UDP", frame: udp4},
		{name: "good UDP over IPv6", frame: udp6}, {name: "good echo", frame: echo}, {name: "good SCTP", frame: sctp},
		{name: "bad TCP", frame: wrong(tcp4, testkit.SumTCP4), bad: 1, refusedVerify: true, refusedAuto: true},
		{name: "bad TCP over IPv6", frame: wrong(tcp6, testkit.SumTCP6), bad: 1, refusedVerify: true, refusedAuto: true},
		{name: "bad UDP", frame: wrong(udp4, testkit.SumUDP4), bad: 1, refusedVerify: true, refusedAuto: true},
		{name: "bad UDP over IPv6", frame: wrong(udp6, testkit.SumUDP6), bad: 1, refusedVerify: true, refusedAuto: true},
		{name: "bad echo", frame: wrong(echo, 36), bad: 1, refusedVerify: true, refusedAuto: true},
		{name: "bad SCTP", frame: wrong(sctp, 42), bad: 1, refusedVerify: true, refusedAuto: true},
		{name: "TCP left to a card", frame: testkit.Changed(tcp4, testkit.SumTCP4, pseudo(tcp4)), partial: 1, refusedVerify: true},
		{name: "TCP over IPv6 left to a card", frame: testkit.Changed(tcp6, testkit.SumTCP6, pseudo(tcp6)), partial: 1, refusedVerify: true},
		{name: "UDP left to a card", frame: testkit.Changed(udp4, testkit.SumUDP4, pseudo(udp4)), partial: 1, refusedVerify: true},
		{name: "truncated", frame: wrong(tcp4, testkit.SumTCP4), cut: 1, unknown: 1},
		{name: "truncated UDP", frame: wrong(udp4, testkit.SumUDP4), cut: 1, unknown: 1},
		{name: "UDP without", frame: testkit.Changed(udp4, testkit.SumUDP4, 0)},
		{name: "UDP over IPv6 without", frame: testkit.Changed(udp6, testkit.SumUDP6, 0), bad: 1, refusedVerify: true, refusedAuto: true},
		{name: "UDP of FFFF", frame: zero},
		{name: "TCP of FFFF that is wrong", frame: testkit.Changed(tcp4, testkit.SumTCP4, 0xffff), bad: 1, refusedVerify: true, refusedAuto: true},
		{name: "bad IPv4 header", frame: wrong(tcp4, testkit.SumIP), bad: 1, refusedVerify: true, refusedAuto: true, headerBad: true},
		{name: "IPv4 header left to a card", frame: testkit.Changed(tcp4, testkit.SumIP, 0), partial: 1, refusedVerify: true},
		{name: "bad IPv4 header of a cut packet", frame: wrong(tcp4, testkit.SumIP), cut: 1, bad: 1, refusedVerify: true, refusedAuto: true, headerBad: true},
	}
}

// learned makes ChecksumAuto believe in the checksums of package frames' address.
func learned(l *testkit.Ledger[testkit.Key], good []byte) {
	for range 1000 {
		l.Track(flowscope.PacketView{Frame: good, ID: 1})
	}
}

func TestChecksumsByMode(t *testing.T) {
	for _, c := range verdicts() {
		for mode := flowscope.ChecksumIgnore; mode <= flowscope.ChecksumAuto; mode++ {
			name := fmt.Sprint(c.name, ", ", mode)
			l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{Checksums: mode})
			if mode == flowscope.ChecksumAuto {
				learned(l, testkit.UDP("10.9.9.9:1", testkit.Server))
			}
			before := l.Tracker.Stats()
			v := flowscope.PacketView{Frame: c.frame[:len(c.frame)-c.cut], WireLen: len(c.frame), ID: 2}
			l.Track(v)
			st := l.Tracker.Stats()
			refused := mode == flowscope.ChecksumVerify && c.refusedVerify || mode == flowscope.ChecksumAuto && c.refusedAuto
			want := [5]uint64{c.bad, c.partial, c.unknown, 0, 1}
			if mode == flowscope.ChecksumIgnore {
				want = [5]uint64{0, 0, 0, 0, 1}
			}
			if refused {
				want[3], want[4] = 1, 0
			}
			assert.Equal(t, want, [5]uint64{st.ChecksumsBad, st.ChecksumsPartial, st.ChecksumsUnknown,
				st.Refused[flowscope.RefusedBadChecksum], st.FlowsCreated - before.FlowsCreated}, name)
			assert.Zero(t, st.Anomalies[flowscope.AnomalyBadChecksum], name)
			l.Finish()
		}
	}
}

// With a flow a wrong packet counts there, and does nothing else; unless its header is wrong, which may name the
// wrong flow.
func TestAWrongPacketCountsInItsFlow(t *testing.T) {
	for _, c := range verdicts() {
		if !c.refusedVerify {
			continue
		}
		for _, mode := range []flowscope.ChecksumMode{flowscope.ChecksumVerify, flowscope.ChecksumAuto} {
			if mode == flowscope.ChecksumAuto && !c.refusedAuto {
				continue
			}
			l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{Checksums: mode})
			if mode == flowscope.ChecksumAuto {
				learned(l, testkit.UDP("10.9.9.9:1", testkit.Server))
			}
			// The same packet without damage opens the flow.
			var x flowscope.Extracted[testkit.Key]
			flowscope.FiveTuple{}.Extract(flowscope.PacketView{Frame: c.frame}, &x)
			good := slices.IndexFunc(verdicts(), func(g verdict) bool {
				var y flowscope.Extracted[testkit.Key]
				flowscope.FiveTuple{}.Extract(flowscope.PacketView{Frame: g.frame}, &y)
				return g.bad+g.partial+g.unknown == 0 && y.Key == x.Key
			})
			l.Track(flowscope.PacketView{Frame: verdicts()[good].frame, ID: 2})
			before, _ := l.Tracker.Get(x.Key)
			events := l.Track(flowscope.PacketView{Frame: c.frame[:len(c.frame)-c.cut], WireLen: len(c.frame), ID: 3})
			after, ok := l.Tracker.Get(x.Key)
			require.True(t, ok, c.name)
			st := l.Tracker.Stats()
			if c.headerBad || c.name == "IPv4 header left to a card" {
				assert.Equal(t, before.Stats, after.Stats, c.name)
				assert.EqualValues(t, 1, st.Refused[flowscope.RefusedBadChecksum], c.name)
				continue
			}
			assert.EqualValues(t, 1, st.Anomalies[flowscope.AnomalyBadChecksum], c.name)
			assert.Equal(t, before.Stats.Packets[0]+1, after.Stats.Packets[0], c.name)
			assert.Equal(t, before.Stats.Payload, after.Stats.Payload, c.name)
			assert.Equal(t, []flowscope.EventKind{flowscope.EventPacket, flowscope.EventAnomaly}, testkit.Kinds(events), c.name)
			assert.Empty(t, events[0].Bytes, c.name)
			assert.Equal(t, flowscope.AnomalyBadChecksum, events[1].Anomaly, c.name)
			if x.HasTCP {
				assert.Equal(t, before.History.String()+"C", after.History.String(), c.name)
			}
			l.Finish()
		}
	}
}

// What no receiver would take changes nothing in what is said, nor in the state.
func TestForgeriesWithWrongChecksumsDoNotDisturbAStream(t *testing.T) {
	bad := func(g frames.TCP) []byte {
		f := g.Ethernet()
		return testkit.Changed(f, testkit.SumTCP4, binary.BigEndian.Uint16(f[testkit.SumTCP4:])+1)
	}
	talk := testkit.Conversation(testkit.TunnelEnds[0])
	var all [][]byte
	for _, s := range talk {
		for _, flags := range []string{"R", "S", "SA", "PA", "FA"} {
			from, to := testkit.TunnelEnds[0][s.Dir], testkit.TunnelEnds[0][1-s.Dir]
			seq, ack := binary.BigEndian.Uint32(s.IP[24:]), binary.BigEndian.Uint32(s.IP[28:])
			all = append(all, bad(frames.TCP{Src: from, Dst: to, Seq: seq, Ack: ack, Flags: flags, Payload: []byte("forged")}))
		}
		all = append(all, frames.Ethernet(s.IP))
	}
	d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{Checksums: flowscope.ChecksumVerify})
	require.NoError(t, err)
	var streams [2]string
	var history string
	for i, f := range all {
		for _, ev := range d.Track(flowscope.PacketView{Frame: f, Timestamp: flowscope.Timestamp(i) * 1e6}) {
			switch ev.Kind {
			case flowscope.EventData:
				streams[ev.Side] += string(ev.Bytes)
			case flowscope.EventGap, flowscope.EventUrgent:
				t.Error(ev.Kind)
			case flowscope.EventEnded:
				assert.Equal(t, flowscope.EndFIN, ev.Reason)
				history = ev.History.String()
			}
		}
	}
	assert.Equal(t, [2]string{"who = is there?", "only the other end"}, streams)
	st := d.Stats()
	assert.EqualValues(t, 5*len(talk), st.ChecksumsBad)
	assert.EqualValues(t, 5, st.Refused[flowscope.RefusedBadChecksum], "those before the flow")
	assert.EqualValues(t, 5*(len(talk)-1), st.Anomalies[flowscope.AnomalyBadChecksum])
	assert.Equal(t, [2]int{1, 1}, [2]int{strings.Count(history, "C"), strings.Count(history, "c")}, history)
}

func fromMAC(f []byte, last byte) []byte {
	f = slices.Clone(f)
	f[11] = last
	return f
}

// A machine that leaves its checksums to its card, and one that does not, on one link.
func TestAutoLearnsOfEachSenderByItself(t *testing.T) {
	good := testkit.TCP(testkit.Server, testkit.Client, "A", 1, 1, "answer")
	lazy := testkit.TCP(testkit.Client, testkit.Server, "A", 1, 1, "question")
	lazy = testkit.Changed(lazy, testkit.SumTCP4, 0x1234) // not even the pseudo header's
	broken := testkit.Changed(good, testkit.SumTCP4, 0x1234)
	l := testkit.NewAudited(t, flowscope.FiveTuple{}, flowscope.Config{Checksums: flowscope.ChecksumAuto})
	emitted := 0
	for i := range 1000 {
		require.Equal(t, 0, emitted, i)
		l.Track(flowscope.PacketView{Frame: fromMAC(good, 2), ID: uint64(i + 1)})
		for _, ev := range l.Track(flowscope.PacketView{Frame: fromMAC(lazy, 1), ID: uint64(i + 1)}) {
			if ev.Anomaly == flowscope.AnomalyChecksumOffload {
				emitted++
				assert.EqualValues(t, 1000, ev.Len)
				assert.Zero(t, ev.Flow)
			}
		}
	}
	assert.Equal(t, 1, emitted)
	for range 100 {
		l.Track(flowscope.PacketView{Frame: fromMAC(lazy, 1), ID: 5})
		l.Track(flowscope.PacketView{Frame: fromMAC(broken, 2), ID: 6})
	}
	st := l.Tracker.Stats()
	assert.EqualValues(t, 1, st.Anomalies[flowscope.AnomalyChecksumOffload])
	assert.EqualValues(t, 100, st.Anomalies[flowscope.AnomalyBadChecksum], "the other's still mean something")
	assert.Zero(t, st.PacketsUnmatched)
	f, _ := l.Tracker.Get(keyOf(t, lazy))
	assert.Equal(t, uint64(1100*len("question")), f.Stats.Payload[f.Orientation^testkit.Extract(t, flowscope.FiveTuple{}, lazy).Orientation], "nothing of the lazy one is lost")
	l.Finish()
}

func keyOf(t *testing.T, frame []byte) testkit.Key {
	return testkit.Extract(t, flowscope.FiveTuple{}, frame).Key
}

// One wrong packet in ten is what it takes.
func TestAutoNeedsATenthToBeWrong(t *testing.T) {
	good := testkit.UDP(testkit.Client, testkit.Server)
	wrong := testkit.Changed(good, testkit.SumUDP4, 0x1234)
	for _, c := range []struct{ wrong, offloaded int }{{99, 0}, {100, 1}} {
		l := testkit.NewTracker(t, flowscope.Config{Checksums: flowscope.ChecksumAuto})
		for i := range 1000 {
			f := good
			if i < c.wrong {
				f = wrong
			}
			l.Track(flowscope.PacketView{Frame: f})
		}
		assert.EqualValues(t, c.offloaded, l.Stats().Anomalies[flowscope.AnomalyChecksumOffload])
		l.Track(flowscope.PacketView{Frame: wrong})
		assert.EqualValues(t, 1-c.offloaded, l.Stats().Anomalies[flowscope.AnomalyBadChecksum])
	}
}

// A capture made on a machine that leaves checksums to its card loses nothing with ChecksumAuto.
func TestAnOffloadedCaptureLosesNothing(t *testing.T) {
	for _, mode := range []flowscope.ChecksumMode{flowscope.ChecksumIgnore, flowscope.ChecksumAuto} {
		for what, sum := range map[string]func([]byte) uint16{"pseudo": pseudo, "nonsense": func([]byte) uint16 { return 0x1111 }} {
			d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, nil, flowscope.Config{Checksums: mode})
			require.NoError(t, err)
			for i := range 3000 {
				f := testkit.TCP(testkit.Client, testkit.Server, "PA", uint32(1+10*i), 1, "ten bytes.")
				d.Track(flowscope.PacketView{Frame: testkit.Changed(f, testkit.SumTCP4, sum(f)), Timestamp: flowscope.Timestamp(i) * 1e6})
			}
			d.Finish()
			st := d.Stats()
			assert.Equal(t, [2]uint64{30000, 0}, [2]uint64{st.Streams.Delivered, st.Streams.GapBytes}, "%v %s", mode, what)
		}
	}
}

func TestChecksumsInsideTunnels(t *testing.T) {
	for _, e := range testkit.Encapsulations() {
		for family, ends := range testkit.TunnelEnds {
			if family == 0 && e.V6 {
				continue
			}
			good := frames.TCP{Src: ends[0], Dst: ends[1], Flags: "S", Payload: []byte("odd")}.IP()
			wrong := slices.Clone(good)
			wrong[len(wrong)-1] ^= 1
			l := testkit.NewAudited(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{Checksums: flowscope.ChecksumVerify})
			l.Track(flowscope.PacketView{Frame: e.Put(0, good), ID: 1})
			l.Track(flowscope.PacketView{Frame: e.Put(0, wrong), ID: 2})
			l.Track(flowscope.PacketView{Frame: frames.Pad(e.Put(0, good), 400), ID: 3}) // behind it all
			st := l.Tracker.Stats()
			assert.Equal(t, [5]uint64{1, 1, 0, 0, 1}, [5]uint64{
				st.ChecksumsBad, st.Anomalies[flowscope.AnomalyBadChecksum], st.ChecksumsPartial, st.ChecksumsUnknown, st.FlowsCreated,
			}, "%s, family %d", e.Name, family)
			l.Finish()
		}
	}
}
