package flowscope

import (
	"hash/maphash"
	"math"
	"math/bits"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flowscope-go/flowscope/internal/decode"
	"github.com/flowscope-go/flowscope/internal/invariants"
)

// FlowExtractor finds the flow that a packet belongs to. K is the flow's key: any comparable type,
// preferably one without pointers, so that the garbage collector need not scan the flow table.
//
// Extract fills x and reports whether the packet belongs to a flow. On entry every field of x but
// Key is zero; Key holds the value that the last call left there and must be overwritten as a
// whole. Payload is a part of v.Frame. Extract must not keep v or x, must give the same result for
// the same packet, and must not call the tracker that it is used by. If it reports false it may
// give the reason in x.Refused. Trackers of several goroutines may share an extractor if its
// Extract is safe for concurrent use, as that of every extractor and combinator of this package is.
//
// A caller's own extractor may call a built-in one. Put combinators around it, not inside: their
// findings beside the fields of Extracted (tunnels, fragments, checksums) reach the tracker from the
// outermost only. ICMP errors are matched to flows if the keys are those of FiveTuple, also in
// PerTunnel.
//
// A nil pointer as an extractor is an error of the constructor. A result that cannot be, with an
// Orientation beyond Reverse or a negative Missing, is refused as RefusedByExtractor.
//
// An extractor may have two more methods, those of KeyHasher and KeyTimer. A tracker looks for them
// once, when it is made:
//
//	Hash(k K, seed uint64) uint64      // a good hash of the key; else the
//	                                   // general one of hash/maphash is used
//	IdleTimeout(k K) time.Duration     // how long a flow of that key may be
//	                                   // idle; 0 or less: as in Config
//
// IdleTimeout must give the same answer for the same key each time. It replaces EstablishedTimeout,
// UDPTimeout, ICMPTimeout and OtherTimeout of Config, not OpeningTimeout and ClosingTimeout. The
// combinators pass both methods on from the extractor inside. A Hash that is the same for many keys
// makes look-ups slow.
type FlowExtractor[K comparable] interface {
	Extract(v PacketView, x *Extracted[K]) bool
}

// hasher hashes keys where they lie: copying a key to hash it costs as much as
// the hash.
type hasher[K comparable] interface {
	hashKey(k *K, seed uint64) uint64
}

// hasherOf is the extractor's own hasher, or its Hash method, or the general
// one of hash/maphash.
func hasherOf[K comparable](ex FlowExtractor[K]) hasher[K] {
	// A Hash method goes first: an extractor that embeds a built-in one has the
	// unexported method too.
	if h, ok := any(ex).(KeyHasher[K]); ok {
		return hashMethod[K]{h}
	}
	if h, ok := any(ex).(hasher[K]); ok {
		return h
	}
	return mapHash[K]{maphash.MakeSeed()}
}

// KeyHasher is an extractor with a hash of its own; see FlowExtractor. To have the
// compiler hold the signature, write
//
//	var _ flowscope.KeyHasher[MyKey] = MyExtractor{}
type KeyHasher[K comparable] interface {
	Hash(k K, seed uint64) uint64
}

type hashMethod[K comparable] struct{ h KeyHasher[K] }

// hashKey spreads what the method gives over all 64 bits: the table looks at the
// upper ones, and many a hash fills only the lower.
func (m hashMethod[K]) hashKey(k *K, seed uint64) uint64 {
	hi, lo := bits.Mul64(m.h.Hash(*k, seed), 0x9e3779b97f4a7c15)
	return hi ^ lo
}

type mapHash[K comparable] struct{ seed maphash.Seed }

func (m mapHash[K]) hashKey(k *K, _ uint64) uint64 { return maphash.Comparable(m.seed, *k) }

// KeyTimer is an extractor with idle timeouts of its own; see FlowExtractor.
type KeyTimer[K comparable] interface {
	IdleTimeout(k K) time.Duration
}

// timerOf is the extractor's own idle timeout, or that of the extractor inside
// a combinator; nil if there is none.
func timerOf[K comparable](ex FlowExtractor[K]) func(K) time.Duration {
	if h, ok := any(ex).(KeyTimer[K]); ok {
		return h.IdleTimeout
	}
	if c, ok := any(ex).(combinator[K]); ok {
		return c.timer()
	}
	return nil
}

// isHollow reports whether there is no extractor, be it inside combinators, or one that is a nil pointer.
func isHollow[K comparable](ex FlowExtractor[K]) bool {
	c, ok := any(ex).(interface{ hollow() bool })
	return isNil(ex) || ok && c.hollow()
}

// isNil reports whether v is nil, or a nil pointer or function: the methods of these panic when they are
// called.
func isNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Func:
		return r.IsNil()
	case reflect.Invalid:
		return true
	}
	return false
}

// isPossible reports whether the result of a caller's own extractor can be that of a packet.
func (x *Extracted[K]) isPossible() bool { return x.Orientation <= Reverse && x.Missing >= 0 }

