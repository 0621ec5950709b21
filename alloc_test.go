package flowscope_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/flowtest/frames"
	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
)

// bench is a tracker and a clock for tests that count allocations. Every way that a packet can take is one line of
// TestNoAllocs, with the counter that proves that it was taken.
type bench struct {
	t   *testkit.Tracker
	now flowscope.Timestamp
	id  uint64
}

func (b *bench) send(frame []byte) []flowscope.FlowEvent[flowscope.FiveTupleKey] {
	b.now += flowscope.Timestamp(time.Millisecond)
	b.id++
	return b.t.Track(flowscope.PacketView{Frame: frame, Timestamp: b.now, ID: b.id})
}

// renumber writes the numbers of a TCP frame over IPv4 without VLAN.
func renumber(frame []byte, seq, ack uint32) {
	binary.BigEndian.PutUint32(frame[38:], seq)
	binary.BigEndian.PutUint32(frame[42:], ack)
}

func TestNoAllocs(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	there, back := testkit.TCP(testkit.Client, testkit.Server, "PA", 0, 0, "request"), testkit.TCP(testkit.Server, testkit.Client, "PA", 0, 0, "response")
	ack := testkit.TCP(testkit.Client, testkit.Server, "A", 101, 301, "")
	syn, question := testkit.TCP(testkit.Client, testkit.Server, "S", 1, 0, ""), testkit.UDP(testkit.Client, testkit.Server)
	echo := frames.ICMPEcho{Src: "10.0.0.1", Dst: "10.0.0.2", ID: 1}.Ethernet()
	var pieces, pieces6 [2][]byte
	for i := range 2 {
		piece := testkit.Piece{ID: 5, Offset: 24 * i, More: i == 0, Body: testkit.WholeDatagram[24*i : 24+16*i]}
		pieces[i] = piece.Frame()
		piece.V6 = true
		pieces6[i] = piece.Frame()
	}
	lone := func(b *bench) {
		binary.BigEndian.PutUint16(pieces[0][18:], uint16(b.id)) // the identification: a datagram of its own
		b.send(pieces[0])
	}
	unreachable := frames.Ethernet(testkit.ICMPError("10.0.0.2", "10.0.0.1", 3, 3, question[14:]))
	datagrams := func(st flowscope.TrackerStats) uint64 { return st.Fragments.Datagrams }
	arp := append([]byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x06"), make([]byte, 46)...)
	cut := frames.Cut(there, 40)
	handshake := func(b *bench) {
		b.send(testkit.TCP(testkit.Client, testkit.Server, "S", 100, 0, ""))
		b.send(testkit.TCP(testkit.Server, testkit.Client, "SA", 300, 101, ""))
		b.send(ack)
	}
	nothing := func(*bench) {}
	identify := func(b *bench, at int, pieces [2][]byte) { // with the next identification
		for _, p := range pieces {
			binary.BigEndian.PutUint16(p[at:], uint16(b.id))
		}
	}
	last := func(st flowscope.TrackerStats) uint64 {
		return st.Packets - st.PacketsUnmatched - st.PacketsLate - st.FlowsCreated
	}
	var seq [2]uint32
	for _, c := range []struct {
		name  string
		start func(b *bench)
		run   func(b *bench)
		moved func(flowscope.TrackerStats) uint64 // must grow with every run
	}{
		{"TCP data both ways", func(b *bench) { handshake(b); seq = [2]uint32{101, 301} }, func(b *bench) {
			renumber(there, seq[0], seq[1])
			b.send(there)
			seq[0] += 7
			renumber(back, seq[1], seq[0])
			b.send(back)
			seq[1] += 8
		}, last},
		{"pure ACK", handshake, func(b *bench) { b.send(ack) }, last},
		{"retransmission", handshake, func(b *bench) { renumber(there, 101, 301); b.send(there) }, last},
		{"retransmitted SYN", func(b *bench) { b.send(syn) }, func(b *bench) { b.send(syn) }, last},
		{"UDP", nothing, func(b *bench) { b.send(question) }, func(st flowscope.TrackerStats) uint64 { return last(st) + st.FlowsCreated }},
		{"ICMP", nothing, func(b *bench) { b.send(echo) }, func(st flowscope.TrackerStats) uint64 { return last(st) + st.FlowsCreated }},
		{"datagrams in fragments", nothing, func(b *bench) { identify(b, 18, pieces); b.send(pieces[0]); b.send(pieces[1]) }, datagrams},
		{"datagrams in fragments, IPv6", nothing, func(b *bench) { identify(b, 60, pieces6); b.send(pieces6[1]); b.send(pieces6[0]) }, datagrams},
		{"copies of fragments", nothing, func(b *bench) { identify(b, 18, pieces); b.send(pieces[0]); b.send(pieces[1]); b.send(pieces[1]) },
			func(st flowscope.TrackerStats) uint64 { return st.Fragments.Duplicates }},
		{"first fragments alone", func(b *bench) {
			for range 10_000 {
				lone(b)
			}
		}, lone, func(st flowscope.TrackerStats) uint64 { return st.Fragments.Frames }},
		{"ICMP errors", func(b *bench) { b.send(question) }, func(b *bench) { b.send(unreachable) },
			func(st flowscope.TrackerStats) uint64 { return st.ICMPErrorsMatched }},
		{"refused", nothing, func(b *bench) { b.send(arp) },
			func(st flowscope.TrackerStats) uint64 { return st.Refused[flowscope.RefusedNotIP] }},
		{"malformed", nothing, func(b *bench) { b.send(cut) },
			func(st flowscope.TrackerStats) uint64 { return st.Refused[flowscope.RefusedTruncatedTCP] }},
		{"late", func(b *bench) { handshake(b); b.send(testkit.TCP(testkit.Client, testkit.Server, "R", 101, 0, "")) }, func(b *bench) { b.send(ack) },
			func(st flowscope.TrackerStats) uint64 { return st.PacketsLate }},
		{"whole connections", nothing, func(b *bench) {
			testkit.Readdress(syn, uint32(b.id))
			b.send(syn)
			testkit.Readdress(ack, uint32(b.id-1))
			ack[47] = 0x04 // a reset
			renumber(ack, 2, 0)
			b.send(ack)
			ack[47] = 0x10
		}, func(st flowscope.TrackerStats) uint64 { return st.Ended[flowscope.EndRST] }},
		{"SYN flood", nothing, func(b *bench) { testkit.Readdress(syn, uint32(b.id)<<8); b.send(syn) },
			func(st flowscope.TrackerStats) uint64 { return st.FlowsEvicted }},
		{"stamps that run back", nothing, func(b *bench) { b.send(question); b.now -= 2e6 },
			func(st flowscope.TrackerStats) uint64 { return st.ClockBackward }},
		{"quiet sweep", handshake, func(b *bench) { b.send(ack); b.t.Sweep(b.now) }, last},
		{"sweep that ends flows", nothing, func(b *bench) { b.send(echo); b.now += 40e9; b.t.Sweep(b.now) },
			func(st flowscope.TrackerStats) uint64 { return st.Ended[flowscope.EndIdleTimeout] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, events := range map[string]flowscope.EventMask{"default": 0, "all": flowscope.AllEvents, "none": flowscope.NoEvents} {
				b := &bench{t: testkit.NewTracker(t, flowscope.Config{MaxFlows: 100, Events: events}), now: 1e18}
				copy(ack[38:46], []byte{0, 0, 0, 101, 0, 0, 1, 45})
				testkit.Readdress(ack, 0x0a000001)
				testkit.Readdress(syn, 0x0a000001)
				c.start(b)
				for range 300 { // into steady state: the table is full, slices have grown
					c.run(b)
				}
				before := c.moved(b.t.Stats())
				sent := b.id
				c.run(b)
				runs := 1
				t.Run("events "+name, func(t *testing.T) { runs += allocs.None(t, int(b.id-sent), func() { c.run(b) }) })
				if grown := c.moved(b.t.Stats()) - before; grown < uint64(runs) {
					t.Errorf("events %s: not the way that was meant: its counter grew by %d in %d runs", name, grown, runs)
				}
			}
		})
	}
}

func TestNoAllocsForOwnKeysWithoutPointers(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	tr, err := flowscope.NewFlowTracker(testkit.PortOnly{}, flowscope.Config{})
	if err != nil {
		t.Fatal(err)
	}
	frame := testkit.UDP(testkit.Client, testkit.Server)
	allocs.None(t, 1, func() { tr.Track(flowscope.PacketView{Frame: frame}) })
}

// TestMemoryComesBack: neither a crowd of flows nor its long list of events stays in memory.
func TestMemoryComesBack(t *testing.T) {
	tr := testkit.NewTracker(t, flowscope.Config{MaxFlows: 20_000})
	frame := testkit.UDP(testkit.Client, testkit.Server)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		testkit.Readdress(frame, r.Uint32())
		tr.Track(flowscope.PacketView{Frame: frame})
	}
	crowd := tr.Finish()
	if len(crowd) < 19_000 {
		t.Fatal("too few flows", len(crowd))
	}
	events := tr.Track(flowscope.PacketView{Frame: frame})
	if cap(events) > 5000 {
		t.Errorf("the slice of the next call holds %d events", cap(events))
	}
}

