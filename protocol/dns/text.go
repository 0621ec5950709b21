package dns

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
)

// Text is the record's data as people write it: see AppendText.
func (r Record) Text() string { return string(r.AppendText(nil)) }

// AppendText appends the record's data in the form that RFC 1035 section 5 and the RFC of its type
// give it, such as "192.0.2.1", "10 mail.example.com" or "0 0 53 ns.example.com". Names are shown as
// by Name.String, and the strings of TXT and SPF one after the other without quotes. Types that this
// package does not know, and data that is not as its type says, are shown by length and hexadecimal
// digits as in RFC 3597 section 5: "\# 4 c0000201".
func (r Record) AppendText(b []byte) []byte {
	if t, ok := r.appendKnown(b); ok {
		return t
	}
	b = append(b, `\# `...)
	b = strconv.AppendInt(b, int64(len(r.Data())), 10)
	if len(r.Data()) > 0 {
		b = hex.AppendEncode(append(b, ' '), r.Data())
	}
	return b
}

// appendKnown appends data of a type that this package can read, which is not damaged.
func (r Record) appendKnown(b []byte) ([]byte, bool) {
	w := words{b: b, start: len(b)}
	switch r.Type {
	case TypeA, TypeAAAA:
		a, ok := r.Addr()
		return a.AppendTo(b), ok
	case TypeCNAME, TypeNS, TypePTR, TypeDNAME, TypeMB, TypeMD, TypeMF, TypeMG, TypeMR:
		n, ok := r.Target()
		return n.AppendText(b), ok
	case TypeMX, TypeAFSDB, TypeRT, TypeKX, TypeLP:
		v, ok := r.MX()
		return w.n(v.Preference).name(v.Exchange).b, ok
	case TypeSRV:
		v, ok := r.SRV()
		return w.n(v.Priority).n(v.Weight).n(v.Port).name(v.Target).b, ok
	case TypeSOA:
		v, ok := r.SOA()
		return w.name(v.Primary).name(v.Mailbox).n32(v.Serial).n32(v.Refresh).n32(v.Retry).n32(v.Expire).n32(v.Minimum).b, ok
	case TypeRP, TypeMINFO:
		v, ok := r.TwoNames()
		return w.name(v.First).name(v.Second).b, ok
	case TypeTXT, TypeSPF, TypeHINFO, TypeX25, TypeISDN, TypeGPOS:
		return r.appendStrings(w)
	case TypeCAA:
		v, ok := r.CAA()
		return w.n(uint16(v.Flags)).raw(v.Tag).quoted(v.Value).b, ok
	case TypeSVCB, TypeHTTPS:
		return r.appendSVCB(w)
	case TypeDS, TypeCDS, TypeDLV:
		v, ok := r.DS()
		return w.n(v.KeyTag).n(uint16(v.Algorithm)).n(uint16(v.DigestType)).hex(v.Digest).b, ok
	case TypeDNSKEY, TypeCDNSKEY, TypeKEY:
		v, ok := r.DNSKEY()
		return w.n(v.Flags).n(uint16(v.Protocol)).n(uint16(v.Algorithm)).base64(v.Key).b, ok
	case TypeRRSIG, TypeSIG:
		v, ok := r.RRSIG()
		return w.str(v.Covered.String()).n(uint16(v.Algorithm)).n(uint16(v.Labels)).n32(v.TTL).
			date(v.Expiration).date(v.Inception).n(v.KeyTag).name(v.Signer).base64(v.Signature).b, ok
	case TypeNSEC:
		v, ok := r.NSEC()
		return w.name(v.Next).types(v.bitmap).b, ok
	case TypeNSEC3:
		v, ok := r.NSEC3()
		return w.n(uint16(v.Algorithm)).n(uint16(v.Flags)).n(v.Iterations).salt(v.Salt).base32(v.Next).types(v.bitmap).b, ok
	case TypeNSEC3PARAM:
		v, ok := r.NSEC3Param()
		return w.n(uint16(v.Algorithm)).n(uint16(v.Flags)).n(v.Iterations).salt(v.Salt).b, ok
	case TypeTLSA, TypeSMIMEA:
		v, ok := r.TLSA()
		return w.n(uint16(v.Usage)).n(uint16(v.Selector)).n(uint16(v.Matching)).hex(v.Data).b, ok
	case TypeSSHFP:
		v, ok := r.SSHFP()
		return w.n(uint16(v.Algorithm)).n(uint16(v.FingerprintType)).hex(v.Fingerprint).b, ok
	case TypeCERT:
		v, ok := r.CERT()
		return w.n(v.Format).n(v.KeyTag).n(uint16(v.Algorithm)).base64(v.Data).b, ok
	case TypeNAPTR:
		v, ok := r.NAPTR()
		return w.n(v.Order).n(v.Preference).quoted(v.Flags).quoted(v.Services).quoted(v.Pattern).name(v.Replacement).b, ok
	case TypeURI:
		v, ok := r.URI()
		return w.n(v.Priority).n(v.Weight).quoted(v.Target).b, ok
	case TypeZONEMD:
		v, ok := r.ZONEMD()
		return w.n32(v.Serial).n(uint16(v.Scheme)).n(uint16(v.Method)).hex(v.Digest).b, ok
	case TypeDHCID, TypeOPENPGPKEY:
		return w.base64(r.Data()).b, len(r.Data()) > 0
	}
	return b, false
}

