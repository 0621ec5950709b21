// Package export writes flow records in the formats of other programs: Zeek's conn.log, as a table and
// in JSON, Suricata's EVE records of flows and anomalies, lines of JSON, rows of CSV, and IPFIX messages;
// and it computes their Community ID, by which the logs of different programs find each other.
//
// Every function appends to a slice and returns it, as strconv's do: with a slice that is used again,
// nothing is allocated. An IPFIXWriter writes to an io.Writer, since its records share messages.
//
//	for ev, err := range driver.Events(flowscope.OpenCapture("traffic.pcap")) {
//		...
//		if ev.Kind == flowscope.EventReleased {
//			r := flowscope.RecordOf(ev)
//			line = export.AppendZeekConn(line[:0], &r)
//			...
//		}
//	}
//
// Take records from EventReleased, which Config.Events has to ask for: it comes once for each flow and
// counts late packets too. A record has what was asked for: for all columns of conn.log take it from a
// FlowDriver with AllDetails in Config.Details, or at least DetailIPBytes, DetailTCP and DetailLateBytes. Package export/sessions writes the
// messages of parsers; examples/parquet writes records as Parquet, with the columns of CSV.
package export

import (
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/internal/text"
)

// AppendNDJSON appends the record as a line of JSON: what encoding/json makes of it, and a newline.
func AppendNDJSON(b []byte, r *flowscope.Record) []byte {
	b = append(b, `{"uid":"`...)
	b, _ = r.UID.AppendText(b)
	b = append(b, `","final":`...)
	b = appendBool(b, r.Final)
	b = append(b, `,"proto":"`...)
	b, _ = r.Proto.AppendText(b)
	b = append(b, `","initiator":"`...)
	b, _ = r.Initiator.AppendText(b)
	b = append(b, `","responder":"`...)
	b, _ = r.Responder.AppendText(b)
	b = append(b, '"')
	if r.Key != "" {
		b = text.JSON(append(b, `,"key":`...), r.Key)
	}
	b = appendCount(b, `,"icmp_id":`, uint64(r.ICMPID))
	b = appendCount(b, `,"icmp_type":`, uint64(r.ICMPType))
	b = appendCount(b, `,"icmp_code":`, uint64(r.ICMPCode))
	if r.Tunnel != (flowscope.TunnelLabel{}) {
		b = append(b, `,"tunnel":"`...)
		b, _ = r.Tunnel.AppendText(b)
		b = append(b, '"')
	}
	b = appendPair(b, `,"packets":`, r.Packets)
	b = appendPairIfAny(b, `,"late":`, r.Late)
	b = appendPair(b, `,"wire_bytes":`, r.WireBytes)
	b = appendPairIfAny(b, `,"ip_bytes":`, r.IPBytes)
	b = appendPair(b, `,"payload_bytes":`, r.PayloadBytes)
	b = appendPairIfAny(b, `,"late_bytes":`, r.LateBytes)
	b = appendPairIfAny(b, `,"late_ip_bytes":`, r.LateIPBytes)
	b = appendPairIfAny(b, `,"retransmitted":`, r.Retransmitted)
	b = appendPairIfAny(b, `,"retransmitted_bytes":`, r.RetransmittedBytes)
	b = appendPairIfAny(b, `,"delivered":`, r.Delivered)
	b = appendPairIfAny(b, `,"gaps":`, r.Gaps)
	b = appendPairIfAny(b, `,"gap_bytes":`, r.GapBytes)
	b = appendPairIfAny(b, `,"dropped_segments":`, r.DroppedSegments)
	b = appendPairIfAny(b, `,"dropped_bytes":`, r.DroppedBytes)
	b = appendPairIfAny(b, `,"conflicts":`, r.Conflicts)
	b = appendTime(b, `,"start":"`, r.Start)
	b = appendTime(b, `,"end":"`, r.End)
	if r.InitiatorFIN != 0 {
		b = appendTime(b, `,"initiator_fin":"`, r.InitiatorFIN)
	}
	if r.ResponderFIN != 0 {
		b = appendTime(b, `,"responder_fin":"`, r.ResponderFIN)
	}
	b = appendDuration(b, `,"syn_to_synack_ns":`, r.SYNToSYNACK)
	b = appendDuration(b, `,"synack_to_ack_ns":`, r.SYNACKToACK)
	if r.State != flowscope.StateActive {
		b = append(b, `,"state":"`...)
		b, _ = r.State.AppendText(b)
		b = append(b, '"')
	}
	if r.Reason != 0 {
		b = append(b, `,"reason":"`...)
		b, _ = r.Reason.AppendText(b)
		b = append(b, '"')
	}
	b = append(b, `,"history":"`...)
	b, _ = r.History.AppendText(b)
	b = append(b, '"')
	if r.Flags != [2]flowscope.TCPFlags{} {
		b = append(b, `,"flags":["`...)
		b, _ = r.Flags[0].AppendText(b)
		b = append(b, `","`...)
		b, _ = r.Flags[1].AppendText(b)
		b = append(b, `"]`...)
	}
	b = append(b, `,"midstream":`...)
	b = appendBool(b, r.Midstream)
	b = appendCount(b, `,"vlan":`, uint64(r.VLAN))
	b = appendCount(b, `,"interface":`, uint64(r.Interface))
	if r.MAC != [2]flowscope.MAC{} {
		b = append(b, `,"mac":["`...)
		b, _ = r.MAC[0].AppendText(b)
		b = append(b, `","`...)
		b, _ = r.MAC[1].AppendText(b)
		b = append(b, `"]`...)
	}
	if r.Outer != (flowscope.FiveTupleKey{}) {
		b = append(b, `,"outer":"`...)
		n := len(b)
		b, _ = r.Outer.AppendText(b)
		b = escapeArrow(b, n)
		b = append(b, '"')
	}
	return append(b, "}\n"...)
}

// escapeArrow escapes "<->" in the text of a key, from n on, as encoding/json does.
func escapeArrow(b []byte, n int) []byte {
	for i := n; i < len(b); i++ {
		if b[i] == '<' || b[i] == '>' {
			c := b[i]
			b = append(b, "     "...)
			copy(b[i+6:], b[i+1:len(b)-5])
			copy(b[i:], `\u003c`)
			if c == '>' {
				b[i+5] = 'e'
			}
			i += 5
		}
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

// appendCount appends a field if it is not 0.
func appendCount(b []byte, name string, n uint64) []byte {
	if n == 0 {
		return b
	}
	return text.Uint(append(b, name...), n)
}

func appendPair(b []byte, name string, n [2]uint64) []byte {
	b = append(append(b, name...), '[')
	b = append(text.Uint(b, n[0]), ',')
	return append(text.Uint(b, n[1]), ']')
}

func appendPairIfAny(b []byte, name string, n [2]uint64) []byte {
	if n == [2]uint64{} {
		return b
	}
	return appendPair(b, name, n)
}

// appendTime appends a field; name ends with the quote.
func appendTime(b []byte, name string, t flowscope.Timestamp) []byte {
	b, _ = t.AppendText(append(b, name...))
	return append(b, '"')
}

func appendDuration(b []byte, name string, d time.Duration) []byte {
	if d == 0 {
		return b
	}
	return text.Int(append(b, name...), int64(d))
}
