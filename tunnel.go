package flowscope

import (
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/flowscope-go/flowscope/internal/decode"
)

// Combinators are functions that show an extractor the packet inside a tunnel, or make the tunnel a
// part of the key. They set options of one pass over the headers, so they can be nested in any
// order and each header is read once.
//
// A tunnel is where an IP header is around the packet. MPLS labels, PPPoE, 802.1ah and VN-Tags alone are
// peeled off as VLAN tags are, and are no part of a conversation's key.
//
//	| Ethernet | VLAN | IP | UDP 4789 | VXLAN 77 | Ethernet | IP | TCP | GET / |
//	  FiveTuple{}                            the outer UDP flow
//	  InnerVXLAN(FiveTuple{})                the TCP flow; what is not in VXLAN is refused
//	  AutoDetectEncap(FiveTuple{})           the TCP flow; what is in no tunnel is itself
//	  PerTunnel(AutoDetectEncap(FiveTuple{}))  the TCP flow of network 77
//
// They act on FiveTuple, IPPair and MACPair. A caller's own extractor that calls one of these in
// its Extract, with the view that it was given, gets the innermost packet too. One that reads
// v.Frame itself sees the frame as captured.

// Encap is a set of encapsulations.
//
// The constants and their texts; go doc flowscope.EncapMPLS says more of them:
//
//	EncapMPLS       mpls          EncapVXLANGPE   vxlan_gpe
//	EncapPseudoWire pseudo_wire   EncapGeneve     geneve
//	EncapPPPoE      pppoe         EncapGTPU       gtpu
//	EncapPBB        pbb           EncapTeredo     teredo
//	EncapVNTag      vntag         EncapAYIYA      ayiya
//	EncapIPIP       ipip          EncapL2TP       l2tp
//	EncapGRE        gre           EncapTZSP       tzsp
//	EncapEtherIP    etherip       AllEncaps       all
//	EncapVXLAN      vxlan         NoEncaps        none
type Encap uint32

// The encapsulations that can be peeled off. VLAN tags, up to four, always are.
const (
	EncapMPLS       Encap = 1 << 0 // label stacks: behind Ethernet, PPP, Cisco HDLC, GRE, IP, UDP, VXLAN-GPE, Geneve
	EncapPseudoWire Encap = 1 << 1 // Ethernet in an MPLS label stack (RFC 4448); needs EncapMPLS
	EncapPPPoE      Encap = 1 << 2
	EncapPBB        Encap = 1 << 3 // 802.1ah
	EncapVNTag      Encap = 1 << 4 // the predecessor of 802.1BR
	EncapIPIP       Encap = 1 << 5 // IPv4 and IPv6 in IPv4 and IPv6, 6in4 included
	EncapGRE        Encap = 1 << 6 // with NVGRE, Ethernet, ERSPAN I to III, PPP, and PPTP's version 1; over IP and UDP
	EncapEtherIP    Encap = 1 << 7
	EncapVXLAN      Encap = 1 << 8
	EncapVXLANGPE   Encap = 1 << 9
	EncapGeneve     Encap = 1 << 10
	EncapGTPU       Encap = 1 << 11
	EncapTeredo     Encap = 1 << 12
	EncapAYIYA      Encap = 1 << 13
	EncapL2TP       Encap = 1 << 14 // version 2, data messages
	EncapTZSP       Encap = 1 << 15 // Ethernet and 802.11 that a sniffer sends on

	// AllEncaps is all of them, NoEncaps none. NoEncaps is not zero, since zero
	// in EncapOptions stands for all.
	AllEncaps Encap = Encap(decode.PeelAll)
	NoEncaps  Encap = Encap(1 << 31)
)

var encapNames = &sets{of: "Encap", none: uint32(NoEncaps), all: uint32(AllEncaps), text: []string{
	"mpls", "pseudo_wire", "pppoe", "pbb", "vntag", "ipip", "gre", "etherip", "vxlan", "vxlan_gpe", "geneve", "gtpu", "teredo",
	"ayiya", "l2tp", "tzsp",
}}

