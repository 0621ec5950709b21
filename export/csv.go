package export

import (
	"strconv"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/internal/text"
)

// CSV writes records as rows of comma-separated values, quoted as RFC 4180 says, each with a newline: a
// table for spreadsheets, databases and models. The zero CSV is for records of a FlowTracker without
// Config.Details.
//
// A cell is empty if there is nothing to say: where the flow has no such thing, and where nobody counted.
// A record has zeros there, so CSV is told what was asked for. Columns are those of Record's JSON by name;
// what is a pair there is two columns here, initiator_NAME and responder_NAME:
//
//	uid, final                  final is 0 in a report of a flow that lives on
//	proto, proto_number         the protocol by name and by number
//	SIDE_addr, SIDE_port        ports only of TCP, UDP and SCTP, and not if the key has none
//	key                         of a flow without IP addresses
//	icmp_id, icmp_type, icmp_code
//	tunnel
//	start, end, duration_ns     times in RFC 3339 with up to nine digits
//	SIDE_packets, SIDE_wire_bytes, SIDE_payload_bytes
//	SIDE_ip_bytes               with DetailIPBytes
//	SIDE_packets_per_second, SIDE_wire_bytes_per_second
//	                            over the whole duration, if there is one
//	SIDE_late                   packets after the end
//	SIDE_late_bytes, SIDE_late_ip_bytes
//	                            with DetailLateBytes, or if there are no late packets
//	SIDE_retransmitted, SIDE_retransmitted_bytes
//	                            of TCP, with DetailTCP
//	SIDE_delivered, SIDE_gaps, SIDE_gap_bytes, SIDE_dropped_segments, SIDE_dropped_bytes, SIDE_conflicts
//	                            of TCP, with Streams
//	syn_to_synack_ns, synack_to_ack_ns
//	SIDE_fin                    the time of the first FIN, with DetailTCP
//	state, reason, history
//	midstream                   of TCP
//	SIDE_flag_fin, _syn, _rst, _psh, _ack, _urg, _ece, _cwr
//	                            of TCP: whether the side has sent it; how often is not counted
//	vlan, SIDE_mac, outer       with DetailOrigin
//	interface                   with DetailOrigin, from 0
//	community_id                see AppendCommunityID
//
// Those that are true or false are 1 or 0. Columns may be added at the end.
type CSV struct {
	// Details is what Config.Details asked for.
	Details flowscope.Details
	// Streams says that the records are those of a FlowDriver, which counts what became of streams.
	Streams bool
}

const csvHeader = "uid,final,proto,proto_number,initiator_addr,initiator_port,responder_addr,responder_port,key," +
	"icmp_id,icmp_type,icmp_code,tunnel,start,end,duration_ns,initiator_packets,responder_packets," +
	"initiator_wire_bytes,responder_wire_bytes,initiator_ip_bytes,responder_ip_bytes," +
	"initiator_payload_bytes,responder_payload_bytes,initiator_packets_per_second,responder_packets_per_second," +
	"initiator_wire_bytes_per_second,responder_wire_bytes_per_second,initiator_late,responder_late," +
	"initiator_late_bytes,responder_late_bytes,initiator_late_ip_bytes,responder_late_ip_bytes," +
	"initiator_retransmitted,responder_retransmitted,initiator_retransmitted_bytes,responder_retransmitted_bytes," +
	"initiator_delivered,responder_delivered,initiator_gaps,responder_gaps,initiator_gap_bytes,responder_gap_bytes," +
	"initiator_dropped_segments,responder_dropped_segments,initiator_dropped_bytes,responder_dropped_bytes," +
	"initiator_conflicts,responder_conflicts,syn_to_synack_ns,synack_to_ack_ns,initiator_fin,responder_fin," +
	"state,reason,history,midstream,initiator_flag_fin,responder_flag_fin,initiator_flag_syn,responder_flag_syn," +
	"initiator_flag_rst,responder_flag_rst,initiator_flag_psh,responder_flag_psh," +
	"initiator_flag_ack,responder_flag_ack,initiator_flag_urg,responder_flag_urg," +
	"initiator_flag_ece,responder_flag_ece,initiator_flag_cwr,responder_flag_cwr," +
	"vlan,interface,initiator_mac,responder_mac,outer,community_id\n"

// AppendHeader appends the row of column names.
func (CSV) AppendHeader(b []byte) []byte { return append(b, csvHeader...) }

