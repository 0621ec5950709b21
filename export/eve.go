package export

import (
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/internal/text"
)

// AppendEVEFlow appends the record as an EVE record of the type "flow", a line of JSON as Suricata writes
// it. Bytes are those on the wire. flow.reason is "timeout" for a flow that ended by itself, "forced" for
// one that was ended, "shutdown" at the end of the capture; a report of a flow that lives on has none.
func AppendEVEFlow(b []byte, r *flowscope.Record) []byte {
	b = AppendEVEHead(b, r.End, r.UID, "flow")
	if r.VLAN != 0 {
		b = append(text.Uint(append(b, `,"vlan":[`...), r.VLAN), ']')
	}
	b = AppendEVEEnds(b, r.Proto, r.Initiator, r.Responder)
	if r.Proto == flowscope.L4ICMP || r.Proto == flowscope.L4ICMPv6 {
		b = text.Uint(append(b, `,"icmp_type":`...), r.ICMPType)
		b = text.Uint(append(b, `,"icmp_code":`...), r.ICMPCode)
	}
	b = text.Uint(append(b, `,"flow":{"pkts_toserver":`...), r.Packets[0])
	b = text.Uint(append(b, `,"pkts_toclient":`...), r.Packets[1])
	b = text.Uint(append(b, `,"bytes_toserver":`...), r.WireBytes[0])
	b = text.Uint(append(b, `,"bytes_toclient":`...), r.WireBytes[1])
	b = text.EVETime(append(b, `,"start":`...), r.Start)
	b = text.EVETime(append(b, `,"end":`...), r.End)
	b = text.Int(append(b, `,"age":`...), int64(r.End.Sub(r.Start)/time.Second))
	b = append(append(b, `,"state":"`...), eveState(r)...)
	b = append(b, '"')
	if reason := eveReason(r.Reason); reason != "" {
		b = append(append(append(b, `,"reason":"`...), reason...), '"')
	}
	b = append(b, `,"alerted":false}`...)
	if r.Proto == flowscope.L4TCP {
		b = appendEVETCP(b, r)
	}
	b = appendEVEID(b, r)
	return append(b, "}\n"...)
}

// AppendEVEHead begins a line with the fields that all EVE records have: time, flow and type. The caller
// goes on with fields, each with a comma in front, and the closing brace.
func AppendEVEHead(b []byte, t flowscope.Timestamp, flow flowscope.UID, kind string) []byte {
	b = text.EVETime(append(b, `{"timestamp":`...), t)
	if flow != (flowscope.UID{}) {
		// 51 bits, as Suricata does: readers take numbers of JSON for floating-point ones.
		b = text.Uint(append(b, `,"flow_id":`...), flow.Uint64()&(1<<51-1))
	}
	return append(append(append(b, `,"event_type":"`...), kind...), '"')
}

// AppendEVEEnds appends the fields of a packet's ends and its protocol, with a comma in front.
func AppendEVEEnds(b []byte, proto flowscope.L4Proto, src, dst flowscope.Endpoint) []byte {
	ports := proto == flowscope.L4TCP || proto == flowscope.L4UDP || proto == flowscope.L4SCTP
	if src.Addr.IsValid() {
		b = append(src.Addr.AppendTo(append(b, `,"src_ip":"`...)), '"')
		if ports {
			b = text.Uint(append(b, `,"src_port":`...), src.Port)
		}
	}
	if dst.Addr.IsValid() {
		b = append(dst.Addr.AppendTo(append(b, `,"dest_ip":"`...)), '"')
		if ports {
			b = text.Uint(append(b, `,"dest_port":`...), dst.Port)
		}
	}
	b = append(b, `,"proto":"`...)
	switch proto {
	case flowscope.L4TCP:
		b = append(b, "TCP"...)
	case flowscope.L4UDP:
		b = append(b, "UDP"...)
	case flowscope.L4SCTP:
		b = append(b, "SCTP"...)
	case flowscope.L4ICMP:
		b = append(b, "ICMP"...)
	case flowscope.L4ICMPv6:
		b = append(b, "IPv6-ICMP"...)
	case 47:
		b = append(b, "GRE"...)
	default:
		b = append(b, '0'+uint8(proto/100), '0'+uint8(proto/10%10), '0'+uint8(proto%10))
	}
	return append(b, '"')
}

func appendEVEID(b []byte, r *flowscope.Record) []byte {
	if !r.Initiator.Addr.IsValid() {
		return b
	}
	return append(AppendCommunityID(append(b, `,"community_id":"`...), 0, r), '"')
}

// eveState is Suricata's state of a flow: new until the other side has answered.
func eveState(r *flowscope.Record) string {
	switch r.State {
	case flowscope.StateSynSent, flowscope.StateSynReceived:
		return "new"
	case flowscope.StateClosed, flowscope.StateReset, flowscope.StateAborted:
		return "closed"
	}
	if r.Packets[1] == 0 {
		return "new"
	}
	return "established"
}