// Extracted is the result of an extractor for one packet.
type Extracted[K comparable] struct {
	// Key is the key of the flow.
	Key K
	// Payload is the transport's payload: a part of the frame, under any number of tunnels. It may be
	// empty.
	Payload []byte
	// Missing is the number of payload bytes that follow on the wire and that the capture does not
	// hold: never more than WireLen says, whatever an IP length does.
	Missing int
	// TCP is used if HasTCP is set; otherwise the flow has no TCP state. Set HasTCP only if the key
	// is that of one connection, and then for all its packets: the first packet of a flow decides
	// whether the flow is one of TCP.
	TCP TCPInfo
	// Orientation is the packet's direction relative to the key's own order.
	Orientation Orientation
	// L4 is the transport protocol, which chooses the idle timeout; 0 if there
	// is none.
	L4     L4Proto
	HasTCP bool
	// Refused is the reason why the packet belongs to no flow.
	Refused Refusal

	// What the built-in extractors leave for the tracker, and for one another.
	slow    slowReasons
	status  decode.Status // of packet
	packet  decode.Packet // what they read into: cleared once, by Decode
	quoted  quoted[K]     // with slowICMPError
	scratch any           // the *Extracted of the extractor inside
}

// slowReasons are the reasons why a packet takes the slow path to its flow. Few packets have one. See
// fragment.go.
type slowReasons uint8

const (
	slowNotDecoded slowReasons = 1 << iota // Extracted.packet does not hold the headers of the view
	slowOwnReader                          // the extractor may read frames by itself
	slowFragment                           // it is a fragment, and its datagram is wanted whole
	slowTunnel                             // the datagram may hold a tunnel, and so belong to another flow than the fragment
	slowLong                               // of TCP, and longer than its frame: refused, unless its receiver may acknowledge it
	slowICMPError                          // an ICMP error, with the key of the flow that it is about in Extracted.quoted
)

// quoted is the packet that an ICMP error quotes, which caused it.
type quoted[K comparable] struct {
	key         K
	orientation Orientation
	tcp         bool
	seq         uint32 // of TCP
}

// clear makes x what Extract expects on entry.
func (x *Extracted[K]) clear() {
	x.Payload, x.Missing, x.TCP, x.Orientation, x.L4, x.HasTCP, x.Refused = nil, 0, TCPInfo{}, 0, 0, false, 0
	x.slow = slowNotDecoded | slowOwnReader
}

// decodeHeaders reads the headers of the view into x.packet.
func (x *Extracted[K]) decodeHeaders(v *PacketView) {
	x.status = v.decoder.decode(v, &x.packet)
	x.slow &^= slowNotDecoded
	if x.packet.Fragmented || x.packet.Long {
		x.slow |= headerReasons(v.decoder, &x.packet)
	}
}

// headerReasons are the reasons of a fragment, and of a packet longer than its frame.
func headerReasons(d *decoder, p *decode.Packet) slowReasons {
	if p.Long {
		return slowLong
	}
	if d != nil && d.peeler != nil && d.peeler.FragmentMayHoldTunnel(p) {
		return slowFragment | slowTunnel
	}
	return slowFragment
}

// decodeAll is decodeHeaders for an extractor that needs all headers, and reports whether they
// could be read.
func (x *Extracted[K]) decodeAll(v *PacketView) bool {
	x.slow = 0
	x.decodeHeaders(v)
	if x.status != decode.OK {
		x.Refused = Refusal(x.status)
	}
	return x.status == decode.OK
}

// Orientation is the direction of a packet relative to the order of the two ends in its key. It does
// not depend on which end began the conversation; FlowSide does.
//
// The constants and their texts; go doc flowscope.Forward says more of them:
//
//	Forward forward
//	Reverse reverse
type Orientation uint8

const (
	Forward Orientation = iota // from the key's first end to its second
	Reverse                    // from the second to the first
)

// String is "forward" or "reverse".
func (o Orientation) String() string { return orientationNames.string(uint16(o)) }

// AppendText appends what String gives.
func (o Orientation) AppendText(b []byte) ([]byte, error) {
	return orientationNames.append(b, uint16(o)), nil
}

// MarshalText is what String gives.
func (o Orientation) MarshalText() ([]byte, error) { return o.AppendText(nil) }

// UnmarshalText takes what String gives.
func (o *Orientation) UnmarshalText(text []byte) error { return unmarshal(orientationNames, o, text) }

var orientationNames = &names{of: "Orientation", text: []string{Forward: "forward", Reverse: "reverse"}}

// Opposite is the other orientation.
func (o Orientation) Opposite() Orientation { return o ^ 1 }

// L4Proto is a transport protocol by its IP protocol number. 0 stands for none.
//
// The constants and their texts; go doc flowscope.L4ICMP says more of them:
//
//	L4ICMP   icmp
//	L4TCP    tcp
//	L4UDP    udp
//	L4ICMPv6 icmpv6
//	L4SCTP   sctp
type L4Proto uint8

