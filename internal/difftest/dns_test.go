package difftest

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/flowscope-go/flowscope/protocol/dns"
)

// Package dns beside github.com/miekg/dns and golang.org/x/net/dns/dnsmessage: messages that miekg/dns
// makes of random records of all types, and the same with bits turned and bytes taken out or put in.
//
// Known differences, which the tests state and count:
//
//   - dnsmessage refuses names with a dot, a space or a byte 0xff in a label, and pointers after 10 others.
//   - Both follow pointers forwards and into the header.
//   - miekg/dns takes it for no error if a message ends before the records that its header counts.
//   - miekg/dns takes data that ends early for the zero values of what is missing, and an empty
//     identifier of alpn for one; here these are shown as bytes.
//   - miekg/dns shows nothing for the reserved key 65535 in a list of mandatory keys of SVCB.

// rounds is how many messages are made.
func rounds(t *testing.T) uint64 {
	if testing.Short() {
		return 2000
	}
	return 20000
}

func TestDNSMessagesThatMiekgMakes(t *testing.T) {
	refused, seen := 0, map[string]bool{}
	for seed := range rounds(t) {
		b, m := random(t, seed)
		ours, ok := dns.ParseMessage(b)
		require.True(t, ok)
		require.False(t, ours.Damaged(), "seed %d", seed)
		require.Empty(t, ours.Trailing(), "seed %d", seed)
		var back miekg.Msg
		require.NoError(t, back.Unpack(b), "seed %d", seed)
		require.Len(t, back.Answer, len(m.Answer))
		require.Equal(t, texts(&back), textsOf(ours), "seed %d", seed)
		require.EqualValues(t, m.Rcode, ours.Rcode(), "seed %d", seed)
		require.Equal(t, header(&back), headerOf(ours), "seed %d", seed)
		for _, rr := range m.Answer {
			seen[miekg.TypeToString[rr.Header().Rrtype]] = true
		}
		for q := range ours.Questions() {
			require.Equal(t, wireName(t, m.Question[0].Name), q.Name.AppendWire(nil))
		}
		if o := m.IsEdns0(); o != nil {
			e, ok := ours.EDNS()
			require.True(t, ok)
			require.Equal(t, []any{o.UDPSize(), o.Do(), o.Version()}, []any{e.Size, e.DO, e.Version})
			codes := []uint16{}
			for _, o := range o.Option {
				codes = append(codes, o.Option())
			}
			got := []uint16{}
			for o := range e.Options() {
				got = append(got, o.Code)
			}
			require.Equal(t, codes, got)
		}
		if !sameAsDNSMessage(t, seed, b, ours) {
			refused++
		}
	}
	assert.GreaterOrEqual(t, len(seen), len(makers), "types of records")
	assert.Less(t, refused, int(rounds(t))*9/10, "dnsmessage has read some too")
	t.Logf("%d types; dnsmessage refused %d of %d", len(seen), refused, rounds(t))
}

func TestDNSMutatedMessages(t *testing.T) {
	var same, early, pointers, bytes int
	for seed := range rounds(t) {
		b, _ := random(t, seed)
		r := rand.New(rand.NewPCG(seed, 2))
		for range 1 + r.IntN(3) {
			i := r.IntN(len(b))
			switch r.IntN(4) {
			case 0:
				b = append(b[:i], b[i+1:]...)
			case 1:
				b = append(b[:i], append([]byte{byte(r.IntN(256))}, b[i:]...)...)
			case 2:
				b[i] = []byte{0, 0xc0, 0xff, 0x3f, 1}[r.IntN(5)]
			default:
				b[i] ^= 1 << r.IntN(8)
			}
			if len(b) == 0 {
				break
			}
		}
		ours, ok := dns.ParseMessage(b)
		if !ok {
			continue
		}
		sameAsDNSMessage(t, seed, b, ours)
		var back miekg.Msg
		if back.Unpack(b) != nil {
			continue // it looks into the data of the records too
		}
		want, got := texts(&back), textsOf(ours)
		if ours.Damaged() {
			off := len(b) - len(ours.Trailing())
			switch {
			case endsEarly(b, off):
				early++
			case refusedPointer(b, off):
				pointers++
			default:
				require.Fail(t, "damaged for us alone", "seed %d, at %d: %x", seed, off, b)
			}
			require.LessOrEqual(t, len(got), len(want))
			want = want[:len(got)]
		}
		require.Len(t, got, len(want), "seed %d: %x", seed, b)
		for i := range got {
			if got[i] != want[i] && strings.Contains(got[i], `\# `) {
				bytes++
				continue
			}
			require.Equal(t, want[i], got[i], "seed %d: %x", seed, b)
			same++
		}
	}
	assert.Greater(t, same, int(rounds(t)))
	t.Logf("%d records the same; %d messages end early, %d have pointers that we refuse, %d records are bytes for us",
		same, early, pointers, bytes)
}

