package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

const (
	packets = 100_000
	perSec  = 100_000
)

// full reports whether the tests run at full size, as .ci/nightly asks for.
func full() bool { return os.Getenv("FLOWSCOPE_LIVE") == "full" }

func ours() string { return fmt.Sprintf("udp dst port %d", testPort) }

// checkFile checks a file that the sniffer wrote: each datagram is there as it was sent, once, in order; and there are
// as many as were seen.
func checkFile(t *testing.T, name string, vlans []uint16, r result) {
	t.Helper()
	last, n := -1, 0
	for v, err := range flowscope.OpenCapture(name) {
		require.NoError(t, err)
		payload := v.Frame[42+4*len(vlans):]
		i := int(binary.BigEndian.Uint64(payload))
		require.Greater(t, i, last, "the order")
		if i%97 == 0 && !bytes.Equal(datagram(i, vlans...), v.Frame) {
			require.Equal(t, datagram(i, vlans...), v.Frame)
		}
		last = i
		n++
	}
	require.Equal(t, r.seen, n)
}

// Seen and dropped packets are those that were sent, with and without offloads and VLAN tags. Each packet that was seen
// is in its flow, and in the file as it was sent, with its tag.
func TestEveryPacketIsSeenOrCountedAsDropped(t *testing.T) {
	for _, offloads := range []bool{true, false} {
		for _, vlan := range []uint16{0, 5} {
			for _, side := range []string{"receiver", "sender"} {
				if side == "sender" && offloads == (vlan == 0) {
					continue // the tag of an outgoing packet lies in its frame or beside it, as the offloads want it
				}
				t.Run(fmt.Sprintf("offloads %v, VLAN %d, seen by the %s", offloads, vlan, side), func(t *testing.T) {
					n := newNetwork(t, 1)
					if !offloads {
						withoutOffloads(t, n)
					}
					file := filepath.Join(t.TempDir(), "all.pcap")
					name := "fslive1"
					if side == "sender" {
						name, n.b = "fslive0", n.a
					}
					live := n.sniff(t, "-i", name, "-format", "json", "-w", file, ours())
					count := packets
					if (!offloads || vlan == 0) && !full() {
						count /= 10
					}
					sender := part(t, n.a, "send", "fslive0", fmt.Sprint(count), fmt.Sprint(perSec), fmt.Sprint(vlan))
					sender.done(t)
					r := live.end(t)
					t.Logf("sent %s, seen %d, dropped %d", strings.TrimSpace(strings.TrimPrefix(sender.out.String(), "sending")), r.seen, r.dropped)
					require.Equal(t, count, r.seen+r.dropped)
					require.Zero(t, r.left)
					require.Len(t, r.records, testFlows)
					sum := 0
					for _, f := range r.records {
						sum += int(f.Packets[0])
						require.Equal(t, vlan, f.VLAN)
						require.Equal(t, flowscope.EndFinished, f.Reason)
					}
					require.Equal(t, r.seen, sum)
					vlans := []uint16{vlan}
					if vlan == 0 {
						vlans = nil
					}
					checkFile(t, file, vlans, r)
				})
			}
		}
	}
}

// A ring that is full drops packets, and none of them is forgotten.
func TestDropsAreCountedAndTold(t *testing.T) {
	n := newNetwork(t, 1)
	file := filepath.Join(t.TempDir(), "some.pcap")
	live := n.sniff(t, "-i", "fslive1", "-format", "json", "-buffer", "2", "-w", file, ours())
	require.NoError(t, live.Process.Signal(syscall.SIGSTOP))
	part(t, n.a, "send", "fslive0", fmt.Sprint(packets), fmt.Sprint(perSec), "0").done(t)
	require.NoError(t, live.Process.Signal(syscall.SIGCONT))
	live.err.wait(t, "live: dropped by the kernel: ")
	r := live.end(t)
	t.Logf("seen %d, dropped %d", r.seen, r.dropped)
	require.Greater(t, r.dropped, packets/2)
	require.Equal(t, packets, r.seen+r.dropped)
	checkFile(t, file, nil, r)
}

