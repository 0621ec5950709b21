package defrag

import (
	"fmt"
	"math"
	"math/rand"
	"runtime"
	"testing"
	"time"

	"github.com/flowscope-go/flowscope/internal/invariants"
	"github.com/flowscope-go/flowscope/internal/testkit/allocs"
	"github.com/stretchr/testify/require"
)

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAMillionFirstFragmentsStayWithinTheCaps(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits Limits
		size   int
	}{
		{"of 1,480 bytes at the defaults", Limits{}, 1480},
		{"of 8 bytes at the defaults", Limits{}, 8},
		{"with few datagrams", Limits{Datagrams: 100}, 8},
		{"with little memory", Limits{TotalBytes: 100 << 10}, 1480},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := 1_000_000
			if testing.Short() {
				n = 100_000
			}
			table := New[[20]uint64](tt.limits, 1)
			body := make([]byte, tt.size)
			before := heap()
			var at10 int64
			for i := range n {
				_, out := table.Add(&Fragment{Key: Key{ID: uint32(i)}, Bytes: body, More: true, Time: int64(i) * 1000}, nil)
				require.True(t, out == Held && table.Bytes() <= table.limits.TotalBytes)
				if i == n/10 {
					at10 = heap()
				}
			}
			require.InDelta(t, at10-before, heap()-before, 64<<10, "memory is flat")
			require.LessOrEqual(t, heap()-before, table.limits.TotalBytes*11/10+64<<10)
			s := table.Stats()
			require.Equal(t, uint64(n-table.Len()), s.EvictedTable+s.EvictedMemory)
			if tt.limits.Datagrams > 0 {
				require.Equal(t, tt.limits.Datagrams, table.Len())
			} else {
				require.Greater(t, table.Bytes(), table.limits.TotalBytes*9/10, "what is allowed is used")
			}
			// The last ones are those that are still there.
			_, out := table.Add(&Fragment{Key: Key{ID: uint32(n - table.Len())}, Offset: tt.size, Bytes: body[:1], Time: int64(n) * 1000}, nil)
			require.Equal(t, Complete, out)
			check(t, table)
		})
	}
}

// mixed fills a table with datagrams of many sizes, islands and tombstones, and leaves spares behind.
func mixed[V any](table *Table[V], n int) {
	rng := rand.New(rand.NewSource(4))
	body := make([]byte, 20000)
	for i := range n {
		k := Key{ID: uint32(i)}
		for range 1 + rng.Intn(4) {
			b := body[:8*(1+rng.Intn(rng.Intn(len(body)/8)+1))]
			table.Add(&Fragment{Key: k, Offset: 8 * rng.Intn(6000), Bytes: b, More: rng.Intn(9) > 0}, nil)
		}
	}
}

func gauge[V any](t *testing.T, name string, fill func(*Table[V])) {
	t.Run(name, func(t *testing.T) {
		before := heap()
		table := New[V](Limits{TotalBytes: 1 << 30}, 1)
		fill(table)
		real := heap() - before
		require.InEpsilon(t, real, table.Bytes(), 0.1, "the gauge against the heap")
		check(t, table)
		runtime.KeepAlive(table)
	})
}

func tombstones[V any](table *Table[V]) {
	for i := range 4000 {
		table.Add(&Fragment{Key: Key{ID: uint32(i)}, Cut: true, More: true}, nil)
	}
}

func TestTheGaugeIsTrueWithinATenth(t *testing.T) {
	gauge(t, "mixed", func(table *Table[int]) { mixed(table, 2000) })
	gauge(t, "tombstones, no value", tombstones[struct{}])
	gauge(t, "tombstones, a word", tombstones[int])
	gauge(t, "tombstones, 300 bytes", tombstones[[300]byte])
	gauge(t, "tombstones, 400 bytes with pointers", tombstones[[50]*int])
	gauge(t, "tombstones, 1,000 bytes", tombstones[[1000]byte])
	gauge(t, "tombstones, a record of 1,024 bytes on 64 bits", tombstones[[107]*int])
	gauge(t, "8 bytes each", func(table *Table[int]) {
		for i := range 4000 {
			table.Add(&Fragment{Key: Key{ID: uint32(i)}, More: true, Bytes: make([]byte, 8)}, nil)
		}
	})
	gauge(t, "one great datagram lent", func(table *Table[int]) {
		table.Add(&Fragment{More: true, Bytes: make([]byte, 40000)}, nil)
		table.Add(&Fragment{Offset: 40000, Bytes: make([]byte, 25000)}, nil)
	})
}

