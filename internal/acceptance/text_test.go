package acceptance

import (
	"encoding"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

// texter is a value with a text.
type texter interface {
	comparable
	fmt.Stringer
	encoding.TextAppender
	encoding.TextMarshaler
}

// parser of a value's text.
type fromText[T any] interface {
	*T
	encoding.TextUnmarshaler
}

// roundTrip checks that a value has one text, which leads back to it, and gives the text.
func roundTrip[T texter, P fromText[T]](t testing.TB, v T) string {
	t.Helper()
	text, err := v.MarshalText()
	require.NoError(t, err)
	appended, err := v.AppendText([]byte("before "))
	require.NoError(t, err)
	require.Equal(t, "before "+string(text), string(appended))
	var back T
	require.NoError(t, P(&back).UnmarshalText(text))
	require.Equal(t, v, back, "%s", text)
	return string(text)
}

// named checks every number below n: the given ones have the given names, the others are type and number.
func named[T interface {
	~uint8 | ~uint16
	texter
}, P fromText[T]](t *testing.T, n int, want map[T]string) {
	typ := strings.TrimPrefix(fmt.Sprintf("%T", T(0)), "flowscope.")
	t.Run(typ, func(t *testing.T) {
		seen := map[string]bool{}
		for i := range n {
			v := T(i)
			if _, link := any(v).(flowscope.LinkType); link && i == 0 {
				continue // is Ethernet, as 1 is, and its name leads back to that
			}
			text := roundTrip[T, P](t, v)
			if name, ok := want[v]; ok {
				require.Equal(t, name, text)
			} else {
				require.Equal(t, fmt.Sprintf("%s(%d)", typ, i), text)
			}
			require.Equal(t, text, v.String())
			require.False(t, seen[text], text)
			seen[text] = true
			var back map[T]int
			object, err := json.Marshal(map[T]int{v: 1})
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(object, &back))
			require.Equal(t, map[T]int{v: 1}, back)
		}
		v := T(1)
		for _, text := range []string{"", " ", "unknown", "-1", typ, typ + "()", typ + "(-1)", typ + "(0250)", typ + "(65536)",
			typ + "(18446744073709551616)", typ + "(1)", typ + "(1)x", strings.ToUpper(want[1]), want[1] + " ", "\xff"} {
			assert.Error(t, P(&v).UnmarshalText([]byte(text)), text)
		}
		assert.Equal(t, T(1), v)
	})
}

// by numbers names from 0 on.
func by[T ~uint8](names ...string) map[T]string {
	m := map[T]string{}
	for i, name := range names {
		m[T(i)] = name
	}
	return m
}

func TestNamedValuesHaveOneTextThatLeadsBack(t *testing.T) {
	named(t, 256, by[flowscope.EventKind]("none", "started", "packet", "established", "state_change", "data", "gap",
		"side_closed", "urgent", "anomaly", "ended", "late", "released", "icmp_error", "message", "report"))
	named(t, 256, by[flowscope.Verdict]("no", "maybe", "yes"))
	named(t, 256, by[flowscope.FlowSide]("initiator", "responder"))
	named(t, 256, by[flowscope.Orientation]("forward", "reverse"))
	named(t, 256, by[flowscope.FlowState]("active", "syn_sent", "syn_received", "established", "fin_wait", "closing_tcp",
		"closed", "reset", "aborted"))
	named(t, 256, by[flowscope.EndReason]("none", "fin", "rst", "idle", "evicted", "buffer_overflow", "reused",
		"force_closed", "finished"))
	named(t, 256, by[flowscope.Severity]("info", "warning", "error"))
	named(t, 256, by[flowscope.GapCause]("none", "acknowledged", "expired", "budget", "cut", "ended"))
	named(t, 256, by[flowscope.OverlapPolicy]("first", "last", "linux"))
	named(t, 256, by[flowscope.OverflowPolicy]("sliding_window", "drop_flow"))
	named(t, 256, by[flowscope.FragmentPolicy]("reassemble", "ignore"))
	named(t, 256, by[flowscope.ChecksumMode]("ignore", "verify", "auto"))
	named(t, 256, by[flowscope.Tunnel]("none", "mpls", "pppoe", "pbb", "vntag", "ipip", "gre", "nvgre", "erspan", "pptp",
		"etherip", "vxlan", "vxlan_gpe", "geneve", "gtpu", "teredo", "ayiya", "l2tp", "tzsp"))
	assert.Equal(t, "ethernet", flowscope.LinkType(0).String())
	named(t, 1<<16, map[flowscope.LinkType]string{
		1: "ethernet", 9: "ppp", 50: "ppp_hdlc", 51: "pppoe", 101: "raw", 104: "cisco_hdlc", 105: "wifi", 108: "loop",
		113: "linux_sll", 117: "pflog", 119: "prism", 127: "radiotap", 163: "avs", 228: "ipv4", 229: "ipv6", 239: "nflog",
		242: "infiniband", 276: "linux_sll2", flowscope.LinkTypeNull: "null",
	})

	refusals := map[flowscope.Refusal]string{0: "by_extractor", flowscope.RefusedBadChecksum: "bad_checksum"}
	for r := flowscope.Refusal(1); r < flowscope.RefusedBadChecksum; r++ {
		refusals[r] = r.String()
	}
	assert.Equal(t, "truncated_tcp", flowscope.RefusedTruncatedTCP.String())
	named(t, 256, refusals)
	anomalies := map[flowscope.AnomalyKind]string{0: "none"}
	for k := flowscope.AnomalyKind(1); int(k) < len(flowscope.TrackerStats{}.Anomalies); k++ {
		anomalies[k] = k.String()
		assert.NotContains(t, k.String(), "(")
	}
	named(t, 256, anomalies)
}

