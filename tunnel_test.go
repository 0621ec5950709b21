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
	"github.com/flowscope-go/flowscope/internal/frames"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

type (
	fiveKey = flowscope.FiveTupleKey
	fiveEx  = flowscope.FlowExtractor[fiveKey]
)

// encapsulation is one way to carry a packet between two routers. put takes the direction and what is carried.
type encapsulation struct {
	name     string
	put      func(dir int, ip []byte) []byte
	through  string
	v6       bool // it carries IPv6 only
	ethernet bool // there is an Ethernet header inside
	inner    func(fiveEx) fiveEx
}

// The hardware addresses inside; those outside are those of package frames.
var innerMAC = [2][6]byte{{2, 0, 0, 0, 0, 0x11}, {2, 0, 0, 0, 0, 0x22}}

func TestACombinatorAroundNothingIsNoExtractor(t *testing.T) {
	var none fiveEx
	for name, ex := range map[string]fiveEx{
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

func innerFrame(dir int, ip []byte) []byte {
	f := frames.Ethernet(ip)
	copy(f, innerMAC[1-dir][:])
	copy(f[6:], innerMAC[dir][:])
	return f
}

func outerIP(dir int, proto uint8, payload []byte) []byte {
	ends := [2]string{"192.0.2.1", "192.0.2.2"}
	return frames.Ethernet(frames.Over(ends[dir], ends[1-dir], proto, payload))
}

func outerIP6(dir int, proto uint8, payload []byte) []byte {
	ends := [2]string{"2001:db8::1", "2001:db8::2"}
	return frames.Ethernet(frames.Over(ends[dir], ends[1-dir], proto, payload))
}

// outerUDP is as tunnels over UDP are: to the known port in either direction, from any.
func outerUDP(dir, port int, payload []byte) []byte {
	ends := [2]string{"192.0.2.1", "192.0.2.2"}
	return frames.UDP{
		Src: fmt.Sprintf("%s:%d", ends[dir], 50000+dir), Dst: fmt.Sprintf("%s:%d", ends[1-dir], port), Payload: payload,
	}.Ethernet()
}

func encapsulations() []encapsulation {
	mpls := func(in fiveEx) fiveEx { return flowscope.StripMPLS(in) }
	gre := func(in fiveEx) fiveEx { return flowscope.InnerGRE(in) }
	vxlan := func(in fiveEx) fiveEx { return flowscope.InnerVXLAN(in) }
	gtpu := func(in fiveEx) fiveEx { return flowscope.InnerGTPU(in) }
	key := uint32(99)
	type put = func(dir int, ip []byte) []byte
	overIP := func(proto uint8, f put) put {
		return func(dir int, ip []byte) []byte { return outerIP(dir, proto, f(dir, ip)) }
	}
	overUDP := func(port int, f put) put {
		return func(dir int, ip []byte) []byte { return outerUDP(dir, port, f(dir, ip)) }
	}
	behind := func(kind uint16, f put) put {
		return func(dir int, ip []byte) []byte { return frames.EtherFrame(kind, f(dir, ip)) }
	}
	erspan := func(kind int) put {
		return func(dir int, ip []byte) []byte { return frames.ERSPAN(kind, 8, innerFrame(dir, ip)) }
	}
	tun := func(t flowscope.Tunnel, id uint32) string { return fmt.Sprintf("%v:%d", t, id) }
	return []encapsulation{
		{"MPLS", behind(0x8847, func(dir int, ip []byte) []byte { return frames.MPLS(ip, 1000, 16+uint32(dir)) }), tun(flowscope.TunnelMPLS, 16), false, false, mpls},
		{"a pseudo-wire", behind(0x8847, func(dir int, ip []byte) []byte {
			return frames.MPLS(frames.ControlWord(innerFrame(dir, ip)), 20+uint32(dir))
		}), tun(flowscope.TunnelMPLS, 20), false, true, mpls},
		{"MPLS in IP", overIP(137, func(dir int, ip []byte) []byte { return frames.MPLS(ip, 16+uint32(dir)) }), tun(flowscope.TunnelMPLS, 16), false, false, mpls},
		{"PPPoE", behind(0x8864, func(_ int, ip []byte) []byte { return frames.PPPoE(7, ip) }), tun(flowscope.TunnelPPPoE, 7), false, false, nil},
		{"802.1ah", behind(0x88e7, func(dir int, ip []byte) []byte { return frames.PBB(70000, innerFrame(dir, ip)) }), tun(flowscope.TunnelPBB, 70000), false, true, nil},
		{"VN-Tag", behind(0x8926, func(dir int, ip []byte) []byte { return frames.VNTag(uint16(1+dir), uint16(2-dir), ip) }), "vntag", false, false, nil},
		{"IP in IPv4", func(dir int, ip []byte) []byte { return outerIP(dir, protoOf(ip), ip) }, "ipip", false, false, nil},
		{"IP in IPv6", func(dir int, ip []byte) []byte { return outerIP6(dir, protoOf(ip), ip) }, "ipip", false, false, nil},
		{"GRE", overIP(47, func(_ int, ip []byte) []byte { return frames.GRE{}.Put(ip) }), "gre", false, false, gre},
		{"GRE with all fields", overIP(47, func(_ int, ip []byte) []byte {
			return frames.GRE{Key: &key, Sequence: &key, Checksum: true}.Put(ip)
		}), tun(flowscope.TunnelGRE, 99), false, false, gre},
		{"NVGRE", overIP(47, func(dir int, ip []byte) []byte { return frames.NVGRE(5000, 1, innerFrame(dir, ip)) }), tun(flowscope.TunnelNVGRE, 5000), false, true, gre},
		{"ERSPAN I", overIP(47, erspan(1)), "erspan", false, true, gre},
		{"ERSPAN II", overIP(47, erspan(2)), tun(flowscope.TunnelERSPAN, 8), false, true, gre},
		{"ERSPAN III", overIP(47, erspan(3)), tun(flowscope.TunnelERSPAN, 8), false, true, gre},
		{"PPTP", overIP(47, func(dir int, ip []byte) []byte { return frames.PPTP(uint16(30+dir), ip) }), tun(flowscope.TunnelPPTP, 30), false, false, gre},
		{"EtherIP", overIP(97, func(dir int, ip []byte) []byte { return frames.EtherIP(innerFrame(dir, ip)) }), "etherip", false, true, nil},
		{"VXLAN", overUDP(4789, func(dir int, ip []byte) []byte { return frames.VXLAN(77, innerFrame(dir, ip)) }), "vxlan:77", false, true, vxlan},
		{"VXLAN-GPE with Ethernet", overUDP(4790, func(dir int, ip []byte) []byte { return frames.VXLANGPE(78, 3, innerFrame(dir, ip)) }), "vxlan_gpe:78", false, true, nil},
		{"VXLAN-GPE with IP", overUDP(4790, func(_ int, ip []byte) []byte { return frames.VXLANGPE(78, 1+ip[0]>>5&1, ip) }), "vxlan_gpe:78", false, false, nil},
		{"Geneve with Ethernet", overUDP(6081, func(dir int, ip []byte) []byte {
			return frames.Geneve(79, 0x6558, []byte{1, 2, 3, 1, 5, 6, 7, 8}, innerFrame(dir, ip))
		}), "geneve:79", false, true, nil},
		{"Geneve with IP", overUDP(6081, func(_ int, ip []byte) []byte { return frames.Geneve(79, etherTypeOf(ip), nil, ip) }), "geneve:79", false, false, nil},
		{"GTP-U", overUDP(2152, func(dir int, ip []byte) []byte { return frames.GTPU(500+uint32(dir), ip) }), "gtpu:500", false, false, gtpu},
		{"GTP-U with extensions", overUDP(2152, func(dir int, ip []byte) []byte {
			return frames.GTPU(500+uint32(dir), ip, make([]byte, 4), make([]byte, 8))
		}), "gtpu:500", false, false, gtpu},
		{"Teredo", overUDP(3544, func(_ int, ip []byte) []byte { return frames.Teredo(true, true, ip) }), "teredo", true, false, nil},
		{"AYIYA", overUDP(5072, func(_ int, ip []byte) []byte { return frames.AYIYA(ip) }), "ayiya", false, false, nil},
		{"L2TP", overUDP(1701, func(dir int, ip []byte) []byte { return frames.L2TP(1, 2+uint16(dir), ip) }), tun(flowscope.TunnelL2TP, 1<<16|2), false, false, nil},
		{"none", func(_ int, ip []byte) []byte { return frames.Ethernet(ip) }, "", false, true, nil},
	}
}

func protoOf(ip []byte) uint8 {
	if ip[0]>>4 == 6 {
		return 41
	}
	return 4
}

func etherTypeOf(ip []byte) uint16 {
	if ip[0]>>4 == 6 {
		return 0x86dd
	}
	return 0x0800
}

// said is one IP packet of a conversation.
type said struct {
	dir int
	ip  []byte
}

// conversation is a TCP connection with data both ways, some of it out of order and some twice, that both sides close.
func conversation(ends [2]string) (out []said) {
	say := func(dir int, flags string, seq, ack uint32, payload string) {
		out = append(out, said{dir, frames.TCP{
			Src: ends[dir], Dst: ends[1-dir], Flags: flags, Seq: seq, Ack: ack, Window: 60000, Payload: []byte(payload),
		}.IP()})
	}
	say(0, "S", 1000, 0, "")
	say(1, "SA", 7000, 1001, "")
	say(0, "A", 1001, 7001, "")
	say(0, "PA", 1007, 7001, "is there?")
	say(0, "PA", 1001, 7001, "who = ")
	say(0, "PA", 1007, 7001, "is there?")
	say(1, "PA", 7006, 1016, "the other end")
	say(1, "PA", 7001, 1016, "only ")
	say(0, "FA", 1016, 7019, "")
	say(1, "FA", 7019, 1017, "")
	say(0, "A", 1017, 7020, "")
	return out
}

// heard is what a driver makes of a conversation: all that should not depend on what it came through.
type heard struct {
	Streams [2]string
	Key     fiveKey
	Flows   int
	Reason  flowscope.EndReason
	History string
	Packets [2]uint64
	Payload [2]uint64
	Refused uint64
}

func hear(t *testing.T, ex fiveEx, frames [][]byte) (h heard, through string) {
	t.Helper()
	d, err := flowscope.NewFlowDriver(ex, nil, flowscope.Config{})
	require.NoError(t, err)
	take := func(events []flowscope.FlowEvent[fiveKey]) {
		for i := range events {
			switch ev := &events[i]; ev.Kind {
			case flowscope.EventStarted:
				h.Flows++
				h.Key = ev.Key
			case flowscope.EventData:
				h.Streams[ev.Side] += string(ev.Bytes)
			case flowscope.EventEnded:
				h.Reason, h.History = ev.Reason, ev.History.String()
				h.Packets, h.Payload = ev.Stats.Packets, ev.Stats.Payload
				through = ev.Stats.TunnelString()
			}
		}
	}
	for i, f := range frames {
		take(d.Track(flowscope.PacketView{Frame: f, Timestamp: flowscope.Timestamp(i) * 1e6, ID: uint64(i + 1)}))
	}
	take(d.Finish())
	st := d.Stats()
	h.Refused = st.PacketsUnmatched
	return h, through
}

func carried(e encapsulation, talk []said) (out [][]byte) {
	for _, s := range talk {
		out = append(out, e.put(s.dir, s.ip))
	}
	return out
}

var tunnelEnds = [2][2]string{{client, server}, {"[2001:0:1::1]:1234", "[2001:0:1::2]:80"}}

func TestAConversationInATunnelIsReadAsIfThereWereNone(t *testing.T) {
	for _, e := range encapsulations() {
		for family, ends := range tunnelEnds {
			if family == 0 && e.v6 {
				continue
			}
			talk := conversation(ends)
			bare := encapsulation{put: func(_ int, ip []byte) []byte { return frames.Ethernet(ip) }}
			want, _ := hear(t, flowscope.FiveTuple{}, carried(bare, talk))
			require.Equal(t, [2]string{"who = is there?", "only the other end"}, want.Streams)
			require.Equal(t, flowscope.EndFIN, want.Reason)

			got, through := hear(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), carried(e, talk))
			assert.Equal(t, want, got, e.name)
			assert.Equal(t, e.through, through, e.name)
			if e.inner == nil {
				continue
			}
			got, through = hear(t, e.inner(flowscope.FiveTuple{}), carried(e, talk))
			assert.Equal(t, want, got, "%s by its combinator", e.name)
			assert.Equal(t, e.through, through, e.name)
		}
	}
}

func TestPairsInsideATunnelAreTheInnermost(t *testing.T) {
	for _, e := range encapsulations() {
		talk := conversation(tunnelEnds[1])
		for _, s := range talk[:2] {
			f := e.put(s.dir, s.ip)
			v := flowscope.PacketView{Frame: f}
			var ips flowscope.Extracted[flowscope.IPPairKey]
			require.True(t, flowscope.AutoDetectEncap(flowscope.IPPair{}).Extract(v, &ips), e.name)
			assert.Equal(t, "2001:0:1::1 <-> 2001:0:1::2", ips.Key.String(), e.name)
			var macs flowscope.Extracted[flowscope.MACPairKey]
			require.True(t, flowscope.AutoDetectEncap(flowscope.MACPair{}).Extract(v, &macs), e.name)
			want := "02:00:00:00:00:01 <-> 02:00:00:00:00:02"
			if e.ethernet && e.through != "" {
				want = "02:00:00:00:00:11 <-> 02:00:00:00:00:22"
			}
			assert.Equal(t, want, macs.Key.String(), e.name)
			if e.ethernet {
				assert.Equal(t, s.ip, macs.Payload, e.name)
			}
		}
	}
}

func TestCombinatorsRefuseWhatIsNotInTheirTunnel(t *testing.T) {
	outside := map[string][]byte{
		"plain":              tcp(client, server, "S", 1, 0, ""),
		"UDP":                udp(client, server),
		"on 4789, not VXLAN": frames.UDP{Src: client, Dst: "10.0.0.2:4789", Payload: []byte("no tunnel at all")}.Ethernet(),
		"on 2152, not GTP-U": frames.UDP{Src: client, Dst: "10.0.0.2:2152", Payload: []byte("no tunnel at all")}.Ethernet(),
		"GRE that is not":    outerIP(0, 47, []byte("no tunnel at all")),
	}
	for _, e := range encapsulations() {
		for name, ex := range map[string]fiveEx{
			"mpls": flowscope.StripMPLS(flowscope.FiveTuple{}), "vxlan": flowscope.InnerVXLAN(flowscope.FiveTuple{}),
			"gtpu": flowscope.InnerGTPU(flowscope.FiveTuple{}), "gre": flowscope.InnerGRE(flowscope.FiveTuple{}),
		} {
			for what, f := range outside {
				assert.Equal(t, flowscope.RefusedNotTunnel, refuse(t, ex, f), "%s: %s", name, what)
			}
			kind, _, _ := strings.Cut(e.through, ":")
			if kind == name || e.inner != nil && name == "gre" && slices.Contains([]string{"nvgre", "erspan", "pptp"}, kind) || e.v6 {
				continue
			}
			why := refuse(t, ex, e.put(0, conversation(tunnelEnds[0])[0].ip))
			if why != flowscope.RefusedNotTunnel && why != flowscope.RefusedNotIP {
				t.Errorf("%s shown %s: %v", name, e.name, why)
			}
		}
	}
}

func TestCombinatorsNestInAnyOrder(t *testing.T) {
	inner := frames.TCP{Src: client, Dst: server, Flags: "S"}.Ethernet()
	inGRE := frames.Over("198.51.100.1", "198.51.100.2", 47, frames.NVGRE(5000, 0, inner))
	inVXLAN := frames.UDP{Src: "192.0.2.1:50000", Dst: "192.0.2.2:4789", Payload: frames.VXLAN(77, frames.Ethernet(inGRE, 9))}.IP()
	frame := slices.Concat(frames.Ethernet(inVXLAN, 5)[:16], []byte{0x88, 0x47}, frames.MPLS(inVXLAN, 16))
	wrap := []func(fiveEx) fiveEx{
		func(e fiveEx) fiveEx { return flowscope.StripVLAN(e) }, func(e fiveEx) fiveEx { return flowscope.StripMPLS(e) },
		func(e fiveEx) fiveEx { return flowscope.InnerVXLAN(e) }, func(e fiveEx) fiveEx { return flowscope.InnerGRE(e) },
		func(e fiveEx) fiveEx { return flowscope.AutoDetectEncap(e) },
	}
	n := 0
	permute(len(wrap), func(order []int) {
		ex := fiveEx(flowscope.FiveTuple{})
		for _, i := range order {
			ex = wrap[i](ex)
		}
		x := extract(t, ex, frame)
		require.Equal(t, "tcp 10.0.0.1:1234 <-> 10.0.0.2:80", x.Key.String(), order)
		n++
	})
	assert.Equal(t, 120, n)
	// Without one of the tunnels the frame is refused, whatever the order.
	assert.Equal(t, flowscope.RefusedNotTunnel, refuse(t, flowscope.InnerGTPU(wrap[4](flowscope.FiveTuple{})), frame))
	assert.Equal(t, flowscope.RefusedNotTunnel, refuse(t, wrap[4](flowscope.InnerGTPU(flowscope.FiveTuple{})), frame))
}

// permute calls f with every order of 0 to n-1.
func permute(n int, f func([]int)) {
	order := make([]int, 0, n)
	var next func(left []int)
	next = func(left []int) {
		if len(left) == 0 {
			f(order)
			return
		}
		for i := range left {
			order = append(order, left[i])
			next(append(slices.Clone(left[:i]), left[i+1:]...))
			order = order[:len(order)-1]
		}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	next(all)
}

func vxlanOf(network uint32, ip []byte) []byte {
	return outerUDP(0, 4789, frames.VXLAN(network, innerFrame(0, ip)))
}

func TestTenantsWithEqualAddressesAreFlowsOfTheirOwnWithPerTunnel(t *testing.T) {
	question := frames.UDP{Src: client, Dst: server}.IP()
	one := newAudited(t, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), flowscope.Config{})
	each := newAudited(t, flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{})), flowscope.Config{})
	within := newAudited(t, flowscope.AutoDetectEncap(flowscope.PerTunnel(flowscope.FiveTuple{})), flowscope.Config{})
	for i, f := range [][]byte{vxlanOf(77, question), vxlanOf(78, question), vxlanOf(77, question), frames.Ethernet(question)} {
		v := flowscope.PacketView{Frame: f, ID: uint64(i + 1)}
		one.Track(v)
		each.Track(v)
		within.Track(v)
	}
	assert.Equal(t, 1, one.t.Len())
	var keys []string
	for f := range each.t.Flows() {
		keys = append(keys, fmt.Sprint(f.Key, " ", f.Stats.TunnelString(), " ", f.Stats.Packets[0]))
		other, ok := within.t.Get(f.Key)
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
	for _, e := range encapsulations() {
		if e.v6 {
			continue
		}
		l := newAudited(t, flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{})), flowscope.Config{})
		for i, s := range conversation(tunnelEnds[0]) {
			l.Track(flowscope.PacketView{Frame: e.put(s.dir, s.ip), ID: uint64(i + 1)})
		}
		if st := l.t.Stats(); st.FlowsCreated != 1 || st.Ended[flowscope.EndFIN] != 1 {
			t.Errorf("%s: %d flows, %d closed", e.name, st.FlowsCreated, st.Ended[flowscope.EndFIN])
		}
	}
}

