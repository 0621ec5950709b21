// Package rotated writes the files of a capture that is rotated, for tests of programs that read archives.
package rotated

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/testdata/captures"
)

// span is how long the capture lasts: longer than every timeout, so that flows end in the middle of it.
const span = 40 * time.Minute

// Files writes a capture of that many conversations, beside real ones, to n files in a folder of the test, and returns
// their names in order. Most conversations cross boundaries, and so do fragments of tunnels. Some timestamps are wrong,
// and once the time is set back. The same arguments give the same packets.
func Files(tb testing.TB, n, conversations int) (names []string) {
	tb.Helper()
	views := Packets(tb, conversations)
	dir, from := tb.TempDir(), 0
	for k := range n {
		to := len(views) * (k + 1) / n
		if k%2 == 0 && k < n-1 {
			to = behindTunnelFragment(views, to)
		}
		names = append(names, filepath.Join(dir, fmt.Sprintf("trace%02d.pcap", k)))
		write(tb, names[k], views[from:to])
		from = to
	}
	return names
}

// behindTunnelFragment is the first place from at on where the last packet is the first fragment of a tunnel's datagram,
// and the next one its second.
func behindTunnelFragment(views []flowscope.PacketView, at int) int {
	sharder := flowscope.NewSharder(1)
	for i := at; i < len(views)-1; i++ {
		if views[i].ID == tunnelID && views[i+1].ID == tunnelID && sharder.IsFragment(views[i]) && views[i].Timestamp == views[i+1].Timestamp {
			return i + 1
		}
	}
	return at
}

// tunnelID marks the fragments of tunnels while the capture is made.
const tunnelID = 7

func write(tb testing.TB, name string, views []flowscope.PacketView) {
	tb.Helper()
	f, err := os.Create(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	w, err := flowscope.NewCaptureWriter(f, flowscope.LinkTypeEthernet)
	for i := 0; i < len(views) && err == nil; i++ {
		err = w.Write(views[i])
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// Packets are those of Files.
func Packets(tb testing.TB, conversations int) (views []flowscope.PacketView) {
	tb.Helper()
	r := rand.New(rand.NewPCG(22, uint64(conversations)))
	views = builtIn(tb) // as they are, some minutes before the others
	base := views[len(views)-1].Timestamp.Add(10 * time.Minute)
	made := []flowscope.PacketView{}
	for i := range conversations {
		at := base.Add(time.Duration(r.Int64N(int64(span))))
		for _, burst := range conversation(r, i) {
			for _, frame := range burst.frames {
				made = append(made, flowscope.PacketView{Frame: frame, Timestamp: at, ID: burst.id})
			}
			at = at.Add(pause(r))
		}
	}
	slices.SortStableFunc(made, func(a, b flowscope.PacketView) int { return int(a.Timestamp.Sub(b.Timestamp)) })
	wrong := 90 * time.Second
	if conversations > 1000 {
		wrong = 3 * time.Second
	}
	disturb(r, made, wrong)
	return append(views, made...)
}

// pause is mostly short, sometimes longer than a flow of UDP is kept, seldom than one of TCP.
func pause(r *rand.Rand) time.Duration {
	switch k := r.IntN(100); {
	case k < 80:
		return time.Duration(r.IntN(30e6))
	case k < 96:
		return time.Duration(r.Int64N(20e9))
	case k < 99:
		return time.Duration(r.Int64N(100e9))
	}
	return time.Duration(r.Int64N(500e9))
}

// disturb makes timestamps wrong: one alone far ahead, one far back, two in a row, a few a little back; and sets the
// time back by ten minutes for the last quarter. The two in a row are believed until eight others contradict them. If
// more flows time out by them than those calls may end, 64 each, the others live on: in one tracker, and fewer of them in
// several. So they must not be far ahead if there are many flows.
func disturb(r *rand.Rand, views []flowscope.PacketView, wrong time.Duration) {
	n := len(views)
	views[n/5].Timestamp = views[n/5].Timestamp.Add(26 * time.Hour)
	views[n/4].Timestamp = views[n/4].Timestamp.Add(-3 * time.Hour)
	for i := range 2 {
		views[n/3+i].Timestamp = views[n/3+i].Timestamp.Add(wrong)
	}
	for range n / 50 {
		k := r.IntN(n)
		views[k].Timestamp = views[k].Timestamp.Add(-time.Duration(r.Int64N(2e9)))
	}
	for i := n * 3 / 4; i < n; i++ {
		views[i].Timestamp = views[i].Timestamp.Add(-10 * time.Minute)
	}
}

// burst is frames that come at the same time.
type burst struct {
	frames [][]byte
	id     uint64
}

func conversation(r *rand.Rand, i int) []burst {
	host := func(net byte) string {
		if i%4 == 3 {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(r.IntN(4)), byte(r.IntN(250))}).String()
		}
		return netip.AddrFrom4([4]byte{10, net, byte(r.IntN(4)), byte(r.IntN(250))}).String()
	}
	port := func(a string, p int) string { return netip.AddrPortFrom(netip.MustParseAddr(a), uint16(p)).String() }
	client, server := host(1), host(2)
	from, to := port(client, 1024+r.IntN(60000)), port(server, 80)
	switch i % 8 {
	case 0, 3, 4:
		return web(r, from, to)
	case 1:
		return names(r, from, port(server, 53))
	case 2, 7:
		return tunnelled(r, from, to)
	case 5:
		return unreachable(from, port(server, 7), client, server)
	}
	return datagrams(r, from, port(server, 5000))
}

func web(r *rand.Rand, from, to string) (out []burst) {
	d := flowtest.NewDialogue(from, to)
	for k := range 1 + r.IntN(4) {
		d.Client(fmt.Sprintf("GET /page%d HTTP/1.1\r\nHost: www.example.net\r\n\r\n", k))
		size := 1 + r.IntN(6000)
		turn := d.Server(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, make([]byte, size)))
		if r.IntN(5) == 0 {
			turn.Lose(1)
		}
	}
	switch r.IntN(4) {
	case 0:
		d.ResetServer()
	case 1: // open at the end
	default:
		d.Close()
	}
	for _, v := range d.Views() {
		out = append(out, burst{frames: [][]byte{v.Frame}})
	}
	return out
}