// String lists the encapsulations, as in "gre|vxlan"; it is "none" for NoEncaps and "default" for
// the 0 of EncapOptions.
func (e Encap) String() string { return string(encapNames.append(nil, uint32(e))) }

// AppendText appends what String gives.
func (e Encap) AppendText(b []byte) ([]byte, error) { return encapNames.append(b, uint32(e)), nil }

// MarshalText is what String gives.
func (e Encap) MarshalText() ([]byte, error) { return e.AppendText(nil) }

// UnmarshalText takes what String gives, the encapsulations in any order and with "|" or "," between
// them, and "all" for AllEncaps.
func (e *Encap) UnmarshalText(text []byte) error {
	v, err := encapNames.parse(text)
	if err == nil {
		*e = Encap(v)
	}
	return err
}

// EncapOptions are the tunnels that AutoDetectEncapWith peels off. The zero value stands for the
// defaults, which are those of AutoDetectEncap.
type EncapOptions struct {
	// Encaps is the set of encapsulations to peel off; NoEncaps is the empty set. Default AllEncaps.
	Encaps Encap
	// Depth is the number of tunnel headers that may be nested, 1 to 32, an MPLS label stack being
	// one. A packet with more is refused as RefusedTooManyTunnels. Default 4.
	Depth int
	// Ports are the UDP ports, of either end, that mean a tunnel. An empty slice that is not nil is
	// none. Default DefaultTunnelPorts().
	Ports []TunnelPort
}

// TunnelPort says that a UDP port means a tunnel: one of TunnelVXLAN,
// TunnelVXLANGPE, TunnelGeneve, TunnelGTPU, TunnelTeredo, TunnelAYIYA,
// TunnelL2TP, TunnelTZSP, TunnelGRE and TunnelMPLS; others are ignored. What is on the port and is no such tunnel stays
// a UDP flow.
type TunnelPort struct {
	Port   uint16
	Tunnel Tunnel
}

// DefaultTunnelPorts are the registered ports, 8472, which Linux took for VXLAN
// before it had one, and 37008, where sniffers send TZSP.
func DefaultTunnelPorts() []TunnelPort {
	ports := decode.DefaultPorts()
	out := make([]TunnelPort, len(ports))
	for i, p := range ports {
		out[i] = TunnelPort{Port: p.Number, Tunnel: Tunnel(p.Kind)}
	}
	return out
}

// AutoDetectEncap shows the inner extractor the innermost packet of up to four nested tunnels of
// any kind. A packet in no tunnel is shown as it is, and belongs to another conversation of FiveTuple than
// one in a tunnel does. A tunnel is recognised if its header is valid
// and an IP header is inside: a UDP flow on port 4789 that is not VXLAN stays a UDP flow.
func AutoDetectEncap[K comparable](inner FlowExtractor[K]) FlowExtractor[K] {
	return AutoDetectEncapWith(inner, EncapOptions{})
}

// AutoDetectEncapWith is AutoDetectEncap with options.
func AutoDetectEncapWith[K comparable](inner FlowExtractor[K], o EncapOptions) FlowExtractor[K] {
	return peel(inner, o.decode(), 0)
}

// decode converts the options to those of package decode, with their defaults.
func (o EncapOptions) decode() decode.Options {
	d := decode.Options{Peel: decode.Peel(o.Encaps), Depth: o.Depth, Ports: []decode.Port{}}
	if o.Encaps == 0 {
		d.Peel = decode.PeelAll
	}
	if o.Depth == 0 {
		d.Depth = decode.DefaultDepth
	}
	if o.Ports == nil {
		d.Ports = decode.DefaultPorts()
	}
	for _, p := range o.Ports {
		d.Ports = append(d.Ports, decode.Port{Number: p.Port, Kind: decode.Tunnel(p.Tunnel)})
	}
	return d
}