func TestTheInnermostIdentifierNamesTheTenant(t *testing.T) {
	inner := frames.UDP{Src: client, Dst: server}.IP()
	ex := flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{}))
	ipip := frames.Over("198.51.100.1", "198.51.100.2", 4, inner)
	assert.Equal(t, "vxlan:77", extract(t, ex, vxlanOf(77, ipip)).Key.TunnelString(), "a plain tunnel does not hide the tenant")
	key := uint32(5)
	gre := frames.Over("198.51.100.1", "198.51.100.2", 47, frames.GRE{Key: &key}.Put(inner))
	assert.Equal(t, "gre:5", extract(t, ex, vxlanOf(77, gre)).Key.TunnelString())
	assert.Equal(t, "ipip", extract(t, ex, frames.Ethernet(ipip)).Key.TunnelString())
}

func TestATunnelPortWithoutATunnelStaysAUDPFlow(t *testing.T) {
	auto := flowscope.AutoDetectEncap(flowscope.FiveTuple{})
	for _, p := range flowscope.DefaultTunnelPorts() {
		to := fmt.Sprintf("10.0.0.2:%d", p.Port)
		x := extract(t, auto, frames.UDP{Src: client, Dst: to, Payload: []byte("this is not what the port is known for")}.Ethernet())
		assert.Equal(t, flowOf(t, client, to), x.Key, "%v", p.Tunnel)
		assert.Equal(t, "this is not what the port is known for", string(x.Payload))
	}
	arp := frames.EtherFrame(0x0806, make([]byte, 46))
	x := extract(t, auto, outerUDP(0, 4789, frames.VXLAN(77, arp)))
	assert.Equal(t, "udp 192.0.2.1:50000 <-> 192.0.2.2:4789", x.Key.String(), "VXLAN around ARP")
}