func TestADatagramWithinOnePageIsLentFromThere(t *testing.T) {
	table := New[int](Limits{}, 1)
	for i, size := range []int{pageBytes, pageBytes + 1} {
		k := Key{ID: uint32(i)}
		table.Add(&Fragment{Key: k, More: true, Bytes: make([]byte, 1480)}, nil)
		d, out := table.Add(&Fragment{Key: k, Offset: 1480, Bytes: make([]byte, size-1480)}, nil)
		require.Equal(t, Complete, out)
		require.Len(t, d.Data, size)
		require.Equal(t, size > pageBytes, cap(table.memory.output) > 0)
	}
}

func TestAPageIsTwoKibibytes(t *testing.T) {
	require.LessOrEqual(t, New[int](Limits{}, 1).memory.pages.size, int64(2048))
}

func TestMemoryThatIsNotNeededForATimeoutIsGivenBack(t *testing.T) {
	table := New[int](Limits{}, 1)
	mixed(table, 4000)
	peak := table.Bytes()
	require.Greater(t, peak, int64(3<<20))
	// Afterwards one small datagram at a time. Each Add lets go a few spares only.
	worst := int64(0)
	for i := range 3000 {
		was := table.Bytes()
		outcome(table, piece(1, 0, true, 31*second+int64(i)*second/10))
		outcome(table, piece(1, 8, false, 31*second+int64(i)*second/10))
		worst = max(worst, was-table.Bytes()-int64(cap(table.memory.output)))
	}
	check(t, table)
	require.Less(t, table.Bytes(), int64(4096))
	require.Less(t, worst, peak/10)

	// And after a quiet time nothing is left.
	table.Expire(1000*second, math.MaxInt)
	table.Expire(1030*second, math.MaxInt)
	require.Zero(t, table.Bytes())
}

func TestWhoAsksForMemoryGetsItFromTheOldest(t *testing.T) {
	table := New[int](Limits{TotalBytes: 64 << 10}, 1)
	for id := range uint32(20) {
		outcome(table, piece(id, 0, true, 0))
	}
	require.Equal(t, 20, table.Len())
	f := piece(5, 8, true, 0)
	f.Bytes = make([]byte, 40000)
	require.Equal(t, Held, outcome(table, f), "5 takes the pages of those before and behind it")
	check(t, table)
	s := table.Stats()
	require.Equal(t, uint64(20-table.Len()), s.EvictedMemory)
	for id := range uint32(20) {
		k := Key{ID: id, Family: 4}
		gone := id != 5 && uint64(id) < s.EvictedMemory+1
		require.Equal(t, gone, table.index.find(table.secret.hash(&k), &k) == nil, "datagram %d", id)
	}
}

func TestTombstonesAreNotSacrificedForBytesTheyDoNotHave(t *testing.T) {
	table := New[int](Limits{TotalBytes: 64 << 10}, 1)
	for id := range uint32(50) {
		f := piece(id, 0, true, 0)
		f.Cut = true
		require.Equal(t, Cut, outcome(table, f))
	}
	for id := range uint32(100) {
		outcome(table, piece(100+id, 0, true, 0))
	}
	check(t, table)
	// Records are had from the oldest of all, pages only from those that have some.
	require.Positive(t, table.Stats().EvictedMemory)
	require.Less(t, table.Stats().TombstonesRemoved, uint64(50))
}