// Protocols with a name. Any other number is itself: L4Proto(47) is GRE.
const (
	L4ICMP   L4Proto = 1
	L4TCP    L4Proto = 6
	L4UDP    L4Proto = 17
	L4ICMPv6 L4Proto = 58
	L4SCTP   L4Proto = 132
)

// String is "tcp", "udp", "icmp", "icmpv6", "sctp", "none" or "ip-47".
func (p L4Proto) String() string {
	if name := protoNames.name(uint16(p)); name != "" {
		return name
	}
	return "ip-" + strconv.Itoa(int(p))
}

// AppendText appends what String gives.
func (p L4Proto) AppendText(b []byte) ([]byte, error) {
	if name := protoNames.name(uint16(p)); name != "" {
		return append(b, name...), nil
	}
	return strconv.AppendUint(append(b, "ip-"...), uint64(p), 10), nil
}

// MarshalText is what String gives.
func (p L4Proto) MarshalText() ([]byte, error) { return p.AppendText(nil) }

// UnmarshalText takes what String gives.
func (p *L4Proto) UnmarshalText(text []byte) error {
	if number, ok := strings.CutPrefix(string(text), "ip-"); ok {
		if n, err := strconv.ParseUint(number, 10, 8); err == nil && L4Proto(n).String() == string(text) {
			*p = L4Proto(n)
			return nil
		}
	}
	i := slices.Index(protoNames.text, string(text))
	if i < 0 {
		return protoNames.notText(text)
	}
	*p = L4Proto(protoNames.values[i])
	return nil
}

var protoNames = &names{
	of:     "L4Proto",
	text:   []string{"none", "icmp", "tcp", "udp", "icmpv6", "sctp"},
	values: []uint16{0, uint16(L4ICMP), uint16(L4TCP), uint16(L4UDP), uint16(L4ICMPv6), uint16(L4SCTP)},
}

// TCPFlags are the flag bits of a TCP header.
//
// The constants and their texts; go doc flowscope.FlagFIN says more of them:
//
//	FlagFIN F
//	FlagSYN S
//	FlagRST R
//	FlagPSH P
//	FlagACK A
//	FlagURG U
//	FlagECE E
//	FlagCWR C
type TCPFlags uint8

const (
	FlagFIN TCPFlags = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
)

// Has reports whether all of the given flags are set.
func (f TCPFlags) Has(all TCPFlags) bool { return f&all == all }

// String is one letter for each flag that is set, in the order "FSRPAUEC", or
// "." for none.
func (f TCPFlags) String() string {
	b, _ := f.AppendText(make([]byte, 0, len(flagLetters)))
	return string(b)
}

// AppendText appends what String gives.
func (f TCPFlags) AppendText(b []byte) ([]byte, error) {
	if f == 0 {
		return append(b, '.'), nil
	}
	for i := range len(flagLetters) {
		if f&(1<<i) != 0 {
			b = append(b, flagLetters[i])
		}
	}
	return b, nil
}

// MarshalText is what String gives.
func (f TCPFlags) MarshalText() ([]byte, error) { return f.AppendText(nil) }

// UnmarshalText takes what String gives.
func (f *TCPFlags) UnmarshalText(text []byte) error {
	var flags TCPFlags
	for _, letter := range text {
		if i := strings.IndexByte(flagLetters, letter); i >= 0 {
			flags |= 1 << i
		}
	}
	if flags.String() != string(text) {
		return notText("TCPFlags", text)
	}
	*f = flags
	return nil
}

const flagLetters = "FSRPAUEC"

// TCPInfo is what the tracker needs of a TCP header, in host byte order.
type TCPInfo struct {
	Seq, Ack       uint32
	Window, Urgent uint16 // as in the header; the window is not scaled
	Flags          TCPFlags
	WindowScale    uint8 // the option of a SYN; only if HasWindowScale
	HasWindowScale bool
	// Options are the other options that decide what a receiver makes of the segment. The timestamp
	// and its echo are valid with OptionTimestamps.
	Options       TCPOptions
	Timestamp     uint32 // TSval (RFC 7323 section 3.2)
	TimestampEcho uint32 // TSecr, of a SYN or RST
}

// TCPOptions is a set of options of a TCP segment. That of none has the text "none".
//
// The constants and their texts; go doc flowscope.OptionSACKPermitted says more of them:
//
//	OptionSACKPermitted sack_permitted
//	OptionTimestamps    timestamps
//	OptionMD5           md5
//	OptionAO            ao
//	OptionBadLength     bad_length
type TCPOptions uint8

// String lists the options, such as "sack_permitted|timestamps".
func (o TCPOptions) String() string { return string(optionNames.append(nil, uint32(o)|noOptions)) }

