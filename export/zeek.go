package export

import (
	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/internal/text"
)

// AppendZeekConnHeader appends the lines that stand before the rows of AppendZeekConn.
func AppendZeekConnHeader(b []byte) []byte {
	return append(b, "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"+
		"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\t"+
		"conn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\t"+
		"tunnel_parents\tcommunity_id\n"+
		"#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\t"+
		"string\tbool\tbool\tcount\tstring\tcount\tcount\tcount\tcount\tset[string]\tstring\n"...)
}

// AppendZeekConn appends the record as a row of Zeek's conn.log, and a newline. service, local_orig,
// local_resp and tunnel_parents are unset: they are not known. The columns that conn.log takes from
// streams are zero without a driver's.
//
// Zeek differs on purpose: it ends connections at timeouts of its own, so a long one is several rows;
// it writes letters into the history after the end; and it swaps originator and responder where the
// first packet comes from a well-known port.
func AppendZeekConn(b []byte, r *flowscope.Record) []byte {
	c := connOf(r)
	b = append(text.Seconds(b, r.Start), '\t')
	b, _ = r.UID.AppendText(b)
	b = append(c.addr(append(b, '\t'), r.Initiator), '\t')
	b = append(text.Uint(b, c.origPort), '\t')
	b = append(c.addr(b, r.Responder), '\t')
	b = append(text.Uint(b, c.respPort), '\t')
	b = append(append(b, zeekProto(r.Proto)...), "\t-\t"...)
	if c.hasDuration {
		b = append(text.Interval(b, c.duration), '\t')
		b = append(text.Uint(b, c.bytes[0]), '\t')
		b = append(text.Uint(b, c.bytes[1]), '\t')
	} else {
		b = append(b, "-\t-\t-\t"...)
	}
	b = append(append(b, c.state...), "\t-\t-\t"...)
	b = append(text.Uint(b, c.missed), '\t')
	if n := len(b); len(c.appendHistory(b, r)) == n {
		b = append(b, '-')
	} else {
		b = c.appendHistory(b, r)
	}
	for i := range r.Packets {
		b = text.Uint(append(b, '\t'), r.Packets[i]+r.Late[i])
		b = text.Uint(append(b, '\t'), r.IPBytes[i]+r.LateIPBytes[i])
	}
	b = append(b, "\t-\t"...)
	if n := len(b); len(AppendCommunityID(b, 0, r)) == n {
		b = append(b, '-')
	} else {
		b = AppendCommunityID(b, 0, r)
	}
	return append(b, '\n')
}

// AppendZeekConnJSON appends what AppendZeekConn does as a line of JSON, as Zeek writes it with
// LogAscii::use_json: fields without a value are left out, and times are numbers of seconds.
func AppendZeekConnJSON(b []byte, r *flowscope.Record) []byte {
	c := connOf(r)
	b = text.Seconds(append(b, `{"ts":`...), r.Start)
	b, _ = r.UID.AppendText(append(b, `,"uid":"`...))
	b = c.addr(append(b, `","id.orig_h":"`...), r.Initiator)
	b = text.Uint(append(b, `","id.orig_p":`...), c.origPort)
	b = c.addr(append(b, `,"id.resp_h":"`...), r.Responder)
	b = text.Uint(append(b, `","id.resp_p":`...), c.respPort)
	b = append(append(b, `,"proto":"`...), zeekProto(r.Proto)...)
	b = append(b, '"')
	if c.hasDuration {
		b = text.Interval(append(b, `,"duration":`...), c.duration)
		b = text.Uint(append(b, `,"orig_bytes":`...), c.bytes[0])
		b = text.Uint(append(b, `,"resp_bytes":`...), c.bytes[1])
	}
	b = append(append(b, `,"conn_state":"`...), c.state...)
	b = text.Uint(append(b, `","missed_bytes":`...), c.missed)
	before := b
	if b = append(b, `,"history":"`...); len(c.appendHistory(b, r)) == len(b) {
		b = before
	} else {
		b = append(c.appendHistory(b, r), '"')
	}
	b = text.Uint(append(b, `,"orig_pkts":`...), r.Packets[0]+r.Late[0])
	b = text.Uint(append(b, `,"orig_ip_bytes":`...), r.IPBytes[0]+r.LateIPBytes[0])
	b = text.Uint(append(b, `,"resp_pkts":`...), r.Packets[1]+r.Late[1])
	b = text.Uint(append(b, `,"resp_ip_bytes":`...), r.IPBytes[1]+r.LateIPBytes[1])
	if r.Initiator.Addr.IsValid() {
		b = append(AppendCommunityID(append(b, `,"community_id":"`...), 0, r), '"')
	}
	return append(b, "}\n"...)
}