func TestPortsAreThoseThatWereAskedFor(t *testing.T) {
	inner := frames.UDP{Src: client, Dst: server}.IP()
	on := func(port int) []byte { return outerUDP(0, port, frames.VXLAN(77, innerFrame(0, inner))) }
	through := func(ex fiveEx, port int) bool {
		var x flowscope.Extracted[fiveKey]
		return ex.Extract(flowscope.PacketView{Frame: on(port)}, &x) && x.Key == flowOf(t, client, server)
	}
	auto := func(ports []flowscope.TunnelPort) fiveEx {
		return flowscope.AutoDetectEncapWith(flowscope.FiveTuple{}, flowscope.EncapOptions{Ports: ports})
	}
	for _, c := range []struct {
		name string
		ex   fiveEx
		want map[int]bool
	}{
		{"default", auto(nil), map[int]bool{4789: true, 8472: true, 9999: false}},
		{"own", auto([]flowscope.TunnelPort{{Port: 9999, Tunnel: flowscope.TunnelVXLAN}}), map[int]bool{4789: false, 8472: false, 9999: true}},
		{"none", auto([]flowscope.TunnelPort{}), map[int]bool{4789: false, 8472: false, 9999: false}},
		{"another kind", auto([]flowscope.TunnelPort{{Port: 9999, Tunnel: flowscope.TunnelGTPU}, {Port: 9999, Tunnel: flowscope.TunnelGRE}}), map[int]bool{9999: false}},
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
		"teredo": flowscope.EncapTeredo, "ayiya": flowscope.EncapAYIYA, "l2tp": flowscope.EncapL2TP,
	}
	inner := conversation(tunnelEnds[1])[0].ip
	key := extract(t, flowscope.FiveTuple{}, frames.Ethernet(inner)).Key
	sees := func(f []byte, encaps flowscope.Encap) bool {
		var x flowscope.Extracted[fiveKey]
		ex := flowscope.AutoDetectEncapWith(flowscope.FiveTuple{}, flowscope.EncapOptions{Encaps: encaps})
		return ex.Extract(flowscope.PacketView{Frame: f}, &x) && x.Key == key
	}
	tried := flowscope.Encap(0)
	for _, e := range encapsulations() {
		kind, _, _ := strings.Cut(e.through, ":")
		if kind == "" {
			continue
		}
		mask, f := one[kind], e.put(0, inner)
		require.NotZero(t, mask, kind)
		tried |= mask
		assert.True(t, sees(f, mask), "%s alone", e.name)
		assert.True(t, sees(f, 0) && sees(f, flowscope.AllEncaps), "%s among all", e.name)
		assert.False(t, sees(f, flowscope.NoEncaps), "%s without any", e.name)
		assert.False(t, sees(f, flowscope.AllEncaps&^mask), "%s without it", e.name)
	}
	assert.Equal(t, flowscope.AllEncaps, tried)
}

