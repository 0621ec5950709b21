package sessions_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/export/sessions"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
)

// object is the object of an EVE record that is named by its type.
func object(t *testing.T, m flowscope.Message) (o map[string]any) {
	t.Helper()
	ev := flowscope.Event{Kind: flowscope.EventMessage, L4: flowscope.L4TCP, Message: m}
	var record map[string]any
	line := sessions.AppendEVE(nil, flowscope.UID{}, &ev)
	require.NoError(t, json.Unmarshal(line, &record), "%s", line)
	return record[record["event_type"].(string)].(map[string]any)
}

// cells are the cells of a row of Zeek's, by the names of the columns.
func cells(t *testing.T, m flowscope.Message) map[string]string {
	t.Helper()
	ev := flowscope.Event{Kind: flowscope.EventMessage, L4: flowscope.L4TCP, Message: m}
	header := string(sessions.AppendZeekHeader(nil, sessions.ZeekLogOf(&ev)))
	_, fields, _ := strings.Cut(header, "#fields\t")
	fields, _, _ = strings.Cut(fields, "\n")
	row := strings.Split(strings.TrimSuffix(string(sessions.AppendZeek(nil, flowscope.UID{}, &ev)), "\n"), "\t")
	all := map[string]string{}
	for i, name := range strings.Split(fields, "\t") {
		all[name] = row[i]
	}
	return all
}

// Names stand in the order of the certificate, nothing in them is escaped, and the serial number is as DER has it.
// The first is a line of Suricata's.
func TestCertificatesAsSuricataWritesThem(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	oid := func(n ...int) asn1.ObjectIdentifier { return n }
	one := func(oid asn1.ObjectIdentifier, v any) []pkix.AttributeTypeAndValue {
		return []pkix.AttributeTypeAndValue{{Type: oid, Value: v}}
	}
	for _, c := range []struct {
		name   pkix.RDNSequence
		serial []byte
		subject,
		number string
	}{
		{
			pkix.RDNSequence{
				one(oid(2, 5, 4, 6), "US"), one(oid(2, 5, 4, 8), "California"), one(oid(2, 5, 4, 7), "Menlo Park"),
				one(oid(2, 5, 4, 10), "Facebook, Inc."), one(oid(2, 5, 4, 3), "*.facebook.com"),
			},
			[]byte{0x0b, 0x3c, 0x3b}, "C=US, ST=California, L=Menlo Park, O=Facebook, Inc., CN=*.facebook.com", "0B:3C:3B",
		},
		{
			pkix.RDNSequence{append(one(oid(2, 5, 4, 11), "1"), one(oid(2, 5, 4, 5), "2")...), one(oid(2, 5, 4, 3), "*")},
			[]byte{0xca, 0x5c, 0x28}, "serialNumber=2 + OU=1, CN=*", "00:CA:5C:28",
		},
		{
			pkix.RDNSequence{one(oid(0, 9, 2342, 19200300, 100, 1, 25), "example"), one(oid(1, 2, 840, 113549, 1, 9, 1), "a@b"), one(oid(2, 5, 4, 65), "7")},
			[]byte{1}, "DC=example, Email=a@b, 2.5.4.65=7", "01",
		},
	} {
		raw, err := asn1.Marshal(c.name)
		require.NoError(t, err)
		from, to := time.Date(2026, 1, 5, 1, 2, 3, 0, time.UTC), time.Date(2026, 4, 5, 23, 59, 59, 0, time.UTC)
		x := x509.Certificate{RawSubject: raw, SerialNumber: new(big.Int).SetBytes(c.serial), NotBefore: from, NotAfter: to}
		der, err := x509.CreateCertificate(rand.Reader, &x, &x, key.Public(), key)
		require.NoError(t, err)
		got := object(t, &tls.Handshake{Certificates: []tls.Certificate{{DER: []byte("the client's"), Client: true}, {DER: der}}})
		assert.Equal(t, c.subject, got["subject"])
		assert.Equal(t, c.subject, got["issuerdn"])
		assert.Equal(t, c.number, got["serial"])
		assert.Equal(t, "2026-01-05T01:02:03", got["notbefore"])
		assert.Equal(t, "2026-04-05T23:59:59", got["notafter"])
	}
	got := object(t, &tls.Handshake{Certificates: []tls.Certificate{{DER: []byte("damaged")}}})
	assert.NotEmpty(t, got["fingerprint"])
	assert.NotContains(t, got, "serial")
}

func TestVersionsOfTLS(t *testing.T) {
	for v, want := range map[tls.Version][2]string{
		tls.VersionTLS10: {"TLSv1", "TLSv10"}, tls.VersionTLS13: {"TLS 1.3", "TLSv13"}, 0x7f1c: {"TLS 1.3 draft-28", "TLSv13-draft28"},
		tls.VersionSSL30: {"SSLv3", "SSLv3"}, 0: {"UNDETERMINED", "-"}, 0x0a0a: {"0x0a0a", "0x0a0a"},
	} {
		m := &tls.Handshake{Version: v}
		assert.Equal(t, want, [2]string{object(t, m)["version"].(string), cells(t, m)["version"]})
	}
}

