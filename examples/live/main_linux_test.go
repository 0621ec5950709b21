package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary play the other parts in namespaces of their own.
func TestMain(m *testing.M) {
	switch os.Getenv("LIVE_PART") {
	case "server":
		serve()
	case "client":
		call()
	case "live":
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		go func() { // whoever started this one says when it is enough
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
		os.Exit(run(ctx, []string{"-i", "fslive1"}, os.Stdout, os.Stderr))
	default:
		os.Exit(m.Run())
	}
}

func serve() {
	l, err := net.Listen("tcp", "192.0.2.2:7000")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	time.AfterFunc(20*time.Second, func() { os.Exit(1) })
	fmt.Println("ready")
	c, err := l.Accept()
	if err == nil {
		_, _ = io.Copy(c, c)
		c.Close()
	}
}

func call() {
	c, err := net.DialTimeout("tcp", "192.0.2.2:7000", 5*time.Second)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Fprint(c, "hello")
	_ = c.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, c)
	c.Close()
	if u, err := net.Dial("udp", "192.0.2.2:9"); err == nil { // nobody there: ICMP says so
		fmt.Fprint(u, "anybody?")
		u.Close()
	}
}

// part starts this binary in a namespace.
func part(t *testing.T, namespace, name string) (*exec.Cmd, io.WriteCloser, *lines) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command("ip", "netns", "exec", namespace, exe)
	cmd.Env = append(os.Environ(), "LIVE_PART="+name)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out := &lines{arrived: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, in, out
}

// lines collects what a program prints. Its text may be read when the program has
// ended.
type lines struct {
	text    bytes.Buffer
	arrived chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	n, err := l.text.Write(b)
	select {
	case l.arrived <- struct{}{}:
	default:
	}
	return n, err
}

func TestFlowsOfALiveInterfaceAreSeen(t *testing.T) {
	if testing.Short() || os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	ip := func(args ...string) error { return exec.Command("ip", args...).Run() }
	if ip("netns", "add", "fslive-a") != nil || ip("netns", "add", "fslive-b") != nil {
		_ = ip("netns", "del", "fslive-a")
		t.Skip("network namespaces cannot be made here")
	}
	t.Cleanup(func() { _ = ip("netns", "del", "fslive-a"); _ = ip("netns", "del", "fslive-b") })
	for _, line := range []string{
		"link add fslive0 netns fslive-a type veth peer name fslive1 netns fslive-b",
		"-n fslive-a addr add 192.0.2.1/24 dev fslive0", "-n fslive-b addr add 192.0.2.2/24 dev fslive1",
		"-n fslive-a link set fslive0 up", "-n fslive-b link set fslive1 up",
	} {
		if err := ip(strings.Fields(line)...); err != nil {
			t.Skipf("ip %s: %v", line, err)
		}
	}
	live, stop, said := part(t, "fslive-b", "live")
	server, _, ready := part(t, "fslive-b", "server")
	select {
	case <-ready.arrived:
	case <-time.After(10 * time.Second):
		t.Fatal("the server is not ready")
	}
	time.Sleep(500 * time.Millisecond) // until the packet socket is open
	client, _, _ := part(t, "fslive-a", "client")
	require.NoError(t, client.Wait())
	require.NoError(t, server.Wait())
	time.Sleep(300 * time.Millisecond) // for packets on their way
	stop.Close()
	require.NoError(t, live.Wait())
	text := said.text.String()
	require.Contains(t, text, "began  tcp 192.0.2.1:")
	require.Regexp(t, `ended  tcp 192\.0\.2\.1:\d+ <-> 192\.0\.2\.2:7000: fin, [3-9] and [3-9] packets`, text)
	require.Regexp(t, `icmp   udp .*192\.0\.2\.2:9: type 3 code 3`, text)
}

func TestWithoutAnInterfaceItListsThem(t *testing.T) {
	var out, complaints bytes.Buffer
	require.Zero(t, run(context.Background(), nil, &out, &complaints))
	require.Contains(t, out.String(), "usage: live")
	require.Equal(t, 1, run(context.Background(), []string{"-i", "no-such-one"}, &out, &complaints))
	require.Contains(t, complaints.String(), "no-such-one")
}