// warmConn is a connection under way whose packets are made without allocation.
type warmConn struct {
	d     *testkit.Driver
	frame [2][]byte
	ack   [2][]byte
	seq   [2]uint32
	now   flowscope.Timestamp
	bytes int64
	gaps  int

	packets int
}

func newWarmConn(tb testing.TB, cfg flowscope.Config) *warmConn {
	cfg.Events = flowscope.DefaultEvents
	l := &warmConn{d: testkit.NewDriver(tb, nil, cfg), now: 1e18}
	for side := range l.frame {
		l.frame[side] = testkit.Segment{Dir: side, Flags: "PA", Window: 60000, Payload: make([]byte, 1000)}.Frame()
		l.ack[side] = testkit.Segment{Dir: side, Flags: "A", Window: 60000}.Frame()
	}
	for i, flags := range []string{"S", "SA", "A"} {
		g := testkit.Segment{Dir: i % 2, Flags: flags, Seq: uint32(max(i-1, 0)), Ack: min(uint32(i), 1), Window: 60000}
		l.track(g.Frame())
	}
	l.seq = [2]uint32{1, 1}
	return l
}

func (l *warmConn) track(frame []byte) {
	l.now += 1000
	l.packets++
	events := l.d.Track(flowscope.PacketView{Frame: frame, Timestamp: l.now})
	for i := range events {
		switch events[i].Kind {
		case flowscope.EventData:
			l.bytes += events[i].Len
		case flowscope.EventGap:
			l.gaps++
		}
	}
}