// AppendText appends what String gives.
func (o TCPOptions) AppendText(b []byte) ([]byte, error) {
	return optionNames.append(b, uint32(o)|noOptions), nil
}

// MarshalText is what String gives.
func (o TCPOptions) MarshalText() ([]byte, error) { return o.AppendText(nil) }

// UnmarshalText takes what String gives, the options in any order and with "|" or "," between them.
func (o *TCPOptions) UnmarshalText(text []byte) error {
	v, err := optionNames.parse(text)
	if err == nil && (v == 0 || v&^noOptions > math.MaxUint8) {
		err = notText(optionNames.of, text)
	}
	if err == nil {
		*o = TCPOptions(v &^ noOptions)
	}
	return err
}

const noOptions = 1 << 8

var optionNames = &sets{
	of: "TCPOptions", text: []string{"sack_permitted", "timestamps", "md5", "ao", "bad_length"}, none: noOptions, all: 1<<5 - 1,
}

// The options.
const (
	OptionSACKPermitted TCPOptions = TCPOptions(decode.OptSACKPermitted) // RFC 2018 section 2, of a SYN
	OptionTimestamps    TCPOptions = TCPOptions(decode.OptTimestamps)    // RFC 7323 section 3
	OptionMD5           TCPOptions = TCPOptions(decode.OptMD5)           // RFC 2385
	OptionAO            TCPOptions = TCPOptions(decode.OptAO)            // RFC 5925
	// OptionBadLength is no option: the IP header says more bytes than there were on the wire, or in the
	// tunnel, so that no receiver takes the segment.
	OptionBadLength TCPOptions = TCPOptions(decode.OptBadLength)
)

// Refusal is the reason why a packet belongs to no flow.
//
// The constants and their texts; go doc flowscope.RefusedByExtractor says more of them:
//
//	RefusedByExtractor        by_extractor          RefusedTruncatedTCP       truncated_tcp
//	RefusedFragment           fragment_later        RefusedBadTCPOffset       bad_tcp_offset
//	RefusedUnknownLink        unknown_link          RefusedTruncatedUDP       truncated_udp
//	RefusedNotIP              not_ip                RefusedBadUDPLength       bad_udp_length
//	RefusedNoMACs             no_macs               RefusedTruncatedICMP      truncated_icmp
//	RefusedTruncatedEthernet  truncated_ethernet    RefusedTruncatedSCTP      truncated_sctp
//	RefusedTruncatedVLAN      truncated_vlan        RefusedTruncatedMPLS      truncated_mpls
//	RefusedTooManyVLANs       too_many_vlans        RefusedTooManyLabels      too_many_labels
//	RefusedTruncatedLLC       truncated_llc         RefusedTruncatedPPPoE     truncated_pppoe
//	RefusedTruncatedNull      truncated_null        RefusedTruncatedPBB       truncated_pbb
//	RefusedTruncatedPPP       truncated_ppp         RefusedTruncatedVNTag     truncated_vntag
//	RefusedTruncatedSLL       truncated_sll         RefusedTooManyTunnels     too_many_tunnels
//	RefusedTruncatedRaw       truncated_raw         RefusedNotTunnel          not_tunnel
//	RefusedBadIPVersion       bad_ip_version        RefusedTruncatedHDLC      truncated_hdlc
//	RefusedTruncatedIPv4      truncated_ipv4        RefusedTruncatedWiFi      truncated_wifi
//	RefusedBadIPv4Header      bad_ipv4_header       RefusedTruncatedMonitor   truncated_monitor
//	RefusedBadIPv4Length      bad_ipv4_length       RefusedEncrypted          encrypted
//	RefusedTruncatedIPv6      truncated_ipv6        RefusedTruncatedNFLOG     truncated_nflog
//	RefusedTruncatedExtension truncated_extension   RefusedTruncatedPFLOG     truncated_pflog
//	RefusedBadAuthHeader      bad_auth_header       RefusedTruncatedIPoIB     truncated_ipoib
//	RefusedTooManyExtensions  too_many_extensions   RefusedBadChecksum        bad_checksum
//	RefusedNestedFragment     nested_fragment       RefusedLongFragment       long_fragment
//	RefusedLongPacket         long_packet           RefusedTruncatedHSR       truncated_hsr
type Refusal uint8

