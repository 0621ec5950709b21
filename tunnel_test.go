package flowscope_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
)

func TestACombinatorAroundNothingIsNoExtractor(t *testing.T) {
	var none testkit.Extractor
	for name, ex := range map[string]testkit.Extractor{
		"nil": nil, "one": flowscope.AutoDetectEncap(none), "two": flowscope.StripMPLS(flowscope.StripVLAN(none)),
	} {
		if _, err := flowscope.NewFlowTracker(ex, flowscope.Config{}); !errors.Is(err, flowscope.ErrConfig) {
			t.Errorf("%s, tracker: %v", name, err)
		}
		if _, err := flowscope.NewFlowDriver(ex, nil, flowscope.Config{}); !errors.Is(err, flowscope.ErrConfig) {
			t.Errorf("%s, driver: %v", name, err)
		}
		if _, err := flowscope.NewFlowTracker(flowscope.PerTunnel(ex), flowscope.Config{}); !errors.Is(err, flowscope.ErrConfig) {
			t.Errorf("%s, per tunnel: %v", name, err)
		}
		if _, err := flowscope.NewFlowTracker(flowscope.FlowLabel(ex), flowscope.Config{}); !errors.Is(err, flowscope.ErrConfig) {
			t.Errorf("%s, with labels: %v", name, err)
		}
	}
}

func TestAConversationInATunnelIsReadAsIfThereWereNone(t *testing.T) {
	for _, e := range testkit.Encapsulations() {
		for family, ends := range testkit.TunnelEnds {
			if family == 0 && e.V6 {
				continue
			}
			talk := testkit.Conversation(ends)
			bare := testkit.Encapsulation{Put: func(_ int, ip []byte) []byte { return frames.Ethernet(ip) }}
			want, _ := testkit.RunConversation(t, flowscope.FiveTuple{}, testkit.Carry(bare, talk))
			require.Equal(t, [2]string{"who = is there?", "only the other end"}, want.Streams)
			require.Equal(t, flowscope.EndFIN, want.Reason)

			got, through := testkit.RunConversation(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), testkit.Carry(e, talk))
			assert.Equal(t, want, got, e.Name)
			assert.Equal(t, e.Through, through, e.Name)
			if e.Inner == nil {
				continue
			}
			got, through = testkit.RunConversation(t, e.Inner(flowscope.FiveTuple{}), testkit.Carry(e, talk))
			assert.Equal(t, want, got, "%s by its combinator", e.Name)
			assert.Equal(t, e.Through, through, e.Name)
		}
	}
}

func TestPairsInsideATunnelAreTheInnermost(t *testing.T) {
	for _, e := range testkit.Encapsulations() {
		talk := testkit.Conversation(testkit.TunnelEnds[1])
		for _, s := range talk[:2] {
			f := e.Put(s.Dir, s.IP)
			v := flowscope.PacketView{Frame: f}
			var ips flowscope.Extracted[flowscope.IPPairKey]
			require.True(t, flowscope.AutoDetectEncap(flowscope.IPPair{}).Extract(v, &ips), e.Name)
			assert.Equal(t, "2001:0:1::1 <-> 2001:0:1::2", ips.Key.String(), e.Name)
			var macs flowscope.Extracted[flowscope.MACPairKey]
			require.True(t, flowscope.AutoDetectEncap(flowscope.MACPair{}).Extract(v, &macs), e.Name)
			want := "02:00:00:00:00:01 <-> 02:00:00:00:00:02"
			if e.Ethernet && e.Through != "" {
				want = "02:00:00:00:00:11 <-> 02:00:00:00:00:22"
			}
			assert.Equal(t, want, macs.Key.String(), e.Name)
			if e.Ethernet {
				assert.Equal(t, s.IP, macs.Payload, e.Name)
			}
		}
	}
}

