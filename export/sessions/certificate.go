package sessions

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"

	"github.com/flowscope-go/flowscope/protocol/tls"
)

// certificate appends what is said of the server's certificate.
func (o *object) certificate(c tls.Certificate) {
	x, err := c.Parse()
	if err == nil {
		o.text("subject", nameText(x.RawSubject))
		o.text("issuerdn", nameText(x.RawIssuer))
		o.name("serial")
		o.octets(integer(x.SerialNumber), "0123456789ABCDEF")
	}
	sum := c.SHA1()
	o.name("fingerprint")
	o.octets(sum[:], "0123456789abcdef")
	if err == nil {
		o.text("notbefore", x.NotBefore.UTC().Format("2006-01-02T15:04:05"))
		o.text("notafter", x.NotAfter.UTC().Format("2006-01-02T15:04:05"))
	}
}

// octets appends a string of octets with colons between them.
func (o *object) octets(v []byte, digits string) {
	o.b = append(o.b, '"')
	for i, c := range v {
		if i > 0 {
			o.b = append(o.b, ':')
		}
		o.b = appendHex(o.b, c, digits)
	}
	o.b = append(o.b, '"')
}

// integer is how DER writes a number that is not negative (X.690 section 8.3): with a zero in front where the
// first bit would be taken for a sign.
func integer(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}

// nameText is the text of a name of X.501 as Suricata writes it: in the order of the certificate, with ", " between
// its parts and nothing escaped, as in "C=US, O=Example, Inc., CN=example.com". It is empty if the name
// cannot be read.
func nameText(der []byte) string {
	var name pkix.RDNSequence
	if _, err := asn1.Unmarshal(der, &name); err != nil {
		return ""
	}
	var b []byte
	for i, part := range name {
		for k, a := range part {
			switch {
			case k > 0:
				b = append(b, " + "...)
			case i > 0:
				b = append(b, ", "...)
			}
			b = append(append(b, attribute(a.Type)...), '=')
			s, _ := a.Value.(string) // package x509 reads no certificate with another value
			b = append(b, s...)
		}
	}
	return string(b)
}

var attributes = []struct {
	oid  asn1.ObjectIdentifier
	name string
}{
	{asn1.ObjectIdentifier{2, 5, 4, 3}, "CN"}, {asn1.ObjectIdentifier{2, 5, 4, 6}, "C"},
	{asn1.ObjectIdentifier{2, 5, 4, 7}, "L"}, {asn1.ObjectIdentifier{2, 5, 4, 8}, "ST"},
	{asn1.ObjectIdentifier{2, 5, 4, 10}, "O"}, {asn1.ObjectIdentifier{2, 5, 4, 11}, "OU"},
	{asn1.ObjectIdentifier{2, 5, 4, 5}, "serialNumber"},
	{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, "DC"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, "Email"},
}

// attribute is the name of a type of attribute, or its number.
func attribute(oid asn1.ObjectIdentifier) string {
	for _, a := range attributes {
		if a.oid.Equal(oid) {
			return a.name
		}
	}
	return oid.String()
}
