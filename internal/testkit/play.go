package testkit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

// Play is one connection in a shorthand. Positions count from the byte after the SYN. Steps are separated by
// spaces:
//
//	hs                S, SA, A
//	>S <SA >A6        a segment: who, flags, and for an A the position it acknowledges from now on
//	>0:abc  <3:x      payload at a position, flags PA
//	>F@4  >R@3        a FIN or RST at a position; >2:cd/F a FIN behind payload
//	+10ms             time passes; sweep says so to the driver
//	finish            Finish
//
// and may have modifiers: /f<flags> /w<window> /u<urgent pointer, with URG> /a<ack, for this segment only>
// /c<captured bytes of payload> /n<sequence number shift> /t<tuple>
// /l<bytes that the IP length promises beyond the frame>. "_" in a payload is any byte, "z*9" nine z.
type Play struct {
	*Book
	ISN    [2]uint32 // the number of the SYN
	acked  [2]int64  // what each side acknowledges
	closed [2]int64  // behind the FIN that each side has sent
	Now    time.Duration
	ID     uint64
	Starts int
	Reason flowscope.EndReason
	log    []string // all but Packet, Started, Established, StateChange, Late and Released
	Seen   map[flowscope.AnomalyKind]int
}

// NewPlay makes a driver for a Play.
func NewPlay(tb testing.TB, f flowscope.ReassemblerFactory[Key], cfg flowscope.Config) *Play {
	p := &Play{
		Book: NewBook(tb, NewDriver(tb, f, cfg)), ISN: [2]uint32{999, 7999}, Seen: map[flowscope.AnomalyKind]int{},
	}
	return p
}

// Play takes the steps of a script.
func (p *Play) Play(script string) *Play {
	p.TB.Helper()
	for _, step := range strings.Fields(script) {
		p.Step(step)
	}
	return p
}

// At is the time of the next packet.
func (p *Play) At() flowscope.Timestamp { return flowscope.Timestamp(1e18).Add(p.Now) }

// Step takes one step.
func (p *Play) Step(step string) {
	p.TB.Helper()
	switch {
	case step == "hs":
		p.Play(">S <SA >A0")
	case step == "sweep":
		p.Hear(p.Driver.Sweep(p.At()))
	case step == "finish":
		p.Hear(p.Driver.Finish())
		p.Finish()
	case step[0] == '+':
		d, err := time.ParseDuration(step[1:])
		if err != nil {
			p.TB.Fatal(err)
		}
		p.Now += d
	default:
		p.Hear(p.Driver.Track(p.View(step)))
	}
}

// View makes the packet of a step.
func (p *Play) View(step string) flowscope.PacketView {
	p.TB.Helper()
	num := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			p.TB.Fatalf("%q: %v", step, err)
		}
		return n
	}
	words := strings.Split(step, "/")
	g := Segment{Window: 60000, Flags: "PA"}
	if words[0][0] == '<' {
		g.Dir = 1
	}
	pos, what := int64(0), words[0][1:]
	if at, data, ok := strings.Cut(what, ":"); ok {
		pos = num(at)
		if c, n, ok := strings.Cut(data, "*"); ok {
			data = strings.Repeat(c, int(num(n)))
		}
		g.Payload = []byte(data)
	} else if flags, at, ok := strings.Cut(what, "@"); ok {
		pos, g.Flags = num(at), strings.TrimSuffix(flags, "A")+"A"
		if strings.HasPrefix(flags, "R") && !strings.HasSuffix(flags, "A") {
			g.Flags = flags
		}
	} else {
		g.Flags = strings.TrimRight(what, "0123456789")
		if n := what[len(g.Flags):]; n != "" {
			p.acked[g.Dir] = num(n)
		}
		pos = p.end(g.Dir)
	}
	captured, ack, shift := -1, p.acked[g.Dir], int64(0)
	for _, w := range words[1:] {
		switch w[0] {
		case 'F':
			g.Flags += "F"
		case 'f':
			g.Flags = w[1:]
		case 'w':
			g.Window = uint16(num(w[1:]))
		case 'u':
			g.urgent = uint16(num(w[1:]))
			g.Flags += "U"
		case 'a':
			ack = num(w[1:])
		case 'c':
			captured = int(num(w[1:]))
		case 'n':
			shift = num(w[1:])
		case 't':
			g.Tuple = int(num(w[1:]))
		case 'd':
			g.Payload = []byte(w[1:])
		case '0':
			g.length0 = true
		case 'l':
			g.longer = int(num(w[1:]))
		default:
			p.TB.Fatalf("%q?", w)
		}
	}
	if strings.Contains(g.Flags, "S") {
		g.Seq = p.ISN[g.Dir] + uint32(shift)
	} else {
		g.Seq = p.ISN[g.Dir] + 1 + uint32(pos) + uint32(shift)
	}
	if strings.Contains(g.Flags, "A") {
		g.Ack = p.ISN[1-g.Dir] + 1 + uint32(ack)
	}
	if strings.Contains(g.Flags, "F") && !strings.ContainsAny(g.Flags, "SR") && g.Tuple == 0 {
		p.closed[g.Dir] = pos + int64(len(g.Payload)) + 1
	}
	p.ID++
	v := flowscope.PacketView{Frame: g.Frame(), Timestamp: p.At(), ID: p.ID}
	if captured >= 0 {
		v.WireLen = len(v.Frame)
		v.Frame = v.Frame[:54+captured]
	}
	return v
}