// StripVLAN shows the inner extractor the packet behind VLAN tags. The built-in extractors skip up
// to four tags anyway, so it changes nothing for them; it documents the intention.
func StripVLAN[K comparable](inner FlowExtractor[K]) FlowExtractor[K] {
	return peel(inner, decode.Options{}, 0)
}

// StripMPLS shows the inner extractor the packet behind an MPLS label stack of
// up to 17 labels, also that of an Ethernet pseudo-wire and over UDP (port 6635, RFC 7510), and
// refuses a packet without labels.
func StripMPLS[K comparable](inner FlowExtractor[K]) FlowExtractor[K] {
	return peel(inner, overUDP(decode.PeelMPLS|decode.PeelPseudoWire, decode.MPLS, 6635, nil), decode.PeelMPLS)
}

// InnerVXLAN shows the inner extractor the packet in a VXLAN tunnel (RFC 7348), and refuses a
// packet that is in none. Without ports the port is 4789.
func InnerVXLAN[K comparable](inner FlowExtractor[K], ports ...uint16) FlowExtractor[K] {
	return peel(inner, overUDP(decode.PeelVXLAN, decode.VXLAN, 4789, ports), decode.PeelVXLAN)
}

// InnerGTPU shows the inner extractor the packet in a GTP-U tunnel (3GPP TS 29.281), and refuses a
// packet that is in none. Without ports the port is 2152.
func InnerGTPU[K comparable](inner FlowExtractor[K], ports ...uint16) FlowExtractor[K] {
	return peel(inner, overUDP(decode.PeelGTPU, decode.GTPU, 2152, ports), decode.PeelGTPU)
}

// InnerGRE shows the inner extractor the packet in a GRE tunnel (RFC 2784, RFC 2890), be it IP, MPLS,
// Ethernet, NVGRE, ERSPAN or PPP, also over UDP (port 4754, RFC 8086), and refuses a packet that is
// in none.
func InnerGRE[K comparable](inner FlowExtractor[K]) FlowExtractor[K] {
	return peel(inner, overUDP(decode.PeelGRE|decode.PeelMPLS|decode.PeelPseudoWire, decode.GRE, 4754, nil), decode.PeelGRE)
}

func overUDP(mask decode.Peel, kind decode.Tunnel, standard uint16, ports []uint16) decode.Options {
	if len(ports) == 0 {
		ports = []uint16{standard}
	}
	o := decode.Options{Peel: mask}
	for _, n := range ports {
		o.Ports = append(o.Ports, decode.Port{Number: n, Kind: kind})
	}
	return o
}

// combinator is an extractor around another one.
type combinator[K comparable] interface {
	timer() func(K) time.Duration
	peels() decode.Options
}

// peelsOf are the tunnels that an extractor peels off.
func peelsOf[K comparable](ex FlowExtractor[K]) decode.Options {
	if c, ok := any(ex).(combinator[K]); ok {
		return c.peels()
	}
	return decode.Options{}
}

// peeling shows the inner extractor the innermost packet.
type peeling[K comparable] struct {
	inner   FlowExtractor[K]
	hash    hasher[K]
	options decode.Options
	want    decode.Peel // a packet that was not in all of these is refused
	decoder *decoder
}

// peel makes one combinator of nested ones, with the union of their encapsulations and ports and the
// greatest of their depths, of which 0 is unset.
func peel[K comparable](inner FlowExtractor[K], o decode.Options, want decode.Peel) FlowExtractor[K] {
	also := peelsOf(inner)
	o.Peel |= also.Peel
	o.Ports = append(o.Ports, also.Ports...)
	if also.Depth != 0 && (o.Depth == 0 || also.Depth > o.Depth) {
		o.Depth = also.Depth
	}
	if p, ok := inner.(peeling[K]); ok {
		inner = p.inner
		want |= p.want
	}
	if o.Ports == nil {
		o.Ports = []decode.Port{}
	}
	return peeling[K]{inner: inner, hash: hasherOf(inner), options: o, want: want, decoder: &decoder{peeler: decode.NewPeeler(o)}}
}

