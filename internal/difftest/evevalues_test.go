package difftest

import (
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// fields are the fields of an EVE record by their paths, as texts; times are microseconds.
type fields map[string]string

// read decodes a line with encoding/json.
func read(t *testing.T, line []byte) fields {
	f := fields{}
	f.add(t, "", decoded(t, line))
	return f
}

func (f fields) add(t *testing.T, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, w := range v {
			f.add(t, strings.TrimPrefix(path+"."+name, "."), w)
		}
	case []any:
		for i, w := range v {
			f.add(t, fmt.Sprintf("%s[%d]", path, i), w)
		}
	case json.Number:
		f[path] = v.String()
	case string:
		if path == "timestamp" || path == "flow.start" || path == "flow.end" {
			at, err := time.Parse("2006-01-02T15:04:05.999999-0700", v)
			require.NoError(t, err)
			v = fmt.Sprint(at.UnixMicro())
		}
		f[path] = v
	default:
		f[path] = fmt.Sprint(v)
	}
}

// set sets a field that has a value.
func (f fields) set(path, v string) {
	if v != "" {
		f[path] = string([]rune(v)) // what is no UTF-8 is U+FFFD in JSON
	}
}

func (f fields) head(at flowscope.Timestamp, uid flowscope.UID, kind string) {
	f["timestamp"], f["event_type"] = micros(at), kind
	if uid != (flowscope.UID{}) {
		f["flow_id"] = fmt.Sprint(uid.Uint64() % (1 << 51))
	}
}

func micros(at flowscope.Timestamp) string { return fmt.Sprint(at.Time().UnixMicro()) }

func (f fields) ends(proto flowscope.L4Proto, src, dst netip.AddrPort) {
	f["src_ip"], f["dest_ip"] = src.Addr().String(), dst.Addr().String()
	name, ok := map[flowscope.L4Proto]string{6: "TCP", 17: "UDP", 132: "SCTP", 1: "ICMP", 58: "IPv6-ICMP", 47: "GRE"}[proto]
	if f["proto"] = name; !ok {
		f["proto"] = fmt.Sprintf("%03d", uint8(proto))
	}
	if proto == 6 || proto == 17 || proto == 132 {
		f["src_port"], f["dest_port"] = fmt.Sprint(src.Port()), fmt.Sprint(dst.Port())
	}
}

// flow are the fields of a flow's record. Suricata's documentation says what they mean.
func (f fields) flow(t *testing.T, r *flowscope.Record) {
	f.head(r.End, r.UID, "flow")
	f.ends(r.Proto, addrPort(r.Initiator), addrPort(r.Responder))
	f["community_id"] = string(export.AppendCommunityID(nil, 0, r))
	if r.VLAN != 0 {
		f["vlan[0]"] = fmt.Sprint(r.VLAN)
	}
	if f["proto"] == "ICMP" || f["proto"] == "IPv6-ICMP" {
		f["icmp_type"], f["icmp_code"] = fmt.Sprint(r.ICMPType), fmt.Sprint(r.ICMPCode)
	}
	for i, side := range []string{"toserver", "toclient"} {
		f["flow.pkts_"+side], f["flow.bytes_"+side] = fmt.Sprint(r.Packets[i]), fmt.Sprint(r.WireBytes[i])
	}
	f["flow.start"], f["flow.end"] = micros(r.Start), micros(r.End)
	f["flow.age"] = fmt.Sprint(int(r.End.Time().Sub(r.Start.Time()).Seconds()))
	f["flow.alerted"] = "false"
	reason, ok := map[string]string{
		"fin": "timeout", "rst": "timeout", "idle": "timeout", "reused": "timeout", "finished": "shutdown",
		"evicted": "forced", "force_closed": "forced", "buffer_overflow": "forced",
	}[r.Reason.String()]
	require.True(t, ok, r.Reason)
	f["flow.reason"] = reason
	if r.Proto != flowscope.L4TCP {
		if f["flow.state"] = "established"; r.Packets[1] == 0 {
			f["flow.state"] = "new"
		}
		return
	}
	states, ok := map[string][2]string{ // of the flow, of the connection
		"syn_sent": {"new", "syn_sent"}, "syn_received": {"new", "syn_recv"}, "established": {"established", "established"},
		"fin_wait": {"established", "fin_wait1"}, "closing_tcp": {"established", "closing"}, "closed": {"closed", "closed"},
		"reset": {"closed", "closed"}, "aborted": {"closed", "closed"}, "active": {"established", "established"},
	}[r.State.String()]
	require.True(t, ok, r.State)
	if states[1] == "fin_wait1" && r.Flags[0]&1 == 0 {
		states[1] = "close_wait" // the server's side is the one that has sent a FIN
	}
	if states[0] == "established" && r.Packets[1] == 0 {
		states[0] = "new"
	}
	f["flow.state"], f["tcp.state"] = states[0], states[1]
	all := r.Flags[0] | r.Flags[1]
	f["tcp.tcp_flags"], f["tcp.tcp_flags_ts"] = fmt.Sprintf("%02x", uint8(all)), fmt.Sprintf("%02x", uint8(r.Flags[0]))
	f["tcp.tcp_flags_tc"] = fmt.Sprintf("%02x", uint8(r.Flags[1]))
	for bit, name := range []string{"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"} { // RFC 9293 section 3.1
		if all>>bit&1 != 0 {
			f["tcp."+name] = "true"
		}
	}
}

