package flowscope

import (
	"hash/maphash"
	"math/bits"
	"strconv"
	"time"

	"github.com/flowscope-go/flowscope/internal/decode"
)

// FlowExtractor says which flow a packet belongs to. K is the flow's key: any
// comparable type, best one without pointers, so that the garbage collector
// need not look at the table of flows.
//
// Extract fills x and reports whether the packet belongs to a flow. On entry
// every field of x but Key is zero; Key holds what the last call left there and
// must be written whole. Payload is a part of v.Frame. Extract must not keep v
// or x, must answer the same for the same packet, and must not call the tracker
// it is used by. If it reports false it may say why in x.Refused. Trackers of
// several goroutines may share an extractor if its Extract may be called by several
// at once, as that of every extractor and combinator of this package may.
//
// An extractor of one's own may ask a built-in one. Put combinators around it, not
// inside: what they find out beside the fields of Extracted (tunnels, fragments,
// checksums) reaches the tracker from the outermost only. ICMP errors are matched to
// flows where keys are those of FiveTuple, also in PerTunnel.
//
// An extractor may have two more methods, those of KeyHasher and KeyTimer, looked
// for once, when a tracker is made:
//
//	Hash(k K, seed uint64) uint64      // a good hash of the key; else the
//	                                   // general one of hash/maphash is used
//	IdleTimeout(k K) time.Duration     // how long a flow of that key may be
//	                                   // silent; 0 or less: as in Config
//
// IdleTimeout must give the same answer for the same key each time. It replaces
// the established, UDP, ICMP and other time-outs of Config, not those of a TCP
// connection that is opening or closing. The combinators pass both on from the
// extractor inside. A Hash that is the same for many keys makes look-ups slow.
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

// KeyTimer is an extractor with time-outs of its own; see FlowExtractor.
type KeyTimer[K comparable] interface {
	IdleTimeout(k K) time.Duration
}

// timerOf is the extractor's own idle time-out, or that of the extractor inside
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

// isHollow reports whether there is no extractor, be it inside combinators.
func isHollow[K comparable](ex FlowExtractor[K]) bool {
	c, ok := any(ex).(interface{ hollow() bool })
	return ex == nil || ok && c.hollow()
}

// Extracted is what an extractor says of one packet.
type Extracted[K comparable] struct {
	// Key names the flow.
	Key K
	// Payload is what the transport carries: a part of the frame, so it is
	// right under any number of tunnels. It may be empty.
	Payload []byte
	// Missing is how many bytes of payload follow on the wire that the capture
	// does not hold.
	Missing int
	// TCP is used if HasTCP is set; otherwise the flow has no TCP state. Set it
	// only if the key names one connection, and then for all its packets: whether
	// a flow is one of TCP is decided by its first.
	TCP TCPInfo
	// Orientation is the packet's direction relative to the key's own order.
	Orientation Orientation
	// L4 is the transport protocol, which chooses the idle time-out; 0 if there
	// is none.
	L4     L4Proto
	HasTCP bool
	// Refused says why the packet belongs to no flow.
	Refused Refusal

	// What the built-in extractors leave for the tracker, and for one another.
	notes   notes
	status  decode.Status // of packet
	packet  decode.Packet // what they read into: cleared once, by Decode
	quote   quote[K]      // with noteQuote
	scratch any           // the *Extracted of the extractor inside
}

// notes say that a packet needs a second look before it goes to its flow: nearly
// none does. See admission.go.
type notes uint8

const (
	noteUnread   notes = 1 << iota // packet is not that of the view
	noteOwn                        // the extractor may read frames by itself
	noteFragment                   // it is a fragment, and its datagram is wanted whole
	noteTunnel                     // the datagram may hold a tunnel, and so belong to another flow than the fragment
	noteQuote                      // an ICMP error, with the key of the flow it is about in quote
)

// quote is what an ICMP error says about the packet that caused it.
type quote[K comparable] struct {
	key         K
	orientation Orientation
	tcp         bool
	seq         uint32 // of TCP
}

