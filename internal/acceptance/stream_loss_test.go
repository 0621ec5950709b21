package acceptance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/internal/testkit"
	"github.com/flowscope-go/flowscope/internal/testkit/race"
)

func TestLossLeavesTheRestInItsPlace(t *testing.T) {
	rounds := uint64(150)
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 31))
		talk := testkit.NewTalk(r, 30_000)
		loss := []float64{0.001, 0.01, 0.1}[seed%3]
		var present [2][]bool
		for side := range present {
			present[side] = make([]bool, len(talk.Said[side]))
		}
		var views []flowscope.PacketView
		for i, v := range talk.Views {
			if talk.Data[i] && r.Float64() < loss {
				continue
			}
			views = append(views, v)
			if r.Float64() < loss {
				views = append(views, v)
			}
			markPresent(talk, v, &present)
		}
		for side, heard := range testkit.ReadStreams(t, nil, flowscope.Config{}, views) {
			compareStream(t, fmt.Sprintf("seed %d side %d", seed, side), talk.Said[side], present[side], heard)
		}
	}
}

// markPresent notes which bytes of its side a packet brings.
func markPresent(talk *testkit.Talk, v flowscope.PacketView, present *[2][]bool) {
	side := int(v.Frame[29] - 1)
	seq := uint32(v.Frame[38])<<24 | uint32(v.Frame[39])<<16 | uint32(v.Frame[40])<<8 | uint32(v.Frame[41])
	pos := int(seq - talk.ISN[side] - 1)
	for i := range v.Frame[54:] {
		present[side][pos+i] = true
	}
}

func compareStream(t *testing.T, name string, said []byte, present []bool, heard testkit.Stream) {
	t.Helper()
	if len(heard.Data) != len(said) {
		t.Fatalf("%s: %d bytes and gaps of %d", name, len(heard.Data), len(said))
	}
	for i := range said {
		if heard.Mask[i] != present[i] || present[i] && heard.Data[i] != said[i] {
			t.Fatalf("%s: byte %d: delivered %v, was there %v; %q, was %q", name, i, heard.Mask[i], present[i], heard.Data[i], said[i])
		}
	}
}

func TestWithoutLossNothingIsMissing(t *testing.T) {
	rounds := uint64(150)
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 32))
		talk := testkit.NewTalk(r, 30_000)
		n := len(talk.Views)
		views := append([]flowscope.PacketView(nil), talk.Views[:3]...)
		middle := append([]flowscope.PacketView(nil), talk.Views[3:n-3]...)
		for range n / 10 { // duplicates, near their originals
			i := r.IntN(len(middle))
			middle = slices.Insert(middle, i, middle[i])
		}
		views = append(views, testkit.Displace(r, middle, 32)...)
		views = append(views, talk.Views[n-3:]...)
		for side, heard := range testkit.ReadStreams(t, nil, flowscope.Config{}, views) {
			if !bytes.Equal(heard.Data, talk.Said[side]) || slices.Contains(heard.Mask, false) {
				t.Fatalf("seed %d side %d: the stream is not what was said", seed, side)
			}
		}
	}
}

func TestHowTheBytesAreCutIntoSegmentsChangesNothing(t *testing.T) {
	for seed := range race.Seeds(uint64(40)) {
		r := rand.New(rand.NewPCG(seed, 33))
		talk := testkit.NewTalk(r, 5_000)
		said := talk.Said
		for range 2 {
			again := &testkit.Talk{ISN: talk.ISN}
			again.Add(0, "S", 0, 0, nil)
			again.Add(1, "SA", 0, 0, nil)
			for side := range said {
				for pos := 0; pos < len(said[side]); {
					from := max(0, pos-r.IntN(40)) // overlaps what was sent
					to := min(len(said[side]), pos+1+r.IntN(300))
					again.Add(side, "PA", from, 0, said[side][from:to])
					pos = to
				}
			}
			views := append(again.Views[:2:2], testkit.Displace(r, again.Views[2:], 20)...)
			for side, heard := range testkit.ReadStreams(t, nil, flowscope.Config{Overlap: flowscope.OverlapPolicy(seed % 3)}, views) {
				if !bytes.Equal(heard.Data, said[side]) || slices.Contains(heard.Mask, false) {
					t.Fatalf("seed %d side %d: the stream is not what was said", seed, side)
				}
			}
		}
	}
}
