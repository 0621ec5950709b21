// Package records writes flow records as a Parquet file. It is one file, to be imported or copied.
//
// The columns are those of export.CSV, in its order and with its names, typed: counters are integers without
// a sign, times are timestamps in nanoseconds, and what is not known is NULL.
package records

import (
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
)

// Options say what the records know; the zero value is for a FlowTracker without Config.Details.
type Options struct {
	// Details is what Config.Details asked for, and Streams that the records are of a FlowDriver. The
	// columns of what was not asked for are NULL: a record has zeros there.
	Details flowscope.Details
	Streams bool
	// GroupRows is the number of records in a row group, 65,536 if it is 0. A Writer holds one group in
	// memory, in about 1,200 bytes a record, and writes it when it is full: in about 100.
	GroupRows int64
}

// Writer writes records to a Parquet file.
type Writer struct {
	file    *parquet.GenericWriter[Row]
	options Options
	row     [1]Row
	record  flowscope.Record // what row points into
	values  values
}

// NewWriter makes a Writer to w. Close has to be called at the end: a Parquet file has its index there.
func NewWriter(w io.Writer, o Options) *Writer {
	if o.GroupRows <= 0 {
		o.GroupRows = 1 << 16
	}
	return &Writer{options: o, file: parquet.NewGenericWriter[Row](w,
		parquet.MaxRowsPerRowGroup(o.GroupRows), parquet.Compression(&parquet.Zstd))}
}

// Write writes a record.
func (w *Writer) Write(r *flowscope.Record) error {
	w.record = *r
	w.row[0].set(&w.record, &w.values, &w.options)
	_, err := w.file.Write(w.row[:])
	return err
}

// Close writes what is left, and the end of the file. It does not close the io.Writer.
func (w *Writer) Close() error { return w.file.Close() }

