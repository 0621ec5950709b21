package acceptance

import (
	"encoding/binary"
	"math"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

func throughVXLAN(id uint32, inner []byte) []byte {
	return frames.UDP{Src: "192.0.2.1:50000", Dst: "192.0.2.2:4789", Payload: frames.VXLAN(id, inner)}.IP()
}

// rawReader reads v.Frame by itself: raw or Ethernet IPv4.
type rawReader struct{}

func (rawReader) Extract(v flowscope.PacketView, x *flowscope.Extracted[uint32]) bool {
	b := v.Frame
	if v.LinkType == 0 || v.LinkType == flowscope.LinkTypeEthernet {
		b = b[14:]
	}
	x.Key, x.L4 = 0, flowscope.L4UDP
	if len(b) < 28 || b[0] != 0x45 {
		x.Key = 0xffffffff
		return false
	}
	x.Key = binary.BigEndian.Uint32(b[16:])
	x.Payload = b[28:]
	return true
}

func TestOwnReaderUnderPerTunnelGetsADatagramWithItsHeader(t *testing.T) {
	ip := frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2", Payload: make([]byte, 100)}.IP()
	try := func(name string, feed func([]byte) (unmatched uint64)) {
		var n uint64
		for _, p := range frames.Fragments(ip, 48, 7) {
			n = feed(frames.Ethernet(p))
		}
		if n != 0 {
			t.Errorf("%s: refused %d", name, n)
		}
	}
	a, _ := flowscope.NewFlowTracker(rawReader{}, flowscope.Config{})
	try("bare", func(f []byte) uint64 { a.Track(flowscope.PacketView{Frame: f}); return a.Stats().PacketsUnmatched })
	b, _ := flowscope.NewFlowTracker(flowscope.PerTunnel(rawReader{}), flowscope.Config{})
	try("PerTunnel", func(f []byte) uint64 { b.Track(flowscope.PacketView{Frame: f}); return b.Stats().PacketsUnmatched })
}

func TestPerTunnelAroundAutoDetectOfAnOwnExtractorSeesTheTunnel(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.PerTunnel(flowscope.AutoDetectEncap(testkit.PortOnly{})), flowscope.Config{})
	for id := uint32(77); id < 79; id++ {
		tr.Track(flowscope.PacketView{Frame: frames.Ethernet(throughVXLAN(id, testkit.UDP(testkit.Client, testkit.Server)))})
	}
	if tr.Len() != 2 {
		t.Errorf("%d flows", tr.Len())
	}
	u, _ := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(testkit.PortOnly{}), flowscope.Config{})
	u.Track(flowscope.PacketView{Frame: frames.Ethernet(throughVXLAN(77, testkit.UDP(testkit.Client, testkit.Server)))})
	for f := range u.Flows() {
		if f.Stats.TunnelString() != "vxlan:77" {
			t.Errorf("came through %q", f.Stats.TunnelString())
		}
	}
}

func TestInnerFragmentsOfAnOwnExtractorInsideAutoDetect(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(testkit.PortOnly{}), flowscope.Config{})
	ip := frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}.IP()
	for _, p := range frames.Fragments(ip, 48, 7) {
		tr.Track(flowscope.PacketView{Frame: frames.Ethernet(throughVXLAN(77, frames.Ethernet(p)))})
	}
	if st := tr.Stats(); st.Fragments.Datagrams != 1 || st.PacketsUnmatched != 0 {
		t.Errorf("%+v unmatched %d", st.Fragments, st.PacketsUnmatched)
	}
}

func TestACombinatorAroundPerTunnelKeepsWhatIsInside(t *testing.T) {
	f := frames.Ethernet(throughVXLAN(77, testkit.UDP(testkit.Client, testkit.Server)))
	tr, _ := flowscope.NewFlowTracker(flowscope.StripVLAN(flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{}))), flowscope.Config{})
	tr.Track(flowscope.PacketView{Frame: f})
	for fl := range tr.Flows() {
		if fl.Key.Inner != testkit.KeyBetween(t, testkit.Client, testkit.Server) {
			t.Error(fl.Key)
		}
	}
}

func TestFragmentsOfATunnelBeginNoOuterFlow(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{})
	for _, p := range frames.Fragments(throughVXLAN(77, testkit.UDP(testkit.Client, testkit.Server)), 48, 7) {
		tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p)})
	}
	if tr.Len() != 1 {
		for f := range tr.Flows() {
			t.Error(f.Key, f.Stats.Packets)
		}
	}
}