func TestCombinatorsRefuseWhatIsNotInTheirTunnel(t *testing.T) {
	outside := map[string][]byte{
		"plain":              testkit.TCP(testkit.Client, testkit.Server, "S", 1, 0, ""),
		"UDP":                testkit.UDP(testkit.Client, testkit.Server),
		"on 4789, not VXLAN": frames.UDP{Src: testkit.Client, Dst: "10.0.0.2:4789", Payload: []byte("no tunnel at all")}.Ethernet(),
		"on 2152, not GTP-U": frames.UDP{Src: testkit.Client, Dst: "10.0.0.2:2152", Payload: []byte("no tunnel at all")}.Ethernet(),
		"GRE that is not":    testkit.OuterIP(0, 47, []byte("no tunnel at all")),
	}
	for _, e := range testkit.Encapsulations() {
		for name, ex := range map[string]testkit.Extractor{
			"mpls": flowscope.StripMPLS(flowscope.FiveTuple{}), "vxlan": flowscope.InnerVXLAN(flowscope.FiveTuple{}),
			"gtpu": flowscope.InnerGTPU(flowscope.FiveTuple{}), "gre": flowscope.InnerGRE(flowscope.FiveTuple{}),
		} {
			for what, f := range outside {
				assert.Equal(t, flowscope.RefusedNotTunnel, testkit.Refuse(t, ex, f), "%s: %s", name, what)
			}
			kind, _, _ := strings.Cut(e.Through, ":")
			if kind == name || e.Inner != nil && name == "gre" && slices.Contains([]string{"nvgre", "erspan", "pptp"}, kind) || e.V6 {
				continue
			}
			why := testkit.Refuse(t, ex, e.Put(0, testkit.Conversation(testkit.TunnelEnds[0])[0].IP))
			if why != flowscope.RefusedNotTunnel && why != flowscope.RefusedNotIP {
				t.Errorf("%s shown %s: %v", name, e.Name, why)
			}
		}
	}
}

func TestCombinatorsNestInAnyOrder(t *testing.T) {
	inner := frames.TCP{Src: testkit.Client, Dst: testkit.Server, Flags: "S"}.Ethernet()
	inGRE := frames.Over("198.51.100.1", "198.51.100.2", 47, frames.NVGRE(5000, 0, inner))
	inVXLAN := frames.UDP{Src: "192.0.2.1:50000", Dst: "192.0.2.2:4789", Payload: frames.VXLAN(77, frames.Ethernet(inGRE, 9))}.IP()
	frame := slices.Concat(frames.Ethernet(inVXLAN, 5)[:16], []byte{0x88, 0x47}, frames.MPLS(inVXLAN, 16))
	wrap := []func(testkit.Extractor) testkit.Extractor{
		func(e testkit.Extractor) testkit.Extractor { return flowscope.StripVLAN(e) }, func(e testkit.Extractor) testkit.Extractor { return flowscope.StripMPLS(e) },
		func(e testkit.Extractor) testkit.Extractor { return flowscope.InnerVXLAN(e) }, func(e testkit.Extractor) testkit.Extractor { return flowscope.InnerGRE(e) },
		func(e testkit.Extractor) testkit.Extractor { return flowscope.AutoDetectEncap(e) },
	}
	n := 0
	testkit.Permute(len(wrap), func(order []int) {
		ex := testkit.Extractor(flowscope.FiveTuple{})
		for _, i := range order {
			ex = wrap[i](ex)
		}
		x := testkit.Extract(t, ex, frame)
		require.Equal(t, "tcp 10.0.0.1:1234 <-> 10.0.0.2:80", x.Key.String(), order)
		n++
	})
	assert.Equal(t, 120, n)
	// Without one of the tunnels the frame is refused, whatever the order.
	assert.Equal(t, flowscope.RefusedNotTunnel, testkit.Refuse(t, flowscope.InnerGTPU(wrap[4](flowscope.FiveTuple{})), frame))
	assert.Equal(t, flowscope.RefusedNotTunnel, testkit.Refuse(t, wrap[4](flowscope.InnerGTPU(flowscope.FiveTuple{})), frame))
}

