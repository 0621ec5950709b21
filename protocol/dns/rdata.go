package dns

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"
)

// data reads the data of a record from the left. The first part that is not there makes it fail.
type data struct {
	msg     []byte
	at, end int
	failed  bool
}

// data begins to read the data of a record, which fails if it is of none of these types.
func (r Record) data(types ...Type) data {
	return data{r.Name.msg, r.at, r.end, r.end > len(r.Name.msg) || r.at > r.end || !slices.Contains(types, r.Type)}
}

func (d *data) bytes(n int) []byte {
	if d.failed || n > d.end-d.at {
		d.failed = true
		return nil
	}
	d.at += n
	return d.msg[d.at-n : d.at : d.at]
}

func (d *data) rest() []byte { return d.bytes(d.end - d.at) }

func (d *data) u8() uint8 {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *data) u16() uint16 {
	if b := d.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *data) u32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// str reads a character-string: a length and as many bytes (RFC 1035 section 3.3).
func (d *data) str() []byte { return d.bytes(int(d.u8())) }

func (d *data) name() Name {
	next, ok := checkName(d.msg, d.at)
	if d.failed || !ok || next > d.end {
		d.failed = true
		return Name{}
	}
	n := Name{d.msg, d.at}
	d.at = next
	return n
}

// done reports whether all parts were there, and nothing else.
func (d *data) done() bool { return !d.failed && d.at == d.end }

// Addr is the address of an A or AAAA record.
func (r Record) Addr() (a netip.Addr, ok bool) {
	b := r.Data()
	switch {
	case r.Type == TypeA && len(b) == 4:
		return netip.AddrFrom4([4]byte(b)), true
	case r.Type == TypeAAAA && len(b) == 16:
		return netip.AddrFrom16([16]byte(b)), true
	}
	return netip.Addr{}, false
}

// Target is the name in a record that is nothing but a name: CNAME, NS, PTR, DNAME, and the old MB,
// MD, MF, MG and MR.
func (r Record) Target() (n Name, ok bool) {
	d := r.data(TypeCNAME, TypeNS, TypePTR, TypeDNAME, TypeMB, TypeMD, TypeMF, TypeMG, TypeMR)
	n = d.name()
	return n, d.done()
}

// MX is a mail exchange, or one of the like: AFSDB, RT, KX, LP.
type MX struct {
	Preference uint16
	Exchange   Name
}

// MX is the data of an MX, AFSDB, RT, KX or LP record.
func (r Record) MX() (v MX, ok bool) {
	d := r.data(TypeMX, TypeAFSDB, TypeRT, TypeKX, TypeLP)
	v = MX{d.u16(), d.name()}
	return v, d.done()
}

// SRV is where a service is, RFC 2782.
type SRV struct {
	Priority, Weight, Port uint16
	Target                 Name
}

// SRV is the data of an SRV record.
func (r Record) SRV() (v SRV, ok bool) {
	d := r.data(TypeSRV)
	v = SRV{d.u16(), d.u16(), d.u16(), d.name()}
	return v, d.done()
}

// SOA is the start of a zone of authority, RFC 1035 section 3.3.13.
type SOA struct {
	Primary, Mailbox                        Name
	Serial, Refresh, Retry, Expire, Minimum uint32
}

// SOA is the data of a SOA record.
func (r Record) SOA() (v SOA, ok bool) {
	d := r.data(TypeSOA)
	v = SOA{d.name(), d.name(), d.u32(), d.u32(), d.u32(), d.u32(), d.u32()}
	return v, d.done()
}

// TwoNames are two mailboxes, or a mailbox and where there is more about it.
type TwoNames struct{ First, Second Name }

// TwoNames is the data of an RP or MINFO record.
func (r Record) TwoNames() (v TwoNames, ok bool) {
	d := r.data(TypeRP, TypeMINFO)
	v = TwoNames{d.name(), d.name()}
	return v, d.done()
}

// Strings gives the strings of a TXT, SPF, HINFO, X25, ISDN or GPOS record, up to one that does not
// fit.
func (r Record) Strings() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { r.eachString(yield) }
}

func (r Record) eachString(yield func([]byte) bool) {
	for d := r.data(TypeTXT, TypeSPF, TypeHINFO, TypeX25, TypeISDN, TypeGPOS); !d.failed && d.at < d.end; {
		if s := d.str(); d.failed || !yield(s) {
			return
		}
	}
}

