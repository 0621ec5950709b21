package main

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// The test binary is the program itself when it is started with this variable: "main", or "flood".
const partVariable = "TOP_PART"

func TestMain(m *testing.M) {
	switch os.Getenv(partVariable) {
	case "main":
		main()
	case "flood":
		if err := watchFlood(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// terminal is a real one, of tmux, in which the program runs.
type terminal struct {
	t      *testing.T
	socket string
}

func newTerminal(t *testing.T, part string, width, height int, args ...string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("needs tmux, for a terminal")
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	folder, err := os.MkdirTemp("", "top") // the path of a socket must be short
	require.NoError(t, err)
	term := &terminal{t, filepath.Join(folder, "s")}
	t.Cleanup(func() {
		_ = exec.Command("tmux", "-S", term.socket, "kill-server").Run()
		_ = os.RemoveAll(folder)
	})
	command := []string{"-f", os.DevNull, "-u", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height),
		"env", partVariable + "=" + part, "LC_ALL=C.UTF-8", exe}
	term.tmux(append(command, args...)...)
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", term.socket}, args...)...).CombinedOutput()
	require.NoError(term.t, err, "tmux %v: %s", args, out)
	return string(out)
}

func (term *terminal) keys(keys ...string) {
	term.t.Helper()
	term.tmux(append([]string{"send-keys"}, keys...)...)
}

// shows waits for a screen that matches all of these.
func (term *terminal) shows(patterns ...string) string {
	term.t.Helper()
	var text string
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		text = term.tmux("capture-pane", "-p")
		missing := ""
		for _, p := range patterns {
			if !regexp.MustCompile(p).MatchString(text) {
				missing = p
			}
		}
		if missing == "" {
			return text
		}
		if time.Now().After(end) {
			require.Failf(term.t, "never shown", "%s in\n%s", missing, text)
		}
	}
}

// over waits for the end of the program, and with it of the terminal.
func (term *terminal) over() {
	term.t.Helper()
	require.Eventually(term.t, func() bool {
		return exec.Command("tmux", "-S", term.socket, "has-session").Run() != nil
	}, 15*time.Second, 20*time.Millisecond)
}

func TestInATerminal(t *testing.T) {
	term := newTerminal(t, "main", 80, 24, "-speed", "0.7")
	term.shows(`(?m)^ flowscope top  built-in capture +(x0\.7|the capture is over)  2026-11-29 14:40:0\d`, `\[1 Flows\]`, `192\.0\.2\.10:\d+ +192\.0\.2\.20:53`,
		`(?m)^ q quit  \? help .* s sort`)
	term.keys("2")
	term.shows(`\[2 Sessions\]`, `dns +A nobody\.example\.net +NXDOMAIN +0\.066ms`)
	term.keys("/", "m", "x", "Space", "-", "a", "a", "a", "a", "Enter")
	term.shows(`1 of \d+  filter: mx -aaaa`, `MX example\.net`)
	term.keys("Escape") // alone: with another key behind it, it would be Alt
	term.shows(` (\d+) of \d+ ?\n`)
	term.keys("3")
	term.shows(`\[3 Health\]`, `packets +\d+`, `(?s)Sessions.*dns +\d`)
	term.keys("Space")
	term.shows(`FROZEN`)
	term.keys("Space", "1")
	term.shows(`the capture is over`, `all flows by bytes ↓  17`, `(?m)^ tcp +192\.0\.2\.10:58666 +192\.0\.2\.20:80 +8\.7kB .* closed`)
	term.keys("Down", "Up", "Enter")
	term.shows(`192\.0\.2\.10:58666 -> 192\.0\.2\.20:80 +www\.example\.net`, `from the initiator +from the responder`, `█+ 100%`, `1\.4kB in 1 gap`)
	term.tmux("resize-window", "-x", "160", "-y", "50")
	text := term.shows(`(?m)^.{110,}the capture is over`, `GET www\.example\.net/report\.txt`)
	require.Contains(t, strings.Split(text, "\n")[49], " q quit", "the keys are in the last line of the larger screen")
	term.keys("Escape")
	term.shows(`NAME`, `PKTS`, `REQUEST`)
	term.tmux("resize-window", "-x", "40", "-y", "10")
	text = term.shows(`(?m)^ INITIATOR`, `58666`)
	require.Contains(t, strings.Split(text, "\n")[9], " q quit")
	term.keys("q")
	term.over()
}

func TestHostileNamesInATerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hostile.pcap")
	out, err := os.Create(file)
	require.NoError(t, err)
	w, err := flowscope.NewCaptureWriter(out, flowscope.LinkTypeEthernet)
	require.NoError(t, err)
	for _, v := range hostile() {
		require.NoError(t, w.Write(v))
	}
	require.NoError(t, out.Close())
	term := newTerminal(t, "main", 120, 30, "-speed", "0", file)
	term.keys("2")
	term.shows(`\[2 Sessions\]`, `GET \\x1b\[2J\\x1b\]0;owned`, `TXT \\027\[2J`, `(?m)^ flowscope top`, `(?m)^ q quit`)
	require.NotContains(t, term.tmux("display-message", "-p", "#{pane_title}"), "owned")
	term.keys("C-c")
	term.over()
}