// The port of a Host field is a field of its own in EVE. Zeek keeps it where it is, and has the version of the reply.
func TestHostsAndVersionsOfHTTP(t *testing.T) {
	for _, c := range []struct {
		host, name string
		port       any
	}{
		{"Example.COM", "example.com", nil}, {"example.com:8080", "example.com", 8080.0}, {"[2001:DB8::1]:80", "[2001:db8::1]", 80.0},
		{"[2001:db8::1]", "[2001:db8::1]", nil}, {"example.com:", "example.com:", nil}, {"a:b", "a:b", nil}, {"a:65536", "a:65536", nil},
		{"a:0", "a:0", nil}, {"a:1:2", "a:1:2", nil}, {"\xffA<:1", "\ufffda<", 1.0},
	} {
		m := &http1.Exchange{Host: []byte(c.host), Status: 200}
		m.Request.Version, m.Response.Version = http1.Version11, http1.Version10
		got := object(t, m)
		assert.Equal(t, c.name, got["hostname"], "%q", c.host)
		assert.Equal(t, c.port, got["http_port"], "%q", c.host)
		assert.Equal(t, "HTTP/1.1", got["protocol"])
		assert.Equal(t, "1.0", cells(t, m)["version"])
	}
	assert.Equal(t, "a:80", cells(t, &http1.Exchange{Host: []byte("a:80")})["host"])
	assert.Equal(t, "-", cells(t, &http1.Exchange{Request: http1.Part{Version: http1.Version11}})["version"], "no reply")
}

// Answers of types that are more than an address or a name.
func TestAnswersOfOtherTypes(t *testing.T) {
	const name = "\x01a\x00"
	for _, c := range []struct {
		kind dns.Type
		data string
		eve  string // without rrname, rrtype and ttl
		zeek string
	}{
		{dns.TypeMX, "\x00\x0a\x04mail" + name, `{"rdata":"mail.a"}`, "mail.a"},
		{dns.TypeSRV, "\x00\x01\x00\x02\x00\x50\x03srv" + name, `{"srv":{"priority":1,"weight":2,"port":80,"name":"srv.a"}}`, "srv.a"},
		{
			dns.TypeSOA, "\x02ns" + name + "\x02mb" + name + "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05",
			`{"soa":{"mname":"ns.a","rname":"mb.a","serial":1,"refresh":2,"retry":3,"expire":4,"minimum":5}}`, "ns.a",
		},
		{dns.TypeSSHFP, "\x01\x02\xab\xcd", `{"sshfp":{"fingerprint":"ab:cd","algo":1,"type":2}}`, "1 2 abcd"},
		{dns.TypeTXT, "\x03x \"\x01y", `{"rdata":"x \""},{"rdata":"y"}`, `TXT 3 x " TXT 1 y`},
		{dns.TypeTXT, "\x00", `{"rdata":""}`, "TXT 0 "},
		{dns.TypeTXT, "", `{"rdata":"\\# 0"}`, `\\# 0`},
		{dns.TypeMX, "\x00", `{"rdata":"\\# 1 00"}`, `\\# 1 00`},
	} {
		raw := "\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + name + "\x00" + string(byte(c.kind)) + "\x00\x01" +
			name + "\x00" + string(byte(c.kind)) + "\x00\x01\x00\x00\x00\x3c\x00" + string(byte(len(c.data))) + c.data
		response, ok := dns.ParseMessage([]byte(raw))
		require.True(t, ok)
		m := &dns.Transaction{Outcome: dns.Answered, Response: response, Replied: 1}
		var want, got []any
		require.NoError(t, json.Unmarshal([]byte("["+c.eve+"]"), &want))
		got = object(t, m)["answers"].([]any)
		for _, a := range got {
			a := a.(map[string]any)
			assert.Equal(t, []any{"a", c.kind.String(), 60.0}, []any{a["rrname"], a["rrtype"], a["ttl"]})
			delete(a, "rrname")
			delete(a, "rrtype")
			delete(a, "ttl")
		}
		assert.Equal(t, want, got, "%v %q", c.kind, c.data)
		assert.Equal(t, c.zeek, cells(t, m)["answers"], "%v %q", c.kind, c.data)
		ev := flowscope.Event{Kind: flowscope.EventMessage, L4: flowscope.L4UDP, Message: m}
		b := make([]byte, 0, 4096)
		assert.Zero(t, testing.AllocsPerRun(10, func() {
			b = sessions.AppendEVE(b[:0], flowscope.UID{}, &ev)
			b = sessions.AppendZeek(b, flowscope.UID{}, &ev)
		}))
	}
	ev := flowscope.Event{Kind: flowscope.EventMessage, L4: flowscope.L4TCP, Message: &http1.Exchange{Host: []byte("example.com:8080")}}
	b := make([]byte, 0, 4096)
	assert.Zero(t, testing.AllocsPerRun(10, func() { b = sessions.AppendEVE(b[:0], flowscope.UID{}, &ev) }))
}