func TestTenantsWithEqualAddressesAreFlowsOfTheirOwnWithPerTunnel(t *testing.T) {
	question := frames.UDP{Src: testkit.Client, Dst: testkit.Server}.IP()
	one := testkit.NewAudited(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{})
	each := testkit.NewAudited(t, flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{})), flowscope.Config{})
	within := testkit.NewAudited(t, flowscope.AutoDetectEncap(flowscope.PerTunnel(flowscope.FiveTuple{})), flowscope.Config{})
	for i, f := range [][]byte{testkit.VXLANOf(77, question), testkit.VXLANOf(78, question), testkit.VXLANOf(77, question), frames.Ethernet(question)} {
		v := flowscope.PacketView{Frame: f, ID: uint64(i + 1)}
		one.Track(v)
		each.Track(v)
		within.Track(v)
	}
	assert.Equal(t, 1, one.Tracker.Len())
	var keys []string
	for f := range each.Tracker.Flows() {
		keys = append(keys, fmt.Sprint(f.Key, " ", f.Stats.TunnelString(), " ", f.Stats.Packets[0]))
		other, ok := within.Tracker.Get(f.Key)
		assert.True(t, ok && other.Stats == f.Stats, "the order of combinators matters")
	}
	slices.Sort(keys)
	assert.Equal(t, []string{
		"udp 10.0.0.1:1234 <-> 10.0.0.2:80  1", "udp 10.0.0.1:1234 <-> 10.0.0.2:80 in vxlan:77 vxlan:77 2",
		"udp 10.0.0.1:1234 <-> 10.0.0.2:80 in vxlan:78 vxlan:78 1",
	}, keys)
	one.Finish()
	each.Finish()
	within.Finish()
}

func TestIdentifiersOfOneDirectionDoNotPartAConversation(t *testing.T) {
	for _, e := range testkit.Encapsulations() {
		if e.V6 {
			continue
		}
		l := testkit.NewAudited(t, flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{})), flowscope.Config{})
		for i, s := range testkit.Conversation(testkit.TunnelEnds[0]) {
			l.Track(flowscope.PacketView{Frame: e.Put(s.Dir, s.IP), ID: uint64(i + 1)})
		}
		if st := l.Tracker.Stats(); st.FlowsCreated != 1 || st.Ended[flowscope.EndFIN] != 1 {
			t.Errorf("%s: %d flows, %d closed", e.Name, st.FlowsCreated, st.Ended[flowscope.EndFIN])
		}
	}
}

func TestTheInnermostIdentifierNamesTheTenant(t *testing.T) {
	inner := frames.UDP{Src: testkit.Client, Dst: testkit.Server}.IP()
	ex := flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{}))
	ipip := frames.Over("198.51.100.1", "198.51.100.2", 4, inner)
	assert.Equal(t, "vxlan:77", testkit.Extract(t, ex, testkit.VXLANOf(77, ipip)).Key.TunnelString(), "a plain tunnel does not hide the tenant")
	key := uint32(5)
	gre := frames.Over("198.51.100.1", "198.51.100.2", 47, frames.GRE{Key: &key}.Put(inner))
	assert.Equal(t, "gre:5", testkit.Extract(t, ex, testkit.VXLANOf(77, gre)).Key.TunnelString())
	assert.Equal(t, "ipip", testkit.Extract(t, ex, frames.Ethernet(ipip)).Key.TunnelString())
}

func TestATunnelPortWithoutATunnelStaysAUDPFlow(t *testing.T) {
	auto := flowscope.AutoDetectEncap(flowscope.FiveTuple{})
	for _, p := range flowscope.DefaultTunnelPorts() {
		to := fmt.Sprintf("10.0.0.2:%d", p.Port)
		x := testkit.Extract(t, auto, frames.UDP{Src: testkit.Client, Dst: to, Payload: []byte("this is not what the port is known for")}.Ethernet())
		assert.Equal(t, testkit.KeyBetween(t, testkit.Client, to), x.Key, "%v", p.Tunnel)
		assert.Equal(t, "this is not what the port is known for", string(x.Payload))
	}
	arp := frames.EtherFrame(0x0806, make([]byte, 46))
	x := testkit.Extract(t, auto, testkit.OuterUDP(0, 4789, frames.VXLAN(77, arp)))
	assert.Equal(t, "udp 192.0.2.1:50000 <-> 192.0.2.2:4789", x.Key.String(), "VXLAN around ARP")
}