func TestProtocolsAndFlagsHaveOneTextThatLeadsBack(t *testing.T) {
	for i := range 256 {
		p := flowscope.L4Proto(i)
		assert.Equal(t, p.String(), roundTrip(t, p))
		f := flowscope.TCPFlags(i)
		assert.Equal(t, f.String(), roundTrip(t, f))
		o := flowscope.TCPOptions(i)
		assert.Equal(t, o.String(), roundTrip(t, o))
	}
	assert.Equal(t, "none", flowscope.TCPOptions(0).String())
	assert.Error(t, new(flowscope.TCPOptions).UnmarshalText([]byte("default")))
	assert.Error(t, new(flowscope.TCPOptions).UnmarshalText([]byte("TCPOptions(300)")))
	assert.Equal(t, "none", flowscope.L4Proto(0).String())
	assert.Equal(t, "ip-47", flowscope.L4Proto(47).String())
	assert.Equal(t, ".", flowscope.TCPFlags(0).String())
	assert.Equal(t, "SAC", (flowscope.FlagSYN | flowscope.FlagACK | flowscope.FlagCWR).String())
	for _, text := range []string{"", "TCP", "ip-6", "ip-0", "ip-047", "ip-256", "ip--1", "L4Proto(47)"} {
		assert.Error(t, new(flowscope.L4Proto).UnmarshalText([]byte(text)), text)
	}
	for _, text := range []string{"", "AS", "SS", "s", "S.", "X"} {
		assert.Error(t, new(flowscope.TCPFlags).UnmarshalText([]byte(text)), text)
	}
}

func TestMasksAreReadInAnyOrder(t *testing.T) {
	for mask, want := range map[flowscope.EventMask]string{
		0: "default", flowscope.NoEvents: "none",
		flowscope.Events(flowscope.EventEnded, flowscope.EventStarted): "started|ended",
		flowscope.Events(flowscope.EventData) | 3<<30:                  "data|EventMask(3221225472)",
	} {
		assert.Equal(t, want, roundTrip(t, mask))
	}
	roundTrip(t, flowscope.AllEvents)
	roundTrip(t, flowscope.DefaultEvents)
	for e, want := range map[flowscope.Encap]string{
		0: "default", flowscope.NoEncaps: "none", flowscope.EncapVXLAN | flowscope.EncapGRE: "gre|vxlan",
		flowscope.EncapL2TP | 1<<20: "l2tp|Encap(1048576)",
		flowscope.AllEncaps: "mpls|pseudo_wire|pppoe|pbb|vntag|ipip|gre|etherip|vxlan|vxlan_gpe|geneve|gtpu|teredo|" +
			"ayiya|l2tp|tzsp",
	} {
		assert.Equal(t, want, roundTrip(t, e))
	}
	var m flowscope.EventMask
	require.NoError(t, m.UnmarshalText([]byte("ended|started|ended")))
	assert.Equal(t, flowscope.Events(flowscope.EventStarted, flowscope.EventEnded), m)
	require.NoError(t, m.UnmarshalText([]byte("ended,started|data")))
	assert.Equal(t, flowscope.Events(flowscope.EventStarted, flowscope.EventEnded, flowscope.EventData), m)
	require.NoError(t, m.UnmarshalText([]byte("all")))
	assert.Equal(t, flowscope.AllEvents, m)
	var e flowscope.Encap
	require.NoError(t, e.UnmarshalText([]byte("all")))
	assert.Equal(t, flowscope.AllEncaps, e)
	require.NoError(t, e.UnmarshalText([]byte("vxlan,gre")))
	assert.Equal(t, flowscope.EncapVXLAN|flowscope.EncapGRE, e)
	assert.EqualError(t, m.UnmarshalText([]byte("started,endde|data")),
		`flowscope: "started,endde|data" is no EventMask: it has no element "endde"`)
	require.NoError(t, m.UnmarshalText([]byte("started|ended")))
	for _, text := range []string{"", "|", ",", "started|", "none|started", "default|ended", "EventMask(1)", "EventMask(0)",
		"EventMask(4294967296)", "started, ended", "ALL"} {
		assert.Error(t, m.UnmarshalText([]byte(text)), text)
		assert.Error(t, new(flowscope.Encap).UnmarshalText([]byte(text)), text)
	}
	assert.Equal(t, flowscope.Events(flowscope.EventStarted, flowscope.EventEnded), m)
}

func TestLinkTypesAreReadAsNumbers(t *testing.T) {
	for text, want := range map[string]flowscope.LinkType{
		"0": flowscope.LinkTypeNull, "1": flowscope.LinkTypeEthernet, "276": flowscope.LinkTypeLinuxSLL2, "147": 147,
	} {
		var l flowscope.LinkType
		require.NoError(t, l.UnmarshalText([]byte(text)))
		assert.Equal(t, want, l)
	}
	for _, text := range []string{"-1", "+1", "65536", "0x1", "1 "} {
		assert.Error(t, new(flowscope.LinkType).UnmarshalText([]byte(text)), text)
	}
}

