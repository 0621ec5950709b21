//go:build linux

package acceptance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// kernel is a TCP receiver of the operating system, behind a TUN device in a network namespace of its own: what is
// written to the device is what it receives, and what it sends is read there.
//
//	script --> frame --+--> TUN --> kernel --> socket --> what the application reads
//	                   |                 |                             =
//	                   +--> driver <-----+ answers  -->  what the driver says
type kernel struct {
	tun    *os.File
	listen net.Listener
	calls  chan func() // run on the thread that lives in the namespace
}

// newKernel needs the rights to make a namespace and a device, and the program ip; without them the test is skipped.
func newKernel(t *testing.T) *kernel {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("the kernel as an oracle needs root, for a network namespace and a TUN device")
	}
	k := &kernel{calls: make(chan func())}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		err := k.move()
		failed <- err
		if err == nil {
			for f := range k.calls {
				f()
			}
		}
	}()
	if err := <-failed; err != nil {
		t.Skipf("the kernel as an oracle needs a network namespace, a TUN device and the program ip: %v", err)
	}
	t.Cleanup(func() {
		close(k.calls)
		k.listen.Close()
		k.tun.Close()
	})
	return k
}

func (k *kernel) move() error {
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return err
	}
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	const tunsetiff, iffTUN, iffNoPI = 0x400454ca, 1, 0x1000
	var request [40]byte // struct ifreq
	copy(request[:16], "oracle")
	binary.NativeEndian.PutUint16(request[16:], iffTUN|iffNoPI)
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), tunsetiff, uintptr(unsafe.Pointer(&request))); no != 0 {
		return no
	}
	k.tun = os.NewFile(uintptr(fd), "tun") // now that it is a device it can be waited for
	for _, args := range []string{"link set lo up", "link set oracle up mtu 1500", "addr add 10.0.0.2/24 dev oracle"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	// Many challenge ACKs are wanted here (RFC 5961 section 7 limits them).
	_ = os.WriteFile("/proc/sys/net/ipv4/tcp_challenge_ack_limit", []byte("2000000000"), 0o644)
	inline := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_OOBINLINE, 1) })
		return err
	}}
	k.listen, err = inline.Listen(context.Background(), "tcp4", "10.0.0.2:80")
	return err
}

