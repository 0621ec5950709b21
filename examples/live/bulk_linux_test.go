package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// The client of the bulk test sends bulk bytes, the last ones slowly, when the sniffer has read the rest: tail blocks.
// After a loss of more than two windows a driver believes the eighth segment only, and from the tail it learns how
// much is missing.
const (
	bulk       = 8 << 20
	blockBytes = 64 << 10
	tail       = 16
	tailBytes  = 1 << 10
)

const gsoMaxSize = 8 * 65_535 // BIG TCP: the kernel's GSO_MAX_SIZE

func receiveBulk() {
	l, err := net.Listen("tcp", ":7000")
	check(err)
	fmt.Println("ready")
	c, err := l.Accept()
	check(err)
	_, err = io.CopyN(io.Discard, c, bulk-tail*tailBytes)
	check(err)
	fmt.Fprint(c, "done")
	_, _ = io.Copy(io.Discard, c)
	c.Close()
}

func sendBulk() {
	args := arguments()
	pause, err := time.ParseDuration(args[1])
	check(err)
	c, err := net.DialTimeout("tcp", args[0], 5*time.Second)
	check(err)
	send := func(n, size int, pause time.Duration) {
		for block := make([]byte, size); n > 0; n -= size {
			_, err := c.Write(block[:min(n, size)])
			check(err)
			time.Sleep(pause)
		}
	}
	send(bulk-tail*tailBytes, blockBytes, pause)
	_, err = io.ReadFull(c, make([]byte, len("done")))
	check(err)
	fmt.Println("done")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the sniffer has read all
	send(tail*tailBytes, tailBytes, 5*time.Millisecond)
	c.Close()
}

// With offloads on, the frames that a packet socket sees hold many segments. No frame is cut, and there is no gap without
// a drop. At full speed the kernel may drop many, with a pause after each block few or none.
func TestBulkIsCapturedWhole(t *testing.T) {
	for _, c := range []struct {
		name, server string
		setUp        func(*testing.T, network)
		mean, most   int // the frames' mean length is more, and their payload at most
	}{
		{"offloads on", "192.0.2.2:7000", func(*testing.T, network) {}, 3000, 65_535},
		{"offloads off", "192.0.2.2:7000", withoutOffloads, 500, 1460},
		{"BIG TCP", "[2001:db8::2]:7000", withBigTCP, 3000, gsoMaxSize},
	} {
		for _, pause := range []time.Duration{0, time.Millisecond} {
			t.Run(fmt.Sprintf("%s, pause %v", c.name, pause), func(t *testing.T) {
				if pause == 0 && !full() {
					t.Skip("at full size only: FLOWSCOPE_LIVE=full")
				}
				n := newNetwork(t, 1)
				c.setUp(t, n)
				server := part(t, n.b, "bulk server")
				server.out.wait(t, "ready")
				live := n.sniff(t, "-i", "fslive1", "-format", "json", "tcp", "port", "7000")
				client := part(t, n.a, "bulk client", c.server, pause.String())
				client.out.wait(t, "done")
				time.Sleep(200 * time.Millisecond) // the ring is empty, or the rest is in its last block
				client.in.Close()
				client.done(t)
				server.done(t)
				time.Sleep(100 * time.Millisecond) // for the last ACK
				r := live.end(t)
				require.Len(t, r.records, 1)
				f := r.records[0]
				packets, wire, delivered, missing, gaps := int(f.Packets[0]), int(f.WireBytes[0]), int(f.Delivered[0]), int(f.GapBytes[0]), int(f.Gaps[0])
				t.Logf("%d packets of %d bytes on average; %d bytes delivered, %d missing in %d gaps; seen %d bytes, %d packets dropped",
					packets, wire/packets, delivered, missing, gaps, r.bytes, r.dropped)
				require.Equal(t, flowscope.EndFIN, f.Reason)
				require.Zero(t, r.left, "frames are cut")
				require.Equal(t, bulk, delivered+missing)
				explained := 0
				if r.dropped > 0 {
					explained = (r.dropped + 7*gaps) * c.most // seven captured ones were not believed
				}
				require.LessOrEqual(t, missing, explained, "the dropped packets do not explain it")
				if pause > 0 { // at full speed little more than the tail may be left
					require.Greater(t, wire/packets, c.mean)
				}
				require.Less(t, wire/packets, c.most+100)
			})
		}
	}
}

func withoutOffloads(t *testing.T, n network) {
	for namespace, name := range map[string]string{n.a: "fslive0", n.b: "fslive1"} {
		if off := part(t, namespace, "offloads off", name); off.Wait() != nil {
			t.Skip("offloads cannot be switched off: ", off.out)
		}
	}
}

func withBigTCP(t *testing.T, n network) {
	if err := ip(fmt.Sprintf("-n %s link set fslive0 gso_max_size %d", n.a, gsoMaxSize)); err != nil {
		t.Skip("ip cannot set gso_max_size: ", err)
	}
}
