package dns_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/protocol/dns"
)

// The presentation form of each type, and the one of RFC 3597 for data that is cut or has a byte too
// many.
func TestRecordsAsText(t *testing.T) {
	n := func(s string) string { return string(wire(nil).name(s)) }
	for _, c := range []struct {
		t    dns.Type
		data string
		want string
	}{
		{dns.TypeA, "\xc0\x00\x02\x01", "192.0.2.1"},
		{dns.TypeAAAA, "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01", "2001:db8::1"},
		{dns.TypeAAAA, strings.Repeat("\x00", 10) + "\xff\xff\xc0\x00\x02\x01", "::ffff:192.0.2.1"},
		{dns.TypeNS, n("ns.example.com"), "ns.example.com"},
		{dns.TypeCNAME, n("a b.example"), `a\032b.example`},
		{dns.TypePTR, n(""), "."},
		{dns.TypeDNAME, n("d.example"), "d.example"},
		{dns.TypeMX, "\x00\x0a" + n("mail.example.com"), "10 mail.example.com"},
		{dns.TypeKX, "\x00\x01" + n("k.example.com"), "1 k.example.com"},
		{dns.TypeSRV, "\x00\x00\x00\x00\x00\x35" + n("ns.example.com"), "0 0 53 ns.example.com"},
		{dns.TypeSOA, n("ns.a") + n("root.a") + "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\xff\xff\xff\xff",
			"ns.a root.a 1 2 3 4 4294967295"},
		{dns.TypeTXT, "\x05v=spf\x03 -a\x02\xff\\", `v=spf -a\255\\`},
		{dns.TypeTXT, "\x00", ""},
		{dns.TypeHINFO, "\x03PC \x05\"L\"ux", `"PC " "\"L\"ux"`},
		{dns.TypeX25, "\x0231", `"31"`},
		{dns.TypeISDN, "\x0249", `"49"`},
		{dns.TypeISDN, "\x0249\x00", `"49" ""`},
		{dns.TypeGPOS, "\x015\x00\x0210", `"5" "" "10"`},
		{dns.TypeRP, n("m.a") + n("t.a"), "m.a t.a"},
		{dns.TypeCAA, "\x00\x05issueletsencrypt.org", `0 issue "letsencrypt.org"`},
		{dns.TypeDS, "\xff\xff\x0d\x02\xab\xcd", "65535 13 2 abcd"},
		{dns.TypeDNSKEY, "\x01\x01\x03\x0dkey", "257 3 13 a2V5"},
		{dns.TypeRRSIG, "\x00\x01\x0d\x02\x00\x00\x01\x2c\x65\x00\x00\x00\x64\x00\x00\x00\x12\x34" + n("example.com") + "sig",
			"A 13 2 300 20230912060656 20230302014640 4660 example.com c2ln"},
		{dns.TypeNSEC, n("b.a") + "\x00\x06\x40\x01\x00\x00\x00\x03\x01\x01\x40", "b.a A MX RRSIG NSEC CAA"},
		{dns.TypeNSEC3, "\x01\x00\x00\x0a\x02\xaa\xbb\x05hello\x00\x01\x40", "1 0 10 aabb D1IMOR3F A"},
		{dns.TypeNSEC3PARAM, "\x01\x00\x00\x00\x00", "1 0 0 -"},
		{dns.TypeTLSA, "\x03\x01\x01\xde\xad", "3 1 1 dead"},
		{dns.TypeSSHFP, "\x04\x02\xbe\xef", "4 2 beef"},
		{dns.TypeCERT, "\x00\x01\x00\x02\x03x", "1 2 3 eA=="},
		{dns.TypeNAPTR, "\x00\x64\x00\x0a\x01S\x07SIP+D2U\x00" + n("_sip._udp.a"), `100 10 "S" "SIP+D2U" "" _sip._udp.a`},
		{dns.TypeURI, "\x00\x0a\x00\x01https://a", `10 1 "https://a"`},
		{dns.TypeZONEMD, "\x00\x00\x00\x07\x01\x01\xab", "7 1 1 ab"},
		{dns.TypeHTTPS, "\x00\x01\x00\x00\x01\x00\x06\x02h2\x02h3\x00\x04\x00\x08\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x05\x00\x01e",
			"1 . alpn=h2,h3 ipv4hint=192.0.2.1,192.0.2.2 ech=ZQ=="},
		{dns.TypeSVCB, "\x00\x02" + n("a") + "\x00\x00\x00\x04\x00\x01\x00\x03\x00\x02\x00\x00\x00\x03\x00\x02\x01\xbb\x00\x06\x00\x10" +
			strings.Repeat("\x00", 15) + "\x01\x02\x9b\x00\x01\xff", `2 a mandatory=alpn,port no-default-alpn port=443 ipv6hint=::1 key667=\255`},
		{dns.TypeSVCB, "\x00\x01\x00\x00\x00\x00\x02\x00\x08\x00\x08\x00\x00", `1 . mandatory=ohttp ohttp`}, // RFC 9540
		{dns.TypeSVCB, "\x00\x01\x00\x00\x01\x00\x03\x00\x01a", `1 . alpn=\000\001a`},                       // an identifier must not be empty
		{dns.TypeOPENPGPKEY, "key", "a2V5"},
		{dns.TypeNULL, "\x00\xff", `\# 2 00ff`},
		{dns.TypeNULL, "", `\# 0`},
		{dns.TypeWKS, "x", `\# 1 78`},
		{65280, "\x01", `\# 1 01`},
		// Data that is not as the type says.
		{dns.TypeA, "\xc0\x00\x02", `\# 3 c00002`},
		{dns.TypeNS, n("a") + "x", `\# 4 01610078`},
		{dns.TypeNS, "\x05a", `\# 2 0561`},
		{dns.TypeMX, "\x00", `\# 1 00`},
		{dns.TypeNSEC, "\x01a\x03b", `\# 4 01610362`}, // the name would end in the next record
		{dns.TypeTXT, "\x05a", `\# 2 0561`},
		{dns.TypeTXT, "", `\# 0`},
		{dns.TypeHINFO, "\x01a", `\# 2 0161`}, // two strings, RFC 1035 section 3.3.2
		{dns.TypeHINFO, "\x00\x00\x00", `\# 3 000000`},
		{dns.TypeX25, "\x00\x00", `\# 2 0000`}, // one, RFC 1183 section 3.1
		{dns.TypeISDN, "", `\# 0`},             // one or two, RFC 1183 section 3.2
		{dns.TypeISDN, "\x00\x00\x00", `\# 3 000000`},
		{dns.TypeGPOS, "\x00\x00", `\# 2 0000`}, // three, RFC 1712 section 3
		{dns.TypeGPOS, "\x00\x00\x00\x00", `\# 4 00000000`},
		{dns.TypeNAPTR, "\x00\x00\x00\x00\x00\x00\x00", `\# 7 00000000000000`},
		{dns.TypeHTTPS, "\x00\x01\x00\x00\x01\x00\x06", `\# 7 00010000010006`},
	} {
		m := parse(t, header(1, answer).record(1, "x", c.t, c.data).record(1, "y", dns.TypeA, "\x7f\x00\x00\x01"))
		require.False(t, m.Damaged())
		var got []string
		for r := range m.Answers() {
			got = append(got, r.Text())
		}
		assert.Equal(t, []string{c.want, "127.0.0.1"}, got, c.t)
	}
}