// CAA says who may issue certificates, RFC 8659.
type CAA struct {
	Flags      uint8
	Tag, Value []byte
}

// CAA is the data of a CAA record.
func (r Record) CAA() (v CAA, ok bool) {
	d := r.data(TypeCAA)
	v = CAA{d.u8(), d.str(), d.rest()}
	return v, d.done()
}

// SVCB says how to reach a service, RFC 9460.
type SVCB struct {
	Priority uint16 // 0: Target is another name for the service
	Target   Name
	params   []byte
}

// SVCB is the data of an SVCB or HTTPS record.
func (r Record) SVCB() (v SVCB, ok bool) {
	d := r.data(TypeSVCB, TypeHTTPS)
	v = SVCB{d.u16(), d.name(), d.rest()}
	return v, d.done()
}

// Param is a parameter of a service.
type Param struct {
	Key   ParamKey
	Value []byte
}

// ParamKey is the kind of a parameter.
type ParamKey uint16

// Kinds of parameters, RFC 9460 section 14.3.2, RFC 9461, RFC 9540 and RFC 9848.
const (
	ParamMandatory     ParamKey = 0
	ParamALPN          ParamKey = 1
	ParamNoDefaultALPN ParamKey = 2
	ParamPort          ParamKey = 3
	ParamIPv4Hint      ParamKey = 4
	ParamECH           ParamKey = 5
	ParamIPv6Hint      ParamKey = 6
	ParamDoHPath       ParamKey = 7
	ParamOHTTP         ParamKey = 8
)

// Params gives the parameters, up to one that does not fit.
func (s SVCB) Params() iter.Seq[Param] {
	return func(yield func(Param) bool) { s.each(yield) }
}

func (s SVCB) each(yield func(Param) bool) {
	for o := range (EDNS{options: s.params}).Options() { // a key, a length, as many bytes
		if !yield(Param{ParamKey(o.Code), o.Data}) {
			return
		}
	}
}

// DS is the digest of a key of a zone below, RFC 4034 section 5.1.
type DS struct {
	KeyTag                uint16
	Algorithm, DigestType uint8
	Digest                []byte
}

// DS is the data of a DS, CDS or DLV record.
func (r Record) DS() (v DS, ok bool) {
	d := r.data(TypeDS, TypeCDS, TypeDLV)
	v = DS{d.u16(), d.u8(), d.u8(), d.rest()}
	return v, d.done()
}

// DNSKEY is a key of a zone, RFC 4034 section 2.1.
type DNSKEY struct {
	Flags               uint16
	Protocol, Algorithm uint8
	Key                 []byte
}

// DNSKEY is the data of a DNSKEY, CDNSKEY or KEY record.
func (r Record) DNSKEY() (v DNSKEY, ok bool) {
	d := r.data(TypeDNSKEY, TypeCDNSKEY, TypeKEY)
	v = DNSKEY{d.u16(), d.u8(), d.u8(), d.rest()}
	return v, d.done()
}

// RRSIG is a signature over records, RFC 4034 section 3.1. Expiration and Inception are seconds
// since 1970, in 32 bits that wrap.
type RRSIG struct {
	Covered               Type
	Algorithm, Labels     uint8
	TTL                   uint32
	Expiration, Inception uint32
	KeyTag                uint16
	Signer                Name
	Signature             []byte
}

// RRSIG is the data of an RRSIG or SIG record.
func (r Record) RRSIG() (v RRSIG, ok bool) {
	d := r.data(TypeRRSIG, TypeSIG)
	v = RRSIG{Type(d.u16()), d.u8(), d.u8(), d.u32(), d.u32(), d.u32(), d.u16(), d.name(), d.rest()}
	return v, d.done()
}

// NSEC says what the next name of a zone is, and which types there are of this one (RFC 4034
// section 4.1).
type NSEC struct {
	Next   Name
	bitmap []byte
}

// NSEC is the data of an NSEC record.
func (r Record) NSEC() (v NSEC, ok bool) {
	d := r.data(TypeNSEC)
	v = NSEC{d.name(), d.rest()}
	return v, d.done()
}

// Types gives the types, up to the first damage.
func (n NSEC) Types() iter.Seq[Type] {
	return func(yield func(Type) bool) { eachType(n.bitmap, yield) }
}