// appendStrings appends strings: those of TXT joined, of the others each in quotes.
func (r Record) appendStrings(w words) ([]byte, bool) {
	n, size := 0, 0
	for s := range r.Strings() {
		if n, size = n+1, size+1+len(s); r.Type == TypeTXT || r.Type == TypeSPF {
			w.b = appendText(w.b, s)
		} else {
			w = w.quoted(s)
		}
	}
	return w.b, size == len(r.Data()) && r.hasStrings(n)
}

// hasStrings reports whether a record of this type can have n strings.
func (r Record) hasStrings(n int) bool {
	switch r.Type {
	case TypeHINFO: // RFC 1035 section 3.3.2
		return n == 2
	case TypeX25: // RFC 1183 section 3.1
		return n == 1
	case TypeISDN: // RFC 1183 section 3.2: the second may be absent
		return n == 1 || n == 2
	case TypeGPOS: // RFC 1712 section 3
		return n == 3
	}
	return n > 0 // TXT and SPF, RFC 1035 section 3.3.14
}

func (r Record) appendSVCB(w words) ([]byte, bool) {
	v, ok := r.SVCB()
	if !ok {
		return w.b, false
	}
	w = w.n(v.Priority).name(v.Target)
	n := 0
	for p := range v.Params() {
		n += 4 + len(p.Value)
		w = w.str(p.Key.String())
		w.b = p.appendValue(w.b)
	}
	return w.b, n == len(v.params)
}

// String is the key's name, or for example "key667".
func (k ParamKey) String() string {
	switch k {
	case ParamMandatory:
		return "mandatory"
	case ParamALPN:
		return "alpn"
	case ParamNoDefaultALPN:
		return "no-default-alpn"
	case ParamPort:
		return "port"
	case ParamIPv4Hint:
		return "ipv4hint"
	case ParamECH:
		return "ech"
	case ParamIPv6Hint:
		return "ipv6hint"
	case ParamDoHPath:
		return "dohpath"
	case ParamOHTTP:
		return "ohttp"
	}
	return "key" + strconv.Itoa(int(k))
}