func TestSpareRecordsMakeRoomForPages(t *testing.T) {
	table := New[[4000]byte](Limits{TotalBytes: 64 << 10}, 1)
	for _, f := range []Fragment{{More: true, Bytes: make([]byte, 8)}, {Offset: 8, Bytes: make([]byte, 8)}} {
		for id := range uint32(8) {
			f.ID = id
			table.Add(&f, nil)
		}
	}
	require.Zero(t, table.Len())
	_, out := table.Add(&Fragment{More: true, Bytes: make([]byte, 50000)}, nil)
	require.Equal(t, Held, out)
	check(t, table)
}

func TestADatagramThatFindsNoRoomEvenAloneIsDropped(t *testing.T) {
	for _, tt := range []struct {
		name  string
		total int64
		sizes []int
		want  []Outcome
	}{
		{"not even an index", 1, []int{8, 8}, []Outcome{NoRoom, NoRoom}},
		{"not even a record", 16 * pointerBytes, []int{8}, []Outcome{NoRoom}},
		{"not even a page", 1024, []int{8, 8}, []Outcome{NoRoom, Tombstone}},
		{"too many pages", 32 << 10, []int{8000, 40000, 8}, []Outcome{Held, NoRoom, Tombstone}},
		{"not to join the pages", 30 << 10, []int{8000, 9000, -1}, []Outcome{Held, Held, NoRoom}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := New[int](Limits{TotalBytes: tt.total}, 1)
			offset := 0
			for i, n := range tt.sizes {
				f := &Fragment{Offset: offset, Bytes: make([]byte, max(n, 1)), More: n > 0}
				require.Equal(t, tt.want[i], outcome(table, f), "fragment %d", i)
				offset += n
				check(t, table)
			}
			require.Zero(t, table.Len())
		})
	}
}

func TestTooManyPiecesAndTooManyBytesAreRefusedByName(t *testing.T) {
	table := New[int](Limits{Pieces: 3, DatagramBytes: 1000}, 1)
	for i := range 3 {
		require.Equal(t, Held, outcome(table, piece(1, 16*i, true, 0)))
	}
	require.Equal(t, Duplicate, outcome(table, piece(1, 16, true, 0)), "what is not stored is no piece")
	require.Equal(t, TooManyPieces, outcome(table, piece(1, 8, true, 0)))
	require.Equal(t, Tombstone, outcome(table, piece(1, 8, true, 0)))
	require.Equal(t, Held, outcome(table, piece(2, 992, true, 0)))
	require.Equal(t, TooBig, outcome(table, piece(2, 1000, true, 0)))
	require.Equal(t, Tombstone, outcome(table, piece(2, 0, true, 0)))
}

func TestLimitsHaveDefaultsAndGreatestValues(t *testing.T) {
	want := Limits{Datagrams: 4096, DatagramBytes: 65535, Pieces: 8192, TotalBytes: 4 << 20, Timeout: 30e9, Remember: 1e9}
	require.Equal(t, want, Limits{}.normal())
	require.Equal(t, want, Limits{-1, -1, -1, -1, -1, -1}.normal())
	most := Limits{math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt64, math.MaxInt64, math.MaxInt64}.normal()
	require.Equal(t, Limits{1 << 20, 65535, 8192, 1 << 62, math.MaxInt64, math.MaxInt64}, most)
	require.Equal(t, most, most.normal())
	require.EqualValues(t, 7, Limits{Timeout: 7}.normal().Remember)
}

// pieces gives a datagram of n pieces of 8 bytes, the last of 1, in an order.
func pieces(n int, order func(i int) int) []Fragment {
	out := make([]Fragment, n)
	body := make([]byte, 8)
	for i := range out {
		j := order(i)
		out[i] = Fragment{Offset: 8 * j, Bytes: body, More: j < n-1}
	}
	return out
}

func orders(n int) map[string]func(int) int {
	shuffled := rand.New(rand.NewSource(1)).Perm(n)
	return map[string]func(int) int{
		"forward": func(i int) int { return i },
		"reverse": func(i int) int { return n - 1 - i },
		"random":  func(i int) int { return shuffled[i] },
	}
}