func icmpErr4(src, dst string, kind, code byte, quoted []byte) frames.IP {
	b := append([]byte{kind, code, 0, 0, 0, 0, 0, 0}, quoted...)
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	binary.BigEndian.PutUint16(b[2:], ^uint16(s))
	return frames.IP{Src: src, Dst: dst, Proto: 1, Payload: b}
}

func TestAFragmentedICMPErrorBeginsNoFlow(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	u := frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}
	tr.Track(flowscope.PacketView{Frame: u.Ethernet()})
	n := 0
	for _, p := range frames.Fragments(icmpErr4("10.0.0.9", "10.0.0.1", 3, 1, u.IP()).IP(), 56, 7) {
		n += testkit.Count(tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p)}), flowscope.EventICMPError)
	}
	if tr.Len() != 1 || n != 1 {
		t.Errorf("%d flows, %d events", tr.Len(), n)
	}
}

func TestABadReassembledChecksumCountsInItsFlow(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Checksums: flowscope.ChecksumVerify})
	u := frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}
	tr.Track(flowscope.PacketView{Frame: u.Ethernet()})
	ip := u.IP()
	for _, p := range frames.Fragments(ip, 56, 7) {
		tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p)})
	}
	if st := tr.Stats(); st.ChecksumsUnknown != 0 {
		t.Errorf("good: unknown %d", st.ChecksumsUnknown)
	}
	ip[len(ip)-1] ^= 1
	for _, p := range frames.Fragments(ip, 56, 8) {
		tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p)})
	}
	if st := tr.Stats(); st.Refused[flowscope.RefusedBadChecksum] != 0 || st.Anomalies[flowscope.AnomalyBadChecksum] != 1 {
		t.Errorf("refused %d, anomalies %d", st.Refused[flowscope.RefusedBadChecksum], st.Anomalies[flowscope.AnomalyBadChecksum])
	}
}

func TestIPPairAndUDPWithoutChecksumToATunnelOverIPv6(t *testing.T) {
	f := frames.UDP{Src: "[fd00::1]:5000", Dst: "[fd00::2]:4789", Payload: []byte("x")}.Ethernet()
	f[14+40+6], f[14+40+7] = 0, 0
	tr, _ := flowscope.NewFlowTracker(flowscope.IPPair{}, flowscope.Config{Checksums: flowscope.ChecksumVerify})
	tr.Track(flowscope.PacketView{Frame: f})
	if st := tr.Stats(); st.ChecksumsBad != 0 {
		t.Errorf("bad %d", st.ChecksumsBad)
	}
}

func TestAnotherCaptureAfterFinishHasFragmentTimeouts(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	ps := frames.Fragments(frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}.IP(), 48, 7)
	empty := frames.Ethernet(ps[1][:20])
	binary.BigEndian.PutUint16(empty[16:], 20)
	tr.Track(flowscope.PacketView{Frame: empty, Timestamp: testkit.Seconds(1000)})
	if tr.Stats().Fragments.Bad != 1 {
		t.Fatalf("%+v", tr.Stats().Fragments)
	}
	tr.Finish()
	tr.Track(flowscope.PacketView{Frame: frames.Ethernet(ps[1]), Timestamp: testkit.Seconds(1)})
	tr.Sweep(testkit.Seconds(32))
	if st := tr.Stats().Fragments; st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

func TestAClockSetBackAtTheBeginning(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	ps := frames.Fragments(frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}.IP(), 48, 7)
	tr.Track(flowscope.PacketView{Frame: frames.Ethernet(ps[1]), Timestamp: testkit.Seconds(1e9)})
	tr.Track(flowscope.PacketView{Frame: frames.Ethernet(ps[0]), Timestamp: testkit.Seconds(1)})
	tr.Track(flowscope.PacketView{Frame: testkit.UDP(testkit.Client, testkit.Server), Timestamp: testkit.Seconds(2)})
	if tr.Now() != testkit.Seconds(2) {
		t.Fatal("not set back: ", tr.Now())
	}
	tr.Sweep(testkit.Seconds(60))
	tr.Sweep(testkit.Seconds(120))
	if st := tr.Stats().Fragments; st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