// AppendRecord appends the row of a record.
func (c CSV) AppendRecord(b []byte, r *flowscope.Record) []byte {
	b, _ = r.UID.AppendText(b)
	b = appendBit(b, r.Final)
	b, _ = r.Proto.AppendText(append(b, ','))
	b = text.Uint(append(b, ','), uint8(r.Proto))
	b = appendCSVEnds(b, r)
	b, _ = r.Tunnel.AppendText(append(b, ','))
	b, _ = r.Start.AppendText(append(b, ','))
	b, _ = r.End.AppendText(append(b, ','))
	b = text.Int(append(b, ','), int64(r.End.Sub(r.Start)))
	b = appendCells(b, r.Packets, true)
	b = appendCells(b, r.WireBytes, true)
	// IP packets have bytes: where there are none, nobody has counted them.
	b = appendCells(b, r.IPBytes, r.IPBytes != [2]uint64{} || r.Packets == [2]uint64{})
	b = appendCells(b, r.PayloadBytes, true)
	seconds := r.End.Sub(r.Start).Seconds()
	b = appendRates(b, r.Packets, seconds)
	b = appendRates(b, r.WireBytes, seconds)
	b = appendCells(b, r.Late, true)
	late := c.Details.Has(flowscope.DetailLateBytes) || r.Late == [2]uint64{}
	b = appendCells(b, r.LateBytes, late)
	b = appendCells(b, r.LateIPBytes, late)
	b = c.appendTCP(b, r)
	if b = append(b, ','); r.VLAN != 0 {
		b = text.Uint(b, r.VLAN)
	}
	if b = append(b, ','); c.Details.Has(flowscope.DetailOrigin) {
		b = text.Uint(b, r.Interface)
	}
	for i := range r.MAC {
		if b = append(b, ','); r.MAC != [2]flowscope.MAC{} {
			b, _ = r.MAC[i].AppendText(b)
		}
	}
	if b = append(b, ','); r.Outer != (flowscope.FiveTupleKey{}) {
		b, _ = r.Outer.AppendText(b)
	}
	return append(AppendCommunityID(append(b, ','), 0, r), '\n')
}

// appendCSVEnds appends what says who talks.
func appendCSVEnds(b []byte, r *flowscope.Record) []byte {
	ports := (r.Proto == flowscope.L4TCP || r.Proto == flowscope.L4UDP || r.Proto == flowscope.L4SCTP) &&
		r.Initiator.Port|r.Responder.Port != 0
	for _, end := range [...]flowscope.Endpoint{r.Initiator, r.Responder} {
		if b = append(b, ','); end.Addr.IsValid() {
			b = end.Addr.AppendTo(b)
		}
		if b = append(b, ','); ports {
			b = text.Uint(b, end.Port)
		}
	}
	b = text.CSV(append(b, ','), r.Key)
	if r.Proto != flowscope.L4ICMP && r.Proto != flowscope.L4ICMPv6 {
		return append(b, ",,,"...)
	}
	if b = append(b, ','); r.ICMPID != 0 {
		b = text.Uint(b, r.ICMPID)
	}
	b = text.Uint(append(b, ','), r.ICMPType)
	return text.Uint(append(b, ','), r.ICMPCode)
}

// appendTCP appends the columns from initiator_retransmitted to responder_flag_cwr: but for state, reason
// and history they are of TCP alone.
func (c CSV) appendTCP(b []byte, r *flowscope.Record) []byte {
	tcp := r.Proto == flowscope.L4TCP
	detail, streams := tcp && c.Details.Has(flowscope.DetailTCP), tcp && c.Streams
	b = appendCells(b, r.Retransmitted, detail)
	b = appendCells(b, r.RetransmittedBytes, detail)
	b = appendCells(b, r.Delivered, streams)
	b = appendCells(b, r.Gaps, streams)
	b = appendCells(b, r.GapBytes, streams)
	b = appendCells(b, r.DroppedSegments, streams)
	b = appendCells(b, r.DroppedBytes, streams)
	b = appendCells(b, r.Conflicts, streams)
	if b = append(b, ','); r.SYNToSYNACK != 0 {
		b = text.Int(b, r.SYNToSYNACK)
	}
	if b = append(b, ','); r.SYNACKToACK != 0 {
		b = text.Int(b, r.SYNACKToACK)
	}
	for _, t := range [...]flowscope.Timestamp{r.InitiatorFIN, r.ResponderFIN} {
		if b = append(b, ','); t != 0 {
			b, _ = t.AppendText(b)
		}
	}
	b, _ = r.State.AppendText(append(b, ','))
	if b = append(b, ','); r.Reason != 0 {
		b, _ = r.Reason.AppendText(b)
	}
	b, _ = r.History.AppendText(append(b, ','))
	if !tcp {
		return append(b, ",,,,,,,,,,,,,,,,,"...)
	}
	b = appendBit(b, r.Midstream)
	for flag := flowscope.FlagFIN; flag != 0; flag <<= 1 {
		b = appendBit(b, r.Flags[0].Has(flag))
		b = appendBit(b, r.Flags[1].Has(flag))
	}
	return b
}

// appendBit appends a cell that is true or false.
func appendBit(b []byte, v bool) []byte {
	if v {
		return append(b, ",1"...)
	}
	return append(b, ",0"...)
}

// appendCells appends a counter of both sides; empty cells unless it is known.
func appendCells(b []byte, n [2]uint64, known bool) []byte {
	if !known {
		return append(b, ",,"...)
	}
	b = text.Uint(append(b, ','), n[0])
	return text.Uint(append(b, ','), n[1])
}

// appendRates appends how many there were in a second.
func appendRates(b []byte, n [2]uint64, seconds float64) []byte {
	if seconds <= 0 {
		return append(b, ",,"...)
	}
	b = strconv.AppendFloat(append(b, ','), float64(n[0])/seconds, 'f', -1, 64)
	return strconv.AppendFloat(append(b, ','), float64(n[1])/seconds, 'f', -1, 64)
}
