package contest

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTheFloorFindsWhatItWasShown compares the floor with a map and a list: it counts the packets of each of the flows
// that it can hold, and forgets the oldest.
func TestTheFloorFindsWhatItWasShown(t *testing.T) {
	const room = 50
	fl := NewFloor(room)
	frames := [2][]byte{make([]byte, 64), make([]byte, 64)}
	copy(frames[0][12:], "\x08\x00\x45")
	copy(frames[1][12:], "\x86\xdd\x60")
	counts, order := map[uint32]uint64{}, []uint32{}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		addr := uint32(rng.IntN(70))
		frame, src, dst := frames[0], 26, 30
		if addr%2 == 1 {
			frame, src, dst = frames[1], 34, 50
		}
		if rng.IntN(2) == 0 {
			src, dst = dst, src
		}
		binary.BigEndian.PutUint32(frame[src:], 1<<20|addr)
		binary.BigEndian.PutUint32(frame[dst:], 7)
		fl.Take(frame, 1)
		if counts[addr]++; counts[addr] == 1 {
			if order = append(order, addr); len(order) > room {
				delete(counts, order[0])
				order = order[1:]
			}
		}
	}
	for _, s := range fl.slots {
		addr := uint32(max(s.key[1], s.key[3])) & 0xff
		if counts[addr] != s.packets {
			t.Errorf("flow %d: %d packets, want %d", addr, s.packets, counts[addr])
		}
	}
	if len(fl.slots) != room || len(counts) != room {
		t.Errorf("%d slots and %d flows, want %d", len(fl.slots), len(counts), room)
	}
	used := 0
	for _, w := range fl.index {
		if w != 0 {
			used++
		}
	}
	if used != room {
		t.Errorf("%d entries of the index are used", used)
	}
}

func TestMediansAndDifferencesAreThoseOfTheRounds(t *testing.T) {
	floor := []float64{10, 20, 1000}
	f := figures{times: []float64{15, 60, 1001}, counted: 10, allocs: 5, bytes: 80}
	want := map[string]float64{
		"x-ns/pkt": 60, "x-mean-ns/pkt": 15./3 + 60./3 + 1001./3, "x-over-floor-ns/pkt": 5, "x/floor": 1.5,
		"x-allocs/pkt": 0.5, "x-B/pkt": 8,
	}
	got := f.metrics("x", "floor", floor, []int{0, 1, 2})
	for unit, value := range want {
		if got[unit] != value {
			t.Errorf("%s is %v, want %v", unit, got[unit], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
	if m := f.metrics("x", "x", f.times, []int{0}); len(m) != 2 {
		t.Errorf("of the first contender: %v", m)
	}
}

// TestTheQuieterHalfIsThatOfTheShorterRounds: a round counts for all contenders or for none.
func TestTheQuieterHalfIsThatOfTheShorterRounds(t *testing.T) {
	all := []figures{{times: []float64{9, 1, 2, 50, 3}}, {times: []float64{1, 2, 9, 1, 9}}}
	if got := quieter(all); !slices.Equal(got, []int{1, 0, 2}) {
		t.Errorf("%v", got)
	}
	if got := quieter([]figures{{times: []float64{1}}}); len(got) != 1 {
		t.Errorf("of one round %v", got)
	}
}

// TestEveryContenderTakesEveryBatch runs a benchmark whose contenders count.
func TestEveryContenderTakesEveryBatch(t *testing.T) {
	sums, taken := make([]int, 3), 0
	var contenders []Contender[int]
	for i := range sums {
		c := Contender[int]{Name: string(rune('a' + i)), Take: func(batch []int) {
			for _, n := range batch {
				if sums[i] += n; i == 2 {
					sink = make([]byte, 100)
				}
			}
			taken++
		}}
		contenders = append(contenders, c)
	}
	made := 0
	next := func() []int { made += 6; return []int{1, 2, 3} }
	Warm(contenders, 7, next)
	r := testing.Benchmark(func(b *testing.B) { Run(b, contenders, next) })
	if r.N == 0 || sums[0] != made || sums[1] != made || sums[2] != made || taken != made/2 {
		t.Errorf("%d rounds, %d made, taken %v", r.N, made, sums)
	}
	if a, c := r.Extra["b-allocs/pkt"], r.Extra["c-allocs/pkt"]; a > 0.01 || c < 1 || c > 1.01 {
		t.Errorf("%v and %v allocations", a, c)
	}
}

var sink []byte