// names is a question about a name, and its answer.
func names(r *rand.Rand, from, to string) (out []burst) {
	for range 1 + r.IntN(3) {
		id := string([]byte{byte(r.IntN(256)), byte(r.IntN(256))})
		const question = "\x03www\x07example\x03net\x00\x00\x01\x00\x01"
		ask := id + "\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + question
		answer := id + "\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + question + "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"
		out = append(out, burst{frames: [][]byte{frames.UDP{Src: from, Dst: to, Payload: []byte(ask)}.Ethernet()}})
		if r.IntN(6) != 0 {
			out = append(out, burst{frames: [][]byte{frames.UDP{Src: to, Dst: from, Payload: []byte(answer)}.Ethernet()}})
		}
	}
	return out
}

// tunnelled is datagrams in VXLAN, all of which the network has cut to fragments.
func tunnelled(r *rand.Rand, from, to string) (out []burst) {
	gateways := []string{fmt.Sprintf("172.16.0.%d:3333", r.IntN(200)), fmt.Sprintf("172.16.1.%d:4789", r.IntN(200))}
	for k := range 4 + r.IntN(10) {
		ip := frames.UDP{Src: from, Dst: to, Payload: make([]byte, 400+r.IntN(1000))}.IP()
		outer := frames.UDP{Src: gateways[0], Dst: gateways[1], Payload: frames.VXLAN(77, frames.Ethernet(ip))}.IP()
		b := burst{id: tunnelID}
		for _, f := range frames.Fragments(outer, 320, uint32(r.IntN(1<<16)+k)) {
			b.frames = append(b.frames, frames.Ethernet(f))
		}
		out = append(out, b)
	}
	return out
}

// unreachable is a datagram, and the ICMP error that a router sends back.
func unreachable(from, to, client, server string) []burst {
	ip := frames.UDP{Src: from, Dst: to, Payload: make([]byte, 30)}.IP()
	proto, head := uint8(1), []byte{3, 1, 0, 0, 0, 0, 0, 0}
	router := "10.9.9.9"
	if ip[0]>>4 == 6 {
		proto, head, router = 58, []byte{1, 3, 0, 0, 0, 0, 0, 0}, "2001:db8:909::9"
	}
	return []burst{
		{frames: [][]byte{frames.Ethernet(ip)}},
		{frames: [][]byte{frames.Ethernet(frames.Over(router, client, proto, append(head, ip...)))}},
	}
}

// datagrams go both ways, some in fragments.
func datagrams(r *rand.Rand, from, to string) (out []burst) {
	for k := range 2 + r.IntN(30) {
		if r.IntN(2) == 0 {
			from, to = to, from
		}
		ip := frames.UDP{Src: from, Dst: to, Payload: make([]byte, r.IntN(1400))}.IP()
		b := burst{frames: [][]byte{frames.Ethernet(ip)}}
		if len(ip) > 800 && r.IntN(3) == 0 {
			b.frames = nil
			for _, f := range frames.Fragments(ip, 600, uint32(r.IntN(1<<16)+k)) {
				b.frames = append(b.frames, frames.Ethernet(f))
			}
		}
		out = append(out, b)
	}
	return out
}

func builtIn(tb testing.TB) (views []flowscope.PacketView) {
	for v, err := range flowscope.ReadCapture(bytes.NewReader(captures.Sessions)) {
		if err != nil {
			tb.Fatal(err)
		}
		v.Frame = slices.Clone(v.Frame)
		views = append(views, v)
	}
	return views
}
