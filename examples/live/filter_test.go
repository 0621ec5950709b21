package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// expressions are those whose programs are compared with tcpdump's.
var expressions = []string{
	"ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp",
	"port 80", "src port 80", "dst port 53", "tcp port 80", "udp dst port 53", "sctp port 80", "port domain",
	"portrange 1-1023", "tcp portrange 50000-65535", "udp src portrange 53-53",
	"host 192.0.2.10", "src host 192.0.2.10", "dst host 198.51.100.20", "ip host 192.0.2.10", "host 2001:db8::1", "src host 2001:db8::10",
	"net 192.0.2.0/24", "net 192.0.2.0/28", "dst net 198.51.100.0/25", "net 0.0.0.0/0", "net 2001:db8::/32", "src net 2001:db8::/127", "net ::/0",
	"not port 80", "! port 80", "not (port 80 or port 53)", "not not tcp",
	"tcp or udp and port 53", "tcp and port 80 or udp", "udp or tcp and port 80", "not tcp and port 53", "not udp or port 80",
	"host 192.0.2.10 and (port 80 or port 443) and not net 198.51.100.0/30", "((tcp)) && port 80 || icmp", "(ip6 or arp) and !tcp",
	strings.Repeat("host 192.0.2.99 or port 9 or ", 15) + "tcp port 80",
}

// tcpdump is its program for an expression, nil if it refuses the expression for that link.
func tcpdump(t testing.TB, link, expression string) *bpf.VM {
	t.Helper()
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("needs tcpdump, to compare with it")
	}
	// -O: not optimised. The optimiser of libpcap 1.10.3 loses the port at the end of the longest expression.
	out, err := exec.Command("tcpdump", "-O", "-y", link, "-ddd", expression).Output()
	if err != nil {
		return nil
	}
	program, err := readProgram(bytes.NewReader(out))
	require.NoError(t, err, expression)
	return machine(t, program)
}

// samples are frames of captures and some that those have not, all of Ethernet.
func samples(t testing.TB) (all [][]byte) {
	t.Helper()
	names, err := filepath.Glob("../../testdata/captures/*.pcap*")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		for v, err := range flowscope.OpenCapture(name) {
			if err != nil {
				break // captures that are damaged on purpose
			}
			if v.LinkType <= flowscope.LinkTypeEthernet && len(v.Frame) >= 14 {
				all = append(all, slices.Clone(v.Frame))
			}
		}
	}
	require.Greater(t, len(all), 100)
	for _, ends := range [][2]string{{"192.0.2.10:80", "192.0.2.99:9"}, {"[2001:db8::1]:443", "[2001:db8::10]:80"}} {
		udp := frames.UDP{Src: ends[0], Dst: ends[1], Payload: bytes.Repeat([]byte{0, 80}, 32)}
		all = append(all, frames.Ethernet(frames.SCTP{Src: ends[0], Dst: ends[1]}.IP()), udp.Ethernet())
		for _, ip := range frames.Fragments(udp.IP(), 32, 1) {
			all = append(all, frames.Ethernet(ip))
		}
	}
	for _, f := range all[:100] { // with IPv4 options
		if f[12] == 8 && f[14] == 0x45 {
			with := append(slices.Clone(f[:34]), 1, 1, 1, 1)
			with[14] = 0x46
			all = append(all, append(with, f[34:]...), with[:30])
		}
	}
	return all
}

func accepts(t testing.TB, vm *bpf.VM, frame []byte) bool {
	t.Helper()
	n, err := vm.Run(frame)
	require.NoError(t, err)
	return n > 0
}

func machine(t testing.TB, program []bpf.Instruction) *bpf.VM {
	t.Helper()
	_, err := assemble(program)
	require.NoError(t, err)
	vm, err := bpf.NewVM(program)
	require.NoError(t, err)
	return vm
}

