package flowtable

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

func randomScript(r *rand.Rand, ops int) []byte {
	script := make([]byte, ops*opLen)
	for i := range script {
		script[i] = byte(r.Uint32())
	}
	return script
}

func TestTheTableDoesWhatTheModelDoes(t *testing.T) {
	for _, h := range hashes {
		t.Run(h.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range race.Seeds(60) {
				m := newModel(t, 1+r.IntN(40), h.of)
				m.run(randomScript(r, 400))
			}
		})
	}
}

func TestOnlyATableWithManyKeysIsClearedAtOnce(t *testing.T) {
	for capacity, want := range map[int]bool{8: true, 10_000: false} { // those of the tests of Finish
		table := New[key, value](capacity)
		for k := range key(8) {
			table.Join(table.Insert(hashes[4].of(k), &k), 1)
		}
		if got := table.BeginClear(); got != want {
			t.Errorf("8 keys, room for %d: %v", capacity, got)
		}
		table.EndClear()
	}
}

func FuzzTable(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for h := range hashes {
		f.Add(byte(h), byte(1+r.IntN(16)), randomScript(r, 100))
	}
	f.Add(byte(0), byte(2), []byte{0, 0, 0, 0, 13, 0, 3, 0, 8, 0, 1, 90, 13, 0, 1, 80}) // filed behind the wheel
	f.Fuzz(func(t *testing.T, hash, capacity byte, script []byte) {
		m := newModel(t, 1+int(capacity%40), hashes[int(hash)%len(hashes)].of)
		m.run(script[:min(len(script), 1600)])
	})
}

// The same operations give the same slots, the same order out of the wheel and
// the same heads of the queues, wherever the hash puts the keys.
func TestWhatComesOutDoesNotDependOnTheHash(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range race.Seeds(30) {
		script := randomScript(r, 300)
		var first []string
		for i, h := range hashes {
			m := newModel(t, 20, h.of)
			m.tracing = true
			for s := script; len(s) > 0; s = s[opLen:] {
				m.op(s[0], s[1], s[2], s[3])
				m.checkQueues()
			}
			if i == 0 {
				first = m.trace
			} else if !slices.Equal(m.trace, first) {
				t.Fatalf("%q gives another order than %q", h.name, hashes[0].name)
			}
		}
		if len(first) < 100 {
			t.Fatalf("only %d lines to compare", len(first))
		}
	}
}

func TestTheIndexIsAtMostHalfFull(t *testing.T) {
	for _, capacity := range []int{0, 1, 3, 4, 5, 8, 9, 1000, 1024, 1025, 100000} {
		x := newIndex(capacity)
		n := len(x.words)
		if bits.OnesCount(uint(n)) != 1 || int(x.mask) != n-1 || n < 2*capacity || n > max(8, 4*capacity) {
			t.Errorf("capacity %d: %d words, mask %x", capacity, n, x.mask)
		}
	}
}

func TestAFullTableFindsEveryKeyAndNoOther(t *testing.T) {
	for _, h := range hashes {
		for _, capacity := range []int{1, 4, 7, 8, 300} {
			m := newModel(t, capacity, h.of)
			for k := range key(capacity) {
				m.insert(k)
			}
			for k := range key(capacity + 50) {
				m.find(k)
			}
			m.check()
			for k := range key(capacity) {
				m.detach(k)
				m.insert(k) // while the old slot is still held
				m.find(k)
			}
			m.check()
			m.end()
		}
	}
}

func TestNoSlotHasTheNameZero(t *testing.T) {
	table := New[key, value](10)
	if table.Has(0) || table.Has(1) || table.Has(math.MaxUint32) {
		t.Fatal("an empty table has slots")
	}
	k := key(7)
	if s := table.Insert(0, &k); s.ID() != 1 || !table.Has(1) || table.Has(2) {
		t.Fatalf("the first slot is %d", s.ID())
	}
}

func TestSlotsStayWhereTheyAreWhileTheTableGrows(t *testing.T) {
	m := newModel(t, 3000, hashes[4].of)
	for k := range key(3000) {
		m.insert(k)
	}
	m.check()
	r := rand.New(rand.NewPCG(7, 8))
	for range 3000 {
		k := key(r.IntN(3000))
		m.detach(k)
		if r.IntN(2) == 0 {
			m.release(r.IntN(len(m.detached)))
		}
		m.insert(key(r.IntN(3000)))
	}
	m.check()
}