// end is where the side goes on: behind what it has sent so far, as told by the book, and behind its FIN.
func (p *Play) end(dir int) int64 {
	if f := p.Flows[1]; f != nil {
		return max(f.Sides[dir].pos, p.closed[dir])
	}
	return 0
}

// Hear enters the events of one call.
func (p *Play) Hear(events []Event) {
	p.TB.Helper()
	p.Take(events)
	for i := range events {
		ev := &events[i]
		switch ev.Kind {
		case flowscope.EventStarted:
			p.Starts++
			continue
		case flowscope.EventPacket, flowscope.EventEstablished, flowscope.EventStateChange, flowscope.EventLate,
			flowscope.EventReleased:
			continue
		case flowscope.EventEnded:
			p.Reason = ev.Reason
		case flowscope.EventAnomaly:
			p.Seen[ev.Anomaly]++
		}
		p.log = append(p.log, eventWord(ev))
	}
}

// eventWord is an event of a play on one word, without what the play did not say.
func eventWord(ev *Event) string {
	arrow := ">"
	if ev.Side == flowscope.Responder {
		arrow = "<"
	}
	switch ev.Kind {
	case flowscope.EventData:
		return fmt.Sprintf("%s%d:%s", arrow, ev.Offset, ev.Bytes)
	case flowscope.EventGap:
		return fmt.Sprintf("%sgap[%d,%d)%v", arrow, ev.Offset, ev.Offset+ev.Len, ev.Cause)
	case flowscope.EventUrgent:
		return fmt.Sprintf("%surgent@%d", arrow, ev.Offset)
	case flowscope.EventSideClosed:
		if ev.Reason != 0 {
			return fmt.Sprintf("%sclosed@%d:%v", arrow, ev.Offset, ev.Reason)
		}
		return fmt.Sprintf("%sclosed@%d", arrow, ev.Offset)
	case flowscope.EventAnomaly:
		return fmt.Sprintf("%s!%v", arrow, ev.Anomaly)
	case flowscope.EventEnded:
		return "ended:" + ev.Reason.String()
	}
	return ev.Kind.String()
}

// Said is the log so far without anomalies, and forgets it.
func (p *Play) Said() string {
	out := slices.DeleteFunc(slices.Clone(p.log), func(s string) bool { return s[1] == '!' })
	p.log = nil
	return strings.Join(out, " ")
}

// Anomalies are the names of those told so far.
func (p *Play) Anomalies() string {
	var names []string
	for k := range p.Seen {
		names = append(names, k.String())
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Text is what side said in the first flow.
func (p *Play) Text(side int) string { return p.Flow(1).Sides[side].Said() }

// Want compares two texts.
func (p *Play) Want(name, want, got string) {
	p.TB.Helper()
	if want != got {
		p.TB.Errorf("%s:\n got %q\nwant %q", name, got, want)
	}
}
