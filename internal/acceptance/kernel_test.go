//go:build linux

package acceptance

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
)

// oracle plays a script to the kernel and, with the kernel's answers, to a driver, and gives what both make of it.
func (k *kernel) oracle(t *testing.T, script string, tuple int, cfg flowscope.Config) (kernelSays, weSay string) {
	t.Helper()
	cfg.MaxFlows, cfg.HoleTimeout, cfg.HoleAckedTimeout = 100, flowscope.Never, flowscope.Never
	p := testkit.NewPlay(t, nil, cfg)
	p.ISN[0] = testkit.ISNs[tuple%len(testkit.ISNs)]
	port := uint16(0)
	hear := func() {
		for _, answer := range k.answers(port) {
			if tcp := transport(answer); tcp[13] == syn|ack {
				p.ISN[1] = binary.BigEndian.Uint32(tcp[4:])
			}
			p.Now += time.Microsecond
			p.ID++
			frame := append([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00"), answer...)
			p.Hear(p.Driver.Track(flowscope.PacketView{Frame: frame, Timestamp: p.At(), ID: p.ID}))
		}
	}
	script = strings.ReplaceAll(" "+script, " hs ", " >S >A0 ")
	for _, step := range strings.Fields(script) {
		if step == "finish" || step == "sweep" || step[0] == '+' {
			continue
		}
		v := p.View(fmt.Sprintf("%s/t%d", step, tuple))
		p.Hear(p.Driver.Track(v))
		packet := append([]byte(nil), v.Frame[14:]...)
		checksums(packet)
		k.send(packet)
		port = binary.BigEndian.Uint16(packet[20:])
		hear()
		p.Now += time.Microsecond
	}
	kernelSays = " no connection"
	if sock := k.accept(0, port); sock >= 0 {
		text, end := readAll(sock)
		kernelSays = string(text) + " " + end
		quickACK(sock)
		hear()
		abort(sock)
		k.answers(0)
	}
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
	"data beyond a FIN [F2]":                 "Linux answers with a reset, which ends the flow; its application had read the end before",
	"a RST gives what is held, with its gap": "what was received early is handed on with its gap, Linux throws it away",
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
