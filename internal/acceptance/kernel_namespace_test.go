//go:build linux

package acceptance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// kernel is the TCP of the operating system, behind a TUN device in a network namespace of its own: what is written to
// the device is what it receives, and what it sends is read there.
//
//	step --> packet --+--> TUN --> kernel --> socket --> what the application reads
//	                  |                 |                             =
//	                  +--> driver <-----+ answers  -->  what the driver says
//
// The kernel works while a packet is written, and its answers lie ready when the call is back: there is nothing to wait
// for. It belongs to one goroutine.
type kernel struct {
	t       *testing.T
	tun     int
	listen  [2]int         // sockets at serverPort, of IPv4 and IPv6
	waiting map[uint16]int // connections that nobody has asked for yet, by the port of the peer
	limited bool           // see limitChallenges
	port    uint16         // that the peer used last, from 2000
	buf     [1 << 16]byte
}

// The ends of all connections: the device's own address is the kernel's.
var (
	kernelAddr = [2]netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")}
	peerAddr   = [2]netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}
)

const serverPort = 80

// newKernel needs the rights to make a namespace and a device, and the program ip; without them the test is skipped.
//
// The thread of the test moves to the namespace and stays locked, so that no other goroutine ever runs there. It ends
// with the test's goroutine, however that ends, and the namespace and all in it end with the thread and the sockets.
func newKernel(t *testing.T) *kernel {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("the kernel as an oracle needs root, for a network namespace and a TUN device")
	}
	runtime.LockOSThread() // and never unlocked
	k := &kernel{t: t, tun: -1, listen: [2]int{-1, -1}, waiting: map[uint16]int{}}
	t.Cleanup(k.close)
	if err := k.move(); err != nil {
		t.Skipf("the kernel as an oracle needs a network namespace, a TUN device and the program ip: %v", err)
	}
	return k
}

func (k *kernel) move() (err error) {
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return err
	}
	if k.tun, err = syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0); err != nil {
		return err
	}
	const tunsetiff, iffTUN, iffNoPI = 0x400454ca, 1, 0x1000
	var request [40]byte // struct ifreq
	copy(request[:16], "oracle")
	binary.NativeEndian.PutUint16(request[16:], iffTUN|iffNoPI)
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, uintptr(k.tun), tunsetiff, uintptr(unsafe.Pointer(&request))); no != 0 {
		return no
	}
	for _, args := range []string{
		"link set lo up", "addr add 10.0.0.2/24 dev oracle", "-6 addr add fd00::2/64 dev oracle nodad", "link set oracle up mtu 9000",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	// All challenge ACKs are wanted (RFC 5961 section 7 limits them), and no connection without a state.
	set("tcp_challenge_ack_limit", "2000000000")
	set("tcp_syncookies", "0")
	set("tcp_invalid_ratelimit", "0")
	for family := range k.listen {
		if k.listen[family], err = listen(family); err != nil {
			return err
		}
	}
	return nil
}

// set sets a variable of this namespace. A kernel that does not have it does without.
func set(name, value string) { _ = os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0o644) }

// limitChallenges says whether Linux answers what it refuses at most once in half a second, as it does by default.
func (k *kernel) limitChallenges(on bool) {
	if k.limited == on {
		return
	}
	if k.limited = on; on {
		set("tcp_invalid_ratelimit", "500")
	} else {
		set("tcp_invalid_ratelimit", "0")
	}
}

func (k *kernel) close() {
	for _, sock := range k.waiting {
		syscall.Close(sock)
	}
	for _, fd := range []int{k.listen[0], k.listen[1], k.tun} {
		if fd >= 0 {
			syscall.Close(fd)
		}
	}
}

