package sessions

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/internal/text"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// message writes the fields of a log. Of a header, where there is no message, they are those of an empty one.
func (r *row) message(log ZeekLog, uid flowscope.UID, ev *flowscope.Event) {
	switch log {
	case ZeekHTTP:
		m, _ := ev.Message.(*http1.Exchange)
		if m == nil {
			m = new(http1.Exchange)
		}
		r.head(cmp.Or(m.Request.Began, m.Response.Began, ev.Timestamp), uid, ev)
		r.http(m)
	case ZeekSSL:
		m, _ := ev.Message.(*tls.Handshake)
		if m == nil {
			m = new(tls.Handshake)
		}
		r.head(cmp.Or(m.ClientTime, m.ServerTime, ev.Timestamp), uid, ev)
		r.ssl(m)
	case ZeekDNS:
		m, _ := ev.Message.(*dns.Transaction)
		if m == nil {
			m = new(dns.Transaction)
		}
		r.head(cmp.Or(m.Queried, m.Replied, ev.Timestamp), uid, ev)
		r.dns(m, ev)
	}
}

// head writes the fields that all logs begin with.
func (r *row) head(t flowscope.Timestamp, uid flowscope.UID, ev *flowscope.Event) {
	r.time("ts", t)
	if r.begin("uid", "string", uid != flowscope.UID{}) {
		if r.as == asJSON {
			r.b = append(r.b, '"')
		}
		if r.b, _ = uid.AppendText(r.b); r.as == asJSON {
			r.b = append(r.b, '"')
		}
	}
	orig, resp := ends(ev)
	r.end("id.orig", orig)
	r.end("id.resp", resp)
}

func (r *row) http(m *http1.Exchange) {
	answered := m.Status != 0
	fields := m.Request.Fields
	r.unset("trans_depth", "count")
	r.string("method", m.Method)
	r.string("host", m.Host)
	r.string("uri", m.Target)
	r.string("referrer", field(fields, "Referer"))
	r.word("version", "string", zeekVersion(m.Response.Version, answered))
	r.string("user_agent", field(fields, "User-Agent"))
	r.string("origin", field(fields, "Origin"))
	r.count("request_body_len", uint64(max(m.Request.Body-m.Request.Missing, 0)), true)
	r.count("response_body_len", uint64(max(m.Response.Body-m.Response.Missing, 0)), true)
	r.count("status_code", uint64(m.Status), answered)
	r.unset("status_msg", "string")
	r.unset("info_code", "count")
	r.unset("info_msg", "string")
	if r.vector("tags", "set[enum]", true) {
		r.endVector()
	}
	r.unset("username", "string")
	r.unset("password", "string")
	r.unset("proxied", "set[string]")
	for _, name := range [...]string{"orig_fuids", "orig_filenames", "orig_mime_types", "resp_fuids", "resp_filenames", "resp_mime_types"} {
		r.unset(name, "vector[string]")
	}
}

func zeekVersion(v http1.Version, seen bool) string {
	switch {
	case !seen:
		return ""
	case v == http1.Version09:
		return "0.9"
	case v == http1.Version10:
		return "1.0"
	case v == http1.Version11:
		return "1.1"
	}
	return ""
}

func (r *row) ssl(m *tls.Handshake) {
	r.word("version", "string", sslVersion(m.Version))
	cipher := ""
	if m.ServerHello != nil {
		cipher = m.Cipher.String()
	}
	r.word("cipher", "string", cipher)
	r.unset("curve", "string")
	r.string("server_name", m.SNI)
	r.bool("resumed", m.Resumed, true)
	alert, fatal := "", false
	for _, a := range m.Alerts {
		if alert == "" || a.Level == 2 {
			alert, fatal = a.Description.String(), a.Level == 2
		}
	}
	r.word("last_alert", "string", strings.ReplaceAll(alert, " ", "_"))
	r.string("next_protocol", m.ServerALPN)
	r.bool("established", m.ClientHello != nil && m.ServerHello != nil && !fatal && !m.Incomplete, true)
	r.unset("ssl_history", "string")
	r.certificates("cert_chain_fps", m, false)
	r.certificates("client_cert_chain_fps", m, true)
	r.unset("sni_matches_cert", "bool")
	r.word("ja3", "string", m.JA3().String())
	r.word("ja3s", "string", m.JA3S().String())
	r.word("ja4", "string", m.JA4().String())
}

