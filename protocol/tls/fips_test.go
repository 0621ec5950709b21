package tls_test

import (
	"crypto/md5"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fipsOnly reports whether this is the process that TestFIPSOnly has started.
func fipsOnly() bool { return strings.Contains(os.Getenv("GODEBUG"), "fips140=only") }

// All tests of the package pass where the standard library refuses what FIPS 140 does not approve.
func TestFIPSOnly(t *testing.T) {
	if fipsOnly() {
		assert.Panics(t, func() { md5.Sum(nil) }, "the mode is not on, so this proves nothing")
		return
	}
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program, "-test.short")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "unsupported") && strings.Contains(string(out), "FIPS 140") && !strings.Contains(string(out), "---") {
		t.Skip("not for this platform: ", string(out))
	}
	require.NoError(t, err, string(out))
}
