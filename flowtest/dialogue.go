package flowtest

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
)

// Dialogue writes the packets of a TCP connection: a handshake, what each side says, an end. The packets
// have right sums, numbers and lengths, and the side that listens acknowledges each turn.
//
//	d := flowtest.NewDialogue("10.0.0.1:1234", "10.0.0.2:80")
//	d.Client("GET / HTTP/1.0\r\n\r\n")
//	d.Server("HTTP/1.0 200 OK\r\n\r\nhello").Lose(1)
//	d.Close()
//	views := d.Views()
//
// A capture that begins late is a part of the slice: d.Views()[3:]. Snap cuts the frames.
type Dialogue struct {
	// MSS is the most payload of a segment; 0 is 1,460 bytes. It holds from the next turn on.
	MSS int
	// VLANs are the tags of the frames, outermost first.
	VLANs []uint16
	// Wrap, if it is set, makes the frame of an IP packet, for example to put a tunnel around it; fromClient
	// says whose packet it is. Without it the frame is Ethernet, with VLANs.
	Wrap func(ip []byte, fromClient bool) []byte

	ends    [2]string
	packets []packet
	next    [2]uint32 // number of the next byte of each side
	wait    time.Duration
}

// packet is one packet of a Dialogue, in the order in which it is sent.
type packet struct {
	side     int // 0 is the client
	flags    string
	seq, ack uint32
	payload  string
	wait     time.Duration // before it, beside Step
	place    float64       // in the capture, among the places of the others, which are whole numbers
	lost     bool
}

// The first sequence numbers, and the window: larger than what is ever said without an ACK.
const (
	clientISN = 1000
	serverISN = 5000
	window    = 65535
	ackEvery  = 16 // segments, at most 1,460 bytes each: 23,360 bytes
)

// NewDialogue begins a connection with its handshake. Client and server are "address:port", an IPv6 address
// in brackets; ends that make no sense panic.
func NewDialogue(client, server string) *Dialogue {
	a, b := netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)
	if a.Addr().Is4() != b.Addr().Is4() {
		panic(fmt.Sprintf("flowtest: %v and %v are of two families", a, b))
	}
	d := &Dialogue{ends: [2]string{client, server}, next: [2]uint32{clientISN, serverISN}}
	d.send(0, "S", "")
	d.send(1, "SA", "")
	d.send(0, "A", "")
	return d
}

// Client lets the client say something, in as many segments as it takes.
func (d *Dialogue) Client(text string) Turn { return d.say(0, text) }

// Server lets the server say something, in as many segments as it takes.
func (d *Dialogue) Server(text string) Turn { return d.say(1, text) }

// Wait lets time pass before the next packet.
func (d *Dialogue) Wait(t time.Duration) { d.wait += t }

// Close ends the connection: a FIN of the client, one of the server, and the last ACK.
func (d *Dialogue) Close() {
	d.CloseClient()
	d.send(1, "FA", "")
	d.send(0, "A", "")
}

// CloseClient is the client's FIN alone. The server may go on.
func (d *Dialogue) CloseClient() {
	d.send(0, "FA", "")
	d.send(1, "A", "")
}

// CloseServer is the server's FIN alone. The client may go on.
func (d *Dialogue) CloseServer() {
	d.send(1, "FA", "")
	d.send(0, "A", "")
}

// ResetClient and ResetServer end the connection with a RST of that side.
func (d *Dialogue) ResetClient() { d.send(0, "RA", "") }

// ResetServer ends the connection with a RST of the server.
func (d *Dialogue) ResetServer() { d.send(1, "RA", "") }

func (d *Dialogue) say(side int, text string) Turn {
	mss := cmp.Or(d.MSS, 1460)
	turn := Turn{dialogue: d}
	for n := 1; len(text) > 0; n++ {
		part := text[:min(mss, len(text))]
		text = text[len(part):]
		flags := "A"
		if len(text) == 0 {
			flags = "PA"
		}
		turn.packets = append(turn.packets, len(d.packets))
		d.send(side, flags, part)
		if n%ackEvery == 0 || len(text) == 0 {
			d.send(1-side, "A", "")
		}
	}
	return turn
}

func (d *Dialogue) send(side int, flags, payload string) {
	p := packet{side: side, flags: flags, seq: d.next[side], payload: payload, wait: d.wait, place: float64(len(d.packets))}
	if flags != "S" {
		p.ack = d.next[1-side]
	}
	d.wait = 0
	d.next[side] += uint32(len(payload))
	if flags[0] == 'S' || flags[0] == 'F' {
		d.next[side]++
	}
	d.packets = append(d.packets, p)
}

// Turn is what a side has just said, in one or more segments, which are numbered from 1. Its methods change
// how the capture shows them. A segment that there is not panics.
type Turn struct {
	dialogue *Dialogue
	packets  []int
}

// Segments is in how many segments it was said.
func (t Turn) Segments() int { return len(t.packets) }

// Lose leaves a segment out of the capture. The other side has it, and acknowledges it.
func (t Turn) Lose(segment int) Turn {
	t.at(segment).lost = true
	return t
}

// Repeat lets a segment come again, after all that follows of the same turn.
func (t Turn) Repeat(segment int) Turn {
	again := *t.at(segment)
	last := t.at(len(t.packets))
	again.place = last.place + 0.25
	t.dialogue.packets = append(t.dialogue.packets, again)
	return t
}

// Delay lets a segment come so many packets later.
func (t Turn) Delay(segment, packets int) Turn {
	t.at(segment).place += float64(packets) + 0.5
	return t
}

// Overlap lets a segment, not the first, begin so many bytes earlier, with the bytes that were said there.
func (t Turn) Overlap(segment, bytes int) Turn {
	p := t.at(segment)
	before := t.at(segment - 1).payload
	bytes = min(bytes, len(before))
	p.payload = before[len(before)-bytes:] + p.payload
	p.seq -= uint32(bytes)
	return t
}

func (t Turn) at(segment int) *packet {
	if segment < 1 || segment > len(t.packets) {
		panic(fmt.Sprintf("flowtest: segment %d of %d", segment, len(t.packets)))
	}
	return &t.dialogue.packets[t.packets[segment-1]]
}

// Views are the packets so far, in the order of capture, numbered from 1.
func (d *Dialogue) Views() []flowscope.PacketView {
	all := slices.Clone(d.packets)
	slices.SortStableFunc(all, func(a, b packet) int { return cmp.Compare(a.place, b.place) })
	var views []flowscope.PacketView
	now := Epoch
	for _, p := range all {
		now = now.Add(p.wait)
		if !p.lost {
			views = append(views, flowscope.PacketView{Frame: d.frame(&p), Timestamp: now, ID: uint64(len(views) + 1)})
		}
		now = now.Add(Step)
	}
	return views
}

func (d *Dialogue) frame(p *packet) []byte {
	s := frames.TCP{
		Src: d.ends[p.side], Dst: d.ends[1-p.side], Seq: p.seq, Ack: p.ack, Flags: p.flags, Window: window,
		Payload: []byte(p.payload), VLANs: d.VLANs,
	}
	if d.Wrap != nil {
		return d.Wrap(s.IP(), p.side == 0)
	}
	return s.Ethernet()
}