// Several files have all packets once.
func TestPacketsAreWrittenToFilesThatFollowEachOther(t *testing.T) {
	n := newNetwork(t, 1)
	dir := t.TempDir()
	live := n.sniff(t, "-i", "fslive1", "-w", filepath.Join(dir, "%Y-all.pcap"), "-C", "1", "-G", "3600", ours())
	const some = 20_000
	part(t, n.a, "send", "fslive0", fmt.Sprint(some), fmt.Sprint(perSec), "0").done(t)
	r := live.end(t)
	require.Equal(t, some, r.seen+r.dropped)
	files, err := filepath.Glob(filepath.Join(dir, time.Now().Local().Format("2006")+"-all.pcap*"))
	require.NoError(t, err)
	require.Len(t, files, 3) // 20,000 times 42 + 32 + 31.5 + 16 bytes
	number := map[uint64]bool{}
	for _, name := range files {
		for v, err := range flowscope.OpenCapture(name) {
			require.NoError(t, err)
			number[binary.BigEndian.Uint64(v.Frame[42:])] = true
		}
	}
	require.Len(t, number, r.seen)
}

func TestFiltersOfTcpdumpAndOfVLANs(t *testing.T) {
	n := newNetwork(t, 1)
	const some = 1000
	for _, c := range []struct {
		filter string
		vlan   string
		want   int
	}{
		{fmt.Sprintf("dst port %d and src portrange %d-%d", testPort, firstPort, firstPort+9), "0", some / 10},
		{fmt.Sprintf("port %d and not (src port %d or src port %d)", testPort, firstPort, firstPort+1), "5", some / 100 * 98},
		{"vlan 5 and port 7777", "5", some}, {"vlan and port 7777", "6", some}, {"vlan 5 and port 7777", "6", 0}, {"vlan and port 7777", "0", 0}, {"not vlan and port 7777", "0", some},
	} {
		live := n.sniff(t, append([]string{"-i", "fslive1"}, strings.Fields(c.filter)...)...)
		part(t, n.a, "send", "fslive0", fmt.Sprint(some), fmt.Sprint(perSec), c.vlan).done(t)
		r := live.end(t)
		require.Equal(t, c.want, r.seen+r.dropped, "%s, VLAN %s\n%s", c.filter, c.vlan, r.stderr)
	}
	out, err := exec.Command("tcpdump", "-y", "EN10MB", "-ddd", fmt.Sprintf("udp[0:2] = %d", firstPort+7)).Output()
	if err != nil {
		t.Skip("needs tcpdump: ", err)
	}
	live := part(t, n.b, "live", "-i", "fslive1", "-ddd", "-")
	_, err = live.in.Write(out)
	require.NoError(t, err)
	live.in.Close()
	live.err.wait(t, "live: listening")
	part(t, n.a, "send", "fslive0", fmt.Sprint(some), fmt.Sprint(perSec), "0").done(t)
	r := live.end(t)
	require.Equal(t, some/testFlows, r.seen+r.dropped)
}

func TestLimits(t *testing.T) {
	n := newNetwork(t, 1)
	live := n.sniff(t, "-i", "fslive1", "-n", "777", "-format", "json", "-snap", "64", "-workers", "3", ours())
	part(t, n.a, "send", "fslive0", "5000", fmt.Sprint(perSec), "0").done(t)
	r := live.result(t)
	require.Equal(t, 777, r.seen)
	require.Equal(t, 777, r.left, "the frames are longer than 64 bytes")
	require.NotEmpty(t, r.records)

	live = n.sniff(t, "-i", "fslive1", "-for", "300ms")
	began := time.Now()
	live.done(t)
	require.Less(t, time.Since(began), 5*time.Second)
}

// A socket gets packets before it has its filter and its place in the fan-out. None of them is seen.
func TestNothingPassesBeforeTheFilter(t *testing.T) {
	n := newNetwork(t, 1)
	sender := part(t, n.a, "send", "fslive0", "200000", "20000", "0") // longer than the test
	sender.out.wait(t, "sending")
	live := n.sniff(t, "-i", "fslive1", "-workers", "4", "-for", "200ms", "udp", "dst", "port", "9")
	require.Zero(t, live.result(t).seen)
	// Without a filter no packet is seen twice.
	file := filepath.Join(t.TempDir(), "all.pcap")
	live = n.sniff(t, "-i", "fslive1", "-workers", "4", "-for", "200ms", "-w", file)
	r := live.result(t)
	number := map[uint64]bool{}
	for v, err := range flowscope.OpenCapture(file) {
		require.NoError(t, err)
		if i := binary.BigEndian.Uint64(v.Frame[42:]); v.Frame[23] == 17 {
			require.False(t, number[i], "packet %d is seen twice", i)
			number[i] = true
		}
	}
	require.Greater(t, len(number), 1000, r.stderr)
}

