package tls

import (
	stdmd5 "crypto/md5"
	stdsha1 "crypto/sha1"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// fipsOnly reports whether the standard library refuses MD5 and SHA-1, see TestFIPSOnly.
func fipsOnly() bool { return strings.Contains(os.Getenv("GODEBUG"), "fips140=only") }

func md5Sum(parts ...string) MD5 {
	m := newMD5()
	for _, p := range parts {
		m.write([]byte(p))
	}
	return m.sum()
}

func TestHashesOfTheStandards(t *testing.T) {
	// RFC 1321 appendix A.5, RFC 3174 section 7.3.
	assert.Equal(t, "d41d8cd98f00b204e9800998ecf8427e", md5Sum().String())
	assert.Equal(t, "f96b697d7cb7938d525a2f31aaf161d0", md5Sum("message", " digest").String())
	assert.Equal(t, "57edf4a22be3c955ac49da2e2107b67a", md5Sum(strings.Repeat("1234567890", 8)).String())
	sum := sha1Sum([]byte("abc"))
	assert.Equal(t, "a9993e364706816aba3e25717850c26c9cd0d89d", hex.EncodeToString(sum[:]))
	sum = sha1Sum([]byte("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))
	assert.Equal(t, "84983e441c3bd26ebaae4aa1f95129e5e54670f1", hex.EncodeToString(sum[:]))
}

func TestHashesAreThoseOfTheStandardLibrary(t *testing.T) {
	if fipsOnly() {
		t.Skip("the standard library refuses them")
	}
	text := strings.Repeat("what is hashed ", 30)
	for n := range text {
		for _, cut := range []int{0, n / 3, n} {
			assert.EqualValues(t, stdmd5.Sum([]byte(text[:n])), md5Sum(text[:cut], text[cut:n]))
		}
		assert.Equal(t, stdsha1.Sum([]byte(text[:n])), sha1Sum([]byte(text[:n])))
	}
	m := newMD5()
	for i := range len(text) {
		m.writeByte(text[i])
	}
	assert.EqualValues(t, stdmd5.Sum([]byte(text)), m.sum())
}
