package main_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	. "github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit/contest"
)

// round is how many packets a round has.
const round = 1 << 12

// talks is a set of conversations of 50 byte messages, and an order in which
// to visit them. Every visit is the next packet of one of them: with TCP first
// the handshake, then data from either side in turn, each acknowledging the last.
type talks struct {
	talks []talk
	order []uint32
	tcp   bool
}

type talk struct {
	frame [2][]byte // from either side
	turn  uint32
}

const (
	message   = 50
	frameSize = 14 + 20 + 20 + message
)

func newTalks(flows int, tcp bool) *talks {
	tr := &talks{talks: make([]talk, flows), tcp: tcp}
	const room = 128
	memory := make([]byte, 2*flows*room)
	for i := range tr.talks {
		for side := range 2 {
			f := memory[(2*i+side)*room : (2*i+side+1)*room : (2*i+side+1)*room]
			build(f, i, side, tcp)
			tr.talks[i].frame[side] = f[:frameSize]
		}
	}
	// A fixed shuffle: an order that neither the cache nor the table likes.
	x := uint64(88172645463325252)
	tr.order = make([]uint32, max(1<<16, flows))
	for i := range tr.order {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		tr.order[i] = uint32(x % uint64(flows))
	}
	return tr
}

func build(f []byte, i, side int, tcp bool) {
	copy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00")
	ip := f[14:]
	ip[0], ip[8] = 0x45, 64
	binary.BigEndian.PutUint16(ip[2:], frameSize-14)
	l4 := ip[20:]
	client, server := ip[12:], ip[16:]
	from, to := l4, l4[2:]
	if side == 1 {
		client, server = server, client
		from, to = to, from
	}
	binary.BigEndian.PutUint32(client, 0x0a000000|uint32(i>>8))
	binary.BigEndian.PutUint32(server, 0xac100000|uint32(i&0xff))
	binary.BigEndian.PutUint16(from, uint16(1024+i%60000))
	binary.BigEndian.PutUint16(to, 443)
	if tcp {
		ip[9] = 6
		l4[12] = 0x50
		binary.BigEndian.PutUint16(l4[14:], 4096)
		return
	}
	ip[9] = 17
	binary.BigEndian.PutUint16(l4[4:], 20+message)
}

// next is the next packet of the conversation.
func (tr *talks) next(i uint32) []byte {
	t := &tr.talks[i]
	n := t.turn
	t.turn++
	f := t.frame[n&1]
	if !tr.tcp {
		return f
	}
	seq, ack, flags, payload := uint32(0), uint32(0), byte(0x02), 0 // SYN
	switch {
	case n == 1:
		ack, flags = 1, 0x12 // SYN+ACK
	case n >= 2:
		// Messages of one side before this one, and of the other.
		seq, ack, flags, payload = 1+(n-2)/2*message, 1+(n-1)/2*message, 0x18, message
	}
	binary.BigEndian.PutUint16(f[16:], uint16(40+payload))
	binary.BigEndian.PutUint32(f[38:], seq)
	binary.BigEndian.PutUint32(f[42:], ack)
	f[47] = flags
	return f[:54+payload]
}

// established shows the contenders four packets of each conversation, and then makes a batch of random ones.
func (tr *talks) established(contenders []contest.Contender[PacketView]) (next func() []PacketView) {
	now := Timestamp(1)
	for range 4 { // every flow is established before time is taken
		for i := range tr.talks {
			one := []PacketView{{Frame: tr.next(uint32(i)), Timestamp: now}}
			for _, c := range contenders {
				c.Take(one)
			}
		}
	}
	memory, views, at := make([]byte, round*128), make([]PacketView, round), 0
	return func() []PacketView {
		for i := range views {
			now++
			frame := tr.next(tr.order[at%len(tr.order)])
			at++
			views[i] = PacketView{Frame: append(memory[i*128:i*128], frame...), Timestamp: now}
		}
		return views
	}
}

