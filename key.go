package flowscope

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"github.com/flowscope-go/flowscope/internal/decode"
)

// FiveTupleKey is the key of FiveTuple: two ends in the order of their
// addresses as numbers, then of their ports; under Directional, source and
// destination. It is comparable, holds no pointers, and its zero
// value is no key of any packet.
type FiveTupleKey struct {
	aHi, aLo, bHi, bLo uint64
	// meta: port of a, port of b, protocol, flags (IPv6, VLAN, tunnel) and VLAN identifier.
	//
	//	63        48        32     24     16         12           0
	//	 | a's port | b's port | proto | flags | unused | VLAN id |
	meta uint64
}

const (
	keyIPv6 = 1 << 16 // both addresses are IPv6
	keyVLAN = 1 << 17 // a VLAN identifier is part of the key

	keyInTunnel = 1 << 18 // the packets are inside a tunnel over IP
)

// NewFiveTupleKey makes the key of a conversation between two ends. They are
// put in order; zones are ignored. For ICMP, put the identifier in both ports.
//
// It is an error if no packet can have such a key: if the addresses are of two families, one of
// them is the zero Addr, or the ports of ICMP differ. An IPv4-mapped IPv6 address is an IPv6 address
// and is not unmapped.
func NewFiveTupleKey(proto L4Proto, a, b netip.AddrPort) (FiveTupleKey, error) {
	k, ok := fiveTupleKey(FiveTuple{}, proto, a, b)
	if !ok {
		return k, fmt.Errorf("flowscope: no packet of %v goes between %v and %v", proto, a, b)
	}
	return k, nil
}

// fiveTupleKey makes the key of packets from a to b, if there can be any.
func fiveTupleKey(f FiveTuple, proto L4Proto, a, b netip.AddrPort) (k FiveTupleKey, ok bool) {
	p := decode.Packet{Family: 6, SrcPort: a.Port(), DstPort: b.Port(), Proto: uint8(proto)}
	if a.Addr().Is4() {
		p.Family = 4
	}
	if !a.IsValid() || a.Addr().BitLen() != b.Addr().BitLen() ||
		(proto == L4ICMP || proto == L4ICMPv6) && a.Port() != b.Port() {
		return FiveTupleKey{}, false
	}
	p.SrcHi, p.SrcLo = words(a.Addr())
	p.DstHi, p.DstLo = words(b.Addr())
	k.set(&p, f)
	return k, true
}

