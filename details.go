package flowscope

import (
	"math"

	"github.com/flowscope-go/flowscope/internal/decode"
	"github.com/flowscope-go/flowscope/internal/flowtable"
	"github.com/flowscope-go/flowscope/internal/tcp"
)

// Details is a set of facts about flows that are kept only if Config.Details asks for them: they
// take memory beside the flow table, and a little time. What is not asked for is zero in FlowStats,
// and costs nothing. The text of the empty set, the zero value, is "none".
//
// The constants and their texts; go doc flowscope.DetailIPBytes says more of them:
//
//	DetailIPBytes   ip_bytes
//	DetailTCP       tcp
//	DetailLateBytes late_bytes
//	DetailOrigin    origin
//	AllDetails      all
type Details uint8

const (
	// DetailIPBytes asks for FlowStats.IPBytes; 16 bytes a flow.
	DetailIPBytes Details = 1 << iota
	// DetailTCP asks for FlowStats.Retransmitted, RetransmittedBytes and FIN; 40 bytes a flow.
	DetailTCP
	// DetailLateBytes asks for FlowStats.LateBytes and LateIPBytes; 32 bytes a flow.
	DetailLateBytes
	// DetailOrigin asks for what is known of a flow's first packet: FlowStats.Outer, MAC, VLAN and
	// Interface; 64 bytes a flow. The headers of that packet are read a second time.
	DetailOrigin

	// AllDetails asks for all of them.
	AllDetails Details = 1<<iota - 1
)

const noDetails = 1 << 8

var detailNames = &sets{
	of: "Details", text: []string{"ip_bytes", "tcp", "late_bytes", "origin"}, none: noDetails, all: uint32(AllDetails),
}

// Has reports whether the set contains all of these.
func (d Details) Has(all Details) bool { return d&all == all }

// String lists the details, such as "ip_bytes|tcp".
func (d Details) String() string { return string(detailNames.append(nil, uint32(d)|noDetails)) }

// AppendText appends what String gives.
func (d Details) AppendText(b []byte) ([]byte, error) {
	return detailNames.append(b, uint32(d)|noDetails), nil
}

// MarshalText is what String gives.
func (d Details) MarshalText() ([]byte, error) { return d.AppendText(nil) }

// UnmarshalText takes what String gives, the details in any order and with "|" or "," between them,
// and "all" for AllDetails.
func (d *Details) UnmarshalText(text []byte) error {
	v, err := detailNames.parse(text)
	if err == nil && (v == 0 || v&^noDetails > math.MaxUint8) {
		err = notText(detailNames.of, text)
	}
	if err == nil {
		*d = Details(v &^ noDetails)
	}
	return err
}

// details are the facts of Config.Details. They lie beside the slots of the flow table, under their
// numbers, each kind by itself, so that the slots stay as small as they are.
type details struct {
	want   Details
	ip     perSlot[[2]uint64]
	late   perSlot[lateDetails]
	tcp    perSlot[tcpDetails]
	origin perSlot[originDetails]

	// Of the current packet, for the origin of its flow.
	frame []byte
	link  LinkType
	wire  int
	iface uint32
}

// lateDetails are those of DetailLateBytes.
type lateDetails struct{ bytes, ip [2]uint64 }

// tcpDetails are those of DetailTCP.
type tcpDetails struct {
	bytes    [2]uint64
	fin      [2]int64 // 0 if there was none
	segments [2]uint32
}

// originDetails are those of DetailOrigin.
type originDetails struct {
	outer FiveTupleKey
	macs  [2][6]byte
	iface uint32
	vlan  uint16
}

// perSlot is a value of each slot. A chunk is nil if none of its slots is in use.
type perSlot[T any] struct{ chunks []*[1 << perSlotBits]T }

const perSlotBits = 10

func (p *perSlot[T]) at(id flowtable.ID) *T {
	i := uint32(id) - 1
	return &p.chunks[i>>perSlotBits][i&(1<<perSlotBits-1)]
}

// reset makes the value of a slot, which begins a flow, zero.
func (p *perSlot[T]) reset(id flowtable.ID) *T {
	n := int((id - 1) >> perSlotBits)
	for len(p.chunks) <= n {
		p.chunks = append(p.chunks, nil)
	}
	if p.chunks[n] == nil {
		p.chunks[n] = new([1 << perSlotBits]T)
	}
	v := p.at(id)
	var zero T
	*v = zero
	return v
}

// newDetails gives nil if nothing is asked for.
func newDetails(want Details) *details {
	if want == 0 {
		return nil
	}
	return &details{want: want}
}

// setPacket notes the frame of the current packet.
func (d *details) setPacket(v *PacketView) {
	if d.want&DetailOrigin != 0 {
		d.frame, d.link, d.wire, d.iface = v.Frame, v.LinkType, v.WireLen, v.Interface
	}
}

// begin begins the flow of a slot with the current packet. tunneled says whether it came in a tunnel,
// and sender who sent it.
func (d *details) begin(id flowtable.ID, sender FlowSide, tunneled bool) {
	if d.want&DetailIPBytes != 0 {
		d.ip.reset(id)
	}
	if d.want&DetailLateBytes != 0 {
		d.late.reset(id)
	}
	if d.want&DetailTCP != 0 {
		d.tcp.reset(id)
	}
	if d.want&DetailOrigin != 0 {
		d.readOrigin(d.origin.reset(id), sender, tunneled)
	}
}