func TestWhatIsNestedTooDeepIsRefusedAndCounted(t *testing.T) {
	nested := func(n int) []byte {
		ip := frames.UDP{Src: client, Dst: server}.IP()
		for range n {
			ip = frames.Over("198.51.100.1", "198.51.100.2", 4, ip)
		}
		return frames.Ethernet(ip)
	}
	for _, c := range []struct{ depth, deepest int }{{0, 4}, {1, 1}, {3, 3}, {32, 32}, {1000, 32}, {-1, 1}} {
		ex := flowscope.AutoDetectEncapWith(flowscope.FiveTuple{}, flowscope.EncapOptions{Depth: c.depth})
		l := newAudited(t, ex, flowscope.Config{})
		for n := range c.deepest + 1 {
			l.Track(flowscope.PacketView{Frame: nested(n), ID: uint64(n + 1)})
		}
		assert.EqualValues(t, 1, l.t.Stats().FlowsCreated, "depth %d", c.depth)
		assert.Zero(t, l.t.Stats().PacketsUnmatched, "depth %d", c.depth)
		for _, n := range []int{c.deepest + 1, 100} {
			l.Track(flowscope.PacketView{Frame: nested(n), ID: 1000})
		}
		assert.EqualValues(t, 2, l.t.Stats().Refused[flowscope.RefusedTooManyTunnels], "depth %d", c.depth)
	}
	six := flowscope.AutoDetectEncapWith(flowscope.FiveTuple{}, flowscope.EncapOptions{Depth: 6})
	assert.Equal(t, flowOf(t, client, server), extract(t, flowscope.StripVLAN(six), nested(6)).Key, "in another combinator")
}

