package flowtable

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// wide is a key of the size of an address pair with ports.
type wide [5]uint64

func (k *wide) hash() uint64 {
	h := uint64(0x9E3779B97F4A7C15)
	for _, w := range k {
		h = (h ^ w) * 0xD6E8FEB86659FD93
		h ^= h >> 32
	}
	return h
}

var sink int

func filled(n int) (*Table[wide, [20]uint64], []wide) {
	table := New[wide, [20]uint64](n)
	keys := make([]wide, n)
	for i := range keys {
		keys[i] = wide{uint64(i), 1}
		table.Insert(keys[i].hash(), &keys[i])
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return table, keys
}

var sizes = []int{1, 1_000, 100_000, 1_000_000}

func BenchmarkFind(b *testing.B) {
	for _, n := range sizes {
		table, keys := filled(n)
		for _, miss := range []uint64{0, 1} {
			b.Run(fmt.Sprintf("slots=%d/miss=%d", n, miss), func(b *testing.B) {
				at := 0
				for b.Loop() {
					k := keys[at]
					k[4] = miss
					if s := table.Find(k.hash(), &k); s != nil {
						sink += int(s.Value[0])
					}
					if at++; at == n {
						at = 0
					}
				}
			})
		}
	}
}

// One slot leaves and one comes, the table stays full.
func BenchmarkChurn(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("slots=%d", n), func(b *testing.B) {
			table, keys := filled(n)
			at := 0
			for b.Loop() {
				k := &keys[at]
				s := table.Find(k.hash(), k)
				table.Detach(k.hash(), s)
				table.Free(s)
				k[3]++
				s = table.Insert(k.hash(), k)
				table.Join(s, 1)
				table.SetTimer(s, int64(at))
				if at++; at == n {
					at = 0
				}
			}
		})
	}
}

// One slot comes out and is filed again for the next round, as one that was
// busy is. What is measured is one step of time, in which one slot is due on
// average.
func BenchmarkDue(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("slots=%d", n), func(b *testing.B) {
			table, _ := filled(n)
			const timeOut = 300e9
			step := timeOut / int64(n)
			now := int64(1_700_000_000_000_000_000)
			due := make([]int64, n+1)
			for i := range n {
				due[i+1] = now + int64(i+1)*step
				table.SetTimer(table.At(ID(i+1)), due[i+1])
			}
			looks := 0
			for b.Loop() {
				now += step
				for s := table.Due(now); s != nil; s = table.Due(now) {
					looks++
					if id := s.ID(); due[id] <= now {
						due[id] = now + timeOut
					}
					table.SetTimer(s, due[s.ID()])
				}
			}
			b.ReportMetric(float64(looks)/float64(b.N), "looks/op")
		})
	}
}

// Nothing is due, which is the case for nearly every packet.
func BenchmarkPending(b *testing.B) {
	table, _ := filled(1_000_000)
	const now = int64(1_700_000_000_000_000_000)
	for i := range 1_000_000 {
		table.SetTimer(table.At(ID(i+1)), now+300e9)
	}
	for s := table.Due(now); s != nil; s = table.Due(now) {
		table.SetTimer(s, now+300e9)
	}
	for b.Loop() {
		if table.Pending(now) {
			sink++
		}
	}
}