// Extract implements FlowExtractor.
func (e peeling[K]) Extract(v PacketView, x *Extracted[K]) bool {
	shared := v.decoder
	lent := shared != nil && shared.peeler == nil // of a datagram, by the tracker
	switch {
	case shared == nil:
		v.decoder = e.decoder
	case lent:
		shared.peeler = e.decoder.peeler
	}
	ok := e.inner.Extract(v, x)
	if x.slow&slowNotDecoded != 0 {
		x.decodeHeaders(&v)
	}
	if lent {
		shared.peeler = nil // another combinator may be next
	}
	if e.want == 0 {
		return ok
	}
	if st := x.packet.Require(e.want, decode.OK); ok && st != decode.OK {
		x.Refused = Refusal(st)
		return false
	}
	return ok
}

func (e peeling[K]) hashKey(k *K, seed uint64) uint64 { return e.hash.hashKey(k, seed) }

func (e peeling[K]) timer() func(K) time.Duration { return timerOf(e.inner) }
func (e peeling[K]) peels() decode.Options        { return e.options }
func (e peeling[K]) hollow() bool                 { return isHollow(e.inner) }

// Tunnel is a kind of encapsulation. The zero value is none.
//
// The constants and their texts; go doc flowscope.NoTunnel says more of them:
//
//	NoTunnel       none        TunnelEtherIP  etherip
//	TunnelMPLS     mpls        TunnelVXLAN    vxlan
//	TunnelPPPoE    pppoe       TunnelVXLANGPE vxlan_gpe
//	TunnelPBB      pbb         TunnelGeneve   geneve
//	TunnelVNTag    vntag       TunnelGTPU     gtpu
//	TunnelIPIP     ipip        TunnelTeredo   teredo
//	TunnelGRE      gre         TunnelAYIYA    ayiya
//	TunnelNVGRE    nvgre       TunnelL2TP     l2tp
//	TunnelERSPAN   erspan      TunnelTZSP     tzsp
//	TunnelPPTP     pptp
type Tunnel uint8

// The kinds, with their identifiers. Those of one direction are chosen by its
// receiver, and differ from those of the other: they are in FlowStats but not in
// TunnelKey, where they would make each direction a flow of its own.
const (
	NoTunnel       Tunnel = Tunnel(decode.NoTunnel)
	TunnelMPLS     Tunnel = Tunnel(decode.MPLS)     // the bottom label, of one direction
	TunnelPPPoE    Tunnel = Tunnel(decode.PPPoE)    // the session
	TunnelPBB      Tunnel = Tunnel(decode.PBB)      // the service instance
	TunnelVNTag    Tunnel = Tunnel(decode.VNTag)    // 0
	TunnelIPIP     Tunnel = Tunnel(decode.IPIP)     // 0
	TunnelGRE      Tunnel = Tunnel(decode.GRE)      // the key, or 0
	TunnelNVGRE    Tunnel = Tunnel(decode.NVGRE)    // the virtual subnet
	TunnelERSPAN   Tunnel = Tunnel(decode.ERSPAN)   // the session
	TunnelPPTP     Tunnel = Tunnel(decode.PPTP)     // the call, of one direction
	TunnelEtherIP  Tunnel = Tunnel(decode.EtherIP)  // 0
	TunnelVXLAN    Tunnel = Tunnel(decode.VXLAN)    // the network
	TunnelVXLANGPE Tunnel = Tunnel(decode.VXLANGPE) // the network
	TunnelGeneve   Tunnel = Tunnel(decode.Geneve)   // the network
	TunnelGTPU     Tunnel = Tunnel(decode.GTPU)     // the endpoint, of one direction
	TunnelTeredo   Tunnel = Tunnel(decode.Teredo)   // 0
	TunnelAYIYA    Tunnel = Tunnel(decode.AYIYA)    // 0
	TunnelL2TP     Tunnel = Tunnel(decode.L2TP)     // tunnel and session, 16 bits each, of one direction
	TunnelTZSP     Tunnel = Tunnel(decode.TZSP)     // 0
)

