//go:build linux

package acceptance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/flowscope-go/flowscope"
)

// talk is one connection between the kernel and a peer that this test plays: an honest one, and between its packets an
// attacker who forges them. All of it is captured, on both sides of the kernel.
//
// Positions count from the byte after the SYN, which is at -1. The capture has the same numbers each time, whatever
// number and port the kernel chose.
type talk struct {
	k    *kernel
	plan *plan

	port  [2]uint16 // of the peer and of the kernel, as all arrays here
	isn   [2]uint32
	sock  int
	heard bool  // the kernel's SYN
	open  bool  // the handshake is over
	sent  int64 // up to where the kernel has sent
	acked int64 // what the honest peer acknowledges
	told  int64 // what the kernel acknowledges

	window    int64 // that the kernel offered last
	scale     uint8
	stamp     uint32        // of the peer
	echo      uint32        // of the kernel
	challenge time.Duration // when the honest peer last answered what it refuses
	paused    bool          // the application does not read

	now      time.Duration
	captured []flowscope.PacketView
	script   []string

	held []piece // what the peer sent early

	read, written []byte // by the kernel's application
	end           string // what it has read: open, eof or reset
	dead          bool   // the connection is no more
}

// piece is the place of an early segment, with its FIN.
type piece struct {
	pos, end int64
	fin      bool
}

// Where the numbers of the capture begin: those of testkit.Play, or so that the peer's wrap.
var captureISN = [2]uint32{999, 7999}

const wrapISN = 0xfffffff0

// segment is what is sent: positions are those of the sender, and ack one of the other side.
type segment struct {
	flags    uint8
	pos, ack int64
	payload  []byte
	window   uint16 // 0: the usual one
	shut     bool   // a window of 0
	urgent   uint16
	options  []byte
	stamped  int64 // the timestamp is so much older than it should be
	beyond   int   // the IP length says so many bytes more than there are
}

// packet is the segment in IP, with the given numbers of both SYNs. from is 0 for the peer.
func (g *segment) packet(family, from int, port [2]uint16, isn [2]uint32) []byte {
	header := [2]int{20, 40}[family]
	length := 20 + len(g.options) + len(g.payload)
	p := make([]byte, header+length)
	ends := [2][]byte{peerAddr[family].AsSlice(), kernelAddr[family].AsSlice()}
	if family == 0 {
		p[0], p[8], p[9] = 0x45, 64, syscall.IPPROTO_TCP
		binary.BigEndian.PutUint16(p[2:], uint16(header+length+g.beyond))
		copy(p[12:], ends[from])
		copy(p[16:], ends[1-from])
	} else {
		p[0], p[6], p[7] = 0x60, syscall.IPPROTO_TCP, 64
		binary.BigEndian.PutUint16(p[4:], uint16(length+g.beyond))
		copy(p[8:], ends[from])
		copy(p[24:], ends[1-from])
	}
	tcp := p[header:]
	binary.BigEndian.PutUint16(tcp, port[from])
	binary.BigEndian.PutUint16(tcp[2:], port[1-from])
	binary.BigEndian.PutUint32(tcp[4:], isn[from]+1+uint32(g.pos))
	if g.flags&ack != 0 {
		binary.BigEndian.PutUint32(tcp[8:], isn[1-from]+1+uint32(g.ack))
	}
	tcp[12], tcp[13] = byte(5+len(g.options)/4)<<4, g.flags
	if !g.shut {
		binary.BigEndian.PutUint16(tcp[14:], g.window)
	}
	binary.BigEndian.PutUint16(tcp[18:], g.urgent)
	copy(tcp[20:], g.options)
	copy(tcp[20+len(g.options):], g.payload)
	checksums(p)
	return p
}