func TestPortsAreThoseThatWereAskedFor(t *testing.T) {
	inner := frames.UDP{Src: testkit.Client, Dst: testkit.Server}.IP()
	on := func(port int) []byte {
		return testkit.OuterUDP(0, port, frames.VXLAN(77, testkit.InnerFrame(0, inner)))
	}
	through := func(ex testkit.Extractor, port int) bool {
		var x flowscope.Extracted[testkit.Key]
		return ex.Extract(flowscope.PacketView{Frame: on(port)}, &x) && x.Key == testkit.KeyBetween(t, testkit.Client, testkit.Server)
	}
	auto := func(ports []flowscope.TunnelPort) testkit.Extractor {
		return flowscope.AutoDetectEncapWith(flowscope.FiveTuple{}, flowscope.EncapOptions{Ports: ports})
	}
	for _, c := range []struct {
		name string
		ex   testkit.Extractor
		want map[int]bool
	}{
		{"default", auto(nil), map[int]bool{4789: true, 8472: true, 9999: false}},
		{"own", auto([]flowscope.TunnelPort{{Port: 9999, Tunnel: flowscope.TunnelVXLAN}}), map[int]bool{4789: false, 8472: false, 9999: true}},
		{"none", auto([]flowscope.TunnelPort{}), map[int]bool{4789: false, 8472: false, 9999: false}},
		{"another kind", auto([]flowscope.TunnelPort{{Port: 9999, Tunnel: flowscope.TunnelGTPU}, {Port: 9999, Tunnel: flowscope.TunnelIPIP}}), map[int]bool{9999: false}},
		{"two kinds", auto([]flowscope.TunnelPort{{Port: 9999, Tunnel: flowscope.TunnelGTPU}, {Port: 9999, Tunnel: flowscope.TunnelVXLAN}}), map[int]bool{9999: true}},
		{"InnerVXLAN", flowscope.InnerVXLAN(flowscope.FiveTuple{}), map[int]bool{4789: true, 8472: false}},
		{"InnerVXLAN on 8472", flowscope.InnerVXLAN(flowscope.FiveTuple{}, 8472), map[int]bool{4789: false, 8472: true}},
		{"InnerVXLAN on both", flowscope.InnerVXLAN(flowscope.FiveTuple{}, 8472, 4789), map[int]bool{4789: true, 8472: true}},
	} {
		for port, want := range c.want {
			assert.Equal(t, want, through(c.ex, port), "%s, port %d", c.name, port)
		}
	}
}

func TestOnlyTheEncapsThatWereAskedForArePeeledOff(t *testing.T) {
	one := map[string]flowscope.Encap{
		"mpls": flowscope.EncapMPLS | flowscope.EncapPseudoWire, "pppoe": flowscope.EncapPPPoE, "pbb": flowscope.EncapPBB,
		"vntag": flowscope.EncapVNTag, "ipip": flowscope.EncapIPIP, "gre": flowscope.EncapGRE, "nvgre": flowscope.EncapGRE,
		"erspan": flowscope.EncapGRE, "pptp": flowscope.EncapGRE, "etherip": flowscope.EncapEtherIP, "vxlan": flowscope.EncapVXLAN,
		"vxlan_gpe": flowscope.EncapVXLANGPE, "geneve": flowscope.EncapGeneve, "gtpu": flowscope.EncapGTPU,
		"teredo": flowscope.EncapTeredo, "ayiya": flowscope.EncapAYIYA, "l2tp": flowscope.EncapL2TP, "tzsp": flowscope.EncapTZSP,
	}
	inner := testkit.Conversation(testkit.TunnelEnds[1])[0].IP
	key := testkit.Extract(t, flowscope.FiveTuple{}, frames.Ethernet(inner)).Key
	sees := func(f []byte, encaps flowscope.Encap) bool {
		var x flowscope.Extracted[testkit.Key]
		ex := flowscope.AutoDetectEncapWith(flowscope.FiveTuple{}, flowscope.EncapOptions{Encaps: encaps})
		return ex.Extract(flowscope.PacketView{Frame: f}, &x) && x.Key == key
	}
	tried := flowscope.Encap(0)
	for _, e := range testkit.Encapsulations() {
		kind, _, _ := strings.Cut(e.Through, ":")
		if kind == "" {
			continue
		}
		mask, f := one[kind], e.Put(0, inner)
		require.NotZero(t, mask, kind)
		tried |= mask
		assert.True(t, sees(f, mask), "%s alone", e.Name)
		assert.True(t, sees(f, 0) && sees(f, flowscope.AllEncaps), "%s among all", e.Name)
		assert.False(t, sees(f, flowscope.NoEncaps), "%s without any", e.Name)
		assert.False(t, sees(f, flowscope.AllEncaps&^mask), "%s without it", e.Name)
	}
	assert.Equal(t, flowscope.AllEncaps, tried)
}

