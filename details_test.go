package flowscope_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
)

// ownCaptures are the captures of the repository.
func ownCaptures(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(testkit.Path("testdata/captures/*.pcap"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

// finished plays frames, one a second, and gives the flows.
func finished(t *testing.T, ex flowscope.FlowExtractor[flowscope.FiveTupleKey], cfg flowscope.Config, views []flowscope.PacketView) []flowscope.Event {
	t.Helper()
	cfg.Events = flowscope.Events(flowscope.EventReleased)
	tracker, err := flowscope.NewFlowTracker(ex, cfg)
	require.NoError(t, err)
	return flowtest.Replay(tracker, views)
}

func each(frames ...[]byte) (views []flowscope.PacketView) {
	for i, f := range frames {
		views = append(views, flowscope.PacketView{Frame: f, Timestamp: flowscope.Timestamp(i+1) * 1e9, ID: uint64(i + 1)})
	}
	return views
}

// The lengths of the IP headers, as gopacket reads them, are those of all flows together; and with
// PerTunnel or not, the innermost count.
func TestIPBytesAreThoseOfTheHeaders(t *testing.T) {
	for _, name := range ownCaptures(t) {
		if filepath.Base(name) == "redundancy.pcap" {
			continue // gopacket does not read tags of HSR
		}
		t.Run(name, func(t *testing.T) {
			views := testkit.Load(t, name)
			var want uint64
			for _, v := range views {
				p := gopacket.NewPacket(v.Frame, layers.LayerTypeEthernet, gopacket.NoCopy)
				if p.Layer(layers.LayerTypeICMPv4) != nil && p.ErrorLayer() == nil {
					if kind := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4).TypeCode.Type(); kind == layers.ICMPv4TypeDestinationUnreachable {
						continue // in no flow
					}
				}
				switch ip := p.NetworkLayer().(type) {
				case *layers.IPv4:
					want += uint64(ip.Length)
				case *layers.IPv6:
					want += 40 + uint64(ip.Length)
				}
			}
			var got uint64
			for _, f := range finished(t, flowscope.FiveTuple{}, flowscope.Config{Details: flowscope.DetailIPBytes | flowscope.DetailLateBytes}, views) {
				got += f.Stats.IPBytes[0] + f.Stats.IPBytes[1] + f.Stats.LateIPBytes[0] + f.Stats.LateIPBytes[1]
			}
			assert.Equal(t, want, got)
		})
	}
}

// Padding and link headers are no IP bytes, nor is what is around a tunnel's packet; a datagram's are those of
// all its fragments.
func TestWhatIPBytesAre(t *testing.T) {
	small := frames.UDP{Src: "10.0.0.1:9", Dst: "10.0.0.2:10", Payload: []byte("abc")}
	big := frames.UDP{Src: "10.0.0.1:9", Dst: "10.0.0.2:10", Payload: make([]byte, 100)}
	six := frames.UDP{Src: "[fd00::1]:9", Dst: "[fd00::2]:10", Payload: []byte("abc")}
	vxlan := frames.UDP{Src: "192.0.2.1:7000", Dst: "192.0.2.2:4789", Payload: frames.VXLAN(77, small.Ethernet())}
	var pieces [][]byte
	ip := uint64(0)
	for _, f := range frames.Fragments(big.IP(), 40, 1) {
		pieces = append(pieces, frames.Ethernet(f))
		ip += uint64(len(f))
	}
	for _, c := range []struct {
		name   string
		frames [][]byte
		want   uint64
	}{
		{"padded", [][]byte{frames.Pad(small.Ethernet(), 60)}, 20 + 8 + 3},
		{"with a VLAN tag", [][]byte{frames.Ethernet(small.IP(), 7)}, 20 + 8 + 3},
		{"IPv6", [][]byte{six.Ethernet()}, 40 + 8 + 3},
		{"in a tunnel", [][]byte{vxlan.Ethernet()}, 20 + 8 + 3},
		{"cut", [][]byte{frames.Cut(big.Ethernet(), 60)}, 20 + 8 + 100},
		{"fragments", pieces, ip},
	} {
		t.Run(c.name, func(t *testing.T) {
			views := each(c.frames...)
			if c.name == "cut" {
				views[0].WireLen = len(big.Ethernet())
			}
			all := finished(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{Details: flowscope.DetailIPBytes}, views)
			require.Len(t, all, 1)
			assert.Equal(t, [2]uint64{c.want, 0}, all[0].Stats.IPBytes)
			assert.Zero(t, finished(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{}, views)[0].Stats.IPBytes)
		})
	}
}

func TestWhatIsKnownOfTheFirstPacket(t *testing.T) {
	inner := frames.TCP{Src: "10.0.0.2:80", Dst: "10.0.0.1:4000", Seq: 9, Ack: 101, Flags: "SA"} // the answer comes first
	outer := frames.UDP{Src: "192.0.2.2:7000", Dst: "192.0.2.1:4789", Payload: frames.VXLAN(77, inner.Ethernet()), VLANs: []uint16{5, 6}}
	frame := outer.Ethernet()
	copy(frame, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02")
	v := each(frame)
	v[0].Interface = 3
	all := finished(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{Details: flowscope.DetailOrigin}, v)
	require.Len(t, all, 1)
	s := all[0].Stats
	assert.Equal(t, uint16(5), s.VLAN)
	assert.Equal(t, uint32(3), s.Interface)
	assert.Equal(t, [2][6]byte{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}, s.MAC, "the initiator is who was answered")
	assert.Equal(t, "udp 192.0.2.1:4789 <-> 192.0.2.2:7000", s.Outer.String())

	plain := finished(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{Details: flowscope.DetailOrigin}, each(inner.Ethernet()))
	assert.Zero(t, plain[0].Stats.Outer)
	assert.Zero(t, plain[0].Stats.VLAN)
	assert.NotZero(t, plain[0].Stats.MAC)
	mpls := frames.EtherFrame(0x8847, frames.MPLS(inner.IP(), 18))
	label := finished(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{Details: flowscope.DetailOrigin}, each(mpls))
	assert.Equal(t, flowscope.TunnelMPLS, label[0].Stats.Tunnel)
	assert.Zero(t, label[0].Stats.Outer, "no tunnel over IP")
}

func TestTypeAndCodeOfTheFirstICMPMessage(t *testing.T) {
	echo := frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 7}
	echo.Reply = true
	reply := echo.Ethernet()
	echo.Reply = false
	strange := frames.Ethernet(testkit.ICMPError("10.0.0.9", "10.0.0.1", 3, 13, frames.UDP{Src: "10.0.0.1:1", Dst: "10.0.0.2:2"}.IP()))
	six := frames.ICMPEcho{Src: "fd00::1", Dst: "fd00::2", ID: 7}.Ethernet()
	var got []string
	for _, f := range finished(t, flowscope.FiveTuple{}, flowscope.Config{}, each(echo.Ethernet(), reply, strange, six, testkit.UDP("10.0.0.1:3", testkit.Server))) {
		got = append(got, fmt.Sprint(f.L4, " ", f.Stats.ICMPType, " ", f.Stats.ICMPCode))
	}
	assert.Equal(t, []string{"icmp 8 0", "icmp 3 13", "icmpv6 128 0", "udp 0 0"}, got)
}

func TestWhatWasSentAgainAndWhenSidesFinished(t *testing.T) {
	c, s := testkit.Client, testkit.Server
	views := each(
		testkit.TCP(c, s, "S", 100, 0, ""), testkit.TCP(s, c, "SA", 500, 101, ""), testkit.TCP(c, s, "A", 101, 501, ""),
		testkit.TCP(c, s, "PA", 101, 501, "hello"), testkit.TCP(c, s, "PA", 101, 501, "hello"), testkit.TCP(s, c, "A", 501, 106, ""),
		testkit.TCP(s, c, "PA", 501, 106, "yes"), testkit.TCP(s, c, "PA", 501, 106, "ye"), testkit.TCP(c, s, "A", 106, 504, ""),
		testkit.TCP(c, s, "FA", 106, 504, ""), testkit.TCP(c, s, "FA", 106, 504, ""), testkit.TCP(s, c, "FA", 504, 107, ""),
		testkit.TCP(c, s, "A", 107, 505, ""), testkit.TCP(c, s, "A", 107, 505, ""), testkit.TCP(s, c, "A", 505, 107, ""),
	)
	views[14].WireLen = 1000
	all := finished(t, flowscope.FiveTuple{}, flowscope.Config{Details: flowscope.AllDetails}, views)
	require.Len(t, all, 1)
	st := all[0].Stats
	assert.Equal(t, [2]uint64{1, 1}, st.Retransmitted)
	assert.Equal(t, [2]uint64{5, 2}, st.RetransmittedBytes)
	assert.Equal(t, [2]flowscope.Timestamp{10e9, 12e9}, st.FIN)
	assert.Equal(t, [2]uint64{1, 1}, st.Late)
	assert.Equal(t, [2]uint64{uint64(len(views[13].Frame)), 1000}, st.LateBytes)
}

// A slot that is used again has nothing of the flow before, and a peak's memory is given back.
func TestDetailsOfASlotBeginAnew(t *testing.T) {
	cfg := flowscope.Config{Details: flowscope.AllDetails, Events: flowscope.Events(flowscope.EventReleased), MaxFlows: 1}
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)
	require.NoError(t, err)
	for i := range 100 {
		frame := testkit.UDP(testkit.Client, testkit.Server)
		testkit.Readdress(frame, 0x0a000100+uint32(i))
		for _, ev := range tracker.Track(flowscope.PacketView{Frame: frame, Timestamp: testkit.Seconds(float64(i))}) {
			assert.EqualValues(t, len(frame)-14, ev.Stats.IPBytes[0])
		}
	}
}

func TestMemoryOfDetailsIsGivenBack(t *testing.T) {
	cfg := flowscope.Config{Details: flowscope.AllDetails, Events: flowscope.NoEvents}
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)
	require.NoError(t, err)
	frame := testkit.UDP(testkit.Client, testkit.Server)
	peak := func() {
		for i := range 50_000 {
			testkit.Readdress(frame, 0x0a000100+uint32(i))
			tracker.Track(flowscope.PacketView{Frame: frame, Timestamp: 1e9})
		}
		tracker.Finish()
		tracker.Sweep(1e9)
	}
	before := testkit.Heap()
	peak()
	kept := testkit.Heap() - before
	assert.Less(t, kept, int64(4<<20), "50,000 flows took 7 MB of details and 13 MB of slots")
	assert.NotZero(t, tracker.Stats().Packets)
}