func words(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// WithVLAN is the key with a VLAN identifier in it, as FiveTuple{VLAN: true}
// makes it for a tagged packet. With 0 it is the key of an untagged one.
func (k FiveTupleKey) WithVLAN(id uint16) FiveTupleKey {
	k.meta &^= keyVLAN | 0xfff
	if id &= 0xfff; id != 0 {
		k.meta |= keyVLAN | uint64(id)
	}
	return k
}

// WithTunnel is the key of the conversation inside a tunnel over IP, whichever it is, or of the one that
// is in none.
func (k FiveTupleKey) WithTunnel(in bool) FiveTupleKey {
	k.meta &^= keyInTunnel
	if in {
		k.meta |= keyInTunnel
	}
	return k
}

// Ordered is the key with its ends in order: the one that FiveTuple makes of both directions, if it is
// not Directional.
func (k FiveTupleKey) Ordered() FiveTupleKey {
	k.order()
	return k
}

// set writes the words of the key in place and gives the packet's orientation.
func (k *FiveTupleKey) set(p *decode.Packet, ex FiveTuple) Orientation {
	meta := uint64(p.Proto) << 24
	if p.Family == 6 {
		meta |= keyIPv6
	}
	if id := uint64(p.VLAN & 0xfff); ex.VLAN && p.VLANs > 0 && id != 0 {
		meta |= keyVLAN | id
	}
	if p.InTunnel {
		meta |= keyInTunnel
	}
	return k.setEnds(p.SrcHi, p.SrcLo, p.SrcPort, p.DstHi, p.DstLo, p.DstPort, meta, ex.Directional)
}

// setEnds puts the ends into their order, without a branch: the direction of the next packet cannot
// be predicted.
func (k *FiveTupleKey) setEnds(srcHi, srcLo uint64, srcPort uint16, dstHi, dstLo uint64, dstPort uint16, meta uint64,

	directional bool) Orientation {
	swap := -after(srcHi, srcLo, srcPort, dstHi, dstLo, dstPort) // all ones if they must change places
	if directional {
		swap = 0
	}
	hi, lo, port := (srcHi^dstHi)&swap, (srcLo^dstLo)&swap, uint64(srcPort^dstPort)&swap
	k.aHi, k.aLo, k.bHi, k.bLo = srcHi^hi, srcLo^lo, dstHi^hi, dstLo^lo
	k.meta = meta | (uint64(srcPort)^port)<<48 | (uint64(dstPort)^port)<<32
	return Orientation(swap & 1)
}

// setSimple is set for a simple frame.
func (k *FiveTupleKey) setSimple(frame []byte, h decode.SimpleFrame, directional bool) Orientation {
	if h.IPv6() {
		f := (*decode.SimpleIPv6)(frame)
		srcHi, srcLo, srcPort := f.Src()
		dstHi, dstLo, dstPort := f.Dst()
		return k.setEnds(srcHi, srcLo, srcPort, dstHi, dstLo, dstPort, keyIPv6|uint64(h.Proto)<<24, directional)
	}
	f := (*decode.SimpleIPv4)(frame)
	return k.setIPv4(f.Src(), f.Dst(), h.Proto, directional)
}

// setIPv4 is set for ends of IPv4, each an address in bits 16 to 47 and its port in bits 0 to 15.
func (k *FiveTupleKey) setIPv4(src, dst uint64, proto uint8, directional bool) Orientation {
	swap := uint64(int64(dst-src) >> 63) // of 48 bits each, so a borrow shows at the top
	if directional {
		swap = 0
	}
	change := (src ^ dst) & swap
	src, dst = src^change, dst^change
	k.aHi, k.aLo, k.bHi, k.bLo = 0, decode.Mapped|src>>16, 0, decode.Mapped|dst>>16
	k.meta = src<<48 | dst<<48>>16 | uint64(proto)<<24
	return Orientation(swap & 1)
}

// after is 1 if a comes after b in the order of ends, else 0: what is borrowed when
// the one is subtracted from the other. It is the only rule of that order;
// setIPv4 has it for ends that fit into a word.
func after(aHi, aLo uint64, aPort uint16, bHi, bLo uint64, bPort uint16) uint64 {
	_, borrow := bits.Sub64(uint64(bPort), uint64(aPort), 0)
	_, borrow = bits.Sub64(bLo, aLo, borrow)
	_, borrow = bits.Sub64(bHi, aHi, borrow)
	return borrow
}

// Proto is the transport protocol.
func (k FiveTupleKey) Proto() L4Proto { return L4Proto(k.meta >> 24) }

// A is the first end. Its port is 0 for protocols without ports.
func (k FiveTupleKey) A() netip.AddrPort {
	return netip.AddrPortFrom(k.addr(k.aHi, k.aLo), k.port(48))
}

// B is the second end. Its port is 0 for protocols without ports.
func (k FiveTupleKey) B() netip.AddrPort {
	return netip.AddrPortFrom(k.addr(k.bHi, k.bLo), k.port(32))
}

// ports are those of the two ends.
func (k *FiveTupleKey) ports() (a, b uint16) {
	if k.icmp() {
		return 0, 0
	}
	return uint16(k.meta >> 48), uint16(k.meta >> 32)
}

// Ends are the two ends in the given orientation: where packets of that
// orientation come from, and where they go. FlowEvent.Ends gives them by side.
func (k FiveTupleKey) Ends(o Orientation) (from, to netip.AddrPort) {
	if o == Reverse {
		return k.B(), k.A()
	}
	return k.A(), k.B()
}

// ICMPID is the identifier of an ICMP or ICMPv6 conversation, 0 if it has none.
func (k FiveTupleKey) ICMPID() uint16 {
	if !k.icmp() {
		return 0
	}
	return uint16(k.meta >> 48)
}

// VLAN is the outermost VLAN identifier, if it is part of the key.
func (k FiveTupleKey) VLAN() (id uint16, ok bool) {
	return uint16(k.meta & 0xfff), k.meta&keyVLAN != 0
}

// InTunnel reports whether the packets of the conversation came inside a tunnel over IP: whether an outer
// IP header was taken off, as a combinator does. VLAN tags, MPLS labels, PPPoE, 802.1ah and VN-Tags alone
// are no tunnel.
func (k FiveTupleKey) InTunnel() bool { return k.meta&keyInTunnel != 0 }

func (k *FiveTupleKey) icmp() bool {
	l4 := L4Proto(k.meta >> 24)
	return l4 == L4ICMP || l4 == L4ICMPv6
}

func (k *FiveTupleKey) port(shift int) uint16 {
	if k.icmp() {
		return 0
	}
	return uint16(k.meta >> shift)
}

func (k FiveTupleKey) addr(hi, lo uint64) netip.Addr {
	return addrOf(hi, lo, k.meta&keyIPv6 != 0)
}

func addrOf(hi, lo uint64, v6 bool) netip.Addr {
	if !v6 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return netip.AddrFrom16(b)
}

// String is as in "tcp 10.0.0.1:1234 <-> 10.0.0.2:80", without ports where both are 0, and with the
// ICMP identifier (" id 7"), the VLAN identifier (" vlan 7") and " tunneled" (see InTunnel) behind where
// that applies. The order of the ends is the key's own; see Ends. The zero key is "none".
func (k FiveTupleKey) String() string {
	b, _ := k.AppendText(make([]byte, 0, 64))
	return string(b)
}

// GoString is what %#v shows, as in flowscope.FiveTupleKey("tcp 10.0.0.1:1234 <-> 10.0.0.2:80").
func (k FiveTupleKey) GoString() string { return goString("FiveTupleKey", k) }

// AppendText appends what String gives.
func (k FiveTupleKey) AppendText(b []byte) ([]byte, error) {
	if k == (FiveTupleKey{}) {
		return append(b, noKey...), nil
	}
	from, to := k.A(), k.B()
	b, _ = k.Proto().AppendText(b)
	b = append(b, ' ')
	if from.Port()|to.Port() == 0 {
		b = from.Addr().AppendTo(b)
		b = append(b, between...)
		b = to.Addr().AppendTo(b)
	} else {
		b = from.AppendTo(b)
		b = append(b, between...)
		b = to.AppendTo(b)
	}
	if id := k.ICMPID(); id != 0 {
		b = strconv.AppendUint(append(b, " id "...), uint64(id), 10)
	}
	if id, ok := k.VLAN(); ok {
		b = strconv.AppendUint(append(b, " vlan "...), uint64(id), 10)
	}
	if k.InTunnel() {
		b = append(b, tunneled...)
	}
	return b, nil
}

// MarshalText is what String gives, so that the key can be one of a JSON object.
func (k FiveTupleKey) MarshalText() ([]byte, error) { return k.AppendText(nil) }

// UnmarshalText takes what String gives, and only that: every text is another key. The ends stay in
// the order of the text, which is that of packets if the key is of a Directional FiveTuple. If the
// text may have the ends in the other order, as one that a person typed, look up the key's Ordered.
func (k *FiveTupleKey) UnmarshalText(text []byte) error {
	return unmarshalKey(k, text, "FiveTupleKey", parseFiveTupleKey)
}

// between stands between the ends of a key, and tunneled at the end of one inside a tunnel.
const (
	between  = " <-> "
	tunneled = " tunneled"
)

func parseFiveTupleKey(s string) (k FiveTupleKey, ok bool) {
	if s == noKey {
		return FiveTupleKey{}, true
	}
	s, in := strings.CutSuffix(s, tunneled)
	name, s, _ := strings.Cut(s, " ")
	from, s, _ := strings.Cut(s, between)
	to, s, _ := strings.Cut(s, " ")
	var proto L4Proto
	if proto.UnmarshalText([]byte(name)) != nil {
		return FiveTupleKey{}, false
	}
	a, b := parseEnd(from), parseEnd(to)
	fields := strings.Split(s, " ")
	if len(fields) >= 2 && fields[0] == "id" {
		id := parseUint16(fields[1])
		a, b = netip.AddrPortFrom(a.Addr(), id), netip.AddrPortFrom(b.Addr(), id)
		fields = fields[2:]
	}
	if k, ok = fiveTupleKey(FiveTuple{Directional: true}, proto, a, b); ok && len(fields) == 2 {
		k = k.WithVLAN(parseUint16(fields[1]))
	}
	return k.WithTunnel(in), ok // unmarshalKey finds out what was wrong or too much in the text
}

// parseEnd is an address with or without a port; the zero AddrPort if it is neither.
func parseEnd(s string) netip.AddrPort {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 0)
	}
	a, _ := netip.ParseAddrPort(s)
	return a
}