// Refusals of the built-in extractors. RefusedByExtractor, the zero value,
// is an extractor that gave no reason.
const (
	RefusedByExtractor        Refusal = Refusal(decode.OK)
	RefusedFragment           Refusal = Refusal(decode.FragmentLater)      // a fragment without the transport header
	RefusedUnknownLink        Refusal = Refusal(decode.UnknownLink)        // a link type that is not read
	RefusedNotIP              Refusal = Refusal(decode.NotIP)              // ARP, LLDP, spanning tree, ...
	RefusedNoMACs             Refusal = Refusal(decode.NoMACs)             // MACPair on a link without MAC addresses
	RefusedTruncatedEthernet  Refusal = Refusal(decode.TruncatedEthernet)  // fewer than 14 bytes
	RefusedTruncatedVLAN      Refusal = Refusal(decode.TruncatedVLAN)      // a VLAN tag cut short
	RefusedTooManyVLANs       Refusal = Refusal(decode.TooManyVLANs)       // more than 4 tags
	RefusedTruncatedLLC       Refusal = Refusal(decode.TruncatedLLC)       // an LLC or SNAP header cut short
	RefusedTruncatedNull      Refusal = Refusal(decode.TruncatedNull)      // a BSD loopback header cut short
	RefusedTruncatedPPP       Refusal = Refusal(decode.TruncatedPPP)       // a PPP header cut short
	RefusedTruncatedSLL       Refusal = Refusal(decode.TruncatedSLL)       // a Linux cooked header cut short
	RefusedTruncatedRaw       Refusal = Refusal(decode.TruncatedRaw)       // an empty raw IP frame
	RefusedBadIPVersion       Refusal = Refusal(decode.BadIPVersion)       // not the version that was announced
	RefusedTruncatedIPv4      Refusal = Refusal(decode.TruncatedIPv4)      // no whole header
	RefusedBadIPv4Header      Refusal = Refusal(decode.BadIPv4Header)      // header length below 20
	RefusedBadIPv4Length      Refusal = Refusal(decode.BadIPv4Length)      // total length below the header length
	RefusedTruncatedIPv6      Refusal = Refusal(decode.TruncatedIPv6)      // fewer than 40 bytes
	RefusedTruncatedExtension Refusal = Refusal(decode.TruncatedExtension) // an extension header cut short
	RefusedBadAuthHeader      Refusal = Refusal(decode.BadAuthHeader)      // authentication header shorter than its fixed part
	RefusedTooManyExtensions  Refusal = Refusal(decode.TooManyExtensions)  // more than 16 extension headers
	RefusedNestedFragment     Refusal = Refusal(decode.NestedFragment)     // a fragment inside a fragment
	RefusedTruncatedTCP       Refusal = Refusal(decode.TruncatedTCP)       // fewer than 20 bytes
	RefusedBadTCPOffset       Refusal = Refusal(decode.BadTCPOffset)       // header length impossible
	RefusedTruncatedUDP       Refusal = Refusal(decode.TruncatedUDP)       // fewer than 8 bytes
	RefusedBadUDPLength       Refusal = Refusal(decode.BadUDPLength)       // length 1 to 7, or 0 over IPv4
	RefusedTruncatedICMP      Refusal = Refusal(decode.TruncatedICMP)      // fewer than 4 bytes
	RefusedTruncatedSCTP      Refusal = Refusal(decode.TruncatedSCTP)      // fewer than 12 bytes
	RefusedTruncatedMPLS      Refusal = Refusal(decode.TruncatedMPLS)      // an MPLS label cut short
	RefusedTooManyLabels      Refusal = Refusal(decode.TooManyLabels)      // more than 17 MPLS labels
	RefusedTruncatedPPPoE     Refusal = Refusal(decode.TruncatedPPPoE)     // a PPPoE header cut short
	RefusedTruncatedPBB       Refusal = Refusal(decode.TruncatedPBB)       // an 802.1ah header cut short
	RefusedTruncatedVNTag     Refusal = Refusal(decode.TruncatedVNTag)     // a VN-Tag cut short
	RefusedTooManyTunnels     Refusal = Refusal(decode.TooManyTunnels)     // tunnels nested too deeply
	RefusedNotTunnel          Refusal = Refusal(decode.NotTunnel)          // not the tunnel that was asked for
	RefusedTruncatedHDLC      Refusal = Refusal(decode.TruncatedHDLC)      // a Cisco HDLC header cut short
	RefusedTruncatedWiFi      Refusal = Refusal(decode.TruncatedWiFi)      // an 802.11 header cut short
	RefusedTruncatedMonitor   Refusal = Refusal(decode.TruncatedMonitor)   // a radiotap, Prism or AVS header cut short
	RefusedEncrypted          Refusal = Refusal(decode.Encrypted)          // 802.11 with encrypted contents
	RefusedTruncatedNFLOG     Refusal = Refusal(decode.TruncatedNFLOG)     // an NFLOG header cut short
	RefusedTruncatedPFLOG     Refusal = Refusal(decode.TruncatedPFLOG)     // a PFLOG header cut short
	RefusedTruncatedIPoIB     Refusal = Refusal(decode.TruncatedIPoIB)     // an IP over InfiniBand header cut short
	RefusedLongFragment       Refusal = Refusal(decode.LongFragment)       // a fragment whose IP length goes beyond the end of its frame
	RefusedLongPacket         Refusal = Refusal(decode.LongPacket)         // the same of a packet; of TCP only where nobody was heard who might acknowledge it
	RefusedTruncatedHSR       Refusal = Refusal(decode.TruncatedHSR)       // a tag of HSR cut short

	RefusedBadChecksum Refusal = Refusal(decode.NumStatus) // with ChecksumVerify or ChecksumAuto, and no flow to count it in

	numRefusals = int(decode.NumStatus) + 1
)

