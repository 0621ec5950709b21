package decode

import "slices"

// Options say what may be peeled off. The zero value peels nothing.
type Options struct {
	Peel  Peel   // what may be peeled; none by default
	Depth int    // tunnel headers, one within another, of one frame: 1 to 32, default 4
	Ports []Port // which UDP ports mean which tunnel; nil is DefaultPorts(), empty is none
}

// Port says that a UDP port, of either end, means a tunnel of that kind: one of VXLAN, VXLANGPE,
// Geneve, GTPU, Teredo, AYIYA, L2TP, TZSP, GRE and MPLS. Other kinds are ignored, and so is port 0.
type Port struct {
	Number uint16
	Kind   Tunnel
}

// DefaultPorts returns the registered ports, the one that Linux took for VXLAN before there was one,
// and that of TZSP, which has none.
func DefaultPorts() []Port { return slices.Clone(defaultPorts[:]) }

var defaultPorts = [...]Port{{4789, VXLAN}, {8472, VXLAN}, {4790, VXLANGPE}, {6081, Geneve}, {2152, GTPU},
	{3544, Teredo}, {5072, AYIYA}, {1701, L2TP}, {4754, GRE}, {6635, MPLS}, {37008, TZSP}}

// Peeler is a set of Options made ready for DecodeWith. It does not change, so that any number of
// goroutines may use one.
type Peeler struct {
	peel  Peel
	depth uint8
	ports []Port

	// A packet of a protocol or port that is not in here carries no tunnel. Ports are in by their
	// low 10 bits, so that nearly every datagram that is none is known after two looks.
	protos [4]uint64
	maybe  [portSlots / 64]uint64
}

// DefaultDepth is what a Depth of 0 stands for.
const DefaultDepth = 4

const (
	maxDepth  = 32
	portSlots = 1 << 10
)

// NewPeeler makes o ready. A Depth out of range is taken to its nearest end, and 0 is the default.
func NewPeeler(o Options) *Peeler {
	depth := o.Depth
	if depth == 0 {
		depth = DefaultDepth
	}
	w := &Peeler{peel: o.Peel & PeelAll, depth: uint8(min(max(depth, 1), maxDepth))}
	for _, c := range []struct {
		peel  Peel
		proto uint8
	}{{PeelIPIP, protoIPv4}, {PeelIPIP, protoIPv6}, {PeelGRE, protoGRE}, {PeelEtherIP, protoEtherIP}, {PeelMPLS, protoMPLS}} {
		if w.peel&c.peel != 0 {
			w.protos[c.proto>>6] |= 1 << (c.proto & 63)
		}
	}
	ports := o.Ports
	if ports == nil {
		ports = DefaultPorts()
	}
	for _, port := range ports {
		if port.Number != 0 && port.Kind.overUDP() && w.peel&tunnelPeel[port.Kind] != 0 {
			w.ports = append(w.ports, port)
			slot := port.Number % portSlots
			w.maybe[slot>>6] |= 1 << (slot & 63)
		}
	}
	return w
}

// FragmentMayHoldTunnel reports whether p, as read with this Peeler, may yet turn out to carry a
// tunnel: p is a fragment, and its datagram was not looked into.
func (w *Peeler) FragmentMayHoldTunnel(p *Packet) bool { return p.Fragmented && w.mayHoldTunnel(p) }

// PortsMayMeanTunnel reports whether a UDP datagram with these ports may carry a tunnel. False is
// certain.
func (w *Peeler) PortsMayMeanTunnel(src, dst uint16) bool {
	src, dst = src%portSlots, dst%portSlots
	return (w.maybe[src>>6]>>(src&63)|w.maybe[dst>>6]>>(dst&63))&1 != 0
}

// mayHoldTunnel reports whether p may carry a tunnel: false is certain, and nearly always the answer.
func (w *Peeler) mayHoldTunnel(p *Packet) bool {
	if p.Proto != protoUDP {
		return w.protos[p.Proto>>6]>>(p.Proto&63)&1 != 0
	}
	return w.PortsMayMeanTunnel(p.SrcPort, p.DstPort)
}