func TestErrorsListTheNames(t *testing.T) {
	assert.EqualError(t, new(flowscope.EndReason).UnmarshalText([]byte("end")), `flowscope: "end" is no EndReason; `+
		"it is one of none, fin, rst, idle, evicted, buffer_overflow, reused, force_closed, finished")
	assert.EqualError(t, new(flowscope.L4Proto).UnmarshalText([]byte("TCP")),
		`flowscope: "TCP" is no L4Proto; it is one of none, icmp, tcp, udp, icmpv6, sctp`)
	err := new(flowscope.OverlapPolicy).UnmarshalText([]byte("second"))
	assert.EqualError(t, err, `flowscope: wrong config: unknown OverlapPolicy "second"; it is one of first, last, linux`)
	assert.ErrorIs(t, err, flowscope.ErrConfig)
	assert.EqualError(t, new(flowscope.Refusal).UnmarshalText([]byte("bad")), `flowscope: "bad" is no Refusal`)
}

func TestTimestampsAsText(t *testing.T) {
	for ts, want := range map[flowscope.Timestamp]string{
		0:                                     "1970-01-01T00:00:00Z",
		flowscope.NewTimestamp(1234, 1):       "1970-01-01T00:20:34.000000001Z",
		flowscope.NewTimestamp(1234, 500e6):   "1970-01-01T00:20:34.5Z",
		-1:                                    "1969-12-31T23:59:59.999999999Z",
		math.MinInt64:                         "1677-09-21T00:12:43.145224192Z",
		math.MaxInt64:                         "2262-04-11T23:47:16.854775807Z",
		flowscope.NewTimestamp(1<<33, 12e7):   "2242-03-16T12:56:32.12Z",
		flowscope.NewTimestamp(-1<<32, 1e6):   "1833-11-24T17:31:44.001Z",
		flowscope.NewTimestamp(1700000000, 0): "2023-11-14T22:13:20Z",
	} {
		assert.Equal(t, want, roundTrip(t, ts))
	}
	var ts flowscope.Timestamp
	require.NoError(t, ts.UnmarshalText([]byte("1970-01-01T01:00:00.25+01:00")))
	assert.Equal(t, flowscope.NewTimestamp(0, 25e7), ts)
	for _, text := range []string{"", "0", "1234.000000001", "1970-01-01", "1677-09-21T00:12:43.145224191Z",
		"2262-04-11T23:47:16.854775808Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"} {
		assert.Error(t, ts.UnmarshalText([]byte(text)), text)
	}
	assert.Equal(t, flowscope.NewTimestamp(0, 25e7), ts)
}

func TestHistoriesAsText(t *testing.T) {
	for _, text := range []string{"", "S", "ShADadFf", "^hADadGgTtWwIiCc"} {
		var h flowscope.History
		require.NoError(t, h.UnmarshalText([]byte(text)))
		assert.Equal(t, text, roundTrip(t, h))
		assert.Equal(t, text, h.String())
	}
	for _, text := range []string{"X", "SxS", "S\x00", "ShADadFfShADadFfS", "é"} {
		assert.Error(t, new(flowscope.History).UnmarshalText([]byte(text)), text)
	}
}

// parsed is the key of a conversation, from a text.
func parsed[K any, P fromText[K]](t testing.TB, text string) (k K) {
	t.Helper()
	require.NoError(t, P(&k).UnmarshalText([]byte(text)), text)
	return k
}

var keyTexts = []string{
	"none",
	"tcp 10.0.0.1:1234 <-> 10.0.0.2:80",
	"tcp 10.0.0.2:80 <-> 10.0.0.1:1234", // Directional
	"tcp 10.0.0.1:0 <-> 10.0.0.2:80",
	"tcp 10.0.0.1 <-> 10.0.0.2",
	"udp [fd00::1]:53 <-> [fd00::2]:5353 vlan 4095",
	"udp [::ffff:1.2.3.4]:1 <-> [::ffff:1.2.3.5]:1",
	"icmp 10.0.0.1 <-> 10.0.0.2",
	"tcp 10.0.0.1:1234 <-> 10.0.0.2:80 tunneled",
	"tcp 10.0.0.1 <-> 10.0.0.2 tunneled",
	"icmp 10.0.0.1 <-> 10.0.0.2 id 7 tunneled",
	"icmpv6 fd00::1 <-> fd00::2 id 7 vlan 1 tunneled",
	"udp [fd00::1]:53 <-> [fd00::2]:5353 vlan 1 tunneled",
	"icmp 10.0.0.1 <-> 10.0.0.2 id 65535",
	"icmpv6 fd00::1 <-> fd00::2 id 7 vlan 1",
	"ip-47 :: <-> ::",
	"none 0.0.0.0 <-> 0.0.0.0",
	"sctp 255.255.255.255:65535 <-> 255.255.255.255:65535",
}