func TestDetailsAllocateNothingForAPacket(t *testing.T) {
	if invariants.Enabled {
		t.Skip("this build copies payload")
	}
	cfg := flowscope.Config{Details: flowscope.AllDetails}
	tracker, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)
	require.NoError(t, err)
	frame := testkit.UDP(testkit.Client, testkit.Server)
	tracker.Track(flowscope.PacketView{Frame: frame, Timestamp: 1})
	n, _ := allocs.PerPacket(1000, func() {
		for range 1000 {
			tracker.Track(flowscope.PacketView{Frame: frame, Timestamp: 1})
		}
	})
	assert.Less(t, n, 0.01)
}

func TestDetailsAsText(t *testing.T) {
	for _, c := range []struct {
		set  flowscope.Details
		text string
	}{{0, "none"}, {flowscope.DetailIPBytes, "ip_bytes"}, {flowscope.AllDetails, "ip_bytes|tcp|late_bytes|origin"}} {
		assert.Equal(t, c.text, c.set.String())
		var back flowscope.Details
		require.NoError(t, back.UnmarshalText([]byte(c.text)))
		assert.Equal(t, c.set, back)
	}
	d := flowscope.AllDetails
	require.NoError(t, d.UnmarshalText([]byte("tcp,origin")))
	assert.Equal(t, flowscope.DetailTCP|flowscope.DetailOrigin, d)
	assert.Error(t, d.UnmarshalText([]byte("ttl")))
	_, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, flowscope.Config{Details: 1 << 7})
	assert.ErrorIs(t, err, flowscope.ErrConfig)
}