func TestFlowLabelsAreBesideTheKey(t *testing.T) {
	ex := flowscope.FlowLabel(flowscope.FiveTuple{})
	labelled := func(label uint32) []byte {
		f := udp("[fd00::1]:1", "[fd00::2]:2")
		f[15], f[16], f[17] = f[15]&0xf0|byte(label>>16), byte(label>>8), byte(label)
		return f
	}
	assert.EqualValues(t, 0xABCDE, extract(t, ex, labelled(0xABCDE)).Key.Label)
	assert.Zero(t, extract(t, ex, labelled(0)).Key.Label)
	assert.Zero(t, extract(t, ex, udp(client, server)).Key.Label, "IPv4 has none")
	l := newAudited(t, ex, flowscope.Config{})
	for i, f := range [][]byte{labelled(1), labelled(2), labelled(1)} {
		l.Track(flowscope.PacketView{Frame: f, ID: uint64(i + 1)})
	}
	assert.Equal(t, 2, l.t.Len())
	inside := extract(t, flowscope.FlowLabel(flowscope.AutoDetectEncap(flowscope.FiveTuple{})), vxlanOf(7, labelled(5)[14:]))
	assert.Equal(t, "udp [fd00::1]:1 <-> [fd00::2]:2 label 5", inside.Key.String(), "the label is the inner packet's")
	assert.NotZero(t, refuse(t, ex, frames.EtherFrame(0x0806, make([]byte, 46))))
}

