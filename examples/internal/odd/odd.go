// Package odd makes captures that are hard to show: hostile names, silence of a week, every packet twice, and so on.
// Tests of the examples use it.
package odd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/testdata/captures"
)

// Capture is a capture file with a name.
type Capture struct {
	Name string
	File []byte
}

// Views are its packets, which can be read again and again.
func (c Capture) Views() func(yield func(flowscope.PacketView, error) bool) {
	return func(yield func(flowscope.PacketView, error) bool) {
		flowscope.ReadCapture(bytes.NewReader(c.File))(yield)
	}
}

type views = []flowscope.PacketView

// All are all of them, in a fixed order. They are made once.
var All = sync.OnceValue(func() []Capture {
	sessions := read(captures.Sessions)
	all := []Capture{
		file("empty", nil),
		file("one", sessions[:1]),
		file("ten", sessions[:10]),
		file("sessions", sessions),
		{Name: "broken", File: captures.Sessions[:2*len(captures.Sessions)/3]},
		{Name: "nothing", File: []byte("no capture")},
		file("twice", twice(sessions)),
		file("week", week()),
		file("instant", instant(sessions)),
		file("extremes", extremes()),
		file("hostile", Hostile()),
		file("long", long()),
		file("ipv6", ipv6()),
		file("trouble", trouble()),
		file("scan", scan(21_000)),
		file("snapped", flowtest.Snap(sessions, 96)),
	}
	for i := range all {
		all[i].Name += ".pcap"
	}
	return all
})

// Named is the one of that name, without ".pcap".
func Named(name string) Capture {
	all := All()
	i := slices.IndexFunc(all, func(c Capture) bool { return c.Name == name+".pcap" })
	return all[i]
}

func file(name string, packets views) Capture {
	var b bytes.Buffer
	w, err := flowscope.NewCaptureWriter(&b, flowscope.LinkTypeEthernet)
	for i := range packets {
		if err == nil {
			err = w.Write(packets[i])
		}
	}
	if err != nil {
		panic(err) // a bytes.Buffer has none
	}
	return Capture{name, b.Bytes()}
}

func read(file []byte) (all views) {
	for v, err := range flowscope.ReadCapture(bytes.NewReader(file)) {
		if err != nil {
			panic(err) // an embedded file
		}
		v.Frame = bytes.Clone(v.Frame)
		all = append(all, v)
	}
	return all
}

// later moves packets in time.
func later(packets views, d time.Duration) views {
	moved := slices.Clone(packets)
	for i := range moved {
		moved[i].Timestamp = moved[i].Timestamp.Add(d)
	}
	return moved
}

// twice is a capture before and behind a router, some microseconds apart.
func twice(packets views) (all views) {
	for _, v := range packets {
		again := v
		again.Frame = bytes.Clone(v.Frame)
		again.Frame[0] ^= 2 // of the Ethernet addresses
		again.Timestamp = v.Timestamp.Add(7 * time.Microsecond)
		all = append(all, v, again)
	}
	return all
}

func week() views {
	first := web("192.0.2.1:40000", "192.0.2.80:80", 30, 2*time.Second)
	again := later(web("192.0.2.1:40001", "192.0.2.80:80", 20, time.Second), 7*24*time.Hour)
	last := later(web("192.0.2.1:40002", "192.0.2.80:80", 5, time.Millisecond), 7*24*time.Hour+50*time.Minute)
	return slices.Concat(first, again, last)
}

func instant(packets views) views {
	at := slices.Clone(packets)
	for i := range at {
		at[i].Timestamp = packets[0].Timestamp
	}
	return at
}

// extremes has timestamps at both ends of what a capture file can say.
func extremes() views {
	packets := web("192.0.2.1:40000", "192.0.2.80:80", 4, time.Second)
	packets[5].Timestamp = 0
	packets[8].Timestamp = flowscope.NewTimestamp(1<<32-1, 999_999_999)
	return packets
}

// web is a connection with exchanges of HTTP, one every so often.
func web(client, server string, exchanges int, every time.Duration) views {
	d := flowtest.NewDialogue(client, server)
	for i := range exchanges {
		d.Client(fmt.Sprintf("GET /page/%d HTTP/1.1\r\nHost: www.example.net\r\n\r\n", i))
		body := strings.Repeat("text ", 100*i%1700)
		d.Wait(every / 10)
		status := []string{"200 OK", "200 OK", "404 Not Found", "304 Not Modified", "503 Busy"}[i%5]
		if status[0] == '3' {
			body = ""
		}
		d.Server(fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body))
		d.Wait(every)
	}
	d.Close()
	return d.Views()
}

// Names are what a hostile peer may call itself: markup, control characters, other directions of writing, characters
// piled on one another, and 10 kB of text without a place to break.
var Names = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</style><b>`, `{{.Secret}}`, `&lt;b&gt;`, `javascript:alert(1)`,
	"\x1b[31mred\x00\x07\x7f", "a\u202egnp.exe", "\u2066x\u2069\u200f", "e" + strings.Repeat("\u0301", 60), "\xff\xfe\x80",
	"שלום.example", "нормально", "'`--!>]]>", strings.Repeat("long", 2500),
}