func TestWhatIsNestedTooDeepIsRefusedAndCounted(t *testing.T) {
	nested := func(n int) []byte {
		ip := frames.UDP{Src: testkit.Client, Dst: testkit.Server}.IP()
		for range n {
			ip = frames.Over("198.51.100.1", "198.51.100.2", 4, ip)
		}
		return frames.Ethernet(ip)
	}
	for _, c := range []struct{ depth, deepest int }{{0, 4}, {1, 1}, {3, 3}, {32, 32}, {1000, 32}, {-1, 1}} {
		ex := flowscope.AutoDetectEncapWith(flowscope.FiveTuple{}, flowscope.EncapOptions{Depth: c.depth})
		l := testkit.NewAudited(t, ex, flowscope.Config{})
		for n := range c.deepest + 1 {
			l.Track(flowscope.PacketView{Frame: nested(n), ID: uint64(n + 1)})
		}
		assert.EqualValues(t, 1, l.Tracker.Stats().FlowsCreated, "depth %d", c.depth)
		assert.Zero(t, l.Tracker.Stats().PacketsUnmatched, "depth %d", c.depth)
		for _, n := range []int{c.deepest + 1, 100} {
			l.Track(flowscope.PacketView{Frame: nested(n), ID: 1000})
		}
		assert.EqualValues(t, 2, l.Tracker.Stats().Refused[flowscope.RefusedTooManyTunnels], "depth %d", c.depth)
	}
	six := flowscope.AutoDetectEncapWith(flowscope.FiveTuple{}, flowscope.EncapOptions{Depth: 6})
	assert.Equal(t, testkit.KeyBetween(t, testkit.Client, testkit.Server), testkit.Extract(t, flowscope.StripVLAN(six), nested(6)).Key, "in another combinator")
}

func TestFlowLabelsAreBesideTheKey(t *testing.T) {
	ex := flowscope.FlowLabel(flowscope.FiveTuple{})
	labelled := func(label uint32) []byte {
		f := testkit.UDP("[fd00::1]:1", "[fd00::2]:2")
		f[15], f[16], f[17] = f[15]&0xf0|byte(label>>16), byte(label>>8), byte(label)
		return f
	}
	assert.EqualValues(t, 0xABCDE, testkit.Extract(t, ex, labelled(0xABCDE)).Key.Label)
	assert.Zero(t, testkit.Extract(t, ex, labelled(0)).Key.Label)
	assert.Zero(t, testkit.Extract(t, ex, testkit.UDP(testkit.Client, testkit.Server)).Key.Label, "IPv4 has none")
	l := testkit.NewAudited(t, ex, flowscope.Config{})
	for i, f := range [][]byte{labelled(1), labelled(2), labelled(1)} {
		l.Track(flowscope.PacketView{Frame: f, ID: uint64(i + 1)})
	}
	assert.Equal(t, 2, l.Tracker.Len())
	inside := testkit.Extract(t, flowscope.FlowLabel(flowscope.AutoDetectEncap(flowscope.FiveTuple{})), testkit.VXLANOf(7, labelled(5)[14:]))
	assert.Equal(t, "udp [fd00::1]:1 <-> [fd00::2]:2 label 5", inside.Key.String(), "the label is the inner packet's")
	assert.NotZero(t, testkit.Refuse(t, ex, frames.EtherFrame(0x0806, make([]byte, 46))))
}

