package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// serve answers on port 7000 until standard input ends: TCP with what it gets, UDP too.
func serve() {
	l, err := net.Listen("tcp", ":7000")
	check(err)
	u, err := net.ListenPacket("udp", ":7000")
	check(err)
	fmt.Println("ready")
	go func() {
		for {
			c, err := l.Accept()
			check(err)
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	go func() {
		b := make([]byte, 65_536)
		for {
			n, from, err := u.ReadFrom(b)
			check(err)
			_, err = u.WriteTo(b[:n], from)
			check(err)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// call talks to the server at an address, as often as it is told: over TCP, and over UDP with small datagrams and some that
// are fragmented.
func call() {
	args := arguments()
	times, err := strconv.Atoi(args[1])
	check(err)
	for i := range times {
		c, err := net.DialTimeout("tcp", args[0], 5*time.Second)
		check(err)
		check(c.SetDeadline(time.Now().Add(5 * time.Second)))
		fmt.Fprint(c, "hello")
		check(c.(*net.TCPConn).CloseWrite())
		_, _ = io.Copy(io.Discard, c)
		c.Close()
		u, err := net.Dial("udp", args[0])
		check(err)
		check(u.SetDeadline(time.Now().Add(5 * time.Second)))
		for _, size := range []int{10, 5000, 20, 9000 + i} {
			_, err := u.Write(make([]byte, size))
			check(err)
			_, err = io.ReadAtLeast(u, make([]byte, 65_536), size)
			check(err)
		}
		u.Close()
	}
}

// All packets of a flow go to one of four workers: both directions, and its fragments.
func TestWorkersHaveWholeFlows(t *testing.T) {
	n := newNetwork(t, 1)
	server := part(t, n.b, "server")
	server.out.wait(t, "ready")
	live := n.sniff(t, "-i", "fslive1", "-format", "json", "-workers", "4", "host", "192.0.2.1", "and", "(tcp", "or", "udp)")
	const times = 50
	part(t, n.a, "client", "192.0.2.2:7000", fmt.Sprint(times)).done(t)
	time.Sleep(200 * time.Millisecond) // for the last ACK
	r := live.end(t)
	require.Zero(t, r.dropped)
	var each [4]int
	wholeFlows(t, r, times, &each)
	for _, n := range each {
		require.NotZero(t, n, "a worker without packets: %s", r.stderr)
	}
}

func wholeFlows(t *testing.T, r result, times int, each *[4]int) {
	t.Helper()
	connections, datagrams := 0, uint64(0)
	for _, f := range r.records {
		switch f.Proto {
		case flowscope.L4TCP:
			connections++
			require.Equal(t, flowscope.EndFIN, f.Reason, "%+v", f)
			require.Equal(t, [2]uint64{5, 5}, f.Delivered)
			require.Zero(t, f.Gaps)
		case flowscope.L4UDP: // a port may be used again
			datagrams += f.Packets[0]
			require.Equal(t, f.Packets[0], f.Packets[1], "%+v", f)
			require.Zero(t, f.Packets[0]%4, "%+v", f)
		}
	}
	require.Equal(t, times, connections)
	require.EqualValues(t, 4*times, datagrams)
	line := "live: packets of each worker: ["
	for _, text := range strings.Split(r.stderr, "\n") {
		if len(text) > len(line) && text[:len(line)] == line {
			_, err := fmt.Sscanf(text[len(line):], "%d %d %d %d]", &each[0], &each[1], &each[2], &each[3])
			require.NoError(t, err)
		}
	}
}

// The directions of a connection come in on two interfaces, as from a tap: they are one flow, in the right order, also with
// several workers. Packets of a third interface are not seen.
func TestSeveralInterfacesAreOneCapture(t *testing.T) {
	n := newNetwork(t, 3)
	for _, workers := range []string{"1", "4"} {
		live := n.sniff(t, "-i", "fslive1,fslive3", "-format", "json", "-workers", workers, "tcp", "port", "7000")
		const times = 500
		part(t, n.a, "dialogues", "fslive0", "fslive2", fmt.Sprint(times)).done(t)
		part(t, n.a, "dialogues", "fslive4", "fslive4", fmt.Sprint(times)).done(t)
		r := live.end(t)
		require.Zero(t, r.dropped)
		require.Equal(t, times*len(dialogue(0)), r.seen)
		require.Len(t, r.records, times)
		for _, f := range r.records {
			require.Equal(t, "ShADdFf", f.History.String(), "%+v", f)
			require.Equal(t, [2]uint64{3, 4}, f.Delivered)
		}
		require.Contains(t, live.out.String(), `{"device":"fslive1",`)
		require.NotContains(t, live.out.String(), `{"device":"fslive3",`, "the SYN comes in on the first one")
	}
}

// A table has all flows too, and the messages between them.
func TestFlowsAndMessagesAreShownAsTables(t *testing.T) {
	n := newNetwork(t, 1)
	live := n.sniff(t, "-i", "fslive1", "-show", "flows,sessions", "tcp", "port", "80")
	part(t, n.a, "requests", "fslive0").done(t)
	r := live.end(t)
	require.Zero(t, r.dropped)
	text := live.out.String()
	require.Regexp(t, `(?m)^START .* INITIATOR`, text)
	require.Regexp(t, `http +192\.0\.2\.1:40000 +192\.0\.2\.2:80 +GET www\.example\.net/  200  [0-9.]+ms  2 bytes\n`, text)
	require.Regexp(t, `tcp +192\.0\.2\.1:40000 +192\.0\.2\.2:80 .* closed  ShADdFf`, text)
	require.Regexp(t, `(?m)^total +1 flows`, text)

	for format, want := range map[string][]string{
		"json":      {`"kind":"http"`, `"final":true`},
		"zeek-json": {`"_path":"http"`, `"_path":"conn"`},
		"eve":       {`"event_type":"http"`, `"event_type":"flow"`},
	} {
		live := n.sniff(t, "-i", "fslive1", "-show", "flows,sessions", "-format", format, "tcp", "port", "80")
		part(t, n.a, "requests", "fslive0").done(t)
		live.end(t)
		for _, part := range want {
			require.Contains(t, live.out.String(), part)
		}
	}
}