// String is a short name, such as "vxlan".
func (t Tunnel) String() string { return tunnelNames.string(uint16(t)) }

// AppendText appends what String gives.
func (t Tunnel) AppendText(b []byte) ([]byte, error) { return tunnelNames.append(b, uint16(t)), nil }

// MarshalText is what String gives.
func (t Tunnel) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// UnmarshalText takes what String gives.
func (t *Tunnel) UnmarshalText(text []byte) error { return unmarshal(tunnelNames, t, text) }

var tunnelNames = &names{of: "Tunnel", text: decode.TunnelNames[:]}

// TunnelKey is the key of PerTunnel: another key and the tunnel around it.
type TunnelKey[K comparable] struct {
	Inner K
	// Tunnel and ID are those of the innermost tunnel that has an identifier for
	// both directions. If none has, ID is 0 and Tunnel the innermost of the kinds
	// that have none, or if there is no such, the innermost.
	Tunnel Tunnel
	ID     uint32
}

// TunnelString is the tunnel as a text, as in "vxlan:77", or "gtpu" if there is no
// identifier, or "" for no tunnel.
func (k TunnelKey[K]) TunnelString() string { return tunnelString(k.Tunnel, k.ID) }

func tunnelString(kind Tunnel, id uint32) string {
	if kind == NoTunnel {
		return ""
	}
	return string(appendTunnel(nil, kind, id))
}

func appendTunnel(b []byte, kind Tunnel, id uint32) []byte {
	b, _ = kind.AppendText(b)
	if id != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(id), 10)
	}
	return b
}

// String is the inner key and the tunnel, as in "tcp 10.0.0.1:1234 <-> 10.0.0.2:80 tunneled in vxlan:77".
func (k TunnelKey[K]) String() string {
	if k.Tunnel == NoTunnel {
		return fmt.Sprint(k.Inner)
	}
	return fmt.Sprint(k.Inner, " in ", k.TunnelString())
}

// GoString is what %#v shows, as in flowscope.TunnelKey("10.0.0.1 <-> 10.0.0.2 in vxlan:77").
func (k TunnelKey[K]) GoString() string { return goString("TunnelKey", k) }

// AppendText appends what String gives. The inner key may bring a text of its own with it, by
// encoding.TextAppender or encoding.TextMarshaler.
func (k TunnelKey[K]) AppendText(b []byte) ([]byte, error) {
	start := len(b)
	b, err := appendKey(b, &k.Inner)
	// " in none" only where the inner key's text could be taken for one with a tunnel.
	if k.Tunnel != NoTunnel || k.ID != 0 || bytes.Contains(b[start:], []byte(inTunnel)) {
		b = appendTunnel(append(b, inTunnel...), k.Tunnel, k.ID)
	}
	return b, err
}

// MarshalText is what AppendText gives, so that the key can be one of a JSON object.
func (k TunnelKey[K]) MarshalText() ([]byte, error) { return k.AppendText(nil) }

// UnmarshalText takes what MarshalText gives, if the inner key is an encoding.TextUnmarshaler.
func (k *TunnelKey[K]) UnmarshalText(text []byte) error {
	return unmarshalKey(k, text, "TunnelKey", parseTunnelKey[K])
}

// inTunnel stands between the inner key and the tunnel.
const inTunnel = " in "

func parseTunnelKey[K comparable](s string) (k TunnelKey[K], ok bool) {
	if i := strings.LastIndex(s, inTunnel); i >= 0 {
		name, id, _ := strings.Cut(s[i+len(inTunnel):], ":")
		if k.Tunnel.UnmarshalText([]byte(name)) != nil {
			return k, false
		}
		n, _ := strconv.ParseUint(id, 10, 32)
		k.ID, s = uint32(n), s[:i]
	}
	k.Inner, ok = parseKey[K](s)
	return k, ok
}

