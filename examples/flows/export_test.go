package main

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func cells(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	return rows
}

func TestCSVHasOneHeaderAndARowForEachFlow(t *testing.T) {
	_, stdout, _ := call(t, "-format", "csv")
	rows := cells(t, stdout)
	require.Len(t, rows, 1+len(sampleFlows))
	require.Equal(t, "uid", rows[0][0])

	odd := filepath.Join(t.TempDir(), `a "b", c.pcap`)
	b, err := os.ReadFile(captures("http.pcap"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(odd, b, 0o600))
	_, stdout, _ = call(t, "-format", "csv", captures("http.pcap"), odd)
	rows = cells(t, stdout)
	require.Len(t, rows, 1+4)
	require.Equal(t, []string{"file", "uid"}, rows[0][:2])
	require.Equal(t, [2]string{captures("http.pcap"), odd}, [2]string{rows[1][0], rows[3][0]})
	require.Equal(t, rows[1][1:], rows[3][1:])

	_, stdout, _ = call(t, "-format", "csv", capture(t))
	require.Len(t, cells(t, stdout), 1, "a table without rows has a header")
}

// dataSets counts the data sets of flows in messages, and looks at their lengths.
func dataSets(t *testing.T, messages []byte) (n int) {
	t.Helper()
	for len(messages) > 0 {
		require.Equal(t, uint16(10), binary.BigEndian.Uint16(messages))
		size := binary.BigEndian.Uint16(messages[2:])
		for sets := messages[16:size]; len(sets) > 0; sets = sets[binary.BigEndian.Uint16(sets[2:]):] {
			if id := binary.BigEndian.Uint16(sets); id >= 256 && id < 768 {
				n++
			}
		}
		messages = messages[size:]
	}
	return n
}

// What is in the messages, internal/difftest looks at.
func TestIPFIXGoesToAFileOrToACollector(t *testing.T) {
	status, stdout, stderr := call(t, "-format", "ipfix", captures("http.pcap"), captures("tunnels.pcap"))
	require.Zero(t, status, stderr)
	require.NotZero(t, dataSets(t, []byte(stdout)))

	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer socket.Close()
	status, nothing, stderr := call(t, "-format", "ipfix", "-udp", socket.LocalAddr().String(), captures("http.pcap"), captures("tunnels.pcap"))
	require.Zero(t, status, stderr)
	require.Empty(t, nothing)
	var got bytes.Buffer
	b := make([]byte, 1<<16)
	for got.Len() < len(stdout) {
		require.NoError(t, socket.SetReadDeadline(time.Now().Add(10*time.Second)))
		n, _, err := socket.ReadFrom(b)
		require.NoError(t, err)
		require.Equal(t, n, int(binary.BigEndian.Uint16(b[2:])), "a message is a datagram")
		got.Write(b[:n])
	}
	// A capture ends with a message there, and it does here: both are the same.
	require.Equal(t, stdout, got.String())

	for _, args := range [][]string{{"-udp", "127.0.0.1:1"}, {"-json", "-udp", "127.0.0.1:1"}} {
		status, _, _ := call(t, args...)
		require.Equal(t, 2, status)
	}
	status, _, stderr = call(t, "-format", "ipfix", "-udp", "no port")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "flows: ")
}

// Nobody listens: the kernel says so when the second message is sent.
func TestACollectorThatIsNotThereIsAnErrorSaidOncePerCapture(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := socket.LocalAddr().String()
	socket.Close()
	status, _, stderr := call(t, "-format", "ipfix", "-udp", addr, captures("http.pcap"), captures("tunnels.pcap"))
	if status == 0 {
		t.Skip("this system does not say that nobody listens")
	}
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "refused")
	require.LessOrEqual(t, strings.Count(stderr, "refused"), 2)
}
