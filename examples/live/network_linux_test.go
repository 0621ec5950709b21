package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// parts are the programs that the test binary is when it is started in a namespace. Each of them ends by itself.
var parts = map[string]func(){
	"live":         func() { os.Args = append([]string{"live", "-for", "20s"}, arguments()...); main() },
	"nobody":       func() { check(syscall.Setuid(65534)); os.Args = append([]string{"live"}, arguments()...); main() },
	"offloads off": func() { check(offloadsOff(arguments()[0])) },
	"send":         send,
	"dialogues":    sendDialogues,
	"requests":     sendRequests,
	"server":       serve,
	"client":       call,
	"bulk server":  receiveBulk,
	"bulk client":  sendBulk,
}

func TestMain(m *testing.M) {
	if play, ok := parts[os.Getenv("LIVE_PART")]; ok {
		time.AfterFunc(30*time.Second, func() { check(fmt.Errorf("not ready in time")) })
		play()
		return
	}
	os.Exit(m.Run())
}

// arguments are those of a part.
func arguments() (args []string) {
	check(json.Unmarshal([]byte(os.Getenv("LIVE_ARGS")), &args))
	return args
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// network is two namespaces with a pair of veth interfaces between them, or several: fslive0 in a, which has the clients,
// and fslive1 in b, which has the servers and the sniffer; then fslive2 and fslive3, and so on.
type network struct{ a, b string }

// newNetwork makes a network for one test, which is skipped where that is not possible.
func newNetwork(t *testing.T, pairs int) network {
	t.Helper()
	if testing.Short() || os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces, and is not for -short")
	}
	n := network{fmt.Sprintf("fslive-a-%d", os.Getpid()), fmt.Sprintf("fslive-b-%d", os.Getpid())}
	for _, name := range []string{n.a, n.b} {
		if ip("netns add "+name) != nil {
			t.Skip("network namespaces cannot be made here")
		}
		t.Cleanup(func() { _ = ip("netns del " + name) })
		_ = ip("-n " + name + " link set lo up") // without it Go takes IPv6 for unavailable
	}
	for i := range pairs {
		left, right := fmt.Sprintf("fslive%d", 2*i), fmt.Sprintf("fslive%d", 2*i+1)
		for _, line := range []string{
			"link add " + left + " netns " + n.a + " type veth peer name " + right + " netns " + n.b,
			fmt.Sprintf("-n %s addr add 192.0.2.%d/26 dev %s", n.a, 64*i+1, left),
			fmt.Sprintf("-n %s addr add 192.0.2.%d/26 dev %s", n.b, 64*i+2, right),
			fmt.Sprintf("-n %s addr add 2001:db8:%d::1/64 dev %s nodad", n.a, i, left),
			fmt.Sprintf("-n %s addr add 2001:db8:%d::2/64 dev %s nodad", n.b, i, right),
			"-n " + n.a + " link set " + left + " up",
			"-n " + n.b + " link set " + right + " up",
		} {
			if err := ip(line); err != nil {
				t.Skipf("ip %s: %v", line, err)
			}
		}
	}
	return n
}

func ip(line string) error { return exec.Command("ip", strings.Fields(line)...).Run() }

// process is a part that runs in a namespace.
type process struct {
	*exec.Cmd
	in       io.WriteCloser
	out, err *text
}

func part(t *testing.T, namespace, name string, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	encoded, err := json.Marshal(args)
	require.NoError(t, err)
	p := &process{Cmd: exec.Command("ip", "netns", "exec", namespace, exe), out: new(text), err: new(text)}
	p.Env = append(os.Environ(), "LIVE_PART="+name, "LIVE_ARGS="+string(encoded))
	p.in, err = p.StdinPipe()
	require.NoError(t, err)
	p.Stdout, p.Stderr = p.out, p.err
	require.NoError(t, p.Start())
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	return p
}

// done waits for a part that has to succeed.
func (p *process) done(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Wait(), "%s%s", p.out, p.err)
}

// text collects what a program prints.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(b)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// wait waits until a text has been printed.
func (x *text) wait(t *testing.T, want string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(x.String(), want) }, 15*time.Second, 5*time.Millisecond, "%q is missing in %v", want, x)
}

// sniff starts the sniffer in b and waits until packets come.
func (n network) sniff(t *testing.T, args ...string) *process {
	t.Helper()
	p := part(t, n.b, "live", args...)
	p.err.wait(t, "live: listening")
	return p
}

// result is what a sniffer said.
type result struct {
	records                    []flowscope.Record // with -format json
	seen, bytes, dropped, left int
	stderr                     string
}

// end interrupts a sniffer.
func (p *process) end(t *testing.T) result {
	t.Helper()
	require.NoError(t, p.Process.Signal(os.Interrupt))
	return p.result(t)
}

// result waits for a sniffer.
func (p *process) result(t *testing.T) (r result) {
	t.Helper()
	p.done(t)
	r.stderr = p.err.String()
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	_, err := fmt.Sscanf(lines[len(lines)-1], "live: seen %d packets (%d bytes), dropped by the kernel %d, longer than the capture length %d",
		&r.seen, &r.bytes, &r.dropped, &r.left)
	require.NoError(t, err, r.stderr)
	for line := range strings.Lines(p.out.String()) {
		if strings.Contains(line, `"final":`) {
			var one flowscope.Record
			require.NoError(t, json.Unmarshal([]byte(line), &one), line)
			r.records = append(r.records, one)
		}
	}
	return r
}
