package flowscope_test

import (
	"encoding/binary"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/frames"
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
	tr, _ := flowscope.NewFlowTracker(flowscope.PerTunnel(flowscope.AutoDetectEncap(portOnly{})), flowscope.Config{})
	for id := uint32(77); id < 79; id++ {
		tr.Track(flowscope.PacketView{Frame: frames.Ethernet(throughVXLAN(id, udp(client, server)))})
	}
	if tr.Len() != 2 {
		t.Errorf("%d flows", tr.Len())
	}
	u, _ := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(portOnly{}), flowscope.Config{})
	u.Track(flowscope.PacketView{Frame: frames.Ethernet(throughVXLAN(77, udp(client, server)))})
	for f := range u.Flows() {
		if f.Stats.Through() != "vxlan:77" {
			t.Errorf("came through %q", f.Stats.Through())
		}
	}
}

func TestInnerFragmentsOfAnOwnExtractorInsideAutoDetect(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(portOnly{}), flowscope.Config{})
	ip := frames.UDP{Src: client, Dst: server, Payload: make([]byte, 100)}.IP()
	for _, p := range frames.Fragments(ip, 48, 7) {
		tr.Track(flowscope.PacketView{Frame: frames.Ethernet(throughVXLAN(77, frames.Ethernet(p)))})
	}
	if st := tr.Stats(); st.Fragments.Datagrams != 1 || st.PacketsUnmatched != 0 {
		t.Errorf("%+v unmatched %d", st.Fragments, st.PacketsUnmatched)
	}
}

func TestACombinatorAroundPerTunnelKeepsWhatIsInside(t *testing.T) {
	f := frames.Ethernet(throughVXLAN(77, udp(client, server)))
	tr, _ := flowscope.NewFlowTracker(flowscope.StripVLAN(flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{}))), flowscope.Config{})
	tr.Track(flowscope.PacketView{Frame: f})
	for fl := range tr.Flows() {
		if fl.Key.Inner != flowOf(t, client, server) {
			t.Error(fl.Key)
		}
	}
}

func TestFragmentsOfATunnelBeginNoOuterFlow(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{})
	for _, p := range frames.Fragments(throughVXLAN(77, udp(client, server)), 48, 7) {
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
	u := frames.UDP{Src: client, Dst: server, Payload: make([]byte, 100)}
	tr.Track(flowscope.PacketView{Frame: u.Ethernet()})
	n := 0
	for _, p := range frames.Fragments(icmpErr4("10.0.0.9", "10.0.0.1", 3, 1, u.IP()).IP(), 56, 7) {
		n += count(tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p)}), flowscope.EventICMPError)
	}
	if tr.Len() != 1 || n != 1 {
		t.Errorf("%d flows, %d events", tr.Len(), n)
	}
}

func TestABadReassembledChecksumCountsInItsFlow(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Checksums: flowscope.ChecksumVerify})
	u := frames.UDP{Src: client, Dst: server, Payload: make([]byte, 100)}
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
	ps := frames.Fragments(frames.UDP{Src: client, Dst: server, Payload: make([]byte, 100)}.IP(), 48, 7)
	empty := frames.Ethernet(ps[1][:20])
	binary.BigEndian.PutUint16(empty[16:], 20)
	tr.Track(flowscope.PacketView{Frame: empty, Timestamp: seconds(1000)})
	if tr.Stats().Fragments.Bad != 1 {
		t.Fatalf("%+v", tr.Stats().Fragments)
	}
	tr.Finish()
	tr.Track(flowscope.PacketView{Frame: frames.Ethernet(ps[1]), Timestamp: seconds(1)})
	tr.Sweep(seconds(32))
	if st := tr.Stats().Fragments; st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

func TestAClockSetBackAtTheBeginning(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	ps := frames.Fragments(frames.UDP{Src: client, Dst: server, Payload: make([]byte, 100)}.IP(), 48, 7)
	tr.Track(flowscope.PacketView{Frame: frames.Ethernet(ps[1]), Timestamp: seconds(1e9)})
	tr.Track(flowscope.PacketView{Frame: frames.Ethernet(ps[0]), Timestamp: seconds(1)})
	tr.Track(flowscope.PacketView{Frame: udp(client, server), Timestamp: seconds(2)})
	if tr.Now() != seconds(2) {
		t.Skip("not set back: ", tr.Now())
	}
	tr.Sweep(seconds(60))
	tr.Sweep(seconds(120))
	if st := tr.Stats().Fragments; st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

func TestFirstFragmentOfAnOverdueTCPFlowBeginsNone(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	syn := tcp(client, server, "S", 1, 0, "")
	for i := range 300 {
		readdress(syn, 0x0b000000+uint32(i))
		tr.Track(flowscope.PacketView{Frame: syn, Timestamp: seconds(1) + flowscope.Timestamp(i)})
	}
	seg := frames.TCP{Src: "11.0.0.0:1234", Dst: server, Seq: 2, Ack: 1, Flags: "PA", Payload: make([]byte, 100)}.IP()
	p := frames.Fragments(seg, 48, 3)[0]
	ev := tr.Track(flowscope.PacketView{Frame: frames.Ethernet(p), Timestamp: seconds(200)})
	if n := count(ev, flowscope.EventStarted); n != 0 || tr.Stats().FlowsEnded == 0 {
		t.Errorf("%d begun, %d ended", n, tr.Stats().FlowsEnded)
	}
}

func TestFragmentTimeoutByOtherTraffic(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{})
	ps := frames.Fragments(frames.UDP{Src: "10.0.0.7:1", Dst: server, Payload: make([]byte, 100)}.IP(), 48, 7)
	for i := range 200 {
		if i == 10 {
			tr.Track(flowscope.PacketView{Frame: frames.Ethernet(ps[1]), Timestamp: seconds(float64(i))})
		}
		tr.Track(flowscope.PacketView{Frame: udp(client, server), Timestamp: seconds(float64(i))})
		if i > 45 && tr.Stats().Fragments.Waiting != 0 {
			t.Fatalf("still waits at %d", i)
		}
	}
}

func TestABadHeaderFragmentPoisonsADatagram(t *testing.T) {
	tr, _ := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Checksums: flowscope.ChecksumVerify})
	ps := frames.Fragments(frames.UDP{Src: client, Dst: server, Payload: make([]byte, 100)}.IP(), 48, 7)
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
	inner := frames.UDP{Src: client, Dst: server}.IP()
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
	for _, p := range frames.Fragments(frames.UDP{Src: client, Dst: server, Payload: make([]byte, 200)}.IP(), 104, 7) {
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
	l := newAudited(t, flowscope.InnerVXLAN(flowscope.FiveTuple{}), flowscope.Config{})
	p := frames.Fragments(frames.UDP{Src: client, Dst: server, Payload: make([]byte, 200)}.IP(), 104, 7)[1]
	for _, o := range frames.Fragments(throughVXLAN(7, frames.Ethernet(p)), 96, 9) {
		l.Track(flowscope.PacketView{Frame: frames.Ethernet(o)})
	}
	l.Track(flowscope.PacketView{Frame: frames.Ethernet(throughVXLAN(7, udp(client, server)))})
	for f := range l.t.Flows() {
		if f.Stats.Packets[0] != 1 {
			t.Error(f.Stats.Packets)
		}
	}
}