func addrPort(e flowscope.Endpoint) netip.AddrPort { return netip.AddrPortFrom(e.Addr, e.Port) }

func (f fields) anomaly(uid flowscope.UID, ev *flowscope.Event) {
	f.head(ev.Timestamp, uid, "anomaly")
	if ev.Packet != 0 {
		f["pcap_cnt"] = fmt.Sprint(ev.Packet)
	}
	if ev.Flow != 0 {
		from, to := ev.Key.Ends(ev.Orientation)
		f.ends(ev.L4, from, to)
	}
	kind := ev.Anomaly.String()
	named := map[string]string{ // Suricata's rules/stream-events.rules
		"conflicting_overlap": "stream.reassembly_overlap_different_data", "gap": "stream.reassembly_seq_gap",
		"out_of_window": "stream.est_packet_out_of_window", "implausible_ack": "stream.pkt_invalid_ack",
	}
	if f["anomaly.event"] = named[kind]; named[kind] == "" {
		f["anomaly.event"] = "flowscope." + kind
	}
	f["anomaly.type"] = "stream"
	for _, of := range []string{"fragment", "checksum", "clock", "icmp"} {
		if strings.Contains(kind, of) {
			f["anomaly.type"] = "decode"
		}
	}
	if strings.Contains(kind, "session") {
		f["anomaly.type"] = "applayer"
	}
}

// session are the fields that the records of messages begin with. The source is the client.
func (f fields) session(at flowscope.Timestamp, l eveLine, client flowscope.FlowSide, kind string) {
	f.head(at, l.uid, kind)
	o := l.event.Orientation
	if l.event.Side != client {
		o = o.Opposite()
	}
	src, dst := l.event.Key.Ends(o)
	f.ends(l.event.L4, src, dst)
	r := flowscope.Record{Proto: l.event.L4, Initiator: flowscope.Endpoint{Addr: src.Addr(), Port: src.Port()},
		Responder: flowscope.Endpoint{Addr: dst.Addr(), Port: dst.Port()}}
	f["community_id"] = string(export.AppendCommunityID(nil, 0, &r))
}

func (f fields) http(l eveLine, m *http1.Exchange) {
	at := m.Request.Began
	if at == 0 {
		at = m.Response.Began
	}
	f.session(at, l, m.Client, "http")
	host, port := strings.ToLower(string(m.Host)), ""
	if a, err := netip.ParseAddrPort(host); err == nil && a.Addr().Is6() {
		host, port = "["+a.Addr().String()+"]", fmt.Sprint(a.Port())
	} else if name, number, ok := strings.Cut(host, ":"); ok && !strings.Contains(host, "]") {
		host, port = name, number
	}
	f.set("http.hostname", host)
	f.set("http.http_port", port)
	f.set("http.url", string(m.Target))
	f.set("http.http_method", string(m.Method))
	for _, h := range m.Request.Fields {
		switch name := strings.ToLower(string(h.Name)); {
		case name == "user-agent" && f["http.http_user_agent"] == "":
			f.set("http.http_user_agent", string(h.Value))
		case name == "referer" && f["http.http_refer"] == "":
			f.set("http.http_refer", string(h.Value))
		}
	}
	for _, h := range m.Response.Fields {
		if strings.EqualFold(string(h.Name), "content-type") && f["http.http_content_type"] == "" {
			f.set("http.http_content_type", string(h.Value))
		}
	}
	f.set("http.protocol", m.Request.Version.String())
	if m.Status != 0 {
		f["http.status"] = fmt.Sprint(m.Status)
	}
	f["http.length"] = fmt.Sprint(m.Response.Body - m.Response.Missing)
}