// NSEC3 is NSEC with hashed names, RFC 5155 section 3.2.
type NSEC3 struct {
	Algorithm, Flags uint8
	Iterations       uint16
	Salt, Next       []byte
	bitmap           []byte
}

// NSEC3 is the data of an NSEC3 record.
func (r Record) NSEC3() (v NSEC3, ok bool) {
	d := r.data(TypeNSEC3)
	v = NSEC3{d.u8(), d.u8(), d.u16(), d.str(), d.str(), d.rest()}
	return v, d.done()
}

// Types gives the types, up to the first damage.
func (n NSEC3) Types() iter.Seq[Type] {
	return func(yield func(Type) bool) { eachType(n.bitmap, yield) }
}

// NSEC3Param are parameters of NSEC3, RFC 5155 section 4.2.
type NSEC3Param struct {
	Algorithm, Flags uint8
	Iterations       uint16
	Salt             []byte
}

// NSEC3Param is the data of an NSEC3PARAM record.
func (r Record) NSEC3Param() (v NSEC3Param, ok bool) {
	d := r.data(TypeNSEC3PARAM)
	v = NSEC3Param{d.u8(), d.u8(), d.u16(), d.str()}
	return v, d.done()
}

// eachType reads a bitmap of types, RFC 4034 section 4.1.2.
func eachType(b []byte, yield func(Type) bool) {
	for len(b) > 2 {
		window, n := Type(b[0])<<8, int(b[1])
		if n > len(b)-2 {
			return
		}
		for i, bits := range b[2 : 2+n] {
			for bit := range 8 {
				if bits&(0x80>>bit) != 0 && !yield(window|Type(8*i+bit)&0xff) {
					return
				}
			}
		}
		b = b[2+n:]
	}
}

// TLSA is a certificate, or a key, or the digest of one, by three numbers that say which (RFC 6698).
type TLSA struct {
	Usage, Selector, Matching uint8
	Data                      []byte
}

// TLSA is the data of a TLSA or SMIMEA record.
func (r Record) TLSA() (v TLSA, ok bool) {
	d := r.data(TypeTLSA, TypeSMIMEA)
	v = TLSA{d.u8(), d.u8(), d.u8(), d.rest()}
	return v, d.done()
}

// SSHFP is the fingerprint of a host's key, RFC 4255.
type SSHFP struct {
	Algorithm, FingerprintType uint8
	Fingerprint                []byte
}

// SSHFP is the data of an SSHFP record.
func (r Record) SSHFP() (v SSHFP, ok bool) {
	d := r.data(TypeSSHFP)
	v = SSHFP{d.u8(), d.u8(), d.rest()}
	return v, d.done()
}

// CERT is a certificate, RFC 4398.
type CERT struct {
	Format, KeyTag uint16
	Algorithm      uint8
	Data           []byte
}

// CERT is the data of a CERT record.
func (r Record) CERT() (v CERT, ok bool) {
	d := r.data(TypeCERT)
	v = CERT{d.u16(), d.u16(), d.u8(), d.rest()}
	return v, d.done()
}

// NAPTR is a rule to rewrite a name, RFC 3403 section 4.1.
type NAPTR struct {
	Order, Preference        uint16
	Flags, Services, Pattern []byte
	Replacement              Name
}

// NAPTR is the data of a NAPTR record.
func (r Record) NAPTR() (v NAPTR, ok bool) {
	d := r.data(TypeNAPTR)
	v = NAPTR{d.u16(), d.u16(), d.str(), d.str(), d.str(), d.name()}
	return v, d.done()
}

// URI is where a service is, RFC 7553.
type URI struct {
	Priority, Weight uint16
	Target           []byte
}

// URI is the data of a URI record.
func (r Record) URI() (v URI, ok bool) {
	d := r.data(TypeURI)
	v = URI{d.u16(), d.u16(), d.rest()}
	return v, d.done()
}

// ZONEMD is the digest of a zone, RFC 8976.
type ZONEMD struct {
	Serial         uint32
	Scheme, Method uint8
	Digest         []byte
}

// ZONEMD is the data of a ZONEMD record.
func (r Record) ZONEMD() (v ZONEMD, ok bool) {
	d := r.data(TypeZONEMD)
	v = ZONEMD{d.u32(), d.u8(), d.u8(), d.rest()}
	return v, d.done()
}