// newSocket makes a TCP socket of a family, with urgent bytes in their place.
func newSocket(family int) (int, error) {
	domain := [2]int{syscall.AF_INET, syscall.AF_INET6}[family]
	sock, err := syscall.Socket(domain, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := errors.Join(
		syscall.SetsockoptInt(sock, syscall.SOL_SOCKET, syscall.SO_OOBINLINE, 1),
		syscall.SetsockoptInt(sock, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
	); err != nil {
		syscall.Close(sock)
		return -1, err
	}
	return sock, nil
}

func listen(family int) (int, error) {
	sock, err := newSocket(family)
	if err == nil {
		err = syscall.Bind(sock, socketAddress(kernelAddr[family], serverPort))
	}
	if err == nil {
		err = syscall.Listen(sock, 4096)
	}
	return sock, err
}

// socketAddress is an address and a port in the form that sockets take.
func socketAddress(a netip.Addr, port uint16) syscall.Sockaddr {
	if a.Is4() {
		return &syscall.SockaddrInet4{Addr: a.As4(), Port: int(port)}
	}
	return &syscall.SockaddrInet6{Addr: a.As16(), Port: int(port)}
}

// connect begins a connection of the kernel to a port of the peer.
func (k *kernel) connect(family int, port uint16) (int, error) {
	sock, err := newSocket(family)
	if err != nil {
		return -1, err
	}
	if err = syscall.Connect(sock, socketAddress(peerAddr[family], port)); !errors.Is(err, syscall.EINPROGRESS) {
		syscall.Close(sock)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return sock, nil
}

// accept is the connection with a port of the peer; -1 if the kernel has none.
func (k *kernel) accept(family int, port uint16) int {
	for {
		sock, from, err := syscall.Accept4(k.listen[family], syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
		if err != nil {
			break
		}
		var key uint16
		switch a := from.(type) {
		case *syscall.SockaddrInet4:
			key = uint16(a.Port)
		case *syscall.SockaddrInet6:
			key = uint16(a.Port)
		}
		if old, ok := k.waiting[key]; ok {
			syscall.Close(old)
		}
		k.waiting[key] = sock
	}
	if sock, ok := k.waiting[port]; ok {
		delete(k.waiting, port)
		return sock
	}
	return -1
}

// send gives the kernel an IP packet.
func (k *kernel) send(packet []byte) {
	k.t.Helper()
	if _, err := syscall.Write(k.tun, packet); err != nil {
		k.t.Fatalf("the device takes no packet: %v", err)
	}
}

// answers are the packets of TCP that the kernel has sent to a port of the peer since the last call.
func (k *kernel) answers(port uint16) (packets [][]byte) {
	for {
		n, err := syscall.Read(k.tun, k.buf[:])
		if err != nil || n <= 0 {
			return packets
		}
		p := k.buf[:n]
		if tcp := transport(p); tcp != nil && binary.BigEndian.Uint16(tcp[2:]) == port {
			packets = append(packets, append([]byte(nil), p...))
		}
	}
}

// transport is the TCP header of an IP packet and what is behind it; nil if it is of another protocol.
func transport(p []byte) []byte {
	switch {
	case len(p) >= 40 && p[0] == 0x45 && p[9] == syscall.IPPROTO_TCP:
		return p[20:]
	case len(p) >= 60 && p[0]>>4 == 6 && p[6] == syscall.IPPROTO_TCP:
		return p[40:]
	}
	return nil
}

// The flags of TCP.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
	urg
)

// checksums fills in those of a packet of TCP.
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
	tcp, addresses := transport(p), p[8:40]
	if p[0]>>4 == 4 {
		addresses = p[12:20]
		binary.BigEndian.PutUint16(p[10:], 0)
		binary.BigEndian.PutUint16(p[10:], sum(p[:20], 0))
	}
	binary.BigEndian.PutUint16(tcp[16:], 0)
	pseudo := syscall.IPPROTO_TCP + uint32(len(tcp))
	for ; len(addresses) > 0; addresses = addresses[2:] {
		pseudo += uint32(binary.BigEndian.Uint16(addresses))
	}
	binary.BigEndian.PutUint16(tcp[16:], sum(tcp, pseudo))
}

// The states of a socket that tests ask for, as the kernel counts them.
const (
	stateEstablished = 1
	stateSynSent     = 2
	stateClosed      = 7
	stateCloseWait   = 8
)

// socketState is the first byte of TCP_INFO.
func socketState(sock int) int {
	const tcpInfo = 11
	n, err := syscall.GetsockoptInt(sock, syscall.IPPROTO_TCP, tcpInfo)
	if err != nil {
		return stateClosed
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	return int(b[0])
}

// unread is how many bytes in order the kernel has for the application.
func unread(sock int) int64 {
	const fionread = 0x541b
	var n int32
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, uintptr(sock), fionread, uintptr(unsafe.Pointer(&n))); no != 0 {
		return 0
	}
	return int64(n)
}

// readAll is what the application can read, and how it ends: "open", "eof" or "reset".
func readAll(sock int) (text []byte, end string) {
	var buf [1 << 14]byte
	for {
		n, err := syscall.Read(sock, buf[:])
		switch {
		case n > 0:
			text = append(text, buf[:n]...)
		case err == nil:
			return text, "eof"
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return text, "open"
		default:
			return text, "reset"
		}
	}
}

// quickACK lets the kernel acknowledge now what the application has read, and not up to 40 ms later.
func quickACK(sock int) {
	_ = syscall.SetsockoptInt(sock, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
}

// abort closes a socket with a reset.
func abort(sock int) {
	_ = syscall.SetsockoptLinger(sock, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	syscall.Close(sock)
}