func TestKeysHaveOneTextThatLeadsBack(t *testing.T) {
	for _, text := range keyTexts {
		k := parsed[flowscope.FiveTupleKey](t, text)
		assert.Equal(t, text, roundTrip(t, k))
		assert.Equal(t, text, k.String())
	}
	assert.Equal(t, flowscope.FiveTupleKey{}, parsed[flowscope.FiveTupleKey](t, "none"))
	for _, text := range []string{
		"", " ", "tcp", "tcp ", "tcp 10.0.0.1:1 <-> ", "tcp 10.0.0.1:1 <-> 10.0.0.2:2 ", "tcp 10.0.0.1:1  <-> 10.0.0.2:2",
		"tcp 10.0.0.1:1 <-> 10.0.0.2:2 <-> 10.0.0.3:3", "tcp 10.0.0.1:1 <-> 10.0.0.2", "tcp 10.0.0.1:0 <-> 10.0.0.2:0",
		"tcp 10.0.0.1:1 <-> [fd00::1]:2", "tcp 1.2.3.4:1 <-> [::ffff:1.2.3.4]:2", "tcp 10.0.0.1:01 <-> 10.0.0.2:2",
		"tcp [FD00::1]:1 <-> [fd00::2]:2", "tcp [fe80::1%eth0]:1 <-> [fe80::2]:2", "tcp 10.0.0.1:1 <-> 10.0.0.2:65536",
		"udp 10.0.0.1:1 <-> 10.0.0.2:2 vlan 0", "udp 10.0.0.1:1 <-> 10.0.0.2:2 vlan 4096", "udp 10.0.0.1:1 <-> 10.0.0.2:2 id 7",
		"udp 10.0.0.1:1 <-> 10.0.0.2:2 wlan 7", "udp 10.0.0.1:1 <-> 10.0.0.2:2 vlan", "udp 10.0.0.1:1 <-> 10.0.0.2:2 vlan 7 vlan 7",
		"icmp 10.0.0.1 <-> 10.0.0.2 id", "icmp 10.0.0.1 <-> 10.0.0.2 id 0", "icmp 10.0.0.1:7 <-> 10.0.0.2:7",
		"icmp 10.0.0.1 <-> 10.0.0.2 vlan 1 id 7", "tcp 10.0.0.1:1 <-> 10.0.0.2:2 tunneled tunneled", "tcp 10.0.0.1:1 <-> 10.0.0.2:2 tunneled vlan 1",
		"tcp 10.0.0.1:1 <-> 10.0.0.2:2 Tunneled", "tunneled", "none tunneled", "udp 10.0.0.1:1 <-> 10.0.0.2:2 vlan tunneled", "TCP 10.0.0.1:1 <-> 10.0.0.2:2", "ip-6 10.0.0.1:1 <-> 10.0.0.2:2",
	} {
		k := flowscope.FiveTupleKey{}
		assert.Error(t, k.UnmarshalText([]byte(text)), text)
		assert.Zero(t, k)
	}

	for _, text := range []string{"none", "10.0.0.1 <-> 10.0.0.2", "10.0.0.2 <-> 10.0.0.1", "fd00::1 <-> ::ffff:10.0.0.1", ":: <-> ::"} {
		assert.Equal(t, text, roundTrip(t, parsed[flowscope.IPPairKey](t, text)))
	}
	for _, text := range []string{"", "10.0.0.1", "10.0.0.1 <-> fd00::1", "fe80::1%a <-> fe80::2", "none <-> none"} {
		assert.Error(t, new(flowscope.IPPairKey).UnmarshalText([]byte(text)), text)
	}
	assert.Zero(t, parsed[flowscope.IPPairKey](t, "none"))

	for _, text := range []string{"00:00:00:00:00:00 <-> 00:00:00:00:00:00", "02:00:00:00:00:01 <-> ff:fe:fd:fc:fb:fa"} {
		assert.Equal(t, text, roundTrip(t, parsed[flowscope.MACPairKey](t, text)))
	}
	for _, text := range []string{"", "none", "0200:0000:0001 <-> 00:00:00:00:00:00", "02:00:00:00:00:01 <-> FF:fe:fd:fc:fb:fa",
		"02:00:00:00:00:01 <-> ff:fe:fd:fc:fb:fa:00"} {
		assert.Error(t, new(flowscope.MACPairKey).UnmarshalText([]byte(text)), text)
	}
}

type (
	tunnelled = flowscope.TunnelKey[flowscope.FiveTupleKey]
	labelled  = flowscope.FlowLabelKey[tunnelled]
	twice     = flowscope.TunnelKey[tunnelled]
)