func TestStackedLabelsAndCutOnes(t *testing.T) {
	ip := frames.UDP{Src: client, Dst: server}.IP()
	ex := flowscope.StripMPLS(flowscope.FiveTuple{})
	for n := 1; n <= 17; n++ {
		assert.Equal(t, flowOf(t, client, server), extract(t, ex, frames.EtherFrame(0x8847, frames.MPLS(ip, make([]uint32, n)...))).Key, "%d labels", n)
	}
	assert.Equal(t, flowscope.RefusedTooManyLabels, refuse(t, ex, frames.EtherFrame(0x8847, frames.MPLS(ip, make([]uint32, 18)...))))
	assert.Equal(t, flowscope.RefusedTruncatedMPLS, refuse(t, ex, frames.EtherFrame(0x8847, []byte{0, 1, 0})))
}

func TestVLANTagsAreSkippedWithAndWithoutStripVLAN(t *testing.T) {
	for n := range 5 {
		f := frames.UDP{Src: client, Dst: server, VLANs: []uint16{1, 2, 3, 4}[:n]}.Ethernet()
		assert.Equal(t, extract(t, flowscope.FiveTuple{}, f).Key, extract(t, flowscope.StripVLAN(flowscope.FiveTuple{}), f).Key)
	}
	five := frames.UDP{Src: client, Dst: server, VLANs: []uint16{1, 2, 3, 4, 5}}.Ethernet()
	assert.Equal(t, flowscope.RefusedTooManyVLANs, refuse(t, flowscope.StripVLAN(flowscope.FiveTuple{}), five))
}

