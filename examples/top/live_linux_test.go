package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/flowscope-go/flowscope"
)

// ownNetwork brings the test's thread into a network of its own, with a loopback interface that is up. The thread ends with
// the test.
func ownNetwork(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a network namespace")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("a network namespace cannot be made here: ", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	require.NoError(t, err)
	request.SetUint16(unix.IFF_UP)
	require.NoError(t, unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request))
}

// Every packet of the loopback interface is seen once, and what is seen and what the kernel dropped is what was sent.
func TestALiveInterface(t *testing.T) {
	ownNetwork(t)
	src, stop, err := listen("lo")
	if err != nil {
		t.Skip("packet sockets cannot be opened here: ", err)
	}
	defer stop()
	w, err := newWatch(src, flowscope.Config{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- w.run(ctx) }()

	const sent = 5000
	a, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer a.Close()
	b, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer b.Close()
	for i := range sent {
		_, err := a.WriteTo([]byte("hello"), b.LocalAddr())
		require.NoError(t, err)
		if i%100 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	var s snapshot
	flow := fmt.Sprintf("udp %v %v", a.LocalAddr(), b.LocalAddr())
	require.Eventually(t, func() bool {
		s = w.snapshot(query{words: flow}, 0)
		return s.packets+s.dropped >= sent && len(s.rows) == 1
	}, 10*time.Second, 50*time.Millisecond)
	require.EqualValues(t, sent, s.packets+s.dropped)
	require.True(t, s.dropsKnown)
	require.Equal(t, [2]uint64{s.packets, 0}, s.rows[0].stats.Packets)
	require.Positive(t, s.byteRate)
	require.Positive(t, s.rows[0].rate[0])
	require.WithinDuration(t, time.Now(), s.now.Time(), 2*time.Second)

	// On a silent interface time goes on.
	before := s.now
	require.Eventually(t, func() bool { return w.snapshot(query{}, 0).now.Sub(before) > time.Second }, 10*time.Second, 50*time.Millisecond)
	cancel()
	require.NoError(t, <-ran)
	s = w.snapshot(query{}, 0)
	require.True(t, s.over)
	require.Empty(t, s.failed)
}

func TestAnInterfaceThatIsNoneIsSaid(t *testing.T) {
	for _, name := range []string{"no-such-one", "../net/lo", "", "."} {
		_, _, err := listen(name)
		require.Error(t, err)
	}
}