// String is a short name, such as "truncated_tcp".
func (r Refusal) String() string { return refusalNames.string(uint16(r)) }

// AppendText appends what String gives.
func (r Refusal) AppendText(b []byte) ([]byte, error) { return refusalNames.append(b, uint16(r)), nil }

// MarshalText is what String gives.
func (r Refusal) MarshalText() ([]byte, error) { return r.AppendText(nil) }

// UnmarshalText takes what String gives.
func (r *Refusal) UnmarshalText(text []byte) error { return unmarshal(refusalNames, r, text) }

var refusalNames = &names{
	of:   "Refusal",
	text: slices.Concat([]string{"by_extractor"}, decode.StatusNames[1:], []string{"bad_checksum"}),
}

// FiveTuple is the extractor whose flows are told apart by protocol, addresses and ports. The zero
// value puts both directions of a conversation into one flow, and does not look at VLAN tags.
//
// TCP, UDP and SCTP have ports. ICMP messages with an identifier (echo and the like) are told apart
// by the identifier; any other packet has ports 0. An IPv4-mapped IPv6 address (::ffff:10.0.0.1) is
// another address than the IPv4 address in it.
//
// Inside a combinator that peels off tunnels, a conversation in a tunnel over IP is another one than that
// of the same ends in none (see FiveTupleKey.InTunnel), whichever tunnel it is: see PerTunnel.
type FiveTuple struct {
	// Directional makes each direction a flow of its own.
	Directional bool
	// VLAN makes the outermost VLAN identifier part of the key; in a tunnel that carries Ethernet,
	// that of the innermost Ethernet header. Identifier 0 is none: such a tag has a priority only
	// (IEEE 802.1Q).
	VLAN bool
}

// Extract implements FlowExtractor.
func (f FiveTuple) Extract(v PacketView, x *Extracted[FiveTupleKey]) bool {
	return f.extract(&v, v.decoder, x)
}

// extract reads the view with d, and writes every field of x, so that x need not be cleared.
func (f FiveTuple) extract(v *PacketView, d *decoder, x *Extracted[FiveTupleKey]) bool {
	p := &x.packet
	if d == nil {
		x.status = decode.Decode(p, v.Frame, decode.Link(v.LinkType), v.WireLen)
	} else {
		x.status = d.decode(v, p)
	}
	x.slow = 0
	if p.Fragmented || p.Long {
		x.slow = headerReasons(d, p)
	}
	if x.status != decode.OK {
		slow := x.slow
		x.clear()
		x.slow, x.Refused = slow, Refusal(x.status)
		return false
	}
	x.Orientation = x.Key.set(p, f)
	x.L4 = L4Proto(p.Proto)
	x.Payload, x.Missing = p.Payload, p.Missing
	x.HasTCP, x.Refused = p.Proto == uint8(L4TCP), 0
	// Field by field: a struct made of small fields and copied stalls.
	x.TCP.Seq, x.TCP.Ack = p.Seq, p.Ack
	x.TCP.Window, x.TCP.Urgent = p.Window, p.Urgent
	x.TCP.Flags = TCPFlags(p.Flags)
	x.TCP.WindowScale, x.TCP.HasWindowScale = p.WindowScale, p.HasWindowScale
	x.TCP.Options, x.TCP.Timestamp, x.TCP.TimestampEcho = TCPOptions(p.Options), p.Timestamp, p.TimestampEcho
	if !x.HasTCP && decode.ICMPError(p) {
		f.readQuoted(x)
	}
	return true
}

// readSimple is extract for a simple frame, and reports whether the frame is one. It leaves nothing
// in x.packet but the length of the IP packet and that there was no tunnel, so it is for a tracker that
// verifies no checksums.
func (f FiveTuple) readSimple(v *PacketView, d *decoder, x *Extracted[FiveTupleKey]) bool {
	if v.LinkType > LinkTypeEthernet {
		return false
	}
	h, ok := decode.ParseSimple(v.Frame)
	if !ok {
		return false
	}
	x.L4 = L4Proto(h.Proto)
	if d != nil && d.peeler != nil && x.L4 == L4UDP && d.peeler.PortsMayMeanTunnel(h.Ports(v.Frame)) {
		return false
	}
	x.Orientation = x.Key.setSimple(v.Frame, h, f.Directional)
	x.Payload, x.Missing = v.Frame[h.From:h.To:h.To], 0
	x.Refused, x.slow, x.status = 0, 0, decode.OK
	x.packet.Tunnel, x.packet.TunnelID, x.packet.IPLen = decode.NoTunnel, 0, h.IPLen(v.Frame)
	if x.HasTCP = x.L4 == L4TCP; x.HasTCP {
		g := (*decode.SimpleTCP)(v.Frame[h.Transport:])
		x.TCP.Seq, x.TCP.Ack = g.Seq(), g.Ack()
		x.TCP.Window, x.TCP.Urgent = g.Window(), g.Urgent()
		x.TCP.Flags = TCPFlags(g.Flags())
		x.readOptions(v.Frame[h.Transport+len(g) : h.From])
	} else {
		x.TCP.Flags = 0
	}
	if invariants.Enabled {
		f.checkSimple(v, d, x)
	}
	return true
}