// appendValue appends "=" and the value, or nothing if it is empty (RFC 9460 section 2.1). A value
// that is not as its key says is shown as bytes.
func (p Param) appendValue(b []byte) []byte {
	if len(p.Value) == 0 {
		return b
	}
	b = append(b, '=')
	at, v := len(b), p.Value
	comma := func() {
		if len(b) > at {
			b = append(b, ',')
		}
	}
	switch {
	case p.Key == ParamMandatory && len(v)%2 == 0:
		for ; len(v) > 0; v = v[2:] {
			comma()
			b = append(b, ParamKey(binary.BigEndian.Uint16(v)).String()...)
		}
	case p.Key == ParamALPN: // no identifier is empty, RFC 9460 section 7.1.1
		for len(v) > 0 && v[0] > 0 && int(v[0]) < len(v) {
			comma()
			b = appendText(b, v[1:1+v[0]])
			v = v[1+v[0]:]
		}
		if len(v) > 0 {
			b = appendText(b[:at], p.Value)
		}
	case p.Key == ParamPort && len(v) == 2:
		b = strconv.AppendUint(b, uint64(binary.BigEndian.Uint16(v)), 10)
	case p.Key == ParamIPv4Hint && len(v)%4 == 0:
		for ; len(v) > 0; v = v[4:] {
			comma()
			b = netip.AddrFrom4([4]byte(v)).AppendTo(b)
		}
	case p.Key == ParamIPv6Hint && len(v)%16 == 0:
		for ; len(v) > 0; v = v[16:] {
			comma()
			b = netip.AddrFrom16([16]byte(v)).AppendTo(b)
		}
	case p.Key == ParamECH:
		b = base64.StdEncoding.AppendEncode(b, v)
	default:
		b = appendText(b, v)
	}
	return b
}

// appendText appends bytes of a string: spaces as they are, the rest as in a name.
func appendText(b, s []byte) []byte {
	for _, c := range s {
		if c == ' ' {
			b = append(b, c)
		} else {
			b = appendEscaped(b, c)
		}
	}
	return b
}

// words appends words with spaces between them.
type words struct {
	b     []byte
	start int
}

func (w words) next() words {
	if len(w.b) > w.start {
		w.b = append(w.b, ' ')
	}
	return w
}

func (w words) n(n uint16) words { return w.n32(uint32(n)) }

func (w words) n32(n uint32) words {
	w = w.next()
	w.b = strconv.AppendUint(w.b, uint64(n), 10)
	return w
}

func (w words) str(s string) words {
	w = w.next()
	w.b = append(w.b, s...)
	return w
}

func (w words) raw(s []byte) words {
	w = w.next()
	w.b = appendText(w.b, s)
	return w
}

func (w words) name(n Name) words {
	w = w.next()
	w.b = n.AppendText(w.b)
	return w
}

func (w words) quoted(s []byte) words {
	w = w.next()
	w.b = append(w.b, '"')
	for _, c := range s {
		switch c {
		case ' ':
			w.b = append(w.b, c)
		case '"':
			w.b = append(w.b, '\\', c)
		default:
			w.b = appendEscaped(w.b, c)
		}
	}
	w.b = append(w.b, '"')
	return w
}

func (w words) hex(s []byte) words {
	w = w.next()
	w.b = hex.AppendEncode(w.b, s)
	return w
}

func (w words) base64(s []byte) words {
	w = w.next()
	w.b = base64.StdEncoding.AppendEncode(w.b, s)
	return w
}

// base32 is the form of hashed names, RFC 5155 section 3.3.
func (w words) base32(s []byte) words {
	w = w.next()
	w.b = base32.HexEncoding.WithPadding(base32.NoPadding).AppendEncode(w.b, s)
	return w
}

func (w words) salt(s []byte) words {
	if len(s) == 0 {
		return w.str("-")
	}
	return w.hex(s)
}

func (w words) types(bitmap []byte) words {
	eachType(bitmap, func(t Type) bool {
		w = w.str(t.String())
		return true
	})
	return w
}

// date is the form of RFC 4034 section 3.2.
func (w words) date(seconds uint32) words {
	w = w.next()
	w.b = time.Unix(int64(seconds), 0).UTC().AppendFormat(w.b, "20060102150405")
	return w
}