func (f fields) tls(t *testing.T, l eveLine, m *tls.Handshake) {
	at := m.ClientTime
	for _, other := range []flowscope.Timestamp{m.ServerTime, l.event.Timestamp} {
		if at == 0 {
			at = other
		}
	}
	f.session(at, l, m.Client, "tls")
	for _, c := range m.Certificates {
		if c.Client {
			continue
		}
		f["tls.fingerprint"] = strings.ReplaceAll(fmt.Sprintf("% x", c.SHA1()), " ", ":")
		if x, err := c.Parse(); err == nil {
			f.set("tls.subject", distinguished(x.Subject))
			f.set("tls.issuerdn", distinguished(x.Issuer))
			serial := x.SerialNumber.Bytes()
			if x.SerialNumber.BitLen()%8 == 0 {
				serial = append([]byte{0}, serial...)
			}
			f["tls.serial"] = strings.ReplaceAll(fmt.Sprintf("% X", serial), " ", ":")
			f["tls.notbefore"], f["tls.notafter"] = x.NotBefore.UTC().Format("2006-01-02T15:04:05"), x.NotAfter.UTC().Format("2006-01-02T15:04:05")
		}
		break
	}
	f.set("tls.sni", string(m.SNI))
	version, ok := map[uint16]string{ // SSLv2, RFC 8446 section 4.2.1, and drafts of it
		0: "UNDETERMINED", 2: "SSLv2", 0x300: "SSLv3", 0x301: "TLSv1", 0x302: "TLS 1.1", 0x303: "TLS 1.2", 0x304: "TLS 1.3",
		0x7f10: "TLS 1.3 draft-16", 0x7f1c: "TLS 1.3 draft-28",
	}[uint16(m.Version)]
	require.True(t, ok, m.Version)
	f["tls.version"] = version
	if m.Resumed {
		f["tls.session_resumed"] = "true"
	}
	f.set("tls.ja3.hash", m.JA3().String())
	f.set("tls.ja3s.hash", m.JA3S().String())
	f.set("tls.ja4", m.JA4().String())
}

// distinguished is a name as Suricata writes it.
func distinguished(n pkix.Name) string {
	names := map[string]string{
		"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.5": "serialNumber",
		"0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "Email",
	}
	var all []string
	for _, a := range n.Names {
		oid := a.Type.String()
		if name, ok := names[oid]; ok {
			oid = name
		}
		all = append(all, fmt.Sprint(oid, "=", a.Value))
	}
	return strings.Join(all, ", ")
}

// dns are the fields of a transaction, as miekg/dns reads its messages. It reports whether that can read them.
func (f fields) dns(l eveLine, m *dns.Transaction) bool {
	at := m.Queried
	if at == 0 {
		at = m.Replied
	}
	f.session(at, l, m.Client, "dns")
	var msg miekg.Msg
	wire, kind := m.Response.Bytes(), "answer"
	if len(wire) == 0 {
		wire, kind = m.Query.Bytes(), "query"
		f["dns.tx_id"] = "0"
	}
	if m.Response.Damaged() || m.Query.Damaged() || msg.Unpack(wire) != nil {
		return false
	}
	f["dns.type"], f["dns.id"] = kind, fmt.Sprint(msg.Id)
	if msg.Opcode != 0 {
		f["dns.opcode"] = fmt.Sprint(msg.Opcode)
	}
	question := msg.Question
	if kind == "answer" {
		f["dns.version"], f["dns.flags"] = "2", fmt.Sprintf("%02x%02x", wire[2], wire[3])
		f["dns.rcode"] = miekg.RcodeToString[msg.Rcode]
		for name, is := range map[string]bool{
			"qr": msg.Response, "aa": msg.Authoritative, "tc": msg.Truncated, "rd": msg.RecursionDesired, "ra": msg.RecursionAvailable,
		} {
			if is {
				f["dns."+name] = "true"
			}
		}
		if query := new(miekg.Msg); len(m.Query.Bytes()) > 0 && query.Unpack(m.Query.Bytes()) == nil && len(query.Question) > 0 {
			question = query.Question
		}
	}
	if len(question) > 0 {
		f["dns.rrname"], f["dns.rrtype"] = withoutDot(question[0].Name), typeName(question[0].Qtype)
	}
	if kind == "answer" {
		f.answers(msg.Answer)
	}
	return true
}

