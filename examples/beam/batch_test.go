package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

func TestPacketsOfABatchAreWhatWentIn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var want []flowscope.PacketView
	var at []place
	var batches []Batch
	var p packer
	for i := range 1000 {
		v := flowscope.PacketView{
			Frame: bytes.Repeat([]byte{byte(i)}, r.IntN(200)), Timestamp: flowscope.Timestamp(r.Uint64()),
			WireLen: r.IntN(3000), LinkType: flowscope.LinkType(r.IntN(300)), Interface: r.Uint32(), ID: uint64(i)*3 + 1,
		}
		if i%100 == 0 {
			v.Timestamp = []flowscope.Timestamp{math.MaxInt64, math.MinInt64, 0}[r.IntN(3)]
		}
		want, at = append(want, v), append(at, place{int64(i / 300), int64(i)*3 + 1})
		if p.add(whole, at[i], v) > 2000 || i%300 == 299 || i == 999 {
			batches = append(batches, p.take())
		}
	}
	r.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	c, err := newCursor(batches)
	for i := range want {
		require.NoError(t, err)
		require.True(t, c.ok)
		require.Equal(t, at[i], c.at)
		require.True(t, bytes.Equal(want[i].Frame, c.view.Frame))
		want[i].Frame, c.view.Frame = nil, nil
		require.Equal(t, want[i], c.view)
		err = c.next()
	}
	require.NoError(t, err)
	require.False(t, c.ok)
}

func TestADamagedBatchIsAnError(t *testing.T) {
	var p packer
	ends := []int{0}
	for i := range 5 {
		ends = append(ends, p.add(whole, place{1, int64(i)}, flowscope.PacketView{Frame: []byte("frame"), Timestamp: 77}))
	}
	sound := p.take()
	for n := range len(sound.Packets) {
		c, err := newCursor([]Batch{{File: 1, Packets: slices.Clone(sound.Packets[:n])}})
		packets := 0
		for ; err == nil && c.ok; err = c.next() {
			packets++
		}
		require.False(t, c.ok)
		if err == nil {
			require.True(t, slices.Contains(ends, n), "%d bytes do not end with a packet, but gave %d", n, packets)
		}
	}
}

func TestTicksAreFewAndAroundAStepAll(t *testing.T) {
	var kept []int64
	keep := func(number int64, _ flowscope.Timestamp) { kept = append(kept, number) }
	var tk ticker
	at, number := flowscope.Timestamp(1e18), int64(0)
	step := func(d time.Duration) {
		at, number = at.Add(d), number+1
		tk.see(number, at, keep)
	}
	for range 10_000 { // ten seconds
		step(time.Millisecond)
	}
	require.Less(t, len(kept), 82)
	require.Greater(t, len(kept), 39)
	kept = nil
	step(-time.Hour)
	first := number
	for range 40 {
		step(time.Millisecond)
	}
	require.Equal(t, first-1, kept[0], "the last one before the step")
	require.Equal(t, aroundStep+2, len(kept))
	require.Equal(t, first+aroundStep, kept[len(kept)-1])
	tk.finish(keep)
	tk.finish(keep)
	require.Equal(t, number, kept[len(kept)-1])
	require.Equal(t, aroundStep+3, len(kept))
}