func TestMemoryOfAPeakIsGivenBackWhenTheTableIsEmpty(t *testing.T) {
	const peak = keepChunks*chunkLen + 1
	for _, c := range []struct {
		name  string
		slots int
		kept  int
	}{
		{"at the limit chunks are kept", peak - 1, keepChunks},
		{"above it all go", peak, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel(t, peak, hashes[4].of)
			for round := range 2 {
				for k := range key(c.slots) {
					m.insert(k)
					m.join(k, 1)
					m.file(k, int64(k))
				}
				for k := range key(c.slots) {
					m.detach(k)
				}
				for len(m.detached) > 1 {
					m.release(len(m.detached) - 1)
				}
				m.release(0)
				if n := len(m.table.chunks.list); n != c.kept {
					t.Fatalf("round %d: %d chunks kept, want %d", round, n, c.kept)
				}
				m.check()
			}
		})
	}
}

// While keys stay, whichever they are, no chunk stays but theirs and a few; and the table grows again.
func TestMemoryOfAPeakIsGivenBackWhileKeysStay(t *testing.T) {
	const peak = 60 * chunkLen
	hash := func(k *key) uint64 { return hashes[4].of(*k) }
	none := func(key) bool { return false }
	for _, c := range []struct {
		name  string
		stays func(k key) bool
		order func(i int) key
		most  int // chunks that are left
	}{
		{"the last", func(k key) bool { return k == peak-1 }, func(i int) key { return key(i) }, 1 + keepChunks},
		{"the first", func(k key) bool { return k == 0 }, func(i int) key { return key(peak - 1 - i) }, 1 + keepChunks},
		{"one of each tenth chunk", func(k key) bool { return k%(10*chunkLen) == 77 }, func(i int) key { return key(i) }, 6 + keepChunks},
		{"the others leave in any order", func(k key) bool { return k%(10*chunkLen) == 77 }, func(i int) key { return key(i * 7919 % peak) }, 6 + keepChunks},
		{"a tenth", func(k key) bool { return k < peak/10 }, func(i int) key { return key(i * 7919 % peak) }, 2*6 + 1 + keepChunks},
		{"none", none, func(i int) key { return key(i) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := New[key, value](peak)
			slots := map[key]*Slot[key, value]{}
			for round := range 3 {
				for k := range key(peak) {
					if slots[k] == nil {
						slots[k] = table.Insert(hash(&k), &k)
					}
				}
				if n := table.chunks.live(); n != 60 {
					t.Fatalf("round %d: %d chunks hold all", round, n)
				}
				for i := range peak {
					if k := c.order(i); !c.stays(k) {
						table.Detach(hash(&k), slots[k])
						table.Free(slots[k])
						delete(slots, k)
					}
					if i%(peak/8) == 0 {
						if what := table.broken(hash); what != "" {
							t.Fatal(what)
						}
					}
				}
				if n := table.chunks.live(); n > c.most {
					t.Errorf("round %d: %d chunks hold %d keys, want at most %d", round, n, len(slots), c.most)
				}
				for k, s := range slots {
					if table.Find(hash(&k), &k) != s || table.At(s.ID()) != s {
						t.Fatalf("key %d is lost", k)
					}
				}
				if what := table.broken(hash); what != "" {
					t.Fatal(what)
				}
			}
		})
	}
}

// live is how many chunks there are.
func (c *chunks[K, V]) live() (n int) {
	for i := range c.list {
		if c.list[i].slots != nil {
			n++
		}
	}
	return n
}

// The last slot freed may take the memory of all with it.
func TestSlotsMayBeFreedWhileAllAreVisited(t *testing.T) {
	const n = keepChunks*chunkLen + 10
	table := New[key, value](n)
	for k := range key(n) {
		table.Join(table.Insert(hashes[4].of(k), &k), 1)
	}
	// Chosen so that the table is empty before the last slot was visited.
	last := table.At(n)
	table.Detach(hashes[4].of(last.Key), last)
	table.Free(last)
	seen := 0
	for s := range table.All {
		seen++
		table.Detach(hashes[4].of(s.Key), s)
		table.Free(s)
	}
	if seen != n-1 || table.Len() != 0 || len(table.chunks.list) != 0 {
		t.Fatalf("%d seen, %d left in %d chunks", seen, table.Len(), len(table.chunks.list))
	}
}

