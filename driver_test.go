package flowscope_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope"
)

type (
	drvKey    = flowscope.FiveTupleKey
	drvEvent  = flowscope.FlowEvent[drvKey]
	drvDriver = flowscope.FlowDriver[drvKey, struct{}]
)

// drvSegment is a TCP segment over IPv4 in an Ethernet frame. It is made by hand, since soups need many.
type drvSegment struct {
	tuple, dir int // which connection, and who speaks
	seq, ack   uint32
	flags      string
	window     uint16
	urgent     uint16
	payload    []byte
	length0    bool // an IP length of 0, as an offloading card leaves it
}

func (g drvSegment) frame() []byte {
	f := make([]byte, 54, 54+len(g.payload))
	copy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00")
	ip, tcp := f[14:], f[34:]
	ip[0], ip[8], ip[9] = 0x45, 64, 6
	if !g.length0 {
		binary.BigEndian.PutUint16(ip[2:], uint16(40+len(g.payload)))
	}
	port := [2]uint16{uint16(40000 + g.tuple), 80}
	copy(ip[12:], []byte{10, 0, 0, byte(1 + g.dir), 10, 0, 0, byte(2 - g.dir)})
	binary.BigEndian.PutUint16(tcp, port[g.dir])
	binary.BigEndian.PutUint16(tcp[2:], port[1-g.dir])
	binary.BigEndian.PutUint32(tcp[4:], g.seq)
	binary.BigEndian.PutUint32(tcp[8:], g.ack)
	tcp[12], tcp[13] = 5<<4, flagBits(g.flags)
	binary.BigEndian.PutUint16(tcp[14:], g.window)
	binary.BigEndian.PutUint16(tcp[18:], g.urgent)
	return append(f, g.payload...)
}

func drvKeyOf(tuple int) drvKey {
	var x flowscope.Extracted[drvKey]
	flowscope.FiveTuple{}.Extract(flowscope.PacketView{Frame: drvSegment{tuple: tuple, flags: "S"}.frame()}, &x)
	return x.Key
}