// answers are those of a message, each string of a TXT by itself.
func (f fields) answers(all []miekg.RR) {
	i := 0
	next := func(rr miekg.RR) string {
		of := fmt.Sprintf("dns.answers[%d].", i)
		f[of+"rrname"], f[of+"rrtype"] = withoutDot(rr.Header().Name), typeName(rr.Header().Rrtype)
		f[of+"ttl"] = fmt.Sprint(rr.Header().Ttl)
		i++
		return of
	}
	for _, rr := range all {
		if txt, ok := rr.(*miekg.TXT); ok {
			for _, s := range txt.Txt {
				f[next(rr)+"rdata"] = s
			}
			continue
		}
		f.data(next(rr), rr)
	}
}

// withoutDot is miekg's text of a name with the escapes of package dns.
func withoutDot(miekgs string) string {
	n := name(miekgs)
	if len(n) > 1 {
		n = strings.TrimSuffix(n, ".")
	}
	return n
}

func typeName(n uint16) string {
	if name, ok := miekg.TypeToString[n]; ok {
		return name
	}
	return fmt.Sprint("TYPE", n)
}

// data sets the data of a record: an address, a name, objects for some types, or the text that the tests of package
// dns compare.
func (f fields) data(of string, rr miekg.RR) {
	set := func(name string, v any) { f[of+name] = fmt.Sprint(v) }
	switch rr := rr.(type) {
	case *miekg.A:
		set("rdata", rr.A)
	case *miekg.AAAA:
		set("rdata", rr.AAAA)
	case *miekg.CNAME:
		set("rdata", withoutDot(rr.Target))
	case *miekg.NS:
		set("rdata", withoutDot(rr.Ns))
	case *miekg.PTR:
		set("rdata", withoutDot(rr.Ptr))
	case *miekg.MX:
		set("rdata", withoutDot(rr.Mx))
	case *miekg.SOA:
		set("soa.mname", withoutDot(rr.Ns))
		set("soa.rname", withoutDot(rr.Mbox))
		set("soa.serial", rr.Serial)
		set("soa.refresh", rr.Refresh)
		set("soa.retry", rr.Retry)
		set("soa.expire", rr.Expire)
		set("soa.minimum", rr.Minttl)
	case *miekg.SRV:
		set("srv.name", withoutDot(rr.Target))
		set("srv.priority", rr.Priority)
		set("srv.weight", rr.Weight)
		set("srv.port", rr.Port)
	case *miekg.SSHFP:
		raw, _ := hex.DecodeString(rr.FingerPrint)
		set("sshfp.fingerprint", strings.ReplaceAll(fmt.Sprintf("% x", raw), " ", ":"))
		set("sshfp.algo", rr.Algorithm)
		set("sshfp.type", rr.Type)
	default:
		set("rdata", text(rr))
	}
}

// Every value of an EVE record is that of the record, event or message that it was made of, and there are no others.
func TestEVERecordsSayWhatTheyWereMadeOf(t *testing.T) {
	captures := glob(t, "../../testdata/captures/*.pcap", "../../examples/internal/sample/*.pcapng")
	require.NotEmpty(t, captures)
	real := glob(t, "../../../shared/captures/open/*.pcap*", "../../../shared/sessions/open/cap/*")
	if len(real) == 0 {
		t.Log("../shared is not here: only the captures of the project are read")
	}
	kinds, unread := map[string]int{}, 0
	for _, capture := range append(captures, real...) {
		eachEVE(t, capture, flowscope.AutoDetectEncap(flowscope.FiveTuple{}), func(l eveLine) {
			want, readable := fields{}, true
			switch m := l.event.Message.(type) {
			case *http1.Exchange:
				want.http(l, m)
			case *tls.Handshake:
				want.tls(t, l, m)
			case *dns.Transaction:
				readable = want.dns(l, m)
			default:
				if l.event.Kind == flowscope.EventAnomaly {
					want.anomaly(l.uid, l.event)
				} else {
					want.flow(t, &l.record)
				}
			}
			if !readable {
				unread++
				return
			}
			require.Equal(t, want, read(t, l.text), "%s: %s", capture, l.text)
			kinds[want["event_type"]]++
		})
	}
	t.Log(kinds, "and", unread, "damaged messages of DNS")
	for _, kind := range []string{"flow", "anomaly", "http", "tls", "dns"} {
		require.NotZero(t, kinds[kind], kind)
	}
	require.Less(t, unread, kinds["dns"]/4, "some captures are of mutated messages")
}
