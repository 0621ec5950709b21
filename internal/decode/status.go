package decode

// Status is the outcome of Decode: OK, or the one reason why a frame was refused. The zero value is
// OK.
type Status uint8

// The outcomes. A Truncated one means that the header is longer than what is there, because the
// capture cut it or because the length before it did.
const (
	OK                 Status = iota
	FragmentLater             // no refusal: a fragment that does not hold the transport header
	UnknownLink               // no such link type here
	NotIP                     // the link carries something else: ARP, LLDP, spanning tree, or what may not be peeled
	NoMACs                    // MACs only: the link has no Ethernet addresses
	TruncatedEthernet         // fewer than 14 bytes
	TruncatedVLAN             // fewer than 4 bytes after a tag's type
	TooManyVLANs              // a fifth tag
	TruncatedLLC              // no whole 802.2 LLC or SNAP header
	TruncatedNull             // fewer than 4 bytes: BSD NULL and LOOP
	TruncatedPPP              // no whole protocol field
	TruncatedSLL              // no whole Linux cooked header, of either version
	TruncatedRaw              // an empty frame where an IP packet should be
	BadIPVersion              // not the version that the link or EtherType announced; for raw IP neither 4 nor 6
	TruncatedIPv4             // no whole header, options included
	BadIPv4Header             // header length below 20
	BadIPv4Length             // total length below the header length, and not 0
	TruncatedIPv6             // fewer than 40 bytes
	TruncatedExtension        // no whole IPv6 extension header or authentication header
	BadAuthHeader             // authentication header length below its fixed part (RFC 4302 section 2.2)
	TooManyExtensions         // a seventeenth extension header
	NestedFragment            // a fragment header within a fragment
	TruncatedTCP              // fewer than 20 bytes
	BadTCPOffset              // data offset below 20 or past the end of the packet
	TruncatedUDP              // fewer than 8 bytes
	BadUDPLength              // length 1 to 7, or 0 over IPv4 whose length is not 0
	TruncatedICMP             // fewer than 4 bytes: ICMP and ICMPv6
	TruncatedSCTP             // fewer than 12 bytes

	TruncatedMPLS    // a label stack without an end
	TooManyLabels    // an eighteenth MPLS label
	TruncatedPPPoE   // fewer than 6 bytes
	TruncatedPBB     // no whole 802.1ah tag with the Ethernet header in it
	TruncatedVNTag   // fewer than 6 bytes
	TooManyTunnels   // tunnels in tunnels, deeper than allowed; the Packet is empty
	NotTunnel        // Packet.Require only: the tunnel that was asked for is not there
	TruncatedHDLC    // fewer than 4 bytes of Cisco HDLC
	TruncatedWiFi    // no whole 802.11 header
	TruncatedMonitor // no whole radiotap, Prism or AVS header in front of 802.11
	Encrypted        // 802.11 data that only the stations can read
	TruncatedNFLOG   // no whole header or attribute up to the packet
	TruncatedPFLOG   // no whole header
	TruncatedIPoIB   // no whole InfiniBand pseudo header
	LongFragment     // a fragment whose IP length goes beyond the end of a frame that is whole
	LongPacket       // the same of a packet that is no fragment and not of TCP
	TruncatedHSR     // fewer than 6 bytes

	// NumStatus is the number of statuses: an array of counters by Status has this length.
	NumStatus
)

// StatusNames are the names of the statuses, such as "truncated_tcp".
var StatusNames = [...]string{
	OK:                 "ok",
	FragmentLater:      "fragment_later",
	UnknownLink:        "unknown_link",
	NotIP:              "not_ip",
	NoMACs:             "no_macs",
	TruncatedEthernet:  "truncated_ethernet",
	TruncatedVLAN:      "truncated_vlan",
	TooManyVLANs:       "too_many_vlans",
	TruncatedLLC:       "truncated_llc",
	TruncatedNull:      "truncated_null",
	TruncatedPPP:       "truncated_ppp",
	TruncatedSLL:       "truncated_sll",
	TruncatedRaw:       "truncated_raw",
	BadIPVersion:       "bad_ip_version",
	TruncatedIPv4:      "truncated_ipv4",
	BadIPv4Header:      "bad_ipv4_header",
	BadIPv4Length:      "bad_ipv4_length",
	TruncatedIPv6:      "truncated_ipv6",
	TruncatedExtension: "truncated_extension",
	BadAuthHeader:      "bad_auth_header",
	TooManyExtensions:  "too_many_extensions",
	NestedFragment:     "nested_fragment",
	TruncatedTCP:       "truncated_tcp",
	BadTCPOffset:       "bad_tcp_offset",
	TruncatedUDP:       "truncated_udp",
	BadUDPLength:       "bad_udp_length",
	TruncatedICMP:      "truncated_icmp",
	TruncatedSCTP:      "truncated_sctp",
	TruncatedMPLS:      "truncated_mpls",
	TooManyLabels:      "too_many_labels",
	TruncatedPPPoE:     "truncated_pppoe",
	TruncatedPBB:       "truncated_pbb",
	TruncatedVNTag:     "truncated_vntag",
	TooManyTunnels:     "too_many_tunnels",
	NotTunnel:          "not_tunnel",
	TruncatedHDLC:      "truncated_hdlc",
	TruncatedWiFi:      "truncated_wifi",
	TruncatedMonitor:   "truncated_monitor",
	Encrypted:          "encrypted",
	TruncatedNFLOG:     "truncated_nflog",
	TruncatedPFLOG:     "truncated_pflog",
	TruncatedIPoIB:     "truncated_ipoib",
	LongFragment:       "long_fragment",
	LongPacket:         "long_packet",
	TruncatedHSR:       "truncated_hsr",
}

// String returns a short name such as "truncated_tcp", fit for a counter's label.
func (s Status) String() string {
	if s >= NumStatus {
		return "unknown_status"
	}
	return StatusNames[s]
}
