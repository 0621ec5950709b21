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

// traffic is a set of frames, one for each flow, and an order in which to visit
// them. Every visit writes the next numbers of the conversation into the frame.
type traffic struct {
	frames [][]byte
	order  []uint32
	tcp    bool
}

func newTraffic(flows int, tcp bool) *traffic {
	tr := &traffic{frames: make([][]byte, flows), tcp: tcp}
	const size = 128
	memory := make([]byte, flows*size)
	for i := range flows {
		f := memory[i*size : (i+1)*size : (i+1)*size]
		build(f, i, tcp)
		tr.frames[i] = f[:14+20+20+50]
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

func build(f []byte, i int, tcp bool) {
	copy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00")
	ip := f[14:]
	ip[0], ip[8] = 0x45, 64
	binary.BigEndian.PutUint16(ip[2:], 20+20+50)
	binary.BigEndian.PutUint32(ip[12:], 0x0a000000|uint32(i>>8))
	binary.BigEndian.PutUint32(ip[16:], 0xac100000|uint32(i&0xff))
	l4 := ip[20:]
	binary.BigEndian.PutUint16(l4, uint16(1024+i%60000))
	binary.BigEndian.PutUint16(l4[2:], 443)
	if tcp {
		ip[9] = 6
		l4[12], l4[13] = 0x50, 0x10
		binary.BigEndian.PutUint16(l4[14:], 4096)
		return
	}
	ip[9] = 17
	binary.BigEndian.PutUint16(l4[4:], 20+50)
}

// next is the next packet of the flow, in sequence.
func (tr *traffic) next(flow uint32) []byte {
	f := tr.frames[flow]
	if tr.tcp {
		seq := f[38:42]
		binary.BigEndian.PutUint32(seq, binary.BigEndian.Uint32(seq)+50)
	}
	return f
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
	for i := range tr.frames { // every flow exists before time is taken
		v := PacketView{Frame: tr.next(uint32(i)), Timestamp: now}
		for _, f := range track {
			f(v)
		}
	}
	const round = 1 << 14
	times := make([][]float64, len(track))
	at := 0
	runtime.GC()
	for b.Loop() {
		for k, f := range track {
			start := time.Now()
			for i := range round {
				now++
				f(PacketView{Frame: tr.next(tr.order[(at+i)%len(tr.order)]), Timestamp: now})
			}
			times[k] = append(times[k], float64(time.Since(start).Nanoseconds())/round)
		}
		at += round
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

func BenchmarkTrack(b *testing.B) {
	for _, flows := range []int{1, 1_000, 100_000, 1_000_000} {
		for _, l4 := range []L4Proto{L4UDP, L4TCP} {
			b.Run(fmt.Sprintf("flows=%d/l4=%v", flows, l4), func(b *testing.B) {
				tr := newTraffic(flows, l4 == L4TCP)
				fl := newFloor(flows)
				quiet := mustTracker(b, Config{MaxFlows: flows, Events: Events(EventEnded)})
				loud := mustTracker(b, Config{MaxFlows: flows})
				contend(b, tr, []string{"floor", "track", "events"}, []func(PacketView){
					fl.track,
					func(v PacketView) { quiet.Track(v) },
					func(v PacketView) { loud.Track(v) },
				})
			})
		}
	}
}

func mustTracker(tb testing.TB, cfg Config) *FlowTracker[FiveTupleKey, struct{}] {
	t, err := NewFlowTracker(FiveTuple{}, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}