func TestTheVLANInATunnelIsTheInnermostEthernetHeaders(t *testing.T) {
	ex := flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{VLAN: true}))
	inner := frames.UDP{Src: client, Dst: server, VLANs: []uint16{7}}.Ethernet()
	outer := outerUDP(0, 4789, frames.VXLAN(77, inner))
	tagged := slices.Concat(outer[:12], []byte{0x81, 0, 0, 9}, outer[12:])
	id, ok := extract(t, ex, tagged).Key.Inner.VLAN()
	assert.True(t, ok && id == 7, "%d %v", id, ok)
	_, ok = extract(t, ex, outerUDP(0, 4789, frames.VXLAN(77, udp(client, server)))).Key.Inner.VLAN()
	assert.False(t, ok)
}

func TestAnOwnExtractorThatAsksABuiltInOneSeesTheInnermostPacket(t *testing.T) {
	ex := flowscope.AutoDetectEncap(portOnly{})
	for _, e := range encapsulations() {
		x := extract(t, ex, e.put(0, frames.UDP{Src: "[2001:0:1::1]:5000", Dst: "[2001:0:1::2]:53", Payload: []byte("q")}.IP()))
		assert.Equal(t, portKey{53}, x.Key, e.name)
		assert.Equal(t, "q", string(x.Payload), e.name)
	}
}

func TestAnInnerExtractorsOwnHashAndTimeOutsAreHonoured(t *testing.T) {
	question := udp("10.0.0.1:5000", "10.0.0.2:53")
	check := func(name string, n *int, quiet, over int) {
		t.Helper()
		assert.NotZero(t, *n, "%s: not hashed", name)
		assert.Equal(t, 0, quiet, "%s: ended before its time", name)
		assert.Equal(t, 1, over, "%s: not ended", name)
	}
	run := func(name string, wrap func(tenants) flowscope.FlowExtractor[tenantKey], frame []byte) {
		n := 0
		l := newAudited(t, wrap(tenants{&n, map[uint64]bool{}}), flowscope.Config{})
		l.Track(flowscope.PacketView{Frame: frame, ID: 1})
		quiet := count(l.Sweep(5e9-1), flowscope.EventEnded)
		check(name, &n, quiet, count(l.Sweep(5e9), flowscope.EventEnded))
	}
	type ex = flowscope.FlowExtractor[tenantKey]
	run("AutoDetectEncap", func(e tenants) ex { return flowscope.AutoDetectEncap(e) }, question)
	run("StripVLAN", func(e tenants) ex { return flowscope.StripVLAN(e) }, question)
	run("StripMPLS", func(e tenants) ex { return flowscope.StripMPLS(e) }, frames.EtherFrame(0x8847, frames.MPLS(question[14:], 16)))
	run("InnerVXLAN", func(e tenants) ex { return flowscope.InnerVXLAN(e) }, vxlanOf(1, question[14:]))
	run("InnerGTPU", func(e tenants) ex { return flowscope.InnerGTPU(e) }, outerUDP(0, 2152, frames.GTPU(5, question[14:])))
	run("InnerGRE", func(e tenants) ex { return flowscope.InnerGRE(e) }, outerIP(0, 47, frames.GRE{}.Put(question[14:])))
	run("nested", func(e tenants) ex { return flowscope.InnerGRE(flowscope.AutoDetectEncap(e)) }, outerIP(0, 47, frames.GRE{}.Put(question[14:])))
	n := 0
	l := newAudited(t, flowscope.PerTunnel(flowscope.FlowLabel(flowscope.AutoDetectEncap(tenants{&n, map[uint64]bool{}}))), flowscope.Config{})
	l.Track(flowscope.PacketView{Frame: question, ID: 1})
	quiet := count(l.Sweep(5e9-1), flowscope.EventEnded)
	check("PerTunnel(FlowLabel)", &n, quiet, count(l.Sweep(5e9), flowscope.EventEnded))
	// Without a time-out of its own a key has that of Config.
	plain := newAudited(t, flowscope.PerTunnel(flowscope.FiveTuple{}), flowscope.Config{})
	plain.Track(flowscope.PacketView{Frame: question, ID: 1})
	assert.Equal(t, 0, count(plain.Sweep(60e9-1), flowscope.EventEnded))
	assert.Equal(t, 1, count(plain.Sweep(60e9), flowscope.EventEnded))
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
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%s: %v allocations", name, n)
	}
}