// Hostile uses these names wherever a peer can write one.
func Hostile() (all views) {
	for i, name := range Names {
		client, server := fmt.Sprintf("192.0.2.%d:%d", i+1, 40000+i), "198.51.100.1"
		d := flowtest.NewDialogue(client, server+":80")
		line := strings.NewReplacer("\r", "", "\n", "", " ", "+").Replace(name)
		d.Client("GET /" + line + " HTTP/1.1\r\nHost: " + line + "\r\n\r\n")
		d.Server("HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n")
		d.Client(line + " http://" + line + "/ HTTP/1.1\r\nHost: x\r\n\r\n")
		d.Server("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
		d.Close()
		s := flowtest.NewDialogue(fmt.Sprintf("192.0.2.%d:%d", i+1, 50000+i), server+":443")
		s.Client(hello(name))
		s.ResetServer()
		all = slices.Concat(all, later(d.Views(), time.Duration(i)*time.Second), later(s.Views(), time.Duration(i)*time.Second))
		query := frames.UDP{Src: fmt.Sprintf("192.0.2.%d:%d", i+1, 30000+i), Dst: server + ":53", Payload: question(uint16(i), name)}
		all = append(all, flowscope.PacketView{Frame: query.Ethernet(), Timestamp: flowtest.Epoch.Add(time.Duration(i) * time.Second)})
	}
	return all
}

// hello is a ClientHello to a server of that name.
func hello(name string) string {
	name = name[:min(len(name), 9000)]
	u16 := func(b []byte, n int) []byte { return binary.BigEndian.AppendUint16(b, uint16(n)) }
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 0x01, 1, 0)
	sni := append(u16([]byte{}, len(name)+3), 0)
	sni = append(u16(sni, len(name)), name...)
	body = u16(body, len(sni)+4)
	body = append(u16(append(body, 0, 0), len(sni)), sni...)
	message := append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return string(append(u16([]byte{22, 3, 1}, len(message)), message...))
}

// question is a query for a name, of which labels may have 63 bytes.
func question(id uint16, name string) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for name = name[:min(len(name), 180)]; name != ""; {
		n := min(len(name), 60)
		b = append(append(b, byte(n)), name[:n]...)
		name = name[n:]
	}
	return append(b, 0, 0, 1, 0, 1)
}

// long has names of every length, none of them hostile.
func long() (all views) {
	for i := range 40 {
		d := flowtest.NewDialogue(fmt.Sprintf("192.0.2.%d:%d", i+1, 40000+i), "198.51.100.1:80")
		host := strings.Repeat("sub-domain-of.", i) + "example.net"
		d.Client("GET /" + strings.Repeat("directory/", i*3) + "?" + strings.Repeat("key=value&", i) + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		d.Wait(time.Duration(i*i) * time.Millisecond)
		d.Server("HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n")
		d.Close()
		all = append(all, later(d.Views(), time.Duration(i)*100*time.Millisecond)...)
	}
	return all
}

func ipv6() (all views) {
	for i := range 30 {
		client := fmt.Sprintf("[2001:db8:1234:5678:9abc:def0:1234:%x]:%d", 0x1000+i, 60000+i)
		server := fmt.Sprintf("[2001:db8:ffff:eeee:dddd:cccc:bbbb:%x]:8080", 0xa000+i%3)
		all = append(all, later(web(client, server, 1+i%7, 20*time.Millisecond), time.Duration(i)*30*time.Millisecond)...)
	}
	slices.SortStableFunc(all, func(a, b flowscope.PacketView) int { return int(a.Timestamp.Sub(b.Timestamp)) })
	return all
}

// trouble has holes, segments that came again, resets, and SYNs that nobody answered.
func trouble() (all views) {
	for i := range 12 {
		d := flowtest.NewDialogue(fmt.Sprintf("192.0.2.%d:%d", i+1, 40000+i), "198.51.100.1:80")
		d.Client("GET /big HTTP/1.1\r\nHost: big.example.net\r\n\r\n")
		for range 5 + i {
			turn := d.Server(strings.Repeat("0123456789", 1000))
			turn.Repeat(1 + i%turn.Segments())
			if i%3 == 0 {
				turn.Lose(2)
			}
			d.Wait(time.Duration(10+i) * time.Millisecond)
			d.Client("more")
		}
		switch i % 3 {
		case 0:
			d.Close()
		case 1:
			d.ResetServer()
		}
		all = append(all, later(d.Views(), time.Duration(i)*200*time.Millisecond)...)
	}
	for i := range 5 {
		for again := range 4 {
			syn := frames.TCP{Src: fmt.Sprintf("192.0.2.99:%d", 50000+i), Dst: "198.51.100.250:443", Seq: 1, Flags: "S", Window: 1024}
			all = append(all, flowscope.PacketView{Frame: syn.Ethernet(), Timestamp: flowtest.Epoch.Add(time.Duration(i)*100*time.Millisecond + time.Duration(again)*time.Second)})
		}
	}
	slices.SortStableFunc(all, func(a, b flowscope.PacketView) int { return int(a.Timestamp.Sub(b.Timestamp)) })
	return all
}

// scan is n connections, each refused, to as many addresses.
func scan(n int) (all views) {
	for i := range n {
		to := fmt.Sprintf("10.%d.%d.%d:22", i>>16, i>>8&255, i&255)
		at := flowtest.Epoch.Add(time.Duration(i) * 100 * time.Microsecond)
		syn := frames.TCP{Src: "192.0.2.1:55555", Dst: to, Seq: 7, Flags: "S", Window: 1024}
		rst := frames.TCP{Src: to, Dst: "192.0.2.1:55555", Ack: 8, Flags: "RA"}
		all = append(all, flowscope.PacketView{Frame: syn.Ethernet(), Timestamp: at},
			flowscope.PacketView{Frame: rst.Ethernet(), Timestamp: at.Add(50 * time.Microsecond)})
	}
	return all
}