func TestSteadyUseDoesNotAllocate(t *testing.T) {
	table := New[key, value](100)
	k, now := key(0), int64(0)
	allocs.None(t, 1, func() {
		k++
		now += 1 << 33
		s := table.Insert(hashes[4].of(k), &k)
		table.Join(s, 2)
		table.SetTimer(s, now+1)
		table.Join(s, 1)
		if table.Find(hashes[4].of(k), &k) != s || table.First(1) != s {
			t.Fatal("not found")
		}
		for out := table.Due(now + 1); out != nil; out = table.Due(now + 1) {
			if out != s {
				t.Fatal("another slot")
			}
		}
		table.Detach(hashes[4].of(k), s)
		table.Free(s)
	})
}

// The check itself must see what it is there for.
func TestCheckSeesABrokenTable(t *testing.T) {
	hash := func(k *key) uint64 { return hashes[4].of(*k) }
	for _, c := range []struct {
		name   string
		damage func(*Table[key, value])
	}{
		{"a lost word", func(t *Table[key, value]) { t.index.remove(uint32(hash(&t.At(3).Key)>>32), 3) }},
		{"a key that was changed", func(t *Table[key, value]) { t.At(2).Key = 999 }},
		{"a free list that goes round", func(t *Table[key, value]) { t.At(t.free).queueLink.next = t.free }},
		{"a slot in use that is free", func(t *Table[key, value]) { t.free = 0 }},
		{"a chunk that is counted twice", func(t *Table[key, value]) { t.chunks.open++ }},
		{"a chunk that believes it is closed", func(t *Table[key, value]) { t.chunks.list[0].closed = true }},
		{"a chunk that lost a key", func(t *Table[key, value]) { t.chunks.list[0].used-- }},
		{"a slot in the wrong queue", func(t *Table[key, value]) { t.At(1).queue = 5 }},
		{"a queue cut in two", func(t *Table[key, value]) { t.At(1).queueLink.next = 0 }},
		{"a queue that goes round", func(t *Table[key, value]) { t.At(2).queueLink.next = 1 }},
		{"a bucket that lost its slots", func(t *Table[key, value]) { t.wheel.heads[buckets+1] = 0 }},
		{"a bucket whose end is not known", func(t *Table[key, value]) { t.wheel.tails[buckets+1] = 0 }},
		{"a bucket with another end", func(t *Table[key, value]) { t.wheel.tails[buckets+1] = 2 }},
		{"a bucket that lost its mark", func(t *Table[key, value]) { clear(t.wheel.used[4:8]) }},
		{"a word of marks that is not seen", func(t *Table[key, value]) { t.wheel.words = 0 }},
		{"a slot that believes it is not filed", func(t *Table[key, value]) { t.At(4).timerSet = false }},
		{"a wheel that turned too far", func(t *Table[key, value]) { t.wheel.now += 600 }},
		{"a next that is too late", func(t *Table[key, value]) { t.wheel.next += 1000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := New[key, value](10)
			for k := range key(5) {
				s := table.Insert(hash(&k), &k)
				table.Join(s, 1)
				table.SetTimer(s, math.MinInt64+500+int64(k))
			}
			five := table.At(5)
			table.Detach(hash(&five.Key), five)
			table.Free(five)
			if what := table.broken(hash); what != "" {
				t.Fatal(what)
			}
			if c.damage(table); table.broken(hash) == "" {
				t.Fatal("not seen")
			}
		})
	}
}

func TestAfterTheNextVictimIsTheSlotBehindIt(t *testing.T) {
	table := New[key, value](10)
	var slots []*Slot[key, value]
	for k := range key(5) {
		s := table.Insert(hashes[4].of(k), &k)
		table.Join(s, 1+uint8(k%2))
		slots = append(slots, s)
	}
	behind := func(s *Slot[key, value]) *Slot[key, value] {
		_, after := table.PrefetchVictim(hashes[4].of(s.Key), s)
		return after
	}
	for i, s := range slots {
		want := (*Slot[key, value])(nil)
		if i+2 < len(slots) {
			want = slots[i+2]
		}
		if got := behind(s); got != want {
			t.Errorf("behind %d: %v", i, got)
		}
	}
	table.Leave(slots[2])
	if behind(slots[2]) != nil || behind(slots[0]) != slots[4] {
		t.Error("after one has left")
	}
}