func TestStackedLabelsAndCutOnes(t *testing.T) {
	ip := frames.UDP{Src: testkit.Client, Dst: testkit.Server}.IP()
	ex := flowscope.StripMPLS(flowscope.FiveTuple{})
	for n := 1; n <= 17; n++ {
		assert.Equal(t, testkit.KeyBetween(t, testkit.Client, testkit.Server), testkit.Extract(t, ex, frames.EtherFrame(0x8847, frames.MPLS(ip, make([]uint32, n)...))).Key, "%d labels", n)
	}
	assert.Equal(t, flowscope.RefusedTooManyLabels, testkit.Refuse(t, ex, frames.EtherFrame(0x8847, frames.MPLS(ip, make([]uint32, 18)...))))
	assert.Equal(t, flowscope.RefusedTruncatedMPLS, testkit.Refuse(t, ex, frames.EtherFrame(0x8847, []byte{0, 1, 0})))
}

func TestVLANTagsAreSkippedWithAndWithoutStripVLAN(t *testing.T) {
	for n := range 5 {
		f := frames.UDP{Src: testkit.Client, Dst: testkit.Server, VLANs: []uint16{1, 2, 3, 4}[:n]}.Ethernet()
		assert.Equal(t, testkit.Extract(t, flowscope.FiveTuple{}, f).Key, testkit.Extract(t, flowscope.StripVLAN(flowscope.FiveTuple{}), f).Key)
	}
	five := frames.UDP{Src: testkit.Client, Dst: testkit.Server, VLANs: []uint16{1, 2, 3, 4, 5}}.Ethernet()
	assert.Equal(t, flowscope.RefusedTooManyVLANs, testkit.Refuse(t, flowscope.StripVLAN(flowscope.FiveTuple{}), five))
}

func TestTheVLANInATunnelIsTheInnermostEthernetHeaders(t *testing.T) {
	ex := flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{VLAN: true}))
	inner := frames.UDP{Src: testkit.Client, Dst: testkit.Server, VLANs: []uint16{7}}.Ethernet()
	outer := testkit.OuterUDP(0, 4789, frames.VXLAN(77, inner))
	tagged := slices.Concat(outer[:12], []byte{0x81, 0, 0, 9}, outer[12:])
	id, ok := testkit.Extract(t, ex, tagged).Key.Inner.VLAN()
	assert.True(t, ok && id == 7, "%d %v", id, ok)
	_, ok = testkit.Extract(t, ex, testkit.OuterUDP(0, 4789, frames.VXLAN(77, testkit.UDP(testkit.Client, testkit.Server)))).Key.Inner.VLAN()
	assert.False(t, ok)
}

func TestAnOwnExtractorThatAsksABuiltInOneSeesTheInnermostPacket(t *testing.T) {
	ex := flowscope.AutoDetectEncap(testkit.PortOnly{})
	for _, e := range testkit.Encapsulations() {
		x := testkit.Extract(t, ex, e.Put(0, frames.UDP{Src: "[2001:0:1::1]:5000", Dst: "[2001:0:1::2]:53", Payload: []byte("q")}.IP()))
		assert.Equal(t, testkit.PortKey{Port: 53}, x.Key, e.Name)
		assert.Equal(t, "q", string(x.Payload), e.Name)
	}
}