func TestNamesInDataAreDecompressed(t *testing.T) {
	m := parse(t, header(1, answer).ask("example.com", dns.TypeMX).record(1, "example.com", dns.TypeMX, "\x00\x0a\x04mail\xc0\x0c"))
	for r := range m.Answers() {
		mx, ok := r.MX()
		require.True(t, ok)
		assert.EqualValues(t, 10, mx.Preference)
		assert.Equal(t, "mail.example.com", mx.Exchange.String())
		assert.Equal(t, "10 mail.example.com", r.Text())
		assert.Equal(t, "\x00\x0a\x04mail\xc0\x0c", string(r.Data()))
		_, ok = r.Target()
		assert.False(t, ok, "another type")
	}
}

func TestMnemonics(t *testing.T) {
	assert.Equal(t, "HTTPS TYPE54 DLV TYPE65535", strings.Join([]string{dns.TypeHTTPS.String(), dns.Type(54).String(), dns.TypeDLV.String(), dns.Type(65535).String()}, " "))
	assert.Equal(t, "IN ANY CLASS2", strings.Join([]string{dns.ClassIN.String(), dns.ClassANY.String(), dns.Class(2).String()}, " "))
	assert.Equal(t, "NOERROR BADVERS RCODE11 RCODE4095", strings.Join([]string{dns.Rcode(0).String(), dns.RcodeBadVers.String(), dns.Rcode(11).String(), dns.Rcode(4095).String()}, " "))
	assert.Equal(t, "QUERY OPCODE3 DSO OPCODE15", strings.Join([]string{dns.Opcode(0).String(), dns.Opcode(3).String(), dns.OpcodeDSO.String(), dns.Opcode(15).String()}, " "))
	assert.Equal(t, "unknown answered again", strings.Join([]string{dns.Outcome(0).String(), dns.Answered.String(), dns.Again.String()}, " "))
	assert.Equal(t, "unknown gap budget unknown", strings.Join([]string{dns.Why(0).String(), dns.Gap.String(), dns.Budget.String(), dns.Why(99).String()}, " "))
}