func drvNew(tb testing.TB, f flowscope.ReassemblerFactory[drvKey], cfg flowscope.Config) *drvDriver {
	tb.Helper()
	if cfg.Events == 0 {
		cfg.Events = flowscope.AllEvents
	}
	d, err := flowscope.NewFlowDriver(flowscope.FiveTuple{}, f, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// drvBook holds what a driver says of bytes to the promises that hold for every sequence of calls. It needs all
// kinds of events.
//
//	Data, Gap   each begins where the last one of its side ended
//	SideClosed  once a side that was heard, at that place; nothing follows
//	Ended       its Stats are the sums
type drvBook struct {
	tb      testing.TB
	d       *drvDriver
	flows   map[flowscope.FlowID]*drvFlow
	streams flowscope.StreamStats // of all flows that ended
}

type drvFlow struct {
	sides   [2]drvSide
	ended   bool
	streams [2]flowscope.StreamStats
}

type drvSide struct {
	pos           int64
	data, gapLen  uint64
	gaps          uint64
	heard, closed bool
	stopped       bool
	text          strings.Builder
	open          int64 // adjacent gaps, not in text yet
}

// said is the stream so far. "<n>" is a gap of n bytes.
func (s *drvSide) said() string {
	if s.open > 0 {
		fmt.Fprintf(&s.text, "<%d>", s.open)
		s.open = 0
	}
	return s.text.String()
}

func newDrvBook(tb testing.TB, d *drvDriver) *drvBook {
	return &drvBook{tb: tb, d: d, flows: map[flowscope.FlowID]*drvFlow{}}
}

func (b *drvBook) flow(id flowscope.FlowID) *drvFlow {
	if b.flows[id] == nil {
		b.flows[id] = &drvFlow{}
	}
	return b.flows[id]
}

func (b *drvBook) fail(ev *drvEvent, format string, args ...any) {
	b.tb.Helper()
	b.tb.Fatalf("%s: %s", drvText(ev), fmt.Sprintf(format, args...))
}

// take enters the events of one call.
func (b *drvBook) take(events []drvEvent) {
	b.tb.Helper()
	for i := range events {
		if ev := &events[i]; ev.Flow != 0 {
			b.enter(ev)
		}
	}
	b.anomalies(events)
	b.order(events)
}

// anomalies holds those of a call to their number, and to one of each kind. A flow that speaks because time has
// passed, and then again because of the packet, may tell one each time.
func (b *drvBook) anomalies(events []drvEvent) {
	b.tb.Helper()
	type told struct {
		flow  flowscope.FlowID
		side  flowscope.FlowSide
		kind  flowscope.AnomalyKind
		again bool
	}
	all, seen, again := 0, map[told]bool{}, map[flowscope.FlowID]bool{}
	for i := range events {
		ev := &events[i]
		switch ev.Kind {
		case flowscope.EventAnomaly:
			k := told{ev.Flow, ev.Side, ev.Anomaly, again[ev.Flow]}
			if seen[k] {
				b.fail(ev, "is told twice in one call")
			}
			if ev.Anomaly == 0 || strings.Contains(ev.Anomaly.String(), "(") {
				b.fail(ev, "has no name")
			}
			seen[k] = true
			all++
		case flowscope.EventStarted, flowscope.EventEstablished, flowscope.EventStateChange, flowscope.EventPacket:
			again[ev.Flow] = true
		case flowscope.EventSideClosed:
			again[ev.Flow] = again[ev.Flow] || ev.Reason != 0
		}
	}
	if limit := b.d.Config().MaxAnomalies; all > limit {
		b.tb.Fatalf("%d anomalies in one call, the limit is %d", all, limit)
	}
}

func (b *drvBook) enter(ev *drvEvent) {
	b.tb.Helper()
	f := b.flow(ev.Flow)
	s := &f.sides[ev.Side]
	if f.ended && ev.Kind != flowscope.EventLate && ev.Kind != flowscope.EventReleased {
		b.fail(ev, "comes after Ended")
	}
	switch ev.Kind {
	case flowscope.EventPacket:
		s.heard = s.heard || ev.L4 == flowscope.L4TCP
	case flowscope.EventData, flowscope.EventGap:
		if ev.Offset != s.pos || ev.Len <= 0 || s.closed || s.stopped {
			b.fail(ev, "the stream is at %d, closed %v, stopped %v", s.pos, s.closed, s.stopped)
		}
		s.pos += ev.Len
		if ev.Kind == flowscope.EventGap {
			if ev.Cause == 0 || ev.Cause > flowscope.GapEnded || ev.Bytes != nil {
				b.fail(ev, "cause %v, bytes %q", ev.Cause, ev.Bytes)
			}
			s.gaps++
			s.gapLen += uint64(ev.Len)
			s.open += ev.Len
			return
		}
		if int64(len(ev.Bytes)) != ev.Len {
			b.fail(ev, "has %d bytes", len(ev.Bytes))
		}
		s.data += uint64(ev.Len)
		s.said()
		s.text.Write(ev.Bytes)
	case flowscope.EventUrgent:
		if s.closed || s.stopped {
			b.fail(ev, "comes after the end of its side")
		}
	case flowscope.EventSideClosed:
		if s.closed || !s.stopped && ev.Offset != s.pos {
			b.fail(ev, "the stream is at %d, closed %v", s.pos, s.closed)
		}
		s.closed = true
	case flowscope.EventEnded:
		f.ended = true
		b.balance(f, ev)
	case flowscope.EventReleased:
		if ev.Stats.Streams != f.streams {
			b.fail(ev, "Streams %+v were %+v at the end", ev.Stats.Streams, f.streams)
		}
	}
}

func (b *drvBook) balance(f *drvFlow, ev *drvEvent) {
	b.tb.Helper()
	f.streams = ev.Stats.Streams
	for side := range f.sides {
		s, got := &f.sides[side], ev.Stats.Streams[side]
		if s.heard != s.closed {
			b.fail(ev, "side %d: heard %v, closed %v", side, s.heard, s.closed)
		}
		if !s.stopped && (got.Delivered != s.data || got.GapBytes != s.gapLen || got.Gaps != s.gaps) {
			b.fail(ev, "side %d: %+v; the events say %d bytes, %d in %d gaps", side, got, s.data, s.gapLen, s.gaps)
		}
		b.streams.Delivered += got.Delivered
		b.streams.Gaps += got.Gaps
		b.streams.GapBytes += got.GapBytes
		b.streams.DroppedSegments += got.DroppedSegments
		b.streams.DroppedBytes += got.DroppedBytes
		b.streams.Conflicts += got.Conflicts
	}
}

// drvRank is the place of a kind among the events of one flow in one call.
func drvRank(k flowscope.EventKind) int {
	switch k {
	case flowscope.EventUrgent, flowscope.EventData, flowscope.EventGap, flowscope.EventSideClosed:
		return 5
	case flowscope.EventAnomaly:
		return 6
	}
	return rank(k)
}

// order holds a call to the documented order. What other flows, or the packet's own, have to say because time has
// passed comes first; from its first Started or Packet on everything is about the packet's own flow.
func (b *drvBook) order(events []drvEvent) {
	b.tb.Helper()
	own := flowscope.FlowID(0)
	leaves := map[flowscope.FlowID]bool{}
	for i := range events {
		if ev := &events[i]; ev.Kind == flowscope.EventEnded {
			leaves[ev.Flow] = true
		}
	}
	last := map[flowscope.FlowID]int{}
	inside := map[[2]uint64]int{}
	for i := range events {
		ev := &events[i]
		if ev.Flow == 0 {
			continue
		}
		begins := ev.Kind == flowscope.EventStarted || ev.Kind == flowscope.EventEstablished ||
			ev.Kind == flowscope.EventStateChange || ev.Kind == flowscope.EventPacket || ev.Kind == flowscope.EventLate
		if begins && own == 0 {
			own = ev.Flow
			delete(last, own)
			delete(inside, [2]uint64{uint64(own), 0})
			delete(inside, [2]uint64{uint64(own), 1})
		}
		r := drvRank(ev.Kind)
		if own != 0 && ev.Flow != own {
			b.fail(ev, "comes after events of flow %d, whose packet it is", own)
		}
		if r < last[ev.Flow] && leaves[ev.Flow] {
			// Its time had come, and then it had to leave.
			delete(leaves, ev.Flow)
			delete(inside, [2]uint64{uint64(ev.Flow), 0})
			delete(inside, [2]uint64{uint64(ev.Flow), 1})
		} else if r < last[ev.Flow] {
			b.fail(ev, "comes too late in its call")
		}
		last[ev.Flow] = r
		if r == 5 {
			at := 2
			switch ev.Kind {
			case flowscope.EventUrgent:
				at = 1
			case flowscope.EventSideClosed:
				at = 3
			}
			k := [2]uint64{uint64(ev.Flow), uint64(ev.Side)}
			if at < inside[k] {
				b.fail(ev, "comes too late among those of its side")
			}
			inside[k] = at
		}
	}
}

// finish is for after Finish: nothing is held, and the totals agree.
func (b *drvBook) finish() {
	b.tb.Helper()
	for id, f := range b.flows {
		if !f.ended {
			b.tb.Fatalf("flow %d did not end", id)
		}
	}
	st := b.d.Stats()
	if st.HeldBytes != 0 {
		b.tb.Fatalf("%d bytes are held after Finish", st.HeldBytes)
	}
	if st.Streams != b.streams {
		b.tb.Fatalf("the driver counts %+v, its flows %+v", st.Streams, b.streams)
	}
}

// drvText is an event on one line, by value.
func drvText(ev *drvEvent) string {
	arrow := ">"
	if ev.Side == flowscope.Responder {
		arrow = "<"
	}
	text := fmt.Sprintf("%d %s%v @%d #%d", ev.Flow, arrow, ev.Kind, ev.Timestamp, ev.Packet)
	switch ev.Kind {
	case flowscope.EventData:
		return text + fmt.Sprintf(" %d:%q", ev.Offset, ev.Bytes)
	case flowscope.EventGap:
		return text + fmt.Sprintf(" [%d,%d) %v", ev.Offset, ev.Offset+ev.Len, ev.Cause)
	case flowscope.EventSideClosed:
		return text + fmt.Sprintf(" %d %v", ev.Offset, ev.Reason)
	case flowscope.EventUrgent:
		return text + fmt.Sprintf(" %d", ev.Offset)
	case flowscope.EventAnomaly:
		return text + fmt.Sprintf(" %v %d+%d", ev.Anomaly, ev.Offset, ev.Len)
	case flowscope.EventEnded, flowscope.EventReleased:
		return text + fmt.Sprintf(" %v %v %+v", ev.Reason, ev.History, *ev.Stats)
	case flowscope.EventStateChange:
		return text + fmt.Sprintf(" %v %v", ev.From, ev.State)
	}
	return text + fmt.Sprintf(" %v %v %q", ev.Orientation, ev.State, ev.Bytes)
}

// drvPlay is one connection in a shorthand. Positions count from the byte after the SYN. Steps are separated by
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
// /c<captured bytes of payload> /n<sequence number shift> /t<tuple>. "_" in a payload is any byte, "z*9" nine z.
type drvPlay struct {
	*drvBook
	isn    [2]uint32 // the number of the SYN
	acked  [2]int64  // what each side acknowledges
	now    time.Duration
	id     uint64
	starts int
	reason flowscope.EndReason
	log    []string // all but Packet, Started, Established, StateChange, Late and Released
	seen   map[flowscope.AnomalyKind]int
}

func newDrvPlay(tb testing.TB, f flowscope.ReassemblerFactory[drvKey], cfg flowscope.Config) *drvPlay {
	p := &drvPlay{
		drvBook: newDrvBook(tb, drvNew(tb, f, cfg)), isn: [2]uint32{999, 7999}, seen: map[flowscope.AnomalyKind]int{},
	}
	return p
}

func (p *drvPlay) play(script string) *drvPlay {
	p.tb.Helper()
	for _, step := range strings.Fields(script) {
		p.step(step)
	}
	return p
}

func (p *drvPlay) at() flowscope.Timestamp { return flowscope.Timestamp(1e18).Add(p.now) }

func (p *drvPlay) step(step string) {
	p.tb.Helper()
	switch {
	case step == "hs":
		p.play(">S <SA >A0")
	case step == "sweep":
		p.hear(p.d.Sweep(p.at()))
	case step == "finish":
		p.hear(p.d.Finish())
		p.finish()
	case step[0] == '+':
		d, err := time.ParseDuration(step[1:])
		if err != nil {
			p.tb.Fatal(err)
		}
		p.now += d
	default:
		p.hear(p.d.Track(p.view(step)))
	}
}

// view makes the packet of a step.
func (p *drvPlay) view(step string) flowscope.PacketView {
	p.tb.Helper()
	num := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			p.tb.Fatalf("%q: %v", step, err)
		}
		return n
	}
	words := strings.Split(step, "/")
	g := drvSegment{window: 60000, flags: "PA"}
	if words[0][0] == '<' {
		g.dir = 1
	}
	pos, what := int64(0), words[0][1:]
	if at, data, ok := strings.Cut(what, ":"); ok {
		pos = num(at)
		if c, n, ok := strings.Cut(data, "*"); ok {
			data = strings.Repeat(c, int(num(n)))
		}
		g.payload = []byte(data)
	} else if flags, at, ok := strings.Cut(what, "@"); ok {
		pos, g.flags = num(at), strings.TrimSuffix(flags, "A")+"A"
		if strings.HasPrefix(flags, "R") && !strings.HasSuffix(flags, "A") {
			g.flags = flags
		}
	} else {
		g.flags = strings.TrimRight(what, "0123456789")
		if n := what[len(g.flags):]; n != "" {
			p.acked[g.dir] = num(n)
		}
		pos = p.end(g.dir)
	}
	captured, ack, shift := -1, p.acked[g.dir], int64(0)
	for _, w := range words[1:] {
		switch w[0] {
		case 'F':
			g.flags += "F"
		case 'f':
			g.flags = w[1:]
		case 'w':
			g.window = uint16(num(w[1:]))
		case 'u':
			g.urgent = uint16(num(w[1:]))
			g.flags += "U"
		case 'a':
			ack = num(w[1:])
		case 'c':
			captured = int(num(w[1:]))
		case 'n':
			shift = num(w[1:])
		case 't':
			g.tuple = int(num(w[1:]))
		case 'd':
			g.payload = []byte(w[1:])
		case '0':
			g.length0 = true
		default:
			p.tb.Fatalf("%q?", w)
		}
	}
	if strings.Contains(g.flags, "S") {
		g.seq = p.isn[g.dir] + uint32(shift)
	} else {
		g.seq = p.isn[g.dir] + 1 + uint32(pos) + uint32(shift)
	}
	if strings.Contains(g.flags, "A") {
		g.ack = p.isn[1-g.dir] + 1 + uint32(ack)
	}
	p.id++
	v := flowscope.PacketView{Frame: g.frame(), Timestamp: p.at(), ID: p.id}
	if captured >= 0 {
		v.WireLen = len(v.Frame)
		v.Frame = v.Frame[:54+captured]
	}
	return v
}