func TestKeysOfCombinatorsHaveOneTextThatLeadsBack(t *testing.T) {
	inner := parsed[flowscope.FiveTupleKey](t, keyTexts[1])
	for k, want := range map[tunnelled]string{
		{}:             "none",
		{Inner: inner}: keyTexts[1],
		{Inner: inner, Tunnel: flowscope.TunnelVXLAN, ID: 77}:         keyTexts[1] + " in vxlan:77",
		{Inner: inner, Tunnel: flowscope.TunnelIPIP}:                  keyTexts[1] + " in ipip",
		{Inner: inner.WithTunnel(true), Tunnel: flowscope.TunnelIPIP}: keyTexts[1] + " tunneled in ipip",
		{Inner: inner.WithTunnel(true)}:                               keyTexts[1] + " tunneled",
		{Inner: inner, Tunnel: 200, ID: math.MaxUint32}:               keyTexts[1] + " in Tunnel(200):4294967295",
		{ID: 5}: "none in none:5",
	} {
		assert.Equal(t, want, roundTrip(t, k))
		assert.Equal(t, want+" label 1048575", roundTrip(t, labelled{Inner: k, Label: 1048575}))
		for _, outer := range []twice{{Inner: k}, {Inner: k, Tunnel: flowscope.TunnelGRE}} {
			roundTrip(t, outer)
		}
	}
	assert.Equal(t, keyTexts[1]+" in vxlan:77", tunnelled{Inner: inner, Tunnel: flowscope.TunnelVXLAN, ID: 77}.String())
	for _, text := range []string{"", " in vxlan", "none in", "none in vxlan:", "none in vxlan:0", "none in vxlan:077", "none in none",
		"none in vxlan:4294967296", "none in VXLAN", "none in vxlan:77 "} {
		assert.Error(t, new(tunnelled).UnmarshalText([]byte(text)), text)
	}
	for _, text := range []string{"none", "none label", "none label -1", "none label 07", "none label 4294967296"} {
		assert.Error(t, new(labelled).UnmarshalText([]byte(text)), text)
	}

	// Keys of a caller's own.
	type bare struct{ A, B int }
	text, err := flowscope.TunnelKey[bare]{Inner: bare{1, 2}, Tunnel: flowscope.TunnelGRE}.MarshalText()
	require.NoError(t, err)
	assert.Equal(t, "{1 2} in gre", string(text))
	assert.Error(t, new(flowscope.TunnelKey[bare]).UnmarshalText(text), "a key without UnmarshalText")
	addr := netip.MustParseAddr("10.0.0.1")
	assert.Equal(t, "10.0.0.1 in gre", roundTrip(t, flowscope.TunnelKey[netip.Addr]{Inner: addr, Tunnel: flowscope.TunnelGRE}))
}

// An ordered key is the one that FiveTuple makes, whatever the order of the ends in the text.
func TestKeysInOrder(t *testing.T) {
	for _, text := range keyTexts {
		k := parsed[flowscope.FiveTupleKey](t, text)
		want := k
		if text != "none" {
			a, b := k.A(), k.B()
			if id := k.ICMPID(); id != 0 {
				a, b = netip.AddrPortFrom(a.Addr(), id), netip.AddrPortFrom(b.Addr(), id)
			}
			vlan, _ := k.VLAN()
			made, err := flowscope.NewFiveTupleKey(k.Proto(), b, a)
			require.NoError(t, err)
			want = made.WithVLAN(vlan).WithTunnel(k.InTunnel())
		}
		assert.Equal(t, want, k.Ordered(), text)
	}
	there, back := parsed[flowscope.FiveTupleKey](t, keyTexts[1]), parsed[flowscope.FiveTupleKey](t, keyTexts[2])
	assert.NotEqual(t, there, back)
	assert.Equal(t, there, back.Ordered())
}

func TestKeysInFailingTests(t *testing.T) {
	five := parsed[flowscope.FiveTupleKey](t, keyTexts[1])
	for want, key := range map[string]any{
		`flowscope.FiveTupleKey("none")`: flowscope.FiveTupleKey{},
		`map[flowscope.FiveTupleKey]int{flowscope.FiveTupleKey("tcp 10.0.0.1:1234 <-> 10.0.0.2:80"):1}`: map[flowscope.FiveTupleKey]int{five: 1},
		`flowscope.IPPairKey("10.0.0.1 <-> 10.0.0.2")`:                                                  parsed[flowscope.IPPairKey](t, "10.0.0.1 <-> 10.0.0.2"),
		`flowscope.MACPairKey("00:00:00:00:00:00 <-> 00:00:00:00:00:00")`:                               flowscope.MACPairKey{},
		`flowscope.TunnelKey("tcp 10.0.0.1:1234 <-> 10.0.0.2:80 in gre:1")`:                             tunnelled{Inner: five, Tunnel: flowscope.TunnelGRE, ID: 1},
		`flowscope.FlowLabelKey("tcp 10.0.0.1:1234 <-> 10.0.0.2:80 in gre label 7")`:                    labelled{Inner: tunnelled{Inner: five, Tunnel: flowscope.TunnelGRE}, Label: 7},
	} {
		assert.Equal(t, want, fmt.Sprintf("%#v", key))
	}
}

func TestKeysOfPacketsLeadBack(t *testing.T) {
	for _, frame := range [][]byte{testkit.UDP(testkit.Client, testkit.Server), testkit.UDP(testkit.Server, testkit.Client)} {
		roundTrip(t, testkit.Extract(t, flowscope.FiveTuple{}, frame).Key)
		roundTrip(t, testkit.Extract(t, flowscope.FiveTuple{Directional: true, VLAN: true}, frame).Key)
		roundTrip(t, testkit.Extract(t, flowscope.IPPair{}, frame).Key)
		roundTrip(t, testkit.Extract(t, flowscope.MACPair{}, frame).Key)
	}
}