func TestFirstFragmentOfAnOverdueTCPFlowBeginsNone(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	syn := testkit.TCP(testkit.Client, testkit.Server, "S", 1, 0, "")
	for i := range 300 {
		testkit.Readdress(syn, 0x0b000000+uint32(i))
		tr.Track(flowscope.PacketView{Frame: syn, Timestamp: testkit.Seconds(1) + flowscope.Timestamp(i)})
	}
	seg := frames.TCP{Src: "11.0.0.0:1234", Dst: testkit.Server, Seq: 2, Ack: 1, Flags: "PA", Payload: make([]byte, 100)}.IP()
	p := frames.Fragments(seg, 48, 3)[0]
	ev := tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p), Timestamp: testkit.Seconds(200)})
	if n := testkit.Count(ev, flowscope.EventStarted); n != 0 || tr.Stats().FlowsEnded == 0 {
		t.Errorf("%d begun, %d ended", n, tr.Stats().FlowsEnded)
	}
}

func TestFragmentTimeoutByOtherTraffic(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	ps := frames.Fragments(frames.UDP{Src: "10.0.0.7:1", Dst: testkit.Server, Payload: make([]byte, 100)}.IP(), 48, 7)
	for i := range 200 {
		if i == 10 {
			tr.Track(flowscope.PacketView{Frame: frames.Ethernet(ps[1]), Timestamp: testkit.Seconds(float64(i))})
		}
		tr.Track(flowscope.PacketView{Frame: testkit.UDP(testkit.Client, testkit.Server), Timestamp: testkit.Seconds(float64(i))})
		if i > 45 && tr.Stats().Fragments.Waiting != 0 {
			t.Fatalf("still waits at %d", i)
		}
	}
}

func TestABadHeaderFragmentSpoilsADatagram(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Checksums: flowscope.ChecksumVerify})
	ps := frames.Fragments(frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}.IP(), 48, 7)
	bad := frames.Ethernet(ps[1])
	binary.BigEndian.PutUint16(bad[20:], binary.BigEndian.Uint16(bad[20:])-1) // another offset
	tr.Track(flowscope.PacketView{Frame: frames.Ethernet(ps[0])})
	tr.Track(flowscope.PacketView{Frame: bad})
	for _, p := range ps[1:] {
		tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p)})
	}
	if st := tr.Stats().Fragments; st.Datagrams != 1 {
		t.Errorf("%+v", st)
	}
}

func TestAOneWayIdentifierHidesTheTenant(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{})), flowscope.Config{})
	inner := frames.UDP{Src: testkit.Client, Dst: testkit.Server}.IP()
	for id := uint32(77); id < 79; id++ {
		gtp := frames.UDP{Src: "172.16.0.1:2152", Dst: "172.16.0.2:2152", Payload: frames.GTPU(5, inner)}.Ethernet()
		tr.Track(flowscope.PacketView{Frame: frames.Ethernet(throughVXLAN(id, gtp))})
	}
	if tr.Len() != 2 {
		t.Errorf("%d flows", tr.Len())
	}
}

func TestFragmentsInsideAFragmentedTunnel(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.InnerVXLAN(flowscope.FiveTuple{}), flowscope.Config{})
	for _, p := range frames.Fragments(frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 200)}.IP(), 104, 7) {
		for _, o := range frames.Fragments(throughVXLAN(7, frames.Ethernet(p)), 96, binary.BigEndian.Uint32(p[4:])) {
			tr.Track(flowscope.PacketView{Frame: frames.Ethernet(o)})
		}
	}
	st := tr.Stats()
	t.Logf("%+v unmatched %d", st.Fragments, st.PacketsUnmatched)
	for f := range tr.Flows() {
		if f.Stats.Payload[0] != 200 {
			t.Errorf("%+v", f.Stats)
		}
	}
}

func TestAWaitingFragmentWithinADatagramDoesNotMultiplyWhatComesNext(t *testing.T) {
	l := testkit.NewAudited(t, flowscope.InnerVXLAN(flowscope.FiveTuple{}), flowscope.Config{})
	p := frames.Fragments(frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 200)}.IP(), 104, 7)[1]
	for _, o := range frames.Fragments(throughVXLAN(7, frames.Ethernet(p)), 96, 9) {
		l.Track(flowscope.PacketView{Frame: frames.Ethernet(o)})
	}
	l.Track(flowscope.PacketView{Frame: frames.Ethernet(throughVXLAN(7, testkit.UDP(testkit.Client, testkit.Server)))})
	for f := range l.Tracker.Flows() {
		if f.Stats.Packets[0] != 1 {
			t.Error(f.Stats.Packets)
		}
	}
}