// endless is more flows than are kept, at a steady pace, until it is told to stop.
type endless struct{ *replay }

func (endless) Packets(ctx context.Context) iter.Seq2[flowscope.PacketView, error] {
	return func(yield func(flowscope.PacketView, error) bool) {
		began := time.Now()
		for n := 1; ; n++ {
			for view, err := range flood(1 << 24) {
				if n%20 == 0 { // twenty a millisecond
					if sleep(ctx, time.Millisecond) != nil {
						return
					}
				}
				n++
				view.Timestamp = flowscope.TimestampOf(began).Add(time.Since(began))
				if !yield(view, err) {
					return
				}
			}
		}
	}
}

func watchFlood() error {
	src := endless{newReplay("flood", nil, 0, 0)}
	w, err := newWatch(src, flowscope.Config{})
	if err != nil {
		return err
	}
	return show(context.Background(), settings{}, w, os.Stdout, true)
}

// TestALongWatch presses keys for as long as FLOWSCOPE_TOP says, while flows come and go: the screen stays one, and memory has
// a bound.
func TestALongWatch(t *testing.T) {
	limit, err := time.ParseDuration(os.Getenv("FLOWSCOPE_TOP"))
	if err != nil {
		t.Skip("FLOWSCOPE_TOP is not set to a duration, such as 5m")
	}
	term := newTerminal(t, "flood", 80, 24)
	term.shows(`\[1 Flows\]`, `udp +10\.`)
	pid := strings.TrimSpace(term.tmux("display-message", "-p", "#{pane_pid}"))
	random := rand.New(rand.NewPCG(9, 10))
	keys := []string{"s", "S", "r", "a", "1", "2", "3", "Down", "Up", "PageDown", "End", "Home", "Enter", "Escape", "Space", "Tab", "?"}
	var early, late int
	began := time.Now()
	for n := 0; time.Since(began) < limit; n++ {
		for range 10 {
			term.keys(keys[random.IntN(len(keys))])
		}
		if n%5 == 0 {
			term.tmux("resize-window", "-x", fmt.Sprint(20+random.IntN(200)), "-y", fmt.Sprint(8+random.IntN(60)))
		}
		term.shows(`^ flowscope top`, `(?m)^ (q quit|any key)`)
		time.Sleep(200 * time.Millisecond)
		if memory := resident(t, pid); time.Since(began) < limit/2 {
			early = max(early, memory)
		} else {
			late = max(late, memory)
		}
	}
	t.Logf("resident: at most %d kB in the first half, %d kB in the second", early, late)
	require.Less(t, late, early+early/5)
	term.keys("Escape", "q", "q")
	term.over()
}

// resident is the memory of a process in kB.
func resident(t *testing.T, pid string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		t.Skip("needs /proc")
	}
	match := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text)
	require.NotNil(t, match)
	n, err := strconv.Atoi(string(match[1]))
	require.NoError(t, err)
	return n
}