// parseUint16 is 0 for what is no number of 16 bits.
func parseUint16(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// Hash is a hash of the key that is the same for both directions, also of
// directional keys, so it can spread conversations over workers. Trackers use
// a secret seed; so should a program that hashes packets of strangers.
func (k FiveTupleKey) Hash(seed uint64) uint64 {
	k.order()
	return k.hash(seed)
}

// order puts the ends into their order.
func (k *FiveTupleKey) order() {
	if after(k.aHi, k.aLo, uint16(k.meta>>48), k.bHi, k.bLo, uint16(k.meta>>32)) != 0 {
		k.aHi, k.aLo, k.bHi, k.bLo = k.bHi, k.bLo, k.aHi, k.aLo
		k.meta = k.meta&(1<<32-1) | k.meta<<16&(0xffff<<48) | k.meta>>16&(0xffff<<32)
	}
}

// hash is the hash of the words as they stand: wyhash.Hash of their 40 bytes, written out. A test
// compares both.
func (k *FiveTupleKey) hash(seed uint64) uint64 {
	const (
		p0 = 0xa0761d6478bd642f
		p1 = 0xe7037ed1a0b428db
		p2 = 0x8ebc6af09c88c6e3
		p3 = 0x589965cc75374cc3
		p4 = 0x1d8e4e27c47d124f
	)
	a := fold(k.aHi^seed^p0, k.aLo^seed^p1)
	b := fold(k.bHi^seed^p2, k.bLo^seed^p3)
	a = fold(k.meta&(1<<32-1)^a^p0, k.meta>>32^a^p1)
	return fold(a^b, 40^p4)
}

// fold is the upper half of a product XOR its lower half.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// equal is ==, in line: the compiler calls for a comparison of more than four words.
func (k *FiveTupleKey) equal(l *FiveTupleKey) bool {
	return k.meta == l.meta && k.aLo == l.aLo && k.bLo == l.bLo && k.aHi == l.aHi && k.bHi == l.bHi
}

// IPPairKey is the key of IPPair: two addresses in order.
type IPPairKey struct {
	aHi, aLo, bHi, bLo uint64
	v6                 uint64
}

// A is the first address.
func (k IPPairKey) A() netip.Addr { return addrOf(k.aHi, k.aLo, k.v6 != 0) }

// B is the second address.
func (k IPPairKey) B() netip.Addr { return addrOf(k.bHi, k.bLo, k.v6 != 0) }

// String is as in "10.0.0.1 <-> 10.0.0.2". The zero key, which is no key of any packet, is "none".
func (k IPPairKey) String() string {
	b, _ := k.AppendText(make([]byte, 0, 64))
	return string(b)
}

// GoString is what %#v shows, as in flowscope.IPPairKey("10.0.0.1 <-> 10.0.0.2").
func (k IPPairKey) GoString() string { return goString("IPPairKey", k) }

// AppendText appends what String gives.
func (k IPPairKey) AppendText(b []byte) ([]byte, error) {
	if k == (IPPairKey{}) {
		return append(b, noKey...), nil
	}
	b = k.A().AppendTo(b)
	b = append(b, between...)
	return k.B().AppendTo(b), nil
}

// MarshalText is what String gives, so that the key can be one of a JSON object.
func (k IPPairKey) MarshalText() ([]byte, error) { return k.AppendText(nil) }

// UnmarshalText takes what String gives, and only that. The addresses stay in the order of the text;
// those of packets have the lower one first.
func (k *IPPairKey) UnmarshalText(text []byte) error {
	return unmarshalKey(k, text, "IPPairKey", parseIPPairKey)
}

func parseIPPairKey(s string) (k IPPairKey, ok bool) {
	if s == noKey {
		return IPPairKey{}, true
	}
	first, second, _ := strings.Cut(s, between)
	a, _ := netip.ParseAddr(first)
	b, _ := netip.ParseAddr(second)
	if !a.IsValid() || a.BitLen() != b.BitLen() {
		return IPPairKey{}, false
	}
	k.aHi, k.aLo = words(a)
	k.bHi, k.bLo = words(b)
	if a.Is6() {
		k.v6 = 1
	}
	return k, true
}

// MACPairKey is the key of MACPair: two MAC addresses in order.
type MACPairKey struct{ a, b uint64 }

// A is the first address.
func (k MACPairKey) A() [6]byte { return macOf(k.a) }

// B is the second address.
func (k MACPairKey) B() [6]byte { return macOf(k.b) }

func macOf(n uint64) (m [6]byte) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n<<16)
	copy(m[:], b[:6])
	return m
}