// sslVersion is Zeek's name, which has no dot.
func sslVersion(v tls.Version) string {
	switch v {
	case tls.VersionTLS10:
		return "TLSv10"
	case tls.VersionTLS11:
		return "TLSv11"
	case tls.VersionTLS12:
		return "TLSv12"
	case tls.VersionTLS13:
		return "TLSv13"
	}
	if v>>8 == draft {
		return "TLSv13-draft" + strconv.Itoa(int(v&0xff))
	}
	return v.String()
}

// certificates writes the SHA-256 of one side's certificates.
func (r *row) certificates(name string, m *tls.Handshake, client bool) {
	has := false
	for _, c := range m.Certificates {
		has = has || c.Client == client
	}
	if !r.vector(name, "vector[string]", has) {
		return
	}
	for _, c := range m.Certificates {
		if c.Client == client {
			sum := c.SHA256()
			r.element()
			r.hex(sum[:])
		}
	}
	r.endVector()
}

func (r *row) hex(v []byte) {
	const digits = "0123456789abcdef"
	if r.as == asJSON {
		r.b = append(r.b, '"')
	}
	for _, c := range v {
		r.b = append(r.b, digits[c>>4], digits[c&15])
	}
	if r.as == asJSON {
		r.b = append(r.b, '"')
	}
}

func (r *row) dns(m *dns.Transaction, ev *flowscope.Event) {
	answered, asked := m.IsAnswered(), !m.Name.IsZero()
	proto := "udp"
	if ev.L4 == flowscope.L4TCP {
		proto = "tcp"
	}
	r.word("proto", "enum", proto)
	r.count("trans_id", uint64(m.ID), true)
	latency, ok := m.Latency()
	r.interval("rtt", latency, ok)
	if r.begin("query", "string", asked) {
		r.name(m.Name)
	}
	r.count("qclass", uint64(m.Class), asked)
	r.word("qclass_name", "string", zeekClass(m.Class, asked))
	r.count("qtype", uint64(m.Type), asked)
	if !asked {
		r.word("qtype_name", "string", "")
	} else {
		r.word("qtype_name", "string", m.Type.String())
	}
	r.count("rcode", uint64(m.Rcode), answered)
	rcode := ""
	if answered {
		if rcode = m.Rcode.String(); m.Rcode == 0 {
			rcode = "NOERROR"
		}
	}
	r.word("rcode_name", "string", rcode)
	some := m.Response
	if some.IsZero() {
		some = m.Query
	}
	r.bool("AA", !some.IsZero() && some.Authoritative(), true)
	r.bool("TC", !some.IsZero() && some.Truncated(), true)
	r.bool("RD", !some.IsZero() && some.RecursionDesired(), true)
	r.bool("RA", !some.IsZero() && some.RecursionAvailable(), true)
	z := uint64(0)
	if !some.IsZero() {
		z = uint64(some.Flags() >> 4 & 7)
	}
	r.count("Z", z, true)
	has := answered && m.Response.NumAnswers() > 0
	if r.vector("answers", "vector[string]", has) {
		for a := range m.Response.Answers() {
			r.element()
			r.answer(a)
		}
		r.endVector()
	}
	if r.vector("TTLs", "vector[interval]", has) {
		for a := range m.Response.Answers() {
			r.element()
			r.b = append(text.Uint(r.b, a.TTL), ".000000"...)
		}
		r.endVector()
	}
	r.bool("rejected", answered && m.Rcode != 0 && m.Response.NumAnswers() == 0, true)
}

func zeekClass(c dns.Class, asked bool) string {
	switch {
	case !asked:
		return ""
	case c == 1:
		return "C_INTERNET"
	}
	return c.String()
}

// name writes a domain name, without the dot at its end.
func (r *row) name(n dns.Name) {
	var space [256]byte
	v := n.AppendText(space[:0])
	if len(v) > 1 && v[len(v)-1] == '.' {
		v = v[:len(v)-1]
	}
	r.value(v)
}