func ofUDP(src, dst string) []byte {
	return frames.UDP{Src: src, Dst: dst, Payload: []byte("x")}.Ethernet()
}

func TestEachDatagramIsGivenUpInTimeWhileAnotherFlowGoesOn(t *testing.T) {
	tr := testkit.NewTracker(t, flowscope.Config{UDPTimeout: flowscope.Never})
	for i := range 3 {
		f := testkit.Piece{ID: uint32(i + 1), Offset: 8, More: true, Body: testkit.WholeDatagram[:8]}.Frame()
		tr.Track(flowscope.PacketView{Frame: f, Timestamp: testkit.Seconds(float64(5 * i))})
	}
	for s := 11; s < 100; s++ {
		tr.Track(flowscope.PacketView{Frame: ofUDP("9.9.9.9:1000", "9.9.9.8:2000"), Timestamp: testkit.Seconds(float64(s))})
		over := 0 // those that began 30 s ago or more
		for i := range 3 {
			if s-5*i >= 30 {
				over++
			}
		}
		if st := tr.Stats().Fragments; st.Incomplete != uint64(over) || st.Waiting != 3-over {
			t.Fatalf("at %d s: %+v, %d should be over", s, st, over)
		}
	}
}

func TestOneCallGivesUpNoMoreDatagramsThanFlows(t *testing.T) {
	tr := testkit.NewTracker(t, flowscope.Config{})
	const n = 1000
	for i := range n {
		f := testkit.Piece{ID: uint32(i), Offset: 8, More: true, Body: testkit.WholeDatagram[:8]}.Frame()
		tr.Track(flowscope.PacketView{Frame: f, Timestamp: flowscope.Timestamp(i)})
	}
	before := uint64(0)
	for k := range 2 * n / 64 {
		tr.Track(flowscope.PacketView{Frame: ofUDP("9.9.9.9:1000", "9.9.9.8:2000"), Timestamp: testkit.Seconds(31) + flowscope.Timestamp(k)})
		now := tr.Stats().Fragments.Incomplete
		if now-before > 64 {
			t.Fatalf("%d in one call", now-before)
		}
		before = now
	}
	if before != n {
		t.Errorf("%d of %d were given up", before, n)
	}
}

// A packet may be counted in its flow on the detour of a fragment, or the usual way: a doubted timestamp is taken back
// from both.
func TestAFirstFragmentsDoubtedTimestampIsTakenBackLikeAnyOther(t *testing.T) {
	f := ofUDP("10.0.0.1:1234", "10.0.0.2:80")
	first := testkit.Piece{ID: 1, More: true, Body: testkit.WholeDatagram[:16]}.Frame()
	for name, frame := range map[string][]byte{"datagram": f, "fragment": first} {
		tr := testkit.NewTracker(t, flowscope.Config{})
		tr.Track(flowscope.PacketView{Frame: frame, Timestamp: testkit.Seconds(3_600_000)})
		for s := 10; s < 200; s += 5 {
			tr.Track(flowscope.PacketView{Frame: ofUDP("9.9.9.9:1000", "9.9.9.8:2000"), Timestamp: testkit.Seconds(float64(s))})
		}
		if tr.Len() != 1 {
			t.Errorf("first %s: %d flows live", name, tr.Len())
		}
	}
}

func TestAFlowThatTwoJumpsMeetInARowIsNotSplit(t *testing.T) {
	tr := testkit.NewTracker(t, flowscope.Config{})
	f, g := ofUDP("10.0.0.1:1234", "10.0.0.2:80"), ofUDP("9.9.9.9:1000", "9.9.9.8:2000")
	for _, v := range []flowscope.PacketView{
		{Frame: g, Timestamp: testkit.Seconds(0)}, {Frame: g, Timestamp: testkit.Seconds(1)},
		{Frame: f, Timestamp: testkit.Seconds(7200)}, {Frame: f, Timestamp: testkit.Seconds(18000)}, {Frame: f, Timestamp: testkit.Seconds(18001)},
	} {
		tr.Track(v)
	}
	key, _ := flowscope.NewFiveTupleKey(flowscope.L4UDP, netip.MustParseAddrPort("10.0.0.1:1234"), netip.MustParseAddrPort("10.0.0.2:80"))
	flow, ok := tr.Get(key)
	if !ok || flow.Stats.End() != testkit.Seconds(18001) || flow.Stats.Packets[0] < 2 {
		t.Errorf("%v %+v", ok, flow.Stats)
	}
}