func TestAnInnerExtractorsOwnHashAndTimeoutsAreHonoured(t *testing.T) {
	question := testkit.UDP("10.0.0.1:5000", "10.0.0.2:53")
	check := func(name string, n *int, quiet, over int) {
		t.Helper()
		assert.NotZero(t, *n, "%s: not hashed", name)
		assert.Equal(t, 0, quiet, "%s: ended before its time", name)
		assert.Equal(t, 1, over, "%s: not ended", name)
	}
	run := func(name string, wrap func(testkit.Tenants) flowscope.FlowExtractor[testkit.TenantKey], frame []byte) {
		n := 0
		l := testkit.NewAudited(t, wrap(testkit.Tenants{Hashed: &n, Seeds: map[uint64]bool{}}), flowscope.Config{})
		l.Track(flowscope.PacketView{Frame: frame, ID: 1})
		quiet := testkit.Count(l.Sweep(5e9-1), flowscope.EventEnded)
		check(name, &n, quiet, testkit.Count(l.Sweep(5e9), flowscope.EventEnded))
	}
	type ex = flowscope.FlowExtractor[testkit.TenantKey]
	run("AutoDetectEncap", func(e testkit.Tenants) ex { return flowscope.AutoDetectEncap(e) }, question)
	run("StripVLAN", func(e testkit.Tenants) ex { return flowscope.StripVLAN(e) }, question)
	run("StripMPLS", func(e testkit.Tenants) ex { return flowscope.StripMPLS(e) }, frames.EtherFrame(0x8847, frames.MPLS(question[14:], 16)))
	run("InnerVXLAN", func(e testkit.Tenants) ex { return flowscope.InnerVXLAN(e) }, testkit.VXLANOf(1, question[14:]))
	run("InnerGTPU", func(e testkit.Tenants) ex { return flowscope.InnerGTPU(e) }, testkit.OuterUDP(0, 2152, frames.GTPU(5, question[14:])))
	run("InnerGRE", func(e testkit.Tenants) ex { return flowscope.InnerGRE(e) }, testkit.OuterIP(0, 47, frames.GRE{}.Put(question[14:])))
	run("nested", func(e testkit.Tenants) ex { return flowscope.InnerGRE(flowscope.AutoDetectEncap(e)) }, testkit.OuterIP(0, 47, frames.GRE{}.Put(question[14:])))
	n := 0
	l := testkit.NewAudited(t, flowscope.PerTunnel(flowscope.FlowLabel(flowscope.AutoDetectEncap(testkit.Tenants{Hashed: &n, Seeds: map[uint64]bool{}}))), flowscope.Config{})
	l.Track(flowscope.PacketView{Frame: question, ID: 1})
	quiet := testkit.Count(l.Sweep(5e9-1), flowscope.EventEnded)
	check("PerTunnel(FlowLabel)", &n, quiet, testkit.Count(l.Sweep(5e9), flowscope.EventEnded))
	// Without a timeout of its own a key has that of Config.
	plain := testkit.NewAudited(t, flowscope.PerTunnel(flowscope.FiveTuple{}), flowscope.Config{})
	plain.Track(flowscope.PacketView{Frame: question, ID: 1})
	assert.Equal(t, 0, testkit.Count(plain.Sweep(60e9-1), flowscope.EventEnded))
	assert.Equal(t, 1, testkit.Count(plain.Sweep(60e9), flowscope.EventEnded))
}

func noAllocs[K comparable](t *testing.T, name string, ex flowscope.FlowExtractor[K], cfg flowscope.Config, packets ...[]byte) {
	t.Helper()
	tr, err := flowscope.NewFlowTracker(ex, cfg)
	require.NoError(t, err)
	now := flowscope.Timestamp(1e18)
	run := func() {
		for _, p := range packets {
			now = now.Add(time.Microsecond)
			tr.Track(flowscope.PacketView{Frame: p, Timestamp: now})
		}
	}
	for range 50 {
		run()
	}
	t.Run(name, func(t *testing.T) { allocs.None(t, len(packets), run) })
}

func TestNoAllocsInTunnels(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	ip := frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}.IP()
	five := flowscope.FiveTuple{}
	for _, e := range testkit.Encapsulations() {
		if e.V6 {
			continue
		}
		f := e.Put(0, ip)
		noAllocs(t, e.Name, flowscope.AutoDetectEncap(five), flowscope.Config{}, f)
		noAllocs(t, e.Name+" per tunnel", flowscope.PerTunnel(flowscope.AutoDetectEncap(five)), flowscope.Config{}, f)
		noAllocs(t, e.Name+" with labels", flowscope.FlowLabel(flowscope.PerTunnel(flowscope.AutoDetectEncap(five))), flowscope.Config{}, f)
		noAllocs(t, e.Name+" by MAC", flowscope.AutoDetectEncap(flowscope.MACPair{}), flowscope.Config{}, f)
		if e.Inner != nil {
			noAllocs(t, e.Name+" by its combinator", e.Inner(five), flowscope.Config{}, f)
		}
	}
	noAllocs(t, "own", flowscope.AutoDetectEncap(testkit.PortOnly{}), flowscope.Config{}, testkit.VXLANOf(7, ip))
	noAllocs(t, "VLAN", flowscope.StripVLAN(five), flowscope.Config{}, frames.Ethernet(ip, 7))
	noAllocs(t, "refused", flowscope.InnerGTPU(five), flowscope.Config{}, frames.Ethernet(ip))
}