// readUsual is readSimple for the frames that are most: IPv4 with TCP or UDP.
func (f FiveTuple) readUsual(v *PacketView, d *decoder, x *Extracted[FiveTupleKey]) bool {
	if len(v.Frame) < len(decode.SimpleIPv4{}) || v.LinkType > LinkTypeEthernet {
		return false
	}
	switch L4Proto(v.Frame[23]) {
	case L4TCP:
		return f.readSimpleTCP4(v, x)
	case L4UDP:
		return f.readSimpleUDP4(v, d, x)
	}
	return false
}

// readSimpleUDP4 is readSimple for IPv4 and UDP, as readSimpleTCP4 for TCP.
func (f FiveTuple) readSimpleUDP4(v *PacketView, d *decoder, x *Extracted[FiveTupleKey]) bool {
	h := (*decode.SimpleIPv4)(v.Frame)
	from, to, ok := h.UDPPayload(v.Frame)
	if !ok || d != nil && d.peeler != nil && d.peeler.PortsMayMeanTunnel(h.Ports()) {
		return false
	}
	x.Orientation = x.Key.setIPv4(h.Src(), h.Dst(), uint8(L4UDP), f.Directional)
	x.L4, x.HasTCP = L4UDP, false
	x.Payload, x.Missing = v.Frame[from:to:to], 0
	x.Refused, x.slow, x.status = 0, 0, decode.OK
	x.packet.Tunnel, x.packet.TunnelID, x.packet.IPLen = decode.NoTunnel, 0, h.IPLen()
	x.TCP.Flags = 0
	return true
}

// readSimpleTCP4 is readSimple for IPv4 and TCP, in one function without calls: most frames are such. It
// gives the rest back.
func (f FiveTuple) readSimpleTCP4(v *PacketView, x *Extracted[FiveTupleKey]) bool {
	if len(v.Frame) < len(decode.SimpleTCP4{}) {
		return false
	}
	h := (*decode.SimpleTCP4)(v.Frame)
	from, to, ok := h.Payload(v.Frame)
	if !ok {
		return false
	}
	// The options first: they may be in the next cache line, and both waits for memory overlap.
	timestamp, onlyTimestamps := decode.OnlyTimestamps(v.Frame[len(h):from])
	x.Orientation = x.Key.setIPv4(h.IP().Src(), h.IP().Dst(), uint8(L4TCP), f.Directional)
	x.L4, x.HasTCP = L4TCP, true
	x.Payload, x.Missing = v.Frame[from:to:to], 0
	x.Refused, x.slow, x.status = 0, 0, decode.OK
	x.packet.Tunnel, x.packet.TunnelID, x.packet.IPLen = decode.NoTunnel, 0, h.IPLen()
	g := h.TCP()
	x.TCP.Seq, x.TCP.Ack = g.Seq(), g.Ack()
	x.TCP.Window, x.TCP.Urgent = g.Window(), g.Urgent()
	x.TCP.Flags = TCPFlags(g.Flags())
	if onlyTimestamps && x.TCP.Flags&(FlagSYN|FlagRST) == 0 {
		x.TCP.Options, x.TCP.Timestamp = OptionTimestamps, timestamp
		x.TCP.WindowScale, x.TCP.HasWindowScale, x.TCP.TimestampEcho = 0, false, 0
	} else if from == len(h) {
		x.TCP.Options, x.TCP.Timestamp = 0, 0
		x.TCP.WindowScale, x.TCP.HasWindowScale, x.TCP.TimestampEcho = 0, false, 0
	} else {
		x.readOptions(v.Frame[len(h):from])
	}
	return true
}

// readOptions reads the options of a TCP header.
func (x *Extracted[K]) readOptions(b []byte) {
	x.TCP.WindowScale, x.TCP.HasWindowScale, x.TCP.TimestampEcho = 0, false, 0
	x.TCP.Options, x.TCP.Timestamp = 0, 0
	if len(b) == 0 {
		return
	}
	if timestamp, ok := decode.OnlyTimestamps(b); ok && x.TCP.Flags&(FlagSYN|FlagRST) == 0 {
		x.TCP.Options, x.TCP.Timestamp = OptionTimestamps, timestamp
		return
	}
	o := decode.ReadTCPOptions(b)
	x.TCP.Options, x.TCP.Timestamp = TCPOptions(o.Options), o.Timestamp
	if x.TCP.Flags&(FlagSYN|FlagRST) != 0 {
		x.TCP.TimestampEcho = o.TimestampEcho
	}
	if x.TCP.Flags&FlagSYN != 0 {
		x.TCP.WindowScale, x.TCP.HasWindowScale = o.WindowScale, o.HasWindowScale
	}
}

