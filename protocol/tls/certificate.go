package tls

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
)

// Certificate is a certificate as it was sent.
type Certificate struct {
	// Client is set if the client sent it.
	Client bool
	// DER are the bytes of the certificate. Nothing says that they are well-formed.
	DER []byte
}

// SHA1 is the SHA-1 fingerprint. It works in FIPS-only mode too.
func (c Certificate) SHA1() [20]byte { return sha1Sum(c.DER) }

// SHA256 is the SHA-256 fingerprint.
func (c Certificate) SHA256() [32]byte { return sha256.Sum256(c.DER) }

// Parse reads the subject, the validity and the rest. It says nothing about whether the certificate
// can be trusted. The result shares no memory with the message, and allocates.
func (c Certificate) Parse() (*x509.Certificate, error) {
	return x509.ParseCertificate(bytes.Clone(c.DER))
}

// countCertificates is the number of certificates in the body of a Certificate message up to TLS
// 1.2, RFC 5246 section 7.4.2, and whether they fill it.
func countCertificates(b []byte) (n int, ok bool) {
	if len(b) < 3 {
		return 0, false
	}
	ok = be24(b) == len(b)-3
	for b = b[3:]; len(b) >= 3; n++ {
		size := be24(b)
		if size > len(b)-3 {
			return n, false
		}
		b = b[3+size:]
	}
	return n, ok && len(b) == 0
}

// eachCertificate calls f with the certificates that countCertificates counts.
func eachCertificate(b []byte, f func(der []byte)) {
	n, _ := countCertificates(b)
	for b = b[min(3, len(b)):]; n > 0; n-- {
		size := be24(b)
		f(b[3:][:size:size])
		b = b[3+size:]
	}
}
