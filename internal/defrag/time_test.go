package defrag

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

const second = int64(1e9)

func piece(id uint32, offset int, more bool, now int64) *Fragment {
	return &Fragment{Key: Key{ID: id, Family: 4}, Offset: offset, Bytes: make([]byte, 8), More: more, Time: now}
}

func outcome(t *Table[int], f *Fragment) Outcome {
	_, out := t.Add(f, nil)
	return out
}

func TestADatagramIsForgottenAfterItsTimeout(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   int64
		want Outcome
	}{
		{"just before", 30*second - 1, Complete},
		{"exactly then", 30 * second, Held},
		{"long after", 3000 * second, Held},
	} {
		for _, start := range []int64{0, -50 * second, math.MinInt64} {
			t.Run(tt.name, func(t *testing.T) {
				table := New[int](Limits{}, 1)
				require.Equal(t, Held, outcome(table, piece(1, 0, true, start)))
				require.Equal(t, tt.want, outcome(table, piece(1, 8, false, start+tt.at)))
				timedOut := uint64(0)
				if tt.want == Held {
					timedOut = 1
				}
				require.Equal(t, timedOut, table.Stats().TimedOut)
				check(t, table)
			})
		}
	}
}

func TestTheTimeoutIsNotProlonged(t *testing.T) {
	table := New[int](Limits{}, 1)
	for i := range 6 {
		require.Equal(t, Held, outcome(table, piece(1, 8*i, true, int64(i)*5*second)))
	}
	require.Equal(t, Held, outcome(table, piece(1, 48, false, 30*second)), "the first six are gone")
}

func TestATombstoneLastsFromTheFirstFragmentUntilTheTimeout(t *testing.T) {
	table := New[int](Limits{}, 1)
	big := piece(1, 0, true, 20*second)
	big.Bytes = make([]byte, 16)
	require.Equal(t, Held, outcome(table, piece(1, 0, true, 0)))
	require.Equal(t, Overlap, outcome(table, big))
	require.Equal(t, Tombstone, outcome(table, piece(1, 0, true, 30*second-1)))
	require.Equal(t, Held, outcome(table, piece(1, 0, true, 30*second)))
	require.Equal(t, Complete, outcome(table, piece(1, 8, false, 30*second)))
	require.Zero(t, table.Stats().TimedOut, "a tombstone does not time out a second time")
}

// Add collects a few datagrams of others only, and yet never uses an expired one.
func TestAnExpiredDatagramIsNotUsedThoughItIsStillThere(t *testing.T) {
	table := New[int](Limits{}, 1)
	for id := range uint32(100) {
		outcome(table, piece(id, 0, true, 0))
	}
	require.Equal(t, Held, outcome(table, piece(99, 8, false, 40*second)))
	require.Equal(t, 100-expiriesPerAdd, table.Len())
	check(t, table)
	table.Expire(40*second, math.MaxInt)
	require.Equal(t, 1, table.Len())
	require.Equal(t, uint64(100), table.Stats().TimedOut)
}

func TestAFullTableOfExpiredDatagramsCountsTimeoutsNotEvictions(t *testing.T) {
	table := New[int](Limits{Datagrams: 20}, 1)
	for id := range uint32(20) {
		outcome(table, piece(id, 0, true, 0))
	}
	for id := range uint32(20) {
		outcome(table, piece(100+id, 0, true, 40*second))
	}
	require.Zero(t, table.Stats().EvictedTable)
	require.Equal(t, uint64(20), table.Stats().TimedOut)
}

func TestTimeThatRunsBackwardsStandsStill(t *testing.T) {
	table := New[int](Limits{}, 1)
	outcome(table, piece(1, 0, true, 100*second))
	require.Equal(t, Held, outcome(table, piece(2, 0, true, -5*second)))
	table.Expire(-1000*second, math.MaxInt)
	require.Equal(t, 2, table.Len())
	table.Expire(130*second, math.MaxInt)
	require.Zero(t, table.Len())
}

func TestTimesAtTheEndsOfTheScaleDoNotOverflow(t *testing.T) {
	table := New[int](Limits{Timeout: math.MaxInt64}, 1)
	outcome(table, piece(1, 0, true, math.MinInt64))
	table.Expire(-2, math.MaxInt)
	require.Equal(t, 1, table.Len())
	table.Expire(-1, math.MaxInt)
	require.Zero(t, table.Len())
	table = New[int](Limits{}, 1)
	outcome(table, piece(1, 0, true, math.MinInt64))
	table.Expire(math.MaxInt64, math.MaxInt)
	require.Zero(t, table.Len())
	outcome(table, piece(1, 0, true, math.MaxInt64))
	require.Equal(t, Complete, outcome(table, piece(1, 8, false, math.MaxInt64)))
}

func TestClearForgetsEverythingAndGivesAllMemoryBack(t *testing.T) {
	table := New[int](Limits{}, 1)
	for id := range uint32(50) {
		f := piece(id, 0, true, 0)
		f.Bytes = make([]byte, 4000)
		outcome(table, f)
	}
	last := piece(7, 4000, false, 0)
	d, out := table.Add(last, nil)
	require.Equal(t, Complete, out)
	require.Len(t, d.Data, 4008)
	table.Clear()
	require.Zero(t, table.Len())
	require.Zero(t, table.Bytes())
	require.Equal(t, uint64(49), table.Stats().Cleared)
	check(t, table)
	require.Equal(t, Held, outcome(table, last), "and the table serves on")
}

// Postdate as it is defined, for each datagram by itself.
func TestPostdateChangesWhenTheLastDatagramBegan(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	for range 300 {
		table, now := New[int](Limits{Timeout: math.MaxInt64}, 1), int64(0)
		began := []int64{}
		for range 60 {
			switch step := rng.Int63n(100); rng.Intn(5) {
			case 0:
				if n := len(began); n > 0 && began[n-1] < now+step {
					now += step
					began[n-1] = now
				}
				table.Postdate(now)
			case 1:
				if len(began) > 0 { // the oldest leaves
					table.remove(table.all.first, &table.stats.Cleared)
					began = began[1:]
				}
			default:
				now += step / 4
				outcome(table, piece(uint32(table.Stats().Opened), 0, true, now))
				began = append(began, now)
			}
			check(t, table)
			got := []int64{}
			for d := table.all.first; d != nil; d = d.links[inAll].next {
				got = append(got, d.startedAt)
			}
			require.Equal(t, began, got)
		}
	}
}