func eveReason(r flowscope.EndReason) string {
	switch r {
	case 0:
		return ""
	case flowscope.EndFinished:
		return "shutdown"
	case flowscope.EndFIN, flowscope.EndRST, flowscope.EndIdleTimeout, flowscope.EndReused:
		return "timeout"
	}
	return "forced"
}

// appendEVETCP appends the flags of both sides and the state.
func appendEVETCP(b []byte, r *flowscope.Record) []byte {
	both := r.Flags[0] | r.Flags[1]
	b = appendHex(append(b, `,"tcp":{"tcp_flags":"`...), both)
	b = appendHex(append(b, `","tcp_flags_ts":"`...), r.Flags[0])
	b = appendHex(append(b, `","tcp_flags_tc":"`...), r.Flags[1])
	b = append(b, '"')
	for _, f := range eveFlags {
		if both.Has(f.flag) {
			b = append(append(append(b, `,"`...), f.name...), `":true`...)
		}
	}
	return append(append(append(b, `,"state":"`...), eveTCPState(r)...), `"}`...)
}

var eveFlags = [...]struct {
	flag flowscope.TCPFlags
	name string
}{
	{flowscope.FlagSYN, "syn"}, {flowscope.FlagFIN, "fin"}, {flowscope.FlagRST, "rst"}, {flowscope.FlagPSH, "psh"},
	{flowscope.FlagACK, "ack"}, {flowscope.FlagURG, "urg"}, {flowscope.FlagECE, "ecn"}, {flowscope.FlagCWR, "cwr"},
}

func appendHex(b []byte, f flowscope.TCPFlags) []byte {
	const hex = "0123456789abcdef"
	return append(b, hex[f>>4], hex[f&15])
}

func eveTCPState(r *flowscope.Record) string {
	switch r.State {
	case flowscope.StateSynSent:
		return "syn_sent"
	case flowscope.StateSynReceived:
		return "syn_recv"
	case flowscope.StateActive, flowscope.StateEstablished:
		return "established"
	case flowscope.StateFinWait:
		if r.Flags[0].Has(flowscope.FlagFIN) {
			return "fin_wait1"
		}
		return "close_wait"
	case flowscope.StateClosingTCP:
		return "closing"
	}
	return "closed"
}

// AppendEVEAnomaly appends an Anomaly as an EVE record of the type "anomaly". Where Suricata has an event
// of the same meaning, it has that name; otherwise the kind's own, as in "flowscope.late_data". uid names
// its flow: that of FlowTracker.UID, or zero. An event of another kind appends nothing.
func AppendEVEAnomaly(b []byte, uid flowscope.UID, ev *flowscope.Event) []byte {
	if ev.Kind != flowscope.EventAnomaly {
		return b
	}
	b = AppendEVEHead(b, ev.Timestamp, uid, "anomaly")
	if ev.Packet != 0 {
		b = text.Uint(append(b, `,"pcap_cnt":`...), ev.Packet)
	}
	if ev.Flow != 0 {
		from, to := ev.Key.Ends(ev.Orientation)
		src, dst := flowscope.Endpoint{Addr: from.Addr(), Port: from.Port()}, flowscope.Endpoint{Addr: to.Addr(), Port: to.Port()}
		b = AppendEVEEnds(b, ev.L4, src, dst)
	}
	kind, name := eveAnomaly(ev.Anomaly)
	b = append(append(b, `,"anomaly":{"type":"`...), kind...)
	b = append(b, `","event":"`...)
	if name != "" {
		b = append(b, name...)
	} else {
		b, _ = ev.Anomaly.AppendText(append(b, "flowscope."...))
	}
	return append(b, "\"}}\n"...)
}

// eveAnomaly is the type of an anomaly, and Suricata's event of the same meaning, if there is one.
func eveAnomaly(k flowscope.AnomalyKind) (kind, event string) {
	switch k {
	case flowscope.AnomalyConflictingOverlap:
		return "stream", "stream.reassembly_overlap_different_data"
	case flowscope.AnomalyGap:
		return "stream", "stream.reassembly_seq_gap"
	case flowscope.AnomalyOutOfWindow:
		return "stream", "stream.est_packet_out_of_window"
	case flowscope.AnomalyImplausibleACK:
		return "stream", "stream.pkt_invalid_ack"
	case flowscope.AnomalyFragmentOverlap, flowscope.AnomalyBadFragment, flowscope.AnomalyFragmentLimit,
		flowscope.AnomalyFragmentTimeout, flowscope.AnomalyBadChecksum, flowscope.AnomalyChecksumOffload,
		flowscope.AnomalyClockBackward, flowscope.AnomalyClockJump, flowscope.AnomalyImplausibleICMP:
		return "decode", ""
	case flowscope.AnomalySessionLimit:
		return "applayer", ""
	}
	return "stream", ""
}