func TestAFlowThatEndedOnAWrongFirstTimestampIsForgottenInTime(t *testing.T) {
	tr := testkit.NewTracker(t, flowscope.Config{})
	tr.Track(flowscope.PacketView{Frame: testkit.TCP(testkit.Client, testkit.Server, "R", 1, 0, ""), Timestamp: testkit.Seconds(3_600_000)})
	for s := 10; s < 200; s += 5 {
		tr.Track(flowscope.PacketView{Frame: ofUDP("9.9.9.9:1000", "9.9.9.8:2000"), Timestamp: testkit.Seconds(float64(s))})
	}
	if st := tr.Stats(); st.FlowsLingering != 0 {
		t.Errorf("%d linger", st.FlowsLingering)
	}
}

// Header checksums are those of each fragment, also of one within a datagram, and are counted as those of a packet.
func TestHeaderChecksumsOfFragmentsCountAsThoseOfPackets(t *testing.T) {
	for _, mode := range []flowscope.ChecksumMode{flowscope.ChecksumAuto, flowscope.ChecksumVerify} {
		for _, sum := range []uint16{0, 0x1234} {
			var seen [2][3]uint64
			for i, f := range [][]byte{ofUDP("10.0.0.1:1234", "10.0.0.2:80"), testkit.Piece{ID: 1, More: true, Body: testkit.WholeDatagram[:16]}.Frame()} {
				f = append([]byte(nil), f...)
				binary.BigEndian.PutUint16(f[24:], sum)
				tr := testkit.NewTracker(t, flowscope.Config{Checksums: mode})
				tr.Track(flowscope.PacketView{Frame: f})
				st := tr.Stats()
				seen[i] = [3]uint64{st.ChecksumsBad, st.ChecksumsPartial, st.Refused[flowscope.RefusedBadChecksum]}
			}
			if seen[0] != seen[1] {
				t.Errorf("%v, %#x: bad, partial, refused %v, of a fragment %v", mode, sum, seen[0], seen[1])
			}
		}
	}
}

func TestFragmentsWithinDatagramsNeedARightHeader(t *testing.T) {
	for _, cut := range []bool{false, true} {
		inner := frames.UDP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Payload: make([]byte, 64)}.IP()
		all := frames.Fragments(inner, 40, 3)
		if cut { // promises more than there is
			all = all[:1]
			binary.BigEndian.PutUint16(all[0][2:], 20+48)
			testkit.Rechecksum(all[0])
		}
		tr, _ := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{Checksums: flowscope.ChecksumVerify})
		for i, x := range all {
			x[10] ^= 0x55
			outer := testkit.OuterIP(0, 4, x)
			for _, p := range frames.Fragments(outer[14:], 40, uint32(5+i)) {
				tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p)})
			}
		}
		if st := tr.Stats(); tr.Len() != 0 || st.ChecksumsBad != uint64(len(all)) || st.Refused[flowscope.RefusedBadChecksum] == 0 {
			t.Errorf("cut %v: %d flows, %d bad, %d refused", cut, tr.Len(), st.ChecksumsBad, st.Refused[flowscope.RefusedBadChecksum])
		}
	}
}

func TestClaimedLengthsStopAtTheEndOfTheCounter(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("a length of 32 bits cannot claim that much in a short test")
	}
	tr := testkit.NewTracker(t, flowscope.Config{})
	huge := uint64(1) << 47
	v := flowscope.PacketView{Frame: ofUDP("10.0.0.1:1234", "10.0.0.2:80"), WireLen: int(huge)}
	for range 4 {
		tr.Track(v)
	}
	for f := range tr.Flows() {
		if f.Stats.Bytes[0] != 1<<48-1 || f.Stats.Tunnel != flowscope.NoTunnel || f.Stats.TunnelID != 0 {
			t.Errorf("%d bytes, through %q", f.Stats.Bytes[0], f.Stats.TunnelString())
		}
	}
}