// An expression means what tcpdump makes of it, with an Ethernet header and without. With VLAN tags, or with the
// hop-by-hop header of BIG TCP, it means the same as without.
func TestExpressionsMeanWhatTheyMeanToTcpdump(t *testing.T) {
	all := samples(t)
	for _, text := range expressions {
		c, err := parseExpression(text)
		require.NoError(t, err, text)
		ours, oursRaw := machine(t, compile(c, flowscope.LinkTypeEthernet)), machine(t, compile(c, flowscope.LinkTypeRaw))
		want, wantRaw := tcpdump(t, "EN10MB", text), tcpdump(t, "RAW", text)
		require.NotNil(t, want, text)
		matches := 0
		for i, f := range all {
			if accepts(t, want, f) {
				matches++
			}
			if f[12] == 0x81 || f[12] == 0x88 && f[13] == 0xa8 {
				continue // a tag is a part of tcpdump's frame
			}
			require.Equal(t, accepts(t, want, f), accepts(t, ours, f), "%s: frame %d: %x", text, i, f)
			for _, tags := range []string{"\x81\x00\x00\x05", "\x88\xa8\x20\x07", "\x88\xa8\x00\x07\x81\x00\x0f\xff"} {
				tagged := slices.Concat(f[:12], []byte(tags), f[12:])
				require.Equal(t, accepts(t, ours, f), accepts(t, ours, tagged), "%s: frame %d, tagged: %x", text, i, tagged)
			}
			if f[12] == 0x86 && f[13] == 0xdd && (f[20] == 6 || f[20] == 17) {
				big := slices.Concat(f[:20], []byte{0}, f[21:54], []byte{f[20], 0, 0xc2, 4, 0, 1, 0, 0}, f[54:])
				require.Equal(t, accepts(t, ours, f), accepts(t, ours, big), "%s: frame %d, with a jumbo option: %x", text, i, big)
			}
			if wantRaw != nil && (f[12] == 0x08 && f[13] == 0 || f[12] == 0x86 && f[13] == 0xdd) {
				require.Equal(t, accepts(t, wantRaw, f[14:]), accepts(t, oursRaw, f[14:]), "%s: packet %d: %x", text, i, f[14:])
			}
		}
		if matches == 0 {
			t.Logf("%q matches no frame", text)
		}
	}
}

func TestWrongExpressionsAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "and", "tcp and", "or tcp", "tcp udp", "ip tcp", "ip tcp port 80", "ip6 port 80", "port", "port 65536", "port -1", "port 80-90", "portrange 90", "portrange 9-8", "portrange -9",
		"host", "host example.net", "host 192.0.2.0/24", "net 192.0.2.1/24", "tcp host 192.0.2.1", "ip6 host 192.0.2.1", "ip host ::1", "host fe80::1%eth0",
		"(tcp", "tcp)", "()", "src", "src tcp", "tcp[13] & 2 != 0", "port 80 or 443", "nonsense words", "not", strings.Repeat("(", 1000) + "tcp" + strings.Repeat(")", 1000),
	} {
		_, err := parseExpression(text)
		require.Error(t, err, "%q", text)
		require.Contains(t, err.Error(), "-ddd")
	}
}

func TestProgramsOfTcpdumpAreRead(t *testing.T) {
	text := "4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n"
	program, err := readProgram(strings.NewReader(text))
	require.NoError(t, err)
	require.Len(t, program, 4)
	vm := machine(t, program)
	tcp := frames.TCP{Src: "192.0.2.1:1", Dst: "192.0.2.2:2"}.Ethernet()
	require.True(t, accepts(t, vm, tcp))
	require.Equal(t, bpf.RetConstant{Val: 96}, withSnap(program, 96)[2])
	require.Equal(t, bpf.RetConstant{Val: 0}, withSnap(program, 96)[3])
	for _, wrong := range []string{"", "tcp", "0\n", "3\n" + text[2:], "5\n" + text[2:], "1\n1 2 3\n", "1\n(000) ret #0\n", "99999\n"} {
		_, err := readProgram(strings.NewReader(wrong))
		require.Error(t, err, "%q", wrong)
	}
}

// A guard passes on the packets of its interfaces, and of the loopback interface those that are not outgoing.
func TestGuards(t *testing.T) {
	const lo = 1
	for _, c := range []struct {
		interfaces []int
		loopback   int
	}{{nil, 0}, {nil, lo}, {[]int{7}, 0}, {[]int{7, 9, 11}, 0}, {[]int{lo, 7}, lo}, {[]int{7, lo}, lo}, {indices(maxInterfaces), lo}} {
		program := append(guard(c.interfaces, c.loopback), passAll...)
		_, err := assemble(program)
		require.NoError(t, err)
		for index := 1; index < 13; index++ {
			for kind := uint32(0); kind < 5; kind++ {
				want := (len(c.interfaces) == 0 || slices.Contains(c.interfaces, index)) && !(c.loopback != 0 && index == lo && kind == 4)
				require.Equal(t, want, accepts(t, machine(t, given(program, uint32(index), kind)), nil), "%+v: interface %d, type %d", c, index, kind)
			}
		}
	}
}

// given is a program in which the facts about a packet that the kernel has are constants.
func given(program []bpf.Instruction, index, kind uint32) []bpf.Instruction {
	out := slices.Clone(program)
	for i, in := range out {
		switch in {
		case bpf.LoadExtension{Num: bpf.ExtInterfaceIndex}:
			out[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: index}
		case bpf.LoadExtension{Num: bpf.ExtType}:
			out[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: kind}
		}
	}
	return out
}

func FuzzExpression(f *testing.F) {
	for _, text := range expressions {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parseExpression(text); err == nil {
			_, err := bpf.Assemble(compile(c, flowscope.LinkTypeEthernet))
			require.NoError(t, err, fmt.Sprintf("%q", text))
		}
	})
}

// indices are n even numbers from 2 on.
func indices(n int) (all []int) {
	for i := range n {
		all = append(all, 2+2*i)
	}
	return all
}
