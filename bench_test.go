package flowscope

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/dgryski/go-wyhash"
)

// The benchmarks measure as ratios: every round runs each contender on the same
// packets, one after the other, and what is reported is the median of the
// rounds. An absolute time says little on a machine that is shared.

// traffic is a set of conversations of 50 byte messages, and an order in which
// to visit them. Every visit is the next packet of one of them: with TCP first
// the handshake, then data from either side in turn, each acknowledging the last.
type traffic struct {
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

func newTraffic(flows int, tcp bool) *traffic {
	tr := &traffic{talks: make([]talk, flows), tcp: tcp}
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
func (tr *traffic) next(i uint32) []byte {
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

// floor does what no tracker can do without: it reads the header fields, hashes
// them, finds a slot and touches it. Nothing else.
type floor struct {
	index []uint64
	slots []floorSlot
}

type floorSlot struct {
	key     [5]uint64
	packets uint64
	last    Timestamp
	_       uint64
}

func newFloor(flows int) *floor {
	n := 8
	for n < 2*flows {
		n *= 2
	}
	return &floor{index: make([]uint64, n), slots: make([]floorSlot, 0, flows)}
}

func (fl *floor) track(v PacketView) {
	f := v.Frame
	if len(f) < 54 || f[12] != 8 || f[13] != 0 || f[14] != 0x45 {
		return
	}
	src, dst := uint64(binary.BigEndian.Uint32(f[26:])), uint64(binary.BigEndian.Uint32(f[30:]))
	sport, dport := uint64(binary.BigEndian.Uint16(f[34:])), uint64(binary.BigEndian.Uint16(f[36:]))
	if src > dst {
		src, dst, sport, dport = dst, src, dport, sport
	}
	key := [5]uint64{0, 0xffff<<32 | src, 0, 0xffff<<32 | dst, sport<<48 | dport<<32 | uint64(f[23])}
	var b [40]byte
	for i, w := range key {
		binary.LittleEndian.PutUint64(b[8*i:], w)
	}
	h := wyhash.Hash(b[:], 1)
	mask := uint64(len(fl.index) - 1)
	for i := h >> 32; ; i++ {
		w := fl.index[i&mask]
		if w == 0 {
			fl.slots = append(fl.slots, floorSlot{key: key})
			fl.index[i&mask] = h>>32<<32 | uint64(len(fl.slots))
			return
		}
		if w>>32 == h>>32 {
			if s := &fl.slots[uint32(w)-1]; s.key == key {
				s.packets++
				s.last = v.Timestamp
				return
			}
		}
	}
}

// contend runs the contenders on the same packets, round by round, and reports
// each one's median time a packet and the median ratio to the first.
func contend(b *testing.B, tr *traffic, names []string, track []func(PacketView)) {
	now := Timestamp(1)
	for range 4 { // every flow is established before time is taken
		for i := range tr.talks {
			v := PacketView{Frame: tr.next(uint32(i)), Timestamp: now}
			for _, f := range track {
				f(v)
			}
		}
	}
	const round = 1 << 12
	memory := make([]byte, round*128)
	views := make([]PacketView, round)
	times := make([][]float64, len(track))
	at := 0
	runtime.GC()
	for b.Loop() {
		for i := range views {
			now++
			frame := tr.next(tr.order[at%len(tr.order)])
			at++
			views[i] = PacketView{Frame: append(memory[i*128:i*128], frame...), Timestamp: now}
		}
		for k, f := range track {
			start := time.Now()
			for i := range views {
				f(views[i])
			}
			times[k] = append(times[k], float64(time.Since(start).Nanoseconds())/round)
		}
	}
	b.ReportMetric(0, "ns/op")
	for k, name := range names {
		b.ReportMetric(median(times[k]), name+"-ns/pkt")
		if k > 0 {
			diff, ratio := make([]float64, len(times[k])), make([]float64, len(times[k]))
			for i := range diff {
				diff[i], ratio[i] = times[k][i]-times[0][i], times[k][i]/times[0][i]
			}
			b.ReportMetric(median(diff), name+"-over-"+names[0]+"-ns/pkt")
			b.ReportMetric(median(ratio), name+"/"+names[0])
		}
	}
}

func median(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[len(x)/2]
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
				contend(b, newTraffic(flows, l4 == L4TCP), []string{"floor", "track", "driver", "data", "events"}, []func(PacketView){
					newFloor(flows).track,
					tracking(b, Config{MaxFlows: flows, Events: Events(EventEnded)}),
					driving(b, Config{MaxFlows: flows, Events: Events(EventEnded)}),
					driving(b, Config{MaxFlows: flows, Events: Events(EventData, EventEnded)}),
					driving(b, Config{MaxFlows: flows}),
				})
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
			tr := newTraffic(flows, false)
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
	frame := newTraffic(1, true).next(0)
	n := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		binary.BigEndian.PutUint32(frame[26:], n*2654435761)
		t.Track(PacketView{Frame: frame, Timestamp: Timestamp(n)})
	}
}

func tracking(b *testing.B, cfg Config) func(PacketView) {
	t := mustTracker(b, cfg)
	return func(v PacketView) { t.Track(v) }
}

func driving(b *testing.B, cfg Config) func(PacketView) {
	d, err := NewFlowDriver(FiveTuple{}, nil, cfg)
	if err != nil {
		b.Fatal(err)
	}
	return func(v PacketView) { d.Track(v) }
}

func mustTracker(tb testing.TB, cfg Config) *FlowTracker[FiveTupleKey, struct{}] {
	t, err := NewFlowTracker(FiveTuple{}, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}