// Row is a row of the file, also for parquet.Read[Row]. What is nil, or an empty text, is NULL.
type Row struct {
	UID           string  `parquet:"uid"`
	Final         bool    `parquet:"final"`
	Proto         string  `parquet:"proto,dict"`
	ProtoNumber   uint8   `parquet:"proto_number"`
	InitiatorAddr string  `parquet:"initiator_addr,optional,dict"`
	InitiatorPort *uint16 `parquet:"initiator_port"`
	ResponderAddr string  `parquet:"responder_addr,optional,dict"`
	ResponderPort *uint16 `parquet:"responder_port"`
	Key           string  `parquet:"key,optional"`
	ICMPID        uint16  `parquet:"icmp_id,optional"`
	ICMPType      *uint8  `parquet:"icmp_type"`
	ICMPCode      *uint8  `parquet:"icmp_code"`
	Tunnel        string  `parquet:"tunnel,optional,dict"`
	Start         int64   `parquet:"start,timestamp(nanosecond)"`
	End           int64   `parquet:"end,timestamp(nanosecond)"`
	DurationNs    int64   `parquet:"duration_ns"`

	InitiatorPackets      uint64   `parquet:"initiator_packets"`
	ResponderPackets      uint64   `parquet:"responder_packets"`
	InitiatorWireBytes    uint64   `parquet:"initiator_wire_bytes"`
	ResponderWireBytes    uint64   `parquet:"responder_wire_bytes"`
	InitiatorIPBytes      *uint64  `parquet:"initiator_ip_bytes"`
	ResponderIPBytes      *uint64  `parquet:"responder_ip_bytes"`
	InitiatorPayloadBytes uint64   `parquet:"initiator_payload_bytes"`
	ResponderPayloadBytes uint64   `parquet:"responder_payload_bytes"`
	InitiatorPacketRate   *float64 `parquet:"initiator_packets_per_second"`
	ResponderPacketRate   *float64 `parquet:"responder_packets_per_second"`
	InitiatorWireRate     *float64 `parquet:"initiator_wire_bytes_per_second"`
	ResponderWireRate     *float64 `parquet:"responder_wire_bytes_per_second"`

	InitiatorLate        uint64  `parquet:"initiator_late"`
	ResponderLate        uint64  `parquet:"responder_late"`
	InitiatorLateBytes   *uint64 `parquet:"initiator_late_bytes"`
	ResponderLateBytes   *uint64 `parquet:"responder_late_bytes"`
	InitiatorLateIPBytes *uint64 `parquet:"initiator_late_ip_bytes"`
	ResponderLateIPBytes *uint64 `parquet:"responder_late_ip_bytes"`

	InitiatorRetransmitted      *uint64 `parquet:"initiator_retransmitted"`
	ResponderRetransmitted      *uint64 `parquet:"responder_retransmitted"`
	InitiatorRetransmittedBytes *uint64 `parquet:"initiator_retransmitted_bytes"`
	ResponderRetransmittedBytes *uint64 `parquet:"responder_retransmitted_bytes"`

	InitiatorDelivered       *uint64 `parquet:"initiator_delivered"`
	ResponderDelivered       *uint64 `parquet:"responder_delivered"`
	InitiatorGaps            *uint64 `parquet:"initiator_gaps"`
	ResponderGaps            *uint64 `parquet:"responder_gaps"`
	InitiatorGapBytes        *uint64 `parquet:"initiator_gap_bytes"`
	ResponderGapBytes        *uint64 `parquet:"responder_gap_bytes"`
	InitiatorDroppedSegments *uint64 `parquet:"initiator_dropped_segments"`
	ResponderDroppedSegments *uint64 `parquet:"responder_dropped_segments"`
	InitiatorDroppedBytes    *uint64 `parquet:"initiator_dropped_bytes"`
	ResponderDroppedBytes    *uint64 `parquet:"responder_dropped_bytes"`
	InitiatorConflicts       *uint64 `parquet:"initiator_conflicts"`
	ResponderConflicts       *uint64 `parquet:"responder_conflicts"`

	SYNToSYNACK  int64  `parquet:"syn_to_synack_ns,optional"`
	SYNACKToACK  int64  `parquet:"synack_to_ack_ns,optional"`
	InitiatorFIN int64  `parquet:"initiator_fin,optional,timestamp(nanosecond)"`
	ResponderFIN int64  `parquet:"responder_fin,optional,timestamp(nanosecond)"`
	State        string `parquet:"state,dict"`
	Reason       string `parquet:"reason,optional,dict"`
	History      string `parquet:"history,optional,dict"`
	Midstream    *bool  `parquet:"midstream"`

	InitiatorFlagFIN *bool `parquet:"initiator_flag_fin"`
	ResponderFlagFIN *bool `parquet:"responder_flag_fin"`
	InitiatorFlagSYN *bool `parquet:"initiator_flag_syn"`
	ResponderFlagSYN *bool `parquet:"responder_flag_syn"`
	InitiatorFlagRST *bool `parquet:"initiator_flag_rst"`
	ResponderFlagRST *bool `parquet:"responder_flag_rst"`
	InitiatorFlagPSH *bool `parquet:"initiator_flag_psh"`
	ResponderFlagPSH *bool `parquet:"responder_flag_psh"`
	InitiatorFlagACK *bool `parquet:"initiator_flag_ack"`
	ResponderFlagACK *bool `parquet:"responder_flag_ack"`
	InitiatorFlagURG *bool `parquet:"initiator_flag_urg"`
	ResponderFlagURG *bool `parquet:"responder_flag_urg"`
	InitiatorFlagECE *bool `parquet:"initiator_flag_ece"`
	ResponderFlagECE *bool `parquet:"responder_flag_ece"`
	InitiatorFlagCWR *bool `parquet:"initiator_flag_cwr"`
	ResponderFlagCWR *bool `parquet:"responder_flag_cwr"`

	VLAN         uint16  `parquet:"vlan,optional"`
	Interface    *uint32 `parquet:"interface"`
	InitiatorMAC string  `parquet:"initiator_mac,optional,dict"`
	ResponderMAC string  `parquet:"responder_mac,optional,dict"`
	Outer        string  `parquet:"outer,optional,dict"`
	CommunityID  string  `parquet:"community_id,optional"`
}

// values are what a Row points to that a record does not have.
type values struct {
	packetRate, wireRate [2]float64
	flags                [2][8]bool
	midstream            bool
}

// set fills in a row, which points into r and v.
func (row *Row) set(r *flowscope.Record, v *values, o *Options) {
	*row = Row{
		UID: r.UID.String(), Final: r.Final, Proto: r.Proto.String(), ProtoNumber: uint8(r.Proto), Key: r.Key,
		Tunnel: r.Tunnel.String(), Start: int64(r.Start), End: int64(r.End), DurationNs: int64(r.End.Sub(r.Start)),
		InitiatorPackets: r.Packets[0], ResponderPackets: r.Packets[1],
		InitiatorWireBytes: r.WireBytes[0], ResponderWireBytes: r.WireBytes[1],
		InitiatorPayloadBytes: r.PayloadBytes[0], ResponderPayloadBytes: r.PayloadBytes[1],
		InitiatorLate: r.Late[0], ResponderLate: r.Late[1],
		SYNToSYNACK: int64(r.SYNToSYNACK), SYNACKToACK: int64(r.SYNACKToACK),
		InitiatorFIN: int64(r.InitiatorFIN), ResponderFIN: int64(r.ResponderFIN),
		State: r.State.String(), History: r.History.String(), VLAN: r.VLAN, CommunityID: export.CommunityID(r),
	}
	if r.Reason != 0 {
		row.Reason = r.Reason.String()
	}
	row.setEnds(r)
	// IP packets have bytes: where there are none, nobody has counted them.
	known := r.IPBytes != [2]uint64{} || r.Packets == [2]uint64{}
	pair(&row.InitiatorIPBytes, &row.ResponderIPBytes, &r.IPBytes, known)
	known = o.Details.Has(flowscope.DetailLateBytes) || r.Late == [2]uint64{}
	pair(&row.InitiatorLateBytes, &row.ResponderLateBytes, &r.LateBytes, known)
	pair(&row.InitiatorLateIPBytes, &row.ResponderLateIPBytes, &r.LateIPBytes, known)
	if d := r.End.Sub(r.Start).Seconds(); d > 0 {
		for i := range v.packetRate {
			v.packetRate[i], v.wireRate[i] = float64(r.Packets[i])/d, float64(r.WireBytes[i])/d
		}
		pair(&row.InitiatorPacketRate, &row.ResponderPacketRate, &v.packetRate, true)
		pair(&row.InitiatorWireRate, &row.ResponderWireRate, &v.wireRate, true)
	}
	if r.Proto == flowscope.L4TCP {
		row.setTCP(r, v, o)
	}
	if o.Details.Has(flowscope.DetailOrigin) {
		row.Interface = &r.Interface
	}
}