// One extractor serves any number of trackers: it keeps nothing of a packet.
func TestTwoTrackersMayShareAnExtractor(t *testing.T) {
	shared := flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{}))
	one, two := testkit.NewAudited(t, shared, flowscope.Config{}), testkit.NewAudited(t, shared, flowscope.Config{})
	datagram := frames.UDP{Src: testkit.Client, Dst: testkit.Server, Payload: make([]byte, 100)}.IP()
	for i, e := range testkit.Encapsulations() {
		if e.V6 {
			continue
		}
		for k, s := range testkit.Conversation(testkit.TunnelEnds[0]) {
			one.Track(flowscope.PacketView{Frame: e.Put(s.Dir, s.IP), ID: uint64(100*i + k + 1)})
			two.Track(flowscope.PacketView{Frame: testkit.VXLANOf(uint32(i), s.IP), ID: uint64(100*i + k + 1)})
		}
		for k, p := range frames.Fragments(datagram, 48, uint32(9+i)) { // each puts together its own
			one.Track(flowscope.PacketView{Frame: frames.Ethernet(p), ID: uint64(100*i + 50 + k)})
			if k > 0 {
				two.Track(flowscope.PacketView{Frame: frames.Ethernet(p), ID: uint64(100*i + 50 + k)})
			}
		}
	}
	assert.EqualValues(t, len(testkit.Encapsulations())-1, one.Tracker.Stats().Fragments.Datagrams)
	assert.Zero(t, two.Tracker.Stats().Fragments.Datagrams)
	one.Finish()
	two.Finish()
}

func TestInnerGRESeesBehindLabels(t *testing.T) {
	in := frames.UDP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Payload: []byte("x")}.IP()
	labels := frames.MPLS(in, 16)
	tr, err := flowscope.NewFlowTracker(flowscope.InnerGRE(flowscope.FiveTuple{}), flowscope.Config{})
	require.NoError(t, err)
	tr.Track(flowscope.PacketView{Frame: testkit.OuterIP(0, 47, append([]byte{0, 0, 0x88, 0x47}, labels...))})
	require.Equal(t, 1, tr.Len(), "MPLS in GRE")
	tr.Track(flowscope.PacketView{Frame: testkit.OuterIP(0, 137, labels)})
	require.EqualValues(t, 1, tr.Stats().Refused[flowscope.RefusedNotTunnel], "MPLS in IP is no GRE")
}

func TestTheDeepestOfNestedCombinatorsDecides(t *testing.T) {
	in := frames.UDP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Payload: []byte("x")}.IP()
	twice := testkit.OuterIP(0, 4, frames.Over("203.0.113.1", "203.0.113.2", 4, in))
	shallow := flowscope.EncapOptions{Depth: 1}
	for _, ex := range []flowscope.FlowExtractor[testkit.Key]{
		flowscope.AutoDetectEncapWith(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), shallow),
		flowscope.AutoDetectEncap(flowscope.AutoDetectEncapWith(flowscope.FiveTuple{}, shallow)),
	} {
		tr, err := flowscope.NewFlowTracker(ex, flowscope.Config{})
		require.NoError(t, err)
		tr.Track(flowscope.PacketView{Frame: twice})
		require.Equal(t, 1, tr.Len())
	}
}

// Run with -race: an extractor keeps nothing of a packet, so trackers of several goroutines may share one.
func TestTrackersShareAnExtractor(t *testing.T) {
	ex := flowscope.FlowLabel(flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{})))
	var all sync.WaitGroup
	for network := range uint32(4) {
		all.Add(1)
		go func() {
			defer all.Done()
			tr, err := flowscope.NewFlowTracker(ex, flowscope.Config{})
			if err != nil {
				t.Error(err)
				return
			}
			frame := testkit.VXLANOf(network+1, frames.UDP{Src: testkit.Client, Dst: testkit.Server}.IP())
			for range 200 {
				for _, ev := range tr.Track(flowscope.PacketView{Frame: frame}) {
					if ev.Key.Inner.ID != network+1 {
						t.Errorf("%v in %d", ev.Key, network+1)
					}
				}
			}
		}()
	}
	all.Wait()
}