// text is the segment as a step of testkit.Play, as far as its notation goes.
func (g *segment) text(arrow string) string {
	flags := flagText(g.flags)
	var b strings.Builder
	b.WriteString(arrow)
	switch {
	case g.flags&syn != 0:
		fmt.Fprintf(&b, "S/f%s/n%d", flags, g.pos+1)
		if len(g.payload) > 0 {
			fmt.Fprintf(&b, "/d%s", g.payload)
		}
	case len(g.payload) > 40:
		fmt.Fprintf(&b, "%d:%c*%d/f%s", g.pos, g.payload[0], len(g.payload), flags)
	default:
		fmt.Fprintf(&b, "%d:%s/f%s", g.pos, g.payload, flags)
	}
	if g.flags&ack != 0 {
		fmt.Fprintf(&b, "/a%d", g.ack)
	}
	switch {
	case g.shut:
		b.WriteString("/w0")
	case g.window < 30000:
		fmt.Fprintf(&b, "/w%d", g.window)
	}
	if g.urgent != 0 {
		fmt.Fprintf(&b, "/u%d", g.urgent)
	}
	if g.stamped != 0 {
		fmt.Fprintf(&b, "/TSval-%d", g.stamped)
	}
	if g.beyond != 0 {
		fmt.Fprintf(&b, "/iplen+%d", g.beyond)
	}
	if len(g.options) > 0 && (g.options[0] == optionMD5 || g.options[0] == optionAO) {
		fmt.Fprintf(&b, "/option%d", g.options[0])
	}
	return b.String()
}

func flagText(flags uint8) (s string) {
	for i, c := range "FSRPAU" {
		if flags>>i&1 != 0 {
			s += string(c)
		}
	}
	return s
}

// arrow is > for who sends the first SYN.
func (c *talk) arrow(from int) string {
	if (from == 1) == c.plan.client {
		return ">"
	}
	return "<"
}

func (c *talk) family() int {
	if c.plan.v6 {
		return 1
	}
	return 0
}

// Errors that end a talk before it is one.
var (
	errNoSYN   = errors.New("the kernel sent no SYN")
	errNotOpen = errors.New("the connection did not open")
)

// capture gives the driver a packet. The link header is that of Ethernet.
func (c *talk) capture(packet []byte) {
	frame := make([]byte, 14, 14+len(packet))
	frame[12] = 8
	if packet[0]>>4 == 6 {
		frame[12], frame[13] = 0x86, 0xdd
	}
	c.captured = append(c.captured, flowscope.PacketView{
		Frame: append(frame, packet...), Timestamp: flowscope.Timestamp(1e18).Add(c.now), ID: uint64(len(c.captured) + 1),
	})
}

func (c *talk) captureISN() [2]uint32 {
	isn := captureISN
	if c.plan.wrap {
		isn[0] = wrapISN
	}
	return isn
}

// put sends a segment of the peer to the kernel, and takes what the kernel and its application make of it.
func (c *talk) put(g segment) {
	c.now += time.Millisecond
	c.dress(&g)
	c.script = append(c.script, g.text(c.arrow(0)))
	c.capture(g.packet(c.family(), 0, c.port, c.captureISN()))
	if end := g.pos + int64(len(g.payload)) + int64(g.flags&fin); g.flags&(syn|rst) == 0 && end > g.pos && end-1 > c.expected() {
		c.held = append(c.held, piece{g.pos, end, g.flags&fin != 0})
	}
	c.k.send(g.packet(c.family(), 0, c.port, c.isn))
	c.hear()
	c.attend()
}

// bytesAtFIN reports whether an early segment has bytes at the place of an early FIN, or right behind it.
func (c *talk) bytesAtFIN() bool {
	for _, a := range c.held {
		if a.fin && slices.ContainsFunc(c.held, func(b piece) bool { return b.pos <= a.end && b.end >= a.end && b != a }) {
			return true
		}
	}
	return false
}

// dress fills in the usual window and options.
func (c *talk) dress(g *segment) {
	if g.window == 0 {
		g.window = 65535
		if c.plan.options != optionsNone && g.flags&syn == 0 {
			g.window = 512 // times 128
		}
	}
	if g.options != nil {
		return
	}
	stamps := func() []byte {
		c.stamp++
		o := binary.BigEndian.AppendUint32([]byte{1, 1, 8, 10}, c.stamp-uint32(g.stamped))
		return binary.BigEndian.AppendUint32(o, c.echo)
	}
	switch {
	case g.flags&(syn|rst) == syn:
		g.options = []byte{2, 4, 0x05, 0xb4}
		if c.plan.options >= optionsSACK {
			g.options = append(g.options, 4, 2, 1, 3, 3, 7, 1, 1)
		}
		if c.plan.options >= optionsStamps {
			g.options = append(g.options, stamps()...)
		}
	case c.plan.options >= optionsStamps && (c.heard && !c.plan.client || c.open):
		g.options = stamps()
	}
}

