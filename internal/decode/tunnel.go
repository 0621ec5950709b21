package decode

// Tunnel is a kind of encapsulation. The zero value is none.
type Tunnel uint8

// The kinds, with what TunnelID is.
const (
	NoTunnel Tunnel = iota
	MPLS            // the bottom label: 20 bits
	PPPoE           // the session: 16 bits
	PBB             // 802.1ah: the service instance, 24 bits
	VNTag           // 0
	IPIP            // 0: IPv4 or IPv6 in either
	GRE             // the key, or 0
	NVGRE           // the virtual subnet: 24 bits
	ERSPAN          // the session: 10 bits; 0 for type I
	PPTP            // GRE version 1: the call, 16 bits
	EtherIP         // 0
	VXLAN           // the network: 24 bits
	VXLANGPE        // the network: 24 bits
	Geneve          // the network: 24 bits
	GTPU            // the tunnel endpoint: 32 bits
	Teredo          // 0
	AYIYA           // 0
	L2TP            // tunnel and session: 16 bits each
	TZSP            // 0: a frame that a sniffer sends on

	// NumTunnel is the number of kinds, NoTunnel included.
	NumTunnel
)

// TunnelNames are the names of the kinds, such as "vxlan".
var TunnelNames = [...]string{
	NoTunnel: "none", MPLS: "mpls", PPPoE: "pppoe", PBB: "pbb", VNTag: "vntag", IPIP: "ipip", GRE: "gre", NVGRE: "nvgre",
	ERSPAN: "erspan", PPTP: "pptp", EtherIP: "etherip", VXLAN: "vxlan", VXLANGPE: "vxlan_gpe", Geneve: "geneve",
	GTPU: "gtpu", Teredo: "teredo", AYIYA: "ayiya", L2TP: "l2tp", TZSP: "tzsp",
}

// String returns a short name such as "vxlan".
func (t Tunnel) String() string {
	if t >= NumTunnel {
		return "unknown_tunnel"
	}
	return TunnelNames[t]
}

// BothWays reports whether the two directions of a conversation carry the same identifier. Those of
// MPLS, PPTP, GTP-U and L2TP are chosen by the receiver of each direction: a key with one of them
// in it tells the directions apart.
func (t Tunnel) BothWays() bool {
	switch t {
	case MPLS, PPTP, GTPU, L2TP:
		return false
	}
	return true
}

// overUDP reports whether a port may mean the kind.
func (t Tunnel) overUDP() bool { return t >= VXLAN && t <= TZSP || t == GRE || t == MPLS }

// Peel is a set of encapsulations.
type Peel uint32

// The encapsulations that may be peeled. VLAN tags always are.
const (
	PeelMPLS       Peel = 1 << iota // label stacks, behind Ethernet, PPP, Cisco HDLC, GRE, IP, UDP, VXLAN-GPE and Geneve
	PeelPseudoWire                  // Ethernet in an MPLS label stack; needs PeelMPLS
	PeelPPPoE                       // sessions
	PeelPBB                         // 802.1ah
	PeelVNTag                       // 802.1BR's predecessor
	PeelIPIP                        // all four of IPv4 and IPv6 in IPv4 and IPv6
	PeelGRE                         // with NVGRE, Ethernet, ERSPAN I to III, PPP and PPTP; over IP and UDP
	PeelEtherIP
	PeelVXLAN
	PeelVXLANGPE
	PeelGeneve
	PeelGTPU
	PeelTeredo
	PeelAYIYA
	PeelL2TP // version 2 data messages
	PeelTZSP // Ethernet and 802.11

	// PeelAll is all of them.
	PeelAll = PeelTZSP<<1 - 1
)

var tunnelPeel = [NumTunnel]Peel{
	MPLS: PeelMPLS, PPPoE: PeelPPPoE, PBB: PeelPBB, VNTag: PeelVNTag, IPIP: PeelIPIP, GRE: PeelGRE, NVGRE: PeelGRE,
	ERSPAN: PeelGRE, PPTP: PeelGRE, EtherIP: PeelEtherIP, VXLAN: PeelVXLAN, VXLANGPE: PeelVXLANGPE, Geneve: PeelGeneve,
	GTPU: PeelGTPU, Teredo: PeelTeredo, AYIYA: PeelAYIYA, L2TP: PeelL2TP, TZSP: PeelTZSP,
}

// Require turns OK into NotTunnel if not all of want were peeled off on the way to p. Other
// statuses stay. A first fragment may yet turn out to hold the tunnel: p.Fragmented tells.
func (p *Packet) Require(want Peel, status Status) Status {
	if status == OK && p.Peeled&want != want {
		return NotTunnel
	}
	return status
}

// addTunnel records that a tunnel header was passed.
func (p *Packet) addTunnel(kind Tunnel, id uint32) {
	p.Tunnels++
	p.Peeled |= tunnelPeel[kind]
	if id != 0 || p.TunnelID == 0 {
		p.Tunnel, p.TunnelID = kind, id
	}
	if kind.BothWays() && (id != 0 || p.NetworkID == 0) {
		p.Network, p.NetworkID = kind, id
	}
}