// endsEarly reports whether the message ends before the end of the question or record at a place, or
// before it.
func endsEarly(b []byte, at int) bool {
	_, next, err := miekg.UnpackDomainName(b, at)
	return at == len(b) || err == nil && (next+10 > len(b) || next+10+int(b[next+8])<<8+int(b[next+9]) > len(b))
}

// refusedPointer reports whether the name at a place, or none, has a pointer that is not to a prior
// occurrence.
func refusedPointer(b []byte, at int) bool {
	start := at
	for range 300 {
		if at >= len(b) {
			return false
		}
		switch c := int(b[at]); {
		case c == 0:
			return false
		case c < 64:
			at += 1 + c
		case c >= 0xc0 && at+1 < len(b):
			to := c&0x3f<<8 | int(b[at+1])
			if to >= start || to < 12 {
				return true
			}
			at, start = to, to
		default:
			return false
		}
	}
	return true
}

// sameAsDNSMessage compares the questions and the heads of the records with dnsmessage's, if it
// reads the message.
func sameAsDNSMessage(t *testing.T, seed uint64, b []byte, ours dns.Message) bool {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return false
	}
	require.Equal(t, []any{h.ID, h.Response, uint8(h.OpCode), h.Authoritative, h.Truncated, h.RecursionDesired, h.RecursionAvailable, h.AuthenticData, h.CheckingDisabled},
		[]any{ours.ID(), ours.IsResponse(), uint8(ours.Opcode()), ours.Authoritative(), ours.Truncated(), ours.RecursionDesired(), ours.RecursionAvailable(),
			ours.AuthenticData(), ours.CheckingDisabled()}, "seed %d", seed)
	questions, err := p.AllQuestions()
	if err != nil {
		return false
	}
	i := 0
	for q := range ours.Questions() {
		if strings.Contains(q.Name.String(), `\`) {
			i++ // dnsmessage shows what is in a name as it is
			continue
		}
		require.Equal(t, []string{ourName(questions[i].Name.String()), fmt.Sprint(uint16(questions[i].Type)), fmt.Sprint(uint16(questions[i].Class))},
			[]string{q.Name.String(), fmt.Sprint(uint16(q.Type)), fmt.Sprint(uint16(q.Class))}, "seed %d", seed)
		i++
	}
	require.True(t, len(questions) == i || ours.Damaged(), "seed %d", seed)
	for r := range ours.Answers() {
		h, err := p.AnswerHeader()
		if err != nil {
			return false
		}
		if !strings.Contains(r.Name.String(), `\`) {
			require.Equal(t, ourName(h.Name.String()), r.Name.String(), "seed %d", seed)
		}
		require.Equal(t, []any{uint16(h.Type), uint16(h.Class), h.TTL, int(h.Length)}, []any{uint16(r.Type), uint16(r.Class), r.TTL, len(r.Data())}, "seed %d", seed)
		a, isAddr := r.Addr()
		switch h.Type {
		case dnsmessage.TypeA:
			x, err := p.AResource()
			if err != nil {
				return false
			}
			if isAddr {
				require.Equal(t, x.A[:], a.AsSlice())
			}
		case dnsmessage.TypeAAAA:
			x, err := p.AAAAResource()
			if err != nil {
				return false
			}
			if isAddr {
				require.Equal(t, x.AAAA[:], a.AsSlice())
			}
		case dnsmessage.TypeMX:
			x, err := p.MXResource()
			if err != nil {
				return false
			}
			if mx, ok := r.MX(); ok && !strings.Contains(mx.Exchange.String(), `\`) {
				require.Equal(t, []any{x.Pref, ourName(x.MX.String())}, []any{mx.Preference, mx.Exchange.String()}, "seed %d", seed)
			}
		default:
			if p.SkipAnswer() != nil {
				return false
			}
		}
	}
	return true
}

// ourName is a name of dnsmessage, which does not escape, without the last dot.
func ourName(s string) string {
	if s == "." {
		return s
	}
	return strings.TrimSuffix(s, ".")
}

func header(m *miekg.Msg) []any {
	return []any{m.Id, m.Response, m.Opcode, m.Authoritative, m.Truncated, m.RecursionDesired, m.RecursionAvailable, m.AuthenticatedData, m.CheckingDisabled}
}

func headerOf(m dns.Message) []any {
	return []any{m.ID(), m.IsResponse(), int(m.Opcode()), m.Authoritative(), m.Truncated(), m.RecursionDesired(), m.RecursionAvailable(), m.AuthenticData(), m.CheckingDisabled()}
}

// textsOf shows all that is in a message.
func textsOf(m dns.Message) (all []string) {
	for q := range m.Questions() {
		all = append(all, fmt.Sprintf("? %v %d %d", q.Name, q.Type, q.Class))
	}
	for i, records := range []func(func(dns.Record) bool){m.Answers(), m.Authorities(), m.Additionals()} {
		for r := range records {
			text := r.Text()
			if r.Type == dns.TypeOPT {
				text = "options"
			}
			all = append(all, fmt.Sprintf("%d %v %d %d %d %s", i, r.Name, r.Type, r.Class, r.TTL, text))
		}
	}
	return all
}

// texts shows the same of miekg/dns's.
func texts(m *miekg.Msg) (all []string) {
	for _, q := range m.Question {
		all = append(all, fmt.Sprintf("? %s %d %d", name(q.Name), q.Qtype, q.Qclass))
	}
	for i, records := range [][]miekg.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range records {
			h := rr.Header()
			all = append(all, fmt.Sprintf("%d %s %d %d %d %s", i, name(h.Name), h.Rrtype, h.Class, h.Ttl, text(rr)))
		}
	}
	return all
}

// unescape takes the escapes of RFC 1035 section 5.1 back; dots that end a label are -1.
func unescape(s string) (out []int) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+3 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			n, _ := strconv.Atoi(s[i+1 : i+4])
			out = append(out, n)
			i += 3
		case s[i] == '\\' && i+1 < len(s):
			out = append(out, int(s[i+1]))
			i++
		case s[i] == '.':
			out = append(out, -1)
		default:
			out = append(out, int(s[i]))
		}
	}
	return out
}

// name shows a name as package dns does.
func name(s string) string {
	if s == "." || s == "" {
		return "."
	}
	var b strings.Builder
	for _, c := range unescape(strings.TrimSuffix(s, ".")) {
		switch {
		case c == -1:
			b.WriteByte('.')
		case c == '.' || c == '\\':
			b.WriteString(`\` + string(rune(c)))
		case c <= ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(byte(c))
		}
	}
	return b.String()
}

// str shows a string as package dns does, in quotes if quote.
func str(s string, quote bool) string {
	var b strings.Builder
	for _, c := range unescape(s) {
		switch {
		case c == -1:
			b.WriteByte('.')
		case c == '\\' || c == '"' && quote:
			b.WriteString(`\` + string(rune(c)))
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(byte(c))
		}
	}
	if quote {
		return `"` + b.String() + `"`
	}
	return b.String()
}

func wireName(t *testing.T, s string) []byte {
	b := make([]byte, 300)
	n, err := miekg.PackDomainName(s, b, 0, nil, false)
	require.NoError(t, err)
	return b[:n]
}

func bitmap(types []uint16) string {
	var b strings.Builder
	for _, t := range types {
		b.WriteString(" " + dns.Type(t).String())
	}
	return b.String()
}

// text shows a record's data as package dns does.
func text(rr miekg.RR) string {
	switch v := rr.(type) {
	case *miekg.A:
		return v.A.String()
	case *miekg.AAAA:
		a, _ := netip.AddrFromSlice(v.AAAA.To16())
		return a.String()
	case *miekg.NS:
		return name(v.Ns)
	case *miekg.CNAME:
		return name(v.Target)
	case *miekg.PTR:
		return name(v.Ptr)
	case *miekg.DNAME:
		return name(v.Target)
	case *miekg.MB:
		return name(v.Mb)
	case *miekg.MG:
		return name(v.Mg)
	case *miekg.MR:
		return name(v.Mr)
	case *miekg.MD:
		return name(v.Md)
	case *miekg.MF:
		return name(v.Mf)
	case *miekg.MX:
		return fmt.Sprint(v.Preference, " ", name(v.Mx))
	case *miekg.AFSDB:
		return fmt.Sprint(v.Subtype, " ", name(v.Hostname))
	case *miekg.RT:
		return fmt.Sprint(v.Preference, " ", name(v.Host))
	case *miekg.KX:
		return fmt.Sprint(v.Preference, " ", name(v.Exchanger))
	case *miekg.LP:
		return fmt.Sprint(v.Preference, " ", name(v.Fqdn))
	case *miekg.SRV:
		return fmt.Sprint(v.Priority, v.Weight, v.Port, " ", name(v.Target))
	case *miekg.SOA:
		return fmt.Sprint(name(v.Ns), " ", name(v.Mbox), " ", v.Serial, v.Refresh, v.Retry, v.Expire, v.Minttl)
	case *miekg.RP:
		return name(v.Mbox) + " " + name(v.Txt)
	case *miekg.MINFO:
		return name(v.Rmail) + " " + name(v.Email)
	case *miekg.TXT:
		return str(strings.Join(v.Txt, ""), false)
	case *miekg.SPF:
		return str(strings.Join(v.Txt, ""), false)
	case *miekg.HINFO:
		return str(v.Cpu, true) + " " + str(v.Os, true)
	case *miekg.ISDN: // RFC 1183 section 3.2: a second string that is absent is not an empty one
		if v.SubAddress == "" && int(v.Hdr.Rdlength) == 1+len(unescape(v.Address)) {
			return str(v.Address, true)
		}
		return str(v.Address, true) + " " + str(v.SubAddress, true)
	case *miekg.X25:
		return str(v.PSDNAddress, true)
	case *miekg.GPOS:
		return str(v.Longitude, true) + " " + str(v.Latitude, true) + " " + str(v.Altitude, true)
	case *miekg.CAA:
		return fmt.Sprint(v.Flag, " ", str(v.Tag, false), " ", octets(v.Value))
	case *miekg.DS:
		return fmt.Sprint(v.KeyTag, v.Algorithm, v.DigestType, " ", v.Digest)
	case *miekg.CDS:
		return fmt.Sprint(v.KeyTag, v.Algorithm, v.DigestType, " ", v.Digest)
	case *miekg.DLV:
		return fmt.Sprint(v.KeyTag, v.Algorithm, v.DigestType, " ", v.Digest)
	case *miekg.DNSKEY:
		return fmt.Sprint(v.Flags, v.Protocol, v.Algorithm, " ", v.PublicKey)
	case *miekg.CDNSKEY:
		return fmt.Sprint(v.Flags, v.Protocol, v.Algorithm, " ", v.PublicKey)
	case *miekg.KEY:
		return fmt.Sprint(v.Flags, v.Protocol, v.Algorithm, " ", v.PublicKey)
	case *miekg.RRSIG:
		return signature(v)
	case *miekg.SIG:
		return signature(&v.RRSIG)
	case *miekg.NSEC:
		return name(v.NextDomain) + bitmap(v.TypeBitMap)
	case *miekg.NSEC3:
		return fmt.Sprint(v.Hash, v.Flags, v.Iterations, " ", salt(v.Salt), " ", v.NextDomain) + bitmap(v.TypeBitMap)
	case *miekg.NSEC3PARAM:
		return fmt.Sprint(v.Hash, v.Flags, v.Iterations, " ", salt(v.Salt))
	case *miekg.TLSA:
		return fmt.Sprint(v.Usage, v.Selector, v.MatchingType, " ", v.Certificate)
	case *miekg.SMIMEA:
		return fmt.Sprint(v.Usage, v.Selector, v.MatchingType, " ", v.Certificate)
	case *miekg.SSHFP:
		return fmt.Sprint(v.Algorithm, v.Type, " ", v.FingerPrint)
	case *miekg.CERT:
		return fmt.Sprint(v.Type, v.KeyTag, v.Algorithm, " ", v.Certificate)
	case *miekg.NAPTR:
		return fmt.Sprint(v.Order, v.Preference, " ", str(v.Flags, true), " ", str(v.Service, true), " ", str(v.Regexp, true), " ", name(v.Replacement))
	case *miekg.URI:
		return fmt.Sprint(v.Priority, v.Weight, " ", octets(v.Target))
	case *miekg.ZONEMD:
		return fmt.Sprint(v.Serial, v.Scheme, v.Hash, " ", v.Digest)
	case *miekg.HTTPS:
		return service(&v.SVCB)
	case *miekg.SVCB:
		return service(v)
	case *miekg.OPENPGPKEY:
		return v.PublicKey
	case *miekg.DHCID:
		return v.Digest
	case *miekg.OPT:
		return "options"
	}
	return packed(rr) // what package dns shows as bytes
}

// packed shows the bytes that miekg/dns makes of a record's data (RFC 3597 section 5).
func packed(rr miekg.RR) string {
	b := make([]byte, 1<<16)
	n, err := miekg.PackRR(rr, b, 0, nil, false)
	if err != nil {
		return err.Error()
	}
	_, at, _ := miekg.UnpackDomainName(b, 0)
	data := b[at+10 : n]
	return strings.TrimRight(fmt.Sprintf(`\# %d %s`, len(data), hex.EncodeToString(data)), " ")
}

func salt(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func signature(v *miekg.RRSIG) string {
	date := func(s uint32) string {
		// Without the arithmetic by which miekg/dns guesses the century.
		return dateOf(s)
	}
	return fmt.Sprint(dns.Type(v.TypeCovered), " ", v.Algorithm, v.Labels, v.OrigTtl, " ", date(v.Expiration), " ", date(v.Inception), " ", v.KeyTag, " ", name(v.SignerName), " ", v.Signature)
}

func service(v *miekg.SVCB) string {
	s := fmt.Sprint(v.Priority, " ", name(v.Target))
	for _, p := range v.Value {
		s += " " + p.Key().String()
		switch p := p.(type) {
		case *miekg.SVCBNoDefaultAlpn:
		case *miekg.SVCBMandatory:
			var all []string
			for _, k := range p.Code {
				if k == 65535 { // reserved, RFC 9460 section 14.3.2; miekg/dns shows nothing
					all = append(all, "key65535")
				} else {
					all = append(all, k.String())
				}
			}
			if len(all) > 0 {
				s += "=" + strings.Join(all, ",")
			}
		case *miekg.SVCBAlpn:
			if slices.Contains(p.Alpn, "") { // not as in RFC 9460 section 7.1.1: bytes for us
				var value []byte
				for _, a := range p.Alpn {
					value = append(append(value, byte(len(a))), a...)
				}
				s += "=" + bytesText(value)
				continue
			}
			var all []string
			for _, a := range p.Alpn {
				all = append(all, str(strings.ReplaceAll(a, `\`, `\\`), false))
			}
			if len(all) > 0 {
				s += "=" + strings.Join(all, ",")
			}
		case *miekg.SVCBLocal:
			if len(p.Data) > 0 {
				s += "=" + bytesText(p.Data)
			}
		case *miekg.SVCBDoHPath:
			if p.Template != "" {
				s += "=" + bytesText([]byte(p.Template))
			}
		default:
			if v := p.String(); v != "" {
				s += "=" + v
			}
		}
	}
	return s
}

// octets shows bytes that miekg/dns does not escape when it reads them.
func octets(s string) string {
	return `"` + strings.ReplaceAll(bytesText([]byte(s)), `"`, `\"`) + `"`
}

func bytesText(b []byte) string {
	var t strings.Builder
	for _, c := range b {
		switch {
		case c == '\\':
			t.WriteString(`\\`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&t, `\%03d`, c)
		default:
			t.WriteByte(c)
		}
	}
	return t.String()
}

// random makes a message.
func random(t *testing.T, seed uint64) ([]byte, *miekg.Msg) {
	g := gen{rand.New(rand.NewPCG(seed, 1))}
	m := new(miekg.Msg)
	m.Id, m.Response, m.Opcode, m.Rcode = uint16(g.Uint32()), g.yes(), g.IntN(16), g.IntN(16)
	m.Authoritative, m.Truncated, m.RecursionDesired, m.RecursionAvailable = g.yes(), g.yes(), g.yes(), g.yes()
	m.AuthenticatedData, m.CheckingDisabled, m.Compress = g.yes(), g.yes(), g.yes()
	if g.IntN(8) > 0 {
		m.Question = []miekg.Question{{Name: g.name(), Qtype: uint16(g.IntN(300)), Qclass: 1}}
	}
	for range g.IntN(6) {
		m.Answer = append(m.Answer, g.record())
	}
	for range g.IntN(3) {
		m.Ns = append(m.Ns, g.record())
	}
	if g.yes() {
		m.SetEdns0(uint16(g.IntN(5000)), g.yes())
		o := m.IsEdns0()
		o.SetVersion(uint8(g.IntN(3)))
		m.Rcode = g.IntN(4096)
		if g.yes() {
			o.Option = append(o.Option, &miekg.EDNS0_COOKIE{Code: miekg.EDNS0COOKIE, Cookie: "0011223344556677"}, &miekg.EDNS0_LOCAL{Code: 65001, Data: []byte(g.bytes(9))},
				&miekg.EDNS0_SUBNET{Code: miekg.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(192, 0, 2, 0)})
		}
	}
	b, err := m.Pack()
	require.NoError(t, err, "seed %d: %v", seed, m)
	return b, m
}

type gen struct{ *rand.Rand }

func (g gen) yes() bool { return g.IntN(2) == 0 }

// name makes a name; one in a few has bytes of any value.
func (g gen) name() string {
	if g.IntN(20) == 0 {
		return "."
	}
	var b strings.Builder
	names := []string{"example", "com", "www", "mail", "_sip", "xn--bcher-kva"}
	for range 1 + g.IntN(4) {
		if g.IntN(12) == 0 {
			for range 1 + g.IntN(8) {
				fmt.Fprintf(&b, `\%03d`, g.IntN(256))
			}
		} else {
			b.WriteString(names[g.IntN(len(names))])
		}
		b.WriteByte('.')
	}
	return b.String()
}

func (g gen) bytes(most int) string {
	b := make([]byte, 1+g.IntN(most))
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return string(b)
}

func (g gen) hex() string { return hex.EncodeToString([]byte(g.bytes(20))) }

// text makes a character-string, in miekg/dns's escapes.
func (g gen) text() string {
	var b strings.Builder
	for range g.IntN(12) {
		if g.IntN(6) == 0 {
			fmt.Fprintf(&b, `\%03d`, g.IntN(256))
		} else {
			b.WriteByte("abc =/:;0123"[g.IntN(12)])
		}
	}
	return b.String()
}

func (g gen) u16() uint16 { return uint16(g.Uint32()) }
func (g gen) u8() uint8   { return uint8(g.Uint32()) }
func (g gen) types() (l []uint16) {
	for t := uint16(1 + g.IntN(20)); t < 300; t += uint16(1 + g.IntN(60)) {
		l = append(l, t)
	}
	return l
}

func (g gen) record() miekg.RR {
	i := g.IntN(len(makers))
	rr := makers[i](g)
	*rr.Header() = miekg.RR_Header{Name: g.name(), Rrtype: typeOf(rr), Class: 1, Ttl: g.Uint32() >> g.IntN(32)}
	if _, ok := rr.(*miekg.RFC3597); ok {
		rr.Header().Rrtype = 65280
	}
	return rr
}

func typeOf(rr miekg.RR) uint16 {
	name := strings.TrimPrefix(fmt.Sprintf("%T", rr), "*dns.")
	return miekg.StringToType[name]
}

// makers make records of every type that package dns has typed values for, and of some that it has not.
var makers = []func(g gen) miekg.RR{
	func(g gen) miekg.RR { return &miekg.A{A: net.IP(fixed(g, 4))} },
	func(g gen) miekg.RR { return &miekg.AAAA{AAAA: net.IP(fixed(g, 16))} },
	func(g gen) miekg.RR { return &miekg.NS{Ns: g.name()} },
	func(g gen) miekg.RR { return &miekg.CNAME{Target: g.name()} },
	func(g gen) miekg.RR { return &miekg.PTR{Ptr: g.name()} },
	func(g gen) miekg.RR { return &miekg.DNAME{Target: g.name()} },
	func(g gen) miekg.RR { return &miekg.MB{Mb: g.name()} },
	func(g gen) miekg.RR { return &miekg.MG{Mg: g.name()} },
	func(g gen) miekg.RR { return &miekg.MR{Mr: g.name()} },
	func(g gen) miekg.RR { return &miekg.MD{Md: g.name()} },
	func(g gen) miekg.RR { return &miekg.MF{Mf: g.name()} },
	func(g gen) miekg.RR { return &miekg.MX{Preference: g.u16(), Mx: g.name()} },
	func(g gen) miekg.RR { return &miekg.AFSDB{Subtype: g.u16(), Hostname: g.name()} },
	func(g gen) miekg.RR { return &miekg.RT{Preference: g.u16(), Host: g.name()} },
	func(g gen) miekg.RR { return &miekg.KX{Preference: g.u16(), Exchanger: g.name()} },
	func(g gen) miekg.RR { return &miekg.LP{Preference: g.u16(), Fqdn: g.name()} },
	func(g gen) miekg.RR {
		return &miekg.SRV{Priority: g.u16(), Weight: g.u16(), Port: g.u16(), Target: g.name()}
	},
	func(g gen) miekg.RR {
		return &miekg.SOA{Ns: g.name(), Mbox: g.name(), Serial: g.Uint32(), Refresh: g.Uint32(), Retry: 1, Expire: 2, Minttl: g.Uint32()}
	},
	func(g gen) miekg.RR { return &miekg.RP{Mbox: g.name(), Txt: g.name()} },
	func(g gen) miekg.RR { return &miekg.MINFO{Rmail: g.name(), Email: g.name()} },
	func(g gen) miekg.RR { return &miekg.TXT{Txt: []string{g.text(), g.text()}} },
	func(g gen) miekg.RR { return &miekg.SPF{Txt: []string{g.text()}} },
	func(g gen) miekg.RR { return &miekg.HINFO{Cpu: g.text(), Os: g.text()} },
	func(g gen) miekg.RR { return &miekg.ISDN{Address: g.text(), SubAddress: g.text()} },
	func(g gen) miekg.RR { return &miekg.X25{PSDNAddress: g.text()} },
	func(g gen) miekg.RR { return &miekg.GPOS{Longitude: g.text(), Latitude: g.text(), Altitude: g.text()} },
	func(g gen) miekg.RR { return &miekg.CAA{Flag: g.u8(), Tag: "issue", Value: g.text()} },
	func(g gen) miekg.RR {
		return &miekg.DS{KeyTag: g.u16(), Algorithm: g.u8(), DigestType: g.u8(), Digest: g.hex()}
	},
	func(g gen) miekg.RR {
		return &miekg.CDS{DS: miekg.DS{KeyTag: g.u16(), Algorithm: g.u8(), DigestType: g.u8(), Digest: g.hex()}}
	},
	func(g gen) miekg.RR {
		return &miekg.DLV{DS: miekg.DS{KeyTag: g.u16(), Algorithm: g.u8(), DigestType: g.u8(), Digest: g.hex()}}
	},
	func(g gen) miekg.RR {
		return &miekg.DNSKEY{Flags: g.u16(), Protocol: g.u8(), Algorithm: g.u8(), PublicKey: "AQIDBAUG"}
	},
	func(g gen) miekg.RR {
		return &miekg.CDNSKEY{DNSKEY: miekg.DNSKEY{Flags: g.u16(), Protocol: g.u8(), Algorithm: g.u8(), PublicKey: "AQID"}}
	},
	func(g gen) miekg.RR {
		return &miekg.KEY{DNSKEY: miekg.DNSKEY{Flags: g.u16(), Protocol: g.u8(), Algorithm: g.u8(), PublicKey: "AQI="}}
	},
	func(g gen) miekg.RR { return g.rrsig() },
	func(g gen) miekg.RR { return &miekg.SIG{RRSIG: *g.rrsig()} },
	func(g gen) miekg.RR { return &miekg.NSEC{NextDomain: g.name(), TypeBitMap: g.types()} },
	func(g gen) miekg.RR {
		return &miekg.NSEC3{Hash: 1, Flags: g.u8(), Iterations: g.u16(), SaltLength: 2, Salt: "aabb", HashLength: 20,
			NextDomain: "2T7B4G4VSA5SMI47K61MV5BV1A22BOJR", TypeBitMap: g.types()}
	},
	func(g gen) miekg.RR {
		return &miekg.NSEC3PARAM{Hash: 1, Flags: g.u8(), Iterations: g.u16(), SaltLength: 0, Salt: "-"}
	},
	func(g gen) miekg.RR {
		return &miekg.TLSA{Usage: g.u8(), Selector: g.u8(), MatchingType: g.u8(), Certificate: g.hex()}
	},
	func(g gen) miekg.RR {
		return &miekg.SMIMEA{Usage: g.u8(), Selector: g.u8(), MatchingType: g.u8(), Certificate: g.hex()}
	},
	func(g gen) miekg.RR { return &miekg.SSHFP{Algorithm: g.u8(), Type: g.u8(), FingerPrint: g.hex()} },
	func(g gen) miekg.RR {
		return &miekg.CERT{Type: g.u16(), KeyTag: g.u16(), Algorithm: g.u8(), Certificate: "AQID"}
	},
	func(g gen) miekg.RR {
		return &miekg.NAPTR{Order: g.u16(), Preference: g.u16(), Flags: g.text(), Service: g.text(), Regexp: g.text(), Replacement: g.name()}
	},
	func(g gen) miekg.RR { return &miekg.URI{Priority: g.u16(), Weight: g.u16(), Target: g.text()} },
	func(g gen) miekg.RR {
		return &miekg.ZONEMD{Serial: g.Uint32(), Scheme: g.u8(), Hash: g.u8(), Digest: g.hex()}
	},
	func(g gen) miekg.RR { return &miekg.HTTPS{SVCB: *g.svcb()} },
	func(g gen) miekg.RR { return g.svcb() },
	func(g gen) miekg.RR { return &miekg.OPENPGPKEY{PublicKey: "AQID"} },
	func(g gen) miekg.RR { return &miekg.DHCID{Digest: "AQID"} },
	// As bytes.
	func(g gen) miekg.RR { return &miekg.NULL{Data: g.bytes(30)} },
	func(g gen) miekg.RR { return &miekg.EUI48{Address: uint64(g.Uint32())} },
	func(g gen) miekg.RR {
		return &miekg.LOC{Version: 0, Size: 0x12, HorizPre: 0x16, VertPre: 0x13, Latitude: g.Uint32(), Longitude: g.Uint32(), Altitude: g.Uint32()}
	},
	func(g gen) miekg.RR { return &miekg.RFC3597{Rdata: g.hex()} },
}

func fixed(g gen, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	if n == 16 {
		b[0] = 0x20 // miekg/dns does not pack IPv4-mapped ones
	}
	return b
}

func (g gen) rrsig() *miekg.RRSIG {
	return &miekg.RRSIG{TypeCovered: g.u16(), Algorithm: g.u8(), Labels: g.u8(), OrigTtl: g.Uint32(), Expiration: g.Uint32(), Inception: g.Uint32(),
		KeyTag: g.u16(), SignerName: g.name(), Signature: "AQIDBA=="}
}

func (g gen) svcb() *miekg.SVCB {
	v := &miekg.SVCB{Priority: g.u16(), Target: g.name()}
	for _, p := range []miekg.SVCBKeyValue{
		&miekg.SVCBMandatory{Code: []miekg.SVCBKey{miekg.SVCB_ALPN, miekg.SVCB_PORT}}, &miekg.SVCBAlpn{Alpn: []string{"h2", "h3"}},
		&miekg.SVCBNoDefaultAlpn{}, &miekg.SVCBPort{Port: g.u16()}, &miekg.SVCBIPv4Hint{Hint: []net.IP{fixed(g, 4), fixed(g, 4)}},
		&miekg.SVCBECHConfig{ECH: []byte(g.bytes(10))}, &miekg.SVCBIPv6Hint{Hint: []net.IP{fixed(g, 16)}}, &miekg.SVCBDoHPath{Template: "/q{?dns}"},
		&miekg.SVCBLocal{KeyCode: 667, Data: []byte(g.bytes(10))},
	} {
		if g.yes() {
			v.Value = append(v.Value, p)
		}
	}
	return v
}

// FuzzDNSBesideMiekg: what miekg/dns reads of any bytes is what package dns reads.
func FuzzDNSBesideMiekg(f *testing.F) {
	for seed := range uint64(50) {
		b, _ := random(&testing.T{}, seed)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= 1<<15 {
			checkBesideMiekg(t, b)
		}
	})
}

// TestDNSDataOfAnySize: data of each type that is cut, that is too long, and that has another byte somewhere.
func TestDNSDataOfAnySize(t *testing.T) {
	read, bytes := 0, 0
	try := func(typ dns.Type, data []byte) {
		r, b := checkBesideMiekg(t, answer(typ, data))
		read, bytes = read+r, bytes+b
	}
	for i, make := range makers {
		g := gen{rand.New(rand.NewPCG(uint64(i), 3))}
		for range rounds(t) / 400 {
			rr := make(g)
			typ := dns.Type(typeOf(rr))
			*rr.Header() = miekg.RR_Header{Name: ".", Rrtype: uint16(typ), Class: 1}
			b := [1 << 12]byte{}
			n, err := miekg.PackRR(rr, b[:], 0, nil, false)
			require.NoError(t, err)
			data := b[11:n]
			for cut := range data {
				try(typ, data[:cut])
				changed := slices.Clone(data)
				changed[cut] = []byte{0, 1, 2, 3, 0xc0, 0xff, g.u8()}[g.IntN(7)]
				try(typ, changed)
			}
			try(typ, append(slices.Clip(data), 0))
			try(typ, append(slices.Clip(data), g.bytes(9)...))
		}
	}
	g := gen{rand.New(rand.NewPCG(0, 4))}
	for typ := range dns.Type(300) {
		for range rounds(t) / 100 {
			data := make([]byte, g.IntN(24))
			for i := range data {
				data[i] = byte(g.Uint32() >> g.IntN(32))
				if g.yes() {
					data[i] = byte(g.IntN(9))
				}
			}
			try(typ, data)
		}
	}
	for key := range 12 { // parameters of SVCB, RFC 9460 section 2.2
		for range rounds(t) / 20 {
			value := make([]byte, g.IntN(20))
			for i := range value {
				value[i] = byte(g.Uint32() >> g.IntN(32))
				if g.yes() {
					value[i] = byte(g.IntN(9))
				}
			}
			try(dns.TypeSVCB, append([]byte{0, 1, 0, 0, byte(key), 0, byte(len(value))}, value...))
		}
	}
	assert.Greater(t, read, int(rounds(t)))
	assert.Greater(t, bytes, int(rounds(t))/4)
	t.Logf("%d records that miekg/dns reads, %d of them are bytes for us", read, bytes)
}

// answer is a response whose only record has the data.
func answer(typ dns.Type, data []byte) []byte {
	b := []byte{0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, byte(typ >> 8), byte(typ), 0, 1, 0, 0, 0, 60, byte(len(data) >> 8), byte(len(data))}
	return append(b, data...)
}

// checkBesideMiekg compares what both read of a message, if miekg/dns reads it. It counts the records, and
// those of them that package dns shows as bytes although their type has a text: it must not, if miekg/dns
// makes the same bytes again of what it read.
func checkBesideMiekg(t *testing.T, b []byte) (records, bytes int) {
	ours, ok := dns.ParseMessage(b)
	var back miekg.Msg
	if !ok || back.Unpack(b) != nil {
		return 0, 0
	}
	want, got := texts(&back), textsOf(ours)
	if len(got) > len(want) || len(got) < len(want) && !ours.Damaged() {
		t.Fatalf("%q\n%q", want, got)
	}
	all := slices.Concat(back.Answer, back.Ns, back.Extra)
	for i := range got {
		if i >= len(back.Question) {
			records++
		}
		if got[i] == want[i] {
			continue
		}
		_, data, isBytes := strings.Cut(got[i], `\# `)
		if !isBytes || i < len(back.Question) {
			t.Errorf("%q\n%q", want[i], got[i])
			return
		}
		if rr := all[i-len(back.Question)]; data != "0" && !lacksPart(reflect.ValueOf(rr).Elem()) && `\# `+data == packed(rr) {
			t.Errorf("%q can be read:\n%q", got[i], want[i])
		}
		bytes++
	}
	return records, bytes
}

// lacksPart reports whether the data may have ended before a part of variable size. miekg/dns makes no bytes
// of a name that it has not read, nor of what a length counts.
func lacksPart(rr reflect.Value) bool {
	for i := range rr.NumField() {
		f := rr.Field(i)
		switch {
		case rr.Type().Field(i).Name == "Hdr":
		case f.Kind() == reflect.String && f.Len() == 0, f.Kind() == reflect.Struct && lacksPart(f):
			return true
		}
	}
	return false
}