// BenchmarkTrack compares a tracker with the floor, and with a driver that
// tells nothing but ends (driver), the data too (data), or all it can (events).
func BenchmarkTrack(b *testing.B) {
	for _, flows := range []int{1, 1_000, 100_000, 1_000_000} {
		for _, l4 := range []L4Proto{L4UDP, L4TCP} {
			b.Run(fmt.Sprintf("flows=%d/l4=%v", flows, l4), func(b *testing.B) {
				if testing.Short() && flows > 1000 {
					b.Skip("memory")
				}
				lines := 2 // of a slot, which a packet touches
				if l4 == L4TCP {
					lines = 3
				}
				contenders := []contest.Contender[PacketView]{
					flooring(flows),
					wide(flows, lines),
					tracking(b, "track", Config{MaxFlows: flows, Events: Events(EventEnded)}),
					driving(b, "driver", Config{MaxFlows: flows, Events: Events(EventEnded)}),
					driving(b, "data", Config{MaxFlows: flows, Events: Events(EventData, EventEnded)}),
					driving(b, "events", Config{MaxFlows: flows}),
				}
				contest.Run(b, contenders, newTalks(flows, l4 == L4TCP).established(contenders))
			})
		}
	}
}

// BenchmarkSweep is a sweep that finds nothing, over flows that live.
func BenchmarkSweep(b *testing.B) {
	for _, flows := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("flows=%d/quiet", flows), func(b *testing.B) {
			if testing.Short() && flows > 1000 {
				b.Skip("memory")
			}
			t := mustTracker(b, Config{MaxFlows: flows})
			tr := newTalks(flows, false)
			for i := range flows {
				t.Track(PacketView{Frame: tr.next(uint32(i)), Timestamp: Timestamp(i)})
			}
			now := Timestamp(time.Second)
			for b.Loop() {
				now++
				if len(t.Sweep(now)) != 0 {
					b.Fatal("not quiet")
				}
			}
		})
	}
}

// BenchmarkSYNFlood is a packet that makes a flow and evicts another.
func BenchmarkSYNFlood(b *testing.B) {
	t := mustTracker(b, Config{MaxFlows: 100_000})
	frame := newTalks(1, true).next(0)
	n := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		binary.BigEndian.PutUint32(frame[26:], n*2654435761)
		t.Track(PacketView{Frame: frame, Timestamp: Timestamp(n)})
	}
}

func flooring(flows int) contest.Contender[PacketView] {
	fl := contest.NewFloor(flows)
	return contest.Contender[PacketView]{Name: "floor", Take: func(views []PacketView) {
		for i := range views {
			fl.Take(views[i].Frame, int64(views[i].Timestamp))
		}
	}}
}

// wide is the wide floor. (One function for both would call them through an interface.)
func wide(flows, lines int) contest.Contender[PacketView] {
	fl := contest.NewWideFloor(flows, lines)
	return contest.Contender[PacketView]{Name: "wide", Take: func(views []PacketView) {
		for i := range views {
			fl.Take(views[i].Frame, int64(views[i].Timestamp))
		}
	}}
}

func tracking(tb testing.TB, name string, cfg Config) contest.Contender[PacketView] {
	return shown(name, mustTracker(tb, cfg))
}

func shown[K comparable](name string, t *FlowTracker[K, struct{}]) contest.Contender[PacketView] {
	return contest.Contender[PacketView]{Name: name, Take: func(views []PacketView) {
		for i := range views {
			t.Track(views[i])
		}
	}}
}

func driving(tb testing.TB, name string, cfg Config) contest.Contender[PacketView] {
	return driven(name, mustDriver(tb, cfg))
}

func driven(name string, d *FlowDriver[FiveTupleKey, struct{}]) contest.Contender[PacketView] {
	return contest.Contender[PacketView]{Name: name, Take: func(views []PacketView) {
		for i := range views {
			d.Track(views[i])
		}
	}}
}

func mustTracker(tb testing.TB, cfg Config) *FlowTracker[FiveTupleKey, struct{}] {
	t, err := NewFlowTracker(FiveTuple{}, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func mustDriver(tb testing.TB, cfg Config) *FlowDriver[FiveTupleKey, struct{}] {
	d, err := NewFlowDriver(FiveTuple{}, nil, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
