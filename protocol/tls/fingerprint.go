package tls

import (
	"crypto/sha256"
	"slices"
)

// Fingerprints of hellos. JA3 and JA3S are defined by github.com/salesforce/ja3 (BSD-3-Clause), JA4
// by FoxIO's technical description of JA4 (BSD-3-Clause).

// JA3 is the MD5 of five fields in decimal: the legacy version, the ciphers, the types of the
// extensions, the groups and the point formats, without GREASE. Fields that are empty stay, as empty
// text. It is zero if not even the ciphers make sense.
func (h ClientHello) JA3() MD5 {
	p := h.parts()
	if p.level < 2 {
		return MD5{}
	}
	m := newMD5()
	m.decimal(int(h.Legacy()))
	m.writeByte(',')
	m.list(p.ciphers)
	m.writeByte(',')
	m.types(p.extensions, true)
	m.writeByte(',')
	groups, _, _ := vector16(extension(p.extensions, extSupportedGroups))
	m.list(groups)
	m.writeByte(',')
	formats, _, _ := vector8(extension(p.extensions, extPointFormats))
	for i, f := range formats {
		m.separate(i == 0)
		m.decimal(int(f))
	}
	return m.sum()
}

// JA3S is the MD5 of the legacy version, the cipher and the types of the extensions, in decimal.
func (h ServerHello) JA3S() MD5 {
	p := h.parts()
	if !p.ok {
		return MD5{}
	}
	m := newMD5()
	m.decimal(int(h.Legacy()))
	m.writeByte(',')
	m.decimal(int(p.cipher))
	m.writeByte(',')
	m.types(p.extensions, false)
	return m.sum()
}

// list writes 16-bit numbers without GREASE.
func (m *md5) list(b []byte) {
	first := true
	for ; len(b) >= 2; b = b[2:] {
		if n := be16(b); !isGREASE(uint16(n)) {
			m.separate(first)
			m.decimal(n)
			first = false
		}
	}
}

// types writes the types of extensions.
func (m *md5) types(extensions []byte, client bool) {
	first := true
	for t := range eachExtension(extensions) {
		if !client || !isGREASE(t) {
			m.separate(first)
			m.decimal(int(t))
			first = false
		}
	}
}

func (m *md5) separate(first bool) {
	if !first {
		m.writeByte('-')
	}
}

// JA4 is a fingerprint of JA4, such as "t13d1516h2_8daaf6152771_02713d6af862". It is zero where
// there is no hello to take it from.
type JA4 [36]byte

// String is the fingerprint, or empty if it is zero.
func (j JA4) String() string {
	if j == (JA4{}) {
		return ""
	}
	return string(j[:])
}

// JA4 is the fingerprint of the hello over TCP. It is zero if not even the ciphers make sense. It
// allocates only for more than 128 ciphers, extensions or signature algorithms.
func (h ClientHello) JA4() (j JA4) {
	p := h.parts()
	if p.level < 2 {
		return j
	}
	var room [128]uint16
	ciphers, extensions, sni := room[:0], 0, byte('i')
	for c := range numbers(p.ciphers) {
		if !isGREASE(c) {
			ciphers = append(ciphers, c)
		}
	}
	copy(j[:], "t"+ja4Version(h.Offered()))
	two(j[4:], len(ciphers))
	slices.Sort(ciphers)
	j[10], j[23] = '_', '_'
	ja4Hash(j[11:23], ciphers, nil, false)

	sorted := room[:0]
	for t := range eachExtension(p.extensions) {
		if isGREASE(t) {
			continue
		}
		extensions++
		switch t {
		case extServerName:
			sni = 'd'
		case extALPN:
		default:
			sorted = append(sorted, t)
		}
	}
	j[3] = sni
	two(j[6:], extensions)
	j[8], j[9] = '0', '0'
	for name := range h.ALPN() {
		j[8], j[9] = ja4ALPN(name)
		break
	}
	slices.Sort(sorted)
	list, _, _ := vector16(extension(p.extensions, extSignatureAlgorithms))
	ja4Hash(j[24:], sorted, list, true)
	return j
}

// ja4Version is the version as JA4 writes it.
func ja4Version(v Version) string {
	switch v {
	case VersionTLS13:
		return "13"
	case VersionTLS12:
		return "12"
	case VersionTLS11:
		return "11"
	case VersionTLS10:
		return "10"
	case VersionSSL30:
		return "s3"
	case VersionSSL20:
		return "s2"
	}
	return "00"
}

// two writes n with two digits, 99 if it is more.
func two(b []byte, n int) {
	n = min(n, 99)
	b[0], b[1] = '0'+byte(n/10), '0'+byte(n%10)
}

// ja4ALPN are the first and the last byte of an ALPN value if both are letters or digits, else the
// first and the last digit of its hexadecimal form.
func ja4ALPN(name []byte) (first, last byte) {
	if len(name) == 0 {
		return '0', '0'
	}
	first, last = name[0], name[len(name)-1]
	if !isAlphanumeric(first) || !isAlphanumeric(last) {
		return hexDigits[first>>4], hexDigits[last&15]
	}
	return first, last
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// ja4Hash writes 12 hexadecimal digits of the SHA-256 of the sorted list and, behind an underscore
// if there are any, of the signature algorithms in their order. Of no list it is zeros.
func ja4Hash(dst []byte, sorted []uint16, signatures []byte, extensions bool) {
	var room [2 * 5 * 128]byte
	b := room[:0]
	for _, n := range sorted {
		b = appendHex(b, n)
	}
	if len(b) == 0 {
		copy(dst, "000000000000")
		return
	}
	b = b[:len(b)-1]
	if extensions {
		mark := byte('_')
		for n := range numbers(signatures) {
			if !isGREASE(n) {
				b = append(b, mark)
				b = appendHex(b, n)
				b, mark = b[:len(b)-1], ','
			}
		}
	}
	sum := sha256.Sum256(b)
	for i := range 6 {
		dst[2*i], dst[2*i+1] = hexDigits[sum[i]>>4], hexDigits[sum[i]&15]
	}
}

// appendHex appends n with four digits and a comma.
func appendHex(b []byte, n uint16) []byte {
	return append(b, hexDigits[n>>12], hexDigits[n>>8&15], hexDigits[n>>4&15], hexDigits[n&15], ',')
}
