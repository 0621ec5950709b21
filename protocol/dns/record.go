package dns

import (
	"strconv"
)

// Question is a question of a query.
type Question struct {
	Name  Name
	Type  Type
	Class Class // of mDNS the top bit asks for a unicast response
}

// Record is one resource record. Its data is read when it is asked for, by the method for its
// type: Addr, Target, MX and so on, each of which reports false for other types and if the data is
// damaged. AppendText shows any.
type Record struct {
	Name  Name
	Type  Type
	Class Class // of mDNS the top bit says that the record replaces others
	TTL   uint32

	at, end int // of the data, in the message
}

// Data are the bytes of the record's data as they are in the message, where names may refer to what
// came before.
func (r Record) Data() []byte {
	if r.end > len(r.Name.msg) || r.at > r.end {
		return nil
	}
	return r.Name.msg[r.at:r.end:r.end]
}

// Type is the type of a record, or of what a question asks for.
type Type uint16

// Types of records, as IANA has them in "Domain Name System (DNS) Parameters".
const (
	TypeA          Type = 1
	TypeNS         Type = 2
	TypeMD         Type = 3
	TypeMF         Type = 4
	TypeCNAME      Type = 5
	TypeSOA        Type = 6
	TypeMB         Type = 7
	TypeMG         Type = 8
	TypeMR         Type = 9
	TypeNULL       Type = 10
	TypeWKS        Type = 11
	TypePTR        Type = 12
	TypeHINFO      Type = 13
	TypeMINFO      Type = 14
	TypeMX         Type = 15
	TypeTXT        Type = 16
	TypeRP         Type = 17
	TypeAFSDB      Type = 18
	TypeX25        Type = 19
	TypeISDN       Type = 20
	TypeRT         Type = 21
	TypeSIG        Type = 24
	TypeKEY        Type = 25
	TypePX         Type = 26
	TypeGPOS       Type = 27
	TypeAAAA       Type = 28
	TypeLOC        Type = 29
	TypeNXT        Type = 30
	TypeSRV        Type = 33
	TypeNAPTR      Type = 35
	TypeKX         Type = 36
	TypeCERT       Type = 37
	TypeDNAME      Type = 39
	TypeOPT        Type = 41
	TypeAPL        Type = 42
	TypeDS         Type = 43
	TypeSSHFP      Type = 44
	TypeIPSECKEY   Type = 45
	TypeRRSIG      Type = 46
	TypeNSEC       Type = 47
	TypeDNSKEY     Type = 48
	TypeDHCID      Type = 49
	TypeNSEC3      Type = 50
	TypeNSEC3PARAM Type = 51
	TypeTLSA       Type = 52
	TypeSMIMEA     Type = 53
	TypeHIP        Type = 55
	TypeCDS        Type = 59
	TypeCDNSKEY    Type = 60
	TypeOPENPGPKEY Type = 61
	TypeCSYNC      Type = 62
	TypeZONEMD     Type = 63
	TypeSVCB       Type = 64
	TypeHTTPS      Type = 65
	TypeSPF        Type = 99
	TypeNID        Type = 104
	TypeL32        Type = 105
	TypeL64        Type = 106
	TypeLP         Type = 107
	TypeEUI48      Type = 108
	TypeEUI64      Type = 109
	TypeTKEY       Type = 249
	TypeTSIG       Type = 250
	TypeIXFR       Type = 251
	TypeAXFR       Type = 252
	TypeMAILB      Type = 253
	TypeMAILA      Type = 254
	TypeANY        Type = 255
	TypeURI        Type = 256
	TypeCAA        Type = 257
	TypeDLV        Type = 32769
)

var typeNames = [...]string{
	TypeA: "A", TypeNS: "NS", TypeMD: "MD", TypeMF: "MF", TypeCNAME: "CNAME", TypeSOA: "SOA", TypeMB: "MB", TypeMG: "MG",
	TypeMR: "MR", TypeNULL: "NULL", TypeWKS: "WKS", TypePTR: "PTR", TypeHINFO: "HINFO", TypeMINFO: "MINFO", TypeMX: "MX",
	TypeTXT: "TXT", TypeRP: "RP", TypeAFSDB: "AFSDB", TypeX25: "X25", TypeISDN: "ISDN", TypeRT: "RT", TypeSIG: "SIG",
	TypeKEY: "KEY", TypePX: "PX", TypeGPOS: "GPOS", TypeAAAA: "AAAA", TypeLOC: "LOC", TypeNXT: "NXT", TypeSRV: "SRV",
	TypeNAPTR: "NAPTR", TypeKX: "KX", TypeCERT: "CERT", TypeDNAME: "DNAME", TypeOPT: "OPT", TypeAPL: "APL", TypeDS: "DS",
	TypeSSHFP: "SSHFP", TypeIPSECKEY: "IPSECKEY", TypeRRSIG: "RRSIG", TypeNSEC: "NSEC", TypeDNSKEY: "DNSKEY",
	TypeDHCID: "DHCID", TypeNSEC3: "NSEC3", TypeNSEC3PARAM: "NSEC3PARAM", TypeTLSA: "TLSA", TypeSMIMEA: "SMIMEA",
	TypeHIP: "HIP", TypeCDS: "CDS", TypeCDNSKEY: "CDNSKEY", TypeOPENPGPKEY: "OPENPGPKEY", TypeCSYNC: "CSYNC",
	TypeZONEMD: "ZONEMD", TypeSVCB: "SVCB", TypeHTTPS: "HTTPS", TypeSPF: "SPF", TypeNID: "NID", TypeL32: "L32",
	TypeL64: "L64", TypeLP: "LP", TypeEUI48: "EUI48", TypeEUI64: "EUI64", TypeTKEY: "TKEY", TypeTSIG: "TSIG",
	TypeIXFR: "IXFR", TypeAXFR: "AXFR", TypeMAILB: "MAILB", TypeMAILA: "MAILA", TypeANY: "ANY", TypeURI: "URI",
	TypeCAA: "CAA",
}