// PerTunnel adds the tunnel to the key of another extractor, so that equal addresses of different
// tenants are different flows. It is useful around a combinator that peels off tunnels:
// PerTunnel(AutoDetectEncap(FiveTuple{})). Where the two directions of a conversation use different
// networks or keys, as some do, each is a flow of its own; without PerTunnel they are one.
//
// Without it, all tunnels share their conversations: who can send packets of a tunnel past the observer,
// to whomever and in whatever network, may speak in the conversation of two others in another tunnel.
// What is in no tunnel is out of his reach. With it he needs the kind and the identifier of their tunnel;
// the addresses of its ends are never a part of the key.
func PerTunnel[K comparable](inner FlowExtractor[K]) FlowExtractor[TunnelKey[K]] {
	return perTunnel[K]{inner, hasherOf(inner)}
}

type perTunnel[K comparable] struct {
	inner FlowExtractor[K]
	hash  hasher[K]
}

// Extract implements FlowExtractor.
func (e perTunnel[K]) Extract(v PacketView, x *Extracted[TunnelKey[K]]) bool {
	in, ok := extractInner(e.inner, v, x)
	k := TunnelKey[K]{Tunnel: Tunnel(x.packet.Network), ID: x.packet.NetworkID}
	if k.Tunnel == NoTunnel {
		k.Tunnel = Tunnel(x.packet.Tunnel)
	}
	if x.slow&slowICMPError != 0 {
		x.quoted.key = k
		x.quoted.key.Inner = in.quoted.key
	}
	k.Inner = in.Key
	x.Key = k
	return ok
}

func (e perTunnel[K]) hashKey(k *TunnelKey[K], seed uint64) uint64 {
	h := e.hash.hashKey(&k.Inner, seed)
	if k.Tunnel == NoTunnel {
		return h
	}
	return mix(h, uint64(k.ID)<<8|uint64(k.Tunnel), seed)
}

func (e perTunnel[K]) peels() decode.Options { return peelsOf(e.inner) }
func (e perTunnel[K]) hollow() bool          { return isHollow(e.inner) }

func (e perTunnel[K]) timer() func(TunnelKey[K]) time.Duration {
	inner := timerOf(e.inner)
	if inner == nil {
		return nil
	}
	return func(k TunnelKey[K]) time.Duration { return inner(k.Inner) }
}

// FlowLabelKey is the key of FlowLabel: another key and the IPv6 flow label.
type FlowLabelKey[K comparable] struct {
	Inner K
	Label uint32 // 20 bits; 0 for IPv4
}

// String is the inner key and the label, as in "tcp [::1]:1234 <-> [::2]:80 label 74565".
func (k FlowLabelKey[K]) String() string { return fmt.Sprint(k.Inner, " label ", k.Label) }

// GoString is what %#v shows, as in flowscope.FlowLabelKey("tcp [::1]:1234 <-> [::2]:80 label 74565").
func (k FlowLabelKey[K]) GoString() string { return goString("FlowLabelKey", k) }

// AppendText appends what String gives. The inner key may bring a text of its own with it, by
// encoding.TextAppender or encoding.TextMarshaler.
func (k FlowLabelKey[K]) AppendText(b []byte) ([]byte, error) {
	b, err := appendKey(b, &k.Inner)
	return strconv.AppendUint(append(b, withLabel...), uint64(k.Label), 10), err
}

// MarshalText is what AppendText gives, so that the key can be one of a JSON object.
func (k FlowLabelKey[K]) MarshalText() ([]byte, error) { return k.AppendText(nil) }

// UnmarshalText takes what MarshalText gives, if the inner key is an encoding.TextUnmarshaler.
func (k *FlowLabelKey[K]) UnmarshalText(text []byte) error {
	return unmarshalKey(k, text, "FlowLabelKey", parseFlowLabelKey[K])
}

// withLabel stands between the inner key and the label.
const withLabel = " label "

