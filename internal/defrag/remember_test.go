package defrag

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// complete completes a datagram of 16 bytes.
func complete(t *testing.T, table *Table[int], id uint32, now int64) {
	t.Helper()
	require.Equal(t, Held, outcome(table, piece(id, 0, true, now)))
	require.Equal(t, Complete, outcome(table, piece(id, 8, false, now)))
}

func TestACompleteDatagramIsRememberedForAWhile(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits Limits
		after  int64
		want   Outcome
	}{
		{"at once", Limits{}, 0, Duplicate},
		{"just before", Limits{}, second - 1, Duplicate},
		{"exactly then", Limits{}, second, Held},
		{"long after", Limits{}, math.MaxInt64 / 2, Held},
		{"no longer than the timeout", Limits{Timeout: 500}, 500, Held},
		{"just before the timeout", Limits{Timeout: 500}, 499, Duplicate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := New[int](tt.limits, 1)
			complete(t, table, 1, 100)
			require.Equal(t, tt.want, outcome(table, piece(1, 8, false, 100+tt.after)))
			check(t, table)
			require.Zero(t, table.Stats().Forgotten)
			require.Equal(t, tt.want == Held, table.Len() == 1)
		})
	}
}

func TestWhatIsRememberedTakesAQuarterAtMost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits Limits
		most   uint32
	}{
		{"of Datagrams", Limits{Datagrams: 20}, 5},
		{"of TotalBytes", Limits{TotalBytes: 64 << 10}, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := New[int](tt.limits, 1)
			for id := range uint32(12) {
				complete(t, table, id, 0)
				check(t, table)
			}
			table.Expire(0, 0) // the last one is lent no longer
			check(t, table)
			require.Equal(t, uint64(12-tt.most), table.Stats().Forgotten)
			for id := range uint32(12) {
				_, out := table.Add(piece(id, 8, false, 0), nil)
				want := Duplicate
				if id < 12-tt.most { // the oldest ones
					want = Held
				}
				require.Equal(t, want, out, "datagram %d", id)
				check(t, table)
			}
		})
	}
	table := New[int](Limits{TotalBytes: 64 << 10}, 1)
	f := piece(1, 0, true, 0)
	f.Bytes = make([]byte, 20000)
	require.Equal(t, Held, outcome(table, f))
	require.Equal(t, Complete, outcome(table, piece(1, 20000, false, 0)))
	require.Equal(t, Held, outcome(table, piece(1, 20000, false, 0)), "too large to be remembered")
	require.EqualValues(t, 1, table.Stats().Forgotten)
	check(t, table)
}

func TestWhatIsRememberedLeavesBeforeWhatWaits(t *testing.T) {
	table := New[int](Limits{Datagrams: 20}, 1)
	for id := range uint32(5) {
		complete(t, table, 100+id, 0)
	}
	for id := range uint32(20) {
		require.Equal(t, Held, outcome(table, piece(id, 0, true, 0)))
		check(t, table)
	}
	s := table.Stats()
	require.Equal(t, [2]uint64{0, 5}, [2]uint64{s.EvictedTable, s.Forgotten})
	require.Equal(t, 20, table.Len())

	table = New[int](Limits{TotalBytes: 64 << 10}, 1)
	for id := range uint32(8) {
		complete(t, table, 100+id, 0)
	}
	f := piece(1, 0, true, 0)
	f.Bytes = make([]byte, 24*pageBytes)
	require.Equal(t, Held, outcome(table, piece(0, 0, true, 0)))
	require.Equal(t, Held, outcome(table, f))
	check(t, table)
	s = table.Stats()
	require.Zero(t, s.EvictedMemory)
	require.Positive(t, s.Forgotten)
}

func TestClearForgetsWhatWasComplete(t *testing.T) {
	table := New[int](Limits{}, 1)
	complete(t, table, 1, 0)
	complete(t, table, 2, 0)
	table.Clear()
	check(t, table)
	require.Zero(t, table.Bytes())
	require.Equal(t, Held, outcome(table, piece(1, 8, false, 0)))
}