func TestNoAllocsInTunnels(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	ip := frames.UDP{Src: client, Dst: server, Payload: make([]byte, 100)}.IP()
	five := flowscope.FiveTuple{}
	for _, e := range encapsulations() {
		if e.v6 {
			continue
		}
		f := e.put(0, ip)
		noAllocs(t, e.name, flowscope.AutoDetectEncap(five), flowscope.Config{}, f)
		noAllocs(t, e.name+" per tunnel", flowscope.PerTunnel(flowscope.AutoDetectEncap(five)), flowscope.Config{}, f)
		noAllocs(t, e.name+" with labels", flowscope.FlowLabel(flowscope.PerTunnel(flowscope.AutoDetectEncap(five))), flowscope.Config{}, f)
		noAllocs(t, e.name+" by MAC", flowscope.AutoDetectEncap(flowscope.MACPair{}), flowscope.Config{}, f)
		if e.inner != nil {
			noAllocs(t, e.name+" by its combinator", e.inner(five), flowscope.Config{}, f)
		}
	}
	noAllocs(t, "own", flowscope.AutoDetectEncap(portOnly{}), flowscope.Config{}, vxlanOf(7, ip))
	noAllocs(t, "VLAN", flowscope.StripVLAN(five), flowscope.Config{}, frames.Ethernet(ip, 7))
	noAllocs(t, "refused", flowscope.InnerGTPU(five), flowscope.Config{}, frames.Ethernet(ip))
}

// One extractor serves any number of trackers: it keeps nothing of a packet.
func TestTwoTrackersMayShareAnExtractor(t *testing.T) {
	shared := flowscope.PerTunnel(flowscope.AutoDetectEncap(flowscope.FiveTuple{}))
	one, two := newAudited(t, shared, flowscope.Config{}), newAudited(t, shared, flowscope.Config{})
	pieces := frames.Fragments(frames.UDP{Src: client, Dst: server, Payload: make([]byte, 100)}.IP(), 48, 9)
	for i, e := range encapsulations() {
		if e.v6 {
			continue
		}
		for k, s := range conversation(tunnelEnds[0]) {
			one.Track(flowscope.PacketView{Frame: e.put(s.dir, s.ip), ID: uint64(100*i + k + 1)})
			two.Track(flowscope.PacketView{Frame: vxlanOf(uint32(i), s.ip), ID: uint64(100*i + k + 1)})
		}
		for k, p := range pieces { // each puts together its own
			one.Track(flowscope.PacketView{Frame: frames.Ethernet(p), ID: uint64(100*i + 50 + k)})
			if k > 0 {
				two.Track(flowscope.PacketView{Frame: frames.Ethernet(p), ID: uint64(100*i + 50 + k)})
			}
		}
	}
	assert.EqualValues(t, len(encapsulations())-1, one.t.Stats().Fragments.Datagrams)
	assert.Zero(t, two.t.Stats().Fragments.Datagrams)
	one.Finish()
	two.Finish()
}

func TestInnerGRESeesBehindLabels(t *testing.T) {
	in := frames.UDP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Payload: []byte("x")}.IP()
	labels := frames.MPLS(in, 16)
	tr, err := flowscope.NewFlowTracker(flowscope.InnerGRE(flowscope.FiveTuple{}), flowscope.Config{})
	require.NoError(t, err)
	tr.Track(flowscope.PacketView{Frame: outerIP(0, 47, append([]byte{0, 0, 0x88, 0x47}, labels...))})
	require.Equal(t, 1, tr.Len(), "MPLS in GRE")
	tr.Track(flowscope.PacketView{Frame: outerIP(0, 137, labels)})
	require.EqualValues(t, 1, tr.Stats().Refused[flowscope.RefusedNotTunnel], "MPLS in IP is no GRE")
}

func TestTheDeepestOfNestedCombinatorsDecides(t *testing.T) {
	in := frames.UDP{Src: "10.0.0.1:1234", Dst: "10.0.0.2:80", Payload: []byte("x")}.IP()
	twice := outerIP(0, 4, frames.Over("203.0.113.1", "203.0.113.2", 4, in))
	shallow := flowscope.EncapOptions{Depth: 1}
	for _, ex := range []flowscope.FlowExtractor[fiveKey]{
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
			frame := vxlanOf(network+1, frames.UDP{Src: client, Dst: server}.IP())
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