func parseFlowLabelKey[K comparable](s string) (k FlowLabelKey[K], ok bool) {
	i := strings.LastIndex(s, withLabel)
	if i < 0 {
		return k, false
	}
	n, _ := strconv.ParseUint(s[i+len(withLabel):], 10, 32)
	k.Label = uint32(n)
	k.Inner, ok = parseKey[K](s[:i])
	return k, ok
}

// FlowLabel adds the flow label (RFC 6437) of the packet that the inner extractor reads to its key.
// The two directions of a conversation mostly have different labels, and are then separate flows.
func FlowLabel[K comparable](inner FlowExtractor[K]) FlowExtractor[FlowLabelKey[K]] {
	return flowLabel[K]{inner, hasherOf(inner)}
}

type flowLabel[K comparable] struct {
	inner FlowExtractor[K]
	hash  hasher[K]
}

// Extract implements FlowExtractor.
func (e flowLabel[K]) Extract(v PacketView, x *Extracted[FlowLabelKey[K]]) bool {
	in, ok := extractInner(e.inner, v, x)
	x.slow &^= slowICMPError // its label need not be that of the flow
	x.Key = FlowLabelKey[K]{Inner: in.Key, Label: x.packet.FlowLabel}
	return ok
}

func (e flowLabel[K]) hashKey(k *FlowLabelKey[K], seed uint64) uint64 {
	return mix(e.hash.hashKey(&k.Inner, seed), uint64(k.Label), seed)
}

func (e flowLabel[K]) peels() decode.Options { return peelsOf(e.inner) }
func (e flowLabel[K]) hollow() bool          { return isHollow(e.inner) }

func (e flowLabel[K]) timer() func(FlowLabelKey[K]) time.Duration {
	inner := timerOf(e.inner)
	if inner == nil {
		return nil
	}
	return func(k FlowLabelKey[K]) time.Duration { return inner(k.Inner) }
}

// extractInner calls an extractor of another key, and copies the result except for the key. The inner
// Extracted is allocated once and kept in x.
func extractInner[K, L comparable](inner FlowExtractor[K], v PacketView, x *Extracted[L]) (*Extracted[K], bool) {
	in, ok := x.scratch.(*Extracted[K])
	if !ok {
		in = new(Extracted[K])
		x.scratch = in
	}
	in.clear()
	ok = inner.Extract(v, in)
	if in.slow&slowNotDecoded != 0 {
		in.decodeHeaders(&v)
	}
	x.Payload, x.Missing, x.TCP, x.Orientation = in.Payload, in.Missing, in.TCP, in.Orientation
	x.L4, x.HasTCP, x.Refused = in.L4, in.HasTCP, in.Refused
	x.slow, x.status, x.packet = in.slow, in.status, in.packet
	x.quoted.orientation, x.quoted.tcp, x.quoted.seq = in.quoted.orientation, in.quoted.tcp, in.quoted.seq
	return in, ok
}

// mix makes a hash depend on one more word.
func mix(h, word, seed uint64) uint64 {
	hi, lo := bits.Mul64(h^word, seed|1)
	return hi ^ lo ^ h
}

// ports are those of the key inside, 0 if it has none.
func (k TunnelKey[K]) ports() (a, b uint16) { return innerPorts(&k.Inner) }

func (k FlowLabelKey[K]) ports() (a, b uint16) { return innerPorts(&k.Inner) }

// portsOfKey gives the function for the ports of a key, which are 0 if the key has none. It is chosen once: the search
// for a method takes longer than the method.
func portsOfKey[K comparable]() func(*K) (a, b uint16) {
	if ports, ok := any((*FiveTupleKey).ports).(func(*K) (a, b uint16)); ok {
		return ports
	}
	return innerPorts[K]
}

func innerPorts[K comparable](key *K) (a, b uint16) {
	switch k := any(key).(type) {
	case *FiveTupleKey: // the usual key, without a search for its method
		return k.ports()
	case interface{ ports() (a, b uint16) }:
		return k.ports()
	}
	return 0, 0
}