// forge captures a segment in the name of the kernel, which nobody receives. No honest peer would take any of those that
// are forged here; it answers as RFC 9293 section 3.10.7.4 and RFC 5961 say, and if it is like Linux once in half a second.
func (c *talk) forge(g segment, answered bool) {
	c.now += time.Millisecond
	g.window = 65000
	c.script = append(c.script, g.text(c.arrow(1)))
	c.capture(g.packet(c.family(), 1, c.port, c.captureISN()))
	if answered && c.open && c.end == "open" && (len(g.payload) > 0 || !c.plan.limited || c.now-c.challenge > 500*time.Millisecond) {
		c.challenge = c.now
		c.put(segment{flags: ack, pos: c.expected(), ack: c.acked})
	}
}

// hear takes what the kernel has sent.
func (c *talk) hear() {
	for _, p := range c.k.answers(c.port[0]) {
		tcp := transport(p)
		if c.port[1] = binary.BigEndian.Uint16(tcp); tcp[13]&syn != 0 && !c.heard {
			c.heard, c.isn[1] = true, binary.BigEndian.Uint32(tcp[4:])
			if o := option(tcp, 3); len(o) == 1 && c.plan.options != optionsNone {
				c.scale = o[0]
			}
		}
		if !c.heard {
			continue
		}
		g := segment{flags: tcp[13] & 63, window: binary.BigEndian.Uint16(tcp[14:]), payload: tcp[int(tcp[12]>>4)*4:]}
		g.pos = int64(int32(binary.BigEndian.Uint32(tcp[4:]) - c.isn[1] - 1))
		if g.flags&ack != 0 {
			g.ack = int64(int32(binary.BigEndian.Uint32(tcp[8:]) - c.isn[0] - 1))
		}
		if o := option(tcp, 8); len(o) == 8 {
			c.echo = binary.BigEndian.Uint32(o)
		}
		c.now += 100 * time.Microsecond
		// The same packet with the numbers of the capture. It is not checked whether checksums are right.
		isn := c.captureISN()
		if seq := binary.BigEndian.Uint32(tcp[4:]); seq != 0 || g.flags&rst == 0 { // a RST that has no number to go by has 0
			binary.BigEndian.PutUint32(tcp[4:], isn[1]+1+uint32(g.pos))
		}
		if g.flags&ack != 0 {
			binary.BigEndian.PutUint32(tcp[8:], isn[0]+1+uint32(g.ack))
		}
		c.capture(p)
		if g.flags&rst == 0 {
			end := g.pos + int64(len(g.payload))
			if g.flags&(syn|fin) != 0 {
				end++
			}
			c.sent, c.told = max(c.sent, end), max(c.told, g.ack)
			if c.window = int64(g.window); g.flags&syn == 0 {
				c.window <<= c.scale
			}
			g.window = uint16(min(c.window, 65535))
		}
		c.script = append(c.script, g.text(c.arrow(1)))
	}
}

// option is the data of an option of a TCP header.
func option(tcp []byte, kind byte) []byte {
	for o := tcp[20 : int(tcp[12]>>4)*4]; len(o) > 1; {
		switch {
		case o[0] == 0:
			return nil
		case o[0] == 1:
			o = o[1:]
		case o[1] < 2 || int(o[1]) > len(o):
			return nil
		case o[0] == kind:
			return o[2:o[1]]
		default:
			o = o[o[1]:]
		}
	}
	return nil
}

// attend lets the application read, and the kernel acknowledge at once: what it has received must not depend on how fast
// this machine is.
func (c *talk) attend() {
	if c.sock < 0 {
		return
	}
	if !c.paused {
		c.readAll()
	}
	if !c.gone() {
		quickACK(c.sock)
		c.hear()
	}
}

func (c *talk) readAll() {
	if c.end != "open" {
		return
	}
	text, end := readAll(c.sock)
	c.read, c.end = append(c.read, text...), end
	c.hear()
}