func TestAPanicWhileADatagramIsAtHandCountsNothingTwice(t *testing.T) {
	blow := true
	tr, err := flowscope.NewFlowTrackerWithState(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{},
		func(flowscope.FiveTupleKey) int {
			if blow {
				blow = false
				panic("the caller's")
			}
			return 0
		})
	require.NoError(t, err)
	outer := throughVXLAN(77, frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 300)}.Ethernet())
	for _, p := range frames.Fragments(outer, 128, 7) {
		func() {
			defer func() { _ = recover() }()
			tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p)})
		}()
	}
	require.False(t, blow)
	tr.Track(flowscope.PacketView{Frame: frames.UDP{Src: "10.9.9.1:1", Dst: "10.9.9.2:2", Payload: []byte("x")}.Ethernet()})
	for f := range tr.Flows() {
		require.Equal(t, uint64(1), f.Stats.Packets[0]+f.Stats.Packets[1])
	}
	require.Equal(t, 1, tr.Len())
}

// either is an extractor that asks two others.
type either struct{ a, b testkit.Extractor }

func (e either) Extract(v flowscope.PacketView, x *flowscope.Extracted[flowscope.FiveTupleKey]) bool {
	return e.a.Extract(v, x) || e.b.Extract(v, x)
}

func TestTwoCombinatorsSeeADatagramEachInItsWay(t *testing.T) {
	ip := frames.Over("192.0.2.1", "192.0.2.2", 47, frames.GRE{}.Put(frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}.IP()))
	for _, packets := range [][][]byte{{ip}, frames.Fragments(ip, 64, 7)} {
		ex := either{flowscope.InnerVXLAN(flowscope.FiveTuple{}), flowscope.InnerGRE(flowscope.FiveTuple{})}
		tr, err := flowscope.NewFlowTracker(ex, flowscope.Config{})
		require.NoError(t, err)
		for _, p := range packets {
			tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p)})
		}
		require.Equal(t, uint64(1), tr.Stats().FlowsCreated, "%d packets", len(packets))
	}
}

func TestARefusedFragmentSaysWhy(t *testing.T) {
	tr, err := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.IPPair{}), flowscope.Config{})
	require.NoError(t, err)
	tr.Track(flowscope.PacketView{Frame: testkit.Piece{V6: true, Proto: 6, ID: 9, More: true, Body: make([]byte, 8)}.Frame()})
	require.Equal(t, uint64(1), tr.Stats().PacketsUnmatched)
	require.Zero(t, tr.Stats().Refused[flowscope.RefusedByExtractor])
}

func TestClaimedLengthsOfFragmentsStopAtTheEndOfTheCounter(t *testing.T) {
	tr, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Events: flowscope.AllEvents})
	require.NoError(t, err)
	tr.Track(flowscope.PacketView{Frame: frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}.Ethernet()})
	for i, p := range frames.Fragments(frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 200)}.IP(), 64, 7) {
		wire := 0
		if i > 1 {
			wire = math.MaxInt
		}
		for _, ev := range tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p), WireLen: wire}) {
			require.GreaterOrEqual(t, ev.Len, int64(0))
		}
	}
	for f := range tr.Flows() {
		require.GreaterOrEqual(t, f.Stats.Bytes[0], uint64(min(math.MaxInt, 1<<48-1)))
	}
}

func TestOneBadFragmentIsOnePacket(t *testing.T) {
	tr, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Events: flowscope.AllEvents})
	require.NoError(t, err)
	events := tr.Track(flowscope.PacketView{Frame: testkit.Piece{ID: 1, More: true, Body: make([]byte, 4)}.Frame()})
	require.NotEmpty(t, events)
	for _, ev := range events {
		require.Equal(t, int64(1), ev.Len, "%v", ev.Anomaly)
	}
}

func TestAnICMPErrorInFragmentsOfAnySizeIsNoFlow(t *testing.T) {
	for _, size := range []int{48, 8} {
		tr, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
		require.NoError(t, err)
		u := frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 40)}
		tr.Track(flowscope.PacketView{Frame: u.Ethernet()})
		icmp := append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, u.IP()...)
		for _, p := range frames.Fragments(frames.Over("10.7.7.7", "10.0.0.1", 1, icmp), size, 7) {
			tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p)})
		}
		require.Equal(t, uint64(1), tr.Stats().FlowsCreated, "fragments of %d bytes", size)
		require.NotZero(t, tr.Stats().ICMPErrorsMatched, "fragments of %d bytes", size)
	}
}
