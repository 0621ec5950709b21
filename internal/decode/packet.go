package decode

// Packet is what the headers of one frame say, those of the innermost packet if tunnels were peeled
// off. The zero value is ready for Decode, which overwrites every field, so one Packet serves for
// any number of frames. A field that the frame's protocol does not have is 0.
type Packet struct {
	// Addresses, as big-endian words. The IPv4 address a.b.c.d is the mapped one: Hi is 0, Lo is
	// 0x0000ffff_aabbccdd. Family tells it from an IPv6 address ::ffff:a.b.c.d.
	SrcHi, SrcLo, DstHi, DstLo uint64

	// Payload is the transport's payload: a sub-slice of the frame, good as long as the frame, with
	// no capacity beyond its length. It ends where the IP (and UDP) length says. For a protocol
	// without ports or ICMP messages here it is what follows the IP headers, and for a later
	// fragment the fragment's bytes. For ICMP and ICMPv6 it starts after 8 bytes: where an error
	// message quotes the packet it is about.
	Payload []byte

	// Fragment is what follows the IP headers of a fragment (for IPv6, what follows the fragment
	// header), the first one or a later one, and nil if the packet is not fragmented. Like Payload
	// it borrows the frame. It is set even if Decode refuses the beginning of a transport in it.
	Fragment []byte

	// Missing is the number of payload bytes that the IP (and UDP) length promises after the last
	// of Payload, that were on the wire, and that the frame does not hold.
	Missing int

	// Ack stands before Seq, and Urgent before Window, so that the compiler does not join the loads
	// of a copy into one: a load of bytes that two stores have just written stalls.
	Ack, Seq   uint32 // TCP
	FragmentID uint32 // of a fragment
	FlowLabel  uint32 // IPv6: 20 bits

	Peeled   Peel   // every kind of encapsulation that was peeled off on the way
	TunnelID uint32 // identifier of Tunnel: what it is depends on the kind, and 0 is none

	// NetworkID is the identifier of Network. The two are as TunnelID and Tunnel, among the kinds
	// whose identifiers are the same in both directions.
	NetworkID uint32

	// IPLen is the length of the IP packet that Family is of, header included, as its header says it;
	// where that says 0 (offloaded segments, jumbograms), that of all that was on the wire.
	IPLen uint32

	// InnerEthernet says where the innermost Ethernet header begins that a tunnel carried: in bytes
	// before the end of the frame. 0 if no tunnel carried one.
	InnerEthernet uint32

	// fromTransport says where the transport header begins, for Checksum: in bytes before the end
	// of the frame, since that is the capacity of a part of it. 0 is unknown: none was read, or the
	// frame ends there.
	fromTransport uint32

	// before is, for IPv4, the size of the headers between the beginning of the IP header and the
	// transport, 0 standing for the usual 20, and headerElsewhere if the IP header is not in front
	// of the transport. For IPv6 it is rerouted if the addresses are not those that the transport's
	// checksum was made over.
	before uint16

	// TCP, UDP and SCTP ports. ICMP and ICMPv6 messages with an identifier have it in both.
	SrcPort, DstPort uint16

	Timestamp     uint32 // TCP: TSval, with OptTimestamps
	TimestampEcho uint32 // TCP SYN and RST: TSecr, likewise

	Urgent, Window uint16 // TCP: as on the wire, the window not scaled
	VLAN           uint16 // the outermost VLAN id of the innermost Ethernet header: 12 bits
	FragmentOffset uint16 // of a fragment: bytes

	Family             uint8 // 4 or 6; 0 if no IP header was read
	Proto              uint8 // IP protocol number of what was reached, behind extension headers and AH
	FragmentProto      uint8 // of a fragment: protocol number of what Fragment starts with, or started with at offset 0
	Flags              uint8 // TCP: CWR 0x80 ... FIN 0x01
	WindowScale        uint8 // TCP SYN: 0 to 14
	Options            uint8 // TCP: OptTimestamps and others
	ICMPType, ICMPCode uint8
	VLANs              uint8 // number of VLAN tags of the innermost Ethernet header

	// Tunnel is the innermost tunnel whose identifier is not 0, so that a tunnel without an
	// identifier within one of many tenants does not hide the tenant; if there is none, the
	// innermost. Tunnels is the number of tunnel headers, an MPLS label stack being one.
	Tunnel  Tunnel
	Network Tunnel
	Tunnels uint8

	// InTunnel says that a tunnel over IP was peeled off: that an outer IP header was passed. VLAN tags,
	// MPLS labels, PPPoE, 802.1ah and VN-Tags alone, which are part of the link, do not set it.
	InTunnel bool

	// Long says that the IP length goes beyond the end of a frame that is whole, so that no receiver takes
	// the packet (RFC 1122 section 3.2.1; for IPv4, with a right header checksum or none). Decode refuses
	// it, unless it is of TCP: then the receiver's acknowledgement can tell whether the frame was cut.
	Long bool

	HasWindowScale bool // TCP SYN: the option is there
	MoreFragments  bool // not the last fragment
	FragmentCut    bool // the frame does not hold all that the IP length promises of Fragment
	Fragmented     bool // a fragment; an IPv6 fragment header around a whole packet makes none

	noLength    bool // the IPv4 length is 0
	underLength bool // what is before the IP header grants it a length of its own
}

// What Packet.before may be besides a size.
const (
	headerElsewhere = 1
	rerouted        = 1
)

// TCP flags, as in Packet.Flags.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)