// clear makes x what Extract expects on entry.
func (x *Extracted[K]) clear() {
	x.Payload, x.Missing, x.TCP, x.Orientation, x.L4, x.HasTCP, x.Refused = nil, 0, TCPInfo{}, 0, 0, false, 0
	x.notes = noteUnread | noteOwn
}

// look reads the headers of the view into x.packet.
func (x *Extracted[K]) look(v *PacketView) {
	x.status = v.via.read(v, &x.packet)
	x.notes &^= noteUnread
	if x.packet.Fragmented {
		x.notes |= notesOf(v.via, &x.packet)
	}
}

// notesOf are the notes of a fragment.
func notesOf(w *via, p *decode.Packet) notes {
	if w != nil && w.peel != nil && w.peel.May(p) {
		return noteFragment | noteTunnel
	}
	return noteFragment
}

// read is look for an extractor that needs them all, and reports whether they
// could be read.
func (x *Extracted[K]) read(v *PacketView) bool {
	x.notes = 0
	x.look(v)
	if x.status != decode.OK {
		x.Refused = Refusal(x.status)
	}
	return x.status == decode.OK
}

// Orientation is the direction of a packet relative to the order that its key
// imposes on the two ends. It does not depend on who spoke first; that is
// FlowSide.
type Orientation uint8

const (
	Forward Orientation = iota // from the key's first end to its second
	Reverse                    // from the second to the first
)

// String is "forward" or "reverse".
func (o Orientation) String() string {
	if o == Forward {
		return "forward"
	}
	return "reverse"
}

// L4Proto is a transport protocol by its IP protocol number. 0 stands for none.
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
	switch p {
	case 0:
		return "none"
	case L4ICMP:
		return "icmp"
	case L4TCP:
		return "tcp"
	case L4UDP:
		return "udp"
	case L4ICMPv6:
		return "icmpv6"
	case L4SCTP:
		return "sctp"
	}
	return "ip-" + strconv.Itoa(int(p))
}

// TCPFlags are the flag bits of a TCP header.
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
	if f == 0 {
		return "."
	}
	var s [8]byte
	n := 0
	for i := range 8 {
		if f&(1<<i) != 0 {
			s[n] = "FSRPAUEC"[i]
			n++
		}
	}
	return string(s[:n])
}

// TCPInfo is what the tracker needs of a TCP header, in host byte order.
type TCPInfo struct {
	Seq, Ack       uint32
	Window, Urgent uint16 // as in the header; the window is not scaled
	Flags          TCPFlags
	WindowScale    uint8 // the option of a SYN; only if HasWindowScale
	HasWindowScale bool
}

// Refusal is the reason why a packet belongs to no flow.
type Refusal uint8