// end is where the side goes on: behind what it has sent so far, as told by the book.
func (p *drvPlay) end(dir int) int64 {
	if f := p.flows[1]; f != nil {
		return f.sides[dir].pos
	}
	return 0
}

func (p *drvPlay) hear(events []drvEvent) {
	p.tb.Helper()
	p.take(events)
	for i := range events {
		ev := &events[i]
		switch ev.Kind {
		case flowscope.EventStarted:
			p.starts++
			continue
		case flowscope.EventPacket, flowscope.EventEstablished, flowscope.EventStateChange, flowscope.EventLate,
			flowscope.EventReleased:
			continue
		case flowscope.EventEnded:
			p.reason = ev.Reason
		case flowscope.EventAnomaly:
			p.seen[ev.Anomaly]++
		}
		p.log = append(p.log, drvShort(ev))
	}
}

// drvShort is an event of a play on one word, without what the play did not say.
func drvShort(ev *drvEvent) string {
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

// said is the log so far without anomalies, and forgets it.
func (p *drvPlay) said() string {
	out := slices.DeleteFunc(slices.Clone(p.log), func(s string) bool { return s[1] == '!' })
	p.log = nil
	return strings.Join(out, " ")
}

// anomalies are the names of those told so far.
func (p *drvPlay) anomalies() string {
	var names []string
	for k := range p.seen {
		names = append(names, k.String())
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// text is what side said in the first flow.
func (p *drvPlay) text(side int) string { return p.flow(1).sides[side].said() }

func (p *drvPlay) want(name, want, got string) {
	p.tb.Helper()
	if want != got {
		p.tb.Errorf("%s:\n got %q\nwant %q", name, got, want)
	}
}