// String is as in "02:00:00:00:00:01 <-> 02:00:00:00:00:02". The zero key is that of two addresses of
// zeros, which frames of a loopback interface have.
func (k MACPairKey) String() string {
	b, _ := k.AppendText(make([]byte, 0, 64))
	return string(b)
}

// GoString is what %#v shows, as in flowscope.MACPairKey("02:00:00:00:00:01 <-> 02:00:00:00:00:02").
func (k MACPairKey) GoString() string { return goString("MACPairKey", k) }

// AppendText appends what String gives.
func (k MACPairKey) AppendText(b []byte) ([]byte, error) {
	b = appendMAC(b, k.a)
	b = append(b, between...)
	return appendMAC(b, k.b), nil
}

// MarshalText is what String gives, so that the key can be one of a JSON object.
func (k MACPairKey) MarshalText() ([]byte, error) { return k.AppendText(nil) }

// UnmarshalText takes what String gives, and only that. The addresses stay in the order of the text;
// those of packets have the lower one first.
func (k *MACPairKey) UnmarshalText(text []byte) error {
	return unmarshalKey(k, text, "MACPairKey", parseMACPairKey)
}

func parseMACPairKey(s string) (k MACPairKey, ok bool) {
	first, second, _ := strings.Cut(s, between)
	a, errA := strconv.ParseUint(strings.ReplaceAll(first, ":", ""), 16, 48)
	b, errB := strconv.ParseUint(strings.ReplaceAll(second, ":", ""), 16, 48)
	return MACPairKey{a, b}, errA == nil && errB == nil
}

func appendMAC(b []byte, mac uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 40; shift >= 0; shift -= 8 {
		b = append(b, digits[mac>>(shift+4)&0xf], digits[mac>>shift&0xf], ':')
	}
	return b[:len(b)-1]
}