// Refusals of the built-in extractors. RefusedByExtractor, the zero value,
// is an extractor that gave no reason.
const (
	RefusedByExtractor        = Refusal(decode.OK)
	RefusedFragment           = Refusal(decode.FragmentLater)      // a fragment without the transport header
	RefusedUnknownLink        = Refusal(decode.UnknownLink)        // a link type that is not read
	RefusedNotIP              = Refusal(decode.NotIP)              // ARP, LLDP, spanning tree, ...
	RefusedNoMACs             = Refusal(decode.NoMACs)             // MACPair on a link without MAC addresses
	RefusedTruncatedEthernet  = Refusal(decode.TruncatedEthernet)  // fewer than 14 bytes
	RefusedTruncatedVLAN      = Refusal(decode.TruncatedVLAN)      // a VLAN tag cut short
	RefusedTooManyVLANs       = Refusal(decode.TooManyVLANs)       // more than 4 tags
	RefusedTruncatedLLC       = Refusal(decode.TruncatedLLC)       // an LLC or SNAP header cut short
	RefusedTruncatedNull      = Refusal(decode.TruncatedNull)      // a BSD loopback header cut short
	RefusedTruncatedPPP       = Refusal(decode.TruncatedPPP)       // a PPP header cut short
	RefusedTruncatedSLL       = Refusal(decode.TruncatedSLL)       // a Linux cooked header cut short
	RefusedTruncatedRaw       = Refusal(decode.TruncatedRaw)       // an empty raw IP frame
	RefusedBadIPVersion       = Refusal(decode.BadIPVersion)       // not the version that was announced
	RefusedTruncatedIPv4      = Refusal(decode.TruncatedIPv4)      // no whole header
	RefusedBadIPv4Header      = Refusal(decode.BadIPv4Header)      // header length below 20
	RefusedBadIPv4Length      = Refusal(decode.BadIPv4Length)      // total length below the header length
	RefusedTruncatedIPv6      = Refusal(decode.TruncatedIPv6)      // fewer than 40 bytes
	RefusedTruncatedExtension = Refusal(decode.TruncatedExtension) // an extension header cut short
	RefusedBadAuthHeader      = Refusal(decode.BadAuthHeader)      // authentication header shorter than its fixed part
	RefusedTooManyExtensions  = Refusal(decode.TooManyExtensions)  // more than 16 extension headers
	RefusedNestedFragment     = Refusal(decode.NestedFragment)     // a fragment inside a fragment
	RefusedTruncatedTCP       = Refusal(decode.TruncatedTCP)       // fewer than 20 bytes
	RefusedBadTCPOffset       = Refusal(decode.BadTCPOffset)       // header length impossible
	RefusedTruncatedUDP       = Refusal(decode.TruncatedUDP)       // fewer than 8 bytes
	RefusedBadUDPLength       = Refusal(decode.BadUDPLength)       // length 1 to 7
	RefusedTruncatedICMP      = Refusal(decode.TruncatedICMP)      // fewer than 4 bytes
	RefusedTruncatedSCTP      = Refusal(decode.TruncatedSCTP)      // fewer than 12 bytes
	RefusedTruncatedMPLS      = Refusal(decode.TruncatedMPLS)      // an MPLS label cut short
	RefusedTooManyLabels      = Refusal(decode.TooManyLabels)      // more than 17 MPLS labels
	RefusedTruncatedPPPoE     = Refusal(decode.TruncatedPPPoE)     // a PPPoE header cut short
	RefusedTruncatedPBB       = Refusal(decode.TruncatedPBB)       // an 802.1ah header cut short
	RefusedTruncatedVNTag     = Refusal(decode.TruncatedVNTag)     // a VN-Tag cut short
	RefusedTooManyTunnels     = Refusal(decode.TooManyTunnels)     // tunnels nested too deeply
	RefusedNotTunnel          = Refusal(decode.NotTunnel)          // not the tunnel that was asked for
	RefusedTruncatedHDLC      = Refusal(decode.TruncatedHDLC)      // a Cisco HDLC header cut short
	RefusedTruncatedWiFi      = Refusal(decode.TruncatedWiFi)      // an 802.11 header cut short
	RefusedTruncatedMonitor   = Refusal(decode.TruncatedMonitor)   // a radiotap, Prism or AVS header cut short
	RefusedEncrypted          = Refusal(decode.Encrypted)          // 802.11 with encrypted contents
	RefusedTruncatedNFLOG     = Refusal(decode.TruncatedNFLOG)     // an NFLOG header cut short
	RefusedTruncatedPFLOG     = Refusal(decode.TruncatedPFLOG)     // a PFLOG header cut short
	RefusedTruncatedIPoIB     = Refusal(decode.TruncatedIPoIB)     // an IP over InfiniBand header cut short

	RefusedBadChecksum = Refusal(decode.NumStatus) // with ChecksumVerify or ChecksumAuto, and no flow to count it in

	numRefusals = int(decode.NumStatus) + 1
)

// String is a short name, such as "truncated_tcp".
func (r Refusal) String() string {
	switch r {
	case RefusedByExtractor:
		return "by_extractor"
	case RefusedBadChecksum:
		return "bad_checksum"
	}
	return decode.Status(r).String()
}