// The time of the fastest of several runs, since others use the machine too.
func TestADatagramOf8189PiecesIsCheapInAnyOrder(t *testing.T) {
	for _, name := range []string{"forward", "reverse", "random"} {
		t.Run(name, func(t *testing.T) {
			table := New[int](Limits{}, 1)
			best, id := map[int]time.Duration{2047: time.Hour, 8189: time.Hour}, uint32(0)
			for range 15 {
				for n := range best {
					frags := pieces(n, orders(n)[name])
					id++
					for i := range frags {
						frags[i].ID, frags[i].Time = id, int64(id)*second // the one before is forgotten
					}
					completed := 0
					start := time.Now()
					for i := range frags {
						if _, out := table.Add(&frags[i], nil); out == Complete {
							completed++
						}
					}
					best[n] = min(best[n], time.Since(start))
					require.Equal(t, 1, completed)
					require.Zero(t, table.Len())
				}
			}
			require.Less(t, best[8189], 50*time.Millisecond)
			require.Less(t, best[8189], 12*best[2047], "quadratic would be 16 times, linear is 4")
			require.Less(t, table.Bytes(), int64(160<<10))
		})
	}
}

func TestLentBytesAreTrampledInBuildsThatCheck(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("needs -tags invariants")
	}
	for _, size := range []int{8, 8000} {
		table := New[int](Limits{}, 1)
		table.Add(&Fragment{More: true, Bytes: make([]byte, size)}, nil)
		d, out := table.Add(&Fragment{Offset: size, Bytes: make([]byte, size)}, nil)
		require.Equal(t, Complete, out)
		table.Expire(0, math.MaxInt)
		for _, b := range d.Data {
			require.NotZero(t, b)
		}
	}
}

func TestNoAllocs(t *testing.T) {
	split := func(n, size int) (out []Fragment) {
		for i := range n {
			out = append(out, Fragment{Offset: i * size, Bytes: make([]byte, size), More: i < n-1})
		}
		return out
	}
	reverse := func(f []Fragment) []Fragment {
		for i, j := 0, len(f)-1; i < j; i, j = i+1, j-1 {
			f[i], f[j] = f[j], f[i]
		}
		return f
	}
	overlap := split(2, 80)
	overlap[1].Offset = 40
	bad := split(3, 8)
	bad[0].Bytes, bad[1].Bytes, bad[2].Offset = nil, bad[1].Bytes[:5], 65535
	for _, tt := range []struct {
		name  string
		frags []Fragment
		newID bool
	}{
		{"two in order", split(2, 800), false},
		{"two, of two pages", split(2, 1480), false},
		{"forty-four in order", split(44, 1480), false},
		{"forty-four reversed", reverse(split(44, 1480)), false},
		{"random pieces of 8 bytes", pieces(8189, orders(8189)["random"]), false},
		{"duplicates", append(split(3, 800)[:1], split(3, 800)[:1]...), false},
		{"overlap and tombstone", append(overlap, overlap...), true},
		{"first fragments that evict", split(2, 1480)[:1], true},
		{"wrong in themselves", bad, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := New[[4]uint64](Limits{TotalBytes: 1 << 20}, 1)
			v, id, now := new([4]uint64), uint32(0), int64(0)
			run := func() {
				for i := range tt.frags {
					f := tt.frags[i]
					f.Key.ID, f.Time = id, now
					table.Add(&f, v)
				}
				now += 1e6
				if tt.newID {
					id++
				}
			}
			for range 6000 {
				run()
				if len(tt.frags) > 1000 {
					break
				}
			}
			allocs.None(t, len(tt.frags), run)
			check(t, table)
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{2, 44, 8189} {
		for _, name := range []string{"forward", "reverse", "random"} {
			b.Run(fmt.Sprintf("pieces=%d/order=%s", n, name), func(b *testing.B) {
				table := New[int](Limits{}, 1)
				frags := pieces(n, orders(n)[name])
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					f := &frags[i%n]
					f.ID++
					table.Add(f, nil)
				}
			})
		}
	}
	b.Run("flood", func(b *testing.B) {
		table := New[int](Limits{}, 1)
		f := &Fragment{Bytes: make([]byte, 1480), More: true}
		b.ReportAllocs()
		for b.Loop() {
			f.ID++
			table.Add(f, nil)
		}
	})
}
