package sessions

import (
	"bytes"
	"cmp"
	"strconv"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export"
	"github.com/flowscope-go/flowscope/export/internal/text"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// AppendEVE appends an event's message as an EVE record of the type "http", "tls" or "dns", a line of JSON
// as Suricata writes it. The source is the client. uid names its flow: that of
// FlowDriver.UID. The user agent, the referrer and the content type of HTTP are set only with
// http1.Factory{Want: http1.WantFields}.
//
// Suricata differs on purpose: its DNS query and answer are a record each, here a transaction is one, of
// the type "answer", or "query" if there was none; both have the fields of Suricata 7. It writes addresses
// of IPv6 in full.
func AppendEVE(b []byte, uid flowscope.UID, ev *flowscope.Event) []byte {
	switch m := ev.Message.(type) {
	case *http1.Exchange:
		b = eveHead(b, cmp.Or(m.Request.Began, m.Response.Began), uid, ev, m.Client, "http")
		return append(eveHTTP(b, m), "}}\n"...)
	case *tls.Handshake:
		b = eveHead(b, cmp.Or(m.ClientTime, m.ServerTime, ev.Timestamp), uid, ev, m.Client, "tls")
		return append(eveTLS(b, m), "}}\n"...)
	case *dns.Transaction:
		b = eveHead(b, cmp.Or(m.Queried, m.Replied), uid, ev, m.Client, "dns")
		return append(eveDNS(b, m), "}}\n"...)
	}
	return b
}

// eveHead begins a record, up to the brace of the object named by its type.
func eveHead(b []byte, t flowscope.Timestamp, uid flowscope.UID, ev *flowscope.Event, client flowscope.FlowSide, kind string) []byte {
	b = export.AppendEVEHead(b, t, uid, kind)
	src, dst := ends(ev)
	flow := flowscope.Record{Proto: ev.L4, Initiator: src, Responder: dst}
	if client != flowscope.Initiator {
		src, dst = dst, src
	}
	b = export.AppendEVEEnds(b, ev.L4, src, dst)
	b = append(export.AppendCommunityID(append(b, `,"community_id":"`...), 0, &flow), `","`...)
	return append(append(b, kind...), `":{`...)
}

// object appends the fields of a JSON object, those that have a value.
type object struct {
	b     []byte
	first bool
}

func (o *object) name(name string) {
	if !o.first {
		o.b = append(o.b, ',')
	}
	o.first = false
	o.b = append(append(append(o.b, '"'), name...), `":`...)
}

func (o *object) bytes(name string, v []byte) {
	if len(v) != 0 {
		o.name(name)
		o.b = text.JSON(o.b, v)
	}
}

func (o *object) text(name, v string) {
	if v != "" {
		o.name(name)
		o.b = text.JSON(o.b, v)
	}
}

func (o *object) number(name string, n uint64) {
	o.name(name)
	o.b = text.Uint(o.b, n)
}

func (o *object) isTrue(name string, v bool) {
	if v {
		o.name(name)
		o.b = append(o.b, "true"...)
	}
}

func eveHTTP(b []byte, m *http1.Exchange) []byte {
	o := object{b, true}
	o.host(m.Host)
	o.bytes("url", m.Target)
	o.bytes("http_user_agent", field(m.Request.Fields, "User-Agent"))
	o.bytes("http_content_type", field(m.Response.Fields, "Content-Type"))
	o.bytes("http_refer", field(m.Request.Fields, "Referer"))
	o.bytes("http_method", m.Method)
	switch m.Request.Version {
	case http1.Version09:
		o.text("protocol", "HTTP/0.9")
	case http1.Version10:
		o.text("protocol", "HTTP/1.0")
	case http1.Version11:
		o.text("protocol", "HTTP/1.1")
	}
	if m.Status != 0 {
		o.number("status", uint64(m.Status))
	}
	o.number("length", uint64(max(m.Response.Body-m.Response.Missing, 0)))
	return o.b
}

// host appends the host of a request, in lower case and without its port, which is a field of its own. A port
// that is no number stays where it is.
func (o *object) host(v []byte) {
	name, port := v, uint64(0)
	from := max(bytes.LastIndexByte(v, ']'), 0) // behind an address of IPv6 (RFC 9110 section 7.2)
	if i := bytes.IndexByte(v[from:], ':'); i >= 0 {
		if n, err := strconv.ParseUint(string(v[from+i+1:]), 10, 16); err == nil && n != 0 {
			name, port = v[:from+i], n
		}
	}
	n := len(o.b)
	o.bytes("hostname", name)
	for i := n; i < len(o.b); i++ {
		if c := o.b[i]; 'A' <= c && c <= 'Z' {
			o.b[i] = c + 'a' - 'A'
		}
	}
	if port != 0 {
		o.number("http_port", port)
	}
}

func eveTLS(b []byte, m *tls.Handshake) []byte {
	o := object{b, true}
	for _, c := range m.Certificates {
		if !c.Client {
			o.certificate(c)
			break
		}
	}
	o.bytes("sni", m.SNI)
	o.text("version", eveTLSVersion(m.Version))
	o.isTrue("session_resumed", m.Resumed)
	if ja3 := m.JA3().String(); ja3 != "" {
		o.name("ja3")
		o.b = append(append(append(o.b, `{"hash":"`...), ja3...), `"}`...)
	}
	if ja3s := m.JA3S().String(); ja3s != "" {
		o.name("ja3s")
		o.b = append(append(append(o.b, `{"hash":"`...), ja3s...), `"}`...)
	}
	o.text("ja4", m.JA4().String())
	return o.b
}

func appendHex(b []byte, v byte, digits string) []byte { return append(b, digits[v>>4], digits[v&15]) }

// draft is the first byte of the versions of drafts of TLS 1.3; the second is the draft.
const draft = 0x7f

func eveTLSVersion(v tls.Version) string {
	switch v {
	case tls.VersionSSL20, tls.VersionSSL30:
		return v.String()
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11:
		return "TLS 1.1"
	case tls.VersionTLS12:
		return "TLS 1.2"
	case tls.VersionTLS13:
		return "TLS 1.3"
	case 0:
		return "UNDETERMINED"
	}
	if v>>8 == draft {
		return "TLS 1.3 draft-" + strconv.Itoa(int(v&0xff))
	}
	return v.String()
}

func eveDNS(b []byte, m *dns.Transaction) []byte {
	o := object{b, true}
	answered := m.IsAnswered()
	some := m.Response
	if answered {
		o.number("version", 2)
		o.text("type", "answer")
	} else {
		some = m.Query
		o.text("type", "query")
	}
	o.number("id", uint64(m.ID))
	if answered {
		o.name("flags")
		o.b = append(o.b, '"')
		flags := some.Flags()
		o.b = appendHex(appendHex(o.b, byte(flags>>8), "0123456789abcdef"), byte(flags), "0123456789abcdef")
		o.b = append(o.b, '"')
		o.isTrue("qr", true)
	}
	if !some.IsZero() {
		o.isTrue("aa", answered && some.Authoritative())
		o.isTrue("tc", answered && some.Truncated())
		o.isTrue("rd", answered && some.RecursionDesired())
		o.isTrue("ra", answered && some.RecursionAvailable())
		if some.Opcode() != 0 {
			o.number("opcode", uint64(some.Opcode()))
		}
	}
	if !m.Name.IsZero() {
		o.domain("rrname", m.Name)
		o.text("rrtype", m.Type.String())
	}
	if !answered {
		o.number("tx_id", 0)
		return o.b
	}
	rcode := m.Rcode.String()
	if m.Rcode == 0 {
		rcode = "NOERROR"
	}
	o.text("rcode", rcode)
	if m.Response.NumAnswers() > 0 {
		o.answers(m.Response)
	}
	return o.b
}

// domain appends a name without the dot at its end.
func (o *object) domain(name string, n dns.Name) {
	o.name(name)
	r := row{b: o.b, as: asJSON}
	r.name(n)
	o.b = r.b
}