// Flows end, and long ones are reported, while no packets come.
func TestFlowsEndOnASilentNetwork(t *testing.T) {
	n := newNetwork(t, 1)
	live := n.sniff(t, "-i", "fslive1", "-format", "json", "-idle", "1200ms", "-report", "500ms", ours())
	part(t, n.a, "send", "fslive0", "100", fmt.Sprint(perSec), "0").done(t)
	require.Eventually(t, func() bool { return strings.Count(live.out.String(), `"final":false`) >= 2*testFlows }, 5*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return strings.Count(live.out.String(), `"reason":"idle"`) == testFlows }, 5*time.Second, 10*time.Millisecond)
	live.end(t)
	require.NotContains(t, live.out.String(), `"reason":"finished"`)
}

func TestPromiscuousModeLastsAsLongAsTheCapture(t *testing.T) {
	n := newNetwork(t, 2)
	mode := func(name string) bool {
		out, err := exec.Command("ip", "-d", "-n", n.b, "link", "show", name).Output()
		require.NoError(t, err)
		return strings.Contains(string(out), "promiscuity 1")
	}
	live := n.sniff(t, "-i", "fslive1,fslive3")
	require.True(t, mode("fslive1"))
	require.True(t, mode("fslive3"))
	live.end(t)
	require.False(t, mode("fslive1"))
	live = n.sniff(t, "-i", "fslive1", "-p")
	require.False(t, mode("fslive1"))
	live.end(t)
}

func TestAnInterfaceThatGoesDownEndsTheCapture(t *testing.T) {
	n := newNetwork(t, 1)
	live := n.sniff(t, "-i", "fslive1", "-format", "json", ours())
	part(t, n.a, "send", "fslive0", "100", fmt.Sprint(perSec), "0").done(t)
	time.Sleep(300 * time.Millisecond) // the packets lie in a block
	require.NoError(t, ip("-n "+n.b+" link set fslive1 down"))
	require.Error(t, live.Wait())
	require.Contains(t, live.err.String(), "went down")
	require.Equal(t, 100, strings.Count(live.out.String(), "\n"), "the flows are told")
}

func TestWithoutPermissionItSaysWhatToDo(t *testing.T) {
	n := newNetwork(t, 1)
	live := part(t, n.b, "nobody", "-i", "fslive1")
	require.Error(t, live.Wait())
	require.Contains(t, live.err.String(), "CAP_NET_RAW")
	require.Contains(t, live.err.String(), "sudo setcap cap_net_raw=ep")
	live = part(t, n.b, "nobody")
	live.done(t)
	require.Contains(t, live.out.String(), "fslive1")
	require.Contains(t, live.out.String(), "sudo setcap cap_net_raw=ep")
}

func TestWithoutAnInterfaceItListsThem(t *testing.T) {
	var out, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), nil, nil, &out, &stderr))
	require.Contains(t, out.String(), "usage: live")
	require.Contains(t, out.String(), " lo ")
	require.Equal(t, 1, run(t.Context(), []string{"-i", "no-such-one"}, nil, &out, &stderr))
	require.Contains(t, stderr.String(), "no-such-one")
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{
		{"-snap", "0"}, {"-snap", "100000000"}, {"-for", "-1s"}, {"-i", "lo", "no", "filter"}, {"-i", "any,lo"}, {"-format", "xml"}, {"-show", "all"},
		{"-format", "zeek", "-show", "flows,sessions"}, {"-workers", "0"}, {"-buffer", "0"}, {"-C", "1"}, {"-w", "x", "-W", "2"}, {"-w", "x%q", "-G", "5"},
		{"-G", "x", "-w", "x"}, {"-ddd", "no-such-file"}, {"-ddd", os.DevNull}, {"-ddd", "x", "tcp"}, {"-report", "-1s"}, {"-no-such-flag"},
		{"-i", strings.Join(many(maxInterfaces+1), ",")},
	} {
		var out, stderr bytes.Buffer
		require.Equal(t, 2, run(t.Context(), args, nil, &out, &stderr), "%v", args)
		require.Empty(t, out.String())
		require.NotEmpty(t, stderr.String())
	}
}

// many are n names.
func many(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("eth", i))
	}
	return names
}