// pair sets the columns of both sides, if what they say is known.
func pair[T any](initiator, responder **T, from *[2]T, known bool) {
	if known {
		*initiator, *responder = &from[0], &from[1]
	}
}

// setEnds sets what says who talks. Ports are those of protocols that have them, unless the key has none.
func (row *Row) setEnds(r *flowscope.Record) {
	if a := r.Initiator.Addr; a.IsValid() {
		row.InitiatorAddr = a.String()
	}
	if a := r.Responder.Addr; a.IsValid() {
		row.ResponderAddr = a.String()
	}
	switch r.Proto {
	case flowscope.L4TCP, flowscope.L4UDP, flowscope.L4SCTP:
		if r.Initiator.Port|r.Responder.Port != 0 {
			row.InitiatorPort, row.ResponderPort = &r.Initiator.Port, &r.Responder.Port
		}
	case flowscope.L4ICMP, flowscope.L4ICMPv6:
		row.ICMPID, row.ICMPType, row.ICMPCode = r.ICMPID, &r.ICMPType, &r.ICMPCode
	}
	if r.MAC != [2]flowscope.MAC{} {
		row.InitiatorMAC, row.ResponderMAC = r.MAC[0].String(), r.MAC[1].String()
	}
	if r.Outer != (flowscope.FiveTupleKey{}) {
		row.Outer = r.Outer.String()
	}
}

// setTCP sets the columns that are of TCP alone.
func (row *Row) setTCP(r *flowscope.Record, v *values, o *Options) {
	known := o.Details.Has(flowscope.DetailTCP)
	pair(&row.InitiatorRetransmitted, &row.ResponderRetransmitted, &r.Retransmitted, known)
	pair(&row.InitiatorRetransmittedBytes, &row.ResponderRetransmittedBytes, &r.RetransmittedBytes, known)
	pair(&row.InitiatorDelivered, &row.ResponderDelivered, &r.Delivered, o.Streams)
	pair(&row.InitiatorGaps, &row.ResponderGaps, &r.Gaps, o.Streams)
	pair(&row.InitiatorGapBytes, &row.ResponderGapBytes, &r.GapBytes, o.Streams)
	pair(&row.InitiatorDroppedSegments, &row.ResponderDroppedSegments, &r.DroppedSegments, o.Streams)
	pair(&row.InitiatorDroppedBytes, &row.ResponderDroppedBytes, &r.DroppedBytes, o.Streams)
	pair(&row.InitiatorConflicts, &row.ResponderConflicts, &r.Conflicts, o.Streams)
	v.midstream = r.Midstream
	row.Midstream = &v.midstream
	for i, to := range [8][2]**bool{
		{&row.InitiatorFlagFIN, &row.ResponderFlagFIN}, {&row.InitiatorFlagSYN, &row.ResponderFlagSYN},
		{&row.InitiatorFlagRST, &row.ResponderFlagRST}, {&row.InitiatorFlagPSH, &row.ResponderFlagPSH},
		{&row.InitiatorFlagACK, &row.ResponderFlagACK}, {&row.InitiatorFlagURG, &row.ResponderFlagURG},
		{&row.InitiatorFlagECE, &row.ResponderFlagECE}, {&row.InitiatorFlagCWR, &row.ResponderFlagCWR},
	} {
		for side := range to {
			v.flags[side][i] = r.Flags[side].Has(1 << i) // FlagFIN, FlagSYN, ... in the order of the header
			*to[side] = &v.flags[side][i]
		}
	}
}