// send sends the n-th segment from where the side stands.
func (l *warmConn) send(side, n int) {
	binary.BigEndian.PutUint32(l.frame[side][38:], l.seq[side]+uint32(1000*n))
	binary.BigEndian.PutUint32(l.frame[side][42:], l.seq[1-side])
	l.track(l.frame[side])
}

func (l *warmConn) acks(side int) {
	binary.BigEndian.PutUint32(l.ack[side][38:], l.seq[side])
	binary.BigEndian.PutUint32(l.ack[side][42:], l.seq[1-side])
	l.track(l.ack[side])
}

func (l *warmConn) moves(side, n int) { l.seq[side] += uint32(1000 * n) }

func TestSteadyTrafficAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	for _, r := range []struct {
		name string
		data int64 // bytes a round
		cfg  flowscope.Config
		turn func(l *warmConn)
	}{
		{"in order, both ways", 2000, flowscope.Config{}, func(l *warmConn) {
			l.send(0, 0)
			l.moves(0, 1)
			l.send(1, 0)
			l.moves(1, 1)
		}},
		{"ACKs", 1000, flowscope.Config{}, func(l *warmConn) {
			l.send(0, 0)
			l.moves(0, 1)
			l.acks(1)
			l.acks(1)
		}},
		{"sent again", 1000, flowscope.Config{}, func(l *warmConn) {
			l.send(0, 0)
			l.send(0, 0)
			l.moves(0, 1)
			l.send(0, -1)
			l.acks(1)
		}},
		{"two in the wrong order", 2000, flowscope.Config{}, func(l *warmConn) {
			l.send(0, 1)
			l.send(0, 0)
			l.moves(0, 2)
			l.acks(1)
		}},
		{"many held and released", 20000, flowscope.Config{}, func(l *warmConn) {
			for n := 19; n >= 0; n-- {
				l.send(0, n)
			}
			l.moves(0, 20)
			l.acks(1)
		}},
		{"a hole given up in each round", 1000, flowscope.Config{}, func(l *warmConn) {
			l.send(0, 1)
			l.moves(0, 2)
			l.acks(1)
			l.now += 11e6
			l.acks(1)
		}},
		{"delivered bytes remembered", 2000, flowscope.Config{KeepDelivered: 4096}, func(l *warmConn) {
			l.send(0, 1)
			l.send(0, 0)
			l.moves(0, 2)
			l.acks(1)
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			l := newWarmConn(t, r.cfg)
			for range 200 {
				r.turn(l)
			}
			before, sent := l.bytes, l.packets
			r.turn(l)
			runs := 1 + allocs.None(t, l.packets-sent, func() { r.turn(l) })
			if got := l.bytes - before; got != int64(runs)*r.data {
				t.Errorf("%d bytes in %d rounds, want %d each: this is not what it says", got, runs, r.data)
			}
		})
	}
}

func TestABatchAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("with -tags invariants lent memory is copied, so that it can be trampled")
	}
	const conns, size = 100, 50
	d := testkit.NewDriver(t, nil, flowscope.Config{Events: flowscope.DefaultEvents})
	var frame [conns][2][]byte
	var seq [conns][2]uint32
	now := flowscope.Timestamp(1e18)
	for i := range frame {
		for turn, flags := range []string{"S", "SA", "A"} {
			g := testkit.Segment{Tuple: i, Dir: turn % 2, Flags: flags, Seq: uint32(max(turn-1, 0)), Ack: min(uint32(turn), 1), Window: 60000}
			d.Track(flowscope.PacketView{Frame: g.Frame(), Timestamp: now})
		}
		for dir := range 2 {
			frame[i][dir] = testkit.Segment{Tuple: i, Dir: dir, Flags: "PA", Window: 60000, Payload: make([]byte, size)}.Frame()
			seq[i][dir] = 1
		}
	}
	views := make([]flowscope.PacketView, 64)
	n, emitted := 0, 0
	next := func() {
		for i := range views {
			c, dir := n%conns, n/conns%2
			f := frame[c][dir]
			renumber(f, seq[c][dir], seq[c][1-dir])
			seq[c][dir] += size
			n++
			now++
			views[i] = flowscope.PacketView{Frame: f, Timestamp: now}
		}
		for _, events := range d.TrackBatch(views) {
			for i := range events {
				if events[i].Kind == flowscope.EventData {
					emitted++
				}
			}
		}
	}
	for range 10 {
		next()
	}
	allocs.None(t, len(views), next)
	if emitted != n {
		t.Errorf("data of %d of %d packets: this is not what it says", emitted, n)
	}
}

// An event was 144 bytes before it had a Message: an interface takes two words, and an event with a
// pointer in place of it would take an allocation or a second look-up for each message.
func TestAnEventIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(flowscope.FlowEvent[flowscope.FiveTupleKey]{}); n > 160 {
		t.Errorf("%d bytes, at most 160", n)
	}
}