// String is the type's mnemonic, or for example "TYPE65280" (RFC 3597 section 5).
func (t Type) String() string {
	switch {
	case int(t) < len(typeNames) && typeNames[t] != "":
		return typeNames[t]
	case t == TypeDLV:
		return "DLV"
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// Class is the class of a record; it is ClassIN in almost all.
type Class uint16

// Classes of records.
const (
	ClassIN   Class = 1
	ClassCH   Class = 3
	ClassHS   Class = 4
	ClassNONE Class = 254 // RFC 2136
	ClassANY  Class = 255
)

// known reports whether it is a class that programs ask for.
func (c Class) known() bool {
	switch c {
	case ClassIN, ClassCH, ClassHS, ClassNONE, ClassANY:
		return true
	}
	return false
}

// String is the class's mnemonic, or for example "CLASS32" (RFC 3597 section 5).
func (c Class) String() string {
	switch c {
	case ClassIN:
		return "IN"
	case ClassCH:
		return "CH"
	case ClassHS:
		return "HS"
	case ClassNONE:
		return "NONE"
	case ClassANY:
		return "ANY"
	}
	return "CLASS" + strconv.Itoa(int(c))
}

// Opcode is the kind of a query.
type Opcode uint8

// Kinds of queries.
const (
	OpcodeQuery  Opcode = 0
	OpcodeIQuery Opcode = 1 // obsolete, RFC 3425
	OpcodeStatus Opcode = 2
	OpcodeNotify Opcode = 4 // RFC 1996
	OpcodeUpdate Opcode = 5 // RFC 2136
	OpcodeDSO    Opcode = 6 // RFC 8490
)

var opcodeNames = [...]string{
	OpcodeQuery: "QUERY", OpcodeIQuery: "IQUERY", OpcodeStatus: "STATUS", OpcodeNotify: "NOTIFY", OpcodeUpdate: "UPDATE",
	OpcodeDSO: "DSO",
}

// String is the opcode's mnemonic, or for example "OPCODE7".
func (o Opcode) String() string {
	if int(o) < len(opcodeNames) && opcodeNames[o] != "" {
		return opcodeNames[o]
	}
	return "OPCODE" + strconv.Itoa(int(o))
}

// Rcode is the result in a response.
type Rcode uint16

// Results.
const (
	RcodeNoError   Rcode = 0
	RcodeFormErr   Rcode = 1
	RcodeServFail  Rcode = 2
	RcodeNXDomain  Rcode = 3
	RcodeNotImp    Rcode = 4
	RcodeRefused   Rcode = 5
	RcodeYXDomain  Rcode = 6
	RcodeYXRRSet   Rcode = 7
	RcodeNXRRSet   Rcode = 8
	RcodeNotAuth   Rcode = 9
	RcodeNotZone   Rcode = 10
	RcodeBadVers   Rcode = 16
	RcodeBadCookie Rcode = 23
)

var rcodeNames = [...]string{
	RcodeNoError: "NOERROR", RcodeFormErr: "FORMERR", RcodeServFail: "SERVFAIL", RcodeNXDomain: "NXDOMAIN",
	RcodeNotImp: "NOTIMP", RcodeRefused: "REFUSED", RcodeYXDomain: "YXDOMAIN", RcodeYXRRSet: "YXRRSET",
	RcodeNXRRSet: "NXRRSET", RcodeNotAuth: "NOTAUTH", RcodeNotZone: "NOTZONE", RcodeBadVers: "BADVERS",
	RcodeBadCookie: "BADCOOKIE",
}

// String is the result's mnemonic, or for example "RCODE11".
func (r Rcode) String() string {
	if int(r) < len(rcodeNames) && rcodeNames[r] != "" {
		return rcodeNames[r]
	}
	return "RCODE" + strconv.Itoa(int(r))
}
