package progress

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/examples/internal/sample"
)

func TestProgressIsForBigFilesOnTerminals(t *testing.T) {
	terminal, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a character device too
	require.NoError(t, err)
	defer terminal.Close()
	require.Nil(t, New(terminal, "../sample/sample.pcapng"), "a small file")
	big := filepath.Join(t.TempDir(), "big.pcap")
	require.NoError(t, os.WriteFile(big, nil, 0o600))
	require.NoError(t, os.Truncate(big, bigFile)) // a hole, not bytes
	require.NotNil(t, New(terminal, big))
	require.Nil(t, New(&bytes.Buffer{}, big), "no file at all")
	pipe, err := os.Open(big)
	require.NoError(t, err)
	defer pipe.Close()
	require.Nil(t, New(pipe, big), "a file, but no terminal")

	var b *Bar
	b.Packet(100)
	b.Clear()

	var out bytes.Buffer
	b = &Bar{w: &out, name: "big.pcap", size: 1000 << 20}
	for range 1000 {
		b.Packet(1 << 20)
	}
	require.LessOrEqual(t, strings.Count(out.String(), "\r"), 201)
	require.Contains(t, out.String(), "\rbig.pcap: 1 packets, 1 MB of 1000 MB")
	out.Reset()
	b.Clear()
	require.Empty(t, strings.TrimSpace(out.String()))
}

func TestPacketsThatAreReadAreCounted(t *testing.T) {
	for _, b := range []*Bar{nil, {w: &bytes.Buffer{}, size: 1000}} {
		n := 0
		for _, err := range b.Of(sample.Packets()) {
			require.NoError(t, err)
			if n++; n == 7 {
				break
			}
		}
		if b != nil {
			require.Equal(t, 7, b.packets)
		}
	}
}