func TestKeysAreKeysOfJSON(t *testing.T) {
	five := map[flowscope.FiveTupleKey]int{}
	for i, text := range keyTexts {
		five[parsed[flowscope.FiveTupleKey](t, text)] = i
	}
	text, err := json.Marshal(five)
	require.NoError(t, err)
	var back map[flowscope.FiveTupleKey]int
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, five, back)

	tunnels := map[labelled]flowscope.Timestamp{{Inner: tunnelled{Tunnel: flowscope.TunnelGRE, ID: 1}, Label: 2}: 3}
	text, err = json.Marshal(tunnels)
	require.NoError(t, err)
	assert.Equal(t, `{"none in gre:1 label 2":"1970-01-01T00:00:00.000000003Z"}`, string(text))
	var tunnelsBack map[labelled]flowscope.Timestamp
	require.NoError(t, json.Unmarshal(text, &tunnelsBack))
	assert.Equal(t, tunnels, tunnelsBack)
}

// An event's fields are readable in JSON, and lead back.
func TestEventsAsJSON(t *testing.T) {
	tr := testkit.NewTracker(t, flowscope.Config{})
	events := testkit.Track(tr, testkit.UDP(testkit.Client, testkit.Server), 5)
	text, err := json.Marshal(events[0].Clone())
	require.NoError(t, err)
	assert.Contains(t, string(text), `"Kind":"started","Side":"initiator","Orientation":"forward","L4":"udp","State":"active"`)
	assert.Contains(t, string(text), `"Key":"udp 10.0.0.1:1234 \u003c-\u003e 10.0.0.2:80"`)
	var back flowscope.Event
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, events[0].String(), back.String())
	assert.Equal(t, events[0].Key, back.Key)
}

func TestAKeyIsOfOneFamily(t *testing.T) {
	four, six, mapped := netip.MustParseAddrPort("1.2.3.4:1"), netip.MustParseAddrPort("[fd00::1]:2"), netip.MustParseAddrPort("[::ffff:1.2.3.4]:1")
	for _, ends := range [][2]netip.AddrPort{{four, six}, {six, four}, {four, mapped}, {four, {}}, {{}, six}, {}} {
		k, err := flowscope.NewFiveTupleKey(flowscope.L4TCP, ends[0], ends[1])
		assert.Error(t, err, ends)
		assert.Zero(t, k)
	}
	k, err := flowscope.NewFiveTupleKey(flowscope.L4TCP, six, mapped)
	require.NoError(t, err)
	assert.Equal(t, "tcp [::ffff:1.2.3.4]:1 <-> [fd00::1]:2", k.String())
	_, err = flowscope.NewFiveTupleKey(flowscope.L4ICMP, four, netip.MustParseAddrPort("1.2.3.5:2"))
	assert.Error(t, err, "two identifiers")
	zoned, err := flowscope.NewFiveTupleKey(flowscope.L4UDP, netip.MustParseAddrPort("[fe80::1%eth0]:1"), six)
	require.NoError(t, err)
	assert.Equal(t, "udp [fd00::1]:2 <-> [fe80::1]:1", roundTrip(t, zoned))
}

func TestOppositeOrientations(t *testing.T) {
	assert.Equal(t, flowscope.Reverse, flowscope.Forward.Opposite())
	assert.Equal(t, flowscope.Forward, flowscope.Reverse.Opposite())
}

func TestEventsAsStrings(t *testing.T) {
	key := parsed[flowscope.FiveTupleKey](t, keyTexts[1])
	e := flowscope.Event{
		Kind: flowscope.EventData, Side: flowscope.Responder, Orientation: flowscope.Reverse, L4: flowscope.L4TCP,
		State: flowscope.StateEstablished, From: flowscope.StateSynSent, Reason: flowscope.EndRST, Anomaly: flowscope.AnomalyGap,
		Cause: flowscope.GapCut, ICMPType: 3, ICMPCode: 1, Flow: 7, Packet: 9, Timestamp: flowscope.NewTimestamp(1234, 5),
		Key: key, Bytes: []byte("secret of 40 bytes, in one piece, or two"), Offset: 100, Len: 40,
		Stats: &flowscope.FlowStats{Packets: [2]uint64{3, 2}, Bytes: [2]uint64{300, 200}},
	}
	require.NoError(t, e.History.UnmarshalText([]byte("ShR")))
	const head = ` flow=7 key="tcp 10.0.0.1:1234 <-> 10.0.0.2:80" state=established`
	const side = ` side=responder orientation=reverse`
	const tail = " packet=9 time=1234.000000005"
	const ended = " orientation=reverse reason=rst history=ShR packets=3/2 bytes=300/200"
	for kind, want := range map[flowscope.EventKind]string{
		0:                          "none" + head + side + tail,
		200:                        "EventKind(200)" + head + side + tail,
		flowscope.EventStarted:     "started" + head + side + tail,
		flowscope.EventPacket:      "packet" + head + side + " len=40 bytes=40" + tail,
		flowscope.EventEstablished: "established" + head + side + tail,
		flowscope.EventStateChange: "state_change" + head + side + " from=syn_sent" + tail,
		flowscope.EventData:        "data" + head + side + " offset=100 len=40" + tail,
		flowscope.EventGap:         "gap" + head + side + " offset=100 len=40 cause=cut" + tail,
		flowscope.EventSideClosed:  "side_closed" + head + side + " offset=100 reason=rst" + tail,
		flowscope.EventUrgent:      "urgent" + head + side + " offset=100" + tail,
		flowscope.EventAnomaly:     "anomaly" + head + side + " anomaly=gap offset=100 len=40" + tail,
		flowscope.EventEnded:       "ended" + head + ended + tail,
		flowscope.EventLate:        "late" + head + side + " len=40 bytes=40" + tail,
		flowscope.EventReleased:    "released" + head + ended + tail,
		flowscope.EventReport:      "report" + head + " orientation=reverse history=ShR packets=3/2 bytes=300/200" + tail,
		flowscope.EventICMPError:   "icmp_error" + head + side + " icmp_type=3 icmp_code=1" + tail,
	} {
		e.Kind = kind
		assert.Equal(t, want, e.String())
		assert.Equal(t, want, fmt.Sprint(&e), "of a pointer")
	}

	assert.Equal(t, "anomaly anomaly=clock_jump offset=0 len=1 time=0.000000000",
		flowscope.Event{Kind: flowscope.EventAnomaly, Anomaly: flowscope.AnomalyClockJump, Len: 1}.String())
	assert.Equal(t, "anomaly anomaly=memory_cap offset=0 len=1 policy=drop_flow time=0.000000000",
		flowscope.Event{Kind: flowscope.EventAnomaly, Anomaly: flowscope.AnomalyMemoryCap, Len: 1, Policy: flowscope.OverflowDropFlow}.String())
	assert.Equal(t, "flowscope.FlowEvent{Kind: anomaly, Policy: drop_flow}",
		flowscope.Event{Kind: flowscope.EventAnomaly, Policy: flowscope.OverflowDropFlow}.GoString())
	assert.Equal(t, "none time=0.000000000", flowscope.Event{}.String())

	shown := fmt.Sprintf("%#v", e)
	assert.Contains(t, shown, `Bytes: "secret of 40 bytes, in one piece"... (40), Offset: 100`)
	assert.Contains(t, shown, "Stats: {Packets:[3 2] Bytes:[300 200]")
	assert.NotContains(t, shown, "0x", "an address")
	other := e.Clone()
	assert.Equal(t, shown, fmt.Sprintf("%#v", other), "shows no addresses")
	assert.Equal(t, "flowscope.FlowEvent{Kind: none}", fmt.Sprintf("%#v", flowscope.Event{}))
	assert.Equal(t, `flowscope.FlowEvent{Kind: data, Side: responder, Bytes: "abc", Len: 3}`,
		flowscope.Event{Kind: flowscope.EventData, Side: flowscope.Responder, Bytes: []byte("abc"), Len: 3}.GoString())
}