// readOrigin reads the headers of the current packet from outside, peeling off no tunnel.
func (d *details) readOrigin(o *originDetails, sender FlowSide, tunneled bool) {
	*o = originDetails{iface: d.iface}
	if dst, src, status := decode.MACs(d.frame, decode.Link(d.link)); status == decode.OK {
		o.macs[sender&1], o.macs[sender.Opposite()&1] = macOf(src), macOf(dst)
	}
	var p decode.Packet
	decode.Decode(&p, d.frame, decode.Link(d.link), d.wire)
	if p.VLANs > 0 {
		o.vlan = p.VLAN
	}
	if !tunneled || p.Family == 0 {
		return
	}
	if sender == Responder {
		p.SrcHi, p.SrcLo, p.SrcPort, p.DstHi, p.DstLo, p.DstPort = p.DstHi, p.DstLo, p.DstPort, p.SrcHi, p.SrcLo, p.SrcPort
	}
	o.outer.set(&p, FiveTuple{Directional: true})
}

// count counts IP bytes of a packet, and uncount takes them back.
func (d *details) count(id flowtable.ID, side FlowSide, ip uint32) {
	if d.want&DetailIPBytes != 0 {
		d.ip.at(id)[side&1] += uint64(ip)
	}
}

func (d *details) uncount(id flowtable.ID, side FlowSide, ip uint32) {
	if d.want&DetailIPBytes != 0 {
		n := &d.ip.at(id)[side&1]
		*n -= min(*n, uint64(ip))
	}
}

// countLate counts bytes of late packets, and uncountLate takes them back.
func (d *details) countLate(id flowtable.ID, side FlowSide, wire int, ip uint32) {
	if d.want&DetailLateBytes != 0 {
		v := d.late.at(id)
		v.bytes[side&1] += uint64(wire)
		v.ip[side&1] += uint64(ip)
	}
}

func (d *details) uncountLate(id flowtable.ID, side FlowSide, wire int, ip uint32) {
	if d.want&DetailLateBytes != 0 {
		v := d.late.at(id)
		v.bytes[side&1] -= min(v.bytes[side&1], uint64(wire))
		v.ip[side&1] -= min(v.ip[side&1], uint64(ip))
	}
}

// countSegment counts a segment that Step has taken.
func (d *details) countSegment(id flowtable.ID, side FlowSide, g *tcp.Segment, o *tcp.Outcome, now int64) {
	if d.want&DetailTCP == 0 || o.Rival != tcp.NoRival && o.Rival != tcp.RivalReplays {
		return // it is not of this connection, or comes here again as one of it
	}
	v := d.tcp.at(id)
	if o.Notes&tcp.Retransmission != 0 && g.Len > 0 && !o.Hold {
		v.segments[side&1]++
		v.bytes[side&1] += uint64(g.Len)
	}
	if g.Flags&tcp.FIN != 0 && v.fin[side&1] == 0 {
		v.fin[side&1] = now
	}
}

// fill puts the details of a flow into its counters.
func (d *details) fill(id flowtable.ID, to *FlowStats) {
	if d.want&DetailIPBytes != 0 {
		to.IPBytes = *d.ip.at(id)
	}
	if d.want&DetailLateBytes != 0 {
		v := d.late.at(id)
		to.LateBytes, to.LateIPBytes = v.bytes, v.ip
	}
	if d.want&DetailTCP != 0 {
		v := d.tcp.at(id)
		to.RetransmittedBytes = v.bytes
		to.Retransmitted = [2]uint64{uint64(v.segments[0]), uint64(v.segments[1])}
		to.FIN = [2]Timestamp{Timestamp(v.fin[0]), Timestamp(v.fin[1])}
	}
	if d.want&DetailOrigin != 0 {
		v := d.origin.at(id)
		to.Outer, to.MAC, to.VLAN, to.Interface = v.outer, v.macs, v.vlan, v.iface
	}
}

// shrink gives back the memory beside slots that the table has given back: exists says whether there is a slot.
func (d *details) shrink(exists func(flowtable.ID) bool) {
	d.ip.shrink(exists)
	d.late.shrink(exists)
	d.tcp.shrink(exists)
	d.origin.shrink(exists)
}

// shrink gives back the chunks whose slots do not exist any more. The table's chunks are as long.
func (p *perSlot[T]) shrink(exists func(flowtable.ID) bool) {
	used := 0
	for n := range p.chunks {
		if exists(flowtable.ID(n<<perSlotBits + 1)) {
			used = n + 1
		} else {
			p.chunks[n] = nil
		}
	}
	if p.chunks = p.chunks[:used]; used == 0 {
		p.chunks = nil
	}
}

// ipLen is the length of the IP packets that brought the current packet, 0 if nobody has read them.
func (x *Extracted[K]) ipLen() uint32 {
	if x.slow&slowNotDecoded != 0 {
		return 0
	}
	return x.packet.IPLen
}