// send gives the kernel a frame, with the checksums that it wants, and gives back what it answers at once, or within
// the patience if it must answer.
func (k *kernel) send(t *testing.T, frame []byte, patience time.Duration) (answers [][]byte) {
	t.Helper()
	packet := append([]byte(nil), frame[14:]...)
	checksums(packet)
	if _, err := k.tun.Write(packet); err != nil {
		t.Fatal(err)
	}
	port := [2]byte{packet[20], packet[21]}
	for {
		buf := make([]byte, 2000)
		if err := k.tun.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, err := k.tun.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return answers
		}
		if err != nil {
			t.Fatal(err)
		}
		if buf[0]>>4 == 4 && buf[9] == 6 && [2]byte(buf[22:24]) == port {
			answers = append(answers, append([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00"), buf[:n]...))
			patience = 500 * time.Microsecond
		}
	}
}

// checksums fills in those of an IPv4 packet of TCP.
func checksums(p []byte) {
	sum := func(b []byte, sum uint32) uint16 {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(b[0])<<8 | uint32(b[1])
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		return ^uint16(sum)
	}
	binary.BigEndian.PutUint16(p[10:], 0)
	binary.BigEndian.PutUint16(p[10:], sum(p[:20], 0))
	tcp := p[20:]
	binary.BigEndian.PutUint16(tcp[16:], 0)
	pseudo := 6 + uint32(len(tcp))
	for i := 12; i < 20; i += 2 {
		pseudo += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	binary.BigEndian.PutUint16(tcp[16:], sum(tcp, pseudo))
}

// read is what the application reads of the connection that was opened last, and how it ends.
func (k *kernel) read() (text, end string) {
	if err := k.listen.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
		return "", err.Error()
	}
	conn, err := k.listen.Accept()
	if err != nil {
		return "", "no connection"
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(0)
	var all []byte
	for buf := make([]byte, 1<<16); ; {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		n, err := conn.Read(buf)
		all = append(all, buf[:n]...)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return string(all), "eof"
		case errors.Is(err, syscall.ECONNRESET):
			return string(all), "reset"
		default:
			return string(all), "open"
		}
	}
}

// oracle plays a script to the kernel and, with the kernel's answers, to a driver, and gives what both make of it.
func (k *kernel) oracle(t *testing.T, script string, tuple int, cfg flowscope.Config) (kernelSays, weSay string) {
	t.Helper()
	cfg.MaxFlows, cfg.HoleTimeout, cfg.HoleAckedTimeout = 100, flowscope.Never, flowscope.Never
	p := testkit.NewPlay(t, nil, cfg)
	p.ISN[0] = testkit.ISNs[tuple%len(testkit.ISNs)]
	script = strings.ReplaceAll(" "+script, " hs ", " >S >A0 ")
	for _, step := range strings.Fields(script) {
		if step == "finish" || step == "sweep" || step[0] == '+' {
			continue
		}
		v := p.View(fmt.Sprintf("%s/t%d", step, tuple))
		p.Hear(p.Driver.Track(v))
		patience := 300 * time.Microsecond
		if flags := v.Frame[14+20+13]; flags == 0x02 {
			patience = 200 * time.Millisecond // a SYN is answered
		}
		for _, answer := range k.send(t, v.Frame, patience) {
			if tcp := answer[34:]; tcp[13] == 0x12 {
				p.ISN[1] = binary.BigEndian.Uint32(tcp[4:])
			}
			p.Now += time.Microsecond
			p.ID++
			p.Hear(p.Driver.Track(flowscope.PacketView{Frame: answer, Timestamp: p.At(), ID: p.ID}))
		}
		p.Now += time.Microsecond
	}
	done := make(chan struct{})
	k.calls <- func() {
		text, end := k.read()
		kernelSays = text + " " + end
		close(done)
	}
	<-done
	end := "open"
	switch s := &p.Flow(1).Sides[0]; {
	case p.Reason == flowscope.EndRST:
		end = "reset"
	case s.Closed:
		end = "eof"
	}
	return kernelSays, p.Text(0) + " " + end
}

// kernelDiffers are the rules in which this library differs from Linux on purpose, and why. SECURITY.md tells them.
var kernelDiffers = map[string]string{
	"data beyond a FIN [F2]":                       "Linux answers with a reset, which ends the flow; its application had read the end before",
	"data where an early FIN was [F4]":             "the first FIN that fits stays, Linux lets data displace it",
	"a RST gives what is held, with its gap":       "what was received early is handed on with its gap, Linux throws it away",
	"a RST at the edge of an island, no SACK [R9]": "inside the window a RST is believed while bytes are missing: the capture may have lost them",
}

// compare holds one script to the kernel.
func (k *kernel) compare(t *testing.T, name, script string, tuple int, cfg flowscope.Config) {
	t.Helper()
	linux, ours := k.oracle(t, script, tuple, cfg)
	if linux == " no connection" && ours[0] == ' ' {
		return // nobody has heard a byte
	}
	if why := kernelDiffers[name]; linux != ours && why == "" {
		t.Errorf("%s: %s\nLinux %q\nours  %q", name, script, linux, ours)
	} else if linux == ours && why != "" {
		t.Errorf("%s: %s\nboth say %q; it is listed as different: %s", name, script, ours, why)
	}
}

// A16. The rules against a real receiver: every script of TestStreamsFollowTheRules in which only the initiator acts, in
// which all is captured, and in which nobody gives up, which is an observer's business.
func TestA16TheRulesAreThoseOfTheKernel(t *testing.T) {
	k := newKernel(t)
	compared := 0
	for i, r := range streamRules {
		if !strings.HasPrefix(r.script, "hs ") || strings.Contains(r.script, "<") || r.flows > 1 || strings.Contains(r.ini, "<") ||
			strings.Contains(r.script, "/c") || strings.Contains(r.script, "/00") || r.cfg.SideBytes != 0 || r.cfg.SidePieces != 0 {
			continue
		}
		compared++
		k.compare(t, r.name, r.script, i, r.cfg)
	}
	if t.Logf("%d scripts", compared); compared < 25 {
		t.Errorf("only %d scripts", compared)
	}
}

// A16. The families that the rules leave to the tests of single packages.
func TestA16TheFamiliesAreThoseOfTheKernel(t *testing.T) {
	k := newKernel(t)
	for i, r := range []struct{ name, script string }{
		{"one-byte islands, backwards, at each number [S1]", "hs >2:c >1:b >4:e >3:d >0:a"},
		{"one-byte islands again", "hs >2:c >1:b >4:e >3:d >0:a"},
		{"one-byte islands once more", "hs >2:c >1:b >4:e >3:d >0:a"},
		{"a keep-alive with garbage [S6]", "hs >0:abc >2:Z >3:def"},
		{"a bare SYN, the same [E6]", "hs >S >0:abc"},
		{"a bare SYN, another [E6]", "hs >S/n1 >0:abc"},
		{"all flags [E7]", "hs >0:XYZ/fSFRPAU/n1 >0:abc"},
		{"an ACK of long ago [E9]", "hs >0:XYZ/a-100000 >0:abc"},
		{"an ACK one below", "hs >0:abc/a-1"},
		{"a RST at the number [R1]", "hs >0:abc >R@3 >3:def"},
		{"a RST with an ACK [R1]", "hs >0:abc >RA@3 >3:def"},
		{"a RST with a wrong ACK [R1]", "hs >0:abc >RA@3/a1000 >3:def"},
		{"a RST one beyond [R2]", "hs >R@1 >0:abc"},
		{"a RST further beyond [R2]", "hs >R@1000 >0:abc"},
		{"a RST one below [R3]", "hs >R@-1 >0:abc"},
		{"a RST beyond the window [R4]", "hs >R@5000000 >0:abc"},
		{"a RST with payload [R7]", "hs >0:abc >R@3/dXYZ >3:def"},
		{"a RST gives what is held, with its gap", "hs >3:def >R@0"},
		{"a RST at the edge of an island, no SACK [R9]", "hs >3:def >R@6 >0:abc"},
		{"a FIN behind a hole [F1]", "hs >0:ab >F@4 >2:cd"},
		{"a FIN with early data [F3]", "hs >2:cd/F >4:ef >0:ab"},
		{"data with a FIN", "hs >0:abc/F"},
		{"SYN with payload, not taken [H1]", ">S/dXYZ >A0 >0:abc"},
		{"the last ACK of the handshake lost [H14]", ">S >0:abc"},
		{"the last ACK of the handshake is wrong [H15]", ">S >0:abc/a100"},
		{"data before the last ACK of the handshake [H16]", ">S >3:def >A0 >0:abc"},
		{"a RST at the number while it opens [R12]", ">S >R@0 >A0 >0:abc"},
		{"a RST beside the number while it opens [R12]", ">S >R@1 >A0 >0:abc"},
	} {
		k.compare(t, r.name, r.script, 1000+i, flowscope.Config{})
	}
}

// A16. Overlaps under OverlapLinux: the published rule gives what Linux gives in most cases. Linux joins neighbours
// before it compares, which no rule about pairs can say; so this asks for a share, and for the same length always.
func TestA16OverlapsAreMostlyThoseOfTheKernel(t *testing.T) {
	k := newKernel(t)
	cfg := flowscope.Config{Overlap: flowscope.OverlapLinux}
	for i, v := range []string{
		"2:aaaa 1:bbb", "3:aa 1:bbbb", "2:aa 1:bbbbb", "1:aaaa 1:bb", "1:aaa 1:bbb", "1:aa 1:bbbb", "1:aaaa 2:b", "1:aaaa 3:bb", "1:aaaa 3:bbb",
		"1:aaa 2:b 3:c", "1:aa 2:bb 2:cc", "1:a 1:bb 1:ccc", "1:aa 5:bb 2:cccc", "2:a 4:b 6:c 1:ddddddd", "1:aaaaaaa 2:b 4:c 6:d",
		"1:aaa 2:bbb 3:ccc 4:ddd", "4:aaa 3:bbb 2:ccc 1:ddd", "3:a 2:bbb 1:ccccc", "1:aaaaa 2:bbb 3:c", "1:aa 1:bb 1:cc", "2:aa 1:bbb 2:cc",
	} {
		k.compare(t, "overlap", "hs >"+strings.Join(strings.Fields(v), " >")+" >0:0", 2000+i, cfg)
	}
	r := rand.New(rand.NewPCG(16, 1))
	same, rounds := 0, sized(30, 150, 5000)
	for i := range rounds {
		script := "hs"
		for c := range 3 + r.IntN(3) {
			script += fmt.Sprintf(" >%d:%s", 1+r.IntN(8), strings.Repeat(string(rune('a'+c)), 1+r.IntN(5)))
		}
		linux, ours := k.oracle(t, script+" >0:0", 3000+i, cfg)
		if len(linux) != len(ours) {
			t.Errorf("%s: Linux %q, ours %q", script, linux, ours)
		}
		if linux == ours {
			same++
		}
	}
	if t.Logf("%d of %d random sequences agree", same, rounds); same < rounds*80/100 {
		t.Error("fewer than 80 in 100")
	}
}