func TestTextsAreAppendedWithoutAllocation(t *testing.T) {
	if race.On {
		t.Skip("the race detector allocates")
	}
	five := parsed[flowscope.FiveTupleKey](t, "icmpv6 fd00::1 <-> fd00::2 id 7 vlan 1")
	ip, mac := parsed[flowscope.IPPairKey](t, "fd00::1 <-> fd00::2"), parsed[flowscope.MACPairKey](t, "02:00:00:00:00:01 <-> ff:fe:fd:fc:fb:fa")
	through := tunnelled{Inner: five, Tunnel: flowscope.TunnelVXLAN, ID: 77}
	label := flowscope.FlowLabelKey[flowscope.FiveTupleKey]{Inner: five, Label: 7}
	buf := make([]byte, 0, 1024)
	for name, f := range map[string]func(){
		"FiveTupleKey": func() { buf, _ = five.AppendText(buf[:0]) },
		"IPPairKey":    func() { buf, _ = ip.AppendText(buf[:0]) },
		"MACPairKey":   func() { buf, _ = mac.AppendText(buf[:0]) },
		"TunnelKey":    func() { buf, _ = through.AppendText(buf[:0]) },
		"FlowLabelKey": func() { buf, _ = label.AppendText(buf[:0]) },
		"EventMask":    func() { buf, _ = flowscope.AllEvents.AppendText(buf[:0]) },
		"Encap":        func() { buf, _ = flowscope.AllEncaps.AppendText(buf[:0]) },
		"FlowState":    func() { buf, _ = flowscope.FlowState(200).AppendText(buf[:0]) },
		"LinkType":     func() { buf, _ = flowscope.LinkTypeNull.AppendText(buf[:0]) },
		"L4Proto":      func() { buf, _ = flowscope.L4Proto(47).AppendText(buf[:0]) },
		"TCPOptions":   func() { buf, _ = flowscope.TCPOptions(255).AppendText(buf[:0]) },
		"TCPFlags":     func() { buf, _ = flowscope.TCPFlags(255).AppendText(buf[:0]) },
		"Timestamp":    func() { buf, _ = flowscope.Timestamp(1).AppendText(buf[:0]) },
		"History":      func() { buf, _ = flowscope.History{}.AppendText(buf[:0]) },
		"a name":       func() { _ = flowscope.EventData.String() },
	} {
		t.Run(name, func(t *testing.T) { allocs.None(t, 1, f) })
	}
}