// gone reports whether the connection is no more.
func (c *talk) gone() bool {
	if c.sock >= 0 && socketState(c.sock) == stateClosed {
		c.dead = true
	}
	return c.dead
}

// expected is the position that the kernel waits for.
func (c *talk) expected() int64 {
	if c.sock < 0 {
		return 0
	}
	n := int64(len(c.read)) + unread(c.sock)
	if socketState(c.sock) == stateCloseWait {
		n++ // the FIN
	}
	return max(n, c.told)
}

// letters are what honest ends say: lower case, and such that the letters tell their place.
func letters(side int, pos int64, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		x := uint64(pos+int64(i)+int64(side)*7919) * 0x9e3779b97f4a7c15
		b[i] = 'a' + byte((x>>32)%26)
	}
	return b
}

// say lets the application of the kernel send. The honest peer acknowledges it unless it is late.
func (c *talk) say(n int, acknowledged bool) {
	if state := socketState(c.sock); state != stateEstablished && state != stateCloseWait {
		return
	}
	b := letters(1, int64(len(c.written)), n)
	if n, err := syscall.Write(c.sock, b); err != nil || n != len(b) {
		return
	}
	c.written = append(c.written, b...)
	c.hear()
	if acknowledged && !c.gone() {
		c.acked = max(c.acked, min(c.sent, int64(len(c.written))))
		c.put(segment{flags: ack, pos: c.expected(), ack: c.acked})
	}
}

// exchange is honest: both ends say something and acknowledge it.
func (c *talk) exchange(times int) {
	for range times {
		if c.gone() {
			return
		}
		if socketState(c.sock) != stateCloseWait {
			pos := c.expected()
			c.put(segment{flags: ack | psh, pos: pos, ack: c.acked, payload: letters(0, pos, 10)})
		}
		if c.gone() {
			return
		}
		c.say(7, true)
	}
}

func (c *talk) wait(d time.Duration) {
	c.now += d
	c.script = append(c.script, "+"+d.String())
}

// run takes the steps, as long as there is a connection.
func (c *talk) run(steps []step) {
	for _, s := range steps {
		if c.sock >= 0 && c.gone() {
			return
		}
		kinds[s.kind].do(c, s)
	}
}

// handshake opens the connection, with steps before it is open.
func (c *talk) handshake() error {
	if c.plan.client {
		sock, err := c.k.connect(c.family(), c.port[0])
		if err != nil {
			return err
		}
		c.sock = sock
		c.hear()
		if !c.heard {
			return errNoSYN
		}
		c.run(c.plan.early)
		if socketState(c.sock) != stateSynSent {
			return errNotOpen
		}
		c.put(segment{flags: syn | ack, pos: -1})
		if socketState(c.sock) != stateEstablished {
			return errNotOpen
		}
		c.open = true
		return nil
	}
	c.port[1] = serverPort
	c.put(segment{flags: syn, pos: -1})
	if !c.heard {
		return errNoSYN
	}
	c.run(c.plan.early)
	c.open = true
	c.put(segment{flags: ack, ack: c.acked})
	if c.sock = c.k.accept(c.family(), c.port[0]); c.sock < 0 {
		return errNotOpen
	}
	c.attend()
	return nil
}

// play plays a plan to the kernel.
func (k *kernel) play(p *plan) (c *talk, err error) {
	c = &talk{
		k: k, plan: p, sock: -1, end: "open", window: 65535, stamp: 100000, paused: p.lazy,
		now: time.Millisecond, challenge: -time.Hour,
	}
	k.port++
	c.port[0], c.isn[0] = 2000+k.port%60000, c.captureISN()[0]
	k.limitChallenges(p.limited)
	k.answers(0)
	defer func() {
		if c.sock < 0 {
			return
		}
		c.gone()
		c.readAll()
		abort(c.sock)
		k.answers(0)
		// What the kernel could not send is not in the capture.
		c.written = c.written[:min(int64(len(c.written)), max(c.sent, 0))]
	}()
	if err = c.handshake(); err != nil {
		return c, err
	}
	c.exchange(p.before)
	c.run(p.steps)
	if c.paused {
		c.paused = false
		c.attend()
	}
	c.exchange(3)
	if p.later {
		c.wait(35 * time.Second)
		c.exchange(3)
	}
	return c, nil
}