// checkSimple panics if readSimple made something else of the frame than extract does.
func (f FiveTuple) checkSimple(v *PacketView, d *decoder, x *Extracted[FiveTupleKey]) {
	var y Extracted[FiveTupleKey]
	ok := f.extract(v, d, &y)
	if !x.HasTCP {
		y.TCP = x.TCP // not looked at
	}
	if !ok || y.slow != 0 || y.Key != x.Key || y.Orientation != x.Orientation || y.L4 != x.L4 || y.HasTCP != x.HasTCP ||
		y.TCP != x.TCP || y.Missing != 0 || len(y.Payload) != len(x.Payload) || y.packet.Tunnel != decode.NoTunnel ||
		y.packet.IPLen != x.packet.IPLen {
		panic("flowscope: the fast path reads a simple frame otherwise than the slow path")
	}
}

// readQuoted finds the flow that an ICMP error is about.
func (f FiveTuple) readQuoted(x *Extracted[FiveTupleKey]) {
	var q decode.Packet
	if !decode.Quoted(&x.packet, &q) {
		return
	}
	q.VLAN, q.VLANs, q.InTunnel = x.packet.VLAN, x.packet.VLANs, x.packet.InTunnel
	x.slow |= slowICMPError
	x.quoted.orientation = x.quoted.key.set(&q, f)
	x.quoted.tcp, x.quoted.seq = q.Proto == uint8(L4TCP), q.Seq
}

func (FiveTuple) hashKey(k *FiveTupleKey, seed uint64) uint64 { return k.hash(seed) }

// IPPair tells flows apart by the two IP addresses alone, both directions in
// one flow, whatever the protocol. It has no TCP state.
type IPPair struct{}

// Extract implements FlowExtractor. L4 is the protocol of this packet; a flow
// keeps that of its first. Fragments, and packets whose transport header cannot
// be read, have addresses too and so belong to the flow; inside a combinator that
// peels off tunnels, fragments wait for their datagram as they do for FiveTuple.
func (IPPair) Extract(v PacketView, x *Extracted[IPPairKey]) bool {
	p := &x.packet
	if !x.decodeAll(&v) {
		if p.Family == 0 {
			return false
		}
		x.Refused = 0
	}
	if x.slow &^= slowLong; v.decoder == nil {
		x.slow = 0 // nothing in a datagram could say more about its addresses
	}
	x.Key = IPPairKey{aHi: p.SrcHi, aLo: p.SrcLo, bHi: p.DstHi, bLo: p.DstLo}
	if after(p.SrcHi, p.SrcLo, 0, p.DstHi, p.DstLo, 0) != 0 {
		x.Key = IPPairKey{aHi: p.DstHi, aLo: p.DstLo, bHi: p.SrcHi, bLo: p.SrcLo}
		x.Orientation = Reverse
	}
	if p.Family == 6 {
		x.Key.v6 = 1
	}
	x.L4 = L4Proto(p.Proto)
	x.Payload, x.Missing = p.Payload, p.Missing
	return true
}

// MACPair tells flows apart by the two MAC addresses of an Ethernet frame, both
// directions in one flow, whatever the frame carries. It has no TCP state, and
// refuses frames of other links. Inside a combinator that peels off tunnels, the
// addresses are those of the innermost Ethernet header; fragments of a tunnel are
// not reassembled for it. Without a combinator it reads no more than the Ethernet
// header, so that no checksum is verified.
type MACPair struct{}

// Extract implements FlowExtractor. Payload is what follows the Ethernet
// header.
func (MACPair) Extract(v PacketView, x *Extracted[MACPairKey]) bool {
	x.packet = decode.Packet{}
	frame, link := v.Frame, decode.Link(v.LinkType)
	if v.decoder != nil {
		x.decodeHeaders(&v)
		if back := int(x.packet.InnerEthernet); back > 0 && back <= len(frame) {
			frame, link = frame[len(frame)-back:], decode.LinkEthernet
		}
	}
	x.slow = 0 // a fragment has its addresses like any frame
	dst, src, st := decode.MACs(frame, link)
	if st != decode.OK {
		x.Refused = Refusal(st)
		return false
	}
	x.Key = MACPairKey{a: src, b: dst}
	if src > dst {
		x.Key = MACPairKey{a: dst, b: src}
		x.Orientation = Reverse
	}
	const header = 14
	x.Payload = frame[header:len(frame):len(frame)]
	x.Missing = max(0, v.WireLen-len(v.Frame))
	return true
}