func FuzzTextsOfKeys(f *testing.F) {
	for _, text := range keyTexts {
		f.Add(text)
		f.Add(text + " in vxlan:77 label 7")
	}
	f.Add("02:00:00:00:00:01 <-> ff:fe:fd:fc:fb:fa")
	f.Add("fd00::1 <-> ::ffff:10.0.0.1")
	f.Add("2262-04-11T23:47:16.854775807+01:00")
	f.Add("started|EventMask(65536)")
	f.Fuzz(func(t *testing.T, text string) {
		exact[flowscope.FiveTupleKey](t, text)
		exact[flowscope.IPPairKey](t, text)
		exact[flowscope.MACPairKey](t, text)
		exact[tunnelled](t, text)
		exact[labelled](t, text)
		exact[twice](t, text)
		exact[flowscope.L4Proto](t, text)
		exact[flowscope.TCPFlags](t, text)
		exact[flowscope.TCPOptions](t, text)
		readable[flowscope.Details](t, text)
		exact[flowscope.UID](t, text)
		exact[flowscope.MAC](t, text)
		exact[flowscope.TunnelLabel](t, text)
		readable[flowscope.Endpoint](t, text)
		exact[flowscope.History](t, text)
		exact[flowscope.FlowState](t, text)
		readable[flowscope.LinkType](t, text)
		readable[flowscope.Timestamp](t, text)
		readable[flowscope.EventMask](t, text)
		readable[flowscope.Encap](t, text)
	})
}

// readable checks that a text makes a value which has a text, or leaves the value alone.
func readable[T texter, P fromText[T]](t *testing.T, text string) (T, bool) {
	var v, zero T
	if err := P(&v).UnmarshalText([]byte(text)); err != nil {
		require.Equal(t, zero, v)
		return v, false
	}
	roundTrip[T, P](t, v)
	return v, true
}

// exact is readable where no other text makes the same value.
func exact[T texter, P fromText[T]](t *testing.T, text string) {
	if v, ok := readable[T, P](t, text); ok {
		own, err := v.MarshalText()
		require.NoError(t, err)
		require.Equal(t, string(own), text)
	}
}

// The top of go doc has no loose constants: each stands with its type. Exceptions are the names
// of metrics, and values of time.Duration and int that fields of these types take.
func TestEveryConstantIsDocumentedWithItsType(t *testing.T) {
	set := token.NewFileSet()
	pkgs, err := parser.ParseDir(set, "../..", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, parser.ParseComments)
	require.NoError(t, err)
	p := doc.New(pkgs["flowscope"], "flowscope", 0)
	for _, value := range p.Consts {
		for _, name := range value.Names {
			if ast.IsExported(name) && !slices.Contains([]string{"Never", "Unlimited", "MaxProbe"}, name) && !strings.HasPrefix(name, "Metric") {
				t.Errorf("%s stands apart from its type", name)
			}
		}
	}
	counts := map[string]int{}
	for _, typ := range p.Types {
		checkListed(t, typ)
		for _, value := range typ.Consts {
			for _, name := range value.Names {
				if ast.IsExported(name) {
					counts[typ.Name]++
				}
			}
		}
	}
	assert.Equal(t, 9, counts["FlowState"])
	assert.Equal(t, 19, counts["Tunnel"])
}

// checkListed checks that the comment of a type lists its constants with their texts, in their order,
// since go doc of the type shows the first one only.
func checkListed(t *testing.T, typ *doc.Type) {
	var names []string
	for _, value := range typ.Consts {
		for _, name := range value.Names {
			if ast.IsExported(name) {
				names = append(names, name)
			}
		}
	}
	if typ.Name == "EventKind" {
		for _, name := range names {
			assert.Regexp(t, `(?m)^\t`+strings.TrimPrefix(name, "Event")+` `, typ.Doc)
		}
		return
	}
	texts := map[string]string{}
	for line := range strings.Lines(typ.Doc) {
		for pair := strings.Fields(line); strings.HasPrefix(line, "\t") && len(pair) >= 2; pair = pair[2:] {
			texts[pair[0]] = pair[1]
		}
	}
	last := uint64(0)
	for i, name := range names {
		assert.Contains(t, texts, name, typ.Name)
		n, err := number(typ.Name, texts[name])
		require.NoError(t, err, "%s: the text of %s", typ.Name, name)
		switch {
		case strings.HasPrefix(name, "All"), strings.HasPrefix(name, "No"), strings.HasPrefix(name, "Default"):
			continue
		case i > 0:
			assert.Greater(t, n, last, "%s: the text of %s", typ.Name, name)
		}
		last = n
	}
}

// number is the value of a type that has a text.
func number(typ, text string) (uint64, error) {
	values := map[string]encoding.TextUnmarshaler{}
	for _, v := range []encoding.TextUnmarshaler{
		new(flowscope.AnomalyKind), new(flowscope.ChecksumMode), new(flowscope.Encap), new(flowscope.EndReason), new(flowscope.EventMask),
		new(flowscope.FlowSide), new(flowscope.FlowState), new(flowscope.FragmentPolicy), new(flowscope.GapCause), new(flowscope.L4Proto),
		new(flowscope.LinkType), new(flowscope.Orientation), new(flowscope.OverflowPolicy), new(flowscope.OverlapPolicy),
		new(flowscope.Refusal), new(flowscope.Severity), new(flowscope.TCPFlags), new(flowscope.TCPOptions), new(flowscope.Tunnel),
		new(flowscope.Verdict), new(flowscope.Details),
	} {
		values[reflect.TypeOf(v).Elem().Name()] = v
	}
	v, ok := values[typ]
	if !ok {
		return 0, fmt.Errorf("no type %s", typ)
	}
	err := v.UnmarshalText([]byte(text))
	return reflect.ValueOf(v).Elem().Uint(), err
}
